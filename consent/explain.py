"""Explanations: a decision in words, what it rests on, and what would have to change. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from consent.decide import (
    CUSTODIAN_PURPOSES,
    DELEGABLE,
    ROLE_ACTIONS,
    Decision,
    Facts,
    Request,
    covers,
    decide,
    decide_list,
    kept_until,
)
from ledger.codes import (
    CEILINGS,
    DEFAULT_CEILING,
    GRANT_ACTIONS,
    PROFESSIONS,
    UNNAMED_PROFESSION,
)
from ledger.facts import Exclusion, Grant, Record
from ledger.policies import Policy
from ledger.relations import GUARDIAN, Relation
from ledger.times import format_time

WORDS = {
    "invalid": "the actor is not active in this role, or the patient is unknown",
    "role": "this role may not do that on a patient",
    "gone": "it was erased, or is about to be",
    "retracted": "the record was retracted by those who wrote it",
    "legal_hold": "it is kept for a court: a hospital has placed a legal hold on what it wrote",
    "retention": "the law has the hospital that wrote it keep it for years",
    "harm_hold": "the hospital that wrote the record holds it back for a while, because it would harm",
    "unclaimed": "the chart waits for the patient to claim it, and until then nobody acts as the patient",
    "minor": "nobody claims the chart of a patient who is not old enough to act in it",
    "of_age": "nobody needs a guardian who is of age",
    "deceased": "nothing new can be granted in the name of the dead",
    "step_up": "this needs a stronger sign-in, or a key of one's own",
    "excluded": "the patient has excluded this person, hospital or group",
    "emergency_off": "the patient has turned emergency access off",
    "emergency_needed": "no emergency is declared; declare one first",
    "emergency_ceiling": "in an emergency doctors list and read only what the patient lets them",
    "no_consent": "the patient has given no consent that covers this",
}
"""What each reason means, for people."""
_PERMITS = {
    "S1": "an auditor in term may verify and see who did what, without any content",
    "S5": "it is the patient's own chart",
    "S6": "the hospital keeps the records that it wrote",
    "S8": "in an emergency that a doctor declared; the patient is told, and it is reviewed",
    "S9": "the patient granted it",
    "S10": "it is done on behalf of somebody who may do it, by whoever was let act for them",
    "S11": "a consultation that the patient signed, or a referral that this hospital accepted, is about it",
    "S12": "doctors and relatives may ask the patient for access",
}

_DECLARES = "a doctor may declare an emergency; the patient is told, and it is reviewed"


class Explanation(NamedTuple):
    """A decision, why, and what would change it; each a sentence."""

    decision: Decision
    why: str
    changes: tuple[str, ...]


def explain(
    request: Request,
    facts: Facts,
    policy: Policy,
    whole: bool,
    records: Iterable[Record] = (),
) -> Explanation:
    """Explain the answer to a question; about listing a chart as a whole, by the `records` that it holds.

    `whole`: for the patient and auditors. Anybody else is told as a refused asker is (Grants 11): nothing
    of exclusions, nor of what was hidden. Who is excluded gets, to every question, the answers of a chart
    whose patient excluded nobody and revoked what was granted. The grants that the exclusion beats are in
    no answer, as one for another purpose that names them would prove it.
    """
    shown = facts if whole else _as_told(request, facts)
    decision = decide(request, shown, policy)
    if request.action == "list" and request.record is None:
        decision = decide_list(request, shown, policy, records)[0]
    if not whole and _declares_excluded(request, facts, decision):
        decision = Decision("deny", "S8", reason="emergency_off")
    if decision.effect == "permit":
        return Explanation(decision, _permitted(request, decision), ())
    changes = _changes(request, shown, policy, decision, whole)
    limited = _limited(request, shown, policy) if decision.reason == "role" else ""
    return Explanation(decision, limited or WORDS[decision.reason], changes)


def _limited(request: Request, facts: Facts, policy: Policy) -> str:
    """That it is the asker's profession that may not; empty where the role may not either, or the profession may."""
    member = facts.member
    if request.role != "doctor" or request.action not in ROLE_ACTIONS["doctor"] or member is None:
        return ""
    if policy.lets(member.profession, request.action):
        return ""
    profession = member.profession or UNNAMED_PROFESSION
    return f"the policy doesn't let doctors of the profession {profession} do that on a patient"


