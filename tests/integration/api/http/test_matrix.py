"""Who may do what over HTTP: one row an operation, one column a role; the chart and the record are always
the same patient's, written by the north hospital. Every operation of the OpenAPI document has its row.

It is the same table warm and cold: with what the log keeps between batches forgotten before each request.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from client import authoring, grants, registering
from client.local import LocalClient
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from ledger.times import DAY_MS, format_time
from records.exporting import commitment, listed
from records.opening import find_record
from records.uploads import Upload
from tests.support.people import Town
from tests.support.scene import Scene
from tests.support.server import Web, bearer, in_process, kind_of, problem

WHO = {
    "nobody": "without a token; signs with a key that is registered nowhere",
    "self": "the patient, of age",
    "person": "the patient's account in the role of a mere person",
    "other": "another patient",
    "doctor": "of the hospital that wrote the record",
    "doctor-": "of another hospital, without a grant",
    "doctor*": "of another hospital, with a full grant",
    "doctor!": "the same, but excluded",
    "admin": "of the hospital that wrote the record",
    "admin-": "of another hospital",
    "system": "of the hospital that wrote the record",
    "system-": "of another hospital",
    "operator": "of the log",
    "auditor": "in term",
}
"""The columns."""

TABLE = """
operation                                 | nobody   self     person   other    doctor   doctor-  doctor*  doctor!  admin    admin-   system   system-  operator auditor
POST /v1/events: grant                    | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/events: exclude                  | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/events: hide                     | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/events: retract                  | key      S12      S1       S0       200      S12      S12      S12      S1       S1       200      S12      S1       S1
POST /v1/events: upload                   | key      200      S1       S0       200      200      200      200      S1       S1       200      200      S1       S1
POST /v1/events: register a patient       | key      S0       S12      S0       200      200      200      200      200      200      200      200      S1       S1
POST /v1/events: approve a doctor at north| key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/events: approve a hospital       | key      role     role     role     role     role     role     role     role     role     role     role     200      role
POST /v1/bundles: grant                   | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/records/{record}/content         | key      200      S1       S0       200      S12      200      S12      S1       S1       S1       S1       S1       S1
GET /v1/records/{record}/content          | 401      206      404      404      206      404      206      404      404      404      404      404      404      404
POST /v1/patients/{patient}/chart         | key      200      S1       S0       200      S12      200      S12      S1       S1       S1       S1       S1       S1
POST /v1/patients/{patient}/history       | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       200
POST /v1/patients/{patient}/export        | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/subjects                         | 401      403      403      403      200      200      200      200      200      200      200      200      200      403
POST /v1/patients/{patient}/seal          | 401      200      403      403      200      200      200      200      403      403      200      200      403      403
POST /v1/patients/{patient}/blobs         | 401      200      403      403      200      200      200      200      403      403      200      200      403      403
POST /v1/patients/lookup                  | 401      403      403      403      200      200      200      200      200      200      200      200      403      403
POST /v1/decisions: of oneself            | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/decisions: of others             | 401      200      403      403      403      403      403      403      403      403      403      200      403      200
GET /v1/me                                | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/hospitals/{hospital}              | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/groups/{group}                    | 401      404      404      404      404      404      404      404      404      404      404      404      404      404
GET /v1/accounts/{account}                | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/records/{record}                  | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/patients/{patient}/grants         | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/receipts/{seq}                    | 401      200      200      404      200      404      404      404      200      404      200      404      404      200
POST /v1/sessions/challenge               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/sessions                         | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
DELETE /v1/sessions                       | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
POST /v1/log/token                        | key      role     role     role     role     role     role     role     role     role     role     role     role     200
GET /tile/{path}: entries                 | 401      401      401      401      401      401      401      401      401      401      401      401      401      200
GET /tile/{path}: hashes                  | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /checkpoint                           | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log                               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/consistency/{old}/{new}       | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/registry                      | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /healthz                              | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /readyz                               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /metrics                              | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
"""
"""The status or, where it tells more, the kind of the problem; of what the rules of consent deny, the rule.

