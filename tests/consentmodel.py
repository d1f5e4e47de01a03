"""A slow model of `decide`, written from the page on consent and from nothing else.

It shares no line with `consent/` and imports nothing of it: plain dicts in, a plain tuple out.
Nothing is folded beforehand: who rules in a lineage, how often a grant was used and whether a
person is of age are worked out anew for every question, by looking through all that happened.

`random_case` draws a world, a policy and questions; all of it is a function of the `Random` it is
given.

    world    patient      {"id", "account", "seq", "teen_from" and "adult_from" (ms, None of age),
                          "deceased"} or None
             accounts     [account]
             hospitals    {hospital: active?}
             members      [{"account", "role", "hospital", "seq", "active", "start", "end"}]; of
                          auditors, operators and the service the hospital is None; the term
                          (ms, None without a bound) is an auditor's
             grants       [{"seq", "id", "lineage", "grantee", "kind": full|selective, "records",
                          "purposes", "actions", "start", "end", "uses", "codes", "sensitive"}]
             revocations  [{"seq", "grantee", "lineage": id or None}]
             openings     [{"seq", "basis": numbers that a permitted record.opened rested on}]
             records      [record]
    ask      actor, role, hospital, assurance, on_behalf_of, action, purpose, now (ms),
             record: {"id", "seq", "author", "hospital" (None: the patient's own), "labels",
             "sensitive", "confidentiality", "retracted", "gone": seq or None} or None
    policy   custodian_reads, assurance {action: level, "sensitive": level}
    answer   (effect, rule, reason or None, basis)

`register` is `patient.registered`; of a person it is a claim whose code is not proved, of a
patient the linking of charts: nothing here permits either.
"""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final

World = dict[str, Any]
Ask = dict[str, Any]
Answer = tuple[str, str, str | None, tuple[int, ...]]


def words(text: str) -> list[str]:
    return text.split()


ROLES: Final = {
    "person": "register",
    "patient": "list read append hide retract export grant exclude read_history erase register",
    "relative": "list read append read_history grant",
    "doctor": "list read append amend retract refer declare_emergency request_access hold register",
    "hospital_admin": "hold review disclose register",
    "hospital_system": "append amend retract refer disclose register",
    "auditor": "verify read_history",
    "operator": "",
    "service": "register",
}
ACTIONS: Final = words(
    "list read append amend retract hide export disclose grant exclude read_history verify erase "
    "hold refer declare_emergency review request_access register"
)
PURPOSES: Final = words(
    "TREAT ETREAT BTG HPAYMT HOPERAT PATRQT FAMRQT PWATRNY HRESCH PUBHLTH HLEGAL"
)
IN_HOSPITAL: Final = ("doctor", "hospital_admin", "hospital_system")
ASSURANCE: Final = {
    "export": 3,
    "grant": 3,
    "exclude": 3,
    "erase": 3,
    "declare_emergency": 3,
    "sensitive": 2,
}
SELF_ADULT: Final = words("list read export read_history grant exclude erase append hide retract")
SELF_TEEN: Final = [action for action in SELF_ADULT if action not in ("erase", "export")]
CUSTODIAN: Final = ("list", "read", "amend", "retract")
CUSTODIAN_PURPOSES: Final = ("TREAT", "HOPERAT", "HLEGAL")
OWN_RECORDS: Final = {
    "hospital_admin": ("hold", "review", "disclose"),
    "doctor": ("hold", "refer"),
    "hospital_system": ("disclose", "refer"),
}


def permit(rule: str, *basis: int) -> Answer:
    return "permit", rule, None, tuple(sorted(set(basis)))


def deny(rule: str, reason: str, *basis: int) -> Answer:
    return "deny", rule, reason, tuple(sorted(set(basis)))


# --- who the asker is


def membership(world: World, ask: Ask) -> dict[str, Any] | None:
    """The entry that gives this account this role (in this hospital), if it is active."""
    for member in world["members"]:
        same = all(member[key] == ask[own] for key, own in MEMBER_KEYS)
        if same and member["active"] and in_term(member, ask["now"]):
            return dict(member)
    return None


def in_term(member: dict[str, Any], now: int) -> bool:
    start, end = member["start"], member["end"]
    return (start is None or start <= now) and (end is None or now < end)


