"""What an audit of a generated year has to find: curiosity that no rule forbids, and decisions that no rule gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from api.app.opening import open_ledger
from api.app.settings import Settings
from client import beside, emergencies, grants
from client.local import LocalClient
from consent.gate import gate
from demo.steps import expect
from demo.year.calendar import Calendar, YearClock
from demo.year.world import Chart, House, World
from identity.actors import Actor
from ledger.directory import Key
from ledger.event import Event
from ledger.rows import Look
from ledger.sequencer import Appended, Denied, Judged
from ledger.times import DAY_MS, HOUR_MS

CHARTS, AT_NIGHT, UNKNOWN, AGAIN = 30, 6, 6, 3
"""Charts looked into on a day, at night, of strangers, and tries of the excluded."""
NIGHT_MS = HOUR_MS * 3 // 2
"""Half past one UTC is night from Lisbon to Helsinki."""
MORNING_MS = 11 * HOUR_MS


@dataclass(frozen=True)
class Planted:
    """One fraud."""

    kind: str
    """That of the pattern (`consent.patterns`), or `decision`."""
    what: str
    """Of whom, in words."""
    reader: str
    """Who did it."""
    seq: int
    """Its first entry."""


def plant(world: World, calendar: Calendar) -> list[Planted]:
    """Put one fraud of each pattern into the calendar; the list fills as the year passes."""
    planted = list[Planted]()
    for number, (kind, act) in enumerate(_PATTERNS.items(), 1):
        day = calendar.midnight + calendar.days * number // (len(_PATTERNS) + 3) * DAY_MS
        act(world, calendar, day, lambda *found, kind=kind: planted.append(Planted(kind, *found)))
    return planted


_Found = Callable[[str, str, int], None]


def _many(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    _browse(world, calendar, day + MORNING_MS, world.houses[0], CHARTS, found)


def _night(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    _browse(world, calendar, day + NIGHT_MS, world.houses[1], AT_NIGHT, found)


def _browse(
    world: World, calendar: Calendar, at: int, house: House, count: int, found: _Found
) -> None:
    """A doctor reads one record each of patients of their hospital whom they never saw."""
    doctor = house.doctors[0]

    def look() -> None:
        theirs = [c for c in world.charts if c.home is house and not c.apart]
        charts = [c for c in theirs if c not in world.panels.get(doctor.account, ())][:count]
        expect(len(charts) == count, f"{len(charts)} patients, expected {count}")
        seqs = _read(world, doctor, charts)
        found(f"a doctor looked into {count} charts of people they never saw", doctor.account, seqs[0])  # fmt: skip

    calendar.at(at, look)


def _colleague(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    house = world.houses[2]
    chart, curious = _apart(world, house), house.doctors[1]

    def approve() -> None:
        admin, account = house.admin, chart.actor.account
        body = {"account": account}
        event = admin.event("doctor.approved", f"hospital/{house.hospital}", body, calendar.clock.now)  # fmt: skip
        world.append([(admin, event)])

    def look() -> None:
        (seq,) = _read(world, curious, [chart])
        found("a doctor looked into the chart of a colleague", curious.account, seq)

    calendar.at(day + MORNING_MS, approve)
    calendar.at(day + DAY_MS + MORNING_MS, look)


def _stranger(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    house = world.houses[3]
    curious = house.doctors[0]

    def look() -> None:
        charts = [
            c
            for c in world.charts
            if house.hospital not in c.hospitals
            and not c.apart
            and all(doctor is not curious for doctor, _ in c.granted)
        ]
        seqs = _read(world, curious, charts[:UNKNOWN])
        found(f"a doctor tried the charts of {UNKNOWN} people their hospital never saw", curious.account, seqs[0])  # fmt: skip

    calendar.at(day + MORNING_MS, look)


def _again(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    chart = _apart(world, world.houses[0])
    excluded = world.houses[4].doctors[0]

    def exclude() -> None:
        grants.exclude(world.client, chart.actor, chart.patient, excluded.account)
        chart.excluded.add(excluded.account)

    def look() -> None:
        seqs = _read(world, excluded, [chart] * AGAIN)
        found("a doctor whom the patient excluded tried again", excluded.account, seqs[0])

    calendar.at(day + MORNING_MS, exclude)
    calendar.at(day + DAY_MS + MORNING_MS, look)


def _unreviewed(world: World, calendar: Calendar, day: int, found: _Found) -> None:
    chart, doctor = _apart(world, world.houses[1]), world.houses[4].doctors[2]

    def declare() -> None:
        words = "Fell on the stairs"
        _, seq = emergencies.declare(world.client, doctor, chart.patient, "life_at_risk", words)
        found("an emergency that nobody reviewed", doctor.account, seq)

    calendar.at(day + MORNING_MS, declare)


_PATTERNS: dict[str, Callable[[World, Calendar, int, _Found], None]] = {
    "again": _again,
    "colleague": _colleague,
    "many": _many,
    "night": _night,
    "stranger": _stranger,
    "unreviewed": _unreviewed,
}


def lie(settings: Settings, clock: YearClock, world: World) -> list[Planted]:
    """Open the ledger with altered rules and let through what no rule gives; the log stays whole, its decisions are wrong."""

    def permit(
        event: Event, key: Key, seq: int, time: int, look: Look, session: int | None
    ) -> Judged:
        judged = gate(event, key, seq, time, look, session)
        if judged.decision["effect"] == "permit":
            return judged
        decision = {name: said for name, said in judged.decision.items() if name != "reason"}
        return Judged(decision | {"effect": "permit", "rule": "S9"}, judged.shown)

    chart = next(c for c in world.charts if c.apart and c.excluded)
    shown, hidden = chart.records[:2]
    stranger, excluded = world.houses[3].doctors[0], world.houses[4].doctors[0]
    granted = world.houses[2].doctors[0]
    lies = [
        ("a stranger was let read", stranger, shown),
        ("a doctor whom the patient excluded was let read", excluded, shown),
        ("a doctor was let read a record that the patient hides", granted, hidden),
    ]
    ledger = open_ledger(settings, clock, judge=permit, boot=clock.boot)
    try:
        client = LocalClient(ledger)
        grants.grant(client, chart.actor, chart.patient, granted.account)
        grants.hide(client, chart.actor, chart.patient, hidden.record)
        proposals = [
            proposal
            for _, actor, kept in lies
            for proposal in beside.propose(ledger, actor, [world.reading(actor, chart, kept)])
        ]
        outcomes = ledger.append(proposals)
    finally:
        ledger.close()
    return [
        Planted("decision", what, actor.account, _stood(outcome))
        for (what, actor, _), outcome in zip(lies, outcomes, strict=True)
    ]


def _apart(world: World, house: House) -> Chart:
    """An adult's chart to which nothing else happens, of a hospital's patients."""
    theirs = [c for c in world.charts if c.home is house and not (c.minor or c.apart)]
    chart = theirs[-1]
    chart.apart = True
    for panel in world.panels.values():
        if chart in panel:
            panel.remove(chart)
    return chart


def _read(world: World, reader: Actor, charts: Sequence[Chart]) -> list[int]:
    """Readings of one record each; the entries of what came of them."""
    events: list[tuple[Actor, dict[str, Any]]] = [
        (reader, world.reading(reader, chart, chart.records[0])) for chart in charts
    ]
    return [_stood(outcome) for outcome in world.append(events)]


def _stood(outcome: object) -> int:
    if isinstance(outcome, Appended):
        return outcome.entry.link.seq
    expect(isinstance(outcome, Denied) and outcome.seq is not None, f"got {outcome}")
    return outcome.seq if isinstance(outcome, Denied) and outcome.seq is not None else -1
