"""Every alteration of an export is found, by the real verifier, and the message names the place.

First every single byte, then whole forgeries by an operator who holds the log's own keys and
recomputes whatever can be recomputed. Where something can't be found in one export alone, a test says
so, and shows that an older receipt finds it.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import ledger.auditor
from api.cli.app import main
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64encode
from crypto.errors import CryptoError, NoteError
from crypto.notes import LogSigner
from identity.actors import Actor, new_id, new_key, possession
from ledger.auditor import check_receipt, verify_export
from ledger.digest import BundleDigest, digest_bundle, registered_keys
from ledger.errors import LedgerError, Tampered
from ledger.event import bundle_message, sign_event
from ledger.merkle import tree_paths
from ledger.times import DAY_MS, format_time, parse_time
from ledger.verifier import (
    LogVerifier,
    check_at_least,
    check_manifest,
    check_policy_file,
    read_checkpoint,
)
from tests import exports
from tests.exports import (
    ORIGIN,
    PERMIT,
    Export,
    Files,
    Forger,
    People,
    Row,
    canonical,
    flipped,
    framed,
    key_body,
    reader,
    replaced,
    signature,
    signed,
    write_files,
)
from tests.tilereader import LogRefused, check_proof, leaf_hash, read_log
from tests.worlds import with_manifest

HOME = Path(__file__).resolve().parents[2]
PARTS = 4
"""Into so many tests the search over all bytes is cut, for the worker processes."""
SKEW_MS = 300_000
BUNDLE = "tile/entries/000.p/{}"
WITNESS = "— witness.example/w "
"""The beginning of a signature line of a key that nobody here knows."""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return exports.small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return exports.large(tmp_path_factory.mktemp("large"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "export"


# Every single byte


def flips(size: int, part: int = 0, parts: int = 1) -> Iterator[tuple[int, int]]:
    """Each place of `size` bytes, or each `parts`-th, and a bit to turn over there."""
    return ((at, (at * 5 + at // 8) % 8) for at in range(part, size, parts))


@pytest.mark.parametrize("part", range(PARTS))
def test_every_byte_is_in_the_manifest(small: Export, part: int) -> None:
    for path, data in small.files.items():
        for at, bit in flips(len(data), part, PARTS):
            files = dict(small.files) | {path: flipped(data, at, bit)}
            with pytest.raises(Tampered) as found:
                check_manifest(reader(files), files)
            assert path == "manifest" or str(found.value).startswith(f"{path}: damaged")


class Judge:
    """The verifier over an export in memory; what an alteration leaves alone is digested once."""

    def __init__(self, export: Export) -> None:
        """Digests the honest export."""
        self.export, self.bundle = export, BUNDLE.format(export.size)
        self.keys = registered_keys(0, export.files[self.bundle])
        self.digest = self.digested(export.files[self.bundle])

    def digested(self, data: bytes) -> BundleDigest:
        return digest_bundle(0, data, ORIGIN, self.keys)

    def follow(self, files: Mapping[str, bytes], bundle: BundleDigest) -> LogVerifier:
        """All that is checked in order, and then the tree."""
        checkpoint, keys = read_checkpoint(reader(files), self.export.vkeys)
        verifier = LogVerifier(checkpoint.origin, reader(files), checkpoint.size)
        verifier.take(bundle)
        verifier.finish(checkpoint, files["registry.json"], keys)
        return verifier

    def entry(self, seq: int, altered: bytes) -> None:
        """An altered entry: looked at with the one after it, and in the whole log if that is not enough."""
        entries = self.export.entries
        digest_bundle(seq, framed([altered, *entries[seq + 1 : seq + 2]]), ORIGIN, self.keys)
        whole = framed([*entries[:seq], altered, *entries[seq + 1 :]])
        self.follow(self.export.files, self.digested(whole))


@pytest.fixture(scope="session")
def judge(small: Export) -> Judge:
    return Judge(small)


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_every_entry_is_committed_to(judge: Judge, bit: int) -> None:
    for seq, raw in enumerate(judge.export.entries):
        for at in range(len(raw)):
            with pytest.raises(Tampered, match=rf"^entry ({seq}|{seq + 1}): |^tile/0/"):
                judge.entry(seq, flipped(raw, at, bit))


def test_every_byte_of_an_entrys_length_is_committed_to(judge: Judge) -> None:
    data, at = judge.export.files[judge.bundle], 0
    for raw in judge.export.entries:
        for place, bit in ((at, 0), (at, 7), (at + 1, 0), (at + 1, 7)):
            with pytest.raises(Tampered, match=r"^(entry \d+|the bundle from entry 0 on): "):
                judge.digested(flipped(data, place, bit))
        at += 2 + len(raw)


def test_every_byte_of_the_tile_is_committed_to(judge: Judge) -> None:
    path = f"tile/0/000.p/{judge.export.size}"
    data = judge.export.files[path]
    for at, bit in flips(len(data)):
        with pytest.raises(Tampered, match=f"^{path}: "):
            judge.follow(dict(judge.export.files) | {path: flipped(data, at, bit)}, judge.digest)


def test_every_byte_of_the_registry_is_committed_to(judge: Judge) -> None:
    files = judge.export.files
    checkpoint, keys = read_checkpoint(reader(files), judge.export.vkeys)
    verifier = judge.follow(files, judge.digest)
    for at, bit in flips(len(files["registry.json"])):
        with pytest.raises(Tampered, match=r"^registry\.json: "):
            verifier.finish(checkpoint, flipped(files["registry.json"], at, bit), keys)


def test_every_byte_of_the_checkpoint_is_signed(small: Export) -> None:
    note = small.files["checkpoint"]
    for at, bit in [*flips(len(note)), *((at, 0) for at in range(len(note)))]:
        files = {"log.vkey": small.files["log.vkey"], "checkpoint": flipped(note, at, bit)}
        with pytest.raises(Tampered, match=r"^checkpoint: "):
            read_checkpoint(reader(files), small.vkeys)


def test_every_byte_of_the_keys_is_compared_with_those_from_outside(small: Export) -> None:
    keys = small.files["log.vkey"]
    for at, bit in [*flips(len(keys)), *((at, 0) for at in range(len(keys)))]:
        files = dict(small.files) | {"log.vkey": flipped(keys, at, bit)}
        with pytest.raises(Tampered, match=r"^log\.vkey: "):
            read_checkpoint(reader(files), small.vkeys)


def test_an_altered_policy_is_found_or_still_names_this_log_and_no_witness(small: Export) -> None:
    """Nothing commits to the policy; it counts from outside only. It must not name another log."""
    policy = small.files["policy"]
    _, keys = read_checkpoint(reader(small.files), small.vkeys)
    for at, bit in [*flips(len(policy)), *((at, 0) for at in range(len(policy)))]:
        altered = flipped(policy, at, bit)
        if altered.split()[:3] == [b"log", small.vkeys[0].encode(), b"quorum"]:
            check_policy_file(reader({"policy": altered}), keys)
        else:
            with pytest.raises(Tampered, match=r"^policy: line \d "):
                check_policy_file(reader({"policy": altered}), keys)


def test_readme_and_foreign_signatures_are_committed_to_by_nothing(
    small: Export, place: Path
) -> None:
    for number in range(3):
        line = f"{WITNESS}{b64encode(bytes([number] * 72))}\n".encode()
        changes = {
            "README": b"Another text, %d.\n" % number,
            "checkpoint": small.files["checkpoint"] + line,
            "releases/checkpoint": b"of another log",
        }
        write_files(replaced(small, changes), place)
        assert verify_export(place, small.vkeys).proven
        read_log(place, small.vkeys)


def changed_somewhere(export: Export, draw: random.Random) -> tuple[str, bytes]:
    """A byte altered, put in or left out, anywhere in what the log commits to."""
    paths = [path for path in export.files if path not in ("README", "manifest", "policy")]
    path = draw.choice(paths)
    data = export.files[path]
    at, kept, new = draw.randrange(len(data)), draw.choice((0, 1)), draw.randbytes(1)
    altered = data[:at] + draw.choice((new, b"")) + data[at + kept :]
    return (path, altered) if altered != data else changed_somewhere(export, draw)


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_are_found_on_disk_and_by_the_command(
    small: Export, place: Path, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    draw = random.Random(seed)
    keys = small.data / "log.vkey"
    write_files(small.files, place)
    monkeypatch.setattr(sys, "argv", ["heartwood", "verify", str(place), "--vkey", str(keys)])
    for _ in range(50):
        path, altered = changed_somewhere(small, draw)
        for mended in (False, True):
            files = dict(small.files) | {path: altered}
            write_files(with_manifest(files) if mended else files, place)
            with pytest.raises(Tampered) as found:
                verify_export(place, small.vkeys)
            with pytest.raises(SystemExit) as left:
                main()
            assert left.value.code == 1
            assert f"heartwood: {found.value}\n" == capsys.readouterr().err
        write_files(small.files, place)


# Forgeries
#
# Those of single entries stand in the last bundle of the larger log, which registers no key: there
# nothing but the digest of the bundle itself looks at them.


def refuse(files: Mapping[str, bytes], place: Path, export: Export, message: str) -> None:
    """The verifier finds it, with these words."""
    write_files(files, place)
    with pytest.raises(Tampered, match=message):
        verify_export(place, export.vkeys)


def upload_body(forger: Forger, **members: object) -> Row:
    """The body of an upload with ids of its own."""
    body = forger.rows[forger.find("record.uploaded")]["event"]["body"]
    fresh = {"blob": new_id("bl", forger.now), "record": new_id("rc", forger.now)}
    return {**body, **fresh, **members}


def add_upload(forger: Forger, actor: Actor, **bent: object) -> int:
    """One more upload into the chart, signed by `actor`."""
    body = upload_body(forger)
    return forger.add(actor, "record.uploaded", body, chart(forger), **bent)


def chart(forger: Forger) -> str:
    """The stream of the patient it is about."""
    return f"patient/{forger.export.people.chart}"


def look(forger: Forger, actor: Actor, **bent: object) -> int:
    """A look at the history by `actor`."""
    stream = bent.pop("stream", chart(forger))
    return forger.add(actor, "history.opened", {"purpose": "HLEGAL"}, str(stream), **bent)


def add_account(forger: Forger, actor: Actor, account: str = "", **bent: object) -> int:
    """An account registered by `actor`."""
    account = account or new_id("ac", forger.now)
    stream = f"account/{account}"
    return forger.add(actor, "account.registered", {"account": account}, stream, **bent)


def add_key(forger: Forger, actor: Actor, owner: Actor, **members: object) -> int:
    """A key registered by `actor` for `owner`."""
    body = key_body(owner) | members
    return forger.add(actor, "key.registered", body, f"account/{owner.account}")


def recovered_key(forger: Forger, people: People) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    add_key(forger, people.north.system, owner, recovery=True)
    return look(forger, owner, time=forger.now + DAY_MS - 1)


def revoked_key(forger: Forger, people: People) -> int:
    """It signed the same before it was revoked."""
    look(forger, people.revoked, before=forger.find("key.revoked"))
    return look(forger, people.revoked)


def other_chart(forger: Forger, people: People) -> int:
    """A patient who looked into the own chart first looks into another's."""
    look(forger, people.patient)
    return look(forger, people.patient, stream=f"patient/{people.other_chart}")


