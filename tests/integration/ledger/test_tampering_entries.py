"""Forgeries of single entries by whoever holds the log's keys; bytes that are no entry.

They stand in the last bundle of the larger log, which registers no key: there nothing but the digest of
the bundle itself looks at them.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.signers import possession
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from ledger.auditor import verify_export
from ledger.event import sign_event
from ledger.merkle import tree_paths
from ledger.messages import bundle_message
from ledger.tiles import TILE_WIDTH
from ledger.times import DAY_MS, format_time, parse_time
from tests.support.exports import (
    ORIGIN,
    PERMIT,
    Export,
    Forger,
    KeyHolders,
    canonical,
    signed,
    write_files,
)
from tests.support.forgeries import (
    SKEW_MS,
    add_account,
    add_key,
    add_upload,
    chart,
    look,
    refuse,
)
from tests.tilereader import leaf_hash, read_log


def recovered_key(forger: Forger, people: KeyHolders) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    add_key(forger, people.north.system, owner, recovery=True)
    return look(forger, owner, time=forger.now + DAY_MS - 1)


def revoked_key(forger: Forger, people: KeyHolders) -> int:
    """It signed the same before it was revoked."""
    look(forger, people.revoked, before=forger.find("key.revoked"))
    return look(forger, people.revoked)


def other_chart(forger: Forger, people: KeyHolders) -> int:
    """A patient who looked into the own chart first looks into another's."""
    look(forger, people.patient)
    return look(forger, people.patient, stream=f"patient/{people.other_chart}")


def suspended_hospital(forger: Forger, people: KeyHolders) -> int:
    body = {"hospital": people.south.hospital}
    add_upload(forger, people.south.system)
    forger.add(people.operator, "hospital.suspended", body, "ledger")
    return add_upload(forger, people.south.system)


def ended_doctor(forger: Forger, people: KeyHolders) -> int:
    stream = f"hospital/{people.south.hospital}"
    body = {"account": people.reader.account}
    look(forger, people.reader)
    forger.add(people.south.admin, "doctor.ended", body, stream)
    return look(forger, people.reader)


def late_audit(forger: Forger, people: KeyHolders) -> int:
    """A term ends by itself: the same look was right a day before."""
    look(forger, people.auditor)
    return look(forger, people.auditor, time=forger.now + DAY_MS)


def second_admin(forger: Forger, people: KeyHolders) -> int:
    body, stream = {"account": people.reader.account}, f"hospital/{people.south.hospital}"
    return forger.add(people.operator, "admin.appointed", body, stream)


def grant_by_a_doctor(forger: Forger, people: KeyHolders) -> int:
    body = dict(forger.rows[forger.find("access.granted")]["event"]["body"])
    body["grant"] = new_id("gr", forger.now)
    return forger.add(people.reader, "access.granted", body, chart(forger))


def known_hospital(forger: Forger, people: KeyHolders) -> int:
    body = forger.rows[forger.find("hospital.approved")]["event"]["body"]
    return forger.add(people.operator, "hospital.approved", body, "ledger")


def known_grant(forger: Forger, people: KeyHolders) -> int:
    body = forger.rows[forger.find("access.granted")]["event"]["body"]
    return forger.add(people.patient, "access.granted", body, chart(forger))


def known_patient(forger: Forger, people: KeyHolders) -> int:
    body = dict(forger.rows[forger.find("patient.registered")]["event"]["body"])
    body["account"] = new_id("ac", forger.now)
    return forger.add(people.north.system, "patient.registered", body, chart(forger))


def known_key(forger: Forger, people: KeyHolders) -> int:
    """Another account's key, with a proof that its holder may well have given."""
    account = new_id("ac", forger.now)
    add_account(forger, people.operator, account)
    thief = Actor(ORIGIN, account, "person", "", people.reader.key)
    return add_key(forger, people.operator, thief)


def inner_id(forger: Forger) -> str:
    return str(forger.rows[forger.find("access.refused")]["event"]["body"]["event"]["id"])


def key_with_anothers_proof(forger: Forger, people: KeyHolders) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    proof = possession(owner.key, ORIGIN, people.neighbour.account)
    return add_key(forger, people.patient.in_role("person"), owner, proof=proof)


def key_by_another_hospital(forger: Forger, people: KeyHolders) -> int:
    owner = Actor(ORIGIN, people.patient.account, "patient", "", new_key())
    return add_key(forger, people.south.system, owner)


def created_twice(forger: Forger, people: KeyHolders) -> int:
    body = forger.rows[0]["event"]["body"]
    return forger.add(people.operator, "ledger.created", body, "ledger")


RULES: dict[str, tuple[Callable[[Forger, KeyHolders], int], str]] = {
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
    "a recovered key too early": (recovered_key, "not valid yet"),
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
    "a voucher of another hospital": (key_by_another_hospital, "first key|already has a key"),
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
    "time going back": (lambda f, p: look(f, p.patient, time=f.now - 1), "its time is before"),
}
"""What an evil operator may put into the log, and the words by which it is found."""


@pytest.mark.parametrize("name", RULES)
def test_an_entry_that_no_rule_allows_is_found(large: Export, place: Path, name: str) -> None:
    act, words = RULES[name]
    forger = Forger(large)
    number = act(forger, large.people)
    refuse(forger.publish(), place, large, f"^entry {number}: .*{words}")
    read_log(place, large.vkeys)  # below its content the log is in order: nothing else was found


@pytest.mark.parametrize("twice", ["in its bundle", "in one before", "nowhere"])
def test_an_id_created_twice_among_uploads_alone_is_found(
    large: Export, place: Path, twice: str
) -> None:
    """Bundles of entries in which nothing else happens are looked at as a whole."""
    forger, people = Forger(large), large.people
    while len(forger.rows) % TILE_WIDTH:
        add_upload(forger, people.author)
    for _ in range(TILE_WIDTH + 9):
        add_upload(forger, people.author)
    if twice == "nowhere":
        write_files(forger.publish(), place)
        assert verify_export(place, large.vkeys).size == len(forger.rows)
        return
    known = forger.rows[-3 if twice == "in its bundle" else 40]["event"]["id"]
    number = add_upload(forger, people.author, id=known)
    words = f"^entry {number}: got the id {known}, which an earlier entry created"
    refuse(forger.publish(), place, large, words)


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
