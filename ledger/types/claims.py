"""Claims: the code that a chart waits for, and the person who proves it and is the patient from then on."""

from typing import TYPE_CHECKING

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.signing import verify
from ledger.codes import ACCOUNT, HOSPITAL_ROLES, PATIENT, PURPOSE, body
from ledger.directory import Account, Key, Member, Patient
from ledger.editions import PEOPLE
from ledger.errors import Refused
from ledger.facts import Record
from ledger.messages import claim_message
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_of_id, rows_in
from ledger.schema import base64_of
from ledger.types.checks import own_stream
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example
from ledger.types.patients import CLAIM, old_enough, with_claim

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _own_chart(event: "Event", time: int, origin: str, look: Look) -> None:
    """Also of a patient who is old enough: whoever checks the log without the consent rules sees it too."""
    own_stream(event, "patient")
    patient = look.get(Patient, event.subject)
    if patient is not None:
        old_enough(patient.teen_from, time)


def _may_offer(event: "Event", policy: Policy, look: Look) -> None:
    """Only while nobody is the patient by a key of their own: an offer would lock them out, or give the chart away."""
    patient = look.get(Patient, event.subject)
    assert patient is not None  # it is permitted for a chart that is there
    waits = bool(patient.offered)
    held = patient.claimed or not patient.hospital or any(look.group(Key, patient.account))
    if held and not waits:
        raise Refused("conflict", f"{event.subject} is not to be claimed: somebody is this patient already. A "
                      "lost key is replaced by recovery")  # fmt: skip
    if waits and event.hospital not in (patient.offerer, patient.hospital):
        raise Refused("conflict", f"{event.subject} waits for a code of {patient.offerer or 'the service'}; who "
                      "registered the chart may replace it")  # fmt: skip
    if event.hospital and _is_staff_of(patient.account, event.hospital, look):
        raise Refused("role", _OWN_STAFF)


_OWN_STAFF = "a hospital offers no claim code for an account of its own staff; another hospital may"


def _is_staff_of(account: str, hospital: str, look: Look) -> bool:
    members = look.group(Member, account)
    return any(
        (m.active or m.suspended) and m.role in HOSPITAL_ROLES and m.hospital == hospital
        for m in members
    )


def _offered(entry: "Entry", look: Look) -> list[Row]:
    """The newest code counts, and those before it don't any more."""
    old = look.get(Patient, entry.event.subject)
    return [] if old is None else [with_claim(old, entry.event, entry.link.seq)]


def _chart_and_account(event: "Event") -> list[Wanted]:
    """The chart, its records (does the hospital have one?), and keys and roles of its account."""
    patient = event.subject
    return [
        row_of_id(patient, lambda row: rows_in(Key, row.account)),
        row_of_id(patient, lambda row: rows_in(Member, row.account)),
        rows_in(Record, patient),
    ]


CLAIM_OFFERED = EventType(
    "claim.offered",
    "patient",
    ("hospital_admin", "hospital_system", "service"),
    body(claim=CLAIM, patient=PATIENT, purpose=PURPOSE),
    since=PEOPLE,
    action="register",
    about="chart",
    gate_rule=_may_offer,
    rule=_own_chart,
    fold=_offered,
    changes=(Patient,),
    wants=_chart_and_account,
    example=Example("hospital_system", lambda sample: {
        "claim": sample.claim, "patient": sample.id("pt"), "purpose": "TREAT",
    }),
)  # fmt: skip


def _may_claim(event: "Event", time: int, origin: str, look: Look) -> None:
    """The code's signature fits this log, chart and account, which is the signer's own. One answer to all that fails."""
    own_stream(event, "patient")
    account, patient = event.body["account"], look.get(Patient, event.subject)
    if account != event.actor:
        raise Refused("claim", f"got a claim for {account} signed by {event.actor}")
    if patient is None or not patient.offered or time < patient.teen_from:
        raise Refused("claim", NOT_CLAIMED)
    try:
        proof = b64decode(event.body["proof"], 64)
        verify(patient.claim, proof, claim_message(origin, event.subject, account))
    except CryptoError as error:
        raise Refused("claim", NOT_CLAIMED) from error
    if account == patient.account:
        raise Refused("role", "a chart is claimed by an account of the patient's own, not by the one that was "
                      "registered for it")  # fmt: skip
    if patient.offerer and _is_staff_of(account, patient.offerer, look):
        raise Refused("role", _OWN_STAFF)
    row = look.get(Account, account)
    if row is None or (patient.offerer and row.registrar == patient.offerer):
        raise Refused("role", "a chart isn't claimed by an account that the hospital registered which offered the "
                      "code: register one alone")  # fmt: skip


NOT_CLAIMED = "this chart is not to be claimed with this code"
"""All that a claim that fails is told: whether there is a chart, a code, another code is nobody's to guess."""


def _claimed(entry: "Entry", look: Look) -> list[Row]:
    """The claimant is the patient; the code is used up."""
    old = look.get(Patient, entry.event.subject)
    if old is None:
        return []
    account, seq = entry.event.actor, entry.link.seq
    return [old._replace(account=account, offered=0, offerer="", claim=b"", claimed=seq)]


def _claimant(event: "Event") -> list[Wanted]:
    return [rows_in(Member, event.actor)]


PATIENT_CLAIMED = EventType(
    "patient.claimed",
    "patient",
    ("person",),
    body(account=ACCOUNT, patient=PATIENT, proof=base64_of(64), purpose=PURPOSE),
    since=PEOPLE,
    action="register",
    about="chart",
    gate_rule=nothing,
    rule=_may_claim,
    fold=_claimed,
    changes=(Patient,),
    wants=_claimant,
    example=Example("person", lambda sample: {
        "account": sample.account("person"), "patient": sample.id("pt"),
        "proof": sample.claimed("person"), "purpose": "PATRQT",
    }),
)  # fmt: skip
