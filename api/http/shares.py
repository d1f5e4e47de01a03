"""Shares: so much at a time in all, and so much of it for one name; nobody's slowness is another's outage."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

IPV6_SHARE_BITS = 64
"""Addresses of one IPv6 network of this size count as one: whoever has one of them has all."""

_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
NAMES_KEPT = 4_096
"""Addresses whose name is known without looking again."""


class Shares:
    """Counts what is taken; for one thread. The empty name has no share of its own, only the whole."""

    def __init__(self, total: int, share: int) -> None:
        """`total` in all, `share` for one name."""
        self._total, self._share = total, share
        self._taken: Counter[str] = Counter()
        self._sum = 0

    @property
    def taken(self) -> int:
        """How much is taken in all."""
        return self._sum

    def exhausted(self, name: str) -> bool:
        """Whether `name` has all of its share."""
        return bool(name) and self._taken[name] >= self._share

    def take(self, name: str, count: int = 1, above: bool = False) -> bool:
        """Take `count` if they are left, in the whole and in the share; `above`: whatever is left."""
        over = self._sum + count > self._total
        over = over or (bool(name) and self._taken[name] + count > self._share)
        if over and not above:
            return False
        self._sum += count
        self._taken[name] += count
        return True

    def give(self, name: str, count: int = 1) -> None:
        """Give back what was taken."""
        self._sum -= count
        self._taken[name] -= count
        if not self._taken[name]:
            del self._taken[name]


class Addresses:
    """Whose share a connection or a request counts into, where reverse proxies stand ahead or none."""

    def __init__(self, proxies: str) -> None:
        """`proxies`: addresses or networks, apart by commas; raises ValueError for what is neither."""
        self._proxies = [ip_network(p.strip()) for p in proxies.split(",") if p.strip()]

    def peer(self, host: str) -> str:
        """The name of who is connected; empty for a proxy, which brings many."""
        return "" if self._is_proxy(host) else _name(host)

    def client(self, host: str, forwarded: Iterable[str]) -> str:
        """The name of who asks; `forwarded`: the values of X-Forwarded-For, believed of a proxy alone.

        The last hop that is no proxy; of hops that all are in a network of proxies, the first. Ports, which some
        proxies add, tell nobody from another.
        """
        if not self._is_proxy(host):
            return _name(host)
        hops = [_host(hop) for value in forwarded for hop in value.split(",") if hop.strip()]
        others = (hop for hop in reversed(hops) if not self._is_proxy(hop))
        found = next(others, hops[0] if hops else "")
        return _name(found) if found else ""

    def _is_proxy(self, host: str) -> bool:
        if not self._proxies:
            return False
        address = _address(host)
        return address is not None and any(address in network for network in self._proxies)


def _host(hop: str) -> str:
    """An address of X-Forwarded-For without its port: `192.0.2.1:80`, `[2001:db8::1]:80`, quoted or not."""
    found = _PORT.fullmatch(hop.strip().strip('"'))
    return (found[1] or found[2]) if found else hop.strip()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is, an IPv4 one as itself where it is mapped into IPv6; None for another text."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(NAMES_KEPT)
def _name(host: str) -> str:
    address = _address(host)
    if address is None:
        return host[:64]
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, IPV6_SHARE_BITS), strict=False))
    return str(address)
