"""The key keeper: what it is shown must hold in every part, or nothing is given out."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from client import holds, readings, relatives
from client.beside import append
from client.http import HttpClient
from client.local import LocalClient
from crypto import canonical
from crypto.blobs import blob_context, open_stream
from crypto.encoding import b64encode
from crypto.errors import SealError
from crypto.shares import open_share, share_info
from durable.errors import StartRefused, StorageError
from identity.actors import Actor
from journeys.sealing import object_key
from keeper.errors import KeeperRefused
from keeper.following import FOLLOWED, FollowedLog
from keeper.keeper import KeyKeeper
from keeper.protocol import Alarm, Conflict, Evidence, SealedField, SealedObject, Wrapped
from ledger.directory import Account, Member
from ledger.entry import Entry
from ledger.facts import sha256_of
from ledger.receipt import Receipt
from ledger.releases import RELEASE_MS
from ledger.times import DAY_MS, format_time
from records import opening
from storage.evidence import PROVING_TRIES, Proofs, ask_keeper, of_entries
from storage.feeding import feed
from storage.ledger import Ledger
from tests.support.copies import copy_ledger
from tests.support.histories import History
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, denied, entry_of, signed
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""The keeper has its own store; the log's engine makes no difference to it."""


NOT_REFUSED = pytest.fail.Exception
"""What `pytest.raises` says of a call that was not refused."""


@dataclass(frozen=True)
class Ask:
    """A request for a blob's key, as the one journey that reads makes it."""

    ledger: Ledger
    entry: Entry
    shown: Proofs
    wrapped: Wrapped
    record: str
    sha256: bytes

    def put(self, keeper: KeyKeeper) -> bytes:
        """Ask the keeper, from where it stands, which may be another one than this ledger's own."""
        return ask_keeper(
            asking(self.ledger, keeper), self.shown, lambda shown: self.answer(keeper, shown)
        )

    def answer(self, keeper: KeyKeeper, shown: Evidence) -> bytes | Conflict:
        """Ask the keeper once."""
        return keeper.release(shown, self.wrapped, self.record, self.sha256)


def asking(ledger: Ledger, keeper: KeyKeeper) -> Ledger:
    """The ledger, of which this keeper reads and is asked."""
    return replace(ledger, keeper=keeper, keeper_size=keeper.seen.size)


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    """A patient who granted, and a doctor who may read."""
    made = People.of(fixture)
    entry_of(
        fixture.answer(made.grant(actions=["list", "read", "read_history"]), made.pat.actor.key)
    )
    return made


def ask(people: People, ledger: Ledger | None = None, **body: str) -> Ask:
    """A permitted reading by the doctor, and the request that follows it."""
    where = ledger or people.fixture.ledger
    event = people.reading(None, **body)
    entry = entry_of(where.append([signed(where, event, people.doctor.key)])[0])
    return request(people, where, entry)


def request(people: People, ledger: Ledger, entry: Entry) -> Ask:
    """The request for the record's key on the strength of an entry."""
    row = ledger.keys.blob_key(people.blob)
    version = opening.find_record(ledger, people.record).versions[0]
    wrapped = Wrapped(row.patient, row.blob, row.version, row.wrapped)
    shown = shown_to_keeper(ledger, entry)
    return Ask(ledger, entry, shown, wrapped, people.record, sha256_of(version))


def shown_to_keeper(ledger: Ledger, entry: Entry) -> Proofs:
    """The receipt of a reading, as it is now."""
    return of_entries(ledger, entry.link.seq)


def assert_refused(keeper: KeyKeeper, asked: Ask, said: str) -> None:
    """Nothing is given for it, with these words; and the keeper still serves the honest."""
    with pytest.raises(KeeperRefused, match=said):
        asked.put(keeper)


# What is given.


def test_a_permitted_reading_gets_the_key(people: People) -> None:
    """It opens the blob; asked for the same reading again, the keeper gives nothing."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    key = asked.put(keeper)
    context = blob_context(people.pat.patient, people.record, people.blob)
    content = open_stream(key, context, people.fixture.ledger.blobs.read(people.blob))
    assert b"".join(content) == CONTENT
    assert_refused(keeper, asked, f"entry {asked.entry.link.seq} has already received its key")
    assert ask(people).put(keeper) == key


def test_under_a_newer_checkpoint_it_is_the_same_reading(people: People) -> None:
    """A second release isn't to be had by another receipt of the same entry."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    asked.put(keeper)
    people.fixture.doctor()
    again = request(people, people.fixture.ledger, asked.entry)
    assert again.shown.receipts[0].checkpoint != asked.shown.receipts[0].checkpoint
    assert_refused(keeper, again, "has already received its key")


