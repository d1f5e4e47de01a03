"""A rich history: every type of event that is folded into rows, and decisions by every rule that gives one.

    history = rich_history(fixture)
    fixture.verify()

Made on an open ledger through its log, event by event; what the journeys would look up first is known here.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import Any

from api.operator.logkeys import retire_keys, rotate_keys
from client.signers import possession
from crypto.claims import claim_key, invitation_key
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from crypto.xwing import ReceivingKey
from identity.actors import Actor, new_id, new_key
from journeys.sealing import reserve
from keeper.protocol import KeyRequest, NewBlob
from ledger.entry import Entry
from ledger.exports import export_line, export_root
from ledger.messages import claim_message, invitation_message
from ledger.policies import DEFAULT_PROFESSIONS, last_policy
from ledger.times import DAY_MS, format_time, parse_time
from storage.keytable import LABEL_KEY
from tests.support.ledger_fixture import LedgerFixture, Person, denied, entry_of
from tests.support.memory_log import SEALED

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
    """Signs with a key that the service keeps, in a session by password alone."""
    auditor: Actor


@dataclass
class History:
    """What is done on a patient's chart, by whoever may or may not."""

    fixture: LedgerFixture
    pat: Person
    sessions: dict[str, int] = field(default_factory=dict)
    """The sign-ins in which accounts act whose keys the service keeps."""

    @property
    def now(self) -> int:
        """The ledger's clock, Unix ms."""
        return self.fixture.ledger.clock()

    def do(self, actor: Actor, kind: str, body: Body, stream: str = "", v: int = 1) -> Entry:
        """Append an event, by default to the patient's chart; it must be taken."""
        event = actor.event(kind, stream or self.pat.stream, body, self.now) | {"v": v}
        session = self.sessions.get(actor.account)
        return entry_of(self.fixture.answer(event, actor.key, session))

    def refused(self, actor: Actor, kind: str, body: Body) -> tuple[int, str]:
        """A reading that is denied; the number of its refusal, and why."""
        event = actor.event(kind, self.pat.stream, body, self.now)
        session = self.sessions.get(actor.account)
        found = denied(self.fixture.answer(event, actor.key, session))
        assert found.seq is not None
        return found.seq, found.decision["reason"]

    def account(self, registrar: Actor, custody: str = "device") -> Actor:
        """A new account with a key that its registrar vouches for, still without a role."""
        account, key = new_id("ac", self.now), new_key()
        reserve(self.fixture.ledger, registrar.account, [KeyRequest(account, (account,))])
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

    @property
    def service(self) -> Actor:
        """The service, by its own key."""
        ledger = self.fixture.ledger
        assert ledger.log._service is not None
        account, key = ledger.log._service
        return Actor(ledger.origin, account, "service", "", key)

    def sign_in(self, who: Actor) -> None:
        """By password alone: what they sign from now on rests on that."""
        opened = {
            "account": who.account, "assurance": 1, "hospital": who.hospital, "means": "password", "role": who.role,
            "session": new_id("ss", self.now),
        }  # fmt: skip
        entry = self.do(self.service, "session.opened", opened, f"account/{who.account}")
        self.sessions[who.account] = entry.link.seq

    def upload(
        self, author: Actor, record: str = "", version: int = 1, v: int = 1, **members: Any
    ) -> Body:
        """A record, or a new version of one, with made-up content; gives the body."""
        ledger, subject = self.fixture.ledger, self.pat.patient
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
        self.do(author, "record.amended" if version > 1 else "record.uploaded", body, v=v)
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
        last = last_policy(self.fixture.ledger.policies())
        body = {"policy": last.policy | members, "registry": last.registry}
        v = 2 if "professions" in body["policy"] else 1
        return self.do(self.fixture.operator, "policy.changed", body, "ledger", v)


def reading(body: Body, purpose: str = "TREAT") -> Body:
    """The body of a `record.opened` for an uploaded version."""
    return {name: body[name] for name in ("blob", "record", "version")} | {"purpose": purpose}


def rich_history(fixture: LedgerFixture) -> History:
    """All of it, on a fresh ledger, whose keys are rotated first: what is cut off later is signed by the newest."""
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, fixture.operator)
    history = History(fixture, fixture.person())
    staff = _staff(history)
    group = _groups(history, staff)
    _others(history)
    lab, letter, hidden, retracted = _records(history, staff)
    _permits(history, staff, group, lab, letter, hidden)
    _refusals(history, staff, lab, letter, hidden, retracted)
    _relatives(history, staff, lab, hidden)
    _guardians(history)
    _links(history, staff)
    _colleagues(history, staff, lab)
    _emergencies(history, staff, letter, hidden)
    _disclosures(history)
    _requests(history, staff, lab)
    _ends(history, staff, group, lab)
    _sign_ins(history)
    _holds_and_erasures(history, staff)
    return history


