"""People at the command line: each with a password, codes and a session file of their own, and what they type."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pyotp

from api.app.settings import Settings
from identity.codes import STEP_SECONDS
from storage.clock import wall_clock
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD

Typed = str | Callable[[], str]


class Lines:
    """Standard input whose lines are typed when they are asked for."""

    def __init__(self, *typed: Typed) -> None:
        self._typed = list(typed)
        self.asked = 0

    def isatty(self) -> bool:
        """No terminal."""
        return False

    def readline(self) -> str:
        """The next line; nothing after the last."""
        self.asked += 1
        if not self._typed:
            return ""
        line = self._typed.pop(0)
        return f"{line() if callable(line) else line}\n"


def printed_code(steps: int = 0) -> str:
    """The code of the seed that was just printed."""
    seed = re.findall("by hand: ([A-Z2-7]+)", cast(StringIO, sys.stderr).getvalue())[-1]
    return pyotp.TOTP(seed).at(wall_clock() // 1_000 + steps * STEP_SECONDS)


@dataclass
class Commands:
    """Where commands go: beside the data (of a fixture, which is closed meanwhile, if there is one), or to a server."""

    settings: Settings
    fixture: LedgerFixture | None = None
    url: str = ""

    @classmethod
    def of(cls, fixture: LedgerFixture, url: str = "") -> Commands:
        """On a fixture's ledger, beside its data or over its server."""
        return cls(fixture.settings, fixture, url)

    def run(self, *words: object, session: Path, typed: tuple[Typed, ...] = (), code: int = 0) -> Ran:  # fmt: skip
        """One command of whoever keeps their session at `session`."""
        where = ("--url", self.url) if self.url else ()
        beside = None if self.url else self.fixture
        if beside is not None:
            beside.ledger.close()
        try:
            with (
                patch.object(sys, "stdin", Lines(*typed)),
                patch.dict(os.environ, {"HEARTWOOD_SESSION": str(session)}),
            ):
                ran = heartwood(self.settings, *words, *where)
        finally:
            if beside is not None:
                beside.reopen()
        assert ran.code == code, ran
        return ran


@dataclass
class Typist:
    """Somebody at the command line, in a session by password."""

    commands: Commands
    session: Path
    account: str = ""
    recovery: list[str] = field(default_factory=list)

    @classmethod
    def registers(cls, commands: Commands, session: Path, name: str) -> Typist:
        """Register alone, with password and codes; signed in then."""
        who = cls(commands, session)
        typed = PASSWORD, printed_code, lambda: printed_code(1)
        made = who.json("account", "register", name, typed=typed)
        who.account, who.recovery = made["account"], made["recovery"]
        return who

    def run(self, *words: object, typed: tuple[Typed, ...] = (), code: int = 0) -> Ran:
        """A command."""
        return self.commands.run(*words, session=self.session, typed=typed, code=code)

    def json(self, *words: object, typed: tuple[Typed, ...] = ()) -> dict[str, Any]:
        """What a command prints as one object."""
        return self.run(*words, "--json", typed=typed).json

    def second(self) -> str:
        """A recovery code."""
        return self.recovery.pop()

    def signs_in(self, *words: object, code: int = 0) -> Ran:
        """Sign in by password and a recovery code."""
        typed = PASSWORD, self.second()
        return self.run("account", "sign-in", self.account, *words, typed=typed, code=code)
