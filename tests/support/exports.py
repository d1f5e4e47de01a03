"""Exports for tests of verifiers: honest ones, and a forger who holds the keys to rewrite them.

    export = small(tmp_path)
    forger = Forger(export)
    forger.rows[7]["event"]["body"]["size"] = 1
    files = forger.publish()

The honest ones come from the real journeys on SQLite. The forger is an operator turned evil: with the
log's own keys it chains, hashes and signs again whatever was put into `rows`. Its tree is built with
the independent reader's functions, so that a mistake of the product's can't hide in the forgery.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from api.app.layout import MARKER, SEEDS
from api.app.logkeys import pairs
from api.app.settings import Settings
from client import beside, grants, readings
from client.beside import append
from client.local import LocalClient
from client.registering import AddedHospital
from client.signers import possession
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_X25519, key_id
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied
from journeys.sealing import reserve
from keeper.protocol import KeyRequest
from keeper.roots import load_root
from ledger.errors import Tampered
from ledger.event import sign_event
from ledger.layout import Read
from ledger.times import DAY_MS, format_time, parse_time
from ledger.types import REGISTRY
from records import opening
from records.uploads import Upload, Uploaded
from storage.exports import write_export
from storage.ledger import Ledger
from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.memory_log import with_manifest
from tests.tilereader import leaf_hash, tile_layout, tile_path, tree_hash

ORIGIN = "heartwood.example/exports"
TILE_WIDTH = 256
LARGE = 600
"""Least entries of the large export: two full bundles, a third one, tiles on level 1."""
BATCH_UPLOADS = 300

Files = dict[str, bytes]
Row = dict[str, Any]
"""An entry as JSON; its links are written anew by `Forger.publish`."""


@dataclass(frozen=True)
class KeyHolders:
    """Who is in an export, each with the key that signs."""

    operator: Actor
    service: Actor
    auditor: Actor
    north: AddedHospital
    """Wrote every record."""
    south: AddedHospital
    author: Actor
    """A doctor of the north."""
    reader: Actor
    """A doctor of the south who was granted the chart, until that was revoked."""
    stranger: Actor
    """A colleague of the reader, granted nothing."""
    patient: Actor
    chart: str
    neighbour: Actor
    other_chart: str
    revoked: Actor
    """The patient, under a key that was revoked."""


@dataclass(frozen=True)
class Export:
    """An honest export, everybody's keys, and receipts as people may have kept them."""

    files: Mapping[str, bytes]
    vkeys: list[str]
    signer: LogSigner
    people: KeyHolders
    older: bytes
    """A receipt from before the last entries."""
    receipts: list[bytes]
    """One of each entry, in order."""
    data: Path
    """The ledger's data directory."""

    @functools.cached_property
    def entries(self) -> list[bytes]:
        """The stored bytes of each entry."""
        return [raw for _, raw in sorted(self._framed())]

    @property
    def size(self) -> int:
        """Entries in the log."""
        return len(self.entries)

    def _framed(self) -> Iterator[tuple[int, bytes]]:
        for path in self.files:
            if path.startswith("tile/entries/"):
                for raw in unframed(self.files[path]):
                    yield json.loads(raw)["seq"], raw


def small(place: Path) -> Export:
    """About fifty entries of every kind, from a ledger that is made in `place`."""
    return _made(place, lambda ledger, people: None)


def large(place: Path) -> Export:
    """More than `LARGE` entries, most of them uploads in bundles of one signature each."""
    return _made(place, _many_uploads)


