"""Examples of `decide` that a person can read, stage by stage, in one small hospital town.

Each is asked of the engine and of the model; what they say stands here as a line.
"""

from typing import Any, Final

import pytest

from consent.decide import decide, told
from ledger.codes import ACTIONS
from tests.support.consent.cases import Case, in_words
from tests.support.consent.examples import (
    GRANT,
    POLICY,
    RECORD,
    WHO,
    excluded,
    question,
    said,
    town,
)
from tests.support.consent.model import Ask, World
from tests.support.consent.random_cases import DAY, NOW

MATRIX: Final = """
                   person patient relative doctor admin system auditor operator service
list                  .      x       x       x      .      .      .       .        .
read                  .      x       x       x      .      .      .       .        .
append                .      x       x       x      .      x      .       .        .
amend                 .      .       .       x      .      x      .       .        .
retract               .      x       .       x      .      x      .       .        .
hide                  .      x       .       .      .      .      .       .        .
export                .      x       .       .      .      .      .       .        .
disclose              .      .       .       .      x      x      .       .        .
grant                 .      x       x       .      .      .      .       .        .
exclude               .      x       .       .      .      .      .       .        .
read_history          .      x       x       .      .      .      x       .        .
verify                .      .       .       .      .      .      x       .        .
erase                 .      x       .       .      .      .      .       .        .
hold                  .      .       .       x      x      .      .       .        .
refer                 .      .       .       x      .      x      .       .        .
declare_emergency     .      .       .       x      .      .      .       .        .
review                .      .       .       .      x      .      .       .        .
request_access        .      .       .       x      .      .      .       .        .
register              x      x       .       x      x      x      .       .        x
"""
"""S1: what a role may do at most."""


def test_s1_is_this_matrix() -> None:
    header, *lines = MATRIX.strip().splitlines()
    case = Case(town(), POLICY)
    assert sorted(line.split()[0] for line in lines) == sorted(ACTIONS)
    for line in lines:
        action, *marks = line.split()
        for who, mark in zip(header.split(), marks, strict=True):
            request, facts = case.asked(question(who, action))
            got = in_words(decide(request._replace(held=True), facts, case.policy))
            assert (got[1:3] == ("S1", "role")) == (mark == "."), (who, action, got)


def test_s0_a_record_of_another_patient() -> None:
    case = Case(town(grants=[GRANT]), POLICY)
    for who in ("patient", "doctor", "stranger"):
        request, facts = case.asked(question(who, "read"))
        assert request.record is not None
        astray = request._replace(record=request.record._replace(patient="pt_1"))
        assert in_words(decide(astray, facts, case.policy)) == ("deny", "S0", "invalid", ())


def suspended(name: str) -> World:
    """The town in which somebody was suspended."""
    world = town()
    for one in world["members"]:
        one["active"] &= (one["account"], one["role"], one["hospital"]) != WHO[name]
    return world


MINOR: Final = {**town()["patient"], "teen_from": NOW - DAY, "adult_from": NOW + DAY}
DEAD: Final = {**town()["patient"], "deceased": 12}
RETRACTED: Final = RECORD | {"retracted": 12}
GONE: Final = RECORD | {"gone": 12}
HIDDEN: Final = RECORD | {"hidings": [12]}
OWN: Final = RECORD | {"author": "ac_0", "hospital": None}
AS_DOCTOR: Final = RECORD | {"author": "ac_0"}
ALONE: Final = town(patient=town()["patient"] | {"hospital": None})
"""The patient was registered by the service."""
CLOSED: Final = town(hospitals={"hs_0": False, "hs_1": True, "hs_2": True})

