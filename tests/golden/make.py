"""Writes the golden files: `python -m tests.golden.make`.

Keys, ids and times are fixed, so what is deterministic comes out the same for ever: `python -m pytest
tests/unit/test_golden.py` compares it byte for byte. What holds fresh randomness (ML-DSA signatures,
salts, nonces) is written only where the file is missing; tests open it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto import blobs, canonical, shares, wraps
from crypto.encoding import b64encode
from crypto.ids import digits
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from ledger.chain import Link
from ledger.checkpoint import Checkpoint
from ledger.entry import Entry
from ledger.event import Event, Signature, sign_bundle, sign_event
from ledger.exports import export_line, export_root
from ledger.merkle import leaf_hash, tree_paths
from ledger.messages import bundle_message, event_message, possession_message, session_message
from ledger.receipt import Receipt

HERE = Path(__file__).parent
ORIGIN = "log.example/golden"
AT = "2026-11-20T07:24:00.123Z"
TIME = 1_795_159_440_123  # Unix ms of AT
SIZE = 7
"""Entries in the log of checkpoint and receipt."""
INDEX = 3
"""The number of `entry.json`."""
PLAIN = b"A golden blob. " * 2_000
"""30,000 bytes: a full chunk and a part of one."""
FIELD_TEXT = "Prüfbefund № 7"
SECRET = bytes(range(100, 132))


def seed(name: str) -> bytes:
    """32 fixed bytes by name."""
    return hashlib.sha256(f"golden {name}".encode()).digest()


def fixed_id(prefix: str, number: int) -> str:
    """A fixed id."""
    return f"{prefix}_{digits(number.to_bytes(16, 'big'))}"


KEYS = {name: SigningKey(seed(name)) for name in ("operator", "service", "doctor", "patient")}
SIGNER = LogSigner(ORIGIN, seed("log"), seed("log, ML-DSA"))
OPERATOR, SERVICE, ADMIN, DOCTOR, PERSON, AUDITOR = (fixed_id("ac", n) for n in range(1, 7))
HOSPITAL, PATIENT, RECORD, BLOB, GRANT, EPISODE, GROUP = (
    fixed_id(prefix, 1) for prefix in ("hs", "pt", "rc", "bl", "gr", "ep", "gp")
)
LABELS = [fixed_id("l", 1), fixed_id("l", 2)]
SEALED = b64encode(hashlib.shake_128(b"a sealed field").digest(92))
HASH = b64encode(seed("a hash"))
REPLY = X25519PrivateKey.from_private_bytes(seed("reply"))
REPLY_PUBLIC = REPLY.public_key().public_bytes_raw()

AS_OPERATOR = (OPERATOR, {"role": "operator"}, "ledger")
AS_ADMIN = (ADMIN, {"hospital": HOSPITAL, "role": "hospital_admin"}, f"hospital/{HOSPITAL}")
AS_PERSON = (PERSON, {"role": "person"}, f"account/{PERSON}")
AS_DOCTOR = (DOCTOR, {"hospital": HOSPITAL, "role": "doctor"}, f"patient/{PATIENT}")
AS_SYSTEM = (
    fixed_id("ac", 7),
    {"hospital": HOSPITAL, "role": "hospital_system"},
    f"patient/{PATIENT}",
)
AS_PATIENT = (PERSON, {"role": "patient"}, f"patient/{PATIENT}")
AS_AUDITOR = (AUDITOR, {"role": "auditor"}, f"patient/{PATIENT}")
AS_SERVICE = (SERVICE, {"role": "service"}, f"patient/{PATIENT}")
Author = tuple[str, dict[str, str], str]


def event(number: int, author: Author, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The value of an event; `number` makes its id."""
    actor, acting, stream = author
    return {
        "actor": actor,
        "as": acting,
        "at": AT,
        "body": body,
        "id": fixed_id("ev", number),
        "stream": stream,
        "type": kind,
        "v": 1,
    }


def _named(account: str, name: str) -> dict[str, str]:
    key = KEYS[name]
    return {"account": account, "key": key.id, "public_key": b64encode(key.public)}


def _version(number: int) -> dict[str, Any]:
    return {
        "blob": fixed_id("bl", number), "category": "laboratory", "clinical_date": "2024-02-29",
        "confidentiality": "restricted", "episode": EPISODE, "file_name": SEALED, "labels": LABELS,
        "media_type": "application/dicom+json", "minor_private": True, "purpose": "TREAT",
        "record": RECORD, "sensitive": True, "sha256": HASH, "size": 2**53 - 1, "title": SEALED,
        "version": number,
    }  # fmt: skip


