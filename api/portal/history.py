"""Who looked: everything that was done on a chart, by whose word, in sentences; itself a reading."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal import words
from api.portal.charts import PAGE, Pages, Patient, acting_in, own_page, purpose_of
from api.portal.checks import LogTold, log_told
from api.portal.pages import PageRoute, checking, page
from api.portal.visitors import TheVisitor
from client import readings
from records.history import Act, History
from records.history_proofs import TOKEN_MS, proof_by, proof_token

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PROOF_COOKIE = "__Secure-heartwood-look"
"""Of the proof of one look alone, for as long as it is given."""
FILTERS = ("", "others", "read", "refused", "asked", "consent")
"""What a history can be narrowed to: everything, others' acts, readings, refusals, who asks for access, what the patient said."""


@dataclass(frozen=True)
class Told:
    """An act as it is told."""

    act: Act
    who: str
    """By name where they have one; empty for the reader."""
    where: str
    """The hospital's name."""
    behalf: str
    """The name of whoever they acted for; empty: nobody."""
    written: tuple[str, ...]
    """What its author wrote for the patient."""


@router.get("/history")
async def get_own_history(visitor: TheVisitor) -> Response:
    """Who looked at one's own chart."""
    return await own_page(visitor, "history")


@router.get("/patients/{patient}/history")
async def get_history(
    visitor: TheVisitor, patient: Patient, only: str = "", p: str = ""
) -> Response:
    """Who looked at a chart, the newest first; a reading."""

    def opens() -> tuple[History, str, LogTold]:
        actor = acting_in(visitor, patient)
        found = readings.history(visitor.client, actor, patient, purpose_of(visitor))
        token = proof_token(visitor.ledger, found.entry)
        return found, token, log_told(visitor.ledger)

    found, token, log = await run_in_threadpool(opens)
    only = only if only in FILTERS else ""
    acts = [one for one in reversed(found.acts()) if _fits(one, only, visitor.caller.account)]
    pages = Pages.of(p, len(acts))
    told = [_told(one, found, visitor.caller.account) for one in pages.cut(acts)]
    look, proof = found.entry.link.seq, f"/patients/{patient}/history/{found.entry.link.seq}"
    response = await page(
        visitor, "history.html", patient=patient, told=told, pages=pages, only=only, own=visitor.caller.account,
        filters=FILTERS, losses=found.losses(), size=look, count=len(found.entries), log=log, proof=proof, most=PAGE,
    )  # fmt: skip
    response.set_cookie(
        PROOF_COOKIE, token, TOKEN_MS // 1000, path=proof, secure=True, httponly=True, samesite="strict"
    )  # fmt: skip
    return checking(response)


@router.get("/patients/{patient}/history/{seq}")
async def get_proof(
    visitor: TheVisitor, patient: Patient, seq: Annotated[str, Path(pattern="^[0-9]{1,15}$")]
) -> Response:
    """The proof of the history whose page was just opened, by the cookie of that look: for its script. No reading of its own."""
    caller, token = visitor.caller, visitor.request.cookies.get(PROOF_COOKIE, "")
    proof = await run_in_threadpool(
        proof_by, visitor.ledger, token, caller.account, patient, int(seq)
    )
    return Response(proof, media_type="application/json")


def _fits(act: Act, only: str, own: str) -> bool:
    reads = act.type in words.READING_ACTS
    fits: dict[str, Any] = {
        "": True, "asked": act.type == "access.requested", "consent": act.actor == own and not reads, "others": act.actor != own, "read": reads,
        "refused": act.effect == "deny",
    }  # fmt: skip
    return bool(fits[only])


def _told(act: Act, found: History, own: str) -> Told:
    names = found.names
    who = "" if act.actor == own else names.get(act.actor, act.actor)
    texts = found.texts.get(str(act.seq), {})
    # The lists of disclosures are the accounting's to show.
    written = tuple(text for name, text in texts.items() if not name.startswith("list_"))
    behalf = names.get(act.on_behalf_of, act.on_behalf_of)
    return Told(act, who, names.get(act.hospital, act.hospital), behalf, written)
