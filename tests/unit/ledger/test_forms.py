"""Entries as patterns: what matches, the parser finds good, and both read the same."""

import random
import re
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical
from ledger.digest import long_form
from ledger.entry import Entry
from ledger.errors import EventError
from ledger.event import Event, check_value
from ledger.forms import PLAIN_TYPES, Form, Place, parse_entry, plain_form
from ledger.types import REGISTRY
from tests.support.memory_log import SEALED, MemoryLog, reading

LABELS = ["l_" + "0" * 26, "l_" + "1" * 26]


def plain_entries() -> list[bytes]:
    """Entries of every plain type, with and without optional members, alone and in bundles."""
    log = MemoryLog()
    hospital = log.hospital()
    admin = log.admin(hospital)
    doctor, system = log.doctor(admin), log.system(admin)
    patient = log.patient(admin)
    full = {
        "clinical_date": "2026-01-31",
        "episode": log.id("ep"),
        "file_name": SEALED,
        "minor_private": True,
        "title": SEALED,
    }
    record = log.upload(doctor, patient, **full)
    log.upload(system, patient, labels=LABELS, sensitive=True)
    log.upload(patient, patient)
    again = record.event.body | {"version": 2, "blob": log.id("bl")}
    log.do(doctor, "record.amended", again, patient)
    grant = log.grant(patient, doctor.account, uses=3)
    log.do(doctor, "record.opened", reading(record), patient)
    for kind in ("history.opened", "chart.opened"):
        log.do(patient, kind, {"purpose": "PATRQT"}, patient)
    exported = {"count": 1, "purpose": "PATRQT", "root": record.event.body["sha256"]}
    log.do(patient, "chart.exported", exported, patient)
    for kind in ("record.hidden", "record.shown"):
        log.do(patient, kind, {"record": record.event.body["record"], "purpose": "PATRQT"}, patient)
    for kind in ("reader.excluded", "reader.included"):
        log.do(patient, kind, {"reader": hospital, "purpose": "PATRQT"}, patient)
    log.do(
        patient,
        "access.revoked",
        {"grantee": doctor.account, "grant": grant.event.body["grant"], "purpose": "PATRQT"},
        patient,
    )
    log.do(
        doctor,
        "record.retracted",
        {"record": record.event.body["record"], "purpose": "TREAT"},
        patient,
    )
    events = [log.event(system, "record.uploaded", log.record_body(), patient) for _ in range(5)]
    for event, sig in zip(events, log.sign_all(system, events), strict=True):
        log.entry(log.admit(event, sig))
    return [entry.raw for entry in log.entries]


ENTRIES = plain_entries()
PLAIN = [raw for raw in ENTRIES if plain_form(raw) is not None]


def test_every_plain_type_has_a_match() -> None:
    seen = {form.kind.name for raw in PLAIN if (form := plain_form(raw))}
    assert seen == PLAIN_TYPES
    assert {name for name, version in REGISTRY if version == 1} >= PLAIN_TYPES


def placed(form: Form) -> Place:
    """Its place, with the ids in one order: that of a body's members is not the registry's."""
    stream, number, before, time, ids, signer = form.place
    return stream, number, before, time, tuple(sorted(ids)), signer


@pytest.mark.parametrize("number", range(len(PLAIN)))
def test_a_match_reads_what_the_parser_reads(number: int) -> None:
    form, parsed = plain_form(PLAIN[number]), long_form(PLAIN[number])
    assert form is not None
    assert form._replace(place=placed(form)) == parsed._replace(place=placed(parsed))
    assert parse_entry(PLAIN[number]) == Entry.parse(PLAIN[number])


def test_what_has_no_pattern_goes_the_long_way() -> None:
    for raw in set(ENTRIES) - set(PLAIN):
        assert parse_entry(raw) == Entry.parse(raw)
    with pytest.raises(EventError, match="canonical"):
        parse_entry(PLAIN[0].replace(b",", b", ", 1))


@pytest.mark.parametrize(
    "odd", [(), object(), {1: 2}, float("nan"), "\ud800", datetime(2026, 1, 1)]
)
def test_what_is_no_json_is_looked_at_closely(odd: object) -> None:
    """Also what the JSON library would write, as a date in place of its text."""
    value = canonical.loads(Entry.parse(PLAIN[0]).event.raw)
    with pytest.raises(EventError):
        Event.of(value | {"at": odd})
    with pytest.raises(EventError):
        Event.of(odd)  # type: ignore[arg-type]


