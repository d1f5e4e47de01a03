"""Planted faults: each property of `test_decide.py`, and the model, is seen to fail on some of them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

import pytest

from consent import decide as engine
from consent import facts as folding
from consent.decide import Decision, Facts, Request
from consent.facts import Grant
from consent.policy import DEFAULT_POLICY, Policy
from ledger.directory import Look, Row
from ledger.entry import Entry
from tests.unit.test_decide import PROPERTIES

SEEDS: Final = 500
"""Random cases within which a fault must show."""

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


@dataclass(frozen=True)
class Fault:
    """A mistake somebody could make, how it is made here, and the checks that must see it."""

    name: str
    plant: Plant
    seen_by: tuple[str, ...]


# --- ways to plant


def stage(name: str, new: Callable[[Any, Request, Facts, Policy], Decision | None]) -> Plant:
    """The stage function `name`, replaced by `new`, which is given the true one first."""

    def plant(patch: Patch) -> None:
        true = getattr(engine, name)

        def replaced(request: Request, facts: Facts, policy: Policy) -> Decision | None:
            return new(true, request, facts, policy)

        stages = tuple(replaced if one is true else one for one in engine.STAGES)
        assert stages != engine.STAGES
        patch.setattr(engine, "STAGES", stages)

    return plant


def part(name: str, new: Callable[..., Any]) -> Plant:
    """A function of the engine, replaced by `new`, which is given the true one first."""

    def plant(patch: Patch) -> None:
        true = getattr(engine, name)
        patch.setattr(engine, name, lambda *given: new(true, *given))

    return plant


def fold(kind: str, new: Callable[[Any, Entry, Look], list[Row]]) -> Plant:
    """The fold of one type of event, replaced by `new`, which is given the true one first."""

    def plant(patch: Patch) -> None:
        true = folding._FOLDS[kind]
        patch.setitem(folding._FOLDS, kind, lambda entry, look: new(true, entry, look))

    return plant


def constant(name: str, value: Any) -> Plant:
    return lambda patch: patch.setattr(engine, name, value)


# --- mistakes


def skip(*_: Any) -> None:
    """The stage never answers."""


def forget(*_: Any) -> list[Row]:
    """The fold changes nothing."""
    return []


def admins_read(patch: Patch) -> None:
    more = engine.ROLE_ACTIONS["hospital_admin"] | {"list", "read"}
    patch.setitem(engine.ROLE_ACTIONS, "hospital_admin", more)


def auditors_do_all(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return Decision("permit", "S1") if request.role == "auditor" else true(request, facts, policy)


def known_is_enough(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return true(request._replace(held=True), facts, policy)  # type: ignore[no-any-return]


def any_code(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return true(request._replace(purpose="TREAT"), facts, policy)  # type: ignore[no-any-return]


def a_millisecond_late(
    true: Any, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    return true(request._replace(now=request.now - 1), facts, policy)  # type: ignore[no-any-return]


def own_work_as_doctor(
    true: Any, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    record = request.record._replace(hospital="") if request.record else None
    return true(request._replace(record=record), facts, policy)  # type: ignore[no-any-return]


def everybody_is_custodian(
    true: Any, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    record = request.record._replace(hospital=request.hospital) if request.record else None
    return true(request._replace(record=record), facts, policy)  # type: ignore[no-any-return]


def switch_ignored(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return true(request, facts, Policy.of(DEFAULT_POLICY, 0))  # type: ignore[no-any-return]


def for_ones_own_sake(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return true(request._replace(on_behalf_of=""), facts, policy)  # type: ignore[no-any-return]


def permitting(request: Request, facts: Facts) -> list[Grant]:
    if request.on_behalf_of:
        return []
    return [grant for grant in facts.grants if engine._applies(grant, request)]


def first_listed(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    found = permitting(request, facts)
    return Decision("permit", "S9", (found[0].seq,)) if found else None


def lowest_id(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    found = sorted(permitting(request, facts), key=lambda grant: grant.grant)
    return Decision("permit", "S9", (found[0].seq,)) if found else None


def all_must_permit(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    some_do_not = len(permitting(request, facts)) < len(facts.grants)
    return None if some_do_not else true(request, facts, policy)


def limited_first(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    found = sorted(permitting(request, facts), key=lambda grant: (not grant.uses, grant.seq))
    return Decision("permit", "S9", (found[0].seq,)) if found else None


def doctors_list(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    if request.role == "doctor" and request.action == "list":
        return Decision("permit", "S12")
    return true(request, facts, policy)  # type: ignore[no-any-return]


def cached() -> Callable[..., Decision | None]:
    """A positive answer is remembered, whatever the time and the facts."""
    answers: dict[tuple[str, str], Decision] = {}

    def grant(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
        found = answers.get((request.actor, request.action)) or true(request, facts, policy)
        if found:
            answers[request.actor, request.action] = found
        return found

    return grant


def every_seventh() -> Callable[..., Decision | None]:
    """An answer that depends on how often was asked."""
    asked = count()

    def default(true: Any, request: Request, facts: Facts, policy: Policy) -> Decision | None:
        if next(asked) % 7 == 0:
            return Decision("permit", "S12")
        return true(request, facts, policy)  # type: ignore[no-any-return]

    return default


def end_included(true: Any, grant: Grant, request: Request) -> bool:
    return bool(true(grant._replace(end=grant.end + 1), request))


def start_excluded(true: Any, grant: Grant, request: Request) -> bool:
    return bool(true(grant._replace(start=grant.start + 1), request))


def any_patient(true: Any, grant: Grant, request: Request) -> bool:
    return bool(true(grant._replace(patient=request.patient), request))


def one_label_is_enough(true: Any, grant: Grant, request: Request) -> bool:
    record = request.record
    if record is not None and set(record.labels) & set(grant.labels):
        request = request._replace(record=record._replace(labels=(), sensitive=False))
    return bool(true(grant, request))


def labels_ignored(true: Any, grant: Grant, request: Request) -> bool:
    return bool(true(grant._replace(sensitive=True), request))


def everything_listed(true: Any, grant: Grant, request: Request) -> bool:
    return bool(true(grant._replace(scope="full"), request))


def toggled(true: Any, entry: Entry, look: Look) -> list[Row]:
    grants = look.group(Grant, entry.event.subject, entry.event.body["grantee"])
    return [g._replace(active=not g.active, seq=entry.link.seq) for g in grants]


def only_if_named(true: Any, entry: Entry, look: Look) -> list[Row]:
    return list(true(entry, look)) if "grant" in entry.event.body else []


def denied_for_ever(true: Any, entry: Entry, look: Look) -> list[Row]:
    grant, name = true(entry, look)
    old = look.get(Grant, grant.patient, grant.grantee, grant.lineage)
    return [grant._replace(active=old is None or old.active), name]


def never_grants_again(true: Any, entry: Entry, look: Look) -> list[Row]:
    grant, name = true(entry, look)
    old = look.get(Grant, grant.patient, grant.grantee, grant.lineage)
    return [old or grant, name]


P1, P2, P3, P4, P5, P6, P7, P8, P11, P15, P16, P17, P18, P20 = PROPERTIES

FAULTS: Final = [
    Fault("S0 lets everybody pass", stage("_sanity", skip), (P20,)),
    Fault("S0 takes every role as held", stage("_sanity", known_is_enough), (P20,)),
    Fault("S0 takes every purpose", stage("_sanity", any_code), (P20,)),
    Fault("S1 lets admins read", admins_read, (P15, P20)),
    Fault("S1 lets auditors do all", stage("_role", auditors_do_all), (P15, P20)),
    Fault("S2 is left out", stage("_state", skip), (P20,)),
    Fault("S3 is left out", stage("_assurance", skip), (P20,)),
    Fault("S5 counts ages a millisecond late", stage("_self", a_millisecond_late), (P17, P20)),
    Fault("S5 lets minors erase", constant("MINOR_EXCEPT", frozenset()), (P17, P20)),
    Fault("S5 retracts what a doctor wrote", stage("_self", own_work_as_doctor), (P20,)),
    Fault("S6 takes every hospital as author", stage("_custodian", everybody_is_custodian), (P20,)),
    Fault("S6 ignores the switch", stage("_custodian", switch_ignored), (P20,)),
    Fault("S6 permits delegates", stage("_custodian", for_ones_own_sake), (P20,)),
    Fault("S8 is left out", stage("_emergency", skip), (P20,)),
    Fault("S9 permits delegates", stage("_grant", for_ones_own_sake), (P20,)),
    Fault("S9 takes the first listed", stage("_grant", first_listed), (P7, P20)),
    Fault("S9 takes the lowest id", stage("_grant", lowest_id), (P16, P20)),
    Fault("S9 takes limited before unlimited", stage("_grant", limited_first), (P20,)),
    Fault("S9 lets lineages limit each other", stage("_grant", all_must_permit), (P4, P20)),
    Fault("S9 caches what it permitted", stage("_grant", cached()), (P6, P20)),
    Fault("S9 includes the end", part("_applies", end_included), (P6, P20)),
    Fault("S9 excludes the start", part("_applies", start_excluded), (P6, P20)),
    Fault("S9 takes any patient's grant", part("_applies", any_patient), (P8,)),
    Fault("S9 is content with one label", part("_covers", one_label_is_enough), (P11, P20)),
    Fault("S9 ignores labels", part("_covers", labels_ignored), (P20,)),
    Fault("S9 shows what was hidden", constant("HIDDEN", ""), (P20,)),
    Fault("S9 takes every record as listed", part("_covers", everything_listed), (P20,)),
    Fault("S12 lets doctors list", stage("_default", doctors_list), (P2, P20)),
    Fault("S12 counts questions", stage("_default", every_seventh()), (P1, P20)),
    Fault("uses are not counted", fold("record.opened", forget), (P20,)),
    Fault("revocations are forgotten", fold("access.revoked", forget), (P5, P18, P20)),
    Fault("revoking all revokes nothing", fold("access.revoked", only_if_named), (P5, P18, P20)),
    Fault("revoking twice restores", fold("access.revoked", toggled), (P3, P20)),
    Fault("what was revoked stays so", fold("access.granted", denied_for_ever), (P18, P20)),
    Fault("a lineage has one grant", fold("access.granted", never_grants_again), (P18, P20)),
]


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        pytest.param(fault, check, id=f"{fault.name}, seen by {check}")
        for fault in FAULTS
        for check in fault.seen_by
    ],
)
def test_a_planted_fault_is_seen(fault: Fault, check: str, monkeypatch: Patch) -> None:
    fault.plant(monkeypatch)
    with pytest.raises(AssertionError):
        run(check)


def run(name: str) -> None:
    """A property on many random cases, always the same."""
    for seed in range(SEEDS):
        PROPERTIES[name](Random(seed))


def test_every_property_was_seen_to_fail() -> None:
    assert {name for fault in FAULTS for name in fault.seen_by} == set(PROPERTIES)


@pytest.mark.parametrize("name", PROPERTIES)
def test_without_a_fault_nothing_fails(name: str) -> None:
    run(name)
