"""Claiming over HTTP and beside the data: the code, the birth date beside it, and guesses that have to wait."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from client import authoring, claiming, grants, readings, registering
from client.claiming import Code
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.registering import NewPatient
from crypto.claims import claim_key, read_claim_code
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.errors import (
    AccessDenied,
    Forbidden,
    NotClaimed,
    NotThere,
    RecordsError,
    TooManyTries,
)
from journeys.questions import Question
from journeys.sealing import reserve
from keeper.protocol import KeyRequest
from ledger.directory import Patient
from ledger.errors import ProofError, Refused, Tampered
from ledger.messages import claim_message, possession_message
from ledger.times import format_time
from ledger.types.accounts import ACCOUNT_REGISTERED, KEY_REGISTERED_V1
from people.claiming import checked_key
from people.demographics import Demographics, Traits
from people.lookups import lookup
from people.reserving import Subject
from people.traits import read, witness
from people.tries import (
    CLAIM_ADDRESS_TRIES,
    CLAIM_FIRST_WAIT_MS,
    CLAIM_FREE_TRIES,
    CLAIM_LONGEST_WAIT_MS,
)
from records.uploads import Upload
from storage.clock import wall_clock
from storage.sql.identifiers import Witness
from tests.support.ledger_fixture import CONTENT, LedgerFixture
from tests.support.lying_server import lying
from tests.support.server import Web, in_process, kind_of

BORN, WRONG = "1958-03-14", "1958-03-15"


@dataclass
class Place:
    """A ledger, a server over it, and a client: beside the data or from afar."""

    fixture: LedgerFixture
    web: Web
    client: LedgerClient

    def person(self) -> Actor:
        """Somebody with an account of their own and no role."""
        local, key = LocalClient(self.fixture.ledger), new_key()
        operator = self.fixture.operator
        account, events = registering.new_account(local, operator, "Ida", key, "device")
        local.append(operator, events)
        return Actor(local.origin, account, "person", "", key)

    def chart(self, born: str = BORN, by: Actor | None = None) -> Code:
        """A chart of the north hospital's that waits to be claimed."""
        now = self.client.now()
        code = claiming.new_code(new_id("pt", now))
        new = NewPatient(
            code.patient, new_id("ac", now), "Ida", None, False, None, claim=code.public, born=born
        )
        registering.register_patients(self.client, by or self.fixture.north.system, [new])
        return code

    def claim(self, who: Actor, code: Code, born: str = BORN, text: str = "") -> int:
        return claiming.claim_chart(self.client, who, code.patient, text or code.text, born)

    def refused(self, who: Actor, code: Code, born: str = BORN, text: str = "") -> str:
        with pytest.raises(NotClaimed) as error:
            self.claim(who, code, born, text)
        return str(error.value)

    def row(self, patient: str) -> Patient:
        found = self.fixture.ledger.row(Patient, patient)
        assert found is not None
        return found


@pytest.fixture(params=["beside", "http"])
def place(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Place]:
    with in_process(fixture.ledger) as web:
        if request.param == "beside":
            yield Place(fixture, web, LocalClient(fixture.ledger))
            return
        with closing(HttpClient(web.url)) as client:
            yield Place(fixture, web, client)


def test_a_person_claims_and_grants(place: Place) -> None:
    """From the registration by a hospital to the first grant; the account made for the chart is nobody."""
    code, person = place.chart(), place.person()
    seq = place.claim(person, code, text=code.text.lower().replace("-", " "))
    patient, row = person.in_role("patient"), place.row(code.patient)
    assert (row.account, row.claimed, row.offered) == (person.account, seq, 0)
    assert place.client.charts(patient) == [code.patient]
    grants.grant(place.client, patient, code.patient, place.fixture.doctor().account)
    assert readings.chart(place.client, patient, code.patient, "PATRQT").lines == ()


