"""Editions of the registry: each holds all of the ones before, and counts from the entry that names its hash."""

from collections.abc import Callable, Mapping

STRICTER = 3
"""The edition from which every attempt that can be attributed is recorded, and some rules and folds are stricter
(docs/formats.md, Editions)."""

PEOPLE = 5
"""The edition that brought applications, claims, sign-ins and factors, and the rules that go with them."""

CONSENT = 6
"""The edition that brought emergencies, disclosures, holds, erasure, relatives, guardians, delegations and the rest of consent in
full."""

_TELLS: list[Callable[[], Mapping[bytes, int]]] = []


def editions_by(tell: Callable[[], Mapping[bytes, int]]) -> Callable[[], Mapping[bytes, int]]:
    """Name what tells the edition of each hash: the registry, which is made of types whose rules ask here."""
    _TELLS.append(tell)
    return tell


def edition_of(digest: bytes) -> int | None:
    """The edition with this hash (32 bytes), from 1; None for a registry that this program doesn't know."""
    return next((found for tell in _TELLS if (found := tell().get(digest)) is not None), None)
