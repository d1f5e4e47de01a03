"""`decide`: one question, the facts before it, one answer. The stages stand in their order.

The first stage that answers decides; a stage that has nothing to say returns None.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from consent.links import BASIC, LINKED_ACTIONS, linked
from ledger.codes import ACTIONS, DEFAULT_CEILING, EMERGENCY_PURPOSES, PURPOSES
from ledger.directory import ChartLink, Group, Member, Patient
from ledger.facts import (
    BEGUN,
    COMPLETED,
    HARM,
    LEGAL,
    REQUESTED,
    Emergency,
    EmergencySetting,
    Erasure,
    Exclusion,
    Grant,
    Hold,
    Provision,
    Record,
)
from ledger.links import Consultation, Referral
from ledger.policies import Policy
from ledger.relations import GUARDIAN, RELATIVE, Delegation, Invitation, Relation
from ledger.scopes import meets
from ledger.times import HOUR_MS, end_of_years

CUSTODIAN_PURPOSES = frozenset({"TREAT", "HOPERAT", "HLEGAL"})
ROLE_ACTIONS: dict[str, frozenset[str]] = {
    role: frozenset(actions.split())
    for role, actions in {
        "person": "register",
        "patient": "list read append hide retract export grant exclude read_history erase register",
        "relative": "list read append read_history grant request_access",
        "doctor": "list read append amend retract refer declare_emergency request_access hold register",
        "hospital_admin": "hold review disclose register",
        "hospital_system": "append amend retract refer disclose register",
        "auditor": "verify read_history",
        "operator": "",
        "service": "register",
    }.items()
}
"""What a role may do at most (S1)."""
SELF_ACTIONS = ROLE_ACTIONS["patient"] - {"register", "retract"}
"""What S5 permits of age; retracting is for what the patient wrote."""
MINOR_EXCEPT = frozenset({"erase", "export"})
OWN_RECORD_ACTIONS = {
    "hospital_admin": frozenset({"hold", "review", "disclose"}),
    "doctor": frozenset({"hold", "refer"}),
    "hospital_system": frozenset({"disclose", "refer"}),
}
"""What S6 adds for records of one's own hospital, whatever the purpose."""
CUSTODIAN_ACTIONS = frozenset({"list", "read", "amend", "retract"})
OF_THE_ERASED = frozenset({"read_history", "review", "verify"})
"""What can still be done with a chart that is erased: who did what stays on record, and an emergency in it is reviewed."""
ASKING_ROLES = frozenset({"doctor", "relative"})
"""Who may ask a patient, or a hospital, for access (S12)."""
HELD_ROLES = frozenset({"patient", "relative"})
"""In which a harm hold keeps somebody from a record; of the patient in every role."""
STAGE_NAMES = tuple(f"S{number}" for number in range(13))


class Request(NamedTuple):
    """Who asks for what; `now` is the entry's time in Unix ms, `as_of` the entry before."""

    actor: str
    role: str
    hospital: str
    held: bool
    """The role is held, and actor, hospital and key are active and belong together."""
    assurance: int
    on_behalf_of: str
    patient: str
    action: str
    purpose: str
    now: int
    as_of: int
    record: Record | None = None
    step: str = ""
    """Of `register`: OFFER, CLAIM, one of RELATING, or nothing of those: registering and correcting. Of `erase`: WITHDRAW, or
    asking for it. Of `grant`: NARROW, or giving. Of `refer`: ANSWER, TAKE, or sending."""
    about: str = ""
    """Of `review`: the emergency. Of ANSWER and TAKE: the referral."""
    named: str = ""
    """Of a step of RELATING: the invitation that is used, the account whose relation it is about, or the other chart."""
    erasure: Erasure | None = None
    """Of WITHDRAW the erasure that it names."""


OFFER, CLAIM = "offer", "claim"
"""Offering the code by which a chart is claimed, and claiming it."""
WITHDRAW = "withdraw"
"""Withdrawing an erasure."""
NARROW = "narrow"
"""Taking back what was granted, and turning emergencies off: a chart that says of the living that they died must not keep them from it."""
ANSWER, TAKE = "answer", "take"
"""Accepting or declining a referral, and taking up what it refers."""
LINK, UNLINK = "link", "unlink"
"""Being linked as a relative by an invitation, and ending that."""
APPOINT, CONFIRM, OBJECT, END = "appoint", "confirm", "object", "end"
"""Of a guardian."""
JOIN, PART = "join", "part"
"""Linking a chart with another one of the same person, and ending that."""
RELATING = frozenset({LINK, UNLINK, APPOINT, CONFIRM, OBJECT, END, JOIN, PART})
DELEGABLE = frozenset({"append", "grant", "list", "read", "read_history"})
"""What anybody may do on behalf of somebody else (S10); nobody names representatives, erases or declares for another."""


class Giver(NamedTuple):
    """What is known of a doctor on whose behalf a colleague acts, or through whom the delegation goes."""

    account: str
    member: Member | None
    """What makes them a doctor of the actor's hospital."""
    grants: tuple[Grant, ...]
    groups: tuple[Group, ...]
    exclusions: tuple[Exclusion, ...]


