"""`heartwood check-setup`: the policy of witnesses, several stores, and a keeper over TLS."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.app.blobs import RECORD, STORES, make_blobs
from api.app.layout import pinned_keys
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.operator.checking.findings import Finding, Level
from api.operator.checking.keeper import RENEW_DAYS, check_keeper
from api.operator.checking.surroundings import _blobs
from api.operator.checking.witnesses import check_witnesses
from crypto.notes import Cosigner
from keeper import remote
from keeper.certificates import make_certificates
from storage.clock import wall_clock
from tests.support.copies import copy_ledger
from tests.support.keepers import API, HOST, Served, certified, over_tls
from tests.support.ledger_fixture import LedgerFixture


@pytest.fixture
def closed(template: Callable[[str], LedgerFixture], tmp_path: Path) -> Settings:
    """A ledger that nobody has open."""
    return copy_ledger(template("sqlite").settings, tmp_path / "data")


def by_about(findings: Iterator[Finding]) -> dict[str, tuple[Level, str]]:
    """What was found, by what it is about."""
    return {one.about: (one.level, one.words) for one in findings}


# Witnesses.


def witness(name: str) -> str:
    """A witness's verifier key."""
    return str(
        Cosigner(name, bytes(31) + name[:1].encode(), bytes(31) + name[1:2].encode()).keys[0]
    )


def policy(settings: Settings, *lines: str) -> Settings:
    """Settings that name a policy of these lines, about this log."""
    path = settings.data.parent / "policy"
    log = f"log {pinned_keys(settings)[0]}"
    path.write_text("".join(f"{line}\n" for line in (log, *lines)))
    return settings.model_copy(update={"witness_policy": path})


