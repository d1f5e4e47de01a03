"""What an asker is told, to all questions together: an exclusion can't be told from a revocation.

Two logs of the same chart: in one somebody is excluded; in the other nobody is, and what was granted to
them was revoked, or never granted. No question that they may ask has another answer in the one than in
the other: no purpose, action or record, no list, no refusal.
"""

from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consent.decide import decide, decide_list, told
from consent.explain import Explanation, explain
from ledger.codes import ACTIONS, PURPOSES
from ledger.facts import Record
from records.explaining import ASKED
from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.examples import GRANT, POLICY, example, excluded, later, question
from tests.support.consent.model import Ask, Situation
from tests.support.consent.properties_of_facts import granted_case, next_seq
from tests.support.consent.random_cases import GROUPS

PROPERTY = settings(
    max_examples=40,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a smaller random case reads no better, and takes minutes
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SHOWN = ("effect", "rule", "basis", "reason", "obligations")


def every_question(rng: Random, situation: Situation, ask: Ask) -> list[Ask]:
    """By one asker, at one time: all actions and purposes, of the chart and some of its records."""
    records = rng.sample(situation["records"], min(2, len(situation["records"])))
    return [
        ask | {"action": action, "purpose": purpose, "record": record, "on_behalf_of": None}
        for action, purpose, record in product(sorted(ASKED), PURPOSES, [None, *records])
    ]


def explained(case: Case, ask: Ask, whole: bool = False) -> Explanation:
    """What `why` says."""
    request, facts = case.asked(ask)
    records = case.rows.group(Record, case.situation["chart"])
    return explain(request, facts, case.policy, whole, records)


def refusal(case: Case, ask: Ask) -> dict[str, Any]:
    """What comes of the try itself, as the asker is told: of a list, by what the chart holds."""
    request, facts = case.asked(ask)
    decision = decide(request, facts, case.policy)
    if ask["action"] == "list" and ask["record"] is None:
        records = case.rows.group(Record, case.situation["chart"])
        decision = decide_list(request, facts, case.policy, records)[0]
    return told(decision.json(request, case.policy), request.purpose, request.action)


def readers_of(situation: Situation, ask: Ask) -> list[str]:
    """Whose exclusion the asker would feel, and whose grants they would use."""
    return [reader for reader in (ask["actor"], ask["hospital"], *GROUPS) if reader]


def without(situation: Situation, readers: list[str], revoked: bool) -> Situation:
    """None of them excluded, and what they were granted revoked or never granted; what the patient consulted about is closed."""
    closed = [one | {"closed": next_seq(situation) + 80} for one in situation["consultations"]]
    links = [
        link
        | {
            "exclusions": [one for one in link["exclusions"] if one["reader"] not in readers],
            "grants": [one for one in link["grants"] if one["grantee"] not in readers],
        }
        for link in situation["links"]
    ]
    out = situation | {
        "consultations": closed,
        "referrals": [],  # to the excluded there is none, whatever they ask of it
        "exclusions": [one for one in situation["exclusions"] if one["reader"] not in readers],
        "links": links,
    }
    if not revoked:
        kept = [one for one in situation["grants"] if one["grantee"] not in readers]
        ends = [one for one in situation["revocations"] if one["grantee"] not in readers]
        return out | {"grants": kept, "revocations": ends, "openings": []}
    first = next_seq(situation) + 10
    ends = [
        {"seq": first + number, "grantee": grantee, "lineage": None}
        for number, grantee in enumerate(
            sorted({g["grantee"] for g in situation["grants"] if g["grantee"] in readers})
        )
    ]
    return out | {"revocations": [*situation["revocations"], *ends]}


@PROPERTY
@given(rng=st.randoms(use_true_random=False), revoked=st.booleans())
def test_no_two_answers_tell_of_an_exclusion(rng: Random, revoked: bool) -> None:
    """Not one answer differs, so no two together do; of a person in an emergency, from one who turned them off."""
    situation, policy, asks = granted_case(rng)
    ask = rng.choice(asks)
    reader = rng.choice([ask["actor"], ask["hospital"] or ask["actor"]])
    situation["exclusions"].append(excluded(reader, next_seq(situation)))
    with_it = Case(situation, policy)
    told_so = without(situation, readers_of(situation, ask), revoked)
    charts = model.charts_of(situation)
    if any(model.excluded_by(chart, ask["actor"]) is not None for chart in charts):
        off = {"seq": next_seq(situation) + 90, "ceiling": "off"}
        told_so = told_so | {"ceilings": [*situation["ceilings"], off]}
    story = Case(told_so, policy)
    for asked in every_question(rng, situation, ask):
        one, other = explained(with_it, asked), explained(story, asked)
        assert one == other, asked
        assert refusal(with_it, asked) == refusal(story, asked), asked


@PROPERTY
@given(rng=st.randoms(use_true_random=False))
def test_explanations_and_refusals_agree(rng: Random) -> None:
    """What `why` says beforehand is what the try is told; to the patient and auditors, what the log says."""
    agree(rng)


@pytest.mark.parametrize("seed", [214, 6037, 6199, 6550])
def test_a_hold_says_nothing_to_the_excluded_who_would_declare(seed: int) -> None:
    """Cases in which a doctor who is kept from a record of their own chart heard of the hold, and not that it is off."""
    agree(Random(seed))


def agree(rng: Random) -> None:
    """Every question of one asker, explained and tried."""
    situation, policy, asks = granted_case(rng)
    if rng.random() < 0.5:
        situation["exclusions"].append(excluded(rng.choice(asks)["actor"], next_seq(situation)))
    case = Case(situation, policy)
    ask = rng.choice(asks)
    for asked in every_question(rng, situation, ask):
        request, facts = case.asked(asked)
        said = explained(case, asked).decision
        assert said.json(request, case.policy) == refusal(case, asked), asked
        if asked["action"] != "list" or asked["record"] is not None:
            assert explained(case, asked, whole=True).decision == decide(
                request, facts, case.policy
            )


@pytest.mark.parametrize("purpose", ["HRESCH", "HPAYMT", "PUBHLTH"])
@pytest.mark.parametrize("reader", ["ac_2", "hs_1", "gp_1"])
def test_a_grant_for_another_purpose_is_named_to_the_excluded_by_nobody(
    purpose: str, reader: str
) -> None:
    """The pair that proved it: for treatment nothing was said of the grant, for research it was named."""
    case = Case(example(grants=[GRANT], exclusions=[excluded(reader)]), POLICY)
    asked = question("stranger", "read", purpose=purpose)
    said = explained(case, asked)
    assert not [change for change in said.changes if "entry" in change]
    whole = explained(case, asked, whole=True)
    assert whole.decision.reason == "excluded" and "exclusion of entry 30" in whole.changes[0]
    free = explained(Case(example(grants=[GRANT]), POLICY), asked)
    assert "the grant of entry 20 does not permit it: it is for TREAT" in free.changes[0]


def test_a_revoked_grant_is_named_to_the_patient_alone() -> None:
    """By its id: the number of the entry that rules its lineage is the revocation's."""
    ended = {"seq": 25, "grantee": "ac_2", "lineage": "gr_20"}
    case = Case(example(grants=[GRANT], revocations=[ended]), POLICY)
    asked = question("stranger", "read")
    assert not [change for change in explained(case, asked).changes if "revoked" in change]
    told_whole = explained(case, asked, whole=True).changes
    assert told_whole[0] == "the grant gr_20 does not permit it: it was revoked by entry 25"


def test_a_list_of_the_whole_chart_is_explained_by_what_it_shows() -> None:
    """As opening it is decided: by one record that may be listed."""
    some = later(20, kind="selective", records=["rc_0"])
    case = Case(example(grants=[some]), POLICY)
    said = explained(case, question("stranger", "list", record=None)).decision
    assert (said.effect, said.rule) == ("permit", "S9")


def test_an_emergency_of_an_excluded_person() -> None:
    """As the page on consent says: of a declaration, that the patient turned them off."""
    for reader, expected in (("ac_2", "deny S8 emergency_off"), ("hs_1", "permit S8 ")):
        case = Case(example(grants=[GRANT], exclusions=[excluded(reader)]), POLICY)
        said = explained(case, question("stranger", "declare_emergency", record=None))
        assert f"{said.decision.effect} {said.decision.rule} {said.decision.reason}" == expected
        assert said.decision.basis == ()


def test_every_action_that_can_be_tried_can_be_asked_about() -> None:
    assert frozenset(ACTIONS) > ASKED
    assert "verify" not in ASKED
