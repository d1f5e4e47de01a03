"""The package of a referral: what one hospital opens with its own key alone, without server, keeper and log.

A ZIP of `referral.json` (in clear: whose it is, for which key, and the share), `list.sealed` and the ciphertexts below
`blobs/`. The share is 32 bytes sealed to the receiver's X-Wing key; under them lies the list, which has the data keys.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from crypto.blobs import blob_context, closed_after, open_stream
from crypto.encoding import b64decode, b64encode
from crypto.errors import FormError
from crypto.ids import is_id
from crypto.shares import kept_share_info
from crypto.xwing import ReceivingKey
from ledger.codes import REFERRED_RECORDS
from ledger.errors import ProofError
from ledger.exports import export_line, export_root

HEAD_FILE, LIST_FILE, BLOBS = "referral.json", "list.sealed", "blobs/"
HEAD_BYTES = 64 * 1024
"""Longest `referral.json`."""
LIST_BYTES = 16 * 1024 * 1024
"""Longest list, sealed or opened: 400 versions with titles and file names of 4 KiB each, and room."""
PIECE_BYTES = 1024 * 1024
FORM = 1
"""The number of this form of package."""


@dataclass(frozen=True)
class PackageHead:
    """What stands in clear in a package."""

    event: str
    """The event that took it up."""
    key: str
    """The id of the X-Wing key that opens it."""
    patient: str
    receiver: str
    """The hospital whose key it is."""
    referral: str
    sender: str
    share: str
    """Base64 of enc ‖ ciphertext."""
    form: int = FORM

    @property
    def info(self) -> bytes:
        """What binds the share."""
        return kept_share_info(self.patient, self.event, self.key, self.referral)

    @property
    def context(self) -> bytes:
        """What binds the sealed list."""
        return list_context(self.patient, self.referral, self.event)


@dataclass(frozen=True)
class PackedVersion:
    """A line of the list: a version of a record, its data key, and what is known of it."""

    blob: str
    category: str
    clinical_date: str
    file_name: str
    """Empty where it has none, or it can't be opened; so with `title`."""
    key: str
    """The data key, 32 bytes in base64."""
    media_type: str
    record: str
    sha256: str
    """Of the ciphertext, base64."""
    size: int
    """Plaintext bytes."""
    title: str
    version: int


@dataclass(frozen=True)
class PackedList:
    """What the package's key opens."""

    versions: tuple[PackedVersion, ...]
    words: str
    """What the sender wrote; empty where it can't be opened."""

    def text(self) -> bytes:
        """As JSON."""
        value = {"versions": [asdict(one) for one in self.versions], "words": self.words}
        return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def parse(cls, text: bytes) -> "PackedList":
        """Read a list; raises FormError."""
        value = _json(text, LIST_FILE)
        if value.keys() != {"versions", "words"} or type(value["words"]) is not str:
            raise FormError(f"{LIST_FILE}: expected the members versions, words")
        lines = value["versions"]
        if type(lines) is not list or not 0 < len(lines) <= REFERRED_RECORDS:
            raise FormError(f"{LIST_FILE}: expected 1 to {REFERRED_RECORDS} versions")
        versions = tuple(
            PackedVersion(**_members(line, PackedVersion, LIST_FILE)) for line in lines
        )
        for one in versions:
            if not (
                is_id("rc", one.record) and is_id("bl", one.blob) and one.version > 0 <= one.size
            ):
                raise FormError(f"{LIST_FILE}: got ids or numbers that are none")
        return cls(versions, value["words"])


def list_context(patient: str, referral: str, event: str) -> bytes:
    """What binds a sealed list to its patient, referral and taking up."""
    return "\0".join(("heartwood/package/v1", patient, referral, event)).encode()


