"""Discharge letters: a DocumentReference with a PDF in it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from synthetic.bundle import Bundle, Resource
from synthetic.chance import Chance
from synthetic.names import HOSPITALS
from synthetic.pdf import letter_pdf
from synthetic.people import Person
from synthetic.places import Place, doctor_name
from synthetic.terms import LOINC, concept, status
from synthetic.visits import Visit

DISCHARGE = concept(LOINC, "18842-5", "Discharge summary")
CATEGORY = concept(
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
    "clinical-note", "Clinical Note",
)  # fmt: skip


def write_letter(
    seed: int, chance: Chance, bundle: Bundle, person: Person, visit: Visit, place: Place,
    about: Resource, when: str,
) -> None:  # fmt: skip
    """Add the letter about an admission, of the day it ended."""
    file = letter_pdf(
        "Letter on a death" if visit.fatal else "Discharge letter",
        letter_lines(person, visit, HOSPITALS[place.hospital], " ".join(doctor_name(seed, place))),
        chance.number(128).to_bytes(16),
    )
    resource = {
        "status": "current",
        "docStatus": "final",
        "type": DISCHARGE,
        "category": [CATEGORY],
        "subject": about["subject"],
        "date": when,
        "author": [place.practitioner],
        "custodian": place.organization,
        "content": [{"attachment": attachment("application/pdf", file, "Discharge letter", when)}],
        "context": {"encounter": [about["encounter"]]},
    }
    if "meta" in about:
        resource = {"meta": about["meta"], "securityLabel": [_RESTRICTED], **resource}
    bundle.add("DocumentReference", resource)


_RESTRICTED = status("v3-Confidentiality", "R")


def letter_lines(person: Person, visit: Visit, hospital: str, doctor: str) -> list[str]:
    """What the letter says, a line each."""
    reasons = [onset.illness.term for onset in (*visit.found, *visit.follows)]
    reasons += [visit.complaint.term] if visit.complaint else []
    main = visit.crisis.term if visit.crisis else reasons.pop()
    ended = "Died" if visit.fatal else "Discharged"
    return [
        hospital, "", f"Patient: {person.name}, born {person.born}",
        f"Admitted: {visit.begins.date()}", f"{ended}: {visit.ends.date()}", "",
        "Dear colleague,", "", "we report on this patient, whom we treated as an inpatient.",
        f"Diagnosis: {main.display} (ICD-10 {main.icd or 'not coded'}).",
        *(f"Secondary diagnosis: {term.display}." for term in reasons if term != main),
        *(f"Procedure: {term.display}." for term in visit.procedures),
        *(f"Imaging: {image.procedure.display}." for image in visit.images),
        *(f"Medication: {drug.name}, {drug.dose}." for drug in visit.drugs), "",
        "We share the family's grief." if visit.fatal else "Please see the patient within two weeks.",
        "", f"Dr. {doctor}",
    ]  # fmt: skip


def attachment(media_type: str, data: bytes, title: str, when: str) -> dict[str, Any]:
    """A file within a resource; FHIR's hash of it is SHA-1, and proves nothing."""
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    return {
        "contentType": media_type,
        "data": b64encode(data).decode(),
        "size": len(data),
        "hash": b64encode(digest).decode(),
        "title": title,
        "creation": when,
    }
