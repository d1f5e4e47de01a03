"""Relatives, guardians and colleagues in the log: who is linked, what each may do for somebody else, and until when.
What holds for the sequencer holds for whoever reads the log."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.replay import Replay
from crypto.claims import invitation_key
from crypto.encoding import b64encode
from ledger.entry import Entry
from ledger.facts import Grant, Record
from ledger.messages import invitation_message
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import MemoryLog, Person, reading, verify_log

HOUR_MS = 3_600_000
NO = "deny S12 no_consent"
YEAR = 365 * DAY_MS


def midnight(time: int) -> int:
    """00:00Z of the day after `time`, Unix ms."""
    return (time // DAY_MS + 1) * DAY_MS


@dataclass
class Kin:
    """A patient with records at the north, another hospital with a record of theirs, and somebody who may become a relative."""

    log: MemoryLog = field(default_factory=MemoryLog)

    def __post_init__(self) -> None:
        """Everybody is registered here."""
        log = self.log
        self.admin, self.other = log.admin(log.hospital()), log.admin(log.hospital())
        self.third = log.admin(log.hospital())
        self.doctor, self.reader = log.doctor(self.admin), log.doctor(self.other)
        self.pat = log.patient(self.admin)
        self.label = log.id("l")
        self.lab = log.upload(self.doctor, self.pat)
        self.letter = log.upload(self.doctor, self.pat, category="document")
        self.psy = log.upload(self.doctor, self.pat, labels=[self.label], sensitive=True)
        self.person, self.stranger = log.account(), log.account()

    def secret(self, number: int) -> bytes:
        return hashlib.sha256(b"invitation %d" % number).digest()[:16]

    def invite(self, number: int = 1, **bent: Any) -> Entry:
        """The patient's invitation by the code of that number, to look, for 30 days."""
        return self.log.do(self.pat, "relative.invited", self.invitation(number, **bent))

    def invitation(self, number: int = 1, **bent: Any) -> dict[str, Any]:
        now = self.log.now
        return {
            "actions": ["list", "read"], "code": b64encode(invitation_key(self.secret(number), self.pat.patient).public),
            "end": format_time(now + 30 * DAY_MS), "purpose": "PATRQT", "scope": "full", "start": format_time(now),
            "until": format_time(now + 7 * DAY_MS),
        } | bent  # fmt: skip

    def link(self, invited: Entry, number: int = 1, who: Person | None = None, **bent: Any) -> str:
        person = who or self.person
        message = invitation_message(self.log.origin, self.pat.patient, person.account)
        proof = b64encode(invitation_key(self.secret(number), self.pat.patient).sign(message))
        body = {
            "account": person.account, "invitation": invited.event.id, "proof": proof, "purpose": "FAMRQT",
        } | bent  # fmt: skip
        return self.log.answer(person.acting("person"), "relative.linked", body, self.pat)

    def linked(self, **terms: Any) -> Person:
        """The person, linked on these terms, as a relative."""
        assert self.link(self.invite(**terms)) == "appended"
        return self.person.acting("relative")

    def act(
        self,
        who: Person,
        kind: str,
        body: dict[str, Any],
        principal: Person | None = None,
        **more: Any,
    ) -> str:
        """What somebody on the patient's behalf, or another's, is answered."""
        for_ = (principal or self.pat).account
        return self.log.answer(who, kind, body, self.pat, on_behalf_of=for_, **more)

    def read(self, who: Person, record: Entry, principal: Person | None = None, **more: Any) -> str:
        return self.act(who, "record.opened", reading(record), principal, **more)

    def minor(self, teen: int = YEAR, adult: int = 6 * YEAR) -> Person:
        """A child with a record at the north, old enough to act, and of age, so long after now; and it's the patient now."""
        log, now = self.log, self.log.now
        ages: dict[str, Any] = {"teen_from": format_time(midnight(now + teen)), "adult_from": format_time(midnight(now + adult))}  # fmt: skip
        self.pat = log.patient(self.admin, **ages)
        self.lab = log.upload(self.doctor, self.pat)
        self.private = log.upload(self.doctor, self.pat, minor_private=True, labels=[self.label], sensitive=True)  # fmt: skip
        return self.pat

    def guardian(self, by: str, done: str, account: str, who: Person | None = None) -> str:
        signer = who or getattr(self, by)
        body = {"account": account, "purpose": "TREAT"}
        return self.log.answer(signer, f"guardian.{done}", body, self.pat)

    def appoint(self, person: Person | None = None) -> Person:
        """A guardian, appointed by the north; they don't count yet."""
        who = person or self.person
        assert self.guardian("admin", "appointed", who.account) == "appended"
        return who.acting("relative")

    def give(self, giver: Person, to: Person, days: float = 10, **bent: Any) -> str:
        """A doctor delegates to a colleague."""
        now = self.log.now
        body = {
            "account": to.account, "actions": ["list", "read"], "end": format_time(now + int(days * DAY_MS)),
            "start": format_time(now),
        } | bent  # fmt: skip
        return self.log.answer(giver, "delegation.given", body, giver.hospital)

    def last(self) -> dict[str, Any]:
        found = self.log.entries[-1].decision
        assert found is not None
        return found


