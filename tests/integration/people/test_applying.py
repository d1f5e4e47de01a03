"""Becoming somebody at a hospital, over HTTP from an empty server: registered, applied, pending, decided, let in."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.app.creating import create_ledger
from api.app.settings import Settings
from client import applying, authoring, grants, registering, staff
from client.http import HttpClient
from client.registering import NewPatient
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key, read_keyfile
from journeys.names import hospital_names, staff_names
from journeys.sealing import object_key
from keeper.errors import KeeperRefused
from ledger.directory import Account, Member
from ledger.errors import Refused, Tampered
from ledger.messages import possession_message
from ledger.times import DAY_MS
from people import applications
from people.applications import DoctorStanding
from people.joining import REGISTERED_AN_HOUR
from people.reserving import APPLYING_AN_HOUR
from records.uploads import Upload
from storage.evidence import ask_keeper, of_entries
from storage.ledger import Ledger
from storage.sql.views import rebuild
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT
from tests.support.lying_server import lying
from tests.support.server import Web, in_process, kind_of, problem
from tests.support.server_fixture import Clock

ORIGIN = "heartwood.example/applying"
NAMES = {
    "hospital": "Selbsthilfe Spondylitis Musterfrau", "admin": "Zwetschgenröster Anna", "doctor": "Kaiserschmarrn Bert", "contact": "anna.powidl@klinik.example",
}  # fmt: skip
"""What must be nowhere in clear."""
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass
class Empty:
    """A server over a ledger that has nobody but its operator."""

    settings: Settings
    operator: Actor
    clock: Clock = field(default_factory=Clock)
    _open: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Open the ledger, and serve it."""
        self.ledger = opened(self.settings, self.clock)
        self._open.callback(self.ledger.close)
        self.web: Web = self._open.enter_context(in_process(self.ledger))
        self.client = HttpClient(self.web.url)
        self._open.callback(self.client.close)
        # Whoever signs goes by the same clock as the log.
        self.client.now = self.clock  # type: ignore[method-assign]

    def close(self) -> None:
        """Close it; the views are what its log says."""
        assert rebuild(self.ledger.store, swap=False).differences == {}
        self._open.close()

    def later(self, milliseconds: int) -> None:
        """Close it, and open it again so much later."""
        self.close()
        self.clock.ahead += milliseconds
        self.open()

    def somebody(self, name: str = "Somebody") -> Actor:
        """Who registered alone."""
        return applying.register(self.client, name)[0]

    def hospital(self, name: str = "Ostklinik") -> Actor:
        """The admin of a hospital that applied and was approved."""
        person = self.somebody(NAMES["admin"])
        hospital, _ = applying.apply_for_hospital(
            self.client, person, name, "Europe/Berlin", NAMES["contact"]
        )
        applying.approve_hospital(self.client, self.operator, hospital)
        return person.in_role("hospital_admin", hospital)

    def states(self, admin: Actor, state: str = "") -> list[tuple[str, str]]:
        """Names and states of the doctors that an admin is shown."""
        found = self.client.doctors(admin, admin.hospital, state).doctors
        return [(one.name, one.state) for one in found]

    def own(self, who: Actor) -> DoctorStanding:
        """How one's only application as a doctor stands."""
        (found,) = self.client.applications(who.in_role("person")).doctor
        return found


@pytest.fixture
def empty(settings: Settings) -> Iterator[Empty]:
    """An empty server; in the end the views are what its log says."""
    created = create_ledger(settings, ORIGIN)
    made = Empty(settings, read_keyfile(created.keyfile, settings.secret()))
    made.open()
    yield made
    made.close()


def registration(web: Web, key: SigningKey, **bent: Any) -> dict[str, Any]:
    """What registers an account with this key."""
    account = str(bent.get("account", new_id("ac", 1)))
    proof = key.sign(possession_message(web.origin, account, key.id))
    return {
        "account": account, "name": "Ada", "proof": b64encode(proof), "public_key": b64encode(key.public),
    } | bent  # fmt: skip


