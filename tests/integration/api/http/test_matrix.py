"""Who may do what over HTTP: one row an operation, one column a role; the chart and the record are always
the same patient's, written by the north hospital. Every operation of the OpenAPI document has its row.

It is the same table warm and cold: with what the log keeps between batches forgotten before each request.
"""

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pyotp
import pytest

from api.app.settings import Settings
from client import applying, authoring, claiming, grants, inviting, referring, registering
from client.local import LocalClient
from client.operations import PASSKEY, QUERIES, SESSION_ID
from client.signers import possession
from crypto.claims import claim_key, invitation_key, read_claim_code
from crypto.encoding import b64encode
from crypto.xwing import ReceivingKey
from identity.actors import Actor, new_id, new_key
from ledger.directory import Key
from ledger.exports import export_line, export_root
from ledger.links import Referral
from ledger.messages import claim_message, invitation_message
from ledger.times import DAY_MS, format_time
from records.exporting import commitment, listed
from records.opening import find_record
from records.uploads import Upload
from tests.support.memory_log import SEALED
from tests.support.people import People
from tests.support.server import bearer, kind_of, problem
from tests.support.server_fixture import ServerFixture, served_people
from tests.support.sign_ins import PASSWORD, Account

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
POST /v1/events: declare an emergency     | key      S1       S1       S0       200      200      200      S8       S1       S1       S1       S1       S1       S1
POST /v1/events: disclose                 | key      S1       S1       S0       S1       S1       S1       S1       200      S12      200      S12      S1       S1
POST /v1/events: withhold a disclosure    | key      role     role     role     role     role     role     role     200      stream   200      stream   role     role
POST /v1/events: upload                   | key      200      S1       S0       200      200      200      200      S1       S1       200      200      S1       S1
POST /v1/events: register a patient       | key      S0       S12      S0       200      200      200      200      200      200      200      200      S1       S1
POST /v1/events: approve a doctor at north| key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/events: approve a hospital       | key      role     role     role     role     role     role     role     role     role     role     role     200      role
POST /v1/events: apply for a hospital     | key      role     200      role     role     role     role     role     role     role     role     role     role     role
POST /v1/events: decline a hospital       | key      role     role     role     role     role     role     role     role     role     role     role     200      role
POST /v1/events: apply to north           | key      role     200      role     role     role     role     role     role     role     role     role     role     role
POST /v1/events: approve for a while      | key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/events: decline who applied      | key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/events: withdraw an invitation   | key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/bundles: grant                   | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/records/{record}/content         | key      200      S1       S0       200      S12      200      S12      S1       S1       S1       S1       S1       S1
GET /v1/records/{record}/content          | 401      206      404      404      206      404      206      404      404      404      404      404      404      404
POST /v1/patients/{patient}/chart         | key      200      S1       S0       200      S12      200      S12      S1       S1       S1       S1       S1       S1
POST /v1/patients/{patient}/history       | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       200
POST /v1/patients/{patient}/emergency     | key      S1       S1       S0       S1       S1       S1       S1       200      S12      S1       S1       S1       S1
POST /v1/patients/{patient}/export        | key      200      S1       S0       S1       S1       S1       S1       S1       S1       S1       S1       S1       S1
POST /v1/patients/{patient}/referrals/package| key   S1       S1       S0       S12      200      200      S12      S1       S1       S12      200      S1       S1
POST /v1/subjects                         | 401      403      403      403      200      200      200      200      200      200      200      200      200      403
POST /v1/patients/{patient}/claims        | key      S0       S12      S0       S1       S12      S12      S12      200      S12      200      S12      S1       S1
POST /v1/claims                           | key      claim    role     claim    claim    claim    claim    claim    claim    claim    claim    claim    claim    claim
POST /v1/hospitals/{hospital}/invitations | key      role     role     role     role     role     role     role     200      stream   role     role     role     role
POST /v1/invitations                      | key      role     200      role     role     role     role     role     role     role     role     role     role     role
POST /v1/patients                         | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
GET /v1/intake                            | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/intake/{form}                    | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/patients/{patient}/seal          | 401      200      403      403      200      200      200      200      200      200      200      200      403      403
POST /v1/patients/{patient}/blobs         | 401      200      403      403      200      200      200      200      403      403      200      200      403      403
POST /v1/patients/lookup                  | 401      403      403      403      200      200      200      200      200      200      200      200      403      403
POST /v1/patients/lookup: by a number     | 401      403      403      403      200      200      200      200      200      200      200      200      403      403
GET /v1/patients/{patient}/number         | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
PUT /v1/patients/{patient}/number         | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
DELETE /v1/patients/{patient}/number      | 401      204      204      404      404      404      404      404      404      404      404      404      404      404
POST /v1/inquiries                        | 401      403      403      403      202      202      202      202      202      202      403      403      403      403
GET /v1/patients/{patient}/inquiries      | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
DELETE /v1/patients/{patient}/inquiries/{inquiry}| 401      404      404      404      404      404      404      404      404      404      404      404      404      404
POST /v1/decisions: of oneself            | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/decisions: of others             | 401      200      403      403      403      403      403      403      403      403      403      200      403      200
GET /v1/me                                | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/me/acting                         | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/patients/{patient}/representatives| 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/patients/{patient}/links          | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/me/contact                        | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
PUT /v1/me/contact                        | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
DELETE /v1/me/contact                     | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
POST /v1/contact/proofs                   | 404      404      404      404      404      404      404      404      404      404      404      404      404      404
POST /v1/accounts/{account}/recoveries    | 401      403      403      403      403      403      403      403      403      403      403      403      malformed 403
POST /v1/recovery-revocations             | proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof
POST /v1/password-resets                  | 204      204      204      204      204      204      204      204      204      204      204      204      204      204
POST /v1/password-resets/completion       | password password password password password password password password password password password password password password
POST /v1/setup-links                      | proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof
POST /v1/setup-links/completion           | proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof
GET /v1/me/applications                   | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/hospitals                         | 401      403      403      403      403      403      403      403      403      403      403      403      200      403
GET /v1/hospitals/{hospital}/application  | 401      403      403      403      403      403      403      403      403      403      403      403      200      403
GET /v1/hospitals/{hospital}/doctors/{account} | 401      403      403      403      403      403      403      403      404      403      403      403      403      403
GET /v1/hospitals/{hospital}/doctors      | 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/hospitals/{hospital}/invitations  | 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/hospitals/{hospital}/invitations/{invitation}/code| 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/hospitals/{hospital}/emergencies  | 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/hospitals/{hospital}              | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/groups/{group}                    | 401      404      404      404      404      404      404      404      404      404      404      404      404      404
GET /v1/accounts/{account}                | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/accounts/{account}/profile        | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
PUT /v1/accounts/{account}/profile        | 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/me/profile                        | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
PUT /v1/me/profile                        | 401      404      404      404      200      200      200      200      404      404      404      404      404      404
GET /v1/patients/{patient}/holds          | 401      200      200      404      200      200      200      200      200      200      200      200      404      404
GET /v1/patients/{patient}/consultations | 401   200      200      404      200      200      200      200      200      200      200      200      404      404
GET /v1/patients/{patient}/referrals      | 401      200      200      404      200      200      200      200      200      200      200      200      404      404
GET /v1/hospitals/{hospital}/referrals    | 401      403      403      403      200      403      403      403      200      403      200      403      403      403
GET /v1/hospitals/{hospital}/receiving-key| 401      404      404      404      404      404      404      404      404      404      404      404      404      404
GET /v1/me/requests                       | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/patients/{patient}/requests       | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/hospitals/{hospital}/requests     | 401      403      403      403      403      403      403      403      200      403      403      403      403      403
GET /v1/patients/{patient}/erasures       | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/records/{record}                  | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/patients/{patient}/grants         | 401      200      200      404      404      404      404      404      404      404      404      404      404      404
GET /v1/receipts/{seq}                    | 401      200      200      404      404      404      404      404      200      404      200      404      404      200
POST /v1/accounts                         | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/sessions/challenge               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/sessions                         | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/sessions: by password            | 401      200      200      200      second_factor second_factor second_factor second_factor second_factor second_factor second_factor second_factor second_factor second_factor
POST /v1/sessions: by password and code   | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
DELETE /v1/sessions                       | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
POST /v1/sessions/current/step-up         | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
POST /v1/sessions/current/step-up/passkey | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
POST /v1/sessions/current/renewal         | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
POST /v1/sessions/current/role            | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
GET /v1/me/roles                          | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/me/factors                        | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
PUT /v1/me/password                       | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
POST /v1/me/factors/code                  | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/me/factors/code/confirm          | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
DELETE /v1/me/factors/code                | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
GET /v1/me/passkeys                       | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/me/passkeys/challenge            | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/me/passkeys                      | 401      proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof    proof
DELETE /v1/me/passkeys/{passkey}          | 401      conflict conflict conflict conflict conflict conflict conflict conflict conflict conflict conflict conflict conflict
POST /v1/sessions/passkey                 | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/sessions: by passkey             | 401      401      401      401      401      401      401      401      401      401      401      401      401      401
GET /v1/me/keys                           | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/me/keys/kept                     | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/me/keys/kept/rotation            | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
POST /v1/me/keys/kept/replacement         | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
DELETE /v1/me/keys/kept                   | 401      403      403      403      403      403      403      403      403      403      403      403      403      403
GET /v1/me/sessions                       | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
DELETE /v1/me/sessions/{session}          | 401      204      204      204      204      204      204      204      204      204      204      204      204      204
GET /v1/me/sign-ins                       | 401      200      200      200      200      200      200      200      200      200      200      200      200      200
POST /v1/log/token                        | key      role     role     role     role     role     role     role     role     role     role     role     role     200
GET /tile/{path}: entries                 | 401      401      401      401      401      401      401      401      401      401      401      401      401      200
GET /v1/log/releases                     | 401      401      401      401      401      401      401      401      401      401      401      401      401      200
GET /v1/log/releases/{number}            | 401      401      401      401      401      401      401      401      401      401      401      401      401      404
GET /tile/{path}: hashes                  | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /checkpoint                           | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log                               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/consistency/{old}/{new}       | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/registry                      | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/cosigned                      | 404      404      404      404      404      404      404      404      404      404      404      404      404      404
GET /v1/log/witnesses                     | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /v1/log/handovers                     | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /healthz                              | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /readyz                               | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
GET /metrics                              | 200      200      200      200      200      200      200      200      200      200      200      200      200      200
"""
"""The status or, where it tells more, the kind of the problem; of what the rules of consent deny, the rule.

