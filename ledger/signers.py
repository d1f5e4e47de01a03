"""Who may sign what: keys, roles, vouching, and ids that are created once.

The sequencer asks before it appends and every verifier asks again. Raises Refused with a stable code.
"""

from collections.abc import Callable
from typing import Any

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, ALGORITHM_X25519, key_id
from crypto.signing import verify
from ledger.directory import Account, Group, GroupMember, Hospital, Key, Member, Patient
from ledger.errors import Refused
from ledger.event import Event, possession_message
from ledger.policies import edition_in_force, last_policy
from ledger.registry import HOSPITAL_ROLES, STRICTER, edition_of
from ledger.rows import Look
from ledger.times import format_time, parse_time

Rule = Callable[[Event, int, str, Look], None]
"""`rule(event, time, origin, look)`: what a type demands beside its schema; raises Refused."""
_ALGORITHMS = {"ed25519": ALGORITHM_ED25519, "x25519": ALGORITHM_X25519}


def check_event(event: Event, key: str, seq: int, time: int, origin: str, look: Look) -> list[str]:
    """Check signer, role and rules of one event that is about to be entry `seq` at `time` (Unix ms).

    Gives the ids that it creates.
    """
    if (event.type.name == "ledger.created") != (seq == 0):
        raise Refused(
            "stream", f"got {event.type.name} as entry {seq}; ledger.created is entry 0 alone"
        )
    if seq == 0:
        check_first(event, key)
    else:
        check_edition(event, look)
        check_signer(event, key, time, look)
    ids = check_ids(event, look)
    check_rules(event, time, origin, look)
    return ids


def check_edition(event: Event, look: Look) -> None:
    """The type is of the registry named last; the `policy.changed` that names a newer one is of that."""
    if event.type.since == 1:
        return  # every edition has it
    if event.type.name == "policy.changed":
        edition = edition_of(b64decode(event.body["registry"], 32))
    else:
        edition = edition_in_force(look)
    if edition is None or event.type.since > edition:
        raise Refused(
            "registry", f"got {event.type.name}, which the registry in force does not have"
        )


def check_ids(event: Event, look: Look) -> list[str]:
    """The ids that this event creates, none of which was created before."""
    ids = created_ids(event, look)
    for id_ in ids:
        if look.created(id_):
            raise Refused("duplicate_id", f"got the id {id_}, which an earlier entry created")
    if len(set(ids)) != len(ids):
        raise Refused("duplicate_id", "got an event that creates one id twice")
    return ids


def check_rules(event: Event, time: int, origin: str, look: Look) -> None:
    """What the type itself demands of body and stream."""
    rule = _RULES.get(event.type.name)
    if rule is not None:
        rule(event, time, origin, look)


def check_first(event: Event, key: str) -> None:
    """Entry 0 is signed by the operator's key that it names itself."""
    body = event.body
    for role in ("operator", "service"):
        named = body[role]
        if named["key"] != key_id(ALGORITHM_ED25519, b64decode(named["public_key"], 32)):
            raise Refused("key", f"ledger.created: the {role}'s key id does not fit its public key")
    operator = body["operator"]
    if event.role != "operator" or event.actor != operator["account"] or key != operator["key"]:
        raise Refused("key", "ledger.created: expected the signature of the operator that it names")
    if (
        operator["account"] == body["service"]["account"]
        or operator["key"] == body["service"]["key"]
    ):
        raise Refused("key", "ledger.created: expected operator and service to be two")


def check_signer(event: Event, key: str, time: int, look: Look) -> None:
    """The key is the actor's, counts now, and the actor holds the role; the type takes that role."""
    if not key_counts(known_key(event, key, look), time):
        raise Refused(
            "key",
            f"got the key {key}, which is revoked, or not valid yet (a recovery key is after 24 h)",
        )
    if event.role not in event.type.roles:
        raise Refused(
            "role", f"got the role {event.role}, expected one of {', '.join(event.type.roles)}"
        )
    if not holds_role(event, time, look):
        where = f" at {event.hospital}" if event.hospital else ""
        raise Refused("role", f"{event.actor} is not an active {event.role}{where}")


