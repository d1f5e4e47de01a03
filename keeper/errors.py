"""The errors of the keeper; each message says what was got and what was expected."""

from durable.errors import StorageError


class KeeperRefused(StorageError):
    """The key keeper releases nothing for what it was shown."""


class KeeperUnavailable(StorageError):
    """The key keeper's process can't be asked, or did not answer; trying again later may help."""


class WrongEntry(KeeperRefused):
    """An entry of the log that the keeper follows is not what the rules give; those before it can be read by themselves.

    It is not raised of entries that were not proved to come by the last checkpoint that the keeper saw: another log may
    begin like its own.
    """


class KeyRenewed(KeeperRefused):
    """The wrapped key that was shown is of a KEK that a newer version replaced: the key table has its successor.

    Whoever meets it takes the wrapped key from the table again and repeats the call; nothing was given, nothing is used up.
    """
