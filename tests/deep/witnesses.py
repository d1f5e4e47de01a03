"""Witnesses, ours and others': `heartwood witness serve` killed as it cosigns, and the log's feed killed before bad ones.

Whatever ours was doing: it never cosigns two histories, nor tells a smaller size than it answered before. Whatever the
others answer, what the log keeps as cosigned is, and stays so.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import storage.cosigning
from api.app.settings import Settings
from api.app.witnessing import opened_witness
from client import grants
from client.local import LocalClient
from client.witnesses import WitnessConnection
from crypto.notes import Note, VerifierKey
from ledger.merkle import leaf_hash
from ledger.witnesses import WitnessPolicy
from storage.cosigning import WitnessFeed
from tests.deep.injection import Part, Tally, Trial, drive
from tests.deep.load import Acting, Crowd, Telling
from tests.deep.report import Report
from tests.deep.witness import Lost, Wrong
from tests.support.child_processes import start
from tests.support.inside import opened
from tests.support.naive_tree import tree_hash
from tests.support.submissions import SmallLog
from tests.support.witnesses import new_witness
from tests.tilereader.witness import Answer, LittleWitness, submit
from witness.store import Step

RUNS = 120
RUNS_A_PART = 30
FEEDS = 40
"""Kills of a log's feed, on each engine."""
LONGEST_MS = 60
"""Latest moment of a kill after the witness's first answer."""
START_SECONDS = 60.0
TWO_SHARE = 0.3
"""Of the kills, how many find two processes that serve one folder."""
LONGER = 12
"""Entries by which each of two histories is longer than what was cosigned."""
FRESH_ENTRIES = 200
"""A log with more entries is left for a new one: its proofs are made the slow way."""
FEED_LONGEST_MS = 400
_SERVING = re.compile(r"witnessing .* on (http://\S+)").search


# In the child.


def serve_witness(folder: Path, said: Path, mutant: bool) -> None:
    """`heartwood witness serve`; what it says goes into the file `said`. `mutant`: it keeps nothing of what it cosigns."""
    from api.cli import main

    if mutant:
        Step.put = lambda *given: None  # type: ignore[method-assign]
    out = os.open(said, os.O_WRONLY | os.O_CREAT)
    for number in (1, 2):
        os.dup2(out, number)
    sys.argv = ["heartwood", "witness", "serve", str(folder), "--port", "0"]
    main()


def feed_for_ever(settings: Settings, crowd: Crowd, path: Path, policy: bytes) -> None:
    """Append, and have it cosigned, as `heartwood serve` does; what is cosigned is told."""
    logging.getLogger("storage.cosigning").addHandler(logging.NullHandler())
    storage.cosigning.TICK_SECONDS = storage.cosigning.BACKOFF_SECONDS = 0.05
    storage.cosigning.BACKOFF_LIMIT_SECONDS, storage.cosigning.ROUND_SECONDS = 0.2, 0.5
    report, ledger = Report(path), Telling(**vars(opened(settings)))
    ledger.report, ledger.witnesses = report, WitnessPolicy.parse(policy)
    one, told = crowd.patients[0], 0
    try:
        with WitnessFeed(ledger, ledger.witnesses, WitnessConnection().ask).running():
            while True:
                grants.grant(LocalClient(ledger), one.actor, one.patient, crowd.doctor.account)
                found = ledger.cosigned()
                if found is not None and found.size != told:
                    told = found.size
                    report.say(f"told cosigned {told}")
                time.sleep(0.01)
    except BaseException as error:
        report.say(f"error {error!r}")


# A witness of ours.


@dataclass
class Watched:
    """A witness's folder, the log that it watches, and what it said so far."""

    folder: Path
    vkeys: list[VerifierKey]
    log: SmallLog
    """As far as it was cosigned."""

    @classmethod
    def new(cls, place: Path) -> Watched:
        """A new witness, and a log that it knows."""
        log = SmallLog(entries=())
        vkeys = new_witness(place, [log.key])
        return cls(place, [VerifierKey.parse(vkey) for vkey in vkeys], log)

    def longer(self, chance: random.Random) -> SmallLog:
        """A history that goes on from what was cosigned."""
        more = [chance.randbytes(8) for _ in range(LONGER)]
        return SmallLog(self.log.origin, self.log.seed, [*self.log.entries, *more])


@dataclass
class Heard:
    """What a witness answered for one history."""

    log: SmallLog
    cosigned: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    """Sizes that it told (409)."""
    errors: list[str] = field(default_factory=list)


