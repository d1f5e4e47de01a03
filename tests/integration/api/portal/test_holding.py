"""Holds by pages: what a doctor keeps from a patient for a while, what an admin keeps from being erased, and who is shown it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from api.app.settings import Settings
from client import authoring
from client.local import LocalClient
from ledger.facts import HARM, LEGAL, Hold
from records.uploads import Upload
from tests.integration.api.portal.test_sharing import sure
from tests.support.portal import Pages, Portal, served_portal

WORDS = "Tell her in person first <b>"


@dataclass
class Ward:
    """A patient, a doctor who wrote a record, and the admin of the doctor's hospital."""

    portal: Portal
    pat: Pages
    chart: str
    doctor: Pages
    admin: Pages
    record: str

    def holds(self) -> list[Hold]:
        """As they stand, by entry."""
        found = self.portal.fixture.ledger.rows(Hold, "patient", self.chart)
        return sorted(found, key=lambda one: one.seq)

    def send(self, who: Pages, path: str, **fields: str) -> str:
        """Fill in the form with that address, with a code if it is asked for."""
        who.send(path, fields)
        sure(who)
        assert who.at is not None
        return who.at.text


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Signed in."""
    with served_portal(Settings(data=tmp_path_factory.mktemp("holding") / "data")) as portal:
        fixture, client = portal.fixture, LocalClient(portal.fixture.ledger)
        person, actor = fixture.person("Ida"), fixture.doctor()
        note = Upload(person.patient, "document", "text/plain", [b"A finding"], title="A finding")
        record = authoring.upload(client, actor, note).record
        who = [portal.with_key(one) for one in (person.actor, actor, fixture.south.admin)]
        for one in who:
            one.signs_in()
        pat, doctor, admin = who
        yield Ward(portal, pat, person.patient, doctor, admin, record)


def test_a_record_is_held_back_for_a_while(ward: Ward) -> None:
    """From the patient, who is told that it is; what was typed stays where something is missing; until it is lifted."""
    holds = f"/patients/{ward.chart}/holds"
    page = ward.doctor.open(f"/records/{ward.record}")
    assert f"{holds}?record={ward.record}" in page.links
    ward.doctor.open(f"{holds}?record={ward.record}")
    typed = {"reason": "therapeutic", "text": WORDS, "days": "7"}
    for wrong in (
        {"days": "15"},
        {"days": "00010000099"},
        {"days": "9" * 5_000},
        {"reason": "x"},
        {"relative": "ac_1"},
    ):
        shown = ward.send(ward.doctor, holds, **typed | wrong)
        assert ward.doctor.status() in (400, 404) and "Tell her in person first &lt;b&gt;" in shown
        assert not ward.holds()
    shown = ward.send(ward.doctor, holds, **typed | {"relative": ""})
    (hold,) = ward.holds()
    assert ward.doctor.status() == 200 and "Done: it is held" in shown
    assert (hold.kind, hold.record, hold.reason) == (HARM, ward.record, "therapeutic")
    assert hold.against == ward.pat.account
    assert "1 record is held back from you" in ward.pat.open(f"/patients/{ward.chart}/chart").text
    told = ward.pat.open(holds)
    assert "kept from you until" in told.text and "in force" in told.text
    assert "Lift it" not in told.text and "harm the treatment" not in told.text
    refused = ward.pat.open(f"/records/{ward.record}")
    assert ward.pat.status() == 403 and "holds it back for a while" in refused.text
    ward.doctor.open(holds)
    ward.send(ward.doctor, f"{holds}/lift")
    assert ward.holds()[0].lifted
    ward.pat.open(f"/records/{ward.record}")
    assert ward.pat.status() == 200


def test_records_are_kept_from_being_erased(ward: Ward) -> None:
    """All of a hospital's, by its admin; the patient sees it and why, and can't erase; each role lifts its own kind."""
    holds = f"/patients/{ward.chart}/holds"
    ward.admin.open("/patients")
    page = ward.admin.send("/holds", {"patient": ward.chart})
    assert ward.admin.status() == 200 and "Keep from being erased" in page.text
    ward.send(ward.admin, holds, reason="court_order")
    hold = ward.holds()[-1]
    assert (hold.kind, hold.record, hold.reason) == (LEGAL, "", "court_order")
    told = ward.pat.open(holds)
    assert "All that the hospital has in this chart" in told.text
    assert "A court ordered it" in told.text and "Lift it" not in told.text
    ward.pat.open(f"/records/{ward.record}/erase")
    refused = ward.send(ward.pat, f"/patients/{ward.chart}/erasures")
    assert ward.pat.status() == 403 and "kept for a court" in refused
    assert "Lift it" not in ward.doctor.open(holds).text
    sent = {"csrf": ward.doctor.cookies["__Host-heartwood-csrf"], "hold": hold.hold}
    assert ward.doctor.ask("POST", f"{holds}/lift", data=sent).status_code in (400, 403)
    assert not ward.holds()[-1].lifted
    ward.admin.open(holds)
    ward.send(ward.admin, f"{holds}/lift")
    assert ward.holds()[-1].lifted


def test_who_holds_nothing(ward: Ward) -> None:
    """A patient places and lifts none; another chart's record is none of this one's; a number that is none."""
    sent = {"csrf": ward.pat.cookies["__Host-heartwood-csrf"], "reason": "claim", "hold": "ev_1"}
    for path in (f"/patients/{ward.chart}/holds", f"/patients/{ward.chart}/holds/lift"):
        assert ward.pat.ask("POST", path, data=sent).status_code == 403
    before = len(ward.holds())
    foreign = ward.portal.fixture.record(ward.portal.fixture.person("Otto")).record
    ward.admin.open(f"/patients/{ward.chart}/holds")
    for wrong in ({"record": foreign}, {"record": "rc_1"}, {"reason": "therapeutic"}):
        ward.send(ward.admin, f"/patients/{ward.chart}/holds", **{"reason": "claim"} | wrong)
        assert ward.admin.status() in (400, 404)
    assert len(ward.holds()) == before
    ward.admin.open("/patients")
    ward.admin.send("/holds", {"patient": "Ida"})
    assert ward.admin.status() == 400
