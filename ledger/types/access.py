"""Access: what patients grant and revoke, and what was refused."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.codes import (
    CATEGORIES,
    CRITERIA,
    EPISODE,
    EXCEPTIONS,
    GRANT,
    GRANT_ACTIONS,
    GRANT_RECORDS,
    LABEL,
    LABELS,
    LABELS_A_RECORD,
    PURPOSE,
    PURPOSES,
    READER,
    RECORD,
    TRUE,
    body,
)
from ledger.directory import Patient
from ledger.editions import CONSENT, STRICTER
from ledger.errors import Refused
from ledger.facts import Grant, GrantName, Provision, Record
from ledger.policies import Policy, edition_in_force
from ledger.relations import GUARDIAN, Relation, relations_of
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import DATE, TIME, Integer, Kind, List, Nested, Object, code, id_of
from ledger.times import DAY_MS, parse_time
from ledger.types.checks import known_reader, rising
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import TERM, Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

WHAT: dict[str, Kind] = {
    "authors": List(id_of("ac", "hs"), CRITERIA, low=1, rising=True),
    "categories": List(code(*CATEGORIES), len(CATEGORIES), low=1, rising=True),
    "date_from": DATE,
    "date_to": DATE,
    "episodes": List(EPISODE, CRITERIA, low=1, rising=True),
}
"""Criteria that a record meets or not; ranges of the clinical date include both ends."""
_EXCEPTION: dict[str, Kind] = WHAT | {
    "labels": List(LABEL, LABELS_A_RECORD, low=1, rising=True),
    "records": List(RECORD, CRITERIA, low=1, rising=True),
}


def exceptions_of(inner: Mapping[str, Kind]) -> List:
    """Exceptions, whose criteria are all optional; `inner` may hold exceptions of their own."""
    members = {**_EXCEPTION, **inner, "type": code("deny", "permit")}
    return List(Object(members, frozenset(members) - {"type"}), EXCEPTIONS, low=1)


_OPTIONAL: dict[str, Kind] = {
    "labels": List(LABEL, len(LABELS), low=1, rising=True),
    "lineage": GRANT,
    "purposes": List(PURPOSE, len(PURPOSES), low=1, rising=True),
    "records": List(RECORD, GRANT_RECORDS, low=1, rising=True),
    "sensitive": TRUE,
    "uses": Integer(1, 1_000_000),
}
_REQUIRED: dict[str, Kind] = {
    "actions": List(code(*GRANT_ACTIONS), len(GRANT_ACTIONS), low=1, rising=True),
    "end": TIME,
    "grant": GRANT,
    "purpose": PURPOSE,
    "start": TIME,
}


def well_formed(event: "Event", time: int, origin: str, look: Look) -> None:
    """A term, and a scope; see `well_scoped`."""
    rising(event, "start", "end")
    well_scoped(event)


def well_scoped(event: "Event") -> None:
    """What belongs to a scope stands there alone, and no range ends before it begins. Raises Refused."""
    body = event.body
    for member, scope in (("records", "selective"), ("what", "partial")):
        if (body["scope"] == scope) != (member in body):
            raise Refused(
                "malformed",
                f"{event.type.name}: {member} belongs to the scope {scope}, and only there",
            )
    if "sensitive" in body and body["scope"] != "full":
        raise Refused(
            "malformed", f"{event.type.name}: sensitive (all of it) belongs to the scope full"
        )
    if "what" in body:
        _criteria(body["what"], f"{event.type.name}: what")
    for exception in body.get("exceptions", ()):
        _criteria(exception, f"{event.type.name}: an exception")
        for inner in exception.get("exceptions", ()):
            _criteria(inner, f"{event.type.name}: an exception's exception")


def _criteria(what: dict[str, Any], place: str) -> None:
    """At least one criterion, and no range that ends before it begins."""
    if not what.keys() - {"exceptions", "type"}:
        raise Refused("malformed", f"{place} names nothing that it is about")
    if "labels" in what and what["type"] == "permit":
        # Otherwise one more label on a record could let somebody read it.
        raise Refused("malformed", f"{place} permits by a label; labels only deny")
    if what.get("date_from", "") > what.get("date_to", "9999-99-99"):
        raise Refused("malformed", f"{place} ends before it begins")


def _may_grant(event: "Event", policy: Policy, look: Look) -> None:
    """To somebody who is known, for no longer than the policy lets, of records that the patient has."""
    body = event.body
    known_reader(body["grantee"], look)
    check_terms(event, policy, look)
    if "lineage" in body:
        first = _own_grant(body["lineage"], event, look)
        if first.lineage != first.grant:
            raise Refused("malformed", f"got the lineage {first.grant}, expected the id of its "
                          f"first grant, {first.lineage}")  # fmt: skip


def check_terms(event: "Event", policy: Policy, look: Look) -> None:
    """For no longer than the policy lets, of records that the patient has."""
    body = event.body
    days = (parse_time(body["end"]) - parse_time(body["start"])) / DAY_MS
    if days > policy.grant_days_max:
        raise Refused("malformed", f"got a grant of {days:.1f} days, expected at most "
                      f"{policy.grant_days_max}")  # fmt: skip
    for record_id in body.get("records", ()):
        record = look.get(Record, record_id)
        if record is None or record.patient != event.subject:
            raise Refused("unknown", f"{event.subject} has no record {record_id}")


def _own_grant(grant: str, event: "Event", look: Look) -> GrantName:
    name = look.get(GrantName, grant)
    if name is None or (name.patient, name.grantee) != (event.subject, event.body["grantee"]):
        raise Refused("unknown", f"got the grant {grant}, not one of this patient to "
                      f"{event.body['grantee']}")  # fmt: skip
    return name


def _granted(entry: "Entry", look: Look) -> list[Row]:
    return granted(entry, entry.event.body["grantee"])


def granted(entry: "Entry", grantee: str) -> list[Row]:
    """The grant to `grantee` that the body of an entry describes, and its name."""
    body, patient = entry.event.body, entry.event.subject
    lineage = body.get("lineage", body["grant"])
    return [
        Grant(
            patient=patient,
            grantee=grantee,
            lineage=lineage,
            grant=body["grant"],
            seq=entry.link.seq,
            active=True,
            scope=body["scope"],
            records=tuple(body.get("records", ())),
            actions=tuple(body["actions"]),
            purposes=tuple(body.get("purposes", ("TREAT",))),
            labels=tuple(body.get("labels", ())),
            sensitive=body.get("sensitive", False),
            start=parse_time(body["start"]),
            end=parse_time(body["end"]),
            uses=body.get("uses", 0),
            used=0,
            what=(provision(body["what"]),) if "what" in body else (),
            exceptions=tuple(map(provision, body.get("exceptions", ()))),
            by=entry.event.actor if entry.event.role == "relative" else "",
        ),
        GrantName(grant=body["grant"], patient=patient, grantee=grantee, lineage=lineage),
    ]


def provision(body: dict[str, Any]) -> Provision:
    """The criteria of a grant's body; its scope has no `type` and permits."""
    members: dict[str, Any] = {
        name: tuple(value) if type(value) is list else value
        for name, value in body.items()
        if name not in ("exceptions", "type")
    }
    inner = tuple(map(provision, body.get("exceptions", ())))
    return Provision(body.get("type", "permit") == "permit", **members, exceptions=inner)