@pytest.fixture
def k() -> Kin:
    return Kin()


def audited(log: MemoryLog) -> None:
    """The log verifies, and every decision is what the rules give."""
    assert verify_log(log).size == len(log.entries)
    replay = Replay()
    for entry in log.entries:
        replay.take(entry.raw)
    assert replay.wrong == []


def test_a_relative_reads_what_the_invitation_says(k: Kin) -> None:
    """From the link on, resting on it and on what makes the patient the patient; not what is sensitive or hidden."""
    relative = k.linked()
    linked = k.log.entries[-1].link.seq
    assert k.read(relative, k.lab) == "appended"
    seq = next(e.link.seq for e in k.log.entries if e.event.type.name == "patient.registered" and e.event.subject == k.pat.patient)  # fmt: skip
    assert (k.last()["rule"], k.last()["basis"]) == ("S10", sorted([seq, linked]))
    assert k.act(relative, "chart.opened", {"purpose": "FAMRQT"}) == "appended"
    assert k.read(relative, k.psy) == NO
    k.log.do(k.pat, "record.hidden", {"purpose": "PATRQT", "record": k.lab.event.body["record"]})
    assert k.read(relative, k.lab) == NO
    audited(k.log)


def test_never_for_the_relatives_own_sake(k: Kin) -> None:
    """Nor on behalf of somebody else, nor in another role, nor in another chart."""
    relative = k.linked()
    assert k.log.answer(relative, "record.opened", reading(k.lab), k.pat) == NO
    assert k.read(relative, k.lab, principal=k.doctor) == NO
    assert k.read(relative.acting("person"), k.lab) == "deny S1 role"
    other = k.log.patient(k.admin)
    theirs = k.log.upload(k.doctor, other)
    opened = k.log.answer(
        relative, "record.opened", reading(theirs), other, on_behalf_of=other.account
    )
    assert opened == "deny S0 invalid"


def test_the_period_is_half_open(k: Kin) -> None:
    end = k.log.now + 2 * HOUR_MS
    relative = k.linked(end=format_time(end), until=format_time(end))
    k.log.wait(end - k.log.now - 1)
    assert k.read(relative, k.lab) == "appended"
    k.log.wait(1)
    assert k.read(relative, k.lab) == NO
    audited(k.log)


@pytest.mark.parametrize("action", ["append", "grant", "list", "read", "read_history"])
def test_an_action_that_is_not_given_is_not_permitted(k: Kin, action: str) -> None:
    """One action alone lets do just that."""
    relative = k.linked(actions=[action])
    found = {
        "append": k.act(relative, "record.uploaded", k.log.record_body(), v=2),
        "grant": k.act(relative, "access.granted", k.log.grant_body(k.reader.account, 1, actions=["list"]), v=3),
        "list": k.act(relative, "chart.opened", {"purpose": "FAMRQT"}),
        "read": k.read(relative, k.lab),
        "read_history": k.act(relative, "history.opened", {"purpose": "FAMRQT"}),
    }  # fmt: skip
    expected = {name: "appended" if name == action else NO for name in found}
    if action == "grant":
        expected["grant"] = "role"  # what they can't do themselves, they can't give
    assert found == expected


def test_scopes(k: Kin) -> None:
    """Part of a chart, and single records; the history and grants are for whoever has it all."""
    every = ["append", "grant", "list", "read", "read_history"]
    cases: list[tuple[dict[str, Any], Entry, Entry]] = [
        ({"scope": "partial", "what": {"categories": ["document"]}}, k.letter, k.lab),
        ({"scope": "selective", "records": [k.lab.event.body["record"]]}, k.lab, k.letter),
        ({"exceptions": [{"categories": ["document"], "type": "deny"}]}, k.lab, k.letter),
    ]
    for number, (terms, record, other) in enumerate(cases):
        assert k.link(k.invite(number, actions=every, **terms), number) == "appended"
        relative = k.person.acting("relative")
        assert (k.read(relative, record), k.read(relative, other)) == ("appended", NO)
        if "scope" in terms:
            assert k.act(relative, "history.opened", {"purpose": "FAMRQT"}) == NO
        granted = k.log.grant_body(k.reader.account, 1)
        assert k.act(relative, "access.granted", granted, v=3) in (NO, "role")
    assert k.link(k.invite(8, sensitive=True), 8) == "appended"
    assert k.read(k.person.acting("relative"), k.psy) == "appended"


