"""Corrections: each means what was written, is right afterwards, and nothing that could mean two things is made."""

import contextlib
import re
from datetime import date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.cleaning import (
    Corrected,
    Doubt,
    Undecodable,
    clean_code,
    clean_date,
    clean_unit,
    day_of,
    decode,
    units,
)

DAYS = st.dates(date(1800, 1, 1), date(2199, 12, 31))
DIGITS = st.text("0123456789-/.: TtZz+\u00a0\u200b", max_size=26)
NOTATIONS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", " %Y-%m-%d\u00a0", "\u200b%Y-%m-%d")
UCUM = re.compile(
    r"/?(?:10\*(?:3|6|9|12)|%|[unpmkdcf]?(?:g|mol|eq|osm|\[IU\]|U|L|m2?|m\[Hg\]|m\[H2O\]|s)"
    r"|min|h|d|wk|mo|a|Cel|\[degF\]|\[lb_av\]|\[in_i\]|\[[HL]PF\]|\{[a-z]+\})"
    r"(?:/(?:[mdu]?L|kg|m2|min|h|\(24\.h\)|\{1\.73_m2\}))*"
)


@given(st.text() | DIGITS)
def test_a_corrected_date_needs_no_other_correction(text: str) -> None:
    made = clean_date(text)
    if isinstance(made, Corrected):
        assert made.value != text
        assert clean_date(made.value) is None


@given(DAYS, st.sampled_from(NOTATIONS))
def test_each_notation_of_a_day_is_that_day(day: date, notation: str) -> None:
    text = day.strftime(notation)
    assert day_of(text) == day.isoformat()
    assert (clean_date(text) is None) == (text == day.isoformat())


@given(DAYS)
def test_slashes_are_read_when_one_reading_alone_is_left(day: date) -> None:
    american, european = day.strftime("%m/%d/%Y"), day.strftime("%d/%m/%Y")
    if day.day > 12 or day.day == day.month:
        assert day_of(american) == day_of(european) == day.isoformat()
    else:
        assert isinstance(clean_date(american), Doubt)
        assert isinstance(clean_date(european), Doubt)


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(DAYS, st.times(), ZONES)
def test_a_time_stamp_of_hl7_is_the_same_instant(day: date, clock: time, zone: timezone) -> None:
    moment = datetime.combine(day, clock.replace(microsecond=0), zone)
    made = clean_date(moment.strftime("%Y%m%d%H%M%S%z"))
    assert isinstance(made, Corrected)
    assert datetime.fromisoformat(made.value) == moment
    assert made.value[:10] == day.isoformat()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-1-2", None),
        ("202001021230", "2020-01-02T12:30:00"),
        ("20200102123045.5-0500", "2020-01-02T12:30:45.5-05:00"),
        ("2020-01-02 03:04:05", "2020-01-02T03:04:05"),
        ("2020-01-02t03:04:05z", "2020-01-02T03:04:05Z"),
        ("2020-01-02T03:04:05+0100", "2020-01-02T03:04:05+01:00"),
        ("1.2.2020", "2020-02-01"),
        ("2.1.20", None),
        ("02.01.20", None),
        ("01.13.2020", None),
        ("20200230", None),
        ("2020-02-30", None),
        ("2021/02/29", None),
        ("01022020", None),
        ("2020010203", None),
        ("2020-01-02T25:00:00Z", None),
        ("2020-01-02T00:00:00+15:00", None),
        ("0000", None),
        ("unknown", None),
    ],
)
def test_dates_one_by_one(text: str, value: str | None) -> None:
    made = clean_date(text)
    assert isinstance(made, Doubt) if value is None else made is not None and made[0] == value


@pytest.mark.parametrize(
    "text", ["", " ", "2020", "2020-02", "2020-02-29", "2020-01-02T03:04:05.123Z"]
)
def test_what_is_right_stays(text: str) -> None:
    assert clean_date(text) is None


@given(st.text(), st.sets(st.text("abcAB-", min_size=1, max_size=4)))
def test_a_corrected_code_is_right(text: str, known: set[str]) -> None:
    made = clean_code(text, known)
    if made is not None:
        assert made.value and made.value != text
        assert clean_code(made.value, known) is None
        assert made.rule != "case" or made.value in known


def test_codes_lose_what_nobody_sees_and_take_the_case_of_a_known_one() -> None:
    genders = {"female", "male", "other", "unknown"}
    assert clean_code("\u00a0Female\u200b", genders) == Corrected("female", "case")
    assert clean_code(" F10.1 ") == Corrected("F10.1", "white space")
    assert clean_code("F", genders) is None
    # Two codes that differ in case alone: which one is meant nobody knows.
    assert clean_code("AB", {"ab", "Ab"}) is None


@given(st.text() | st.sampled_from(sorted(units())))
def test_a_corrected_unit_is_right(text: str) -> None:
    made = clean_unit(text)
    if made is not None:
        assert made.value != text
        assert clean_unit(made.value) is None


def test_the_table_holds_units_of_ucum_under_other_names() -> None:
    for variant, ucum in units().items():
        assert UCUM.fullmatch(ucum), ucum
        assert variant != ucum
        assert ucum not in units()
        assert variant == " ".join(variant.split())


@pytest.mark.parametrize(
    "unit", ["C", "F", "G/L", "M/uL", "oz", "mg/dL", "mmol/mol", "{score}", ""]
)
def test_a_unit_that_may_be_another_stays(unit: str) -> None:
    assert clean_unit(unit) is None


@given(st.text().filter(lambda text: not text.startswith("\ufeff")))
def test_utf_8_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode()) == (text, None)
    assert decode(b"\xef\xbb\xbf" + text.encode())[0] == text


@given(
    st.binary(),
    st.sampled_from(["", "utf-8", "UNICODE UTF-8", "8859/1", "utf-16", "rot13", "\x00", "x"]),
)
def test_any_bytes_are_text_or_refused(data: bytes, declared: str) -> None:
    with contextlib.suppress(Undecodable):
        text, rule = decode(data, declared)
        assert isinstance(text, str)
        if rule == "read as windows-1252":
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]", text)


def test_each_way_of_decoding() -> None:
    assert decode("Müller €".encode("windows-1252")) == ("Müller €", "read as windows-1252")
    assert decode("\ufeffä".encode("utf-16-be")) == ("ä", "byte order mark, utf-16-be")
    assert decode("ß".encode("latin-1"), "8859/1") == ("ß", "read as iso8859-1")
    with pytest.raises(Undecodable, match="byte 2: got 0xfc, expected UTF-8 or windows-1252"):
        decode(b"M_\xfc\x81")
    with pytest.raises(Undecodable, match="byte 1: got 0xe4, expected utf-8"):
        decode(b"a\xe4", "UNICODE UTF-8")
    with pytest.raises(Undecodable, match="charset 'rot13'"):
        decode(b"a", "rot13")
