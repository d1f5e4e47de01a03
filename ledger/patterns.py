"""Canonical text of the plain event types as one regular expression each, made from the registry.

Canonical JSON has one order and no free space, so the whole of an event is a pattern. What matches is
canonical and of its schema; what does not match goes the long way, which says what is wrong.
"""

import json
import re
from functools import cache, lru_cache

from crypto.canonical import INTEGER_LIMIT
from ledger.codes import HOSPITAL_ROLES, ROLES
from ledger.schema import (
    BASE64_TAIL,
    SEALED,
    TIME,
    Boolean,
    Integer,
    Kind,
    Object,
    Text,
    id_of,
)
from ledger.types import REGISTRY, TYPES
from ledger.types.declaration import EventType

PLAIN_TYPES = frozenset(kind.name for kind in TYPES if kind.plain)
"""Types that change nobody's right to sign and whose rules lie in their patterns."""
NUMBER = "(?:0|[1-9][0-9]{0,14})"
"""Up to 15 digits, so below 2^53; longer ones go the long way."""
_DIGIT = "[A-Za-z0-9+/]"
_SEALED = rf"{_DIGIT}{{120}}(?:{_DIGIT}{{60}}){{0,90}}(?:{_DIGIT}{{4}}){{0,14}}{BASE64_TAIL}"
"""Sealed fields but for the very longest, in large steps: each step of a pattern takes time."""
_PLAIN = {name: REGISTRY[name, 1] for name in PLAIN_TYPES}
_TYPE_MARK = '","type":"'


def plain_kind(text: str) -> EventType | None:
    """The plain type that an event or entry says it is of; None for others.

    The last `type` is the event's own: a nested one stands in its body, and nothing after it has one.
    """
    start = text.rfind(_TYPE_MARK) + len(_TYPE_MARK)
    name = text[start : text.find('"', start)]
    return _PLAIN.get(name)


@cache
def event_pattern(name: str) -> re.Pattern[str]:
    """The pattern of a whole event of a plain type; see `event_text` for its groups."""
    return re.compile(event_text(REGISTRY[name, 1]))


def event_text(kind: EventType) -> str:
    """The pattern's text. Groups: actor, `as` (see `acting_of`), at, the ids that the body creates (in the
    order of its members), id, stream."""
    account, others = id_of("ac").pattern, "|".join(sorted(set(ROLES) - HOSPITAL_ROLES))
    acting = (
        rf'\{{(?:"hospital":"{id_of("hs").pattern}",'
        rf'"role":"(?:{"|".join(sorted(HOSPITAL_ROLES))})"|"role":"(?:{others})")\}}'
    )
    return (
        rf'\{{"actor":"({account})","as":({acting}),"at":"({TIME.pattern})",'
        rf'"body":{_object(kind.body, kind.creates)},"id":"({id_of("ev").pattern})",'
        rf'(?:"on_behalf_of":"{account}",)?"stream":"(patient/{id_of("pt").pattern})",'
        rf'"type":"{re.escape(kind.name)}","v":1\}}'
    )


@lru_cache(maxsize=4_096)
def acting_of(text: str) -> tuple[str, str]:
    """Role and hospital (empty without one) of an `as` that matched; they are few, each in many entries."""
    acting = json.loads(text)
    return acting["role"], acting.get("hospital", "")


def _object(body: Object, creates: tuple[str, ...]) -> str:
    """An object's members in their order, optional ones left out or there; the first required one
    carries no comma, those before it end in one, those after it begin with one."""
    out, first = [], True
    for name in sorted(body.members):
        value = None if name in body.linked() else _value(body.members[name])
        required = name not in body.optional
        if value is None:
            if required:
                raise ValueError(f"{name} has no pattern: its type goes the long way")
            continue
        inner = f"({value})" if name in creates else f"(?:{value})"
        quoted = f'"{inner}"' if isinstance(body.members[name], Text) else inner
        member = f'"{name}":{quoted}'
        if required:
            out.append(member if first else f",{member}")
            first = False
        else:
            out.append(f"(?:{member},)?" if first else f"(?:,{member})?")
    return rf"\{{{''.join(out)}\}}"


def _value(kind: Kind) -> str | None:
    """The pattern of a value; None for what a pattern can't tell (order in lists, other bounds)."""
    if kind is SEALED:
        return _SEALED
    if isinstance(kind, Text):
        return kind.pattern
    if isinstance(kind, Boolean):
        return "true" if kind.only else "true|false"
    if isinstance(kind, Integer) and kind.low == kind.high:
        return str(kind.low)
    if isinstance(kind, Integer) and kind.high == INTEGER_LIMIT - 1 and kind.low < 10:
        return rf"(?:[{kind.low}-9]|[1-9][0-9]{{1,14}})"
    return None