@dataclass
class Chart:
    """A patient with a record, at a hospital that applied."""

    patient: Actor
    chart: str
    record: str
    blob: str

    @classmethod
    def at(cls, e: Empty, admin: Actor) -> "Chart":
        client, key, hospital = e.client, new_key(), admin.hospital
        system = registering.add_member(
            client, admin, "hospital_system", hospital, "HIS", new_key()
        )[0]
        now = client.now()
        new = NewPatient(new_id("pt", now), new_id("ac", now), "Pat", None, False, key)
        registering.register_patients(client, system, [new])
        one = Upload(new.patient, "laboratory", "text/plain", [CONTENT])
        up = authoring.upload(client, system, one)
        patient = Actor(client.origin, new.account, "patient", "", key)
        return cls(patient, new.patient, up.record, up.blob)

    def read(self, e: Empty, doctor: Actor) -> str:
        """How a doctor's reading is answered, and by which rule where it is denied."""
        body = {"blob": self.blob, "purpose": "TREAT", "record": self.record, "version": 1}
        event = doctor.event("record.opened", f"patient/{self.chart}", body, e.clock())
        answer = e.web.post(f"/v1/records/{self.record}/content", e.web.signed(event, doctor))
        kind = kind_of(answer)
        return f"denied {problem(answer)['rule']}" if kind == "denied" else kind


def test_from_an_empty_server_to_a_reading(empty: Empty) -> None:
    """Two hospitals apply; a doctor is declined at one, and at the other pending, denied, approved, let in."""
    e, client = empty, empty.client
    admin, other = e.hospital(), e.hospital("Westklinik")
    chart, person = Chart.at(e, admin), e.somebody(NAMES["doctor"])
    doctor, declined = (person.in_role("doctor", at.hospital) for at in (admin, other))
    for at in (admin, other):
        applying.apply_as_doctor(client, person, at.hospital)
        assert e.states(at, "pending") == [(NAMES["doctor"], "pending")]
    assert chart.read(e, doctor) == chart.read(e, declined) == "denied S0"
    assert kind_of(e.web.sign_in(doctor)) == "not_signed_in"
    grants.grant(client, chart.patient, chart.chart, person.account)
    assert chart.read(e, doctor) == "denied S0"
    applying.decline_doctor(client, other, person.account, "not_known")
    applying.approve_doctor(client, admin, person.account)
    assert (chart.read(e, doctor), chart.read(e, declined)) == ("200", "denied S0")
    found = {one.name: one for one in client.applications(person).doctor}
    assert (found["Ostklinik"].state, found["Ostklinik"].reason) == ("approved", "")
    assert (found["Westklinik"].state, found["Westklinik"].reason) == ("declined", "not_known")
    assert e.states(other) == [(NAMES["doctor"], "declined")]
    staff.suspend_hospital(client, e.operator, admin.hospital)  # from the next decision on
    assert chart.read(e, doctor) == "denied S0"
    assert kind_of(e.web.sign_in(doctor)) == "not_signed_in"
    (suspended,) = client.hospitals(e.operator, "suspended").hospitals
    assert suspended.hospital == admin.hospital


