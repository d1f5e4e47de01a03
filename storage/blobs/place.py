"""Where a ledger's blobs live: what `HEARTWOOD_BLOBS` says, and the store that it names.

    file:/var/lib/heartwood/blobs
    s3://bucket/prefix?endpoint=https://s3.example&region=eu-central-1&owner=123456789012
                      &encryption=aws:kms&kms-key=alias/heartwood&lock=compliance&days=3650&hold=on
    east=s3://bucket/prefix?… west=s3://other/prefix?… here=file:/var/lib/heartwood/blobs

Credentials are never in it: boto3 finds them by its own chain (environment, files, the machine's role).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from durable.errors import StartRefused
from storage.blobs.files import BlobStore, FileBlobs, Member
from storage.blobs.quorum import QuorumBlobs

MOST_DAYS = 36_500
"""Longest retention of an object, in days."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(?:/[A-Za-z0-9!_.*'()-]+)*").fullmatch
MOST_STORES = 7
"""Stores that hold each blob together."""
_NAMED = re.compile(r"([a-z][a-z0-9-]{0,19})=((?:file:|s3://).*)").fullmatch
_WORD = re.compile(r"[A-Za-z0-9:/_.-]{1,300}").fullmatch


@dataclass(frozen=True)
class S3Place:
    """A prefix of a bucket, and how objects are put there."""

    bucket: str
    prefix: str = ""
    """Empty, or ends with a slash."""
    endpoint: str = ""
    """Empty for AWS."""
    region: str = ""
    owner: str = ""
    """The account that must own the bucket; empty: any."""
    encryption: str = ""
    """Server-side, beside ours: AES256, aws:kms or aws:kms:dsse; empty: as the bucket does by itself."""
    kms_key: str = ""
    lock: str = ""
    """Object Lock's mode, GOVERNANCE or COMPLIANCE; empty: none."""
    days: int = 0
    """How long each object is locked."""
    hold: bool = False
    """Whether each object is put under a legal hold."""
    public_endpoint: str = ""
    """By which readers elsewhere reach the server; empty: by `endpoint`."""

    def __str__(self) -> str:
        """The place as people write it, without how objects are put there."""
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + at


@dataclass(frozen=True)
class SeveralPlaces:
    """Stores that hold each blob together, by name, in the order in which they are asked."""

    stores: tuple[tuple[str, Path | S3Place], ...]
    quorum: int
    """How many must have a blob before it counts: a majority."""

    def __str__(self) -> str:
        """The stores by name, without how objects are put there."""
        return " ".join(
            f"{name}={f'file:{place}' if isinstance(place, Path) else place}"
            for name, place in self.stores
        )


Place = Path | S3Place | SeveralPlaces


def parse_place(text: str, default: Path, quorum: int = 0) -> Place:
    """The place that a setting names, `default` if it is empty; raises StartRefused.

    `quorum`: of several stores; 0 for the smallest majority.
    """
    if _NAMED(text.split(" ")[0]):
        return _parse_several(text, quorum)
    if quorum:
        raise StartRefused(
            f"HEARTWOOD_BLOBS_QUORUM is {quorum} and HEARTWOOD_BLOBS names one store, expected several as "
            "name=place name=place"
        )
    return _parse_one(text, default)


def _parse_several(text: str, quorum: int) -> SeveralPlaces:
    found: dict[str, Path | S3Place] = {}
    for word in text.split():
        match = _NAMED(word)
        if match is None:
            raise _refused(
                word, "name=file:/path or name=s3://bucket/prefix for each of several stores"
            )
        place = _parse_one(match[2], Path())
        if match[1] in found:
            raise _refused(text, f"each store's name once, not {match[1]} twice")
        if str(place) in {str(other) for other in found.values()}:
            raise _refused(text, f"each store once: {match[1]} is another one's place")
        found[match[1]] = place
    if not 2 <= len(found) <= MOST_STORES:
        raise _refused(text, f"2 to {MOST_STORES} stores with names, not {len(found)}")
    majority = len(found) // 2 + 1
    if not majority <= (quorum or majority) <= len(found):
        raise StartRefused(
            f"HEARTWOOD_BLOBS_QUORUM is {quorum}, expected {majority} to {len(found)} of {len(found)} stores: only of a "
            "majority no two writers can have one each"
        )
    return SeveralPlaces(tuple(found.items()), quorum or majority)


def _parse_one(text: str, default: Path) -> Path | S3Place:
    if not text:
        return default
    if text.startswith("file:"):
        path = unquote(text.removeprefix("file:").removeprefix("//"))
        if not path:
            raise _refused(text, "file:/path/of/a/folder")
        return Path(path)
    if text.startswith("s3://"):
        return _parse_s3(text)
    raise _refused(text, "file:/path or s3://bucket/prefix?endpoint=https://…")


