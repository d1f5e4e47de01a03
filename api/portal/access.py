"""Who may see: grants and exclusions, given and taken back in plain steps."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem
from api.portal.charts import Patient, acting_in, own_page
from api.portal.forms import sent_form
from api.portal.pages import PageRoute, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import grants, inquiries, operations, requests
from client.readers import Reader, check_able, reader_of
from crypto.ids import ID_PATTERN
from identity.errors import StepUpNeeded
from journeys.errors import RecordsError
from ledger.asking import OPEN
from ledger.codes import CATEGORIES, CEILINGS, DEFAULT_CEILING
from ledger.facts import Grant
from people.hospitals import open_hospitals

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Hospital = Annotated[str, Path(pattern=f"^hs_{ID_PATTERN}$")]
DAYS = (1, 7, 30, 90, 365)
"""How long access is offered for, in days; the policy may allow less."""


@dataclass(frozen=True)
class Offer:
    """What a patient is about to grant, as the address of the page says it."""

    reader: str
    days: int
    category: str
    """Of the chart this category alone; empty for the whole chart."""
    append: bool
    """Whether they may add records, too."""

    @classmethod
    def of(cls, reader: str, days: str, category: str, append: str, most: int) -> "Offer":
        """Raises RecordsError for what can't be offered."""
        number = int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0
        if not 1 <= number <= most:
            raise RecordsError(f"choose how long, from 1 to {most} days")
        if category and category not in CATEGORIES:
            raise RecordsError("choose what they may see")
        return cls(reader, number, category, bool(append))

    @property
    def actions(self) -> list[str]:
        """The actions that it permits."""
        return ["append", "list", "read"] if self.append else ["list", "read"]


@router.get("/access")
async def get_own_access(visitor: TheVisitor) -> Response:
    """Who may see one's own chart."""
    return await own_page(visitor, "access")


@router.get("/patients/{patient}/access")
async def get_access(visitor: TheVisitor, patient: Patient) -> Response:
    """Who may see a chart of one's own, and who is kept out."""

    def shown() -> dict[str, Any]:
        client, actor, now = visitor.client, visitor.actor, visitor.ledger.clock()
        said = client.ask(actor, operations.CONSENTS, patient=patient)
        live = [one for one in said.grants if one.active and now < one.end]
        live = [one for one in live if not one.uses or one.used < one.uses]
        out = [one.reader for one in said.exclusions if one.active]
        ids = {one.grantee for one in live} | set(out)
        names = {one: reader_of(client, actor, one) for one in sorted(ids)}
        ceiling = DEFAULT_CEILING if said.emergency is None else said.emergency.ceiling
        return {
            "ceiling": ceiling, "ceilings": tuple(CEILINGS), "excluded": out, "given": sorted(live, key=_since),
            "readers": names, "waiting": _waiting(visitor, patient),
        }  # fmt: skip

    found = await run_in_threadpool(shown)
    return await page(visitor, "access.html", patient=patient, **found)


def _since(one: Grant) -> int:
    return -one.seq


def _waiting(visitor: Visitor, patient: str) -> int:
    """How many requests for access wait for an answer, and inquiries."""
    client, actor = visitor.client, visitor.actor
    found = requests.listed(client, actor, patient)
    return sum(one.state == OPEN for one in found) + len(inquiries.listed(client, actor, patient))


@router.get("/patients/{patient}/access/new")
async def get_hospitals(visitor: TheVisitor, patient: Patient, act: str = "grant") -> Response:
    """The first step: at which hospital."""
    houses = await run_in_threadpool(open_hospitals, visitor.ledger, visitor.caller)
    return await page(
        visitor, "access_hospital.html", patient=patient, houses=houses,
        act="exclude" if act == "exclude" else "grant",
    )  # fmt: skip


@router.get("/patients/{patient}/access/new/{hospital}")
async def get_offer(
    visitor: TheVisitor, patient: Patient, hospital: Hospital, act: str = "grant"
) -> Response:
    """The second step: whom, what, and how long."""
    found = await run_in_threadpool(visitor.client.hospital, visitor.actor, hospital)
    most = visitor.ledger.policy.grant_days_max
    return await page(
        visitor, "access_offer.html", patient=patient, house=found, categories=CATEGORIES,
        days=[one for one in DAYS if one <= most], act="exclude" if act == "exclude" else "grant",
    )  # fmt: skip


@router.get("/patients/{patient}/access/confirm")
async def get_confirm(
    visitor: TheVisitor, patient: Patient, reader: str = "", days: str = "", category: str = "",
    append: str = "", act: str = "grant",
) -> Response:  # fmt: skip
    """The last step: what will happen, whom it is told, and how to undo it."""
    client, actor = visitor.client, visitor.actor
    chosen: Reader = await run_in_threadpool(reader_of, client, actor, reader)
    if act == "exclude":
        return await page(visitor, "exclude_confirm.html", patient=patient, reader=chosen)
    offer = Offer.of(reader, days, category, append, visitor.ledger.policy.grant_days_max)
    return await page(visitor, "access_confirm.html", patient=patient, reader=chosen, offer=offer)


@router.post("/patients/{patient}/access/grant")
async def post_grant(visitor: TheVisitor, patient: Patient) -> Response:
    """Give access; relatives on the patient's behalf, as far as their own rights reach."""
    form = await sent_form(visitor)
    check_sure(visitor, "grant")
    most = visitor.ledger.policy.grant_days_max
    offer = Offer.of(form["reader"], form["days"], form["category"], form["append"], most)

    def act() -> None:
        client, actor = visitor.client, acting_in(visitor, patient)
        check_able(reader_of(client, actor, offer.reader))
        what = {"categories": [offer.category]} if offer.category else None
        grants.grant(
            client, actor, patient, offer.reader, days=offer.days, actions=offer.actions, what=what
        )

    await run_in_threadpool(act)
    if (
        visitor.caller.role == "relative"
    ):  # what a patient consented to is shown to the patient alone
        return see("/relatives", done="granted_for")
    return see(f"/patients/{patient}/access", done="granted")


@router.post("/patients/{patient}/access/revoke")
async def post_revoke(visitor: TheVisitor, patient: Patient) -> Response:
    """Take one grant back."""
    form = await sent_form(visitor)
    check_sure(visitor, "grant")
    await run_in_threadpool(
        grants.revoke, visitor.client, visitor.actor, patient, form["reader"], form["grant"]
    )
    return see(f"/patients/{patient}/access", done="revoked")


@router.post("/patients/{patient}/access/exclude")
async def post_exclude(visitor: TheVisitor, patient: Patient) -> Response:
    """Keep somebody out."""
    return await _said(visitor, patient, grants.exclude, "excluded")


@router.post("/patients/{patient}/access/include")
async def post_include(visitor: TheVisitor, patient: Patient) -> Response:
    """Lift an exclusion."""
    return await _said(visitor, patient, grants.include, "included")


async def _said(visitor: Visitor, patient: str, says: Any, done: str) -> Response:
    form = await sent_form(visitor)
    check_sure(visitor, "exclude")
    await run_in_threadpool(says, visitor.client, visitor.actor, patient, form["reader"])
    return see(f"/patients/{patient}/access", done=done)


def check_sure(visitor: Visitor, action: str) -> None:
    """Ask for a code first where the policy will: else what was refused would stand in the log for ever."""
    session = visitor.caller.session
    needed = visitor.ledger.policy.assurance.get(action, 0)
    if session is None:
        raise Problem("forbidden", "pages are for sessions by password")
    if session.assurance < needed:
        raise StepUpNeeded(f"{action} needs a fresh code")