def suspended_hospital(forger: Forger, people: People) -> int:
    body = {"hospital": people.south.hospital}
    add_upload(forger, people.south.system)
    forger.add(people.operator, "hospital.suspended", body, "ledger")
    return add_upload(forger, people.south.system)


def ended_doctor(forger: Forger, people: People) -> int:
    stream = f"hospital/{people.south.hospital}"
    body = {"account": people.reader.account}
    look(forger, people.reader)
    forger.add(people.south.admin, "doctor.ended", body, stream)
    return look(forger, people.reader)


def late_audit(forger: Forger, people: People) -> int:
    """A term ends by itself: the same look was right a day before."""
    look(forger, people.auditor)
    return look(forger, people.auditor, time=forger.now + DAY_MS)


def second_admin(forger: Forger, people: People) -> int:
    body, stream = {"account": people.reader.account}, f"hospital/{people.south.hospital}"
    return forger.add(people.operator, "admin.appointed", body, stream)


def grant_by_a_doctor(forger: Forger, people: People) -> int:
    body = dict(forger.rows[forger.find("access.granted")]["event"]["body"])
    body["grant"] = new_id("gr", forger.now)
    return forger.add(people.reader, "access.granted", body, chart(forger))


def known_hospital(forger: Forger, people: People) -> int:
    body = forger.rows[forger.find("hospital.approved")]["event"]["body"]
    return forger.add(people.operator, "hospital.approved", body, "ledger")


def known_grant(forger: Forger, people: People) -> int:
    body = forger.rows[forger.find("access.granted")]["event"]["body"]
    return forger.add(people.patient, "access.granted", body, chart(forger))


def known_patient(forger: Forger, people: People) -> int:
    body = dict(forger.rows[forger.find("patient.registered")]["event"]["body"])
    body["account"] = new_id("ac", forger.now)
    return forger.add(people.north.system, "patient.registered", body, chart(forger))


def known_key(forger: Forger, people: People) -> int:
    """Another account's key, with a proof that its holder may well have given."""
    account = new_id("ac", forger.now)
    add_account(forger, people.operator, account)
    thief = Actor(ORIGIN, account, "person", "", people.reader.key)
    return add_key(forger, people.operator, thief)


def inner_id(forger: Forger) -> str:
    return str(forger.rows[forger.find("access.refused")]["event"]["body"]["event"]["id"])


def key_with_anothers_proof(forger: Forger, people: People) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    proof = possession(ORIGIN, people.neighbour.account, owner.key)
    return add_key(forger, people.patient.in_role("person"), owner, proof=proof)


def key_by_another_hospital(forger: Forger, people: People) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    return add_key(forger, people.south.system, owner)


def created_twice(forger: Forger, people: People) -> int:
    body = forger.rows[0]["event"]["body"]
    return forger.add(people.operator, "ledger.created", body, "ledger")


