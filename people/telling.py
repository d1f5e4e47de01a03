"""What is told of which entry, and to whom: for each type of event that is told, a function from entry to messages.

They run in the transaction that appends, so they are pure and look only at rows that the type's rule or fold looks at, too,
but for a child's guardians.
To tell something new, write such a function below, name its parameters in `texts.KINDS`, and its text in every language.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ledger.asking import AccessRequest
from ledger.directory import RECOVERY_WAIT_MS, Group, GroupMember, Key, Patient
from ledger.entry import Entry
from ledger.facts import ERASURE_WAIT_MS, Emergency, Exclusion
from ledger.relations import GUARDIAN, RELATIVE, Relation
from ledger.rows import Look
from ledger.times import parse_time
from ledger.types.guardians import GUARDIAN_WAIT_MS
from storage.outbox import HOSPITAL_WROTE, Message, Tells, once_wrote

Tell = Callable[[Entry, Look, str], Iterable[Message]]
"""Gives the messages of one entry, by the rows as of its batch's end and the operator's account."""


def _message(
    entry: Entry, kind: str, account: str, once: str = "", /, **params: str | int
) -> Message:
    """A message of `kind` about an entry; every text may name when it happened."""
    return Message(entry.event.id, kind, account, {"at": entry.time, **params}, once)


def _key_registered(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """A key after the first, to whom it speaks for; by recovery it counts later, and can be stopped."""
    body, account = entry.event.body, entry.event.body["account"]
    if all(key.seq >= entry.link.seq for key in look.group(Key, account)):
        return
    if body.get("recovery"):
        counts = entry.time + RECOVERY_WAIT_MS
        yield _message(entry, "key_recovered", account, key=body["key"], counts_at=counts)
    else:
        yield _message(entry, "key_registered", account, key=body["key"])


def _key_revoked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    body = entry.event.body
    row = look.get(Key, body["key"])
    kept = row is not None and row.custody == "service"
    kind = "kept_key_revoked" if kept else "key_revoked"
    yield _message(entry, kind, body["account"], key=body["key"])


def _recovery_revoked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    yield _message(entry, "recovery_revoked", entry.event.body["account"])


def _hospital_approved(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    yield _message(entry, "hospital_approved", operator, hospital=entry.event.body["hospital"])


def _staff(kind: str) -> Tell:
    """A role at the hospital whose stream it is, to whoever gets or loses it."""

    def tell(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
        yield _message(entry, kind, entry.event.body["account"], hospital=entry.event.subject)

    return tell


def _record_uploaded(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """The first that a hospital writes into a chart, to its patient and a child's guardians: once a hospital and a patient."""
    event = entry.event
    patient = look.get(Patient, event.subject)
    if not event.hospital or patient is None:
        return
    named = {"hospital": event.hospital, "patient": patient.patient}
    once = once_wrote(patient.patient, event.hospital)
    # Of a chart that waits to be claimed the account is nobody: whoever claims it is told of what comes then.
    if not patient.offered:
        yield _message(entry, HOSPITAL_WROTE, patient.account, once, **named)
    for account in _guardians(entry, patient, look):
        yield _message(entry, "child_hospital_wrote", account, f"{once} {account}", **named)


def _guardians(entry: Entry, patient: Patient, look: Look) -> list[str]:
    """Who acts as a child and so is told as the child is. From the age at which minors act themselves, nobody is.

    The relations are read when they are asked for, of children alone: no type wants them for the sake of a mail.
    """
    if entry.time >= patient.teen_from:
        return []
    return sorted(
        one.account
        for one in look.group(Relation, patient.patient)
        if one.guards(entry.time, patient.adult_from)
    )


