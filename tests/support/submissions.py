"""A log of a few leaves with keys of its own, and what it submits to witnesses; as many histories of it as wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.encoding import b64decode
from crypto.notes import ED25519, LogSigner, VerifierKey, signature_line
from crypto.signing import SigningKey
from ledger.checkpoint import Checkpoint
from ledger.merkle import leaf_hash
from ledger.witnessing import Submission
from tests.support.naive_tree import naive_proof, tree_hash

KNOWN_ORIGIN = "example.com/log/testdata"
KNOWN_SEED = b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]
"""The published private key of the C2SP test log."""
KNOWN_ENTRIES = (
    b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eit", b"nain", b"ten", b"ileven", b"twelf",
    b"threeten", b"fourten", b"fivten",
)  # fmt: skip
TIME = 1_795_159_440


@dataclass(frozen=True)
class SmallLog:
    """A history of a log."""

    origin: str = KNOWN_ORIGIN
    seed: bytes = KNOWN_SEED
    entries: Sequence[bytes] = KNOWN_ENTRIES

    @property
    def key(self) -> VerifierKey:
        """The log's Ed25519 key."""
        return VerifierKey(self.origin, ED25519, SigningKey(self.seed).public)

    @property
    def signer(self) -> LogSigner:
        """Both keys."""
        return LogSigner(self.origin, self.seed, self.seed)

    def forked(self, at: int) -> "SmallLog":
        """Another history under the same keys, from entry `at` on."""
        others = [b"forked " + entry for entry in self.entries[at:]]
        return SmallLog(self.origin, self.seed, [*self.entries[:at], *others])

    def leaves(self, size: int) -> list[bytes]:
        """The first leaf hashes."""
        return [leaf_hash(entry) for entry in self.entries[:size]]

    def checkpoint(self, size: int) -> Checkpoint:
        """The checkpoint of a size."""
        return Checkpoint(self.origin, size, tree_hash(self.leaves(size)))

    def note(self, size: int, more: str = "") -> bytes:
        """It, signed with the Ed25519 key; `more`: lines of the log's own."""
        text = self.checkpoint(size).text() + more.encode()
        return text + b"\n" + signature_line(self.key, SigningKey(self.seed).sign(text))

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """That one extends the other."""
        return tuple(naive_proof(old, self.leaves(new))) if 0 < old < new else ()

    def submission(self, old: int, new: int) -> Submission:
        """What a log submits that was told the size `old`."""
        return Submission(old, self.proof(old, new), self.note(new))