def test_an_older_checkpoint_of_the_same_branch_is_taken(people: People) -> None:
    """Readings overtake each other; each is released once."""
    keeper, first = keeper_of(people.fixture.ledger), ask(people)
    second = ask(people)
    assert second.put(keeper) == first.put(keeper)


def test_a_share_opens_with_the_reader_s_key_alone(people: People) -> None:
    """With `reply` the key comes sealed for it, bound to this very reading."""
    private, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    asked = ask(people, reply=b64encode(public))
    share = asked.put(keeper_of(people.fixture.ledger))
    info = share_info(people.pat.patient, asked.entry.event.id, public, people.blob)
    key = open_share(private.private_bytes_raw(), info, share)
    assert key not in share
    assert key == ask(people).put(keeper_of(people.fixture.ledger))
    another = share_info(people.pat.patient, people.id("ev"), public, people.blob)
    for secret, bound in ((other, info), (private, another)):
        with pytest.raises(SealError):
            open_share(secret.private_bytes_raw(), bound, share)


# What is not: the reading.


def _bent(
    bend: Callable[[tuple[Receipt, ...]], tuple[Receipt, ...]],
) -> Callable[[People], Ask]:
    """The honest request with other receipts."""

    def make(people: People) -> Ask:
        asked = ask(people)
        return replace(asked, shown=replace(asked.shown, receipts=bend(asked.shown.receipts)))

    return make


def _receipt(bend: Callable[[Receipt], Receipt]) -> Callable[[People], Ask]:
    return _bent(lambda receipts: (bend(receipts[0]), *receipts[1:]))


def _note(bend: Callable[[bytes], bytes]) -> Callable[[People], Ask]:
    """With another checkpoint in all receipts."""
    return _bent(lambda rs: tuple(replace(r, checkpoint=bend(r.checkpoint)) for r in rs))


def _wrapped(**bent: object) -> Callable[[People], Ask]:
    def make(people: People) -> Ask:
        asked = ask(people)
        return replace(asked, wrapped=replace(asked.wrapped, **bent))  # type: ignore[arg-type]

    return make


def _refused_reading(people: People) -> Ask:
    stranger = people.fixture.doctor()
    answer = denied(people.fixture.answer(people.reading(stranger), stranger.key))
    assert answer.seq is not None
    return request(people, people.fixture.ledger, people.fixture.ledger.entry(answer.seq))


def _last(event: Callable[[People], Entry]) -> Callable[[People], Ask]:
    return lambda people: request(people, people.fixture.ledger, event(people))


def _by_pat(make: Callable[[People], dict[str, object]]) -> Callable[[People], Ask]:
    return _last(lambda s: entry_of(s.fixture.answer(make(s), s.pat.actor.key)))


def _history(people: People) -> dict[str, object]:
    now = people.fixture.ledger.clock()
    return people.pat.actor.event("history.opened", people.pat.stream, {"purpose": "PATRQT"}, now)


def _list(people: People) -> dict[str, object]:
    now = people.fixture.ledger.clock()
    return people.pat.actor.event("chart.opened", people.pat.stream, {"purpose": "PATRQT"}, now)


def _uploaded(people: People) -> Entry:
    seq = opening.find_record(people.fixture.ledger, people.record).seq
    return people.fixture.ledger.entry(seq)


def _other_blob(people: People) -> Ask:
    """A permitted reading of one record, and the wrapped key of another."""
    other = people.fixture.record(people.pat)
    asked = ask(people)
    row = people.fixture.ledger.keys.blob_key(other.blob)
    wrapped = Wrapped(row.patient, row.blob, row.version, row.wrapped)
    return replace(asked, wrapped=wrapped, record=other.record, sha256=other.sha256)


def _altered(entry: bytes) -> bytes:
    return entry.replace(b'"role":"doctor"', b'"role":"doctoR"')


def _other_entry(bend: Callable[[bytes], bytes]) -> Callable[[People], Ask]:
    return _receipt(lambda receipt: replace(receipt, entry=bend(receipt.entry)))


