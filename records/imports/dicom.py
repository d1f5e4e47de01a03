"""What a DICOM file says of itself: whose it is, of which day, what it shows. Its pixels are not read."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from records.imports.births import birth_of
from records.imports.cleaning import day_of
from records.imports.drafts import Origin, identifier_name, record_number
from records.imports.people import Demographics

VALUE_BYTES = 4096
"""A value that is longer is passed over; those that are read have at most 64 characters (PS3.5, 6.2)."""
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
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
)
_DEFLATED = "1.2.840.10008.1.2.1.99"


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


def read_dicom(path: Path, origin: Origin | None = None) -> Dicom:
    """What the file says; BrokenDicom when it cannot be read. Memory does not grow with the file."""
    # Loaded here: it takes a third of a second, and most imports meet no image.
    import pydicom
    from pydicom.filereader import read_file_meta_info

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of values that it reads nevertheless
            with path.open("rb") as stream:
                preamble = stream.read(132).endswith(b"DICM")
            if preamble:
                meta = read_file_meta_info(path)
                if meta.get("TransferSyntaxUID") == _DEFLATED:
                    raise BrokenDicom("got one compressed as a whole, expected it uncompressed")
            found = pydicom.dcmread(
                path,
                stop_before_pixels=True,
                specific_tags=list(_KEYWORDS),
                force=True,
                defer_size=VALUE_BYTES,
            )
            said = {keyword: _value(found, keyword) for keyword in _KEYWORDS}
    except (BrokenDicom, OSError):
        raise
    except (
        Exception
    ) as error:  # whatever hostile bytes make of a parser that promises no error type
        raise BrokenDicom(f"{type(error).__name__}: {error}") from error
    if not said["SOPInstanceUID"] and not said["Modality"]:
        raise BrokenDicom("got no SOPInstanceUID and no Modality, expected an object of DICOM")
    return _dicom(said, origin or Origin())


def _dicom(said: dict[str, str], origin: Origin) -> Dicom:
    days = (day_of(said[keyword]) for keyword in ("StudyDate", "SeriesDate", "ContentDate"))
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
    )


def _value(found: object, keyword: str) -> str:
    """A value as text on one line; empty when there is none, several, or too long a one."""
    element = found.get_item(keyword)  # type: ignore[attr-defined]
    if element is None or (getattr(element, "length", 0) or 0) > VALUE_BYTES:
        return ""
    value = found.get(keyword)  # type: ignore[attr-defined]
    return " ".join(str(value or "").split())
