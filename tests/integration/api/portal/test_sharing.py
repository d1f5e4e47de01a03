"""By pages: who asks and is answered with less, who declares an emergency and is reviewed, who acts for a patient."""

from collections.abc import Iterator

import pytest

from api.app.settings import Settings
from api.operator import policies
from client import applying, relatives, requests
from client.local import LocalClient
from identity.actors import Actor
from ledger.codes import CEILINGS
from ledger.policies import POLICY_WAIT_MS
from tests.integration.api.portal.conftest import Town, founded, uploads
from tests.support.portal import BORN, Pages, Read

WORDS = "Your blood count, please: <b>before Friday</b>"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town of its own."""
    with founded(Settings(data=tmp_path_factory.mktemp("sharing") / "data")) as made:
        yield made


def sure(who: Pages) -> None:
    """Show a code if the page asks for one, and go on with what was typed."""
    assert who.at is not None
    if 'action="/step-up"' in who.at.text:
        who.steps_up()
        who.goes_on()


def doctor(town: Town) -> tuple[Pages, Actor]:
    """One who hasn't tried anything yet: refusals are counted."""
    actor = town.portal.fixture.doctor()
    who = town.portal.with_key(actor)
    who.signs_in()
    return who, actor


def patient(town: Town, name: str) -> tuple[Pages, str]:
    """One with a chart and a record."""
    who = town.portal.somebody().registers(name)
    chart = who.opens_chart(name)
    uploads(who, chart, title="Blood count", note="Haemoglobin 13.9 g/dl", category="laboratory")
    return who, chart


def test_a_request_is_answered_with_less(town: Town) -> None:
    """The doctor asks from the refusal; the patient reads why, and gives fewer days; the doctor reads."""
    pat, chart = patient(town, "Rita Nord")
    who, actor = doctor(town)
    page = who.open(f"/patients/{chart}/chart")
    assert who.status() == 403 and f"/patients/{chart}/ask" in page.links
    who.open(f"/patients/{chart}/ask")
    page = who.send(f"/patients/{chart}/ask", {"words": "", "days": "90", "category": "laboratory"})
    assert who.status() == 400 and "write what you ask for" in page.text
    page = who.send(f"/patients/{chart}/ask", {"words": WORDS})
    assert "The patient is told." in page.text and chart in page.text and "waits" in page.text

    assert "1 request for access waits" in pat.open(f"/patients/{chart}/access").text
    page = pat.open("/requests")
    assert "Dr. Ö" in page.text and "90 days" in page.text and WORDS not in page.text
    assert WORDS in pat.open(f"/patients/{chart}/history?only=asked").text
    pat.open("/requests")
    answer = f"/patients/{chart}/requests/answer"
    pat.send(answer, {"verdict": "granted", "days": "7"})
    sure(pat)
    client, ledger = LocalClient(town.portal.fixture.ledger), town.portal.fixture.ledger
    (given,) = [one for one in client.consents(pat_actor(town, pat), chart)[0] if one.active]
    assert given.grantee == actor.account and given.end - ledger.clock() < 8 * 86_400_000
    page = who.open(f"/patients/{chart}/chart")
    assert who.status() == 200 and "Laboratory 1" in page.text
    record = next(one for one in page.links if one.startswith("/records/"))
    assert "Haemoglobin" in who.open(record).text
    assert "given" in who.open("/requests").text


def pat_actor(town: Town, who: Pages) -> Actor:
    """A patient as a journey asks for them; nothing is signed."""
    return Actor("", who.account, "patient", "", town.account.key)


def test_what_is_sensitive_is_given_by_its_own_tick_alone(town: Town) -> None:
    """A request that asks for it says so, and giving access without the tick leaves it out."""
    pat, chart = patient(town, "Zoe Nord")
    _, actor = doctor(town)
    client, ledger = LocalClient(town.portal.fixture.ledger), town.portal.fixture.ledger
    for tick, given in (({}, False), ({"sensitive": "1"}, True)):
        requests.ask(client, actor, chart, requests.Asked("all of it", 30, sensitive=True))
        page = pat.open("/requests")
        assert "the whole chart, with what is sensitive" in page.text
        assert "sensitive" not in page.forms[-2][1]  # as it stands, it isn't ticked
        answer = f"/patients/{chart}/requests/answer"
        pat.send(answer, {"verdict": "granted", "days": "0"} | tick)
        sure(pat)
        assert pat.status() == 400
        pat.open("/requests")
        pat.send(answer, {"verdict": "granted", "days": "7"} | tick)
        sure(pat)
        found = client.consents(pat_actor(town, pat), chart)[0]
        newest = max(found, key=lambda one: one.seq)
        assert (newest.grantee, newest.sensitive) == (actor.account, given)
    assert "with what is sensitive" in pat.open(f"/patients/{chart}/access").text
    assert ledger.head().size


