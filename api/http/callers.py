"""What routes depend on: the ledger, and who calls."""

from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from api.http import cookies
from api.http.problems import Problem
from api.http.told import acting
from identity.actors import Caller
from identity.errors import KeyNeeded
from identity.sessions import caller_of
from storage.ledger import Ledger


def ledger_of(request: Request) -> Ledger:
    """The open ledger of this process."""
    ledger: Ledger = request.app.state.ledger
    return ledger


TheLedger = Annotated[Ledger, Depends(ledger_of)]


def unstored(response: Response) -> None:
    """Nobody on the way keeps the answer: it holds a token, a seed or codes."""
    response.headers["Cache-Control"] = "no-store"


def bearer(request: Request) -> str:
    """The token of the Authorization header; raises Problem without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("not_signed_in", "expected the header Authorization: Bearer TOKEN")
    return token.strip()


def session_token(request: Request) -> str:
    """The token of a session, of a program or of a browser (`cookies`); raises Problem without one."""
    return cookies.token_of(request) if cookies.by_cookie(request) else bearer(request)


async def caller(request: Request, ledger: TheLedger) -> Caller:
    """Who is signed in; raises NotSignedIn."""
    found = await run_in_threadpool(caller_of, ledger, ledger.tokens, session_token(request))
    acting(found.account)
    return found


TheCaller = Annotated[Caller, Depends(caller)]


async def key_holder(found: TheCaller) -> Caller:
    """Who is signed in by a key; raises KeyNeeded for a session by password, in whose name nothing can be signed."""
    if found.key is None:
        raise KeyNeeded("what is to be signed is prepared in a session by key, got one by password")
    return found


TheKeyHolder = Annotated[Caller, Depends(key_holder)]