def test_a_code_is_for_the_chart_that_an_earlier_try_reserved(place: Place) -> None:
    """A first try that failed left the hospital's identifier with an id: the letter names that one, or there is none."""
    north, identifier = place.fixture.north.system, "https://north.example/ids|4711"
    now = place.client.now()
    earlier = new_id("pt", now)
    place.client.reserve(north, [Subject(earlier, new_id("ev", now), {}, identifier)])

    def register(chart: str) -> Code:
        code = claiming.new_code(chart)
        new = NewPatient(chart, new_id("ac", now), "Ida", None, False, None, identifier, code.public, BORN)  # fmt: skip
        registering.register_patients(place.client, north, [new])
        return code

    with pytest.raises(RecordsError, match=f"reserved for {earlier}"):
        register(new_id("pt", now))
    code = register(registering.chart_for(place.client, north, identifier))
    assert code.patient == earlier
    place.claim(place.person(), code)
    with pytest.raises(RecordsError, match=f"already identifies {earlier}"):
        registering.chart_for(place.client, north, identifier)


def test_the_number_of_who_had_the_first_key_finds_nobody_any_more(place: Place) -> None:
    """Whoever could state one before the claim; a wrong claim takes it from nobody."""
    code, person, ledger = place.chart(), place.person(), place.fixture.ledger
    tel, number = "tel:+491705550123", "+491705550123"
    ledger.numbers.state(code.patient, number, ledger.clock())
    place.refused(person, code, WRONG)
    assert lookup(ledger, place.fixture.north.admin.caller, [tel])
    place.claim(person, code)
    assert not lookup(ledger, place.fixture.north.admin.caller, [tel])
    place.client.state_number(person.in_role("patient"), code.patient, number)
    assert lookup(ledger, place.fixture.north.admin.caller, [tel])


def test_wrong_is_wrong(place: Place) -> None:
    """Code, date or chart: the same answer, and nothing of it stands in the log."""
    code, other, person = place.chart(), place.chart(), place.person()
    size = place.fixture.size()
    told = {
        place.refused(person, code, WRONG),
        place.refused(person, code, text=other.text),
        place.refused(person, code, WRONG, other.text),
    }
    second = place.person()
    nowhere = Code(new_id("pt", 0), code.text, code.public)
    told |= {place.refused(second, nowhere)}
    assert len(told) == 1
    assert place.fixture.size() == size + 2  # the second person
    assert BORN not in str(told)


def test_a_used_code_is_refused(place: Place) -> None:
    code, person, other = place.chart(), place.person(), place.person()
    place.claim(person, code)
    place.refused(other, code)
    place.refused(person, code)
    assert place.row(code.patient).account == person.account


def test_a_new_code_ends_the_old_one(place: Place) -> None:
    first, person = place.chart(), place.person()
    second = claiming.new_code(first.patient)
    claiming.offer_claim(place.client, place.fixture.north.admin, second)
    place.refused(person, first)
    place.claim(person, second)


def test_an_offer_for_a_chart_that_nobody_holds(place: Place) -> None:
    """As an import registered it; the hospital tells the birth date with the offer, and only where none is known."""
    now, north = place.client.now(), place.fixture.north
    patient, person = new_id("pt", now), place.person()
    new = NewPatient(patient, new_id("ac", now), "Ida", None, False, None)
    registering.register_patients(place.client, north.system, [new])
    code = claiming.new_code(patient)
    claiming.offer_claim(place.client, north.admin, code, BORN)
    later = claiming.new_code(patient)
    claiming.offer_claim(place.client, north.admin, later, WRONG)
    place.refused(person, later, WRONG)
    place.claim(person, later, BORN)
    with pytest.raises(Refused, match="already"):
        claiming.offer_claim(place.client, north.admin, claiming.new_code(patient))


def test_another_hospital_offers_none(place: Place) -> None:
    code = claiming.new_code(place.chart().patient)
    with pytest.raises(AccessDenied):
        claiming.offer_claim(place.client, place.fixture.south.admin, code, BORN)


