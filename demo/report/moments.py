"""The history of a chart in plain words: scenes, each what somebody decided and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from consent.explain import WORDS
from crypto.texts import counted
from demo.report.day import Day
from ledger.entry import Entry, nested_event
from records.history import Act, act

PERMITS = {
    "S1": "an auditor in term may see this",
    "S5": "it is the patient’s own chart",
    "S6": "the hospital keeps what it wrote",
    "S8": "an emergency was declared",
    "S9": "the patient granted it",
    "S12": "a doctor may ask",
}
"""Why a rule lets somebody do something."""
PURPOSES = {
    "TREAT": "treatment",
    "ETREAT": "an emergency",
    "PATRQT": "",
    "HOPERAT": "running the hospital",
}
"""Purposes of use (v3-ActReason) in words; of the patient's own looks none is said."""
OWN_CHART = "S5"
DECIDES = frozenset(
    {
        "access.granted", "access.revoked", "record.hidden", "record.shown", "reader.excluded",
        "reader.included",
    }
)  # fmt: skip
"""What opens a scene: the patient's word."""
CATEGORY_WORDS = {"imaging": "images", "laboratory": "laboratory results", "document": "documents"}


@dataclass(frozen=True)
class Moment:
    """What one person did, once or several times on end."""

    first: int
    last: int
    """Entries."""
    time: str
    """HH:MM:SS, UTC."""
    actor: str
    who: str
    words: str
    kind: str
    """`said`, `done`, `read` or `refused`."""
    why: str
    rule: str
    basis: tuple[int, ...]
    count: int

    @property
    def entries(self) -> str:
        """The entries' numbers as people write them."""
        if self.first == self.last:
            return f"entry {self.first}"
        if self.last - self.first + 1 == self.count:
            return f"entries {self.first} to {self.last}"
        return f"{counted(self.count, 'entry')}, {self.first} to {self.last}"


@dataclass(frozen=True)
class Scene:
    """A word of the patient, or of the hospital at the beginning, and what followed from it."""

    moments: list[Moment] = field(default_factory=list)


def scenes(day: Day) -> list[Scene]:
    """The history up to the patient's last look, in scenes."""
    out = [Scene()]
    for moment in moments(day):
        if moment.kind == "said" and out[-1].moments:
            out.append(Scene())
        out[-1].moments.append(moment)
    return out


def moments(day: Day) -> list[Moment]:
    """What happened, with what one person did on end told once."""
    entries = [Entry.parse(raw) for raw in day.history.entries]
    told = _Telling(day)
    groups = groupby(zip(entries, map(act, entries), strict=True), key=lambda one: _alike(one[1]))
    return [told.moment(list(group)) for _, group in groups]


def _alike(one: Act) -> tuple[object, ...]:
    """What is told once: a patient's own looks of all kinds, and never what a patient decides."""
    own = one.rule == OWN_CHART and _kind(one) == "read"
    kind = "own" if own else f"{one.seq}" if one.type in DECIDES else one.type
    return kind, one.actor, one.effect, one.rule


