"""What our client does not believe: each lie of a server is named, and stops the command that was told it."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from client import grants, readings, staff
from client.http import HttpClient
from client.local import LocalClient
from client.trust import KeptInFiles
from crypto import canonical
from crypto.encoding import b64decode, b64encode
from crypto.notes import LogSigner
from identity.actors import Actor, new_key, write_keyfile
from journeys.errors import RecordsError
from ledger.checkpoint import parse_keys
from ledger.errors import Tampered
from ledger.receipt import Receipt
from storage.errors import Unavailable
from storage.ledger import Ledger
from tests.support.commands import Ran, heartwood
from tests.support.copies import copy_ledger
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.lying_server import Lie, lying
from tests.support.people import People
from tests.support.server import in_process


@pytest.fixture
def engine() -> str:
    """One engine will do: what is tested is the other side of HTTP."""
    return "sqlite"


def honest(path: str, body: bytes) -> bytes:
    """No lie."""
    return body


class Patient:
    """A patient at a command line, with a server that tells what a test lets it tell."""

    def __init__(self, people: People, url: str, folder: Path) -> None:
        self.people, self.url, self.fixture = people, url, people.fixture
        self.key = write_keyfile(folder / "patient", people.pat.actor)
        self.state = self.fixture.settings.data.with_name("state")

    def run(self, *arguments: object, lie: Lie = honest) -> Ran:
        """A command, at a server that lies."""
        with lying(self.url, lie) as url:
            return heartwood(self.fixture.settings, *arguments, "--as", self.key, "--url", url)

    def good(self, *arguments: object) -> Ran:
        """A command, at the honest server."""
        ran = self.run(*arguments)
        assert ran.code == 0, ran
        return ran

    def caught(self, words: str, lie: Lie, *arguments: object) -> None:
        """The lie is found, by its name."""
        ran = self.run(*arguments, lie=lie)
        assert ran.code == 1 and words in ran.err, ran

    def told(self, headers: dict[str, str], *arguments: object) -> Ran:
        """A command, at a server that puts its own headers into good answers."""
        with lying(self.url, honest, headers) as url:
            return heartwood(self.fixture.settings, *arguments, "--as", self.key, "--url", url)

    def checkpoint(self) -> bytes:
        """What this user's machine keeps of the log."""
        (path,) = self.state.glob("heartwood/*/checkpoint")
        return path.read_bytes()

    def size(self) -> int:
        """Its size."""
        return int(self.checkpoint().splitlines()[1])


@pytest.fixture
def patient(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Patient]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Patient(people, web.url, tmp_path)


def bent(end: str, change: Callable[[dict[str, Any]], None]) -> Lie:
    """A JSON answer of the addresses that end so, with something changed in it."""

    def lie(path: str, body: bytes) -> bytes:
        if not path.partition("?")[0].endswith(end):
            return body
        answer = json.loads(body)
        change(answer)
        return json.dumps(answer).encode()

    return lie


def replayed(end: str) -> Lie:
    """The first answer that such an address gave, again and again."""
    answers: list[bytes] = []

    def lie(path: str, body: bytes) -> bytes:
        if path.partition("?")[0].endswith(end):
            answers.append(body)
            return answers[0]
        return body

    return lie


def forged(note: str) -> str:
    """A checkpoint with one bit of its Ed25519 signature changed."""
    text, _, lines = note.partition("\n\n")
    first, *others = lines.splitlines()
    head, _, value = first.rpartition(" ")
    data = bytearray(b64decode(value))
    data[-1] ^= 1
    return "\n".join([text, "", f"{head} {b64encode(bytes(data))}", *others, ""])


def other_root(note: str) -> str:
    """A checkpoint of another tree, under the signatures of this one."""
    lines = note.split("\n")
    lines[2] = b64encode(bytes(32))
    return "\n".join(lines)


