"""Whom an entry concerns: no colleague of its author, and of what the law keeps from a patient nobody who is that patient."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.app.settings import Settings
from client import disclosing
from client.disclosing import Disclosure, Suspending
from client.local import LocalClient
from identity.actors import Actor
from journeys import quotas
from ledger.times import DAY_MS, format_time
from records import receipts
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.ledger_fixture import LedgerFixture
from tests.support.memory_log import SEALED
from tests.support.server import good, kind_of
from tests.support.server_fixture import ServerFixture, served_people


@pytest.fixture(params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFixture]:
    settings: Settings = fresh_settings(request.param, request, tmp_path_factory.mktemp("receipts"))
    with served_people(settings) as served:
        yield served


def answers(server: ServerFixture, seq: int, *who: Actor) -> list[str]:
    """What each is answered who asks for a receipt."""
    return [kind_of(server.web.get(f"/v1/receipts/{seq}", one)) for one in who]


def appended(server: ServerFixture, actor: Actor, kind: str, stream: str, body: Any) -> int:
    """Append one event; its entry."""
    web, now = server.web, server.fixture.ledger.clock()
    event = actor.event(kind, stream, body, now)
    (stands,) = good(web.post("/v1/events", [web.signed(event, actor)]))["entries"]
    return int(stands["seq"])


def staff(server: ServerFixture, role: str, of: Actor) -> Actor:
    """A patient who takes a role at the hospital that writes records."""
    north, kind = (
        server.fixture.north,
        {"doctor": "doctor.approved", "hospital_admin": "admin.appointed"}[role],
    )
    appended(server, north.admin, kind, f"hospital/{north.hospital}", {"account": of.account})
    return Actor(of.origin, of.account, role, north.hospital, of.key)


def test_a_colleague_gets_no_receipt_of_what_a_doctor_did(server: ServerFixture) -> None:
    """An upload, a hold, an emergency: to its author, the hospital's admins and systems, and the patient."""
    fixture, people = server.fixture, server.people
    doctor, colleague = (fixture.doctor(fixture.north) for _ in range(2))
    admin, system, pat = fixture.north.admin, fixture.north.system, people.pat.actor
    until = format_time(fixture.ledger.clock() + 7 * DAY_MS)
    hold = {
        "against": pat.account, "kind": "harm", "purpose": "TREAT",
        "reason": "danger_to_others", "record": people.record, "until": until, "words": SEALED,
    }  # fmt: skip
    declared = {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED}
    done = [
        appended(server, doctor, "hold.placed", people.pat.stream, hold),
        appended(server, doctor, "emergency.declared", people.pat.stream, declared),
    ]
    strangers = (colleague, fixture.south.admin, people.kim.actor, fixture.operator)
    for seq in done:
        assert answers(server, seq, doctor, admin, system, pat) == ["200"] * 4
        assert answers(server, seq, *strangers) == ["not_found"] * 4
    uploaded = fixture.record(people.pat).seq
    assert answers(server, uploaded, system, admin, pat) == ["200"] * 3
    assert answers(server, uploaded, doctor, *strangers) == ["not_found"] * 5


def withheld(fixture: LedgerFixture, who: Actor, record: str) -> int:
    """Record a disclosure of which the patient is told in a month."""
    client = LocalClient(fixture.ledger)
    until = client.now() + 30 * DAY_MS
    what = Disclosure("A court", "A blood count", "A subpoena")
    return disclosing.disclose(client, who, [record], what, Suspending(until, "Order 1"))[2]


def test_who_is_the_patient_gets_none_of_a_disclosure_that_the_law_withholds(
    server: ServerFixture,
) -> None:
    """Whatever role they have at the hospital; of the hospital its admins and systems alone get one."""
    fixture, people = server.fixture, server.people
    seq = withheld(fixture, fixture.north.system, people.record)
    assert answers(server, seq, fixture.north.admin, fixture.north.system) == ["200"] * 2
    pat, kim = people.pat.actor, people.kim.actor
    own = [staff(server, role, pat) for role in ("doctor", "hospital_admin")]
    other = staff(server, "doctor", kim)
    assert answers(server, seq, pat, *own, other, fixture.south.admin) == ["not_found"] * 5
    assert answers(server, seq, staff(server, "hospital_admin", kim)) == ["200"]
    mine = withheld(fixture, own[1], people.record)
    assert answers(server, mine, own[1], fixture.north.admin) == ["not_found", "200"]


def test_who_counts_through_the_entries_has_a_quota(
    server: ServerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One's own entries aren't counted; whatever else is asked for is, also what isn't there."""
    monkeypatch.setattr(receipts, "ASKED", (quotas.Quota(3, quotas.HOUR_MS),))
    doctor = server.fixture.doctor(server.fixture.north)
    body = {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED}
    own = appended(server, doctor, "emergency.declared", server.people.pat.stream, body)
    found = [kind for seq in (1, 2, 10_000, 3) for kind in answers(server, seq, doctor)]
    assert found == ["not_found"] * 3 + ["quota"]
    assert answers(server, own, doctor, server.people.pat.actor) == ["200"] * 2
