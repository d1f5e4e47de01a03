"""`decide` against the page: tables that a person can read, properties, and a model by another hand.

The model (`tests/consentmodel.py`) speaks in plain dicts; `asked` puts the same world into rows,
folding what can be folded by the product's own folds, and the same question into a request.
Every property is a function of a `Random`; `test_decide_faults.py` shows that each can fail.
"""

from collections import Counter
from copy import deepcopy
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import decide as engine
from consent import facts as folding
from consent.decide import Facts, Request
from consent.facts import Record
from consent.gate import gather
from consent.policy import DEFAULT_POLICY, Policy
from ledger.chain import Link
from ledger.directory import Account, Hospital, Member, Patient, Rows
from ledger.entry import Entry
from ledger.event import Event, Signature
from ledger.registry import ACTIONS, REGISTRY
from ledger.signers import holds_role
from ledger.times import format_time
from tests import consentmodel as model
from tests.consentmodel import DAY, NOW, PATIENT, Answer, Ask, World

CASES: Final = 20_000
QUESTIONS: Final = 20
"""Questions asked about one random world."""
SEED: Final = 20_261_120

# --- from the model's data to the engine's


def rows_of(world: World) -> Rows:
    """The rows of a world: people and records put, what the patient consented to folded."""
    rows, patient = Rows(), world["patient"]
    for account in world["accounts"]:
        rows.put(Account(account, 0, "operator"))
    for hospital, active in world["hospitals"].items():
        rows.put(Hospital(hospital, 0, active, True))
    for one in world["members"]:
        named = one["account"], one["role"], one["hospital"] or ""
        term = one["start"] or 0, one["end"] or 0
        rows.put(Member(*named, one["seq"], one["active"], *term))
    if patient is not None:
        ages = patient["teen_from"] or 0, patient["adult_from"] or 0
        rows.put(
            Patient(PATIENT, patient["account"], "", patient["seq"], *ages, patient["deceased"])
        )
    for entry in consent_entries(world):
        for row in folding.fold_facts(entry, rows):
            rows.put(row)
    return rows


def consent_entries(world: World) -> list[Entry]:
    """Grants, revocations and the readings that rested on grants, in the log's order."""
    grantees = {grant["seq"]: grant["grantee"] for grant in world["grants"]}
    ids = {grant["lineage"]: grant["id"] for grant in reversed(world["grants"])}
    entries = [consent_entry("access.granted", g["seq"], granted_body(g)) for g in world["grants"]]
    for end in world["revocations"]:
        body = {"grantee": end["grantee"], "purpose": "PATRQT"}
        if end["lineage"] is not None:
            body["grant"] = ids[end["lineage"]]
        entries.append(consent_entry("access.revoked", end["seq"], body))
    for opening in world["openings"]:
        basis = opening["basis"]
        entries.append(
            consent_entry("record.opened", opening["seq"], {}, grantees[basis[0]], basis)
        )
    return sorted(entries, key=lambda entry: entry.link.seq)


def granted_body(grant: Ask) -> dict[str, Any]:
    body = {
        "actions": grant["actions"],
        "end": format_time(grant["end"]),
        "grant": grant["id"],
        "grantee": grant["grantee"],
        "purpose": "PATRQT",
        "scope": grant["kind"],
        "start": format_time(grant["start"]),
    }
    optional = {
        "labels": grant["codes"],
        "lineage": grant["lineage"] if grant["lineage"] != grant["id"] else None,
        "purposes": grant["purposes"],
        "records": grant["records"],
        "sensitive": grant["sensitive"],
        "uses": grant["uses"],
    }
    return body | {name: value for name, value in optional.items() if value}


def consent_entry(
    kind: str, seq: int, body: dict[str, Any], actor: str = "ac_0", basis: list[int] | None = None
) -> Entry:
    """An entry of the patient's stream, as far as folding looks at it."""
    acting = {"role": "doctor", "hospital": actor if actor.startswith("hs_") else "hs_none"}
    event = event_of(actor, acting, kind, body)
    decision = {"rule": "S9", "basis": basis} if basis else {"rule": "S5", "basis": []}
    return Entry(b"", event, Signature("", b""), Link(seq, b"", 0, b""), NOW, decision)


def event_of(actor: str, acting: dict[str, str], kind: str, body: dict[str, Any]) -> Event:
    value = {"actor": actor, "as": acting, "body": body, "id": "", "stream": f"patient/{PATIENT}"}
    return Event.checked(b"", value, REGISTRY[kind, 1], NOW)


