"""Settings, from the environment; every one is documented in docs/operations.md."""

import os
import re
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from durable.errors import StartRefused
from identity.sites import Site
from keeper.endpoints import TlsEndpoint, UnixEndpoint, parse_endpoint
from keeper.roots import RootPlace, Unlock, parse_root_place, read_pin
from storage.blobs.place import Place, parse_place
from storage.sql.postgres import read_url

_ORIGIN = re.compile(
    r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?|http://localhost(:[0-9]{1,5})?"
).fullmatch


class Settings(BaseSettings):
    """Where a ledger is and what opens it."""

    model_config = SettingsConfigDict(env_prefix="HEARTWOOD_", env_ignore_empty=True)

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
    record_root: str = ""
    """HEARTWOOD_RECORD_ROOT: how a new record root is kept: `file:`, `kms:KEY?…` or `pkcs11:MODULE?…`; empty is the file."""
    pkcs11_pin: SecretStr | None = None
    """HEARTWOOD_PKCS11_PIN: the PIN of the token that wraps the record root."""
    pkcs11_pin_file: Path | None = None
    """HEARTWOOD_PKCS11_PIN_FILE: a file of mode 600 with that PIN."""
    keeper: str = ""
    """HEARTWOOD_KEEPER: where a key keeper of its own user or machine is called, `unix:/path` or `tls:HOST:PORT`; empty:
    one that starts by itself."""
    keeper_data: Path | None = None
    """HEARTWOOD_KEEPER_DATA: the folder of such a keeper, which its own user alone can read."""
    keeper_users: str = ""
    """HEARTWOOD_KEEPER_USERS: the users (names or ids), apart by commas, whom such a keeper answers beside its own."""
    keeper_tls: Path | None = None
    """HEARTWOOD_KEEPER_TLS: the folder of this end's certificate for `tls:`: `ca.crt`, `tls.crt`, `tls.key`."""
    keeper_names: str = ""
    """HEARTWOOD_KEEPER_NAMES: the names in certificates, apart by commas, whom a keeper answers over TLS."""
    blobs: str = ""
    """HEARTWOOD_BLOBS: where the blobs are, `s3://bucket/prefix?…` or `file:/path`, or several as `name=place
    name=place`; empty is the data directory."""
    blobs_quorum: int = 0
    """HEARTWOOD_BLOBS_QUORUM: how many of several stores must have a blob before it counts; 0 is a majority."""
    witness_policy: Path | None = None
    """HEARTWOOD_WITNESS_POLICY: the policy file (C2SP tlog-policy) of the witnesses that cosign the log's checkpoints."""
    mail: str = ""
    """HEARTWOOD_MAIL: the mail server, `smtp://[USER@]HOST[:PORT]` (STARTTLS) or `smtps://…` (TLS from the first byte), with
    `?ca=FILE` or `?tls=none`; empty: mail lands in the data directory."""
    mail_from: str = ""
    """HEARTWOOD_MAIL_FROM: the address that mail comes from."""
    mail_password_file: Path | None = None
    """HEARTWOOD_MAIL_PASSWORD_FILE: a file of mode 600 with the password of the mail server's user."""
    web_origin: str = ""
    """HEARTWOOD_WEB_ORIGIN: where browsers reach the service, `https://HOST[:PORT]`; passkeys are bound to its host. Empty:
    none are offered."""
    proxies: str = ""
    """HEARTWOOD_PROXIES: addresses or networks of the reverse proxies ahead, apart by commas."""

    session: Path | None = None
    """HEARTWOOD_SESSION: the file that keeps the session of `account sign-in`; empty: `heartwood/session` in the user's
    configuration directory."""
    vkey: Path | None = None
    """HEARTWOOD_VKEY: the verifier keys of a server's log, got from elsewhere."""

    def known_logs(self) -> Path:
        """The folder of what this user's commands know of servers' logs, in the user's state directory."""
        home = os.environ.get("XDG_STATE_HOME")
        return (Path(home) if home else Path.home() / ".local" / "state") / "heartwood"

    def site(self) -> Site:
        """Where browsers reach the service; raises StartRefused for what is no secure origin."""
        if self.web_origin and not _ORIGIN(self.web_origin):
            raise StartRefused(
                f"HEARTWOOD_WEB_ORIGIN: got {self.web_origin[:80]!r}, expected https://HOST or https://HOST:PORT"
            )
        return Site(self.web_origin)

    def roots(self) -> Path:
        """The folder of the root keys."""
        return self.root or self.data / "roots"

    def keeper_endpoint(self) -> UnixEndpoint | TlsEndpoint | None:
        """Where a key keeper of its own user or machine is called, or None; raises StartRefused for what is no such place."""
        if not self.keeper:
            return None
        return parse_endpoint(self.keeper, self.keeper_tls, "HEARTWOOD_KEEPER")

    def root_place(self) -> RootPlace:
        """How a new record root is kept; raises StartRefused for what is no place."""
        return parse_root_place(self.record_root)

    def unlock(self) -> Unlock:
        """What opens record roots; raises StartRefused for a PIN's file that can't be used."""
        if self.pkcs11_pin or self.pkcs11_pin_file is None:
            pin = self.pkcs11_pin.get_secret_value() if self.pkcs11_pin else None
            return Unlock(self.secret(), pin)
        return Unlock(self.secret(), read_pin(self.pkcs11_pin_file))

    def blob_place(self) -> Place:
        """Where the blobs are; raises StartRefused for what is no place."""
        return parse_place(self.blobs, self.data / "blobs", self.blobs_quorum)

    def url(self) -> str:
        """The database's URL as SQLAlchemy writes it; see `read_url`, which raises StartRefused."""
        if self.database_url:
            return read_url(self.database_url)
        return f"sqlite:///{(self.data / 'heartwood.db').resolve()}"

    def secret(self) -> str | None:
        """The passphrase, or None."""
        return self.passphrase.get_secret_value() if self.passphrase else None
