"""The gate: from an event about to be appended to the decision its entry holds."""

from consent.decide import (
    ANSWER,
    APPOINT,
    CLAIM,
    CONFIRM,
    END,
    HELD_ROLES,
    JOIN,
    LINK,
    NARROW,
    OBJECT,
    OFFER,
    PART,
    RELATING,
    TAKE,
    UNLINK,
    WITHDRAW,
    Decision,
    Facts,
    Giver,
    Request,
    decide,
    decide_list,
    masked,
)
from consent.links import LINKED_ACTIONS
from ledger.codes import EMERGENCY_PURPOSES
from ledger.directory import Group, GroupMember, Key, Member, Patient
from ledger.editions import CONSENT, PEOPLE
from ledger.errors import Refused
from ledger.event import Event
from ledger.facts import (
    Emergency,
    EmergencySetting,
    Erasure,
    Exclusion,
    Grant,
    Hold,
    Record,
)
from ledger.links import Consultation, Referral
from ledger.policies import Policy, edition_in_force, policy_in_force
from ledger.relations import GUARDIAN, RELATIVE, Delegation, Invitation, Relation, relations_of
from ledger.rows import Look
from ledger.sequencer import Judged
from ledger.signers import holds_role, key_counts
from ledger.signins import sign_ins_of

ASSURANCE = {"device": 3, "system": 3, "service": 1}
"""Level of a signature by the key's custody; a service-held key gets more from a sign-in entry only."""

STEPS = {
    "claim.offered": OFFER,
    "erasure.withdrawn": WITHDRAW,
    "patient.claimed": CLAIM,
    "patient.linked": JOIN,
    "patient.unlinked": PART,
    "relative.linked": LINK,
    "relative.unlinked": UNLINK,
    "guardian.appointed": APPOINT,
    "guardian.confirmed": CONFIRM,
    "guardian.objected": OBJECT,
    "guardian.ended": END,
    "referral.accepted": ANSWER,
    "referral.declined": ANSWER,
    "referral.taken": TAKE,
}
"""Which step of its action a type is, where it isn't the first one, or a correction."""
_NAMED = {LINK: "invitation", JOIN: "other", PART: "other"}
"""Which member of the body names what a step of RELATING is about, where it isn't an account."""


def gate(
    event: Event, key: Key, seq: int, time: int, look: Look, session: int | None = None
) -> Judged:
    """The decision on a gated event at `time` (Unix ms) as entry `seq`, on the facts before it.

    `session`: the entry of the sign-in in which the service signed with a key that it keeps; see `in_session`.
    Raises Refused, only to those who may, for what names things that don't exist or don't belong together: a
    denial tells nothing of them. Also of a type that their role may not sign.
    """
    policy = policy_in_force(look, time)
    if not in_session(event, key, look):
        session = None  # it says nothing, so the decision doesn't say it
        request = request_of(event, key, seq, time, look)
    else:
        request = _request_in_session(event, key, seq, time, look, session)
    facts = gather(request, look)
    shown: tuple[Record, ...] = ()
    held: tuple[Record, ...] = ()
    if event.type.action == "list":
        records = look.group(Record, event.subject)
        decision, shown = decide_list(request, facts, policy, records)
        held = masked(request, facts, policy, records)
    else:
        decision = decide(request, facts, policy)
        if event.type.reading and request.record is not None:
            shown = (request.record,)
    if decision.effect == "permit" and event.role not in event.type.roles:
        decision, shown, held = Decision("deny", "S1", reason="role"), (), ()
    if decision.effect == "permit":
        _check_names(event, request, policy, look)
    named = {} if session is None else {"session": session}
    return Judged(decision.json(request, policy) | named, shown, held)


def in_session(event: Event, key: Key, look: Look) -> bool:
    """Whether a signature by this key counts only in a sign-in of its owner's: a person's key that the service keeps.

    From PEOPLE on. The service's own acts rest on no sign-in.
    """
    kept = key.custody == "service" and event.role != "service"
    return kept and edition_in_force(look) >= PEOPLE


def _request_in_session(
    event: Event, key: Key, seq: int, time: int, look: Look, session: int | None
) -> Request:
    """The question, as sure of who asks as the sign-in is; S0 denies one without a sign-in in this very role."""
    request = request_of(event, key, seq, time, look)
    found = None if session is None else sign_ins_of(event.actor, look).named(session, time)
    if found is None or (found.role, found.hospital) != (event.role, event.hospital):
        return request._replace(held=False)
    return request._replace(assurance=found.level(time))


