"""Docs are true: the README's tour runs, its demo is the demo's, commands and settings are all described."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from api.cli.app import COULD_NOT_RUN, GOOD, UNPROVEN, USAGE, WRONG
from api.cli.reference import reference
from api.http import serving
from client.operations import OPERATIONS, Operation
from ledger.types.__main__ import table

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
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=600)


def masked(text: str) -> list[str]:
    """Lines without what differs from run to run: ids, numbers, times, widths."""
    text = re.sub(r"\b([a-z]{1,2})_[0-9a-z]{26}\b", r"\1_…", text)
    return [
        re.sub(r" +", " ", re.sub(r"\d[\d.,]*", "N", line)).strip() for line in text.splitlines()
    ]


def test_the_tour_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    tour = readme[readme.index("<!-- tour -->") : readme.index("<!-- /tour -->")]
    lines = re.findall(r"^\$ (.*)$", tour, re.MULTILINE)
    leaving = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"
    done = in_shell("\n".join([leaving, *lines]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("HbA1c 5.60 %") == 2
    assert (tmp_path / "mine.txt").read_text() == "HbA1c 5.60 %\n"
    for words in (
        "1 record; this look is entry",
        "refused, and on record",
        "deny by S12 (default): the patient has given no consent that covers this",
        "acts, none missing (checked against the log's keys); this look is entry",
        "good: entry 13 stands in the log",
        "good: every decision is the one that the rules give",
    ):
        assert words in done.stdout, words


def test_backup_and_restore_run_as_they_stand(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    blocks = [between(page, name) for name in ("backup", "restore")]
    assert all(line.startswith(("heartwood ", "mv ")) for b in blocks for line in b.splitlines())
    operator = "--as heartwood-data/people/operator-*.key"
    later = f'heartwood hospital add "Later" {operator} > /dev/null'
    script = "\n".join(["heartwood init", blocks[0], later, blocks[1]])
    script = script.replace("/mnt/", f"{tmp_path}/")
    done = in_shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("good: 1 entry", "goes on from 1 entry; ", "\nopens: ready\n"):
        assert words in done.stdout, words


def test_the_readme_shows_the_demo(tmp_path: Path) -> None:
    done = in_shell("heartwood demo", tmp_path)
    assert done.returncode == 0, done.stderr
    assert masked(between((ROOT / "README.md").read_text(), "demo")) == masked(done.stdout)


def test_the_table_of_events_is_fresh() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == table(), (
        "run: python -m ledger.types > docs/events.md"
    )


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


def anchor(heading: str) -> str:
    """A heading as links name it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name} → {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                assert heading in map(anchor, headings), f"{page.name} → {target}#{heading}"


GUIDE = (ROOT / "docs" / "http.md").read_text()
LIMITS: dict[str, dict[str, Any]] = {
    "api.http.bodies": {
        "ADDRESS_BODIES_BYTES": 16 << 20, "BODIES_BYTES": 64 << 20, "BODY_SECONDS": 60,
        "EVENTS_BYTES": 8 << 20, "INLINE_BYTES": 16 << 10, "INLINE_EVENTS": 8, "JSON_BYTES": 1 << 20,
        "PARSES": 1, "READING_BYTES": 16 << 10, "UPLOAD_RATE": 16 << 10, "UPLOAD_SECONDS": 30,
        "VALUE_BYTES": 26,
    },
    "api.http.health": {"ADDRESS_REQUESTS": 256, "REQUESTS_LIMIT": 512},
    "api.http.protocol": {
        "ADDRESS_CONNECTIONS": 256, "CONNECTIONS": 2_048, "HEAD_BYTES": 32 << 10, "HEAD_SECONDS": 10,
        "IDLE_SECONDS": 5, "PIPELINED": 32, "REST_SECONDS": 5, "WRITE_BYTES": 32 << 10, "WRITE_SECONDS": 30,
    },
    "api.http.writing": {"ACCOUNT_UPLOADS": 16, "UPLOADS": 64, "UPLOAD_WAITING": 64},
    "client.connection": {
        "ANSWER_BYTES": 16 << 20, "ANSWER_RATE": 64 << 10, "ANSWER_SECONDS": 120, "ANSWER_VALUE_BYTES": 26, "PIECE_BYTES": 256 << 10,
        "WAIT_SECONDS": 60,
    },
    "client.http": {"INDEX_BYTES": 64 << 20},
    "client.operations": {
        "APPENDED_BYTES": 64 << 20, "CHART_BYTES": 128 << 20, "EXPORT_ARCHIVE_BYTES": 1 << 40,
        "HISTORY_BYTES": 256 << 20, "RECEIPT_BYTES": 2 * 65_535 + (1 << 20),
    },
    "identity.sessions": {"CHALLENGE_MS": 120_000, "LOG_TOKEN_MS": 3_600_000, "SESSION_MS": 900_000},
    "ledger.event": {
        "BUNDLE_LIMIT": 1_000, "EVENT_LIMIT": 32 << 10, "READING_DEPTH": 4, "READING_LIMIT": 4 << 10,
    },
    "ledger.codes": {
        "CRITERIA": 64, "EXCEPTIONS": 16, "GRANT_RECORDS": 500, "LABELS_A_RECORD": 16,
    },
    "records.opening": {"RANGE_BYTES": 8 << 20, "TOKEN_MS": 60_000},
    "records.exporting": {"EXPORT_RECORDS": 100_000},
    "people.lookups": {"IDENTIFIERS": 1_000},
    "journeys.labelling": {"LABELS_AN_HOUR": 4},
    "journeys.sealing": {"TEXT_BYTES": 1_024},
    "people.reserving": {"RESERVED_AN_HOUR": 20_000, "SUBJECTS": 1_000},
    "records.uploads": {"BLOB_LIMIT": 5 << 30},
    "storage.log": {"QUEUE_EVENTS": 20_000},
}  # fmt: skip
"""The limits as docs/http.md says them, by where they are kept."""


def section(name: str) -> str:
    """A chapter of docs/http.md."""
    return GUIDE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_http_guide_names_every_route() -> None:
    app = serving()
    routes = {
        f"{method} {route}"
        for route, operations in app.openapi()["paths"].items()
        for method in map(str.upper, operations)
    }
    table = section("Two doors")
    told = set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", table, re.MULTILINE))
    assert told - {row_of(one) for one in OPERATIONS} == {"GET /healthz", "GET /openapi.json"}
    told -= {"GET /tile/<L>/<N>[.p/<W>]", "GET /tile/entries/<N>[.p/<W>]", "GET /openapi.json"}
    told |= {"GET /tile/{path}", "GET /readyz", "GET /metrics"}
    assert told == routes


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_http_guide_has_the_row_of_each_operation(operation: Operation) -> None:
    assert operation.row in section("Two doors").splitlines()


def row_of(operation: Operation) -> str:
    """Method and path, as the guide prints them."""
    return f"{operation.method} {operation.shown or operation.path}"


@pytest.mark.parametrize("module", LIMITS)
def test_the_http_guide_says_the_limits(module: str) -> None:
    found = importlib.import_module(module)
    for name, value in LIMITS[module].items():
        assert getattr(found, name) == value, name


def test_the_http_guide_names_every_limit() -> None:
    told = set(re.findall(r"`([A-Z_]{5,})`", section("Limits")))
    assert told == {name for names in LIMITS.values() for name in names}


def test_the_http_guide_shows_the_golden_vectors() -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "signing.json").read_text())
    values = [golden[name] for name in ("seed", "public_key", "key", "canonical", "challenge")]
    values += [golden["account"], golden["export"]["root"], *golden["export"]["lines"]]
    values += [signed["value"] for signed in golden["signed"].values()]
    values.append(golden["signed"]["bundle"]["message"].split("\n")[3])
    for value in values:
        assert value in GUIDE, value
