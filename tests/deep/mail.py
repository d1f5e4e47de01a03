"""What people are told, sent to a real mail server by a process that is killed: each message arrives, under one Message-ID."""

from __future__ import annotations

import email
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from api.app.settings import Settings
from people.mailing import MailSender
from storage.contacts import PROOF
from storage.ledger import Ledger
from storage.mail.place import MailPlace
from storage.mail.smtp import MailServer as Client
from storage.outbox import SENT, Row
from tests.deep.load import Crowd
from tests.deep.report import Report
from tests.deep.sign_ins import Newcomer, begin, traced_act
from tests.deep.witness import Lost, Wrong
from tests.support.mail_server import PASSWORD, USER, MailServer

SENDER = "records@hospital.example"
DRAINED_SECONDS = 60.0
"""How long it may take until nothing waits."""
MOST_ROWS = 1_000_000
KINDS = (PROOF, "password_set")
"""What the people here are told; the others have no address."""


# In the child.


def to_server(port: int, authority: str) -> Client:
    """The program's own way to the test's server: under TLS, signed in."""
    return Client(MailPlace("localhost", port, "starttls", USER, PASSWORD, authority), SENDER)


def send_for_ever(
    settings: Settings, crowd: Crowd, path: Path, seed: int, mutant: str, port: int, authority: str
) -> None:  # fmt: skip
    """People set passwords, which they are told of, while what waits is sent, until somebody kills this process."""
    report = Report(path)

    def repeat(chance: random.Random) -> None:
        try:
            while True:
                Newcomer.register(ledger, crowd, report, chance).set_password()
        except BaseException as error:
            report.say(f"error {error!r}")

    try:
        ledger = begin(settings, report, mutant)
        threading.Thread(target=repeat, args=(random.Random(seed),), daemon=True).start()
        sender = MailSender(ledger, to_server(port, authority))
        while True:
            done = sender.round(now=True)
            if done is None or done.problem:
                raise AssertionError(f"a round came to {done}")
    except BaseException as error:
        report.say(f"error {error!r}")


def send_once(
    settings: Settings, crowd: Crowd, path: Path, mutant: str, port: int, authority: str
) -> None:  # fmt: skip
    """One round of two messages, before which this process waits until it may be broken."""
    report = Report(path)
    try:
        ledger = begin(settings, Report(path.with_suffix(".before")), mutant)
        sender = MailSender(ledger, to_server(port, authority))
        chance = random.Random(0)
        for told in (False, True):
            if told:
                sender.round(now=True)  # nothing is left to load
            Newcomer.register(ledger, crowd, ledger.report, chance).set_password()
    except BaseException as error:
        report.say(f"error {error!r}")
        return

    def act(ledger: Ledger) -> None:
        sender.round(now=True)

    before = ledger.report.lines()
    ledger.report = report
    traced_act(ledger, report, "main", act, before)


# In the parent.


@dataclass
class Post:
    """A mail server, which messages were put in since it runs, and what arrived of them."""

    server: MailServer
    known: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    """Messages that came more than once."""
    _looked_at: int = 0
    """So many of what the server took were counted."""
    _arrived: Counter[str] = field(default_factory=Counter)
    _contents: dict[str, bytes] = field(default_factory=dict)

    @property
    def way(self) -> tuple[int, str]:
        """What a child has to know of the server."""
        return self.server.port, f"{self.server.certificate}"

    def check(self, ledger: Ledger) -> int:
        """All that is to be true after a kill, and once the rest has been sent; raises Lost or Wrong.

        Gives how many messages were under way: tried, and not marked as sent.
        """
        rows = _rows(ledger)
        self._check(rows, drained=False)
        self._drain(ledger)
        self._check(_rows(ledger), drained=True)
        return sum(bool(row.tries) and not row.outcome for row in rows)

    def _drain(self, ledger: Ledger) -> None:
        sender = MailSender(ledger, to_server(*self.way))
        deadline = time.monotonic() + DRAINED_SECONDS
        while ledger.outbox.waiting()[0]:
            done = sender.round(now=True)
            if done is not None and (done.problem or done.later or done.refused or done.given_up):
                raise Wrong(f"a round without a fault came to {done}")
            if time.monotonic() > deadline:
                raise Wrong(f"messages wait for {DRAINED_SECONDS:.0f} s; the last round: {done}")

    def _check(self, rows: list[Row], drained: bool) -> None:
        self._count()
        self.known |= {row.id for row in rows}
        if strange := self._arrived.keys() - self.known:
            raise Wrong(f"messages arrived that nothing brought about: {strange}")
        for row in rows:
            times = self._arrived[row.id]
            if row.outcome == SENT and not times:
                raise Lost(f"{row.id} ({row.kind}) is marked as sent and didn't arrive")
            if drained and row.outcome != SENT:
                raise Lost(f"{row.id} ({row.kind}) ended as {row.outcome or 'waiting'}")
            if times > row.tries:
                raise Wrong(f"{row.id} arrived {times} times, and {row.tries} tries are counted")
            if times > 1:
                self.twice.add(row.id)

    def _count(self) -> None:
        """Look at what has arrived since; what has the same Message-ID is the same message, byte for byte."""
        fresh = self.server.taken[self._looked_at :]
        self._looked_at += len(fresh)
        for _, content in fresh:
            id_ = _id(content)
            self._arrived[id_] += 1
            if self._contents.setdefault(id_, content) != content:
                raise Wrong(f"two messages are {id_}")


def _rows(ledger: Ledger) -> list[Row]:
    return [row for row in ledger.outbox.rows(MOST_ROWS) if row.kind in KINDS]


def _id(content: bytes) -> str:
    """The id of an arrived message, as its Message-ID has it."""
    message = email.message_from_bytes(content, _class=EmailMessage, policy=SMTP)
    return str(message["Message-ID"]).removeprefix("<").partition("@")[0]
