"""Random logs in memory in which much is consented to, read and refused, for audits to recompute.

Whatever the log answers is taken; the acts are such that it appends most of them.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, NamedTuple

from consent import gate
from crypto.encoding import b64encode
from ledger.directory import Key
from ledger.entry import Entry, nested_event
from ledger.facts import Record
from ledger.rows import Rows
from ledger.sequencer import Appended, Judged
from ledger.times import format_time
from ledger.types import fold
from tests.support.memory_log import SEALED, Body, MemoryLog, Person, reading

ACTS: Final = 30
HASH: Final = b64encode(bytes(32))
LABELS: Final = ["l_" + digit * 26 for digit in "01"]


class Recomputed(NamedTuple):
    """A decision that stands in the log, and what the gate says anew on the entries before it."""

    logged: Body
    anew: Judged
    shown: tuple[Record, ...]
    """What the chart showed when its opening was appended."""


class Log:
    """Two hospitals with a doctor and a group each; one patient, one record of the first."""

    def __init__(self, rng: Random) -> None:
        """The log before anything was consented to."""
        self.rng, self.log = rng, MemoryLog()
        admins = [self.log.admin(self.log.hospital()) for _ in range(2)]
        self.doctors = [self.log.doctor(admin) for admin in admins]
        self.admins, self.patient = admins, self.log.patient(admins[0])
        self.groups = [self.form(admin) for admin in admins]
        self.records = [self.log.upload(self.doctors[0], self.patient)]
        self.grants: list[Body] = []
        self.emergencies: list[Entry] = []
        self.requests: list[Entry] = []
        self.shown: dict[int, tuple[Record, ...]] = {}
        """By the number of the entry that opened the chart."""

    def form(self, admin: Person) -> str:
        group = self.log.id("gp")
        self.log.do(admin, "group.formed", {"group": group})
        return group

    @property
    def doctor(self) -> Person:
        """Mostly the one from elsewhere, who depends on consent."""
        return self.doctors[self.rng.random() < 0.75]

    @property
    def reader(self) -> str:
        """A doctor, a hospital or a group."""
        hospitals = [doctor.hospital for doctor in self.doctors]
        accounts = [doctor.account for doctor in self.doctors]
        return self.rng.choice([*accounts, *hospitals, *self.groups])

    def say(
        self, actor: Person, kind: str, body: Body, purpose: str = "PATRQT", v: int = 1
    ) -> Entry | None:
        """Something in the patient's stream; its entry if it was appended."""
        found = self.log.outcome(actor, kind, {"purpose": purpose} | body, self.patient, v=v)
        if not isinstance(found, Appended):
            return None
        self.shown[found.entry.link.seq] = found.shown
        return found.entry

    # Acts

    def upload(self) -> None:
        members: Body = {"confidentiality": self.rng.choice(("normal", "restricted"))}
        if self.rng.random() < 0.4:
            members |= {"labels": LABELS[: self.rng.randint(1, 2)], "sensitive": True}
        if self.rng.random() < 0.5:
            members["clinical_date"] = "2026-11-18"
        author = self.doctors[self.rng.random() < 0.25]
        self.records.append(self.log.upload(author, self.patient, **members))

    def hide_or_show(self) -> None:
        kind = self.rng.choice(("record.hidden", "record.shown"))
        self.say(self.patient, kind, {"record": self.rng.choice(self.records).event.body["record"]})

    def retract(self) -> None:
        record = self.rng.choice(self.records).event
        author = next(doctor for doctor in self.doctors if doctor.account == record.actor)
        if self.rng.random() < 0.3:
            self.say(author, "record.retracted", {"record": record.body["record"]}, "TREAT")

    def join_or_leave(self) -> None:
        who = self.rng.randrange(2)
        kind = self.rng.choice(("group.joined", "group.left"))
        body = {"account": self.doctors[who].account, "group": self.groups[who]}
        self.log.outcome(self.admins[who], kind, body)

    def grant(self) -> None:
        """For hours, so that some run out; of all, of some or of one, half with an exception."""
        start = self.log.now
        term = {
            "start": format_time(start),
            "end": format_time(start + self.rng.randint(1, 4) * HOUR),
        }
        body: Body = self.log.grant_body(self.reader) | term
        if self.grants and self.rng.random() < 0.4:
            before = self.rng.choice(self.grants)
            body |= {
                "grantee": before["grantee"],
                "lineage": before.get("lineage", before["grant"]),
            }
        if self.rng.random() < 0.3:
            body["uses"] = self.rng.randint(1, 2)
        body |= self.rng.choice((self.full, self.partial, self.selective))()
        if self.rng.random() < 0.5:
            body["exceptions"] = [{"type": "deny", "labels": LABELS[:1]}]
        if self.say(self.patient, "access.granted", body, v=2):
            self.grants.append(body)

    def full(self) -> Body:
        return {"scope": "full"} | ({"sensitive": True} if self.rng.random() < 0.5 else {})

    def partial(self) -> Body:
        return {"scope": "partial", "what": {"date_from": "2026-11-18"}, "labels": LABELS}

    def selective(self) -> Body:
        record = self.rng.choice(self.records).event.body["record"]
        return {"scope": "selective", "records": [record]}

    def revoke(self) -> None:
        if self.grants:
            body = self.rng.choice(self.grants)
            named = {"grant": body["grant"]} if self.rng.random() < 0.5 else {}
            self.say(self.patient, "access.revoked", {"grantee": body["grantee"]} | named, v=2)

    def exclude_or_include(self) -> None:
        kind = self.rng.choice(("reader.excluded", "reader.included", "reader.included"))
        self.say(self.patient, kind, {"reader": self.reader})

    def open_record(self) -> None:
        """By a doctor, or the patient."""
        who = self.rng.choice((self.doctor, self.doctor, self.patient))
        purpose = self.rng.choice((*9 * ("TREAT",), "BTG"))
        self.say(who, "record.opened", reading(self.rng.choice(self.records), purpose), purpose)

    def open_chart(self) -> None:
        self.say(
            self.rng.choice((self.doctor, self.doctor, self.patient)), "chart.opened", {}, "TREAT"
        )

    def open_history(self) -> None:
        self.say(
            self.rng.choice((self.doctor, *3 * (self.patient,))), "history.opened", {}, "TREAT"
        )

    def declare(self) -> None:
        """And what the patient then lets be seen, or who is kept out of it."""
        body = {"reason": "other", "text": SEALED}
        declared = self.say(
            self.doctor, "emergency.declared", body, self.rng.choice(("BTG", "ETREAT"))
        )
        if declared is not None:
            self.emergencies.append(declared)

    def configure(self) -> None:
        ceiling = self.rng.choice(("normal", "off", "restricted", "restricted"))
        self.say(self.patient, "emergency.configured", {"ceiling": ceiling})

    def read_in_emergency(self) -> None:
        """By whoever declared, whether it is still open or not."""
        if self.emergencies:
            event = self.rng.choice(self.emergencies).event
            doctor = next(one for one in self.doctors if one.account == event.actor)
            record = self.rng.choice(self.records)
            self.say(doctor, "record.opened", reading(record, "BTG"), "BTG")
            self.say(doctor, "chart.opened", {}, "ETREAT")

    def review(self) -> None:
        """By an admin of either hospital; only one may."""
        if self.emergencies:
            named = {"emergency": self.rng.choice(self.emergencies).event.id}
            self.say(self.rng.choice(self.admins), "emergency.opened", named, "HOPERAT")
            said = named | {"finding": "justified", "text": SEALED}
            self.say(self.rng.choice(self.admins), "emergency.reviewed", said, "HOPERAT")

    def disclose(self) -> None:
        admin = self.rng.choice(self.admins)
        body = {"count": 1, "given": format_time(self.log.now), "list": [SEALED], "root": HASH}
        texts = dict.fromkeys(("description", "recipient", "statement"), SEALED)
        self.say(admin, "record.disclosed", body | texts, "HLEGAL")

    def ask_for_access(self) -> None:
        """Of the patient, by either doctor; of several that wait one is taken."""
        body: Body = {"actions": ["list", "read"], "days": 1, "words": SEALED} | self.rng.choice(
            (self.full, self.part)
        )()
        asked = self.say(self.doctor, "access.requested", body, "TREAT")
        if asked is not None:
            self.requests.append(asked)

    def part(self) -> Body:
        return {"scope": "partial", "what": {"date_from": "2026-11-18"}}

    def answer(self) -> None:
        """With no, or with what is asked for, or with more, which isn't taken."""
        if not self.requests:
            return
        asked = self.rng.choice(self.requests).event
        start, scope = self.log.now, self.rng.choice((self.full, self.part, self.selective))()
        body: Body = {"request": asked.id, "verdict": "declined"}
        if self.rng.random() < 0.8:
            body |= scope | {
                "actions": ["list", "read"], "end": format_time(start + self.rng.randint(1, 4) * HOUR),
                "grant": self.log.id("gr"), "start": format_time(start), "verdict": "granted",
            }  # fmt: skip
        answered = self.say(self.patient, "access.answered", body)
        if answered is not None and body["verdict"] == "granted":
            self.grants.append(body | {"grantee": asked.actor})

    def die(self) -> None:
        """Seldom; nothing can be granted afterwards."""
        if self.rng.random() < 0.1:
            body = {"patient": self.patient.patient, "adult": True, "deceased": True}
            self.say(self.admins[0], "patient.corrected", body, "TREAT")

    def wait(self) -> None:
        self.log.wait(self.rng.randint(1, HOUR))