`GET …/content` and `GET /tile/…: entries` come with the token that the signed reading gave, else in the session.
"""


@dataclass
class Place:
    """A scene, a server in this process, and everybody of the table."""

    scene: Scene
    web: Web
    who: dict[str, Actor]
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def town(self) -> Town:
        return self.scene.town

    def now(self) -> int:
        return self.town.ledger.clock()

    def asks(self, name: str, method: str, path: str, **sent: Any) -> httpx2.Response:
        """A request in a session, or without any."""
        headers = {} if name == "nobody" else bearer(self.web.token(self.who[name]))
        return self.web.client.request(method, path, headers=headers, **sent)

    def signs(self, name: str, path: str, event: dict[str, Any], **also: Any) -> httpx2.Response:
        """A signed event, without a session."""
        return self.web.post(path, self.web.signed(event, self.who[name]) | also)


@pytest.fixture(scope="module", params=["warm", "cold"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    town = Town.found(Settings(data=tmp_path_factory.mktemp("matrix") / "data"))
    with in_process(town.ledger) as web:
        scene = Scene.of(town)
        if request.param == "cold":
            web.client.event_hooks = {"request": [lambda request: town.forget()]}
        yield Place(scene, web, _everybody(scene))
    town.verify()
    town.close()


def _everybody(scene: Scene) -> dict[str, Actor]:
    town, client = scene.town, LocalClient(scene.town.ledger)
    key, now = new_key(), client.now()
    account, events = registering.new_account(client, town.operator, "Auditor", key, "device")
    term = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(town.operator.event("auditor.appointed", "ledger", term, now))
    client.append(town.operator, events)
    granted, excluded = town.doctor(), town.doctor()
    for doctor in (granted, excluded):
        grants.grant(client, scene.pat.actor, scene.pat.patient, doctor.account)
    grants.exclude(client, scene.pat.actor, scene.pat.patient, excluded.account)
    return {
        "nobody": Actor(client.origin, new_id("ac", now), "doctor", town.north.hospital, new_key()),
        "self": scene.pat.actor,
        "person": scene.pat.actor.in_role("person"),
        "other": scene.kim.actor,
        "doctor": town.doctor(town.north),
        "doctor-": scene.doctor,
        "doctor*": granted,
        "doctor!": excluded,
        "admin": town.north.admin,
        "admin-": town.south.admin,
        "system": town.north.system,
        "system-": town.south.system,
        "operator": town.operator,
        "auditor": Actor(client.origin, account, "auditor", "", key),
    }


# What each row does.

Act = Callable[[Place, str], httpx2.Response]


def _plain(method: str, path: str) -> Act:
    return lambda place, name: place.asks(
        name, method, path.format(patient=place.scene.pat.patient, record=place.scene.record)
    )


def _sent(path: str, make: Callable[[Place, str], Any]) -> Act:
    return lambda place, name: place.asks(
        name, "POST", path.format(patient=place.scene.pat.patient), json=make(place, name)
    )


def _reading(kind: str, path: str) -> Act:
    def act(place: Place, name: str) -> httpx2.Response:
        scene, body = place.scene, {"purpose": "TREAT"}
        if kind == "record.opened":
            body = body | {"blob": scene.blob, "record": scene.record, "version": 1}  # type: ignore[assignment]
        event = place.who[name].event(kind, scene.pat.stream, body, place.now())
        where = path.format(patient=scene.pat.patient, record=scene.record)
        return place.signs(name, where, event)

    return act


def _export(place: Place, name: str) -> httpx2.Response:
    scene = place.scene
    records = [find_record(place.town.ledger, scene.record)]
    count, root = commitment(records, listed(records))
    body = {"count": count, "purpose": "PATRQT", "root": b64encode(root)}
    event = place.who[name].event("chart.exported", scene.pat.stream, body, place.now())
    wanted = [list(one) for one in listed(records)]
    return place.signs(name, f"/v1/patients/{scene.pat.patient}/export", event, list=wanted)


def _range(place: Place, name: str) -> httpx2.Response:
    """With the read token of the reading, where it gave one; else in the session."""
    token = _reading("record.opened", "/v1/records/{record}/content")(place, name).headers.get(
        "heartwood-read-token"
    )
    path = f"/v1/records/{place.scene.record}/content"
    return place.web.get(path, headers=bearer(token)) if token else place.asks(name, "GET", path)


def _event(kind: str, body: Callable[[Place, str], dict[str, Any]], stream: str = "") -> Act:
    def act(place: Place, name: str) -> httpx2.Response:
        where = stream.format(north=place.town.north.hospital) or place.scene.pat.stream
        event = place.who[name].event(kind, where, body(place, name), place.now())
        return place.signs(name, "/v1/events", event)

    return act


def _grant(place: Place, name: str) -> dict[str, Any]:
    body: dict[str, Any] = place.scene.grant(place.town.south.admin.account)["body"]
    return body


def _bundle(place: Place, name: str) -> httpx2.Response:
    """Two grants under one signature; the answer to the first."""
    who, stream = place.who[name], place.scene.pat.stream
    events = [
        who.event("access.granted", stream, _grant(place, name), place.now()) for _ in range(2)
    ]
    answer = place.web.post("/v1/bundles", place.web.bundled(who, events))
    if answer.status_code == 200 and "problem" in answer.json()["entries"][0]:
        told = answer.json()["entries"][0]["problem"]
        kind = {"content-type": "application/problem+json"}
        return httpx2.Response(told["status"], json=told, headers=kind)
    return answer


def _exclusion(place: Place, name: str) -> dict[str, Any]:
    return {"purpose": "PATRQT", "reader": place.town.south.admin.account}


def _another(place: Place, name: str) -> dict[str, Any]:
    """A further record of the patient's, for what is done to it."""
    one = Upload(place.scene.pat.patient, "document", "text/plain", [b"x"])
    record = authoring.upload(LocalClient(place.town.ledger), place.town.north.system, one).record
    return {"purpose": "TREAT", "record": record}


