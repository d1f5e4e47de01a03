"""A generated year: it verifies, audits and rebuilds, and each fraud planted in it is found by its number."""

from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from tests.support.commands import Ran, heartwood

SMALL = ("--year", "--patients", 250, "--acts", 2_000)
"""As few as may be."""


def _generate(folder: Path, *options: object) -> tuple[Settings, dict[str, Any]]:
    """The ledger's settings, and what the command said of it."""
    settings = Settings(data=folder / "year", database_url="", blobs="", root=None)
    made = heartwood(settings, "generate", settings.data, *SMALL, *options, "--json")
    assert made.code == 0, made.err
    return settings, made.json


def _audit(settings: Settings, *options: object) -> Ran:
    key = settings.data / "log.vkey"
    return heartwood(settings, "audit", settings.data / "export", "--vkey", key, *options)


def test_a_year_without_frauds_is_good_and_goes_on(tmp_path: Path) -> None:
    """The next acts are appended by the machine's own clock."""
    settings, made = _generate(tmp_path)
    assert made["acts"] >= 2_000 and made["planted"] == []
    verified = heartwood(settings, "verify", made["export"], "--vkey", settings.data / "log.vkey")
    assert verified.code == 0, verified.out
    audited = _audit(settings)
    assert audited.code == 0, audited.out
    assert "LOOK INTO" not in audited.out
    (operator,) = (settings.data / "people").glob("operator-*.key")
    added = heartwood(settings, "hospital", "add", "One more", "--time-zone", "Etc/UTC", "--as", operator)  # fmt: skip
    assert added.code == 0, added.err
    rebuilt = heartwood(settings, "rebuild")
    assert rebuilt.code == 0, rebuilt.out + rebuilt.err


def test_each_planted_fraud_is_found_by_its_number(tmp_path: Path) -> None:
    settings, made = _generate(tmp_path, "--frauds", "--seed", 7)
    verified = heartwood(settings, "verify", made["export"], "--vkey", settings.data / "log.vkey")
    assert verified.code == 0, verified.out  # a lie that is signed and kept is whole
    audited = _audit(settings, "--json")
    assert audited.code == 1
    planted = {(one["kind"], one["reader"], one["seq"]) for one in made["planted"]}
    assert len(planted) == 9
    patterns = {(p["kind"], p["reader"], p["entries"][0]) for p in audited.json["patterns"]}
    wrong = {one["seq"] for one in audited.json["wrong"]}
    assert patterns == {one for one in planted if one[0] != "decision"}
    assert wrong == {seq for kind, _, seq in planted if kind == "decision"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--year", "--patients", 249), "got 249, expected at least 250"),
        (("--frauds",), "--frauds goes with --year"),
        (("--year", "--acts", 10), "greater than or equal to 2000"),
    ],
)
def test_what_cant_be_a_year(tmp_path: Path, options: tuple[object, ...], said: str) -> None:
    settings = Settings(data=tmp_path / "year", database_url="", blobs="", root=None)
    ran = heartwood(settings, "generate", settings.data, *options)
    assert ran.code == 2 and said in ran.err
    assert not settings.data.exists()


def test_a_year_is_never_put_over_anything(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "year", database_url="", blobs="", root=None)
    settings.data.mkdir()
    (settings.data / "letter").write_text("mine")
    ran = heartwood(settings, "generate", settings.data, *SMALL)
    assert ran.code != 0 and "holds files" in ran.err
    assert [one.name for one in settings.data.iterdir()] == ["letter"]
