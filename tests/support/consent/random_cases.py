"""Random situations, policies and questions for the model of `decide`, as `tests/support/consent/model.py` has them.

All of it is a function of the `Random` it is given. What happens is drawn one after the other, so that
a reading rests on a grant of whoever then was in the group, and what is lifted was excluded before.
Bounds lie at the instant of most questions or a millisecond beside it.
"""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final

from tests.support.consent import model
from tests.support.consent.model import (
    ACTIONS,
    IN_HOSPITAL,
    PURPOSES,
    ROLES,
    Ask,
    Situation,
    member,
    words,
)

NOW: Final = 1_795_000_000_000
DAY: Final = 86_400_000
PATIENT: Final = "pt_0"
ACCOUNTS: Final = [f"ac_{number}" for number in range(8)]
"""The first is the patient, the last is registered nowhere."""
HOSPITALS: Final = ["hs_0", "hs_1", "hs_2"]
GROUPS: Final = ["gp_0", "gp_1", "gp_2"]
CODES: Final = ["l_bh", "l_hiv", "l_psy"]
CATEGORIES: Final = words("condition imaging laboratory")
DATES: Final = words("2026-11-17 2026-11-18 2026-11-19")
OLD_DATES: Final = words("2024-02-29 2024-11-19 2025-11-17 2025-11-18 2025-11-19")
"""Of records that may be erased by now, or tomorrow."""
EPISODES: Final = ["ep_0", "ep_1"]
GRANTABLE: Final = words("append list read read_history")
RELATIVES: Final = words("append grant list read read_history")
WAIT: Final = 3 * DAY
"""How long a guardian waits whom nobody confirms."""
EDGE: Final = (-1, 0, 1)
TERMS: Final = (*4 * ((-DAY, DAY),), (0, DAY), (1, DAY), (-DAY, 0), (-DAY, 1), (0, 1))
"""Of grants, from the instant of most questions."""
HOUR: Final = 3_600_000
HOURS: Final = 4
"""How long an emergency lasted by the policy under which it was declared."""
BEGAN: Final = (0, 1, -1, -HOUR, -HOUR, 1 - HOUR, -HOURS * HOUR, 1 - HOURS * HOUR, -DAY)
"""When an emergency was declared, from the instant of most questions."""
WHAT: Final = words("authors categories date_from date_to episodes")


def random_case(rng: Random, questions: int, first: int = 1) -> tuple[Situation, Ask, list[Ask]]:
    """A situation whose entries are numbered from `first`, a policy, and questions about it."""
    situation = random_world(rng, first)
    return situation, random_policy(rng), [random_ask(rng, situation) for _ in range(questions)]


def random_policy(rng: Random) -> Ask:
    assurance = dict(model.ASSURANCE)
    if rng.random() < 0.2:
        assurance[rng.choice((*ACTIONS, "read_sensitive"))] = rng.randint(1, 3)
    if rng.random() < 0.1:
        del assurance[rng.choice([name for name in assurance if name != "read_sensitive"])]
    hours = rng.choice((HOURS, HOURS, HOURS, 1, 8))
    limits = random_limits(rng) if rng.random() < 0.3 else {}
    return limits | {
        "custodian_reads": rng.random() < 0.8,
        "assurance": assurance,
        "emergency_hours": hours,
        "care_link": rng.choice(("basic", "off")),
        "retention_years": rng.choice((1, 2, 10)),
    }


def random_limits(rng: Random) -> Ask:
    """Of each profession some of what doctors may, or all of it."""
    all_of_it = model.PROFESSIONS["physician"].split()
    drawn = {
        name: sorted(rng.sample(all_of_it, rng.choice((0, 3, 6, 9, 10, 10))))
        for name in model.PROFESSIONS
    }
    return {"professions": drawn}


# --- situations


