"""Claims in the log: a code works once, for its patient and the account that it was signed for; and until then nobody
is the patient. What holds for the sequencer holds for whoever reads the log."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.replay import Replay
from crypto.claims import claim_key
from crypto.encoding import b64encode
from ledger.directory import Patient
from ledger.editions import PEOPLE
from ledger.errors import Refused
from ledger.messages import claim_message
from ledger.times import parse_time
from tests.support.memory_log import MemoryLog, Person, verify_log

GRANTS = {"access.granted", "reader.excluded", "chart.exported", "chart.opened", "history.opened"}


def secret(number: int) -> bytes:
    """The 16 bytes of a code."""
    return hashlib.sha256(b"code %d" % number).digest()[:16]


@dataclass
class Claims:
    """A hospital with an admin, a system and a doctor; another one; a chart that waits; a person with an account."""

    log: MemoryLog = field(default_factory=MemoryLog)

    def __post_init__(self) -> None:
        """Everybody is registered here."""
        log = self.log
        self.admin, self.other = log.admin(log.hospital()), log.admin(log.hospital())
        self.system, self.doctor = log.system(self.admin), log.doctor(self.admin)
        self.stranger = log.doctor(self.other)
        self.person = log.account()
        self.made = self.register(1)

    def register(self, number: int, by: Person | None = None, **members: Any) -> Person:
        """A chart with the code of that number, and the account made for it, without a key."""
        body = self.log.patient_body(**members)
        body["claim"] = self.public(number, body["patient"])
        self.log.do(by or self.system, "patient.registered", body, body["patient"], v=2)
        return Person(body["account"], self.log.new_key(), "patient", "", body["patient"])

    def unkeyed(self, by: Person | None = None, **members: Any) -> Person:
        """A chart without any code, whose account has no key."""
        body = self.log.patient_body(**members)
        self.log.do(by or self.system, "patient.registered", body, body["patient"])
        return Person(body["account"], self.log.new_key(), "patient", "", body["patient"])

    def public(self, number: int, patient: str) -> str:
        return b64encode(claim_key(secret(number), patient).public)

    def offer(self, number: int, by: Person | None = None, chart: str = "", **bent: Any) -> str:
        patient = chart or self.made.patient
        body = {
            "claim": self.public(number, patient),
            "patient": patient,
            "purpose": "TREAT",
        } | bent
        return self.log.answer(by or self.system, "claim.offered", body, patient)

    def proof(self, number: int, account: str, chart: str = "", origin: str = "") -> str:
        patient = chart or self.made.patient
        message = claim_message(origin or self.log.origin, patient, account)
        return b64encode(claim_key(secret(number), patient).sign(message))

    def claim(self, number: int, by: Person | None = None, chart: str = "", **bent: Any) -> str:
        who, patient = by or self.person, chart or self.made.patient
        body = {
            "account": who.account,
            "patient": patient,
            "proof": self.proof(number, who.account, patient),
            "purpose": "PATRQT",
        } | bent
        return self.log.answer(who, "patient.claimed", body, patient)

    def says(self, who: Person, kind: str) -> str:
        """What the log answers to something that only the patient may do."""
        bodies: dict[str, dict[str, Any]] = {
            "access.granted": self.log.grant_body(self.stranger.account),
            "reader.excluded": {"purpose": "PATRQT", "reader": self.stranger.account},
            "chart.exported": {"count": 0, "purpose": "PATRQT", "root": b64encode(bytes(32))},
        }
        body = bodies.get(kind, {"purpose": "PATRQT"})
        return self.log.answer(who, kind, body, self.made.patient)

    def patient(self, person: Person, chart: str = "") -> Person:
        """The person as the patient of the chart."""
        return Person(person.account, person.key, "patient", "", chart or self.made.patient)

    def row(self, chart: str = "") -> Patient:
        found = self.log.batch.look.get(Patient, chart or self.made.patient)
        assert found is not None
        return found


@pytest.fixture
def c() -> Claims:
    return Claims()


def test_whoever_claims_is_the_patient(c: Claims) -> None:
    """From the entry on, whose number is the basis; the account that was made for the chart acts no more."""
    c.log.register_key(c.system, c.made)
    assert c.claim(1) == "appended"
    seq = c.log.entries[-1].link.seq
    assert c.log.entries[-1].decision is not None
    assert c.log.entries[-1].decision["basis"] == [seq - 2]
    assert c.row().account == c.person.account
    assert (c.row().claimed, c.row().offered, c.row().claim) == (seq, 0, b"")
    mine = c.patient(c.person)
    for kind in sorted(GRANTS):
        assert c.says(mine, kind) == "appended", kind
        decision = c.log.entries[-1].decision
        assert decision is not None
        assert (decision["rule"], decision["basis"]) == ("S5", [seq])
        assert c.says(c.made, kind).startswith("deny S0"), kind


@pytest.mark.parametrize("kind", sorted(GRANTS))
def test_until_claimed_nobody_is_the_patient(c: Claims, kind: str) -> None:
    c.log.register_key(c.system, c.made)
    assert c.says(c.made, kind) == "deny S2 unclaimed"
    assert c.says(c.patient(c.person), kind).startswith("deny S0")


def test_a_code_counts_once(c: Claims) -> None:
    assert c.claim(1) == "appended"
    second = c.log.account()
    assert c.claim(1) == "deny S12 no_consent"
    assert c.claim(1, second) == "deny S12 no_consent"


def test_a_code_is_its_patients_alone(c: Claims) -> None:
    """Neither another chart with the same code, nor the proof of another chart."""
    other = c.register(1)
    assert c.claim(1, proof=c.proof(1, c.person.account, other.patient)) == "claim"
    assert c.claim(1, chart=other.patient, proof=c.proof(1, c.person.account)) == "claim"
    assert c.claim(1) == "appended"
    assert not c.row(other.patient).claimed


def test_a_code_is_the_accounts_alone_that_it_was_signed_for(c: Claims) -> None:
    """Whoever sees a claim can't make it their own: neither the server nor a reader of the log."""
    thief = c.log.account()
    assert c.claim(1, thief, proof=c.proof(1, c.person.account)) == "claim"
    theirs = c.proof(1, c.person.account)
    assert c.claim(1, thief, account=c.person.account, proof=theirs) == "claim"
    assert c.claim(1) == "appended"


