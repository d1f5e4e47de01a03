"""By pages: a patient states a number; a doctor finds them by it once they may, or asks by it, and is told nothing before."""

from collections.abc import Iterator

import pytest

from api.app.settings import Settings
from tests.integration.api.portal.conftest import Town, founded
from tests.integration.api.portal.test_sharing import doctor, patient, sure

NUMBER, NOBODYS = "+49 170 5550123", "+49 170 5550199"
ASKED, NOT_ASKED = "+49 170 5550177", "+49 170 5550178"
WORDS = "Praxis am See: <b>shall we go on?</b>"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town of its own: codes are asked for often, and each takes its time."""
    with founded(Settings(data=tmp_path_factory.mktemp("numbers") / "data")) as made:
        yield made


def test_found_by_a_number_once_access_is_given(town: Town) -> None:
    pat, chart = patient(town, "Nora Nord")
    page = pat.open("/me")
    assert "A mobile number to be found by" in page.text and "Stated on" not in page.text
    page = pat.send("/me/number", {"number": "0170 5550123"})
    sure(pat)
    assert pat.status() == 400, "a national number isn't guessed at"
    page = pat.send("/me/number", {"number": NUMBER})
    assert pat.status() == 200 and "Stated on" in page.text and NUMBER not in page.text

    who, actor = doctor(town)
    answers = []
    for number in (NUMBER, NOBODYS):
        who.open("/today")
        page = who.send("/find", {"wanted": number})
        assert who.status() == 404
        answers.append(page.text.replace(number, ""))
    assert answers[0] == answers[1], "nothing tells whether it is somebody's"
    ask = f"/patients/{chart}/ask"
    who.open(ask)
    who.send(ask, {"words": "Please let me see"})
    pat.open("/requests")
    pat.send(f"/patients/{chart}/requests/answer", {"verdict": "granted", "days": "7"})
    sure(pat)
    who.open("/today")
    page = who.send("/find", {"wanted": NUMBER})
    assert who.status() == 200 and "Laboratory 1" in page.text
    assert actor.account

    pat.open("/me")
    pat.send("/me/number/remove")
    sure(pat)
    assert "Stated on" not in pat.open("/me").text
    who.open("/today")
    who.send("/find", {"wanted": NUMBER})
    assert who.status() == 404


def test_a_doctor_asks_by_number_and_is_let_in(town: Town) -> None:
    pat, chart = patient(town, "Inge Nord")
    pat.open("/me")
    pat.send("/me/number", {"number": ASKED})
    sure(pat)
    who, _ = doctor(town)
    assert "/inquire" in who.open("/today").links
    answers = []
    for number in (ASKED, NOT_ASKED):
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
    page = who.send("/find", {"wanted": ASKED})
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
