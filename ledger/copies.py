"""A copy to keep: a patient's whole chart as a ZIP, and the check that it is what the log names. Offline, without the service.

Each content is sealed again with the key and the header of its ciphertext that lie beside it: its SHA-256 must be the one in
the entry that uploaded it. The entries are those of the patient's history, which is proved (`ledger.histories`).
"""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto.blobs import HEADER_BYTES, KEY_BYTES, blob_context, sealed_again
from crypto.encoding import b64decode
from crypto.errors import CryptoError, FormError
from crypto.texts import counted
from ledger.auditor import check_history_proof
from ledger.entry import Entry
from ledger.errors import ProofError
from ledger.histories import HISTORY_LIMIT, HistoryProof

HISTORY_FILE, OPENINGS_FILE, FILES = "proof/history.json", "proof/openings.json", "files/"
OPENINGS_LIMIT = 64 * 1024 * 1024
"""Longest list of a copy's files, in bytes."""
PIECE_BYTES = 1024 * 1024
NAMED = 10
"""Most records that a report names as missing; all are counted."""
_MEMBERS = frozenset({"blob", "file", "header", "key", "record", "version"})


@dataclass(frozen=True)
class CopyReport:
    """What a check of a copy found to be good."""

    history: HistoryProof
    files: int
    missing: tuple[str, ...]
    """Records of the history whose latest version is not in the copy: erased ones, or those it was not given."""

    def lines(self) -> list[str]:
        """The report for people."""
        out = [
            self.history.line,
            f"{counted(self.files, 'file')} are what these entries name, byte for byte",
        ]
        return [*out, *self.lacks()]

    def lacks(self) -> list[str]:
        """What is missing, for people; empty where nothing is."""
        if not self.missing:
            return []
        shown = ", ".join(self.missing[:NAMED]) + (", …" if len(self.missing) > NAMED else "")
        return [f"{counted(len(self.missing), 'record')} of the history not in this copy: {shown}"]


def is_copy(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP."""
    return head.startswith(b"PK")


def check_copy(path: Path, vkeys: Sequence[str] | None, policy: bytes | None = None) -> CopyReport:
    """Check a copy to keep; raises ProofError for what is not as the log says, FormError for what is no such copy.

    The other files of the ZIP are made from these for people to read, and prove nothing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if len(set(archive.namelist())) != len(archive.namelist()):
                raise ProofError(f"{path.name}: holds two files of one name")
            history = check_history_proof(
                _read(archive, HISTORY_FILE, HISTORY_LIMIT), vkeys, policy
            )
            uploads = uploads_of(history.entries)
            files = _check_files(archive, history, uploads)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormError(f"{path.name}: not a ZIP that can be read: {error}") from error
    return CopyReport(history, len(files), missing_of(uploads, files))


def missing_of(uploads: Iterable[tuple[str, int]], files: Set[tuple[str, int]]) -> tuple[str, ...]:
    """The records whose latest version, of those that a history names, is not among the files; ascending."""
    latest = dict(sorted(uploads))
    return tuple(record for record, version in latest.items() if (record, version) not in files)


def uploads_of(entries: Sequence[Entry]) -> dict[tuple[str, int], dict[str, Any]]:
    """The bodies of the entries that brought a version of a record, by record and version."""
    return {
        (entry.event.body["record"], entry.event.body["version"]): entry.event.body
        for entry in entries
        if entry.event.type.name in ("record.uploaded", "record.amended")
    }


def _check_files(
    archive: zipfile.ZipFile, history: HistoryProof, uploads: dict[tuple[str, int], dict[str, Any]]
) -> set[tuple[str, int]]:
    patient = history.entries[0].event.subject
    found = set[tuple[str, int]]()
    for one in _openings(archive):
        named, file = (one["record"], one["version"]), one["file"]
        body = uploads.get(named)
        if body is None or body["blob"] != one["blob"] or named in found:
            raise ProofError(f"{file}: the history names no such version {named[1]} of {named[0]}")
        context = blob_context(patient, named[0], body["blob"])
        try:
            key, header = b64decode(one["key"], KEY_BYTES), b64decode(one["header"], HEADER_BYTES)
            made = sealed_again(key, context, header, _pieces(archive, file, body["size"]))
        except CryptoError as error:
            raise ProofError(f"{file}: {error}") from error
        if made != b64decode(body["sha256"], 32):
            raise ProofError(f"{file}: is not the content that the log names")
        found.add(named)
    held = [
        name for name in archive.namelist() if name.startswith(FILES) and not name.endswith("/")
    ]
    if len(held) != len(found):
        raise ProofError(f"got {counted(len(held), 'file')} below {FILES}, expected {len(found)}")
    return found


def _openings(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    try:
        value = json.loads(_read(archive, OPENINGS_FILE, OPENINGS_LIMIT))
    except (ValueError, RecursionError) as error:
        raise FormError(f"{OPENINGS_FILE}: is not JSON: {error}") from error
    texts = sorted(_MEMBERS - {"version"})
    good = type(value) is list and all(
        type(one) is dict and set(one) == _MEMBERS and type(one["version"]) is int
        and all(type(one[name]) is str for name in texts) and one["file"].startswith(FILES)
        for one in value
    )  # fmt: skip
    if not good:
        raise FormError(
            f"{OPENINGS_FILE}: expected a list of objects with {', '.join(sorted(_MEMBERS))}"
        )
    return list(value)


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if name not in archive.namelist():
        raise FormError(f"no copy to keep: it holds no {name}")
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FormError(f"{name}: has more than {limit} bytes, expected at most that")
    return data


def _pieces(archive: zipfile.ZipFile, name: str, size: int) -> Iterator[bytes]:
    """A file, no further than the size that its entry tells."""
    if name not in archive.namelist():
        raise ProofError(f"{name}: is not in the copy")
    count = 0
    with archive.open(name) as file:
        while piece := file.read(PIECE_BYTES):
            count += len(piece)
            if count > size:
                break
            yield piece
    if count != size:
        raise ProofError(f"{name}: does not have the {size} bytes that the log names")
