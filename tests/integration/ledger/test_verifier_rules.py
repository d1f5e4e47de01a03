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
from tests.support.memory_log import MemoryLog, Person

MINUTE_MS = 60_000
WIDE, NARROW = 60 * MINUTE_MS, 5 * MINUTE_MS
OFF = 50 * MINUTE_MS


def forced(log: MemoryLog, actor: Person, kind: str, body: Any, on: Any = "", **given: Any) -> int:
    """An entry that the sequencer would not take, chained and hashed all the same; gives its number."""
    decision = given.pop("decision", None)
    event = log.event(actor, kind, body, on, **given)
    batch = log.batch
    link = batch.chain.next(event.stream)
    if decision is not None:
        decision = decision | {"as_of": link.seq - 1}
    time = max(batch.now, batch.chain.time)
    entry = Entry.make(event, log.sign(actor, event), link, time, decision)
    batch._take(entry, created_ids(event, batch.look))
    return link.seq


def change_skew(log: MemoryLog, limit: int) -> None:
    """A policy with another limit of clocks; it waits seven days."""
    body = {
        "policy": dict(DEFAULT_POLICY) | {"clock_skew_ms": limit},
        "registry": b64encode(registry_hash(edition_in_force(log.batch.look))),
    }
    log.do(log.operator, "policy.changed", body)


def between(first: int, then: int) -> MemoryLog:
    """A log in which the limit of clocks was `first`, is `then` by now, and in a week is `first` again."""
    log = MemoryLog(dict(DEFAULT_POLICY) | {"clock_skew_ms": first})
    change_skew(log, then)
    log.wait(days=7)
    change_skew(log, first)
    log.wait(hours=1)
    return log


def off(log: MemoryLog, by: int) -> dict[str, Any]:
    return {"at": format_time(log.now + by)}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_clock_is_judged_by_the_policy_at_its_entry(place: Path, sign: int) -> None:
    log = between(NARROW, WIDE)
    account = log.id("ac")
    log.do(log.operator, "account.registered", {"account": account}, **off(log, sign * OFF))
    log.wait(days=7)
    log.account()
    write_files(log.export(), place)
    assert verify_export(place, log.vkeys).size == len(log.entries)


def test_a_clock_that_the_policy_at_its_entry_refuses_is_found(place: Path) -> None:
    log = between(WIDE, NARROW)
    body = {"account": log.id("ac")}
    assert log.answer(log.operator, "account.registered", body, **off(log, OFF)) == "clock"
    seq = forced(log, log.operator, "account.registered", body, **off(log, OFF))
    log.wait(days=7)
    log.account()
    write_files(log.export(), place)
    with pytest.raises(Tampered, match=rf"^entry {seq}: its author's clock is {OFF} ms off"):
        verify_export(place, log.vkeys)


def test_the_limit_of_clocks_is_inclusive_on_both_sides_of_a_change(place: Path) -> None:
    log = between(NARROW, WIDE)
    log.wait(days=7)
    for by in (NARROW, -NARROW):
        body = {"account": log.id("ac")}
        log.do(log.operator, "account.registered", body, **off(log, by))
    body = {"account": log.id("ac")}
    assert log.answer(log.operator, "account.registered", body, **off(log, NARROW + 1)) == "clock"
    write_files(log.export(), place)
    assert verify_export(place, log.vkeys).size == len(log.entries)
    seq = forced(log, log.operator, "account.registered", body, **off(log, NARROW + 1))
    write_files(log.export(), place.with_name("bent"))
    with pytest.raises(Tampered, match=rf"^entry {seq}: its author's clock"):
        verify_export(place.with_name("bent"), log.vkeys)


# Editions of the registry


def charted(edition: int) -> tuple[MemoryLog, Person, Person]:
    """A log of that edition with a doctor and a patient."""
    log = MemoryLog(edition=edition)
    admin = log.admin(log.hospital())
    doctor = log.doctor(admin)
    return log, doctor, log.patient(admin)


def revoked_v2(log: MemoryLog, doctor: Person, patient: Person) -> int:
    """A later version of a type whose entries go the quick way."""
    body = {"grantee": doctor.account, "purpose": "PATRQT"}
    return forced(log, patient, "access.revoked", body, v=2, decision=PERMIT)


def hidden(log: MemoryLog, doctor: Person, patient: Person) -> int:
    """A type that came later."""
    record = log.upload(doctor, patient).event.body["record"]
    body = {"record": record, "purpose": "PATRQT"}
    return forced(log, patient, "record.hidden", body, patient, decision=PERMIT)


