"""The people of a generated year, their charts, and how what they do is appended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from client import beside, relatives
from client.local import LocalClient
from client.registering import NewPatient, add_hospital, add_member, register_patients
from demo.steps import expect
from identity.actors import Actor, new_id, new_key
from journeys.days import today
from ledger.sequencer import Appended, Denied, Outcome
from records.uploads import Draft, Upload, draft
from storage.ledger import Ledger
from synthetic.chance import Chance

HOUSES = (
    ("Klinikum Nord", "Europe/Berlin"),
    ("Hôpital de la Loire", "Europe/Paris"),
    ("Ospedale San Luca", "Europe/Rome"),
    ("Oulun sairaala", "Europe/Helsinki"),
    ("Hospital do Douro", "Europe/Lisbon"),
)
DOCTORS = 12
"""At each hospital."""
AT_ONCE = 500
FIRST_RECORDS = 3
"""What each chart holds at the beginning of the year."""
MINORS = 12
"""One in so many patients is a minor, whom a guardian acts for."""
RELATIVES = 20
"""One in so many patients has a relative who looks after them."""
EXAMPLES = (
    ("laboratory", "Haemoglobin {:.1f} g/dl", 9, 17),
    ("laboratory", "Potassium {:.1f} mmol/l", 3, 6),
    ("document", "Blood pressure {:.0f} mmHg, no complaints", 100, 180),
    ("medication", "Metformin {:.0f} mg, twice a day", 500, 1000),
    ("condition", "Seen again after {:.0f} weeks, better", 1, 9),
)


@dataclass(frozen=True)
class Kept:
    """A record's latest version, as a reading names it."""

    record: str
    blob: str
    version: int
    hospital: str


@dataclass
class House:
    """A hospital."""

    hospital: str
    admin: Actor
    system: Actor
    doctors: list[Actor]


@dataclass
class Chart:
    """A patient, and what is in the chart."""

    patient: str
    actor: Actor
    home: House
    """The hospital that registered the patient."""
    minor: bool
    records: list[Kept] = field(default_factory=list)
    granted: list[tuple[Actor, int]] = field(default_factory=list)
    """Doctors of other hospitals who may read, and until when."""
    excluded: set[str] = field(default_factory=set)
    """Accounts."""
    hidden: set[str] = field(default_factory=set)
    """Records that the patient hides."""
    writers: set[str] = field(default_factory=set)
    """The accounts of doctors who wrote in it."""
    hospitals: set[str] = field(default_factory=set)
    """Those that write in it."""
    relative: Actor | None = None
    """Who acts on the patient's behalf."""
    held: bool = False
    """Something of it is or was held: once a year is enough."""
    ceiling: str = ""
    """What the patient said of emergencies."""
    apart: bool = False
    """Nothing happens to it but what was planted."""

    @property
    def stream(self) -> str:
        """Of the chart."""
        return f"patient/{self.patient}"

    @property
    def shown(self) -> list[Kept]:
        """Its records, without those that are hidden."""
        return [kept for kept in self.records if kept.record not in self.hidden]

    def keep(self, kept: Kept) -> None:
        """A record, or another version of one."""
        self.records = [one for one in self.records if one.record != kept.record]
        self.records.append(kept)


@dataclass
class World:
    """Everybody, and the log that they write to."""

    ledger: Ledger
    client: LocalClient
    chance: Chance
    houses: list[House]
    charts: list[Chart]
    panels: dict[str, list[Chart]] = field(default_factory=dict)
    """Of each doctor's account the charts of those whom they see."""
    founded: int = 0
    """Entries before the first act."""
    denied: int = 0

    def content(self) -> tuple[str, bytes]:
        """A category and a few words."""
        category, words, low, high = self.chance.pick(EXAMPLES)
        return category, words.format(self.chance.real(low, high)).encode()

    def upload(self, chart: Chart, amends: Kept | None = None) -> Upload:
        """A new record of a chart, or a new version of one."""
        category, words = self.content()
        if amends is None:
            return Upload(chart.patient, category, "text/plain", [words])
        return Upload(chart.patient, category, "text/plain", [words], record=amends.record, version=amends.version + 1)  # fmt: skip

    def drafts(
        self, author: Actor, uploads: Sequence[Upload], purpose: str = "TREAT"
    ) -> list[Draft]:
        """Contents and keys of uploads, staged; what is to be signed of them."""
        return draft(self.ledger, author.account, uploads, purpose)

    def reading(
        self, reader: Actor, chart: Chart, kept: Kept, purpose: str = "TREAT"
    ) -> dict[str, Any]:
        """A reading, to be signed."""
        body = {
            "blob": kept.blob, "purpose": purpose, "record": kept.record, "version": kept.version,
        }  # fmt: skip
        return reader.event("record.opened", chart.stream, body, self.ledger.clock())

    def append(self, events: Sequence[tuple[Actor, dict[str, Any]]]) -> list[Outcome]:
        """Sign and append events of several people, in order. Raises DemoFailed for what the log refuses; a denial is counted."""
        proposals = [
            proposal
            for actor, event in events
            for proposal in beside.propose(self.ledger, actor, [event])
        ]
        outcomes = self.ledger.append(proposals)
        for outcome, (_, event) in zip(outcomes, events, strict=True):
            answered = isinstance(outcome, (Appended, Denied))
            expect(answered, f"{event['type']} was refused: {outcome}")
            self.denied += isinstance(outcome, Denied)
        return outcomes


