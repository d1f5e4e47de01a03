"""Having the log's checkpoints cosigned: the feed of its witnesses, beside whatever the service does.

One thread of one process asks all witnesses for the same checkpoint, the newest published one, until enough of them
cosigned it or ROUND_SECONDS are over; then for the next. Each witness is asked in a thread of its own, from the size
that it last told. So one that is down, slow or lies costs the others nothing, and an append waits for none of them.
"""

import logging
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from crypto.notes import VerifierKey
from crypto.texts import counted
from ledger.submitting import Answered, Told, WitnessFailed, read_answer
from ledger.witnesses import WitnessPolicy
from ledger.witnessing import Submission
from storage.reader import LogReader
from storage.sql.entries import EntryStore, Published, Standing

TICK_SECONDS = 1.0
"""Least time between two looks for a new checkpoint: one is published a second at most."""
GATHER_SECONDS = 0.05
"""How long the other answers are waited for once one is there, to be kept in one write."""
ROUND_SECONDS = 10.0
"""How long one checkpoint is submitted while its cosignatures don't meet the policy and a newer one is there."""
TOLD_TRIES = 3
"""How often a witness may tell another size before that is a failure."""
BACKOFF_SECONDS = 1.0
"""How long a witness that failed is left alone at first; each time twice as long, and a random part of it less."""
BACKOFF_LIMIT_SECONDS = 60.0
"""At most so long."""
OVERDUE_SECONDS = 30.0
"""A witness that has answered nothing for so long is told of as silent."""
LOCK = "witnesses"
"""What one process at a time does."""

Ask = Callable[[str, bytes], Answered]
"""`ask(url, body)` posts a submission to a witness's prefix; raises WitnessFailed, within a bounded time."""
_LOG = logging.getLogger(__name__)


@dataclass
class Asked:
    """One witness, as the feed knows it."""

    name: str
    """In the policy."""
    key: VerifierKey
    url: str
    standing: Standing
    line: bytes = b""
    """Its cosignature of the checkpoint that is submitted now."""
    since: float | None = None
    """When it was asked what it has not answered yet, by `time.monotonic`."""
    next: float = 0.0
    """It is not asked before."""
    failures: int = 0
    told: int = 0
    """How often it told another size, in a row."""
    ahead: int = 0
    """It told that it has cosigned so many entries, more than it was asked for; it isn't asked for fewer."""
    times_ahead: int = 0
    """How often it told so since it last cosigned."""

    @property
    def id(self) -> str:
        """Name and id of its key: another key under the same name is another witness."""
        return witness_id(self.key)


def witness_id(key: VerifierKey) -> str:
    """What a witness is called in the table of standings."""
    return f"{key.name}+{key.id.hex()}"


@dataclass(frozen=True)
class WitnessStanding:
    """How a witness of the log stands, for people and metrics."""

    name: str
    url: str
    size: int
    behind: int
    """Entries of the log that it has not cosigned."""
    time: int
    """When it last cosigned, Unix ms; 0: never."""
    problem: str


def witness_standings(log: LogReader) -> list[WitnessStanding]:
    """How each witness of the log's policy stands; none without a policy."""
    return [] if log.witnesses is None else standings_under(log.store, log.witnesses)


def standings_under(store: EntryStore, policy: WitnessPolicy) -> list[WitnessStanding]:
    """How each witness of a policy stands."""
    found, head, out = store.standings(), store.head_now(), list[WitnessStanding]()
    for name, key in policy.witnesses.items():
        one = found.get(witness_id(key), Standing(0, 0, "it was not asked yet"))
        url = policy.urls.get(name, "")
        problem = one.problem if url else "the policy names no URL, so it is not asked"
        behind = max(0, (head.size if head else 0) - one.size)
        out.append(WitnessStanding(name, url, one.size, behind, one.time, problem))
    return out


@dataclass
class Round:
    """One checkpoint that is submitted to all."""

    target: Published
    began: float
    done: bool = False
    """Its cosignatures meet the policy and are kept."""


def _still_newest(target: Published, newest: Published) -> bool:
    """Whether a round's checkpoint is the log's newest: not one that a failover took back."""
    return newest.size == target.size and newest.note.startswith(target.note)


Answers: TypeAlias = "queue.SimpleQueue[tuple[Asked, Published, Submission, Answered | Exception]]"


