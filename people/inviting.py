"""Doctors by invitation: an admin invites, by mail or with a code to hand out, and whoever proves the code joins.

Of a mailed invitation the service makes the code, from the identity root and the invitation's id: so neither the outbox nor
any other table has it. A code that is handed out is made by the admin's program, and no server ever has it.
"""

from dataclasses import dataclass, replace

from crypto.claims import invitation_key
from crypto.encoding import b64decode, b64encode
from identity.actors import Caller
from journeys.appending import appended
from journeys.errors import Forbidden
from journeys.names import staff_names
from journeys.quotas import HOUR_MS, Quota, take
from ledger.directory import DoctorInvitation, Member
from ledger.errors import Refused
from ledger.event import Event
from ledger.sequencer import Proposal
from ledger.times import DAY_MS, format_time, parse_time
from people.applications import check_own, paged
from people.languages import check_language
from people.tries import Pace, check_own_key, trying
from storage.contacts import Contact, check_address
from storage.ledger import Ledger
from storage.log import CommittedBatch
from storage.outbox import DOCTOR_INVITED, Message
from storage.sql.throttles import CLAIM_MS, JOIN

JOIN_FREE_TRIES = 3
"""Invitations that one account may fail to take up before the next try has to wait."""
JOIN_FIRST_WAIT_MS = 60_000
"""How long the one after them waits; each that fails then doubles it."""
JOIN_LONGEST_WAIT_MS = 86_400_000
"""So nobody is locked out for good."""
JOIN_FORGOTTEN_MS = CLAIM_MS
"""After how long without a try the failed ones are forgotten."""
INVITED_AN_HOUR = 50
"""Most invitations that a hospital mails within an hour."""
INVITED_A_DAY = 200
"""The same within a day."""
INVITED_AN_ADDRESS = 3
"""Most invitations that go to one e-mail address within a day, whichever hospitals invite."""
INVITATION_STATES = ("open", "joined", "withdrawn", "expired", "void")
"""`void`: open, but whoever invited is no longer an admin of the hospital."""
_PACE = Pace(
    JOIN,
    "tries to take up an invitation",
    JOIN_FIRST_WAIT_MS,
    JOIN_LONGEST_WAIT_MS,
    JOIN_FORGOTTEN_MS,
)
_BY_HOSPITAL = (Quota(INVITED_AN_HOUR, HOUR_MS), Quota(INVITED_A_DAY, DAY_MS))
_BY_ADDRESS = (Quota(INVITED_AN_ADDRESS, DAY_MS),)


@dataclass(frozen=True)
class MailedCode:
    """What an invitation that is to be mailed must carry as its `code`."""

    code: str
    """The public key of the code that the service will mail, base64."""


@dataclass(frozen=True)
class InvitationStanding:
    """An invitation, as the hospital's admins see it."""

    invitation: str
    state: str
    """One of INVITATION_STATES."""
    profession: str
    group: str
    """The department to join; empty for none."""
    end: str
    """Of the approval; empty for none."""
    until: str
    """Until when the code counts."""
    inviter: str
    account: str
    """Who took it up, and by which name; both empty where nobody did."""
    name: str
    seq: int
    """The entry that invited."""


@dataclass(frozen=True)
class Invitations:
    """A page of a list of invitations."""

    invitations: tuple[InvitationStanding, ...]
    next: int = 0
    """After which entry the next page begins; 0 on the last one."""


def mailed_code(ledger: Ledger, caller: Caller, hospital: str, invitation: str) -> MailedCode:
    """The public key that the invitation with this id must carry to be mailed, for the hospital's admins; raises Forbidden."""
    check_own(caller, hospital)
    return MailedCode(b64encode(_public(ledger, hospital, invitation)))


