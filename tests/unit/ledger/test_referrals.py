"""Referrals: who sends, answers and takes up what; and that nothing opens but what was accepted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from consent.replay import Replay
from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_X_WING, key_id
from crypto.xwing import PUBLIC_BYTES, ReceivingKey
from ledger.codes import REFERRED_RECORDS
from ledger.entry import Entry
from ledger.errors import EventError
from ledger.exports import export_line, export_root
from ledger.links import REFERRALS_STANDING
from ledger.sequencer import Appended
from ledger.types.accounts import RECEIVING_KEYS
from tests.support.memory_log import SEALED, Body, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople

NO = "deny S12 no_consent"


def line_of(record: Entry) -> bytes:
    body = record.event.body
    return export_line(body["record"], body["version"], body["blob"])


def listed(records: Sequence[Entry]) -> Body:
    lines = sorted(map(line_of, records))
    return {"count": len(lines), "root": b64encode(export_root(lines))}


class Referring(MemoryPeople):
    """And a second hospital with a system that receives, and a doctor."""

    def start(self, care_link: str = "basic") -> None:
        self.log.change_policy(care_link=care_link)
        self.log.wait(days=7)
        self.theirs, self.other_doctor = (
            self.log.system(self.stranger),
            self.log.doctor(self.stranger),
        )
        self.sealing = ReceivingKey(self.log._seed())
        assert self.receive(self.theirs, self.sealing) == "appended"

    def receive(self, system: Person, own: ReceivingKey, **members: Any) -> str:
        body = {
            "account": system.account, "algorithm": "x-wing", "custody": "system", "key": own.id,
            "public_key": b64encode(own.public),
        } | members  # fmt: skip
        return self.log.answer(system.acting("person"), "key.registered", body, system.account, v=2)

    def fresh(self) -> ReceivingKey:
        return ReceivingKey(self.log._seed())

    def body(self, *records: Entry, **members: Any) -> Body:
        chosen = records or (self.record,)
        return listed(chosen) | {
            "key": self.sealing.id, "list": [line.decode() for line in sorted(map(line_of, chosen))], "purpose": "TREAT",
            "to": self.elsewhere, "words": SEALED,
        } | members  # fmt: skip

    def send(self, *records: Entry, by: Person | None = None, **members: Any) -> str:
        body = self.body(*records, **members)
        return self.log.answer(by or self.doctor, "referral.sent", body, self.patient)

    def sent(self, *records: Entry, by: Person | None = None) -> str:
        assert self.send(*records, by=by) == "appended"
        return self.log.entries[-1].event.id

    def say(self, who: Person, done: str, named: str, on: Person | None = None) -> str:
        said = {"purpose": "TREAT", "referral": named}
        return self.log.answer(who, f"referral.{done}", said, on or self.patient)

    def take(self, who: Person, named: str, *records: Entry, **members: Any) -> str:
        chosen = records or (self.record,)
        said = (
            listed(chosen)
            | {"key": self.sealing.id, "purpose": "TREAT", "referral": named}
            | members
        )
        return self.log.answer(who, "referral.taken", said, self.patient)

    def reads(self, who: Person, record: Entry | None = None, purpose: str = "TREAT") -> str:
        said = reading(record or self.record, purpose)
        return self.log.answer(who, "record.opened", said, self.patient)

    def checked(self) -> None:
        """Verifiers and auditors agree with the log."""
        assert verify_log(self.log).size == len(self.log.entries)
        replay = Replay()
        for one in self.log.entries:
            replay.take(one.raw)
        assert replay.wrong == []


@pytest.fixture
def c() -> Referring:
    found = Referring()
    found.start()
    return found


def rule_of(c: Referring) -> tuple[str, list[int]]:
    decision = c.log.entries[-1].decision
    assert decision is not None
    return decision["rule"], decision["basis"]


def test_a_referral_from_its_sending_to_its_taking_up(c: Referring) -> None:
    """Unaccepted it opens nothing; accepted just what it lists, to doctors of its receiver; handed back nothing again."""
    other = c.log.upload(c.doctor, c.patient)
    named = c.sent()
    assert rule_of(c)[0] == "S6"
    assert [c.take(c.theirs, named), c.reads(c.other_doctor)] == [NO, NO]
    assert c.say(c.other_doctor, "accepted", named) == "appended"
    accepted = len(c.log.entries) - 1
    assert rule_of(c)[0] == "S6"
    assert c.say(c.theirs, "accepted", named) == "conflict"
    assert c.take(c.theirs, named) == "appended"
    assert rule_of(c)[0] == "S6" and accepted in rule_of(c)[1]
    assert c.take(c.other_doctor, named) == "appended"
    assert c.reads(c.other_doctor) == "appended"
    assert rule_of(c) == ("S11", [accepted])
    assert c.reads(c.other_doctor, other) == NO
    assert c.reads(c.other_doctor, purpose="HPAYMT") == NO
    looked = c.log.outcome(c.other_doctor, "chart.opened", {"purpose": "TREAT"}, c.patient)
    assert isinstance(looked, Appended)  # what is listed is what is read
    assert [one.record for one in looked.shown] == [c.record.event.body["record"]]
    assert c.say(c.theirs, "declined", named) == "appended"
    assert [c.take(c.theirs, named), c.reads(c.other_doctor)] == [NO, NO]
    for done in ("accepted", "declined"):
        assert c.say(c.theirs, done, named) == "conflict"
    c.checked()


def test_a_declined_one_opens_nothing(c: Referring) -> None:
    named = c.sent()
    assert c.say(c.other_doctor, "declined", named) == "appended"
    assert c.say(c.other_doctor, "accepted", named) == "conflict"
    assert [c.take(c.theirs, named), c.reads(c.other_doctor)] == [NO, NO]
    c.checked()


def test_what_is_sensitive_travels_and_is_never_shown_by_the_service(c: Referring) -> None:
    several = [
        c.log.upload(c.doctor, c.patient, **members)
        for members in (
            {"confidentiality": "restricted"},
            {"sensitive": True, "labels": ["l_00000000000000000000000001"]},
        )
    ]
    named = c.sent(*several)
    assert c.say(c.theirs, "accepted", named) == "appended"
    assert [c.reads(c.other_doctor, one) for one in several] == [NO, NO]
    assert c.take(c.theirs, named, *several) == "appended"


def test_the_policy_may_let_it_show_nothing() -> None:
    """By the receiver's own key it opens all the same."""
    off = Referring()
    off.start("off")
    named = off.sent()
    assert off.say(off.theirs, "accepted", named) == "appended"
    assert off.reads(off.other_doctor) == NO
    assert off.take(off.theirs, named) == "appended"