@dataclass
class WitnessFeed:
    """Has checkpoints cosigned by the policy's witnesses, as long as it runs."""

    log: LogReader
    policy: WitnessPolicy
    ask: Ask
    tell: Callable[[str, bool], None] = lambda name, good: None
    """Gets each answer's witness, and whether it cosigned."""
    chance: random.Random = field(default_factory=random.Random)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Feed them in a thread of its own until the end, which waits for no witness."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, name="witnesses", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self.log.database.alone(LOCK) as alone:
                    if alone:
                        self._feed()
            except Exception:  # told, and begun anew: serving goes on without
                _LOG.error("witnesses not fed", exc_info=True)
            self._stop.wait(TICK_SECONDS)

    def _feed(self) -> None:
        """Round after round, from what is kept."""
        kept = self.log.store.standings()
        witnesses = [
            Asked(name, key, self.policy.urls[name], kept.get(witness_id(key), Standing(0, 0, "")))
            for name, key in self.policy.witnesses.items()
            if name in self.policy.urls
        ]
        answers: Answers = queue.SimpleQueue()  # what an earlier start asked is answered to nobody
        now: Round | None = None
        while not self._stop.is_set():
            until = time.monotonic() + TICK_SECONDS
            now = self._round(now, witnesses)
            if now is None:
                self._stop.wait(TICK_SECONDS)
                continue
            for one in witnesses:
                self._send(one, now, answers)
            while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
                self._take(now, witnesses, answers, left)

    def _round(self, now: Round | None, witnesses: list[Asked]) -> Round | None:
        """This round, or the next one if this is over and a newer checkpoint is there; None before the first."""
        self.log.publish()
        moment = time.monotonic()
        if now is not None and not now.done and moment - now.began < ROUND_SECONDS:
            return now
        newest = self.log.store.published_now()
        if newest is None or (now is not None and _still_newest(now.target, newest)):
            return now
        for one in witnesses:
            one.line = b""
        known = self.log.cosigned()
        return Round(newest, moment, known is not None and known.size == newest.size)

    def _send(self, one: Asked, now: Round, answers: Answers) -> None:
        """Ask a witness, if there is something to ask and it is time."""
        moment = time.monotonic()
        if one.since is not None:
            if moment - one.since > OVERDUE_SECONDS and not one.standing.problem:
                self._failed(one, f"it has not answered for {OVERDUE_SECONDS:.0f} s", False)
            return
        size = now.target.size
        enough = now.done and one.standing.size >= size and not one.standing.problem
        if one.line or moment < one.next or size < one.ahead or enough:
            return
        old = min(one.standing.size, size)
        proof = self.log.prove(old, size) if 0 < old < size else []
        submission = Submission(old, tuple(proof), now.target.note)
        one.since = moment

        def post() -> None:
            try:
                answers.put((one, now.target, submission, self.ask(one.url, submission.text())))
            except Exception as error:  # whatever it is, it is this witness's alone
                answers.put((one, now.target, submission, error))

        threading.Thread(target=post, name=f"witness {one.name}", daemon=True).start()

    def _take(self, now: Round, witnesses: list[Asked], answers: Answers, left: float) -> None:
        """The next answer within `left` seconds, and those that come with it; kept if they change anything."""
        before = {one.id: one.standing for one in witnesses}
        while True:
            try:
                one, target, submission, answer = answers.get(timeout=left)
            except queue.Empty:
                break
            one.since, left = None, GATHER_SECONDS
            self._understand(one, target, submission, answer, now)
            if one.told:
                self._send(one, now, answers)
        changed = {one.id: one.standing for one in witnesses if before[one.id] != one.standing}
        lines = b"" if now.done else self._met(witnesses)
        if changed or lines:
            with self.log.database.write() as connection:
                self.log.store.keep_standings(connection, changed)
                if lines and self.log.store.keep_cosigned(connection, now.target, lines):
                    now.done = True

    def _met(self, witnesses: list[Asked]) -> bytes:
        """The cosignatures of the round's checkpoint, if they meet the policy."""
        signed = [one for one in witnesses if one.line]
        if not self.policy.demands or not self.policy.met_by([one.name for one in signed]):
            return b""
        return b"".join(one.line for one in signed)

    def _understand(
        self, one: Asked, target: Published, submission: Submission,
        answer: Answered | Exception, now: Round,
    ) -> None:  # fmt: skip
        """What a witness answered: a cosignature, a size, or nothing good."""
        try:
            if isinstance(answer, Exception):
                raise answer if isinstance(answer, WitnessFailed) else WitnessFailed(repr(answer))
            found = read_answer(answer, submission, one.key)
            if isinstance(found, Told):
                self._told(one, found.size, now)
                return
        except WitnessFailed as failed:
            self._failed(one, str(failed), failed.refused)
            return
        one.failures, one.told, one.times_ahead, one.ahead, one.next = 0, 0, 0, 0, 0.0
        one.standing = Standing(target.size, self.log.clock(), "")
        if target == now.target:  # else it was asked in a round that is over
            one.line = found
        self.tell(one.name, True)

    def _told(self, one: Asked, size: int, now: Round) -> None:
        """Go on from the size that it told; raises WitnessFailed where it can't be."""
        one.told += 1
        if one.told > TOLD_TRIES:
            raise WitnessFailed(f"it told another size {TOLD_TRIES} times in a row")
        if size > now.target.size:
            if size > (there := self.log.head().size):
                raise WitnessFailed(
                    f"it has cosigned {counted(size, 'entry')} of this log, which has {there}: another copy of the log "
                    "is at work, or this database is an old one",
                    refused=True,
                )
            self._ahead(one, size, now)
            return
        if size < one.standing.size:
            _LOG.error("witness went back", extra={"witness": one.name})
        one.standing = one.standing._replace(size=size)

    def _ahead(self, one: Asked, size: int, now: Round) -> None:
        """It has cosigned a newer checkpoint, it says: let it be until the rounds are there.

        The first time it is believed, and the next round begins at once; the others aren't hurried for it again until
        it has cosigned. Raises WitnessFailed where it says so again and again.
        """
        one.told, one.ahead, one.times_ahead = 0, size, one.times_ahead + 1
        if one.times_ahead == 1:
            now.began = -math.inf
        if one.times_ahead > TOLD_TRIES:
            one.ahead = 0
            raise WitnessFailed(
                f"it told {one.times_ahead} times in a row that it has cosigned a newer checkpoint, and then cosigned none"
            )

    def _failed(self, one: Asked, words: str, grave: bool) -> None:
        """Leave a witness alone for a while, and tell what is wrong."""
        wait = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** min(one.failures, 10))
        one.failures, one.told = one.failures + 1, 0
        one.next = time.monotonic() + wait * self.chance.uniform(0.5, 1.0)
        if words != one.standing.problem:
            what = "witness refused" if grave else "witness failed"  # what it said: `status`
            level = logging.ERROR if grave else logging.WARNING
            _LOG.log(level, what, extra={"witness": one.name})
        one.standing = one.standing._replace(problem=words)
        self.tell(one.name, False)
