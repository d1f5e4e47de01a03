"""Fifty kills at random moments: nothing acknowledged is lost, nothing half done, no hand needed."""

import hashlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.settings import Settings
from crypto.blobs import sealed_length
from crypto.encoding import b64decode
from ledger.entry import Entry
from ledger.merkle import leaf_hash
from storage.ledger import Ledger
from storage.staged import named_objects
from tests.integration.workers import CONTEXT, Crowd, act_for_ever, start
from tests.people import Town
from tests.postgres import Cluster

KILLS = 50
SERVER_KILLS = 5
VERIFY_EVERY = 10
LONGEST_MS = 150
"""Latest moment of a kill after the first acknowledgement."""
FIRST_SECONDS = 30.0
"""How long a child may take to its first acknowledgement."""
PATIENTS = 5
BLOB_EVENTS = ("record.uploaded", "record.amended")


@dataclass
class Witness:
    """What was acknowledged so far, and how far the log was looked at."""

    acknowledged: int = 0
    looked_at: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def check(self, ledger: Ledger, lines: list[str]) -> None:
        """Every acknowledged event is there byte for byte; every new entry has its keys and blobs."""
        for line in lines:
            event, seq, leaf = line.split(" ")
            entry = ledger.entry(int(seq))
            assert (entry.event.id, leaf_hash(entry.raw).hex()) == (event, leaf)
        self.acknowledged += len(lines)
        size = ledger.head().size
        with ledger.database.read() as connection:
            raws = ledger.store.range(connection, self.looked_at, size)
        entries = [Entry.parse(raw) for raw in raws]
        assert [e.link.seq for e in entries] == list(range(self.looked_at, size))
        assert_keys(ledger, entries)
        for entry in entries:
            name = entry.event.type.name
            self.counts[name] = self.counts.get(name, 0) + 1
        self.looked_at = size


def assert_keys(ledger: Ledger, entries: list[Entry]) -> None:
    """Whatever the entries name has its key rows, and every blob is whole."""
    names = {name for entry in entries for name in named_objects(entry.event)}
    bodies = {e.event.body["blob"]: e for e in entries if e.event.type.name in BLOB_EVENTS}
    names |= {(e.event.body["record"], e.event.subject) for e in bodies.values()}
    with ledger.database.read() as connection:
        objects = ledger.keys.object_keys(connection, list(names))
        blobs = {key.blob: key for key in ledger.keys.blob_keys(connection, list(bodies))}
    assert {(key.object, key.subject) for key in objects} == names
    assert blobs.keys() == bodies.keys()
    for blob, entry in bodies.items():
        body, key = entry.event.body, blobs[blob]
        assert (key.patient, key.record, key.author) == (
            entry.event.subject,
            body["record"],
            entry.event.actor,
        )
        assert key.sha256 == b64decode(body["sha256"], 32)
        assert ledger.blobs.size(blob) == sealed_length(body["size"])
        digest = hashlib.sha256(b"".join(ledger.blobs.read(blob))).digest()
        assert digest == key.sha256


def found(settings: Settings) -> tuple[Town, Crowd]:
    """A town, closed, and who will act in it."""
    town = Town.found(settings)
    people = tuple(town.person() for _ in range(PATIENTS))
    crowd = Crowd(town.north.system, town.doctor(), people)
    town.close()
    return town, crowd


def run_and_kill(
    settings: Settings,
    crowd: Crowd,
    chance: random.Random,
    before: Callable[[], None] = lambda: None,
) -> list[str]:
    """Let a child act, kill it some time after its first acknowledgement; the lines it reported.

    `before`: what is killed before the child.
    """
    reader, writer = CONTEXT.Pipe(duplex=False)
    child = start(act_for_ever, settings, crowd, writer, chance.getrandbits(32))
    writer.close()
    assert reader.poll(FIRST_SECONDS), "the child acknowledged nothing"
    time.sleep(chance.random() * LONGEST_MS / 1000)
    before()
    child.kill()
    child.join()
    # The last line may be cut off: then nobody was told.
    return _rest(reader).decode().split("\n")[:-1]


def _rest(reader: Any) -> bytes:
    data = b""
    while piece := os.read(reader.fileno(), 65_536):
        data += piece
    return data


def test_fifty_kills(settings: Settings) -> None:
    """After each kill the ledger opens, has what was acknowledged, and goes on."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown when it fails
    chance, witness = random.Random(seed), Witness()
    town, crowd = found(settings)
    for kill in range(1, KILLS + 1):
        lines = run_and_kill(settings, crowd, chance)
        assert not [line for line in lines if line.startswith("error")], lines[-1]
        town.reopen()  # with every check of the start
        witness.check(town.ledger, lines)
        if kill % VERIFY_EVERY == 0:
            report = town.verify()
            assert report.size >= witness.looked_at
        town.close()
    print(f"{witness.acknowledged} acknowledged, {witness.looked_at} entries, {witness.counts}")
    assert witness.acknowledged >= KILLS
    assert {"record.uploaded", "access.granted", "record.opened"} <= witness.counts.keys()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_database_server_is_killed(settings: Settings, cluster: Cluster) -> None:
    """PostgreSQL itself dies in the middle of it: what was acknowledged is there after its recovery."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance, witness = random.Random(seed), Witness()
    town, crowd = found(settings)
    for _ in range(SERVER_KILLS):
        lines = run_and_kill(settings, crowd, chance, cluster.kill)
        cluster.restart()
        town.reopen()
        witness.check(town.ledger, [line for line in lines if not line.startswith("error")])
        town.verify()
        town.close()
    assert witness.acknowledged >= SERVER_KILLS
