"""Sending what people are told: one process at a time takes what waits in the outbox to where mail goes.

A try is counted before it is made, and no transaction is open while the mail server is spoken to. So a message is sent at
least once, whatever dies in between; one that comes twice has the same Message-ID both times. A server that can't be used
ends the round, and the next one waits longer; a message that the server refuses holds up no other.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from crypto.claims import claim_code
from crypto.errors import SealError
from ledger.times import DAY_MS
from ledger.types.invitations import DOCTOR_INVITATION_DAYS
from people.texts import text_of
from storage.contacts import PROOF, PROOF_MS, Contact
from storage.ledger import Ledger
from storage.mail.port import Mail, MailFailed, MailRefused, Post
from storage.outbox import DOCTOR_INVITED, GIVEN_UP, REFUSED, SENT, UNREACHABLE, Waiting
from storage.resets import RESET, RESET_LINK_MS

LOOK_SECONDS = 1.0
"""How often a serving process looks whether something waits."""
BACKOFF_MS = 10_000
"""After a first try that failed a message waits this long, then twice as long each time."""
BACKOFF_LIMIT_MS = 3_600_000
"""Longest wait between two tries of a message."""
SERVER_SECONDS = 5.0
"""How long a mail server that can't be used is left alone, then twice as long each time."""
SERVER_LIMIT_SECONDS = 300.0
"""Longest time that it is left alone."""
GIVE_UP_MS = 5 * 86_400_000
"""So long a message is tried again (RFC 5321, 4.5.4.1: four to five days), then it ends unsent."""
ROUND = 100
"""Messages taken in one conversation with the server."""
TIDY_SECONDS = 600.0
"""How often a serving process removes what is old."""
STOP_SECONDS = 5.0
"""How long the end of a serving process waits for a message on its way."""
FAR_FUTURE_MS = 1 << 62
CODES_MS = {
    DOCTOR_INVITED: DOCTOR_INVITATION_DAYS * DAY_MS,
    PROOF: PROOF_MS,
    RESET: RESET_LINK_MS,
}
"""The kinds of messages that hold a code, and for how long it counts at most."""

_LOG = logging.getLogger(__name__)
_HOST = re.compile(r"[A-Za-z0-9.-]+").match


@dataclass
class Round:
    """What came of one round."""

    sent: int = 0
    unreachable: int = 0
    """Whose code counts no more."""
    refused: int = 0
    """For good."""
    given_up: int = 0
    """Not sent after GIVE_UP_MS, whatever the reason."""
    later: int = 0
    """Refused for now, or not to be made."""
    problem: str = ""
    """Why the mail server can't be used; empty if it can."""


