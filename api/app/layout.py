"""What lies where in a data directory, and the parts that are made of it; nothing here opens a ledger or makes one."""

import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from api.app.settings import Settings
from crypto.notes import VerifierKey
from durable.errors import StartRefused
from durable.files import DIRECTORY_MODE, replace_file
from durable.trusted import TrustedCheckpoint
from keeper.child import KeeperPlace
from keeper.roots import RecordRoots
from ledger.checkpoint import open_checkpoint, parse_keys, said_by
from storage.log import PUBLISH_MS
from storage.logkeys import standing
from storage.sql.database import Database
from storage.sql.postgres import READ_ONLY_WORDS

CHECKPOINT = "checkpoint"
"""The last acknowledged checkpoint."""
CLOCK = "clock"
"""What the clocks showed at the last acknowledged entry."""
MARKER = "heartwood.json"
"""Written last by `init`; a folder without it holds no ledger."""
TOKENS = "passing.db"
"""The file of what lasts for a while."""
VKEYS = "log.vkey"
"""The log's verifier keys."""
IDENTITY_ROOT = "identity.root"
SEEDS = ("log-ed25519.seed", "log-ml-dsa-44.seed", "service.seed")
"""The private keys that a new ledger has; those of the log's later keys see `logkeys`."""
SERVICE_SEED = SEEDS[2]
_CHECK = b"heartwood/identity-root-check/v1"


def read_marker(settings: Settings) -> dict[str, Any]:
    """What `init` wrote; raises StartRefused where there is no ledger."""
    path = settings.data / MARKER
    if not path.exists():
        raise StartRefused(
            f"there is no ledger in {settings.data}. Check --data or HEARTWOOD_DATA; "
            "`heartwood init` makes a new one."
        )
    try:
        marker: dict[str, Any] = json.loads(path.read_bytes())
        if marker["format"] != 1:
            raise StartRefused(
                f"{path} has format {marker['format']}, expected 1: use a later program"
            )
    except (ValueError, KeyError, TypeError) as error:
        raise StartRefused(f"{path} is damaged ({error}): restore it from a backup") from error
    backend = make_url(settings.url()).get_backend_name()
    if marker["database"] != backend:
        raise StartRefused(
            f"this ledger was made on {marker['database']}, and HEARTWOOD_DATABASE_URL names {backend}: set "
            "it to the database it was made on"
        )
    if marker["database"] == "sqlite" and not Path(str(make_url(settings.url()).database)).exists():
        raise StartRefused(
            f"the database file {make_url(settings.url()).database} is missing: restore it from a backup, "
            "then `heartwood accept-restore --as OPERATOR`"
        )
    return marker


def pinned_keys(settings: Settings) -> tuple[VerifierKey, ...]:
    """The log's verifier keys, as `init` wrote them; raises StartRefused."""
    path = settings.data / VKEYS
    try:
        return tuple(parse_keys(path.read_text().split()))
    except (OSError, ValueError) as error:
        raise StartRefused(
            f"the log's verifier keys in {path} can't be read ({error}): restore the file, any export has it"
        ) from error


def pin_keys(settings: Settings, keys: Sequence[VerifierKey]) -> None:
    """Write the log's verifier keys that aren't retired, which were handed over from those that were written before."""
    text = standing(keys).encode()
    if (settings.data / VKEYS).read_bytes() != text:
        replace_file(settings.data / VKEYS, text)


def database_of(settings: Settings) -> Database:
    """The database, opened; raises StartRefused if it does not answer."""
    settings.data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    try:
        return Database(settings.url(), settings.data / "lock")
    except DBAPIError as error:
        hint = (
            "; no server that takes writes was found, only a standby"
            if READ_ONLY_WORDS in f"{error.orig}"
            else ""
        )
        raise StartRefused(f"the database does not answer: {error.orig}{hint}") from error


def trusted_checkpoint(
    path: Path, keys: Sequence[VerifierKey], restored: bool = False
) -> TrustedCheckpoint:
    """A checkpoint file outside the database, whose note must be signed by `keys`.

    `restored`: of a database that may lack the entries which tell whose signatures that needs, so what it says counts
    until the operator's acceptance replaces it.
    """
    if restored:
        return TrustedCheckpoint(path, PUBLISH_MS, lambda note: said_by(note).size)
    return TrustedCheckpoint(path, PUBLISH_MS, lambda note: open_checkpoint(note, keys).size)


def keeper_folder(settings: Settings) -> Path:
    """The keeper's own folder."""
    return settings.keeper_data or settings.data / "keeper"


def check_kept(settings: Settings) -> None:
    """Raises StartRefused unless this user keeps the keys: a keeper's folder that is set, or a ledger that has its own."""
    if settings.keeper_data is None:
        read_marker(settings)
        if settings.keeper:
            raise StartRefused(
                "the key keeper's folder is another user's: run this as that user, with HEARTWOOD_KEEPER_DATA"
            )


def record_roots(settings: Settings) -> RecordRoots:
    """The record roots, of which nothing is read yet."""
    return RecordRoots(_roots(settings), settings.unlock())


def _roots(settings: Settings) -> Path:
    """The folder of the record roots: a keeper that has a folder of its own has them there."""
    if settings.root is None and settings.keeper_data is not None:
        return settings.keeper_data / "roots"
    return settings.roots()


def keeper_place(settings: Settings, vkeys: Sequence[VerifierKey]) -> KeeperPlace:
    """What the key keeper is made of."""
    unlock, keys = settings.unlock(), tuple(str(key) for key in vkeys)
    return KeeperPlace(
        str(keeper_folder(settings).resolve()), str(_roots(settings).resolve()), keys,
        unlock.passphrase, unlock.pin,
    )  # fmt: skip


def identity_check(root: bytes) -> str:
    """What the marker keeps of the identity root, to know it again."""
    return hmac.digest(root, _CHECK, "sha256").hex()
