"""Pages for anybody: what this is, its components, its language, and what pages load."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem
from api.portal.drawing import Ring, rings
from api.portal.forms import sent_form
from api.portal.pages import VERSION_DIGITS, PageRoute, asset_hash, assets, page, place, see
from api.portal.texts import LANGUAGE_COOKIE, LANGUAGES
from api.portal.visitors import TheVisitor
from crypto.cosignatures import Checkpoint
from ledger.checkpoint import said_by
from storage.ledger import Ledger

router = APIRouter(route_class=PageRoute, include_in_schema=False)
YEAR_SECONDS = 31_536_000
"""How long a choice of language, and what has its content in its address, is kept."""
KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@router.get("/")
async def get_home(visitor: TheVisitor) -> Response:
    """What this is, in 20 seconds, and how large the log is."""
    found, drawn = await run_in_threadpool(_log, visitor.ledger)
    return await page(visitor, "home.html", log=found, rings=drawn)


def _log(ledger: Ledger) -> tuple[Checkpoint, list[Ring]]:
    found = said_by(ledger.checkpoint())
    return found, rings(found.root, found.size)


@router.get("/design")
async def get_design(visitor: TheVisitor) -> Response:
    """The components that pages are put together from."""
    return await page(visitor, "design.html", rings=rings(bytes(range(32)), 1_000))


@router.post("/language")
async def post_language(visitor: TheVisitor) -> Response:
    """Choose a language, and go on where one was."""
    form = await sent_form(visitor)
    if form["language"] not in LANGUAGES:
        raise Problem("malformed", f"expected one of {', '.join(LANGUAGES)}")
    response = see(place(form["then"]) if form["then"] != "/" else "/")
    response.set_cookie(
        LANGUAGE_COOKIE, form["language"], YEAR_SECONDS, path="/", secure=True, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return response


@router.get("/static/{name}")
async def get_static(
    request: Request, name: Annotated[str, Path(max_length=60)], v: str = ""
) -> Response:
    """What pages load: own styles, scripts and drawings. Modules load each other without a version: these are asked for again."""
    content = assets().get(name)
    if content is None:
        raise Problem("not_found", "there is no such file")
    kind, found = KINDS[name.rpartition(".")[2]], asset_hash(name)
    kept = v == found[:VERSION_DIGITS]
    headers = {
        "Cache-Control": f"public, max-age={YEAR_SECONDS}, immutable" if kept else "no-cache", "ETag": f'"{found}"',
    }  # fmt: skip
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(None, 304, headers)
    return Response(content, 200, headers, kind)