def _named_in_grant(event: "Event") -> list[Wanted]:
    """The grantee, the records, and what the log has of the lineage so far."""
    body = event.body
    named = [body["grantee"], *body.get("records", ())]
    lineage = body.get("lineage", body["grant"])
    if "lineage" in body:
        named.append(lineage)
    ruling = row_named(Grant, event.subject, body["grantee"], lineage)
    return [*map(row_of_id, named), ruling]


def _grant_example(sample: Sample) -> dict[str, Any]:
    return {
        "actions": ["list", "read"], "end": TERM["end"], "grant": sample.id("gr"),
        "labels": sample.labels, "lineage": sample.id("gr", 0), "purpose": "PATRQT",
        "purposes": ["HRESCH", "TREAT"], "start": TERM["start"], "uses": 1_000_000,
    }  # fmt: skip


ACCESS_GRANTED_V1 = EventType(
    "access.granted",
    "patient",
    ("patient",),
    body(_OPTIONAL, **_REQUIRED, grantee=id_of("ac", "hs"), scope=code("full", "selective")),
    action="grant",
    about="chart",
    gate_rule=_may_grant,
    creates=("grant",),
    rule=well_formed,
    fold=_granted,
    changes=(Grant, GrantName),
    wants=_named_in_grant,
    example=Example("patient", lambda sample: {
        **_grant_example(sample), "grantee": sample.id("hs"),
        "records": [sample.id("rc"), sample.id("rc", 2)], "scope": "selective",
    }),
)  # fmt: skip

