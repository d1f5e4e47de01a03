"""The gate: from an event about to be appended to the decision its entry holds."""

from consent.decide import Decision, Facts, Request, decide, decide_list
from consent.facts import Exclusion, Grant, GrantName, Record, version_of
from consent.policy import Policy, policy_in_force
from ledger.directory import Account, Group, GroupMember, Hospital, Key, Member, Patient
from ledger.errors import Refused
from ledger.event import Event
from ledger.policies import edition_in_force
from ledger.registry import STRICTER
from ledger.rows import Look
from ledger.sequencer import Judged
from ledger.signers import holds_role, key_counts
from ledger.times import DAY_MS, parse_time

ASSURANCE = {"device": 3, "system": 3, "service": 1}
"""Level of a signature by the key's custody; a service-held key gets more from a sign-in entry only."""
_CONTENT = frozenset({"record.carried", "record.opened"})
"""What gives the content of the record that it names."""
_ABOUT_RECORD = frozenset(
    {
        "record.amended",
        "record.carried",
        "record.hidden",
        "record.opened",
        "record.retracted",
        "record.shown",
    }
)


def gate(event: Event, key: Key, seq: int, time: int, look: Look) -> Judged:
    """The decision on a gated event at `time` (Unix ms) as entry `seq`, on the facts before it.

    Raises Refused, only to those who may, for what names things that don't exist or don't belong together: a
    denial tells nothing of them. Also of a type that their role may not sign.
    """
    policy = policy_in_force(look, time)
    request = request_of(event, key, seq, time, look)
    facts = gather(request, look)
    shown: tuple[Record, ...] = ()
    if event.type.action == "list":
        records = look.group(Record, event.subject)
        decision, shown = decide_list(request, facts, policy, records)
    else:
        decision = decide(request, facts, policy)
        if event.type.name in _CONTENT and request.record is not None:
            shown = (request.record,)
    if decision.effect == "permit" and event.role not in event.type.roles:
        decision, shown = Decision("deny", "S1", reason="role"), ()
    if decision.effect == "permit":
        _check_names(event, request, policy, look)
    return Judged(decision.json(request, policy), shown)


def request_of(event: Event, key: Key, seq: int, time: int, look: Look) -> Request:
    """The question that a gated event asks."""
    return Request(
        actor=event.actor,
        role=event.role,
        hospital=event.hospital,
        held=key_counts(key, time) and holds_role(event, time, look),
        assurance=ASSURANCE[key.custody],
        on_behalf_of=event.value.get("on_behalf_of", ""),
        patient=event.subject,
        action=str(event.type.action),
        purpose=event.body["purpose"],
        now=time,
        as_of=seq - 1,
        record=_named_record(event, look),
    )


def gather(request: Request, look: Look) -> Facts:
    """The facts that a request needs; grants that have not ended are found by whom they are to."""
    patient = look.get(Patient, request.patient)
    member = look.get(Member, request.actor, request.role, request.hospital)
    if duty(request.action, request.hospital, request.on_behalf_of):
        return Facts(patient, member, ())
    groups = [
        group
        for member in look.group(GroupMember, request.actor)
        if member.active and (group := look.get(Group, member.group)) is not None
    ]
    readers = [request.actor, *filter(None, (request.hospital,)), *(g.group for g in groups)]
    exclusions = (look.get(Exclusion, request.patient, reader) for reader in readers)
    return Facts(
        patient,
        member,
        tuple(
            g for reader in readers for g in look.live(Grant, request.now, request.patient, reader)
        ),
        tuple(groups),
        tuple(filter(None, exclusions)),
    )


def duty(action: str, hospital: str, on_behalf_of: str) -> bool:
    """A hospital's own appending, which S6 answers for whoever may act for it: no consent is looked for."""
    return action == "append" and bool(hospital) and not on_behalf_of


def _named_record(event: Event, look: Look) -> Record | None:
    """The record an event is about, if it is this patient's."""
    if event.type.name not in _ABOUT_RECORD:
        return None
    record = look.get(Record, event.body["record"])
    return record if record is not None and record.patient == event.subject else None