def write_package(
    out: zipfile.ZipFile,
    head: PackageHead,
    sealed: bytes,
    blobs: Iterable[tuple[str, Iterator[bytes]]],
) -> Iterator[None]:
    """Write a package; yields after each piece, so that it can be sent on. `blobs`: ids and ciphertexts."""
    out.writestr(HEAD_FILE, json.dumps(asdict(head), indent=1, sort_keys=True))
    out.writestr(LIST_FILE, sealed)
    for blob, pieces in blobs:
        with closed_after(pieces), out.open(f"{BLOBS}{blob}", "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                yield
    yield


class Package:
    """A package that is read; use it as a context."""

    def __init__(self, source: Path | IO[bytes]) -> None:
        """Opens it, and reads what stands in clear; raises FormError for what is none."""
        try:
            self._archive = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, OSError) as error:
            raise FormError(f"not a package that can be read: {error}") from error
        try:
            names = self._archive.namelist()
            if len(set(names)) != len(names):
                raise FormError("the package holds two files of one name")
            value = _json(self._read(HEAD_FILE, HEAD_BYTES), HEAD_FILE)
            self.head = PackageHead(**_members(value, PackageHead, HEAD_FILE))
            if self.head.form != FORM:
                raise FormError(f"got a package of the form {self.head.form}, expected {FORM}")
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> "Package":
        """The package."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self._archive.close()

    def opened(self, key: ReceivingKey) -> PackedList:
        """The list, by the key that it was sealed for; raises SealError, CryptoError or FormError."""
        head = self.head
        if key.id != head.key:
            raise FormError(f"the package is sealed for {head.key}, and this key is {key.id}")
        secret = key.open(head.info, b64decode(head.share))
        sealed = self._read(LIST_FILE, LIST_BYTES)
        return PackedList.parse(b"".join(open_stream(secret, head.context, iter((sealed,)))))

    def content(self, one: PackedVersion) -> Iterator[bytes]:
        """The plaintext of a version, piece by piece: whole, and of the ciphertext that the list names, only at its end.

        Raises SealError for what was altered or cut short, ProofError where it is another than the list says.
        """
        context = blob_context(self.head.patient, one.record, one.blob)
        digest, size = hashlib.sha256(), 0
        for piece in open_stream(b64decode(one.key, 32), context, self._hashed(one.blob, digest)):
            size += len(piece)
            yield piece
        if digest.digest() != b64decode(one.sha256, 32) or size != one.size:
            raise ProofError(f"{one.record}: the package holds another content than its list names")

    def _hashed(self, blob: str, digest: Any) -> Iterator[bytes]:
        name = f"{BLOBS}{blob}"
        if name not in self._archive.namelist():
            raise ProofError(f"the package lacks {name}")
        try:
            with self._archive.open(name) as file:
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
                    yield piece
        except _UNREADABLE as error:
            raise FormError(f"{name}: can't be read: {error}") from error

    def _read(self, name: str, limit: int) -> bytes:
        if name not in self._archive.namelist():
            raise FormError(f"no package of a referral: it holds no {name}")
        try:
            with self._archive.open(name) as file:
                data = file.read(limit + 1)
        except _UNREADABLE as error:
            raise FormError(f"{name}: can't be read: {error}") from error
        if len(data) > limit:
            raise FormError(f"{name}: has more than {limit} bytes, expected at most that")
        return data


_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def committed(versions: Sequence[PackedVersion]) -> tuple[int, str]:
    """Count and root (base64) of a list, as the event that took it up has them."""
    lines = [export_line(one.record, one.version, one.blob) for one in versions]
    return len(lines), b64encode(export_root(lines))


def _json(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormError(f"{name}: is not JSON: {error}") from error
    if type(value) is not dict:
        raise FormError(f"{name}: expected an object")
    return value


def _members(value: Any, kind: type[PackageHead | PackedVersion], name: str) -> dict[str, Any]:
    """The members of an object, which are those of a dataclass, each of its type; raises FormError."""
    wanted = {one.name: int if one.type in (int, "int") else str for one in fields(kind)}
    if type(value) is not dict or value.keys() != wanted.keys():
        raise FormError(f"{name}: expected the members {', '.join(sorted(wanted))}")
    for member, form in wanted.items():
        if type(value[member]) is not form:
            raise FormError(
                f"{name}: {member}: got {type(value[member]).__name__}, expected {form.__name__}"
            )
    return dict(value)
