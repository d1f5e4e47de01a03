"""Checking in the browser: what pages tell a script of the log, and the page where anybody checks a receipt."""

import json
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.pages import PageRoute, asset_hash, checking, page
from api.portal.visitors import TheVisitor
from ledger.witnesses import verifiers_policy
from storage.ledger import Ledger

router = APIRouter(route_class=PageRoute, include_in_schema=False)
LIBRARY = "heartwood-check.js"
"""The file that checks, which anybody can host elsewhere."""


@dataclass(frozen=True)
class LogTold:
    """What a page says of its log to whoever sees it for the first time: as good as the server that says it."""

    origin: str
    keys: str
    """The newest verifier keys, as JSON: those that sign each checkpoint from now on."""
    policy: str
    """The witness policy as verifiers take it."""


def log_told(ledger: Ledger) -> LogTold:
    """This ledger's log."""
    newest = ledger.vkeys.generations[-1].keys
    policy = verifiers_policy(ledger.witnesses, newest).decode("utf-8", "replace")
    return LogTold(ledger.origin, json.dumps([str(key) for key in newest]), policy)


@router.get("/check")
async def get_check(visitor: TheVisitor) -> Response:
    """The page that checks a receipt, or the proof of a history, in the browser; nothing of it is sent to anybody."""
    log = await run_in_threadpool(log_told, visitor.ledger)
    response = await page(
        visitor, "check.html", log=log, library=LIBRARY, digest=asset_hash(LIBRARY)
    )
    return checking(response)
