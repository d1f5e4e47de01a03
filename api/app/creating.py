"""Making a new ledger: its roots and keys, the schema, the keeper's store, and entry 0, which names the first policy."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from api.app.blobs import check_free, fit, is_default, make_blobs
from api.app.layout import (
    CHECKPOINT,
    CLOCK,
    IDENTITY_ROOT,
    MARKER,
    SEEDS,
    TOKENS,
    VKEYS,
    database_of,
    identity_check,
    keeper_place,
    record_roots,
    trusted_checkpoint,
)
from api.app.settings import Settings
from consent.gate import gate
from crypto.cosignatures import check_origin
from crypto.errors import NoteError
from crypto.identity import IdentityRoot
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from durable.errors import StartRefused, StorageError
from durable.files import DIRECTORY_MODE, create_file, private_directory
from identity.actors import Actor, new_id, new_key, write_keyfile
from identity.setting_up import give_link
from keeper.process import open_keeper
from keeper.roots import FIRST_ROOT, create_root
from ledger.event import sign_event
from ledger.policies import DEFAULT_POLICY
from ledger.registry import registry_hash
from ledger.sequencer import Appended, Proposal, Rules, ledger_created
from storage.clock import ClockWatch, wall_clock
from storage.keytable import KeyTable
from storage.log import Log
from storage.logkeys import only
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.upgrade import revision, upgrade_schema
from storage.tokens import TokenStore


@dataclass(frozen=True)
class Created:
    """A new ledger."""

    origin: str
    vkeys: tuple[str, ...]
    operator: Actor
    keyfile: Path
    setup_link: str
    """By which the operator sets password and one-time codes, once; see `identity.setting_up`."""


def create_ledger(
    settings: Settings, origin: str, clock: Callable[[], int] = wall_clock
) -> Created:
    """Make a new ledger: roots, keys, schema, entry 0. Never over anything that is there."""
    data = settings.data
    _check_free(data, origin)
    place = settings.blob_place()
    if not is_default(settings, place):
        fit(place)  # nothing is made where blobs can't be kept
        check_free(place, origin)
    kept_here = settings.keeper_endpoint() is None  # or by another user, who has the record root
    roots, root_place = record_roots(settings), settings.root_place()
    if kept_here:
        roots.check(root_place)  # nor where the record root can't
    private_directory(data)
    with closing(database_of(settings)) as database:
        _check_empty(database)
        secret, now = settings.secret(), clock()
        names = ("keys", "people", *(("keeper",) if kept_here else ()))
        for folder in (*(data / name for name in names), settings.roots()):
            folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if kept_here:
            roots.create(FIRST_ROOT, root_place)
        identity = create_root(settings.roots() / IDENTITY_ROOT, secret)
        seeds = [create_root(data / "keys" / name, secret) for name in SEEDS]
        signer = LogSigner(origin, seeds[0], seeds[1])
        operator = Actor(origin, new_id("ac", now), "operator", "", new_key())
        service = new_id("ac", now), SigningKey(seeds[2])
        keyfile = write_keyfile(
            data / "people" / f"operator-{operator.account}.key", operator, secret
        )
        with database.write() as connection:
            upgrade_schema(connection)
        if kept_here:
            open_keeper(keeper_place(settings, signer.keys), create=True).close()
        _append_first(data, database, signer, operator, service, clock, now)
    vkeys = tuple(str(key) for key in signer.keys)
    create_file(data / VKEYS, "".join(f"{key}\n" for key in vkeys).encode())
    marker = {
        "database": make_url(settings.url()).get_backend_name(),
        "format": 1,
        "identity_check": identity_check(identity),
        "operator": operator.account,
        "origin": origin,
        "service": service[0],
    }
    make_blobs(settings, place, origin)
    create_file(data / MARKER, json.dumps(marker, indent=1).encode() + b"\n")
    with closing(TokenStore(data / TOKENS)) as tokens:
        link = give_link(tokens, IdentityRoot(identity), operator.account, clock())
    return Created(origin, vkeys, operator, keyfile, link)


def _check_free(data: Path, origin: str) -> None:
    """Raises StorageError for an origin that is none, StartRefused for a folder that holds something."""
    try:
        check_origin(origin)
    except NoteError as error:
        raise StorageError(str(error)) from error
    if data.exists() and any(data.iterdir()):
        what = "a ledger already" if (data / MARKER).exists() else "files, but no whole ledger"
        raise StartRefused(
            f"{data} holds {what}; choose another --data, or delete it only if you need nothing in it"
        )


def _check_empty(database: Database) -> None:
    with database.write() as connection:
        if revision(connection) is not None:
            raise StartRefused(
                "the database already holds a ledger's tables; a new ledger needs an empty one"
            )


def _append_first(
    data: Path,
    database: Database,
    signer: LogSigner,
    operator: Actor,
    service: tuple[str, SigningKey],
    clock: Callable[[], int],
    now: int,
) -> None:
    """Append entry 0: the log's keys, operator and service, the registry, and the first policy."""
    origin, vkeys = operator.origin, tuple(str(key) for key in signer.keys)
    event = ledger_created(
        origin, vkeys, (operator.account, operator.key), service, dict(DEFAULT_POLICY),
        registry_hash(), new_id("ev", now), now,
    )  # fmt: skip
    log = Log(
        EntryStore(database), KeyTable(database), only(signer), signer.keys, None, Rules(origin, gate),
        trusted_checkpoint(data / CHECKPOINT, signer.keys), ClockWatch(data / CLOCK, clock),
    )  # fmt: skip
    outcome = log.append([Proposal(event, sign_event(operator.key, origin, event.raw))])[0]
    log.close()
    if not isinstance(outcome, Appended):
        raise StorageError(f"entry 0 was refused: {outcome}")
