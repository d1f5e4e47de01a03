"""Quotas: how much somebody to whom nobody gave a role may add to the log, which keeps all of it for ever."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from crypto.texts import counted
from identity.actors import Caller
from journeys.errors import OverQuota
from ledger.directory import Key, Patient
from ledger.errors import Refused
from ledger.relations import KINDS, Relation
from ledger.sequencer import Proposal
from ledger.times import DAY_MS
from storage.ledger import Ledger

HOUR_MS = 3_600_000
PERSON_EVENTS_AN_HOUR = 60
"""Most events that one account tries to append over HTTP in the role person within an hour: applications, own keys."""
PERSON_EVENTS_A_DAY = 200
"""The same within a day."""
ALONE_EVENTS_AN_HOUR = 300
"""Most events that are tried over HTTP within an hour as the patient of a chart that no hospital registered."""
ALONE_EVENTS_A_DAY = 2_000
"""The same within a day."""
ALONE_BYTES_A_DAY = 2 * 1024**3
"""Most bytes that are uploaded over HTTP to such a chart by its patient within a day."""
KEYS_AN_ACCOUNT = 32
"""Most keys of one account that count at a time; before one more, another is revoked."""


class Quota(NamedTuple):
    """At most `most` within `span` ms, from the first one on."""

    most: int
    span: int


ALONE_EVENTS = (Quota(ALONE_EVENTS_AN_HOUR, HOUR_MS), Quota(ALONE_EVENTS_A_DAY, DAY_MS))
ALONE_BYTES = Quota(ALONE_BYTES_A_DAY, DAY_MS)
_UPLOADED = "alone bytes"
CHARTS_KNOWN = 100_000
"""Charts that a process remembers hospitals to have registered, which stays so: their patients' events are asked about once."""
_OF_HOSPITALS = set[str]()
PERSON_EVENTS = (Quota(PERSON_EVENTS_AN_HOUR, HOUR_MS), Quota(PERSON_EVENTS_A_DAY, DAY_MS))


