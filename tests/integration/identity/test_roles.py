"""Another role of one's own, in place of the session that asks: as sure as that was, on record, once."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from api.app.settings import Settings
from identity import factors
from identity.actors import Caller
from identity.errors import IdentityError, KeyNeeded, NotSignedIn, SecondFactorNeeded, StepUpNeeded
from identity.own import OwnRole, own_roles
from identity.proving import Proof
from identity.roles import take_role
from identity.sessions import STRONG_MS, Session, caller_of
from identity.signing_in import SignIn, sign_in_by_password, step_up
from storage.ledger import Ledger
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD, reopened


class Doctor:
    """A doctor with a password, who shows recovery codes."""

    def __init__(self, fixture: LedgerFixture) -> None:
        """A password, set by key."""
        self.fixture, self.actor, self.recovery = fixture, fixture.doctor(), list[str]()
        self.caller = self.actor.in_role("person").caller
        factors.set_password(self.ledger, self.caller, PASSWORD, Proof(), "")
        self.wanted = OwnRole("doctor", self.actor.hospital)

    def enrols(self) -> None:
        """Codes, set up by key."""
        totp = pyotp.TOTP(factors.begin_code(self.ledger, self.caller).seed)
        proof = Proof(PASSWORD, totp.at(self.ledger.clock() // 1_000))
        self.recovery = list(factors.confirm_code(self.ledger, self.caller, proof, ""))

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.fixture.ledger

    def signs_in(self) -> Session:
        """As a person, with whatever there is."""
        proof = Proof(PASSWORD, recovery=self.recovery.pop() if self.recovery else "")
        return sign_in_by_password(self.ledger, SignIn(self.actor.account, proof, "person"), "")

    def takes(self, session: Session, role: OwnRole | None = None) -> Session:
        """Another role."""
        return take_role(self.ledger, session.caller, session.token, role or self.wanted)

    def who(self, session: Session) -> Caller:
        """Whose session it is."""
        return caller_of(self.ledger, self.ledger.tokens, session.token)


@pytest.fixture
def doctor(settings: Settings) -> Iterator[Doctor]:
    """On either engine; in the end the log verifies."""
    fixture = LedgerFixture.found(settings)
    yield Doctor(fixture)
    fixture.verify()
    fixture.close()


def test_another_role_takes_the_place(doctor: Doctor) -> None:
    """The one before is over, both entries stand, and the end doesn't move."""
    doctor.enrols()
    before, sessions = doctor.signs_in(), doctor.ledger.credentials.sessions
    assert own_roles(doctor.ledger, before.caller) == (OwnRole("person"), doctor.wanted)
    (old,) = sessions.of(doctor.actor.account)
    after = doctor.takes(before)
    caller = doctor.who(after)
    assert (caller.role, caller.hospital) == ("doctor", doctor.actor.hospital)
    assert caller.session is not None and caller.session.assurance == 2
    with pytest.raises(NotSignedIn):
        doctor.who(before)
    (row,) = sessions.of(doctor.actor.account)
    assert (row.created, row.means) == (old.created, old.means) and row.session != old.session
    stream = f"account/{doctor.actor.account}"
    opened, ended = (
        one.event for one in doctor.ledger.stream(stream, doctor.ledger.head().size)[-2:]
    )
    assert (opened.type.name, opened.body["role"]) == ("session.opened", "doctor")
    assert ended.body == {
        "account": doctor.actor.account, "reason": "replaced", "session": old.session
    }  # fmt: skip


def test_a_password_alone_takes_no_role_of_staff(doctor: Doctor) -> None:
    """As it signs nobody in there."""
    with pytest.raises(SecondFactorNeeded):
        doctor.takes(doctor.signs_in())


def test_what_is_not_taken(doctor: Doctor) -> None:
    """A role that one doesn't hold; in a session by key; by a token that is over."""
    doctor.enrols()
    session = doctor.signs_in()
    elsewhere = OwnRole("doctor", doctor.fixture.north.hospital)
    for role in (OwnRole("operator"), elsewhere, OwnRole("service"), OwnRole("patient")):
        with pytest.raises(NotSignedIn):
            doctor.takes(session, role)
    with pytest.raises(KeyNeeded):
        take_role(doctor.ledger, doctor.actor.caller, session.token, doctor.wanted)
    doctor.takes(session)
    with pytest.raises(NotSignedIn):
        doctor.takes(session)


def test_a_step_up_stays_behind(doctor: Doctor) -> None:
    """What was stepped up is sure by two factors then, and no more: no entry says more of the new one."""
    doctor.enrols()
    session, proof = doctor.signs_in(), Proof(recovery=doctor.recovery.pop())
    strong = step_up(doctor.ledger, session.caller, session.token, proof, "")
    assert strong.caller.session is not None and strong.caller.session.assurance == 3
    caller = doctor.who(doctor.takes(strong))
    assert caller.session is not None and caller.session.assurance == 2


def test_a_stolen_session_stays_in_its_role(tmp_path: Path) -> None:
    """Five minutes after the second factor a role of staff takes it once more; one's own chart doesn't."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    clock, doctor = reopened(fixture), Doctor(fixture)
    doctor.enrols()
    session = doctor.signs_in()
    clock.ahead += STRONG_MS
    with pytest.raises(StepUpNeeded):
        doctor.takes(session)
    proof = Proof(recovery=doctor.recovery.pop())
    strong = step_up(doctor.ledger, session.caller, session.token, proof, "")
    taken = doctor.takes(strong)
    clock.ahead += STRONG_MS
    assert doctor.who(doctor.takes(taken, OwnRole("person"))).role == "person"
    fixture.verify()
    fixture.close()


def test_of_two_at_once_one_takes_it(doctor: Doctor) -> None:
    """A session becomes one other, whoever asks."""
    doctor.enrols()
    session, got = doctor.signs_in(), list[object]()

    def takes() -> None:
        try:
            got.append(doctor.takes(session))
        except IdentityError as error:
            got.append(error)

    threads = [threading.Thread(target=takes) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(isinstance(one, Session) for one in got) == 1, got
    assert len(doctor.ledger.credentials.sessions.of(doctor.actor.account)) == 1