def test_taking_back_asks_for_a_code_first(town: Town) -> None:
    """A refusal would stand in the patient's own history for ever."""
    pat, chart = patient(town, "Ria Nord")
    _, actor = doctor(town)
    where = f"/patients/{chart}/access"
    pat.open(f"{where}/confirm?reader={actor.account}&days=7")
    pat.send(f"{where}/grant")
    sure(pat)
    town.portal.clock.ahead += 6 * 60_000
    pat.open(where)
    pat.send(f"{where}/revoke")
    assert pat.status() == 403
    sure(pat)
    assert "Access is taken back" in str(pat.at and pat.at.text)
    assert "Nothing of that kind." in pat.open(f"/patients/{chart}/history?only=refused").text


def test_no_is_an_answer(town: Town) -> None:
    """Nothing is given, and the doctor sees just that; asking is no access."""
    pat, chart = patient(town, "Nora Süd")
    who, _ = doctor(town)
    who.open(f"/patients/{chart}/ask")
    who.send(f"/patients/{chart}/ask", {"words": "all", "days": "365", "category": ""})
    pat.open("/requests")
    pat.send(f"/patients/{chart}/requests/answer", {"verdict": "declined", "days": "365"})
    sure(pat)
    assert "You said no." in str(pat.at and pat.at.text)
    assert "declined" in who.open("/requests").text
    assert who.open(f"/patients/{chart}/chart") and who.status() == 403


def test_an_emergency_is_told_and_reviewed(town: Town) -> None:
    """From the refusal to the chart under the ceiling; the admin sees what was read and says so; the patient reads it all."""
    pat, chart = patient(town, "Emil Ost")
    who, _ = doctor(town)
    page = who.open(f"/patients/{chart}/chart")
    assert f"/patients/{chart}/emergency" in page.links
    who.open(f"/patients/{chart}/emergency")
    told = {"reason": "life_at_risk", "text": "Found without consciousness"}
    page = who.send(f"/patients/{chart}/emergency", told)
    sure(who)
    page = who.open(f"/patients/{chart}/chart?looks=emergency")
    assert "You look in an emergency." in page.text and "Laboratory 1" in page.text
    record = next(one for one in page.links if one.startswith("/records/"))
    assert record.endswith("?looks=emergency") and "Haemoglobin" in who.open(record).text
    # Without saying so it is a look like any other, and there is no grant.
    assert who.open(f"/patients/{chart}/chart") and who.status() == 403

    town.admin.signs_in()
    assert town.admin.open(f"/emergencies?after={'9' * 5_000}") and town.admin.status() == 200
    page = town.admin.open("/emergencies")
    review = next(one for one in page.links if one.startswith(f"/patients/{chart}/emergencies/"))
    page = town.admin.open(review)
    assert "Found without consciousness" in page.text and "opened a record" in page.text
    assert "Haemoglobin" not in page.text
    page = town.admin.send(review, {"finding": "justified", "text": "It was needed"})
    assert "The review is closed." in page.text
    assert review not in town.admin.open("/emergencies?state=unreviewed").links

    page = pat.open(f"/patients/{chart}/history")
    assert "declared an emergency" in page.text and "Found without consciousness" in page.text
    assert "reviewed an emergency" in page.text and "It was needed" in page.text


def test_the_ceiling_is_the_patients(town: Town) -> None:
    """Nothing is seen once it is off, and the page shows what counts."""
    pat, chart = patient(town, "Olga West")
    assert 'value="normal" checked' in str(
        pat.open(f"/patients/{chart}/access") and pat.at and pat.at.text
    )
    pat.send(f"/patients/{chart}/access/emergency", {"ceiling": "off"})
    sure(pat)
    assert 'value="off" checked' in str(
        pat.open(f"/patients/{chart}/access") and pat.at and pat.at.text
    )
    assert set(CEILINGS) == {"normal", "restricted", "off"}
    who, _ = doctor(town)
    who.open(f"/patients/{chart}/emergency")
    told = {"reason": "life_at_risk", "text": "Found without consciousness"}
    who.send(f"/patients/{chart}/emergency", told)
    sure(who)
    assert who.open(f"/patients/{chart}/chart?looks=emergency") and who.status() == 403


