"""Reserve ids: make keys with the keeper, keep them staged, seal texts under them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from consent.facts import Record
from crypto.ids import is_id
from identity.actors import Caller
from ledger.directory import Account, Group, Hospital, Patient
from ledger.errors import Refused
from ledger.registry import CATEGORIES, LABELS
from records.errors import Forbidden, NotThere, OverQuota, RecordsError
from records.labelling import HOUR_MS, label_codes
from storage.errors import NotFound
from storage.keeper import KeyRequest, Wrapped
from storage.ledger import Ledger
from storage.staged import LABEL_KEY, BlobKey, ObjectKey

TEXT_BYTES = 1_024
"""Longest text that is sealed for an author, UTF-8: two of them go into one header of a reading."""
SUBJECTS = 1_000
"""Most subjects reserved by one call."""
RESERVED_AN_HOUR = 20_000
"""Most ids that one account reserves over HTTP within an hour: 10,000 patients with their accounts."""
RESERVING = frozenset({"doctor", "hospital_admin", "hospital_system", "operator"})
SEALING = frozenset({"doctor", "hospital_system", "patient"})
"""Roles that may append to a chart, and so may seal."""


@dataclass(frozen=True)
class Subject:
    """An id to reserve: of a patient, an account or a group; its own event's id, and texts to seal for it."""

    id: str
    event: str
    texts: Mapping[str, str] = field(default_factory=dict)
    """Field name → text."""
    identifier: str = ""
    """Of a patient, the hospital's own identifier, `<system>|<value>`."""


@dataclass(frozen=True)
class Reserved:
    """A reserved id with its sealed fields; of a patient known by the identifier, the known id alone."""

    id: str
    sealed: dict[str, str]
    known: bool = False


def reserve_subjects(ledger: Ledger, caller: Caller, subjects: Sequence[Subject]) -> list[Reserved]:
    """Reserve ids with their keys, and seal texts for the events that will create them; in order.

    A hospital's identifier that is kept already gives the patient it is kept for. Raises RecordsError.
    """
    if caller.role not in RESERVING:
        raise Forbidden(
            f"got the role {caller.role}, expected one of {', '.join(sorted(RESERVING))}"
        )
    if len(subjects) > SUBJECTS:
        raise RecordsError(f"got {len(subjects)} subjects, expected at most {SUBJECTS}")
    for subject in subjects:
        _check_subject(ledger, caller, subject)
    identifiers = {s.identifier: s.id for s in subjects if s.identifier}
    kept = ledger.identifiers.reserve(caller.hospital, identifiers) if identifiers else {}
    # One kept by an earlier call whose patient was never registered is reserved again under its id.
    wanted = [replace(s, id=kept.get(s.identifier, s.id)) for s in subjects]
    known = {s.id for s in wanted if s.identifier and ledger.row(Patient, s.id) is not None}
    fresh = [s for s in wanted if s.id not in known]
    _keep_witnesses(ledger, fresh)
    made = reserve(ledger, caller.account, [_request(caller, subject) for subject in fresh])
    sealed = {s.id: _seal_subject(ledger, caller, s, made) for s in fresh}
    return [Reserved(s.id, sealed.get(s.id, {}), s.id in known) for s in wanted]


def reserve_counted(ledger: Ledger, caller: Caller, subjects: Sequence[Subject]) -> list[Reserved]:
    """`reserve_subjects` for callers from afar, whose keys stay even if no entry ever names the ids.

    Raises OverQuota as well, and reserves nothing then.
    """
    now = ledger.clock()

    def counted(before: bytes | None) -> bytes:
        count, end = orjson.loads(before) if before else (0, now + HOUR_MS)
        if end <= now:
            count, end = 0, now + HOUR_MS
        if count + len(subjects) > RESERVED_AN_HOUR:
            raise OverQuota(
                f"got {count + len(subjects):,} ids within an hour, expected at most {RESERVED_AN_HOUR:,}: "
                f"come again in {(end - now) // 60_000 + 1} minutes, or import beside the data"
            )
        return orjson.dumps([count + len(subjects), end])

    ledger.passing.change("reserved", caller.account.encode(), counted, now, now + HOUR_MS)
    return reserve_subjects(ledger, caller, subjects)