def agree_event(raw: bytes) -> None:
    """An event that is taken as plain at a glance is of its schema, canonical, and reads the same."""
    try:
        event = Event.parse(raw)
    except EventError:
        return
    value = canonical.loads(raw)
    assert canonical.write(value) == raw
    assert (event.type, event.at) == check_value(value)
    assert Event.of(value) == event


def agree(raw: bytes) -> None:
    """What matches must parse, and read the same; what doesn't match may still parse."""
    start, end = raw.find(b'{"actor"'), raw.find(b',"prev":')
    agree_event(raw[start:end])
    form = plain_form(raw)
    if form is None:
        return
    parsed = long_form(raw)
    assert form._replace(place=placed(form)) == parsed._replace(place=placed(parsed))
    assert parse_entry(raw) == Entry.parse(raw)


@settings(max_examples=3_000)
@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 4_000), st.integers(0, 255))
def test_no_altered_byte_matches_without_parsing(entry: int, at: int, byte: int) -> None:
    raw = bytearray(PLAIN[entry])
    raw[at % len(raw)] = byte
    agree(bytes(raw))


PIECES = (
    (rb'"version":\d+', [b'"version":0', b'"version":01', b'"version":1.0', b'"version":99999999999999999']),
    (rb'"size":\d+', [b'"size":-1', b'"size":999999999999999', b'"size":9007199254740992', b'"size":1001']),
    (rb'"index":\d+', [b'"index":5', b'"index":1', b'"index":1000000']),
    (rb'"basis":\[[^\]]*\]', [b'"basis":[2,1]', b'"basis":[1,1]', b'"basis":[99]', b'"basis":[0,1,2]', b'"basis":[]']),
    (rb'"policy":\d+', [b'"policy":7777', b'"policy":1']),
    (rb'"as_of":\d+', [b'"as_of":0', b'"as_of":00']),
    (rb'"seq":\d+', [b'"seq":3', b'"seq":0']),
    (rb'"rule":"S\d+"', [b'"rule":"S13"', b'"rule":"S10"', b'"rule":"S0"']),
    (rb'"assurance":\d', [b'"assurance":0', b'"assurance":4']),
    (rb'"time":"[^"]*"', [b'"time":"2026-02-30T00:00:00.000Z"', b'"time":"2026-12-31T23:59:60.000Z"']),
    (rb'"at":"[^"]*"', [b'"at":"2026-13-01T00:00:00.000Z"', b'"at":"0000-01-01T00:00:00.000Z"']),
    (rb'"path":\[("[^"]*",)', [b'"path":[']),
    (rb'"clinical_date":"[^"]*",', [b"", b'"clinical_date":"2026-02-31",', b'"clinical_date":"2026-13-01",']),
    (rb'"purpose":"[A-Z]*"', [b'"purpose":"treat"', b'"purpose":"BTG"', b'"purpose":""']),
    (rb'"role":"[a-z_]*"', [b'"role":"doctor"', b'"role":"patient"', b'"role":"auditor"', b'"role":"king"']),
    (rb'"hospital":"[^"]*",', [b""]),
    (rb'"labels":\[[^\]]*\],', [b"", b'"labels":[],']),
    (rb'"v":1', [b'"v":2', b'"v":1,"x":1']),
    (rb"^", [b" ", b"\xef\xbb\xbf"]),
    (rb"$", [b" ", b"\n", b"}"]),
)  # fmt: skip


@pytest.mark.parametrize("piece", range(len(PIECES)))
def test_no_exchanged_piece_matches_without_parsing(piece: int) -> None:
    pattern, others = PIECES[piece]
    touched = 0
    for raw in ENTRIES:
        for other in others:
            bent = re.sub(pattern, other.replace(b"\\", rb"\\"), raw, count=1)
            touched += bent != raw
            agree(bent)
    assert touched


def test_spliced_entries_don_t_match_without_parsing() -> None:
    draw = random.Random(7)
    for _ in range(3_000):
        first, second = draw.choice(PLAIN), draw.choice(PLAIN)
        cut = draw.randrange(len(first))
        agree(first[:cut] + second[draw.randrange(len(second)) :])


def test_long_entries_are_refused_by_the_parser_alone() -> None:
    raw = PLAIN[0].replace(b'"purpose"', b'"purposes"')
    assert plain_form(raw) is None
    with pytest.raises(EventError, match="unknown member"):
        long_form(raw)
