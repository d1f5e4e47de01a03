"""The log: one thread a process drains a queue of proposals, batch by batch, in seven steps.

1 is done in the callers' threads (`signatures`); 2 to 7 are `Log._run`, top to bottom.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from psycopg import Error as DriverError
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode
from crypto.ids import timed_id
from crypto.notes import VerifierKey
from crypto.signing import SigningKey
from durable.errors import StorageError
from durable.trusted import TrustedCheckpoint
from ledger.chain import Chain
from ledger.directory import Key
from ledger.editions import edition_of
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event, sign_event
from ledger.logkeys import Generation, LogKeys
from ledger.merkle import (
    HASH_BYTES,
    Frontier,
    Node,
    consistency_proof,
    path_through,
    range_hash,
)
from ledger.receipt import Receipt
from ledger.sequencer import Appended, Batch, Denied, Outcome, Proposal, Rules
from ledger.signers import created_ids
from ledger.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    RightEdge,
    edge_nodes,
    grow,
    right_edge_of,
    tile_nodes,
)
from ledger.times import format_time
from ledger.types.declaration import EventType
from storage.clock import CLOCK_BEHIND_MS, ClockWatch
from storage.errors import Bug, OutcomeUnknown, Unavailable
from storage.keytable import Claims, KeyTable
from storage.logkeys import Signers, keys_below, keys_of
from storage.outbox import Outbox
from storage.rollback import RollbackGuard
from storage.sql import kept
from storage.sql.entries import EntryStore, Head, StreamEnd, empty_head
from storage.sql.rowcache import RowCache
from storage.sql.sessions import Sessions

BATCH_EVENTS = 1_000
"""Most events in a batch."""
BATCH_BYTES = 8 * 1024 * 1024
"""Most event bytes in a batch."""
GATHER_MS = 10
"""How long a batch waits for as many events as the last one had, where that one was of several calls."""
GATHER_EVENTS = 64
"""With so many events a batch waits for no more: its checkpoint and its sync are shared enough."""
QUEUE_EVENTS = 20_000
"""Most events waiting; more are answered `full`, so memory stays bounded."""
STREAMS_LIMIT = 400_000
"""Stream ends kept between batches."""
ERROR_CHARACTERS = 300
"""Most of another's error that is told."""
PUBLISH_MS = 1_000
"""Least time between two published checkpoints, and most between two anchors."""

HANDING_OVER = frozenset({"log_key.added", "log_key.retired"})
"""The types whose batch is published whatever its time: readers learn of the log's keys from its checkpoint."""

_LOG = logging.getLogger(__name__)
_OUTSIDE = (OSError, MemoryError, OperationalError, InterfaceError)
"""What the machine or the database lacks: every call of a batch meets it, so none is tried alone."""


def _outside(error: Exception) -> bool:
    """Whether every call of a batch would meet this error: none is tried alone."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, (StorageError, *_OUTSIDE))


def _failure(error: Exception) -> StorageError:
    """What the caller is told of an error that left nothing in the log; the cause is chained."""
    if isinstance(error, StorageError):
        return error
    database = isinstance(error, (*_OUTSIDE, SQLAlchemyError, DriverError))
    if database and not isinstance(error, DataError):  # a value it can't hold was never to reach it
        told: StorageError = Unavailable("database", f"nothing was appended: {_first_line(error)}")
    else:
        told = Bug(f"nothing was appended: internal error ({type(error).__name__})")
    told.__cause__ = error
    return told


def _first_line(error: Exception) -> str:
    """What an error says, without the statement that it was about."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:ERROR_CHARACTERS]


def publication_due(head: Head, now: int) -> bool:
    """Whether at `now` (Unix ms) the last publication is long enough ago; one far in the future is none."""
    return not -CLOCK_BEHIND_MS <= now - head.published_time < PUBLISH_MS


def no_node(level: int, index: int) -> bytes:
    """The tree of a call of which nothing stands."""
    raise LookupError(f"no node {index} on level {level}: nothing was appended")


