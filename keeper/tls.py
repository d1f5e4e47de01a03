"""TLS between key keeper and callers: 1.3 alone, both ends show a certificate, one private CA vouches for both."""

import logging
import socket
import ssl
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from durable.errors import StartRefused
from durable.files import PRIVATE_MODE

CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"
"""The files of one end, PEM: whom it believes, what it shows (with what is between it and the CA), and its private key."""

_LOG = logging.getLogger(__name__)


class _Read(NamedTuple):
    """What was read of the files, in which state they were, and until when it is good."""

    state: tuple[int, ...]
    context: ssl.SSLContext
    ends: datetime


class Credentials:
    """One end's certificate and key, and the CA that the other end's must come from. Thread-safe.

    The files are read again when they change: a renewal needs no restart. While they are being copied over, or don't fit each
    other, it goes on with those that were read last, until that certificate ends, and says so in the log.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self._lock = threading.Lock()
        self._read: dict[int, _Read] = {}
        self._told = ""

    def calling(self) -> ssl.SSLContext:
        """For a caller, who checks the keeper's name; raises StartRefused for files that can't be used."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    def answering(self) -> ssl.SSLContext:
        """For the keeper, who lets nobody in without a certificate; raises StartRefused."""
        return self._context(ssl.PROTOCOL_TLS_SERVER)

    def check(self) -> None:
        """Raises StartRefused unless the files can be used now."""
        self._state()
        self._load(ssl.PROTOCOL_TLS_CLIENT)
        ends = self.ends()
        if ends <= datetime.now(UTC):
            raise StartRefused(
                f"the certificate {self.folder / CERTIFICATE} ended at {ends:%Y-%m-%dT%H:%M:%SZ}: renew it "
                "(`heartwood keeper certificates`)"
            )

    def ends(self) -> datetime:
        """When this end's certificate or its CA ends, whichever is first; raises StartRefused."""
        from cryptography import x509

        ends = []
        for name in (CERTIFICATE, CA):
            try:
                read = x509.load_pem_x509_certificates((self.folder / name).read_bytes())
            except (OSError, ValueError) as error:
                raise StartRefused(f"{self.folder / name} can't be read: {error}") from error
            # Of several CAs one is old and the other its successor: what lasts longest counts.
            whole = [one.not_valid_after_utc for one in read]
            ends.append(whole[0] if name == CERTIFICATE else max(whole))
        return min(ends)

    def _context(self, protocol: int) -> ssl.SSLContext:
        with self._lock:
            known = self._read.get(protocol)
            try:
                state = self._state()
                if known is None or known.state != state:
                    known = self._read[protocol] = _Read(state, self._load(protocol), self.ends())
                self._told = ""
            except StartRefused as error:
                if known is None or known.ends <= datetime.now(UTC):
                    raise
                if self._told != str(error):
                    self._told = str(error)
                    _LOG.error("new certificates can't be used yet", extra={"reason": self._told})
            return known.context

    def _state(self) -> tuple[int, ...]:
        found: list[int] = []
        for name in (CA, CERTIFICATE, KEY):
            path = self.folder / name
            try:
                told = path.stat()
            except OSError as error:
                raise StartRefused(f"{path} can't be read: {error.strerror}") from error
            if name == KEY and stat.S_IMODE(told.st_mode) & ~PRIVATE_MODE & 0o077:
                raise StartRefused(
                    f"{path} has mode {stat.S_IMODE(told.st_mode):o}, expected 600: nobody else may read a private key"
                )
            found += (told.st_ino, told.st_mtime_ns, told.st_size)
        return tuple(found)

    def _load(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.hostname_checks_common_name = False
        if protocol == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # each connection shows its certificate anew
        try:
            context.load_verify_locations(self.folder / CA)
            context.load_cert_chain(
                self.folder / CERTIFICATE, self.folder / KEY, password=self._no_passphrase
            )
        except (OSError, ValueError) as error:  # ssl's errors are among them
            why = getattr(error, "reason", None) or error.args[-1]
            raise StartRefused(
                f"{CA}, {CERTIFICATE} and {KEY} in {self.folder} can't be used: {_plain(str(why))}"
            ) from error
        return context

    def _no_passphrase(self) -> str:
        """What OpenSSL would otherwise ask the terminal for."""
        raise StartRefused(
            f"{self.folder / KEY} has a passphrase, expected a private key without one, mode 600"
        )


@dataclass(frozen=True)
class Caller:
    """Who is at the other end of a connection."""

    name: str
    until: float = float("inf")
    """When it must show a certificate again, Unix s."""


def caller_of(line: ssl.SSLSocket, names: frozenset[str]) -> tuple[Caller, bool]:
    """Who calls, by the certificate that was verified, and whether it has one of these names (lower case)."""
    shown: Mapping[str, Any] = line.getpeercert() or {}
    found = [value.lower() for kind, value in shown.get("subjectAltName", ()) if kind == "DNS"]
    until = ssl.cert_time_to_seconds(shown["notAfter"])
    listed = sorted(names.intersection(found))
    return Caller((listed or found or ["without a name"])[0], until), bool(listed)


def ends_of(line: socket.socket) -> float | None:
    """When the certificate ends that the other end showed, Unix s; None where it shows none."""
    if not isinstance(line, ssl.SSLSocket):
        return None
    shown: Mapping[str, Any] = line.getpeercert() or {}
    return ssl.cert_time_to_seconds(shown["notAfter"])


def verdict(error: OSError) -> str | None:
    """What an end's certificate or its protocol is rejected for, in words; None where it is neither."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    if not isinstance(error, ssl.SSLError) or error.reason is None:
        return None
    if "ALERT" in error.reason:
        return (
            f"the other end rejected the connection: {_plain(error.reason.partition('ALERT_')[2])}"
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    return f"the other end doesn't speak TLS 1.3 with a certificate: {_plain(error.reason)}"


def _plain(reason: str) -> str:
    """OpenSSL's reason as words."""
    return reason.replace("_", " ").lower() if reason.isupper() else reason