def take(
    ledger: Ledger, kind: str, name: str, count: int, quotas: Sequence[Quota], what: str
) -> None:
    """Count `count` more under a name of a kind; raises OverQuota, and counts nothing then. `what`: for the words."""
    now = ledger.clock()

    def added(before: bytes | None) -> bytes:
        kept = orjson.loads(before) if before else [[0, 0]] * len(quotas)
        after = []
        for (taken, end), quota in zip(kept, quotas, strict=True):
            taken, end = (taken, end) if now < end else (0, now + quota.span)
            if taken + count > quota.most:
                days = quota.span > DAY_MS
                span = f"{quota.span // DAY_MS} days" if days else f"{quota.span // HOUR_MS} h"
                left = end - now
                wait = (
                    counted(left // DAY_MS + 1, "day")
                    if left > DAY_MS
                    else f"{left // 60_000 + 1} minutes"
                )
                raise OverQuota(
                    f"got {taken + count:,} {what} within {span}, expected at most {quota.most:,}: try again in {wait}"
                )
            after.append((taken + count, end))
        return orjson.dumps(after)

    longest = max(quota.span for quota in quotas)
    ledger.tokens.change(kind, name.encode(), added, now, now + longest)


def is_limited(proposal: Proposal) -> bool:
    """Whether an event is to be asked about here."""
    event = proposal.event
    if event.role in _FOR_PATIENTS and event.subject not in _OF_HOSPITALS:
        return True
    return event.role == "person" or event.type.name == "key.registered"


def check_persons(ledger: Ledger, proposals: Sequence[Proposal]) -> None:
    """Count what mere persons are about to append, by the keys that signed it; raises OverQuota, and counts nothing of
    whoever is over it.

    Every try counts, of whoever holds the key: whose key it isn't only loses their own.
    """
    persons = [one for one in proposals if one.event.role == "person"]
    keys = Counter(one.sig.key for one in persons)
    accounts = Counter[str]()
    for key, count in keys.items():
        row = ledger.row(Key, key)
        accounts[row.account if row else key] += count
    for account, count in accounts.items():
        take(ledger, "person events", account, count, PERSON_EVENTS, "events as a person")


def check_alone(ledger: Ledger, proposals: Sequence[Proposal]) -> None:
    """Count what patients whom no hospital registered are about to append, by their charts; raises OverQuota.

    Anybody gets such a chart by themselves, and relatives for it. A try counts whoever signed it as that patient, or as a
    relative of theirs, with a key that is theirs.
    """
    charts = Counter[str]()
    for one in (one for one in proposals if one.event.role in _FOR_PATIENTS):
        chart = one.event.subject
        row = ledger.row(Patient, chart) if chart else None
        if row is None:
            continue
        if row.hospital:
            _remember(chart)
            continue
        key = ledger.row(Key, one.sig.key)
        if key is not None and _acts(ledger, row, key.account, one.event.role):
            charts[chart] += 1
    for chart, count in charts.items():
        take(ledger, "alone events", chart, count, ALONE_EVENTS, "events on a chart of one's own")


_FOR_PATIENTS = frozenset({"patient", "relative"})


def _acts(ledger: Ledger, patient: Patient, account: str, role: str) -> bool:
    """Whether an account is the patient, or is linked to them."""
    if role == "patient":
        return patient.is_of(account)
    related = (ledger.row(Relation, patient.patient, account, kind) for kind in KINDS)
    return any(one is not None and one.active for one in related)


def _remember(chart: str) -> None:
    if len(_OF_HOSPITALS) >= CHARTS_KNOWN:
        _OF_HOSPITALS.clear()
    _OF_HOSPITALS.add(chart)


def room_for_upload(ledger: Ledger, caller: Caller, patient: str) -> int | None:
    """How many bytes a caller may still upload to a chart that they opened alone; None where it is no matter of this."""
    row = ledger.row(Patient, patient)
    if caller.role not in _FOR_PATIENTS or row is None or row.hospital:
        return None
    now = ledger.clock()
    kept = ledger.tokens.get(_UPLOADED, patient.encode(), now)
    (taken, end), *_ = orjson.loads(kept) if kept else [[0, 0]]
    room = ALONE_BYTES.most - (taken if now < end else 0)
    if room <= 0:
        raise OverQuota(
            f"got more than {ALONE_BYTES.most:,} bytes uploaded within 24 h to a chart that was opened without a "
            f"hospital: try again in {(end - now) // 60_000 + 1} minutes"
        )
    return room


def count_upload(ledger: Ledger, patient: str, size: int) -> None:
    """Count the bytes of an upload that `room_for_upload` let in; several at once may go beyond it together."""
    now, most = ledger.clock(), ALONE_BYTES.most

    def counted(before: bytes | None) -> bytes:
        (taken, end), *_ = orjson.loads(before) if before else [[0, 0]]
        taken, end = (taken, end) if now < end else (0, now + ALONE_BYTES.span)
        return orjson.dumps([[min(taken + size, most), end]])

    ledger.tokens.change(_UPLOADED, patient.encode(), counted, now, now + ALONE_BYTES.span)


def check_keys(ledger: Ledger, proposals: Sequence[Proposal]) -> None:
    """Raises Refused where an account would get more keys than KEYS_AN_ACCOUNT, or one that is called kept and isn't."""
    new = [
        one.event.body
        for one in proposals
        if one.event.type.name == "key.registered"
        and ledger.row(Key, one.event.body["key"]) is None  # or it stands, and is sent again
    ]
    for body in new:
        if body["custody"] == "service":
            kept_keys = ledger.credentials.kept_keys
            if kept_keys.keeps(body["account"]):
                raise Refused(
                    "conflict", "the service keeps a key of the account already; it can be rotated"
                )
            waiting = kept_keys.of(body["account"])
            if body["key"] not in {one.key for one in waiting}:
                raise Refused(
                    "key",
                    f"got the custody service of {body['key']}, which the service doesn't keep: let it make one first",
                )
    added = Counter(body["account"] for body in new)
    for account, count in added.items():
        held = sum(key.active for key in ledger.rows(Key, "account", account))
        if held + count > KEYS_AN_ACCOUNT:
            raise Refused(
                "conflict",
                f"got {count} more for the {held} keys of {account} that count, expected at most {KEYS_AN_ACCOUNT}: "
                "revoke one first",
            )