MEMBER_KEYS: Final = (("account", "actor"), ("role", "role"), ("hospital", "hospital"))


def holds_role(world: World, ask: Ask) -> bool:
    role = ask["role"]
    if role == "person":
        return True
    if role == "patient":
        return is_patient(world, ask)
    if role == "relative":  # nobody is linked in this scope, so nobody holds it
        return False
    if membership(world, ask) is None:
        return False
    return role not in IN_HOSPITAL or bool(world["hospitals"].get(ask["hospital"]))


def is_patient(world: World, ask: Ask) -> bool:
    patient = world["patient"]
    return patient is not None and ask["role"] == "patient" and ask["actor"] == patient["account"]


def age(world: World, now: int) -> str:
    patient = world["patient"]
    if patient["adult_from"] is None or now >= patient["adult_from"]:
        return "adult"
    return "teen" if now >= patient["teen_from"] else "child"


# --- the stages, in the order of the page


def s0_sanity(world: World, ask: Ask, policy: Ask) -> Answer | None:
    sane = (
        (world["patient"] is not None or ask["action"] == "register")
        and ask["actor"] in world["accounts"]
        and ask["role"] in ROLES
        and ask["action"] in ACTIONS
        and ask["purpose"] in PURPOSES
        and holds_role(world, ask)
    )
    return None if sane else deny("S0", "invalid")


def s1_role(world: World, ask: Ask, policy: Ask) -> Answer | None:
    role, action = ask["role"], ask["action"]
    if action not in ROLES[role].split():
        return deny("S1", "role")
    if role == "auditor":
        member = membership(world, ask)
        return permit("S1", member["seq"]) if member else None
    return None


def s2_state(world: World, ask: Ask, policy: Ask) -> Answer | None:
    patient, record = world["patient"], ask["record"]
    if record and record["gone"] is not None:
        return deny("S2", "gone", record["gone"])
    if record and record["retracted"] is not None:
        ours = record["hospital"] is not None and ask["hospital"] == record["hospital"]
        if not ours and not is_patient(world, ask):
            return deny("S2", "retracted", record["retracted"])
    if patient and patient["deceased"] and ask["action"] == "grant":
        return deny("S2", "deceased", patient["seq"])
    return None


def s3_assurance(world: World, ask: Ask, policy: Ask) -> Answer | None:
    needed = policy["assurance"].get(ask["action"], 1)
    if ask["action"] == "read" and ask["record"] and ask["record"]["sensitive"]:
        needed = max(needed, policy["assurance"].get("sensitive", 1))
    return deny("S3", "step_up") if ask["assurance"] < needed else None


def s5_self(world: World, ask: Ask, policy: Ask) -> Answer | None:
    if ask["on_behalf_of"] or not is_patient(world, ask):
        return None
    allowed = {"adult": SELF_ADULT, "teen": SELF_TEEN, "child": []}[age(world, ask["now"])]
    if ask["action"] not in allowed:
        return None
    if ask["action"] == "retract" and not wrote_as_patient(ask):
        return None
    return permit("S5", world["patient"]["seq"])


def wrote_as_patient(ask: Ask) -> bool:
    """Of a doctor who is the patient, what they wrote for a hospital is the hospital's."""
    record = ask["record"]
    return record is not None and record["author"] == ask["actor"] and record["hospital"] is None


def s6_custodian(world: World, ask: Ask, policy: Ask) -> Answer | None:
    """Of the service, which is in no hospital, the entry that made it the service is taken."""
    if ask["on_behalf_of"]:
        return None
    member = membership(world, ask)
    if member is None or ask["role"] not in (*IN_HOSPITAL, "service"):
        return None
    if ask["action"] == "register":
        return permit("S6", member["seq"])
    if ask["action"] == "append" and ask["role"] in ("doctor", "hospital_system"):
        return permit("S6", member["seq"])
    record = ask["record"]
    if record is None or record["hospital"] is None or record["hospital"] != ask["hospital"]:
        return None
    if ask["action"] in OWN_RECORDS[ask["role"]]:
        return permit("S6", member["seq"], record["seq"])
    if ask["action"] in ("list", "read") and not policy["custodian_reads"]:
        return None
    if ask["action"] in CUSTODIAN and ask["purpose"] in CUSTODIAN_PURPOSES:
        return permit("S6", member["seq"], record["seq"])
    return None