def _submit_on(url: str, watched: Watched, heard: Heard, chance: random.Random) -> None:
    """Submit this history, step by step, until it is cosigned or the witness answers no more."""
    old, log = len(watched.log.entries), heard.log
    end = len(log.entries)
    while old < end:
        new = chance.randint(old + 1, end)
        try:
            answer = submit(url, old, log.proof(old, new), log.note(new))
        except OSError:
            return  # it is killed
        if answer.status == 200:
            _check_cosigned(watched, log.note(new), answer, heard)
            heard.cosigned.append(new)
            old = new
        elif answer.status == 409:
            told = int(answer.body)
            heard.told.append(told)
            if told <= old or told > end:
                return
            old = told
        elif answer.status == 422:
            return  # it has cosigned the other history
        else:
            heard.errors.append(f"it answered {answer.status}: {answer.body[:100]!r}")
            return


def _check_cosigned(watched: Watched, note: bytes, answer: Answer, heard: Heard) -> None:
    good = Note.parse(note + answer.body).signed_by(watched.vkeys)
    if len(good) != len(watched.vkeys):
        heard.errors.append(f"cosigned by {len(good)} of {len(watched.vkeys)} keys")


def killed_as_it_cosigns(watched: Watched, chance: random.Random, mutant: bool = False) -> int:
    """Submit two histories at once, kill the witness, and look what it kept; gives how often it cosigned."""
    sides = [Heard(watched.longer(chance)) for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder) / f"{n}" for n in range(2 if chance.random() < TWO_SHARE else 1)]
        children = [start(serve_witness, watched.folder, path, mutant) for path in said]
        try:
            urls = [_url(path) for path in said]
            threads = [
                threading.Thread(
                    target=_submit_on,
                    args=(chance.choice(urls), watched, one, random.Random(chance.random())),
                )
                for one in sides
            ]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + START_SECONDS
            while not any(one.cosigned for one in sides) and any(t.is_alive() for t in threads):
                if time.monotonic() > deadline:
                    raise Wrong("a witness cosigns nothing")
                time.sleep(0.0005)
            time.sleep(chance.random() * LONGEST_MS / 1000)
        finally:
            for child in children:
                child.kill()
                child.join()
        for thread in threads:
            thread.join()
    _check_kept(watched, sides)
    return sum(len(one.cosigned) for one in sides)


