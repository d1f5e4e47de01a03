"""Where a server may send its reader: nowhere nearer to the reader than it is itself."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from client import downloads
from client.downloads import _checked, download
from client.reach import Reach, farthest, reaches_of
from ledger.errors import Tampered
from records.opening import Link
from storage.errors import Unavailable

PUBLIC, PRIVATE, HERE = "https://9.9.9.9", "https://10.1.2.3", "http://127.0.0.1:8420"


def checked(text: str, server: str) -> str:
    """A link that may be followed, of a server at this URL."""
    return _checked(text, farthest(urlsplit(server).hostname or "")).geturl()


def told(**hosts: Sequence[str]) -> Any:
    """`getaddrinfo` that knows the addresses of `NAME.example` alone."""

    def look(host: str, *_: Any, **__: Any) -> Any:
        name = host.removesuffix(".example")
        if name not in hosts:
            raise OSError(-2, "Name or service not known")
        return [(0, 0, 0, "", (one, 0)) for one in hosts[name]]

    return look


@pytest.mark.parametrize(
    ("host", "reach"),
    [
        ("127.0.0.1", Reach.MACHINE), ("127.9.9.9", Reach.MACHINE), ("::1", Reach.MACHINE),
        ("0.0.0.0", Reach.MACHINE), ("::", Reach.MACHINE), ("::ffff:127.0.0.1", Reach.MACHINE),
        ("localhost", Reach.MACHINE), ("2130706433", Reach.MACHINE), ("127.1", Reach.MACHINE),
        ("169.254.169.254", Reach.LINK), ("fe80::1", Reach.LINK), ("240.0.0.1", Reach.LINK),
        ("::ffff:169.254.169.254", Reach.LINK), ("224.0.0.1", Reach.LINK),
        ("10.0.0.1", Reach.NETWORK), ("172.16.0.1", Reach.NETWORK), ("192.168.1.1", Reach.NETWORK),
        ("100.64.0.1", Reach.NETWORK), ("fd00::1", Reach.NETWORK), ("::ffff:10.0.0.1", Reach.NETWORK),
        ("9.9.9.9", Reach.WORLD), ("2620:fe::fe", Reach.WORLD),
    ],
)  # fmt: skip
def test_how_near_an_address_is(host: str, reach: Reach) -> None:
    """However it is written."""
    assert reaches_of(host) == {reach} and farthest(host) is reach


@pytest.mark.parametrize(
    ("server", "link", "may"),
    [
        (PUBLIC, "https://9.9.9.10/x", True),
        (PUBLIC, "https://10.0.0.1/x", False),
        (PUBLIC, "https://192.168.1.1:8443/x", False),
        (PUBLIC, "https://169.254.169.254/latest", False),
        (PUBLIC, "https://127.0.0.1/x", False),
        (PUBLIC, "http://127.0.0.1/x", False),
        (PUBLIC, "http://localhost/x", False),
        (PUBLIC, "https://[::1]/x", False),
        (PUBLIC, "https://[::ffff:10.0.0.1]/x", False),
        (PUBLIC, "http://9.9.9.10/x", False),
        (PRIVATE, "https://10.0.0.1/x", True),
        (PRIVATE, "https://9.9.9.10/x", True),
        (PRIVATE, "http://10.0.0.1/x", False),
        (PRIVATE, "https://169.254.169.254/x", False),
        (PRIVATE, "http://127.0.0.1/x", False),
        (HERE, "http://127.0.0.1:9000/x", True),
        (HERE, "http://localhost:9000/x", True),
        (HERE, "https://10.0.0.1/x", True),
        (HERE, "http://10.0.0.1/x", False),
    ],
)
def test_where_a_server_may_send_its_reader(server: str, link: str, may: bool) -> None:
    """As near as it is itself, or further away; in the clear on this machine alone."""
    if may:
        assert checked(link, server) == link
    else:
        with pytest.raises(Tampered, match="the download is at "):
            checked(link, server)


@pytest.mark.parametrize(
    "text",
    ["https://[::1", "https://[x]/y", "https://9.9.9.9:99999/x", "https://9.9.9.9:port/x", "https:///x", "//9.9.9.9/x", "", "https://u:p@9.9.9.9/x"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    """A lie of the server's, told as one."""
    with pytest.raises(Tampered, match="the download is at "):
        checked(text, PUBLIC)


def test_a_name_with_a_near_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest of a link's addresses counts; a host that isn't known is no reason to believe it."""
    names = told(store=["9.9.9.9", "10.0.0.1"], plain=["127.0.0.1", "9.9.9.9"])
    monkeypatch.setattr("client.reach.socket.getaddrinfo", names)
    with pytest.raises(Tampered, match="inside this machine's own network"):
        checked("https://store.example/x", PUBLIC)
    with pytest.raises(Tampered, match=r"at http://plain\.example, expected https://"):
        checked("http://plain.example/x", HERE)
    for text in ("https://other.example/x", "https://a..b/x", f"https://{'x' * 70}/y"):
        with pytest.raises(Unavailable, match="can't be found"):
            checked(text, PUBLIC)


@pytest.mark.parametrize(
    ("addresses", "peer"),
    [
        (["9.9.9.9", "127.0.0.1"], ""),
        (["127.0.0.1"], "9.9.9.9"),
        (["10.0.0.1", "127.0.0.1"], "10.0.0.1"),
        ([], "127.0.0.1"),
    ],
    ids=["one more address", "rebound", "both", "known to a proxy alone"],
)
def test_a_servers_name_brings_it_no_nearer(
    monkeypatch: pytest.MonkeyPatch, addresses: Sequence[str], peer: str
) -> None:
    """What its own name says that it is, counts by the farthest address, and so does where it was connected to."""
    names = told(server=addresses) if addresses else told()
    monkeypatch.setattr("client.reach.socket.getaddrinfo", names)
    link = Link("http://127.0.0.1:9/x", 10, bytes(32))
    with pytest.raises(Tampered, match="inside this machine's own network"):
        b"".join(download(link, "https://server.example", peer))


def test_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link is looked at before anybody is connected to."""

    class Asked(Exception):
        """Somebody was."""

    def connect(url: str) -> Iterator[bytes]:
        raise Asked(url)

    monkeypatch.setattr(downloads, "Connection", connect)
    link = Link("https://10.0.0.1/x", 10, bytes(32))
    with pytest.raises(Tampered):
        b"".join(download(link, PUBLIC))
    with pytest.raises(Asked):
        b"".join(download(link, PRIVATE))
