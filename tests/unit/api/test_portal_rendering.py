"""What others wrote, rendered: always text, never more than may be, whatever it is."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.portal.drawing import rings
from api.portal.forms import Form
from api.portal.pages import attachment, place
from api.portal.rendering import ROWS, TEXT_BYTES, render
from api.portal.texts import texts_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["coding", "text", "value", "unit", "family", "given", "reference", "start", "display", "x"]),
        inner, max_size=4,
    ),
    max_leaves=40,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=6))
def test_any_resource_is_rows(resource: dict[str, Any]) -> None:
    """Bounded, printable, and no error, whatever its form."""
    shown = render("application/fhir+json", 1, iter([orjson.dumps(resource)]))
    assert len(shown.rows) <= ROWS
    for name, value in shown.rows:
        assert name.isprintable() and value.isprintable() and len(value) <= 4_100


@given(
    st.binary(max_size=300),
    st.sampled_from(["text/plain", "application/json", "a/b+json", "image/png"]),
)
def test_any_bytes_are_shown_or_not(data: bytes, kind: str) -> None:
    """No error, and nothing that isn't printed."""
    shown = render(kind, len(data), iter([data]))
    assert all(one in "\n\t" or one.isprintable() for one in shown.text)


def test_what_is_long_is_not_read() -> None:
    """A page reads no more than it may show, and lets the file go."""
    ended = list[bool]()

    def pieces() -> Any:
        try:
            yield b"a"
            raise AssertionError
        finally:
            ended.append(True)

    assert render("text/plain", TEXT_BYTES + 1, pieces()).text == "" and ended


def test_resources_as_people_read_them() -> None:
    """The types of FHIR that are one line; narratives are left out, and what is cut says so."""
    resource = {
        "resourceType": "Observation", "text": {"status": "generated", "div": "<script>"},
        "code": {"coding": [{"code": "718-7", "display": "Hemoglobin"}]}, "valueQuantity": {"value": 13.9, "unit": "g/dL"},
        "subject": {"reference": "Patient/1"}, "name": [{"family": "Lind", "given": ["Ada", "M"]}],
    }  # fmt: skip
    shown = render("application/json", 1, iter([orjson.dumps(resource)]))
    assert shown.rows == (
        ("code", "Hemoglobin"), ("value quantity", "13.9 g/dL"), ("subject", "Patient/1"), ("name", "Ada M Lind"),
    )  # fmt: skip
    many = render("application/json", 1, iter([orjson.dumps({"x": list(range(ROWS + 1))})]))
    assert many.cut and len(many.rows) == ROWS


@given(st.text(max_size=60))
def test_a_name_stays_a_name(name: str) -> None:
    """One header, one line, whatever a file is called."""
    header = attachment(name)
    assert header.isascii() and header.isprintable() and header.count('"') == 2


@given(st.text(max_size=40))
def test_one_stays_on_the_site(then: str) -> None:
    """An address of this site, or the start."""
    found = place(then)
    assert found.startswith("/") and not found.startswith(("//", "/\\")) and found.isascii()


def test_secrets_are_never_given_back() -> None:
    """What was typed comes again but for these."""
    form = Form((("name", "Ada"), ("password", "x"), ("second", "1"), ("csrf", "2"), ("seed", "3")))
    assert form.typed == (("name", "Ada"),)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 10**9))
def test_rings_are_drawn(root: bytes, size: int) -> None:
    """From any root."""
    assert all(ring.path.startswith("M") and ring.path.endswith("Z") for ring in rings(root, size))


@pytest.mark.parametrize("member", ["text", "display", "value", "start", "family", "reference"])
def test_what_lies_deep_in_a_short_value_ends_no_page(member: str) -> None:
    """A value that people read as one line, and that holds what has parts: it is cut, however deep it goes."""
    deep = b"[" * 1_000 + b"]" * 1_000
    shapes = {
        "text": b'{"x":{"coding":[],"text":%s}}', "display": b'{"x":{"coding":[{"display":%s}]}}',
        "value": b'{"x":{"value":%s,"unit":"g"}}', "start": b'{"x":{"start":%s,"end":1}}',
        "family": b'{"x":{"family":%s,"given":[%s]}}', "reference": b'{"x":{"reference":%s}}',
    }  # fmt: skip
    data = shapes[member].replace(b"%s", deep)
    shown = render("application/fhir+json", len(data), iter([data]))
    assert [name for name, _ in shown.rows] == ["x"] and "…" in shown.rows[0][1]


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_day_that_no_calendar_has_is_shown_as_it_is(language: str) -> None:
    """An older log may hold one: its chart is a page all the same."""
    assert texts_of(language).day("2020-02-31") == "2020-02-31"
    assert texts_of(language).day("0000-01-01") == "0000-01-01"
    assert "2020" in texts_of(language).day("2020-02-29") != "2020-02-29"
