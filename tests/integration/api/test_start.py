"""Refusing to start: whatever doesn't fit is named with a remedy, and no fresh log ever takes its place."""

import gc
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from api.app.creating import create_ledger
from api.app.layout import MARKER, SEEDS
from api.app.opening import open_ledger
from api.app.settings import Settings
from client import registering
from client.local import LocalClient
from durable.errors import StartRefused
from identity.actors import read_keyfile
from identity.errors import KeyFileError
from keeper.roots import create_root
from ledger.merkle import leaf_hash
from storage.sql.database import Database
from tests.integration.conftest import fresh_settings
from tests.support.copies import copy_ledger, put_database
from tests.support.ledger_fixture import ORIGIN, LedgerFixture
from tests.support.postgres import Cluster

SIZE = 300
"""More than a tile, so that there is a tile above."""
DURABILITY = ("fsync", "full_page_writes")


@dataclass
class Closed:
    """A ledger that nobody has open."""

    settings: Settings

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.settings.data

    @property
    def roots(self) -> Path:
        """The folder of its root keys."""
        return self.settings.roots()

    @contextmanager
    def sql(self) -> Iterator[Connection]:
        """A write transaction past all checks."""
        database = Database(self.settings.url(), self.data / "lock")
        with database.write() as connection:
            yield connection
        database.close()

    def execute(self, statement: str, *parameters: Any) -> None:
        """One statement, with `?` for parameters."""
        with self.sql() as connection:
            mark = "?" if self.settings.database_url == "" else "%s"
            connection.exec_driver_sql(statement.replace("?", mark), parameters)

    def scalar(self, statement: str) -> Any:
        """The first value of a query."""
        with self.sql() as connection:
            value = connection.exec_driver_sql(statement).scalar()
        return bytes(value) if isinstance(value, memoryview) else value

    def bend(self, table: str, column: str, where: str, bend: Callable[[bytes], bytes]) -> None:
        """Alter the bytes of one value."""
        value = self.scalar(f"SELECT {column} FROM {table} WHERE {where}")
        self.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", bend(value))


@pytest.fixture
def closed(settings: Settings) -> Closed:
    """A small closed ledger."""
    return made(settings)


def made(settings: Settings, size: int = 0, origin: str = ORIGIN) -> Closed:
    """A ledger of at least `size` entries, closed."""
    fixture = LedgerFixture.found(settings, origin=origin)
    person = fixture.person()
    fixture.fill(person, max(size, fixture.size()))
    fixture.close()
    return Closed(settings)


def refuses(settings: Settings, said: str) -> None:
    """The start is refused with these words, and nothing is made."""
    before = _files(settings.data)
    with pytest.raises(StartRefused, match=said):
        open_ledger(settings).close()
    assert _files(settings.data) == before


def opens(settings: Settings) -> int:
    """The ledger opens; its size."""
    ledger = open_ledger(settings)
    size = ledger.head().size
    ledger.close()
    return size


def _files(data: Path) -> set[str]:
    """The files of a data directory but those that SQLite, the locks and a keeper that just ends make in passing."""
    passing = ("-wal", "-shm", "lock")
    found = (p for p in data.rglob("*") if p.is_file())
    return {str(p) for p in found if not p.name.endswith(passing) and not p.name.startswith(".")}


# Files.


def _other_root(path: Path) -> None:
    path.unlink()
    create_root(path, None)


