"""`erase`, `erasures` and `hold`, next to the data and over HTTP: what people type, and what they are told."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from identity.actors import Actor, write_keyfile
from ledger.times import DAY_MS, format_time
from storage.clock import wall_clock
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process


def keyfile(folder: Path, name: str, who: Actor) -> str:
    """Somebody's key file."""
    path = folder / f"{name}.key"
    write_keyfile(path, who)
    return str(path)


@pytest.mark.parametrize("remote", [False, True])
def test_a_patient_erases_what_they_wrote_and_takes_it_back(
    fixture: LedgerFixture, tmp_path: Path, remote: bool
) -> None:
    people = People.of(fixture)
    pat = keyfile(tmp_path, "pat", people.pat.actor)
    doctor = keyfile(tmp_path, "doctor", fixture.doctor(fixture.north))
    admin = keyfile(tmp_path, "admin", fixture.north.admin)
    with ExitStack() as served:
        if remote:
            where = ["--url", served.enter_context(in_process(fixture.ledger)).url]
        else:
            where = []
            fixture.close()
            served.callback(fixture.reopen)

        def run(*words: str, by: str, code: int = 0) -> str:
            ran = heartwood(fixture.settings, *words, "--as", by, *where)
            assert ran.code == code, (words, ran)
            return ran.out + ran.err

        chart, record = ["--patient", people.pat.patient], people.record
        assert "keep it for years" in run("erase", record, by=pat, code=1)
        assert "it is kept until" in run("why", "erase", "--record", record, by=pat)
        placed = run("hold", "place", *chart, "--reason", "court_order", by=admin)
        assert "kept from being erased" in placed
        hold = placed.split(": ")[1].split(",")[0]
        assert "kept for a court" in run("erase", "--whole-chart", by=pat, code=1)
        assert "1 hold in force" in run("hold", "list", by=pat)
        assert "Lifted" in run("hold", "lift", hold, *chart, by=admin)
        words = ["--reason", "therapeutic", "--words", "wait for the talk", "--record", record]
        run("hold", "place", *chart, *words, "--against", people.pat.actor.account, by=doctor)
        assert "is held back from you" in run("chart", by=pat)
        assert "S4 (harm hold)" in run("why", "read", "--record", record, by=pat)
        listed = run("hold", "list", *chart, by=doctor)
        assert "therapeutic" in listed
        assert "wait for the talk" not in listed
        assert "therapeutic" not in run("hold", "list", by=pat)
        kim = keyfile(tmp_path, "kim", people.kim.actor)
        asked = run("erase", "--whole-chart", by=kim)
        erasure = next(word for word in asked.split() if word.startswith("ev_")).rstrip(",")
        assert format_time(wall_clock() + 3 * DAY_MS)[:10] in asked
        assert "it was erased" in run("chart", by=kim, code=1)
        assert "can be withdrawn until" in run("erasures", by=kim)
        assert "all is as it was" in run("erase", "--withdraw", erasure, by=kim)
        assert "withdrawn by entry" in run("erasures", by=kim)
        assert "0 records" in run("chart", by=kim)
        assert "name one record" in run("erase", by=kim, code=2)
