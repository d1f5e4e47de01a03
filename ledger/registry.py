"""The registry: every event type and version, what its body holds, who may sign it, what it does.

Each type is declared once, in `ledger/types/`. `docs/registry.json` is generated from there (`python -m ledger
registry`) and is part of the formats; its hash stands in `ledger.created` and each `policy.changed`. A name is
never reused with another meaning, and each edition holds all of the ones before.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from ledger.editions import editions_by
from ledger.schema import Check
from ledger.types import REGISTRY, TYPES

EDITION = max(kind.since for kind in TYPES)
"""This program's edition of the registry."""

BODY_CHECKS: Mapping[tuple[str, int], Check] = {key: t.body.check() for key, t in REGISTRY.items()}


@cache
def registry_json(edition: int = EDITION) -> bytes:
    """An edition of the registry as JSON: indented, sorted, ASCII; the last one is `docs/registry.json`."""
    types: dict[str, dict[str, Any]] = {}
    for kind in TYPES:
        if kind.since <= edition:
            types.setdefault(kind.name, {})[str(kind.v)] = kind.describe()
    document = {"format": "heartwood/registry/v1", "types": types}
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"


@cache
def registry_hash(edition: int = EDITION) -> bytes:
    """SHA-256 of `registry_json(edition)`, 32 bytes; `ledger.created` and `policy.changed` name it."""
    return hashlib.sha256(registry_json(edition)).digest()


@editions_by
@cache
def _editions() -> Mapping[bytes, int]:
    """Hashed when somebody asks: to hash an edition takes longer than to declare it."""
    return {registry_hash(edition): edition for edition in range(1, EDITION + 1)}