POLICY = {
    "assurance": {"export": 3, "grant": 3, "read_sensitive": 2},
    "care_link": "basic",
    "clock_skew_ms": 300_000,
    "custodian_reads": False,
    "emergency_hours": 4,
    "grant_days_max": 365,
    "majority_years": 18,
    "private_labels": ["ETH", "PSY", "SDV", "SEX", "STD"],
    "refusals_per_hour": 20,
    "retention_years": 30,
}
_KEY = {
    **_named(PERSON, "patient"),
    "algorithm": "ed25519",
    "custody": "device",
    "proof": b64encode(
        KEYS["patient"].sign(possession_message(ORIGIN, PERSON, KEYS["patient"].id))
    ),
    "recovery": True,
}
_OPENED = event(
    100, AS_DOCTOR, "record.opened",
    {"blob": BLOB, "purpose": "TREAT", "record": RECORD, "reply": b64encode(REPLY_PUBLIC), "version": 1},
)  # fmt: skip
_WRITTEN = event(101, AS_DOCTOR, "record.retracted", {"purpose": "TREAT", "record": RECORD})
_ACCOUNT = {"account": DOCTOR}
_TERM = {"end": "2027-11-20T00:00:00.000Z", "start": "2026-11-20T00:00:00.000Z"}
_SIZES = {"last_root": HASH, "last_size": 9, "root": HASH, "size": 7}
_NAMED_HOSPITAL = {"hospital": HOSPITAL, "name": "Charité № 1", "time_zone": "Europe/Berlin"}