def known_key(event: Event, key: str, look: Look) -> Key:
    """The row of the actor's signing `key`, active or not: who signs with it can be named. Raises Refused."""
    row = look.get(Key, key)
    if row is None or row.account != event.actor:
        raise Refused("key", f"got the key {key}, which is not registered for {event.actor}")
    if row.algorithm != "ed25519":
        raise Refused("key", f"got the key {key}, which is not for signing")
    return row


def key_counts(key: Key, time: int) -> bool:
    """Whether a signing key counts at `time` (Unix ms)."""
    return key.active and key.counts_from <= time


def holds_role(event: Event, time: int, look: Look) -> bool:
    """Whether the actor holds the role of `as` at `time` (Unix ms)."""
    role = event.role
    if role == "person":
        return look.get(Account, event.actor) is not None
    if role == "patient":
        patient = look.get(Patient, event.subject)
        return patient is not None and patient.account == event.actor
    member = look.get(Member, event.actor, role, event.hospital)
    if member is None or not member.active:
        return False
    if role in HOSPITAL_ROLES:
        hospital = look.get(Hospital, event.hospital)
        return hospital is not None and hospital.active
    if role != "auditor":
        return True
    return member.start <= time < member.end and not is_staff(event.actor, look)


def is_staff(account: str, look: Look) -> bool:
    """Whether an account holds a role at a hospital, active or suspended as a whole; from STRICTER on such an
    account is no auditor."""
    if edition_in_force(look) < STRICTER:
        return False
    return any(m.active and m.role in HOSPITAL_ROLES for m in look.group(Member, account))


def created_ids(event: Event, look: Look) -> list[str]:
    """The ids that this event creates: its own, and those its type and body name."""
    body, ids = event.body, [event.id]
    name = event.type.name
    if name == "ledger.created":
        return [
            *ids,
            *(body[role][m] for role in ("operator", "service") for m in ("account", "key")),
        ]
    if name == "access.refused":
        return [*ids, body["event"]["id"]]
    if name == "hospital.approved":
        known = look.get(Hospital, body["hospital"])
        return ids if known and not known.active else [*ids, body["hospital"]]
    if name == "patient.registered" and event.role != "service":
        ids.append(body["account"])
    ids += [body[member] for member in event.type.creates]
    return ids


def _own_stream(event: Event, member: str) -> None:
    if event.body[member] != event.subject:
        raise Refused("stream", f"got {event.body[member]} in the stream {event.stream}")


def _known_account(event: Event, look: Look) -> None:
    if look.get(Account, event.body["account"]) is None:
        raise Refused(
            "unknown", f"got the account {event.body['account']}, which no entry registered"
        )


def _hospital_suspended(event: Event, time: int, origin: str, look: Look) -> None:
    hospital = look.get(Hospital, event.body["hospital"])
    if hospital is None or not hospital.active:
        raise Refused("unknown", f"got the hospital {event.body['hospital']}, which is not active")


def _auditor(event: Event, time: int, origin: str, look: Look) -> None:
    _known_account(event, look)
    if event.type.name == "auditor.appointed":
        _rising(event, "start", "end")
        if is_staff(event.body["account"], look):
            raise Refused("role", f"got {event.body['account']}, who acts for a hospital; an auditor acts "
                          "for none")  # fmt: skip
    else:
        _active_member(event, "auditor", "", look)


def _rising(event: Event, first: str, second: str) -> None:
    if parse_time(event.body[first]) >= parse_time(event.body[second]):
        raise Refused("malformed", f"{event.type.name}: expected {first} before {second}")


def _joins(event: Event, time: int, origin: str, look: Look) -> None:
    """Somebody gets a role at the hospital whose stream this is."""
    _known_account(event, look)
    _no_auditor(event, time, look)
    hospital = look.get(Hospital, event.subject)
    if hospital is None:
        raise Refused("unknown", f"got the hospital {event.subject}, which no entry approved")
    if event.role == "operator":
        if hospital.has_admin:
            raise Refused("role", "the operator appoints a hospital's first admin only")
    elif event.hospital != event.subject:
        raise Refused("stream", f"got {event.stream} from an admin of {event.hospital}")


