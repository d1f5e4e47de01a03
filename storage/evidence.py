"""What the key keeper is shown, and shown again where it follows the log at another size by now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from crypto.cosignatures import Checkpoint
from crypto.notes import Note
from durable.errors import NotFound
from keeper.errors import KeeperRefused
from keeper.protocol import Conflict, Evidence
from ledger.entry import Entry
from ledger.errors import LedgerError
from ledger.receipt import Receipt
from storage.feeding import feed
from storage.ledger import Ledger
from storage.log import CommittedBatch
from storage.reader import LogReader

A = TypeVar("A")
PROVING_TRIES = 8
"""How often one question is put to the keeper, each time proved from the size that it told the time before."""
SHOWN_ENTRIES, SHOWN_BYTES = 5_000, 16 * 1024 * 1024
"""Most entries that the keeper is shown at once for their signatures, and most bytes of them but for the first."""


@dataclass(frozen=True)
class Proofs:
    """Receipts under one checkpoint, and where the proofs come from that the keeper's log is this one."""

    receipts: tuple[Receipt, ...]
    size: int
    """Entries under the checkpoint."""
    prove: Callable[[int, int], Sequence[bytes]]
    """`prove(old, new)`: the consistency proof between two sizes."""

    def since(self, size: int, shown: Sequence[bytes] = ()) -> Evidence:
        """The evidence for a keeper that follows the log up to `size`, with the entries that it asked to be `shown`.

        What this log can't prove (the keeper saw more, or another log) goes without a proof, and the keeper refuses it.
        """
        old, new = min(size, self.size), max(size, self.size)
        try:
            proof = tuple(self.prove(old, new)) if 0 < old < new else ()
        except (LedgerError, NotFound, LookupError):
            proof = ()
        return Evidence(self.receipts, size, proof, tuple(shown))


def of_reading(ledger: LogReader, committed: CommittedBatch, entry: Entry) -> Proofs:
    """The receipt of a reading, from the memory of the batch that committed it."""
    return Proofs((committed.receipt(entry),), committed.size, partial(_prove, ledger, committed))


def of_entries(ledger: LogReader, *seqs: int) -> Proofs:
    """The receipts of these entries under the newest checkpoint."""
    receipts = tuple(ledger.receipts_now(seqs))
    size = Checkpoint.parse(Note.parse(receipts[0].checkpoint).text).size
    return Proofs(receipts, size, ledger.prove)


def cosigned_by_keeper(ledger: Ledger, note: bytes) -> bytes:
    """The keeper's cosignatures of a checkpoint of this log, as the lines of a note; raises KeeperRefused."""
    size = Checkpoint.parse(Note.parse(note).text).size
    shown = Proofs((), size, ledger.prove)
    return ask_keeper(
        ledger, shown, lambda found: ledger.keeper.cosign(found.since, note, found.proof)
    )


def ask_keeper(ledger: Ledger, shown: Proofs, ask: Callable[[Evidence], A | Conflict]) -> A:
    """The keeper's answer to `ask`, which puts one question to it on the strength of evidence.

    What it has not read yet it is given first. Other callers of the same keeper move it on, and a restart may set it
    back: then it tells where it stands, and the question is put again from there. Entries that it asks for it is shown. Raises KeeperRefused, after PROVING_TRIES too.
    """
    if ledger.keeper_size < shown.size:
        feed(ledger, shown.size)
    # An older checkpoint than the last one is most often one that the keeper read up to, and needs no proof then.
    size, tries, raws, owed = min(ledger.keeper_size, shown.size), 0, list[bytes](), 0
    while tries < PROVING_TRIES:
        answer = ask(shown.since(size, raws))
        if not isinstance(answer, Conflict):
            return answer
        if answer.unchecked:
            if 0 < owed <= len(answer.unchecked):
                raise KeeperRefused(
                    f"entry {answer.unchecked[0]} is not the one that the keeper read under that number"
                )
            owed, raws = len(answer.unchecked), _entries(ledger, answer.unchecked)
            continue
        tries, owed = tries + 1, 0
        ledger.keeper_size = size = answer.size
        if answer.behind:
            feed(ledger, max(shown.size, answer.size + 1))
            size = ledger.keeper_size
    raise KeeperRefused(
        f"the keeper stood at another size of the log each of the {PROVING_TRIES} times that it was asked"
    )


def _entries(ledger: Ledger, seqs: Sequence[int]) -> list[bytes]:
    """The first of these entries, as many as are shown at once."""
    seqs, size, found = seqs[:SHOWN_ENTRIES], 0, list[bytes]()
    entries = ledger.entries(seqs)
    for seq in seqs:
        size += len(entries[seq].raw)
        if found and size > SHOWN_BYTES:
            break
        found.append(entries[seq].raw)
    return found


def _prove(ledger: LogReader, committed: CommittedBatch, old: int, new: int) -> list[bytes]:
    """From the batch's own tree if it leads to its checkpoint, or else from the database."""
    if new == committed.size:
        return committed.consistency(old)
    return ledger.prove(old, new)
