"""Patients' charts: registered, and corrected."""

from typing import TYPE_CHECKING, Any

from crypto.encoding import b64decode
from ledger.codes import ACCOUNT, PATIENT, PURPOSE, TRUE, body
from ledger.directory import Account, Patient
from ledger.editions import PEOPLE, STRICTER
from ledger.errors import Refused
from ledger.policies import Policy, edition_in_force
from ledger.rows import Look, Row, Wanted, row_of_id
from ledger.schema import MIDNIGHT, SEALED, Kind, base64_of
from ledger.times import format_time, parse_time
from ledger.types.checks import own_stream, rising
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

CLAIM = base64_of(32)
"""The public key of a claim code."""
_AGES: dict[str, Kind] = {
    "adult": TRUE, "adult_from": MIDNIGHT, "deceased": TRUE, "name": SEALED, "teen_from": MIDNIGHT,
}  # fmt: skip


def _check_ages(event: "Event") -> None:
    minor = {"teen_from", "adult_from"} & event.body.keys()
    if ("adult" in event.body) == bool(minor) or len(minor) == 1:
        raise Refused(
            "malformed", f"{event.type.name}: expected adult, or teen_from and adult_from"
        )
    if minor:
        rising(event, "teen_from", "adult_from")


def _ages(body: dict[str, Any], seq: int) -> tuple[int, int, int]:
    """`teen_from`, `adult_from` (Unix ms, 0 if adult), and `seq` if the patient has died."""
    teen, adult = (parse_time(body[m]) if m in body else 0 for m in ("teen_from", "adult_from"))
    return teen, adult, seq if body.get("deceased") else 0


def _registered_ids(event: "Event", look: Look) -> list[str]:
    """A hospital creates the account as well; the service names one that it registered."""
    body = event.body
    return [*([] if event.role == "service" else [body["account"]]), body["patient"]]


def _may_register(event: "Event", time: int, origin: str, look: Look) -> None:
    own_stream(event, "patient")
    body = event.body
    if event.role == "service":
        account = look.get(Account, body["account"])
        if account is None or account.registrar != "service":
            raise Refused(
                "unknown", f"got the account {body['account']}, not one the service registered"
            )
    _check_ages(event)
    if "claim" in event.body:
        old_enough(_ages(event.body, 0)[0], time)


def old_enough(teen_from: int, time: int) -> None:
    """Nobody claims the chart of a patient who may not act in it yet at `time`; both Unix ms. Raises Refused."""
    if time < teen_from:
        raise Refused("conflict", "a chart is claimed only once its patient is old enough to act in it: no claim "
                      f"code before {format_time(teen_from)}")  # fmt: skip


def _registered(entry: "Entry", look: Look) -> list[Row]:
    event, body, seq = entry.event, entry.event.body, entry.link.seq
    rows: list[Row] = []
    if event.role != "service":
        rows.append(Account(body["account"], seq, event.hospital))
    row = Patient(body["patient"], body["account"], event.hospital, seq, *_ages(body, seq))
    rows.append(with_claim(row, event, seq) if "claim" in body else row)
    return rows


def with_claim(row: Patient, event: "Event", seq: int) -> Patient:
    """A chart whose claim code is, from entry `seq` on, the one that the event names."""
    return row._replace(
        offered=seq, offerer=event.hospital, claim=b64decode(event.body["claim"], 32)
    )


def _account(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["account"])]


PATIENT_REGISTERED = EventType(
    "patient.registered",
    "patient",
    ("doctor", "hospital_admin", "hospital_system", "service"),
    body(_AGES, account=ACCOUNT, patient=PATIENT, purpose=PURPOSE),
    action="register",
    about="chart",
    gate_rule=nothing,
    creates=("patient",),
    ids=_registered_ids,
    rule=_may_register,
    fold=_registered,
    changes=(Account, Patient),
    wants=_account,
    example=Example("doctor", lambda sample: {
        "account": sample.account("person"), "adult_from": "2030-03-01T00:00:00.000Z", "deceased": True,
        "name": sample.sealed, "patient": sample.id("pt"), "purpose": "TREAT",
        "teen_from": "2024-02-29T00:00:00.000Z",
    }),
)  # fmt: skip


PATIENT_REGISTERED_2 = EventType(
    "patient.registered",
    "patient",
    ("doctor", "hospital_admin", "hospital_system", "service"),
    body(_AGES | {"claim": CLAIM}, account=ACCOUNT, patient=PATIENT, purpose=PURPOSE),
    v=2,
    since=PEOPLE,
    action="register",
    about="chart",
    gate_rule=nothing,
    creates=("patient",),
    ids=_registered_ids,
    rule=_may_register,
    fold=_registered,
    changes=(Account, Patient),
    wants=_account,
    example=Example("doctor", lambda sample: {
        "account": sample.account("person"), "adult": True, "claim": sample.claim,
        "name": sample.sealed, "patient": sample.id("pt"), "purpose": "TREAT",
    }),
)  # fmt: skip


def _known(event: "Event", policy: Policy, look: Look) -> None:
    """Before STRICTER, a correction of a chart that nobody registered was permitted and changed nothing.

    Of a chart that was claimed, no hospital makes the patient younger: nobody is locked out of the own chart.
    """
    patient = look.get(Patient, event.subject)
    if patient is None and edition_in_force(look) >= STRICTER:
        raise Refused("unknown", f"there is no patient {event.subject} to correct")
    if patient is None or not patient.claimed:
        return
    teen, adult, _ = _ages(event.body, 0)
    if teen > patient.teen_from or adult > patient.adult_from:
        raise Refused(
            "conflict", f"{event.subject} was claimed: a correction makes its patient no younger"
        )


def _may_correct(event: "Event", time: int, origin: str, look: Look) -> None:
    own_stream(event, "patient")
    _check_ages(event)


def _corrected(entry: "Entry", look: Look) -> list[Row]:
    """A correction says all of it anew; the entry that first told of the death stays its entry."""
    body = entry.event.body
    old = look.get(Patient, body["patient"])
    if old is None:
        return []
    teen, adult, deceased = _ages(body, old.deceased or entry.link.seq)
    return [old._replace(teen_from=teen, adult_from=adult, deceased=deceased)]


PATIENT_CORRECTED = EventType(
    "patient.corrected",
    "patient",
    ("doctor", "hospital_admin", "hospital_system"),
    body(_AGES, patient=PATIENT, purpose=PURPOSE),
    since=2,
    action="register",
    about="chart",
    gate_rule=_known,
    rule=_may_correct,
    fold=_corrected,
    changes=(Patient,),
    wants=nothing,
    example=Example("doctor", lambda sample: {
        "adult": True, "deceased": True, "name": sample.sealed, "patient": sample.id("pt"),
        "purpose": "TREAT",
    }),
)  # fmt: skip
