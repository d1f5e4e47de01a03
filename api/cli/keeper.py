"""`keeper`: a key keeper that runs as a user of its own, and what a key keeper found in the log."""

import os
import pwd
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.app import logs
from api.app.layout import (
    VKEYS,
    check_kept,
    keeper_folder,
    keeper_place,
    pinned_keys,
    record_roots,
)
from api.app.opening import open_ledger
from api.app.process import PRIVATE_UMASK
from api.app.settings import Settings
from api.cli.app import GOOD, WRONG, Data, Json, app, say, settings
from crypto.notes import VerifierKey
from crypto.texts import counted
from durable.errors import StartRefused
from durable.files import create_file, private_directory
from keeper.alarms import every_alarm
from keeper.endpoints import EXPECTED, TlsEndpoint, UnixEndpoint, parse_endpoint
from keeper.errors import KeeperRefused
from keeper.keks import KEKS
from keeper.roots import FIRST_ROOT
from ledger.checkpoint import parse_keys
from storage.alarms import Alarms, Said
from storage.feeding import feed
from storage.maintenance.backup import copy_secrets_folder

if TYPE_CHECKING:
    from keeper.following import FollowedLog
    from keeper.listening import Listener

keeper_app = typer.Typer(help="The key keeper.", no_args_is_help=True)
app.add_typer(keeper_app, name="keeper")


@keeper_app.command("init")
def init(
    vkey: Annotated[Path, typer.Option(help="The ledger's verifier keys, log.vkey.")],
    json_: Json = False,
) -> None:
    """Make the folder of a key keeper that runs as a user of its own, in HEARTWOOD_KEEPER_DATA: record root and store."""
    from keeper.process import open_keeper  # here, so that no server loads what unwraps keys

    config = settings(None)
    folder = _folder(config)
    if folder.exists() and any(folder.iterdir()):
        raise StartRefused(f"{folder} holds files already; a new keeper needs a new folder")
    vkeys = _vkeys(vkey)
    roots, place = record_roots(config), config.root_place()
    roots.check(place)
    private_directory(folder)
    private_directory(config.root or folder / "roots")
    roots.create(FIRST_ROOT, place)
    open_keeper(keeper_place(config, vkeys), create=True).close()
    create_file(folder / VKEYS, "".join(f"{key}\n" for key in vkeys).encode())  # last: it is whole
    lines = [
        f"the key keeper of {vkeys[0].name} is in {folder}; its record root: {place} in {config.root or folder / 'roots'}",
        "start it: `heartwood keeper serve`; back it up: `heartwood keeper backup FOLDER`",
    ]
    say(json_, {"folder": folder, "origin": vkeys[0].name, "root": str(place)}, *lines)


@keeper_app.command("serve")
def serve(
    listen: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="Where to listen, unix:/path or tls:HOST:PORT; by default where HEARTWOOD_KEEPER says that it is called.",
        ),
    ] = "",
) -> None:
    """Keep the keys in HEARTWOOD_KEEPER_DATA until stopped: over unix: for HEARTWOOD_KEEPER_USERS, over tls: for HEARTWOOD_KEEPER_NAMES."""
    from keeper.process import be_keeper

    config = settings(None)
    folder = _folder(config)
    where = _listened(config, listen)
    users = {os.getuid(), *(_user(name) for name in _words(config.keeper_users))}
    os.umask(PRIVATE_UMASK)
    logs.configure()
    vkeys = _vkeys(folder / VKEYS)

    def listening() -> "Listener":
        from keeper.listening import TlsListener, UnixListener

        if isinstance(where, TlsEndpoint):
            return TlsListener(where, _words(config.keeper_names))
        # Whoever may come to the socket is told apart by who they are, not by its mode.
        return UnixListener(where.path, users, 0o666)

    def ready() -> None:
        place = where if isinstance(where, TlsEndpoint) else where.path
        print(f"keeping the keys of {vkeys[0].name} at {place}", flush=True)

    be_keeper(keeper_place(config, vkeys), listening, ready)