def _staff(history: History) -> Staff:
    fixture, south = history.fixture, history.fixture.south
    weak = history.account(south.admin, "service")
    history.do(
        south.admin, "doctor.approved", {"account": weak.account}, f"hospital/{south.hospital}"
    )
    weak = weak.in_role("doctor", south.hospital)
    history.sign_in(weak)
    auditors = [history.account(fixture.operator) for _ in range(2)]
    term = {"end": format_time(history.now + DAY_MS), "start": format_time(history.now)}
    for one in auditors:
        history.do(fixture.operator, "auditor.appointed", {"account": one.account} | term, "ledger")
    history.do(fixture.operator, "auditor.ended", {"account": auditors[1].account}, "ledger")
    author, reader, member, excluded = (
        fixture.doctor(fixture.north),
        *(fixture.doctor() for _ in range(3)),
    )
    return Staff(
        author, reader, member, excluded, weak,
        auditors[0].in_role("auditor"),
    )  # fmt: skip


def _groups(history: History, staff: Staff) -> str:
    admin, stream = history.fixture.south.admin, f"hospital/{history.fixture.south.hospital}"
    group = new_id("gp", history.now)
    history.do(admin, "group.formed", {"group": group}, stream)
    for doctor in (staff.member, staff.reader):
        history.do(admin, "group.joined", {"account": doctor.account, "group": group}, stream)
    history.do(admin, "group.left", {"account": staff.reader.account, "group": group}, stream)
    return group


def _sign_ins(history: History) -> None:
    """What the service says of the patient's account, signed by its own key."""
    service, account = history.service, history.pat.actor.account
    session = new_id("ss", history.now)
    opened = {"assurance": 2, "means": "password_code", "role": "patient", "session": session}
    passkey = "session.stepped_up", {"means": "passkey", "session": session}
    acts: list[tuple[str, Body]] = [
        ("factor.added", {"factor": "password"}),
        ("factor.added", {"factor": "code"}),
        ("session.locked", {"until": format_time(history.now)}),
        ("session.opened", opened),
        ("session.stepped_up", {"means": "recovery", "session": session}),
        ("recovery.used", {"left": 9}),
        passkey,
        ("session.ended", {"reason": "signed_out", "session": session}),
        ("factor.removed", {"factor": "code"}),
    ]
    lost = Actor(service.origin, account, "person", "", new_key())
    recovery = history.key_body(lost, lost.key, "device") | {"recovery": True}
    history.do(service, "key.registered", recovery, f"account/{account}")
    acts.append(("recovery.revoked", {"means": "password"}))
    for kind, body in acts:
        said, v = {"account": account} | body, 2 if (kind, body) == passkey else 1
        history.do(service, kind, said, f"account/{account}", v)


def _others(history: History) -> None:
    """Who comes and goes: admins, systems, doctors, a hospital, keys, a patient whose data is corrected."""
    fixture, admin, stream = (
        history.fixture,
        history.fixture.south.admin,
        f"hospital/{history.fixture.south.hospital}",
    )
    for joins, leaves in (
        ("admin.appointed", "admin.ended"),
        ("system.added", "system.ended"),
        ("doctor.approved", "doctor.suspended"),
        ("doctor.approved", "doctor.ended"),
    ):
        body = {"account": history.account(admin).account}
        history.do(admin, joins, body, stream)
        history.do(admin, leaves, body, stream)
        if leaves == "doctor.suspended":
            history.do(admin, joins, body, stream)
    _applications(history)
    third = {"hospital": new_id("hs", history.now)}
    for _ in range(2):
        named = third | {"name": "Westklinik", "time_zone": "Europe/Berlin"}
        history.do(fixture.operator, "hospital.approved", named, "ledger")
        history.do(fixture.operator, "hospital.suspended", third, "ledger")
    fourth = new_id("hs", history.now)
    named = {"hospital": fourth, "name": "Ostklinik", "time_zone": "Europe/Berlin"}
    history.do(fixture.operator, "hospital.approved", named, "ledger")
    first = {"account": history.account(fixture.operator).account}
    history.do(fixture.operator, "admin.appointed", first, f"hospital/{fourth}")
    person, spare = history.pat.actor.in_role("person"), new_key()
    account = f"account/{person.account}"
    history.do(person, "key.registered", history.key_body(person, spare), account)
    history.do(person, "key.revoked", {"account": person.account, "key": spare.id}, account)
    history.do(person, "key.registered", history.key_body(person, lost := new_key()), account)
    revoked = {"account": person.account, "key": lost.id}
    history.do(fixture.operator, "key.revoked", revoked, account)
    new = {"account": new_id("ac", history.now), "patient": new_id("pt", history.now)}
    own = KeyRequest(new["patient"], (new["patient"], LABEL_KEY))
    system = fixture.north.system
    reserve(fixture.ledger, system.account, [own, KeyRequest(new["account"], (new["account"],))])
    registered = new | {"adult": True, "purpose": "TREAT"}
    history.do(system, "patient.registered", registered, f"patient/{new['patient']}")
    _claimed(history)
    kim = fixture.person("Kim")
    corrected = {"deceased": True, "patient": kim.patient, "purpose": "TREAT"}
    ages: Body = {"adult_from": "2040-01-01T00:00:00.000Z", "teen_from": "2034-01-01T00:00:00.000Z"}
    history.do(fixture.north.system, "patient.corrected", corrected | ages, kim.stream)


