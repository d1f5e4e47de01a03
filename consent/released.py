"""Readings and releases side by side: what the key keeper gave out, it gave for a permitted reading that gives just that.

The log says what was permitted, the keeper's own log what it gave. Pure.
"""

from collections import defaultdict
from dataclasses import dataclass

from crypto.encoding import b64decode
from crypto.texts import counted
from ledger.entry import Entry
from ledger.release_log import ReleaseLog
from ledger.releases import (
    EXPORT,
    KEY,
    ONCE,
    PACKAGE,
    RELEASE_MS,
    RELEASED_FOR,
    RESTORED,
    Release,
    export_given,
    key_given,
    package_given,
)
from ledger.remarks import FUTURE_MS, Restored
from ledger.times import format_time

NEVER = 1 << 62
"""A number that no entry has."""
KEYED = frozenset(RELEASED_FOR[KEY] + RELEASED_FOR[EXPORT] + RELEASED_FOR[PACKAGE])
"""The types of the readings that a key is given for."""


@dataclass(frozen=True, slots=True)
class WrongRelease:
    """A release that isn't for a permitted reading which gives that."""

    seq: int
    """Its number in the keeper's log."""
    reading: int
    """The number of the entry that it names in the log."""
    what: str

    def __str__(self) -> str:
        """As the report says it."""
        return f"release {self.seq}, for entry {self.reading}: {self.what}"


@dataclass(frozen=True)
class Compared:
    """How readings and releases fit each other; good if `wrong` is empty."""

    log: ReleaseLog
    wrong: tuple[WrongRelease, ...]
    keyless: int
    """Readings since the first release that got no key: nothing was asked for, or it was refused, or the export lies between."""
    before: int
    """Readings that are older than the first release."""
    beyond: int
    """Releases for readings after the last entry of this export."""
    lost: int
    """Releases for readings that were lost when the log was restored from a backup."""

    def lines(self) -> list[str]:
        """The report for people."""
        out = [
            f"{counted(self.log.size, 'release')} of {self.log.origin} compared with the readings: "
            f"{counted(self.keyless, 'reading')} got no key"
            + (f", {self.before} more are older than the first release" if self.before else "")
        ]
        if not self.log.proven:
            out[0] += "; origin unproven: give the keeper's keys with --releases-vkey"
        if self.beyond:
            out.append(
                f"{counted(self.beyond, 'release')} for readings after the last entry of this export: compare them with a later one"
            )
        if self.lost:
            out.append(
                f"{counted(self.lost, 'release')} for readings that were lost when the log was restored"
            )
        return [*out, *self.log.told()]


class Comparison:
    """Takes all releases first, then the log's entries; both in order."""

    def __init__(self) -> None:
        """Nothing taken so far."""
        self._releases: dict[int, list[Release]] = defaultdict(list)
        self._wrong: list[WrongRelease] = []
        self._others: list[tuple[Release, str]] = []
        """Releases for an event that doesn't stand where they say, and what does."""
        self._keyless: list[int] = []
        self._restored: list[tuple[Restored, int]] = []
        """What the log says it lost, and when it said so, Unix ms."""
        self._first = NEVER
        self._time = 0

    def release(self, release: Release) -> None:
        """Take the next entry of the keeper's log."""
        if release.kind != RESTORED:
            self._releases[release.reading].append(release)
            self._first = min(self._first, release.reading)

    def entry(self, entry: Entry) -> None:
        """Take the next entry of the log."""
        seq, event = entry.link.seq, entry.event
        self._time, key = entry.time, None
        if event.type.name == "ledger.restored":
            self._restored.append((Restored.of(entry), entry.time))
        for release in self._releases.pop(seq, ()):
            if release.event != event.id:
                self._others.append(
                    (release, f"the log holds {event.id} there, not {release.event}")
                )
                continue
            words = _mismatch(entry, release)
            if release.kind in ONCE:
                if not words and key is not None:
                    words = f"its key was given before, by release {key}"
                key = release.seq
            if words:
                self._wrong.append(WrongRelease(release.seq, seq, words))
        if event.type.name in KEYED and key is None:
            self._keyless.append(seq)

    def finish(self, log: ReleaseLog, now: int) -> Compared:
        """What was found, once all is taken. `now`: the auditor's clock, Unix ms: nothing was released after it."""
        beyond = lost = 0
        for release, words in self._others:
            if self._is_lost(release):
                lost += 1
            else:
                self._wrong.append(WrongRelease(release.seq, release.reading, words))
        for release in (one for given in self._releases.values() for one in given):
            if self._is_lost(release):
                lost += 1
            elif release.time > now + FUTURE_MS:
                words = f"it says {format_time(release.time)}, which lies in the future"
                self._wrong.append(WrongRelease(release.seq, release.reading, words))
            elif release.time >= self._time - RELEASE_MS:
                beyond += 1
            else:
                words = "the log holds no such entry, and later ones"
                self._wrong.append(WrongRelease(release.seq, release.reading, words))
        before = sum(seq < self._first for seq in self._keyless)
        self._wrong.sort(key=lambda wrong: wrong.seq)
        return Compared(log, tuple(self._wrong), len(self._keyless) - before, before, beyond, lost)

    def _is_lost(self, release: Release) -> bool:
        """Whether it is for a reading that the log says it lost."""
        return any(
            said.size <= release.reading < said.last_size and release.time <= time + RELEASE_MS
            for said, time in self._restored
        )


def _mismatch(entry: Entry, release: Release) -> str:
    """Why an entry is no reading that gives what was released for it; empty if it is one."""
    event, kind = entry.event, release.kind
    if event.type.name not in RELEASED_FOR[kind]:
        return f"it is {event.type.name}, and {kind} was given"
    if entry.decision is None or entry.decision["effect"] != "permit":
        return "it was not permitted"
    apart = abs(release.time - entry.time)
    if apart > RELEASE_MS:
        return f"it is {apart} ms away, expected at most {RELEASE_MS}"
    if _gives(entry, release):
        return ""
    return f"{event.type.name} gives something else than {_words(release)}"


def _gives(entry: Entry, release: Release) -> bool:
    event, body, what = entry.event, entry.event.body, release.what
    if release.kind == KEY:
        return what == key_given(body["record"], body["version"], body["blob"])
    if release.kind == EXPORT:
        return what == export_given(body["count"], b64decode(body["root"], 32))
    if release.kind == PACKAGE:
        return what == package_given(body["count"], b64decode(body["root"], 32), body["key"])
    if event.role == "auditor":
        return False
    if event.type.name == "record.opened":
        return bool(what["objects"] == [body["record"]])
    if event.type.name == "emergency.opened":
        return bool(what["objects"] == [event.subject])
    return event.type.name != "chart.opened" or (entry.decision or {})["rule"] == "S5"


def _words(release: Release) -> str:
    """What was given, for people."""
    what = release.what
    if release.kind == KEY:
        return f"the key of version {what['version']} of {what['record']}"
    if release.kind == EXPORT:
        return f"the keys of {counted(what['count'], 'version')} with the root {what['root']}"
    if release.kind == PACKAGE:
        return f"a package of {counted(what['count'], 'version')} with the root {what['root']} for {what['key']}"
    return f"texts of {', '.join(what['objects'][:3])}"