`GET …/content` and `GET /tile/…: entries` come with the token that the signed reading gave, else in the session.
"""


@dataclass(frozen=True)
class Everybody(ServerFixture):
    """A server in this process, and everybody of the table."""

    who: dict[str, Actor]
    tokens: dict[str, str] = field(default_factory=dict)

    def now(self) -> int:
        return self.fixture.ledger.clock()

    def asks(self, name: str, method: str, path: str, **sent: Any) -> httpx2.Response:
        """A request in a session, or without any."""
        headers = {} if name == "nobody" else bearer(self.web.token(self.who[name]))
        return self.web.client.request(method, path, headers=headers, **sent)

    def signs(self, name: str, path: str, event: dict[str, Any], **also: Any) -> httpx2.Response:
        """A signed event, without a session."""
        return self.web.post(path, self.web.signed(event, self.who[name]) | also)


@pytest.fixture(scope="module", params=["warm", "cold"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everybody]:
    with served_people(Settings(data=tmp_path_factory.mktemp("matrix") / "data")) as served:
        fixture, people, web = served.fixture, served.people, served.web
        if request.param == "cold":
            web.client.event_hooks = {"request": [lambda request: fixture.forget()]}
        yield Everybody(fixture, people, web, _everybody(people))


def _everybody(people: People) -> dict[str, Actor]:
    fixture, client = people.fixture, LocalClient(people.fixture.ledger)
    key, now = new_key(), client.now()
    account, events = registering.new_account(client, fixture.operator, "Auditor", key, "device")
    term = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(fixture.operator.event("auditor.appointed", "ledger", term, now))
    client.append(fixture.operator, events)
    granted, excluded = fixture.doctor(), fixture.doctor()
    for doctor in (granted, excluded):
        grants.grant(client, people.pat.actor, people.pat.patient, doctor.account)
    grants.exclude(client, people.pat.actor, people.pat.patient, excluded.account)
    return {
        "nobody": Actor(
            client.origin, new_id("ac", now), "doctor", fixture.north.hospital, new_key()
        ),
        "self": people.pat.actor,
        "person": people.pat.actor.in_role("person"),
        "other": people.kim.actor,
        "doctor": fixture.doctor(fixture.north),
        "doctor-": people.doctor,
        "doctor*": granted,
        "doctor!": excluded,
        "admin": fixture.north.admin,
        "admin-": fixture.south.admin,
        "system": fixture.north.system,
        "system-": fixture.south.system,
        "operator": fixture.operator,
        "auditor": Actor(client.origin, account, "auditor", "", key),
    }


# What each row does.

Act = Callable[[Everybody, str], httpx2.Response]


def named(server: Everybody) -> dict[str, str]:
    """What a path names."""
    return {
        "account": server.fixture.north.system.account, "group": f"gp_{'0' * 26}", "hospital": server.fixture.north.hospital,
        "patient": server.people.pat.patient, "record": server.people.record,
    }  # fmt: skip


def _plain(method: str, path: str) -> Act:
    return lambda server, name: server.asks(name, method, path.format(**named(server)))


def _intake(server: Everybody, name: str) -> dict[str, Any]:
    return {"patient": server.people.pat.patient, "values": {"insurer": "Mutual", "number": "A1"}}


def _sent(path: str, make: Callable[[Everybody, str], Any]) -> Act:
    return lambda server, name: server.asks(
        name, "POST", path.format(patient=server.people.pat.patient), json=make(server, name)
    )


def _reading(kind: str, path: str) -> Act:
    def act(server: Everybody, name: str) -> httpx2.Response:
        people, body = server.people, {"purpose": "TREAT"}
        if kind == "record.opened":
            body = body | {"blob": people.blob, "record": people.record, "version": 1}  # type: ignore[assignment]
        event = server.who[name].event(kind, people.pat.stream, body, server.now())
        where = path.format(patient=people.pat.patient, record=people.record)
        return server.signs(name, where, event)

    return act


def _export(server: Everybody, name: str) -> httpx2.Response:
    people = server.people
    records = [find_record(server.fixture.ledger, people.record)]
    count, root = commitment(records, listed(records))
    body = {"count": count, "purpose": "PATRQT", "root": b64encode(root)}
    event = server.who[name].event("chart.exported", people.pat.stream, body, server.now())
    wanted = [list(one) for one in listed(records)]
    return server.signs(name, f"/v1/patients/{people.pat.patient}/export", event, list=wanted)


def _line(server: Everybody) -> dict[str, Any]:
    line = export_line(server.people.record, 1, server.people.blob)
    return {"count": 1, "list": [line.decode()], "root": b64encode(export_root([line]))}


def _receiving(server: Everybody) -> str:
    """The south's key to receive with; registered where there is none yet."""
    south = server.fixture.south
    keys = server.fixture.ledger.rows(Key, "account", south.system.account)
    for one in keys:
        if one.algorithm == "x-wing":
            return one.key
    key = ReceivingKey.generate()
    referring.register_receiving(LocalClient(server.fixture.ledger), south.system, key)
    return key.id