def _claimed(history: History) -> None:
    """A chart with a code, then with another one, then claimed."""
    fixture, system = history.fixture, history.fixture.north.system
    person = history.account(fixture.operator)
    patient, made, secret = new_id("pt", history.now), new_id("ac", history.now), os.urandom(16)
    own = KeyRequest(patient, (patient, LABEL_KEY))
    reserve(fixture.ledger, system.account, [own, KeyRequest(made, (made,))])
    stream, named = f"patient/{patient}", {"patient": patient, "purpose": "TREAT"}
    first, second = (b64encode(claim_key(code, patient).public) for code in (bytes(16), secret))
    registered = named | {"account": made, "adult": True, "claim": first}
    history.do(system, "patient.registered", registered, stream, v=2)
    history.do(system, "claim.offered", named | {"claim": second}, stream)
    message = claim_message(fixture.ledger.origin, patient, person.account)
    proof = b64encode(claim_key(secret, patient).sign(message))
    claimed = named | {"account": person.account, "proof": proof}
    history.do(person.in_role("person"), "patient.claimed", claimed, stream)


def _invited(history: History, person: Actor, group: str) -> None:
    """Two invitations of the north hospital: one is withdrawn, one taken up by somebody who applied as well."""
    admin, secret = history.fixture.north.admin, os.urandom(16)
    hospital, now = admin.hospital, history.now
    key, stream = invitation_key(secret, hospital), f"hospital/{hospital}"
    said = {
        "code": b64encode(key.public), "end": format_time(now + 30 * DAY_MS), "group": group, "profession": "nurse",
        "until": format_time(now + DAY_MS),
    }  # fmt: skip
    entries = [history.do(admin, "doctor.invited", said, stream) for _ in range(2)]
    withdrawn = {"invitation": entries[0].event.id}
    history.do(admin, "invitation.withdrawn", withdrawn, stream)
    message = invitation_message(history.fixture.ledger.origin, hospital, person.account)
    joined = {
        "account": person.account, "invitation": entries[1].event.id, "proof": b64encode(key.sign(message)),
    }  # fmt: skip
    history.do(person, "doctor.joined", joined, stream)


def _applications(history: History) -> None:
    """Who applies: one is declined, one approved for a while into a group, two wait; and the same of hospitals."""
    fixture = history.fixture
    admin, stream = fixture.north.admin, f"hospital/{fixture.north.hospital}"
    people = [history.account(fixture.operator) for _ in range(3)]
    applied = []
    for one in people:
        body = {"account": one.account, "profession": "physician"}
        applied.append(history.do(one, "doctor.applied", body, stream).event.id)
    group = new_id("gp", history.now)
    history.do(admin, "group.formed", {"group": group}, stream)
    end = format_time(history.now + DAY_MS)
    approved = {
        "account": people[0].account, "application": applied[0], "end": end, "group": group, "profession": "nurse",
    }  # fmt: skip
    history.do(admin, "doctor.approved", approved, stream, v=2)
    declined = {"account": people[1].account, "application": applied[1], "reason": "not_known"}
    history.do(admin, "doctor.declined", declined, stream)
    _invited(history, people[2], group)
    hospitals = [new_id("hs", history.now) for _ in range(3)]
    for hospital in hospitals:
        named = {"hospital": hospital, "name": SEALED, "time_zone": "Europe/Berlin"}
        reserve(fixture.ledger, people[0].account, [KeyRequest(hospital, (hospital,))])
        history.do(people[0], "hospital.applied", named | {"contact": SEALED}, "ledger")
    named = {"hospital": hospitals[0], "name": "Kurklinik", "time_zone": "Europe/Berlin"}
    history.do(fixture.operator, "hospital.approved", named, "ledger")
    said = {"hospital": hospitals[1], "reason": "not_verified"}
    history.do(fixture.operator, "hospital.declined", said, "ledger")
    _applied_with_system(history, people[0])


