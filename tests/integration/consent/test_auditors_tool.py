"""The auditor's tool as a process of its own, with two packages and nothing else."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.exports import (
    Export,
    Forger,
    replaced,
    write_files,
)
from tests.support.paths import ROOT


def two_packages(folder: Path) -> dict[str, str]:
    """An environment in which only `crypto` and `ledger` are there, and orjson is not."""
    for package in ("crypto", "ledger"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "orjson.py").write_text("raise ImportError('hidden by a test')\n")
    path = (str(folder), str(hidden), sysconfig.get_path("purelib"))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)}


def tool(
    folder: Path, environment: Mapping[str, str], *arguments: object, flags: Sequence[str] = ("-P",)
) -> subprocess.CompletedProcess[str]:
    """Run `python -P -m ledger …` in `folder`; -S leaves out the packages beside the tests."""
    command = [sys.executable, "-S", *flags, "-m", "ledger", *map(str, arguments)]
    run = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stderr
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return two_packages(tmp_path_factory.mktemp("packages"))


def test_two_packages_are_enough_for_an_auditor(alone: Mapping[str, str], tmp_path: Path) -> None:
    for module, there in (("ledger.auditor", True), ("orjson", False), ("storage", False)):
        command = [sys.executable, "-S", "-P", "-c", f"import {module}"]
        run = subprocess.run(command, env=dict(alone), cwd=tmp_path, capture_output=True)
        assert (run.returncode == 0) is there, module


def test_the_tools_exit_codes(small: Export, alone: Mapping[str, str], tmp_path: Path) -> None:
    good, bad, keys = tmp_path / "good", tmp_path / "bad", small.data / "log.vkey"
    write_files(small.files, good)
    write_files(replaced(small, {"registry.json": b"{}"}), bad)
    older, cut, garbage = (tmp_path / name for name in ("older", "cut", "garbage"))
    older.write_bytes(small.older)
    garbage.write_bytes(b"\xff\xfe\x00")
    forger = Forger(small)
    del forger.rows[30:]
    write_files(forger.publish(), cut)
    runs: list[tuple[int, str, tuple[object, ...]]] = [
        (0, "good", ("verify", good, "--vkey", keys)),
        (0, "good", ("verify", good, "--vkey", keys, "--at-least", older)),
        (
            0,
            "continues from the 30 entries of the older",
            ("verify", good, "--vkey", keys, "--since", cut),
        ),
        (0, "entry 33 is in the log", ("check", older, "--vkey", keys)),
        (0, "entry 33 is in the log", ("check", older, "--vkey", keys, "--against", good)),
        (0, "heartwood/registry/v1", ("registry",)),
        (1, "WRONG: registry.json: ", ("verify", bad, "--vkey", keys)),
        (1, "cut short", ("verify", cut, "--vkey", keys, "--at-least", older)),
        (1, "cut short", ("verify", cut, "--vkey", keys, "--since", good)),
        (1, "cut short", ("check", older, "--vkey", keys, "--against", cut)),
        (2, "used wrongly: ", ("check", garbage, "--vkey", keys)),
        (2, "used wrongly: ", ("verify", good, "--vkey", garbage)),
        (2, "usage: ", ("verify",)),
        (2, "usage: ", ("unknown",)),
        (3, "origin unproven", ("verify", good)),
        (3, "origin unproven", ("check", older)),
        (4, "there is no folder", ("verify", tmp_path / "none", "--vkey", keys)),
        (4, "No such file", ("verify", good, "--vkey", tmp_path / "none")),
    ]
    for code, words, arguments in runs:
        run = tool(tmp_path, alone, *arguments)
        assert (run.returncode, words in run.stdout + run.stderr) == (code, True), (arguments, run)


def test_without_its_libraries_the_tool_says_so(
    small: Export, alone: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    """What isn't installed on an auditor's machine is no finding."""
    write_files(small.files, place)
    bare = dict(alone) | {"PYTHONPATH": alone["PYTHONPATH"].rpartition(os.pathsep)[0]}
    run = tool(tmp_path, bare, "verify", place)
    assert run.returncode == 4 and run.stderr.startswith("could not run: No module named ")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("planted", ["crypto/__init__.py", "ledger/__init__.py", "storage.py"])
def test_the_tool_does_not_run_inside_an_export_that_brings_code(
    small: Export, alone: Mapping[str, str], place: Path, planted: str
) -> None:
    write_files(
        dict(small.files) | {planted: b"raise SystemExit('the export ran its code')\n"}, place
    )
    run = tool(place, alone, "verify", ".", "--vkey", small.data / "log.vkey")
    assert run.returncode == 4
    assert f"this folder holds {planted.removesuffix('.py').split('/')[0]!r}" in run.stderr
    assert "the export ran its code" not in run.stderr


def test_without_p_planted_code_beside_the_verifier_is_not_run(
    small: Export, alone: Mapping[str, str], place: Path
) -> None:
    write_files(dict(small.files) | {"crypto/__init__.py": b"raise SystemExit('it ran')\n"}, place)
    run = tool(place, alone, "verify", ".", flags=())
    assert run.returncode == 4 and "it ran" not in run.stderr


def test_from_outside_planted_code_is_surplus(
    small: Export, alone: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    write_files(replaced(small, {"crypto/__init__.py": b"raise SystemExit('it ran')\n"}), place)
    run = tool(tmp_path, alone, "verify", place, "--vkey", small.data / "log.vkey")
    assert run.returncode == 1 and "crypto/__init__.py: surplus" in run.stderr


def test_the_tool_reads_a_larger_log(
    large: Export, alone: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    write_files(large.files, place)
    run = tool(tmp_path, alone, "verify", place, "--vkey", large.data / "log.vkey")
    assert run.returncode == 0 and f"{large.size} entries" in run.stdout
