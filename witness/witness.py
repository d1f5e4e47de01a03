"""A witness: checks a submission, keeps it, and only then cosigns it (C2SP tlog-witness)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from crypto.cosignatures import check_origin
from crypto.errors import FormError
from crypto.notes import Cosigner, VerifierKey
from ledger.witnessing import (
    SIZE_TYPE,
    UNPROVEN,
    Admitted,
    NotCosigned,
    Seen,
    admit,
    check_extends,
)
from witness.store import Refused, Step, WitnessStore

PLAIN = "text/plain; charset=utf-8"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What is answered over HTTP."""

    status: int
    body: bytes
    kind: str = PLAIN
    """The media type."""


class Witness:
    """Cosigns what extends what it cosigned before. Thread-safe; several processes may share its folder."""

    def __init__(self, store: WitnessStore, cosigner: Cosigner, clock: Callable[[], int]) -> None:
        """`clock`: Unix ms."""
        self.store, self._cosigner, self._clock = store, cosigner, clock

    def add_log(self, keys: list[VerifierKey], only: bool = False) -> None:
        """Witness these logs from here on; `only`: and by no other keys of theirs. Raises CryptoError for keys that no log may have."""
        own = {key.public for key in self._cosigner.keys}
        for key in keys:
            check_origin(key.name)
            if key.public in own:
                raise FormError(f"{key.name}: is the witness's own key, which no log may have")
        self.store.add(keys, only)

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to a submission; raises StorageError where the state can't be read or kept."""
        try:
            admitted = admit(body, self.store.keys)
            with self.store.step(admitted.checkpoint.origin) as step:
                try:
                    return Answer(200, self._cosigned(step, admitted))
                except NotCosigned as refused:
                    self._keep(step, admitted, refused)  # in the step that refuses it
                    return _refusal(refused)
        except NotCosigned as refused:
            return _refusal(refused)

    def _cosigned(self, step: Step, admitted: Admitted) -> bytes:
        """The cosignatures; what they are of is kept in the same step. Raises NotCosigned."""
        now, new = self._clock() // 1000, admitted.checkpoint
        seen, last, note = step.seen()
        check_extends(admitted, seen)
        now = max(now, last)  # what it said before was true then
        lines = self._cosigner.cosign(admitted.text, now)
        if not note or new.size > seen.size:
            step.put(Seen(new.size, new.root), now, admitted.submission.note)
        return lines

    def _keep(self, step: Step, admitted: Admitted, refused: NotCosigned) -> None:
        """Keep and tell what its log signed and what is none of the history that was cosigned."""
        if refused.status != UNPROVEN and not refused.two_faces:
            return
        _, _, note = step.seen()
        step.keep_refused(
            Refused(refused.two_faces, self._clock() // 1000, note, admitted.submission.text())
        )
        what = "two histories" if refused.two_faces else "not proved"
        _LOG.error(what, extra={"log": admitted.checkpoint.origin})


def _refusal(refused: NotCosigned) -> Answer:
    if refused.size is not None:
        return Answer(refused.status, f"{refused.size}\n".encode(), SIZE_TYPE)
    return Answer(refused.status, f"{refused}\n".encode())