def _applied_with_system(history: History, person: Actor) -> None:
    """A hospital that applied with its system's key, which acts for it then."""
    fixture, hospital = history.fixture, new_id("hs", history.now)
    operator, named = fixture.operator, {"hospital": hospital, "time_zone": "Europe/Berlin"}
    system = Actor(person.origin, new_id("ac", history.now), "hospital_system", hospital, new_key())
    key = history.key_body(system, system.key, "system")
    reserve(fixture.ledger, person.account, [KeyRequest(hospital, (hospital,))])
    applied = named | {"contact": SEALED, "name": SEALED, "system": system.account}
    applied |= {name: key[name] for name in ("key", "proof", "public_key")}
    history.do(person, "hospital.applied", applied, "ledger", v=2)
    history.do(operator, "hospital.approved", named | {"name": "Seeklinik"}, "ledger")
    reserve(fixture.ledger, operator.account, [KeyRequest(system.account, (system.account,))])
    account, stream = {"account": system.account}, f"account/{system.account}"
    history.do(operator, "account.registered", account, stream)
    history.do(operator, "key.registered", key, stream)
    history.do(operator, "system.added", account, f"hospital/{hospital}", v=2)


def _records(history: History, staff: Staff) -> tuple[Body, Body, Body, Body]:
    pat, label = history.pat.actor, new_id("l", history.now)
    history.upload(staff.author, category="document", clinical_date="2026-02-03")
    lab = history.upload(history.fixture.north.system, clinical_date="2026-02-03")
    letter = history.upload(staff.author, category="document", labels=[label], sensitive=True)
    history.upload(staff.author, str(lab["record"]), 2, confidentiality="restricted")
    shown, hidden, retracted = (history.upload(staff.author) for _ in range(3))
    for body in (shown, hidden):
        history.do(pat, "record.hidden", {"purpose": "PATRQT", "record": body["record"]})
    history.do(pat, "record.shown", {"purpose": "PATRQT", "record": shown["record"]})
    history.do(
        staff.author, "record.retracted", {"purpose": "TREAT", "record": retracted["record"]}
    )
    own = history.upload(pat, purpose="PATRQT")
    history.do(pat, "record.retracted", {"purpose": "PATRQT", "record": own["record"]})
    return lab, letter, hidden, retracted


def _permits(
    history: History, staff: Staff, group: str, lab: Body, letter: Body, hidden: Body
) -> None:
    """Readings by S1, S5, S6 and S9: full, partial, selective; to a person, a hospital, a group."""
    pat, south = history.pat.actor, history.fixture.south
    history.grant(staff.reader.account, 1, sensitive=True)
    history.grant(
        south.hospital,
        1,
        records=[letter["record"]],
        labels=letter["labels"],
        scope="selective",
        uses=2,
    )
    deny = {"date_to": "2026-01-01", "type": "deny"}
    history.grant(
        group, exceptions=[deny], scope="partial", what={"categories": ["document", "laboratory"]}
    )
    for actor, body in (
        (pat, lab), (pat, hidden), (staff.author, lab), (staff.reader, letter),
        (staff.excluded, letter), (staff.member, letter),
    ):  # fmt: skip
        history.do(actor, "record.opened", reading(body))
    history.do(history.fixture.north.system, "record.carried", reading(lab, "HOPERAT"))
    for actor in (pat, staff.author, staff.reader, staff.member):
        history.do(actor, "chart.opened", {"purpose": "TREAT"})
    for actor in (pat, staff.auditor):
        history.do(actor, "history.opened", {"purpose": "PATRQT"})
    empty = b64encode(hashlib.sha256(b"").digest())
    history.do(pat, "chart.exported", {"count": 0, "purpose": "PATRQT", "root": empty})


def _refusals(
    history: History, staff: Staff, lab: Body, letter: Body, hidden: Body, retracted: Body
) -> None:
    """Readings denied by S1, S2, S3, S7, S8 and S12."""
    pat, opened = history.pat.actor, "record.opened"
    history.do(pat, "reader.excluded", {"purpose": "PATRQT", "reader": staff.excluded.account})
    for actor, kind, body, reason in (
        (staff.auditor, opened, reading(lab), "role"),
        (staff.reader, "history.opened", {"purpose": "TREAT"}, "role"),
        (staff.reader, opened, reading(retracted), "retracted"),
        (staff.weak, opened, reading(letter), "step_up"),
        (staff.excluded, opened, reading(lab), "excluded"),
        (staff.excluded, "chart.opened", {"purpose": "TREAT"}, "excluded"),
        (staff.weak, opened, reading(lab, "BTG"), "emergency_needed"),
        (staff.reader, opened, reading(hidden), "no_consent"),
        (staff.weak, opened, reading(lab), "no_consent"),
    ):
        assert history.refused(actor, kind, body)[1] == reason


