"""What one author wrote badly keeps nothing else from a reader: made-up bytes where a sealed text belongs, of titles and names.

Each in the log by the usual door, beside the data and over HTTP, and then seen by everybody who is shown it.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from client import applying, authoring, disclosing, groups, readings, registering
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.readers import reader_of
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key, write_keyfile
from journeys.errors import AccessDenied, RecordsError
from ledger.entry import Entry
from people.reserving import Subject
from records.uploads import Upload, members_of
from tests.integration.records.test_disclosures import WHAT
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.memory_log import SEALED
from tests.support.people import People
from tests.support.server import in_process

NOISE = {"made up": SEALED, "another text's": ""}
"""What stands in place of a sealed text; empty: the same text, sealed for another event."""


@pytest.fixture
def clients(fixture: LedgerFixture) -> Iterator[list[LedgerClient]]:
    """Beside the data, and over HTTP."""
    with ExitStack() as stack:
        web = stack.enter_context(in_process(fixture.ledger))
        yield [LocalClient(fixture.ledger), stack.enter_context(closing(HttpClient(web.url)))]


def upload(
    client: LedgerClient, actor: Actor, one: Upload, noise: str, record: str = "", **bent: Any
) -> str:
    """Upload, or amend, a record whose title and file name are no sealed texts of it."""
    version = len(client.address(actor, record).blobs) + 1 if record else 1
    staged = client.stage(actor, one.patient, one.content, record)
    now = client.now()
    event_id, another = new_id("ev", now), new_id("ev", now)
    sealed = client.seal(
        actor, one.patient, staged.record, another, {"title": "Stolen", "file_name": "Stolen"}
    ).fields
    body: dict[str, Any] = members_of(one) | {
        "blob": staged.blob, "purpose": "TREAT", "record": staged.record, "sha256": b64encode(staged.sha256),
        "size": staged.size, "version": version, **({name: noise or text for name, text in sealed.items()}),
    }  # fmt: skip
    kind = "record.amended" if record else "record.uploaded"
    event = actor.event(kind, f"patient/{one.patient}", body | bent, now, event_id)
    client.append(actor, [event])
    return staged.record


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_a_title_that_is_none_keeps_no_chart_from_its_patient(
    fixture: LedgerFixture,
    clients: list[LedgerClient],
    noise: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By any hospital's doctor, of an upload or an amendment: list, export and readings go on, and say which title it is."""
    people = People.of(fixture)
    pat, patient, doctor = people.pat.actor, people.pat.patient, people.doctor
    own = Upload(patient, "document", "text/plain", [b"mine"], title="My own")
    for client in clients:
        caplog.clear()
        amended = authoring.upload(client, doctor, own).record
        one = Upload(patient, "document", "text/plain", [b"x"])
        bad = {upload(client, doctor, one, noise), upload(client, doctor, one, noise, amended)}
        with caplog.at_level(logging.WARNING):
            seen = readings.chart(client, pat, patient, "PATRQT")
        titles = {line.record.record: (line.title, line.unopened) for line in seen.lines}
        assert titles[people.record] == ("Blood count", False)
        assert all(titles[record] == ("", True) for record in bad)
        said = [r for r in caplog.records if r.message == "a sealed text can't be opened"]
        assert said and all(r.name == "journeys.unopened" for r in said)
        assert "ev_" in said[-1].__dict__["id"] and "Stolen" not in caplog.text
        for record in bad:
            shown = readings.read(client, pat, record, "PATRQT")[1]
            assert (shown.texts, set(shown.unopened)) == ({}, {"title", "file_name"})
            assert b"".join(shown.content) == b"x"
        good = readings.read(client, pat, people.record, "PATRQT")[1]
        assert (good.texts, good.unopened) == ({"title": "Blood count"}, ())
        assert b"".join(good.content)
        _, taken = readings.export(client, pat, patient, "PATRQT")
        assert bad <= {one.record.record for one in taken}
        assert all(b"".join(one.content) for one in taken)
    key = write_keyfile(fixture.settings.data.with_name("pat.key"), pat)
    ran = heartwood(fixture.settings, "chart", "--as", key)
    assert ran.code == 0 and "Blood count" in ran.out and "its title can't be opened" in ran.out


