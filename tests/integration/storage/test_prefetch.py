"""What a batch loads beforehand is for speed alone: enough for everyday acts, and nothing hangs on it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.app.settings import Settings
from client import applying, authoring, grants, groups, readings, registering
from client.local import LocalClient
from client.registering import NewPatient
from client.staff import suspend_doctor
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied
from ledger.errors import Refused
from ledger.facts import ERASURE_WAIT_MS, Exclusion, Grant
from ledger.rows import Name
from ledger.sequencer import Outcome
from ledger.times import DAY_MS, format_time
from records import opening
from records.uploads import Upload
from storage.clock import wall_clock
from storage.sql import rowcache
from storage.sql.views import rebuild
from tests.support.histories import History, rich_history
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.one_by_one import play
from tests.support.sign_ins import Later

FORESIGHT = (
    "signer_needs",
    "needs",
    "consent_needs",
    "giver_needs",
    "group_needs",
    "next_needs",
    "live_needs",
    "linked_needs",
)
"""What tells which rows a batch will need."""


@pytest.fixture
def found(settings: Settings) -> Iterator[LedgerFixture]:
    """A ledger that isn't exported in the end."""
    made = LedgerFixture.found(settings)
    yield made
    made.close()


def nothing(*known: object) -> Iterator[Name]:
    """No row at all is foreseen."""
    return iter(())


def opened(client: LocalClient, doctor: Actor, record: str) -> None:
    """A record opened and read to its end."""
    assert b"".join(readings.read(client, doctor, record, "TREAT")[1].content) == CONTENT


class Everyday:
    """What people do all day, act by act, and for which of it a row had to be read that was not loaded."""

    def __init__(self, fixture: LedgerFixture, cold: bool) -> None:
        """`cold`: the ledger is opened again before each act."""
        self.fixture, self.cold = fixture, cold
        self.unforeseen: dict[str, int] = {}

    def act(self, name: str) -> LocalClient:
        """Begin an act; the one before has ended."""
        self.count()
        if self.cold:
            self.fixture.reopen()
        self.name, self.before = name, self.fixture.ledger.log.unforeseen
        return LocalClient(self.fixture.ledger)

    def count(self) -> None:
        """Count for the act that has ended."""
        if hasattr(self, "name"):
            more = self.fixture.ledger.log.unforeseen - self.before
            if more:
                self.unforeseen[self.name] = self.unforeseen.get(self.name, 0) + more

    def denied(self, name: str, person: Person, doctor: Actor, record: str) -> None:
        """An act that is refused."""
        client = self.act(name)
        with pytest.raises(AccessDenied):
            opened(client, doctor, record)
        with pytest.raises(AccessDenied):
            readings.chart(client, doctor, person.patient, "TREAT")


