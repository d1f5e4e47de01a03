"""Passkeys: what a browser is asked for, and what it answers; see `identity.passkeys`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger, unstored
from api.http.examples import serves
from client import operations
from client.codec import codec_of
from identity.own import OwnPasskey
from identity.passkeys import (
    register_passkey,
    registration_options,
    remove_passkey,
    sign_in_options,
)
from identity.sites import Site

router = APIRouter(tags=["passkeys"], dependencies=[Depends(unstored)])
_OWN_PASSKEY = codec_of(OwnPasskey)


class PasskeySent(Sent):
    """What `navigator.credentials.create` gave, as its `toJSON` has it."""

    credential: dict[str, Any]


FORMS = (PasskeySent,)
"""The forms that the OpenAPI document names."""


def site_of(request: Request) -> Site:
    """Where browsers reach this service."""
    found: Site = request.app.state.site
    return found


@serves(router, operations.PASSKEY_OPTIONS)
async def post_options(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """What a browser registers a passkey by; after a step-up, or in a session by key."""
    return await run_in_threadpool(registration_options, ledger, caller, site_of(request))


@serves(router, operations.ADD_PASSKEY)
async def post_passkey(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """Keep a passkey."""
    sent = await received(request, PasskeySent)
    return _OWN_PASSKEY.encode(
        await run_in_threadpool(register_passkey, ledger, caller, site_of(request), sent.credential)
    )


@serves(router, operations.REMOVE_PASSKEY)
async def delete_passkey(
    passkey: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], ledger: TheLedger, caller: TheCaller
) -> Response:
    """Remove one's own passkey."""
    await run_in_threadpool(remove_passkey, ledger, caller, passkey)
    return Response(status_code=204)


@serves(router, operations.PASSKEY_CHALLENGE)
async def post_challenge(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """What a browser signs in by."""
    return await run_in_threadpool(sign_in_options, ledger, site_of(request))
