"""What the log takes and what becomes of it: bodies, ids, clocks, retries, refusals, entry 0."""

from typing import Any
from unittest.mock import patch

import pytest

from crypto.encoding import b64encode
from ledger.entry import Entry, nested_event
from ledger.errors import Refused
from ledger.event import Event
from ledger.registry import registry_hash
from ledger.rows import Rows
from ledger.sequencer import Appended, Denied, Proposal, ledger_created
from ledger.signers import check_event
from ledger.times import format_time
from tests.support.memory_log import START, MemoryLog, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople, Scenario, after, approve, say, upload

MINUTES_5 = 300_000


def registered(c: MemoryPeople, by: Person, drop: str = "", **members: Any) -> str:
    body = c.log.patient_body(**members)
    body.pop(drop, None)
    return c.log.answer(by, "patient.registered", body, body["patient"])


TEEN, ADULT = "2024-02-29T00:00:00.000Z", "2030-03-01T00:00:00.000Z"


def granted(c: MemoryPeople, **members: Any) -> str:
    body = c.log.grant_body(c.doctor.account, **members)
    return c.log.answer(c.patient, "access.granted", body)


def twice(
    c: MemoryPeople, kind: str, by: Person, body: dict[str, Any], on: Person | str = ""
) -> str:
    c.log.do(by, kind, body, on)
    return c.log.answer(by, kind, body, on)


def amended(c: MemoryPeople, **members: Any) -> str:
    record = c.record.event.body["record"]
    body = c.log.record_body(record=record, version=2, **members)
    return c.log.answer(c.doctor, "record.amended", body, c.patient)


