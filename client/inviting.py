"""Doctors by invitation: an admin invites, by mail or with a code to hand out; whoever is invited takes it up."""

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from client import operations
from client.groups import check_hospital
from client.letters import fingerprint
from client.port import LedgerClient
from crypto.claims import CODE_BYTES, claim_code, invitation_key, read_claim_code
from crypto.encoding import b64encode
from identity.actors import Actor, new_id
from journeys.errors import RecordsError
from ledger.messages import invitation_message
from ledger.times import DAY_MS, format_time
from ledger.types.invitations import DOCTOR_INVITATION_DAYS
from people.inviting import InvitationStanding
from storage.contacts import Contact

LINK = "heartwood:doctor-invitation"
"""How what the square of an invitation's letter holds begins."""


@dataclass(frozen=True)
class InvitedDoctor:
    """An invitation that stands."""

    hospital: str
    invitation: str
    seq: int
    until: int
    """Unix ms."""
    code: str
    """To be handed out; empty where it is mailed."""


@dataclass(frozen=True)
class InvitationLetter:
    """What the letter of an invitation says."""

    origin: str
    fingerprint: str
    """Of the log's first verifier key; see `letters.fingerprint`."""
    hospital: str
    invitation: str
    code: str
    until: int
    """Unix ms."""

    @property
    def link(self) -> str:
        """What the QR code holds: all that is to be typed."""
        members = {
            "origin": self.origin, "key": self.fingerprint.replace(" ", ""), "hospital": self.hospital,
            "invitation": self.invitation, "code": self.code,
        }  # fmt: skip
        return f"{LINK}?{urlencode(members)}"

    def facts(self) -> list[str]:
        """The log, the hospital, the invitation and the code."""
        return [
            f"Log / Register:             {self.origin}",
            f"Fingerprint / Fingerabdruck: {self.fingerprint}",
            f"Hospital / Krankenhaus:     {self.hospital}",
            f"Invitation / Einladung:     {self.invitation}",
            f"Code:                       {self.code}",
        ]

    def parts(self) -> list[tuple[str, str]]:
        """What to do with them."""
        command = f"heartwood account join {self.hospital} --invitation {self.invitation} --code CODE --as"
        day = format_time(self.until)[:10]
        return [
            (
                "You are invited as a doctor",
                "The hospital invites you to act as one of its doctors in the patient records. With the code below you do, "
                "without a further approval.\n"
                "1. Register an account of your own, or use the one that you have.\n"
                "2. Compare the log and its fingerprint with what your program shows.\n"
                "3. Scan the square, or type hospital, invitation and code:\n"
                f"{command} KEYFILE\n"
                f"The code counts once, until {day}. Whoever has it can take your place: keep this letter to yourself. "
                "Nobody will ever ask you for the code by telephone or e-mail.",
            ),
            (
                "Sie sind als Ärztin oder Arzt eingeladen",
                "Das Krankenhaus lädt Sie ein, in den Patientenakten als Ärztin oder Arzt für es zu handeln. Mit dem Code unten "
                "tun Sie das, ohne weitere Zulassung.\n"
                "1. Legen Sie ein eigenes Konto an, oder nehmen Sie das, das Sie haben.\n"
                "2. Vergleichen Sie Register und Fingerabdruck mit dem, was Ihr Programm anzeigt.\n"
                "3. Scannen Sie das Quadrat, oder geben Sie Krankenhaus, Einladung und Code ein:\n"
                f"{command} SCHLÜSSELDATEI\n"
                f"Der Code gilt einmal, bis {day}. Wer ihn hat, kann Ihren Platz einnehmen: Behalten Sie diesen Brief für "
                "sich. Niemand wird Sie je am Telefon oder per E-Mail nach dem Code fragen.",
            ),
        ]