def test_only_ones_own_that_may_travel(c: Referring) -> None:
    foreign = c.log.upload(c.other_doctor, c.patient)
    another = c.log.upload(c.doctor, c.log.patient(c.admin))
    assert c.send(foreign) == "unknown"
    assert c.send(c.record, foreign) == "unknown"
    assert c.send(another) == "unknown"
    line = c.log.id("rc"), 1, c.log.id("bl")
    lines = [export_line(*line)]
    made_up: Body = {"list": [lines[0].decode()], "root": b64encode(export_root(lines))}
    assert c.send(**made_up) == "unknown"
    body = c.record.event.body
    for version, blob in ((2, body["blob"]), (1, c.log.id("bl"))):
        lines = [export_line(body["record"], version, blob)]
        assert c.send(list=[lines[0].decode()], root=b64encode(export_root(lines))) == "unknown"
    hide = {"purpose": "PATRQT", "record": body["record"]}
    assert c.log.answer(c.patient, "record.hidden", hide, c.patient) == "appended"
    assert c.send() == "unknown"
    assert c.log.answer(c.patient, "record.shown", hide, c.patient) == "appended"
    retract = {"purpose": "TREAT", "record": body["record"]}
    c.log.upload(c.doctor, c.patient)
    c.sent()
    assert c.log.answer(c.doctor, "record.retracted", retract, c.patient) == "appended", retract
    assert c.send() == "unknown"


@pytest.mark.parametrize("who", ["admin", "patient", "stranger", "operator"])
def test_who_sends(c: Referring, who: str) -> None:
    assert c.send(by=getattr(c, who)) == "deny S1 role"


def test_a_hospital_without_a_record_refers_none(c: Referring) -> None:
    assert c.send(by=c.other_doctor, to=c.hospital) == NO
    assert c.send(by=c.system) == "appended"