def _shared(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


def _filled(data: bytes) -> Callable[[Path], None]:
    def fill(path: Path) -> None:
        path.write_bytes(data)

    return fill


FILES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "another record root": (
        "roots/record.root", _other_root, "record root is not the one.*put the right record.root back",
    ),
    "another identity root": (
        "roots/identity.root", _other_root, "identity root is not the one.*put the right one back",
    ),
    **{
        f"{name} {kind}": (f"{folder}/{name}", fault, said)
        for folder, name in (
            ("roots", "record.root"), ("roots", "identity.root"), *(("keys", seed) for seed in SEEDS),
        )
        for kind, fault, said in (
            ("missing", Path.unlink, f"{name} is missing. Put it back from its backup"),
            ("readable by the group", _shared(0o640), f"{name} is readable by others.*chmod 600"),
            ("readable by all", _shared(0o604), f"{name} is readable by others.*chmod 600"),
            ("empty", _filled(b""), f"{name} is not a root key"),
            ("cut short", _filled(b"heartwood-root AAAA\n"), f"{name} can't be opened: it was altered"),
            ("overwritten", _filled(b"\xff\xfe\x00" * 20), f"{name} is not a root key"),
        )
    },
    "another log key": ("keys/log-ed25519.seed", _other_root, "not those of log.vkey: put the right"),
    "another second log key": (
        "keys/log-ml-dsa-44.seed", _other_root, "not those of log.vkey: put the right",
    ),
    "another service key": ("keys/service.seed", _other_root, "service"),
    "log.vkey missing": ("log.vkey", Path.unlink, "log.vkey"),
    "no keeper's store": (
        "keeper/keks.db", Path.unlink, "keeper's store .* is missing.*never created again for an existing ledger",
    ),
    "a damaged marker": (MARKER, _filled(b"{"), "heartwood.json is damaged.*restore it"),
    "no marker": (MARKER, Path.unlink, "there is no ledger in .*Check --data.*heartwood init"),
    "an altered checkpoint outside": (
        "checkpoint", _filled(b"heartwood\n9\n"), "last checkpoint outside the database is not valid",
    ),
    "no checkpoint outside": ("checkpoint", Path.unlink, "checkpoint"),
    "an altered checkpoint of the keeper": (
        "keeper/checkpoint", _filled(b"heartwood\n9\n"), "keeper.*checkpoint",
    ),
}  # fmt: skip
"""Which file, what happens to it, what the refusal says."""


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("fault", FILES)
def test_a_file_that_does_not_fit(closed: Closed, fault: str) -> None:
    """Reason and remedy; with the file put back everything is as before."""
    name, break_it, said = FILES[fault]
    path, kept = closed.data / name, closed.data.with_name("kept")
    if path.exists():
        shutil.copy2(path, kept)
    break_it(path)
    refuses(closed.settings, said)
    if kept.exists():
        shutil.copy2(kept, path)
        opens(closed.settings)


def test_no_data_directory(settings: Settings) -> None:
    """Nothing there: nothing is made but by `init`."""
    refuses(settings, "there is no ledger in")
    assert not settings.data.exists()


def test_no_database(closed: Closed) -> None:
    """A missing database is missing, never replaced by an empty one."""
    if closed.settings.database_url:
        gone = make_url(closed.settings.database_url).set(database="t_gone")
        there = closed.settings.model_copy(update={"database_url": gone.render_as_string(False)})
        refuses(there, "the database does not answer: .*t_gone")
    else:
        path = closed.data / "heartwood.db"
        path.unlink()
        refuses(closed.settings, "heartwood.db is missing: restore it from a backup")
        assert not path.exists()


def test_an_empty_database(closed: Closed, cluster: Cluster) -> None:
    """A fresh database in the old one's place is not taken for the ledger."""
    if closed.settings.database_url:
        there = closed.settings.model_copy(update={"database_url": cluster.database()})
    else:
        there = closed.settings
        (closed.data / "heartwood.db").write_bytes(b"")
    refuses(there, "holds no ledger, and one was expected here.*heartwood init` only")


def test_the_other_engine(closed: Closed, cluster: Cluster) -> None:
    """A ledger made on one engine isn't looked for on the other."""
    url = "" if closed.settings.database_url else cluster.database()
    there = closed.settings.model_copy(update={"database_url": url})
    refuses(there, "this ledger was made on .*set it to the database it was made on")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_passphrase(settings: Settings) -> None:
    """Roots under a passphrase open with it alone."""
    with_one = settings.model_copy(update={"passphrase": SecretStr("correct horse")})
    made(with_one)
    assert opens(with_one)
    refuses(settings, "has a passphrase: set HEARTWOOD_PASSPHRASE")
    wrong = settings.model_copy(update={"passphrase": SecretStr("battery staple")})
    refuses(wrong, "can't be opened: it was altered, or the passphrase is wrong")


def test_files_are_private(closed: Closed) -> None:
    """Keys, roots and the keeper's store are for their owner alone; so is every folder."""
    for folder in ("roots", "keys", "people", "keeper"):
        assert stat.S_IMODE((closed.data / folder).stat().st_mode) == 0o700
        for path in (closed.data / folder).iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(closed.data.stat().st_mode) == 0o700
    (keyfile,) = (closed.data / "people").iterdir()
    keyfile.chmod(0o640)
    with pytest.raises(KeyFileError, match=r"readable by others.*chmod 600"):
        read_keyfile(keyfile)


# What lies in the database.


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _resigned(note: bytes) -> bytes:
    """The note with another first signature."""
    text, _, lines = note.rpartition(b"\n\n")
    at = lines.index(b" ", 5) + 20
    other = b"A" if lines[at : at + 1] != b"A" else b"B"
    return text + b"\n\n" + lines[:at] + other + lines[at + 1 :]


