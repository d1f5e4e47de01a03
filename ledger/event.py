"""Events and bundles: what somebody did, signed by whoever did it."""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from crypto import canonical, signing
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.ids import ID_PATTERN
from ledger.codes import HOSPITAL_ROLES, ROLES
from ledger.errors import EventError
from ledger.merkle import leaf_hash, path_lengths, root_from_path, tree_paths
from ledger.messages import bundle_message, event_message
from ledger.patterns import event_pattern, plain_kind
from ledger.registry import BODY_CHECKS
from ledger.schema import Object, code, id_of
from ledger.times import parse_time
from ledger.types import REGISTRY
from ledger.types.declaration import EventType

EVENT_LIMIT = 32 * 1024
"""Longest event in bytes."""
READING_LIMIT = 4 * 1024
"""Longest reading in bytes; its refusal nests it whole."""
READING_DEPTH = 4
"""Deepest nesting of a reading; the outermost object is 1."""
BUNDLE_LIMIT = 1_000
"""Most events under one signature."""

_STREAM = re.compile(
    rf"(ledger)|(patient)/pt_{ID_PATTERN}|(hospital)/hs_{ID_PATTERN}|(account)/ac_{ID_PATTERN}"
)
_stream_match = _STREAM.fullmatch
_account_match = re.compile(f"ac_{ID_PATTERN}").fullmatch
_event_match = re.compile(f"ev_{ID_PATTERN}").fullmatch
_as_check = Object({"hospital": id_of("hs"), "role": code(*ROLES)}, frozenset({"hospital"})).check()
_KEYS = frozenset({"actor", "as", "at", "body", "id", "stream", "type", "v"})
_ALL_KEYS = _KEYS | {"on_behalf_of"}