REFUSED: dict[str, tuple[str, Callable[[People], Ask]]] = {
    "a refused reading": ("is access.refused, not", _refused_reading),
    "a grant": ("is access.granted, not", _by_pat(People.grant)),
    "a history": ("is history.opened, not", _by_pat(_history)),
    "an upload": ("is record.uploaded, not", _last(_uploaded)),
    "an altered entry": ("the receipt is not valid.*not under", _other_entry(_altered)),
    "another record in the entry": (
        "the receipt is not valid.*not under",
        _other_entry(lambda raw: raw.replace(b'"blob":"bl_0', b'"blob":"bl_1')),
    ),
    "no entry at all": ("the receipt is not valid", _other_entry(lambda raw: b"{}")),
    "another number": (
        "the receipt is not valid", _receipt(lambda r: replace(r, index=r.index - 1)),
    ),
    "an altered path": (
        "the receipt is not valid.*not under",
        _receipt(lambda r: replace(r, path=(os.urandom(32), *r.path[1:]))),
    ),
    "a shorter path": ("the receipt is not valid", _receipt(lambda r: replace(r, path=r.path[1:]))),
    "an altered checkpoint": (
        "the receipt is not valid",
        _note(lambda note: note.replace(b"\n", b"\nx", 1)),
    ),
    "a checkpoint of another log": (
        "the receipt is not valid: got a checkpoint of other.example",
        _note(lambda note: b"other.example/log" + note[note.index(b"\n"):]),
    ),
    "no receipts": ("the receipt is not valid: got no receipt", _bent(lambda receipts: ())),
    "a receipt too many": ("got 2 receipts", _bent(lambda receipts: (*receipts, receipts[0]))),
    "another blob and record": ("opens bl_.*, not bl_", _other_blob),
    "another blob": ("opens bl_.*, not bl_", _wrapped(name="bl_01m7w65asvtdvhdasacyj51eex")),
    "another patient": ("opens bl_", _wrapped(subject="pt_01m7w65asvtdvhdasacyj51eex")),
    "another record": (
        "is no record of the log", lambda s: replace(ask(s), record="rc_01m7w65asvtdvhdasacyj51eex"),
    ),
    "another hash": ("can't be opened", lambda s: replace(ask(s), sha256=bytes(32))),
    "another wrap": ("can't be opened", _wrapped(wrapped=bytes(60))),
    "a version that was never made": ("no key is kept for pt_", _wrapped(version=2)),
}  # fmt: skip
"""What the keeper is shown, and why it gives nothing."""


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_given_for(people: People, case: str) -> None:
    """The reason is said, no key is used up, and an honest reading still gets its key."""
    said, make = REFUSED[case]
    assert_refused(keeper_of(people.fixture.ledger), make(people), said)
    assert len(ask(people).put(keeper_of(people.fixture.ledger))) == 32


