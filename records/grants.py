"""Grants and revocations, as the patient gives them."""

from collections.abc import Sequence
from typing import Any

from identity.actors import Actor, new_id
from ledger.times import DAY_MS, format_time
from records.appending import append
from storage.ledger import Ledger


def grant(
    ledger: Ledger,
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
) -> tuple[str, int]:
    """Grant a person or a hospital the whole chart, or the listed records; gives grant and entry.

    `days` from now, by default as many as the policy allows; `sensitive`: a full grant covers sensitive
    records too.
    """
    now = ledger.clock()
    identifier = new_id("gr", now)
    end = now + (days or ledger.policy.grant_days_max) * DAY_MS
    body: dict[str, Any] = {
        "actions": sorted(set(actions)),
        "end": format_time(end),
        "grant": identifier,
        "grantee": grantee,
        "purpose": "PATRQT",
        "scope": "selective" if records else "full",
        "start": format_time(now),
    }
    optional: dict[str, Any] = {
        "lineage": lineage,
        "purposes": sorted(set(purposes)),
        "records": sorted(set(records)),
        "sensitive": sensitive,
        "uses": uses,
    }
    body |= {name: value for name, value in optional.items() if value}
    event = actor.event("access.granted", f"patient/{patient}", body, now)
    return identifier, append(ledger, actor, [event])[0].link.seq


def revoke(
    ledger: Ledger, actor: Actor, patient: str, grantee: str, grant_id: str | None = None
) -> int:
    """Revoke one lineage of grants, or all that a grantee has; gives the entry."""
    body = {"grantee": grantee, "purpose": "PATRQT"} | ({"grant": grant_id} if grant_id else {})
    event = actor.event("access.revoked", f"patient/{patient}", body, ledger.clock())
    return append(ledger, actor, [event])[0].link.seq
