"""Opening the ledger that is there, after every check."""

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy.exc import DBAPIError

from api.app.blobs import ledger_blobs
from api.app.layout import (
    CHECKPOINT,
    CLOCK,
    IDENTITY_ROOT,
    SERVICE_SEED,
    TOKENS,
    database_of,
    identity_check,
    keeper_place,
    pin_keys,
    pinned_keys,
    read_marker,
    trusted_checkpoint,
)
from api.app.logkeys import check_there, signer_in
from api.app.settings import Settings
from api.app.witnesses import witness_policy
from consent.gate import gate
from crypto.identity import IdentityRoot
from crypto.notes import VerifierKey
from crypto.signing import SigningKey
from durable.errors import StartRefused
from keeper.child import KeeperPlace, child_keeper
from keeper.endpoints import TlsEndpoint
from keeper.errors import KeeperUnavailable
from keeper.protocol import Keeper
from keeper.remote import RemoteKeeper
from keeper.roots import load_root
from ledger.entry import Entry
from ledger.sequencer import Gate, Rules
from people.telling import telling
from storage.clock import Boot, ClockWatch, wall_clock
from storage.contacts import Contacts
from storage.keytable import KeyTable
from storage.ledger import Ledger
from storage.log import Log
from storage.logkeys import Signers, StoredKeys
from storage.outbox import Outbox
from storage.signatures import SignatureChecks
from storage.sql.credentials import Credentials
from storage.sql.entries import EntryStore
from storage.sql.identifiers import Identifiers
from storage.sql.upgrade import check_schema
from storage.start import check_start
from storage.tokens import TokenStore

COLLECT_AFTER = 100_000
"""Allocations between two collections of the young."""


def open_ledger(
    settings: Settings,
    clock: Callable[[], int] = wall_clock,
    restored: bool = False,
    older: bool = False,
    judge: Gate = gate,
    boot: Callable[[], Boot] | None = None,
    keeper_at: Callable[[KeeperPlace], Keeper] | None = None,
) -> Ledger:
    """Open the ledger, after every check; raises StartRefused with reason and remedy.

    `restored`: the operator accepts a database behind the last checkpoint (`accept-restore` alone).
    `judge`: another gate than the rules' own shows what an audit finds (`demo` alone).
    `older`: the log may name an older edition of the registry (`upgrade` alone, and `accept-restore`).
    `keeper_at`: the key keeper, where it isn't the process that the settings say (tests alone).
    `boot`: what another `clock` than the machine's is compared with; see `ClockWatch`.
    """
    marker, secret = read_marker(settings), settings.secret()
    identity = _identity_root(settings, marker)
    folder = settings.data / "keys"
    service = (str(marker["service"]), SigningKey(load_root(folder / SERVICE_SEED, secret)))
    origin, pinned = marker["origin"], pinned_keys(settings)
    check_there(folder, secret)
    signers = Signers(signer_in(folder, origin, secret))
    with ExitStack() as opened:  # what was opened is closed again if the start fails
        database = database_of(settings)
        opened.callback(database.close)
        store, keys = EntryStore(database), KeyTable(database)
        vkeys = StoredKeys(store)
        trusted = trusted_checkpoint(settings.data / CHECKPOINT, vkeys, restored)
        last = None if restored else trusted.acknowledged()
        try:
            with database.read() as connection:
                check_schema(connection)
                head = check_start(store, connection, pinned, last, older or restored)
                created = Entry.parse(store.entry(connection, 0))
        except DBAPIError as error:
            raise StartRefused(f"the database does not answer: {error.orig}") from error
        _check_service(created, *service)
        signers.check(vkeys, head.size)
        pin_keys(settings, vkeys)
        policy = witness_policy(settings, vkeys.ever())
        keeper = (
            found_keeper(settings, vkeys)
            if keeper_at is None
            else keeper_at(keeper_place(settings, vkeys))
        )
        opened.callback(keeper.close)
        follows = keeper.standing().read
        tokens = TokenStore(settings.data / TOKENS)
        opened.callback(tokens.close)
        blobs = ledger_blobs(settings)
        if not restored:
            trusted.saw(head.size, head.checkpoint, clock())
        tune_collector()
        watch = ClockWatch(settings.data / CLOCK, clock, boot)
        outbox, root = Outbox(database, telling(str(marker["operator"]))), IdentityRoot(identity)
        credentials = Credentials(database)
        log = Log(
            store,
            keys,
            signers,
            vkeys,
            service,
            Rules(origin, judge),
            trusted,
            watch,
            restored,
            outbox,
            credentials.sessions,
        )
        opened.pop_all()
        return Ledger(
            origin=origin,
            vkeys=vkeys,
            clock=clock,
            database=database,
            store=store,
            keys=keys,
            blobs=blobs,
            identifiers=Identifiers(database, identity),
            signatures=SignatureChecks(database, origin),
            log=log,
            keeper=keeper,
            tokens=tokens,
            identity=root,
            credentials=credentials,
            outbox=outbox,
            contacts=Contacts(database, root, outbox),
            keeper_size=follows,
            witnesses=policy,
        )


def found_keeper(settings: Settings, vkeys: Sequence[VerifierKey]) -> Keeper:
    """The key keeper's process: of its own user or machine, or one that starts by itself; raises StartRefused."""
    where = settings.keeper_endpoint()
    if where is None:
        return child_keeper(keeper_place(settings, vkeys))
    if isinstance(where, TlsEndpoint):
        where.credentials.check()
    keeper = RemoteKeeper(where, vkeys[0].name, None)
    try:
        keeper.standing()
    except KeeperUnavailable as error:
        raise StartRefused(f"{error}. Start it: `heartwood keeper serve`") from error
    return keeper


def tune_collector() -> None:
    """Let the garbage collector look at long-lived rows seldom; they are many, and none refers to itself."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


def _identity_root(settings: Settings, marker: dict[str, Any]) -> bytes:
    """The identity root, which is the one that the marker knows."""
    root = load_root(settings.roots() / IDENTITY_ROOT, settings.secret())
    if identity_check(root) != marker["identity_check"]:
        raise StartRefused(
            "the identity root is not the one this ledger was made with: put the right one back"
        )
    return root


def _check_service(created: Entry, account: str, key: SigningKey) -> None:
    """The service's key is the one entry 0 names; another would sign refusals nobody can verify."""
    named = created.event.body["service"]
    if (named["account"], named["key"]) != (account, key.id):
        raise StartRefused(
            "the service's key is not the one that entry 0 names: put the right service.seed back"
        )