class _Telling:
    """Tells entries of a chart with names and titles."""

    def __init__(self, day: Day) -> None:
        self._patient, self._name = day.patient, day.name
        self._names: Mapping[str, str] = day.names
        self._titles = {line.record.record: line.title for line in day.lines}

    def moment(self, group: Sequence[tuple[Entry, Act]]) -> Moment:
        """A group of alike entries as one."""
        (entry, first), (_, last) = group[0], group[-1]
        kind = _kind(first)
        why = WORDS.get(first.reason, "") if kind == "refused" else PERMITS.get(first.rule, "")
        return Moment(
            first.seq, last.seq, str(entry.event.value["at"])[11:19], first.actor,
            self.who(first), self._words(entry, first, len(group)), kind, why, first.rule,
            first.basis, len(group),
        )  # fmt: skip

    def who(self, one: Act) -> str:
        """Who did it, as people call them."""
        if one.actor == self._patient:
            return self._name
        if one.role == "hospital_system":
            return self._called(one.hospital)
        return self._called(one.actor)

    def _called(self, account: str) -> str:
        return self._names.get(account) or f"{account[:7]}…"

    def _words(self, entry: Entry, one: Act, count: int) -> str:
        inner = (
            nested_event(entry.event)[0]
            if entry.event.type.name == "access.refused"
            else entry.event
        )
        body = dict(inner.body)
        if one.rule == OWN_CHART and count > 1 and _kind(one) == "read":
            return f"looks at their own chart, {count} times"
        if one.type in ("record.opened", "record.uploaded"):
            return self._records(one, count)
        tell = _TELLERS.get(one.type)
        words = tell(self, body) if tell else one.type.replace(".", " ")
        reading = inner.type.reading or one.effect != "deny"
        return words if reading else f"tries in vain: {words}"

    def _records(self, one: Act, count: int) -> str:
        """So many records were added, read or refused; a single one by its title."""
        title = self._titles.get(one.record, "")
        what = (
            f"{counted(count, 'record')}" if count > 1 else f"“{title}”" if title else "one record"
        )
        if one.type == "record.uploaded":
            return f"{'tries to add' if one.effect == 'deny' else 'adds'} {what} to the chart"
        purpose = PURPOSES.get(one.purpose, one.purpose)
        ending = f" for {purpose}" if purpose else ""
        return f"tries to read {what}" if one.effect == "deny" else f"reads {what}{ending}"

    def granted(self, body: Mapping[str, Any]) -> str:
        """Who may see what from now on."""
        what = "the whole chart"
        if body["scope"] == "partial":
            categories = body.get("what", {}).get("categories", ["a part of the chart"])
            what = "the " + " and ".join(CATEGORY_WORDS.get(one, one) for one in categories)
        if body["scope"] == "selective":
            titles = [self._titles.get(one) or "a record" for one in body["records"]]
            what = ", ".join(f"“{title}”" for title in titles)
        times = ", for one reading" if body.get("uses") == 1 else ""
        everybody = "everybody at " if str(body["grantee"]).startswith("hs_") else ""
        return f"lets {everybody}{self._called(body['grantee'])} see {what}{times}"

    def revoked(self, body: Mapping[str, Any]) -> str:
        """Who may see it no more."""
        return f"revokes {self._called(body['grantee'])}’s access"

    def excluded(self, body: Mapping[str, Any]) -> str:
        """Who sees nothing, whatever was granted."""
        return f"excludes {self._called(body['reader'])} from the chart"

    def included(self, body: Mapping[str, Any]) -> str:
        """Who may be granted something again."""
        return f"lifts the exclusion of {self._called(body['reader'])}"

    def hidden(self, body: Mapping[str, Any]) -> str:
        """What no grant covers any more."""
        return f"hides “{self._titles.get(body['record']) or 'a record'}”"

    def shown(self, body: Mapping[str, Any]) -> str:
        """What grants cover again."""
        return f"shows “{self._titles.get(body['record']) or 'a record'}” again"


_TELLERS: dict[str, Callable[[_Telling, Mapping[str, Any]], str]] = {
    "access.granted": _Telling.granted,
    "access.revoked": _Telling.revoked,
    "reader.excluded": _Telling.excluded,
    "reader.included": _Telling.included,
    "record.hidden": _Telling.hidden,
    "record.shown": _Telling.shown,
    "record.carried": lambda told, body: "opens a record to correct it",
    "emergency.declared": lambda told, body: "declares an emergency",
    "emergency.opened": lambda told, body: "looks at what was declared and read in the emergency",
    "emergency.reviewed": lambda told, body: (
        f"reviews the emergency: {body['finding'].replace('_', ' ')}"
    ),
    "patient.registered": lambda told, body: "opens the chart",
    "claim.offered": lambda told, body: "sends a code to claim the chart with",
    "patient.claimed": lambda told, body: "claims the chart",
    "chart.opened": lambda told, body: "looks at the list of records",
    "history.opened": lambda told, body: "looks at everything that was done",
    "chart.exported": lambda told, body: "downloads a copy of the whole chart",
}


def _kind(one: Act) -> str:
    if one.effect == "deny":
        return "refused"
    if one.type in DECIDES:
        return "said"
    return "read" if one.type.endswith(".opened") or one.type == "chart.exported" else "done"