@keeper_app.command("certificates")
def certificates(
    folder: Annotated[Path, typer.Argument(help="The folder of the CA and of each end's files.")],
    keeper: Annotated[
        list[str] | None,
        typer.Option(help="A keeper's host name or address, as HEARTWOOD_KEEPER names it."),
    ] = None,
    caller: Annotated[
        list[str] | None, typer.Option(help="A caller's name, as HEARTWOOD_KEEPER_NAMES lists it.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long the certificates last.")] = 365,
    json_: Json = False,
) -> None:
    """Make, or renew, certificates for a keeper over TLS and its callers, by a private CA in FOLDER that is made at first."""
    from keeper.certificates import CA_FOLDER, make_certificates

    made = make_certificates(folder, keeper or (), caller or (), days)
    lines = [f"{one.folder}: until {one.ends:%Y-%m-%dT%H:%M:%SZ}" for one in made]
    fields = {
        "ca": folder / CA_FOLDER,
        "made": [
            {"folder": str(one.folder), "ends": f"{one.ends:%Y-%m-%dT%H:%M:%SZ}"} for one in made
        ],
    }
    say(
        json_,
        fields,
        *lines,
        f"take each folder to its machine and name it in HEARTWOOD_KEEPER_TLS; keep {folder / CA_FOLDER} on neither",
    )


@keeper_app.command("backup")
def backup(
    directory: Annotated[Path, typer.Argument(help="A new folder, on another disk.")],
    json_: Json = False,
) -> None:
    """Copy the store and the record root of a key keeper that runs as a user of its own, while it is in use."""
    config = settings(None)
    folder = _folder(config)
    if not (folder / KEKS).is_file():
        raise StartRefused(f"{folder} is not a key keeper's folder")
    if directory.exists() and any(directory.iterdir()):
        raise StartRefused(f"{directory} holds files already; a backup of keys needs a new folder")
    copy_secrets_folder(folder, directory / "keeper")
    copy_secrets_folder(config.root or folder / "roots", directory / "roots")
    say(
        json_,
        {"directory": directory},
        f"the key keeper's store and record root are in {directory}",
    )