def _permitted(request: Request, decision: Decision) -> str:
    declares = request.action == "declare_emergency" and decision.rule == "S8"
    return _DECLARES if declares else _PERMITS[decision.rule]


def _as_told(request: Request, facts: Facts) -> Facts:
    """The facts of the answers to an asker who is told nothing of exclusions.

    Revoked grants are never among them: else an excluded asker's would be missed. Nor are emergencies of somebody who
    is excluded in person, or whose patient turned them off: to both, reading is as if nobody had declared one.
    """
    setting = facts.emergency_setting
    off = setting is not None and setting.ceiling == "off"
    if request.action != "declare_emergency" and (off or _excluding(request, facts, set())):
        facts = facts._replace(emergency_setting=None, emergencies=())
    if _excluding(request, facts, {request.hospital, *(group.group for group in facts.groups)}):
        return facts._replace(
            grants=(),
            exclusions=(),
            relations=(),
            delegations=(),
            givers=(),
            links=(),
            referrals=(),
            referral=None,
        )
    return facts._replace(grants=tuple(grant for grant in facts.grants if grant.active))


def _excluding(request: Request, facts: Facts, readers: set[str]) -> bool:
    """Whether the patient excludes the asker, or one of `readers`."""
    readers = {request.actor, *readers}
    bound = () if facts.patient is None else facts.patient.bound
    mine = (e for e in facts.exclusions if e.active and e.patient in (request.patient, *bound))
    return any(exclusion.reader in readers for exclusion in mine)


def _declares_excluded(request: Request, facts: Facts, decision: Decision) -> bool:
    """Whether an excluded person would declare an emergency: the patient seems to have turned them off.

    A harm hold counts for those alone who would be permitted without it (S4), and the excluded aren't.
    """
    would = decision.effect == "permit" or decision.rule == "S4"
    declares = request.action == "declare_emergency" and would
    return declares and _excluding(request, facts, set())


def readers(
    record: Record, grants: tuple[Grant, ...], exclusions: tuple[Exclusion, ...], now: int
) -> tuple[str, ...]:
    """Who may read a record by grants at `now` (Unix ms), but for those excluded; ascending, none twice.

    The hospital that wrote it isn't among them. An excluded person may still be in a hospital that is.
    """
    out = {e.reader for e in exclusions if e.active}
    return tuple(
        sorted(
            {
                grant.grantee
                for grant in grants
                if grant.grantee not in out and not misses(grant, _reading(grant, record, now))
            }
        )
    )


def _reading(grant: Grant, record: Record, now: int) -> Request:
    """A reading as the grant's own grantee would ask for it, for a purpose that it names."""
    return Request(
        grant.grantee, "doctor", "", True, 3, "", record.patient, "read", grant.purposes[0], now, 0, record
    )  # fmt: skip


def misses(grant: Grant, request: Request) -> tuple[str, ...]:
    """Why a grant to the asker does not permit a request; empty if it does."""
    out = []
    if not grant.active:
        out.append(f"it was revoked by entry {grant.seq}")
    if request.now < grant.start:
        out.append(f"it begins at {format_time(grant.start)}")
    if request.now >= grant.end:
        out.append(f"it ended at {format_time(grant.end)}")
    if request.purpose not in grant.purposes:
        out.append(f"it is for {', '.join(grant.purposes)}, not for {request.purpose}")
    if request.action not in grant.actions:
        out.append(f"it is for {', '.join(grant.actions)}, not for {request.action}")
    if grant.uses and grant.used >= grant.uses:
        out.append(f"its {grant.uses} readings are used up")
    if not covers(grant, request):
        out.append("it does not cover this record")
    return tuple(out)


