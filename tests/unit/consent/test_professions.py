"""What each profession of doctors may: the table, a policy's own, and acting for a colleague. Each is asked of the model, too."""

from typing import Any, Final

import pytest

from consent.decide import ROLE_ACTIONS, decide
from consent.explain import explain
from ledger.codes import DOCTOR_ACTIONS, PROFESSIONS
from ledger.editions import CONSENT
from ledger.policies import DEFAULT_POLICY, DEFAULT_PROFESSIONS, Policy
from tests.support.consent.cases import Case
from tests.support.consent.examples import GRANT, POLICY, RECORD, example, question, said
from tests.support.consent.model import Ask, Situation
from tests.support.consent.random_cases import DAY, NOW

MATRIX: Final = """
                   physician nurse laboratory pharmacist trainee
list                   x       x       x          x         x
read                   x       x       x          x         x
append                 x       x       x          x         x
amend                  x       x       x          .         .
retract                x       x       x          .         .
refer                  x       .       .          .         .
declare_emergency      x       x       .          .         .
request_access         x       x       .          x         .
hold                   x       .       .          .         .
register               x       .       .          .         .
"""
"""What each may at most where the policy doesn't say it."""


def approved_as(profession: str, *accounts: str, **changes: Any) -> Situation:
    """The example, in which these accounts (else the first doctor) are doctors of that profession."""
    situation = example(**changes)
    for one in situation["members"]:
        if one["role"] == "doctor" and one["account"] in (accounts or ("ac_1",)):
            one["profession"] = profession
    return situation


def test_a_policy_that_says_nothing_means_this_matrix() -> None:
    header, *lines = MATRIX.strip().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(DOCTOR_ACTIONS)
    assert sorted(header.split()) == sorted(PROFESSIONS) == sorted(DEFAULT_PROFESSIONS)
    for line in lines:
        action, *marks = line.split()
        for profession, mark in zip(header.split(), marks, strict=True):
            answer = said(approved_as(profession), question("doctor", action))
            assert answer.startswith("deny S1 role") == (mark == "."), (profession, action, answer)


def test_the_actions_are_those_of_the_role() -> None:
    assert frozenset(DOCTOR_ACTIONS) == ROLE_ACTIONS["doctor"]


def limited(**professions: str) -> Ask:
    """A policy that leaves some professions these actions, and the others nothing."""
    return POLICY | {"professions": {p: professions.get(p, "").split() for p in PROFESSIONS}}


CASES: Final = [
    ("no profession is a physician", approved_as(""), question("doctor", "hold"), limited(physician="hold"), "permit S6 [1]"),
    ("a policy narrows physicians, too", example(), question("doctor", "amend"), limited(physician="read"), "deny S1 role []"),
    ("a policy lets a trainee amend", approved_as("trainee"), question("doctor", "amend"), limited(trainee="amend"), "permit S6 [1, 11]"),
    ("but nobody what the role may not", approved_as("trainee"), question("doctor", "export"), limited(trainee="export"), "deny S1 role []"),
    ("a nurse's duty to keep records ends with it", approved_as("nurse"), question("doctor", "append", record=None), limited(nurse="read"), "deny S1 role []"),
    ("other roles have none", example(), question("system", "amend"), limited(), "permit S6 [3, 11]"),
    ("the patient neither", example(), question("patient", "read"), limited(), "permit S5 [10]"),
    ("a patient who is a doctor elsewhere neither", approved_as("trainee", "ac_0"), question("patient", "export"), limited(), "permit S5 [10]"),
    ("a grant doesn't help", approved_as("trainee", "ac_2", grants=[GRANT]), question("stranger", "read"), limited(trainee="list"), "deny S1 role []"),
    ("where it is let, the grant decides", approved_as("trainee", "ac_2", grants=[GRANT]), question("stranger", "read"), limited(trainee="read"), "permit S9 [20]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "ask", "policy", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_examples(situation: Situation, ask: Ask, policy: Ask, expected: str) -> None:
    got = said(situation, ask, policy)
    rule = " ".join(expected.split()[:2])
    assert got.startswith(rule) and got.endswith(expected.partition("[")[2]), got


DELEGATION: Final = {
    "seq": 41, "hospital": "hs_1", "giver": "ac_2", "account": "ac_4", "actions": ["list", "read"],
    "start": NOW - DAY, "end": NOW + DAY, "ended": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("giver", "actor", "expected"),
    [("physician", "nurse", "permit S10"), ("trainee", "nurse", "deny"), ("nurse", "trainee", "deny S1 role")],
)  # fmt: skip
def test_who_acts_for_a_colleague_has_what_both_may(giver: str, actor: str, expected: str) -> None:
    situation = example(grants=[GRANT], delegations=[DELEGATION])
    for account, seq, profession in (("ac_2", 2, giver), ("ac_4", 8, actor)):
        situation["members"] = [
            one for one in situation["members"] if (one["account"], one["hospital"]) != (account, "hs_1")
        ] + [
            {"account": account, "role": "doctor", "hospital": "hs_1", "seq": seq, "active": True,
             "start": None, "end": None, "profession": profession},
        ]  # fmt: skip
    ask = question("stranger", "read", actor="ac_4", on_behalf_of="ac_2")
    policy = limited(physician="read", nurse="read")
    assert said(situation, ask, policy).startswith(expected)


def test_why_names_the_profession_and_those_that_may() -> None:
    """Not where the role itself may not, and nothing of what the patient said."""
    case = Case(approved_as("nurse", "ac_2", grants=[GRANT]), POLICY)
    request, facts = case.asked(question("stranger", "hold"))
    told = explain(request, facts, case.policy, False)
    assert told.why == "the policy doesn't let doctors of the profession nurse do that on a patient"
    assert told.changes == ("only these professions may hold: physician",)
    request, facts = case.asked(question("stranger", "export"))
    assert "this role may not" in explain(request, facts, case.policy, False).why
    request, facts = case.asked(question("stranger", "refer"))
    nobody = Policy.of({**DEFAULT_POLICY, **limited()}, 0)
    assert explain(request, facts, nobody, False).changes == (
        "only these professions may refer: none",
    )


def test_earlier_editions_limit_nobody() -> None:
    """Whatever their policy is."""
    case = Case(approved_as("trainee"), POLICY)
    request, facts = case.asked(question("doctor", "amend", record=RECORD))
    before = Policy.of(DEFAULT_POLICY, 0, CONSENT - 1)
    assert decide(request, facts, before).effect == "permit"
    assert decide(request, facts, case.policy).reason == "role"


def test_a_profession_that_a_policy_does_not_name_may_nothing() -> None:
    """The schema has all of them named; what slips by is refused."""
    policy = Policy.of({**DEFAULT_POLICY, "professions": {"physician": ["read"]}}, 0)
    assert policy.lets("physician", "read") and policy.lets("", "read")
    assert not policy.lets("nurse", "read")
