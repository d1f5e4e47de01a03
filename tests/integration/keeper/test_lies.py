"""A stolen server: another program that holds the log's keys and the service's, and writes into the log what it likes.

It goes on from the true log without its rules, gives the keeper its entries to read, and asks for a record's key. What
it can't do is sign for others. It gets nothing, and the keeper goes on serving the true log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import ledger.sequencer
from api.app.settings import Settings
from client.signers import possession
from consent.gate import gate
from consent.replay import Replay
from crypto.encoding import b64encode
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.sealing import reserve
from keeper.alarms import every_alarm
from keeper.errors import KeeperRefused
from keeper.following import FollowedLog
from keeper.protocol import Alarm, Evidence, KeyRequest, NewBlob, Wrapped
from keeper.roots import load_root
from ledger.chain import Link
from ledger.checkpoint import Checkpoint
from ledger.directory import Key
from ledger.entry import Entry
from ledger.event import Event, Signature, sign_event
from ledger.facts import sha256_of
from ledger.merkle import leaf_hash, tree_paths
from ledger.messages import claim_message
from ledger.policies import POLICY_WAIT_MS, last_policy
from ledger.receipt import Receipt
from ledger.rows import Look
from ledger.sequencer import Judged, Proposal
from ledger.signers import created_ids
from ledger.times import DAY_MS, format_time
from records.opening import find_record
from storage.feeding import feed
from storage.keytable import LABEL_KEY
from storage.ledger import Ledger
from tests.integration.keeper.test_keeper import Ask, request
from tests.support.alarms import raise_alarms
from tests.support.commands import heartwood
from tests.support.copies import copy_ledger
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import LedgerFixture, entry_of, keys_of
from tests.support.people import People

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

NOT_SIGNED = bytes(64)
HOUR_MS, MINUTE_MS = 3_600_000, 60_000


@dataclass
class Thief:
    """The stolen server: it writes what it likes after the true log's end, and asks."""

    people: People
    true: Ledger
    own: Ledger
    """Its copy of the log, with the same keys, on which every event is permitted."""

    @property
    def now(self) -> int:
        """The clock, Unix ms."""
        return self.own.clock()

    def write(self, event: dict[str, Any], key: SigningKey | None = None) -> Entry:
        """An event, signed by a key that it has, or by nobody."""
        made = Event.of(event)
        if key is None:
            sig = Signature(self.people.pat.actor.key.id, NOT_SIGNED)
        else:
            sig = sign_event(key, self.own.origin, made.raw)
        return entry_of(self.own.append([Proposal(made, sig)])[0])

    def ask(self, reading: Entry) -> Ask:
        """What it asks of the true keeper, for the record's key."""
        return request(self.people, self.own, reading)

    def upload(self, **bent: Any) -> dict[str, Any]:
        """An upload by the hospital that wrote the record, staged here."""
        here = replace(self.people, fixture=replace(self.people.fixture, ledger=self.own))
        return here.upload(**bent)

    def opened(self, by: Actor | None = None, **bent: Any) -> Ask:
        """A reading by somebody who really signed it, and the request for its key."""
        who = by or self.people.doctor
        return self.ask(self.write(self.people.reading(who, **bent), who.key))


def permit(event: Event, key: Key, seq: int, time: int, look: Look, session: int | None) -> Judged:
    """The gate of a server that follows no rule, and says what a true one says of what it permits."""
    found = gate(event, key, seq, time, look, session)
    decision = {**found.decision, "effect": "permit", "rule": "S9", "basis": [0]}
    decision.pop("reason", None)
    return found if found.decision["effect"] == "permit" else Judged(decision, found.shown)


@pytest.fixture
def thief(
    fixture: LedgerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Thief]:
    """The people of a ledger, and the thief of its server."""
    people = People.of(fixture)
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    copy = copy_ledger(fixture.settings, tmp_path / "stolen")
    fixture.ledger = opened(fixture.settings)
    own = opened(copy, judge=permit)
    monkeypatch.setattr(
        ledger.sequencer,
        "check_event",
        lambda event, key, seq, time, origin, look: created_ids(event, look),
    )
    monkeypatch.setattr(
        ledger.sequencer,
        "known_key",
        lambda event, key, look: look.get(Key, key),
    )
    yield Thief(people, fixture.ledger, own)
    own.close()


Lie = Callable[[Thief], Ask]
LIES: dict[str, tuple[Lie, str]] = {}


def lie(said: str) -> Callable[[Lie], Lie]:
    """One of the lies, and what the keeper says to it."""

    def add(made: Lie) -> Lie:
        LIES[made.__name__.strip("_").replace("_", " ")] = made, said
        return made

    return add


def granted(thief: Thief, key: SigningKey | None, **bent: Any) -> Entry:
    """A grant to the doctor in the patient's name."""
    return thief.write(thief.people.grant(**bent), key)


