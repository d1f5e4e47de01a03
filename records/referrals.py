"""Referrals: who sees which, the key to seal for, and the package of one that is taken up."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from crypto.encoding import b64encode
from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import Forbidden, NotThere
from journeys.sealing import object_key
from keeper.protocol import ListedBlob, ReferredBlob, SealedField, SealedObject
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import X_WING, Hospital, Key, Member
from ledger.entry import Entry
from ledger.exports import export_line, export_root
from ledger.facts import Record, Version, sha256_of, version_of
from ledger.links import Referral, ReferredVersion, travelling
from ledger.packages import PackageHead
from ledger.sequencer import Proposal
from records.charts import check_own_chart
from records.contents import named_version, sealed_blob
from records.opening import (
    RECHECK_MS,
    Recheck,
    SettledReading,
    find_record,
    settle,
    while_permitted,
)
from records.requests import keeps_out
from storage.evidence import ask_keeper, of_reading
from storage.keytable import with_keys
from storage.ledger import Ledger
from storage.reader import LogReader

REFERRALS_LISTED = 100
"""Most referrals of one list: those that weren't declined come first, the newest of them before others; each is looked through
line by line."""


@dataclass(frozen=True)
class ReferralStanding:
    """A referral, and what of it may still travel: count and root (base64), as who takes it up has to say them."""

    referral: Referral
    count: int
    root: str


@dataclass(frozen=True)
class Referrals:
    """Referrals: those that weren't declined, then the others; the newest first."""

    referrals: tuple[ReferralStanding, ...]


def referrals_of(ledger: Ledger, caller: Caller, patient: str) -> Referrals:
    """The referrals of a chart of the caller's own, or those that the caller's hospital sent or is sent.

    A hospital that the patient excludes isn't shown what it is sent. Raises NotThere for others' charts, SecondFactorNeeded.
    """
    found = ledger.rows(Referral, "patient", patient)
    if caller.role in HOSPITAL_ROLES:
        out = keeps_out(ledger, patient, caller.account, caller.hospital)
        at = caller.hospital
        return _listed(
            ledger, (r for r in found if r.sender == at or (r.receiver == at and not out))
        )
    check_own_chart(ledger, caller, patient)
    check_two_factors(caller, "to whom a patient is referred")
    return _listed(ledger, found)


def referrals_to(ledger: Ledger, caller: Caller, hospital: str) -> Referrals:
    """What a hospital is sent, for its people, but for patients who exclude it; raises Forbidden."""
    if caller.role not in HOSPITAL_ROLES or caller.hospital != hospital:
        raise Forbidden(f"what {hospital} is sent is shown to its own people alone")
    found = ledger.rows(Referral, "receiver", hospital)
    out = {
        patient: keeps_out(ledger, patient, caller.account, hospital)
        for patient in {row.patient for row in found}
    }
    return _listed(ledger, (r for r in found if not out[r.patient]))


def _listed(ledger: Ledger, found: Iterable[Referral]) -> Referrals:
    ordered = sorted(found, key=lambda row: (not row.declined, row.seq), reverse=True)
    return Referrals(tuple(_standing(ledger, row) for row in ordered[:REFERRALS_LISTED]))


def _standing(ledger: LogReader, row: Referral) -> ReferralStanding:
    lines = travelling(row, lambda record: ledger.row(Record, record))
    return ReferralStanding(
        row, len(lines), b64encode(export_root([one.encode() for one in lines]))
    )


@dataclass(frozen=True)
class ReceivingKeyShown:
    """A key to which what is referred to a hospital is sealed."""

    account: str
    """Whose it is: a system of the hospital's."""
    hospital: str
    key: str
    public_key: str
    """X-Wing, base64."""
    seq: int
    """The entry that registered it."""


def receiving_key(ledger: Ledger, caller: Caller, hospital: str) -> ReceivingKeyShown:
    """The newest active X-Wing key of a hospital's systems, for anybody who is signed in; raises NotThere."""
    row = ledger.row(Hospital, hospital)
    now = max(ledger.clock(), ledger.head().time)
    systems = [
        member.account
        for member in ledger.rows(Member, "hospital", hospital)
        if member.role == "hospital_system" and member.holds(now)
    ]
    keys = [
        key
        for account in systems
        for key in ledger.rows(Key, "account", account)
        if key.active and key.algorithm == X_WING and key.counts_from <= now
    ]
    if row is None or not row.active or not keys:
        raise NotThere(
            f"{hospital} has no key to receive referrals with: its system registers one first (`heartwood key receive`)"
        )
    best = max(keys, key=lambda key: key.seq)
    return ReceivingKeyShown(best.account, hospital, best.key, b64encode(best.public), best.seq)


