"""Files that name patients in themselves and are not read: whose they are nobody else may say. Pure.

NDJSON, FHIR in another file than `.json`, FHIR XML, CDA, HL7 v2 that a manifest names, xDT: each is
recognised by its first bytes, also within gzip and zip, and set aside instead of filed as an attachment.
"""

import bz2
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from imports.media import is_dicom

HEAD_BYTES = 4_096
"""How much of a file, or of a member of an archive, tells what it is."""
MEMBERS_READ = 200
"""Most members of an archive that are looked at; one with more is set aside."""
PIECE_BYTES = 1 << 20
TOO_MANY = b"too many"
ZIP = b"PK\x03\x04"

_XML = re.compile(
    rb"<(?:[\w.-]+:)?([A-Za-z]+)\b[^>]*xmlns(?::[\w.-]+)?\s*=\s*[\"'](urn:hl7-org:v[23]|http://hl7\.org/fhir)[\"']"
)
_CDA = re.compile(rb"<(?:[\w.-]+:)?ClinicalDocument\b")
_HL7 = re.compile(rb"[\s\x0b]*(?:MSH|FHS|BHS)[^\w\s]")
_XDT = re.compile(rb"\s*[0-9]{3}8000")
_OFFICE = b"[Content_Types].xml", b"mimetype", b"_rels/.rels"
"""What the archives begin with that are documents of an office."""
_COMPRESSED: Mapping[bytes, Callable[[Path], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile,
}  # fmt: skip
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What is raised by what begins like one of these and is none, or needs a password."""
_TYPE = b'"resourceType"'
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"


def nested_patients(head: bytes) -> str:
    """Why a file with these first bytes is not filed under anybody; empty if it may be."""
    text = (
        head.removeprefix(b"\xef\xbb\xbf")
        .replace(b"\0", b"")
        .removeprefix(b"\xff\xfe")
        .removeprefix(b"\xfe\xff")
    )
    start = text.lstrip()
    if start[:1] in (b"{", b"[") and b'"resourceType"' in text:
        if re.search(rb"\}[ \t]*\r?\n\s*\{", text) or (b"\n" in start.rstrip() and _lines(start)):
            return (
                "NDJSON (one FHIR resource a line) is not read, and each line names its own patient"
            )
        return "it holds FHIR and names its own patient; give it the ending .json to import it"
    if _CDA.search(text):
        return "CDA is not read, and its recordTarget says whose it is"
    if found := _XML.search(text):
        return f"{'FHIR' if b'fhir' in found[2] else 'HL7'} XML is not read, and it names its own patient"
    if _HL7.match(text):
        return (
            "it holds HL7 v2 messages, whose PID says whose they are; import it without a manifest"
        )
    if _XDT.match(text):
        return "xDT is not read, and it names its own patient"
    return ""


def patients_within(path: Path) -> str:
    """`nested_patients` of a file, and of what an archive or a compressed file holds; empty if it may be filed.

    What is packed twice, or holds more than is looked at, is set aside, too.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        if reason := nested_patients(head):
            return reason
        if head.lstrip(_BLANK)[:1] in (b"{", b"[") and _says(stream, head):
            return "it holds FHIR and names its own patient; give it the ending .json to import it"
    return next(filter(None, map(_packed_patients, _packed(path, head))), "")


def _packed_patients(head: bytes) -> str:
    """Why what holds this is not filed; `head`: of what is packed, or TOO_MANY."""
    if head is TOO_MANY:
        return f"it packs more than {MEMBERS_READ} files, which are not all looked at; unpack it"
    if is_dicom(head):
        return "it packs DICOM, which names its own patient; unpack it"
    office = head.startswith(ZIP) and any(name in head[:128] for name in _OFFICE)
    if not office and (head.startswith((*_COMPRESSED, ZIP)) or _is_tar(head)):
        return "it packs what is packed itself, and is not looked at; unpack it"
    return nested_patients(head)


def _packed(path: Path, head: bytes) -> Iterator[bytes]:
    """The first bytes of each file that is packed in one, as far as they can be read; TOO_MANY behind the last."""
    opened = next((opened for magic, opened in _COMPRESSED.items() if head.startswith(magic)), None)
    if opened is not None:
        with suppress(*_BROKEN), opened(path) as stream:
            yield stream.read(HEAD_BYTES)
    elif head.startswith(ZIP):
        # No archive that anybody could open is filed as the bytes that it is.
        with suppress(*_BROKEN), zipfile.ZipFile(path) as archive:
            names = archive.infolist()
            office = names[0].filename.encode() in _OFFICE if names else False
            for member in names[:MEMBERS_READ]:
                with suppress(*_BROKEN), archive.open(member) as stream:
                    yield stream.read(HEAD_BYTES)
            if len(names) > MEMBERS_READ and not office:
                yield TOO_MANY
    elif _is_tar(head):
        with suppress(*_BROKEN), tarfile.open(path, "r:") as files:
            for number, one in enumerate(files):
                if number == MEMBERS_READ:
                    yield TOO_MANY
                    return
                if (content := files.extractfile(one) if one.isfile() else None) is not None:
                    yield content.read(HEAD_BYTES)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _says(stream: IO[bytes], head: bytes) -> bool:
    """Whether the rest of a file names a type of resource: its members stand in any order."""
    before = head
    while piece := stream.read(PIECE_BYTES):
        if _TYPE in before[-len(_TYPE) :] + piece:
            return True
        before = piece
    return False


def _lines(start: bytes) -> bool:
    """Whether the first line is a whole resource, which another line follows."""
    line, _, rest = start.partition(b"\n")
    return line.rstrip().endswith(b"}") and bool(rest.strip())
