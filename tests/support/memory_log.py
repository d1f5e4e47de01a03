"""A log in memory with people in it, for tests of signers, consent, proofs and verifiers.

    log = MemoryLog()
    hospital = log.hospital()
    admin = log.admin(hospital)
    doctor = log.doctor(admin)
    patient = log.patient(admin)
    record = log.upload(doctor, patient)
    log.do(doctor, "record.opened", reading(record), patient)

`do` signs, admits and gives the entry, or fails the test; `outcome` gives whatever the log answers,
`answer` its code as a text. Everything is deterministic: the same calls give the same events.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from consent.gate import gate
from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_X25519, key_id, random_id, timed_id
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from ledger.auditor import Report, verify_export
from ledger.chain import Chain
from ledger.checkpoint import Checkpoint
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event, Signature, sign_bundle, sign_event
from ledger.merkle import Frontier, inclusion_path, leaf_hash, root_of
from ledger.messages import possession_message
from ledger.policies import DEFAULT_POLICY, Policy, edition_in_force, last_policy
from ledger.receipt import Receipt
from ledger.registry import EDITION, registry_hash, registry_json
from ledger.rows import Rows
from ledger.sequencer import Appended, Batch, Denied, Outcome, Proposal, Rules, ledger_created
from ledger.tiles import all_tiles, join_bundle, level_tiles, tile_path
from ledger.times import DAY_MS, format_time
from ledger.types import REGISTRY

ORIGIN = "log.example/heartwood"
START = 1_795_000_000_000
"""Unix ms of entry 0."""
HOUR_MS = 3_600_000
SEALED = b64encode(bytes(92))
"""The shortest text that has the form of a sealed field."""


@dataclass(frozen=True)
class Person:
    """An account, its signing key and the role (at `hospital`, of `patient`) in which it acts."""

    account: str
    key: SigningKey
    role: str = "person"
    hospital: str = ""
    patient: str = ""

    def acting(self, role: str, hospital: str = "") -> "Person":
        """The same person in another role."""
        return replace(self, role=role, hospital=hospital)

    def holding(self, key: SigningKey) -> "Person":
        """The same person with another key."""
        return replace(self, key=key)

    @property
    def acts_as(self) -> dict[str, str]:
        """The member `as` of this person's events."""
        return {"role": self.role} | ({"hospital": self.hospital} if self.hospital else {})


Body = dict[str, Any]
On = Person | str
"""Whose stream, or the id that it names."""


def reading(record: Entry, purpose: str = "TREAT") -> Body:
    """The body of a `record.opened` for what an uploading or amending entry holds."""
    body = record.event.body
    return {"purpose": purpose} | {name: body[name] for name in ("blob", "record", "version")}


