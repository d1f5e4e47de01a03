"""What the child processes do in the tests of races and backups."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from api.app.maintenance import opened_stores, secrets_of
from api.app.settings import Settings
from client import beside, grants, registering
from client.local import LocalClient
from client.registering import NewPatient
from identity.actors import Actor, new_id
from journeys.errors import Forbidden
from ledger.errors import Refused
from ledger.sequencer import Appended
from records import opening
from records.uploads import Upload
from storage.clock import wall_clock
from storage.maintenance.backup import back_up
from tests.support.inside import opened

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Bundle:
    """Events of one author under one signature, as they come in."""

    raws: tuple[bytes, ...]
    key: str
    value: bytes


def send_bundles(
    settings: Settings, bundles: Sequence[Bundle], barrier: Barrier, answer: Connection
) -> None:
    """Append bundles one after the other; answers (event id, number, fresh) of each event."""
    ledger = opened(settings)
    barrier.wait(PATIENCE_SECONDS)
    out: list[tuple[str, int, bool]] = []
    for bundle in bundles:
        proposals = ledger.signatures.bundle(bundle.raws, bundle.key, bundle.value)
        for outcome in ledger.append(proposals):
            assert isinstance(outcome, Appended), outcome
            out.append((outcome.entry.event.id, outcome.entry.link.seq, outcome.fresh))
    ledger.close()
    answer.send(out)


def register_each(
    settings: Settings,
    who: Actor,
    name: str,
    patients: Sequence[str],
    barrier: Barrier,
    answer: Connection,
) -> None:
    """Register each patient's id at the same moment as others; answers the code of each refusal or ""."""
    ledger, out = opened(settings), []
    for patient in patients:
        new = NewPatient(patient, new_id("ac", ledger.clock()), name, None, False, None)
        barrier.wait(PATIENCE_SECONDS)
        try:
            registering.register_patients(LocalClient(ledger), who, [new])
            out.append("")
        except Forbidden:
            out.append("no_key")
        except Refused as refusal:
            out.append(refusal.code)
    ledger.close()
    answer.send(out)


def grant_and_revoke(
    settings: Settings, patient: str, who: Actor, grantee: str, rounds: int, barrier: Barrier
) -> None:
    """Grant before each round, revoke within it."""
    ledger, chance = opened(settings), random.Random(1)
    for _ in range(rounds):
        grants.grant(LocalClient(ledger), who, patient, grantee)
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 500)
        grants.revoke(LocalClient(ledger), who, patient, grantee)
        barrier.wait(PATIENCE_SECONDS)
    ledger.close()


def read_each_round(
    settings: Settings, record: str, who: Actor, rounds: int, barrier: Barrier, answer: Connection
) -> None:
    """Read while the other revokes; answers the kind of each outcome."""
    ledger, chance = opened(settings), random.Random(2)
    found, out = opening.find_record(ledger, record), []
    for _ in range(rounds):
        proposals = [beside.reading(ledger, who, found, "TREAT") for _ in range(3)]
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 500)
        out += [type(ledger.append([proposal])[0]).__name__ for proposal in proposals]
        barrier.wait(PATIENCE_SECONDS)
    ledger.close()
    answer.send(out)


def exclude_and_include(
    settings: Settings, patient: str, who: Actor, reader: str, rounds: int, barrier: Barrier
) -> None:
    """Exclude within each round, lift it after."""
    ledger, chance = opened(settings), random.Random(3)
    for _ in range(rounds):
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 200)
        grants.exclude(LocalClient(ledger), who, patient, reader)
        barrier.wait(PATIENCE_SECONDS)
        grants.include(LocalClient(ledger), who, patient, reader)
    ledger.close()


def declare_and_read(
    settings: Settings, record: str, who: Actor, rounds: int, barrier: Barrier, answer: Connection
) -> None:
    """Declare an emergency and read in it while the other excludes; answers the kind of each outcome."""
    ledger, chance = opened(settings), random.Random(4)
    found, out = opening.find_record(ledger, record), []
    client, patient = LocalClient(ledger), f"patient/{found.patient}"
    text = client.seal(who, found.patient, found.patient, f"ev_{'0' * 26}", {"text": "Fell"})[0][
        "text"
    ]
    said = {"purpose": "BTG", "reason": "other", "text": text}
    for _ in range(rounds):
        declared = who.event("emergency.declared", patient, said, ledger.clock())
        proposals = beside.propose(ledger, who, [declared])
        proposals += [beside.reading(ledger, who, found, "BTG") for _ in range(2)]
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 200)
        out += [type(ledger.append([proposal])[0]).__name__ for proposal in proposals]
        barrier.wait(PATIENCE_SECONDS)
    ledger.close()
    answer.send(out)


# Backups.


def back_up_until(
    settings: Settings, directory: Path, keeper: Path, event: str, count: int
) -> None:
    """Make a backup, and kill this process right before the `count`th of an audit event of Python's."""
    left = [count]

    def watch(name: str, _: Any) -> None:
        if name == event:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    with opened_stores(settings, anchored=True) as stores:
        apart = (secrets_of(settings), keeper)
        sys.addaudithook(watch)
        back_up(stores, settings.data / "heartwood.json", directory, wall_clock(), apart)


def upload_one(
    settings: Settings, system: Actor, patient: str, content: bytes, answer: Connection
) -> None:
    """Upload one record, and answer its blob's id once that is acknowledged."""
    ledger = opened(settings)
    one = Upload(patient, "laboratory", "text/plain", [content])
    answer.send(beside.upload(ledger, system, [one])[0].blob)
    ledger.close()
