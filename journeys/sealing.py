"""Make keys with the keeper, keep them staged, seal texts under them."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from durable.errors import NotFound
from identity.actors import Caller
from journeys.errors import Forbidden, NotThere, RecordsError
from journeys.labelling import is_private, label_codes
from keeper.errors import KeyRenewed
from keeper.protocol import KeyRequest, Wrapped
from ledger.codes import CATEGORIES, LABELS
from ledger.directory import Patient
from ledger.facts import Record
from ledger.relations import GUARDIAN, Relation
from storage.keytable import RENEWED_TRIES, BlobKey, KeyTable, ObjectKey, with_object_key
from storage.ledger import Ledger
from storage.reader import LogReader

TEXT_BYTES = 1_024
"""Longest text that is sealed for an author, UTF-8: two of them go into one header of a reading."""
SEALING = frozenset({"doctor", "hospital_system", "patient", "relative"})
"""Roles that may append to a chart, and so may seal."""

_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]").search


class Sealed(NamedTuple):
    """What an author puts into an event."""

    fields: dict[str, str]
    """Sealed texts, by the names of their fields."""
    codes: list[str]
    """Of the labels, ascending."""
    minor_private: bool
    """Whether one of the labels makes the record private to a minor: its event must say `minor_private` then."""


def seal_texts(
    ledger: Ledger,
    caller: Caller,
    patient: str,
    object_id: str,
    event: str,
    texts: Mapping[str, str],
    labels: Sequence[str] = (),
) -> Sealed:
    """Sealed fields for an event on a patient's chart, and the codes of labels; open to who may append.

    `object_id`: the record or the patient that the texts are of; codes are narrower, see `labelling`.
    Raises NotThere or RecordsError.
    """
    check_texts(texts)
    check_labels(labels)
    about_chart = object_id == patient and not labels
    if not (about_chart and _writes_words(ledger, caller, patient)):
        check_appender(ledger, caller, patient)
    elif ledger.row(Patient, patient) is None:
        raise NotThere(f"there is no patient {patient}")
    record = ledger.row(Record, object_id)
    if record is not None and (record.patient, record.hospital) != (patient, caller.hospital):
        raise NotThere(f"there is no {object_id} of {patient} at {caller.hospital or 'yours'}")
    try:
        key = ledger.keys.object_key(patient, object_id)
        if record is None and object_id != patient and key.author != caller.account:
            raise NotThere(f"{object_id} was reserved by somebody else")
        sealed = seal(ledger, key.key, f"patient/{patient}", event, texts) if texts else {}
        codes = label_codes(ledger, caller, patient, object_id, labels)
    except NotFound as error:
        raise NotThere(f"{error}: reserve it first") from error
    return Sealed(sealed, codes, is_private(ledger, labels))


def _writes_words(ledger: LogReader, caller: Caller, patient: str) -> bool:
    """Whether somebody who may not append writes to the patient in words: admins review and disclose, relatives ask."""
    if caller.role == "relative":
        related = ledger.rows(Relation, "account", caller.account)
        return any(one.active and one.patient == patient for one in related)
    return caller.role == "hospital_admin"


def seal(
    ledger: Ledger, key: Wrapped, stream: str, event: str, texts: Mapping[str, str]
) -> dict[str, str]:
    """Texts as sealed fields of an event, under an object key or its successor."""
    return with_object_key(
        ledger.keys, key, lambda found: ledger.keeper.seal(found, stream, event, dict(texts))
    )


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


def check_appender(ledger: LogReader, caller: Caller, patient: str) -> None:
    """Raises NotThere for an unknown chart, RecordsError for who may not append to it."""
    row = ledger.row(Patient, patient)
    if row is None:
        raise NotThere(f"there is no patient {patient}")
    own = caller.role == "patient" and row.is_of(caller.account)
    own = own or (caller.role == "relative" and _appends_for(ledger, caller, row))
    if caller.role not in SEALING or (caller.role in ("patient", "relative") and not own):
        raise Forbidden(f"the role {caller.role} may not append to {patient}")


def _appends_for(ledger: LogReader, caller: Caller, patient: Patient) -> bool:
    """Whether the caller may append on the patient's behalf now, as far as the relation tells."""
    now = ledger.clock()
    return any(
        one.guards(now, patient.adult_from)
        if one.kind == GUARDIAN
        else one.active and one.start <= now < one.end and "append" in one.actions
        for one in ledger.rows(Relation, "account", caller.account)
        if one.patient == patient.patient
    )


def reserve(
    ledger: Ledger, author: str, requests: Sequence[KeyRequest], sizes: dict[str, int] | None = None
) -> dict[tuple[str, str], Wrapped]:
    """Make and stage the keys asked for; gives them by (subject, object or blob).

    An object that has a key already keeps that one.

    `sizes`: plaintext bytes of the blobs, by id. Open to `author` alone until an entry names them.
    """
    for _ in range(RENEWED_TRIES):
        try:
            return _reserve(ledger, author, requests, sizes or {})
        except KeyRenewed:  # the KEK was replaced between the wrapping and the staging
            continue
    return _reserve(ledger, author, requests, sizes or {})


def _reserve(
    ledger: Ledger, author: str, requests: Sequence[KeyRequest], sizes: Mapping[str, int]
) -> dict[tuple[str, str], Wrapped]:
    made = ledger.keeper.new_key(requests)
    blobs = {b.blob: (r.subject, b) for r in requests for b in r.blobs}
    now, objects, blob_keys = ledger.clock(), [], []
    for w in made:
        if w.name in blobs:
            patient, blob = blobs[w.name]
            size = sizes[w.name]
            blob_keys.append(
                BlobKey(
                    w.name, patient, blob.record, author, blob.sha256, size, w.version, w.wrapped, now
                )
            )  # fmt: skip
        else:
            objects.append(ObjectKey(w.name, w.subject, author, w.version, w.wrapped, now))
    kept = ledger.keys.stage(ledger.clock, objects, blob_keys)
    new = {(w.subject, w.name): w for w in made if w.name in blobs}
    return new | {(key.subject, key.object): key.key for key in kept}


def object_key(keys: KeyTable, subject: str, name: str) -> Wrapped:
    """An object key that was reserved before; raises NotFound."""
    return keys.object_key(subject, name).key


def check_texts(texts: Mapping[str, str]) -> None:
    """Raises RecordsError for a text that is too long to be sealed, or not plain."""
    for name, text in texts.items():
        if (size := len(text.encode("utf-8", "replace"))) > TEXT_BYTES:
            raise RecordsError(f"got {size} bytes of {name}, expected at most {TEXT_BYTES}")
        if _CONTROL(text):
            raise RecordsError(f"got control characters in {name}, expected plain text")
