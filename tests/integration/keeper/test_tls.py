"""The key keeper over TLS: who isn't let in, how soon, that others are served meanwhile, and that nothing else is tried."""

import os
import resource
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from api.app.layout import pinned_keys
from api.app.opening import open_ledger
from durable.errors import StartRefused
from keeper import remote
from keeper.certificates import CA_FOLDER, make_certificates
from keeper.endpoints import TlsEndpoint
from keeper.errors import KeeperUnavailable
from keeper.listening import TlsListener
from keeper.remote import RemoteKeeper
from keeper.server import GREETING_SECONDS
from keeper.tls import CA, CERTIFICATE, KEY, Credentials
from tests.support.commands import heartwood
from tests.support.keepers import API, HOST, Served, calling, certified, free_port, over_tls
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import until

STRANGER = "stranger.example"
SOON_SECONDS = GREETING_SECONDS + 3
"""In which whoever doesn't get on is gone."""


@dataclass(frozen=True)
class House:
    """A keeper over TLS, and certificates of all kinds."""

    served: Served
    folder: Path

    def endpoint(self, credentials: Path, host: str = HOST) -> TlsEndpoint:
        """The keeper, as who has these files calls it."""
        return TlsEndpoint(host, self.served.port, Credentials(credentials))

    def caller(self, credentials: Path | None = None, host: str = HOST) -> RemoteKeeper:
        """Who has these files; by default who may call."""
        where = self.endpoint(credentials or self.folder / API, host)
        return RemoteKeeper(where, self.origin, None)

    @property
    def origin(self) -> str:
        """The log's name."""
        return pinned_keys(self.served.settings)[0].name

    def answers(self) -> None:
        """The keeper answers who may call, at once and on a new connection."""
        began = time.monotonic()
        with closing(self.caller()) as keeper:
            assert keeper.standing().read >= 0
        assert time.monotonic() - began < GREETING_SECONDS / 2

    def plain(self, source: str = HOST) -> socket.socket:
        """A connection without TLS."""
        line = socket.create_connection((HOST, self.served.port), 10, (source, 0))
        line.settimeout(SOON_SECONDS * 2)
        return line