def _made(place: Path, more: Callable[[Ledger, KeyHolders], None]) -> Export:
    settings = Settings(
        data=place / "ledger", database_url="", blobs="", root=None, passphrase=None
    )
    fixture = LedgerFixture.found(settings, origin=ORIGIN)
    ledger = fixture.ledger
    try:
        people = _people(fixture)
        uploaded = _chart(ledger, people)
        more(ledger, people)
        older = ledger.receipts_now([uploaded[0].seq])[0].text()
        _consent(ledger, people, uploaded)
        write_export(ledger, place / "export")
        receipts = [ledger.receipt(seq)[0].text() for seq in range(ledger.head().size)]
    finally:
        ledger.close()
    seeds = [load_root(settings.data / "keys" / name, None) for name in SEEDS[:2]]
    return Export(
        files_of(place / "export"), list(vkeys(settings)), LogSigner(ORIGIN, *seeds), people, older,
        receipts, settings.data,
    )  # fmt: skip


def forgeable(ledger: Ledger, data: Path, place: Path) -> Export:
    """Any ledger's export for the forger, if `ORIGIN` is its origin; nobody's keys but the log's."""
    write_export(ledger, place)
    *_, newest = pairs(data / "keys")
    signer = LogSigner(ORIGIN, *(load_root(path, None) for path in newest))
    keys = [str(key) for key in signer.keys]
    return Export(files_of(place), keys, signer, cast(KeyHolders, None), b"", [], data)


def _people(fixture: LedgerFixture) -> KeyHolders:
    north, data = fixture.north, fixture.settings.data
    author, reader, stranger = fixture.doctor(north), fixture.doctor(), fixture.doctor()
    patient, neighbour = fixture.person(), fixture.person()
    marker = json.loads((data / MARKER).read_text())
    service_key = SigningKey(load_root(data / "keys" / "service.seed", None))
    service = Actor(ORIGIN, marker["service"], "service", "", service_key)
    auditor = _auditor(fixture.ledger, fixture.operator)
    return KeyHolders(
        fixture.operator, service, auditor, north, fixture.south, author, reader, stranger,
        patient.actor, patient.patient, neighbour.actor, neighbour.patient,
        _spare_keys(fixture.ledger, patient.actor),
    )  # fmt: skip


def _auditor(ledger: Ledger, operator: Actor) -> Actor:
    now, key = ledger.clock(), new_key()
    auditor = Actor(ORIGIN, new_id("ac", now), "auditor", "", key)
    term = {"start": format_time(now), "end": format_time(now + DAY_MS)}
    body = {"account": auditor.account}
    reserve(ledger, operator.account, [KeyRequest(auditor.account, (auditor.account,))])
    events = [
        operator.event("account.registered", f"account/{auditor.account}", body, now),
        operator.event("key.registered", f"account/{auditor.account}", key_body(auditor), now),
        operator.event("auditor.appointed", "ledger", body | term, now),
    ]
    append(ledger, operator, events)
    return auditor


def _spare_keys(ledger: Ledger, patient: Actor) -> Actor:
    """An X25519 key for the patient, and a second signing key; the actor that holds the second."""
    person, public = patient.in_role("person"), bytes(range(32))
    spare = Actor(ORIGIN, patient.account, "patient", "", new_key())
    can_not_sign = key_body(patient) | {
        "algorithm": "x25519",
        "key": key_id(ALGORITHM_X25519, public),
        "public_key": b64encode(public),
    }
    del can_not_sign["proof"]
    for body in (can_not_sign, key_body(spare)):
        stream = f"account/{patient.account}"
        append(ledger, person, [person.event("key.registered", stream, body, ledger.clock())])
    return spare


def key_body(actor: Actor) -> Row:
    """The body of a `key.registered` for an actor's key."""
    return {
        "account": actor.account,
        "algorithm": "ed25519",
        "custody": "device",
        "key": actor.key.id,
        "proof": possession(actor.key, ORIGIN, actor.account),
        "public_key": b64encode(actor.key.public),
    }


def _chart(ledger: Ledger, people: KeyHolders) -> list[Uploaded]:
    """A bundle of uploads by the system, and one upload of a doctor."""
    texts = [f"haemoglobin 13.{n} g/dl".encode() for n in range(4)]
    bundle = [
        Upload(people.chart, "laboratory", "text/plain", [text], title="Blutbild") for text in texts
    ]
    letter = Upload(
        people.chart, "document", "text/plain", [b"Dear colleague"], labels=("PSY",), sensitive=True
    )
    made = beside.upload(ledger, people.north.system, bundle)
    return made + beside.upload(ledger, people.author, [letter])


