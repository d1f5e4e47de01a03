"""What an alarm of the keeper calls an entry: a code of a closed list, for the log, and words, for people."""

from collections.abc import Iterator

from crypto.errors import CryptoError
from keeper.protocol import Alarm, Keeper
from ledger.errors import EventError, LedgerError, Refused

_SIGNERS = frozenset({"key", "role"})
"""The codes of refusals that are about who signed."""


class Misfit(LedgerError):
    """An entry that is not what the rules give; `code` is one of `ledger.codes.WRONGS`."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is for the log, the message for people."""
        super().__init__(message)
        self.code = code


def every_alarm(keeper: Keeper) -> Iterator[Alarm]:
    """All alarms that a keeper has, in the log's order, page by page."""
    since = 0
    while page := keeper.alarms(since):
        yield from page
        since = page[-1].seq + 1


def alarm_about(seq: int, error: Exception, taken: bool = True) -> Alarm:
    """The alarm about entry `seq`, which can't stand for what `error` says."""
    return Alarm(seq, _code(error), str(error), taken)


def _code(error: Exception) -> str:
    if isinstance(error, Misfit):
        return error.code
    if isinstance(error, EventError):
        return "form"
    if isinstance(error, CryptoError):
        return "signature"
    return "signer" if isinstance(error, Refused) and error.code in _SIGNERS else "rules"
