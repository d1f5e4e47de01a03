"""Whose share counts: shares are given back whole, and nobody gets another's by how an address is written."""

import pytest

from api.http.shares import Addresses, Shares


def test_what_is_taken_comes_back_whole() -> None:
    shares = Shares(10, 4)
    assert shares.take("a", 4) and not shares.take("a") and shares.take("b", 4)
    assert not shares.take("c", 3) and shares.take("c", 3, above=True)
    for name, count in (("a", 4), ("b", 4), ("c", 3)):
        shares.give(name, count)
    assert shares.taken == 0 and not shares.exhausted("a") and shares.take("a", 4)


@pytest.mark.parametrize(
    ("hops", "name"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:50123"], "192.0.2.7"),
        (["[2001:db8::1]:50123"], "2001:db8::/64"),
        (['"[2001:db8::2]"'], "2001:db8::/64"),
        (["6.6.6.6, 192.0.2.7:9, 10.1.1.1"], "192.0.2.7"),
        (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, "], "192.0.2.7"),
        (["10.0.0.5, 10.1.1.1:80"], "10.0.0.5"),
        (["unknown"], "unknown"),
        ([" , "], ""),
        ([], ""),
    ],
)
def test_who_asks_behind_a_proxy(hops: list[str], name: str) -> None:
    """A port makes nobody another; who stands in the proxies' own network has a share, too."""
    assert Addresses("10.0.0.0/8").client("10.0.0.1", hops) == name
    assert Addresses("10.0.0.0/8").client("203.0.113.9", hops) == "203.0.113.9"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::/64"),
        ("x" * 80, "x" * 64),
    ],
)
def test_an_address_has_one_name(host: str, name: str) -> None:
    """However it is written; what is no address has a bounded one."""
    assert Addresses("").peer(host) == name
    assert Addresses("203.0.113.0/24").peer(host) == ("" if name == "203.0.113.9" else name)
