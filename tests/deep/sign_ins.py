"""People who sign in, in a child process that is killed: what each of them does there is told before and after it."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyotp
from argon2 import PasswordHasher

from api.app.settings import Settings
from client import registering
from client.local import LocalClient
from client.registering import NewPatient
from identity import factors, passwords
from identity.actors import Actor, new_id, new_key
from identity.codes import STEP_SECONDS
from identity.proving import Proof
from identity.sessions import Session, sign_out
from identity.signing_in import SignIn, sign_in_by_password, step_up
from ledger.sequencer import Appended, Proposal
from storage.contacts import PROOF, Contact
from storage.ledger import Ledger
from storage.log import Beside, CommittedBatch
from tests.deep.journey import let_trace
from tests.deep.load import TOLD, Crowd, Telling, acknowledgement
from tests.deep.people_mutants import mutate
from tests.deep.report import Report
from tests.support.inside import opened
from tests.support.sign_ins import PASSWORD

T = TypeVar("T")
THREADS = ("main", "log")
"""Whose calls are broken: those of whoever signs in, or of the log's own thread, whose transaction it is."""
AT_ONCE = 3
"""People who act at the same time."""
EARLY_SECONDS = 20
"""So far into a step the code of the step before is still shown: it is compared in time."""
DOES, DID = "told does ", "told did "
"""How lines begin that tell of an act before and after it."""
SIGNS_OUT = "sign out"
"""The act that ends a session at once, whose entry follows."""


class TellingAll(Telling):
    """Tells of what is queued, too."""

    def submit(
        self, proposals: Sequence[Proposal], atomic: bool = False, beside: Beside | None = None
    ) -> Future[CommittedBatch]:
        """As the ledger does, and reports what is acknowledged."""
        future = super().submit(proposals, atomic, beside)
        future.add_done_callback(self._tell)
        return future

    def _tell(self, future: Future[CommittedBatch]) -> None:
        for outcome in [] if future.exception() else future.result().outcomes:
            if isinstance(outcome, Appended):
                self.report.say(acknowledgement(outcome))


def begin(settings: Settings, report: Report, mutant: str) -> TellingAll:
    """A ledger, opened in a child that may be traced and has a bug; its passwords cost next to nothing.

    So the kills meet what is written, and not Argon2.
    """
    if mutant:
        mutate(mutant)
    let_trace()
    passwords._HASHER = PasswordHasher(1, 8, 1)
    ledger = TellingAll(**vars(opened(settings)))
    ledger.report = report
    return ledger


