"""Relatives, guardians and colleagues: what patients, hospitals, doctors and those who act for them sign."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from client import operations
from client.letters import fingerprint
from client.port import LedgerClient
from crypto.claims import CODE_BYTES, claim_code, invitation_key, read_claim_code
from crypto.encoding import b64encode
from identity.actors import Actor, new_id
from journeys.errors import RecordsError
from journeys.sealing import check_labels
from ledger.codes import RELATIVE_ACTIONS
from ledger.messages import invitation_message
from ledger.times import DAY_MS, format_time
from people.representing import Acting, Representatives

LINK = "heartwood:invitation"
"""How what an invitation's link holds begins."""
INVITATION_DAYS = 14
"""How many days an invitation counts unless said otherwise; at most 30."""
LOOKING = ("list", "read", "read_history")
"""What a relative does who only looks; the history is for whoever may see the whole chart."""


@dataclass(frozen=True)
class Invited:
    """An invitation as the patient hands it on; the code is nowhere else."""

    origin: str
    fingerprint: str
    """Of the log's first verifier key."""
    patient: str
    invitation: str
    code: str
    seq: int
    until: int
    """Unix ms."""

    @property
    def link(self) -> str:
        """All that a relative needs, in one line."""
        members = {
            "origin": self.origin, "key": self.fingerprint.replace(" ", ""), "patient": self.patient,
            "invitation": self.invitation, "code": self.code,
        }  # fmt: skip
        return f"{LINK}?{urlencode(members)}"


def invite(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    actions: Sequence[str] = ("list", "read"),
    days: int | None = None,
    until_days: int = INVITATION_DAYS,
    records: Sequence[str] = (),
    what: Mapping[str, Any] | None = None,
    exceptions: Sequence[Mapping[str, Any]] = (),
    labels: Sequence[str] = (),
    sensitive: bool = False,
) -> Invited:
    """Invite a relative on terms as `grants.grant` has them; gives what to hand on, which holds a code of this side alone."""
    check_labels(labels)
    for one in actions:
        if one not in RELATIVE_ACTIONS:
            raise RecordsError(f"got the action {one[:40]!r}, expected one of {', '.join(RELATIVE_ACTIONS)}")  # fmt: skip
    secret, now = os.urandom(CODE_BYTES), client.now()
    event_id = new_id("ev", now)
    end = now + (client.policy().grant_days_max if days is None else days) * DAY_MS
    until = min(now + until_days * DAY_MS, end)
    codes = client.seal(actor, patient, patient, event_id, {}, labels).codes if labels else []
    body: dict[str, Any] = {
        "actions": sorted(set(actions)),
        "code": b64encode(invitation_key(secret, patient).public),
        "end": format_time(end),
        "purpose": "PATRQT",
        "scope": "selective" if records else "partial" if what else "full",
        "start": format_time(now),
        "until": format_time(until),
    }
    optional: dict[str, Any] = {
        "exceptions": [{"type": "deny", **one} for one in exceptions],
        "labels": codes,
        "records": sorted(set(records)),
        "sensitive": sensitive,
        "what": dict(what or {}),
    }
    body |= {name: value for name, value in optional.items() if value}
    event = actor.event("relative.invited", f"patient/{patient}", body, now, event_id)
    seq = client.append(actor, [event])[0].seq
    key = fingerprint(client.verifier_keys())
    return Invited(client.origin, key, patient, event_id, claim_code(secret), seq, until)


def invited(client: LedgerClient, text: str) -> tuple[str, str, str]:
    """Patient, invitation and code of an invitation's link; raises RecordsError, also for that of another log."""
    head, _, query = text.strip().partition("?")
    found = dict(parse_qsl(query))
    if head != LINK or found.keys() != {"origin", "key", "patient", "invitation", "code"}:
        raise RecordsError(f"expected the link of an invitation: {LINK}?origin=…&key=…&patient=…&invitation=…&code=…")  # fmt: skip
    key = fingerprint(client.verifier_keys()).replace(" ", "")
    if (found["origin"], found["key"]) != (client.origin, key):
        raise RecordsError(f"the invitation is of the log {found['origin']}, key {found['key']}; this one is "
                           f"{client.origin}, key {key}")  # fmt: skip
    return found["patient"], found["invitation"], found["code"]