def invite(ledger: Ledger, proposal: Proposal, mail: Contact | None = None) -> CommittedBatch:
    """Append a signed `doctor.invited`; `mail`: where its code goes, put into the outbox in the same transaction.

    Raises FormError for what is no address, RecordsError for a language without texts, and OverQuota.
    """
    event = proposal.event
    if event.type.name != "doctor.invited":
        raise Refused("stream", f"got {event.type.name}, expected doctor.invited")
    if mail is None:
        return _append(ledger, proposal)
    check_address(mail.address)
    check_language(mail.language)
    check_own_key(ledger, proposal)
    _check_admin(ledger, event)
    if b64decode(event.body["code"], 32) != _public(ledger, event.subject, event.id):
        raise Refused(
            "invitation", "got another code than the one that is mailed for this invitation"
        )
    if ledger.row(DoctorInvitation, event.subject, event.id) is not None:
        return _append(ledger, proposal)  # the answer to it was lost; its mail was put in with it
    hashed = ledger.identity.index("mail", mail.address.lower()).hex()
    take(ledger, "invited", hashed, 1, _BY_ADDRESS, "invitations to this address")
    take(ledger, "inviting", event.subject, 1, _BY_HOSPITAL, "invitations by mail")
    message, now = (
        _message(event.subject, event.id, parse_time(event.body["until"])),
        ledger.clock(),
    )
    committed = ledger.submit(
        [proposal],
        atomic=True,
        beside=lambda connection: ledger.contacts.invite(connection, message, mail, now),
    ).result()
    appended(committed.outcomes[0])
    return committed


def take_up(ledger: Ledger, proposal: Proposal) -> CommittedBatch:
    """Append a signed `doctor.joined`: its author is a doctor of the hospital from then on.

    Tries are the account's alone: a code of 128 random bits is guessed from nowhere, and who shares an address with
    guessers isn't to wait with them. Raises Refused where the invitation doesn't count, whichever was wrong, and
    TooManyTries.
    """
    event = proposal.event
    if event.type.name != "doctor.joined":
        raise Refused("stream", f"got {event.type.name}, expected doctor.joined")
    check_own_key(ledger, proposal)
    with trying(ledger, _PACE, {f"account {event.actor}": JOIN_FREE_TRIES}):
        return _append(ledger, proposal)


def invitations_of(
    ledger: Ledger, caller: Caller, hospital: str, standing: str = "", after: str = ""
) -> Invitations:
    """A hospital's invitations in a state (empty: in any), for its admins, a page, the oldest first.

    `after`: `next` of the page before. Raises Forbidden and RecordsError.
    """
    check_own(caller, hospital)
    rows = sorted(ledger.rows(DoctorInvitation, "hospital", hospital), key=lambda one: one.seq)
    now = ledger.clock()
    known = [_standing(ledger, one, now) for one in rows]
    page, following = paged([one for one in known if standing in ("", one.state)], after)
    names = staff_names(ledger, [one.account for one in page if one.account])
    return Invitations(
        tuple(replace(one, name=names.get(one.account, "")) for one in page), following
    )


def _standing(ledger: Ledger, one: DoctorInvitation, now: int) -> InvitationStanding:
    if one.closed:
        state = "joined" if one.account else "withdrawn"
    elif not one.waits(now):
        state = "expired"
    else:
        admin = ledger.row(Member, one.inviter, "hospital_admin", one.hospital)
        state = "open" if admin is not None and admin.holds(now) else "void"
    return InvitationStanding(
        one.invitation, state, one.profession, one.group, format_time(one.end) if one.end else "",
        format_time(one.until), one.inviter, one.account, "", one.seq,
    )  # fmt: skip


def _check_admin(ledger: Ledger, event: Event) -> None:
    """Before anything is counted for the hospital; the log checks it again. Raises Forbidden."""
    member = ledger.row(Member, event.actor, "hospital_admin", event.subject)
    own = (event.role, event.hospital) == ("hospital_admin", event.subject)
    if not own or member is None or not member.holds(ledger.clock()):
        raise Forbidden(f"doctors of {event.subject} are invited by its admins alone")


def _message(hospital: str, invitation: str, until: int) -> Message:
    params: dict[str, str | int] = {
        "ending_at": until,
        "hospital": hospital,
        "invitation": invitation,
    }
    return Message(invitation, DOCTOR_INVITED, hospital, params)


def _public(ledger: Ledger, hospital: str, invitation: str) -> bytes:
    """The public key of the code that the mail of this invitation holds."""
    secret = ledger.contacts.secret(_message(hospital, invitation, 0).id)
    return invitation_key(secret, hospital).public


def _append(ledger: Ledger, proposal: Proposal) -> CommittedBatch:
    """Append one event; raises what refused it."""
    committed = ledger.submit([proposal]).result()
    appended(committed.outcomes[0])
    return committed
