"""Referrals: a hospital sends another one records of its own; that one accepts or declines, and takes them up sealed for itself."""

from typing import TYPE_CHECKING, Any

from crypto.encoding import b64decode, b64encode
from crypto.ids import ID_PATTERN
from ledger.codes import EVENT, HOSPITAL, PURPOSE, REFERRED_RECORDS, body
from ledger.directory import X_WING, Hospital, Key, Member
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.exports import export_root
from ledger.facts import Record
from ledger.links import REFERRALS_STANDING, Referral, ReferredVersion, travelling
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import HASH, KEY_ID, SEALED, Integer, List, Text
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_STAFF = ("doctor", "hospital_system")
_SYSTEM = "hospital_system"
LINE = Text(
    f"rc_{ID_PATTERN} [1-9][0-9]{{0,8}} bl_{ID_PATTERN}", 69, "a line `<record> <version> <blob>`"
)
"""A version that travels, as lists of exports are hashed."""


def _committed(lines: list[str]) -> tuple[int, bytes]:
    """What stands beside a list: count and root."""
    return len(lines), export_root([line.encode() for line in lines])


def check_receiving(key: str, hospital: str, time: int, look: Look) -> None:
    """A key that counts at `time` (Unix ms), of a system of an active hospital, to seal for; raises Refused."""
    row, at = look.get(Key, key), look.get(Hospital, hospital)
    member = None if row is None else look.get(Member, row.account, _SYSTEM, hospital)
    held = member is not None and member.holds(time) and at is not None and at.active
    counts = row is not None and row.active and row.algorithm == X_WING and row.counts_from <= time
    if not (held and counts):
        raise Refused("key", f"{key} is no active X-Wing key of a system of {hospital}: what is referred is sealed to one")  # fmt: skip


def _key_of(key: str, hospital: str) -> Wanted:
    """The key, and what makes its account a system of the hospital's."""
    return row_of_id(key, lambda row: row_named(Member, row.account, _SYSTEM, hospital))


def _well_sent(event: "Event", time: int, origin: str, look: Look) -> None:
    """To another hospital that has a key to seal for; count and root are those of the list."""
    said, to = event.body, event.body["to"]
    if to == event.hospital:
        raise Refused("malformed", f"got a referral of {to} to itself")
    if _committed(said["list"]) != (said["count"], b64decode(said["root"], 32)):
        raise Refused("malformed", "count and root are not those of the list")
    check_receiving(said["key"], to, time, look)
    standing = [
        one
        for one in look.group(Referral, event.subject, to)
        if one.sender == event.hospital and not one.declined
    ]
    if len(standing) >= REFERRALS_STANDING:
        raise Refused("conflict", f"{event.hospital} has {len(standing)} referrals of {event.subject} to {to} that stand")  # fmt: skip


def _own_records(event: "Event", policy: Policy, look: Look) -> None:
    """Each line is a version of a record that the sender wrote, and that may travel; raises Refused."""
    for line in event.body["list"]:
        one = ReferredVersion.of(line)
        if not one.stands(event.subject, event.hospital, look.get(Record, one.record)):
            raise Refused("unknown", f"{event.hospital} has no version {one.version} of {one.record} that it can refer: not its own, "
                          "retracted, erased, or hidden by the patient")  # fmt: skip


def _sending(event: "Event") -> list[Wanted]:
    to = event.body["to"]
    return [
        rows_in(Record, event.subject), rows_in(Referral, event.subject, to), row_named(Referral, event.id),
        row_named(Hospital, to), _key_of(event.body["key"], to),
    ]  # fmt: skip


def _sent(entry: "Entry", look: Look) -> list[Row]:
    event, said = entry.event, entry.event.body
    return [
        Referral(
            event.id, event.subject, said["to"], event.hospital, event.actor, said["key"], entry.link.seq,
            tuple(said["list"]),
        )
    ]  # fmt: skip


def _sent_example(sample: Sample) -> dict[str, Any]:
    line = f"{sample.id('rc')} 1 {sample.id('bl')}"
    count, root = _committed([line])
    return {
        "count": count, "key": sample.receiving()["key"], "list": [line], "purpose": "TREAT", "root": b64encode(root),
        "to": sample.id("hs", 2), "words": sample.sealed,
    }  # fmt: skip


