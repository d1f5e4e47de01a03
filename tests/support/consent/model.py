"""A slow model of `decide`, written from the page on consent and from nothing else.

It shares no line with `consent/` and imports nothing of it: plain dicts in, a plain tuple out.
Nothing is folded beforehand: who rules in a lineage, how often a grant was used, who is in a group,
what is hidden, who is excluded and whether a person is of age are worked out anew for every question,
by looking through all that happened. `tests/support/consent/random_cases.py` draws situations and questions.

    situation
             patient      {"id", "account", "hospital" that registered it (None: the service), "seq",
                          "teen_from" and "adult_from" (ms, None of age), "deceased": the number of
                          the entry that told of it or 0, "claims": [{"seq", "code": True where a
                          code is offered, by "hospital" (None: the service); False where "account"
                          claims with it}], "erased": the number of the entry that asked to erase the
                          chart, or None} or None
             accounts     [account]
             hospitals    {hospital: active?}
             members      [{"account", "role", "hospital", "seq", "active", "start", "end", "profession" of a doctor
             (or left out)}]; of
                          auditors, operators and the service the hospital is None; the term
                          (ms, None without a bound) is an auditor's
             groups       {group: its hospital}
             joinings     [{"seq", "account", "group", "joined": False of leaving}]
             grants       [{"seq", "id", "lineage", "grantee": account, hospital or group, "kind":
                          full|partial|selective, "records", "what": criteria of a partial one,
                          "exceptions": [provision], "purposes", "actions", "start", "end", "uses",
                          "codes", "sensitive", "by": account of who gave it on the patient's behalf}]
             revocations  [{"seq", "grantee", "lineage": id or None}]
             exclusions   [{"seq", "reader": account, hospital or group, "lifted"}]
             openings     [{"seq", "type": record.opened unless given, "basis": numbers that a
                          permitted reading rested on}]
             emergencies  [{"seq", "id", "doctor", "hospital", "start", "end" (ms)}], as declared
             consultations [{"seq", "hospital", "doctor", "categories", "end" (ms), "confirmed" by the patient: seq or
                          None, "closed": seq or None}]
             referrals    [{"seq", "id", "sender" and "receiver": hospitals, "records": those that travel, "accepted" and "declined"
                          by the receiver: seq or None}]
             ceilings     [{"seq", "ceiling": off|normal|restricted}], as the patient configured
             links        [{"other": a chart that a hospital linked with this one, "seq", "registered", "account",
                          "exclusions" and "grants" of that one, "signed" and "theirs": seq or None of what the two
                          patients said, "parted": seq or None of this chart's patient saying that it isn't so}]
             records      [record]
             holds        [{"seq", "kind": harm|legal, "hospital", "record": id or None of a legal one on
                          all that the hospital has, "against": account or None, "end" (ms, None without
                          one), "lifted": seq or None}]
    criteria   {"authors": [account or hospital], "categories", "date_from", "date_to", "episodes"},
               any of them left out
    provision  criteria, "labels" (of a denying one) and "records", "type": permit|deny, "exceptions"
    record   {"id", "seq", "author", "hospital" (None: the patient's own), "category",
             "clinical_date", "episode", "labels", "sensitive", "confidentiality", "hidings": numbers
             of the entries that hid it and showed it by turns, "retracted" and "gone": seq or None}; all
             were written at the instant of most questions, "written" (ms)
    ask      actor, role, hospital, assurance, on_behalf_of, action, purpose, now (ms),
             record or None, "step" of a register: "offer" of a claim code, "claim" by whoever proves it; of
             a grant: "narrow" of what takes back; of an erase: "withdraw" of the "erasure" {"seq", "due" (ms), "state", "state_seq"},
             "about" of a review: the id of an emergency; of a refer with the step "answer" or "take" that of a referral
    policy   professions {profession: actions} (PROFESSIONS if left out), custodian_reads, care_link (off if not named), emergency_hours (4 if not named), retention_years, assurance {action: level,
             "read_sensitive": level}, 1 if not named
    answer   (effect, rule, reason or None, basis)

Of a situation without groups, exclusions or exceptions, and of a record without categories, these members
may be left out, and so may `claims`, `links`, `consultations`, `referrals`, `emergencies`, `ceilings`, `erased`, `holds`, `step` and `about`. `register` without a step is `patient.registered`, and
`patient.corrected` if the patient is there; of a patient it is the linking of charts, of which nothing is asked here. Appointments are facts that nobody has.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Final

Situation = dict[str, Any]
Ask = dict[str, Any]
Answer = tuple[str, str, str | None, tuple[int, ...]]


def words(text: str) -> list[str]:
    return text.split()


ROLES: Final = {
    "person": "register",
    "patient": "list read append hide retract export grant exclude read_history erase register",
    "relative": "list read append read_history grant request_access",
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
    "read_sensitive": 2,
}
WRITTEN: Final = 1_795_000_000_000
"""When records were written of which nothing else is said, ms."""
RETENTION_YEARS: Final = 30
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


def told(answer: Answer, ask: Ask) -> Answer:
    """What a refused asker is told: nobody learns that they are excluded, nor can tell it from emergencies that are off."""
    urgent = ask["purpose"] in ("BTG", "ETREAT")
    if answer[2] != "excluded" and not (answer[2] == "emergency_off" and urgent):
        return answer
    if ask["action"] == "declare_emergency":
        return deny("S8", "emergency_off")
    return deny("S8", "emergency_needed") if urgent else deny("S12", "no_consent")


def obligations(answer: Answer) -> tuple[str, ...]:
    """What comes with the answer: all is recorded, of an emergency people are told."""
    emergency = ("tell_patient", "tell_privacy_officer", "review")
    return ("record", *(emergency if answer[:2] == ("permit", "S8") else ()))


# --- who the asker is


def membership(situation: Situation, ask: Ask) -> dict[str, Any] | None:
    """The entry that gives this account this role (in this hospital), if it is active."""
    for member in situation["members"]:
        same = all(member[key] == ask[own] for key, own in MEMBER_KEYS)
        if same and member["active"] and in_term(member, ask["now"]):
            return dict(member)
    return None


def in_term(member: dict[str, Any], now: int) -> bool:
    start, end = member["start"], member["end"]
    return (start is None or start <= now) and (end is None or now < end)


MEMBER_KEYS: Final = (("account", "actor"), ("role", "role"), ("hospital", "hospital"))


def member(account: str, role: str, hospital: str | None, seq: int, active: bool = True) -> Ask:
    """A membership without a term."""
    named = {"account": account, "role": role, "hospital": hospital}
    return named | {"seq": seq, "active": active, "start": None, "end": None}


def in_group(situation: Situation, account: str, group: str) -> bool:
    """What was said last of this account and this group."""
    said = [
        joining
        for joining in situation.get("joinings", [])
        if (joining["account"], joining["group"]) == (account, group)
    ]
    return bool(said) and bool(latest(said)["joined"])


def latest(entries: list[Ask]) -> Ask:
    return max(entries, key=lambda entry: int(entry["seq"]))


def holds_role(situation: Situation, ask: Ask) -> bool:
    role = ask["role"]
    if role == "person":
        return True
    if role == "patient":
        return is_patient(situation, ask)
    if role == "relative":  # whoever is linked or appointed, whether it counts yet and still or not
        related = situation.get("relations", [])
        return any(one["account"] == ask["actor"] and standing(situation, one) for one in related)
    if membership(situation, ask) is None:
        return False
    if role == "auditor" and any(  # nobody is auditor and holds a hospital's role at once
        member["active"] and member["role"] in IN_HOSPITAL and member["account"] == ask["actor"]
        for member in situation["members"]
    ):
        return False
    return role not in IN_HOSPITAL or bool(situation["hospitals"].get(ask["hospital"]))


def is_patient(situation: Situation, ask: Ask) -> bool:
    patient = situation["patient"]
    return patient is not None and ask["role"] == "patient" and ask["actor"] == account_of(patient)


def account_of(patient: Ask) -> str:
    """Whoever claimed it last, else the account that it was registered for."""
    claims = [entry for entry in patient.get("claims", []) if not entry["code"]]
    return str(latest(claims)["account"] if claims else patient["account"])


def waits_for(patient: Ask | None) -> int | None:
    """The entry that offered the code for which the chart waits: the newest, unless somebody claimed since."""
    said = patient.get("claims", []) if patient else []
    return int(latest(said)["seq"]) if said and latest(said)["code"] else None


def age(situation: Situation, now: int) -> str:
    patient = situation["patient"]
    if patient["adult_from"] is None or now >= patient["adult_from"]:
        return "adult"
    return "teen" if now >= patient["teen_from"] else "child"


# --- the stages, in the order of the page


def s0_sanity(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    sane = (
        (situation["patient"] is not None or (ask["action"] == "register" and not ask.get("step")))
        and ask["actor"] in situation["accounts"]
        and ask["role"] in ROLES
        and ask["action"] in ACTIONS
        and ask["purpose"] in PURPOSES
        and holds_role(situation, ask)
    )
    return None if sane else deny("S0", "invalid")


def s1_role(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    role, action = ask["role"], ask["action"]
    if action not in ROLES[role].split() or (action == "declare_emergency" and ask["on_behalf_of"]):
        return deny("S1", "role")
    if role == "doctor" and not profession_may(situation, ask, policy):
        return deny("S1", "role")
    if role == "auditor":
        member = membership(situation, ask)
        return permit("S1", member["seq"]) if member else None
    return None


PROFESSIONS: Final = {
    "physician": "list read append amend retract refer declare_emergency request_access hold register",
    "nurse": "list read append amend retract declare_emergency request_access",
    "laboratory": "append amend retract list read",
    "pharmacist": "list read append request_access",
    "trainee": "list read append",
}
"""What each may at most, where the policy doesn't say."""


