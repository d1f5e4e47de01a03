"""KEKs, unwrapped for one use: the store under the record roots.

No unwrapped KEK outlives the call that uses it. The store is asked each time, which costs microseconds, so that a KEK
that any process destroyed is gone in every other one at once.
"""

import os
from collections.abc import Mapping, Sequence

from crypto import wraps
from durable.errors import StartRefused
from keeper.errors import KeeperRefused, KeyRenewed
from keeper.keks import Kek, KekStore
from keeper.roots import RecordRoots

TRIES = 8
"""How often a KEK is asked for while rotations pass by."""


class Keks:
    """The KEKs of a store, under the roots that wrap them. Raises StorageError where the store can't be read."""

    def __init__(self, store: KekStore, roots: RecordRoots) -> None:
        """`roots` gives each generation's root when it is first wanted."""
        self.store, self._roots = store, roots

    def check_roots(self) -> None:
        """Raises StartRefused where a root that is needed can't be had: two, while a rotation goes on."""
        oldest, current = self.store.roots()
        for generation in range(oldest, current + 1):
            self._roots.get(generation)

    def kek(self, subject: str, version: int) -> bytes:
        """One KEK; raises KeyRenewed where a newer version took its place, KeeperRefused where none did."""
        while True:
            found = self.store.get(subject, version)
            if found is None:
                raise self._gone(subject, version)
            try:
                return self._open(found)
            except StartRefused:
                if self.store.get(subject, version) == found:
                    raise
                # Its root was retired since it was read: by now it is under the next one.

    def newest(self, subjects: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """(version, KEK) of each subject; version 1 is made where there is none."""
        wanted = list(dict.fromkeys(subjects))
        for _ in range(TRIES):
            kept = self.store.latest(wanted)
            fresh = [(subject, 1) for subject in wanted if subject not in kept]
            if fresh:
                self._make(fresh)
                continue
            try:
                return {subject: (kek.version, self._open(kek)) for subject, kek in kept.items()}
            except StartRefused:
                if self.store.latest(wanted) == kept:
                    raise
        raise KeeperRefused(f"the keys of {len(wanted)} subjects changed {TRIES} times meanwhile")

    def advance(self, above: Mapping[str, int]) -> None:
        """Make the version after `above` of each subject, unless it is there already."""
        made = [(subject, version + 1) for subject, version in above.items()]
        for _ in range(TRIES):
            if self._make(made):
                return
        raise KeeperRefused(f"the record root changed {TRIES} times meanwhile")

    def _make(self, names: Sequence[tuple[str, int]]) -> bool:
        _, generation = self.store.roots()
        root = self._roots.get(generation)
        made = [
            Kek(
                s,
                v,
                wraps.wrap(root, wraps.kek_name(s, v), os.urandom(wraps.KEY_BYTES)),
                generation,
            )
            for s, v in names
        ]
        return self.store.add(made)

    def _open(self, kek: Kek) -> bytes:
        root = self._roots.get(kek.root)
        if self._roots.several:  # a rotation goes on, or has ended since
            self._roots.forget_before(self.store.roots()[0])
        return wraps.unwrap(root, wraps.kek_name(kek.subject, kek.version), kek.wrapped)

    def _gone(self, subject: str, version: int) -> KeeperRefused:
        newest = self.store.latest([subject]).get(subject)
        if newest is not None and newest.version > version:
            return KeyRenewed(
                f"the keys of {subject} were renewed: got a wrap of version {version}, expected one of {newest.version}. "
                "Take the wrapped key from the key table again"
            )
        return KeeperRefused(
            f"no key is kept for {subject} in version {version}: it was erased, or never created"
        )
