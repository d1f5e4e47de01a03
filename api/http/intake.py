"""Forms for registration and for findings: a filled one becomes a FHIR resource; nothing of it is kept or written down here."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from api.http.bodies import Sent, received
from api.http.callers import TheCaller
from api.http.examples import serves
from client import operations
from people.clinical import Writer
from people.forms import LINE_CHARACTERS, TEXT_CHARACTERS
from people.intake import fill, find_form

router = APIRouter(tags=["intake"])
Line = Annotated[str, Field(max_length=LINE_CHARACTERS)]


class FilledSent(Sent):
    """Whose form it is, and its answers by field."""

    patient: Line
    values: dict[Line, Annotated[str, Field(max_length=TEXT_CHARACTERS)]]


@serves(router, operations.INTAKE_FILLED)
async def post_intake(
    form: Annotated[str, Path(max_length=LINE_CHARACTERS, examples=["insurance"])],
    request: Request,
    caller: TheCaller,
) -> Response:
    """The resource that a filled form becomes; whoever asked uploads it, sealed and signed, as any record."""
    sent = await received(request, FilledSent)
    writer = Writer(caller.account, caller.role)
    # As bytes: a number read and written again would lose digits that it was typed with.
    content = fill(find_form(form), sent.patient, sent.values, writer)
    return Response(content, media_type="application/json")