def test_a_thousand_of_them_are_one_call(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper's answer marks which can't be opened: a list of many isn't as many calls."""
    people, client, calls = People.of(fixture), LocalClient(fixture.ledger), list[int]()
    one = Upload(people.pat.patient, "document", "text/plain", [b"x"])
    for _ in range(10):
        upload(client, people.doctor, one, SEALED)
    ask = fixture.ledger.keeper.open_fields

    def counted(evidence: Any, sealed: Any) -> Any:
        calls.append(len(sealed))
        return ask(evidence, sealed)

    monkeypatch.setattr(fixture.ledger.keeper, "open_fields", counted)
    seen = readings.chart(client, people.pat.actor, people.pat.patient, "PATRQT")
    assert sum(line.unopened for line in seen.lines) == 10
    assert calls and set(calls) == {11} and len(calls) < 4  # again where the keeper stood elsewhere


def staffed(client: LedgerClient, admin: Actor, kind: str = "doctor", noise: str = SEALED) -> Actor:
    """Somebody whom a hospital takes on under a made-up name."""
    key = new_key()
    account, events = registering.new_account(client, admin, "Dr. X", key, "device")
    events[0]["body"]["name"] = noise
    body = {"account": account}
    name = {"doctor": "doctor.approved", "hospital_admin": "admin.appointed"}[kind]
    events.append(admin.event(name, f"hospital/{admin.hospital}", body, client.now()))
    client.append(admin, events)
    return Actor(client.origin, account, kind, admin.hospital, key)


def test_a_name_that_is_none_keeps_no_history_from_anybody(
    fixture: LedgerFixture, clients: list[LedgerClient]
) -> None:
    """Somebody under a made-up name merely tries to read: the patient's history goes on, and shows the id; so do the hospital,
    its groups, who is granted to, the emergencies and the doctors of its admin."""
    people, admin = People.of(fixture), fixture.south.admin
    pat, patient = people.pat.actor, people.pat.patient
    for client in clients:
        who = staffed(client, admin)
        with pytest.raises(AccessDenied):
            readings.read(client, who, people.record, "TREAT")
        group = groups.form(client, admin, "Night shift")[0]
        bad_group = new_id("gp", client.now())
        formed = _formed(client, admin, bad_group)
        client.append(admin, [formed])
        found = readings.history(client, pat, patient, "PATRQT")
        assert who.account in {act.actor for act in found.acts()}
        assert who.account not in found.names and fixture.south.hospital in found.names
        house = client.hospital(pat, fixture.south.hospital)
        assert house.doctors[who.account] == ""
        names = {one.group: one.name for one in house.groups}
        assert (names[group], names[bad_group]) == ("Night shift", "")
        assert reader_of(client, pat, who.account).name == who.account
        assert "the group of" in reader_of(client, pat, bad_group).name
        assert client.holder(pat, who.account).name == ""
        doctors = client.doctors(admin, fixture.south.hospital).doctors
        assert {one.account: one.name for one in doctors}[who.account] == ""


def _formed(client: LedgerClient, admin: Actor, group: str) -> dict[str, Any]:
    """A group under a made-up name."""
    now = client.now()
    event_id = new_id("ev", now)
    client.reserve(admin, [Subject(group, event_id, {"name": "x"})])
    body = {"group": group, "name": SEALED}
    return admin.event("group.formed", f"hospital/{admin.hospital}", body, now, event_id)


def applied(client: LedgerClient, stranger: Actor | None = None) -> str:
    """The hospital for which a stranger applied with a made-up name and contact."""
    who = stranger or applying.register(client, "Ann")[0]
    hospital, event_id = new_id("hs", client.now()), new_id("ev", client.now())
    client.reserve(who, [Subject(hospital, event_id, {"contact": "x", "name": "x"})])
    body = {"contact": SEALED, "hospital": hospital, "name": SEALED, "time_zone": "Etc/UTC"}
    client.append(who, [who.event("hospital.applied", "ledger", body, client.now(), event_id)])
    return hospital


def test_an_application_whose_words_are_none_keeps_no_other_from_who_decides(
    fixture: LedgerFixture, clients: list[LedgerClient]
) -> None:
    """The operator's list of hospitals and a hospital's of applicants go on; what can't be read is declined, and not approved."""
    operator, admin = fixture.operator, fixture.south.admin
    key = write_keyfile(fixture.settings.data.with_name("operator.key"), operator)
    for client in clients:
        stranger, other = (applying.register(client, name)[0] for name in ("Ann", "Ben"))
        good = applying.apply_for_hospital(client, other, "Westklinik", "Etc/UTC", "a@b.example")[0]
        bad = applied(client, stranger)
        for state in ("", "pending"):
            listed = client.hospitals(operator, state).hospitals
            found = {one.hospital: (one.name, one.contact) for one in listed}
            assert (found[good], found[bad]) == (("Westklinik", "a@b.example"), ("", ""))
        assert client.applications(stranger).hospitals[0].name == ""
        with pytest.raises(RecordsError, match="can't be opened"):
            applying.approve_hospital(client, operator, bad)
        ran = heartwood(fixture.settings, "account", "list", "--as", key)
        assert ran.code == 0 and "Westklinik" in ran.out and "name can't be opened" in ran.out
        applying.decline_hospital(client, operator, bad, "other")
        applying.decline_hospital(client, operator, good, "other")
        unnamed = staffed(client, fixture.north.admin)
        applying.apply_as_doctor(client, unnamed, admin.hospital)
        applying.apply_as_doctor(client, other, admin.hospital)
        doctors = client.doctors(admin, admin.hospital, "pending").doctors
        names = {one.account: one.name for one in doctors}
        assert (names[unnamed.account], names[other.account]) == ("", "Ben")


def test_words_of_a_disclosure_that_are_none_leave_the_others(
    fixture: LedgerFixture, clients: list[LedgerClient]
) -> None:
    """Field by field: a disclosure of which one can't be opened shows the rest, and says which."""
    people, north = People.of(fixture), fixture.north
    pat, patient = people.pat.actor, people.pat.patient
    for client in clients:
        disclosing.disclose(client, north.system, [people.record], WHAT)
        entries = readings.history(client, pat, patient, "PATRQT").entries
        good = [
            e for raw in entries if (e := Entry.parse(raw)).event.type.name == "record.disclosed"
        ][-1]
        now = client.now()
        event_id = new_id("ev", now)
        words = {"description": "A letter"}
        sealed = client.seal(north.system, patient, patient, event_id, words).fields
        body = {**good.event.body, **sealed}
        event = north.system.event("record.disclosed", people.pat.stream, body, now, event_id)
        seq = str(client.append(north.system, [event])[0].seq)
        found = readings.history(client, pat, patient, "PATRQT")
        assert found.texts[seq] == {"description": "A letter"}
        assert found.unopened()[seq] == ("address", "list_a", "recipient", "statement")
        assert found.texts[str(good.link.seq)]["recipient"] == WHAT.recipient
        assert str(good.link.seq) not in found.unopened()
    key = write_keyfile(fixture.settings.data.with_name("pat.key"), pat)
    ran = heartwood(fixture.settings, "history", "--as", key)
    assert ran.code == 0 and "A letter; what else was written can't be opened" in ran.out
