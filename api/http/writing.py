"""What authors need before they sign: reserved ids, sealed texts, staged blobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api.http.bodies import Sent, received, upload_pieces
from api.http.callers import TheKeyHolder, TheLedger
from api.http.examples import serves
from api.http.named import Patient
from api.http.uploads import Uploads, waiting
from client import forms, operations
from crypto.ids import ID_PATTERN
from journeys.quotas import count_upload, room_for_upload
from journeys.sealing import TEXT_BYTES, seal_texts
from ledger.codes import LABELS
from ledger.schema import DATE
from people.reserving import SUBJECTS, Subject, reserve_counted
from records.uploads import BLOB_LIMIT, stage

router = APIRouter(tags=["writing"])
Texts = dict[
    Annotated[str, Field(pattern="^[a-z][a-z_]{0,30}$")],
    Annotated[str, Field(max_length=TEXT_BYTES)],
]
EventId = Annotated[str, Field(pattern=f"^ev_{ID_PATTERN}$")]


class SubjectSent(Sent):
    """An id to reserve, and the texts to seal for the event that will create it."""

    id: Annotated[str, Field(pattern=f"^(ac|gp|hs|pt)_{ID_PATTERN}$")]
    event: EventId
    texts: Texts = {}
    identifier: Annotated[str, Field(max_length=512)] = ""
    birth: Annotated[str, Field(pattern=f"^(|{DATE.pattern})$")] = ""


class SubjectsSent(Sent):
    """Ids to reserve."""

    subjects: Annotated[list[SubjectSent], Field(min_length=1, max_length=SUBJECTS)]


class SealSent(Sent):
    """Texts to seal for an event, of a record or of the patient, and labels to turn into codes."""

    object: Annotated[str, Field(pattern=f"^(pt|rc)_{ID_PATTERN}$")]
    event: EventId
    texts: Texts = {}
    labels: Annotated[
        list[Annotated[str, Field(pattern=f"^({'|'.join(LABELS)})$")]], Field(max_length=16)
    ] = []


@serves(router, operations.SUBJECTS)
async def post_subjects(
    request: Request, ledger: TheLedger, caller: TheKeyHolder
) -> dict[str, list[dict[str, object]]]:
    """Reserve ids of patients, accounts, groups or hospitals with their keys; sealed fields come back.

    A patient whose `identifier` the hospital has registered already comes back as `known`, under that id.
    """
    sent = await received(request, SubjectsSent)
    subjects = [Subject(s.id, s.event, s.texts, s.identifier, s.birth) for s in sent.subjects]
    made = await run_in_threadpool(reserve_counted, ledger, caller, subjects)
    return {"subjects": [forms.RESERVED.encode(one) for one in made]}


@serves(router, operations.SEAL)
async def post_seal(
    patient: Patient, request: Request, ledger: TheLedger, caller: TheKeyHolder
) -> dict[str, object]:
    """Sealed fields and label codes for an event that is about to be signed; sealing only, never opening.

    Codes are given for an append whose content the caller staged, to patients for their own chart. `minor_private`: whether one
    of the labels makes the record private to a minor, which the event has to say then.
    """
    sent = await received(request, SealSent)
    made = await run_in_threadpool(
        seal_texts, ledger, caller, patient, sent.object, sent.event, sent.texts, sent.labels
    )
    return {"labels": made.codes, "minor_private": made.minor_private, "sealed": made.fields}


@serves(router, operations.STAGE)
async def post_blob(
    patient: Patient,
    request: Request,
    ledger: TheLedger,
    caller: TheKeyHolder,
    record: Annotated[str, Query(pattern=f"^(|rc_{ID_PATTERN})$")] = "",
) -> Any:
    """Content in, encrypted on the way; what the event must say of it comes back.

    Of a new record, or with `record` of a new version. Only the caller's own event can name the blob.
    """
    room = await run_in_threadpool(room_for_upload, ledger, caller, patient)
    content = waiting(upload_pieces(request, BLOB_LIMIT if room is None else min(BLOB_LIMIT, room)))
    uploads: Uploads = request.app.state.uploads
    staged = await uploads.run(
        caller.account, lambda: stage(ledger, caller, patient, content, record)
    )
    if room is not None:
        await run_in_threadpool(count_upload, ledger, patient, staged.size)
    return forms.STAGED.encode(staged)
