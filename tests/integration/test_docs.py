"""Docs are true: the README's tour runs, its demo is the demo's, commands and settings are all described."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.app import COULD_NOT_RUN, GOOD, UNPROVEN, USAGE, WRONG
from api.cli.reference import reference
from api.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def between(text: str, name: str) -> str:
    """The block of a page between `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- /{name} -->", text, re.DOTALL)
    assert found, f"no block {name}"
    return found[1]


def in_shell(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a stranger's shell would, with the commands on its path."""
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(place), "LANG": "C.UTF-8"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=120)


def masked(text: str) -> list[str]:
    """Lines without what differs from run to run: ids, numbers, times, widths."""
    text = re.sub(r"\b([a-z]{1,2})_[0-9a-z]{26}\b", r"\1_…", text)
    return [
        re.sub(r" +", " ", re.sub(r"\d[\d.,]*", "N", line)).strip() for line in text.splitlines()
    ]


def test_the_tour_runs(tmp_path: Path) -> None:
    tour = between((ROOT / "README.md").read_text(), "tour")
    script = "\n".join(line.removeprefix("$ ") for line in tour.splitlines())
    done = in_shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "HbA1c 5.60 %" in done.stdout
    assert (tmp_path / "mine.txt").read_text() == "HbA1c 5.60 %\n"
    assert done.stdout.rstrip().endswith("good")


def test_the_readme_shows_the_demo(tmp_path: Path) -> None:
    done = in_shell("heartwood demo", tmp_path)
    assert done.returncode == 0, done.stderr
    assert masked(between((ROOT / "README.md").read_text(), "demo")) == masked(done.stdout)


def test_every_command_and_option_is_described() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == reference(), (
        "run: python -m api.cli.reference > docs/commands.md"
    )


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    assert f"`HEARTWOOD_{name.upper()}`" in (ROOT / "docs" / "operations.md").read_text()


def test_the_exit_codes_are_described() -> None:
    assert (GOOD, WRONG, USAGE, UNPROVEN, COULD_NOT_RUN) == (0, 1, 2, 3, 4)
    page = (ROOT / "docs" / "operations.md").read_text()
    assert (
        "0 good · 1 found wrong, or denied · 2 used wrongly · 3 consistent but origin unproven"
        in page
    )


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
