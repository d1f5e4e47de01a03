"""The index on disk answers as the one in memory."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imports.fhir import ReferenceIndex, scan_bundle
from imports.references import SpooledIndex
from tests.unit.imports.test_fhir import bundle

KINDS = st.sampled_from(["Practitioner", "Organization", "Location", "Patient"])
NUMBERS = st.fixed_dictionaries({"system": st.just("urn:n"), "value": st.sampled_from("12")})
BODIES = st.fixed_dictionaries(
    {"resourceType": KINDS},
    optional={
        "id": st.sampled_from("abc"),
        "identifier": st.lists(NUMBERS, max_size=2),
        "name": st.sampled_from(["x", "é"]),
    },
)
REFERENCES = [
    *(f"{kind}/{name}{version}" for kind in ("Practitioner", "Organization") for name in "abz" for version in ("", "/_history/2")),
    *(f"urn:{name}" for name in "abc"),
    *(f"{kind}?identifier=urn:n{bar}{n}" for kind in ("Practitioner", "Location") for bar in ("|", "%7C") for n in "123"),
    "", "?", "#x", "Patient/a",
]  # fmt: skip


@given(st.lists(BODIES, max_size=8))
def test_both_find_the_same(bodies: list[dict[str, Any]]) -> None:
    memory, disk = ReferenceIndex(), SpooledIndex()
    for resource in scan_bundle(bundle(*(json.loads(json.dumps(body)) for body in bodies)))[1]:
        memory.add(resource)
        disk.add(resource)
    for reference in REFERENCES:
        kept, spooled = memory.find(reference), disk.find(reference)
        assert (kept and kept.raw) == (spooled and spooled.raw), reference
        assert (kept and kept.full_url) == (spooled and spooled.full_url)
    disk.close()