BODIES: dict[str, tuple[str, Scenario]] = {
    "an account in another's stream": (
        "stream",
        lambda c: c.log.answer(c.operator, "account.registered", {"account": c.log.id("ac")}, c.doctor.account),
    ),
    "an account by a doctor": ("role", say("account.registered", "doctor", lambda c: {"account": c.log.id("ac")})),
    "a patient by a doctor": ("appended", lambda c: registered(c, c.doctor)),
    "a patient by the service": ("appended", lambda c: registered(c, c.service, account=c.bare(c.service).account)),
    "a patient by the service, of a hospital's account": (
        "unknown", lambda c: registered(c, c.service, account=c.bare(c.admin).account)),
    "a patient by the service, of no account": ("unknown", lambda c: registered(c, c.service)),
    "a patient by the operator": ("deny S1 role", lambda c: registered(c, c.operator)),
    "a patient in another's stream": (
        "stream", lambda c: c.log.answer(c.admin, "patient.registered", c.log.patient_body(), c.patient)),
    "a minor": ("appended", lambda c: registered(c, c.admin, teen_from=TEEN, adult_from=ADULT)),
    "of no age": ("malformed", lambda c: registered(c, c.admin, drop="adult")),
    "adult and a minor": (
        "malformed", lambda c: registered(c, c.admin, adult=True, teen_from=TEEN, adult_from=ADULT)),
    "half a minor": ("malformed", lambda c: registered(c, c.admin, teen_from=TEEN)),
    "adult before teen": ("malformed", lambda c: registered(c, c.admin, teen_from=ADULT, adult_from=TEEN)),
    "a birthday that is none": (
        "malformed",
        lambda c: registered(c, c.admin, teen_from="2023-02-29T00:00:00.000Z", adult_from=ADULT),
    ),
    "a grant": ("appended", granted),
    "a grant that ends when it starts": ("malformed", lambda c: granted(c, days=0)),
    "a selective grant without records": ("malformed", lambda c: granted(c, scope="selective")),
    "a full grant with records": (
        "malformed", lambda c: granted(c, records=[c.record.event.body["record"]])),
    "a selective grant of everything sensitive": (
        "malformed",
        lambda c: granted(c, scope="selective", sensitive=True, records=[c.record.event.body["record"]]),
    ),
    "a second ledger.created": (
        "stream",
        lambda c: c.log.answer(c.operator, "ledger.created", c.log.entries[0].event.body),
    ),
    # An id is created once
    "a hospital twice": ("duplicate_id", lambda c: approve(c, c.hospital)),
    "an account twice": (
        "duplicate_id", lambda c: twice(c, "account.registered", c.operator, {"account": c.log.id("ac")})),
    "a patient twice": ("duplicate_id", lambda c: registered(c, c.admin, patient=c.patient.patient)),
    "a patient's account twice": ("duplicate_id", lambda c: registered(c, c.admin, account=c.patient.account)),
    "a hospital's doctor as its patient's account": (
        "duplicate_id", lambda c: registered(c, c.admin, account=c.doctor.account)),
    "a key twice": ("duplicate_id", lambda c: c.key(c.person, c.person)),
    "a key for a second account": (
        "duplicate_id", lambda c: c.key(c.operator, c.bare(c.operator).holding(c.person.key))),
    "a revoked key again": (
        "duplicate_id",
        lambda c: after(s := c.spare(), c.revoke(c.person, s), c.key(c.person, s)),
    ),
    "a record twice": ("duplicate_id", lambda c: upload(c, c.doctor, record=c.record.event.body["record"])),
    "a blob of another record": ("duplicate_id", lambda c: upload(c, c.doctor, blob=c.record.event.body["blob"])),
    "a blob of an earlier version": ("duplicate_id", lambda c: amended(c, blob=c.record.event.body["blob"])),
    "a new version": ("appended", amended),
    "a grant's id twice": (
        "duplicate_id",
        lambda c: granted(c, grant=c.log.grant(c.patient, c.doctor.account).event.body["grant"]),
    ),
    "an episode may come again": (
        "appended", lambda c: after(e := c.log.id("ep"), upload(c, c.doctor, episode=e), upload(c, c.doctor, episode=e))),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies_and_ids(name: str) -> None:
    expected, scenario = BODIES[name]
    assert scenario(MemoryPeople()) == expected


IMPOSSIBLE = "2026-02-31"
DAYS: dict[str, tuple[str, Scenario]] = {
    "a record of a day that isn't": ("malformed", lambda c: upload(c, c.doctor, clinical_date=IMPOSSIBLE)),
    "a record of a 29 February": ("appended", lambda c: upload(c, c.doctor, clinical_date="2024-02-29")),
    "a record of another 29 February": ("malformed", lambda c: upload(c, c.doctor, clinical_date="2026-02-29")),
    "a version of a day that isn't": ("malformed", lambda c: amended(c, clinical_date="2026-04-31")),
    "a record of the year 0": ("malformed", lambda c: upload(c, c.doctor, clinical_date="0000-01-01")),
    "a grant from a day": ("appended", lambda c: granted_partly(c, what={"date_from": "2024-02-29"})),
    **{
        f"a grant of what is {name} a day that isn't, {where}": ("malformed", scenario)
        for name in ("date_from", "date_to")
        for where, scenario in {
            "in what": lambda c, n=name: granted_partly(c, what={n: IMPOSSIBLE}),
            "but for": lambda c, n=name: granted_partly(
                c, what={"categories": ["laboratory"]}, exceptions=[{n: IMPOSSIBLE, "type": "deny"}]),
            "but for, within": lambda c, n=name: granted_partly(
                c, what={"categories": ["laboratory"]},
                exceptions=[{"categories": ["laboratory"], "exceptions": [{n: IMPOSSIBLE, "type": "permit"}],
                             "type": "deny"}]),
        }.items()
    },
}  # fmt: skip


def granted_partly(c: MemoryPeople, **members: Any) -> str:
    return c.log.answer(
        c.patient, "access.granted", c.log.grant_body(c.doctor.account, scope="partial", **members), v=2
    )  # fmt: skip


@pytest.mark.parametrize("name", DAYS)
def test_days_are_of_the_calendar(name: str) -> None:
    expected, scenario = DAYS[name]
    assert scenario(MemoryPeople()) == expected


def test_an_older_entry_of_an_impossible_day_stands() -> None:
    """It is read, verified and answered again as before."""
    c = MemoryPeople()
    body = c.log.record_body(clinical_date=IMPOSSIBLE)
    with patch("ledger.sequencer.check_days", lambda body: None):
        entry = c.log.do(c.doctor, "record.uploaded", body, c.patient)
    assert Entry.parse(entry.raw) == entry
    again = c.log.batch.admit(Proposal(entry.event, entry.sig))
    assert isinstance(again, Appended) and not again.fresh
    assert Entry.stored(entry.raw) == entry


# Clock, order, retries


@pytest.mark.parametrize(
    ("off", "expected"),
    [(0, "appended"), (MINUTES_5, "appended"), (-MINUTES_5, "appended"),
     (MINUTES_5 + 1, "clock"), (-MINUTES_5 - 1, "clock")],
)  # fmt: skip
def test_the_authors_clock_is_five_minutes_off_at_most(off: int, expected: str) -> None:
    c = MemoryPeople()
    at = format_time(c.log.now + off)
    body = {"account": c.log.id("ac")}
    assert c.log.answer(c.operator, "account.registered", body, at=at) == expected


def test_time_never_goes_back() -> None:
    c = MemoryPeople()
    c.log.wait(5_000)
    first = c.log.upload(c.doctor, c.patient)
    c.log.wait(-4_000)
    assert c.log.upload(c.doctor, c.patient).time == first.time


def test_the_stream_length_that_an_author_expects() -> None:
    c = MemoryPeople()
    length = c.record.link.stream_seq + 1
    event = c.log.event(c.doctor, "record.uploaded", c.log.record_body(), c.patient)
    for wrong in (0, length - 1, length + 1):
        outcome = c.log.admit(event, c.log.sign(c.doctor, event), wrong)
        assert isinstance(outcome, Refused) and outcome.code == "conflict"
    assert isinstance(c.log.admit(event, c.log.sign(c.doctor, event), length), Appended)


def test_a_late_retry_gets_its_entry() -> None:
    """A known id is looked up before the clock is judged."""
    c = MemoryPeople()
    c.log.wait(days=2)
    again = c.log.admit(c.record.event, c.record.sig)
    assert again == Appended(c.record, fresh=False)


def test_other_bytes_under_a_known_id_are_a_conflict() -> None:
    c = MemoryPeople()
    body = c.log.record_body()
    known = c.record.event.id
    assert c.log.answer(c.doctor, "record.uploaded", body, c.patient, id=known) == "conflict"


def test_what_is_refused_leaves_no_trace() -> None:
    c = MemoryPeople()
    before = (len(c.log.entries), c.log.batch.chain.tip, c.log.batch.frontier.root())
    for scenario in (granted_for_nothing, lambda c: upload(c, c.doctor.holding(c.log.new_key()))):
        scenario(c)
    assert before == (len(c.log.entries), c.log.batch.chain.tip, c.log.batch.frontier.root())


def granted_for_nothing(c: MemoryPeople) -> str:
    return granted(c, days=0)


def test_the_log_goes_on_from_where_it_is_and_nowhere_else() -> None:
    """What verifiers would reject for ever after is not taken."""
    c = MemoryPeople()
    size, root = c.log.batch.frontier.size, b64encode(c.log.batch.frontier.root())
    body = {"last_root": b64encode(bytes(32)), "last_size": size + 5, "root": root, "size": size}
    for wrong in ({"size": size - 1}, {"size": size + 1}, {"root": b64encode(bytes(32))}):
        assert c.log.answer(c.operator, "ledger.restored", body | wrong) == "conflict"
    assert c.log.answer(c.operator, "ledger.restored", body) == "appended"
    verify_log(c.log)


def test_both_chains_hold() -> None:
    c = MemoryPeople()
    tips: dict[str, tuple[int, bytes]] = {}
    prev = bytes(32)
    for seq, (entry, leaf) in enumerate(zip(c.log.entries, c.log.leaves, strict=True)):
        length, tip = tips.get(entry.event.stream, (0, bytes(32)))
        link = entry.link
        assert (link.seq, link.prev, link.stream_seq, link.stream_prev) == (seq, prev, length, tip)
        assert Entry.parse(entry.raw) == entry
        prev = leaf
        tips[entry.event.stream] = (length + 1, leaf)


# Refused readings


def outsider(c: MemoryPeople) -> Person:
    return c.log.doctor(c.stranger)


def opening(c: MemoryPeople, by: Person) -> Event:
    return c.log.event(by, "record.opened", reading(c.record), c.patient)


def test_a_denied_reading_stands_in_the_log() -> None:
    c = MemoryPeople()
    who = outsider(c)
    event = opening(c, who)
    sig = c.log.sign(who, event)
    denied = c.log.admit(event, sig)
    entry = c.log.entries[-1]
    assert isinstance(denied, Denied) and denied.seq == entry.link.seq
    assert entry.event.type.name == "access.refused" and entry.event.actor == c.service.account
    assert entry.decision == denied.decision and denied.decision["reason"] == "no_consent"
    assert nested_event(entry.event) == (event, sig)


def test_a_denied_readings_id_is_used() -> None:
    c = MemoryPeople()
    who = outsider(c)
    event = opening(c, who)
    first = c.log.admit(event, c.log.sign(who, event))
    size = len(c.log.entries)
    c.log.wait(days=1)
    assert c.log.admit(event, c.log.sign(who, event)) == first
    assert (
        c.log.answer(c.doctor, "record.opened", reading(c.record), c.patient, id=event.id)
        == "conflict"
    )
    assert len(c.log.entries) == size


def test_refusals_have_a_limit_an_hour() -> None:
    c = MemoryPeople()
    who = outsider(c)

    def ask() -> str:
        return c.log.answer(who, "record.opened", reading(c.record), c.patient)

    assert [ask() for _ in range(20)] == ["deny S12 no_consent"] * 20
    size = len(c.log.entries)
    assert [ask() for _ in range(3)] == ["too_many_refusals"] * 3
    assert len(c.log.entries) == size
    c.log.wait(hours=1)
    assert ask() == "deny S12 no_consent"
    assert c.log.entries[-1].event.body["skipped"] == 3
    ask()
    assert "skipped" not in c.log.entries[-1].event.body


# Entry 0


def first_event(log: MemoryLog, **members: Any) -> Event:
    operator, service = ((p.account, p.key) for p in (log.operator, log.service))
    event = ledger_created(
        log.origin, log.vkeys, operator, service, log.entries[0].event.body["policy"],
        registry_hash(), log.id("ev"), START,
    )  # fmt: skip
    return Event.of(event.value | {"body": event.body | members})


def test_entry_0_names_operator_and_service() -> None:
    log = MemoryLog()
    event = first_event(log)
    named = event.body
    other = named["operator"] | {"key": named["service"]["key"]}
    key = log.operator.key.id
    check_event(event, key, 0, START, log.origin, Rows())
    for wrong, signer in (
        (event, log.service.key.id),
        (event, log.new_key().id),
        (first_event(log, service=named["operator"]), key),
        (first_event(log, service=named["service"] | {"account": log.operator.account}), key),
        (first_event(log, operator=other), key),
        (first_event(log, service=named["service"] | {"key": key}), key),
    ):
        with pytest.raises(Refused):
            check_event(wrong, signer, 0, START, log.origin, Rows())


def test_nothing_else_is_entry_0() -> None:
    c = MemoryPeople()
    with pytest.raises(Refused):
        check_event(c.record.event, c.doctor.key.id, 0, START, c.log.origin, Rows())