def _accepted_referral(server: Everybody) -> str:
    """One from the north that the south accepted; sent where there is none yet."""
    for one in server.fixture.ledger.rows(Referral, "patient", server.people.pat.patient):
        return one.referral
    client, south = LocalClient(server.fixture.ledger), server.fixture.south
    _receiving(server)
    patient, referral, _ = referring.send(
        client, server.fixture.north.system, south.hospital, [server.people.record], "Kidneys"
    )
    referring.accept(client, south.system, patient, referral)
    return referral


def _package(server: Everybody, name: str) -> httpx2.Response:
    """A mere person asks about another chart: on the first one they were refused as often as an hour allows."""
    people = server.people
    body = _line(server) | {"key": _receiving(server), "purpose": "TREAT"}
    del body["list"]
    body["referral"] = _accepted_referral(server)
    whose = people.kim if name == "person" else people.pat
    event = server.who[name].event("referral.taken", whose.stream, body, server.now())
    return server.signs(name, f"/v1/patients/{whose.patient}/referrals/package", event)


def _range(server: Everybody, name: str) -> httpx2.Response:
    """With the read token of the reading, where it gave one; else in the session."""
    token = _reading("record.opened", "/v1/records/{record}/content")(server, name).headers.get(
        "heartwood-read-token"
    )
    path = f"/v1/records/{server.people.record}/content"
    return server.web.get(path, headers=bearer(token)) if token else server.asks(name, "GET", path)


