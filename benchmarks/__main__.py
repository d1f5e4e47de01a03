"""`python -m benchmarks [NAME …]`: the table of targets, or the comparisons of docs/performance.md."""

import argparse
import importlib
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import blobs, growing
from benchmarks.machine import busy, machine
from benchmarks.measure import Figure
from benchmarks.page import Part, keep, kept, markdown, number, write_part
from benchmarks.targets import TARGETS

TARGETED = {
    "append": "append in process, each signed and by bundles (SQLite)",
    "postgres": "append on PostgreSQL with two processes",
    "verifying": "verify a whole log, with and without signatures and orjson",
    "blobs": "upload of a large blob, with memory",
    "s3": "upload of a large blob to an S3 server, with memory",
    "receipts": "one receipt",
    "rewrapping": "rotation of the record root with a million keys",
    "erasing": "erasing a chart of 1,000 records",
    "keeping": "the key keeper: releases, what it and a witness cost appends, how far it is behind",
    "deciding": "decide with 1,000 grants; the audit of a log",
    "serving": "HTTP: one event a request, bundles, readings; SQLite and PostgreSQL",
    "hot": "charts that have had many grants, over HTTP",
    "attacked": "a well-behaved client's latency while others attack the server",
    "signing_in": "sign-ins by password and code, others beside them, a session's check, wrong ones' times",
    "growing": "one log of a million entries: growth, views built anew, start after a crash",
    "importing": "import of sample or generated data",
}
"""Without a name, all of these: the table of targets."""
COMPARED = {
    "profile": "where the microseconds of append, reading and verify go",
    "comparison": "the same events by alternatives",
    "ycsb": "YCSB A to F as signed events at rising load",
    "smallbank": "SmallBank as signed events at rising load",
    "ciphers": "Cobblestone-256 against older ciphers",
}
"""These write a block of docs/performance.md and its plots; `compare` is all of them."""
HEAD = ("what", ">figure", "unit", ">limit", ">ratio", "target", "met", "aim")


def main() -> int:
    """Run what is named; print, keep and write down what came of it. 1 if a target is missed."""
    arguments = _arguments()
    names: list[str] = arguments.name or list(TARGETED)
    if "compare" in names:
        names = list(COMPARED)
    console, began, where = Console(stderr=True), time.perf_counter(), _where()
    figures: list[Figure] = []
    whole = False
    try:
        for name in names:
            console.print(f"measuring {name}: {(TARGETED | COMPARED)[name]}")
            module = importlib.import_module(f"benchmarks.{name}")
            if name in TARGETED:
                figures += module.figures(*_sizes(name, arguments))
            else:
                _compare(name, module, arguments, where)
        whole = not arguments.name and not _resized(arguments)
    finally:  # what was measured before an error is told too
        if figures:
            _report(figures, where, whole)
    console.print(f"{time.perf_counter() - began:.0f} s")
    return int(any(figure.met is False for figure in figures))


def _arguments() -> argparse.Namespace:
    every = TARGETED | COMPARED
    text = "\n".join(f"  {name:<11} {what}" for name, what in every.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        epilog=f"benchmarks:\n{text}\n  compare     all from profile on",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="which; append to importing without a name")  # fmt: skip
    parser.add_argument("--entries", type=int, default=growing.ENTRIES, help="of the long log")
    parser.add_argument("--gib", type=int, default=blobs.GIB, help="of the large blob")
    parser.add_argument("--quick", action="store_true", help="comparisons: small, printed, nothing written")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="comparisons: write again what was measured last")  # fmt: skip
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - every.keys() - {"compare"}:
        parser.error(f"got {min(unknown)!r}, expected some of {', '.join(every)}, compare")
    return arguments


def _sizes(name: str, arguments: argparse.Namespace) -> list[int]:
    return {"growing": [arguments.entries], "blobs": [arguments.gib]}.get(name, [])


def _resized(arguments: argparse.Namespace) -> bool:
    return bool(arguments.entries != growing.ENTRIES or arguments.gib != blobs.GIB)


def _where() -> str:
    return f"Measured on: {machine()}.{busy()}"


def _compare(name: str, module: object, arguments: argparse.Namespace, where: str) -> None:
    """Measure (or take what was kept), print the blocks; write them and the plots unless `--quick`."""
    if arguments.again:
        where, data = kept(name)
    else:
        data = module.measure(arguments.quick)  # type: ignore[attr-defined]
    part: Part = module.part(data)  # type: ignore[attr-defined]
    print("\n\n".join(part.blocks.values()))
    if not arguments.quick:
        keep(name, [where, data])
        write_part(part, where)


def _report(figures: Sequence[Figure], where: str, whole: bool) -> None:
    """Print the table and keep it; a whole one is written down and has a row for every target."""
    rows = [_row(figure) for figure in figures]
    out = Table(*(name.lstrip(">") for name in HEAD), caption=where)
    for row in rows:
        out.add_row(*row)
    Console(width=190).print(out)
    keep("latest", [figure.json() for figure in figures])
    if not whole:
        return
    if missing := [t.what for t in TARGETS.values() if t not in {f.target for f in figures}]:
        raise SystemExit(f"no figure for {missing}")
    write_part(Part({"targets": markdown(HEAD, rows)}), where)


def _row(figure: Figure) -> tuple[str, ...]:
    target, met = figure.target, {None: "", True: "yes", False: "NO"}[figure.met]
    return (
        figure.name, number(figure.value), figure.unit, number(figure.limit), number(figure.ratio),
        target.text if target else "", met, target.aim if target else "",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