class Facts(NamedTuple):
    """What is known of patient and actor as of the entry before."""

    patient: Patient | None
    member: Member | None
    """What puts the actor into the role at the hospital, into the audit term or into the service."""
    grants: tuple[Grant, ...]
    """The patient's grants to the actor, to the actor's hospital and groups, and those of charts that are joined with this
    one; others do no harm."""
    groups: tuple[Group, ...] = ()
    """The groups that the actor is in."""
    exclusions: tuple[Exclusion, ...] = ()
    """The patient's exclusions of the actor, the hospital and the groups, and those of charts that are linked with this one;
    others do no harm."""
    keeps: bool = False
    """Whether the actor's hospital has a record of the patient; asked where a code is offered, records are disclosed or
    referred, a chart is held or a guardian is named."""
    emergency_setting: EmergencySetting | None = None
    """How far the patient lets doctors see in an emergency; asked for an emergency's sake alone."""
    emergencies: tuple[Emergency, ...] = ()
    """Those that the actor declared for the patient; asked for an emergency's sake alone, others do no harm."""
    reviewed: Emergency | None = None
    """The one that a review is about."""
    relations: tuple[Relation, ...] = ()
    """How the actor is related to the patient."""
    gave: tuple[Relation, ...] = ()
    """How those are related to the patient who gave one of `grants` on the patient's behalf."""
    related: Relation | None = None
    """The relation that a step of RELATING is about."""
    invitation: Invitation | None = None
    """The invitation that is used."""
    delegations: tuple[Delegation, ...] = ()
    """By which the actor acts for a colleague, directly or through another."""
    givers: tuple[Giver, ...] = ()
    """Who gave those."""
    holds: tuple[Hold, ...] = ()
    """The patient's holds, where they can count: for patients and relatives, and of erasing."""
    records: tuple[Record, ...] = ()
    """Those of the chart, where all of it is to be erased."""
    other: Patient | None = None
    """The chart with which this one is to be linked."""
    keeps_other: bool = False
    """Whether the actor's hospital has a record of that one; asked where it would link the two."""
    links: tuple[Consultation, ...] = ()
    """What ties the actor's hospital to the patient; asked where a doctor lists or reads, others do no harm."""
    referrals: tuple[Referral, ...] = ()
    """Those of the patient to the actor's hospital; asked with `links`."""
    referral: Referral | None = None
    """The one that is answered or taken up."""


class Decision(NamedTuple):
    """The answer, the rule that gave it and the numbers of the entries it rests on."""

    effect: str
    rule: str
    basis: tuple[int, ...] = ()
    reason: str = ""
    masked: bool = False
    """Whether its being there is shown, and nothing else (a harm hold)."""
    obligations: tuple[str, ...] = ("record",)
    """What whoever acts on it must do."""

    def json(self, request: Request, policy: Policy) -> dict[str, Any]:
        """As the entry holds it."""
        out: dict[str, Any] = {
            "as_of": request.as_of,
            "assurance": request.assurance,
            "basis": sorted(self.basis),
            "effect": self.effect,
            "policy": policy.seq,
            "rule": self.rule,
        }
        if self.reason:
            out["reason"] = self.reason
        return out


Stage = Callable[[Request, Facts, Policy], Decision | None]


def decide(request: Request, facts: Facts, policy: Policy) -> Decision:
    """The decision on `request`; pure and total."""
    for stage in STAGES:
        decision = stage(request, facts, policy)
        if decision is not None:
            return decision
    return Decision("deny", "S12", reason="no_consent")


def decide_list(
    request: Request, facts: Facts, policy: Policy, records: Iterable[Record]
) -> tuple[Decision, tuple[Record, ...]]:
    """The decision on looking at a chart that holds `records`, and those of them it shows, by entry.

    Permitted where listing without a record is, else where listing at least one record would be: then by
    the lowest stage that permits, among records that with the lowest first entry.
    """
    whole = decide(request, facts, policy)
    ordered = sorted(records, key=lambda record: record.seq)
    judged = [
        (record, decide(request._replace(record=record), facts, policy)) for record in ordered
    ]
    shown = [(record, decision) for record, decision in judged if decision.effect == "permit"]
    if whole.effect == "deny" and shown:
        whole = min((decision for _, decision in shown), key=lambda d: STAGE_NAMES.index(d.rule))
    return whole, tuple(record for record, _ in shown)


def masked(
    request: Request, facts: Facts, policy: Policy, records: Iterable[Record]
) -> tuple[Record, ...]:
    """Of the `records` of a chart those of which a list shows that they are there, and no more, by entry."""
    if not facts.holds:
        return ()
    held = [r for r in records if decide(request._replace(record=r), facts, policy).masked]
    return tuple(sorted(held, key=lambda record: record.seq))


def told(decision: dict[str, Any], purpose: str = "", action: str = "") -> dict[str, Any]:
    """What a refused asker is told of a logged decision: an exclusion reads as if there were none.

    A violent relative must not learn that it was said; so whoever asked for an emergency's sake is told
    what everybody else is told then. One answer is that of patients who turned emergencies off, too: declaring
    is refused as off, and reading as if nobody had declared, lest the two together tell more.
    """
    reason, in_emergency = decision.get("reason"), purpose in EMERGENCY_PURPOSES
    if reason != "excluded" and not (reason == "emergency_off" and in_emergency):
        return decision
    rule, reason = ("S8", "emergency_needed") if in_emergency else ("S12", "no_consent")
    if action == "declare_emergency":
        rule, reason = "S8", "emergency_off"
    return decision | {"basis": [], "reason": reason, "rule": rule}


