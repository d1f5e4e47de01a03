"""The main job over HTTP: register, upload, grant, list, read, export, be refused."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from client import grants, groups, readings
from crypto.encoding import b64decode, b64encode
from identity.actors import Actor, new_id
from journeys.errors import AccessDenied
from journeys.labelling import LABELS_AN_HOUR
from ledger.codes import LABELS, PURPOSES
from people import reserving
from records.exporting import commitment, listed
from tests.support.people import vkeys
from tests.support.places import (
    BIG,
    OWN,
    PURPOSE,
    Place,
    new_doctor,
    new_patient,
    question_of,
)
from tests.support.server import good, kind_of, problem
from tests.tilereader import leaf_hash as leaf_of
from tests.tilereader import open_checkpoint, root_from_path


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
    other = new_patient(place.far, town)
    for actor, stream in (
        (town.south.system, place.pat.stream),
        (town.north.system, other.stream),
    ):
        event = actor.event("record.uploaded", stream, body, place.clock())
        assert kind_of(web.post("/v1/events", web.signed(event, actor))) == "no_key"


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
    doctor, colleague = new_doctor(far, place.town), new_doctor(far, place.town)
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


def _stranger_and_excluded(place: Place) -> tuple[Actor, Actor]:
    """A doctor without a grant, and one with a grant whom the patient excludes."""
    far, pat = place.far, place.pat
    stranger, excluded = new_doctor(far, place.town), new_doctor(far, place.town)
    grants.grant(far, pat.actor, pat.patient, excluded.account)
    grants.exclude(far, pat.actor, pat.patient, excluded.account)
    return stranger, excluded


def test_an_excluded_asker_is_told_what_a_stranger_is_told(place: Place) -> None:
    """Byte for byte, now and at each retry, by reading and list; the patient is told the reason."""
    far, web, pat = place.far, place.web, place.pat
    (stranger, excluded), record = _stranger_and_excluded(place), place.records["old"]
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
    whole = good(web.post("/v1/decisions", question_of(place, excluded, record), pat.actor))
    assert (whole["rule"], whole["reason"]) == ("S7", "excluded")
    grants.include(far, pat.actor, pat.patient, excluded.account)
    assert place.readable(excluded, record) and not place.readable(stranger, record)


def test_the_explanation_does_not_tell_of_an_exclusion(place: Place) -> None:
    """Neither does what would have to change; for no purpose, of the record or of the chart."""
    stranger, excluded = _stranger_and_excluded(place)
    for action, purpose, record in product(("list", "read"), PURPOSES, ("", place.records["old"])):
        asked = {"action": action, "purpose": purpose}
        told = [
            good(place.web.post("/v1/decisions", question_of(place, actor, record) | asked, actor))
            for actor in (stranger, excluded)
        ]
        assert told[0] | {"as_of": 0} == told[1] | {"as_of": 0}
    question = question_of(place, excluded, "") | {"action": "declare_emergency"}
    refused = place.web.post("/v1/decisions", question, excluded)
    assert "which no kind of event asks for yet" in problem(refused)["detail"]


def test_a_hidden_record_is_in_no_grant_until_it_is_shown(place: Place) -> None:
    """Its author's hospital and the patient go on."""
    far, pat, doctor = place.far, place.pat, new_doctor(place.far, place.town)
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
    far, pat, doctor = place.far, place.pat, new_doctor(place.far, place.town)
    grants.grant(far, pat.actor, pat.patient, doctor.account, uses=2)
    assert [place.readable(doctor, place.records["old"]) for _ in range(3)] == [True, True, False]


def test_codes_of_labels_are_for_what_is_staged_and_counted(place: Place) -> None:
    """None by the way; beyond the limit, 429 with a time to come again."""
    web, doctor, patient = place.web, new_doctor(place.far, place.town), place.pat.patient
    path, asked = f"/v1/patients/{patient}/seal", {"event": new_id("ev", place.clock())}
    sent = asked | {"object": patient, "labels": ["HIV"]}
    assert kind_of(web.post(path, sent, doctor)) == "forbidden"
    sent |= {"object": place.far.stage(doctor, patient, [b"x"]).record}
    assert len(good(web.post(path, sent, doctor))["labels"]) == 1
    answer = web.post(path, sent | {"labels": LABELS[: LABELS_AN_HOUR + 1]}, doctor)
    assert (kind_of(answer), answer.status_code, answer.headers["retry-after"]) == (
        "quota",
        429,
        "600",
    )
    sent = asked | {"object": patient, "labels": LABELS}
    assert len(good(web.post(path, sent, place.pat.actor))["labels"]) == len(LABELS)


def test_ids_over_http_are_reserved_by_quota(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, 429 with a time to come again; the next hour's are there again."""
    monkeypatch.setattr(reserving, "RESERVED_AN_HOUR", 3)
    web, system = place.web, place.town.south.system
    now = place.clock()
    sent = {"subjects": [{"id": new_id("ac", now), "event": new_id("ev", now)} for _ in range(2)]}
    assert kind_of(web.post("/v1/subjects", sent, system)) == "200"
    answer = web.post("/v1/subjects", sent, system)
    assert (kind_of(answer), answer.status_code, answer.headers["retry-after"]) == (
        "quota",
        429,
        "600",
    )


def test_a_server_whose_clock_is_in_doubt_is_not_ready(place: Place) -> None:
    """Nothing could be appended, hence nothing read."""
    place.clock.ahead = 60_000
    try:
        answer = place.web.get("/readyz")
        assert kind_of(answer) == "clock" and "jumped forward" in problem(answer)["detail"]
        assert kind_of(place.web.get("/healthz")) == "200"
    finally:
        place.clock.ahead = 0
    assert kind_of(place.web.get("/readyz")) == "200"
