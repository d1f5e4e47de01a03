"""Those who act for a patient, a doctor who asks, and what is erased."""

from datetime import date

from client import authoring, erasing, readings, relatives, requests
from client.local import LocalClient
from demo.claims import person
from demo.people import Story
from demo.remote import MINOR_BORN_YEARS_AGO, a_child
from demo.steps import DemoFailed, Steps, expect
from identity.actors import Actor
from journeys.errors import AccessDenied
from ledger.times import DAY_MS, format_time
from records.uploads import Upload

NOTE = b"Slept badly. I would rather nobody read this."
ASKED = requests.Asked("For the operation on Monday", days=30)
DAYS = 7


def family(step: Steps, story: Story) -> None:
    """A relative and a guardian, a request that is answered with less, a note that is erased."""
    client, patient, chart = LocalClient(story.ledger), story.patient, story.chart
    kin = person(client, story.operator)
    relative = step(
        "the patient links a relative",
        lambda: _linked(client, story, kin),
        lambda actor: f"{actor.account}, who may look at everything but what is sensitive",
    )
    step(
        "who reads the letter on her behalf",
        lambda: _read(client, relative, story.letter.record, "FAMRQT", "S10"),
        lambda size: f"{size} bytes, by S10 (on behalf)",
    )
    step(
        "and is unlinked, and refused",
        lambda: _unlinked(client, story, relative),
        lambda denied: denied,
    )
    _guardian(step, story, client, kin)
    doctor = story.doctors[2]
    asked, _ = step(
        "a doctor asks for the whole chart",
        lambda: requests.ask(client, doctor, chart, ASKED),
        lambda pair: f"entry {pair[1]}, for {ASKED.days} days; why is sealed for the patient",
    )
    step(
        "the patient grants less",
        lambda: _less(client, story, asked),
        lambda seq: f"entry {seq}: one letter, for {DAYS} days",
    )
    step(
        "and the doctor reads just that",
        lambda: _read(client, doctor, story.letter.record, "TREAT", "S9"),
        lambda size: f"{size} bytes, by S9 (grant)",
    )
    note = authoring.upload(client, patient, Upload(chart, "document", "text/plain", [NOTE])).record
    step(
        "the patient has a note erased",
        lambda: _erased(client, story, note),
        lambda due: (
            f"nobody reads it any more; its keys go on {due}, and until then it can be taken back"
        ),
    )


def _linked(client: LocalClient, story: Story, kin: Actor) -> Actor:
    """Invited by the patient, linked by the code; as who acts for them."""
    invited = relatives.invite(client, story.patient, story.chart, relatives.LOOKING)
    relatives.link(client, kin, story.chart, invited.invitation, invited.code)
    return relatives.for_patient(client, kin, story.chart)


def _unlinked(client: LocalClient, story: Story, relative: Actor) -> str:
    relatives.unlink(client, story.patient, story.chart, relative.account)
    return _refused(client, relative, story.letter.record, "FAMRQT")


def _guardian(step: Steps, story: Story, client: LocalClient, kin: Actor) -> None:
    """One whom the hospital names that registered the child, and a second one with a record of them confirms."""
    north, south = story.north, story.south
    child, record = a_child(
        client, north.system, date(date.today().year - MINOR_BORN_YEARS_AGO, 1, 1)
    )
    checkup = Upload(child.patient, "document", "text/plain", [b"Check-up at eight"])
    authoring.upload(client, south.system, checkup)
    step(
        "a hospital names a child's guardian",
        lambda: relatives.appoint(client, north.admin, child.patient, kin.account),
        lambda seq: f"entry {seq}, who waits 72 hours",
    )
    guardian = kin.in_role("relative").acting_for(child.account)
    _refused(client, guardian, record, "FAMRQT")
    step(
        "or until a second hospital confirms",
        lambda: relatives.confirm(client, south.admin, child.patient, kin.account),
        lambda seq: (
            f"entry {seq}, and the child's record is read: "
            f"{_read(client, guardian, record, 'FAMRQT', 'S10')} bytes"
        ),
    )


def _less(client: LocalClient, story: Story, asked: str) -> int:
    """The request as the patient sees it, answered with one record of it."""
    request = requests.found(client, story.patient, asked, story.chart)
    less = requests.Smaller(days=DAYS, records=[story.letter.record])
    return requests.grant(client, story.patient, request, less)[1]


def _erased(client: LocalClient, story: Story, note: str) -> str:
    """Asked for; from that entry on nobody gets it. Gives the day on which the keys go."""
    erasing.erase(client, story.patient, story.chart, note)
    (erasure,) = erasing.erasures(client, story.patient, story.chart)
    _refused(client, story.doctors[2], note, "TREAT")
    expect(erasure.due > client.now() + 2 * DAY_MS, f"got {erasure}")
    return format_time(erasure.due)[:10]


def _read(client: LocalClient, reader: Actor, record: str, purpose: str, rule: str) -> int:
    """A reading by this rule; the bytes it gave."""
    _, opened = readings.read(client, reader, record, purpose)
    decision = opened.entry.decision or {}
    expect(decision["rule"] == rule, f"got {decision}")
    size = len(b"".join(opened.content))
    expect(size == opened.size, "a content of another length")
    return size


def _refused(client: LocalClient, reader: Actor, record: str, purpose: str) -> str:
    """What who must not read is told."""
    try:
        readings.read(client, reader, record, purpose)
    except AccessDenied as denied:
        return str(denied)
    raise DemoFailed(f"{reader.account} read {record}")