@dataclass(frozen=True)
class GivenPackage:
    """What a taking up gives, in this call alone; the ciphertexts can be read once."""

    entry: Entry
    head: PackageHead
    sealed: bytes
    """The sealed list."""
    blobs: Iterator[tuple[str, Iterator[bytes]]]
    """Each is fetched as its turn comes, as long as it may travel."""


def open_package(ledger: Ledger, proposal: Proposal) -> GivenPackage:
    """Append a signed `referral.taken`; gives the package, in this call alone."""
    return give_package(ledger, settle(ledger, proposal))


def give_package(ledger: Ledger, reading: SettledReading) -> GivenPackage:
    """The package of a settled `referral.taken`; see `open_package`. Raises KeeperRefused, NotFound or BlobError."""
    entry, body = reading.entry, reading.entry.event.body
    referral = ledger.row(Referral, body["referral"])
    if referral is None:
        raise NotThere(f"there is no referral {body['referral']}")
    lines = travelling(referral, lambda record: ledger.row(Record, record))
    versions = [referred_version(ledger, line) for line in lines]
    evidence = of_reading(ledger, reading.committed, entry)

    def fetched() -> tuple[list[ReferredBlob], SealedObject]:
        return [referred_blob(ledger, *one) for one in versions], sealed_words(ledger, referral)

    def asked(found: tuple[list[ReferredBlob], SealedObject]) -> tuple[bytes, bytes]:
        return ask_keeper(
            ledger, evidence, lambda shown: ledger.keeper.release_package(shown, *found)
        )

    share, sealed = with_keys(fetched, asked)
    head = PackageHead(
        entry.event.id, body["key"], referral.patient, referral.receiver, referral.referral, referral.sender,
        b64encode(share),
    )  # fmt: skip
    return GivenPackage(entry, head, sealed, _contents(ledger, entry, versions))


def _contents(
    ledger: Ledger, taken: Entry, versions: Sequence[tuple[Record, Version]]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The ciphertexts, one after the other; looked at again every RECHECK_MS. Raises NotThere once one may travel no more."""
    for record, version in versions:
        line = export_line(record.record, version.version, version.blob).decode()
        pieces = sealed_blob(ledger.blobs, named_version(record, version))
        yield version.blob, while_permitted(_Travelling(ledger, taken, line), pieces)


class _Travelling(Recheck):
    """Whether a line of what was taken up may travel still: not handed back, excluded, hidden, retracted or erased since."""

    def __init__(self, ledger: Ledger, taken: Entry, line: str) -> None:
        self._ledger, self._event, self._line = ledger, taken.event, line
        self._checked = taken.time

    def check(self) -> None:
        """Look again if it is time to; raises NotThere."""
        now = self._ledger.clock()
        if now - self._checked < RECHECK_MS:
            return
        event, row = self._event, self._ledger.row(Referral, self._event.body["referral"])
        may = (
            row is not None
            and row.opens
            and not keeps_out(self._ledger, event.subject, event.actor, event.hospital)
            and self._line in travelling(row, lambda record: self._ledger.row(Record, record))
        )
        if not may:
            raise NotThere("what was referred may travel no more")
        self._checked = now


def referred_version(ledger: LogReader, line: str) -> tuple[Record, Version]:
    """The version that a line names; raises NotThere."""
    named = ReferredVersion.of(line)
    record = find_record(ledger, named.record)
    version = version_of(record, named.version)
    if version is None:
        raise NotThere(f"there is no version {named.version} of {named.record}")
    return record, version


def referred_blob(ledger: Ledger, record: Record, version: Version) -> ReferredBlob:
    """The wrapped keys of a version, and its title and file name as they are sealed."""
    keys = ledger.keys.of_version(version.blob, record.record, record.patient)
    event = ledger.kept_entry(version.seq).event
    fields = tuple(
        SealedField(event.stream, event.id, name, event.body[name])
        for name in ("title", "file_name")
        if name in event.body
    )
    listed = ListedBlob(record.record, version.version, sha256_of(version), keys.blob)
    return ReferredBlob(listed, SealedObject(keys.record, fields))


def sealed_words(ledger: Ledger, referral: Referral) -> SealedObject:
    """What the sender wrote, as it is sealed."""
    event = ledger.kept_entry(referral.seq).event
    key = object_key(ledger.keys, referral.patient, referral.patient)
    return SealedObject(key, (SealedField(event.stream, event.id, "words", event.body["words"]),))
