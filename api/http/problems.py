"""RFC 9457 problem documents: one table from errors to types, which are stable and listed in docs/problems.md."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from psycopg import Error as DriverError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from api.http.told import met
from consent.explain import WORDS
from consent.rules import named
from crypto.errors import CryptoError
from durable.errors import NotFound, StorageError
from identity.errors import (
    BadPassword,
    FactorConflict,
    KeyNeeded,
    NotSignedIn,
    SecondFactorNeeded,
    StepUpNeeded,
    Throttled,
    WrongProof,
)
from journeys.errors import (
    AccessDenied,
    AlreadyUsed,
    Forbidden,
    NotClaimed,
    NotThere,
    OverQuota,
    RecordsError,
    TooManyTries,
)
from keeper.errors import KeeperRefused, KeeperUnavailable
from ledger.errors import EventError, LedgerError, Refused
from storage.errors import BlobError, BlobsUnavailable, Bug, OutcomeUnknown, Unavailable

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:heartwood:problem:"
R = TypeVar("R")


@dataclass(frozen=True)
class Kind:
    """A type of problem: its HTTP status, what it means, and when to come back (seconds, 0: never)."""

    status: int
    title: str
    retry_after: int = 0


PROBLEMS: dict[str, Kind] = {
    "already_used": Kind(
        409, "This reading is already in the log; content is given once. Sign a new one."
    ),
    "atomic": Kind(
        409, "Not appended, because another event of the same all-or-nothing call was refused."
    ),
    "blob": Kind(500, "The content in the store is missing or is not what the log says."),
    "blob_store": Kind(
        503,
        "The blob store does not answer. A reading whose content did not come stands in the log: sign a new one.",
        5,
    ),
    "bug": Kind(500, "Internal error; the server's log says more."),
    "claim": Kind(
        403, "The claim was not accepted; which of chart, code and birth date is wrong is not told."
    ),
    "clock": Kind(503, "The server's clock is not trusted now; nothing was appended.", 5),
    "conflict": Kind(
        409, "Something is not as the event expects it to be, or another event has its id."
    ),
    "cross_site": Kind(
        403, "A session by cookie counts for this site's own pages, with their CSRF token."
    ),
    "database": Kind(503, "The database does not answer.", 2),
    "denied": Kind(403, "The consent rules deny this; see `rule` and `reason`."),
    "duplicate_id": Kind(409, "An id is created twice."),
    "forbidden": Kind(403, "Your role may not ask for this."),
    "full": Kind(503, "Too much is waiting; nothing was appended.", 1),
    "headers": Kind(431, "The request line and headers are too long."),
    "invitation": Kind(403, "The invitation's code is wrong, was used, or counts no more."),
    "keeper": Kind(409, "The key keeper releases no key for this reading."),
    "keeper_unavailable": Kind(
        503,
        "The key keeper does not answer. A reading whose content did not come stands in the log: sign a new one.",
        5,
    ),
    "key": Kind(403, "The signing key is not valid for this actor."),
    "length": Kind(411, "The length of the body is not what was announced."),
    "malformed": Kind(400, "The request does not have the expected form."),
    "method": Kind(405, "Method not allowed."),
    "no_key": Kind(
        409, "The event names an id or a blob that was not reserved, or by somebody else."
    ),
    "not_found": Kind(404, "Not found or not permitted."),
    "not_signed_in": Kind(401, "Valid token required."),
    "outcome_unknown": Kind(
        503, "It may or may not have been appended: send the same event again.", 1
    ),
    "password": Kind(400, "This can't be a password."),
    "proof": Kind(403, "The password, the code or the recovery code is wrong or was used already."),
    "quota": Kind(
        429, "This exceeds what one account or address may request within an hour or a day.", 600
    ),
    "range": Kind(416, "The range is not within this content."),
    "reading": Kind(400, "A reading was sent to a route that appends; it has a route of its own."),
    "registry": Kind(409, "The registry in force does not have this type."),
    "role": Kind(403, "The actor does not hold the role, or this type of event does not allow it."),
    "rolled_back": Kind(
        503,
        "The database lacks what was acknowledged; nothing is appended until its operator acts.",
        60,
    ),
    "second_factor": Kind(403, "This role needs a second factor."),
    "signature": Kind(403, "The signature does not match the key and the message."),
    "skew": Kind(400, "The event's `at` is too far from the log's time."),
    "slow": Kind(408, "The request arrived too slowly."),
    "step_up": Kind(403, "This needs a second factor within the last 5 minutes."),
    "stopped": Kind(503, "The server is stopping; nothing was appended.", 2),
    "stream": Kind(400, "The event is in the wrong stream."),
    "throttled": Kind(
        429,
        "Too many sign-ins failed, or too much was done by one account; `seconds` says how long to wait.",
    ),
    "too_large": Kind(413, "The request is too large."),
    "too_many_claims": Kind(
        429, "Too many claims have failed; the detail says when to try again.", 60
    ),
    "too_many_refusals": Kind(
        429, "Too many refused readings of this patient within an hour.", 600
    ),
    "unknown": Kind(404, "The event names something that does not exist."),
}
"""Every type of problem, by the end of its URN."""


class Problem(Exception):
    """A problem that the HTTP face itself finds."""

    def __init__(self, kind: str, detail: str, **members: Any) -> None:
        """`kind`: one of PROBLEMS; `members`: what the document says beside."""
        super().__init__(detail)
        self.kind, self.detail, self.members = kind, detail, members


ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (NotSignedIn, "not_signed_in"),
    (Throttled, "throttled"),
    (BadPassword, "password"),
    (WrongProof, "proof"),
    (SecondFactorNeeded, "second_factor"),
    (StepUpNeeded, "step_up"),
    (FactorConflict, "conflict"),
    (KeyNeeded, "forbidden"),
    (NotThere, "not_found"),
    (NotFound, "not_found"),
    (Forbidden, "forbidden"),
    (NotClaimed, "claim"),
    (OverQuota, "quota"),
    (TooManyTries, "too_many_claims"),
    (RecordsError, "malformed"),
    (EventError, "malformed"),
    (LedgerError, "malformed"),
    (KeeperRefused, "keeper"),
    (KeeperUnavailable, "keeper_unavailable"),
    (OutcomeUnknown, "outcome_unknown"),
    (BlobsUnavailable, "blob_store"),
    (BlobError, "blob"),
    (Bug, "bug"),
    (StorageError, "database"),
    (SQLAlchemyError, "database"),
    (DriverError, "database"),
    (CryptoError, "malformed"),
    (ValidationError, "malformed"),
)
"""Errors of the packages, and of bodies that are not of their form; the special before the general."""
_HIDDEN = {
    "blob_store": "the blob store does not answer",
    "database": "the database does not answer",
    "keeper_unavailable": "the key keeper does not answer",
}
"""What is told of those whose own words hold statements and addresses; these are for the server's own log."""


