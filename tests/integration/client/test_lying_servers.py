"""A server that lies to the commands: it writes no file where it likes, and takes no entry out unseen."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from api.cli.keeping import safe_name
from crypto import canonical
from crypto.encoding import b64encode
from crypto.notes import LogSigner
from identity.actors import write_keyfile
from ledger.chain import ZERO
from ledger.merkle import leaf_hash
from records.uploads import BLOB_LIMIT
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.lying_server import Lie, lying
from tests.support.people import People
from tests.support.server import in_process

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Told:
    """People whose server is asked by way of one that lies."""

    def __init__(self, people: People, url: str, folder: Path) -> None:
        self.people, self.url, self.folder = people, url, folder
        self.vkey = people.fixture.settings.data / "log.vkey"
        self.patient = write_keyfile(folder / "patient", people.pat.actor)

    def run(self, lie: Lie, *arguments: object) -> Ran:
        """A command of the patient."""
        with lying(self.url, lie) as url:
            at = ("--as", self.patient, "--url", url)
            return heartwood(self.people.fixture.settings, *arguments, *at)


@pytest.fixture
def told(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Told]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        here = tmp_path / "home" / "here"
        here.mkdir(parents=True)
        yield Told(people, web.url, here)


def renamed(name: str, version: object) -> Lie:
    """The one record of a chart and of its download has another name."""

    def lie(path: str, body: bytes) -> bytes:
        if path.endswith("/chart"):
            answer = json.loads(body)
            answer["records"][0]["record"] = name
            return json.dumps(answer).encode()
        if path.endswith("/export"):
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                index = json.loads(archive.read("index.json"))
                content = archive.read(index[0]["file"])
            index[0] |= {"record": name, "version": version}
            return zipped(index, index[0]["file"], content)
        return body

    return lie


def zipped(index: list[dict[str, object]], name: str, content: bytes) -> bytes:
    """A download."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.json", json.dumps(index))
        archive.writestr(name, content)
    return out.getvalue()


@ONE_ENGINE
@pytest.mark.parametrize("name", ["../../started", "/tmp/heartwood-started", "a\x1b[2J", "NUL", ""])
def test_no_path_is_taken_from_a_server(told: Told, name: str) -> None:
    outside = sorted(told.folder.parent.rglob("*"))
    place = told.folder / "copy"

    def only_the_download(path: str, body: bytes) -> bytes:
        return renamed(name, "/../../x")(path, body) if path.endswith("/export") else body

    for lie in (renamed(name, 1), only_the_download):
        ran = told.run(lie, "chart", "--export", place)
        assert ran.code == 1 and "server" in ran.err and "\x1b" not in ran.out + ran.err, ran
        assert not place.exists() and sorted(told.folder.parent.rglob("*")) == outside


@ONE_ENGINE
@pytest.mark.parametrize("size", [BLOB_LIMIT + 1, -1, "1"])
def test_no_record_of_an_archive_is_larger_than_one_may_be(told: Told, size: object) -> None:
    """Compressed, a small archive would fill the reader's disk."""
    place = told.folder / "copy"

    def lie(path: str, body: bytes) -> bytes:
        if not path.endswith("/export"):
            return body
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            index = json.loads(archive.read("index.json"))
            content = archive.read(index[0]["file"])
        index[0]["size"] = size
        return zipped(index, index[0]["file"], content)

    ran = told.run(lie, "chart", "--export", place)
    assert ran.code != 0 and "Traceback" not in ran.err and not place.exists(), ran
    assert "form" in ran.err if size == "1" else f"states {size} bytes of a record" in ran.err


def test_a_name_made_from_a_text_is_safe() -> None:
    taken: set[str] = set()
    texts = [
        "../../x", "..", "", "CON", "con.txt", "Nul", "a/b\\c:d", "x" * 500, "\u202egnp.exe", "a\nb", "Bericht",
        "bericht", ".hidden", "~", "com1.pdf", "x" * 500,
    ]  # fmt: skip
    names = [safe_name(text, taken) for text in texts]
    assert len({name.lower() for name in names}) == len(texts)
    for name in names:
        assert name.isascii() and name.isprintable() and len(name) < 130
        assert not set('/\\:*?"<>|~') & set(name) and not name.startswith(".")
        assert name.partition(".")[0].lower() not in {"con", "nul", "com1"}