def populate(ledger: Ledger, operator: Actor, seed: int, patients: int) -> World:
    """Approve the hospitals, register everybody, upload the first records, link relatives and appoint guardians."""
    client, chance = LocalClient(ledger), Chance(seed, "year")
    world = World(ledger, client, chance, [], [])
    for name, zone in HOUSES:
        added = add_hospital(client, operator, name, zone)
        names = (f"Dr. {number} of {name}" for number in range(1, DOCTORS + 1))
        doctors = [
            add_member(client, added.admin, "doctor", added.hospital, one, new_key())[0]
            for one in names
        ]
        world.houses.append(House(added.hospital, added.admin, added.system, doctors))
    for number, house in enumerate(world.houses):
        _register(world, house, len(range(number, patients, len(world.houses))))
    for house in world.houses:
        charts = [
            chart for chart in world.charts if chart.home is house for _ in range(FIRST_RECORDS)
        ]
        for start in range(0, len(charts), AT_ONCE):
            part = charts[start : start + AT_ONCE]
            wanted = [world.upload(chart) for chart in part]
            stood = beside.upload(ledger, house.system, wanted)
            for chart, one in zip(part, stood, strict=True):
                chart.records.append(Kept(one.record, one.blob, 1, house.hospital))
    for chart in world.charts:
        _sees(world, chart)
    _relate(world)
    world.founded = ledger.head().size
    return world


def _register(world: World, house: House, patients: int) -> None:
    """Register patients of a hospital, each with a key of their own."""
    clock, chance = world.ledger.clock, world.chance
    for start in range(0, patients, AT_ONCE):
        now, new = clock(), list[NewPatient]()
        for number in range(start, min(start + AT_ONCE, patients)):
            minor = number % MINORS == MINORS - 1
            born = today(now) - timedelta(days=chance.between(30, 3_000)) if minor else None
            key = new_key()
            new.append(NewPatient(new_id("pt", now), new_id("ac", now), f"Patient {number}", born, False, key))  # fmt: skip
        register_patients(world.client, house.system, new)
        for one in new:
            assert one.key is not None
            actor = Actor(world.ledger.origin, one.account, "patient", "", one.key)
            world.charts.append(Chart(one.patient, actor, house, one.birth_date is not None))


def _sees(world: World, chart: Chart) -> None:
    """A doctor of the patient's own hospital, and one of another."""
    other = world.chance.pick([house for house in world.houses if house is not chart.home])
    for house in (chart.home, other):
        chart.hospitals.add(house.hospital)
        doctor = world.chance.pick(house.doctors)
        world.panels.setdefault(doctor.account, []).append(chart)


def _relate(world: World) -> None:
    """Each minor has an adult patient of another hospital as guardian, some adults one of their own as relative."""
    client = world.client
    for house in world.houses:
        adults = [c for c in world.charts if c.home is house and not c.minor]
        others = [c for c in world.charts if c.home is not house and not c.minor]
        for chart in (c for c in world.charts if c.home is house and c.minor):
            guardian = world.chance.pick(others).actor
            relatives.appoint(client, house.admin, chart.patient, guardian.account)
            chart.relative = guardian.in_role("relative").acting_for(chart.actor.account)
        for number, chart in enumerate(adults[::RELATIVES]):
            other = adults[(number * RELATIVES + 1) % len(adults)].actor
            invited = relatives.invite(client, chart.actor, chart.patient, relatives.LOOKING)
            relatives.link(client, other, chart.patient, invited.invitation, invited.code)
            chart.relative = other.in_role("relative").acting_for(chart.actor.account)
