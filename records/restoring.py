"""Going on after a restored backup: the operator declares the loss in the log, for all to see."""

from dataclasses import dataclass
from pathlib import Path

from crypto.encoding import b64encode
from identity.actors import Actor
from ledger.checkpoint import Checkpoint, open_checkpoint
from records.appending import append
from records.errors import RecordsError
from storage.files import replace_file
from storage.ledger import Ledger


@dataclass(frozen=True)
class Restored:
    """What was declared: the size gone on from, the last size known before, the entry that says so."""

    seq: int
    size: int
    last_size: int


def accept_restore(ledger: Ledger, operator: Actor, anchor: Path) -> Restored:
    """Append `ledger.restored`, tell the keeper, and let the anchor follow; in this order.

    What was known last is the anchor's checkpoint, or the keeper's if that is larger; if neither is there,
    the head itself. Raises RecordsError if the database extends what was known and the anchor is there.
    """
    head, last = ledger.head(), ledger.keeper.seen
    if anchor.exists():
        kept = open_checkpoint(anchor.read_bytes(), ledger.vkeys)
        last = kept if kept.size >= last.size else last
    if not last.size or (last.size <= head.size and ledger.root_at(last.size) == last.root):
        if anchor.exists():
            raise RecordsError(
                f"the database has {head.size} entries and extends the last checkpoint of {last.size}: "
                "there is nothing to accept"
            )
        last = Checkpoint(ledger.origin, head.size, head.root)
    body = {
        "last_root": b64encode(last.root),
        "last_size": last.size,
        "root": b64encode(head.root),
        "size": head.size,
    }
    event = operator.event("ledger.restored", "ledger", body, ledger.clock())
    seq = append(ledger, operator, [event])[0].link.seq
    shown = ledger.reading(seq, 0)
    ledger.keeper.accept_restored(shown.receipt, shown.key)
    replace_file(anchor, shown.receipt.checkpoint)
    return Restored(seq, head.size, last.size)
