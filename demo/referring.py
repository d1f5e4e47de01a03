"""A referral: a letter goes to another hospital, and opens there with that hospital's own key, when nobody is asked any more."""

from io import BytesIO

from client import referring
from client.local import LocalClient
from crypto.texts import counted
from crypto.xwing import ReceivingKey
from demo.people import Story
from demo.steps import DemoFailed, Steps, expect
from journeys.errors import AccessDenied
from ledger.packages import Package

WORDS = "Please look at the heart once more"


def referral(step: Steps, story: Story) -> None:
    """Sent, not to be opened yet, accepted, taken up, opened offline."""
    client, south, key = LocalClient(story.ledger), story.south, ReceivingKey.generate()
    step(
        "a hospital gets a key to receive with",
        lambda: referring.register_receiving(client, south.system, key),
        lambda seq: f"entry {seq}: X-Wing, whose private half never leaves it",
    )
    named = [story.letter.record]
    _, sent, _ = step(
        "the letter is referred to it",
        lambda: referring.send(client, story.doctors[0], south.hospital, named, WORDS),
        lambda found: f"entry {found[2]}; {_told(story, 'referral_sent')}",
    )
    step(
        "before it accepts, nothing opens",
        lambda: _refused(client, story, sent),
        lambda denied: denied,
    )
    package = step(
        "it accepts, and takes the letter up",
        lambda: _taken(client, story, sent),
        lambda data: f"{len(data)} bytes; {_told(story, 'referral_accepted')}",
    )
    step(
        "and opens it with its own key alone",
        lambda: _opened(package, key),
        lambda found: (
            f"{counted(found[0], 'byte')}, with the words “{found[1]}”; no server, no keeper, no log"
        ),
    )


def _told(story: Story, kind: str) -> str:
    """The patient has a message, from the transaction of the entry."""
    kinds = {(row.kind, row.account) for row in story.ledger.outbox.rows(1_000)}
    expect((kind, story.patient.account) in kinds, "the patient is not told")
    return "the patient is told"


def _refused(client: LocalClient, story: Story, sent: str) -> str:
    """That the package isn't to be had, in the words of the refusal."""
    try:
        referring.take(client, story.south.system, story.chart, sent, BytesIO())
    except AccessDenied as denied:
        return str(denied)
    raise DemoFailed("what nobody accepted was taken up")


def _taken(client: LocalClient, story: Story, sent: str) -> bytes:
    """The package, a ZIP."""
    out, system = BytesIO(), story.south.system
    referring.accept(client, story.doctors[2], story.chart, sent)
    referring.take(client, system, story.chart, sent, out)
    return out.getvalue()


def _opened(package: bytes, key: ReceivingKey) -> tuple[int, str]:
    """How long the letter in it is, and what was written to it."""
    with Package(BytesIO(package)) as found:
        listed = found.opened(key)
        (letter,) = listed.versions
        content = b"".join(found.content(letter))
    expect(content[:5] == b"%PDF-", "another content than the letter")
    expect(listed.words == WORDS, f"got the words {listed.words!r}")
    return len(content), listed.words