def random_world(rng: Random, first: int) -> Situation:
    seqs = count(first)
    situation: Situation = {
        "accounts": ACCOUNTS[:-1],
        "hospitals": {hospital: rng.random() < 0.95 for hospital in HOSPITALS},
        "members": random_members(rng, seqs),
        "groups": {group: rng.choice(HOSPITALS) for group in GROUPS},
        "patient": random_patient(rng, seqs) if rng.random() < 0.97 else None,
        "joinings": [],
        "grants": [],
        "revocations": [],
        "exclusions": [],
        "openings": [],
        "emergencies": [],
        "ceilings": [],
        "consultations": [],
        "referrals": [],
        "relations": [],
        "delegations": [],
        "links": [],
    }
    for _ in range(rng.randint(0, 8)):
        join_or_leave(rng, situation, next(seqs))
    situation["records"] = [random_record(rng, seqs) for _ in range(4)]
    situation["holds"] = [
        held(
            rng.choice(situation["records"]),
            next(seqs),
            rng.choice((ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], None)),
        )
        | random_end_of_hold(rng, seqs)
        for _ in range(rng.choice((0, 0, 1, 2, 3)))
    ]
    if situation["patient"] and rng.random() < 0.15:
        claimed_later(rng, situation["patient"], next(seqs), next(seqs))
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        relate(rng, situation, next(seqs), next(seqs))
    for _ in range(rng.randint(0, 12)):
        add_consent(rng, situation, next(seqs))
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        consult(rng, situation, next(seqs), next(seqs), next(seqs))
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        refer(rng, situation, next(seqs), next(seqs), next(seqs))
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        declare(rng, situation, next(seqs))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        ceiling = rng.choice(("normal", "off", "restricted", "restricted"))
        situation["ceilings"].append({"seq": next(seqs), "ceiling": ceiling})
    for _ in range(rng.choice((0, 0, 2, 4, 6))):
        delegate(rng, situation, next(seqs))
    if situation["patient"] is not None:
        for _ in range(rng.choice((0, 0, 1, 2))):
            link(rng, situation, seqs)
    return situation


def link(rng: Random, situation: Situation, seqs: Iterator[int]) -> None:
    """One more chart of the same person, with exclusions and grants of its own; often of whom this one knows."""
    registered, seq = next(seqs), next(seqs)
    here = situation | {"grants": list(situation["grants"]), "exclusions": []}
    for _ in range(rng.choice((0, 1, 2, 3))):
        exclude_or_lift(rng, here, next(seqs))
    granted = [
        random_grant(rng, here | {"grants": []}, next(seqs)) for _ in range(rng.choice((0, 1, 2)))
    ]
    if rng.random() < 0.8:
        granted = [one | {"exceptions": [], "uses": None} for one in granted]
    if situation["grants"] and rng.random() < 0.5:
        known = rng.choice(situation["grants"])
        granted = [one | {"grantee": known["grantee"]} for one in granted]
    signed = [next(seqs) if rng.random() < 0.9 else None for _ in range(2)]
    situation["links"].append(
        {
            "other": f"pt_{seq}",
            "registered": registered,
            "account": rng.choice(ACCOUNTS[:-1]),
            "seq": seq,
            "exclusions": here["exclusions"],
            "grants": granted,
            "signed": signed[0],
            "theirs": signed[1],
            "parted": next(seqs) if rng.random() < 0.2 else None,
        }
    )


def declare(rng: Random, situation: Situation, seq: int) -> None:
    """An emergency by a doctor, whom somebody may have excluded meanwhile."""
    doctors = [one for one in situation["members"] if one["role"] == "doctor"]
    if not doctors:
        return
    one, start = rng.choice(doctors), NOW + rng.choice(BEGAN)
    named = {"id": f"ev_{seq}", "doctor": one["account"], "hospital": one["hospital"]}
    situation["emergencies"].append(
        named | {"seq": seq, "start": start, "end": start + HOURS * HOUR}
    )


def consult(rng: Random, situation: Situation, seq: int, signed: int, ended: int) -> None:
    """A consultation, mostly signed by the patient and open, about some kinds of records."""
    kinds = sorted({rng.choice(situation["records"])["category"], rng.choice(CATEGORIES)})
    situation["consultations"].append(
        {
            "seq": seq,
            "hospital": rng.choice(HOSPITALS),
            "doctor": rng.choice(ACCOUNTS[:5]),
            "categories": kinds,
            "end": NOW + rng.choice((-DAY, 0, 1, DAY, DAY, DAY)),
            "confirmed": signed if rng.random() < 0.8 else None,
            "closed": ended if rng.random() < 0.2 else None,
        }
    )


