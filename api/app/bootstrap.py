"""Wiring: make a new ledger, or open the one that is there. The only place that puts parts together."""

import gc
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from api.app.settings import Settings
from consent.gate import gate
from crypto.cosignatures import check_origin
from crypto.errors import NoteError
from crypto.notes import LogSigner, VerifierKey
from crypto.signing import SigningKey
from durable.errors import StartRefused, StorageError
from durable.files import DIRECTORY_MODE, create_file, private_directory
from durable.trusted import TrustedCheckpoint
from identity.actors import Actor, new_id, new_key, write_keyfile
from keeper.keeper import KeyKeeper
from keeper.keks import KekStore
from keeper.roots import create_root, load_root
from ledger.checkpoint import open_checkpoint, parse_keys
from ledger.entry import Entry
from ledger.event import sign_event
from ledger.policies import DEFAULT_POLICY
from ledger.registry import registry_hash
from ledger.sequencer import Appended, Gate, Proposal, Rules, ledger_created
from storage.blobs.files import FileBlobs
from storage.clock import Boot, ClockWatch, accept_clock, this_boot, wall_clock
from storage.keytable import KeyTable
from storage.ledger import Ledger
from storage.log import PUBLISH_MS, Log
from storage.maintenance.backup import Secrets
from storage.maintenance.garbage import GarbageCollector
from storage.maintenance.restore import Target
from storage.signatures import SignatureChecks
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.identifiers import Identifiers, Imported
from storage.sql.upgrade import check_schema, revision, revisions, upgrade_database, upgrade_schema
from storage.start import check_start
from storage.status import Status, status
from storage.stores import Stores
from storage.tokens import TokenStore

CLOCK = "clock"
"""What the clocks showed at the last acknowledged entry."""
MARKER = "heartwood.json"
"""Written last by `init`; a folder without it holds no ledger."""
ROOTS = ("record.root", "identity.root")
SEEDS = ("log-ed25519.seed", "log-ml-dsa-44.seed", "service.seed")
COLLECT_AFTER = 100_000
"""Allocations between two collections of the young."""
_CHECK = b"heartwood/identity-root-check/v1"


@dataclass(frozen=True)
class Created:
    """A new ledger."""

    origin: str
    vkeys: tuple[str, ...]
    operator: Actor
    keyfile: Path


def create_ledger(
    settings: Settings, origin: str, clock: Callable[[], int] = wall_clock
) -> Created:
    """Make a new ledger: roots, keys, schema, entry 0. Never over anything that is there."""
    data = settings.data
    try:
        check_origin(origin)
    except NoteError as error:
        raise StorageError(str(error)) from error
    if data.exists() and any(data.iterdir()):
        what = "a ledger already" if (data / MARKER).exists() else "files, but no whole ledger"
        raise StartRefused(
            f"{data} holds {what}; choose another --data, or delete it only if you need nothing in it"
        )
    private_directory(data)
    database = _database(settings)
    with database.write() as connection:
        if revision(connection) is not None:
            raise StartRefused(
                "the database already holds a ledger's tables; a new ledger needs an empty one"
            )
    secret, now = settings.secret(), clock()
    for folder in (*(data / n for n in ("blobs", "keys", "people", "keeper")), settings.roots()):
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    roots = {name: create_root(settings.roots() / name, secret) for name in ROOTS}
    seeds = [create_root(data / "keys" / name, secret) for name in SEEDS]
    signer = LogSigner(origin, seeds[0], seeds[1])
    vkeys = tuple(str(key) for key in signer.keys)
    operator = Actor(origin, new_id("ac", now), "operator", "", new_key())
    service = (new_id("ac", now), SigningKey(seeds[2]))
    keyfile = write_keyfile(data / "people" / f"operator-{operator.account}.key", operator, secret)
    with database.write() as connection:
        upgrade_schema(connection)
    keeper = _keeper(settings, roots["record.root"], signer.keys, clock, create=True)
    keeper.create()
    keeper.close()
    event = ledger_created(
        origin, vkeys, (operator.account, operator.key), service, dict(DEFAULT_POLICY),
        registry_hash(), new_id("ev", now), now,
    )  # fmt: skip
    log = Log(
        EntryStore(database), KeyTable(database), signer, None,
        _rules(origin), _trusted(data / "checkpoint", signer.keys), ClockWatch(data / CLOCK, clock),
    )  # fmt: skip
    outcome = log.append([Proposal(event, sign_event(operator.key, origin, event.raw))])[0]
    log.close()
    database.close()
    if not isinstance(outcome, Appended):
        raise StorageError(f"entry 0 was refused: {outcome}")
    create_file(data / "log.vkey", "".join(f"{key}\n" for key in vkeys).encode())
    marker = {
        "database": make_url(settings.url()).get_backend_name(),
        "format": 1,
        "identity_check": _identity_check(roots["identity.root"]),
        "operator": operator.account,
        "origin": origin,
        "service": service[0],
    }
    create_file(data / MARKER, json.dumps(marker, indent=1).encode() + b"\n")
    return Created(origin, vkeys, operator, keyfile)