def test_a_code_is_this_logs_alone(c: Claims) -> None:
    assert c.claim(1, proof=c.proof(1, c.person.account, origin="log.example/other")) == "claim"


def test_another_code_is_none(c: Claims) -> None:
    assert c.claim(2) == "claim"
    assert c.claim(1, proof=b64encode(bytes(64))) == "claim"


def test_the_newest_offer_counts(c: Claims) -> None:
    assert c.offer(2) == "appended"
    assert c.row().offered == c.log.entries[-1].link.seq
    assert c.claim(1) == "claim"
    assert c.offer(3, c.admin) == "appended"
    assert c.claim(2) == "claim"
    assert c.claim(3) == "appended"


def test_who_may_offer(c: Claims) -> None:
    """The hospital that registered, and one that has a record; its admins and systems."""
    assert c.offer(2, c.doctor) == "deny S1 role"
    assert c.offer(2, c.other) == "deny S12 no_consent"
    assert c.offer(2, c.log.service) == "deny S12 no_consent"
    assert c.offer(2, c.person) == "deny S12 no_consent"
    chart = c.unkeyed()
    assert c.offer(2, c.other, chart.patient) == "deny S12 no_consent"
    record = c.log.upload(c.stranger, chart)
    assert c.offer(2, c.other, chart.patient) == "appended"
    retracted = {"purpose": "TREAT", "record": record.event.body["record"]}
    c.log.do(c.stranger, "record.retracted", retracted, chart)
    assert c.offer(3, c.other, chart.patient) == "deny S12 no_consent"
    assert c.claim(2, chart=chart.patient) == "appended"