REFERRAL_SENT = EventType(
    "referral.sent",
    "patient",
    _STAFF,
    body(
        count=Integer(1, REFERRED_RECORDS), key=KEY_ID, list=List(LINE, REFERRED_RECORDS, low=1, rising=True), purpose=PURPOSE,
        root=HASH, to=HOSPITAL, words=SEALED,
    ),
    since=CONSENT,
    action="refer",
    about="chart",
    gate_rule=_own_records,
    rule=_well_sent,
    fold=_sent,
    changes=(Referral,),
    wants=_sending,
    example=Example("doctor", _sent_example),
)  # fmt: skip


def _undeclined(event: "Event", time: int, origin: str, look: Look) -> None:
    found = look.get(Referral, event.body["referral"])
    if found is not None and found.declined:  # that it is there, the gate says
        raise Refused("conflict", f"{found.referral} was declined by entry {found.declined}")


def _unanswered(event: "Event", time: int, origin: str, look: Look) -> None:
    _undeclined(event, time, origin, look)
    found = look.get(Referral, event.body["referral"])
    if found is not None and found.accepted:
        raise Refused("conflict", f"{found.referral} was accepted already, by entry {found.accepted}")  # fmt: skip


def _answering(event: "Event") -> list[Wanted]:
    return [row_named(Referral, event.body["referral"])]


def _accepted(entry: "Entry", look: Look) -> list[Row]:
    found = look.get(Referral, entry.event.body["referral"])
    return [] if found is None else [found._replace(accepted=entry.link.seq)]


REFERRAL_ACCEPTED = EventType(
    "referral.accepted",
    "patient",
    _STAFF,
    body(purpose=PURPOSE, referral=EVENT),
    since=CONSENT,
    action="refer",
    about="chart",
    gate_rule=nothing,  # to whom it is, S6 decides
    rule=_unanswered,
    fold=_accepted,
    changes=(Referral,),
    wants=_answering,
    example=Example("doctor", lambda sample: {"purpose": "TREAT", "referral": sample.id("ev")}),
)


def _declined(entry: "Entry", look: Look) -> list[Row]:
    found = look.get(Referral, entry.event.body["referral"])
    return [] if found is None else [found._replace(declined=entry.link.seq)]


REFERRAL_DECLINED = EventType(
    "referral.declined",
    "patient",
    _STAFF,
    body(purpose=PURPOSE, referral=EVENT),
    since=CONSENT,
    action="refer",
    about="chart",
    gate_rule=nothing,  # to whom it is, S6 decides
    rule=_undeclined,
    fold=_declined,
    changes=(Referral,),
    wants=_answering,
    example=Example("doctor", lambda sample: {"purpose": "TREAT", "referral": sample.id("ev")}),
)


def _what_travels(event: "Event", policy: Policy, look: Look) -> None:
    """Count and root are those of what may still travel of the referral; that it opens, S6 said. Raises Refused."""
    found = look.get(Referral, event.body["referral"])
    if found is None:  # S6 permits no such taking up
        raise Refused("unknown", f"there is no referral {event.body['referral']}")
    lines = travelling(found, lambda record: look.get(Record, record))
    if _committed(lines) != (event.body["count"], b64decode(event.body["root"], 32)):
        raise Refused("malformed", f"count and root are not those of the {len(lines)} versions of {found.referral} that may still travel")  # fmt: skip


def _to_our_key(event: "Event", time: int, origin: str, look: Look) -> None:
    """Sealed to a key of the hospital that counts now, whichever counted when it was sent."""
    check_receiving(event.body["key"], event.hospital, time, look)


def _taking(event: "Event") -> list[Wanted]:
    return [
        row_named(Referral, event.body["referral"]), rows_in(Record, event.subject),
        _key_of(event.body["key"], event.hospital),
    ]  # fmt: skip


REFERRAL_TAKEN = EventType(
    "referral.taken",
    "patient",
    _STAFF,
    body(count=Integer(1, REFERRED_RECORDS), key=KEY_ID, purpose=PURPOSE, referral=EVENT, root=HASH),
    since=CONSENT,
    action="refer",
    about="chart",
    gate_rule=_what_travels,
    reading=True,
    rule=_to_our_key,
    fold=nothing,
    changes=(),
    wants=_taking,
    example=Example("hospital_system", lambda sample: {
        "count": 1, "key": sample.receiving()["key"], "purpose": "TREAT", "referral": sample.id("ev"), "root": sample.hash,
    }),
)  # fmt: skip