def test_a_relative_grants_no_more_than_they_have(k: Kin) -> None:
    """No longer, nothing sensitive, no other actions, and nothing to themselves."""
    relative = k.linked(actions=["grant", "list", "read"])
    cases: list[tuple[str, float, dict[str, Any], str]] = [
        (k.reader.account, 1, {}, "appended"),
        (k.reader.account, 31, {}, "role"),
        (k.reader.account, 1, {"sensitive": True}, "role"),
        (k.reader.account, 1, {"labels": [k.label]}, "role"),
        (k.reader.account, 1, {"actions": ["append"]}, "role"),
        (relative.account, 1, {}, "role"),
    ]
    for grantee, days, bent, answer in cases:
        body = k.log.grant_body(grantee, days, **bent)
        assert k.act(relative, "access.granted", body, v=3) == answer, bent
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == "appended"
    revoked = {"grantee": k.reader.account, "purpose": "FAMRQT"}
    assert k.act(relative, "access.revoked", revoked, v=3) == "appended"
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == NO
    audited(k.log)


@pytest.mark.parametrize("end", ["unlinked", "excluded", "over"])
def test_what_a_relative_granted_ends_with_the_relation(k: Kin, end: str) -> None:
    """Also to a hospital of their own, or to an account of theirs that nobody knows of."""
    relative = k.linked(actions=["grant", "list", "read"])
    granted = k.log.grant_body(k.reader.hospital, 30)
    assert k.act(relative, "access.granted", granted, v=3) == "appended"
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == "appended"
    if end == "over":
        k.log.wait(30 * DAY_MS)
    else:
        named = "account" if end == "unlinked" else "reader"
        kind = "relative.unlinked" if end == "unlinked" else "reader.excluded"
        k.log.do(k.pat, kind, {named: relative.account, "purpose": "PATRQT"})
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == NO
    if end == "unlinked":  # another invitation brings back nothing of it
        assert k.link(k.invite(3, actions=["grant", "list", "read"]), 3) == "appended"
        assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == NO
    audited(k.log)


def test_relatives_read_nothing_for_their_own_sake(k: Kin) -> None:
    """Of two guardians who grant each other all of it while they may, neither keeps what the minor has for themselves, nor
    anything once the minor is of age."""
    k.minor(teen=5 * DAY_MS, adult=10 * DAY_MS)
    one, two = k.appoint(), k.appoint(k.stranger)
    k.log.wait(3 * DAY_MS)
    body = k.log.grant_body(two.account, 300, sensitive=True, purposes=["FAMRQT"], actions=["list", "read", "read_history"])  # fmt: skip
    assert k.act(one, "access.granted", body, v=3) == "appended"
    opened = reading(k.private, "FAMRQT")
    assert k.read(two, k.private) == "appended"
    assert k.log.answer(two, "record.opened", opened, k.pat) == NO
    for days in (2, 5):
        k.log.wait(midnight(k.log.now + days * DAY_MS) - k.log.now)
        assert k.log.answer(two, "record.opened", opened, k.pat) == NO
        assert k.log.answer(two, "history.opened", {"purpose": "FAMRQT"}, k.pat) == NO
    audited(k.log)


def test_what_a_guardian_granted_covers_what_they_have(k: Kin) -> None:
    """What is private to the minor from the day on which they are old enough; all of it until the day on which they are of age."""
    k.minor(teen=5 * DAY_MS, adult=10 * DAY_MS)
    bare = k.log.upload(k.doctor, k.pat, minor_private=True)
    guardian = k.appoint()
    k.log.wait(3 * DAY_MS)
    body = k.log.grant_body(k.reader.account, 300, sensitive=True)
    assert k.act(guardian, "access.granted", body, v=3) == "appended"
    records = {"open": k.lab, "bare": bare, "private": k.private}

    def read() -> dict[str, str]:
        opened = {name: reading(record) for name, record in records.items()}
        return {name: k.log.answer(k.reader, "record.opened", body, k.pat) for name, body in opened.items()}  # fmt: skip

    assert read() == dict.fromkeys(records, "appended")
    teen, adult = (midnight(k.log.now + days * DAY_MS) for days in (2, 7))
    k.log.wait(teen - k.log.now)
    assert read() == {"open": "appended", "bare": NO, "private": NO}
    k.log.wait(adult - k.log.now)
    assert read() == dict.fromkeys(records, NO)
    audited(k.log)


