"""Writes the golden files: `python -m tests.golden.make`.

The events are the examples of the declared types (`ledger/types/`). Keys, ids and times are fixed, so what
is deterministic comes out the same for ever: `tests/unit/ledger/test_golden.py` compares it byte for byte.
What holds fresh randomness (ML-DSA signatures, salts, nonces) is written only where the file is missing;
tests open it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto import blobs, canonical, shares, wraps
from crypto.claims import claim_code, claim_key, invitation_key
from crypto.encoding import b64encode
from crypto.ids import digits
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from crypto.xwing import ReceivingKey
from ledger.chain import Link
from ledger.checkpoint import Checkpoint
from ledger.codes import HOSPITAL_ROLES
from ledger.entry import Entry
from ledger.event import Event, Signature, sign_bundle, sign_event
from ledger.exports import export_line, export_root
from ledger.merkle import leaf_hash, tree_paths
from ledger.messages import (
    bundle_message,
    claim_message,
    event_message,
    invitation_message,
    possession_message,
    session_message,
)
from ledger.receipt import Receipt
from ledger.releases import (
    RESTORED,
    Release,
    export_given,
    key_given,
    package_given,
    releases_origin,
    texts_given,
)
from ledger.types import REGISTRY, TYPES
from ledger.types.declaration import EventType
from tests.golden import checks

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
CODE = seed("claim code")[:16]
LABELS = [fixed_id("l", 1), fixed_id("l", 2)]
SEALED = b64encode(hashlib.shake_128(b"a sealed field").digest(92))
HASH = b64encode(seed("a hash"))
REPLY = X25519PrivateKey.from_private_bytes(seed("reply"))
REPLY_PUBLIC = REPLY.public_key().public_bytes_raw()

AUTHORS = {
    "auditor": AUDITOR, "doctor": DOCTOR, "hospital_admin": ADMIN, "hospital_system": fixed_id("ac", 7),
    "operator": OPERATOR, "patient": PERSON, "person": PERSON, "relative": fixed_id("ac", 8), "service": SERVICE,
}  # fmt: skip
"""Who acts in which role."""
SUBJECTS = {"account": PERSON, "hospital": HOSPITAL, "patient": PATIENT}
NESTED = {"record.opened": 100, "record.retracted": 101}
"""The events that refusals nest, by the number that makes their ids."""
_FIRST = [
    "ledger.created",
    "ledger.restored",
    "hospital.approved",
    "hospital.suspended",
    "auditor.appointed",
    "auditor.ended",
    "admin.appointed",
    "admin.ended",
    "system.added",
    "system.ended",
    "doctor.approved",
    "doctor.suspended",
    "doctor.ended",
    "account.registered",
    "key.registered",
    "key.revoked",
    "patient.registered",
    "record.uploaded",
    "record.amended",
    "record.retracted",
    "record.opened",
    "history.opened",
    "access.refused",
    "access.granted",
    "access.revoked",
]
_LATER = [
    "policy.changed",
    "log.opened",
    "group.formed",
    "group.joined",
    "group.left",
    "patient.corrected",
    "record.hidden",
    "record.shown",
    "chart.opened",
    "chart.exported",
    "access.granted/2",
    "access.revoked/2",
    "reader.excluded",
    "reader.included",
    "access.refused/2",
    "record.carried",
]
_NUMBERS = {name: number for number, name in enumerate(_FIRST)} | {
    name: 300 + number for number, name in enumerate(_LATER)
}
"""The numbers that made the ids of the first events, which stay as they are; later ones have ids by their name."""


class Sample:
    """What examples of event types are made of (`ledger.types.examples.Sample`)."""

    origin, sealed, hash, labels = ORIGIN, SEALED, HASH, LABELS
    log_keys = [str(key) for key in SIGNER.keys]
    reply = b64encode(REPLY_PUBLIC)
    claim = b64encode(claim_key(CODE, PATIENT).public)
    invitation = b64encode(invitation_key(CODE, PATIENT).public)
    hospital_invitation = b64encode(invitation_key(CODE, HOSPITAL).public)

    def id(self, prefix: str, number: int = 1) -> str:
        """A fixed id."""
        return fixed_id(prefix, number)

    def account(self, role: str) -> str:
        """The account that acts in this role."""
        return AUTHORS[role]

    def key(self, role: str) -> dict[str, str]:
        """The account and its key."""
        key = KEYS[role]
        return {"account": AUTHORS[role], "key": key.id, "public_key": b64encode(key.public)}

    def receiving(self) -> dict[str, str]:
        """An X-Wing key."""
        key = ReceivingKey(seed("receiving"))
        return {"key": key.id, "public_key": b64encode(key.public)}

    def proof(self, role: str) -> str:
        """That the account holds the key."""
        key = KEYS[role]
        return b64encode(key.sign(possession_message(ORIGIN, AUTHORS[role], key.id)))

    def claimed(self, role: str) -> str:
        """The code's signature for the account that acts in this role."""
        message = claim_message(ORIGIN, PATIENT, AUTHORS[role])
        return b64encode(claim_key(CODE, PATIENT).sign(message))

    def invited(self, role: str) -> str:
        """The invitation's signature for the account that acts in this role."""
        message = invitation_message(ORIGIN, PATIENT, AUTHORS[role])
        return b64encode(invitation_key(CODE, PATIENT).sign(message))

    def joining(self, role: str) -> str:
        """The hospital's invitation's signature for the account that acts in this role."""
        message = invitation_message(ORIGIN, HOSPITAL, AUTHORS[role])
        return b64encode(invitation_key(CODE, HOSPITAL).sign(message))

    def refused(self, name: str) -> dict[str, Any]:
        """An event as it nests in its refusal, and its signature."""
        value = event(REGISTRY[name, 1], fixed_id("ev", NESTED[name]))
        sig = sign_event(KEYS["doctor"], ORIGIN, canonical.encode(value))
        return {"event": value, "sig": sig.json()}