@pytest.fixture(scope="module")
def house(
    template: Callable[[str], LedgerFixture], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A ledger's keeper over TLS; the ledger is closed."""
    home = tmp_path_factory.mktemp("house")
    copied = template("sqlite").copied(home / "data")
    copied.close()
    folder = certified(home / "certificates", STRANGER)
    with over_tls(copied.settings, folder) as served:
        yield House(served, folder)


def ended(line: socket.socket) -> float:
    """How many seconds it takes the other end to end a connection that it is said nothing on."""
    began = time.monotonic()
    with suppress(ConnectionResetError):
        while line.recv(65_536):
            pass
    return time.monotonic() - began


@contextmanager
def listening(credentials: Path, host: str = "localhost") -> Iterator[int]:
    """Somebody who listens with these files, and knows TLS alone; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials / CERTIFICATE, credentials / KEY)

    def answer() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(line, server_side=True) as wrapped:
                    wrapped.recv(65_536)

    with socket.create_server((socket.gethostbyname(host), 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


# Certificates that are not accepted.


def refused(keeper: RemoteKeeper, words: str) -> None:
    """The call is refused in words, and not tried for long."""
    began = time.monotonic()
    with closing(keeper), pytest.raises(KeeperUnavailable, match=words):
        keeper.standing()
    assert time.monotonic() - began < remote.CONNECT_SECONDS


def test_a_caller_of_another_ca(house: House, tmp_path: Path) -> None:
    """Whom our CA didn't vouch for, though they believe it and have the right name."""
    other = certified(tmp_path / "other")
    shutil.copy(house.folder / API / CA, other / API / CA)
    refused(house.caller(other / API), "rejected the connection: unknown ca")
    house.answers()


def test_a_keeper_of_another_ca(house: House, tmp_path: Path) -> None:
    """Whoever listens there isn't the keeper, and gets no call."""
    other = certified(tmp_path / "other")
    refused(house.caller(other / API), "its certificate is not accepted: self-signed certificate")
    house.answers()


def test_a_name_that_is_not_listed(house: House) -> None:
    """Of our own CA."""
    words = (
        rf"turned this caller away: {STRANGER} may not call: HEARTWOOD_KEEPER_NAMES doesn't list"
    )
    refused(house.caller(house.folder / STRANGER), words)
    house.answers()


def test_a_keeper_by_another_name(house: House) -> None:
    """The caller called somebody else."""
    refused(house.caller(host="localhost"), "not accepted: [Hh]ostname mismatch")


def test_a_callers_certificate_that_has_ended(house: House, tmp_path: Path) -> None:
    """The keeper says so."""
    folder = tmp_path / "certificates"
    shutil.copytree(house.folder, folder)
    make_certificates(folder, [], [API], 1, datetime.now(UTC) - timedelta(days=2))
    refused(house.caller(folder / API), "rejected the connection: certificate expired")
    with pytest.raises(StartRefused, match=r"ended at .*: renew it"):
        open_ledger(calling(house.served.settings, house.served.port, folder / API))
    house.answers()


def test_a_keepers_certificate_that_has_ended(house: House, tmp_path: Path) -> None:
    """No caller takes it, and the keeper doesn't start with it."""
    folder = tmp_path / "certificates"
    shutil.copytree(house.folder, folder)
    make_certificates(folder, ["localhost"], [], 1, datetime.now(UTC) - timedelta(days=2))
    with listening(folder / "localhost") as port:
        where = TlsEndpoint("localhost", port, Credentials(folder / API))
        refused(RemoteKeeper(where, house.origin, None), "not accepted: certificate has expired")
    with pytest.raises(StartRefused, match=r"ended at .*: renew it"):
        TlsListener(TlsEndpoint("localhost", port, Credentials(folder / "localhost")), [API])


def test_a_callers_certificate_is_no_keepers(house: House, tmp_path: Path) -> None:
    """Whoever stole one can't be called by its name."""
    folder = tmp_path / "certificates"
    shutil.copytree(house.folder, folder)
    make_certificates(folder, [], ["localhost"])
    with listening(folder / "localhost") as port:
        where = TlsEndpoint("localhost", port, Credentials(folder / API))
        refused(RemoteKeeper(where, house.origin, None), "not accepted: un.*certificate purpose")


def test_a_keepers_certificate_is_no_callers(house: House) -> None:
    """Its key gives nobody a key."""
    refused(house.caller(house.folder / HOST), "rejected the connection: unsupported certificate")
    house.answers()


def test_no_certificate(house: House) -> None:
    """Nobody is let in who shows none."""
    context = ssl.create_default_context(cafile=house.folder / API / CA)
    with (
        context.wrap_socket(house.plain(), server_hostname=HOST) as line,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        line.recv(1)
    house.answers()


def test_an_older_tls(house: House) -> None:
    """1.3 or nothing."""
    context = ssl.create_default_context(cafile=house.folder / API / CA)
    context.load_cert_chain(house.folder / API / CERTIFICATE, house.folder / API / KEY)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with house.plain() as line, pytest.raises(ssl.SSLError, match="protocol version"):
        context.wrap_socket(line, server_hostname=HOST)
    house.answers()


def test_a_connection_ends_with_its_certificate(house: House, tmp_path: Path) -> None:
    """What was shown an hour ago counts no longer than it says."""
    folder = tmp_path / "certificates"
    shutil.copytree(house.folder, folder)
    soon = datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=4)
    (made,) = make_certificates(folder, [], [API], 1, soon)
    keeper = house.caller(folder / API)
    with closing(keeper):
        assert keeper.standing().read >= 0
        assert keeper._idle
        until(lambda: datetime.now(UTC) > made.ends, "it never ends")
        refused(keeper, "rejected the connection: certificate expired")


# What is no TLS, or is slow.


@pytest.mark.parametrize(
    "sent",
    [b"\0\0\0\4\xc1\xc1\xc1\xc1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(50)],
    ids=["the keeper's own messages", "HTTP", "half a ClientHello"],
)  # fmt: skip
def test_plain_text(house: House, sent: bytes) -> None:
    """It ends, without a word of the keeper's."""
    with house.plain() as line:
        line.sendall(sent)
        house.answers()
        assert ended(line) < SOON_SECONDS


def test_a_caller_without_tls_is_told_by_its_own_end(house: House) -> None:
    """A keeper that speaks plain text is no keeper."""
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.sendall(b"\0\0\0\x01\xc0" * 10)
                ended(line)

        thread = threading.Thread(target=answer)
        thread.start()
        where = TlsEndpoint(HOST, listener.getsockname()[1], Credentials(house.folder / API))
        refused(RemoteKeeper(where, house.origin, None), "doesn't speak TLS 1.3")
        thread.join()


def test_half_a_handshake(house: House) -> None:
    """Nothing at all, or a byte now and then: the connection ends all the same, and others are served."""
    with house.plain() as silent, house.plain() as slow:
        began, stop = time.monotonic(), threading.Event()

        def drip() -> None:
            with suppress(OSError):
                for byte in b"\x16\x03\x01\x02\x00\x01" + bytes(506):
                    slow.sendall(bytes([byte]))
                    if stop.wait(0.5):
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        house.answers()
        ended(silent)
        ended(slow)
        assert time.monotonic() - began < SOON_SECONDS
        stop.set()
        thread.join()


def test_a_slow_greeting(house: House) -> None:
    """After the handshake too, a byte now and then gains nothing."""
    line = house.endpoint(house.folder / API).connect(SOON_SECONDS * 2)
    began = time.monotonic()
    with line, suppress(OSError):
        line.sendall(b"\0\0\0\x40")
        for _ in range(60):
            line.sendall(b"x")
            time.sleep(0.5)
            if time.monotonic() - began > SOON_SECONDS + GREETING_SECONDS:
                pytest.fail("it is still listened to")
    house.answers()


def test_many_handshakes_from_one_address(house: House) -> None:
    """They don't keep out who calls from another one."""
    lines = [house.plain("127.0.0.2") for _ in range(200)]
    house.answers()
    for line in lines:
        assert ended(line) < SOON_SECONDS
        line.close()
    house.answers()


def test_no_file_left_for_a_connection(house: House) -> None:
    """The keeper lets nobody in just then, and goes on."""
    pid = house.served.process.pid
    files = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    most = max(files) + 3  # of the numbers below it some may be free
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    # From many addresses: one of them may have a few arriving at a time.
    lines = [house.plain(f"127.0.0.{n + 3}") for n in range(most - len(files) + 5)]
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) >= most, "it has files left")
    for line in lines:
        line.close()
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= len(files), "connections stay")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert house.served.process.poll() is None
    house.answers()


