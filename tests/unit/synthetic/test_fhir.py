"""Made-up records are FHIR R4 by the models of fhir.resources, and the import has a place for all."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from imports.drafts import Listed, Person
from imports.fhir import ReferenceIndex, scan_bundle
from imports.fhir.read import read_bundle
from imports.labels import Labels
from synthetic import patient, region

SEED, SAMPLE = 4, 8


def bundles() -> list[bytes]:
    """The region's, and a sample of patients: the first with a whole life."""
    found = [bundle.encode() for bundle in region(SEED).values()]
    return found + [patient(SEED, n, years=10 if n else 120).bundle for n in range(SAMPLE)]


def test_every_resource_is_valid() -> None:
    """Bundles as a whole, with their entries: each resource is checked by the model of its type."""
    model = get_fhir_model_class("Bundle")
    for data in bundles():
        whole: Any = model.model_validate_json(data)
        kinds = [entry.resource.get_resource_type() for entry in whole.entry]
        assert kinds == [e["resource"]["resourceType"] for e in json.loads(data)["entry"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"status":"finished"', b'"staus":"finished"'),
        (b'"period":{"start":"', b'"period":{"start":"on '),
        (b'"use":"claim"', b'"use":["claim"]'),
        (b'"payor":', b'"payer":'),
    ],
)
def test_the_models_find_what_is_wrong(old: bytes, new: bytes) -> None:
    data = patient(SEED, 0).bundle
    assert old in data
    with pytest.raises(ValidationError):
        get_fhir_model_class("Bundle").model_validate_json(data.replace(old, new, 1))


def test_the_import_has_a_place_for_every_resource() -> None:
    """None is rejected or corrected and no reference leads nowhere, whether bundles stand alone or not."""
    index = ReferenceIndex()
    for bundle in region(SEED).values():
        for resource in scan_bundle(bundle.encode())[1]:
            index.add(resource)
    for place in range(SAMPLE):
        for alone, known in ((False, index), (True, ReferenceIndex())):
            made, findings = patient(SEED, place, alone=alone), Listed()
            (draft,) = read_bundle(made.bundle, known, Labels.default().of, findings)
            assert (findings.rejected, findings.corrections, draft.unresolved) == ([], [], 0)
            person = Person(made.name, made.birth_date, made.deceased)
            assert draft.person and replace(draft.person, written=("", "")) == person
