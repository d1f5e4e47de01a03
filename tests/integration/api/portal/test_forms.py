"""Forms: from pages of this site and this session alone, and nothing typed is lost."""

from typing import Any

import pytest

from tests.integration.api.portal.conftest import Town, uploads
from tests.integration.api.portal.test_pages import POSTS, filled
from tests.support.portal import Pages, Read
from tests.support.sign_ins import PASSWORD


@pytest.mark.parametrize("path", sorted(POSTS))
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Origin": "null"},
        {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    ],
)  # fmt: skip
def test_other_sites_send_nothing(town: Town, path: str, headers: dict[str, str]) -> None:
    """Whatever they know: cross-site, from a sandbox, from a neighbouring name, typed in."""
    for who in (town.ada, town.nobody):
        before = dict(who.cookies)
        csrf = csrf_of(who) if who.cookies else ""
        answer = who.ask("POST", filled(town, path), data={"csrf": csrf}, headers=headers)
        assert answer.status_code == 403 and "came from another site" in answer.text
        assert who.cookies == before


def csrf_of(who: Pages) -> str:
    """What this session's pages send back."""
    return who.cookies["__Host-heartwood-csrf"]


@pytest.mark.parametrize("path", sorted(POSTS - {"/register", "/sign-in", "/language"}))
def test_a_form_of_another_session_does_nothing(town: Town, path: str) -> None:
    """As of a tab that was open before: it asks first."""
    answer = town.ada.ask("POST", filled(town, path), data={"csrf": csrf_of(town.bob), "name": "x"})
    assert answer.status_code == 403 and "Nothing was done yet" in answer.text
    assert town.ada.ask("GET", "/me").status_code == 200


OPEN = {
    "/register",
    "/sign-in",
    "/sign-in/passkey",
    "/sign-in/by-passkey",
    "/language",
    "/sign-out",
}
"""What takes no session."""


@pytest.mark.parametrize("path", sorted(POSTS - OPEN))
def test_whoever_is_not_signed_in_signs_in_first(town: Town, path: str) -> None:
    """What nobody knows who typed it is kept for nobody."""
    typed = {"title": "Long typed", "password": "secret-1", "second": "123456"}
    answer = town.nobody.ask("POST", filled(town, path), data=typed)
    assert answer.status_code == 401, answer.text
    form = next(f for a, f in Read(answer.text).forms if a["action"] == "/sign-in")
    assert (form["kept"], form["posts"]) == ("", "")
    assert "Long" not in answer.text and "not lost" not in answer.text


def ended(town: Town, who: Pages) -> None:
    """End somebody's session, as from another tab; the browser still has its cookie."""
    other = town.portal.somebody()
    other.account, other.seed, other.cookies = who.account, who.seed, dict(who.cookies)
    other.open("/me")
    other.send("/sign-out")


def test_what_was_typed_is_given_back_to_nobody_else(town: Town) -> None:
    """On a shared computer: the session has ended, its owner walks away, and somebody else signs in on that very page."""
    who, bob = town.portal.somebody().registers("Mia Fort"), town.bob
    who.open("/claim")
    opened = Read(str(who.at and who.at.text))
    ended(town, who)
    typed = {"patient": town.chart, "letter": "ABCD-EFGH-JKLM", "born": "1980-02-03"}
    page = who.send("/claim", typed, opened)
    assert who.status() == 401
    assert not [one for one in typed.values() if one in page.text]
    who.account, who.seed = bob.account, bob.seed
    page = who.send(
        "/sign-in", {"account": bob.account, "password": PASSWORD, "second": who.code()}
    )
    assert who.status() in (200, 303), page.text
    assert "what you had typed" not in page.text
    assert not [one for one in typed.values() if one in page.text]


@pytest.mark.parametrize("secret", ["letter", "mailed", "born"])
def test_a_code_or_a_birth_date_is_never_given_back(town: Town, secret: str) -> None:
    """Not even to who typed it: after the session's end they type it once more."""
    who = town.portal.somebody().registers("Mia Zwei")
    who.open("/claim")
    opened = Read(str(who.at and who.at.text))
    ended(town, who)
    who.send("/claim", {"patient": town.chart, secret: "typed-1980"}, opened)
    page = who.send(
        "/sign-in", {"account": who.account, "password": PASSWORD, "second": who.code()}
    )
    assert town.chart in page.text and "typed-1980" not in page.text


def test_nothing_typed_is_lost(town: Town) -> None:
    """A session that ends in the middle of a form: sign in, and send it."""
    who = town.portal.somebody().registers("Nina Mitte")
    chart = who.opens_chart("Nina Mitte")
    who.open(f"/patients/{chart}/upload")
    typed = {"title": "Typed for an hour", "note": "a = b & c\nnext line", "category": "summary"}
    opened = Read(str(who.at and who.at.text))
    ended(town, who)
    page = who.send(f"/patients/{chart}/upload", typed, opened)
    assert who.status() == 401 and "not lost" in page.text
    page = who.send(
        "/sign-in", {"account": who.account, "password": PASSWORD, "second": who.code()}
    )
    assert "Typed for an hour" in page.text
    page = who.goes_on()
    assert who.status() == 200 and "Typed for an hour" in page.text


def test_two_tabs_with_two_roles(town: Town) -> None:
    """A form that was opened in one role isn't sent in another unasked."""
    who = town.portal.somebody().registers("Tom Zwei")
    chart = who.opens_chart("Tom Zwei")
    record = uploads(who, chart, title="Mine", note="text")
    old = who.open(f"/records/{record}")
    who.open("/roles")
    who.send("/roles", {"_of": "person ", "role": "person "})
    who.at = who.ask("GET", "/today")
    page = who.send(f"/records/{record}/hide", {}, old)
    assert who.status() == 403 and "You act as: Myself" in page.text


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/x\r\nSet-Cookie: a=b",
    ],
)
def test_one_goes_on_within_the_site(town: Town, then: str) -> None:
    """No open redirect, by sign-in or by language."""
    answer = town.ada.ask(
        "POST", "/language", data={"csrf": csrf_of(town.ada), "language": "en", "then": then}
    )
    assert answer.headers["location"] == "/today"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"), (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=b" for _ in range(500)), "application/x-www-form-urlencoded"),
        (b"", "multipart/form-data"), (b"nothing", "multipart/form-data; boundary=b"),
        (b"--b\r\n\r\n\r\n--b--", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n', "multipart/form-data; boundary=b"),
        (b"--b" + b"\r\n--b" * 500, "multipart/form-data; boundary=b"),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(town: Town, content: bytes, kind: str) -> None:
    """With a page that says so, and no bug."""
    answer = town.nobody.ask("POST", "/register", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400 and answer.headers["content-type"].startswith("text/html")


def test_a_form_is_bounded(town: Town) -> None:
    """Beyond its limit nothing is read."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = town.nobody.ask("POST", "/register", content=b"a=" + b"b" * 70_000, headers=form)
    assert answer.status_code == 413


def test_a_wrong_sign_in_tells_nothing(town: Town) -> None:
    """Whether the account exists isn't told, and what was typed stays but for the secrets."""
    somebody, texts = town.portal.somebody(), list[Any]()
    for account in (town.bob.account, "ac_" + "0" * 26):
        somebody.open("/sign-in")
        page = somebody.send("/sign-in", {"account": account, "password": "wrong password"})
        assert somebody.status() == 401 and account in str(somebody.at and somebody.at.text)
        assert "wrong password" not in str(somebody.at and somebody.at.text)
        texts.append(page.text)
    assert texts[0] == texts[1]