@lie("is not what the rules give")
def _a_permit_without_consent(thief: Thief) -> Ask:
    return thief.opened()


@lie("signature")
def _a_grant_that_nobody_signed(thief: Thief) -> Ask:
    granted(thief, None)
    return thief.opened()


@lie("not a key of|key")
def _a_grant_signed_by_the_doctor(thief: Thief) -> Ask:
    granted(thief, thief.people.doctor.key)
    return thief.opened()


@lie("not registered for")
def _a_grant_signed_by_the_service(thief: Thief) -> Ask:
    granted(thief, thief.own.log._service[1])  # type: ignore[index]
    return thief.opened()


@lie("expected one of patient")
def _a_grant_by_the_doctor_in_their_own_name(thief: Thief) -> Ask:
    doctor, grant = thief.people.doctor, thief.people.grant()
    thief.write(
        doctor.event("access.granted", grant["stream"], grant["body"], thief.now), doctor.key
    )
    return thief.opened()


@lie("key")
def _a_key_of_the_patient_that_nobody_vouched_for(thief: Thief) -> Ask:
    return _with_a_new_key(thief, thief.people.pat.actor, new_key())


@lie("vouch|role|key")
def _a_key_of_the_patient_that_the_doctor_vouched_for(thief: Thief) -> Ask:
    return _with_a_new_key(thief, thief.people.doctor, thief.people.doctor.key)


def _with_a_new_key(thief: Thief, voucher: Actor, key: SigningKey) -> Ask:
    from tests.support.histories import History

    pat, made = thief.people.pat.actor, new_key()
    body = History(thief.people.fixture, thief.people.pat).key_body(pat, made)
    stream = f"account/{pat.account}"
    thief.write(voucher.event("key.registered", stream, body, thief.now), key)
    granted(thief, made)
    return thief.opened()


@lie("signature")
def _a_reading_that_nobody_signed(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key)
    event = Event.of(thief.people.reading())
    sig = Signature(thief.people.doctor.key.id, NOT_SIGNED)
    return thief.ask(entry_of(thief.own.append([Proposal(event, sig)])[0]))


@lie("signature")
def _a_reading_signed_for_another_log(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key)
    event = Event.of(thief.people.reading())
    sig = sign_event(thief.people.doctor.key, "heartwood.example/other", event.raw)
    return thief.ask(entry_of(thief.own.append([Proposal(event, sig)])[0]))


@lie("not a key of its actor|rules give")
def _a_reading_signed_by_another_doctor(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key)
    return thief.ask(thief.write(thief.people.reading(), thief.people.fixture.south.admin.key))


@lie("rules give")
def _a_reading_for_a_purpose_that_was_not_granted(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key, purposes=["HRESCH"])
    return thief.opened(purpose="TREAT")


@lie("rules give")
def _a_grant_of_another_record(thief: Thief) -> Ask:
    other = thief.write(thief.upload(), thief.people.fixture.north.system.key)
    bent = {"scope": "selective", "records": [other.event.body["record"]]}
    granted(thief, thief.people.pat.actor.key, **bent)
    return thief.opened()


@lie("rules give")
def _a_grant_that_is_used_up(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key, uses=1)
    thief.opened()
    return thief.opened()


@lie("rules give")
def _a_grant_that_ended(thief: Thief) -> Ask:
    start, end = format_time(thief.now - 2 * DAY_MS), format_time(thief.now - DAY_MS)
    granted(thief, thief.people.pat.actor.key, start=start, end=end)
    return thief.opened()


@lie("rules give")
def _a_grant_that_the_patient_revoked(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key)
    thief.write(thief.people.revocation(), thief.people.pat.actor.key)
    return thief.opened()


def _excluded(thief: Thief) -> str:
    pat, body = thief.people.pat, {"purpose": "PATRQT", "reader": thief.people.doctor.account}
    granted(thief, pat.actor.key)
    thief.write(pat.actor.event("reader.excluded", pat.stream, body, thief.now), pat.actor.key)
    return body["reader"]


@lie("rules give")
def _a_reader_whom_the_patient_excluded(thief: Thief) -> Ask:
    _excluded(thief)
    return thief.opened()


@lie("signature")
def _an_exclusion_that_is_lifted_by_nobody(thief: Thief) -> Ask:
    body = {"purpose": "PATRQT", "reader": _excluded(thief)}
    pat = thief.people.pat
    thief.write(pat.actor.event("reader.included", pat.stream, body, thief.now))
    return thief.opened()


def _hidden(thief: Thief) -> dict[str, Any]:
    pat, body = thief.people.pat, {"purpose": "PATRQT", "record": thief.people.record}
    granted(thief, pat.actor.key)
    thief.write(pat.actor.event("record.hidden", pat.stream, body, thief.now), pat.actor.key)
    return body


