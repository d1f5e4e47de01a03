"""By pages: somebody asks by a number; whom it reaches lets them in or dismisses it; nobody is told whether it reached anybody."""

from tests.integration.api.portal.conftest import Town
from tests.integration.api.portal.test_sharing import doctor, patient, sure

NUMBER, NOBODYS = "+49 170 5550177", "+49 170 5550178"
WORDS = "Praxis am See: <b>shall we go on?</b>"


def test_a_doctor_asks_by_number_and_is_let_in(town: Town) -> None:
    pat, chart = patient(town, "Inge Nord")
    pat.open("/me")
    pat.send("/me/number", {"number": NUMBER})
    sure(pat)
    who, _ = doctor(town)
    assert "/inquire" in who.open("/today").links
    answers = []
    for number in (NUMBER, NOBODYS):
        who.open("/inquire")
        page = who.send("/inquire", {"to": number, "words": WORDS, "days": "30"})
        assert who.status() == 200 and "if there is such a person" in page.text
        answers.append(page.text)
    assert answers[0] == answers[1]
    who.open("/inquire")
    who.send("/inquire", {"to": "0170 5550177", "words": WORDS, "days": "30"})
    assert who.status() == 400
    assert "Nothing was asked" in who.open("/requests").text

    assert "1 request for access waits" in pat.open(f"/patients/{chart}/access").text
    page = pat.open("/requests")
    assert "Dr. Ö" in page.text and WORDS in page.text
    answer = f"/patients/{chart}/inquiries/answer"
    pat.send(answer, {"verdict": "granted", "days": "7"})
    sure(pat)
    assert WORDS not in pat.open("/requests").text
    who.open("/today")
    page = who.send("/find", {"wanted": NUMBER})
    assert who.status() == 200 and "Laboratory 1" in page.text


def test_an_inquiry_is_dismissed(town: Town) -> None:
    pat, chart = patient(town, "Ivo Nord")
    who, _ = doctor(town)
    who.open("/inquire")
    who.send("/inquire", {"to": chart, "words": WORDS, "days": "30"})
    pat.open("/requests")
    pat.send(f"/patients/{chart}/inquiries/answer", {"verdict": "dismissed"})
    assert pat.status() == 200 and WORDS not in pat.open("/requests").text
    who.open(f"/patients/{chart}/chart")
    assert who.status() == 403
