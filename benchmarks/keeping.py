"""The key keeper: releases by itself, what it costs appends to be read by it and by a witness, how far it is behind."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from api.app.layout import keeper_place
from api.app.opening import open_ledger
from benchmarks.append import BATCH, CALLERS, EVENTS, append_signed
from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace
from benchmarks.serving import readable
from client import beside
from client.witnesses import WitnessConnection
from keeper.process import open_keeper
from ledger.facts import sha256_of
from ledger.sequencer import Appended
from ledger.witnesses import WitnessPolicy
from records.opening import SettledReading, find_record
from storage.cosigning import WitnessFeed
from storage.evidence import of_reading
from storage.feeding import feed, feeding
from storage.ledger import Ledger
from tests.support.witnesses import new_witness, witness_serving

PATIENTS = 500
RELEASES = 2_000
ROUNDS = 3
LOOK_SECONDS = 0.05
"""How often it is looked how far the keeper has read."""


def figures() -> list[Figure]:
    """The rows of the keeper."""
    with workplace() as place:
        fixture = BenchFixture.build(place, PATIENTS)
        fixture.ledger.close()
        fixture.ledger = open_ledger(fixture.settings)  # whose keeper is a process of its own
        feed(fixture.ledger, fixture.ledger.head().size)
        alone = max(_appended(fixture) for _ in range(ROUNDS))
        feed(fixture.ledger, fixture.ledger.head().size)  # which nobody did meanwhile
        with feeding(fixture.ledger, lambda standing: None):
            with _lag(fixture.ledger) as behind:
                followed = max(_appended(fixture) for _ in range(ROUNDS))
            with _witnessed(fixture.ledger, place) as cosigned:
                witnessed = max(_appended(fixture) for _ in range(ROUNDS))
        note = f", {cosigned():,} entries cosigned"
        out = [
            Figure.of("append, followed", followed, alone),
            Figure.of("append, witnessed", witnessed, alone, note),
            Figure.of("keeper behind", max(behind)),
        ]
        fixture.ledger.close()
    with workplace() as place:
        fixture = BenchFixture.build(place, PATIENTS)
        out.append(Figure.of("releases", max(_released(fixture) for _ in range(ROUNDS))))
        fixture.ledger.close()
    return out


def _appended(fixture: BenchFixture) -> float:
    """Events a second, each signed."""
    events = fixture.signed(fixture.uploads(EVENTS))
    return EVENTS / append_signed(fixture, events, BATCH, CALLERS)


@contextmanager
def _lag(ledger: Ledger) -> Iterator[list[float]]:
    """For how many seconds the oldest entry had lain that the keeper had not read, each time it was looked."""
    stop, found, came = threading.Event(), [0.0], list[tuple[int, float]]()

    def look() -> None:
        while not stop.wait(LOOK_SECONDS):
            now = time.monotonic()
            came.append((ledger.head().size, now))
            read = ledger.keeper.standing().size
            while came and came[0][0] <= read:
                came.pop(0)
            found.append(now - came[0][1] if came else 0.0)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


@contextmanager
def _witnessed(ledger: Ledger, place: Path) -> Iterator[Callable[[], int]]:
    """The log is cosigned by `heartwood witness serve`, a process of its own; gives what tells how far it was.

    Raises RuntimeError where nothing was cosigned by the end.
    """
    vkeys = new_witness(place / "witness", ledger.vkeys)
    with witness_serving(place / "witness") as url, closing(WitnessConnection()) as connection:
        policy = f"log {ledger.vkeys[0]}\nwitness one {vkeys[0]} {url}\nquorum one\n"
        ledger.witnesses = WitnessPolicy.parse(policy.encode())
        with WitnessFeed(ledger, ledger.witnesses, connection.ask).running():
            yield lambda: found.size if (found := ledger.cosigned()) else 0
        if ledger.cosigned() is None:
            raise RuntimeError("the witness cosigned nothing")


def _released(fixture: BenchFixture) -> float:
    """Releases a second of processor time, by a keeper in this process: without messages, and without its callers."""
    ledger = fixture.ledger
    doctor, records = readable(fixture)
    with closing(open_keeper(keeper_place(fixture.settings, ledger.vkeys))) as keeper:
        asked = []
        for number in range(RELEASES):
            record = find_record(ledger, records[number % len(records)].record)
            committed = ledger.submit([beside.reading(ledger, doctor, record, "TREAT")]).result()
            (outcome,) = committed.outcomes
            assert isinstance(outcome, Appended)
            reading = SettledReading(outcome.entry, outcome.shown, committed)
            keys = ledger.keys.of_version(reading.version.blob, record.record, record.patient)
            asked.append((of_reading(ledger, committed, reading.entry), keys.blob, reading))
        feed(ledger, ledger.head().size)
        size = ledger.head().size
        # Of the first reading of each record the keeper is shown its upload, too.
        uploads = {
            reading.version.seq: number for number, (_, _, reading) in reversed([*enumerate(asked)])
        }
        first = {number: [ledger.entry(seq).raw] for seq, number in uploads.items()}
        evidence = [
            shown.since(size, first.get(number, ())) for number, (shown, _, _) in enumerate(asked)
        ]
        began = time.process_time()
        for given, (_, wrapped, reading) in zip(evidence, asked, strict=True):
            key = keeper.release(given, wrapped, reading.record.record, sha256_of(reading.version))
            assert isinstance(key, bytes), key
        return RELEASES / (time.process_time() - began)
