"""Keys in the log: vouching, proof of possession, recovery and revocation, a scenario a line."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import SigningKey
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.event import Signature
from ledger.messages import possession_message
from tests.support.memory_log import MemoryLog, Person, verify_log
from tests.support.memory_people import MemoryPeople, Scenario, after, wait

DAY = 86_400_000

KEYS: dict[str, tuple[str, Scenario]] = {
    "a second key by the first": ("appended", lambda c: c.act(c.person)),
    "a first key by the operator": ("appended", lambda c: c.key(c.operator, c.bare(c.operator))),
    "a first key by the service": ("appended", lambda c: c.key(c.service, c.bare(c.service))),
    "a first key by the admin": ("appended", lambda c: c.key(c.admin, c.bare(c.admin))),
    "a first key by the hospital's system": ("appended", lambda c: c.key(c.system, c.bare(c.admin))),
    "a first key by a doctor": ("role", lambda c: c.key(c.doctor, c.bare(c.admin))),
    "a first key by another hospital": ("key", lambda c: c.key(c.stranger, c.bare(c.admin))),
    "a first key by the operator for a hospital's account": ("key", lambda c: c.key(c.operator, c.bare(c.admin))),
    "a first key by the service for a hospital's account": ("key", lambda c: c.key(c.service, c.bare(c.admin))),
    "a first key by the hospital for the operator's account": ("key", lambda c: c.key(c.admin, c.bare(c.operator))),
    "a first key by another person": ("key", lambda c: c.key(c.person, c.bare(c.admin))),
    "a first key by itself": ("key", lambda c: after(p := c.bare(c.admin), c.key(p, p))),
    "a second key by the hospital": ("key", lambda c: c.key(c.admin, c.person.holding(c.log.new_key()))),
    "a key by the hospital after the first was revoked": (
        "key",
        lambda c: after(c.revoke(c.operator, c.person), c.key(c.admin, c.person.holding(c.log.new_key()))),
    ),
    "a key for another account": ("key", lambda c: c.key(c.person, Person(c.doctor.account, c.log.new_key()))),
    "a key for no account": ("unknown", lambda c: c.key(c.operator, Person(c.log.id("ac"), c.log.new_key()))),
    "a key in another's stream": (
        "stream",
        lambda c: c.log.answer(
            c.person, "key.registered", c.log.key_body(c.person.holding(c.log.new_key())), c.doctor.account
        ),
    ),
    "a key id that does not fit": (
        "key", lambda c: c.key(c.operator, c.bare(c.operator), key=c.log.new_key().id)),
    "a key id of another algorithm": (
        "key", lambda c: after(p := c.bare(c.operator), c.key(c.operator, p, key=key_id(0x10, p.key.public)))),
    "a key id that does not fit, with a proof that fits the id": ("key", lambda c: false_id(c)),
    "an X25519 key id that does not fit": (
        "key",
        lambda c: c.log.answer(
            c.person, "key.registered", c.log.x25519_body(c.person, key=c.log.new_key().id)
        ),
    ),
    "a proof by another key": (
        "key", lambda c: c.key(c.operator, c.bare(c.operator), proof=c.log.key_body(c.person)["proof"])),
    "a proof for another account": (
        "key",
        lambda c: after(
            p := c.bare(c.operator),
            c.key(c.operator, p, proof=proof(c.log.origin, c.doctor.account, p.key)),
        ),
    ),
    "a proof for another log": (
        "key",
        lambda c: after(p := c.bare(c.operator), c.key(c.operator, p, proof=proof("other", p.account, p.key))),
    ),
    "a key without a proof": ("key", lambda c: without_proof(c)),
    "a key of small order": ("key", lambda c: small_order(c)),
    "an X25519 key": (
        "appended", lambda c: c.log.answer(c.person, "key.registered", c.log.x25519_body(c.person))),
    "an X25519 key with a proof": (
        "key",
        lambda c: c.log.answer(
            c.person, "key.registered", c.log.x25519_body(c.person) | {"proof": c.log.key_body(c.person)["proof"]}
        ),
    ),
    "an X25519 key as the first": (
        "key", lambda c: c.log.answer(c.operator, "key.registered", c.log.x25519_body(c.bare(c.operator)))),
    "an X25519 key beside a revoked one": (
        "key",
        lambda c: after(
            c.revoke(c.operator, c.person),
            c.log.answer(c.admin, "key.registered", c.log.x25519_body(c.person, recovery=True)),
        ),
    ),
    "an X25519 key that signs": ("key", lambda c: x25519_signs(c)),
}  # fmt: skip


def proof(origin: str, account: str, key: SigningKey) -> str:
    return b64encode(key.sign(possession_message(origin, account, key.id)))


def false_id(c: MemoryPeople) -> str:
    person, other = c.bare(c.operator), c.log.new_key().id
    message = possession_message(c.log.origin, person.account, other)
    return c.key(c.operator, person, key=other, proof=b64encode(person.key.sign(message)))


def without_proof(c: MemoryPeople) -> str:
    body = c.log.key_body(c.bare(c.operator))
    del body["proof"]
    return c.log.answer(c.operator, "key.registered", body)


def small_order(c: MemoryPeople) -> str:
    """The identity, with the signature that fits every message elsewhere: R = B, S = 1."""
    public = (1).to_bytes(32, "little")
    base = bytes.fromhex("58" + "66" * 31)
    body = c.log.key_body(c.bare(c.operator)) | {
        "key": key_id(ALGORITHM_ED25519, public),
        "proof": b64encode(base + (1).to_bytes(32, "little")),
        "public_key": b64encode(public),
    }
    return c.log.answer(c.operator, "key.registered", body)


def x25519_signs(c: MemoryPeople) -> str:
    body = c.log.x25519_body(c.person)
    c.log.do(c.person, "key.registered", body)
    event = c.log.event(c.patient, "history.opened", {"purpose": "PATRQT"})
    outcome = c.log.admit(event, Signature(body["key"], bytes(64)))
    assert isinstance(outcome, Refused)
    return outcome.code


RECOVERY: dict[str, tuple[str, Scenario]] = {
    "by the hospital that registered": (
        "appended", lambda c: c.key(c.admin, c.person.holding(c.log.new_key()), recovery=True)),
    "by its system": ("appended", lambda c: c.key(c.system, c.person.holding(c.log.new_key()), recovery=True)),
    "by the service": ("appended", lambda c: c.key(c.service, c.person.holding(c.log.new_key()), recovery=True)),
    "by the operator": ("key", lambda c: c.key(c.operator, c.person.holding(c.log.new_key()), recovery=True)),
    "by the operator who registered": (
        "key", lambda c: c.key(c.operator, c.log.account().holding(c.log.new_key()), recovery=True)),
    "by another hospital": ("key", lambda c: c.key(c.stranger, c.person.holding(c.log.new_key()), recovery=True)),
    "by the account itself": ("key", lambda c: c.key(c.person, c.person.holding(c.log.new_key()), recovery=True)),
    "of a first key": ("key", lambda c: c.key(c.admin, c.bare(c.admin), recovery=True)),
    "without a proof of possession": (
        "key",
        lambda c: c.key(c.admin, c.person.holding(c.log.new_key()), recovery=True, proof=b64encode(bytes(64))),
    ),
    "does not count at once": ("key", lambda c: c.act(c.recovered(c.admin))),
    "does not count a millisecond before 24 hours": (
        "key", lambda c: after(p := c.recovered(c.admin), wait(c, DAY - 1), c.act(p))),
    "counts from 24 hours": ("appended", lambda c: after(p := c.recovered(c.admin), wait(c, DAY), c.act(p))),
    "revoked by the older key never counts": (
        "key",
        lambda c: after(p := c.recovered(c.admin), c.revoke(c.person, p), wait(c, DAY), c.act(p)),
    ),
    "the older key still counts": ("appended", lambda c: after(c.recovered(c.admin), c.act(c.person))),
    "the waiting key can't revoke the older one": (
        "key", lambda c: after(p := c.recovered(c.admin), c.revoke(p, c.person))),
}  # fmt: skip

REVOCATION: dict[str, tuple[str, Scenario]] = {
    "by the account": ("appended", lambda c: c.revoke(c.person, c.person)),
    "by the account's other key": ("appended", lambda c: c.revoke(c.spare(), c.person)),
    "by the operator": ("appended", lambda c: c.revoke(c.operator, c.person)),
    "by the voucher": ("appended", lambda c: c.revoke(c.admin, c.person)),
    "by a system of the hospital that vouched": ("appended", lambda c: c.revoke(c.system, c.person)),
    "by the hospital, of a key that the person vouched for": ("key", lambda c: c.revoke(c.admin, c.spare())),
    "by another hospital": ("key", lambda c: c.revoke(c.stranger, c.person)),
    "by the service": ("key", lambda c: c.revoke(c.service, c.person)),
    "by a doctor": ("role", lambda c: c.revoke(c.doctor, c.person)),
    "by another person": ("key", lambda c: c.revoke(replace(c.doctor, role="person", hospital=""), c.person)),
    "twice": ("key", lambda c: after(c.revoke(c.operator, c.person), c.revoke(c.operator, c.person))),
    "of an unknown key": ("key", lambda c: c.revoke(c.operator, c.person.holding(c.log.new_key()))),
    "of another account's key": ("key", lambda c: c.revoke(c.person, c.person, key=c.doctor.key.id)),
    "in another's stream": ("stream", lambda c: c.revoke(c.person, c.person, account=c.doctor.account)),
}  # fmt: skip


def stop(c: MemoryPeople, by: Person | None = None, on: str = "", **members: Any) -> str:
    """The answer to a `recovery.revoked` of the patient's account."""
    body = {"account": c.person.account, "means": "password"} | members
    return c.log.answer(by or c.service, "recovery.revoked", body, on)


