"""The main job over HTTP: register, upload, grant, list, read, export, be refused, prove it."""

import hashlib
import io
import itertools
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.far import Far
from api.settings import Settings
from crypto.blobs import blob_context, open_stream
from crypto.encoding import b64decode, b64encode
from crypto.shares import open_share, share_info
from crypto.signing import SigningKey
from identity import sessions
from identity.actors import Actor, new_id, new_key, possession
from identity.errors import NotSignedIn
from ledger.tiles import tree_paths_of
from ledger.times import DAY_MS, format_time
from records import authoring, directory, disclosures, grants, groups, readings, uploads
from records.desk import Near
from records.directory import NewPatient
from records.errors import AccessDenied
from records.explaining import Question
from records.exporting import commitment, listed
from records.uploads import Upload
from storage.errors import Unavailable
from storage.log import wall_clock
from tests.people import Person, Town, vkeys
from tests.served import Web, bearer, good, in_process, kind_of, problem
from tests.tilereader import check_proof, open_checkpoint, read_log, root_from_path
from tests.tilereader import leaf_hash as leaf_of

BIG = bytes(random.Random(4).randbytes(200_000))
PURPOSE = {"purpose": "TREAT"}
OWN = {"purpose": "PATRQT"}


@dataclass
class Clock:
    """The machine's clock, ahead by `ahead` ms."""

    ahead: int = 0

    def __call__(self) -> int:
        return wall_clock() + self.ahead


