"""Handing the log's keys over to new ones, in two steps that the operator signs, and destroying the old ones in a third.

Each can be cut off and taken again.
"""

from dataclasses import dataclass
from pathlib import Path

from api.app.layout import CHECKPOINT, pin_keys, pinned_keys, trusted_checkpoint
from api.app.logkeys import destroy, draw
from api.app.settings import Settings
from client.beside import append
from crypto.notes import Note
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.logkeys import Generation, LogKeys
from storage.ledger import Ledger
from storage.logkeys import keys_in
from storage.start import check_start


@dataclass(frozen=True)
class HandedOver:
    """How far a hand-over is: the entry that says so, the keys that count now, and what was destroyed."""

    seq: int
    vkeys: tuple[str, ...]
    fresh: bool = True
    """Whether this call appended that entry; else an earlier one had."""
    destroyed: tuple[Path, ...] = ()


def rotate_keys(settings: Settings, ledger: Ledger, operator: Actor) -> HandedOver:
    """Draw new keys of the log and let the operator name them: from that entry on old and new keys sign.

    Where that was done before, and the old ones aren't retired, nothing is done again.
    """
    generations = ledger.vkeys.generations
    if fresh := not _handing_over(generations):
        folder, known = settings.data / "keys", {k for one in generations for k in one.keys}
        signer = draw(folder, ledger.origin, settings.secret(), known)
        body = {"log_keys": [str(key) for key in signer.keys]}
        event = operator.event("log_key.added", "ledger", body, ledger.clock())
        append(ledger, operator, [event])
    pin_keys(settings, ledger.vkeys)
    return HandedOver(ledger.vkeys.generations[-1].added, _texts(ledger), fresh)


def retire_keys(settings: Settings, ledger: Ledger, operator: Actor) -> HandedOver:
    """Let the operator retire the keys before the newest: those sign alone from then on. The old ones stay: `forget_keys`.

    Raises RecordsError where no newer keys were added.
    """
    generations = ledger.vkeys.generations
    if len(generations) == 1:
        raise RecordsError(
            "the log has only its first keys; `heartwood log-key rotate --as OPERATOR` adds new ones"
        )
    if fresh := _handing_over(generations):
        body = {"added": generations[-1].added}
        event = operator.event("log_key.retired", "ledger", body, ledger.clock())
        append(ledger, operator, [event])
    pin_keys(settings, ledger.vkeys)
    return HandedOver(_retired(ledger.vkeys)[-1].retired, _texts(ledger), fresh)


def forget_keys(settings: Settings, ledger: Ledger) -> HandedOver:
    """Destroy the private keys of retired generations: after that, no database from before their retirement can go on.

    The database alone isn't believed: the entries that retire them must stand under a head that the keys in log.vkey signed
    without them. Raises RecordsError where none is retired, and StartRefused for a database that doesn't fit.
    """
    last = trusted_checkpoint(settings.data / CHECKPOINT, ledger.vkeys).acknowledged()
    with ledger.database.read() as connection:
        head = check_start(ledger.store, connection, pinned_keys(settings), last)
        keys = keys_in(ledger.store, connection)
    if not (retired := _retired(keys)):
        raise RecordsError(
            "no keys of the log are retired; `heartwood log-key retire --as OPERATOR` retires the old ones"
        )
    old = {key for one in retired for key in one.keys}
    if {key.id for key in old} & {line[1] for line in Note.parse(head.checkpoint).signatures}:
        raise RecordsError("retired keys still sign the log's checkpoints: nothing was destroyed")
    gone = destroy(settings.data / "keys", ledger.origin, settings.secret(), old)
    return HandedOver(retired[-1].retired, tuple(map(str, keys)), False, tuple(gone))


def _retired(keys: LogKeys) -> list[Generation]:
    return [one for one in keys.generations if one.retired]


def _handing_over(generations: tuple[Generation, ...]) -> bool:
    return len(generations) > 1 and not generations[-2].retired


def _texts(ledger: Ledger) -> tuple[str, ...]:
    return tuple(str(key) for key in ledger.vkeys)