@lie("rules give")
def _a_record_that_the_patient_hid(thief: Thief) -> Ask:
    _hidden(thief)
    return thief.opened()


@lie("signature")
def _a_record_that_nobody_shows_again(thief: Thief) -> Ask:
    pat, body = thief.people.pat, _hidden(thief)
    thief.write(pat.actor.event("record.shown", pat.stream, body, thief.now))
    return thief.opened()


@lie("signature")
def _an_amendment_that_nobody_signed(thief: Thief) -> Ask:
    granted(thief, thief.people.pat.actor.key)
    people, system = thief.people, thief.people.fixture.north.system
    body = thief.upload()["body"] | {"record": people.record, "version": 2}
    blob = NewBlob(people.record, new_id("bl", thief.now), bytes(32), bytes(32))
    reserve(
        thief.own, system.account, [KeyRequest(people.pat.patient, (), (blob,))], {blob.blob: 21}
    )
    body |= {"blob": blob.blob, "sha256": b64encode(blob.sha256)}
    event = system.event("record.amended", people.pat.stream, body, thief.now)
    made = Event.of(event)
    sig = Signature(thief.people.fixture.north.system.key.id, NOT_SIGNED)
    entry_of(thief.own.append([Proposal(made, sig)])[0])
    return thief.opened()


@lie("role|rules give")
def _a_doctor_whom_the_hospital_never_approved(thief: Thief) -> Ask:
    doctor, south = thief.people.doctor, thief.people.fixture.south
    body = {"account": doctor.account}
    thief.write(
        doctor.event("admin.appointed", f"hospital/{south.hospital}", body, thief.now), doctor.key
    )
    return thief.opened(replace(doctor, role="hospital_admin", hospital=south.hospital))


@lie("role|key|rules give")
def _a_policy_that_the_operator_never_signed(thief: Thief) -> Ask:
    operator, doctor = thief.people.fixture.operator, thief.people.doctor
    with thief.own.database.read() as connection:
        created = Entry.parse(thief.own.store.entry(connection, 0)).event.body
    policy = created["policy"] | {"custodian_reads": True, "refusals_per_hour": 21}
    body = {"policy": policy, "registry": created["registry"]}
    thief.write(operator.event("policy.changed", "ledger", body, thief.now), doctor.key)
    return thief.opened()


def _claim(thief: Thief, patient: str, code: SigningKey, account: str) -> None:
    """The doctor, who is in league with the thief, claims a chart; `code` signs for `account`."""
    doctor = thief.people.doctor.in_role("person")
    proof = b64encode(code.sign(claim_message(thief.own.origin, patient, account)))
    body = {"account": doctor.account, "patient": patient, "proof": proof, "purpose": "PATRQT"}
    thief.write(doctor.event("patient.claimed", f"patient/{patient}", body, thief.now), doctor.key)


def _waiting(thief: Thief, code: SigningKey) -> str:
    """A chart that the hospital really registered with a code, which waits for its patient."""
    event = thief.people.registration(claim=b64encode(code.public)) | {"v": 2}
    patient = event["body"]["patient"]
    own = KeyRequest(patient, (patient, LABEL_KEY))
    account = KeyRequest(event["body"]["account"], (event["body"]["account"],))
    system = thief.people.fixture.north.system
    reserve(thief.own, system.account, [own, account])
    thief.write(event, system.key)
    return str(patient)


@lie("not to be claimed")
def _a_claim_of_a_chart_that_waits_for_nobody(thief: Thief) -> Ask:
    doctor = thief.people.doctor
    _claim(thief, thief.people.pat.patient, new_key(), doctor.account)
    return thief.opened(replace(doctor, role="patient", hospital=""))


@lie("not to be claimed with this code")
def _a_claim_by_a_code_that_the_thief_made_up(thief: Thief) -> Ask:
    _claim(thief, _waiting(thief, new_key()), new_key(), thief.people.doctor.account)
    return thief.opened()


@lie("not to be claimed with this code")
def _a_claim_that_was_signed_for_another_account(thief: Thief) -> Ask:
    """What the thief saw of the true patient's claim."""
    code = new_key()
    _claim(thief, _waiting(thief, code), code, thief.people.kim.actor.account)
    return thief.opened()


@pytest.mark.parametrize("name", LIES)
def test_a_stolen_server_gets_nothing(thief: Thief, name: str) -> None:
    """Whatever it wrote, no key comes for it; and an honest reading of the true log still gets one."""
    tell, said = LIES[name]
    keeper = keeper_of(thief.true)
    asked = tell(thief)
    with pytest.raises(KeeperRefused, match=said):
        asked.put(keeper)