def invite(
    client: LedgerClient,
    admin: Actor,
    profession: str = "physician",
    group: str = "",
    end: int = 0,
    valid_days: int = DOCTOR_INVITATION_DAYS,
    mail: Contact | None = None,
) -> InvitedDoctor:
    """Invite somebody to be a doctor of the admin's hospital, on terms as `applying.approve_doctor` has them.

    `end`: of what they will be, Unix ms, 0 without one; `valid_days`: how long the code counts; `mail`: where it goes. Without
    `mail` the code is made here, is nowhere else, and is to be handed out.
    """
    check_hospital(admin)
    now, hospital = client.now(), admin.hospital
    event_id, secret = new_id("ev", now), os.urandom(CODE_BYTES)
    public = b64encode(invitation_key(secret, hospital).public)
    if mail is not None:
        asked = client.ask(admin, operations.MAILED_CODE, hospital=hospital, invitation=event_id)
        public = asked.code
    until = now + valid_days * DAY_MS
    until = min(until, end) if end else until
    body: dict[str, Any] = {
        "code": public,
        "profession": profession,
        "until": format_time(until),
    }
    body |= {"group": group} if group else {}
    body |= {"end": format_time(end)} if end else {}
    event = admin.event("doctor.invited", f"hospital/{hospital}", body, now, event_id)
    seq = client.invite(admin, event, mail)
    return InvitedDoctor(hospital, event_id, seq, until, "" if mail else claim_code(secret))


def letter_of(client: LedgerClient, made: InvitedDoctor) -> InvitationLetter:
    """The letter of an invitation whose code is to be handed out."""
    key = fingerprint(client.verifier_keys())
    return InvitationLetter(
        client.origin, key, made.hospital, made.invitation, made.code, made.until
    )


def scanned(client: LedgerClient, text: str) -> tuple[str, str, str]:
    """Hospital, invitation and code of what a letter's square holds; raises RecordsError, also for that of another log."""
    head, _, query = text.strip().partition("?")
    found = dict(parse_qsl(query))
    if head != LINK or found.keys() != {"origin", "key", "hospital", "invitation", "code"}:
        raise RecordsError(
            f"expected what the letter's square holds: {LINK}?origin=…&key=…&hospital=…&invitation=…&code=…"
        )
    key = fingerprint(client.verifier_keys()).replace(" ", "")
    if (found["origin"], found["key"]) != (client.origin, key):
        raise RecordsError(
            f"the invitation is of the log {found['origin']}, key {found['key']}; this one is {client.origin}, key {key}"
        )
    return found["hospital"], found["invitation"], found["code"]


def take_up(client: LedgerClient, actor: Actor, hospital: str, invitation: str, code: str) -> int:
    """Be a doctor of a hospital by an invitation's code; gives the entry.

    Raises FormError for a typing error in the code, which is found here, and Refused where it doesn't count.
    """
    if actor.role in ("hospital_system", "service"):
        raise RecordsError(f"got the key of a {actor.role}; a doctor is a person")
    person, key = actor.in_role("person"), invitation_key(read_claim_code(code), hospital)
    proof = key.sign(invitation_message(client.origin, hospital, person.account))
    body = {"account": person.account, "invitation": invitation, "proof": b64encode(proof)}
    event = person.event("doctor.joined", f"hospital/{hospital}", body, client.now())
    return client.take_up(person, event)


def withdraw(client: LedgerClient, admin: Actor, invitation: str) -> int:
    """Withdraw an invitation of the admin's hospital that nobody took up; gives the entry."""
    check_hospital(admin)
    body, stream = {"invitation": invitation}, f"hospital/{admin.hospital}"
    event = admin.event("invitation.withdrawn", stream, body, client.now())
    return client.append(admin, [event])[0].seq


def all_invitations(
    client: LedgerClient, admin: Actor, state: str = ""
) -> tuple[InvitationStanding, ...]:
    """The invitations of the admin's hospital in a state (empty: in any), page after page."""
    check_hospital(admin)
    found: list[InvitationStanding] = []
    after, more = 0, True
    while more:
        page = client.ask(
            admin, operations.INVITATIONS_LISTED, hospital=admin.hospital, standing=state,
            after=str(after) if after else "",
        )  # fmt: skip
        found += page.invitations
        after, more = page.next, page.next > after  # a server that goes back would never end
    return tuple(found)