def _claim_offered(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the admins of the hospital that registered, but the one who offered; a code of its own system isn't news to them."""
    event = entry.event
    patient = look.get(Patient, event.subject)
    by_system = event.role == "hospital_system"
    if patient is not None and not (by_system and event.hospital == patient.hospital):
        yield from _registrar(entry, "claim_offered", patient)


def _patient_claimed(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the admins of the hospital that registered."""
    patient = look.get(Patient, entry.event.subject)
    if patient is not None:
        yield from _registrar(entry, "chart_claimed", patient)


def _registrar(entry: Entry, kind: str, patient: Patient) -> Iterable[Message]:
    """To the admins of the hospital that registered the chart, if one did: which account did what is told."""
    if patient.hospital:
        by = entry.event.actor
        told = _message(entry, kind, patient.hospital, by=by, patient=patient.patient)
        yield told._replace(but=by)


def _emergency_declared(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient, a child's guardians, and the admins of the hospital for which it was declared, who review it."""
    event = entry.event
    patient, emergency = look.get(Patient, event.subject), look.get(Emergency, event.id)
    if patient is None or emergency is None:
        return
    said: dict[str, str | int] = {
        "by": event.actor, "hospital": event.hospital, "patient": patient.patient, "until_at": emergency.end,
    }  # fmt: skip
    if not patient.offered:
        yield _message(entry, "emergency_declared", patient.account, **said)
    for account in _guardians(entry, patient, look):
        yield _message(entry, "child_emergency", account, **said)
    yield _message(
        entry, "emergency_to_review", event.hospital, by=event.actor, due_at=emergency.due,
        emergency=event.id, patient=patient.patient,
    )  # fmt: skip


def _to_patient(kind: str) -> Tell:
    """What a hospital did with the chart, to its patient, unless the chart still waits to be claimed, and to a child's guardians."""

    def tell(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
        event = entry.event
        patient = look.get(Patient, event.subject)
        if patient is None:
            return
        hospital = event.hospital or event.body["hospital"]
        named = {"hospital": hospital, "patient": patient.patient}
        if not patient.offered:
            yield _message(entry, kind, patient.account, **named)
        for account in _guardians(entry, patient, look):
            yield _message(entry, f"child_{kind}", account, **named)

    return tell


def _access_requested(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient, or to the admins of the hospital that is asked; what the excluded ask, to nobody."""
    asked = look.get(AccessRequest, entry.event.id)
    if asked is None or _kept_out(asked, look):
        return
    if asked.addressee:
        yield _message(
            entry, "access_to_answer", asked.addressee, by=asked.asker, patient=asked.patient, request=asked.request,
            until_at=asked.until,
        )  # fmt: skip
    else:
        yield from _asked_patient(entry, look, asked)


def _access_forwarded(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient, whose it is to answer now."""
    asked = look.get(AccessRequest, entry.event.body["request"])
    if asked is not None and not _kept_out(asked, look):
        yield from _asked_patient(entry, look, asked)


def _asked_patient(entry: Entry, look: Look, asked: AccessRequest) -> Iterable[Message]:
    patient = look.get(Patient, asked.patient)
    if patient is not None and not patient.offered:
        yield _message(
            entry, "access_requested", patient.account, by=asked.asker, patient=asked.patient, request=asked.request,
            until_at=asked.until,
        )  # fmt: skip


def _access_answered(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To whoever asked: that there is an answer, and not which."""
    asked = look.get(AccessRequest, entry.event.body["request"])
    if asked is not None:
        yield _message(
            entry, "access_answered", asked.asker, patient=asked.patient, request=asked.request
        )


def _kept_out(asked: AccessRequest, look: Look) -> bool:
    """Whether the patient excludes whoever asks, their hospital, or a group that they are in."""
    joined = (look.get(Group, m.group) for m in look.group(GroupMember, asked.asker) if m.active)
    readers = [asked.asker, *filter(None, [asked.hospital]), *(g.group for g in joined if g)]
    found = (look.get(Exclusion, asked.patient, reader) for reader in readers)
    return any(one is not None and one.active for one in found)


def _relative_linked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient, who invited."""
    event, patient = entry.event, look.get(Patient, entry.event.subject)
    if patient is not None:
        yield _message(
            entry, "relative_linked", patient.account, by=event.actor, patient=patient.patient
        )


def _relation_ended(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To whose relation it was, unless they ended it themselves."""
    account = entry.event.body.get("account", "")
    if account and account != entry.event.actor:
        yield _message(entry, "relation_ended", account, patient=entry.event.subject)


def _excluded(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To a relative whose relation ended by it, in the words for one who was unlinked; to nobody else."""
    reader, patient = entry.event.body["reader"], entry.event.subject
    relation = look.get(Relation, patient, reader, RELATIVE)
    if relation is not None and relation.seq == entry.link.seq:
        yield _message(entry, "relation_ended", reader, patient=patient)


def _charts_linked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient whose chart's stream it is, when a hospital says so; to both when the second of them has signed."""
    event, patient = entry.event, look.get(Patient, entry.event.subject)
    if patient is None:
        return
    if event.hospital:
        yield from _to_patient("charts_linked")(entry, look, operator)
        return
    other, link = look.get(Patient, event.body["other"]), patient.link(event.body["other"])
    if other is not None and link is not None and link.joined:
        for one in (patient, other):
            yield _message(entry, "charts_joined", one.account, patient=one.patient)


def _charts_unlinked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the patient, when a hospital says so."""
    if entry.event.hospital:
        yield from _to_patient("charts_unlinked")(entry, look, operator)


def _guardian_appointed(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the other guardians, and to the minor who is old enough to act: they may object."""
    event, patient = entry.event, look.get(Patient, entry.event.subject)
    if patient is None:
        return
    named = event.body["account"]
    others = {
        one.account
        for one in look.group(Relation, patient.patient)
        if one.kind == GUARDIAN and one.active and one.account != named
    }
    told = {
        *others,
        *([patient.account] if entry.time >= patient.teen_from and not patient.offered else []),
    }
    for account in sorted(told):
        yield _message(
            entry, "guardian_appointed", account, guardian=named, patient=patient.patient,
            counts_at=entry.time + GUARDIAN_WAIT_MS,
        )  # fmt: skip


def _guardian_objected(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To whom it is about, and to the admins of the hospital that registered."""
    patient, guardian = look.get(Patient, entry.event.subject), entry.event.body["account"]
    if patient is not None:
        for account in (guardian, *filter(None, (patient.hospital,))):
            yield _message(
                entry, "guardian_objected", account, guardian=guardian, patient=patient.patient
            )


def _delegation_given(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To the colleague."""
    event = entry.event
    yield _message(
        entry, "delegation_given", event.body["account"], by=event.actor, hospital=event.subject
    )


def _doctor_joined(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """To whoever joined, and to the hospital's admins: whoever reads a mail with a code can come in another's place."""
    event = entry.event
    yield _message(entry, "doctor_joined", event.actor, hospital=event.subject)
    yield _message(
        entry, "invitation_taken_up", event.subject, by=event.actor, hospital=event.subject,
        invitation=event.body["invitation"],
    )._replace(but=event.actor)  # fmt: skip


_FACTORS = {
    ("factor.added", "code"): "codes_added",
    ("factor.added", "passkey"): "passkey_added",
    ("factor.added", "password"): "password_set",
    ("factor.removed", "code"): "codes_removed",
    ("factor.removed", "passkey"): "passkey_removed",
}
"""The kind of message by type and factor."""


def _factor_changed(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """That a factor changed, to whose it is. What a key alone reset is told by a message of its own, with that key."""
    body = entry.event.body
    if body.get("reset"):
        yield _message(entry, "factors_reset", body["account"], key=body["key"])
        return
    kind = _FACTORS[entry.event.type.name, body["factor"]]
    yield _message(entry, "password_changed" if body.get("replaces") else kind, body["account"])


def _recovery_used(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    body = entry.event.body
    yield _message(entry, "recovery_used", body["account"], left=body["left"])


def _session_locked(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    body = entry.event.body
    until = parse_time(body["until"])
    yield _message(entry, "session_locked", body["account"], until_at=until)


def _erasure_requested(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    """At once, with until when it can be withdrawn: whoever was forced to ask, or didn't ask at all, has so long."""
    due = entry.time + ERASURE_WAIT_MS
    yield from _patient(entry, look, "erasure_requested", erasure=entry.event.id, due_at=due)


def _erasure(kind: str) -> Tell:
    """What becomes of an erasure, to the patient."""

    def tell(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
        yield from _patient(entry, look, kind, erasure=entry.event.body["erasure"])

    return tell


def _patient(entry: Entry, look: Look, kind: str, **params: str | int) -> Iterable[Message]:
    """To the patient whose chart it is about."""
    patient = look.get(Patient, entry.event.subject)
    if patient is not None:
        yield _message(entry, kind, patient.account, **params)


def _alarm_raised(entry: Entry, look: Look, operator: str) -> Iterable[Message]:
    number = entry.event.body["entry"]
    yield _message(entry, "alarm_raised", operator, entry=number, alarm=entry.link.seq)


TOLD: dict[str, Tell] = {
    "access.answered": _access_answered,
    "access.closed": _access_answered,
    "access.forwarded": _access_forwarded,
    "access.requested": _access_requested,
    "admin.appointed": _staff("admin_appointed"),
    "alarm.raised": _alarm_raised,
    "claim.offered": _claim_offered,
    "consultation.opened": _to_patient("consultation_opened"),
    "delegation.given": _delegation_given,
    "disclosure.suspended": _to_patient("records_disclosed"),
    "doctor.approved": _staff("doctor_approved"),
    "doctor.ended": _staff("doctor_ended"),
    "doctor.joined": _doctor_joined,
    "doctor.suspended": _staff("doctor_suspended"),
    "emergency.declared": _emergency_declared,
    "emergency.reviewed": _to_patient("emergency_reviewed"),
    "erasure.completed": _erasure("erasure_completed"),
    "erasure.requested": _erasure_requested,
    "erasure.withdrawn": _erasure("erasure_withdrawn"),
    "factor.added": _factor_changed,
    "factor.removed": _factor_changed,
    "guardian.appointed": _guardian_appointed,
    "guardian.ended": _relation_ended,
    "guardian.objected": _guardian_objected,
    "hospital.approved": _hospital_approved,
    "key.registered": _key_registered,
    "key.revoked": _key_revoked,
    "patient.claimed": _patient_claimed,
    "patient.linked": _charts_linked,
    "patient.unlinked": _charts_unlinked,
    "record.disclosed": _to_patient("records_disclosed"),
    "record.uploaded": _record_uploaded,
    "recovery.revoked": _recovery_revoked,
    "recovery.used": _recovery_used,
    "patient.corrected": _to_patient("details_corrected"),
    "reader.excluded": _excluded,
    "referral.accepted": _to_patient("referral_accepted"),
    "referral.sent": _to_patient("referral_sent"),
    "relative.linked": _relative_linked,
    "relative.unlinked": _relation_ended,
    "session.locked": _session_locked,
}
"""By type of event."""


def telling(operator: str) -> Tells:
    """What entries tell whom; `operator`: the account of the log's operator."""
    return partial(_told, operator)


def _told(operator: str, entries: Sequence[Entry], look: Look) -> Sequence[Message]:
    found: list[Message] = []
    for entry in entries:
        tell = TOLD.get(entry.event.type.name)
        if tell is not None:
            found += tell(entry, look, operator)
    return found
