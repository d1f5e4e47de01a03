"""Why: the decision on a question, its reasons and what would change it; asked without an entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consent.decide import decide
from consent.explain import Explanation, explain
from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import Forbidden, NotThere, RecordsError
from journeys.questions import Question, asked
from ledger.codes import ACTIONS, PURPOSES
from ledger.directory import Key, Patient
from ledger.entry import Entry
from ledger.facts import Grant, Record
from ledger.signins import SIGN_IN_LASTS_MS, SignIns
from ledger.types import REGISTRY
from storage.reader import LogReader

ASKED = frozenset(str(kind.action) for kind in REGISTRY.values() if kind.action)
"""Actions that some event asks for. Of others nobody is told about themselves what can't be tried: the
answer would be true of a chart without exclusions, or of one with them, alone."""


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
    request, facts, policy = asked(ledger, question)
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
    request, facts, policy = asked(ledger, question)
    request, basis = request._replace(assurance=decision["assurance"]), decision["basis"]

    def unused(grants: Iterable[Grant]) -> tuple[Grant, ...]:
        return tuple(g._replace(used=g.used - 1) if g.seq in basis else g for g in grants)

    givers = tuple(giver._replace(grants=unused(giver.grants)) for giver in facts.givers)
    before = facts._replace(grants=unused(facts.grants), givers=givers)
    return decide(request, before, policy).effect == "permit"


def _signed_in(ledger: LogReader, account: str, decision: Mapping[str, Any]) -> bool:
    """Whether the sign-in that a decision rests on, if it does on one, still lasts as far as the log tells."""
    if "session" not in decision:
        return True
    row, named = ledger.row(SignIns, account), ledger.entry(decision["session"]).event.body
    found = None if row is None else row.of(named["session"])  # it may have been stepped up again
    now = max(ledger.clock(), ledger.head().time)
    return found is not None and now - found.opened < SIGN_IN_LASTS_MS
