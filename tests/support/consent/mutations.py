"""Ways to make a mutant of `decide`, a fold or the gate; a mutant is given the true one first."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from consent import decide as engine
from consent import gate
from consent.decide import Decision, Facts, Request
from ledger.entry import Entry
from ledger.facts import Grant
from ledger.policies import Policy
from ledger.rows import Look, Row
from ledger.types import TYPES
from ledger.types.declaration import EventType, nothing

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]
Stage = Callable[[Request, Facts, Policy], Decision | None]
Mistake = Callable[[Stage, Request, Facts, Policy], Decision | None]


def stage(name: str, new: Mistake) -> Mutation:
    """The stage function `name` of the engine."""

    def mutate(patch: Patch) -> None:
        true = getattr(engine, name)

        def replaced(request: Request, facts: Facts, policy: Policy) -> Decision | None:
            return new(true, request, facts, policy)

        stages = tuple(replaced if one is true else one for one in engine.STAGES)
        assert stages != engine.STAGES
        patch.setattr(engine, "STAGES", stages)

    return mutate


def skipped(name: str) -> Mutation:
    """The stage never answers."""
    return stage(name, lambda true, request, facts, policy: None)


def asked(name: str, change: Callable[[Request], Request]) -> Mutation:
    """The stage is asked another question."""
    return stage(name, lambda true, request, facts, policy: true(change(request), facts, policy))


def before(name: str, other: str) -> Mutation:
    """The stage `name` is moved to before the stage `other`."""

    def mutate(patch: Patch) -> None:
        moved = getattr(engine, name)
        stages = [one for one in engine.STAGES if one is not moved]
        stages.insert(stages.index(getattr(engine, other)), moved)
        patch.setattr(engine, "STAGES", tuple(stages))

    return mutate


def chosen(choose: Callable[[list[Grant]], Grant]) -> Mutation:
    """S9 names another one of those that permit."""

    def grant(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
        found = permitting(true, request, facts, policy)
        return Decision("permit", "S9", (choose(found).seq,)) if found else None

    return stage("_grant", grant)


def permitting(true: Stage, request: Request, facts: Facts, policy: Policy) -> list[Grant]:
    """The grants each of which alone would permit, as they are listed."""
    alone = [(grant, facts._replace(grants=(grant,))) for grant in facts.grants]
    return [grant for grant, fact in alone if true(request, fact, policy)]


def part(name: str, new: Callable[..., Any], *homes: ModuleType) -> Mutation:
    """A function of the engine, or of `homes`: the module that defines it, and those that take it from there."""

    def mutate(patch: Patch) -> None:
        true = getattr((homes or (engine,))[0], name)
        for home in homes or (engine,):
            patch.setattr(home, name, lambda *given: new(true, *given))

    return mutate


def together(*mutations: Mutation) -> Mutation:
    """A mistake made in several places, where one alone lets nothing through."""

    def mutate(patch: Patch) -> None:
        for one in mutations:
            one(patch)

    return mutate


def constant(name: str, value: Any) -> Mutation:
    """A constant of the engine."""
    return lambda patch: patch.setattr(engine, name, value)


def gathering(new: Callable[..., Facts]) -> Mutation:
    """How the gate gathers facts."""

    def mutate(patch: Patch) -> None:
        true = gate.gather
        patch.setattr(gate, "gather", lambda *given: new(true, *given))

    return mutate


def versions(kind: str) -> list[EventType]:
    """A type in each of its versions."""
    return [declared for declared in TYPES if declared.name == kind]


def fold(kind: str, new: Callable[[Any, Entry, Look], list[Row]]) -> Mutation:
    """The fold of one type of event in a patient's stream."""

    def mutate(patch: Patch) -> None:
        for declared in versions(kind):
            true = declared.fold
            patch.setitem(
                vars(declared), "fold", lambda entry, look, true=true: new(true, entry, look)
            )

    return mutate


def forgotten(kind: str) -> Mutation:
    """Such an event changes nothing."""

    def mutate(patch: Patch) -> None:
        for declared in versions(kind):
            assert declared.changes
            patch.setitem(vars(declared), "fold", nothing)

    return mutate
