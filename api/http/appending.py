"""`POST /v1/events` and `/v1/bundles`: signed events in; one checkpoint, numbers and paths out."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.bodies import (
    EVENTS_BYTES,
    INLINE_EVENTS,
    bodies_of,
    bundle_of,
    json_body,
    proposal_of,
)
from api.http.callers import TheLedger, author, proposed
from api.http.examples import serves
from api.http.problems import Problem, attempted, document
from client import operations
from crypto.encoding import b64encode
from identity.actors import Caller
from journeys.appending import appended, check_plain
from journeys.labelling import check_marked, is_unmarked
from journeys.quotas import check_alone, check_keys, check_persons, is_limited
from ledger.event import BUNDLE_LIMIT
from ledger.sent import count_of
from ledger.sequencer import Outcome, Proposal
from ledger.times import format_time
from storage.ledger import Ledger
from storage.log import CommittedBatch

router = APIRouter(tags=["events"])
Since = Annotated[int | None, Query(ge=0, lt=1 << 53)]
"""The size of the last checkpoint that the caller knows, or 0: with it the answer proves all that it says."""


@serves(router, operations.EVENTS)
async def post_events(
    request: Request, ledger: TheLedger, atomic: bool = False, since: Since = None
) -> Response:
    """Append one signed event, or a list of up to 1,000; each stands on its own unless `atomic`.

    One event that is refused is answered by its problem; in a list each has its answer by index.
    """
    value = await json_body(request, EVENTS_BYTES)
    if not isinstance(value, list):
        proposal = await proposed(request, ledger, value)
        check_plain([proposal])
        await _marked([proposal], ledger)
        committed = await append(ledger, [proposal], atomic)
        appended(committed.outcomes[0])  # raises what was refused
        return await answer(ledger, committed, {}, 1, since)
    if not 1 <= len(value) <= BUNDLE_LIMIT:
        raise Problem(
            "too_large", f"got a list of {len(value)}, expected 1 to {BUNDLE_LIMIT} events"
        )
    signing = await author(request, ledger, value)
    if len(value) <= INLINE_EVENTS and signing is None:
        proposals, problems = _plain_each(ledger, value, None)
    else:
        proposals, problems = await bodies_of(request).beside(_plain_each, ledger, value, signing)
    proposals = await _marked(proposals, ledger, problems, len(value))
    if atomic and problems:
        rest = Problem(
            "atomic", "not appended: another event of this all-or-nothing call was refused"
        )
        return _listed(
            [document(problems.get(i, rest)) for i in range(len(value))], None, len(value)
        )
    committed = await append(ledger, proposals, atomic)
    return await answer(ledger, committed, problems, len(value), since)


@serves(router, operations.BUNDLES)
async def post_bundle(
    request: Request, ledger: TheLedger, atomic: bool = False, since: Since = None
) -> Response:
    """Append up to 1,000 events of one author under one signature; each stands on its own unless `atomic`."""
    value = await json_body(request, EVENTS_BYTES)
    if count_of(value) <= INLINE_EVENTS:
        proposals = bundle_of(ledger, value)
    else:
        proposals = await bodies_of(request).beside(bundle_of, ledger, value)
    check_plain(proposals)
    await _marked(proposals, ledger)
    committed = await append(ledger, proposals, atomic)
    return await answer(ledger, committed, {}, len(proposals), since)


async def _marked(
    proposals: list[Proposal],
    ledger: Ledger,
    problems: dict[int, Problem] | None = None,
    count: int = 0,
) -> list[Proposal]:
    """Those that say of private labels that they are; the others go to `problems` of a list of `count`, or the first is raised."""
    if not any(is_unmarked(one.event) for one in proposals):
        return proposals
    if problems is None:
        await run_in_threadpool(check_marked, ledger, proposals)
        return proposals
    indexes = [index for index in range(count) if index not in problems]
    good = list[Proposal]()
    for index, one in zip(indexes, proposals, strict=True):
        found = await run_in_threadpool(attempted, check_marked, ledger, [one])
        if isinstance(found, Problem):
            problems[index] = found
        else:
            good.append(one)
    return good


def _plain_each(
    ledger: Ledger, value: list[Any], signing: Caller | None
) -> tuple[list[Proposal], dict[int, Problem]]:
    """The events of a list, and by index the problems of those that are none."""
    proposals: list[Proposal] = []
    problems: dict[int, Problem] = {}
    for index, item in enumerate(value):
        found = attempted(plain, ledger, item, signing)
        if isinstance(found, Problem):
            problems[index] = found
        else:
            proposals.append(found)
    return proposals, problems


def plain(ledger: Ledger, value: Any, signing: Caller | None) -> Proposal:
    """An event that is no reading, signed, or to be signed for whom is signed in; raises EventError or Refused."""
    proposal = proposal_of(ledger, value, signing)
    check_plain([proposal])
    return proposal


async def append(
    ledger: Ledger, proposals: Sequence[Proposal], atomic: bool = False
) -> CommittedBatch:
    """Queue proposals and wait without holding a thread; raises what the log raises, OverQuota for what is too much, and
    Refused for too many keys."""
    if limited := [one for one in proposals if is_limited(one)]:
        await run_in_threadpool(_check_limited, ledger, limited)
    return await asyncio.wrap_future(ledger.submit(proposals, atomic))


def _check_limited(ledger: Ledger, proposals: Sequence[Proposal]) -> None:
    check_keys(ledger, proposals)
    check_persons(ledger, proposals)
    check_alone(ledger, proposals)


async def answer(
    ledger: Ledger,
    committed: CommittedBatch,
    problems: dict[int, Problem],
    count: int,
    since: int | None,
) -> Response:
    """The answer to several events, by their indexes in the call; with `since` it holds the entries, and the proof
    that the checkpoint extends the one of that size."""
    again = any(not getattr(outcome, "fresh", True) for outcome in committed.outcomes)
    if again or since:  # their paths may lead into tiles that have to be read
        return await run_in_threadpool(_answer, committed, problems, count, since)
    return _answer(committed, problems, count, since)


def _answer(
    committed: CommittedBatch, problems: dict[int, Problem], count: int, since: int | None
) -> Response:
    outcomes = iter(committed.outcomes)
    entries = [
        document(problems[index])
        if index in problems
        else _entry(committed, next(outcomes), since is not None)
        for index in range(count)
    ]
    return _listed(entries, committed, count, since)


def _entry(committed: CommittedBatch, outcome: Outcome, whole: bool) -> dict[str, Any]:
    found = attempted(appended, outcome)
    if isinstance(found, Problem):
        return document(found)
    entry = found.entry
    stands: dict[str, Any] = {"seq": entry.link.seq, "time": format_time(entry.time)}
    if not committed.size:
        return (
            stands  # an all-or-nothing call was undone; this one stood before, and has its receipt
        )
    if whole:
        stands["entry"] = entry.raw.decode()
    return stands | {"path": [b64encode(node) for node in committed.path(entry.link.seq)]}


def _listed(
    entries: list[dict[str, Any]],
    committed: CommittedBatch | None,
    count: int,
    since: int | None = None,
) -> Response:
    stood = sum("seq" in entry and "type" not in entry for entry in entries)
    out: dict[str, Any] = {
        "appended": stood,
        "entries": [
            {"index": index, "problem": entry} if "type" in entry else {"index": index, **entry}
            for index, entry in enumerate(entries)
        ],
    }
    if committed is not None and committed.size and stood:
        out["checkpoint"] = committed.checkpoint.decode()
        if since is not None and 0 < since < committed.size:
            out["consistency"] = [b64encode(node) for node in committed.consistency(since)]
    return Response(orjson.dumps(out), 200, {"Cache-Control": "no-store"}, "application/json")
