"""Files and processes around the pure verifier; used by `python -m ledger` and by `heartwood verify`."""

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from crypto.errors import CryptoError, FormError
from crypto.notes import Note, VerifierKey
from crypto.texts import counted
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_keys
from ledger.digest import BundleDigest, digest_bundle, registered_keys
from ledger.entry import Entry
from ledger.errors import EventError, ProofError, Tampered
from ledger.files import export_reader, list_files, read_file
from ledger.histories import HistoryProof, proved_history, read_history
from ledger.layout import (
    FIXED_FILES,
    KEY_FILES,
    Read,
    check_folders,
    check_key_files,
    check_layout,
    check_manifest,
    check_sum,
    manifest_limit,
    size_limit,
)
from ledger.receipt import Receipt
from ledger.release_log import ReleaseLog, check_releases
from ledger.remarks import Raised, Restored, future_warning
from ledger.tiles import TILE_WIDTH, level_tiles, tile_path
from ledger.verifier import Counts, LogVerifier, check_at_least, check_extends, read_checkpoint
from ledger.witnesses import outside_policy, own_policy

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
    cosigned: tuple[str, ...] = ()
    """The witnesses, by their names in the policies, that cosigned the checkpoint."""
    restored: tuple[Restored, ...] = ()
    """What the log says it lost when a backup was restored."""
    warnings: tuple[str, ...] = ()
    """What is not wrong and should be looked into."""
    releases: ReleaseLog | None = None
    """The key keeper's log of what it gave out, if the export holds it."""
    alarms: tuple[Raised, ...] = ()
    """What the key keeper found, as the log says."""

    def lines(self) -> list[str]:
        """The report for people."""
        c = self.counts
        signed = "all signatures" if self.signatures else "WITHOUT signatures"
        out = [
            f"{counted(self.files, 'file')} are as the manifest says",
            f"{counted(c.entries, 'entry')} in {counted(c.streams, 'stream')}: both chains, {signed}, signers, ids, times",
            f"of these {counted(c.readings, 'reading')} and {counted(c.refusals, 'refused reading')}, {counted(c.accounts_keys, 'key')}",
            f"tree of {self.size} leaves, every tile, checkpoint of {self.origin}",
            f"took {self.seconds:.1f} s, {c.entries / max(self.seconds, 1e-9):,.0f} entries/s",
        ]
        if self.releases is not None:
            out[-1:-1] = self.releases.lines()
        if self.cosigned:
            out.insert(-1, f"cosigned by {', '.join(self.cosigned)}, as the policy demands")
        if self.since is not None:
            out.insert(
                -1, f"it continues from the {counted(self.since, 'entry')} of the older export"
            )
        out += [f"RESTORED: {said}" for said in self.restored]
        out += [f"ALARM: {said}" for said in self.alarms]
        out += [f"WARNING: {words}" for words in self.warnings]
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
    policy: bytes | None = None,
    now: int | None = None,
    releases: Sequence[str] | None = None,
) -> Report:
    """Verify a whole export; raises Tampered, whose message names the first place that is wrong.

    `since`: an older export that this one must extend. `policy`: a witness policy from outside, which the
    checkpoint must meet as well as the export's own. `now`: Unix ms, by default this machine's clock.
    `releases`: the verifier keys of the key keeper's log of releases, from outside.
    """
    began = time.perf_counter()
    now = time.time_ns() // 1_000_000 if now is None else now
    export_reader(directory)  # before anything else is said about it
    paths, folders = list_files(directory)

    def read(path: str) -> bytes:
        limit = manifest_limit(paths) if path == "manifest" else size_limit(path)
        return read_file(directory, path, limit)

    # What is small and has one place is read first, and all else once it is known to belong here.
    early = {*FIXED_FILES, *KEY_FILES.values()}
    sums = check_manifest(read, paths, later=set(paths) - early)
    check_folders(folders, paths)
    checkpoint, keys = read_checkpoint(read, vkeys)
    check_layout(paths, checkpoint.size)
    check_key_files(read, set(paths), keys)
    cosigned = check_witnesses(read, [*keys, *given_keys(vkeys, keys)], policy)
    bundles = {path for path in paths if path.startswith("tile/entries/")}
    for path in sums.keys() - early - bundles:
        check_sum(path, read(path), sums[path])
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
        check_at_least(read, checkpoint, at_least, verifier.log_keys)
    older = None if since is None else older_checkpoint(since, verifier.log_keys)
    if older is not None:
        check_extends(read, checkpoint, older, "the older export")
    earlier = None if since is None else export_reader(since)
    released = check_releases(read, paths, checkpoint.origin, releases, earlier)
    return Report(
        checkpoint.origin,
        vkeys is not None,
        checkpoint.size,
        len(sums),
        verifier.counts,
        signatures,
        time.perf_counter() - began,
        None if older is None else older.size,
        tuple(cosigned),
        tuple(verifier.restored),
        tuple(future_warning(verifier.time, now)),
        released,
        tuple(verifier.alarms),
    )