def profession_may(situation: Situation, ask: Ask, policy: Ask) -> bool:
    """Of what doctors may, what the policy leaves the profession of their approval; without one they are physicians."""
    mine = membership(situation, ask) or {}
    limits = policy.get("professions") or {p: PROFESSIONS[p].split() for p in PROFESSIONS}
    return ask["action"] in limits[mine.get("profession") or "physician"]


def s2_state(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    patient, record = situation["patient"], ask["record"]
    offer = waits_for(patient)
    if offer is not None and is_patient(situation, ask):
        return deny("S2", "unclaimed", offer)
    gone = gone_by(situation, ask)
    if gone is not None:
        return deny("S2", "gone", gone)
    if record and record["retracted"] is not None:
        ours = record["hospital"] is not None and ask["hospital"] == record["hospital"]
        if not ours and not is_patient(situation, ask):
            return deny("S2", "retracted", record["retracted"])
    claims = ask["action"] == "register" and ask.get("step") == "claim" and ask["role"] == "person"
    gives = ask["action"] == "grant" and ask.get("step") != "narrow"  # a revocation gives nothing
    if patient and patient["deceased"] and (gives or claims):
        return deny("S2", "deceased", patient["deceased"])
    if patient and age(situation, ask["now"]) == "child" and would_hand_over(situation, ask):
        return deny("S2", "minor", patient["seq"])
    if ask["action"] == "erase" and ask.get("step") != "withdraw":
        return kept_from_erasing(situation, ask, policy)
    return None


def gone_by(situation: Situation, ask: Ask) -> int | None:
    """The entry by which it was erased. An erasure can be taken back until its keys may be gone."""
    if ask.get("step") == "withdraw":
        erasure = ask["erasure"]
        if erasure["state"] == "withdrawn":
            return None
        waits = erasure["state"] == "requested" and ask["now"] < erasure["due"]
        return None if waits else int(erasure["state_seq"])
    patient, record = situation["patient"], ask["record"]
    erased = patient.get("erased") if patient else None
    if erased is not None and ask["action"] not in ("read_history", "review", "verify"):
        return int(erased)
    return int(record["gone"]) if record and record["gone"] is not None else None


def kept_from_erasing(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """A legal hold on it; else, of what a hospital wrote, the years of the policy. Of a chart, of any record in it."""
    whole = situation["records"] if ask["record"] is None else [ask["record"]]
    records = [record for record in whole if record["gone"] is None]
    held = [
        int(hold["seq"])
        for hold in holding(situation, "legal", ask["now"])
        if (hold["record"] is None and ask["record"] is None)
        or any(on(hold, record) for record in records)
    ]
    if held:
        return deny("S2", "legal_hold", min(held))
    young = [int(r["seq"]) for r in records if r["hospital"] and ask["now"] < end_of(r, policy)]
    return deny("S2", "retention", min(young)) if young else None


def holding(situation: Situation, kind: str, now: int) -> list[Ask]:
    """The holds of a kind that stand."""
    return [
        hold
        for hold in situation.get("holds", [])
        if hold["kind"] == kind
        and hold["lifted"] is None
        and (hold["end"] is None or now < hold["end"])
    ]


def on(hold: Ask, record: Ask) -> bool:
    """Whether a hold is on a record: by its name, or on all that its hospital has."""
    if hold["record"] is not None:
        return bool(hold["record"] == record["id"])
    return bool(hold["hospital"] == record["hospital"])


def end_of(record: Ask, policy: Ask) -> int:
    """Midnight of the day after so many years, from its date on or else from the day on which it was written."""
    written = datetime.fromtimestamp(record.get("written", WRITTEN) / 1000, UTC).date()
    first = date.fromisoformat(record["clinical_date"]) if record["clinical_date"] else written
    year = first.year + int(policy.get("retention_years", RETENTION_YEARS))
    try:
        last = first.replace(year=year)
    except ValueError:  # 29 February
        last = date(year, 3, 1)
    return int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()) * 1000


def would_hand_over(situation: Situation, ask: Ask) -> bool:
    """A code would be offered, or the chart be claimed, were the patient not a child."""
    if ask["action"] != "register" or ask["on_behalf_of"]:
        return False
    if ask.get("step") == "claim":
        return ask["role"] == "person" and waits_for(situation["patient"]) is not None
    if ask.get("step") != "offer" or ask["role"] not in (*IN_HOSPITAL, "service"):
        return False
    member = membership(situation, ask)
    return member is not None and s6_registering(situation, ask, member["seq"]) is not None


def s3_assurance(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    needed = policy["assurance"].get(ask["action"], 1)
    if ask["action"] == "read" and ask["record"] and ask["record"]["sensitive"]:
        needed = max(needed, policy["assurance"].get("read_sensitive", 1))
    return deny("S3", "step_up") if ask["assurance"] < needed else None


def s4_harm_hold(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """Of who acts as patient or relative, of the patient in any role, and of the patient if they act for them; told to
    nobody who would be denied without it."""
    record, patient = ask["record"], situation["patient"]
    if record is None or patient is None:
        return None
    if ask["action"] == "append" and ask["hospital"] and not ask["on_behalf_of"]:
        return None  # the duty to keep records is about no record that is there
    found = [
        int(hold["seq"])
        for hold in holding(situation, "harm", ask["now"])
        if hold["record"] == record["id"]
        and hold["hospital"] == record["hospital"]
        and against(situation, hold, ask)
        and may_be_held(situation, ask)
    ]
    unheld = situation | {"holds": []}
    if not found or decide(unheld, ask, policy)[0] == "deny":
        return None
    return deny("S4", "harm_hold", min(found))


def against(situation: Situation, hold: Ask, ask: Ask) -> bool:
    """The patient, whoever that is by now, if it was when the hold was placed; else the account that it names."""
    patient = situation["patient"]
    now = account_of(patient)
    before = [one for one in patient.get("claims", []) if one["seq"] < hold["seq"]]
    if hold["against"] == account_of(patient | {"claims": before}):
        return now in (ask["actor"], ask["on_behalf_of"])
    if hold["against"] == now == ask["on_behalf_of"]:
        return True
    acts = ask["role"] in ("patient", "relative") or ask["actor"] == now
    return bool(acts and hold["against"] == ask["actor"])


def may_be_held(situation: Situation, ask: Ask) -> bool:
    """Who acts for somebody else without being patient or relative has no right of theirs anyway."""
    own = account_of(situation["patient"]) in (ask["actor"], ask["on_behalf_of"])
    return own or ask["role"] in ("patient", "relative") or ask["action"] == "erase"


def s5_self(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    if ask["on_behalf_of"] or not is_patient(situation, ask):
        return None
    allowed = {"adult": SELF_ADULT, "teen": SELF_TEEN, "child": []}[age(situation, ask["now"])]
    if ask["action"] not in allowed:
        return None
    if ask["action"] == "retract" and not wrote_as_patient(ask):
        return None
    claims = [one for one in situation["patient"].get("claims", []) if not one["code"]]
    return permit("S5", latest(claims)["seq"] if claims else situation["patient"]["seq"])


def wrote_as_patient(ask: Ask) -> bool:
    """Of a doctor who is the patient, what they wrote for a hospital is the hospital's."""
    record = ask["record"]
    return record is not None and record["author"] == ask["actor"] and record["hospital"] is None


def s6_custodian(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """Of the service, which is in no hospital, the entry that made it the service is taken."""
    if ask["on_behalf_of"]:
        return None
    if ask["action"] == "register" and ask.get("step") == "claim":
        offer = waits_for(situation["patient"])
        proved = ask["role"] == "person" and offer is not None
        return permit("S6", offer or 0) if proved else None
    member = membership(situation, ask)
    if member is None or ask["role"] not in (*IN_HOSPITAL, "service"):
        return None
    if ask["action"] == "register":
        return s6_registering(situation, ask, member["seq"])
    if ask["action"] == "append" and ask["role"] in ("doctor", "hospital_system"):
        return permit("S6", member["seq"])
    if ask["action"] == "refer" and ask.get("step") in ("answer", "take"):
        return s6_referred(situation, ask, member["seq"])
    if ask["record"] is None and ask["action"] in ("disclose", "refer", "review"):
        return s6_own_acts(situation, ask, member["seq"])
    record = ask["record"]
    if record is None and ask["action"] == "hold" and ask["role"] == "hospital_admin":
        has_any = any(one["hospital"] == ask["hospital"] for one in situation["records"])
        return permit("S6", member["seq"]) if has_any else None
    if record is None or record["hospital"] is None or record["hospital"] != ask["hospital"]:
        return None
    if ask["action"] in OWN_RECORDS[ask["role"]]:
        return permit("S6", member["seq"], record["seq"])
    if ask["action"] in ("list", "read") and not policy["custodian_reads"]:
        return None
    if ask["action"] in CUSTODIAN and ask["purpose"] in CUSTODIAN_PURPOSES:
        return permit("S6", member["seq"], record["seq"])
    return None


def s6_own_acts(situation: Situation, ask: Ask, entered: int) -> Answer | None:
    """Disclosing or referring what a hospital has; reviewing what was declared at it."""
    if ask["action"] in ("disclose", "refer"):
        return permit("S6", entered) if stands_by_a_record(situation, ask["hospital"]) else None
    for one in situation.get("emergencies", []):
        if (one["id"], one["hospital"]) == (ask.get("about"), ask["hospital"]):
            return permit("S6", entered, one["seq"])
    return None


def s6_referred(situation: Situation, ask: Ask, entered: int) -> Answer | None:
    """The hospital that a referral names accepts and declines, and takes up what it accepted, unless it or who asks is excluded."""
    readers = [ask["actor"], ask["hospital"]]
    groups = situation.get("groups", {})
    readers += [group for group in groups if in_group(situation, ask["actor"], group)]
    if any(excluded_by(chart, one) for chart in charts_of(situation) for one in readers):
        return None
    for one in situation.get("referrals", []):
        if (one["id"], one["receiver"]) != (ask.get("about"), ask["hospital"]):
            continue
        if ask["step"] == "answer":
            return permit("S6", entered, one["seq"])
        if one["accepted"] is not None and one["declined"] is None:
            return permit("S6", entered, one["seq"], one["accepted"])
    return None


def s6_registering(situation: Situation, ask: Ask, entered: int) -> Answer | None:
    """Of a patient who is there already, a correction: by the hospital that registered alone."""
    patient = situation["patient"]
    if patient is None:
        return permit("S6", entered)
    registrar = patient.get("hospital")
    ours = registrar is not None and registrar == ask["hospital"]
    if ask.get("step") == "offer":
        alone = registrar is None and ask["role"] == "service"
        ours = ours or alone or stands_by_a_record(situation, ask["hospital"])
    return permit("S6", entered) if ours else None


def stands_by_a_record(situation: Situation, hospital: str | None) -> bool:
    """Grants 7: a hospital that has a record of the patient, neither retracted nor erased."""
    return hospital is not None and any(
        record["hospital"] == hospital and record["retracted"] is None and record["gone"] is None
        for record in situation["records"]
    )


def s7_exclusion(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """A person's beats the emergency; a hospital's and a group's leave to S8 what S8 answers. Not for asking for access, but
    where it is for an emergency's sake, which S8 refuses anyway."""
    if ask["action"] == "request_access" and ask["purpose"] not in ("BTG", "ETREAT"):
        return None
    readers = [ask["actor"]]
    if s8_emergency(situation, ask, policy) is None:
        readers.append(ask["hospital"])
        groups = situation.get("groups", {})
        readers += [group for group in groups if in_group(situation, ask["actor"], group)]
    said = [excluded_by(chart, reader) for chart in charts_of(situation) for reader in readers]
    found = [seq for seq in said if seq is not None]
    return deny("S7", "excluded", min(found)) if found else None


def charts_of(situation: Situation) -> list[Situation]:
    """This one, and those whose exclusions hold in it, too."""
    return [situation, *(one for one in situation.get("links", []) if one["parted"] is None)]


def excluded_by(situation: Situation, reader: str | None) -> int | None:
    """The entry by which this reader is excluded, if the last word on them is an exclusion."""
    said = [entry for entry in situation.get("exclusions", []) if entry["reader"] == reader]
    if not said or latest(said)["lifted"]:
        return None
    return int(latest(said)["seq"])


def s8_emergency(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """Declaring needs no more than standing; reading an own emergency that is open, up to the ceiling."""
    declares = ask["action"] == "declare_emergency" and ask["role"] == "doctor"
    if not declares and ask["purpose"] not in ("BTG", "ETREAT"):
        return None
    if ceiling(situation) == "off":
        return deny("S8", "emergency_off")
    if declares:
        return permit("S8")
    mine = [one for one in situation.get("emergencies", []) if stands_open(one, ask, policy)]
    if not mine:
        return deny("S8", "emergency_needed")
    seen = ask["action"] in ("list", "read") and level(ask["record"]) in VISIBLE[ceiling(situation)]
    seq = int(latest(mine)["seq"])
    return permit("S8", seq) if seen else deny("S8", "emergency_ceiling", seq)


VISIBLE: Final = {"normal": ("normal",), "restricted": ("normal", "restricted")}
HOUR: Final = 3_600_000


def ceiling(situation: Situation) -> str:
    """The patient's last word; without one, what is normal."""
    said = situation.get("ceilings", [])
    return str(latest(said)["ceiling"]) if said else "normal"


def stands_open(one: Ask, ask: Ask, policy: Ask) -> bool:
    """Declared by the asker for the same hospital, and not over, by the policy then and by the one now."""
    if ask["role"] != "doctor" or ask["on_behalf_of"]:
        return False
    if (one["doctor"], one["hospital"]) != (ask["actor"], ask["hospital"]):
        return False
    shortened = one["start"] + policy.get("emergency_hours", 4) * HOUR
    return bool(one["start"] <= ask["now"] < one["end"] and ask["now"] < shortened)


def level(record: Ask | None) -> str:
    """Of a record in an emergency: what is sensitive counts as restricted, what nobody knows as hidden."""
    if record is None:
        return "none"
    if hidden(record) or record["confidentiality"] not in ("normal", "restricted"):
        return "hidden"
    plain = (
        record["confidentiality"] == "normal" and not record["sensitive"] and not record["labels"]
    )
    return "normal" if plain else "restricted"


def s9_grant(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    if ask["on_behalf_of"]:
        return None
    own = [grant for grant in situation["grants"] if applies(situation, grant, ask)]
    if ask["role"] == "relative":  # what one who acts for the patient gave another
        own = [grant for grant in own if grant.get("by") is None]
    fitting: list[tuple[Ask, tuple[int, ...]]] = [
        (grant, tuple(given_by(situation, grant, ask))) for grant in own
    ]
    fitting += carried(situation, ask)
    if not fitting:
        return None
    chosen, signed = min(fitting, key=lambda one: (one[0]["uses"] is not None, one[0]["seq"]))
    return permit("S9", chosen["seq"], *signed)


def carried(situation: Situation, ask: Ask) -> list[tuple[Ask, tuple[int, ...]]]:
    """Of charts of the same person, both having signed, what grants say that names nothing of its own chart; nothing
    sensitive. With the two entries that signed."""
    record = ask["record"]
    if record is not None and (record["sensitive"] or record["labels"]):
        return []
    return [
        (grant, (link["signed"], link["theirs"]))
        for link in situation.get("links", [])
        if link["signed"] is not None and link["theirs"] is not None and link["parted"] is None
        for grant in link["grants"]
        if grant["kind"] != "selective" and grant["uses"] is None and not grant.get("exceptions")
        if applies(situation | {"grants": link["grants"], "revocations": []}, grant, ask)
    ]


def s10_on_behalf(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """What the one who is acted for may do (S5 as if of age, or S9), cut down to what they let the actor do."""
    if not ask["on_behalf_of"] or ask["action"] not in [
        "append",
        "grant",
        "list",
        "read",
        "read_history",
    ]:
        return None
    if ask["role"] == "relative":
        return s10_relative(situation, ask)
    return s10_colleague(situation, ask, policy) if ask["role"] == "doctor" else None


def s10_relative(situation: Situation, ask: Ask) -> Answer | None:
    patient = situation["patient"]
    if ask["on_behalf_of"] != account_of(patient):
        return None
    fitting = [
        one
        for one in situation.get("relations", [])
        if one["account"] == ask["actor"]
        and standing(situation, one)
        and reaches(situation, one, ask)
    ]
    if not fitting:
        return None
    claims = [one for one in patient.get("claims", []) if not one["code"]]
    principal = latest(claims)["seq"] if claims else patient["seq"]
    chosen = min(fitting, key=lambda one: int(one["seq"]))
    confirmed = chosen["confirmed"] if chosen["kind"] == "guardian" else None
    return permit("S10", *sorted({principal, chosen["seq"], confirmed or chosen["seq"]}))


def standing(situation: Situation, relation: Ask) -> bool:
    """Until it is ended; a relative's also until the patient excludes them, for good."""
    kept_out = [
        said
        for said in situation.get("exclusions", [])
        if said["reader"] == relation["account"] and not said["lifted"]
        and said["seq"] > relation["seq"]
    ]  # fmt: skip
    ended = relation["kind"] == "relative" and kept_out
    return relation["ended"] is None and not ended


def reaches(situation: Situation, relation: Ask, ask: Ask) -> bool:
    if relation["kind"] == "relative":
        begun = relation["start"] <= ask["now"] < relation["end"]
        return begun and ask["action"] in relation["actions"] and in_scope(relation["terms"], ask)
    years = age(situation, ask["now"])
    waited = relation["objected"] is None and ask["now"] >= relation["appointed"] + 72 * 3_600_000
    if years == "adult" or not (waited or relation["confirmed"] is not None):
        return False
    record = ask["record"]
    if record is None and ask["action"] in ("list", "read"):
        return False
    if years == "child":
        return True
    if record is None:
        return bool(ask["action"] != "read_history")
    return not (record.get("minor_private") or record["labels"] or hidden(record))


def s10_colleague(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """Through two delegations at most, the shortest way first; who gives them is a doctor there and not kept out."""
    given = [
        one
        for one in situation.get("delegations", [])
        if one["hospital"] == ask["hospital"]
        and one["ended"] is None
        and one["start"] <= ask["now"] < one["end"]
        and ask["action"] in one["actions"]
    ]
    ways = [
        way
        for way in ([(one,) for one in given] + [(one, two) for one in given for two in given])
        if way[0]["giver"] == ask["on_behalf_of"]
        and way[-1]["account"] == ask["actor"]
        and all(a["account"] == b["giver"] for a, b in pairwise(way))
    ]
    ways = [way for way in ways if len(way) == 1 or way[0]["account"] != ask["actor"]]
    for way in sorted(ways, key=lambda way: (len(way), [one["seq"] for one in way])):
        givers = [ask | {"actor": one["giver"], "on_behalf_of": None} for one in way]
        if any(
            not holds_role(situation, giver)
            or not profession_may(situation, giver, policy)
            or s7_exclusion(situation, giver, policy)
            for giver in givers
        ):
            continue
        ends = [(one, ask | {"actor": one[name]}) for one in way for name in ("giver", "account")]
        if any(entered_at(situation, end) >= one["seq"] for one, end in ends):
            continue  # who left and came back delegates anew
        granted = s9_grant(situation, givers[0], policy)
        if granted is not None:
            return permit("S10", *sorted({*(one["seq"] for one in way), *granted[3]}))
    return None


def s11_care_link(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    """A consultation that the patient signed and nobody closed ties the doctor's hospital to what it is about; a referral that
    it accepted, and didn't hand back, to what that lists of the sender's."""
    record = ask["record"]
    if policy.get("care_link", "off") != "basic" or ask["purpose"] != "TREAT" or not record:
        return None
    if ask["role"] != "doctor" or ask["action"] not in ("list", "read") or ask["on_behalf_of"]:
        return None
    plain = (
        record["confidentiality"] == "normal" and not record["sensitive"] and not record["labels"]
    )
    if not plain or hidden(record):
        return None
    ties = [
        int(one["seq"])
        for one in situation.get("consultations", [])
        if one["hospital"] == ask["hospital"]
        and record["category"] in one["categories"]
        and one["confirmed"] is not None
        and one["closed"] is None
        and ask["now"] < one["end"]
    ]
    ties += [
        int(one["accepted"])
        for one in situation.get("referrals", [])
        if (one["receiver"], one["sender"]) == (ask["hospital"], record["hospital"])
        and record["id"] in one["records"]
        and one["accepted"] is not None
        and one["declined"] is None
    ]
    return permit("S11", min(ties)) if ties else None


def entered_at(situation: Situation, ask: Ask) -> int:
    entered = membership(situation, ask)
    return int(entered["seq"]) if entered else 0


def s12_default(situation: Situation, ask: Ask, policy: Ask) -> Answer | None:
    if ask["action"] == "request_access" and ask["role"] in ("doctor", "relative"):
        return permit("S12")
    return deny("S12", "no_consent")


# --- grants


def rules_lineage(situation: Situation, grant: Ask) -> bool:
    """The highest-numbered entry of its lineage rules; a revocation ends all of it."""
    later = [
        other
        for other in situation["grants"]
        if (other["lineage"], other["grantee"]) == (grant["lineage"], grant["grantee"])
        and other["seq"] > grant["seq"]
    ]
    ended = [
        end
        for end in situation["revocations"]
        if end["grantee"] == grant["grantee"]
        and end["lineage"] in (None, grant["lineage"])
        and end["seq"] > grant["seq"]
    ]
    return not later and not ended


def applies(situation: Situation, grant: Ask, ask: Ask) -> bool:
    return (
        rules_lineage(situation, grant)
        and grant["start"] <= ask["now"] < grant["end"]
        and is_grantee(situation, grant["grantee"], ask)
        and ask["purpose"] in (grant["purposes"] or ["TREAT"])
        and ask["action"] in grant["actions"]
        and (grant["uses"] is None or used(situation, grant) < grant["uses"])
        and in_scope(grant, ask)
        and (grant.get("by") is None or bool(given_by(situation, grant, ask)))
    )


def given_by(situation: Situation, grant: Ask, ask: Ask) -> list[int]:
    """Of a grant that somebody gave on the patient's behalf: the oldest relation of theirs before it that still counts."""
    found = [
        int(one["seq"])
        for one in situation.get("relations", [])
        if one["account"] == grant.get("by") and standing(situation, one) and one["seq"] < grant["seq"]
        and gives(situation, one, ask)
    ]  # fmt: skip
    return sorted(found)[:1]


def gives(situation: Situation, relation: Ask, ask: Ask) -> bool:
    """A relative in their time; a guardian who counts, and of what they may see themselves."""
    if relation["kind"] == "relative":
        return bool(relation["start"] <= ask["now"] < relation["end"])
    waited = relation["objected"] is None and ask["now"] >= relation["appointed"] + 72 * 3_600_000
    years = age(situation, ask["now"])
    if years == "adult" or not (waited or relation["confirmed"] is not None):
        return False
    record = ask["record"]
    if years == "child":
        return True
    if record is None:
        return bool(ask["action"] != "read_history")
    return not (record.get("minor_private") or record["labels"] or hidden(record))


def is_grantee(situation: Situation, grantee: str, ask: Ask) -> bool:
    """Of a group: who is in it and acts for the hospital whose group it is."""
    groups = situation.get("groups", {})
    if grantee in groups:
        return in_group(situation, ask["actor"], grantee) and ask["hospital"] == groups[grantee]
    return grantee in (ask["actor"], ask["hospital"])


def used(situation: Situation, grant: Ask) -> int:
    """How many records were opened on it; looking at the chart is no use."""
    return sum(
        grant["seq"] in opening["basis"]
        for opening in situation["openings"]
        if opening.get("type", "record.opened") == "record.opened"
    )


def in_scope(grant: Ask, ask: Ask) -> bool:
    """Listing and reading are decided record by record; an empty chart is in no grant."""
    record = ask["record"]
    if record is None:
        return grant["kind"] == "full" and ask["action"] not in ("list", "read")
    return (
        not hidden(record)
        and in_kind(grant, record)
        and labels_named(grant, record)
        and excepted(grant.get("exceptions", []), record, "permit") == "permit"
    )


def hidden(record: Ask) -> bool:
    """By the patient, who has hidden it once more often than shown it."""
    return len(record.get("hidings", [])) % 2 == 1


def in_kind(grant: Ask, record: Ask) -> bool:
    if grant["kind"] == "partial":
        return record["confidentiality"] == "normal" and meets(grant["what"], record, "permit")
    return grant["kind"] == "full" or record["id"] in grant["records"]


def excepted(exceptions: list[Ask], record: Ask, base: str) -> str:
    """The deepest match wins, among siblings a denial; no match leaves what it was."""
    verdicts = [
        excepted(exception.get("exceptions", []), record, exception["type"])
        for exception in exceptions
        if meets(exception, record, exception["type"])
    ]
    if not verdicts:
        return base
    return "deny" if "deny" in verdicts else "permit"


def meets(criteria: Ask, record: Ask, effect: str) -> bool:
    """Every criterion that is given; a record without a date meets the dates of a denial only."""
    undated = record.get("clinical_date") is None
    on = record.get("clinical_date") or ""
    findings: dict[str, Callable[[Any], bool]] = {
        "authors": lambda given: record["author"] in given or record["hospital"] in given,
        "categories": lambda given: record["category"] in given,
        "date_from": lambda given: effect == "deny" if undated else given <= on,
        "date_to": lambda given: effect == "deny" if undated else on <= given,
        "episodes": lambda given: record["episode"] in given,
        "labels": lambda given: any(label in given for label in record["labels"]),
        "records": lambda given: record["id"] in given,
    }
    return all(find(criteria[name]) for name, find in findings.items() if name in criteria)


def labels_named(grant: Ask, record: Ask) -> bool:
    """Every label is named; the tick "including sensitive" counts for all, in `full` alone."""
    if grant["kind"] == "full" and grant["sensitive"]:
        return True
    if record["sensitive"] and not record["labels"]:
        return False
    return set(record["labels"]) <= set(grant["codes"])


Stage = Callable[[Situation, Ask, Ask], Answer | None]
STAGES: Final[tuple[Stage, ...]] = (
    s0_sanity,
    s1_role,
    s2_state,
    s3_assurance,
    s4_harm_hold,
    s5_self,
    s6_custodian,
    s7_exclusion,
    s8_emergency,
    s9_grant,
    s10_on_behalf,
    s11_care_link,
    s12_default,
)


def decide(situation: Situation, ask: Ask, policy: Ask) -> Answer:
    """The first stage that answers decides."""
    for stage in STAGES:
        answer = stage(situation, ask, policy)
        if answer is not None:
            return answer
    raise AssertionError("the last stage always answers")


def decide_list(situation: Situation, ask: Ask, policy: Ask) -> tuple[Answer, list[str]]:
    """The answer to opening the chart, and the records that it shows, by their first entries."""
    whole = decide(situation, ask | {"record": None}, policy)
    ordered = sorted(situation["records"], key=lambda record: int(record["seq"]))
    answers = [
        (record["id"], decide(situation, ask | {"record": record}, policy)) for record in ordered
    ]
    permits = [(name, answer) for name, answer in answers if answer[0] == "permit"]
    shown = [name for name, _ in permits]
    if (whole[0] == "permit" and whole[1] in ("S1", "S5")) or not permits:
        return whole, shown
    stages = [int(answer[1].removeprefix("S")) for _, answer in permits]
    return permits[stages.index(min(stages))][1], shown
