"""`python -m benchmarks [NAME …]`: one table; every figure beside the limit of the same run."""

import argparse
import importlib
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure

NAMES = {
    "append": "append in process, each signed and by bundles (SQLite)",
    "postgres": "append on PostgreSQL with two processes",
    "verifying": "verify a whole log, with and without signatures and orjson",
    "blobs": "upload of a large blob, with memory",
    "receipts": "one receipt",
    "deciding": "decide with 1,000 grants; the audit of a log",
    "serving": "HTTP: one event a request, bundles, readings; SQLite and PostgreSQL",
    "restarting": "views built anew; the start after a crash at a million entries",
    "importing": "import of sample or generated data",
}
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Run the named benchmarks, or all; print the table, write the results; 1 if a floor is missed."""
    text = "\n".join(f"  {name:<11} {what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        epilog=f"benchmarks:\n{text}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="which; all without a name")
    names = parser.parse_args().name or list(NAMES)
    if unknown := set(names) - NAMES.keys():
        parser.error(f"got {min(unknown)!r}, expected some of {', '.join(NAMES)}")
    figures: list[Figure] = []
    console = Console(stderr=True)
    for name in names:
        console.print(f"measuring {name}: {NAMES[name]}")
        figures += importlib.import_module(f"benchmarks.{name}").figures()
    Console(width=170).print(table(figures))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([figure.json() for figure in figures], indent=1) + "\n")
    return int(any(figure.met is False for figure in figures))


def table(figures: list[Figure]) -> Table:
    """The figures as a table for people."""
    out = Table("what", "figure", "unit", "limit", "ratio", "floor", "met", "aim")
    for f in figures:
        met = "" if f.met is None else ("yes" if f.met else "NO")
        out.add_row(
            f.name,
            f"{f.value:,.0f}" if f.value >= 100 else f"{f.value:.2f}",
            f.unit,
            "" if f.limit is None else f"{f.limit:,.0f}",
            "" if f.ratio is None else f"{f.ratio:.2f}",
            f.floor,
            met,
            f.aim,
        )
    return out


if __name__ == "__main__":
    raise SystemExit(main())
