"""What lies on the disk is its owner's alone, whatever umask and folder say; content lies nowhere in clear."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app.settings import Settings
from client import beside
from crypto.encoding import b64encode
from identity.actors import Actor, write_keyfile
from records import opening
from records.exporting import commitment, listed
from records.uploads import Upload
from storage.clock import wall_clock
from storage.sql.database import Database
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import in_process, serving

OWN = {0o600, 0o700}
CONTENT = b"haemoglobin 13.9 g/dl, planted"
BIG_BYTES = 24 * 1024 * 1024


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format, autouse=True)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The modes of all that is in a folder, itself too, that others could use."""
    found = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    return {str(path): oct(mode) for path, mode in found.items() if mode not in OWN}


def a_person_with(fixture: LedgerFixture, content: bytes) -> tuple[Person, str]:
    """A patient with a record."""
    pat = fixture.person()
    one = Upload(pat.patient, "laboratory", "text/plain", [content])
    return pat, beside.upload(fixture.ledger, fixture.north.system, [one])[0].record


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_a_data_directory_is_its_owners_alone(tmp_path: Path, there: bool) -> None:
    """Also one that was there before, open to all; and what writes, serves and sweeps adds nothing else."""
    settings = Settings(data=tmp_path / "data")
    if there:
        settings.data.mkdir(mode=0o755)
        settings.data.chmod(0o755)
    assert heartwood(settings, "init").code == 0
    assert modes(settings.data) == {}
    with serving(settings) as served:
        assert served.ready()
        assert modes(settings.data) == {}
    with serving(settings, workers=2) as served:
        assert modes(settings.data) == {}
    assert heartwood(settings, "sweep").code == 0
    assert modes(settings.data) == {}


def test_what_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    """Databases that an older program made."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    names = ("heartwood.db", "heartwood.db-wal", "heartwood.db-shm", "lock")
    for name in names:
        (fixture.settings.data / name).touch()
        (fixture.settings.data / name).chmod(0o644)
    fixture.reopen()
    fixture.person()
    assert modes(fixture.settings.data) == {}
    fixture.close()


def test_a_restored_directory_is_its_owners_alone(tmp_path: Path) -> None:
    """Into a folder that was there, open to all."""
    settings = Settings(data=tmp_path / "data")
    LedgerFixture.found(settings).close()
    backup, keeper = tmp_path / "backup", tmp_path / "keeper"
    assert heartwood(settings, "backup", backup, "--keeper", keeper).code == 0
    assert modes(backup) == {} == modes(keeper)
    other = Settings(data=tmp_path / "other")
    other.data.mkdir()
    other.data.chmod(0o755)
    assert heartwood(other, "restore", backup, "--keeper", keeper).code == 0
    assert modes(other.data) == {}


def key_of(actor: Actor, folder: Path) -> Path:
    """A key file."""
    return write_keyfile(folder / f"{actor.account}.key", actor)


def test_content_that_is_written_is_its_readers_alone(tmp_path: Path) -> None:
    """`open --out` and `chart --export`."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    pat, record = a_person_with(fixture, CONTENT)
    fixture.close()
    key, out, folder = key_of(pat.actor, tmp_path), tmp_path / "out", tmp_path / "chart"
    purpose = ("--as", key, "--purpose", "PATRQT")
    assert heartwood(fixture.settings, "open", record, "--out", out, *purpose).code == 0
    assert heartwood(fixture.settings, "chart", "--export", folder, *purpose).code == 0
    written = [out, *folder.iterdir()]
    assert [path.read_bytes() for path in written] == [CONTENT] * 2
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}


def test_an_export_over_http_is_nowhere_in_clear(tmp_path: Path) -> None:
    """However large: it goes out as it is deciphered, through no file, named or not."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    content = os.urandom(BIG_BYTES)
    pat, record = a_person_with(fixture, content)
    found = [opening.find_record(fixture.ledger, record)]
    count, root = commitment(found, listed(found))
    body = {"count": count, "purpose": "PATRQT", "root": b64encode(root)}
    event = pat.actor.event("chart.exported", pat.stream, body, wall_clock())
    with in_process(fixture.ledger) as web:
        sent = web.signed(event, pat.actor) | {"list": [[record, 1]]}
        path = f"/v1/patients/{pat.patient}/export"
        before, data = written(), bytearray()
        with web.client.stream("POST", path, json=sent) as answer:
            for piece in answer.iter_raw():
                data += piece
                assert written() <= before
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None and archive.read(f"{record}/1") == content
    fixture.close()


def written() -> set[str]:
    """Files of this process in the temporary folder, those without a name too."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(link))
    return {path for path in found if path.startswith(tempfile.gettempdir()) and "#" in path}


def test_a_connection_made_private_takes_no_lock_of_another_ones(tmp_path: Path) -> None:
    """A process that closes a file gives up all of its locks there: others would think nobody reads."""
    database = Database(f"sqlite:///{tmp_path / 'some.db'}", tmp_path / "lock")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE some (one INTEGER)")
    again = Database(database.url, tmp_path / "lock")
    with again.read() as reading:
        reading.exec_driver_sql("SELECT * FROM some").all()
        with again.write() as writing:  # connects now
            writing.exec_driver_sql("INSERT INTO some VALUES (1)")
        database.close()
        assert locked(tmp_path / "some.db-shm")
    again.close()


def locked(path: Path) -> bool:
    """Whether another process finds a lock on a file."""
    program = (
        "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True)
    return b"BlockingIOError" in ended.stderr
