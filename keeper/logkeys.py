"""Which of the log's keys must have signed a checkpoint, by what the keeper has read of their hand-overs. Pure."""

from collections.abc import Sequence

from crypto.cosignatures import Checkpoint
from crypto.errors import NoteError
from crypto.notes import Note, VerifierKey
from ledger.checkpoint import open_checkpoint
from ledger.logkeys import Generation, LogKeys, newest_at


def open_followed(
    note: bytes, pinned: Sequence[VerifierKey], generations: Sequence[Generation], read: int
) -> Checkpoint:
    """The checkpoint of a note; raises NoteError unless the log's keys signed it.

    `pinned`: those that the keeper was made with; `generations`: those that the first `read` entries name. Under what was
    read, every key that counts must have signed. Beyond it, the newest known generation must; the one before it may be
    retired by an entry that is still to be read. Until the pinned keys are met in the log, they must have signed.
    """
    size, keys = Checkpoint.parse(Note.parse(note).text).size, LogKeys(generations)
    if not set(pinned) <= set(keys.ever()):
        if generations and size <= read:
            raise NoteError(
                "checkpoint: of a log that doesn't name the keys that this keeper was made with"
            )
        return open_checkpoint(note, pinned)
    if size <= read:
        return open_checkpoint(note, keys)
    newest = newest_at(generations, size)
    return open_checkpoint(note, newest.keys if newest else pinned)