def test_an_append_is_proved(patient: Patient) -> None:
    """The acknowledgement holds the event that was signed, under the log's checkpoint."""
    act = ("grant", patient.people.doctor.account, "--days", "1")
    patient.good(*act)
    assert patient.size() == patient.fixture.size()
    again = replayed("/v1/events")
    assert patient.run(*act, lie=again).code == 0
    patient.caught("holds ev_", again, *act)  # acknowledged, with the receipt of another event

    def forged_signature(answer: dict[str, Any]) -> None:
        answer["checkpoint"] = forged(answer["checkpoint"])

    def forged_root(answer: dict[str, Any]) -> None:
        answer["checkpoint"] = other_root(answer["checkpoint"])

    for change in (forged_signature, forged_root):
        patient.caught("checkpoint: signature line", bent("/v1/events", change), *act)

    def wrong_path(answer: dict[str, Any]) -> None:
        answer["entries"][0]["path"][0] = b64encode(bytes(32))

    patient.caught("the path does not lead to the checkpoint", bent("/v1/events", wrong_path), *act)

    def wrong_number(answer: dict[str, Any]) -> None:
        answer["entries"][0]["seq"] -= 1

    patient.caught("the path does not lead", bent("/v1/events", wrong_number), *act)

    def unsigned(answer: dict[str, Any]) -> None:
        entry = canonical.loads(answer["entries"][0]["entry"].encode())
        assert isinstance(entry, dict) and isinstance(entry["sig"], dict)
        entry["sig"]["value"] = b64encode(bytes(64))
        answer["entries"][0]["entry"] = canonical.write(entry).decode()

    patient.caught("the path does not lead", bent("/v1/events", unsigned), *act)
    patient.caught("tells of 0 entries", bent("/v1/events", lambda a: a.update(entries=[])), *act)


def test_an_append_that_was_never_made(patient: Patient) -> None:
    """An entry that the server made up, for an event that it kept to itself, stands under no checkpoint."""

    def invented(answer: dict[str, Any]) -> None:
        entry = canonical.loads(answer["entries"][0]["entry"].encode())
        assert isinstance(entry, dict)
        size = int(answer["checkpoint"].split("\n")[1])
        entry |= {"seq": size, "decision": entry["decision"] | {"as_of": size - 1}}
        answer["entries"][0] |= {"entry": canonical.write(entry).decode(), "seq": size}
        answer["checkpoint"] = answer["checkpoint"].replace(f"\n{size}\n", f"\n{size + 1}\n")

    patient.caught(
        "signature line", bent("/v1/events", invented), "exclude", patient.fixture.south.hospital
    )


def test_a_reading_is_proved(patient: Patient) -> None:
    """A list, a history, a content and an export, each by the receipt of its own reading."""
    record, copy = patient.people.record, patient.key.with_name("copy")
    patient.caught("holds ev_", twice(patient, "/chart", "chart"), "chart")
    patient.caught("holds ev_", twice(patient, "/history", "history"), "history")

    def unrooted_receipt(answer: dict[str, Any]) -> None:
        answer["receipt"] = unrooted(answer["receipt"])

    def another_number(answer: dict[str, Any]) -> None:
        answer["seq"] -= 1

    patient.caught("the path does not lead", bent("/chart", unrooted_receipt), "chart")
    patient.caught("gave the receipt of entry", bent("/chart", another_number), "chart")
    own = str(last_of(patient, patient.fixture.size()))
    for command in (("open", record, "--purpose", "PATRQT"), ("chart", "--export", copy)):
        patient.caught("gave the receipt of entry 0", receipts_of_0(patient), *command)
        patient.caught("the path does not lead", another_entry(patient), *command)
        told = patient.told({"heartwood-entry": own}, *command)
        assert told.code == 1 and "holds ev_" in told.err, told
        told = patient.told({"heartwood-decision": '{"rule":"S1"}'}, *command)
        assert told.code == 1 and "reports another decision, by S1 (role)" in told.err, told
    assert not copy.exists()


def twice(patient: Patient, end: str, *command: object) -> Lie:
    """What such an address gave before."""
    lie = replayed(end)
    assert patient.run(*command, lie=lie).code == 0
    return lie


def unrooted(text: str) -> str:
    """A receipt whose path has another first hash."""
    receipt = Receipt.parse(text.encode())
    path = (bytes(32), *receipt.path[1:])
    return Receipt(receipt.entry, receipt.index, path, receipt.checkpoint).text().decode()


