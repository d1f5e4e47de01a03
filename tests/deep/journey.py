"""The journey that is broken at each system call: open the ledger, upload, grant, read, close.

Every event has its id before it is sent and is sent again, under the same id, when it failed. Two more must
be refused whatever breaks: one under a forged signature, and one whose blob was never staged.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from api.app.settings import Settings
from crypto import canonical
from crypto.encoding import b64decode, b64encode
from identity.actors import Actor, new_id
from journeys.sealing import seal_texts
from ledger.errors import Refused
from ledger.event import sign_event
from ledger.sequencer import Appended, Proposal
from ledger.times import DAY_MS, format_time
from records.uploads import StagedBlob, stage
from storage.errors import OutcomeUnknown
from storage.ledger import Ledger
from tests.deep.append_mutants import mutate
from tests.deep.load import TOLD, Crowd, acknowledgement
from tests.deep.report import Report
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, Person

T = TypeVar("T")
Body = dict[str, Any]
TRIES = 3
"""A fault is met once: what failed must go well soon."""
THREADS = ("main", "log")
"""Whose calls are broken: the caller's, from the start on, or those of the log's own thread."""
PR_SET_PTRACER = 0x59616D61  # <sys/prctl.h>
PR_SET_PTRACER_ANY = -1


@dataclass(frozen=True)
class Sent:
    """A signed event as it was sent."""

    raw: bytes
    key: str
    value: bytes

    @classmethod
    def of(cls, origin: str, who: Actor, event: Body) -> Sent:
        """Signed by whose event it is."""
        raw = canonical.write(event)
        signature = sign_event(who.key, origin, raw)
        return cls(raw, signature.key, signature.value)

    def line(self) -> str:
        """As the child tells it, before it sends it."""
        return f"sent {self.key} {b64encode(self.value)} {b64encode(self.raw)}"

    @classmethod
    def parse(cls, line: str) -> Sent:
        """From such a line."""
        _, key, value, raw = line.split(" ")
        return cls(b64decode(raw), key, b64decode(value))

    def proposal(self, ledger: Ledger) -> Proposal:
        """What the log takes, its signature checked."""
        return ledger.signatures.event(self.raw, self.key, self.value)


def travel(settings: Settings, crowd: Crowd, path: Path, thread: str, mutant: str = "") -> None:
    """In a child: the whole journey; it waits, with `thread`'s number told, until it may be broken."""
    if mutant:
        mutate(mutant)
    report = Report(path)
    threading.excepthook = lambda hooked: report.say(f"error in a thread: {hooked.exc_value!r}")
    try:
        let_trace()
        walk(settings, crowd, report, thread)
        report.say("done")
    except BaseException as error:
        report.say(f"error {error!r}")
        raise SystemExit(1) from None


def walk(settings: Settings, crowd: Crowd, report: Report, thread: str) -> None:
    """The journey itself; raises what no fault may lead to."""
    if thread == "main":
        _ready(report, threading.get_native_id())
    ledger = _attempt(report, lambda: opened(settings))
    if thread == "log":
        _ready(report, ledger.log._thread.native_id or 0)
    Traveller(ledger, crowd, report).go()
    _close(report, ledger)


def _ready(report: Report, number: int) -> None:
    report.say(f"ready {number}")
    report.wait()


