"""Files and processes around the pure verifier; used by `python -m ledger` and by `heartwood verify`."""

import argparse
import errno
import gc
import multiprocessing
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_keys
from ledger.digest import BundleDigest, digest_bundle, registered_keys
from ledger.entry import Entry
from ledger.errors import EventError, LedgerError, ProofError, Tampered
from ledger.receipt import Receipt
from ledger.registry import registry_hash, registry_json
from ledger.tiles import TILE_WIDTH, level_tiles, tile_path
from ledger.verifier import (
    Counts,
    LogVerifier,
    Read,
    check_at_least,
    check_extends,
    check_layout,
    check_manifest,
    check_policy_file,
    check_sum,
    read_checkpoint,
)

T = TypeVar("T")
CHUNK_BUNDLES = 8
"""Most bundles that a process is given at once; fewer in a small log, so that all have some to do."""
PARALLEL_BUNDLES = 24
"""From this many bundles of 256 entries on, starting processes pays."""


@dataclass(frozen=True)
class Report:
    """What a verification found to be good."""

    origin: str
    proven: bool
    """Whether the log's keys came from outside."""
    size: int
    files: int
    counts: Counts
    signatures: bool
    seconds: float
    since: int | None = None
    """Entries of the older export that this one extends, if one was given."""

    def lines(self) -> list[str]:
        """The report for people."""
        c = self.counts
        signed = "all signatures" if self.signatures else "WITHOUT signatures"
        out = [
            f"{self.files} files are as the manifest says",
            f"{c.entries} entries in {c.streams} streams: both chains, {signed}, signers, ids, times",
            f"of these {c.readings} readings and {c.refusals} refused readings, {c.accounts_keys} keys",
            f"tree of {self.size} leaves, every tile, checkpoint of {self.origin}",
            f"took {self.seconds:.1f} s, {c.entries / max(self.seconds, 1e-9):,.0f} entries/s",
        ]
        if self.since is not None:
            out.insert(-1, f"it goes on from the {self.since} entries of the older export")
        if not self.signatures:
            return [*out, "good as far as it was checked: the events' signatures were left out"]
        good = (
            "good"
            if self.proven
            else "consistent, origin unproven: give the log's keys with --vkey"
        )
        return [*out, good]


def verify_export(
    directory: Path,
    vkeys: Sequence[str] | None,
    at_least: bytes | None = None,
    signatures: bool = True,
    processes: int | None = None,
    since: Path | None = None,
) -> Report:
    """Verify a whole export; raises Tampered, whose message names the first place that is wrong.

    `since`: an older export that this one must extend.
    """
    began = time.perf_counter()
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no folder {directory}")
    paths = _files(directory)

    def read(path: str) -> bytes:
        return read_file(directory, path)

    bundles = {path for path in paths if path.startswith("tile/entries/")}
    sums = check_manifest(read, paths, later=bundles)
    checkpoint, keys = read_checkpoint(read, vkeys)
    check_layout(paths, checkpoint.size)
    check_policy_file(read, keys)
    verifier = LogVerifier(checkpoint.origin, read, checkpoint.size)
    source = _Source(directory, checkpoint.origin, {path: sums[path] for path in bundles}, None)
    with ExitStack() as stack:
        if gc.isenabled():  # nothing made here refers to itself, and millions are made
            gc.disable()
            stack.callback(gc.enable)
        for bundle in _digests(stack, source, checkpoint.size, signatures, processes):
            verifier.take(bundle)
    verifier.finish(checkpoint, read("registry.json"), keys)
    if at_least is not None:
        check_at_least(read, checkpoint, at_least, keys)
    older = None if since is None else older_checkpoint(since, keys)
    if older is not None:
        check_extends(read, checkpoint, older, "the older export")
    seconds = time.perf_counter() - began
    return Report(
        checkpoint.origin,
        vkeys is not None,
        checkpoint.size,
        len(sums),
        verifier.counts,
        signatures,
        seconds,
        None if older is None else older.size,
    )


@dataclass(frozen=True)
class _Source:
    """Where the entry bundles are, and what they are checked with; in every process."""

    directory: Path
    origin: str
    sums: Mapping[str, str]
    """SHA-256 by path, where it is still to be checked."""
    keys: Mapping[str, bytes] | None

    def data(self, tile: tuple[int, int]) -> bytes:
        """The bytes of the entry bundle (number, width)."""
        path = tile_path("entries", *tile)
        data = read_file(self.directory, path)
        if path in self.sums:
            check_sum(path, data, self.sums[path])
        return data

    def keys_in(self, tile: tuple[int, int]) -> dict[str, bytes]:
        """The signing keys that a bundle's entries put in."""
        return registered_keys(tile[0] * TILE_WIDTH, self.data(tile))

    def digest(self, tile: tuple[int, int]) -> BundleDigest:
        """The digest of a bundle, which holds as many entries as its path says."""
        bundle = digest_bundle(tile[0] * TILE_WIDTH, self.data(tile), self.origin, self.keys)
        if len(bundle.streams) != tile[1]:
            path = tile_path("entries", *tile)
            raise Tampered(f"{path}: holds {len(bundle.streams)} entries, expected {tile[1]}")
        return bundle


def _files(directory: Path) -> list[str]:
    """Whatever lies in a folder and those below it but folders: names from the folder on."""
    found, below = [], len(f"{directory}/")
    for folder, folders, files in os.walk(directory):
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]
        found += [f"{folder}/{name}"[below:] for name in (*files, *links)]
    return found


