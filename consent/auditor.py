"""Files around the pure replay; used by `python -m consent` and by `heartwood audit`."""

import argparse
import gc
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timezone
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from consent.patterns import Pattern, Patterns
from consent.released import Compared, Comparison
from consent.replay import Replay, Wrong
from consent.report import check_report, write_report
from consent.rules import named
from crypto.texts import counted
from ledger.auditor import check_witnesses, given_keys, older_checkpoint, unproven_checkpoint
from ledger.checkpoint import Checkpoint
from ledger.commands import moment, run_tool, tell
from ledger.entry import Entry
from ledger.errors import Tampered
from ledger.files import export_reader, list_files, read_file, read_policy, read_vkeys
from ledger.follower import Follower
from ledger.logkeys import LOG, LogKeyRow, LogKeys, generations_of
from ledger.merkle import Frontier, leaf_hash
from ledger.release_log import RELEASES, ReleaseLog, check_releases
from ledger.remarks import Raised, Restored, future_warning, raised_of, restored_of
from ledger.tiles import TILE_WIDTH, split_bundle, tile_path
from ledger.verifier import read_checkpoint

WRONG_SHOWN = 100
"""Most wrong decisions, and most wrong releases, named in a report; all are counted."""
PATTERNS_SHOWN = 100
"""Most patterns named in a report; all are counted."""
NOT_COMPARED = (
    "this export holds no log of the key keeper's releases: readings were not compared with them",
)


@dataclass(frozen=True)
class Audit:
    """What an audit found; good if `wrong` is empty."""

    origin: str
    proven: bool
    """Whether the log's keys came from outside."""
    size: int
    since: int
    """Entries that an earlier audit covered: folded, not decided again."""
    decisions: int
    by_rule: Counter[str]
    in_sessions: int
    """Decisions that rest on a sign-in: acts under keys that the service keeps for people."""
    wrong: tuple[Wrong, ...]
    seconds: float
    restored: tuple[Restored, ...] = ()
    """What the log says it lost when a backup was restored."""
    warnings: tuple[str, ...] = ()
    """What is not wrong and should be looked into."""
    releases: Compared | None = None
    """How the key keeper's releases fit the readings; None where the export holds none."""
    alarms: tuple[Raised, ...] = ()
    """What the key keeper found, as the log says; a wrong decision that stands in the log is in `wrong` as well."""
    patterns: tuple[Pattern, ...] = ()
    """What the rules permit and somebody should be asked about."""

    @property
    def good(self) -> bool:
        """Whether nothing was found that the rules don't give."""
        return not self.wrong and (self.releases is None or not self.releases.wrong)

    def lines(self) -> list[str]:
        """The report for people."""
        rate = self.decisions / max(self.seconds, 1e-9)
        out = [
            f"{counted(self.size, 'entry')} of {self.origin} under its checkpoint"
            + (f", the first {self.since} audited before" if self.since else ""),
            f"{counted(self.decisions, 'decision')} evaluated again from the log alone, in {self.seconds:.1f} s "
            f"({rate:,.0f}/s):",
            *(f"  {count:>8} {_in_words(code)}" for code, count in sorted(self.by_rule.items())),
            *_kept(self.in_sessions),
            *(NOT_COMPARED if self.releases is None else self.releases.lines()),
            *(f"RESTORED: {said}" for said in self.restored),
            *(f"ALARM: {said}" for said in self.alarms),
            *(f"WARNING: {words}" for words in self.warnings),
            *(f"LOOK INTO: {pattern}" for pattern in self.patterns[:PATTERNS_SHOWN]),
            *_left_out(len(self.patterns)),
            *(f"WRONG: {wrong}" for wrong in self.wrong[:WRONG_SHOWN]),
        ]
        released = self.releases.wrong if self.releases else ()
        out += [f"WRONG: {wrong}" for wrong in released[:WRONG_SHOWN]]
        if self.wrong:
            out.append(f"{counted(len(self.wrong), 'decision')} are not those of the rules")
        if released:
            out.append(
                f"{counted(len(released), 'release')} without a permitted reading that gives this"
            )
        if not self.good:
            return out
        if not self.proven:
            return [*out, "consistent, origin unproven: give the log's keys with --vkey"]
        return [*out, "good: every decision is the one that the rules give"]


def _left_out(patterns: int) -> list[str]:
    more = patterns - PATTERNS_SHOWN
    return (
        [f"LOOK INTO: {counted(more, 'more pattern')}, in the report as JSON"] if more > 0 else []
    )


def _kept(count: int) -> list[str]:
    if not count:
        return []
    rest = "rests on a sign-in" if count == 1 else "rest on a sign-in"
    return [
        f"{count} of them {rest}: signed by the service, with keys that it keeps for people; that they were "
        "there is the service's word"
    ]


def _in_words(code: str) -> str:
    """`permit S9` as `permit S9 (grant)`, `deny S12 no_consent` as `deny S12 (default): no_consent`."""
    effect, rule, *reason = code.split(" ")
    return ": ".join([f"{effect} {named(rule)}", *reason])