def _event(kind: str, body: Callable[[Everybody, str], dict[str, Any]], stream: str = "") -> Act:
    def act(server: Everybody, name: str) -> httpx2.Response:
        where = stream.format(north=server.fixture.north.hospital) or server.people.pat.stream
        event = server.who[name].event(kind, where, body(server, name), server.now())
        return server.signs(name, "/v1/events", event)

    return act


def _grant(server: Everybody, name: str) -> dict[str, Any]:
    body: dict[str, Any] = server.people.grant(server.fixture.south.admin.account)["body"]
    return body


def _bundle(server: Everybody, name: str) -> httpx2.Response:
    """Two grants under one signature; the answer to the first."""
    who, stream = server.who[name], server.people.pat.stream
    events = [
        who.event("access.granted", stream, _grant(server, name), server.now()) for _ in range(2)
    ]
    answer = server.web.post("/v1/bundles", server.web.bundled(who, events))
    if answer.status_code == 200 and "problem" in answer.json()["entries"][0]:
        told = answer.json()["entries"][0]["problem"]
        kind = {"content-type": "application/problem+json"}
        return httpx2.Response(told["status"], json=told, headers=kind)
    return answer


def _exclusion(server: Everybody, name: str) -> dict[str, Any]:
    return {"purpose": "PATRQT", "reader": server.fixture.south.admin.account}


def _declared(server: Everybody, name: str = "") -> dict[str, Any]:
    return {"purpose": "BTG", "reason": "other", "text": SEALED}


def _reviewed(server: Everybody, name: str) -> dict[str, Any]:
    """Of an emergency that a doctor of the north declared."""
    body = _declared(server)
    event = server.who["doctor"].event(
        "emergency.declared", server.people.pat.stream, body, server.now()
    )
    server.signs("doctor", "/v1/events", event)
    return {"emergency": event["id"], "finding": "justified", "purpose": "HOPERAT", "text": SEALED}


def _opened_emergency(server: Everybody, name: str) -> httpx2.Response:
    people, declared = server.people, _reviewed(server, name)["emergency"]
    body = {"emergency": declared, "purpose": "HOPERAT"}
    event = server.who[name].event("emergency.opened", people.pat.stream, body, server.now())
    return server.signs(name, f"/v1/patients/{people.pat.patient}/emergency", event)


def _given(server: Everybody, name: str = "") -> dict[str, Any]:
    texts = dict.fromkeys(("description", "recipient", "statement"), SEALED)
    return texts | {
        "count": 1, "given": format_time(server.now() - 1), "list": [SEALED], "purpose": "HLEGAL",
        "root": b64encode(bytes(32)),
    }  # fmt: skip


def _withheld(server: Everybody, name: str) -> dict[str, Any]:
    return {
        "disclosed": _given(server), "order": SEALED, "patient": server.people.pat.patient,
        "until": format_time(server.now() + DAY_MS),
    }  # fmt: skip


def _another(server: Everybody, name: str) -> dict[str, Any]:
    """A further record of the patient's, for what is done to it."""
    one = Upload(server.people.pat.patient, "document", "text/plain", [b"x"])
    record = authoring.upload(
        LocalClient(server.fixture.ledger), server.fixture.north.system, one
    ).record
    return {"purpose": "TREAT", "record": record}


def _upload(server: Everybody, name: str) -> httpx2.Response:
    """With a blob of its own where it may stage one, else with somebody else's.

    Staff write into another chart, so that no hospital has a record of the patient's by it.
    """
    who = server.who[name]
    chart = server.people.kim if who.hospital else server.people.pat
    path = f"/v1/patients/{chart.patient}/blobs"
    answer = server.asks(name, "POST", path, content=b"x")
    if answer.status_code != 200:
        answer = server.asks("system", "POST", path, content=b"x")
    body = {
        **answer.json(), "category": "document", "confidentiality": "normal",
        "media_type": "text/plain", "purpose": "TREAT", "version": 1,
    }  # fmt: skip
    event = who.event("record.uploaded", chart.stream, body, server.now())
    return server.signs(name, "/v1/events", event)


def _registration(server: Everybody, name: str) -> httpx2.Response:
    """With ids of its own reserving where it may, else with somebody else's."""
    people, now = server.people, server.now()
    event_id, patient, account = people.id("ev"), people.id("pt"), people.id("ac")
    subjects = [{"event": event_id, "id": one} for one in (patient, account)]
    if server.asks(name, "POST", "/v1/subjects", json={"subjects": subjects}).status_code != 200:
        server.asks("system", "POST", "/v1/subjects", json={"subjects": subjects})
    body = {"account": account, "adult": True, "patient": patient, "purpose": "TREAT"}
    event = server.who[name].event("patient.registered", f"patient/{patient}", body, now, event_id)
    return server.signs(name, "/v1/events", event)


def _account(server: Everybody, name: str) -> dict[str, Any]:
    """A doctor whom the log knows: approved once more, at the north hospital."""
    return {"account": server.fixture.doctor().account}


def _hospital(server: Everybody, name: str) -> dict[str, Any]:
    return {"hospital": server.people.id("hs"), "name": "Ostklinik", "time_zone": "Europe/Berlin"}


