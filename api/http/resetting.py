"""A forgotten password: a link by mail, and another password by that link and the second factor. And recoveries, revoked."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheLedger, unstored
from api.http.examples import serves
from api.http.proofs import address_of, proofs_of
from api.http.signing_in import Code, Password, Recovery
from client import operations
from identity.proving import Proof
from people.recovering import revoke_recovery
from people.resetting import ask_reset, mail_reset, reset_password

router = APIRouter(tags=["sessions"], dependencies=[Depends(unstored)])


class ResetAskedSent(Sent):
    """An account: its id, or its e-mail address."""

    account: Annotated[str, Field(max_length=320)]


class ResetSent(Sent):
    """The link that came by mail, a new password, and a code or a recovery code."""

    link: Annotated[str, Field(max_length=64)]
    new: Password
    code: Code = ""
    recovery: Recovery = ""


class RevocationSent(Sent):
    """An account, by its id or its e-mail address, and one of these: its password, a code, a recovery code."""

    account: Annotated[str, Field(max_length=320)]
    password: Password = ""
    code: Code = ""
    recovery: Recovery = ""


FORMS = (ResetAskedSent, ResetSent, RevocationSent)
"""The forms that the OpenAPI document names."""


@serves(router, operations.ASK_RESET)
async def post_reset(request: Request, ledger: TheLedger) -> Response:
    """Ask for a link. The answer, and when it comes, tells nothing of whether there is such an account."""
    sent = await received(request, ResetAskedSent)
    await run_in_threadpool(ask_reset, ledger, sent.account, address_of(request))
    return Response(status_code=204, background=BackgroundTask(mail_reset, ledger, sent.account))


@serves(router, operations.RESET_PASSWORD)
async def post_new_password(request: Request, ledger: TheLedger) -> Response:
    """Set another password by a link and the second factor: once, within ten minutes. All sessions by password end."""
    sent = await received(request, ResetSent)
    proof = Proof(code=sent.code, recovery=sent.recovery)
    await proofs_of(request).beside(
        reset_password, ledger, sent.link, sent.new, proof, address_of(request)
    )
    return Response(status_code=204)


@serves(router, operations.REVOKE_RECOVERY)
async def post_revocation(request: Request, ledger: TheLedger) -> dict[str, int]:
    """Revoke a recovery that waits, by a factor that its owner still has. Whatever is wrong, the answer is the same."""
    sent = await received(request, RevocationSent)
    proof = Proof(sent.password, sent.code, sent.recovery)
    seq = await proofs_of(request).beside(
        revoke_recovery, ledger, sent.account, proof, address_of(request)
    )
    return {"seq": seq}