HOUR: Final = 3_600_000
USUAL: Final[tuple[tuple[int, Callable[[Log], None]], ...]] = (
    (3, Log.grant),
    (6, Log.open_record),
    (3, Log.open_chart),
    (1, Log.open_history),
    (1, Log.upload),
    (1, Log.hide_or_show),
    (1, Log.retract),
    (3, Log.join_or_leave),
    (1, Log.revoke),
    (1, Log.exclude_or_include),
    (2, Log.declare),
    (1, Log.configure),
    (3, Log.read_in_emergency),
    (1, Log.review),
    (1, Log.disclose),
    (2, Log.ask_for_access),
    (2, Log.answer),
    (1, Log.die),
    (1, Log.wait),
)


def random_log(rng: Random, acts: int = ACTS) -> Log:
    """A log in which so many acts were tried."""
    log = Log(rng)
    weights, chosen = zip(*USUAL, strict=True)
    for act in rng.choices(chosen, weights, k=acts):
        act(log)
    return log


def recomputed(log: Log) -> Iterator[Recomputed]:
    """Every decision in the log with what the gate says on the entries before it alone."""
    rows = Rows()
    for entry in log.log.entries:
        if entry.decision is not None:
            refused = entry.event.type.name == "access.refused"
            event, sig = nested_event(entry.event) if refused else (entry.event, entry.sig)
            key: Any = rows.get(Key, sig.key)
            anew = gate.gate(
                event, key, entry.link.seq, entry.time, rows, entry.decision.get("session")
            )
            yield Recomputed(entry.decision, anew, log.shown.get(entry.link.seq, ()))
        for row in fold(entry, rows):
            rows.put(row)
