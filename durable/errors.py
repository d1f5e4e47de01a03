"""The root of every error of a disk or a database; each message says what was got and what was expected."""


class StorageError(Exception):
    """What storage, the keeper and the files below them raise on purpose."""


class StartRefused(StorageError):
    """The stores don't fit each other; the message names the reason and the remedy."""


class NotFound(StorageError):
    """What was asked for isn't there."""