def test_a_hospital_that_waits_is_shown_to_few(empty: Empty) -> None:
    """To the operator with its contact, to the applicant without; approved, to anybody."""
    e, client = empty, empty.client
    person, stranger = e.somebody(), e.somebody()
    hospital, _ = applying.apply_for_hospital(
        client, person, "Ostklinik", "Europe/Berlin", NAMES["contact"]
    )
    (waiting,) = client.hospitals(e.operator, "pending").hospitals
    assert (waiting.name, waiting.time_zone) == ("Ostklinik", "Europe/Berlin")
    assert (waiting.applicant, waiting.contact) == (person.account, NAMES["contact"])
    (own,) = client.applications(person).hospitals
    assert (own.hospital, own.state, own.contact) == (hospital, "pending", "")
    assert client.applications(stranger).hospitals == ()
    assert hospital_names(e.ledger, [hospital]) == {}
    for who in (stranger, person, e.operator):
        assert kind_of(e.web.get(f"/v1/hospitals/{hospital}", who)) == "not_found"
    declined, _ = applying.apply_for_hospital(client, person, "Spam", "Etc/UTC", "nobody")
    applying.decline_hospital(client, e.operator, declined, "not_verified")
    applying.approve_hospital(client, e.operator, hospital)
    assert client.hospital(stranger, hospital).name == "Ostklinik"
    assert kind_of(e.web.get(f"/v1/hospitals/{declined}", stranger)) == "not_found"
    states = {one.name: (one.state, one.reason) for one in client.applications(person).hospitals}
    assert states == {"Ostklinik": ("approved", ""), "Spam": ("declined", "not_verified")}
    body = {"hospital": declined, "name": "Spam", "time_zone": "Etc/UTC"}
    approval = e.operator.event("hospital.approved", "ledger", body, client.now())
    with pytest.raises(Refused, match="declined by entry"):
        client.append(e.operator, [approval])


def test_a_hospital_applies_with_its_systems_key(empty: Empty) -> None:
    """All or nothing: by the approval it acts for the hospital, has a name there, and is its admins' to revoke."""
    e, client = empty, empty.client
    person = e.somebody(NAMES["admin"])
    system, _ = applying.apply_with_system(client, person, "Ostklinik", "Etc/UTC", "Ada")
    (waiting,) = client.hospitals(e.operator, "pending").hospitals
    assert (waiting.system, waiting.key) == (system.account, system.key.id)
    assert waiting.public_key == b64encode(system.key.public)
    assert kind_of(e.web.sign_in(system)) == "not_signed_in"
    body = {"hospital": system.hospital, "name": "Ostklinik", "time_zone": "Etc/UTC"}
    events = [
        e.operator.event("hospital.approved", "ledger", body, e.clock()),
        e.operator.event("system.added", f"hospital/{system.hospital}", {"account": system.account}, e.clock())
        | {"v": 2},
    ]  # fmt: skip
    with pytest.raises(Refused, match="no entry registered"):
        client.append(e.operator, events, atomic=True)
    applying.approve_hospital(client, e.operator, system.hospital)
    assert kind_of(e.web.sign_in(system)) == "200"
    admin = person.in_role("hospital_admin", system.hospital)
    assert staff_names(e.ledger, [system.account]) == {system.account: "System, Ostklinik"}
    assert client.holder(admin, system.account).acts_as("hospital_system") != []
    registering.revoke_key(client, admin, system.account, system.key.id)
    assert kind_of(e.web.sign_in(system)) == "not_signed_in"


@ONE_ENGINE
def test_an_approval_ends_by_itself(empty: Empty) -> None:
    """At its end the session is over, a reading denied, and the doctor in no list of those who act."""
    e, client = empty, empty.client
    admin, chart = (found := e.hospital()), Chart.at(e, found)
    person = e.somebody(NAMES["doctor"])
    doctor = person.in_role("doctor", admin.hospital)
    end = e.clock() + DAY_MS
    applying.apply_as_doctor(client, person, admin.hospital)
    applying.approve_doctor(client, admin, person.account, "trainee", end=end)
    assert e.own(person).state == "approved" and e.own(person).profession == "trainee"
    assert chart.read(e, doctor) == "200"
    assert doctor.account in client.hospital(admin, admin.hospital).doctors
    token = e.web.token(doctor)
    e.later(DAY_MS)
    client = e.client
    assert chart.read(e, doctor) == "denied S0"
    old = e.web.client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert kind_of(old) == "not_signed_in" == kind_of(e.web.sign_in(doctor))
    assert doctor.account not in client.hospital(admin, admin.hospital).doctors
    assert client.holder(admin, doctor.account).acts_as("doctor") == []
    (shown,) = client.doctors(admin, admin.hospital, "ended").doctors
    assert (shown.account, shown.name) == (doctor.account, NAMES["doctor"])
    applying.apply_as_doctor(client, person, admin.hospital)
    applying.approve_doctor(client, admin, person.account)
    assert chart.read(e, doctor) == "200"


