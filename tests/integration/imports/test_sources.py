"""What an import finds in folders: every name is counted, none leads out, and no one file stops the others."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from identity.actors import write_keyfile
from imports.run import Options, import_paths
from imports.walking import Aside, walk
from journeys.errors import RecordsError
from tests.integration.imports.test_again import lab, numbers, of, patient, visit, write
from tests.support.clinic import Clinic
from tests.support.commands import heartwood
from tests.support.inside import opened


def reasons(report: Path) -> dict[str, str]:
    """File name → reason, of the rejects."""
    lines = (report / "rejects.jsonl").read_text("utf-8").splitlines()
    return {Path(json.loads(line)["file"]).name: json.loads(line)["reason"] for line in lines}


# --- one unit stops no other ---------------------------------------------------------------------


@pytest.mark.parametrize("born", ["9999-12-31", "9998-01-01", "9990-02-28"])
@pytest.mark.parametrize("dry", [False, True])
def test_a_birth_date_that_cannot_be_stops_nothing(
    clinic: Clinic, tmp_path: Path, born: str, dry: bool
) -> None:
    write(tmp_path / "a.json", patient(1, birthDate=born), visit(1))
    write(tmp_path / "b.json", patient(2), visit(2))
    summary = clinic.bring(tmp_path / "a.json", tmp_path / "b.json", dry=dry)
    assert (summary.rejected, summary.patients, summary.new, summary.doubts) == (0, 2, 4, 1)


def test_a_file_name_that_is_no_utf8_is_written_escaped(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    named = os.fsencode(folder) + b"/a\xe4.json"
    with open(named, "wb") as file:
        file.write(b"[")
    write(folder / "b.json", patient(2))
    summary = clinic.bring(folder, report=tmp_path / "report")
    assert (summary.rejected, summary.new) == (1, 1)
    (line,) = (tmp_path / "report" / "rejects.jsonl").read_bytes().splitlines()
    assert os.fsencode(json.loads(line)["file"]) == named


SURROGATES = {
    "a reference": {"performer": [{"reference": "Practitioner/\ud800"}]},
    "a code with a space": {"code": {"coding": [{"system": "urn:x", "code": " a\udfff"}]}},
    "a title": {"code": {"text": "\ud83d"}},
    "a unit": {"valueQuantity": {"system": "http://unitsofmeasure.org", "code": "m\udc00 "}},
}


@pytest.mark.parametrize("members", SURROGATES.values(), ids=SURROGATES)
def test_half_a_surrogate_pair_stops_nothing(
    clinic: Clinic, tmp_path: Path, members: dict[str, object]
) -> None:
    odd = of(1, "Basic", "x") | members
    write(tmp_path / "a.json", patient(1), odd)
    write(tmp_path / "b.json", patient(2))
    summary = clinic.bring(tmp_path / "a.json", tmp_path / "b.json", report=tmp_path / "report")
    assert summary.found == 3 and summary.new + summary.rejected == 3


def test_a_file_that_went_away_is_set_aside(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.json", patient(1))
    write(folder / "b.json", patient(2))
    (folder / "c.hl7").write_bytes(b"MSH|^~\\&|A|B|||2020||ORU^R01|1|P|2.5\r")

    def gone(step: str, done: int, size: int) -> None:
        for name in ("b.json", "c.hl7"):
            (folder / name).unlink(missing_ok=True)

    summary = import_paths(
        clinic.ledger, clinic.hospital.system, [folder], Options(report=tmp_path / "r"), gone
    ).summary
    assert (summary.new, summary.rejected) == (1, 2)
    assert all("No such file" in reason for reason in reasons(tmp_path / "r").values())


# --- what lies in a folder -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one bundle, and beside it one that nobody gave."""
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "good.json", patient(1))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.key").write_bytes(b"32 bytes")
    return folder


