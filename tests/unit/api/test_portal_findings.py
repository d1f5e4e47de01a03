"""What resources say, and their pictures: whatever is in them, a page comes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.portal.findings import RESOURCES, Source, Statement, Value, resources, statements, values
from api.portal.plotting import PLOTS, TICKS, Axis, day_of, plots, timeline
from ledger.facts import Record
from people.clinical import CLINICAL
from people.intake import fill
from tests.unit.people.test_clinical import LEAST, PATIENT, WHOLE


def record(name: str = "rc_1", category: str = "laboratory", when: str = "2026-11-20") -> Record:
    """A record of a list."""
    return Record(
        name, PATIENT, 7, "ac_1", "hs_1", category, when, "normal", "", (), False, False, "live", 7, (),
    )  # fmt: skip


SOURCE = Source(record(), 9)


def said(content: bytes) -> tuple[list[Value], list[Statement]]:
    """All that a content says."""
    found = resources(content)
    return (
        [one for resource in found for one in values(resource, SOURCE)],
        [one for resource in found for one in statements(resource, SOURCE)],
    )


@pytest.mark.parametrize("form", CLINICAL)
def test_what_is_typed_is_shown(form: str) -> None:
    """Each form says what was typed into it."""
    for answers in (WHOLE[form], LEAST[form]):
        measured, stated = said(fill(CLINICAL[form], PATIENT, answers))
        if form in ("vitals", "laboratory"):
            assert {one.shown for one in measured} <= set(answers.values()) and not stated
            assert all(one.date == answers["date"] for one in measured)
        else:
            (one,) = stated
            assert one.text in answers.values() and not measured
            assert one.current == (answers.get("status", "active") == "active")
    if form == "vitals":
        (least,) = measured
        assert least.key == ("8867-4", "/min") and least.state == "" and least.range == ""


def observation(**members: Any) -> bytes:
    """An Observation of a value with a range, but for what is told."""
    made = {
        "resourceType": "Observation", "status": "final", "code": {"text": "Hb"}, "effectiveDateTime": "2026-11-20T08:15:00+01:00",
        "valueQuantity": {"value": 13.9, "unit": "g/dL"}, "referenceRange": [{"low": {"value": 12.0}, "high": {"value": 15.5}}],
    }  # fmt: skip
    return json.dumps({name: value for name, value in (made | members).items() if value is not None}).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("members", "state", "reach"),
    [
        ({}, "within", "12.0 – 15.5"), ({"valueQuantity": {"value": 12}}, "within", "12.0 – 15.5"),
        ({"valueQuantity": {"value": 11.99}}, "low", "12.0 – 15.5"), ({"valueQuantity": {"value": 16, "comparator": ">"}}, "high", "12.0 – 15.5"),
        ({"referenceRange": [{"high": {"value": 15.5}}]}, "within", "≤ 15.5"), ({"referenceRange": [{"low": {"value": 14}}]}, "low", "≥ 14"),
        ({"referenceRange": None}, "", ""), ({"referenceRange": [{"low": {"value": "12"}}]}, "", ""),
    ],
)  # fmt: skip
def test_a_value_within_its_range(members: dict[str, Any], state: str, reach: str) -> None:
    """At the ends it is within; without a range nothing is said."""
    ((value,), _) = said(observation(**members))
    assert (value.state, value.range) == (state, reach)


@pytest.mark.parametrize(
    "members",
    [
        {"status": "entered-in-error"}, {"code": {}}, {"code": 1}, {"valueQuantity": {"value": "13.9"}},
        {"valueQuantity": {"value": True}}, {"valueQuantity": {"value": 1e300}}, {"valueQuantity": [1]}, {"resourceType": "Patient"},
    ],
)  # fmt: skip
def test_what_can_not_be_drawn_is_left_out(members: dict[str, Any]) -> None:
    """Slips, texts, and numbers that no body has."""
    assert said(observation(**members)) == ([], [])


def test_digits_are_shown_as_written() -> None:
    """13.90 says more than 13.9."""
    content = observation().replace(b"13.9", b"13.90")
    ((value,), _) = said(content)
    assert value.shown == "13.90" and value.unit == "g/dL"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["2026", "2026-11-20", "active"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["code", "coding", "text", "value", "unit", "low", "high", "resource", "display"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MEMBERS = st.sampled_from([
    "category", "clinicalStatus", "code", "component", "contained", "dosage", "effectiveDateTime", "entry", "medicationCodeableConcept",
    "reaction", "referenceRange", "severity", "status", "vaccineCode", "valueQuantity",
])  # fmt: skip
KINDS = st.sampled_from(
    [
        "Bundle",
        "Observation",
        "Condition",
        "MedicationRequest",
        "AllergyIntolerance",
        "Immunization",
    ]
)


@given(KINDS, st.dictionaries(MEMBERS, JSON, max_size=6))
def test_whatever_a_resource_holds(kind: str, members: dict[str, Any]) -> None:
    """It is looked at, drawn or left out."""
    measured, stated = said(json.dumps(members | {"resourceType": kind}).encode())
    plots(measured, "de")
    assert all(one.text.isprintable() for one in stated)


def test_a_bundle_is_looked_into_as_far_as_it_goes() -> None:
    """No further than RESOURCES, however it is nested."""
    one = json.loads(observation())
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one}] * (RESOURCES + 5)}
    assert len(resources(json.dumps(bundle).encode())) == RESOURCES
    for _ in range(40):
        one = {"resourceType": "Bundle", "entry": [{"resource": one}]}
    ((value,), _) = said(json.dumps(one).encode())
    assert value.name == "Hb"


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ("2026-11-20", 739940), ("2026-11-20T08:15:00Z", 739940), ("2026-11", 739921), ("2026", 739617),
        ("", None), ("2026-02-30", None), ("yesterday!", None), ("20261120", None), ("0000", None), ("0226-11-20", None), ("9999-12-31", None),
    ],
)  # fmt: skip
def test_days(when: str, day: int | None) -> None:
    """Of a month or a year the first."""
    assert day_of(when) == day


@given(
    st.lists(st.integers(675_334, 803_168), min_size=1, max_size=5), st.sampled_from(["en", "de"])
)
def test_an_axis_holds_every_day(days: list[int], language: str) -> None:
    """From 1850 to 2199; no more ticks than fit, and each inside."""
    axis = Axis(days, language)
    assert all(0 <= axis.x(day) <= 100 for day in days)
    ticks = axis.ticks()
    assert len(ticks) <= TICKS + 1 and all(0 <= float(one.x[:-1]) <= 100 for one in ticks)


def test_a_timeline_counts_each_record() -> None:
    """What has no date is told; near ones are one larger dot; a category without any has no row."""
    records = [record(f"rc_{n}", "laboratory", f"20{20 + n % 6}-03-0{1 + n % 9}") for n in range(40)]  # fmt: skip
    records += [record("rc_x", "imaging", "2019-01-01"), record("rc_y", "imaging", "")]
    drawn = timeline(records, ("imaging", "medication", "laboratory"), "en")
    assert drawn is not None
    assert [one.category for one in drawn.rows] == ["imaging", "laboratory"]
    assert (drawn.first, drawn.last, drawn.undated) == ("2019", "2025", 1)
    laboratory = drawn.rows[1]
    assert sum(one.count for one in laboratory.dots) == 40 == sum(n for _, n in laboratory.years)
    assert len(laboratory.dots) < 15 and max(float(one.radius) for one in laboratory.dots) > 4
    assert timeline([record(when="")], ("laboratory",), "en") is None
    assert timeline([], ("laboratory",), "en") is None


def test_plots_are_by_measurement_and_unit() -> None:
    """The oldest first, the range as a band that the marks stand in, and the unit never mixed."""
    said_values = [
        said(observation(effectiveDateTime=day, valueQuantity={"value": value, "unit": unit}))[0][0]
        for day, value, unit in (
            ("2026-01-02", 15.5, "g/dL"), ("2024-01-02", 12, "g/dL"), ("2025-01-02", 18, "g/dL"), ("2025-01-02", 8.1, "mmol/L"),
        )
    ]  # fmt: skip
    first, second = plots(said_values, "en")
    assert [one.value.shown for one in first.points] == ["12", "18", "15.5"]
    assert first.band is not None and len(first.lines) == 2 and second.unit == "mmol/L"
    top, height = map(float, first.band)
    assert float(first.points[0].y) == pytest.approx(top + height, abs=0.2)
    assert float(first.points[1].y) < top and first.days == 3
    assert plots([], "en") == []


def test_a_page_has_few_plots_whatever_is_measured() -> None:
    """Whoever may append to a chart can make up thousands of measurements; those of the most days are drawn."""
    made = [observation(code={"text": f"made up {n}"}) for n in range(PLOTS + 5)]
    made += [observation(effectiveDateTime=f"2026-11-{day}") for day in (18, 19)]
    drawn = plots([one for content in made for one in said(content)[0]], "en")
    assert len(drawn) == PLOTS and drawn[0].name == "Hb"


def test_what_is_nested_without_end_is_looked_through_at_once() -> None:
    """Not by taking the first of a long list so many times."""
    deep = {"resourceType": "Bundle", "entry": [{"resource": 1}] * 100_000}
    assert len(resources(json.dumps(deep).encode())) == 1
