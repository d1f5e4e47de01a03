"""`account password`, `code`, `recovery`, `sessions`, `sign-out`, `sign-ins`: what one signs in by, and who did."""

import sys
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from client import operations
from crypto.ids import is_id
from crypto.texts import counted
from journeys.errors import RecordsError


def _secret(words: str) -> str:
    """A secret: asked for at a terminal, where it isn't shown, else the next line of standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        return str(typer.prompt(words, hide_input=True, err=True))
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line:
        raise RecordsError(f"{words}: expected it as a line of standard input")
    return line.rstrip("\r\n")


@account_app.command()
def password(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Set your password, or change it; read from the terminal or as lines of standard input.

    A change asks for the password before, and for a code if you have one-time codes.
    """
    acting = actor(who)
    with at(data, url) as client:
        has = client.ask(acting, operations.OWN_FACTORS)
        old = _secret("Present password") if has.password else ""
        code = _secret("Code") if has.code else ""
        client.set_password(acting, _secret("New password"), old, code)
    done = "Changed" if has.password else "Set"
    say(json_, {"account": acting.account}, f"{done} the password of {acting.account}")


@account_app.command()
def code(
    who: As,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Remove them by a recovery code, not by a code.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Set up one-time codes: shows a QR code for an app, asks for a code, and prints ten recovery codes once."""
    acting = actor(who)
    with at(data, url) as client:
        if remove:
            proof = _secret("Password"), _secret("Recovery code" if recovery else "Code")
            client.remove_code(
                acting, proof[0], "" if recovery else proof[1], proof[1] if recovery else ""
            )
            say(json_, {"account": acting.account}, f"Removed the codes of {acting.account}")
            return
        begun = client.begin_code(acting)
        print(f"{_qr(begun.uri)}\nor by hand: {begun.seed}\n", file=sys.stderr)
        codes = client.confirm_code(acting, _secret("Code"))
    say(
        json_,
        {"account": acting.account, "recovery": list(codes)},
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
        f"since {one.created}, last used {one.used}"
        for one in found
    ]
    say(json_, {"sessions": rows}, *(lines or ["no session"]))


@account_app.command("sign-out")
def end(
    session: Annotated[str, typer.Argument(help="The session's id, see `account sessions`.")],
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """End one of your sessions by password."""
    if not is_id("ss", session):
        raise RecordsError(f"{session[:60]!r} is not a session id")
    acting = actor(who)
    with at(data, url) as client:
        client.end_session(acting, session)
    say(json_, {"session": session}, f"{session} has ended")


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
