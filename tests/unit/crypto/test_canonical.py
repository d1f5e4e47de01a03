"""Canonical JSON: one form, whichever library writes it, and one set of refusals, whichever reads it."""

import enum
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical
from crypto.errors import CanonicalError

LIMIT = 2**53
SURROGATES = range(0xD800, 0xE000)
CODE_POINTS = [n for n in range(0x20, 0x110000) if n not in SURROGATES]
CHUNK = 65_536

Path = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
STANDARD: Path = (canonical.standard_loads, canonical.standard_write)
FAST: Path = (canonical._loads, canonical._write)


@pytest.fixture(params=["orjson", "standard"], scope="module", autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of this module runs with both libraries."""
    with pytest.MonkeyPatch.context() as patch:
        loads, write = FAST if request.param == "orjson" else STANDARD
        patch.setattr(canonical, "_loads", loads)
        patch.setattr(canonical, "_write", write)
        yield


def plain_json(value: Any) -> bytes:
    """The form by the standard library alone, its options written out here once more."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def test_the_fast_path_is_orjson() -> None:
    assert FAST[0] is orjson.loads and FAST != STANDARD


# One form

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), max_size=20)
EDGES = st.sampled_from([0, 1, -1, LIMIT - 1, 1 - LIMIT, 2**31, 2**32, -(2**31)])
SCALARS = st.one_of(st.booleans(), st.integers(1 - LIMIT, LIMIT - 1), EDGES, TEXT)


def documents(depth: int) -> st.SearchStrategy[Any]:
    """Values of at most `depth` levels of nesting."""
    if depth == 0:
        return SCALARS
    inner = st.deferred(lambda: documents(depth - 1))
    nested = st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
    return st.one_of(SCALARS, nested)


OBJECTS = st.dictionaries(KEYS, documents(canonical.EVENT_DEPTH - 1), max_size=5)


@settings(max_examples=300, deadline=None)
@given(OBJECTS)
def test_all_writers_give_the_same_bytes(value: dict[str, Any]) -> None:
    data = canonical.encode(value)
    assert data == rfc8785.dumps(value)
    assert data == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert data == plain_json(value)


@settings(max_examples=200, deadline=None)
@given(OBJECTS)
def test_parsing_is_the_inverse_of_encoding(value: dict[str, Any]) -> None:
    assert canonical.parse(canonical.encode(value)) == value


@settings(max_examples=300, deadline=None)
@given(OBJECTS, st.integers(0, 10_000), st.integers(0, 255))
def test_what_parses_writes_back_to_the_same_bytes(
    value: dict[str, Any], at: int, byte: int
) -> None:
    data = bytearray(canonical.encode(value))
    data[at % len(data)] = byte
    try:
        parsed = canonical.parse(bytes(data))
    except CanonicalError:
        return
    assert canonical.encode(parsed) == data == plain_json(parsed)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_parsing_raises_nothing_but_its_own_error(data: bytes) -> None:
    try:
        parsed = canonical.parse(data)
    except CanonicalError:
        return
    assert canonical.encode(parsed) == data


@pytest.mark.parametrize("start", range(0, len(CODE_POINTS), CHUNK))
def test_every_code_point_is_written_alike(start: int) -> None:
    """Each alone between marks, so that no escape can hide behind its neighbour."""
    points = CODE_POINTS[start : start + CHUNK]
    value = {"a": "|".join(map(chr, points))}
    data = canonical.encode(value)
    assert data == rfc8785.dumps(value) == orjson.dumps(value) == plain_json(value)
    assert canonical.parse(data) == value


def test_only_quote_and_backslash_are_escaped() -> None:
    text = "".join(map(chr, CODE_POINTS))
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    assert canonical.encode(text) == f'"{escaped}"'.encode()


@pytest.mark.parametrize("number", [0, 1, -1, LIMIT - 1, 1 - LIMIT, 10**15])
def test_integers_have_one_form(number: int) -> None:
    assert canonical.encode({"a": number}) == b'{"a":%d}' % number == rfc8785.dumps({"a": number})
    assert canonical.parse(b'{"a":%d}' % number) == {"a": number}


