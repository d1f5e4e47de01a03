"""What a caller may look at without an entry: their own charts and grants, receipts, explanations.

The questions of `operations.QUERIES` have no function here: all that is to be said of them is said there.
"""

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from api.http.named import NAMED
from client import forms, operations
from client.operations import Query
from crypto.ids import ID_PATTERN
from identity.actors import Caller
from journeys.questions import Question
from ledger.codes import ACTIONS, PURPOSES, ROLES
from people.lookups import IDENTIFIERS, lookup
from records.explaining import why
from records.receipts import receipt_counted
from storage.ledger import Ledger

router = APIRouter(tags=["views"])


class LookupSent(Sent):
    """A hospital's own identifiers, `<system>|<value>`; numbers that patients stated, `tel:+49…`."""

    identifiers: Annotated[
        list[Annotated[str, Field(max_length=512)]], Field(min_length=1, max_length=IDENTIFIERS)
    ]


class QuestionSent(Sent):
    """May this actor do that? Without `record`: the chart as a whole."""

    patient: Annotated[str, Field(pattern=f"^pt_{ID_PATTERN}$")]
    actor: Annotated[str, Field(pattern=f"^ac_{ID_PATTERN}$")]
    role: Annotated[str, Field(pattern=f"^({'|'.join(ROLES)})$")]
    hospital: Annotated[str, Field(pattern=f"^(|hs_{ID_PATTERN})$")] = ""
    action: Annotated[str, Field(pattern=f"^({'|'.join(ACTIONS)})$")]
    purpose: Annotated[str, Field(pattern=f"^({'|'.join(PURPOSES)})$")]
    record: Annotated[str, Field(pattern=f"^(|rc_{ID_PATTERN})$")] = ""
    on_behalf_of: Annotated[str, Field(pattern=f"^(|ac_{ID_PATTERN})$")] = ""


def _answering(query: Query[Any]) -> Callable[..., Any]:
    """The route of a question: who is signed in and what the path names, to the function that answers it."""

    async def answer(ledger: Ledger, caller: Caller, **names: str) -> Any:
        return query.codec.encode(await run_in_threadpool(query.answer, ledger, caller, **names))

    needed = {"ledger": TheLedger, "caller": TheCaller}
    needed |= {name: NAMED[name] for name in list(signature(query.answer).parameters)[2:]}
    told = [
        Parameter(
            name, Parameter.KEYWORD_ONLY, annotation=kind,
            default="" if name in query.asks else Parameter.empty,
        )
        for name, kind in needed.items()
    ]  # fmt: skip
    answer.__signature__ = Signature(told)  # type: ignore[attr-defined]
    answer.__name__ = f"get_{query.path.rpartition('/')[2].strip('{}')}"
    answer.__doc__ = f"{query.what[0].upper()}{query.what[1:]}."
    return answer


for _query in operations.QUERIES:
    serves(router, _query)(_answering(_query))


@serves(router, operations.LOOKUP)
async def post_lookup(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """Registered patients by the hospital's own identifiers, and their accounts, for that hospital alone; by a number whom one
    may find. What isn't found isn't in the answer, whether it is nobody's or one may not."""
    sent = await received(request, LookupSent)
    found = await run_in_threadpool(lookup, ledger, caller, sent.identifiers)
    return forms.found_json(found)


@serves(router, operations.DECISIONS)
async def post_decision(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """What the rules say now, why, and what would have to change; nothing is appended.

    Patients ask about anybody on their own chart, auditors about everybody, others about themselves.
    """
    sent = await received(request, QuestionSent)
    answer = await run_in_threadpool(why, ledger, caller, Question(**sent.model_dump()))
    return forms.answer_json(answer)


@serves(router, operations.RECEIPT)
async def get_receipt(
    seq: Annotated[str, Path(pattern="^(0|[1-9][0-9]{0,15})$", examples=["12"])],
    ledger: TheLedger,
    caller: TheCaller,
) -> Response:
    """The receipt of an entry that concerns the caller: entry, path and signed checkpoint (C2SP tlog-proof)."""
    found, final = await run_in_threadpool(receipt_counted, ledger, caller, int(seq))
    headers = {
        "Cache-Control": "private, no-store",
        "Heartwood-Receipt": "final" if final else "provisional",
    }
    return Response(found.text(), 200, headers, "text/plain; charset=utf-8")
