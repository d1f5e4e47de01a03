"""Inquiries: doctors, relatives and hospitals ask somebody of whom they know a number or have a health card.

Nothing tells the asker whether there is such a person: see `storage.inquiries`. An inquiry opens nothing. Whom it reaches gives
access as to anybody (`access.granted`), which stands in the log, or lets it lapse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.errors import FormError
from crypto.ids import is_id
from identity.actors import Caller, new_id
from identity.sessions import active_role
from identity.strength import check_two_factors
from journeys.errors import Forbidden, NotThere, RecordsError
from journeys.names import staff_names
from journeys.quotas import HOUR_MS, Quota, take
from journeys.sealing import check_texts
from ledger.codes import CATEGORIES
from ledger.directory import Member, Patient
from ledger.relations import Relation
from ledger.times import DAY_MS, format_time
from records.requests import grants_for, keeps_out
from storage.inquiries import KeptInquiry
from storage.ledger import Ledger
from storage.numbers import normal_number

INQUIRY_LASTS_MS = 30 * DAY_MS
"""How long an inquiry counts, as a request for access does."""
INQUIRIES_AN_HOUR = 10
"""Inquiries that one account makes within an hour."""
INQUIRIES_A_DAY = 30
"""The same within a day."""
INQUIRIES_LISTED = 200
"""Most inquiries of one list, the newest."""
INQUIRING_ROLES = frozenset({"doctor", "hospital_admin", "relative"})
"""Who may make one: doctors, a hospital by its admins, and relatives whom somebody linked."""
_QUOTAS = (Quota(INQUIRIES_AN_HOUR, HOUR_MS), Quota(INQUIRIES_A_DAY, DAY_MS))


@dataclass(frozen=True)
class Inquired:
    """What every inquiry is answered, whether or not it reaches anybody."""

    until: str
    """Until when it counts."""


@dataclass(frozen=True)
class Inquiry:
    """An inquiry, for whom it reached."""

    inquiry: str
    asker: str
    role: str
    hospital: str
    """For which the asker acts; empty for relatives."""
    name: str
    """Of a hospital's people."""
    words: str
    days: int
    """For how many days access is asked for."""
    categories: tuple[str, ...]
    """To what; empty: the whole chart."""
    until: str


@dataclass(frozen=True)
class Inquiries:
    """Inquiries that count, the newest first."""

    inquiries: tuple[Inquiry, ...]


def inquire(
    ledger: Ledger, caller: Caller, to: str, words: str, days: int, categories: Sequence[str] = ()
) -> Inquired:
    """Ask whoever stated the number `to`, or has the chart of that id, which a health card holds, for access.

    Raises Forbidden, SecondFactorNeeded, FormError for what is neither, RecordsError, OverQuota: each by what was sent and who
    sends it alone. Nobody is looked for here.
    """
    check_two_factors(caller, "who asks for access")
    if caller.role not in INQUIRING_ROLES or not _may_ask(ledger, caller):
        raise Forbidden("doctors and administrators of a hospital ask, and relatives")
    digest = _digest(ledger, to)
    check_texts({"words": words})
    if not words.strip():
        raise RecordsError("got no words: say who you are and why you ask")
    if not 1 <= days <= ledger.policy.grant_days_max:
        raise RecordsError(f"got {days} days, expected 1 to {ledger.policy.grant_days_max}")
    if unknown := sorted(set(categories) - set(CATEGORIES)):
        raise RecordsError(f"got {unknown[0][:40]!r}, expected categories of records")
    take(ledger, "inquiries", caller.account, 1, _QUOTAS, "inquiries of one account")
    now = ledger.clock()
    said = {"categories": sorted(set(categories)), "days": days, "words": words}
    one = KeptInquiry(
        new_id("ev", now), caller.account, caller.role, caller.hospital, said, now, now + INQUIRY_LASTS_MS
    )  # fmt: skip
    ledger.inquiries.put(digest, one)
    return Inquired(format_time(one.until))


def inquiries_of(ledger: Ledger, caller: Caller, patient: str) -> Inquiries:
    """Who asks whoever has this chart, or stated its number; one's own chart, or that of somebody for whom one may grant.

    Who is kept out, or isn't in that role any more, troubles nobody. Raises NotThere for others' charts, SecondFactorNeeded.
    """
    kept = _reaching(ledger, caller, patient)[:INQUIRIES_LISTED]
    names = staff_names(ledger, sorted({one.asker for one in kept if one.hospital}))
    return Inquiries(
        tuple(
            Inquiry(
                one.inquiry, one.asker, one.role, one.hospital, names.get(one.asker, ""), one.said["words"],
                one.said["days"], tuple(one.said["categories"]), format_time(one.until),
            )
            for one in kept
        )
    )  # fmt: skip


def dismiss_inquiry(ledger: Ledger, caller: Caller, patient: str, inquiry: str) -> None:
    """Be troubled with an inquiry no more; the asker isn't told. Raises NotThere, SecondFactorNeeded."""
    if inquiry not in {one.inquiry for one in _reaching(ledger, caller, patient)}:
        raise NotThere(f"there is no inquiry {inquiry} to {patient}")
    ledger.inquiries.remove(addressed(ledger, patient), inquiry)


def addressed(ledger: Ledger, patient: str) -> list[bytes]:
    """The hashes by which an inquiry reaches a patient: of the card, and of the number if it is theirs alone."""
    number = ledger.numbers.own(patient)
    return [ledger.inquiries.card(patient), *([number] if number else [])]


def _reaching(ledger: Ledger, caller: Caller, patient: str) -> list[KeptInquiry]:
    row = ledger.row(Patient, patient)
    if row is None or not (row.is_of(caller.account) or grants_for(ledger, caller, row)):
        raise NotThere(f"{patient} is not your chart")
    check_two_factors(caller, "who asks a patient for access")
    found = ledger.inquiries.to(addressed(ledger, patient), ledger.clock())
    return [
        one
        for one in found
        if not keeps_out(ledger, patient, one.asker, one.hospital)
        and _may_ask(ledger, Caller(one.asker, one.role, one.hospital, None))
    ]


def _digest(ledger: Ledger, to: str) -> bytes:
    if to.startswith("pt_"):
        if not is_id("pt", to):
            raise FormError(
                "got what begins as a patient's id and is none, expected the whole of it"
            )
        return ledger.inquiries.card(to)
    return ledger.numbers.hash(normal_number(to))


def _may_ask(ledger: Ledger, asker: Caller) -> bool:
    """Whether they are in that role now, with a profession that may ask; a relative of anybody's is one."""
    if asker.role == "relative":
        return any(one.active for one in ledger.rows(Relation, "account", asker.account))
    if not active_role(ledger, asker, max(ledger.clock(), ledger.head().time)):
        return False
    if asker.role != "doctor":
        return True
    row = ledger.row(Member, asker.account, asker.role, asker.hospital)
    return row is not None and ledger.policy.lets(row.profession, "request_access")
