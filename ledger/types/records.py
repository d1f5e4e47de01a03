"""Records: written, amended, retracted by those who wrote them; hidden and shown by the patient."""

from typing import TYPE_CHECKING, Any

from crypto.canonical import INTEGER_LIMIT
from ledger.codes import (
    BLOB,
    CATEGORIES,
    CONFIDENTIALITIES,
    EPISODE,
    LABEL,
    LABELS_A_RECORD,
    PURPOSE,
    RECORD,
    TRUE,
    body,
)
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Record, Version
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_of_id
from ledger.schema import DATE, HASH, MEDIA_TYPE, SEALED, Integer, Kind, List, Object, code
from ledger.types.declaration import EventType, GateRule, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_AUTHORS = ("doctor", "hospital_system", "patient")
_VERSION: dict[str, Kind] = {
    "blob": BLOB,
    "category": code(*CATEGORIES),
    "confidentiality": code(*CONFIDENTIALITIES),
    "media_type": MEDIA_TYPE,
    "purpose": PURPOSE,
    "record": RECORD,
    "sha256": HASH,
    "size": Integer(),
}
_VERSION_OPTIONAL: dict[str, Kind] = {
    "clinical_date": DATE,
    "episode": EPISODE,
    "file_name": SEALED,
    "labels": List(LABEL, LABELS_A_RECORD, low=1, rising=True),
    "minor_private": TRUE,
    "sensitive": TRUE,
    "title": SEALED,
}
_NAMED = body(record=RECORD, purpose=PURPOSE)


def _version(version: Integer) -> Object:
    """What a record's new version says; its labels are sensitive ones, and nothing else is sensitive."""
    optional = frozenset(_VERSION_OPTIONAL)
    members = {**_VERSION, **_VERSION_OPTIONAL, "version": version}
    return Object(members, optional, (("labels", "sensitive"),))


def _version_example(number: int, sample: Sample) -> dict[str, Any]:
    return {
        "blob": sample.id("bl", number), "category": "laboratory", "clinical_date": "2024-02-29",
        "confidentiality": "restricted", "episode": sample.id("ep"), "file_name": sample.sealed,
        "labels": sample.labels, "media_type": "application/dicom+json", "minor_private": True,
        "purpose": "TREAT", "record": sample.id("rc"), "sensitive": True, "sha256": sample.hash,
        "size": INTEGER_LIMIT - 1, "title": sample.sealed, "version": number,
    }  # fmt: skip


def _as_patient(sample: Sample) -> dict[str, str]:
    return {"purpose": "PATRQT", "record": sample.id("rc")}


def _record(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["record"])]


def _written(
    entry: "Entry", before: tuple[Version, ...], seq: int, author: str, hospital: str
) -> Record:
    """The record as this version says it; `seq`, `author`, `hospital`: who created it, and by which entry."""
    body = entry.event.body
    version = Version(
        version=body["version"],
        seq=entry.link.seq,
        blob=body["blob"],
        sha256=body["sha256"],
        size=body["size"],
        media_type=body["media_type"],
    )
    return Record(
        record=body["record"],
        patient=entry.event.subject,
        seq=seq,
        author=author,
        hospital=hospital,
        category=body["category"],
        clinical_date=body.get("clinical_date", ""),
        confidentiality=body["confidentiality"],
        episode=body.get("episode", ""),
        labels=tuple(body.get("labels", ())),
        sensitive=body.get("sensitive", False),
        minor_private=body.get("minor_private", False),
        state="live",
        state_seq=entry.link.seq,
        versions=(*before, version),
        hidden=0,
        written=entry.time,
    )


def _uploaded(entry: "Entry", look: Look) -> list[Row]:
    return [_written(entry, (), entry.link.seq, entry.event.actor, entry.event.hospital)]


RECORD_UPLOADED = EventType(
    "record.uploaded",
    "patient",
    _AUTHORS,
    _version(Integer(1, 1)),
    action="append",
    about="chart",
    gate_rule=nothing,
    plain=True,
    creates=("record", "blob"),
    rule=nothing,
    fold=_uploaded,
    changes=(Record,),
    wants=nothing,
    example=Example("doctor", lambda sample: _version_example(1, sample)),
)


