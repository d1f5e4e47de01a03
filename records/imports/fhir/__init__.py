"""FHIR R4 bundles into drafts of patients and records: pure, bytes in, values out."""

from records.imports.fhir.categories import TABLE, category
from records.imports.fhir.names import REFERENCE_TYPES, Finder, ReferenceIndex
from records.imports.fhir.scan import (
    BUNDLE_TYPES,
    FhirError,
    Resource,
    Unreadable,
    scan_bundle,
    scan_entries,
)
from records.imports.fhir.split import split

__all__ = [
    "BUNDLE_TYPES",
    "REFERENCE_TYPES",
    "TABLE",
    "FhirError",
    "Finder",
    "ReferenceIndex",
    "Resource",
    "Unreadable",
    "category",
    "scan_bundle",
    "scan_entries",
    "split",
]