def receipts_of_0(patient: Patient) -> Lie:
    """One true receipt, of entry 0, whatever is asked for."""
    text = patient.fixture.ledger.receipt(0)[0].text()
    return lambda path, body: text if path.startswith("/v1/receipts/") else body


def another_entry(patient: Patient) -> Lie:
    """True receipts of the entry before the one that is asked for, which says so of itself."""

    def lie(path: str, body: bytes) -> bytes:
        if not path.startswith("/v1/receipts/"):
            return body
        asked = Receipt.parse(body)
        return (
            b"%b"
            % Receipt(
                patient.fixture.ledger.entry(asked.index - 1).raw,
                asked.index,
                asked.path,
                asked.checkpoint,
            ).text()
        )

    return lie


def test_a_look_at_the_whole_log_is_proved(patient: Patient) -> None:
    """An auditor's: the token's own entry, and the checkpoint that the export is made of."""
    fixture, near = patient.fixture, LocalClient(patient.fixture.ledger)
    auditor, _ = staff.appoint_auditor(near, fixture.operator, "Aud", 1, new_key())

    def earlier(answer: dict[str, Any]) -> None:
        answer["seq"] -= 1

    def false_checkpoint(path: str, body: bytes) -> bytes:
        return forged(body.decode()).encode() if path == "/checkpoint" else body

    with (
        lying(patient.url, bent("/v1/log/token", earlier)) as url,
        closing(HttpClient(url)) as far,
        pytest.raises(Tampered, match="holds ev_"),
    ):
        far.log_token(auditor)
    with lying(patient.url, false_checkpoint) as url, closing(HttpClient(url)) as far:
        assert far.log_token(auditor)["token"]
        with pytest.raises(Tampered, match="checkpoint: signature line"):
            far.source(auditor)
    with closing(HttpClient(patient.url)) as far:
        assert far.source(auditor).size == fixture.size()


def test_a_fork_is_found(patient: Patient, tmp_path: Path) -> None:
    """The same log with another past, signed by its own keys: two histories that don't fit each other."""
    fixture, pat = patient.fixture, patient.people.pat
    act = ("grant", patient.people.doctor.account, "--days", "1")
    patient.good(*act)
    with forked(fixture, tmp_path / "fork") as (fork, url):
        patient.good(*act)
        kept = patient.checkpoint()
        grants.hide(LocalClient(fork), pat.actor, pat.patient, patient.people.record)
        for told in (act, ("chart",), ("chart",), ("history",)):
            ran = heartwood(fixture.settings, *told, "--as", patient.key, "--url", url)
            assert ran.code == 1 and "two histories" in ran.err, ran
        assert patient.checkpoint() == kept


def test_a_log_that_went_back_is_found(patient: Patient, tmp_path: Path) -> None:
    """A server with an older state of the log proves nothing of what was seen since."""
    fixture, stranger = patient.fixture, patient.fixture.south.hospital
    seq = fixture.size() - 1
    with forked(fixture, tmp_path / "older") as (_, url):
        for act in ("exclude", "include", "exclude"):
            patient.good(act, stranger)
        kept = patient.checkpoint()
        at = ("--as", patient.key, "--url", url)
        ran = heartwood(fixture.settings, "receipt", last_of(patient, seq), *at)
        assert ran.code == 1 and "the log went back" in ran.err, ran
        ran = heartwood(fixture.settings, "chart", *at)
        assert ran.code == 1 and "went back" in ran.err, ran
        assert patient.checkpoint() == kept


def test_other_keys_than_those_of_the_first_contact(patient: Patient) -> None:
    """And of a log that claims another's name; what --vkey names goes before what a server says."""
    signer = LogSigner(patient.fixture.ledger.origin, bytes(32), b"1" * 32)
    other = [str(key) for key in signer.keys]
    replaced = bent("/v1/log", lambda a: a.update(vkeys=other))
    assert "first contact" in patient.good("chart").err
    assert not patient.good("chart").err
    patient.caught("not those kept at the first contact", replaced, "chart")
    own = patient.fixture.settings.data / "log.vkey"
    size = patient.fixture.size()
    patient.caught("not those kept", replaced, "exclude", patient.fixture.south.hospital)
    assert patient.fixture.size() == size  # nothing was signed for such a server
    assert patient.run("history", "--vkey", own, lie=replaced).code == 0
    ran = patient.run("chart", lie=bent("/v1/log", lambda a: a.update(origin="other.example")))
    assert ran.code == 2 and "other.example" in ran.err


