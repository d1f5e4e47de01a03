"""What an activity takes at least: each primitive it can't do without, alone, in the same run."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import make_url

from benchmarks.clinic import RECORD_BYTES, Clinic
from benchmarks.fixture import BenchFixture
from benchmarks.measure import one_thread_limit
from crypto.blobs import Sealer, open_stream
from crypto.signing import SigningKey
from ledger.merkle import leaf_hash, node_hash
from storage.sql.database import SQLITE_PAGE_BYTES, SQLITE_ROWS

ROUNDS = 5
TIMES = 2_000
CHECKPOINT_BYTES = 200
Costs = list[tuple[str, float]]
"""A primitive and its µs per unit."""


def of_append(fixture: BenchFixture, place: Path, batch: int, bundled: bool) -> Costs:
    """Of the events appended last."""
    entries = _last(fixture, batch)
    verify, share = _verify(), batch if bundled else 1
    rows, synced = _rows(fixture, place, batch)
    return [
        (f"Ed25519 verify, one {'a bundle' if bundled else 'an event'}", verify / share),
        ("SHA-256: leaf and node" + (", of the bundle's tree too" if bundled else ""), _hashes(entries) * (2 if bundled else 1)),
        ("JSON: parse the event once, write it once (orjson)", _json(entries)),
        ("ML-DSA-44 and Ed25519 over a checkpoint", _sign() / batch),
        ("SQLite: the same rows of entries, ids and records", rows),
        ("one sync of as many bytes", synced),
    ]  # fmt: skip


def of_reading(clinic: Clinic, place: Path, batch: int) -> Costs:
    """Of the readings appended last."""
    entries = _last(clinic.fixture, batch)
    rows, synced = _rows(clinic.fixture, place, batch)
    return [
        ("Ed25519 verify: by the log, and by the keeper", 2 * _verify()),
        ("SHA-256: leaf and node", _hashes(entries)),
        ("JSON: parse the event once, write it once (orjson)", _json(entries)),
        ("ML-DSA-44 and Ed25519 over a checkpoint: signed, and verified", (_sign() + _check()) / batch),
        ("SQLite: the same rows of entries and ids", rows),
        ("one sync of as many bytes", synced),
        (f"Cobblestone-256: open {RECORD_BYTES:,} bytes", _opening()),
    ]  # fmt: skip


def of_verify(target: Path) -> Costs:
    """Of an export's entries."""
    bundles = sorted((target / "tile" / "entries").rglob("*"))
    data = next(path for path in bundles if path.is_file()).read_bytes()
    entries = [data[at : at + len(data) // 256] for at in range(0, len(data) - 255, len(data) // 256)]  # fmt: skip
    return [
        ("Ed25519 verify", _verify()),
        ("SHA-256: leaf, node, and the file of the manifest", 2 * _hashes(entries)),
    ]


def _best(act: Callable[[], object], units: int) -> float:
    """µs a unit of the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - began)
    return best / units * 1e6


def _verify() -> float:
    return 1e6 / one_thread_limit()


def _hashes(entries: Sequence[bytes]) -> float:
    node = bytes(32)
    return _best(lambda: [node_hash(node, leaf_hash(entry)) for entry in entries], len(entries))


def _json(entries: Sequence[bytes]) -> float:
    events = [orjson.dumps(orjson.loads(entry)["event"]) for entry in entries]

    def act() -> None:
        for event in events:
            orjson.dumps(orjson.loads(event), option=orjson.OPT_SORT_KEYS)

    return _best(act, len(events))


def _sign() -> float:
    key, text = MLDSA44PrivateKey.generate(), bytes(CHECKPOINT_BYTES)
    ed25519 = SigningKey(bytes(32))
    return _best(lambda: [(key.sign(text), ed25519.sign(text)) for _ in range(100)], 100)


def _check() -> float:
    key, text = MLDSA44PrivateKey.generate(), bytes(CHECKPOINT_BYTES)
    public, signature = key.public_key(), key.sign(text)
    return _best(lambda: [public.verify(signature, text) for _ in range(100)], 100) + _verify()


def _opening() -> float:
    key, sealer = bytes(32), Sealer(bytes(32), b"")
    sealed = sealer.update(bytes(RECORD_BYTES)) + sealer.finalize()
    return _best(lambda: [list(open_stream(key, b"", iter([sealed]))) for _ in range(TIMES)], TIMES)


def _last(fixture: BenchFixture, count: int) -> list[bytes]:
    size = fixture.ledger.head().size
    return [entry.raw for entry in fixture.ledger.entries(range(size - count, size)).values()]


def _rows(fixture: BenchFixture, place: Path, batch: int) -> tuple[float, float]:
    """Inserting the last batch's rows once more, without sync; and writing and syncing their bytes."""
    ledger, copy = str(make_url(fixture.ledger.database.url).database), place / "rows.db"
    size = fixture.ledger.head().size
    source = sqlite3.connect(ledger)
    tables = {
        table: source.execute(f"SELECT * FROM {table} WHERE seq >= ?", (size - batch,)).fetchall()
        for table in ("entries", "event_ids", "records")
    }
    schema = source.execute("SELECT sql FROM sqlite_master WHERE tbl_name IN ('entries', 'event_ids', 'records') AND sql NOT NULL").fetchall()  # fmt: skip
    source.close()
    best, size_before = float("inf"), 0
    for _ in range(ROUNDS):
        target = sqlite3.connect(copy, isolation_level=None)
        for pragma in (
            f"page_size = {SQLITE_PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = OFF",
        ):
            target.execute(f"PRAGMA {pragma}")
        for (statement,) in schema:
            target.execute(statement)
        began = time.perf_counter()
        target.execute("BEGIN IMMEDIATE")
        for table, rows in tables.items():
            _insert(target, table, rows)
        target.execute("COMMIT")
        best = min(best, time.perf_counter() - began)
        size_before = Path(f"{copy}-wal").stat().st_size
        target.close()
        for file in place.glob("rows.db*"):
            file.unlink()
    return best / batch * 1e6, _synced(place, size_before) / batch


def _insert(target: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """As `Database.insert` does: SQLITE_ROWS rows a statement."""
    for start in range(0, len(rows), SQLITE_ROWS):
        part = rows[start : start + SQLITE_ROWS]
        marks = ", ".join(["(" + ", ".join("?" * len(part[0])) + ")"] * len(part))
        values = [value for row in part for value in row]
        target.execute(f"INSERT INTO {table} VALUES {marks}", values)


def _synced(place: Path, size: int) -> float:
    """Appending `size` bytes to a file and one sync, in µs."""
    data = bytes(size)
    with (place / "synced").open("wb", buffering=0) as file:

        def act() -> None:
            file.write(data)
            os.fdatasync(file.fileno())

        return _best(act, 1)
