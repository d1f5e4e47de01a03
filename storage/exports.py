"""Exports: the log as a directory that anyone can verify with standard tools."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.notes import Note, VerifierKey
from durable.errors import StorageError
from keeper.protocol import Keeper
from ledger.editions import edition_of
from ledger.entry import Entry
from ledger.handovers import HandOver
from ledger.layout import HANDOVER_PARTS, KEY_FILES, handover_path
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.registry import registry_json
from ledger.release_log import RELEASES
from ledger.tiles import (
    TILE_WIDTH,
    GrowingTiles,
    all_tiles,
    join_bundle,
    level_tiles,
    tile_path,
)
from ledger.witnesses import WitnessPolicy
from storage.ledger import Ledger
from storage.logkeys import hand_overs, keys_in
from storage.reader import LogReader, cosigned_under
from storage.sql.entries import EntryStore
from storage.stores import Stores

Put = Callable[[str, bytes], None]
"""What takes a file of an export: its path and its bytes."""
README = """This is an export of the transparency log {origin}: every act on every record, signed by its
author, without clinical content. It is a C2SP tiled log (tlog-tiles); entry bundles are in tile/entries.

    python -P -m ledger verify DIR --vkey FILE

checks all of it, and

    python -P -m consent audit DIR --vkey FILE

decides every access again. The file with the log's verifier keys must come from elsewhere: the log.vkey in
here proves nothing about where this directory comes from. Tools that take one key want log.ed25519.vkey
or log.mldsa44.vkey, which hold a line of it each.

releases/, where it is there, is the key keeper's own log of what it gave out, a C2SP tiled log too: audit compares
it with the readings. Its verifier keys, which come from elsewhere as well, go to --releases-vkey FILE.
"""


@dataclass(frozen=True)
class Releases:
    """The key keeper's own log of what it gave out."""

    checkpoint: bytes
    """Its signed note."""
    vkeys: Sequence[str]
    """Its verifier keys, Ed25519 first."""
    entries: Callable[[int, int], Sequence[bytes]]
    """The entries from one number to another, exclusive: those of one bundle."""


def releases_of(keeper: Keeper) -> Releases:
    """What a keeper has given out by now; raises KeeperUnavailable where it can't be asked.

    To be asked for before the log's own end is looked at: then each release has its reading there.
    """
    head = keeper.signed_releases()
    return Releases(
        head.checkpoint, head.vkeys, lambda start, end: keeper.releases(start, end - start)
    )


@dataclass(frozen=True)
class Source:
    """What an export is made of, wherever it comes from."""

    origin: str
    checkpoint: bytes
    """The signed note of `size` entries."""
    size: int
    vkeys: Sequence[str]
    """The log's verifier keys, Ed25519 first."""
    registry: bytes
    bundle: Callable[[int, int], bytes]
    """The entry bundle (number, width)."""
    tile: Callable[[int, int, int], bytes]
    """The hashes of a tile (level, number, width)."""
    policy: bytes = b""
    """The witness policy that the checkpoint meets; empty: none, as it demands no cosignature."""
    releases: Releases | None = None
    """What the key keeper gave out; None where that is left out."""
    handovers: Sequence[HandOver] = ()
    """The hand-overs of the log's keys, in order."""


def write_export(
    log: LogReader | Stores,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, size: None,
    policy: WitnessPolicy | None = None,
    keeper: Keeper | None = None,
) -> int:
    """Write the whole log into `directory` (new or empty); gives its size in entries. Needs no secrets.

    `keeper`: whose log of releases goes with it, by default that of an open ledger; of stores alone, without one, none.
    `policy`: the log's witness policy. An export ends at the newest checkpoint that meets it, if there is one; what
    was appended since is left out. `manifest` comes last, so an export that was cut off does not verify.
    """
    asked = log.keeper if keeper is None and isinstance(log, Ledger) else keeper
    releases = None if asked is None else releases_of(asked)
    with log.database.read() as connection:
        head = log.store.head(connection)
        if head is None:
            raise StorageError("there is no log to export")

        def bundle(number: int, width: int) -> bytes:
            start = number * TILE_WIDTH
            return join_bundle(log.store.range(connection, start, start + width))

        def tile(level: int, number: int, width: int) -> bytes:
            return log.store.tile(connection, level, number)[: width * HASH_BYTES]

        size, note, demanded = head.size, head.checkpoint, b""
        # What was appended and cosigned since this transaction began is none of what it reads.
        if policy is not None and (
            found := cosigned_under(log.store, policy, log.vkeys, head.size)
        ):
            size, note = found.size, found.note
        keys = keys_in(log.store, connection)
        vkeys = [str(key) for key in keys.at(size)]
        if policy is not None and note != head.checkpoint:
            demanded = policy.text(vkeys[0])
        edition = edition_of(_registry(log.store, connection, size) or head.registry)
        registry = registry_json(edition) if edition else registry_json()
        handovers = hand_overs(log.store, keys, size)
        source = Source(
            head.origin, note, size, vkeys, registry, bundle, tile, demanded, releases, handovers
        )
        return write_source(source, directory, progress)


