"""Passkeys: what a browser is asked for, and what it answers; see `identity.passkeys`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger, unstored
from api.http.examples import serves
from api.http.proofs import address_of, proofs_of
from api.http.signing_in import Code, Recovery
from client import operations
from client.codec import codec_of
from identity.own import OwnPasskey
from identity.passkeys import (
    register_passkey,
    registration_options,
    remove_passkey,
    sign_in_options,
)
from identity.proving import Proof
from identity.sites import Site
from journeys.quotas import HOUR_MS, Quota, take
from storage.ledger import Ledger

router = APIRouter(tags=["passkeys"], dependencies=[Depends(unstored)])
_OWN_PASSKEY = codec_of(OwnPasskey)
CHALLENGES_AN_HOUR = 600
"""Most sign-ins by passkey that one address, behind which may be a whole clinic, begins within an hour; IPv6 addresses count by their /64."""
CHALLENGES = (Quota(CHALLENGES_AN_HOUR, HOUR_MS),)


class PasskeySent(Sent):
    """What `navigator.credentials.create` gave, as its `toJSON` has it; in a session by password a code or a recovery code, too."""

    credential: dict[str, Any]
    code: Code = ""
    recovery: Recovery = ""


FORMS = (PasskeySent,)
"""The forms that the OpenAPI document names."""


def site_of(request: Request) -> Site:
    """Where browsers reach this service."""
    found: Site = request.app.state.site
    return found


@serves(router, operations.PASSKEY_OPTIONS)
async def post_options(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """What a browser registers a passkey by; in a session by two factors, or by key."""
    return await run_in_threadpool(registration_options, ledger, caller, site_of(request))


@serves(router, operations.ADD_PASSKEY)
async def post_passkey(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """Keep a passkey."""
    sent = await received(request, PasskeySent)
    shown, site, address = Proof(code=sent.code, recovery=sent.recovery), site_of(request), address_of(request)  # fmt: skip
    made = await proofs_of(request).beside(
        register_passkey, ledger, caller, site, sent.credential, shown, address
    )
    return _OWN_PASSKEY.encode(made)


@serves(router, operations.REMOVE_PASSKEY)
async def delete_passkey(
    passkey: Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=[operations.PASSKEY])],
    ledger: TheLedger,
    caller: TheCaller,
) -> Response:
    """Remove one's own passkey."""
    await run_in_threadpool(remove_passkey, ledger, caller, passkey)
    return Response(status_code=204)


@serves(router, operations.PASSKEY_CHALLENGE)
async def post_challenge(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """What a browser signs in by. Whoever asks needs no account, and each is a durable write: an address gets so many an hour."""
    return await run_in_threadpool(counted_options, ledger, site_of(request), address_of(request))


def counted_options(ledger: Ledger, site: Site, address: str) -> dict[str, Any]:
    """What a browser signs in by, counted for the address that asks; raises OverQuota, FactorConflict."""
    take(ledger, "passkey challenges", address, 1, CHALLENGES, "challenges from your address")
    return sign_in_options(ledger, site)
