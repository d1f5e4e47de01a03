"""Examples of grants and exclusions that a person can read, in one small situation.

Each is asked of the engine and of the model; what they say stands here as a line.
"""

from collections.abc import Iterable
from typing import Any, Final

import pytest

from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.examples import (
    GRANT,
    POLICY,
    RECORD,
    example,
    excluded,
    later,
    question,
    said,
)
from tests.support.consent.model import Ask
from tests.support.consent.random_cases import NOW

# Of a grant: what is changed in it, in the record and in the question, and what it is worth

SENSITIVE: Final[Ask] = {"sensitive": True, "labels": ["l_hiv", "l_psy"]}
NO: Final = "deny S12 no_consent []"
YES: Final = "permit S9 [20]"
GRANTS: Final = [
    ("as it is", {}, {}, {}, YES),
    ("to the doctor's hospital", {"grantee": "hs_1"}, {}, {}, YES),
    ("to the doctor's group", {"grantee": "gp_1"}, {}, {}, YES),
    ("to the doctor's group, for another hospital", {"grantee": "gp_1"}, {}, {"hospital": "hs_2"}, NO),
    ("to the doctor, for another hospital", {}, {}, {"hospital": "hs_2"}, YES),
    ("to another group", {"grantee": "gp_0"}, {}, {}, NO),
    ("to another doctor", {"grantee": "ac_3"}, {}, {}, NO),
    ("to another hospital", {"grantee": "hs_0"}, {}, {}, NO),
    ("its first millisecond", {"start": NOW}, {}, {}, YES),
    ("a millisecond before", {"start": NOW + 1}, {}, {}, NO),
    ("its last millisecond", {"end": NOW + 1}, {}, {}, YES),
    ("its end", {"end": NOW}, {}, {}, NO),
    ("listing", {}, {}, {"action": "list"}, YES),
    ("listing alone", {"actions": ["list"]}, {}, {}, NO),
    ("an empty chart", {}, {}, {"action": "list", "record": None}, NO),
    ("reading nothing", {}, {}, {"record": None}, NO),
    ("another purpose", {}, {}, {"purpose": "HRESCH"}, NO),
    ("a named purpose", {"purposes": ["HRESCH"]}, {}, {"purpose": "HRESCH"}, YES),
    ("treatment if not named", {"purposes": ["HRESCH"]}, {}, {}, NO),
    ("for somebody else", {}, {}, {"on_behalf_of": "ac_0"}, NO),
    ("restricted", {}, {"confidentiality": "restricted"}, {}, YES),
    ("of a confidentiality that nobody knows", {}, {"confidentiality": "unheard_of"}, {}, YES),
    ("hidden", {"sensitive": True}, {"hidings": [12]}, {}, NO),
    ("hidden and shown", {}, {"hidings": [12, 13]}, {}, YES),
    ("hidden, shown and hidden", {}, {"hidings": [12, 13, 14]}, {}, NO),
    ("listed", {"kind": "selective", "records": ["rc_0"]}, {}, {}, YES),
    ("not listed", {"kind": "selective", "records": ["rc_1"]}, {}, {}, NO),
    ("listed and hidden", {"kind": "selective", "records": ["rc_0"]},
     {"hidings": [12]}, {}, NO),
    ("listed and restricted", {"kind": "selective", "records": ["rc_0"]},
     {"confidentiality": "restricted"}, {}, YES),
    ("labels not named", {}, SENSITIVE, {}, NO),
    ("one label named", {"codes": ["l_psy"]}, SENSITIVE, {}, NO),
    ("all labels named", {"codes": ["l_hiv", "l_psy"]}, SENSITIVE, {}, YES),
    ("including sensitive", {"sensitive": True}, SENSITIVE, {}, YES),
    ("listed, labels not named", {"kind": "selective", "records": ["rc_0"]}, SENSITIVE, {}, NO),
    ("listed, labels named",
     {"kind": "selective", "records": ["rc_0"], "codes": ["l_hiv", "l_psy"]}, SENSITIVE, {}, YES),
    ("a label, not said to be sensitive", {}, {"labels": ["l_hiv"]}, {}, NO),
    ("sensitive, nobody says of what", {"codes": ["l_hiv"]}, {"sensitive": True}, {}, NO),
    ("sensitive, including sensitive", {"sensitive": True}, {"sensitive": True}, {}, YES),
]  # fmt: skip


