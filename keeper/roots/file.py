"""Root keys in files of their own: 32 bytes each, mode 0600, optionally under a passphrase by Argon2id."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.passphrases import passphrase_bytes, passphrase_forms
from crypto.wraps import unwrap, wrap
from durable.errors import StartRefused
from durable.files import PRIVATE_MODE, create_file, replace_file, sync_directory

ROOT_BYTES = 32
ARGON2_MEMORY_KIB = 65_536
ARGON2_ITERATIONS = 3
ARGON2_LANES = 1
_PLAIN, _SEALED = "heartwood-root", "heartwood-root-argon2id"


def create_root(path: Path, passphrase: str | None) -> bytes:
    """Draw a new root key and keep it at `path`; raises FileExistsError if one is there."""
    root = os.urandom(ROOT_BYTES)
    create_file(path, root_text(path.name, root, passphrase))
    return root


def rewrap_root(path: Path, root: bytes, passphrase: str | None) -> None:
    """Keep the same root key at `path` under another passphrase (None: under none), atomically."""
    replace_file(path, root_text(path.name, root, passphrase))


def root_text(name: str, root: bytes, passphrase: str | None) -> bytes:
    """A line that holds 32 bytes, under the passphrase if there is one; `name` is bound to it then."""
    if passphrase is None:
        return f"{_PLAIN} {b64encode(root)}\n".encode()
    salt = os.urandom(16)
    sealed = wrap(_stretch(passphrase_bytes(passphrase), salt), name.encode(), root)
    return f"{_SEALED} {b64encode(salt)} {b64encode(sealed)}\n".encode()


def load_root(path: Path, passphrase: str | None) -> bytes:
    """The root key at `path`; raises StartRefused with the remedy if it can't be had."""
    text = read_root_file(path)
    try:
        return open_root_text(path.name, text, passphrase)
    except LookupError as error:
        raise StartRefused(f"{path} has a passphrase: set HEARTWOOD_PASSPHRASE") from error
    except CryptoError as error:
        raise StartRefused(
            f"{path} can't be opened: it was altered, or the passphrase is wrong ({error}). If a change of the passphrase "
            "was interrupted, run it again: `heartwood passphrase`"
        ) from error
    except ValueError as error:
        raise StartRefused(f"{path} is not a root key of Heartwood") from error


def open_root_text(name: str, text: str, passphrase: str | None) -> bytes:
    """The 32 bytes of a `root_text`.

    Raises CryptoError for a wrong passphrase or what was altered, LookupError where a passphrase is needed and none is given,
    ValueError for what is no such line.
    """
    parts = text.split()
    if len(parts) == 2 and parts[0] == _PLAIN:
        return b64decode(parts[1], ROOT_BYTES)
    if len(parts) == 3 and parts[0] == _SEALED:
        if passphrase is None:
            raise LookupError("it has a passphrase")
        return _opened(name, passphrase, b64decode(parts[1], 16), b64decode(parts[2]))
    raise ValueError("expected a key's line")


def read_root_file(path: Path) -> str:
    """The text of a root's file, which only its owner can read; raises StartRefused with the remedy."""
    if not path.exists():
        raise StartRefused(
            f"the root key {path} is missing. Put it back from its backup (HEARTWOOD_ROOT names its "
            "folder); without it no record can be opened, and it is never created again for an existing ledger."
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StartRefused(
            f"{path} is readable by others, expected mode {PRIVATE_MODE:o}: run chmod 600"
        )
    return path.read_text(errors="replace")


def destroy_root_file(path: Path) -> None:
    """Overwrite a root's file and remove it, durably; none there is fine.

    On a disk that writes elsewhere what it overwrites (flash, a file system that copies on write, a snapshot) the old
    bytes may stay: only what such a disk is encrypted with helps there.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(os.urandom(max(path.stat().st_size, ROOT_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)


def is_sealed(path: Path) -> bool:
    """Whether a root key's file is under a passphrase; nothing is opened. Raises OSError."""
    return path.read_text(errors="replace").startswith(f"{_SEALED} ")


def _opened(name: str, passphrase: str, salt: bytes, sealed: bytes) -> bytes:
    """The root, under whichever form of the passphrase; raises CryptoError."""
    *first, last = passphrase_forms(passphrase)
    for form in first:
        with suppress(CryptoError):
            return unwrap(_stretch(form, salt), name.encode(), sealed)
    return unwrap(_stretch(last, salt), name.encode(), sealed)


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    return Argon2id(
        salt=salt,
        length=ROOT_BYTES,
        iterations=ARGON2_ITERATIONS,
        lanes=ARGON2_LANES,
        memory_cost=ARGON2_MEMORY_KIB,
    ).derive(passphrase)