class MemoryLog:
    """A log with operator and service; people and hospitals come as tests ask for them."""

    def __init__(
        self,
        policy: Mapping[str, Any] = DEFAULT_POLICY,
        origin: str = ORIGIN,
        edition: int = EDITION,
    ) -> None:
        """Entry 0 stands when this returns, and names an `edition` of the registry."""
        self.origin, self._count = origin, 0
        self.operator = Person(self.id("ac"), self.new_key(), "operator")
        self.service = Person(self.id("ac"), self.new_key(), "service")
        self.signer = LogSigner(origin, self._seed(), self._seed())
        self.vkeys = [str(key) for key in self.signer.keys]
        self.policy = Policy.of(policy, 0)
        rules = Rules(origin, gate)
        no_entries: dict[str, Entry] = {}
        self.batch = Batch(
            rules, Chain(), Frontier(), Rows(), START, (self.service.account, self.service.key),
            partial(self.id, "ev"), claim=lambda *event: None, known=no_entries.get,
        )  # fmt: skip
        operator, service = ((p.account, p.key) for p in (self.operator, self.service))
        first = ledger_created(
            origin,
            self.vkeys,
            operator,
            service,
            dict(policy),
            registry_hash(edition),
            self.id("ev"),
            START,
        )
        self.entry(self.admit(first, sign_event(self.operator.key, origin, first.raw)))

    # Ids, keys and time

    def _seed(self) -> bytes:
        self._count += 1
        return hashlib.sha256(f"world {self._count}".encode()).digest()

    def id(self, prefix: str) -> str:
        """A fresh id; `pt` without a time in it."""
        if prefix == "pt":
            return random_id(prefix, self._seed()[:16])
        return timed_id(prefix, START, self._seed()[:10])

    def new_key(self) -> SigningKey:
        """A fresh signing key."""
        return SigningKey(self._seed())

    @property
    def now(self) -> int:
        """The log's clock, Unix ms."""
        return self.batch.now

    def wait(self, milliseconds: int = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.batch.now += milliseconds + int(hours * HOUR_MS) + int(days * DAY_MS)

    # Events

    def event(self, actor: Person, kind: str, body: Body, on: On = "", **members: Any) -> Event:
        """An event of `actor` in the stream of `on` (a patient, or the id that the stream names).

        Without `on`: the actor's hospital or patient, or the account that the body names.
        `members` replace the event's own; `as_` stands for `as`.
        """
        stream = REGISTRY[kind, 1].stream
        if isinstance(on, Person):
            on = on.patient or on.account
        usual = {
            "hospital": actor.hospital,
            "patient": actor.patient,
            "account": body.get("account"),
        }
        subject = on or usual.get(stream)
        value = {
            "actor": actor.account,
            "as": members.pop("as_", actor.acts_as),
            "at": format_time(self.now),
            "body": body,
            "id": members.pop("id", None) or self.id("ev"),
            "stream": f"{stream}/{subject}" if subject else stream,
            "type": kind,
            "v": 1,
        }
        return Event.of(value | members)

    def sign(self, signer: Person, event: Event) -> Signature:
        """The signature of one event."""
        return sign_event(signer.key, self.origin, event.raw)

    def sign_all(self, signer: Person, events: Sequence[Event]) -> list[Signature]:
        """One signature over a bundle, as each of its events carries it."""
        return sign_bundle(signer.key, self.origin, [event.raw for event in events])

    def admit(self, event: Event, sig: Signature, expect: int | None = None) -> Outcome:
        """What the log answers."""
        return self.batch.admit(Proposal(event, sig, expect))

    def outcome(self, actor: Person, kind: str, body: Body, on: On = "", **members: Any) -> Outcome:
        """Sign and admit one event; what the log answers."""
        event = self.event(actor, kind, body, on, **members)
        return self.admit(event, self.sign(actor, event))

    def answer(self, actor: Person, kind: str, body: Body, on: On = "", **members: Any) -> str:
        """The outcome as a text: `appended`, a refusal's code, or `deny <rule> <reason>`."""
        found = self.outcome(actor, kind, body, on, **members)
        if isinstance(found, Denied):
            return f"deny {found.decision['rule']} {found.decision['reason']}"
        return found.code if isinstance(found, Refused) else "appended"

    def do(self, actor: Person, kind: str, body: Body, on: On = "", **members: Any) -> Entry:
        """Sign and admit one event; its entry, which must stand in the log."""
        return self.entry(self.outcome(actor, kind, body, on, **members))

    def entry(self, outcome: Outcome) -> Entry:
        """The entry of an outcome that must be an appended event."""
        assert isinstance(outcome, Appended), repr(outcome)
        return outcome.entry

    # People and hospitals

    def account(self, registrar: Person | None = None) -> Person:
        """A registered account with a first key, by the operator unless another `registrar` is given."""
        registrar = registrar or self.operator
        person = Person(self.id("ac"), self.new_key())
        self.do(registrar, "account.registered", {"account": person.account})
        self.register_key(registrar, person)
        return person

    def key_body(self, person: Person, **members: Any) -> Body:
        """The body of a `key.registered` for the person's key, with its proof of possession."""
        key = person.key
        proof = key.sign(possession_message(self.origin, person.account, key.id))
        return {
            "account": person.account,
            "algorithm": "ed25519",
            "custody": "device",
            "key": key.id,
            "proof": b64encode(proof),
            "public_key": b64encode(key.public),
        } | members

    def x25519_body(self, person: Person, **members: Any) -> Body:
        """The body of a `key.registered` for a fresh X25519 key, which can't sign a proof."""
        public = self._seed()
        named = {"key": key_id(ALGORITHM_X25519, public), "public_key": b64encode(public)}
        body = self.key_body(person, algorithm="x25519") | named | members
        return {name: value for name, value in body.items() if name != "proof"}

    def register_key(self, voucher: Person, person: Person, **members: Any) -> Entry:
        """The person's key put into the log by `voucher`."""
        return self.do(voucher, "key.registered", self.key_body(person, **members))

    def hospital(self) -> str:
        """An approved hospital, without admins."""
        hospital = self.id("hs")
        body = {"hospital": hospital, "name": "Sankt Hubertus", "time_zone": "Europe/Berlin"}
        self.do(self.operator, "hospital.approved", body)
        return hospital

    def admin(self, hospital: str, by: Person | None = None) -> Person:
        """An admin of the hospital: its first by the operator, others by an admin."""
        person = self.account(by)
        self.do(by or self.operator, "admin.appointed", {"account": person.account}, hospital)
        return person.acting("hospital_admin", hospital)

    def doctor(self, admin: Person) -> Person:
        """A doctor at the admin's hospital."""
        person = self.account(admin)
        self.do(admin, "doctor.approved", {"account": person.account})
        return person.acting("doctor", admin.hospital)

    def system(self, admin: Person) -> Person:
        """A system of the admin's hospital."""
        person = self.account(admin)
        self.do(admin, "system.added", {"account": person.account})
        return person.acting("hospital_system", admin.hospital)

    def auditor(self, days: float = 30) -> Person:
        """An auditor whose term begins now."""
        person = self.account()
        term = {"start": format_time(self.now), "end": format_time(self.now + int(days * DAY_MS))}
        self.do(self.operator, "auditor.appointed", {"account": person.account, **term})
        return person.acting("auditor")

    def patient_body(self, **members: Any) -> Body:
        """The body of a `patient.registered`, of age unless `members` say otherwise."""
        age = {} if "teen_from" in members or "adult_from" in members else {"adult": True}
        named = {"account": self.id("ac"), "patient": self.id("pt"), "purpose": "TREAT"}
        return named | age | members

    def patient(self, by: Person, voucher: Person | None = None, **members: Any) -> Person:
        """A patient registered by somebody of a hospital, with a first key of their own.

        `voucher`: who of the hospital vouches for the key, if `by` may not (a doctor).
        """
        body = self.patient_body(**members)
        self.do(by, "patient.registered", body, body["patient"])
        person = Person(body["account"], self.new_key(), "patient", "", body["patient"])
        self.register_key(voucher or by, person)
        return person

    # Records and grants

    def record_body(self, **members: Any) -> Body:
        """The body of a `record.uploaded`; of a `record.amended` with record and version given."""
        return {
            "blob": self.id("bl"),
            "category": "laboratory",
            "confidentiality": "normal",
            "media_type": "application/fhir+json",
            "purpose": "TREAT",
            "record": self.id("rc"),
            "sha256": b64encode(self._seed()),
            "size": 1_000,
            "version": 1,
        } | members

    def upload(self, author: Person, patient: Person, **members: Any) -> Entry:
        """A record in the patient's chart; `reading(…)` of the entry opens it."""
        return self.do(author, "record.uploaded", self.record_body(**members), patient)

    def grant_body(self, grantee: str, days: float = 30, **members: Any) -> Body:
        """The body of an `access.granted`, full and from now on unless `members` say otherwise."""
        return {
            "actions": ["list", "read"],
            "end": format_time(self.now + int(days * DAY_MS)),
            "grant": self.id("gr"),
            "grantee": grantee,
            "purpose": "PATRQT",
            "scope": "full",
            "start": format_time(self.now),
        } | members

    def grant(self, patient: Person, grantee: str, days: float = 30, **members: Any) -> Entry:
        """The patient grants an account or a hospital access to their chart."""
        return self.do(patient, "access.granted", self.grant_body(grantee, days, **members))

    def change_policy(self, edition: int = EDITION, **members: Any) -> Entry:
        """The operator changes the policy that was named last, and names an edition of the registry."""
        body = {"policy": last_policy(self.batch.look).policy | members}
        named = {"registry": b64encode(registry_hash(edition))}
        v = 2 if "professions" in body["policy"] else 1
        return self.do(self.operator, "policy.changed", body | named, v=v)

    # The log as it stands

    @property
    def entries(self) -> list[Entry]:
        """All entries so far."""
        return self.batch.entries

    @property
    def leaves(self) -> list[bytes]:
        """Their leaf hashes."""
        return [leaf_hash(entry.raw) for entry in self.entries]

    def node(self, level: int, index: int) -> bytes:
        """A node of the tree, straight from the leaves; for small logs."""
        leaves = self.leaves[index << level : (index + 1) << level]
        frontier = Frontier()
        for leaf in leaves:
            frontier.append(leaf)
        return frontier.root()

    def checkpoint(self, size: int | None = None) -> bytes:
        """The signed note of the log's checkpoint, now or at an earlier `size`."""
        size = len(self.entries) if size is None else size
        head = Checkpoint(self.origin, size, root_of(size, self.node))
        return self.signer.sign(head, self.now // 1000)

    def receipt(self, seq: int, size: int | None = None) -> Receipt:
        """The receipt of entry `seq` under the checkpoint now or at `size`."""
        size = len(self.entries) if size is None else size
        path = tuple(inclusion_path(seq, size, self.node))
        return Receipt(self.entries[seq].raw, seq, path, self.checkpoint(size))

    def export(self) -> dict[str, bytes]:
        """The files of an export by path, for verifiers."""
        size = len(self.entries)
        files = {
            "README": b"An export for tests.\n",
            "checkpoint": self.checkpoint(),
            "log.vkey": "".join(f"{key}\n" for key in self.vkeys).encode(),
            "policy": f"log {self.vkeys[0]}\nquorum none\n".encode(),
            "registry.json": registry_json(edition_in_force(self.batch.look)),
        }
        for number, width in level_tiles(size, 0):
            entries = self.entries[number * 256 : number * 256 + width]
            files[tile_path("entries", number, width)] = join_bundle(e.raw for e in entries)
        for level, number, width in all_tiles(size):
            nodes = range(number * 256, number * 256 + width)
            hashes = b"".join(self.node(8 * level, index) for index in nodes)
            files[tile_path(level, number, width)] = hashes
        return with_manifest(files)


def verify_log(log: MemoryLog) -> Report:
    """Verify a log's export as an auditor does; raises Tampered."""
    with TemporaryDirectory() as folder:
        for path, data in log.export().items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return verify_export(Path(folder), log.vkeys)


def with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with a manifest that fits them; after altering one, say."""
    others = {path: data for path, data in files.items() if path != "manifest"}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in others.items()]
    listed = "".join(sorted(lines, key=lambda line: line[66:]))
    return others | {"manifest": listed.encode()}