@pytest.mark.parametrize(
    ("age", "given"),
    [(RELEASE_MS, True), (RELEASE_MS + 1, False), (-RELEASE_MS, True), (-RELEASE_MS - 1, False)],
)
def test_an_old_reading(people: People, age: int, given: bool) -> None:
    """By the keeper's own clock, to the millisecond; none from the future either."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    keeper._clock = lambda: asked.entry.time + age
    if given:
        assert len(asked.put(keeper)) == 32
    else:
        assert_refused(keeper, asked, f"is {age} ms old, expected at most {RELEASE_MS}")


# What is not: the log.


@pytest.fixture
def fork(people: People, tmp_path: Path) -> Iterator[Ledger]:
    """The same ledger under the same keys, of which somebody writes a second history."""
    people.fixture.close()
    forked = opened(copy_ledger(people.fixture.settings, tmp_path / "fork"))
    people.fixture.ledger = opened(people.fixture.settings)
    yield forked
    forked.close()


def test_another_log(people: People, tmp_path: Path) -> None:
    """Of the same name, signed by keys of its own."""
    other = LedgerFixture.found(
        people.fixture.settings.model_copy(update={"data": tmp_path / "other"})
    )
    there = People.of(other)
    entry_of(other.answer(there.grant(), there.pat.actor.key))
    assert_refused(keeper_of(people.fixture.ledger), ask(there), NOT_THIS_LOG)
    other.close()


Prove = Callable[[int, int], Sequence[bytes]]
NOT_THIS_LOG = "the receipt is not valid|the log can't be followed"
"""Whether what is shown is said to be under what was read, or is given to be read."""


@pytest.mark.parametrize("proof", ["the fork's", "the log's", "none", "noise"])
@pytest.mark.parametrize("longer", [-1, 0, 1, 2], ids=["shorter", "as long", "longer", "longest"])
def test_a_fork(people: People, fork: Ledger, longer: int, proof: str) -> None:
    """Whatever its length and its proof: the keeper follows one branch of the log only."""
    keeper = keeper_of(people.fixture.ledger)
    for _ in range(2):
        entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
    ask(people).put(keeper)
    size = people.fixture.size()
    events = [people.grant() for _ in range(size + longer - 1 - fork.head().size)]
    fork.append([signed(fork, event, people.pat.actor.key) for event in events])
    asked = ask(people, fork)
    assert fork.head().size == size + longer
    proofs: dict[str, Prove] = {
        "the fork's": asked.shown.prove,
        "the log's": people.fixture.ledger.prove,
        "none": lambda old, new: [],
        "noise": lambda old, new: [os.urandom(32)] * 4,
    }
    forked = replace(asked, shown=replace(asked.shown, prove=proofs[proof]))
    assert_refused(keeper, forked, NOT_THIS_LOG)
    assert len(ask(people).put(keeper)) == 32


def test_a_fork_shown_to_another_process(people: People, fork: Ledger) -> None:
    """Keepers on one folder follow one branch: what one of them read, the others go on from."""
    keeper, other = keeper_of(people.fixture.ledger), opened(people.fixture.settings)
    read = ask(people, other)
    read.put(keeper_of(other))
    fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(5)])
    asked = ask(people, fork)
    assert_refused(keeper, asked, NOT_THIS_LOG)
    assert keeper.seen == keeper_of(other).seen
    assert len(ask(people).put(keeper)) == 32
    other.close()


def test_a_damaged_checkpoint_of_the_keeper(people: People) -> None:
    """It doesn't start on one; mended, all goes on."""
    file = people.fixture.settings.data / "keeper" / "checkpoint"
    ask(people).put(keeper_of(people.fixture.ledger))
    people.fixture.ledger.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:40])
    with pytest.raises(StartRefused, match="the keeper's last checkpoint is not valid"):
        opened(people.fixture.settings)
    file.write_bytes(whole)
    people.fixture.ledger = opened(people.fixture.settings)
    assert len(ask(people).put(keeper_of(people.fixture.ledger))) == 32


def test_a_keeper_that_can_not_write_where_it_stands(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is full: it reads nothing, and what it has not read gets no key, until the disk takes it."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    seen = keeper.seen

    def disk_full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(FollowedLog, "_write", disk_full)
        for _ in range(2):
            with pytest.raises(StorageError, match="disk is full"):
                asked.put(keeper)
            assert keeper.seen == seen
    assert len(asked.put(keeper)) == 32


def test_a_reading_of_the_log_that_was_lost(people: People, fork: Ledger) -> None:
    """It is read anew from entry 0 on, and must come by the last checkpoint that was read up to before."""
    ask(people).put(keeper_of(people.fixture.ledger))
    seen = keeper_of(people.fixture.ledger).seen
    people.fixture.ledger.close()
    for path in (people.fixture.settings.data / "keeper").glob("followed.db*"):
        path.unlink()
    people.fixture.ledger = opened(people.fixture.settings)
    keeper = keeper_of(people.fixture.ledger)
    assert keeper.seen == seen
    fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(5)])
    assert_refused(keeper, ask(people, fork), "another log than the one that was seen before")
    assert len(ask(people).put(keeper)) == 32


def test_a_reading_of_the_log_in_another_form(people: People) -> None:
    """What another edition of the program wrote is read anew; alarms stay."""
    ask(people).put(keeper_of(people.fixture.ledger))
    read = keeper_of(people.fixture.ledger).standing().read
    people.fixture.ledger.close()
    path = people.fixture.settings.data / "keeper" / FOLLOWED
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE unchecked RENAME TO unverified")
        connection.execute("INSERT INTO wrongs VALUES (3, 'chain', 'planted', 0)")
        connection.execute("CREATE TABLE alarms (seq INTEGER, what TEXT, taken INTEGER)")
        connection.execute("INSERT INTO alarms VALUES (4, 'without a code', 0)")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    people.fixture.ledger = opened(people.fixture.settings)
    keeper = keeper_of(people.fixture.ledger)
    assert keeper.standing().read == 0 < read
    assert keeper.alarms() == [
        Alarm(3, "chain", "planted", taken=False),
        Alarm(4, "rules", "without a code", taken=False),
    ]
    assert len(ask(people).put(keeper)) == 32