def test_no_other_hospital_replaces_a_code_that_waits(c: Claims) -> None:
    """It would make the letter that the patient has worthless, and put its own in its place; who registered may."""
    c.log.upload(c.stranger, c.made)
    assert c.offer(2, c.other) == "conflict"
    chart = c.unkeyed()
    c.log.upload(c.stranger, chart)
    third = c.log.admin(c.log.hospital())
    c.log.upload(c.log.doctor(third), chart)
    assert c.offer(3, c.other, chart.patient) == "appended"
    assert c.offer(4, third, chart.patient) == "conflict"
    assert c.offer(5, c.other, chart.patient) == "appended"
    assert c.offer(6, c.admin, chart.patient) == "appended"
    assert c.offer(7, c.other, chart.patient) == "conflict"
    assert c.claim(1) == "appended"


def test_a_chart_without_a_code_is_offered_later(c: Claims) -> None:
    chart = c.unkeyed()
    assert c.offer(5, chart=chart.patient) == "appended"
    c.log.register_key(c.system, chart)
    assert c.log.answer(chart, "chart.opened", {"purpose": "PATRQT"}) == "deny S2 unclaimed"
    assert c.claim(5, chart=chart.patient) == "appended"


def test_no_offer_takes_a_chart_from_who_is_the_patient(c: Claims) -> None:
    """Neither from whoever claimed it, nor from whoever acts by a key, even a revoked one."""
    keyed = c.log.patient(c.system)
    assert c.offer(2, chart=keyed.patient) == "conflict"
    body = {"account": keyed.account, "key": keyed.key.id}
    c.log.do(c.system, "key.revoked", body, keyed.account)
    assert c.offer(2, chart=keyed.patient) == "conflict"
    assert c.claim(1) == "appended"
    assert c.offer(2) == "conflict"


def test_no_code_for_ones_own_staff(c: Claims) -> None:
    """Another hospital's code it may be."""
    assert c.claim(1, c.doctor.acting("person")) == "role"
    c.log.do(c.admin, "doctor.suspended", {"account": c.doctor.account})
    assert c.claim(1, c.doctor.acting("person")) == "role"
    assert c.claim(1, c.stranger.acting("person")) == "appended"
    other = c.register(4)
    c.log.do(c.admin, "doctor.approved", {"account": other.account})
    assert c.offer(5, chart=other.patient) == "role"
    c.log.do(c.admin, "doctor.suspended", {"account": other.account})
    assert c.offer(5, chart=other.patient) == "role"


def test_no_account_that_the_offering_hospital_registered_claims(c: Claims) -> None:
    """Its registrar chose its first key. Of another hospital's, or of the service's, it is the person's own."""
    log = c.log
    own = log.account(c.admin)
    assert c.claim(1, own) == "role"
    former = log.doctor(c.admin)
    log.do(c.admin, "doctor.ended", {"account": former.account})
    assert c.claim(1, former.acting("person")) == "role"
    assert c.claim(1, log.account(c.other)) == "appended"
    assert c.claim(8, log.account(log.service), chart=c.register(8).patient) == "appended"


CHILD: dict[str, Any] = {
    "teen_from": "2039-01-01T00:00:00.000Z",
    "adult_from": "2045-01-01T00:00:00.000Z",
}
TEEN: dict[str, Any] = CHILD | {"teen_from": "2020-01-01T00:00:00.000Z"}


