"""Hand-overs of the log's keys: how whoever has the old ones, and no whole log, comes to the new ones. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from crypto.encoding import b64decode
from crypto.errors import CryptoError, NoteError
from crypto.notes import VerifierKey
from crypto.signing import verify
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_keys
from ledger.entry import Entry
from ledger.errors import LedgerError, ProofError, Tampered
from ledger.layout import HANDOVER_PARTS, Read, handover_path
from ledger.logkeys import Generation
from ledger.receipt import Receipt

HANDOVERS_LIMIT = 1_000
"""Most hand-overs of one log that are read."""


@dataclass(frozen=True)
class HandOver:
    """Receipts under one checkpoint, which the keys before signed."""

    added: Receipt
    """Of the `log_key.added`."""
    key: Receipt
    """Of the entry that put the key in that signed it: entry 0 or a `key.registered`."""
    first: Receipt
    """Of entry 0, which names the operator."""

    @classmethod
    def parse(cls, parts: Sequence[bytes]) -> "HandOver":
        """Read the three receipts; raises ProofError."""
        added, key, first = map(Receipt.parse, parts)
        return cls(added, key, first)

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The bytes of the three receipts."""
        return self.added.text(), self.key.text(), self.first.text()

    def follow(self, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, tuple[VerifierKey, ...]]:
        """The checkpoint that `keys` signed, and the keys that they hand over to.

        Raises NoteError where they did not sign it, and ProofError for what is no hand-over by the operator.
        """
        checkpoint = open_checkpoint(self.added.checkpoint, keys)
        try:
            added, key, first = (
                self._entry(one, checkpoint) for one in (self.added, self.key, self.first)
            )
            operator = first.event.body["operator"]
            self._check_operator(added, key, operator["account"], operator)
            fresh = tuple(parse_keys(added.event.body["log_keys"]))
        except (LedgerError, CryptoError, KeyError) as error:
            raise ProofError(f"the hand-over of the log's keys is not valid: {error}") from error
        if fresh[0].name != checkpoint.origin:
            raise ProofError(
                f"the hand-over names keys of {fresh[0].name}, not of {checkpoint.origin}"
            )
        return checkpoint, fresh

    def _entry(self, receipt: Receipt, checkpoint: Checkpoint) -> Entry:
        receipt.check_under(checkpoint)
        entry = Entry.parse(receipt.entry)
        if entry.link.seq != receipt.index:
            raise ProofError(f"holds entry {entry.link.seq} as number {receipt.index}")
        return entry

    def _check_operator(
        self, added: Entry, key: Entry, account: str, named: dict[str, str]
    ) -> None:
        """The operator of entry 0 signed it, with a key that is theirs."""
        event = added.event
        if self.first.index or event.type.name != "log_key.added":
            raise ProofError("expected the receipts of log_key.added and of entry 0")
        if self.key.index:
            named = key.event.body
            if key.event.type.name != "key.registered" or named["account"] != account:
                raise ProofError("expected the entry that registered a key of the operator")
        if (event.actor, event.role) != (account, "operator") or added.sig.key != named["key"]:
            raise ProofError("log_key.added is not signed by the operator")
        public = b64decode(named["public_key"], 32)
        verify(public, added.sig.value, added.sig.message(first_origin(self.first), event.raw))


def first_origin(first: Receipt) -> str:
    """The origin that entry 0 names."""
    return str(Entry.parse(first.entry).event.body["origin"])


def followed(
    keys: Sequence[VerifierKey],
    handovers: Iterable[HandOver],
    check: Callable[[Checkpoint], object],
) -> tuple[VerifierKey, ...]:
    """The keys that a reader who has `keys` comes to by hand-overs, in the log's order.

    Each must be signed by the keys at hand; one that isn't is from before them. `check` raises for a checkpoint that is
    not of the reader's log. Raises ProofError.
    """
    found = tuple(keys)
    for one in handovers:
        try:
            checkpoint, fresh = one.follow(found)
        except NoteError:
            continue
        check(checkpoint)
        found = fresh
    return found


def generations_known(
    keys: Sequence[VerifierKey],
    handovers: Sequence[HandOver],
    check: Callable[[Checkpoint, Checkpoint], object],
) -> list[Generation]:
    """The generations of the log's keys, as far as hand-overs tell a reader who has `keys`; none retired.

    `keys` must have signed one of them, or nothing is learned. Those after it are each signed by the ones before;
    `check(signed, shown)` raises unless the tree of every other one is proved to be the signed one's. Raises ProofError.
    """
    at = _signed_by(keys, handovers)
    if at is None:
        return [Generation(tuple(keys), 0)]
    signed, here = open_checkpoint(handovers[at].added.checkpoint, keys), tuple(keys)
    first = Entry.parse(handovers[0].first.entry).event.body["log_keys"]
    found = [Generation(tuple(parse_keys(first)), 0)]
    for number, one in enumerate(handovers):
        try:
            shown, fresh = one.follow(here if number >= at else found[-1].keys)
        except NoteError as error:
            raise ProofError(f"the hand-over of the log's keys is not valid: {error}") from error
        check(signed, shown)
        found.append(Generation(fresh, one.added.index))
        here = fresh if number >= at else here
    return found


def reached(keys: Sequence[VerifierKey], handovers: Sequence[HandOver]) -> set[VerifierKey]:
    """The keys themselves and all that they handed over to, each by the signatures of the ones before."""
    found, here = set(keys), tuple(keys)
    for one in handovers:
        try:
            _, here = one.follow(here)
        except NoteError:
            continue  # from before them
        found.update(here)
    return found


def _signed_by(keys: Sequence[VerifierKey], handovers: Sequence[HandOver]) -> int | None:
    """The number of the first hand-over whose checkpoint all these keys signed; None where none was."""
    for number, one in enumerate(handovers):
        try:
            open_checkpoint(one.added.checkpoint, keys)
        except NoteError:
            continue
        return number
    return None


def read_handovers(read: Read, there: Callable[[str], bool]) -> Iterator[HandOver]:
    """The hand-overs among the files of an export; raises Tampered for what is none."""
    for number in range(1, HANDOVERS_LIMIT + 1):
        paths = [handover_path(number, part) for part in HANDOVER_PARTS]
        if not there(paths[0]):
            return
        try:
            yield HandOver.parse([read(path) for path in paths])
        except ProofError as error:
            raise Tampered(f"{paths[0]}: {error}") from error
