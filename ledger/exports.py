"""What an export of a chart commits to: count and RFC 6962 root of its sorted lines."""

from collections.abc import Sequence

from ledger.merkle import leaf_hash, tree_paths

EMPTY_ROOT = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""SHA-256 of nothing: the root of an empty list."""


def export_line(record: str, version: int, blob: str) -> bytes:
    """One line of an export: `<record> <version> <blob>`."""
    return f"{record} {version} {blob}".encode()


def export_root(lines: Sequence[bytes]) -> bytes:
    """The root over the sorted lines, 32 bytes."""
    return tree_paths([leaf_hash(line) for line in sorted(lines)])[0] if lines else EMPTY_ROOT
