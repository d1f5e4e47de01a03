"""Whose a number is: who can be one person, which numbers are nobody's, what a birth date or a death means."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.births import OLDEST_YEARS, birth_of, death_of, latest_of
from journeys.errors import RecordsError
from people.comparing import BIRTH, FAMILY, GIVEN, NAME, SEX, compare, listed
from people.demographics import Demographics, Traits, folded
from people.placeholders import Placeholders

IDA = Demographics("Ida Sophie", "Lindqvist", "", "1971-06-09", "female")
TODAY = date(2026, 3, 4)


def differs(one: Demographics, other: Demographics) -> tuple[str, ...]:
    """The fields that contradict; the same whichever side is known."""
    first, second = Traits.of(one), Traits.of(other)
    verdict = compare(first, second)
    assert verdict == compare(second, first)
    by_hash = [t.mapped(lambda kind, text: f"{kind}#{hash(text)}") for t in (first, second)]
    assert compare(*by_hash) == verdict
    return verdict.differs


@pytest.mark.parametrize(
    "other",
    [
        Demographics("Sophie Ida", "LINDQVIST", birth="1971-06-09", sex="F"),
        Demographics("I.", "Lindqvist"),
        Demographics(text="Lindqvist, Ida"),
        Demographics(text="Ida Lindqvist"),
        Demographics("Ida", "Lindqvist-Brandt"),
        Demographics("Ida", "Brandt", birth="1971-06-09", sex="W"),  # married
        Demographics(birth="1971"),
        Demographics(birth="1971-06"),
        Demographics("Ida", "Lindqvist", birth="1971-09-06"),  # day and month exchanged
        Demographics("Lindqvist", "Ida"),  # the names in the wrong fields
        Demographics(sex="unknown"),
        Demographics("Ιδα", "Λίντκβιστ"),  # another script says nothing
        Demographics("Unknown", "UNKNOWN"),
        Demographics("Baby", "Lindqvist"),
        Demographics(),
    ],
)
def test_one_person_written_in_several_ways(other: Demographics) -> None:
    assert differs(IDA, other) == ()


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        (Demographics("Eva", "Lindqvist", birth="1971-06-09", sex="female"), (GIVEN,)),  # a twin
        (Demographics("Ida", "Lindqvist", birth="1943-06-09", sex="female"), (BIRTH,)),
        (Demographics("Ida", "Brandt", birth="1971-06-09"), (FAMILY,)),  # no sex: no marriage
        (Demographics("Ida", "Brandt", birth="1971", sex="female"), (FAMILY,)),
        (Demographics("Ida", "Lindqvist", birth="1971-06-09", sex="M"), (SEX,)),
        (Demographics(birth="1972"), (BIRTH,)),
        (Demographics("Otto", "Brandt", "", "2001-01-02", "male"), (GIVEN, FAMILY, BIRTH, SEX)),
        (Demographics(text="Otto Brandt"), (GIVEN, FAMILY)),
    ],
)
def test_another_person(other: Demographics, fields: tuple[str, ...]) -> None:
    assert differs(IDA, other) == fields


def test_names_whose_parts_nobody_tells() -> None:
    one = Demographics(text="Ida Lindqvist")
    assert differs(one, Demographics(text="LINDQVIST Ida Sophie")) == ()
    assert differs(one, Demographics(text="Eva Lindqvist")) == (NAME,)
    assert differs(one, Demographics(text="Lindqvist")) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Jörg", "JOERG"), ("Jörg", "jorg"), ("Müller", "Mueller"), ("Groß", "GROSS"), ("Ærø", "Aeroe"),
     ("Zoë", "Zoe"), ("Łukasz", "lukasz"), ("Anaïs", "ANAIS"), ("Ａｄａ", "Ada")],
)  # fmt: skip
def test_spellings_of_one_word(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_names_written_together_and_apart() -> None:
    for one in ("Anna-Lena", "Anna Lena", "Annalena"):
        assert differs(Demographics("Annalena", "Ek"), Demographics(one, "Ek")) == ()


def test_a_witness_of_its_own_has_given_name_and_birthday() -> None:
    known = Traits.of(IDA)
    assert compare(known, Traits.of(IDA)).confirmed
    for less in (
        Demographics("Ida", "Lindqvist", birth="1971"),
        Demographics("", "Lindqvist", "", "1971-06-09", "female"),
        Demographics("Ida", "Lindqvist", sex="female"),
        Demographics("Eva", "Lindqvist", "", "1971-06-09", "female"),
    ):
        assert not compare(known, Traits.of(less)).confirmed


def test_a_name_by_hand_and_one_in_parts_are_both_compared() -> None:
    both = Traits.of(Demographics(text="Ida Lindqvist")).joined(Traits.of(IDA))
    assert compare(both, Traits.of(Demographics(text="Lindqvist Ida"))).differs == ()
    assert compare(both, Traits.of(Demographics(text="Eva Lindqvist"))).differs == (GIVEN,)
    assert compare(both, Traits.of(Demographics("Eva", "Lindqvist"))).differs == (GIVEN,)


def test_what_is_learned_later_is_kept_beside_the_rest() -> None:
    maiden = Traits.of(Demographics("Ida", "Holm", birth="1971"))
    both = maiden.joined(Traits.of(IDA))
    assert both.day == "1971-06-09" and both.sex == "f"
    for family in ("Holm", "Lindqvist"):
        assert compare(both, Traits.of(Demographics("Ida", family))).differs == ()
    assert both.joined(Traits.of(Demographics(birth="1971-06"))).day == "1971-06-09"


@given(
    *(
        st.builds(Demographics, *[st.text(max_size=12)] * 3, st.just(""), st.text(max_size=3))
        for _ in "12"
    )
)
def test_anything_is_compared(one: Demographics, other: Demographics) -> None:
    assert differs(one, one) == ()
    differs(one, other)


def test_fields_are_listed() -> None:
    assert [listed(f) for f in (("a",), ("a", "b"), ("a", "b", "c"))] == [
        "a",
        "a and b",
        "a, b and c",
    ]


# --- numbers of nobody ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["UNKNOWN", "Unbekannt", "n/a", "N.A.", "(none)", "0", "00000000", "0-0-0", "99999", "xxxx", "?", "--",
     "8.15E+09", "8,15E+09", "8E+12", "#REF!", "#####", "00000000-0000-0000-0000-000000000000", " "],
)  # fmt: skip
def test_a_placeholder_names_nobody(value: str) -> None:
    assert Placeholders.default().has(value)


@pytest.mark.parametrize(
    "value", ["1", "77", "111", "4711", "A-000", "8E12", "100000", "UNKNOWN-7", "N1"]
)
def test_a_number_may_be_somebodys(value: str) -> None:
    assert not Placeholders.default().has(value)


def test_a_hospital_has_its_own_list(tmp_path: Path) -> None:
    path = tmp_path / "placeholders.txt"
    path.write_text("# ours\nhouse dummy  # since 2019\n")
    own = Placeholders.read(path)
    assert own.has("House-Dummy") and own.has("0000") and not own.has("unknown")
    path.write_bytes(b"\xff")
    with pytest.raises(RecordsError, match="byte 0 is not UTF-8"):
        Placeholders.read(path)
    with pytest.raises(RecordsError, match="cannot be read"):
        Placeholders.read(tmp_path / "gone")


# --- births and deaths ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "known", "latest"),
    [
        ("2017-05-06", "2017-05-06", "2017-05-06"),
        ("06.05.2017", "2017-05-06", "2017-05-06"),
        ("2017", "2017", "2017-12-31"),
        ("2016-02", "2016-02", "2016-02-29"),
        ("201602", "2016-02", "2016-02-29"),
        ("2026", "2026", "2026-03-04"),
        ("05/06/2017", "2017", "2017-06-05"),
        ("05/05/2017", "2017-05-05", "2017-05-05"),
        ("2026-03-05", "2026-03-05", "2026-03-04"),  # born today where it is tomorrow already
        ("2017-02-30", "", None),
        ("9999-12-31", "", None),
        ("31/12/9999", "", None),
        ("0001-01-01", "", None),
        ("1900-01-01", "", None),
        ("6.5.17", "", None),
        ("soon", "", None),
        ("", "", None),
        ("NULL", "", None),
    ],
)  # fmt: skip
def test_a_birth_date_is_the_latest_it_can_be(text: str, known: str, latest: str | None) -> None:
    found = birth_of(text, TODAY)
    assert (found.known, found.latest and found.latest.isoformat()) == (known, latest)
    assert bool(found.doubt) == (len(known) < len("2017-05-06"))


def test_the_dead_may_be_older() -> None:
    assert birth_of("1815-12-10", TODAY, dead=True).known == "1815-12-10"
    assert str(OLDEST_YEARS) in birth_of("1815-12-10", TODAY).doubt


@pytest.mark.parametrize(
    "text", ["2020", "2020-02", "2020-02-03", "03.02.2020", "2020-02-03T10:00:00Z"]
)
def test_a_date_that_reads_means_death(text: str) -> None:
    assert death_of(text, TODAY) == (True, "")


@pytest.mark.parametrize("text", ["", "NULL", "\\N", "n/a", '""', "NaT"])
def test_no_value_means_nothing(text: str) -> None:
    assert death_of(text, TODAY) == (False, "")


@pytest.mark.parametrize(
    "text", ["N", "J", "1", "0000-00-00", "9999-12-31", "01/02/2020", "alive", "2027-01-01"]
)
def test_any_other_word_is_told_and_kills_nobody(text: str) -> None:
    dead, doubt = death_of(text, TODAY)
    assert not dead and text in doubt


@pytest.mark.parametrize(
    "text",
    ["1900-01-01", "0001-01-01", "30.12.1899", "17530101", "1900", "1970-01-01", "1984-07-30"],
)
def test_what_programs_write_for_no_date_kills_nobody(text: str) -> None:
    """What is too long ago for anybody, or before the birth."""
    dead, doubt = death_of(text, TODAY, "31.07.1984")
    assert not dead and text in doubt
    assert (
        death_of("1984-07", TODAY, "1984-07-31") == death_of("1984", TODAY, "1984-07") == (True, "")
    )


def test_of_several_birth_dates_the_latest_counts() -> None:
    march, december, part, none = (
        birth_of(text, TODAY) for text in ("2008-03-12", "2008-12-03", "2009", "")
    )
    for given_ in ([march, december], [december, march], [none, march, part, december]):
        found = latest_of(given_)
        assert found.known == "2008-12-03" and "more than one" in found.doubt
    assert latest_of([part, march, none, march]) == march
    assert latest_of([none, part]) == part and latest_of([none]) == none


@given(st.text(max_size=14), st.booleans())
def test_any_text_is_read(text: str, dead: bool) -> None:
    found = birth_of(text, TODAY, dead=dead)
    assert found.latest is None or found.latest <= TODAY
    death_of(text, TODAY)