def dateless(place: Place) -> Code:
    """A chart with a code, as a program registers it that keeps to the log alone: no birth date beside it."""
    now, system = place.client.now(), place.fixture.north.system
    code, account, event = (
        claiming.new_code(new_id("pt", now)),
        new_id("ac", now),
        new_id("ev", now),
    )
    place.client.reserve(
        system, [Subject(code.patient, event), Subject(account, new_id("ev", now))]
    )
    body = {
        "account": account, "adult": True, "claim": b64encode(code.public), "patient": code.patient,
        "purpose": "TREAT",
    }  # fmt: skip
    registered = system.event("patient.registered", f"patient/{code.patient}", body, now, event)
    place.client.append(system, [registered | {"v": 2}])
    return code


def test_where_no_birth_date_is_known_nobody_claims(place: Place) -> None:
    """The letter alone would be enough for whoever finds it; the hospital that registered gives the date later."""
    code, person, north = dateless(place), place.person(), place.fixture.north
    with pytest.raises(RecordsError, match="birth date"):
        place.chart(born="")
    place.refused(person, code)
    with pytest.raises(Refused, match="birth date") as refused:
        claiming.offer_claim(place.client, north.admin, claiming.new_code(code.patient))
    assert refused.value.code == "conflict"
    later = claiming.new_code(code.patient)
    claiming.offer_claim(place.client, north.admin, later, BORN)
    place.claim(person, later)


def test_who_gives_the_birth_date(place: Place) -> None:
    """The hospital that registered, with an offer that is fresh: else another one would choose what is asked."""
    now, north, south = place.client.now(), place.fixture.north, place.fixture.south
    patient = new_id("pt", now)
    new = NewPatient(patient, new_id("ac", now), "Ida", None, False, None)
    registering.register_patients(place.client, north.system, [new])
    upload = Upload(patient, "document", "text/plain", [CONTENT])
    authoring.upload(place.client, south.system, upload)
    with pytest.raises(Refused, match="birth date"):
        claiming.offer_claim(place.client, south.admin, claiming.new_code(patient), WRONG)
    first = claiming.new_code(patient)
    body = {"claim": b64encode(first.public), "patient": patient, "purpose": "TREAT"}
    event = north.admin.event("claim.offered", f"patient/{patient}", body, now)
    place.client.offer(north.admin, event, BORN)
    place.fixture.ledger.identifiers.keep_witnesses({patient: Witness(0, "{}")})
    place.client.offer(north.admin, event, BORN)  # sent again: the offer stands already
    assert not read_traits(place, patient).year
    second = claiming.new_code(patient)
    claiming.offer_claim(place.client, north.admin, second, BORN)
    place.refused(place.person(), second, WRONG)
    place.claim(place.person(), second)


def read_traits(place: Place, patient: str) -> Traits:
    kept = place.fixture.ledger.identifiers.witness(patient)
    assert kept is not None
    return read(kept.traits)


def test_nobody_claims_for_a_child(place: Place) -> None:
    """Neither is a code offered, nor does one count where the log has a child as of age; a teenager claims."""
    now, north, person = place.client.now(), place.fixture.north, place.person()
    today = date.fromisoformat(format_time(now)[:10])
    child, teen = (today - timedelta(days=round(365.25 * years)) for years in (8, 14))
    with pytest.raises(RecordsError, match="under 12"):
        place.chart(f"{child}")
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kim", child, False, None)
    registering.register_patients(place.client, north.system, [new])
    with pytest.raises((AccessDenied, Refused)) as refused:
        claiming.offer_claim(place.client, north.admin, claiming.new_code(new.patient), f"{teen}")
    assert isinstance(refused.value, AccessDenied) and refused.value.reason == "minor"
    told = dateless(place)
    with pytest.raises(Refused, match="under 12"):
        claiming.offer_claim(place.client, north.admin, claiming.new_code(told.patient), f"{child}")
    ids = place.fixture.ledger.identifiers
    ids.keep_witnesses(
        {told.patient: witness(ids, told.patient, Demographics(birth=f"{child}"), 1)}
    )
    place.refused(person, told, f"{child}")
    code = place.chart(f"{teen}")
    place.claim(person, code, f"{teen}")
    patient = person.in_role("patient")
    grants.grant(place.client, patient, code.patient, place.fixture.doctor().account)


