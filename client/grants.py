"""What patients say about their charts: grants, revocations, exclusions, hidden records."""

from collections.abc import Mapping, Sequence
from typing import Any

from client.port import LedgerClient
from identity.actors import Actor, new_id
from journeys.errors import RecordsError
from journeys.sealing import check_labels
from ledger.times import DAY_MS, format_time

PURPOSE = "PATRQT"
"""The purpose of what patients do about their own charts."""


def grant(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    grantee: str,
    records: Sequence[str] = (),
    days: int | None = None,
    purposes: Sequence[str] = (),
    actions: Sequence[str] = ("list", "read"),
    uses: int | None = None,
    sensitive: bool = False,
    lineage: str | None = None,
    what: Mapping[str, Any] | None = None,
    exceptions: Sequence[Mapping[str, Any]] = (),
    labels: Sequence[str] = (),
    start: int | None = None,
) -> tuple[str, int]:
    """Grant a person, a hospital or a group; gives the grant's id and its entry.

    The whole chart, or of it what `records` list or `what` describes (criteria as the registry has them);
    `days` from `start` (Unix ms; now), by default as many as the policy allows; `labels` in clear are covered too, and with
    `sensitive` (of the whole chart only) all of them.
    """
    for given, what_of in ((days, "days"), (uses, "readings")):
        if given is not None and given < 1:
            raise RecordsError(f"got {given} {what_of}, expected at least 1")
    check_labels(labels)
    now = client.now() if start is None else start
    identifier, event_id = new_id("gr", now), new_id("ev", now)
    end = now + (client.policy().grant_days_max if days is None else days) * DAY_MS
    scope = "selective" if records else "partial" if what else "full"
    codes = client.seal(actor, patient, patient, event_id, {}, labels).codes if labels else []
    body: dict[str, Any] = {
        "actions": sorted(set(actions)),
        "end": format_time(end),
        "grant": identifier,
        "grantee": grantee,
        "purpose": PURPOSE,
        "scope": scope,
        "start": format_time(now),
    }
    optional: dict[str, Any] = {
        "exceptions": [dict(exception) for exception in exceptions],
        "labels": codes,
        "lineage": lineage,
        "purposes": sorted(set(purposes)),
        "records": sorted(set(records)),
        "sensitive": sensitive,
        "uses": uses,
        "what": dict(what or {}),
    }
    body |= {name: value for name, value in optional.items() if value}
    event = actor.event("access.granted", f"patient/{patient}", body, now, event_id)
    event |= {"v": _version(actor)}
    return identifier, client.append(actor, [event])[0].seq


def revoke(
    client: LedgerClient, actor: Actor, patient: str, grantee: str, grant_id: str | None = None
) -> int:
    """Revoke one lineage of grants, or all that a grantee has; gives the entry."""
    body = {"grantee": grantee, "purpose": PURPOSE} | ({"grant": grant_id} if grant_id else {})
    event = actor.event("access.revoked", f"patient/{patient}", body, client.now())
    event |= {"v": _version(actor)}
    return client.append(actor, [event])[0].seq


def _version(actor: Actor) -> int:
    """Of grants and revocations; on a patient's behalf the one that relatives may sign."""
    return 3 if actor.role == "relative" else 2


def exclude(client: LedgerClient, actor: Actor, patient: str, reader: str) -> int:
    """Exclude a person, a hospital or a group from the chart; gives the entry."""
    return _say(client, actor, "reader.excluded", patient, {"reader": reader})


def include(client: LedgerClient, actor: Actor, patient: str, reader: str) -> int:
    """Lift an exclusion; what was granted counts again. Gives the entry."""
    return _say(client, actor, "reader.included", patient, {"reader": reader})


def hide(client: LedgerClient, actor: Actor, patient: str, record: str) -> int:
    """Hide a record from everybody but its author's hospital; gives the entry."""
    return _say(client, actor, "record.hidden", patient, {"record": record})


def show(client: LedgerClient, actor: Actor, patient: str, record: str) -> int:
    """Show a hidden record again to those who may see it; gives the entry."""
    return _say(client, actor, "record.shown", patient, {"record": record})


def _say(client: LedgerClient, actor: Actor, kind: str, patient: str, body: dict[str, Any]) -> int:
    event = actor.event(kind, f"patient/{patient}", body | {"purpose": PURPOSE}, client.now())
    return client.append(actor, [event])[0].seq