def a_day(day: Everyday) -> None:
    """Uploads, readings, consent, a department, a correction, and what is refused."""
    fixture = day.fixture
    north, south = fixture.north, fixture.south
    client = day.act("add a doctor")
    doctor = registering.add_member(
        client, south.admin, "doctor", south.hospital, "Dr. Ö", new_key()
    )[0]
    client = day.act("register a patient")
    now, key = client.now(), new_key()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Pat", None, False, key)
    registering.register_patients(client, north.system, [new])
    patient = new.patient
    pat = Person(patient, Actor(client.origin, new.account, "patient", "", key))
    record = authoring.upload(
        day.act("upload"), north.system, Upload(patient, "laboratory", "text/plain", [CONTENT])
    ).record
    authoring.amend(
        day.act("amend"),
        north.system,
        record,
        Upload(patient, "laboratory", "text/plain", [CONTENT]),
    )
    day.denied("refused", pat, doctor, record)
    grant = grants.grant(day.act("grant"), pat.actor, patient, doctor.account)[0]
    opened(day.act("open"), doctor, record)
    readings.chart(day.act("list"), doctor, patient, "TREAT")
    grants.revoke(day.act("revoke"), pat.actor, patient, doctor.account, grant)
    day.denied("refused after a revocation", pat, doctor, record)
    group = groups.form(day.act("form a group"), south.admin, "Cardiology")[0]
    groups.join(day.act("join a group"), south.admin, group, doctor.account)
    grants.grant(day.act("grant a group"), pat.actor, patient, group)
    opened(day.act("open as one of a group"), doctor, record)
    for reader in (group, doctor.account, south.hospital):
        grants.exclude(day.act("exclude"), pat.actor, patient, reader)
        day.denied("refused after an exclusion", pat, doctor, record)
        grants.include(day.act("include"), pat.actor, patient, reader)
    grants.hide(day.act("hide"), pat.actor, patient, record)
    day.denied("refused what is hidden", pat, doctor, record)
    grants.show(day.act("show"), pat.actor, patient, record)
    readings.history(day.act("history"), pat.actor, patient, "PATRQT")
    registering.correct_patient(day.act("correct"), north.system, patient, None, False, "Pat Lind")
    readings.export(day.act("export"), pat.actor, patient, "PATRQT")
    groups.leave(day.act("leave a group"), south.admin, group, doctor.account)
    authoring.retract(day.act("retract"), north.system, record, "TREAT")
    suspend_doctor(day.act("suspend a doctor"), south.admin, doctor.account)
    person = applying.register(day.act("register alone"), "Ada")[0]
    client = day.act("apply for a hospital")
    hospital, _ = applying.apply_for_hospital(client, person, "Ostklinik", "Etc/UTC", "Ada")
    applying.approve_hospital(day.act("approve a hospital"), fixture.operator, hospital)
    client = day.act("apply with a system's key")
    system, _ = applying.apply_with_system(client, person, "Seeklinik", "Etc/UTC", "Ada")
    applying.approve_hospital(day.act("approve with it"), fixture.operator, system.hospital)
    decisions: tuple[Callable[[LocalClient], int], ...] = (
        lambda client: applying.decline_doctor(client, south.admin, person.account, "not_known"),
        lambda client: applying.approve_doctor(client, south.admin, person.account),
        lambda client: applying.end_doctor(client, south.admin, person.account),
    )
    for decide in decisions:
        if decide is not decisions[-1]:
            applying.apply_as_doctor(day.act("apply as a doctor"), person, south.hospital)
        decide(day.act("decide on a doctor"))
    day.count()


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_everything_everyday_is_foreseen(found: LedgerFixture, cold: bool) -> None:
    """No act of a day reads a row under the lock that was not loaded with its batch."""
    day = Everyday(found, cold)
    a_day(day)
    assert day.unforeseen == {}


class Restless(LedgerFixture):
    """A ledger that is closed and opened again before each event."""

    clock: Callable[[], int] = staticmethod(wall_clock)

    def answer(
        self, event: dict[str, object], key: SigningKey, session: int | None = None, **sent: object
    ) -> Outcome:
        """What comes of an event; the rows that it needed were all loaded beforehand."""
        self.reopen(self.clock)
        outcome = super().answer(event, key, session, **sent)
        assert self.ledger.log.unforeseen == 0, event
        return outcome


def test_every_event_of_a_rich_history_is_foreseen(settings: Settings) -> None:
    """Every type that is folded, and decisions by every rule, each in a cold batch of its own."""
    fixture = Restless.found(settings)
    try:
        rich_history(fixture)
    finally:
        fixture.close()


def test_what_the_service_does_days_later_is_foreseen(tmp_path: Path) -> None:
    """It begins an erasure that waited, and says that it is done. PostgreSQL has a clock of its own."""
    fixture = Restless.found(Settings(data=tmp_path / "data"))
    try:
        fixture.clock = clock = Later()
        history = History(fixture, fixture.person())
        body = history.upload(history.pat.actor, purpose="PATRQT")
        asked = {"purpose": "PATRQT", "record": body["record"]}
        erasure = history.do(history.pat.actor, "erasure.requested", asked).event.id
        clock.ahead = ERASURE_WAIT_MS
        fixture.reopen(clock)
        begun: dict[str, object] = {"erasure": erasure}
        history.do(history.service, "erasure.begun", begun, history.pat.stream)
        done = begun | {"blobs": 1, "keys": 2, "records": 1}
        history.do(history.service, "erasure.completed", done, history.pat.stream)
    finally:
        fixture.close()