@dataclass(frozen=True)
class CommittedBatch:
    """What came of one call: an outcome for each proposal, under one checkpoint."""

    outcomes: list[Outcome]
    size: int
    checkpoint: bytes
    """The signed note of `size` entries."""
    node: Node
    subtree: Node
    """Subtrees by their first leaf and the one after their last, kept for all calls of the batch."""

    def path(self, seq: int) -> list[bytes]:
        """The inclusion path of entry `seq` under the checkpoint."""
        return path_through(seq, self.size, self.subtree)

    def receipt(self, entry: Entry) -> Receipt:
        """The receipt of an entry under the checkpoint."""
        return Receipt(entry.raw, entry.link.seq, tuple(self.path(entry.link.seq)), self.checkpoint)

    def consistency(self, old: int) -> list[bytes]:
        """The proof that the checkpoint extends the one of size `old`."""
        return consistency_proof(old, self.size, self.node)


Beside = Callable[[Connection], bool]
"""Changes something outside the log in the transaction of an atomic call, in the log's thread: quick, and it calls no log.
False where it can't; then nothing of the call stands."""
UNDONE = "beside"
"""The code of the refusal where what was to be changed beside a call could not be."""


@dataclass(frozen=True)
class PendingAppend:
    """Proposals of one caller, and what comes of them."""

    proposals: Sequence[Proposal]
    atomic: bool = False
    """All of them become entries, or none."""
    beside: "Beside | None" = None
    """What is to stand with them, or they don't."""
    committed: "Future[CommittedBatch]" = field(default_factory=Future)


Decide = Callable[[Batch, Proposal], Outcome]
"""What a batch does with each proposal: `Batch.admit` or `Batch.refuse`."""


def _denied(outcome: Outcome) -> bool:
    """Whether the gate denied it, within the limits of refusals or above them."""
    too_many = isinstance(outcome, Refused) and outcome.code == "too_many_refusals"
    return too_many or isinstance(outcome, Denied)


def _without_entry(outcome: Outcome) -> Outcome:
    """The answer to an attempt that was denied only for what the same undone call held before it: no entry tells of it."""
    return replace(outcome, seq=None) if isinstance(outcome, Denied) else outcome


