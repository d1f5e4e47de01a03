"""P9 of the page on consent: whoever acts for somebody else never gets more than that one, and never through three.

A function of a `Random` that asserts; `properties.py` lists it.
"""

from itertools import pairwise
from random import Random

from consent import decide as engine
from consent.decide import Decision, Giver
from ledger.directory import Member
from ledger.facts import Grant
from ledger.relations import Delegation
from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.examples import GRANT, POLICY, example, excluded, question
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
        if not ask["on_behalf_of"]:
            continue
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
    """From the first, who was granted the chart, to the fourth: the third still reads on the first one's behalf, unless
    the patient excludes one of those before, or their profession may not."""
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
    situation = example(
        members=members, joinings=[], delegations=delegations, grants=[GRANT | {"grantee": chain[0]}]
    )  # fmt: skip
    kept_out = Case(situation | {"exclusions": [excluded(rng.choice(chain[:2]))]}, POLICY)
    third = {"actor": chain[2], "role": "doctor", "hospital": "hs_1", "on_behalf_of": chain[0]}
    assert not kept_out.permits(question("stranger", "read") | third)
    barred, limits = rng.choice(chain[:2]), {p: ["list", "read"] for p in model.PROFESSIONS}
    theirs = [
        one | ({"profession": "trainee"} if one["account"] == barred else {}) for one in members
    ]
    policy = POLICY | {"professions": limits | {"trainee": ["append"]}}
    assert not Case(situation | {"members": theirs}, policy).permits(
        question("stranger", "read") | third
    )
    case = Case(situation, POLICY)
    for account, expected in zip(chain[1:], (True, True, False), strict=True):
        named = {"actor": account, "role": "doctor", "hospital": "hs_1", "on_behalf_of": chain[0]}
        ask = question("stranger", "read") | named
        assert case.permits(ask) == expected
        assert (decided_on_all(case, ask).effect == "permit") == expected


def decided_on_all(case: Case, ask: Ask) -> Decision:
    """The decision on every delegation that there is, and not only on those that the gate looks for."""
    request, facts = case.asked(ask)
    delegations = tuple(case.rows.all(Delegation).values())
    grants = tuple(case.rows.all(Grant).values())
    givers = tuple(
        Giver(one.giver, case.rows.get(Member, one.giver, "doctor", one.hospital), grants, (), ())
        for one in delegations
    )
    return engine.decide(
        request, facts._replace(delegations=delegations, givers=givers), case.policy
    )
