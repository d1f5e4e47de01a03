"""The fault-injection runs of `make deep`: bad luck of every kind, and the consent rules against their model.

Prints one table and ends with 1 if anything was lost or wrong, each with the command that repeats it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from tests.deep import finding, keeper, scarce
from tests.deep.injection import ENGINES, Part, Tally
from tests.deep.kinds import KINDS, run_part
from tests.deep.tracing import StraceMissing, find_strace
from tests.support.patroni import PatroniMissing, find_or_install_patroni
from tests.support.postgres import PostgresMissing, find_or_install
from tests.support.radosgw import RadosgwMissing, find_or_install_radosgw
from tests.support.versitygw import GatewayMissing, built

SEED = 20_261_120
COLUMNS = ("fault", "engine", "runs", "met", "acknowledged", "lost", "wrong")
WIDTH = 110


def main() -> int:
    """Run the kinds that are named, all by default; 1 if anything is lost or wrong."""
    options = _options()
    names = options.names or list(KINDS)
    engines = options.engine or [*ENGINES, "none"]
    left_out = _left_out(names, engines)
    for line in left_out:
        print(line)
    if left_out and os.environ.get("CI") == "true":
        return 1
    parts = list(_parts(names, engines, options))
    began = time.perf_counter()
    tallies = _run(parts, options.jobs)
    _print(tallies, time.perf_counter() - began, options.seed)
    return 1 if any(tally.lost or tally.wrong or not tally.runs for tally in tallies) else 0


def _options() -> argparse.Namespace:
    kinds = "\n".join(f"  {name:9}{kind.size:>9,} {kind.unit}" for name, kind in KINDS.items())
    parser = argparse.ArgumentParser(
        "python -m tests.deep",
        description=f"{__doc__}\nkinds, and their sizes by default:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which kinds; all by default")
    parser.add_argument("--size", type=int, help="cases of each kind, instead of the default")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default="", help="one case, in the words of its kind")
    parser.add_argument("--engine", action="append", choices=[*ENGINES, "none"])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in KINDS]:
        parser.error(f"got {', '.join(unknown)}, expected of {', '.join(KINDS)}")
    return options


def _left_out(names: list[str], engines: list[str]) -> list[str]:
    """What can't run here, a line each; it is taken out of the lists."""
    lines = []
    try:
        if any(KINDS[name].traced for name in names):
            find_strace()
    except StraceMissing as missing:
        lines.append(f"{missing}")
        names[:] = [name for name in names if not KINDS[name].traced]
    try:
        if "postgresql" in engines:
            find_or_install()
    except PostgresMissing as missing:
        lines.append(f"{missing}")
        engines.remove("postgresql")
    try:
        if "failover" in names and "postgresql" in engines:
            find_or_install_patroni()
    except PatroniMissing as missing:
        lines.append(f"{missing}")
        names.remove("failover")
    try:
        if "s3" in names:
            built()
    except GatewayMissing as missing:
        lines.append(f"{missing}")
        names.remove("s3")
    if "keeper" in names and not keeper.may_trace():
        lines.append(
            "no process may be traced here: faults at the keeper's system calls are left out"
        )
    try:
        if "radosgw" in names and "none" in engines:
            find_or_install_radosgw()
    except RadosgwMissing as missing:
        lines.append(f"{missing}")
        names.remove("radosgw")
    if "scarce" in names and not scarce.may_mount():
        lines.append("no small disk can be mounted here: full disks are limits of files alone")
    return lines


def _parts(names: list[str], engines: list[str], options: argparse.Namespace) -> Iterator[Part]:
    for name in names:
        kind = KINDS[name]
        size = 1 if options.only else options.size or kind.size
        first, part = options.first, finding.RUNS if options.only else kind.part
        for start in range(first, first + size, part):
            for engine in kind.engines:
                if engine in engines:
                    count = part if options.only else min(part, first + size - start)
                    yield Part(name, engine, options.seed, start, count, options.only)


def _run(parts: list[Part], jobs: int) -> list[Tally]:
    """All parts, in processes of their own; the tallies of one kind, fault and engine summed up."""
    summed: dict[tuple[str, str], Tally] = {}
    console = Console(stderr=True)
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    with console.status("") as status, _cancelling(pool):
        for done, (part, tallies) in enumerate(
            zip(parts, pool.map(run_part, parts), strict=True), 1
        ):
            status.update(f"{done} of {len(parts)} parts; {part.kind}, {part.engine}")
            for tally in tallies:
                if not console.is_terminal:  # a log that is cut off still says what was done
                    print(f"part {done} of {len(parts)}: {tally}", file=sys.stderr, flush=True)
                summed.setdefault(
                    (tally.fault, tally.engine), Tally(tally.fault, tally.engine)
                ).add(tally)
    return list(summed.values())


@contextmanager
def _cancelling(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Whoever interrupts waits for the parts at work alone."""
    try:
        yield
    finally:
        pool.shutdown(cancel_futures=True)


def _print(tallies: list[Tally], seconds: float, seed: int) -> None:
    table = Table(*COLUMNS)
    for column in table.columns[2:]:
        column.justify = "right"
    for tally in tallies:
        table.add_row(
            tally.fault, tally.engine, *(f"{getattr(tally, name):,}" for name in COLUMNS[2:])
        )
    total = Tally("all", "")
    for tally in tallies:
        total.add(tally)
    table.add_section()
    table.add_row("all", "", *(f"{getattr(total, name):,}" for name in COLUMNS[2:]))
    Console(width=WIDTH).print(table)
    for line in total.notes:
        print(line)
    for failure in total.failures:
        print(f"\nFAILED {failure}")
    print(f"seed {seed}, {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
