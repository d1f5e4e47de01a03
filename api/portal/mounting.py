"""The portal in the application: its routes at `/`, and a page where there is none."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from api.http import problems
from api.portal import (
    access,
    asking,
    charts,
    checks,
    deciding,
    emergencies,
    entering,
    erasing,
    family,
    history,
    holding,
    home,
    inquiries,
    numbers,
    overview,
    own,
    passkeys,
    registering,
    today,
    writing,
)
from api.portal.pages import refused, secured

ROUTERS = (
    home, entering, own, numbers, today, charts, writing, overview, access, asking, inquiries, family, emergencies, erasing, holding, history,
    checks, passkeys, deciding, registering,
)  # fmt: skip


def mount(app: FastAPI) -> list[Route]:
    """Let the application serve the portal; gives its routes."""
    for module in ROUTERS:
        app.include_router(module.router)
    app.add_exception_handler(HTTPException, _answer_http)
    return [route for one in ROUTERS for route in one.router.routes if isinstance(route, Route)]


async def _answer_http(request: Request, error: Exception) -> Response:
    """A page for whoever browses, a problem document for a program."""
    browses = "text/html" in request.headers.get("accept", "")
    if browses and not request.url.path.startswith("/v1/"):
        return secured(await refused(request, error))
    return await problems.answer_http(request, error)