NORTH, SOUTH = witness("north.example/w"), witness("south.example/w")
POLICIES: dict[str, tuple[tuple[str, ...], str, Level, str]] = {
    "good": (
        (f"witness n {NORTH} https://n.example", "quorum n"), "witnesses", Level.OK, "1 witness in .*, quorum n"
    ),
    "no policy at all": (("witness n",), "witnesses", Level.UNSAFE, "line 2 is none of"),
    "no quorum": ((f"witness n {NORTH} https://n.example",), "witnesses", Level.UNSAFE, "no line quorum"),
    "a quorum that can't be met": (
        (f"witness n {NORTH} https://n.example", f"witness s {SOUTH}", "group g all n s", "quorum g"),
        "witnesses", Level.UNSAFE, "quorum g can't be met",
    ),
    "a witness that is never asked": (
        (f"witness n {NORTH} https://n.example", f"witness s {SOUTH}", "group g any n s", "quorum g"),
        "witnesses' URLs", Level.WARNING, "never asked.*: s$",
    ),
    "an address that is none": (
        (f"witness n {NORTH} ftp://n.example", "quorum n"), "witnesses", Level.UNSAFE, "'ftp://n.example'"
    ),
    "nobody": (("quorum none",), "witnesses", Level.WARNING, "needs nobody outside"),
    "the keeper alone": (
        (f"witness k {NORTH} keeper:", "quorum k"), "witnesses", Level.WARNING, "needs nobody outside"
    ),
    "a keeper that doesn't run": (
        (f"witness k {NORTH} keeper:", "quorum k"), "key keeper as a witness", Level.WARNING, "doesn't run now"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_of_witnesses(closed: Settings, name: str) -> None:
    """It is read as `serve` reads it."""
    lines, about, level, words = POLICIES[name]
    found = by_about(check_witnesses(policy(closed, *lines)))
    assert found[about][0] is level, found
    assert re.search(words, found[about][1]), found


def test_no_policy(closed: Settings) -> None:
    """Nobody watches; one that is missing is no policy either."""
    assert by_about(check_witnesses(closed))["witnesses"][0] is Level.WARNING
    gone = closed.model_copy(update={"witness_policy": closed.data / "none"})
    assert by_about(check_witnesses(gone))["witnesses"][0] is Level.UNSAFE


def test_the_keepers_own_line(closed: Settings) -> None:
    """Its key in the policy is the keeper's, or it counts for nothing."""
    ledger = open_ledger(closed)
    try:
        mine = ledger.keeper.vkeys()[0]
        good = by_about(check_witnesses(policy(closed, f"witness k {mine} keeper:", "quorum k")))
        bad = by_about(check_witnesses(policy(closed, f"witness k {NORTH} keeper:", "quorum k")))
    finally:
        ledger.close()
    assert good["key keeper as a witness"][0] is Level.OK
    assert bad["key keeper as a witness"][0] is Level.UNSAFE
    assert "do not count" in bad["key keeper as a witness"][1]


# Several stores.


def test_several_stores(closed: Settings, tmp_path: Path) -> None:
    """Each by its name: one that was tested, one that never was, one whose folder is missing."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    shutil.rmtree(closed.data / "blobs")
    (closed.data / RECORD).unlink(missing_ok=True)
    settings = closed.model_copy(update={"blobs": f"near=file:{near} far=file:{far}"})
    make_blobs(settings, settings.blob_place(), "heartwood.example/log")
    record = json.loads((settings.data / RECORD).read_text())
    assert record[STORES].keys() == {"near", "far"}
    assert by_about(_blobs(settings)).keys() == {"blobs, store near", "blobs, store far"}
    assert {level for level, _ in by_about(_blobs(settings)).values()} == {Level.OK}
    shutil.rmtree(far)
    assert by_about(_blobs(settings))["blobs, store far"][0] is Level.UNSAFE


def test_the_age_of_each_stores_test(closed: Settings) -> None:
    """As the data directory records it."""
    text = "a=s3://bucket-a?endpoint=http://127.0.0.1:1 b=s3://bucket-b?endpoint=http://127.0.0.1:1 c=s3://bucket-c?endpoint=http://127.0.0.1:1"
    settings = closed.model_copy(update={"blobs": text})
    now, old = wall_clock(), wall_clock() - 100 * 86_400_000
    record = {
        "place": str(settings.blob_place()), "checked": now, "checksums": True, STORES: {"a": now, "b": old}
    }  # fmt: skip
    (settings.data / RECORD).write_text(json.dumps(record))
    found = by_about(_blobs(settings))
    assert found["blobs, store a"][0] is Level.OK
    assert found["blobs, store b"] == (
        Level.WARNING,
        "s3://bucket-b at http://127.0.0.1:1 was tested 100 days ago and enforces checksums",
    )
    assert "was never tested" in found["blobs, store c"][1]


# A keeper over TLS.


@pytest.fixture
def served(closed: Settings, tmp_path: Path) -> Iterator[Served]:
    """The ledger's keeper over TLS."""
    with over_tls(closed, certified(tmp_path / "certificates")) as found:
        yield found


def test_a_keeper_over_tls(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate's end, its CA's key, whether it answers."""
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.2)
    settings, folder = served.settings, served.settings.keeper_tls
    assert folder is not None
    found = by_about(check_keeper(settings))
    assert found["key keeper"][0] is found["key keeper's certificate"][0] is Level.OK
    assert found["key keeper's CA"][0] is Level.UNSAFE
    alone = folder.parent.parent / "tls"
    shutil.move(folder, alone)
    settings = settings.model_copy(update={"keeper_tls": alone})
    keeper = {"key keeper", "key keeper's own certificate"}
    assert by_about(check_keeper(settings)).keys() == keeper | {"key keeper's certificate"}
    make_certificates(folder.parent, [], [API], RENEW_DAYS - 1)
    shutil.copytree(folder, alone, dirs_exist_ok=True)
    words = by_about(check_keeper(settings))["key keeper's certificate"]
    assert words[0] is Level.WARNING and "is good for 28 days more" in words[1]
    long_ago = datetime.now(UTC) - timedelta(days=3)
    make_certificates(folder.parent, [], [API], 1, long_ago)
    shutil.copytree(folder, alone, dirs_exist_ok=True)
    found = by_about(check_keeper(settings))
    assert found["key keeper's certificate"][0] is Level.UNSAFE
    assert "ended at" in found["key keeper's certificate"][1]
    make_certificates(folder.parent, [HOST], [API], RENEW_DAYS - 1)  # the keeper's own
    shutil.copytree(folder, alone, dirs_exist_ok=True)
    own = by_about(check_keeper(settings))["key keeper's own certificate"]
    assert own[0] is Level.WARNING and "is good for 28 days more" in own[1]
    unlisted = settings.model_copy(update={"keeper": f"tls:{HOST}:1", "keeper_tls": folder})
    make_certificates(folder.parent, [], [API])
    assert by_about(check_keeper(unlisted))["key keeper"][0] is Level.UNSAFE


def test_a_place_that_is_none(closed: Settings) -> None:
    """And one without certificates."""
    for keeper in ("tls:keeper", "/run/keeper.sock", f"tls:{HOST}:8421"):
        settings = closed.model_copy(update={"keeper": keeper})
        assert by_about(check_keeper(settings))["key keeper"][0] is Level.UNSAFE