def named(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The rows without their first members, which name them."""
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


@pytest.mark.parametrize(("grant", "record", "ask", "expected"), named(GRANTS))
def test_examples_of_grants(grant: Ask, record: Ask, ask: Ask, expected: str) -> None:
    situation = example(grants=[GRANT | grant], records=[RECORD | record])
    assert said(situation, question("stranger", "read", record=RECORD | record) | ask) == expected


END: Final = {"seq": 30, "grantee": "ac_2", "lineage": "gr_20"}
END_ALL: Final = END | {"lineage": None}
AGAIN: Final = later(40, lineage="gr_20")
USED: Final = {
    "seq": 25,
    "type": "record.opened",
    "basis": [20],
    "actor": "ac_2",
    "hospital": "hs_1",
}
LOOKED: Final = USED | {"type": "chart.opened"}
LINEAGES: Final = [
    ("revoked", [GRANT], [END], [], NO),
    ("all of the grantee's are revoked", [GRANT, later(21)], [END_ALL], [], NO),
    ("one of two is revoked", [GRANT, later(21)], [END], [], "permit S9 [21]"),
    ("another grantee's are revoked", [GRANT], [END_ALL | {"grantee": "hs_1"}], [], YES),
    ("revoked, then granted again", [GRANT, AGAIN], [END], [], "permit S9 [40]"),
    ("all revoked, then granted again", [GRANT, AGAIN], [END_ALL], [], "permit S9 [40]"),
    ("all revoked, then granted anew", [GRANT, later(41)], [END_ALL], [], "permit S9 [41]"),
    ("granted again, then revoked", [GRANT, AGAIN], [END | {"seq": 50}], [], NO),
    ("a later grant replaces", [GRANT, AGAIN | {"end": NOW}], [], [], NO),
    ("and does not limit other lineages", [GRANT, later(41, end=NOW)], [], [], YES),
    ("the lowest number counts", [later(21), GRANT], [], [], YES),
    ("unlimited before limited", [GRANT | {"uses": 5}, later(21)], [], [], "permit S9 [21]"),
    ("not yet used", [GRANT | {"uses": 1}], [], [], YES),
    ("used up", [GRANT | {"uses": 1}], [], [USED], NO),
    ("used up, of a group", [GRANT | {"uses": 1, "grantee": "gp_1"}], [], [USED], NO),
    ("looked at the chart only", [GRANT | {"uses": 1}], [], [LOOKED], YES),
    ("used once of two", [GRANT | {"uses": 2}], [], [USED], YES),
    ("used without a limit", [GRANT], [], [USED, USED], YES),
    ("granted again after use", [GRANT | {"uses": 1}, AGAIN | {"uses": 1}], [], [USED],
     "permit S9 [40]"),
]  # fmt: skip


@pytest.mark.parametrize(("grants", "ends", "used", "expected"), named(LINEAGES))
def test_examples_of_lineages(
    grants: list[Ask], ends: list[Ask], used: list[Ask], expected: str
) -> None:
    situation = example(grants=grants, revocations=ends, openings=used)
    assert said(situation, question("stranger", "read")) == expected


@pytest.mark.parametrize(
    ("turns", "expected"), named([("left", 1, NO), ("came back", 2, YES), ("left again", 3, NO)])
)
def test_a_group_is_who_is_in_it(turns: int, expected: str) -> None:
    joining = example()["joinings"][0]
    turned = [joining | {"seq": 30 + turn, "joined": turn % 2 == 1} for turn in range(turns)]
    situation = example(grants=[GRANT | {"grantee": "gp_1"}], joinings=[joining, *turned])
    assert said(situation, question("stranger", "read")) == expected


# Of a partial grant: what it is about, what is changed in the record, and what it is worth

PARTIAL: Final = [
    ("by the author", {"authors": ["ac_1"]}, {}, YES),
    ("by the hospital", {"authors": ["hs_0"]}, {}, YES),
    ("by one of several", {"authors": ["ac_3", "hs_0", "hs_1"]}, {}, YES),
    ("by others", {"authors": ["ac_3", "hs_1"]}, {}, NO),
    ("the patient's own", {"authors": ["hs_0"]}, {"hospital": None, "author": "ac_0"}, NO),
    ("of the category", {"categories": ["imaging", "laboratory"]}, {}, YES),
    ("of another category", {"categories": ["imaging"]}, {}, NO),
    ("of the episode", {"episodes": ["ep_0"]}, {}, YES),
    ("of another episode", {"episodes": ["ep_1"]}, {}, NO),
    ("of no episode", {"episodes": ["ep_0"]}, {"episode": None}, NO),
    ("from the very day", {"date_from": "2026-11-18"}, {}, YES),
    ("from the day after", {"date_from": "2026-11-19"}, {}, NO),
    ("to the very day", {"date_to": "2026-11-18"}, {}, YES),
    ("to the day before", {"date_to": "2026-11-17"}, {}, NO),
    ("that day", {"date_from": "2026-11-18", "date_to": "2026-11-18"}, {}, YES),
    ("undated, from", {"date_from": "2026-01-01"}, {"clinical_date": None}, NO),
    ("undated, to", {"date_to": "2026-12-31"}, {"clinical_date": None}, NO),
    ("all criteria", {"authors": ["hs_0"], "categories": ["laboratory"], "date_from": "2026-11-18"},
     {}, YES),
    ("all but one", {"authors": ["hs_0"], "categories": ["imaging"], "date_from": "2026-11-18"}, {}, NO),
    ("restricted", {"authors": ["hs_0"]}, {"confidentiality": "restricted"}, NO),
    ("of a confidentiality that nobody knows", {"authors": ["hs_0"]},
     {"confidentiality": "unheard_of"}, NO),
    ("hidden", {"authors": ["hs_0"]}, {"hidings": [12]}, NO),
    ("its labels not named", {"authors": ["hs_0"]}, SENSITIVE, NO),
]  # fmt: skip


@pytest.mark.parametrize(("what", "record", "expected"), named(PARTIAL))
def test_examples_of_partial_grants(what: Ask, record: Ask, expected: str) -> None:
    grant = GRANT | {"kind": "partial", "what": what}
    assert (
        said(example(grants=[grant]), question("stranger", "read", record=RECORD | record))
        == expected
    )


def test_a_partial_grant_names_labels_like_any_other() -> None:
    members = {"kind": "partial", "what": {"authors": ["hs_0"]}, "codes": SENSITIVE["labels"]}
    ask = question("stranger", "read", record=RECORD | SENSITIVE)
    assert said(example(grants=[GRANT | members]), ask) == YES


def deny(*exceptions: Ask, **criteria: Any) -> Ask:
    return criteria | {"type": "deny", "exceptions": list(exceptions)}


def permit(*exceptions: Ask, **criteria: Any) -> Ask:
    return criteria | {"type": "permit", "exceptions": list(exceptions)}


LAB: Final[Ask] = {"categories": ["laboratory"]}
MINE: Final[Ask] = {"authors": ["hs_0"]}
OTHER: Final[Ask] = {"categories": ["imaging"]}
EXCEPTIONS: Final = [
    ("a denial that the record meets", [deny(**LAB)], {}, NO),
    ("a denial that it doesn't meet", [deny(**OTHER)], {}, YES),
    ("a denial that it meets in part", [deny(**LAB, authors=["hs_1"])], {}, YES),
    ("a permission", [permit(**LAB)], {}, YES),
    ("a permission opens nothing", [permit(**LAB)], {"hidings": [12]}, NO),
    ("among siblings a denial wins", [permit(**LAB), deny(**MINE)], {}, NO),
    ("also the other way round", [deny(**MINE), permit(**LAB)], {}, NO),
    ("inside a denial a permission", [deny(permit(**MINE), **LAB)], {}, YES),
    ("one that it doesn't meet", [deny(permit(authors=["hs_1"]), **LAB)], {}, NO),
    ("inside a permission a denial", [permit(deny(**MINE), **LAB)], {}, NO),
    ("inside a permission that it doesn't meet", [permit(deny(**MINE), **OTHER)], {}, YES),
    ("inside a denial both", [deny(permit(**MINE), deny(episodes=["ep_0"]), **LAB)], {}, NO),
    ("a denial beside a permitted one", [deny(permit(**MINE), **LAB), deny(**MINE)], {}, NO),
    ("inside a denial a denial", [deny(deny(**MINE), **LAB)], {}, NO),
    ("of the record", [deny(records=["rc_0", "rc_1"])], {}, NO),
    ("of other records", [deny(records=["rc_1"])], {}, YES),
    ("of one of its labels", [deny(labels=["l_hiv"])], SENSITIVE, NO),
    ("of another label", [deny(labels=["l_bh"])], SENSITIVE, YES),
    ("until the very day", [deny(date_to="2026-11-18")], {}, NO),
    ("until the day before", [deny(date_to="2026-11-17")], {}, YES),
    ("from the day after", [deny(date_from="2026-11-19")], {}, YES),
    ("undated, a denying range", [deny(date_from="2026-11-19")], {"clinical_date": None}, NO),
    ("undated, a permitting range inside", [deny(permit(date_from="2026-11-01"), **LAB)],
     {"clinical_date": None}, NO),
    ("undated, a denying range inside", [permit(deny(date_from="2026-11-19"), **LAB)],
     {"clinical_date": None}, NO),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["full", "partial", "selective"])
@pytest.mark.parametrize(("exceptions", "record", "expected"), named(EXCEPTIONS))
def test_examples_of_exceptions(
    kind: str, exceptions: list[Ask], record: Ask, expected: str
) -> None:
    scopes: Ask = {"partial": {"what": MINE}, "selective": {"records": ["rc_0"]}, "full": {}}
    members = {"kind": kind, "exceptions": exceptions, "codes": SENSITIVE["labels"]}
    situation = example(grants=[GRANT | members | scopes[kind]])
    assert said(situation, question("stranger", "read", record=RECORD | record)) == expected


def test_an_exception_carves_out_of_its_own_grant_only() -> None:
    grants = [GRANT | {"exceptions": [deny(**LAB)]}, later(21)]
    assert said(example(grants=grants), question("stranger", "read")) == "permit S9 [21]"


# --- opening the chart

SECOND: Final = RECORD | {"id": "rc_1", "seq": 15, "hospital": "hs_1", "author": "ac_2"}
THIRD: Final = RECORD | {"id": "rc_2", "seq": 16}
ALL: Final = [RECORD, SECOND, THIRD]
SOME: Final = GRANT | {"kind": "selective", "records": ["rc_0", "rc_2"]}
CHARTS: Final = [
    ("the patient, an empty chart", "patient", {"records": []}, ("permit", "S5", [10]), []),
    ("the patient", "patient", {"records": ALL}, ("permit", "S5", [10]), ["rc_0", "rc_1", "rc_2"]),
    ("a doctor, an empty chart", "doctor", {"records": []}, ("deny", "S12", []), []),
    ("by a grant, an empty chart", "stranger", {"records": [], "grants": [GRANT]},
     ("deny", "S12", []), []),
    ("where two were written", "doctor", {"records": ALL}, ("permit", "S6", [1, 11]),
     ["rc_0", "rc_2"]),
    ("in any order", "doctor", {"records": ALL[::-1]}, ("permit", "S6", [1, 11]), ["rc_0", "rc_2"]),
    ("by a grant", "stranger", {"grants": [GRANT]}, ("permit", "S9", [20]), ["rc_0"]),
    ("the lowest stage counts, not the lowest record", "stranger",
     {"records": ALL, "grants": [GRANT]}, ("permit", "S6", [2, 15]), ["rc_0", "rc_1", "rc_2"]),
    ("of one stage the lowest record", "stranger",
     {"records": [RECORD, THIRD], "grants": [SOME | {"records": ["rc_2"]}, later(21)]},
     ("permit", "S9", [21]), ["rc_0", "rc_2"]),
    ("what is hidden is left out", "stranger",
     {"records": [RECORD | {"hidings": [12]}, THIRD], "grants": [GRANT]}, ("permit", "S9", [20]),
     ["rc_2"]),
    ("excluded, but for what one wrote", "stranger",
     {"records": ALL, "grants": [GRANT], "exclusions": [excluded("hs_1")]},
     ("permit", "S6", [2, 15]), ["rc_1"]),
    ("excluded", "stranger", {"grants": [GRANT], "exclusions": [excluded("hs_1")]},
     ("deny", "S7", [30]), []),
    ("an admin", "admin", {"records": ALL}, ("deny", "S1", []), []),
    ("all is retracted", "stranger", {"records": [RECORD | {"retracted": 12}], "grants": [GRANT]},
     ("deny", "S12", []), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "changes", "expected", "shown"),
    named(CHARTS),
)
def test_examples_of_charts(
    who: str, changes: Any, expected: tuple[str, str, list[int]], shown: list[str]
) -> None:
    situation, ask = example(**changes), question(who, "list", record=None)
    (effect, rule, _, basis), seen = got = Case(situation, POLICY).chart(ask)
    assert got == model.decide_list(situation, ask, POLICY)
    assert ((effect, rule, list(basis)), seen) == (expected, shown)
