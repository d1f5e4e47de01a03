"""Replay: every decision of a log decided anew, from the entries before it and nothing else. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from consent.gate import gate
from ledger.directory import Key
from ledger.entry import Entry, nested_event
from ledger.errors import EventError, LedgerError
from ledger.forms import parse_entry
from ledger.rows import Rows
from ledger.types import fold


@dataclass(frozen=True, slots=True)
class Wrong:
    """An entry whose decision the rules don't give, and what they give instead."""

    seq: int
    what: str

    def __str__(self) -> str:
        """As the report says it."""
        return f"entry {self.seq}: {self.what}"


@dataclass
class Replay:
    """Facts so far, and what was found. Entries are taken in order, from 0 on."""

    rows: Rows = field(default_factory=Rows)
    entries: int = 0
    decisions: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    """How many decisions by `permit S9`, `deny S12 no_consent`, …"""
    in_sessions: int = 0
    """How many of them rest on a sign-in: acts under keys that the service keeps."""
    wrong: list[Wrong] = field(default_factory=list)

    def take(self, raw: bytes) -> Entry | None:
        """Decide the next entry anew and fold it; what is wrong goes into `wrong`. Gives the entry, if it is one."""
        seq, entry = self.entries, None
        try:
            entry = parse_entry(raw)
            if entry.link.seq != seq:
                raise EventError(f"calls itself entry {entry.link.seq}")
            if entry.decision is not None:
                self._judge(entry, entry.decision)
            self._check_facts(entry)
            self._fold(entry)
        except (LedgerError, LookupError) as error:
            self.wrong.append(Wrong(seq, str(error)))
        self.entries += 1
        return entry

    def skip(self, raw: bytes) -> Entry:
        """Fold the next entry without deciding it: an earlier audit did. Gives the entry."""
        entry = Entry.stored(raw)
        self._fold(entry)
        self.entries += 1
        return entry

    def _judge(self, entry: Entry, found: dict[str, Any]) -> None:
        self.decisions += 1
        self.by_rule[_words(found)] += 1
        self.in_sessions += "session" in found
        try:
            given = self._decide(entry)
        except LedgerError as error:
            words = f"the rules take no such event: {error}"
        else:
            if given == found:
                return
            words = (
                f"decided {_words(found)}, the rules give {_words(given)}{_differing(found, given)}"
            )
        self.wrong.append(Wrong(entry.link.seq, f"{entry.event.type.name}: {words}"))

    def _check_facts(self, entry: Entry) -> None:
        """What a type without a decision demands of the facts; what doesn't meet it is folded all the same, as it stands."""
        event = entry.event
        try:
            event.type.facts_rule(event, self.rows)
        except LedgerError as error:
            words = f"the rules take no such event: {error}"
            self.wrong.append(Wrong(entry.link.seq, f"{event.type.name}: {words}"))

    def _decide(self, entry: Entry) -> dict[str, Any]:
        event, sig = entry.event, entry.sig
        if event.type.name == "access.refused":
            event, sig = nested_event(event)
        key = self.rows.get(Key, sig.key)
        if key is None:
            raise LedgerError(f"it is signed by {sig.key}, a key that no entry registers")
        session = (entry.decision or {}).get("session")
        return gate(event, key, entry.link.seq, entry.time, self.rows, session).decision

    def _fold(self, entry: Entry) -> None:
        for row in fold(entry, self.rows):
            self.rows.put(row)


def _words(decision: dict[str, Any]) -> str:
    parts = decision["effect"], decision["rule"], decision.get("reason", "")
    return " ".join(part for part in parts if part)


def _differing(found: dict[str, Any], given: dict[str, Any]) -> str:
    """The other members that differ."""
    names = sorted((found.keys() | given.keys()) - {"effect", "rule", "reason"})
    parts = [
        f"{name} {found.get(name)}, not {given.get(name)}"
        for name in names
        if found.get(name) != given.get(name)
    ]
    return f" ({'; '.join(parts)})" if parts else ""
