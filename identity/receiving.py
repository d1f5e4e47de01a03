"""Files of keys that are sealed to: an X-Wing key of a hospital's system, which opens what is referred and signs nothing."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

from crypto.errors import CryptoError
from crypto.xwing import ReceivingKey
from durable.files import create_file
from identity.errors import KeyFileError
from keeper.roots.file import open_root_text, root_text
from ledger.directory import X_WING

_MEMBERS = {"account", "algorithm", "hospital", "key", "origin", "seed"}


@dataclass(frozen=True)
class Receiver:
    """An account that receives for a hospital, and its key."""

    origin: str
    account: str
    hospital: str
    key: ReceivingKey


def write_receiver(path: Path, receiver: Receiver, passphrase: str | None = None) -> Path:
    """Keep a receiver at `path`, mode 0600, its seed under the passphrase if there is one (Argon2id); raises KeyFileError if
    something is there."""
    seed = root_text(receiver.key.id, receiver.key.seed, passphrase)
    document = {
        "account": receiver.account,
        "algorithm": X_WING,
        "hospital": receiver.hospital,
        "key": receiver.key.id,
        "origin": receiver.origin,
        "seed": seed.decode().strip(),
    }
    try:
        create_file(path, json.dumps(document, indent=1).encode() + b"\n")
    except FileExistsError as error:
        raise KeyFileError(f"{path} already exists; a key file is never overwritten") from error
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_receiver(path: Path, passphrase: str | None = None) -> Receiver:
    """The receiver of a key file; raises KeyFileError with the remedy."""
    if not path.is_file():
        raise KeyFileError(f"{path} is a folder" if path.is_dir() else f"no key file at {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFileError(f"{path} is readable by others, expected mode 600: run chmod 600 {path}")
    try:
        document = json.loads(path.read_text())
        if not isinstance(document, dict) or document.keys() != _MEMBERS:
            raise ValueError(f"expected the members {', '.join(sorted(_MEMBERS))}")
        if not all(isinstance(value, str) for value in document.values()):
            raise ValueError("expected texts")
        if document["algorithm"] != X_WING:
            raise ValueError(f"expected a key of the algorithm {X_WING}")
        key = ReceivingKey(open_root_text(document["key"], document["seed"], passphrase))
    except LookupError as error:
        raise KeyFileError(f"{path} has a passphrase: set HEARTWOOD_PASSPHRASE") from error
    except (CryptoError, RecursionError, ValueError) as error:
        raise KeyFileError(f"{path} is not a receiving key's file, or its passphrase is wrong: {error}") from error  # fmt: skip
    if key.id != document["key"]:
        raise KeyFileError(f"{path} names the key {document['key']} and holds {key.id}")
    return Receiver(document["origin"], document["account"], document["hospital"], key)