def given_keys(vkeys: Sequence[str] | None, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
    """The keys given from outside that are not among the log's present ones: those that were handed over."""
    return [key for key in parse_keys(vkeys) if key not in keys] if vkeys else []


def check_witnesses(
    read: Read, keys: Sequence[VerifierKey], outside: bytes | None = None
) -> list[str]:
    """The witnesses that cosigned an export's checkpoint, by name, sorted.

    They must meet the quorum of the export's own policy and that of a policy from outside. Raises
    Tampered, and FormError if the policy from outside is none.
    """
    try:
        policies = [own_policy(read("policy"), keys)]
    except FormError as error:
        raise Tampered(str(error)) from error
    if outside is not None:
        policies.append(outside_policy(outside, keys))
    note = read("checkpoint")
    try:
        return sorted({name for policy in policies for name in policy.check(note, keys)})
    except ProofError as error:
        raise Tampered(str(error)) from error


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
            raise Tampered(
                f"{path}: holds {counted(len(bundle.streams), 'entry')}, expected {tile[1]}"
            )
        return bundle


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
    """The checkpoint of an older export of the same log.

    Raises Tampered, and FileNotFoundError if there is no such folder.
    """
    read = export_reader(directory)
    try:
        return open_checkpoint(read("checkpoint"), keys)
    except (CryptoError, Tampered) as error:
        words = str(error).removeprefix("checkpoint: ")
        raise Tampered(f"the older export's checkpoint: {words}") from error


def unproven_checkpoint(directory: Path) -> Checkpoint:
    """The same of whatever log, before it is known by whose keys it must be signed; raises Tampered."""
    try:
        return Checkpoint.parse(Note.parse(export_reader(directory)("checkpoint")).text)
    except (CryptoError, Tampered) as error:
        words = str(error).removeprefix("checkpoint: ")
        raise Tampered(f"the older export's checkpoint: {words}") from error


def check_receipt(data: bytes, vkeys: Sequence[str] | None, policy: bytes | None = None) -> Receipt:
    """A receipt that holds under the given keys (without keys: whose path is of the right shape).

    `policy`: a witness policy from outside, whose quorum the receipt's checkpoint must meet.
    """
    receipt = Receipt.parse(data)
    keys = [] if vkeys is None else parse_keys(vkeys)
    if vkeys is not None:
        receipt.verify(keys)
    else:
        receipt.verify_path()
    if policy is not None:
        outside_policy(policy, keys).check(receipt.checkpoint, keys)
    try:
        seq = Entry.parse(receipt.entry).link.seq
    except EventError as error:
        raise ProofError(f"receipt: {error}") from error
    if seq != receipt.index:
        raise ProofError(f"receipt: holds entry {seq} as number {receipt.index}")
    return receipt


def check_history_proof(
    data: bytes, vkeys: Sequence[str] | None, policy: bytes | None = None
) -> HistoryProof:
    """The proof of a history whose receipt holds as `check_receipt` demands; raises ProofError, NoteError and FormError."""
    entries, receipt = read_history(data)
    return proved_history(entries, check_receipt(receipt, vkeys, policy))


def check_against(
    receipt: Receipt, read: Read, vkeys: Sequence[str] | None, policy: bytes | None = None
) -> Checkpoint:
    """A receipt that holds still stands in another log's files: its entry, and all of its checkpoint.

    `read` gives the checkpoint, `log.vkey` and tiles, of an export or of a server; the checkpoint must meet
    a witness policy from outside. Gives the checkpoint; raises Tampered, ProofError and FormError.
    """
    checkpoint, keys = read_checkpoint(read, vkeys)
    known = [*keys, *given_keys(vkeys, keys)]
    if policy is not None:
        outside_policy(policy, known).check(read("checkpoint"), known)
    if vkeys is None:
        receipt.verify(keys)
    check_extends(read, checkpoint, receipt.verify_path(), "the older receipt")
    return checkpoint
