"""Whence people sign in: what counts as a place, and that they are told of a new one.

A place is the network of an address: the first 24 bits of an IPv4 address, the first 48 of an IPv6 one, as far as what one
connection at home or at work mostly has. Narrower, everybody would be warned each morning, and soon read no warning; a browser's
name is no part of it, as whoever knows a password can send any. Only a keyed hash with the account is kept.
"""

from ipaddress import ip_address, ip_network

from identity.errors import IdentityError
from identity.onrecord import Change
from storage.ledger import Ledger
from storage.outbox import Message

IPV4_BITS = 24
"""Bits of an IPv4 address that make a place."""
IPV6_BITS = 48
"""Bits of an IPv6 address that make a place."""
_KIND = "place"
_NEVER = IdentityError("a place can always be noted")


def place_of(address: str) -> str:
    """The network of an address, as `192.0.2.0/24`; what is no address, or the network of one, by itself."""
    try:
        ip = ip_address(address.partition("/")[0])
    except ValueError:
        return address
    bits = IPV4_BITS if ip.version == 4 else IPV6_BITS
    return str(ip_network(f"{ip}/{bits}", strict=False))


def noting(ledger: Ledger, account: str, session: str, address: str) -> list[Change]:
    """What notes, with the entry of a sign-in, whence it came; nothing for an address that isn't known, or was just noted."""
    if not address:
        return []
    index, now = ledger.identity.index, ledger.clock()
    anywhere, place = index(_KIND, account), index(_KIND, f"{account}\0{place_of(address)}")
    if ledger.places.is_fresh(place, now):
        return []
    told = Message(session, "new_place", account, {"at": now})
    return [Change(lambda c: ledger.places.note(c, place, anywhere, told, now), _NEVER)]