def test_what_a_relative_appends_is_the_patients(k: Kin) -> None:
    relative = k.linked(actions=["append", "list", "read"])
    body = k.log.record_body()
    assert k.act(relative, "record.uploaded", body, v=2) == "appended"
    row = k.log.batch.look.get(Record, body["record"])
    assert row is not None
    assert (row.author, row.hospital) == (k.pat.account, "")
    assert k.log.entries[-1].event.actor == relative.account
    retracted = {"purpose": "PATRQT", "record": body["record"]}
    assert k.act(relative, "record.retracted", retracted) == "deny S1 role"
    assert k.log.answer(k.pat, "record.retracted", retracted) == "appended"
    audited(k.log)


@pytest.mark.parametrize(
    "kind",
    ["relative.invited", "reader.excluded", "chart.exported", "record.hidden", "patient.corrected"],
)
def test_never_delegated(k: Kin, kind: str) -> None:
    """Naming representatives, excluding, exporting, hiding are nobody's but the patient's."""
    relative = k.linked(actions=["append", "grant", "list", "read", "read_history"], sensitive=True)
    named = {"purpose": "PATRQT", "record": k.lab.event.body["record"]}
    bodies: dict[str, dict[str, Any]] = {
        "relative.invited": k.invitation(2),
        "reader.excluded": {"purpose": "PATRQT", "reader": k.reader.account},
        "chart.exported": {"count": 0, "purpose": "PATRQT", "root": b64encode(bytes(32))},
        "record.hidden": named,
        "patient.corrected": {"adult": True, "patient": k.pat.patient, "purpose": "PATRQT"},
    }
    assert k.act(relative, kind, bodies[kind]) == "deny S1 role"


# --- invitations


def test_an_invitation_counts_once(k: Kin) -> None:
    invited = k.invite()
    assert k.link(invited) == "appended"
    assert k.link(invited) == NO
    assert k.link(invited, who=k.stranger) == NO
    assert k.read(k.stranger.acting("relative"), k.lab) == "deny S0 invalid"
    audited(k.log)


def test_an_invitation_ends(k: Kin) -> None:
    """Half-open, too."""
    invited = k.invite(until=format_time(k.log.now + HOUR_MS))
    k.log.wait(HOUR_MS)
    assert k.link(invited) == NO
    again = k.invite(2, until=format_time(k.log.now + HOUR_MS))
    k.log.wait(HOUR_MS - 1)
    assert k.link(again, 2) == "appended"


def test_an_invitation_is_withdrawn(k: Kin) -> None:
    invited = k.invite()
    withdrawn = {"invitation": invited.event.id, "purpose": "PATRQT"}
    assert k.log.answer(k.person.acting("person"), "relative.unlinked", withdrawn, k.pat) == NO
    assert k.log.answer(k.pat, "relative.unlinked", withdrawn) == "appended"
    assert k.log.answer(k.pat, "relative.unlinked", withdrawn) == "conflict"
    assert k.link(invited) == NO


def test_the_excluded_are_not_linked(k: Kin) -> None:
    """And are told no more than if it had been withdrawn, whether their code was right or not; the log has the reason."""
    invited = k.invite()
    excluded = {"purpose": "PATRQT", "reader": k.person.account}
    k.log.do(k.pat, "reader.excluded", excluded)
    for number in (1, 2):
        assert k.link(invited, number) == "deny S7 excluded"
    k.log.do(k.pat, "reader.included", excluded)
    assert k.link(invited) == "appended"
    k.log.do(k.pat, "reader.excluded", excluded)
    assert k.read(k.person.acting("relative"), k.lab) == "deny S0 invalid"  # as if unlinked
    k.log.do(k.pat, "reader.included", excluded)
    assert k.read(k.person.acting("relative"), k.lab) == "deny S0 invalid"
    audited(k.log)


WRONG: dict[str, tuple[Callable[[Kin, Entry], str], str]] = {
    "another code": (lambda k, invited: k.link(invited, 2), "invitation"),
    "another account": (
        lambda k, invited: k.link(invited, account=k.stranger.account),
        "invitation",
    ),
    "another's proof": (
        lambda k, invited: k.link(invited, proof=b64encode(bytes(64))),
        "invitation",
    ),
    "no invitation": (lambda k, invited: k.link(invited, invitation=k.lab.event.id), NO),
    "the patient": (lambda k, invited: k.link(invited, who=k.pat.acting("person")), "role"),
}