def _uploaded_for(entry: "Entry", look: Look) -> list[Row]:
    """What a relative appends is written by the patient, on whose behalf it is."""
    event = entry.event
    author = event.value.get("on_behalf_of", event.actor)
    return [_written(entry, (), entry.link.seq, author, "")]


RECORD_UPLOADED_V2 = EventType(
    "record.uploaded",
    "patient",
    ("relative",),
    RECORD_UPLOADED.body,
    v=2,
    since=CONSENT,
    action="append",
    about="chart",
    gate_rule=nothing,
    plain=True,
    creates=("record", "blob"),
    rule=nothing,
    fold=_uploaded_for,
    changes=(Record,),
    wants=nothing,
    example=Example("relative", lambda sample: _version_example(1, sample)),
)


def _following(event: "Event", policy: Policy, look: Look) -> None:
    """Versions count on, one by one."""
    record = look.get(Record, event.body["record"])
    following = len(record.versions) + 1 if record else 1
    if event.body["version"] != following:
        raise Refused("conflict", f"got version {event.body['version']}, expected {following}")


def _amended(entry: "Entry", look: Look) -> list[Row]:
    """A new version. What was retracted stays so, and since older versions can be opened too, the record
    is as confidential as any of its versions and has the labels of all."""
    old = look.get(Record, entry.event.body["record"])
    if old is None:
        return []
    new = _written(entry, old.versions, old.seq, old.author, old.hospital)
    stricter = "normal" if new.confidentiality == old.confidentiality == "normal" else "restricted"
    return [
        new._replace(
            confidentiality=stricter,
            labels=tuple(sorted({*old.labels, *new.labels})),
            sensitive=old.sensitive or new.sensitive,
            minor_private=old.minor_private or new.minor_private,
            state=old.state if old.state != "live" else "live",
            state_seq=old.state_seq if old.state != "live" else new.state_seq,
            hidden=old.hidden,
        )
    ]


RECORD_AMENDED = EventType(
    "record.amended",
    "patient",
    ("doctor", "hospital_system"),
    _version(Integer(2, INTEGER_LIMIT - 1)),
    action="amend",
    about="record",
    gate_rule=_following,
    plain=True,
    creates=("blob",),
    rule=nothing,
    fold=_amended,
    changes=(Record,),
    wants=_record,
    example=Example("doctor", lambda sample: _version_example(2, sample)),
)


def _retracted(entry: "Entry", look: Look) -> list[Row]:
    old = look.get(Record, entry.event.body["record"])
    return [old._replace(state="retracted", state_seq=entry.link.seq)] if old else []


RECORD_RETRACTED = EventType(
    "record.retracted",
    "patient",
    _AUTHORS,
    _NAMED,
    action="retract",
    about="record",
    gate_rule=nothing,
    plain=True,
    rule=nothing,
    fold=_retracted,
    changes=(Record,),
    wants=_record,
    example=Example("doctor", lambda sample: {"purpose": "TREAT", "record": sample.id("rc")}),
)


def _not_yet(hidden: bool) -> GateRule:
    def rule(event: "Event", policy: Policy, look: Look) -> None:
        record = look.get(Record, event.body["record"])
        if record is None or bool(record.hidden) == hidden:
            state = "hidden" if hidden else "shown"
            raise Refused("conflict", f"{event.body['record']} is already {state}")

    return rule


def _hidden(entry: "Entry", look: Look) -> list[Row]:
    old = look.get(Record, entry.event.body["record"])
    return [old._replace(hidden=entry.link.seq)] if old else []


RECORD_HIDDEN = EventType(
    "record.hidden",
    "patient",
    ("patient",),
    _NAMED,
    since=2,
    action="hide",
    about="record",
    gate_rule=_not_yet(hidden=True),
    plain=True,
    rule=nothing,
    fold=_hidden,
    changes=(Record,),
    wants=_record,
    example=Example("patient", _as_patient),
)


def _shown(entry: "Entry", look: Look) -> list[Row]:
    old = look.get(Record, entry.event.body["record"])
    return [old._replace(hidden=0)] if old else []


RECORD_SHOWN = EventType(
    "record.shown",
    "patient",
    ("patient",),
    _NAMED,
    since=2,
    action="hide",
    about="record",
    gate_rule=_not_yet(hidden=False),
    plain=True,
    rule=nothing,
    fold=_shown,
    changes=(Record,),
    wants=_record,
    example=Example("patient", _as_patient),
)
