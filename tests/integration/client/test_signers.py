"""Propose, sign, submit: a key that is elsewhere signs exactly what was proposed, and is asked for nothing else."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from api.app.settings import Settings
from client import authoring, grants, readings
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.signers import Signer, propose, sign
from crypto.signing import SigningKey
from identity.actors import Actor
from ledger.errors import Refused
from ledger.event import BUNDLE_LIMIT
from ledger.times import DAY_MS
from records.uploads import Upload
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import in_process


class Absent(SigningKey):
    """A key that isn't here: what is known of it is its public half."""

    def sign(self, message: bytes) -> bytes:
        """Never called."""
        raise AssertionError("the client signed by itself")


class Elsewhere:
    """Whoever holds the key, and what it was asked to sign."""

    def __init__(self, key: SigningKey) -> None:
        self._key, self.id, self.public = key, key.id, key.public
        self.asked: list[bytes] = []

    def sign(self, message: bytes) -> bytes:
        """Looks at the bytes, and signs them."""
        self.asked.append(message)
        return self._key.sign(message)


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[LedgerFixture]:
    made = LedgerFixture.found(Settings(data=tmp_path / "data"))
    yield made
    made.verify()
    made.close()


def absent(actor: Actor) -> Actor:
    """The actor, without its key."""
    return replace(actor, key=Absent(actor.key.seed))


def test_a_key_elsewhere_signs_for_every_journey(fixture: LedgerFixture) -> None:
    """Beside the data and over HTTP: sessions, appends, bundles and readings."""
    pat, system = fixture.person(), fixture.north.system
    holders = {one.key.id: Elsewhere(one.key) for one in (pat.actor, system)}

    def signer(actor: Actor) -> Signer:
        return holders[actor.key.id]

    with in_process(fixture.ledger) as web, closing(HttpClient(web.url, signer=signer)) as far:
        for client in (LocalClient(fixture.ledger, signer), far):
            _a_day(client, pat, absent(pat.actor), absent(system))
    kinds = {message.split(b"\n")[0] for one in holders.values() for message in one.asked}
    assert kinds == {b"heartwood/event/v1", b"heartwood/session/v1", b"heartwood/bundle/v1"}


def _a_day(client: LedgerClient, pat: Person, own: Actor, system: Actor) -> None:
    one = Upload(pat.patient, "laboratory", "text/plain", [b"13.9"], title="Blood count")
    record = authoring.upload(client, system, one).record
    hide = [
        own.event(
            "record.hidden", pat.stream, {"purpose": "PATRQT", "record": record}, client.now()
        ),
        own.event(
            "record.shown", pat.stream, {"purpose": "PATRQT", "record": record}, client.now()
        ),
    ]
    assert len(client.append(own, hide)) == 2
    grants.exclude(client, own, pat.patient, system.hospital)
    grants.include(client, own, pat.patient, system.hospital)
    assert b"".join(readings.read(client, own, record, "PATRQT")[1].content) == b"13.9"
    assert readings.history(client, own, pat.patient, "PATRQT").entries


def test_the_three_steps_by_hand(fixture: LedgerFixture) -> None:
    """What was proposed is what is signed and submitted; a signature over anything else counts for nothing."""
    pat = fixture.person()
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as far:
        for client, hospital in (
            (LocalClient(fixture.ledger), fixture.south),
            (far, fixture.north),
        ):
            body = {"purpose": "PATRQT", "reader": hospital.hospital}
            event = pat.actor.event("reader.excluded", pat.stream, body, client.now())
            proposal = propose(client.origin, pat.actor, [event])
            assert proposal.raws[0] in proposal.message()
            (seq,) = client.submit(sign(pat.actor.key, proposal))
            assert fixture.ledger.entry(seq).event.raw == proposal.raws[0]
            later = pat.actor.event("reader.included", pat.stream, body, client.now() + DAY_MS)
            other = propose(client.origin, pat.actor, [later])
            with pytest.raises(Refused):
                client.submit(replace(sign(pat.actor.key, proposal), proposal=other))


def test_many_events_are_several_proposals(fixture: LedgerFixture) -> None:
    """Of which none is larger than one signature may cover."""
    pat, client = fixture.person(), LocalClient(fixture.ledger)
    body = {"purpose": "PATRQT", "reader": fixture.south.hospital}
    events = [
        pat.actor.event(f"reader.{word}", pat.stream, body, client.now())
        for word in ("excluded", "included") * (BUNDLE_LIMIT // 2 + 1)
    ]
    stood = client.append(pat.actor, events)
    assert [one.seq for one in stood] == list(range(stood[0].seq, stood[0].seq + len(events)))
