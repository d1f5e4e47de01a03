"""Files for the pure verifier: those of an export, bounded, and those that somebody gave."""

import errno
import os
import stat
from functools import partial
from pathlib import Path

from crypto.errors import CryptoError, FormError
from crypto.notes import NOTE_LIMIT
from crypto.texts import plain_text
from ledger.checkpoint import parse_keys
from ledger.entry import ENTRY_LIMIT
from ledger.errors import Tampered
from ledger.histories import HISTORY_LIMIT, is_history
from ledger.layout import KEYS_LIMIT, POLICY_LIMIT, Read, size_limit
from ledger.receipt import PATH_LIMIT, RECEIPT_HEAD

RECEIPT_LIMIT = NOTE_LIMIT + 2 * ENTRY_LIMIT + 64 * PATH_LIMIT
"""Longest receipt in bytes: its checkpoint, its entry in base64, its path."""


def list_files(directory: Path) -> tuple[list[str], list[str]]:
    """Whatever lies in a folder and those below it: names from the folder on, folders apart.

    Raises OSError for a folder that can't be read: what lies in it is not known.
    """
    files, folders, below = list[str](), list[str](), len(f"{directory}/")

    def refuse(error: OSError) -> None:
        raise error

    for folder, inner, names in os.walk(directory, onerror=refuse):
        for name in (*inner, *names):
            path = f"{folder}/{name}"
            isfolder = name in inner and not os.path.islink(path)
            (folders if isfolder else files).append(path[below:])
    return files, folders


def export_reader(directory: Path) -> Read:
    """What reads the files of an export, each no longer than its kind may be.

    Raises FileNotFoundError if there is no such folder, which says nothing about any log.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no folder {directory}")
    return partial(read_file, directory)


def read_file(directory: Path, path: str, limit: int | None = None) -> bytes:
    """A file of an export of at most `limit` bytes, by default those that its kind may have.

    Raises Tampered if it isn't there, is a link or another thing, or is longer.
    """
    limit = size_limit(path) if limit is None else limit
    try:
        # Never a link; and what is no file, as a pipe, is not waited for.
        opened = os.open(f"{directory}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Tampered(f"{path}: missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Tampered(f"{path}: missing") from error
        raise
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode):
        os.close(opened)
        raise Tampered(f"{path}: missing")
    with os.fdopen(opened, "rb") as file:
        data = b"" if found.st_size > limit else file.read(limit + 1)
    if max(found.st_size, len(data)) > limit:
        raise Tampered(f"{path}: has {found.st_size} bytes, expected at most {limit}")
    return data


def read_text(path: Path, limit: int) -> bytes:
    """A file of text that somebody gave, in the form in which it was written; see `plain_text`.

    Raises FormError if it is no text or has more than `limit` bytes.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FormError(f"{path}: has more than {limit} bytes, expected at most that")
    return plain_text(data, str(path))


def read_vkeys(path: Path | None) -> list[str] | None:
    """The verifier keys of a file, one a line; None without a file. Raises FormError if they are none."""
    if path is None:
        return None
    vkeys = read_text(path, KEYS_LIMIT).decode("utf-8", "replace").split()
    try:
        parse_keys(vkeys)
    except CryptoError as error:
        raise FormError(f"{path}: is not a file of a log's verifier keys: {error}") from error
    return vkeys


def read_policy(path: Path | None) -> bytes | None:
    """The witness policy of a file; None without a file. Raises FormError."""
    return None if path is None else read_text(path, POLICY_LIMIT)


def read_proof(path: Path) -> bytes:
    """A receipt, or the proof of a history, whatever its ends of lines; raises FormError if it is neither."""
    with path.open("rb") as file:
        head = file.read(64)
    if is_history(head):
        return read_text(path, HISTORY_LIMIT)
    receipt = read_receipt(path)
    assert receipt is not None
    return receipt


def read_receipt(path: Path | None) -> bytes | None:
    """The receipt of a file, which may hold or not; None without a file. Raises FormError if it is none."""
    if path is None:
        return None
    data = read_text(path, RECEIPT_LIMIT)
    if not data.startswith(RECEIPT_HEAD + b"\n"):
        raise FormError(f"{path}: is not a receipt: its first line is not {RECEIPT_HEAD.decode()}")
    return data
