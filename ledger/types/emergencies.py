"""Emergencies: how far the patient lets doctors see in one, a doctor who declares one, and its review."""

from typing import TYPE_CHECKING

from ledger.codes import (
    CEILINGS,
    EMERGENCY,
    EMERGENCY_PURPOSES,
    EMERGENCY_REASONS,
    FINDINGS,
    PURPOSE,
    REVIEW_DAYS,
    body,
)
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Emergency, EmergencySetting
from ledger.policies import Policy, policy_in_force
from ledger.rows import Look, Row, Wanted, row_named, rows_in
from ledger.schema import SEALED, code
from ledger.times import DAY_MS, HOUR_MS
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _configured(entry: "Entry", look: Look) -> list[Row]:
    event = entry.event
    return [EmergencySetting(event.subject, entry.link.seq, event.body["ceiling"])]


def _setting(event: "Event") -> list[Wanted]:
    return [row_named(EmergencySetting, event.subject)]


EMERGENCY_CONFIGURED = EventType(
    "emergency.configured",
    "patient",
    ("patient",),
    body(ceiling=code(*CEILINGS), purpose=PURPOSE),
    since=CONSENT,
    action="grant",
    about="chart",
    gate_rule=nothing,
    rule=nothing,
    fold=_configured,
    changes=(EmergencySetting,),
    wants=_setting,
    example=Example("patient", lambda sample: {"ceiling": "restricted", "purpose": "PATRQT"}),
)


def emergency_readings(entry: "Entry", look: Look) -> list[Row]:
    """A permitted reading counts for the one emergency it rests on; others change nothing."""
    decision, event = entry.decision, entry.event
    if decision is None or decision["rule"] != "S8":
        return []
    declared = look.group(Emergency, event.subject, event.actor, event.hospital)
    return [e._replace(readings=e.readings + 1) for e in declared if [e.seq] == decision["basis"]]


def emergencies_of(event: "Event") -> list[Wanted]:
    """The emergencies that an act in an emergency may rest on: of its actor, for its patient."""
    if event.body["purpose"] not in EMERGENCY_PURPOSES:
        return []
    return [rows_in(Emergency, event.subject, event.actor, event.hospital)]


def _declared(entry: "Entry", look: Look) -> list[Row]:
    """It lasts as long as the policy of its entry says."""
    event, start = entry.event, entry.time
    end = start + policy_in_force(look, start).emergency_hours * HOUR_MS
    due = start + REVIEW_DAYS * DAY_MS
    return [
        Emergency(
            event.id, event.subject, event.actor, event.hospital, entry.link.seq, start, end,
            event.body["reason"], due,
        )
    ]  # fmt: skip


def _declaring(event: "Event") -> list[Wanted]:
    """Its own row, which is yet to come, and those that stand beside it."""
    return [row_named(Emergency, event.id), *emergencies_of(event)]


EMERGENCY_DECLARED = EventType(
    "emergency.declared",
    "patient",
    ("doctor",),
    body(purpose=code(*EMERGENCY_PURPOSES), reason=code(*EMERGENCY_REASONS), text=SEALED),
    since=CONSENT,
    action="declare_emergency",
    about="chart",
    gate_rule=nothing,
    rule=nothing,
    fold=_declared,
    changes=(Emergency,),
    wants=_declaring,
    example=Example("doctor", lambda sample: {
        "purpose": "BTG", "reason": "life_at_risk", "text": sample.sealed,
    }),
)  # fmt: skip


def _by_another(event: "Event", policy: Policy, look: Look) -> None:
    """Nobody reviews their own emergency; that it is one of this patient and hospital, the decision told already."""
    emergency = look.get(Emergency, event.body["emergency"])
    if emergency is not None and emergency.doctor == event.actor:
        raise Refused("role", f"{event.actor} declared {event.body['emergency']}, so another administrator of "
                      "the hospital reviews it")  # fmt: skip


def _reviewed(entry: "Entry", look: Look) -> list[Row]:
    """The last review counts."""
    body = entry.event.body
    row = look.get(Emergency, body["emergency"])
    return [row._replace(reviewed=entry.link.seq, finding=body["finding"])] if row else []


def _named(event: "Event") -> list[Wanted]:
    return [row_named(Emergency, event.body["emergency"])]


EMERGENCY_OPENED = EventType(
    "emergency.opened",
    "patient",
    ("hospital_admin",),
    body(emergency=EMERGENCY, purpose=PURPOSE),
    since=CONSENT,
    action="review",
    about="chart",
    gate_rule=nothing,
    reading=True,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=_named,
    example=Example("hospital_admin", lambda sample: {
        "emergency": sample.id("ev"), "purpose": "HOPERAT",
    }),
)  # fmt: skip


EMERGENCY_REVIEWED = EventType(
    "emergency.reviewed",
    "patient",
    ("hospital_admin",),
    body(emergency=EMERGENCY, finding=code(*FINDINGS), purpose=PURPOSE, text=SEALED),
    since=CONSENT,
    action="review",
    about="chart",
    gate_rule=_by_another,
    rule=nothing,
    fold=_reviewed,
    changes=(Emergency,),
    wants=_named,
    example=Example("hospital_admin", lambda sample: {
        "emergency": sample.id("ev"), "finding": "justified", "purpose": "HOPERAT", "text": sample.sealed,
    }),
)  # fmt: skip
