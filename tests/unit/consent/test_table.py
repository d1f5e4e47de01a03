"""Examples of `decide` that a person can read, stage by stage, in one small situation.

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
    example,
    excluded,
    question,
    said,
)
from tests.support.consent.model import Ask, Situation
from tests.support.consent.random_cases import DAY, NOW, held

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
request_access        .      .       x       x      .      .      .       .        .
register              x      x       .       x      x      x      .       .        x
"""
"""S1: what a role may do at most."""


def test_s1_is_this_matrix() -> None:
    header, *lines = MATRIX.strip().splitlines()
    case = Case(example(), POLICY)
    assert sorted(line.split()[0] for line in lines) == sorted(ACTIONS)
    for line in lines:
        action, *marks = line.split()
        for who, mark in zip(header.split(), marks, strict=True):
            request, facts = case.asked(question(who, action))
            got = in_words(decide(request._replace(held=True), facts, case.policy))
            assert (got[1:3] == ("S1", "role")) == (mark == "."), (who, action, got)


def test_s0_a_record_of_another_patient() -> None:
    case = Case(example(grants=[GRANT]), POLICY)
    for who in ("patient", "doctor", "stranger"):
        request, facts = case.asked(question(who, "read"))
        assert request.record is not None
        astray = request._replace(record=request.record._replace(patient="pt_1"))
        assert in_words(decide(astray, facts, case.policy)) == ("deny", "S0", "invalid", ())


def suspended(name: str) -> Situation:
    """The example in which somebody was suspended."""
    situation = example()
    for one in situation["members"]:
        one["active"] &= (one["account"], one["role"], one["hospital"]) != WHO[name]
    return situation


MINOR: Final = {**example()["patient"], "teen_from": NOW - DAY, "adult_from": NOW + DAY}
DEAD: Final = {**example()["patient"], "deceased": 12}
RETRACTED: Final = RECORD | {"retracted": 12}
GONE: Final = RECORD | {"gone": 12}
OLD: Final = RECORD | {"clinical_date": "2020-01-01"}
"""A record that no policy has anybody keep in these examples."""
ERASED: Final = {**example()["patient"], "erased": 12}
LEGAL: Final = held(RECORD, 12, None)
"""A legal hold of the hospital that wrote the record; HARM keeps the patient from it."""
HARM: Final = held(RECORD, 12, "ac_0")
ASKED: Final = {"seq": 12, "state_seq": 12, "due": NOW + 1, "state": "requested"}
KEPT: Final = POLICY | {"retention_years": 1}
HIDDEN: Final = RECORD | {"hidings": [12]}
OWN: Final = RECORD | {"author": "ac_0", "hospital": None}
AS_DOCTOR: Final = RECORD | {"author": "ac_0"}
ALONE: Final = example(patient=example()["patient"] | {"hospital": None})
"""The patient was registered by the service."""
OFFERED: Final = [{"seq": 12, "code": True, "hospital": "hs_0"}]
CLAIMED: Final = [*OFFERED, {"seq": 13, "code": False, "account": "ac_2"}]
WAITING: Final = example(patient=example()["patient"] | {"claims": OFFERED})
TAKEN: Final = example(patient=example()["patient"] | {"claims": CLAIMED})
"""The stranger is the patient."""
UNKEPT: Final = example(records=[])
CLOSED: Final = example(hospitals={"hs_0": False, "hs_1": True, "hs_2": True})