def without(path: str, body: bytes) -> bytes:
    """The history without its second entry; the ones after it are numbered and chained anew."""
    if not path.endswith("/history"):
        return body
    answer = json.loads(body)
    entries = [canonical.loads(text.encode()) for text in answer["entries"]]
    del entries[1]
    before, out = ZERO, list[str]()
    for number, entry in enumerate(entries):
        assert isinstance(entry, dict)
        entry |= {"stream_seq": number, "stream_prev": b64encode(before)}
        raw = canonical.write(entry)
        before = leaf_hash(raw)
        out.append(raw.decode())
    return json.dumps(answer | {"entries": out}).encode()


@ONE_ENGINE
def test_a_history_is_called_complete_only_when_it_was_checked(told: Told) -> None:
    honest = told.run(lambda path, body: body, "history", "--vkey", told.vkey)
    assert honest.code == 0 and "none missing" in honest.out
    first = told.run(lambda path, body: body, "history")
    assert first.code == 0 and "at the first contact" in first.out and "--vkey" in first.out
    assert told.run(lambda path, body: body, "history", "--json").json["complete"] is None
    unnamed = told.run(without, "history")
    assert unnamed.code == 1 and "receipt proves" in unnamed.err
    caught = told.run(without, "history", "--vkey", told.vkey)
    assert caught.code == 1 and "receipt proves" in caught.err
    gap = told.run(
        lambda path, body: cut(body) if path.endswith("/history") else body, "history"
    )  # fmt: skip
    assert gap.code == 1 and "does not follow" in gap.err


def cut(body: bytes) -> bytes:
    """The history without its second entry, as it is."""
    answer = json.loads(body)
    del answer["entries"][1]
    return json.dumps(answer).encode()


@ONE_ENGINE
def test_a_history_under_other_keys_is_not_the_logs(told: Told) -> None:
    other = told.folder / "other.vkey"
    signer = LogSigner(told.people.fixture.ledger.origin, bytes(32), b"1" * 32)
    other.write_text("".join(f"{key}\n" for key in signer.keys))
    assert told.run(lambda path, body: body, "history", "--vkey", other).code == 1


@ONE_ENGINE
def test_the_receipt_of_another_entry_is_not_taken(told: Told) -> None:
    people = told.people
    seqs = [
        entry.link.seq
        for entry in people.fixture.ledger.stream(people.pat.stream, people.fixture.size())
    ]
    receipts: dict[str, bytes] = {}

    def first(path: str, body: bytes) -> bytes:
        return receipts.setdefault("first", body) if path.startswith("/v1/receipts/") else body

    assert told.run(first, "receipt", seqs[0], "--out", told.folder / "one").code == 0
    ran = told.run(first, "receipt", seqs[1], "--out", told.folder / "two")
    assert ran.code == 1 and not (told.folder / "two").exists()


@ONE_ENGINE
@pytest.mark.parametrize("nonsense", [b"{}", b"[]", b"null", b"\xff", b"PK\x03\x04"])
def test_an_answer_that_is_none_is_no_bug_of_ours(told: Told, nonsense: bytes) -> None:
    commands = {
        "/chart": ("chart",), "/history": ("history",), "/export": ("chart", "--export", told.folder / "copy"),
        "/v1/me": ("chart",), "/grants": ("grants",), "/v1/log": ("chart",),
    }  # fmt: skip
    for end, command in commands.items():
        ran = told.run(partial(_instead, end, nonsense), *command)
        assert ran.code in (1, 4) and "internal error" not in ran.err, (end, ran)


def _instead(end: str, answer: bytes, path: str, body: bytes) -> bytes:
    return answer if path.endswith(end) else body