@ONE_ENGINE
def test_only_its_own_admins_decide(empty: Empty) -> None:
    """Neither another hospital's, nor the operator, nor whoever applied; and they alone see who waits."""
    e, client = empty, empty.client
    admin, other, person = e.hospital(), e.hospital("Westklinik"), e.somebody()
    applying.apply_as_doctor(client, person, admin.hospital)
    size, stream = e.ledger.head().size, f"hospital/{admin.hospital}"
    named = {"account": person.account, "application": e.own(person).application}
    for kind, body in (
        ("doctor.approved", {"account": person.account}),
        ("doctor.declined", named | {"reason": "other"}),
    ):
        for who, said in (
            (other, "stream"), (e.operator, "role"), (person, "role"),
            (person.in_role("hospital_admin", admin.hospital), "role"),
        ):  # fmt: skip
            signed = e.web.signed(who.event(kind, stream, body, e.clock()), who)
            assert kind_of(e.web.post("/v1/events", signed)) == said
    assert e.ledger.head().size == size
    for who in (other, e.operator, person):
        answer = e.web.get(f"/v1/hospitals/{admin.hospital}/doctors?state=pending", who)
        assert kind_of(answer) == "forbidden" and NAMES["doctor"] not in answer.text
    assert (
        kind_of(e.web.get(f"/v1/hospitals/{admin.hospital}/doctors?state=all", admin))
        == "malformed"
    )


@ONE_ENGINE
def test_nobody_decides_for_a_hospital_that_is_suspended(empty: Empty) -> None:
    """Nor applies to it, until it is approved again; what waited waits still."""
    e, client = empty, empty.client
    admin, person, late = e.hospital(), e.somebody(), e.somebody()
    applying.apply_as_doctor(client, person, admin.hospital)
    named = {"account": person.account, "application": e.own(person).application}
    staff.suspend_hospital(client, e.operator, admin.hospital)
    stream = f"hospital/{admin.hospital}"
    for kind, v, more in (
        ("doctor.approved", 2, {"profession": "nurse"}),
        ("doctor.declined", 1, {"reason": "other"}),
    ):
        event = admin.event(kind, stream, named | more, e.clock()) | {"v": v}
        assert kind_of(e.web.post("/v1/events", e.web.signed(event, admin))) == "role"
    assert kind_of(e.web.sign_in(admin)) == "not_signed_in"
    with pytest.raises(Refused, match="not active"):
        applying.apply_as_doctor(client, late, admin.hospital)
    body = {"hospital": admin.hospital, "name": "Ostklinik", "time_zone": "Europe/Berlin"}
    client.append(e.operator, [e.operator.event("hospital.approved", "ledger", body, e.clock())])
    assert e.own(person).state == "pending"
    applying.decline_doctor(client, admin, person.account, "other", named["application"])


@ONE_ENGINE
def test_what_does_not_register(empty: Empty) -> None:
    """Nothing is appended, and no key made, for a wrong proof, a taken id, or what isn't of the form."""
    e, web = empty, empty.web
    first, key = registration(e.web, new_key()), new_key()
    assert kind_of(web.post("/v1/accounts", first)) == "200"
    size, keys = e.ledger.head().size, _object_keys(e.ledger)
    good = registration(web, key)
    elsewhere = key.sign(possession_message("another.example/log", good["account"], key.id))
    bad = [
        (good | {"proof": first["proof"]}, "key"),
        (good | {"proof": b64encode(elsewhere)}, "key"),
        (good | {"account": new_id("ac", 2)}, "key"),
        (good | {"public_key": first["public_key"]}, "key"),
        (registration(web, key, account=first["account"]), "duplicate_id"),
        (registration(web, key, account=e.operator.account), "duplicate_id"),
        (good | {"name": "  "}, "malformed"),
        (good | {"name": "A\x07da"}, "malformed"),
        (good | {"account": new_id("hs", 1)}, "malformed"),
        (good | {"role": "operator"}, "malformed"),
    ]
    for sent, said in bad:
        assert kind_of(web.post("/v1/accounts", sent)) == said, sent
    assert (e.ledger.head().size, _object_keys(e.ledger)) == (size, keys)
    reserved = registration(web, key)
    subject = {"event": new_id("ev", 1), "id": reserved["account"]}
    assert kind_of(web.post("/v1/subjects", {"subjects": [subject]}, e.operator)) == "200"
    assert kind_of(web.post("/v1/accounts", reserved)) == "no_key"
    assert e.ledger.head().size == size


