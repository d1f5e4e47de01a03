"""The same over HTTP: parts of a chart, an exclusion, a hidden record, a minor, an explanation."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import uvicorn

from api.demo.people import SEED, Story
from api.demo.steps import DemoFailed, Steps, expect
from api.far import Far
from api.http import create_app
from consent.rules import named
from identity.actors import Actor, new_id, new_key
from identity.errors import NotSignedIn
from records import authoring, directory, grants, readings
from records.desk import Desk
from records.directory import NewPatient
from records.errors import AccessDenied
from records.explaining import Answer, Question
from records.synthetic import scan_png
from records.uploads import Upload

MINOR_BORN_YEARS_AGO = 8


@contextmanager
def served(story: Story) -> Iterator[str]:
    """The demonstration's ledger, served on a free port of this machine; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(create_app(lambda: story.ledger, close=False), log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def over_http(step: Steps, story: Story) -> None:
    """Everything from here on goes through the server."""
    with served(story) as url:
        far = step(
            "a server is asked for its log", lambda: Far(url), lambda f: f"{f.origin} at {url}"
        )
        try:
            parts(step, story, far)
            minors(step, story, far)
        finally:
            far.close()


def parts(step: Steps, story: Story, desk: Desk) -> None:
    """A partial and a selective grant, an exclusion, a hidden record; a list shows what a reading gives."""
    patient, chart, doctor = story.patient, story.chart, story.doctors[2]
    colleague = story.doctors[3]
    south = story.south.hospital
    shown = step(
        "the patient grants the imaging alone",
        lambda: grants.grant(
            desk, patient, chart, south, what={"categories": ["imaging"]}, days=30
        ),
        lambda pair: f"entry {pair[1]}, to everybody of {south}",
    )
    step(
        "the doctor's list shows just that",
        lambda: listed(desk, doctor, chart, {"imaging"}),
        lambda n: f"{n} records, all imaging",
    )
    image = step(
        "the scan is read, and is the scan",
        lambda: content(desk, doctor, story.scan.record),
        lambda data: f"{len(data)} bytes",
    )
    expect(image == scan_png(SEED), "another scan")
    denied(step, "the letter is not in the grant", desk, doctor, story.letter.record, "S12")
    step(
        "one letter is granted to one doctor",
        lambda: grants.grant(desk, patient, chart, doctor.account, [story.letter.record], uses=1),
        lambda pair: f"entry {pair[1]}, for one reading",
    )
    step(
        "who reads it once",
        lambda: content(desk, doctor, story.letter.record),
        lambda data: f"{len(data)} bytes",
    )
    denied(step, "and not twice", desk, doctor, story.letter.record, "S12")
    step(
        "the patient hides the scan",
        lambda: grants.hide(desk, patient, chart, story.scan.record),
        lambda seq: f"entry {seq}; no grant covers it any more",
    )
    denied(step, "so it is refused", desk, doctor, story.scan.record, "S12")
    step(
        "and shows it again",
        lambda: grants.show(desk, patient, chart, story.scan.record),
        lambda seq: f"entry {seq}",
    )
    step(
        "the patient excludes one colleague",
        lambda: grants.exclude(desk, patient, chart, colleague.account),
        lambda seq: f"entry {seq}; the hospital's grant stands for the others",
    )
    denied(step, "who is told no more than no consent", desk, colleague, story.scan.record, "S12")
    step(
        "the patient is told why",
        lambda: explained(desk, story, colleague),
        lambda a: f"{named(a.explanation.decision.rule)}: {a.explanation.changes[0]}",
    )
    step(
        "the history is complete",
        lambda: readings.history(desk, patient, chart, "PATRQT"),
        lambda h: f"{len(h.entries)} entries, each holds the hash of the one before",
    )
    expect(shown[1] > 0, "a grant without an entry")


def minors(step: Steps, story: Story, desk: Desk) -> None:
    """A child of eight is registered and a record written; who is no guardian yet is refused."""
    system = story.north.system
    born = date(date.today().year - MINOR_BORN_YEARS_AGO, 1, 1)
    child, record = step(
        "a child is registered, with a record",
        lambda: a_child(desk, system, born),
        lambda pair: f"{pair[0].patient}, born {born.year}",
    )
    would_be = story.patient.in_role("relative")
    denied(step, "a guardian-to-be is not let in", desk, would_be, record, "")
    denied(step, "and so is the child, being eight", desk, child_actor(desk, child), record, "S12")


def a_child(desk: Desk, system: Actor, born: date) -> tuple[NewPatient, str]:
    """A minor's chart and a record in it."""
    now = desk.now()
    child = NewPatient(new_id("pt", now), new_id("ac", now), "Kim Lind", born, False, new_key())
    directory.register_patients(desk, system, [child])
    one = Upload(child.patient, "immunization", "text/plain", [b"MMR, second dose"])
    return child, authoring.upload(desk, system, one).record


def child_actor(desk: Desk, child: NewPatient) -> Actor:
    """The child, with the key the hospital registered."""
    return Actor(desk.origin, child.account, "patient", "", child.key or new_key())


def listed(desk: Desk, reader: Actor, chart: str, categories: set[str]) -> int:
    """How many records a list shows, all of these categories."""
    lines = readings.chart(desk, reader, chart, "TREAT").lines
    expect({line.record.category for line in lines} == categories, "a list of other categories")
    return len(lines)


def content(desk: Desk, reader: Actor, record: str) -> bytes:
    """The content of a record."""
    return b"".join(readings.read(desk, reader, record, "TREAT")[1].content)


def denied(step: Steps, what: str, desk: Desk, reader: Actor, record: str, rule: str) -> None:
    """A reading must be refused by this rule; without one, the reader isn't even let in."""

    def act() -> str:
        try:
            content(desk, reader, record)
        except AccessDenied as refusal:
            expect(refusal.rule == rule, f"got {refusal}")
            return str(refusal)
        except NotSignedIn as refusal:
            expect(not rule, f"got {refusal}")
            return str(refusal)
        raise DemoFailed(f"{reader.account} could read {record}")

    step(what, act, lambda words: words[:90])


def explained(desk: Desk, story: Story, colleague: Actor) -> Answer:
    """The patient asks why the colleague can't read."""
    question = Question(
        story.chart,
        colleague.account,
        "doctor",
        colleague.hospital,
        "read",
        "TREAT",
        story.scan.record,
    )
    answer = desk.why(story.patient, question)
    expect(answer.explanation.decision.reason == "excluded", f"got {answer}")
    return answer