ACCESS_GRANTED = EventType(
    "access.granted",
    "patient",
    ("patient",),
    body(
        {**_OPTIONAL, "exceptions": exceptions_of({"exceptions": exceptions_of({})}),
         "what": Object(WHAT, frozenset(WHAT))},
        **_REQUIRED, grantee=READER, scope=code("full", "partial", "selective"),
    ),
    v=2,
    since=2,
    action="grant",
    about="chart",
    gate_rule=_may_grant,
    creates=("grant",),
    rule=well_formed,
    fold=_granted,
    changes=(Grant, GrantName),
    wants=_named_in_grant,
    example=Example("patient", lambda sample: {
        **_grant_example(sample),
        "exceptions": [
            {"date_from": "2023-01-01", "exceptions": [{"records": [sample.id("rc")], "type": "permit"}],
             "type": "deny"},
            {"labels": sample.labels, "type": "deny"},
        ],
        "grantee": sample.id("gp"), "scope": "partial",
        "what": {
            "authors": [sample.account("doctor"), sample.id("hs")],
            "categories": ["imaging", "laboratory"], "date_from": "2020-01-01",
            "date_to": "2024-02-29", "episodes": [sample.id("ep")],
        },
    }),
)  # fmt: skip


def _within(event: "Event", time: int, origin: str, look: Look) -> None:
    """As `well_formed`, and as `within_relation`."""
    well_formed(event, time, origin, look)
    within_relation(event, event.body["grantee"], time, look)


def within_relation(event: "Event", grantee: str, time: int, look: Look) -> None:
    """Whoever grants for a patient gives no more than they have themselves, and nothing to themselves."""
    if event.role != "relative":
        return
    patient = look.get(Patient, event.subject)
    if grantee == event.actor:
        raise Refused(
            "role", f"got a grant by {event.actor} to {event.actor}; the patient may give it"
        )
    found = [one for one in relations_of(event.subject, event.actor, look) if one.active]
    if patient is None or not any(_gives(one, event, time, patient) for one in found):
        raise Refused("role", "got a grant of more than the relative has of the chart: expected an end no later, no "
                      "other actions, and no sensitive records but theirs")  # fmt: skip


def _gives(relation: Relation, event: "Event", time: int, patient: Patient) -> bool:
    """Whether a grant on a patient's behalf lies in the relation by which it is given.

    A guardian gives as the patient; once the minor is old enough to act, nothing that is sensitive.
    """
    body = event.body
    sensitive = bool(body.get("sensitive") or body.get("labels"))
    if relation.kind == GUARDIAN:
        return relation.guards(time, patient.adult_from) and (
            time < patient.teen_from or not sensitive
        )
    actions = frozenset(body["actions"]) <= frozenset(relation.actions)
    labels = relation.sensitive or (
        not body.get("sensitive")
        and frozenset(body.get("labels", ())) <= frozenset(relation.labels)
    )
    return (
        actions and labels and parse_time(body["end"]) <= relation.end and not relation.exceptions
    )


def _may_revoke(event: "Event", policy: Policy, look: Look) -> None:
    """A grant of this patient's to this grantee; without an id, any."""
    body = event.body
    if "grant" in body:
        _own_grant(body["grant"], event, look)
    elif not look.any(Grant, event.subject, body["grantee"]):
        raise Refused("unknown", f"{event.subject} has granted nothing to {body['grantee']}")


