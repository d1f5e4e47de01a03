"""The record root, by generation: each rotation makes the next one, and destroys the one before when nothing needs it.

    roots/record.root        generation 1
    roots/record.root.2      generation 2, and so on

A file is one line: a word that says how the root is kept, and what that needs.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from os import urandom
from pathlib import Path
from typing import Any

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from durable.errors import StartRefused
from durable.files import create_file
from keeper.roots import kms, pkcs11
from keeper.roots.file import (
    ROOT_BYTES,
    create_root,
    destroy_root_file,
    load_root,
    read_root_file,
    rewrap_root,
)
from keeper.roots.place import FilePlace, KmsPlace, Pkcs11Place, RootPlace

RECORD_ROOT = "record.root"
"""The file of generation 1, and the subject that a wrap is bound to."""
FIRST_ROOT = 1
"""The generation that `init` makes."""
_KMS, _PKCS11 = "heartwood-root-kms", "heartwood-root-pkcs11"
_GENERATION = re.compile(rf"{re.escape(RECORD_ROOT)}(?:\.([1-9][0-9]{{0,8}}))?").fullmatch


@dataclass(frozen=True, repr=False)
class Unlock:
    """What opens roots, where something is needed: the passphrase of a file, the PIN of a token."""

    passphrase: str | None = None
    pin: str | None = None


def root_path(folder: Path, generation: int) -> Path:
    """The file of a generation, from 1."""
    return folder / (RECORD_ROOT if generation == FIRST_ROOT else f"{RECORD_ROOT}.{generation}")


class RecordRoots:
    """The record roots in a folder. Each is unwrapped when it is first asked for, and kept until it is retired.

    Thread-safe. Every method raises StartRefused, with the remedy, for a root that can't be had.
    """

    def __init__(self, folder: Path, unlock: Unlock) -> None:
        """`folder`: HEARTWOOD_ROOT; nothing is read yet."""
        self._folder, self._unlock = folder, unlock
        self._lock, self._had = threading.Lock(), dict[int, bytes]()

    def get(self, generation: int) -> bytes:
        """A root, 32 bytes."""
        if (
            had := self._had.get(generation)
        ) is not None:  # nobody waits for the loading of another
            return had
        with self._lock:
            root = self._had.get(generation)
            if root is None:
                root = self._had[generation] = self._load(generation)
            return root

    def check(self, place: RootPlace) -> None:
        """Raises StartRefused unless a root can be kept there, and is had again; keeps nothing."""
        if not isinstance(place, FilePlace):
            self._wrapped(place, FIRST_ROOT, urandom(ROOT_BYTES))

    def create(self, generation: int, place: RootPlace) -> None:
        """Draw the root of a generation and keep it at a place; raises FileExistsError if one is there."""
        path = root_path(self._folder, generation)
        if isinstance(place, FilePlace):
            create_root(path, self._unlock.passphrase)
        else:
            line = self._wrapped(place, generation, urandom(ROOT_BYTES))
            create_file(path, line.encode())

    def place(self, generation: int) -> RootPlace:
        """How a root is kept."""
        return self._parse(root_path(self._folder, generation))[0]

    def there(self) -> list[int]:
        """The generations that have a file, ascending."""
        found = (_GENERATION(path.name) for path in self._folder.iterdir())
        return sorted(int(match[1] or FIRST_ROOT) for match in found if match)

    def path(self, generation: int) -> Path:
        """The file of a generation."""
        return root_path(self._folder, generation)

    def under(self, generation: int, new: str | None) -> Callable[[], None] | None:
        """What puts a root's file under the passphrase `new`; None where no passphrase plays a part.

        The file is opened now, under the old passphrase or, of a change that was cut off, under the new one.
        """
        path = root_path(self._folder, generation)
        if not isinstance(self.place(generation), FilePlace):
            return None
        try:
            root = load_root(path, self._unlock.passphrase)
        except StartRefused as refused:
            try:
                root = load_root(path, new)
            except StartRefused:
                raise refused from None
        return partial(rewrap_root, path, root, new)

    @property
    def several(self) -> bool:
        """Whether more than one generation is in memory."""
        return len(self._had) > 1

    def forget_before(self, generation: int) -> None:
        """Keep no older root in memory."""
        with self._lock:
            for old in [known for known in self._had if known < generation]:
                del self._had[old]

    def destroy(self, generation: int) -> None:
        """Overwrite and remove a root's file; what wraps it in a service or a token stays there."""
        self.forget_before(generation + 1)
        destroy_root_file(root_path(self._folder, generation))

    def _load(self, generation: int) -> bytes:
        path = root_path(self._folder, generation)
        place, wrapped = self._parse(path)
        if isinstance(place, FilePlace):
            return load_root(path, self._unlock.passphrase)
        root = self._unwrap(place, wrapped, generation)
        if len(root) != ROOT_BYTES:
            raise StartRefused(f"{path} holds a root of {len(root)} bytes, expected {ROOT_BYTES}")
        return root

    def _unwrap(self, place: KmsPlace | Pkcs11Place, wrapped: bytes, generation: int) -> bytes:
        if isinstance(place, KmsPlace):
            return kms.unwrap_root(place, wrapped, RECORD_ROOT, generation)
        return pkcs11.unwrap_root(place, self._unlock.pin, wrapped, RECORD_ROOT, generation)

    def _wrapped(self, place: KmsPlace | Pkcs11Place, generation: int, root: bytes) -> str:
        """The line of a root's file, which was opened once: never a root that lasts only as long as this process."""
        if isinstance(place, KmsPlace):
            word, wrapped = _KMS, kms.wrap_root(place, root, RECORD_ROOT, generation)
        else:
            word = _PKCS11
            wrapped = pkcs11.wrap_root(place, self._unlock.pin, root, RECORD_ROOT, generation)
        if self._unwrap(place, wrapped, generation) != root:
            raise StartRefused(f"what {place} wraps, it unwraps to something else: use another")
        return f"{word} {json.dumps(asdict(place) | {'wrapped': b64encode(wrapped)})}\n"

    def _parse(self, path: Path) -> tuple[RootPlace, bytes]:
        """How the root in a file is kept, and its wrap where it is one of a service or a token."""
        word, _, rest = read_root_file(path).partition(" ")
        kinds: dict[str, type[KmsPlace | Pkcs11Place]] = {_KMS: KmsPlace, _PKCS11: Pkcs11Place}
        if word not in kinds:
            return FilePlace(), b""
        try:
            said: dict[str, Any] = json.loads(rest)
            wrapped = b64decode(said.pop("wrapped"))
            if not all(isinstance(value, str) for value in said.values()):
                raise TypeError("expected texts")
            return kinds[word](**said), wrapped
        except (ValueError, TypeError, KeyError, AttributeError, CryptoError) as error:
            raise StartRefused(
                f"{path} can't be opened: it was altered ({error}). Put it back from its backup"
            ) from error
