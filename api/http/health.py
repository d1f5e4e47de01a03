"""Health, readiness and metrics."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.app.metrics import Metrics
from api.http import examples
from api.http.callers import TheLedger
from storage.cosigning import witness_standings

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Is it running?", responses=examples.HEALTH)
async def get_healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


router.head("/healthz", include_in_schema=False)(get_healthz)


@router.get("/readyz", summary="Is it serving?", responses=examples.READY)
async def get_readyz(ledger: TheLedger) -> dict[str, Any]:
    """Whether the database answers and the log takes events."""
    head = await run_in_threadpool(ledger.head)
    await run_in_threadpool(ledger.log.check_takes)
    return {"size": head.size, "status": "ok"}


router.head("/readyz", include_in_schema=False)(get_readyz)


@router.get("/metrics", summary="Metrics", responses=examples.METRICS)
async def get_metrics(request: Request, ledger: TheLedger) -> Response:
    """What all workers counted, as Prometheus text."""
    metrics: Metrics = request.app.state.metrics
    metrics.waiting.set(ledger.log.waiting)
    size = (await run_in_threadpool(ledger.head)).size
    metrics.size.set(size)
    waiting, oldest = await run_in_threadpool(ledger.outbox.waiting)
    metrics.mail_waiting.set(waiting)
    metrics.mail_oldest.set(max(0, ledger.clock() - oldest) / 1000 if waiting else 0)
    owes = await run_in_threadpool(ledger.owed)
    metrics.reviews.labels("waiting").set(owes.reviews - owes.overdue)
    metrics.reviews.labels("overdue").set(owes.overdue)
    metrics.untold.set(owes.untold)
    if ledger.witnesses is not None:
        for one in await run_in_threadpool(witness_standings, ledger):
            metrics.behind.labels(one.name).set(one.behind)
        cosigned = await run_in_threadpool(ledger.cosigned)
        metrics.uncosigned.set(size - (cosigned.size if cosigned else 0))
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")