def _revoked(entry: "Entry", look: Look) -> list[Row]:
    """A revocation ends a whole lineage; without an id, every lineage of the grantee."""
    body, patient = entry.event.body, entry.event.subject
    if "grant" in body:
        name = look.get(GrantName, body["grant"])
        one = look.get(Grant, patient, body["grantee"], name.lineage) if name else None
        found = [one] if one is not None and one.active else []
    else:
        found = list(look.group(Grant, patient, body["grantee"]))
    return [grant._replace(active=False, seq=entry.link.seq) for grant in found]


def _ended(event: "Event") -> list[Wanted]:
    """The grant that rules the lineage of the one that is named, or all that stand."""
    body, patient = event.body, event.subject
    if "grant" not in body:
        return [rows_in(Grant, patient, body["grantee"])]
    return [
        row_of_id(
            body["grant"],
            then=lambda name: row_named(Grant, patient, body["grantee"], name.lineage),
        )
    ]


ACCESS_REVOKED_V1 = EventType(
    "access.revoked",
    "patient",
    ("patient",),
    body({"grant": GRANT}, grantee=id_of("ac", "hs"), purpose=PURPOSE),
    action="grant",
    about="chart",
    gate_rule=_may_revoke,
    plain=True,
    rule=nothing,
    fold=_revoked,
    changes=(Grant,),
    wants=_ended,
    example=Example("patient", lambda sample: {
        "grant": sample.id("gr"), "grantee": sample.id("hs"), "purpose": "PATRQT",
    }),
)  # fmt: skip

ACCESS_REVOKED = EventType(
    "access.revoked",
    "patient",
    ("patient",),
    body({"grant": GRANT}, grantee=READER, purpose=PURPOSE),
    v=2,
    since=2,
    action="grant",
    about="chart",
    gate_rule=_may_revoke,
    plain=True,
    rule=nothing,
    fold=_revoked,
    changes=(Grant,),
    wants=_ended,
    example=Example("patient", lambda sample: {
        "grant": sample.id("gr"), "grantee": sample.id("gp"), "purpose": "PATRQT",
    }),
)  # fmt: skip


ACCESS_GRANTED_V3 = EventType(
    "access.granted",
    "patient",
    ("patient", "relative"),
    ACCESS_GRANTED.body,
    v=3,
    since=CONSENT,
    action="grant",
    about="chart",
    gate_rule=_may_grant,
    creates=("grant",),
    rule=_within,
    fold=_granted,
    changes=(Grant, GrantName),
    wants=_named_in_grant,
    example=Example("relative", lambda sample: {
        "actions": ["list", "read"], "end": TERM["end"], "grant": sample.id("gr"), "grantee": sample.id("hs"),
        "purpose": "FAMRQT", "scope": "full", "start": TERM["start"],
    }),
)  # fmt: skip

ACCESS_REVOKED_V3 = EventType(
    "access.revoked",
    "patient",
    ("patient", "relative"),
    ACCESS_REVOKED.body,
    v=3,
    since=CONSENT,
    action="grant",
    about="chart",
    gate_rule=_may_revoke,
    plain=True,
    rule=nothing,
    fold=_revoked,
    changes=(Grant,),
    wants=_ended,
    example=Example("relative", lambda sample: {
        "grant": sample.id("gr"), "grantee": sample.id("hs"), "purpose": "FAMRQT",
    }),
)  # fmt: skip


def _refused_ids(event: "Event", look: Look) -> list[str]:
    """The id of what was refused counts as used."""
    return [event.body["event"]["id"]]


def _before_stricter(event: "Event", time: int, origin: str, look: Look) -> None:
    """Whatever is refused is written in one version: the first one's refusals have no limit a key."""
    if edition_in_force(look) >= STRICTER:
        raise Refused("registry", "got access.refused v1, expected v2 from this registry on")


ACCESS_REFUSED_V1 = EventType(
    "access.refused",
    "patient",
    ("service",),
    body({"skipped": Integer(1)}, event=Nested(), sig=Nested()),
    ids=_refused_ids,
    rule=_before_stricter,
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("service", lambda sample: {**sample.refused("record.opened"), "skipped": 3}),
)

ACCESS_REFUSED = EventType(
    "access.refused",
    "patient",
    ("service",),
    body({"skipped": Integer(1)}, event=Nested(), sig=Nested()),
    v=2,
    since=3,
    ids=_refused_ids,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("service", lambda sample: sample.refused("record.retracted")),
)
