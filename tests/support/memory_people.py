"""People in a log in memory, for tables of scenarios: a name, what is done, what the log answers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.times import format_time
from tests.support.memory_log import MemoryLog, Person


@dataclass
class MemoryPeople:
    """A log with two hospitals and the people of the first."""

    log: MemoryLog = field(default_factory=MemoryLog)

    def __post_init__(self) -> None:
        """The second hospital has an admin, the stranger."""
        log = self.log
        self.hospital, self.elsewhere = log.hospital(), log.hospital()
        self.admin, self.stranger = log.admin(self.hospital), log.admin(self.elsewhere)
        self.doctor, self.system = log.doctor(self.admin), log.system(self.admin)
        self.patient = log.patient(self.admin)
        self.person = replace(self.patient, role="person")
        self.record = log.upload(self.doctor, self.patient)
        self.operator, self.service = log.operator, log.service

    def bare(self, registrar: Person) -> Person:
        """An account without a key in the log."""
        person = Person(self.log.id("ac"), self.log.new_key())
        self.log.do(registrar, "account.registered", {"account": person.account})
        return person

    def key(self, voucher: Person, person: Person, **members: Any) -> str:
        """The answer to a `key.registered`."""
        return self.log.answer(voucher, "key.registered", self.log.key_body(person, **members))

    def spare(self) -> Person:
        """The patient's person with a second key, vouched for by the first."""
        person = self.person.holding(self.log.new_key())
        self.log.register_key(self.person, person)
        return person

    def recovered(self, by: Person) -> Person:
        """The patient's person with a key put in by recovery."""
        person = self.person.holding(self.log.new_key())
        self.log.register_key(by, person, recovery=True)
        return person

    def revoke(self, by: Person, owner: Person, **members: Any) -> str:
        """The answer to a `key.revoked` of the owner's key."""
        body = {"account": owner.account, "key": owner.key.id} | members
        return self.log.answer(by, "key.revoked", body, owner.account)

    def act(self, person: Person) -> str:
        """The answer to something that every active key of its account may sign."""
        return self.key(replace(person, role="person"), person.holding(self.log.new_key()))

    def end(self, kind: str, person: Person, by: Person | None = None) -> str:
        """The answer to an event that only names an account, by the hospital's admin."""
        return self.log.answer(by or self.admin, kind, {"account": person.account})


Scenario = Callable[[MemoryPeople], str]


def after(*steps: object) -> str:
    """The answer of the last step."""
    return str(steps[-1])


def say(
    kind: str, by: str, body: Callable[[MemoryPeople], dict[str, Any]], on: str = ""
) -> Scenario:
    """`by` of the people says something in the stream of `on`."""

    def scenario(c: MemoryPeople) -> str:
        return c.log.answer(getattr(c, by), kind, body(c), getattr(c, on) if on else "")

    return scenario


def upload(c: MemoryPeople, author: Person, **members: Any) -> str:
    return c.log.answer(author, "record.uploaded", c.log.record_body(**members), c.patient)


def term(c: MemoryPeople, start: int, end: int) -> str:
    """An auditor with a term, relative to now, asks for the history."""
    who = c.log.account()
    times = {"start": format_time(c.log.now + start), "end": format_time(c.log.now + end)}
    appointed = c.log.answer(c.operator, "auditor.appointed", {"account": who.account, **times})
    if appointed != "appended":
        return appointed
    return c.log.answer(who.acting("auditor"), "history.opened", {"purpose": "HOPERAT"}, c.patient)


def suspend(c: MemoryPeople) -> str:
    return c.log.answer(c.operator, "hospital.suspended", {"hospital": c.hospital})


def wait(c: MemoryPeople, milliseconds: int) -> str:
    c.log.wait(milliseconds)
    return "waited"


def approve(c: MemoryPeople, hospital: str) -> str:
    body = {"hospital": hospital, "name": "St. Gallus", "time_zone": "Europe/Zurich"}
    return c.log.answer(c.operator, "hospital.approved", body)


def account_body(c: MemoryPeople) -> dict[str, Any]:
    return {"account": c.log.account().account}
