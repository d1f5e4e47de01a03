"""Claims: a hospital's offer, a person's claim with the birth date beside it, and a chart of one's own."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.appending import Since, answer
from api.http.bodies import READING_BYTES, Sent, json_body, received
from api.http.callers import TheCaller, TheLedger, proposed
from api.http.examples import serves
from api.http.named import Patient
from api.http.problems import Problem
from client import forms, operations
from journeys.sealing import TEXT_BYTES
from ledger.schema import DATE
from people.alone import register_alone
from people.claiming import claim_chart, offer_claim

router = APIRouter(tags=["claims"])
_DATE = re.compile(DATE.pattern)


class OwnChartSent(Sent):
    """The name, which is sealed, and the birth date, of which keyed hashes are kept."""

    name: Annotated[str, Field(min_length=1, max_length=TEXT_BYTES)]
    born: Annotated[str, Field(pattern=f"^{DATE.pattern}$")]


@serves(router, operations.OFFER)
async def post_offer(
    patient: Patient, request: Request, ledger: TheLedger, since: Since = None
) -> Response:
    """A signed `claim.offered`, and the birth date if the hospital knows one and the service none yet."""
    value = await json_body(request, READING_BYTES)
    born = _born(value, needed=False)
    proposal = await proposed(request, ledger, value)
    if proposal.event.subject != patient:
        raise Problem("malformed", f"the event is about {proposal.event.subject}, not {patient}")
    committed = await run_in_threadpool(offer_claim, ledger, proposal, born)
    return await answer(ledger, committed, {}, 1, since)


@serves(router, operations.CLAIM)
async def post_claim(request: Request, ledger: TheLedger, since: Since = None) -> Response:
    """A signed `patient.claimed` and the birth date. Tries that fail count against chart, account and address."""
    value = await json_body(request, READING_BYTES)
    born, address = _born(value, needed=True), request.scope.get("heartwood.client", "")
    proposal = await proposed(request, ledger, value)
    committed = await run_in_threadpool(claim_chart, ledger, proposal, born, address)
    return await answer(ledger, committed, {}, 1, since)


@serves(router, operations.OWN_CHART)
async def post_own_chart(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """A chart for whoever is signed in as a person and registered alone; one each."""
    sent = await received(request, OwnChartSent)
    made = await run_in_threadpool(register_alone, ledger, caller, sent.name, sent.born)
    return forms.OWN_CHART.encode(made)


def _born(value: Any, needed: bool) -> str:
    """The birth date beside a signed event, which is taken out; raises Problem, without repeating it."""
    if type(value) is not dict or (needed and "born" not in value):
        raise Problem("malformed", "expected an object of event, sig and born")
    born = value.pop("born", "")
    if type(born) is not str or (born and not _DATE.fullmatch(born)):
        raise Problem("malformed", "born: expected a date like 1958-03-14")
    return born