RULES: dict[str, tuple[Callable[[Forger, People], int], str]] = {
    "no key": (
        lambda f, p: add_upload(f, p.author, key=new_key()),
        "a key that no entry registers",
    ),
    "a revoked key": (revoked_key, "is revoked"),
    "a key too early": (
        lambda f, p: add_upload(f, p.author, before=f.find("doctor.approved") - 1),
        "not registered for",
    ),
    "another's key": (lambda f, p: look(f, p.reader, key=p.stranger.key), "not registered for"),
    "a recovered key too early": (recovered_key, "not yet counting"),
    "a role not held": (
        lambda f, p: add_account(f, p.reader.in_role("hospital_admin", p.south.hospital)),
        "is not an active hospital_admin",
    ),
    "another hospital": (
        lambda f, p: look(f, p.reader.in_role("doctor", p.north.hospital)),
        "is not an active doctor at",
    ),
    "another's chart": (other_chart, "is not an active patient"),
    "a role of another kind": (grant_by_a_doctor, "got the role doctor"),
    "a suspended hospital": (suspended_hospital, "is not an active hospital_system"),
    "an ended doctor": (ended_doctor, "is not an active doctor"),
    "an audit after its term": (late_audit, "is not an active auditor"),
    "a second admin by the operator": (second_admin, "first admin only"),
    "a known event": (
        lambda f, p: look(f, p.patient, id=f.rows[40]["event"]["id"]),
        "an earlier entry created",
    ),
    "a known refused event": (
        lambda f, p: look(f, p.patient, id=inner_id(f)),
        "an earlier entry created",
    ),
    "a known account": (
        lambda f, p: add_account(f, p.operator, p.patient.account),
        "an earlier entry created",
    ),
    "a known hospital": (known_hospital, "an earlier entry created"),
    "a known patient": (known_patient, "an earlier entry created"),
    "a known grant": (known_grant, "an earlier entry created"),
    "a known key": (known_key, "an earlier entry created"),
    "a proof for another account": (key_with_anothers_proof, "proof of possession"),
    "a voucher of another hospital": (key_by_another_hospital, "only a first key"),
    "a second beginning": (created_twice, "entry 0 alone"),
    "no decision": (lambda f, p: look(f, p.patient, decision=None), "decision: missing"),
    "a surplus decision": (
        lambda f, p: add_account(f, p.operator, decision=PERMIT),
        "decision: not one of a account.registered",
    ),
    "a reading denied": (
        lambda f, p: look(f, p.patient, decision=PERMIT | {"effect": "deny", "reason": "role"}),
        "decision: not one of a history.opened",
    ),
    "a reason without denial": (
        lambda f, p: look(f, p.patient, decision=PERMIT | {"reason": "role"}),
        "a reason belongs to a denial",
    ),
    "a clock too early": (
        lambda f, p: look(f, p.patient, at=f.now - SKEW_MS - 1),
        "author's clock",
    ),
    "a clock too late": (
        lambda f, p: look(f, p.patient, at=f.now + SKEW_MS + 1),
        "author's clock",
    ),
    "time going back": (lambda f, p: look(f, p.patient, time=f.now - 1), "its time lies before"),
}
"""What an evil operator may put into the log, and the words by which it is found."""


@pytest.mark.parametrize("name", RULES)
def test_an_entry_that_no_rule_allows_is_found(large: Export, place: Path, name: str) -> None:
    act, words = RULES[name]
    forger = Forger(large)
    number = act(forger, large.people)
    refuse(forger.publish(), place, large, f"^entry {number}: .*{words}")
    read_log(place, large.vkeys)  # below its content the log is in order: nothing else was found


def test_what_the_forger_adds_honestly_is_accepted(large: Export, place: Path) -> None:
    """Otherwise the table above would find whatever it adds."""
    forger, people = Forger(large), large.people
    add_upload(forger, people.author, at=forger.now - SKEW_MS)
    look(forger, people.patient, at=forger.now + SKEW_MS)
    look(forger, people.auditor)
    add_account(forger, people.operator)
    write_files(forger.publish(), place)
    assert verify_export(place, large.vkeys).size == large.size + 4


def test_a_signed_event_can_not_be_altered(small: Export, place: Path) -> None:
    """With chain, tree and checkpoint made anew, the author's signature alone is left to find it."""
    for number in range(small.size):
        forger = Forger(small)
        event = forger.rows[number]["event"]
        event["at"] = format_time(parse_time(event["at"]) + 1)
        shutil.rmtree(place, ignore_errors=True)
        refuse(forger.publish(), place, small, f"^entry {number}: .*signature.*does not fit")


