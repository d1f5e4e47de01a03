"""Becoming somebody: a doctor registers alone, waits, is refused and declined, is approved and let in."""

from client import applying, beside
from client.local import LocalClient
from client.registering import AddedHospital
from demo.people import Story
from demo.steps import DemoFailed, Steps, expect
from identity.actors import Actor
from journeys.errors import AccessDenied
from ledger.codes import DECLINED
from ledger.times import DAY_MS
from records import opening

NEWCOMER = "Dr. Eva Neu"
DAYS = 365


def joining(step: Steps, story: Story) -> None:
    """One who applies to both hospitals, and is taken by the one that wrote the letter."""
    client, north, south = LocalClient(story.ledger), story.north, story.south
    person, _ = step(
        "a doctor registers alone",
        lambda: applying.register(client, NEWCOMER),
        lambda pair: f"{pair[0].account}, vouched for by the service",
    )
    step(
        "and applies to both hospitals",
        lambda: [applying.apply_as_doctor(client, person, at.hospital) for at in (north, south)],
        lambda seqs: f"entries {seqs[0]} and {seqs[1]}, pending",
    )
    step(
        "a reading is refused meanwhile",
        lambda: _refused(story, person, north),
        lambda seq: f"and the refusal is entry {seq}",
    )
    step(
        "one hospital declines",
        lambda: _declined(client, south, person),
        lambda reason: f"with a reason that the doctor sees: {reason}",
    )
    end = client.now() + DAYS * DAY_MS
    step(
        "the other approves, for a year",
        lambda: applying.approve_doctor(client, north.admin, person.account, "physician", end=end),
        lambda seq: f"entry {seq}",
    )
    step(
        "and the doctor is let in",
        lambda: _let_in(story, person.in_role("doctor", north.hospital)),
        lambda size: f"{size} bytes, by S6 (own records): the hospital wrote it",
    )
    step(
        "at that hospital alone",
        lambda: _refused(story, person, south),
        lambda seq: f"and the refusal is entry {seq}",
    )


def _refused(story: Story, person: Actor, at: AddedHospital) -> int:
    """A reading in a role that isn't held; its entry."""
    ledger = story.ledger
    row = opening.find_record(ledger, story.letter.record)
    doctor = person.in_role("doctor", at.hospital)
    try:
        opening.open_record(ledger, beside.reading(ledger, doctor, row, "TREAT"))
    except AccessDenied as denied:
        expect(denied.seq is not None and denied.rule == "S0", f"got {denied}")
        return denied.seq or 0
    raise DemoFailed(f"{person.account} could read without being a doctor there")


def _declined(client: LocalClient, at: AddedHospital, person: Actor) -> str:
    """The admin declines the one who waits, by name; the reason, as the doctor sees it."""
    (waiting,) = client.doctors(at.admin, at.hospital, "pending").doctors
    expect(waiting.name == NEWCOMER, f"{waiting.name} waits")
    applying.decline_doctor(client, at.admin, waiting.account, "not_known")
    told = {one.hospital: one for one in client.applications(person).doctor}[at.hospital]
    expect(told.state == "declined", f"it is {told.state}")
    return DECLINED[told.reason]


def _let_in(story: Story, doctor: Actor) -> int:
    """The letter is read; its bytes."""
    ledger = story.ledger
    row = opening.find_record(ledger, story.letter.record)
    shown = opening.open_record(ledger, beside.reading(ledger, doctor, row, "TREAT"))
    expect((shown.entry.decision or {})["rule"] == "S6", f"got {shown.entry.decision}")
    size = len(b"".join(shown.content))
    expect(size == story.letter.size, "a content of another length")
    return size
