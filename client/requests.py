"""Requests for access: ask a patient or a hospital, see what is asked, answer, forward, close."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client import operations
from client.port import LedgerClient
from identity.actors import Actor, new_id
from journeys.errors import NotThere, RecordsError
from ledger.asking import DECLINED, GRANTED, AccessRequest
from ledger.facts import Provision
from ledger.times import DAY_MS, format_time
from records.requests import RequestStanding


@dataclass(frozen=True)
class Asked:
    """What is asked for, and why. `words` are sealed for the patient."""

    words: str
    days: int
    purpose: str = "TREAT"
    actions: Sequence[str] = ("list", "read")
    records: Sequence[str] = ()
    what: Mapping[str, Any] | None = None
    """Criteria as a grant has them; with no records either, the whole chart."""
    sensitive: bool = False
    hospital: str = ""
    """The hospital that is asked for records of its own; empty: the patient."""


def ask(client: LedgerClient, actor: Actor, patient: str, asked: Asked) -> tuple[str, int]:
    """Ask for access to a chart, as a doctor or a relative; gives the request's id and its entry."""
    actor = _in_role(actor)
    if asked.records and asked.what:
        raise RecordsError("ask for records or for what criteria describe, not for both")
    now = client.now()
    event_id = new_id("ev", now)
    sealed, *_ = client.seal(actor, patient, patient, event_id, {"words": asked.words})
    scope = "selective" if asked.records else "partial" if asked.what else "full"
    body: dict[str, Any] = {
        "actions": sorted(set(asked.actions)), "days": asked.days, "purpose": asked.purpose, "scope": scope, **sealed,
    }  # fmt: skip
    optional: dict[str, Any] = {
        "hospital": asked.hospital, "records": sorted(set(asked.records)), "sensitive": asked.sensitive,
        "what": dict(asked.what or {}),
    }  # fmt: skip
    body |= {name: value for name, value in optional.items() if value}
    event = actor.event("access.requested", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


@dataclass(frozen=True)
class Smaller:
    """In what an answer gives less than was asked for; what is empty is as asked."""

    days: int = 0
    records: Sequence[str] = ()
    what: Mapping[str, Any] | None = None
    exceptions: Sequence[Mapping[str, Any]] = ()
    uses: int = 0
    without_sensitive: bool = False


def grant(
    client: LedgerClient, actor: Actor, asked: AccessRequest, smaller: Smaller | None = None
) -> tuple[str, int]:
    """Answer a request with a grant, as asked or smaller; gives the grant's id and the entry."""
    less, now = smaller or Smaller(), client.now()
    identifier = new_id("gr", now)
    records = less.records or (() if less.what else asked.records)
    what = dict(less.what or {}) or (_criteria(asked.what) if not records else {})
    scope = "selective" if records else "partial" if what else "full"
    sensitive = asked.sensitive and scope == "full" and not less.without_sensitive
    optional: dict[str, Any] = {
        "exceptions": [dict(one) for one in less.exceptions], "records": sorted(set(records)),
        "sensitive": sensitive, "uses": less.uses, "what": what,
    }  # fmt: skip
    granted = {
        "actions": list(asked.actions), "end": format_time(now + (less.days or asked.days) * DAY_MS),
        "grant": identifier, "purposes": [asked.purpose], "scope": scope, "start": format_time(now),
    }  # fmt: skip
    said = granted | {name: value for name, value in optional.items() if value}
    return identifier, _say(
        client, actor, "access.answered", asked, said | {"verdict": GRANTED}, now
    )


def decline(client: LedgerClient, actor: Actor, asked: AccessRequest) -> int:
    """Answer a request with no; gives the entry."""
    return _say(client, actor, "access.answered", asked, {"verdict": DECLINED}, client.now())


def forward(client: LedgerClient, actor: Actor, asked: AccessRequest) -> int:
    """As an admin of the hospital that is asked, leave the answer to the patient; gives the entry."""
    return _say(client, actor, "access.forwarded", asked, {}, client.now())


def close(
    client: LedgerClient, actor: Actor, asked: AccessRequest, verdict: str, by: str = ""
) -> int:
    """As an admin of the hospital that is asked, answer for it: `verdict` is declined, disclosed or referred, `by` the
    disclosure or referral. Gives the entry."""
    named = {"by": by} if by else {}
    return _say(client, actor, "access.closed", asked, named | {"verdict": verdict}, client.now())


def listed(client: LedgerClient, actor: Actor, patient: str = "") -> tuple[RequestStanding, ...]:
    """What one asked for, or what is asked of one's hospital or, given a `patient`, about their chart."""
    if patient:
        return client.ask(actor, operations.REQUESTS, patient=patient).requests
    if actor.role == "hospital_admin":
        return client.ask(actor, operations.REQUESTS_TO, hospital=actor.hospital).requests
    return client.ask(_in_role(actor), operations.OWN_REQUESTS).requests


def _in_role(actor: Actor) -> Actor:
    """Persons ask as the relatives that somebody linked, in their own name."""
    return actor.in_role("relative") if actor.role == "person" else actor


def found(client: LedgerClient, actor: Actor, request: str, patient: str = "") -> AccessRequest:
    """One of those that `listed` lists; raises NotThere."""
    for one in listed(client, actor, patient):
        if one.request.request == request:
            return one.request
    raise NotThere(f"there is no request {request} that you could answer")


def _criteria(what: Sequence[Provision]) -> dict[str, Any]:
    """The criteria of a request as a body has them."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for one in what
        for name in ("authors", "categories", "date_from", "date_to", "episodes")
        if (value := getattr(one, name))
    }


_PURPOSES = {"patient": "PATRQT", "relative": "FAMRQT"}
"""For what people answer in each role; a hospital's, to run it."""


def _say(
    client: LedgerClient,
    actor: Actor,
    kind: str,
    asked: AccessRequest,
    body: dict[str, Any],
    now: int,
) -> int:
    said = body | {"purpose": _PURPOSES.get(actor.role, "HOPERAT"), "request": asked.request}
    event = actor.event(kind, f"patient/{asked.patient}", said, now)
    return client.append(actor, [event])[0].seq
