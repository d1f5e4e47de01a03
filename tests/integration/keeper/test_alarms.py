"""What the key keeper finds that the rules don't give stands in the log, once, and the audit names it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from api.app.creating import create_ledger
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.operator.upgrading import name_registry
from consent.auditor import audit_export
from identity.actors import read_keyfile
from keeper.protocol import Alarm
from ledger.auditor import verify_export
from ledger.registry import registry_hash
from storage.alarms import KIND, Alarms
from storage.exports import write_export
from storage.feeding import feed, feeding
from storage.ledger import Ledger
from tests.integration.keeper.test_lies import permit
from tests.support.alarms import raise_alarms, raised
from tests.support.commands import heartwood
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import ORIGIN, LedgerFixture, entry_of, vkeys
from tests.support.people import People
from tests.support.server import until

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def lie(fixture: LedgerFixture) -> int:
    """The number of a reading that was permitted against the rules, by a program that has the log's keys."""
    people = People.of(fixture)
    fixture.ledger.close()
    fixture.ledger = opened(fixture.settings, judge=permit)
    seq = entry_of(fixture.answer(people.reading(), people.doctor.key)).link.seq
    fixture.reopen()
    return seq


@pytest.fixture
def process(fixture: LedgerFixture, lie: int) -> Iterator[Ledger]:
    """The same ledger, whose keeper is a process."""
    fixture.ledger.close()
    with_process = open_ledger(fixture.settings)
    yield with_process
    with_process.close()


def test_a_wrong_permit_is_raised_in_the_log(process: Ledger, lie: int) -> None:
    """By the server, as soon as its keeper, a process of its own, has read it."""
    with feeding(process, lambda standing: None):
        until(lambda: raised(process) != [], "the alarm stands in the log")
    (entry,) = raised(process)
    assert entry.event.body == {"entry": lie, "taken": True, "wrong": "decision"}
    assert entry.event.role == "service" and entry.decision is None
    feed(process, process.head().size)  # and the keeper reads on past it
    assert process.keeper.standing().read == process.head().size
    assert process.keeper.standing().alarms == 1


def test_it_is_raised_once_over_restarts(fixture: LedgerFixture, lie: int) -> None:
    for _ in range(3):
        feed(fixture.ledger, fixture.size())
        alarms = Alarms(fixture.ledger)
        alarms.put()
        assert alarms.put() == 0
        assert [entry.event.body["entry"] for entry in raised(fixture.ledger)] == [lie]
        fixture.reopen()


def test_there_is_no_alarm_about_an_alarm(fixture: LedgerFixture, lie: int) -> None:
    """Or one that the keeper holds to be wrong would make another, and so on; the keeper's own list has it."""
    feed(fixture.ledger, fixture.size())
    alarms = Alarms(fixture.ledger)
    assert alarms.put() == 1
    (entry,) = raised(fixture.ledger)
    raise_alarms(keeper_of(fixture.ledger), Alarm(entry.link.seq, "clock", "it was late"))
    assert alarms.put() == Alarms(fixture.ledger).put() == 0
    assert raised(fixture.ledger) == [entry]
    assert keeper_of(fixture.ledger).standing().alarms == 2


def test_a_log_that_does_not_follow_is_raised_by_the_server_too(
    fixture: LedgerFixture, lie: int
) -> None:
    """Where the keeper reads no further, what it refused is raised all the same: the log itself takes entries."""
    fixture.ledger.close()
    folder = fixture.settings.data / "keeper"
    for path in folder.glob("followed.db*"):
        path.unlink()  # it reads anew,
    (folder / "log.first").write_text(f"{bytes(32).hex()}\n")  # and was made to read another log
    fixture.ledger = opened(fixture.settings)
    raise_alarms(keeper_of(fixture.ledger), Alarm(7, "signature", "it is not signed", taken=False))
    with feeding(fixture.ledger, lambda standing: None):
        until(lambda: len(raised(fixture.ledger)) == 2, "both stand in the log")
    bodies = [entry.event.body for entry in raised(fixture.ledger)]
    assert {"entry": 7, "taken": False, "wrong": "signature"} in bodies
    assert {"entry": 0, "taken": False, "wrong": "log"} in bodies


def test_a_log_of_an_older_edition_goes_on_without(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and the alarms are put into it once the operator has upgraded it."""
    before = KIND.since - 1
    with patch("api.app.creating.registry_hash", lambda: registry_hash(before)):
        operator = read_keyfile(create_ledger(settings, ORIGIN).keyfile)
    ledger = opened(settings, older=True)
    raise_alarms(keeper_of(ledger), Alarm(7, "signature", "it is not signed", taken=False))
    with caplog.at_level(logging.WARNING):
        assert Alarms(ledger).put() == 0
    assert "the log takes no alarms" in caplog.text
    name_registry(ledger, operator)
    assert Alarms(ledger).put() == 1
    ledger.close()


def test_the_audit_names_it_and_finds_the_same_itself(
    fixture: LedgerFixture, lie: int, tmp_path: Path
) -> None:
    keys = vkeys(fixture.settings)
    write_export(fixture.ledger, tmp_path / "before")
    before = audit_export(tmp_path / "before", keys)
    assert [wrong.seq for wrong in before.wrong] == [lie]
    feed(fixture.ledger, fixture.size())
    assert Alarms(fixture.ledger).put() == 1
    (entry,) = raised(fixture.ledger)
    write_export(fixture.ledger, tmp_path / "after")
    audited = audit_export(tmp_path / "after", keys)
    assert audited.wrong == before.wrong
    assert audited.decisions == before.decisions
    verified = verify_export(tmp_path / "after", keys, since=tmp_path / "before")
    assert verified.proven
    for found in (audited, verified):
        (alarm,) = found.alarms
        assert (alarm.seq, alarm.entry, alarm.wrong) == (entry.link.seq, lie, "decision")
        (line,) = (line for line in found.lines() if line.startswith("ALARM: "))
        assert f"says of entry {lie}: its decision is not the one" in line
    only = audit_export(tmp_path / "after", keys, since=tmp_path / "before")
    assert only.wrong == () and len(only.alarms) == 1
    fixture.ledger.close()
    told = heartwood(fixture.settings, "audit", tmp_path / "after", "--json")
    assert told.json["alarms"][0]["entry"] == lie
    fixture.ledger = opened(fixture.settings)


def test_the_command_says_where_the_log_says_so(fixture: LedgerFixture, lie: int) -> None:
    fixture.ledger.close()
    told = heartwood(fixture.settings, "keeper", "alarms")
    assert told.code == 1
    assert f"ALARM: entry {lie}: " in told.out and "not in the log yet" in told.out
    fixture.ledger = opened(fixture.settings)
    assert Alarms(fixture.ledger).put() == 1
    (entry,) = raised(fixture.ledger)
    fixture.ledger.close()
    told = heartwood(fixture.settings, "keeper", "alarms")
    assert f"(entry {entry.link.seq} says so)" in told.out
    fixture.ledger = opened(fixture.settings)