def open_place(place: Place, read_back: bool = True, origin: str = "") -> BlobStore:
    """The store at a place; nothing is asked of it yet. `read_back`: see `S3Blobs`.

    `origin`: the log whose marker each store must have; "" where there is no ledger, or the store is about to be its.
    """
    if isinstance(place, SeveralPlaces):
        found = [
            Member(name, _open_one(one, read_back, origin, True)) for name, one in place.stores
        ]
        return QuorumBlobs(found, place.quorum)
    return _open_one(place, read_back, origin)


def _open_one(
    place: Path | S3Place, read_back: bool, origin: str, hasty: bool = False
) -> BlobStore:
    """`hasty`: it is one of several, and others go on if it is slow."""
    if isinstance(place, Path):
        return FileBlobs(place, origin)
    from storage.blobs.bucket import HASTY  # boto3 takes half a second, for S3 alone
    from storage.blobs.s3 import S3Blobs

    return S3Blobs(place, read_back, HASTY if hasty else None, origin)


def _parse_s3(text: str) -> S3Place:
    try:
        url = urlsplit(text)
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError as error:
        raise _refused(text, f"s3://bucket/prefix?name=value ({error})") from error
    prefix = unquote(url.path).strip("/")
    if "@" in url.netloc:
        raise StartRefused(
            "HEARTWOOD_BLOBS holds credentials: take them out. boto3 finds them by its own chain, as in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if url.fragment or not _BUCKET(url.netloc):
        raise _refused(text, "a bucket's name after s3://: 3 to 63 small letters, digits, - and .")
    if prefix and (not _PREFIX(prefix) or {".", ".."} & set(prefix.split("/"))):
        raise _refused(text, "a prefix of letters, digits and !_.*'()- between slashes")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _refused(text, "each option once")
    if unknown := fields.keys() - _OPTIONS.keys():
        raise _refused(text, f"of options {', '.join(_OPTIONS)}, not {min(unknown)!r}")
    for name, value in fields.items():
        if not _OPTIONS[name](value):
            raise StartRefused(f"HEARTWOOD_BLOBS has {name}={value!r}, expected {_WANTED[name]}")
    if ("lock" in fields) != ("days" in fields):
        raise _refused(text, "lock and days together")
    return S3Place(
        url.netloc,
        f"{prefix}/" if prefix else "",
        fields.get("endpoint", "").rstrip("/"),
        fields.get("region", ""),
        fields.get("owner", ""),
        fields.get("encryption", ""),
        fields.get("kms-key", ""),
        fields.get("lock", "").upper(),
        int(fields.get("days", 0)),
        fields.get("hold") == "on",
        fields.get("public-endpoint", "").rstrip("/"),
    )


def _endpoint(value: str) -> bool:
    """Whether it is a URL of HTTPS, or of plain HTTP on this machine alone."""
    try:
        url = urlsplit(value)
        host = url.hostname or ""
        plain = (
            host == "localhost" or ip_address(host).is_loopback if url.scheme == "http" else False
        )
    except ValueError:
        return False
    bare = not (url.query or url.fragment or "@" in url.netloc or url.path.strip("/"))
    return bare and bool(host) and (url.scheme == "https" or plain)


_OPTIONS: dict[str, Callable[[str], object]] = {
    "endpoint": _endpoint,
    "region": re.compile(r"[a-z0-9-]{1,40}").fullmatch,
    "owner": re.compile(r"[0-9]{12}").fullmatch,
    "encryption": {"AES256", "aws:kms", "aws:kms:dsse"}.__contains__,
    "kms-key": _WORD,
    "lock": {"governance", "compliance"}.__contains__,
    "days": lambda value: value.isascii() and value.isdigit() and 0 < int(value[:9]) <= MOST_DAYS,
    "hold": {"on", "off"}.__contains__,
    "public-endpoint": _endpoint,
}
_WANTED = {
    "endpoint": "https://host (http:// on this machine alone)",
    "region": "a region's name, as eu-central-1",
    "owner": "an account's 12 digits",
    "encryption": "AES256, aws:kms or aws:kms:dsse",
    "kms-key": "a key's id, alias or ARN",
    "lock": "governance or compliance",
    "days": f"a number from 1 to {MOST_DAYS}",
    "hold": "on or off",
    "public-endpoint": "https://host (http:// on this machine alone)",
}


def _refused(text: str, expected: str) -> StartRefused:
    return StartRefused(f"HEARTWOOD_BLOBS is {text[:200]!r}, expected {expected}")
