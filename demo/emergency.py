"""An emergency: declared by a doctor to whom nothing was granted, read in up to the ceiling, told at once, reviewed."""

from client import beside, emergencies
from client.local import LocalClient
from demo.people import Story
from demo.steps import Steps, expect
from records import opening

WORDS = "Unresponsive after a fall on the stairs"
REVIEW = "The call of the ambulance fits; what was read had to do with it"


def emergency(step: Steps, story: Story) -> None:
    """Declare, read, and review; the patient sees all of it."""
    client, chart, doctor = LocalClient(story.ledger), story.chart, story.doctors[2]
    admin = story.south.admin
    declared, seq = step(
        "a doctor declares an emergency",
        lambda: emergencies.declare(client, doctor, chart, "cannot_consent", WORDS),
        lambda pair: (
            f"entry {pair[1]}, for {story.ledger.policy.emergency_hours} hours; {_told(story)}"
        ),
    )
    step(
        "the doctor reads the letter in it",
        lambda: _read(story, seq),
        lambda number: f"entry {number}, on entry {seq}: marked in the history",
    )
    step(
        "the hospital reviews the emergency",
        lambda: _reviewed(client, story, declared),
        lambda number: f"entry {number}: what {admin.account[:7]}… found is the patient's to see",
    )


def _told(story: Story) -> str:
    """Patient and administrators have a message each, from the transaction of the entry."""
    rows = story.ledger.outbox.rows(1_000)
    kinds = {(row.kind, row.account) for row in rows}
    expect(("emergency_declared", story.patient.account) in kinds, "the patient is not told")
    expect(("emergency_to_review", story.south.admin.account) in kinds, "no administrator is told")
    return "patient and administrators are told"


def _read(story: Story, declared: int) -> int:
    """The letter, by the emergency alone."""
    doctor, ledger = story.doctors[2], story.ledger
    row = opening.find_record(ledger, story.letter.record)
    shown = opening.open_record(ledger, beside.reading(ledger, doctor, row, "ETREAT"))
    expect(len(b"".join(shown.content)) == shown.size, "a content of another length")
    decision = shown.entry.decision or {}
    expect((decision["rule"], decision["basis"]) == ("S8", [declared]), f"got {decision}")
    return shown.entry.link.seq


def _reviewed(client: LocalClient, story: Story, declared: str) -> int:
    """By an administrator, who sees what was declared and read."""
    admin, chart = story.south.admin, story.chart
    opened = emergencies.open_for_review(client, admin, chart, declared)
    expect(opened.text == WORDS and len(opened.acts) == 1, f"got {opened}")
    return emergencies.review(client, admin, chart, declared, "justified", REVIEW)
