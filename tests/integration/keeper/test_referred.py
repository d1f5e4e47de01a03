"""The keeper seals a referral's package for just what is listed, accepted and its receiver's; and gives no other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from client import authoring, grants, holds, referring
from client.beside import propose
from client.local import LocalClient
from client.registering import revoke_key
from crypto.blobs import open_stream
from crypto.encoding import b64decode, b64encode
from crypto.xwing import ReceivingKey
from identity.actors import Actor
from journeys.errors import NotThere
from keeper.errors import KeeperRefused
from keeper.keeper import KeyKeeper
from keeper.protocol import Evidence, ReferredBlob, SealedObject
from keeper.releases import PAGE
from ledger.entry import Entry
from ledger.facts import Record
from ledger.links import Referral, travelling
from ledger.packages import PackageHead, PackedList
from ledger.releases import PACKAGE, RELEASE_MS, Release, package_given
from records import referrals
from records.referrals import referred_blob, referred_version, sealed_words
from storage.evidence import Proofs, ask_keeper, of_entries
from storage.ledger import Ledger
from tests.integration.keeper.test_keeper import asking, people
from tests.support.inside import keeper_of
from tests.support.ledger_fixture import denied, entry_of
from tests.support.people import People

__all__ = ["people"]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass(frozen=True)
class Taking:
    """A taking up that stands in the log, and what the honest journey shows the keeper for it."""

    ledger: Ledger
    entry: Entry
    shown: Proofs
    listed: list[ReferredBlob]
    words: SealedObject

    def put(self, keeper: KeyKeeper) -> tuple[bytes, bytes]:
        """Ask the keeper."""

        def ask(shown: Evidence) -> Any:
            return keeper.release_package(shown, self.listed, self.words)

        found: tuple[bytes, bytes] = ask_keeper(asking(self.ledger, keeper), self.shown, ask)
        return found


@dataclass
class Referred:
    """A patient's two records, referred from the north to the south, which has a key."""

    people: People
    key: ReceivingKey
    second: str
    referral: str

    @property
    def system(self) -> Actor:
        return self.people.fixture.south.system

    @property
    def client(self) -> LocalClient:
        return LocalClient(self.people.fixture.ledger)

    def say(self, kind: str) -> None:
        act = {"accept": referring.accept, "decline": referring.decline}[kind]
        act(self.client, self.system, self.people.pat.patient, self.referral)

    def event(self, **bent: Any) -> dict[str, Any]:
        """A `referral.taken` by the south's system."""
        patient = self.people.pat.patient
        (standing,) = referring.listed(self.client, self.system, patient)
        body = {
            "count": standing.count, "key": self.key.id, "purpose": "TREAT", "referral": self.referral, "root": standing.root,
        }  # fmt: skip
        return self.system.event(
            "referral.taken", self.people.pat.stream, body | bent, self.client.now()
        )

    def taken(self) -> Taking:
        """A taking up that is appended, and nothing asked for yet."""
        fixture = self.people.fixture
        entry = entry_of(fixture.answer(self.event(), self.system.key))
        return self.asked(entry)

    def asked(self, entry: Entry) -> Taking:
        """What the honest journey would show for an entry."""
        ledger = self.people.fixture.ledger
        row = ledger.row(Referral, self.referral)
        assert row is not None
        lines = travelling(row, lambda record: ledger.row(Record, record))
        listed = [referred_blob(ledger, *referred_version(ledger, line)) for line in lines]
        shown = of_entries(ledger, entry.link.seq)
        return Taking(ledger, entry, shown, listed, sealed_words(ledger, row))


@pytest.fixture
def referred(people: People) -> Referred:
    """Sent, and not answered yet."""
    fixture = people.fixture
    second = fixture.record(people.pat, b"Creatinine", title="Kidneys").record
    client, key = LocalClient(fixture.ledger), ReceivingKey.generate()
    referring.register_receiving(client, fixture.south.system, key)
    named = [people.record, second]
    _, referral, _ = referring.send(
        client, fixture.north.system, fixture.south.hospital, named, "A second opinion"
    )
    return Referred(people, key, second, referral)


def head_of(referred: Referred, taking: Taking, share: bytes) -> PackageHead:
    return PackageHead(
        taking.entry.event.id, referred.key.id, referred.people.pat.patient, referred.system.hospital, referred.referral,
        referred.people.fixture.north.hospital, b64encode(share),
    )  # fmt: skip


