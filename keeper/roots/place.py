"""How a new record root is kept: what `HEARTWOOD_RECORD_ROOT` says.

    file:                                             in its file, under the passphrase where one is set
    kms:alias/heartwood?region=eu-central-1           wrapped by a key of AWS KMS
    kms:KEY?region=eu-central-1&endpoint=https://…    of another endpoint than the region's own
    pkcs11:/usr/lib/softhsm/libsofthsm2.so?token=hospital&label=heartwood

No secret is ever in it: boto3 finds AWS's by its own chain, and a token's PIN comes from HEARTWOOD_PKCS11_PIN or a file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from durable.errors import StartRefused

SETTING = "HEARTWOOD_RECORD_ROOT"
_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,300}").fullmatch
_REGION = re.compile(r"[a-z0-9-]{1,40}").fullmatch
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,64}").fullmatch


@dataclass(frozen=True)
class FilePlace:
    """In the root's own file."""

    def __str__(self) -> str:
        """As people write it."""
        return "file:"


@dataclass(frozen=True)
class KmsPlace:
    """Wrapped by a key of AWS KMS: its id, alias or ARN."""

    key: str
    region: str = ""
    """Empty: boto3's own."""
    endpoint: str = ""
    """Empty: the region's own."""

    def __str__(self) -> str:
        """As people read it."""
        at = self.endpoint or self.region
        return f"kms:{self.key}{at and f' at {at}'}"


@dataclass(frozen=True)
class Pkcs11Place:
    """Wrapped by the AES key `label` of the token `token`, which `module` (a shared library) leads to."""

    module: str
    token: str
    label: str

    def __str__(self) -> str:
        """As people read it."""
        return f"pkcs11: key {self.label} of token {self.token}"


RootPlace = FilePlace | KmsPlace | Pkcs11Place


def parse_root_place(text: str) -> RootPlace:
    """How a setting says that a root is kept, in its file if it is empty; raises StartRefused."""
    kind, _, rest = text.partition(":")
    if not text or text == "file:":
        return FilePlace()
    if kind == "file":
        raise StartRefused(
            f"{SETTING} is {text[:200]!r}, expected file: alone. The file is record.root in the folder that HEARTWOOD_ROOT names"
        )
    if kind == "kms":
        key, options = _split(text, rest, _KMS)
        if not _KEY(key):
            raise _refused(text, "a key's id, alias or ARN after kms:")
        return KmsPlace(key, options.get("region", ""), options.get("endpoint", "").rstrip("/"))
    if kind == "pkcs11":
        module, options = _split(text, rest, _PKCS11)
        if not Path(module).is_absolute() or len(options) != len(_PKCS11):
            raise _refused(
                text, "pkcs11:/path/of/the/module.so?token=NAME&label=KEY, with all three"
            )
        return Pkcs11Place(module, options["token"], options["label"])
    raise _refused(text, "file:, kms:KEY?region=… or pkcs11:/path/of/the/module.so?token=…&label=…")


def _split(
    text: str, rest: str, known: dict[str, Callable[[str], object]]
) -> tuple[str, dict[str, str]]:
    """What stands before the question mark, and the options behind it; raises StartRefused."""
    before, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise _refused(text, f"name=value after the question mark ({error})") from error
    options = dict(pairs)
    if "pin" in options:
        raise StartRefused(
            f"{SETTING} holds a PIN: take it out, and set HEARTWOOD_PKCS11_PIN or HEARTWOOD_PKCS11_PIN_FILE"
        )
    if len(options) != len(pairs):
        raise _refused(text, "each option once")
    if unknown := options.keys() - known.keys():
        raise _refused(text, f"of options {', '.join(known)}, not {min(unknown)!r}")
    for name, value in options.items():
        if not known[name](value):
            raise StartRefused(f"{SETTING} has {name}={value[:200]!r}, expected {_WANTED[name]}")
    return unquote(before), options


def _endpoint(value: str) -> bool:
    """Whether it is a URL of HTTPS, or of plain HTTP on this machine alone."""
    try:
        url = urlsplit(value)
        host = url.hostname or ""
        plain = url.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False
    bare = not (url.query or url.fragment or "@" in url.netloc or url.path.strip("/"))
    return bare and bool(host) and (url.scheme == "https" or plain)


_KMS: dict[str, Callable[[str], object]] = {"region": _REGION, "endpoint": _endpoint}
_PKCS11: dict[str, Callable[[str], object]] = {"token": _LABEL, "label": _LABEL}
_WANTED = {
    "region": "a region's name, as eu-central-1",
    "endpoint": "https://host (http:// on this machine alone)",
    "token": "the token's label, 1 to 64 characters",
    "label": "the key's label, 1 to 64 characters",
}


def _refused(text: str, expected: str) -> StartRefused:
    return StartRefused(f"{SETTING} is {text[:200]!r}, expected {expected}")