def _emergencies(history: History, staff: Staff, letter: Body, hidden: Body) -> None:
    """One is declared, read in up to the ceiling, and reviewed; the patient raises the ceiling, and turns it off."""
    pat, doctor, admin = history.pat.actor, staff.reader, history.fixture.south.admin
    said = {"purpose": "BTG", "reason": "other", "text": SEALED}
    declared = history.do(doctor, "emergency.declared", said).event.id
    assert (
        history.refused(doctor, "record.opened", reading(letter, "BTG"))[1] == "emergency_ceiling"
    )
    history.do(pat, "emergency.configured", {"ceiling": "restricted", "purpose": "PATRQT"})
    history.do(doctor, "record.opened", reading(letter, "BTG"))
    history.do(doctor, "chart.opened", {"purpose": "ETREAT"})
    assert (
        history.refused(doctor, "record.opened", reading(hidden, "BTG"))[1] == "emergency_ceiling"
    )
    assert history.refused(staff.excluded, "emergency.declared", said)[1] == "excluded"
    found = {"emergency": declared, "finding": "justified", "purpose": "HOPERAT", "text": SEALED}
    history.do(admin, "emergency.opened", {"emergency": declared, "purpose": "HOPERAT"})
    history.do(admin, "emergency.reviewed", found)
    history.do(pat, "emergency.configured", {"ceiling": "off", "purpose": "PATRQT"})
    assert history.refused(doctor, "record.opened", reading(letter, "BTG"))[1] == "emergency_off"


def _disclosures(history: History) -> None:
    """One that is told at once; one that the patient is told later, of which the time has come by then."""
    north, pat = history.fixture.north, history.pat
    given = {
        "count": 1, "description": SEALED, "given": format_time(history.now), "list": [SEALED],
        "purpose": "HLEGAL", "recipient": SEALED, "root": b64encode(bytes(32)), "statement": SEALED,
    }  # fmt: skip
    history.do(north.admin, "record.disclosed", given)
    until = format_time(history.now + 1_000)
    later = {"disclosed": given | {"address": SEALED}, "order": SEALED, "until": until}
    withheld = history.do(
        north.system,
        "disclosure.withheld",
        later | {"patient": pat.patient},
        f"hospital/{north.hospital}",
    )
    named = {"disclosure": withheld.event.id, "hospital": north.hospital}
    while history.now <= parse_time(until):
        time.sleep(0.05)
    history.do(history.service, "disclosure.suspended", later | named)


def _relatives(history: History, staff: Staff, lab: Body, hidden: Body) -> None:
    """Two invitations, one of which is withdrawn; what a relative may do on the patient's behalf, and then no more."""
    pat, person = history.pat.actor, history.account(history.fixture.operator).in_role("person")
    secret, patient = os.urandom(16), history.pat.patient
    key, now = invitation_key(secret, patient), history.now
    invited = {
        "actions": ["append", "grant", "list", "read", "read_history"], "code": b64encode(key.public),
        "end": format_time(now + 30 * DAY_MS), "purpose": "PATRQT", "scope": "full", "start": format_time(now),
        "until": format_time(now + DAY_MS),
    }  # fmt: skip
    entries = [history.do(pat, "relative.invited", invited) for _ in range(2)]
    withdrawn = {"invitation": entries[0].event.id, "purpose": "PATRQT"}
    history.do(pat, "relative.unlinked", withdrawn)
    message = invitation_message(history.fixture.ledger.origin, patient, person.account)
    linked = {
        "account": person.account, "invitation": entries[1].event.id, "proof": b64encode(key.sign(message)),
        "purpose": "FAMRQT",
    }  # fmt: skip
    history.do(person, "relative.linked", linked)
    relative = person.in_role("relative").acting_for(pat.account)
    history.do(relative, "record.opened", reading(lab, "FAMRQT"))
    for kind in ("chart.opened", "history.opened"):
        history.do(relative, kind, {"purpose": "FAMRQT"})
    assert history.refused(relative, "record.opened", reading(hidden))[1] == "no_consent"
    history.upload(relative, v=2, purpose="FAMRQT")
    granted = {
        "actions": ["list", "read"], "end": format_time(history.now + DAY_MS), "grant": new_id("gr", history.now),
        "grantee": staff.weak.account, "purpose": "FAMRQT", "scope": "full", "start": format_time(history.now),
    }  # fmt: skip
    history.do(relative, "access.granted", granted, v=3)
    revoked = {"grantee": staff.weak.account, "purpose": "FAMRQT"}
    history.do(relative, "access.revoked", revoked, v=3)
    elsewhere = {"grant": new_id("gr", history.now), "grantee": history.fixture.south.hospital}
    history.do(relative, "access.granted", granted | elsewhere, v=3)
    history.do(relative, "access.revoked", revoked | elsewhere, v=3)
    held: Body = {"record": lab["record"]}
    harm = held | {
        "against": person.account, "kind": "harm", "purpose": "TREAT", "reason": "danger_to_others",
        "until": format_time(history.now + DAY_MS), "words": SEALED,
    }  # fmt: skip
    hold = history.do(staff.author, "hold.placed", harm)
    assert history.refused(relative, "record.opened", reading(lab, "FAMRQT"))[1] == "harm_hold"
    lifted = held | {"hold": hold.event.id, "purpose": "TREAT"}
    history.do(staff.author, "hold.lifted", lifted)
    ended = {"account": person.account, "purpose": "PATRQT"}
    history.do(pat, "relative.unlinked", ended)
    assert history.refused(relative, "record.opened", reading(lab))[1] == "invalid"


