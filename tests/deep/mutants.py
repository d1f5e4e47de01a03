"""Mutation of the declared event types: whatever is taken out of a declaration, a fast test must miss.

    python -m tests.deep.mutants NUMBER

runs the tests of one mutant, in a process of its own. `rule`, `facts_rule`, `gate_rule`, `fold` become nothing, `ids` what
`creates` tells, `about` the chart; of `wants` one row after the other isn't wanted.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ledger.event import Event
from ledger.types import REGISTRY, TYPES
from ledger.types.declaration import EventType, nothing
from tests.deep.injection import Part, Tally
from tests.golden import make

MUTANT_SECONDS = 60
"""How long the tests of one mutant may take until one of them fails."""
MUTANTS_A_PART = 8
_OF_RULES = (
    "ledger/test_signers",
    "consent/test_gate",
    "ledger/test_declared_rules",
    "ledger/test_applications",
    "ledger/test_claims",
    "ledger/test_consultations",
    "ledger/test_disclosures",
    "ledger/test_emergencies",
    "ledger/test_erasures",
    "ledger/test_holds",
    "ledger/test_invitations",
    "ledger/test_links",
    "ledger/test_referrals",
    "ledger/test_relatives",
    "ledger/test_requests",
    "ledger/test_keys",
    "ledger/test_kept_keys",
    "ledger/test_professions",
    "ledger/test_systems_applied",
    "ledger/test_facts",
    "ledger/test_editions",
    "ledger/test_attempts",
    "ledger/test_sequencer",
    "journeys/test_days",
)
RULE_TESTS = tuple(f"tests/unit/{name}.py" for name in _OF_RULES)
"""Fast, and near to the rules; the first that fails ends the run."""
ROW_TESTS = (
    "tests/integration/storage/test_prefetch.py::test_what_the_service_does_days_later_is_foreseen",
    "tests/integration/storage/test_prefetch.py::test_every_event_of_a_rich_history_is_foreseen[sqlite]",
)
"""One fails when a row was read that no declaration wanted."""
_CHANGES: dict[str, Any] = {
    "rule": nothing, "facts_rule": nothing, "gate_rule": nothing, "fold": nothing, "ids": None, "about": "chart",
}  # fmt: skip
SAME = {
    "policy.changed v2: rule": "no registry before CONSENT has version 2, and CONSENT is the newest one",
}
"""Mutants that do what the declaration does, and why."""


@dataclass(frozen=True)
class Mutant:
    """A declared type without one part; of `wants`, without the row or group number `item`."""

    name: str
    v: int
    part: str
    item: int = 0

    def __str__(self) -> str:
        """As the list names it."""
        return f"{self.name} v{self.v}: {self.part}" + (
            f" {self.item}" if self.part == "wants" else ""
        )

    @property
    def tests(self) -> tuple[str, ...]:
        """Those of which one must fail."""
        return ROW_TESTS if self.part == "wants" else RULE_TESTS

    def make(self) -> None:
        """Change the declaration in this process, also where events know it already."""
        declared = REGISTRY[self.name, self.v]
        changed = _CHANGES.get(self.part)
        if self.part == "wants":
            changed = _without(declared, self.item)
        vars(declared)[self.part] = changed


def _without(declared: EventType, item: int) -> Any:
    true, example = declared.wants, Event.of(make.EVENTS[declared.key])
    left_out = list(true(example))[item]
    form = (left_out.kind, left_out.together, left_out.then is None)

    def wants(event: Event) -> list[Any]:
        return [w for w in true(event) if (w.kind, w.together, w.then is None) != form]

    return wants


def _mutants() -> Iterator[Mutant]:
    for kind in TYPES:
        for part, changed in _CHANGES.items():
            if getattr(kind, part) not in (nothing, changed, None):
                yield Mutant(kind.name, kind.v, part)
        wanted = list(kind.wants(Event.of(make.EVENTS[kind.key])))
        forms = [(one.kind, one.together, one.then is None) for one in wanted]
        yield from (
            Mutant(kind.name, kind.v, "wants", item)
            for item, form in enumerate(forms)
            if form not in forms[:item]
        )


MUTANTS = tuple(mutant for mutant in _mutants() if str(mutant) not in SAME)
"""All of them but those that are the SAME, in the order of the types' names."""


def run(part: Part) -> list[Tally]:
    """Make some of the mutants, by their numbers; each that no test misses is wrong."""
    tally = Tally("declarations, mutants found", part.engine)
    for number in range(part.first, min(part.first + part.count, len(MUTANTS))):
        mutant = MUTANTS[number]
        if part.only and part.only != str(mutant):
            continue
        tally.runs += 1
        try:
            tally.notes.append(f"{mutant}: {find(number)}")
            tally.met += 1
        except Exception as error:
            tally.fail(error, str(mutant), part.again(number))
    return [tally]


def find(number: int) -> str:
    """The test that misses what the mutant lacks; raises AssertionError if none does."""
    command = [sys.executable, "-m", "tests.deep.mutants", str(number)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=MUTANT_SECONDS, check=False
    )
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode != pytest.ExitCode.TESTS_FAILED or failed is None:
        raise AssertionError(f"no test misses it, code {done.returncode}: {done.stdout[-300:]}")
    return failed[1]


class Unshrunk:
    """What a random case is at its smallest is of no interest here, and takes long to find."""

    def pytest_configure(self) -> None:
        """Before any test is collected, and after pytest has prepared hypothesis for itself."""
        from hypothesis import Phase, settings

        settings.register_profile("unshrunk", phases=[Phase.explicit, Phase.generate])
        settings.load_profile("unshrunk")


def main(number: int) -> int:
    """The exit code of the mutant's tests."""
    mutant = MUTANTS[number]
    mutant.make()
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no"]
    return int(pytest.main([*options, *mutant.tests], plugins=[Unshrunk()]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