def refer(rng: Random, situation: Situation, seq: int, accepted: int, declined: int) -> None:
    """A referral, mostly of records that its sender wrote, mostly accepted and not handed back."""
    sender, receiver = rng.sample(HOSPITALS, 2)
    own = [one["id"] for one in situation["records"] if one["hospital"] == sender]
    listed = own if own and rng.random() < 0.8 else [one["id"] for one in situation["records"]]
    situation["referrals"].append(
        {
            "seq": seq,
            "id": f"ev_{seq}",
            "sender": sender,
            "receiver": receiver,
            "records": sorted(rng.sample(listed, rng.randint(1, len(listed)))),
            "accepted": accepted if rng.random() < 0.8 else None,
            "declined": declined if rng.random() < 0.2 else None,
        }
    )


def relate(rng: Random, situation: Situation, seq: int, later: int) -> None:
    """One more relative, on terms as a grant has them, or a guardian; one of a kind for an account."""
    account, kind = rng.choice(ACCOUNTS[:5]), rng.choice(("relative", "guardian"))
    if any((one["account"], one["kind"]) == (account, kind) for one in situation["relations"]):
        return
    start, end = rng.choice(TERMS)
    situation["relations"].append(
        {
            "seq": seq,
            "account": account,
            "kind": kind,
            "terms": random_grant(rng, situation, seq),
            "actions": rng.choice((["list", "read"], ["read"], RELATIVES)),
            "start": NOW + start,
            "end": NOW + end,
            "appointed": NOW - WAIT + rng.choice((-DAY, -1, 0, 1)),
            "confirmed": rng.choice((None, None, later)),
            "objected": rng.choice((None, None, later)),
            "ended": later if rng.random() < 0.1 else None,
        }
    )


def delegate(rng: Random, situation: Situation, seq: int) -> None:
    """One more delegation, mostly between doctors of one hospital, and often from whom something was delegated to."""
    at = rng.choice(HOSPITALS)
    doctors = [
        one["account"]
        for one in situation["members"]
        if (one["role"], one["hospital"]) == ("doctor", at)
    ]
    before = [one["account"] for one in situation["delegations"] if one["hospital"] == at]
    giver = rng.choice((*doctors, *before, *before, *ACCOUNTS[:2]))
    account = rng.choice((*doctors, *ACCOUNTS[:5]))
    named = (at, giver, account)
    there = [(one["hospital"], one["giver"], one["account"]) for one in situation["delegations"]]
    if giver == account or named in there:
        return
    start, end = rng.choice(TERMS)
    situation["delegations"].append(
        {
            "seq": seq,
            "hospital": at,
            "giver": giver,
            "account": account,
            "actions": rng.choice((["list", "read"], ["read"], GRANTABLE)),
            "start": NOW + start,
            "end": NOW + end,
            "ended": seq if rng.random() < 0.1 else None,
        }
    )


def held(record: Ask, seq: int, against: str | None) -> Ask:
    """A hold of the hospital that wrote a record: against somebody for harm, else a legal one without an end.

    Of the patient's own record, for which no hospital stands, it is of some hospital's, and means nothing.
    """
    kind, end = ("harm", NOW + DAY) if against else ("legal", None)
    hospital = record["hospital"] or HOSPITALS[0]
    placed = {"seq": seq, "kind": kind, "hospital": hospital, "record": record["id"]}
    return placed | {"against": against, "end": end, "lifted": None}


def random_end_of_hold(rng: Random, seqs: Iterator[int]) -> Ask:
    """Mostly none; else it ended, ends now, or was lifted. Some legal ones are on all that the hospital has."""
    dice = rng.random()
    if dice < 0.15:
        return {"lifted": next(seqs)}
    if dice < 0.3:
        return {"kind": "legal", "record": None, "against": None, "end": None}
    return {} if dice < 0.7 else {"end": NOW + rng.choice((-DAY, *EDGE))}