BODIES: dict[str, tuple[str, str, object]] = {
    "another content": ("record.uploaded", "sha256", b64encode(bytes(32))),
    "another grantee": ("access.granted", "grantee", "hs_" + "0" * 26),
    "another record read": ("record.opened", "record", "rc_" + "0" * 26),
    "another doctor": ("doctor.approved", "account", "ac_" + "0" * 26),
    "another name": ("hospital.approved", "name", "Klinikum West"),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_altered_body_is_found_by_its_authors_signature(
    small: Export, place: Path, name: str
) -> None:
    kind, member, value = BODIES[name]
    forger = Forger(small)
    number = forger.find(kind)
    assert member in forger.rows[number]["event"]["body"]
    forger.rows[number]["event"]["body"][member] = value
    refuse(forger.publish(), place, small, f"^entry {number}: .*signature.*does not fit")


def bundle_path(forger: Forger, number: int) -> None:
    forger.rows[number]["sig"]["bundle"]["path"][0] = b64encode(bytes(32))


def bundle_index(forger: Forger, number: int) -> None:
    forger.rows[number]["sig"]["bundle"]["index"] ^= 1


def bundle_size(forger: Forger, number: int) -> None:
    forger.rows[number]["sig"]["bundle"]["size"] -= 1


def bundle_value(forger: Forger, number: int) -> None:
    """Another bundle's signature by the same key."""
    forger.rows[number]["sig"]["value"] = forger.rows[forger.find("patient.registered")]["sig"][
        "value"
    ]


def bundle_left_out(forger: Forger, number: int) -> None:
    del forger.rows[number]["sig"]["bundle"]


@pytest.mark.parametrize(
    "bend", [bundle_path, bundle_index, bundle_size, bundle_value, bundle_left_out]
)
def test_an_altered_place_in_a_bundle_is_found(
    large: Export, place: Path, bend: Callable[[Forger, int], None]
) -> None:
    forger = Forger(large)
    number = forger.find("record.uploaded", 550)
    bend(forger, number)
    refuse(forger.publish(), place, large, f"^entry {number}: ")


# Entries that are none


def bent(data: bytes, change: tuple[bytes, bytes]) -> bytes:
    """The data with the one place that fits replaced; what holds a `[^` is a pattern."""
    old, new = change
    pattern = old if b"[^" in old else re.escape(old)
    out, found = re.subn(pattern, lambda match: new, data)
    assert found == 1
    return out


def upload_raw(forger: Forger) -> bytes:
    """An upload put in as the last entry; its bytes."""
    add_upload(forger, forger.export.people.author)
    return forger.entries()[-1]


# fmt: off
UNSIGNED: dict[str, tuple[bytes, bytes]] = {
    "space": (b',"seq":', b', "seq":'),
    "another order": (b'"assurance":3,"basis":[]', b'"basis":[],"assurance":3'),
    "a member twice": (b'"policy":0', b'"policy":0,"policy":0'),
    "a surplus member": (b'"stream_prev":', b'"stray":1,"stream_prev":'),
    "a surplus member of the decision": (b'"policy":0', b'"policy":0,"q":1'),
    "an escaped letter": (b'"ev_', b'"\\u0065v_'),
    "an escaped slash": (b'"patient/', b'"patient\\/'),
    "a byte order mark": (b'{"decision"', b'\xef\xbb\xbf{"decision"'),
    "a newline at the end": (b'Z"}', b'Z"}\n'),
    "more at the end": (b'Z"}', b'Z"}{}'),
    "no UTF-8": (b'"stream_prev":', b'"stray":"\xff","stream_prev":'),
    "assurance 4": (b'"assurance":3', b'"assurance":4'),
    "assurance as a float": (b'"assurance":3', b'"assurance":3.0'),
    "assurance as text": (b'"assurance":3', b'"assurance":"3"'),
    "basis falling": (b'"basis":[]', b'"basis":[3,1]'),
    "basis twice": (b'"basis":[]', b'"basis":[1,1]'),
    "basis of nine": (b'"basis":[]', b'"basis":[0,1,2,3,4,5,6,7,8]'),
    "basis of a later entry": (b'"basis":[]', b'"basis":[1,99999]'),
    "a later entry's policy": (b'"policy":0', b'"policy":99999'),
    "a denial of what was appended": (b'"effect":"permit"', b'"effect":"deny"'),
    "basis below 0": (b'"basis":[]', b'"basis":[-1]'),
    "basis with a zero before": (b'"basis":[]', b'"basis":[01]'),
    "basis with an exponent": (b'"basis":[]', b'"basis":[1e0]'),
    "basis with a comma after": (b'"basis":[]', b'"basis":[1,]'),
    "an unknown rule": (b'"rule":"S6"', b'"rule":"S13"'),
    "a null": (b'"rule":"S6"', b'"rule":"S6","session":null'),
    "a policy of 2^53": (b'"policy":0', b'"policy":9007199254740992'),
    "a null decision": (b'{"decision":', b'{"decision":null,"stray":'),
    "the 30th of February": (b'"time":"[^"]*"', b'"time":"2026-02-30T00:00:00.000Z"'),
    "a time with an hour 24": (b'"time":"[^"]*"', b'"time":"2026-11-20T24:00:00.000Z"'),
    "a time of seconds": (b'"time":"[^"]*"', b'"time":"2026-11-20T10:00:00Z"'),
    "stream_seq with a zero before": (b'"stream_seq":', b'"stream_seq":0'),
    "stream_seq below 0": (b'"stream_seq":', b'"stream_seq":-'),
    "a key in upper case": (b'"key":"k_', b'"key":"K_'),
    "a signature without padding": (b'=="},"stream_prev"', b'"},"stream_prev"'),
    "a bundle of none": (b'"sig":{', b'"sig":{"bundle":{"index":0,"path":[],"size":0},'),
}
"""Bytes of an upload's entry that no author signs, and what an operator makes of them."""

SIGNED: dict[str, tuple[bytes, bytes]] = {
    "a surplus member": (b'"body":', b'"bodies":{},"body":'),
    "a surplus member of the body": (b'"category":', b'"card":1,"category":'),
    "a free text": (b'"category":', b'"a_note":"hello","category":'),
    "a missing purpose": (b',"purpose":"TREAT"', b''),
    "an unknown purpose": (b'"purpose":"TREAT"', b'"purpose":"CURIOUS"'),
    "an unknown category": (b'"category":"laboratory"', b'"category":"letters"'),
    "an unknown type": (b'"type":"record.uploaded"', b'"type":"record.stolen"'),
    "another version of the type": (b',"v":1}', b',"v":2}'),
    "a version as a float": (b',"v":1}', b',"v":1.0}'),
    "version 2 of a new record": (b'"version":1', b'"version":2'),
    "a size below 0": (b'"size":', b'"size":-1'),
    "a size as a float": (b'"size":21', b'"size":21.0'),
    "a size of 2^53": (b'"size":21', b'"size":9007199254740992'),
    "another stream's kind": (b'"stream":"patient/pt_', b'"stream":"account/ac_'),
    "a stream without id": (b'"stream":"patient/', b'"stream":"patients/'),
    "a role alone": (b'"role":"doctor"', b'"role":"doctor","since":"x"'),
    "no hospital": (b'"as":{"hospital":', b'"as":{"clinic":'),
    "an unknown role": (b'"role":"doctor"', b'"role":"nurse"'),
    "a role without hospitals": (b'"role":"doctor"', b'"role":"patient"'),
    "a digit that is none": (b'"record":"rc_0', b'"record":"rc_u'),
    "a digit too high": (b'"record":"rc_0', b'"record":"rc_8'),
    "an id too long": (b'"record":"rc_0', b'"record":"rc_00'),
    "another prefix": (b'"record":"rc_0', b'"record":"bl_0'),
    "a hash too short": (b'"sha256":"', b'"sha256":"AAAA'),
    "a media type of two lines": (b'"text/plain"', b'"text/plain\\n"'),
    "a media type that isn't": (b'"text/plain"', b'"plain"'),
    "a media type beyond ASCII": (b'"text/plain"', "text/plön".encode().join((b'"', b'"'))),
    "a title in clear": (b'"title":"', b'"title":"Blutbild, '),
    "sensitive: false": (b'"sha256":', b'"sensitive":false,"sha256":'),
    "sensitive without labels": (b'"sha256":', b'"sensitive":true,"sha256":'),
    "no labels": (b'"media_type":', b'"labels":[],"media_type":'),
    "a thirteenth month": (b'"confidentiality":', b'"clinical_date":"2026-13-01","confidentiality":'),
    "no day of that year": (b'"at":"[^"]*"', b'"at":"2027-02-29T00:00:00.000Z"'),
    "no account": (b'"id":"ev_', b'"id":"ev_","ie":"ev_'),
    "on behalf of nobody": (b'"stream":"patient', b'"on_behalf_of":"me","stream":"patient'),
}
"""Bytes of an upload's event; here author and operator are of one mind, and it is signed anew."""
# fmt: on


@pytest.mark.parametrize("name", UNSIGNED)
def test_bytes_that_are_no_entry_are_found(large: Export, place: Path, name: str) -> None:
    forger = Forger(large)
    raw = upload_raw(forger)
    entries = [*forger.entries()[:-1], bent(raw, UNSIGNED[name])]
    refuse(signed(large, entries), place, large, f"^entry {large.size}: ")


@pytest.mark.parametrize("name", SIGNED)
def test_bytes_that_are_no_event_are_found(large: Export, place: Path, name: str) -> None:
    forger = Forger(large)
    raw = upload_raw(forger)
    before, event, after = re.split(rb'(?<="event":)(.*)(?=,"prev":)', raw)
    event = bent(event, SIGNED[name])
    key, honest = large.people.author.key, forger.rows[-1]["sig"]["value"]
    value = b64encode(sign_event(key, ORIGIN, event).value)
    raw = before + event + after.replace(honest.encode(), value.encode())
    refuse(signed(large, [*forger.entries()[:-1], raw]), place, large, f"^entry {large.size}: ")


def test_a_bundle_of_more_than_1000_events_is_none(large: Export, place: Path) -> None:
    """Path and signature are right; of 1,000 it is one."""
    for size, found in ((1_000, False), (1_001, True)):
        forger, author = Forger(large), large.people.author
        row = forger.rows[add_upload(forger, author)]
        root, paths = tree_paths([leaf_hash(canonical(row["event"])), *[bytes(32)] * (size - 1)])
        value = b64encode(author.key.sign(bundle_message(ORIGIN, size, root)))
        path = [b64encode(node) for node in paths[0]]
        bundle = {"index": 0, "path": path, "size": size}
        row["sig"] = {"bundle": bundle, "key": author.key.id, "value": value}
        if found:
            refuse(forger.publish(), place, large, f"^entry {large.size}: .*1000")
        else:
            assert verify_export(write_files(forger.publish(), place), large.vkeys).proven


# Refused readings


def inner(forger: Forger, number: int) -> Row:
    """The refused reading inside an entry: event and signature."""
    body: Row = forger.rows[number]["event"]["body"]
    return body


def sign_inner(forger: Forger, number: int, by: Actor, /, **members: object) -> None:
    """Alter members of the refused reading and sign it again."""
    body = inner(forger, number)
    body["event"] |= members
    body["sig"] = signature(by.key, body["event"])


def swap_signatures(forger: Forger, people: People, number: int) -> None:
    inner(forger, number)["sig"] = inner(forger, forger.find("access.refused", 1))["sig"]


def no_reading(forger: Forger, people: People, number: int) -> None:
    event = forger.rows[forger.find("access.revoked")]["event"]
    sign_inner(forger, number, people.patient, **event | {"id": new_id("ev", forger.now)})


def deny(forger: Forger, number: int, **members: object) -> None:
    """Bend the decision of the refusal; None leaves a member out."""
    decision = forger.rows[number]["decision"] | members
    forger.rows[number]["decision"] = {k: v for k, v in decision.items() if v is not None}


def no_decision(forger: Forger, people: People, number: int) -> None:
    del forger.rows[number]["decision"]


def acting(people: People, actor: Actor, role: str, hospital: str) -> Row:
    return {"actor": actor.account, "as": {"hospital": hospital, "role": role}}


REFUSALS: dict[str, tuple[Callable[[Forger, People, int], object], str]] = {
    "another's signature": (swap_signatures, "signature"),
    "an altered reading": (
        lambda f, p, n: inner(f, n)["event"]["body"].update(purpose="HRESCH"),
        "does not fit",
    ),
    "a reader without key": (
        lambda f, p, n: sign_inner(f, n, Actor(ORIGIN, "", "", "", new_key())),
        "a key that no entry registers",
    ),
    "another reader": (lambda f, p, n: sign_inner(f, n, p.reader), "not registered for"),
    "a reader in another role": (
        lambda f, p, n: sign_inner(
            f, n, p.stranger, **acting(p, p.stranger, "hospital_admin", p.south.hospital)
        ),
        "is not an active hospital_admin",
    ),
    "another chart": (
        lambda f, p, n: sign_inner(f, n, p.stranger, stream=f"patient/{p.other_chart}"),
        "expected a reading of the same patient",
    ),
    "no reading": (no_reading, "expected a reading"),
    "a clock too late": (
        lambda f, p, n: sign_inner(
            f, n, p.stranger, at=format_time(parse_time(f.rows[n]["time"]) + SKEW_MS + 1)
        ),
        "clock",
    ),
    "a known id": (
        lambda f, p, n: sign_inner(f, n, p.stranger, id=f.rows[40]["event"]["id"]),
        "an earlier entry created",
    ),
    "its own id inside": (
        lambda f, p, n: f.rows[n]["event"].update(id=inner(f, n)["event"]["id"]),
        "one id twice",
    ),
    "a denial that is never written": (lambda f, p, n: deny(f, n, rule="S0"), "S0"),
    "no decision": (no_decision, "decision: missing"),
    "a permit": (lambda f, p, n: deny(f, n, effect="permit"), "permit"),
    "a permit in all": (
        lambda f, p, n: deny(f, n, effect="permit", reason=None),
        "permit",
    ),
    "a denial without reason": (lambda f, p, n: deny(f, n, reason=None), "reason belongs"),
}
"""What may be wrong with a refused reading that the service itself signed into the log."""


@pytest.mark.parametrize("name", REFUSALS)
def test_a_forged_refusal_is_found(small: Export, place: Path, name: str) -> None:
    bend, words = REFUSALS[name]
    forger = Forger(small)
    number = forger.find("access.refused")
    bend(forger, small.people, number)
    forger.sign(number, small.people.service.key)
    refuse(forger.publish(), place, small, f"^entry {number}: .*{words}")


def test_a_refusal_by_somebody_else_is_found(small: Export, place: Path) -> None:
    forger, author = Forger(small), small.people.author
    number = forger.find("access.refused")
    as_author = acting(small.people, author, "doctor", author.hospital)
    forger.rows[number]["event"] |= as_author
    forger.sign(number, author.key)
    refuse(forger.publish(), place, small, f"^entry {number}: got the role doctor")


# Entry 0


def other_origin(body: Row) -> None:
    body["origin"] = "heartwood.example/other"


def other_log_keys(body: Row) -> None:
    signer = LogSigner(ORIGIN, bytes(32), bytes(32))
    body["log_keys"] = [str(key) for key in signer.keys]


def other_registry(body: Row) -> None:
    body["registry"] = b64encode(bytes(32))


def one_person(body: Row) -> None:
    body["service"] = body["operator"]


def other_operator(body: Row) -> None:
    body["operator"] = body["service"] | {"account": body["operator"]["account"]}


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (other_origin, "entry 0: is of the log heartwood.example/other"),
        (other_log_keys, "log.vkey: its keys are not those that entry 0 names"),
        (other_registry, "registry.json: its SHA-256"),
        (one_person, "entry 0: "),
        (other_operator, "entry 0: "),
    ],
)
def test_entry_0_fits_the_log(
    small: Export, place: Path, bend: Callable[[Row], None], words: str
) -> None:
    forger = Forger(small)
    del forger.rows[1:]  # what comes later would be found first, by the keys it is signed with
    bend(forger.rows[0]["event"]["body"])
    forger.sign(0, small.people.operator.key)
    refuse(forger.publish(), place, small, f"^{re.escape(words)}")