def request_of(event: Event, key: Key, seq: int, time: int, look: Look) -> Request:
    """The question that a gated event asks."""
    step = STEPS.get(event.type.name, "")
    if _narrows(event) and edition_in_force(look) >= CONSENT:
        step = NARROW
    named = event.body.get(_NAMED.get(step, "account"), "") if step in RELATING else ""
    return Request(
        actor=event.actor,
        role=event.role,
        hospital=event.hospital,
        held=key_counts(key, time) and holds_role(event, time, look),
        assurance=ASSURANCE[key.custody],
        on_behalf_of=event.value.get("on_behalf_of", ""),
        patient=event.subject,
        action=str(event.type.action),
        purpose=event.body["purpose"],
        now=time,
        as_of=seq - 1,
        record=_named_record(event, look),
        step=step,
        named=named,
        about=event.body.get("emergency", event.body.get("referral", "")),
        erasure=look.get(Erasure, event.body["erasure"]) if "erasure" in event.body else None,
    )


def _narrows(event: Event) -> bool:
    """Whether an event of `grant` takes back, and gives nothing."""
    name = event.type.name
    off = name == "emergency.configured" and event.body["ceiling"] == "off"
    return off or name == "access.revoked"


def gather(request: Request, look: Look) -> Facts:
    """The facts that a request needs; grants that have not ended are found by whom they are to."""
    patient = look.get(Patient, request.patient)
    member = look.get(Member, request.actor, request.role, request.hospital)
    if duty(request.action, request.hospital, request.on_behalf_of):
        return Facts(patient, member, ())
    grants, groups, exclusions = _readings_of(request.actor, request, patient, look)
    keeps = _keeps(request, look)
    facts = Facts(patient, member, grants, groups, exclusions, keeps, *_emergencies(request, look))
    if _may_be_held(request, patient):
        facts = facts._replace(holds=tuple(look.group(Hold, request.patient)))
    if may_be_linked(request.action, request.role, request.purpose):
        links = look.group(Consultation, request.patient, request.hospital)
        referrals = look.group(Referral, request.patient, request.hospital)
        facts = facts._replace(links=tuple(links), referrals=tuple(referrals))
    if request.step in (ANSWER, TAKE):
        facts = facts._replace(referral=look.get(Referral, request.about))
    if _erases_all(request):
        facts = facts._replace(records=tuple(look.group(Record, request.patient)))
    if request.role == "relative" or request.step in RELATING:
        facts = _with_relations(facts, request, look)
    if request.role == "doctor" and request.on_behalf_of:
        facts = _with_delegations(facts, request, look)
    return _with_givers(facts, look)


def _readings_of(
    account: str, request: Request, patient: Patient | None, look: Look
) -> tuple[tuple[Grant, ...], tuple[Group, ...], tuple[Exclusion, ...]]:
    """The patient's grants to an account at the asker's hospital, its groups, and the exclusions that name it; those of
    linked charts as well, as far as they can count in this one."""
    bound, joined = (patient.bound, patient.joined) if patient is not None else ((), ())
    groups = [
        group
        for member in look.group(GroupMember, account)
        if member.active and (group := look.get(Group, member.group)) is not None
    ]
    readers = [account, *filter(None, (request.hospital,)), *(g.group for g in groups)]
    exclusions = (
        look.get(Exclusion, chart, reader)
        for chart in (request.patient, *bound)
        for reader in readers
    )
    grants = (
        g
        for chart in (request.patient, *joined)
        for reader in readers
        for g in look.live(Grant, request.now, chart, reader)
    )
    return tuple(grants), tuple(groups), tuple(filter(None, exclusions))


def _with_givers(facts: Facts, look: Look) -> Facts:
    """And how those are related to the patient who gave one of the grants on the patient's behalf."""
    grants = [*facts.grants, *(grant for giver in facts.givers for grant in giver.grants)]
    given = {(grant.patient, grant.by) for grant in grants if grant.by}
    if not given:
        return facts
    gave = (
        one for patient, account in sorted(given) for one in relations_of(patient, account, look)
    )
    return facts._replace(gave=tuple(gave))


