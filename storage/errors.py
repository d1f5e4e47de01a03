"""The errors of this package, under the root of all that writes to a disk; each says what was got and what was expected."""

from durable.errors import StorageError


class Unavailable(StorageError):
    """Nothing was appended; trying again later may help. `code`: clock, database, full, rolled_back, stopped."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is stable, the message is for people."""
        super().__init__(message)
        self.code = code


class OutcomeUnknown(StorageError):
    """The commit may or may not have happened; a retry with the same event ids is safe."""


class Bug(StorageError):
    """An internal error while a call was worked on; nothing of it was appended. Its cause is chained."""


class BlobsUnavailable(StorageError):
    """The blob store can't be used now, or not by these credentials; whether the call was carried out isn't known."""


class BlobError(StorageError):
    """A blob that is missing, there already, too large or not what the log says."""


class BlobExists(BlobError):
    """A blob was to be created under an id that is taken; what is there stays."""


class BadBlob(BlobError):
    """A blob that is not what its entry says. `what`: missing, altered or unreadable."""

    def __init__(self, what: str, message: str) -> None:
        """`what` is stable, the message is for people."""
        super().__init__(message)
        self.what = what


class BlobLocked(BlobError):
    """A blob that can't be removed before a date. `until`: Unix ms; None: as long as its legal hold stands."""

    def __init__(self, message: str, until: int | None) -> None:
        """The message is for people, and says until when."""
        super().__init__(message)
        self.until = until


class BackupRefused(StorageError):
    """A backup that is not whole, not what its manifest says, or not this log's; nothing was written over it."""