def read_file(directory: Path, path: str) -> bytes:
    """A file of an export; raises Tampered if it isn't there, or is a link or another thing."""
    try:
        # Never a link; and what is no file, as a pipe, is not waited for.
        opened = os.open(f"{directory}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Tampered(f"{path}: missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Tampered(f"{path}: missing") from error
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise Tampered(f"{path}: missing")
    with os.fdopen(opened, "rb") as file:
        return file.read()


def _digests(
    stack: ExitStack, source: _Source, size: int, signatures: bool, processes: int | None
) -> Iterator[BundleDigest]:
    """The digests of all bundles, in order; side by side when there are many.

    With signatures in two passes: the first finds the keys.
    """
    tiles = list(level_tiles(size, 0))
    count = min(processes or os.cpu_count() or 1, len(tiles))
    count = count if len(tiles) >= PARALLEL_BUNDLES else 1
    if signatures:
        keys: dict[str, bytes] = {}
        with ExitStack() as first:  # its threads must be gone before the second pass forks
            for found in _side_by_side(first, count, source, _Source.keys_in, tiles):
                keys |= found
        source = replace(source, keys=keys, sums={})
    return _side_by_side(stack, count, source, _Source.digest, tiles)


def _side_by_side(
    stack: ExitStack,
    count: int,
    source: _Source,
    work: Callable[[_Source, tuple[int, int]], T],
    tiles: Sequence[tuple[int, int]],
) -> Iterator[T]:
    """`work` on every tile, in order, in `count` processes."""
    if count < 2:
        return (work(source, tile) for tile in tiles)
    # Forking is quick, and safe only while there is no other thread.
    method = "fork" if threading.active_count() == 1 else "spawn"
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(count, context, _start, (source,))
    stack.callback(pool.shutdown, cancel_futures=True)
    share = min(CHUNK_BUNDLES, -(-len(tiles) // (4 * count)))
    return pool.map(partial(_there, work), tiles, chunksize=share)


_here: _Source


def _start(source: _Source) -> None:
    global _here
    gc.disable()  # nothing made here refers to itself
    _here = source


def _there(work: Callable[[_Source, tuple[int, int]], T], tile: tuple[int, int]) -> T:
    return work(_here, tile)


def older_checkpoint(directory: Path, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of an older export of the same log; raises Tampered."""
    try:
        return open_checkpoint(read_file(directory, "checkpoint"), keys)
    except (CryptoError, Tampered) as error:
        words = str(error).removeprefix("checkpoint: ")
        raise Tampered(f"the older export's checkpoint: {words}") from error


def read_vkeys(path: Path | None) -> list[str] | None:
    """The verifier keys of a file, one a line; None without a file."""
    return None if path is None else path.read_bytes().decode("utf-8", "replace").split()


def check_receipt(data: bytes, vkeys: Sequence[str] | None) -> Receipt:
    """A receipt that holds under the given keys (without keys: whose path is of the right shape)."""
    receipt = Receipt.parse(data)
    if vkeys is not None:
        receipt.verify(parse_keys(vkeys))
    else:
        receipt.verify_path()
    try:
        seq = Entry.parse(receipt.entry).link.seq
    except EventError as error:
        raise ProofError(f"receipt: {error}") from error
    if seq != receipt.index:
        raise ProofError(f"receipt: holds entry {seq} as number {receipt.index}")
    return receipt


def check_against(receipt: Receipt, read: Read, vkeys: Sequence[str] | None) -> Checkpoint:
    """A receipt that holds still stands in another log's files: its entry, and all of its checkpoint.

    `read` gives the checkpoint, `log.vkey` and tiles, of an export or of a server. Gives the checkpoint;
    raises Tampered.
    """
    checkpoint, keys = read_checkpoint(read, vkeys)
    check_at_least(read, checkpoint, receipt.text(), keys)
    return checkpoint


def main(arguments: Sequence[str]) -> int:
    """`verify DIR`, `check RECEIPT`, `registry`; prints a report and gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (LedgerError, CryptoError) as error:
        print(f"WRONG: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"could not run: {error}", file=sys.stderr)
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -P -m ledger", description="Verify a log, offline.")
    commands = parser.add_subparsers(required=True)
    verify = commands.add_parser("verify", help="verify an export")
    verify.add_argument("directory", type=Path)
    verify.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    verify.add_argument("--at-least", type=Path, help="an older receipt that must still stand")
    verify.add_argument("--since", type=Path, help="an older export that this one must extend")
    verify.add_argument("--no-signatures", action="store_true", help="leave events' signatures out")
    verify.set_defaults(run=_verify)
    check = commands.add_parser("check", help="check a receipt")
    check.add_argument("receipt", type=Path)
    check.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    check.add_argument(
        "--against", type=Path, help="today's log, in which it must still stand: an export's folder"
    )
    check.set_defaults(run=_check)
    registry = commands.add_parser("registry", help="print docs/registry.json, or its hash")
    registry.add_argument("--hash", action="store_true")
    registry.set_defaults(run=_registry)
    return parser


def _verify(options: argparse.Namespace) -> int:
    at_least = options.at_least.read_bytes() if options.at_least else None
    report = verify_export(
        options.directory, read_vkeys(options.vkey), at_least, not options.no_signatures,
        since=options.since,
    )  # fmt: skip
    print("\n".join(report.lines()))
    return 0 if report.proven else 3


def _check(options: argparse.Namespace) -> int:
    vkeys = read_vkeys(options.vkey)
    receipt = check_receipt(options.receipt.read_bytes(), vkeys)
    if options.against is not None:
        check_against(receipt, partial(read_file, options.against), vkeys)
    proven = options.vkey is not None
    print(f"entry {receipt.index} stands in the log" if proven else "consistent, origin unproven")
    return 0 if proven else 3


def _registry(options: argparse.Namespace) -> int:
    print(registry_hash().hex() if options.hash else registry_json().decode("ascii"), end="")
    return 0
