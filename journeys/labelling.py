"""Codes of sensitivity labels: for the author of an append that is staged, counted; for patients, of their chart.

Whoever knows which code stands for which label reads diagnoses off a sight of the log. What is given, to whom,
and what it costs: docs/adr/0005-codes-of-labels.md.
"""

from collections.abc import Sequence

import orjson

from durable.errors import NotFound
from identity.actors import Caller
from journeys.errors import Forbidden, OverQuota
from ledger.errors import Refused
from ledger.event import Event
from ledger.facts import Record
from ledger.policies import policy_at
from ledger.sequencer import Proposal
from ledger.times import DAY_MS
from storage.keytable import LABEL_KEY, with_keys
from storage.ledger import Ledger

LABELS_AN_HOUR = 4
"""Most different labels of one patient whose codes an author gets within an hour before an entry names them."""
HOUR_MS = 3_600_000


def label_codes(
    ledger: Ledger, caller: Caller, patient: str, object_id: str, labels: Sequence[str]
) -> list[str]:
    """The codes of `labels`, ascending, for an event about `object_id` that `caller` may append.

    Staff get those of an append of theirs whose content is staged and not named yet; patients those of
    their own chart, for grants. Raises Forbidden, OverQuota, or NotFound where no patient's key is kept.
    """
    if not labels:
        return []
    if caller.role != "patient" and not _stages(ledger, caller, patient, object_id):
        raise Forbidden(
            f"got labels for {object_id}, of which nothing is staged by {caller.account}: codes are for the "
            "append that will name them. Stage its content first, then name its record"
        )
    codes = codes_under(ledger, patient, labels)
    if caller.role != "patient":
        _count(ledger, caller, patient, codes)
    return codes


def codes_under(ledger: Ledger, patient: str, labels: Sequence[str]) -> list[str]:
    """The codes of labels under a patient's label key, ascending, for whoever was found to get them; raises NotFound."""
    return with_keys(
        lambda: ledger.keys.object_key(patient, LABEL_KEY).key,
        lambda key: ledger.keeper.label_codes(key, labels),
    )


def is_private(ledger: Ledger, labels: Sequence[str]) -> bool:
    """Whether one of the labels makes a record private to a minor, by the policy in force: its event says `minor_private`."""
    return not _private(ledger).isdisjoint(labels)


def _private(ledger: Ledger) -> frozenset[str]:
    now = max(ledger.clock(), ledger.head().time)  # a clock may be behind the log's last entry
    return frozenset(policy_at(ledger.policies(), now).policy["private_labels"])


def is_unmarked(event: Event) -> bool:
    """Whether an event labels a record without saying that it is private to a minor."""
    named = event.type.name in ("record.uploaded", "record.amended")
    return named and "labels" in event.body and not event.body.get("minor_private", False)


def check_marked(ledger: Ledger, proposals: Sequence[Proposal]) -> None:
    """Raises Refused for an event with a label that is private to minors, and without `minor_private`.

    The log has the labels as codes, so that no rule sees which they are: guardians would go on reading what the minor is
    promised to keep from them.
    """
    for proposal in proposals:
        if is_unmarked(proposal.event):
            _check_marked(ledger, proposal.event)


def _check_marked(ledger: Ledger, event: Event) -> None:
    private = _private(ledger)
    try:
        codes = codes_under(ledger, event.subject, sorted(private)) if private else []
    except NotFound:  # no code of ours is under a key that isn't there
        return
    if not set(codes).isdisjoint(event.body["labels"]):
        raise Refused(
            "malformed",
            f"got {event.body['record']} with a label that is private to minors, expected minor_private: true beside it",
        )


def _stages(ledger: Ledger, caller: Caller, patient: str, record: str) -> bool:
    """Whether content for the record was staged by the caller, and no entry names it yet."""
    since = ledger.clock() - DAY_MS
    blobs = ledger.keys.staged_by(caller.account, patient, record, since)
    row = ledger.row(Record, record)
    named = {version.blob for version in row.versions} if row is not None else set()
    return not named.issuperset(blobs)


def _count(ledger: Ledger, caller: Caller, patient: str, codes: Sequence[str]) -> None:
    """Count codes against the limit; those that an entry of the caller's names are known, and free."""
    mine = [one for one in ledger.records_of(patient) if one.author == caller.account]
    known = {code for record in mine for code in record.labels}
    now = ledger.clock()

    def counted(before: bytes | None) -> bytes:
        given: dict[str, int] = orjson.loads(before) if before else {}
        open_ = {c: at for c, at in given.items() if now - at < HOUR_MS and c not in known}
        open_ = {code: now for code in codes if code not in known} | open_
        if len(open_) > LABELS_AN_HOUR:
            raise OverQuota(
                f"got {len(open_)} different labels of {patient} within an hour that no entry of yours names, "
                f"expected at most {LABELS_AN_HOUR}: append what you staged, or try again later"
            )
        return orjson.dumps(open_)

    secret = f"{caller.account} {patient}".encode()
    ledger.tokens.change("labels", secret, counted, now, now + HOUR_MS)