def _with_relations(facts: Facts, request: Request, look: Look) -> Facts:
    """And how the actor is related to the patient, and what a step about relations names."""
    related, invitation, patient = None, None, request.patient
    if request.step in (JOIN, PART):
        return facts._replace(
            other=look.get(Patient, request.named), keeps_other=_keeps(request, look, request.named)
        )
    if request.step == LINK:
        invitation = look.get(Invitation, patient, request.named)
    elif request.named:
        kind = RELATIVE if request.step == UNLINK else GUARDIAN
        related = look.get(Relation, patient, request.named, kind)
    mine = (
        relations_of(patient, request.actor, look) if request.role in ("person", "relative") else ()
    )
    relations = tuple(mine)
    return facts._replace(relations=relations, related=related, invitation=invitation)


def _with_delegations(facts: Facts, request: Request, look: Look) -> Facts:
    """And the delegations by which a doctor acts for a colleague, directly or through one other, and who gave them."""
    hospital, found = request.hospital, list[Delegation]()
    for first in look.group(Delegation, hospital, request.on_behalf_of):
        if first.account == request.actor:
            found.append(first)
        elif first.counts(request.now):
            second = look.get(Delegation, hospital, first.account, request.actor)
            found += [] if second is None else [first, second]
    givers = [
        Giver(
            giver,
            look.get(Member, giver, "doctor", hospital),
            *_readings_of(giver, request, facts.patient, look),
        )
        for giver in sorted({one.giver for one in found})
    ]
    return facts._replace(delegations=tuple(found), givers=tuple(givers))


def _emergencies(
    request: Request, look: Look
) -> tuple[EmergencySetting | None, tuple[Emergency, ...], Emergency | None]:
    """What S8 and the review of an emergency rest on, for a request that may: setting, the actor's, the one reviewed."""
    about = "" if request.step in (ANSWER, TAKE) else request.about  # else it names a referral
    reviewed = look.get(Emergency, about) if about else None
    if request.purpose not in EMERGENCY_PURPOSES and request.action != "declare_emergency":
        return None, (), reviewed
    declared = look.group(Emergency, request.patient, request.actor, request.hospital)
    return look.get(EmergencySetting, request.patient), tuple(declared), reviewed


def _keeps(request: Request, look: Look, other: str = "") -> bool:
    """Whether the actor's hospital has a record of the patient that it stands by; of who holds a chart, any record.

    `other`: another patient, with whose chart this one is to be linked.
    """
    holds = request.action == "hold" and request.record is None
    gives = request.action == "disclose" or (request.action == "refer" and not request.step)
    asked = request.step in (OFFER, APPOINT, CONFIRM, JOIN) or gives or holds
    if not request.hospital or not asked:
        return False
    records = look.group(Record, other or request.patient)
    return any(r.hospital == request.hospital and (holds or r.state == "live") for r in records)


def may_be_held(action: str | None, role: str) -> bool:
    """Whether holds may count: of who may be kept from records, and where something is to be erased."""
    return action == "erase" or (action is not None and role in HELD_ROLES)


def may_be_linked(action: str | None, role: str, purpose: str) -> bool:
    """Whether care links may count: of doctors who list or read for treatment."""
    return role == "doctor" and action in LINKED_ACTIONS and purpose == "TREAT"


def _may_be_held(request: Request, patient: Patient | None) -> bool:
    """Also of a patient who works at the hospital that wrote the record, and of a colleague who acts for that one."""
    asking = (request.actor, request.on_behalf_of)
    is_theirs = patient is not None and patient.account in asking
    return is_theirs or may_be_held(request.action, request.role)


def _erases_all(request: Request) -> bool:
    return request.action == "erase" and request.record is None and request.step != WITHDRAW


def duty(action: str, hospital: str, on_behalf_of: str) -> bool:
    """A hospital's own appending, which S6 answers for whoever may act for it: no consent is looked for."""
    return action == "append" and bool(hospital) and not on_behalf_of


def _named_record(event: Event, look: Look) -> Record | None:
    """The record an event is about, if it is this patient's."""
    if event.type.about != "record":
        return None
    name = event.body.get("record")
    record = None if name is None else look.get(Record, name)
    return record if record is not None and record.patient == event.subject else None


def _check_names(event: Event, request: Request, policy: Policy, look: Look) -> None:
    """What a permitted event names is there and belongs together; raises Refused."""
    kind = event.type
    if kind.about == "record" and "record" in event.body and request.record is None:
        raise Refused("unknown", f"{event.subject} has no record {event.body['record']}")
    assert kind.gate_rule is not None  # it is gated
    kind.gate_rule(event, policy, look)
