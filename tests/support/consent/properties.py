"""The properties of the page on consent by their numbers, and the agreement with the model (P20).

`tests/unit/consent/test_properties.py` runs all by Hypothesis,
`test_decide_faults.py` shows that each can fail.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from consent import decide as engine
from consent.decide import Decision
from tests.support.consent import model
from tests.support.consent import properties_of_answers as answers
from tests.support.consent import properties_of_behalf as behalf
from tests.support.consent import properties_of_facts as facts
from tests.support.consent.cases import Case, in_words
from tests.support.consent.model import Answer, Ask, Situation
from tests.support.consent.random_cases import random_case


def p20_agrees_with_the_model(rng: Random) -> None:
    agree(rng, 20)


def agree(rng: Random, questions: int) -> Counter[Any]:
    """The model and the engine say the same about a random situation; gives what they said.

    Every question is also asked of the whole chart, and what a refused asker is told is compared.
    """
    situation, policy, asks = random_case(rng, questions)
    case, said = Case(situation, policy), Counter[Any]()
    for ask in asks:
        about = f"{ask}, {policy}, {situation}"
        decision, expected = case.decision(ask), model.decide(situation, ask, policy)
        assert in_words(decision) == expected, f"{in_words(decision)}, not {expected}: {about}"
        assert decision.obligations == model.obligations(expected)
        assert decision.masked == (expected[2] == "harm_hold")
        assert told(case, ask, decision) == model.told(expected, ask)
        listing = ask | {"action": "list"}
        chart, shown = case.chart(listing), model.decide_list(situation, listing, policy)
        assert chart == shown, f"{chart}, not {shown}: {about}"
        said[expected[:3]] += 1
        said["chart", *shown[0][:2]] += 1
        said.update(features(situation, expected))
    return said


def told(case: Case, ask: Ask, decision: Decision) -> Answer:
    """What an asker is told of a decision as it stands in the log; the rest of it is as it was."""
    logged = decision.json(case.asked(ask)[0], case.policy)
    said = engine.told(logged, ask["purpose"], ask["action"])
    assert said.keys() == logged.keys()
    rest = logged.keys() - {"rule", "reason", "basis"}
    assert {name: said[name] for name in rest} == {name: logged[name] for name in rest}
    return said["effect"], said["rule"], said.get("reason"), tuple(said["basis"])


def features(situation: Situation, answer: Answer) -> Iterator[tuple[str, str]]:
    """What kind of grant it was that permitted, and whom the exclusion was of."""
    for grant in situation["grants"]:
        if answer[1] == "S9" and grant["seq"] in answer[3]:
            yield "granted", grant["kind"]
            yield "granted to", grant["grantee"][:2]
            yield "granted", "with exceptions" if grant["exceptions"] else "without"
    for link in situation.get("links", []):
        for grant in link["grants"]:
            if answer[1] == "S9" and grant["seq"] in answer[3]:
                yield "granted", "in a linked chart"
        for exclusion in link["exclusions"]:
            if answer[1] == "S7" and exclusion["seq"] in answer[3]:
                yield "excluded", "in a linked chart"
    for exclusion in situation["exclusions"]:
        if answer[1] == "S7" and exclusion["seq"] in answer[3]:
            yield "excluded", exclusion["reader"][:2]


PROPERTIES: Final[dict[str, Callable[[Random], None]]] = {
    "P1": facts.p1_pure_total_deterministic,
    "P2": facts.p2_without_facts_few_permits,
    "P3": facts.p3_what_denies_permits_nothing,
    "P4": facts.p4_fewer_lineages_permit_nothing,
    "P5": facts.p5_nothing_rests_on_what_was_revoked,
    "P6": facts.p6_bounds_are_half_open,
    "P7": facts.p7_the_order_of_facts_is_nothing,
    "P8": facts.p8_other_patients_are_nothing,
    "P9": behalf.p9_a_delegate_gets_no_more,
    "P10": facts.p10_emergencies_open_no_more,
    "P11": answers.p11_a_label_opens_nothing,
    "P12": answers.p12_what_is_listed_can_be_read,
    "P13": answers.p13_the_log_gives_its_decisions_again,
    "P14": answers.p14_the_basis_explains,
    "P15": answers.p15_auditors_and_admins_get_no_content,
    "P16": answers.p16_names_are_nothing,
    "P17": answers.p17_ages_flip_at_the_instant,
    "P18": answers.p18_the_last_word_counts,
    "P19": answers.p19_patients_are_locked_out_by_few_stages,
    "P20": p20_agrees_with_the_model,
}
