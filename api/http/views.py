"""What a caller may look at without an entry: their own charts and grants, receipts, explanations."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http import examples
from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from client import forms, operations
from client.port import Address
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


@serves(router, operations.ME)
async def get_me(ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """The caller's account, role and hospital, and the charts whose patient they are."""
    charts = await run_in_threadpool(charts_of, ledger, caller.account)
    return {
        "account": caller.account,
        "hospital": caller.hospital,
        "patients": sorted(chart.patient for chart in charts),
        "role": caller.role,
    }


@serves(router, operations.HOSPITAL_SHOWN)
async def get_hospital(hospital: Hospital, ledger: TheLedger, caller: TheCaller) -> Any:
    """A hospital's public name, its active doctors and its groups, for whoever grants or excludes."""
    return forms.DIRECTORY.encode(await run_in_threadpool(directory_of, ledger, hospital))


@serves(router, operations.GROUP_SHOWN)
async def get_group(group: Group, ledger: TheLedger, caller: TheCaller) -> dict[str, str]:
    """The hospital of a group; that hospital's people and groups are at its own address."""
    return {"group": group, "hospital": await run_in_threadpool(hospital_of, ledger, group)}


@serves(router, operations.HOLDER)
async def get_account(account: Account, ledger: TheLedger, caller: TheCaller) -> Any:
    """An account's roles at hospitals and its name there, for whoever grants or registers a key.

    Whether it is a patient is told to itself and to the hospital that registered the patient.
    """
    return forms.HOLDER.encode(await run_in_threadpool(holder_of, ledger, caller, account))


@serves(router, operations.ADDRESS)
async def get_record(record: Record, ledger: TheLedger, caller: TheCaller) -> Any:
    """Whose record it is and the blobs of its versions, and nothing of what it holds."""
    row = await run_in_threadpool(find_record, ledger, record)
    found = Address(row.patient, tuple(version.blob for version in row.versions))
    return forms.ADDRESS.encode(found)


@serves(router, operations.CONSENTS)
async def get_grants(patient: Patient, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """What a patient granted and excluded, on a chart of the caller's own."""
    await run_in_threadpool(own_chart, ledger, caller.account, patient)
    grants, exclusions = await run_in_threadpool(consents, ledger, patient)
    return forms.consents_json(grants, exclusions)


@serves(router, operations.LOOKUP)
async def post_lookup(request: Request, ledger: TheLedger, caller: TheCaller) -> dict[str, Any]:
    """Registered patients by the hospital's own identifiers, and their accounts; for that hospital alone."""
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
    found, final = await run_in_threadpool(receipt, ledger, caller, int(seq))
    headers = {
        "Cache-Control": "private, no-store",
        "Heartwood-Receipt": "final" if final else "provisional",
    }
    return Response(found.text(), 200, headers, "text/plain; charset=utf-8")
