"""Small changes to JSON values, for tables of refusals: a name, and what is changed."""

import copy
import json
from collections.abc import Callable
from typing import Any

from ledger.types import REGISTRY
from tests.golden import make

Change = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Change:
    """Set the member at a path of names and numbers, as `body.labels.0`."""

    def change(document: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        place: Any = document
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[int(last) if isinstance(place, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Leave a member out."""

    def change(document: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        place: Any = document
        for step in steps:
            place = place[step]
        del place[last]

    return change


def changed(document: dict[str, Any], *changes: Change) -> dict[str, Any]:
    """A changed copy."""
    out = copy.deepcopy(document)
    for change in changes:
        change(out)
    return out


def raw(document: Any) -> bytes:
    """Sorted JSON without white space of whatever `json` can write, canonical or not."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


ENTRY: dict[str, Any] = json.loads(make.entry().raw)
"""The golden entry: a record.uploaded, signed alone."""


def entry_of(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """The golden entry around another event, with the decision that its type wants."""
    out = ENTRY | {"event": value}
    if kind == "access.refused":
        return changed(out, put("decision.effect", "deny"), put("decision.reason", "no_consent"))
    return out if REGISTRY[kind, 1].gated else changed(out, drop("decision"))
