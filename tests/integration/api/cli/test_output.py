"""What commands print, and what becomes of it where printing fails: never a finding, never a bug of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exports import Export

HEARTWOOD = Path(sys.executable).with_name("heartwood")


def run(folder: Path, *arguments: object, to: str = "", **variables: str) -> tuple[int, str, str]:
    """A command in a shell, its standard output going where `to` says; exit code, output, errors."""
    command = " ".join(map(str, (HEARTWOOD, *arguments)))
    kept = {n: v for n, v in os.environ.items() if not n.startswith("HEARTWOOD_")}
    done = subprocess.run(
        ["bash", "-c", f"{command} {to}"], capture_output=True, text=True, cwd=folder,
        env=kept | {"HEARTWOOD_DATA": str(folder / "data")} | variables,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_an_act_that_stands_is_no_failure_of_ours(
    tmp_path: Path, to: str, json_: tuple[str, ...]
) -> None:
    code, _, err = run(tmp_path, "init", *json_, to=to)
    assert (code, err.count("\n")) == (4, 1) and "the command itself was carried out" in err
    assert run(tmp_path, "status")[0] == 0


def test_a_reader_that_has_enough_is_no_finding(small: Export, place: Path, tmp_path: Path) -> None:
    """As with `| head -1`: the pipe is closed before the first line."""
    for name, data in small.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    code, _, err = run(tmp_path, "verify", place, to="| true; exit ${PIPESTATUS[0]}")
    assert code == 4 and "standard output" in err and err.count("\n") == 1, err


def test_a_terminal_of_few_letters_shows_the_others_numbers(tmp_path: Path) -> None:
    run(tmp_path, "init")
    (operator,) = (tmp_path / "data" / "people").iterdir()
    code, out, err = run(
        tmp_path, "hospital", "add", "Südklinik", "--as", operator, PYTHONIOENCODING="ascii"
    )
    assert code == 0 and "S\\xfcdklinik is hs_" in out, err


@pytest.mark.parametrize(
    "arguments",
    [("chart", "--wrong"), ("unknown",), ("open", "rc_x", "--version", "x"), ("key", "new"), ("grant", "x", "--days", "0")],
)  # fmt: skip
def test_wrong_usage_is_an_object_too(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run(tmp_path, *arguments, "--json")
    assert code == 2 and "Traceback" not in err
    told = json.loads(out)
    assert told["problem"] == "usage" and told["message"] in err


def test_version_help_and_completion(tmp_path: Path) -> None:
    assert run(tmp_path, "--version")[:2] == (0, "heartwood 0.2.0\n")
    for command in ((), ("key",), ("key", "new")):
        code, out, _ = run(tmp_path, *command, "-h")
        assert code == 0 and out == run(tmp_path, *command, "--help")[1] and "Usage" in out
    code, out, _ = run(tmp_path, _HEARTWOOD_COMPLETE="complete_bash", COMP_WORDS="'heartwood hist'",
                       COMP_CWORD="1")  # fmt: skip
    assert code == 0 and "history" in out


def test_what_is_wrong_with_a_path_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "key").write_text("{}")
    (tmp_path / "key").chmod(0o600)
    for path, words in (
        ("folder", "is a folder"),
        ("none", "no key file at"),
        ("key", "is not a key file"),
    ):
        code, _, err = run(tmp_path, "chart", "--as", path, "--data", "folder")
        assert code == 2 and words in err and "Errno" not in err, err
    code, _, err = run(tmp_path, "check", "none")
    assert code == 4 and "none: no such file" in err and "Errno" not in err


def test_nothing_from_outside_steers_the_terminal(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "chart", "--as", "$'a\\e]0;x\\a\\u202e'")
    assert code == 2 and "\x1b" not in err and "\u202e" not in err and "\\x1b" in err


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_a_bug_is_no_finding(tmp_path: Path, json_: tuple[str, ...]) -> None:
    """It ends with 4 and one line; where in the program it is, is shown to whoever asks for it."""
    run(tmp_path, "init")
    code = "from api.cli import main, operations; operations.status_of = lambda *_: {}['planted']; main()"
    command = [sys.executable, "-c", code, "status", *json_]
    kept = {n: v for n, v in os.environ.items() if not n.startswith("HEARTWOOD_")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=kept | {"HEARTWOOD_DATA": str(tmp_path / "data")}
    )  # fmt: skip
    assert done.returncode == 4, done
    words = "internal error: KeyError('planted'); set HEARTWOOD_TRACEBACK=1 to see where"
    assert done.stderr == f"heartwood: {words}\n"
    if json_:
        assert json.loads(done.stdout) == {"problem": "bug", "message": words}
    else:
        assert not done.stdout
