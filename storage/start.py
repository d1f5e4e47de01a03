"""What must fit before a ledger is opened: head and entries, tiles, checkpoint, trusted, registry."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from crypto.encoding import b64encode
from crypto.errors import CryptoError, NoteError
from crypto.notes import VerifierKey
from durable.errors import NotFound, StartRefused
from durable.trusted import Acknowledged
from ledger.checkpoint import Checkpoint, open_checkpoint, said_by
from ledger.editions import edition_of
from ledger.entry import Entry
from ledger.errors import LedgerError, ProofError
from ledger.logkeys import Generation, LogKeys, newest_at
from ledger.merkle import (
    HASH_BYTES,
    Node,
    inclusion_path,
    leaf_hash,
    root_from_path,
    root_of,
)
from ledger.registry import registry_hash
from ledger.tiles import TILE_WIDTH
from storage.logkeys import hand_over_note, keys_in
from storage.sql.entries import EntryStore, Head


def check_start(
    store: EntryStore,
    connection: Connection,
    vkeys: Sequence[VerifierKey],
    last: Acknowledged | None,
    older: bool = False,
) -> Head:
    """The head, after every check; raises StartRefused with reason and remedy.

    `last`: read before the first look of `connection` at the database; None only for the operator's
    acceptance of a restored database, for a copy of one, and for a change of the schema.
    `older`: for these, and for naming this program's registry, an older edition of the registry is taken.
    """
    head = store.head(connection)
    if head is None or head.size == 0:
        raise StartRefused(
            "the database holds no log, and one was expected here. Check --data and HEARTWOOD_DATABASE_URL; "
            "if `heartwood init` was interrupted, remove the data directory and run it again."
        )
    if head.origin != vkeys[0].name:
        raise StartRefused(
            f"the database is of the log {head.origin}, the keys are of {vkeys[0].name}. "
            "Check --data and HEARTWOOD_DATABASE_URL."
        )
    _check_registry(head, older)
    try:
        keys = keys_in(store, connection)
    except (CryptoError, LedgerError, NotFound, LookupError) as error:
        raise StartRefused(
            f"the head is not valid: the log's keys can't be told: {error}. The database was altered or badly restored: "
            "restore a good backup, then `heartwood accept-restore`."
        ) from error
    _check_head(store, connection, head, keys)
    _check_keys(store, connection, head, keys, vkeys)
    if last is not None:
        _check_known(keys, vkeys)
        _check_extends(store, connection, head, keys, last.note)
    return head


def _check_keys(
    store: EntryStore,
    connection: Connection,
    head: Head,
    keys: LogKeys,
    pinned: Sequence[VerifierKey],
) -> None:
    """The database's generations of the log's keys are those of its entries, and handed over from the pinned ones."""
    remedy = "The database was altered, or log.vkey is another log's: restore the right one."
    node, known = _nodes(store, connection), set(pinned)
    try:
        _check_generations(store, connection, head, keys, node)
        for before, after in zip(keys.generations, keys.generations[1:], strict=False):
            if known.issuperset(before.keys) and not known.issuperset(after.keys):
                _check_hand_over(store, before, after, lambda size: root_of(size, node))
                known.update(after.keys)
    except (LedgerError, CryptoError, NotFound, LookupError) as error:
        raise StartRefused(f"the log's keys can't be told: {error}. {remedy}") from error
    # All that count have signed the head. The newest of them are enough to know it by: it names those before.
    newest = newest_at(keys.generations, head.size)
    if newest is None or not known.issuperset(newest.keys):
        raise StartRefused(
            f"the head is not valid: its keys are not those of log.vkey, nor handed over from them. {remedy}"
        )


def _check_known(keys: LogKeys, pinned: Sequence[VerifierKey]) -> None:
    """The log names all keys of log.vkey: else it doesn't hold a hand-over that this server knows of."""
    if not set(pinned) <= set(keys.ever()):
        raise StartRefused(
            "the log doesn't name all keys of log.vkey: the database is older than that, or was altered. Restore a newer one; "
            "if there is none, the operator declares the loss for all to see: `heartwood accept-restore --as OPERATOR`."
        )


def _check_generations(
    store: EntryStore, connection: Connection, head: Head, keys: LogKeys, node: Node
) -> None:
    """The entries that add and retire generations stand under the head's root; raises StartRefused or as `Entry.parse`."""

    def standing(seq: int, kind: str) -> Mapping[str, Any]:
        raw = store.entry(connection, seq)
        path, entry = inclusion_path(seq, head.size, node), Entry.parse(raw)
        if (
            root_from_path(seq, head.size, leaf_hash(raw), path) != head.root
            or (entry.link.seq, entry.event.type.name) != (seq, kind)
        ):  # fmt: skip
            raise ProofError(f"entry {seq} is no {kind} of the log")
        return entry.event.body

    for number, one in enumerate(keys.generations):
        named = standing(one.added, "log_key.added" if number else "ledger.created")
        if named["log_keys"] != [str(key) for key in one.keys]:
            raise ProofError(f"entry {one.added} names other keys of the log")
        if one.retired:
            added = standing(one.retired, "log_key.retired")["added"]
            if added != keys.generations[number + 1].added:
                raise ProofError(
                    f"entry {one.retired} retires the keys before those of entry {added}"
                )