def test_pinned_keys_are_not_overruled(patient: Patient, tmp_path: Path) -> None:
    """Without anything kept, a client with the log's keys takes no checkpoint of others."""
    signer = LogSigner(patient.fixture.ledger.origin, bytes(32), b"1" * 32)
    pat = patient.people.pat
    with (
        closing(HttpClient(patient.url, vkeys=signer.keys)) as far,
        pytest.raises(Tampered, match="known keys"),
    ):
        readings.chart(far, pat.actor, pat.patient, "PATRQT")
    keys = parse_keys(vkeys(patient.fixture.settings))
    with closing(HttpClient(patient.url, vkeys=keys)) as far:
        assert readings.chart(far, pat.actor, pat.patient, "PATRQT").lines
    other = Actor("other.example", pat.actor.account, "patient", "", pat.actor.key)
    with (
        closing(HttpClient(patient.url)) as far,
        pytest.raises(RecordsError, match=r"other\.example"),
    ):
        readings.chart(far, other, pat.patient, "PATRQT")


def test_what_is_kept_never_shrinks_and_is_private(patient: Patient) -> None:
    """Several processes keep the same files; the largest checkpoint stays."""
    patient.good("chart")
    first = patient.checkpoint()
    patient.good("chart")
    (folder,) = (patient.state / "heartwood").iterdir()
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    kept = KeptInFiles(patient.state / "heartwood", patient.fixture.ledger.origin)
    latest = kept.checkpoint()
    assert latest is not None and first != latest
    assert not kept.advance(latest, int(first.splitlines()[1]), first)
    assert not kept.advance(first, patient.size() + 1, first)
    assert kept.checkpoint() == latest
    pat = patient.people.pat

    def look() -> None:
        mine = lambda origin: KeptInFiles(patient.state / "heartwood", origin)  # noqa: E731
        with closing(HttpClient(patient.url, mine)) as far:
            for _ in range(3):
                readings.chart(far, pat.actor, pat.patient, "PATRQT")

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert patient.size() == patient.fixture.size()


PACKED = gzip.compress(bytes(64 << 20), 1)
"""64 MiB, in a small answer."""


class Odd(BaseHTTPRequestHandler):
    """A server that wears out who asks it: a small answer that unpacks to a huge one, one of many small
    values, and one without an end."""

    def do_GET(self) -> None:
        """Unpacks to 64 MiB; or comes a byte at a time."""
        self.send_response(200)
        if self.path.endswith("packed/v1/log"):
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(PACKED)))
            self.end_headers()
            self.wfile.write(PACKED)
            return
        if self.path.endswith("many/v1/log"):
            self.end_headers()
            self.wfile.write(b"[" + b"[]," * 1_000_000 + b"[]]")
            return
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *words: Any) -> None:
        """Says nothing."""


def test_an_answer_has_a_limit_in_bytes_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.connection.ANSWER_SECONDS", 1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(Tampered, match="more than 16777216 bytes"):
            HttpClient(f"{url}/packed")
        with pytest.raises(Tampered, match="more than 645277 values"):
            HttpClient(f"{url}/many")
        with pytest.raises(Unavailable, match="longer than 1 s"):
            HttpClient(f"{url}/slow")
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def forked(fixture: LedgerFixture, folder: Path) -> Iterator[tuple[Ledger, str]]:
    """The same log as it is now, in another place, with a server of its own."""
    fixture.ledger.publish()
    copied = copy_ledger(fixture.settings, folder / "data")
    with closing(opened(copied)) as fork, in_process(fork) as web:
        yield fork, web.url


def last_of(patient: Patient, below: int) -> int:
    """An entry of the patient's, at most `below`."""
    stream = patient.fixture.ledger.stream(patient.people.pat.stream, below + 1)
    return stream[-1].link.seq