def random_members(rng: Random, seqs: Iterator[int]) -> list[Ask]:
    """Operator, service, doctors of one or two hospitals, and some other roles."""
    members = [member("ac_6", "service", None, 0), member("ac_5", "operator", None, 0)]
    for account in ACCOUNTS[:5]:
        for hospital in rng.sample(HOSPITALS, rng.choice((0, 1, 1, 1, 2))):
            members.append(member(account, "doctor", hospital, next(seqs), rng.random() < 0.95))
            if rng.random() < 0.3:
                members[-1]["profession"] = rng.choice(sorted(model.PROFESSIONS))
        for role in rng.sample((*IN_HOSPITAL[1:], "auditor"), rng.choice((0, 1, 1))):
            at = rng.choice(HOSPITALS) if role in IN_HOSPITAL else None
            members.append(member(account, role, at, next(seqs), rng.random() < 0.95))
            if role == "auditor":
                members[-1]["start"] = NOW + rng.choice((-DAY, -1, 0))
                members[-1]["end"] = NOW + rng.choice((0, 1, DAY))
    return members


def random_patient(rng: Random, seqs: Iterator[int]) -> Ask:
    """Of age or not; dead from the first entry, by a later one or not at all."""
    teen, adult = rng.choice(
        (
            (None, None),
            (None, None),
            (-DAY, DAY),
            (0, DAY),
            (-DAY, 0),
            (DAY, 2 * DAY),
            (DAY, 3 * DAY),
        )
    )
    ages = {
        "teen_from": None if teen is None else NOW + teen,
        "adult_from": None if adult is None else NOW + adult,
    }
    seq, told = next(seqs), next(seqs)
    named = {"id": PATIENT, "account": ACCOUNTS[0], "hospital": rng.choice((*HOSPITALS, None))}
    dead = rng.choice((0, 0, 0, 0, 0, 0, seq, told))
    ended = {"deceased": dead, "erased": next(seqs) if rng.random() < 0.03 else None}
    return named | ages | ended | {"seq": seq, "claims": random_claims(rng, seqs, seq)}


def random_claims(rng: Random, seqs: Iterator[int], registered: int) -> list[Ask]:
    """Mostly none; else codes, the first of them perhaps with the registration, and perhaps who claimed."""
    if rng.random() < 0.7:
        return []
    claims: list[Ask] = []
    for number in range(rng.choice((1, 1, 2))):
        seq = registered if not number and rng.random() < 0.5 else next(seqs)
        claims.append({"seq": seq, "code": True, "hospital": rng.choice((*HOSPITALS, None))})
    if rng.random() < 0.6:
        account = rng.choice((ACCOUNTS[0], ACCOUNTS[1]))
        claims.append({"seq": next(seqs), "code": False, "account": account})
    return claims


def claimed_later(rng: Random, patient: Ask, offered: int, claimed: int) -> None:
    """By another account, perhaps, once records are there and held back."""
    account = rng.choice((ACCOUNTS[0], ACCOUNTS[1]))
    patient["claims"] += [
        {"seq": offered, "code": True, "hospital": rng.choice(HOSPITALS)},
        {"seq": claimed, "code": False, "account": account},
    ]


def random_record(rng: Random, seqs: Iterator[int]) -> Ask:
    """A record; a sensitive one has mostly labels, and labels mostly make it sensitive."""
    seq, state = (
        next(seqs),
        rng.choice(("live", "live", "live", "live", "live", "retracted", "gone")),
    )
    labels = sorted(rng.sample(CODES, rng.choice((0, 0, 0, 0, 1, 2))))
    own = rng.random() < 0.2
    record = {
        "id": f"rc_{seq}",
        "seq": seq,
        "author": rng.choice(ACCOUNTS[:2]) if own else rng.choice((ACCOUNTS[0], *ACCOUNTS[:-1])),
        "hospital": None if own else rng.choice(HOSPITALS),
        "category": rng.choice(CATEGORIES),
        "clinical_date": rng.choice((None, *DATES, *OLD_DATES)),
        "episode": rng.choice((None, *EPISODES)),
        "labels": labels,
        "sensitive": bool(labels) != (rng.random() < 0.1),
        "confidentiality": rng.choice(("normal", "normal", "normal", "restricted", "unheard_of")),
        "minor_private": rng.random() < 0.2,
        "hidings": [next(seqs) for _ in range(rng.choice((0, 0, 0, 0, 1, 2, 3)))],
        "retracted": None,
        "gone": None,
    }
    return record if state == "live" else record | {state: next(seqs)}


# --- what happens in them