def _check_names(event: Event, request: Request, policy: Policy, look: Look) -> None:
    """What a permitted event names is there and belongs together; raises Refused."""
    name = event.type.name
    if name in _ABOUT_RECORD and request.record is None:
        raise Refused("unknown", f"{event.subject} has no record {event.body['record']}")
    rule = _NAMES.get(name)
    if rule is not None:
        rule(event, policy, look)


def _opened(event: Event, policy: Policy, look: Look) -> None:
    body, record = event.body, look.get(Record, event.body["record"])
    version = version_of(record, body["version"]) if record else None
    if version is None or version.blob != body["blob"]:
        raise Refused("unknown", f"{body['record']} has no version {body['version']} with {body['blob']}")  # fmt: skip


def _corrected(event: Event, policy: Policy, look: Look) -> None:
    """Before STRICTER, a correction of a chart that nobody registered was permitted and changed nothing."""
    if look.get(Patient, event.subject) is None and edition_in_force(look) >= STRICTER:
        raise Refused("unknown", f"there is no patient {event.subject} to correct")


def _amended(event: Event, policy: Policy, look: Look) -> None:
    record = look.get(Record, event.body["record"])
    following = len(record.versions) + 1 if record else 1
    if event.body["version"] != following:
        raise Refused("conflict", f"got version {event.body['version']}, expected {following}")


def _granted(event: Event, policy: Policy, look: Look) -> None:
    body = event.body
    _known_reader(body["grantee"], look)
    days = (parse_time(body["end"]) - parse_time(body["start"])) / DAY_MS
    if days > policy.grant_days_max:
        raise Refused("malformed", f"got a grant of {days:.1f} days, expected at most "
                      f"{policy.grant_days_max}")  # fmt: skip
    for record_id in body.get("records", ()):
        record = look.get(Record, record_id)
        if record is None or record.patient != event.subject:
            raise Refused("unknown", f"{event.subject} has no record {record_id}")
    if "lineage" in body:
        first = _own_grant(body["lineage"], event, look)
        if first.lineage != first.grant:
            raise Refused("malformed", f"got the lineage {first.grant}, expected the id of its "
                          f"first grant, {first.lineage}")  # fmt: skip


def _revoked(event: Event, policy: Policy, look: Look) -> None:
    body = event.body
    if "grant" in body:
        _own_grant(body["grant"], event, look)
    elif not look.any(Grant, event.subject, body["grantee"]):
        raise Refused("unknown", f"{event.subject} has granted nothing to {body['grantee']}")


def _hidden(event: Event, policy: Policy, look: Look) -> None:
    record = look.get(Record, event.body["record"])
    wanted = event.type.name == "record.hidden"
    if record is None or bool(record.hidden) == wanted:
        raise Refused(
            "conflict", f"{event.body['record']} is {'hidden' if wanted else 'shown'} already"
        )


def _excluded(event: Event, policy: Policy, look: Look) -> None:
    reader, wanted = event.body["reader"], event.type.name == "reader.excluded"
    _known_reader(reader, look)
    row = look.get(Exclusion, event.subject, reader)
    if (row is not None and row.active) == wanted:
        state = "excluded already" if wanted else "not excluded"
        raise Refused("conflict", f"{reader} is {state}")


def _known_reader(reader: str, look: Look) -> None:
    if look.get(_READERS[reader[:2]], reader) is None:
        raise Refused("unknown", f"got {reader}, which no entry registered")


_READERS: dict[str, type] = {"ac": Account, "gp": Group, "hs": Hospital}


def _own_grant(grant: str, event: Event, look: Look) -> GrantName:
    name = look.get(GrantName, grant)
    if name is None or (name.patient, name.grantee) != (event.subject, event.body["grantee"]):
        raise Refused("unknown", f"got the grant {grant}, not one of this patient to "
                      f"{event.body['grantee']}")  # fmt: skip
    return name


_NAMES = {
    "access.granted": _granted,
    "access.revoked": _revoked,
    "patient.corrected": _corrected,
    "record.amended": _amended,
    "record.carried": _opened,
    "record.hidden": _hidden,
    "record.opened": _opened,
    "record.shown": _hidden,
    "reader.excluded": _excluded,
    "reader.included": _excluded,
}
