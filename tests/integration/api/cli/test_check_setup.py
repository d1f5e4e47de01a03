"""`heartwood check-setup`: each unsafe thing, planted once, is found; nothing is changed, and no secret is shown."""

import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from api.app.settings import Settings
from api.operator.checking.database import _encrypted
from api.operator.checking.files import file_system
from api.operator.checking.findings import Finding, Level
from api.operator.checking.keeper import check_keeper
from api.operator.checking.machine import TIME_ERROR, _files, _synchronized
from storage.clock import wall_clock
from storage.sql.postgres import Replication
from tests.support.commands import heartwood
from tests.support.copies import copy_ledger
from tests.support.ledger_fixture import LedgerFixture

Findings = dict[str, tuple[str, str]]


@pytest.fixture
def closed(engine: str, template: Callable[[str], LedgerFixture], tmp_path: Path) -> Settings:
    """A ledger that nobody has open."""
    return copy_ledger(template(engine).settings, tmp_path / "data")


def found(settings: Settings, *arguments: object) -> tuple[int, Findings]:
    """The exit code, and by what they are about the findings that are not ok."""
    ran = heartwood(settings, "check-setup", "--json", *arguments)
    assert ran.code in (0, 1), ran.err
    said = ran.json["findings"]
    assert all(one["remedy"] for one in said if one["level"] != "ok")
    return ran.code, {
        one["about"]: (one["level"], one["words"]) for one in said if one["level"] != "ok"
    }


PLANTED: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "a file that others read": (
        lambda d: (d / "heartwood.db").chmod(0o644), "file modes", "unsafe", r"heartwood\.db \(0644\)"
    ),
    "a key that others read": (
        lambda d: (d / "keys/service.seed").chmod(0o640), "file modes", "unsafe", r"service\.seed \(0640\)"
    ),
    "a folder open to all": (lambda d: d.chmod(0o755), "file modes", "unsafe", r"data \(0755\)"),
    "another owner": (lambda d: _give_away(d / "checkpoint"), "owner", "unsafe", "checkpoint belongs to user 12345"),
    "a folder above that all write to": (lambda d: d.parent.chmod(0o777), "folder above", "unsafe", "every user can write"),
    "no checkpoint": (lambda d: (d / "checkpoint").unlink(), "checkpoint", "unsafe", "is missing"),
    "no marker": (lambda d: (d / "heartwood.json").unlink(), "heartwood.json", "unsafe", "is missing"),
    "no record root": (lambda d: (d / "roots/record.root").unlink(), "keys", "unsafe", r"record\.root is missing"),
    "another's identity root": (
        lambda d: (d / "roots/identity.root").write_bytes((d / "keys/service.seed").read_bytes()),
        "keys", "unsafe", "not the one this ledger was made with",
    ),
    "another's log keys": (
        lambda d: (d / "keys/log-ed25519.seed").write_bytes((d / "keys/service.seed").read_bytes()),
        "keys", "unsafe", "not those of log.vkey",
    ),
    "no blobs": (lambda d: (d / "blobs").rename(d / "blobs-moved"), "blobs", "unsafe", "blobs is missing"),
    "an altered checkpoint": (lambda d: _alter(d / "checkpoint"), "log", "unsafe", "checkpoint outside the database is not valid"),
    "no database": (lambda d: (d / "heartwood.db").unlink(), "database", "unsafe", "the database file .* is missing"),
    "a clock file that is none": (lambda d: (d / "clock").write_text("noon"), "clock", "unsafe", "can't be read"),
}  # fmt: skip
"""What is done to the data directory; the finding, its level and words."""


def _give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(path, 12_345, 12_345)