def test_an_upload_is_shown_once(people: People) -> None:
    """The keeper kept the hash of the upload's entry alone: it asks for the entry, and not again once it has held."""
    ledger, keeper = people.fixture.ledger, keeper_of(people.fixture.ledger)
    first = ask(people)
    feed(ledger, first.shown.size)
    answer = first.answer(keeper, first.shown.since(keeper.seen.size))
    assert isinstance(answer, Conflict)
    (seq,) = answer.unchecked
    assert ledger.entry(seq).event.type.name == "record.uploaded"
    assert len(first.put(keeper)) == 32
    again = ask(people)
    feed(ledger, again.shown.size)
    assert isinstance(again.answer(keeper, again.shown.since(keeper.seen.size)), bytes)


def test_an_entry_that_is_not_the_one_that_was_read(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that gives other bytes under an upload's number proves nothing to the keeper."""
    asked = ask(people)
    other = asked.ledger.entry(0)
    monkeypatch.setattr(
        Ledger, "entries", lambda self, seqs: dict.fromkeys(seqs, other), raising=True
    )
    assert_refused(keeper_of(asked.ledger), asked, "is not the one that the keeper read")
    monkeypatch.undo()
    assert len(ask(people).put(keeper_of(asked.ledger))) == 32


@pytest.mark.parametrize("orderly", [True, False], ids=["closed", "killed"])
def test_a_fork_after_a_restart(people: People, fork: Ledger, orderly: bool) -> None:
    """The last checkpoint seen is in a file of the keeper's own, also if nobody closed it."""
    ask(people).put(keeper_of(people.fixture.ledger))
    if orderly:
        people.fixture.reopen()
        again = people.fixture.ledger
    else:
        again = opened(people.fixture.settings)
    fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(5)])
    assert_refused(keeper_of(again), ask(people, fork), NOT_THIS_LOG)
    if not orderly:
        again.close()


def test_a_second_release_after_a_restart(people: People) -> None:
    """Once for each reading, whatever became of the process."""
    asked = ask(people)
    asked.put(keeper_of(people.fixture.ledger))
    people.fixture.reopen()
    assert_refused(keeper_of(people.fixture.ledger), asked, "has already received its key")


def test_a_backup_behind_the_keeper(people: People, fork: Ledger) -> None:
    """Database and checkpoint file rolled back together: the keeper has seen more."""
    ask(people).put(keeper_of(people.fixture.ledger))
    ask(people).put(keeper_of(people.fixture.ledger))
    keeper_of(people.fixture.ledger)._branch.write_now()
    asked = ask(people, fork)
    assert_refused(keeper_of(people.fixture.ledger), asked, "the receipt is not valid")


# From where its caller proves.


def test_evidence_of_what_was_not_read_yet_is_a_conflict(people: People) -> None:
    """It says how far the keeper has read and nothing else; nothing moves, and nothing is used up."""
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)
    asked, seen = ask(people), keeper.seen
    for since in (-1, 0, 1, seen.size - 1, seen.size + 1, asked.shown.size, 1_000_000):
        told = Conflict(seen.size, behind=True)
        assert asked.answer(keeper, asked.shown.since(since)) == told, since
        assert keeper.seen == seen
    assert len(asked.put(keeper)) == 32
    assert keeper.seen.size == asked.shown.size


def test_a_conflict_never_moves_the_keeper_back(people: People) -> None:
    """An older checkpoint, from a size that it never followed: neither taken nor gone back to."""
    keeper, older = keeper_of(people.fixture.ledger), ask(people)
    ask(people).put(keeper)
    seen = keeper.seen
    assert older.answer(keeper, older.shown.since(seen.size - 2)) == Conflict(seen.size)
    assert len(older.put(keeper)) == 32
    assert keeper.seen == seen


def test_whoever_proves_to_a_size_that_was_followed_is_not_asked_again(people: People) -> None:
    """However far others moved the keeper on meanwhile: what a followed checkpoint extends lies on the branch."""
    keeper, older, newer = keeper_of(people.fixture.ledger), ask(people), ask(people)
    newer.put(keeper)
    shown = older.shown.since(newer.shown.size)
    for _ in range(3):
        ask(people).put(keeper)
    seen = keeper.seen
    key = older.answer(keeper, shown)
    assert isinstance(key, bytes) and len(key) == 32
    assert keeper.seen == seen


def test_what_was_followed_needs_no_proof(people: People) -> None:
    """Of two readings under one checkpoint the later one proves nothing again, wherever the keeper is by then."""
    keeper, older = keeper_of(people.fixture.ledger), ask(people)
    older.put(keeper)
    ask(people).put(keeper)

    def prove(old: int, new: int) -> Sequence[bytes]:
        raise AssertionError("a proof was asked for")

    asked = title_of(people, replace(older.shown, prove=prove))
    assert asked.put(keeper) == ["Blood count"]


