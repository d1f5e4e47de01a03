"""The key keeper, where it is a process of another user or machine: whether it can be called, by whom, and how long."""

import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from api.app.layout import keeper_folder, pinned_keys
from api.app.settings import Settings
from api.operator.checking.files import OTHERS
from api.operator.checking.findings import Finding, ok, unsafe, warning
from crypto.texts import counted
from durable.errors import StartRefused, StorageError
from keeper.child import SOCKET
from keeper.endpoints import Endpoint, TlsEndpoint, UnixEndpoint
from keeper.remote import RemoteKeeper

RENEW_DAYS = 30
"""A certificate that ends sooner is to be renewed now."""
CA_KEY = "ca.key"


def check_keeper(settings: Settings) -> Iterator[Finding]:
    """The place of the setting; without one it is a child of the service, and there is nothing to say."""
    try:
        where = settings.keeper_endpoint()
    except StartRefused as error:
        yield unsafe("key keeper", f"{error}", "the ledger does not start")
        return
    if isinstance(where, TlsEndpoint):
        yield from _tls(settings, where)
    elif where is not None:
        yield _socket(settings, where.path)


def keeper_vkeys(settings: Settings) -> list[str] | None:
    """The keeper's verifier keys as a witness; None where no keeper runs that could be asked. Nothing is started."""
    try:
        where: Endpoint | None = settings.keeper_endpoint()
        if where is None:
            path = keeper_folder(settings) / SOCKET
            where = UnixEndpoint(path) if path.exists() else None
        if where is None:
            return None
        with closing(RemoteKeeper(where, pinned_keys(settings)[0].name, None)) as keeper:
            return keeper.vkeys()
    except StorageError:
        return None  # that it can't be called is a finding of its own


def _tls(settings: Settings, where: TlsEndpoint) -> Iterator[Finding]:
    credentials = where.credentials
    try:
        credentials.check()
        ends = credentials.ends()
    except StartRefused as error:
        yield unsafe("key keeper's certificate", f"{error}", "no record opens: put it right")
        return
    yield _good_until("key keeper's certificate", f"{credentials.folder}", ends)
    for path in (credentials.folder / CA_KEY, credentials.folder.parent / "ca" / CA_KEY):
        if path.exists():
            yield unsafe(
                "key keeper's CA",
                f"the CA's private key {path} is on this machine: whoever takes the service over makes certificates",
                "take it to a machine that neither serves nor keeps keys",
            )
    try:
        with closing(RemoteKeeper(where, pinned_keys(settings)[0].name, None)) as keeper:
            its = keeper.ends()
    except StorageError as error:
        yield unsafe("key keeper", f"{error}", "no record opens: see the keeper's own log")
        return
    yield ok("key keeper", f"answers at {where}")
    if its is not None:
        about = "key keeper's own certificate"
        yield _good_until(about, f"what {where} shows", datetime.fromtimestamp(its, UTC))


def _good_until(about: str, what: str, ends: datetime) -> Finding:
    """How long a certificate lasts, of either end."""
    left = (ends - datetime.now(UTC)).days
    words = f"{what} is good for {counted(left, 'day')} more, until {ends:%Y-%m-%d}"
    if left >= RENEW_DAYS:
        return ok(about, words)
    return warning(
        about, words, "renew it (`heartwood keeper certificates`), on both ends; neither needs a restart",
    )  # fmt: skip


def _socket(settings: Settings, path: Path) -> Finding:
    try:
        found = path.stat()
    except OSError as error:
        return unsafe(
            "key keeper",
            f"its socket {path} can't be reached: {error.strerror}",
            "start the keeper: no record opens",
        )
    if not stat.S_ISSOCK(found.st_mode):
        return unsafe("key keeper", f"{path} is not a socket", "set HEARTWOOD_KEEPER right")
    if stat.S_IMODE(found.st_mode) & OTHERS & 0o007 and path.parent.stat().st_mode & 0o001:
        return unsafe(
            "key keeper", f"every user can reach its socket {path}", f"chmod o= {path.parent}"
        )
    if found.st_uid == settings.data.stat().st_uid:
        return warning(
            "key keeper",
            "it runs as the service's own user: whoever takes the service over can read the keeper's memory and files",
            "run it as a user of its own (deploy/systemd/heartwood-keeper.service)",
        )
    return ok("key keeper", f"listens on {path} as user {found.st_uid}")
