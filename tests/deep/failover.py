"""The leader of a PostgreSQL cluster under Patroni killed under load: several processes go on with the next one."""

from __future__ import annotations

import functools
import random
import tempfile
import threading
import time
from multiprocessing.util import Finalize
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from api.app.opening import open_ledger
from api.app.settings import Settings
from client.grants import PURPOSE
from identity.actors import new_id
from ledger.sequencer import Appended
from ledger.times import DAY_MS, format_time
from storage.errors import OutcomeUnknown, Unavailable
from storage.ledger import Ledger
from tests.deep.injection import Part, Tally, Trial, drive
from tests.deep.load import TOLD_CHARACTERS, Acting, Crowd, acknowledgement, act_on, found
from tests.deep.report import Report
from tests.deep.witness import Lost, Witness, Wrong
from tests.support.ledger_fixture import Person, signed
from tests.support.patroni import Node, PatroniCluster

KILLS = 5
KILLS_A_PART = 5
ACTING, SENDING = 1, 3
"""Processes that upload, grant, read and register; and that send what they never give up."""
THREADS = 3
LOAD_SECONDS = 3.0
"""Longest load before a kill, and the load after it."""
AGAIN_SECONDS = 120.0
"""How long a failover may take until each process appends again; Patroni's lease is 20 s."""
AGAIN_EVENTS = 50
"""So many more than before the kill come from the new leader: some of them were on their way."""
RETRY_SECONDS = 0.1


# In the child.


def send_until_told(settings: Settings, crowd: Crowd, path: Path, seed: int) -> None:
    """Send each event until it has an outcome: the same one, with the same id, as clients must."""
    report, ledger = Report(path), open_ledger(settings)
    each = [
        threading.Thread(target=_send_for_ever, args=(ledger, crowd, report, seed + number))
        for number in range(THREADS)
    ]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()


def _send_for_ever(ledger: Ledger, crowd: Crowd, report: Report, seed: int) -> None:
    chance = random.Random(seed)
    try:
        while True:
            _send(ledger, chance.choice(crowd.patients), crowd, report)
    except BaseException as error:
        report.say(f"error {error!r}")


def _send(ledger: Ledger, patient: Person, crowd: Crowd, report: Report) -> None:
    """One grant, until it is an entry; whether it was one before is known by its id alone."""
    now = ledger.clock()
    body = {
        "actions": ["read"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
        "grantee": crowd.doctor.account, "purpose": PURPOSE, "scope": "full", "start": format_time(now),
    }  # fmt: skip
    event = patient.actor.event("access.granted", patient.stream, body, now) | {"v": 2}
    unknown = False
    while True:
        try:
            (outcome,) = ledger.append([signed(ledger, event, patient.actor.key)])
        except OutcomeUnknown:
            unknown = True
            report.say(f"told unknown {event['id']}")
        except (Unavailable, DBAPIError) as error:
            report.say(f"told {type(error).__name__}: {error}"[:TOLD_CHARACTERS])
        else:
            if not isinstance(outcome, Appended):
                raise Wrong(f"{event['id']} was refused: {outcome}")
            if unknown:
                report.say(f"told settled {event['id']} {'now' if outcome.fresh else 'before'}")
            report.say(acknowledgement(outcome))
            return
        time.sleep(RETRY_SECONDS)


# In the parent.


@functools.cache
def servers() -> PatroniCluster:
    """This process's cluster; stopped when it ends."""
    running = PatroniCluster()
    Finalize(running, running.stop, exitpriority=10)
    return running


def _founded() -> Trial:
    place = Path(tempfile.mkdtemp(prefix="heartwood-deep-"))
    fixture, crowd = found(Settings(data=place / "data", database_url=servers().database()))
    return Trial(place, fixture, crowd, Witness())


def run(part: Part) -> list[Tally]:
    """The kills of one part, one after the other on the same ledger."""
    notes: list[str] = []

    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        old = servers().leader()
        try:
            with Acting() as acting:
                took = _killed_under_load(trial, acting, old, chance)
                trial.stands(acting.acknowledged())
                unknown, stood = _settled(acting.lines)
        finally:
            trial.fixture.close()
            servers().start(old)
            servers().wait_whole()
        notes.append(
            f"kill {number}: all appended again after {took:.1f} s; {unknown} unknown outcomes, of which {stood} stood"
        )
        return True

    numbers = range(part.first, part.first + part.count)
    tally = drive(
        part,
        "leader killed under load (Patroni)",
        [(number, number) for number in numbers],
        case,
        _founded,
        lambda number, _: part.again(number),
    )
    tally.notes += notes
    return [tally]


def _killed_under_load(trial: Trial, acting: Acting, old: Node, chance: random.Random) -> float:
    """Kill the leader, wait until all go on, then end them; seconds from the kill until they did."""
    for target in [act_on] * ACTING + [send_until_told] * SENDING:
        acting.child(target, trial.settings, trial.crowd, chance.getrandbits(32))
    acting.wait()
    time.sleep(chance.random() * LOAD_SECONDS)
    before, began = acting.acknowledged_each(), time.monotonic()
    old.kill()
    _until_each_appends(acting, before)
    took = time.monotonic() - began
    time.sleep(LOAD_SECONDS)
    acting.kill()
    return took


def _settled(lines: list[str]) -> tuple[int, int]:
    """How many outcomes were unknown, and how many of these stood; raises Lost for one that a retry never settled."""
    unknown = {line.split(" ")[2] for line in lines if line.startswith("told unknown ")}
    settled = dict(line.split(" ")[2:] for line in lines if line.startswith("told settled "))
    if left := unknown - settled.keys():
        raise Lost(f"outcomes were never settled: {left}")
    return len(unknown), sum(when == "before" for when in settled.values())


def _until_each_appends(acting: Acting, before: list[int]) -> None:
    """Wait until every process has acknowledged more than before the kill; raises Wrong if one does not."""
    deadline = time.monotonic() + AGAIN_SECONDS
    while any(
        now < old + AGAIN_EVENTS
        for now, old in zip(acting.acknowledged_each(), before, strict=True)
    ):
        if time.monotonic() > deadline:
            raise Wrong(
                f"not every process appends {AGAIN_SECONDS:.0f} s after the leader was killed"
            )
        time.sleep(0.05)
