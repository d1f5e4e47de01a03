"""Entries: what the formats allow is read and written, anything else is refused."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical
from ledger.entry import ENTRY_LIMIT, Entry
from ledger.errors import EventError
from ledger.schema import Kind, List, Object, Text
from ledger.types import TYPES
from tests.golden import make
from tests.support.json_changes import ENTRY, Change, changed, drop, entry_of, put, raw


@pytest.fixture(params=["orjson", "standard"], scope="module", autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of this module runs with both JSON libraries."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "standard":
            patch.setattr(canonical, "_loads", canonical.standard_loads)
            patch.setattr(canonical, "_write", canonical.standard_write)
        yield


def kind_of(name: str) -> dict[str, Any]:
    return make.EVENTS[name, 1]


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 10_000), st.binary(max_size=2))
def test_an_accepted_entry_writes_back_to_its_bytes(at: int, new: bytes) -> None:
    data = raw(ENTRY)
    at %= len(data)
    altered = data[:at] + new + data[at + max(len(new), 1) :]
    try:
        entry = Entry.parse(altered)
    except EventError:
        return
    again = Entry.make(entry.event, entry.sig, entry.link, entry.time, entry.decision)
    assert again.raw == altered == canonical.encode(canonical.loads(altered), 12)


def test_entries_have_65_535_bytes_at_most() -> None:
    for size, message in ((ENTRY_LIMIT, "canonical"), (ENTRY_LIMIT + 1, "at most 65535")):
        with pytest.raises(EventError, match=message):
            Entry.parse(raw(ENTRY).ljust(size))


def texts(kind: Kind) -> Iterator[Text]:
    """The texts that a field or its parts may be."""
    if isinstance(kind, Text):
        yield kind
    elif isinstance(kind, List):
        yield from texts(kind.of)
    elif isinstance(kind, Object):
        for member in kind.members.values():
            yield from texts(member)


def test_what_was_expected_is_said_in_words() -> None:
    """For every text of every type: no pattern is shown to people."""
    found = {text for one in TYPES for text in texts(one.body)}
    assert len(found) > 20
    for text in found:
        with pytest.raises(EventError) as refused:
            text.check()("\n", "event.body.x")
        said = str(refused.value)
        assert said.startswith("event.body.x: got '\\n', expected ") and said.endswith(text.words)
        assert not re.search(r"[\[\]{}|^$?*\\()]", text.words) and "something" not in text.words


@pytest.mark.parametrize("kind", [name for name, _ in make.EVENTS])
def test_entries_of_every_type_are_read(kind: str) -> None:
    value = entry_of(kind, kind_of(kind))
    entry = Entry.parse(raw(value))
    assert entry.raw == raw(value) and entry.event.value == kind_of(kind)
    assert entry.decision == value.get("decision")


ENTRY_CHANGES: dict[str, Change] = {
    **{f"no {member}": drop(member) for member in ENTRY},
    **{f"{member} is null": put(member, None) for member in ENTRY},
    **{f"{member} is a list": put(member, []) for member in ENTRY},
    "an unknown member": put("extra", 1),
    "prev of 31 bytes": put("prev", "A" * 40 + "AA=="),
    "prev with loose bits": put("prev", "A" * 42 + "B="),
    "stream_prev of 33 bytes": put("stream_prev", "A" * 44),
    "seq below 0": put("seq", -1),
    "seq is true": put("seq", True),
    "seq is a text": put("seq", "3"),
    "seq 3.0": put("seq", 3.0),
    "seq 2^53": put("seq", 2**53),
    "stream_seq below 0": put("stream_seq", -1),
    "stream_seq is true": put("stream_seq", True),
    "stream_seq 2^53": put("stream_seq", 2**53),
    "time without milliseconds": put("time", "2026-11-20T07:24:00Z"),
    "time on 31 April": put("time", "2026-04-31T07:24:00.000Z"),
    "a gated type that is denied": put("decision.effect", "deny"),
    "an unknown effect": put("decision.effect", "maybe"),
    "as_of is seq": put("decision.as_of", make.INDEX),
    "as_of is earlier": put("decision.as_of", make.INDEX - 2),
    "basis of 9": put("decision.basis", list(range(9))),
    "basis out of order": put("decision.basis", [2, 1]),
    "basis twice the same": put("decision.basis", [2, 2]),
    "basis below 0": put("decision.basis", [-1]),
    "basis of texts": put("decision.basis", ["1"]),
    "assurance 0": put("decision.assurance", 0),
    "assurance 4": put("decision.assurance", 4),
    "rule S13": put("decision.rule", "S13"),
    "rule S": put("decision.rule", "S"),
    "policy below 0": put("decision.policy", -1),
    "session below 0": put("decision.session", -1),
    "a reason in a permit": put("decision.reason", "no_consent"),
    "an unknown member of the decision": put("decision.masked", True),
    **{f"no {member} in the decision": drop(f"decision.{member}") for member in make.DECISION},
    "sig: no key": drop("sig.key"),
    "sig: no value": drop("sig.value"),
    "sig: an unknown member": put("sig.extra", 1),
    "sig: a key of another kind": put("sig.key", make.DOCTOR),
    "sig: a value of 63 bytes": put("sig.value", "A" * 84),
    "sig: a value with loose bits": put("sig.value", "A" * 85 + "B=="),
    "sig: a value that is a number": put("sig.value", 1),
    "sig: no bundle": put("sig.bundle", None),
    "sig: a bundle of nothing": put("sig.bundle", {}),
}


@pytest.mark.parametrize("name", ENTRY_CHANGES)
def test_refused_entries(name: str) -> None:
    with pytest.raises(EventError):
        Entry.parse(raw(changed(ENTRY, ENTRY_CHANGES[name])))


def test_a_decision_stands_where_its_type_wants_it() -> None:
    decision = ENTRY["decision"]
    for kind in make.EVENTS:
        good = entry_of(kind[0], make.EVENTS[kind])
        wrong = drop("decision") if "decision" in good else put("decision", decision)
        with pytest.raises(EventError, match="decision"):
            Entry.parse(raw(changed(good, wrong)))


def test_a_refusal_is_a_denial_with_a_reason() -> None:
    good = entry_of("access.refused", kind_of("access.refused"))
    for wrong in (drop("decision.reason"), put("decision.effect", "permit"),
                  put("decision.reason", "Because"), put("decision.reason", "x" * 41)):  # fmt: skip
        with pytest.raises(EventError, match="decision"):
            Entry.parse(raw(changed(good, wrong)))