def test_list_count_and_root_fit(c: Referring) -> None:
    second = c.log.upload(c.doctor, c.patient)
    good = c.body(c.record, second)
    for bent in (
        {"count": 1}, {"root": listed([c.record])["root"]}, {"list": good["list"][:1]}, {"to": c.hospital},
    ):  # fmt: skip
        assert c.log.answer(c.doctor, "referral.sent", good | bent, c.patient) == "malformed", bent
    for one in (
        good["list"][::-1],
        [good["list"][0]] * 2,
    ):  # of what isn't of its form there is no event at all
        with pytest.raises(EventError, match="ascending"):
            c.send(list=one)
    assert c.log.answer(c.doctor, "referral.sent", good, c.patient) == "appended"


def test_as_many_as_fit_into_an_event(c: Referring) -> None:
    """With the longest words, too."""
    lines = sorted(export_line(c.log.id("rc"), 99, c.log.id("bl")) for _ in range(REFERRED_RECORDS))
    longest: Body = {
        "count": len(lines),
        "list": [x.decode() for x in lines],
        "root": b64encode(export_root(lines)),
        "words": "A" * 5_596,
    }
    assert c.send(**longest) == "unknown"


def test_a_receiver_without_a_key_gets_none(c: Referring) -> None:
    bare = c.log.hospital()
    c.log.system(c.log.admin(bare))
    assert c.send(to=bare) == "key"
    own = c.fresh()
    assert c.receive(c.system, own) == "appended"
    for key in (own.id, c.theirs.key.id, c.fresh().id):
        assert c.send(key=key) == "key", key
    assert (
        c.revoke(c.theirs.acting("person"), c.theirs.holding(c.theirs.key), key=c.sealing.id)
        == "appended"
    )
    assert c.send() == "key"


def test_it_is_sealed_for_a_key_that_counts_now(c: Referring) -> None:
    """One that was revoked gets nothing; one that came since does."""
    named, old, new = c.sent(), c.sealing, c.fresh()
    assert c.say(c.theirs, "accepted", named) == "appended"
    assert c.receive(c.theirs, new) == "appended"
    assert c.take(c.theirs, named, key=new.id) == "appended"
    assert c.revoke(c.theirs.acting("person"), c.theirs, key=old.id) == "appended"
    assert c.take(c.theirs, named, key=old.id) == "key"
    mine = c.fresh()
    assert c.receive(c.system, mine) == "appended"
    for key in (mine.id, c.theirs.key.id, c.fresh().id):
        assert c.take(c.theirs, named, key=key) == "key", key
    assert c.log.answer(c.stranger, "system.ended", {"account": c.theirs.account}) == "appended"
    assert c.take(c.other_doctor, named, key=new.id) == "key"


def test_the_excluded_neither_answer_nor_take_up(c: Referring) -> None:
    """S7 stands before S11, and S6 knows of it; to the asker it is as if there were none."""
    named, later = c.sent(), c.sent()
    assert c.say(c.theirs, "accepted", named) == "appended"
    for reader in (c.elsewhere, c.other_doctor.account):
        excluded = {"purpose": "PATRQT", "reader": reader}
        assert c.log.answer(c.patient, "reader.excluded", excluded, c.patient) == "appended"
        out = "deny S7 excluded"
        assert c.say(c.other_doctor, "accepted", later) == out
        assert c.say(c.other_doctor, "declined", later) == out
        assert [c.take(c.other_doctor, named), c.reads(c.other_doctor)] == [out, out]
        assert c.send() == "appended"  # who sends isn't told
        assert c.log.answer(c.patient, "reader.included", excluded, c.patient) == "appended"
    assert c.say(c.other_doctor, "accepted", later) == "appended"
    c.checked()


def test_nobody_elses(c: Referring) -> None:
    named, other = c.sent(), c.log.patient(c.admin)
    c.log.upload(c.doctor, other)
    for who in (c.doctor, c.system):
        assert c.say(who, "accepted", named) == NO
        assert c.take(who, named) == NO
    for done in ("accepted", "declined"):
        assert c.say(c.theirs, done, named, on=other) == NO
        assert c.say(c.theirs, done, c.record.event.id) == NO
        assert c.say(c.patient, done, named) == "deny S1 role"
        assert c.say(c.stranger, done, named) == "deny S1 role"
    assert c.say(c.theirs, "accepted", named) == "appended"
    assert c.take(c.stranger, named) == "deny S1 role"
    assert c.take(c.patient, named) == "deny S1 role"


