"""Acts under keys that the service keeps: each rests on a sign-in of the signer's own, by its number in the decision."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.replay import Replay
from identity import sessions
from ledger import signins
from ledger.editions import CONSENT, PEOPLE
from ledger.entry import Entry
from ledger.errors import EventError
from ledger.sequencer import Appended, Denied, Outcome, Proposal
from ledger.signins import SIGN_IN_LASTS_MS, SIGN_INS_KEPT, STEP_UP_LASTS_MS, SignIns
from tests.support.memory_log import MemoryLog, Person, verify_log


@dataclass
class Kept:
    """Two patients whose keys the service keeps, and one who has a key of their own."""

    log: MemoryLog = field(default_factory=MemoryLog)
    means: str = "code"
    """By what sessions are stepped up: a code, in version 1 of the type, or a passkey, in version 2."""

    def __post_init__(self) -> None:
        """Everybody is registered here."""
        self.admin = self.log.admin(self.log.hospital())
        self.service = self.log.service
        self.pat, self.other = self.patient("service"), self.patient("service")
        self.own = self.patient("device")
        self.reader = self.log.doctor(self.admin)

    def patient(self, custody: str) -> Person:
        """A patient whose first key is kept so."""
        body = self.log.patient_body()
        self.log.do(self.admin, "patient.registered", body, body["patient"])
        made = Person(body["account"], self.log.new_key(), "patient", "", body["patient"])
        self.log.register_key(self.admin, made, custody=custody)
        return made

    def sign_in(self, who: Person, assurance: int = 2, **bent: Any) -> tuple[str, int]:
        """A session of somebody's and its entry."""
        session = self.log.id("ss")
        means = "password_code" if assurance == 2 else "password"
        said = {"account": who.account, "assurance": assurance, "means": means, "role": "patient"}
        entry = self.log.do(self.service, "session.opened", said | {"session": session} | bent)
        return session, entry.link.seq

    def step_up(self, who: Person, session: str) -> int:
        """The entry by which it is stepped up."""
        said = {"account": who.account, "means": self.means, "session": session}
        v = 1 if self.means == "code" else 2
        return self.log.do(self.service, "session.stepped_up", said, v=v).link.seq

    def end(self, who: Person, session: str) -> None:
        """Sign out."""
        said = {"account": who.account, "reason": "signed_out", "session": session}
        self.log.do(self.service, "session.ended", said)

    def acts(self, who: Person, session: int | None, grant: bool = False) -> Outcome:
        """Open the own chart, or grant the doctor, in the sign-in of that entry."""
        body = self.log.grant_body(self.reader.account) if grant else {"purpose": "PATRQT"}
        event = self.log.event(who, "access.granted" if grant else "chart.opened", body, who)
        sig = self.log.sign(who, event)
        return self.log.batch.admit(Proposal(event, sig, session=session))

    def said(self, who: Person, session: int | None, grant: bool = False) -> str:
        """What comes of it, and how sure the decision is."""
        found = self.acts(who, session, grant)
        assert isinstance(found, Appended | Denied)
        decision = found.decision if isinstance(found, Denied) else found.entry.decision
        assert decision is not None and decision.get("session") == (
            session if who is not self.own else None
        )
        words = f"{decision['effect']} {decision['rule']} {decision.get('reason', '')}".strip()
        return f"{words} at {decision['assurance']}"


def stepped(c: Kept, ms: int = 0) -> tuple[Person, int, bool]:
    """A grant so long after a step-up."""
    session, _ = c.sign_in(c.pat)
    strong = c.step_up(c.pat, session)
    c.log.wait(ms)
    return c.pat, strong, True


def superseded(c: Kept, ms: int = 0, times: int = 1) -> tuple[Person, int]:
    """An act that names a step-up after which there were others, so long after the last one."""
    session, _ = c.sign_in(c.pat)
    strong = c.step_up(c.pat, session)
    for _ in range(times):
        c.step_up(c.pat, session)
    c.log.wait(ms)
    return c.pat, strong


def ended(c: Kept) -> tuple[Person, int]:
    """An act in a session that was ended."""
    session, seq = c.sign_in(c.pat)
    c.end(c.pat, session)
    return c.pat, seq


def late(c: Kept, ms: int) -> tuple[Person, int]:
    """An act so long after the sign-in."""
    seq = c.sign_in(c.pat)[1]
    c.log.wait(ms)
    return c.pat, seq


CASES: dict[str, tuple[str, Callable[[Kept], tuple[Any, ...]]]] = {
    "in a session of two factors": ("permit S5 at 2", lambda c: (c.pat, c.sign_in(c.pat)[1])),
    "in one by password": ("permit S5 at 1", lambda c: (c.pat, c.sign_in(c.pat, 1)[1])),
    "without a session": ("deny S0 invalid at 1", lambda c: (c.pat, None)),
    "in another account's": ("deny S0 invalid at 1", lambda c: (c.pat, c.sign_in(c.other)[1])),
    "in an ended one": ("deny S0 invalid at 1", ended),
    "in one for another role": (
        "deny S0 invalid at 1", lambda c: (c.pat, c.sign_in(c.pat, role="person")[1])),
    "in an entry that is no sign-in": ("deny S0 invalid at 1", lambda c: (c.pat, 0)),
    "just before its last moment": ("permit S5 at 2", lambda c: late(c, SIGN_IN_LASTS_MS - 1)),
    "at its last moment": ("deny S0 invalid at 1", lambda c: late(c, SIGN_IN_LASTS_MS)),
    "a grant without a step-up": (
        "deny S3 step_up at 2", lambda c: (c.pat, c.sign_in(c.pat)[1], True)),
    "a grant after one": ("permit S5 at 3", stepped),
    "a grant at its end": ("deny S3 step_up at 2", lambda c: stepped(c, STEP_UP_LASTS_MS)),
    "just before that": ("permit S5 at 3", lambda c: stepped(c, STEP_UP_LASTS_MS - 1)),
    "in a step-up that another followed": ("permit S5 at 3", superseded),
    "in one that two followed": ("deny S0 invalid at 1", lambda c: superseded(c, times=2)),
    "in one that is over": (
        "deny S0 invalid at 1", lambda c: superseded(c, STEP_UP_LASTS_MS)),
    "a key of one's own": ("permit S5 at 3", lambda c: (c.own, None, True)),
    "a key of one's own, with a session": ("permit S5 at 3", lambda c: (c.own, c.sign_in(c.own)[1], True)),
}  # fmt: skip