ENTRY = "seq = (SELECT max(seq) FROM entries)"
ALTERED: dict[str, tuple[str, Callable[[Closed], None]]] = {
    "a newer schema": (
        "has schema 9999, which is newer than this program's",
        lambda c: c.execute("UPDATE alembic_version SET version_num = ?", "9999"),
    ),
    "no schema's version": (
        "holds no ledger, and one was expected",
        lambda c: c.execute("DELETE FROM alembic_version"),
    ),
    "no head": ("the database holds no log", lambda c: c.execute("DELETE FROM head")),
    "the last entry deleted": (
        "the head says [0-9]+ entries, the table ends at",
        lambda c: c.execute(f"DELETE FROM entries WHERE {ENTRY}"),
    ),
    "an entry more than the head says": (
        "the head says [0-9]+ entries, the table ends at",
        lambda c: c.execute(
            "INSERT INTO entries (seq, stream, stream_seq, raw) SELECT seq + 1, 99, 0, raw "
            f"FROM entries WHERE {ENTRY}"
        ),
    ),
    "the last entry altered": (
        "the last entries are not those of the head",
        lambda c: c.bend("entries", "raw", ENTRY, lambda raw: raw.replace(b'"v":1}', b'"v":2}')),
    ),
    "the head one larger": (
        "the head says size [0-9]+, its checkpoint",
        lambda c: c.execute("UPDATE head SET size = size + 1"),
    ),
    "the head one smaller": (
        "the head says size [0-9]+, its checkpoint",
        lambda c: c.execute("UPDATE head SET size = size - 1"),
    ),
    "another root": ("the head says size", lambda c: c.bend("head", "root", "id = 1", _flip)),
    "another tip": (
        "the last entries are not those of the head",
        lambda c: c.bend("head", "tip", "id = 1", _flip),
    ),
    "another origin": (
        "the database is of the log heartwood.example/x",
        lambda c: c.execute("UPDATE head SET origin = ?", "heartwood.example/x"),
    ),
    "another registry": (
        "the log's registry is .*heartwood upgrade --as OPERATOR",
        lambda c: c.bend("head", "registry", "id = 1", _flip),
    ),
    "a checkpoint that nobody signed": (
        "the head is not valid",
        lambda c: c.bend("head", "checkpoint", "id = 1", _resigned),
    ),
    "a checkpoint with one signature": (
        "the head is not valid: .*has not signed",
        lambda c: c.bend(
            "head", "checkpoint", "id = 1",
            lambda note: b"".join(note.splitlines(keepends=True)[:-1]),
        ),
    ),
    "a tile altered": (
        "the last entries are not those of the head",
        lambda c: c.bend("tiles", "hashes", "level = 0 AND number = 1", _flip),
    ),
    "a tile cut short": (
        "the last entries are not those of the head",
        lambda c: c.bend("tiles", "hashes", "level = 0 AND number = 1", lambda h: h[:-32]),
    ),
    "a tile deleted": (
        "tile 1 of level 0 is not in the database",
        lambda c: c.execute("DELETE FROM tiles WHERE level = 0 AND number = 1"),
    ),
    "an upper tile altered": (
        "the tiles do not lead to the head's root",
        lambda c: c.bend("tiles", "hashes", "level = 1", _flip),
    ),
    "an upper tile cut short": (
        "the head is not valid",
        lambda c: c.bend("tiles", "hashes", "level = 1", lambda h: b""),
    ),
    "an upper tile deleted": (
        "tile 0 of level 1 is not in the database",
        lambda c: c.execute("DELETE FROM tiles WHERE level = 1"),
    ),
    "a laxer policy in entry 0": (
        "entry 0",
        lambda c: c.bend(
            "entries", "raw", "seq = 0",
            lambda raw: raw.replace(b'"refusals_per_hour":20', b'"refusals_per_hour":99'),
        ),
    ),
}  # fmt: skip
"""What is altered in the database, and what the refusal says."""


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """A closed ledger with a tile above its tiles, from which each test takes its own copy."""
    return made(fresh_settings(request.param, request, tmp_path_factory.mktemp("template")), SIZE)


@pytest.fixture
def large(template: Closed, tmp_path: Path) -> Closed:
    """A copy of the template."""
    return Closed(copy_ledger(template.settings, tmp_path / "data"))


@pytest.mark.parametrize("fault", ALTERED)
def test_an_altered_database(large: Closed, fault: str) -> None:
    """Reason and remedy for each alteration, past which no event is appended."""
    said, alter = ALTERED[fault]
    alter(large)
    refuses(large.settings, said)