# Nothing else is tried.


def test_no_way_around_tls(house: House, tmp_path: Path) -> None:
    """Who isn't let in starts no keeper of its own, and opens no ledger, though the keeper's folder is beside it."""
    settings = calling(house.served.settings, house.served.port, house.folder / STRANGER)
    with pytest.raises(StartRefused, match=f"{STRANGER} may not call"):
        open_ledger(settings)
    assert not (settings.data / "keeper" / "socket").exists()
    dead = calling(settings, free_port(), house.folder / API)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "CONNECT_SECONDS", 0.2)
        with pytest.raises(StartRefused, match="can't be reached at tls:"):
            open_ledger(dead)
    assert not (settings.data / "keeper" / "socket").exists()


# Files.


def test_a_renewal_needs_no_restart(house: House, tmp_path: Path) -> None:
    """Each end shows its new certificate on its next connection."""

    def shown() -> tuple[int, bytes]:
        line = house.endpoint(house.folder / API).connect(10)
        assert isinstance(line, ssl.SSLSocket)
        with line:
            raw = line.getpeercert(binary_form=True)
        assert raw is not None
        mine = (house.folder / API / CERTIFICATE).read_bytes()
        return x509.load_der_x509_certificate(raw).serial_number, mine

    before = shown()
    assert shown() == before
    keeper = house.caller()
    with closing(keeper):
        make_certificates(house.folder, [HOST], [API, STRANGER])
        after = shown()
        assert after[0] != before[0] and after[1] != before[1]
        assert keeper.standing().read >= 0
    house.answers()


