"""`account sign-in`, `step-up`, `role`: a session by password, in which the service signs with the key it keeps."""

import time
from pathlib import Path
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from api.cli.held import as_second, keep, password_of, read, second, secret, session_path
from client import operations
from client.port import LedgerClient
from client.sessions import Held, SessionActor, SessionWanted, held_of, surely
from crypto.ids import is_id
from identity.actors import Actor
from identity.own import OwnRole
from journeys.errors import RecordsError
from ledger.codes import HOSPITAL_ROLES, ROLES

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help="The file (mode 0600, or a descriptor such as /dev/fd/3) whose first line is the password; by default it is "
        "asked for, or the next line of standard input."
    ),
]
SessionFile = Annotated[
    Path | None,
    typer.Option(
        "--session",
        help="Where to keep the session, mode 0600 (or HEARTWOOD_SESSION; by default in your configuration directory).",
    ),
]
Hospital = Annotated[str, typer.Option(help="The hospital hs_… of that role, of several.")]


@account_app.command("sign-in")
def sign_in(
    who: Annotated[str, typer.Argument(help="Your account's id ac_…, or its e-mail address.")],
    role: Annotated[
        str, typer.Option(help="The role to act in; by default the one that you have, or person.")
    ] = "",
    hospital: Hospital = "",
    password_file: PasswordFile = None,
    session: SessionFile = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Sign in by password and one-time code; commands without --as are yours from then on, until `sign-out`.

    Password and code are asked for and not shown, or read as lines of standard input; a recovery code does in place of a
    code, and an empty line where no codes are set up. The service signs with the key it keeps for you (`account key keep`).
    """
    _check_role(role, hospital)
    path = free_place(session)
    with at(data, url) as client:
        password = password_of(password_file)
        shown = as_second(secret("Code (empty without one)", empty=True))
        held = signed_in(client, path, SessionWanted(who, password, *shown, role or "person", hospital))  # fmt: skip
        roles = client.ask(SessionActor.of(held), operations.OWN_ROLES)
        others = [one for one in roles if one.role != "person"]
        if not role and len(others) == 1 and (any(shown) or others[0].role == "patient"):
            take(client, SessionActor.of(held), others[0])
        kept = any(one.kept for one in client.ask(SessionActor.of(held), operations.OWN_KEYS))
    lines = [_told(held), f"the session is in {path}; it ends if it isn't used"]
    if not role and len(others) > 1:
        lines += ["your roles (`heartwood account role ROLE` changes it):", *map(_shown, roles)]
    if not kept:
        how = "heartwood account key keep" if any(shown) else "set up codes, heartwood account code"
        lines.append(f"the service keeps no key for you, and so can't sign for you yet: {how}")
    say(json_, _fields(held) | {"session_file": path}, *lines)


@account_app.command("step-up")
def step_up(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Show a code once more: for 5 minutes you may do what a stolen session must not. Asked for by itself where it is needed.

    A passkey can't be shown here: it answers a browser alone. Whoever has one has codes and recovery codes, too.
    """
    acting = actor(who)
    held = _held(acting)
    with at(data, url) as client:
        client.step_up(acting, *second())
    say(json_, _fields(held), "the session is sure of you for 5 minutes")


@account_app.command("role")
def account_role(
    who: As,
    role: Annotated[
        str, typer.Argument(help="The role to act in from now on; without: list your roles.")
    ] = "",
    hospital: Hospital = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List the roles that you can act in, or act in another one without signing in anew; staff roles take a fresh code."""
    _check_role(role, hospital)
    acting = actor(who)
    with at(data, url) as client:
        roles = client.ask(acting, operations.OWN_ROLES)
        if not role:
            rows = operations.OWN_ROLES.codec.encode(roles)
            say(json_, {"roles": rows}, *map(_shown, roles))
            return
        held = _held(acting)
        take(client, acting, _chosen(roles, role, hospital))
    say(json_, _fields(held), _told(held))


def free_place(session: Path | None) -> Path:
    """Where the session will be kept; raises RecordsError where something else is."""
    path = session or session_path()
    if path.is_dir() or (path.exists() and read(path) is None):
        raise RecordsError(f"{path} exists and keeps no session; choose another place")
    return path


def signed_in(client: LedgerClient, path: Path, wanted: SessionWanted) -> Held:
    """Sign in, and keep the session at `path`."""
    given = client.sign_in(wanted)
    held = Held(client.origin, client.place, wanted.role, wanted.hospital, given)
    held.asks, held.keeps = second, lambda one: keep(path, one)
    held.renewed(given, time.time_ns() // 1_000_000)
    return held


def take(client: LedgerClient, acting: Actor, wanted: OwnRole) -> None:
    """Act in another role, in the session that the actor holds."""
    held = _held(acting)
    given = surely(client, acting, lambda: client.take_role(acting, wanted.role, wanted.hospital))
    held.role, held.hospital = wanted.role, wanted.hospital
    held.renewed(given, client.now())


def _chosen(roles: tuple[OwnRole, ...], role: str, hospital: str) -> OwnRole:
    """The role that is meant; raises RecordsError where none is, or several are."""
    fit = [one for one in roles if one.role == role and hospital in ("", one.hospital)]
    if len(fit) == 1:
        return fit[0]
    known = "; ".join(map(_shown, roles))
    how = "choose one with --hospital" if fit else f"your roles are: {known}"
    raise RecordsError(f"you are {len(fit)} times {role}: {how}" if fit else f"you don't hold the role {role} there; {how}")  # fmt: skip


def _held(acting: Actor) -> Held:
    held = held_of(acting)
    if held is None:
        raise RecordsError("this is for a session by password (`heartwood account sign-in`), got a key file")  # fmt: skip
    return held


def _check_role(role: str, hospital: str) -> None:
    if role and role not in ROLES:
        raise RecordsError(f"got the role {role[:40]!r}, expected one of {', '.join(ROLES)}")
    if hospital and not is_id("hs", hospital):
        raise RecordsError(f"{hospital[:60]!r} is not a hospital id")
    if hospital and role not in HOSPITAL_ROLES:
        raise RecordsError(f"--hospital goes with a role of a hospital, got {role or 'no role'}")


def _fields(held: Held) -> dict[str, object]:
    given = held.given
    return {
        "account": given.account, "assurance": given.assurance, "end": given.end, "hospital": held.hospital,
        "role": held.role, "session": given.session,
    }  # fmt: skip


def _told(held: Held) -> str:
    where = f" at {held.hospital}" if held.hospital else ""
    return f"{held.given.account} is signed in as {held.role}{where}"


def _shown(one: OwnRole) -> str:
    return f"{one.role} at {one.hospital}" if one.hospital else one.role
