"""The same over HTTP: parts of a chart, an exclusion, a hidden record, a minor, an explanation."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import uvicorn

from api.http import create_app
from client import authoring, grants, readings, registering
from client.http import HttpClient
from client.port import LedgerClient
from client.registering import NewPatient
from consent.rules import named
from crypto.texts import counted
from demo.people import SEED, Story
from demo.steps import DemoFailed, Steps, expect
from identity.actors import Actor, new_id, new_key
from identity.errors import NotSignedIn
from journeys.errors import AccessDenied
from journeys.questions import Question
from records.explaining import Answer
from records.uploads import Upload
from synthetic import scan_png

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
            "a server is asked for its log",
            lambda: HttpClient(url),
            lambda f: f"{f.origin} at {url}",
        )
        try:
            parts(step, story, far)
            minors(step, story, far)
        finally:
            far.close()


def parts(step: Steps, story: Story, client: LedgerClient) -> None:
    """A partial and a selective grant, an exclusion, a hidden record; a list shows what a reading gives."""
    patient, chart, doctor = story.patient, story.chart, story.doctors[2]
    colleague = story.doctors[3]
    south = story.south.hospital
    shown = step(
        "the patient grants the imaging alone",
        lambda: grants.grant(
            client, patient, chart, south, what={"categories": ["imaging"]}, days=30
        ),
        lambda pair: f"entry {pair[1]}, to everybody of {south}",
    )
    step(
        "the doctor's list shows just that",
        lambda: listed(client, doctor, chart, {"imaging"}),
        lambda n: f"{counted(n, 'record')}, all imaging",
    )
    image = step(
        "the scan is read, and is the scan",
        lambda: content(client, doctor, story.scan.record),
        lambda data: f"{len(data)} bytes",
    )
    expect(image == scan_png(SEED), "another scan")
    denied(step, "the letter is not in the grant", client, doctor, story.letter.record, "S12")
    step(
        "one letter is granted to one doctor",
        lambda: grants.grant(client, patient, chart, doctor.account, [story.letter.record], uses=1),
        lambda pair: f"entry {pair[1]}, for one reading",
    )
    step(
        "who reads it once",
        lambda: content(client, doctor, story.letter.record),
        lambda data: f"{len(data)} bytes",
    )
    denied(step, "and not twice", client, doctor, story.letter.record, "S12")
    step(
        "the patient hides the scan",
        lambda: grants.hide(client, patient, chart, story.scan.record),
        lambda seq: f"entry {seq}; no grant covers it any more",
    )
    denied(step, "so it is refused", client, doctor, story.scan.record, "S12")
    step(
        "and shows it again",
        lambda: grants.show(client, patient, chart, story.scan.record),
        lambda seq: f"entry {seq}",
    )
    step(
        "the patient excludes one colleague",
        lambda: grants.exclude(client, patient, chart, colleague.account),
        lambda seq: f"entry {seq}; the hospital's grant stands for the others",
    )
    denied(step, "who is told no more than no consent", client, colleague, story.scan.record, "S12")
    step(
        "the patient is told why",
        lambda: explained(client, story, colleague),
        lambda a: f"{named(a.explanation.decision.rule)}: {a.explanation.changes[0]}",
    )
    step(
        "the history is complete",
        lambda: readings.history(client, patient, chart, "PATRQT"),
        lambda h: f"{counted(len(h.entries), 'entry')}, each holds the hash of the one before",
    )
    expect(shown[1] > 0, "a grant without an entry")


def minors(step: Steps, story: Story, client: LedgerClient) -> None:
    """A child of eight is registered and a record written; who is no guardian yet is refused."""
    system = story.north.system
    born = date(date.today().year - MINOR_BORN_YEARS_AGO, 1, 1)
    child, record = step(
        "a child is registered, with a record",
        lambda: a_child(client, system, born),
        lambda pair: f"{pair[0].patient}, born {born.year}",
    )
    would_be = story.patient.in_role("relative")
    denied(step, "a guardian-to-be is not let in", client, would_be, record, "")
    denied(
        step, "and so is the child, being eight", client, child_actor(client, child), record, "S12"
    )


def a_child(client: LedgerClient, system: Actor, born: date) -> tuple[NewPatient, str]:
    """A minor's chart and a record in it."""
    now = client.now()
    child = NewPatient(new_id("pt", now), new_id("ac", now), "Kim Lind", born, False, new_key())
    registering.register_patients(client, system, [child])
    one = Upload(child.patient, "immunization", "text/plain", [b"MMR, second dose"])
    return child, authoring.upload(client, system, one).record


def child_actor(client: LedgerClient, child: NewPatient) -> Actor:
    """The child, with the key the hospital registered."""
    return Actor(client.origin, child.account, "patient", "", child.key or new_key())


def listed(client: LedgerClient, reader: Actor, chart: str, categories: set[str]) -> int:
    """How many records a list shows, all of these categories."""
    lines = readings.chart(client, reader, chart, "TREAT").lines
    expect({line.record.category for line in lines} == categories, "a list of other categories")
    return len(lines)


def content(client: LedgerClient, reader: Actor, record: str) -> bytes:
    """The content of a record."""
    return b"".join(readings.read(client, reader, record, "TREAT")[1].content)


def denied(
    step: Steps, what: str, client: LedgerClient, reader: Actor, record: str, rule: str
) -> None:
    """A reading must be refused by this rule; without one, the reader isn't even let in."""

    def act() -> str:
        try:
            content(client, reader, record)
        except AccessDenied as refusal:
            expect(refusal.rule == rule, f"got {refusal}")
            return str(refusal)
        except NotSignedIn as refusal:
            expect(not rule, f"got {refusal}")
            return str(refusal)
        raise DemoFailed(f"{reader.account} could read {record}")

    step(what, act, lambda words: words[:90])


def explained(client: LedgerClient, story: Story, colleague: Actor) -> Answer:
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
    answer = client.why(story.patient, question)
    expect(answer.explanation.decision.reason == "excluded", f"got {answer}")
    return answer
