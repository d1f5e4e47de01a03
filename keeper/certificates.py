"""A private CA for a key keeper and its callers, and the certificates that it gives them; see `keeper.tls`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from durable.errors import StartRefused
from durable.files import create_file, private_directory, replace_files
from keeper.tls import CA, CERTIFICATE, KEY

CA_FOLDER = "ca"
"""In the folder of all: the CA's certificate and its private key, which belongs on neither machine."""
CA_KEY = "ca.key"
CA_DAYS = 3_650
DAYS = 365
"""How long a certificate lasts unless said otherwise."""
MOST_DAYS = 825
EARLY = timedelta(minutes=10)
"""A certificate begins before it is made: clocks differ."""
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*").fullmatch
NAME_LENGTH = 253


@dataclass(frozen=True)
class Made:
    """What was made: the folder of each end, and when its certificate ends."""

    folder: Path
    ends: datetime


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    believed: bytes
    """What `ca.crt` holds: this CA and others that are believed beside it."""


def make_certificates(
    folder: Path, keepers: Sequence[str], callers: Sequence[str], days: int = DAYS,
    now: datetime | None = None,
) -> list[Made]:  # fmt: skip
    """A certificate and a key for each keeper (host names or addresses) and each caller (names), in a folder of its own.

    The CA in `folder` is made unless there is one; certificates of the same names are replaced. Raises StartRefused.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    if not 1 <= days <= MOST_DAYS:
        raise StartRefused(f"got {days} days, expected 1 to {MOST_DAYS}")
    names = [*keepers, *callers]
    if not names:
        raise StartRefused("got no name, expected --keeper or --caller at least once")
    for name in names:
        if names.count(name) > 1:
            raise StartRefused(
                f"got {name} twice: keeper and callers each need a name of their own"
            )
    general = {one: _general(one, one in keepers) for one in names}
    authority = _authority(folder, now)
    return [_issue(folder, authority, n, general[n], n in keepers, days, now) for n in names]


def _general(name: str, keeper: bool) -> x509.GeneralName:
    """A name as a certificate has it; raises StartRefused."""
    try:
        found = ip_address(name)
        if keeper:
            return x509.IPAddress(found)
    except ValueError:
        if name != CA_FOLDER and len(name) <= NAME_LENGTH and _NAME(name):
            return x509.DNSName(name)
    raise StartRefused(
        f"got {name[:100]!r}, expected a name in lower case such as ward.example"
        + (", or an address" if keeper else "")
    )


def _authority(folder: Path, now: datetime) -> _Authority:
    """The CA of a folder, which is made where there is none; raises StartRefused for one that ends soon, or can't be read."""
    home = folder / CA_FOLDER
    if not (home / CA).exists():
        _make_authority(folder, home, now)
    try:
        believed = (home / CA).read_bytes()
        certificate = x509.load_pem_x509_certificates(believed)[0]
        key = load_pem_private_key((home / CA_KEY).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise StartRefused(f"the CA in {home} can't be read: {error}") from error
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != certificate.public_key()
    ):
        raise StartRefused(f"{home / CA_KEY} is not the key of {home / CA}")
    if certificate.not_valid_after_utc <= now + timedelta(days=1):
        raise StartRefused(
            f"the CA in {home} ends at {certificate.not_valid_after_utc:%Y-%m-%d}: make one in another folder, and let both "
            f"ends have both in their {CA} until every certificate is the new one's"
        )
    return _Authority(certificate, key, believed)


def _make_authority(folder: Path, home: Path, now: datetime) -> None:
    private_directory(folder)
    private_directory(home)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Heartwood key keeper CA")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    certificate = (
        _begun(name, name, key.public_key(), now, now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        create_file(home / CA_KEY, _pem(key))
        create_file(home / CA, certificate.public_bytes(Encoding.PEM))  # last: it is whole
    except FileExistsError as error:
        raise StartRefused(
            f"{home} holds a key without a certificate, left of a run that was cut off: remove it"
        ) from error


def _issue(
    folder: Path, authority: _Authority, name: str, general: x509.GeneralName, keeper: bool, days: int,
    now: datetime,
) -> Made:  # fmt: skip
    key, issuer = ec.generate_private_key(ec.SECP256R1()), authority.certificate
    ends = min(now + timedelta(days=days), issuer.not_valid_after_utc)
    side = ExtendedKeyUsageOID.SERVER_AUTH if keeper else ExtendedKeyUsageOID.CLIENT_AUTH
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        _begun(subject, issuer.subject, key.public_key(), now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        # A caller's certificate is no keeper's, and a keeper's no caller's.
        .add_extension(x509.ExtendedKeyUsage([side]), critical=True)
        .add_extension(x509.SubjectAlternativeName([general]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    home = folder / name
    private_directory(home)
    replace_files(
        {
            home / KEY: _pem(key),
            home / CERTIFICATE: certificate.public_bytes(Encoding.PEM),
            home / CA: authority.believed,
        }
    )
    return Made(home, ends)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(ends)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
