"""HTTP on loopback, the load generator beside it: one event a request, bundles, readings; SQLite, PostgreSQL."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.fixture import ORIGIN, BenchFixture
from benchmarks.load import request, write_requests
from benchmarks.measure import Figure, workplace
from benchmarks.targets import TARGETS
from client import beside, registering
from client.local import LocalClient
from crypto.encoding import b64encode
from identity.actors import Actor, new_key
from ledger.event import Event, sign_bundle, sign_event
from records.opening import find_records
from records.uploads import Upload
from storage.feeding import feed
from tests.support.postgres import Cluster

CLIENTS = 32
WORKERS = 2
"""One a core."""
EVENTS = 12_000
BUNDLES = 30
BUNDLE = 500
READINGS = 6_000
CONTENT = os.urandom(10_240)
ROUNDS = 5
"""The best one counts, for the rate and for the 99th percentile; the machine is shared."""
WAIT_SECONDS = 30

Load = dict[str, Any]


@contextmanager
def server(fixture: BenchFixture, workers: int) -> Iterator[int]:
    """`heartwood serve` on the fixture's ledger, which is closed meanwhile; the port."""
    feed(fixture.ledger, fixture.ledger.head().size)  # what came before isn't what is measured
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "HEARTWOOD_DATA": str(fixture.settings.data),
        "HEARTWOOD_DATABASE_URL": fixture.settings.database_url,
    }
    command = [
        str(Path(sys.executable).with_name("heartwood")),
        "serve",
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    # Its log goes to a file, as under a supervisor: what it costs is part of the figures.
    with (fixture.settings.data / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=log)
    try:
        _await_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def _await_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not come up")


def load(port: int, place: Path, requests: Sequence[bytes], clients: int = CLIENTS) -> Load:
    """Send the requests from a process of its own; raises SystemExit unless all are answered by 200."""
    path = place / "requests"
    write_requests(path, requests)
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(clients), str(path)]
    out: Load = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if out["statuses"] != {"200": len(requests)}:
        raise SystemExit(f"expected {len(requests)} good answers, got {out['statuses']}")
    return out


def single(fixture: BenchFixture, count: int) -> list[bytes]:
    """Requests of one signed upload each."""
    return [
        request(
            "POST", "/v1/events", b'{"event":%b,"sig":%b}' % (one.raw, _sig(one.key, one.value))
        )
        for one in fixture.signed(fixture.uploads(count))
    ]


def bundled(fixture: BenchFixture, count: int) -> list[bytes]:
    """Requests of bundles of 500 uploads."""
    out = []
    for _ in range(count):
        events = fixture.uploads(BUNDLE)
        sig = sign_bundle(fixture.system.key, ORIGIN, events)[0]
        body = b'{"events":[%b],"sig":%b}' % (b",".join(events), _sig(sig.key, sig.value))
        out.append(request("POST", "/v1/bundles", body))
    return out


def readings(
    fixture: BenchFixture, doctor: Actor, records: Sequence[Any], count: int
) -> list[bytes]:
    """Requests of one signed reading each, round the records."""
    out = []
    for number in range(count):
        record = records[number % len(records)]
        body = {
            "blob": record.versions[0].blob,
            "purpose": "TREAT",
            "record": record.record,
            "version": 1,
        }
        event = doctor.event(
            "record.opened", f"patient/{record.patient}", body, fixture.ledger.clock()
        )
        raw = Event.of(event).raw
        sig = sign_event(doctor.key, ORIGIN, raw)
        sent = b'{"event":%b,"sig":%b}' % (raw, _sig(sig.key, sig.value))
        out.append(request("POST", f"/v1/records/{record.record}/content", sent))
    return out


def _sig(key: str, value: bytes) -> bytes:
    return orjson.dumps({"key": key, "value": b64encode(value)})


def figures() -> list[Figure]:
    """Rows on SQLite, and the same on PostgreSQL."""
    out = []
    with workplace() as place:
        out += _measure(place, "", "SQLite")
    with workplace() as place, Cluster.start() as cluster:
        out += _measure(place, cluster.database(), "PostgreSQL")
    return out


def _measure(place: Path, url: str, where: str) -> list[Figure]:
    fixture = BenchFixture.build(place, 500, url)
    doctor, records = readable(fixture)
    with server(fixture, WORKERS) as port:
        one = _best(lambda: load(port, place, single(fixture, EVENTS)))
        many = _best(lambda: load(port, place, bundled(fixture, BUNDLES), 4))
        read = _best(lambda: load(port, place, readings(fixture, doctor, records, READINGS)))
    fixture.ledger.close()
    measured = {
        "http single": one[0], "http single p99": one[1], "http bundles": many[0] * BUNDLE,
        "http reading": read[0], "http reading p99": read[1],
    }  # fmt: skip
    if not url:
        return [Figure.of(name, value) for name, value in measured.items()]
    return [  # no target here
        Figure(TARGETS[name].what.replace("SQLite", where), value, TARGETS[name].unit)
        for name, value in measured.items()
    ]


def readable(fixture: BenchFixture) -> tuple[Actor, list[Any]]:
    """A doctor of the writing hospital, and records to read."""
    ledger = fixture.ledger
    doctor, _ = registering.add_member(
        LocalClient(ledger),
        fixture.admin,
        "doctor",
        fixture.system.hospital,
        "Dr. Bench",
        new_key(),
    )
    patients = fixture.patients[:100]
    beside.upload(
        ledger,
        fixture.system,
        [Upload(p, "laboratory", "application/octet-stream", [CONTENT]) for p in patients],
    )
    return doctor, [find_records(ledger, patient)[0] for patient in patients]


def _best(act: Callable[[], Load]) -> tuple[float, float]:
    """The highest rate (1/s) and the lowest 99th percentile (ms) of the rounds."""
    rounds = [act() for _ in range(ROUNDS)]
    return max(one["count"] / one["seconds"] for one in rounds), min(one["p99"] for one in rounds)