def _applies_for_hospital(server: Everybody, name: str) -> httpx2.Response:
    """With an id of its own reserving where it may reserve one."""
    event_id, hospital = server.people.id("ev"), server.people.id("hs")
    subject = {"event": event_id, "id": hospital, "texts": {"contact": "Ada", "name": "Westklinik"}}
    asked = server.asks(name, "POST", "/v1/subjects", json={"subjects": [subject]})
    sealed = (
        asked.json()["subjects"][0]["sealed"]
        if asked.status_code == 200
        else dict.fromkeys(("contact", "name"), "A" * 124)
    )
    body = {"hospital": hospital, "time_zone": "Europe/Berlin", **sealed}
    event = server.who[name].event("hospital.applied", "ledger", body, server.now(), event_id)
    return server.signs(name, "/v1/events", event)


def _declined_hospital(server: Everybody, name: str) -> dict[str, Any]:
    """One that waits for a decision."""
    client = LocalClient(server.fixture.ledger)
    person = applying.register(client, "Ada")[0]
    hospital, _ = applying.apply_for_hospital(client, person, "Westklinik", "Etc/UTC", "Ada")
    return {"hospital": hospital, "reason": "not_verified"}


def _own_application(server: Everybody, name: str) -> dict[str, Any]:
    return {"account": server.who[name].account, "profession": "physician"}


def _declined(server: Everybody, name: str) -> dict[str, Any]:
    """Somebody who waits for a decision of the north hospital."""
    client = LocalClient(server.fixture.ledger)
    person = applying.register(client, "Ada")[0]
    applying.apply_as_doctor(client, person, server.fixture.north.hospital)
    (own,) = client.applications(person).doctor
    return {"account": person.account, "application": own.application, "reason": "not_known"}


def _approved_for_a_while(server: Everybody, name: str) -> httpx2.Response:
    now, stream = server.now(), f"hospital/{server.fixture.north.hospital}"
    body = _account(server, name) | {"end": format_time(now + DAY_MS), "profession": "nurse"}
    event = server.who[name].event("doctor.approved", stream, body, now) | {"v": 2}
    return server.signs(name, "/v1/events", event)


def _recovery(server: Everybody, name: str) -> httpx2.Response:
    """For the patient's account, which a hospital registered: the service recovers its own alone."""
    key, account = new_key(), server.people.pat.actor.account
    sent = {
        "public_key": b64encode(key.public), "proof": possession(key, server.web.origin, account),
    }  # fmt: skip
    return server.asks(name, "POST", f"/v1/accounts/{account}/recoveries", json=sent)


def _register(server: Everybody, name: str) -> httpx2.Response:
    """A new account of one's own, in no session."""
    key, account = new_key(), server.people.id("ac")
    sent = {
        "account": account, "name": "Ada", "public_key": b64encode(key.public),
        "proof": possession(key, server.web.origin, account),
    }  # fmt: skip
    return server.web.post("/v1/accounts", sent)


def _log_token(server: Everybody, name: str) -> httpx2.Response:
    event = server.who[name].event("log.opened", "ledger", {}, server.now())
    return server.signs(name, "/v1/log/token", event)


def _entries(server: Everybody, name: str) -> httpx2.Response:
    """With the token for entries where one is given, else in the session."""
    answer = _log_token(server, name)
    if answer.status_code == 200:
        return server.web.get("/tile/entries/000.p/1", headers=bearer(answer.json()["token"]))
    return server.asks(name, "GET", "/tile/entries/000.p/1")


def _releases(path: str) -> Callable[[Everybody, str], httpx2.Response]:
    """With the token for entries where one is given, else in the session; there is no second bundle."""

    def send(server: Everybody, name: str) -> httpx2.Response:
        answer = _log_token(server, name)
        if answer.status_code == 200:
            return server.web.get(path, headers=bearer(answer.json()["token"]))
        return server.asks(name, "GET", path)

    return send


def _receipt(server: Everybody, name: str) -> httpx2.Response:
    """Of the entry that uploaded the record."""
    return server.asks(
        name, "GET", f"/v1/receipts/{find_record(server.fixture.ledger, server.people.record).seq}"
    )


def _subject(server: Everybody, name: str) -> Any:
    return {"subjects": [{"event": server.people.id("ev"), "id": server.people.id("pt")}]}


def _seal(server: Everybody, name: str) -> Any:
    return {
        "event": server.people.id("ev"),
        "object": server.people.pat.patient,
        "texts": {"name": "T"},
    }


def _about(server: Everybody, asked: Actor) -> dict[str, Any]:
    return {
        "action": "read", "actor": asked.account, "hospital": asked.hospital,
        "patient": server.people.pat.patient, "purpose": "TREAT", "record": server.people.record,
        "role": asked.role,
    }  # fmt: skip


def _sign_in(server: Everybody, name: str) -> httpx2.Response:
    return server.web.sign_in(server.who[name])


def _sign_out(server: Everybody, name: str) -> httpx2.Response:
    if name == "nobody":
        return server.web.client.delete("/v1/sessions")
    token = _sign_in(server, name).json()["token"]
    return server.web.client.delete("/v1/sessions", headers=bearer(token))


def _waiting(server: Everybody) -> claiming.Code:
    """A fresh chart of the north hospital's, without a key, and the code for which it waits."""
    client, now = LocalClient(server.fixture.ledger), server.now()
    code = claiming.new_code(new_id("pt", now))
    new = registering.NewPatient(
        code.patient,
        new_id("ac", now),
        "Ida",
        None,
        False,
        None,
        claim=code.public,
        born="1958-03-14",
    )
    registering.register_patients(client, server.fixture.north.system, [new])
    return code


