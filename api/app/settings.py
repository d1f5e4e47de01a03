"""Settings, from the environment; every one is documented in docs/operations.md."""

import os
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.blobs.place import Place, parse_place


class Settings(BaseSettings):
    """Where a ledger is and what opens it."""

    model_config = SettingsConfigDict(env_prefix="HEARTWOOD_")

    data: Path = Path("heartwood-data")
    """HEARTWOOD_DATA: the data directory."""
    database_url: str = ""
    """HEARTWOOD_DATABASE_URL: `postgresql://…`; empty is SQLite in the data directory."""
    root: Path | None = None
    """HEARTWOOD_ROOT: the folder of the root keys; by default `roots` in the data directory."""
    passphrase: SecretStr | None = None
    """HEARTWOOD_PASSPHRASE: opens root keys and key files that have one."""
    new_passphrase: SecretStr | None = None
    """HEARTWOOD_NEW_PASSPHRASE: what `heartwood passphrase` puts in its place."""
    blobs: str = ""
    """HEARTWOOD_BLOBS: where the blobs are, `s3://bucket/prefix?…` or `file:/path`, or several as `name=place
    name=place`; empty is the data directory."""
    blobs_quorum: int = 0
    """HEARTWOOD_BLOBS_QUORUM: how many of several stores must have a blob before it counts; 0 is a majority."""
    proxies: str = ""
    """HEARTWOOD_PROXIES: addresses or networks of the reverse proxies ahead, apart by commas."""

    vkey: Path | None = None
    """HEARTWOOD_VKEY: the verifier keys of a server's log, got from elsewhere."""

    def known_logs(self) -> Path:
        """The folder of what this user's commands know of servers' logs, in the user's state directory."""
        home = os.environ.get("XDG_STATE_HOME")
        return (Path(home) if home else Path.home() / ".local" / "state") / "heartwood"

    def roots(self) -> Path:
        """The folder of the root keys."""
        return self.root or self.data / "roots"

    def blob_place(self) -> Place:
        """Where the blobs are; raises StartRefused for what is no place."""
        return parse_place(self.blobs, self.data / "blobs", self.blobs_quorum)

    def url(self) -> str:
        """The database's URL as SQLAlchemy writes it; `postgres://` and `postgresql://` are taken for it, too."""
        scheme, found, rest = self.database_url.partition("://")
        if found and scheme in ("postgres", "postgresql"):
            return f"postgresql+psycopg://{rest}"
        return self.database_url or f"sqlite:///{(self.data / 'heartwood.db').resolve()}"

    def secret(self) -> str | None:
        """The passphrase, or None."""
        return self.passphrase.get_secret_value() if self.passphrase else None