def test_a_fork_from_a_size_that_was_followed(people: People, fork: Ledger) -> None:
    """It extends what the keeper followed once, and not what it followed last."""
    keeper, trunk = keeper_of(people.fixture.ledger), of_entries(people.fixture.ledger, 0)
    feed(people.fixture.ledger, trunk.size)
    assert keeper.seen.size == trunk.size == fork.head().size
    ask(people).put(keeper)
    fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(5)])
    asked, seen = ask(people, fork), keeper.seen
    assert isinstance(asked.answer(keeper, asked.shown.since(trunk.size)), Conflict)
    assert_refused(keeper, asked, NOT_THIS_LOG)
    assert keeper.seen == seen


def test_a_fork_opens_no_name(people: People, fork: Ledger) -> None:
    """What is shown to anybody signed in is shown of the branch that the keeper follows."""
    keeper, account = keeper_of(people.fixture.ledger), people.doctor.account
    key = object_key(people.fixture.ledger.keys, account, account)

    def name(ledger: Ledger) -> str | None:
        (role,) = (row for row in ledger.rows(Member, "account", account) if row.hospital)
        row = ledger.row(Account, account)
        assert row is not None
        shown = of_entries(ledger, row.seq, role.seq)
        return ask_keeper(
            asking(ledger, keeper), shown, lambda found: keeper.staff_name(found, key)
        )

    ask(people).put(keeper)
    fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(5)])
    with pytest.raises(KeeperRefused, match=NOT_THIS_LOG):
        name(fork)
    assert name(people.fixture.ledger) == "Dr. Ö"


def test_a_name_is_shown_under_one_checkpoint(people: People) -> None:
    """What two checkpoints hold, each by itself, says nothing of one log."""
    ledger, account = people.fixture.ledger, people.doctor.account
    keeper, key = keeper_of(ledger), object_key(ledger.keys, account, account)
    (role,) = (row for row in ledger.rows(Member, "account", account) if row.hospital)
    row = ledger.row(Account, account)
    assert row is not None
    older = of_entries(ledger, row.seq, role.seq)
    people.fixture.doctor()
    newer = of_entries(ledger, row.seq, role.seq)
    mixed = replace(newer, receipts=(newer.receipts[0], older.receipts[1]))
    with pytest.raises(KeeperRefused, match="under different checkpoints"):
        ask_keeper(asking(ledger, keeper), mixed, lambda found: keeper.staff_name(found, key))


@pytest.mark.parametrize("told", [0, 1, 1_000_000])
@pytest.mark.parametrize("far", [False, True], ids=["beside the data", "over HTTP"])
def test_a_reader_hears_of_no_conflict(people: People, told: int, far: bool) -> None:
    """Whatever the program believes of the keeper, the content comes, and the next time it knows."""
    ledger = people.fixture.ledger
    ask(people).put(keeper_of(ledger))
    with in_process(ledger) as web, closing(HttpClient(web.url)) as client:
        ledger.keeper_size = told
        where = client if far else LocalClient(ledger)
        shown = readings.read(where, people.doctor, people.record, "TREAT")[1]
        assert b"".join(shown.content) == CONTENT
    assert shown.texts == {"title": "Blood count"}
    assert ledger.keeper_size == keeper_of(ledger).seen.size == shown.entry.link.seq + 1


READINGS = 25


def test_two_workers_share_one_keeper(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each moves it on under the other's hands, and no reader notices."""
    first, second = people.fixture.ledger, opened(people.fixture.settings)
    own, second.keeper = second.keeper, first.keeper
    release, conflicts = keeper_of(first).release, list[Conflict]()

    def counted(*asked: Any) -> bytes | Conflict:
        answer = release(*asked)
        if isinstance(answer, Conflict):
            conflicts.append(answer)
        return answer

    monkeypatch.setattr(keeper_of(first), "release", counted)

    def read(ledger: Ledger) -> list[bytes]:
        client = LocalClient(ledger)
        found = [
            readings.read(client, people.doctor, people.record, "TREAT") for _ in range(READINGS)
        ]
        return [b"".join(shown.content) for _, shown in found]

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(read, (first, second, first, second)))
    assert given == [[CONTENT] * READINGS] * 4
    assert conflicts, "none moved the keeper on under another's hands"
    assert keeper_of(first).seen.size == people.fixture.size()
    second.keeper = own
    second.close()


