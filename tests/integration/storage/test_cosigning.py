"""The feed of a log's witnesses: what meets the policy is kept and served, and no witness hurts the others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import storage.cosigning
from api.app.opening import open_ledger
from api.app.witnesses import witness_policy
from client.witnesses import WitnessConnection
from crypto.notes import Note, VerifierKey
from durable.errors import StartRefused
from ledger.auditor import check_receipt, verify_export
from ledger.checkpoint import Checkpoint
from ledger.witnesses import WitnessPolicy
from ledger.witnessing import Submission
from storage.cosigning import WitnessFeed, WitnessStanding, standings_under
from storage.exports import write_export
from storage.sql.entries import EntryStore, Published
from tests.support.copies import copy_ledger
from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.server import good, in_process, until
from tests.tilereader.witness import Answer, LittleWitness

SILENT = "http://127.0.0.1:1"
"""Where nobody listens."""


def little(fixture: LedgerFixture, number: int) -> LittleWitness:
    """A witness of the fixture's log, from the page alone."""
    keys = [str(key) for key in fixture.ledger.vkeys]
    return LittleWitness(f"w{number}.example/w", keys, bytes([number] * 32))


@dataclass
class Witnessed:
    """A ledger whose feed runs, its policy (2 of 3 by default) and its witnesses."""

    fixture: LedgerFixture
    policy: WitnessPolicy
    file: Path
    witnesses: list[LittleWitness]

    def standing(self, number: int) -> WitnessStanding:
        return standings_under(self.fixture.ledger.store, self.policy)[number]

    def cosigned(self) -> int:
        """The size under the newest checkpoint that meets the policy."""
        found = self.fixture.ledger.cosigned()
        return found.size if found else 0

    def wait(self) -> None:
        """Until the whole log is cosigned."""
        until(lambda: self.cosigned() == self.fixture.size(), "the log is cosigned")

    def grow(self) -> None:
        """Append something; it is acknowledged whatever the witnesses do."""
        self.fixture.person()

    def problem(self, number: int, words: str) -> None:
        """Wait until a witness is told of so."""
        until(lambda: words in self.standing(number).problem, words)


def policy_of(fixture: LedgerFixture, lines: list[str], quorum: str) -> bytes:
    first = f"log {fixture.ledger.vkeys[0]}\n"
    return (first + "".join(f"{line}\n" for line in lines) + quorum).encode()


@contextmanager
def witnessed(
    fixture: LedgerFixture, needed: int = 2, urls: dict[int, str] | None = None
) -> Iterator[Witnessed]:
    """Three witnesses; `urls`: others than their own."""
    three = [little(fixture, number) for number in range(3)]
    with ExitStack() as stack:
        where = [stack.enter_context(one.serving()) for one in three]
        for number, url in (urls or {}).items():
            where[number] = url
        lines = [f"witness w{n} {one.vkey} {where[n]}" for n, one in enumerate(three)]
        data = policy_of(fixture, lines, f"group q {needed} w0 w1 w2\nquorum q\n")
        file = fixture.settings.data.with_name("policy")
        file.write_bytes(data)
        policy = WitnessPolicy.parse(data)
        fixture.ledger.witnesses = policy
        made = Witnessed(fixture, policy, file, three)
        with feeding(made):
            yield made
    fixture.ledger.witnesses = None


