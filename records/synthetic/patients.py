"""Synthetic patients, each with the FHIR R4 transaction bundle of a record."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from records.synthetic.bundle import Bundle
from records.synthetic.history import History
from records.synthetic.person import Person, draw_person


@dataclass(frozen=True)
class SyntheticPatient:
    """A made-up patient: who it is, and the record as a FHIR transaction bundle (UTF-8 JSON)."""

    identifier: str
    name: str
    birth_date: str
    deceased: bool
    bundle: bytes


def patients(seed: int, count: int) -> Iterator[SyntheticPatient]:
    """The first `count` patients of `seed`.

    A patient depends on the seed and its place only, so a longer run begins with the shorter one.
    Identifiers are unique within a seed. Of each 8 patients one is a minor, of each 20 one has
    died.
    """
    for place in range(count):
        yield _patient(seed, place)


def _patient(seed: int, place: int) -> SyntheticPatient:
    rng = random.Random(f"heartwood/patient/{seed}/{place}")
    site = random.Random(f"heartwood/site/{seed}").randrange(1_000, 10_000)
    person = draw_person(rng, f"MRN-{site}-{place:06d}", place)
    return SyntheticPatient(
        identifier=person.identifier,
        name=person.name,
        birth_date=person.born.isoformat(),
        deceased=person.died is not None,
        bundle=_bundle(rng, person),
    )


def _bundle(rng: random.Random, person: Person) -> bytes:
    bundle = Bundle(rng)
    History(rng, bundle, person).write()
    return bundle.encode()
