"""The append transaction: known ids, refusals that leave nothing, refused readings that leave one entry."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from client.signers import possession
from crypto import canonical
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_key
from journeys.errors import AccessDenied, AlreadyUsed
from keeper.roots import load_root
from ledger.entry import nested_event
from ledger.event import EVENT_LIMIT
from ledger.refusals import HOUR_MS
from ledger.sequencer import Appended
from ledger.times import format_time
from records import opening
from storage.clock import wall_clock
from storage.sql.database import Database
from tests.support.inside import opened
from tests.support.ledger_fixture import (
    CONTENT,
    LedgerFixture,
    denied,
    entry_of,
    keys_of,
    refused,
    signed,
)
from tests.support.people import People

LATE_MS = 301_000
"""More than the policy's five minutes, by more than the test takes."""
LIMIT = 20
"""Refusals an hour, as the policy says."""


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    """People and a record."""
    return People.of(fixture)


@pytest.fixture(scope="module")
def shared(shared_fixture: LedgerFixture) -> People:
    """People and a record for tests that leave nothing."""
    return People.of(shared_fixture)


# Known event ids.


def test_the_same_event_again_gets_its_first_receipt(people: People) -> None:
    """Alone, later, and twice within one batch: one entry."""
    fixture, event = people.fixture, people.grant()
    first = fixture.answer(event, people.pat.actor.key)
    size = fixture.size()
    again = fixture.answer(event, people.pat.actor.key)
    assert isinstance(first, Appended) and first.fresh
    assert again == Appended(first.entry, fresh=False)
    assert fixture.size() == size
    other = signed(fixture.ledger, people.grant(), people.pat.actor.key)
    one, two = fixture.ledger.append([other, other])
    assert isinstance(one, Appended) and one.fresh
    assert two == Appended(one.entry, fresh=False)
    assert fixture.size() == size + 1


def test_other_bytes_under_a_known_id_are_a_conflict(people: People) -> None:
    """Also within one batch; by its author or by somebody else."""
    fixture, key = people.fixture, people.pat.actor.key
    event = people.grant()
    fixture.answer(event, key)
    size = fixture.size()
    for bent in (people.grant(), people.revocation()):
        answer = refused(fixture.answer(bent | {"id": event["id"]}, key))
        assert (answer.code, event["id"] in str(answer)) == ("conflict", True)
    assert fixture.size() == size
    fresh = people.grant()
    stolen = people.reading() | {"id": fresh["id"]}
    proposals = [
        signed(fixture.ledger, fresh, key),
        signed(fixture.ledger, stolen, people.doctor.key),
    ]
    one, two = fixture.ledger.append(proposals)
    assert entry_of(one).event.id == fresh["id"]
    assert refused(two).code == "conflict"
    assert fixture.size() == size + 1


