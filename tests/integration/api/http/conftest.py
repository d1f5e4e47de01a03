"""The server of the tests over HTTP."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from api.app.settings import Settings
from client import authoring, beside, grants
from client.http import HttpClient
from records.uploads import Upload
from tests.support.server_fixture import (
    KINDS,
    Clock,
    ServedChart,
    new_doctor,
    new_patient,
    served_people,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChart]:
    """A patient with a record of each kind, and who reads them."""
    clock = Clock()
    settings = Settings(data=tmp_path_factory.mktemp("http") / "data")
    with served_people(settings, clock) as served, closing(HttpClient(served.web.url)) as client:
        fixture = served.fixture
        pat, doctor = new_patient(client, fixture), new_doctor(client, fixture)
        made = ServedChart(fixture, served.people, served.web, client, clock, pat, doctor)
        system = fixture.north.system
        for name, kind in KINDS.items():
            media_type = kind.get("media_type", "text/plain")
            one = {"media_type": media_type, **kind, "content": [name.encode()]}
            uploaded = authoring.upload(client, system, Upload(pat.patient, **one))
            made.records[name] = uploaded.record
        grants.hide(client, pat.actor, pat.patient, made.records["hidden"])
        authoring.retract(client, system, made.records["retracted"], "HOPERAT")
        yield made


@pytest.fixture(scope="module")
def full_tile(server: ServedChart) -> None:
    """The log has a full tile, whichever tests went before."""
    if (missing := 300 - server.fixture.size()) > 0:
        one = Upload(server.pat.patient, "laboratory", "text/plain", [b"filling"])
        beside.upload(server.fixture.ledger, server.fixture.north.system, [one] * missing)
