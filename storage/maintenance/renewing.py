"""Renewing keys: a new KEK for a subject, everything that the old one wraps under it, and the old one destroyed.

For many subjects at a time, while the ledger is in use:

1. The keeper makes the new KEK. From then on whatever is wrapped anew is under it.
2. The key table's floor is raised: no process stages a key any more that was wrapped under the old one.
3. The subject's keys are re-wrapped, a page in each transaction, each key only if it is still what it was.
4. The old KEK is destroyed, for every process at once. Whoever still holds a wrap of it takes the key from the table again
   (`keytable.with_keys`). What lies in backups and logs of the database opens nothing any more.

Whatever is cut off is gone on with by running it again.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from durable.errors import NotFound, StartRefused
from durable.files import replace_file
from keeper.errors import KeeperRefused, KeeperUnavailable
from keeper.protocol import Keeper, KeptBlob, Wrapped
from storage.keytable import KeyTable, OlderKeys
from storage.sql.database import CRASHED_SECONDS

SUBJECTS_AT_ONCE = 100
"""Subjects renewed together: each step waits for the disk once."""
PAGE_KEYS = 1_000
"""Keys of each kind re-wrapped in one transaction."""
COPY_SECONDS = 600
"""How long a backup that copies the database and the keeper's store is waited for."""
PLACE = "renewing"
"""The file of the data directory that says how far a renewal of all is."""
ALONE = "renewing"


@dataclass
class Renewed:
    """What a renewal did."""

    subjects: int = 0
    keys: int = 0
    """Object keys and data keys that were re-wrapped."""
    destroyed: int = 0
    """KEKs that are gone."""
    lost: list[str] = field(default_factory=list)
    """Keys that no KEK opens, by name; their subjects' older KEKs are kept."""


@dataclass(frozen=True)
class Renewing:
    """The key table and the keeper."""

    keys: KeyTable
    keeper: Keeper

    def one(self, subject: str) -> Renewed:
        """Renew the keys of one subject (patient, account or hospital); raises NotFound without any."""
        done = Renewed()
        with self.keys.database.alone(ALONE, CRASHED_SECONDS) as alone:
            _check_alone(alone)
            if not self.keeper.versions([subject])[subject]:
                raise NotFound(f"no key is kept for {subject}")
            self._renew([subject], done)
        return done

    def all(
        self, data: Path, progress: Callable[[int, int], None] = lambda done, size: None
    ) -> Renewed:
        """Renew the keys of all subjects, from where a run before was cut off; `progress(subjects, of how many)`.

        `data`: the data directory.
        """
        done, place = Renewed(), data / PLACE
        with self.keys.database.alone(ALONE, CRASHED_SECONDS) as alone:
            _check_alone(alone)
            after, size = _read(place), self.keys.count_subjects()
            while subjects := self.keys.subjects(after, SUBJECTS_AT_ONCE):
                self._renew(subjects, done)
                after = subjects[-1]
                replace_file(place, json.dumps({"after": after}).encode())
                progress(done.subjects, size)
            place.unlink(missing_ok=True)
        return done

    def _renew(self, subjects: Sequence[str], done: Renewed) -> None:
        kept = self.keeper.versions(subjects)
        done.lost += [f"every key of {s}" for s, versions in kept.items() if not versions]
        # Of those with several versions a run before was cut off: the newest is the one to go on with.
        self.keeper.advance({s: versions[-1] for s, versions in kept.items() if len(versions) == 1})
        kept = self.keeper.versions(subjects)
        self.keys.raise_floors({s: versions[-1] for s, versions in kept.items() if versions})
        lost = self.rewrap(subjects, done)
        old = [(s, v) for s, versions in kept.items() if s not in lost for v in versions[:-1]]
        self._destroy(old)
        done.subjects += len(subjects)
        done.destroyed += len(old)

    def _destroy(self, old: Sequence[tuple[str, int]]) -> None:
        """Destroy KEKs, after the backup that copies them just now."""
        for _ in range(COPY_SECONDS):
            try:
                return self.keeper.destroy(old)
            except KeeperUnavailable:
                time.sleep(1)
        self.keeper.destroy(old)

    def rewrap(self, subjects: Sequence[str], done: Renewed) -> set[str]:
        """Re-wrap all keys of these subjects that are under older KEKs than their floors; gives the subjects of those that
        no KEK opens."""
        lost, left = set[str](), list(subjects)
        while left:
            older = self.keys.below_floors(left, PAGE_KEYS)
            if not older.objects and not older.blobs:
                break
            try:
                self._replace(older, done)
            except KeeperRefused:
                found = self._one_by_one(older, done)
                lost |= found
                left = [subject for subject in left if subject not in found]
        return lost

    def _one_by_one(self, older: OlderKeys, done: Renewed) -> set[str]:
        lost = set[str]()
        single = [OlderKeys([one], []) for one in older.objects]
        single += [OlderKeys([], [one]) for one in older.blobs]
        for one in single:
            try:
                self._replace(one, done)
            except KeeperRefused:
                key = one.objects[0].key if one.objects else one.blobs[0].key
                done.lost.append(f"{key.name} of {key.subject}")
                lost.add(key.subject)
        return lost

    def _replace(self, older: OlderKeys, done: Renewed) -> None:
        renewed: list[Wrapped] = self.keeper.renew(
            [one.key for one in older.objects],
            [KeptBlob(one.record, one.sha256, one.key) for one in older.blobs],
        )
        self.keys.replace(older, renewed)
        done.keys += len(renewed)


def _check_alone(alone: bool) -> None:
    if not alone:
        raise StartRefused("keys are being renewed already: wait for it")


def _read(place: Path) -> str:
    """After which subject a renewal of all goes on."""
    if not place.exists():
        return ""
    after = json.loads(place.read_bytes())["after"]
    return str(after)