def _links(history: History, staff: Staff) -> None:
    """Two charts of people who registered alone: linked by a hospital, signed by both, and one of the two ends it."""
    south, service = history.fixture.south, history.service
    kept_out = staff.excluded
    both: list[Person] = []
    for _ in range(2):
        person, patient = history.account(service), new_id("pt", history.now)
        own = KeyRequest(patient, (patient, LABEL_KEY))
        reserve(history.fixture.ledger, service.account, [own])
        body = {"account": person.account, "adult": True, "patient": patient, "purpose": "PATRQT"}
        history.do(service, "patient.registered", body, f"patient/{patient}")
        both.append(Person(patient, person.in_role("patient")))
    charts = [History(history.fixture, pat) for pat in both]
    written = [chart.upload(south.system) for chart in charts]
    one, other = charts

    def say(who: Actor, chart: History, named: History, kind: str = "patient.linked") -> None:
        own = chart.pat.patient
        said = {"other": named.pat.patient, "patient": own, "purpose": "TREAT"}
        history.do(who, kind, said, f"patient/{own}")

    north_doctor = staff.author
    one.do(one.pat.actor, "reader.excluded", {"purpose": "PATRQT", "reader": kept_out.account})
    other.grant(kept_out.account)
    one.grant(north_doctor.account)
    for first, second in ((one, other), (other, one)):
        say(south.admin, first, second)
    assert other.refused(north_doctor, "record.opened", reading(written[1]))[1] == "no_consent"
    say(one.pat.actor, one, other)
    assert other.refused(north_doctor, "record.opened", reading(written[1]))[1] == "no_consent"
    say(other.pat.actor, other, one)
    opened = other.do(north_doctor, "record.opened", reading(written[1]))
    assert (opened.decision or {})["rule"] == "S9"
    urgent = {"purpose": "BTG", "reason": "other", "text": SEALED}
    assert other.refused(kept_out, "emergency.declared", urgent)[1] == "excluded"
    say(south.system, other, one, "patient.unlinked")
    assert other.refused(north_doctor, "record.opened", reading(written[1]))[1] == "no_consent"
    assert other.refused(kept_out, "emergency.declared", urgent)[1] == "excluded"
    say(other.pat.actor, other, one, "patient.unlinked")
    other.do(kept_out, "emergency.declared", urgent)


def _guardians(history: History) -> None:
    """A child's: one is confirmed, objects to another, and ends; neither counted before."""
    fixture, north, south = history.fixture, history.fixture.north, history.fixture.south
    patient, account = new_id("pt", history.now), new_id("ac", history.now)
    own = KeyRequest(patient, (patient, LABEL_KEY))
    reserve(fixture.ledger, north.system.account, [own, KeyRequest(account, (account,))])
    ages = {"adult_from": "2040-01-01T00:00:00.000Z", "teen_from": "2034-01-01T00:00:00.000Z"}
    nobody = Actor(fixture.ledger.origin, account, "patient", "", new_key())
    child = History(fixture, Person(patient, nobody))
    named = {"account": account, "patient": patient, "purpose": "TREAT"} | ages
    child.do(north.system, "patient.registered", named)
    record = child.upload(north.system)
    first, second = (history.account(fixture.operator).in_role("person") for _ in range(2))
    body = {"account": first.account, "purpose": "TREAT"}
    child.do(north.admin, "guardian.appointed", body)
    guardian = first.in_role("relative").acting_for(account)
    assert child.refused(guardian, "record.opened", reading(record, "FAMRQT"))[1] == "no_consent"
    child.upload(south.system)
    child.do(south.admin, "guardian.confirmed", body)
    child.do(guardian, "record.opened", reading(record, "FAMRQT"))
    other = {"account": second.account, "purpose": "TREAT"}
    child.do(north.admin, "guardian.appointed", other)
    child.do(first, "guardian.objected", other)
    child.do(first, "guardian.ended", body)
    child.do(north.admin, "guardian.ended", other)


