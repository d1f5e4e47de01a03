"""What counts as a place."""

import pytest

from identity.places import place_of


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.0/24"),
        ("192.0.3.1", "192.0.3.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:ffff:1:2:3:4", "2001:db8:1::/48"),
        ("2001:db8:2::1", "2001:db8:2::/48"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_place_is_a_network(address: str, place: str) -> None:
    assert place_of(address) == place
