"""What a doctor is shown with: specialty, languages, places with their hours. Kept by the doctor, or by an admin of theirs.

It is public to whoever is signed in, gives nobody a right, and no rule reads it: it stands outside the log, which would keep each
version for ever (docs/adr/0015-profiles.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from crypto.texts import is_printable
from identity.actors import Caller
from identity.strength import check_strong
from journeys.errors import Forbidden, NotThere, RecordsError
from journeys.names import staff_names
from journeys.quotas import HOUR_MS, Quota, take
from ledger.directory import Hospital, Member
from ledger.times import format_time
from storage.ledger import Ledger
from storage.profiles import KeptProfile

SPECIALTY_BYTES = 200
"""Longest specialty, and name of a place, in bytes of UTF-8."""
HOURS_BYTES = 500
"""Longest hours of one place, in bytes of UTF-8."""
LANGUAGES_SPOKEN = 20
"""Most languages in a profile."""
PLACES = 10
"""Most places in a profile."""
PROFILES_AN_HOUR = 60
"""Most profiles that one account writes within an hour."""
_WRITTEN = (Quota(PROFILES_AN_HOUR, HOUR_MS),)


@dataclass(frozen=True)
class Place:
    """Where somebody sees patients."""

    name: str
    """A practice, a ward, an address."""
    hours: str = ""
    """When, in words: `Mon, Wed 9–12`."""


@dataclass(frozen=True)
class Profile:
    """What is said of a doctor."""

    specialty: str = ""
    languages: tuple[str, ...] = ()
    """Codes of ISO 639-1, in the order that was given."""
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class ProfileShown:
    """A profile as it is shown; with nothing in it where none was written."""

    account: str
    name: str
    """As staff of a hospital; empty where that shows nobody's name."""
    specialty: str
    languages: tuple[str, ...]
    places: tuple[Place, ...]
    changed: str
    """When it was written last; empty where it never was. So is `author`."""
    author: str
    """The account that wrote it: the doctor's own, or an admin's."""


def own_profile(ledger: Ledger, caller: Caller) -> ProfileShown:
    """The caller's own profile, also while they are a doctor nowhere."""
    return _shown(ledger, caller.account)


def profile_of(ledger: Ledger, caller: Caller, account: str) -> ProfileShown:
    """The profile of whoever is an active doctor somewhere, for anybody signed in; raises NotThere.

    Names and hospitals of such a doctor are shown to the same (`people.hospitals`).
    """
    if not _where(ledger, account):
        raise NotThere(f"{account} is no active doctor of a hospital")
    return _shown(ledger, account)


def set_profile(ledger: Ledger, caller: Caller, said: Profile) -> ProfileShown:
    """Write the caller's own profile, whole; an empty one takes it away. For who is an active doctor, in any role.

    Raises NotThere, RecordsError, and as `check_strong`.
    """
    return set_profile_of(ledger, caller, caller.account, said)


def set_profile_of(ledger: Ledger, caller: Caller, account: str, said: Profile) -> ProfileShown:
    """Write a doctor's profile, as themselves or as an admin of a hospital where they are active.

    Raises Forbidden, NotThere, RecordsError, OverQuota, and as `check_strong`.
    """
    where = _where(ledger, account)
    own = account == caller.account
    if not own and (caller.role != "hospital_admin" or caller.hospital not in where):
        raise Forbidden(
            f"the profile of {account} is written by themselves, and by admins of a hospital where they are an active doctor"
        )
    if own and not where and said != Profile():
        raise NotThere(f"{account} is no active doctor of a hospital; who is has a profile")
    check_strong(ledger, caller)
    check_profile(said)
    take(ledger, "profiles", caller.account, 1, _WRITTEN, "profiles written")
    if said == Profile():
        ledger.profiles.remove(account)
    else:
        ledger.profiles.keep(account, KeptProfile(asdict(said), ledger.clock(), caller.account))
    return _shown(ledger, account)


def check_profile(said: Profile) -> None:
    """Raises RecordsError for what doesn't show as what it is, for languages that are no codes, and for what is too long."""
    _check_text("specialty", said.specialty, SPECIALTY_BYTES, needed=False)
    if len(said.languages) > LANGUAGES_SPOKEN or len(set(said.languages)) < len(said.languages):
        raise RecordsError(f"languages: expected at most {LANGUAGES_SPOKEN}, none twice")
    for one in said.languages:
        if not (len(one) == 2 and one.isascii() and one.isalpha() and one.islower()):
            raise RecordsError("languages: expected codes of two small letters (ISO 639-1), as de")
    if len(said.places) > PLACES:
        raise RecordsError(f"places: got {len(said.places)}, expected at most {PLACES}")
    for place in said.places:
        _check_text("place", place.name, SPECIALTY_BYTES, needed=True)
        _check_text("hours", place.hours, HOURS_BYTES, needed=False)


def _check_text(what: str, text: str, most: int, needed: bool) -> None:
    """As a hospital's public name is checked: whoever reads it sees what stands there."""
    if not is_printable(text):
        raise RecordsError(
            f"{what}: got a text with control characters, marks that turn the direction of writing, or noncharacters"
        )
    if len(text.encode()) > most or text != text.strip() or (needed and not text):
        raise RecordsError(
            f"{what}: expected {'1' if needed else 'at most'} {'to ' if needed else ''}{most} bytes of UTF-8, without space around it"
        )


def _where(ledger: Ledger, account: str) -> Sequence[str]:
    """The hospitals that act, and where an account is an active doctor now."""
    now = ledger.clock()
    held = [
        member.hospital
        for member in ledger.rows(Member, "account", account)
        if member.role == "doctor" and member.holds(now)
    ]
    rows = [ledger.row(Hospital, hospital) for hospital in held]
    return [row.hospital for row in rows if row is not None and row.active]


def _shown(ledger: Ledger, account: str) -> ProfileShown:
    kept = ledger.profiles.of(account)
    said = _read(kept) if kept else Profile()
    return ProfileShown(
        account,
        staff_names(ledger, [account]).get(account, ""),
        said.specialty,
        said.languages,
        said.places,
        format_time(kept.changed) if kept else "",
        kept.author if kept else "",
    )


def _read(kept: KeptProfile) -> Profile:
    said = kept.said
    places = tuple(Place(**one) for one in said["places"])
    return Profile(said["specialty"], tuple(said["languages"]), places)