def _colleagues(history: History, staff: Staff, lab: Body) -> None:
    """A doctor who was granted the chart lets a colleague use that, and ends it."""
    stream = f"hospital/{staff.reader.hospital}"
    colleague = history.fixture.doctor()
    given = {
        "account": colleague.account, "actions": ["list", "read"], "end": format_time(history.now + DAY_MS),
        "start": format_time(history.now),
    }  # fmt: skip
    history.do(staff.reader, "delegation.given", given, stream)
    acting = colleague.acting_for(staff.reader.account)
    history.do(acting, "record.opened", reading(lab))
    history.do(acting, "chart.opened", {"purpose": "TREAT"})
    history.do(staff.reader, "delegation.ended", {"account": colleague.account}, stream)
    assert history.refused(acting, "record.opened", reading(lab))[1] == "no_consent"


def _requests(history: History, staff: Staff, lab: Body) -> None:
    """Of the patient: answered with less, with no, and by nobody; of the hospital: forwarded, and answered by itself."""
    pat, north, doctor = history.pat.actor, history.fixture.north, history.fixture.doctor()
    asked = {
        "actions": ["list", "read"], "days": 30, "purpose": "TREAT", "scope": "partial", "what": {"categories": ["laboratory"]},
        "words": SEALED,
    }  # fmt: skip
    whole = {name: said for name, said in asked.items() if name != "what"} | {"scope": "full"}
    first = history.do(doctor, "access.requested", whole).event.id
    granted = {
        "actions": ["read"], "end": format_time(history.now + DAY_MS), "grant": new_id("gr", history.now), "purpose": "PATRQT",
        "records": [lab["record"]], "request": first, "scope": "selective", "start": format_time(history.now),
        "verdict": "granted",
    }  # fmt: skip
    history.do(pat, "access.answered", granted)
    history.do(doctor, "record.opened", reading(lab))
    second = history.do(doctor, "access.requested", asked | {"hospital": north.hospital})
    named = {"purpose": "HOPERAT", "request": second.event.id}
    history.do(north.admin, "access.forwarded", named)
    declined = {"purpose": "PATRQT", "request": second.event.id, "verdict": "declined"}
    history.do(pat, "access.answered", declined)
    third = history.do(doctor, "access.requested", asked | {"hospital": north.hospital})
    closed = {"by": second.event.id, "verdict": "disclosed", "purpose": "HOPERAT"}
    history.do(north.admin, "access.closed", closed | {"request": third.event.id})
    history.do(staff.excluded, "access.requested", asked)
    _consultations(history, doctor)
    _referrals(history, lab)


def _consultations(history: History, doctor: Actor) -> None:
    """One that the patient signed, with a note, and closes."""
    said = {
        "categories": ["laboratory"], "end": format_time(history.now + DAY_MS), "purpose": "TREAT", "words": SEALED,
    }  # fmt: skip
    named = {
        "consultation": history.do(doctor, "consultation.opened", said).event.id,
        "purpose": "TREAT",
    }
    history.do(history.pat.actor, "consultation.confirmed", named | {"purpose": "PATRQT"})
    history.do(doctor, "consultation.noted", named | {"words": SEALED})
    # By the policy of this ledger it shows nothing; one that says otherwise would wait for seven days.
    assert history.refused(doctor, "chart.opened", {"purpose": "TREAT"})[1] == "no_consent"
    history.do(history.pat.actor, "consultation.closed", named | {"purpose": "PATRQT"})


def _referrals(history: History, lab: Body) -> None:
    """One that is accepted, taken up and handed back; one that is declined."""
    north, south = history.fixture.north, history.fixture.south
    receiver, key = south.system.in_role("person"), ReceivingKey.generate()
    registered = {
        "account": receiver.account, "algorithm": "x-wing", "custody": "system", "key": key.id,
        "public_key": b64encode(key.public),
    }  # fmt: skip
    history.do(receiver, "key.registered", registered, f"account/{receiver.account}", v=2)
    line = export_line(lab["record"], lab["version"], lab["blob"])
    listed = {"count": 1, "key": key.id, "purpose": "TREAT", "root": b64encode(export_root([line]))}
    sent = listed | {"list": [line.decode()], "to": south.hospital, "words": SEALED}
    asked = {
        "actions": ["read"], "days": 30, "hospital": north.hospital, "purpose": "TREAT", "records": [lab["record"]],
        "scope": "selective", "words": SEALED,
    }  # fmt: skip
    request = history.do(history.fixture.doctor(), "access.requested", asked).event.id
    by = history.do(north.system, "referral.sent", sent).event.id
    closed = {"by": by, "purpose": "HOPERAT", "request": request, "verdict": "referred"}
    history.do(north.admin, "access.closed", closed)
    for answers in (("accepted", "declined"), ("declined",)):
        named = {
            "purpose": "TREAT",
            "referral": history.do(north.system, "referral.sent", sent).event.id,
        }
        for one in answers:
            history.do(south.system, f"referral.{one}", named)
            if one == "accepted":
                history.do(south.system, "referral.taken", listed | named)
        assert history.refused(south.system, "referral.taken", listed | named)[1] == "no_consent"


