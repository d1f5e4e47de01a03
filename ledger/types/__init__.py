"""The event types, each declared once, in the module of its area: found by its name (`record.hidden` in `records`).

A declaration that lacks a part, or says one thing and does another, doesn't import.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from ledger.rows import ROW_TYPES, Look, Row
from ledger.types import (
    access,
    accounts,
    applications,
    claims,
    consultations,
    delegations,
    disclosures,
    emergencies,
    erasures,
    groups,
    guardians,
    holds,
    hospitals,
    invitations,
    links,
    log,
    patients,
    readers,
    readings,
    records,
    recoveries,
    referrals,
    relatives,
    requests,
    sessions,
    staff,
    systems,
)
from ledger.types.declaration import EventType

if TYPE_CHECKING:  # made of the registry, as that is of the types
    from ledger.entry import Entry

AREAS = (
    access,
    accounts,
    applications,
    claims,
    consultations,
    delegations,
    disclosures,
    emergencies,
    erasures,
    groups,
    guardians,
    holds,
    hospitals,
    invitations,
    links,
    log,
    patients,
    readers,
    readings,
    records,
    recoveries,
    referrals,
    relatives,
    requests,
    sessions,
    staff,
    systems,
)
"""The modules of this package that declare types."""


def declared(area: ModuleType) -> list[EventType]:
    """The types of an area, in the order in which it declares them; whatever it declares is registered."""
    return [value for value in vars(area).values() if isinstance(value, EventType)]


TYPES = tuple(sorted((t for area in AREAS for t in declared(area)), key=lambda t: t.key))
"""Every type in every version."""
REGISTRY: Mapping[tuple[str, int], EventType] = {t.key: t for t in TYPES}
"""Every type by name and version."""
SIGNING = frozenset(
    t.key for t in TYPES if any(not ROW_TYPES[kind].consent_only for kind in t.changes)
)
"""The types that change who may sign; of the others a verifier keeps nothing."""


def _check() -> None:
    """Raises ValueError for what no single declaration can tell of itself."""
    for kind in TYPES:
        before = REGISTRY.get((kind.name, kind.v - 1))
        if REGISTRY[kind.key] is not kind or (before is None) != (kind.v == 1):
            raise ValueError(f"{kind.name} v{kind.v}: versions count from 1, each is declared once")
        if before is not None and (before.since >= kind.since or before.plain != kind.plain):
            raise ValueError(f"{kind.name} v{kind.v}: a version comes with a later edition")
        if kind.plain and kind.key in SIGNING:
            raise ValueError(f"{kind.name}: what is plain changes nobody's right to sign")


_check()


def fold(entry: "Entry", look: Look) -> Sequence[Row]:
    """The rows that this entry changes, given the rows before it: what views are made of, and audits replay."""
    return entry.event.type.fold(entry, look)