def _no_auditor(event: Event, time: int, look: Look) -> None:
    """From STRICTER on, nobody whose term as an auditor lasts or is to come joins a hospital."""
    if edition_in_force(look) < STRICTER:
        return
    member = look.get(Member, event.body["account"], "auditor", "")
    if member is not None and member.active and time < member.end:
        raise Refused("role", f"got {event.body['account']}, an auditor until {format_time(member.end)}; an "
                      "auditor acts for no hospital")  # fmt: skip


def _leaves(role: str) -> Rule:
    def rule(event: Event, time: int, origin: str, look: Look) -> None:
        if event.hospital != event.subject:
            raise Refused("stream", f"got {event.stream} from an admin of {event.hospital}")
        _active_member(event, role, event.subject, look)

    return rule


def _active_member(event: Event, role: str, hospital: str, look: Look) -> None:
    member = look.get(Member, event.body["account"], role, hospital)
    if member is None or not member.active:
        raise Refused("unknown", f"got {event.body['account']}, who is no active {role} here")


def _account_registered(event: Event, time: int, origin: str, look: Look) -> None:
    _own_stream(event, "account")


def _key_registered(event: Event, time: int, origin: str, look: Look) -> None:
    """Vouching and proof of possession, as the formats' section on keys in the log says."""
    _own_stream(event, "account")
    body = event.body
    account = look.get(Account, body["account"])
    if account is None:
        raise Refused("unknown", f"got the account {body['account']}, which no entry registered")
    public = b64decode(body["public_key"], 32)
    if body["key"] != key_id(_ALGORITHMS[body["algorithm"]], public):
        raise Refused("key", f"got the key id {body['key']}, which does not fit the public key")
    _check_voucher(event, account, look)
    keys = look.group(Key, account.account)
    if body["algorithm"] != "ed25519":
        if "proof" in body or not any(k.active and k.algorithm == "ed25519" for k in keys):
            raise Refused(
                "key", "a key that can't sign carries no proof and needs an active signing key"
            )
        return
    if "proof" not in body:
        raise Refused("key", "expected a proof of possession by the new key")
    try:
        message = possession_message(origin, body["account"], body["key"])
        verify(public, b64decode(body["proof"], 64), message)
    except CryptoError as error:
        raise Refused("key", f"proof of possession: {error}") from error


def _check_voucher(event: Event, account: Account, look: Look) -> None:
    """An active key of the same account; else the registrar, for a first key or by recovery."""
    if event.role == "person":
        if event.actor != account.account or event.body.get("recovery"):
            raise Refused("key", f"{event.actor} can't vouch for a key of {account.account}")
        return
    registrar = event.hospital or event.role
    first = not look.group(Key, account.account)
    if event.body.get("recovery"):
        if first or (
            event.role != "service" and not (event.hospital and registrar == account.registrar)
        ):
            raise Refused(
                "key", "recovery is for the service or the hospital that registered, after a loss"
            )
    elif not first or registrar != account.registrar:
        raise Refused(
            "key",
            f"only {account.registrar} may register a first key, got it from {registrar}"
            if first
            else f"this account already has a key; {account.registrar} can replace it by recovery "
            "(--recovery)",
        )


def _key_revoked(event: Event, time: int, origin: str, look: Look) -> None:
    _own_stream(event, "account")
    key = look.get(Key, event.body["key"])
    account = look.get(Account, event.body["account"])
    if key is None or account is None or key.account != account.account or not key.active:
        raise Refused("key", f"{event.body['key']} is not an active key of {event.body['account']}")
    voucher = event.hospital or event.actor
    own = event.role == "person" and event.actor == account.account
    if not (own or event.role == "operator" or voucher == key.voucher):
        raise Refused("key", f"{event.actor} may not revoke a key of {account.account}")


def _patient_registered(event: Event, time: int, origin: str, look: Look) -> None:
    _own_stream(event, "patient")
    body = event.body
    if event.role == "service":
        account = look.get(Account, body["account"])
        if account is None or account.registrar != "service":
            raise Refused(
                "unknown", f"got the account {body['account']}, not one the service registered"
            )
    _ages(event)


def _patient_corrected(event: Event, time: int, origin: str, look: Look) -> None:
    _own_stream(event, "patient")
    _ages(event)


def _ages(event: Event) -> None:
    minor = {"teen_from", "adult_from"} & event.body.keys()
    if ("adult" in event.body) == bool(minor) or len(minor) == 1:
        raise Refused(
            "malformed", f"{event.type.name}: expected adult, or teen_from and adult_from"
        )
    if minor:
        _rising(event, "teen_from", "adult_from")


