"""A rich history: every type of event that is folded into rows, and decisions by every rule that gives one.

    lived = live(town)
    town.verify()

Made on an open town through its log, event by event; what the journeys would look up first is known here.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from client.signers import possession
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.sealing import reserve
from keeper.protocol import KeyRequest, NewBlob
from ledger.entry import Entry
from ledger.policies import last_policy
from ledger.times import DAY_MS, format_time
from storage.keytable import LABEL_KEY
from tests.support.people import Person, Town, denied, entry_of

Body = dict[str, Any]


@dataclass(frozen=True)
class Staff:
    """Doctors of the south, which has written nothing, but for the author."""

    author: Actor
    """Of the north."""
    reader: Actor
    """Granted the whole chart."""
    member: Actor
    """In a group that was granted some of it."""
    excluded: Actor
    weak: Actor
    """Signs with a key that the service keeps."""
    auditor: Actor


@dataclass
class Life:
    """A town that somebody lives in: what is done in it, by whoever may or may not."""

    town: Town
    pat: Person

    @property
    def now(self) -> int:
        """The ledger's clock, Unix ms."""
        return self.town.ledger.clock()

    def do(self, actor: Actor, kind: str, body: Body, stream: str = "", v: int = 1) -> Entry:
        """Append an event, by default to the patient's chart; it must be taken."""
        event = actor.event(kind, stream or self.pat.stream, body, self.now) | {"v": v}
        return entry_of(self.town.answer(event, actor.key))

    def refused(self, actor: Actor, kind: str, body: Body) -> tuple[int, str]:
        """A reading that is denied; the number of its refusal, and why."""
        event = actor.event(kind, self.pat.stream, body, self.now)
        found = denied(self.town.answer(event, actor.key))
        assert found.seq is not None
        return found.seq, found.decision["reason"]

    def account(self, registrar: Actor, custody: str = "device") -> Actor:
        """A new account with a key that its registrar vouches for, still without a role."""
        account, key = new_id("ac", self.now), new_key()
        reserve(self.town.ledger, registrar.account, [KeyRequest(account, (account,))])
        stream, person = f"account/{account}", Actor(registrar.origin, account, "person", "", key)
        self.do(registrar, "account.registered", {"account": account}, stream)
        self.do(registrar, "key.registered", self.key_body(person, key, custody), stream)
        return person

    def key_body(self, person: Actor, key: SigningKey, custody: str = "device") -> Body:
        """The body of a `key.registered`."""
        return {
            "account": person.account, "algorithm": "ed25519", "custody": custody, "key": key.id,
            "proof": possession(key, person.origin, person.account), "public_key": b64encode(key.public),
        }  # fmt: skip

    def upload(self, author: Actor, record: str = "", version: int = 1, **members: Any) -> Body:
        """A record, or a new version of one, with made-up content; gives the body."""
        ledger, subject = self.town.ledger, self.pat.patient
        record, blob, digest = (
            record or new_id("rc", self.now),
            new_id("bl", self.now),
            os.urandom(32),
        )
        reserve(ledger, author.account, [KeyRequest(subject, (record,))])
        made = NewBlob(record, blob, digest, os.urandom(32))
        reserve(ledger, author.account, [KeyRequest(subject, (), (made,))], {blob: 21})
        body = {
            "blob": blob, "category": "laboratory", "confidentiality": "normal",
            "media_type": "text/plain", "purpose": "TREAT", "record": record,
            "sha256": b64encode(digest), "size": 21, "version": version,
        } | members  # fmt: skip
        self.do(author, "record.amended" if version > 1 else "record.uploaded", body)
        return body

    def grant(self, grantee: str, v: int = 2, **members: Any) -> str:
        """The patient's grant for a day, of the whole chart unless `members` say otherwise; gives its id."""
        body = {
            "actions": ["list", "read"], "end": format_time(self.now + DAY_MS),
            "grant": new_id("gr", self.now), "grantee": grantee, "purpose": "PATRQT", "scope": "full",
            "start": format_time(self.now),
        } | members  # fmt: skip
        self.do(self.pat.actor, "access.granted", body, v=v)
        return str(body["grant"])

    def policy(self, **members: Any) -> Entry:
        """The operator changes the policy that the log named last."""
        last = last_policy(self.town.ledger.policies())
        body = {"policy": last.policy | members, "registry": last.registry}
        return self.do(self.town.operator, "policy.changed", body, "ledger")


def reading(body: Body, purpose: str = "TREAT") -> Body:
    """The body of a `record.opened` for an uploaded version."""
    return {name: body[name] for name in ("blob", "record", "version")} | {"purpose": purpose}


