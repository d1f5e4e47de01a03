"""The registry: every event type and version, what its body holds, who may sign it, what it does.

`docs/registry.json` is generated from here (`python -m ledger registry`) and is part of the formats; its
hash stands in `ledger.created` and each `policy.changed`. A name is never reused with another meaning, and
each edition holds all of the ones before.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crypto.canonical import INTEGER_LIMIT
from ledger.schema import (
    DATE,
    HASH,
    KEY_ID,
    MEDIA_TYPE,
    MIDNIGHT,
    ORIGIN,
    PUBLIC_NAME,
    SEALED,
    TIME,
    TIME_ZONE,
    VERIFIER_KEY,
    Boolean,
    Check,
    Integer,
    Kind,
    List,
    Nested,
    Object,
    base64_of,
    code,
    id_of,
)

ROLES = (
    "auditor",
    "doctor",
    "hospital_admin",
    "hospital_system",
    "operator",
    "patient",
    "person",
    "relative",
    "service",
)
HOSPITAL_ROLES = frozenset({"doctor", "hospital_admin", "hospital_system"})
"""Roles that are held at one hospital, which `as` then names."""
ACTIONS = (
    "append", "amend", "declare_emergency", "disclose", "erase", "exclude", "export", "grant", "hide", "hold",
    "list", "read", "read_history", "refer", "register", "request_access", "retract", "review", "verify",
)  # fmt: skip
PURPOSES = (
    "TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "PATRQT", "FAMRQT", "PWATRNY", "HRESCH", "PUBHLTH", "HLEGAL",
)  # fmt: skip
"""HL7 v3-ActReason."""
CATEGORIES = (
    "billing", "condition", "demographics", "document", "encounter", "imaging", "immunization", "laboratory",
    "medication", "procedure", "summary",
)  # fmt: skip
CONFIDENTIALITIES = ("normal", "restricted")
"""What an author may give a record; `hidden` is the patient's to set."""
LABELS = ("ETH", "PSY", "HIV", "SDV", "SEX", "STD", "GDIS", "OPIOIDUD", "BH")
"""HL7 v3-ActCode; they stand in the log as codes under the patient's key only."""
PRIVATE_LABELS = ("SEX", "STD", "PSY", "ETH", "SDV")
GRANT_ACTIONS = ("append", "list", "read", "read_history")
GRANT_RECORDS = 500
"""Most records a selective grant lists."""
LABELS_A_RECORD = 16
CRITERIA = 64
"""Most members of one list of a grant's scope or exception."""
EXCEPTIONS = 16
"""Most exceptions beside each other."""

PURPOSE = code(*PURPOSES)
PATIENT, HOSPITAL, ACCOUNT, RECORD = id_of("pt"), id_of("hs"), id_of("ac"), id_of("rc")
BLOB, GRANT, EPISODE, GROUP = id_of("bl"), id_of("gr"), id_of("ep"), id_of("gp")
READER = id_of("ac", "gp", "hs")
"""Who may be granted or excluded: a person, a group, a hospital."""
LABEL = id_of("l")
TRUE = Boolean(only=True)

POLICY = Object(
    {
        "assurance": Object(
            {name: Integer(1, 3) for name in ACTIONS} | {"read_sensitive": Integer(1, 3)},
            frozenset(ACTIONS),
        ),
        "care_link": code("off", "basic"),
        "clock_skew_ms": Integer(0, 3_600_000),
        "custodian_reads": Boolean(),
        "emergency_hours": Integer(1, 72),
        "grant_days_max": Integer(1, 3_650),
        "majority_years": Integer(14, 25),
        "private_labels": List(code(*LABELS), len(LABELS), rising=True),
        "refusals_per_hour": Integer(1, 1_000),
        "retention_years": Integer(1, 200),
    }
)
"""The policy of a ledger, whole."""


@dataclass(frozen=True)
class EventType:
    """One registered type in one version."""

    name: str
    stream: str
    """ledger, hospital, account or patient."""
    roles: tuple[str, ...]
    body: Object
    v: int = 1
    since: int = 1
    """The edition of the registry that brought it."""
    action: str | None = None
    """The action of the consent rules, for what is gated."""
    reading: bool = False
    creates: tuple[str, ...] = ()
    """Body members whose id this event creates."""
    gated: bool = field(init=False)

    def __post_init__(self) -> None:
        """What has an action is gated."""
        object.__setattr__(self, "gated", self.action is not None)

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        out: dict[str, Any] = {
            "body": self.body.describe(),
            "creates": list(self.creates),
            "gated": self.gated,
            "reading": self.reading,
            "roles": list(self.roles),
            "stream": self.stream,
        }
        return out | ({} if self.action is None else {"action": self.action})


def _body(optional: Mapping[str, Kind] | None = None, **required: Kind) -> Object:
    return Object({**required, **(optional or {})}, frozenset(optional or ()))


def _version(version: Integer) -> Object:
    """What a record's new version says; its labels are sensitive ones, and nothing else is sensitive."""
    optional = frozenset(_VERSION_OPTIONAL)
    members = {**_VERSION, **_VERSION_OPTIONAL, "version": version}
    return Object(members, optional, (("labels", "sensitive"),))