def test_no_code_for_a_child(c: Claims) -> None:
    """Neither with the registration nor later; and whoever may not offer at all isn't told the age."""
    body = c.log.patient_body(**CHILD)
    body["claim"] = c.public(1, body["patient"])
    assert c.log.answer(c.system, "patient.registered", body, body["patient"], v=2) == "conflict"
    chart = c.unkeyed(**CHILD)
    assert c.offer(2, chart=chart.patient) == "deny S2 minor"
    assert c.log.entries[-1].decision is not None
    assert c.log.entries[-1].decision["basis"] == [c.row(chart.patient).seq]
    assert c.offer(2, c.other, chart.patient) == "deny S12 no_consent"
    teen = c.register(3, **TEEN)
    assert c.claim(3, chart=teen.patient) == "appended"


def test_nobody_claims_who_turns_out_to_be_a_child(c: Claims) -> None:
    """Corrected while the code waits: it is worth nothing until the day has come."""
    body = {"patient": c.made.patient, "purpose": "TREAT"} | CHILD
    c.log.do(c.admin, "patient.corrected", body, c.made.patient)
    assert c.claim(1) == "deny S2 minor"
    assert c.offer(2) == "deny S2 minor"
    c.log.do(c.admin, "patient.corrected", body | TEEN, c.made.patient)
    assert c.claim(1) == "appended"


def test_a_claim_makes_nobody_younger_later(c: Claims) -> None:
    """A hospital can't take a claimed chart back by calling its patient a child; older it may."""
    assert c.claim(1) == "appended"
    body = {"patient": c.made.patient, "purpose": "TREAT"}
    for ages in (CHILD, TEEN):
        assert c.log.answer(c.admin, "patient.corrected", body | ages, c.made.patient) == "conflict"
    teen = c.register(3, **TEEN)
    told = body | {"patient": teen.patient}
    assert c.claim(3, chart=teen.patient) == "appended"
    assert c.log.answer(c.admin, "patient.corrected", told | CHILD, teen.patient) == "conflict"
    later = TEEN | {"adult_from": "2046-01-01T00:00:00.000Z"}
    assert c.log.answer(c.admin, "patient.corrected", told | later, teen.patient) == "conflict"
    assert c.log.answer(c.admin, "patient.corrected", told | TEEN, teen.patient) == "appended"
    assert (
        c.log.answer(c.admin, "patient.corrected", told | {"adult": True}, teen.patient)
        == "appended"
    )


def test_a_childs_claim_breaks_the_types_own_rules_too(c: Claims) -> None:
    """So whoever verifies a log without the consent rules sees one that a gate let pass."""
    body = {"patient": c.made.patient, "purpose": "TREAT"} | CHILD
    c.log.do(c.admin, "patient.corrected", body, c.made.patient)
    offered = {"claim": c.public(2, c.made.patient), "patient": c.made.patient, "purpose": "TREAT"}
    claimed = {
        "account": c.person.account, "patient": c.made.patient, "purpose": "PATRQT",
        "proof": c.proof(1, c.person.account),
    }  # fmt: skip
    for who, kind, sent, refusal in (
        (c.system, "claim.offered", offered, "old enough"),
        (c.person, "patient.claimed", claimed, "not to be claimed"),
    ):
        event = c.log.event(who, kind, sent, c.made.patient)
        event.type.rule(event, parse_time(CHILD["teen_from"]), c.log.origin, c.log.batch.look)
        with pytest.raises(Refused, match=refusal):
            event.type.rule(event, c.log.now, c.log.origin, c.log.batch.look)


def test_the_account_that_was_made_for_a_chart_claims_none(c: Claims) -> None:
    """Whichever hospital offers the code."""
    c.log.register_key(c.system, c.made)
    assert c.claim(1, c.made.acting("person")) == "role"
    chart = c.unkeyed()
    c.log.upload(c.stranger, chart)
    assert c.offer(2, c.other, chart.patient) == "appended"
    c.log.register_key(c.system, chart)
    assert c.claim(2, chart.acting("person"), chart.patient) == "role"


