"""`account password`, `code`, `recovery`, `sessions`, `sign-out`, `sign-ins`: what one signs in by, and who did."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from api.cli.held import as_second, forget, new_password, second, secret
from client import operations
from client.port import LedgerClient
from client.sessions import held_of
from crypto.ids import is_id
from crypto.texts import counted
from identity.actors import Actor
from journeys.errors import RecordsError


@account_app.command()
def password(
    who: As,
    reset: Annotated[
        bool, typer.Option("--reset", help="By your key alone, if you don't know the present one.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Set your password, or change it; read from the terminal or as lines of standard input.

    A change asks for the password before, and for a code if you have one-time codes. All your other sessions by password end.
    """
    acting = actor(who)
    with at(data, url) as client:
        has = client.ask(acting, operations.OWN_FACTORS)
        old = secret("Present password") if has.password and not reset else ""
        code, recovery = second() if has.code and not reset else ("", "")
        client.set_password(acting, new_password(None), old, code, recovery)
    done = ("Reset" if reset else "Changed") if has.password else "Set"
    say(json_, {"account": acting.account}, f"{done} the password of {acting.account}")


@account_app.command()
def code(
    who: As,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Remove them by a recovery code, not by a code.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Remove them by your key alone, if you have lost them.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Set up one-time codes: shows a QR code for an app, asks for the password and a code, and prints ten recovery codes once.

    In a session by password it replaces codes that count, by one of those or a recovery code.
    """
    if ((reset or recovery) and not remove) or (reset and recovery):
        raise RecordsError(
            "--reset and --recovery say how codes are removed: give one of them, with --remove"
        )
    acting = actor(who)
    with at(data, url) as client:
        if remove:
            if reset:
                client.remove_code(acting)
            else:
                proof = secret("Password"), secret("Recovery code" if recovery else "Code")
                client.remove_code(
                    acting, proof[0], "" if recovery else proof[1], proof[1] if recovery else ""
                )
            say(json_, {"account": acting.account}, f"Removed the codes of {acting.account}")
            return
        replaces = client.ask(acting, operations.OWN_FACTORS).code and held_of(acting) is not None
        codes = enrol(client, acting, lambda: secret("Password"), replaces)
    say(json_, {"account": acting.account, "recovery": list(codes)}, *recovery_lines(codes))


def enrol(
    client: LedgerClient, acting: Actor, password: Callable[[], str], replaces: bool = False
) -> tuple[str, ...]:
    """Show a fresh seed and let it count, by the password and a code of it; gives the recovery codes, this once.

    `replaces`: in place of codes that count, one of which, or a recovery code, is shown first.
    """
    begun = client.begin_code(acting)
    show_seed(begun.uri, begun.seed)
    known = password()
    old = as_second(secret("Code of the codes before, or recovery code")) if replaces else ("", "")
    return client.confirm_code(acting, secret("Code"), known, *old)


def show_seed(uri: str, seed: str) -> None:
    """Show a seed to whoever has an app that reads it: on standard error, never in what is kept of a command's answer."""
    print(f"{_qr(uri)}\n{uri}\nor by hand: {seed}\n", file=sys.stderr)


def recovery_lines(codes: Sequence[str]) -> tuple[str, ...]:
    """What is told of new recovery codes."""
    return (
        "One-time codes count from now on. Each of these lets you in once without one; keep them apart from it:",
        *codes,
    )


def _qr(uri: str) -> str:
    """A QR code as text, two rows of it in a line."""
    import io

    import segno

    out = io.StringIO()
    segno.make(uri, micro=False).terminal(out, compact=True)
    return out.getvalue()


@account_app.command()
def recovery(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Show what you can sign in by, and how many recovery codes are left."""
    acting = actor(who)
    with at(data, url) as client:
        has = client.ask(acting, operations.OWN_FACTORS)
    say(
        json_,
        {"code": has.code, "password": has.password, "recovery": has.recovery},
        f"password: {'set' if has.password else 'none'}",
        f"one-time codes: {'set up' if has.code else 'none'}",
        f"recovery codes left: {has.recovery}",
    )


@account_app.command()
def sessions(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """List your sessions by password, the one that was used last first."""
    acting = actor(who)
    with at(data, url) as client:
        found = client.ask(acting, operations.OWN_SESSIONS)
    rows = operations.OWN_SESSIONS.codec.encode(found)
    lines = [
        f"{one.session}  {one.role}{f' at {one.hospital}' if one.hospital else ''}, assurance {one.assurance}, "
        f"since {one.created}, last used {one.used}{' (this one)' if one.current else ''}"
        for one in found
    ]
    say(json_, {"sessions": rows}, *(lines or ["no session"]))


@account_app.command("sign-out")
def sign_out(
    who: As,
    session: Annotated[
        str | None,
        typer.Argument(
            help="The session's id, see `account sessions`; without: this one, or with a key file all."
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, this one too.")] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """End the session that you are in, one of your sessions by password, or all of them."""
    if session is not None and (all_ or not is_id("ss", session)):
        raise RecordsError(
            "give a session or --all, not both" if all_ else f"{session[:60]!r} is not a session id"
        )
    acting = actor(who)
    held = held_of(acting)
    with at(data, url) as client:
        if session is not None:
            ended = [session]
        elif held is None or all_:
            ended = [one.session for one in client.ask(acting, operations.OWN_SESSIONS)]
        else:
            ended = [held.given.session]
        own = held.given.session if held is not None else ""
        for one in ended:
            if one != own:
                client.end_session(acting, one)
        if own in ended:  # the last: the others were ended in it
            client.sign_out(acting)
            forget(who)
    say(json_, {"sessions": ended}, *([f"{one} has ended" for one in ended] or ["no session"]))


@account_app.command("sign-ins")
def sign_ins(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Show what the log says of your sign-ins and factors, the newest first."""
    acting = actor(who)
    with at(data, url) as client:
        found = client.ask(acting, operations.SIGN_INS)
    rows = operations.SIGN_INS.codec.encode(found)
    lines = [f"{one.seq}  {one.time}  {one.type}  {_told(one.body)}" for one in found]
    say(json_, {"entries": rows}, *lines, counted(len(found), "entry"))


def _told(body: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(body.items()) if name != "account")
