"""What happens in a generated year: visits, readings, grants, relatives, emergencies and what else is rare."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from client import disclosing, emergencies, erasing, holds
from client.disclosing import Disclosure
from demo.year.calendar import Calendar
from demo.year.world import Chart, House, Kept, World
from identity.actors import Actor, new_id
from ledger.codes import CEILINGS, EMERGENCY_REASONS, HARMS, LEGAL_HOLDS
from ledger.sequencer import Appended
from ledger.times import DAY_MS, HOUR_MS, format_time
from records.uploads import Upload

HOURS = (7, 9, 10, 12, 14, 16, 19)
"""The hours of a day (UTC) at which acts are appended together."""
AT_WORK = 8
"""Doctors who see patients in such an hour."""
AMENDED, ERASED = 0.06, 0.5
"""How often a visit amends a record instead of adding one, and how often an erasure isn't withdrawn."""
OFTEN = {
    "visit": 40.0, "own": 12.0, "granted": 8.0, "relative": 4.0, "history": 3.0, "grant": 3.0, "revoke": 1.0,
    "refused": 0.3, "hide": 0.3,
}  # fmt: skip
"""What is drawn for an hour, and how often each."""
RARE = {
    "emergency": 250, "hold": 60, "disclosure": 60, "configured": 60, "exclusion": 50, "harm": 20, "erasure": 12,
}  # fmt: skip
"""What is appended by itself, and how often it happens to 1,000 patients in a year."""
REVIEWED_DAYS = 5
"""At the latest after an emergency; its review is due in seven."""
WAITING_DAYS = 4
"""From so many days after the start on guardians count, who wait 72 hours."""
HOLD_DAYS = 10

_Signed = tuple[Actor, dict[str, Any]]


@dataclass
class _Hour:
    """What is appended together, in this order: the events, then the uploads."""

    at_work: list[tuple[House, Actor]]
    events: list[_Signed] = field(default_factory=list)
    uploads: dict[str, tuple[Actor, list[tuple[Chart, Upload]]]] = field(default_factory=dict)
    amended: set[str] = field(default_factory=set)
    """The records that get a new version: one each in an hour."""
    after: list[Callable[[], None]] = field(default_factory=list)
    """What is true once it stands."""
    size: int = 0

    def upload(self, author: Actor, chart: Chart, upload: Upload) -> None:
        """One more upload."""
        self.uploads.setdefault(author.account, (author, []))[1].append((chart, upload))
        self.size += 1

    def add(self, actor: Actor, event: dict[str, Any]) -> None:
        """One more event."""
        self.events.append((actor, event))
        self.size += 1


