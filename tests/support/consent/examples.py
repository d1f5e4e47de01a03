"""A small situation for examples that a person can read, in the model's terms."""

from copy import deepcopy
from itertools import count
from typing import Any, Final

from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.model import Ask, Situation
from tests.support.consent.random_cases import DAY, NOW, PATIENT

RECORD: Final[Ask] = {
    "id": "rc_0",
    "seq": 11,
    "author": "ac_1",
    "hospital": "hs_0",
    "category": "laboratory",
    "clinical_date": "2026-11-18",
    "episode": "ep_0",
    "labels": [],
    "sensitive": False,
    "confidentiality": "normal",
    "hidings": [],
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
    "what": {},
    "exceptions": [],
    "purposes": [],
    "actions": ["list", "read"],
    "start": NOW - DAY,
    "end": NOW + DAY,
    "uses": None,
    "codes": [],
    "sensitive": False,
}
POLICY: Final[Ask] = {
    "custodian_reads": True,
    "assurance": model.ASSURANCE,
    "retention_years": 0,  # shorter than any policy's: what was written today may be erased
}
WHO: Final[dict[str, tuple[str, str, str | None]]] = {
    "patient": ("ac_0", "patient", None),
    "doctor": ("ac_1", "doctor", "hs_0"),  # who wrote the record, where it was written
    "stranger": ("ac_2", "doctor", "hs_1"),  # a doctor of another hospital
    "system": ("ac_3", "hospital_system", "hs_0"),
    "admin": ("ac_4", "hospital_admin", "hs_0"),
    "auditor": ("ac_9", "auditor", None),
    "operator": ("ac_5", "operator", None),
    "service": ("ac_6", "service", None),
    "person": ("ac_2", "person", None),
    "relative": ("ac_2", "relative", None),
    "moonlighter": ("ac_2", "doctor", "hs_2"),  # the stranger at another hospital
}


def example(**changes: Any) -> Situation:
    """The patient of entry 10, the record of entry 11, and those of WHO by entries 1 to 6.

    Hospital hs_0 registered the patient. Group gp_1 is of the stranger's hospital, who is in it.
    """
    seqs = count(1)
    situation: Situation = {
        "chart": PATIENT,
        "accounts": [*(f"ac_{number}" for number in range(7)), "ac_9"],
        "hospitals": {"hs_0": True, "hs_1": True, "hs_2": True},
        "groups": {"gp_0": "hs_0", "gp_1": "hs_1"},
        "joinings": [{"seq": 7, "account": "ac_2", "group": "gp_1", "joined": True}],
        "members": [
            model.member(*WHO[name], next(seqs))
            for name in ("doctor", "stranger", "system", "admin", "auditor", "moonlighter")
        ],
        "patient": {
            "id": PATIENT,
            "account": "ac_0",
            "hospital": "hs_0",
            "seq": 10,
            "teen_from": None,
            "adult_from": None,
            "deceased": 0,
        },
        "grants": [],
        "revocations": [],
        "exclusions": [],
        "openings": [],
        "records": [RECORD],
    }
    situation["members"][4] |= {"start": NOW - DAY, "end": NOW + DAY}
    situation["members"] += [model.member(*WHO[name], 0) for name in ("operator", "service")]
    return deepcopy(situation | changes)


def question(who: str, action: str, **changes: Any) -> Ask:
    """A question of somebody of WHO, for treatment, with the highest assurance, about the record."""
    actor, role, hospital = WHO[who]
    ask: Ask = {"actor": actor, "role": role, "hospital": hospital, "assurance": 3}
    ask |= {"on_behalf_of": None, "action": action, "purpose": "TREAT", "now": NOW}
    return ask | {"record": RECORD} | changes


def later(seq: int, **changes: Any) -> Ask:
    """A grant of its own lineage at entry `seq`."""
    return GRANT | {"seq": seq, "id": f"gr_{seq}", "lineage": f"gr_{seq}"} | changes


def excluded(reader: str, seq: int = 30, lifted: bool = False) -> Ask:
    """That the patient excludes a reader, or lifts it."""
    return {"seq": seq, "reader": reader, "lifted": lifted}


def said(situation: Situation, ask: Ask, policy: Ask = POLICY) -> str:
    """The engine's answer as a line, which is also the model's: `deny S2 retracted [12]`."""
    got = Case(situation, policy).answer(ask)
    assert got == model.decide(situation, ask, policy)
    effect, rule, reason, basis = got
    return f"{effect} {rule} {reason or ''} {list(basis)}".replace("  ", " ")