def s8_emergency(world: World, ask: Ask, policy: Ask) -> Answer | None:
    return deny("S8", "emergency_needed") if ask["purpose"] in ("BTG", "ETREAT") else None


def s9_grant(world: World, ask: Ask, policy: Ask) -> Answer | None:
    if ask["on_behalf_of"]:
        return None
    fitting = [grant for grant in world["grants"] if applies(world, grant, ask)]
    if not fitting:
        return None
    chosen = min(fitting, key=lambda grant: (grant["uses"] is not None, grant["seq"]))
    return permit("S9", chosen["seq"])


def s12_default(world: World, ask: Ask, policy: Ask) -> Answer | None:
    if ask["action"] == "request_access" and ask["role"] == "doctor":
        return permit("S12")
    return deny("S12", "no_consent")


# --- grants


def rules_lineage(world: World, grant: Ask) -> bool:
    """The highest-numbered entry of its lineage rules; a revocation ends all of it."""
    later = [
        other
        for other in world["grants"]
        if (other["lineage"], other["grantee"]) == (grant["lineage"], grant["grantee"])
        and other["seq"] > grant["seq"]
    ]
    ended = [
        end
        for end in world["revocations"]
        if end["grantee"] == grant["grantee"]
        and end["lineage"] in (None, grant["lineage"])
        and end["seq"] > grant["seq"]
    ]
    return not later and not ended


def applies(world: World, grant: Ask, ask: Ask) -> bool:
    used = sum(grant["seq"] in opening["basis"] for opening in world["openings"])
    return (
        rules_lineage(world, grant)
        and grant["start"] <= ask["now"] < grant["end"]
        and grant["grantee"] in (ask["actor"], ask["hospital"])
        and ask["purpose"] in (grant["purposes"] or ["TREAT"])
        and ask["action"] in grant["actions"]
        and (grant["uses"] is None or used < grant["uses"])
        and in_scope(grant, ask)
    )


def in_scope(grant: Ask, ask: Ask) -> bool:
    """Listing and reading are decided record by record; an empty chart is in no grant."""
    record = ask["record"]
    if record is None:
        return grant["kind"] == "full" and ask["action"] not in ("list", "read")
    if record["confidentiality"] == "hidden":
        return False
    if grant["kind"] == "selective" and record["id"] not in grant["records"]:
        return False
    return labels_named(grant, record)


def labels_named(grant: Ask, record: Ask) -> bool:
    """Every label is named; the tick "including sensitive" counts for all, in `full` alone."""
    if grant["kind"] == "full" and grant["sensitive"]:
        return True
    if record["sensitive"] and not record["labels"]:
        return False
    return set(record["labels"]) <= set(grant["codes"])


Stage = Callable[[World, Ask, Ask], Answer | None]
STAGES: Final[tuple[Stage, ...]] = (
    s0_sanity,
    s1_role,
    s2_state,
    s3_assurance,
    s5_self,
    s6_custodian,
    s8_emergency,
    s9_grant,
    s12_default,
)


def decide(world: World, ask: Ask, policy: Ask) -> Answer:
    """The first stage that answers decides."""
    for stage in STAGES:
        answer = stage(world, ask, policy)
        if answer is not None:
            return answer
    raise AssertionError("the last stage always answers")


# --- random worlds and questions

NOW: Final = 1_795_000_000_000
DAY: Final = 86_400_000
PATIENT: Final = "pt_0"
ACCOUNTS: Final = [f"ac_{number}" for number in range(8)]
"""The first is the patient, the last is registered nowhere."""
HOSPITALS: Final = ["hs_0", "hs_1", "hs_2"]
CODES: Final = ["l_bh", "l_hiv", "l_psy"]
GRANTABLE: Final = words("append list read read_history")
EDGE: Final = (-1, 0, 1)


def random_case(rng: Random, questions: int) -> tuple[World, Ask, list[Ask]]:
    """A world, a policy, and questions about that world."""
    world = random_world(rng)
    return world, random_policy(rng), [random_ask(rng, world) for _ in range(questions)]


