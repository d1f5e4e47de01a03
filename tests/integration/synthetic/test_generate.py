"""Generated folders: the same bytes by any number of workers, continued, never over anything else."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from api.app.settings import Settings
from imports.generating import MARKER, Order, generate, patient_file
from journeys.errors import RecordsError
from synthetic import patient, region
from tests.support.commands import heartwood

ORDER = Order(seed=3, patients=45, years=2)


def contents(folder: Path) -> dict[str, str]:
    """Every file below, by its name, as a hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_is_the_same_by_any_number_of_workers(tmp_path: Path) -> None:
    alone, several = tmp_path / "alone", tmp_path / "several"
    seen: list[tuple[int, int]] = []
    one = generate(alone, ORDER, progress=lambda done, size: seen.append((done, size)))
    two = generate(several, ORDER, workers=2)
    assert contents(alone) == contents(several)
    assert seen[-1] == (45, 45) and len(seen) == 3
    assert (one.patients, one.files, one.types, one.bytes) == (45, 47, two.types, two.bytes)
    assert one.bytes == sum(path.stat().st_size for path in alone.rglob("*.json"))
    assert patient_file(alone, 44).read_bytes() == patient(3, 44, 2).bundle
    assert (alone / "hospitals.json").read_bytes() == region(3)["hospitals"].encode()
    assert json.loads((alone / MARKER).read_text())["whole"] is True


def test_a_run_of_fewer_is_the_beginning_and_can_grow(tmp_path: Path) -> None:
    few, all_ = tmp_path / "few", tmp_path / "all"
    generate(few, ORDER._replace(patients=21))
    generate(all_, ORDER)
    small = contents(few)
    del small[MARKER]
    assert small.items() <= contents(all_).items()
    grown = generate(few, ORDER)
    assert (grown.kept, grown.patients) == (21, 24)
    assert contents(few) == contents(all_)


def test_what_a_killed_run_left_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the middle of the second part; whole files stay, and none is half."""
    replace = os.replace

    def full(temporary: Path, path: Path) -> None:
        if path.name == "patient-0000030.json":
            raise OSError(28, "No space left on device")
        replace(temporary, path)

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("durable.files.os.replace", full)
        with pytest.raises(OSError, match="No space"):
            generate(folder, ORDER)
    assert json.loads((folder / MARKER).read_text())["whole"] is False
    assert len(list(folder.rglob("*.json"))) == 2 + 30
    done = generate(folder, ORDER)
    assert (done.kept, done.patients) == (30, 15)
    generate(tmp_path / "other", ORDER)
    whole = {name: digest for name, digest in contents(folder).items() if "/." not in name}
    assert whole == contents(tmp_path / "other")


def test_another_folder_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RecordsError, match="not a generated folder"):
        generate(tmp_path, ORDER)
    assert list(contents(tmp_path)) == ["mine.txt"]


@pytest.mark.parametrize(
    "other", [ORDER._replace(seed=4), ORDER._replace(years=3), ORDER._replace(patients=2)]
)
def test_another_run_is_refused(tmp_path: Path, other: Order) -> None:
    generate(tmp_path, ORDER._replace(patients=3))
    before = contents(tmp_path)
    with pytest.raises(RecordsError, match="expected"):
        generate(tmp_path, other)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("text", ["", "[]", '{"patients":"3"}'])
def test_a_broken_marker_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(RecordsError, match="generate"):
        generate(tmp_path, ORDER)


@pytest.mark.parametrize("order", [Order(1, 0), Order(1, 10**9), Order(1, 1, 0), Order(1, 1, 999)])
def test_orders_have_limits(tmp_path: Path, order: Order) -> None:
    with pytest.raises(RecordsError, match="expected 1 to"):
        generate(tmp_path / "none", order)
    assert not (tmp_path / "none").exists()


def test_many_patients_lie_in_folders_of_a_thousand(tmp_path: Path) -> None:
    paths = {patient_file(tmp_path, place).parent for place in range(100_000)}
    assert len(paths) == 100
    assert patient_file(tmp_path, 99_999).name == "patient-0099999.json"


def test_the_command_tells_what_it_made(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", database_url="", blobs="", root=None)
    folder = tmp_path / "made"
    order = ("generate", folder, "--patients", 25, "--seed", 9, "--years", 1, "--workers", 2)
    told = heartwood(settings, *order, "--json").json
    assert (told["patients"], told["kept"], told["files"]) == (25, 0, 27)
    assert told["resources"] == sum(told["types"].values())
    assert told["encounters"] == told["types"]["Encounter"] > 25
    assert told["bytes"] == sum(path.stat().st_size for path in folder.rglob("*.json"))
    again = heartwood(settings, *order)
    assert "25 patients were there already and stay as they are" in again.out
    other = heartwood(settings, "generate", folder, "--seed", 10)
    assert (other.code, "expected" in other.err) == (2, True)
