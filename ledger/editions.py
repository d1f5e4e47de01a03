"""Editions of the registry: each holds all of the ones before, and counts from the entry that names its hash."""

STRICTER = 3
"""The edition from which every attempt that can be attributed is recorded, and some rules and folds are stricter
(docs/formats.md, Editions)."""

_BY_HASH: dict[bytes, int] = {}


def enter_edition(edition: int, digest: bytes) -> None:
    """Make known which edition has this hash; the registry does as it is loaded (`ledger.registry`)."""
    _BY_HASH[digest] = edition


def edition_of(digest: bytes) -> int | None:
    """The edition with this hash (32 bytes), from 1; None for a registry that this program doesn't know."""
    return _BY_HASH.get(digest)