S0: Final = [
    ("the patient is unknown", town(patient=None), question("doctor", "read"), "deny S0 invalid []"),
    ("but may be registered", town(patient=None), question("doctor", "register", record=None),
     "permit S6 [1]"),
    ("the actor is unknown", town(), question("person", "register", actor="ac_7"),
     "deny S0 invalid []"),
    ("the doctor is suspended", suspended("doctor"), question("doctor", "read"),
     "deny S0 invalid []"),
    ("the hospital is suspended", CLOSED, question("doctor", "read"), "deny S0 invalid []"),
    ("a role that is not held", town(), question("doctor", "hold", role="hospital_admin"),
     "deny S0 invalid []"),
    ("a doctor, but not there", town(), question("doctor", "read", hospital="hs_1"),
     "deny S0 invalid []"),
    ("another's chart", town(), question("patient", "read", actor="ac_1"), "deny S0 invalid []"),
    ("nobody is linked as a relative", town(), question("relative", "read"), "deny S0 invalid []"),
    ("an unknown action", town(), question("patient", "peek"), "deny S0 invalid []"),
    ("an unknown purpose", town(), question("patient", "read", purpose="FUN"),
     "deny S0 invalid []"),
    ("an unknown role", town(), question("patient", "read", role="king"), "deny S0 invalid []"),
]  # fmt: skip
S1: Final = [
    ("an auditor in term", town(), question("auditor", "read_history"), "permit S1 [5]"),
    ("an auditor verifies", town(), question("auditor", "verify", record=None), "permit S1 [5]"),
    ("for somebody else too", town(), question("auditor", "verify", on_behalf_of="ac_0"),
     "permit S1 [5]"),
    ("the term's first instant", town(), question("auditor", "verify", now=NOW - DAY),
     "permit S1 [5]"),
    ("before the term", town(), question("auditor", "verify", now=NOW - DAY - 1),
     "deny S0 invalid []"),
    ("in the term's last millisecond", town(), question("auditor", "verify", now=NOW + DAY - 1),
     "permit S1 [5]"),
    ("at the term's end", town(), question("auditor", "verify", now=NOW + DAY),
     "deny S0 invalid []"),
    ("an auditor reads nothing", town(), question("auditor", "read"), "deny S1 role []"),
    ("an admin reads nothing", town(), question("admin", "read"), "deny S1 role []"),
    ("the operator does nothing", town(), question("operator", "list"), "deny S1 role []"),
]  # fmt: skip
S2: Final = [
    ("erased, for the doctor", town(), question("doctor", "read", record=GONE), "deny S2 gone [12]"),
    ("erased, for the patient", town(), question("patient", "read", record=GONE),
     "deny S2 gone [12]"),
    ("retracted, for others", town(), question("stranger", "read", record=RETRACTED),
     "deny S2 retracted [12]"),
    ("retracted, in spite of a grant", town(grants=[GRANT]),
     question("stranger", "read", record=RETRACTED), "deny S2 retracted [12]"),
    ("retracted, where it was written", town(), question("doctor", "read", record=RETRACTED),
     "permit S6 [1, 11]"),
    ("retracted, for the patient", town(), question("patient", "read", record=RETRACTED),
     "permit S5 [10]"),
    ("an auditor is asked before", town(), question("auditor", "verify", record=GONE),
     "permit S1 [5]"),
    ("granting for the dead", town(patient=DEAD), question("patient", "grant", record=None),
     "deny S2 deceased [12]"),
    ("of whom the first entry tells it", town(patient=DEAD | {"deceased": 10}),
     question("patient", "grant", record=None), "deny S2 deceased [10]"),
    ("excluding for the dead", town(patient=DEAD), question("patient", "exclude", record=None),
     "permit S5 [10]"),
    ("standing grants of the dead run on", town(patient=DEAD, grants=[GRANT]),
     question("stranger", "read"), "permit S9 [20]"),
]  # fmt: skip
SENSITIVE: Final = RECORD | {"sensitive": True, "labels": ["l_hiv", "l_psy"]}
S3: Final = [
    (f"{action} at {level}", town(), question("patient", action, assurance=level, record=None),
     "permit S5 [10]" if level == 3 else "deny S3 step_up []")
    for action in ("export", "grant", "exclude", "erase")
    for level in (1, 2, 3)
] + [
    ("declaring needs 3", town(), question("doctor", "declare_emergency", assurance=2),
     "deny S3 step_up []"),
    ("a sensitive record needs 2", town(), question("doctor", "read", assurance=1, record=SENSITIVE),
     "deny S3 step_up []"),
    ("and gets 2", town(), question("doctor", "read", assurance=2, record=SENSITIVE),
     "permit S6 [1, 11]"),
    ("listing it needs 1", town(), question("doctor", "list", assurance=1, record=SENSITIVE),
     "permit S6 [1, 11]"),
    ("the patient needs 2 as well", town(), question("patient", "read", assurance=1, record=SENSITIVE),
     "deny S3 step_up []"),
]  # fmt: skip
S5: Final = [
    (f"the patient may {action}", town(), question("patient", action, record=None),
     "permit S5 [10]")
    for action in ("list", "read", "export", "read_history", "grant", "exclude", "erase", "append",
                   "hide")
] + [
    ("retract what they wrote", town(), question("patient", "retract", record=OWN),
     "permit S5 [10]"),
    ("not what others wrote", town(), question("patient", "retract"), "deny S12 no_consent []"),
    ("nor what they wrote as a doctor", town(), question("patient", "retract", record=AS_DOCTOR),
     "deny S12 no_consent []"),
    ("for whatever purpose", town(), question("patient", "read", purpose="BTG"), "permit S5 [10]"),
    ("not for somebody else", town(), question("patient", "read", on_behalf_of="ac_1"),
     "deny S12 no_consent []"),
    ("what they hid themselves", town(),
     question("patient", "read", record=HIDDEN), "permit S5 [10]"),
    ("in spite of an exclusion of themselves", town(exclusions=[excluded("ac_0")]),
     question("patient", "read"), "permit S5 [10]"),
    ("no linking of charts yet", town(), question("patient", "register"), "deny S12 no_consent []"),
] + [
    (f"a minor at {name} may{'' if may else ' not'} {action}", town(patient=MINOR),
     question("patient", action, now=now, record=None),
     "permit S5 [10]" if may else "deny S12 no_consent []")
    for name, now, reads, erases in (
        ("teen_from - 1 ms", NOW - DAY - 1, False, False),
        ("teen_from", NOW - DAY, True, False),
        ("teen_from + 1 ms", NOW - DAY + 1, True, False),
        ("adult_from - 1 ms", NOW + DAY - 1, True, False),
        ("adult_from", NOW + DAY, True, True),
        ("adult_from + 1 ms", NOW + DAY + 1, True, True),
    )
    for action, may in (("read", reads), ("grant", reads), ("erase", erases), ("export", erases))
]  # fmt: skip
CLOSED_BOOK: Final = POLICY | {"custodian_reads": False}
S6: Final = [
    *((f"a doctor where it was written may {action}", town(), question("doctor", action),
       "permit S6 [1, 11]")
      for action in ("list", "read", "amend", "retract", "hold", "refer")),
    *((f"a system where it was written may {action}", town(), question("system", action),
       "permit S6 [3, 11]")
      for action in ("amend", "retract", "refer", "disclose")),
    *((f"an admin where it was written may {action}", town(), question("admin", action),
       "permit S6 [4, 11]")
      for action in ("hold", "review", "disclose")),
    *((f"a doctor elsewhere may not {action}", town(), question("stranger", action),
       "deny S12 no_consent []")
      for action in ("list", "read", "amend", "retract", "hold", "refer")),
    *((f"a doctor reads for {purpose}", town(), question("doctor", "read", purpose=purpose),
       "permit S6 [1, 11]")
      for purpose in ("TREAT", "HOPERAT", "HLEGAL")),
    *((f"a doctor does not read for {purpose}", town(), question("doctor", "read", purpose=purpose),
       "deny S12 no_consent []")
      for purpose in ("HPAYMT", "PATRQT", "FAMRQT", "PWATRNY", "HRESCH", "PUBHLTH")),
    ("disclosing is not bound to treatment", town(), question("admin", "disclose", purpose="PUBHLTH"),
     "permit S6 [4, 11]"),
    ("any active hospital appends", town(), question("stranger", "append", record=None),
     "permit S6 [2]"),
    ("admins don't", town(), question("admin", "append", record=None), "deny S1 role []"),
    ("nor on behalf of somebody", town(), question("stranger", "append", on_behalf_of="ac_0"),
     "deny S12 no_consent []"),
    ("the patient's own records have no custodian", town(),
     question("doctor", "read", record=OWN), "deny S12 no_consent []"),
    ("hidden from others, not from its hospital", town(),
     question("doctor", "read", record=HIDDEN), "permit S6 [1, 11]"),
    ("excluded, but it is their own record", town(exclusions=[excluded("ac_1"), excluded("hs_0")]),
     question("doctor", "read"), "permit S6 [1, 11]"),
    ("excluded, and appending", town(exclusions=[excluded("ac_2"), excluded("hs_1", 31)]),
     question("stranger", "append", record=None), "permit S6 [2]"),
    ("the service registers", town(patient=None), question("service", "register", record=None),
     "permit S6 [0]"),
    *((f"{who} where the patient was registered may correct", town(),
       question(who, "register", record=None), f"permit S6 [{seq}]")
      for who, seq in (("doctor", 1), ("system", 3), ("admin", 4))),
    *((f"{who} may not correct what hs_0 registered", town(), question(who, "register", record=None),
       "deny S12 no_consent []")
      for who in ("stranger", "moonlighter", "service")),
    *((f"{who} may not correct who registered alone", ALONE, question(who, "register", record=None),
       "deny S12 no_consent []")
      for who in ("doctor", "stranger", "admin", "system", "service")),
]  # fmt: skip
READING_OFF: Final = [
    ("doctors don't list", question("doctor", "list"), "deny S12 no_consent []"),
    ("doctors don't read", question("doctor", "read"), "deny S12 no_consent []"),
    ("doctors amend", question("doctor", "amend"), "permit S6 [1, 11]"),
    ("admins disclose", question("admin", "disclose"), "permit S6 [4, 11]"),
    ("anybody appends", question("stranger", "append"), "permit S6 [2]"),
    ("the patient reads", question("patient", "read"), "permit S5 [10]"),
]
LEFT: Final = [*town()["joinings"], {"seq": 8, "account": "ac_2", "group": "gp_1", "joined": False}]
BACK: Final = [*LEFT, {"seq": 9, "account": "ac_2", "group": "gp_1", "joined": True}]
SAID_AGAIN: Final = [excluded("ac_2"), excluded("ac_2", 31, True), excluded("ac_2", 32)]
S7: Final = [
    *((f"a grant and an exclusion of {reader}", town(grants=[GRANT], exclusions=[excluded(reader)]),
       question("stranger", "read"), "deny S7 excluded [30]")
      for reader in ("ac_2", "hs_1", "gp_1")),
    *((f"a grant and an exclusion of {reader}", town(grants=[GRANT], exclusions=[excluded(reader)]),
       question("stranger", "read"), "permit S9 [20]")
      for reader in ("ac_1", "hs_0", "gp_0", "hs_2")),
    ("of whoever is in the group, also at another hospital",
     town(grants=[GRANT], exclusions=[excluded("gp_1")]), question("moonlighter", "read"),
     "deny S7 excluded [30]"),
    ("of whoever acts for the hospital, not elsewhere",
     town(grants=[GRANT], exclusions=[excluded("hs_1")]), question("moonlighter", "read"),
     "permit S9 [20]"),
    ("nobody left in the group",
     town(grants=[GRANT], exclusions=[excluded("gp_1")], joinings=LEFT), question("stranger", "read"),
     "permit S9 [20]"),
    ("who came back",
     town(grants=[GRANT], exclusions=[excluded("gp_1")], joinings=BACK), question("stranger", "read"),
     "deny S7 excluded [30]"),
    ("before the grant", town(grants=[GRANT], exclusions=[excluded("ac_2", 15)]),
     question("stranger", "read"), "deny S7 excluded [15]"),
    ("lifted", town(grants=[GRANT], exclusions=[excluded("ac_2"), excluded("ac_2", 31, True)]),
     question("stranger", "read"), "permit S9 [20]"),
    ("lifted and said again", town(grants=[GRANT], exclusions=SAID_AGAIN),
     question("stranger", "read"), "deny S7 excluded [32]"),
    ("of several the lowest entry",
     town(exclusions=[excluded("ac_2", 32), excluded("hs_1", 31), excluded("gp_1", 33)]),
     question("stranger", "read"), "deny S7 excluded [31]"),
    ("from asking for access too", town(exclusions=[excluded("hs_1")]),
     question("stranger", "request_access", record=None), "deny S7 excluded [30]"),
    ("a system", town(exclusions=[excluded("ac_3")]), question("system", "refer", record=OWN),
     "deny S7 excluded [30]"),
    ("of the person in an emergency", town(exclusions=[excluded("ac_2")]),
     question("stranger", "declare_emergency", record=None), "deny S7 excluded [30]"),
    ("of the hospital too, in an emergency",
     town(exclusions=[excluded("hs_1", 29), excluded("ac_2")]),
     question("stranger", "declare_emergency", record=None), "deny S7 excluded [30]"),
    *((f"of {reader} in an emergency", town(exclusions=[excluded(reader)]),
       question("stranger", "declare_emergency", record=None), "permit S8 []")
      for reader in ("hs_1", "gp_1")),
    ("of the person, reading in an emergency", town(exclusions=[excluded("ac_2")]),
     question("stranger", "read", purpose="BTG"), "deny S7 excluded [30]"),
    ("of the hospital, reading in an emergency", town(exclusions=[excluded("hs_1")]),
     question("stranger", "read", purpose="BTG"), "deny S8 emergency_needed []"),
]  # fmt: skip
S8: Final = [
    (f"{purpose} without an emergency", town(grants=[GRANT]),
     question("stranger", "read", purpose=purpose), "deny S8 emergency_needed []")
    for purpose in ("BTG", "ETREAT")
] + [
    ("not even where it was written", town(), question("doctor", "read", purpose="BTG"),
     "deny S8 emergency_needed []"),
    ("an auditor before that", town(), question("auditor", "verify", purpose="BTG"),
     "permit S1 [5]"),
    ("appending before that", town(), question("stranger", "append", purpose="BTG"),
     "permit S6 [2]"),
    ("declaring", town(), question("stranger", "declare_emergency", record=None), "permit S8 []"),
    ("declaring for whatever purpose", town(),
     question("stranger", "declare_emergency", purpose="BTG"), "permit S8 []"),
    ("declaring without being in good standing", suspended("stranger"),
     question("stranger", "declare_emergency", record=None), "deny S0 invalid []"),
]  # fmt: skip
S12: Final = [
    ("a doctor may ask", town(), question("stranger", "request_access", record=None),
     "permit S12 []"),
    ("nothing else", town(), question("stranger", "read"), "deny S12 no_consent []"),
    ("a claim without its code", town(), question("person", "register", record=None),
     "deny S12 no_consent []"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("world", "ask", "expected"),
    [
        pytest.param(world, ask, expected, id=f"{stage} {name}")
        for stage, table in (
            ("S0", S0),
            ("S1", S1),
            ("S2", S2),
            ("S3", S3),
            ("S5", S5),
            ("S6", S6),
            ("S7", S7),
            ("S8", S8),
            ("S12", S12),
        )
        for name, world, ask, expected in table
    ],
)
def test_examples(world: World, ask: Ask, expected: str) -> None:
    assert said(world, ask) == expected


@pytest.mark.parametrize(("name", "ask", "expected"), READING_OFF)
def test_examples_of_a_policy_without_custodian_reads(name: str, ask: Ask, expected: str) -> None:
    assert said(town(), ask, CLOSED_BOOK) == expected


def test_whoever_declares_an_emergency_is_watched() -> None:
    decision = Case(town(), POLICY).decision(question("stranger", "declare_emergency"))
    assert decision.obligations == ("record", "tell_patient", "tell_privacy_officer", "review")


def test_an_exclusion_is_told_as_if_there_were_no_consent() -> None:
    """To the last member, whomever it was of; anything else is told as it is."""
    ask, free = question("stranger", "read"), Case(town(), POLICY)
    unasked = logged(free, ask)
    for reader in ("ac_2", "hs_1", "gp_1"):
        out = Case(town(grants=[GRANT], exclusions=[excluded(reader)]), POLICY)
        assert logged(out, ask)["reason"] == "excluded"
        assert told(logged(out, ask)) == unasked
    for other in (ask, question("doctor", "read"), question("stranger", "read", purpose="BTG")):
        assert told(logged(free, other)) == logged(free, other)


def logged(case: Case, ask: Ask) -> dict[str, Any]:
    """The decision as the log holds it."""
    return case.decision(ask).json(case.asked(ask)[0], case.policy)