def _registry(store: EntryStore, connection: Connection, size: int) -> bytes:
    """The hash of the registry that a log's first `size` entries name last."""
    for raw in reversed(store.stream(connection, "ledger", size)):
        event = Entry.stored(raw).event
        if event.type.name in ("ledger.created", "policy.changed"):
            return b64decode(event.body["registry"], HASH_BYTES)
    return b""


def check_empty(directory: Path) -> None:
    """Raises StorageError for a place that no export goes into; makes the folder, so that what can't be
    written shows before anything is done."""
    if directory.exists() and any(directory.iterdir()):
        raise StorageError(
            f"{directory} is not empty; an export goes into a new or empty directory"
        )
    directory.mkdir(parents=True, exist_ok=True)


def write_source(
    source: Source, directory: Path, progress: Callable[[int, int], None] = lambda done, size: None
) -> int:
    """Write an export from its parts; see `write_export`."""
    check_empty(directory)
    sums: dict[str, str] = {}

    def put(path: str, data: bytes) -> None:
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        sums[path] = hashlib.sha256(data).hexdigest()

    put("README", README.format(origin=source.origin).encode())
    put("checkpoint", source.checkpoint)
    _put_keys(put, source.vkeys)
    put("policy", source.policy or f"log {source.vkeys[0]}\nquorum none\n".encode())
    put("registry.json", source.registry)
    for number, one in enumerate(source.handovers, 1):
        for part, data in zip(HANDOVER_PARTS, one.parts(), strict=True):
            put(handover_path(number, part), data)
    for number, width in level_tiles(source.size, 0):
        put(tile_path("entries", number, width), source.bundle(number, width))
        progress(number * TILE_WIDTH + width, source.size)
    for level, number, width in all_tiles(source.size):
        put(tile_path(level, number, width), source.tile(level, number, width))
    if source.releases is not None:
        _put_releases(lambda path, data: put(f"{RELEASES}{path}", data), source.releases)
    lines = [f"{digest}  {path}\n" for path, digest in sorted(sums.items())]
    (directory / "manifest").write_bytes("".join(lines).encode())
    return source.size


def _put_keys(put: Put, vkeys: Sequence[str]) -> None:
    """The verifier keys of a log: all of them, and one each for tools that take one."""
    put("log.vkey", "".join(f"{key}\n" for key in vkeys).encode())
    for kind, path in KEY_FILES.items():
        alone = [text for text in vkeys if VerifierKey.parse(text).kind == kind]
        put(path, "".join(f"{text}\n" for text in alone).encode())


def _put_releases(put: Put, releases: Releases) -> None:
    """The files of the keeper's log; raises StorageError where it isn't the one under its checkpoint."""
    try:
        said = Checkpoint.parse(Note.parse(releases.checkpoint).text)
    except CryptoError as error:
        raise StorageError(f"the key keeper's log of releases: {error}") from error
    tiles = GrowingTiles()
    for number, width in level_tiles(said.size, 0):
        raws = releases.entries(number * TILE_WIDTH, number * TILE_WIDTH + width)
        put(tile_path("entries", number, width), join_bundle(raws))
        for raw in raws:
            _put_tiles(put, tiles.append(leaf_hash(raw)))
    _put_tiles(put, tiles.rest())
    if (tiles.tree.size, tiles.tree.root()) != (said.size, said.root):
        raise StorageError(
            f"the key keeper's log of {said.size} releases is not the one under its checkpoint: it was altered"
        )
    put("checkpoint", releases.checkpoint)
    _put_keys(put, releases.vkeys)


def _put_tiles(put: Put, tiles: Sequence[tuple[int, int, bytes]]) -> None:
    for level, number, hashes in tiles:
        put(tile_path(level, number, len(hashes) // HASH_BYTES), hashes)