def test_a_relative_acts_for_a_patient(town: Town) -> None:
    """Invited, linked by the line, looking on the patient's behalf, seen by the patient; and it ends at once."""
    pat, chart = patient(town, "Fee Nord")
    son = town.portal.somebody().registers("Tom Nord")
    pat.open("/family")
    page = pat.send(
        f"/patients/{chart}/family/invite", {"days": "30", "category": "", "may": "read_history"}
    )
    if "/step-up" in str(pat.at and pat.at.text):
        pat.steps_up()
        page = pat.goes_on()
    line = next(one for one in page.words if one.startswith(relatives.LINK))
    son.open("/relatives")
    page = son.send("/relatives/accept", {"letter": line[:-4] + "aaaa"})
    assert son.status() == 400, page.text
    page = son.send("/relatives/accept", {"letter": line})
    sure(son)
    page = son.open("/relatives")
    assert chart in page.text and f"/patients/{chart}/chart" not in page.links
    # The line counts once.
    late = town.portal.somebody().registers("Lou Nord")
    late.open("/relatives")
    late.send("/relatives/accept", {"letter": line})
    assert late.status() >= 400

    son.open("/roles")
    son.send("/roles", {"_of": "relative "})
    sure(son)
    page = son.open("/relatives")
    assert f"/patients/{chart}/chart" in page.links
    page = son.open(f"/patients/{chart}/chart")
    assert son.status() == 200 and "on the patient’s behalf" in page.text
    record = next(one for one in page.links if one.startswith("/records/"))
    assert "Haemoglobin" in son.open(record).text
    assert son.open(f"/patients/{chart}/history") and son.status() == 200
    # A chart of somebody who linked nobody: the gate refuses it, and its patient is told.
    assert son.open(f"/patients/{town.chart}/chart") and son.status() == 403
    town.ada.signs_in()
    assert son.account in town.ada.open(f"/patients/{town.chart}/history?only=refused").text

    page = pat.open(f"/patients/{chart}/history?only=others")
    assert son.account in page.text and f"(for {pat.account})" in page.text
    pat.open("/family")
    page = pat.send(f"/patients/{chart}/family/end", {"_of": son.account})
    assert "Ended, as of now." in page.text
    page = son.open(
        f"/patients/{chart}/chart"
    )  # the role ended with the relation, and the session with the role
    assert "on the patient’s behalf" not in page.text and "/register" in page.links


def test_a_relative_gives_access_and_writes_for_a_patient(town: Town) -> None:
    """As far as the patient lets them; the patient sees both, and who did it."""
    fixture, client = town.portal.fixture, LocalClient(town.portal.fixture.ledger)
    person = fixture.person("Fee Nord")
    made = relatives.invite(
        client, person.actor, person.patient, ["append", "grant", "list", "read"], 30
    )
    son = town.portal.somebody().registers("Tom Nord")
    son.open("/relatives")
    son.send("/relatives/accept", {"letter": made.link})
    son.open("/roles")
    son.send("/roles", {"_of": "relative "})
    sure(son)
    _, actor = doctor(town)
    house = f"/patients/{person.patient}/access/new/{fixture.south.hospital}"
    page = son.open("/relatives")
    assert f"/patients/{person.patient}/access/new" in page.links
    assert house + "?act=grant" in son.open(f"/patients/{person.patient}/access/new").links
    son.open(f"/patients/{person.patient}/access/confirm?reader={actor.account}&days=7")
    page = son.send(f"/patients/{person.patient}/access/grant")
    sure(son)
    assert son.status() == 200 and son.at is not None
    assert "Access is given on the patient’s behalf" in Read(son.at.text).text
    (grant,) = client.consents(person.actor, person.patient)[0]
    assert (grant.grantee, grant.by) == (actor.account, son.account)
    son.open(f"/patients/{person.patient}/write/vitals")
    page = son.send(f"/patients/{person.patient}/write/vitals", {"pulse": "64"})
    assert son.status() == 200, page.text
    record = next(one for one in page.links if one.startswith("/records/"))
    assert "by the patient or family" in son.open(record).text
    made_of = son.ask("GET", f"{record}/file").json()
    assert made_of["performer"][0]["type"] == "RelatedPerson"
    # Of another patient nothing: the gate refuses it.
    son.open(f"/patients/{town.chart}/access/confirm?reader={actor.account}&days=7")
    son.send(f"/patients/{town.chart}/access/grant")
    assert son.status() == 403


def test_an_invitation_is_withdrawn(town: Town) -> None:
    """Then its line counts for nobody."""
    pat, chart = patient(town, "Gil Nord")
    pia = town.portal.somebody().registers("Pia Nord")
    pat.open("/family")
    page = pat.send(f"/patients/{chart}/family/invite", {"days": "30", "category": "laboratory"})
    if "/step-up" in str(pat.at and pat.at.text):
        pat.steps_up()
        page = pat.goes_on()
    line = next(one for one in page.words if one.startswith(relatives.LINK))
    pat.open("/family")
    page = pat.send(f"/patients/{chart}/family/end")
    assert "Ended, as of now." in page.text and "nobody took up" not in page.text
    pia.open("/relatives")
    pia.send("/relatives/accept", {"letter": line})
    sure(pia)
    assert pia.status() >= 400


