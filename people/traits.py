"""Traits of a patient as they are kept: keyed hashes, in a text of JSON."""

import json
from dataclasses import fields
from functools import partial
from typing import Any

from people.demographics import Demographics, Traits
from storage.sql.identifiers import Identifiers, Witness


def hashed(identifiers: Identifiers, patient: str, said: Demographics) -> Traits:
    """What is said of a patient, each part as the keyed hash that is that patient's alone."""
    return Traits.of(said).mapped(partial(identifiers.trait, patient))


def witness(identifiers: Identifiers, patient: str, said: Demographics, since: int) -> Witness:
    """What is kept of a patient; `since`: the log's size."""
    return Witness(since, written(hashed(identifiers, patient, said)))


def written(traits: Traits) -> str:
    """The text that is kept."""
    values = {one.name: getattr(traits, one.name) for one in fields(traits)}
    sets = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in values.items() if v}
    return json.dumps(sets, separators=(",", ":"))


def read(text: str) -> Traits:
    """The traits of a text that `written` made."""
    values: dict[str, Any] = {
        k: frozenset(v) if isinstance(v, list) else v for k, v in json.loads(text).items()
    }
    return Traits(**values)
