"""S11: a care link lets doctors of a hospital see what it is about, where the policy says so. Pure."""

from collections.abc import Iterable

from ledger.facts import Record
from ledger.links import Consultation, Referral

BASIC = "basic"
"""The policy's `care_link` under which links count."""
LINKED_ACTIONS = frozenset({"list", "read"})


def linked(
    links: Iterable[Consultation],
    referrals: Iterable[Referral],
    patient: str,
    hospital: str,
    record: Record | None,
    now: int,
) -> int:
    """The link that shows a record to the doctors of a hospital at `now` (Unix ms), the oldest by its entry; 0 if none does.

    A consultation's entry is that which opened it, a referral's that which accepted it. Nothing that is hidden, restricted, sensitive or labelled.
    """
    if record is None or record.hidden or record.confidentiality != "normal":
        return 0
    if record.sensitive or record.labels or not hospital:
        return 0
    found = [
        one.seq
        for one in links
        if (one.patient, one.hospital) == (patient, hospital)
        and one.confirmed
        and one.stands(now)
        and record.category in one.categories
    ]
    found += [
        one.accepted
        for one in referrals
        if (one.patient, one.receiver) == (patient, hospital)
        and one.opens
        and one.sender == record.hospital
        and one.lists(record.record)
    ]
    return min(found, default=0)