class MailSender:
    """Sends what waits, in rounds."""

    def __init__(self, ledger: Ledger, mail: Mail) -> None:
        """`mail`: where it goes."""
        self._outbox, self._contacts, self._mail = ledger.outbox, ledger.contacts, mail
        self._inquiries = ledger.inquiries
        self._origin, self._clock = ledger.origin, ledger.clock
        self._stop = threading.Event()
        self._failures = 0

    @contextmanager
    def running(self, tell: Callable[[Round | Exception], None]) -> Iterator[None]:
        """Send in a thread of its own until the end; `tell` gets what came of each round, or why it failed."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, args=(tell,), name="mail", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._mail.abort()
            # What still hangs then ends with the process, and is sent again by the next one.
            thread.join(STOP_SECONDS)

    def round(self, now: bool = False) -> Round | None:
        """Send what is due; None if another process is at it. `now`: also what waits for another try.

        What the mail server does is in the Round; raises what the database raises.
        """
        with self._outbox.alone() as alone:
            if not alone:
                return None
            done = Round()
            if self._outbox.due(self._until(now), 1):
                try:
                    with self._mail.open() as post:
                        self._send_all(post, now, done)
                except MailFailed as error:
                    done.problem = str(error)
                if not self._stop.is_set():
                    # Only now: what a process that was down for days finds waiting is tried once more.
                    moment = self._clock()
                    done.given_up += self._outbox.give_up(moment - GIVE_UP_MS, moment)
                    if done.given_up:
                        _LOG.warning("messages given up", extra={"count": done.given_up})
            return done

    def tidy(self) -> None:
        """Remove what ended long ago, and addresses that weren't proved in time; not where another process sends or tidies."""
        with self._outbox.alone() as alone:
            if alone:
                self._contacts.remove_old_proofs(self._clock())
                self._inquiries.remove_old(self._clock())
                while self._outbox.remove_old(self._clock()):
                    pass

    def _until(self, now: bool) -> int:
        return FAR_FUTURE_MS if now else self._clock()

    def _send_all(self, post: Post, now: bool, done: Round) -> None:
        tried: set[str] = set()
        while due := [
            one for one in self._outbox.due(self._until(now), ROUND) if one.id not in tried
        ]:
            for one in due:
                if self._stop.is_set():
                    return
                tried.add(one.id)
                self._send(post, one, done)

    def _send(self, post: Post, one: Waiting, done: Round) -> None:
        """Try one message; raises MailFailed where the server can't be used."""
        moment = self._clock()
        wait = min(BACKOFF_LIMIT_MS, BACKOFF_MS * 2 ** min(one.tries, 20))
        told = {"id": one.id, "actor": one.account}
        try:
            contact = self._contact(one)
            message = None if contact is None else self._message(one, contact)
        except (SealError, ValueError):
            # Not to be made now, but perhaps by another program, or under the right root: so it is kept.
            self._outbox.claim(one, moment + wait)
            _LOG.exception("message can't be made", extra=told)
            self._put_off(one, moment, done)
            return
        if contact is None or message is None or _is_over(one, moment):
            self._outbox.end(one.id, UNREACHABLE, moment)
            done.unreachable += 1
        elif self._outbox.claim(one, moment + wait):
            try:
                post.send(message, contact.address)
            except MailRefused as refused:
                if refused.permanent:
                    self._outbox.end(one.id, REFUSED, moment)
                    done.refused += 1
                else:
                    self._put_off(one, moment, done)
                _LOG.warning("message refused", extra=told | {"status": refused.code})
            else:
                self._outbox.end(one.id, SENT, self._clock())
                done.sent += 1
                _LOG.info("message sent", extra=told)

    def _put_off(self, one: Waiting, moment: int, done: Round) -> None:
        """Try a message again later, unless it is too old for that."""
        if moment - one.created > GIVE_UP_MS:
            self._outbox.end(one.id, GIVEN_UP, moment)
            done.given_up += 1
        else:
            done.later += 1

    def _contact(self, one: Waiting) -> Contact | None:
        return self._contacts.open(one.account, one.sealed) if one.sealed else None

    def _message(self, one: Waiting, contact: Contact) -> EmailMessage:
        coded = {"code": self._code(one)} if one.kind in CODES_MS else {}
        params = one.params | coded
        text = text_of(one.kind, contact.language, one.account, self._origin, params)
        host = _HOST(self._origin)
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = self._mail.sender, contact.address
        message["Subject"] = text.subject
        message["Date"] = formatdate(one.created / 1000)
        message["Message-ID"] = f"<{one.id}@{host[0] if host else 'localhost.invalid'}>"
        message["Auto-Submitted"] = "auto-generated"  # nobody's absence answers it (RFC 3834)
        message.set_content(text.body, cte="quoted-printable")
        message["Content-Language"] = contact.language
        return message

    def _code(self, one: Waiting) -> str:
        """The code that a message holds; an invitation's is written as those on letters are."""
        if one.kind == DOCTOR_INVITED:
            return claim_code(self._contacts.secret(one.id))
        return self._contacts.code(one.id)

    def _run(self, tell: Callable[[Round | Exception], None]) -> None:
        tidied = -TIDY_SECONDS
        while not self._stop.is_set():
            wait = LOOK_SECONDS
            try:
                if time.monotonic() - tidied >= TIDY_SECONDS:
                    self.tidy()
                    tidied = time.monotonic()
                if self._outbox.due(self._clock(), 1):
                    wait = self._told(self.round(), tell)
            except Exception as error:  # told, and tried again: serving goes on without
                if not self._stop.is_set():
                    _LOG.exception("sending mail failed")
                    tell(error)
                wait = SERVER_SECONDS
            self._stop.wait(wait)

    def _told(self, done: Round | None, tell: Callable[[Round | Exception], None]) -> float:
        """Tell of a round; gives how long to wait for the next, in seconds."""
        if done is None:
            return LOOK_SECONDS
        tell(done)
        if not done.problem:
            self._failures = 0
            return LOOK_SECONDS
        _LOG.warning("mail server can't be used", extra={"reason": done.problem})
        self._failures += 1
        return min(SERVER_LIMIT_SECONDS, SERVER_SECONDS * 2.0 ** min(self._failures - 1, 10))


def _is_over(one: Waiting, now: int) -> bool:
    """Whether a message holds a code that counts no more."""
    return one.kind in CODES_MS and now > one.created + CODES_MS[one.kind]
