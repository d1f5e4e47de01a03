"""Which media type a file has: by its first bytes, and by its name only where they leave it open."""

import codecs
import re
from pathlib import PurePath

HEAD_BYTES = 4096
"""So much of a file is looked at."""
DICOM = "application/dicom"
UNKNOWN = "application/octet-stream"

_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"{\\rtf", "application/rtf"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_DEEPER = (("RIFF", 8, b"WEBP", "image/webp"), ("", 4, b"ftyp", "video/mp4"))
_OFFICE = "application/vnd.openxmlformats-officedocument"
# What a name may add: which document a container or a text is. It never makes a binary file one of them.
_BY_NAME = {
    ("application/zip", ".docx"): f"{_OFFICE}.wordprocessingml.document",
    ("application/zip", ".xlsx"): f"{_OFFICE}.spreadsheetml.sheet",
    ("application/zip", ".pptx"): f"{_OFFICE}.presentationml.presentation",
    ("application/zip", ".odt"): "application/vnd.oasis.opendocument.text",
    ("application/x-ole-storage", ".doc"): "application/msword",
    ("application/x-ole-storage", ".xls"): "application/vnd.ms-excel",
    ("application/x-ole-storage", ".msg"): "application/vnd.ms-outlook",
    ("application/xml", ".svg"): "image/svg+xml",
    ("text/plain", ".csv"): "text/csv",
    ("text/plain", ".html"): "text/html",
    ("text/plain", ".htm"): "text/html",
    ("text/plain", ".json"): "application/json",
    ("text/plain", ".md"): "text/markdown",
    ("text/plain", ".xml"): "application/xml",
    ("text/plain", ".eml"): "message/rfc822",
}
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
# A comment ends where it first can: there is one way only to read a run of them.
_HTML = re.compile(
    r"\s*(?:<!--(?:(?!-->).)*-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(r"\s*<\?xml\s", re.IGNORECASE)
_VALUE_KINDS = frozenset(b"AE AS AT CS DA DS DT IS LO LT PN SH SL SS ST TM UI UL US OB UN".split())
"""Of DICOM: those that the first elements of a data set have (PS3.5, 6.2)."""


def sniff(head: bytes, name: str) -> str:
    """The media type of a file that begins with `head` (HEAD_BYTES of it) and is called `name`."""
    suffix = PurePath(name).suffix.lower()
    kind = _by_magic(head) or (_text_kind(head) if _is_text(head) else UNKNOWN)
    return _BY_NAME.get((kind, suffix), kind)


def is_dicom(head: bytes) -> bool:
    """Whether a file is DICOM: by its preamble (PS3.10, 7.1), else by its first two elements."""
    return head[128:132] == b"DICM" or _is_data_set(head)


def _by_magic(head: bytes) -> str | None:
    # First: the preamble of DICOM may be the header of a TIFF, so that both kinds of reader take the file.
    if is_dicom(head):
        return DICOM
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    for first, at, magic, kind in _DEEPER:
        if head.startswith(first.encode()) and head[at : at + len(magic)] == magic:
            return kind
    return None


def _is_data_set(head: bytes) -> bool:
    """Whether two elements of group 2 or 8 stand there in rising order, little endian."""
    if _tag(head)[0] not in (2, 8) or len(head) < 12:
        return False
    if head[4:6] in _VALUE_KINDS:
        long = head[4:6] in (b"OB", b"UN")
        size = int.from_bytes(head[8:12] if long else head[6:8], "little") + (12 if long else 8)
    else:
        size = int.from_bytes(head[4:8], "little") + 8
    following = head[size : size + 4]
    return len(following) == 4 and _tag(following)[0] in (2, 8) and _tag(following) > _tag(head)


def _tag(head: bytes) -> tuple[int, int]:
    """Group and number of the element that begins there."""
    return int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")


def _is_text(head: bytes) -> bool:
    """Whether the head is text in UTF-8, or in UTF-16 with its mark; a character may be cut at the end."""
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    reader = codecs.getincrementaldecoder("utf-16" if utf16 else "utf-8")()
    try:
        text = reader.decode(head)
    except UnicodeError:
        return False
    return bool(text) and not _CONTROL.search(text)


def _text_kind(head: bytes) -> str:
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if _XML.match(text):
        return "text/html" if re.search(r"<html\b", text, re.IGNORECASE) else "application/xml"
    return "text/html" if _HTML.match(text) else "text/plain"
