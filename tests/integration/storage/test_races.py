"""Two processes on one ledger at the same time: one order, each event once, no act after its end."""

import itertools
import random
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import pytest

from api.app.settings import Settings
from crypto import canonical
from crypto.wraps import field_name, open_field
from identity.actors import new_id
from journeys.sealing import object_key
from ledger.event import sign_bundle
from ledger.times import DAY_MS, format_time
from tests.support.child_processes import CONTEXT, start
from tests.support.inside import keeper_of
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.workers import (
    Bundle,
    grant_and_revoke,
    read_each_round,
    register_each,
    send_bundles,
)

BUNDLES = 60
EVENTS = 25
SHARED = 20
"""Bundles that both processes send."""
PATIENTS = 4
REGISTRATIONS = 30
RACE_SECONDS = 180.0
"""How long a race may take: on PostgreSQL, beside other work, one takes nearly a minute."""
ROUNDS = 400


def bundle(fixture: LedgerFixture, person: Person, grantee: str) -> Bundle:
    """Grants of a patient under one signature."""
    now = fixture.ledger.clock()
    raws = tuple(canonical.write(_grant(person, grantee, now)) for _ in range(EVENTS))
    signature = sign_bundle(person.actor.key, fixture.ledger.origin, raws)[0]
    return Bundle(raws, signature.key, signature.value)


def _grant(person: Person, grantee: str, now: int) -> dict[str, Any]:
    body = {
        "actions": ["list"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
        "grantee": grantee, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
    }  # fmt: skip
    return person.actor.event("access.granted", person.stream, body, now)


class Pair:
    """Two children that begin at the same moment, and what they answer."""

    def __init__(self, settings: Settings) -> None:
        """Nobody yet."""
        self._settings = settings
        self.barrier = CONTEXT.Barrier(2)
        self._children: list[Any] = []
        self._answers: list[Connection] = []

    def child(self, target: Any, *arguments: Any, answers: bool = True) -> None:
        """Start one of the two; `target` gets settings, arguments, the barrier and a pipe for its answer."""
        reader, writer = CONTEXT.Pipe(duplex=False)
        ends = (self.barrier, writer) if answers else (self.barrier,)
        self._children.append(start(target, self._settings, *arguments, *ends))
        writer.close()
        if answers:
            self._answers.append(reader)

    def answers(self) -> list[Any]:
        """What they answered, in their order, when both have ended well."""
        out = []
        for reader in self._answers:
            assert reader.poll(RACE_SECONDS), "a child has no answer"
            out.append(reader.recv())
        for child in self._children:
            child.join(RACE_SECONDS)
            assert child.exitcode == 0
        return out


def test_two_processes_append_at_once(fixture: LedgerFixture) -> None:
    """Thousands of events, some sent by both: one entry each, no gap, the same number told to both."""
    people, doctor = [fixture.person() for _ in range(PATIENTS)], fixture.doctor()
    made = [
        bundle(fixture, people[number % PATIENTS], doctor.account)
        for number in range(2 * BUNDLES + SHARED)
    ]
    shared, own = made[:SHARED], (made[SHARED : SHARED + BUNDLES], made[SHARED + BUNDLES :])
    before, pair = fixture.size(), Pair(fixture.settings)
    for number in (0, 1):
        sent = [*own[number], *shared]
        random.Random(number).shuffle(sent)
        pair.child(send_bundles, sent)
    first, second = pair.answers()
    assert_one_entry_each(fixture, made, before, first, second)
    owner = {event: number for number, part in enumerate(own) for event in _ids(part)}
    order = [owner[e.event.id] for e in _entries(fixture, before) if e.event.id in owner]
    assert sum(a != b for a, b in itertools.pairwise(order)) > 10, "they took turns only"


Told = Sequence[tuple[str, int, bool]]


def assert_one_entry_each(
    fixture: LedgerFixture, made: Sequence[Bundle], before: int, first: Told, second: Told
) -> None:
    """Every event has one entry, was new to one of the processes, and both know it by one number."""
    ids = [event for part in made for event in _ids([part])]
    log = {entry.event.id: entry.link.seq for entry in _entries(fixture, before)}
    assert sorted(log.values()) == list(range(before, before + len(ids)))
    assert log.keys() == set(ids)
    assert all(log[event] == seq for event, seq, _ in (*first, *second))
    fresh = [event for event, _, is_fresh in (*first, *second) if is_fresh]
    assert sorted(fresh) == sorted(ids)


def _ids(bundles: Sequence[Bundle]) -> list[str]:
    return [canonical.loads(raw)["id"] for part in bundles for raw in part.raws]


def _entries(fixture: LedgerFixture, start: int) -> list[Any]:
    return [fixture.ledger.entry(seq) for seq in range(start, fixture.size())]


@pytest.mark.parametrize("same", [True, False], ids=["one system", "two hospitals"])
def test_of_two_registrations_of_one_id_one_wins(fixture: LedgerFixture, same: bool) -> None:
    """Of each patient's id one entry; its name opens, and it is the winner's."""
    patients = [new_id("pt", 0) for _ in range(REGISTRATIONS)]
    systems = (fixture.north.system, fixture.north.system if same else fixture.south.system)
    pair = Pair(fixture.settings)
    for system, name in zip(systems, ("Anna", "Berta"), strict=True):
        pair.child(register_each, system, name, patients)
    first, second = pair.answers()
    for patient, one, two in zip(patients, first, second, strict=True):
        assert sorted((one == "", two == "")) == [False, True], (one, two)
        assert {one, two} <= {"", "duplicate_id", "no_key"}
        entries = fixture.ledger.stream(f"patient/{patient}", fixture.size())
        assert [e.event.type.name for e in entries] == ["patient.registered"]
        assert name_of(fixture, patient) == ("Anna" if one == "" else "Berta")


def name_of(fixture: LedgerFixture, patient: str) -> str:
    """A patient's name, opened past the keeper's door: who may see it is not what is tested here."""
    event = fixture.ledger.stream(f"patient/{patient}", fixture.size())[0].event
    key = object_key(fixture.ledger.keys, patient, patient)
    name = field_name(event.stream, patient, event.id, "name")
    return open_field(keeper_of(fixture.ledger)._object(key), name, event.body["name"])


def test_no_reading_after_a_revocation(fixture: LedgerFixture) -> None:
    """Reading and revoking from two processes: in the log's order none is permitted after the end."""
    pat, doctor = fixture.person(), fixture.doctor()
    record, pair = fixture.record(pat).record, Pair(fixture.settings)
    arguments = (pat.patient, pat.actor, doctor.account, ROUNDS)
    pair.child(grant_and_revoke, *arguments, answers=False)
    pair.child(read_each_round, record, doctor, ROUNDS)
    (outcomes,) = pair.answers()
    open_since, permitted = -1, 0
    for entry in fixture.ledger.stream(pat.stream, fixture.size()):
        name = entry.event.type.name
        if name == "access.granted":
            open_since = entry.link.seq
        elif name == "access.revoked":
            open_since = -1
        elif name == "record.opened":
            assert entry.decision is not None
            assert entry.decision["basis"] == [open_since], f"entry {entry.link.seq}"
            permitted += 1
    assert permitted == outcomes.count("Appended")
    assert 0 < permitted < len(outcomes), "one of the two was always first"