def _to_asker(request: Request, facts: Facts) -> Iterable[Grant]:
    """The grants that count for the asker in this role; a group's for those who act for its hospital."""
    own = {group.group for group in facts.groups if group.hospital == request.hospital}
    grantees = {request.actor, request.hospital, *own}
    return (grant for grant in facts.grants if grant.grantee in grantees)


def _named(grant: Grant) -> str:
    """A grant as people know it: by its own entry, or by its id once another entry rules."""
    return f"the grant of entry {grant.seq}" if grant.active else f"the grant {grant.grant}"


def _changes(
    request: Request, facts: Facts, policy: Policy, decision: Decision, whole: bool
) -> tuple[str, ...]:
    reason = decision.reason
    if reason == "role" and _limited(request, facts, policy):
        able = [name for name in PROFESSIONS if policy.lets(name, request.action)]
        return (f"only these professions may {request.action}: {', '.join(able) or 'none'}",)
    if reason == "role":
        able = sorted(role for role, actions in ROLE_ACTIONS.items() if request.action in actions)
        return (f"only these roles may {request.action}: {', '.join(able) or 'none'}",)
    if reason == "step_up":
        return ("sign with a device key or a system's key, or give the second factor again",)
    if reason == "excluded":
        return (_excluded(request, facts, decision.basis[0]),)
    if reason in ("gone", "legal_hold", "harm_hold", "retention"):
        return _kept_back(request, facts, policy, decision)
    if reason == "unclaimed":
        return ("the patient would have to claim the chart with the code of the hospital's letter",)
    if reason == "minor" and facts.patient is not None:
        return (
            f"the patient would have to reach the age for it, on {format_time(facts.patient.teen_from)}",
        )
    if reason == "emergency_needed":
        return ("a doctor would have to declare an emergency for this patient",)
    if reason == "emergency_off":
        return ("the patient would have to let doctors see records in an emergency",)
    if reason == "emergency_ceiling":
        return _ceiling(request, facts, whole)
    if reason == "of_age" and facts.patient is not None:
        return (
            (f"the patient is of age since {format_time(facts.patient.adult_from)}",)
            if facts.patient.adult_from
            else ()
        )
    if reason == "no_consent" and request.on_behalf_of:
        return _on_behalf(request, facts)
    if reason == "no_consent":
        return _consent(request, facts, whole)
    return ()


def _excluded(request: Request, facts: Facts, entry: int) -> str:
    """Who lifts the exclusion of an entry: the patient, perhaps in a chart that is linked with this one."""
    found = next((e.patient for e in facts.exclusions if e.seq == entry), request.patient)
    where = "" if found == request.patient else f" in the linked chart {found}, or end that link"
    return f"the patient would have to lift the exclusion of entry {entry}{where}"


def _ceiling(request: Request, facts: Facts, whole: bool) -> tuple[str, ...]:
    """What would have to change; whether the record is hidden or lies above the ceiling is the patient's to know."""
    if not whole:
        return ("the patient would have to let more be seen in an emergency",)
    setting, record = facts.emergency_setting, request.record
    if record is not None and record.hidden:
        return (f"the patient hid this record by entry {record.hidden}; no emergency shows it",)
    by = "as nothing else was set" if setting is None else f"by entry {setting.seq}"
    ceiling = DEFAULT_CEILING if setting is None else setting.ceiling
    return (f"the patient lets doctors see {CEILINGS[ceiling]} in an emergency, {by}",)


