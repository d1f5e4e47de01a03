"""Another passphrase for all that has one: root keys, the log's and the service's keys, key files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from api.app.layout import ROOTS, SEEDS, read_marker
from api.app.settings import Settings
from durable.errors import StartRefused
from identity.actors import read_keyfile, rewrap_keyfile
from identity.errors import KeyFileError
from keeper.roots import load_root, rewrap_root

T = TypeVar("T")


@dataclass(frozen=True)
class Rewrapped:
    """What is under the new passphrase now, and what is not."""

    changed: list[Path]
    left: list[Path]
    """Key files that open under neither passphrase; they stay as they are."""


def change_passphrase(settings: Settings, new: str | None, others: Sequence[Path]) -> Rewrapped:
    """Put everything under the passphrase `new` (None: under none).

    All is opened before anything is written, under the old passphrase or, where a change was cut off, under the
    new one. Each file is replaced as a whole: after a crash run it again. `others`: key files kept elsewhere.
    Raises StartRefused or KeyFileError, with nothing written.
    """
    read_marker(settings)
    old = settings.secret()
    rewrap: dict[Path, Callable[[], None]] = {}
    left: list[Path] = []
    for path in [*(settings.data / "people").glob("*.key"), *others]:
        try:
            actor = _either(partial(read_keyfile, path), old, new)
            rewrap[path] = partial(rewrap_keyfile, path, actor, new)
        except KeyFileError:
            if path in others:
                raise
            left.append(path)
    folders = {settings.data / "keys": SEEDS, settings.roots(): ROOTS}
    for path in [folder / name for folder, names in folders.items() for name in names]:
        root = _either(partial(load_root, path), old, new)
        rewrap[path] = partial(rewrap_root, path, root, new)
    for replace in rewrap.values():
        replace()
    return Rewrapped(list(rewrap), left)


def _either(load: Callable[[str | None], T], old: str | None, new: str | None) -> T:
    """What opens under the old passphrase, or else under the new one; raises as under the old one."""
    try:
        return load(old)
    except (KeyFileError, StartRefused):
        try:
            return load(new)
        except (KeyFileError, StartRefused):
            pass
        raise