def live(town: Town) -> Life:
    """All of it, on a fresh town."""
    life = Life(town, town.person())
    staff = _staff(life)
    group = _groups(life, staff)
    _others(life)
    lab, letter, hidden, retracted = _records(life, staff)
    _permits(life, staff, group, lab, letter, hidden)
    _refusals(life, staff, lab, letter, hidden, retracted)
    _ends(life, staff, group, lab)
    return life


def _staff(life: Life) -> Staff:
    town, south = life.town, life.town.south
    weak = life.account(south.admin, "service")
    life.do(south.admin, "doctor.approved", {"account": weak.account}, f"hospital/{south.hospital}")
    auditors = [life.account(town.operator) for _ in range(2)]
    term = {"end": format_time(life.now + DAY_MS), "start": format_time(life.now)}
    for one in auditors:
        life.do(town.operator, "auditor.appointed", {"account": one.account} | term, "ledger")
    life.do(town.operator, "auditor.ended", {"account": auditors[1].account}, "ledger")
    author, reader, member, excluded = town.doctor(town.north), *(town.doctor() for _ in range(3))
    return Staff(
        author, reader, member, excluded, weak.in_role("doctor", south.hospital),
        auditors[0].in_role("auditor"),
    )  # fmt: skip


def _groups(life: Life, staff: Staff) -> str:
    admin, stream = life.town.south.admin, f"hospital/{life.town.south.hospital}"
    group = new_id("gp", life.now)
    life.do(admin, "group.formed", {"group": group}, stream)
    for doctor in (staff.member, staff.reader):
        life.do(admin, "group.joined", {"account": doctor.account, "group": group}, stream)
    life.do(admin, "group.left", {"account": staff.reader.account, "group": group}, stream)
    return group


def _others(life: Life) -> None:
    """Who comes and goes: admins, systems, doctors, a hospital, keys, a patient whose data is corrected."""
    town, admin, stream = life.town, life.town.south.admin, f"hospital/{life.town.south.hospital}"
    for joins, leaves in (
        ("admin.appointed", "admin.ended"),
        ("system.added", "system.ended"),
        ("doctor.approved", "doctor.suspended"),
        ("doctor.approved", "doctor.ended"),
    ):
        body = {"account": life.account(admin).account}
        life.do(admin, joins, body, stream)
        life.do(admin, leaves, body, stream)
        if leaves == "doctor.suspended":
            life.do(admin, joins, body, stream)
    third = {"hospital": new_id("hs", life.now)}
    for _ in range(2):
        named = third | {"name": "Westklinik", "time_zone": "Europe/Berlin"}
        life.do(town.operator, "hospital.approved", named, "ledger")
        life.do(town.operator, "hospital.suspended", third, "ledger")
    fourth = new_id("hs", life.now)
    named = {"hospital": fourth, "name": "Ostklinik", "time_zone": "Europe/Berlin"}
    life.do(town.operator, "hospital.approved", named, "ledger")
    first = {"account": life.account(town.operator).account}
    life.do(town.operator, "admin.appointed", first, f"hospital/{fourth}")
    person, spare = life.pat.actor.in_role("person"), new_key()
    account = f"account/{person.account}"
    life.do(person, "key.registered", life.key_body(person, spare), account)
    life.do(person, "key.revoked", {"account": person.account, "key": spare.id}, account)
    life.do(person, "key.registered", life.key_body(person, lost := new_key()), account)
    revoked = {"account": person.account, "key": lost.id}
    life.do(town.operator, "key.revoked", revoked, account)
    new = {"account": new_id("ac", life.now), "patient": new_id("pt", life.now)}
    own = KeyRequest(new["patient"], (new["patient"], LABEL_KEY))
    system = town.north.system
    reserve(town.ledger, system.account, [own, KeyRequest(new["account"], (new["account"],))])
    registered = new | {"adult": True, "purpose": "TREAT"}
    life.do(system, "patient.registered", registered, f"patient/{new['patient']}")
    kim = town.person("Kim")
    corrected = {"deceased": True, "patient": kim.patient, "purpose": "TREAT"}
    ages: Body = {"adult_from": "2040-01-01T00:00:00.000Z", "teen_from": "2034-01-01T00:00:00.000Z"}
    life.do(town.north.system, "patient.corrected", corrected | ages, kim.stream)


