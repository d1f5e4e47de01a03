"""The errors of this room; each message says what was got and what was expected."""


class StorageError(Exception):
    """Root of every error that this room raises on purpose."""


class StartRefused(StorageError):
    """The stores don't fit each other; the message names the reason and the remedy."""


class Unavailable(StorageError):
    """Nothing was appended; trying again later may help. `code`: clock, full, database, stopped."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is stable, the message is for people."""
        super().__init__(message)
        self.code = code


class OutcomeUnknown(StorageError):
    """The commit may or may not have happened; a retry with the same event ids is safe."""


class Bug(StorageError):
    """An error of the program while a call was worked on; nothing of it was appended. Its cause is chained."""


class NotFound(StorageError):
    """What was asked for isn't there."""


class BlobError(StorageError):
    """A blob that is missing, there already, too large or not what the log says."""


class BadBlob(BlobError):
    """A blob that is not what its entry says. `what`: missing, altered or unreadable."""

    def __init__(self, what: str, message: str) -> None:
        """`what` is stable, the message is for people."""
        super().__init__(message)
        self.what = what


class BackupRefused(StorageError):
    """A backup that is not whole, not what its manifest says, or not this log's; nothing was written over it."""


class KeeperRefused(StorageError):
    """The key keeper releases nothing for what it was shown."""
