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
from tests.support.ledger_fixture import vkeys
from tests.support.server import good, kind_of, problem
from tests.support.server_fixture import (
    BIG,
    OWN,
    PURPOSE,
    ServedChart,
    new_doctor,
    new_patient,
    question_of,
)
from tests.tilereader import leaf_hash as leaf_of
from tests.tilereader import open_checkpoint, root_from_path


def test_every_step_of_an_upload_is_answered_as_the_formats_say(server: ServedChart) -> None:
    """Staged, sealed, appended; the answer proves where the entry stands; the reading gives it back."""
    web, system, patient = server.web, server.fixture.north.system, server.pat.patient
    staged = good(web.post(f"/v1/patients/{patient}/blobs", None, system, content=BIG))
    assert (staged.keys(), staged["size"]) == ({"blob", "record", "sha256", "size"}, len(BIG))
    event_id = new_id("ev", server.clock())
    sent = {"event": event_id, "labels": [], "object": staged["record"], "texts": {"title": "Scan"}}
    sealed = good(web.post(f"/v1/patients/{patient}/seal", sent, system))
    body = {
        **staged, **sealed["sealed"], "category": "imaging", "confidentiality": "normal",
        "media_type": "image/png", "version": 1, **PURPOSE,
    }  # fmt: skip
    event = system.event("record.uploaded", server.pat.stream, body, server.clock(), event_id)
    answer = good(web.post("/v1/events", web.signed(event, system)))
    assert (answer.keys(), answer["appended"]) == ({"appended", "checkpoint", "entries"}, 1)
    (entry,) = answer["entries"]
    assert (entry.keys(), entry["index"]) == ({"index", "path", "seq", "time"}, 0)
    note = open_checkpoint(answer["checkpoint"].encode(), vkeys(server.fixture.settings))
    raw, path = server.fixture.ledger.entry(entry["seq"]).raw, [b64decode(n) for n in entry["path"]]
    assert root_from_path(leaf_of(raw), entry["seq"], note.size, path) == note.root
    shown = server.open(server.pat.actor, staged["record"])
    assert shown.content == BIG
    assert json.loads(b64decode(shown.headers["heartwood-texts"])) == {"title": "Scan"}


