"""Exports: the log as a directory that anyone can verify with standard tools."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from ledger.registry import registry_json
from ledger.tiles import TILE_WIDTH, all_tiles, join_bundle, tile_path
from storage.errors import StorageError
from storage.ledger import Ledger

README = """This is an export of the transparency log {origin}: every act on every record, signed by its
author, without clinical content. It is a C2SP tiled log (tlog-tiles); entry bundles are in tile/entries.

    python -P -m ledger verify DIR --vkey FILE

checks all of it. The file with the log's verifier keys must come from elsewhere: the log.vkey in here
proves nothing about where this directory comes from.
"""


def write_export(
    ledger: Ledger, directory: Path, progress: Callable[[int, int], None] = lambda done, size: None
) -> int:
    """Write the whole log into `directory` (new or empty); gives its size in entries.

    `manifest` comes last, so an export that was cut off does not verify.
    """
    if directory.exists() and any(directory.iterdir()):
        raise StorageError(
            f"{directory} is not empty; an export goes into a new or empty directory"
        )
    sums: dict[str, str] = {}

    def put(path: str, data: bytes) -> None:
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        sums[path] = hashlib.sha256(data).hexdigest()

    with ledger.database.read() as connection:
        head = ledger.store.head(connection)
        if head is None:
            raise StorageError("there is no log to export")
        put("README", README.format(origin=ledger.origin).encode())
        put("checkpoint", head.checkpoint)
        put("log.vkey", "".join(f"{key}\n" for key in ledger.vkeys).encode())
        put("policy", f"log {ledger.vkeys[0]}\nquorum none\n".encode())
        put("registry.json", registry_json())
        for number, bundle in enumerate(ledger.store.bundles(connection, head.size)):
            put(tile_path("entries", number, len(bundle)), join_bundle(bundle))
            progress(number * TILE_WIDTH + len(bundle), head.size)
        for level, number, width in all_tiles(head.size):
            hashes = ledger.store.tile(connection, level, number)[: width * 32]
            put(tile_path(level, number, width), hashes)
    lines = [f"{digest}  {path}\n" for path, digest in sorted(sums.items())]
    (directory / "manifest").write_bytes("".join(lines).encode())
    return head.size