def _holds_and_erasures(history: History, staff: Staff) -> None:
    """What is held back and for a court, and what the patient has erased of it, and takes back."""
    pat, north, author = history.pat.actor, history.fixture.north, staff.author
    letter = history.upload(author, clinical_date="1990-02-03")
    record, own = letter["record"], history.upload(pat, purpose="PATRQT")
    harm = {
        "against": pat.account, "kind": "harm", "purpose": "TREAT", "reason": "therapeutic", "record": record,
        "until": format_time(history.now + DAY_MS), "words": SEALED,
    }  # fmt: skip
    held = history.do(author, "hold.placed", harm)
    assert history.refused(pat, "record.opened", reading(letter, "PATRQT"))[1] == "harm_hold"
    history.do(pat, "chart.opened", {"purpose": "PATRQT"})
    history.do(author, "hold.lifted", {"hold": held.event.id, "purpose": "TREAT", "record": record})
    for named in ({"record": record}, {}):
        legal = {"kind": "legal", "purpose": "HLEGAL", "reason": "court_order"} | named
        placed = history.do(north.admin, "hold.placed", legal)
        refused = history.refused(pat, "erasure.requested", {"purpose": "PATRQT"} | named)
        assert refused[1] == "legal_hold"
        lifted = {"hold": placed.event.id, "purpose": "HLEGAL"} | named
        history.do(north.admin, "hold.lifted", lifted)
    assert history.refused(pat, "erasure.requested", {"purpose": "PATRQT"})[1] == "retention"
    asked = {"purpose": "PATRQT", "record": record}
    first = history.do(pat, "erasure.requested", asked)
    history.do(pat, "erasure.withdrawn", {"erasure": first.event.id, "purpose": "PATRQT"})
    history.do(pat, "erasure.requested", {"purpose": "PATRQT", "record": own["record"]})
    kim = history.fixture.person("Kim")
    whole = {"purpose": "PATRQT"}
    event = kim.actor.event("erasure.requested", kim.stream, whole, history.now)
    asked_all = entry_of(history.fixture.answer(event, kim.actor.key))
    back = whole | {"erasure": asked_all.event.id}
    event = kim.actor.event("erasure.withdrawn", kim.stream, back, history.now)
    entry_of(history.fixture.answer(event, kim.actor.key))


def _ends(history: History, staff: Staff, group: str, lab: Body) -> None:
    """Policies that narrow and widen, exclusions and grants that end, and readings after each."""
    pat, south = history.pat.actor, history.fixture.south
    narrow = history.policy(custodian_reads=False)
    assert history.refused(staff.author, "record.opened", reading(lab))[1] == "no_consent"
    history.policy(custodian_reads=True, grant_days_max=1_000)
    less = {name: list(may) for name, may in DEFAULT_PROFESSIONS.items()} | {"trainee": ["list"]}
    history.policy(professions=less)
    assert history.fixture.ledger.policy.seq == narrow.link.seq
    history.do(pat, "record.opened", reading(lab, "PATRQT"))
    for reader in (group, south.hospital):
        history.do(pat, "reader.excluded", {"purpose": "PATRQT", "reader": reader})
    assert history.refused(staff.member, "record.opened", reading(lab))[1] == "excluded"
    for reader in (group, south.hospital):
        history.do(pat, "reader.included", {"purpose": "PATRQT", "reader": reader})
    first = history.grant(staff.weak.account, uses=1)
    for v in (2, 1):
        history.grant(staff.weak.account, v, lineage=first)
    body = {"grantee": staff.weak.account, "purpose": "PATRQT"}
    history.do(pat, "access.revoked", body | {"grant": first})
    history.do(pat, "access.revoked", {"grantee": group, "purpose": "PATRQT"}, v=2)
    named = {"grant": history.grant(group), "grantee": group}
    history.do(pat, "access.revoked", named | {"purpose": "PATRQT"}, v=2)
    assert history.refused(staff.member, "record.opened", reading(lab))[1] == "no_consent"