def test_what_is_accepted_is_sealed_for_its_receiver(referred: Referred) -> None:
    """Titles and words are in the sealed list; nothing leaves in clear; each package has a key of its own."""
    referred.say("accept")
    keeper, taking = keeper_of(referred.people.fixture.ledger), referred.taken()
    share, sealed = taking.put(keeper)
    head = head_of(referred, taking, share)
    secret = referred.key.open(head.info, share)
    listed = PackedList.parse(b"".join(open_stream(secret, head.context, iter((sealed,)))))
    assert listed.words == "A second opinion"
    titles = {one.record: one.title for one in listed.versions}
    assert titles == {referred.people.record: "Blood count", referred.second: "Kidneys"}
    for text in (b"Kidneys", b"opinion", referred.second.encode()):
        assert text not in share + sealed
    again = referred.taken()
    other, _ = again.put(keeper)
    assert referred.key.open(head_of(referred, again, other).info, other) != secret
    releases = [Release.parse(raw) for raw in keeper.releases(0, PAGE)]
    assert [one.kind for one in releases] == [PACKAGE, PACKAGE]
    root = b64decode(taking.entry.event.body["root"], 32)
    assert releases[0].what == package_given(2, root, referred.key.id)
    with pytest.raises(KeeperRefused, match="has already received its key"):
        taking.put(keeper)


def _line(number: int, **bent: Any) -> Callable[[Taking], Taking]:
    """With one line's blob bent."""

    def bend(taking: Taking) -> Taking:
        listed = list(taking.listed)
        listed[number] = replace(listed[number], blob=replace(listed[number].blob, **bent))
        return replace(taking, listed=listed)

    return bend


def _swapped_keys(taking: Taking) -> Taking:
    """Each line with the other's wrap, under its own name."""
    one, two = (line.blob.key for line in taking.listed)
    swapped = _line(0, key=replace(one, wrapped=two.wrapped))(taking)
    return _line(1, key=replace(two, wrapped=one.wrapped))(swapped)


def _swapped_texts(taking: Taking) -> Taking:
    one, two = taking.listed
    listed = [replace(one, texts=two.texts), replace(two, texts=one.texts)]
    return replace(taking, listed=listed)


def _other_words(taking: Taking) -> Taking:
    """The title of a record in place of the words."""
    return replace(taking, words=taking.listed[0].texts)


def _words_bent(**bent: Any) -> Callable[[Taking], Taking]:
    def bend(taking: Taking) -> Taking:
        fields = tuple(replace(field, **bent) for field in taking.words.fields)
        return replace(taking, words=replace(taking.words, fields=fields))

    return bend


def _texts_bent(**bent: Any) -> Callable[[Taking], Taking]:
    def bend(taking: Taking) -> Taking:
        first = taking.listed[0]
        fields = tuple(replace(field, **bent) for field in first.texts.fields)
        texts = replace(first.texts, fields=fields)
        return replace(taking, listed=[replace(first, texts=texts), *taking.listed[1:]])

    return bend


def _whose(subject: str) -> Callable[[Taking], Taking]:
    def bend(taking: Taking) -> Taking:
        key = replace(taking.listed[0].blob.key, subject=subject)
        return _line(0, key=key)(taking)

    return bend


LIES: dict[str, tuple[Callable[[Taking], Taking], str]] = {
    "a line less": (lambda t: replace(t, listed=t.listed[:1]), "another list"),
    "no lines": (lambda t: replace(t, listed=[]), "another list"),
    "a line twice": (lambda t: replace(t, listed=[*t.listed, t.listed[0]]), "another list"),
    "another order": (lambda t: replace(t, listed=t.listed[::-1]), "another list"),
    "another version": (_line(0, version=2), "another list"),
    "another hash": (_line(0, sha256=bytes(32)), "is not the blob of version"),
    "swapped wraps": (_swapped_keys, "can't be sealed"),
    "swapped texts": (_swapped_texts, "got texts of"),
    "another's key": (_whose("pt_00000000000000000000000009"), "exports pt_"),
    "a title in place of the words": (_other_words, "shows the words of"),
    "words of another event": (_words_bent(event="ev_00000000000000000000000009"), "the words of"),
    "words of another field": (_words_bent(name="text"), "the words of"),
    "words of another stream": (_words_bent(stream="patient/pt_0"), "what is in patient/"),
    "a field that isn't a title": (_texts_bent(name="words"), "got texts of"),
    "a title of another stream": (_texts_bent(stream="patient/pt_0"), "what is in patient/"),
}


@pytest.mark.parametrize(("bend", "said"), LIES.values(), ids=LIES)
def test_a_stolen_server_gets_no_other_list(
    referred: Referred, bend: Callable[[Taking], Taking], said: str
) -> None:
    """And nothing is written of it; the honest one gets its package then."""
    referred.say("accept")
    keeper, taking = keeper_of(referred.people.fixture.ledger), referred.taken()
    with pytest.raises(KeeperRefused, match=said):
        bend(taking).put(keeper)
    assert keeper.releases(0, PAGE) == []
    assert taking.put(keeper)