class Event(NamedTuple):
    """A parsed event; `raw` is its canonical bytes, `value` the same as a dict, not to be altered.

    A tuple, because millions are made: the parts that every check looks at are taken out once.
    """

    raw: bytes
    value: dict[str, Any]
    type: EventType
    at: int
    """The author's clock in Unix milliseconds."""
    id: str
    actor: str
    role: str
    """The role in which the actor acts."""
    hospital: str
    """The hospital for which the actor acts, or the empty text."""
    stream: str
    subject: str
    """The id after the stream's kind; empty for the stream `ledger`."""
    body: dict[str, Any]
    """The body, as its type's registry entry says."""

    @classmethod
    def checked(cls, raw: bytes, value: dict[str, Any], kind: EventType, at: int) -> "Event":
        """The event of a dict that `check_value` took, and its canonical bytes."""
        acting, stream = value["as"], value["stream"]
        return cls(
            raw,
            value,
            kind,
            at,
            value["id"],
            value["actor"],
            acting["role"],
            acting.get("hospital", ""),
            stream,
            stream.partition("/")[2],
            value["body"],
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Event":
        """Read canonical bytes of one event; raises EventError."""
        if len(raw) > EVENT_LIMIT:
            raise EventError(f"got an event of {len(raw)} bytes, expected at most {EVENT_LIMIT}")
        try:
            value = canonical.loads(raw)
        except CryptoError as error:
            raise EventError(f"event: {error}") from error
        if _is_plain(raw):
            return cls._plain(raw, value)
        kind, at = check_value(value)
        if canonical.write(value) != raw:
            raise EventError(
                "got an event that is not canonical JSON (order, space or a repeated key)"
            )
        check_size(kind, len(raw))
        return cls.checked(raw, value, kind, at)

    @classmethod
    def of(cls, value: dict[str, Any]) -> "Event":
        """The event of a plain dict, checked; raises EventError."""
        if (raw := _plain_bytes(value)) is not None:
            return cls._plain(raw, canonical.loads(raw))
        kind, at = check_value(value)
        raw = canonical.write(value)
        check_size(kind, len(raw))
        return cls.checked(raw, value, kind, at)

    @classmethod
    def _plain(cls, raw: bytes, value: dict[str, Any]) -> "Event":
        """The event of bytes that `_is_plain` took, and their value."""
        kind = REGISTRY[value["type"], 1]
        check_size(kind, len(raw))
        return cls.checked(raw, value, kind, parse_time(value["at"]))


def _is_plain(raw: bytes) -> bool:
    """Whether these bytes are, at a glance, a canonical event of a plain type and of its schema."""
    if not raw.isascii():
        return False
    text = raw.decode("ascii")
    kind = plain_kind(text)
    return kind is not None and event_pattern(kind.name).fullmatch(text) is not None


def _plain_bytes(value: Any) -> bytes | None:
    """The canonical bytes of what is, at a glance, a plain event; None for what is to be looked at closely."""
    try:
        raw = canonical.write(value)
    except (TypeError, ValueError, RecursionError):  # no JSON at all: the closer look says why
        return None
    return raw if _is_plain(raw) else None


def check_size(kind: EventType, size: int) -> None:
    """Raises EventError if an event of `size` bytes is over the limit of its type."""
    limit = READING_LIMIT if kind.reading else EVENT_LIMIT
    if size > limit:
        raise EventError(f"got a {kind.name} of {size} bytes, expected at most {limit}")


def check_value(value: Any, nested: int = 0) -> tuple[EventType, int]:
    """The type and `at` in Unix milliseconds of an event's dict; raises EventError.

    Takes the place of the walk of canonical JSON: every member is known and of an exact type, also of
    the event that a refusal nests. `nested`: the version of that refusal; of the first only a reading will do, of
    later ones whatever is gated.
    """
    if type(value) is not dict or not _KEYS <= value.keys() <= _ALL_KEYS:
        raise EventError(f"event: expected the members {', '.join(sorted(_KEYS))} and no others")
    name, version = value["type"], value["v"]
    if type(name) is not str or type(version) is not int:
        raise EventError("event: expected a type's name and an integer v")
    kind = REGISTRY.get((name, version))
    if kind is None:
        raise EventError(f"event: got the unknown type {name[:60]!r} v{version}")
    if nested and not (kind.reading if nested == 1 else kind.gated):
        raise EventError(
            f"access.refused: got a {name} inside, expected "
            f"{'a reading' if nested == 1 else 'what the rules decide'}"
        )
    _matches(_account_match, value, "actor", "an account's id ac_…")
    _matches(_event_match, value, "id", "an event's id ev_…")
    if "on_behalf_of" in value:
        _matches(_account_match, value, "on_behalf_of", "an account's id ac_…")
    acting = value["as"]
    if type(acting) is not dict or not {"role"} <= acting.keys() <= {"hospital", "role"}:
        raise EventError("as: expected role and, where it is held at one, hospital")
    role, hospital = acting["role"], acting.get("hospital")
    if type(role) is not str or not (hospital is None or type(hospital) is str):
        raise EventError("as: expected text")
    if ("hospital" in acting and hospital is None) or not _acting(role, hospital):
        raise EventError(
            f"as: a hospital belongs with {', '.join(sorted(HOSPITAL_ROLES))}, no others"
        )
    stream = value["stream"]
    match = _stream_match(stream) if type(stream) is str else None
    if match is None or kind.stream != stream.partition("/")[0]:
        raise EventError(f"stream: {str(stream)[:60]!r} is not the stream of a {kind.stream} id")
    if type(value["at"]) is not str:
        raise EventError("at: expected a time")
    at = parse_time(value["at"])
    BODY_CHECKS[name, version](value["body"], name)
    if name == "access.refused":
        check_value(value["body"]["event"], nested=version)
        Signature.parse(value["body"]["sig"])
    return kind, at


def _matches(match: Any, value: dict[str, Any], member: str, expected: str) -> None:
    if type(value[member]) is not str or not match(value[member]):
        raise EventError(f"{member}: got {str(value[member])[:60]!r}, expected {expected}")


@lru_cache(maxsize=4_096)
def _b64_node(node: bytes) -> bytes:
    """Base64 of a path's hash, quoted; the upper nodes of a bundle's tree stand in many paths."""
    return b'"%b"' % b2a_base64(node, newline=False)


@lru_cache(maxsize=4_096)
def _acting(role: Any, hospital: Any) -> bool:
    """Whether role and hospital (None if left out) belong together; both of the right form."""
    _as_check({"role": role} | ({} if hospital is None else {"hospital": hospital}), "as")
    return (role in HOSPITAL_ROLES) == (hospital is not None)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature over one event, or over a bundle of which the event is a leaf."""

    key: str
    value: bytes
    index: int = 0
    size: int = 0
    """Events in the bundle; 0 for a signature over the event alone."""
    path: tuple[bytes, ...] = ()

    def json(self) -> dict[str, Any]:
        """As it stands in an entry."""
        out: dict[str, Any] = {"key": self.key, "value": b64encode(self.value)}
        if self.size:
            path = [b64encode(node) for node in self.path]
            out["bundle"] = {"index": self.index, "path": path, "size": self.size}
        return out

    def canonical(self) -> bytes:
        """The canonical bytes of `json`: its members stand in their sorted order, and none needs an escape."""
        value = b2a_base64(self.value, newline=False)
        if not self.size:
            return b'{"key":"%b","value":"%b"}' % (self.key.encode(), value)
        path = b",".join(map(_b64_node, self.path))
        return b'{"bundle":{"index":%d,"path":[%b],"size":%d},"key":"%b","value":"%b"}' % (
            self.index,
            path,
            self.size,
            self.key.encode(),
            value,
        )

    @classmethod
    def parse(cls, value: Any) -> "Signature":
        """Read the `sig` member of an entry; raises EventError."""
        try:
            if type(value) is not dict or not {"key", "value"} <= value.keys() <= {
                "bundle",
                "key",
                "value",
            }:
                raise EventError("sig: expected key, value and, of a bundle, bundle")
            _key_check(value["key"], "sig.key")
            signature = b64decode(value["value"], signing.SIGNATURE_BYTES)
            if "bundle" not in value:
                return cls(value["key"], signature)
            bundle = value["bundle"]
            _bundle_check(bundle, "sig.bundle")
            path = tuple(b64decode(node, 32) for node in bundle["path"])
        except (CryptoError, TypeError) as error:
            raise EventError(f"sig: {error}") from error
        index, size = bundle["index"], bundle["size"]
        if index >= size or len(path) != path_lengths(index, size):
            raise EventError(f"sig.bundle: got index {index}, size {size}, {len(path)} hashes")
        return cls(value["key"], signature, index, size, path)

    @classmethod
    def stored(cls, value: dict[str, Any]) -> "Signature":
        """Read the `sig` member of an entry that was checked when it was written."""
        bundle = value.get("bundle", {"index": 0, "path": (), "size": 0})
        path = tuple(map(a2b_base64, bundle["path"]))
        return cls(value["key"], a2b_base64(value["value"]), bundle["index"], bundle["size"], path)

    def message(self, origin: str, event: bytes) -> bytes:
        """The bytes that were signed, for this `event` in the log `origin`."""
        if not self.size:
            return event_message(origin, event)
        root = root_from_path(self.index, self.size, leaf_hash(event), self.path)
        return bundle_message(origin, self.size, root)


_key_check = id_of("k").check()


def _bundle_check(bundle: Any, place: str) -> None:
    if type(bundle) is not dict or bundle.keys() != {"index", "path", "size"}:
        raise EventError(f"{place}: expected index, path and size")
    index, size, path = bundle["index"], bundle["size"], bundle["path"]
    if type(index) is not int or type(size) is not int or type(path) is not list:
        raise EventError(f"{place}: expected two integers and a list")
    if not 0 <= index < size <= BUNDLE_LIMIT or not all(type(node) is str for node in path):
        raise EventError(f"{place}: got index {index} of {size}, expected at most {BUNDLE_LIMIT}")


def sign_event(key: signing.SigningKey, origin: str, event: bytes) -> Signature:
    """A signature over one event alone."""
    return Signature(key.id, key.sign(event_message(origin, event)))


def bundle_paths(key: str, value: bytes, events: Sequence[bytes]) -> tuple[bytes, list[Signature]]:
    """The root of a bundle and each event's own signature, for the signature `value` of `key`."""
    if not 1 <= len(events) <= BUNDLE_LIMIT:
        raise EventError(f"got a bundle of {len(events)} events, expected 1 to {BUNDLE_LIMIT}")
    root, paths = tree_paths([leaf_hash(event) for event in events])
    size = len(events)
    return root, [Signature(key, value, index, size, path) for index, path in enumerate(paths)]


def sign_bundle(key: signing.SigningKey, origin: str, events: Sequence[bytes]) -> list[Signature]:
    """One signature over `events`, as each of them carries it."""
    root, paths = bundle_paths(key.id, b"", events)
    value = key.sign(bundle_message(origin, len(events), root))
    return [Signature(key.id, value, s.index, s.size, s.path) for s in paths]