def link(client: LedgerClient, actor: Actor, patient: str, invitation: str, code: str) -> int:
    """Be linked to a patient as a relative, by an invitation's code; gives the entry.

    Raises FormError for a typing error in the code, AccessDenied or Refused where it doesn't count.
    """
    if actor.role in ("hospital_system", "service"):
        raise RecordsError(f"got the key of a {actor.role}; a relative is a person")
    person, key = actor.in_role("person"), invitation_key(read_claim_code(code), patient)
    proof = b64encode(key.sign(invitation_message(client.origin, patient, person.account)))
    body = {
        "account": person.account,
        "invitation": invitation,
        "proof": proof,
        "purpose": "FAMRQT",
    }
    return _say(client, person, "relative.linked", patient, body)


def unlink(client: LedgerClient, actor: Actor, patient: str, named: str) -> int:
    """End a relation by the account that has it, as its patient or its relative; or withdraw an invitation. Gives the entry."""
    member = "invitation" if named.startswith("ev_") else "account"
    who = actor if actor.role == "patient" else actor.in_role("person")
    purpose = "PATRQT" if actor.role == "patient" else "FAMRQT"
    return _say(client, who, "relative.unlinked", patient, {member: named, "purpose": purpose})


def appoint(client: LedgerClient, actor: Actor, patient: str, account: str) -> int:
    """Appoint a minor's guardian, as the hospital that registered the patient; gives the entry."""
    return _guardian(client, actor, "appointed", patient, account, "TREAT")


def confirm(client: LedgerClient, actor: Actor, patient: str, account: str) -> int:
    """Confirm a guardian, as a second hospital that has a record of the patient; gives the entry."""
    return _guardian(client, actor, "confirmed", patient, account, "TREAT")


def object_to(client: LedgerClient, actor: Actor, patient: str, account: str) -> int:
    """Object to a guardian who doesn't count yet, as the patient or another guardian; gives the entry."""
    who = actor if actor.role == "patient" else actor.in_role("person")
    return _guardian(client, who, "objected", patient, account, "PATRQT")


def end_guardian(client: LedgerClient, actor: Actor, patient: str, account: str) -> int:
    """End a guardianship, as the hospital that registered the patient or as the guardian; gives the entry."""
    who = actor if actor.hospital else actor.in_role("person")
    return _guardian(
        client, who, "ended", patient, account, "TREAT" if actor.hospital else "FAMRQT"
    )


def delegate(
    client: LedgerClient,
    doctor: Actor,
    account: str,
    days: int,
    actions: Sequence[str] = ("list", "read"),
) -> int:
    """Let a colleague at the same hospital act for oneself for some days; gives the entry."""
    now = client.now()
    body = {
        "account": account,
        "actions": sorted(set(actions)),
        "end": format_time(now + days * DAY_MS),
        "start": format_time(now),
    }
    event = doctor.event("delegation.given", f"hospital/{doctor.hospital}", body, now)
    return client.append(doctor, [event])[0].seq


def end_delegation(client: LedgerClient, doctor: Actor, account: str) -> int:
    """End what a colleague was let do; gives the entry."""
    stream = f"hospital/{doctor.hospital}"
    event = doctor.event("delegation.ended", stream, {"account": account}, client.now())
    return client.append(doctor, [event])[0].seq


def acting(client: LedgerClient, actor: Actor) -> Acting:
    """For whom the actor's account acts."""
    return client.ask(actor.in_role("person"), operations.ACTING)


def representatives(client: LedgerClient, actor: Actor, patient: str) -> Representatives:
    """Who acts for a chart of the actor's own."""
    return client.ask(actor, operations.REPRESENTATIVES, patient=patient)


def for_patient(client: LedgerClient, actor: Actor, patient: str) -> Actor:
    """The actor as the relative or guardian of a patient, on the patient's behalf; raises RecordsError."""
    found = [one for one in acting(client, actor).patients if one.patient == patient]
    if not found:
        raise RecordsError(f"{actor.account} is neither a relative nor a guardian of {patient}")
    return actor.in_role("relative").acting_for(found[0].principal)


def _guardian(
    client: LedgerClient, actor: Actor, done: str, patient: str, account: str, purpose: str
) -> int:
    body = {"account": account, "purpose": purpose}
    return _say(client, actor, f"guardian.{done}", patient, body)


def _say(client: LedgerClient, actor: Actor, kind: str, patient: str, body: dict[str, Any]) -> int:
    event = actor.event(kind, f"patient/{patient}", body, client.now())
    return client.append(actor, [event])[0].seq
