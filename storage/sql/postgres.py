"""PostgreSQL's connections: how a server is reached, what each must promise, and which are given up.

After a failover the next connection may be one to another server, so what holds is asked of each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import URL, event
from sqlalchemy.engine import Engine, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError

from durable.errors import StartRefused

OPTIONS = "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
"""A client that went away half-way must not hold the head's lock for ever."""
WAITS = {
    "connect_timeout": "10", "tcp_user_timeout": "30000", "keepalives_idle": "10",
    "keepalives_interval": "5", "keepalives_count": "4",
}  # fmt: skip
"""How long a server that became unreachable is waited for (s, s, s and a count; `tcp_user_timeout` in ms): by
itself the system gives up after a quarter of an hour. What the URL says goes before these."""
PRIMARY_ONLY = {"target_session_attrs": "read-write"}
"""Of several servers the one that takes writes; a standby would be read from, behind what was acknowledged."""
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings without which an acknowledgement would promise what a power cut takes back."""
DURABLE_VALUES = ("on", "remote_apply")
READ_ONLY = "25006"
"""SQLSTATE of a write that a standby, or a server set to read-only, refuses."""
READ_ONLY_WORDS = "session is read-only"
"""What libpq says of each server that it passed by."""
WARNED = "warned"
"""Where a connection's `info` keeps the warnings that the server sent."""
_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
_FORM = "postgresql://USER:PASSWORD@HOST/NAME, or several HOST:PORT separated by commas"

Fetch = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
"""Runs one SELECT and gives its rows."""


class NotDurable(psycopg.OperationalError):
    """A server that was reached and does not promise what is needed; the words say what to set."""


def read_url(text: str) -> str:
    """A database's URL as SQLAlchemy takes it; of PostgreSQL's, libpq's lists of hosts as well.

    Raises StartRefused, in words that hold nothing of the URL: it has a password.
    """
    scheme, _, rest = text.partition("://")
    try:
        if scheme not in _SCHEMES:
            other = make_url(text)
            if other.get_backend_name() != "sqlite":
                raise ValueError("neither PostgreSQL nor SQLite")
            return other.render_as_string(hide_password=False)
        return _one_port_each(make_url(f"postgresql+psycopg://{_hosts_as_query(rest)}"))
    except (ValueError, ArgumentError):
        # Not chained: the cause quotes what it could not read.
        raise StartRefused(
            f"HEARTWOOD_DATABASE_URL is not a valid URL, expected {_FORM}; characters such as @ : / ? # in a user "
            "name or password are written as %40 %3A %2F %3F %23"
        ) from None


def _hosts_as_query(rest: str) -> str:
    """`user@a:1,b:2/name?…` as `user@/name?host=a:1&host=b:2&…`; anything else as it is."""
    authority, _, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        return rest
    name, _, query = path.partition("?")
    named = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{user}{at}/{name}?{named}{query and f'&{query}'}"


def _one_port_each(url: URL) -> str:
    """One port for several hosts is the port of each, as libpq has it."""
    hosts, port = hosts_of(url), url.query.get("port")
    if len(hosts) > 1 and isinstance(port, str) and "," not in port:
        url = url.update_query_dict({"port": ",".join([port] * len(hosts))})
    return url.render_as_string(hide_password=False)


def hosts_of(url: URL) -> list[str]:
    """The servers that a URL names, each as it names it; empty for libpq's default."""
    named = url.query.get("host", url.host or "")
    return [host for host in (named.split(",") if isinstance(named, str) else named) if host]


def connecting(url: str) -> dict[str, str]:
    """What psycopg is given beside the URL, whose own words go first."""
    said = make_url(url).query
    ours = {name: value for name, value in (WAITS | PRIMARY_ONLY).items() if name not in said}
    return {**ours, "options": f"{OPTIONS} {said.get('options', '')}".strip()}


@dataclass(frozen=True)
class Replication:
    """How a commit reaches other servers than the one that takes it."""

    hosts: int
    """Servers that the URL names."""
    standbys: int
    """Those that follow now."""
    synchronous: str
    """The standbys that a commit waits for, as PostgreSQL's `synchronous_standby_names` has them."""

    @property
    def doubt(self) -> str | None:
        """Why a failover could lose what was acknowledged; None if it can't, or if there is nowhere to fail over to."""
        if self.synchronous or (self.hosts < 2 and not self.standbys):
            return None
        return (
            "commits wait for no standby (synchronous_standby_names is empty), and there are several servers: a "
            "failover can lose what was acknowledged, and nothing is appended then. Set it, or synchronous_mode and "
            "synchronous_mode_strict of Patroni"
        )


def replication(fetch: Fetch, url: str) -> Replication:
    """What the server that answers `fetch` says of its standbys."""
    (row,) = fetch(
        "SELECT current_setting('synchronous_standby_names'), count(*) FROM pg_stat_replication",
        (),
    )
    return Replication(len(hosts_of(make_url(url))), int(row[1]), str(row[0]))


def watch(engine: Engine) -> None:
    """Let every new connection be checked, its warnings be kept, and a server that went read-only be left."""
    event.listen(engine, "connect", _check_durable)
    event.listen(engine, "connect", _keep_warnings)
    event.listen(engine, "handle_error", _leave_read_only)
    event.listen(engine, "handle_error", _hide_values)


def _check_durable(connection: psycopg.Connection[Any], _: Any) -> None:
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    for setting, value in connection.execute(query, (list(DURABLE),)).fetchall():
        if value not in DURABLE_VALUES:
            connection.close()
            raise NotDurable(
                f"PostgreSQL has {setting} = {value}, expected on: an acknowledged event could "
                f"be lost. Set {setting} = on in postgresql.conf and restart it."
            )
    connection.rollback()


def _hide_values(context: ExceptionContext) -> None:
    """What PostgreSQL adds to an error, such as the failing row, holds values; its diagnosis stays in `diag`."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).partition("\n")[0], *error.args[1:])


def _keep_warnings(connection: psycopg.Connection[Any], record: Any) -> None:
    warned: list[str] = []
    record.info[WARNED] = warned

    def keep(notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warned.append(notice.message_primary or notice.sqlstate or "a warning")

    connection.add_notice_handler(keep)


def _leave_read_only(context: ExceptionContext) -> None:
    """Give up every pooled connection once one of them is to a server that takes no writes: it is not the leader."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
