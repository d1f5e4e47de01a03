"""What a field of an event may hold, and the checks made from it.

The checks take the place of the general walk of canonical JSON: exact types, known keys, patterns that
admit no control character. Each kind also describes itself for `docs/registry.json`.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crypto.canonical import INTEGER_LIMIT
from crypto.ids import ID_PATTERN
from ledger.errors import EventError
from ledger.times import TIME_PATTERN

Check = Callable[[Any, str], None]
"""Takes a value and its place; raises EventError."""


@dataclass(frozen=True)
class Text:
    """A string that matches `pattern` whole and has at most `length` characters."""

    pattern: str
    length: int
    words: str = field(compare=False)
    """What is expected, for people."""

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        return {"length": self.length, "pattern": self.pattern, "type": "string"}

    def check(self) -> Check:
        """The check of this kind."""
        match, length, words = re.compile(self.pattern).fullmatch, self.length, self.words

        def check(value: Any, place: str) -> None:
            if type(value) is not str or len(value) > length or not match(value):
                raise EventError(f"{place}: got {str(value)[:60]!r}, expected {words}")

        return check


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, both included."""

    low: int = 0
    high: int = INTEGER_LIMIT - 1

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        return {"maximum": self.high, "minimum": self.low, "type": "integer"}

    def check(self) -> Check:
        """The check of this kind."""
        low, high = self.low, self.high

        def check(value: Any, place: str) -> None:
            if type(value) is not int or not low <= value <= high:
                raise EventError(f"{place}: got {str(value)[:40]}, expected {low} to {high}")

        return check


@dataclass(frozen=True)
class Boolean:
    """A boolean; `only` narrows it to that value (members that don't apply are left out)."""

    only: bool | None = None

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        return {"type": "boolean"} | ({} if self.only is None else {"const": self.only})

    def check(self) -> Check:
        """The check of this kind."""
        allowed = (True, False) if self.only is None else (self.only,)

        def check(value: Any, place: str) -> None:
            if type(value) is not bool or value not in allowed:
                raise EventError(f"{place}: got {str(value)[:40]}, expected {allowed}")

        return check


@dataclass(frozen=True)
class List:
    """An array of `low` to `high` members of one kind, ascending where `rising` (none twice)."""

    of: "Kind"
    high: int
    low: int = 0
    rising: bool = False

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        return {
            "items": self.of.describe(),
            "maximum": self.high,
            "minimum": self.low,
            "rising": self.rising,
            "type": "array",
        }

    def check(self) -> Check:
        """The check of this kind."""
        member = self.of.check()

        def check(value: Any, place: str) -> None:
            if type(value) is not list or not self.low <= len(value) <= self.high:
                raise EventError(f"{place}: expected a list of {self.low} to {self.high} members")
            for item in value:
                member(item, place)
            if self.rising and any(a >= b for a, b in itertools.pairwise(value)):
                raise EventError(f"{place}: expected members in ascending order, none twice")

        return check


@dataclass(frozen=True)
class Object:
    """An object with these members; those not among `optional` are required."""

    members: Mapping[str, "Kind"]
    optional: frozenset[str] = field(default_factory=frozenset)
    together: tuple[tuple[str, str], ...] = ()
    """Pairs of optional members that stand together or not at all."""

    def linked(self) -> frozenset[str]:
        """The members whose being there hangs on another's."""
        return frozenset(name for pair in self.together for name in pair)

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        members = {name: kind.describe() for name, kind in self.members.items()}
        return {
            "members": members,
            "required": sorted(set(self.members) - self.optional),
            "together": [list(pair) for pair in self.together],
            "type": "object",
        }

    def check(self) -> Check:
        """The check of this kind."""
        checks = {name: kind.check() for name, kind in self.members.items()}
        required = frozenset(self.members) - self.optional

        def check(value: Any, place: str) -> None:
            if type(value) is not dict:
                raise EventError(f"{place}: got {type(value).__name__}, expected an object")
            for name, member in value.items():
                known = checks.get(name)
                if known is None:
                    raise EventError(f"{place}: got the unknown member {str(name)[:40]!r}")
                known(member, f"{place}.{name}")
            if not required <= value.keys():
                missing = ", ".join(sorted(required - value.keys()))
                raise EventError(f"{place}: expected the member(s) {missing}")
            for first, second in self.together:
                if (first in value) != (second in value):
                    raise EventError(f"{place}: expected {first} and {second} together, or neither")

        return check


