"""How near an address is to this machine: what a server names must not be nearer than the server itself."""

import socket
from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address


class Reach(IntEnum):
    """Who can reach an address, from the fewest on."""

    MACHINE = 0
    """This machine alone: loopback."""
    LINK = 1
    """Its own link, or nobody knows who: what a network keeps for itself, the metadata of a cloud's machine say."""
    NETWORK = 2
    """A private network."""
    WORLD = 3
    """Everybody."""


def reach_of(host: str) -> Reach:
    """Of the nearest address that a host has; raises OSError where it has none that is known."""
    found: Sequence[IPv4Address | IPv6Address]
    try:
        found = [ip_address(host)]
    except ValueError:
        told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = [ip_address(str(one[4][0]).partition("%")[0]) for one in told]
    return min(map(_reach, found))


def _reach(address: IPv4Address | IPv6Address) -> Reach:
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None:
        return _reach(inner)
    if address.is_loopback or address.is_unspecified:  # which connects to this machine, too
        return Reach.MACHINE
    if address.is_link_local or address.is_multicast or address.is_reserved:
        return Reach.LINK
    return Reach.WORLD if address.is_global else Reach.NETWORK
