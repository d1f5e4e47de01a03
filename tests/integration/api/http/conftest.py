"""The place of the tests over HTTP."""

from collections.abc import Iterator

import pytest

from api.app.settings import Settings
from client import authoring, beside, grants
from client.http import HttpClient
from records.uploads import Upload
from tests.support.people import Town
from tests.support.places import KINDS, Clock, Place, new_doctor, new_patient
from tests.support.server import in_process


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A patient with a record of each kind, and who reads them."""
    clock = Clock()
    town = Town.found(Settings(data=tmp_path_factory.mktemp("http") / "data"), clock)
    with in_process(town.ledger) as web:
        far = HttpClient(web.url)
        pat = new_patient(far, town)
        doctor = new_doctor(far, town)
        made = Place(town, web, far, clock, pat, doctor)
        system = town.north.system
        for name, kind in KINDS.items():
            media_type = kind.get("media_type", "text/plain")
            one = {"media_type": media_type, **kind, "content": [name.encode()]}
            uploaded = authoring.upload(far, system, Upload(pat.patient, **one))
            made.records[name] = uploaded.record
        grants.hide(far, pat.actor, pat.patient, made.records["hidden"])
        authoring.retract(far, system, made.records["retracted"], "HOPERAT")
        yield made
        far.close()
    town.verify()
    town.close()


@pytest.fixture(scope="module")
def full_tile(place: Place) -> None:
    """The log has a full tile, whichever tests went before."""
    if (missing := 300 - place.town.size()) > 0:
        one = Upload(place.pat.patient, "laboratory", "text/plain", [b"filling"])
        beside.upload(place.town.ledger, place.town.north.system, [one] * missing)