S0: Final = [
    ("the patient is unknown", example(patient=None), question("doctor", "read"), "deny S0 invalid []"),
    ("but may be registered", example(patient=None), question("doctor", "register", record=None),
     "permit S6 [1]"),
    ("the actor is unknown", example(), question("person", "register", actor="ac_7"),
     "deny S0 invalid []"),
    ("the doctor is suspended", suspended("doctor"), question("doctor", "read"),
     "deny S0 invalid []"),
    ("the hospital is suspended", CLOSED, question("doctor", "read"), "deny S0 invalid []"),
    ("a role that is not held", example(), question("doctor", "hold", role="hospital_admin"),
     "deny S0 invalid []"),
    ("a doctor, but not there", example(), question("doctor", "read", hospital="hs_1"),
     "deny S0 invalid []"),
    ("another's chart", example(), question("patient", "read", actor="ac_1"), "deny S0 invalid []"),
    ("nobody is linked as a relative", example(), question("relative", "read"), "deny S0 invalid []"),
    ("an unknown action", example(), question("patient", "peek"), "deny S0 invalid []"),
    ("an unknown purpose", example(), question("patient", "read", purpose="FUN"),
     "deny S0 invalid []"),
    ("an unknown role", example(), question("patient", "read", role="king"), "deny S0 invalid []"),
]  # fmt: skip
S1: Final = [
    ("an auditor in term", example(), question("auditor", "read_history"), "permit S1 [5]"),
    ("an auditor verifies", example(), question("auditor", "verify", record=None), "permit S1 [5]"),
    ("for somebody else too", example(), question("auditor", "verify", on_behalf_of="ac_0"),
     "permit S1 [5]"),
    ("the term's first instant", example(), question("auditor", "verify", now=NOW - DAY),
     "permit S1 [5]"),
    ("before the term", example(), question("auditor", "verify", now=NOW - DAY - 1),
     "deny S0 invalid []"),
    ("in the term's last millisecond", example(), question("auditor", "verify", now=NOW + DAY - 1),
     "permit S1 [5]"),
    ("at the term's end", example(), question("auditor", "verify", now=NOW + DAY),
     "deny S0 invalid []"),
    ("an auditor reads nothing", example(), question("auditor", "read"), "deny S1 role []"),
    ("an admin reads nothing", example(), question("admin", "read"), "deny S1 role []"),
    ("the operator does nothing", example(), question("operator", "list"), "deny S1 role []"),
]  # fmt: skip
S2: Final = [
    *((f"nobody may {action} before a claim", WAITING, question("patient", action, record=None),
       "deny S2 unclaimed [12]") for action in ("grant", "exclude", "export", "list", "read_history")),
    ("of a retracted record too", WAITING, question("patient", "read", record=RETRACTED),
     "deny S2 unclaimed [12]"),
    ("the hospital goes on", WAITING, question("doctor", "read"), "permit S6 [1, 11]"),
    ("nobody claims for the dead", example(patient=DEAD | {"deceased": 10, "claims": OFFERED}),
     question("person", "register", step="claim", record=None), "deny S2 deceased [10]"),
    ("erased, for the doctor", example(), question("doctor", "read", record=GONE), "deny S2 gone [12]"),
    ("erased, for the patient", example(), question("patient", "read", record=GONE),
     "deny S2 gone [12]"),
    ("retracted, for others", example(), question("stranger", "read", record=RETRACTED),
     "deny S2 retracted [12]"),
    ("retracted, in spite of a grant", example(grants=[GRANT]),
     question("stranger", "read", record=RETRACTED), "deny S2 retracted [12]"),
    ("retracted, where it was written", example(), question("doctor", "read", record=RETRACTED),
     "permit S6 [1, 11]"),
    ("retracted, for the patient", example(), question("patient", "read", record=RETRACTED),
     "permit S5 [10]"),
    ("an auditor is asked before", example(), question("auditor", "verify", record=GONE),
     "permit S1 [5]"),
    ("granting for the dead", example(patient=DEAD), question("patient", "grant", record=None),
     "deny S2 deceased [12]"),
    ("of whom the first entry tells it", example(patient=DEAD | {"deceased": 10}),
     question("patient", "grant", record=None), "deny S2 deceased [10]"),
    ("excluding for the dead", example(patient=DEAD), question("patient", "exclude", record=None),
     "permit S5 [10]"),
    ("standing grants of the dead run on", example(patient=DEAD, grants=[GRANT]),
     question("stranger", "read"), "permit S9 [20]"),
    *((f"of an erased chart, {action} by the {who}", example(patient=ERASED), question(who, action),
       "deny S2 gone [12]")
      for who, action in (("patient", "read"), ("doctor", "append"), ("doctor", "amend"), ("patient", "erase"),
                          ("patient", "grant"), ("admin", "hold"))),
    ("its history goes on", example(patient=ERASED), question("patient", "read_history", record=None),
     "permit S5 [10]"),
    ("and auditors verify", example(patient=ERASED), question("auditor", "verify", record=None), "permit S1 [5]"),
    ("nothing is erased under a legal hold", example(holds=[LEGAL]), question("patient", "erase"),
     "deny S2 legal_hold [12]"),
    ("nor the chart it is in", example(holds=[LEGAL]), question("patient", "erase", record=None),
     "deny S2 legal_hold [12]"),
    ("nor what a hold on the whole chart is on", example(holds=[LEGAL | {"record": None}]),
     question("patient", "erase"), "deny S2 legal_hold [12]"),
    ("another hospital's on its own records holds no other", example(holds=[LEGAL | {"record": None, "hospital": "hs_1"}]),
     question("patient", "erase"), "permit S5 [10]"),
    ("but the chart", example(holds=[LEGAL | {"record": None, "hospital": "hs_1"}]),
     question("patient", "erase", record=None), "deny S2 legal_hold [12]"),
    ("a lifted one holds nothing", example(holds=[LEGAL | {"lifted": 13}]), question("patient", "erase"),
     "permit S5 [10]"),
    ("it keeps nobody from reading", example(holds=[LEGAL]), question("patient", "read"), "permit S5 [10]"),
    ("an erasure is withdrawn", example(patient=ERASED),
     question("patient", "erase", record=None, step="withdraw", erasure=ASKED), "permit S5 [10]"),
    ("until it is due", example(patient=ERASED),
     question("patient", "erase", record=None, step="withdraw", erasure=ASKED, now=NOW + 1), "deny S2 gone [12]"),
    ("not once it has begun", example(patient=ERASED),
     question("patient", "erase", record=None, step="withdraw", erasure=ASKED | {"state": "begun", "state_seq": 14}),
     "deny S2 gone [14]"),
]  # fmt: skip
SENSITIVE: Final = RECORD | {"sensitive": True, "labels": ["l_hiv", "l_psy"]}
S3: Final = [
    (f"{action} at {level}", example(), question("patient", action, assurance=level, record=None),
     "permit S5 [10]" if level == 3 else "deny S3 step_up []")
    for action in ("export", "grant", "exclude", "erase")
    for level in (1, 2, 3)
] + [
    ("declaring needs 3", example(), question("doctor", "declare_emergency", assurance=2),
     "deny S3 step_up []"),
    ("a sensitive record needs 2", example(), question("doctor", "read", assurance=1, record=SENSITIVE),
     "deny S3 step_up []"),
    ("and gets 2", example(), question("doctor", "read", assurance=2, record=SENSITIVE),
     "permit S6 [1, 11]"),
    ("listing it needs 1", example(), question("doctor", "list", assurance=1, record=SENSITIVE),
     "permit S6 [1, 11]"),
    ("the patient needs 2 as well", example(), question("patient", "read", assurance=1, record=SENSITIVE),
     "deny S3 step_up []"),
]  # fmt: skip
S5: Final = [
    (f"the patient may {action}", example(), question("patient", action, record=None),
     "permit S5 [10]")
    for action in ("list", "read", "export", "read_history", "grant", "exclude", "erase", "append",
                   "hide")
] + [
    ("retract what they wrote", example(), question("patient", "retract", record=OWN),
     "permit S5 [10]"),
    ("not what others wrote", example(), question("patient", "retract"), "deny S12 no_consent []"),
    ("nor what they wrote as a doctor", example(), question("patient", "retract", record=AS_DOCTOR),
     "deny S12 no_consent []"),
    ("for whatever purpose", example(), question("patient", "read", purpose="BTG"), "permit S5 [10]"),
    ("not for somebody else", example(), question("patient", "read", on_behalf_of="ac_1"),
     "deny S12 no_consent []"),
    ("what they hid themselves", example(),
     question("patient", "read", record=HIDDEN), "permit S5 [10]"),
    ("in spite of an exclusion of themselves", example(exclusions=[excluded("ac_0")]),
     question("patient", "read"), "permit S5 [10]"),
    ("no linking of charts yet", example(), question("patient", "register"), "deny S12 no_consent []"),
] + [
    (f"a minor at {name} may{'' if may else ' not'} {action}", example(patient=MINOR, records=[OLD]),
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
S4: Final = [
    *((f"the patient may not {action} it", example(holds=[HARM]), question("patient", action),
       "deny S4 harm_hold [12]") for action in ("list", "read", "export")),
    ("other records are open", example(holds=[HARM | {"record": "rc_9"}]), question("patient", "read"), "permit S5 [10]"),
    ("the hospital reads on", example(holds=[HARM]), question("doctor", "read"), "permit S6 [1, 11]"),
    ("others as they were granted", example(holds=[HARM], grants=[GRANT]), question("stranger", "read"),
     "permit S9 [20]"),
    ("a millisecond before its end", example(holds=[HARM | {"end": NOW + 1}]), question("patient", "read"),
     "deny S4 harm_hold [12]"),
    ("at its end", example(holds=[HARM | {"end": NOW}]), question("patient", "read"), "permit S5 [10]"),
    ("lifted", example(holds=[HARM | {"lifted": 13}]), question("patient", "read"), "permit S5 [10]"),
    ("another hospital holds nothing of it", example(holds=[HARM | {"hospital": "hs_1"}]),
     question("patient", "read"), "permit S5 [10]"),
    ("what was erased is gone", example(holds=[HARM]), question("patient", "read", record=GONE), "deny S2 gone [12]"),
    ("a hold on all that a hospital has", example(), question("admin", "hold", record=None), "permit S6 [4]"),
    ("not where it has nothing", example(records=[]), question("admin", "hold", record=None), "deny S12 no_consent []"),
    ("nor by a doctor", example(), question("doctor", "hold", record=None), "deny S12 no_consent []"),
]  # fmt: skip
CLOSED_BOOK: Final = POLICY | {"custodian_reads": False}
S6: Final = [
    ("whoever proves the code claims", WAITING, question("person", "register", step="claim", record=None),
     "permit S6 [12]"),
    ("not where no code is offered", example(),
     question("person", "register", step="claim", record=None), "deny S12 no_consent []"),
    ("nor once it is used", TAKEN, question("person", "register", step="claim", record=None),
     "deny S12 no_consent []"),
    ("nor as a doctor", WAITING, question("stranger", "register", step="claim", record=None),
     "deny S12 no_consent []"),
    ("the claimant is the patient", TAKEN,
     question("person", "grant", role="patient", record=None), "permit S5 [13]"),
    ("and the account made for the chart is not", TAKEN, question("patient", "list", record=None),
     "deny S0 invalid []"),
    ("the hospital that registered offers a code", UNKEPT,
     question("admin", "register", step="offer", record=None), "permit S6 [4]"),
    ("one that has a record does", ALONE, question("system", "register", step="offer", record=None),
     "permit S6 [3]"),
    ("not by one that it retracted", ALONE | {"records": [RETRACTED]},
     question("system", "register", step="offer", record=None), "deny S12 no_consent []"),
    ("another one doesn't", example(), question("stranger", "register", step="offer", record=None),
     "deny S12 no_consent []"),
    ("the service does for whom it registered", ALONE,
     question("service", "register", step="offer", record=None), "permit S6 [0]"),
    ("and for nobody else", example(), question("service", "register", step="offer", record=None),
     "deny S12 no_consent []"),
    ("nobody offers for a chart that isn't there", example(patient=None),
     question("admin", "register", step="offer", record=None), "deny S0 invalid []"),
    *((f"a doctor where it was written may {action}", example(), question("doctor", action),
       "permit S6 [1, 11]")
      for action in ("list", "read", "amend", "retract", "hold", "refer")),
    *((f"a system where it was written may {action}", example(), question("system", action),
       "permit S6 [3, 11]")
      for action in ("amend", "retract", "refer", "disclose")),
    *((f"an admin where it was written may {action}", example(), question("admin", action),
       "permit S6 [4, 11]")
      for action in ("hold", "review", "disclose")),
    *((f"a doctor elsewhere may not {action}", example(), question("stranger", action),
       "deny S12 no_consent []")
      for action in ("list", "read", "amend", "retract", "hold", "refer")),
    *((f"a doctor reads for {purpose}", example(), question("doctor", "read", purpose=purpose),
       "permit S6 [1, 11]")
      for purpose in ("TREAT", "HOPERAT", "HLEGAL")),
    *((f"a doctor does not read for {purpose}", example(), question("doctor", "read", purpose=purpose),
       "deny S12 no_consent []")
      for purpose in ("HPAYMT", "PATRQT", "FAMRQT", "PWATRNY", "HRESCH", "PUBHLTH")),
    ("disclosing is not bound to treatment", example(), question("admin", "disclose", purpose="PUBHLTH"),
     "permit S6 [4, 11]"),
    ("any active hospital appends", example(), question("stranger", "append", record=None),
     "permit S6 [2]"),
    ("admins don't", example(), question("admin", "append", record=None), "deny S1 role []"),
    ("nor on behalf of somebody", example(), question("stranger", "append", on_behalf_of="ac_0"),
     "deny S12 no_consent []"),
    ("the patient's own records have no custodian", example(),
     question("doctor", "read", record=OWN), "deny S12 no_consent []"),
    ("hidden from others, not from its hospital", example(),
     question("doctor", "read", record=HIDDEN), "permit S6 [1, 11]"),
    ("excluded, but it is their own record", example(exclusions=[excluded("ac_1"), excluded("hs_0")]),
     question("doctor", "read"), "permit S6 [1, 11]"),
    ("excluded, and appending", example(exclusions=[excluded("ac_2"), excluded("hs_1", 31)]),
     question("stranger", "append", record=None), "permit S6 [2]"),
    ("the service registers", example(patient=None), question("service", "register", record=None),
     "permit S6 [0]"),
    *((f"{who} where the patient was registered may correct", example(),
       question(who, "register", record=None), f"permit S6 [{seq}]")
      for who, seq in (("doctor", 1), ("system", 3), ("admin", 4))),
    *((f"{who} may not correct what hs_0 registered", example(), question(who, "register", record=None),
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
LEFT: Final = [
    *example()["joinings"],
    {"seq": 8, "account": "ac_2", "group": "gp_1", "joined": False},
]
BACK: Final = [*LEFT, {"seq": 9, "account": "ac_2", "group": "gp_1", "joined": True}]
SAID_AGAIN: Final = [excluded("ac_2"), excluded("ac_2", 31, True), excluded("ac_2", 32)]
S7: Final = [
    *((f"a grant and an exclusion of {reader}", example(grants=[GRANT], exclusions=[excluded(reader)]),
       question("stranger", "read"), "deny S7 excluded [30]")
      for reader in ("ac_2", "hs_1", "gp_1")),
    *((f"a grant and an exclusion of {reader}", example(grants=[GRANT], exclusions=[excluded(reader)]),
       question("stranger", "read"), "permit S9 [20]")
      for reader in ("ac_1", "hs_0", "gp_0", "hs_2")),
    ("of whoever is in the group, also at another hospital",
     example(grants=[GRANT], exclusions=[excluded("gp_1")]), question("moonlighter", "read"),
     "deny S7 excluded [30]"),
    ("of whoever acts for the hospital, not elsewhere",
     example(grants=[GRANT], exclusions=[excluded("hs_1")]), question("moonlighter", "read"),
     "permit S9 [20]"),
    ("nobody left in the group",
     example(grants=[GRANT], exclusions=[excluded("gp_1")], joinings=LEFT), question("stranger", "read"),
     "permit S9 [20]"),
    ("who came back",
     example(grants=[GRANT], exclusions=[excluded("gp_1")], joinings=BACK), question("stranger", "read"),
     "deny S7 excluded [30]"),
    ("before the grant", example(grants=[GRANT], exclusions=[excluded("ac_2", 15)]),
     question("stranger", "read"), "deny S7 excluded [15]"),
    ("lifted", example(grants=[GRANT], exclusions=[excluded("ac_2"), excluded("ac_2", 31, True)]),
     question("stranger", "read"), "permit S9 [20]"),
    ("lifted and said again", example(grants=[GRANT], exclusions=SAID_AGAIN),
     question("stranger", "read"), "deny S7 excluded [32]"),
    ("of several the lowest entry",
     example(exclusions=[excluded("ac_2", 32), excluded("hs_1", 31), excluded("gp_1", 33)]),
     question("stranger", "read"), "deny S7 excluded [31]"),
    *((f"not from asking for access, as {reader}", example(exclusions=[excluded(reader)]),
       question("stranger", "request_access", record=None), "permit S12 []")
      for reader in ("ac_2", "hs_1", "gp_1")),
    ("a system", example(exclusions=[excluded("ac_3")]), question("system", "refer", record=OWN),
     "deny S7 excluded [30]"),
    ("of the person in an emergency", example(exclusions=[excluded("ac_2")]),
     question("stranger", "declare_emergency", record=None), "deny S7 excluded [30]"),
    ("of the hospital too, in an emergency",
     example(exclusions=[excluded("hs_1", 29), excluded("ac_2")]),
     question("stranger", "declare_emergency", record=None), "deny S7 excluded [30]"),
    *((f"of {reader} in an emergency", example(exclusions=[excluded(reader)]),
       question("stranger", "declare_emergency", record=None), "permit S8 []")
      for reader in ("hs_1", "gp_1")),
    ("of the person, reading in an emergency", example(exclusions=[excluded("ac_2")]),
     question("stranger", "read", purpose="BTG"), "deny S7 excluded [30]"),
    ("of the hospital, reading in an emergency", example(exclusions=[excluded("hs_1")]),
     question("stranger", "read", purpose="BTG"), "deny S8 emergency_needed []"),
]  # fmt: skip
S8: Final = [
    (f"{purpose} without an emergency", example(grants=[GRANT]),
     question("stranger", "read", purpose=purpose), "deny S8 emergency_needed []")
    for purpose in ("BTG", "ETREAT")
] + [
    ("not even where it was written", example(), question("doctor", "read", purpose="BTG"),
     "deny S8 emergency_needed []"),
    ("an auditor before that", example(), question("auditor", "verify", purpose="BTG"),
     "permit S1 [5]"),
    ("appending before that", example(), question("stranger", "append", purpose="BTG"),
     "permit S6 [2]"),
    ("declaring", example(), question("stranger", "declare_emergency", record=None), "permit S8 []"),
    ("declaring for whatever purpose", example(),
     question("stranger", "declare_emergency", purpose="BTG"), "permit S8 []"),
    ("declaring without being in good standing", suspended("stranger"),
     question("stranger", "declare_emergency", record=None), "deny S0 invalid []"),
]  # fmt: skip
S12: Final = [
    ("a doctor may ask", example(), question("stranger", "request_access", record=None),
     "permit S12 []"),
    ("nothing else", example(), question("stranger", "read"), "deny S12 no_consent []"),
    ("a claim without its code", example(), question("person", "register", record=None),
     "deny S12 no_consent []"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "ask", "expected"),
    [
        pytest.param(situation, ask, expected, id=f"{stage} {name}")
        for stage, table in (
            ("S0", S0),
            ("S1", S1),
            ("S2", S2),
            ("S3", S3),
            ("S4", S4),
            ("S5", S5),
            ("S6", S6),
            ("S7", S7),
            ("S8", S8),
            ("S12", S12),
        )
        for name, situation, ask, expected in table
    ],
)
def test_examples(situation: Situation, ask: Ask, expected: str) -> None:
    assert said(situation, ask) == expected


@pytest.mark.parametrize(("name", "ask", "expected"), READING_OFF)
def test_examples_of_a_policy_without_custodian_reads(name: str, ask: Ask, expected: str) -> None:
    assert said(example(), ask, CLOSED_BOOK) == expected


def test_whoever_declares_an_emergency_is_watched() -> None:
    decision = Case(example(), POLICY).decision(question("stranger", "declare_emergency"))
    assert decision.obligations == ("record", "tell_patient", "tell_privacy_officer", "review")


def test_an_exclusion_is_told_as_if_there_were_no_consent() -> None:
    """To the last member, whomever it was of; anything else is told as it is."""
    ask, free = question("stranger", "read"), Case(example(), POLICY)
    unasked = logged(free, ask)
    for reader in ("ac_2", "hs_1", "gp_1"):
        out = Case(example(grants=[GRANT], exclusions=[excluded(reader)]), POLICY)
        assert logged(out, ask)["reason"] == "excluded"
        assert told(logged(out, ask)) == unasked
    for other in (ask, question("doctor", "read"), question("stranger", "read", purpose="BTG")):
        assert told(logged(free, other)) == logged(free, other)


def logged(case: Case, ask: Ask) -> dict[str, Any]:
    """The decision as the log holds it."""
    return case.decision(ask).json(case.asked(ask)[0], case.policy)


def test_what_a_hospital_wrote_is_kept_for_years() -> None:
    """From its clinical date on, both edges; of the chart, any such record; never what the patient wrote."""
    date = RECORD | {"clinical_date": "2024-02-29"}
    edge = 1_740_787_200_000  # 2025-03-01T00:00Z, as 2025 has no 29 February
    for record in (date, None):
        for now, expected in ((edge - 1, "deny S2 retention [11]"), (edge, "permit S5 [10]")):
            asked = question("patient", "erase", record=record, now=now)
            assert said(example(records=[date]), asked, KEPT) == expected
    own = RECORD | {"hospital": None, "author": "ac_0"}
    asked = question("patient", "erase", record=own)
    assert said(example(records=[own]), asked, KEPT) == "permit S5 [10]"
    undated = RECORD | {"clinical_date": None}
    asked = question("patient", "erase", record=undated)
    assert said(example(records=[undated]), asked, KEPT) == "deny S2 retention [11]"