def granted_v2(log: MemoryLog, doctor: Person, patient: Person) -> int:
    """A later version of a type that goes the long way."""
    body = log.grant_body(doctor.account)
    return forced(log, patient, "access.granted", body, v=2, decision=PERMIT)


def refused_inside(log: MemoryLog, doctor: Person, patient: Person) -> int:
    """A refused reading of a type that came later."""
    asked = log.event(doctor, "chart.opened", {"purpose": "TREAT"}, patient)
    body = {"event": asked.value, "sig": log.sign(doctor, asked).json()}
    denied = PERMIT | {"effect": "deny", "rule": "S12", "reason": "no_consent"}
    service = log.service
    return forced(log, service, "access.refused", body, patient, decision=denied)


@pytest.mark.parametrize("newer", [revoked_v2, hidden, granted_v2, refused_inside])
def test_a_type_of_a_newer_edition_does_not_stand_under_an_older_one(
    place: Path, newer: Any
) -> None:
    for edition in (1, 2):
        log, doctor, patient = charted(edition)
        if (
            newer is revoked_v2
        ):  # so that its signer was seen, and found good, under the first version
            log.grant(patient, doctor.account)
            log.do(patient, "access.revoked", {"grantee": doctor.account, "purpose": "PATRQT"})
        seq = newer(log, doctor, patient)
        write_files(log.export(), place.with_name(f"edition-{edition}"))
        if edition == 2:
            assert verify_export(place.with_name("edition-2"), log.vkeys).size == seq + 1
            continue
        with pytest.raises(Tampered, match=rf"^entry {seq}: .*the registry in force does not have"):
            verify_export(place.with_name("edition-1"), log.vkeys)


# What a log says it lost


def restored(log: MemoryLog, lost: int) -> int:
    size = len(log.entries)
    root = b64encode(root_of(size, log.node))
    body = {"last_root": root, "last_size": size + lost, "root": root, "size": size}
    return log.do(log.operator, "ledger.restored", body).link.seq


def test_every_restore_is_named_with_what_is_in_doubt(place: Path, tmp_path: Path) -> None:
    log, _, _ = charted(2)
    seqs = [restored(log, 3), restored(log, 1), restored(log, 0)]
    write_files(log.export(), place)
    verified, audited = verify_export(place, log.vkeys), audit_export(place, log.vkeys)
    for found in (verified, audited):
        assert [said.seq for said in found.restored] == seqs
        assert [said.lost for said in found.restored] == [3, 1, 0]
        first, second, third = (line for line in found.lines() if line.startswith("RESTORED: "))
        assert f"what stood as {seqs[0]} to {seqs[0] + 2} is lost" in first
        assert f"what stood as {seqs[1]} is lost" in second
        assert "no acknowledged entry is known to be lost" in third
        assert found.lines()[-1].startswith("good")
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{key}\n" for key in log.vkeys))
    for command in ("verify", "audit"):
        elsewhere = Settings(data=tmp_path / "none", database_url="")
        told = heartwood(elsewhere, command, place, "--vkey", keys, "--json")
        said = told.json["restored"]
        assert [(one["seq"], one["size"], one["last_size"]) for one in said] == [
            (seq, seq, seq + lost) for seq, lost in zip(seqs, (3, 1, 0), strict=True)
        ]


def test_nobody_signs_after_an_approval_has_ended(place: Path) -> None:
    """Also not whom the verifier took for a doctor an entry before: the end comes without any entry."""
    log = MemoryLog()
    admin = log.admin(log.hospital())
    doctor, system = log.doctor(admin), log.system(admin)
    patient = log.patient(system)
    body = {
        "account": doctor.account,
        "end": format_time(log.now + MINUTE_MS),
        "profession": "nurse",
    }
    log.do(admin, "doctor.ended", {"account": doctor.account})
    log.do(admin, "doctor.approved", body, v=2)
    for _ in range(3):
        log.upload(doctor, patient)
    log.wait(milliseconds=MINUTE_MS)
    assert log.answer(doctor, "record.uploaded", log.record_body(), patient).startswith("deny S0")
    seq = forced(log, doctor, "record.uploaded", log.record_body(), patient, decision=PERMIT)
    write_files(log.export(), place)
    with pytest.raises(Tampered, match=f"entry {seq}: .* not an active doctor"):
        verify_export(place, log.vkeys)
