"""Doctors by invitation: an admin's, by mail or with a code to hand out, and whoever takes it up."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.appending import Since, answer
from api.http.bodies import READING_BYTES, Sent, json_body
from api.http.callers import TheLedger, proposed
from api.http.examples import serves
from api.http.named import Hospital
from api.http.problems import Problem
from client import operations
from people.inviting import invite, take_up
from storage.contacts import ADDRESS_CHARACTERS, Contact

router = APIRouter(tags=["accounts"])


class MailSent(Sent):
    """Where an invitation's code goes, and in which language."""

    address: Annotated[str, Field(max_length=ADDRESS_CHARACTERS)]
    language: Annotated[str, Field(pattern="^(de|en)$")]


@serves(router, operations.INVITE)
async def post_invitation(
    hospital: Hospital, request: Request, ledger: TheLedger, since: Since = None
) -> Response:
    """A signed `doctor.invited`; with `mail` beside it the service mails the code, which it made."""
    value = await json_body(request, READING_BYTES)
    mail = _mail(value)
    proposal = await proposed(request, ledger, value)
    if proposal.event.subject != hospital:
        raise Problem("malformed", f"the event is about {proposal.event.subject}, not {hospital}")
    committed = await run_in_threadpool(invite, ledger, proposal, mail)
    return await answer(ledger, committed, {}, 1, since)


@serves(router, operations.TAKE_UP)
async def post_joining(request: Request, ledger: TheLedger, since: Since = None) -> Response:
    """A signed `doctor.joined`. Tries that fail count against the account."""
    value = await json_body(request, READING_BYTES)
    proposal = await proposed(request, ledger, value)
    committed = await run_in_threadpool(take_up, ledger, proposal)
    return await answer(ledger, committed, {}, 1, since)


def _mail(value: Any) -> Contact | None:
    """Where to mail, beside a signed event, which is taken out; raises Problem, or ValidationError with the place of what is wrong."""
    if type(value) is not dict:
        raise Problem("malformed", "expected an object of event, sig and perhaps mail")
    if "mail" not in value:
        return None
    sent = MailSent.model_validate(value.pop("mail"))
    return Contact(sent.address, sent.language)
