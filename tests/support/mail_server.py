"""A mail server for tests: aiosmtpd on loopback, with STARTTLS or TLS and AUTH, that can be told to misbehave."""

from __future__ import annotations

import asyncio
import datetime
import email
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

USER, PASSWORD = "heartwood", "a-mail-password-4711"
WHOLE_SECONDS = 30.0


@dataclass
class MailServer:
    """What it took, and how it is to behave."""

    port: int = 0
    certificate: Path = Path()
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    """Address and bytes, in order, of what was acknowledged, or cut off after it had come."""
    refuses: dict[str, str] = field(default_factory=dict)
    """By recipient, what is answered."""
    cuts: int = 0
    """So many times the line is cut after the message has come, in place of an answer."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Unless it is set, whoever sends a message waits for the answer."""
    arrived: threading.Event = field(default_factory=threading.Event)
    signed_in: list[bool] = field(default_factory=list)
    """Of each message, whether under TLS by a user who had signed in."""

    def __post_init__(self) -> None:
        """It answers."""
        self.hold.set()

    def messages(self, address: str = "") -> list[EmailMessage]:
        """The messages that came, parsed; to one address or to all."""
        return [
            email.message_from_bytes(data, _class=EmailMessage, policy=POLICY)
            for to, data in self.taken
            if address in ("", to)
        ]

    # The handler's hooks, as aiosmtpd calls them.

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.arrived.set()
        while not self.hold.is_set():
            await asyncio.sleep(0.01)
        self.taken.append((envelope.rcpt_tos[0], envelope.content))
        line: Any = server.transport
        under_tls = session.ssl is not None or line.get_extra_info("ssl_object") is not None
        self.signed_in.append(under_tls and bool(session.authenticated))
        if self.cuts:
            self.cuts -= 1
            transport: Any = server.transport
            transport.abort()
        return "250 OK"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def mail_serving(
    folder: Path, tls: str = "starttls", host: str = "localhost"
) -> Iterator[MailServer]:
    """A server on 127.0.0.1; `tls`: `starttls` or `tls` (both with AUTH), or `none`. Its certificate names `host`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = MailServer(certificate=certify(folder, host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, folder / "mail.key")
    how: dict[str, Any] = {}
    if tls != "none":
        how = {"authenticator": authenticate, "auth_required": True}
    if tls == "starttls":
        how |= {"tls_context": context, "require_starttls": True}
    if tls == "tls":
        # All of it is under TLS, which aiosmtpd doesn't see, and warns.
        how |= {"auth_require_tls": False, "auth_required": False}

    def made() -> SMTP:
        return SMTP(server, hostname="localhost", loop=loop, **how)

    loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await loop.create_server(made, "127.0.0.1", 0, ssl=context if tls == "tls" else None)

    listening = loop.run_until_complete(listen())
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hold.set()
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result(WHOLE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WHOLE_SECONDS)
        loop.close()


async def _end(listening: asyncio.Server) -> None:
    listening.close()
    others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def certify(folder: Path, host: str) -> Path:
    """A certificate of its own for `host`, and its key in `mail.key`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )  # fmt: skip
    path = folder / "mail.crt"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "mail.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path