def test_a_permit_that_the_rules_do_not_give_is_an_alarm(thief: Thief) -> None:
    """It stands in the log that was read, so it is there for all to see; the alarm outlives the keeper's process."""
    with pytest.raises(KeeperRefused):
        _a_permit_without_consent(thief).put(keeper_of(thief.true))
    assert keeper_of(thief.true).standing().alarms == 1
    thief.people.fixture.reopen()
    (alarm,) = keeper_of(thief.people.fixture.ledger)._followed.alarms()
    assert alarm.taken and alarm.seq == thief.own.head().size - 1


def test_the_thief_gets_what_is_right(thief: Thief) -> None:
    """The same ways lead to a key where all is as it should be: the lies fail for what is wrong with them."""
    granted(thief, thief.people.pat.actor.key)
    assert len(thief.opened().put(keeper_of(thief.true))) == 32


def test_there_are_twenty_lies(fixture: LedgerFixture) -> None:
    assert len(LIES) >= 20


def test_what_was_refused_leaves_the_true_log_alone(thief: Thief) -> None:
    """Entries that the keeper refused to read don't stand in its way where the true log goes on."""
    asked = _a_grant_that_nobody_signed(thief)
    with pytest.raises(KeeperRefused):
        asked.put(keeper_of(thief.true))
    people = thief.people
    entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
    reading = entry_of(people.fixture.answer(people.reading(), people.doctor.key))
    assert len(request(people, thief.true, reading).put(keeper_of(thief.true))) == 32


def test_what_was_refused_is_told_apart_and_can_be_cleared(thief: Thief) -> None:
    """By the keeper's operator alone; an alarm of an entry that stands in the log stays."""
    fixture = thief.people.fixture
    with pytest.raises(KeeperRefused):
        _a_grant_that_nobody_signed(thief).put(keeper_of(thief.true))
    stands = keeper_of(thief.true).standing()
    assert (stands.alarms, stands.refused) == (0, 1)
    fixture.ledger.close()
    ran = heartwood(fixture.settings, "keeper", "alarms")
    assert ran.code == 1 and "refused: entry" in ran.out and "ALARM" not in ran.out
    assert "--clear-refused" in ran.out
    cleared = heartwood(fixture.settings, "keeper", "alarms", "--clear-refused")
    assert cleared.code == 0 and "cleared: entry" in cleared.out
    ran = heartwood(fixture.settings, "keeper", "alarms")
    assert ran.code == 0 and "no alarm" in ran.out
    fixture.ledger = opened(fixture.settings)


def test_an_alarm_of_the_log_is_not_cleared(thief: Thief) -> None:
    """It is true for ever."""
    with pytest.raises(KeeperRefused):
        _a_permit_without_consent(thief).put(keeper_of(thief.true))
    followed = keeper_of(thief.true)._followed
    assert followed.clear_refused() == []
    assert followed.count_alarms() == (1, 0)


