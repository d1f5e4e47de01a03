"""Keys that the service keeps for people: let it keep one, rotate it, replace it by one's own, revoke it."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger, unstored
from api.http.examples import serves
from api.http.proofs import address_of, proofs_of
from api.http.signing_in import Code, Recovery
from client import operations
from crypto.encoding import b64decode
from crypto.signing import PUBLIC_BYTES, SIGNATURE_BYTES
from identity.kept import keep_key, replace_key, revoke_kept, rotate_key
from identity.proving import Proof
from ledger.schema import HASH, base64_of

router = APIRouter(tags=["keys"], dependencies=[Depends(unstored)])


class KeepSent(Sent):
    """Whether the key is to come in place of those that were lost; then it counts 24 hours later."""

    recovery: bool = False


class ShownSent(Sent):
    """A code or a recovery code: a session alone, however sure, is not enough."""

    code: Code = ""
    recovery: Recovery = ""


class OwnKeySent(ShownSent):
    """A key of one's own, and its signature over `heartwood/key/v1`, which names the log, the account and the key; and a code
    or a recovery code."""

    public_key: Annotated[str, Field(pattern=f"^{HASH.pattern}$")]
    proof: Annotated[str, Field(pattern=f"^{base64_of(SIGNATURE_BYTES).pattern}$")]


FORMS = (KeepSent, OwnKeySent, ShownSent)
"""The forms that the OpenAPI document names."""


@serves(router, operations.KEEP_KEY)
async def post_kept(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """A key that the service keeps; of whoever has a key of their own that one signs its `key.registered`, and it counts."""
    sent = await received(request, KeepSent)
    return asdict(await run_in_threadpool(keep_key, ledger, caller, sent.recovery))


@serves(router, operations.ROTATE_KEY)
async def post_rotation(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """Another kept key in place of the one before."""
    shown = _proof(await received(request, ShownSent))
    made = proofs_of(request).beside(rotate_key, ledger, caller, shown, address_of(request))
    return asdict(await made)


@serves(router, operations.REPLACE_KEY)
async def post_replacement(
    request: Request, ledger: TheLedger, caller: TheCaller
) -> dict[str, int]:
    """A key of one's own in place of the kept one."""
    sent = await received(request, OwnKeySent)
    public, proof = b64decode(sent.public_key, PUBLIC_BYTES), b64decode(sent.proof, SIGNATURE_BYTES)
    seq = await proofs_of(request).beside(
        replace_key, ledger, caller, public, proof, _proof(sent), address_of(request)
    )
    return {"seq": seq}


@serves(router, operations.REVOKE_KEPT)
async def delete_kept(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, int]:
    """Revoke the kept key, with nothing in its place."""
    shown = _proof(await received(request, ShownSent))
    seq = await proofs_of(request).beside(revoke_kept, ledger, caller, shown, address_of(request))
    return {"seq": seq}


def _proof(sent: ShownSent) -> Proof:
    return Proof(code=sent.code, recovery=sent.recovery)
