"""What the gate tells whom: names are judged after the rules, and versions never loosen a record."""

from typing import Any

import pytest

from ledger.errors import EventError, Refused
from ledger.facts import Record
from ledger.sequencer import Denied
from tests.support.memory_log import Person, World, reading

LABELS = ["l_" + "0" * 26, "l_" + "1" * 26]


class Scene:
    """A chart with one record of a hospital, its doctor, and a doctor from elsewhere."""

    def __init__(self) -> None:
        self.world = World()
        self.admin = self.world.admin(self.world.hospital())
        self.doctor = self.world.doctor(self.admin)
        self.stranger = self.world.doctor(self.world.admin(self.world.hospital()))
        self.patient = self.world.patient(self.admin)
        self.record = self.world.upload(self.doctor, self.patient)

    def amend(self, by: Person, **members: Any) -> Any:
        """A second version."""
        body = self.record.event.body | {"version": 2, "blob": self.world.id("bl")} | members
        return self.world.outcome(by, "record.amended", body, self.patient)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("version", [1, 2, 77])
def test_a_stranger_learns_nothing_of_versions(scene: Scene, version: int) -> None:
    body = reading(scene.record) | {"version": version, "blob": scene.world.id("bl")}
    outcome = scene.world.outcome(scene.stranger, "record.opened", body, scene.patient)
    assert isinstance(outcome, Denied)
    assert outcome.decision["reason"] == "no_consent"
    assert outcome.seq is not None


def test_a_stranger_learns_nothing_by_amending(scene: Scene) -> None:
    outcome = scene.amend(scene.stranger, version=5)
    assert isinstance(outcome, Denied)
    assert outcome.decision["reason"] == "no_consent"


def test_whoever_may_read_is_told_of_a_wrong_version(scene: Scene) -> None:
    body = reading(scene.record) | {"version": 2}
    outcome = scene.world.outcome(scene.doctor, "record.opened", body, scene.patient)
    assert isinstance(outcome, Refused)
    assert outcome.code == "unknown"


def test_a_version_out_of_turn_is_a_conflict(scene: Scene) -> None:
    outcome = scene.amend(scene.doctor, version=3)
    assert isinstance(outcome, Refused)
    assert outcome.code == "conflict"


def test_a_record_has_the_labels_of_all_its_versions(scene: Scene) -> None:
    first = scene.world.upload(
        scene.doctor, scene.patient, labels=LABELS, sensitive=True, confidentiality="restricted"
    )
    plain = {k: v for k, v in first.event.body.items() if k not in ("labels", "sensitive")}
    body = plain | {"version": 2, "blob": scene.world.id("bl"), "confidentiality": "normal"}
    scene.world.do(scene.doctor, "record.amended", body, scene.patient)
    row = scene.world.batch.look.get(Record, first.event.body["record"])
    assert row is not None
    assert (row.labels, row.sensitive, row.confidentiality) == (tuple(LABELS), True, "restricted")
    assert [version.version for version in row.versions] == [1, 2]


@pytest.mark.parametrize("members", [{"sensitive": True}, {"labels": LABELS}])
def test_labels_and_sensitive_come_together(scene: Scene, members: dict[str, Any]) -> None:
    with pytest.raises(EventError, match="together"):
        scene.world.upload(scene.doctor, scene.patient, **members)
