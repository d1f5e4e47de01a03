"""The operator's first sign-in: by the link that was printed, once, within a day, over HTTP as beside the data."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest

from api.app.creating import create_ledger
from api.app.settings import Settings
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.sessions import SessionWanted
from identity.errors import BadPassword, WrongProof
from identity.own import BegunSetup
from identity.setting_up import SETUP_LINK_MS
from ledger.errors import Refused
from storage.ledger import Ledger
from tests.support.inside import opened
from tests.support.server import in_process
from tests.support.sign_ins import PASSWORD, STEP_MS, Later

WRONG = (WrongProof, Refused)


@dataclass
class New:
    """A new ledger whose clock can be moved, its operator and the link."""

    settings: Settings
    ledger: Ledger
    client: LedgerClient
    clock: Later
    account: str
    link: str

    def code(self, begun: BegunSetup) -> str:
        return pyotp.TOTP(begun.seed).at(self.clock() // 1_000)


@pytest.fixture(params=["beside", "http"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[New]:
    settings, clock = Settings(data=tmp_path / "data"), Later()
    made = create_ledger(settings, "heartwood.example/new", clock)
    ledger = opened(settings, clock, boot=clock.boot)
    account, link = made.operator.account, made.setup_link
    try:
        if request.param == "beside":
            yield New(settings, ledger, LocalClient(ledger), clock, account, link)
        else:
            with in_process(ledger) as web:
                far = HttpClient(web.url)
                yield New(settings, ledger, far, clock, account, link)
                far.close()
    finally:
        ledger.close()


def test_the_link_sets_password_and_codes_once(new: New) -> None:
    """Then the operator signs in by both; what was added is on record, and the link is nowhere but in the operator's hands."""
    begun = new.client.begin_setup(new.link)
    assert begun.account == new.account and begun.uri.startswith("otpauth://totp/")
    begun = new.client.begin_setup(f" {new.link.lower()} ")  # typed, and begun anew
    done = new.client.complete_setup(new.link, PASSWORD, new.code(begun))
    assert (done.account, len(done.recovery)) == (new.account, 10)
    for act in (
        lambda: new.client.begin_setup(new.link),
        lambda: new.client.complete_setup(new.link, PASSWORD, new.code(begun)),
    ):
        with pytest.raises(WRONG, match="wrong, has expired, or was used"):
            act()
    new.clock.ahead += STEP_MS
    wanted = SessionWanted(new.account, PASSWORD, new.code(begun), role="operator")
    assert new.client.sign_in(wanted).assurance == 2
    head = new.ledger.head().size
    types = [new.ledger.entry(seq).event.type.name for seq in range(1, head)]
    assert types == ["factor.added", "factor.added", "session.opened"]
    kept = b"".join(p.read_bytes() for p in new.settings.data.rglob("*") if p.is_file())
    for secret in (new.link, begun.seed, PASSWORD, *done.recovery):
        assert secret.encode() not in kept
    assert hashlib.sha256(new.link.encode()).digest() not in kept  # a keyed hash alone


def test_what_is_wrong_uses_nothing_up(new: New) -> None:
    begun = new.client.begin_setup(new.link)
    wrong = f"{(int(new.code(begun)) + 1) % 1_000_000:06}"
    for link, code in ((new.link, wrong), ("A" * 26, new.code(begun)), ("?", new.code(begun))):
        with pytest.raises(WRONG, match="wrong, has expired, or was used"):
            new.client.complete_setup(link, PASSWORD, code)
    with pytest.raises((BadPassword, Refused)):
        new.client.complete_setup(new.link, "password", new.code(begun))
    assert new.ledger.head().size == 1
    assert new.client.complete_setup(new.link, PASSWORD, new.code(begun)).account == new.account


def test_the_link_ends_after_a_day(new: New) -> None:
    new.clock.ahead += SETUP_LINK_MS - STEP_MS
    begun = new.client.begin_setup(new.link)
    new.clock.ahead += STEP_MS + 1
    for act in (
        lambda: new.client.begin_setup(new.link),
        lambda: new.client.complete_setup(new.link, PASSWORD, new.code(begun)),
    ):
        with pytest.raises(WRONG, match="wrong, has expired, or was used"):
            act()
    assert new.ledger.credentials.of(new.account) is None


def test_a_link_is_dead_once_there_is_a_password(new: New) -> None:
    """Two who have begun with it: one wins, and it replaces nothing afterwards."""
    begun = new.client.begin_setup(new.link)
    new.client.complete_setup(new.link, PASSWORD, new.code(begun))
    index = new.ledger.identity.index("setup link", new.link)
    new.ledger.tokens.put("setup link", index, new.account.encode(), 0, new.clock() + STEP_MS)
    with pytest.raises(WRONG, match="wrong, has expired, or was used"):
        new.client.begin_setup(new.link)
