"""Mail to a server by SMTP (RFC 5321), under TLS (RFC 3207 or from the first byte, RFC 8314) whose certificate is checked.

Each wait has a time-out, and each conversation one as a whole: a server that answers byte by byte holds nobody up.
"""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP

from storage.mail.place import MailPlace
from storage.mail.port import MailFailed, MailRefused, Post

WAIT_SECONDS = 30.0
"""Longest wait for the server's next bytes."""
CONVERSATION_SECONDS = 60.0
"""Longest time for a sign-in, or for one message."""
_BROKEN = (smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError, OSError, ValueError)
CLOSING = 421
"""The server ends the conversation (RFC 5321, 3.8)."""


class MailServer:
    """A mail server, as the settings name it."""

    def __init__(self, place: MailPlace, sender: str, wait: float = WAIT_SECONDS, whole: float = CONVERSATION_SECONDS) -> None:  # fmt: skip
        """`wait`, `whole`: seconds, see the constants."""
        self.place, self.sender = place, sender
        self._wait, self._whole = wait, whole
        self._talking: smtplib.SMTP | None = None

    @contextmanager
    def open(self) -> Iterator[Post]:
        """See the port: connected, under TLS, signed in."""
        place = self.place
        context = ssl.create_default_context(cafile=place.authority)
        # A name that tells nothing of this machine: that of the sender's domain.
        name = self.sender.partition("@")[2]
        talk = (
            smtplib.SMTP_SSL(local_hostname=name, timeout=self._wait, context=context)
            if place.tls == "tls"
            else smtplib.SMTP(local_hostname=name, timeout=self._wait)
        )
        talk._host = place.host  # type: ignore[attr-defined]  # what the certificate must name; `connect` doesn't say it
        self._talking = talk
        try:
            with self._bounded(talk), _told():
                talk.connect(place.host, place.port)
                talk.ehlo_or_helo_if_needed()
                if place.tls == "starttls":
                    talk.starttls(context=context)  # raises where the server has none
                    talk.ehlo()
                if place.user:
                    talk.login(place.user, place.password)
            yield _Conversation(self, talk)
        finally:
            self._talking = None
            with suppress(smtplib.SMTPException, OSError), self._bounded(talk):
                talk.quit()
            talk.close()

    def abort(self) -> None:
        """See the port."""
        talk = self._talking
        if talk is not None:
            _cut(talk)

    @contextmanager
    def _bounded(self, talk: smtplib.SMTP) -> Iterator[None]:
        """Cut the line where what stands inside takes too long in the whole."""
        timer = threading.Timer(self._whole, _cut, (talk,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def deliver(self, talk: smtplib.SMTP, message: EmailMessage, address: str) -> None:
        """One message over an open conversation."""
        data = message.as_bytes(policy=SMTP)
        with self._bounded(talk), _told():
            try:
                talk.sendmail(self.sender, [address], data)
            except smtplib.SMTPRecipientsRefused as error:
                code = next(iter(error.recipients.values()))[0]
                raise _refused(code) from None
            except smtplib.SMTPDataError as error:
                raise _refused(error.smtp_code) from None


class _Conversation:
    def __init__(self, server: MailServer, talk: smtplib.SMTP) -> None:
        self._server, self._talk = server, talk

    def send(self, message: EmailMessage, address: str) -> None:
        self._server.deliver(self._talk, message, address)


def _refused(code: int) -> Exception:
    return MailFailed("it ended the conversation") if code == CLOSING else MailRefused(code)


@contextmanager
def _told() -> Iterator[None]:
    """What fails at the server as MailFailed, in words of ours: those of a server may hold anything."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed(f"it refused the user or the password ({error.smtp_code})") from None
    except smtplib.SMTPNotSupportedError:
        raise MailFailed("it offers no STARTTLS, or no way to sign in") from None
    except smtplib.SMTPSenderRefused as error:
        raise MailFailed(
            f"it refused the sender's address, HEARTWOOD_MAIL_FROM ({error.smtp_code})"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise MailFailed(f"its certificate is not valid: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise MailFailed(f"TLS failed: {error.reason}") from None
    except TimeoutError:
        raise MailFailed("it did not answer in time") from None
    except smtplib.SMTPResponseException as error:
        raise MailFailed(f"it answered {error.smtp_code}") from None
    except (smtplib.SMTPException, *_BROKEN) as error:
        code = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise MailFailed(f"the connection failed: {type(error).__name__}{code}") from None


def _cut(talk: smtplib.SMTP) -> None:
    held = talk.sock
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
