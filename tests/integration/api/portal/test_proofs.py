"""The proof of a history by HTTP: for whoever just looked, of that look alone, for a minute, without another entry."""

import re

import pytest

from ledger.auditor import check_history_proof
from records.history_proofs import TOKEN_MS
from tests.integration.api.portal.conftest import Town
from tests.support.portal import Pages


def looked(town: Town, who: Pages) -> str:
    """Look at the history of `ada`; the address of its proof."""
    who.open(f"/patients/{town.chart}/history")
    assert who.at is not None and who.status() == 200
    found = re.search(r'data-proof="([^"]+)"', who.at.text)
    assert found
    return found[1]


def size(town: Town) -> int:
    return town.portal.fixture.ledger.head().size


def test_a_look_gives_its_proof_and_leaves_one_entry(town: Town) -> None:
    before = size(town)
    address = looked(town, town.ada)
    answers = [town.ada.ask("GET", address) for _ in range(2)]
    assert size(town) == before + 1
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].headers["content-type"] == "application/json"
    assert answers[0].headers["cache-control"] == "no-store"
    vkeys = [str(key) for key in town.portal.fixture.ledger.vkeys]
    proof = check_history_proof(answers[0].content, vkeys)
    last = proof.entries[-1]
    assert last.link.seq == before == int(address.rpartition("/")[2])
    assert (last.event.type.name, last.event.subject) == ("history.opened", town.chart)


def test_the_proof_is_of_one_look(town: Town) -> None:
    """The cookie of a look gives no other look's proof: neither a later one's nor an earlier one's."""
    first, cookie = looked(town, town.ada), dict(town.ada.cookies)
    second = looked(town, town.ada)
    assert town.ada.ask("GET", first).status_code == 404
    town.ada.cookies = cookie
    assert town.ada.ask("GET", second).status_code == 404
    assert town.ada.ask("GET", first).status_code == 200


def test_the_proof_is_given_to_nobody_else(town: Town) -> None:
    """Not with the cookie of somebody else's look, and not without one."""
    address = looked(town, town.ada)
    (name,) = (one for one in town.ada.cookies if one.endswith("-look"))
    for who in (town.bob, town.doctor, town.admin):
        assert who.ask("GET", address).status_code == 404
        who.cookies[name] = town.ada.cookies[name]
        assert who.ask("GET", address).status_code == 404
        del who.cookies[name]
    assert town.nobody.ask("GET", address).status_code == 303


@pytest.mark.parametrize("token", ["", "x", "A" * 43 + "="])
def test_what_is_no_token_gives_nothing(town: Town, token: str) -> None:
    address = looked(town, town.ada)
    (name,) = (one for one in town.ada.cookies if one.endswith("-look"))
    town.ada.cookies[name] = token
    assert town.ada.ask("GET", address).status_code == 404


def test_the_proof_ends_with_its_minute(town: Town) -> None:
    address = looked(town, town.ada)
    town.portal.clock.ahead += TOKEN_MS - 5_000
    assert town.ada.ask("GET", address).status_code == 200
    town.portal.clock.ahead += 5_001
    assert town.ada.ask("GET", address).status_code == 404


@pytest.mark.parametrize("seq", ["x", "-1", "1" * 16, "00"])
def test_what_is_no_number_is_no_page(town: Town, seq: str) -> None:
    assert town.ada.ask("GET", f"/patients/{town.chart}/history/{seq}").status_code == 404


def test_what_pages_load_is_kept_by_its_hash_alone(town: Town) -> None:
    """Modules load each other without a version: these are asked for again, and not sent again."""
    address = "/static/heartwood-check.js"
    plain = town.nobody.ask("GET", address)
    assert plain.headers["cache-control"] == "no-cache"
    tag = {"If-None-Match": plain.headers["etag"]}
    again = town.nobody.ask("GET", address, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    version = plain.headers["etag"].strip('"')[:16]
    kept = town.nobody.ask("GET", f"{address}?v={version}")
    assert kept.headers["cache-control"].endswith("immutable") and kept.content == plain.content
    other = town.nobody.ask("GET", f"{address}?v={'0' * 16}")
    assert other.headers["cache-control"] == "no-cache"


def test_only_the_pages_that_check_may_fetch(town: Town) -> None:
    """From this site alone; every other page from nowhere."""
    rest = (
        "script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    for path in ("/check", f"/patients/{town.chart}/history"):
        policy = town.ada.ask("GET", path).headers["content-security-policy"]
        assert policy == f"default-src 'none'; connect-src 'self'; {rest}"
    policy = town.ada.ask("GET", "/today").headers["content-security-policy"]
    assert policy == f"default-src 'none'; {rest}"