@keeper_app.command("alarms")
def alarms(
    clear_refused: Annotated[
        bool,
        typer.Option(
            "--clear-refused",
            help="As the keeper's user: forget the entries that were refused, once it is known who gave them.",
        ),
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Let the keeper read the log to its end, and say what it found that the rules don't give; then it ends with 1."""
    if clear_refused:
        return _clear_refused(settings(data), json_)
    ledger = open_ledger(settings(data))
    stopped = None
    try:
        try:
            feed(ledger, ledger.head().size)
        except KeeperRefused as error:  # what it doesn't read on for is among the alarms
            stopped = error
        stands, found = ledger.keeper.standing(), list(every_alarm(ledger.keeper))
        there = Alarms(ledger).entries()
    finally:
        ledger.close()
    if stopped is not None and not found:
        raise stopped
    said = [there.get(Said(one.seq, one.wrong, one.taken)) for one in found]
    told = list(zip(found, said, strict=True))
    taken = [f"ALARM: entry {a.seq}: {a.what}{_in_log(seq)}" for a, seq in told if a.taken]
    refused = [f"refused: entry {a.seq}: {a.what}{_in_log(seq)}" for a, seq in told if not a.taken]
    lines = [*taken, *refused]
    if taken:
        lines.append(
            f"{counted(len(taken), 'alarm')}: somebody wrote into the log what the rules don't give. `heartwood audit` of an "
            "export says what the log holds"
        )
    if refused:
        lines.append(
            f"{counted(len(refused), 'entry')} refused: somebody gave the keeper what the rules don't give, and it was not "
            "taken. Find out who, then: `heartwood keeper alarms --clear-refused`"
        )
    fields = {"size": stands.read, "alarms": [{**asdict(one), "said_by": seq} for one, seq in told]}
    read = f"the key keeper has read {counted(stands.read, 'entry')}"
    say(json_, fields, read, *(lines or ["no alarm"]))
    raise typer.Exit(WRONG if found else GOOD)


@keeper_app.command("believe")
def believe(
    size: Annotated[int, typer.Argument(min=1, help="How many entries, from the first one on.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """As the keeper's user: believe that the log's first SIZE entries are as old as they say, after the keeper was down."""
    followed = _followed(settings(data))
    try:
        keys = followed.believe(size)
    finally:
        followed.close()
    lines = [f"{key}, put in by recovery, waits no more" for key in keys]
    told = f"the key keeper believes the times of the first {counted(size, 'entry')}"
    say(json_, {"size": size, "keys": keys}, *lines, told)


def _followed(config: Settings) -> "FollowedLog":
    """The keeper's own file of what it read, on its machine."""
    from keeper.following import FOLLOWED, FollowedLog

    check_kept(config)
    folder = keeper_folder(config)
    if not (folder / FOLLOWED).is_file():
        raise StartRefused(f"{folder} is not a key keeper's folder")
    vkeys = _vkeys(folder / VKEYS) if config.keeper_data else pinned_keys(config)
    return FollowedLog(folder / FOLLOWED, vkeys[0].name)


def _clear_refused(config: Settings, json_: bool) -> None:
    """In the keeper's own file, which no caller of the keeper's can ask for: what was refused tells of a stolen server."""
    followed = _followed(config)
    try:
        gone = followed.clear_refused()
    finally:
        followed.close()
    lines = [f"cleared: entry {one.seq}: {one.what}" for one in gone]
    fields = {"cleared": [asdict(one) for one in gone]}
    say(
        json_,
        fields,
        *lines,
        f"{counted(len(gone), 'entry')} cleared; alarms of the log's own entries stay",
    )


@keeper_app.command("vkeys")
def vkeys(
    releases: Annotated[
        bool, typer.Option("--releases", help="Those of its log of releases instead.")
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Print the key keeper's verifier keys as a witness, for the policy of its own log (`witness NAME VKEY keeper:`)."""
    ledger = open_ledger(settings(data))
    try:
        keeper = ledger.keeper
        found = list(keeper.signed_releases().vkeys) if releases else keeper.vkeys()
    finally:
        ledger.close()
    say(json_, {"vkeys": found}, *found)


def _in_log(seq: int | None) -> str:
    return (
        " (not in the log yet: `serve` puts it there)" if seq is None else f" (entry {seq} says so)"
    )


def _folder(config: Settings) -> Path:
    if config.keeper_data is None:
        raise StartRefused(
            "HEARTWOOD_KEEPER_DATA is not set, expected the folder of a key keeper that runs as a user of its own"
        )
    return config.keeper_data


def _listened(config: Settings, listen: str) -> UnixEndpoint | TlsEndpoint:
    """Where a keeper listens; raises StartRefused."""
    if listen:
        return parse_endpoint(listen, config.keeper_tls, "--listen")
    where = config.keeper_endpoint()
    if where is None:
        raise StartRefused(f"HEARTWOOD_KEEPER is not set, expected {EXPECTED}")
    return where


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _vkeys(path: Path) -> tuple[VerifierKey, ...]:
    try:
        return tuple(parse_keys(path.read_text().split()))
    except (OSError, ValueError) as error:
        raise StartRefused(f"the log's verifier keys in {path} can't be read: {error}") from error


def _user(name: str) -> int:
    """The id of a user who is given by name, or by id."""
    try:
        return int(name) if name.strip().isdecimal() else pwd.getpwnam(name.strip()).pw_uid
    except KeyError as error:
        raise StartRefused(f"HEARTWOOD_KEEPER_USERS names {name!r}, who is no user here") from error