def event(kind: EventType, id_: str) -> dict[str, Any]:
    """The value of the event that is declared as the type's example."""
    role = kind.example.role
    hospital = {"hospital": HOSPITAL} if role in HOSPITAL_ROLES else {}
    stream = "/".join(filter(None, (kind.stream, SUBJECTS.get(kind.stream))))
    return {
        "actor": AUTHORS[role],
        "as": {**hospital, "role": role},
        "at": AT,
        "body": kind.example.body(Sample()),
        "id": id_,
        "stream": stream,
        "type": kind.name,
        "v": kind.v,
    }


def _event_id(kind: EventType) -> str:
    name = kind.name if kind.v == 1 else f"{kind.name}/{kind.v}"
    if name in _NUMBERS:
        return fixed_id("ev", _NUMBERS[name])
    return f"ev_{digits(bytes(6) + seed(name)[:10])}"


EVENTS: dict[tuple[str, int], dict[str, Any]] = {
    kind.key: event(kind, _event_id(kind)) for kind in TYPES
}
"""One event of every type and version; `as` shows its form, whoever may sign it."""
DECISION = {
    "as_of": INDEX - 1, "assurance": 3, "basis": [0, 2], "effect": "permit", "policy": 0, "rule": "S6",
}  # fmt: skip


def bundle() -> tuple[list[Event], list[Signature]]:
    """Five events under one signature."""
    events = [
        Event.of(event(REGISTRY["record.retracted", 1], fixed_id("ev", 200 + n)))
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


def releases() -> list[bytes]:
    """The key keeper's log of releases: one entry of each kind, chained."""
    whats = [
        (key_given(RECORD, 2, BLOB), 7, fixed_id("ev", 300)),
        *((what, 7, fixed_id("ev", 300)) for what in texts_given({RECORD})),
        (export_given(2, seed("a root")), 9, fixed_id("ev", 301)),
        (
            package_given(2, seed("a root"), ReceivingKey(seed("receiving")).id),
            11,
            fixed_id("ev", 302),
        ),
        ({"kind": RESTORED}, -1, ""),
    ]
    out, tip = list[bytes](), bytes(32)
    for seq, (what, reading, id_) in enumerate(whats):
        out.append(Release(seq, tip, TIME + seq, what, reading, id_).raw())
        tip = leaf_hash(out[-1])
    return out


def releases_head() -> Checkpoint:
    """The checkpoint of that log."""
    root, _ = tree_paths([leaf_hash(raw) for raw in releases()])
    return Checkpoint(releases_origin(ORIGIN), len(releases()), root)


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
    claim = claim_key(CODE, PATIENT)
    claimed = claim_message(ORIGIN, PATIENT, DOCTOR)
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
        "claim": {
            "code": claim_code(CODE),
            "patient": PATIENT,
            "seed": claim.seed.hex(),
            "public_key": b64encode(claim.public),
            "message": claimed.decode(),
            "value": b64encode(claim.sign(claimed)),
        },
        "export": {"lines": [line.decode() for line in lines], "root": b64encode(export_root(lines))},
    }  # fmt: skip


def check_vectors() -> bytes:
    """What Python and the browser's library both check; see `tests.golden.checks`."""
    names = (
        "patient.registered",
        "record.uploaded",
        "access.granted",
        "record.opened",
        "history.opened",
    )
    events = [event(REGISTRY[name, 1], fixed_id("ev", 400 + n)) for n, name in enumerate(names)]
    return checks.vectors(seed, events, DECISION, TIME)


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
        "releases.jsonl": b"".join(raw + b"\n" for raw in releases()),
        "releases.checkpoint.txt": releases_head().text(),
        "check.json": check_vectors(),
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
