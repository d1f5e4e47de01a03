"""What routes depend on: the ledger, and who calls."""

from typing import Annotated, Any

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from api.http import cookies
from api.http.bodies import is_unsigned, proposal_of
from api.http.problems import Problem
from api.http.told import acting
from identity.actors import Caller
from identity.errors import KeyNeeded
from identity.kept import has_kept_key
from identity.sessions import caller_of
from ledger.sequencer import Proposal
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


async def author(request: Request, ledger: Ledger, value: Any) -> Caller | None:
    """Who is signed in, where a body holds events without a signature; None where it is for signatures alone to say.

    Raises NotSignedIn for a token that isn't good.
    """
    values = value if isinstance(value, list) else [value]
    signed_in = "authorization" in request.headers or cookies.by_cookie(request)
    if not signed_in or not any(map(is_unsigned, values)):
        return None
    return await caller(request, ledger)


async def proposed(request: Request, ledger: Ledger, value: Any) -> Proposal:
    """One event, signed by its author, or in a session of theirs by the service; raises EventError, Refused, NotSignedIn."""
    signing = await author(request, ledger, value)
    if signing is None:
        return proposal_of(ledger, value)
    return await run_in_threadpool(proposal_of, ledger, value, signing)


TheCaller = Annotated[Caller, Depends(caller)]


async def key_holder(found: TheCaller, ledger: TheLedger) -> Caller:
    """Who is signed in by a key, or by password where the service keeps one; raises KeyNeeded where nothing can be signed."""
    if found.key is None and not await run_in_threadpool(has_kept_key, ledger, found):
        raise KeyNeeded(
            "what is to be signed is prepared in a session by key, or by password where the service keeps your key; "
            "got one by password, and it keeps none"
        )
    return found


TheKeyHolder = Annotated[Caller, Depends(key_holder)]
