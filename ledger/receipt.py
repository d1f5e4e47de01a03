"""Receipts (C2SP tlog-proof): one entry, its inclusion path and the checkpoint it leads to."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.encoding import b64decode, b64encode, decimal
from crypto.errors import CryptoError
from crypto.notes import Note, VerifierKey
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import ProofError
from ledger.merkle import HASH_BYTES, leaf_hash, root_from_path

PATH_LIMIT = 63
"""Most hashes in a path."""
RECEIPT_HEAD = b"c2sp.org/tlog-proof@v1"
"""The first line of a receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The parts of a receipt; `checkpoint` is the note, verbatim."""

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def text(self) -> bytes:
        """The receipt's bytes."""
        lines = [
            RECEIPT_HEAD,
            b"extra " + b64encode(self.entry).encode("ascii"),
            b"index %d" % self.index,
            *(b64encode(node).encode("ascii") for node in self.path),
        ]
        return b"\n".join(lines) + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Read a receipt strictly; raises ProofError."""
        head, gap, checkpoint = data.partition(b"\n\n")
        lines = head.split(b"\n")
        if not gap or len(lines) < 3 or lines[0] != RECEIPT_HEAD or len(lines) > 3 + PATH_LIMIT:
            raise ProofError("got bytes that are not a c2sp.org/tlog-proof@v1")
        if not lines[1].startswith(b"extra ") or not lines[2].startswith(b"index "):
            raise ProofError("receipt: expected the lines extra and index")
        try:
            entry = b64decode(lines[1][6:].decode("ascii"))
            path = tuple(b64decode(line.decode("ascii"), HASH_BYTES) for line in lines[3:])
            return cls(entry, decimal(lines[2][6:]), path, checkpoint)
        except (CryptoError, UnicodeDecodeError) as error:
            raise ProofError(f"receipt: {error}") from error

    def verify_path(self) -> Checkpoint:
        """The checkpoint the path leads to, whoever signed it; raises ProofError or NoteError."""
        checkpoint = Checkpoint.parse(Note.parse(self.checkpoint).text)
        self.check_under(checkpoint)
        return checkpoint

    def verify(self, keys: Sequence[VerifierKey]) -> Checkpoint:
        """The checkpoint under which the entry is proved to stand; raises ProofError or NoteError."""
        checkpoint = open_checkpoint(self.checkpoint, keys)
        self.check_under(checkpoint)
        return checkpoint

    def check_under(self, checkpoint: Checkpoint) -> None:
        """Raises ProofError unless the path leads from the entry to the checkpoint's root."""
        root = root_from_path(self.index, checkpoint.size, leaf_hash(self.entry), self.path)
        if root != checkpoint.root:
            raise ProofError(f"receipt: entry {self.index} is not under the checkpoint's root")
