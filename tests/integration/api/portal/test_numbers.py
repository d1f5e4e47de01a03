"""By pages: a patient states a number; a doctor finds them by it once they may, and is told nothing before."""

from tests.integration.api.portal.conftest import Town
from tests.integration.api.portal.test_sharing import doctor, patient, sure

NUMBER, NOBODYS = "+49 170 5550123", "+49 170 5550199"


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
