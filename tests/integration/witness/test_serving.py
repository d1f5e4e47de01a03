"""`heartwood witness serve`: the conversation by the page, with a client that shares nothing with the project."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from api.app.settings import Settings
from api.http.witnessing import ADDRESS_SUBMISSIONS
from ledger.witnessing import SUBMISSION_LIMIT, Submission
from tests.support.commands import heartwood
from tests.support.server import until
from tests.support.submissions import SmallLog
from tests.support.witnesses import new_witness, witness_serving
from tests.tilereader.note import parse_note
from tests.tilereader.witness import submit

LOG = SmallLog()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_witness(tmp_path / "w", [LOG.key])
    return tmp_path / "w"


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with witness_serving(folder) as found:
        yield found


def test_the_conversation_by_the_page(url: str) -> None:
    asked = [
        (0, 5, 200), (0, 9, 409), (5, 9, 200), (9, 9, 200), (9, 15, 200), (15, 9, 400), (3, 3, 409),
    ]  # fmt: skip
    for old, new, status in asked:
        answer = submit(url, old, LOG.proof(old, new), LOG.note(new))
        assert answer.status == status, answer
        if status == 409:
            assert answer.content_type == "text/x.tlog.size"
            assert re.fullmatch(rb"(0|[1-9][0-9]*)\n", answer.body)
        if status == 200:
            note = parse_note(LOG.note(new) + answer.body, "cosigned")
            assert [line.name for line in note.signatures[1:]] == ["witness.example/w"] * 2
    assert submit(url, 15, (), LOG.forked(3).note(15)).status == 422
    assert submit(url, 0, (), SmallLog("example.com/other").note(3)).status == 404


def test_it_is_found_under_its_prefix_alone(folder: Path) -> None:
    with witness_serving(folder, "--prefix", "/w1/") as url:
        assert url.endswith("/w1")
        assert submit(url, 0, (), LOG.note(3)).status == 200
        assert httpx2.post(url.removesuffix("/w1") + "/add-checkpoint").status_code == 404
        assert httpx2.get(url + "/add-checkpoint").status_code == 405
        assert httpx2.get(url + "/add-checkpoint").headers["allow"] == "POST"
        assert httpx2.get(url).status_code == 404


def test_a_body_too_long_is_not_read(url: str) -> None:
    long = Submission(0, (), LOG.note(3)).text() + b"x" * SUBMISSION_LIMIT
    assert httpx2.post(url + "/add-checkpoint", content=long).status_code == 413
    pieces = iter([long[: SUBMISSION_LIMIT // 2]] * 3)
    assert httpx2.post(url + "/add-checkpoint", content=pieces).status_code == 413
    assert submit(url, 0, (), LOG.note(3)).status == 200


def test_one_address_has_only_so_many_submissions_in_work(url: str) -> None:
    port = int(url.rpartition(":")[2])
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with ExitStack() as held:
        for _ in range(ADDRESS_SUBMISSIONS):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(head)
        until(lambda: submit(url, 0, (), LOG.note(3)).status == 503, "no place is left")
    until(lambda: submit(url, 0, (), LOG.note(3)).status in (200, 409), "the places are given back")


def test_clients_that_send_nothing_cost_the_others_nothing(url: str) -> None:
    port = int(url.rpartition(":")[2])
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    try:
        for one in held[:30]:
            one.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert submit(url, 0, (), LOG.note(3)).status == 200
    finally:
        for one in held:
            one.close()


def test_two_servers_on_one_folder_are_one_witness(folder: Path) -> None:
    with witness_serving(folder) as one, witness_serving(folder) as two:
        assert submit(one, 0, (), LOG.note(5)).status == 200
        assert submit(two, 0, (), LOG.forked(2).note(7)).body == b"5\n"
        assert submit(two, 5, LOG.proof(5, 9), LOG.note(9)).status == 200
        assert submit(one, 5, LOG.proof(5, 9), LOG.note(9)).body == b"9\n"


def test_a_log_is_added_while_it_serves(folder: Path, url: str, tmp_path: Path) -> None:
    other = SmallLog("example.com/other", bytes(32))
    settings = Settings(data=tmp_path / "none")
    assert submit(url, 0, (), other.note(3)).status == 404
    added = heartwood(settings, "witness", "add-log", folder, str(other.key))
    assert (added.code, added.out) == (0, "witnesses example.com/other\n")
    assert submit(url, 0, (), other.note(3)).status == 200


def test_the_commands_tell_who_has_two_histories(folder: Path, url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "none")
    fresh = heartwood(settings, "witness", "status", folder)
    assert (fresh.code, fresh.out) == (0, "example.com/log/testdata: nothing yet\n")
    submit(url, 0, (), LOG.note(5))
    fork = LOG.forked(2)
    submit(url, 5, fork.proof(5, 9), fork.note(9))
    evidence = tmp_path / "evidence"
    told = heartwood(settings, "witness", "status", folder, "--evidence", evidence)
    assert told.code == 1 and "example.com/log/testdata: TWO HISTORIES" in told.out
    assert sorted(path.name for path in evidence.iterdir()) == ["1.cosigned", "1.refused"]
    assert (evidence / "1.cosigned").read_bytes() == LOG.note(5)
    told = heartwood(settings, "witness", "status", folder, "--json")
    (log,) = told.json["logs"]
    assert (log["origin"], log["size"], log["two_faces"]) == (LOG.origin, 5, True)


def test_a_policys_logs_and_key_files_are_added(tmp_path: Path) -> None:
    settings, folder = Settings(data=tmp_path / "none"), tmp_path / "w"
    made = heartwood(settings, "witness", "init", folder, "--name", "witness.example/w", "--json")
    assert made.code == 0 and len(made.json["vkeys"]) == 2
    one, two = SmallLog("example.com/1", bytes(32)), SmallLog("example.com/2", bytes([1] * 32))
    policy, keys = tmp_path / "policy", tmp_path / "log.vkey"
    policy.write_text(f"log {one.key}\nquorum none\n")
    keys.write_text(f"{two.key}\n{two.signer.keys[1]}\n")
    added = heartwood(settings, "witness", "add-log", folder, keys, "--policy", policy, "--json")
    assert added.json == {"logs": ["example.com/1", "example.com/2"]}
    assert heartwood(settings, "witness", "add-log", folder).code == 2
    assert heartwood(settings, "witness", "add-log", folder, "a+b").code != 0
    assert heartwood(settings, "witness", "init", folder, "--name", "x").code == 4
