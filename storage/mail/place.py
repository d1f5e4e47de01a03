"""The setting that names a mail server, read."""

import ipaddress
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from crypto.errors import FormError
from durable.errors import StartRefused
from storage.contacts import check_address

PORTS = {"smtp": 587, "smtps": 465}
"""Of submission with STARTTLS, and under TLS from the first byte (RFC 8314)."""
EXPECTED = (
    "expected smtp://[USER@]HOST[:PORT] or smtps://[USER@]HOST[:PORT], with ?ca=FILE or ?tls=none"
)


@dataclass(frozen=True)
class MailPlace:
    """A mail server: where it is, and how to sign in there."""

    host: str
    port: int
    tls: str
    """`starttls`, `tls` (from the first byte), or `none`."""
    user: str = ""
    password: str = field(default="", repr=False)
    authority: str | None = None
    """A file of certificates that the server's is held against, in place of the machine's."""


def parse_mail(text: str, password: Path | None) -> MailPlace:
    """The mail server of HEARTWOOD_MAIL, with the password in a file of mode 600; raises StartRefused."""
    try:
        url = urlsplit(text)
        port = url.port or PORTS.get(url.scheme, 0)
        options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    except ValueError as error:
        raise StartRefused(f"HEARTWOOD_MAIL can't be read: {EXPECTED}") from error
    host = url.hostname or ""
    if url.password is not None:
        raise StartRefused(
            "HEARTWOOD_MAIL holds a password: put it into a file of mode 600, and name that in HEARTWOOD_MAIL_PASSWORD_FILE"
        )
    if (
        url.scheme not in PORTS
        or not host
        or url.path not in ("", "/")
        or url.fragment
        or options.keys() - {"ca", "tls"}
        or options.get("tls", "none") != "none"
    ):
        raise StartRefused(f"HEARTWOOD_MAIL names no mail server: {EXPECTED}")
    user = unquote(url.username or "")
    tls = "tls" if url.scheme == "smtps" else options.get("tls", "starttls")
    if tls == "none" and (user or not _is_here(host)):
        raise StartRefused(
            "HEARTWOOD_MAIL has tls=none: that is for a mail server on this machine (127.0.0.1, ::1) without a user; a "
            "password is never sent without TLS"
        )
    if bool(user) != (password is not None):
        raise StartRefused(
            "HEARTWOOD_MAIL and HEARTWOOD_MAIL_PASSWORD_FILE: a user needs a password's file, and the file a user"
        )
    secret = _password(password) if password is not None else ""
    return MailPlace(host, port, tls, user, secret, options.get("ca"))


def parse_sender(text: str) -> str:
    """The sender's address of HEARTWOOD_MAIL_FROM; raises StartRefused."""
    try:
        check_address(text)
    except FormError as error:
        raise StartRefused(f"HEARTWOOD_MAIL_FROM: {error}") from error
    return text


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StartRefused(f"{path} is readable by others, expected mode 600: run chmod 600")
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"HEARTWOOD_MAIL_PASSWORD_FILE can't be read: {error}") from error