def _records(life: Life, staff: Staff) -> tuple[Body, Body, Body, Body]:
    pat, label = life.pat.actor, new_id("l", life.now)
    life.upload(staff.author, category="document", clinical_date="2026-02-03")
    lab = life.upload(life.town.north.system, clinical_date="2026-02-03")
    letter = life.upload(staff.author, category="document", labels=[label], sensitive=True)
    life.upload(staff.author, str(lab["record"]), 2, confidentiality="restricted")
    shown, hidden, retracted = (life.upload(staff.author) for _ in range(3))
    for body in (shown, hidden):
        life.do(pat, "record.hidden", {"purpose": "PATRQT", "record": body["record"]})
    life.do(pat, "record.shown", {"purpose": "PATRQT", "record": shown["record"]})
    life.do(staff.author, "record.retracted", {"purpose": "TREAT", "record": retracted["record"]})
    own = life.upload(pat, purpose="PATRQT")
    life.do(pat, "record.retracted", {"purpose": "PATRQT", "record": own["record"]})
    return lab, letter, hidden, retracted


def _permits(life: Life, staff: Staff, group: str, lab: Body, letter: Body, hidden: Body) -> None:
    """Readings by S1, S5, S6 and S9: full, partial, selective; to a person, a hospital, a group."""
    pat, south = life.pat.actor, life.town.south
    life.grant(staff.reader.account, 1, sensitive=True)
    life.grant(
        south.hospital,
        1,
        records=[letter["record"]],
        labels=letter["labels"],
        scope="selective",
        uses=2,
    )
    deny = {"date_to": "2026-01-01", "type": "deny"}
    life.grant(
        group, exceptions=[deny], scope="partial", what={"categories": ["document", "laboratory"]}
    )
    for actor, body in (
        (pat, lab), (pat, hidden), (staff.author, lab), (staff.reader, letter),
        (staff.excluded, letter), (staff.member, letter),
    ):  # fmt: skip
        life.do(actor, "record.opened", reading(body))
    life.do(life.town.north.system, "record.carried", reading(lab, "HOPERAT"))
    for actor in (pat, staff.author, staff.reader, staff.member):
        life.do(actor, "chart.opened", {"purpose": "TREAT"})
    for actor in (pat, staff.auditor):
        life.do(actor, "history.opened", {"purpose": "PATRQT"})
    empty = b64encode(hashlib.sha256(b"").digest())
    life.do(pat, "chart.exported", {"count": 0, "purpose": "PATRQT", "root": empty})


def _refusals(
    life: Life, staff: Staff, lab: Body, letter: Body, hidden: Body, retracted: Body
) -> None:
    """Readings denied by S1, S2, S3, S7, S8 and S12."""
    pat, opened = life.pat.actor, "record.opened"
    life.do(pat, "reader.excluded", {"purpose": "PATRQT", "reader": staff.excluded.account})
    for actor, kind, body, reason in (
        (staff.auditor, opened, reading(lab), "role"),
        (staff.reader, "history.opened", {"purpose": "TREAT"}, "role"),
        (staff.reader, opened, reading(retracted), "retracted"),
        (staff.weak, opened, reading(letter), "step_up"),
        (staff.excluded, opened, reading(lab), "excluded"),
        (staff.excluded, "chart.opened", {"purpose": "TREAT"}, "excluded"),
        (staff.reader, opened, reading(lab, "BTG"), "emergency_needed"),
        (staff.reader, opened, reading(hidden), "no_consent"),
        (staff.weak, opened, reading(lab), "no_consent"),
    ):
        assert life.refused(actor, kind, body)[1] == reason


def _ends(life: Life, staff: Staff, group: str, lab: Body) -> None:
    """Policies that narrow and widen, exclusions and grants that end, and readings after each."""
    pat, south = life.pat.actor, life.town.south
    narrow = life.policy(custodian_reads=False)
    assert life.refused(staff.author, "record.opened", reading(lab))[1] == "no_consent"
    life.policy(custodian_reads=True, grant_days_max=1_000)
    assert life.town.ledger.policy.seq == narrow.link.seq
    life.do(pat, "record.opened", reading(lab, "PATRQT"))
    for reader in (group, south.hospital):
        life.do(pat, "reader.excluded", {"purpose": "PATRQT", "reader": reader})
    assert life.refused(staff.member, "record.opened", reading(lab))[1] == "excluded"
    for reader in (group, south.hospital):
        life.do(pat, "reader.included", {"purpose": "PATRQT", "reader": reader})
    first = life.grant(staff.weak.account, uses=1)
    for v in (2, 1):
        life.grant(staff.weak.account, v, lineage=first)
    body = {"grantee": staff.weak.account, "purpose": "PATRQT"}
    life.do(pat, "access.revoked", body | {"grant": first})
    life.do(pat, "access.revoked", {"grantee": group, "purpose": "PATRQT"}, v=2)
    named = {"grant": life.grant(group), "grantee": group}
    life.do(pat, "access.revoked", named | {"purpose": "PATRQT"}, v=2)
    assert life.refused(staff.member, "record.opened", reading(lab))[1] == "no_consent"
