"""Around the application: so many requests in work at a time, each of them counted, timed and logged."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app.metrics import Metrics
from api.http.problems import Problem, problem_met, response_of
from api.http.shares import Addresses, Shares
from api.http.told import begin

REQUESTS_LIMIT = 512
"""Requests in progress at a time; more are answered `full`, so memory stays bounded."""
ADDRESS_REQUESTS = 256
"""Requests in progress at a time of one address."""
_ALWAYS = ("/healthz", "/metrics")
_UPLOAD = re.compile("/v1/patients/[^/]+/blobs").fullmatch


class Bounded:
    """Lets so many requests in and answers the others `full`; counts and times all of them.

    A request that waits for its client to send isn't in work: that is bounded by the connections, the bytes
    of bodies and the uploads. It is in work again when its body is there, if there is room then.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, addresses: Addresses) -> None:
        """`addresses`: who counts as one client."""
        self._app, self._metrics, self._addresses = app, metrics, addresses
        self._shares = Shares(REQUESTS_LIMIT, ADDRESS_REQUESTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        name = scope["heartwood.client"] = self._client(scope)
        line, status = begin(scope["method"]), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if not self._shares.take(name, above=scope["path"] in _ALWAYS):
                await response_of(_full(self._shares.taken))(scope, receive, counted)
                return
            try:
                await self._app(scope, self._receiving(scope, receive, name), counted)
            finally:
                self._shares.give(name)
        except Exception as error:
            if line.error is not None:
                return  # it was answered; the framework raises it again all the same
            if status:  # in the middle of an answer: the connection ends, which says so
                line.error = error
                raise
            await response_of(problem_met(error))(scope, receive, counted)
        finally:
            # Without a status it was cut off.
            self._metrics.counted(scope["method"], status or 500).inc()
            self._metrics.seconds.observe(line.seconds)
            self._metrics.working.set(self._shares.taken)
            line.write(_route(scope), status or 500)

    def _receiving(self, scope: Scope, receive: Receive, name: str) -> Receive:
        """`receive`, during which the request isn't in work."""
        upload = _UPLOAD(scope["path"]) is not None

        async def received() -> Message:
            self._shares.give(name)
            message: Message = {}
            try:
                message = await receive()
            finally:
                whole = not upload and not message.get("more_body", True)
                room = self._shares.take(name, above=not whole)
                if not room:
                    self._shares.take(name, above=True)
            if not room:
                raise _full(self._shares.taken)
            return message

        return received

    def _client(self, scope: Scope) -> str:
        host = scope["client"][0] if scope.get("client") else ""
        said = [v.decode("latin-1") for k, v in scope["headers"] if k == b"x-forwarded-for"]
        return self._addresses.client(host, said)


def _route(scope: Scope) -> str:
    """The template of the route that answered, or nothing: addresses hold what people type."""
    route = scope.get("heartwood.route") or getattr(scope.get("route"), "path", "")
    return str(route)


def _full(working: int) -> Problem:
    words = (
        f"{working} requests are in progress, or too many of your address; try again in a second"
    )
    return Problem("full", words)
