"""The errors of the keeper; each message says what was got and what was expected."""

from durable.errors import StorageError


class KeeperRefused(StorageError):
    """The key keeper releases nothing for what it was shown."""


class KeeperUnavailable(StorageError):
    """The key keeper's process can't be asked, or did not answer; trying again later may help."""
