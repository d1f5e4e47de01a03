"""The facts consent rests on: records, grants and exclusions, as a patient's entries leave them.

Two homes, the same rows: memory (auditors, the batch) and SQL (the service).
"""

from typing import NamedTuple

from crypto.encoding import b64decode
from ledger.rows import row_type
from ledger.times import DAY_MS

HOLD_DAYS_MOST = 14
"""Days that a harm hold may last."""
HOLDS_MOST = 2
"""Harm holds of one record against one person, ever: the first, and one that renews it."""
ERASURE_WAIT_MS = 3 * DAY_MS
"""How long an erasure waits until keys are destroyed: so long it can be withdrawn, as by whoever was forced to ask for it."""


class Version(NamedTuple):
    """One version of a record: one blob. `size` is the plaintext's, in bytes."""

    version: int
    seq: int
    blob: str
    sha256: str
    """Of the ciphertext, base64."""
    size: int
    media_type: str


@row_type(
    "records",
    key=1,
    group=("patient",),
    prefix="rc",
    indexes={"records_by_entry": "seq"},
    consent_only=True,
)
class Record(NamedTuple):
    """A record as it stands: what its latest version says, and all versions, ascending.

    A patient's are found by the entries of the stream, hence the index: one by patient would be a random one.
    """

    record: str
    patient: str
    seq: int
    """The entry that created it."""
    author: str
    hospital: str
    """The hospital that wrote it; empty for the patient's own."""
    category: str
    clinical_date: str
    confidentiality: str
    episode: str
    labels: tuple[str, ...]
    sensitive: bool
    minor_private: bool
    state: str
    """live, retracted or shredded."""
    state_seq: int
    """The entry that set the state."""
    versions: tuple[Version, ...]
    hidden: int = 0
    """The entry by which the patient hid it; 0 if it isn't hidden."""
    written: int = 0
    """The time of the entry that wrote its latest version, Unix ms."""


HARM, LEGAL = "harm", "legal"
"""The kinds of holds: one keeps a record from somebody whom it would harm, one keeps it from being erased."""


@row_type(
    "holds", key=1, group=("patient",), indexes={"holds_of_patient": "patient"}, consent_only=True
)
class Hold(NamedTuple):
    """A hold, by the id of the event that placed it, on a record or on all that its hospital has in a chart."""

    hold: str
    patient: str
    record: str
    """Empty for all records of the hospital in this chart."""
    kind: str
    hospital: str
    """Whose people placed it, on what it wrote itself."""
    against: str
    """Of a harm hold the account that is kept from the record; else empty."""
    of_patient: bool
    """Whether that was the patient's own, so that it goes with the chart if somebody claims it."""
    reason: str
    seq: int
    end: int
    """Unix ms, excluded; 0 for as long as it isn't lifted."""
    lifted: int = 0
    """The entry that lifted it; 0 while it stands."""

    def stands(self, time: int) -> bool:
        """Whether it holds at `time` (Unix ms)."""
        return not self.lifted and (not self.end or time < self.end)


REQUESTED, BEGUN, WITHDRAWN, COMPLETED = "requested", "begun", "withdrawn", "completed"
"""What becomes of an erasure, in this order: once it is due it begins, and is completed, unless it was withdrawn before."""


@row_type(
    "erasures",
    key=1,
    group=("patient",),
    indexes={"erasures_of_patient": "patient", "erasures_by_state": "state"},
)
class Erasure(NamedTuple):
    """An erasure of a record or a whole chart, by the id of the event that requested it."""

    erasure: str
    patient: str
    record: str
    """Empty for the whole chart."""
    seq: int
    due: int
    """From when on keys are destroyed, Unix ms; until then it can be withdrawn."""
    was: str
    """The state of the record before; empty for a chart."""
    was_seq: int
    """The entry that had set that state."""
    state: str
    state_seq: int
    """The entry that set the erasure's own state."""
    locked: int = 0
    """Once completed: blobs whose ciphertext a lock of their store still held then; their keys are gone."""
    locked_until: int = 0
    """Until when, Unix ms; 0 where nothing was locked, or nobody knows when the lock ends."""


