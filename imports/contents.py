"""Files that name patients in themselves and are not read: whose they are nobody else may say. Pure.

NDJSON, FHIR in another file than `.json`, FHIR XML, CDA, HL7 v2 that a manifest names, xDT: each is
recognised by its first bytes, also within gzip and zip, and set aside instead of filed as an attachment.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

HEAD_BYTES = 4_096
"""How much of a file, or of a member of an archive, tells what it is."""
MEMBERS_READ = 200
"""Most members of a zip that are looked at; one with more is set aside."""

_XML = re.compile(
    rb"<(?:[\w.-]+:)?([A-Za-z]+)\b[^>]*xmlns(?::[\w.-]+)?\s*=\s*[\"'](urn:hl7-org:v[23]|http://hl7\.org/fhir)[\"']"
)
_CDA = re.compile(rb"<(?:[\w.-]+:)?ClinicalDocument\b")
_HL7 = re.compile(rb"[\s\x0b]*(?:MSH|FHS|BHS)[^\w\s]")
_XDT = re.compile(rb"\s*[0-9]{3}8000")
_OFFICE = b"[Content_Types].xml", b"mimetype"


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
    """`nested_patients` of a file, and of what a gzip or zip file holds; empty if it may be filed."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if reason := nested_patients(head):
        return reason
    try:
        return next(filter(None, map(nested_patients, _packed(path, head))), "")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return ""  # no archive that anybody could open: filed as the bytes that it is


def _packed(path: Path, head: bytes) -> Iterator[bytes]:
    if head.startswith(b"\x1f\x8b"):
        yield zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    elif head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist()[:MEMBERS_READ]:
                with archive.open(member) as stream:
                    yield stream.read(HEAD_BYTES)


def _lines(start: bytes) -> bool:
    """Whether the first line is a whole resource, which another line follows."""
    line, _, rest = start.partition(b"\n")
    return line.rstrip().endswith(b"}") and bool(rest.strip())