def random_policy(rng: Random) -> Ask:
    assurance = dict(ASSURANCE)
    if rng.random() < 0.2:
        assurance[rng.choice(ACTIONS)] = rng.randint(1, 3)
    return {"custodian_reads": rng.random() < 0.8, "assurance": assurance}


def random_world(rng: Random) -> World:
    seqs = count(1)
    world: World = {
        "accounts": ACCOUNTS[:-1],
        "hospitals": {hospital: rng.random() < 0.9 for hospital in HOSPITALS},
        "members": random_members(rng, seqs),
        "patient": random_patient(rng, seqs) if rng.random() < 0.97 else None,
        "grants": [],
        "revocations": [],
        "openings": [],
    }
    world["records"] = [random_record(rng, f"rc_{number}", seqs) for number in range(3)]
    for _ in range(rng.randint(0, 8)):
        add_consent(rng, world, next(seqs))
    return world


def random_members(rng: Random, seqs: Iterator[int]) -> list[Ask]:
    """Operator, service, doctors of one or two hospitals, and some other roles."""
    members = [member("ac_6", "service", None, 0), member("ac_5", "operator", None, 0)]
    for account in ACCOUNTS[:5]:
        for hospital in rng.sample(HOSPITALS, rng.choice((0, 1, 1, 1, 2))):
            members.append(member(account, "doctor", hospital, next(seqs), rng.random() < 0.9))
        for role in rng.sample((*IN_HOSPITAL[1:], "auditor"), rng.choice((0, 1, 1))):
            at = rng.choice(HOSPITALS) if role in IN_HOSPITAL else None
            members.append(member(account, role, at, next(seqs), rng.random() < 0.9))
            if role == "auditor":
                members[-1]["start"] = NOW + rng.choice((-DAY, -1, 0))
                members[-1]["end"] = NOW + rng.choice((0, 1, DAY))
    return members


def member(account: str, role: str, hospital: str | None, seq: int, active: bool = True) -> Ask:
    """A membership without a term."""
    named = {"account": account, "role": role, "hospital": hospital}
    return named | {"seq": seq, "active": active, "start": None, "end": None}


def random_patient(rng: Random, seqs: Iterator[int]) -> Ask:
    teen, adult = rng.choice(((None, None), (None, None), (-DAY, DAY), (0, DAY), (-DAY, 0)))
    ages = {
        "teen_from": None if teen is None else NOW + teen,
        "adult_from": None if adult is None else NOW + adult,
    }
    named = {"id": PATIENT, "account": ACCOUNTS[0], "seq": next(seqs)}
    return named | ages | {"deceased": rng.random() < 0.2}


def random_record(rng: Random, name: str, seqs: Iterator[int]) -> Ask:
    """A record; a sensitive one has mostly labels, and labels mostly make it sensitive."""
    seq, state = next(seqs), rng.choice(("live", "live", "live", "live", "retracted", "gone"))
    labels = sorted(rng.sample(CODES, rng.choice((0, 0, 0, 1, 2))))
    own = rng.random() < 0.2
    record = {
        "id": name,
        "seq": seq,
        "author": rng.choice(ACCOUNTS[:2]) if own else rng.choice(ACCOUNTS[:-1]),
        "hospital": None if own else rng.choice(HOSPITALS),
        "labels": labels,
        "sensitive": bool(labels) != (rng.random() < 0.1),
        "confidentiality": rng.choice(("normal", "normal", "normal", "restricted", "hidden")),
        "retracted": None,
        "gone": None,
    }
    return record if state == "live" else record | {state: next(seqs)}


def add_consent(rng: Random, world: World, seq: int) -> None:
    """One more grant, revocation or reading that rested on a grant."""
    kind, granted = rng.random(), world["grants"]
    if kind < 0.7 or not granted:
        granted.append(random_grant(rng, world, seq))
        return
    old = rng.choice(granted)
    if kind < 0.82:
        lineage = rng.choice((None, old["lineage"]))
        end = {"seq": seq, "grantee": old["grantee"], "lineage": lineage}
        world["revocations"].append(end)
    else:
        world["openings"].append({"seq": seq, "basis": [old["seq"]]})