_NAMED_KEY = _body(account=ACCOUNT, key=KEY_ID, public_key=base64_of(32))
_ACCOUNT = _body(account=ACCOUNT)
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
_AUTHORS = ("doctor", "hospital_system", "patient")
_WHAT: dict[str, Kind] = {
    "authors": List(id_of("ac", "hs"), CRITERIA, low=1, rising=True),
    "categories": List(code(*CATEGORIES), len(CATEGORIES), low=1, rising=True),
    "date_from": DATE,
    "date_to": DATE,
    "episodes": List(EPISODE, CRITERIA, low=1, rising=True),
}
"""Criteria that a record meets or not; ranges of the clinical date include both ends."""
_EXCEPTION: dict[str, Kind] = _WHAT | {
    "labels": List(LABEL, LABELS_A_RECORD, low=1, rising=True),
    "records": List(RECORD, CRITERIA, low=1, rising=True),
}


def _exceptions(inner: Mapping[str, Kind]) -> List:
    """Exceptions, whose criteria are all optional; `inner` may hold exceptions of their own."""
    members = {**_EXCEPTION, **inner, "type": code("deny", "permit")}
    return List(Object(members, frozenset(members) - {"type"}), EXCEPTIONS, low=1)


_AGES: dict[str, Kind] = {
    "adult": TRUE, "adult_from": MIDNIGHT, "deceased": TRUE, "name": SEALED, "teen_from": MIDNIGHT,
}  # fmt: skip