def _kept_back(
    request: Request, facts: Facts, policy: Policy, decision: Decision
) -> tuple[str, ...]:
    """What ends a hold or the years of keeping, and how what waits to be erased comes back."""
    entry = decision.basis[0]
    if decision.reason == "gone":
        return (f"until three days after entry {entry} its patient can withdraw the erasure",)
    if decision.reason == "retention":
        kept = [r for r in (*facts.records, *filter(None, [request.record])) if r.seq == entry]
        until = max((kept_until(record, policy) for record in kept), default=0)
        return (f"it is kept until {format_time(until)[:10]}",)
    hold = next(hold for hold in facts.holds if hold.seq == entry)
    ends = f", or wait until {format_time(hold.end)}" if hold.end else ""
    return (f"{hold.hospital} would have to lift the hold of entry {entry}{ends}",)


def _consent(request: Request, facts: Facts, whole: bool) -> tuple[str, ...]:
    """What each grant to the asker lacks, and how to get one that covers it."""
    out = [
        f"{_named(grant)} does not permit it: {', '.join(lacks)}"
        for grant in sorted(_to_asker(request, facts), key=lambda grant: grant.seq)
        if (lacks := misses(grant, request))
    ]
    record = request.record
    if whole and record is not None and record.hidden:
        out.append(f"the patient hid this record by entry {record.hidden}; it is in no grant")
    if (
        record is not None
        and request.hospital == record.hospital
        and request.action in ("list", "read")
    ):
        if request.purpose not in CUSTODIAN_PURPOSES:
            out.append(
                f"the hospital that wrote it reads for {', '.join(sorted(CUSTODIAN_PURPOSES))}"
            )
        else:
            out.append("the policy lets the hospital that wrote it read no more")
    if request.action in GRANT_ACTIONS:
        out.append(f"the patient may grant it: {request.action}, for {request.purpose}")
    return tuple(out)


def _on_behalf(request: Request, facts: Facts) -> tuple[str, ...]:
    """What is missing for acting on somebody's behalf. Of a colleague's grants nothing is said: they are that one's."""
    if request.action not in DELEGABLE:
        return (f"nobody may {request.action} on behalf of somebody else",)
    if request.role == "relative" and facts.patient is not None:
        if request.on_behalf_of != facts.patient.account:
            return ("a relative acts on behalf of the patient, by the account that is the patient",)
        now, patient = request.now, facts.patient
        out = [
            f"{one.kind} by entry {one.seq}: {', '.join(lacks)}"
            for one in facts.relations
            if (lacks := _relation_lacks(one, request, now, patient.teen_from, patient.adult_from))
        ]
        return tuple(out) or ("the patient may invite the account as a relative",)
    if request.role == "doctor":
        found = [one for one in facts.delegations if one.account == request.actor]
        out = [
            f"the delegation of entry {one.seq} is in force from {format_time(one.start)} to {format_time(one.end)}, "
            f"for {', '.join(one.actions)}"
            for one in found
            if one.active
        ]
        return (
            *out,
            "a colleague's delegation reaches as far as what the patient granted to that colleague",
        )
    return (f"a {request.role} acts on behalf of nobody",)


def _relation_lacks(
    relation: Relation, request: Request, now: int, teen_from: int, adult_from: int
) -> tuple[str, ...]:
    """Why a relation doesn't reach as far as what is asked."""
    if not relation.active:
        return ("it was ended",)
    if relation.kind == GUARDIAN:
        if now >= adult_from:
            return ("it ended when the patient came of age",)
        if relation.objected and not relation.confirmed:
            return (f"entry {relation.objected} objects; a second hospital may confirm it",)
        if not relation.guards(now, adult_from):
            return (
                f"it counts from {format_time(relation.start)}, or once a second hospital confirms it",
            )
        return (
            ("this is private to the minor, who is old enough to act",) if now >= teen_from else ()
        )
    out = []
    if now < relation.start:
        out.append(f"it begins at {format_time(relation.start)}")
    if now >= relation.end:
        out.append(f"it ended at {format_time(relation.end)}")
    if request.action not in relation.actions:
        out.append(f"it is for {', '.join(relation.actions)}, not for {request.action}")
    if not covers(relation, request):
        out.append("it does not cover this")
    return tuple(out)