def test_an_imported_year_has_to_agree(place: Place) -> None:
    """Of a partial birth date as much is compared as is known."""
    code, person, ids = dateless(place), place.person(), place.fixture.ledger.identifiers
    kept = witness(ids, code.patient, Demographics(birth="1958-03"), 1)
    ids.keep_witnesses({code.patient: kept})
    place.refused(person, code, "1958-04-01")
    place.claim(person, code, "1958-03-30")


def test_until_then_nobody_is_the_patient(place: Place) -> None:
    """The hospital makes the key itself, and gets nothing by it: no grant, no list, no receipt, no session's view."""
    fixture, north = place.fixture, place.fixture.north
    code = place.chart()
    key, account = new_key(), place.row(code.patient).account
    made = Actor(place.client.origin, account, "patient", "", key)
    proof = claiming_proof(made)
    registering.register_key(place.client, north.system, account, "device", key.public, proof)
    with pytest.raises(AccessDenied, match="claim") as denied:
        grants.grant(place.client, made, code.patient, fixture.doctor().account)
    assert denied.value.reason == "unclaimed"
    with pytest.raises(AccessDenied):
        readings.chart(place.client, made, code.patient, "PATRQT")
    assert place.client.charts(made) == []
    asked = Question(code.patient, account, "patient", "", "list", "PATRQT")
    assert place.client.why(made, asked).explanation.decision.reason == "unclaimed"
    assert not place.client.holder(place.fixture.north.admin, account).acts_as("patient")
    with pytest.raises(NotThere):
        place.client.consents(made, code.patient)
    with pytest.raises(NotThere):
        place.client.receipt(made, place.row(code.patient).seq)
    with pytest.raises((Refused, NotClaimed)):
        place.claim(made.in_role("person"), code)
    place.claim(place.person(), code)


def claiming_proof(made: Actor) -> bytes:
    return made.key.sign(possession_message(made.origin, made.account, made.key.id))


def test_guesses_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """By chart and by account, doubling, across restarts; a right claim meanwhile waits as well."""
    code, guesser, now = place.chart(), place.person(), [wall_clock()]
    monkeypatch.setattr(place.fixture.ledger, "clock", lambda: now[0])
    monkeypatch.setattr(place.client, "now", wall_clock)
    for _ in range(CLAIM_FREE_TRIES):
        place.refused(guesser, code, WRONG)
    owner, wait = place.person(), CLAIM_FIRST_WAIT_MS
    for _ in range(3):
        for who in (guesser, owner):  # the account's tries and, with the right code, the chart's
            with pytest.raises(TooManyTries, match="again in"):
                place.claim(who, code)
        now[0] += wait
        place.refused(guesser, code, WRONG)
        wait *= 2
    now[0] += wait - 1
    with pytest.raises(TooManyTries):
        place.claim(owner, code)
    now[0] += 1
    place.claim(owner, code)


