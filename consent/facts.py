"""The facts consent rests on, folded from a patient's entries by one pure function.

Two homes, the same rows: memory (auditors, the batch) and SQL (the service).
"""

from typing import Any, NamedTuple

from crypto.encoding import b64decode
from ledger.directory import GroupMember, fold_directory
from ledger.entry import Entry
from ledger.policies import fold_policy
from ledger.rows import GROUPS, KEY_LENGTHS, LIVE, STANDING, Look, Row
from ledger.times import parse_time


class Version(NamedTuple):
    """One version of a record: one blob. `size` is the plaintext's, in bytes."""

    version: int
    seq: int
    blob: str
    sha256: str
    """Of the ciphertext, base64."""
    size: int
    media_type: str


class Record(NamedTuple):
    """A record as it stands: what its latest version says, and all versions, ascending."""

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


class Exclusion(NamedTuple):
    """That the patient excludes (`active`) or excluded a person, a hospital or a group, by entry `seq`."""

    patient: str
    reader: str
    seq: int
    active: bool


class GrantName(NamedTuple):
    """To which patient, grantee and lineage a grant's id belongs."""

    grant: str
    patient: str
    grantee: str
    lineage: str


KEY_LENGTHS.update({Record: 1, Grant: 3, GrantName: 1, Exclusion: 2})
GROUPS.update({Grant: slice(0, 2), Record: slice(1, 2)})
STANDING[Grant] = lambda grant: grant.active
LIVE[Grant] = lambda grant, time: time < grant.end and (not grant.uses or grant.used < grant.uses)


def fold_facts(entry: Entry, look: Look) -> list[Row]:
    """The rows that this entry changes, given the rows before it."""
    fold = _FOLDS.get(entry.event.type.name)
    return fold(entry, look) if fold else []


def _uploaded(entry: Entry, look: Look) -> list[Row]:
    return [_record(entry, (), entry.link.seq, entry.event.actor, entry.event.hospital)]


def _amended(entry: Entry, look: Look) -> list[Row]:
    """A new version. What was retracted stays so, and since older versions can be opened too, the record
    is as confidential as any of its versions and has the labels of all."""
    old = look.get(Record, entry.event.body["record"])
    if old is None:
        return []
    new = _record(entry, old.versions, old.seq, old.author, old.hospital)
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


def _record(
    entry: Entry, before: tuple[Version, ...], seq: int, author: str, hospital: str
) -> Record:
    body = entry.event.body
    version = Version(
        body["version"],
        entry.link.seq,
        body["blob"],
        body["sha256"],
        body["size"],
        body["media_type"],
    )
    return Record(
        body["record"],
        entry.event.subject,
        seq,
        author,
        hospital,
        body["category"],
        body.get("clinical_date", ""),
        body["confidentiality"],
        body.get("episode", ""),
        tuple(body.get("labels", ())),
        body.get("sensitive", False),
        body.get("minor_private", False),
        "live",
        entry.link.seq,
        (*before, version),
        0,
    )


def _retracted(entry: Entry, look: Look) -> list[Row]:
    old = look.get(Record, entry.event.body["record"])
    return [old._replace(state="retracted", state_seq=entry.link.seq)] if old else []


def _hidden(entry: Entry, look: Look) -> list[Row]:
    old = look.get(Record, entry.event.body["record"])
    hidden = entry.link.seq if entry.event.type.name == "record.hidden" else 0
    return [old._replace(hidden=hidden)] if old else []


def _excluded(entry: Entry, look: Look) -> list[Row]:
    active = entry.event.type.name == "reader.excluded"
    return [Exclusion(entry.event.subject, entry.event.body["reader"], entry.link.seq, active)]


def _granted(entry: Entry, look: Look) -> list[Row]:
    body, patient = entry.event.body, entry.event.subject
    lineage = body.get("lineage", body["grant"])
    return [
        Grant(
            patient,
            body["grantee"],
            lineage,
            body["grant"],
            entry.link.seq,
            True,
            body["scope"],
            tuple(body.get("records", ())),
            tuple(body["actions"]),
            tuple(body.get("purposes", ("TREAT",))),
            tuple(body.get("labels", ())),
            body.get("sensitive", False),
            parse_time(body["start"]),
            parse_time(body["end"]),
            body.get("uses", 0),
            0,
            (_provision(body["what"]),) if "what" in body else (),
            tuple(map(_provision, body.get("exceptions", ()))),
        ),
        GrantName(body["grant"], patient, body["grantee"], lineage),
    ]


def _provision(body: dict[str, Any]) -> Provision:
    """The criteria of a grant's body; its scope has no `type` and permits."""
    members: dict[str, Any] = {
        name: tuple(value) if type(value) is list else value
        for name, value in body.items()
        if name not in ("exceptions", "type")
    }
    inner = tuple(map(_provision, body.get("exceptions", ())))
    return Provision(body.get("type", "permit") == "permit", **members, exceptions=inner)


def _revoked(entry: Entry, look: Look) -> list[Row]:
    """A revocation ends a whole lineage; without an id, every lineage of the grantee."""
    body, patient = entry.event.body, entry.event.subject
    if "grant" in body:
        name = look.get(GrantName, body["grant"])
        one = look.get(Grant, patient, body["grantee"], name.lineage) if name else None
        found = [one] if one is not None and one.active else []
    else:
        found = list(look.group(Grant, patient, body["grantee"]))
    return [grant._replace(active=False, seq=entry.link.seq) for grant in found]


def _opened(entry: Entry, look: Look) -> list[Row]:
    """A permitted reading uses up the one limited grant it rests on."""
    decision = entry.decision
    if decision is None or decision["rule"] != "S9":
        return []
    event = entry.event
    groups = [m.group for m in look.group(GroupMember, event.actor) if m.active]
    grants = [
        grant
        for grantee in (event.actor, event.hospital, *groups)
        for grant in look.live(
            Grant, 0, event.subject, grantee
        )  # the decision says which, not the time
    ]
    return [g._replace(used=g.used + 1) for g in grants if g.uses and [g.seq] == decision["basis"]]


_FOLDS = {
    "record.uploaded": _uploaded,
    "record.amended": _amended,
    "record.retracted": _retracted,
    "record.hidden": _hidden,
    "record.shown": _hidden,
    "reader.excluded": _excluded,
    "reader.included": _excluded,
    "access.granted": _granted,
    "access.revoked": _revoked,
    "record.opened": _opened,
}


FOLDS = (fold_policy, fold_directory, fold_facts)
"""All that is folded from entries, in this order: what views are made of, and audits replay."""


def version_of(record: Record, version: int) -> Version | None:
    """The version numbered `version` (from 1), or None."""
    return record.versions[version - 1] if 0 < version <= len(record.versions) else None


def sha256_of(version: Version) -> bytes:
    """The hash of the version's ciphertext, 32 bytes."""
    return b64decode(version.sha256, 32)