def record_row(record: Ask) -> Record:
    state, seq = "live", record["seq"]
    for name, member in (("retracted", "retracted"), ("shredded", "gone")):
        if record[member] is not None:
            state, seq = name, record[member]
    return Record(
        record["id"],
        PATIENT,
        record["seq"],
        record["author"],
        record["hospital"] or "",
        "laboratory",
        "",
        record["confidentiality"],
        "",
        tuple(record["labels"]),
        record["sensitive"],
        False,
        state,
        seq,
        (),
    )


def policy_row(policy: Ask) -> Policy:
    levels = dict(policy["assurance"])
    levels["read_sensitive"] = levels.pop("sensitive")
    switches = {"assurance": levels, "custodian_reads": policy["custodian_reads"]}
    return Policy.of({**DEFAULT_POLICY, **switches}, 0)


def asked(rows: Rows, ask: Ask) -> tuple[Request, Facts]:
    """The question as a request, and the facts that the gate gathers for it."""
    acting = {"role": ask["role"]} | ({"hospital": ask["hospital"]} if ask["hospital"] else {})
    event = event_of(ask["actor"], acting, "record.opened", {})
    known = rows.get(Account, ask["actor"]) is not None
    request = Request(
        actor=ask["actor"],
        role=ask["role"],
        hospital=ask["hospital"] or "",
        held=known and holds_role(event, ask["now"], rows),
        assurance=ask["assurance"],
        on_behalf_of=ask["on_behalf_of"] or "",
        patient=PATIENT,
        action=ask["action"],
        purpose=ask["purpose"],
        now=ask["now"],
        as_of=1_000,
        record=None if ask["record"] is None else record_row(ask["record"]),
    )
    return request, gather(request, rows)


def answer(request: Request, facts: Facts, policy: Policy) -> Answer:
    decision = engine.decide(request, facts, policy)
    basis = tuple(sorted(decision.basis))
    return decision.effect, decision.rule, decision.reason or None, basis


def decided(world: World, ask: Ask, policy: Ask) -> Answer:
    """What the engine says, in the model's terms."""
    return answer(*asked(rows_of(world), ask), policy_row(policy))


def permitted(world: World, ask: Ask, policy: Ask) -> bool:
    return decided(world, ask, policy)[0] == "permit"


# --- P20: the model and the engine say the same


def agree(rng: Random, questions: int = QUESTIONS) -> Counter[tuple[str, str, str | None]]:
    """The model and the engine say the same about a random world; gives what they said."""
    world, policy, asks = model.random_case(rng, questions)
    rows, in_force, said = rows_of(world), policy_row(policy), Counter[Any]()
    for ask in asks:
        expected = model.decide(world, ask, policy)
        got = answer(*asked(rows, ask), in_force)
        assert got == expected, f"engine {got}, model {expected}: {ask}, {policy}, {world}"
        said[expected[:3]] += 1
    return said


ANSWERS: Final = [
    ("deny", "S0", "invalid"),
    ("permit", "S1", None),
    ("deny", "S1", "role"),
    ("deny", "S2", "gone"),
    ("deny", "S2", "retracted"),
    ("deny", "S2", "deceased"),
    ("deny", "S3", "step_up"),
    ("permit", "S5", None),
    ("permit", "S6", None),
    ("deny", "S8", "emergency_needed"),
    ("permit", "S9", None),
    ("permit", "S12", None),
    ("deny", "S12", "no_consent"),
]
"""Every answer that these stages have."""


