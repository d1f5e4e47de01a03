"""Import of sample data, where it lies beside the project; else of generated bundles."""

from pathlib import Path

from benchmarks.measure import Figure, workplace
from benchmarks.town import Town
from records.imports import import_paths
from records.synthetic import patients

SAMPLES = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
FOLDERS = ("synthea-2019-r4", "synthea-2022-csv-fhir/fhir")
GENERATED = 200


def figures() -> list[Figure]:
    """Resources a second, and megabytes a second of source."""
    with workplace() as place:
        town = Town.build(place, 1)
        folders = [SAMPLES / folder for folder in FOLDERS]
        what = "sample data"
        if not all(folder.is_dir() for folder in folders):
            folders, what = [place / "generated"], f"{GENERATED} generated patients"
            folders[0].mkdir()
            for number, one in enumerate(patients(1, GENERATED)):
                (folders[0] / f"{number:04d}.json").write_bytes(one.bundle)
        summary = import_paths(town.ledger, town.system, folders).summary
        town.ledger.close()
    return [
        Figure(f"import, {what}", summary.new / summary.seconds, "resources/s"),
        Figure(f"import, {what}", summary.bytes / summary.seconds / 1e6, "MB/s"),
    ]
