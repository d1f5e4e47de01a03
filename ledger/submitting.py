"""What witnesses answer to a log (C2SP tlog-witness), and which cosignatures meet its policy. Pure.

A witness need not be honest, nor exact: whatever it answers is one of four things, and none of them is believed
but a cosignature that verifies.
"""

from dataclasses import dataclass

from crypto.encoding import decimal
from crypto.errors import CryptoError, SignatureError
from crypto.notes import Note, VerifierKey, signature_line
from crypto.texts import printable
from ledger.errors import LedgerError
from ledger.witnessing import CONFLICT, SIZE_LIMIT, UNPROVEN, Submission

ANSWER_LIMIT = 64 * 1024
"""Longest answer of a witness in bytes."""
WORDS_LIMIT = 120
"""Most characters of a witness's own words that are told."""


class WitnessFailed(LedgerError):
    """A witness gave no cosignature; the message is for people.

    `refused`: it says that the checkpoint does not extend what it has cosigned, which is grave.
    """

    def __init__(self, words: str, refused: bool = False) -> None:
        """See the class."""
        super().__init__(words)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer over HTTP; `body` has at most ANSWER_LIMIT bytes."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """The witness last cosigned this size."""

    size: int


def read_answer(answer: Answered, asked: Submission, key: VerifierKey) -> bytes | Told:
    """The witness's signature line for the submitted checkpoint, or the size from which it wants a proof.

    Raises WitnessFailed. Some witnesses answer 409 or 500 where 422 or 403 is meant: a 409 that tells the size that
    was asked from, or none, is a refusal.
    """
    if answer.status == 200:
        return _cosignature(answer.body, asked, key)
    told = _size(answer.body) if answer.status == CONFLICT else None
    if told is not None and told != asked.old:
        return Told(told)
    words = printable(answer.body.decode("utf-8", "replace").strip())[:WORDS_LIMIT]
    refused = answer.status in (CONFLICT, UNPROVEN)
    what = (
        f"it says that this log is not the one of which it cosigned {asked.old} entries"
        if refused
        else "it cosigned nothing"
    )
    raise WitnessFailed(f"{what} (it answered {answer.status}: {words})", refused)


def _size(body: bytes) -> int | None:
    try:
        size = decimal(body.removesuffix(b"\n"))
    except CryptoError:
        return None
    return size if size <= SIZE_LIMIT else None


def _cosignature(body: bytes, asked: Submission, key: VerifierKey) -> bytes:
    """The line of the one key that counts; whatever else is in the answer is ignored."""
    text = Note.parse(asked.note).text
    try:
        lines = Note.parse(text + b"\n" + body).signatures
        for name, keyid, signature in lines:
            if (name, keyid) == (key.name, key.id):
                key.check(text, signature)
                return signature_line(key, signature)
    except SignatureError as error:
        raise WitnessFailed(f"its cosignature does not fit: {error}") from error
    except CryptoError as error:
        raise WitnessFailed(f"its answer is not signature lines: {error}") from error
    raise WitnessFailed(f"its answer has no cosignature of the key {key.name}+{key.id.hex()}")
