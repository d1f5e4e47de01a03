"""The schema's version: create it, bring it up to date, refuse what this program does not know."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.errors import StartRefused


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revision(connection: Connection) -> str | None:
    """The schema's revision in this database; None where there is no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade_schema(connection: Connection) -> None:
    """Bring the schema to this program's revision, inside the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def check_schema(connection: Connection) -> None:
    """Raises StartRefused unless the schema is exactly this program's."""
    script = ScriptDirectory.from_config(_config())
    current, expected = revision(connection), script.get_current_head()
    if current == expected:
        return
    if current is None:
        raise StartRefused(
            "the database holds no ledger, and one was expected here. Check --data and "
            "HEARTWOOD_DATABASE_URL; a new ledger is made by `heartwood init` only."
        )
    known = {revision.revision for revision in script.walk_revisions()}
    if current not in known:
        raise StartRefused(
            f"the database has schema {current}, which is newer than this program's {expected}. "
            "Use the program that wrote it, or a later one."
        )
    raise StartRefused(
        f"the database has schema {current}, older than {expected}: run `heartwood upgrade`."
    )