_BODIES: list[tuple[str, Author, dict[str, Any]]] = [
    ("ledger.created", AS_OPERATOR, {
        "log_keys": [str(key) for key in SIGNER.keys], "operator": _named(OPERATOR, "operator"),
        "origin": ORIGIN, "policy": POLICY, "registry": HASH, "service": _named(SERVICE, "service"),
    }),
    ("ledger.restored", AS_OPERATOR, _SIZES),
    ("hospital.approved", AS_OPERATOR, _NAMED_HOSPITAL),
    ("hospital.suspended", AS_OPERATOR, {"hospital": HOSPITAL}),
    ("auditor.appointed", AS_OPERATOR, {"account": AUDITOR, **_TERM}),
    ("auditor.ended", AS_OPERATOR, {"account": AUDITOR}),
    ("admin.appointed", AS_ADMIN, _ACCOUNT),
    ("admin.ended", AS_ADMIN, _ACCOUNT),
    ("system.added", AS_ADMIN, _ACCOUNT),
    ("system.ended", AS_ADMIN, _ACCOUNT),
    ("doctor.approved", AS_ADMIN, _ACCOUNT),
    ("doctor.suspended", AS_ADMIN, _ACCOUNT),
    ("doctor.ended", AS_ADMIN, _ACCOUNT),
    ("account.registered", AS_PERSON, {"account": PERSON, "name": SEALED}),
    ("key.registered", AS_PERSON, _KEY),
    ("key.revoked", AS_PERSON, {"account": PERSON, "key": KEYS["patient"].id}),
    ("patient.registered", AS_DOCTOR, {
        "account": PERSON, "adult_from": "2030-03-01T00:00:00.000Z", "deceased": True, "name": SEALED,
        "patient": PATIENT, "purpose": "TREAT", "teen_from": "2024-02-29T00:00:00.000Z",
    }),
    ("record.uploaded", AS_DOCTOR, _version(1)),
    ("record.amended", AS_DOCTOR, _version(2)),
    ("record.retracted", AS_DOCTOR, {"purpose": "TREAT", "record": RECORD}),
    ("record.opened", AS_DOCTOR, _OPENED["body"]),
    ("history.opened", AS_AUDITOR, {"purpose": "HOPERAT"}),
    ("access.refused", AS_SERVICE, {
        "event": _OPENED, "sig": sign_event(KEYS["doctor"], ORIGIN, canonical.encode(_OPENED)).json(),
        "skipped": 3,
    }),
    ("access.granted", AS_PATIENT, {
        "actions": ["list", "read"], "end": _TERM["end"], "grant": GRANT, "grantee": HOSPITAL,
        "labels": LABELS, "lineage": fixed_id("gr", 0), "purpose": "PATRQT",
        "purposes": ["HRESCH", "TREAT"], "records": [RECORD, fixed_id("rc", 2)], "scope": "selective",
        "start": _TERM["start"], "uses": 1_000_000,
    }),
    ("access.revoked", AS_PATIENT, {"grant": GRANT, "grantee": HOSPITAL, "purpose": "PATRQT"}),
]  # fmt: skip
_WHAT = {
    "authors": [DOCTOR, HOSPITAL], "categories": ["imaging", "laboratory"], "date_from": "2020-01-01",
    "date_to": "2024-02-29", "episodes": [EPISODE],
}  # fmt: skip
_LATER: list[tuple[str, int, Author, dict[str, Any]]] = [
    ("policy.changed", 1, AS_OPERATOR, {"policy": POLICY, "registry": HASH}),
    ("log.opened", 1, (AUDITOR, {"role": "auditor"}, "ledger"), {}),
    ("group.formed", 1, AS_ADMIN, {"group": GROUP, "name": SEALED}),
    ("group.joined", 1, AS_ADMIN, {"account": DOCTOR, "group": GROUP}),
    ("group.left", 1, AS_ADMIN, {"account": DOCTOR, "group": GROUP}),
    ("patient.corrected", 1, AS_DOCTOR, {
        "adult": True, "deceased": True, "name": SEALED, "patient": PATIENT, "purpose": "TREAT",
    }),
    ("record.hidden", 1, AS_PATIENT, {"purpose": "PATRQT", "record": RECORD}),
    ("record.shown", 1, AS_PATIENT, {"purpose": "PATRQT", "record": RECORD}),
    ("chart.opened", 1, AS_DOCTOR, {"purpose": "TREAT"}),
    ("chart.exported", 1, AS_PATIENT, {"count": 3, "purpose": "PATRQT", "root": HASH}),
    ("access.granted", 2, AS_PATIENT, {
        "actions": ["list", "read"], "end": _TERM["end"], "exceptions": [
            {"date_from": "2023-01-01", "exceptions": [{"records": [RECORD], "type": "permit"}], "type": "deny"},
            {"labels": LABELS, "type": "deny"},
        ], "grant": GRANT, "grantee": GROUP, "labels": LABELS, "lineage": fixed_id("gr", 0),
        "purpose": "PATRQT", "purposes": ["HRESCH", "TREAT"], "scope": "partial", "start": _TERM["start"],
        "uses": 1_000_000, "what": _WHAT,
    }),
    ("access.revoked", 2, AS_PATIENT, {"grant": GRANT, "grantee": GROUP, "purpose": "PATRQT"}),
    ("reader.excluded", 1, AS_PATIENT, {"purpose": "PATRQT", "reader": GROUP}),
    ("reader.included", 1, AS_PATIENT, {"purpose": "PATRQT", "reader": GROUP}),
    ("access.refused", 2, AS_SERVICE, {
        "event": _WRITTEN, "sig": sign_event(KEYS["doctor"], ORIGIN, canonical.encode(_WRITTEN)).json(),
    }),
    ("record.carried", 1, AS_SYSTEM, {"blob": BLOB, "purpose": "HOPERAT", "record": RECORD, "version": 1}),
]  # fmt: skip
EVENTS: dict[tuple[str, int], dict[str, Any]] = {
    (kind, 1): event(number, author, kind, body)
    for number, (kind, author, body) in enumerate(_BODIES)
} | {
    (kind, version): event(300 + number, author, kind, body) | {"v": version}
    for number, (kind, version, author, body) in enumerate(_LATER)
}
"""One event of every type and version; `as` shows its form, whoever may sign it."""
DECISION = {
    "as_of": INDEX - 1, "assurance": 3, "basis": [0, 2], "effect": "permit", "policy": 0, "rule": "S6",
}  # fmt: skip


def bundle() -> tuple[list[Event], list[Signature]]:
    """Five events under one signature."""
    events = [
        Event.of(event(200 + n, AS_DOCTOR, "record.retracted", {"purpose": "TREAT", "record": RECORD}))
        for n in range(5)
    ]  # fmt: skip
    return events, sign_bundle(KEYS["doctor"], ORIGIN, [one.raw for one in events])


