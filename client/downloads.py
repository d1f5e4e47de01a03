"""Ciphertext from the blob store itself, by the link that a reading with `reply` gave; neither is believed."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import SplitResult, urlsplit

from client.connection import Connection, pieces
from client.reach import Reach, reach_of
from ledger.errors import Tampered
from records.opening import Link
from storage.errors import Unavailable

_WHAT = "the download"


def download(link: Link, server: str) -> Iterator[bytes]:
    """The ciphertext, piece by piece; raises Tampered, at the latest at its end, unless it is what the link says.

    `server`: the URL of the server that gave the link; it can't send its reader to an address that is nearer to the reader
    than its own. Raises Unavailable where the store doesn't answer, or gives nothing under this link (any more).
    """
    url = _checked(link.url, server)
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


def _checked(text: str, server: str) -> SplitResult:
    """A link's URL, which this reader may follow; raises Tampered, and Unavailable for a host that isn't known."""
    try:
        url = urlsplit(text)
        host = url.hostname or ""
        url.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise Tampered(f"{_WHAT} is at something that is not a URL") from None
    plain = url.scheme == "http"
    if not host or url.scheme not in ("http", "https") or url.username is not None:
        raise Tampered(f"{_WHAT} is at {url.scheme}://{host}, expected https://")
    try:
        there = reach_of(host)
        here = Reach.WORLD if there is Reach.WORLD else reach_of(urlsplit(server).hostname or "")
    except OSError as error:
        raise Unavailable("unreachable", f"{host} can't be found: {error.strerror}") from None
    if plain and there is not Reach.MACHINE:
        raise Tampered(f"{_WHAT} is at http://{host}, expected https://")
    if there < here:
        raise Tampered(
            f"{_WHAT} is at {host}, an address inside this machine's own network, and the server that says so is not"
        )
    return url