def _object_keys(ledger: Ledger) -> int:
    with ledger.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM object_keys").scalar_one())


@ONE_ENGINE
def test_what_does_not_apply_for_a_hospital(empty: Empty) -> None:
    """An id that wasn't reserved, or by somebody else; a name that shows as another; a zone that is none."""
    e, person, other = empty, empty.somebody(), empty.somebody()
    event_id, hospital = new_id("ev", 1), new_id("hs", 1)
    subject: dict[str, Any] = {"event": event_id, "id": hospital}
    for bad in ("Klinik \u202edroN", " ", "A" * 201, "Klinik "):
        texts = {"contact": "Ada", "name": bad}
        answer = e.web.post("/v1/subjects", {"subjects": [subject | {"texts": texts}]}, other)
        assert kind_of(answer) == "malformed", bad
    subject |= {"texts": {"contact": "Ada", "name": "Ostklinik"}}
    answer = e.web.post("/v1/subjects", {"subjects": [subject]}, other)
    sealed = answer.json()["subjects"][0]["sealed"]
    body = {"hospital": hospital, "time_zone": "Europe/Berlin", **sealed}
    size = e.ledger.head().size
    for bent, said in (
        ({}, "no_key"),
        ({"hospital": new_id("hs", 2)}, "no_key"),
        ({"name": "Ostklinik"}, "malformed"),
        ({"time_zone": "Europe/Nirgendwo"}, "malformed"),
        ({"contact": "Ada"}, "malformed"),
    ):
        event = person.event("hospital.applied", "ledger", body | bent, e.clock())
        assert kind_of(e.web.post("/v1/events", e.web.signed(event, person))) == said
    assert e.ledger.head().size == size
    again = e.web.post("/v1/subjects", {"subjects": [subject]}, person)
    assert kind_of(again) == "forbidden"


@ONE_ENGINE
def test_registering_again_is_the_same(empty: Empty) -> None:
    """A retry gets the same entry; that account signs in, and vouches for its next key itself."""
    e, sent = empty, registration(empty.web, new_key())
    answers = [e.web.post("/v1/accounts", sent).json() for _ in range(2)]
    assert answers[0]["seq"] == answers[1]["seq"] and answers[0]["key"] == answers[1]["key"]
    events = [entry.event for entry in e.ledger.stream(f"account/{sent['account']}", 100)]
    assert [one.type.name for one in events] == ["account.registered", "key.registered"]
    assert {one.role for one in events} == {"service"}
    assert events[1].body["custody"] == "device"
    person = e.somebody()
    spare = new_key()
    proof = spare.sign(possession_message(e.client.origin, person.account, spare.id))
    registering.register_key(e.client, person, person.account, "device", spare.public, proof)


@ONE_ENGINE
def test_an_address_registers_few_times_an_hour(empty: Empty) -> None:
    """Good or bad; after the hour it may again."""
    e = empty
    for number in range(REGISTERED_AN_HOUR):
        sent = registration(e.web, new_key()) | ({} if number % 2 else {"name": " "})
        assert kind_of(e.web.post("/v1/accounts", sent)) == ("200" if number % 2 else "malformed")
    sent = registration(e.web, new_key())
    assert kind_of(e.web.post("/v1/accounts", sent)) == "quota"
    e.later(3_600_000)
    assert kind_of(e.web.post("/v1/accounts", sent)) == "200"