def _many_uploads(ledger: Ledger, people: KeyHolders) -> None:
    while ledger.head().size < LARGE:
        one = Upload(people.other_chart, "laboratory", "text/plain", [b"."])
        beside.upload(ledger, people.north.system, [one] * BATCH_UPLOADS)


def _consent(ledger: Ledger, people: KeyHolders, uploaded: Sequence[Uploaded]) -> None:
    """Granted, read, refused, revoked, refused; looked at; and at last a key is revoked."""
    patient, chart, reader = people.patient, people.chart, people.reader
    first = uploaded[0].record
    grants.grant(LocalClient(ledger), patient, chart, reader.account)
    grants.grant(
        LocalClient(ledger), patient, chart, people.south.hospital, [first], days=7, uses=1
    )
    _read(ledger, reader, first)
    _read(ledger, patient, first)
    _read(ledger, people.author, first)
    _refused(ledger, people.stranger, uploaded[1].record)
    grants.revoke(LocalClient(ledger), patient, chart, reader.account)
    _refused(ledger, reader, uploaded[1].record)
    readings.history(LocalClient(ledger), patient, chart, "PATRQT")
    readings.history(LocalClient(ledger), people.auditor, chart, "HLEGAL")
    person = patient.in_role("person")
    body = {"account": person.account, "key": people.revoked.key.id}
    event = person.event("key.revoked", f"account/{person.account}", body, ledger.clock())
    append(ledger, person, [event])


def _read(ledger: Ledger, actor: Actor, record: str) -> None:
    row = opening.find_record(ledger, record)
    shown = opening.open_record(ledger, beside.reading(ledger, actor, row, "TREAT"))
    assert b"".join(shown.content)


def _refused(ledger: Ledger, actor: Actor, record: str) -> None:
    try:
        _read(ledger, actor, record)
    except AccessDenied:
        return
    raise AssertionError("a reading that nobody granted was given")


# Exports as files


def files_of(directory: Path) -> Files:
    """Every file below a directory, by path."""
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def write_files(files: Mapping[str, bytes], directory: Path) -> Path:
    """Put files into a new directory, which it gives."""
    for path, data in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory


def replaced(export: Export, changes: Mapping[str, bytes | None]) -> Files:
    """The files with some replaced or, for None, left out, and a manifest that fits."""
    kept = {path: data for path, data in export.files.items() if path not in changes}
    return with_manifest(kept | {path: data for path, data in changes.items() if data is not None})