def test_many_alarms_are_given_in_pages(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, those of one entry together; so many fit into no message."""
    keeper = keeper_of(fixture.ledger)
    raise_alarms(
        keeper, *(Alarm(n // 2, f"wrong {n}", "it is not signed", taken=n != 7) for n in range(40))
    )
    monkeypatch.setattr("keeper.following.ALARMS_PAGE", 5)
    assert 5 <= len(keeper.alarms()) <= 6 and keeper.alarms(20) == []
    assert [one.wrong for one in every_alarm(keeper)] == [f"wrong {n}" for n in range(40)]
    assert [one.seq for one in keeper.alarms(18)] == [18, 18, 19, 19]


def test_alarms_of_the_log_leave_room_for_what_is_refused(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: only what was refused counts in its limit."""
    monkeypatch.setattr("keeper.following.REFUSED_KEPT", 3)
    raise_alarms(keeper_of(thief.true), *(Alarm(n, "clock", "late") for n in range(5)))
    with pytest.raises(KeeperRefused):
        _a_grant_that_nobody_signed(thief).put(keeper_of(thief.true))
    stands = keeper_of(thief.true).standing()
    assert (stands.alarms, stands.refused) == (5, 1)


class Forge:
    """What such a server makes by hand: entries after the true log's, as its own program would never take them."""

    def __init__(self, thief: Thief, upto: int | None = None) -> None:
        """Goes on from the true log's first `upto` entries, or from all of them."""
        self.ledger, self.keeper = thief.true, keeper_of(thief.true)
        with self.ledger.database.read() as connection:
            self.raws = self.ledger.store.range(connection, 0, upto or self.ledger.head().size)
        self.rules = Replay()
        for raw in self.raws:
            self.rules.take(raw)
        folder = keys_of(thief.people.fixture.settings)
        seeds = [load_root(folder / f"log-{name}.seed", None) for name in ("ed25519", "ml-dsa-44")]
        self._signer = LogSigner(self.ledger.origin, *seeds)

    def add(self, event: Event, sig: Signature, at: int = 0) -> int:
        """Append an event, with the decision that the rules give on it; gives its number. `at`: Unix ms, or 0 for now."""
        seq, last = len(self.raws), Entry.parse(self.raws[-1])
        link = Link(seq, leaf_hash(self.raws[-1]), last.link.stream_seq, last.link.stream_prev)
        time, decision = max(at or self.ledger.clock(), last.time), None
        if event.type.gated:
            key = self.rules.rows.get(Key, sig.key)
            assert key is not None
            decision = gate(event, key, seq, time, self.rules.rows).decision
        self.raws.append(Entry.make(event, sig, link, time, decision).raw)
        self.rules.take(self.raws[-1])
        return seq

    def note(self) -> bytes:
        """The checkpoint of it all, under the log's own keys."""
        root = tree_paths([leaf_hash(raw) for raw in self.raws])[0]
        shown = Checkpoint(self.ledger.origin, len(self.raws), root)
        return self._signer.sign(shown, self.ledger.clock() // 1000)

    def follow(self) -> None:
        """Give the keeper to read what it has not; raises KeeperRefused."""
        size = self.keeper.standing().read
        assert self.keeper.follow(size, self.raws[size:], self.note(), ()) == len(self.raws)

    def receipts(self, *seqs: int) -> list[Receipt]:
        """The receipts of entries."""
        paths, note = tree_paths([leaf_hash(raw) for raw in self.raws])[1], self.note()
        return [Receipt(self.raws[n], n, paths[n], note) for n in seqs]

    def key_of(self, people: People, seq: int) -> object:
        """What the keeper gives for a reading of the record, which was read up to here."""
        shown = self.receipts(seq)
        wrapped = self.ledger.keys.blob_key(people.blob)
        version = find_record(self.ledger, people.record).versions[0]
        return self.keeper.release(
            Evidence(tuple(shown), len(self.raws), ()),
            Wrapped(wrapped.patient, wrapped.blob, wrapped.version, wrapped.wrapped),
            people.record,
            sha256_of(version),
        )


def test_no_entries_of_a_fork_make_it_the_branch(thief: Thief) -> None:
    """A checkpoint of as many entries as were read, and none to read: nothing is followed, or cosigned."""
    people = thief.people
    entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
    feed(thief.true, thief.true.head().size)
    keeper, size = keeper_of(thief.true), thief.true.head().size
    before = keeper.standing()
    forge = Forge(thief, size - 1)
    event = Event.of(people.grant())
    forge.add(event, Signature(people.pat.actor.key.id, NOT_SIGNED))
    for since in (0, size - 1, size):
        keeper.follow(since, [], forge.note(), ())
        keeper.follow(since, forge.raws[since + 1 :], forge.note(), ())
        assert keeper.standing() == before
    with pytest.raises(KeeperRefused):
        keeper.cosign(size, forge.note(), ())
    people.fixture.reopen()
    assert keeper_of(people.fixture.ledger).standing() == before


def test_another_log_is_not_this_one_restored(thief: Thief, tmp_path: Path) -> None:
    """A log of the same name and keys, with an operator of the thief's own, who declares a restoration."""
    other = LedgerFixture.found(Settings(data=tmp_path / "other"), origin=thief.true.origin)
    forge = Forge(thief)
    with other.ledger.database.read() as connection:
        forge.raws = other.ledger.store.range(connection, 0, 2)
    body = {
        "last_root": b64encode(bytes(32)), "last_size": 1_000_000, "root": b64encode(bytes(32)), "size": 2
    }  # fmt: skip
    event = Event.of(other.operator.event("ledger.restored", "ledger", body, thief.now))
    seq = forge.add(event, sign_event(other.operator.key, thief.true.origin, event.raw))
    other.close()
    before = keeper_of(thief.true).standing()
    with pytest.raises(KeeperRefused, match="this is another log"):
        keeper_of(thief.true).accept_restored(*forge.receipts(seq, 0))
    assert keeper_of(thief.true).standing() == before


def test_a_reading_that_stands_in_the_log_already(thief: Thief) -> None:
    """It was signed once: written again, it is an alarm and gets nothing."""
    people = thief.people
    entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
    old = entry_of(people.fixture.answer(people.reading(), people.doctor.key))
    forge = Forge(thief)
    seq = forge.add(old.event, old.sig)
    forge.follow()
    with pytest.raises(KeeperRefused, match="stands in the log already"):
        forge.key_of(people, seq)


def test_a_consent_that_stands_in_the_log_already(thief: Thief) -> None:
    """An exclusion that was lifted once, and made again, is not lifted by the same words."""
    people, pat = thief.people, thief.people.pat
    body = {"purpose": "PATRQT", "reader": people.doctor.account}
    done = [
        entry_of(people.fixture.answer(pat.actor.event(f"reader.{what}", pat.stream, body, thief.now), pat.actor.key))
        for what in ("excluded", "included", "excluded")
    ]  # fmt: skip
    forge = Forge(thief)
    forge.add(done[1].event, done[1].sig)
    with pytest.raises(KeeperRefused, match="stands in the log already"):
        forge.follow()


def test_a_consent_that_stands_in_the_log_already_once_the_policy_allows_more(thief: Thief) -> None:
    """A policy that lets authors' clocks be further off counts a week later: what was put in just before it counts once."""
    people, pat, fixture = thief.people, thief.people.pat, thief.people.fixture
    last = last_policy(thief.own.policies())
    start = thief.now
    widens = start + POLICY_WAIT_MS
    fixture.reopen(lambda: widens + 1)
    forge = Forge(replace(thief, true=fixture.ledger))

    def write(by: Actor, kind: str, stream: str, body: dict[str, Any], at: int) -> Entry:
        event = Event.of(by.event(kind, stream, body, at))
        seq = forge.add(event, sign_event(by.key, thief.true.origin, event.raw), at)
        forge.follow()
        return Entry.parse(forge.raws[seq])

    wider = {"policy": last.policy | {"clock_skew_ms": HOUR_MS}, "registry": last.registry}
    write(fixture.operator, "policy.changed", "ledger", wider, start)
    body = {"purpose": "PATRQT", "reader": people.doctor.account}
    times = {"excluded": 50, "included": 40}
    done = {
        what: write(pat.actor, f"reader.{what}", pat.stream, body, widens - minutes * MINUTE_MS)
        for what, minutes in times.items()
    }
    write(pat.actor, "reader.excluded", pat.stream, body, widens - MINUTE_MS)
    forge.add(done["included"].event, done["included"].sig, widens + 1)
    with pytest.raises(KeeperRefused, match="stands in the log already"):
        forge.follow()


def test_an_entry_of_tomorrow(thief: Thief) -> None:
    """A log whose time runs ahead of the keeper's clock is not followed there: what waits in it would have waited."""
    people, forge = thief.people, Forge(thief)
    event = Event.of(people.grant() | {"at": format_time(thief.now + 2 * HOUR_MS)})
    forge.add(
        event,
        sign_event(people.pat.actor.key, thief.true.origin, event.raw),
        thief.now + 2 * HOUR_MS,
    )
    before = forge.keeper.standing().read
    with pytest.raises(KeeperRefused, match="more than an hour ahead of the keeper's clock"):
        forge.follow()
    assert forge.keeper.standing().read == before


def put_in_by_recovery(thief: Thief, forge: Forge, at: int) -> Actor:
    """The patient with a key of the thief's, which the hospital that registered them vouches for as after a loss."""
    pat, system = thief.people.pat, thief.people.fixture.north.system
    stolen = replace(pat.actor, key=new_key())
    proof = possession(stolen.key, thief.true.origin, stolen.account)
    body = {
        "account": stolen.account, "algorithm": "ed25519", "custody": "device", "key": stolen.key.id, "proof": proof,
        "public_key": b64encode(stolen.key.public), "recovery": True,
    }  # fmt: skip
    event = Event.of(system.event("key.registered", f"account/{stolen.account}", body, at))
    forge.add(event, sign_event(system.key, thief.true.origin, event.raw), at)
    return stolen


def test_a_recovery_that_says_it_was_days_ago(thief: Thief) -> None:
    """In a log where nothing else is written: by the keeper's clock its key waits all the same, over a restart too."""
    fixture, days = thief.people.fixture, 3 * DAY_MS
    begun = thief.now
    fixture.reopen(lambda: begun + days)
    forge = Forge(replace(thief, true=fixture.ledger))
    stolen = put_in_by_recovery(thief, forge, begun + 1)
    forge.follow()
    grant = Event.of(thief.people.grant() | {"at": format_time(begun + days)})
    forge.add(grant, sign_event(stolen.key, thief.true.origin, grant.raw), begun + days)
    for _ in range(2):
        with pytest.raises(
            KeeperRefused, match="put in by recovery: by the keeper's clock it waits"
        ):
            forge.follow()
        fixture.reopen(lambda: begun + days + HOUR_MS)
        forge.keeper = keeper_of(fixture.ledger)
    fixture.reopen(lambda: begun + days + DAY_MS)
    forge.keeper = keeper_of(fixture.ledger)
    forge.follow()


def recovered_while_it_was_down(fixture: LedgerFixture) -> tuple[int, int]:
    """An honest log, in which a patient's key of a recovery signs a grant 25 hours later; the keeper read neither.

    Gives the grant's number, and when it was made (Unix ms).
    """
    people = People.of(fixture)
    feed(fixture.ledger, fixture.size())
    begun, pat, system = fixture.ledger.clock(), people.pat, fixture.north.system
    anew = replace(pat.actor, key=new_key())
    proof = possession(anew.key, fixture.ledger.origin, anew.account)
    body = {
        "account": anew.account, "algorithm": "ed25519", "custody": "device", "key": anew.key.id, "proof": proof,
        "public_key": b64encode(anew.key.public), "recovery": True,
    }  # fmt: skip
    event = system.event("key.registered", f"account/{anew.account}", body, begun)
    entry_of(fixture.answer(event, system.key))
    later = begun + 25 * HOUR_MS
    fixture.reopen(lambda: later)
    grant = people.grant() | {"at": format_time(later)}
    return entry_of(fixture.answer(grant, anew.key)).link.seq, later


def test_a_keeper_that_was_down_over_a_recovery_goes_on(fixture: LedgerFixture) -> None:
    """It is given the key and what the key signed at once: it reads up to that, and 23 hours later on."""
    seq, later = recovered_while_it_was_down(fixture)
    with pytest.raises(KeeperRefused, match="by the keeper's clock it waits"):
        feed(fixture.ledger, fixture.size())
    assert keeper_of(fixture.ledger).standing().read == seq
    fixture.reopen(lambda: later + 22 * HOUR_MS)
    with pytest.raises(KeeperRefused, match="by the keeper's clock it waits"):
        feed(fixture.ledger, fixture.size())
    fixture.reopen(lambda: later + 23 * HOUR_MS)
    feed(fixture.ledger, fixture.size())
    assert keeper_of(fixture.ledger).standing().read == fixture.size() == seq + 1


@pytest.mark.parametrize("tried", [True, False])
def test_a_keeper_that_was_down_over_a_recovery_is_told_to_believe(
    fixture: LedgerFixture, tried: bool
) -> None:
    """By its operator, on its machine, before or after it met the log."""
    seq, later = recovered_while_it_was_down(fixture)
    if tried:
        with pytest.raises(KeeperRefused):
            feed(fixture.ledger, fixture.size())
    size = fixture.size()
    fixture.ledger.close()
    ran = heartwood(fixture.settings, "keeper", "believe", str(size))
    assert ran.code == 0 and f"the first {size} entries" in ran.out
    assert ("waits no more" in ran.out) is tried
    fixture.ledger = opened(fixture.settings, clock=lambda: later)
    feed(fixture.ledger, size)
    assert keeper_of(fixture.ledger).standing().read == size == seq + 1


def restored_with_a_recovery(thief: Thief) -> tuple[Forge, Forge, list[int]]:
    """Two logs that go on differently from one `ledger.restored` that the operator signed, and its numbers there.

    The second one has a key of a recovery after it, and days later an act of that key.
    """
    fixture, days = thief.people.fixture, 3 * DAY_MS
    begun = thief.now
    fixture.reopen(lambda: begun + days)
    here = replace(thief, true=fixture.ledger)
    feed(fixture.ledger, fixture.size())
    forges = Forge(here, fixture.size() - 1), Forge(here, fixture.size() - 1)
    head = len(forges[0].raws)
    root = tree_paths([leaf_hash(raw) for raw in forges[0].raws])[0]
    body = {
        "last_root": b64encode(keeper_of(fixture.ledger).seen.root), "last_size": fixture.size() + 10,
        "root": b64encode(root), "size": head,
    }  # fmt: skip
    event = Event.of(fixture.operator.event("ledger.restored", "ledger", body, begun))
    sig = sign_event(fixture.operator.key, thief.true.origin, event.raw)
    seqs = [forge.add(event, sig, begun) for forge in forges]
    stolen = put_in_by_recovery(here, forges[1], begun + 1)
    grant = Event.of(thief.people.grant() | {"at": format_time(begun + days)})
    forges[1].add(grant, sign_event(stolen.key, thief.true.origin, grant.raw), begun + days)
    return *forges, seqs


def test_what_comes_after_a_restoration_waits(thief: Thief) -> None:
    """The operator signed for what is before it: a key of a recovery that was put in after it was never read of."""
    _, forge, (_, seq) = restored_with_a_recovery(thief)
    forge.keeper.accept_restored(*forge.receipts(seq, 0))
    with pytest.raises(KeeperRefused, match="by the keeper's clock it waits"):
        forge.follow()


def test_a_restoration_is_accepted_once(thief: Thief) -> None:
    """The same words, in a log that goes on differently, take nothing back that was read since."""
    true, forge, (first, second) = restored_with_a_recovery(thief)
    true.keeper.accept_restored(*true.receipts(first, 0))
    true.follow()
    before = true.keeper.standing()
    forge.raws = forge.raws[: second + 1]
    other = put_in_by_recovery(replace(thief, true=forge.ledger), true, forge.ledger.clock())
    assert other.key is not None
    true.follow()
    before = true.keeper.standing()
    with pytest.raises(KeeperRefused, match="was accepted before"):
        forge.keeper.accept_restored(*forge.receipts(second, 0))
    assert true.keeper.standing() == before
    true.keeper.accept_restored(*true.receipts(first, 0))
    assert true.keeper.standing() == before


def test_what_the_log_did_not_sign_raises_no_alarm(thief: Thief) -> None:
    """Whoever may call can say anything: only entries under a checkpoint of the log's are told of as wrong."""
    keeper, head = keeper_of(thief.true), thief.true.head()
    size = keeper.standing().read
    for raws in ([b"{}"], [b"{}", b"[]"]):
        with pytest.raises(KeeperRefused):
            keeper.follow(size, raws, head.checkpoint, ())
    forge = Forge(thief)
    forge.raws.append(b"{}")
    with pytest.raises(KeeperRefused):
        keeper.follow(size, [b"[]"], forge.note(), ())
    assert keeper.standing().refused == 0
    with pytest.raises(KeeperRefused):
        keeper.follow(size, [b"{}"], forge.note(), ())
    assert keeper.standing().refused == 1


def test_a_recovery_that_was_read_before_is_believed(thief: Thief, tmp_path: Path) -> None:
    """A new keeper, or one whose reading was lost, reads a log that says that the key waited."""
    fixture, days = thief.people.fixture, 3 * DAY_MS
    begun = thief.now
    forge = Forge(replace(thief, true=fixture.ledger))
    recovered = put_in_by_recovery(thief, forge, begun)
    grant = Event.of(thief.people.grant() | {"at": format_time(begun + days)})
    forge.add(grant, sign_event(recovered.key, thief.true.origin, grant.raw), begun + days)
    followed = FollowedLog(tmp_path / "new.db", thief.true.origin)
    root = tree_paths([leaf_hash(raw) for raw in forge.raws])[0]
    shown, nothing = (Checkpoint(thief.true.origin, len(forge.raws), root), Checkpoint("", 0, b""))
    assert followed.take(0, forge.raws, shown, (), nothing, begun + days) == len(forge.raws)
    followed.close()


def test_a_grant_that_was_signed_long_ago(thief: Thief) -> None:
    """It was never appended, or so long ago that its id is forgotten: it counts about when it was signed."""
    people, forge = thief.people, Forge(thief)
    event = Event.of(people.grant() | {"at": format_time(thief.now - 3_600_000)})
    forge.add(event, sign_event(people.pat.actor.key, thief.true.origin, event.raw))
    with pytest.raises(KeeperRefused, match="was signed"):
        forge.follow()


def test_a_reading_that_was_signed_long_ago(thief: Thief) -> None:
    """And kept until there was a grant."""
    people = thief.people
    entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
    forge = Forge(thief)
    event = Event.of(people.reading() | {"at": format_time(thief.now - 3_600_000)})
    seq = forge.add(event, sign_event(people.doctor.key, thief.true.origin, event.raw))
    forge.follow()
    with pytest.raises(KeeperRefused, match="was signed"):
        forge.key_of(people, seq)


def test_a_record_is_not_uploaded_twice(thief: Thief) -> None:
    """By another hospital's doctor, who would have written it then, and may read it."""
    people, forge = thief.people, Forge(thief)
    body = thief.upload()["body"] | {"record": people.record, "blob": people.blob}
    event = Event.of(people.doctor.event("record.uploaded", people.pat.stream, body, thief.now))
    forge.add(event, sign_event(people.doctor.key, thief.true.origin, event.raw))
    with pytest.raises(KeeperRefused, match="which an earlier entry created"):
        forge.follow()


def test_an_entry_0_that_is_under_no_checkpoint_bars_no_other(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """A keeper that has read nothing yet is given another log's: what was not proved is not held to."""
    other = LedgerFixture.found(Settings(data=tmp_path / "other"), origin=fixture.ledger.origin)
    with other.ledger.database.read() as connection:
        raws = other.ledger.store.range(connection, 0, 2)
    other.close()
    keeper = keeper_of(fixture.ledger)
    for path in (fixture.settings.data / "keeper").glob("log.first"):
        path.unlink()
    keeper._followed.forget()
    with pytest.raises(KeeperRefused, match="can't be followed"):
        keeper.follow(0, raws, fixture.ledger.head().checkpoint, ())
    fixture.ledger.keeper_size = 0
    feed(fixture.ledger, fixture.ledger.head().size)
    assert keeper.standing().read == fixture.ledger.head().size
