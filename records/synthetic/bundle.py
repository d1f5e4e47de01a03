"""A FHIR R4 transaction bundle under construction, and its exact JSON.

https://hl7.org/fhir/R4/bundle.html and https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

import json
import random
import uuid
from decimal import Decimal
from typing import Any

Resource = dict[str, Any]

_plain = json.JSONEncoder(ensure_ascii=False).encode


class Bundle:
    """Entries in the order they were added, each under a `urn:uuid:` of the generator."""

    def __init__(self, rng: random.Random) -> None:
        """Start empty; ids are drawn from `rng`."""
        self._rng = rng
        self._entries: list[Resource] = []

    def add(self, kind: str, resource: Resource, unless: str = "") -> Resource:
        """Append a resource of this type and return a reference to it.

        `unless` is a search that, when the server finds a match, makes it keep what it has: for
        what many bundles share, such as a hospital.
        """
        name = uuid.UUID(int=self._rng.getrandbits(128), version=4).urn
        request = {"method": "POST", "url": kind}
        if unless:
            request["ifNoneExist"] = unless
        body = {"resourceType": kind, **resource}
        self._entries.append({"fullUrl": name, "resource": body, "request": request})
        return {"reference": name}

    def encode(self) -> bytes:
        """The bundle as compact UTF-8 JSON."""
        whole = {"resourceType": "Bundle", "type": "transaction", "entry": self._entries}
        return encode(whole).encode()


def encode(value: Any) -> str:
    """Compact JSON with every Decimal as it is written: 5.60 stays 5.60.

    The json module knows floats only, and FHIR forbids what they do: a decimal's precision is
    part of what was measured (https://hl7.org/fhir/R4/datatypes.html#decimal).
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(key)}:{encode(value[key])}" for key in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str | int):
        return _plain(value)
    raise TypeError(f"expected a JSON value without floats, got {type(value).__name__}")