def test_who_is_excluded_is_refused_whatever_was_loaded(
    found: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lines that foresee exclusions: after a restart the row is read when it is asked for."""
    pat, doctor = found.person(), found.doctor()
    record, client = found.record(pat).record, LocalClient(found.ledger)
    grants.grant(client, pat.actor, pat.patient, doctor.account)
    excluded = grants.exclude(client, pat.actor, pat.patient, doctor.account)
    monkeypatch.setattr(rowcache, "consent_needs", nothing)
    found.reopen()
    with pytest.raises(AccessDenied):
        opening.open_record(found.ledger, found.reading(doctor, record))
    refusal = found.ledger.entry(found.size() - 1)
    assert refusal.decision is not None
    assert (refusal.decision["rule"], refusal.decision["basis"]) == ("S7", [excluded])
    assert found.ledger.log.unforeseen > 0
    assert found.ledger.row(Exclusion, pat.patient, doctor.account) is not None


@pytest.mark.parametrize("run", range(2))
def test_nothing_hangs_on_what_was_loaded(
    found: LedgerFixture, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no row foreseen at all, cold batches decide as one by one."""
    for name in FORESIGHT:
        monkeypatch.setattr(rowcache, name, nothing)
    play(found, random.Random(f"nothing foreseen {run}"), "cold")
    assert found.ledger.log.unforeseen > 0


ENDED = 40
"""Grants of each kind that have ended."""


def run_out(client: LocalClient, pat: Person, doctor: Actor, now: int) -> None:
    """A grant whose time is over as it is made."""
    body = {
        "actions": ["list", "read"], "end": format_time(now - DAY_MS), "grant": new_id("gr", now),
        "grantee": doctor.account, "purpose": "PATRQT", "scope": "full", "start": format_time(now - 2 * DAY_MS),
    }  # fmt: skip
    event = pat.actor.event("access.granted", f"patient/{pat.patient}", body, client.now()) | {
        "v": 2
    }
    client.append(pat.actor, [event])


def test_what_has_ended_is_not_loaded(found: LedgerFixture) -> None:
    """Revoked, used up or run out, it costs a decision nothing: not one row of it is read."""
    pat, doctor, client = found.person(), found.doctor(), LocalClient(found.ledger)
    record = found.record(pat).record
    now = found.ledger.clock()
    for _ in range(ENDED):
        run_out(client, pat, doctor, now)
        grants.grant(client, pat.actor, pat.patient, doctor.account, uses=1)
        opened(client, doctor, record)
        revoked = grants.grant(client, pat.actor, pat.patient, doctor.account)[0]
        grants.revoke(client, pat.actor, pat.patient, doctor.account, revoked)
    grants.grant(client, pat.actor, pat.patient, doctor.account)
    found.reopen()
    opened(LocalClient(found.ledger), doctor, record)
    state = found.ledger.log._state
    assert state is not None
    assert len(state.rows.all(Grant)) == 1
    assert len(found.ledger.live_grants(pat.patient, now)) == 1


def test_a_revocation_of_all_ends_what_has_run_out_too(found: LedgerFixture) -> None:
    """Whatever was loaded for decisions before: the rows are those of a log that is folded in one go."""
    pat, doctor, client = found.person(), found.doctor(), LocalClient(found.ledger)
    record, now = found.record(pat).record, found.ledger.clock()
    run_out(client, pat, doctor, now)
    grants.grant(client, pat.actor, pat.patient, doctor.account, uses=1)
    opened(client, doctor, record)
    grants.revoke(client, pat.actor, pat.patient, doctor.account)
    assert not [one for one in found.ledger.rows(Grant, "patient", pat.patient) if one.active]
    assert not rebuild(found.ledger.store, False).differences


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_whoever_was_granted_something_once_can_be_revoked_again(
    found: LedgerFixture, cold: bool
) -> None:
    """Also where nothing stands any more; whoever was never granted anything is unknown."""
    pat, doctor, other = found.person(), found.doctor(), found.doctor()
    grants.grant(LocalClient(found.ledger), pat.actor, pat.patient, doctor.account)
    for _ in range(2):
        if cold:
            found.reopen()
        assert grants.revoke(LocalClient(found.ledger), pat.actor, pat.patient, doctor.account)
    if cold:
        found.reopen()
    with pytest.raises(Refused, match="has granted nothing to"):
        grants.revoke(LocalClient(found.ledger), pat.actor, pat.patient, other.account)
