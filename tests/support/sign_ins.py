"""Signing in by password for tests: a clock that is set, and an account with a password and one-time codes over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pyotp

from identity.actors import Actor
from identity.codes import STEP_SECONDS
from storage.clock import Boot, this_boot, wall_clock
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good

PASSWORD = "correct horse battery staple"
STEP_MS = STEP_SECONDS * 1_000


@dataclass
class Later:
    """The machine's clocks, all of them ahead by `ahead` ms: time that passed, and no clock that was set wrong."""

    ahead: int = 0
    _stopped: int | None = None

    def __call__(self) -> int:
        """Unix ms."""
        return (wall_clock() if self._stopped is None else self._stopped) + self.ahead

    def boot(self) -> Boot:
        """How long the machine has run."""
        boot, lag = this_boot(), 0 if self._stopped is None else wall_clock() - self._stopped
        return boot._replace(uptime=boot.uptime + self.ahead - lag)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No time passes but what `ahead` says, however long the machine takes."""
        self._stopped = wall_clock()
        try:
            yield
        finally:
            self._stopped = None


def reopened(fixture: LedgerFixture) -> Later:
    """Open a ledger again under clocks that can be moved."""
    clock = Later()
    fixture.ledger.close()
    fixture.ledger = opened(fixture.settings, clock, boot=clock.boot)
    return clock


@dataclass
class Account:
    """An account with a password, and what its owner has of it."""

    web: Web
    clock: Callable[[], int]
    actor: Actor
    password: str = PASSWORD
    seed: str = ""
    recovery: list[str] = field(default_factory=list)

    def set_password(self, **sent: Any) -> httpx2.Response:
        """Set or change it in the session by key."""
        return self.send("PUT", "/v1/me/password", {"new": self.password, **sent})

    def enrol(self) -> None:
        """Set up one-time codes, in the session by key."""
        self.seed = good(self.send("POST", "/v1/me/factors/code"))["seed"]
        sent = {"code": self.code(), "password": self.password}
        confirmed = self.send("POST", "/v1/me/factors/code/confirm", sent)
        self.recovery = list(good(confirmed)["recovery"])

    def code(self, steps: int = 0) -> str:
        """The code of the step now, or of so many steps later."""
        when = self.clock() // 1000 + steps * STEP_SECONDS
        return pyotp.TOTP(self.seed).at(when)

    def send(self, method: str, path: str, value: Any = None, token: str = "") -> httpx2.Response:
        """A request, in a session by password if a token is given, else in that by key."""
        if not token:
            self.web.forget()  # the clock may have been moved
        headers = bearer(token or self.web.token(self.actor))
        return self.web.client.request(method, path, json=value, headers=headers)

    def sign_in(self, **sent: Any) -> httpx2.Response:
        """Sign in by password; `sent`: what is sent beside or instead."""
        known = {
            "account": self.actor.account, "hospital": self.actor.hospital, "password": self.password,
            "role": self.actor.role,
        }  # fmt: skip
        return self.web.post("/v1/sessions", known | sent)

    def token(self, **sent: Any) -> str:
        """The token of a good sign-in."""
        return str(good(self.sign_in(**sent))["token"])

    def me(self, token: str) -> httpx2.Response:
        """Who the server says the token is."""
        return self.web.get("/v1/me", headers=bearer(token))
