"""Torn last writes: what the disk may hold after a power cut beyond what it was told to keep."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable

from durable.errors import StartRefused
from durable.files import sync_directory
from ledger.sequencer import Appended
from tests.deep.injection import Part, Tally, Trial, drive
from tests.deep.journey import Sent, grant_body
from tests.deep.load import acknowledgement
from tests.deep.witness import Wrong
from tests.support.ledger_fixture import entry_of

RUNS = 200
RUNS_A_PART = 50
SECTOR_BYTES = 512
"""What a disk writes whole."""
DATABASE, WAL = "heartwood.db", "heartwood.db-wal"


class Torn:
    """A ledger as copied after one acknowledged event, and what a next one wrote into its files."""

    def __init__(self, trial: Trial) -> None:
        """Appends both events; the ledger is left closed, as it was before them."""
        self._world, fixture = trial, trial.fixture
        self._data, self._base = trial.settings.data, trial.folder / "base"
        fixture.reopen()
        events = [self._grant(), self._grant()]
        ledger = fixture.ledger
        first = ledger.append([events[0].proposal(ledger)])[0]
        assert isinstance(first, Appended)
        self.acknowledged = acknowledgement(first)
        shutil.rmtree(self._base, ignore_errors=True)
        shutil.copytree(self._data, self._base)
        self.next = events[1]
        ledger.append([self.next.proposal(ledger)])
        self._wal = (self._data / WAL).read_bytes()
        fixture.close()  # folds the log away: what is in the file now is what a checkpoint writes
        self._folded = (self._data / DATABASE).read_bytes()

    def _grant(self) -> Sent:
        """A grant of the first patient to the doctor's hospital, signed."""
        person, ledger = self._world.crowd.patients[0], self._world.fixture.ledger
        body = grant_body(self._world.crowd.doctor.account, ledger.clock())
        event = person.actor.event("access.granted", person.stream, body, ledger.clock())
        return Sent.of(ledger.origin, person.actor, event)

    def tail(self, chance: random.Random) -> None:
        """The write-ahead log ends in some sectors of what the next event wrote, cut off or not."""
        before = (self._base / WAL).read_bytes()
        common = next((i for i, (a, b) in enumerate(zip(before, self._wal, strict=False)) if a != b),
                      min(len(before), len(self._wal)))  # fmt: skip
        torn = bytearray(before) + bytes(max(0, len(self._wal) - len(before)))
        for start in range(common, len(self._wal), SECTOR_BYTES):
            if chance.random() < 0.5:
                torn[start : start + SECTOR_BYTES] = self._wal[start : start + SECTOR_BYTES]
        cut = chance.randrange(len(before), len(torn) + 1) if chance.random() < 0.5 else len(torn)
        (self._data / WAL).write_bytes(torn[:cut])

    def garbage(self, chance: random.Random) -> None:
        """The write-ahead log goes on with bytes that nobody wrote."""
        with (self._data / WAL).open("ab") as file:
            file.write(chance.randbytes(chance.randrange(1, 5 * SECTOR_BYTES)))

    def folding(self, chance: random.Random) -> None:
        """The database file has some sectors of a checkpoint that did not end; the log is still there."""
        before = (self._base / DATABASE).read_bytes()
        torn = bytearray(self._folded[: max(len(before), len(self._folded))])
        for start in range(0, len(before), SECTOR_BYTES):
            if chance.random() < 0.5:
                torn[start : start + SECTOR_BYTES] = before[start : start + SECTOR_BYTES]
        (self._data / DATABASE).write_bytes(torn)
        (self._data / WAL).write_bytes(self._wal)

    def temporaries(self, chance: random.Random) -> None:
        """Temporary files of a blob and of the trusted checkpoint that were cut off lie about."""
        folder = self._data / "blobs" / "zz"
        folder.mkdir(exist_ok=True)
        for path in (folder / ".bl_x.1.ab", self._data / ".checkpoint.1.ab"):
            path.write_bytes(chance.randbytes(chance.randrange(10_000)))

    def again(self) -> None:
        """Put the files back as they were after the acknowledged event."""
        shutil.rmtree(self._data)
        shutil.copytree(self._base, self._data)
        for name in self._data.glob("heartwood.db-shm"):
            name.unlink()  # memory, after a power cut
        sync_directory(self._data)

    def check(self) -> None:
        """The acknowledged event stands, the next one stands whole or not, and has one entry when sent again."""
        fixture, witness = self._world.fixture, self._world.witness
        witness.looked_at = 0
        self._world.stands([self.acknowledged])
        ledger = fixture.ledger
        entry = entry_of(ledger.append([self.next.proposal(ledger)])[0])
        again = entry_of(ledger.append([self.next.proposal(ledger)])[0])
        if again != entry:
            raise Wrong(f"{entry.event.id} is entry {entry.link.seq} and entry {again.link.seq}")
        witness.check(ledger, [])
        fixture.close()

    def trusted(self, chance: random.Random) -> None:
        """The trusted checkpoint is cut off or altered, which no power cut does: the start must refuse, in words."""
        path = self._data / "checkpoint"
        note = bytearray(path.read_bytes())
        if chance.random() < 0.5:
            del note[chance.randrange(len(note)) :]
        else:
            start = chance.randrange(len(note))
            note[start : start + SECTOR_BYTES] = chance.randbytes(len(note[start:][:SECTOR_BYTES]))
        path.write_bytes(note)
        try:
            self._world.fixture.reopen()
        except StartRefused:
            return
        raise Wrong("a ledger opened whose last checkpoint outside of it was altered")


Tear = Callable[[Torn, random.Random], None]
TEARS: tuple[tuple[str, Tear], ...] = (
    ("torn: the end of the write-ahead log", Torn.tail),
    ("torn: garbage after the write-ahead log", Torn.garbage),
    ("torn: an unfinished checkpoint of SQLite", Torn.folding),
    ("torn: temporary files", Torn.temporaries),
    ("altered: the trusted", Torn.trusted),
)


def run(part: Part) -> list[Tally]:
    """Each tear of one part's runs, on SQLite's files."""
    return [_row(part, name, tear) for name, tear in TEARS]


def _row(part: Part, name: str, tear: Tear) -> Tally:
    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        torn = Torn(trial)
        torn.again()
        tear(torn, chance)
        if tear is Torn.trusted:
            torn.again()
        torn.check()
        return True

    numbers = range(part.first, part.first + part.count)
    return drive(
        part,
        name,
        [(number, number) for number in numbers],
        case,
        lambda: Trial.found(part.engine, patients=1),
        lambda number, _: part.again(number),
    )
