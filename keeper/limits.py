"""How much one call may ask of the key keeper, whoever calls: what is over a limit is refused, and nothing of it is done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keeper.errors import KeeperRefused
from keeper.protocol import (
    FOLLOW_ENTRIES,
    Evidence,
    KeptBlob,
    KeyRequest,
    ReferredBlob,
    SealedObject,
    Wrapped,
)
from ledger.codes import REFERRED_RECORDS
from ledger.receipt import PATH_LIMIT

KEYS = 10_000
"""Most keys to make or to renew in one call: ten batches of the log."""
SUBJECTS = 10_000
"""Most subjects, or versions of KEKs, that one call may name."""
LISTED = 100_000
"""Most versions in an export's list, or objects in a list of titles."""
FIELDS = 64
"""Most sealed fields of one object, or texts to seal."""
TEXT_BYTES = 32_768
"""Longest text to seal: an event has no room for more."""
LABELS = 256
"""Most labels to give codes of, in one call."""
NAME_BYTES = 1_024
"""Longest name in a call: of a subject, an object, a field, a label."""
SHOWN = 10_000
"""Most entries that an evidence shows for their signatures."""
RECEIPTS = 8
"""Most receipts in an evidence; each call takes two at most."""


class Amount(NamedTuple):
    """How much of something a call has, and the most that it may have."""

    what: str
    got: int
    most: int


def check_call(name: str, arguments: tuple[Any, ...]) -> None:
    """Raises KeeperRefused for a call that asks too much at once. `arguments`: of the types that `protocol.Keeper` says."""
    amounts = _AMOUNTS.get(name)
    for one in amounts(*arguments) if amounts is not None else ():
        if one.got > one.most:
            raise KeeperRefused(f"{name} got {one.got} {one.what}, expected at most {one.most}")


def _new_key(requests: Sequence[KeyRequest]) -> Iterator[Amount]:
    yield Amount("subjects", len(requests), KEYS)
    yield Amount("keys", sum(len(one.objects) + len(one.blobs) for one in requests), KEYS)
    for one in requests:
        yield _longest((one.subject, *one.objects, *(blob.blob for blob in one.blobs)))


def _seal(key: Wrapped, stream: str, event: str, fields: Mapping[str, str]) -> Iterator[Amount]:
    yield Amount("fields", len(fields), FIELDS)
    yield _longest((stream, event, *fields))
    yield Amount("bytes of text", max(map(_size, fields.values()), default=0), TEXT_BYTES)


def _label_codes(key: Wrapped, labels: Sequence[str]) -> Iterator[Amount]:
    yield Amount("labels", len(labels), LABELS)
    yield _longest(labels)


def _evidence(evidence: Evidence, *rest: Any) -> Iterator[Amount]:
    yield Amount("receipts", len(evidence.receipts), RECEIPTS)
    yield Amount("entries that are shown", len(evidence.shown), SHOWN)
    paths = [evidence.proof, *(one.path for one in evidence.receipts)]
    # A consistency proof has one hash more than a path, at most.
    yield Amount("hashes of a proof", max(map(len, paths)), PATH_LIMIT + 1)


def _listed(evidence: Evidence, listed: Sequence[Any]) -> Iterator[Amount]:
    yield from _evidence(evidence)
    yield Amount("versions", len(listed), LISTED)


def _package(
    evidence: Evidence, listed: Sequence[ReferredBlob], words: SealedObject
) -> Iterator[Amount]:
    yield from _evidence(evidence)
    yield Amount("versions", len(listed), REFERRED_RECORDS)
    most = max((len(one.fields) for one in (words, *(line.texts for line in listed))), default=0)
    yield Amount("fields of an object", most, FIELDS)


def _open_fields(evidence: Evidence, sealed: Sequence[SealedObject]) -> Iterator[Amount]:
    yield from _evidence(evidence)
    yield Amount("objects", len(sealed), LISTED)
    yield Amount("fields of an object", max((len(one.fields) for one in sealed), default=0), FIELDS)


def _subjects(subjects: Sequence[str] | Mapping[str, int]) -> Iterator[Amount]:
    yield Amount("subjects", len(subjects), SUBJECTS)
    yield _longest(subjects)


def _renew(objects: Sequence[Wrapped], blobs: Sequence[KeptBlob]) -> Iterator[Amount]:
    yield Amount("keys", len(objects) + len(blobs), KEYS)


def _destroy(keks: Sequence[tuple[str, int]]) -> Iterator[Amount]:
    yield Amount("versions", len(keks), SUBJECTS)


def _follow(since: int, entries: Sequence[bytes], *rest: Any) -> Iterator[Amount]:
    yield Amount("entries", len(entries), FOLLOW_ENTRIES)
    yield from _proof(since, *rest)


def _proof(since: int, *rest: Any) -> Iterator[Amount]:
    yield Amount("hashes of a proof", len(rest[-1]), PATH_LIMIT + 1)


def _longest(names: Sequence[str] | Mapping[str, Any]) -> Amount:
    return Amount("bytes of a name", max(map(_size, names), default=0), NAME_BYTES)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


_AMOUNTS: Mapping[str, Callable[..., Iterator[Amount]]] = {
    "new_key": _new_key,
    "seal": _seal,
    "label_codes": _label_codes,
    "release": _evidence,
    "release_export": _listed,
    "release_package": _package,
    "open_fields": _open_fields,
    "staff_name": _evidence,
    "group_name": _evidence,
    "applied": _evidence,
    "versions": _subjects,
    "advance": _subjects,
    "renew": _renew,
    "destroy": _destroy,
    "erase": _evidence,
    "follow": _follow,
    "cosign": _proof,
}
"""By call; those that are missing take nothing that could be many (a test says so)."""
