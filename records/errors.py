"""The errors of this room; each message says what was got and what was expected."""

from typing import Any


class RecordsError(Exception):
    """Root of every error that this room raises on purpose."""


class NotThere(RecordsError):
    """What was asked for isn't there, or not for whoever asks."""


class AlreadyUsed(RecordsError):
    """A reading that stands in the log already: its receipt can be had, its content never again."""

    def __init__(self, seq: int) -> None:
        """`seq`: the entry of the first time."""
        super().__init__(
            f"this reading is entry {seq} already; content is given once. Sign a new one."
        )
        self.seq = seq


class AccessDenied(RecordsError):
    """The rules denied it; of a reading the refusal stands in the log as `seq`."""

    def __init__(self, decision: dict[str, Any], seq: int | None) -> None:
        """`decision` as the log has it."""
        where = "" if seq is None else f"; the refusal is entry {seq}"
        super().__init__(f"denied by {decision['rule']}: {WORDS[decision['reason']]}{where}")
        self.rule, self.reason, self.seq = decision["rule"], decision["reason"], seq


WORDS = {
    "invalid": "the actor is not active in this role, or the patient is unknown",
    "role": "this role may not do that on a patient",
    "gone": "the record was erased",
    "retracted": "the record was retracted by those who wrote it",
    "deceased": "nothing new can be granted in the name of the dead",
    "step_up": "this needs a stronger sign-in, or a key of one's own",
    "emergency_needed": "no emergency is declared; declare one first",
    "no_consent": "the patient has given no consent that covers this",
}
"""What each reason means, for people."""