@pytest.mark.parametrize("name", WRONG)
def test_who_is_not_linked(k: Kin, name: str) -> None:
    act, answer = WRONG[name]
    assert act(k, k.invite()) == answer


BENT: dict[str, Callable[[Kin], dict[str, Any]]] = {
    "31 days": lambda k: {"until": format_time(k.log.now + 30 * DAY_MS + 1), "end": format_time(k.log.now + 60 * DAY_MS)},
    "over before": lambda k: {"until": format_time(k.log.now)},
    "longer than its terms": lambda k: {"end": format_time(k.log.now + DAY_MS)},
    "longer than the policy lets": lambda k: {"end": format_time(k.log.now + 400 * DAY_MS)},
    "records in a full scope": lambda k: {"records": [k.lab.event.body["record"]]},
    "sensitive in part": lambda k: {"scope": "selective", "records": [k.lab.event.body["record"]], "sensitive": True},
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_invitations_that_are_refused(k: Kin, name: str) -> None:
    body = k.invitation(**BENT[name](k))
    assert k.log.answer(k.pat, "relative.invited", body) == "malformed"


def test_an_end_names_a_relative_or_an_invitation(k: Kin) -> None:
    assert k.link(k.invite()) == "appended"
    relative, waiting = {"account": k.person.account}, {"invitation": k.invite(2).event.id}
    neither = {"purpose": "PATRQT"}
    for named, answer in (
        (relative | waiting, "malformed"), ({}, "conflict"), (relative, "appended"), (waiting, "appended"),
    ):  # fmt: skip
        assert k.log.answer(k.pat, "relative.unlinked", neither | named) == answer


def test_no_relative_withdraws_an_invitation(k: Kin) -> None:
    assert k.link(k.invite()) == "appended"
    body = {"invitation": k.invite(2).event.id, "purpose": "FAMRQT"}
    answer = k.log.answer(k.person.acting("person"), "relative.unlinked", body, k.pat)
    assert answer in ("role", NO)


def test_records_of_others_are_not_in_an_invitation(k: Kin) -> None:
    body = k.invitation(scope="selective", records=[k.log.id("rc")])
    assert k.log.answer(k.pat, "relative.invited", body) == "unknown"


def test_invitations_that_wait_are_few(k: Kin) -> None:
    for number in range(16):
        k.invite(number)
    assert k.log.answer(k.pat, "relative.invited", k.invitation(16)) == "conflict"
    k.log.wait(days=8)
    assert k.log.answer(k.pat, "relative.invited", k.invitation(16)) == "appended"


@pytest.mark.parametrize("by", ["pat", "person"])
def test_either_unlinks(k: Kin, by: str) -> None:
    """From the entry on; a stranger doesn't, and learns nothing."""
    relative = k.linked()
    body = {"account": relative.account, "purpose": "PATRQT"}
    assert k.log.answer(k.stranger.acting("person"), "relative.unlinked", body, k.pat) == NO
    who = k.pat if by == "pat" else k.person.acting("person")
    assert k.log.answer(who, "relative.unlinked", body, k.pat) == "appended"
    assert k.read(relative, k.lab) == "deny S0 invalid"
    again = k.log.answer(who, "relative.unlinked", body, k.pat)
    assert again == ("conflict" if by == "pat" else NO)
    assert k.link(k.invite(3), 3) == "appended"
    assert k.read(relative, k.lab) == "appended"
    audited(k.log)


def test_nobody_is_linked_to_the_dead(k: Kin) -> None:
    invited = k.invite()
    dead = {"adult": True, "deceased": True, "patient": k.pat.patient, "purpose": "TREAT"}
    k.log.do(k.admin, "patient.corrected", dead, k.pat)
    assert k.link(invited) == "deny S2 deceased"


# --- guardians


def test_a_guardian_counts_after_72_hours(k: Kin) -> None:
    """To the millisecond; sees all of a child's chart, appends and grants."""
    k.minor()
    guardian = k.appoint()
    appointed = k.log.entries[-1].link.seq
    k.log.wait(72 * HOUR_MS - 1)
    assert k.read(guardian, k.lab) == NO
    k.log.wait(1)
    assert k.read(guardian, k.lab) == "appended"
    assert appointed in k.last()["basis"]
    assert k.read(guardian, k.private) == "appended"
    assert k.act(guardian, "history.opened", {"purpose": "FAMRQT"}) == "appended"
    assert k.act(guardian, "record.uploaded", k.log.record_body(), v=2) == "appended"
    granted = k.log.grant_body(k.reader.account, sensitive=True)
    assert k.act(guardian, "access.granted", granted, v=3) == "appended"
    assert k.log.answer(k.reader, "record.opened", reading(k.private), k.pat) == "appended"
    audited(k.log)


def test_a_second_hospital_confirms(k: Kin) -> None:
    """One with a record of the child, and not the one that appointed."""
    k.minor()
    guardian = k.appoint()
    assert k.guardian("admin", "confirmed", guardian.account) == NO
    assert k.guardian("other", "confirmed", guardian.account) == NO
    k.log.upload(k.reader, k.pat)
    assert k.read(guardian, k.lab) == NO
    assert k.guardian("other", "confirmed", guardian.account) == "appended"
    confirmed = k.log.entries[-1].link.seq
    assert k.read(guardian, k.lab) == "appended"
    assert confirmed in k.last()["basis"]
    assert k.guardian("other", "confirmed", guardian.account) == "conflict"
    audited(k.log)


def test_teen_from_flips_at_the_instant(k: Kin) -> None:
    """The guardian loses what is private or hidden, and the history; the minor acts from then on."""
    child = k.minor(teen=10 * DAY_MS)
    guardian = k.appoint()
    k.log.wait(midnight(k.log.entries[-1].time + 10 * DAY_MS) - k.log.now - 1)
    assert k.read(guardian, k.private) == "appended"
    hide = {"purpose": "PATRQT", "record": k.lab.event.body["record"]}
    assert k.log.answer(child, "record.hidden", hide) == NO
    k.log.wait(1)
    assert k.read(guardian, k.private) == NO
    assert k.act(guardian, "history.opened", {"purpose": "FAMRQT"}) == NO
    assert k.read(guardian, k.lab) == "appended"
    granted = k.log.grant_body(k.reader.account, sensitive=True)
    assert k.act(guardian, "access.granted", granted, v=3) == "role"
    assert k.log.answer(child, "record.hidden", hide) == "appended"
    assert k.read(guardian, k.lab) == NO
    excluded = {"purpose": "PATRQT", "reader": guardian.account}
    assert k.log.answer(child, "reader.excluded", excluded) == "appended"
    audited(k.log)


def test_adult_from_ends_every_guardianship(k: Kin) -> None:
    k.minor(teen=5 * DAY_MS, adult=10 * DAY_MS)
    guardian = k.appoint()
    k.log.wait(midnight(k.log.entries[-1].time + 10 * DAY_MS) - k.log.now - 1)
    assert k.read(guardian, k.lab) == "appended"
    k.log.wait(1)
    assert k.read(guardian, k.lab) == NO
    assert k.guardian("admin", "appointed", k.stranger.account) == "deny S2 of_age"
    audited(k.log)


def test_of_an_adult_nobody_is_a_guardian(k: Kin) -> None:
    """That the patient is of age is told to the hospital that registered alone."""
    assert k.guardian("admin", "appointed", k.person.account) == "deny S2 of_age"
    assert k.guardian("other", "appointed", k.person.account) == NO


def test_who_appoints(k: Kin) -> None:
    """The hospital that registered, with a record of the child; not its own staff, not the child, not twice."""
    k.minor()
    colleague = k.log.doctor(k.admin)
    for by, account, answer in (
        ("other", k.person.account, NO),
        ("doctor", k.person.account, "deny S1 role"),
        ("admin", colleague.account, "role"),
        ("admin", k.pat.account, "role"),
        ("admin", k.log.id("ac"), "unknown"),
        ("admin", k.person.account, "appended"),
        ("admin", k.person.account, "conflict"),
    ):
        assert k.guardian(by, "appointed", account) == answer, (by, account)
    empty = k.log.patient(
        k.admin, teen_from=format_time(midnight(k.log.now)), adult_from=format_time(midnight(k.log.now + YEAR))
    )  # fmt: skip
    k.pat = empty
    assert k.guardian("admin", "appointed", k.person.account) == NO


def test_a_guardian_of_the_dead_is_not_appointed(k: Kin) -> None:
    child = k.minor()
    ages = {"adult_from": "2046-01-01T00:00:00.000Z", "teen_from": "2040-01-01T00:00:00.000Z"}
    dead = {"deceased": True, "patient": child.patient, "purpose": "TREAT"} | ages
    k.log.do(k.admin, "patient.corrected", dead, child)
    assert k.guardian("admin", "appointed", k.person.account) == "deny S2 deceased"


def test_two_guardians_against_each_other(k: Kin) -> None:
    """Whoever counts may object to one who doesn't yet; neither excludes or ends the other. Two hospitals decide, or the first."""
    k.minor()
    first = k.appoint()
    assert k.guardian("", "objected", first.account, k.person.acting("person")) == NO
    k.log.wait(hours=72)
    second = k.appoint(k.stranger)
    excluded = {"purpose": "FAMRQT", "reader": first.account}
    assert k.act(first, "reader.excluded", excluded | {"reader": second.account}) == "deny S1 role"
    assert k.guardian("", "objected", second.account, first.acting("person")) == "appended"
    objected = k.log.entries[-1].link.seq
    k.log.wait(hours=80)
    assert k.read(second, k.lab) == NO
    assert k.guardian("", "objected", first.account, second.acting("person")) == NO
    k.log.upload(k.reader, k.pat)
    assert k.guardian("other", "confirmed", second.account) == "appended"
    assert k.read(second, k.lab) == "appended"
    assert objected not in k.last()["basis"]
    for one, other in ((first, second), (second, first)):
        assert k.guardian("", "objected", other.account, one.acting("person")) == NO
        assert k.guardian("", "ended", other.account, one.acting("person")) == NO
        assert k.read(one, k.lab) == "appended"
    assert k.guardian("other", "ended", second.account) == NO
    assert k.guardian("admin", "ended", second.account) == "appended"
    assert k.read(second, k.lab) == "deny S0 invalid"
    assert k.guardian("", "ended", first.account, first.acting("person")) == "appended"
    assert k.read(first, k.lab) == "deny S0 invalid"
    audited(k.log)


def test_a_minor_who_is_old_enough_objects(k: Kin) -> None:
    child = k.minor(teen=DAY_MS)
    guardian = k.appoint()
    assert k.guardian("", "objected", guardian.account, child) == NO
    k.log.wait(days=2)
    assert k.guardian("", "objected", guardian.account, child) == "appended"
    k.log.wait(days=3)
    assert k.read(guardian, k.lab) == NO


# --- colleagues


def test_a_colleague_uses_what_was_granted_to_a_doctor_on_leave(k: Kin) -> None:
    """No more than that one could, on both entries; also while that one may not any more."""
    colleague = k.log.doctor(k.other)
    k.log.grant(k.pat, k.reader.account)
    granted = k.log.entries[-1].link.seq
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.give(k.reader, colleague) == "appended"
    given = k.log.entries[-1].link.seq
    assert k.read(colleague, k.lab, k.reader) == "appended"
    assert (k.last()["rule"], k.last()["basis"]) == ("S10", [granted, given])
    assert k.log.answer(colleague, "record.opened", reading(k.lab), k.pat) == NO
    assert k.read(colleague, k.psy, k.reader) == NO
    assert k.read(colleague, k.lab, k.doctor) == NO
    k.log.do(k.pat, "access.revoked", {"grantee": k.reader.account, "purpose": "PATRQT"})
    assert k.read(colleague, k.lab, k.reader) == NO
    audited(k.log)


def test_a_delegation_is_half_open_and_ends(k: Kin) -> None:
    colleague = k.log.doctor(k.other)
    k.log.grant(k.pat, k.reader.account)
    k.give(k.reader, colleague, days=1)
    k.log.wait(DAY_MS - 1)
    assert k.read(colleague, k.lab, k.reader) == "appended"
    k.log.wait(1)
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.give(k.reader, colleague) == "appended"
    ended = {"account": colleague.account}
    assert k.log.answer(colleague, "delegation.ended", ended, colleague.hospital) == "unknown"
    assert k.log.answer(k.reader, "delegation.ended", ended, k.reader.hospital) == "appended"
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.log.answer(k.reader, "delegation.ended", ended, k.reader.hospital) == "unknown"
    audited(k.log)


@pytest.mark.parametrize("leaver", ["giver", "colleague"])
def test_who_comes_back_delegates_anew(k: Kin, leaver: str) -> None:
    """As they are in none of their old groups any more."""
    colleague = k.log.doctor(k.other)
    k.log.grant(k.pat, k.reader.account)
    assert k.give(k.reader, colleague) == "appended"
    body = {"account": (k.reader if leaver == "giver" else colleague).account}
    for kind in ("doctor.ended", "doctor.approved"):
        k.log.do(k.other, kind, body, k.other.hospital)
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == "appended"
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.give(k.reader, colleague) == "appended"
    assert k.read(colleague, k.lab, k.reader) == "appended"
    audited(k.log)


def test_no_guardian_is_of_the_hospitals_own_making(k: Kin) -> None:
    """It chose the account's first key, and could act as the guardian itself."""
    k.minor()
    puppet = k.log.account(k.admin)
    assert k.guardian("admin", "appointed", puppet.account) == "role"
    assert k.guardian("admin", "appointed", k.log.account(k.other).account) == "appended"


def test_who_is_said_to_have_died_takes_back_what_they_gave(k: Kin) -> None:
    """A hospital may be wrong, and a doctor there may lie to keep an access."""
    granted = k.log.grant_body(k.reader.account)
    assert k.log.answer(k.pat, "access.granted", granted, v=2) == "appended"
    dead = {"adult": True, "deceased": True, "patient": k.pat.patient, "purpose": "TREAT"}
    k.log.do(k.admin, "patient.corrected", dead, k.pat)
    again = k.log.grant_body(k.reader.account)
    assert k.log.answer(k.pat, "access.granted", again, v=2) == "deny S2 deceased"
    assert k.log.answer(k.pat, "emergency.configured", {"ceiling": "restricted", "purpose": "PATRQT"}) == "deny S2 deceased"  # fmt: skip
    revoked = {"grantee": k.reader.account, "purpose": "PATRQT"}
    assert k.log.answer(k.pat, "access.revoked", revoked, v=2) == "appended"
    assert k.log.answer(k.pat, "emergency.configured", {"ceiling": "off", "purpose": "PATRQT"}) == "appended"  # fmt: skip
    audited(k.log)


def test_a_limited_grant_is_used_up_by_the_colleague(k: Kin) -> None:
    colleague = k.log.doctor(k.other)
    k.log.grant(k.pat, k.reader.account, uses=1)
    seq = k.log.entries[-1].link.seq
    k.give(k.reader, colleague)
    assert k.read(colleague, k.lab, k.reader) == "appended"
    assert [g.used for g in k.log.batch.look.all(Grant).values() if g.seq == seq] == [1]
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.log.answer(k.reader, "record.opened", reading(k.lab), k.pat) == NO
    audited(k.log)


@pytest.mark.parametrize("gone", ["suspended", "excluded"])
def test_whoever_gave_it_must_still_be_let_in(k: Kin, gone: str) -> None:
    """Also whoever stands in between; the colleague isn't told why."""
    middle, colleague = k.log.doctor(k.other), k.log.doctor(k.other)
    k.log.grant(k.pat, k.reader.account)
    k.give(k.reader, middle)
    k.give(middle, colleague)
    assert k.read(colleague, k.lab, k.reader) == "appended"
    if gone == "suspended":
        k.log.do(k.other, "doctor.suspended", {"account": middle.account})
    else:
        k.log.do(k.pat, "reader.excluded", {"purpose": "PATRQT", "reader": middle.account})
    assert k.read(colleague, k.lab, k.reader) == NO
    audited(k.log)


def test_never_through_three(k: Kin) -> None:
    one, two, three = (k.log.doctor(k.other) for _ in range(3))
    k.log.grant(k.pat, k.reader.account)
    for giver, to in ((k.reader, one), (one, two), (two, three)):
        assert k.give(giver, to) == "appended"
    found = [k.read(who, k.lab, k.reader) for who in (one, two, three)]
    assert found == ["appended", "appended", NO]
    audited(k.log)


def test_what_no_delegation_gives(k: Kin) -> None:
    """Own records, other hospitals, other actions; delegating for another, to oneself, to strangers, for too long."""
    colleague, foreign = k.log.doctor(k.other), k.log.doctor(k.admin)
    k.log.grant(k.pat, k.reader.account, actions=["append", "list", "read"])
    k.give(k.reader, colleague, actions=["list"])
    assert k.act(colleague, "chart.opened", {"purpose": "TREAT"}, k.reader) == "appended"
    assert k.read(colleague, k.lab, k.reader) == NO
    assert k.act(colleague, "record.uploaded", k.log.record_body(), k.reader) == NO
    own = k.log.upload(k.reader, k.pat)
    assert k.read(colleague, own, k.reader) == NO
    for giver, to, bent, answer in (
        (k.reader, foreign, {}, "unknown"),
        (k.reader, k.reader, {}, "role"),
        (k.reader, k.person, {}, "unknown"),
        (k.reader, colleague, {"days": 366}, "malformed"),
        (k.reader, colleague, {"end": format_time(k.log.now)}, "malformed"),
        (k.reader, colleague, {"actions": ["grant"]}, None),
    ):
        if answer is None:
            with pytest.raises(Exception, match="actions"):
                k.give(giver, to, **bent)
        else:
            assert k.give(giver, to, **bent) == answer, bent
    elsewhere = {"account": colleague.account, "actions": ["list"], "end": format_time(k.log.now + DAY_MS), "start": format_time(k.log.now)}  # fmt: skip
    assert k.log.answer(k.reader, "delegation.given", elsewhere, k.admin.hospital) == "stream"
    assert k.log.answer(k.other, "delegation.given", elsewhere, k.other.hospital) == "role"
