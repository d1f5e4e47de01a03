"""Where mail goes, by the settings."""

from api.app.settings import Settings
from durable.errors import StartRefused
from storage.mail.folder import FOLDER, SENDER, MailFolder
from storage.mail.place import parse_mail, parse_sender
from storage.mail.smtp import MailServer


def mail_of(settings: Settings) -> MailFolder | MailServer:
    """The mail server that the settings name, or the folder in the data directory; raises StartRefused."""
    sender = parse_sender(settings.mail_from) if settings.mail_from else ""
    if not settings.mail:
        return MailFolder(settings.data / FOLDER, sender or SENDER)
    place = parse_mail(settings.mail, settings.mail_password_file)
    if not sender:
        raise StartRefused(
            "HEARTWOOD_MAIL names a mail server: set HEARTWOOD_MAIL_FROM to the address that mail comes from"
        )
    return MailServer(place, sender)
