"""Events: what the formats allow is read and written, anything else is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical
from ledger.entry import Entry, nested_event
from ledger.errors import EventError
from ledger.event import EVENT_LIMIT, READING_DEPTH, READING_LIMIT, Event, check_size
from ledger.registry import registry_json
from ledger.types import REGISTRY
from tests.golden import make
from tests.support.json_changes import ENTRY, Change, changed, drop, entry_of, put, raw
from tests.support.paths import ROOT

UPLOADED = make.EVENTS["record.uploaded", 1]
LONG = "x" * 201


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


# The registry


def test_the_registry_file_is_fresh() -> None:
    """`python -m ledger registry > docs/registry.json`."""
    path = ROOT / "docs" / "registry.json"
    assert path.read_bytes() == registry_json()


def test_gated_events_have_a_purpose_and_stand_in_a_patients_stream() -> None:
    for kind in REGISTRY.values():
        if kind.gated:
            assert kind.stream == "patient" and "purpose" in kind.body.members, kind.name
            assert "purpose" not in kind.body.optional


def test_readings_are_gated_and_flat() -> None:
    readings = [key for key, kind in REGISTRY.items() if kind.reading]
    assert ("record.opened", 1) in readings
    for key in readings:
        patients = REGISTRY[key].stream == "patient"
        assert REGISTRY[key].gated == patients and not REGISTRY[key].creates
        canonical.walk(make.EVENTS[key], READING_DEPTH)


def test_events_and_entries_keep_to_the_depths() -> None:
    for value in make.EVENTS.values():
        canonical.walk(value)
        canonical.walk(ENTRY | {"event": value}, canonical.ENTRY_DEPTH)


# What is accepted has one form


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(list(make.EVENTS.values())), st.integers(0, 10_000), st.binary(max_size=2))
def test_an_accepted_event_writes_back_to_its_bytes(
    value: dict[str, Any], at: int, new: bytes
) -> None:
    data = raw(value)
    at %= len(data)
    altered = data[:at] + new + data[at + max(len(new), 1) :]
    try:
        event = Event.parse(altered)
    except EventError:
        return
    assert event.raw == altered == canonical.encode(event.value)


FORMS = {
    "a space": lambda data: data.replace(b":", b": ", 1),
    "a newline at the end": lambda data: data + b"\n",
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "an escaped letter": lambda data: data.replace(b"record", b"\\u0072ecord", 1),
    "an escaped slash": lambda data: data.replace(b"patient/", b"patient\\/"),
    "1.0": lambda data: data.replace(b'"v":1', b'"v":1.0'),
    "1e0": lambda data: data.replace(b'"v":1', b'"v":1e0'),
    "a member twice": lambda data: data.replace(b'"v":1', b'"v":1,"v":1'),
    "the last member first": lambda data: b'{"v":1,' + data.replace(b',"v":1}', b"}")[1:],
    "no JSON": lambda data: data[:-1],
    "an array": lambda data: b"[" + data + b"]",
    "another value after": lambda data: data + b"{}",
    "invalid UTF-8": lambda data: data.replace(b"TREAT", b"TR\xffAT"),
    "deep nesting": lambda data: b"[" * 2_000 + data + b"]" * 2_000,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_events_and_entries_in_another_form_are_refused(name: str) -> None:
    event, entry = raw(UPLOADED), raw(ENTRY)
    assert FORMS[name](event) != event
    for parse, data in ((Event.parse, event), (Entry.parse, entry)):
        parse(data)
        if FORMS[name](data) != data:
            with pytest.raises(EventError):
                parse(FORMS[name](data))


# Events: one refusal a rule

CHANGES: dict[str, Change] = {
    **{f"no {member}": drop(member) for member in UPLOADED},
    **{f"{member} is null": put(member, None) for member in UPLOADED},
    **{f"{member} is a list": put(member, []) for member in UPLOADED},
    "an unknown member": put("extra", 1),
    "on_behalf_of is null": put("on_behalf_of", None),
    "on_behalf_of is no account": put("on_behalf_of", make.PATIENT),
    "an unknown type": put("type", "record.burnt"),
    "an unknown version": put("v", 99),
    "version 0": put("v", 0),
    "v is true": put("v", True),
    "v is a text": put("v", "1"),
    "v is 1.0": put("v", 1.0),
    "the actor is no account": put("actor", make.HOSPITAL),
    "an id of 25 digits": put("id", "ev_" + "0" * 25),
    "an id above 128 bits": put("id", "ev_8" + "0" * 25),
    "an id with a newline": put("id", "ev_" + "0" * 26 + "\n"),
    "an id of another kind": put("id", make.RECORD),
    "as: an unknown role": put("as", {"role": "king"}),
    "as: an unknown member": put("as.extra", "x"),
    "as: no role": drop("as.role"),
    "as: a doctor without a hospital": drop("as.hospital"),
    "as: an admin without a hospital": put("as", {"role": "hospital_admin"}),
    "as: a system without a hospital": put("as", {"role": "hospital_system"}),
    "as: a patient with a hospital": put("as.role", "patient"),
    "as: a person with a hospital": put("as.role", "person"),
    "as: the operator with a hospital": put("as.role", "operator"),
    "as: the service with a hospital": put("as.role", "service"),
    "as: a hospital that is none": put("as.hospital", make.PATIENT),
    "a stream of another kind": put("stream", f"hospital/{make.HOSPITAL}"),
    "the stream ledger": put("stream", "ledger"),
    "a stream of nobody": put("stream", "patient/"),
    "a stream of a hospital's patient": put("stream", f"patient/{make.HOSPITAL}"),
    "a stream with more": put("stream", f"patient/{make.PATIENT}/x"),
    "a stream with a newline": put("stream", f"patient/{make.PATIENT}\n"),
    "at without milliseconds": put("at", "2026-11-20T07:24:00Z"),
    "at with microseconds": put("at", "2026-11-20T07:24:00.123456Z"),
    "at with an offset": put("at", "2026-11-20T07:24:00.123+00:00"),
    "at in lower case": put("at", "2026-11-20t07:24:00.123z"),
    "at with a comma": put("at", "2026-11-20T07:24:00,123Z"),
    "at with a space": put("at", "2026-11-20 07:24:00.123Z"),
    "at in month 13": put("at", "2026-13-20T07:24:00.123Z"),
    "at on 30 February": put("at", "2026-02-30T07:24:00.123Z"),
    "at hour 24": put("at", "2026-11-20T24:00:00.000Z"),
    "at second 60": put("at", "2016-12-31T23:59:60.000Z"),
    "at in year 0": put("at", "0000-01-01T00:00:00.000Z"),
    "at with other digits": put("at", "٢٠٢٦-11-20T07:24:00.123Z"),
    "at with a newline": put("at", "2026-11-20T07:24:00.123Z\n"),
    "an unknown body member": put("body.extra", "x"),
    "a text with a control character": put("body.purpose", "TREAT\x01"),
    "no purpose": drop("body.purpose"),
    "an unknown purpose": put("body.purpose", "FUN"),
    "an unknown category": put("body.category", "gossip"),
    "hidden is not the author's to set": put("body.confidentiality", "hidden"),
    "a body member is null": put("body.title", None),
    "a body member is a float": put("body.size", 1.0),
    "a size below 0": put("body.size", -1),
    "a size of 2^53": put("body.size", 2**53),
    "a size that is a text": put("body.size", "1"),
    "a size that is true": put("body.size", True),
    "version 2 of a new record": put("body.version", 2),
    "a hash of 31 bytes": put("body.sha256", "A" * 40 + "AA=="),
    "a hash with loose bits": put("body.sha256", "A" * 42 + "B="),
    "a hash without padding": put("body.sha256", "A" * 43),
    "a hash in the URL alphabet": put("body.sha256", "_" + "A" * 42 + "="),
    "a media type in upper case": put("body.media_type", "TEXT/plain"),
    "a media type with a parameter": put("body.media_type", "text/plain; charset=utf-8"),
    "a clinical date with a time": put("body.clinical_date", "2024-02-29T00:00"),
    "a clinical date in month 13": put("body.clinical_date", "2024-13-01"),
    "a title in clear": put("body.title", "HIV test"),
    "a title of 5,601 characters": put("body.title", "A" * 5_604),
    "no labels": put("body.labels", []),
    "labels out of order": put("body.labels", make.LABELS[::-1]),
    "a label twice": put("body.labels", make.LABELS[:1] * 2),
    "a label in clear": put("body.labels", ["HIV"]),
    "17 labels": put("body.labels", [make.fixed_id("l", n) for n in range(17)]),
    "sensitive is false": put("body.sensitive", False),
    "sensitive is 1": put("body.sensitive", 1),
    "a blob of another kind": put("body.blob", make.RECORD),
}
OTHERS: dict[str, tuple[str, Change]] = {
    "a hospital's name with a control character": ("hospital.approved", put("body.name", "a\nb")),
    "a hospital's name with DEL": ("hospital.approved", put("body.name", "a\x7fb")),
    "a hospital's name that ends in a space": ("hospital.approved", put("body.name", "a ")),
    "a hospital's name of 201 characters": ("hospital.approved", put("body.name", LONG)),
    "a hospital without a name": ("hospital.approved", put("body.name", "")),
    "a lone surrogate": ("hospital.approved", put("body.name", "a\ud800b")),
    "a time zone with a space": ("hospital.approved", put("body.time_zone", "Europe/ Berlin")),
    "an origin with a space": ("ledger.created", put("body.origin", "a b")),
    "one log key": ("ledger.created", put("body.log_keys", [str(make.SIGNER.keys[0])])),
    "a policy with more": ("ledger.created", put("body.policy.extra", 1)),
    "a policy with less": ("ledger.created", drop("body.policy.clock_skew_ms")),
    "assurance 4": ("ledger.created", put("body.policy.assurance.grant", 4)),
    "an unknown algorithm": ("key.registered", put("body.algorithm", "rsa")),
    "a proof of 63 bytes": ("key.registered", put("body.proof", "A" * 84)),
    "recovery is false": ("key.registered", put("body.recovery", False)),
    "a birthday with a time": ("patient.registered", put("body.teen_from", make.AT)),
    "adult is false": ("patient.registered", put("body.adult", False)),
    "version 1 of an amended record": ("record.amended", put("body.version", 1)),
    "version 0": ("record.opened", put("body.version", 0)),
    "a reply key of 31 bytes": ("record.opened", put("body.reply", "A" * 40 + "AA==")),
    "no actions": ("access.granted", put("body.actions", [])),
    "an action that nobody can grant": ("access.granted", put("body.actions", ["erase"])),
    "actions out of order": ("access.granted", put("body.actions", ["read", "list"])),
    "a grant without an end": ("access.granted", drop("body.end")),
    "501 records": (
        "access.granted",
        put("body.records", [make.fixed_id("rc", n) for n in range(501)]),
    ),
    "a grant to a record": ("access.granted", put("body.grantee", make.RECORD)),
    "uses 0": ("access.granted", put("body.uses", 0)),
    "a nested reading of another type": ("access.refused", put("body.event", UPLOADED)),
    "a nested refusal": ("access.refused", put("body.event", kind_of("access.refused"))),
    "a nested event without an id": ("access.refused", drop("body.event.id")),
    "a nested event with null": ("access.refused", put("body.event.body.reply", None)),
    "a nested event with a float": ("access.refused", put("body.event.body.version", 1.0)),
    "a nested event with an unknown member": ("access.refused", put("body.event.X", 1)),
    "nested rubbish": ("access.refused", put("body.event", {"A": [1.5, None]})),
    "a nested signature of nothing": ("access.refused", put("body.sig", {})),
    "a nested signature with more": ("access.refused", put("body.sig.extra", 1)),
    "skipped 0": ("access.refused", put("body.skipped", 0)),
}
ALL = {name: ("record.uploaded", change) for name, change in CHANGES.items()} | OTHERS


@pytest.mark.parametrize("name", ALL)
def test_refused_events(name: str) -> None:
    kind, change = ALL[name]
    value = changed(kind_of(kind), change)
    for parse, data in ((Event.parse, raw(value)), (Entry.parse, raw(entry_of(kind, value)))):
        with pytest.raises(EventError):
            parse(data)
    with pytest.raises(EventError):
        Event.of(value)


def test_a_deeply_nested_refusal_is_refused() -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(EventError):
        Event.parse(raw(changed(kind_of("access.refused"), put("body.event", deep))))


def test_a_nested_event_is_of_the_same_patient() -> None:
    other = f"patient/{make.fixed_id('pt', 9)}"
    event = Event.of(changed(kind_of("access.refused"), put("stream", other)))
    with pytest.raises(EventError, match="same patient"):
        nested_event(event)


def test_on_behalf_of_and_edges_are_accepted() -> None:
    for kind, change in {
        "record.uploaded": put("on_behalf_of", make.PERSON),
        "hospital.approved": put("body.name", "x" * 200),
        "access.granted": put("body.records", [make.fixed_id("rc", n) for n in range(500)]),
        "record.opened": put("at", "2024-02-29T23:59:59.999Z"),
    }.items():
        value = changed(kind_of(kind), change)
        assert Event.parse(raw(value)).value == value


# Limits


def of_size(size: int) -> dict[str, Any]:
    """A ledger.created of exactly `size` bytes, by the length of its verifier keys' names."""
    key = "+00000000+" + "A" * 1_800
    empty = changed(kind_of("ledger.created"), put("body.log_keys", [key] * 16))
    each, rest = divmod(size - len(raw(empty)), 16)
    keys = ["n" * (each + (number < rest)) + key for number in range(16)]
    return changed(empty, put("body.log_keys", keys))


def test_events_have_32_kib_at_most() -> None:
    assert len(Event.parse(raw(of_size(EVENT_LIMIT))).raw) == EVENT_LIMIT == 32_768
    value = of_size(EVENT_LIMIT + 1)
    for parse, data in (
        (Event.parse, raw(value)),
        (Entry.parse, raw(entry_of("ledger.created", value))),
    ):
        with pytest.raises(EventError, match="at most 32768"):
            parse(data)
    with pytest.raises(EventError, match="at most 32768"):
        Event.of(value)


def test_readings_have_4_kib_at_most() -> None:
    kind = REGISTRY["record.opened", 1]
    check_size(kind, READING_LIMIT)
    with pytest.raises(EventError, match="at most 4096"):
        check_size(kind, READING_LIMIT + 1)