def test_a_log_without_its_beginning_is_found(small: Export, place: Path) -> None:
    forger = Forger(small)
    del forger.rows[0]
    refuse(forger.publish(), place, small, "^entry 0: ")


# Both chains


def swapped(entries: list[bytes], at: int) -> None:
    entries[at], entries[at + 1] = entries[at + 1], entries[at]


def dropped(entries: list[bytes], at: int) -> None:
    del entries[at]


def doubled(entries: list[bytes], at: int) -> None:
    entries.insert(at, entries[at])


@pytest.mark.parametrize(("bend", "moved"), [(swapped, 0), (dropped, 0), (doubled, 1)])
@pytest.mark.parametrize("at", [1, 20, 46])
def test_entries_moved_under_a_fresh_tree_are_found(
    small: Export, place: Path, bend: Callable[[list[bytes], int], None], moved: int, at: int
) -> None:
    entries = list(small.entries)
    bend(entries, at)
    refuse(signed(small, entries), place, small, rf"^entry {at + moved}: .*(number|prev)")


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("prev", b64encode(bytes(32)), "prev is not the hash of entry {}"),
        ("stream_prev", b64encode(bytes(32)), "does not follow"),
        ("stream_seq", 1, "does not follow"),
        ("seq", 3, "got the number 3"),
    ],
)
def test_broken_links_under_a_fresh_tree_are_found(
    small: Export, place: Path, member: str, value: object, words: str
) -> None:
    forger, last = Forger(small), small.size - 1
    entries = forger.entries()
    entries[last] = canonical(exports.row_of(entries[last]) | {member: value})
    refuse(signed(small, entries), place, small, f"^entry {last}: .*{words.format(last - 1)}")