def test_what_may_travel_no_more_stays_behind(c: Referring) -> None:
    """Hidden, retracted or erased since: it is left out, and count and root are those of the rest."""
    second = c.log.upload(c.doctor, c.patient)
    named = c.sent(c.record, second)
    assert c.say(c.theirs, "accepted", named) == "appended"
    assert c.take(c.theirs, named) == "malformed"
    hide = {"purpose": "PATRQT", "record": second.event.body["record"]}
    assert c.log.answer(c.patient, "record.hidden", hide, c.patient) == "appended"
    assert c.take(c.theirs, named, c.record, second) == "malformed"
    assert c.take(c.theirs, named) == "appended"
    hide = {"purpose": "PATRQT", "record": c.record.event.body["record"]}
    assert c.log.answer(c.patient, "record.hidden", hide, c.patient) == "appended"
    assert c.reads(c.other_doctor) == NO
    assert c.take(c.theirs, named) == "malformed"
    assert c.take(c.theirs, named, c.record, second) == "malformed"


def test_it_answers_who_asked_the_hospital(c: Referring) -> None:
    """By a referral to the asker's own hospital, of the patient asked about, and of one's own."""
    asked = {
        "actions": ["read"], "days": 30, "hospital": c.hospital, "purpose": "TREAT", "records": [c.record.event.body["record"]],
        "scope": "selective", "words": SEALED,
    }  # fmt: skip
    request = c.log.do(c.other_doctor, "access.requested", asked, c.patient).event.id
    named = c.sent()

    def close(by: str) -> str:
        said = {"by": by, "purpose": "HOPERAT", "request": request, "verdict": "referred"}
        return c.log.answer(c.admin, "access.closed", said, c.patient)

    third = c.log.hospital()
    there = c.log.system(c.log.admin(third))
    key = c.fresh()
    assert c.receive(there, key) == "appended"
    assert c.send(to=third, key=key.id) == "appended"
    for other in (request, c.record.event.id, c.log.entries[-1].event.id):
        assert close(other) == "unknown"
    assert close(named) == "appended"
    c.checked()


def test_a_taking_up_is_used_once(c: Referring) -> None:
    named = c.sent()
    assert c.say(c.theirs, "accepted", named) == "appended"
    said = listed([c.record]) | {"key": c.sealing.id, "purpose": "TREAT", "referral": named}
    event = c.log.event(c.theirs, "referral.taken", said, c.patient)
    first = c.log.entry(c.log.admit(event, c.log.sign(c.theirs, event)))
    again = c.log.admit(event, c.log.sign(c.theirs, event))
    assert (
        c.log.entry(again).link.seq == first.link.seq and len(c.log.entries) == first.link.seq + 1
    )


def test_a_few_stand_at_a_time(c: Referring) -> None:
    for _ in range(REFERRALS_STANDING):
        last = c.sent()
    assert c.send() == "conflict"
    assert c.say(c.theirs, "declined", last) == "appended"
    assert c.send() == "appended"


def test_a_key_to_receive_with(c: Referring) -> None:
    """Its account's own signing key vouches, in its own name; it is one that something can be sealed to."""
    key = c.fresh()
    assert c.receive(c.theirs, key, key=c.fresh().id) == "key"
    assert c.receive(c.theirs, key, account=c.system.account) == "stream"
    body = {
        "account": c.system.account, "algorithm": "x-wing", "custody": "system", "key": key.id,
        "public_key": b64encode(key.public),
    }  # fmt: skip
    answer = c.log.answer(c.theirs.acting("person"), "key.registered", body, c.system.account, v=2)
    assert answer == "key"
    for public in (b"\xff" * PUBLIC_BYTES, key.public[:1_184] + bytes(32)):
        named = {"key": key_id(ALGORITHM_X_WING, public), "public_key": b64encode(public)}
        assert c.receive(c.theirs, key, **named) == "key"
    for _ in range(RECEIVING_KEYS - 1):
        last = c.fresh()
        assert c.receive(c.theirs, last) == "appended"
    assert c.receive(c.theirs, last) == "duplicate_id"
    assert c.receive(c.theirs, key) == "conflict"
    assert c.revoke(c.theirs.acting("person"), c.theirs, key=last.id) == "appended"
    assert c.receive(c.theirs, key) == "appended"
    c.checked()


def test_it_signs_nothing(c: Referring) -> None:
    event = c.log.event(c.theirs, "referral.declined", {"purpose": "TREAT", "referral": c.sent()}, c.patient)  # fmt: skip
    sig = replace(c.log.sign(c.theirs, event), key=c.sealing.id)
    assert getattr(c.log.admit(event, sig), "code", "") == "key"
