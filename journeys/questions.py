"""A question to the rules, asked without an entry: the request and its facts, as of now, from the views."""

from dataclasses import dataclass

from consent.decide import Facts, Request
from consent.gate import ASSURANCE, gather
from identity.actors import Caller
from identity.sessions import active_role
from ledger.directory import Group, GroupMember, Key, Member, Patient
from ledger.editions import PEOPLE, edition_of
from ledger.facts import Emergency, EmergencySetting, Exclusion, Grant, Hold, Record
from ledger.links import Consultation, Referral
from ledger.policies import Policy
from ledger.relations import KINDS, Delegation, Relation
from ledger.rows import Rows
from storage.reader import LogReader


@dataclass(frozen=True)
class Question:
    """May this actor do that? `record` empty: the chart as a whole."""

    patient: str
    actor: str
    role: str
    hospital: str
    action: str
    purpose: str
    record: str = ""
    on_behalf_of: str = ""
    """The account on whose behalf; empty: nobody's."""


def asked(ledger: LogReader, question: Question) -> tuple[Request, Facts, Policy]:
    """The question as of now, with its facts from the views."""
    head, policy = ledger.head(), ledger.policy
    now = max(ledger.clock(), head.time)
    request = Request(
        actor=question.actor,
        role=question.role,
        hospital=question.hospital,
        held=_held(ledger, question, now),
        assurance=_assurance(ledger, question.actor),
        on_behalf_of=question.on_behalf_of,
        patient=question.patient,
        action=question.action,
        purpose=question.purpose,
        now=now,
        as_of=head.size - 1,
        record=ledger.row(Record, question.record) if question.record else None,
    )
    facts = gather(request, _rows(ledger, question))
    # What has ended counts in no decision, but in what is said of one.
    joined = facts.patient.joined if facts.patient is not None else ()
    grants = tuple(
        grant
        for chart in (question.patient, *joined)
        for grant in ledger.rows(Grant, "patient", chart)
    )
    givers = tuple(giver._replace(grants=grants) for giver in facts.givers)
    return request, facts._replace(grants=grants, givers=givers), policy


def _held(ledger: LogReader, question: Question, now: int) -> bool:
    if question.role == "patient":
        patient = ledger.row(Patient, question.patient)
        return patient is not None and patient.account == question.actor and not question.hospital
    if question.role == "relative":
        return not question.hospital and any(one.active for one in _relations(ledger, question))
    return active_role(ledger, Caller(question.actor, question.role, question.hospital, None), now)


def _assurance(ledger: LogReader, account: str) -> int:
    """The most that one of the actor's keys gives; a kept one after a step-up."""
    stepped_up = {"service": 3} if (edition_of(ledger.head().registry) or 0) >= PEOPLE else {}
    levels = ASSURANCE | stepped_up
    keys = [key for key in ledger.rows(Key, "account", account) if key.active]
    return max((levels[key.custody] for key in keys), default=1)


def _rows(ledger: LogReader, question: Question) -> Rows:
    """The rows that `gather` looks for, from the views."""
    rows, patient = Rows(), ledger.row(Patient, question.patient)
    bound = patient.bound if patient is not None else ()
    delegations = _delegations(ledger, question)
    givers = sorted({one.giver for one in delegations})
    members = [
        member
        for account in (question.actor, *givers)
        for member in ledger.rows(GroupMember, "account", account)
    ]
    found: list[object] = [
        patient,
        ledger.row(Member, question.actor, question.role, question.hospital),
        *members,
        *(ledger.row(Group, member.group) for member in members),
        *(
            e
            for chart in (question.patient, *bound)
            for e in ledger.rows(Exclusion, "patient", chart)
        ),
        ledger.row(EmergencySetting, question.patient),
        *ledger.rows(Emergency, "patient", question.patient),
        *_relations(ledger, question),
        *delegations,
        *(ledger.row(Member, giver, "doctor", question.hospital) for giver in givers),
        *ledger.rows(Hold, "patient", question.patient),
        *ledger.rows(Consultation, "patient", question.patient),
        *ledger.rows(Referral, "patient", question.patient),
    ]
    if question.action in ("disclose", "erase", "hold", "refer") and not question.record:
        found += ledger.records_of(question.patient)  # all of a chart is what it is about
    for row in found:
        if row is not None:
            rows.put(row)
    return rows


def _relations(ledger: LogReader, question: Question) -> list[Relation]:
    """How the actor is or was related to the patient."""
    found = (ledger.row(Relation, question.patient, question.actor, kind) for kind in KINDS)
    return [one for one in found if one is not None]


def _delegations(ledger: LogReader, question: Question) -> list[Delegation]:
    """Those of whoever is acted for at the hospital, and of those whom that one names."""
    if question.role != "doctor" or not question.on_behalf_of:
        return []
    at = question.hospital
    first = [
        one for one in ledger.rows(Delegation, "giver", question.on_behalf_of) if one.hospital == at
    ]
    second = (ledger.row(Delegation, at, one.account, question.actor) for one in first)
    return [*first, *(one for one in second if one is not None)]
