"""An audit as a page to print and file, or as JSON for other programs. One file, no script, nothing fetched."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consent.patterns import Pattern
from consent.rules import RULES
from crypto.errors import FormError
from crypto.texts import counted, printable

if TYPE_CHECKING:
    from consent.auditor import Audit

ROWS_SHOWN = 1_000
"""Most findings of a kind on the page; all stand in the JSON."""
KINDS = {
    "again": "Tried again although excluded",
    "colleague": "Charts of colleagues",
    "many": "Many charts in a day",
    "night": "Charts at night",
    "stranger": "People of whom the hospital has no record",
    "unreviewed": "Emergencies that nobody reviewed in time",
}
"""The headings of the patterns."""
_STYLE = """
:root { color-scheme: light dark; --paper: #faf7f0; --ink: #2a2520; --line: #d8cfbf; --bad: #9b2c1d; --good: #2f6b3a }
@media (prefers-color-scheme: dark) { :root { --paper: #1d1a17; --ink: #ece5d8; --line: #4a4238; --bad: #ef8f7e; --good: #8fd09b } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 Georgia, serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { border-bottom: 1px solid var(--line); font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top }
td:first-child { white-space: nowrap } td { overflow-wrap: anywhere } .bad { color: var(--bad) } .good { color: var(--good) } .n { font-variant-numeric: tabular-nums; text-align: right }
@media print { :root { --paper: #fff; --ink: #000 } h2 { break-after: avoid } tr { break-inside: avoid } }
"""


def write_report(audit: "Audit", path: Path) -> None:
    """Write the findings: a page where the name ends with `.html`, JSON with `.json`. Raises as `check_report` does."""
    check_report(path)
    made = report_html(audit) if path.suffix == ".html" else report_json(audit)
    path.write_text(made, encoding="utf-8")


def check_report(path: Path | None) -> None:
    """Raises FormError where a report couldn't be written: before the audit, which may take long."""
    if path is None:
        return
    if path.suffix not in (".html", ".json"):
        raise FormError(
            f"got a report named {path.name}, expected a name that ends with .html or .json"
        )
    if not path.parent.is_dir():
        raise FormError(f"got a report in {path.parent}, which is no folder")


def report_json(audit: "Audit") -> str:
    """All findings as one JSON object."""
    return json.dumps(findings(audit), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def findings(audit: "Audit") -> dict[str, Any]:
    """All findings, of which JSON can be made."""
    return asdict(audit) | {
        "by_rule": dict(audit.by_rule),
        "good": audit.good,
        "patterns": [pattern._asdict() for pattern in audit.patterns],
    }


def report_html(audit: "Audit") -> str:
    """The findings as one page; what comes from the log is escaped and printable."""
    wrong = [(f"entry {one.seq}", one.what) for one in audit.wrong]
    if audit.releases is not None:
        wrong += [
            (f"release {one.seq}", f"for entry {one.reading}: {one.what}")
            for one in audit.releases.wrong
        ]
    remarks = [
        *(("restored", str(said)) for said in audit.restored),
        *(("alarm", str(said)) for said in audit.alarms),
        *(("warning", words) for words in audit.warnings),
    ]
    parts = [
        f"<h1>Audit of {_text(audit.origin)}</h1>",
        _verdict(audit),
        _section("Wrong", wrong, "Every decision is the one that the rules give."),
        _section(
            "Said by the log itself", remarks, "Nothing was restored, and no alarm was raised."
        ),
        _patterns(audit.patterns),
        "<h2>Decisions by rule</h2>",
        _table((code, f"{count:,}", _rule(code)) for code, count in sorted(audit.by_rule.items())),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>Audit of {_text(audit.origin)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _verdict(audit: "Audit") -> str:
    kind, words = "bad", "Wrong: at least one finding isn't what the rules give."
    if audit.good and audit.proven:
        kind, words = "good", "Good: every decision is the one that the rules give."
    elif audit.good:
        words = "Consistent, origin unproven: the log's keys came from nowhere else."
    since = f", of which the first {audit.since:,} were audited before" if audit.since else ""
    return (
        f'<p class="{kind}"><strong>{words}</strong></p><p>{counted(audit.size, "entry")}{since}; '
        f"{counted(audit.decisions, 'decision')} evaluated again from the log alone.</p>"
    )


def _section(title: str, rows: list[tuple[str, str]], none: str) -> str:
    shown = _table(rows[:ROWS_SHOWN]) if rows else f"<p>{none}</p>"
    more = (
        f"<p>{counted(len(rows) - ROWS_SHOWN, 'more row')} in the JSON.</p>"
        if len(rows) > ROWS_SHOWN
        else ""
    )
    return f"<h2>{title}: {len(rows):,}</h2>{shown}{more}"


def _patterns(patterns: tuple[Pattern, ...]) -> str:
    out = [f"<h2>To be looked into: {len(patterns):,}</h2><p>The rules permit these, or refused them. Each is a question to "
           "the reader's hospital and no verdict.</p>"]  # fmt: skip
    for kind, title in KINDS.items():
        found = [pattern for pattern in patterns if pattern.kind == kind]
        if found:
            rows = [(f"{pattern.times:,}", str(pattern)) for pattern in found]
            out.append(f"<h3>{title}: {len(found):,}</h3>{_table(rows[:ROWS_SHOWN])}")
    return "".join(out)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _rule(code: str) -> str:
    rule = code.split(" ")[1]
    return RULES[rule][1] if rule in RULES else ""


def _text(text: str) -> str:
    return escape(printable(text))
