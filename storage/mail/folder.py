"""Mail into a folder, one `.eml` file a message: what a ledger does that no mail server is named for."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from durable.errors import NotFound
from durable.files import private_directory, replace_file
from storage.mail.port import MailFailed, Post

FOLDER = "mail"
"""In the data directory."""
SENDER = "heartwood@localhost.invalid"
"""Whom such mail comes from; nobody can answer (RFC 2606)."""
SUFFIX = ".eml"


class MailFolder:
    """A folder that takes mail; a message that comes again replaces the file of the first time."""

    def __init__(self, folder: Path, sender: str = SENDER) -> None:
        """`folder` is made, with mode 0700, when the first message comes."""
        self.folder, self.sender = folder, sender

    @contextmanager
    def open(self) -> Iterator[Post]:
        """See the port."""
        yield self

    def send(self, message: EmailMessage, address: str) -> None:
        """See the port; the file, of mode 0600, is named after the Message-ID."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        try:
            private_directory(self.folder)
            replace_file(self.folder / f"{name}{SUFFIX}", message.as_bytes(policy=SMTP))
        except OSError as error:
            raise MailFailed(f"the mail folder can't be written: {error.strerror}") from error

    def abort(self) -> None:
        """Nothing: it waits for the disk alone."""

    def names(self) -> list[str]:
        """The ids of the messages that are there, the newest first."""
        found = list(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []
        return [path.stem for path in sorted(found, key=lambda path: -path.stat().st_mtime_ns)]

    def read(self, name: str) -> bytes:
        """The bytes of a message by its id; raises NotFound."""
        if name not in self.names():
            raise NotFound(f"there is no message {name[:60]!r} in {self.folder}")
        return (self.folder / f"{name}{SUFFIX}").read_bytes()