def _offer(server: Everybody, name: str) -> httpx2.Response:
    patient = _waiting(server).patient
    body = {
        "claim": b64encode(claiming.new_code(patient).public),
        "patient": patient,
        "purpose": "TREAT",
    }
    event = server.who[name].event("claim.offered", f"patient/{patient}", body, server.now())
    return server.signs(name, f"/v1/patients/{patient}/claims", event)


def _claim(server: Everybody, name: str) -> httpx2.Response:
    """By the right code and birth date; the patient's account was registered by the hospital that offers, so it may not."""
    code, who = _waiting(server), server.who[name]
    key = claim_key(read_claim_code(code.text), code.patient)
    proof = key.sign(claim_message(server.fixture.ledger.origin, code.patient, who.account))
    body = {
        "account": who.account,
        "patient": code.patient,
        "proof": b64encode(proof),
        "purpose": "PATRQT",
    }
    event = who.event("patient.claimed", f"patient/{code.patient}", body, server.now())
    return server.signs(name, "/v1/claims", event, born="1958-03-14")


def _invited(server: Everybody) -> inviting.InvitedDoctor:
    """A fresh invitation of the north hospital."""
    return inviting.invite(LocalClient(server.fixture.ledger), server.fixture.north.admin)


def _open_invitation(server: Everybody, name: str) -> dict[str, Any]:
    return {"invitation": _invited(server).invitation}


def _invite(server: Everybody, name: str) -> httpx2.Response:
    north, now = server.fixture.north.hospital, server.now()
    public = invitation_key(bytes(16), north).public
    body = {
        "code": b64encode(public), "profession": "physician", "until": format_time(now + DAY_MS),
    }  # fmt: skip
    event = server.who[name].event("doctor.invited", f"hospital/{north}", body, now)
    return server.signs(name, f"/v1/hospitals/{north}/invitations", event)


def _take_up(server: Everybody, name: str) -> httpx2.Response:
    """By the right code; afterwards the account isn't a doctor there, so that the next row finds it as it was."""
    made, who = _invited(server), server.who[name]
    key = invitation_key(read_claim_code(made.code), made.hospital)
    proof = key.sign(invitation_message(server.fixture.ledger.origin, made.hospital, who.account))
    body = {"account": who.account, "invitation": made.invitation, "proof": b64encode(proof)}
    event = who.event("doctor.joined", f"hospital/{made.hospital}", body, server.now())
    answer = server.signs(name, "/v1/invitations", event)
    if answer.status_code == 200:
        client = LocalClient(server.fixture.ledger)
        applying.end_doctor(client, server.fixture.north.admin, who.account)
    return answer


def _mailed_code(server: Everybody, name: str) -> httpx2.Response:
    north = server.fixture.north.hospital
    return server.asks(name, "GET", f"/v1/hospitals/{north}/invitations/{new_id('ev', 1)}/code")


def _profile(method: str) -> Act:
    """Of the doctor of the north hospital whose column it isn't."""

    def act(server: Everybody, name: str) -> httpx2.Response:
        account = server.fixture.doctor(server.fixture.north).account
        sent = {} if method == "GET" else {"json": {"specialty": "Cardiology"}}
        return server.asks(name, method, f"/v1/accounts/{account}/profile", **sent)

    return act