def test_a_renewal_that_is_copied_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """File by file: meanwhile the certificate that was read last is shown, and the log says why; then the new one."""
    folder = certified(tmp_path / "old") / HOST
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    new = certified(tmp_path / "new") / HOST  # by the same CA
    mine = Credentials(folder)
    before = mine.answering(), mine.calling()
    shutil.copyfile(new / CERTIFICATE, folder / CERTIFICATE)
    assert (mine.answering(), mine.calling()) == before
    assert "new certificates can't be used yet" in caplog.text
    with pytest.raises(StartRefused, match="key values mismatch"):
        mine.check()
    (folder / KEY).unlink()
    assert (mine.answering(), mine.calling()) == before
    shutil.copyfile(new / KEY, folder / KEY)
    (folder / KEY).chmod(0o600)
    after = mine.answering(), mine.calling()
    assert after[0] is not before[0] and after[1] is not before[1]


def test_a_renewal_that_stays_half_done(tmp_path: Path) -> None:
    """It is borne until the certificate that was read ends."""
    house = tmp_path / "house"
    make_certificates(house, [HOST], [API])
    began = datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=3)
    (made,) = make_certificates(house, [HOST], [], 1, began)
    mine = Credentials(house / HOST)
    mine.answering()
    (house / HOST / KEY).unlink()
    mine.answering()
    until(lambda: datetime.now(UTC) > made.ends, "it never ends")
    with pytest.raises(StartRefused, match=r"tls\.key can't be read"):
        mine.answering()


def test_what_is_made(tmp_path: Path) -> None:
    """Keys that nobody else reads, one CA, a limited life; the same again renews, and no CA is replaced."""
    first = make_certificates(tmp_path / "tls", ["keeper.example", "10.1.2.3"], [API], 30)
    ca = (tmp_path / "tls" / CA_FOLDER / CA).read_bytes()
    assert {one.folder.name for one in first} == {"keeper.example", "10.1.2.3", API}
    for path in (tmp_path / "tls").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    for one in first:
        assert (one.folder / CA).read_bytes() == ca
        assert one.ends - datetime.now(UTC) < timedelta(days=30, minutes=1)
        assert Credentials(one.folder).ends() == one.ends
        Credentials(one.folder).check()
    before = (tmp_path / "tls" / API / CERTIFICATE).read_bytes()
    make_certificates(tmp_path / "tls", [], [API])
    assert (tmp_path / "tls" / API / CERTIFICATE).read_bytes() != before
    assert (tmp_path / "tls" / CA_FOLDER / CA).read_bytes() == ca