def test_a_decision_as_of_another_entry_is_found(large: Export, place: Path) -> None:
    forger = Forger(large, mend_decisions=False)
    number = look(forger, large.people.patient)
    refuse(forger.publish(), place, large, f"^entry {number}: decision: .*as of 0")


@pytest.mark.parametrize("at", [255, 256, 300, 511, 512])
def test_links_across_bundles_are_checked(large: Export, place: Path, at: int) -> None:
    """One bit of an entry's time, and the tree made anew: the next entry's `prev` finds it."""
    entries = list(large.entries)
    row = exports.row_of(entries[at])
    entries[at] = canonical(row | {"time": format_time(parse_time(row["time"]) + 1)})
    refuse(signed(large, entries), place, large, rf"^entry {at + 1}: (prev is not|its time lies)")


# Checkpoint and keys


def other_signer() -> LogSigner:
    """A log of the same name with keys of its own."""
    return LogSigner(ORIGIN, bytes(32), bytes(32))


def without_line(export: Export, number: int) -> bytes:
    """The checkpoint without one of its signature lines."""
    lines = export.files["checkpoint"].splitlines(keepends=True)
    del lines[4 + number]
    return b"".join(lines)


def own_keys(signer: LogSigner) -> Files:
    """The files that name a log's keys."""
    keys = "".join(f"{key}\n" for key in signer.keys)
    policy = f"log {signer.keys[0]}\nquorum none\n"
    return {"log.vkey": keys.encode(), "policy": policy.encode()}


CHECKPOINTS: dict[str, tuple[Callable[[Export], Files], str]] = {
    "no Ed25519 line": (
        lambda e: replaced(e, {"checkpoint": without_line(e, 0)}),
        "^checkpoint: .*type 0x01.* has not signed",
    ),
    "no ML-DSA-44 line": (
        lambda e: replaced(e, {"checkpoint": without_line(e, 1)}),
        "^checkpoint: .*type 0x06.* has not signed",
    ),
    "other keys": (
        lambda e: signed(e, e.entries, other_signer()),
        "^checkpoint: .*none of the known keys",
    ),
    "one more entry": (
        lambda e: signed(e, e.entries, size=e.size + 1),
        "^tile/.*in a log of",
    ),
    "one entry less": (
        lambda e: signed(e, e.entries, size=e.size - 1),
        "^tile/.*in a log of",
    ),
    "no entries": (
        lambda e: signed(e, e.entries, size=0, root=hashlib.sha256(b"").digest()),
        "^tile/.*in a log of 0",
    ),
    "another root": (
        lambda e: signed(e, e.entries, root=bytes(32)),
        "^checkpoint: its root is not that of the entries",
    ),
    "another origin": (
        lambda e: signed(e, e.entries, origin="heartwood.example/other"),
        "^checkpoint: got the origin",
    ),
}
"""Checkpoints that don't fit, most of them signed by the log's own keys."""


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_forged_checkpoint_is_found_by_both_readers(
    small: Export, place: Path, name: str
) -> None:
    forge, words = CHECKPOINTS[name]
    refuse(forge(small), place, small, words)
    with pytest.raises(LogRefused):
        read_log(place, small.vkeys)


def test_keys_inside_prove_nothing(small: Export, place: Path) -> None:
    """Another log's keys in `log.vkey` and checkpoint: entry 0 names the true ones."""
    files = signed(small, small.entries, other_signer()) | own_keys(other_signer())
    write_files(with_manifest(files), place)
    with pytest.raises(Tampered, match=r"^log\.vkey: holds other keys"):
        verify_export(place, small.vkeys)
    with pytest.raises(Tampered, match=r"^log\.vkey: its keys are not those that entry 0 names"):
        verify_export(place, None)


def test_a_log_made_up_whole_is_found_by_keys_from_outside_alone(
    small: Export, place: Path
) -> None:
    forger = Forger(small)
    other_log_keys(forger.rows[0]["event"]["body"])
    forger.sign(0, small.people.operator.key)
    files = forger.publish(signer=other_signer()) | own_keys(other_signer())
    write_files(with_manifest(files), place)
    assert not verify_export(place, None).proven
    with pytest.raises(Tampered, match=r"^log\.vkey: holds other keys"):
        verify_export(place, small.vkeys)


@pytest.mark.parametrize("number", [0, 1])
def test_one_key_from_outside_is_not_enough(small: Export, place: Path, number: int) -> None:
    write_files(small.files, place)
    with pytest.raises(Tampered, match=r"^log\.vkey: "):
        verify_export(place, [small.vkeys[number]])


def test_keys_from_outside_may_come_in_any_order(small: Export, place: Path) -> None:
    write_files(small.files, place)
    assert verify_export(place, small.vkeys[::-1]).proven


# An older receipt


def cut_short(forger: Forger) -> None:
    del forger.rows[-1]


def without_a_refusal(forger: Forger) -> None:
    del forger.rows[forger.find("access.refused", 1)]


def another_basis(forger: Forger) -> None:
    forger.rows[forger.find("record.opened")]["decision"]["basis"] = [0]


def another_time(forger: Forger) -> None:
    row = forger.rows[-1]
    row["time"] = format_time(parse_time(row["time"]) + 1)


def another_policy(forger: Forger) -> None:
    forger.rows[0]["event"]["body"]["policy"]["grant_days_max"] = 3_650
    forger.sign(0, forger.export.people.operator.key)


HISTORIES = [cut_short, without_a_refusal, another_basis, another_time, another_policy]
"""What the log's own keys can tell anew, and no single export shows."""


@pytest.mark.parametrize("bend", HISTORIES)
def test_another_history_is_found_by_an_older_receipt(
    small: Export, place: Path, bend: Callable[[Forger], None]
) -> None:
    forger = Forger(small)
    bend(forger)
    write_files(forger.publish(), place)
    assert verify_export(place, small.vkeys).proven, "such a log is in order by itself"
    words = "cut short" if len(forger.rows) < small.size else "does not extend"
    with pytest.raises(Tampered, match=words):
        verify_export(place, small.vkeys, small.receipts[-1])


