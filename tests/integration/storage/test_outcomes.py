"""Faults around a batch, broken both ways: not stored, and stored but reported failed."""

import itertools
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event

import durable.trusted
import storage.log
from api.app.settings import Settings
from ledger.sequencer import Appended, Batch, Outcome, Proposal
from storage.clock import CLOCK_BEHIND_MS, CLOCK_JUMP_MS, wall_clock
from storage.errors import Bug, OutcomeUnknown, Unavailable
from storage.ledger import Ledger
from storage.log import PendingAppend
from storage.sql import schema
from storage.sql.database import Database
from tests.support.ledger_fixture import LedgerFixture, entry_of, signed
from tests.support.people import People
from tests.support.proxy import Proxy

PATIENCE_SECONDS = 10.0
SLACK_MS = 500
"""What a step of a test may take without changing what it shows."""
BROKEN = ("entries", "event_ids", "streams", "tiles", "head", "records", "grants")
"""Tables whose writing fails in the middle of a batch."""
BOOM = """
CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'boom'; END $$;
CREATE TRIGGER boom_insert BEFORE INSERT OR UPDATE ON "{table}" FOR EACH ROW EXECUTE FUNCTION boom()
"""


class Clock:
    """A clock that a test can set wrong."""

    def __init__(self) -> None:
        """Right at first."""
        self.off = 0

    def __call__(self) -> int:
        """Unix ms."""
        return wall_clock() + self.off


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    """People and a record."""
    return People.of(fixture)


def batch(people: People) -> list[Proposal]:
    """A registration, an upload, a grant and a reading: every table is written."""
    fixture, system = people.fixture, people.fixture.north.system.key
    events = ((people.registration(), system), (people.upload(), system))
    granted = (people.grant(), people.pat.actor.key)
    return [
        signed(fixture.ledger, *pair)
        for pair in (*events, granted, (people.reading(), people.doctor.key))
    ]


def rows_in(ledger: Ledger) -> dict[str, int]:
    """How many rows each table has."""
    with ledger.database.read() as connection:
        return {
            table.name: int(
                connection.exec_driver_sql(f'SELECT count(*) FROM "{table.name}"').scalar() or 0
            )
            for table in schema.metadata.sorted_tables
        }


def assert_whole(people: People, proposals: list[Proposal], before: int) -> None:
    """Every proposal is one entry, whatever is sent again; nothing else was added."""
    ledger = people.fixture.ledger
    first = [entry_of(outcome) for outcome in ledger.append(proposals)]
    assert [e.event.raw for e in first] == [p.event.raw for p in proposals]
    assert [e.link.seq for e in first] == list(range(before, before + len(proposals)))
    assert ledger.append(proposals) == [Appended(entry, fresh=False) for entry in first]
    assert people.fixture.size() == before + len(proposals)


def promptly(ledger: Ledger, proposals: list[Proposal]) -> list[Outcome]:
    """Append from another thread, so that a log that never answers fails the test instead of hanging it."""
    answer: queue.Queue[list[Outcome] | Exception] = queue.Queue()

    def append() -> None:
        try:
            answer.put(ledger.append(proposals))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=append, daemon=True).start()
    try:
        given = answer.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        pytest.fail(f"the log has not answered within {PATIENCE_SECONDS} s")
    if isinstance(given, Exception):
        raise given
    return given


# An error inside the batch.


@contextmanager
def broken(ledger: Ledger, table: str) -> Iterator[None]:
    """Every writing of a table fails."""
    if ledger.database.sqlite:
        make = f"CREATE TRIGGER boom_insert BEFORE INSERT ON \"{table}\" BEGIN SELECT RAISE(ABORT, 'boom'); END"
        drop = "DROP TRIGGER boom_insert"
    else:
        make, drop = BOOM.format(table=table), "DROP FUNCTION boom CASCADE"
    with ledger.database.write() as connection:
        connection.exec_driver_sql(make)
    yield
    with ledger.database.write() as connection:
        connection.exec_driver_sql(drop)