@ONE_ENGINE
def test_a_person_reserves_little(empty: Empty) -> None:
    """Ids of hospitals alone, and few of them."""
    e, person = empty, empty.somebody()

    def reserves(prefix: str, count: int = 1) -> str:
        subjects = [{"event": new_id("ev", 1), "id": new_id(prefix, 1)} for _ in range(count)]
        return kind_of(e.web.post("/v1/subjects", {"subjects": subjects}, person))

    assert {reserves(prefix) for prefix in ("ac", "gp", "pt")} == {"forbidden"}
    assert reserves("hs", APPLYING_AN_HOUR - 1) == "quota"  # tries count, too
    assert reserves("hs", APPLYING_AN_HOUR - 3) == "200"


@ONE_ENGINE
@pytest.mark.parametrize("lie", ["another entry", "no entry", "another account"])
def test_a_server_that_says_it_registered(empty: Empty, lie: str) -> None:
    """The receipt proves it, or the client doesn't believe it."""
    other = empty.web.post("/v1/accounts", registration(empty.web, new_key())).json()

    def said(path: str, body: bytes) -> bytes:
        if path != "/v1/accounts":
            return body
        answer = json.loads(body)
        if lie == "another entry":
            answer |= {"receipt": other["receipt"], "seq": other["seq"]}
        elif lie == "no entry":
            answer |= {"seq": answer["seq"] + 1}
        else:
            answer |= {"account": other["account"]}
        return json.dumps(answer).encode()

    with lying(empty.web.url, said) as url:
        client = HttpClient(url)
        with pytest.raises(Tampered):
            applying.register(client, "Ada")
        client.close()


@ONE_ENGINE
def test_a_patient_who_becomes_a_doctor(empty: Empty) -> None:
    """The account's name is the chart's, and is shown to nobody as a doctor's."""
    e, client = empty, empty.client
    admin, chart = (found := e.hospital()), Chart.at(e, found)
    applying.apply_as_doctor(client, chart.patient, admin.hospital)
    assert e.states(admin) == [("", "pending")]
    applying.approve_doctor(client, admin, chart.patient.account)
    assert e.states(admin) == [("", "approved")]
    assert client.hospital(admin, admin.hospital).doctors == {chart.patient.account: ""}


@ONE_ENGINE
def test_the_name_of_an_applicant_is_not_everybodys(empty: Empty) -> None:
    """An admin saw it; whoever else is signed in is told none, until the applicant is a doctor."""
    e, client = empty, empty.client
    admin, person, stranger = e.hospital(), e.somebody(NAMES["doctor"]), e.somebody()
    applying.apply_as_doctor(client, person, admin.hospital)
    assert e.states(admin) == [(NAMES["doctor"], "pending")]
    assert client.holder(stranger, person.account).name == ""
    applying.approve_doctor(client, admin, person.account)
    assert client.holder(stranger, person.account).name == NAMES["doctor"]


@ONE_ENGINE
def test_appointing_somebody_tells_nobody_who_they_are(empty: Empty) -> None:
    """Whoever registered alone said their name to the service; an admin who appoints them without being asked isn't told."""
    e, client = empty, empty.client
    admin, other = e.hospital(), e.hospital("Westklinik")
    person, stranger = e.somebody(NAMES["doctor"]), e.somebody()
    applying.apply_as_doctor(client, person, other.hospital)
    applying.approve_doctor(client, admin, person.account)
    assert client.doctors(admin, admin.hospital).doctors[0].name == ""
    for who in (admin, stranger):
        assert client.holder(who, person.account).name == ""
        assert client.hospital(who, admin.hospital).doctors == {person.account: ""}
    assert e.states(other) == [(NAMES["doctor"], "pending")]
    ledger, account = e.ledger, person.account
    row, member = (
        ledger.row(Account, account),
        ledger.row(Member, account, "doctor", admin.hospital),
    )
    assert row is not None and member is not None
    shown, key = of_entries(ledger, row.seq, member.seq), object_key(ledger.keys, account, account)
    with pytest.raises(KeeperRefused, match="didn't ask"):
        ask_keeper(ledger, shown, lambda found: ledger.keeper.staff_name(found, key))
    applying.decline_doctor(client, other, account, "other")
    applying.end_doctor(client, admin, account)
    applying.apply_as_doctor(client, person, admin.hospital)
    applying.approve_doctor(client, admin, account)
    assert client.holder(stranger, account).name == NAMES["doctor"]


