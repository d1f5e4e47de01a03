"""The number by which a patient is found, stated and removed by the patient; what is only looked at stands in `views`."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from api.http.named import Patient
from client import forms, operations
from people.numbers import remove_number, state_number
from storage.numbers import NUMBER_CHARACTERS

router = APIRouter(tags=["contact"])


class NumberSent(Sent):
    """A mobile number with its country code, as E.164 has it; what stands between the digits is dropped."""

    number: Annotated[str, Field(max_length=NUMBER_CHARACTERS)]


@serves(router, operations.STATE_NUMBER)
async def put_number(
    request: Request, patient: Patient, ledger: TheLedger, caller: TheCaller
) -> Any:
    """Let one's own chart be found by a number. The answer doesn't tell whether another patient stated it."""
    sent = await received(request, NumberSent)
    shown = await run_in_threadpool(state_number, ledger, caller, patient, sent.number)
    return forms.NUMBER.encode(shown)


@serves(router, operations.REMOVE_NUMBER)
async def delete_number(patient: Patient, ledger: TheLedger, caller: TheCaller) -> Response:
    """Let one's own chart be found by no number."""
    await run_in_threadpool(remove_number, ledger, caller, patient)
    return Response(status_code=204)