@pytest.mark.parametrize("table", BROKEN)
def test_an_error_inside_a_batch_leaves_nothing(people: People, table: str) -> None:
    """All callers of the batch are told that nothing was appended, and so it is; the next batch works."""
    proposals, ledger = batch(people), people.fixture.ledger
    head, rows = ledger.head(), rows_in(ledger)
    with broken(ledger, table):
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"nothing was appended.*boom") as caught:
                ledger.append(proposals)
            assert caught.value.code == "database"
        assert (ledger.head(), rows_in(ledger)) == (head, rows)
    assert_whole(people, proposals, head.size)


def test_an_error_while_deciding_leaves_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a rule fails the batch, not the log; it is called a bug, not the database's."""
    proposals, ledger = batch(people), people.fixture.ledger
    head = ledger.head()
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "admit", _divide_by_zero)
        with pytest.raises(Bug, match=r"nothing was appended.*ZeroDivisionError") as caught:
            ledger.append(proposals)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert ledger.head() == head
    assert_whole(people, proposals, head.size)


def test_a_call_that_meets_a_bug_fails_alone(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its batch are appended, once, and answered."""
    ledger, before = people.fixture.ledger, people.fixture.size()
    calls = [
        [signed(ledger, people.grant(), people.pat.actor.key) for _ in range(2)] for _ in range(4)
    ]
    poison, admit, run = calls[2][1], Batch.admit, ledger.log._run
    sizes, queued = list[int](), threading.Event()

    def admitting(batch: Batch, proposal: Proposal) -> Outcome:
        if proposal is poison:
            raise ZeroDivisionError
        return admit(batch, proposal)

    def running(pending: list[PendingAppend]) -> None:
        queued.wait(PATIENCE_SECONDS)
        sizes.append(len(pending))
        run(pending)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "admit", admitting)
        patch.setattr(ledger.log, "_run", running)
        futures = [ledger.submit(call) for call in [[], *calls]]
        queued.set()
        wait(futures, PATIENCE_SECONDS)
    errors = [type(future.exception()) for future in futures[1:]]
    assert errors == [type(None), type(None), Bug, type(None)]
    assert len(calls) in sizes or sizes[0] > len(calls), "they stood in one batch"
    assert people.fixture.size() == before + 6
    good = [call for call in calls if poison not in call]
    again = [entry_of(outcome) for call in good for outcome in ledger.append(call)]
    assert [entry.link.seq for entry in again] == list(range(before, before + 6))
    assert_whole(people, calls[2], before + 6)


def test_a_bug_after_the_commit_is_no_refusal(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands is never called not appended, and is not appended again."""
    proposals, before = batch(people), people.fixture.size()
    with monkeypatch.context() as patch:
        patch.setattr(storage.log, "edge_nodes", _divide_by_zero)
        with pytest.raises(OutcomeUnknown):
            promptly(people.fixture.ledger, proposals)
    assert_whole(people, proposals, before)


def test_a_caller_who_goes_away_takes_nobody_along(people: People) -> None:
    """A cancelled call is appended all the same, and the log lives on."""
    proposals, before = batch(people), people.fixture.size()
    future = people.fixture.ledger.submit(proposals)
    assert not future.cancel()
    wait([future], PATIENCE_SECONDS)
    assert_whole(people, proposals, before)


def _divide_by_zero(*_: Any) -> None:
    raise ZeroDivisionError


# A commit whose outcome is unknown.


@contextmanager
def commit_fails(ledger: Ledger, happened: bool) -> Iterator[list[bool]]:
    """The next commit is reported failed, after it happened or instead of it."""
    done: list[bool] = []

    def before_commit(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if not done:
            done.append(happened)
            if happened:
                driver.commit()
            raise OSError("the answer was lost")

    engine = ledger.database._writer
    event.listen(engine, "commit", before_commit)
    yield done
    event.remove(engine, "commit", before_commit)


@pytest.mark.parametrize("happened", [True, False], ids=["happened", "did not happen"])
def test_a_commit_without_an_answer(people: People, happened: bool) -> None:
    """The callers are told that it is unknown; the same ids again give exactly one entry each."""
    proposals, before = batch(people), people.fixture.size()
    with commit_fails(people.fixture.ledger, happened) as done:
        with pytest.raises(OutcomeUnknown, match="send the same events again, with the same ids"):
            people.fixture.ledger.append(proposals)
        assert done == [happened]
    assert people.fixture.size() == before + len(proposals) * happened
    assert_whole(people, proposals, before)


@pytest.mark.parametrize("happened", [True, False], ids=["happened", "did not happen"])
def test_other_events_after_a_commit_without_an_answer(people: People, happened: bool) -> None:
    """The next batch goes on from what the database says, not from what the process believed."""
    proposals, others, before = batch(people), batch(people), people.fixture.size()
    with (
        commit_fails(people.fixture.ledger, happened),
        pytest.raises(OutcomeUnknown),
    ):
        people.fixture.ledger.append(proposals)
    start = before + len(proposals) * happened
    outcomes = people.fixture.ledger.append(others)
    assert [entry_of(o).link.seq for o in outcomes] == list(range(start, start + len(others)))
    again = people.fixture.ledger.append(proposals)
    assert [isinstance(o, Appended) and o.fresh for o in again] == [not happened] * len(again)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_wire_breaks_at_the_commit(settings: Settings, when: str) -> None:
    """A real connection, cut before the server hears of the commit, or after it was done."""
    proxy = Proxy(settings.database_url)
    fixture = LedgerFixture.found(settings.model_copy(update={"database_url": proxy.url()}))
    people = People.of(fixture)
    proposals, before = batch(people), fixture.size()
    proxy.cut(when)
    with pytest.raises(OutcomeUnknown):
        fixture.ledger.append(proposals)
    assert proxy.commits == 1
    assert _eventually(lambda: _size_of(settings) == before + len(proposals) * (when == "after"))
    assert_whole(people, proposals, before)
    fixture.verify()
    fixture.close()
    proxy.close()


def _size_of(settings: Settings) -> int:
    """The size in the head, by a connection that doesn't go through the proxy."""
    with psycopg.connect(settings.database_url.replace("+psycopg", "", 1)) as connection:
        row = connection.execute("SELECT size FROM head").fetchone()
    assert row is not None
    return int(row[0])


def _eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_server_ends_idle_connections(people: People) -> None:
    """Before a batch, a dead connection is noticed and replaced: nobody is troubled."""
    ledger, proposals, before = people.fixture.ledger, batch(people), people.fixture.size()
    _terminate(people.fixture.settings)
    outcomes = ledger.append(proposals)
    assert all(isinstance(outcome, Appended) and outcome.fresh for outcome in outcomes)
    assert_whole(people, proposals, before)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_server_ends_the_connection_at_the_commit(people: People) -> None:
    """The outcome is unknown, in truth nothing was appended; then it goes on."""
    ledger, proposals, before = people.fixture.ledger, batch(people), people.fixture.size()
    engine = ledger.database._writer

    def end(_: Connection) -> None:
        event.remove(engine, "commit", end)
        _terminate(people.fixture.settings)

    event.listen(engine, "commit", end)
    with pytest.raises(OutcomeUnknown):
        ledger.append(proposals)
    assert _size_of(people.fixture.settings) == before
    assert_whole(people, proposals, before)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("said", "expected"), [("", 30_000), ("?tcp_user_timeout=5000", 5_000)])
def test_a_server_out_of_reach_is_not_waited_for(
    settings: Settings, said: str, expected: int
) -> None:
    """The kernel gives the connection up when nothing is confirmed for so long (ms)."""
    database = Database(settings.database_url + said, settings.data / "lock")
    with database.read() as connection:
        fd = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(fd)) as wire:
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == expected
    database.close()


