"""The kinds of fault-injection runs, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.deep import (
    batches,
    calls,
    consent,
    decisions,
    erasing,
    failover,
    finding,
    keeper,
    kills,
    mutants,
    people,
    radosgw,
    rotation,
    s3,
    scarce,
    server,
    torn,
    witnesses,
)
from tests.deep.injection import ENGINES, Part, Tally, quiet


@dataclass(frozen=True)
class Kind:
    """A kind of run: what does a part of it, its engines, how many cases by default and in one part."""

    run: Callable[[Part], list[Tally]]
    engines: tuple[str, ...]
    size: int
    part: int
    unit: str
    traced: bool = False


KINDS = {
    "kills": Kind(kills.run, ENGINES, kills.KILLS, kills.KILLS_A_PART, "kills an engine"),
    "calls": Kind(calls.run, ENGINES, calls.MOST, calls.FAULTS_A_PART, "faults an engine, at most", True),
    "server": Kind(server.run, ("postgresql",), server.KILLS, server.KILLS_A_PART, "kills"),
    "failover": Kind(failover.run, ("postgresql",), failover.KILLS, failover.KILLS_A_PART, "kills of a leader"),
    "keeper": Kind(keeper.run, ENGINES, keeper.RUNS, keeper.RUNS_A_PART, "kills an engine, and 2 faults each", True),
    "witness": Kind(witnesses.run, (*ENGINES, "none"), witnesses.RUNS, witnesses.RUNS_A_PART, "kills"),
    "people": Kind(people.run, ENGINES, people.RUNS, people.RUNS_A_PART, "kills of sign-ins and of mail an engine, 8 faults each", True),
    "rotation": Kind(rotation.run, ENGINES, rotation.MOST, rotation.KILLS_A_PART, "kills of each command, at most", True),
    "erasure": Kind(erasing.run, ENGINES, erasing.MOST, erasing.KILLS_A_PART, "kills of an erasure an engine, at most", True),
    "s3": Kind(s3.run, ("sqlite",), s3.KILLS, s3.KILLS_A_PART, "kills, blobs in S3"),
    "radosgw": Kind(radosgw.run, ("none",), radosgw.RUNS, radosgw.RUNS, "runs of the contract of blob stores"),
    "scarce": Kind(scarce.run, ENGINES, scarce.RUNS, scarce.RUNS_A_PART, "runs of each scarcity"),
    "torn": Kind(torn.run, ("sqlite",), torn.RUNS, torn.RUNS_A_PART, "runs of each tear"),
    "finding": Kind(finding.run, ENGINES, finding.RUNS, finding.RUNS_A_PART, "mutants of the append", True),
    "batches": Kind(batches.run, ENGINES, batches.SEQUENCES, batches.SEQUENCES_A_PART, "sequences an engine"),
    "mutants": Kind(mutants.run, ("none",), len(mutants.MUTANTS), mutants.MUTANTS_A_PART, "mutants of declared types"),
    "decisions": Kind(decisions.run, ("none",), decisions.SEQUENCES, decisions.SEQUENCES_A_PART, "sequences, 100,000 decisions in all"),
    "consent": Kind(consent.run, ("none",), consent.CASES, consent.CASES_A_PART, "cases"),
}  # fmt: skip


def run_part(part: Part) -> list[Tally]:
    """One part, in a process of the pool."""
    quiet()
    return KINDS[part.kind].run(part)
