"""The database: whether it loses anything, who can listen, whether it extends what was acknowledged."""

from collections.abc import Iterator
from ipaddress import ip_address

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from api.app.layout import CHECKPOINT, CLOCK, pinned_keys, read_marker, trusted_checkpoint
from api.app.settings import Settings
from api.operator.checking.findings import Finding, ok, unsafe, warning
from api.operator.checking.mail import late_messages
from crypto.texts import counted
from durable.errors import StartRefused
from storage.clock import ClockWatch
from storage.errors import Unavailable
from storage.logkeys import StoredKeys
from storage.outbox import Outbox
from storage.sql.database import Database
from storage.sql.entries import EntryStore, Head
from storage.sql.postgres import hosts_of
from storage.sql.upgrade import check_schema
from storage.start import check_start

VERIFYING = ("verify-full", "verify-ca")
"""Modes of `sslmode` in which a server must show who it is."""


def check_database(settings: Settings) -> Iterator[Finding]:
    """Everything that is asked of the database."""
    try:
        url = make_url(settings.url())
        yield from _encrypted(url)
        read_marker(settings)
        database = Database(settings.url(), settings.data / "lock", only_read=True)
    except StartRefused as error:
        yield unsafe("database", f"{error}", "the ledger does not start")
        return
    except DBAPIError as error:
        yield unsafe(
            "database",
            f"it does not answer: {error.orig}",
            "start it, or set HEARTWOOD_DATABASE_URL right",
        )
        return
    try:
        yield from _opened(settings, database)
    except StartRefused as error:
        yield unsafe("log", f"{error}", "the ledger does not start")
    except DBAPIError as error:
        yield unsafe("database", f"it does not answer: {error.orig}", "see its own log")
    finally:
        database.close()


def _opened(settings: Settings, database: Database) -> Iterator[Finding]:
    vkeys, store = pinned_keys(settings), EntryStore(database)
    last = trusted_checkpoint(settings.data / CHECKPOINT, StoredKeys(store)).acknowledged()
    with database.read() as connection:
        check_schema(connection)
        head = check_start(store, connection, vkeys, last)
        there = database.clock(connection)
    yield from late_messages(Outbox(database))
    yield ok(
        "log",
        f"{counted(head.size, 'entry')}; the database extends the last checkpoint outside of it",
    )
    yield _clock(settings, head, there)
    if not database.sqlite:
        yield ok("durability", "fsync, full_page_writes and synchronous_commit are on")
        yield from _replication(database)
        yield from _role(database)


def _clock(settings: Settings, head: Head, there: int | None) -> Finding:
    """By what an append would say of it."""
    watch = ClockWatch(settings.data / CLOCK)
    try:
        watch.time(head.size, head.time, there)
    except Unavailable as error:
        return unsafe(
            "clock", f"{error}", "set it right; see `A wrong clock` in the operations guide"
        )
    apart = "" if there is None else f", {abs(there - watch.wall())} ms from the database's"
    return ok("clock", f"it fits the log's last entry{apart}")


def _encrypted(url: URL) -> Iterator[Finding]:
    """Whether what goes to the database can be read or altered on the way."""
    if url.get_backend_name() == "sqlite" or all(_local(host) for host in hosts_of(url)):
        return
    mode = str(url.query.get("sslmode", "prefer"))
    if mode in VERIFYING:
        yield ok("database's TLS", f"sslmode={mode}: the server must show its certificate")
    elif mode == "require":
        yield warning(
            "database's TLS",
            "sslmode=require encrypts, but takes any server for the right one",
            "add sslmode=verify-full&sslrootcert=FILE to HEARTWOOD_DATABASE_URL",
        )
    else:
        yield unsafe(
            "database's TLS",
            f"sslmode={mode}: whoever is on the way can read and alter what goes to the database, its password too",
            "add sslmode=verify-full&sslrootcert=FILE to HEARTWOOD_DATABASE_URL",
        )


def _local(host: str) -> bool:
    """Whether a server is on this machine, as far as its name tells."""
    name = host.rpartition(":")[0] if host.count(":") == 1 else host
    if name.startswith(("/", "@")) or name == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _replication(database: Database) -> Iterator[Finding]:
    found = database.replication()
    if found is None:
        return
    if found.doubt:
        yield unsafe("replication", found.doubt, "see `High availability` in the operations guide")
    elif found.synchronous:
        yield ok(
            "replication",
            f"commits wait for a standby ({found.synchronous}); {counted(found.standbys, 'standby')} now",
        )
        if not found.standbys:
            yield warning(
                "standby", "no standby follows now: commits wait until one does", "start a standby"
            )
    else:
        yield warning(
            "replication",
            "one PostgreSQL server, no standby: what it acknowledged is as safe as its one disk",
            "see `High availability` in the operations guide, or back up often",
        )


def _role(database: Database) -> Iterator[Finding]:
    ((name, powerful),) = database.fetch(
        "SELECT rolname, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user", ()
    )
    if powerful:
        yield warning(
            "database's user",
            f"the database's user {name} may do anything to the server",
            "make a user that owns this one database: CREATE ROLE heartwood LOGIN",
        )
    else:
        yield ok("database's user", f"{name} has no rights over the server")