def test_twenty_thousand_random_cases_agree_with_the_model() -> None:
    rng, said = Random(SEED), Counter[Any]()
    for _ in range(CASES // QUESTIONS):
        said += agree(rng)
    assert said.total() == CASES
    assert sorted(said, key=repr) == sorted(ANSWERS, key=repr)
    assert min(said.values()) >= 20, said


# --- examples that a person can read: one small hospital town

RECORD: Final[Ask] = {
    "id": "rc_0",
    "seq": 11,
    "author": "ac_1",
    "hospital": "hs_0",
    "labels": [],
    "sensitive": False,
    "confidentiality": "normal",
    "retracted": None,
    "gone": None,
}
GRANT: Final[Ask] = {
    "seq": 20,
    "id": "gr_20",
    "lineage": "gr_20",
    "grantee": "ac_2",
    "kind": "full",
    "records": [],
    "purposes": [],
    "actions": ["list", "read"],
    "start": NOW - DAY,
    "end": NOW + DAY,
    "uses": None,
    "codes": [],
    "sensitive": False,
}
POLICY: Final[Ask] = {"custodian_reads": True, "assurance": model.ASSURANCE}
WHO: Final[dict[str, tuple[str, str, str | None]]] = {
    "patient": ("ac_0", "patient", None),
    "doctor": ("ac_1", "doctor", "hs_0"),  # who wrote the record, where it was written
    "stranger": ("ac_2", "doctor", "hs_1"),  # a doctor of another hospital
    "system": ("ac_3", "hospital_system", "hs_0"),
    "admin": ("ac_4", "hospital_admin", "hs_0"),
    "auditor": ("ac_4", "auditor", None),
    "operator": ("ac_5", "operator", None),
    "service": ("ac_6", "service", None),
    "person": ("ac_2", "person", None),
    "relative": ("ac_2", "relative", None),
}


def town(**changes: Any) -> World:
    """The patient of entry 10, the record of entry 11, and those of WHO by entries 1 to 5."""
    world: World = {
        "accounts": model.ACCOUNTS[:-1],
        "hospitals": {"hs_0": True, "hs_1": True},
        "members": [
            model.member(*WHO[name], seq)
            for name, seq in (("doctor", 1), ("stranger", 2), ("system", 3), ("admin", 4))
        ],
        "patient": {
            "id": PATIENT,
            "account": "ac_0",
            "seq": 10,
            "teen_from": None,
            "adult_from": None,
            "deceased": False,
        },
        "grants": [],
        "revocations": [],
        "openings": [],
        "records": [RECORD],
    }
    auditor = model.member(*WHO["auditor"], 5) | {"start": NOW - DAY, "end": NOW + DAY}
    world["members"] += [auditor, model.member(*WHO["operator"], 0)]
    world["members"] += [model.member(*WHO["service"], 0)]
    return deepcopy(world | changes)


def question(who: str, action: str, **changes: Any) -> Ask:
    """A question of somebody of WHO, for treatment, with the highest assurance, about the record."""
    actor, role, hospital = WHO[who]
    ask: Ask = {"actor": actor, "role": role, "hospital": hospital, "assurance": 3}
    ask |= {"on_behalf_of": None, "action": action, "purpose": "TREAT", "now": NOW}
    return ask | {"record": RECORD} | changes


def said(world: World, ask: Ask, policy: Ask = POLICY) -> str:
    """The engine's answer as a line, which is also the model's: `deny S2 retracted [12]`."""
    got = decided(world, ask, policy)
    assert got == model.decide(world, ask, policy)
    effect, rule, reason, basis = got
    return f"{effect} {rule} {reason or ''} {list(basis)}".replace("  ", " ")


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
    rows, policy = rows_of(town()), policy_row(POLICY)
    assert [line.split()[0] for line in lines] and sorted(
        line.split()[0] for line in lines
    ) == sorted(ACTIONS)
    for line in lines:
        action, *marks = line.split()
        for who, mark in zip(header.split(), marks, strict=True):
            request, facts = asked(rows, question(who, action))
            got = answer(request._replace(held=True), facts, policy)
            assert (got[1:3] == ("S1", "role")) == (mark == "."), (who, action, got)


def suspended(name: str) -> World:
    """The town in which somebody was suspended."""
    world = town()
    for one in world["members"]:
        one["active"] &= (one["account"], one["role"], one["hospital"]) != WHO[name]
    return world


MINOR: Final = {**town()["patient"], "teen_from": NOW - DAY, "adult_from": NOW + DAY}
DEAD: Final = {**town()["patient"], "deceased": True}
RETRACTED: Final = RECORD | {"retracted": 12}
GONE: Final = RECORD | {"gone": 12}
OWN: Final = RECORD | {"author": "ac_0", "hospital": None}
AS_DOCTOR: Final = RECORD | {"author": "ac_0"}
CLOSED: Final = town(hospitals={"hs_0": False, "hs_1": True})

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
     "deny S2 deceased [10]"),
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
     question("patient", "read", record=RECORD | {"confidentiality": "hidden"}), "permit S5 [10]"),
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
     question("doctor", "read", record=RECORD | {"confidentiality": "hidden"}), "permit S6 [1, 11]"),
    ("the service registers", town(patient=None), question("service", "register", record=None),
     "permit S6 [0]"),
]  # fmt: skip
READING_OFF: Final = [
    ("doctors don't list", question("doctor", "list"), "deny S12 no_consent []"),
    ("doctors don't read", question("doctor", "read"), "deny S12 no_consent []"),
    ("doctors amend", question("doctor", "amend"), "permit S6 [1, 11]"),
    ("admins disclose", question("admin", "disclose"), "permit S6 [4, 11]"),
    ("anybody appends", question("stranger", "append"), "permit S6 [2]"),
    ("the patient reads", question("patient", "read"), "permit S5 [10]"),
]
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


