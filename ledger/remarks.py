"""What a report tells beside good and wrong: losses and alarms that the log declares, and times that can't be yet."""

from dataclasses import dataclass

from crypto.texts import counted
from ledger.codes import WRONGS
from ledger.entry import Entry
from ledger.times import format_time, parse_time

FUTURE_MS = 300_000
"""How far the last entry may lie ahead of the verifier's clock, in milliseconds: the clocks are two."""
_MARK = b'"type":"ledger.restored"'
_ALARM = b'"type":"alarm.raised"'


@dataclass(frozen=True)
class Restored:
    """A `ledger.restored`: the log went on from `size` entries, of which `last_size` had been known."""

    seq: int
    time: str
    size: int
    last_size: int

    @classmethod
    def of(cls, entry: Entry) -> "Restored":
        """What a `ledger.restored` says."""
        body = entry.event.body
        return cls(entry.link.seq, format_time(entry.time), body["size"], body["last_size"])

    @property
    def lost(self) -> int:
        """How many entries were acknowledged and are not in this log."""
        return max(0, self.last_size - self.size)

    def __str__(self) -> str:
        """As reports say it."""
        what = f"entry {self.seq} of {self.time} says that the log was restored to {counted(self.size, 'entry')}"
        if not self.lost:
            return f"{what}; no acknowledged entry is known to be lost"
        numbers = f"{self.size}" if self.lost == 1 else f"{self.size} to {self.last_size - 1}"
        return (
            f"{what} of {self.last_size} that were acknowledged. In doubt: what stood as {numbers} is lost, "
            "also a revocation or an exclusion; a receipt of it may exist and does not hold here"
        )


def restored_of(raw: bytes) -> Restored | None:
    """What the entry of these stored bytes says of a restore; None of nearly all. Raises EventError."""
    if _MARK not in raw:
        return None
    entry = Entry.parse(raw)
    return Restored.of(entry) if entry.event.type.name == "ledger.restored" else None


@dataclass(frozen=True)
class Raised:
    """An `alarm.raised`: what the key keeper found wrong with entry `entry`."""

    seq: int
    time: str
    entry: int
    wrong: str
    """One of `WRONGS`."""
    taken: bool
    """Whether that entry stands in the log that the keeper reads; or else it was given to be read, and refused."""

    @classmethod
    def of(cls, entry: Entry) -> "Raised":
        """What an `alarm.raised` says."""
        body, time = entry.event.body, format_time(entry.time)
        return cls(entry.link.seq, time, body["entry"], body["wrong"], body["taken"])

    def __str__(self) -> str:
        """As reports say it."""
        where = (
            ""
            if self.taken
            else ". The keeper was given it to read and refused; it need not be the entry of this number here"
        )
        return f"entry {self.seq} of {self.time}: the key keeper says of entry {self.entry}: {WRONGS[self.wrong]}{where}"


def raised_of(raw: bytes) -> Raised | None:
    """What the entry of these stored bytes says of an alarm; None of nearly all. Raises EventError."""
    if _ALARM not in raw:
        return None
    entry = Entry.parse(raw)
    return Raised.of(entry) if entry.event.type.name == "alarm.raised" else None


def future_warning(last: int, now: int) -> list[str]:
    """A warning if the last entry's time (Unix ms) lies after `now`, the verifier's clock."""
    if last <= now + FUTURE_MS:
        return []
    return [
        f"the last entry's time, {format_time(last)}, lies in the future: it is {format_time(now)} by the "
        "clock here, or by --now"
    ]


def parse_now(text: str) -> int:
    """Unix ms of a time as logs have it, also without its milliseconds; raises EventError."""
    whole = text.removesuffix("Z")
    return parse_time(text if "." in whole else f"{whole}.000Z")