def test_a_reading_is_answered_as_data(server: ServedChart) -> None:
    """An attachment, not sniffed, not kept; its type as the author said; where and why it stands."""
    answer = server.open(server.pat.actor, server.records["old"])
    expected = {
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="{server.records["old"]}"',
        "content-security-policy": "sandbox",
        "content-type": "text/plain",
        "heartwood-size": "3",
        "x-content-type-options": "nosniff",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    decision = json.loads(answer.headers["heartwood-decision"])
    assert (decision["effect"], decision["rule"]) == ("permit", "S5")
    assert server.fixture.ledger.entry(int(answer.headers["heartwood-entry"])).decision == decision


def test_a_blob_is_its_authors_alone(server: ServedChart) -> None:
    """Nobody else's event can name it, nor of another patient."""
    web, fixture = server.web, server.fixture
    path = f"/v1/patients/{server.pat.patient}/blobs"
    staged = good(web.post(path, None, fixture.north.system, content=b"mine"))
    body = {
        **staged, "category": "imaging", "confidentiality": "normal", "media_type": "image/png",
        "version": 1, **PURPOSE,
    }  # fmt: skip
    other = new_patient(server.client, fixture)
    for actor, stream in (
        (fixture.south.system, server.pat.stream),
        (fixture.north.system, other.stream),
    ):
        event = actor.event("record.uploaded", stream, body, server.clock())
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
def test_the_list_is_what_can_be_read(server: ServedChart, name: str, grantee: str) -> None:
    """P12, and exactly what the grant says; a colleague gets the same of the hospital's grant, else nothing."""
    client, south, granted = server.client, server.fixture.south, GRANTS[name]
    doctor, colleague = new_doctor(client, server.fixture), new_doctor(client, server.fixture)
    group = groups.form(client, south.admin, "Ward")[0]
    groups.join(client, south.admin, group, doctor.account)
    to = {"person": doctor.account, "hospital": south.hospital, "group": group}[grantee]
    pat, scope = server.pat, granted.scope(server.records)
    grants.grant(client, pat.actor, pat.patient, to, days=1, **scope)
    names = {record: name for name, record in server.records.items()}
    for who, sees in (
        (doctor, granted.shows),
        (colleague, granted.shows if grantee == "hospital" else set()),
    ):
        readable = {names[r] for r in names if server.readable(who, r)}
        assert readable == sees
        listed = _listed(server, who)
        assert {names[r] for r in listed if r in names} == readable
    grants.revoke(client, pat.actor, pat.patient, to)
    assert _listed(server, doctor) == set()


def _listed(server: ServedChart, actor: Actor) -> set[str]:
    """What the list shows; of one who may list nothing, the refusal."""
    try:
        return server.shown(actor)
    except AccessDenied as refusal:
        if refusal.rule != "S12":
            raise
        return set()


def test_of_the_patient_list_reading_and_export_are_the_same(server: ServedChart) -> None:
    """All of the chart, hidden and retracted too; each content once more, from the ZIP."""
    actor, patient = server.pat.actor, server.pat.patient
    chart, taken = readings.export(server.client, actor, patient, "PATRQT")
    listed = {line.record.record for line in chart.lines}
    assert set(server.records.values()) <= listed
    assert {one.record.record for one in taken} == listed
    for one in taken:
        content = server.open(actor, one.record.record).content
        assert b"".join(one.content) == content
    assert {line.title for line in chart.lines} >= {"Blood count"}


def test_an_export_gives_what_its_event_commits_to(server: ServedChart) -> None:
    """The ZIP's names are ids, its index says what they are; another list than the event's is refused."""
    actor, patient = server.pat.actor, server.pat.patient
    chart = readings.chart(server.client, actor, patient, "PATRQT")
    records = [line.record for line in chart.lines]
    wanted = listed(records)
    count, root = commitment(records, wanted)
    event = server.event(actor, "chart.exported", {"count": count, "root": b64encode(root), **OWN})
    sent = server.web.signed(event, actor)
    path = f"/v1/patients/{patient}/export"
    size = server.fixture.size()
    for bent in (wanted[1:], [*wanted, wanted[0]], [], [[wanted[0][0], 2], *wanted[1:]]):
        answer = server.web.post(path, sent | {"list": [list(item) for item in bent]})
        assert kind_of(answer) in ("malformed", "not_found")
    assert server.fixture.size() == size
    answer = server.web.post(path, sent | {"list": [list(item) for item in wanted]})
    assert answer.headers["content-disposition"] == f'attachment; filename="{patient}.zip"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    index = json.loads(archive.read("index.json"))
    assert [(line["record"], line["version"]) for line in index] == wanted
    files = {line["file"] for line in index}
    assert set(archive.namelist()) == {"index.json", "openings.json", *files}
    assert len(json.loads(archive.read("openings.json"))) == len(index)


def _stranger_and_excluded(server: ServedChart) -> tuple[Actor, Actor]:
    """A doctor without a grant, and one with a grant whom the patient excludes."""
    client, pat = server.client, server.pat
    stranger, excluded = new_doctor(client, server.fixture), new_doctor(client, server.fixture)
    grants.grant(client, pat.actor, pat.patient, excluded.account)
    grants.exclude(client, pat.actor, pat.patient, excluded.account)
    return stranger, excluded


def test_an_excluded_asker_is_told_what_a_stranger_is_told(server: ServedChart) -> None:
    """Byte for byte, now and at each retry, by reading and list; the patient is told the reason."""
    client, web, pat = server.client, server.web, server.pat
    (stranger, excluded), record = _stranger_and_excluded(server), server.records["old"]
    answers = []
    for actor in (stranger, excluded):
        reading, opened = (
            server.reading(actor, record),
            server.event(actor, "chart.opened", PURPOSE),
        )
        path, chart = f"/v1/records/{record}/content", f"/v1/patients/{pat.patient}/chart"
        sent = web.signed(opened, actor)
        answers.append([
            web.post(path, reading), web.post(path, reading), web.post(chart, sent), web.post(chart, sent)
        ])  # fmt: skip
    for one, other in zip(*answers, strict=True):
        assert one.content == other.content and dict(one.headers) == dict(other.headers)
        told = problem(one)
        assert (told["rule"], told["reason"], one.status_code) == ("S12", "no_consent", 403)
    whole = good(web.post("/v1/decisions", question_of(server, excluded, record), pat.actor))
    assert (whole["rule"], whole["reason"]) == ("S7", "excluded")
    grants.include(client, pat.actor, pat.patient, excluded.account)
    assert server.readable(excluded, record) and not server.readable(stranger, record)


def test_the_explanation_does_not_tell_of_an_exclusion(server: ServedChart) -> None:
    """Neither does what would have to change; for no purpose, of the record or of the chart."""
    stranger, excluded = _stranger_and_excluded(server)
    for action, purpose, record in product(("list", "read"), PURPOSES, ("", server.records["old"])):
        asked = {"action": action, "purpose": purpose}
        told = [
            good(
                server.web.post("/v1/decisions", question_of(server, actor, record) | asked, actor)
            )
            for actor in (stranger, excluded)
        ]
        assert told[0] | {"as_of": 0} == told[1] | {"as_of": 0}
    question = question_of(server, excluded, "") | {"action": "declare_emergency"}
    told = good(server.web.post("/v1/decisions", question, excluded))
    assert (told["rule"], told["reason"], told["basis"]) == ("S8", "emergency_off", [])
    question["action"] = "verify"
    refused = server.web.post("/v1/decisions", question, excluded)
    assert "which no kind of event asks for yet" in problem(refused)["detail"]


def test_a_hidden_record_is_in_no_grant_until_it_is_shown(server: ServedChart) -> None:
    """Its author's hospital and the patient go on."""
    client, pat, doctor = server.client, server.pat, new_doctor(server.client, server.fixture)
    record = server.records["hidden"]
    grants.grant(client, pat.actor, pat.patient, doctor.account, [record])
    assert not server.readable(doctor, record)
    assert server.readable(pat.actor, record)
    grants.show(client, pat.actor, pat.patient, record)
    assert server.readable(doctor, record)
    grants.hide(client, pat.actor, pat.patient, record)
    assert not server.readable(doctor, record)


def test_a_grant_is_used_up(server: ServedChart) -> None:
    """Two uses, then no more."""
    client, pat, doctor = server.client, server.pat, new_doctor(server.client, server.fixture)
    grants.grant(client, pat.actor, pat.patient, doctor.account, uses=2)
    assert [server.readable(doctor, server.records["old"]) for _ in range(3)] == [True, True, False]


def test_codes_of_labels_are_for_what_is_staged_and_counted(server: ServedChart) -> None:
    """None by the way; beyond the limit, 429 with a time to come again."""
    web, doctor, patient = server.web, new_doctor(server.client, server.fixture), server.pat.patient
    path, asked = f"/v1/patients/{patient}/seal", {"event": new_id("ev", server.clock())}
    sent = asked | {"object": patient, "labels": ["HIV"]}
    assert kind_of(web.post(path, sent, doctor)) == "forbidden"
    sent |= {"object": server.client.stage(doctor, patient, [b"x"]).record}
    assert len(good(web.post(path, sent, doctor))["labels"]) == 1
    answer = web.post(path, sent | {"labels": LABELS[: LABELS_AN_HOUR + 1]}, doctor)
    assert (kind_of(answer), answer.status_code, answer.headers["retry-after"]) == (
        "quota",
        429,
        "600",
    )
    sent = asked | {"object": patient, "labels": LABELS}
    assert len(good(web.post(path, sent, server.pat.actor))["labels"]) == len(LABELS)


def test_ids_over_http_are_reserved_by_quota(
    server: ServedChart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit, 429 with a time to come again; the next hour's are there again."""
    monkeypatch.setattr(reserving, "RESERVED_AN_HOUR", 3)
    web, system = server.web, server.fixture.south.system
    now = server.clock()
    sent = {"subjects": [{"id": new_id("ac", now), "event": new_id("ev", now)} for _ in range(2)]}
    assert kind_of(web.post("/v1/subjects", sent, system)) == "200"
    answer = web.post("/v1/subjects", sent, system)
    assert (kind_of(answer), answer.status_code, answer.headers["retry-after"]) == (
        "quota",
        429,
        "600",
    )


def test_a_server_whose_clock_is_in_doubt_is_not_ready(server: ServedChart) -> None:
    """Nothing could be appended, hence nothing read."""
    server.clock.ahead = 60_000
    try:
        answer = server.web.get("/readyz")
        assert kind_of(answer) == "clock" and "jumped forward" in problem(answer)["detail"]
        assert kind_of(server.web.get("/healthz")) == "200"
    finally:
        server.clock.ahead = 0
    assert kind_of(server.web.get("/readyz")) == "200"