class _Undone(Exception):
    """Not all of an atomic call could be appended: the transaction is rolled back."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("rolled back")
        self.outcomes = outcomes


@dataclass
class _State:
    """What is kept between batches; it counts only if the head under the lock is the one it ended at."""

    head: Head
    frontier: Frontier
    edge: RightEdge
    streams: dict[str, StreamEnd] = field(default_factory=dict)
    rows: RowCache = field(default_factory=RowCache)


class Log:
    """The one order. `append` blocks until its events are durable, in the tree, under a checkpoint."""

    def __init__(
        self,
        store: EntryStore,
        keys: KeyTable,
        signers: Signers,
        log_keys: Sequence[VerifierKey],
        service: tuple[str, SigningKey] | None,
        rules: Rules,
        trusted: TrustedCheckpoint,
        watch: ClockWatch,
        restored: bool = False,
        outbox: Outbox | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """`log_keys`: by which checkpoints that others wrote are judged; `service`: account and key that sign refusals; None only while entry 0 is written.

        `restored`: the operator declares a loss, so what is lost isn't asked for. `outbox`: takes what entries tell people;
        None: nobody is told. `sessions`: those by password, of which some end with what is appended.
        """
        self._outbox, self._sessions = outbox, sessions
        self._store, self._keys, self._signers, self._service = store, keys, signers, service
        self._rules, self._trusted = rules, trusted
        self._watch, self._clock = watch, watch.wall
        self._guard = RollbackGuard(store, None if restored else trusted, log_keys)
        self._state: _State | None = None
        self._compared: tuple[Generation, ...] = ()
        """The generations of the log's keys for which view and entries were compared."""
        self._queue: queue.Queue[PendingAppend | None] = queue.Queue()
        self._waiting = 0
        self._gate = threading.Lock()
        self._enough = threading.Condition(self._gate)
        self._wanted = 0
        self._stopping = False
        self.pace: Callable[[int], object] = lambda size: None
        """Called with the log's size after each batch, before the next is taken; see `feeding`."""
        self.unforeseen = 0
        """Rows that a batch asked for and that were not loaded with it (see `RowCache`)."""
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events that were accepted and have no outcome yet."""
        return self._waiting

    def unavailable(self) -> str | None:
        """Why nothing may be appended now, for the clock's sake or the database's state; None if it may."""
        try:
            self._check_state()
        except Unavailable as error:
            return str(error)
        return None

    def _check_state(self) -> None:
        """Raises Unavailable if the clock can't be believed, or the database lacks what was acknowledged."""
        known = self._guard.acknowledged()
        with self._store.database.read() as connection:
            head = self._store.head(connection) or self._no_head()
            self._guard.check(connection, head, known)
            self._time(connection, head)

    def check_takes(self) -> None:
        """Raises Unavailable with the reason if an append would be refused now, whatever it holds."""
        if self._stopping:
            raise Unavailable("stopped", "the server is stopping")
        self._check_state()

    @property
    def service(self) -> str:
        """The service's account."""
        assert self._service is not None  # entry 0, which names it, stands
        return self._service[0]

    def by_service(
        self,
        kind: EventType,
        stream: str,
        body: dict[str, Any],
        expect: int | None = None,
        event_id: str | None = None,
    ) -> Proposal:
        """An event of the service's own, dated now and signed, to be appended; raises EventError.

        `expect`: how many entries its stream has then; `event_id`: where texts were sealed for it, else a fresh one.
        """
        assert self._service is not None  # entry 0, which names it, stands
        (account, key), now = self._service, self._clock()
        event = Event.of(
            {
                "actor": account,
                "as": {"role": "service"},
                "at": format_time(now),
                "body": body,
                "id": event_id or timed_id("ev", now, os.urandom(10)),
                "stream": stream,
                "type": kind.name,
                "v": kind.v,
            }
        )
        return Proposal(event, sign_event(key, self._rules.origin, event.raw), expect)

    def append(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """One outcome for each proposal, in order.

        Raises Unavailable (nothing was appended) or OutcomeUnknown (a retry with the same ids is safe).
        """
        outcomes: list[Outcome] = []
        for start in range(0, max(1, len(proposals)), BATCH_EVENTS):
            try:
                outcomes += self.submit(proposals[start : start + BATCH_EVENTS]).result().outcomes
            except StorageError as error:
                if not start:
                    raise
                # What came before stands: "nothing was appended" would not be true of the whole.
                raise OutcomeUnknown(
                    f"only the first {start} were appended ({error}); send all again, with the same ids"
                ) from error
        return outcomes

    def submit(
        self,
        proposals: Sequence[Proposal],
        atomic: bool = False,
        beside: Beside | None = None,
    ) -> "Future[CommittedBatch]":
        """Queue at most a batch's worth of proposals, which stay together; never blocks.

        `atomic`: all or nothing; what would have been appended then answers `atomic`. `beside`: is run in the transaction
        of an atomic call; if it gives False, nothing stands, and the answers are refusals UNDONE. Raises Unavailable; so
        may the future, or OutcomeUnknown.
        """
        assert atomic or beside is None
        if len(proposals) > BATCH_EVENTS:
            raise Refused(
                "too_large", f"got {len(proposals)} events, expected at most {BATCH_EVENTS}"
            )
        one = PendingAppend(proposals, atomic, beside)
        one.committed.set_running_or_notify_cancel()  # a caller who goes away takes nothing back
        with self._gate:
            if self._stopping:
                raise Unavailable("stopped", "the log is shutting down; nothing was appended")
            if self._waiting + len(proposals) > QUEUE_EVENTS:
                raise Unavailable(
                    "full", f"{self._waiting} events are waiting; try again in a second"
                )
            self._waiting += len(proposals)
            self._queue.put(one)
            if self._waiting >= self._wanted:
                self._enough.notify()
        return one.committed

    def close(self) -> None:
        """Finish what was accepted, stop the thread, write the trusted checkpoint.

        Raises OSError if the trusted checkpoint can't be written; what was acknowledged stands in the database.
        """
        with self._gate:
            self._stopping = True
            self._queue.put(None)
            self._enough.notify()
        self._thread.join()
        self._trusted.write_now()

    def _drain(self) -> None:
        last: PendingAppend | None = None
        while True:
            try:
                one = last or self._queue.get(timeout=PUBLISH_MS / 1000)
            except queue.Empty:
                with suppress(Exception):  # the next batch fails on it, aloud; the thread lives on
                    self._trusted.write_due(self._clock())
                continue
            last = None
            if one is None:
                break
            self._gather()
            batch, last = self._collect(one)
            events = sum(len(one.proposals) for one in batch)
            self._wanted = 0 if len(batch) == 1 else min(events, GATHER_EVENTS)
            self._answer(batch)
            if self._state is not None and not self._stopping:
                self.pace(self._state.head.size)
            if last is None and self._stopping and self._queue.empty():
                break

    def _gather(self) -> None:
        """Wait a moment, under load: callers who were answered together come again together.

        Begun with the first of them, a batch would go on being a small one, and most of the time go into
        checkpoints and syncs. A caller alone never waits (as PostgreSQL's `commit_siblings`).
        """
        with self._enough:
            self._enough.wait_for(
                lambda: self._waiting >= self._wanted or self._stopping,
                GATHER_MS / 1000,
            )

    def _collect(self, first: PendingAppend) -> tuple[list[PendingAppend], PendingAppend | None]:
        """Whatever queued up while the last commit ran, up to a batch's limits; and what is over."""
        batch, events = [first], len(first.proposals)
        if first.atomic:
            return batch, None
        size = sum(len(p.event.raw) for p in first.proposals)
        while True:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return batch, None
            if one is None:
                return batch, None
            events += len(one.proposals)
            size += sum(len(p.event.raw) for p in one.proposals)
            if events > BATCH_EVENTS or size > BATCH_BYTES or one.atomic:
                return batch, one
            batch.append(one)

    def _answer(self, pending: list[PendingAppend]) -> None:
        """Run one batch and resolve its callers, whatever happens."""
        try:
            self._try(pending)
        finally:
            with self._gate:
                self._waiting -= sum(len(one.proposals) for one in pending)

    def _try(self, pending: list[PendingAppend]) -> None:
        """Run a batch; what one call makes fail by itself fails for that call alone."""
        try:
            try:
                self._run(pending)
            except _Undone as undone:
                self._undo(pending[0], undone.outcomes)
        except Exception as error:  # a bug or a broken database: start from the database again
            self._state = None
            with suppress(
                Exception
            ):  # what was acknowledged is known outside before another server is met
                self._trusted.write_now()
            if len(pending) > 1 and not _outside(error):
                _LOG.warning(
                    "batch failed; its calls are tried one by one", extra={"calls": len(pending)}
                )
                for one in pending:
                    self._try([one])
                return
            for one in pending:
                if not one.committed.done():
                    one.committed.set_exception(_failure(error))

    def _undo(self, one: PendingAppend, outcomes: list[Outcome]) -> None:
        """Answer an atomic call of which something was refused: nothing of it stands but the refusals of what was denied.

        Who tries what they may not leaves an entry, whatever they send it with.
        """
        words = "not appended: another event of this all-or-nothing call was refused"
        answers: list[Outcome] = [
            Refused("atomic", words) if isinstance(o, Appended) and o.fresh else o for o in outcomes
        ]
        if denied := [index for index, outcome in enumerate(outcomes) if _denied(outcome)]:
            again = PendingAppend([one.proposals[index] for index in denied])
            self._run([again], Batch.refuse)
            for index, found in zip(denied, again.committed.result().outcomes, strict=True):
                answers[index] = found if _denied(found) else _without_entry(answers[index])
        one.committed.set_result(CommittedBatch(answers, 0, b"", no_node, no_node))

    def _run(self, pending: list[PendingAppend], decide: Decide | None = None) -> None:
        """Steps 2 to 7 of the append transaction."""
        proposals = [proposal for one in pending for proposal in one.proposals]
        began, committing = time.perf_counter(), False
        try:
            # 2. Lock the head: from here to the commit no other process appends.
            with self._store.database.write() as connection:
                head = self._locked_head(connection)
                self._guard.check(connection, head, self._guard.acknowledged())
                now = self._time(connection, head)
                state = self._state_at(connection, head)
                # 3. Load what the batch needs in a few statements.
                batch = self._prepare(connection, state, proposals, now)
                # 4. Decide and chain, in order; each on the facts of the ones before it.
                outcomes = [(decide or Batch.admit)(batch, proposal) for proposal in proposals]
                unforeseen = self._count_unforeseen(state.rows)
                if pending[0].atomic and not all(isinstance(o, Appended) for o in outcomes):
                    self._keep_loaded(state, batch)
                    raise _Undone(outcomes)
                beside = pending[0].beside
                if beside is not None and not beside(connection):
                    words = "not appended: what was to be changed with it was changed meanwhile"
                    self._keep_loaded(state, batch)
                    raise _Undone([Refused(UNDONE, words)] * len(outcomes))
                # 5. The new root, signed. 6. Everything that must be true at once is written.
                state = self._write(connection, state, batch)
                committing = True
            self._guard.saw(state.head)
            self._trusted.saw(state.head.size, state.head.checkpoint, self._clock())
            self._watch.saw(now)
        except Exception as error:
            if committing:
                # The commit, or its trusted checkpoint, failed: it may have happened, so nobody is told either way.
                raise OutcomeUnknown(
                    "the commit's outcome is unknown; send the same events again, with the same ids"
                ) from error
            raise
        self._state = state
        try:
            # 7. Durable, in the tree, under a signed checkpoint: tell the callers.
            self._tell(pending, outcomes, state)
        except Exception as error:
            raise OutcomeUnknown(
                "it was appended, and its proof could not be made; send the same events again"
            ) from error
        ms = round((time.perf_counter() - began) * 1000, 1)
        entries = len(batch.entries)
        told = {"calls": len(pending), "events": len(proposals), "entries": entries, "ms": ms}
        _LOG.info("batch", extra=told | {"unforeseen": unforeseen})

    def _keep_loaded(self, state: _State, batch: Batch) -> None:
        """Keep the state as of the head though the batch is undone: an undone call must not make the next one begin cold."""
        created = {id_ for e in batch.entries for id_ in created_ids(e.event, batch.look)}
        state.rows.undo(batch.changes, created)
        self._state = state

    def _tell(self, pending: list[PendingAppend], outcomes: list[Outcome], state: _State) -> None:
        """Resolve the callers of a batch that was committed."""
        node = edge_nodes(state.head.size, state.edge, self._store.full)
        subtree = cache(partial(range_hash, node=node))
        position = 0
        for one in pending:
            part = outcomes[position : position + len(one.proposals)]
            position += len(one.proposals)
            one.committed.set_result(
                CommittedBatch(part, state.head.size, state.head.checkpoint, node, subtree)
            )

    def _count_unforeseen(self, rows: RowCache) -> int:
        found, rows.unforeseen = rows.unforeseen, 0
        self.unforeseen += found
        return found

    def _time(self, connection: Connection, head: Head) -> int:
        """The clock, read under the lock, as waiting for it may have taken long; raises Unavailable."""
        return self._watch.time(head.size, head.time, self._store.database.clock(connection))

    def _locked_head(self, connection: Connection) -> Head:
        head = self._store.head(connection, lock=True)
        if head is not None and edition_of(head.registry) is None:
            raise Unavailable(
                "stopped",
                "a newer program has upgraded this log; nothing was appended. Use that program",
            )
        return head or self._no_head()

    def _no_head(self) -> Head:
        return empty_head(self._rules.origin, b"", b"")

    def _state_at(self, connection: Connection, head: Head) -> _State:
        """The state as of the head, kept from the last batch or loaded anew."""
        if self._state is not None and self._state.head == head:
            return self._state
        read = cache(lambda level, number: self._store.tile(connection, level, number))
        return _State(head, Frontier(head.size, tile_nodes(read)), right_edge_of(head.size, read))

    def _prepare(
        self, connection: Connection, state: _State, proposals: Sequence[Proposal], now: int
    ) -> Batch:
        store, events = self._store, [proposal.event for proposal in proposals]
        names = {event.stream for event in events}
        if len(state.streams) > STREAMS_LIMIT:
            state.streams.clear()
        state.streams.update(store.streams(connection, names - state.streams.keys()))
        known = store.known(connection, [event.id for event in events])
        state.rows.load(store.database, connection, proposals, state.head.time)
        claims = Claims(self._keys, connection, events, state.rows)
        head = state.head
        ends = {n: (e.length, e.tip) for n in names if (e := state.streams.get(n)) is not None}
        batch = Batch(
            rules=self._rules,
            chain=Chain(head.size, head.tip, head.time, ends),
            frontier=state.frontier.copy(),
            look=state.rows,
            now=now,
            service=self._service,
            new_event_id=lambda: timed_id("ev", now, os.urandom(10)),
            claim=lambda event: self._claim(claims, event),
            known=known.get,
        )
        return batch

    def _claim(self, claims: Claims, event: Event) -> None:
        """Raises Refused unless the keys that an event names are here: those of records, and the log's own."""
        claims.claim(event)
        if event.type.name == "log_key.added":
            keys = tuple(map(VerifierKey.parse, event.body["log_keys"]))
            if not self._signers.has(keys):
                raise Refused("key", "got keys of the log whose private keys are not here: run `heartwood log-key "
                              "rotate` at the server")  # fmt: skip

    def _write(self, connection: Connection, state: _State, batch: Batch) -> _State:
        store, head = self._store, state.head
        changes = [(key in batch.fresh, row) for key, row in batch.changes.items()]
        store.write_rows(connection, changes)
        if not batch.entries:
            return state
        ends, count = state.streams, head.streams
        new_streams = []
        for name in dict.fromkeys(entry.event.stream for entry in batch.entries):
            length, tip = batch.chain.streams[name]
            if name in ends:
                ends[name] = StreamEnd(ends[name].id, length, tip)
            else:
                ends[name] = StreamEnd(count, length, tip)
                new_streams.append((name, count))
                count += 1
        store.add_streams(connection, new_streams)
        store.add(connection, [(ends[e.event.stream].id, e) for e in batch.entries], batch.ids)
        if self._outbox is not None:
            self._outbox.tell(connection, batch.entries, batch.look, batch.now)
        if self._sessions is not None:
            self._sessions.end_with(connection, batch.entries)  # it asks which keys are kept
        revoked = [
            row.key for row in batch.changes.values() if isinstance(row, Key) and not row.active
        ]
        kept.destroy(store.database, connection, revoked)
        edge = self._write_tiles(connection, state.edge, batch)
        checkpoint = Checkpoint(self._rules.origin, batch.chain.size, batch.frontier.root())
        keys = self._counting(connection, batch)
        note = self._signers.sign(keys, checkpoint, batch.chain.time // 1000)
        new = head._replace(
            size=checkpoint.size, tip=batch.chain.tip, root=checkpoint.root, time=batch.chain.time,
            checkpoint=note, streams=count, registry=self._registry(head, batch),
        )  # fmt: skip
        if publication_due(head, new.time) or any(
            entry.event.type.name in HANDING_OVER for entry in batch.entries
        ):
            store.publish(connection, new.size, note)
            new = new._replace(published=new.size, published_time=new.time)
        store.write_head(connection, new)
        return _State(new, batch.frontier, edge, ends, state.rows)

    def _counting(self, connection: Connection, batch: Batch) -> LogKeys:
        """The generations of the log's keys with the batch, whose entries are written.

        By the view, which is compared with the entries once a process and whenever it changes: a damaged one must not say
        who signs.
        """
        keys = keys_of(batch.look)
        if keys.generations != self._compared:
            named = keys_below(self._store, connection, batch.chain.size)
            if named.generations != keys.generations:
                raise Unavailable(
                    "stopped",
                    "the view of the log's keys isn't what the entries name; nothing was appended: `heartwood rebuild --swap`",
                )
            self._compared = keys.generations
        return keys

    def _registry(self, head: Head, batch: Batch) -> bytes:
        """The hash of the registry named last, 32 bytes."""
        named = [
            e for e in batch.entries if e.event.type.name in ("ledger.created", "policy.changed")
        ]
        return b64decode(named[-1].event.body["registry"], 32) if named else head.registry

    def _write_tiles(self, connection: Connection, old: RightEdge, batch: Batch) -> RightEdge:
        """Write the tiles this batch touched; gives the unfinished ones."""
        start = batch.chain.size - len(batch.entries)
        full = TILE_WIDTH * HASH_BYTES
        tiles: dict[tuple[int, int], bytes] = {}
        added: dict[int, list[bytes]] = {}
        for level, node in batch.nodes:
            tile, height = divmod(level, TILE_HEIGHT)
            if height == 0:
                added.setdefault(tile, []).append(node)
        for level, nodes in added.items():
            number = (start >> (TILE_HEIGHT * level)) // TILE_WIDTH
            before = old[level][0] if level in old else []
            data = b"".join(before if len(before) < TILE_WIDTH else []) + b"".join(nodes)
            while data:
                tiles[level, number] = data[:full]
                data, number = data[full:], number + 1
        self._store.write_tiles(connection, tiles)
        return grow(old, batch.nodes)
