"""FHIR R4 bundles into drafts of patients and records: pure, bytes in, values out."""

from records.imports.fhir.categories import TABLE, category
from records.imports.fhir.drafts import PatientDraft, RecordDraft, Split, Unassigned
from records.imports.fhir.names import REFERENCE_TYPES, ReferenceIndex
from records.imports.fhir.scan import BUNDLE_TYPES, FhirError, Resource, scan_bundle
from records.imports.fhir.split import split

__all__ = [
    "BUNDLE_TYPES",
    "REFERENCE_TYPES",
    "TABLE",
    "FhirError",
    "PatientDraft",
    "RecordDraft",
    "ReferenceIndex",
    "Resource",
    "Split",
    "Unassigned",
    "category",
    "scan_bundle",
    "split",
]
