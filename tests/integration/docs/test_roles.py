"""What the pages for people say is what happens: the steps of each are followed from the first command to the last."""

from pathlib import Path

import pytest

from api.app.settings import Settings
from client import registering
from client.local import LocalClient
from identity.actors import Actor, new_key, write_keyfile
from tests.support.ledger_fixture import LedgerFixture
from tests.support.paths import ROOT
from tests.support.tutorials import go, steps

PAGES = ROOT / "docs" / "consent"


def prepared(place: Path) -> dict[str, str]:
    """A ledger with one record, and beside it the key file of everybody of whom the pages tell; gives what they call by name."""
    fixture = LedgerFixture.found(Settings(data=place / "ledger"))
    try:
        pat, local = fixture.person("Pat Lind"), LocalClient(fixture.ledger)
        record = fixture.record(pat, b"HbA1c 5.60 %\n", "HbA1c").record
        key = new_key()
        account, events = registering.new_account(
            local, fixture.operator, "Kim Lind", key, "device"
        )
        local.append(fixture.operator, events)
        author, doctor = fixture.doctor(fixture.north), fixture.doctor()
        people = {
            "patient": pat.actor, "relative": Actor(local.origin, account, "person", "", key), "doctor": doctor,
            "author": author, "admin": fixture.north.admin, "system": fixture.north.system,
            "other-admin": fixture.south.admin, "other-system": fixture.south.system,
        }  # fmt: skip
        for name, who in people.items():
            write_keyfile(place / f"{name}.key", who)
        return {
            "HEARTWOOD_DATA": str(place / "ledger"), "PATIENT": pat.patient, "RECORD": record, "DOCTOR": doctor.account,
            "RELATIVE": account, "HOSPITAL": fixture.north.hospital, "OTHER": fixture.south.hospital, "ACCOUNT": pat.actor.account,
        }  # fmt: skip
    finally:
        fixture.close()


@pytest.mark.parametrize("page", ["patient", "relative", "doctor", "admin"])
def test_the_steps_of_a_page(page: str, tmp_path: Path) -> None:
    go(list(steps((PAGES / f"{page}.md").read_text())), tmp_path, prepared(tmp_path))
