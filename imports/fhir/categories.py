"""Which category a resource falls in: the table of docs/import.md, and nothing beside it."""

from dataclasses import dataclass

from imports.fhir.scan import Resource
from imports.fhir.walk import objects


@dataclass(frozen=True, slots=True)
class Row:
    """What falls in a category: types, and `category` codes of CODED_TYPES; apart by spaces."""

    category: str
    types: str
    codes: str = ""


DEMOGRAPHICS, SUMMARY, OTHER = "demographics", "summary", "encounter"
CODED_TYPES = ("Observation", "DiagnosticReport")

# The codes are those of observation-category, HL7 v2 table 0074 and the LOINC parts of US Core.
TABLE = (
    Row(
        "encounter",
        "Encounter EpisodeOfCare CarePlan CareTeam Goal Observation",
        "vital-signs social-history survey exam therapy activity",
    ),
    Row(
        "laboratory",
        "Specimen MolecularSequence",
        "laboratory LAB BG BLB CG CH CP GE HM IMM MB MCB MYC OSL PAR PAT SP SR TX URN VR LP7839-6",
    ),
    Row(
        "imaging",
        "ImagingStudy Media",
        "imaging IMG RAD CT CUS NMR NMS OUS RUS RX VUS XRC LP29684-5",
    ),
    Row(
        "medication",
        "MedicationRequest MedicationAdministration MedicationDispense MedicationStatement",
    ),
    Row("immunization", "Immunization ImmunizationEvaluation ImmunizationRecommendation"),
    Row("procedure", "Procedure", "procedure CTH"),
    Row(
        "condition",
        "Condition AllergyIntolerance AdverseEvent FamilyMemberHistory DetectedIssue",
    ),
    Row("document", "DocumentReference DocumentManifest Composition Binary DiagnosticReport"),
    Row(
        "billing",
        "Claim ClaimResponse ExplanationOfBenefit Coverage CoverageEligibilityRequest"
        " CoverageEligibilityResponse Account ChargeItem Invoice PaymentNotice"
        " PaymentReconciliation",
    ),
)

_BY_TYPE = {name: row.category for row in TABLE for name in row.types.split()}
_BY_CODE = {code.lower(): row.category for row in TABLE for code in row.codes.split()}


def category(resource: Resource, *, tied: bool) -> str:
    """Return the category; `tied` says whether the resource belongs to an encounter.

    The first code that the table knows decides, in source order and whatever its system.
    """
    if resource.type == "Patient":
        return DEMOGRAPHICS
    if not tied:
        return SUMMARY
    if resource.type in CODED_TYPES:
        for coding in objects(resource.body, "category.coding"):
            code = coding.get("code")
            if isinstance(code, str) and code.lower() in _BY_CODE:
                return _BY_CODE[code.lower()]
    return _BY_TYPE.get(resource.type, OTHER)