def test_a_second_release_by_another_process(people: People) -> None:
    """Once for each reading, whichever of the keepers on one folder is asked."""
    asked, other = ask(people), opened(people.fixture.settings)
    asked.put(keeper_of(people.fixture.ledger))
    assert_refused(keeper_of(other), asked, "has already received its key")
    assert len(ask(people, other).put(keeper_of(other))) == 32
    other.close()


def test_a_keeper_restarted_behind_its_caller(people: People) -> None:
    """It lost what it had read last: the caller gives it again."""
    ledger = people.fixture.ledger
    asked = ask(people)
    feed(ledger, asked.shown.size)
    keeper_of(ledger)._followed.forget()
    assert ledger.keeper_size > keeper_of(ledger)._followed.end().size == 0
    assert len(ask(people).put(keeper_of(ledger))) == 32


def test_a_keeper_that_stands_elsewhere_each_time(people: People) -> None:
    """The caller gives up after a number of tries that is written down."""
    asked, sizes = ask(people), list[int]()

    def moved(shown: Evidence) -> Conflict:
        sizes.append(shown.since)
        return Conflict(len(sizes))

    with pytest.raises(KeeperRefused, match=f"each of the {PROVING_TRIES} times"):
        ask_keeper(asked.ledger, asked.shown, moved)
    assert sizes[1:] == list(range(1, PROVING_TRIES))


# Sealed fields.


@dataclass(frozen=True)
class Fields:
    """A request for sealed fields."""

    ledger: Ledger
    shown: Proofs
    key: Wrapped
    fields: tuple[SealedField, ...]

    def put(self, keeper: KeyKeeper) -> list[str | None]:
        """Ask the keeper."""
        sealed = [SealedObject(self.key, self.fields)]
        return ask_keeper(self.ledger, self.shown, lambda shown: keeper.open_fields(shown, sealed))[
            0
        ]


def title_of(people: People, shown: Proofs, record: str = "") -> Fields:
    """The request for a record's title."""
    ledger = people.fixture.ledger
    row = opening.find_record(ledger, record or people.record)
    event = ledger.entry(row.seq).event
    field = SealedField(event.stream, event.id, "title", event.body["title"])
    return Fields(ledger, shown, object_key(ledger.keys, row.patient, row.record), (field,))


def test_fields_open_for_who_reads(people: People) -> None:
    """The title, for a reading of the record and for the patient's list of the chart."""
    asked = title_of(people, ask(people).shown)
    assert asked.put(keeper_of(people.fixture.ledger)) == ["Blood count"]
    shown = _by_pat(_list)(people).shown
    assert title_of(people, shown).put(keeper_of(people.fixture.ledger)) == ["Blood count"]


def auditor(people: People) -> Actor:
    """Somebody of no hospital, appointed auditor for a day."""
    who = History(people.fixture, people.pat).account(people.fixture.operator)
    now = people.fixture.ledger.clock()
    body = {
        "account": who.account, "end": format_time(now + DAY_MS),
        "start": format_time(now - DAY_MS),
    }  # fmt: skip
    operator = people.fixture.operator
    append(
        people.fixture.ledger, operator, [operator.event("auditor.appointed", "ledger", body, now)]
    )
    return who.in_role("auditor")


def _auditors_history(people: People) -> Fields:
    who, now = auditor(people), people.fixture.ledger.clock()
    event = who.event("history.opened", people.pat.stream, {"purpose": "HLEGAL"}, now)
    entry = entry_of(people.fixture.answer(event, who.key))
    return title_of(people, shown_to_keeper(people.fixture.ledger, entry))


def _another_records_title(people: People) -> Fields:
    other = people.fixture.record(people.pat, title="Psychiatry")
    return title_of(people, ask(people).shown, other.record)


def _another_patients_title(people: People) -> Fields:
    other = people.fixture.record(people.kim, title="Psychiatry")
    return title_of(people, _by_pat(_list)(people).shown, other.record)


def _another_patients_field(people: People) -> Fields:
    """The right key, and a field that says it stands in this patient's stream."""
    other = _another_patients_title(people)
    own = title_of(people, other.shown)
    return replace(own, fields=other.fields)


def _moved(people: People) -> Fields:
    asked = title_of(people, ask(people).shown)
    return replace(asked, fields=(replace(asked.fields[0], name="file_name"),))