def _access_granted(event: Event, time: int, origin: str, look: Look) -> None:
    _rising(event, "start", "end")
    body = event.body
    for member, scope in (("records", "selective"), ("what", "partial")):
        if (body["scope"] == scope) != (member in body):
            raise Refused(
                "malformed",
                f"access.granted: {member} belongs to the scope {scope}, and only there",
            )
    if "sensitive" in body and body["scope"] != "full":
        raise Refused(
            "malformed", "access.granted: sensitive (all of it) belongs to the scope full"
        )
    if "what" in body:
        _criteria(body["what"], "what")
    for exception in body.get("exceptions", ()):
        _criteria(exception, "an exception")
        for inner in exception.get("exceptions", ()):
            _criteria(inner, "an exception's exception")


def _criteria(what: dict[str, Any], place: str) -> None:
    """At least one criterion, and no range that ends before it begins."""
    if not what.keys() - {"exceptions", "type"}:
        raise Refused("malformed", f"access.granted: {place} names nothing that it is about")
    if "labels" in what and what["type"] == "permit":
        # Otherwise one more label on a record could let somebody read it.
        raise Refused("malformed", f"access.granted: {place} permits by a label; labels only deny")
    if what.get("date_from", "") > what.get("date_to", "9999-99-99"):
        raise Refused("malformed", f"access.granted: {place} ends before it begins")


def _access_refused(event: Event, time: int, origin: str, look: Look) -> None:
    """Whatever is refused is written in one version: the first one's refusals have no limit a key."""
    if event.type.v == 1 and edition_in_force(look) >= STRICTER:
        raise Refused("registry", "got access.refused v1, expected v2 from this registry on")


def _policy_changed(event: Event, time: int, origin: str, look: Look) -> None:
    """A new registry holds all of the old; this program's editions are those it knows."""
    named = edition_of(b64decode(event.body["registry"], 32))
    before = edition_of(b64decode(last_policy(look).registry, 32))
    if named is None or before is None or named < before:
        raise Refused("registry", f"got the registry {event.body['registry']}, expected one that this "
                      "program knows and that holds all of the one before")  # fmt: skip


def _own_hospital(event: Event, time: int, origin: str, look: Look) -> None:
    if event.hospital != event.subject:
        raise Refused("stream", f"got {event.stream} from an admin of {event.hospital}")


def _group(event: Event, time: int, origin: str, look: Look) -> None:
    """Who joins is active at the group's hospital; who leaves is in the group."""
    _own_hospital(event, time, origin, look)
    group, account = look.get(Group, event.body["group"]), event.body["account"]
    if group is None or group.hospital != event.subject:
        raise Refused(
            "unknown", f"got the group {event.body['group']}, which is none of {event.subject}"
        )
    member = look.get(GroupMember, account, group.group)
    if event.type.name == "group.left":
        if member is None or not member.active:
            raise Refused("unknown", f"got {account}, who is not in {group.group}")
        return
    if member is not None and member.active:
        raise Refused("conflict", f"{account} is in {group.group} already")
    doctor = look.get(Member, account, "doctor", event.subject)
    if doctor is None or not doctor.active:
        raise Refused("unknown", f"got {account}, who is no active doctor here")


_RULES: dict[str, Rule] = {
    "hospital.suspended": _hospital_suspended,
    "auditor.appointed": _auditor,
    "auditor.ended": _auditor,
    "admin.appointed": _joins,
    "admin.ended": _leaves("hospital_admin"),
    "system.added": _joins,
    "system.ended": _leaves("hospital_system"),
    "doctor.approved": _joins,
    "doctor.suspended": _leaves("doctor"),
    "doctor.ended": _leaves("doctor"),
    "account.registered": _account_registered,
    "key.registered": _key_registered,
    "key.revoked": _key_revoked,
    "patient.registered": _patient_registered,
    "patient.corrected": _patient_corrected,
    "access.granted": _access_granted,
    "access.refused": _access_refused,
    "policy.changed": _policy_changed,
    "group.formed": _own_hospital,
    "group.joined": _group,
    "group.left": _group,
}
