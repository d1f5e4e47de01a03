"""Hand-overs of the log's keys: how whoever has the old ones, and no whole log, comes to the new ones. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from ledger.receipt import RECEIPT_HEAD, Receipt

HANDOVERS_LIMIT = 1_000
"""Most hand-overs of one log that are read."""


CHAIN_LIMIT = 100
"""Most keys of the operator, each put in with the one before, that lead to the one that hands over."""
_NEXT = b"\n" + RECEIPT_HEAD + b"\n"
"""Where the next of several receipts begins."""


@dataclass(frozen=True)
class HandOver:
    """Receipts under one checkpoint, which the keys before signed."""

    added: Receipt
    """Of the `log_key.added`."""
    keys: tuple[Receipt, ...]
    """Of the entries that put in keys of the operator, each signed with the one before: from the first that entry 0's key
    signed to the one whose key signed `added`. Of entry 0 alone, where that is its own key."""
    first: Receipt
    """Of entry 0, which names the operator."""

    @classmethod
    def parse(cls, parts: Sequence[bytes]) -> "HandOver":
        """Read the receipts, those of the operator's keys one after the other; raises ProofError."""
        added, keys, first = parts
        texts = [RECEIPT_HEAD + b"\n" + text for text in (b"\n" + keys).split(_NEXT)[1:]]
        if not 0 < len(texts) <= CHAIN_LIMIT or not keys.startswith(_NEXT[1:]):
            raise ProofError(
                f"got {len(texts)} receipts of the operator's keys, expected 1 to {CHAIN_LIMIT}"
            )
        whole = [text + b"\n" for text in texts[:-1]] + texts[-1:]
        return cls(Receipt.parse(added), tuple(map(Receipt.parse, whole)), Receipt.parse(first))

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The bytes of the receipts."""
        return self.added.text(), b"".join(one.text() for one in self.keys), self.first.text()

    def follow(
        self, keys: Sequence[VerifierKey], whole: bool = False
    ) -> tuple[Checkpoint, tuple[VerifierKey, ...]]:
        """The checkpoint that `keys` signed, and the keys that they hand over to.

        `whole`: the reader has checked that log, or has keys that came later, so the operator's signature need not be
        proved here.
        Raises NoteError where `keys` did not sign it, and ProofError for what is no hand-over by the operator.
        """
        checkpoint = open_checkpoint(self.added.checkpoint, keys)
        try:
            added, first = proved(self.added, checkpoint), proved(self.first, checkpoint)
            chain = [proved(one, checkpoint) for one in self.keys]
            kinds = first.event.type.name, added.event.type.name
            if self.first.index or kinds != ("ledger.created", "log_key.added"):
                raise ProofError("expected the receipts of log_key.added and of entry 0")
            if (origin := first.event.body["origin"]) != checkpoint.origin:
                raise ProofError(f"entry 0 is of the log {origin}, not of {checkpoint.origin}")
            if not whole:
                _check_operator(added, chain if self.keys[0].index else [], first)
            fresh = tuple(parse_keys(added.event.body["log_keys"]))
        except (LedgerError, CryptoError, LookupError) as error:
            raise ProofError(f"the hand-over of the log's keys is not valid: {error}") from error
        if fresh[0].name != checkpoint.origin:
            raise ProofError(
                f"the hand-over names keys of {fresh[0].name}, not of {checkpoint.origin}"
            )
        return checkpoint, fresh


def proved(receipt: Receipt, checkpoint: Checkpoint) -> Entry:
    """The entry of a receipt, which stands under the checkpoint; raises ProofError or EventError."""
    receipt.check_under(checkpoint)
    entry = Entry.parse(receipt.entry)
    if entry.link.seq != receipt.index:
        raise ProofError(f"holds entry {entry.link.seq} as number {receipt.index}")
    return entry


def _check_operator(added: Entry, chain: Sequence[Entry], first: Entry) -> None:
    """The operator of entry 0 signed it: with the key of entry 0, or with one that this one put in, and so on.

    That is all that can be told without the whole log. A key that somebody else put in (by recovery) proves nothing here.
    Raises LedgerError, CryptoError or KeyError.
    """
    origin, named = first.event.body["origin"], first.event.body["operator"]
    account, last = named["account"], 0
    for entry in chain:
        body = entry.event.body
        if entry.event.type.name != "key.registered" or body["account"] != account:
            raise ProofError("expected the entries that registered keys of the operator")
        if (entry.event.role, body["algorithm"], "recovery" in body) != (
            "person",
            "ed25519",
            False,
        ):
            raise ProofError(
                f"entry {entry.link.seq}: no key that the operator put in to sign with"
            )
        if entry.link.seq <= last:
            raise ProofError(f"entry {entry.link.seq}: expected the operator's keys in their order")
        _check_signed(entry, account, named, origin)
        named, last = body, entry.link.seq
    if added.event.role != "operator" or added.link.seq <= last:
        raise ProofError("log_key.added is not signed by the operator")
    _check_signed(added, account, named, origin)


def _check_signed(entry: Entry, account: str, named: Mapping[str, str], origin: str) -> None:
    """An account's event, signed with the key that is named."""
    if entry.event.actor != account or entry.sig.key != named["key"]:
        raise ProofError(
            f"entry {entry.link.seq} is not signed by the operator's key {named['key']}"
        )
    public = b64decode(named["public_key"], 32)
    verify(public, entry.sig.value, entry.sig.message(origin, entry.event.raw))


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
    found = [Generation(_first_keys(handovers[at].first, signed), 0)]
    for number, one in enumerate(handovers):
        try:
            signers = here if number >= at else found[-1].keys
            shown, fresh = one.follow(signers, whole=True)
            if number >= at and not set(fresh) <= set(
                keys
            ):  # what `keys` sign vouches for the rest
                one.follow(signers)
        except NoteError as error:
            raise ProofError(f"the hand-over of the log's keys is not valid: {error}") from error
        check(signed, shown)
        found.append(Generation(fresh, one.added.index))
        here = fresh if number >= at else here
    return found


def _first_keys(first: Receipt, signed: Checkpoint) -> tuple[VerifierKey, ...]:
    """The keys that entry 0 names, which is proved first; raises ProofError."""
    try:
        entry = proved(first, signed)
        if first.index or entry.event.type.name != "ledger.created":
            raise ProofError(f"got entry {first.index}, expected entry 0")
        return tuple(parse_keys(entry.event.body["log_keys"]))
    except (LedgerError, CryptoError) as error:
        raise ProofError(f"the hand-over of the log's keys is not valid: {error}") from error


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