@dataclass
class Place:
    """A town, its people and a server in this process."""

    town: Town
    web: Web
    far: Far
    clock: Clock
    pat: Person
    doctor: Actor
    records: dict[str, str] = field(default_factory=dict)

    def event(self, actor: Actor, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """An event of an actor on the patient's chart."""
        return actor.event(kind, self.pat.stream, body, self.clock())

    def reading(self, actor: Actor, record: str, **bent: Any) -> dict[str, Any]:
        """A signed reading, in the form of the HTTP face."""
        blob = self.far.address(self.town.north.system, record).blobs[0]
        body = {"blob": blob, "record": record, "version": 1, **PURPOSE, **bent}
        return self.web.signed(self.event(actor, "record.opened", body), actor)

    def open(self, actor: Actor, record: str, **bent: Any) -> Any:
        """The answer to a reading."""
        return self.web.post(f"/v1/records/{record}/content", self.reading(actor, record, **bent))

    def readable(self, actor: Actor, record: str) -> bool:
        """Whether a reading gives content; otherwise it must be denied."""
        answer = self.open(actor, record)
        assert kind_of(answer) in ("200", "denied"), answer.text
        return kind_of(answer) == "200"

    def shown(self, actor: Actor) -> set[str]:
        """The records of the list."""
        lines = readings.chart(self.far, actor, self.pat.patient, "TREAT").lines
        return {line.record.record for line in lines}


KINDS: dict[str, dict[str, Any]] = {
    "old": {"category": "laboratory", "clinical_date": "2019-03-01", "title": "Blood count"},
    "new": {"category": "laboratory", "clinical_date": "2026-03-01"},
    "scan": {"category": "imaging", "clinical_date": "2026-04-01", "media_type": "image/png"},
    "restricted": {"category": "document", "confidentiality": "restricted"},
    "sensitive": {"category": "laboratory", "sensitive": True, "labels": ("HIV",)},
    "hidden": {"category": "document"},
    "retracted": {"category": "document"},
}
"""The records of the patient, by what is particular about each."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clock = Clock()
    town = Town.found(Settings(data=tmp_path_factory.mktemp("http") / "data"), clock)
    with in_process(town.ledger) as web:
        far = Far(web.url)
        pat = _registered(far, town)
        doctor = _doctor(far, town)
        made = Place(town, web, far, clock, pat, doctor)
        system = town.north.system
        for name, kind in KINDS.items():
            media_type = kind.get("media_type", "text/plain")
            one = {"media_type": media_type, **kind, "content": [name.encode()]}
            uploaded = authoring.upload(far, system, Upload(pat.patient, **one))
            made.records[name] = uploaded.record
        grants.hide(far, pat.actor, pat.patient, made.records["hidden"])
        authoring.retract(far, system, made.records["retracted"], "HOPERAT")
        yield made
        far.close()
    town.verify()
    town.close()


@pytest.fixture(scope="module")
def full_tile(place: Place) -> None:
    """The log has a full tile, whichever tests went before."""
    if (missing := 300 - place.town.size()) > 0:
        one = Upload(place.pat.patient, "laboratory", "text/plain", [b"filling"])
        uploads.upload(place.town.ledger, place.town.north.system, [one] * missing)


def _registered(far: Far, town: Town, identifier: str = "") -> Person:
    now, key = far.now(), new_key()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Ada Lind", None, False, key, identifier)
    directory.register_patients(far, town.north.system, [new])
    return Person(new.patient, Actor(far.origin, new.account, "patient", "", key))


def _doctor(far: Far, town: Town) -> Actor:
    south = town.south
    return directory.add_member(far, south.admin, "doctor", south.hospital, "Dr. Ö", new_key())[0]


# Registering and uploading.


def test_every_step_of_an_upload_is_answered_as_the_formats_say(place: Place) -> None:
    """Staged, sealed, appended; the answer proves where the entry stands; the reading gives it back."""
    web, system, patient = place.web, place.town.north.system, place.pat.patient
    staged = good(web.post(f"/v1/patients/{patient}/blobs", None, system, content=BIG))
    assert (staged.keys(), staged["size"]) == ({"blob", "record", "sha256", "size"}, len(BIG))
    event_id = new_id("ev", place.clock())
    sent = {"event": event_id, "labels": [], "object": staged["record"], "texts": {"title": "Scan"}}
    sealed = good(web.post(f"/v1/patients/{patient}/seal", sent, system))
    body = {
        **staged, **sealed["sealed"], "category": "imaging", "confidentiality": "normal",
        "media_type": "image/png", "version": 1, **PURPOSE,
    }  # fmt: skip
    event = system.event("record.uploaded", place.pat.stream, body, place.clock(), event_id)
    answer = good(web.post("/v1/events", web.signed(event, system)))
    assert (answer.keys(), answer["appended"]) == ({"appended", "checkpoint", "entries"}, 1)
    (entry,) = answer["entries"]
    assert (entry.keys(), entry["index"]) == ({"index", "path", "seq", "time"}, 0)
    note = open_checkpoint(answer["checkpoint"].encode(), vkeys(place.town.settings))
    raw, path = place.town.ledger.entry(entry["seq"]).raw, [b64decode(n) for n in entry["path"]]
    assert root_from_path(leaf_of(raw), entry["seq"], note.size, path) == note.root
    shown = place.open(place.pat.actor, staged["record"])
    assert shown.content == BIG
    assert json.loads(b64decode(shown.headers["heartwood-texts"])) == {"title": "Scan"}


def test_a_reading_is_answered_as_data(place: Place) -> None:
    """An attachment, not sniffed, not kept; its type as the author said; where and why it stands."""
    answer = place.open(place.pat.actor, place.records["old"])
    expected = {
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="{place.records["old"]}"',
        "content-security-policy": "sandbox",
        "content-type": "text/plain",
        "heartwood-size": "3",
        "x-content-type-options": "nosniff",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    decision = json.loads(answer.headers["heartwood-decision"])
    assert (decision["effect"], decision["rule"]) == ("permit", "S5")
    assert place.town.ledger.entry(int(answer.headers["heartwood-entry"])).decision == decision


def test_a_blob_is_its_authors_alone(place: Place) -> None:
    """Nobody else's event can name it, nor of another patient."""
    web, town = place.web, place.town
    path = f"/v1/patients/{place.pat.patient}/blobs"
    staged = good(web.post(path, None, town.north.system, content=b"mine"))
    body = {
        **staged, "category": "imaging", "confidentiality": "normal", "media_type": "image/png",
        "version": 1, **PURPOSE,
    }  # fmt: skip
    other = _registered(place.far, town)
    for actor, stream in (
        (town.south.system, place.pat.stream),
        (town.north.system, other.stream),
    ):
        event = actor.event("record.uploaded", stream, body, place.clock())
        assert kind_of(web.post("/v1/events", web.signed(event, actor))) == "no_key"


# Granting: list = read = export.


@dataclass(frozen=True)
class Granted:
    """What is granted, and the records it must show (beside nothing else)."""

    scope: Callable[[dict[str, str]], dict[str, Any]]
    shows: set[str]


GRANTS = {
    "full": Granted(lambda r: {}, {"old", "new", "scan", "restricted"}),
    "full, the sensitive too": Granted(
        lambda r: {"sensitive": True}, {"old", "new", "scan", "restricted", "sensitive"}
    ),
    "full, one label too": Granted(
        lambda r: {"labels": ["HIV"]}, {"old", "new", "scan", "restricted", "sensitive"}
    ),
    "partial, a category": Granted(
        lambda r: {"what": {"categories": ["laboratory"]}}, {"old", "new"}
    ),
    "partial, since a date": Granted(
        lambda r: {"what": {"date_from": "2026-01-01"}}, {"new", "scan"}
    ),
    "partial but for a category": Granted(
        lambda r: {
            "what": {"categories": ["imaging", "laboratory"]},
            "exceptions": [{"type": "deny", "categories": ["imaging"]}],
        },
        {"old", "new"},
    ),
    "full but for the laboratory, and of that the new": Granted(
        lambda r: {
            "exceptions": [
                {
                    "type": "deny",
                    "categories": ["laboratory"],
                    "exceptions": [{"type": "permit", "date_from": "2026-01-01"}],
                }
            ]
        },
        {"new", "scan", "restricted"},
    ),
    "selective": Granted(lambda r: {"records": [r["old"], r["scan"]]}, {"old", "scan"}),
}


@pytest.mark.parametrize("name", GRANTS)
@pytest.mark.parametrize("grantee", ["person", "hospital", "group"])
def test_the_list_is_what_can_be_read(place: Place, name: str, grantee: str) -> None:
    """P12, and exactly what the grant says; a colleague gets the same of the hospital's grant, else nothing."""
    far, south, granted = place.far, place.town.south, GRANTS[name]
    doctor, colleague = _doctor(far, place.town), _doctor(far, place.town)
    group = groups.form(far, south.admin, "Ward")[0]
    groups.join(far, south.admin, group, doctor.account)
    to = {"person": doctor.account, "hospital": south.hospital, "group": group}[grantee]
    pat, scope = place.pat, granted.scope(place.records)
    grants.grant(far, pat.actor, pat.patient, to, days=1, **scope)
    names = {record: name for name, record in place.records.items()}
    for who, sees in (
        (doctor, granted.shows),
        (colleague, granted.shows if grantee == "hospital" else set()),
    ):
        readable = {names[r] for r in names if place.readable(who, r)}
        assert readable == sees
        listed = _listed(place, who)
        assert {names[r] for r in listed if r in names} == readable
    grants.revoke(far, pat.actor, pat.patient, to)
    assert _listed(place, doctor) == set()


def _listed(place: Place, actor: Actor) -> set[str]:
    """What the list shows; of one who may list nothing, the refusal."""
    try:
        return place.shown(actor)
    except AccessDenied as refusal:
        if refusal.rule != "S12":
            raise
        return set()


def test_of_the_patient_list_reading_and_export_are_the_same(place: Place) -> None:
    """All of the chart, hidden and retracted too; each content once more, from the ZIP."""
    actor, patient = place.pat.actor, place.pat.patient
    chart, taken = readings.export(place.far, actor, patient, "PATRQT")
    listed = {line.record.record for line in chart.lines}
    assert set(place.records.values()) <= listed
    assert {one.record.record for one in taken} == listed
    for one in taken:
        content = place.open(actor, one.record.record).content
        assert b"".join(one.content) == content
    assert {line.title for line in chart.lines} >= {"Blood count"}


def test_an_export_gives_what_its_event_commits_to(place: Place) -> None:
    """The ZIP's names are ids, its index says what they are; another list than the event's is refused."""
    actor, patient = place.pat.actor, place.pat.patient
    chart = readings.chart(place.far, actor, patient, "PATRQT")
    records = [line.record for line in chart.lines]
    wanted = listed(records)
    count, root = commitment(records, wanted)
    event = place.event(actor, "chart.exported", {"count": count, "root": b64encode(root), **OWN})
    sent = place.web.signed(event, actor)
    path = f"/v1/patients/{patient}/export"
    size = place.town.size()
    for bent in (wanted[1:], [*wanted, wanted[0]], [], [[wanted[0][0], 2], *wanted[1:]]):
        answer = place.web.post(path, sent | {"list": [list(item) for item in bent]})
        assert kind_of(answer) in ("malformed", "not_found")
    assert place.town.size() == size
    answer = place.web.post(path, sent | {"list": [list(item) for item in wanted]})
    assert answer.headers["content-disposition"] == f'attachment; filename="{patient}.zip"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    index = json.loads(archive.read("index.json"))
    assert [(line["record"], line["version"]) for line in index] == wanted
    assert set(archive.namelist()) == {"index.json", *(line["file"] for line in index)}


# Refused, excluded, hidden.


def test_an_excluded_asker_is_told_what_a_stranger_is_told(place: Place) -> None:
    """Byte for byte, now and at each retry, by reading and list; the patient is told the reason."""
    far, web, pat = place.far, place.web, place.pat
    stranger, excluded, record = (
        _doctor(far, place.town),
        _doctor(far, place.town),
        place.records["old"],
    )
    grants.grant(far, pat.actor, pat.patient, excluded.account)
    grants.exclude(far, pat.actor, pat.patient, excluded.account)
    answers = []
    for actor in (stranger, excluded):
        reading, opened = place.reading(actor, record), place.event(actor, "chart.opened", PURPOSE)
        path, chart = f"/v1/records/{record}/content", f"/v1/patients/{pat.patient}/chart"
        sent = web.signed(opened, actor)
        answers.append([
            web.post(path, reading), web.post(path, reading), web.post(chart, sent), web.post(chart, sent)
        ])  # fmt: skip
    for one, other in zip(*answers, strict=True):
        assert one.content == other.content and dict(one.headers) == dict(other.headers)
        told = problem(one)
        assert (told["rule"], told["reason"], one.status_code) == ("S12", "no_consent", 403)
    whole = good(web.post("/v1/decisions", _question(place, excluded, record), pat.actor))
    assert (whole["rule"], whole["reason"]) == ("S7", "excluded")
    grants.include(far, pat.actor, pat.patient, excluded.account)
    assert place.readable(excluded, record) and not place.readable(stranger, record)


def test_the_explanation_does_not_tell_of_an_exclusion(place: Place) -> None:
    """Neither does what would have to change."""
    far, pat = place.far, place.pat
    stranger, excluded, record = (
        _doctor(far, place.town),
        _doctor(far, place.town),
        place.records["old"],
    )
    grants.grant(far, pat.actor, pat.patient, excluded.account)
    grants.exclude(far, pat.actor, pat.patient, excluded.account)
    told = [
        good(place.web.post("/v1/decisions", _question(place, actor, record), actor))
        for actor in (stranger, excluded)
    ]
    assert told[0] | {"as_of": 0} == told[1] | {"as_of": 0}


def _question(place: Place, actor: Actor, record: str) -> dict[str, Any]:
    return {
        "action": "read", "actor": actor.account, "hospital": actor.hospital,
        "patient": place.pat.patient, "record": record, "role": actor.role, **PURPOSE,
    }  # fmt: skip


def test_a_hidden_record_is_in_no_grant_until_it_is_shown(place: Place) -> None:
    """Its author's hospital and the patient go on."""
    far, pat, doctor = place.far, place.pat, _doctor(place.far, place.town)
    record = place.records["hidden"]
    grants.grant(far, pat.actor, pat.patient, doctor.account, [record])
    assert not place.readable(doctor, record)
    assert place.readable(pat.actor, record)
    grants.show(far, pat.actor, pat.patient, record)
    assert place.readable(doctor, record)
    grants.hide(far, pat.actor, pat.patient, record)
    assert not place.readable(doctor, record)


def test_a_grant_is_used_up(place: Place) -> None:
    """Two uses, then no more."""
    far, pat, doctor = place.far, place.pat, _doctor(place.far, place.town)
    grants.grant(far, pat.actor, pat.patient, doctor.account, uses=2)
    assert [place.readable(doctor, place.records["old"]) for _ in range(3)] == [True, True, False]


# Proofs.


def test_a_receipt_is_for_whom_the_entry_concerns(place: Place) -> None:
    """Actor, hospital, patient, auditor; 404 for others, the same as for an entry that isn't there."""
    far, web, pat, town = place.far, place.web, place.pat, place.town
    doctor, other = _doctor(far, town), _doctor(far, town)
    seq = grants.grant(far, pat.actor, pat.patient, doctor.account)[1]
    opened = int(place.open(doctor, place.records["old"]).headers["heartwood-entry"])
    refused = town.size()
    assert not place.readable(other, place.records["old"])
    auditor = _auditor(place)
    stranger = _registered(far, town).actor
    entitled = {
        seq: (pat.actor, auditor),
        opened: (doctor, other, town.south.admin, pat.actor, auditor),
        refused: (pat.actor, auditor),
        0: (town.operator, auditor),
    }
    everybody = (pat.actor, doctor, other, town.south.admin, town.north.system, town.operator, stranger, auditor)  # fmt: skip
    for number, who in itertools.product(entitled, everybody):
        answer = web.get(f"/v1/receipts/{number}", who)
        if who not in entitled[number]:
            assert kind_of(answer) == "not_found", (number, who.role)
            assert str(number) in problem(answer)["detail"]
            continue
        assert answer.headers["heartwood-receipt"] in ("final", "provisional")
        assert answer.headers["cache-control"] == "private, no-store"
        found = check_proof(answer.content, vkeys(town.settings))
        assert found == (number, town.ledger.entry(number).raw)
    gone = web.get("/v1/receipts/1000000", stranger)
    assert (
        problem(gone)["detail"].replace("1000000", "0")
        == problem(web.get("/v1/receipts/0", stranger))["detail"]
    )


def _auditor(place: Place) -> Actor:
    """An auditor in term; made beside the data, as the operator does."""
    far, operator, key = place.far, place.town.operator, new_key()
    account, events = directory.new_account(far, operator, "Auditor", key, "device")
    now = place.clock()
    body = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    far.append(operator, events)
    return Actor(far.origin, account, "auditor", "", key)


def test_the_history_is_complete(place: Place) -> None:
    """Every entry of the stream, with the refusals, to the very look; auditors see no names."""
    far, pat, doctor = place.far, place.pat, _doctor(place.far, place.town)
    refused = place.town.size()
    assert not place.readable(doctor, place.records["old"])
    history = readings.history(far, pat.actor, pat.patient, "PATRQT")
    stream = place.town.ledger.stream(pat.stream, place.town.size())
    assert history.entries == tuple(entry.raw for entry in stream)
    act = next(act for act in history.acts() if act.seq == refused)
    assert (act.actor, act.effect, act.rule) == (doctor.account, "deny", "S12")
    assert history.names[place.town.south.hospital] == "Südklinik"
    assert history.names[doctor.account] == "Dr. Ö"
    seen = readings.history(far, _auditor(place), pat.patient, "HLEGAL")
    assert seen.names == {} and seen.entries[:-1] == history.entries


def test_the_explanation_says_what_the_reading_will(place: Place) -> None:
    """For each record and asker; asking appends nothing; about others only patients and auditors may ask."""
    far, pat, doctor = place.far, place.pat, _doctor(place.far, place.town)
    grants.grant(far, pat.actor, pat.patient, doctor.account, what={"categories": ["laboratory"]})
    for record in place.records.values():
        size = place.town.size()
        asked = Question(
            pat.patient, doctor.account, "doctor", doctor.hospital, "read", "TREAT", record
        )
        effects = {far.why(who, asked).explanation.decision.effect for who in (doctor, pat.actor)}
        assert place.town.size() == size
        assert effects == {"permit" if place.readable(doctor, record) else "deny"}
    question = _question(place, doctor, "")
    other = _doctor(far, place.town)
    assert kind_of(place.web.post("/v1/decisions", question, other)) == "forbidden"
    assert kind_of(place.web.post("/v1/decisions", question, _auditor(place))) == "200"
    someone = _registered(far, place.town)
    assert kind_of(place.web.post("/v1/decisions", question, someone.actor)) == "forbidden"


def test_a_lookup_is_for_the_hospital_that_keeps_the_identifier(place: Place) -> None:
    """And a second registration under it is told the patient that is known."""
    far, town = place.far, place.town
    person = _registered(far, town, "urn:nord|4711")
    asked = ["urn:nord|4711", "urn:nord|4712"]
    assert far.lookup(town.north.system, asked) == {"urn:nord|4711": person.patient}
    assert far.lookup(town.south.system, asked) == {}
    answer = place.web.post("/v1/patients/lookup", {"identifiers": asked}, place.pat.actor)
    assert kind_of(answer) == "forbidden"
    now = place.clock()
    sent = {
        "event": new_id("ev", now), "id": new_id("pt", now), "identifier": "urn:nord|4711",
        "texts": {"name": "Ada"},
    }  # fmt: skip
    known = good(place.web.post("/v1/subjects", {"subjects": [sent]}, town.north.system))
    assert known == {"subjects": [{"id": person.patient, "known": True, "sealed": {}}]}


# Sessions.


def test_a_challenge_counts_once_for_two_minutes(place: Place) -> None:
    """Whether or not it was signed well."""
    web, actor, clock = place.web, place.pat.actor, place.clock
    nonce = web.challenge()
    assert kind_of(web.sign_in(actor, nonce)) == "200"
    assert kind_of(web.sign_in(actor, nonce)) == "not_signed_in"
    nonce = web.challenge()
    assert kind_of(web.sign_in(actor, nonce, key=new_key())) == "not_signed_in"
    assert kind_of(web.sign_in(actor, nonce)) == "not_signed_in"
    assert kind_of(web.sign_in(actor, bytes(32))) == "not_signed_in"
    for waits, kind in (
        (sessions.CHALLENGE_MS - 1_000, "200"),
        (sessions.CHALLENGE_MS, "not_signed_in"),
    ):
        nonce = web.challenge()
        clock.ahead = waits
        try:
            answer = web.sign_in(actor, nonce)
        finally:
            clock.ahead = 0
        assert kind_of(answer) == kind


def test_a_session_ends(place: Place) -> None:
    """After a quarter of an hour, by signing out, with the key, with the role."""
    web, far, clock, town = place.web, place.far, place.clock, place.town

    def me(token: str) -> str:
        return kind_of(web.get("/v1/me", headers=bearer(token)))

    def fresh(actor: Actor) -> str:
        return str(good(web.sign_in(actor))["token"])

    token = fresh(place.pat.actor)
    for ahead, kind in (
        (sessions.SESSION_MS - 1_000, "200"),
        (sessions.SESSION_MS, "not_signed_in"),
    ):
        clock.ahead = ahead
        try:
            assert me(token) == kind
        finally:
            clock.ahead = 0
    token = fresh(place.pat.actor)
    assert web.client.delete("/v1/sessions", headers=bearer(token)).status_code == 204
    assert me(token) == "not_signed_in"
    for nonsense in ("Bearer", "Bearer x", "Basic eDp5", f"Bearer {b64encode(bytes(32))}", "Bearer ä",
                     "Bearer " + "A" * 5_000):  # fmt: skip
        answer = web.client.get("/v1/me", headers={b"Authorization": nonsense.encode()})
        assert (kind_of(answer), answer.headers["www-authenticate"]) == ("not_signed_in", "Bearer")
    doctor = _doctor(far, town)
    token = fresh(doctor)
    event = town.south.admin.event(
        "doctor.suspended", f"hospital/{doctor.hospital}", {"account": doctor.account}, clock()
    )
    far.append(town.south.admin, [event])
    assert me(token) == "not_signed_in"
    assert kind_of(web.sign_in(doctor)) == "not_signed_in"
    person = _registered(far, town)
    token = fresh(person.actor)
    second = new_key()
    proof = b64decode(possession(far.origin, person.actor.account, second))
    directory.register_key(far, person.actor, person.actor.account, "device", second.public, proof)
    directory.revoke_key(far, person.actor, person.actor.account, person.actor.key.id)
    assert me(token) == "not_signed_in"
    assert kind_of(web.sign_in(person.actor)) == "not_signed_in"
    assert kind_of(web.sign_in(_with(person.actor, second))) == "200"


def _with(actor: Actor, key: SigningKey) -> Actor:
    return Actor(actor.origin, actor.account, actor.role, actor.hospital, key)


def test_a_role_that_is_not_held_signs_nobody_in(place: Place) -> None:
    """Nor does another hospital's, nor an unknown key."""
    web, doctor, account = place.web, place.doctor, place.pat.actor
    for actor in (
        doctor.in_role("operator"), doctor.in_role("doctor", place.town.north.hospital),
        doctor.in_role("auditor"), doctor.in_role("hospital_admin", doctor.hospital),
        doctor.in_role("service"), doctor.in_role("patient"), doctor.in_role("relative"),
        account.in_role("doctor", doctor.hospital), _with(doctor, new_key()),
    ):  # fmt: skip
        assert kind_of(web.sign_in(actor)) == "not_signed_in", actor.role
    with pytest.raises(NotSignedIn):
        place.far.charts(_with(doctor, new_key()))


# Ranges.


@pytest.fixture(scope="module")
def big(place: Place) -> str:
    """A record of several chunks."""
    one = Upload(place.pat.patient, "imaging", "image/png", [BIG])
    return authoring.upload(place.far, place.town.north.system, one).record


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, len(BIG)),
        ("bytes=0-0", 0, 1),
        ("bytes=16383-16384", 16_383, 16_385),
        ("bytes=100-199", 100, 200),
        ("bytes=199999-", 199_999, 200_000),
        ("bytes=199990-99999999", 199_990, 200_000),
        ("bytes=-7", 199_993, 200_000),
        ("bytes=-999999", 0, 200_000),
    ],
)
def test_a_range_is_that_part(place: Place, big: str, asked: str, start: int, end: int) -> None:
    token = place.open(place.pat.actor, big).headers["heartwood-read-token"]
    headers = bearer(token) | {"Range": asked}
    answer = place.web.get(f"/v1/records/{big}/content", headers=headers)
    assert (answer.status_code, answer.content == BIG[start:end]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BIG)}"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "asked",
    ["bytes=200000-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1",
     "bytes=١-٢", "", "bytes=999999999999999999999-"],
)  # fmt: skip
def test_what_is_no_range_of_it_is_a_problem(place: Place, big: str, asked: str) -> None:
    token = place.open(place.pat.actor, big).headers["heartwood-read-token"]
    headers = {b"Authorization": f"Bearer {token}".encode(), b"Range": asked.encode()}
    answer = place.web.client.get(f"/v1/records/{big}/content", headers=headers)
    assert (kind_of(answer), answer.status_code) == ("range", 416)


