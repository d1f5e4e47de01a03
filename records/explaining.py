"""Why: the decision on a question, its reasons and what would change it; asked without an entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consent.decide import Facts, Request, decide
from consent.explain import Explanation, explain
from consent.gate import ASSURANCE, gather
from identity.actors import Caller
from identity.sessions import active_role
from identity.strength import check_two_factors
from journeys.errors import Forbidden, NotThere, RecordsError
from ledger.codes import ACTIONS, PURPOSES
from ledger.directory import Group, GroupMember, Key, Member, Patient
from ledger.editions import PEOPLE, edition_of
from ledger.entry import Entry
from ledger.facts import Emergency, EmergencySetting, Exclusion, Grant, Hold, Record
from ledger.links import Consultation, Referral
from ledger.policies import Policy
from ledger.relations import KINDS, Delegation, Relation
from ledger.rows import Rows
from ledger.signins import SIGN_IN_LASTS_MS, SignIns
from ledger.types import REGISTRY
from storage.reader import LogReader

ASKED = frozenset(str(kind.action) for kind in REGISTRY.values() if kind.action)
"""Actions that some event asks for. Of others nobody is told about themselves what can't be tried: the
answer would be true of a chart without exclusions, or of one with them, alone."""


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


@dataclass(frozen=True)
class Answer:
    """The explanation, as of which entry and under which policy."""

    explanation: Explanation
    as_of: int
    policy: int


def why(ledger: LogReader, caller: Caller, question: Question) -> Answer:
    """Explain what the rules say now; nothing is appended.

    Patients ask about anybody on their own chart, auditors about everybody, others about themselves, and
    are told what a refused asker is told. Raises NotThere, Forbidden or RecordsError.
    """
    if question.action not in ACTIONS or question.purpose not in PURPOSES:
        raise RecordsError(f"got {question.action[:40]!r} for {question.purpose[:40]!r}, expected an action and a "
                           "purpose of the registry")  # fmt: skip
    patient = ledger.row(Patient, question.patient)
    own = patient is not None and caller.role == "patient" and patient.is_of(caller.account)
    whole = own or caller.role == "auditor"
    if whole:
        check_two_factors(caller, "the whole explanation")
    asker = (question.actor, question.role, question.hospital)
    if not whole and asker != (caller.account, caller.role, caller.hospital):
        raise Forbidden("you may ask about yourself, in the role in which you signed in")
    record = ledger.row(Record, question.record) if question.record else None
    if question.record and (record is None or record.patient != question.patient):
        raise NotThere(f"there is no record {question.record} of {question.patient}")
    if not whole and question.action not in ASKED:
        raise RecordsError(f"got {question.action}, which no kind of event asks for yet; expected one of "
                           f"{', '.join(sorted(ASKED))}")  # fmt: skip
    request, facts, policy = _asked(ledger, question)
    records = ledger.records_of(question.patient) if question.action == "list" else ()
    return Answer(explain(request, facts, policy, whole, records), request.as_of, policy.seq)


def check_still_permitted(ledger: LogReader, entry: Entry, record: str = "") -> None:
    """Raises NotThere unless the rules would permit an earlier reading now, signed by the same key.

    `record`: that of a reading of many, of which this one is given.
    """
    if not _still_permitted(ledger, entry, record):
        raise NotThere(f"{entry.event.actor} may not read this any more")


def _still_permitted(ledger: LogReader, entry: Entry, record: str) -> bool:
    """Its own use of a grant doesn't count against it."""
    event, key, decision = entry.event, ledger.row(Key, entry.sig.key), entry.decision or {}
    if key is None or not key.active or not _signed_in(ledger, event.actor, decision):
        return False
    question = Question(
        event.subject, event.actor, event.role, event.hospital, str(event.type.action),
        event.body["purpose"], record or event.body.get("record", ""), event.value.get("on_behalf_of", ""),
    )  # fmt: skip
    request, facts, policy = _asked(ledger, question)
    request, basis = request._replace(assurance=decision["assurance"]), decision["basis"]

    def unused(grants: Iterable[Grant]) -> tuple[Grant, ...]:
        return tuple(g._replace(used=g.used - 1) if g.seq in basis else g for g in grants)

    givers = tuple(giver._replace(grants=unused(giver.grants)) for giver in facts.givers)
    before = facts._replace(grants=unused(facts.grants), givers=givers)
    return decide(request, before, policy).effect == "permit"


def _asked(ledger: LogReader, question: Question) -> tuple[Request, Facts, Policy]:
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


def _signed_in(ledger: LogReader, account: str, decision: Mapping[str, Any]) -> bool:
    """Whether the sign-in that a decision rests on, if it does on one, still lasts as far as the log tells."""
    if "session" not in decision:
        return True
    row, named = ledger.row(SignIns, account), ledger.entry(decision["session"]).event.body
    found = None if row is None else row.of(named["session"])  # it may have been stepped up again
    now = max(ledger.clock(), ledger.head().time)
    return found is not None and now - found.opened < SIGN_IN_LASTS_MS


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
