"""Sessions by cookie: for pages of the ledger's own site alone, and never to be taken for a program's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from api.http.cookies import COOKIE, CSRF_COOKIE
from crypto.encoding import b64encode
from ledger.messages import session_message
from storage.clock import wall_clock
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good, in_process, kind_of
from tests.support.sign_ins import Account

ASKED = {"Heartwood-Session": "cookie"}


@dataclass
class Browser:
    """What a browser sends and keeps."""

    web: Web
    who: Account
    cookies: dict[str, str]
    csrf: str = ""

    @property
    def origin(self) -> str:
        """Of the site's own pages."""
        return self.web.url

    def page(self, **others: str) -> dict[str, str]:
        """The headers of a request by one of the site's own pages."""
        return {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", **others}

    def send(
        self, method: str, path: str, headers: Mapping[str, str], value: Any = None
    ) -> httpx2.Response:
        """A request with the cookies, as a browser sends them whoever makes it ask."""
        shown = "; ".join(f"{name}={one}" for name, one in self.cookies.items())
        sent = {"Cookie": shown, **headers}
        answer = httpx2.request(method, f"{self.web.url}{path}", headers=sent, json=value)
        self.keep(answer)
        return answer

    def keep(self, answer: httpx2.Response) -> None:
        """Keep the cookies of an answer as a browser does."""
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value, *attributes = rest.split("; ")
            self.cookies[name] = value.strip('"')
            if "Max-Age=0" in attributes:
                del self.cookies[name]

    def changes(self, headers: Mapping[str, str]) -> str:
        """What comes of a request that changes something: the end of a session that there isn't."""
        path = "/v1/me/sessions/ss_" + "0" * 26
        return kind_of(self.send("DELETE", path, headers))


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Account]]:
    """Two with a password, the second with one-time codes, too."""
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("cookies") / "data"))
    with in_process(fixture.ledger) as web:
        made = [Account(web, wall_clock, fixture.person().actor) for _ in range(2)]
        assert [one.set_password().status_code for one in made] == [204, 204]
        made[1].enrol()
        yield made
    fixture.verify()
    fixture.close()


@pytest.fixture
def home(accounts: list[Account]) -> Account:
    """One without one-time codes."""
    return accounts[0]


@pytest.fixture
def browser(home: Account) -> Browser:
    """Signed in by one of the site's pages."""
    return _signed_in(home)


def _signed_in(who: Account, **shown: str) -> Browser:
    made = Browser(who.web, who, {})
    sent = {"account": who.actor.account, "password": who.password, "role": "patient", **shown}
    answer = made.send("POST", "/v1/sessions", made.page(**ASKED), sent)
    made.csrf = good(answer)["csrf"]
    assert made.csrf == made.cookies[CSRF_COOKIE]
    assert set(answer.json()) == {"account", "assurance", "csrf", "end", "session"}
    for line in answer.headers.get_list("set-cookie"):
        attributes = set(line.split("; ")[1:])
        assert {"Path=/", "Secure", "SameSite=strict"} <= attributes
        assert ("HttpOnly" in attributes) == line.startswith(f"{COOKIE}=")
        assert not any(one.startswith("Domain") for one in attributes)
    return made


def test_a_page_reads_and_changes(browser: Browser) -> None:
    """With the cookie alone, and with the CSRF token for what changes something."""
    assert kind_of(browser.send("GET", "/v1/me", {"Sec-Fetch-Site": "same-origin"})) == "200"
    assert kind_of(browser.send("GET", "/v1/me", {"Sec-Fetch-Site": "none"})) == "200"
    assert kind_of(browser.send("GET", "/v1/me", {})) == "200"  # a browser that doesn't say
    assert browser.changes(browser.page(**{"Heartwood-CSRF": browser.csrf})) == "204"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_a_cookie_from_another_site(browser: Browser, headers: dict[str, str]) -> None:
    """Neither reads nor changes anything, whatever else is right."""
    assert kind_of(browser.send("GET", "/v1/me", headers)) == "cross_site"
    right = browser.page(**{"Heartwood-CSRF": browser.csrf})
    assert browser.changes(right | headers) == "cross_site"


def test_what_changes_something_needs_the_origin(browser: Browser) -> None:
    """Its own, of this scheme, name and port."""
    csrf = {"Heartwood-CSRF": browser.csrf}
    host = browser.web.url.removeprefix("http://")
    assert browser.changes(csrf) == "cross_site"
    for origin in (
        "", "null", "http://127.0.0.1", f"http://{host}.elsewhere.example", f"http://x@{host}", f"ftp://{host}",
        "https://elsewhere.example", f"http://{host}/",
    ):  # fmt: skip
        assert browser.changes(csrf | {"Origin": origin}) == "cross_site", origin
    # Behind a proxy that ends TLS; without TLS elsewhere than on this machine nothing counts.
    named = csrf | {"Host": "heartwood.example"}
    assert browser.changes(named | {"Origin": "https://heartwood.example"}) == "204"
    assert browser.changes(named | {"Origin": "http://heartwood.example"}) == "cross_site"
    assert browser.changes(named | {"Origin": f"http://{host}"}) == "cross_site"


def test_what_changes_something_needs_the_sessions_csrf_token(
    browser: Browser, home: Account
) -> None:
    """Missing, empty, another session's, or only as a cookie: all the same."""
    others = _signed_in(home).csrf
    for csrf in ({}, {"Heartwood-CSRF": ""}, {"Heartwood-CSRF": others}, {"X-CSRF": browser.csrf}):
        assert browser.changes(browser.page(**csrf)) == "cross_site"
    browser.cookies[CSRF_COOKIE] = others  # put there by somebody else
    assert browser.changes(browser.page(**{"Heartwood-CSRF": others})) == "cross_site"