@dataclass
class Newcomer:
    """Somebody new who can be reached, and what they have for signing in."""

    ledger: Ledger
    report: Report
    actor: Actor
    address: str
    password: str = PASSWORD
    seed: str = ""
    step: int = 0
    """The last one whose code was shown."""
    recovery: list[str] = field(default_factory=list)

    @classmethod
    def register(
        cls, ledger: Ledger, crowd: Crowd, report: Report, chance: random.Random
    ) -> Newcomer:
        """A new patient, whose e-mail address is proved."""
        now, key = ledger.clock(), new_key()
        new = NewPatient(new_id("pt", now), new_id("ac", now), "Kim", None, False, key)
        registering.register_patients(LocalClient(ledger), crowd.system, [new])
        contact = Contact(f"{new.account}@example.com", "en")
        assert ledger.contacts.give(new.account, contact, ledger.clock())
        statement = "SELECT id FROM outbox WHERE account = ? AND kind = ?"
        ((message,),) = ledger.database.fetch(statement, (new.account, PROOF))
        assert ledger.contacts.prove(ledger.contacts.code(message), ledger.clock())
        actor = Actor(ledger.origin, new.account, "person", "", key)
        return cls(ledger, report, actor, f"2001:db8::{chance.getrandbits(64):x}")

    def set_password(self) -> None:
        """The first one."""

        def do() -> None:
            factors.set_password(self.ledger, self.actor.caller, self.password, Proof(), "")

        self._act("set a password", ["factor.added"], do)

    def enrol(self) -> None:
        """One-time codes, and recovery codes."""
        self.seed = factors.begin_code(self.ledger, self.actor.caller).seed
        proof = Proof(self.password, self._code() or "")

        def do() -> tuple[str, ...]:
            return factors.confirm_code(self.ledger, self.actor.caller, proof, self.address)

        self.recovery = list(self._act("enrol codes", ["factor.added"], do, proof))

    def sign_in(self, by_code: bool) -> Session:
        """By password and a code, or a recovery code where there is none or it isn't wanted."""
        proof = self._second(self.password, by_code)
        wanted = SignIn(self.actor.account, proof, "person")

        def do() -> Session:
            return sign_in_by_password(self.ledger, wanted, self.address)

        return self._act("sign in", [*_recovers(proof), "session.opened"], do, proof)

    def step_up(self, session: Session, by_code: bool) -> Session:
        """Be sure of the session's owner."""
        proof = self._second("", by_code)

        def do() -> Session:
            return step_up(self.ledger, session.caller, session.token, proof, self.address)

        return self._act("step up", [*_recovers(proof), "session.stepped_up"], do, proof)

    def change_password(self, session: Session, others: int) -> None:
        """In a session by password, which ends the `others`."""
        proof, new = self._second(self.password, False), f"{PASSWORD} {os.urandom(4).hex()}"

        def do() -> None:
            factors.set_password(self.ledger, session.caller, new, proof, self.address)

        writes = [*_recovers(proof), "factor.added", *["session.ended"] * others]
        self._act("change the password", writes, do, proof, password=new)
        self.password = new

    def sign_out(self, session: Session) -> None:
        """End a session."""
        assert session.caller.session is not None

        def do() -> None:
            sign_out(self.ledger, self.ledger.tokens, session.token)

        self._act(SIGNS_OUT, ["session.ended"], do, session=session.caller.session.id)

    def reset_codes(self, sessions: int) -> None:
        """Take the codes away, by the key alone, which ends all `sessions`."""

        def do() -> None:
            factors.remove_code(self.ledger, self.actor.caller, Proof(), self.address)

        self._act("reset codes", ["factor.removed", *["session.ended"] * sessions], do)
        self.seed, self.step, self.recovery = "", 0, []

    def live(self, chance: random.Random) -> None:
        """All of it, one after the other."""
        self.set_password()
        for _ in range(2):
            self.enrol()
            first = self.sign_in(by_code=True)
            first = self.step_up(first, chance.random() < 0.5)
            second = self.sign_in(chance.random() < 0.3)
            self.change_password(second, 1)
            if chance.random() < 0.5:
                self.sign_out(second)
                self.reset_codes(0)
            else:
                self.reset_codes(1)

    def _act(
        self, name: str, writes: list[str], do: Callable[[], T], proof: Proof | None = None,
        password: str = "", session: str = "",
    ) -> T:  # fmt: skip
        shown = proof or Proof()
        said = {
            "account": self.actor.account, "address": self.address, "name": name, "writes": writes, "code": shown.code,
            "recovery": shown.recovery, "password": password or self.password, "before": self.password, "session": session,
        }  # fmt: skip
        self.report.say(DOES + json.dumps(said))
        found = do()
        self.report.say(DID + self.actor.account)
        return found

    def _second(self, password: str, by_code: bool) -> Proof:
        code = self._code() if by_code else None
        if code is not None:
            return Proof(password, code)
        return Proof(password, recovery=self.recovery.pop())

    def _code(self) -> str | None:
        """The next code that counts now and wasn't shown; None if that is still to come."""
        now = self.ledger.clock() // 1_000
        here = now // STEP_SECONDS
        first = here - 1 if now % STEP_SECONDS < EARLY_SECONDS else here
        step = max(self.step + 1, first)
        if step > here + 1:
            return None
        self.step = step
        return pyotp.TOTP(self.seed).generate_otp(step)


def _recovers(proof: Proof) -> list[str]:
    return ["recovery.used"] if proof.recovery else []


def live_for_ever(
    settings: Settings, crowd: Crowd, path: Path, seed: int, mutant: str = ""
) -> None:
    """People come and do all of it, until somebody kills this process; any error is told and ends it."""
    report = Report(path)

    def repeat(chance: random.Random) -> None:
        try:
            while True:
                Newcomer.register(ledger, crowd, report, chance).live(chance)
        except BaseException as error:
            report.say(f"error {error!r}")

    try:
        ledger = begin(settings, report, mutant)
        chances = [random.Random(seed + number) for number in range(AT_ONCE)]
        threads = [threading.Thread(target=repeat, args=(chance,)) for chance in chances]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:
        report.say(f"error {error!r}")


def sign_in_once(
    settings: Settings, crowd: Crowd, path: Path, thread: str, mutant: str = ""
) -> None:
    """One sign-in by password and recovery code, before which this process waits until it may be broken.

    It is the one with most to write: two entries, a message, a session, and a code that is used up.
    """
    report = Report(path)

    def act(ledger: Ledger) -> None:
        one.sign_in(by_code=False)

    try:
        ledger = begin(settings, Report(path.with_suffix(".before")), mutant)
        one = Newcomer.register(ledger, crowd, ledger.report, random.Random(thread))
        one.set_password()
        one.enrol()
        one.sign_in(by_code=True)
        one.sign_in(by_code=False)  # nothing is left to load
        before = ledger.report.lines()
    except BaseException as error:
        report.say(f"error {error!r}")
        return
    one.report = ledger.report = report
    traced_act(ledger, report, thread, act, before)


def traced_act(
    ledger: TellingAll, report: Report, thread: str, act: Callable[[Ledger], None], before: Sequence[str] = ()
) -> None:  # fmt: skip
    """Tell the thread's number, wait until it is traced, and act; a fault may be told. Ends this process.

    `before`: what was told before that.
    """
    number = threading.get_native_id() if thread == "main" else ledger.log._thread.native_id
    report.say(f"ready {number}")
    for line in before:
        report.say(line)
    report.wait()
    try:
        act(ledger)
    except TOLD as error:
        report.say(f"told {type(error).__name__}: {error}"[:200])
    except BaseException as error:
        report.say(f"error {error!r}")
    report.say("done")
    os._exit(0)
