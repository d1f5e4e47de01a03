"""The golden files: written anew to the same bytes, or opened, so that no format changes unseen."""

import pytest

from crypto import blobs, canonical, shares, wraps
from crypto.errors import SealError
from crypto.signing import verify
from ledger.checkpoint import parse_keys
from ledger.entry import Entry, nested_event
from ledger.event import Event, Signature
from ledger.receipt import Receipt
from ledger.times import parse_time
from ledger.types import REGISTRY
from tests.golden import converse, make

FILES = make.deterministic()


def stored(name: str) -> bytes:
    return (make.HERE / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_what_is_deterministic_is_written_as_it_was(name: str) -> None:
    assert stored(name) == FILES[name]


def test_every_type_and_version_has_its_golden_event() -> None:
    names = {path.name for path in (make.HERE / "events").iterdir()}
    assert names == {f"{name}.v{version}.json" for name, version in REGISTRY}
    assert set(make.EVENTS) == set(REGISTRY)


def test_there_are_no_other_files() -> None:
    there = {
        str(path.relative_to(make.HERE))
        for path in make.HERE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    of_others = {f"witness/{name}" for name in converse.WRITTEN}
    assert there == set(FILES) | set(make.randomised()) | of_others


@pytest.mark.parametrize("kind", make.EVENTS)
def test_golden_events_are_read(kind: tuple[str, int]) -> None:
    raw = stored(f"events/{kind[0]}.v{kind[1]}.json")
    event = Event.parse(raw)
    assert (event.type.name, event.type.v) == kind
    assert event.raw == raw and Event.of(event.value).raw == raw


def test_the_golden_refusal_nests_a_signed_reading() -> None:
    inner, sig = nested_event(Event.parse(stored("events/access.refused.v1.json")))
    verify(make.KEYS["doctor"].public, sig.value, sig.message(make.ORIGIN, inner.raw))


def test_the_golden_bundle_verifies_event_by_event() -> None:
    lines = stored("bundle.jsonl").splitlines()
    assert len(lines) == 5
    for index, line in enumerate(lines):
        value = canonical.parse(line)
        event, sig = Event.of(value["event"]), Signature.parse(value["sig"])
        assert (sig.index, sig.size) == (index, 5)
        verify(make.KEYS["doctor"].public, sig.value, sig.message(make.ORIGIN, event.raw))


def test_the_golden_entry_is_read() -> None:
    entry = Entry.parse(stored("entry.json"))
    assert entry == make.entry()
    assert (entry.time, entry.event.at) == (make.TIME + 1, parse_time(make.AT))
    verify(
        make.KEYS["doctor"].public,
        entry.sig.value,
        entry.sig.message(make.ORIGIN, entry.event.raw),
    )


def test_the_golden_receipt_is_opened() -> None:
    data = stored("receipt.tlog-proof")
    receipt = Receipt.parse(data)
    assert receipt.text() == data and receipt.entry == stored("entry.json")
    keys = parse_keys(stored("log.vkey").decode().splitlines())
    assert receipt.verify(keys).text() == stored("checkpoint.txt")


def test_the_golden_blob_is_opened() -> None:
    sealed, key = stored("blob.sealed"), make.seed("DEK")
    assert b"".join(blobs.open_stream(key, make.CONTEXT, iter([sealed]))) == make.PLAIN
    part = blobs.open_range(
        key, make.CONTEXT, lambda at, n: sealed[at : at + n], len(make.PLAIN), 16_000, 30_000
    )
    assert part == make.PLAIN[16_000:]


def test_the_golden_wraps_are_opened() -> None:
    field = stored("field").decode().rstrip("\n")
    assert wraps.unwrap(make.seed("KEK"), make.DEK_NAME, stored("wrapped")) == make.SECRET
    assert wraps.open_field(make.seed("object"), make.FIELD_NAME, field) == make.FIELD_TEXT
    assert shares.open_share(make.seed("reply"), make.SHARE_INFO, stored("share")) == make.SECRET
    with pytest.raises(SealError):
        wraps.open_field(make.seed("object"), make.FIELD_NAME + b"x", field)
