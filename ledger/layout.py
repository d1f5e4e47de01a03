"""The files of an export: which there are, how long each may be, and that they are what the manifest says.

Pure. Nothing is listed or allocated by a number that an export claims, only by what is there.
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import PurePosixPath

from crypto.notes import ED25519, ML_DSA_44_COSIGNATURE, NOTE_LIMIT, VerifierKey
from crypto.texts import counted
from ledger.entry import ENTRY_LIMIT
from ledger.errors import Tampered
from ledger.merkle import HASH_BYTES
from ledger.tiles import TILE_WIDTH, tile_width, tree_paths_of

Read = Callable[[str], bytes]
"""The bytes of a file of the export, by its path; raises Tampered if it isn't there or is too long."""
FIXED_FILES = ("README", "checkpoint", "log.vkey", "policy", "registry.json")
KEY_FILES = {ED25519: "log.ed25519.vkey", ML_DSA_44_COSIGNATURE: "log.mldsa44.vkey"}
"""The files that hold one key of the log each, by its type; exports of 0.1.0 have none."""
HANDOVER = "handover/"
"""The folder of hand-overs of the log's keys, numbered from 1."""
HANDOVER_PARTS = ("added", "key", "first")
"""The receipts of a hand-over; see `ledger.handovers`."""
BUNDLE_BYTES_LIMIT = TILE_WIDTH * (2 + ENTRY_LIMIT)
"""Longest entry bundle in bytes."""
TILE_BYTES_LIMIT = TILE_WIDTH * HASH_BYTES
"""Longest hash tile in bytes."""
KEYS_LIMIT = 64 * 1024
"""Longest file of verifier keys in bytes; one of ML-DSA-44 takes about 2 KiB."""
POLICY_LIMIT = 256 * 1024
"""Longest witness policy in bytes: a hundred witnesses with ML-DSA-44 keys."""
REGISTRY_LIMIT = 1024 * 1024
"""Longest registry in bytes."""
TEXT_LIMIT = 64 * 1024
"""Longest README, and longest file of `releases/` of no kind known here, in bytes."""
MANIFEST_SPARE = 1024 * 1024
"""Bytes by which a manifest may be longer than the files that are there account for."""
_MANIFEST_LINE = 64 + 2 + 1
"""Bytes of a line of the manifest, beside the path."""
_LIMITS = {
    "checkpoint": NOTE_LIMIT,
    "log.vkey": KEYS_LIMIT,
    "policy": POLICY_LIMIT,
    "registry.json": REGISTRY_LIMIT,
    **dict.fromkeys(KEY_FILES.values(), KEYS_LIMIT),
}


def size_limit(path: str) -> int:
    """Most bytes that a file of an export may have, by its path; of `manifest` see `manifest_limit`."""
    name = path.removeprefix("releases/")
    if name.startswith("tile/entries/"):
        return BUNDLE_BYTES_LIMIT
    if name.startswith(HANDOVER):
        return 2 * NOTE_LIMIT
    return TILE_BYTES_LIMIT if name.startswith("tile/") else _LIMITS.get(name, TEXT_LIMIT)


def manifest_limit(paths: Iterable[str]) -> int:
    """Most bytes that the manifest may have beside the files that are there."""
    return MANIFEST_SPARE + 2 * sum(_MANIFEST_LINE + 4 * len(path) for path in paths)


def handover_path(number: int, part: str) -> str:
    """The file of a receipt of a hand-over, from 1."""
    return f"{HANDOVER}{number}/{part}.tlog-proof"


def check_manifest(
    read: Read, paths: Iterable[str], later: Container[str] = frozenset()
) -> dict[str, str]:
    """Every file is in `manifest`, and nothing else is; gives their SHA-256 in hex, by path.

    The sums are checked too, but for those in `later`, which whoever reads these files checks.
    """
    listed: dict[str, str] = {}
    text = read("manifest").decode("utf-8", "replace")
    for line in text.splitlines():
        digest, gap, path = line.partition("  ")
        if not gap or len(digest) != 64 or path in listed:
            raise Tampered(f"manifest: got the line {line[:80]!r}")
        listed[path] = digest
    if text != "".join(f"{listed[path]}  {path}\n" for path in sorted(listed)):
        raise Tampered("manifest: expected sorted lines '<sha256>  <path>'")
    there = set(paths) - {"manifest"}
    for path in sorted(there ^ listed.keys()):
        raise Tampered(f"{path}: {'not in the manifest' if path in there else 'missing'}")
    for path, digest in listed.items():
        if path not in later:
            check_sum(path, read(path), digest)
    return listed


def check_sum(path: str, data: bytes, digest: str) -> None:
    """Raises Tampered unless `digest` is the SHA-256 of a file's `data`, in hex."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Tampered(f"{path}: damaged, its SHA-256 is not that of the manifest")


def check_folders(folders: Iterable[str], paths: Iterable[str]) -> None:
    """No folder stands beside the files, but those that hold one; raises Tampered."""
    holding = {str(above) for path in paths for above in PurePosixPath(path).parents}
    for folder in sorted(set(folders) - holding):
        raise Tampered(f"{folder}/: surplus, an empty folder")


def check_layout(paths: Iterable[str], size: int) -> None:
    """Exactly the files that an export of `size` entries has (beside `releases/`, and hand-overs of keys).

    The first that is missing ends it, so the work is bounded by the files that are there.
    """
    there = {path for path in paths if not path.startswith(("releases/", HANDOVER))}
    known = {"manifest"}
    for expected in (FIXED_FILES, tree_paths_of(size)):
        for path in expected:
            if path not in there:
                raise Tampered(f"{path}: missing in a log of {counted(size, 'entry')}")
            known.add(path)
    for path in sorted(there - known - set(KEY_FILES.values())):
        raise Tampered(f"{path}: surplus in a log of {counted(size, 'entry')}")


def check_key_files(read: Read, paths: Container[str], keys: Sequence[VerifierKey]) -> None:
    """Those files of one key each that are there hold the log's key of their type; raises Tampered."""
    for kind, path in KEY_FILES.items():
        expected = "".join(f"{key}\n" for key in keys if key.kind == kind)
        if path in paths and read(path) != expected.encode():
            raise Tampered(f"{path}: is not the log's key of type 0x{kind:02x} in log.vkey")


def check_tile(path: str, data: bytes, size: int, level: int, number: int) -> bytes:
    """The hashes of a tile of a log of `size`, exactly as many as it has; raises Tampered."""
    expected = tile_width(size, level, number) * HASH_BYTES
    if len(data) != expected:
        raise Tampered(f"{path}: got {len(data)} bytes of hashes, expected {expected}")
    return data
