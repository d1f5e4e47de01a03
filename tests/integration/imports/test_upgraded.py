"""An import into a ledger of an older program, which kept no index of what it imported, doubles no chart."""

import json
from pathlib import Path

import pytest

from client.beside import upload
from records.uploads import Upload
from tests.integration.imports.test_again import chart, ids, lab, numbers, patient, visit, write
from tests.integration.storage.test_upgrade import go_back
from tests.support.clinic import Clinic
from tests.support.commands import heartwood
from tests.support.inside import opened


def forget(clinic: Clinic) -> None:
    """Bring the database to its first schema, as an older program left it, and up again."""
    clinic.ledger.close()
    go_back(clinic.settings)
    assert heartwood(clinic.settings, "upgrade").code == 0
    clinic.ledger = opened(clinic.settings)
    with clinic.ledger.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM imported").scalar() == 0


@pytest.mark.parametrize("dry", [False, True])
def test_what_was_imported_before_the_upgrade_is_known(
    clinic: Clinic, tmp_path: Path, dry: bool
) -> None:
    path = tmp_path / "a.json"
    clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1), patient(2)))
    forget(clinic)
    size = clinic.ledger.head().size
    assert numbers(clinic.bring(path, dry=dry)) == (5, 0, 0, 5, 0)
    # Nothing is new but the looks at what the records hold, each of which is an entry.
    seqs = range(size, clinic.ledger.head().size)
    assert {clinic.ledger.entry(seq).event.type.name for seq in seqs} == {"record.carried"}
    assert numbers(clinic.bring(path, dry=dry)) == (5, 0, 0, 5, 0)
    assert dry or clinic.ledger.head().size == seqs.stop  # a dry run keeps nothing, and looks again
    # What comes on belongs to the same encounter, and what changed to the same record.
    delta = write(tmp_path / "b.json", lab(1, "x", 2, status="corrected"), lab(1, "z", 1))
    assert numbers(clinic.bring(delta, dry=dry)) == (2, 1, 1, 0, 0)
    if not dry:
        assert ids(clinic, 1)[2:] == [["x", "y"], ["z"]]
        assert len({record.episode for record in chart(clinic, 1)[1:]}) == 1
        assert numbers(clinic.bring(path, delta)) == (7, 0, 0, 7, 0)


def test_a_record_is_looked_at_once(clinic: Clinic, tmp_path: Path) -> None:
    """Also one that holds no bundle at all, as a system may have uploaded."""
    path = write(tmp_path / "a.json", patient(1), visit(1))
    clinic.bring(path)
    (found,) = {record.patient for record in chart(clinic, 1)}
    upload(clinic.ledger, clinic.hospital.system, [Upload(found, "document", "application/fhir+json", [b"{"])])  # fmt: skip
    forget(clinic)
    clinic.bring(path)
    with clinic.ledger.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM imported").scalar()
    clinic.bring(path)
    with clinic.ledger.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM imported").scalar() == rows
    assert json.loads(clinic.contents(found)[0])["type"] == "collection"