def _check_hand_over(
    store: EntryStore, before: Generation, after: Generation, root_at: Callable[[int], bytes]
) -> None:
    """A checkpoint that the generation `before` signed covers the entry that named the one `after`; raises NoteError."""
    found = hand_over_note(store.database, after.added)
    if found is None:
        raise NoteError(f"no published checkpoint covers entry {after.added}")
    shown = open_checkpoint(found[1], before.keys)
    if shown.size <= after.added or shown.root != root_at(shown.size):
        raise NoteError(f"the checkpoint of {shown.size} entries is not the log's")


def _check_registry(head: Head, older: bool) -> None:
    """The log's registry is this program's; `older`: or one of its earlier editions."""
    if head.registry == registry_hash() or (older and edition_of(head.registry) is not None):
        return
    remedy = (
        "use the program that wrote it, or a later one"
        if older
        else "run `heartwood upgrade --as OPERATOR`, or use the right program"
    )
    raise StartRefused(
        f"the log's registry is {b64encode(head.registry)}, this program's is "
        f"{b64encode(registry_hash())}: {remedy}."
    )


def _check_head(
    store: EntryStore, connection: Connection, head: Head, vkeys: Sequence[VerifierKey]
) -> None:
    """The head agrees with the last entries, the tiles and its own signed checkpoint."""
    remedy = "The database was altered or badly restored: restore a good backup, then `heartwood accept-restore`."
    try:
        checkpoint = open_checkpoint(head.checkpoint, vkeys)
        expected = Checkpoint(head.origin, head.size, head.root)
        if checkpoint != expected:
            raise StartRefused(
                f"the head says size {head.size}, its checkpoint {checkpoint.size}. {remedy}"
            )
        first = (head.size - 1) // TILE_WIDTH * TILE_WIDTH
        last = store.range(connection, first, head.size + 1)
        hashes = b"".join(leaf_hash(raw) for raw in last)
        if len(last) != head.size - first:
            raise StartRefused(
                f"the head says {head.size} entries, the table ends at {first + len(last)}. {remedy}"
            )
        if hashes != store.last_hashes(connection, head.size) or hashes[-HASH_BYTES:] != head.tip:
            raise StartRefused(
                f"the last entries are not those of the head of size {head.size}. {remedy}"
            )
        node = _nodes(store, connection)
        if root_of(head.size, node) != head.root:
            raise StartRefused(f"the tiles do not lead to the head's root. {remedy}")
        # Entry 0 holds the policy that every event is decided by.
        leaf, path = leaf_hash(store.entry(connection, 0)), inclusion_path(0, head.size, node)
        if root_from_path(0, head.size, leaf, path) != head.root:
            raise StartRefused(f"entry 0 is not the one under the head's root. {remedy}")
    except (CryptoError, NotFound) as error:
        raise StartRefused(f"the head is not valid: {error}. {remedy}") from error


def _nodes(store: EntryStore, connection: Connection) -> Node:
    """The tree's nodes from the stored tiles; raises NotFound for a tile that is missing or cut short."""
    node = store.nodes(connection)

    def whole(level: int, index: int) -> bytes:
        try:
            return node(level, index)
        except IndexError as error:
            raise NotFound(f"a tile is cut short before node {index} of level {level}") from error

    return whole


def _check_extends(
    store: EntryStore,
    connection: Connection,
    head: Head,
    vkeys: Sequence[VerifierKey],
    note: bytes | None,
) -> None:
    """The database's head extends the last checkpoint kept outside of it."""
    if note is None:
        raise StartRefused(
            "the last checkpoint, kept outside the database in the file `checkpoint`, is missing: whether "
            "the database is whole can't be told. Put the file back; if it is lost, the operator says so for "
            "all to see: `heartwood accept-restore --as OPERATOR`."
        )
    try:
        last = said_by(note)
        if (
            last.size <= head.size
        ):  # of a larger one the database doesn't tell whose signatures it needs
            last = open_checkpoint(note, vkeys)
        root = root_of(last.size, _nodes(store, connection)) if last.size <= head.size else b""
    except NotFound as error:
        raise StartRefused(
            f"the tiles are not valid: {error}. The database was altered: restore a good backup."
        ) from error
    except CryptoError as error:
        raise StartRefused(
            f"the last checkpoint outside the database is not valid: {error}"
        ) from error
    if last.size > head.size:
        raise StartRefused(
            f"the database has {head.size} entries, and {last.size} were acknowledged: it is older than the "
            "last checkpoint (a restored backup, or a standby promoted without the last commits?). Restore a newer "
            "one, or bring back the server that has them; if neither exists, the operator "
            "declares the loss for all to see: `heartwood accept-restore --as OPERATOR`."
        )
    if root != last.root:
        raise StartRefused(
            f"the database does not extend the last checkpoint of size {last.size}: it is another history. "
            "Restore the right database; `heartwood accept-restore --as OPERATOR` declares it the log."
        )
