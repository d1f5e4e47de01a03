"""What a caller may look at without an entry: their own charts and grants, receipts, explanations."""

from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http import examples
from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from crypto.ids import ID_PATTERN
from ledger.codes import ACTIONS, PURPOSES, ROLES
from people.hospitals import directory_of, holder_of, hospital_of
from people.lookups import IDENTIFIERS, lookup
from records.charts import charts_of, consents, own_chart
from records.explaining import Question, why
from records.opening import find_record
from records.receipts import receipt

router = APIRouter(tags=["views"])
Patient = Annotated[str, Path(pattern=f"^pt_{ID_PATTERN}$", examples=[examples.PATIENT])]
Account = Annotated[str, Path(pattern=f"^ac_{ID_PATTERN}$", examples=[examples.ACCOUNT])]
Group = Annotated[str, Path(pattern=f"^gp_{ID_PATTERN}$", examples=[examples.GROUP])]
Hospital = Annotated[str, Path(pattern=f"^hs_{ID_PATTERN}$", examples=[examples.HOSPITAL])]
Record = Annotated[str, Path(pattern=f"^rc_{ID_PATTERN}$", examples=[examples.RECORD])]


class LookupSent(Sent):
    """A hospital's own identifiers, `<system>|<value>`."""

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


@router.get("/v1/me", summary="Who is signed in", responses=examples.ME)
async def get_me(ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """The caller's account, role and hospital, and the charts whose patient they are."""
    charts = await run_in_threadpool(charts_of, ledger, caller.account)
    return {
        "account": caller.account,
        "hospital": caller.hospital,
        "patients": sorted(chart.patient for chart in charts),
        "role": caller.role,
    }


@router.get(
    "/v1/hospitals/{hospital}", summary="A hospital's people", responses=examples.HOSPITAL_SHOWN
)
async def get_hospital(hospital: Hospital, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """A hospital's public name, its active doctors and its groups, for whoever grants or excludes."""
    return asdict(await run_in_threadpool(directory_of, ledger, hospital))


@router.get("/v1/groups/{group}", summary="Whose group it is", responses=examples.GROUP_SHOWN)
async def get_group(group: Group, ledger: TheLedger, caller: TheCaller) -> dict[str, str]:
    """The hospital of a group; that hospital's people and groups are at its own address."""
    return {"group": group, "hospital": await run_in_threadpool(hospital_of, ledger, group)}


@router.get("/v1/accounts/{account}", summary="An account's roles", responses=examples.HOLDER)
async def get_account(account: Account, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """An account's roles at hospitals and its name there, for whoever grants or registers a key.

    Whether it is a patient is told to itself and to the hospital that registered the patient.
    """
    return asdict(await run_in_threadpool(holder_of, ledger, caller, account))


@router.get("/v1/records/{record}", summary="What a reading must name", responses=examples.ADDRESS)
async def get_record(record: Record, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """Whose record it is and the blobs of its versions, and nothing of what it holds."""
    row = await run_in_threadpool(find_record, ledger, record)
    return {"blobs": [version.blob for version in row.versions], "patient": row.patient}


@router.get(
    "/v1/patients/{patient}/grants", summary="Grants and exclusions", responses=examples.GRANTS
)
async def get_grants(patient: Patient, ledger: TheLedger, caller: TheCaller) -> Response:
    """What a patient granted and excluded, on a chart of the caller's own."""
    await run_in_threadpool(own_chart, ledger, caller.account, patient)
    grants, exclusions = await run_in_threadpool(consents, ledger, patient)
    value = {
        "exclusions": [exclusion._asdict() for exclusion in exclusions],
        "grants": [grant._asdict() for grant in grants],
    }
    return Response(orjson.dumps(value, default=_plain), media_type="application/json")


@router.post(
    "/v1/patients/lookup",
    summary="Find patients",
    openapi_extra=examples.LOOKUP,
    responses=examples.FOUND,
)
async def post_lookup(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """Registered patients by the hospital's own identifiers, and their accounts; for that hospital alone."""
    sent = await received(request, LookupSent)
    found = await run_in_threadpool(lookup, ledger, caller, sent.identifiers)
    return {
        "accounts": {name: one.account for name, one in found.items()},
        "patients": {identifier: one.patient for identifier, one in found.items()},
    }


@router.post(
    "/v1/decisions",
    summary="Explain a decision",
    openapi_extra=examples.QUESTION,
    responses=examples.ANSWER,
)
async def post_decision(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """What the rules say now, why, and what would have to change; nothing is appended.

    Patients ask about anybody on their own chart, auditors about everybody, others about themselves.
    """
    sent = await received(request, QuestionSent)
    answer = await run_in_threadpool(why, ledger, caller, Question(**sent.model_dump()))
    explanation = answer.explanation
    decision = explanation.decision
    return {
        "as_of": answer.as_of,
        "basis": list(decision.basis),
        "changes": list(explanation.changes),
        "effect": decision.effect,
        "obligations": list(decision.obligations),
        "policy": answer.policy,
        "reason": decision.reason,
        "rule": decision.rule,
        "why": explanation.why,
    }


@router.get("/v1/receipts/{seq}", summary="A receipt", responses=examples.RECEIPT)
async def get_receipt(
    seq: Annotated[str, Path(pattern="^(0|[1-9][0-9]{0,15})$", examples=["12"])],
    ledger: TheLedger,
    caller: TheCaller,
) -> Response:
    """The receipt of an entry that concerns the caller: entry, path and signed checkpoint (C2SP tlog-proof)."""
    found, final = await run_in_threadpool(receipt, ledger, caller, int(seq))
    headers = {
        "Cache-Control": "private, no-store",
        "Heartwood-Receipt": "final" if final else "provisional",
    }
    return Response(found.text(), 200, headers, "text/plain; charset=utf-8")


def _plain(value: Any) -> Any:
    """A provision as an object; what else orjson can't write is a tuple of them."""
    return value._asdict() if hasattr(value, "_asdict") else tuple(value)
