"""Health, readiness and metrics."""

import time
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import examples
from api.http.callers import TheLedger
from api.http.problems import Problem, response_of
from storage.care.sweeper import Swept

router = APIRouter(tags=["operation"])
REQUESTS_LIMIT = 512
"""Requests in work at a time; more are answered `full`, so memory stays bounded."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "heartwood_requests",
            "Requests by method and status",
            ["method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "heartwood_request_seconds",
            "Seconds a request took",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.working = Gauge(
            "heartwood_requests_working", "Requests in work", registry=self.registry
        )
        self.waiting = Gauge(
            "heartwood_events_waiting", "Events waiting for the log", registry=self.registry
        )
        self.size = Gauge("heartwood_log_entries", "Entries in the log", registry=self.registry)
        self.sweeps = Counter(
            "heartwood_sweeps",
            "Sweeps of what was staged and never named",
            ["outcome"],
            registry=self.registry,
        )
        self.removed = Counter(
            "heartwood_swept",
            "What sweeps removed",
            ["kind"],
            registry=self.registry,
        )

    @cache  # noqa: B019 - there is one of these a process
    def counted(self, method: str, status: int) -> Counter:
        """The counter of such requests."""
        return self.requests.labels(method, status)

    def swept(self, found: Swept | Exception) -> None:
        """Count a sweep: what it removed, or that it failed."""
        self.sweeps.labels("failed" if isinstance(found, Exception) else "done").inc()
        if isinstance(found, Swept):
            self.removed.labels("staged").inc(len(found.blobs))
            self.removed.labels("stray").inc(len(found.strays))
            self.removed.labels("temporary").inc(len(found.files))


class Bounded:
    """Lets so many requests in and answers the others `full`; counts and times all of them."""

    def __init__(self, app: ASGIApp, metrics: Metrics, limit: int = REQUESTS_LIMIT) -> None:
        """`limit`: requests at a time, health checks apart."""
        self._app, self._metrics, self._limit, self._working = app, metrics, limit, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self._working >= self._limit and scope["path"] not in ("/healthz", "/metrics"):
            self._metrics.counted(scope["method"], 503).inc()
            busy = Problem("full", f"{self._working} requests are in work; try again in a second")
            return await response_of(busy)(scope, receive, send)
        began, status = time.perf_counter(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._working += 1
        self._metrics.working.set(self._working)
        try:
            await self._app(scope, receive, counted)
        finally:
            self._working -= 1
            # Without a status it failed on the way: the outermost handler answers 500.
            self._metrics.counted(scope["method"], status or 500).inc()
            self._metrics.seconds.observe(time.perf_counter() - began)


@router.get("/healthz", summary="Is it running?", responses=examples.HEALTH)
async def get_healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


router.head("/healthz", include_in_schema=False)(get_healthz)


@router.get("/readyz", summary="Is it serving?", responses=examples.READY)
async def get_readyz(ledger: TheLedger) -> dict[str, Any]:
    """Whether the database answers and the log takes events."""
    head = await run_in_threadpool(ledger.head)
    if ledger.log.stopping:
        raise Problem("stopped", "the server is stopping")
    return {"size": head.size, "status": "ok"}


router.head("/readyz", include_in_schema=False)(get_readyz)


@router.get("/metrics", summary="Metrics", responses=examples.METRICS)
async def get_metrics(request: Request, ledger: TheLedger) -> Response:
    """This process's counters, as Prometheus text."""
    metrics: Metrics = request.app.state.metrics
    metrics.waiting.set(ledger.log.waiting)
    metrics.size.set((await run_in_threadpool(ledger.head)).size)
    return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")
