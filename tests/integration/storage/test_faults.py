"""Faults as a table: each write of upload, append, read and grant broken both ways, then everything verified.

*Not done*: the write raises before it does anything. *Done, reported failed*: it happens, then it raises.
What was acknowledged stands, what is tried again stands once, and log, views and decisions are whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from api.app.settings import Settings
from client import authoring, grants, readings
from client.local import LocalClient
from consent.auditor import audit_export
from durable.errors import StorageError
from durable.trusted import TrustedCheckpoint
from identity.actors import Actor
from journeys.errors import RecordsError
from keeper.keks import KekStore
from keeper.releases import Releases
from ledger.errors import Refused
from records.uploads import Upload
from storage.blobs.files import FileBlobs
from storage.exports import write_export
from storage.keytable import KeyTable
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.views import rebuild
from storage.tokens import TokenStore
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person, vkeys


class Broken(Exception):
    """The planted fault."""


class People:
    """A patient with a record and a doctor who may read it."""

    def __init__(self, fixture: LedgerFixture) -> None:
        self.fixture, self.client = fixture, LocalClient(fixture.ledger)
        self.patient: Person = fixture.person()
        self.doctor: Actor = fixture.doctor()
        self.record = fixture.record(self.patient, title="Blood count").record
        grants.grant(self.client, self.patient.actor, self.patient.patient, self.doctor.account)

    def upload(self) -> None:
        """A new record, with a title."""
        one = Upload(self.patient.patient, "laboratory", "text/plain", [CONTENT], title="T")
        authoring.upload(self.client, self.fixture.north.system, one)

    def read(self) -> None:
        """A reading whose content is whole."""
        shown = readings.read(self.client, self.doctor, self.record, "TREAT")[1]
        assert b"".join(shown.content) == CONTENT

    def grant(self) -> None:
        """A grant to a hospital."""
        grants.grant(
            self.client, self.patient.actor, self.patient.patient, self.fixture.south.hospital
        )

    def register(self) -> None:
        """A new patient: ids reserved, names sealed, two events in one bundle."""
        self.fixture.person("Again")


Journey = Callable[[People], None]
POINTS: dict[str, tuple[type, str]] = {
    "blob": (FileBlobs, "put"),
    "key of a new subject": (KekStore, "add"),
    "staged keys": (KeyTable, "stage"),
    "rows": (EntryStore, "write_rows"),
    "streams": (EntryStore, "add_streams"),
    "entries": (EntryStore, "add"),
    "tiles": (EntryStore, "write_tiles"),
    "head": (EntryStore, "write_head"),
    "commit": (Database, "write"),
    "trusted": (TrustedCheckpoint, "saw"),
    "release": (Releases, "record"),
    "read token": (TokenStore, "put"),
}
"""Every write, by what it writes."""
_BATCH = ("rows", "streams", "entries", "tiles", "head", "commit", "trusted")
TABLE: dict[str, tuple[Journey, tuple[str, ...]]] = {
    "upload": (People.upload, ("blob", "staged keys", *_BATCH)),
    "read": (People.read, (*_BATCH, "release", "read token")),
    "grant": (People.grant, _BATCH),
    "register": (People.register, ("key of a new subject", "staged keys", *_BATCH)),
}
"""Which writes each journey does."""
CASES = [
    pytest.param(
        name,
        point,
        done,
        id=f"{name}, {point}, {'done but reported failed' if done else 'not done'}",
    )
    for name, (_, points) in TABLE.items()
    for point in points
    for done in (False, True)
]
FAILURES = (Broken, StorageError, RecordsError, Refused)
"""How a journey may tell that it failed: in words of ours, or by what was planted outside the log."""


@contextmanager
def broken(patch: pytest.MonkeyPatch, point: str, done: bool) -> Iterator[list[int]]:
    """Break a write at each call; gives the list of the calls that were broken."""
    kind, name = POINTS[point]
    true, hits = getattr(kind, name), list[int]()

    def write(self: Any, *given: Any, **named: Any) -> Any:
        hits.append(1)
        if done:
            true(self, *given, **named)
        raise Broken(f"{point} is broken")

    @contextmanager
    def transaction(self: Any) -> Iterator[Any]:
        with true(self) as connection:
            yield connection
            if not done:
                hits.append(1)
                raise Broken("the commit is broken")
        hits.append(1)
        raise Broken("the commit's answer is lost")

    with patch.context() as planted:
        planted.setattr(kind, name, transaction if point == "commit" else write)
        yield hits


@pytest.fixture
def people(settings: Settings) -> Iterator[People]:
    """On a ledger of its own, on each engine."""
    fixture = LedgerFixture.found(settings)
    yield People(fixture)
    fixture.close()


_exports = count()


def everything_holds(people: People) -> None:
    """The log verifies, every decision is the rules', and the views are those of the log."""
    fixture = people.fixture
    target = fixture.settings.data.with_name(f"whole-{next(_exports)}")
    write_export(fixture.ledger, target)
    assert fixture.verify().counts.entries == fixture.size()
    assert not audit_export(target, vkeys(fixture.settings)).wrong
    assert not rebuild(fixture.ledger.store, swap=False).differences


@pytest.mark.parametrize(("name", "point", "done"), CASES)
def test_a_broken_write(
    people: People, monkeypatch: pytest.MonkeyPatch, name: str, point: str, done: bool
) -> None:
    """It is told, nothing is half-written, and the same again goes well, without a restart and after one."""
    journey, _ = TABLE[name]
    before = people.fixture.size()
    with broken(monkeypatch, point, done) as hits, pytest.raises(FAILURES):
        journey(people)
    assert hits, "the fault was never met"
    stood = people.fixture.size() - before
    if not done and point in _BATCH[:6]:
        assert stood == 0, "what was told to have failed stands"
    everything_holds(people)
    journey(people)
    assert people.fixture.size() > before + stood
    people.fixture.reopen()
    people.client = LocalClient(people.fixture.ledger)
    journey(people)
    everything_holds(people)