def test_a_known_id_is_looked_up_before_its_date_is_judged(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours later a retry still gets its receipt, and a new event of that date is refused."""
    fixture, event, late = people.fixture, people.grant(), people.grant()
    first = entry_of(fixture.answer(event, people.pat.actor.key))
    _later(fixture, monkeypatch, HOUR_MS)
    assert fixture.answer(event, people.pat.actor.key) == Appended(first, fresh=False)
    assert refused(fixture.answer(late, people.pat.actor.key)).code == "clock"


def _later(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    """Restart the service `by` milliseconds later; the database's own clock stays out of it."""
    monkeypatch.setattr(Database, "clock", lambda database, connection: None)
    fixture.reopen(lambda: wall_clock() + by)


# What is refused.


@dataclass(frozen=True)
class Sent:
    """An event on its way in, the key that signs it, and how the sending is bent (`people.signed`)."""

    event: dict[str, Any]
    key: SigningKey
    bent: dict[str, Any] = field(default_factory=dict)


Make = Callable[[People], Sent]


def by_pat(make: Callable[[People], dict[str, Any]], **bent: Any) -> Make:
    """What `make` makes, signed by the first patient."""
    return lambda people: Sent(make(people), people.pat.actor.key, bent)


def by_doctor(make: Callable[[People], dict[str, Any]]) -> Make:
    """What `make` makes, signed by the doctor."""
    return lambda people: Sent(make(people), people.doctor.key)


def by_north(make: Callable[[People], dict[str, Any]]) -> Make:
    """What `make` makes, signed by the system of the hospital that writes records."""
    return lambda people: Sent(make(people), people.fixture.north.system.key)


def by_south(make: Callable[[People], dict[str, Any]]) -> Make:
    """What `make` makes, signed by the system of the other hospital."""
    return lambda people: Sent(make(people), people.fixture.south.system.key)


def as_bytes(bend: Callable[[bytes], bytes]) -> Make:
    """A grant whose canonical bytes are bent before they are signed."""
    return lambda people: Sent(
        {}, people.pat.actor.key, {"raw": bend(canonical.write(people.grant()))}
    )


def _dated(people: People, milliseconds: int) -> dict[str, Any]:
    return people.grant() | {"at": format_time(people.fixture.ledger.clock() + milliseconds)}


def _spaced(raw: bytes) -> bytes:
    return json.dumps(json.loads(raw), sort_keys=True).encode()


def _unsorted(raw: bytes) -> bytes:
    members = sorted(json.loads(raw).items(), reverse=True)
    return json.dumps(dict(members), separators=(",", ":")).encode()


def _oversized(raw: bytes) -> bytes:
    return raw.replace(b'"body":{', b'"body":{"a":"%b",' % (b"x" * EVENT_LIMIT))


def _kims_key(people: People) -> dict[str, Any]:
    """The doctor puts a key of hers into a patient's account."""
    key, account = new_key(), people.kim.actor.account
    body = {
        "account": account, "algorithm": "ed25519", "custody": "device", "key": key.id,
        "proof": possession(key, people.fixture.ledger.origin, account),
        "public_key": b64encode(key.public),
    }  # fmt: skip
    person, now = people.doctor.in_role("person"), people.fixture.ledger.clock()
    return person.event("key.registered", f"account/{account}", body, now)


def _norths_doctor(people: People) -> Sent:
    admin, now = people.fixture.south.admin, people.fixture.ledger.clock()
    stream, body = f"hospital/{people.fixture.north.hospital}", {"account": people.doctor.account}
    return Sent(admin.event("doctor.ended", stream, body, now), admin.key)


def _not_an_operator(people: People) -> dict[str, Any]:
    body, now = {"hospital": people.fixture.north.hospital}, people.fixture.ledger.clock()
    return people.doctor.in_role("operator").event("hospital.suspended", "ledger", body, now)


def _doctors_grant(people: People) -> dict[str, Any]:
    now = people.fixture.ledger.clock()
    return people.doctor.event("access.granted", people.pat.stream, people.grant()["body"], now)


def _same_grant(people: People) -> dict[str, Any]:
    event = people.grant()
    entry_of(people.fixture.answer(event, people.pat.actor.key))
    return people.grant(grant=event["body"]["grant"])


def _same_blob(people: People) -> dict[str, Any]:
    event = people.upload()
    entry_of(people.fixture.answer(event, people.fixture.north.system.key))
    old = event["body"]
    return people.upload(stage=False, blob=old["blob"], sha256=old["sha256"])


def _first_again(people: People) -> Sent:
    now = format_time(people.fixture.ledger.clock())
    first = people.fixture.ledger.entry(0).event.value
    return Sent(first | {"at": now, "id": people.id("ev")}, people.fixture.operator.key)


def _hand_made_refusal(people: People) -> Sent:
    """The log's own service writes an access.refused through the door for everybody."""
    key = SigningKey(load_root(keys_of(people.fixture.settings) / "service.seed", None))
    account = people.fixture.ledger.entry(0).event.body["service"]["account"]
    service = Actor(people.fixture.ledger.origin, account, "service", "", key)
    inner = signed(people.fixture.ledger, people.reading(), people.doctor.key)
    body, now = (
        {"event": inner.event.value, "sig": inner.sig.json()},
        people.fixture.ledger.clock(),
    )
    return Sent(service.event("access.refused", people.pat.stream, body, now), key)


STAGED = "got bl_.*, staged for another patient, record or author"
REFUSED: dict[str, tuple[str, str, Make]] = {
    "signed for another log": (
        "signature", "signature", by_pat(People.grant, origin="heartwood.example/other"),
    ),
    "another event's signature": ("signature", "signature", by_pat(People.grant, value=bytes(64))),
    "dated before": ("clock", "got at = .* expected within", by_pat(lambda s: _dated(s, -LATE_MS))),
    "dated after": ("clock", "got at = .* expected within", by_pat(lambda s: _dated(s, LATE_MS))),
    "an unknown key": (
        "key", "got the key k_.*, which no entry registered", lambda s: Sent(s.grant(), new_key()),
    ),
    "somebody else's key": (
        "key", "got the key k_.*, which is not registered for ac_", by_doctor(People.grant),
    ),
    "a key named, another used": (
        "signature", "signature",
        lambda s: Sent(s.grant(), s.doctor.key, {"as_key": s.pat.actor.key.id}),
    ),
    "somebody else's account": ("key", "ac_.* can't vouch for a key of", by_doctor(_kims_key)),
    "another hospital's stream": ("stream", "got hospital/hs_.* from an admin of", _norths_doctor),
    "a role not held": ("role", "ac_.* is not an active operator", by_doctor(_not_an_operator)),
    "a refusal that the log didn't make": ("role", "written by the log itself", _hand_made_refusal),
    "entry 0 again": ("stream", "got ledger.created as entry", _first_again),
    "a grant's id twice": ("duplicate_id", "got the id gr_", by_pat(_same_grant)),
    "a record's id twice": (
        "duplicate_id", "got the id rc_", by_north(lambda s: s.upload(record=s.record)),
    ),
    "a patient's id twice": (
        "duplicate_id", "got the id pt_", by_north(lambda s: s.registration(patient=s.kim.patient)),
    ),
    "an account's id twice": (
        "duplicate_id", "got the id ac_",
        by_north(lambda s: s.registration(account=s.doctor.account)),
    ),
    "a blob twice": ("duplicate_id", "got .*bl_", by_north(_same_blob)),
    "a patient not reserved": (
        "no_key", "no key was reserved for", by_north(lambda s: s.registration(reserved=False)),
    ),
    "a blob not staged": (
        "no_key", "got bl_.*, which was not staged", by_north(lambda s: s.upload(stage=False)),
    ),
    "a patient that somebody else reserved": (
        "no_key", "pt_.* was reserved by somebody else",
        by_north(lambda s: s.registration(reserved_by=s.fixture.south.system)),
    ),
    "a blob that somebody else staged": (
        "no_key", STAGED,
        by_south(lambda s: s.upload(author=s.fixture.south.system)),
    ),
    "a blob of another patient": ("no_key", STAGED, by_north(lambda s: s.upload(staged_for=s.kim))),
    "a blob of another record": (
        "no_key", STAGED, by_north(lambda s: s.upload(record=s.id("rc"))),
    ),
    "another hash than was staged": (
        "no_key", "got another hash or size of bl_",
        by_north(lambda s: s.upload(sha256=b64encode(bytes(32)))),
    ),
    "another size than was staged": (
        "no_key", "got another hash or size of bl_", by_north(lambda s: s.upload(size=22)),
    ),
    "over the limit": ("malformed", "got an event of 33[0-9]{3} bytes, expected", as_bytes(_oversized)),
    "with spaces": ("malformed", "got an event that is not canonical", as_bytes(_spaced)),
    "in another order": ("malformed", "got an event that is not canonical", as_bytes(_unsorted)),
    "with a member twice": (
        "malformed", "repeated|twice", as_bytes(lambda raw: raw[:-1] + b',"v":1}'),
    ),
    "with a null": (
        "malformed", "got 'None', expected", as_bytes(lambda raw: raw.replace(b'"PATRQT"', b"null")),
    ),
    "cut short": ("malformed", "", as_bytes(lambda raw: raw[:-1])),
    "an unknown record": (
        "unknown", "pt_.* has no record rc_", by_pat(lambda s: s.reading(s.pat.actor, record=s.id("rc"))),
    ),
    "a version that isn't there": (
        "unknown", "has no version 2", by_pat(lambda s: s.reading(s.pat.actor, version=2)),
    ),
    "another stream length": (
        "conflict", "got the expected length 1 of patient/pt_", by_pat(People.grant, expect=1),
    ),
}  # fmt: skip
"""What is sent, the stable code of the refusal, and what its message says."""


@pytest.mark.parametrize("case", REFUSED)
def test_refused(shared: People, case: str) -> None:
    """The right code, words for people, and nothing written."""
    code, said, make = REFUSED[case]
    sent, before = make(shared), shared.fixture.ledger.head()
    answer = refused(shared.fixture.answer(sent.event, sent.key, **sent.bent))
    assert (answer.code, bool(re.search(said, str(answer)))) == (code, True), answer
    assert shared.fixture.ledger.head() == before


def test_what_is_refused_in_a_batch_leaves_the_rest(people: People) -> None:
    """Of five proposals in one batch the good ones become entries, in order and without a gap."""
    fixture, key, events = people.fixture, people.pat.actor.key, [people.grant() for _ in range(3)]
    bad = (
        signed(fixture.ledger, _dated(people, LATE_MS), key),
        signed(fixture.ledger, people.grant(), people.doctor.key),
    )
    good = [signed(fixture.ledger, event, key) for event in events]
    size = fixture.size()
    outcomes = fixture.ledger.append([good[0], bad[0], good[1], bad[1], good[2]])
    assert [refused(outcomes[index]).code for index in (1, 3)] == ["clock", "key"]
    assert [entry_of(outcomes[i]).link.seq for i in (0, 2, 4)] == [size, size + 1, size + 2]


def test_the_expected_stream_length(people: People) -> None:
    """The true one is taken, also behind another event of the same batch; a stale one is a conflict."""
    fixture, key = people.fixture, people.pat.actor.key
    length = len(fixture.ledger.stream(people.pat.stream, fixture.size()))
    first, second, stale = (
        signed(fixture.ledger, people.grant(), key, expect=length + more) for more in (0, 1, 1)
    )
    outcomes = fixture.ledger.append([first, second, stale])
    assert [entry_of(o).link.stream_seq for o in outcomes[:2]] == [length, length + 1]
    assert refused(outcomes[2]).code == "conflict"
    assert entry_of(fixture.ledger.append([first])[0]) == entry_of(outcomes[0])


def test_the_gate_sees_the_entries_before_in_the_same_batch(people: People) -> None:
    """A grant opens, a revocation closes, all in one batch."""
    fixture = people.fixture
    opened = [signed(fixture.ledger, people.reading(), people.doctor.key) for _ in range(3)]
    granted = signed(fixture.ledger, people.grant(), people.pat.actor.key)
    revoked = signed(fixture.ledger, people.revocation(), people.pat.actor.key)
    before, grant, within, _, after = fixture.ledger.append(
        [opened[0], granted, opened[1], revoked, opened[2]]
    )
    assert denied(before).decision["rule"] == "S12"
    decision = entry_of(within).decision
    assert decision is not None
    assert decision["basis"] == [entry_of(grant).link.seq]
    assert denied(after).decision["rule"] == "S12"


def test_a_denied_change_leaves_an_entry(people: People) -> None:
    """An amendment by a stranger, and a grant by a doctor, are recorded like a denied reading."""
    body = people.upload()["body"] | {"record": people.record, "version": 2}
    amended = people.doctor.event(
        "record.amended", people.pat.stream, body, people.fixture.ledger.clock()
    )
    for event in (amended, _doctors_grant(people)):
        size = people.fixture.size()
        found = denied(people.fixture.answer(event, people.doctor.key))
        assert found.seq == size == people.fixture.size() - 1
        assert nested_event(people.fixture.ledger.entry(size).event)[0].value == event


def test_a_denial_tells_nothing_of_what_it_names(people: People) -> None:
    """A record that is there, one that is another patient's and one that is nobody's: the same answer."""
    record, other = people.record, people.fixture.record(people.kim).record
    told = [
        denied(people.fixture.answer(people.reading(record=name), people.doctor.key)).decision
        for name in (record, other, people.id("rc"))
    ]
    assert [{**one, "as_of": 0} for one in told] == [{**told[0], "as_of": 0}] * 3


# Readings, permitted and refused.


def test_a_reading_found_in_the_log_is_no_ticket(people: People) -> None:
    """Sent again by its author, or signed by a finder, it gives the receipt and never content."""
    fixture = people.fixture
    entry_of(fixture.answer(people.grant(), people.pat.actor.key))
    first = opening.open_record(fixture.ledger, fixture.reading(people.doctor, people.record))
    assert (first.texts, b"".join(first.content)) == ({"title": "Blood count"}, CONTENT)
    found, size = fixture.ledger.entry(first.entry.link.seq), fixture.size()
    again = fixture.ledger.signatures.event(found.event.raw, found.sig.key, found.sig.value)
    finder = signed(fixture.ledger, found.event.value, fixture.doctor().key)
    size = fixture.size()
    for proposal in (again, finder):
        with pytest.raises(AlreadyUsed, match=f"entry {found.link.seq} already") as caught:
            opening.open_record(fixture.ledger, proposal)
        assert caught.value.seq == found.link.seq
        assert fixture.ledger.append([proposal]) == [Appended(found, fresh=False)]
    assert fixture.size() == size


def test_a_refused_reading_stands_in_the_log_and_stays_refused(people: People) -> None:
    """Signed by the service with the reading inside; a retry gets the same, a grant changes nothing."""
    fixture = people.fixture
    proposal, size = fixture.reading(people.doctor, people.record), fixture.size()
    first = denied(fixture.ledger.append([proposal])[0])
    assert (first.seq, fixture.size()) == (size, size + 1)
    entry = fixture.ledger.entry(size)
    inner, sig = nested_event(entry.event)
    assert (inner.raw, sig, entry.event.role) == (proposal.event.raw, proposal.sig, "service")
    assert entry.decision == first.decision
    entry_of(fixture.answer(people.grant(), people.pat.actor.key))
    for _ in range(2):
        assert fixture.ledger.append([proposal]) == [first]
        with pytest.raises(AccessDenied, match=f"denied by S12.*entry {size}"):
            opening.open_record(fixture.ledger, proposal)
    assert fixture.size() == size + 2
    other = people.reading() | {"id": proposal.event.id}
    assert refused(fixture.answer(other, people.doctor.key)).code == "conflict"


def test_refusals_are_limited(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty an hour, actor and patient; the next one written says how many were not."""
    fixture = people.fixture
    first = [denied(fixture.answer(people.reading(), people.doctor.key)) for _ in range(LIMIT)]
    assert [d.seq for d in first] == list(range(fixture.size() - LIMIT, fixture.size()))
    size = fixture.size()
    for _ in range(3):
        answer = refused(fixture.answer(people.reading(), people.doctor.key))
        assert (answer.code, "too many refusals" in str(answer)) == ("too_many_refusals", True)
    assert fixture.size() == size
    assert (
        denied(fixture.answer(people.reading(fixture.operator), fixture.operator.key)).seq == size
    )
    _later(fixture, monkeypatch, HOUR_MS + LATE_MS)
    for skipped in (3, None):
        late = denied(fixture.answer(people.reading(), people.doctor.key))
        assert late.seq is not None
        assert fixture.ledger.entry(late.seq).event.body.get("skipped") == skipped


def test_what_is_skipped_is_counted_over_all_processes(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals that aren't written change no entry, and still no process forgets another one's."""
    fixture, other = people.fixture, opened(people.fixture.settings)
    for _ in range(LIMIT):
        denied(fixture.answer(people.reading(), people.doctor.key))
    for ledger in (fixture.ledger, other, fixture.ledger, other, fixture.ledger):
        proposal = signed(ledger, people.reading(), people.doctor.key)
        assert refused(ledger.append([proposal])[0]).code == "too_many_refusals"
    other.close()
    _later(fixture, monkeypatch, HOUR_MS + LATE_MS)
    late = denied(fixture.answer(people.reading(), people.doctor.key))
    assert late.seq is not None
    assert fixture.ledger.entry(late.seq).event.body["skipped"] == 5


def test_a_permitted_reading_is_never_limited(people: People) -> None:
    """Whoever ran into the limit and then gets a grant, reads."""
    fixture = people.fixture
    for _ in range(LIMIT + 1):
        answer = fixture.answer(people.reading(), people.doctor.key)
    assert refused(answer).code == "too_many_refusals"
    entry_of(fixture.answer(people.grant(), people.pat.actor.key))
    entry_of(fixture.answer(people.reading(), people.doctor.key))
