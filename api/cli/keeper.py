"""`keeper`: a key keeper that runs as a user of its own, and what a key keeper found in the log."""

import os
import pwd
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.app import logs
from api.app.layout import VKEYS, keeper_place, record_roots
from api.app.opening import open_ledger
from api.app.process import PRIVATE_UMASK
from api.app.settings import Settings
from api.cli.app import GOOD, WRONG, Data, Json, app, say, settings
from crypto.notes import VerifierKey
from crypto.texts import counted
from durable.errors import StartRefused
from durable.files import create_file, private_directory
from keeper.keks import KEKS
from keeper.roots import FIRST_ROOT
from ledger.checkpoint import parse_keys
from storage.feeding import feed
from storage.maintenance.backup import copy_secrets_folder

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
def serve() -> None:
    """Keep the keys in HEARTWOOD_KEEPER_DATA for HEARTWOOD_KEEPER_USERS, at HEARTWOOD_KEEPER, until it is stopped."""
    from keeper.process import be_keeper

    config = settings(None)
    folder, path = _folder(config), config.keeper_socket()
    if path is None:
        raise StartRefused("HEARTWOOD_KEEPER is not set, expected unix: and the path of the socket")
    users = [_user(name) for name in config.keeper_users.split(",") if name.strip()]
    os.umask(PRIVATE_UMASK)
    logs.configure()
    vkeys = _vkeys(folder / VKEYS)

    def ready() -> None:
        print(f"keeping the keys of {vkeys[0].name} at {path}", flush=True)

    be_keeper(keeper_place(config, vkeys), path, users, ready)


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
def alarms(data: Data = None, json_: Json = False) -> None:
    """Let the keeper read the log to its end, and say what it found that the rules don't give; then it ends with 1."""
    ledger = open_ledger(settings(data))
    try:
        feed(ledger, ledger.head().size)
        stands, found = ledger.keeper.standing(), ledger.keeper.alarms()
    finally:
        ledger.close()
    lines = [f"ALARM: entry {one.seq}{_where(one.taken)}: {one.what}" for one in found]
    verdict = (
        f"{counted(len(found), 'alarm')}: somebody wrote into the log what the rules don't give. `heartwood audit` of an "
        "export says what the log holds"
        if found
        else "no alarm"
    )
    fields = {"size": stands.read, "alarms": [asdict(one) for one in found]}
    say(json_, fields, f"the key keeper has read {counted(stands.read, 'entry')}", *lines, verdict)
    raise typer.Exit(WRONG if found else GOOD)


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


def _where(taken: bool) -> str:
    return "" if taken else ", which the keeper was given to read and refused"


def _folder(config: Settings) -> Path:
    if config.keeper_data is None:
        raise StartRefused(
            "HEARTWOOD_KEEPER_DATA is not set, expected the folder of a key keeper that runs as a user of its own"
        )
    return config.keeper_data


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
