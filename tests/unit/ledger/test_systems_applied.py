"""A hospital that applies with its system's key: who proves what, and what the operator can add for it."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from crypto.encoding import b64encode
from ledger.directory import Account, HospitalApplication, Key, Member
from ledger.editions import CONSENT
from ledger.messages import possession_message
from tests.support.memory_log import SEALED, MemoryLog, Person
from tests.support.memory_people import MemoryPeople
from tests.unit.ledger.test_attempts import good

TOLD = {"name": "Westklinik", "time_zone": "Europe/Berlin"}


@dataclass
class Applied:
    """Somebody, a hospital that isn't there yet, and the system that it is to have."""

    c: MemoryPeople
    who: Person
    hospital: str
    system: Person

    @property
    def log(self) -> MemoryLog:
        """The log."""
        return self.c.log

    def applies(self, **bent: Any) -> str:
        """The answer to the application."""
        made = self.log.key_body(self.system)
        body = {
            "contact": SEALED,
            "hospital": self.hospital,
            "system": self.system.account,
            **TOLD,
            "name": SEALED,
        }
        body |= {name: made[name] for name in ("key", "proof", "public_key")} | bent
        return self.log.answer(self.who, "hospital.applied", body, v=2)

    def approved(self, appoint: bool = True) -> "Applied":
        """The hospital is approved, and whoever applied its admin."""
        body = {"hospital": self.hospital, **TOLD}
        assert self.log.answer(self.c.operator, "hospital.approved", body) == "appended"
        if appoint:
            first = {"account": self.who.account}
            self.log.do(self.c.operator, "admin.appointed", first, self.hospital)
        return self

    def registered(self, key: Person | None = None) -> "Applied":
        """The operator registers the system's account, and a key: the one that was applied with, or another."""
        self.log.do(self.c.operator, "account.registered", {"account": self.system.account})
        self.log.register_key(self.c.operator, key or self.system, custody="system")
        return self

    def adds(self, account: str = "", by: Person | None = None, hospital: str = "") -> str:
        """The answer to the operator's, or another's, adding the system."""
        body = {"account": account or self.system.account}
        where = hospital or self.hospital
        return self.log.answer(by or self.c.operator, "system.added", body, where, v=2)

    @property
    def admin(self) -> Person:
        """Whoever applied, as the hospital's admin."""
        return self.who.acting("hospital_admin", self.hospital)

    @property
    def acts(self) -> str:
        """The answer to what the hospital's systems may: registering a patient."""
        acting = self.system.acting("hospital_system", self.hospital)
        body = self.log.patient_body()
        return self.log.answer(acting, "patient.registered", body, body["patient"])


@pytest.fixture
def one() -> Applied:
    c = MemoryPeople()
    who = c.log.account(c.service)
    return Applied(c, who, c.log.id("hs"), Person(c.log.id("ac"), c.log.new_key()))


def test_the_key_that_a_hospital_applied_with_acts_for_it(one: Applied) -> None:
    """Once the operator approved it and added it; account and key are the hospital's then."""
    assert one.applies() == "appended"
    row = one.log.batch.look.get(HospitalApplication, one.hospital)
    assert row is not None and (row.system, row.key) == (one.system.account, one.system.key.id)
    one.approved().registered()
    assert one.acts == "deny S0 invalid"
    assert one.adds() == "appended"
    look = one.log.batch.look
    account, key = look.get(Account, one.system.account), look.get(Key, one.system.key.id)
    assert account is not None and account.registrar == one.hospital
    assert key is not None and (key.voucher, key.custody) == (one.hospital, "system")
    assert look.get(Member, one.system.account, "hospital_system", one.hospital) is not None
    assert one.acts == "appended"
    assert one.c.revoke(one.admin, one.system) == "appended"
    assert one.acts == "deny S0 invalid"
    good(one.log)


def test_whoever_applies_holds_the_key(one: Applied) -> None:
    """For this account, in this log; and neither is in the log already."""
    log, other = one.log, Person(one.log.id("ac"), one.log.new_key())
    for account, key in ((other.account, one.system), (one.system.account, other)):
        proof = b64encode(key.key.sign(possession_message(log.origin, account, key.key.id)))
        assert one.applies(proof=proof) == "key"
    elsewhere = possession_message("another.example/log", one.system.account, one.system.key.id)
    assert one.applies(proof=b64encode(one.system.key.sign(elsewhere))) == "key"
    assert one.applies(public_key=b64encode(other.key.public)) == "key"
    assert one.applies(key=other.key.id) == "key"
    known = replace(one, system=one.c.doctor)
    assert known.applies() == "duplicate_id"
    taken = replace(one, system=replace(one.system, account=one.c.doctor.account))
    assert taken.applies() == "duplicate_id"
    held = replace(one, system=replace(one.c.doctor, account=one.system.account))
    assert held.applies() == "duplicate_id"
    assert one.applies() == "appended"
    good(log)


def test_before_the_edition_nobody_applies_with_a_key() -> None:
    c = MemoryPeople(MemoryLog(edition=CONSENT - 1))
    system = Person(c.log.id("ac"), c.log.new_key())
    assert Applied(c, c.log.account(c.service), c.log.id("hs"), system).applies() == "registry"
    good(c.log)


def test_the_operator_adds_no_other_system(one: Applied) -> None:
    """Nor the one that was applied with to another hospital, before the approval, twice, or after its admins ended it."""
    assert one.applies() == "appended"
    one.registered()
    assert one.adds() == "unknown"
    one.approved()
    other = one.log.account()
    assert one.adds(other.account) == "role"
    assert one.adds(hospital=one.c.hospital) == "role"
    assert one.adds(by=one.admin) == "role"
    assert one.adds(by=one.who) == "role"
    assert one.adds() == "appended"
    assert one.adds() == "conflict"
    body = {"account": one.system.account}
    assert one.log.answer(one.admin, "system.ended", body, one.hospital) == "appended"
    assert one.adds() == "conflict"
    good(one.log)


def test_the_operator_puts_in_no_other_key(one: Applied) -> None:
    """Not in its place, and not beside it: neither before the key of the application, nor revoked by now."""
    assert one.applies() == "appended"
    own = one.system.holding(one.log.new_key())
    one.approved().registered(own)
    assert one.adds() == "key"
    one.log.register_key(replace(own, role="person"), one.system)
    assert one.adds() == "key"
    assert one.c.revoke(one.c.operator, own) == "appended"
    assert one.adds() == "key"
    assert one.acts == "deny S0 invalid"
    good(one.log)


def test_a_key_that_is_revoked_by_now_is_not_added(one: Applied) -> None:
    assert one.applies() == "appended"
    one.approved().registered()
    assert one.c.revoke(one.c.operator, one.system) == "appended"
    assert one.adds() == "key"
    good(one.log)


def test_an_auditor_in_term_is_no_system(one: Applied) -> None:
    assert one.applies() == "appended"
    one.approved().registered()
    term = {"start": "2026-01-01T00:00:00.000Z", "end": "2099-01-01T00:00:00.000Z"}
    body = {"account": one.system.account} | term
    assert one.log.answer(one.c.operator, "auditor.appointed", body) == "appended"
    assert one.adds() == "role"
    good(one.log)


def test_a_declined_one_is_not_added(one: Applied) -> None:
    assert one.applies() == "appended"
    one.registered()
    said = {"hospital": one.hospital, "reason": "other"}
    assert one.log.answer(one.c.operator, "hospital.declined", said) == "appended"
    assert one.adds() == "unknown"
    good(one.log)
