"""Mail: whether a server is named, whether it answers and takes the user, and whether messages wait for long."""

from collections.abc import Iterator

from api.app.mail import mail_of
from api.app.settings import Settings
from api.operator.checking.findings import Finding, ok, unsafe, warning
from crypto.texts import counted
from durable.errors import StorageError
from storage.clock import wall_clock
from storage.mail.port import MailFailed
from storage.mail.smtp import MailServer
from storage.outbox import Outbox

LATE_MS = 3_600_000
"""A message that waits longer than this is late."""


def check_mail(settings: Settings) -> Iterator[Finding]:
    """The mail server of the settings, which is asked; nothing is sent."""
    try:
        mail = mail_of(settings)
    except StorageError as error:
        yield unsafe("mail", f"{error}", "the service does not start: put the setting right")
        return
    if not isinstance(mail, MailServer):
        yield warning(
            "mail",
            f"no mail server is named: what people are told stays in {mail.folder}",
            "name one in HEARTWOOD_MAIL, HEARTWOOD_MAIL_FROM and HEARTWOOD_MAIL_PASSWORD_FILE",
        )
    else:
        yield _asked(mail)


def _asked(mail: MailServer) -> Finding:
    where = f"{mail.place.host}, port {mail.place.port}"
    try:
        with mail.open():
            pass
    except MailFailed as error:
        remedy = "people are told nothing until it works; what waits is kept"
        return unsafe("mail", f"the mail server {where} can't be used: {error}", remedy)
    signed = f", and takes the user {mail.place.user}" if mail.place.user else ""
    return ok("mail", f"the mail server {where} answers{signed}")


def late_messages(outbox: Outbox) -> Iterator[Finding]:
    """Whether messages wait for long; raises DBAPIError."""
    waiting, oldest = outbox.waiting()
    if waiting and wall_clock() - oldest > LATE_MS:
        hours = (wall_clock() - oldest) // LATE_MS
        yield warning(
            "messages",
            f"{counted(waiting, 'message')} to people wait, one for {counted(hours, 'hour')}",
            "see `heartwood mail list`, and send with `heartwood mail send` or `heartwood serve`",
        )
