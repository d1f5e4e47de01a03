"""Passkeys by pages, in a real browser with a virtual authenticator: added, signed in by, removed; and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from api.app.settings import Settings
from api.http import passkeys
from journeys.quotas import HOUR_MS, Quota
from tests.integration.api.portal.test_browser import Tab, registered, sure, tab_of
from tests.support.packages import program
from tests.support.portal import Portal, served_portal


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A served ledger."""
    with served_portal(Settings(data=tmp_path_factory.mktemp("passkeys") / "data")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        path = program("chromium", "chromium")
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


class Device:
    """What makes and shows passkeys in one tab."""

    def __init__(self, tab: Tab) -> None:
        self._session = tab.page.context.new_cdp_session(tab.page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = made["authenticatorId"]

    def verifies(self, owner: bool) -> None:
        """Whether it is its owner's finger."""
        shown = {"authenticatorId": self._id, "isUserVerified": owner}
        self._session.send("WebAuthn.setUserVerified", shown)


def added(tab: Tab, who: Any) -> None:
    """Add a passkey by one's own page."""
    tab.press("Me")
    tab.press("Add a passkey")
    tab.fill(second=who.code())
    tab.press("Make the passkey")
    tab.says("The passkey counts from now on.")


def test_a_passkey_is_added_shown_and_removed(browser: Any, portal: Portal) -> None:
    """Signing in takes neither password nor code, and counts as both; a role is taken, and what was wanted is opened."""
    ada = tab_of(browser, portal)
    patient = registered(ada, portal, "Ada Lind")
    ada.fill(name="Ada Lind", born="1958-03-14")
    ada.press("Open my chart")
    Device(ada)
    added(ada, patient)
    ada.press("Sign out")
    ada.go("/sign-in?then=/access")
    ada.press("Sign in with a passkey")
    ada.press("Use a passkey")
    assert "/access" in ada.page.url
    ada.says("Who may see")
    ada.press("Me")
    ada.says("both factors")
    portal.clock.ahead += 300_000
    ada.page.get_by_role("button", name="Remove the passkey of").click()
    ada.look()
    sure(ada, patient)
    ada.says("The passkey is removed.")
    ada.press("Sign out")
    ada.go("/sign-in")
    ada.press("Sign in with a passkey")
    ada.page.get_by_role("button", name="Use a passkey").click()
    ada.page.get_by_text("The passkey isn’t known here").wait_for()
    ada.look()
    assert "__Host-heartwood" not in {one["name"] for one in ada.page.context.cookies()}


def test_whoever_is_not_verified_makes_and_shows_none(browser: Any, portal: Portal) -> None:
    """The device refuses, and the page says so and goes nowhere; a wrong code keeps none either."""
    tab = tab_of(browser, portal)
    who = registered(tab, portal, "Bob Ost")
    device = Device(tab)
    device.verifies(False)
    tab.go("/me")
    tab.press("Add a passkey")
    tab.fill(second=who.code())
    tab.page.get_by_role("button", name="Make the passkey").click()
    tab.page.get_by_text("No passkey was made.").wait_for()
    tab.look()
    device.verifies(True)
    tab.fill(second="000000")
    tab.press("Make the passkey")
    tab.says("The password or code is wrong")
    tab.go("/me")
    assert not tab.page.get_by_role("button", name="Remove").count()
    added(tab, who)
    tab.press("Sign out")
    tab.go("/sign-in")
    tab.press("Sign in with a passkey")
    device.verifies(False)
    tab.page.get_by_role("button", name="Use a passkey").click()
    expect(tab.page.get_by_text("The passkey was not shown.")).to_be_visible()


def test_an_answer_counts_once(browser: Any, portal: Portal) -> None:
    """What a browser sent to sign in by signs nobody in again; nor does one to another challenge."""
    tab = tab_of(browser, portal)
    who = registered(tab, portal, "Eva Süd")
    Device(tab)
    added(tab, who)
    tab.press("Sign out")
    tab.go("/sign-in")
    tab.press("Sign in with a passkey")
    with tab.page.expect_request(lambda one: one.url.endswith("/by-passkey")) as sent:
        tab.press("Use a passkey")
    assert sent.value.post_data_json is not None
    answer = sent.value.post_data_json["passkey"]
    thief = portal.somebody()
    for shown in (answer, "", "{}", "[]", '{"rawId": 5}'):
        page = thief.ask("POST", "/sign-in/by-passkey", data={"passkey": shown, "then": ""})
        assert page.status_code in (400, 401, 403, 409), (shown, page.status_code, page.text)
        assert not thief.cookies


def test_without_a_script_a_code_does(browser: Any, portal: Portal) -> None:
    """The page says so, and leads back."""
    tab = tab_of(browser, portal, java_script_enabled=False)
    tab.page.goto(f"{tab.site}/sign-in")
    tab.page.get_by_role("button", name="Sign in with a passkey").click()
    tab.page.get_by_text("A code does as well.").wait_for()
    expect(tab.page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    tab.page.get_by_role("link", name="Sign in with password and code").click()
    expect(tab.page.locator('[name="password"]')).to_be_visible()


def test_beginning_is_counted(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks needs no account, so an address begins so many an hour, by pages and over the API together."""
    somebody = portal.somebody()
    assert somebody.ask("POST", "/sign-in/passkey", data={"then": ""}).status_code == 200
    monkeypatch.setattr(passkeys, "CHALLENGES", (Quota(1, HOUR_MS),))
    assert somebody.ask("POST", "/sign-in/passkey", data={"then": ""}).status_code == 429