def stopped_twice(c: MemoryPeople, ms: int, between: Callable[[Person], Any]) -> str:
    """A recovery revoked, another one opened, and so long after it, and what lies `between`, a third one, to be revoked too."""
    first = c.recovered(c.admin)
    assert stop(c) == "appended"
    second = c.recovered(c.service)
    c.log.wait(ms)
    between(second)
    c.recovered(c.admin)
    assert c.act(first) == "key"
    return stop(c)


STOPPED: dict[str, tuple[str, Scenario]] = {
    "by the service": ("appended", lambda c: after(c.recovered(c.admin), stop(c))),
    "of two at once": (
        "key",
        lambda c: after(one := c.recovered(c.admin), c.recovered(c.service), stop(c), wait(c, DAY), c.act(one)),
    ),
    "the second of two": (
        "key",
        lambda c: after(c.recovered(c.admin), two := c.recovered(c.service), stop(c), wait(c, DAY), c.act(two)),
    ),
    "the older key goes on": ("appended", lambda c: after(c.recovered(c.admin), stop(c), c.act(c.person))),
    "where none waits": ("key", stop),
    "a millisecond before it counts": (
        "appended", lambda c: after(c.recovered(c.admin), wait(c, DAY - 1), stop(c))),
    "as it counts": ("key", lambda c: after(c.recovered(c.admin), wait(c, DAY), stop(c))),
    "one that the older key revoked": (
        "key", lambda c: after(p := c.recovered(c.admin), c.revoke(c.person, p), stop(c))),
    "a second time": ("key", lambda c: after(c.recovered(c.admin), stop(c), c.recovered(c.admin), stop(c))),
    "what is opened after it counts": (
        "appended",
        lambda c: after(c.recovered(c.admin), stop(c), p := c.recovered(c.admin), wait(c, DAY), c.act(p)),
    ),
    "a third one, after the second one counted": (
        "appended", lambda c: stopped_twice(c, DAY, lambda second: None)),
    "a millisecond before it did": ("key", lambda c: stopped_twice(c, DAY - 1, lambda second: None)),
    "a third one, after the second was revoked by a key": (
        "key", lambda c: stopped_twice(c, DAY, lambda second: c.revoke(c.person, second))),
    "a third one, after the owner added a key": (
        "key", lambda c: stopped_twice(c, DAY - 1, lambda second: c.spare())),
    "by the account": ("role", lambda c: after(c.recovered(c.admin), stop(c, c.person))),
    "by the operator": ("role", lambda c: after(c.recovered(c.admin), stop(c, c.operator))),
    "of another account": ("key", lambda c: after(c.recovered(c.admin), stop(c, account=c.doctor.account))),
    "in another's stream": ("stream", lambda c: after(c.recovered(c.admin), stop(c, on=c.doctor.account))),
    "of no account": ("unknown", lambda c: stop(c, account=c.log.id("ac"))),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPED)
def test_a_recovery_is_revoked_once(name: str) -> None:
    """By what its owner signs in by, as the service says; whoever verifies the log holds it alike."""
    expected, scenario = STOPPED[name]
    people = MemoryPeople()
    assert scenario(people) == expected
    verify_log(people.log)


def test_earlier_editions_revoke_none() -> None:
    """The type is none of theirs."""
    people = MemoryPeople(MemoryLog(edition=CONSENT - 1))
    people.recovered(people.admin)
    assert stop(people) == "registry"


@pytest.mark.parametrize("name", KEYS)
def test_who_may_vouch(name: str) -> None:
    expected, scenario = KEYS[name]
    assert scenario(MemoryPeople()) == expected


@pytest.mark.parametrize("name", RECOVERY)
def test_recovery(name: str) -> None:
    expected, scenario = RECOVERY[name]
    assert scenario(MemoryPeople()) == expected


@pytest.mark.parametrize("name", REVOCATION)
def test_who_may_revoke(name: str) -> None:
    expected, scenario = REVOCATION[name]
    assert scenario(MemoryPeople()) == expected
