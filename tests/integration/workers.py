"""What the child processes do in the tests of kills and races.

They are forked from a server that has everything imported, so that one is there in a few milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from api.bootstrap import open_ledger, opened_stores, secrets_of
from api.settings import Settings
from identity.actors import Actor, new_id, new_key
from ledger.errors import Refused
from ledger.merkle import leaf_hash
from ledger.sequencer import Appended, Outcome, Proposal
from records import directory, disclosures, grants, uploads
from records.desk import Near
from records.directory import NewPatient
from records.errors import AccessDenied, Forbidden
from records.uploads import Upload
from storage.backup import back_up
from storage.ledger import Ledger
from storage.log import wall_clock
from tests.people import Person

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "psycopg", "sqlite3"])
PATIENCE_SECONDS = 60.0
GRANT_SHARE = 0.6
"""Of the patients' acts in `act_for_ever`, how many are grants; the rest are revocations."""


@dataclass(frozen=True)
class Crowd:
    """Who acts in a child: a hospital's system, a doctor of another hospital, and patients."""

    system: Actor
    doctor: Actor
    patients: tuple[Person, ...]


@dataclass(frozen=True)
class Bundle:
    """Events of one author under one signature, as they come in."""

    raws: tuple[bytes, ...]
    key: str
    value: bytes


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a child; it ends with this process."""
    child = CONTEXT.Process(target=target, args=arguments, daemon=True)
    child.start()
    return child


# Kills.


class Telling(Ledger):
    """A ledger that reports each acknowledged event on a pipe, one whole line at a time."""

    pipe: Connection

    def append(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """Append, and report what is acknowledged: event id, number, leaf hash."""
        outcomes = super().append(proposals)
        entries = [o.entry for o in outcomes if isinstance(o, Appended)]
        for e in entries:
            line = f"{e.event.id} {e.link.seq} {leaf_hash(e.raw).hex()}\n"
            os.write(self.pipe.fileno(), line.encode())
        return outcomes


def act_for_ever(settings: Settings, crowd: Crowd, pipe: Connection, seed: int) -> None:
    """Several threads upload, grant, read and register until somebody kills this process."""
    ledger = Telling(**vars(open_ledger(settings)))
    ledger.pipe = pipe
    threads = [
        threading.Thread(target=_repeat, args=(act, ledger, crowd, random.Random(seed + number)))
        for number, act in enumerate((_upload, _consent, _read, _register, _upload))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


Act = Callable[[Ledger, Crowd, random.Random], None]


def _repeat(act: Act, ledger: Telling, crowd: Crowd, chance: random.Random) -> None:
    try:
        while True:
            act(ledger, crowd, chance)
    except OSError:
        os._exit(1)  # nobody listens any more
    except BaseException as error:
        os.write(ledger.pipe.fileno(), f"error {error!r}\n".encode())
        os._exit(1)


def _upload(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    content = [chance.randbytes(chance.randrange(40_000))]
    many = [
        Upload(one.patient, "laboratory", "text/plain", content, title="Report")
        for _ in range(chance.randrange(1, 5))
    ]
    uploads.upload(ledger, crowd.system, many)


def _consent(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    if chance.random() < GRANT_SHARE:
        grants.grant(Near(ledger), one.actor, one.patient, crowd.doctor.account)
        return
    try:
        grants.revoke(Near(ledger), one.actor, one.patient, crowd.doctor.account)
    except Refused as refusal:
        if refusal.code != "unknown":  # nothing was granted so far
            raise


def _read(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    actor = one.actor if chance.random() < 0.5 else crowd.doctor
    records = ledger.records_of(one.patient)
    if not records:
        return
    proposal = disclosures.reading(ledger, actor, chance.choice(records), "TREAT")
    try:
        for _ in disclosures.open_record(ledger, proposal).content:
            pass
    except AccessDenied:
        pass
    except Refused as refusal:
        if refusal.code != "too_many_refusals":
            raise


def _register(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    now = ledger.clock()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kim", None, False, new_key())
    directory.register_patients(Near(ledger), crowd.system, [new])


# Races.


def send_bundles(
    settings: Settings, bundles: Sequence[Bundle], barrier: Barrier, answer: Connection
) -> None:
    """Append bundles one after the other; answers (event id, number, fresh) of each event."""
    ledger = open_ledger(settings)
    barrier.wait(PATIENCE_SECONDS)
    out: list[tuple[str, int, bool]] = []
    for bundle in bundles:
        proposals = ledger.intake.bundle(bundle.raws, bundle.key, bundle.value)
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
    ledger, out = open_ledger(settings), []
    for patient in patients:
        new = NewPatient(patient, new_id("ac", ledger.clock()), name, None, False, None)
        barrier.wait(PATIENCE_SECONDS)
        try:
            directory.register_patients(Near(ledger), who, [new])
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
    ledger, chance = open_ledger(settings), random.Random(1)
    for _ in range(rounds):
        grants.grant(Near(ledger), who, patient, grantee)
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 500)
        grants.revoke(Near(ledger), who, patient, grantee)
        barrier.wait(PATIENCE_SECONDS)
    ledger.close()


def read_each_round(
    settings: Settings, record: str, who: Actor, rounds: int, barrier: Barrier, answer: Connection
) -> None:
    """Read while the other revokes; answers the kind of each outcome."""
    ledger, chance = open_ledger(settings), random.Random(2)
    found, out = disclosures.find_record(ledger, record), []
    for _ in range(rounds):
        proposals = [disclosures.reading(ledger, who, found, "TREAT") for _ in range(3)]
        barrier.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() / 500)
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
