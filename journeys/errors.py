"""The errors of this package; each message says what was got and what was expected."""

from typing import Any

from consent.decide import told
from consent.explain import WORDS
from consent.rules import named


class RecordsError(Exception):
    """Root of every error that this package raises on purpose."""


class NotThere(RecordsError):
    """What was asked for isn't there, or not for whoever asks."""


class Forbidden(RecordsError):
    """What the caller's role may not ask for."""


class OverQuota(RecordsError):
    """More was asked for within an hour than one actor gets."""


class NotClaimed(RecordsError):
    """A claim that was not accepted; which of chart, code and birth date was wrong is told nobody."""


class TooManyTries(RecordsError):
    """Too many claims failed; the message says when to come back."""


class AlreadyUsed(RecordsError):
    """A reading that stands in the log already: its receipt can be had, its content never again."""

    def __init__(self, seq: int, receipt: bytes = b"") -> None:
        """`seq`: the entry of the first time; `receipt`: its receipt, where it is given again."""
        super().__init__(
            f"this reading is entry {seq} already; content is given once. Sign a new one."
        )
        self.seq, self.receipt = seq, receipt


class AccessDenied(RecordsError):
    """The rules denied it; of a reading the refusal stands in the log as `seq`."""

    def __init__(
        self, decision: dict[str, Any], seq: int | None, purpose: str = "", action: str = ""
    ) -> None:
        """`decision` as the log has it; the asker is told no more than `told` lets through."""
        known = told(decision, purpose, action)
        where = "" if seq is None else f"; the refusal is entry {seq}"
        super().__init__(f"denied by {named(known['rule'])}: {WORDS[known['reason']]}{where}")
        self.rule, self.reason, self.seq = known["rule"], known["reason"], seq