def test_a_read_token_is_for_one_record_and_a_minute(place: Place, big: str) -> None:
    """It is no session, and a session is no read token."""
    web, clock = place.web, place.clock
    token = place.open(place.pat.actor, big).headers["heartwood-read-token"]
    path = f"/v1/records/{big}/content"
    assert (
        kind_of(web.get(f"/v1/records/{place.records['old']}/content", headers=bearer(token)))
        == "not_found"
    )
    assert kind_of(web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    assert kind_of(web.get(path, place.pat.actor)) == "not_found"
    assert kind_of(web.get(path)) == "not_signed_in"
    for ahead, kind in ((disclosures.TOKEN_MS - 2_000, "206"), (disclosures.TOKEN_MS, "not_found")):
        clock.ahead = ahead
        try:
            assert kind_of(web.get(path, headers=bearer(token))) == kind
        finally:
            clock.ahead = 0


def test_a_reading_may_be_opened_at_the_readers_end(place: Place, big: str) -> None:
    """With `reply` the ciphertext comes, and the key for that one-time key alone; no token."""
    private = X25519PrivateKey.generate()
    receiver = private.public_key().public_bytes_raw()
    sent = place.reading(place.pat.actor, big, reply=b64encode(receiver))
    answer = place.web.post(f"/v1/records/{big}/content", sent)
    assert "heartwood-read-token" not in answer.headers and BIG not in answer.content
    patient, blob = place.pat.patient, sent["event"]["body"]["blob"]
    info = share_info(patient, sent["event"]["id"], receiver, blob)
    share = b64decode(answer.headers["heartwood-share"])
    key = open_share(private.private_bytes_raw(), info, share)
    content = open_stream(key, blob_context(patient, big, blob), iter([answer.content]))
    assert b"".join(content) == BIG
    event = place.event(place.pat.actor, "record.opened", sent["event"]["body"])
    shown = place.far.open(place.pat.actor, event)
    assert shown.share is not None and b"".join(shown.content) == answer.content


def test_a_reply_key_that_opens_nothing_is_refused_before_it_is_written(
    place: Place, big: str
) -> None:
    size = place.town.size()
    for receiver in (bytes(32), bytes([1, *bytes(31)])):
        sent = place.reading(place.pat.actor, big, reply=b64encode(receiver))
        assert kind_of(place.web.post(f"/v1/records/{big}/content", sent)) == "malformed"
    assert place.town.size() == size


# The log over HTTP.


@pytest.mark.usefixtures("full_tile")
def test_an_auditor_fetches_the_whole_log(place: Place, tmp_path: Path) -> None:
    """Tiles, bundles and checkpoint by HTTP alone; the tests' own reader finds them right."""
    web, auditor = place.web, _auditor(place)
    event = auditor.event("log.opened", "ledger", {}, place.clock())
    opened = good(web.post("/v1/log/token", web.signed(event, auditor)))
    headers = bearer(opened["token"])
    note = web.get("/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-store"
    (tmp_path / "checkpoint").write_bytes(note.content)
    size = open_checkpoint(note.content, vkeys(place.town.settings)).size
    assert size > 256, "the log must have a full tile for this"
    for path in tree_paths_of(size):
        answer = web.get(f"/{path}", headers=headers)
        assert answer.headers["content-type"] == "application/octet-stream"
        public = "/entries/" not in path
        expected = "public, max-age=604800, immutable" if public else "private, no-store"
        assert answer.headers["cache-control"] == expected
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer.content)
    entries = read_log(tmp_path, vkeys(place.town.settings))
    assert entries == [place.town.ledger.entry(seq).raw for seq in range(size)]


@pytest.mark.usefixtures("full_tile")
def test_partial_tiles_of_every_width(place: Place) -> None:
    """A prefix of the full tile; what lies beyond the log's end isn't there."""
    web = place.web
    leaves = b"".join(leaf_of(place.town.ledger.entry(seq).raw) for seq in range(256))
    for width in range(1, 256):
        assert web.get(f"/tile/0/000.p/{width}").content == leaves[: width * 32]
    assert web.get("/tile/0/000").content == leaves
    number, width = divmod(place.town.size(), 256)
    last = f"/tile/0/{number:03d}.p"
    assert [kind_of(web.get(f"{last}/{w}")) for w in (width, width + 1)] == ["200", "not_found"]


@pytest.mark.usefixtures("full_tile")
@pytest.mark.parametrize(
    "path",
    ["0/999", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/300", "0/x000/000", "0/0", "00/000",
     "0/-01", "0/000.p/", "64/000", "63/000", "1/999", "0/x999/x999/x999/x999/999", "entries", "", "a/000",
     "0/000/", "0/%30%30%30", "../v1/log", "0/٠٠٠"],
)  # fmt: skip
def test_a_tile_that_is_not_there_is_not_found(place: Place, path: str) -> None:
    web = place.web
    answer = web.client.get(f"{web.url}/tile/{path}")
    if path == "0/%30%30%30":  # the same address, written otherwise
        assert answer.status_code == 200
    elif path != "../v1/log":
        assert kind_of(answer) == "not_found"


@pytest.mark.usefixtures("full_tile")
def test_bundles_of_entries_are_for_auditors_in_term(place: Place) -> None:
    """A token is given once, ends after an hour and with the term; it is no session."""
    web, auditor, clock = place.web, _auditor(place), place.clock
    event = auditor.event("log.opened", "ledger", {}, clock())
    sent = web.signed(event, auditor)
    token = good(web.post("/v1/log/token", sent))["token"]
    again = web.post("/v1/log/token", sent)
    assert kind_of(again) == "already_used" and "token" not in again.json()
    path = "/tile/entries/000"
    assert kind_of(web.get(path, headers=bearer(token))) == "200"
    assert kind_of(web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    assert kind_of(web.get(path)) == "not_signed_in"
    assert kind_of(web.get(path, auditor)) == "not_signed_in"
    assert kind_of(web.get(path, place.pat.actor)) == "not_signed_in"
    clock.ahead = 3_600_000
    try:
        assert kind_of(web.get(path, headers=bearer(token))) == "not_signed_in"
    finally:
        clock.ahead = 0
    doctor = place.doctor
    for actor in (doctor, doctor.in_role("auditor"), place.town.operator):
        event = actor.event("log.opened", "ledger", {}, clock())
        assert kind_of(web.post("/v1/log/token", web.signed(event, actor))) in ("malformed", "role")
    ended = place.town.operator.event(
        "auditor.ended", "ledger", {"account": auditor.account}, clock()
    )
    place.far.append(place.town.operator, [ended])
    assert kind_of(web.get(path, headers=bearer(token))) == "not_signed_in"


def test_the_log_says_what_it_is(place: Place) -> None:
    """Origin, keys, size; the registry's bytes are those whose hash it names."""
    found = good(place.web.get("/v1/log"))
    assert found["origin"] == place.town.ledger.origin
    assert found["vkeys"] == list(vkeys(place.town.settings))
    assert found["size"] == place.town.size()
    registry = place.web.get("/v1/log/registry")
    assert b64encode(hashlib.sha256(registry.content).digest()) == found["registry"]


def test_an_address_that_is_not_there_is_a_problem(place: Place) -> None:
    web = place.web
    for path in ("/", "/v1", "/v2/log", "/v1/records/rc_1/content", "/docs", "/tile"):
        assert web.client.get(path).status_code in (400, 404), path
        assert problem(web.client.get(path))
    answer = web.client.delete("/v1/log")
    assert (kind_of(answer), answer.headers["allow"]) == ("method", "GET")


def test_both_desks_answer_alike(place: Place) -> None:
    """The same question beside the data and from afar."""
    near, far, pat = Near(place.town.ledger), place.far, place.pat
    assert near.consents(pat.actor, pat.patient) == far.consents(pat.actor, pat.patient)
    assert near.charts(pat.actor) == far.charts(pat.actor)
    assert near.policy() == far.policy()
    record = place.records["old"]
    assert near.address(pat.actor, record) == far.address(pat.actor, record)
    for desk in (near, far):
        with pytest.raises(ValueError, match=r"grant"):
            grants.revoke(desk, pat.actor, pat.patient, place.town.north.hospital)


def test_a_client_that_stays_long_signs_in_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its session ends, so that a long import goes on; and says when the server is gone."""
    far, actor = place.far, place.pat.actor
    assert far.charts(actor) == [place.pat.patient]
    token = place.web.token(actor)
    monkeypatch.setattr("api.far.SESSION_SECONDS", 0)
    renewed = Far(place.web.url)
    with in_process(place.town.ledger) as other:
        gone = Far(other.url)
    with pytest.raises(Unavailable, match="does not answer"):
        gone.charts(actor)
    for _ in range(2):
        assert renewed.charts(actor) == [place.pat.patient]
        _end_sessions(place)
    assert kind_of(place.web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    place.web.forget()
    gone.close()
    renewed.close()


def _end_sessions(place: Place) -> None:
    """As a restart with an empty file of what lasts minutes."""
    place.clock.ahead = sessions.SESSION_MS * 2
    try:
        place.web.challenge()  # whatever has ended is swept
    finally:
        place.clock.ahead = 0
