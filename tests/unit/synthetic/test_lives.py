"""The rules that made-up lives keep: nothing before birth or after death, families, trends, labels."""

import hashlib
import json
import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import patient, region
from synthetic.chance import Chance
from synthetic.courses import Courses
from synthetic.drugs import PENICILLINS
from synthetic.illnesses import BY_KEY, CATALOGUE
from synthetic.life import Onset, onsets
from synthetic.patients import PENICILLIN_ALLERGIES
from synthetic.people import ADULT_YEARS, LAST_DAY, Person, person_at
from synthetic.places import DEPARTMENTS, PEDIATRIC
from synthetic.vaccines import CHILD_CHECKS
from tests.unit.synthetic.test_formats import decode_png

SEED, COUNT = 20, 150
WIDE, FEW_YEARS = 400, 2
"""More patients with shorter records, for what is rare."""
SEEDS = st.integers(0, 2**40)
PLACES = st.integers(0, 10**7)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\+00:00)?")


@cache
def bundle(seed: int, place: int, years: int = 10) -> list[dict[str, Any]]:
    """The resources of a patient's bundle, in order."""
    entries = orjson.loads(patient(seed, place, years).bundle)["entry"]
    return [{"fullUrl": entry["fullUrl"], **entry["resource"]} for entry in entries]


@cache
def town() -> list[tuple[Person, list[dict[str, Any]]]]:
    """Some patients with their resources."""
    return [(person_at(SEED, place), bundle(SEED, place, 5)) for place in range(COUNT)]


