"""P9 of the page on consent: whoever acts for somebody else never gets more than that one, and never through three.

A function of a `Random` that asserts; `properties.py` lists it.
"""

from itertools import pairwise
from random import Random

from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.examples import GRANT, POLICY, example, question
from tests.support.consent.model import Ask, Situation, member
from tests.support.consent.random_cases import DAY, NOW, behalf_ask, random_case


def p9_a_delegate_gets_no_more(rng: Random) -> None:
    situation, policy, _ = random_case(rng, 0)
    if situation["patient"] is not None:
        within_the_principals_right(rng, situation, policy)
    never_through_three(rng)


def within_the_principals_right(rng: Random, situation: Situation, policy: Ask) -> None:
    """What is permitted on somebody's behalf is permitted to them: to the patient as if of age."""
    grown = situation["patient"] | {"teen_from": None, "adult_from": None}
    case, adults = Case(situation, policy), Case(situation | {"patient": grown}, policy)
    for _ in range(20):
        ask = behalf_ask(rng, situation)
        said = case.answer(ask)
        assert said[0] == "deny" or said[1] == "S10", f"{said}: {ask}"
        if said[0] == "deny" or model.waits_for(situation["patient"]) is not None:
            continue
        own = ask | {"actor": ask["on_behalf_of"], "on_behalf_of": None}
        if ask["role"] == "relative":
            own |= {"role": "patient"}
            assert adults.permits(own), f"{own}: {situation}"
        else:
            assert case.permits(own), f"{own}: {situation}"


def never_through_three(rng: Random) -> None:
    """From the first, who was granted the chart, to the fourth: the third still reads on the first one's behalf."""
    chain = rng.sample([f"ac_{number}" for number in range(1, 5)], 4)
    members = [member(account, "doctor", "hs_1", 1 + seq) for seq, account in enumerate(chain)]
    steps = list(pairwise(chain))
    rng.shuffle(steps)
    delegations = [
        {
            "seq": 40 + number, "hospital": "hs_1", "giver": giver, "account": account,
            "actions": ["list", "read"], "start": NOW - DAY, "end": NOW + DAY, "ended": None,
        }
        for number, (giver, account) in enumerate(steps)
    ]  # fmt: skip
    case = Case(
        example(
            members=members, joinings=[], delegations=delegations, grants=[GRANT | {"grantee": chain[0]}]
        ),
        POLICY,
    )  # fmt: skip
    for account, expected in zip(chain[1:], (True, True, False), strict=True):
        named = {"actor": account, "role": "doctor", "hospital": "hs_1", "on_behalf_of": chain[0]}
        assert case.permits(question("stranger", "read") | named) == expected
