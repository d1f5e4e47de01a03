"""What rules of several types check alike; each raises Refused."""

from typing import TYPE_CHECKING

from ledger.directory import Account, Hospital, Member, was_approved
from ledger.errors import Refused
from ledger.rows import Look, kind_of_id
from ledger.times import parse_time

if TYPE_CHECKING:
    from ledger.event import Event


def own_stream(event: "Event", member: str) -> None:
    """The body names whose stream it is."""
    if event.body[member] != event.subject:
        raise Refused("stream", f"got {event.body[member]} in the stream {event.stream}")


def own_hospital(event: "Event", time: int, origin: str, look: Look) -> None:
    """An admin acts in the stream of their own hospital."""
    if event.hospital != event.subject:
        raise Refused("stream", f"got {event.stream} from an admin of {event.hospital}")


def known_account(event: "Event", look: Look) -> Account:
    """The account that the body names is registered."""
    account = look.get(Account, event.body["account"])
    if account is None:
        raise Refused(
            "unknown", f"got the account {event.body['account']}, which no entry registered"
        )
    return account


def known_reader(reader: str, look: Look) -> None:
    """A person, a group or a hospital that an entry registered; of hospitals that applied, one that was approved."""
    kind = kind_of_id(reader)
    row: object = None if kind is None else look.get(kind, reader)
    if row is None or (isinstance(row, Hospital) and not was_approved(row, look)):
        raise Refused("unknown", f"got {reader}, which no entry registered")


def active_member(
    event: "Event", role: str, hospital: str, look: Look, time: int | None = None
) -> None:
    """The account that the body names holds the role there: at `time` (Unix ms), or unless it was ended."""
    member = look.get(Member, event.body["account"], role, hospital)
    if member is None or not member.active or (time is not None and not member.holds(time)):
        raise Refused("unknown", f"got {event.body['account']}, who is not an active {role} here")


def rising(event: "Event", first: str, second: str) -> None:
    """Two times of the body, in this order."""
    if parse_time(event.body[first]) >= parse_time(event.body[second]):
        raise Refused("malformed", f"{event.type.name}: expected {first} before {second}")