def add_consent(rng: Random, situation: Situation, seq: int) -> None:
    """One more grant, revocation, exclusion, reading that rested on a grant, or change in a group."""
    add = rng.choices(STEPS, WEIGHTS)[0]
    add(rng, situation, seq)


def grant(rng: Random, situation: Situation, seq: int) -> None:
    """Some by a relative or a guardian on the patient's behalf."""
    related = [one["account"] for one in situation["relations"]]
    by = rng.choice((*related, None, None)) if related else None
    given = random_grant(rng, situation, seq) | {"by": by}
    if by is not None and given["lineage"] == given["id"] and rng.random() < 0.3:
        given["grantee"] = rng.choice(
            related
        )  # to another one who acts for the patient, who has nothing of it
    situation["grants"].append(given)


def revoke(rng: Random, situation: Situation, seq: int) -> None:
    if situation["grants"]:
        old = rng.choice(situation["grants"])
        lineage = rng.choice((None, old["lineage"]))
        end = {"seq": seq, "grantee": old["grantee"], "lineage": lineage}
        situation["revocations"].append(end)


def exclude_or_lift(rng: Random, situation: Situation, seq: int) -> None:
    """Of somebody; often of whom it was said before, or to whom something was granted."""
    granted = [given["grantee"] for given in situation["grants"]]
    before = [said["reader"] for said in situation["exclusions"]]
    reader = rng.choice((*granted, *4 * before, *ACCOUNTS[:5], *HOSPITALS, *GROUPS))
    lifted = model.excluded_by(situation, reader) is not None
    situation["exclusions"].append({"seq": seq, "reader": reader, "lifted": lifted})


def open_record_or_chart(rng: Random, situation: Situation, seq: int) -> None:
    """By somebody whom the grant then was to; a reading of the chart uses nothing up."""
    if not situation["grants"]:
        return
    limited = [given for given in situation["grants"] if given["uses"]]
    old = rng.choice(limited or situation["grants"])
    readers = grantees(situation, old)
    if readers:
        reader = rng.choice(readers)
        kind = "record.opened" if rng.random() < 0.8 else "chart.opened"
        named = {"actor": reader["account"], "hospital": reader["hospital"]}
        situation["openings"].append({"seq": seq, "type": kind, "basis": [old["seq"]]} | named)


def join_or_leave(rng: Random, situation: Situation, seq: int) -> None:
    """Mostly of a doctor and a group of one of their hospitals."""
    at_home = [
        (one["account"], group)
        for one in situation["members"]
        for group, hospital in situation["groups"].items()
        if one["role"] == "doctor" and one["hospital"] == hospital
    ]
    anywhere = [(rng.choice(ACCOUNTS[:5]), rng.choice(GROUPS))]
    account, group = rng.choice(anywhere * 2 + at_home)
    joined = not model.in_group(situation, account, group)
    situation["joinings"].append({"seq": seq, "account": account, "group": group, "joined": joined})


Step = Callable[[Random, Situation, int], None]
STEPS: Final[tuple[Step, ...]] = (
    grant,
    revoke,
    exclude_or_lift,
    open_record_or_chart,
    join_or_leave,
)
WEIGHTS: Final = (60, 13, 11, 24, 5)


def grantees(situation: Situation, given: Ask) -> list[Ask]:
    """The doctors whom a grant is to."""
    return [
        one
        for one in situation["members"]
        if one["role"] == "doctor"
        and model.is_grantee(
            situation, given["grantee"], {"actor": one["account"], "hospital": one["hospital"]}
        )
    ]


def random_grant(rng: Random, situation: Situation, seq: int) -> Ask:
    kind = rng.choice(("full", "full", "partial", "partial", "selective"))
    start, end = rng.choice(TERMS)
    records = rng.sample([record["id"] for record in situation["records"]], rng.randint(1, 3))
    given = {
        "seq": seq,
        "id": f"gr_{seq}",
        "lineage": f"gr_{seq}",
        "grantee": rng.choice((*ACCOUNTS[:5], *HOSPITALS, *GROUPS)),
        "kind": kind,
        "records": sorted(records) if kind == "selective" else [],
        "what": random_criteria(rng, situation, WHAT) if kind == "partial" else {},
        "exceptions": random_exceptions(rng, situation, 2) if rng.random() < 0.5 else [],
        "purposes": sorted(rng.sample(PURPOSES, rng.choice((0, 0, 0, 1, 3)))),
        "actions": rng.choice((["list", "read"], ["list", "read"], ["list"], GRANTABLE)),
        "start": NOW + start,
        "end": NOW + end,
        "uses": rng.choice((None, None, 1, 2)),
        "codes": sorted(rng.sample(CODES, rng.choice((0, 1, 2)))),
        "sensitive": kind == "full" and rng.random() < 0.3,
        "by": None,
    }
    if situation["grants"] and rng.random() < 0.3:
        before = rng.choice(situation["grants"])
        given |= {"grantee": before["grantee"], "lineage": before["lineage"]}
    return given


