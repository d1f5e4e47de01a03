"""Generation of patients, and import of them or, where it lies beside the project, of sample data."""

from pathlib import Path

from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace
from imports.generating import Order, generate
from imports.run import import_paths

SAMPLES = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
FOLDERS = ("synthea-2019-r4", "synthea-2022-csv-fhir/fhir")
ORDER = Order(seed=1, patients=200, years=3)


def figures() -> list[Figure]:
    """Patients, resources and megabytes of source a second."""
    with workplace() as place:
        fixture = BenchFixture.build(place, 1)
        made = generate(place / "generated", ORDER)
        folders, what = [SAMPLES / folder for folder in FOLDERS], "sample data"
        if not all(folder.is_dir() for folder in folders):
            folders, what = [place / "generated"], f"{ORDER.patients} generated patients"
        summary = import_paths(fixture.ledger, fixture.system, folders).summary
        fixture.ledger.close()
    return [
        Figure("generate, one process", made.patients / made.seconds, "patients/s"),
        Figure("generate, one process", made.bytes / made.seconds / 1e6, "MB/s"),
        Figure(f"import, {what}", summary.new / summary.seconds, "resources/s"),
        Figure(f"import, {what}", summary.bytes / summary.seconds / 1e6, "MB/s"),
    ]