def let_trace() -> None:
    """Where only ancestors may trace (Yama), let others; elsewhere it is refused and not needed."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)


def _attempt(report: Report, do: Callable[[], T]) -> T:
    """Do it, again if a fault is told; what is told otherwise comes out."""
    for _ in range(TRIES):
        try:
            return do()
        except TOLD as error:
            report.say(f"told {type(error).__name__}: {error}")
    raise AssertionError(f"failed {TRIES} times, and was broken once")


def _close(report: Report, ledger: Ledger) -> None:
    """Closing is done once; a fault may be told."""
    try:
        ledger.close()
    except TOLD as error:
        report.say(f"told {type(error).__name__}: {error}")


def grant_body(grantee: str, now: int) -> Body:
    """The body of a grant of the whole chart, from `now` (Unix ms) for a day."""
    return {
        "actions": ["list", "read"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
        "grantee": grantee, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
    }  # fmt: skip


class Traveller:
    """What one child does with its open ledger."""

    def __init__(self, ledger: Ledger, crowd: Crowd, report: Report) -> None:
        """It acts as the crowd's system, its doctor and its first patient."""
        self._ledger, self._crowd, self._report = ledger, crowd, report
        self._patient: Person = crowd.patients[0]

    def go(self) -> None:
        """All of it, in order."""
        staged = _attempt(self._report, self._stage)
        event_id = self._id("ev")
        sealed = _attempt(self._report, lambda: self._seal(staged.record, event_id))
        uploaded = self._upload(staged, event_id) | sealed
        self._send(self._crowd.system, "record.uploaded", uploaded, event_id)
        granted = self._send(self._patient.actor, "access.granted", self._grant())
        self._send_again(granted)
        reading = {"blob": staged.blob, "purpose": "TREAT", "record": staged.record, "version": 1}
        self._send(self._crowd.doctor, "record.opened", reading)
        self._forge()
        self._upload_nothing(staged)

    def _stage(self) -> StagedBlob:
        return stage(self._ledger, self._crowd.system.caller, self._patient.patient, [CONTENT])

    def _seal(self, record: str, event_id: str) -> dict[str, str]:
        caller, patient = self._crowd.system.caller, self._patient.patient
        return seal_texts(self._ledger, caller, patient, record, event_id, {"title": "Report"})[0]

    def _upload(self, staged: StagedBlob, event_id: str) -> Body:
        return {
            "blob": staged.blob, "category": "laboratory", "confidentiality": "normal",
            "media_type": "text/plain", "purpose": "TREAT", "record": staged.record,
            "sha256": b64encode(staged.sha256), "size": staged.size, "version": 1,
        }  # fmt: skip

    def _grant(self) -> Body:
        return grant_body(self._crowd.doctor.account, self._ledger.clock())

    def _send(self, who: Actor, kind: str, body: Body, event_id: str = "") -> Sent:
        """Until it is acknowledged; "nothing was appended" must be true each time it is told."""
        sent, unknown = self._sign(who, kind, body, event_id), False
        self._report.say(sent.line())
        for _ in range(TRIES):
            try:
                outcome = self._ledger.append([sent.proposal(self._ledger)])[0]
            except TOLD as error:
                unknown |= isinstance(error, OutcomeUnknown)
                self._report.say(f"told {type(error).__name__}: {error}")
                continue
            if not isinstance(outcome, Appended):
                raise AssertionError(f"{kind} was not appended: {outcome!r}")
            self._report.say(acknowledgement(outcome))
            if not outcome.fresh and not unknown:
                raise AssertionError(f"{kind} stood, and was told not to be appended")
            return sent
        raise AssertionError(f"{kind} failed {TRIES} times, and was broken once")

    def _send_again(self, sent: Sent) -> None:
        """What was acknowledged is answered with its first entry."""
        outcome = _attempt(
            self._report, lambda: self._ledger.append([sent.proposal(self._ledger)])[0]
        )
        if not isinstance(outcome, Appended) or outcome.fresh:
            raise AssertionError(f"acknowledged, and sent again: {outcome!r}")

    def _forge(self) -> None:
        """A grant that somebody else signed is refused."""
        forged = self._sign(self._patient.actor, "access.granted", self._grant(), "")
        forged = Sent(forged.raw, forged.key, bytes(64))
        self._refused("signature", forged)

    def _upload_nothing(self, staged: StagedBlob) -> None:
        """An upload whose blob was never staged is refused."""
        body = self._upload(staged, "") | {"blob": self._id("bl"), "record": self._id("rc")}
        self._refused("no_key", self._sign(self._crowd.system, "record.uploaded", body, ""))

    def _refused(self, code: str, sent: Sent) -> None:
        def answer() -> object:
            try:
                return self._ledger.append([sent.proposal(self._ledger)])[0]
            except Refused as refusal:
                return refusal

        outcome = _attempt(self._report, answer)
        if not isinstance(outcome, Refused) or outcome.code != code:
            raise AssertionError(f"expected to be refused by {code}, got {outcome!r}")

    def _sign(self, who: Actor, kind: str, body: Body, event_id: str) -> Sent:
        now = self._ledger.clock()
        event = who.event(kind, self._patient.stream, body, now, event_id or self._id("ev"))
        return Sent.of(self._ledger.origin, who, event)

    def _id(self, prefix: str) -> str:
        return new_id(prefix, self._ledger.clock())