def random_criteria(rng: Random, situation: Situation, names: list[str]) -> Ask:
    """At least one of these criteria, mostly such that one of the records meets each."""
    record = rng.choice(situation["records"])
    out: Ask = {}
    while not out:
        for name in names:
            about = record if rng.random() < 0.7 else rng.choice(situation["records"])
            value = CRITERIA[name](rng, about)
            if value and rng.random() < 0.25:
                out[name] = value
    if "date_from" in out and "date_to" in out:
        out["date_from"], out["date_to"] = sorted((out["date_from"], out["date_to"]))
    return out


def some(rng: Random, wanted: list[Any], others: list[str]) -> list[str]:
    """A sorted list of what is wanted, as far as it is there, and some of the others."""
    chosen = {*wanted, *rng.sample(others, rng.choice((0, 0, 1)))}
    return sorted(value for value in chosen if value)


CRITERIA: Final[dict[str, Callable[[Random, Ask], Any]]] = {
    "authors": lambda rng, record: some(
        rng, [record[rng.choice(("author", "hospital"))]], [*ACCOUNTS[:5], *HOSPITALS]
    ),
    "categories": lambda rng, record: some(rng, [record["category"]], CATEGORIES),
    "date_from": lambda rng, record: rng.choice((record["clinical_date"], *DATES[:2])),
    "date_to": lambda rng, record: rng.choice((record["clinical_date"], *DATES[1:])),
    "episodes": lambda rng, record: some(rng, [record["episode"]], EPISODES),
    "labels": lambda rng, record: some(rng, record["labels"], CODES),
    "records": lambda rng, record: [record["id"]],
}


def random_exceptions(rng: Random, situation: Situation, depth: int) -> list[Ask]:
    """One to three provisions beside each other; only a denying one may speak of labels."""
    exceptions = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.choice(("deny", "deny", "permit"))
        names = [*WHAT, "records", *(["labels"] if kind == "deny" else [])]
        exception = random_criteria(rng, situation, names) | {"type": kind}
        if depth > 1 and rng.random() < 0.7:
            exception["exceptions"] = random_exceptions(rng, situation, depth - 1)
        exceptions.append(exception)
    return exceptions


# --- questions


def random_ask(rng: Random, situation: Situation) -> Ask:
    """Mostly a question about something that was granted, or declared."""
    if situation["emergencies"] and rng.random() < 0.15:
        return emergency_ask(rng, situation)
    if situation["consultations"] and rng.random() < 0.12:
        return linked_ask(rng, situation)
    if situation["referrals"] and rng.random() < 0.12:
        return referred_ask(rng, situation)
    if situation["patient"] and rng.random() < 0.15:
        return behalf_ask(rng, situation)
    linked = [link["grants"] for link in situation["links"] if link["grants"]]
    if linked and rng.random() < 0.3:
        return consented_ask(rng, situation | {"grants": rng.choice(linked), "revocations": []})
    if situation["grants"] and rng.random() < 0.6:
        return consented_ask(rng, situation)
    return any_ask(rng, situation)


