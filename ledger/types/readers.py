"""Readers whom the patient excludes, and includes again: persons, groups, hospitals."""

from typing import TYPE_CHECKING

from ledger.codes import PURPOSE, READER, body
from ledger.errors import Refused
from ledger.facts import Exclusion
from ledger.policies import Policy
from ledger.relations import RELATIVE, Relation
from ledger.rows import Look, Row, Wanted, row_named, row_of_id
from ledger.types.checks import known_reader
from ledger.types.declaration import EventType, GateRule, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _not_yet(excluded: bool) -> GateRule:
    def rule(event: "Event", policy: Policy, look: Look) -> None:
        reader = event.body["reader"]
        known_reader(reader, look)
        row = look.get(Exclusion, event.subject, reader)
        if (row is not None and row.active) == excluded:
            state = "excluded already" if excluded else "not excluded"
            raise Refused("conflict", f"{reader} is {state}")

    return rule


def _reader(event: "Event") -> list[Wanted]:
    reader = event.body["reader"]
    return [row_of_id(reader), row_named(Exclusion, event.subject, reader)]


def _reader_example(sample: Sample) -> dict[str, str]:
    return {"purpose": "PATRQT", "reader": sample.id("gp")}


def _reader_and_relation(event: "Event") -> list[Wanted]:
    named = row_named(Relation, event.subject, event.body["reader"], RELATIVE)
    return [*_reader(event), named]


def _excluded(entry: "Entry", look: Look) -> list[Row]:
    """A relative who is excluded is none any more: their answers are those that somebody gets who was unlinked."""
    patient, reader, seq = entry.event.subject, entry.event.body["reader"], entry.link.seq
    relation = look.get(Relation, patient, reader, RELATIVE)
    ended = relation is not None and relation.active
    out: list[Row] = [Exclusion(patient, reader, seq, True)]
    return [*out, relation._replace(active=False, seq=seq)] if relation and ended else out


READER_EXCLUDED = EventType(
    "reader.excluded",
    "patient",
    ("patient",),
    body(purpose=PURPOSE, reader=READER),
    since=2,
    action="exclude",
    about="chart",
    gate_rule=_not_yet(excluded=True),
    rule=nothing,
    fold=_excluded,
    changes=(Exclusion, Relation),
    wants=_reader_and_relation,
    example=Example("patient", _reader_example),
)


def _included(entry: "Entry", look: Look) -> list[Row]:
    return [Exclusion(entry.event.subject, entry.event.body["reader"], entry.link.seq, False)]


READER_INCLUDED = EventType(
    "reader.included",
    "patient",
    ("patient",),
    body(purpose=PURPOSE, reader=READER),
    since=2,
    action="exclude",
    about="chart",
    gate_rule=_not_yet(excluded=False),
    plain=True,
    rule=nothing,
    fold=_included,
    changes=(Exclusion,),
    wants=_reader,
    example=Example("patient", _reader_example),
)
