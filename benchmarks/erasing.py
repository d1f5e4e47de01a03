"""Erasing a chart of many records, from the entry that begins it to the one that says it is done, on the disk."""

import time
from unittest.mock import patch

from api.app.settings import Settings
from benchmarks.measure import Figure, workplace
from client import beside, erasing
from client.local import LocalClient
from records.uploads import Upload
from storage.clock import wall_clock
from storage.maintenance.erasing import Erasing
from tests.support.ledger_fixture import LedgerFixture

RECORDS = 1_000
"""In the chart that is erased."""
AT_ONCE = 100
CONTENT = bytes(10_240)


def figures() -> list[Figure]:
    """Seconds, with SQLite and a directory of blobs."""
    # The keeper is new: it believes what it is shown first.
    with patch("ledger.types.erasures.ERASURE_WAIT_MS", 1), workplace() as place:
        return [
            Figure.of("erasing", _seconds(LedgerFixture.found(Settings(data=place / "ledger"))))
        ]


def _seconds(fixture: LedgerFixture) -> float:
    person, system = fixture.person(), fixture.north.system
    upload = Upload(
        person.patient,
        "document",
        "text/plain",
        [CONTENT],
        title="Report",
        clinical_date="1980-01-01",
    )
    for _ in range(RECORDS // AT_ONCE):
        beside.upload(fixture.ledger, system, [upload] * AT_ONCE)
    erasing.erase(LocalClient(fixture.ledger), person.actor, person.patient)
    asked = wall_clock()
    while wall_clock() <= asked + 1:
        time.sleep(0.001)
    began = time.perf_counter()
    done = Erasing(fixture.ledger).due()
    seconds = time.perf_counter() - began
    assert done is not None
    assert done.completed, done
    fixture.close()
    return seconds