TYPES = (
    EventType("ledger.created", "ledger", ("operator",), _body(
        log_keys=List(VERIFIER_KEY, 16, low=2), operator=_NAMED_KEY, origin=ORIGIN, policy=POLICY,
        registry=HASH, service=_NAMED_KEY,
    )),
    EventType("ledger.restored", "ledger", ("operator",), _body(
        last_root=HASH, last_size=Integer(), root=HASH, size=Integer(),
    )),
    EventType("hospital.approved", "ledger", ("operator",), _body(
        hospital=HOSPITAL, name=PUBLIC_NAME, time_zone=TIME_ZONE,
    ), creates=("hospital",)),
    EventType("hospital.suspended", "ledger", ("operator",), _body(hospital=HOSPITAL)),
    EventType("auditor.appointed", "ledger", ("operator",), _body(account=ACCOUNT, end=TIME, start=TIME)),
    EventType("auditor.ended", "ledger", ("operator",), _ACCOUNT),
    EventType("admin.appointed", "hospital", ("hospital_admin", "operator"), _ACCOUNT),
    EventType("admin.ended", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("system.added", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("system.ended", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("doctor.approved", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("doctor.suspended", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("doctor.ended", "hospital", ("hospital_admin",), _ACCOUNT),
    EventType("account.registered", "account", ("hospital_admin", "operator", "service"), _body(
        {"name": SEALED}, account=ACCOUNT,
    ), creates=("account",)),
    EventType("key.registered", "account", (
        "hospital_admin", "hospital_system", "operator", "person", "service",
    ), _body(
        {"proof": base64_of(64), "recovery": TRUE}, account=ACCOUNT, algorithm=code("ed25519", "x25519"),
        custody=code("device", "system", "service"), key=KEY_ID, public_key=base64_of(32),
    ), creates=("key",)),
    EventType("key.revoked", "account", (
        "hospital_admin", "hospital_system", "operator", "person", "service",
    ), _body(account=ACCOUNT, key=KEY_ID)),
    EventType("patient.registered", "patient", (
        "doctor", "hospital_admin", "hospital_system", "service",
    ), _body(
        _AGES, account=ACCOUNT, patient=PATIENT, purpose=PURPOSE,
    ), action="register", creates=("patient",)),
    EventType("record.uploaded", "patient", _AUTHORS, _version(Integer(1, 1)), action="append", creates=("record", "blob")),
    EventType("record.amended", "patient", ("doctor", "hospital_system"), _version(Integer(2, INTEGER_LIMIT - 1)), action="amend", creates=("blob",)),
    EventType("record.retracted", "patient", _AUTHORS, _body(record=RECORD, purpose=PURPOSE), action="retract"),
    EventType("record.opened", "patient", ROLES, _body(
        {"reply": base64_of(32)}, blob=BLOB, purpose=PURPOSE, record=RECORD, version=Integer(1),
    ), action="read", reading=True),
    EventType("history.opened", "patient", ROLES, _body(purpose=PURPOSE), action="read_history", reading=True),
    EventType("access.refused", "patient", ("service",), _body(
        {"skipped": Integer(1)}, event=Nested(), sig=Nested(),
    )),
    EventType("access.granted", "patient", ("patient",), _body(
        {"labels": List(LABEL, len(LABELS), low=1, rising=True), "lineage": GRANT,
         "purposes": List(PURPOSE, len(PURPOSES), low=1, rising=True),
         "records": List(RECORD, GRANT_RECORDS, low=1, rising=True), "sensitive": TRUE,
         "uses": Integer(1, 1_000_000)},
        actions=List(code(*GRANT_ACTIONS), len(GRANT_ACTIONS), low=1, rising=True), end=TIME, grant=GRANT,
        grantee=id_of("ac", "hs"), purpose=PURPOSE, scope=code("full", "selective"), start=TIME,
    ), action="grant", creates=("grant",)),
    EventType("access.revoked", "patient", ("patient",), _body(
        {"grant": GRANT}, grantee=id_of("ac", "hs"), purpose=PURPOSE,
    ), action="grant"),
    EventType("policy.changed", "ledger", ("operator",), _body(policy=POLICY, registry=HASH), since=2),
    EventType("log.opened", "ledger", ("auditor",), _body(), since=2, reading=True),
    EventType("group.formed", "hospital", ("hospital_admin",), _body(
        {"name": SEALED}, group=GROUP,
    ), since=2, creates=("group",)),
    EventType("group.joined", "hospital", ("hospital_admin",), _body(account=ACCOUNT, group=GROUP), since=2),
    EventType("group.left", "hospital", ("hospital_admin",), _body(account=ACCOUNT, group=GROUP), since=2),
    EventType("patient.corrected", "patient", ("doctor", "hospital_admin", "hospital_system"), _body(
        _AGES, patient=PATIENT, purpose=PURPOSE,
    ), since=2, action="register"),
    EventType("record.hidden", "patient", ("patient",), _body(record=RECORD, purpose=PURPOSE), since=2, action="hide"),
    EventType("record.shown", "patient", ("patient",), _body(record=RECORD, purpose=PURPOSE), since=2, action="hide"),
    EventType("chart.opened", "patient", ROLES, _body(purpose=PURPOSE), since=2, action="list", reading=True),
    EventType("chart.exported", "patient", ROLES, _body(
        count=Integer(), purpose=PURPOSE, root=HASH,
    ), since=2, action="export", reading=True),
    EventType("access.granted", "patient", ("patient",), _body(
        {"exceptions": _exceptions({"exceptions": _exceptions({})}),
         "labels": List(LABEL, len(LABELS), low=1, rising=True), "lineage": GRANT,
         "purposes": List(PURPOSE, len(PURPOSES), low=1, rising=True),
         "records": List(RECORD, GRANT_RECORDS, low=1, rising=True), "sensitive": TRUE,
         "uses": Integer(1, 1_000_000), "what": Object(_WHAT, frozenset(_WHAT))},
        actions=List(code(*GRANT_ACTIONS), len(GRANT_ACTIONS), low=1, rising=True), end=TIME, grant=GRANT,
        grantee=READER, purpose=PURPOSE, scope=code("full", "partial", "selective"), start=TIME,
    ), v=2, since=2, action="grant", creates=("grant",)),
    EventType("access.revoked", "patient", ("patient",), _body(
        {"grant": GRANT}, grantee=READER, purpose=PURPOSE,
    ), v=2, since=2, action="grant"),
    EventType("reader.excluded", "patient", ("patient",), _body(purpose=PURPOSE, reader=READER), since=2, action="exclude"),
    EventType("reader.included", "patient", ("patient",), _body(purpose=PURPOSE, reader=READER), since=2, action="exclude"),
    EventType("access.refused", "patient", ("service",), _body(
        {"skipped": Integer(1)}, event=Nested(), sig=Nested(),
    ), v=2, since=3),
    EventType("record.carried", "patient", ("hospital_system",), _body(
        blob=BLOB, purpose=PURPOSE, record=RECORD, version=Integer(1),
    ), since=3, action="amend", reading=True),
)  # fmt: skip
EDITION = max(kind.since for kind in TYPES)
"""This program's edition of the registry."""

STRICTER = 3
"""The edition from which every attempt that can be attributed is recorded, and some rules and folds are stricter
(docs/formats.md, Editions)."""

REGISTRY: Mapping[tuple[str, int], EventType] = {(t.name, t.v): t for t in TYPES}
"""Every type by name and version."""
BODY_CHECKS: Mapping[tuple[str, int], Check] = {key: t.body.check() for key, t in REGISTRY.items()}


@cache
def registry_json(edition: int = EDITION) -> bytes:
    """An edition of the registry as JSON: indented, sorted, ASCII; the last one is `docs/registry.json`."""
    types: dict[str, dict[str, Any]] = {}
    for kind in TYPES:
        if kind.since <= edition:
            types.setdefault(kind.name, {})[str(kind.v)] = kind.describe()
    document = {"format": "heartwood/registry/v1", "types": types}
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"


@cache
def registry_hash(edition: int = EDITION) -> bytes:
    """SHA-256 of `registry_json(edition)`, 32 bytes; `ledger.created` and `policy.changed` name it."""
    return hashlib.sha256(registry_json(edition)).digest()


@cache
def edition_of(digest: bytes) -> int | None:
    """The edition with this hash, from 1; None for a registry that this program doesn't know."""
    editions = range(1, EDITION + 1)
    return next((edition for edition in editions if registry_hash(edition) == digest), None)