def test_staff_who_registered_alone_are_staff(c: Claims) -> None:
    """Suspended or not; once they have left, they are people like others."""
    one = c.log.account(c.log.service)
    c.log.do(c.admin, "doctor.approved", {"account": one.account})
    assert c.claim(1, one) == "role"
    c.log.do(c.admin, "doctor.suspended", {"account": one.account})
    assert c.claim(1, one) == "role"
    c.log.do(c.admin, "doctor.ended", {"account": one.account})
    assert c.claim(1, one) == "appended"


def test_only_a_person_claims(c: Claims) -> None:
    assert c.claim(1, c.doctor) == "deny S12 no_consent"
    assert c.claim(1, c.log.service) == "deny S12 no_consent"
    assert c.claim(1, chart=c.log.id("pt")) == "deny S0 invalid"
    on_behalf = {"on_behalf_of": c.doctor.account}
    body = {"account": c.person.account, "patient": c.made.patient, "purpose": "PATRQT"}
    body["proof"] = c.proof(1, c.person.account)
    assert (
        c.log.answer(c.person, "patient.claimed", body, c.made.patient, **on_behalf)
        == "deny S12 no_consent"
    )


def test_who_registers_alone_is_the_patient_at_once(c: Claims) -> None:
    """And no hospital's offer changes that, whatever it has of them."""
    log = c.log
    alone = log.account(log.service)
    body = log.patient_body(account=alone.account)
    log.do(log.service, "patient.registered", body, body["patient"], v=2)
    mine = c.patient(alone, body["patient"])
    assert log.answer(mine, "access.granted", log.grant_body(c.stranger.account)) == "appended"
    log.upload(c.doctor, mine)
    assert c.offer(2, chart=mine.patient) == "conflict"
    assert c.offer(2, log.service, chart=mine.patient) == "conflict"


def test_the_service_offers_to_whom_it_registered_with_a_code(c: Claims) -> None:
    log = c.log
    made = log.id("ac")
    log.do(log.service, "account.registered", {"account": made})
    chart = c.register(6, log.service, account=made)
    assert c.offer(7, c.admin, chart.patient) == "deny S12 no_consent"
    assert c.offer(7, log.service, chart.patient) == "appended"
    assert c.claim(6, chart=chart.patient) == "claim"
    assert c.claim(7, chart=chart.patient) == "appended"


def test_before_the_edition_there_are_no_claims() -> None:
    log = MemoryLog(edition=PEOPLE - 1)
    system = log.system(log.admin(log.hospital()))
    body = log.patient_body()
    body["claim"] = b64encode(claim_key(secret(1), body["patient"]).public)
    assert log.answer(system, "patient.registered", body, body["patient"], v=2) == "registry"


def test_auditor_and_verifier_agree(c: Claims) -> None:
    """Of a log with offers, claims and refused ones: every decision is given again, and every entry verifies."""
    c.log.register_key(c.system, c.made)
    for kind in sorted(GRANTS):
        c.says(c.made, kind)
    c.offer(2)
    c.claim(1)
    c.claim(2)
    c.claim(2)
    c.says(c.patient(c.person), "access.granted")
    replay = Replay()
    for entry in c.log.entries:
        replay.take(entry.raw)
    assert replay.wrong == []
    assert replay.rows.get(Patient, c.made.patient) == c.row()
    assert replay.by_rule["deny S2 unclaimed"] == len(GRANTS)
    verify_log(c.log)


@pytest.mark.parametrize("v", [1, 2])
@pytest.mark.parametrize("member", ["account", "patient"])
def test_registering_takes_the_ids_of_chart_and_account(c: Claims, member: str, v: int) -> None:
    taken = c.register(7)
    body = c.log.patient_body() | {member: getattr(taken, member)}
    if v == 2:
        body["claim"] = c.public(7, body["patient"])
    assert (
        c.log.answer(c.system, "patient.registered", body, body["patient"], v=v) == "duplicate_id"
    )