# Of a grant: what is changed in it, in the record and in the question, and what it is worth

NO: Final = "deny S12 no_consent []"
YES: Final = "permit S9 [20]"
GRANTS: Final = [
    ("as it is", {}, {}, {}, YES),
    ("to the doctor's hospital", {"grantee": "hs_1"}, {}, {}, YES),
    ("to another doctor", {"grantee": "ac_3"}, {}, {}, NO),
    ("to another hospital", {"grantee": "hs_0"}, {}, {}, NO),
    ("its first millisecond", {"start": NOW}, {}, {}, YES),
    ("a millisecond before", {"start": NOW + 1}, {}, {}, NO),
    ("its last millisecond", {"end": NOW + 1}, {}, {}, YES),
    ("its end", {"end": NOW}, {}, {}, NO),
    ("listing", {}, {}, {"action": "list"}, YES),
    ("listing alone", {"actions": ["list"]}, {}, {}, NO),
    ("an empty chart", {}, {}, {"action": "list", "record": None}, NO),
    ("another purpose", {}, {}, {"purpose": "HRESCH"}, NO),
    ("a named purpose", {"purposes": ["HRESCH"]}, {}, {"purpose": "HRESCH"}, YES),
    ("treatment if not named", {"purposes": ["HRESCH"]}, {}, {}, NO),
    ("for somebody else", {}, {}, {"on_behalf_of": "ac_0"}, NO),
    ("restricted", {}, {"confidentiality": "restricted"}, {}, YES),
    ("hidden", {"sensitive": True}, {"confidentiality": "hidden"}, {}, NO),
    ("listed", {"kind": "selective", "records": ["rc_0"]}, {}, {}, YES),
    ("not listed", {"kind": "selective", "records": ["rc_1"]}, {}, {}, NO),
    ("listed and hidden", {"kind": "selective", "records": ["rc_0"]},
     {"confidentiality": "hidden"}, {}, NO),
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


@pytest.mark.parametrize(("grant", "record", "ask", "expected"), [row[1:] for row in GRANTS])
def test_examples_of_grants(grant: Ask, record: Ask, ask: Ask, expected: str) -> None:
    world = town(grants=[GRANT | grant], records=[RECORD | record])
    assert said(world, question("stranger", "read", record=RECORD | record) | ask) == expected


def later(seq: int, **changes: Any) -> Ask:
    """A grant of its own lineage at entry `seq`."""
    return GRANT | {"seq": seq, "id": f"gr_{seq}", "lineage": f"gr_{seq}"} | changes


END: Final = {"seq": 30, "grantee": "ac_2", "lineage": "gr_20"}
END_ALL: Final = END | {"lineage": None}
AGAIN: Final = later(40, lineage="gr_20")
USED: Final = {"seq": 25, "basis": [20]}
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
    ("used once of two", [GRANT | {"uses": 2}], [], [USED], YES),
    ("used without a limit", [GRANT], [], [USED, USED], YES),
    ("granted again after use", [GRANT | {"uses": 1}, AGAIN | {"uses": 1}], [], [USED],
     "permit S9 [40]"),
]  # fmt: skip


@pytest.mark.parametrize(("grants", "ends", "used", "expected"), [row[1:] for row in LINEAGES])
def test_examples_of_lineages(
    grants: list[Ask], ends: list[Ask], used: list[Ask], expected: str
) -> None:
    world = town(grants=grants, revocations=ends, openings=used)
    assert said(world, question("stranger", "read")) == expected


# --- properties, by their numbers on the page; each takes a Random and asserts


