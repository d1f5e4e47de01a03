"""Registering alone: open to anybody, so that each address may do it a few times an hour."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from api.http.named import Account
from api.http.proofs import proofs_of
from api.http.signing_in import Password
from api.http.told import acting
from client import forms, operations
from crypto.encoding import b64decode
from crypto.ids import ID_PATTERN
from crypto.signing import SIGNATURE_BYTES
from journeys.sealing import TEXT_BYTES
from ledger.schema import HASH, base64_of
from people.joining import Registration, register_counted
from people.recovering import open_recovery

router = APIRouter(tags=["accounts"])


class RegisterSent(Sent):
    """A new account: its id, chosen by whoever registers, and the key that proves to be theirs, or a password."""

    account: Annotated[str, Field(pattern=f"^ac_{ID_PATTERN}$")]
    name: Annotated[str, Field(min_length=1, max_length=TEXT_BYTES)]
    public_key: Annotated[str, Field(pattern=f"^(|{HASH.pattern})$")] = ""
    proof: Annotated[str, Field(pattern=f"^(|{base64_of(SIGNATURE_BYTES).pattern})$")] = ""
    password: Password = ""


class RecoverySent(Sent):
    """The new key of somebody who lost theirs."""

    public_key: Annotated[str, Field(pattern=f"^{HASH.pattern}$")]
    proof: Annotated[str, Field(pattern=f"^{base64_of(SIGNATURE_BYTES).pattern}$")]


@serves(router, operations.OPEN_RECOVERY)
async def post_recovery(
    request: Request, ledger: TheLedger, caller: TheCaller, account: Account
) -> Any:
    """Put in a key by recovery, for an account that the service registered. It counts 24 hours later; older keys may revoke it."""
    sent = await received(request, RecoverySent)
    public, proof = b64decode(sent.public_key, 32), b64decode(sent.proof, SIGNATURE_BYTES)
    stood = await run_in_threadpool(open_recovery, ledger, caller, account, public, proof)
    return forms.REGISTERED.encode(stood)


@serves(router, operations.REGISTER)
async def post_account(request: Request, ledger: TheLedger) -> dict[str, Any]:
    """Register an account and its first key, or a password; the service vouches for it, and seals the name.

    The proof is the key's signature over `heartwood/key/v1`, which names the log, the account and the key. A retry of
    what stands already gives the same again.
    """
    sent = await received(request, RegisterSent)
    public = proof = b""
    if sent.public_key or sent.proof or not sent.password:
        public, proof = b64decode(sent.public_key, 32), b64decode(sent.proof, SIGNATURE_BYTES)
    wanted = Registration(sent.account, sent.name, public, proof, sent.password)
    address = request.scope["heartwood.client"]
    # A password is hashed: as many at a time as sign in, and those who sign in wait for no more.
    within = proofs_of(request).beside if sent.password else run_in_threadpool
    stood = await within(register_counted, ledger, address, wanted)
    acting(stood.account)
    (receipt,) = await run_in_threadpool(ledger.receipts_now, [stood.seq])
    return {**forms.REGISTERED.encode(stood), "receipt": receipt.text().decode()}
