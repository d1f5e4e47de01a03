"""The gate: from an event about to be appended to the decision its entry holds."""

from typing import Any

from consent.decide import Facts, Request, decide
from consent.facts import Grant, GrantName, Record, version_of
from consent.policy import Policy
from ledger.directory import Account, Hospital, Key, Look, Member, Patient
from ledger.errors import Refused
from ledger.event import Event
from ledger.signers import holds_role
from ledger.times import DAY_MS, parse_time

_WITHOUT_GRANT = frozenset({"append", "register"})
"""Actions that S5 or S6 answers, or nobody: grants need not be looked for."""
ASSURANCE = {"device": 3, "system": 3, "service": 1}
"""Level of a signature by the key's custody; a service-held key gets more from a sign-in entry only."""


def gate(policy: Policy, event: Event, key: Key, seq: int, time: int, look: Look) -> dict[str, Any]:
    """The decision on a gated event at `time` (Unix ms) as entry `seq`, on the facts before it.

    Raises Refused for what names things that don't exist or don't belong together (S0, with words);
    but for the record's being there, only to those who may, so that a refusal tells nothing else.
    """
    record = _named_record(event, look)
    request = Request(
        actor=event.actor,
        role=event.role,
        hospital=event.hospital,
        held=holds_role(event, time, look),
        assurance=ASSURANCE[key.custody],
        on_behalf_of=event.value.get("on_behalf_of", ""),
        patient=event.subject,
        action=str(event.type.action),
        purpose=event.body["purpose"],
        now=time,
        as_of=seq - 1,
        record=record,
    )
    decision = decide(request, gather(request, look), policy)
    rule = _NAMES.get(event.type.name)
    if rule is not None and decision.effect == "permit":
        rule(event, policy, look)
    return decision.json(request, policy)


def gather(request: Request, look: Look) -> Facts:
    """The facts that a request needs."""
    grantees: tuple[str, ...] = ()
    if request.action not in _WITHOUT_GRANT:
        grantees = (request.actor, request.hospital) if request.hospital else (request.actor,)
    return Facts(
        look.get(Patient, request.patient),
        look.get(Member, request.actor, request.role, request.hospital),
        tuple(g for grantee in grantees for g in look.group(Grant, request.patient, grantee)),
    )


def _named_record(event: Event, look: Look) -> Record | None:
    """The record an event is about, which must be this patient's."""
    if event.type.name not in ("record.opened", "record.amended", "record.retracted"):
        return None
    record = look.get(Record, event.body["record"])
    if record is None or record.patient != event.subject:
        raise Refused(
            "unknown", f"got the record {event.body['record']}, which {event.subject} has not"
        )
    return record


def _opened(event: Event, policy: Policy, look: Look) -> None:
    body, record = event.body, look.get(Record, event.body["record"])
    version = version_of(record, body["version"]) if record else None
    if version is None or version.blob != body["blob"]:
        raise Refused("unknown", f"got version {body['version']} with {body['blob']}, "
                      f"which {body['record']} has not")  # fmt: skip


def _amended(event: Event, policy: Policy, look: Look) -> None:
    record = look.get(Record, event.body["record"])
    following = len(record.versions) + 1 if record else 1
    if event.body["version"] != following:
        raise Refused("conflict", f"got version {event.body['version']}, expected {following}")


def _granted(event: Event, policy: Policy, look: Look) -> None:
    body = event.body
    kind = Account if body["grantee"].startswith("ac_") else Hospital
    if look.get(kind, body["grantee"]) is None:
        raise Refused("unknown", f"got the grantee {body['grantee']}, which no entry registered")
    days = (parse_time(body["end"]) - parse_time(body["start"])) / DAY_MS
    if days > policy.grant_days_max:
        raise Refused("malformed", f"got a grant of {days:.1f} days, expected at most "
                      f"{policy.grant_days_max}")  # fmt: skip
    for record_id in body.get("records", ()):
        record = look.get(Record, record_id)
        if record is None or record.patient != event.subject:
            raise Refused("unknown", f"got the record {record_id}, which {event.subject} has not")
    if "lineage" in body:
        first = _own_grant(body["lineage"], event, look)
        if first.lineage != first.grant:
            raise Refused("malformed", f"got the lineage {first.grant}, expected the id of its "
                          f"first grant, {first.lineage}")  # fmt: skip


def _revoked(event: Event, policy: Policy, look: Look) -> None:
    body = event.body
    if "grant" in body:
        _own_grant(body["grant"], event, look)
    elif not look.group(Grant, event.subject, body["grantee"]):
        raise Refused("unknown", f"{event.subject} has granted nothing to {body['grantee']}")


def _own_grant(grant: str, event: Event, look: Look) -> GrantName:
    name = look.get(GrantName, grant)
    if name is None or (name.patient, name.grantee) != (event.subject, event.body["grantee"]):
        raise Refused("unknown", f"got the grant {grant}, not one of this patient to "
                      f"{event.body['grantee']}")  # fmt: skip
    return name


_NAMES = {
    "access.granted": _granted,
    "access.revoked": _revoked,
    "record.amended": _amended,
    "record.opened": _opened,
}