def any_ask(rng: Random, situation: Situation) -> Ask:
    """Mostly by somebody who is there, and mostly one that their role may ask."""
    actor, role, hospital = random_asker(rng, situation)
    usual = words(ROLES.get(role, ""))
    action = rng.choice(usual) if usual and rng.random() < 0.6 else rng.choice(ACTIONS)
    if role == "doctor" and rng.random() < 0.6:
        action = rng.choice(("list", "read", "list", "read", "declare_emergency"))
    if role == "patient" and rng.random() < 0.5:
        action = rng.choice(("read", "export", "retract", "grant", *8 * ("erase",)))
    step = rng.choice((None, "offer", "offer", "claim")) if action == "register" else None
    if action == "grant":
        step = rng.choice((None, None, "narrow"))
    if action == "erase" and rng.random() < 0.3:
        step = "withdraw"
    return {
        "step": step,
        "erasure": random_erasure(rng) if step == "withdraw" else None,
        "actor": actor,
        "role": role,
        "hospital": hospital,
        "assurance": rng.choice((1, 2, 3, 3, 3, 3)),
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": action if rng.random() < 0.99 else "peek",
        "purpose": rng.choice(("TREAT", "TREAT", "TREAT", rng.choice((*PURPOSES, "FUN")))),
        "now": random_now(rng, situation),
        "record": rng.choice((*situation["records"], None)),
    }


def emergency_ask(rng: Random, situation: Situation) -> Ask:
    """A question of whoever declared an emergency, or of one who reviews it."""
    one = rng.choice(situation["emergencies"])
    asked = any_ask(rng, situation) | {"step": None, "assurance": 3}
    if rng.random() < 0.2:
        admins = [m for m in situation["members"] if m["role"] == "hospital_admin"]
        admin = rng.choice(admins or situation["members"])
        named = {"actor": admin["account"], "role": admin["role"], "hospital": admin["hospital"]}
        about = rng.choice((one["id"], one["id"], "ev_0"))
        purpose = rng.choice(("HOPERAT", "BTG"))
        return (
            asked | named | {"action": "review", "about": about, "record": None, "purpose": purpose}
        )
    named = {"actor": one["doctor"], "role": "doctor", "hospital": one["hospital"]}
    live = [r for r in situation["records"] if r["retracted"] is None and r["gone"] is None]
    return (
        asked
        | named
        | {
            "action": rng.choice(("list", "read", "read", rng.choice(ACTIONS))),
            "purpose": rng.choice(("BTG", "ETREAT", "ETREAT", "TREAT")),
            "record": rng.choice((*live, *live, None)),
            "now": rng.choice(
                (NOW, NOW, rng.choice((one["start"], one["end"])) + rng.choice(EDGE))
            ),
        }
    )


def linked_ask(rng: Random, situation: Situation) -> Ask:
    """A question by a doctor of a hospital that a consultation may tie to the patient, mostly about what it is about."""
    one = rng.choice(situation["consultations"])
    doctors = [
        m for m in situation["members"] if (m["role"], m["hospital"]) == ("doctor", one["hospital"])
    ]
    doctor = rng.choice(doctors or situation["members"])
    live = [r for r in situation["records"] if r["retracted"] is None and r["gone"] is None]
    meant = [r for r in live if r["category"] in one["categories"] and not r["labels"]]
    return {
        "actor": doctor["account"],
        "role": doctor["role"],
        "hospital": doctor["hospital"],
        "assurance": 3,
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": rng.choice((*3 * ("list", "read"), "read_history", "amend")),
        "purpose": rng.choice((*5 * ("TREAT",), "HPAYMT", "BTG")),
        "now": rng.choice((NOW, NOW, one["end"] + rng.choice(EDGE))),
        "record": rng.choice(meant or live or [None]),
    }


def referred_ask(rng: Random, situation: Situation) -> Ask:
    """A question by somebody of the hospital that a referral names, mostly: to answer it, to take it up, or to see what it lists."""
    one = rng.choice(situation["referrals"])
    at = rng.choice((one["receiver"], one["receiver"], one["receiver"], one["sender"]))
    staff = [m for m in situation["members"] if m["hospital"] == at]
    who = rng.choice(staff or situation["members"])
    meant = [r for r in situation["records"] if r["id"] in one["records"]]
    sees = rng.random() < 0.5
    return {
        "step": None if sees else rng.choice(("answer", "take", "take", None)),
        "about": rng.choice((*5 * (one["id"],), "ev_0")),
        "actor": who["account"],
        "role": who["role"],
        "hospital": who["hospital"],
        "assurance": 3,
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": rng.choice(("list", "read")) if sees else "refer",
        "purpose": rng.choice((*5 * ("TREAT",), "HPAYMT", "BTG")),
        "now": NOW,
        "record": rng.choice(meant) if sees else None,
    }


