"""A hand-over of the log's keys is the operator's: whoever has only the log's own keys can make none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crypto.notes import LogSigner
from ledger.chain import Link
from ledger.entry import Entry
from ledger.errors import ProofError
from ledger.handovers import HandOver, generations_known
from ledger.merkle import leaf_hash
from tests.support.memory_log import MemoryLog, Person

FRESH = LogSigner(MemoryLog().origin, bytes(32), bytes(32)).keys


class Thief:
    """Whoever has the log's keys, and puts into its tree what they like: no rule is asked."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.operator = self.log.operator
        for _ in range(3):
            self.log.account()

    def put(self, signer: Person, kind: str, body: dict[str, Any], **members: Any) -> int:
        """An entry that `signer` signs; its number."""
        event = self.log.event(signer, kind, body, **members)
        link = Link(len(self.log.entries), leaf_hash(self.log.entries[-1].raw), 0, bytes(32))
        sig = self.log.sign(signer, event)
        self.log.batch.entries.append(Entry.make(event, sig, link, self.log.now, None))
        return link.seq

    def put_key(self, signer: Person, key: Person, **members: Any) -> int:
        """A key put in for an account."""
        return self.put(signer, "key.registered", self.log.key_body(key, **members))

    def hand_over(self, signer: Person, *keys: int) -> HandOver:
        """To keys of the thief's, by whose key the entries `keys` put in."""
        added = self.put(signer, "log_key.added", {"log_keys": [str(key) for key in FRESH]})
        return self.shown(added, keys)

    def shown(self, added: int, keys: tuple[int, ...]) -> HandOver:
        """The receipts, under the log's newest checkpoint."""
        receipt = self.log.receipt
        made = HandOver(receipt(added), tuple(map(receipt, keys)), receipt(0))
        return HandOver.parse(made.parts())


def own(thief: Thief) -> HandOver:
    """By the key of entry 0."""
    return thief.hand_over(thief.operator, 0)


def next_keys(thief: Thief) -> HandOver:
    """By a key that the operator put in with one that they had put in."""
    first, holder, seqs = thief.operator.acting("person"), thief.operator, []
    for _ in range(3):
        holder = thief.operator.holding(thief.log.new_key())
        seqs.append(thief.put_key(first, holder))
        first = holder.acting("person")
    return thief.hand_over(holder, *seqs)


@pytest.mark.parametrize("make", [own, next_keys])
def test_the_operator_hands_over(make: Callable[[Thief], HandOver]) -> None:
    thief = Thief()
    assert make(thief).follow(thief.log.signer.keys)[1] == FRESH


def by_nobody(thief: Thief) -> HandOver:
    """The key is put in by itself."""
    holder = thief.operator.holding(thief.log.new_key())
    return thief.hand_over(holder, thief.put_key(holder.acting("person"), holder))


def by_another(thief: Thief) -> HandOver:
    """The key is put in by somebody else's key, which says that it is the operator."""
    holder, other = thief.operator.holding(thief.log.new_key()), thief.log.account()
    claims = thief.operator.holding(other.key).acting("person")
    return thief.hand_over(holder, thief.put_key(claims, holder))


def by_recovery(thief: Thief) -> HandOver:
    """The service, whose key entry 0 names too, puts it in."""
    holder = thief.operator.holding(thief.log.new_key())
    return thief.hand_over(holder, thief.put_key(thief.log.service, holder, recovery=True))


def with_recovery(thief: Thief) -> HandOver:
    """The operator's key puts it in, as nobody may for themselves."""
    holder = thief.operator.holding(thief.log.new_key())
    put = thief.put_key(thief.operator.acting("person"), holder, recovery=True)
    return thief.hand_over(holder, put)


def as_operator(thief: Thief) -> HandOver:
    """Put in in another role."""
    holder = thief.operator.holding(thief.log.new_key())
    return thief.hand_over(holder, thief.put_key(thief.operator, holder))


def of_another(thief: Thief) -> HandOver:
    """The operator put in another account's key."""
    other = thief.log.account()
    put = next(e.link.seq for e in thief.log.entries if e.event.body.get("key") == other.key.id)
    return thief.hand_over(thief.operator.holding(other.key), put)


def with_a_gap(thief: Thief) -> HandOver:
    """One of the operator's keys in between isn't shown."""
    seqs, first = [], thief.operator.acting("person")
    for _ in range(2):
        holder = thief.operator.holding(thief.log.new_key())
        seqs.append(thief.put_key(first, holder))
        first = holder.acting("person")
    return thief.hand_over(first.acting("operator"), seqs[-1])


def put_in_later(thief: Thief) -> HandOver:
    """The key comes after what it signed."""
    holder = thief.operator.holding(thief.log.new_key())
    added = thief.hand_over(holder, 0).added.index
    return thief.shown(added, (thief.put_key(thief.operator.acting("person"), holder),))


def as_person(thief: Thief) -> HandOver:
    """The operator's key signs `log_key.added` in another role."""
    return thief.hand_over(thief.operator.acting("person"), 0)


MADE_UP = [
    by_nobody, by_another, by_recovery, with_recovery, as_operator, of_another, with_a_gap, put_in_later, as_person,
]  # fmt: skip


@pytest.mark.parametrize("make", MADE_UP)
def test_without_the_operators_key_there_is_none(make: Callable[[Thief], HandOver]) -> None:
    thief = Thief()
    with pytest.raises(ProofError):
        make(thief).follow(thief.log.signer.keys)


def test_entry_0_is_of_the_log_that_was_signed() -> None:
    """A log of another name under the same keys is another log."""
    thief = Thief()
    raw = thief.log.entries[0].raw.replace(thief.log.origin.encode(), b"log.example/another")
    thief.log.batch.entries[0] = Entry.parse(raw)
    with pytest.raises(ProofError, match=r"entry 0 is of the log log\.example/another"):
        own(thief).follow(thief.log.signer.keys)


def test_entry_0_is_proved_before_it_is_read() -> None:
    """An entry that names no keys, or that isn't under the checkpoint, in the place of entry 0."""
    thief = Thief()
    good = own(thief)
    keys = thief.log.signer.keys
    assert generations_known(keys, [good], lambda *both: None)[-1].keys == FRESH
    for first in (good.added, replace(good.added, index=0), replace(good.first, entry=b"{}")):
        with pytest.raises(ProofError):
            generations_known(keys, [replace(good, first=first)], lambda *both: None)
    with pytest.raises(ProofError):
        HandOver.parse((good.added.text(), b"nonsense" + good.first.text(), good.first.text()))