def tune_collector() -> None:
    """Let the garbage collector look at long-lived rows seldom; they are many, and none refers to itself."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


def upgrade_schema_of(settings: Settings) -> tuple[str, str]:
    """Bring a ledger's schema up to date, and its views; gives the revisions before and after."""
    read_marker(settings)
    database = _database(settings)
    try:
        return upgrade_database(EntryStore(database), _pinned_keys(settings.data / "log.vkey"))
    finally:
        database.close()


def status_of(settings: Settings, clock: Callable[[], int] = wall_clock) -> Status:
    """How a ledger stands, whether or not it would open."""
    read_marker(settings)
    database = _database(settings)
    try:
        return status(EntryStore(database), settings.data, clock)
    finally:
        database.close()


def believe_clock(settings: Settings, said: int) -> None:
    """Believe this machine's clock from here on, as the operator says that it is `said` (Unix ms)."""
    read_marker(settings)
    accept_clock(settings.data / CLOCK, said, wall_clock(), this_boot())


def open_ledger(
    settings: Settings,
    clock: Callable[[], int] = wall_clock,
    restored: bool = False,
    older: bool = False,
    judge: Gate = gate,
    boot: Callable[[], Boot] | None = None,
) -> Ledger:
    """Open the ledger, after every check; raises StartRefused with reason and remedy.

    `restored`: the operator accepts a database behind the last checkpoint (`accept-restore` alone).
    `judge`: another gate than the rules' own shows what an audit finds (`demo` alone).
    `older`: the log may name an older edition of the registry (`upgrade` alone, and `accept-restore`).
    `boot`: what another `clock` than the machine's is compared with; see `ClockWatch`.
    """
    marker, secret = read_marker(settings), settings.secret()
    identity = load_root(settings.roots() / "identity.root", secret)
    if _identity_check(identity) != marker["identity_check"]:
        raise StartRefused(
            "the identity root is not the one this ledger was made with: put the right one back"
        )
    record = load_root(settings.roots() / "record.root", secret)
    seeds = [load_root(settings.data / "keys" / name, secret) for name in SEEDS]
    origin = marker["origin"]
    signer = LogSigner(origin, seeds[0], seeds[1])
    vkeys = _pinned_keys(settings.data / "log.vkey")
    if tuple(signer.keys) != vkeys:
        raise StartRefused(
            "the log's private keys are not those of log.vkey: put the right keys back"
        )
    trusted = _trusted(settings.data / "checkpoint", vkeys)
    with ExitStack() as opened:  # what was opened is closed again if the start fails
        database = _database(settings)
        opened.callback(database.close)
        store, keys = EntryStore(database), KeyTable(database)
        last = None if restored else trusted.acknowledged()
        try:
            with database.read() as connection:
                check_schema(connection)
                head = check_start(store, connection, vkeys, last, older or restored)
                created = Entry.parse(store.entry(connection, 0))
        except DBAPIError as error:
            raise StartRefused(f"the database does not answer: {error.orig}") from error
        _check_service(created, str(marker["service"]), seeds[2])
        keeper = _keeper(settings, record, vkeys, clock, create=False)
        opened.callback(keeper.close)
        keeper.check_root()
        tokens = TokenStore(settings.data / "passing.db")
        opened.callback(tokens.close)
        blobs = FileBlobs(settings.data / "blobs")
        if not restored:
            trusted.saw(head.size, head.checkpoint, clock())
        tune_collector()
        service = (str(marker["service"]), SigningKey(seeds[2]))
        watch = ClockWatch(settings.data / CLOCK, clock, boot)
        log = Log(store, keys, signer, service, _rules(origin, judge), trusted, watch)
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
            imported=Imported(database, identity),
            signatures=SignatureChecks(database, origin),
            log=log,
            keeper=keeper,
            tokens=tokens,
            garbage=GarbageCollector(
                Stores(database, store, keys, blobs, vkeys), settings.data, clock, log.unavailable
            ),
        )