def _sanity(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S0: actor, role, hospital, key, patient and codes are known, who acts is active."""
    registers = request.action == "register" and not request.step
    known = facts.patient is not None or registers
    known = known and request.action in ACTIONS and request.purpose in PURPOSES
    record = request.record
    if request.held and known and (record is None or record.patient == request.patient):
        return None
    return Decision("deny", "S0", reason="invalid")


def _role(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S1: the table, and of doctors what the policy leaves their profession; and what an auditor in term may."""
    if request.action not in ROLE_ACTIONS.get(request.role, frozenset()):
        return Decision("deny", "S1", reason="role")
    if request.role == "doctor" and not _let(facts.member, request.action, policy):
        return Decision("deny", "S1", reason="role")
    if request.action == "declare_emergency" and request.on_behalf_of:
        # Here, as whoever is excluded must not learn of it by another answer than everybody else's.
        return Decision("deny", "S1", reason="role")
    if request.role == "auditor":
        return Decision("permit", "S1", _entered(facts))
    return None


def _let(member: Member | None, action: str, policy: Policy) -> bool:
    """Whether the policy lets a doctor's profession, as approved, do this at all; nobody's, where nobody was approved."""
    return member is not None and policy.lets(member.profession, action)


def _state(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S2: charts that nobody has claimed yet, or may claim yet, shredded and retracted records, and the dead."""
    record, patient = request.record, facts.patient
    if patient is not None and patient.offered and _is_patient(request, patient):
        # Whoever has the keys of the account that was registered for somebody isn't shown to be them.
        return Decision("deny", "S2", (patient.offered,), "unclaimed")
    if gone := _gone(request, patient):
        return Decision("deny", "S2", (gone,), "gone")
    if record is not None and record.state == "retracted":
        at_home = bool(request.hospital) and request.hospital == record.hospital
        if not (at_home or _is_patient(request, patient)):
            return Decision("deny", "S2", (record.state_seq,), "retracted")
    # Nobody claims for the dead either. That they are is told to no one else who asks about a code.
    gives = request.action == "grant" and request.step != NARROW
    anew = gives or (request.role == "person" and request.step == CLAIM)
    as_patient = request.step == JOIN and request.role == "patient"
    relates = (request.step in (LINK, APPOINT) or as_patient) and _related_anew(request, facts)
    anew = anew or relates
    if anew and patient is not None and patient.deceased:
        return Decision("deny", "S2", (patient.deceased,), "deceased")
    if (
        patient is not None
        and relates
        and request.step == APPOINT
        and request.now >= patient.adult_from
    ):
        return Decision("deny", "S2", (patient.seq,), "of_age")
    if patient is not None and request.now < patient.teen_from and _hands_over(request, facts):
        return Decision("deny", "S2", (patient.seq,), "minor")
    return _kept(request, facts, policy) if request.action == "erase" else None


def _gone(request: Request, patient: Patient | None) -> int:
    """The entry by which what is asked about was erased, or is to be; 0 where it wasn't. It can be withdrawn until it is due."""
    if request.step == WITHDRAW:
        asked = request.erasure
        if asked is None or asked.patient != request.patient:
            return 0  # the type of the event says what is wrong with it
        too_late = asked.state == REQUESTED and request.now >= asked.due
        return asked.state_seq if too_late or asked.state in (BEGUN, COMPLETED) else 0
    if patient is not None and patient.erased and request.action not in OF_THE_ERASED:
        return patient.erased
    record = request.record
    return record.state_seq if record is not None and record.state == "shredded" else 0


def _kept(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """What can't be erased: what is held for a court, and what a hospital wrote and has to keep."""
    if request.step == WITHDRAW:
        return None
    whole = facts.records if request.record is None else (request.record,)
    records = [record for record in whole if record.state != "shredded"]
    holds = [h.seq for h in facts.holds if h.kind == LEGAL and _holds_any(h, request, records)]
    if holds:
        return Decision("deny", "S2", (min(holds),), "legal_hold")
    kept = [record.seq for record in records if request.now < kept_until(record, policy)]
    return Decision("deny", "S2", (min(kept),), "retention") if kept else None


def _holds_any(hold: Hold, request: Request, records: Iterable[Record]) -> bool:
    """Whether a hold that stands is on one of these records, or on all that their hospital has."""
    if hold.patient != request.patient or not hold.stands(request.now):
        return False
    if not hold.record and request.record is None:
        return True
    return any(
        hold.record == record.record or (not hold.record and hold.hospital == record.hospital)
        for record in records
    )


def kept_until(record: Record, policy: Policy) -> int:
    """Until when (Unix ms, excluded) a record is kept whatever its patient says; 0 for what no hospital wrote.

    The policy's years from its clinical date on, or, where it has none, from the day on which its latest version came.
    """
    if not record.hospital:
        return 0
    return end_of_years(record.clinical_date or record.written, policy.retention_years)


def _hands_over(request: Request, facts: Facts) -> bool:
    """Whether it would make somebody the patient, if the patient were old enough. Whoever else asks isn't told the age."""
    if request.action != "register" or request.on_behalf_of:
        return False
    if request.step == OFFER:
        return _registers(request, facts)
    return request.step == CLAIM and _claiming(request, facts) is not None


def _related_anew(request: Request, facts: Facts) -> bool:
    """Whether it would make somebody a relative or a guardian, or join charts, if the patient were alive and a minor."""
    if request.action != "register" or request.on_behalf_of:
        return False
    return _relating(request, facts) is not None


def _assurance(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S3: how surely the actor is who signs."""
    needed = policy.assurance.get(request.action, 1)
    if request.action == "read" and request.record is not None and request.record.sensitive:
        needed = max(needed, policy.assurance["read_sensitive"])
    if request.role == "patient" and request.step in (JOIN, PART):
        # What is signed so lets more people in, as a grant does.
        needed = max(needed, policy.assurance.get("grant", 1))
    return Decision("deny", "S3", reason="step_up") if request.assurance < needed else None


def _harm(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S4: the hospital that wrote the record keeps this patient or relative from it for a while.

    That it does is shown, but only to whom the record would be given otherwise: nobody else learns of record and hold.
    """
    if request.record is None or not facts.holds:
        return None
    holds = [hold.seq for hold in facts.holds if _keeps_from(hold, request, facts.patient)]
    if not holds or decide(request, facts._replace(holds=()), policy).effect == "deny":
        return None
    return Decision("deny", "S4", (min(holds),), "harm_hold", masked=True)


def _keeps_from(hold: Hold, request: Request, patient: Patient | None) -> bool:
    """Whether a harm hold stands on the record that is asked about, against who asks or for whom they do."""
    record = request.record
    if record is None or hold.record != record.record or hold.hospital != record.hospital:
        return False
    asker = (request.actor, request.role, request.on_behalf_of)
    return is_against(hold, *asker, patient) and hold.stands(request.now)


def is_against(
    hold: Hold, actor: str, role: str, on_behalf_of: str, patient: Patient | None
) -> bool:
    """Whether a harm hold is against an asker: as the patient, in every role and by whoever acts for them, or as a relative.

    A hold against the patient goes with the chart when somebody claims it.
    """
    if hold.kind != HARM:
        return False
    account = None if patient is None else patient.account
    if hold.of_patient:
        return account in (actor, on_behalf_of)
    own = hold.against == actor and (role in HELD_ROLES or actor == account)
    return own or hold.against == on_behalf_of == account


def _self(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S5: nothing below can lock patients out of their own chart."""
    patient = facts.patient
    if patient is None or not _is_patient(request, patient) or request.on_behalf_of:
        return None
    allowed = set(SELF_ACTIONS)
    record = request.record
    if record is not None and record.author == request.actor and not record.hospital:
        allowed.add("retract")
    if request.now < patient.adult_from:
        allowed -= MINOR_EXCEPT
    if request.now < patient.teen_from or request.action not in allowed:
        return None
    return Decision("permit", "S5", (patient.claimed or patient.seq,))


def _custodian(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S6: the hospital that wrote a record; the duty to keep records; registering, correcting and claiming."""
    if request.on_behalf_of:
        return None
    if request.action == "register" and request.step == CLAIM:
        return _claiming(request, facts)
    if request.action == "register" and request.step in RELATING:
        return _relating(request, facts)
    if facts.member is None:
        return None
    entered = _entered(facts)
    if request.action == "register":
        return Decision("permit", "S6", entered) if _registers(request, facts) else None
    if request.action == "append" and request.hospital:
        return Decision("permit", "S6", entered)
    if request.action == "refer" and request.step:
        return _referred(request, facts)
    record = request.record
    if record is None and request.role in _STAFF_ALONE.get(request.action, ()):
        return _own_acts(request, facts)
    if record is None and _holds_chart(request, facts):
        return Decision("permit", "S6", entered)
    if record is None or not request.hospital or record.hospital != request.hospital:
        return None
    custodian = request.action in CUSTODIAN_ACTIONS and request.purpose in CUSTODIAN_PURPOSES
    if request.action in ("list", "read") and not policy.custodian_reads:
        custodian = False
    if custodian or request.action in OWN_RECORD_ACTIONS.get(request.role, frozenset()):
        return Decision("permit", "S6", (*entered, record.seq))
    return None


_STAFF_ALONE = {
    "review": ("hospital_admin",),
    "disclose": ("hospital_admin", "hospital_system"),
    "refer": ("doctor", "hospital_system"),
}
"""Who reviews an emergency, or discloses or refers records of their hospital's own: which, the type of the event checks."""


def _own_acts(request: Request, facts: Facts) -> Decision | None:
    """An emergency is reviewed by the hospital where it was declared; records are disclosed by one that has some."""
    emergency = facts.reviewed
    if request.action in ("disclose", "refer"):
        return Decision("permit", "S6", _entered(facts)) if facts.keeps else None
    if emergency is None or emergency.patient != request.patient:
        return None
    if not request.hospital or emergency.hospital != request.hospital:
        return None
    return Decision("permit", "S6", (*_entered(facts), emergency.seq))


def _referred(request: Request, facts: Facts) -> Decision | None:
    """The hospital that a referral names answers it, and takes up what it accepted. To the excluded there is none: S7 says so
    to the log, and S12 to them."""
    found = facts.referral
    if found is None or (found.referral, found.patient) != (request.about, request.patient):
        return None
    if not request.hospital or found.receiver != request.hospital:
        return None
    readers = {request.actor, request.hospital, *(group.group for group in facts.groups)}
    if any(_excludes(e, _bound(request, facts), readers) for e in facts.exclusions):
        return None
    if request.step == ANSWER:
        return Decision("permit", "S6", (*_entered(facts), found.seq))
    if not found.opens:
        return None
    return Decision("permit", "S6", (*_entered(facts), found.seq, found.accepted))


def _holds_chart(request: Request, facts: Facts) -> bool:
    """A hospital's admin holds all that it has in a chart, where it has anything there."""
    return request.action == "hold" and request.role == "hospital_admin" and facts.keeps


def _registers(request: Request, facts: Facts) -> bool:
    """A chart that is there already is corrected by the hospital that registered it. A claim code is offered by that
    one too, and by one that has a record of the patient (Grants 7); for who registered alone by the service.
    """
    patient = facts.patient
    if patient is None:
        return True
    ours = "" != request.hospital == patient.hospital
    if request.step != OFFER:
        return ours
    return ours or facts.keeps or (not patient.hospital and request.role == "service")


def _claiming(request: Request, facts: Facts) -> Decision | None:
    """A person may claim while a code is offered; whether they prove it, the type of the event checks."""
    patient = facts.patient
    if request.role != "person" or patient is None or not patient.offered:
        return None
    return Decision("permit", "S6", (patient.offered,))


def _relating(request: Request, facts: Facts) -> Decision | None:
    """Relatives and guardians. Whether an invitation is proved, the type of the event checks."""
    basis = _RELATING[request.step](request, facts)
    return Decision("permit", "S6", tuple(sorted(set(basis)))) if basis else None


def _linking(request: Request, facts: Facts) -> tuple[int, ...]:
    """By an open invitation. To the excluded none is open: S7 says so to the log, and S12 to them."""
    invitation = facts.invitation
    if request.role != "person" or invitation is None or invitation.patient != request.patient:
        return ()
    if invitation.closed or request.now >= invitation.until:
        return ()
    if any(_excludes(e, _bound(request, facts), {request.actor}) for e in facts.exclusions):
        return ()
    return (invitation.seq,)


def _unlinking(request: Request, facts: Facts) -> tuple[int, ...]:
    """One's own relation, always; the patient's relations are the patient's own as well."""
    related, patient = facts.related, facts.patient
    if patient is not None and _acts_self(request, patient):
        return (patient.claimed or patient.seq,)
    return _own_relation(request, related, RELATIVE)


def _appointing(request: Request, facts: Facts) -> tuple[int, ...]:
    """The hospital that registered, if it has a record of the patient."""
    return _entered(facts) if _registered_here(request, facts) and facts.keeps else ()


def _confirming(request: Request, facts: Facts) -> tuple[int, ...]:
    """A second hospital that has a record of the patient."""
    found = _guardian(request, facts)
    if found is None or not facts.keeps or facts.member is None:
        return ()
    second = "" != request.hospital != found.hospital
    return (*_entered(facts), found.seq) if second else ()


def _objecting(request: Request, facts: Facts) -> tuple[int, ...]:
    """The patient or another guardian, as long as the guardian doesn't count yet; after that a hospital may end it."""
    found, patient = _guardian(request, facts), facts.patient
    if found is None or patient is None or found.guards(request.now, patient.adult_from):
        return ()
    if _acts_self(request, patient):
        return (patient.claimed or patient.seq, found.seq)
    if request.role != "person" or request.named == request.actor:
        return ()
    standing = [r.seq for r in facts.relations if _guards(r, request, patient)]
    return (min(standing), found.seq) if standing else ()


def _ending(request: Request, facts: Facts) -> tuple[int, ...]:
    """The hospital that registered, or whoever the guardian is."""
    found = _guardian(request, facts)
    if found is not None and _registered_here(request, facts):
        return (*_entered(facts), found.seq)
    return _own_relation(request, found, GUARDIAN)


def _joining(request: Request, facts: Facts) -> tuple[int, ...]:
    """A hospital that has a record of both; and then each chart's own patient, who needs nobody's word but the hospital's."""
    patient, other = facts.patient, facts.other
    if patient is None or other is None or other.erased or request.named == request.patient:
        return ()
    if request.hospital:
        return _entered(facts) if facts.keeps and facts.keeps_other else ()
    link = patient.link(other.patient)
    if link is None or not link.told or not _says_so(request, patient):
        return ()
    return (patient.claimed or patient.seq, link.told)


def _parting(request: Request, facts: Facts) -> tuple[int, ...]:
    """The hospital whose entry says that the two are one person's, or the chart's own patient."""
    patient = facts.patient
    link = None if patient is None else patient.link(request.named)
    if patient is None or link is None:
        return ()
    if request.hospital:
        ours = bool(link.told) and link.hospital == request.hospital
        return (*_entered(facts), link.told) if ours and facts.member is not None else ()
    if not _says_so(request, patient) or not (link.told or link.holds):
        return ()
    return (patient.claimed or patient.seq, link.seq)


def _says_so(request: Request, patient: Patient) -> bool:
    """Whether it is the patient who signs, old enough, and nobody else can have put their key in."""
    return _acts_self(request, patient) and patient.is_claimed


_RELATING: dict[str, Callable[[Request, Facts], tuple[int, ...]]] = {
    JOIN: _joining,
    PART: _parting,
    LINK: _linking,
    UNLINK: _unlinking,
    APPOINT: _appointing,
    CONFIRM: _confirming,
    OBJECT: _objecting,
    END: _ending,
}
"""What each step rests on where S6 permits it; else nothing."""


def _own_relation(request: Request, related: Relation | None, kind: str) -> tuple[int, ...]:
    """The relation that is asked about, if it stands and is the asker's."""
    if request.role != "person" or related is None or not related.active:
        return ()
    own = (related.patient, related.account, related.kind) == (request.patient, request.actor, kind)
    return (related.seq,) if own else ()


def _guardian(request: Request, facts: Facts) -> Relation | None:
    """The guardian of the patient that a step is about."""
    found = facts.related
    if found is None or not found.active or found.kind != GUARDIAN:
        return None
    return found if (found.patient, found.account) == (request.patient, request.named) else None


def _registered_here(request: Request, facts: Facts) -> bool:
    patient = facts.patient
    if patient is None or facts.member is None:
        return False
    return "" != request.hospital == patient.hospital


def _acts_self(request: Request, patient: Patient) -> bool:
    """Whether the patient asks, old enough to act."""
    waits = bool(patient.offered)
    return _is_patient(request, patient) and not waits and request.now >= patient.teen_from


def _guards(relation: Relation, request: Request, patient: Patient) -> bool:
    """Whether the asker is a guardian of the patient who counts now."""
    asker = (relation.patient, relation.account) == (request.patient, request.actor)
    return asker and relation.guards(request.now, patient.adult_from)


def _exclusion(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S7: what the patient excluded; of a person it also beats the emergency, which comes next.

    Asking for access is on record, and told to nobody (`people.telling`): silence doesn't tell of an exclusion. For an
    emergency's sake nobody asks, and there all that is refused has to read alike (`told`).
    """
    urgent = request.purpose in EMERGENCY_PURPOSES
    if request.action == "request_access" and not urgent:
        return None
    excluded = {request.actor}
    if not (urgent or request.action == "declare_emergency"):
        excluded |= {request.hospital, *(group.group for group in facts.groups)}
    charts = _bound(request, facts)
    denying = [e.seq for e in facts.exclusions if _excludes(e, charts, excluded)]
    return Decision("deny", "S7", (min(denying),), "excluded") if denying else None


def _bound(request: Request, facts: Facts) -> tuple[str, ...]:
    """The charts whose exclusions hold in the one that is asked about: its own, and those that a hospital linked with it."""
    patient = facts.patient
    return (request.patient, *(() if patient is None else patient.bound))


def _excludes(exclusion: Exclusion, charts: tuple[str, ...], readers: set[str]) -> bool:
    return exclusion.active and exclusion.patient in charts and exclusion.reader in readers


def _emergency(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S8: a doctor may declare an emergency, and then list and read up to the patient's ceiling; of several that are
    open the last one counts. Emergency purposes without an open one are denied."""
    declares = request.action == "declare_emergency"
    if not declares and request.purpose not in EMERGENCY_PURPOSES:
        return None
    setting = facts.emergency_setting
    ceiling = DEFAULT_CEILING if setting is None else setting.ceiling
    if ceiling == "off":
        return Decision("deny", "S8", reason="emergency_off")
    if declares:
        return Decision("permit", "S8", obligations=EMERGENCY_OBLIGATIONS)
    standing = [e.seq for e in facts.emergencies if is_open(e, request, policy)]
    if not standing:
        return Decision("deny", "S8", reason="emergency_needed")
    basis, record = (max(standing),), request.record
    # Listing and reading alone, record by record, as with grants: an empty chart shows nothing either.
    if request.action not in ("list", "read") or record is None or not _below(ceiling, record):
        return Decision("deny", "S8", basis, "emergency_ceiling")
    return Decision("permit", "S8", basis, obligations=EMERGENCY_OBLIGATIONS)


def is_open(emergency: Emergency, request: Request, policy: Policy) -> bool:
    """Whether an emergency is the asker's own and open: start included, end excluded. A policy that shortens them meanwhile
    counts for it, one that lengthens them doesn't."""
    asker = request.patient, request.actor, request.hospital
    if request.role != "doctor" or request.on_behalf_of:
        return False
    end = min(emergency.end, emergency.start + policy.emergency_hours * HOUR_MS)
    of = emergency.patient, emergency.doctor, emergency.hospital
    return of == asker and emergency.start <= request.now < end


def _below(ceiling: str, record: Record) -> bool:
    """Whether a record lies below the ceiling: sensitive ones count as restricted, and what isn't known as hidden."""
    if record.hidden or record.confidentiality not in ("normal", "restricted"):
        return False
    restricted = record.confidentiality != "normal" or record.sensitive or bool(record.labels)
    return ceiling == "restricted" or (ceiling == "normal" and not restricted)


EMERGENCY_OBLIGATIONS = ("record", "tell_patient", "tell_privacy_officer", "review")


def _grant(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S9: what the patient granted. Of several, unlimited before limited, then the lowest number."""
    if request.on_behalf_of:
        return None
    # A group's grant is for those who act for the hospital whose group it is.
    groups = (group.group for group in facts.groups if group.hospital == request.hospital)
    grantees = {request.actor, request.hospital, *groups}
    permitting = [
        (grant, rests)
        for grant in facts.grants
        if grant.grantee in grantees
        and _applies(_as_here(grant, request, facts.patient), request)
        and (rests := _rests_on(grant, request, facts)) is not None
    ]
    if not permitting:
        return None
    best, rests = min(permitting, key=lambda one: (one[0].uses > 0, one[0].seq))
    return Decision("permit", "S9", (*rests, best.seq))


def _rests_on(grant: Grant, request: Request, facts: Facts) -> tuple[int, ...] | None:
    """What a grant rests on beside itself; None where it doesn't count."""
    if grant.by and request.role == "relative":
        return None  # what one who acts for the patient gave another: each has what the patient or a hospital gave them
    if grant.patient == request.patient:
        return _given_by(grant, request, facts)
    link = carrying(grant, request.record, facts.patient)
    return (link.signed, link.theirs) if link is not None else None


def _given_by(grant: Grant, request: Request, facts: Facts) -> tuple[int, ...] | None:
    """What a grant rests on: nothing where the patient gave it, else the relation of whoever did; None once that is over.

    It is never more than they have themselves: what becomes a minor's own is lost to their guardian's grants, too.
    """
    if not grant.by:
        return ()
    patient, now = facts.patient, request.now
    if patient is None:
        return None
    standing = [
        one.seq
        for one in facts.gave
        if (one.patient, one.account) == (request.patient, grant.by)
        and one.seq < grant.seq
        and (
            one.active and one.start <= now < one.end
            if one.kind == RELATIVE
            else one.guards(now, patient.adult_from) and not _lost(request, patient)
        )
    ]
    return (min(standing),) if standing else None


def _as_here(grant: Grant, request: Request, patient: Patient | None) -> Grant:
    """A grant as if it were of the chart that is asked about, where a link carries it there."""
    carried = carrying(grant, request.record, patient) is not None
    return grant._replace(patient=request.patient) if carried else grant


def carrying(grant: Grant, record: Record | None, patient: Patient | None) -> ChartLink | None:
    """The link by which a grant of another chart counts in this patient's, both patients having signed; None if none does.

    It carries what says the same of every chart and what the patient gave: neither uses that are counted, nor records that are
    named, nor exceptions, which may name them, nor what a relative gave in that one. Of what is sensitive it carries nothing, as each chart has its own codes for labels.
    """
    if patient is None or grant.patient == patient.patient:
        return None
    if grant.by or grant.uses or grant.scope == "selective" or grant.exceptions:
        return None
    if record is not None and (record.sensitive or record.labels):
        return None
    link = patient.link(grant.patient)
    return link if link is not None and link.joined else None


def _on_behalf(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S10: what whoever is acted for may do (S5 as if of age, or S9), as far as relation or delegation reach."""
    if not request.on_behalf_of or request.action not in DELEGABLE:
        return None
    find = {"doctor": _for_colleague, "relative": _for_patient}.get(request.role)
    basis = find(request, facts, policy) if find else ()
    return Decision("permit", "S10", tuple(sorted(set(basis)))) if basis else None


def _for_patient(request: Request, facts: Facts, policy: Policy) -> tuple[int, ...]:
    """As a relative or a guardian: the relation, and what makes the patient the patient."""
    patient = facts.patient
    if patient is None or request.on_behalf_of != patient.account:
        return ()
    # As if of age, and as if nobody waited to claim the chart: that says who signs as the patient.
    grown = patient._replace(teen_from=0, adult_from=0)
    own = request._replace(actor=patient.account, role="patient", on_behalf_of="")
    right = _self(own, facts._replace(patient=grown), policy)
    found = [one for one in facts.relations if _reaches(one, request, patient)]
    if right is None or not found:
        return ()
    best = min(found, key=lambda one: one.seq)
    return (best.seq, best.confirmed or best.seq, *right.basis)


def _reaches(relation: Relation, request: Request, patient: Patient) -> bool:
    """Whether a relation covers what is asked. Of a guardian whose minor is old enough to act: nothing private or hidden."""
    if relation.kind == GUARDIAN:
        if request.record is None and request.action in ("list", "read"):
            return False  # decided record by record, as for grants
        return _guards(relation, request, patient) and not _lost(request, patient)
    return (
        relation.active
        and (relation.patient, relation.account) == (request.patient, request.actor)
        and relation.start <= request.now < relation.end
        and request.action in relation.actions
        and covers(relation, request)
    )


def _lost(request: Request, patient: Patient) -> bool:
    """What is a minor's own once they are old enough to act, and no guardian's: records that are private to them or that
    they hid, and the history, which names those. Which label it is, the log doesn't tell, so that any makes a record private."""
    if request.now < patient.teen_from:
        return False
    record = request.record
    if record is None:
        return request.action == "read_history"
    return record.minor_private or bool(record.hidden or record.labels)


def _for_colleague(request: Request, facts: Facts, policy: Policy) -> tuple[int, ...]:
    """As a doctor for one on leave: the delegations, and the grant to that one. Nobody in between may be kept out."""
    givers = {giver.account: giver for giver in facts.givers}
    for chain in _chains(request, facts.delegations):
        between = [givers.get(one.giver) for one in chain]
        if not all(
            giver is not None and _passes(request, giver, facts, policy) for giver in between
        ):
            continue
        there = [giver.member for giver in between if giver is not None] + [facts.member]
        if not all(_stayed(one, there[at : at + 2]) for at, one in enumerate(chain)):
            continue
        own = request._replace(actor=request.on_behalf_of, on_behalf_of="")
        theirs = givers[request.on_behalf_of]
        right = _grant(own, facts._replace(grants=theirs.grants, groups=theirs.groups), policy)
        if right is not None:
            return (*(one.seq for one in chain), *right.basis)
    return ()


def _stayed(delegation: Delegation, members: Iterable[Member | None]) -> bool:
    """Whether both were doctors there when it was given, and never left since: who comes back delegates anew."""
    return all(member is not None and member.seq < delegation.seq for member in members)


def _chains(request: Request, delegations: tuple[Delegation, ...]) -> list[tuple[Delegation, ...]]:
    """From whoever is acted for to the actor, directly or through one other; the shortest and oldest first."""
    counting = {
        (one.giver, one.account): one
        for one in delegations
        if one.hospital == request.hospital
        and one.counts(request.now)
        and request.action in one.actions
    }
    chains: list[tuple[Delegation, ...]] = []
    for first in counting.values():
        second = counting.get((first.account, request.actor))
        if first.giver != request.on_behalf_of:
            continue
        if first.account == request.actor:
            chains.append((first,))
        elif second is not None:
            chains.append((first, second))
    return sorted(chains, key=lambda chain: (len(chain), [one.seq for one in chain]))


def _passes(request: Request, giver: Giver, facts: Facts, policy: Policy) -> bool:
    """Whether a giver is still a doctor of the hospital, who may do it themselves, and whom the patient doesn't exclude."""
    if giver.member is None or not giver.member.holds(request.now):
        return False
    if not _let(giver.member, request.action, policy):
        return False
    theirs = facts._replace(groups=giver.groups, exclusions=giver.exclusions)
    return _exclusion(request._replace(actor=giver.account), theirs, policy) is None


def _care_link(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S11: where the policy lets it, what ties the actor's hospital to the patient shows what it is about."""
    asks = request.role == "doctor" and request.action in LINKED_ACTIONS
    if policy.care_link != BASIC or not asks or request.purpose != "TREAT" or request.on_behalf_of:
        return None
    link = linked(
        facts.links, facts.referrals, request.patient, request.hospital, request.record, request.now
    )
    return Decision("permit", "S11", (link,)) if link else None


def _default(request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """S12: doctors and relatives may ask for access; anything else is denied."""
    if request.action == "request_access" and request.role in ASKING_ROLES:
        return Decision("permit", "S12")
    return Decision("deny", "S12", reason="no_consent")


STAGES: tuple[Stage, ...] = (
    _sanity,
    _role,
    _state,
    _assurance,
    _harm,
    _self,
    _custodian,
    _exclusion,
    _emergency,
    _grant,
    _on_behalf,
    _care_link,
    _default,
)
"""S0 to S12."""


def _applies(grant: Grant, request: Request) -> bool:
    """Whether a grant permits this very request; start included, end excluded."""
    return (
        grant.active
        and grant.start <= request.now < grant.end
        and grant.patient == request.patient
        and request.purpose in grant.purposes
        and request.action in grant.actions
        and (not grant.uses or grant.used < grant.uses)
        and covers(grant, request)
    )


def covers(grant: Grant | Relation, request: Request) -> bool:
    """Whether what is asked for lies in a grant's scope and in none of its exceptions."""
    return _covers(grant, request) and _verdict(grant.exceptions, request.record, True)


def _covers(grant: Grant | Relation, request: Request) -> bool:
    """Whether the record lies in a grant's scope: never hidden; sensitive labels named by code.

    Listing and reading are decided record by record: without one no grant permits them.
    """
    record = request.record
    if record is None:
        return grant.scope == "full" and request.action not in ("list", "read")
    if record.hidden:
        return False
    if grant.scope == "selective" and record.record not in grant.records:
        return False
    if grant.scope == "partial" and not (
        record.confidentiality == "normal" and any(meets(what, record) for what in grant.what)
    ):
        return False
    if grant.sensitive and grant.scope == "full":
        return True
    return set(record.labels) <= set(grant.labels) and bool(record.labels or not record.sensitive)


def _verdict(provisions: tuple[Provision, ...], record: Record | None, base: bool) -> bool:
    """What the exceptions make of `base`: inside each the deepest match wins, among siblings a denial."""
    met = [what for what in provisions if record is not None and meets(what, record)]
    return all(_verdict(what.exceptions, record, what.permits) for what in met) if met else base


def _is_patient(request: Request, patient: Patient | None) -> bool:
    return patient is not None and request.role == "patient" and request.actor == patient.account


def _entered(facts: Facts) -> tuple[int, ...]:
    """The entry that put the actor into the role."""
    return () if facts.member is None else (facts.member.seq,)
