"""Signing in over HTTP: challenges, sessions, their ends."""

import pytest

from client import registering
from client.http import HttpClient
from client.signers import possession
from crypto.encoding import b64decode, b64encode
from crypto.signing import SigningKey
from identity import sessions
from identity.actors import Actor, new_key
from identity.errors import NotSignedIn
from storage.errors import Unavailable
from tests.support.server import bearer, good, in_process, kind_of
from tests.support.server_fixture import ServedChart, new_doctor, new_patient


def test_a_challenge_counts_once_for_two_minutes(server: ServedChart) -> None:
    """Whether or not it was signed well."""
    web, actor, clock = server.web, server.pat.actor, server.clock
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


def test_a_session_ends(server: ServedChart) -> None:
    """After a quarter of an hour, by signing out, with the key, with the role."""
    web, client, clock, fixture = server.web, server.client, server.clock, server.fixture

    def me(token: str) -> str:
        return kind_of(web.get("/v1/me", headers=bearer(token)))

    def fresh(actor: Actor) -> str:
        return str(good(web.sign_in(actor))["token"])

    token = fresh(server.pat.actor)
    for ahead, kind in (
        (sessions.SESSION_MS - 1_000, "200"),
        (sessions.SESSION_MS, "not_signed_in"),
    ):
        clock.ahead = ahead
        try:
            assert me(token) == kind
        finally:
            clock.ahead = 0
    token = fresh(server.pat.actor)
    assert web.client.delete("/v1/sessions", headers=bearer(token)).status_code == 204
    assert me(token) == "not_signed_in"
    for nonsense in ("Bearer", "Bearer x", "Basic eDp5", f"Bearer {b64encode(bytes(32))}", "Bearer ä",
                     "Bearer " + "A" * 5_000):  # fmt: skip
        answer = web.client.get("/v1/me", headers={b"Authorization": nonsense.encode()})
        assert (kind_of(answer), answer.headers["www-authenticate"]) == ("not_signed_in", "Bearer")
    doctor = new_doctor(client, fixture)
    token = fresh(doctor)
    event = fixture.south.admin.event(
        "doctor.suspended", f"hospital/{doctor.hospital}", {"account": doctor.account}, clock()
    )
    client.append(fixture.south.admin, [event])
    assert me(token) == "not_signed_in"
    assert kind_of(web.sign_in(doctor)) == "not_signed_in"
    person = new_patient(client, fixture)
    token = fresh(person.actor)
    second = new_key()
    proof = b64decode(possession(second, client.origin, person.actor.account))
    registering.register_key(
        client, person.actor, person.actor.account, "device", second.public, proof
    )
    registering.revoke_key(client, person.actor, person.actor.account, person.actor.key.id)
    assert me(token) == "not_signed_in"
    assert kind_of(web.sign_in(person.actor)) == "not_signed_in"
    assert kind_of(web.sign_in(_with(person.actor, second))) == "200"


def _with(actor: Actor, key: SigningKey) -> Actor:
    return Actor(actor.origin, actor.account, actor.role, actor.hospital, key)


def test_a_role_that_is_not_held_signs_nobody_in(server: ServedChart) -> None:
    """Nor does another hospital's, nor an unknown key."""
    web, doctor, account = server.web, server.doctor, server.pat.actor
    for actor in (
        doctor.in_role("operator"), doctor.in_role("doctor", server.fixture.north.hospital),
        doctor.in_role("auditor"), doctor.in_role("hospital_admin", doctor.hospital),
        doctor.in_role("service"), doctor.in_role("patient"), doctor.in_role("relative"),
        account.in_role("doctor", doctor.hospital), _with(doctor, new_key()),
    ):  # fmt: skip
        assert kind_of(web.sign_in(actor)) == "not_signed_in", actor.role
    with pytest.raises(NotSignedIn):
        server.client.charts(_with(doctor, new_key()))


def test_a_client_that_stays_long_signs_in_again(
    server: ServedChart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its session ends, so that a long import goes on; and says when the server is gone."""
    client, actor = server.client, server.pat.actor
    assert client.charts(actor) == [server.pat.patient]
    token = server.web.token(actor)
    monkeypatch.setattr("client.server.SESSION_SECONDS", 0)
    renewed = HttpClient(server.web.url)
    with in_process(server.fixture.ledger) as other:
        gone = HttpClient(other.url)
    with pytest.raises(Unavailable, match="does not answer"):
        gone.charts(actor)
    for _ in range(2):
        assert renewed.charts(actor) == [server.pat.patient]
        _end_sessions(server)
    assert kind_of(server.web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    server.web.forget()
    gone.close()
    renewed.close()


def _end_sessions(server: ServedChart) -> None:
    """As a restart with an empty file of what lasts minutes."""
    server.clock.ahead = sessions.SESSION_MS * 2
    try:
        server.web.challenge()  # whatever has ended is swept
    finally:
        server.clock.ahead = 0
