"""Reserve ids of patients, accounts, groups and hospitals, with their keys and sealed names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import orjson

from crypto.ids import is_id
from crypto.texts import is_printable, printable
from identity.actors import Caller
from journeys.errors import Forbidden, OverQuota, RecordsError
from journeys.labelling import HOUR_MS
from journeys.sealing import check_texts, reserve, seal
from keeper.protocol import KeyRequest, Wrapped
from ledger.directory import Account, Group, Hospital, Patient
from ledger.errors import EventError, Refused
from ledger.schema import PUBLIC_NAME
from storage.keytable import LABEL_KEY
from storage.ledger import Ledger
from storage.reader import LogReader

SUBJECTS = 1_000
"""Most subjects reserved by one call."""
RESERVED_AN_HOUR = 20_000
"""Most ids that one account reserves over HTTP within an hour: 10,000 patients with their accounts."""
APPLYING_AN_HOUR = 16
"""Most ids that somebody without a role reserves within an hour: of hospitals to apply for."""
RESERVING = frozenset({"doctor", "hospital_admin", "hospital_system", "operator"})


@dataclass(frozen=True)
class Subject:
    """An id to reserve: of a patient, an account or a group; its own event's id, and texts to seal for it."""

    id: str
    event: str
    texts: Mapping[str, str] = field(default_factory=dict)
    """Field name → text."""
    identifier: str = ""
    """Of a patient, the hospital's own identifier, `<system>|<value>`."""
    birth: str = ""
    """Of a patient, the birth date, `YYYY-MM-DD`: who claims the chart has to know it. Kept as keyed hashes alone."""


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
    applying = caller.role == "person" and all(s.id.startswith("hs_") for s in subjects)
    if caller.role not in RESERVING and not applying:
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
    now, most = ledger.clock(), APPLYING_AN_HOUR if caller.role == "person" else RESERVED_AN_HOUR

    def counted(before: bytes | None) -> bytes:
        count, end = orjson.loads(before) if before else (0, now + HOUR_MS)
        if end <= now:
            count, end = 0, now + HOUR_MS
        if count + len(subjects) > most:
            raise OverQuota(
                f"got {count + len(subjects):,} ids within an hour, expected at most {most:,}: "
                f"try again in {(end - now) // 60_000 + 1} minutes, or import next to the data"
            )
        return orjson.dumps([count + len(subjects), end])

    ledger.tokens.change("reserved", caller.account.encode(), counted, now, now + HOUR_MS)
    return reserve_subjects(ledger, caller, subjects)


_KINDS: dict[str, type] = {"ac": Account, "gp": Group, "hs": Hospital, "pt": Patient}


def _keep_witnesses(ledger: Ledger, fresh: Sequence[Subject]) -> None:
    """Keep the names of patients who get an identifier, with which imports compare whom it finds, and birth dates."""
    from people.demographics import Demographics
    from people.traits import witness

    since = ledger.head().size
    said = {
        s.id: Demographics(text=s.texts.get("name", "") if s.identifier else "", birth=s.birth)
        for s in fresh
    }
    kept = {
        patient: witness(ledger.identifiers, patient, one, since)
        for patient, one in said.items()
        if one
    }
    if kept:
        ledger.identifiers.keep_witnesses(kept)


def _check_subject(ledger: LogReader, caller: Caller, subject: Subject) -> None:
    kind = subject.id[:2]
    if kind not in _KINDS or not is_id(kind, subject.id) or not is_id("ev", subject.event):
        raise RecordsError(f"got {subject.id[:40]!r} and {subject.event[:40]!r}, expected the id of a "
                           "patient, an account, a group or a hospital, and an event's")  # fmt: skip
    if ledger.row(_KINDS[kind], subject.id) is not None:
        raise Refused("duplicate_id", f"got {subject.id}, which an entry created already")
    if subject.identifier and (kind != "pt" or not caller.hospital):
        raise RecordsError("an identifier is a hospital's own, and of a patient")
    if subject.birth:
        if kind != "pt":
            raise RecordsError("a birth date is a patient's")
        check_birth(subject.birth)
    if subject.identifier.startswith("#"):  # kept for numbers without a system
        raise RecordsError(f"got {subject.identifier[:40]!r}, expected <system>|<value>")
    check_texts(subject.texts)
    if kind == "hs" and "name" in subject.texts:
        _check_public(subject.texts["name"])


def _check_public(name: str) -> None:
    """Raises RecordsError for what no hospital could be approved as; once it is sealed nobody can tell any more."""
    try:
        PUBLIC_NAME.check()(name, "name")
    except EventError as error:
        raise RecordsError(str(error)) from error
    if not is_printable(name):
        raise RecordsError(
            f"got the name {printable(name)!r}, expected one that shows as what it is"
        )


def check_birth(birth: str) -> None:
    """Raises RecordsError unless `birth` is a day of the calendar, `YYYY-MM-DD`; the message doesn't repeat it."""
    try:
        if date.fromisoformat(birth).isoformat() == birth:
            return
    except ValueError:
        pass
    raise RecordsError("expected a birth date like 1958-03-14, a day of the calendar")


def _place(caller: Caller, subject: Subject) -> tuple[str, str]:
    """The key's subject and the stream of the event that creates an id."""
    if subject.id.startswith("gp_"):
        return caller.hospital, f"hospital/{caller.hospital}"
    if subject.id.startswith(
        "hs_"
    ):  # what creates it, `hospital.applied`, is in the log's own stream
        return subject.id, "ledger"
    kind = {"ac": "account", "pt": "patient"}[subject.id[:2]]
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
    return seal(ledger, made[owner, subject.id], stream, subject.event, subject.texts)
