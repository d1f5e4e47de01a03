"""Forged refusals, and an entry 0 that does not fit its log."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from ledger.registry import registry_hash
from ledger.times import format_time, parse_time
from tests.support.exports import (
    ORIGIN,
    Export,
    Forger,
    KeyHolders,
    Row,
    signature,
)
from tests.support.forgeries import (
    SKEW_MS,
    other_log_keys,
    refuse,
)


def inner(forger: Forger, number: int) -> Row:
    """The refused reading inside an entry: event and signature."""
    body: Row = forger.rows[number]["event"]["body"]
    return body


def sign_inner(forger: Forger, number: int, by: Actor, /, **members: object) -> None:
    """Alter members of the refused reading and sign it again."""
    body = inner(forger, number)
    body["event"] |= members
    body["sig"] = signature(by.key, body["event"])


def swap_signatures(forger: Forger, people: KeyHolders, number: int) -> None:
    inner(forger, number)["sig"] = inner(forger, forger.find("access.refused", 1))["sig"]


def not_gated(forger: Forger, people: KeyHolders, number: int) -> None:
    event = forger.rows[forger.find("key.registered")]["event"]
    sign_inner(forger, number, people.patient, **event | {"id": new_id("ev", forger.now)})


def deny(forger: Forger, number: int, **members: object) -> None:
    """Bend the decision of the refusal; None leaves a member out."""
    decision = forger.rows[number]["decision"] | members
    forger.rows[number]["decision"] = {k: v for k, v in decision.items() if v is not None}


def no_decision(forger: Forger, people: KeyHolders, number: int) -> None:
    del forger.rows[number]["decision"]


def acting(people: KeyHolders, actor: Actor, role: str, hospital: str) -> Row:
    return {"actor": actor.account, "as": {"hospital": hospital, "role": role}}


REFUSALS: dict[str, tuple[Callable[[Forger, KeyHolders, int], object], str]] = {
    "another's signature": (swap_signatures, "signature"),
    "an altered reading": (
        lambda f, p, n: inner(f, n)["event"]["body"].update(purpose="HRESCH"),
        "does not fit",
    ),
    "a reader without key": (
        lambda f, p, n: sign_inner(f, n, Actor(ORIGIN, "", "", "", new_key())),
        "a key that no entry registers",
    ),
    "another reader": (lambda f, p, n: sign_inner(f, n, p.reader), "not registered for"),
    "another chart": (
        lambda f, p, n: sign_inner(f, n, p.stranger, stream=f"patient/{p.other_chart}"),
        "expected an event of the same patient",
    ),
    "nothing that is decided": (not_gated, "expected what the rules decide"),
    "of the version before": (lambda f, p, n: f.rows[n]["event"].update(v=1), "expected v2"),
    "a clock too late": (
        lambda f, p, n: sign_inner(
            f, n, p.stranger, at=format_time(parse_time(f.rows[n]["time"]) + SKEW_MS + 1)
        ),
        "clock",
    ),
    "a known id": (
        lambda f, p, n: sign_inner(f, n, p.stranger, id=f.rows[40]["event"]["id"]),
        "an earlier entry created",
    ),
    "its own id inside": (
        lambda f, p, n: f.rows[n]["event"].update(id=inner(f, n)["event"]["id"]),
        "one id twice",
    ),
    "no decision": (no_decision, "decision: missing"),
    "a permit": (lambda f, p, n: deny(f, n, effect="permit"), "permit"),
    "a permit in all": (
        lambda f, p, n: deny(f, n, effect="permit", reason=None),
        "permit",
    ),
    "a denial without reason": (lambda f, p, n: deny(f, n, reason=None), "reason belongs"),
}
"""What may be wrong with a refused reading that the service itself signed into the log."""


@pytest.mark.parametrize("name", REFUSALS)
def test_a_forged_refusal_is_found(small: Export, place: Path, name: str) -> None:
    bend, words = REFUSALS[name]
    forger = Forger(small)
    number = forger.find("access.refused")
    bend(forger, small.people, number)
    forger.sign(number, small.people.service.key)
    refuse(forger.publish(), place, small, f"^entry {number}: .*{words}")


def test_a_refusal_by_somebody_else_is_found(small: Export, place: Path) -> None:
    forger, author = Forger(small), small.people.author
    number = forger.find("access.refused")
    as_author = acting(small.people, author, "doctor", author.hospital)
    forger.rows[number]["event"] |= as_author
    forger.sign(number, author.key)
    refuse(forger.publish(), place, small, f"^entry {number}: got the role doctor")


def other_origin(body: Row) -> None:
    body["origin"] = "heartwood.example/other"


def unknown_registry(body: Row) -> None:
    body["registry"] = b64encode(bytes(32))


def older_registry(body: Row) -> None:
    body["registry"] = b64encode(registry_hash(1))


def one_person(body: Row) -> None:
    body["service"] = body["operator"]


def other_operator(body: Row) -> None:
    body["operator"] = body["service"] | {"account": body["operator"]["account"]}


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (other_origin, "entry 0: is of the log heartwood.example/other"),
        (other_log_keys, "log.vkey: its keys are not those that entry 0 names"),
        (unknown_registry, "entry 0: names a registry that this program does not know"),
        (older_registry, "registry.json: its SHA-256 is not the one that the log named last"),
        (one_person, "entry 0: "),
        (other_operator, "entry 0: "),
    ],
)
def test_entry_0_fits_the_log(
    small: Export, place: Path, bend: Callable[[Row], None], words: str
) -> None:
    forger = Forger(small)
    del forger.rows[1:]  # what comes later would be found first, by the keys it is signed with
    bend(forger.rows[0]["event"]["body"])
    forger.sign(0, small.people.operator.key)
    refuse(forger.publish(), place, small, f"^{re.escape(words)}")


def test_a_log_without_its_beginning_is_found(small: Export, place: Path) -> None:
    forger = Forger(small)
    del forger.rows[0]
    refuse(forger.publish(), place, small, "^entry 0: ")
