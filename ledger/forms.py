"""Canonical entries as one pattern a type: what matches is canonical and of its schema, at a glance.

An auditor reads millions of entries, and nearly all are of a few plain types. Canonical JSON has one
order and no free space, so the whole of such an entry is one regular expression made from the registry.
A match implies what `Entry.parse` would find (a property test holds it so); what does not match is not
wrong, it only goes the long way.
"""

import re
from binascii import a2b_base64
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from crypto import canonical
from ledger.chain import Link
from ledger.entry import BASIS_LIMIT, ENTRY_LIMIT, RULES, Entry
from ledger.event import BUNDLE_LIMIT, EVENT_LIMIT, READING_LIMIT, Event, Signature
from ledger.merkle import path_lengths
from ledger.patterns import NUMBER, PLAIN_TYPES, acting_of, event_text, plain_kind
from ledger.schema import HASH, KEY_ID, TIME, base64_of
from ledger.times import parse_time
from ledger.types import REGISTRY
from ledger.types.declaration import EventType

__all__ = ["PLAIN_TYPES", "Form", "Signer", "parse_entry", "plain_form", "signer_of"]


class Signer(NamedTuple):
    """Who signs what, as far as the right to do so goes; `stream` only where the role hangs on it."""

    kind: str
    """The type's name, with its version behind a slash from the second on; see `KINDS`."""
    actor: str
    role: str
    hospital: str
    stream: str
    key: str


_DECISION, _EVENT = b'{"decision":', b',"event":'
"""Between these stands the decision of a plain entry, which holds neither."""
Place = tuple[str, int, bytes, int, tuple[str, ...], Signer]
"""What is checked in order: stream, number in it, hash of its entry before, time (Unix ms), ids created,
signer. A bare tuple: millions are made."""


class Form(NamedTuple):
    """What an entry's text says; hashes are bytes, times Unix ms."""

    kind: EventType
    event: bytes
    at: int
    seq: int
    prev: bytes
    value: str
    """The signature, base64."""
    bundle: tuple[str, str, str] | None
    """Index, path (its members joined) and size, as written."""
    place: Place


def plain_form(raw: bytes) -> Form | None:
    """The form of a plain entry, or None if it has to go the long way."""
    if len(raw) > ENTRY_LIMIT:
        return None
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return None
    kind = plain_kind(text)
    match = _entry_pattern(kind.name).fullmatch(text) if kind else None
    if kind is None or match is None:
        return None
    (
        as_of, basis, policy, event, actor, acting, at, *new, id_, stream, prev, seq, index, path, size, key,
        value, stream_prev, stream_seq, time,
    ) = match.groups()  # fmt: skip
    number = int(seq)
    if len(event) > (READING_LIMIT if kind.reading else EVENT_LIMIT):
        return None
    if int(as_of) != number - 1 or int(policy) >= number:
        return None
    if basis and not _rests_before(number, basis):
        return None
    if index and not _fits(int(index), int(size), path):
        return None
    try:
        times = parse_time(at), parse_time(time)
    except ValueError:
        return None
    signer = signer_of(kind.name, actor, *acting_of(acting), stream, key)
    place = (stream, int(stream_seq), a2b_base64(stream_prev), times[1], (id_, *new), signer)
    bundle = (index, path, size) if index else None
    return Form(
        kind, event.encode("ascii"), times[0], number, a2b_base64(prev), value, bundle, place
    )


def signer_of(kind: str, actor: str, role: str, hospital: str, stream: str, key: str) -> Signer:
    """The signer of an event of this kind in `stream`."""
    return _signer(kind, actor, role, hospital, stream if role == "patient" else "", key)


@lru_cache(maxsize=4_096)
def _signer(*names: str) -> Signer:
    """One signer has many entries; equal ones are one thing, also where they go from process to process."""
    return Signer(*names)


def kind_of(kind: EventType) -> str:
    """The kind of a signer of this type and version: two versions of a type are two kinds."""
    return kind.name if kind.v == 1 else f"{kind.name}/{kind.v}"


KINDS = {kind_of(kind): kind for kind in REGISTRY.values()}
"""Every type and version by its kind."""


def parse_entry(raw: bytes) -> Entry:
    """The entry of stored bytes, as `Entry.parse` gives it, plain ones at a glance; raises EventError."""
    form = plain_form(raw)
    if form is None:
        return Entry.parse(raw)
    _, stream_seq, stream_prev, time, _, signer = form.place
    event = Event.checked(form.event, canonical.loads(form.event), form.kind, form.at)
    value = a2b_base64(form.value)
    if form.bundle is None:
        sig = Signature(signer.key, value)
    else:
        index, path, size = form.bundle
        hashes = tuple(map(a2b_base64, path[1:-1].split('","'))) if path else ()
        sig = Signature(signer.key, value, int(index), int(size), hashes)
    decision = canonical.loads(raw[len(_DECISION) : raw.index(_EVENT)])
    return Entry(
        raw, event, sig, Link(form.seq, form.prev, stream_seq, stream_prev), time, decision
    )


def _rests_before(seq: int, basis: str) -> bool:
    """Whether a basis names entries before `seq`, ascending; most name one."""
    if "," not in basis:
        return int(basis) < seq
    numbers = [int(number) for number in basis.split(",")]
    return numbers[-1] < seq and all(a < b for a, b in pairwise(numbers))


def _fits(index: int, size: int, path: str) -> bool:
    """Whether a bundle's index, size and number of hashes belong together."""
    hashes = path.count(",") + 1 if path else 0
    return index < size <= BUNDLE_LIMIT and hashes == path_lengths(index, size)


@cache
def _entry_pattern(name: str) -> re.Pattern[str]:
    """The pattern of a whole entry; its groups come in the order in which `plain_form` takes them."""
    number, hash_ = NUMBER, HASH.pattern
    basis = rf"(?:{number}(?:,{number}){{0,{BASIS_LIMIT - 1}}})?"
    decision = (
        rf'\{{"as_of":({number}),"assurance":[123],"basis":\[({basis})\],'
        rf'"effect":"permit","policy":({number}),"rule":"(?:{"|".join(RULES)})"(?:,"session":{number})?\}}'
    )
    path = rf'(?:"{hash_}"(?:,"{hash_}"){{0,{BUNDLE_LIMIT.bit_length()}}})?'
    signature = (
        rf'\{{(?:"bundle":\{{"index":({number}),"path":\[({path})\],'
        rf'"size":({number})\}},)?"key":"({KEY_ID.pattern})",'
        rf'"value":"({base64_of(64).pattern})"\}}'
    )
    return re.compile(
        rf'\{{"decision":{decision},"event":({event_text(REGISTRY[name, 1])}),"prev":"({hash_})",'
        rf'"seq":({number}),"sig":{signature},"stream_prev":"({hash_})",'
        rf'"stream_seq":({number}),"time":"({TIME.pattern})"\}}'
    )
