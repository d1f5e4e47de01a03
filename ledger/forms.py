"""Canonical entries as one pattern a type: what matches is canonical and of its schema, at a glance.

An auditor reads millions of entries, and nearly all are of a few plain types. Canonical JSON has one
order and no free space, so the whole of such an entry is one regular expression made from the registry.
A match implies what `Entry.parse` would find (a property test holds it so); what does not match is not
wrong, it only goes the long way.
"""

import re
from binascii import a2b_base64
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from crypto.canonical import INTEGER_LIMIT
from ledger.entry import BASIS_LIMIT, ENTRY_LIMIT, RULES
from ledger.event import BUNDLE_LIMIT, EVENT_LIMIT, READING_LIMIT
from ledger.merkle import path_lengths
from ledger.registry import HOSPITAL_ROLES, REGISTRY, ROLES, EventType
from ledger.schema import HASH, KEY_ID, TIME, Boolean, Integer, Kind, Object, Text, base64_of, id_of
from ledger.times import parse_time

PLAIN_TYPES = frozenset(
    {
        "access.revoked",
        "history.opened",
        "record.amended",
        "record.opened",
        "record.retracted",
        "record.uploaded",
    }
)
"""Types that change nobody's right to sign and whose rules lie in their patterns."""

_NUMBER = "(?:0|[1-9][0-9]{0,14})"
"""Up to 15 digits, so below 2^53; longer ones go the long way."""
_TYPE_MARK = b'","type":"'


class Form(NamedTuple):
    """What a plain entry's text says; hashes are bytes, times Unix ms."""

    kind: EventType
    event: bytes
    id: str
    actor: str
    role: str
    hospital: str
    stream: str
    at: int
    ids: tuple[str, ...]
    """Its event id and the ids its body creates."""
    seq: int
    prev: bytes
    stream_seq: int
    stream_prev: bytes
    time: int
    key: str
    value: str
    """The signature, base64."""
    bundle: tuple[str, str, str] | None
    """Index, path (its members joined) and size, as written."""


def plain_form(raw: bytes) -> Form | None:
    """The form of a plain entry, or None if it has to go the long way."""
    if len(raw) > ENTRY_LIMIT or not raw.isascii():
        return None
    text = raw.decode("ascii")
    start = text.find('","type":"') + len(_TYPE_MARK)
    known = _patterns().get(text[start : text.find('"', start)])
    match = known[1].fullmatch(text) if known else None
    if known is None or match is None:
        return None
    kind = known[0]
    (
        as_of, basis, policy, event, actor, hospital, role, other_role, at, *new, id_, stream, prev, seq, index,
        path, size, key, value, stream_prev, stream_seq, time,
    ) = match.groups()  # fmt: skip
    number = int(seq)
    if len(event) > (READING_LIMIT if kind.reading else EVENT_LIMIT):
        return None
    if int(as_of) != number - 1 or not _rests_before(number, basis, policy):
        return None
    if index and not _fits(int(index), int(size), path):
        return None
    try:
        times = parse_time(at), parse_time(time)
    except ValueError:
        return None
    return Form(
        kind,
        event.encode("ascii"),
        id_,
        actor,
        role or other_role,
        hospital or "",
        stream,
        times[0],
        (id_, *new),
        number,
        a2b_base64(prev),
        int(stream_seq),
        a2b_base64(stream_prev),
        times[1],
        key,
        value,
        (index, path, size) if index else None,
    )


def _rests_before(seq: int, basis: str, policy: str) -> bool:
    """Whether basis (ascending) and policy are numbers of entries before `seq`."""
    numbers = [int(number) for number in basis.split(",")] if basis else []
    rising = len(numbers) < 2 or all(a < b for a, b in pairwise(numbers))
    return rising and int(policy) < seq and (not numbers or numbers[-1] < seq)


def _fits(index: int, size: int, path: str) -> bool:
    """Whether a bundle's index, size and number of hashes belong together."""
    hashes = path.count(",") + 1 if path else 0
    return index < size <= BUNDLE_LIMIT and hashes == path_lengths(index, size)


@cache
def _patterns() -> dict[str, tuple[EventType, re.Pattern[str]]]:
    """The pattern of each plain type's version 1."""
    return {name: (REGISTRY[name, 1], _entry(REGISTRY[name, 1])) for name in PLAIN_TYPES}


def _entry(kind: EventType) -> re.Pattern[str]:
    """The pattern of a whole entry; its groups come in the order in which `plain_form` takes them."""
    number, time, hash_ = _NUMBER, TIME.pattern, HASH.pattern
    others = "|".join(sorted(set(ROLES) - HOSPITAL_ROLES))
    acting = (
        rf'\{{(?:"hospital":"({id_of("hs").pattern})",'
        rf'"role":"({"|".join(sorted(HOSPITAL_ROLES))})"|"role":"({others})")\}}'
    )
    basis = rf"(?:{number}(?:,{number}){{0,{BASIS_LIMIT - 1}}})?"
    decision = (
        rf'\{{"as_of":({number}),"assurance":[123],"basis":\[({basis})\],'
        rf'"effect":"permit","policy":({number}),"rule":"(?:{"|".join(RULES)})"(?:,"session":{number})?\}}'
    )
    account = id_of("ac").pattern
    event = (
        rf'\{{"actor":"({account})","as":{acting},"at":"({time})",'
        rf'"body":{_object(kind.body, kind.creates)},"id":"({id_of("ev").pattern})",'
        rf'(?:"on_behalf_of":"{account}",)?"stream":"(patient/{id_of("pt").pattern})",'
        rf'"type":"{re.escape(kind.name)}","v":1\}}'
    )
    path = rf'(?:"{hash_}"(?:,"{hash_}"){{0,{BUNDLE_LIMIT.bit_length()}}})?'
    signature = (
        rf'\{{(?:"bundle":\{{"index":({number}),"path":\[({path})\],'
        rf'"size":({number})\}},)?"key":"({KEY_ID.pattern})",'
        rf'"value":"({base64_of(64).pattern})"\}}'
    )
    return re.compile(
        rf'\{{"decision":{decision},"event":({event}),"prev":"({hash_})",'
        rf'"seq":({number}),"sig":{signature},"stream_prev":"({hash_})",'
        rf'"stream_seq":({number}),"time":"({time})"\}}'
    )


def _object(body: Object, creates: tuple[str, ...]) -> str:
    """An object's members in their order, optional ones left out or there; the first required one
    carries no comma, those before it end in one, those after it begin with one."""
    out, first = [], True
    for name in sorted(body.members):
        value = _value(body.members[name])
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
    if isinstance(kind, Text):
        return kind.pattern
    if isinstance(kind, Boolean):
        return "true" if kind.only else "true|false"
    if isinstance(kind, Integer) and kind.low == kind.high:
        return str(kind.low)
    if isinstance(kind, Integer) and kind.high == INTEGER_LIMIT - 1 and kind.low < 10:
        return rf"(?:[{kind.low}-9]|[1-9][0-9]{{1,14}})"
    return None
