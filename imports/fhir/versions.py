"""What a resource says of its own version, and by what its content is known again in any formatting."""

import json
import re
from hashlib import sha256
from typing import Any

from imports.fhir.scan import Resource
from imports.fhir.walk import objects
from imports.standing import CORRECTED, FINAL, PRELIMINARY, WITHDRAWN, Standing, milliseconds, tag

RANKS = {
    "registered": PRELIMINARY,
    "partial": PRELIMINARY,
    "preliminary": PRELIMINARY,
    "final": FINAL,
    "amended": CORRECTED,
    "corrected": CORRECTED,
    "appended": CORRECTED,
    "cancelled": CORRECTED,
    "entered-in-error": WITHDRAWN,
}
"""Status of results, and the one that any resource may have."""
RESULTS = frozenset({"DiagnosticReport", "Observation"})
"""What is about its code: another code is another result."""
VERSION_LIMIT = 2**63
_NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII).match


def content_hash(resource: Resource) -> bytes:
    """SHA-256 of the content whatever its white space, escapes and order of members; digits count as written."""
    try:
        text = json.dumps(resource.body, sort_keys=True, separators=(",", ":"), default=_digits)
    except RecursionError:  # it nests deeper than can be written: known again by its bytes only
        return sha256(resource.raw).digest()
    return sha256(text.encode("ascii")).digest()


def _digits(number: object) -> list[str]:
    """A decimal as no JSON of a source reads: its digits are part of the value."""
    return ["decimal", str(number)]


def standing(resource: Resource) -> Standing:
    """What the resource says of its version, status and time, and of where it comes from."""
    meta = resource.body.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    version = _text(meta.get("versionId"))
    return Standing(
        version=int(version) if _NUMBER(version) else 0,
        updated=milliseconds(_text(meta.get("lastUpdated"))),
        stated=milliseconds(_text(resource.body.get("issued"))),
        rank=_rank(resource),
        source=tag(_source(resource, _text(meta.get("source")))),
        kind=tag(_code(resource)) if resource.type in RESULTS else tag(""),
    )


def _rank(resource: Resource) -> int:
    verified = {
        str(coding.get("code")) for coding in objects(resource.body, "verificationStatus.coding")
    }
    if "entered-in-error" in verified:
        return WITHDRAWN
    rank = RANKS.get(_text(resource.body.get("status")), 0)
    return rank if rank == WITHDRAWN or resource.type in RESULTS else 0


def _source(resource: Resource, stated: str) -> str:
    """The base of a server's address in `fullUrl`, else what `meta.source` says without its fragment."""
    url = resource.full_url or ""
    base = url.removesuffix(f"/{resource.type}/{resource.id}")
    if resource.id and base != url and base.startswith(("http://", "https://")):
        return base
    return stated.partition("#")[0]


def _code(resource: Resource) -> str:
    """Its first coding, else its text."""
    for coding in objects(resource.body, "code.coding"):
        return f"{coding.get('system')}|{coding.get('code')}"
    return next((_text(code.get("text")) for code in objects(resource.body, "code")), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