def _upload(place: Place, name: str) -> httpx2.Response:
    """With a blob of its own where it may stage one, else with somebody else's.

    Staff write into another chart, so that no hospital has a record of the patient's by it.
    """
    who = place.who[name]
    chart = place.scene.kim if who.hospital else place.scene.pat
    path = f"/v1/patients/{chart.patient}/blobs"
    answer = place.asks(name, "POST", path, content=b"x")
    if answer.status_code != 200:
        answer = place.asks("system", "POST", path, content=b"x")
    body = {
        **answer.json(), "category": "document", "confidentiality": "normal",
        "media_type": "text/plain", "purpose": "TREAT", "version": 1,
    }  # fmt: skip
    event = who.event("record.uploaded", chart.stream, body, place.now())
    return place.signs(name, "/v1/events", event)


def _registration(place: Place, name: str) -> httpx2.Response:
    """With ids of its own reserving where it may, else with somebody else's."""
    scene, now = place.scene, place.now()
    event_id, patient, account = scene.id("ev"), scene.id("pt"), scene.id("ac")
    subjects = [{"event": event_id, "id": one} for one in (patient, account)]
    if place.asks(name, "POST", "/v1/subjects", json={"subjects": subjects}).status_code != 200:
        place.asks("system", "POST", "/v1/subjects", json={"subjects": subjects})
    body = {"account": account, "adult": True, "patient": patient, "purpose": "TREAT"}
    event = place.who[name].event("patient.registered", f"patient/{patient}", body, now, event_id)
    return place.signs(name, "/v1/events", event)


def _account(place: Place, name: str) -> dict[str, Any]:
    """A doctor of the town: approved once more, at the north hospital."""
    return {"account": place.town.doctor().account}


def _hospital(place: Place, name: str) -> dict[str, Any]:
    return {"hospital": place.scene.id("hs"), "name": "Ostklinik", "time_zone": "Europe/Berlin"}


def _log_token(place: Place, name: str) -> httpx2.Response:
    event = place.who[name].event("log.opened", "ledger", {}, place.now())
    return place.signs(name, "/v1/log/token", event)


def _entries(place: Place, name: str) -> httpx2.Response:
    """With the token for entries where one is given, else in the session."""
    answer = _log_token(place, name)
    if answer.status_code == 200:
        return place.web.get("/tile/entries/000.p/1", headers=bearer(answer.json()["token"]))
    return place.asks(name, "GET", "/tile/entries/000.p/1")


def _receipt(place: Place, name: str) -> httpx2.Response:
    """Of the entry that uploaded the record."""
    return place.asks(
        name, "GET", f"/v1/receipts/{find_record(place.town.ledger, place.scene.record).seq}"
    )


def _subject(place: Place, name: str) -> Any:
    return {"subjects": [{"event": place.scene.id("ev"), "id": place.scene.id("pt")}]}


def _seal(place: Place, name: str) -> Any:
    return {
        "event": place.scene.id("ev"),
        "object": place.scene.pat.patient,
        "texts": {"name": "T"},
    }


def _about(place: Place, asked: Actor) -> dict[str, Any]:
    return {
        "action": "read", "actor": asked.account, "hospital": asked.hospital,
        "patient": place.scene.pat.patient, "purpose": "TREAT", "record": place.scene.record,
        "role": asked.role,
    }  # fmt: skip


def _sign_in(place: Place, name: str) -> httpx2.Response:
    return place.web.sign_in(place.who[name])


def _sign_out(place: Place, name: str) -> httpx2.Response:
    if name == "nobody":
        return place.web.client.delete("/v1/sessions")
    token = _sign_in(place, name).json()["token"]
    return place.web.client.delete("/v1/sessions", headers=bearer(token))


