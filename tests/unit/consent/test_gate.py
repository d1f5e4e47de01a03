"""What the gate tells whom: names are judged after the rules, and versions never loosen a record."""

from functools import cached_property
from typing import Any

import pytest

from ledger.errors import EventError, Refused
from ledger.facts import Record
from ledger.sequencer import Denied
from tests.support.memory_log import Person, reading
from tests.support.memory_people import MemoryPeople

LABELS = ["l_" + "0" * 26, "l_" + "1" * 26]


class People(MemoryPeople):
    """The same people, and a doctor from elsewhere."""

    @cached_property
    def outsider(self) -> Person:
        return self.log.doctor(self.stranger)

    def amend(self, by: Person, **members: Any) -> Any:
        """A second version."""
        body = self.record.event.body | {"version": 2, "blob": self.log.id("bl")} | members
        return self.log.outcome(by, "record.amended", body, self.patient)


@pytest.fixture
def people() -> People:
    return People()


@pytest.mark.parametrize("version", [1, 2, 77])
def test_a_stranger_learns_nothing_of_versions(people: People, version: int) -> None:
    body = reading(people.record) | {"version": version, "blob": people.log.id("bl")}
    outcome = people.log.outcome(people.outsider, "record.opened", body, people.patient)
    assert isinstance(outcome, Denied)
    assert outcome.decision["reason"] == "no_consent"
    assert outcome.seq is not None


def test_a_stranger_learns_nothing_by_amending(people: People) -> None:
    outcome = people.amend(people.outsider, version=5)
    assert isinstance(outcome, Denied)
    assert outcome.decision["reason"] == "no_consent"


def test_whoever_may_read_is_told_of_a_wrong_version(people: People) -> None:
    body = reading(people.record) | {"version": 2}
    outcome = people.log.outcome(people.doctor, "record.opened", body, people.patient)
    assert isinstance(outcome, Refused)
    assert outcome.code == "unknown"


def test_a_version_out_of_turn_is_a_conflict(people: People) -> None:
    outcome = people.amend(people.doctor, version=3)
    assert isinstance(outcome, Refused)
    assert outcome.code == "conflict"


def test_a_record_has_the_labels_of_all_its_versions(people: People) -> None:
    first = people.log.upload(
        people.doctor, people.patient, labels=LABELS, sensitive=True, confidentiality="restricted"
    )
    plain = {k: v for k, v in first.event.body.items() if k not in ("labels", "sensitive")}
    body = plain | {"version": 2, "blob": people.log.id("bl"), "confidentiality": "normal"}
    people.log.do(people.doctor, "record.amended", body, people.patient)
    row = people.log.batch.look.get(Record, first.event.body["record"])
    assert row is not None
    assert (row.labels, row.sensitive, row.confidentiality) == (tuple(LABELS), True, "restricted")
    assert [version.version for version in row.versions] == [1, 2]


@pytest.mark.parametrize("members", [{"sensitive": True}, {"labels": LABELS}])
def test_labels_and_sensitive_come_together(people: People, members: dict[str, Any]) -> None:
    with pytest.raises(EventError, match="together"):
        people.log.upload(people.doctor, people.patient, **members)
