"""The root keys and the log's private keys: whether they open, under what, and how near the data they lie."""

from collections.abc import Iterator
from pathlib import Path

from api.app.layout import (
    IDENTITY_ROOT,
    SERVICE_SEED,
    identity_check,
    pinned_keys,
    read_marker,
    record_roots,
)
from api.app.logkeys import seed_files, signer_in
from api.app.settings import Settings
from api.operator.checking.files import same_disk
from api.operator.checking.findings import Finding, ok, unsafe, warning
from durable.errors import StartRefused
from keeper.roots import FilePlace, is_sealed, load_root


def check_roots(settings: Settings) -> Iterator[Finding]:
    """Roots and keys; the record root is the keeper's and is not opened here."""
    try:
        marker = read_marker(settings)
        _open(settings, marker)
    except StartRefused as error:
        yield unsafe("keys", f"{error}", "the ledger does not start without them")
        return
    yield ok("keys", "identity root, log keys and service key open, and are this ledger's")
    sealed = all(is_sealed(path) for path in _files(settings))
    apart = not same_disk(settings.roots(), settings.data)
    yield _place(settings, sealed, apart)
    if sealed:
        yield ok("passphrase", "root keys and log keys are encrypted under a passphrase")
    elif apart:
        yield warning(
            "passphrase",
            "root keys or log keys have no passphrase: whoever reads their files needs nothing else",
            "set one: `heartwood passphrase`",
        )


def _place(settings: Settings, sealed: bool, apart: bool) -> Finding:
    where = settings.roots()
    if apart:
        return ok("root keys", f"{where} is on another disk than the data")
    if sealed:
        return warning(
            "root keys",
            f"the root keys in {where} are on the disk of the data: the passphrase alone protects a stolen disk",
            "set HEARTWOOD_ROOT to a folder on another device, and move the files there",
        )
    return unsafe(
        "root keys",
        f"the root keys in {where} are on the disk of the data, without a passphrase: whoever steals this disk, or a "
        "copy of it, can read every record",
        "set a passphrase (`heartwood passphrase`), or move the folder to another device and set HEARTWOOD_ROOT",
    )


def _files(settings: Settings) -> list[Path]:
    """The files that hold a root or a key themselves: what a service or a token wraps isn't among them."""
    return [
        *_record_files(settings),
        settings.roots() / IDENTITY_ROOT,
        *seed_files(settings.data / "keys"),
        settings.data / "keys" / SERVICE_SEED,
    ]


def _record_files(settings: Settings) -> list[Path]:
    """Those of record roots; none where the key keeper's own user has them."""
    if settings.keeper:
        return []
    roots = record_roots(settings)
    there = roots.there()
    if not there:
        raise StartRefused(
            f"the root key {settings.roots() / 'record.root'} is missing: no record can be opened"
        )
    return [roots.path(n) for n in there if isinstance(roots.place(n), FilePlace)]


def _open(settings: Settings, marker: dict[str, object]) -> None:
    """Raises StartRefused unless what the service opens opens, and is this ledger's."""
    secret = settings.secret()
    for record in _record_files(settings):
        if is_sealed(record) and secret is None:
            raise StartRefused(f"{record} has a passphrase: set HEARTWOOD_PASSPHRASE")
    identity = load_root(settings.roots() / IDENTITY_ROOT, secret)
    if identity_check(identity) != marker["identity_check"]:
        raise StartRefused("the identity root is not the one this ledger was made with")
    folder, pinned = settings.data / "keys", list(pinned_keys(settings))
    load_root(folder / SERVICE_SEED, secret)
    find = signer_in(folder, str(marker["origin"]), secret)
    # The file has a generation's two keys side by side.
    if not all(find((one, other)) for one, other in zip(pinned[::2], pinned[1::2], strict=True)):
        raise StartRefused("the log's private keys are not those of log.vkey")
