"""The schema's version: create it, bring it up to date, refuse what this program does not know."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, inspect

from crypto.notes import VerifierKey
from durable.errors import StartRefused
from storage.sql.entries import EntryStore
from storage.sql.views import fill
from storage.start import check_start

_MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS = tuple(sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("r*_*.py")))
"""The schema's revisions, from the first to this program's: the files are called after them."""


def revision(connection: Connection) -> str | None:
    """The schema's revision in this database; None where there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def upgrade_schema(connection: Connection) -> None:
    """Bring the schema to this program's revision, inside the caller's transaction."""
    make_schema(connection, "head")


def make_schema(connection: Connection, to: str) -> None:
    """Bring the schema to the revision `to`, from none or an older one, inside the caller's transaction."""
    from alembic import command  # here, as opening a ledger needs none of it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def upgrade_database(store: EntryStore, vkeys: Sequence[VerifierKey]) -> tuple[str, str]:
    """Bring the schema up to date, and the views with it; gives the revisions before and after.

    One transaction: a crash leaves the old schema whole, and nothing is appended meanwhile. Raises
    StartRefused for what is not this log's database, or a newer one.
    """
    with store.database.write() as connection:
        before, after = revisions(connection)
        store.head(connection, lock=True)
        check_start(store, connection, vkeys, None, older=True)
        if before != after:
            upgrade_schema(connection)
            fill(store, connection)
    return before, after


def check_schema(connection: Connection) -> None:
    """Raises StartRefused unless the schema is exactly this program's."""
    current, expected = revisions(connection)
    if current != expected:
        raise StartRefused(
            f"the database has schema {current}, older than {expected}: run `heartwood upgrade`."
        )


def revisions(connection: Connection) -> tuple[str, str]:
    """The database's revision and this program's; raises StartRefused for none, or for a newer one."""
    current, expected = revision(connection), REVISIONS[-1]
    if current is None:
        raise StartRefused(
            "the database holds no ledger, and one was expected here. Check --data and "
            "HEARTWOOD_DATABASE_URL; a new ledger is made by `heartwood init` only."
        )
    if current not in REVISIONS:
        raise StartRefused(
            f"the database has schema {current}, which is newer than this program's {expected}. "
            "Use the program that wrote it, or a later one."
        )
    return current, expected
