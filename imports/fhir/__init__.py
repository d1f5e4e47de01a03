"""FHIR R4 bundles into drafts of patients and records: pure, bytes in, values out."""

from imports.errors import FhirError
from imports.fhir.categories import TABLE, category
from imports.fhir.names import REFERENCE_TYPES, Finder, ReferenceIndex
from imports.fhir.scan import (
    BUNDLE_TYPES,
    Resource,
    Unreadable,
    scan_bundle,
    scan_entries,
)
from imports.fhir.split import split

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