@pytest.mark.parametrize("form", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("limit", [canonical.EVENT_DEPTH, canonical.ENTRY_DEPTH, 1])
def test_the_outermost_level_is_one(limit: int, form: tuple[str, str]) -> None:
    opening, closing = form
    deepest = f"{opening * limit}1{closing * limit}".encode()
    assert canonical.encode(canonical.parse(deepest, limit), limit) == deepest
    with pytest.raises(CanonicalError, match="nesting"):
        canonical.parse(f"{opening * (limit + 1)}1{closing * (limit + 1)}".encode(), limit)


def test_empty_containers_count_as_a_level() -> None:
    assert canonical.parse(b"[]", 1) == []
    with pytest.raises(CanonicalError, match="nesting"):
        canonical.parse(b"[[]]", 1)
    with pytest.raises(CanonicalError, match="nesting"):
        canonical.parse(b'{"a":{}}', 1)


# Documents that every reader refuses

REFUSED: dict[str, bytes] = {
    "a float": b'{"a":1.5}',
    "1.0": b'{"a":1.0}',
    "-0.0": b'{"a":-0.0}',
    "-0": b'{"a":-0}',
    "1e2": b'{"a":1e2}',
    "1E2": b'{"a":1E2}',
    "1e400": b'{"a":1e400}',
    "2^53": b'{"a":%d}' % LIMIT,
    "-2^53": b'{"a":%d}' % -LIMIT,
    "2^53 + 1": b'{"a":%d}' % (LIMIT + 1),
    "2^63": b'{"a":%d}' % 2**63,
    "2^64 - 1": b'{"a":%d}' % (2**64 - 1),
    "2^64": b'{"a":%d}' % 2**64,
    "5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "null": b"null",
    "null as a member": b'{"a":null}',
    "null in an array": b"[null]",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, other values": b'{"a":1,"a":2}',
    "a key twice, deep": b'[{"a":{"b":1,"b":1}}]',
    "a key twice, once escaped": b'{"a":1,"\\u0061":1}',
    "an empty key": b'{"":1}',
    "an upper-case key": b'{"A":1}',
    "a key with an upper-case letter": b'{"aB":1}',
    "a key that begins with a digit": b'{"0":1}',
    "a key that begins with _": b'{"_a":1}',
    "a key with -": b'{"a-b":1}',
    "a key with a space": b'{"a ":1}',
    "a key with a newline": b'{"a\\n":1}',
    "a key beyond ASCII": '{"ä":1}'.encode(),
    "a key with a digit beyond ASCII": '{"a٣":1}'.encode(),
    "unsorted keys": b'{"b":1,"a":1}',
    "unsorted keys, deep": b'{"a":[{"b":1,"a":1}]}',
    "U+0000": b'{"a":"\\u0000"}',
    "U+001F": b'{"a":"\\u001f"}',
    "an escaped newline": b'{"a":"\\n"}',
    "an escaped tab": b'{"a":"\\t"}',
    "a raw newline": b'{"a":"\n"}',
    "a raw U+0001": b'{"a":"\x01"}',
    "a lone high surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"a":"\\udc00"}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a surrogate pair in escapes": b'{"a":"\\ud83d\\ude00"}',
    "\\u00e9": b'{"a":"\\u00e9"}',
    "\\u0041": b'{"a":"\\u0041"}',
    "\\u007f": b'{"a":"\\u007f"}',
    "\\/": b'{"a":"\\/"}',
    "\\u0022": b'{"a":"\\u0022"}',
    "\\u005C": b'{"a":"\\u005C"}',
    "an unknown escape": b'{"a":"\\x41"}',
    "single quotes": b"{'a':1}",
    "a space before": b' {"a":1}',
    "a space after": b'{"a":1} ',
    "a newline after": b'{"a":1}\n',
    "a space after the colon": b'{"a": 1}',
    "a space after the comma": b"[1, 2]",
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32-le"),
    "depth 9": b"[" * 9 + b"]" * 9,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 500 of objects": b'{"a":' * 500 + b"1" + b"}" * 500,
    "another value after": b'{"a":1}{}',
    "a NUL after": b'{"a":1}\0',
    "a comma at the end": b'{"a":1,}',
    "a comma at the end of an array": b"[1,]",
    "a comment": b'{"a":1}//',
    "nothing": b"",
    "white space alone": b" ",
    "an unfinished object": b'{"a":1',
    "an unfinished text": b'{"a":"',
    "a bare word": b"{a:1}",
    "True": b"True",
    "invalid UTF-8": b'{"a":"\xff"}',
    "a cut code point": b'{"a":"\xc3"}',
    "an overlong code point": b'{"a":"\xc0\xaf"}',
    "beyond U+10FFFF": b'{"a":"\xf4\x90\x80\x80"}',
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_documents(name: str) -> None:
    with pytest.raises(CanonicalError):
        canonical.parse(REFUSED[name])


def test_comparing_alone_would_accept_some_of_them() -> None:
    """Why the walk is there: these come back as the same bytes from a parser and a writer."""
    for name in ("1.0", "-0.0", "2^53 + 1", "null"):
        assert orjson.dumps(orjson.loads(REFUSED[name])) == REFUSED[name]


# Values that every writer refuses


class Number(int):
    """An integer that claims more."""


class Word(str):
    """A text that claims more."""

    __slots__ = ()


class Colour(enum.IntEnum):
    RED = 1


class Name(enum.StrEnum):
    RED = "red"


class Mapping(dict[str, int]):
    """A dict that claims more."""


VALUES: dict[str, Any] = {
    "None": None,
    "a float": 1.5,
    "a whole float": 1.0,
    "NaN": math.nan,
    "infinity": math.inf,
    "a tuple": (1, 2),
    "a set": {1},
    "bytes": b"a",
    "a bytearray": bytearray(b"a"),
    "a subclass of int": Number(1),
    "an IntEnum": Colour.RED,
    "a StrEnum": Name.RED,
    "a subclass of str": Word("a"),
    "a subclass of dict": Mapping(a=1),
    "an OrderedDict": OrderedDict(a=1),
    "an integer key": {1: 1},
    "a None key": {None: 1},
    "a boolean key": {True: 1},
    "a bytes key": {b"a": 1},
    "a str subclass as key": {Word("a"): 1},
    "an upper-case key": {"A": 1},
    "an empty key": {"": 1},
    "a key that ends in a newline": {"a\n": 1},
    "2^53": LIMIT,
    "-2^53": -LIMIT,
    "2^64": 2**64,
    "a control character": "a\x1fb",
    "a NUL": "\0",
    "a lone surrogate": "\ud800",
    "a complex number": 1j,
    "an object": object(),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("place", ["alone", "member", "item"])
def test_refused_values(name: str, place: str) -> None:
    value = VALUES[name]
    whole = {"alone": value, "member": {"a": value}, "item": [1, [value]]}[place]
    with pytest.raises(CanonicalError):
        canonical.encode(whole)


def test_a_value_that_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(CanonicalError, match="nesting"):
        canonical.encode(ring)
