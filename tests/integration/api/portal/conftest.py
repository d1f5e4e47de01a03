"""One served ledger for the tests of pages, with a patient who has a record, and others who have not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from api.app.settings import Settings
from identity.actors import Actor
from tests.support.portal import Pages, Portal, served_portal

NOTE = "Haemoglobin 13.9 g/dl <script>alert(1)</script>"
TITLE = "<img src=x onerror=alert(1)>"


@dataclass
class Town:
    """A portal, and who uses it."""

    portal: Portal
    ada: Pages
    """A patient with a record."""
    chart: str
    record: str
    bob: Pages
    """Another patient."""
    doctor: Pages
    """Of the south, where nobody granted anything yet."""
    account: Actor
    """The doctor's."""
    admin: Pages
    operator: Pages
    person: Pages
    """Somebody without a role, but with a key."""
    nobody: Pages = field(init=False)

    def __post_init__(self) -> None:
        """Nobody is signed in here."""
        self.nobody = self.portal.somebody()


def uploads(who: Pages, chart: str, **fields: str) -> str:
    """Add a record by the page; its id."""
    who.open(f"/patients/{chart}/upload")
    files = {"file": ("", b"", "application/octet-stream")}
    page = who.send(f"/patients/{chart}/upload", fields, files=files)
    assert who.status() == 200, page.text
    return next(one for one in page.links if one.startswith("/records/")).rpartition("/")[2]


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Everybody, signed in."""
    with founded(Settings(data=tmp_path_factory.mktemp("portal") / "data")) as made:
        yield made


@contextmanager
def founded(settings: Settings) -> Iterator[Town]:
    """A town of one's own: for tests in which much time passes, since sessions end by it."""
    with served_portal(settings) as portal:
        ada, bob = portal.somebody().registers(), portal.somebody().registers("Bob Ost")
        chart = ada.opens_chart()
        bob.opens_chart("Bob Ost")
        record = uploads(ada, chart, title=TITLE, note=NOTE, category="laboratory")
        actor = portal.fixture.doctor()
        staff = [
            portal.with_key(one)
            for one in (actor, portal.fixture.south.admin, portal.fixture.operator)
        ]
        for one in staff:
            one.signs_in()
        doctor, admin, operator = staff
        person = portal.somebody().registers("Pia West")
        yield Town(portal, ada, chart, record, bob, doctor, actor, admin, operator, person)
