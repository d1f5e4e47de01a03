"""What takes mail: the port, and how it fails."""

from contextlib import AbstractContextManager
from email.message import EmailMessage
from typing import Protocol


class MailFailed(Exception):
    """The mail server can't be used now; `words` are ours, and hold neither addresses nor what it said."""


class MailRefused(Exception):
    """The mail server takes this message not, or not now; others may go."""

    def __init__(self, code: int) -> None:
        """`code`: the reply's three digits (RFC 5321, 4.2); from 500 on it is for good."""
        super().__init__(f"the mail server refused the message: {code}")
        self.code, self.permanent = code, code >= 500


class Post(Protocol):
    """An open way to send. A message may arrive twice, never half; one under a known Message-ID is the same one."""

    def send(self, message: EmailMessage, address: str) -> None:
        """Hand over a message for one address, durably; raises MailRefused, or MailFailed after which this is closed."""
        ...


class Mail(Protocol):
    """Where mail goes. For one thread."""

    sender: str
    """The address that mail comes from."""

    def open(self) -> AbstractContextManager[Post]:
        """A way to send several messages; raises MailFailed. Everything that it waits for has a time-out."""
        ...

    def abort(self) -> None:
        """End whatever `open` and `send` wait for, from another thread."""
        ...
