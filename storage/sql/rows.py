"""Rows of directory and facts as they lie in SQL: the same fields, tuples as JSON text."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

import orjson
from sqlalchemy import Table

from ledger.directory import ChartLink
from ledger.facts import Provision, Version
from ledger.rows import KEY_LENGTHS
from ledger.signins import SignIn
from storage.sql.schema import TABLES


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows of a kind go into SQL and come back."""

    kind: Any
    table: Table
    columns: str
    key: tuple[str, ...]
    encoders: tuple[tuple[int, Callable[[Any], Any]], ...]
    decoders: tuple[tuple[int, Callable[[Any], Any]], ...]
    one: str
    """The SELECT of the row of one key, written with `?`."""

    def encode(self, row: Any) -> tuple[Any, ...]:
        """The row as a tuple for the driver."""
        if not self.encoders:
            return tuple(row)
        out = list(row)
        for index, encoder in self.encoders:
            out[index] = encoder(out[index])
        return tuple(out)

    def decode(self, values: Any) -> Any:
        """The row of a result's tuple."""
        if not self.decoders:
            return self.kind._make(values)
        out = list(values)
        for index, decoder in self.decoders:
            out[index] = decoder(out[index])
        return self.kind._make(out)


@cache
def shape(kind: Any) -> Shape:
    """The shape of one kind of row."""
    table = TABLES[kind]
    hints = get_type_hints(kind)
    names = list(hints)
    encoders: list[tuple[int, Callable[[Any], Any]]] = []
    decoders: list[tuple[int, Callable[[Any], Any]]] = []
    for index, hint in enumerate(hints.values()):
        if hint is bool:
            decoders.append((index, bool))
        elif hint is bytes:
            decoders.append((index, bytes))
        elif hint == tuple[Version, ...]:
            encoders.append((index, _json))
            decoders.append((index, _versions))
        elif hint == tuple[Provision, ...]:
            encoders.append((index, _json))
            decoders.append((index, _provisions))
        elif hint == tuple[ChartLink, ...]:
            encoders.append((index, _json))
            decoders.append((index, _links))
        elif hint == tuple[SignIn, ...]:
            encoders.append((index, _json))
            decoders.append((index, _sign_ins))
        elif hint not in (str, int):
            encoders.append((index, _json))
            decoders.append((index, _tuple))
    columns = ", ".join(f'"{name}"' for name in names)
    key = tuple(names[: KEY_LENGTHS[kind]])
    where = " AND ".join(f'"{name}" = ?' for name in key)
    one = f'SELECT {columns} FROM "{table.name}" WHERE {where}'
    return Shape(kind, table, columns, key, tuple(encoders), tuple(decoders), one)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=tuple).decode() if value else "[]"


def _tuple(text: str) -> tuple[Any, ...]:
    return () if text == "[]" else tuple(orjson.loads(text))


def _versions(text: str) -> tuple[Version, ...]:
    return tuple(Version._make(item) for item in orjson.loads(text))


def _links(text: str) -> tuple[ChartLink, ...]:
    return () if text == "[]" else tuple(ChartLink._make(item) for item in orjson.loads(text))


def _sign_ins(text: str) -> tuple[SignIn, ...]:
    return tuple(SignIn._make(item) for item in orjson.loads(text))


def _provisions(text: str) -> tuple[Provision, ...]:
    return () if text == "[]" else tuple(map(_provision, orjson.loads(text)))


def _provision(values: list[Any]) -> Provision:
    *members, inner = (tuple(value) if type(value) is list else value for value in values)
    return Provision._make((*members, tuple(map(_provision, inner))))
