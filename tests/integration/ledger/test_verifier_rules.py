"""What holds at an entry by the policy and the registry in force there, not at its bundle's ends; losses that
a log declares. The logs are made in memory, by the sequencer where they are honest."""

from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from consent.auditor import audit_export
from crypto.encoding import b64encode
from ledger.auditor import verify_export
from ledger.entry import Entry
from ledger.errors import Tampered
from ledger.merkle import root_of
from ledger.policies import DEFAULT_POLICY, edition_in_force
from ledger.registry import registry_hash
from ledger.signers import created_ids
from ledger.times import format_time
from tests.support.commands import heartwood
from tests.support.exports import PERMIT, write_files
from tests.support.memory_log import Person, World

MINUTE_MS = 60_000
WIDE, NARROW = 60 * MINUTE_MS, 5 * MINUTE_MS
OFF = 50 * MINUTE_MS


def forced(world: World, actor: Person, kind: str, body: Any, on: Any = "", **given: Any) -> int:
    """An entry that the sequencer would not take, chained and hashed all the same; gives its number."""
    decision = given.pop("decision", None)
    event = world.event(actor, kind, body, on, **given)
    batch = world.batch
    link = batch.chain.next(event.stream)
    if decision is not None:
        decision = decision | {"as_of": link.seq - 1}
    time = max(batch.now, batch.chain.time)
    entry = Entry.make(event, world.sign(actor, event), link, time, decision)
    batch._take(entry, created_ids(event, batch.look))
    return link.seq


def change_skew(world: World, limit: int) -> None:
    """A policy with another limit of clocks; it waits seven days."""
    body = {
        "policy": dict(DEFAULT_POLICY) | {"clock_skew_ms": limit},
        "registry": b64encode(registry_hash(edition_in_force(world.batch.look))),
    }
    world.do(world.operator, "policy.changed", body)


def between(first: int, then: int) -> World:
    """A log in which the limit of clocks was `first`, is `then` by now, and in a week is `first` again."""
    world = World(dict(DEFAULT_POLICY) | {"clock_skew_ms": first})
    change_skew(world, then)
    world.wait(days=7)
    change_skew(world, first)
    world.wait(hours=1)
    return world


def off(world: World, by: int) -> dict[str, Any]:
    return {"at": format_time(world.now + by)}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_clock_is_judged_by_the_policy_at_its_entry(place: Path, sign: int) -> None:
    world = between(NARROW, WIDE)
    account = world.id("ac")
    world.do(world.operator, "account.registered", {"account": account}, **off(world, sign * OFF))
    world.wait(days=7)
    world.account()
    write_files(world.export(), place)
    assert verify_export(place, world.vkeys).size == len(world.entries)


def test_a_clock_that_the_policy_at_its_entry_refuses_is_found(place: Path) -> None:
    world = between(WIDE, NARROW)
    body = {"account": world.id("ac")}
    assert world.answer(world.operator, "account.registered", body, **off(world, OFF)) == "clock"
    seq = forced(world, world.operator, "account.registered", body, **off(world, OFF))
    world.wait(days=7)
    world.account()
    write_files(world.export(), place)
    with pytest.raises(Tampered, match=rf"^entry {seq}: its author's clock is {OFF} ms off"):
        verify_export(place, world.vkeys)


def test_the_limit_of_clocks_is_inclusive_on_both_sides_of_a_change(place: Path) -> None:
    world = between(NARROW, WIDE)
    world.wait(days=7)
    for by in (NARROW, -NARROW):
        body = {"account": world.id("ac")}
        world.do(world.operator, "account.registered", body, **off(world, by))
    body = {"account": world.id("ac")}
    assert (
        world.answer(world.operator, "account.registered", body, **off(world, NARROW + 1))
        == "clock"
    )
    write_files(world.export(), place)
    assert verify_export(place, world.vkeys).size == len(world.entries)
    seq = forced(world, world.operator, "account.registered", body, **off(world, NARROW + 1))
    write_files(world.export(), place.with_name("bent"))
    with pytest.raises(Tampered, match=rf"^entry {seq}: its author's clock"):
        verify_export(place.with_name("bent"), world.vkeys)


