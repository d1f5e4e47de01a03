"""The errors of this package; each message says what was got and what was expected."""


class LedgerError(ValueError):
    """Root of every error that this package raises on purpose."""


class EventError(LedgerError):
    """Bytes that are no event, bundle or entry of these formats."""


class ProofError(LedgerError):
    """An inclusion path, consistency proof or receipt that does not prove what it says."""


class Tampered(LedgerError):
    """A log that does not stand; the message begins with the place."""


class Refused(LedgerError):
    """A proposal the log does not take; `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        """`code`: one of the problem types of docs/formats.md."""
        super().__init__(message)
        self.code = code
