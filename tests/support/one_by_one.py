"""What must come of events one after the other: the log once more, in memory, with every row there is.

    play(fixture, random.Random(7), "cold")

Nothing is loaded beforehand and nothing is forgotten here, and every proposal is a batch of its own.
Given the time and the ids of refusals that the true log took, it comes to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Several
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Final

import pytest

from consent.gate import gate
from crypto.signing import SigningKey
from identity.actors import new_id
from keeper.roots import load_root
from ledger.chain import Chain
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event
from ledger.merkle import Frontier, leaf_hash
from ledger.rows import KEY_LENGTHS, Row, Rows, row_name
from ledger.sequencer import Appended, Batch, Denied, Outcome, Proposal, Rules
from ledger.signers import created_ids
from ledger.types import fold
from storage.ledger import Ledger
from storage.sql import rowcache
from storage.sql.rows import shape
from storage.sql.schema import TABLES
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, keys_of
from tests.support.sequences import Sequence
from tests.support.server import until

Staged = Mapping[str, tuple[str, str, str]]
"""Of each staged blob the author, the patient and the record."""


@dataclass
class OneByOne:
    """The log in memory."""

    origin: str
    service: tuple[str, SigningKey]
    staged: Staged
    rows: Rows = field(default_factory=Rows)
    chain: Chain = field(default_factory=Chain)
    frontier: Frontier = field(default_factory=Frontier)
    entries: list[Entry] = field(default_factory=list)
    known: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, fixture: LedgerFixture, staged: Staged) -> OneByOne:
        """As far as the fixture's log goes now."""
        ledger = fixture.ledger
        key = SigningKey(load_root(keys_of(fixture.settings) / "service.seed", None))
        account = ledger.entry(0).event.body["service"]["account"]
        made = cls(ledger.origin, (account, key), staged)
        for seq in range(fixture.size()):
            made.follow(ledger.entry(seq))
        return made

    def follow(self, entry: Entry) -> None:
        """Take an entry as it stands."""
        self.rows.ids.update(created_ids(entry.event, self.rows))
        for row in fold(entry, self.rows):
            self.rows.put(row)
        leaf = leaf_hash(entry.raw)
        self.chain.extend(entry.event.stream, entry.link, leaf, entry.time)
        self.frontier.append(leaf)
        self._took(entry)

    def answer(self, proposal: Proposal, now: int, new_event_id: Callable[[], str]) -> Outcome:
        """What must come of it at `now` (Unix ms); a refusal is written under `new_event_id`."""
        return self._decided(proposal, now, new_event_id, Batch.admit)

    def refuse(self, proposal: Proposal, now: int, new_event_id: Callable[[], str]) -> Outcome:
        """What must be left of it where the all-or-nothing batch that it was denied in is undone."""
        return self._decided(proposal, now, new_event_id, Batch.refuse)

    def _decided(
        self, proposal: Proposal, now: int, new_event_id: Callable[[], str],
        decide: Callable[[Batch, Proposal], Outcome],
    ) -> Outcome:  # fmt: skip
        batch = Batch(
            Rules(self.origin, gate), self.chain, self.frontier, self.rows, now,
            self.service, new_event_id, self._claim, self.known.get,
        )  # fmt: skip
        outcome = decide(batch, proposal)
        for entry in batch.entries:
            self._took(entry)
        return outcome

    def copy(self) -> OneByOne:
        """The same once more, for what may be undone."""
        rows = Rows()
        rows.ids = set(self.rows.ids)
        for kind in KEY_LENGTHS:
            kept: Mapping[tuple[str, ...], Row] = self.rows.all(kind)
            for row in kept.values():
                rows.put(row)
        chain = Chain(self.chain.size, self.chain.tip, self.chain.time, dict(self.chain.streams))
        return replace(
            self, rows=rows, chain=chain, frontier=deepcopy(self.frontier),
            entries=list(self.entries), known=dict(self.known),
        )  # fmt: skip

    def _took(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.known[entry.event.id] = entry
        if entry.event.type.name == "access.refused":
            self.known[entry.event.body["event"]["id"]] = entry

    def _claim(self, event: Event) -> None:
        """A new version's blob is one that its author staged for this record, and no earlier version's."""
        if event.type.name in ("record.uploaded", "record.amended"):
            body = event.body
            if self.staged.get(body["blob"]) != (event.actor, event.subject, body["record"]):
                raise Refused("no_key", f"{body['blob']} was not staged so")


FEW_ROWS: Final = 40
"""So many are there after a batch or two."""
Between = Callable[[LedgerFixture], object]
"""What happens before each batch."""


@contextmanager
def cold(fixture: LedgerFixture) -> Iterator[Between]:
    """Nothing is kept from batch to batch: the ledger is closed and opened again."""
    yield LedgerFixture.reopen


@contextmanager
def warm(fixture: LedgerFixture) -> Iterator[Between]:
    """Everything is kept."""
    yield LedgerFixture.size


@contextmanager
def forgetful(fixture: LedgerFixture) -> Iterator[Between]:
    """There is room for few rows, so they are forgotten again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowcache, "ROWS_LIMIT", FEW_ROWS)
        yield LedgerFixture.size


@contextmanager
def in_turn(fixture: LedgerFixture) -> Iterator[Between]:
    """Two ledgers on one database: what each has kept is old whenever its turn comes."""
    other = opened(fixture.settings)

    def swap(fixture: LedgerFixture) -> None:
        nonlocal other
        other, fixture.ledger = fixture.ledger, other

    try:
        yield swap
    finally:
        other.close()


KEEPING: Final = {make.__name__: make for make in (cold, warm, forgetful, in_turn)}
"""What the log keeps from batch to batch, in as many ways."""


EVENTS: Final = 250
"""Events of a sequence, at least."""
MOST: Final = 12
"""Proposals of a batch, at most."""
CALLERS: Final = (0, *12 * (1,), 2, 3, 4)
"""How many send a batch, as often as they stand here; none: it is all or nothing."""


def play(fixture: LedgerFixture, rng: Random, keeping: str, events: int = EVENTS) -> int:
    """Send a sequence to a fresh ledger in random batches, `keeping` what `KEEPING` says; gives their number.

    Fails at the first proposal that is answered otherwise than one by one, and if in the end the entries
    or the rows are others.
    """
    drawn = Sequence(rng, fixture, events)
    drawn.reserve()
    staged = {name: (by, patient, b.record) for name, (by, patient, b) in drawn.blobs.items()}
    kept, start = OneByOne.of(fixture, staged), 0
    with KEEPING[keeping](fixture) as between:
        while start < len(drawn.proposals):
            batch = drawn.proposals[start : start + rng.randint(1, MOST)]
            between(fixture)
            where = f"events {start} to {start + len(batch) - 1}"
            kept = compare(fixture, kept, batch, where, rng.choice(CALLERS))
            start += len(batch)
    same_log(fixture, kept)
    return len(drawn.proposals)


@contextmanager
def one_batch(ledger: Ledger) -> Iterator[None]:
    """Whatever is sent in here becomes one batch, in the order in which it is sent."""
    with ledger.database.write() as connection:
        ledger.store.head(connection, lock=True)
        # The log goes for the lock with a batch of nothing, so that what comes now queues up behind it.
        ahead = ledger.submit([])
        until(ledger.log._queue.empty, "the log begins a batch")
        yield
    ahead.result()


def sent(ledger: Ledger, batch: Several[Proposal], callers: int) -> list[Outcome]:
    """What comes of a batch that so many callers send at once, each a part of it."""
    if callers < 2:
        return ledger.append(batch)
    size = -(-len(batch) // callers)
    with one_batch(ledger):
        parts = [ledger.submit(batch[start : start + size]) for start in range(0, len(batch), size)]
    return [outcome for part in parts for outcome in part.result().outcomes]


def compare(
    fixture: LedgerFixture, kept: OneByOne, batch: Several[Proposal], where: str, callers: int
) -> OneByOne:
    """Append one batch, and compare what comes of each of its proposals; gives the log as it then is.

    `callers` send it at once, each a part of it; 0: one sends it as all or nothing.
    """
    ledger, before, atomic = fixture.ledger, fixture.size(), callers == 0
    if atomic:
        found = ledger.submit(batch, atomic).result().outcomes
    else:
        found = sent(ledger, batch, callers)
    new = [ledger.entry(seq) for seq in range(before, fixture.size())]
    now = new[0].time if new else ledger.clock()
    after = kept.copy() if atomic else kept
    expected = [
        after.answer(proposal, now, partial(_next_id, after, new, before)) for proposal in batch
    ]
    if atomic and not all(isinstance(one, Appended) for one in expected):
        after = kept
        expected = [
            _refused_alone(one, kept, proposal, now, partial(_next_id, kept, new, before))
            if _denied(one)
            else _undone(one)
            for one, proposal in zip(expected, batch, strict=True)
        ]
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if said(one) != said(other):
            raise AssertionError(told(where, batch[: place + 1], one, other))
    return after


def _denied(outcome: Outcome) -> bool:
    too_many = isinstance(outcome, Refused) and outcome.code == "too_many_refusals"
    return too_many or isinstance(outcome, Denied)


def _refused_alone(
    first: Outcome, kept: OneByOne, proposal: Proposal, now: int, new_event_id: Callable[[], str]
) -> Outcome:
    """What an all-or-nothing batch answers to what was denied, of which the refusal stands alone."""
    found = kept.refuse(proposal, now, new_event_id)
    if _denied(found):
        return found
    return replace(first, seq=None) if isinstance(first, Denied) else first


def _undone(outcome: Outcome) -> Outcome:
    """What an all-or-nothing batch answers if something else of it was refused."""
    fresh = isinstance(outcome, Appended) and outcome.fresh
    return Refused("atomic", "something else was refused") if fresh else outcome


def _next_id(kept: OneByOne, new: Several[Entry], before: int) -> str:
    """The id of the refusal that the true log wrote as its next entry, if it wrote one."""
    place = kept.chain.size - before
    return new[place].event.id if place < len(new) else new_id("ev", 0)


def said(outcome: Outcome) -> tuple[Any, ...]:
    """What tells two outcomes apart."""
    if isinstance(outcome, Appended):
        entry = outcome.entry
        return "appended", entry.link.seq, entry.decision, outcome.fresh, outcome.shown
    if isinstance(outcome, Denied):
        return "denied", outcome.seq, outcome.decision, outcome.purpose
    return "refused", outcome.code


def told(where: str, sent: Several[Proposal], found: Outcome, expected: Outcome) -> str:
    """For people: the batch up to the proposal that was answered otherwise, and both answers."""
    events = [proposal.event for proposal in sent]
    lines = [f"{e.actor} as {e.role}: {e.type.name} on {e.stream}: {e.body}" for e in events]
    ends = f"got {said(found)}", f"expected, one by one, {said(expected)}"
    return "\n".join((f"{where}, of which the last is decided otherwise:", *lines, *ends))


def same_log(fixture: LedgerFixture, kept: OneByOne) -> None:
    """The true log holds the same bytes, and its views the same rows."""
    ledger = fixture.ledger
    with ledger.database.read() as connection:
        raws = ledger.store.range(connection, 0, ledger.head().size)
        assert raws == [entry.raw for entry in kept.entries]
        for kind in TABLES:
            form = shape(kind)
            statement = f'SELECT {form.columns} FROM "{form.table.name}"'
            rows = map(form.decode, connection.exec_driver_sql(statement))
            assert {row_name(row)[1]: row for row in rows} == dict(kept.rows.all(kind)), kind
