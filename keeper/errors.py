"""The errors of the keeper; each message says what was got and what was expected."""

from durable.errors import StorageError


class KeeperRefused(StorageError):
    """The key keeper releases nothing for what it was shown."""
