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


def reaches_of(host: str) -> set[Reach]:
    """Of each address that a host has; raises OSError where it has none that is known."""
    found: Sequence[IPv4Address | IPv6Address]
    try:
        found = [ip_address(host)]
    except ValueError:
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # no name at all, as one with an empty part
            raise OSError(0, "this is not the name of a host") from error
        found = [ip_address(str(one[4][0]).partition("%")[0]) for one in told]
    return set(map(_reach, found))


def farthest(*hosts: str) -> Reach:
    """Of all addresses of these hosts; of one that isn't known, as of a name that only a proxy looks up, everybody's."""
    try:
        return max(reach for host in hosts for reach in reaches_of(host))
    except (OSError, ValueError):
        return Reach.WORLD


def _reach(address: IPv4Address | IPv6Address) -> Reach:
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None:
        return _reach(inner)
    if address.is_loopback or address.is_unspecified:  # which connects to this machine, too
        return Reach.MACHINE
    if address.is_link_local or address.is_multicast or address.is_reserved:
        return Reach.LINK
    return Reach.WORLD if address.is_global else Reach.NETWORK
