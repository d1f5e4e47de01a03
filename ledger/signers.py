"""Who may sign what: keys, roles, and ids that are created once. What one type demands is declared with it.

The sequencer asks before it appends and every verifier asks again. Raises Refused with a stable code.
"""

from crypto.encoding import b64decode
from crypto.ids import ALGORITHM_ED25519, key_id
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import Account, Hospital, Key, Member, Patient, is_staff
from ledger.editions import edition_of
from ledger.errors import Refused
from ledger.event import Event
from ledger.policies import edition_in_force
from ledger.relations import acts_as_relative
from ledger.rows import Look


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
    event.type.rule(event, time, origin, look)


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
    if role == "relative":
        return acts_as_relative(event.subject, event.actor, look)
    member = look.get(Member, event.actor, role, event.hospital)
    if member is None or not member.holds(time):
        return False
    if role in HOSPITAL_ROLES:
        hospital = look.get(Hospital, event.hospital)
        return hospital is not None and hospital.active
    return role != "auditor" or not is_staff(event.actor, time, look)


def created_ids(event: Event, look: Look) -> list[str]:
    """The ids that this event creates: its own, and those its type and body name."""
    kind = event.type
    if kind.ids is not None:
        return [event.id, *kind.ids(event, look)]
    return [event.id, *(event.body[member] for member in kind.creates)]