def test_nobody_is_locked_out_for_good(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a stranger's guesses: a new code begins anew, and no wait is longer than a day."""
    code, now, person = place.chart(), [wall_clock()], place.person()
    strangers = [place.person() for _ in range(CLAIM_FREE_TRIES + 15)]
    last = place.person()
    monkeypatch.setattr(place.fixture.ledger, "clock", lambda: now[0])
    monkeypatch.setattr(place.client, "now", wall_clock)
    for stranger in strangers:
        place.refused(stranger, code, WRONG)
        now[0] += CLAIM_LONGEST_WAIT_MS
    place.refused(last, code, WRONG)
    with pytest.raises(TooManyTries):
        place.claim(person, code)
    fresh = claiming.new_code(code.patient)
    claiming.offer_claim(place.client, place.fixture.north.system, fresh)
    place.claim(person, fresh)


def test_nobody_without_the_letter_makes_its_owner_wait(place: Place) -> None:
    """Neither by guessing codes of the chart, nor by claims in the owner's name under another key."""
    code, owner = place.chart(), place.person()
    for _ in range(CLAIM_FREE_TRIES + 2):
        place.refused(place.person(), code, text=claiming.new_code(code.patient).text)
        forger = Actor(owner.origin, owner.account, "person", "", place.person().key)
        with pytest.raises(Refused) as refused:
            place.claim(forger, code)
        assert refused.value.code == "key"
    place.claim(owner, code)


def test_what_is_checked_where_no_code_is_offered() -> None:
    """A proof under a valid key, so that it takes as long as under a chart's own; one of zeros is refused unread."""
    patient = Patient("pt_0", "ac_0", "hs_0", 1, 0, 0, 0)
    waiting = patient._replace(offered=2, claim=bytes(range(32)))
    assert checked_key(None) == checked_key(patient) == SigningKey(bytes(32)).public
    assert checked_key(waiting) == waiting.claim


def test_two_claims_at_once(place: Place) -> None:
    """Of three people with the same letter one is the patient."""
    code, people = place.chart(), [place.person() for _ in range(3)]

    def claim(who: Actor) -> str:
        try:
            place.claim(who, code)
        except (NotClaimed, TooManyTries):
            return "refused"
        return who.account

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(claim, people))
    assert sorted(found)[1:] == ["refused"] * 2
    assert place.row(code.patient).account == sorted(found)[0]


def test_registering_alone(place: Place) -> None:
    """A chart at once, with a sealed name; one each; not for whom others registered, nor for minors."""
    person = alone(place)
    with pytest.raises((RecordsError, Refused)):
        place.client.own_chart(person, "Kind", f"{date.today():%Y-%m-%d}")
    made = place.client.own_chart(person, "Ida Alleine", BORN)
    patient = person.in_role("patient")
    assert place.client.charts(patient) == [made.patient]
    grants.grant(place.client, patient, made.patient, place.fixture.doctor().account)
    with pytest.raises(Refused) as twice:
        place.client.own_chart(person, "Ida Alleine", BORN)
    assert twice.value.code == "conflict"
    with pytest.raises((Forbidden, Refused)) as other:
        place.client.own_chart(place.person(), "Ida", BORN)
    assert "registered itself" in str(other.value)


def alone(place: Place) -> Actor:
    """A person whose account and key the service registered."""
    ledger, key = place.fixture.ledger, new_key()
    account = new_id("ac", ledger.clock())
    person = Actor(ledger.origin, account, "person", "", key)
    reserve(ledger, ledger.log.service, [KeyRequest(account, (account,))])
    body = {
        "account": account, "algorithm": "ed25519", "custody": "device", "key": key.id,
        "proof": b64encode(claiming_proof(person)), "public_key": b64encode(key.public),
    }  # fmt: skip
    stream = f"account/{account}"
    registered = ledger.log.by_service(ACCOUNT_REGISTERED, stream, {"account": account})
    ledger.append([registered])
    ledger.append([ledger.log.by_service(KEY_REGISTERED_V1, stream, body)])
    return person


# --- over HTTP alone


def claimed(place: Place, who: Actor, code: Code, **bent: Any) -> dict[str, Any]:
    """A signed claim, as it is sent."""
    key = claim_key(read_claim_code(code.text), code.patient)
    proof = key.sign(claim_message(place.client.origin, code.patient, who.account))
    body = {
        "account": who.account, "patient": code.patient, "proof": b64encode(proof), "purpose": "PATRQT",
    }  # fmt: skip
    event = who.event("patient.claimed", f"patient/{code.patient}", body | bent, place.client.now())
    return place.web.signed(event, who)