def test_every_operation_that_changes_something_needs_it(browser: Browser) -> None:
    """Whichever takes a session, as the OpenAPI document lists them."""
    asked = 0
    for path, methods in good(browser.web.get("/openapi.json"))["paths"].items():
        for method, operation in methods.items():
            if {"cookie": []} in operation.get("security", []) and method != "get":
                filled = re.sub(r"\{([a-z]+)\}", _example, path)
                answer = browser.send(method.upper(), filled, browser.page(), {})
                assert kind_of(answer) == "cross_site", (method, path)
                asked += 1
    assert asked > 10
    assert kind_of(browser.send("GET", "/v1/me", {})) == "200"


def _example(name: re.Match[str]) -> str:
    if name[1] in ("form", "inquiry", "passkey"):
        return "0" * 32
    prefix = {"hospital": "hs", "patient": "pt", "record": "rc", "session": "ss", "account": "ac"}
    return f"{prefix[name[1]]}_{'0' * 26}"


def test_a_token_in_the_wrong_place(browser: Browser, home: Account) -> None:
    """A bearer token is no cookie, a cookie no bearer token, and neither is part of an address."""
    by_key = home.web.token(home.actor)
    by_password = home.token()
    kept = browser.cookies.pop(COOKIE)
    for token in (by_key, by_password, browser.csrf, kept[:-4], "", "x"):
        browser.cookies[COOKIE] = token
        assert kind_of(browser.send("GET", "/v1/me", {})) == "not_signed_in"
    for name in ("token", "session", "Host-heartwood", "heartwood", CSRF_COOKIE):
        browser.cookies = {name: kept}
        assert kind_of(browser.send("GET", "/v1/me", {})) == "not_signed_in"
    for query in (f"token={by_key}", f"access_token={by_key}", f"{COOKIE}={kept}"):
        assert kind_of(home.web.get(f"/v1/me?{query}")) == "not_signed_in"
    for token in (kept, browser.csrf):
        assert kind_of(home.web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    # Where another kind of token belongs, a cookie is none.
    browser.cookies = {COOKIE: kept}
    for path in ("/tile/entries/000.p/1", "/v1/log/releases"):
        assert kind_of(browser.send("GET", path, browser.page())) == "not_signed_in"


def test_a_program_needs_no_csrf_token(browser: Browser, home: Account) -> None:
    """Its token counts from anywhere, as no browser sends it by itself; a cookie beside it counts for nothing."""
    token = bearer(home.token())
    elsewhere = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert browser.changes(token) == "204"
    assert browser.changes(token | elsewhere) == "204"
    assert browser.changes({"Authorization": "Bearer x", **browser.page()}) == "not_signed_in"


def test_a_cookie_is_given_to_own_pages_alone(home: Account) -> None:
    """Else somebody would be signed in as somebody else without noticing; before anything is looked at."""
    sent = {"account": home.actor.account, "password": home.password, "role": "patient"}
    strange = Browser(home.web, home, {})
    for headers in (ASKED, {**ASKED, "Origin": "https://elsewhere.example"}):
        answer = strange.send("POST", "/v1/sessions", headers, sent | {"code": "000000"})
        assert kind_of(answer) == "cross_site"
        assert not strange.cookies
    answer = strange.send(
        "POST", "/v1/sessions", strange.page(**{"Heartwood-Session": "bearer"}), sent
    )
    assert kind_of(answer) == "malformed"


def test_a_session_by_cookie_is_stepped_up_renewed_and_ended(accounts: list[Account]) -> None:
    """By other cookies each time; those before are dead, and no answer holds a token."""
    who = accounts[1]
    browser = _signed_in(who, recovery=who.recovery.pop())
    for path, value in (("step-up", {"recovery": who.recovery.pop()}), ("renewal", None)):
        old, old_csrf = dict(browser.cookies), browser.csrf
        headers = browser.page(**{"Heartwood-CSRF": browser.csrf})
        answer = good(browser.send("POST", f"/v1/sessions/current/{path}", headers, value))
        assert "token" not in answer
        assert answer["assurance"] == 3
        browser.csrf = answer["csrf"]
        assert browser.csrf != old_csrf
        assert browser.cookies[COOKIE] != old[COOKIE]
        assert kind_of(Browser(who.web, who, old).send("GET", "/v1/me", {})) == "not_signed_in"
        assert kind_of(browser.send("GET", "/v1/me", {})) == "200"
    old = dict(browser.cookies)
    headers = browser.page(**{"Heartwood-CSRF": browser.csrf})
    assert kind_of(browser.send("DELETE", "/v1/sessions", headers)) == "204"
    assert browser.cookies == {}
    assert kind_of(Browser(who.web, who, old).send("GET", "/v1/me", {})) == "not_signed_in"


def test_a_session_by_key_is_kept_as_a_cookie(home: Account) -> None:
    """The answer to a signed challenge, too."""
    made = Browser(home.web, home, {})
    nonce = home.web.challenge()
    value = home.actor.key.sign(session_message(home.web.origin, home.actor.key.id, nonce))
    sent = {
        "challenge": b64encode(nonce), "key": home.actor.key.id, "role": "patient", "value": b64encode(value),
    }  # fmt: skip
    answer = good(made.send("POST", "/v1/sessions", made.page(**ASKED), sent))
    assert set(answer) == {"account", "csrf", "end"}
    assert kind_of(made.send("GET", "/v1/me", {})) == "200"
