"""A hospital's client written from docs/http.md alone: HTTP, JSON, SHA-256 and Ed25519, nothing of Heartwood's.

    python hospital_client.py URL --system KEYFILE --admin KEYFILE --vkey FILE

The system registers a patient and uploads a result; the admin of another hospital registers a doctor; the
patient grants, the doctor reads, the patient revokes, the doctor is refused. Then receipts and history are
fetched and checked here. Each line printed was checked; what is wrong ends it.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Json = dict[str, Any]
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
ED25519 = b"\x01"
TRIES = 5
"""How often the same bytes are sent again after 503 or a connection that failed."""
TIMEOUT_SECONDS = 60


class Wrong(Exception):
    """What was got is not what it must be."""


def check(condition: bool, what: str) -> None:
    """Raises Wrong unless the condition holds; unlike `assert`, also under `python -O`."""
    if not condition:
        raise Wrong(what)


# Bytes: base64, ids, canonical JSON, hashes.


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """The bytes of standard base64."""
    return base64.b64decode(text, validate=True)


def digits(data: bytes) -> str:
    """16 bytes as 26 digits of base 32."""
    number = int.from_bytes(data, "big")
    return "".join(DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def new_id(prefix: str) -> str:
    """A fresh id: 48 bits of time and 80 random ones; of a patient all random."""
    if prefix == "pt":
        return f"pt_{digits(os.urandom(16))}"
    return f"{prefix}_{digits((time.time_ns() // 1_000_000).to_bytes(6, 'big') + os.urandom(10))}"


def moment(when: datetime) -> str:
    """A time as events write it: UTC, milliseconds."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def canonical(value: Json) -> bytes:
    """Canonical JSON: sorted, compact, nothing escaped that need not be."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf(data: bytes) -> bytes:
    """The leaf hash of RFC 6962."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The inner hash of RFC 6962."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: list[bytes]) -> bytes:
    """The root over leaf hashes; an odd last one goes up unchanged."""
    row = leaves
    while len(row) > 1:
        pairs = [node(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = pairs + row[len(row) & ~1 :]
    return row[0] if row else hashlib.sha256().digest()


def root_of_path(index: int, size: int, start: bytes, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    check(0 <= index < size, "an index outside the tree")
    found, last = start, size - 1
    for other in path:
        check(last > 0, "a path that is too long")
        if index & 1 or index == last:
            found = node(other, found)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = node(found, other)
        index, last = index >> 1, last >> 1
    check(last == 0, "a path that is too short")
    return found


# Keys and who holds them.


@dataclass
class Person:
    """An account with its key, in one role."""

    origin: str
    account: str
    role: str
    hospital: str
    private: Ed25519PrivateKey

    @classmethod
    def of_file(cls, path: Path) -> "Person":
        """From a key file (without a passphrase)."""
        held = json.loads(path.read_text())
        private = load_pem_private_key(held["private_key"].encode(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise Wrong("no Ed25519 key")
        person = cls(held["origin"], held["account"], held["role"], held["hospital"], private)
        check(person.key == held["key"], "the key file names another key")
        return person

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return self.private.public_key().public_bytes_raw()

    @property
    def key(self) -> str:
        """The key id."""
        return f"k_{digits(hashlib.sha256(ED25519 + self.public).digest()[:16])}"

    def event(
        self, kind: str, stream: str, body: Json, event_id: str | None = None, v: int = 1
    ) -> Json:
        """An event of this person, now; not yet signed."""
        acting = {"role": self.role} | ({"hospital": self.hospital} if self.hospital else {})
        return {
            "actor": self.account, "as": acting, "at": moment(datetime.now(UTC)), "body": body,
            "id": event_id or new_id("ev"), "stream": stream, "type": kind, "v": v,
        }  # fmt: skip

    def _sig(self, message: bytes) -> Json:
        return {"key": self.key, "value": b64(self.private.sign(message))}

    def signed(self, event: Json) -> Json:
        """One event with its signature."""
        message = f"heartwood/event/v1\n{self.origin}\n".encode() + canonical(event)
        return {"event": event, "sig": self._sig(message)}

    def bundle(self, events: list[Json]) -> Json:
        """Several events under one signature."""
        root = b64(tree_root([leaf(canonical(event)) for event in events]))
        message = f"heartwood/bundle/v1\n{self.origin}\n{len(events)}\n{root}\n"
        return {"events": events, "sig": self._sig(message.encode())}

    def sign_in(self, challenge: str) -> Json:
        """What opens a session in this role."""
        message = f"heartwood/session/v1\n{self.origin}\n{self.key}\n{challenge}\n"
        sig = self._sig(message.encode())
        return {"challenge": challenge, "role": self.role, "hospital": self.hospital, **sig}

    def first_key(self, account: str, owner: "Person") -> Json:
        """The `key.registered` by which this person vouches for an account's first key."""
        message = f"heartwood/key/v1\n{self.origin}\n{account}\n{owner.key}\n"
        body = {
            "account": account, "algorithm": "ed25519", "custody": "device", "key": owner.key,
            "proof": b64(owner.private.sign(message.encode())), "public_key": b64(owner.public),
        }  # fmt: skip
        return self.event("key.registered", f"account/{account}", body)


# The server.


class Refused(Exception):
    """A problem document (RFC 9457)."""

    def __init__(self, problem: Json) -> None:
        """`problem`: its members."""
        super().__init__(f"{problem['status']} {problem['type']}: {problem['detail']}")
        self.kind = problem["type"].rpartition(":")[2]
        self.problem = problem


@dataclass
class Answer:
    """A good answer."""

    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Server:
    """A Heartwood server, and a session for each person who needs one."""

    def __init__(self, url: str) -> None:
        """`url`: without a path."""
        self._url, self._tokens = url.rstrip("/"), dict[str, str]()
        self.log: Json = self.send("GET", "/v1/log").json

    def send(
        self, method: str, path: str, body: bytes | None = None, token: str = "",
        kind: str = "application/json", **headers: str,
    ) -> Answer:  # fmt: skip
        """Ask; the same bytes again while the server is busy. Raises Refused."""
        sent = {"Content-Type": kind, **headers}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        for tried in range(TRIES):
            request = urllib.request.Request(self._url + path, body, sent, method=method)
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                    return Answer(answer.read(), answer.headers)
            except urllib.error.HTTPError as error:
                if error.code != 503 or tried == TRIES - 1:
                    raise Refused(json.loads(error.read())) from error
                time.sleep(int(error.headers.get("Retry-After", "1")))
            except urllib.error.URLError:
                if tried == TRIES - 1:
                    raise
                time.sleep(1)
        raise Wrong("no try is left")

    def post(self, path: str, value: Json, person: Person | None = None) -> Any:
        """Send JSON, in a person's session if one is named; the answer's JSON."""
        token = self.session(person) if person else ""
        return self.send("POST", path, json.dumps(value).encode(), token).json

    def session(self, person: Person) -> str:
        """The bearer token of a person."""
        name = f"{person.key} {person.role} {person.hospital}"
        if name not in self._tokens:
            challenge = self.send("POST", "/v1/sessions/challenge").json["challenge"]
            self._tokens[name] = self.post("/v1/sessions", person.sign_in(challenge))["token"]
        return self._tokens[name]

    def append(self, person: Person, *events: Json) -> list[int]:
        """Append events of one person, all or none; gives their entries."""
        answer = self.post("/v1/bundles?atomic=true", person.bundle(list(events)))
        for problem in (entry["problem"] for entry in answer["entries"] if "problem" in entry):
            if problem["type"] != "urn:heartwood:problem:atomic":
                raise Refused(problem)
        check(answer["appended"] == len(events), "not all of the bundle stands")
        return [entry["seq"] for entry in answer["entries"]]

    def say(self, person: Person, event: Json) -> int:
        """Append one event; gives its entry."""
        seq: int = self.post("/v1/events", person.signed(event))["entries"][0]["seq"]
        return seq


# Journeys.


def register(server: Server, admin: Person, name: str) -> Person:
    """Register a doctor at the admin's hospital: account, key, role."""
    account, event_id = new_id("ac"), new_id("ev")
    doctor = Person(admin.origin, account, "doctor", admin.hospital, Ed25519PrivateKey.generate())
    subject = {"id": account, "event": event_id, "texts": {"name": name}}
    (made,) = server.post("/v1/subjects", {"subjects": [subject]}, admin)["subjects"]
    body = {"account": account, **made["sealed"]}
    server.append(
        admin,
        admin.event("account.registered", f"account/{account}", body, event_id),
        admin.first_key(account, doctor),
        admin.event("doctor.approved", f"hospital/{admin.hospital}", {"account": account}),
    )
    return doctor


def register_patient(server: Server, system: Person, name: str) -> tuple[Person, str]:
    """Register a chart, its patient's account and first key."""
    patient, account, event_id = new_id("pt"), new_id("ac"), new_id("ev")
    person = Person(system.origin, account, "patient", "", Ed25519PrivateKey.generate())
    subjects = [
        {"id": patient, "event": event_id, "texts": {"name": name}},
        {"id": account, "event": event_id},
    ]
    made = server.post("/v1/subjects", {"subjects": subjects}, system)["subjects"]
    body = {"account": account, "adult": True, "patient": patient, "purpose": "TREAT"}
    body |= made[0]["sealed"]
    server.append(
        system,
        system.event("patient.registered", f"patient/{patient}", body, event_id),
        system.first_key(account, person),
    )
    return person, patient


def upload(
    server: Server, author: Person, patient: str, content: bytes, title: str
) -> tuple[str, int]:
    """Stage, seal, append; gives the record and its entry."""
    token = server.session(author)
    path = f"/v1/patients/{patient}/blobs"
    staged = server.send("POST", path, content, token, "application/octet-stream").json
    event_id = new_id("ev")
    wanted = {"object": staged["record"], "event": event_id, "texts": {"title": title}}
    sealed = server.post(f"/v1/patients/{patient}/seal", wanted, author)["sealed"]
    body = {
        "category": "laboratory", "confidentiality": "normal", "media_type": "text/plain",
        "purpose": "TREAT", "version": 1, **staged, **sealed,
    }  # fmt: skip
    event = author.event("record.uploaded", f"patient/{patient}", body, event_id)
    return staged["record"], server.say(author, event)


def grant(server: Server, patient: Person, chart: str, reader: str, days: int) -> int:
    """Let somebody list and read the whole chart."""
    now = datetime.now(UTC)
    body = {
        "actions": ["list", "read"], "end": moment(now + timedelta(days=days)), "grant": new_id("gr"),
        "grantee": reader, "purpose": "PATRQT", "scope": "full", "start": moment(now),
    }  # fmt: skip
    return server.say(patient, patient.event("access.granted", f"patient/{chart}", body, v=2))


def revoke(server: Server, patient: Person, chart: str, reader: str) -> int:
    """Take back everything somebody was granted."""
    body = {"grantee": reader, "purpose": "PATRQT"}
    return server.say(patient, patient.event("access.revoked", f"patient/{chart}", body, v=2))


def reading(server: Server, reader: Person, record: str) -> Json:
    """A signed `record.opened` of the current version."""
    found = server.send("GET", f"/v1/records/{record}", token=server.session(reader)).json
    blobs = found["blobs"]
    body = {"blob": blobs[-1], "purpose": "TREAT", "record": record, "version": len(blobs)}
    return reader.signed(reader.event("record.opened", f"patient/{found['patient']}", body))


def read(server: Server, signed: Json) -> Answer:
    """The content, for a signed reading."""
    record = signed["event"]["body"]["record"]
    return server.send("POST", f"/v1/records/{record}/content", canonical(signed))


def export(server: Server, patient: Person, chart: str) -> dict[str, bytes]:
    """Take the current version of every record away; the content by record."""
    event = patient.event("chart.opened", f"patient/{chart}", {"purpose": "PATRQT"})
    seen = server.post(f"/v1/patients/{chart}/chart", patient.signed(event))["records"]
    latest = [(one["record"], one["versions"][-1]) for one in seen]
    lines = sorted(f"{name} {v['version']} {v['blob']}".encode() for name, v in latest)
    root = b64(tree_root([leaf(line) for line in lines]))
    body = {"count": len(lines), "purpose": "PATRQT", "root": root}
    sent = patient.signed(patient.event("chart.exported", f"patient/{chart}", body))
    sent["list"] = [[name, v["version"]] for name, v in latest]
    data = server.send("POST", f"/v1/patients/{chart}/export", canonical(sent)).body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        index = json.loads(archive.read("index.json"))
        return {one["record"]: archive.read(one["file"]) for one in index}


# Proofs, checked on this side.


@dataclass
class Receipt:
    """An entry that stands under a checkpoint the log signed."""

    entry: bytes
    seq: int
    size: int
    final: bool


def receipt(server: Server, person: Person, seq: int, vkeys: list[str]) -> Receipt:
    """The receipt of an entry, asked for until it is final, and checked."""
    token = server.session(person)
    for _ in range(TRIES):
        answer = server.send("GET", f"/v1/receipts/{seq}", token=token)
        if answer.headers["Heartwood-Receipt"] == "final":
            break
        time.sleep(1)
    head, _, note = answer.body.partition(b"\n\n")
    kind, extra, index, *path = head.decode().split("\n")
    check((kind, index) == ("c2sp.org/tlog-proof@v1", f"index {seq}"), "another receipt")
    entry = unb64(extra.removeprefix("extra "))
    size, root = signed_root(note, person.origin, vkeys)
    led = root_of_path(seq, size, leaf(entry), [unb64(one) for one in path])
    check(led == root, f"entry {seq} is not under the checkpoint")
    return Receipt(entry, seq, size, answer.headers["Heartwood-Receipt"] == "final")


def signed_root(note: bytes, origin: str, vkeys: list[str]) -> tuple[int, bytes]:
    """Size and root of a checkpoint, if the log's Ed25519 key signed it."""
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    said, size, root = text.decode().splitlines()
    check(said == origin, "a checkpoint of another log")
    name, short, key = next(v for v in vkeys if unb64(v.split("+", 2)[2])[:1] == ED25519).split(
        "+", 2
    )
    for line in signatures.decode().splitlines():
        _, signer, value = line.split(" ")
        data = unb64(value)
        if signer == name and data[:4].hex() == short:
            Ed25519PublicKey.from_public_bytes(unb64(key)[1:]).verify(data[4:], text)
            return int(size), unb64(root)
    raise Wrong("the log's Ed25519 key did not sign the checkpoint")


def history(server: Server, patient: Person, chart: str, vkeys: list[str]) -> list[Json]:
    """Every entry of a chart, of which none is missing; the last is this look."""
    event = patient.event("history.opened", f"patient/{chart}", {"purpose": "PATRQT"})
    found = server.post(f"/v1/patients/{chart}/history", patient.signed(event))
    raws = [text.encode() for text in found["entries"]]
    entries = [json.loads(raw) for raw in raws]
    before = bytes(32)
    for number, (raw, entry) in enumerate(zip(raws, entries, strict=True)):
        check(entry["stream_seq"] == number, f"number {number} is missing")
        check(entry["event"]["stream"] == f"patient/{chart}", "an entry of another chart")
        check(unb64(entry["stream_prev"]) == before, f"number {number} does not follow")
        before = leaf(raw)
    check(entries[-1]["event"] == event, "the end was cut off")
    proof = receipt(server, patient, found["seq"], vkeys)
    check(leaf(proof.entry) == before, "the log holds another end")
    return entries


def told(entry: Json) -> str:
    """An entry in words: type, decision, rule; of a refusal what was refused."""
    event, decision = entry["event"], entry.get("decision", {})
    inner = event["body"]["event"] if event["type"] == "access.refused" else event
    words = [inner["type"], decision.get("effect", ""), decision.get("rule", "")]
    return " ".join(word for word in words if word)


# The story.


def denied(server: Server, signed: Json) -> Refused:
    """A reading must be refused."""
    try:
        read(server, signed)
    except Refused as refused:
        return refused
    raise Wrong("a reading that nobody granted was permitted")


def story(server: Server, system: Person, admin: Person, vkeys: list[str]) -> None:
    """Register, upload, grant, read, refuse, prove."""
    check(server.log["origin"] == system.origin == admin.origin, "keys of another log")
    print(f"log {server.log['origin']}, registry {server.log['registry']}")
    doctor = register(server, admin, "Dr. Eva Fremd")
    print(f"doctor {doctor.account} at {doctor.hospital}")
    patient, chart = register_patient(server, system, "Žofia Müller")
    print(f"patient {chart}")
    content = "HbA1c 5.60 %, Größe 1,72 m\n".encode()
    record, uploaded = upload(server, system, chart, content, "HbA1c")
    print(f"uploaded {record}: entry {uploaded}")

    refused = denied(server, reading(server, doctor, record))
    print(f"without a grant: {refused.problem['status']} {refused.kind} {refused.problem['rule']}")
    granted = grant(server, patient, chart, doctor.account, 30)
    print(f"granted for 30 days: entry {granted}")
    signed = reading(server, doctor, record)
    answer = read(server, signed)
    decision = json.loads(answer.headers["Heartwood-Decision"])
    texts = json.loads(unb64(answer.headers["Heartwood-Texts"]))
    check((answer.body, decision["basis"]) == (content, [granted]), "another content or reason")
    print(f"read {len(answer.body)} bytes of {texts['title']}: {decision['rule']} on the grant")
    path, token = f"/v1/records/{record}/content", answer.headers["Heartwood-Read-Token"]
    part = server.send("GET", path, token=token, Range="bytes=6-9")
    check(part.body == content[6:10], "another range")
    print(f"range {part.headers['Content-Range']}")
    again = denied(server, signed)
    print(f"the same reading again: {again.problem['status']} {again.kind}")
    revoked = revoke(server, patient, chart, doctor.account)
    print(f"revoked: entry {revoked}")
    refused = denied(server, reading(server, doctor, record))
    print(f"after it: {refused.problem['status']} {refused.kind} {refused.problem['rule']}")
    check(export(server, patient, chart) == {record: content}, "another export")
    print("exported 1 record, the same bytes")

    proof = receipt(server, patient, uploaded, vkeys)
    body = json.loads(proof.entry)["event"]["body"]
    check((body["record"], proof.final) == (record, True), "another entry")
    print(f"receipt of entry {uploaded} leads to the signed root of {proof.size} entries")
    entries = history(server, patient, chart, vkeys)
    for entry in entries:
        print(f"  {entry['stream_seq']} {told(entry)}")
    print(f"history: {len(entries)} entries, none missing")


def main() -> None:
    """Parse the arguments and go."""
    parser = argparse.ArgumentParser(description="A hospital's client, by HTTP alone.")
    parser.add_argument("url")
    parser.add_argument("--system", type=Path, required=True, help="key file of a system")
    parser.add_argument("--admin", type=Path, required=True, help="of another hospital's admin")
    parser.add_argument("--vkey", type=Path, required=True, help="the log's verifier keys")
    options = parser.parse_args()
    system, admin = Person.of_file(options.system), Person.of_file(options.admin)
    story(Server(options.url), system, admin, options.vkey.read_text().split())


if __name__ == "__main__":
    main()
