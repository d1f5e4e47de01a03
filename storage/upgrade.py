"""The schema's version: create it, bring it up to date, refuse what this program does not know."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from crypto.notes import VerifierKey
from storage.entries import EntryStore
from storage.errors import StartRefused
from storage.start import check_start
from storage.views import fill


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revision(connection: Connection) -> str | None:
    """The schema's revision in this database; None where there is no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade_schema(connection: Connection) -> None:
    """Bring the schema to this program's revision, inside the caller's transaction."""
    make_schema(connection, "head")


def make_schema(connection: Connection, to: str) -> None:
    """Bring the schema to the revision `to`, from none or an older one, inside the caller's transaction."""
    config = _config()
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
    script = ScriptDirectory.from_config(_config())
    current, expected = revision(connection), str(script.get_current_head())
    if current is None:
        raise StartRefused(
            "the database holds no ledger, and one was expected here. Check --data and "
            "HEARTWOOD_DATABASE_URL; a new ledger is made by `heartwood init` only."
        )
    if current not in {known.revision for known in script.walk_revisions()}:
        raise StartRefused(
            f"the database has schema {current}, which is newer than this program's {expected}. "
            "Use the program that wrote it, or a later one."
        )
    return current, expected