@dataclass(frozen=True)
class Nested:
    """A reading and its signature as they came, nested whole in a refusal; checked as an event is."""

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        return {"type": "nested"}

    def check(self) -> Check:
        """The check of this kind: an object; its parser looks deeper."""

        def check(value: Any, place: str) -> None:
            if type(value) is not dict:
                raise EventError(f"{place}: got {type(value).__name__}, expected an object")

        return check


Kind = Text | Integer | Boolean | List | Object | Nested


def code(*names: str) -> Text:
    """One of the named codes."""
    words = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return Text("|".join(names), max(map(len, names)), words)


_OWNERS = {
    "ac": "an account", "bl": "a blob", "ep": "an episode", "ev": "an event", "gp": "a group", "gr": "a grant",
    "hs": "a hospital", "k": "a key", "l": "a label", "pt": "a patient", "rc": "a record", "ss": "a session",
}  # fmt: skip


def id_of(*prefixes: str) -> Text:
    """An id with one of these prefixes."""
    *owners, last = (_OWNERS.get(prefix, "something") for prefix in prefixes)
    words = f"the id of {', '.join(owners)}{' or ' if owners else ''}{last}"
    return Text(f"(?:{'|'.join(prefixes)})_{ID_PATTERN}", max(map(len, prefixes)) + 27, words)


def base64_of(size: int) -> Text:
    """Canonical base64 of exactly `size` bytes; the last digit before the padding has no loose bits."""
    whole, rest = divmod(size, 3)
    tail = ("", "[A-Za-z0-9+/][AQgw]==", "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=")[rest]
    words = f"{size} bytes in base64, with padding"
    return Text(f"[A-Za-z0-9+/]{{{whole * 4}}}{tail}", -(-size // 3) * 4, words)


BASE64_TAIL = "(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"
"""What follows whole groups of four base64 digits."""

HASH = base64_of(32)
KEY_ID = id_of("k")
TIME = Text(TIME_PATTERN, 24, "a time such as 2026-11-20T07:24:00.123Z")
DATE = Text(
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", 10, "a date such as 2026-11-20"
)
MIDNIGHT = Text(
    TIME_PATTERN.replace("[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z", "00:00:00[.]000Z"),
    24,
    "midnight in UTC, such as 2026-11-20T00:00:00.000Z",
)
MEDIA_TYPE = Text(
    "[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}",
    129,
    "a media type in lower case, such as text/plain",
)
TIME_ZONE = Text(
    "[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", 64, "a time zone such as Europe/Berlin"
)
SEALED = Text(f"(?:[A-Za-z0-9+/]{{4}}){{30,1399}}{BASE64_TAIL}", 5_600, "a sealed field in base64")
"""A sealed field: nonce, blocks of 64 bytes, tag: at least 92 bytes, at most 4 KiB of text."""
PUBLIC_NAME = Text(
    r"[^\x00-\x20\x7f\ud800-\udfff](?:[^\x00-\x1f\x7f\ud800-\udfff]*[^\x00-\x20\x7f\ud800-\udfff])?",
    200,
    "a name of 1 to 200 characters, none of them a control character, without spaces at its ends",
)
"""A hospital's name, the one free text of the log."""
VERIFIER_KEY = Text(
    r"[!-*,-~]{1,255}[+][0-9a-f]{8}[+](?:[A-Za-z0-9+/]{4}){8,}" + BASE64_TAIL,
    2_100,
    "a verifier key: its name, id and base64 with + between them",
)
ORIGIN = Text(
    "[!-*,-~]{1,255}", 255, "1 to 255 characters of printable ASCII, without spaces and plus signs"
)
"""Printable ASCII without space and plus."""
