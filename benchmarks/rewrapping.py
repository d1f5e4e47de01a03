"""Rotation of the record root: KEKs that are put under a new one, in the keeper's own store on the disk."""

import os
import time
from contextlib import closing

from benchmarks.measure import Figure, workplace
from crypto import wraps
from crypto.ids import digits
from keeper.keks import Kek, KekStore
from keeper.roots import FIRST_ROOT, FilePlace, RecordRoots, Unlock
from keeper.rotating import rotate

KEKS = 1_000_000
AT_ONCE = 50_000


def figures() -> list[Figure]:
    """KEKs a second, from the new root's file to the removal of the old one."""
    with workplace() as place:
        roots = RecordRoots(place, Unlock())
        roots.create(FIRST_ROOT, FilePlace())
        with closing(KekStore(place / "keks.db", create=True)) as store:
            _fill(store, roots.get(FIRST_ROOT))
            began = time.perf_counter()
            done = rotate(place, store, roots, FilePlace())
            seconds = time.perf_counter() - began
    return [Figure.of("rotation", done.rewrapped / seconds)]


def _fill(store: KekStore, root: bytes) -> None:
    """KEKs of patients, in the order of their ids, which the store keeps them in."""
    subjects = sorted(f"pt_{digits(os.urandom(16))}" for _ in range(KEKS))
    for first in range(0, KEKS, AT_ONCE):
        made = [
            Kek(s, 1, wraps.wrap(root, wraps.kek_name(s, 1), os.urandom(wraps.KEY_BYTES)))
            for s in subjects[first : first + AT_ONCE]
        ]
        assert store.add(made)
