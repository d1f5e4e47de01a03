"""Policies that limit professions: what counts when, by which edition, and that whoever audits the log finds the same."""

from typing import Any

import pytest

from consent.replay import Replay
from crypto.encoding import b64encode
from ledger.codes import DOCTOR_ACTIONS
from ledger.editions import CONSENT
from ledger.errors import EventError
from ledger.policies import DEFAULT_POLICY, DEFAULT_PROFESSIONS, POLICY_WAIT_MS, policy_at, widened
from ledger.registry import EDITION, registry_hash
from tests.support.memory_log import MemoryLog, Person, verify_log

TABLE = {name: list(may) for name, may in DEFAULT_PROFESSIONS.items()}


class Ward:
    """A hospital with a nurse and a patient whose record the hospital wrote."""

    def __init__(self, edition: int = EDITION) -> None:
        self.log = MemoryLog(edition=edition)
        self.admin = self.log.admin(self.log.hospital())
        self.nurse = self.approved("nurse")
        self.physician = self.log.doctor(self.admin)
        self.patient = self.log.patient(self.admin)

    def approved(self, profession: str) -> Person:
        """A doctor of that profession, who left and was approved anew."""
        doctor = self.log.doctor(self.admin)
        self.log.do(self.admin, "doctor.ended", {"account": doctor.account})
        body = {"account": doctor.account, "profession": profession}
        self.log.do(self.admin, "doctor.approved", body, v=2)
        return doctor

    def may(self, **professions: list[str]) -> bool:
        """The operator changes the policy; whether it counts at once."""
        entry = self.log.change_policy(professions=TABLE | professions)
        return policy_at(self.log.batch.look, self.log.now).seq == entry.link.seq

    def audited(self) -> None:
        """Whoever reads the log judges it alike."""
        replay = Replay()
        for entry in self.log.entries:
            replay.take(entry.raw)
        assert replay.wrong == []
        verify_log(self.log)


def writes(ward: Ward, who: Person) -> str:
    """The answer to a record that somebody writes."""
    try:
        ward.log.upload(who, ward.patient)
    except AssertionError as error:
        return "deny S1 role" if "'role'" in str(error) else str(error)
    return "appended"


def test_what_narrows_counts_at_once_and_what_widens_waits() -> None:
    ward = Ward()
    assert writes(ward, ward.nurse) == "appended"
    assert ward.may(nurse=["list", "read"])
    assert writes(ward, ward.nurse) == "deny S1 role"
    assert writes(ward, ward.physician) == "appended"
    assert not ward.may(nurse=["append", "list"])  # less of one thing, more of another
    ward.log.wait(POLICY_WAIT_MS - 1)
    assert writes(ward, ward.nurse) == "deny S1 role"
    ward.log.wait(1)
    assert writes(ward, ward.nurse) == "appended"
    ward.audited()


def test_the_profession_is_that_of_the_approval_before() -> None:
    """Whoever is approved as something else may what that may, from then on."""
    ward = Ward()
    ward.may(nurse=["list", "read"])
    body = {"account": ward.nurse.account, "profession": "physician"}
    assert writes(ward, ward.nurse) == "deny S1 role"
    ward.log.do(ward.admin, "doctor.ended", {"account": ward.nurse.account})
    ward.log.do(ward.admin, "doctor.approved", body, v=2)
    assert writes(ward, ward.nurse) == "appended"
    ward.audited()


def test_a_log_that_moves_on_limits_from_that_entry() -> None:
    """By the table, though its policy is as it was; what was decided before is audited by its own rules."""
    ward = Ward(CONSENT - 1)
    trainee = ward.approved("trainee")
    body = ward.log.patient_body()
    assert ward.log.answer(trainee, "patient.registered", body, body["patient"]) == "appended"
    ward.log.change_policy()
    body = ward.log.patient_body()
    assert ward.log.answer(trainee, "patient.registered", body, body["patient"]) == "deny S1 role"
    ward.audited()


def test_a_policy_of_version_1_means_the_table() -> None:
    """So that one that leaves out what narrowed is one that widens."""
    ward = Ward()
    assert ward.may(nurse=["list", "read"])
    policy = {k: v for k, v in DEFAULT_POLICY.items() if k != "professions"}
    assert widened(policy | {"professions": TABLE | {"nurse": []}}, policy, EDITION) == [
        "professions"
    ]
    assert widened(policy, policy | {"professions": TABLE}, EDITION) == []
    assert widened(dict(policy), dict(policy), CONSENT - 1) == []


@pytest.mark.parametrize(
    "professions",
    [
        {"nurse": ["list"]},
        TABLE | {"surgeon": ["list"]},
        TABLE | {"nurse": ["read", "list"]},
        TABLE | {"nurse": ["export"]},
        TABLE | {"nurse": "list"},
    ],
    ids=["not all", "an unknown one", "not in order", "not a doctor's", "no list"],
)
def test_a_malformed_one_is_refused(professions: Any) -> None:
    ward = Ward()
    with pytest.raises(EventError, match="professions"):
        ward.log.change_policy(professions=professions)


def test_a_version_counts_from_its_edition() -> None:
    """An older log takes none that names professions, and no log goes back by one."""
    ward = Ward(CONSENT - 1)
    assert refusal(ward, CONSENT - 1) == refusal(Ward(), CONSENT - 1) == "registry"
    assert refusal(ward, CONSENT) == "appended"


def refusal(ward: Ward, edition: int) -> str:
    """The answer to version 2 of a policy that names an edition of the registry."""
    named = b64encode(registry_hash(edition))
    body = {"policy": {**DEFAULT_POLICY, "professions": TABLE}, "registry": named}
    return ward.log.answer(ward.log.operator, "policy.changed", body, v=2)


def test_physicians_may_all_that_the_role_may() -> None:
    assert tuple(TABLE["physician"]) == DOCTOR_ACTIONS == tuple(sorted(DOCTOR_ACTIONS))
    assert all(set(may) <= set(DOCTOR_ACTIONS) and may == sorted(may) for may in TABLE.values())