def _url(said: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if said.exists() and (match := _SERVING(said.read_text())):
            return match[1]
        time.sleep(0.002)
    raise Wrong(f"a witness doesn't listen: {said.read_text() if said.exists() else ''}")


def _check_kept(watched: Watched, sides: Sequence[Heard]) -> None:
    """One history was cosigned at most, the folder opens and holds it as far as was told; it goes on from there."""
    before = len(watched.log.entries)
    if errors := [error for one in sides for error in one.errors]:
        raise Wrong(errors[0])
    if all(one.cosigned for one in sides):
        raise Wrong(f"two histories were cosigned beyond entry {before}")
    with opened_witness(watched.folder, None) as witness:
        with witness.store.step(watched.log.origin) as step:
            seen, _, _ = step.seen()
        told = [size for one in sides for size in (*one.cosigned, *one.told)]
        if seen.size < max([before, *told]):
            raise Lost(f"it told {max([before, *told])} entries, and holds {seen.size}")
        held = [
            one.log
            for one in sides
            if seen.size > before
            and tree_hash([leaf_hash(e) for e in one.log.entries[: seen.size]]) == seen.root
        ]
        if seen.size > before and len(held) != 1:
            raise Wrong("it holds none of the histories that were submitted")
        (own,) = held or [sides[0].log]
        for one in sides:
            if one.cosigned and one.log is not own:
                raise Wrong("it cosigned one history and holds the other")
        end = len(own.entries)
        if seen.size < end:
            good = witness.add_checkpoint(own.submission(seen.size, end).text())
            if good.status != 200:
                raise Wrong(f"it doesn't go on: {good.status} {good.body!r}")
        other = next(one.log for one in sides if one.log is not own)
        for old in (0, before, end):
            if witness.add_checkpoint(other.submission(old, end).text()).status == 200:
                raise Wrong("it cosigns a second history")
    watched.log = own


# A log's feed, before others.


def bent(chance: random.Random, witness: LittleWitness, body: bytes, answer: Answer) -> Answer:
    """What a forgetful or malicious witness answers now; mostly what it should."""
    match chance.randrange(12):
        case 0:
            witness.size = 0
            return answer
        case 1:
            return Answer(409, b"%d\n" % chance.randrange(2_000))
        case 2:
            return Answer(
                200, LittleWitness("other.example/w", [], bytes([99] * 32)).cosign(b"x\n")
            )
        case 3:
            return Answer(chance.choice([403, 404, 422, 500]), b"no\n")
        case 4:
            time.sleep(0.2)
            return answer
        case 5:
            return Answer(200, chance.randbytes(200))
        case _:
            return answer


def killed_as_it_feeds(trial: Trial, chance: random.Random) -> bool:
    """Kill the process that has the log cosigned by 2 of 3 bad witnesses; what it told stands, and is good."""
    fixture = trial.fixture
    fixture.reopen()
    keys = [str(key) for key in fixture.ledger.vkeys]
    fixture.close()
    three = [LittleWitness(f"w{n}.example/w", keys, bytes([n + 1] * 32)) for n in range(3)]
    for one in three:
        own = random.Random(chance.random())
        one.bend = lambda body, answer, one=one, own=own: bent(own, one, body, answer)  # type: ignore[misc]
    with ExitStack() as stack, Acting() as acting:
        urls = [stack.enter_context(one.serving()) for one in three]
        lines = [
            f"log {keys[0]}",
            *(f"witness w{n} {w.vkey} {urls[n]}" for n, w in enumerate(three)),
        ]
        lines += ["group q 2 w0 w1 w2", "quorum q"]
        policy = "".join(f"{line}\n" for line in lines).encode()
        acting.child(feed_for_ever, trial.settings, trial.crowd, policy)
        deadline = time.monotonic() + START_SECONDS
        while not (told := _told(acting)):
            if time.monotonic() > deadline:
                raise Wrong("two of three witnesses never cosigned")
            time.sleep(0.005)
        time.sleep(chance.random() * FEED_LONGEST_MS / 1000)
        acting.kill()
        told = _told(acting)
        trial.stands(acting.acknowledged())
    try:
        check_cosigned(trial, WitnessPolicy.parse(policy), told)
    finally:
        fixture.close()
    return True


def _told(acting: Acting) -> list[int]:
    acting.acknowledged()  # raises what is an error of the program
    return [int(line.split()[2]) for line in acting.lines if line.startswith("told cosigned ")]


def check_cosigned(trial: Trial, policy: WitnessPolicy, told: Sequence[int]) -> None:
    """What was told is cosigned is, under the policy; and every checkpoint with cosignatures has good ones."""
    ledger = trial.fixture.ledger
    rows = ledger.database.fetch(
        "SELECT w.size, c.note, w.lines FROM cosignatures w LEFT JOIN checkpoints c ON c.size = w.size", ()
    )  # fmt: skip
    if missing := set(told) - {size for size, _, _ in rows}:
        raise Lost(f"told to be cosigned, and not kept: {missing}")
    for size, note, lines in rows:
        if note is None:
            raise Wrong(f"cosignatures of {size} entries, and no checkpoint")
        if size in told:
            policy.check(bytes(note) + bytes(lines), ledger.vkeys)
    for size in told:
        _, final = ledger.receipt(size - 1)
        if not final:
            raise Lost(f"a receipt under the cosigned checkpoint of {size} entries isn't final")


def run(part: Part) -> list[Tally]:
    """The kills of one part: of our witness once, of a log's feed on each engine."""
    if part.engine == "none":
        return [_ours(part)]
    numbers = range(part.first, min(part.first + part.count, FEEDS))
    if not numbers:
        return []
    return [
        drive(
            part,
            "the feed killed before bad witnesses",
            [(number, number) for number in numbers],
            lambda trial, _, chance: killed_as_it_feeds(trial, chance),
            lambda: Trial.found(part.engine, patients=1),
            lambda number, _: part.again(number),
        )
    ]


def _ours(part: Part) -> Tally:
    logging.getLogger("witness").addHandler(logging.NullHandler())  # it tells of two histories
    tally, watched = Tally("a witness killed as it cosigns", part.engine), None
    with tempfile.TemporaryDirectory(prefix="heartwood-deep-") as folder:
        for number in range(part.first, part.first + part.count):
            tally.runs += 1
            try:
                if watched is None or len(watched.log.entries) > FRESH_ENTRIES:
                    watched = Watched.new(Path(folder) / f"{number}")
                cosigned = killed_as_it_cosigns(watched, part.chance(number))
                tally.met += 1
                tally.acknowledged += cosigned
            except Exception as error:
                tally.fail(error, f"kill {number}", part.again(number))
                watched = None
    return tally
