"""Going on after a restored backup: the operator declares the loss in the log, for all to see."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from client.beside import append
from crypto.encoding import b64encode
from crypto.errors import NoteError
from crypto.texts import counted
from durable.errors import NotFound
from durable.trusted import TrustedCheckpoint
from identity.actors import Actor
from journeys.errors import RecordsError
from keeper.protocol import Keeper
from ledger.checkpoint import Checkpoint, open_checkpoint, said_by
from ledger.logkeys import LogKeys
from ledger.merkle import root_of
from storage.ledger import Ledger
from storage.stores import Stores


@dataclass(frozen=True)
class Restored:
    """What was declared: the size gone on from, the last size known before, the entry that says so."""

    seq: int
    size: int
    last_size: int


def accept_restore(ledger: Ledger, operator: Actor, trusted: Path) -> Restored:
    """Append `ledger.restored`, tell the keeper, and let the trusted checkpoint follow; in this order.

    What was known last is the trusted checkpoint's checkpoint, or the keeper's if that is larger; if neither is there,
    the head itself. Raises RecordsError if the database extends what was known and the trusted checkpoint is there.
    """
    outside = TrustedCheckpoint(trusted, 0, lambda note: said_by(note).size)
    head, last = _compared(ledger.stores, ledger.keeper, outside)
    body = {
        "last_root": b64encode(last.root),
        "last_size": last.size,
        "root": b64encode(head.root),
        "size": head.size,
    }
    ledger.outbox.forget()  # what waited in it may have been sent since it was copied
    # What was ended, proved or confirmed since the copy was made isn't known: nothing half done goes on.
    ledger.credentials.sessions.forget()
    ledger.credentials.challenges.forget()
    ledger.credentials.forget_begun()
    ledger.contacts.forget_proofs()
    event = operator.event("ledger.restored", "ledger", body, ledger.clock())
    seq = append(ledger, operator, [event])[0].link.seq
    restored, first = ledger.receipts_now((seq, 0))
    ledger.keeper.accept_restored(restored, first)
    outside.reset(restored.checkpoint)
    return Restored(seq, head.size, last.size)


def _signed(note: bytes, stores: Stores) -> Checkpoint:
    """The checkpoint of a note that the keys of one of the log's generations signed; raises NoteError.

    Those that count at its size aren't known: the entries that named or retired them may be lost.
    """
    keys = stores.vkeys
    pairs = [one.keys for one in keys.generations] if isinstance(keys, LogKeys) else [keys]
    for pair in pairs[1:]:
        with suppress(NoteError):
            return open_checkpoint(note, pair)
    return open_checkpoint(note, pairs[0])


def _compared(
    stores: Stores, keeper: Keeper, outside: TrustedCheckpoint
) -> tuple[Checkpoint, Checkpoint]:
    """Where the database ends, and what was known last; raises RecordsError where nothing was lost.

    Both are looked at under the head's lock. While it is held nobody appends, so a neighbour at work never
    makes the trusted checkpoint run ahead of a head that was read before it.
    """
    with stores.database.write() as connection:
        locked = stores.store.head(connection, lock=True)
        if locked is None:
            raise NotFound("the database holds no log")
        seen = keeper.standing()
        head = Checkpoint(locked.origin, locked.size, locked.root)
        last = Checkpoint(locked.origin, seen.size, seen.root)
        note = outside.read()
        if note is not None:
            kept = said_by(note)  # beyond the head by keys that the database may not know of
            if kept.size <= head.size:
                kept = _signed(note, stores)
            last = kept if kept.size >= last.size else last
        if last.size > head.size:
            return head, last
        node = stores.store.nodes(connection)
        if last.size and root_of(last.size, node) != last.root:
            return head, last
    if note is not None:
        raise RecordsError(
            f"nothing was lost: the database has {counted(head.size, 'entry')} and extends the last checkpoint of "
            f"{last.size}, so there is nothing to accept. Go on as usual; `heartwood status` shows the ledger"
        )
    return head, head