def _fresh(server: Everybody, name: str) -> Account:
    """The account of a column in its role, without any factor: what it had is forgotten, as no command does."""
    found = Account(server.web, server.now, server.who[name])
    with server.fixture.ledger.database.write() as connection:
        for table in ("credentials", "factors", "kept_keys", "recovery_codes"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    return found


def _password(server: Everybody, name: str) -> httpx2.Response:
    if name == "nobody":
        return server.asks(name, "PUT", "/v1/me/password", json={"new": PASSWORD})
    return _fresh(server, name).set_password()


def _begun(server: Everybody, name: str) -> httpx2.Response:
    if name != "nobody":
        _password(server, name)
    return server.asks(name, "POST", "/v1/me/factors/code")


def _confirmed(server: Everybody, name: str) -> httpx2.Response:
    path, begun = "/v1/me/factors/code/confirm", _begun(server, name)
    if name == "nobody":
        return server.asks(name, "POST", path, json={"code": "123456", "password": PASSWORD})
    code = pyotp.TOTP(begun.json()["seed"]).at(server.now() // 1_000)
    return server.asks(name, "POST", path, json={"code": code, "password": PASSWORD})


def _with_factors(method: str, path: str, value: Callable[[Account], Any]) -> Act:
    """In the session by key of whoever has a password and codes."""

    def act(server: Everybody, name: str) -> httpx2.Response:
        if name == "nobody":
            return server.asks(name, method, path, json={"password": "", "code": ""})
        who = _fresh(server, name)
        who.set_password()
        who.enrol()
        return who.send(method, path, value(who))

    return act


def _by_password(server: Everybody, name: str) -> httpx2.Response:
    who = _fresh(server, name)
    if name != "nobody":
        who.set_password()
    return who.sign_in()


def _by_password_and_code(server: Everybody, name: str) -> httpx2.Response:
    """By a code of the next step, as the one now was shown at the enrolment."""
    who = _fresh(server, name)
    if name == "nobody":
        return who.sign_in(code="123456")
    who.set_password()
    who.enrol()
    return who.sign_in(code=who.code(1))


_ANSWER = {
    "rawId": "AAAA",
    "response": {"clientDataJSON": urlsafe_b64encode(b'{"challenge":"AAAA"}').decode().rstrip("=")},
}
"""A passkey's answer to a challenge that nobody gave."""

ACTS: dict[str, Act] = {
    "POST /v1/events: grant": _event("access.granted", _grant),
    "POST /v1/events: exclude": _event("reader.excluded", _exclusion),
    "POST /v1/events: hide": _event("record.hidden", _another),
    "POST /v1/events: retract": _event("record.retracted", _another),
    "POST /v1/events: declare an emergency": _event("emergency.declared", _declared),
    "POST /v1/events: disclose": _event("record.disclosed", _given),
    "POST /v1/events: withhold a disclosure": _event(
        "disclosure.withheld", _withheld, "hospital/{north}"
    ),
    "POST /v1/events: upload": _upload,
    "POST /v1/events: register a patient": _registration,
    "POST /v1/events: approve a doctor at north": _event(
        "doctor.approved", _account, "hospital/{north}"
    ),
    "POST /v1/events: approve a hospital": _event("hospital.approved", _hospital, "ledger"),
    "POST /v1/events: apply for a hospital": _applies_for_hospital,
    "POST /v1/events: decline a hospital": _event(
        "hospital.declined", _declined_hospital, "ledger"
    ),
    "POST /v1/events: apply to north": _event(
        "doctor.applied", _own_application, "hospital/{north}"
    ),
    "POST /v1/events: approve for a while": _approved_for_a_while,
    "POST /v1/events: decline who applied": _event(
        "doctor.declined", _declined, "hospital/{north}"
    ),
    "POST /v1/bundles: grant": _bundle,
    "POST /v1/records/{record}/content": _reading("record.opened", "/v1/records/{record}/content"),
    "GET /v1/records/{record}/content": _range,
    "POST /v1/patients/{patient}/chart": _reading("chart.opened", "/v1/patients/{patient}/chart"),
    "POST /v1/patients/{patient}/history": _reading(
        "history.opened", "/v1/patients/{patient}/history"
    ),
    "POST /v1/patients/{patient}/emergency": _opened_emergency,
    "POST /v1/patients/{patient}/export": _export,
    "POST /v1/patients/{patient}/referrals/package": _package,
    "POST /v1/subjects": _sent("/v1/subjects", _subject),
    "POST /v1/patients/{patient}/claims": _offer,
    "POST /v1/claims": _claim,
    "POST /v1/hospitals/{hospital}/invitations": _invite,
    "POST /v1/invitations": _take_up,
    "POST /v1/events: withdraw an invitation": _event(
        "invitation.withdrawn", _open_invitation, "hospital/{north}"
    ),
    "GET /v1/hospitals/{hospital}/invitations/{invitation}/code": _mailed_code,
    "GET /v1/accounts/{account}/profile": _profile("GET"),
    "PUT /v1/accounts/{account}/profile": _profile("PUT"),
    "PUT /v1/me/profile": lambda server, name: server.asks(
        name, "PUT", "/v1/me/profile", json={"specialty": "Cardiology"}
    ),
    "POST /v1/patients": _sent(
        "/v1/patients", lambda server, name: {"born": "1958-03-14", "name": "Ida"}
    ),
    "POST /v1/intake/{form}": _sent("/v1/intake/insurance", _intake),
    "POST /v1/patients/{patient}/seal": _sent("/v1/patients/{patient}/seal", _seal),
    "POST /v1/patients/{patient}/blobs": lambda server, name: server.asks(
        name, "POST", f"/v1/patients/{server.people.pat.patient}/blobs", content=b"x"
    ),
    "POST /v1/patients/lookup": _sent(
        "/v1/patients/lookup", lambda server, name: {"identifiers": ["x"]}
    ),
    "POST /v1/decisions: of oneself": _sent(
        "/v1/decisions", lambda server, name: _about(server, server.who[name])
    ),
    "POST /v1/decisions: of others": _sent(
        "/v1/decisions", lambda server, name: _about(server, server.fixture.south.system)
    ),
    "GET /v1/receipts/{seq}": _receipt,
    "POST /v1/setup-links": _sent("/v1/setup-links", lambda server, name: {"link": "A" * 26}),
    "POST /v1/setup-links/completion": _sent(
        "/v1/setup-links/completion",
        lambda server, name: {"link": "A" * 26, "new": PASSWORD, "code": "123456"},
    ),
    "POST /v1/accounts": _register,
    "POST /v1/sessions/challenge": lambda server, name: server.web.post("/v1/sessions/challenge"),
    "POST /v1/sessions": _sign_in,
    "POST /v1/sessions: by password": _by_password,
    "POST /v1/sessions: by password and code": _by_password_and_code,
    "POST /v1/sessions/current/step-up": _with_factors(
        "POST", "/v1/sessions/current/step-up", lambda who: {"code": who.code()}
    ),
    "POST /v1/sessions/current/step-up/passkey": _with_factors(
        "POST", "/v1/sessions/current/step-up/passkey", lambda who: None
    ),
    "POST /v1/sessions/current/renewal": _plain("POST", "/v1/sessions/current/renewal"),
    "POST /v1/sessions/current/role": _sent(
        "/v1/sessions/current/role", lambda server, name: {"role": "person"}
    ),
    "PUT /v1/me/password": _password,
    "POST /v1/me/factors/code": _begun,
    "POST /v1/me/factors/code/confirm": _confirmed,
    "DELETE /v1/me/factors/code": _with_factors(
        "DELETE",
        "/v1/me/factors/code",
        lambda who: {"password": who.password, "recovery": who.recovery[0]},
    ),
    "POST /v1/me/passkeys/challenge": _with_factors(
        "POST", "/v1/me/passkeys/challenge", lambda who: None
    ),
    "POST /v1/me/passkeys": _with_factors(
        "POST", "/v1/me/passkeys", lambda who: {"credential": _ANSWER}
    ),
    "DELETE /v1/me/passkeys/{passkey}": _with_factors(
        "DELETE", f"/v1/me/passkeys/{PASSKEY}", lambda who: None
    ),
    "POST /v1/sessions/passkey": lambda server, name: server.web.post("/v1/sessions/passkey"),
    "POST /v1/sessions: by passkey": lambda server, name: server.web.post(
        "/v1/sessions", {"passkey": _ANSWER, "role": "person"}
    ),
    "POST /v1/me/keys/kept": _with_factors("POST", "/v1/me/keys/kept", lambda who: {}),
    "POST /v1/me/keys/kept/rotation": _sent(
        "/v1/me/keys/kept/rotation", lambda server, name: {"code": "123456"}
    ),
    "POST /v1/me/keys/kept/replacement": _sent(
        "/v1/me/keys/kept/replacement",
        lambda server, name: {"proof": b64encode(bytes(64)), "public_key": b64encode(bytes(32))},
    ),
    "DELETE /v1/me/keys/kept": lambda server, name: server.asks(
        name, "DELETE", "/v1/me/keys/kept", json={"code": "123456"}
    ),
    "DELETE /v1/me/sessions/{session}": _plain("DELETE", f"/v1/me/sessions/{SESSION_ID}"),
    "DELETE /v1/sessions": _sign_out,
    "PUT /v1/me/contact": lambda server, name: server.asks(
        name, "PUT", "/v1/me/contact", json={"address": "ada@example.com", "language": "de"}
    ),
    "POST /v1/patients/lookup: by a number": _sent(
        "/v1/patients/lookup", lambda server, name: {"identifiers": ["tel:+491705550123"]}
    ),
    "POST /v1/inquiries": _sent(
        "/v1/inquiries",
        lambda server, name: {"to": "+491705550123", "words": "Nordklinik", "days": 30},
    ),
    "DELETE /v1/patients/{patient}/inquiries/{inquiry}": lambda server, name: server.asks(
        name, "DELETE", f"/v1/patients/{server.people.pat.patient}/inquiries/{new_id('ev', 0)}"
    ),
    "PUT /v1/patients/{patient}/number": lambda server, name: server.asks(
        name,
        "PUT",
        f"/v1/patients/{server.people.pat.patient}/number",
        json={"number": "+491705550123"},
    ),
    "DELETE /v1/patients/{patient}/number": _plain("DELETE", "/v1/patients/{patient}/number"),
    "DELETE /v1/me/contact": _plain("DELETE", "/v1/me/contact"),
    "POST /v1/contact/proofs": _sent("/v1/contact/proofs", lambda server, name: {"code": "A" * 26}),
    "POST /v1/accounts/{account}/recoveries": _recovery,
    "POST /v1/recovery-revocations": _sent(
        "/v1/recovery-revocations",
        lambda server, name: {
            "account": f"{os.urandom(8).hex()}@example.com",
            "password": "wrong and long",
        },
    ),
    "POST /v1/password-resets": _sent(
        "/v1/password-resets",
        lambda server, name: {"account": f"{os.urandom(8).hex()}@example.com"},
    ),
    "POST /v1/password-resets/completion": _sent(
        "/v1/password-resets/completion",
        lambda server, name: {"code": "123456", "link": "A" * 26, "new": "short"},
    ),
    "POST /v1/log/token": _log_token,
    "GET /tile/{path}: entries": _entries,
    "GET /v1/log/releases": _releases("/v1/log/releases"),
    "GET /v1/log/releases/{number}": _releases("/v1/log/releases/1"),
    "GET /tile/{path}: hashes": _plain("GET", "/tile/0/000.p/1"),
    "GET /checkpoint": _plain("GET", "/checkpoint"),
    "GET /v1/log": _plain("GET", "/v1/log"),
    "GET /v1/log/consistency/{old}/{new}": _plain("GET", "/v1/log/consistency/1/2"),
    "GET /v1/log/registry": _plain("GET", "/v1/log/registry"),
    "GET /v1/log/cosigned": _plain("GET", "/v1/log/cosigned"),
    "GET /v1/log/witnesses": _plain("GET", "/v1/log/witnesses"),
    "GET /v1/log/handovers": _plain("GET", "/v1/log/handovers"),
    "GET /healthz": _plain("GET", "/healthz"),
    "GET /readyz": _plain("GET", "/readyz"),
    "GET /metrics": _plain("GET", "/metrics"),
}
for _query in QUERIES:
    ACTS.setdefault(f"GET {_query.path}", _plain("GET", _query.path))


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
def test_who_may_do_what(server: Everybody, operation: str) -> None:
    """Each cell of a row, against the server."""
    found = {name: cell(ACTS[operation](server, name)) for name in WHO}
    assert found == dict(zip(WHO, rows()[operation], strict=True))


def test_every_operation_is_in_the_table(server: Everybody) -> None:
    """And the table has none that isn't there."""
    paths = server.web.get("/v1/openapi.json").json()["paths"]
    offered = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert {operation.partition(": ")[0] for operation in rows()} == offered
    assert rows().keys() == ACTS.keys()


def test_the_document_says_what_needs_a_token(server: Everybody) -> None:
    """Just the operations that answer 401 to nobody."""
    paths = server.web.get("/v1/openapi.json").json()["paths"]
    secured = {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method, operation in item.items()
        if operation.get("security")
    }
    assert secured | {"POST /v1/sessions"} == {
        operation.partition(": ")[0] for operation, cells in rows().items() if cells[0] == "401"
    }


def test_the_columns_are_named(server: Everybody) -> None:
    """As they are explained, in the same order."""
    assert TABLE.strip().splitlines()[0].split("|")[1].split() == list(WHO)
