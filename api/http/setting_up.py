"""The operator's first sign-in: by the link that was printed when the ledger was made, a password and one-time codes."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api.http.bodies import Sent, received
from api.http.callers import TheLedger, unstored
from api.http.examples import serves
from api.http.proofs import proofs_of
from api.http.signing_in import Code, Password
from client import operations
from identity.setting_up import begin_setup, complete_setup

router = APIRouter(tags=["sessions"], dependencies=[Depends(unstored)])
Link = Annotated[str, Field(max_length=64)]


class SetupSent(Sent):
    """The link that was printed."""

    link: Link


class SetupDoneSent(SetupSent):
    """The link, a password, and a code of the seed that was begun."""

    new: Password
    code: Code


FORMS = (SetupSent, SetupDoneSent)
"""The forms that the OpenAPI document names."""


@serves(router, operations.BEGIN_SETUP)
async def post_setup(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """A seed of one-time codes for the link's owner."""
    sent = await received(request, SetupSent)
    return asdict(await run_in_threadpool(begin_setup, ledger, sent.link))


@serves(router, operations.COMPLETE_SETUP)
async def post_setup_completion(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """Password and codes count from now on; the link is used up, and the recovery codes come back, this once."""
    sent = await received(request, SetupDoneSent)
    done = await proofs_of(request).beside(complete_setup, ledger, sent.link, sent.new, sent.code)
    return {"account": done.account, "recovery": list(done.recovery)}