# Editions of the registry


def charted(edition: int) -> tuple[World, Person, Person]:
    """A log of that edition with a doctor and a patient."""
    world = World(edition=edition)
    admin = world.admin(world.hospital())
    doctor = world.doctor(admin)
    return world, doctor, world.patient(admin)


def revoked_v2(world: World, doctor: Person, patient: Person) -> int:
    """A later version of a type whose entries go the quick way."""
    body = {"grantee": doctor.account, "purpose": "PATRQT"}
    return forced(world, patient, "access.revoked", body, v=2, decision=PERMIT)


def hidden(world: World, doctor: Person, patient: Person) -> int:
    """A type that came later."""
    record = world.upload(doctor, patient).event.body["record"]
    body = {"record": record, "purpose": "PATRQT"}
    return forced(world, patient, "record.hidden", body, patient, decision=PERMIT)


def granted_v2(world: World, doctor: Person, patient: Person) -> int:
    """A later version of a type that goes the long way."""
    body = world.grant_body(doctor.account)
    return forced(world, patient, "access.granted", body, v=2, decision=PERMIT)


def refused_inside(world: World, doctor: Person, patient: Person) -> int:
    """A refused reading of a type that came later."""
    asked = world.event(doctor, "chart.opened", {"purpose": "TREAT"}, patient)
    body = {"event": asked.value, "sig": world.sign(doctor, asked).json()}
    denied = PERMIT | {"effect": "deny", "rule": "S12", "reason": "no_consent"}
    service = world.service
    return forced(world, service, "access.refused", body, patient, decision=denied)


@pytest.mark.parametrize("newer", [revoked_v2, hidden, granted_v2, refused_inside])
def test_a_type_of_a_newer_edition_does_not_stand_under_an_older_one(
    place: Path, newer: Any
) -> None:
    for edition in (1, 2):
        world, doctor, patient = charted(edition)
        if (
            newer is revoked_v2
        ):  # so that its signer was seen, and found good, under the first version
            world.grant(patient, doctor.account)
            world.do(patient, "access.revoked", {"grantee": doctor.account, "purpose": "PATRQT"})
        seq = newer(world, doctor, patient)
        write_files(world.export(), place.with_name(f"edition-{edition}"))
        if edition == 2:
            assert verify_export(place.with_name("edition-2"), world.vkeys).size == seq + 1
            continue
        with pytest.raises(Tampered, match=rf"^entry {seq}: .*the registry in force does not have"):
            verify_export(place.with_name("edition-1"), world.vkeys)


# What a log says it lost


def restored(world: World, lost: int) -> int:
    size = len(world.entries)
    root = b64encode(root_of(size, world.node))
    body = {"last_root": root, "last_size": size + lost, "root": root, "size": size}
    return world.do(world.operator, "ledger.restored", body).link.seq


def test_every_restore_is_named_with_what_is_in_doubt(place: Path, tmp_path: Path) -> None:
    world, _, _ = charted(2)
    seqs = [restored(world, 3), restored(world, 1), restored(world, 0)]
    write_files(world.export(), place)
    verified, audited = verify_export(place, world.vkeys), audit_export(place, world.vkeys)
    for found in (verified, audited):
        assert [said.seq for said in found.restored] == seqs
        assert [said.lost for said in found.restored] == [3, 1, 0]
        first, second, third = (line for line in found.lines() if line.startswith("RESTORED: "))
        assert f"what stood as {seqs[0]} to {seqs[0] + 2} is lost" in first
        assert f"what stood as {seqs[1]} is lost" in second
        assert "no acknowledged entry is known to be lost" in third
        assert found.lines()[-1].startswith("good")
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{key}\n" for key in world.vkeys))
    for command in ("verify", "audit"):
        elsewhere = Settings(data=tmp_path / "none", database_url="")
        told = heartwood(elsewhere, command, place, "--vkey", keys, "--json")
        said = told.json["restored"]
        assert [(one["seq"], one["size"], one["last_size"]) for one in said] == [
            (seq, seq, seq + lost) for seq, lost in zip(seqs, (3, 1, 0), strict=True)
        ]