def test_every_name_is_counted_and_none_leads_out(
    clinic: Clinic, folder: Path, tmp_path: Path
) -> None:
    (folder / "sub").mkdir()
    write(folder / "sub" / "two.json", patient(2))
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "root.bin").symlink_to(tmp_path / "outside" / "secret.key")
    (folder / "up").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "same.json").symlink_to(folder / "good.json")
    (folder / ".hidden.json").write_text("{}")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.txt").write_text("x")
    (folder / ".DS_Store").write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
        summary = clinic.bring(folder, report=tmp_path / "report", patient="urn:hospital|1")
    told = reasons(tmp_path / "report")
    assert {name: reason[:24] for name, reason in told.items()} == {
        "dangling": "it is a link to what is ",
        "root.bin": "it is a link that leads ",
        "up": "it is a link that leads ",
        ".hidden.json": "it is a hidden file; nam",
        ".cache": "it is a hidden folder; n",
        "pipe": "got a named pipe, expect",
        "socket": "got a socket, expected a",
    }
    assert numbers(summary) == (12, 2, 0, 0, 7)
    assert (summary.references, summary.files) == (3, 12)
    assert not any(
        b"32 bytes" in content for chart in clinic.charts() for content in clinic.contents(chart)
    )


def test_what_is_named_itself_is_taken(folder: Path, tmp_path: Path) -> None:
    (folder / ".hidden").mkdir()
    write(folder / ".hidden" / "a.json", patient(1))
    link = tmp_path / "link"
    link.symlink_to(folder / ".hidden", target_is_directory=True)
    assert list(walk([folder / ".hidden", folder / "good.json", link])) == [
        folder / ".hidden" / "a.json",
        folder / "good.json",
        link / "a.json",
    ]
    os.mkfifo(folder / "pipe")
    with pytest.raises(RecordsError, match=r"got a named pipe .*pipe, expected a file or folder"):
        list(walk([folder / "pipe"]))


def test_a_folder_that_cannot_be_entered_is_told() -> None:
    """As a user who is not root, whom nothing is closed to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        for name in ("locked", "open"):
            (folder / name).mkdir()
            (folder / name / "a.txt").write_text("x")
        (folder / "locked").chmod(0)
        with _unprivileged():
            found = list(walk([folder]))
    reason = "the folder cannot be read: Permission denied"
    assert found == [Aside(folder / "locked", reason, True), folder / "open" / "a.txt"]


def test_a_folder_that_cannot_be_entered_ends_the_import_unless_accepted(
    clinic: Clinic, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    size = clinic.ledger.head().size
    with pytest.raises(RecordsError, match="sub: the folder cannot be read: Permission denied"):
        clinic.bring(folder)
    assert clinic.ledger.head().size == size
    summary = clinic.bring(folder, accept=True, report=tmp_path / "report")
    assert numbers(summary) == (2, 1, 0, 0, 1)
    assert reasons(tmp_path / "report") == {"sub": "the folder cannot be read: Permission denied"}


@contextmanager
def _unprivileged() -> Iterator[None]:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_long_list_of_nested_folders_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(150):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("x")
    assert list(walk([tmp_path])) == [deep / "a.txt"]


def test_a_second_run_tells_the_same(clinic: Clinic, folder: Path) -> None:
    (folder / "dangling").symlink_to(folder / "nowhere")
    write(folder / "labs.json", visit(1), lab(1, "x", 1))
    assert numbers(clinic.bring(folder)) == (4, 3, 0, 0, 1)
    size = clinic.ledger.head().size
    assert numbers(clinic.bring(folder)) == (4, 0, 0, 3, 1)
    assert clinic.ledger.head().size == size


# --- how it ends ---------------------------------------------------------------------------------


def test_rejects_end_with_1_unless_they_are_accepted(
    clinic: Clinic, folder: Path, tmp_path: Path
) -> None:
    key = tmp_path / "system.key"
    write_keyfile(key, clinic.hospital.system, None)
    options = ("--hospital", clinic.hospital.hospital, "--as", key, "--json")
    (folder / "bad.json").write_text("[")
    clinic.ledger.close()

    def ran(*more: object) -> tuple[int, int, int]:
        report = tmp_path / f"report {len(list(tmp_path.iterdir()))}"
        found = heartwood(clinic.settings, "import", *options, "--report", report, *more)
        return found.code, found.json["rejected"], found.json["new"]

    assert ran(folder, "--dry-run") == (1, 1, 1)
    assert ran(folder / "bad.json") == (1, 1, 0)
    assert ran(folder) == (1, 1, 1)
    assert ran(folder, "--accept-rejects") == (0, 1, 0)
    assert ran(folder / "good.json") == (0, 0, 0)
    clinic.ledger = opened(clinic.settings)