def random_grant(rng: Random, world: World, seq: int) -> Ask:
    kind = rng.choice(("full", "selective"))
    records = rng.sample([record["id"] for record in world["records"]], rng.randint(1, 2))
    grant = {
        "seq": seq,
        "id": f"gr_{seq}",
        "lineage": f"gr_{seq}",
        "grantee": rng.choice((*ACCOUNTS[:5], *HOSPITALS, *HOSPITALS)),
        "kind": kind,
        "records": sorted(records) if kind == "selective" else [],
        "purposes": sorted(rng.sample(PURPOSES, rng.choice((0, 0, 0, 1, 3)))),
        "actions": rng.choice((["list", "read"], ["list", "read"], ["list"], GRANTABLE)),
        "start": NOW + rng.choice((-DAY, -DAY, -DAY, 0, 1)),
        "end": NOW + rng.choice((0, DAY, DAY, DAY)),
        "uses": rng.choice((None, None, 1, 2)),
        "codes": sorted(rng.sample(CODES, rng.choice((0, 1, 2)))),
        "sensitive": kind == "full" and rng.random() < 0.3,
    }
    if world["grants"] and rng.random() < 0.4:
        before = rng.choice(world["grants"])
        grant |= {"grantee": before["grantee"], "lineage": before["lineage"]}
    return grant


def random_ask(rng: Random, world: World) -> Ask:
    """A question; mostly by somebody who is there, and mostly one that their role may ask."""
    if world["grants"] and rng.random() < 0.4:
        return consented_ask(rng, world)
    actor, role, hospital = random_asker(rng, world)
    usual = words(ROLES.get(role, ""))
    action = rng.choice(usual) if usual and rng.random() < 0.6 else rng.choice(ACTIONS)
    if role == "doctor" and rng.random() < 0.6:
        action = rng.choice(("list", "read"))
    return {
        "actor": actor,
        "role": role,
        "hospital": hospital,
        "assurance": rng.choice((1, 2, 3, 3, 3, 3)),
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": action if rng.random() < 0.99 else "peek",
        "purpose": rng.choice(("TREAT", "TREAT", "TREAT", rng.choice((*PURPOSES, "FUN")))),
        "now": random_now(rng, world),
        "record": rng.choice((*world["records"], None)),
    }


def consented_ask(rng: Random, world: World) -> Ask:
    """A question by somebody to whom something was granted, about what the grant is about."""
    pairs = [
        (grant, one)
        for grant in world["grants"]
        for one in world["members"]
        if one["role"] == "doctor" and grant["grantee"] in (one["account"], one["hospital"])
    ]
    grant, one = rng.choice(pairs or [(world["grants"][0], world["members"][0])])
    live = [r for r in world["records"] if r["retracted"] is None and r["gone"] is None]
    listed = [record for record in live if record["id"] in grant["records"]]
    return {
        "actor": one["account"],
        "role": one["role"],
        "hospital": one["hospital"],
        "assurance": 3,
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": rng.choice(grant["actions"]),
        "purpose": rng.choice(grant["purposes"] or ["TREAT"]),
        "now": rng.choice((NOW, NOW, grant["start"] + rng.choice(EDGE), grant["end"] - 1)),
        "record": rng.choice(listed or live or [None]),
    }


def random_asker(rng: Random, world: World) -> tuple[str, str, str | None]:
    dice = rng.random()
    if dice < 0.2:
        return rng.choice((ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1])), "patient", None
    if dice < 0.9:
        one = rng.choice(world["members"])
        return one["account"], one["role"], one["hospital"]
    role = rng.choice((*ROLES, "janitor"))
    return rng.choice(ACCOUNTS), role, rng.choice(HOSPITALS) if role in IN_HOSPITAL else None


def random_now(rng: Random, world: World) -> int:
    """Mostly one instant; else an edge of age, grants and terms, or a millisecond beside it."""
    if rng.random() < 0.7:
        return NOW
    patient = world["patient"] or {}
    edges = [NOW, patient.get("teen_from"), patient.get("adult_from")]
    for bounded in (*world["grants"], *world["members"]):
        edges += [bounded["start"], bounded["end"]]
    return int(rng.choice([edge for edge in edges if edge is not None])) + rng.choice(EDGE)
