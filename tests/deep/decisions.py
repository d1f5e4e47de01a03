"""Random decisions, equal in the log, in the key keeper and in the audit (P13): each is made by its own reader of the log."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keeper.following
from api.app.settings import Settings
from consent.auditor import audit_export
from keeper.errors import KeeperRefused
from ledger.entry import Entry
from storage.exports import write_export
from storage.feeding import feed
from tests.deep.injection import Part, Tally
from tests.deep.witness import Wrong
from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.sequences import Sequence

SEQUENCES = 130
SEQUENCES_A_PART = 10
EVENTS = 2_000
"""Of one sequence, at least; about half of them are decided."""
MOST = 50
"""Events of a batch, at most."""
Decision = dict[str, Any]


def run(part: Part) -> list[Tally]:
    """Play `count` sequences, each on a ledger of its own; `acknowledged` counts decisions."""
    tally = Tally("decisions in log, keeper and audit", part.engine)
    for number in range(part.first, part.first + part.count):
        tally.runs, tally.met = tally.runs + 1, tally.met + 1
        try:
            tally.acknowledged += decided_alike(part.chance(number), EVENTS)
        except Exception as error:
            tally.fail(error, f"sequence {number}", part.again(number))
    return [tally]


def decided_alike(chance: random.Random, events: int) -> int:
    """Append a random sequence, and let the keeper and the audit decide it again; how many decisions there were.

    Raises Wrong where one of them decides otherwise, or leaves one out.
    """
    with (
        tempfile.TemporaryDirectory(prefix="heartwood-deep-") as folder,
        _keepers_decisions() as given,
    ):
        fixture = LedgerFixture.found(Settings(data=Path(folder) / "data"))
        try:
            logged = _appended(fixture, chance, events)
            try:
                feed(fixture.ledger, fixture.size())
            except KeeperRefused as refused:
                raise Wrong(f"the keeper doesn't follow: {refused}") from refused
            _compare(fixture, logged, given)
            _check_audit(fixture, Path(folder) / "export", len(logged))
        finally:
            fixture.close()
    return len(logged)


def _appended(fixture: LedgerFixture, chance: random.Random, events: int) -> dict[int, Decision]:
    """The log's decisions, by their entries."""
    drawn = Sequence(chance, fixture, events)
    drawn.reserve()
    start = 0
    while start < len(drawn.proposals):
        batch = drawn.proposals[start : start + chance.randint(1, MOST)]
        fixture.ledger.append(batch)
        start += len(batch)
    with fixture.ledger.database.read() as connection:
        raws = fixture.ledger.store.range(connection, 0, fixture.size())
    entries = [Entry.parse(raw) for raw in raws]
    return {e.link.seq: e.decision for e in entries if e.decision is not None}


@contextmanager
def _keepers_decisions() -> Iterator[dict[int, Decision]]:
    """What the keeper in this process decides meanwhile, by the entries' numbers."""
    true: Callable[..., Any] = keeper.following.gate  # type: ignore[attr-defined]
    given: dict[int, Decision] = {}

    def gate(event: Any, key: Any, seq: int, *rest: Any) -> Any:
        judged = true(event, key, seq, *rest)
        given[seq] = judged.decision
        return judged

    keeper.following.gate = gate  # type: ignore[attr-defined, assignment]
    try:
        yield given
    finally:
        keeper.following.gate = true  # type: ignore[attr-defined]


def _compare(
    fixture: LedgerFixture, logged: dict[int, Decision], given: dict[int, Decision]
) -> None:
    """Every decision of the log is the keeper's, who read all of it and has nothing to say; raises Wrong."""
    size, stands = fixture.size(), fixture.ledger.keeper.standing()
    for seq, decision in logged.items():
        if seq in given and given[seq] != decision:
            raise Wrong(f"entry {seq}: the log decided {decision}, the keeper {given[seq]}")
    if stands.read != size or fixture.ledger.keeper.alarms():
        raise Wrong(f"the keeper read {stands.read} of {size}, {fixture.ledger.keeper.alarms()}")
    if left := [seq for seq in logged if seq not in given]:
        raise Wrong(f"the keeper decided nothing of the entries {left[:10]}")


def _check_audit(fixture: LedgerFixture, target: Path, decisions: int) -> None:
    """The audit decides as many, and all alike; raises Wrong."""
    write_export(fixture.ledger, target)
    audit = audit_export(target, vkeys(fixture.settings))
    if audit.wrong or audit.decisions != decisions:
        raise Wrong(f"the audit made {audit.decisions} of {decisions} decisions: {audit.wrong[:1]}")
