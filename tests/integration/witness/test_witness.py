"""A witness's answers, kept on its disk: by the page, by another implementation, and whatever the order."""

import json
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from api.app.witnessing import create_witness, opened_witness
from crypto.encoding import b64decode
from crypto.errors import CryptoError, FormError
from crypto.notes import Note, VerifierKey
from durable.errors import StartRefused, StorageError
from ledger.witnessing import SIZE_TYPE, Submission
from tests.support.paths import GOLDEN
from tests.support.submissions import SmallLog
from tests.support.witnesses import NAME, new_witness
from witness.store import STATE, STEPS
from witness.witness import Witness

LOG = SmallLog()
NOW = 1_795_160_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a witness that knows the log."""
    new_witness(tmp_path / "w", [LOG.key])
    return tmp_path / "w"


@pytest.fixture
def witness(folder: Path) -> Iterator[Witness]:
    with opened_witness(folder, None, lambda: NOW) as found:
        yield found


def cosigned(witness: Witness, old: int, new: int, log: SmallLog = LOG) -> bytes:
    """The lines for a submission that must be cosigned."""
    answer = witness.add_checkpoint(log.submission(old, new).text())
    assert answer.status == 200, answer
    return answer.body


def test_both_keys_cosign_the_checkpoint(folder: Path, witness: Witness) -> None:
    keys = [VerifierKey.parse(text) for text in (folder / "witness.vkey").read_text().split()]
    assert [key.kind for key in keys] == [0x04, 0x06]
    for old, new in ((0, 3), (3, 3), (3, 15)):
        note = Note.parse(LOG.note(new) + cosigned(witness, old, new))
        assert note.verify([LOG.key, *keys]) == [LOG.key, *keys]


def test_the_answer_to_another_old_size_is_the_size(witness: Witness) -> None:
    cosigned(witness, 0, 5)
    answer = witness.add_checkpoint(LOG.submission(3, 9).text())
    assert (answer.status, answer.kind, answer.body) == (409, SIZE_TYPE, b"5\n")
    assert SIZE_TYPE == "text/x.tlog.size"


def test_it_answers_as_another_implementation_does(witness: Witness) -> None:
    """The same requests, in the same order, as litewitness answered (`tests/golden/converse.py`).

    Two answers differ, and ours are the page's: an unknown log is 404, and a number has no leading zero.
    """
    exact = {"a log that is not known": 404, "a number with a leading zero": 400}
    for said in json.loads((GOLDEN / "witness" / "conversation.json").read_text()):
        ours = witness.add_checkpoint(b64decode(said["request"]))
        assert ours.status == exact.get(said["what"], said["status"]), said["what"]
        if ours.status == 409:
            assert (ours.body, ours.kind) == (b64decode(said["answer"]), said["type"])


def test_time_never_goes_back(folder: Path) -> None:
    with opened_witness(folder, None, lambda: NOW) as first:
        late = cosigned(first, 0, 3)
    with opened_witness(folder, None, lambda: NOW - 60_000) as second:
        early = cosigned(second, 3, 5)
    times = [Note.parse(b"x\n\n" + lines).signatures[0][2][:8] for lines in (late, early)]
    assert times[0] == times[1] == (NOW // 1000).to_bytes(8, "big")


def test_what_proves_two_histories_is_kept_and_named(witness: Witness) -> None:
    cosigned(witness, 0, 5)
    fork = LOG.forked(2)
    for new in (9, 11):
        assert witness.add_checkpoint(fork.submission(5, new).text()).status == 422
    (state,) = witness.store.logs()
    (refused,) = state.refused
    assert (state.origin, state.size, refused.two_faces) == (LOG.origin, 5, True)
    assert refused.cosigned == LOG.note(5)
    assert Submission.parse(refused.request) == fork.submission(5, 9)
    cosigned(witness, 5, 15)


def test_a_proof_that_is_no_good_is_told_apart(witness: Witness) -> None:
    """Anyone may send one: it says nothing against the log. Of each kind the first is kept."""
    cosigned(witness, 0, 5)
    for new in (7, 9):
        assert witness.add_checkpoint(Submission(5, (), LOG.note(new)).text()).status == 422
    assert witness.add_checkpoint(LOG.forked(2).submission(5, 9).text()).status == 422
    (state,) = witness.store.logs()
    assert [one.two_faces for one in state.refused] == [True, False]
    assert Submission.parse(state.refused[1].request).note == LOG.note(7)


def test_two_processes_on_one_folder_never_cosign_two_histories(folder: Path) -> None:
    """Many submissions of two histories at once, to two openings of the folder."""
    fork, chance = LOG.forked(2), random.Random(7)
    good: dict[int, set[bytes]] = {}
    lock = threading.Lock()

    def work(seed: int) -> None:
        mine = random.Random(seed)
        with opened_witness(folder, None) as witness:
            for _ in range(60):
                log, old = mine.choice((LOG, fork)), mine.randrange(16)
                new = mine.randrange(old, 16)
                if witness.add_checkpoint(log.submission(old, new).text()).status == 200:
                    with lock:
                        good.setdefault(new, set()).add(log.checkpoint(new).root)

    threads = [threading.Thread(target=work, args=(chance.random(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert good and all(len(roots) == 1 for roots in good.values())
    forked = {
        size for size, roots in good.items() if size > 2 and fork.checkpoint(size).root in roots
    }
    assert not forked or not {size for size in good if size > 2} - forked


def test_logs_do_not_mix(folder: Path, witness: Witness) -> None:
    other = SmallLog("example.com/other", bytes(32))
    witness.add_log([other.key])
    cosigned(witness, 0, 5)
    cosigned(witness, 0, 9, other)
    cosigned(witness, 5, 7)
    assert [(log.origin, log.size) for log in witness.store.logs()] == [
        (LOG.origin, 7), (other.origin, 9),
    ]  # fmt: skip


def test_a_log_with_the_witnesss_own_key_is_refused(folder: Path, witness: Witness) -> None:
    vkey = VerifierKey.parse((folder / "witness.vkey").read_text().split()[0])
    with pytest.raises(FormError, match="the witness's own key"):
        witness.add_log([VerifierKey("example.com/x", 0x01, vkey.public)])
    with pytest.raises(CryptoError, match="origin"):
        witness.add_log([VerifierKey("heartwood/x", 0x01, bytes(32))])


def test_an_older_state_is_refused(folder: Path, tmp_path: Path) -> None:
    """A database of a backup beside what has been told since: the witness would cosign another history."""
    with opened_witness(folder, None) as first:
        cosigned(first, 0, 5)
    shutil.copytree(folder, tmp_path / "old")
    with opened_witness(folder, None) as second:
        cosigned(second, 5, 9)
    for path in folder.glob(f"{STATE}*"):
        path.unlink()
    for path in (tmp_path / "old").glob(f"{STATE}*"):
        shutil.copy2(path, folder / path.name)
    with pytest.raises(StartRefused, match="old copy"), opened_witness(folder, None):
        pass


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        (STEPS, StartRefused, "can't be read"),
        (STATE, StorageError, "can't be read or written"),
        ("ed25519.seed", StartRefused, "is missing"),
        ("witness.vkey", StartRefused, "private keys"),
        ("witness.json", StartRefused, "there is no witness"),
    ],
)
def test_a_folder_that_lacks_something_is_not_opened(
    folder: Path, name: str, error: type[Exception], words: str
) -> None:
    (folder / name).unlink()
    with pytest.raises(error, match=words), opened_witness(folder, None):
        pass


def test_another_key_is_not_taken_for_the_witnesss(folder: Path, tmp_path: Path) -> None:
    create_witness(tmp_path / "other", NAME, None)
    shutil.copy2(tmp_path / "other" / "ml-dsa-44.seed", folder)
    with pytest.raises(StartRefused, match="private keys"), opened_witness(folder, None):
        pass


def test_a_witness_is_made_only_in_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="not empty"):
        create_witness(folder, NAME, None)
    for name in ("", "https://witness.example", "heartwood/w", "a b", "a+b"):
        with pytest.raises(FormError, match="the witness's name"):
            create_witness(tmp_path / "new", name, None)
    assert not (tmp_path / "new").exists()
    assert folder.stat().st_mode & 0o077 == 0


class Histories(RuleBasedStateMachine):
    """Two histories of a log, in any order, with restarts: only ever one of them is cosigned."""

    @initialize()
    def start(self) -> None:
        self.place = TemporaryDirectory()
        self.folder = Path(self.place.name) / "w"
        new_witness(self.folder, [LOG.key])
        self.fork = LOG.forked(4)
        self.size, self.history = 0, LOG
        self.opening = opened_witness(self.folder, None)
        self.witness = self.opening.__enter__()

    @rule(other=st.booleans(), old=st.integers(0, 15), more=st.integers(0, 15))
    def submit(self, other: bool, old: int, more: int) -> None:
        log, new = self.fork if other else LOG, min(15, old + more)
        answer = self.witness.add_checkpoint(log.submission(old, new).text())
        same = min(self.size, 15) <= 4 or log is self.history
        expected = 409 if old != self.size else 200 if same else 422
        assert answer.status == expected
        if expected == 409:
            assert answer.body == f"{self.size}\n".encode()
        if expected == 200:
            self.size = new
            self.history = log

    @rule()
    def restart(self) -> None:
        self.opening.__exit__(None, None, None)
        self.opening = opened_witness(self.folder, None)
        self.witness = self.opening.__enter__()

    @invariant()
    def keeps_what_it_told(self) -> None:
        if hasattr(self, "witness"):
            (state,) = self.witness.store.logs()
            assert state.size == self.size

    def teardown(self) -> None:
        if hasattr(self, "opening"):
            self.opening.__exit__(None, None, None)
            self.place.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = hypothesis_settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_a_log_hands_its_keys_over(folder: Path, witness: Witness) -> None:
    """Its operator's new keys are added while the old ones still sign; then they are the only ones."""
    new = SmallLog(LOG.origin, bytes(32), LOG.entries)
    cosigned(witness, 0, 3)
    assert witness.add_checkpoint(new.submission(3, 5).text()).status == 403
    witness.add_log([LOG.key, new.key])
    cosigned(witness, 3, 5)
    cosigned(witness, 5, 7, new)
    witness.add_log([new.key], only=True)
    cosigned(witness, 7, 9, new)
    assert witness.add_checkpoint(LOG.submission(9, 11).text()).status == 403
    (state,) = witness.store.logs()
    assert state.vkeys == (str(new.key),) and state.size == 9
