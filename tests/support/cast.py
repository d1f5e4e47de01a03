"""A cast of people for tables of scenarios about signers: a name, what is done, what the log answers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.times import format_time
from tests.support.memory_log import Person, World


@dataclass
class Cast:
    """A world with two hospitals and the people of the first."""

    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        """The second hospital has an admin, the stranger."""
        world = self.world
        self.hospital, self.elsewhere = world.hospital(), world.hospital()
        self.admin, self.stranger = world.admin(self.hospital), world.admin(self.elsewhere)
        self.doctor, self.system = world.doctor(self.admin), world.system(self.admin)
        self.patient = world.patient(self.admin)
        self.person = replace(self.patient, role="person")
        self.record = world.upload(self.doctor, self.patient)
        self.operator, self.service = world.operator, world.service

    def bare(self, registrar: Person) -> Person:
        """An account without a key in the log."""
        person = Person(self.world.id("ac"), self.world.new_key())
        self.world.do(registrar, "account.registered", {"account": person.account})
        return person

    def key(self, voucher: Person, person: Person, **members: Any) -> str:
        """The answer to a `key.registered`."""
        return self.world.answer(voucher, "key.registered", self.world.key_body(person, **members))

    def spare(self) -> Person:
        """The patient's person with a second key, vouched for by the first."""
        person = self.person.holding(self.world.new_key())
        self.world.register_key(self.person, person)
        return person

    def recovered(self, by: Person) -> Person:
        """The patient's person with a key put in by recovery."""
        person = self.person.holding(self.world.new_key())
        self.world.register_key(by, person, recovery=True)
        return person

    def revoke(self, by: Person, owner: Person, **members: Any) -> str:
        """The answer to a `key.revoked` of the owner's key."""
        body = {"account": owner.account, "key": owner.key.id} | members
        return self.world.answer(by, "key.revoked", body, owner.account)

    def act(self, person: Person) -> str:
        """The answer to something that every active key of its account may sign."""
        return self.key(replace(person, role="person"), person.holding(self.world.new_key()))

    def end(self, kind: str, person: Person, by: Person | None = None) -> str:
        """The answer to an event that only names an account, by the hospital's admin."""
        return self.world.answer(by or self.admin, kind, {"account": person.account})


Scenario = Callable[[Cast], str]


def after(*steps: object) -> str:
    """The answer of the last step."""
    return str(steps[-1])


def say(kind: str, by: str, body: Callable[[Cast], dict[str, Any]], on: str = "") -> Scenario:
    """`by` of the cast says something in the stream of `on`."""

    def scenario(c: Cast) -> str:
        return c.world.answer(getattr(c, by), kind, body(c), getattr(c, on) if on else "")

    return scenario


def upload(c: Cast, author: Person, **members: Any) -> str:
    return c.world.answer(author, "record.uploaded", c.world.record_body(**members), c.patient)


def term(c: Cast, start: int, end: int) -> str:
    """An auditor with a term, relative to now, asks for the history."""
    who = c.world.account()
    times = {"start": format_time(c.world.now + start), "end": format_time(c.world.now + end)}
    appointed = c.world.answer(c.operator, "auditor.appointed", {"account": who.account, **times})
    if appointed != "appended":
        return appointed
    return c.world.answer(
        who.acting("auditor"), "history.opened", {"purpose": "HOPERAT"}, c.patient
    )


def suspend(c: Cast) -> str:
    return c.world.answer(c.operator, "hospital.suspended", {"hospital": c.hospital})


def wait(c: Cast, milliseconds: int) -> str:
    c.world.wait(milliseconds)
    return "waited"


def approve(c: Cast, hospital: str) -> str:
    body = {"hospital": hospital, "name": "St. Gallus", "time_zone": "Europe/Zurich"}
    return c.world.answer(c.operator, "hospital.approved", body)


def account_body(c: Cast) -> dict[str, Any]:
    return {"account": c.world.account().account}