def test_the_birth_date_can_not_be_gone_round(place: Place) -> None:
    """A claim is taken on its own route alone, with a date, and nothing else is."""
    code, person, web = place.chart(), place.person(), place.web
    sent = claimed(place, person, code)
    assert kind_of(web.post("/v1/events", sent)) == "claim"
    assert kind_of(web.post("/v1/bundles", web.bundled(person, [sent["event"]]))) == "claim"
    assert kind_of(web.post("/v1/claims", sent)) == "malformed"
    for born in ("", "1958", "14.3.1958", "1958-02-30", 1958, None):
        answer = web.post("/v1/claims", sent | {"born": born})
        assert kind_of(answer) == "malformed", born
    other = place.fixture.north.system.event(
        "claim.offered", f"patient/{code.patient}",
        {"claim": b64encode(bytes(32)), "patient": code.patient, "purpose": "TREAT"}, place.client.now(),
    )  # fmt: skip
    signed = web.signed(other, place.fixture.north.system)
    assert kind_of(web.post("/v1/claims", signed | {"born": BORN})) == "stream"
    assert kind_of(web.post(f"/v1/patients/{code.patient}/claims", sent)) == "stream"
    assert not place.row(code.patient).claimed


def test_a_lost_answer_is_asked_for_again(place: Place) -> None:
    """The same signed claim gets its entry; it is no second claim."""
    code, person = place.chart(), place.person()
    sent = claimed(place, person, code) | {"born": BORN}
    first, second = (place.web.post("/v1/claims", sent) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json()["entries"][0]["seq"] == second.json()["entries"][0]["seq"]
    assert (
        kind_of(place.web.post("/v1/claims", claimed(place, person, code) | {"born": BORN}))
        == "claim"
    )


def test_addresses_wait_too(place: Place) -> None:
    """Many accounts on many charts, from one address."""
    people = [place.person() for _ in range(CLAIM_ADDRESS_TRIES + 1)]
    codes = [place.chart() for _ in people]
    answers = [
        kind_of(place.web.post("/v1/claims", claimed(place, who, code) | {"born": WRONG}))
        for who, code in zip(people, codes, strict=True)
    ]
    assert answers == ["claim"] * CLAIM_ADDRESS_TRIES + ["too_many_claims"]


def test_no_secret_stands_anywhere(place: Place) -> None:
    """Neither the code nor the birth date in log and database, whichever way they went."""
    code, person = place.chart(), place.person()
    place.refused(person, code, WRONG)
    place.claim(person, code)
    folder = place.fixture.settings.data
    files = [path for path in folder.rglob("*") if path.is_file() and "people" not in path.parts]
    plain = code.text.replace("-", "").lower().encode()
    for path in files:
        data = path.read_bytes()
        for secret in (BORN, WRONG, code.text):
            assert secret.encode() not in data, path
        assert plain not in data.lower(), path
        assert read_claim_code(code.text) not in data, path


def test_a_lying_server_claims_nothing(place: Place) -> None:
    """Neither by another's answer, nor by one whose checkpoint or entry was altered."""
    code, person = place.chart(), place.person()
    answers: list[bytes] = []

    def replayed(path: str, body: bytes) -> bytes:
        if path.partition("?")[0] == "/v1/claims":
            answers.append(body)
            return answers[0]
        return body

    def other_account(path: str, body: bytes) -> bytes:
        return body.replace(person.account.encode(), place.fixture.operator.account.encode())

    with (
        lying(place.web.url, replayed) as url,
        closing(HttpClient(url, vkeys=list(place.fixture.ledger.vkeys))) as client,
    ):
        claiming.claim_chart(client, person, code.patient, code.text, BORN)
        second = place.chart()
        with pytest.raises((Tampered, ProofError)):
            claiming.claim_chart(client, person, second.patient, second.text, BORN)
    third = place.chart()
    with (
        lying(place.web.url, other_account) as url,
        closing(HttpClient(url, vkeys=list(place.fixture.ledger.vkeys))) as client,
        pytest.raises((Tampered, ProofError)),
    ):
        claiming.claim_chart(client, person, third.patient, third.text, BORN)
