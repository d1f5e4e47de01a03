"""How many refusals an hour are written: of one actor on one patient, and of one key. Pure.

The sequencer asks its rows, a verifier counts the entries; both by the entries' own times.
"""

from collections import defaultdict, deque
from typing import NamedTuple

from ledger.rows import row_type

HOUR_MS = 3_600_000
REFUSALS_A_KEY = 100
"""Most refusals within an hour that one key's attempts leave in the log, on however many charts."""


@row_type("refusals", key=2)
class Refusals(NamedTuple):
    """The refusals within the last hour (Unix ms), and how many were not written since the last one was.

    Of an actor on a patient; or of a key: then `actor` is the key's id, and `patient` is empty.
    """

    patient: str
    actor: str
    times: tuple[int, ...]
    skipped: int

    def at(self, time: int) -> "Refusals":
        """The same, without the times that are an hour ago at `time`."""
        return self._replace(times=tuple(t for t in self.times if t > time - HOUR_MS))


class RefusalCounter:
    """Counts refusals as a verifier meets them, in order."""

    def __init__(self) -> None:
        """None so far."""
        self._times: dict[tuple[str, str], deque[int]] = defaultdict(deque)

    def take(self, patient: str, actor: str, key: str, time: int, limit: int) -> str:
        """Count a refusal at `time` (Unix ms); gives what there are too many of, or the empty text.

        `limit`: the policy's, for one actor on one patient.
        """
        for name, most in (((patient, actor), limit), (("", key), REFUSALS_A_KEY)):
            times = self._times[name]
            while times and times[0] <= time - HOUR_MS:
                times.popleft()
            times.append(time)
            if len(times) > most:
                return f"{len(times)} refusals of {name[1]} within an hour, and {most} are written"
        return ""