def test_what_is_not_accepted_opens_nothing(referred: Referred) -> None:
    """Neither before the answer nor after it was declined, and no other entry stands for a taking up."""
    fixture, keeper = referred.people.fixture, keeper_of(referred.people.fixture.ledger)
    early = denied(fixture.answer(referred.event(), referred.system.key))
    assert early.seq is not None
    refusal = fixture.ledger.entry(early.seq)
    referred.say("accept")
    row = fixture.ledger.row(Referral, referred.referral)
    assert row is not None
    for entry in (refusal, fixture.ledger.entry(row.accepted), fixture.ledger.entry(row.seq)):
        with pytest.raises(KeeperRefused, match=r"not a permitted reading|not \("):
            referred.asked(entry).put(keeper)
    taking = referred.taken()
    referred.say("decline")
    with pytest.raises(KeeperRefused, match="is not accepted, or was declined"):
        taking.put(keeper)


def test_a_key_that_was_revoked_since_gets_nothing(referred: Referred) -> None:
    referred.say("accept")
    taking = referred.taken()
    revoke_key(referred.client, referred.system, referred.system.account, referred.key.id)
    with pytest.raises(KeeperRefused, match="is no active X-Wing key"):
        taking.put(keeper_of(referred.people.fixture.ledger))


def test_what_was_hidden_or_retracted_since_gets_nothing(referred: Referred) -> None:
    """Of the list as it stood nothing is given any more; taken up anew, the rest is."""
    referred.say("accept")
    people, keeper = referred.people, keeper_of(referred.people.fixture.ledger)
    taking = referred.taken()
    authoring.retract(referred.client, people.fixture.north.system, referred.second, "TREAT")
    with pytest.raises(KeeperRefused, match="another list"):
        taking.put(keeper)
    assert len(referred.taken().listed) == 1 and referred.taken().put(keeper)


@pytest.mark.parametrize("since", ["excluded", "handed back", "hidden", "nothing"])
def test_a_package_that_is_under_way_ends_with_what_permits_it(
    referred: Referred, since: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each content is fetched as its turn comes, and looked at again."""
    monkeypatch.setattr(referrals, "RECHECK_MS", 0)
    referred.say("accept")
    ledger, pat = referred.people.fixture.ledger, referred.people.pat
    (asked,) = propose(ledger, referred.system, [referred.event()])
    given = referrals.open_package(ledger, asked)
    assert b"".join(next(given.blobs)[1])
    match since:
        case "excluded":
            grants.exclude(referred.client, pat.actor, pat.patient, referred.system.hospital)
        case "handed back":
            referred.say("decline")
        case "hidden":
            for record in (referred.people.record, referred.second):
                grants.hide(referred.client, pat.actor, pat.patient, record)
    if since == "nothing":
        assert [b"".join(pieces) != b"" for _, pieces in given.blobs] == [True]
        return
    with pytest.raises(NotThere, match="no more"):
        b"".join(next(given.blobs)[1])


def test_what_is_held_back_from_whoever_takes_it_up(referred: Referred) -> None:
    """The patient, as a doctor of the receiver: the hold is the sender's, and keeps them from it in every role."""
    people, fixture = referred.people, referred.people.fixture
    referred.say("accept")
    pat, south = people.pat.actor, fixture.south
    approved = {"account": pat.account}
    event = south.admin.event(
        "doctor.approved", f"hospital/{south.hospital}", approved, referred.client.now()
    )
    entry_of(fixture.answer(event, south.admin.key))
    author = fixture.doctor(fixture.north)
    holds.hold_back(
        referred.client, author, people.pat.patient, people.record, pat.account, "therapeutic", "Not before Monday", 3
    )  # fmt: skip
    doctor = pat.in_role("doctor", south.hospital)
    taken = referred.event() | {
        "actor": doctor.account,
        "as": {"hospital": south.hospital, "role": "doctor"},
    }
    taking = referred.asked(entry_of(fixture.answer(taken, doctor.key)))
    with pytest.raises(KeeperRefused, match="is held back by entry"):
        taking.put(keeper_of(fixture.ledger))


def test_too_late(referred: Referred) -> None:
    referred.say("accept")
    keeper, taking = keeper_of(referred.people.fixture.ledger), referred.taken()
    keeper._clock = lambda: taking.entry.time + RELEASE_MS + 1
    with pytest.raises(KeeperRefused, match="ms old"):
        taking.put(keeper)
