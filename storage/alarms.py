"""What the key keeper found that the rules don't give goes into the log as `alarm.raised`, each once, for all to see.

Which are there already is read in the log's stream `ledger`; the append expects that stream as it was read. So a restart, an
outcome that stayed unknown, and several processes that find the same alarm end with one entry.
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from keeper.alarms import every_alarm
from keeper.protocol import Alarm
from ledger.editions import edition_of
from ledger.entry import Entry
from ledger.errors import EventError, LedgerError, Refused
from ledger.remarks import raised_of
from ledger.sequencer import Appended, Outcome
from ledger.types import REGISTRY
from storage.ledger import Ledger

KIND = REGISTRY["alarm.raised", 1]
AT_ONCE = 100
"""Most alarms appended in one batch."""
ATTEMPTS = 5
"""How often the stream is read again because somebody else appended to it; after that, the next round tries again."""

_LOG = logging.getLogger(__name__)


class Said(NamedTuple):
    """What an `alarm.raised` says: of which entry, what is wrong, and whether the keeper took it. None is said twice."""

    entry: int
    wrong: str
    taken: bool


class Alarms:
    """The alarms of one ledger that are in its log, as far as its stream `ledger` was read. For one thread."""

    def __init__(self, ledger: Ledger) -> None:
        """Nothing is read yet."""
        self._ledger = ledger
        self._forget()

    def entries(self) -> Mapping[Said, int]:
        """The numbers of the entries that say them, as of now."""
        self._look()
        return self._there

    def put(self) -> int:
        """Put the keeper's alarms into the log that it doesn't have; gives how many were put.

        Raises StorageError where nothing can be appended, or the keeper can't be asked, and LedgerError for what the log
        refuses. Calling it again is safe, whatever came of it.
        """
        found, put = list(every_alarm(self._ledger.keeper)), 0
        if not found or not self._takes():
            return 0
        for _ in range(ATTEMPTS):
            self._look()
            missing = [said for said in dict.fromkeys(map(_said, found)) if self._is_due(said)]
            if not missing:
                break
            put += self._append(missing[:AT_ONCE])
        return put

    def _takes(self) -> bool:
        """Whether the log's edition of the registry has alarms."""
        edition = edition_of(self._ledger.head().registry) or 0
        if edition < KIND.since:
            _LOG.warning(
                "the log takes no alarms: they are in the key keeper alone",
                extra={"edition": edition, "expected": KIND.since, "remedy": "heartwood upgrade"},
            )
        return edition >= KIND.since

    def _forget(self) -> None:
        self._below = self._length = 0
        self._there: dict[Said, int] = {}

    def _look(self) -> None:
        """Read what the stream has by now, each entry once."""
        ledger = self._ledger
        below = ledger.head().size
        with ledger.database.read() as connection:
            raws = ledger.store.stream(connection, KIND.stream, below, self._below)
        for raised in filter(None, map(raised_of, raws)):
            self._there.setdefault(Said(raised.entry, raised.wrong, raised.taken), raised.seq)
        self._below, self._length = below, self._length + len(raws)

    def _is_due(self, said: Said) -> bool:
        """Whether it is to be put there: none about an alarm that was taken, or they might never end.

        Of what was refused the keeper reads no further, so its alarms end by themselves.
        """
        return said not in self._there and not (said.taken and self._is_alarm(said.entry))

    def _is_alarm(self, seq: int) -> bool:
        """Whether an entry of the log is itself an alarm."""
        if seq >= self._below:
            return False
        with self._ledger.database.read() as connection:
            raw = self._ledger.store.entry(connection, seq)
        try:
            return Entry.parse(raw).event.type is KIND
        except EventError:
            return False

    def _append(self, missing: list[Said]) -> int:
        """Append them, all or none; gives how many, 0 where the stream has grown meanwhile."""
        proposals = [
            self._ledger.log.by_service(KIND, KIND.stream, said._asdict(), self._length + number)
            for number, said in enumerate(missing)
        ]
        outcomes = self._ledger.submit(proposals, atomic=True).result().outcomes
        if all(isinstance(outcome, Appended) for outcome in outcomes):
            _LOG.error("alarms were put into the log", extra={"alarms": len(missing)})
            return len(missing)
        self._check(outcomes)
        self._forget()  # the log may be another than it was read, too
        return 0

    def _check(self, outcomes: list[Outcome]) -> None:
        """Raises what was refused for another reason than that the stream has grown."""
        for outcome in outcomes:
            if not isinstance(outcome, Refused):
                continue
            if outcome.code not in ("atomic", "conflict"):
                raise LedgerError(f"the log refused an alarm: {outcome}") from outcome


def _said(alarm: Alarm) -> Said:
    return Said(alarm.seq, alarm.wrong, alarm.taken)
