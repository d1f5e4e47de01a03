"""Root keys in files: 32 bytes each, mode 0600, optionally under a passphrase by Argon2id."""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.wraps import unwrap, wrap
from storage.errors import StartRefused
from storage.files import PRIVATE_MODE, create_file

ROOT_BYTES = 32
ARGON2_MEMORY_KIB = 65_536
ARGON2_ITERATIONS = 3
ARGON2_LANES = 1
_PLAIN, _SEALED = "heartwood-root", "heartwood-root-argon2id"


def create_root(path: Path, passphrase: str | None) -> bytes:
    """Draw a new root key and keep it at `path`; raises FileExistsError if one is there."""
    root = os.urandom(ROOT_BYTES)
    if passphrase is None:
        text = f"{_PLAIN} {b64encode(root)}\n"
    else:
        salt = os.urandom(16)
        sealed = wrap(_stretch(passphrase, salt), path.name.encode(), root)
        text = f"{_SEALED} {b64encode(salt)} {b64encode(sealed)}\n"
    create_file(path, text.encode())
    return root


def load_root(path: Path, passphrase: str | None) -> bytes:
    """The root key at `path`; raises StartRefused with the remedy if it can't be had."""
    if not path.exists():
        raise StartRefused(
            f"the root key {path} is missing. Put it back from its backup (HEARTWOOD_ROOT names its "
            "folder); without it no record can be opened, and none is ever made anew over a ledger."
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StartRefused(
            f"{path} is readable by others, expected mode {PRIVATE_MODE:o}: run chmod 600"
        )
    parts = path.read_text(errors="replace").split()
    try:
        if len(parts) == 2 and parts[0] == _PLAIN:
            return b64decode(parts[1], ROOT_BYTES)
        if len(parts) == 3 and parts[0] == _SEALED:
            if passphrase is None:
                raise StartRefused(f"{path} has a passphrase: set HEARTWOOD_PASSPHRASE")
            key = _stretch(passphrase, b64decode(parts[1], 16))
            return unwrap(key, path.name.encode(), b64decode(parts[2]))
    except CryptoError as error:
        raise StartRefused(
            f"{path} does not open: altered, or another passphrase ({error})"
        ) from error
    raise StartRefused(f"{path} is not a root key of Heartwood")


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return Argon2id(
        salt=salt,
        length=ROOT_BYTES,
        iterations=ARGON2_ITERATIONS,
        lanes=ARGON2_LANES,
        memory_cost=ARGON2_MEMORY_KIB,
    ).derive(passphrase.encode())