def _alter(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"x\n", 1))


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("name", PLANTED)
def test_each_unsafe_thing_is_found(closed: Settings, name: str) -> None:
    """By name, with what to do; and it is not found where it is not."""
    plant, about, level, words = PLANTED[name]
    _, before = found(closed)
    plant(closed.data)
    code, after = found(closed)
    assert code == 1
    assert after[about][0] == level
    assert after[about] != before.get(about)
    assert re.search(words, after[about][1]), after[about]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_plain_ledger(closed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys without a passphrase beside the data are unsafe; with one there is only advice."""
    code, findings = found(closed)
    assert code == 1
    assert "without a passphrase" in findings["root keys"][1]
    assert findings["operator's key"][0] == "warning"
    changed = closed.model_copy(update={"passphrase": None})
    monkeypatch.setenv("HEARTWOOD_NEW_PASSPHRASE", "a very secret one")
    assert heartwood(changed, "passphrase").code == 0
    assert "HEARTWOOD_NEW_PASSPHRASE is set" in found(closed)[1]["environment"][1]
    monkeypatch.delenv("HEARTWOOD_NEW_PASSPHRASE")
    assert "set HEARTWOOD_PASSPHRASE" in found(closed)[1]["keys"][1]
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "a very secret one")
    code, findings = found(closed)
    left = [name for name, (state, _) in findings.items() if state == "unsafe"]
    assert set(left) <= {"file system"}  # which may be in memory here
    assert code == len(left)
    assert findings["root keys"][0] == "warning"
    ran = heartwood(closed, "check-setup")
    assert "very secret" not in ran.out + ran.err
    assert ran.out.splitlines()[-1].startswith(f"{len(left)} unsafe, ")
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "a wrong one")
    assert "the passphrase is wrong" in found(closed)[1]["keys"][1]


def state(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Every file and folder: mode, owner, time of change, content."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(p): (
            (info := p.lstat()).st_mode, info.st_uid, info.st_mtime_ns,
            p.read_bytes() if stat.S_ISREG(info.st_mode) else b"",
        )
        for p in paths
    }  # fmt: skip


def test_nothing_is_changed(closed: Settings) -> None:
    """Not even a mode that is wrong, or a file beside SQLite's."""
    for name in ("lock", "heartwood.db"):
        if (closed.data / name).exists():
            (closed.data / name).chmod(0o666)
    (closed.data / "checkpoint").chmod(0o644)
    before = state(closed.data)
    found(closed)
    assert state(closed.data) == before


def test_beside_a_running_ledger(fixture: LedgerFixture) -> None:
    """While it is in use, on both engines."""
    _, findings = found(fixture.settings)
    assert {"log", "database", "clock", "keys", "blobs"}.isdisjoint(findings)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_no_data_directory(closed: Settings, tmp_path: Path) -> None:
    """There is nothing to look at."""
    ran = heartwood(closed.model_copy(update={"data": tmp_path / "none"}), "check-setup")
    assert ran.code == 4
    assert "there is no data directory" in ran.err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_environment(closed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is none, and proxies that are none."""
    monkeypatch.setenv("HEARTWOOD_DATABASE", "postgresql://u:hidden@h/d")
    _, findings = found(closed)
    assert "HEARTWOOD_DATABASE is set, and no setting" in findings["environment"][1]
    assert "hidden" not in str(findings)
    assert findings["proxy"][0] == "warning"
    monkeypatch.setenv("HEARTWOOD_PROXIES", "gateway")
    assert found(closed)[1]["proxy"][0] == "unsafe"
    monkeypatch.setenv("HEARTWOOD_PROXIES", "127.0.0.1")
    assert "proxy" not in found(closed)[1]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_blobs_elsewhere(closed: Settings) -> None:
    """A setting that forgets where they are, and a place that is none."""
    elsewhere = closed.model_copy(update={"blobs": f"file:{closed.data.parent / 'other'}"})
    assert "this ledger's blobs are in" in found(elsewhere)[1]["blobs"][1]
    assert found(closed.model_copy(update={"blobs": "ftp://x"}))[1]["blobs"][0] == "unsafe"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_age_of_a_backup(closed: Settings, tmp_path: Path) -> None:
    """Unknown, missing, made, too old, altered."""
    folder = tmp_path / "backup"
    assert found(closed)[1]["backup"][0] == "warning"
    assert found(closed, "--backup", folder)[1]["backup"][0] == "unsafe"
    assert heartwood(closed, "backup", folder).code == 0
    assert "backup" not in found(closed, "--backup", folder)[1]
    old = (wall_clock() - 3 * 86_400_000) / 1000
    os.utime(folder / "manifest", (old, old))
    assert "more than 2 days ago" in found(closed, "--backup", folder)[1]["backup"][1]
    (folder / "manifest").write_text("nothing")
    assert "was altered" in found(closed, "--backup", folder)[1]["backup"][1]


@pytest.mark.parametrize("engine", ["postgresql"])
def test_postgresql(closed: Settings) -> None:
    """A user with every right, one server alone; one that forgets; one that does not answer."""
    _, findings = found(closed)
    assert findings["database's user"][0] == "warning"
    assert "no standby" in findings["replication"][1]
    url = make_url(closed.database_url)
    nowhere = url.set(port=1).render_as_string(hide_password=False)
    said = found(closed.model_copy(update={"database_url": nowhere}))[1]["database"]
    assert said[0] == "unsafe"
    assert "does not answer" in said[1]
    assert str(url.password) not in said[1]
    forgets = url.update_query_dict({"options": "-c synchronous_commit=off"})
    said = found(
        closed.model_copy(update={"database_url": forgets.render_as_string(hide_password=False)})
    )[1]["database"]
    assert "synchronous_commit = off" in said[1]


ENCRYPTED = {
    "postgresql+psycopg://u@db/d": Level.UNSAFE,
    "postgresql+psycopg://u@db/d?sslmode=disable": Level.UNSAFE,
    "postgresql+psycopg://u@db/d?sslmode=prefer": Level.UNSAFE,
    "postgresql+psycopg://u@/d?host=127.0.0.1,db": Level.UNSAFE,
    "postgresql+psycopg://u@db/d?sslmode=require": Level.WARNING,
    "postgresql+psycopg://u@db/d?sslmode=verify-full": Level.OK,
    "postgresql+psycopg://u@127.0.0.1:5432/d": None,
    "postgresql+psycopg://u@/d?host=/run/a,/run/b": None,
    "postgresql+psycopg://u@/d?host=localhost:1&host=127.0.0.1:2": None,
    "sqlite:////data/heartwood.db": None,
}


@pytest.mark.parametrize("url", ENCRYPTED)
def test_the_way_to_the_database(url: str) -> None:
    """What can be read on the way; nothing is said where there is none."""
    levels = [one.level for one in _encrypted(make_url(url))]
    assert levels == ([] if ENCRYPTED[url] is None else [ENCRYPTED[url]])


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:40 / /srv/far rw shared:2 - nfs4 server:/x rw
24 22 0:41 / /srv/far/near rw - xfs /dev/sdb1 rw
25 22 0:42 / /srv/with\\040space rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/srv/far/data", "nfs4"), ("/srv/far/near/x", "xfs"), ("/srv/farther", "ext4"), ("/srv/with space/x", "tmpfs")],
)  # fmt: skip
def test_the_file_system_of_a_folder(path: str, kind: str) -> None:
    """The innermost mount that holds it."""
    assert file_system(Path(path), MOUNTS) == kind
    assert file_system(Path(path), "") == ""


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("kind", ["nfs4", "tmpfs", "overlay"])
def test_a_file_system_that_keeps_nothing(
    closed: Settings, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems and memory are unsafe, a container's layer is warned of."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 1 0:1 / / rw - {kind} x rw\n")
    monkeypatch.setattr("api.operator.checking.files.MOUNTS", mounts)
    level = "warning" if kind == "overlay" else "unsafe"
    assert found(closed)[1]["file system"][0] == level


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_full_disk(closed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By more room than there is."""
    monkeypatch.setattr("api.operator.checking.files.LEAST_FREE_BYTES", 1 << 60)
    assert found(closed)[1]["disk"][0] == "unsafe"


def test_the_machine() -> None:
    """Too few files, and a clock that nothing keeps right."""
    assert _files(1_024).level is Level.WARNING
    assert _files(8_192).level is Level.OK
    assert [one.level for one in _synchronized(TIME_ERROR)] == [Level.WARNING]
    assert [one.level for one in _synchronized(0)] == [Level.OK]
    assert not list(_synchronized(None))


def test_the_keepers_socket(tmp_path: Path) -> None:
    """Missing, no socket, open to all, of the service's own user."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    path = folder / "k.sock"
    settings = Settings(data=tmp_path, keeper=f"unix:{path}")

    def said() -> Finding:
        (one,) = check_keeper(settings)
        return one

    assert "can't be reached" in said().words
    path.write_text("")
    assert "not a socket" in said().words
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o600)
        assert said().level is Level.WARNING
        path.chmod(0o777)
        folder.chmod(0o755)
        assert "every user can reach" in said().words
    assert not list(check_keeper(Settings(data=tmp_path)))


def test_several_servers() -> None:
    """Commits that wait for nobody are a doubt only where another server could take over."""
    doubts: dict[tuple[Any, ...], bool] = {
        (1, 0, ""): False, (3, 0, ""): True, (1, 1, ""): True, (3, 2, "*"): False
    }  # fmt: skip
    for given, doubted in doubts.items():
        assert (Replication(*given).doubt is not None) == doubted