def of(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one type."""
    return [found for found in resources if found["resourceType"] == kind]


def code(concept: dict[str, Any]) -> str:
    """The first code of a CodeableConcept."""
    return str(concept["coding"][0]["code"])


def texts(value: Any) -> Iterator[str]:
    """Every text anywhere within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def references(value: Any) -> Iterator[str]:
    """Every literal reference within a JSON value."""
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@settings(max_examples=40, deadline=None)
@given(SEEDS, PLACES, st.integers(1, 100))
def test_nothing_is_before_birth_or_after_death(seed: int, place: int, years: int) -> None:
    person = person_at(seed, place)
    ends = person.died or datetime.combine(LAST_DAY, datetime.min.time())
    for resource in bundle(seed, place, years):
        if resource["resourceType"] == "RelatedPerson":
            continue
        for text in filter(MOMENT.fullmatch, texts(resource)):
            moment = datetime.fromisoformat(text).replace(tzinfo=None)
            assert person.born <= moment.date(), (resource, text)
            assert moment <= ends, (resource, text)


@settings(max_examples=40, deadline=None)
@given(SEEDS, PLACES)
def test_encounters_never_overlap(seed: int, place: int) -> None:
    periods = [one["period"] for one in of(bundle(seed, place), "Encounter")]
    assert periods
    moments = [datetime.fromisoformat(p[end]) for p in periods for end in ("start", "end")]
    assert all(earlier < later for earlier, later in pairwise(moments))


def test_references_resolve() -> None:
    known = {
        f"{kind}?identifier={one['system']}|{one['value']}"
        for part in region(SEED).values()
        for entry in json.loads(part.encode())["entry"]
        for kind, one in [(entry["request"]["url"], entry["resource"]["identifier"][0])]
    }
    for _, resources in town():
        own = {resource["fullUrl"] for resource in resources}
        assert len(own) == len(resources)
        assert set(references(resources)) <= own | known


def test_identifiers_are_unique() -> None:
    people = [person_at(seed, place) for seed in (1, 2) for place in range(2_000)]
    assert len({person.identifier for person in people}) == len(people)
    assert len({person.insurance for person in people}) == len(people)


def test_minors_are_seen_by_pediatricians_and_nobody_else_is() -> None:
    codes = {DEPARTMENTS[name].code for name in PEDIATRIC}
    seen = Counter[bool]()
    for person, resources in town():
        for encounter in of(resources, "Encounter"):
            start = date.fromisoformat(encounter["period"]["start"][:10])
            minor = person.age(start) < ADULT_YEARS
            assert (code(encounter["serviceType"]) in codes) == minor
            seen[minor] += 1
    assert min(seen[True], seen[False]) > 100


def test_families_share_address_and_name() -> None:
    roles = Counter[str]()
    for person, resources in town():
        (mine,) = of(resources, "Patient")
        for relative in of(resources, "RelatedPerson"):
            role = code(relative["relationship"][0])
            roles[role] += 1
            assert relative["address"] == mine["address"]
            if role in ("MTH", "FTH"):
                assert relative["birthDate"] < str(person.born - timedelta(days=18 * 365))
            if role in ("BRO", "SIS"):
                assert relative["name"][0]["family"] == person.family
        if person.age(LAST_DAY) < ADULT_YEARS:
            assert {"MTH", "FTH"} & {r.role for r in person.relatives}
            assert person.family in {
                r.person.family for r in person.relatives if r.role[1:] == "TH"
            }
            assert mine["contact"]
    assert min(roles[role] for role in ("WIFE", "HUSB", "MTH", "FTH", "DAUC", "SONC")) > 5


def test_relatives_know_each_other() -> None:
    """A relative's own record names the first patient back, by the same identifiers."""
    for person, _ in town()[: COUNT // 2]:
        for relative in person.relatives:
            back = person_at(SEED, relative.person.place)
            assert person.identifier in {one.person.identifier for one in back.relatives}


def test_mothers_give_birth_to_their_children() -> None:
    births = 0
    for person, resources in town():
        for day in person.children:
            if day < LAST_DAY - timedelta(days=4 * 365):
                continue
            stays = [e for e in of(resources, "Encounter") if e["class"]["code"] == "IMP"]
            assert str(day) in {stay["period"]["start"][:10] for stay in stays}
            births += 1
    assert births > 2


def test_few_have_died_and_their_last_encounter_says_so() -> None:
    dead = [(person, resources) for person, resources in town() if person.died]
    assert 0.02 < len(dead) / COUNT < 0.16
    for person, resources in dead:
        last = of(resources, "Encounter")[-1]
        assert person.died is not None
        assert last["period"]["end"] == person.died.isoformat() + "+00:00"
        assert code(last["hospitalization"]["dischargeDisposition"]) == "exp"
        assert of(resources, "Patient")[0]["deceasedDateTime"] == last["period"]["end"]


def encounters_a_year(chosen: Iterator[tuple[Person, list[dict[str, Any]]]]) -> float:
    """The mean number of encounters a year of some people over the last three years."""
    since = LAST_DAY - timedelta(days=3 * 365)
    counts = [
        sum(e["period"]["start"] > str(since) for e in of(resources, "Encounter"))
        for person, resources in chosen
        if person.died is None and person.born < since
    ]
    assert len(counts) > 5
    return float(sum(counts) / len(counts) / 3)


def test_the_small_the_old_and_the_chronically_ill_come_more_often() -> None:
    def rate(low: int, high: int, illnesses: range = range(99)) -> float:
        return encounters_a_year(
            (person, resources) for person, resources in town()
            if low <= person.age(LAST_DAY) < high
            and len(onsets(Chance(SEED, "patient", person.place), person)) in illnesses
        )  # fmt: skip

    assert rate(3, 7) > 1.2 * rate(9, 18)
    assert rate(65, 100) > 1.3 * rate(19, 45)
    assert rate(30, 80, range(3, 99)) > 1.5 * rate(30, 80, range(2))


def values(resources: list[dict[str, Any]], loinc: str) -> list[tuple[str, float]]:
    """Moments and values of a measure."""
    return [
        (one["effectiveDateTime"], float(one["valueQuantity"]["value"]))
        for one in of(resources, "Observation")
        if code(one["code"]) == loinc
    ]


def correlation(pairs: list[tuple[float, float]]) -> float:
    """Pearson's r."""
    n = len(pairs)
    mx, my = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    sxy = sum((x - mx) * (y - my) for x, y in pairs)
    sxx, syy = sum((x - mx) ** 2 for x, _ in pairs), sum((y - my) ** 2 for _, y in pairs)
    return float(sxy / (sxx * syy) ** 0.5)


@pytest.mark.parametrize("name", ["hba1c", "creatinine", "ldl", "systolic"])
def test_a_value_is_close_to_the_last_the_less_time_has_passed(name: str) -> None:
    """Deviations from a healthy person's own level: correlated after a month, hardly after years."""
    person = next(p for n in range(99) if 30 < (p := person_at(1, n)).age(LAST_DAY) < 60)

    def after(days: int) -> float:
        courses = Courses(Chance("trend", name, days), person, {})
        start = date(2010, 1, 1)
        run = [courses.digits(name, start + timedelta(days=days * n)) for n in range(400)]
        return correlation([(float(x), float(y)) for x, y in pairwise(run)])

    assert after(30) > 0.75
    assert abs(after(4_000)) < 0.25


def test_a_trend_shows_in_the_records() -> None:
    """A patient's LDL values are closer to each other than to those of others."""
    series = [[v for _, v in values(resources, "13457-7")] for _, resources in town()]
    series = [one for one in series if len(one) > 2]
    assert len(series) > 10
    own = correlation([pair for one in series for pair in pairwise(one)])
    assert own > 0.6


def test_diabetes_raises_hba1c_and_treatment_lowers_it() -> None:
    person = next(p for n in range(99) if 40 < (p := person_at(1, n)).age(LAST_DAY) < 60)
    began = date(2015, 1, 1)
    ill = {"diabetes": Onset(BY_KEY["diabetes"], began, date(2017, 1, 1))}
    courses = Courses(Chance("x"), person, ill)
    days = (date(2014, 6, 1), date(2016, 11, 1), date(2018, 6, 1))
    before, untreated, treated = (courses.digits("hba1c", day) for day in days)
    assert before < 620 < treated < untreated


def test_medication_follows_from_conditions() -> None:
    """A lasting prescription is for a condition that the record names; none is for nothing."""
    drugs = {one.key: {drug.code for drug in one.drugs} for one in CATALOGUE}
    lasting = 0
    for _, resources in town():
        known = {code(condition["code"]) for condition in of(resources, "Condition")}
        allowed = {
            drug for one in CATALOGUE if one.term.code in known for drug in drugs[one.key]
        }  # fmt: skip
        for request in of(resources, "MedicationRequest"):
            if code(request["courseOfTherapyType"]) == "continuous":
                assert code(request["medicationCodeableConcept"]) in allowed
                lasting += 1
    assert lasting > 100


def test_nobody_allergic_to_penicillin_is_given_one() -> None:
    allergic = others = 0
    for place in range(WIDE):
        resources = bundle(SEED, place, FEW_YEARS)
        codes = {code(a["code"]) for a in of(resources, "AllergyIntolerance")}
        requests = of(resources, "MedicationRequest")
        given_ = {code(r["medicationCodeableConcept"]) for r in requests}
        penicillin = bool(given_ & {drug.code for drug in PENICILLINS})
        if codes & PENICILLIN_ALLERGIES:
            assert not penicillin
            allergic += 1
        others += penicillin
    assert allergic > 10 and others > 20


def test_flags_are_those_of_the_reference_range() -> None:
    flags = Counter[str]()
    for _, resources in town():
        for one in of(resources, "Observation"):
            if "referenceRange" not in one:
                continue
            value, limits = one["valueQuantity"]["value"], one["referenceRange"][0]
            flag = code(one["interpretation"][0])
            flags[flag] += 1
            low = limits.get("low", {"value": float("-inf")})["value"]
            assert (flag[0] == "L") == (value < low)
            assert (flag[0] == "H") == (value > limits["high"]["value"])
    assert min(flags[flag] for flag in ("N", "L", "H", "HH")) > 0


def test_children_are_immunized_by_age() -> None:
    months = {v.code: m for m, given_ in reversed(CHILD_CHECKS) for v in given_}
    first: dict[str, list[float]] = defaultdict(list)
    for person, resources in town():
        if person.age(LAST_DAY) > 4:
            continue
        seen = set[str]()
        for one in of(resources, "Immunization"):
            vaccine = code(one["vaccineCode"])
            if vaccine in months and vaccine not in seen:
                seen.add(vaccine)
                day = date.fromisoformat(one["occurrenceDateTime"][:10])
                first[vaccine].append((day - person.born).days / 30.44)
    assert len(first["03"]) > 2
    for vaccine, ages in first.items():
        assert all(months[vaccine] - 0.1 <= age < months[vaccine] + 2 for age in ages), vaccine


def test_sensitive_conditions_are_labelled() -> None:
    labels = {one.term.code: one.label for one in CATALOGUE}
    seen = Counter[str]()
    for place in range(WIDE):
        for one in of(bundle(SEED, place, FEW_YEARS), "Condition"):
            security = [c["code"] for c in one.get("meta", {}).get("security", [])]
            wanted = labels.get(code(one["code"]), "")
            if wanted:
                assert security == ["R", wanted]
            seen.update(security)
    assert {"PSY", "ETH", "HIV", "SEX", "STD"} <= set(seen)


def test_pictures_and_letters_are_whole() -> None:
    kinds = Counter[str]()
    for _, resources in town():
        files = [one["content"] for one in of(resources, "Media")]
        for document in of(resources, "DocumentReference"):
            files.append(document["content"][0]["attachment"])
        for file in files:
            data = b64decode(file["data"], validate=True)
            assert len(data) == file["size"]
            assert hashlib.sha1(data).digest() == b64decode(file["hash"])
            kinds[file["contentType"]] += 1
            if file["contentType"] == "image/png":
                assert decode_png(data)[:2] == (64, 64)
            else:
                assert data.startswith(b"%PDF-1.7\n") and data.endswith(b"%%EOF\n")
    assert min(kinds["image/png"], kinds["application/pdf"]) > 20


def test_claims_add_up() -> None:
    for _, resources in town():
        for claim in of(resources, "Claim"):
            cents = [round(item["net"]["value"] * 100) for item in claim["item"]]
            assert sum(cents) == round(claim["total"]["value"] * 100) > 0
            for item, net in zip(claim["item"], cents, strict=True):
                assert round(item["unitPrice"]["value"] * 100) * item["quantity"]["value"] == net


@settings(max_examples=60, deadline=None)
@given(SEEDS, PLACES)
def test_onsets_lie_within_the_life(seed: int, place: int) -> None:
    person = person_at(seed, place)
    for onset in onsets(Chance(seed, "patient", place), person).values():
        assert person.born <= onset.began < onset.found < person.until
        assert onset.illness.sex in ("", person.gender)


def test_uniform_draws_make_the_distributions_asked_for() -> None:
    chance = Chance("draws")
    normal = [chance.normal() for _ in range(20_000)]
    mean = sum(normal) / len(normal)
    spread = (sum((x - mean) ** 2 for x in normal) / len(normal)) ** 0.5
    assert abs(mean) < 0.03 and abs(spread - 1) < 0.03
    counts = [chance.count(2.4) for _ in range(20_000)]
    assert abs(sum(counts) / len(counts) - 2.4) < 0.05
    picks = Counter(chance.weighted("abc", (1, 0, 3)) for _ in range(8_000))
    assert picks["b"] == 0 and 2.6 < picks["c"] / picks["a"] < 3.5