class Visits:
    """Draws acts and appends them, until there are as many as are wanted."""

    def __init__(
        self, world: World, calendar: Calendar, acts: int, progress: Callable[[int, int], None]
    ) -> None:
        """`acts`: how many there will be, over the whole calendar; `progress` takes how many there are, and that."""
        self._world, self._calendar, self._acts, self._progress = world, calendar, acts, progress
        self._charts = [chart for chart in world.charts if not chart.apart]
        self._hours = 0
        """Those still to come."""

    def plan(self) -> None:
        """Put all of it into the calendar."""
        calendar, chance = self._calendar, self._world.chance
        hours = [
            calendar.midnight + day * DAY_MS + hour * HOUR_MS
            for day in range(1, calendar.days)
            for hour in HOURS
        ]
        self._hours = len(hours)
        for instant in hours:
            calendar.at(instant, self._hour)
        share = len(self._charts) / 1_000 * calendar.days / 365
        for kind, times in RARE.items():
            act = getattr(self, f"_{kind}")
            for _ in range(max(1, round(times * share))):
                calendar.at(calendar.start + DAY_MS + int(chance.unit() * (calendar.days - 1) * DAY_MS), act)  # fmt: skip

    def _hour(self) -> None:
        world, chance = self._world, self._world.chance
        done = world.ledger.head().size - world.founded
        wanted = -(-(self._acts - done) // self._hours)
        self._hours -= 1
        houses = [chance.pick(world.houses) for _ in range(AT_WORK)]
        hour = _Hour([(house, chance.pick(house.doctors)) for house in houses])
        kinds, weights = list(OFTEN), list(OFTEN.values())
        while hour.size < wanted:
            getattr(self, f"_{chance.weighted(kinds, weights)}")(hour)
        self._append(hour)
        done = world.ledger.head().size - world.founded
        self._progress(min(done, self._acts), self._acts)

    def _append(self, hour: _Hour) -> None:
        world, signed = self._world, list(hour.events)
        written = []
        for author, some in hour.uploads.values():
            drafts = world.drafts(author, [upload for _, upload in some])
            for draft, (chart, upload) in zip(drafts, some, strict=True):
                event = author.event(draft.kind, draft.stream, draft.body, draft.now, draft.event)
                signed.append((author, event))
                written.append((draft, chart, upload.version, author.hospital))
        outcomes = world.append(signed)[len(hour.events) :]
        for outcome, (draft, chart, version, hospital) in zip(outcomes, written, strict=True):
            if isinstance(outcome, Appended):
                stood = draft.uploaded(outcome.entry.link.seq)
                chart.keep(Kept(stood.record, stood.blob, version, hospital))
        for act in hour.after:
            act()

    def _chart(self, adult: bool = True) -> Chart:
        while True:
            chart = self._world.chance.pick(self._charts)
            if not (adult and chart.minor):
                return chart

    def _unheld(self) -> Chart:
        while (chart := self._chart()).held:
            pass
        chart.held = True
        return chart

    def _stranger(self, chart: Chart) -> tuple[House, Actor]:
        """A doctor of a hospital that has nothing of the patient, and whom the patient neither granted nor excluded anything."""
        chance = self._world.chance
        while True:
            house = chance.pick(self._world.houses)
            doctor = chance.pick(house.doctors)
            known = {*(granted.account for granted, _ in chart.granted), *chart.excluded}
            if house.hospital not in chart.hospitals and doctor.account not in known:
                return house, doctor

    def _visit(self, hour: _Hour) -> None:
        """A doctor writes, which makes the tie that an audit looks for, and from then on also reads what the hospital wrote."""
        world, chance = self._world, self._world.chance
        house, doctor = chance.pick(hour.at_work)
        if not (panel := [chart for chart in world.panels[doctor.account] if not chart.apart]):
            return
        chart = chance.pick(panel)
        ours = [kept for kept in chart.records if kept.hospital == house.hospital]
        free = [kept for kept in ours if kept.record not in hour.amended]
        amended = chance.pick(free) if free and chance.happens(AMENDED) else None
        if amended is not None:
            hour.amended.add(amended.record)
        hour.upload(doctor, chart, world.upload(chart, amended))
        if doctor.account in chart.writers:
            for _ in range(chance.between(2, 5)):
                hour.add(doctor, world.reading(doctor, chart, chance.pick(ours)))
        hour.after.append(lambda: chart.writers.add(doctor.account))

    def _own(self, hour: _Hour) -> None:
        """Patients look at their charts, and read a record or none."""
        chart = self._chart()
        hour.add(chart.actor, self._event(chart.actor, chart, "chart.opened"))
        for kept in chart.records[-self._world.chance.below(3) :][:2]:
            hour.add(chart.actor, self._world.reading(chart.actor, chart, kept, "PATRQT"))

    def _granted(self, hour: _Hour) -> None:
        """A doctor to whom something is granted reads."""
        chart = self._chart()
        counting = [doctor for doctor, end in chart.granted if end > self._now]
        if counting and chart.shown:
            doctor = self._world.chance.pick(counting)
            hour.add(doctor, self._world.reading(doctor, chart, self._world.chance.pick(chart.shown)))  # fmt: skip

    def _relative(self, hour: _Hour) -> None:
        """A relative or a guardian reads on the patient's behalf."""
        chart = self._chart(adult=False)
        waits = chart.minor and self._now < self._calendar.start + WAITING_DAYS * DAY_MS
        if chart.relative is not None and chart.shown and not waits:
            kept = self._world.chance.pick(chart.shown)
            hour.add(chart.relative, self._world.reading(chart.relative, chart, kept, "FAMRQT"))

    def _history(self, hour: _Hour) -> None:
        """A patient looks at who looked."""
        chart = self._chart()
        hour.add(chart.actor, self._event(chart.actor, chart, "history.opened"))

    def _grant(self, hour: _Hour) -> None:
        """A doctor whose hospital has nothing of the patient may read for a while."""
        chart, now = self._chart(), self._now
        _, doctor = self._stranger(chart)
        end = now + self._world.chance.between(30, 365) * DAY_MS
        body = {
            "actions": ["list", "read"], "end": format_time(end), "grant": new_id("gr", now), "grantee": doctor.account,
            "scope": "full", "start": format_time(now),
        }  # fmt: skip
        hour.add(chart.actor, self._event(chart.actor, chart, "access.granted", **body) | {"v": 2})
        hour.after.append(lambda: chart.granted.append((doctor, end)))

    def _revoke(self, hour: _Hour) -> None:
        """What was granted is taken back."""
        chart = self._chart()
        if chart.granted:
            doctor, _ = chart.granted.pop(0)
            event = self._event(chart.actor, chart, "access.revoked", grantee=doctor.account)
            hour.add(chart.actor, event | {"v": 2})

    def _refused(self, hour: _Hour) -> None:
        """A doctor tries without a grant: a slip, which stands on record."""
        chart = self._chart()
        _, doctor = self._stranger(chart)
        hour.add(doctor, self._world.reading(doctor, chart, self._world.chance.pick(chart.records)))

    def _hide(self, hour: _Hour) -> None:
        """A patient hides a record from whomever something was granted."""
        chart = self._chart()
        if len(chart.shown) > 1:
            kept = chart.shown[0]
            chart.hidden.add(kept.record)
            hour.add(chart.actor, self._event(chart.actor, chart, "record.hidden", record=kept.record))  # fmt: skip

    def _emergency(self) -> None:
        """A doctor declares one and reads in it; an administrator looks at it and reviews it some days later."""
        world, chart = self._world, self._chart(adult=False)
        house, doctor = self._stranger(chart)
        reason = world.chance.pick(sorted(EMERGENCY_REASONS))
        seen, client = chart.shown[:2], world.client
        if chart.ceiling == "off":
            return
        named, _ = emergencies.declare(client, doctor, chart.patient, reason, "Brought in, not responsive")  # fmt: skip
        world.append([(doctor, world.reading(doctor, chart, kept, "ETREAT")) for kept in seen])

        def review() -> None:
            words = "What was read had to do with it"
            emergencies.review(client, house.admin, chart.patient, named, "justified", words)

        days = world.chance.real(1, REVIEWED_DAYS)
        self._calendar.at(self._now + int(days * DAY_MS), review)

    def _configured(self) -> None:
        """A patient says how far doctors see in an emergency."""
        chart = self._chart()
        chart.ceiling = self._world.chance.pick(sorted(CEILINGS))
        emergencies.configure(self._world.client, chart.actor, chart.patient, chart.ceiling)

    def _exclusion(self) -> None:
        """A patient excludes a doctor, who keeps to it."""
        chart = self._chart()
        _, doctor = self._stranger(chart)
        self._world.append([(chart.actor, self._event(chart.actor, chart, "reader.excluded", reader=doctor.account))])  # fmt: skip
        chart.excluded.add(doctor.account)

    def _hold(self) -> None:
        """What a hospital has in a chart is kept for a court."""
        chart, reason = self._unheld(), self._world.chance.pick(sorted(LEGAL_HOLDS))
        holds.hold_for_law(self._world.client, chart.home.admin, chart.patient, reason)

    def _harm(self) -> None:
        """A doctor keeps a record from its patient for some days."""
        chart, world = self._unheld(), self._world
        ours = [kept for kept in chart.records if kept.hospital == chart.home.hospital]
        doctor, against = world.chance.pick(chart.home.doctors), chart.actor.account
        reason = world.chance.pick(sorted(HARMS))
        kept = world.chance.pick(ours)
        holds.hold_back(world.client, doctor, chart.patient, kept.record, against, reason, "To be told in person", HOLD_DAYS)  # fmt: skip

    def _disclosure(self) -> None:
        """A hospital gives records of its own to an insurer."""
        chart = self._chart()
        ours = [kept.record for kept in chart.records if kept.hospital == chart.home.hospital]
        what = Disclosure("An insurer", "The last stay", "Settlement of a claim")
        disclosing.disclose(self._world.client, chart.home.system, ours[-2:], what)

    def _erasure(self) -> None:
        """A patient writes something, and has it erased; every other one thinks better of it within the 72 hours."""
        world, chart = self._world, self._chart()
        note = Upload(chart.patient, "document", "text/plain", [b"A diary"])
        (draft,) = world.drafts(chart.actor, [note], "PATRQT")
        event = chart.actor.event(draft.kind, draft.stream, draft.body, draft.now, draft.event)
        world.append([(chart.actor, event)])
        erasure, _ = erasing.erase(world.client, chart.actor, chart.patient, str(draft.body["record"]))  # fmt: skip

        def withdraw() -> None:
            erasing.withdraw(world.client, chart.actor, chart.patient, erasure)

        if not world.chance.happens(ERASED):
            self._calendar.at(self._now + DAY_MS, withdraw)

    @property
    def _now(self) -> int:
        return self._calendar.clock.now

    def _event(self, actor: Actor, chart: Chart, kind: str, **body: object) -> dict[str, Any]:
        return actor.event(kind, chart.stream, {"purpose": "PATRQT", **body}, self._now)