@contextmanager
def opened_stores(settings: Settings, anchored: bool = False) -> Iterator[Stores]:
    """The data of a ledger without its secrets, checked as at a start, even where one would be refused.

    `anchored`: not where the database doesn't extend the last checkpoint.
    """
    read_marker(settings)
    vkeys, database = _pinned_keys(settings.data / "log.vkey"), _database(settings)
    store, trusted = EntryStore(database), _trusted(settings.data / "checkpoint", vkeys)
    last = trusted.acknowledged() if anchored else None
    try:
        with database.read() as connection:
            revisions(connection)
            check_start(store, connection, vkeys, last, older=True)
        yield Stores(database, store, KeyTable(database), FileBlobs(settings.data / "blobs"), vkeys)
    finally:
        database.close()


def secrets_of(settings: Settings) -> Secrets:
    """Where what opens records, and signs, lies."""
    data = settings.data
    return Secrets(data / "keeper", data / "keys", data / "people", settings.roots())


def target_of(settings: Settings) -> Target:
    """Where a backup is restored to."""
    url = make_url(settings.url())
    file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
    return Target(settings.data, file, partial(_database, settings), secrets_of(settings))


def read_marker(settings: Settings) -> dict[str, Any]:
    """What `init` wrote; raises StartRefused where there is no ledger."""
    path = settings.data / MARKER
    if not path.exists():
        raise StartRefused(
            f"there is no ledger in {settings.data}. Check --data or HEARTWOOD_DATA; "
            "`heartwood init` makes a new one."
        )
    try:
        marker: dict[str, Any] = json.loads(path.read_bytes())
        if marker["format"] != 1:
            raise StartRefused(
                f"{path} has format {marker['format']}, expected 1: use a later program"
            )
    except (ValueError, KeyError, TypeError) as error:
        raise StartRefused(f"{path} is damaged ({error}): restore it from a backup") from error
    backend = make_url(settings.url()).get_backend_name()
    if marker["database"] != backend:
        raise StartRefused(
            f"this ledger was made on {marker['database']}, and HEARTWOOD_DATABASE_URL names {backend}: set "
            "it to the database it was made on"
        )
    if marker["database"] == "sqlite" and not Path(str(make_url(settings.url()).database)).exists():
        raise StartRefused(
            f"the database file {make_url(settings.url()).database} is missing: restore it from a backup, "
            "then `heartwood accept-restore --as OPERATOR`"
        )
    return marker


def _pinned_keys(path: Path) -> tuple[VerifierKey, ...]:
    try:
        return tuple(parse_keys(path.read_text().split()))
    except (OSError, ValueError) as error:
        raise StartRefused(
            f"the log's verifier keys in {path} can't be read ({error}): restore the file, any export has it"
        ) from error


def _check_service(created: Entry, account: str, seed: bytes) -> None:
    """The service's key is the one entry 0 names; another would sign refusals nobody can verify."""
    named = created.event.body["service"]
    if (named["account"], named["key"]) != (account, SigningKey(seed).id):
        raise StartRefused(
            "the service's key is not the one that entry 0 names: put the right service.seed back"
        )


def _rules(origin: str, judge: Gate = gate) -> Rules:
    return Rules(origin, judge)


def _database(settings: Settings) -> Database:
    settings.data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    try:
        return Database(settings.url(), settings.data / "lock")
    except DBAPIError as error:
        raise StartRefused(f"the database does not answer: {error.orig}") from error


def _trusted(path: Path, keys: tuple[VerifierKey, ...]) -> TrustedCheckpoint:
    return TrustedCheckpoint(path, PUBLISH_MS, lambda note: open_checkpoint(note, keys).size)


def _keeper(
    settings: Settings,
    root: bytes,
    keys: tuple[VerifierKey, ...],
    clock: Callable[[], int],
    create: bool,
) -> KeyKeeper:
    folder = settings.data / "keeper"
    store = KekStore(folder / "keks.db", create)
    try:
        return KeyKeeper(root, store, keys, _trusted(folder / "checkpoint", keys), clock)
    except BaseException:
        store.close()
        raise


def _identity_check(root: bytes) -> str:
    return hmac.digest(root, _CHECK, "sha256").hex()
