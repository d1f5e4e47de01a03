"""Ciphertext from the blob store itself, by the link that a reading with `reply` gave; neither is believed."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import IO
from urllib.parse import SplitResult, urlsplit

from client.connection import Connection, pieces
from client.reach import Reach, reach_of
from ledger.errors import Tampered
from records.opening import Link
from storage.errors import Unavailable

_WHAT = "the download"
MOST_OTHERS = 6
"""Stores that are tried after the first one: a ledger has at most seven."""
PIECE_BYTES = 1024 * 1024


def download(link: Link, server: str) -> Iterator[bytes]:
    """The ciphertext, piece by piece; raises Tampered, at the latest at its end, unless it is what the link says.

    Of several stores nothing is given before all of it is known to be right; until then it lies in a temporary file.
    `server`: the URL of the server that gave the link; it can't send its reader to an address that is nearer to the reader
    than its own. Raises Unavailable where no store answers, or gives anything under this link (any more).
    """
    if not link.others:
        yield from _streamed(link, server)
        return
    with tempfile.TemporaryFile() as file:
        _first_right(link, server, file)
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def _first_right(link: Link, server: str, file: IO[bytes]) -> None:
    """Write what the first store gives that is right; raises Tampered if one was wrong and none right, else Unavailable."""
    wrong, silent = list[Tampered](), list[Unavailable]()
    for url in (link.url, *link.others[:MOST_OTHERS]):
        file.seek(0)
        file.truncate()
        try:
            for piece in _streamed(replace(link, url=url), server):
                file.write(piece)
            return
        except Tampered as error:
            wrong.append(error)
        except Unavailable as error:
            silent.append(error)
    words = "no store gave it right: read again without asking for a link"
    if wrong:
        raise Tampered(f"{wrong[0]}; {words}") from wrong[0]
    raise Unavailable(silent[0].code, f"{silent[0]}; {words}") from silent[0]


def _streamed(link: Link, server: str) -> Iterator[bytes]:
    """What the store at one URL gives; see `download`."""
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