def test_the_template_itself_opens(large: Closed) -> None:
    """So that the refusals above are due to their alterations."""
    assert opens(large.settings) == SIZE
    assert leaf_hash(large.scalar(f"SELECT raw FROM entries WHERE {ENTRY}")) == large.scalar(
        "SELECT tip FROM head"
    )


# Another database than the one that was acknowledged.


def grow(closed: Closed, by: int) -> None:
    """Append to a closed ledger."""
    ledger = open_ledger(closed.settings)
    (keyfile,) = (closed.data / "people").iterdir()
    for _ in range(by):
        registering.add_hospital(
            LocalClient(ledger), read_keyfile(keyfile), "Later", "Europe/Berlin"
        )
    ledger.close()


def test_a_restored_backup(large: Closed, tmp_path: Path) -> None:
    """A database behind the last checkpoint outside of it; one that isn't behind is taken."""
    backup = Closed(copy_ledger(large.settings, tmp_path / "backup"))
    grow(large, 1)
    restored = put_database(backup.settings, large.settings)
    refuses(restored, f"has {SIZE} entries, and [0-9]+ were acknowledged.*accept-restore")


def test_another_history(large: Closed, tmp_path: Path) -> None:
    """Longer than the last checkpoint, and not its continuation."""
    backup = Closed(copy_ledger(large.settings, tmp_path / "backup"))
    grow(backup, 2)
    grow(large, 1)
    restored = put_database(backup.settings, large.settings)
    refuses(restored, "does not extend the last checkpoint of size .*another history")


@pytest.mark.parametrize(
    ("origin", "said"),
    [("heartwood.example/other", "is of the log heartwood.example/other"), (ORIGIN, "is not valid")],
    ids=["another origin", "the same origin"],
)  # fmt: skip
def test_another_logs_database(
    closed: Closed, tmp_path: Path, cluster: Cluster, origin: str, said: str
) -> None:
    """Of another log, even of one that calls itself alike."""
    url = cluster.database() if closed.settings.database_url else ""
    other = made(Settings(data=tmp_path / "other", database_url=url), origin=origin)
    refuses(put_database(other.settings, closed.settings), said)


# A new ledger over an old one.


def test_init_over_a_ledger(closed: Closed) -> None:
    """Refused, and the ledger is as it was."""
    before = {path: path.read_bytes() for path in closed.data.rglob("*.*") if path.is_file()}
    with pytest.raises(StartRefused, match="holds a ledger already; choose another --data"):
        create_ledger(closed.settings, ORIGIN)
    assert {path: path.read_bytes() for path in before} == before
    opens(closed.settings)


def test_init_over_half_a_ledger(closed: Closed) -> None:
    """What an `init` left that was cut off is not built upon."""
    (closed.data / MARKER).unlink()
    with pytest.raises(StartRefused, match="holds files, but no whole ledger"):
        create_ledger(closed.settings, ORIGIN)


def test_init_on_a_ledgers_database(closed: Closed, tmp_path: Path) -> None:
    """A new data directory on an old database."""
    url = closed.settings.database_url or closed.settings.url()
    there = Settings(data=tmp_path / "new", database_url=url)
    with pytest.raises(StartRefused, match="the database already holds a ledger's tables"):
        create_ledger(there, ORIGIN)
    gc.collect()  # a connection that was left open is told now, and by this test
    opens(closed.settings)


# PostgreSQL's own settings.


@pytest.mark.parametrize("setting", DURABILITY)
@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_server_that_forgets(closed: Closed, setting: str) -> None:
    """Without it an acknowledged event could be lost: refused until it is on again."""
    try:
        _alter_system(closed.settings, f"SET {setting} = off", setting, "off")
        refuses(closed.settings, f"PostgreSQL has {setting} = off, expected on.*Set {setting} = on")
    finally:
        _alter_system(closed.settings, f"RESET {setting}", setting, "on")
    opens(closed.settings)


def _alter_system(settings: Settings, change: str, setting: str, expected: str) -> None:
    url = settings.database_url.replace("+psycopg", "", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM {change}".encode())
        connection.execute("SELECT pg_reload_conf()")
    for _ in range(500):
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute(f"SHOW {setting}".encode()).fetchone() == (expected,):
                return
    raise AssertionError(f"{setting} did not become {expected}")


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_database_that_forgets(closed: Closed, value: str) -> None:
    """Commits that don't wait for the disk."""
    name = make_url(closed.settings.database_url).database
    closed.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {value}')
    refuses(closed.settings, f"PostgreSQL has synchronous_commit = {value}, expected on")
