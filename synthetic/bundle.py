"""A FHIR R4 transaction bundle under construction, and its exact JSON.

https://hl7.org/fhir/R4/bundle.html and https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from synthetic.chance import Chance

Resource = dict[str, Any]


class Bundle:
    """Entries in the order they were added, each under a `urn:uuid:` of the generator."""

    def __init__(self, chance: Chance) -> None:
        """Start empty; ids are drawn from `chance`."""
        self._chance = chance
        self._entries: list[Resource] = []
        self.types: Counter[str] = Counter()

    def add(self, kind: str, resource: Resource, unless: str = "") -> dict[str, str]:
        """Append a resource of this type and return a reference to it.

        `unless` is a search that, when the server finds a match, makes it keep what it has: for
        what many bundles share, such as a hospital.
        """
        name = "urn:uuid:" + self._chance.uuid()
        request = {"method": "POST", "url": kind}
        if unless:
            request["ifNoneExist"] = unless
        body = {"resourceType": kind, **resource}
        self._entries.append({"fullUrl": name, "resource": body, "request": request})
        self.types[kind] += 1
        return {"reference": name}

    def encode(self) -> bytes:
        """The bundle as compact UTF-8 JSON."""
        return orjson.dumps(
            {"resourceType": "Bundle", "type": "transaction", "entry": self._entries}
        )


def decimal(digits: int, places: int) -> str:
    """A whole number of hundredths, say, as JSON with all its places: 560 and 2 are `5.60`.

    FHIR keeps a decimal's precision as part of what was measured, which a float would lose
    (https://hl7.org/fhir/R4/datatypes.html#decimal).
    """
    if places == 0:
        return str(digits)
    sign, digits = ("-" if digits < 0 else ""), abs(digits)
    whole, part = divmod(digits, 10**places)
    return f"{sign}{whole}.{part:0{places}d}"
