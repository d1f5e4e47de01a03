"""Keys and files of commands: ready before the irreversible act, whole after it, gone after a refusal."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from client.http import HttpClient
from client.local import LocalClient
from durable.files import Draft
from identity.actors import Actor, read_keyfile, write_keyfile
from storage.errors import OutcomeUnknown
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Laptop:
    """A machine that has a key file and an empty folder, and nothing else of the ledger."""

    def __init__(self, people: People, url: str, folder: Path) -> None:
        self.people, self.url, self.folder = people, url, folder
        self.settings = people.fixture.settings.model_copy(update={"data": folder / "mine"})

    def run(self, actor: Actor, *arguments: object) -> Ran:
        """A command at the server as the actor."""
        path = self.folder / f"{actor.role}-{actor.account}"
        if not path.exists():
            write_keyfile(path, actor)
        return heartwood(self.settings, *arguments, "--as", path, "--url", self.url, "--json")

    def kept(self) -> list[Path]:
        """Whatever lies in the folder of key files."""
        return sorted((self.settings.data / "people").glob("*"))


@pytest.fixture
def laptop(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Laptop]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        (tmp_path / "laptop").mkdir()
        yield Laptop(people, web.url, tmp_path / "laptop")


def test_every_new_key_is_kept_on_a_machine_with_a_key_file_alone(laptop: Laptop) -> None:
    fixture = laptop.people.fixture
    doctor = laptop.run(fixture.south.admin, "doctor", "add", "Dr. Neu").json
    patient = laptop.run(fixture.north.system, "patient", "add", "Neu").json
    hospital = laptop.run(fixture.operator, "hospital", "add", "West").json
    auditor = laptop.run(fixture.operator, "auditor", "add", "Aud").json
    made = [doctor, patient, hospital, auditor, {"keyfile": hospital["admin_keyfile"]}]
    assert sorted(Path(one["keyfile"]) for one in made) == laptop.kept()
    assert stat.S_IMODE(laptop.kept()[0].parent.stat().st_mode) == 0o700
    assert laptop.run(read_keyfile(Path(patient["keyfile"])), "history").code == 0
    admin = read_keyfile(Path(hospital["admin_keyfile"]))
    assert laptop.run(admin, "doctor", "add", "Dr. West").code == 0


def test_a_key_file_of_key_new_can_do_what_the_account_can(laptop: Laptop) -> None:
    fixture = laptop.people.fixture
    doctor = laptop.run(fixture.south.admin, "doctor", "add", "Dr. Neu", "--no-key").json
    key = laptop.run(fixture.south.admin, "key", "new", "--account", doctor["account"]).json
    made = read_keyfile(Path(key["keyfile"]))
    assert (made.role, made.hospital) == ("doctor", fixture.south.hospital)
    assert laptop.run(made, "hospital", "show", fixture.north.hospital).code == 0
    further = laptop.run(made, "key", "new", "--account", doctor["account"]).json
    assert read_keyfile(Path(further["keyfile"])).role == "doctor"
    identifier = ("--identifier", "urn:nord|4711")
    laptop.run(fixture.north.system, "patient", "add", "Neu", "--no-key", *identifier)
    found = laptop.run(fixture.north.system, "lookup", "urn:nord|4711").json
    (account,) = found["accounts"].values()
    key = laptop.run(fixture.north.system, "key", "new", "--account", account).json
    assert laptop.run(read_keyfile(Path(key["keyfile"])), "history").code == 0


def test_nothing_is_appended_where_the_key_could_not_be_kept(laptop: Laptop) -> None:
    fixture = laptop.people.fixture
    laptop.settings.data.write_text("a file where the folder would be")
    size = fixture.size()
    for who, words in (
        (fixture.south.admin, ("doctor", "add", "Dr. Neu")),
        (fixture.south.admin, ("system", "add", "Labor")),
        (fixture.operator, ("hospital", "add", "West")),
        (fixture.operator, ("auditor", "add", "Aud")),
        (fixture.north.system, ("patient", "add", "Neu")),
        (laptop.people.pat.actor, ("key", "new", "--account", laptop.people.pat.actor.account)),
    ):
        ran = laptop.run(who, *words)
        assert ran.code == 2 and "nothing was signed" in ran.err, (words, ran)
    assert fixture.size() == size


def test_a_refusal_leaves_no_key_and_no_entry(laptop: Laptop) -> None:
    """Also that of a doctor, who may register a patient but no key for one."""
    fixture, people = laptop.people.fixture, laptop.people
    size = fixture.size()
    assert laptop.run(fixture.south.system, "doctor", "add", "Dr. Neu").code == 1
    assert (
        laptop.run(fixture.north.system, "key", "new", "--account", people.pat.actor.account).code
        == 1
    )
    refused = laptop.run(people.doctor, "patient", "add", "Neu")
    assert refused.code == 2 and "without a key" in refused.err
    assert laptop.kept() == [] and fixture.size() == size
    assert laptop.run(people.doctor, "patient", "add", "Neu", "--no-key").code == 0


@pytest.mark.parametrize("client", [LocalClient, HttpClient])
def test_a_key_whose_fate_is_unknown_stays(laptop: Laptop, client: type) -> None:
    """The answer got lost: the entry may stand, so the private key must be somewhere."""

    def lost(*_: object, **__: object) -> None:
        raise OutcomeUnknown("no answer")

    at = () if client is LocalClient else ("--url", laptop.url)
    settings = laptop.people.fixture.settings if client is LocalClient else laptop.settings
    path = write_keyfile(laptop.folder / "admin", laptop.people.fixture.south.admin)
    before = set((settings.data / "people").glob("*"))
    with patch.object(client, "append", lost):
        ran = heartwood(settings, "doctor", "add", "Dr. Neu", "--as", path, *at)
    (kept,) = set((settings.data / "people").glob("*")) - before
    assert ran.code == 4 and str(kept) in ran.err
    assert read_keyfile(kept).role == "doctor"


def test_a_reading_is_not_spent_on_a_place_that_is_none(laptop: Laptop) -> None:
    people, folder = laptop.people, laptop.folder
    laptop.run(people.pat.actor, "grant", people.doctor.account, "--uses", "1")
    size = people.fixture.size()
    (folder / "dangling").symlink_to(folder / "elsewhere")
    (folder / "there").write_text("mine")
    for out in (folder / "none" / "x", folder / "dangling", folder / "there", folder):
        ran = laptop.run(people.doctor, "open", people.record, "--out", out)
        assert ran.code == 2 and "nothing was signed" in ran.err, ran
        ran = laptop.run(people.pat.actor, "chart", "--export", folder / "there" / "x")
        assert ran.code == 2, ran
    assert people.fixture.size() == size and (folder / "there").read_text() == "mine"
    assert laptop.run(people.doctor, "open", people.record, "--out", folder / "read").code == 0
    assert stat.S_IMODE((folder / "read").stat().st_mode) == 0o600
    assert laptop.run(people.doctor, "open", people.record, "--out", folder / "again").code == 1
    assert not [path for path in folder.iterdir() if "draft" in path.name or path.name == "again"]


def test_an_auditor_signs_nothing_for_a_folder_in_use(laptop: Laptop) -> None:
    fixture = laptop.people.fixture
    auditor = read_keyfile(
        Path(laptop.run(fixture.operator, "auditor", "add", "Aud").json["keyfile"])
    )
    size = fixture.size()
    assert laptop.run(auditor, "export", laptop.folder).code == 4
    assert fixture.size() == size


def test_a_name_that_cannot_be_given_is_told(tmp_path: Path, engine: str) -> None:
    draft = Draft.beside(tmp_path / "key")
    draft.write([b"secret"])
    (tmp_path / "key").write_text("somebody was faster")
    with pytest.raises(OSError, match=r"draft") as told:
        draft.keep()
    assert str(draft.temporary) in str(told.value) and draft.temporary.read_bytes() == b"secret"
    assert (tmp_path / "key").read_text() == "somebody was faster"


def test_a_kill_before_the_entry_leaves_the_draft(tmp_path: Path, engine: str) -> None:
    """The key is on the disk, under its own name, before anything is sent."""
    code = (
        "import os, sys; from pathlib import Path; from durable.files import Draft\n"
        "d = Draft.beside(Path(sys.argv[1])); d.write([b'secret']); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "key")], env=os.environ)
    (left,) = tmp_path.iterdir()
    assert done.returncode == -9 and left.read_bytes() == b"secret"
