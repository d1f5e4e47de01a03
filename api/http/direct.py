"""The routes that carry the load, without the framework's detours.

They stand in the application too, which documents them; what comes here takes the same functions.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.appending import post_bundle, post_events
from api.http.problems import problem_met, response_of
from api.http.readings import post_chart, post_content
from crypto.ids import ID_PATTERN
from storage.ledger import Ledger

_READINGS = {
    "/v1/records/{record}/content": (
        re.compile(f"/v1/records/(rc_{ID_PATTERN})/content"),
        post_content,
    ),
    "/v1/patients/{patient}/chart": (
        re.compile(f"/v1/patients/(pt_{ID_PATTERN})/chart"),
        post_chart,
    ),
}
_QUERY = re.compile("(?:atomic=(false|true)(?:&|$))?(?:since=(0|[1-9][0-9]{0,14}))?").fullmatch


class Direct:
    """Answers `POST` of events, bundles and readings by itself and hands everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: the application, whose state holds the ledger."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        act = _act(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if act is None:
            return await self._app(scope, receive, send)
        try:
            request = Request(scope, receive)
            response = await act(request, scope["app"].state.ledger)
        except Exception as error:
            response = response_of(problem_met(error))
        await response(scope, receive, send)


def _act(scope: Scope) -> Callable[[Request, Ledger], Awaitable[Response]] | None:
    """What answers this request, or None if the application does."""
    path = scope["path"]
    if path in _APPENDING:
        query = _QUERY(scope["query_string"].decode("latin-1"))
        if query is None:
            return None  # the application says what is wrong with it
        scope["heartwood.route"] = path
        atomic, since = query[1] == "true", None if query[2] is None else int(query[2])
        return lambda request, ledger: _APPENDING[path](request, ledger, atomic, since)
    for route, (pattern, read) in _READINGS.items():
        match = pattern.fullmatch(path)
        if match is not None:
            scope["heartwood.route"] = route
            return partial(read, match[1])
    return None


_APPENDING = {"/v1/events": post_events, "/v1/bundles": post_bundle}