def _terminate(settings: Settings) -> None:
    """End every other connection to the database."""
    with psycopg.connect(settings.database_url.replace("+psycopg", "", 1)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_call_of_several_batches_that_fails_half_way(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands is never called not appended; sending all of it again completes it."""
    ledger, proposals, before = people.fixture.ledger, batch(people), people.fixture.size()
    monkeypatch.setattr("storage.log.BATCH_EVENTS", 1)
    run, runs = ledger.log._run, []

    def second_fails(pending: list[Any]) -> None:
        runs.append(pending)
        if len(runs) == 2:
            raise Unavailable("database", "nothing was appended")
        run(pending)

    monkeypatch.setattr(ledger.log, "_run", second_fails)
    with pytest.raises(OutcomeUnknown, match="only the first 1 were appended"):
        ledger.append(proposals)
    assert_whole(people, proposals, before)


# The checkpoint outside the database.


def test_an_anchor_that_cannot_be_written(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed is never called not appended, and the log lives on when the disk is back."""
    proposals, before = batch(people), people.fixture.size()
    with monkeypatch.context() as patch:
        patch.setattr(durable.trusted, "replace_file", _disk_full)
        time.sleep(storage.log.PUBLISH_MS / 1000)
        with pytest.raises(OutcomeUnknown):
            promptly(people.fixture.ledger, proposals)
        assert people.fixture.size() == before + len(proposals)
        time.sleep(1.5 * storage.log.PUBLISH_MS / 1000)  # the idle thread tries, and lives on
        with pytest.raises(OutcomeUnknown):
            promptly(people.fixture.ledger, proposals)
    promptly(people.fixture.ledger, proposals)
    assert_whole(people, proposals, before)


def _disk_full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


# The clock.


@pytest.mark.parametrize("off", [CLOCK_JUMP_MS + SLACK_MS, -CLOCK_JUMP_MS - SLACK_MS])
def test_a_clock_that_jumps(settings: Settings, off: int) -> None:
    """Nothing is appended while it is wrong; a small step is taken."""
    clock = Clock()
    fixture = LedgerFixture.found(settings, clock)
    people = People.of(fixture)
    proposals = [signed(fixture.ledger, people.grant(), people.pat.actor.key) for _ in range(3)]
    before = fixture.size()
    clock.off = off
    with pytest.raises(Unavailable, match=r"the clock jumped (forward|back) by") as caught:
        fixture.ledger.append(proposals)
    assert (caught.value.code, fixture.size()) == ("clock", before)
    clock.off = off // abs(off) * (CLOCK_JUMP_MS - SLACK_MS)
    assert_whole(people, proposals, before)
    fixture.verify()
    fixture.close()


def test_a_clock_behind_the_log(people: People) -> None:
    """More than five seconds behind the last entry: nothing; entries' times never go back."""
    fixture, proposals = people.fixture, batch(people)
    entry_of(fixture.answer(people.grant(), people.pat.actor.key))
    before, clock = fixture.size(), Clock()
    clock.off = -CLOCK_BEHIND_MS - SLACK_MS - 5_000
    fixture.reopen(clock)
    with pytest.raises(
        Unavailable, match=r"behind the log's last entry|away from the database's"
    ) as caught:
        fixture.ledger.append(proposals)
    assert (caught.value.code, fixture.size()) == ("clock", before)
    clock.off = -CLOCK_BEHIND_MS + 4 * SLACK_MS
    fixture.reopen(clock)
    last = fixture.ledger.head().time
    assert_whole(people, proposals, before)
    assert fixture.ledger.entry(before).time >= last


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("way", [1, -1])
def test_a_clock_away_from_the_databases(people: People, way: int) -> None:
    """Ahead of it or behind, by more than five seconds: nothing is appended."""
    clock = Clock()
    clock.off = way * (CLOCK_BEHIND_MS + SLACK_MS)
    proposals, before = batch(people), people.fixture.size()
    people.fixture.reopen(clock)
    with pytest.raises(Unavailable, match="away from the database's") as caught:
        people.fixture.ledger.append(proposals)
    assert (caught.value.code, people.fixture.size()) == ("clock", before)
    people.fixture.reopen()
    assert_whole(people, proposals, before)


# The queue.


def test_a_full_queue(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when it is full is told at once, is not appended, and may come again."""
    ledger, before = people.fixture.ledger, people.fixture.size()
    monkeypatch.setattr(storage.log, "QUEUE_EVENTS", 6)
    first, second = batch(people), batch(people)
    waiting = threading.Thread(target=ledger.append, args=(first,))
    with ledger.database.write() as connection:
        ledger.store.head(connection, lock=True)
        waiting.start()
        assert _eventually(lambda: ledger.log._waiting == len(first))
        with pytest.raises(Unavailable, match="4 events are waiting; try again") as caught:
            promptly(ledger, second)
        assert caught.value.code == "full"
    waiting.join(10)
    assert people.fixture.size() == before + len(first)
    assert_whole(people, second, before + len(first))


def test_closing_finishes_what_was_accepted(people: People) -> None:
    """What waits is appended, what comes later is told that the log is stopped."""
    fixture, ledger, proposals = people.fixture, people.fixture.ledger, batch(people)
    before = fixture.size()
    outcomes: list[Any] = []
    waiting = threading.Thread(target=lambda: outcomes.extend(ledger.append(proposals)))
    closing = threading.Thread(target=ledger.log.close)
    with ledger.database.write() as connection:
        ledger.store.head(connection, lock=True)
        waiting.start()
        assert _eventually(lambda: ledger.log._waiting == len(proposals))
        closing.start()
        assert _eventually(lambda: ledger.log._stopping)
        with pytest.raises(Unavailable, match="shutting down; nothing was appended") as caught:
            ledger.append(batch_of_nothing())
        assert caught.value.code == "stopped"
    waiting.join(10)
    closing.join(10)
    assert [entry_of(o).link.seq for o in outcomes] == list(range(before, before + len(proposals)))
    fixture.reopen()
    assert_whole(people, proposals, before)


def _three_at_once(people: People) -> None:
    """Three calls that are answered by one batch."""
    ledger, (first, *others) = people.fixture.ledger, [_one(people) for _ in range(4)]
    with ledger.database.write() as connection:
        ledger.store.head(connection, lock=True)
        calls = [ledger.submit([first])]
        assert _eventually(ledger.log._queue.empty)
        calls += [ledger.submit([one]) for one in others]
    sizes = [call.result(10).size for call in calls]
    assert sizes[1:] == [sizes[0] + 3] * 3


def _one(people: People) -> Proposal:
    return signed(people.fixture.ledger, people.upload(), people.fixture.north.system.key)


def test_callers_who_were_answered_together_are_waited_for(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch for them again; whoever comes alone after that is not kept."""
    ledger = people.fixture.ledger
    monkeypatch.setattr(storage.log, "GATHER_MS", 60_000)
    assert ledger.submit([_one(people)]).result(10)
    _three_at_once(people)
    early = [ledger.submit([_one(people)]) for _ in range(2)]
    assert not wait(early, 0.3).done
    sizes = {call.result(10).size for call in [*early, ledger.submit([_one(people)])]}
    assert len(sizes) == 1
    monkeypatch.setattr(storage.log, "GATHER_MS", 0)
    assert ledger.submit([_one(people)]).result(10)
    monkeypatch.setattr(storage.log, "GATHER_MS", 60_000)
    assert ledger.submit([_one(people)]).result(10)


def test_many_events_wait_for_nobody(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is enough for a batch of its own begins one at once."""
    ledger = people.fixture.ledger
    monkeypatch.setattr(storage.log, "GATHER_MS", 60_000)
    monkeypatch.setattr(storage.log, "GATHER_EVENTS", 2)
    _three_at_once(people)
    assert ledger.submit([_one(people), _one(people)]).result(10)


def test_closing_waits_for_nobody_either(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is kept for others to come is answered when the log closes."""
    monkeypatch.setattr(storage.log, "GATHER_MS", 60_000)
    _three_at_once(people)
    kept = people.fixture.ledger.submit([_one(people)])
    people.fixture.ledger.log.close()
    assert kept.result(0).size


def batch_of_nothing() -> list[Proposal]:
    """No proposals at all."""
    return []


def test_nothing_is_appended_for_nothing(people: People) -> None:
    """An empty call writes nothing."""
    head = people.fixture.ledger.head()
    assert people.fixture.ledger.append([]) == []
    assert people.fixture.ledger.head() == head


# Published checkpoints.


def test_published_checkpoints_are_a_second_apart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever publishes, batch or receipt: one a second at most, each once, none lost."""
    monkeypatch.setattr(Database, "clock", lambda database, connection: None)
    clock = Clock()
    fixture = LedgerFixture.found(settings, clock)
    people = People.of(fixture)
    published: list[int] = []
    for _ in range(6):
        clock.off += 600
        fixture.reopen(clock)
        entry_of(fixture.answer(people.grant(), people.pat.actor.key))
        clock.off += 450
        fixture.ledger.publish()
        published.append(fixture.ledger.head().published_time)
        entry_of(fixture.answer(people.grant(), people.pat.actor.key))
        published.append(fixture.ledger.head().published_time)
    assert published == sorted(published)
    apart = [b - a for a, b in itertools.pairwise(published) if a != b]
    assert min(apart) >= storage.log.PUBLISH_MS
    fixture.verify()
    fixture.close()
