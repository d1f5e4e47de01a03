"""Ciphertext from the blob store itself, by the link that a reading with `reply` gave; neither is believed."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import IO
from urllib.parse import SplitResult, urlsplit

from client.connection import Connection, pieces
from client.reach import Reach, farthest, reaches_of
from ledger.errors import Tampered
from records.opening import Link
from storage.errors import Unavailable

_WHAT = "the download"
MOST_OTHERS = 6
"""Stores that are tried after the first one: a ledger has at most seven."""
PIECE_BYTES = 1024 * 1024


def download(link: Link, server: str, peer: str = "") -> Iterator[bytes]:
    """The ciphertext, piece by piece; raises Tampered, at the latest at its end, unless it is what the link says.

    Of several stores nothing is given before all of it is known to be right; until then it lies in a temporary file.
    `server`: the URL of the server that gave the link, and `peer` the address at which it was connected to; it can't send
    its reader to an address that is nearer to the reader than its own farthest one. Raises Unavailable where no store
    answers, or gives anything under this link (any more).
    """
    # Its name alone proves nothing: a server that lies says itself which addresses that has, and may say others now.
    here = farthest(urlsplit(server).hostname or "", *filter(None, [peer]))
    if not link.others:
        yield from _streamed(link, here)
        return
    with tempfile.TemporaryFile() as file:
        _first_right(link, here, file)
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def _first_right(link: Link, here: Reach, file: IO[bytes]) -> None:
    """Write what the first store gives that is right; raises Tampered if one was wrong and none right, else Unavailable."""
    wrong, silent = list[Tampered](), list[Unavailable]()
    for url in (link.url, *link.others[:MOST_OTHERS]):
        file.seek(0)
        file.truncate()
        try:
            for piece in _streamed(replace(link, url=url), here):
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


def _streamed(link: Link, here: Reach) -> Iterator[bytes]:
    """What the store at one URL gives; see `download`."""
    url = _checked(link.url, here)
    digest, count = hashlib.sha256(), 0
    with closing(Connection(f"{url.scheme}://{url.netloc}")) as connection:
        try:
            response = connection.open("GET", f"{url.path}?{url.query}")
        except Exception:
            # Whatever a store says, it doesn't speak for the ledger: nothing that it answers is a denial, say, and the
            # next store is to be asked. The error's own words have the link in them.
            raise Unavailable("unreachable", f"{url.netloc} did not give {_WHAT}") from None
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


def _checked(text: str, here: Reach) -> SplitResult:
    """A link's URL, which this reader may follow, given by a server `here`.

    Raises Tampered, and Unavailable for a host that isn't known.
    """
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
        there = reaches_of(host)
    except OSError as error:
        raise Unavailable("unreachable", f"{host} can't be found: {error.strerror}") from None
    if plain and there != {Reach.MACHINE}:
        raise Tampered(f"{_WHAT} is at http://{host}, expected https://")
    if min(there) < here:
        raise Tampered(
            f"{_WHAT} is at {host}, an address inside this machine's own network, and the server that says so is not"
        )
    return url
