"""The portal for tests: a served ledger whose clock moves, and somebody who uses its pages without a script.

`Pages` is a browser of forms: it opens pages, fills in what they ask, sends their hidden fields along and keeps cookies.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx2
import pyotp

from api.app.settings import Settings
from client.local import LocalClient
from identity.actors import Actor
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, in_process
from tests.support.sign_ins import PASSWORD, STEP_MS, Account, Later, reopened

BORN = "1958-03-14"


class Read(HTMLParser):
    """What a page holds: its links, what it loads, its forms with their fields, and its text."""

    def __init__(self, text: str) -> None:
        """Read at once."""
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.forms: list[tuple[dict[str, str], dict[str, str]]] = []
        """Attributes of each, and the values that it sends as it stands."""
        self.words: list[str] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag."""
        said = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") or name == "style" for name in said), said
        if tag == "a":
            self.links.append(said["href"])
        elif tag in ("script", "img"):
            self.loads.append(said["src"])
        elif tag == "link":
            self.loads.append(said["href"])
        elif tag == "form":
            self.forms.append((said, {}))
        elif tag in ("input", "textarea", "button") and "name" in said and self.forms:
            ticked = said.get("type") not in ("radio", "checkbox") or "checked" in said
            if ticked and tag != "button":
                self.forms[-1][1][said["name"]] = said.get("value", "")
        elif tag == "select":
            self._select = said["name"]
        elif tag == "option" and ("selected" in said or self._select not in self.forms[-1][1]):
            self.forms[-1][1][self._select] = said["value"]

    def handle_data(self, data: str) -> None:
        """A text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """The whole text, its white space made one."""
        return re.sub(r"\s+", " ", " ".join(self.words))


@dataclass
class Pages:
    """Somebody with a browser that runs no scripts."""

    web: Web
    clock: Later
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"Accept-Language": "en"})
    account: str = ""
    seed: str = ""
    recovery: list[str] = field(default_factory=list)
    at: httpx2.Response | None = None
    """The page that is open."""

    def ask(self, method: str, path: str, **sent: Any) -> httpx2.Response:
        """A request with cookies, as a page of this site makes it, without following redirects."""
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"} | self.headers
        if method != "GET":
            headers = {"Origin": self.web.url} | headers
        headers |= {"Cookie": shown} if shown else {}
        headers |= sent.pop("headers", {})
        answer = httpx2.request(
            method, f"{self.web.url}{path}", headers=headers, timeout=60, **sent
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value, *attributes = rest.split("; ")
            self.cookies[name] = value.strip('"')
            if "Max-Age=0" in attributes:
                del self.cookies[name]
        return answer

    def open(self, path: str) -> Read:
        """Open a page, and follow where it leads."""
        answer = self.ask("GET", path)
        while answer.status_code == 303:
            answer = self.ask("GET", answer.headers["location"])
        self.at = answer
        return Read(answer.text)

    def send(self, action: str, fill: Mapping[str, str] | None = None, page: Read | None = None,
             files: Mapping[str, tuple[str, bytes, str]] | None = None) -> Read:  # fmt: skip
        """Send the form with that action of the page that is open, and follow where it leads."""
        assert self.at is not None
        shown = page or Read(self.at.text)
        given = dict(fill or {})
        found = [(a, f) for a, f in shown.forms if a["action"] == action]
        fits = [f for _, f in found if given.get("_of", "") in ("", *f.values())]
        assert fits, (action, self.at.status_code, shown.text)
        given.pop("_of", None)
        values = fits[0] | given
        if files is not None:
            answer = self.ask("POST", action, data=values, files=files)
        else:
            answer = self.ask("POST", action, data=values)
        self.at = answer
        while answer.status_code == 303:
            answer = self.at = self.ask("GET", answer.headers["location"])
        return Read(answer.text)

    def status(self) -> int:
        """Of the page that is open."""
        assert self.at is not None
        return self.at.status_code

    def code(self) -> str:
        """A code that was not used yet."""
        self.clock.ahead += STEP_MS
        return pyotp.TOTP(self.seed).at(self.clock() // 1000)

    def registers(self, name: str = "Ada Lind") -> "Pages":
        """Open an account, with codes and a kept key."""
        self.open("/register")
        page = self.send("/register", {"name": name, "password": PASSWORD, "proof": PASSWORD})
        found = re.search(r"ac_[0-9a-z]{26}", page.text)
        assert found, page.text
        self.account = found[0]
        self.open("/me/code")
        page = self.send("/me/code")
        assert self.status() == 200, page.text
        form = next(f for a, f in page.forms if a["action"] == "/me/code/confirm")
        self.seed = form["seed"]
        page = self.send("/me/code/confirm", {"code": self.code(), "password": PASSWORD})
        self.recovery = re.findall(r"(?:[0-9a-z]{4}-){3}[0-9a-z]{4}", page.text)
        assert len(self.recovery) == 10, page.text
        self.open("/welcome")
        self.send("/me/keys", {"second": self.code()})
        return self

    def opens_chart(self, name: str = "Ada Lind") -> str:
        """A chart of one's own; its id."""
        self.open("/welcome")
        page = self.send("/me/chart", {"name": name, "born": BORN})
        found = re.search(r"pt_[0-9a-z]{26}", page.text)
        assert found, (self.status(), page.text)
        return found[0]

    def signs_in(self, then: str = "") -> Read:
        """Sign in with password and code."""
        self.open("/sign-in" + (f"?then={then}" if then else ""))
        typed = {"account": self.account, "password": PASSWORD, "second": self.code()}
        return self.send("/sign-in", typed)

    def steps_up(self) -> Read:
        """Show a code on the page that asks for it."""
        return self.send("/step-up", {"second": self.code()})

    def goes_on(self) -> Read:
        """Send what was typed before once more."""
        assert self.at is not None
        page = Read(self.at.text)
        action = next(
            a["action"] for a, f in page.forms if a["action"] not in ("/language", "/sign-out")
        )
        return self.send(action)


@dataclass
class Portal:
    """A served ledger whose clock can be moved."""

    fixture: LedgerFixture
    clock: Later
    web: Web

    def somebody(self) -> Pages:
        """A browser that nobody has signed in with."""
        return Pages(self.web, self.clock)

    def with_key(self, actor: Actor) -> Pages:
        """Somebody with a key of their own, a password, codes, and a key that the service keeps, too; not signed in."""
        who = Account(self.web, self.clock, actor)
        assert who.set_password().status_code == 204
        who.enrol()
        client = LocalClient(self.fixture.ledger)
        made = client.keep_key(actor)
        body = {
            "account": actor.account, "algorithm": "ed25519", "custody": "service", "key": made.key,
            "proof": made.proof, "public_key": made.public_key,
        }  # fmt: skip
        stream = f"account/{actor.account}"
        person = actor.in_role("person")
        client.append(person, [person.event("key.registered", stream, body, client.now())])
        pages = self.somebody()
        pages.account, pages.seed, pages.recovery = actor.account, who.seed, who.recovery
        return pages


@contextmanager
def served_portal(settings: Settings) -> Iterator[Portal]:
    """Make a ledger and serve it; in the end the whole log verifies."""
    fixture = LedgerFixture.found(settings)
    clock = reopened(fixture)
    with in_process(fixture.ledger) as web:
        yield Portal(fixture, clock, web)
    fixture.verify()
    fixture.close()