def p1_pure_total_deterministic(rng: Random) -> None:
    """The same question has the same answer, whatever was asked in between, and it is well formed."""
    world, policy, asks = model.random_case(rng, 8)
    rows, in_force = rows_of(world), policy_row(policy)
    first = [answer(*asked(rows, ask), in_force) for ask in asks]
    again = [answer(*asked(rows_of(world), ask), in_force) for ask in reversed(asks)]
    assert first == again[::-1]
    for effect, rule, reason, basis in first:
        assert effect in ("permit", "deny") and rule in RULES and len(basis) <= 8
        assert (reason is None) == (effect == "permit")
        assert sorted(set(basis)) == list(basis)


RULES: Final = ("S0", "S1", "S2", "S3", "S5", "S6", "S8", "S9", "S12")


def p2_without_facts_few_permits(rng: Random) -> None:
    """Without grants only S1, S5, S6 and asking for access permit."""
    world, policy, asks = model.random_case(rng, 8)
    bare = world | {"grants": [], "revocations": [], "openings": []}
    for ask in asks:
        effect, rule, _, _ = decided(bare, ask, policy)
        assert effect == "deny" or rule in ("S1", "S5", "S6") or ask["action"] == "request_access"


def p3_a_revocation_permits_nothing(rng: Random) -> None:
    """One more revocation turns no denial into a permit."""
    for before, after in around(rng, revoke):
        assert after[0] == "deny" or before[0] == "permit"


def p4_fewer_lineages_permit_nothing(rng: Random) -> None:
    """One lineage less turns no denial into a permit."""
    for before, after in around(rng, without_lineage):
        assert after[0] == "deny" or before[0] == "permit"


def p5_nothing_rests_on_what_was_revoked(rng: Random) -> None:
    world, policy, asks = granted_case(rng, 8)
    grant = rng.choice(world["grants"])
    after = revoke(rng, world, grant)
    revoked = {g["seq"] for g in world["grants"] if g["lineage"] == grant["lineage"]}
    for ask in asks:
        assert not revoked & set(decided(after, ask, policy)[3])


def p6_bounds_are_half_open(rng: Random) -> None:
    start = NOW + rng.randint(-DAY, DAY)
    end = start + rng.randint(1, DAY)
    world = town(grants=[GRANT | {"start": start, "end": end}])
    for now, may in ((start - 1, False), (start, True), (end - 1, True), (end, False)):
        assert permitted(world, question("stranger", "read", now=now), POLICY) == may


def p7_the_order_of_facts_is_nothing(rng: Random) -> None:
    world, policy, asks = granted_case(rng, 8)
    rows, in_force = rows_of(world), policy_row(policy)
    for ask in asks:
        request, facts = asked(rows, ask)
        shuffled = rng.sample(facts.grants, len(facts.grants))
        mixed = facts._replace(grants=tuple(shuffled))
        assert answer(request, facts, in_force) == answer(request, mixed, in_force)


def p8_other_patients_are_nothing(rng: Random) -> None:
    """What somebody else granted to the same people, even if it came along with the facts."""
    world, policy, asks = granted_case(rng, 8)
    rows, other, in_force = rows_of(world), rows_of(granted_case(rng, 0)[0]), policy_row(policy)
    for ask in asks:
        request, facts = asked(rows, ask)
        foreign = tuple(g._replace(patient="pt_1") for g in asked(other, ask)[1].grants)
        more = facts._replace(grants=(*foreign, *facts.grants))
        assert answer(request, facts, in_force) == answer(request, more, in_force)


def p11_a_label_opens_nothing(rng: Random) -> None:
    """Of records that say of what they are sensitive: one label more, and nobody new may read."""
    world, policy, asks = granted_case(rng, 8)
    for ask in asks:
        record = ask["record"]
        if record is None or (record["sensitive"] and not record["labels"]):
            continue
        labels = sorted({*record["labels"], rng.choice(model.CODES)})
        more = record | {"labels": labels, "sensitive": rng.random() < 0.5 or record["sensitive"]}
        reading = ask | {"action": "read"}
        if permitted(world, reading | {"record": more}, policy):
            assert permitted(world, reading, policy)


def p15_auditors_and_admins_get_no_content(rng: Random) -> None:
    world, policy, asks = model.random_case(rng, 8)
    for ask in asks:
        who = rng.choice(("admin", "auditor"))
        named = dict(zip(("actor", "role", "hospital"), WHO[who], strict=True))
        action = rng.choice(("list", "read", "export", "append", "amend"))
        mixed = world | {"members": town()["members"], "accounts": model.ACCOUNTS[:-1]}
        assert not permitted(mixed, ask | named | {"action": action}, policy)


