"""Another passphrase for all that has one: root keys, the log's and the service's keys, key files; and another record root."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from api.app.layout import (
    IDENTITY_ROOT,
    SERVICE_SEED,
    check_kept,
    keeper_folder,
    read_marker,
    record_roots,
)
from api.app.logkeys import seed_files
from api.app.settings import Settings
from durable.errors import StartRefused
from identity.actors import read_keyfile, rewrap_keyfile
from identity.errors import KeyFileError
from keeper.cosigning import COSIGNING
from keeper.releases import RELEASES_SEEDS
from keeper.roots import RootPlace, load_root, rewrap_root
from keeper.rotating import RootStanding, Rotated, needed_roots, rotate_store, standing_roots

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""What is done, and of how much."""


@dataclass(frozen=True)
class Rewrapped:
    """What is under the new passphrase now, and what is not."""

    changed: list[Path]
    left: list[Path]
    """Key files that open under neither passphrase; they stay as they are."""
    elsewhere: list[Path]
    """Record roots that a service or a token wraps: no passphrase plays a part in them."""


def change_passphrase(
    settings: Settings,
    new: str | None,
    others: Sequence[Path],
    progress: Progress = lambda done, size: None,
) -> Rewrapped:
    """Put everything under the passphrase `new` (None: under none).

    All is opened before anything is written, under the old passphrase or, where a change was cut off, under the
    new one. Each file is replaced as a whole: after a crash run it again. `others`: key files kept elsewhere;
    `progress(files done, files)`. Raises StartRefused or KeyFileError, with nothing written.
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
    folder = settings.data / "keys"
    seeds = [*seed_files(folder), folder / SERVICE_SEED]
    kept = keeper_folder(settings)
    signing = [kept / name for name in COSIGNING + RELEASES_SEEDS if (kept / name).exists()]
    for path in [*seeds, *signing, settings.roots() / IDENTITY_ROOT]:
        root = _either(partial(load_root, path), old, new)
        rewrap[path] = partial(rewrap_root, path, root, new)
    elsewhere = _record_roots(settings, new, rewrap)
    for done, replace in enumerate(rewrap.values(), 1):
        replace()
        progress(done, len(rewrap))
    return Rewrapped(list(rewrap), left, elsewhere)


def rotate_root(
    settings: Settings, place: RootPlace, progress: Progress = lambda done, size: None
) -> Rotated:
    """Put every KEK under a new record root, kept at `place`, while the ledger is in use; see `keeper.rotating`."""
    check_kept(settings)
    return rotate_store(keeper_folder(settings), record_roots(settings), place, progress)


def show_roots(settings: Settings) -> list[RootStanding]:
    """The record roots that are needed: two while a rotation goes on."""
    check_kept(settings)
    return standing_roots(keeper_folder(settings), record_roots(settings))


def _record_roots(
    settings: Settings, new: str | None, rewrap: dict[Path, Callable[[], None]]
) -> list[Path]:
    """Add the record roots that are needed to `rewrap`; gives those that no passphrase opens."""
    roots, elsewhere = record_roots(settings), []
    for generation in needed_roots(keeper_folder(settings)):
        path, replace = roots.path(generation), roots.under(generation, new)
        if replace is None:
            elsewhere.append(path)
        else:
            rewrap[path] = replace
    return elsewhere


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
