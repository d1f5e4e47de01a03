"""What a DICOM file says of itself: whose it is, of which day, what it shows. Its pixels are not read."""

import warnings
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from imports.births import birth_of
from imports.cleaning import Doubt, Undecodable, clean_date, day_of, decode
from imports.drafts import Origin, identifier_name, record_number
from imports.marks import CONFIDENTIALITY_OID, Marks, security
from people.demographics import Demographics

VALUE_BYTES = 4096
"""A value that is longer is passed over; those that are read have at most 64 characters (PS3.5, 6.2)."""
HEAD_LIMIT = 2 << 20
"""Most bytes that are read of a file to find out whose it is."""
_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "ContentDate",
    "Modality",
    "StudyDescription",
    "SeriesDescription",
    "PatientID",
    "IssuerOfPatientID",
    "ConfidentialityCode",
    "ConfidentialityConstraintOnPatientDataDescription",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
)
_LAST = 0x00403001
"""The highest tag of those; what comes after it, pixels and frames among it, is not read."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UTF8 = "ISO_IR 192"
Told = tuple[str, str, str]
"""What, before and after: see `Findings.correct`."""


class BrokenDicom(ValueError):
    """A file that begins like DICOM and cannot be read as such; says why."""


@dataclass(frozen=True, slots=True)
class Dicom:
    """What is taken from a DICOM file."""

    instance: str
    """SOPInstanceUID, which no other object in the world has; empty without one."""
    day: str | None
    """`YYYY-MM-DD` of the study, else of the series, else of the content."""
    title: str
    names: tuple[str, ...]
    """PatientID by its issuer, if the file names one."""
    numbers: tuple[str, ...]
    """PatientID; empty when it is a placeholder."""
    said: Demographics
    """PatientName, PatientBirthDate and PatientSex."""
    marks: Marks
    """What it marks as confidential."""
    told: tuple[Told, ...]
    """What was guessed, or could not be read."""


def read_dicom(path: Path, origin: Origin | None = None) -> Dicom:
    """What the file says; BrokenDicom when it cannot be read. Memory does not grow with the file."""
    # Loaded here: it takes a third of a second, and most imports meet no image.
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_file_meta_info, read_partial

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of values that it reads nevertheless
            with path.open("rb") as stream:
                preamble = stream.read(132).endswith(b"DICM")
            if preamble:
                meta = read_file_meta_info(path)
                if meta.get("TransferSyntaxUID") == _DEFLATED:
                    raise BrokenDicom("got one compressed as a whole, expected it uncompressed")
            with _Bounded(path) as stream:
                found = read_partial(
                    stream,
                    stop_when=lambda tag, vr, length: tag > _LAST,
                    specific_tags=[tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS],
                    force=True,
                    defer_size=VALUE_BYTES,
                )
                told: list[Told] = []
                said = {keyword: _value(found, keyword, told) for keyword in _KEYWORDS}
    except (BrokenDicom, OSError):
        raise
    except (
        Exception
    ) as error:  # whatever hostile bytes make of a parser that promises no error type
        raise BrokenDicom(f"{type(error).__name__}: {error}") from error
    if not said["SOPInstanceUID"] and not said["Modality"]:
        raise BrokenDicom("got no SOPInstanceUID and no Modality, expected an object of DICOM")
    return _dicom(said, told, origin or Origin())


class _Bounded(FileIO):
    """A file of which no more is read than HEAD_LIMIT: sequences grow to 50 times their length in memory."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """See FileIO; BrokenDicom once it is too much."""
        data = super().read(-1 if size is None else size) or b""
        self.taken += len(data)
        if self.taken > HEAD_LIMIT:
            raise BrokenDicom(f"got more than {HEAD_LIMIT} bytes to read before the patient's data")
        return data


def _dicom(said: dict[str, str], told: list[Told], origin: Origin) -> Dicom:
    dates = [(keyword, said[keyword]) for keyword in ("StudyDate", "SeriesDate", "ContentDate")]
    for keyword, text in dates:
        if text and not day_of(text):
            doubt = clean_date(text)
            why = (
                doubt.reason if isinstance(doubt, Doubt) else f"got {text!r}, expected a whole day"
            )
            told.append((f"{keyword}: {why}", text, ""))
    days = (day_of(text) for _, text in dates)
    what = (said[keyword] for keyword in ("Modality", "StudyDescription", "SeriesDescription"))
    number, issuer = said["PatientID"], said["IssuerOfPatientID"]
    known = not origin.placeholders.has(number)
    alphabetic = said["PatientName"].partition("=")[
        0
    ]  # what follows is the same name in other scripts
    family, given, middle = [*alphabetic.split("^"), "", ""][:3]
    return Dicom(
        instance=said["SOPInstanceUID"],
        day=next(filter(None, days), None),
        title=", ".join(dict.fromkeys(filter(None, what))),
        names=(identifier_name(issuer, number),) if known and issuer else (),
        numbers=(record_number(number),) if known else (),
        said=Demographics(
            given=f"{given} {middle}".strip(),
            family=family if given else "",
            text="" if given else family,
            birth=birth_of(said["PatientBirthDate"], origin.today, dead=True).known,
            sex=said["PatientSex"],
        ),
        marks=_marks(said),
        told=tuple(told),
    )


def _marks(said: dict[str, str]) -> Marks:
    code = said["ConfidentialityCode"]
    found = security([(CONFIDENTIALITY_OID, code)]) if code else Marks()
    return found | Marks(restricted=bool(said["ConfidentialityConstraintOnPatientDataDescription"]))


def _value(found: Any, keyword: str, told: list[Told]) -> str:
    """A value as text on one line; empty when there is none, several, or too long a one."""
    element = found.get_item(keyword)
    if element is None or (getattr(element, "length", 0) or 0) > VALUE_BYTES:
        return ""
    raw = getattr(element, "value", None)
    if isinstance(raw, bytes) and not raw.isascii():
        return _line(_text(found, keyword, raw, told))
    return _line(str(found.get(keyword) or ""))


def _text(found: Any, keyword: str, raw: bytes, told: list[Told]) -> str:
    """A text that is not ASCII: by the character set that the file declares, and told where that may be wrong."""
    from pydicom.charset import python_encoding

    said = found.get("SpecificCharacterSet") or ""
    declared = [said] if isinstance(said, str) else [str(one) for one in said]
    sets = [one for one in declared if one not in ("", "ISO_IR 6", "ISO 2022 IR 6")]
    if not sets:
        try:
            text, rule = decode(raw.rstrip(b" \0"))
        except Undecodable as error:
            told.append((f"{keyword}: it declares no character set, left out", str(error), ""))
            return ""
        what = f"{keyword}: it declares no character set, {rule or 'read as utf-8'}"
        told.append((what, "", _line(text)))
        return text
    text = str(found.get(keyword) or "")
    named = ", ".join(sets)
    if any(one not in python_encoding for one in sets):
        told.append((f"{keyword}: it declares {named}, which is not known", named, _line(text)))
    elif "\ufffd" in text:
        told.append((f"{keyword}: it declares {named}, and is not all of it", named, _line(text)))
    elif _UTF8 not in sets and (other := _utf8(raw)):
        told.append(
            (f"{keyword}: it declares {named}, and may be UTF-8", _line(text), _line(other))
        )
    return text


def _utf8(raw: bytes) -> str:
    """The text that the bytes make as UTF-8, which hardly any other makes; empty if they are none."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _line(text: str) -> str:
    return " ".join(text.split())
