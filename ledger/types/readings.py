"""Readings: what gives content, a list, a history or an export out of a chart."""

from typing import TYPE_CHECKING

from ledger.codes import BLOB, PURPOSE, RECORD, ROLES, body
from ledger.directory import GroupMember
from ledger.errors import Refused
from ledger.facts import Emergency, Grant, Record, version_of
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_of_id, rows_in
from ledger.schema import HASH, Integer, base64_of
from ledger.types.declaration import EventType, nothing
from ledger.types.emergencies import emergencies_of, emergency_readings
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _its_version(event: "Event", policy: Policy, look: Look) -> None:
    """The record has this version, and the version this blob."""
    body, record = event.body, look.get(Record, event.body["record"])
    version = version_of(record, body["version"]) if record else None
    if version is None or version.blob != body["blob"]:
        raise Refused("unknown", f"{body['record']} has no version {body['version']} with {body['blob']}")  # fmt: skip


def _opened(entry: "Entry", look: Look) -> list[Row]:
    """A permitted reading uses up the one limited grant it rests on, and counts for the emergency."""
    decision = entry.decision
    if decision is None or decision["rule"] not in ("S9", "S10"):
        return emergency_readings(entry, look)
    event = entry.event
    if event.role == "relative":
        return []  # what a patient may do rests on no grant
    # Who acts on behalf of a colleague uses up what that one was granted.
    whose = event.actor if decision["rule"] == "S9" else event.value["on_behalf_of"]
    groups = [m.group for m in look.group(GroupMember, whose) if m.active]
    grants = [
        grant
        for grantee in (whose, event.hospital, *groups)
        # The decision says which, not the time.
        for grant in look.live(Grant, 0, event.subject, grantee)
    ]
    return [g._replace(used=g.used + 1) for g in grants if g.uses and g.seq in decision["basis"]]


def _record(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["record"])]


def _record_in_emergency(event: "Event") -> list[Wanted]:
    return [*_record(event), *emergencies_of(event)]


RECORD_OPENED = EventType(
    "record.opened",
    "patient",
    ROLES,
    body(
        {"reply": base64_of(32)}, blob=BLOB, purpose=PURPOSE, record=RECORD, version=Integer(1),
    ),
    action="read",
    about="record",
    gate_rule=_its_version,
    reading=True,
    plain=True,
    rule=nothing,
    fold=_opened,
    changes=(Grant, Emergency),
    wants=_record_in_emergency,
    example=Example("doctor", lambda sample: {
        "blob": sample.id("bl"), "purpose": "TREAT", "record": sample.id("rc"), "reply": sample.reply,
        "version": 1,
    }),
)  # fmt: skip

RECORD_CARRIED = EventType(
    "record.carried",
    "patient",
    ("hospital_system",),
    body(blob=BLOB, purpose=PURPOSE, record=RECORD, version=Integer(1)),
    since=3,
    action="amend",
    about="record",
    gate_rule=_its_version,
    reading=True,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=_record,
    example=Example("hospital_system", lambda sample: {
        "blob": sample.id("bl"), "purpose": "HOPERAT", "record": sample.id("rc"), "version": 1,
    }),
)  # fmt: skip

HISTORY_OPENED = EventType(
    "history.opened",
    "patient",
    ROLES,
    body(purpose=PURPOSE),
    action="read_history",
    about="chart",
    gate_rule=nothing,
    reading=True,
    plain=True,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("auditor", lambda sample: {"purpose": "HOPERAT"}),
)


def _records(event: "Event") -> list[Wanted]:
    return [rows_in(Record, event.subject), *emergencies_of(event)]


CHART_OPENED = EventType(
    "chart.opened",
    "patient",
    ROLES,
    body(purpose=PURPOSE),
    since=2,
    action="list",
    about="chart",
    gate_rule=nothing,
    reading=True,
    plain=True,
    rule=nothing,
    fold=emergency_readings,
    changes=(Emergency,),
    wants=_records,
    example=Example("doctor", lambda sample: {"purpose": "TREAT"}),
)

CHART_EXPORTED = EventType(
    "chart.exported",
    "patient",
    ROLES,
    body(count=Integer(), purpose=PURPOSE, root=HASH),
    since=2,
    action="export",
    about="chart",
    gate_rule=nothing,
    reading=True,
    plain=True,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example(
        "patient", lambda sample: {"count": 3, "purpose": "PATRQT", "root": sample.hash}
    ),
)
