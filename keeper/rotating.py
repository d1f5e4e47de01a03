"""Rotation of the record root: every KEK goes under a new one, while the ledger is in use, and the old one is destroyed.

1. The new root is drawn and kept in its file, beside the old one.
2. It becomes the current one: from then on no process adds a KEK under the old one. The others load it when they first
   meet it.
3. Page by page the KEKs are re-wrapped, each page in one short transaction.
4. When none is left under an older root, the store says so, and the files of the older ones are destroyed.

Whatever is cut off is gone on with by running it again: each step is done once, or again with the same outcome.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from crypto import wraps
from crypto.errors import CryptoError
from durable.errors import StartRefused, StorageError
from durable.files import private
from keeper.keks import KEKS, Kek, KekStore, not_copied
from keeper.roots import FilePlace, RecordRoots, RootPlace

PAGE_KEKS = 2_000
"""KEKs re-wrapped in one transaction: the store's other writers wait for some milliseconds."""
_ROTATING = ".rotating"
"""The file in the keeper's folder whose lock lets one rotation run."""


@dataclass(frozen=True)
class Rotated:
    """What a rotation did."""

    generation: int
    """The current root's."""
    place: RootPlace
    """How it is kept."""
    rewrapped: int
    """KEKs that this run put under it."""
    destroyed: list[Path]
    """Files of older roots, which are gone."""
    left: list[RootPlace]
    """What wrapped those roots in a service or a token, which is still there."""
    resumed: bool
    """Whether it ended a rotation that was begun before, and began none."""


class RootStanding(NamedTuple):
    """A generation of the record root that is needed: how it is kept, and how many KEKs are under it."""

    generation: int
    place: RootPlace
    file: Path
    keks: int


def needed_roots(folder: Path) -> range:
    """The generations of the record root that the store in the keeper's `folder` needs: several during a rotation."""
    with closing(KekStore(folder / KEKS)) as store:
        oldest, current = store.roots()
    return range(oldest, current + 1)


def standing_roots(folder: Path, roots: RecordRoots) -> list[RootStanding]:
    """The same with all that is known of them; nothing is unwrapped."""
    with closing(KekStore(folder / KEKS)) as store:
        counts = store.under_roots()
    return [
        RootStanding(number, roots.place(number), roots.path(number), counts.get(number, 0))
        for number in needed_roots(folder)
    ]


def rotate_store(
    folder: Path,
    roots: RecordRoots,
    place: RootPlace,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Rotated:
    """`rotate`, of the store in the keeper's `folder`."""
    with closing(KekStore(folder / KEKS)) as store:
        return rotate(folder, store, roots, place, progress)


def rotate(
    folder: Path,
    store: KekStore,
    roots: RecordRoots,
    place: RootPlace,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Rotated:
    """Put every KEK under a new root, kept at `place`; or end the rotation that was cut off before.

    `folder`: the keeper's. `progress(KEKs done, KEKs)`. Raises StartRefused, also where another rotation runs.
    """
    with _only_one(folder):
        oldest, current = store.roots()
        there = roots.there()
        begun = oldest < current or any(number < current for number in there)
        if not begun:
            current = _begin(store, roots, current, place)
        rewrapped = _rewrap(store, roots, current, progress)
        with not_copied(folder):
            destroyed, left = _retire(store, roots, current)
        return Rotated(current, roots.place(current), rewrapped, destroyed, left, begun)


def _begin(store: KekStore, roots: RecordRoots, current: int, place: RootPlace) -> int:
    """Make the next root the current one; gives its generation."""
    following = current + 1
    roots.get(current)  # nothing is begun that can't be ended
    if following in roots.there() and roots.place(following) != place:
        roots.destroy(following)  # of a run that was cut off before anything was under it
    if following not in roots.there():
        roots.create(following, place)
    roots.get(following)
    store.set_current_root(following)
    return following


def _rewrap(
    store: KekStore, roots: RecordRoots, current: int, progress: Callable[[int, int], None]
) -> int:
    counts = store.under_roots()
    size, done = sum(counts.values()), counts.get(current, 0)
    rewrapped, after = 0, ("", 0)
    while page := store.page(after, current, PAGE_KEKS):
        store.rewrap(_rewrapped(roots, page, current))
        rewrapped += len(page)
        after = page[-1].subject, page[-1].version
        progress(done + rewrapped, size)
    return rewrapped


def _rewrapped(
    roots: RecordRoots, page: Sequence[Kek], current: int
) -> list[tuple[bytes, int, str, int, int]]:
    made = []
    for old, keks in groupby(page, key=attrgetter("root")):
        rewrap = wraps.Rewrapping(roots.get(old), roots.get(current))
        for subject, version, wrapped, _ in keks:
            try:
                new = rewrap(wraps.kek_name(subject, version), wrapped)
            except CryptoError as error:
                raise StorageError(
                    f"the key of {subject} in version {version} can't be unwrapped under root {old}: {error}. Restore the "
                    "keeper's store from its backup; both roots are kept"
                ) from error
            made.append((new, current, subject, version, old))
    return made


def _retire(
    store: KekStore, roots: RecordRoots, current: int
) -> tuple[list[Path], list[RootPlace]]:
    """Destroy the older roots; gives their files, and what wrapped them elsewhere."""
    if left_under := store.retire_roots():
        raise StorageError(f"{left_under} KEKs are still under an older root: run it again")
    files, places = list[Path](), list[RootPlace]()
    for old in [number for number in roots.there() if number < current]:
        try:
            place = roots.place(old)
        except (
            StartRefused
        ):  # overwritten by a run that was cut off before it could remove the file
            place = FilePlace()
        roots.destroy(old)
        files.append(roots.path(old))
        if not isinstance(place, FilePlace) and place != roots.place(current):
            places.append(place)
    return files, places


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with open(folder / _ROTATING, "ab", opener=private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(
                "another rotation of the record root is running: wait for it"
            ) from error
        yield