@pytest.mark.parametrize("name", ["small", "large"])
def test_what_only_extends_holds_at_least(
    name: str, place: Path, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    forger = Forger(export)
    del forger.rows[-2:]  # the older receipt is from before these
    look(forger, export.people.patient)
    write_files(forger.publish(), place)
    assert verify_export(place, export.vkeys, export.older).proven
    with pytest.raises(Tampered, match=r"cut short|does not extend"):
        verify_export(place, export.vkeys, export.receipts[-1])


def test_an_older_receipt_must_hold_itself(small: Export, place: Path) -> None:
    write_files(small.files, place)
    proof, _, note = small.older.partition(b"\n\n")
    head = Checkpoint.parse(note.partition(b"\n\n")[0] + b"\n")
    foreign = proof + b"\n\n" + other_signer().sign(head, 0)
    for receipt in (b"", b"no receipt", small.older[:-2], flipped(small.older, 60, 0), foreign):
        with pytest.raises(Tampered, match=r"^the older receipt does not hold"):
            verify_export(place, small.vkeys, receipt)


@pytest.mark.parametrize("name", ["small", "large"])
def test_every_receipt_holds_at_least(name: str, request: pytest.FixtureRequest) -> None:
    export: Export = request.getfixturevalue(name)
    _, keys = read_checkpoint(reader(export.files), export.vkeys)
    for receipt in export.receipts[:: max(1, export.size // 50)]:
        assert check_at_least(reader(export.files), export.size, receipt, keys)


# Files


def test_a_path_may_not_be_missing(small: Export, place: Path) -> None:
    for path in small.files:
        left = {name: data for name, data in small.files.items() if name != path}
        mended = with_manifest(left) if path != "manifest" else left
        for files in (left, mended):
            shutil.rmtree(place, ignore_errors=True)
            refuse(files, place, small, f"^{re.escape(path)}: missing")


SURPLUS = [
    "extra", "tile/0/000", "tile/0/000.p/48", "tile/0/001.p/1", "tile/1/000.p/1", "tile/0/0",
    "tile/entries/000", "tile/entries/000.p/48", "tile/entries/x000/000", "checkpoint.old",
    "crypto/__init__.py", "manifest.old", "sub/manifest", "README.txt", "tile/README",
]  # fmt: skip


@pytest.mark.parametrize("path", SURPLUS)
def test_a_path_may_not_be_surplus(small: Export, place: Path, path: str) -> None:
    files = dict(small.files) | {path: b"surplus"}
    refuse(files, place, small, f"^{re.escape(path)}: not in the manifest")
    shutil.rmtree(place)
    refuse(replaced(small, {path: b"surplus"}), place, small, f"^{re.escape(path)}: surplus in")


def test_another_logs_releases_may_stand_beside_but_in_the_manifest(
    small: Export, place: Path
) -> None:
    refuse(dict(small.files) | {"releases/x": b"x"}, place, small, "^releases/x: not in the man")


def link_to_a_copy(place: Path, path: str) -> None:
    outside = place.parent / "outside"
    outside.write_bytes((place / path).read_bytes())
    (place / path).unlink()
    (place / path).symlink_to(outside)


def link_to_itself(place: Path, path: str) -> None:
    (place / path).unlink()
    (place / path).symlink_to(path)


def link_to_a_folder(place: Path, path: str) -> None:
    """The folder at the top moves away, with all that is in it."""
    top = place / Path(path).parts[0]
    top.rename(place.parent / "moved")
    top.symlink_to(place.parent / "moved")


@pytest.mark.parametrize(
    ("bend", "path"),
    [
        *((link_to_a_copy, path) for path in ("manifest", "checkpoint", "README", "log.vkey")),
        (link_to_a_copy, "tile/entries/000.p/49"),
        (link_to_itself, "README"),
        (link_to_a_folder, "tile/entries"),
    ],
)
def test_links_are_not_followed(
    small: Export, place: Path, bend: Callable[[Path, str], None], path: str
) -> None:
    write_files(small.files, place)
    bend(place, path)
    with pytest.raises(Tampered, match=r": (missing|not in the manifest)$"):
        verify_export(place, small.vkeys)


MANIFESTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "no newline at the end": lambda text: text[:-1],
    "a line twice": lambda text: text.splitlines(keepends=True)[0] + text,
    "another order": lambda text: b"".join(text.splitlines(keepends=True)[::-1]),
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "form feeds": lambda text: text.replace(b"\n", b"\x0c", 1),
    "upper case": lambda text: text.upper(),
    "an empty line": lambda text: text + b"\n",
    "a file outside": lambda text: b"0" * 64 + b"  ../log.vkey\n" + text,
    "no UTF-8": lambda text: text + b"0" * 64 + b"  \xff\n",
    "one gap": lambda text: text.replace(b"  ", b" "),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifest_has_one_form(small: Export, place: Path, name: str) -> None:
    files = dict(small.files) | {"manifest": MANIFESTS[name](small.files["manifest"])}
    refuse(files, place, small, "manifest|missing|damaged")


# The tree of a larger log


def test_every_tile_of_a_larger_log_is_checked_by_both_readers(large: Export, place: Path) -> None:
    tiles = [path for path in large.files if re.match(r"tile/\d", path)]
    assert {path.split("/")[1] for path in tiles} == {"0", "1"} and len(tiles) == 4
    for path in tiles:
        data = large.files[path]
        bends = (flipped(data, 0, 0), flipped(data, len(data) - 1, 7), data[:-32], data + data[:32])
        for altered in (*bends, b""):
            shutil.rmtree(place, ignore_errors=True)
            refuse(replaced(large, {path: altered}), place, large, f"^{re.escape(path)}: ")
            with pytest.raises(LogRefused, match=f"^{re.escape(path)}"):
                read_log(place, large.vkeys)


def test_bundles_may_not_change_places(large: Export, place: Path) -> None:
    first, second = (large.files[f"tile/entries/{n}"] for n in ("000", "001"))
    files = replaced(large, {"tile/entries/000": second, "tile/entries/001": first})
    refuse(files, place, large, "^entry 0: got the number 256")


@pytest.mark.parametrize("count", [1, 255, 257, 400])
def test_a_bundle_holds_its_256_entries(large: Export, place: Path, count: int) -> None:
    """An operator cuts the same entries into files in another way."""
    entries, rest = large.entries, "tile/entries/001"
    files = replaced(
        large,
        {"tile/entries/000": framed(entries[:count]), rest: framed(entries[count:512])},
    )
    refuse(files, place, large, r"^(tile/entries/000: holds \d+ entries|entry \d+: got the number)")


def test_processes_side_by_side_find_the_same(
    large: Export, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.auditor, "PARALLEL_BUNDLES", 2)
    write_files(large.files, place)
    assert verify_export(place, large.vkeys, processes=2).size == large.size
    forger = Forger(large)
    forger.rows[600]["event"]["body"]["size"] = 7
    shutil.rmtree(place)
    write_files(forger.publish(), place)
    with pytest.raises(Tampered, match=r"^entry 600: .*does not fit"):
        verify_export(place, large.vkeys, processes=2)


# The independent reader and the receipts


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_independent_reader_accepts_what_was_exported(
    name: str, place: Path, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    write_files(export.files, place)
    assert read_log(place, export.vkeys) == export.entries
    assert verify_export(place, export.vkeys).counts.entries == export.size


@pytest.mark.parametrize("name", ["small", "large"])
def test_every_entry_has_a_receipt_that_both_readers_accept(
    name: str, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    assert len(export.receipts) == export.size
    for number, text in enumerate(export.receipts):
        assert check_proof(text, export.vkeys) == (number, export.entries[number])
        assert check_receipt(text, export.vkeys).index == number


def test_the_command_checks_every_receipt(
    small: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "receipt"
    keys = small.data / "log.vkey"
    monkeypatch.setattr(sys, "argv", ["heartwood", "check", str(file), "--vkey", str(keys)])
    for text in small.receipts:
        for written, code in ((text, 0), (flipped(text, len(text) // 3, 1), 1)):
            file.write_bytes(written)
            with pytest.raises(SystemExit) as left:
                main()
            assert left.value.code == code


def test_every_byte_of_a_receipt_counts(small: Export) -> None:
    for at, bit in flips(len(small.older)):
        altered = flipped(small.older, at, bit)
        with pytest.raises((LedgerError, CryptoError)):
            check_receipt(altered, small.vkeys)
        with pytest.raises(LogRefused):
            check_proof(altered, small.vkeys)


def test_a_receipt_counts_under_its_own_logs_keys_alone(small: Export) -> None:
    others = [str(key) for key in other_signer().keys]
    with pytest.raises(NoteError, match="none of the known keys"):
        check_receipt(small.older, others)
    with pytest.raises(LogRefused):
        check_proof(small.older, others)


def test_no_receipt_fits_another_entry(small: Export) -> None:
    for number, text in enumerate(small.receipts):
        other = small.entries[number - 1]
        forged = text.replace(b64encode(small.entries[number]).encode(), b64encode(other).encode())
        with pytest.raises(LogRefused):
            check_proof(forged, small.vkeys)
        with pytest.raises(ValueError, match="receipt"):
            check_receipt(forged, small.vkeys)


# The auditor's tool, as a process of its own


def two_rooms(folder: Path) -> dict[str, str]:
    """An environment in which only `crypto` and `ledger` are there, and orjson is not."""
    for room in ("crypto", "ledger"):
        shutil.copytree(HOME / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "orjson.py").write_text("raise ImportError('hidden by a test')\n")
    path = (str(folder), str(hidden), sysconfig.get_path("purelib"))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)}


def tool(
    folder: Path, environment: Mapping[str, str], *arguments: object, flags: Sequence[str] = ("-P",)
) -> subprocess.CompletedProcess[str]:
    """Run `python -P -m ledger …` in `folder`; -S leaves out the rooms beside the tests."""
    command = [sys.executable, "-S", *flags, "-m", "ledger", *map(str, arguments)]
    run = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stderr
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return two_rooms(tmp_path_factory.mktemp("rooms"))


def test_two_rooms_are_enough_for_an_auditor(alone: Mapping[str, str], tmp_path: Path) -> None:
    for module, there in (("ledger.auditor", True), ("orjson", False), ("storage", False)):
        command = [sys.executable, "-S", "-P", "-c", f"import {module}"]
        run = subprocess.run(command, env=dict(alone), cwd=tmp_path, capture_output=True)
        assert (run.returncode == 0) is there, module


def test_the_tools_exit_codes(small: Export, alone: Mapping[str, str], tmp_path: Path) -> None:
    good, bad, keys = tmp_path / "good", tmp_path / "bad", small.data / "log.vkey"
    write_files(small.files, good)
    write_files(replaced(small, {"registry.json": b"{}"}), bad)
    older, cut, garbage = (tmp_path / name for name in ("older", "cut", "garbage"))
    older.write_bytes(small.older)
    garbage.write_bytes(b"\xff\xfe\x00")
    forger = Forger(small)
    del forger.rows[30:]
    write_files(forger.publish(), cut)
    runs: list[tuple[int, str, tuple[object, ...]]] = [
        (0, "good", ("verify", good, "--vkey", keys)),
        (0, "good", ("verify", good, "--vkey", keys, "--at-least", older)),
        (0, "entry 33 stands", ("check", older, "--vkey", keys)),
        (0, "heartwood/registry/v1", ("registry",)),
        (1, "WRONG: registry.json: ", ("verify", bad, "--vkey", keys)),
        (1, "cut short", ("verify", cut, "--vkey", keys, "--at-least", older)),
        (1, "WRONG: ", ("check", garbage, "--vkey", keys)),
        (1, "WRONG: ", ("verify", good, "--vkey", garbage)),
        (2, "usage: ", ("verify",)),
        (2, "usage: ", ("unknown",)),
        (3, "origin unproven", ("verify", good)),
        (3, "origin unproven", ("check", older)),
        (4, "there is no folder", ("verify", tmp_path / "none", "--vkey", keys)),
        (4, "No such file", ("verify", good, "--vkey", tmp_path / "none")),
    ]
    for code, words, arguments in runs:
        run = tool(tmp_path, alone, *arguments)
        assert (run.returncode, words in run.stdout + run.stderr) == (code, True), (arguments, run)


@pytest.mark.parametrize("planted", ["crypto/__init__.py", "ledger/__init__.py", "storage.py"])
def test_the_tool_does_not_run_inside_an_export_that_brings_code(
    small: Export, alone: Mapping[str, str], place: Path, planted: str
) -> None:
    write_files(
        dict(small.files) | {planted: b"raise SystemExit('the export ran its code')\n"}, place
    )
    run = tool(place, alone, "verify", ".", "--vkey", small.data / "log.vkey")
    assert run.returncode == 4
    assert f"this folder holds {planted.removesuffix('.py').split('/')[0]!r}" in run.stderr
    assert "the export ran its code" not in run.stderr


def test_without_p_planted_code_beside_the_verifier_is_not_run(
    small: Export, alone: Mapping[str, str], place: Path
) -> None:
    write_files(dict(small.files) | {"crypto/__init__.py": b"raise SystemExit('it ran')\n"}, place)
    run = tool(place, alone, "verify", ".", flags=())
    assert run.returncode == 4 and "it ran" not in run.stderr


def test_from_outside_planted_code_is_surplus(
    small: Export, alone: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    write_files(replaced(small, {"crypto/__init__.py": b"raise SystemExit('it ran')\n"}), place)
    run = tool(tmp_path, alone, "verify", place, "--vkey", small.data / "log.vkey")
    assert run.returncode == 1 and "crypto/__init__.py: surplus" in run.stderr


def test_the_tool_reads_a_larger_log(
    large: Export, alone: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    write_files(large.files, place)
    run = tool(tmp_path, alone, "verify", place, "--vkey", large.data / "log.vkey")
    assert run.returncode == 0 and f"{large.size} entries" in run.stdout
