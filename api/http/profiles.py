"""What doctors are shown with, written by themselves or by an admin of theirs; what is only looked at stands in `views`."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api.http.bodies import Sent, received
from api.http.callers import TheCaller, TheLedger
from api.http.examples import serves
from api.http.named import Account
from client import forms, operations
from people.profiles import (
    HOURS_BYTES,
    LANGUAGES_SPOKEN,
    PLACES,
    SPECIALTY_BYTES,
    Place,
    Profile,
    set_profile,
    set_profile_of,
)

router = APIRouter(tags=["accounts"])


class PlaceSent(Sent):
    """Where a doctor sees patients, and when."""

    name: Annotated[str, Field(min_length=1, max_length=SPECIALTY_BYTES)]
    hours: Annotated[str, Field(max_length=HOURS_BYTES)] = ""


class ProfileSent(Sent):
    """A whole profile: what isn't said isn't there any more."""

    specialty: Annotated[str, Field(max_length=SPECIALTY_BYTES)] = ""
    languages: Annotated[
        list[Annotated[str, Field(pattern="^[a-z]{2}$")]], Field(max_length=LANGUAGES_SPOKEN)
    ] = []
    places: Annotated[list[PlaceSent], Field(max_length=PLACES)] = []

    def said(self) -> Profile:
        """The profile."""
        places = tuple(Place(one.name, one.hours) for one in self.places)
        return Profile(self.specialty, tuple(self.languages), places)


FORMS = (ProfileSent,)
"""The forms that the OpenAPI document names."""


@serves(router, operations.SET_OWN_PROFILE)
async def put_own_profile(request: Request, ledger: TheLedger, caller: TheCaller) -> Any:
    """Write one's own profile, whole."""
    sent = await received(request, ProfileSent)
    shown = await run_in_threadpool(set_profile, ledger, caller, sent.said())
    return forms.PROFILE_SHOWN.encode(shown)


@serves(router, operations.SET_PROFILE)
async def put_profile(
    request: Request, ledger: TheLedger, caller: TheCaller, account: Account
) -> Any:
    """Write a doctor's profile, whole, as an admin of a hospital of theirs."""
    sent = await received(request, ProfileSent)
    shown = await run_in_threadpool(set_profile_of, ledger, caller, account, sent.said())
    return forms.PROFILE_SHOWN.encode(shown)
