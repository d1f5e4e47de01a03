"""A streaming standby of a throw-away cluster, which can be promoted: failovers without a cluster manager."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Self

import psycopg
from sqlalchemy.engine import make_url

from tests.support.postgres import (
    HOST,
    POLL_SECONDS,
    START_SECONDS,
    USER,
    Cluster,
)


class Standby(Cluster):
    """A copy of a running cluster that follows it; stop it before the one it follows."""

    _primary: Cluster

    @classmethod
    def of(cls, primary: Cluster) -> Self:
        """A standby that answers; raises RuntimeError if it doesn't come up."""
        standby = cls(primary._programs)
        standby._primary = primary
        standby._password = primary._password
        try:
            standby._create()
            standby._launch_on_free_port()
        except BaseException:
            standby.stop()
            raise
        return standby

    def promote(self) -> None:
        """Let it take writes, whatever it lacks; the one that it followed is not asked."""
        with administrator(self) as connection:
            connection.execute("SELECT pg_promote(true)")

    def _create(self) -> None:
        server = f"host={HOST} port={self._primary.port} user={USER} password={self._password}"
        command = [
            f"{self._programs}/pg_basebackup",
            f"--pgdata={self._data}",
            f"--dbname={server}",
        ]
        command += [
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
        ]
        if self._account:
            os.chown(self._directory, self._account["user"], self._account["group"])
        done = subprocess.run(command, capture_output=True, text=True, **self._surroundings())
        if done.returncode != 0:
            raise RuntimeError(f"pg_basebackup failed: {done.stderr.strip()}")

    def _ready(self) -> bool:
        lines = self._pidfile()
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return ours and len(lines) > 7 and lines[7].strip() in ("ready", "standby")


def administrator(cluster: Cluster) -> psycopg.Connection[tuple[object, ...]]:
    """A superuser's connection to the cluster's own database, in no transaction."""
    return psycopg.connect(
        host=HOST, port=cluster.port, user=USER, password=cluster._password, dbname="postgres",
        autocommit=True,
    )  # fmt: skip


def alter(cluster: Cluster, setting: str, value: str) -> None:
    """Change a setting while the cluster runs, and wait until it is in force."""
    with administrator(cluster) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    _until(cluster, f"SELECT setting = '{value}' FROM pg_settings WHERE name = '{setting}'")


def caught_up(primary: Cluster) -> None:
    """Wait until a standby has replayed all that the primary wrote."""
    _until(primary, "SELECT bool_or(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication")


def both(url: str, *clusters: Cluster) -> str:
    """The URL of a database on several servers, in libpq's own form."""
    one = make_url(url)
    hosts = ",".join(f"{HOST}:{cluster.port}" for cluster in clusters)
    return f"postgresql://{one.username}:{one.password}@{hosts}/{one.database}"


def _until(cluster: Cluster, question: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with administrator(cluster) as connection:
            if connection.execute(question.encode()).fetchone() == (True,):
                return
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"not true within {START_SECONDS:.0f} s: {question}")
