"""What an import may be told instead of an answer."""


class FhirError(ValueError):
    """Not FHIR that can be imported; says where, what was got and what was expected."""
