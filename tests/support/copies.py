"""Copies of a closed ledger: backups, forks, templates."""

import itertools
import shutil
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from api.app.settings import Settings

_NUMBERS = itertools.count()


def copy_ledger(settings: Settings, data: Path) -> Settings:
    """A ledger with the same data directory and database; nobody may have it open."""
    shutil.copytree(settings.data, data)
    url = _copy_database(settings.database_url) if settings.database_url else ""
    return settings.model_copy(update={"data": data, "database_url": url})


def _copy_database(url: str) -> str:
    """A PostgreSQL database like another one."""
    old = make_url(url)
    new = old.set(database=f"{old.database}_{next(_NUMBERS)}")
    server = old.set(drivername="postgresql", database="postgres").render_as_string(False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{new.database}" TEMPLATE "{old.database}"'.encode())
    return new.render_as_string(False)


def drop_database(url: str) -> None:
    """Remove a PostgreSQL database, whoever is still connected: each takes 10 MB, and there are thousands in a run."""
    gone = make_url(url)
    server = gone.set(drivername="postgresql", database="postgres").render_as_string(False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{gone.database}" WITH (FORCE)'.encode())


def put_database(source: Settings, target: Settings) -> Settings:
    """The target's settings with the source's database in its place."""
    if source.database_url:
        return target.model_copy(update={"database_url": source.database_url})
    for path in target.data.glob("heartwood.db*"):
        path.unlink()
    for path in source.data.glob("heartwood.db*"):
        shutil.copy2(path, target.data / path.name)
    return target
