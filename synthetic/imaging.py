"""Imaging studies, each with one small picture that any reader of PNG shows."""

from __future__ import annotations

from synthetic.bundle import Bundle, Resource
from synthetic.chance import Chance
from synthetic.documents import attachment
from synthetic.illnesses import Image
from synthetic.png import scan_png
from synthetic.terms import DICOM, SNOMED, Term, clinical, concept
from synthetic.visits import Visit

PIXELS = 64
IMAGE_STORAGE = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
}
"""SOP classes by modality (DICOM PS3.4, table B.5-1)."""


def write_study(
    chance: Chance, bundle: Bundle, image: Image, visit: Visit, about: Resource, when: str
) -> None:
    """Add an ImagingStudy of one series and one instance, and the picture as Media of it."""
    study = bundle.add("ImagingStudy", _study(chance, image, about, when))
    picture = scan_png(chance.number(48), PIXELS, PIXELS, image.part)
    name = image.procedure.display
    media = {
        "partOf": [study],
        "status": "completed",
        "modality": concept(DICOM, image.modality, image.name),
        "subject": about["subject"],
        "encounter": about["encounter"],
        "createdDateTime": when,
        "bodySite": clinical(image.site),
        "height": PIXELS,
        "width": PIXELS,
        "content": attachment("image/png", picture, name, when),
    }
    bundle.add("Media", media)


def _study(chance: Chance, image: Image, about: Resource, when: str) -> Resource:
    instance = {
        "uid": _uid(chance),
        "sopClass": {
            "system": "urn:ietf:rfc:3986",
            "code": f"urn:oid:{IMAGE_STORAGE[image.modality]}",
        },
        "number": 1,
    }
    series = {
        "uid": _uid(chance),
        "number": 1,
        "modality": {"system": DICOM, "code": image.modality},
        "numberOfInstances": 1,
        "bodySite": _coding(image.site),
        "started": when,
        "instance": [instance],
    }
    return {
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{_uid(chance)}"}],
        "status": "available",
        "modality": [{"system": DICOM, "code": image.modality}],
        "subject": about["subject"],
        "encounter": about["encounter"],
        "started": when,
        "numberOfSeries": 1,
        "numberOfInstances": 1,
        "procedureCode": [clinical(image.procedure)],
        "series": [series],
    }


def _uid(chance: Chance) -> str:
    """A UID made of a UUID (DICOM PS3.5, B.2)."""
    return f"2.25.{chance.number(128)}"


def _coding(term: Term) -> dict[str, str]:
    return {"system": SNOMED, "code": term.code, "display": term.display}