def p16_names_are_nothing(rng: Random) -> None:
    """Other ids for all that is named, and the same answer on the same entries."""
    world, policy, asks = granted_case(rng, 8)
    names = [f"{prefix}_{n}" for prefix in ("ac", "hs", "rc") for n in range(7)]
    names += [grant["id"] for grant in world["grants"]]
    numbers = rng.sample(range(10**6), len(names))
    others = {old: f"{old[:3]}{new:06}" for old, new in zip(names, numbers, strict=True)}
    renamed = renaming(world, others)
    for ask in asks:
        before, after = decided(world, ask, policy), decided(renamed, renaming(ask, others), policy)
        assert before == after


def p17_ages_flip_at_the_instant(rng: Random) -> None:
    teen = NOW + rng.randint(-DAY, DAY)
    adult = teen + rng.randint(1, DAY)
    minor = town()["patient"] | {"teen_from": teen, "adult_from": adult}
    for action, edge in (("read", teen), ("exclude", teen), ("erase", adult), ("export", adult)):
        for now in (edge - 1, edge, edge + 1):
            ask = question("patient", action, now=now, record=None)
            assert permitted(town(patient=minor), ask, POLICY) == (now >= edge)


def p18_granted_again_permits_again(rng: Random) -> None:
    """Whatever was granted and revoked in a lineage: the last word counts."""
    grants, ends, may = [GRANT], [], True
    for seq in range(30, 30 + rng.randint(1, 6)):
        may = rng.random() < 0.5
        if may:
            grants.append(later(seq, lineage="gr_20"))
        else:
            ends.append({"seq": seq, "grantee": "ac_2", "lineage": rng.choice((None, "gr_20"))})
    world = town(grants=grants, revocations=ends)
    assert permitted(world, question("stranger", "read"), POLICY) == may


def p20_agrees_with_the_model(rng: Random) -> None:
    agree(rng, 8)


def granted_case(rng: Random, questions: int) -> tuple[World, Ask, list[Ask]]:
    """A random case in which much was granted, asked about by those to whom it was."""
    world, policy, _ = model.random_case(rng, 0)
    for seq in range(100, 106):
        model.add_consent(rng, world, seq)
    return world, policy, [model.consented_ask(rng, world) for _ in range(questions)]


def around(rng: Random, change: Any) -> list[tuple[Answer, Answer]]:
    """The answers before and after a change to some lineage of a random world."""
    world, policy, asks = granted_case(rng, 8)
    after = change(rng, world, rng.choice(world["grants"]))
    return [(decided(world, ask, policy), decided(after, ask, policy)) for ask in asks]


def revoke(rng: Random, world: World, grant: Ask) -> World:
    lineage = rng.choice((None, grant["lineage"]))
    end = {"seq": 900, "grantee": grant["grantee"], "lineage": lineage}
    return world | {"revocations": [*world["revocations"], end]}


def without_lineage(rng: Random, world: World, grant: Ask) -> World:
    lineage = grant["lineage"]
    left = [g for g in world["grants"] if g["lineage"] != lineage]
    seqs = {g["seq"] for g in left}
    return world | {
        "grants": left,
        "revocations": [end for end in world["revocations"] if end["lineage"] != lineage],
        "openings": [used for used in world["openings"] if set(used["basis"]) <= seqs],
    }


def renaming(value: Any, names: dict[str, str]) -> Any:
    """The same with other names, also of the keys of dicts."""
    if isinstance(value, dict):
        return {renaming(key, names): renaming(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renaming(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


PROPERTIES: Final = {
    check.__name__: check
    for check in (
        p1_pure_total_deterministic,
        p2_without_facts_few_permits,
        p3_a_revocation_permits_nothing,
        p4_fewer_lineages_permit_nothing,
        p5_nothing_rests_on_what_was_revoked,
        p6_bounds_are_half_open,
        p7_the_order_of_facts_is_nothing,
        p8_other_patients_are_nothing,
        p11_a_label_opens_nothing,
        p15_auditors_and_admins_get_no_content,
        p16_names_are_nothing,
        p17_ages_flip_at_the_instant,
        p18_granted_again_permits_again,
        p20_agrees_with_the_model,
    )
}


@pytest.mark.parametrize("name", PROPERTIES)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rng=st.randoms(use_true_random=False))
def test_properties(name: str, rng: Random) -> None:
    PROPERTIES[name](rng)