def audit_export(
    directory: Path, vkeys: Sequence[str] | None, since: Path | None = None,
    policy: bytes | None = None, now: int | None = None, releases: Sequence[str] | None = None,
) -> Audit:  # fmt: skip
    """Decide every gated entry and every refusal of an export again, and compare the keeper's releases with the readings.

    `since`: an older export of the same log whose audit was good; its part is folded only. `policy`: a
    witness policy from outside, which the checkpoint must meet as well as the export's own. `now`: Unix
    ms, by default this machine's clock. `releases`: the verifier keys of the keeper's log of releases, from
    outside. Raises Tampered if the entries are not those under the checkpoint, or don't extend the older
    export, and likewise for the releases.
    """
    began = time.perf_counter()
    now = time.time_ns() // 1_000_000 if now is None else now
    read = export_reader(directory)
    checkpoint, keys = read_checkpoint(read, vkeys)
    check_witnesses(read, [*keys, *given_keys(vkeys, keys)], policy)
    older = unproven_checkpoint(since) if since else Checkpoint(checkpoint.origin, 0, b"")
    if older.size > checkpoint.size:
        raise Tampered(
            f"the older export has {counted(older.size, 'entry')}, this one {checkpoint.size}"
        )
    replay, restored, alarms, raw = Replay(), list[Restored](), list[Raised](), b""
    comparison, patterns = Comparison(), Patterns(_local)
    follower = Follower("the audit", partial(_bundle, directory))
    collecting = gc.isenabled()
    gc.disable()  # nothing made here refers to itself, and millions are made
    try:
        _check_tree(directory, checkpoint, older)
        released = _releases(directory, checkpoint.origin, releases, since, comparison)
        for bundle in follower.bundles(checkpoint.size):
            for raw in bundle:
                anew = replay.entries >= older.size
                if (entry := replay.take(raw) if anew else replay.skip(raw)) is not None:
                    comparison.entry(entry)
                    patterns.take(entry, replay.rows, anew)
                if said := restored_of(raw):
                    restored.append(said)
                if alarm := raised_of(raw):
                    alarms.append(alarm)
    finally:
        if collecting:
            gc.enable()
    if since:
        older_checkpoint(since, LogKeys(generations_of(replay.rows.group(LogKeyRow, LOG))))
    warnings = future_warning(Entry.parse(raw).time, now) if raw and not replay.wrong else []
    seconds = time.perf_counter() - began
    return Audit(
        checkpoint.origin, vkeys is not None, checkpoint.size, older.size, replay.decisions,
        replay.by_rule, replay.in_sessions, tuple(replay.wrong), seconds, tuple(restored), tuple(warnings),
        None if released is None else comparison.finish(released, now),
        tuple(alarms), patterns.found(),
    )  # fmt: skip


def _local(time: int, zone: str) -> tuple[str, int]:
    """The day and the hour of an instant (Unix ms) in a time zone; in UTC where this machine doesn't know it."""
    there = datetime.fromtimestamp(time / 1000, UTC).astimezone(_zone(zone))
    return f"{there:%Y-%m-%d}", there.hour


@cache
def _zone(name: str) -> ZoneInfo | timezone:
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # an older log may name one that there isn't
        return UTC


def _releases(
    directory: Path, origin: str, vkeys: Sequence[str] | None, since: Path | None, into: Comparison
) -> ReleaseLog | None:
    """The keeper's log in an export, which is good; each of its entries is taken `into` the comparison."""
    paths = [f"{RELEASES}{path}" for path in _files(directory / RELEASES)]
    older = None if since is None else export_reader(since)
    return check_releases(export_reader(directory), paths, origin, vkeys, older, into.release)


def _files(folder: Path) -> list[str]:
    return list_files(folder)[0] if folder.is_dir() else []


def _check_tree(directory: Path, checkpoint: Checkpoint, older: Checkpoint) -> None:
    """The entries are those under the checkpoint, and the first of them those of the older one."""
    tree = Frontier()
    follower = Follower("the look at the tree", partial(_bundle, directory))
    for bundle in follower.bundles(checkpoint.size):
        for raw in bundle:
            tree.append(leaf_hash(raw))
            if tree.size == older.size and tree.root() != older.root:
                raise Tampered("the log does not extend the older export")
    if tree.root() != checkpoint.root:
        raise Tampered(
            "checkpoint: its root is not that of the entries; run verify, which names the place"
        )


def _bundle(directory: Path, start: int, end: int) -> list[bytes]:
    """Entries `start` to `end`, exclusive: those of one entry bundle."""
    path = tile_path("entries", start // TILE_WIDTH, end - start)
    raws = split_bundle(read_file(directory, path))
    if len(raws) != end - start:
        raise Tampered(f"{path}: holds {counted(len(raws), 'entry')}, expected {end - start}")
    return raws


def main(arguments: Sequence[str]) -> int:
    """`audit DIR`; prints a report and gives the exit code."""
    parser = argparse.ArgumentParser(
        "python -P -m consent", description="Decide every access of a log again, offline."
    )
    commands = parser.add_subparsers(required=True)
    audit = commands.add_parser("audit", help="audit an export")
    audit.add_argument("directory", type=Path)
    audit.add_argument("--vkey", type=Path, help="the log's verifier keys, from elsewhere")
    audit.add_argument("--since", type=Path, help="an older export whose audit was good")
    audit.add_argument("--policy", type=Path, help="the witness policy, from elsewhere")
    audit.add_argument("--releases-vkey", type=Path, help="the key keeper's, from elsewhere")
    audit.add_argument("--now", type=moment, help="the time to judge by, as 2026-11-20T07:24:00Z")
    audit.add_argument(
        "--report", type=Path, help="write the findings as a page (.html) or as .json"
    )
    options = parser.parse_args(arguments)
    return run_tool(lambda: _audit(options))


def _audit(options: argparse.Namespace) -> int:
    check_report(options.report)
    found = audit_export(
        options.directory, read_vkeys(options.vkey), options.since, read_policy(options.policy),
        options.now, read_vkeys(options.releases_vkey),
    )  # fmt: skip
    if options.report is not None:
        write_report(found, options.report)
    tell(found.lines())
    if not found.good:
        return 1
    return 0 if found.proven else 3