def _altered_text(people: People) -> Fields:
    asked = title_of(people, ask(people).shown)
    text = asked.fields[0].text
    other = ("A" if text[0] != "A" else "B") + text[1:]
    return replace(asked, fields=(replace(asked.fields[0], text=other),))


def _no_reading(people: People) -> Fields:
    return title_of(people, _by_pat(People.grant)(people).shown)


def _refused_one(people: People) -> Fields:
    return title_of(people, _refused_reading(people).shown)


def _title_by_history(people: People) -> Fields:
    """A history shows what was written for the patient, of which titles aren't part."""
    return title_of(people, _by_pat(_history)(people).shown)


def _words_by_a_relatives_history(people: People) -> Fields:
    """What relatives see of a history is who did what."""
    client, pat = LocalClient(people.fixture.ledger), people.pat
    invited = relatives.invite(client, pat.actor, pat.patient, relatives.LOOKING)
    relatives.link(client, people.kim.actor, pat.patient, invited.invitation, invited.code)
    who = relatives.for_patient(client, people.kim.actor, pat.patient)
    event = who.event("history.opened", pat.stream, {"purpose": "FAMRQT"}, client.now())
    entry = entry_of(people.fixture.answer(event, who.key))
    return title_of(people, shown_to_keeper(people.fixture.ledger, entry))


def _title_of_what_is_held_back(people: People) -> Fields:
    """The patient may list the rest of the chart meanwhile."""
    client, pat, north = LocalClient(people.fixture.ledger), people.pat, people.fixture.north
    doctor = people.fixture.doctor(north)
    holds.hold_back(client, doctor, pat.patient, people.record, pat.actor.account, "therapeutic", "Told in person", 2)  # fmt: skip
    return title_of(people, _by_pat(_list)(people).shown)


CLOSED: dict[str, tuple[str, Callable[[People], Fields]]] = {
    "an auditor": ("auditors verify without reading", _auditors_history),
    "another record": ("shows rc_.*, not rc_", _another_records_title),
    "another patient": ("shows fields of patient/pt_.* only", _another_patients_title),
    "another patient's field": ("shows fields of patient/pt_.* only", _another_patients_field),
    "a title, by a history": ("shows what was written for the patient, not rc_", _title_by_history),
    "a relative's history": ("to the patient only", _words_by_a_relatives_history),
    "a title that is held back": ("is held back by entry", _title_of_what_is_held_back),
    "a grant": ("is access.granted, not", _no_reading),
    "a refused reading": ("is access.refused, not", _refused_one),
}
"""Who asks for sealed fields, or how, and why none is opened."""


@pytest.mark.parametrize("case", CLOSED)
def test_no_field_is_opened_for(people: People, case: str) -> None:
    """The reason is said."""
    said, make = CLOSED[case]
    with pytest.raises(KeeperRefused, match=said):
        make(people).put(keeper_of(people.fixture.ledger))


@pytest.mark.parametrize("made", [_moved, _altered_text], ids=["another name", "altered"])
def test_a_field_that_is_no_sealed_text_keeps_no_other_back(
    people: People, made: Callable[[People], Fields]
) -> None:
    """The one is None, and the other comes, of one call: who wrote it must not keep the rest from the reader."""
    good, bad = title_of(people, ask(people).shown), made(people)
    keeper = keeper_of(people.fixture.ledger)
    both = replace(good, fields=(*bad.fields, *good.fields))
    assert both.put(keeper) == [None, "Blood count"]


def test_a_key_that_is_not_the_objects_opens_nothing(people: People) -> None:
    """Keys are the keeper's own making: one that is wrong is no author's doing, and is refused."""
    asked = title_of(people, ask(people).shown)
    wrong = replace(asked, key=replace(asked.key, wrapped=bytes(60)))
    with pytest.raises(KeeperRefused, match=r"the key of rc_.* can't be opened"):
        wrong.put(keeper_of(people.fixture.ledger))


def test_an_auditor_gets_no_content(people: People) -> None:
    """The rules deny it before the keeper is asked."""
    who = auditor(people)
    answer = denied(people.fixture.answer(people.reading(who), who.key))
    assert answer.decision["rule"] == "S1"


def test_sealing_gives_nothing_away(people: People) -> None:
    """What comes back is another ciphertext each time, and never the text or the key."""
    keeper = keeper_of(people.fixture.ledger)
    key = object_key(people.fixture.ledger.keys, people.pat.patient, people.record)
    sealed = [keeper.seal(key, people.pat.stream, "ev_1", {"title": "Secret"}) for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert "Secret" not in str(canonical.write(sealed[0]))