@pytest.mark.parametrize("means", ["code", "passkey"])
@pytest.mark.parametrize("case", CASES)
def test_what_an_act_rests_on(case: str, means: str) -> None:
    """And whoever reads the log judges it alike."""
    expected, make = CASES[case]
    c = Kept(means=means)
    assert c.said(*make(c)) == expected
    replay = Replay()
    for entry in c.log.entries:
        replay.take(entry.raw)
    assert replay.wrong == []
    assert replay.in_sessions == ("session" in (c.log.entries[-1].decision or {}))
    verify_log(c.log)


STEP_UPS = {
    "a code, as before": (CONSENT, 1, "code", "appended"),
    "a code, as now": (CONSENT, 2, "code", "appended"),
    "a passkey": (CONSENT, 2, "passkey", "appended"),
    "a passkey, as before": (CONSENT, 1, "passkey", "EventError"),
    "a password": (CONSENT, 2, "password", "EventError"),
    "a passkey in an edition that doesn't have it": (CONSENT - 1, 2, "passkey", "registry"),
    "a code in that edition": (CONSENT - 1, 1, "code", "appended"),
}


@pytest.mark.parametrize("case", STEP_UPS)
def test_by_what_a_session_is_stepped_up(case: str) -> None:
    """A version says no more than it did, and an edition has no later one's."""
    edition, v, means, expected = STEP_UPS[case]
    c = Kept(MemoryLog(edition=edition))
    said = {"account": c.pat.account, "means": means, "session": c.sign_in(c.pat)[0]}
    try:
        found = c.log.answer(c.service, "session.stepped_up", said, v=v)
    except EventError as error:
        found = type(error).__name__
    assert found == expected


@pytest.mark.parametrize("v", [1, 2])
def test_a_session_is_stepped_up_where_its_account_is_told_of(v: int) -> None:
    c = Kept()
    said = {"account": c.pat.account, "means": "code", "session": c.sign_in(c.pat)[0]}
    assert c.log.answer(c.service, "session.stepped_up", said, c.other.account, v=v) == "stream"


def test_an_altered_session_is_found() -> None:
    """Left out, another's, or put to a key of one's own: the rules don't give such a decision."""
    c = Kept()
    seq, others = c.sign_in(c.pat)[1], c.sign_in(c.other)[1]
    kept, own = c.acts(c.pat, seq), c.acts(c.own, None)
    assert isinstance(kept, Appended) and isinstance(own, Appended)
    for outcome, session in ((kept, None), (kept, others), (own, seq)):
        entry, replay = outcome.entry, Replay()
        for before in c.log.entries[: entry.link.seq]:
            replay.take(before.raw)
        decision = {k: v for k, v in (entry.decision or {}).items() if k != "session"}
        decision |= {} if session is None else {"session": session}
        bent = Entry.make(entry.event, entry.sig, entry.link, entry.time, decision)
        replay.take(bent.raw)
        assert [wrong.seq for wrong in replay.wrong] == [entry.link.seq]


def test_logs_of_earlier_editions_are_judged_as_before() -> None:
    """Such a key had assurance 1 there, and its entries name no sign-in."""
    log = MemoryLog(edition=PEOPLE - 1)
    admin = log.admin(log.hospital())
    body = log.patient_body()
    log.do(admin, "patient.registered", body, body["patient"])
    pat = Person(body["account"], log.new_key(), "patient", "", body["patient"])
    log.register_key(admin, pat, custody="service")
    entry = log.do(pat, "chart.opened", {"purpose": "PATRQT"})
    assert entry.decision is not None
    assert (entry.decision["assurance"], entry.decision.get("session")) == (1, None)


def test_old_sign_ins_are_forgotten() -> None:
    """So that the row stays small: those too old, with the next one; and never more than there is room for."""
    c = Kept()
    c.sign_in(c.pat)
    c.log.wait(SIGN_IN_LASTS_MS)
    for _ in range(SIGN_INS_KEPT + 3):
        last = c.sign_in(c.pat)[1]
    row = c.log.batch.look.get(SignIns, c.pat.account)
    assert row is not None and len(row.sessions) == SIGN_INS_KEPT and row.sessions[-1].seq == last


def test_log_and_service_agree_on_how_long_a_sign_in_lasts() -> None:
    """Also on how many: those that live have room in the log's row."""
    assert signins.SIGN_IN_LASTS_MS == sessions.SESSION_MOST_MS
    assert signins.STEP_UP_LASTS_MS == sessions.STRONG_MS
    assert signins.SIGN_INS_KEPT > sessions.SESSIONS_MOST