class Provision(NamedTuple):
    """Criteria that a record meets or not, and what then: a partial grant's scope, or an exception.

    Every criterion that is there must be met; a list is met by one of its members.
    """

    permits: bool
    authors: tuple[str, ...] = ()
    """Accounts, or hospitals that wrote it."""
    categories: tuple[str, ...] = ()
    date_from: str = ""
    """The clinical date, both ends included."""
    date_to: str = ""
    episodes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    exceptions: tuple["Provision", ...] = ()


@row_type(
    "grants",
    key=3,
    group=("patient", "grantee"),
    consent_only=True,
    stands=lambda grant: bool(grant.active),
    live=lambda grant, time: time < grant.end and (not grant.uses or grant.used < grant.uses),
)
class Grant(NamedTuple):
    """The entry that rules a lineage of grants: the latest grant, or its revocation (not active)."""

    patient: str
    grantee: str
    lineage: str
    grant: str
    seq: int
    active: bool
    scope: str
    records: tuple[str, ...]
    actions: tuple[str, ...]
    purposes: tuple[str, ...]
    labels: tuple[str, ...]
    sensitive: bool
    start: int
    """Unix ms, included."""
    end: int
    """Unix ms, excluded."""
    uses: int
    """How many readings it permits; 0 is without limit."""
    used: int
    what: tuple[Provision, ...] = ()
    """The criteria of a partial grant; empty for the others."""
    exceptions: tuple[Provision, ...] = ()
    by: str = ""
    """The account of the relative or guardian who gave it on the patient's behalf; empty where the patient did."""


@row_type("exclusions", key=2, consent_only=True)
class Exclusion(NamedTuple):
    """That the patient excludes (`active`) or excluded a person, a hospital or a group, by entry `seq`."""

    patient: str
    reader: str
    seq: int
    active: bool


@row_type("emergency_settings", key=1, consent_only=True)
class EmergencySetting(NamedTuple):
    """How far a patient lets doctors see in an emergency, by entry `seq`; without a row, DEFAULT_CEILING."""

    patient: str
    seq: int
    ceiling: str
    """One of `ledger.codes.CEILINGS`."""


@row_type(
    "emergencies",
    key=1,
    group=("patient", "doctor", "hospital"),
    indexes={"emergencies_of_patient": "patient", "emergencies_of_hospital": "hospital"},
    consent_only=True,
)
class Emergency(NamedTuple):
    """An emergency that a doctor declared for a patient; its window is half-open, `start` to `end` (Unix ms)."""

    emergency: str
    """The id of the event that declared it."""
    patient: str
    doctor: str
    hospital: str
    """For which the doctor acted, and acts in it; its admins review."""
    seq: int
    start: int
    end: int
    reason: str
    due: int
    """By when it is to be reviewed, Unix ms."""
    readings: int = 0
    """How many permitted readings rest on it."""
    reviewed: int = 0
    """The entry of the last review; 0 while there is none."""
    finding: str = ""
    """What that one found, one of `ledger.codes.FINDINGS`."""


@row_type(
    "suspensions",
    key=1,
    indexes={"suspensions_of_hospital": "hospital", "suspensions_until": "until"},
)
class Suspension(NamedTuple):
    """A disclosure of which the law lets the patient be told only later; verifiers keep it, as a type's rule rests on it."""

    disclosure: str
    """The id of the event that recorded it in the hospital's stream."""
    hospital: str
    patient: str
    seq: int
    until: int
    """From when on the patient is told, Unix ms."""
    digest: str
    """SHA-256 of what the patient is then told, as canonical JSON; base64."""
    told: int = 0
    """The entry by which the patient was told; 0 before."""


@row_type("grant_names", key=1, prefix="gr", consent_only=True)
class GrantName(NamedTuple):
    """To which patient, grantee and lineage a grant's id belongs."""

    grant: str
    patient: str
    grantee: str
    lineage: str


def version_of(record: Record, version: int) -> Version | None:
    """The version numbered `version` (from 1), or None."""
    return record.versions[version - 1] if 0 < version <= len(record.versions) else None


def sha256_of(version: Version) -> bytes:
    """The hash of the version's ciphertext, 32 bytes."""
    return b64decode(version.sha256, 32)