ACTS: dict[str, Act] = {
    "POST /v1/events: grant": _event("access.granted", _grant),
    "POST /v1/events: exclude": _event("reader.excluded", _exclusion),
    "POST /v1/events: hide": _event("record.hidden", _another),
    "POST /v1/events: retract": _event("record.retracted", _another),
    "POST /v1/events: upload": _upload,
    "POST /v1/events: register a patient": _registration,
    "POST /v1/events: approve a doctor at north": _event(
        "doctor.approved", _account, "hospital/{north}"
    ),
    "POST /v1/events: approve a hospital": _event("hospital.approved", _hospital, "ledger"),
    "POST /v1/bundles: grant": _bundle,
    "POST /v1/records/{record}/content": _reading("record.opened", "/v1/records/{record}/content"),
    "GET /v1/records/{record}/content": _range,
    "POST /v1/patients/{patient}/chart": _reading("chart.opened", "/v1/patients/{patient}/chart"),
    "POST /v1/patients/{patient}/history": _reading(
        "history.opened", "/v1/patients/{patient}/history"
    ),
    "POST /v1/patients/{patient}/export": _export,
    "POST /v1/subjects": _sent("/v1/subjects", _subject),
    "POST /v1/patients/{patient}/seal": _sent("/v1/patients/{patient}/seal", _seal),
    "POST /v1/patients/{patient}/blobs": lambda place, name: place.asks(
        name, "POST", f"/v1/patients/{place.scene.pat.patient}/blobs", content=b"x"
    ),
    "POST /v1/patients/lookup": _sent(
        "/v1/patients/lookup", lambda place, name: {"identifiers": ["x"]}
    ),
    "POST /v1/decisions: of oneself": _sent(
        "/v1/decisions", lambda place, name: _about(place, place.who[name])
    ),
    "POST /v1/decisions: of others": _sent(
        "/v1/decisions", lambda place, name: _about(place, place.town.south.system)
    ),
    "GET /v1/me": _plain("GET", "/v1/me"),
    "GET /v1/hospitals/{hospital}": lambda place, name: place.asks(
        name, "GET", f"/v1/hospitals/{place.town.north.hospital}"
    ),
    "GET /v1/groups/{group}": lambda place, name: place.asks(
        name, "GET", f"/v1/groups/gp_{'0' * 26}"
    ),
    "GET /v1/accounts/{account}": lambda place, name: place.asks(
        name, "GET", f"/v1/accounts/{place.town.north.system.account}"
    ),
    "GET /v1/records/{record}": _plain("GET", "/v1/records/{record}"),
    "GET /v1/patients/{patient}/grants": _plain("GET", "/v1/patients/{patient}/grants"),
    "GET /v1/receipts/{seq}": _receipt,
    "POST /v1/sessions/challenge": lambda place, name: place.web.post("/v1/sessions/challenge"),
    "POST /v1/sessions": _sign_in,
    "DELETE /v1/sessions": _sign_out,
    "POST /v1/log/token": _log_token,
    "GET /tile/{path}: entries": _entries,
    "GET /tile/{path}: hashes": _plain("GET", "/tile/0/000.p/1"),
    "GET /checkpoint": _plain("GET", "/checkpoint"),
    "GET /v1/log": _plain("GET", "/v1/log"),
    "GET /v1/log/consistency/{old}/{new}": _plain("GET", "/v1/log/consistency/1/2"),
    "GET /v1/log/registry": _plain("GET", "/v1/log/registry"),
    "GET /healthz": _plain("GET", "/healthz"),
    "GET /readyz": _plain("GET", "/readyz"),
    "GET /metrics": _plain("GET", "/metrics"),
}


def cell(answer: httpx2.Response) -> str:
    """An answer as the table writes it."""
    kind = kind_of(answer)
    if kind == "denied":
        return str(problem(answer)["rule"])
    return str(answer.status_code) if kind in ("forbidden", "not_found", "not_signed_in") else kind


def rows() -> dict[str, list[str]]:
    """The table: the cells of each operation."""
    split = (line.split("|") for line in TABLE.strip().splitlines()[1:])
    return {name.strip(): cells.split() for name, cells in split}


@pytest.mark.parametrize("operation", ACTS)
def test_who_may_do_what(place: Place, operation: str) -> None:
    """Each cell of a row, against the server."""
    found = {name: cell(ACTS[operation](place, name)) for name in WHO}
    assert found == dict(zip(WHO, rows()[operation], strict=True))


def test_every_operation_is_in_the_table(place: Place) -> None:
    """And the table has none that isn't there."""
    paths = place.web.get("/v1/openapi.json").json()["paths"]
    offered = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert {operation.partition(": ")[0] for operation in rows()} == offered
    assert list(rows()) == list(ACTS)


def test_the_document_says_what_needs_a_token(place: Place) -> None:
    """Just the operations that answer 401 to nobody."""
    paths = place.web.get("/v1/openapi.json").json()["paths"]
    secured = {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method, operation in item.items()
        if operation.get("security")
    }
    assert secured | {"POST /v1/sessions"} == {
        operation.partition(": ")[0] for operation, cells in rows().items() if cells[0] == "401"
    }


def test_the_columns_are_named(place: Place) -> None:
    """As they are explained, in the same order."""
    assert TABLE.strip().splitlines()[0].split("|")[1].split() == list(WHO)