def reader(files: Mapping[str, bytes]) -> Read:
    """The `read` that the verifier takes."""

    def read(path: str) -> bytes:
        if path not in files:
            raise Tampered(f"{path}: missing")
        return files[path]

    return read


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The data with one bit of byte `at` turned over."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def framed(entries: Iterable[bytes]) -> bytes:
    """An entry bundle."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unframed(bundle: bytes) -> Iterator[bytes]:
    """The entries of a bundle."""
    at = 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        yield bundle[at + 2 : end]
        at = end


# Forgeries


def canonical(value: Any) -> bytes:
    """Canonical JSON by the standard library, for what was canonical before."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def tree_files(entries: Sequence[bytes]) -> Files:
    """Entry bundles and hash tiles of a log."""
    files, leaves = {}, [leaf_hash(entry) for entry in entries]
    for start in range(0, len(entries), TILE_WIDTH):
        part = entries[start : start + TILE_WIDTH]
        files[tile_path("entries", start // TILE_WIDTH, len(part))] = framed(part)
    for level, index, width in tile_layout(len(entries)):
        step, first = TILE_WIDTH**level, index * TILE_WIDTH
        nodes = (leaves[n * step : (n + 1) * step] for n in range(first, first + width))
        files[tile_path(level, index, width)] = b"".join(map(tree_hash, nodes))
    return files


def signed(
    export: Export, entries: Sequence[bytes], signer: LogSigner | None = None, **head: Any
) -> Files:
    """An export of these entries: tiles, checkpoint and manifest made for them.

    `head` replaces origin, size or root of the checkpoint; `signer` the log's own.
    """
    root = tree_hash([leaf_hash(entry) for entry in entries])
    said = head.get("origin", ORIGIN), head.get("size", len(entries)), head.get("root", root)
    seconds = parse_time(row_of(export.entries[-1])["time"]) // 1000
    note = (signer or export.signer).sign(Checkpoint(*said), seconds)
    kept = {path: data for path, data in export.files.items() if not path.startswith("tile/")}
    return with_manifest(kept | tree_files(entries) | {"checkpoint": note})


@dataclass
class Forger:
    """Rewrites a log at will: alter `rows`, add to them, then `publish`."""

    export: Export
    mend_decisions: bool = True
    """Whether each decision's `as_of` is written anew, too."""
    rows: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        """Starts from what the export holds."""
        self.rows = [json.loads(raw) for raw in self.export.entries]

    @property
    def now(self) -> int:
        """The time of the last entry, Unix ms."""
        return parse_time(self.rows[-1]["time"])

    def find(self, kind: str, nth: int = 0) -> int:
        """The number of the `nth` entry of a type."""
        return [n for n, row in enumerate(self.rows) if row["event"]["type"] == kind][nth]

    def add(self, actor: Actor, kind: str, body: Row, stream: str, **bent: Any) -> int:
        """Put in an event signed by `actor`, with the decision its type needs; gives its number.

        `bent`: `before` (put in before that entry), `key` (signs instead of the actor's own),
        `time` and `at` (Unix ms), `id`, `decision` (None leaves it out).
        """
        number: int = bent.get("before", len(self.rows))
        time = bent.get("time", parse_time(self.rows[number - 1]["time"]))
        event = actor.event(kind, stream, body, bent.get("at", time), bent.get("id"))
        row = {"event": event, "time": format_time(time), "decision": bent.get("decision", PERMIT)}
        if row["decision"] is None or not ("decision" in bent or REGISTRY[kind, 1].gated):
            del row["decision"]
        self.rows.insert(number, row)
        self.sign(number, bent.get("key") or actor.key)
        return number

    def sign(self, number: int, key: SigningKey) -> None:
        """Sign an entry's event again."""
        self.rows[number]["sig"] = signature(key, self.rows[number]["event"])

    def entries(self) -> list[bytes]:
        """The entries with numbers and both chains written anew."""
        entries: list[bytes] = []
        tip, streams = bytes(32), dict[str, tuple[int, bytes]]()
        for seq, row in enumerate(self.rows):
            stream = row["event"]["stream"]
            length, last = streams.get(stream, (0, bytes(32)))
            links = {"prev": b64encode(tip), "seq": seq}
            links |= {"stream_prev": b64encode(last), "stream_seq": length}
            decision = row.get("decision")
            if decision is not None and self.mend_decisions:
                links["decision"] = decision | {"as_of": seq - 1}
            entries.append(canonical(row | links))
            tip = leaf_hash(entries[-1])
            streams[stream] = length + 1, tip
        return entries

    def publish(self, **head: Any) -> Files:
        """The forged export: chained, hashed and signed by the log's own keys."""
        return signed(self.export, self.entries(), **head)


PERMIT: Row = {
    "as_of": 0, "assurance": 3, "basis": [], "effect": "permit", "policy": 0, "rule": "S6",
}  # fmt: skip


def signature(key: SigningKey, event: Row) -> Row:
    """The `sig` of an event signed alone."""
    return sign_event(key, ORIGIN, canonical(event)).json()


def row_of(entry: bytes) -> Row:
    """An entry as JSON."""
    row: Row = json.loads(entry)
    return row
