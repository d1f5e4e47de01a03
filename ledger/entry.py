"""Entries: an event once it stands in the log. The stored bytes are exactly what is hashed."""

from binascii import a2b_base64, b2a_base64
from typing import Any, NamedTuple

from crypto import canonical
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from ledger.chain import Link
from ledger.errors import EventError
from ledger.event import Event, Signature, check_size, check_value
from ledger.schema import Integer, List, Object, Text, code
from ledger.times import format_time, parse_time
from ledger.types import REGISTRY
from ledger.types.declaration import EventType

ENTRY_LIMIT = 65_535
"""Longest entry in bytes; an entry bundle counts it in two bytes."""
BASIS_LIMIT = 8
"""Most deciding entries a decision names."""
RULES = tuple(f"S{number}" for number in range(13))

_KEYS = {"event", "prev", "seq", "sig", "stream_prev", "stream_seq", "time"}
_decision_check = Object(
    {
        "as_of": Integer(),
        "assurance": Integer(1, 3),
        "basis": List(Integer(), BASIS_LIMIT, rising=True),
        "effect": code("permit", "deny"),
        "policy": Integer(),
        "reason": Text("[a-z_]{1,40}", 40, "a reason's name"),
        "rule": code(*RULES),
        "session": Integer(),
    },
    frozenset({"reason", "session"}),
).check()


class Entry(NamedTuple):
    """A parsed entry; `time` is in Unix milliseconds, hashes are 32 bytes."""

    raw: bytes
    event: Event
    sig: Signature
    link: Link
    time: int
    decision: dict[str, Any] | None

    @classmethod
    def make(
        cls, event: Event, sig: Signature, link: Link, time: int, decision: dict[str, Any] | None
    ) -> "Entry":
        """Put an entry together; raises EventError over ENTRY_LIMIT bytes."""
        raw = _assemble(event.raw, sig.canonical(), link, format_time(time), decision)
        if len(raw) > ENTRY_LIMIT:
            raise EventError(f"got an entry of {len(raw)} bytes, expected at most {ENTRY_LIMIT}")
        return cls(raw, event, sig, link, time, decision)

    @classmethod
    def parse(cls, raw: bytes) -> "Entry":
        """Read the stored bytes of one entry; raises EventError for anything not canonical."""
        if len(raw) > ENTRY_LIMIT:
            raise EventError(f"got an entry of {len(raw)} bytes, expected at most {ENTRY_LIMIT}")
        try:
            value = canonical.loads(raw)
            if type(value) is not dict or not _KEYS <= value.keys() <= _KEYS | {"decision"}:
                raise EventError(f"entry: expected the members {', '.join(sorted(_KEYS))}")
            kind, at = check_value(value["event"])
            link = _link(value)
            decision = _decision(value, kind, link.seq)
            sig = Signature.parse(value["sig"])
            time = parse_time(value["time"]) if type(value["time"]) is str else parse_time("")
            event = Event.checked(canonical.write(value["event"]), value["event"], kind, at)
            check_size(kind, len(event.raw))
            canonical_sig = canonical.write(value["sig"])
        except CryptoError as error:
            raise EventError(f"entry: {error}") from error
        if _assemble(event.raw, canonical_sig, link, value["time"], decision) != raw:
            raise EventError(
                "got an entry that is not canonical JSON (order, space, a repeated key)"
            )
        return cls(raw, event, sig, link, time, decision)

    @classmethod
    def stored(cls, raw: bytes) -> "Entry":
        """Read an entry of one's own store, whose bytes were checked when they were written."""
        value = canonical.loads(raw)
        event, sig = value["event"], value["sig"]
        kind = REGISTRY[event["type"], event["v"]]
        link = Link(
            value["seq"], a2b_base64(value["prev"]), value["stream_seq"], a2b_base64(value["stream_prev"])
        )  # fmt: skip
        checked = Event.checked(canonical.write(event), event, kind, parse_time(event["at"]))
        time = parse_time(value["time"])
        return cls(raw, checked, Signature.stored(sig), link, time, value.get("decision"))


def _assemble(
    event: bytes, sig: bytes, link: Link, time: str, decision: dict[str, Any] | None
) -> bytes:
    """Canonical bytes of an entry from canonical parts; the members stand in their sorted order."""
    head = b"{" if decision is None else b'{"decision":%b,' % canonical.write(decision)
    return (
        b'%b"event":%b,"prev":"%b","seq":%d,"sig":%b,"stream_prev":"%b","stream_seq":%d,"time":"%b"}'
        % (
            head,
            event,
            b2a_base64(link.prev, newline=False),
            link.seq,
            sig,
            b2a_base64(link.stream_prev, newline=False),
            link.stream_seq,
            time.encode(),
        )
    )


def _link(value: dict[str, Any]) -> Link:
    for member in ("prev", "stream_prev"):
        if type(value[member]) is not str:
            raise EventError(f"{member}: expected base64 of 32 bytes")
    for member in ("seq", "stream_seq"):
        if type(value[member]) is not int or not 0 <= value[member] < canonical.INTEGER_LIMIT:
            raise EventError(f"{member}: got {str(value[member])[:40]}, expected a number from 0")
    prev, stream_prev = b64decode(value["prev"], 32), b64decode(value["stream_prev"], 32)
    return Link(value["seq"], prev, value["stream_seq"], stream_prev)


def _decision(value: dict[str, Any], kind: EventType, seq: int) -> dict[str, Any] | None:
    """The decision, which stands where its type wants it, of the right effect, as of the entry before."""
    decision: dict[str, Any] | None = value.get("decision")
    name, gated = kind.name, kind.gated
    refused = name == "access.refused"
    if decision is None:
        if gated or refused:
            raise EventError(f"decision: missing in a {name}")
        return None
    _decision_check(decision, "decision")
    effect = "deny" if refused else "permit"
    if not (gated or refused) or decision["effect"] != effect or decision["as_of"] != seq - 1:
        raise EventError(
            f"decision: not one of a {name} at {seq}: {decision['effect']}, as of {decision['as_of']}"
        )
    if max(0, decision["policy"], *decision["basis"]) > decision["as_of"]:
        raise EventError("decision: rests on an entry that does not precede it")
    if refused and kind.v == 1 and decision["rule"] == "S0":
        raise EventError("decision: what S0 denies is not written in access.refused v1")
    if ("reason" in decision) != refused:
        raise EventError("decision: a reason belongs to a denial, and only there")
    return decision


def nested_event(event: Event) -> tuple[Event, Signature]:
    """The refused event inside an `access.refused`, and its signature; raises EventError."""
    value = event.body["event"]
    kind, at = check_value(value, nested=event.type.v)
    if value["stream"] != event.stream:
        raise EventError("access.refused: expected an event of the same patient inside")
    raw = canonical.write(value)
    check_size(kind, len(raw))
    return Event.checked(raw, value, kind, at), Signature.parse(event.body["sig"])
