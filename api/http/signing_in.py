"""Sessions: a challenge signed by a key gives a bearer token for what isn't an event. They leave no entry."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheLedger, bearer
from api.http.examples import serves
from api.http.told import acting
from client import operations
from crypto.encoding import b64decode, b64encode
from crypto.ids import ID_PATTERN
from crypto.signing import SIGNATURE_BYTES
from identity.sessions import CHALLENGE_BYTES, challenge, sign_in, sign_out
from ledger.codes import ROLES
from ledger.schema import HASH, base64_of
from ledger.times import format_time

router = APIRouter(tags=["sessions"])


class SignInSent(Sent):
    """A signed challenge, and the role in which to act."""

    key: Annotated[str, Field(pattern=f"^k_{ID_PATTERN}$")]
    challenge: Annotated[str, Field(pattern=f"^{HASH.pattern}$")]
    value: Annotated[str, Field(pattern=f"^{base64_of(SIGNATURE_BYTES).pattern}$")]
    role: Annotated[str, Field(pattern=f"^({'|'.join(ROLES)})$")]
    hospital: Annotated[str, Field(pattern=f"^(|hs_{ID_PATTERN})$")] = ""


@serves(router, operations.CHALLENGE)
async def post_challenge(ledger: TheLedger) -> dict[str, str]:
    """32 fresh bytes; they count for two minutes, once. Build the text to sign yourself."""
    secret = await run_in_threadpool(challenge, ledger.tokens, ledger.clock())
    return {"challenge": b64encode(secret), "origin": ledger.origin}


@serves(router, operations.SIGN_IN)
async def post_session(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """A bearer token for 15 minutes, for whoever signed the challenge with a registered key."""
    sent = await received(request, SignInSent)
    nonce, value = (
        b64decode(sent.challenge, CHALLENGE_BYTES),
        b64decode(sent.value, SIGNATURE_BYTES),
    )
    session = await run_in_threadpool(
        sign_in, ledger, ledger.tokens, sent.key, nonce, value, sent.role, sent.hospital
    )
    acting(session.caller.account)
    return {
        "account": session.caller.account,
        "end": format_time(session.end),
        "token": session.token,
    }


@serves(router, operations.SIGN_OUT)
async def delete_session(request: Request, ledger: TheLedger) -> Response:
    """End the session of the bearer token."""
    await run_in_threadpool(sign_out, ledger.tokens, bearer(request), ledger.clock())
    return Response(status_code=204)