@pytest.mark.parametrize(
    ("keepers", "callers", "days", "said"),
    [
        ([], [], 30, "got no name"),
        (["Keeper.example"], [], 30, "expected a name in lower case"),
        (["../x"], [], 30, "expected a name in lower case"),
        ([], ["ca"], 30, "expected a name in lower case"),
        ([], ["10.1.2.3"], 30, "expected a name in lower case such as ward.example$"),
        ([], ["*.example"], 30, "expected a name in lower case"),
        (["a.example"], ["a.example"], 30, "got a.example twice"),
        (["a.example"], [], 0, "got 0 days"),
        (["a.example"], [], 826, "expected 1 to 825"),
    ],
)
def test_what_is_not_made(
    tmp_path: Path, keepers: list[str], callers: list[str], days: int, said: str
) -> None:
    """It says what was got, and leaves nothing behind."""
    with pytest.raises(StartRefused, match=said):
        make_certificates(tmp_path / "tls", keepers, callers, days)
    assert not (tmp_path / "tls").exists()


def _swap_keys(folder: Path) -> None:
    shutil.copy(folder.parent / STRANGER / KEY, folder / KEY)


def _passphrase(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key((folder / KEY).read_bytes(), None)
    sealed = form.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, sealed)
    (folder / KEY).write_bytes(pem)


BENT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "ca.crt can't be read: No such file"),
    "no CA": (lambda f: (f / CA).unlink(), "ca.crt can't be read"),
    "no key": (lambda f: (f / KEY).unlink(), "tls.key can't be read"),
    "a key that others read": (lambda f: (f / KEY).chmod(0o640), "tls.key has mode 640, expected 600"),
    "another's key": (_swap_keys, "can't be used: key values mismatch"),
    "a passphrase": (_passphrase, "tls.key has a passphrase, expected a private key without one"),
    "no PEM": (lambda f: (f / CERTIFICATE).write_text("certificate"), "can't be used: "),
    "an empty CA": (lambda f: (f / CA).write_text(""), "can't be used: "),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_files_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    """Either end says which, and why."""
    folder = certified(tmp_path / "tls", STRANGER)
    bend, said = BENT[name]
    bend(folder / API)
    with pytest.raises(StartRefused, match=said):
        Credentials(folder / API).check()
    with pytest.raises(StartRefused, match=said):
        Credentials(folder / API).answering()


@pytest.mark.parametrize(
    ("keeper", "folder", "said"),
    [
        ("tls:keeper.example", "x", "expected unix:/path of the socket, or tls:HOST:PORT"),
        ("tls:keeper.example:0", "x", "expected unix:/path"),
        ("tls:keeper.example:99999", "x", "expected unix:/path"),
        ("tls::8421", "x", "expected unix:/path"),
        ("tls:::1:8421", "x", "expected unix:/path"),
        ("tls:a/b:8421", "x", "expected unix:/path"),
        ("tcp:keeper.example:8421", "x", "expected unix:/path"),
        ("tls:keeper.example:8421", None, "HEARTWOOD_KEEPER_TLS is not set"),
    ],
)
def test_what_is_set_wrongly(house: House, keeper: str, folder: str | None, said: str) -> None:
    """It says what was got and what was expected."""
    settings = house.served.settings.model_copy(
        update={"keeper": keeper, "keeper_tls": Path(folder) if folder else None}
    )
    with pytest.raises(StartRefused, match=said):
        open_ledger(settings)


def test_nobody_is_listed(house: House) -> None:
    """A keeper that nobody may call says so, and doesn't answer everybody instead."""
    with pytest.raises(StartRefused, match="HEARTWOOD_KEEPER_NAMES is not set"):
        TlsListener(house.endpoint(house.folder / HOST), [])


def test_the_command(house: House, tmp_path: Path) -> None:
    """It says where each folder belongs."""
    ran = heartwood(
        house.served.settings, "keeper", "certificates", tmp_path / "tls", "--keeper", "keeper.example",
        "--caller", "ward.example", "--days", "90",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "keep" in ran.out and str(tmp_path / "tls" / CA_FOLDER) in ran.out
    Credentials(tmp_path / "tls" / "ward.example").check()
    refused_ = heartwood(house.served.settings, "keeper", "certificates", tmp_path / "tls")
    assert refused_.code == 4 and "got no name" in refused_.err