@ONE_ENGINE
def test_lists_longer_than_a_page(empty: Empty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once and in order; and whoever is on no first page is decided on all the same, by the application's id."""
    monkeypatch.setattr(applications, "LISTED", 2)
    e, client = empty, empty.client
    admin, people = e.hospital(), [e.somebody(f"Doctor {number}") for number in range(5)]
    for person in people:
        applying.apply_as_doctor(client, person, admin.hospital)
    page = client.doctors(admin, admin.hospital, "pending")
    assert [one.account for one in page.doctors] == [
        one.account for one in people[:2]
    ] and page.next
    listed = applying.all_doctors(client, admin, "pending")
    assert [one.account for one in listed] == [one.account for one in people]
    last = people[-1].account
    applying.decline_doctor(client, admin, last, "other", listed[-1].application)
    applying.apply_as_doctor(client, people[-1], admin.hospital)
    first = listed[-1].application
    with pytest.raises(Refused, match="waits for a decision"):
        applying.approve_doctor(client, admin, last, application=first)
    with pytest.raises(Refused, match="waits for a decision"):
        applying.decline_doctor(client, admin, last, "other", first)
    applying.approve_doctor(client, admin, last)
    assert client.doctor(admin, admin.hospital, last).state == "approved"
    made = [
        applying.apply_for_hospital(client, people[0], f"Klinik {number}", "Etc/UTC", "Ada")[0]
        for number in range(5)
    ]
    waiting = applying.all_hospitals(client, e.operator, "pending")
    assert [(one.hospital, one.name) for one in waiting] == [
        (hospital, f"Klinik {number}") for number, hospital in enumerate(made)
    ]
    approved, _ = applying.approve_hospital(client, e.operator, made[-1])
    assert approved.name == "Klinik 4" and client.hospital(people[1], made[-1]).name == "Klinik 4"
    for path in (f"/v1/hospitals/{made[0]}/application", "/v1/hospitals?after=1"):
        assert kind_of(e.web.get(path, admin)) == "forbidden"
    other = f"/v1/hospitals/{admin.hospital}/doctors/{people[0].account}"
    assert kind_of(e.web.get(other, people[0].in_role("hospital_admin", made[-1]))) == "forbidden"
    assert (
        kind_of(e.web.get(other.replace(people[0].account, e.operator.account), admin))
        == "not_found"
    )
    assert kind_of(e.web.get("/v1/hospitals?after=-1", e.operator)) == "malformed"


@ONE_ENGINE
def test_names_and_contacts_are_nowhere_in_clear(empty: Empty) -> None:
    e, client = empty, empty.client
    admin, person = e.hospital(), e.somebody(NAMES["doctor"])
    applying.apply_as_doctor(client, person, admin.hospital)
    for decided in (True, False):
        hospital, _ = applying.apply_for_hospital(
            client, person, NAMES["hospital"], "Etc/UTC", NAMES["contact"]
        )
        if decided:
            applying.decline_hospital(client, e.operator, hospital, "not_verified")
    assert e.states(admin) and client.hospitals(e.operator).hospitals[0].contact
    told = e.web.get("/metrics").content
    files = [path for path in e.settings.data.rglob("*") if path.is_file()]
    assert client.hospitals(e.operator, "pending").hospitals[0].name == NAMES["hospital"]
    for words in NAMES.values():
        assert words.encode() not in told
        assert [path for path in files if words.encode() in path.read_bytes()] == []