def seal_texts(
    ledger: Ledger,
    caller: Caller,
    patient: str,
    object_id: str,
    event: str,
    texts: Mapping[str, str],
    labels: Sequence[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """Sealed fields for an event on a patient's chart, and the codes of labels; open to who may append.

    `object_id`: the record or the patient that the texts are of; codes are narrower, see `labelling`.
    Raises NotThere or RecordsError.
    """
    _check_texts(texts)
    check_labels(labels)
    check_appender(ledger, caller, patient)
    record = ledger.row(Record, object_id)
    if record is not None and (record.patient, record.hospital) != (patient, caller.hospital):
        raise NotThere(f"there is no {object_id} of {patient} at {caller.hospital or 'yours'}")
    try:
        key = ledger.keys.object_key(patient, object_id)
        if record is None and object_id != patient and key.author != caller.account:
            raise NotThere(f"{object_id} was reserved by somebody else")
        wrapped = Wrapped(key.subject, key.object, key.version, key.wrapped)
        sealed = (
            ledger.keeper.seal(wrapped, f"patient/{patient}", event, dict(texts)) if texts else {}
        )
        codes = label_codes(ledger, caller, patient, object_id, labels)
    except NotFound as error:
        raise NotThere(f"{error}: reserve it first") from error
    return sealed, codes


def check_labels(labels: Sequence[str]) -> None:
    """Raises RecordsError for a sensitivity label that doesn't exist: its code would stand in the log for ever."""
    for label in labels:
        if label not in LABELS:
            raise RecordsError(f"unknown label {label[:40]!r}; choose one of {', '.join(LABELS)}")


def check_category(category: str) -> None:
    """Raises RecordsError for a category that doesn't exist."""
    if category not in CATEGORIES:
        raise RecordsError(
            f"unknown category {category[:40]!r}; choose one of {', '.join(CATEGORIES)}"
        )


def check_appender(ledger: Ledger, caller: Caller, patient: str) -> None:
    """Raises NotThere for an unknown chart, RecordsError for who may not append to it."""
    row = ledger.row(Patient, patient)
    if row is None:
        raise NotThere(f"there is no patient {patient}")
    own = caller.role == "patient" and row.account == caller.account
    if caller.role not in SEALING or (caller.role == "patient" and not own):
        raise Forbidden(f"the role {caller.role} may not append to {patient}")


def reserve(
    ledger: Ledger, author: str, requests: Sequence[KeyRequest], sizes: dict[str, int] | None = None
) -> dict[tuple[str, str], Wrapped]:
    """Make and stage the keys asked for; gives them by (subject, object or blob).

    An object that has a key already keeps that one.

    `sizes`: plaintext bytes of the blobs, by id. Open to `author` alone until an entry names them.
    """
    made = ledger.keeper.new_key(requests)
    blobs = {b.blob: (r.subject, b) for r in requests for b in r.blobs}
    now, objects, blob_keys = ledger.clock(), [], []
    for w in made:
        if w.name in blobs:
            patient, blob = blobs[w.name]
            size = (sizes or {})[w.name]
            blob_keys.append(
                BlobKey(
                    w.name, patient, blob.record, author, blob.sha256, size, w.version, w.wrapped, now
                )
            )  # fmt: skip
        else:
            objects.append(ObjectKey(w.name, w.subject, author, w.version, w.wrapped, now))
    ledger.keys.stage(objects, blob_keys)
    with ledger.database.read() as connection:
        names = [(key.object, key.subject) for key in objects]
        kept = ledger.keys.object_keys(connection, names)
    return {(w.subject, w.name): w for w in made if w.name in blobs} | {
        (k.subject, k.object): Wrapped(k.subject, k.object, k.version, k.wrapped) for k in kept
    }


def object_key(ledger: Ledger, subject: str, name: str) -> Wrapped:
    """An object key that was reserved before; raises NotFound."""
    row = ledger.keys.object_key(subject, name)
    return Wrapped(row.subject, row.object, row.version, row.wrapped)


_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]").search
_KINDS: dict[str, type] = {"ac": Account, "gp": Group, "hs": Hospital, "pt": Patient}


def _keep_witnesses(ledger: Ledger, fresh: Sequence[Subject]) -> None:
    """Keep the names of patients who get an identifier: imports compare whom it finds with them."""
    from records.imports.people import (
        Demographics,  # here: the package of imports needs this module
    )
    from records.imports.traits import witness

    since = ledger.head().size
    named = [s for s in fresh if s.identifier and s.texts.get("name")]
    kept = {
        s.id: witness(ledger.identifiers, s.id, Demographics(text=s.texts["name"]), since)
        for s in named
    }
    if kept:
        ledger.identifiers.keep_witnesses(kept)


def _check_subject(ledger: Ledger, caller: Caller, subject: Subject) -> None:
    kind = subject.id[:2]
    if kind not in _KINDS or not is_id(kind, subject.id) or not is_id("ev", subject.event):
        raise RecordsError(f"got {subject.id[:40]!r} and {subject.event[:40]!r}, expected the id of a "
                           "patient, an account, a group or a hospital, and an event's")  # fmt: skip
    if ledger.row(_KINDS[kind], subject.id) is not None:
        raise Refused("duplicate_id", f"got {subject.id}, which an entry created already")
    if subject.identifier and (kind != "pt" or not caller.hospital):
        raise RecordsError("an identifier is a hospital's own, and of a patient")
    if subject.identifier.startswith("#"):  # kept for numbers without a system
        raise RecordsError(f"got {subject.identifier[:40]!r}, expected <system>|<value>")
    _check_texts(subject.texts)


def _check_texts(texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        if (size := len(text.encode("utf-8", "replace"))) > TEXT_BYTES:
            raise RecordsError(f"got {size} bytes of {name}, expected at most {TEXT_BYTES}")
        if _CONTROL(text):
            raise RecordsError(f"got control characters in {name}, expected plain text")


def _place(caller: Caller, subject: Subject) -> tuple[str, str]:
    """The key's subject and the stream of the event that creates an id."""
    if subject.id.startswith("gp_"):
        return caller.hospital, f"hospital/{caller.hospital}"
    kind = {"ac": "account", "hs": "hospital", "pt": "patient"}[subject.id[:2]]
    return subject.id, f"{kind}/{subject.id}"


def _request(caller: Caller, subject: Subject) -> KeyRequest:
    labels = (LABEL_KEY,) if subject.id.startswith("pt_") else ()
    return KeyRequest(_place(caller, subject)[0], (subject.id, *labels))


def _seal_subject(
    ledger: Ledger, caller: Caller, subject: Subject, made: Mapping[tuple[str, str], Wrapped]
) -> dict[str, str]:
    if not subject.texts:
        return {}
    owner, stream = _place(caller, subject)
    # A key that somebody else reserved would be refused with the event; nothing is sealed under it either.
    if ledger.keys.object_key(owner, subject.id).author != caller.account:
        raise Forbidden(f"{subject.id} was reserved by somebody else")
    return ledger.keeper.seal(made[owner, subject.id], stream, subject.event, dict(subject.texts))