def random_erasure(rng: Random) -> Ask:
    """One that somebody would withdraw."""
    state = rng.choice(("requested", "requested", "requested", "begun", "withdrawn", "completed"))
    later = {} if state == "requested" else {"state_seq": 971}
    due = NOW + rng.choice((DAY, DAY, *EDGE))
    return {"seq": 970, "state_seq": 970, "due": due, "state": state} | later


def consented_ask(rng: Random, situation: Situation) -> Ask:
    """A question by somebody to whom something was granted, about what the grant is about."""
    ruling = [given for given in situation["grants"] if model.rules_lineage(situation, given)]
    named = ruling if rng.random() < 0.8 else situation["grants"]
    pairs = [(given, one) for given in named for one in grantees(situation, given)]
    if not pairs:
        return any_ask(rng, situation)
    given, one = rng.choice(pairs)
    live = [r for r in situation["records"] if r["retracted"] is None and r["gone"] is None]
    meant = [record for record in live if model.in_kind(given, record)]
    return {
        "actor": one["account"],
        "role": one["role"],
        "hospital": one["hospital"],
        "assurance": 3,
        "on_behalf_of": rng.choice(ACCOUNTS) if rng.random() < 0.05 else None,
        "action": rng.choice((*4 * given["actions"], "declare_emergency")),
        "purpose": rng.choice(given["purposes"] or ["TREAT"]),
        "now": rng.choice(
            (NOW, NOW, NOW, rng.choice((given["start"], given["end"])) + rng.choice(EDGE))
        ),
        "record": rng.choice(meant or live or [None]),
    }


def behalf_ask(rng: Random, situation: Situation) -> Ask:
    """A question by somebody on somebody else's behalf: mostly by whoever is linked, or was delegated to."""
    ask = any_ask(rng, situation) | {"assurance": 3, "purpose": "TREAT", "step": None}
    ask["action"] = rng.choice((*3 * ("list", "read"), *RELATIVES))
    if rng.random() < 0.6:
        related = [one["account"] for one in situation["relations"]] or ACCOUNTS[:2]
        named = {"actor": rng.choice(related), "role": "relative", "hospital": None}
        principal: str | None = model.account_of(situation["patient"])
        edges = [
            bound for one in situation["relations"] for bound in (one["start"], one["end"], one["appointed"] + WAIT)
        ]  # fmt: skip
    else:
        given = situation["delegations"]
        asked = (
            rng.choice(given) if given else {"account": "ac_1", "giver": "ac_2", "hospital": "hs_0"}
        )
        named = {"actor": asked["account"], "role": "doctor", "hospital": asked["hospital"]}
        before = [one["giver"] for one in given if one["account"] == asked["giver"]]
        granted = [
            one["grantee"] for one in situation["grants"] if one["grantee"].startswith("ac_")
        ]
        principal = rng.choice((asked["giver"], *before, *granted))
        edges = [bound for one in given for bound in (one["start"], one["end"])]
    now = rng.choice((NOW, NOW, *(edge + rng.choice(EDGE) for edge in edges)))
    if rng.random() < 0.15:
        principal = rng.choice((*ACCOUNTS[:4], *4 * (None,)))
    return ask | named | {"on_behalf_of": principal, "now": now}


def random_asker(rng: Random, situation: Situation) -> tuple[str, str, str | None]:
    dice = rng.random()
    if dice < 0.2:
        return rng.choice((ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1])), "patient", None
    if dice < 0.9:
        one = rng.choice(situation["members"])
        return one["account"], one["role"], one["hospital"]
    role = rng.choice((*ROLES, "janitor"))
    return rng.choice(ACCOUNTS), role, rng.choice(HOSPITALS) if role in IN_HOSPITAL else None


def random_now(rng: Random, situation: Situation) -> int:
    """Mostly one instant; else an edge of age, grants and terms, or a millisecond beside it."""
    if rng.random() < 0.7:
        return NOW
    patient = situation["patient"] or {}
    edges = [NOW, patient.get("teen_from"), patient.get("adult_from")]
    for bounded in (*situation["grants"], *situation["members"]):
        edges += [bounded["start"], bounded["end"]]
    return int(rng.choice([edge for edge in edges if edge is not None])) + rng.choice(EDGE)
