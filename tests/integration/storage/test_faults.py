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
from ledger.errors import Refused
from records.uploads import Upload
from storage.blobs.files import FileBlobs
from storage.exports import write_export
from storage.keytable import KeyTable
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.views import rebuild
from storage.tokens import TokenStore
from tests.support.people import CONTENT, Person, Town, vkeys


class Broken(Exception):
    """The planted fault."""


class Scene:
    """A patient with a record and a doctor who may read it."""

    def __init__(self, town: Town) -> None:
        self.town, self.client = town, LocalClient(town.ledger)
        self.patient: Person = town.person()
        self.doctor: Actor = town.doctor()
        self.record = town.record(self.patient, title="Blood count").record
        grants.grant(self.client, self.patient.actor, self.patient.patient, self.doctor.account)

    def upload(self) -> None:
        """A new record, with a title."""
        one = Upload(self.patient.patient, "laboratory", "text/plain", [CONTENT], title="T")
        authoring.upload(self.client, self.town.north.system, one)

    def read(self) -> None:
        """A reading whose content is whole."""
        shown = readings.read(self.client, self.doctor, self.record, "TREAT")[1]
        assert b"".join(shown.content) == CONTENT

    def grant(self) -> None:
        """A grant to a hospital."""
        grants.grant(
            self.client, self.patient.actor, self.patient.patient, self.town.south.hospital
        )

    def register(self) -> None:
        """A new patient: ids reserved, names sealed, two events in one bundle."""
        self.town.person("Again")


Journey = Callable[[Scene], None]
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
    "release": (KekStore, "use"),
    "read token": (TokenStore, "put"),
}
"""Every write, by what it writes."""
_BATCH = ("rows", "streams", "entries", "tiles", "head", "commit", "trusted")
TABLE: dict[str, tuple[Journey, tuple[str, ...]]] = {
    "upload": (Scene.upload, ("blob", "staged keys", *_BATCH)),
    "read": (Scene.read, (*_BATCH, "release", "read token")),
    "grant": (Scene.grant, _BATCH),
    "register": (Scene.register, ("key of a new subject", "staged keys", *_BATCH)),
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
def scene(settings: Settings) -> Iterator[Scene]:
    """On a ledger of its own, on each engine."""
    town = Town.found(settings)
    yield Scene(town)
    town.close()


_exports = count()


def everything_holds(scene: Scene) -> None:
    """The log verifies, every decision is the rules', and the views are those of the log."""
    town = scene.town
    target = town.settings.data.with_name(f"whole-{next(_exports)}")
    write_export(town.ledger, target)
    assert town.verify().counts.entries == town.size()
    assert not audit_export(target, vkeys(town.settings)).wrong
    assert not rebuild(town.ledger.store, swap=False).differences


@pytest.mark.parametrize(("name", "point", "done"), CASES)
def test_a_broken_write(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str, point: str, done: bool
) -> None:
    """It is told, nothing is half-written, and the same again goes well, without a restart and after one."""
    journey, _ = TABLE[name]
    before = scene.town.size()
    with broken(monkeypatch, point, done) as hits, pytest.raises(FAILURES):
        journey(scene)
    assert hits, "the fault was never met"
    stood = scene.town.size() - before
    if not done and point in _BATCH[:6]:
        assert stood == 0, "what was told to have failed stands"
    everything_holds(scene)
    journey(scene)
    assert scene.town.size() > before + stood
    scene.town.reopen()
    scene.client = LocalClient(scene.town.ledger)
    journey(scene)
    everything_holds(scene)