def test_a_record_is_erased_and_taken_back(town: Town) -> None:
    """Asked for from its page, gone at once, and back again; the whole chart only by its number."""
    pat, chart = patient(town, "Uta Nord")
    page = pat.open(f"/patients/{chart}/chart")
    record = next(one for one in page.links if one.startswith("/records/"))
    assert f"{record}/erase" in pat.open(record).links
    page = pat.open(f"{record}/erase")
    assert "72 hours" in page.text
    page = pat.send(f"/patients/{chart}/erasures")
    if "/step-up" in str(pat.at and pat.at.text):
        pat.steps_up()
        page = pat.goes_on()
    assert "You asked for it." in page.text and "asked for" in page.text
    assert pat.open(record) and pat.status() == 403
    pat.open(f"/patients/{chart}/erasures")
    page = pat.send(f"/patients/{chart}/erasures/withdraw")
    assert "Taken back." in page.text
    assert "Haemoglobin" in pat.open(record).text
    pat.open(f"/patients/{chart}/erasures")
    page = pat.send(f"/patients/{chart}/erasures", {"whole": "yes"})
    assert pat.status() == 400 and "type its patient number" in page.text
    page = pat.open(f"/patients/{chart}/erasures")
    page = pat.send(f"/patients/{chart}/erasures", {"whole": chart})
    assert "The whole chart" in page.text and "asked for" in page.text


def test_a_hospital_registers_and_the_letter_claims(town: Town) -> None:
    """The code stands on the page alone; a child gets none, but a guardian; a stranger's chart gets no letter."""
    admin = town.admin
    admin.signs_in()
    admin.open("/patients")
    page = admin.send("/patients", {"name": "Old Otto", "born": "1938-02-30"})
    assert admin.status() == 400 and "calendar" in page.text
    page = admin.send("/patients", {"name": "Old Otto", "born": BORN, "identifier": "urn:x|4711"})
    sure(admin)
    page = Read(str(admin.at and admin.at.text))
    number = next(one for one in page.words if one.startswith("pt_"))
    code = next(one for one in page.words if one.count("-") == 6)
    otto = town.portal.somebody().registers("Otto Alt")
    otto.open("/claim")
    page = otto.send("/claim", {"patient": number, "letter": code, "born": BORN})
    assert "The chart is yours now." in page.text

    admin.open("/patients")
    page = admin.send("/patients", {"name": "Kim Klein", "born": "2023-05-01"})
    sure(admin)
    page = Read(str(admin.at and admin.at.text))
    assert "too young" in page.text and "Code" not in page.words
    child = next(one for one in page.words if one.startswith("pt_"))
    guardian = town.portal.somebody().registers("Mia Klein")
    admin.open("/patients")
    page = admin.send(
        "/patients/guardian", {"patient": child, "guardian": guardian.account, "act": "appoint"}
    )
    sure(admin)
    assert admin.status() in (200, 403), page.text
    # No hospital writes a letter for a chart of which it has no record.
    admin.open("/patients")
    admin.send("/patients/letter", {"patient": town.chart, "born": ""})
    sure(admin)
    assert admin.status() >= 400


def test_the_card_holds_the_number_alone(town: Town) -> None:
    """Neither a name nor anything of the chart."""
    pat, chart = patient(town, "Kai Nord")
    page = pat.open(f"/patients/{chart}/card")
    assert chart in page.text and "Kai" not in page.text and "Blood" not in page.text


def test_other_rules_are_announced_to_everybody(town: Town) -> None:
    """From when they count and what they change, for the seven days before."""
    fixture = town.portal.fixture
    pat, _ = patient(town, "Leo Nord")
    assert "Other rules" not in pat.open("/today").text
    policies.change(fixture.ledger, fixture.operator, ["assurance.read=2"])
    page = pat.open("/today")
    assert (
        "Other rules count here from" in page.text
        and "how surely one must be signed in" in page.text
    )
    assert "how long an emergency lasts" not in page.text
    town.portal.clock.ahead += POLICY_WAIT_MS
    pat.signs_in()
    assert "Other rules" not in pat.open("/today").text


def test_no_page_offers_what_the_profession_may_not(town: Town) -> None:
    """A trainee sees neither form nor button, and is told whom to ask; nothing is tried for them."""
    _, chart = patient(town, "Ute West")
    who, actor = doctor(town)
    south = town.portal.fixture.south
    client = LocalClient(town.portal.fixture.ledger)
    applying.change_doctor(client, south.admin, actor.account, "trainee")
    page = who.open(f"/patients/{chart}/chart")
    assert who.status() == 403 and not {one for one in page.links if chart in one}
    for what in ("ask", "emergency"):
        page = who.open(f"/patients/{chart}/{what}")
        assert "Ask a physician." in page.text
        assert f"/patients/{chart}/{what}" not in {one[0]["action"] for one in page.forms}