def problem_of(error: Exception) -> Problem:
    """The problem that an error becomes."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, AccessDenied):
        # Without the refusal's number: one who was excluded gets the document of one never granted.
        words = f"denied by {named(error.rule)}: {WORDS[error.reason]}"
        return Problem("denied", words, rule=error.rule, reason=error.reason)
    if isinstance(error, AlreadyUsed):
        receipt = {"receipt": error.receipt.decode()} if error.receipt else {}
        return Problem("already_used", str(error), seq=error.seq, **receipt)
    if isinstance(error, Throttled):
        return Problem("throttled", str(error), seconds=error.seconds)
    if isinstance(error, Refused):
        return Problem("skew" if error.code == "clock" else error.code, str(error))
    if isinstance(error, Unavailable) and error.code != "database":
        return Problem(error.code, str(error))
    if isinstance(error, ValidationError):
        return _misformed(error.errors())
    for kind, name in ERRORS:
        if isinstance(error, kind):
            return Problem(name, _HIDDEN.get(name) or str(error))
    return Problem("bug", "internal error")


def attempted(act: Callable[..., R], *arguments: Any) -> R | Problem:
    """What `act` gives, or the problem of what it refuses or denies: for lists, each of which has its own answer."""
    try:
        return act(*arguments)
    except (Problem, LedgerError, RecordsError) as error:
        # Without its traceback, which holds the list that this stands in.
        return problem_of(error).with_traceback(None)


def problem_met(error: Exception) -> Problem:
    """`problem_of` for what a request is answered by; of a bug with the id by which the log tells where."""
    problem = problem_of(error)
    if problem.kind == "bug":
        words = "internal error; the server's log has it by this id"
        return Problem("bug", words, id=met(error))
    return problem


def document(problem: Problem) -> dict[str, Any]:
    """The members of the problem document."""
    kind = PROBLEMS[problem.kind]
    return {
        "type": TYPE_PREFIX + problem.kind,
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        **problem.members,
    }


def response_of(problem: Problem) -> Response:
    """The problem as a response."""
    kind = PROBLEMS[problem.kind]
    headers = {"Cache-Control": "no-store"}
    wait = problem.members.get("seconds", kind.retry_after)
    if wait:
        headers["Retry-After"] = str(math.ceil(wait))
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(document(problem)), kind.status, headers, MEDIA_TYPE)


async def answer_error(request: Request, error: Exception) -> Response:
    """The handler of every error."""
    return response_of(problem_met(error))


async def answer_http(request: Request, error: Exception) -> Response:
    """What the router itself finds: no such address, no such method."""
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method", 413: "too_large"}.get(error.status_code, "malformed")
    place = f"{request.method} {request.url.path[:80]}"
    response = response_of(Problem(kind, f"{place}: {error.detail}"))
    response.headers.update(error.headers or {})
    if kind == "method":
        response.headers["Allow"] = _allowed(request)
    return response


def _allowed(request: Request) -> str:
    """Every method of an address, which may be of several routes (RFC 9110, 10.2.1)."""
    routes: Sequence[Route] = request.app.state.addresses
    fitting = [route for route in routes if route.path_regex.match(request.url.path)]
    return ", ".join(sorted({method for route in fitting for method in route.methods or ()}))


async def answer_validation(request: Request, error: Exception) -> Response:
    """Parameters and bodies that are not of their form, with the place."""
    assert isinstance(error, RequestValidationError)
    return response_of(_misformed(error.errors()))


def _misformed(errors: Sequence[Any]) -> Problem:
    """The first thing that is not of its form, as pydantic names it."""
    place = ".".join(str(part) for part in errors[0]["loc"]) or "body"
    return Problem("malformed", f"{place}: {errors[0]['msg']}")
