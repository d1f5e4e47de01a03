"""Inquiries: asking whoever stated a number or holds a health card; what is only looked at stands in `views`."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from api.http.named import Inquiry, Patient
from client import forms, operations
from journeys.sealing import TEXT_BYTES
from ledger.codes import CATEGORIES
from records.inquiries import dismiss_inquiry, inquire
from storage.numbers import NUMBER_CHARACTERS

router = APIRouter(tags=["inquiries"])
DAYS_MOST = 3_650
"""More days than any policy lets be granted."""


class InquirySent(Sent):
    """Whom one asks, by a stated number or the id that a health card holds; why, for how long, and what for."""

    to: Annotated[str, Field(max_length=NUMBER_CHARACTERS)]
    words: Annotated[str, Field(min_length=1, max_length=TEXT_BYTES)]
    days: Annotated[int, Field(ge=1, le=DAYS_MOST)]
    categories: Annotated[list[str], Field(max_length=len(CATEGORIES))] = []


@serves(router, operations.INQUIRE)
async def post_inquiry(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """Ask whoever stated a number, or has a health card. The answer is the same whether or not there is such a person."""
    sent = await received(request, InquirySent)
    done = await run_in_threadpool(
        inquire, ledger, caller, sent.to, sent.words, sent.days, sent.categories
    )
    return forms.INQUIRED.encode(done)


@serves(router, operations.DISMISS_INQUIRY)
async def delete_inquiry(
    patient: Patient, inquiry: Inquiry, ledger: TheLedger, caller: TheCaller
) -> Response:
    """Be troubled with an inquiry no more. Whoever asked isn't told."""
    await run_in_threadpool(dismiss_inquiry, ledger, caller, patient, inquiry)
    return Response(status_code=204)
