"""How one is reached: an address, given by whoever is signed in and proved by whoever reads its mail."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from client import forms, operations
from people.contacts import give_contact, prove_contact, remove_contact
from storage.contacts import ADDRESS_CHARACTERS

router = APIRouter(tags=["contact"])


class ContactSent(Sent):
    """An e-mail address, and the language to write in."""

    address: Annotated[str, Field(max_length=ADDRESS_CHARACTERS)]
    language: Literal["de", "en"]


class AddressProofSent(Sent):
    """The code that went to an address."""

    code: Annotated[str, Field(max_length=64)]


@serves(router, operations.GIVE_CONTACT)
async def put_contact(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """Give an address, to which a code goes. The answer doesn't tell whether another account has it."""
    sent = await received(request, ContactSent)
    shown = await run_in_threadpool(give_contact, ledger, caller, sent.address, sent.language)
    return forms.CONTACT.encode(shown)


@serves(router, operations.REMOVE_CONTACT)
async def delete_contact(ledger: TheLedger, caller: TheCaller) -> Response:
    """Remove the address; nothing is sent there any more, but that."""
    await run_in_threadpool(remove_contact, ledger, caller)
    return Response(status_code=204)


@serves(router, operations.PROVE_CONTACT)
async def post_proof(request: Request, ledger: TheLedger) -> Response:
    """Prove an address by its code: once, within 24 hours. Every other code gets the same answer."""
    sent = await received(request, AddressProofSent)
    await run_in_threadpool(prove_contact, ledger, sent.code)
    return Response(status_code=204)
