"""Ciphertext from the blob store itself, by the link that a reading with `reply` gave; neither is believed."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from urllib.parse import urlsplit

from client.connection import Connection, pieces
from ledger.errors import Tampered
from records.opening import Link
from storage.errors import Unavailable

_WHAT = "the download"


def download(link: Link) -> Iterator[bytes]:
    """The ciphertext, piece by piece; raises Tampered, at the latest at its end, unless it is what the link says.

    Raises Unavailable where the store doesn't answer, or gives nothing under this link (any more).
    """
    url = urlsplit(link.url)
    if not _safe(url.scheme, url.hostname or ""):
        raise Tampered(f"{_WHAT} is at {url.scheme}://{url.hostname}, expected https://")
    digest, count = hashlib.sha256(), 0
    with closing(Connection(f"{url.scheme}://{url.netloc}")) as connection:
        try:
            response = connection.open("GET", f"{url.path}?{url.query}")
        except Unavailable as error:  # whose words have the link in them
            raise Unavailable(error.code, f"{url.netloc} did not give {_WHAT}") from None
        for piece in pieces(response, link.length, _WHAT):
            digest.update(piece)
            count += len(piece)
            yield piece
    if count != link.length:
        raise Unavailable(
            "unreachable", f"{_WHAT} was cut short: got {count} bytes of {link.length}"
        )
    if digest.digest() != link.sha256:
        raise Tampered(f"{_WHAT} does not have the SHA-256 that the server said")


def _safe(scheme: str, host: str) -> bool:
    """Whether it is HTTPS, or plain HTTP on this machine."""
    try:
        here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        here = False
    return scheme == "https" or (scheme == "http" and here)
