"""Witnessing (C2SP tlog-witness): what a log submits, and when a witness must not cosign it. Pure.

A witness keeps one checkpoint a log, the last one that it cosigned, and cosigns only what extends it. So it never
cosigns two histories of one log, whoever submits them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crypto.encoding import b64decode, b64encode, decimal
from crypto.errors import CryptoError, FormError, NoteError
from crypto.notes import NOTE_LIMIT, Note, VerifierKey
from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError, ProofError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, check_consistency, proved_roots

PROOF_LIMIT = 63
"""Most hashes of a consistency proof."""
SIZE_LIMIT = 2**63 - 1
"""Largest size of a log, in entries."""
SUBMISSION_LIMIT = 256 * 1024
"""Longest submission in bytes: a proof, and a checkpoint with 64 signatures of which most are ML-DSA-44."""
ADD_CHECKPOINT = "/add-checkpoint"
"""Where a checkpoint is posted to, behind the witness's prefix."""
SIZE_TYPE = "text/x.tlog.size"
"""Media type of an answer that tells a size."""

BAD, FORBIDDEN, UNKNOWN, CONFLICT, UNPROVEN = 400, 403, 404, 409, 422
"""Why nothing was cosigned, as HTTP has it: malformed, not signed by the log, a log that isn't known, another old
size, no proof."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, and the proof that it extends the one of size `old`."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes
    """The signed checkpoint, verbatim."""

    def text(self) -> bytes:
        """The body of the request."""
        lines = [f"old {self.old}", *(b64encode(node) for node in self.proof)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note

    @classmethod
    def parse(cls, data: bytes) -> "Submission":
        """Read a request's body strictly; raises FormError."""
        head, gap, note = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        if not gap or not first.startswith(b"old "):
            raise FormError("got a body that is not 'old <size>', a proof, an empty line, a note")
        if len(lines) > PROOF_LIMIT:
            raise FormError(f"got {len(lines)} lines of proof, expected at most {PROOF_LIMIT}")
        try:
            old = decimal(first[len("old ") :])
            proof = tuple(b64decode(line.decode("ascii"), HASH_BYTES) for line in lines)
        except (CryptoError, UnicodeDecodeError) as error:
            raise FormError(f"the proof: {error}") from error
        return cls(old, proof, note)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness last cosigned of a log; 0 entries before the first time."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class NotCosigned(LedgerError):
    """A submission that a witness must not cosign; `status` is the HTTP code that says why."""

    def __init__(
        self, status: int, words: str, size: int | None = None, two_faces: bool = False
    ) -> None:
        """`size`: what was last cosigned, where the submission is of another old size.

        `two_faces`: the submission and what was last cosigned prove together that the log signed two histories.
        """
        super().__init__(words)
        self.status, self.size, self.two_faces = status, size, two_faces


@dataclass(frozen=True, slots=True)
class Admitted:
    """A submission that a known log signed; whether it extends what was cosigned is still to be seen."""

    submission: Submission
    text: bytes
    """What is to be cosigned, with lines of the log's own behind the first three."""
    checkpoint: Checkpoint


def admit(body: bytes, keys_of: Callable[[str], Sequence[VerifierKey]]) -> Admitted:
    """A submission that one of its log's keys signed, and none wrongly; raises NotCosigned.

    `keys_of(origin)`: the keys of a log; none for one that isn't known.
    """
    try:
        submission = Submission.parse(body)
        if len(submission.note) > NOTE_LIMIT:
            raise FormError(f"got a note of {len(submission.note)} bytes")
        note = Note.parse(submission.note)
        # Looked for as it is: what can't be an origin of a log that is known is unknown.
        origin = note.text.split(b"\n")[0].decode()
    except CryptoError as error:
        raise NotCosigned(BAD, str(error)) from error
    keys = keys_of(origin)
    if not keys:
        raise NotCosigned(UNKNOWN, f"the log {origin[:255]!r} is not known here")
    try:
        note.verify(keys)
    except NoteError as error:
        raise NotCosigned(FORBIDDEN, str(error)) from error
    try:
        checkpoint = Checkpoint.parse(note.text, extended=True)
        _check_sizes(submission, checkpoint)
    except CryptoError as error:
        raise NotCosigned(BAD, str(error)) from error
    return Admitted(submission, note.text, checkpoint)


def _check_sizes(submission: Submission, checkpoint: Checkpoint) -> None:
    if checkpoint.size > SIZE_LIMIT:
        raise FormError(f"got a log of {checkpoint.size} entries, expected at most {SIZE_LIMIT}")
    if submission.old > checkpoint.size:
        raise FormError(
            f"got the old size {submission.old} and a checkpoint of {checkpoint.size} entries"
        )


def check_extends(admitted: Admitted, seen: Seen) -> None:
    """Raises NotCosigned unless a submission extends what was cosigned last."""
    submission, new = admitted.submission, admitted.checkpoint
    if submission.old != seen.size:
        words = f"got the old size {submission.old}, and {seen.size} entries were cosigned"
        raise NotCosigned(CONFLICT, words, seen.size, _other_root(seen, new))
    try:
        if seen.size:
            check_consistency(seen.size, seen.root, new.size, new.root, submission.proof)
        elif submission.proof or (new.size == 0 and new.root != EMPTY_ROOT):
            raise ProofError("got a proof from size 0, or an empty log without the empty root")
    except ProofError as error:
        raise NotCosigned(UNPROVEN, str(error), None, _two_faces(submission, seen, new)) from error


def _other_root(seen: Seen, new: Checkpoint) -> bool:
    return new.size == seen.size and new.root != seen.root


def _two_faces(submission: Submission, seen: Seen, new: Checkpoint) -> bool:
    """Whether the proof shows another history below what the log signed: then it has signed two."""
    if not seen.size or new.size == seen.size:
        return _other_root(seen, new)
    try:
        before, after = proved_roots(seen.size, seen.root, new.size, submission.proof)
    except ProofError:
        return False
    return after == new.root and before != seen.root