def entry() -> Entry:
    """The record.uploaded of the events, signed alone."""
    uploaded = Event.of(EVENTS["record.uploaded", 1])
    sig = sign_event(KEYS["doctor"], ORIGIN, uploaded.raw)
    link = Link(INDEX, seed("prev"), 1, seed("stream_prev"))
    return Entry.make(uploaded, sig, link, TIME + 1, DECISION)


def head() -> tuple[Checkpoint, tuple[bytes, ...]]:
    """The checkpoint of a log that holds the entry, and the entry's inclusion path."""
    leaves = [leaf_hash(b"golden %d" % number) for number in range(SIZE)]
    leaves[INDEX] = leaf_hash(entry().raw)
    root, paths = tree_paths(leaves)
    return Checkpoint(ORIGIN, SIZE, root), paths[INDEX]


def signing() -> dict[str, Any]:
    """What a client in another language must be able to make, as `docs/http.md` shows it."""
    key, raw = KEYS["doctor"], canonical.encode(EVENTS["chart.opened", 1])
    nonce = seed("challenge")
    events = [one.raw for one in bundle()[0]]
    root = tree_paths([leaf_hash(event) for event in events])[0]
    lines = [export_line(RECORD, 2, BLOB), export_line(fixed_id("rc", 2), 1, fixed_id("bl", 2))]
    messages = {
        "event": event_message(ORIGIN, raw),
        "bundle": bundle_message(ORIGIN, len(events), root),
        "session": session_message(ORIGIN, key.id, nonce),
        "possession": possession_message(ORIGIN, DOCTOR, key.id),
    }
    signed = {
        name: {"message": message.decode(), "value": b64encode(key.sign(message))}
        for name, message in messages.items()
    }
    return {
        "origin": ORIGIN,
        "seed": key.seed.hex(),
        "public_key": b64encode(key.public),
        "key": key.id,
        "canonical": raw.decode(),
        "leaf": b64encode(leaf_hash(raw)),
        "challenge": b64encode(nonce),
        "account": DOCTOR,
        "signed": signed,
        "export": {"lines": [line.decode() for line in lines], "root": b64encode(export_root(lines))},
    }  # fmt: skip


def deterministic() -> dict[str, bytes]:
    """The files that come out the same each time, by name."""
    files = {
        f"events/{kind}.v{version}.json": canonical.encode(value)
        for (kind, version), value in EVENTS.items()
    }
    pairs = zip(*bundle(), strict=True)
    lines = [canonical.encode({"event": one.value, "sig": sig.json()}) for one, sig in pairs]
    return files | {
        "bundle.jsonl": b"".join(line + b"\n" for line in lines),
        "checkpoint.txt": head()[0].text(),
        "entry.json": entry().raw,
        "label": wraps.label_code(seed("labels"), "HIV").encode() + b"\n",
        "log.vkey": "".join(f"{key}\n" for key in SIGNER.keys).encode(),
        "signing.json": json.dumps(signing(), indent=1).encode() + b"\n",
    }


CONTEXT = blobs.blob_context(PATIENT, RECORD, BLOB)
DEK_NAME = wraps.dek_name(PATIENT, RECORD, BLOB, seed("a hash"), 3)
FIELD_NAME = wraps.field_name(f"patient/{PATIENT}", RECORD, fixed_id("ev", 1), "title")
SHARE_INFO = shares.share_info(PATIENT, fixed_id("ev", 100), REPLY_PUBLIC, BLOB)


def randomised() -> dict[str, bytes]:
    """The files that hold fresh randomness, by name."""
    checkpoint, path = head()
    note = SIGNER.sign(checkpoint, TIME // 1000)
    sealer = blobs.Sealer(seed("DEK"), CONTEXT)
    return {
        "blob.sealed": sealer.update(PLAIN) + sealer.finalize(),
        "field": wraps.seal_field(seed("object"), FIELD_NAME, FIELD_TEXT).encode() + b"\n",
        "receipt.tlog-proof": Receipt(entry().raw, INDEX, path, note).text(),
        "share": shares.share_once(REPLY_PUBLIC, SHARE_INFO, SECRET),
        "wrapped": wraps.wrap(seed("KEK"), DEK_NAME, SECRET),
    }


def main() -> None:
    """Write what is deterministic, and what else is missing."""
    files = deterministic()
    missing = {n: data for n, data in randomised().items() if not (HERE / n).exists()}
    for name, data in (files | missing).items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_bytes(data)


if __name__ == "__main__":
    main()