@contextmanager
def feeding(made: Witnessed) -> Iterator[None]:
    connection = WitnessConnection()
    with WitnessFeed(made.fixture.ledger, made.policy, connection.ask).running():
        yield
    connection.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed's own pace, twenty times as fast."""
    for name in ("TICK_SECONDS", "BACKOFF_SECONDS"):
        monkeypatch.setattr(storage.cosigning, name, 0.05)
    monkeypatch.setattr(storage.cosigning, "BACKOFF_LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(storage.cosigning, "ROUND_SECONDS", 0.5)


def test_a_growing_log_is_cosigned_again_and_again(fixture: LedgerFixture) -> None:
    with witnessed(fixture) as made:
        for _ in range(3):
            made.grow()
            made.wait()
        until(lambda: all(one.size == fixture.size() for one in made.witnesses), "all have it")
        until(lambda: all(not made.standing(n).behind for n in range(3)), "none is behind")
        found = fixture.ledger.cosigned()
        assert found is not None
        assert len(made.policy.check(found.note, fixture.ledger.vkeys)) >= 2
    kept = fixture.ledger.store.cosigned_now()
    assert kept is not None and kept.note == found.note  # durably


def test_a_receipt_is_final_once_it_is_cosigned_and_stays_so(fixture: LedgerFixture) -> None:
    with witnessed(fixture, urls={0: SILENT, 1: SILENT}) as made:
        made.grow()
        seq = fixture.size() - 1
        receipt, final = fixture.ledger.receipt(seq)
        assert not final
    with witnessed(fixture) as made:
        made.wait()
        receipt, final = fixture.ledger.receipt(seq)
        assert final
        made.grow()
        made.wait()
        again, final = fixture.ledger.receipt(seq)
        assert final and again.text() == receipt.text()
        assert check_receipt(receipt.text(), vkeys(fixture.settings), made.file.read_bytes())
    fixture.reopen()  # without a policy it is the same
    assert fixture.ledger.receipt(seq)[0].text() == receipt.text()


def test_without_a_policy_a_published_checkpoint_is_enough(fixture: LedgerFixture) -> None:
    until(lambda: fixture.ledger.receipt(0)[1], "it is published")
    assert fixture.ledger.cosigned() is None
    assert fixture.ledger.checkpoint() == fixture.ledger.head().checkpoint


Bend = Callable[[bytes, Answer], Answer]


def same(status: int, body: bytes = b"", kind: str = "text/plain") -> Bend:
    return lambda sent, answer: Answer(status, body, kind)


def other_key(sent: bytes, answer: Answer) -> Answer:
    text = Submission.parse(sent).note.rpartition(b"\n\n")[0] + b"\n"
    return Answer(200, LittleWitness("w0.example/w", [], bytes([9] * 32)).cosign(text))


def other_text(sent: bytes, answer: Answer) -> Answer:
    wrong = Checkpoint("other.example/log", 1, bytes(32)).text()
    return Answer(200, LittleWitness("w0.example/w", [], bytes([0] * 32)).cosign(wrong))


def tells(change: int) -> Bend:
    """409 for ever, each time another size."""
    count = iter(range(10**9))
    return lambda sent, answer: Answer(409, f"{next(count) * change % 3}\n".encode())


FAULTS: dict[str, tuple[Bend, str]] = {
    "another's key": (other_key, "no cosignature of the key"),
    "another checkpoint": (other_text, "does not fit"),
    "nothing signed": (same(200), "not signature lines"),
    "a page": (same(200, b"<html>\n"), "not signature lines"),
    "unknown log": (same(404, b"unknown origin\n"), "answered 404: unknown origin"),
    "not signed by the log, it says": (same(403), "answered 403"),
    "refuses, by the page": (same(422, b"bad proof\n"), "this log is not the one"),
    "refuses with 500": (same(500), "answered 500"),
    "409 without a size": (same(409), "this log is not the one"),
    "409 with a size above the log": (same(409, b"1000000\n"), "another copy of the log"),
    "409 for ever": (tells(1), "times in a row"),
    "a huge answer": (same(200, b"x" * 10_000_000), "more than 65536 bytes"),
    "a redirect": (same(302), "answered 302"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_witness_that_goes_wrong_hurts_nobody(name: str, fixture: LedgerFixture) -> None:
    """Two of three is met by the others; it is told of, in words, and asked again."""
    bend, words = FAULTS[name]
    with witnessed(fixture) as made:
        made.wait()
        made.witnesses[0].bend = bend
        made.grow()
        made.wait()
        made.problem(0, words)
        assert made.standing(1).problem == made.standing(2).problem == ""
        made.witnesses[0].bend = lambda sent, answer: answer
        until(lambda: not made.standing(0).problem, "it is asked again, and good")
        until(lambda: not made.standing(0).behind, "it has all of it")


def test_one_that_is_down_or_never_answers_hurts_nobody(fixture: LedgerFixture) -> None:
    held = threading.Event()

    def holds(sent: bytes, answer: Answer) -> Answer:
        held.wait(30)
        return answer

    with witnessed(fixture, urls={1: SILENT}, needed=1) as made:
        made.witnesses[2].bend = holds
        for _ in range(2):
            made.grow()
            made.wait()
        made.problem(1, "does not answer")
        held.set()
        until(lambda: made.standing(2).size > 0, "it is heard at last")


def test_one_that_forgot_all_is_proved_it_anew(fixture: LedgerFixture) -> None:
    with witnessed(fixture) as made:
        made.wait()
        one = made.witnesses[0]
        one.size = 0
        made.grow()
        until(lambda: one.size == fixture.size(), "it follows again")


def test_one_that_is_always_ahead_hurries_nobody(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells a size above that of the round, each time: the others, one of them slow, have their whole round."""
    monkeypatch.setattr(storage.cosigning, "ROUND_SECONDS", 10.0)
    done = threading.Event()

    def slow(sent: bytes, answer: Answer) -> Answer:
        done.wait(1.5)
        return answer

    def ahead(sent: bytes, answer: Answer) -> Answer:
        return Answer(409, b"%d\n" % fixture.size())

    def grow() -> None:
        while not done.wait(0.05):
            made.grow()

    with witnessed(fixture) as made:
        made.wait()
        size, growing = fixture.size(), threading.Thread(target=grow)
        made.witnesses[0].bend, made.witnesses[1].bend = ahead, slow
        growing.start()
        try:
            until(lambda: made.cosigned() > size, "two of three have cosigned", seconds=15)
            made.problem(0, "has cosigned a newer checkpoint")
        finally:
            done.set()
            growing.join()
        made.witnesses[0].bend = lambda sent, answer: answer
        until(lambda: not made.standing(0).problem, "it is asked again, and good")


def test_what_the_database_lost_meanwhile_is_kept_nowhere(fixture: LedgerFixture) -> None:
    """While witnesses answer, the checkpoint is taken back, as by a standby without the last commits."""
    lost = list[int]()

    def loses(sent: bytes, answer: Answer) -> Answer:
        size = Checkpoint.parse(Note.parse(Submission.parse(sent).note).text).size
        if not lost or lost[0] == size:
            with fixture.ledger.database.write() as connection:
                connection.exec_driver_sql(f"DELETE FROM checkpoints WHERE size = {size}")
            lost.append(size)
        return answer

    with witnessed(fixture) as made:
        made.wait()
        for one in made.witnesses:
            one.bend = loses
        made.grow()
        until(lambda: all(one.size == fixture.size() for one in made.witnesses), "all answered")
        made.grow()
        made.wait()
    kept = fixture.ledger.database.fetch("SELECT size FROM cosignatures", ())
    there = fixture.ledger.database.fetch("SELECT size FROM checkpoints", ())
    assert lost and set(kept) <= set(there)


def test_where_the_quorum_is_not_met_nothing_is_final(fixture: LedgerFixture) -> None:
    with witnessed(fixture, needed=3) as made:
        made.wait()
        size = fixture.size()
        made.witnesses[0].bend = same(500)
        made.grow()
        made.problem(0, "answered 500")
        until(lambda: made.standing(1).size > size, "the others have it")
        assert made.cosigned() == size
        assert not fixture.ledger.receipt(fixture.size() - 1)[1]
        made.witnesses[0].bend = lambda sent, answer: answer
        made.wait()


def test_another_policy_asks_anew_for_the_same_checkpoint(fixture: LedgerFixture) -> None:
    with witnessed(fixture, needed=1, urls={1: SILENT, 2: SILENT}) as made:
        made.wait()
    with witnessed(fixture, needed=3) as made:
        made.wait()


def test_two_feeds_are_one(fixture: LedgerFixture) -> None:
    """Of all processes that serve one log one feeds; when it ends another goes on."""
    with witnessed(fixture) as made:
        made.wait()
        asked = sum(one.asked for one in made.witnesses)
        second = feeding(made)
        second.__enter__()
        made.grow()
        made.wait()
        until(lambda: all(not made.standing(n).behind for n in range(3)), "none is behind")
        assert sum(one.asked for one in made.witnesses) - asked <= 12
    made.fixture.ledger.witnesses = made.policy
    with ExitStack() as stack:
        for number, one in enumerate(made.witnesses):
            made.policy.urls[f"w{number}"] = stack.enter_context(one.serving())
        made.grow()
        second.__exit__(None, None, None)
    fixture.ledger.witnesses = None


def test_a_log_with_two_faces_is_found_by_the_second_witness_by_name(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """Two copies of a log under the same keys, which go on differently, before the same three witnesses."""
    with witnessed(fixture) as made:
        made.wait()
    fixture.close()
    copy = copy_ledger(fixture.settings, tmp_path / "copy")
    fixture.reopen()
    other = replace(fixture, settings=copy, ledger=open_ledger(copy))
    with witnesses_again(made, fixture):
        made.grow()
        made.wait()
        until(lambda: all(not made.standing(n).behind for n in range(3)), "all have the first face")
    other.person()
    other.person()
    face = Witnessed(other, made.policy, made.file, made.witnesses)
    with witnesses_again(face, other):
        for number in range(3):
            face.problem(number, "this log is not the one of which it cosigned")
        assert face.cosigned() < other.size()
    assert standings_under(other.ledger.store, made.policy)[1].name == "w1"
    other.close()


@contextmanager
def witnesses_again(made: Witnessed, fixture: LedgerFixture) -> Iterator[None]:
    """The same witnesses, feeding from a ledger."""
    with ExitStack() as stack:
        for number, one in enumerate(made.witnesses):
            made.policy.urls[f"w{number}"] = stack.enter_context(one.serving())
        fixture.ledger.witnesses = made.policy
        with feeding(made):
            yield


def test_it_is_served_exported_and_checked(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Over HTTP and beside the data: the cosigned checkpoint, the policy, and exports that meet it."""
    with witnessed(fixture) as made:
        made.wait()
        with in_process(fixture.ledger) as web:
            told = good(web.get("/v1/log/witnesses"))
            assert [one["name"] for one in told["witnesses"]] == ["w0", "w1", "w2"]
            assert told["size"] == fixture.size()
            note = web.get("/v1/log/cosigned").content
            assert web.get("/checkpoint").content == note
            assert WitnessPolicy.parse(told["policy"].encode()).check(note, fixture.ledger.vkeys)
            metrics = web.get("/metrics").text
            assert 'heartwood_witness_behind_entries{witness="w0"} 0.0' in metrics
            assert "heartwood_uncosigned_entries 0.0" in metrics
    fixture.ledger.witnesses = made.policy
    size = fixture.size()
    made.grow()  # which nobody cosigned
    target = tmp_path / "cosigned"
    assert write_export(fixture.ledger, target, policy=made.policy) == size
    report = verify_export(target, vkeys(fixture.settings), policy=made.file.read_bytes())
    assert report.proven and len(report.cosigned) >= 2
    with in_process(fixture.ledger) as web:
        assert web.get("/v1/log/cosigned").content == note != web.get("/checkpoint").content
    fixture.ledger.witnesses = None


def test_an_export_names_no_checkpoint_beyond_what_it_holds(
    fixture: LedgerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended and cosigned while it is written comes with the next one."""
    true, later, me = EntryStore.cosigned_now, [False], threading.current_thread()
    with witnessed(fixture) as made:
        made.wait()
        size = fixture.size()

        def grown_meanwhile(store: EntryStore, *given: int) -> Published | None:
            if not later[0] and threading.current_thread() is me:  # and not the feed
                later[0] = True
                made.grow()
                made.wait()
            return true(store, *given)

        monkeypatch.setattr(EntryStore, "cosigned_now", grown_meanwhile)
        assert write_export(fixture.ledger, tmp_path / "export", policy=made.policy) == size
        monkeypatch.setattr(EntryStore, "cosigned_now", true)
    assert later[0] and fixture.size() > size
    policy = made.file.read_bytes()
    assert verify_export(tmp_path / "export", vkeys(fixture.settings), policy=policy).size == size


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["witness a {key} http://127.0.0.1:1", "quorum none"], None),
        (["witness a {key}", "quorum a"], "can't be met by those of its witnesses that have a URL"),
        (["witness a {key} ftp://x", "quorum a"], "expected http://"),
        (["witness a {key} http://127.0.0.1:1"], "has no line quorum"),
        (["witness a {own} http://127.0.0.1:1", "quorum a"], "is the log itself"),
        (["log {other}", "quorum none"], "is about other logs"),
    ],
)
def test_a_policy_that_cant_be_met_is_refused_at_the_start(
    lines: list[str], words: str | None, fixture: LedgerFixture, tmp_path: Path
) -> None:
    key = little(fixture, 1).vkey
    other = VerifierKey("other.example/log", 0x01, bytes(32))
    text = "\n".join(lines).format(key=key, own=fixture.ledger.vkeys[1], other=other) + "\n"
    file = tmp_path / "policy"
    file.write_text(text)
    config = fixture.settings.model_copy(update={"witness_policy": file})
    if words is None:
        assert witness_policy(config, fixture.ledger.vkeys) is not None
        return
    with pytest.raises(StartRefused, match=f"HEARTWOOD_WITNESS_POLICY.*{words}"):
        witness_policy(config, fixture.ledger.vkeys)
