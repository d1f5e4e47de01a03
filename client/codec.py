"""Values as JSON and back, by the types that declare them: one codec for whoever renders and whoever parses.

Takes named tuples and dataclasses of texts, integers, booleans, bytes (base64), tuples, lists, mappings and each other.
Members that a type doesn't have are passed over, so that answers may grow; what is missing takes its default.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    Generic,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from crypto.encoding import b64decode, b64encode

T = TypeVar("T")
_PLAIN = (str, int, bool)


class Codec(NamedTuple, Generic[T]):
    """Both ways of one type; `decode` raises TypeError, KeyError or ValueError for what is not of it."""

    encode: Callable[[T], Any]
    decode: Callable[[Any], T]


def codec_of(kind: type[T]) -> Codec[T]:
    """The codec of a type."""
    return cast(Codec[T], _codec(cast(Any, kind)))


@cache
def _codec(kind: Any) -> Codec[Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return Codec(_same, lambda value: _exactly(kind, value))
    if kind is bytes:
        return Codec(b64encode, b64decode)
    if kind is Any:
        return Codec(_same, _same)
    if origin in (Union, UnionType):
        return _optional([one for one in inner if one is not NoneType])
    if origin in (tuple, list):
        return _several(origin, inner)
    if origin in (dict, Mapping):
        return _mapping(_later(inner[1]))
    return _members(kind)


def _optional(kinds: list[Any]) -> Codec[Any]:
    if len(kinds) != 1:
        raise TypeError(f"got a union of {kinds}, expected a type or None")
    one = _later(kinds[0])
    return Codec(
        lambda value: None if value is None else one.encode(value),
        lambda value: None if value is None else one.decode(value),
    )


def _several(origin: type, inner: tuple[Any, ...]) -> Codec[Any]:
    if origin is list or inner[1:] == (Ellipsis,):
        one = _later(inner[0])
        return Codec(
            lambda values: [one.encode(value) for value in values],
            lambda values: origin(one.decode(value) for value in _exactly(list, values)),
        )
    each = [_later(kind) for kind in inner]
    return Codec(
        lambda values: [one.encode(value) for one, value in zip(each, values, strict=True)],
        lambda values: tuple(
            one.decode(value) for one, value in zip(each, _exactly(list, values), strict=True)
        ),
    )


def _mapping(one: Codec[Any]) -> Codec[Any]:
    return Codec(
        lambda values: {name: one.encode(value) for name, value in values.items()},
        lambda values: {
            str(name): one.decode(value) for name, value in _exactly(dict, values).items()
        },
    )


def _members(kind: Any) -> Codec[Any]:
    """A named tuple or a dataclass, as an object of its members."""
    hints = get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if field.init]
        needed = {
            field.name
            for field in dataclasses.fields(kind)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
    elif hasattr(kind, "_fields"):
        names, needed = list(kind._fields), set(kind._fields) - set(kind._field_defaults)
    else:
        raise TypeError(f"got {kind!r}, which no answer has a form for")
    each = {name: _later(hints[name]) for name in names}

    def decode(value: Any) -> Any:
        members = _exactly(dict, value)
        if missing := needed - members.keys():
            raise KeyError(", ".join(sorted(missing)))
        return kind(**{name: each[name].decode(members[name]) for name in names if name in members})

    return Codec(
        lambda value: {name: one.encode(getattr(value, name)) for name, one in each.items()}, decode
    )


class _Later:
    """A codec that is made when it is first used: a type may hold values of its own kind."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @property
    def encode(self) -> Callable[[Any], Any]:
        return _codec(self._kind).encode

    @property
    def decode(self) -> Callable[[Any], Any]:
        return _codec(self._kind).decode


def _later(kind: Any) -> Codec[Any]:
    return _codec(kind) if kind in _PLAIN else cast(Codec[Any], _Later(kind))


def _same(value: Any) -> Any:
    return value


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"got {type(value).__name__}, expected {kind.__name__}")
    return value
