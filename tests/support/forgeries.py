"""What the tests of tampering share: two exports, and what a forger who holds the log's keys does."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from crypto.notes import LogSigner
from identity.actors import Actor, new_id
from ledger.auditor import verify_export
from ledger.errors import Tampered
from tests.support.exports import (
    ORIGIN,
    Export,
    Forger,
    Row,
    key_body,
    write_files,
)

PARTS = 4
"""Into so many tests the search over all bytes is cut, for the worker processes."""
SKEW_MS = 300_000
BUNDLE = "tile/entries/000.p/{}"
WITNESS = "— witness.example/w "
"""The beginning of a signature line of a key that nobody here knows."""


def refuse(files: Mapping[str, bytes], place: Path, export: Export, message: str) -> None:
    """The verifier finds it, with these words."""
    write_files(files, place)
    with pytest.raises(Tampered, match=message):
        verify_export(place, export.vkeys)


def upload_body(forger: Forger, **members: object) -> Row:
    """The body of an upload with ids of its own."""
    body = forger.rows[forger.find("record.uploaded")]["event"]["body"]
    fresh = {"blob": new_id("bl", forger.now), "record": new_id("rc", forger.now)}
    return {**body, **fresh, **members}


def add_upload(forger: Forger, actor: Actor, **bent: object) -> int:
    """One more upload into the chart, signed by `actor`."""
    body = upload_body(forger)
    return forger.add(actor, "record.uploaded", body, chart(forger), **bent)


def chart(forger: Forger) -> str:
    """The stream of the patient it is about."""
    return f"patient/{forger.export.people.chart}"


def look(forger: Forger, actor: Actor, **bent: object) -> int:
    """A look at the history by `actor`."""
    stream = bent.pop("stream", chart(forger))
    return forger.add(actor, "history.opened", {"purpose": "HLEGAL"}, str(stream), **bent)


def add_account(forger: Forger, actor: Actor, account: str = "", **bent: object) -> int:
    """An account registered by `actor`."""
    account = account or new_id("ac", forger.now)
    stream = f"account/{account}"
    return forger.add(actor, "account.registered", {"account": account}, stream, **bent)


def add_key(forger: Forger, actor: Actor, owner: Actor, **members: object) -> int:
    """A key registered by `actor` for `owner`."""
    body = key_body(owner) | members
    return forger.add(actor, "key.registered", body, f"account/{owner.account}")


def flips(size: int, part: int = 0, parts: int = 1) -> Iterator[tuple[int, int]]:
    """Each place of `size` bytes, or each `parts`-th, and a bit to turn over there."""
    return ((at, (at * 5 + at // 8) % 8) for at in range(part, size, parts))


def other_signer() -> LogSigner:
    """A log of the same name with keys of its own."""
    return LogSigner(ORIGIN, bytes(32), bytes(32))


def other_log_keys(body: Row) -> None:
    signer = LogSigner(ORIGIN, bytes(32), bytes(32))
    body["log_keys"] = [str(key) for key in signer.keys]
