"""Any file as a record of its own: a scan, a letter, an image; whose it is says a manifest, DICOM or the caller."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from imports.contents import patients_within
from imports.dicom import BrokenDicom, Dicom, read_dicom
from imports.drafts import Findings, Origin, PatientDraft, RecordDraft, Unit, names_of
from imports.manifest import ManifestRow, is_manifest, read_manifest
from imports.marks import UNCLEAR, Marks, xml_marks
from imports.media import DICOM, HEAD_BYTES, sniff
from imports.texts import shown
from journeys.errors import RecordsError
from people.demographics import NOTHING_SAID

__all__ = ["ManifestRow", "is_manifest", "read_attachment", "read_manifest", "sniff"]

PIECE_BYTES = 1 << 20


class _SetAside(Exception):
    """Why a file is in no record."""


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whom a file belongs to, and whom else it names."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]
    also: tuple[str, ...] = ()
    chosen: bool = False


def read_attachment(
    path: Path,
    row: ManifestRow | None,
    patient: str,
    findings: Findings,
    origin: Origin | None = None,
) -> Iterator[PatientDraft]:
    """One file, which is one unit: a draft with one record, or set aside with the reason.

    `row`: what a manifest says of it; `patient`: whom the caller names, may be empty. A file that DICOM or
    the manifest gives to a patient of its own is never filed under another. Its own name is DICOM's
    SOPInstanceUID, else what a manifest's row says; of any other file it is the file name with the SHA-256, since
    two files of one name may have nothing to do with each other. Memory does not grow with the file.
    """
    findings.found()
    try:
        yield _draft(path, row, patient, findings, origin or Origin())
    except _SetAside as error:
        findings.reject("", str(error), None)
    except BrokenDicom as error:
        findings.reject("", f"it begins like DICOM and cannot be read: {shown(str(error))}", None)
    except (OSError, ValueError) as error:
        findings.reject("", f"it cannot be read: {shown(str(error))}", None)


def _draft(
    path: Path, row: ManifestRow | None, patient: str, findings: Findings, origin: Origin
) -> PatientDraft:
    if row and row.problem:
        raise _SetAside(row.problem)
    with path.open("rb") as stream:
        media_type = sniff(stream.read(HEAD_BYTES), path.name)
    if media_type != DICOM and (reason := patients_within(path)):
        raise _SetAside(reason)
    dicom = read_dicom(path, origin) if media_type == DICOM else None
    whose = _whose(row, patient, dicom, origin)
    for what, before, after in dicom.told if dicom else ():
        findings.correct("", what, before, after)
    marks = _marks(path, media_type, dicom)
    for mark in marks.unclear:
        findings.correct("", UNCLEAR, mark, "restricted")
    digest, size = _sha256(path)
    if not size:
        raise _SetAside("the file is empty")
    name = (dicom.instance if dicom else "") or (row.name if row else "")
    name = name or f"{shown(path.name)} {digest.hex()}"
    record = RecordDraft(
        category=(row.category if row else "") or ("imaging" if dicom else "document"),
        encounter=None,
        clinical_date=(row.clinical_date if row else None) or (dicom.day if dicom else None),
        title=shown((row.title if row else "") or (dicom.title if dicom else "") or path.name),
        media_type=media_type,
        units=(Unit(name, "", b"", digest, tuple(sorted(marks.labels)), marks.restricted),),
        compose=_content(path, digest),
        file_name=shown(path.name),
    )
    return PatientDraft(
        whose.names,
        whose.numbers,
        None,
        (record,),
        also=whose.also,
        said=dicom.said if dicom else NOTHING_SAID,
        chosen=whose.chosen,
    )


def _marks(path: Path, media_type: str, dicom: Dicom | None) -> Marks:
    """What the file itself marks as restricted."""
    if dicom:
        return dicom.marks
    if not media_type.endswith("xml"):
        return Marks()
    with path.open("rb") as stream:
        return xml_marks(stream)


def _whose(row: ManifestRow | None, patient: str, dicom: Dicom | None, origin: Origin) -> _Whose:
    """The manifest's patient, else the caller's, else DICOM's; DICOM's are always given, to be compared."""
    said = row.patient if row else ""
    if said and patient and names_of(said) != names_of(patient):
        raise _SetAside(
            f"the manifest gives it to {said[:80]!r}, and the caller to {patient[:80]!r}"
        )
    own = (dicom.names, dicom.numbers) if dicom else ((), ())
    if said or patient:
        if origin.placeholders.has((said or patient).rpartition("|")[2]):
            raise _SetAside(
                f"the patient {(said or patient)[:80]!r} that is named for it is nobody"
            )
        names, numbers = names_of(said or patient, origin.source)
        also = tuple(n for n in (*own[0], *own[1]) if n not in names + numbers)
        return _Whose(names, numbers, also, chosen=bool(patient))
    if not any(own):
        raise _SetAside("nothing says whose it is: no manifest, no number in it, no patient named")
    return _Whose(*own)


def _content(path: Path, digest: bytes) -> Callable[[Sequence[Unit]], Iterable[bytes]]:
    """The file in pieces, whichever units are asked for: it has one."""

    def compose(units: Sequence[Unit]) -> Iterator[bytes]:
        seen = sha256()
        for piece in _pieces(path) if units else ():
            seen.update(piece)
            yield piece
        if units and seen.digest() != digest:
            raise RecordsError(f"{path.name} changed while it was imported; import it again")

    return compose


def _sha256(path: Path) -> tuple[bytes, int]:
    seen, size = sha256(), 0
    for piece in _pieces(path):
        seen.update(piece)
        size += len(piece)
    return seen.digest(), size


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece
