"""`account`: password, one-time codes, sessions; beside the data and from afar."""

import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import cast

import pyotp
import pytest

from identity.actors import write_keyfile
from identity.codes import STEP_SECONDS
from identity.proving import Proof
from identity.signing_in import SignIn, sign_in_by_password
from storage.clock import wall_clock
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process
from tests.support.sign_ins import PASSWORD

Typed = str | Callable[[], str]


class Lines:
    """Standard input whose lines are typed when they are asked for."""

    def __init__(self, *typed: Typed) -> None:
        self._typed = list(typed)

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        line = self._typed.pop(0) if self._typed else ""
        return f"{line() if callable(line) else line}\n" if line else ""


@pytest.fixture(params=["beside", "afar"])
def run(
    request: pytest.FixtureRequest, fixture: LedgerFixture, tmp_path: Path
) -> Iterator[Callable[..., Ran]]:
    """A command as a patient, given what is typed."""
    key = write_keyfile(tmp_path / "pat.key", fixture.person().actor)

    def act(*words: str, typed: tuple[Typed, ...] = (), code: int = 0, url: str = "") -> Ran:
        if not url:
            fixture.ledger.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", Lines(*typed))
            where = ("--url", url) if url else ()
            ran = heartwood(fixture.settings, "account", *words, "--as", key, *where)
        if not url:
            fixture.reopen()
        assert ran.code == code, ran
        return ran

    if request.param == "beside":
        yield act
        return
    with in_process(fixture.ledger) as web:
        yield lambda *words, **how: act(*words, url=web.url, **how)


def _code(steps: int = 0) -> str:
    """The code of the seed that was just printed."""
    seed = re.findall("by hand: ([A-Z2-7]+)", cast(StringIO, sys.stderr).getvalue())[-1]
    totp = pyotp.TOTP(seed)
    return totp.at(wall_clock() // 1_000 + steps * STEP_SECONDS)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_password_and_codes(run: Callable[..., Ran], fixture: LedgerFixture) -> None:
    """Set, shown, used, removed; what is asked for is read as lines, and none of it is printed."""
    said = [
        run("password", typed=(PASSWORD,)),
        run("password", typed=("wrong horse", "another horse"), code=1),
    ]
    said.append(run("password", typed=(PASSWORD, "another horse")))
    assert run("password", code=2).err.count("expected it as a line") == 1
    enrolled = run("code", "--json", typed=("another horse", _code))
    assert "█" in enrolled.err or "▄" in enrolled.err
    recovery = enrolled.json["recovery"]
    assert len(recovery) == 10
    left = run("recovery", "--json").json
    assert left == {"code": True, "password": True, "recovery": 10}
    account = enrolled.json["account"]
    proof = Proof("another horse", recovery=recovery[0])
    session = sign_in_by_password(fixture.ledger, SignIn(account, proof, "person"), "192.0.2.1")
    assert session.caller.session is not None
    (one,) = run("sessions", "--json").json["sessions"]
    assert (one["session"], one["assurance"]) == (session.caller.session.id, 2)
    run("sign-out", one["session"])
    assert run("sessions", "--json").json == {"sessions": []}
    run("code", "--remove", "--recovery", typed=("another horse", recovery[1]))
    assert run("recovery", "--json").json == {"code": False, "password": True, "recovery": 0}
    types = [entry["type"] for entry in run("sign-ins", "--json").json["entries"]]
    assert types == [
        "factor.removed", "recovery.used", "session.ended", "session.opened", "recovery.used", "factor.added",
        "factor.added", "factor.added",
    ]  # fmt: skip
    for ran in said:
        assert "horse" not in ran.out + ran.err


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_key_resets_password_and_codes(run: Callable[..., Ran], fixture: LedgerFixture) -> None:
    """Asked for nothing but the new password; and all sessions are ended in one command."""
    run("password", typed=(PASSWORD,))
    account = run("code", "--json", typed=(PASSWORD, _code)).json["account"]
    run("code", "--remove", "--reset")
    assert run("password", "--reset", typed=("another horse",)).out.startswith("Reset")
    wanted = SignIn(account, Proof("another horse"), "person")
    made = [sign_in_by_password(fixture.ledger, wanted, "192.0.2.1") for _ in range(2)]
    ended = run("sign-out", "--json").json["sessions"]
    assert set(ended) == {one.caller.session.id for one in made if one.caller.session}
    assert run("sign-out").out.strip() == "no session"
    assert run("sessions", "--json").json == {"sessions": []}
    for words in (("--reset",), ("--recovery",), ("--remove", "--reset", "--recovery")):
        assert "with --remove" in run("code", *words, code=2).err
    assert "not a session id" in run("sign-out", "ss_1", code=2).err
