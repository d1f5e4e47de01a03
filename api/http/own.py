"""What people do about their own sign-ins: a password, one-time codes, their sessions.

What they only look at needs no function here: see the questions of `operations.QUERIES`.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger, unstored
from api.http.examples import serves
from api.http.named import Session
from api.http.proofs import address_of, proofs_of
from api.http.signing_in import Code, Password, Recovery
from client import operations
from identity.factors import begin_code, confirm_code, remove_code, set_password
from identity.proving import Proof
from identity.sessions import end_session

router = APIRouter(tags=["sessions"], dependencies=[Depends(unstored)])


class NewPasswordSent(Sent):
    """A new password; to change one also the one before, and a code or recovery code where codes count; without, by key, a reset."""

    new: Password
    old: Password = ""
    code: Code = ""
    recovery: Recovery = ""


class ConfirmSent(Sent):
    """A code of the new seed, and the password; in place of codes that count a code of those, or a recovery code, too."""

    code: Code
    password: Password
    old_code: Code = ""
    recovery: Recovery = ""


class ProofSent(Sent):
    """The password, and a code or a recovery code; nothing of it, in a session by key, for a reset."""

    password: Password = ""
    code: Code = ""
    recovery: Recovery = ""


FORMS = (NewPasswordSent, ConfirmSent, ProofSent)
"""The forms that the OpenAPI document names."""


@serves(router, operations.PASSWORD)
async def put_password(request: Request, ledger: TheLedger, caller: TheCaller) -> Response:
    """Set one's first password, or change it."""
    sent = await received(request, NewPasswordSent)
    proof = Proof(sent.old, sent.code, sent.recovery)
    await proofs_of(request).beside(
        set_password, ledger, caller, sent.new, proof, address_of(request)
    )
    return Response(status_code=204)


@serves(router, operations.CODE)
async def post_code(ledger: TheLedger, caller: TheCaller) -> dict[str, str]:
    """The seed of one-time codes, which count once a code was shown."""
    begun = await run_in_threadpool(begin_code, ledger, caller)
    return {"seed": begun.seed, "uri": begun.uri}


@serves(router, operations.CODE_CONFIRMED)
async def post_code_confirmed(
    request: Request, ledger: TheLedger, caller: TheCaller
) -> dict[str, Any]:
    """Let one-time codes count; the recovery codes come back, this once."""
    sent = await received(request, ConfirmSent)
    proof = Proof(sent.password, sent.code)
    old = Proof(code=sent.old_code, recovery=sent.recovery)
    recovery = await proofs_of(request).beside(
        confirm_code, ledger, caller, proof, address_of(request), old
    )
    return {"recovery": list(recovery)}


@serves(router, operations.CODE_REMOVED)
async def delete_code(request: Request, ledger: TheLedger, caller: TheCaller) -> Response:
    """Remove one's one-time codes and recovery codes."""
    sent = await received(request, ProofSent)
    proof = Proof(sent.password, sent.code, sent.recovery)
    await proofs_of(request).beside(remove_code, ledger, caller, proof, address_of(request))
    return Response(status_code=204)


@serves(router, operations.SESSION_END)
async def delete_own_session(session: Session, ledger: TheLedger, caller: TheCaller) -> Response:
    """End one of one's own sessions by password; one that has ended stays ended."""
    await run_in_threadpool(end_session, ledger, caller, session)
    return Response(status_code=204)
