"""A person without a key of their own, written from docs/http.md alone: HTTP, JSON, and one-time codes by the standard library.

    python person_client.py URL --doctor ACCOUNT --password FILE

Somebody registers alone, sets up one-time codes, lets the service keep their signing key, gets a chart, uploads, lists and
reads, steps up, grants a doctor and revokes again; then puts a key of their own in place of the kept one. Each line printed
was checked; what is wrong ends it.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Json = dict[str, Any]
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
STEP_SECONDS = 30
TIMEOUT_SECONDS = 60


class Wrong(Exception):
    """What was got is not what it must be."""


def check(condition: bool, what: str) -> None:
    """Raises Wrong unless the condition holds; unlike `assert`, also under `python -O`."""
    if not condition:
        raise Wrong(what)


def digits(data: bytes) -> str:
    """16 bytes as 26 digits of base 32."""
    number = int.from_bytes(data, "big")
    return "".join(DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def new_id(prefix: str) -> str:
    """A fresh id: 48 bits of time and 80 random ones."""
    return f"{prefix}_{digits((time.time_ns() // 1_000_000).to_bytes(6, 'big') + os.urandom(10))}"


def moment(when: datetime) -> str:
    """A time as events write it: UTC, milliseconds."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


class Refused(Exception):
    """A problem document (RFC 9457)."""

    def __init__(self, problem: Json) -> None:
        """The document."""
        super().__init__(json.dumps(problem))
        self.problem = problem

    @property
    def kind(self) -> str:
        """The problem's kind, and of a denial the reason."""
        name = str(self.problem["type"]).rpartition(":")[2]
        return f"{name} {self.problem['reason']}" if "reason" in self.problem else name


@dataclass
class Codes:
    """One-time codes (RFC 6238: SHA-1, six digits, 30 s), each used once, and recovery codes."""

    seed: bytes
    recovery: list[str] = field(default_factory=list)
    used: int = 0

    def next(self) -> str:
        """A code that was not used yet; one step early or late is taken, so there are three at a time."""
        while (step := max(self.used + 1, int(time.time()) // STEP_SECONDS - 1)) > int(
            time.time()
        ) // STEP_SECONDS + 1:
            time.sleep(1)
        self.used = step
        digest = hmac.digest(self.seed, step.to_bytes(8, "big"), "sha1")
        start = digest[-1] & 15
        number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06d}"


@dataclass
class Person:
    """An account on a server, and the session it is in."""

    url: str
    account: str
    password: str
    token: str = ""
    role: str = "person"

    def send(self, method: str, path: str, value: Any = None, kind: str = "") -> bytes:
        """One request; raises Refused for a problem."""
        data = value if isinstance(value, bytes) else None
        if value is not None and data is None:
            data, kind = json.dumps(value).encode(), "application/json"
        headers = {"Content-Type": kind} if kind else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read())) from None

    def ask(self, method: str, path: str, value: Any = None, kind: str = "") -> Any:
        """The JSON of an answer."""
        return json.loads(self.send(method, path, value, kind) or b"null")

    def sign_in(self, role: str, **second: str) -> Json:
        """A session in a role, by the password and what is shown beside it."""
        self.token, self.role = "", role
        sent = {"account": self.account, "password": self.password, "role": role}
        found: Json = self.ask("POST", "/v1/sessions", sent | second)
        self.token = found["token"]
        return found

    def step_up(self, **second: str) -> None:
        """Five minutes of assurance 3, and another token."""
        found = self.ask("POST", "/v1/sessions/current/step-up", second)
        check(found["assurance"] == 3, "not stepped up")
        self.token = found["token"]

    def event(self, kind: str, stream: str, body: Json, v: int = 1, event_id: str = "") -> Json:
        """An event of this person, now, which the service is to sign: it has no `sig`."""
        return {"event": {
            "actor": self.account, "as": {"role": self.role}, "at": moment(datetime.now(UTC)), "body": body,
            "id": event_id or new_id("ev"), "stream": stream, "type": kind, "v": v,
        }}  # fmt: skip

    def append(self, kind: str, stream: str, body: Json, v: int = 1) -> int:
        """Append one event; gives its entry."""
        found = self.ask("POST", "/v1/events", self.event(kind, stream, body, v))
        return int(found["entries"][0]["seq"])


def register(url: str, password: str) -> tuple[Person, Codes]:
    """An account with a password and one-time codes."""
    person = Person(url, new_id("ac"), password)
    sent = {"account": person.account, "name": "Ada Allein", "password": password}
    check(person.ask("POST", "/v1/accounts", sent)["key"] == "", "registered with a key")
    person.sign_in("person")
    seed = person.ask("POST", "/v1/me/factors/code")["seed"]
    codes = Codes(base64.b32decode(seed + "=" * (-len(seed) % 8)))
    sent = {"code": codes.next(), "password": password}
    codes.recovery = person.ask("POST", "/v1/me/factors/code/confirm", sent)["recovery"]
    return person, codes


def upload(person: Person, chart: str, content: bytes) -> tuple[str, Json]:
    """Stage, seal, append; gives the entry and what a reading names."""
    path, event_id = f"/v1/patients/{chart}", new_id("ev")
    staged = person.ask("POST", f"{path}/blobs", content, "application/octet-stream")
    wanted = {"object": staged["record"], "event": event_id, "texts": {"title": "Blutdruck"}}
    sealed = person.ask("POST", f"{path}/seal", wanted)["sealed"]
    body = {
        "category": "document", "confidentiality": "normal", "media_type": "text/plain",
        "purpose": "PATRQT", "version": 1, **staged, **sealed,
    }  # fmt: skip
    event = person.event("record.uploaded", f"patient/{chart}", body, event_id=event_id)
    found = person.ask("POST", "/v1/events", event)
    named = {"blob": staged["blob"], "purpose": "PATRQT", "record": staged["record"], "version": 1}
    return str(found["entries"][0]["seq"]), named


def granted(chart: str, doctor: str) -> tuple[str, str, Json]:
    """That a doctor may list and read the whole chart for a month."""
    now = datetime.now(UTC)
    body = {
        "actions": ["list", "read"], "end": moment(now + timedelta(days=30)), "grant": new_id("gr"),
        "grantee": doctor, "purpose": "PATRQT", "scope": "full", "start": moment(now),
    }  # fmt: skip
    return "access.granted", f"patient/{chart}", body


def refused(act: Any, *arguments: Any, **named: Any) -> str:
    """The kind of the problem that an act must meet."""
    try:
        act(*arguments, **named)
    except Refused as problem:
        return problem.kind
    raise Wrong("it was permitted")


def own_key(person: Person, origin: str) -> Json:
    """A key of one's own, and that one has it."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    key = "k_" + digits(hashlib.sha256(b"\x01" + public).digest()[:16])
    proof = private.sign(f"heartwood/key/v1\n{origin}\n{person.account}\n{key}\n".encode())
    return {
        "proof": base64.b64encode(proof).decode(),
        "public_key": base64.b64encode(public).decode(),
    }


def story(url: str, doctor: str, password: str) -> None:
    """Register, let a key be kept, use it, replace it."""
    person, codes = register(url, password)
    print(f"registered {person.account}")
    print(f"by password alone: {refused(person.ask, 'POST', '/v1/me/keys/kept', {})}")
    check(person.sign_in("person", code=codes.next())["assurance"] == 2, "one factor")
    kept = person.ask("POST", "/v1/me/keys/kept", {})
    print(f"the service keeps {kept['key']}: entry {kept['seq']}")
    born = {"name": "Ada Allein", "born": "1958-03-14"}
    chart = person.ask("POST", "/v1/patients", born)["patient"]
    print(f"patient {chart}")

    person.sign_in("patient", code=codes.next())
    content = b"RR 128/82 mmHg\n"
    seq, named = upload(person, chart, content)
    print(f"uploaded {named['record']}: entry {seq}")
    stream = f"patient/{chart}"
    listed = person.ask(
        "POST",
        f"/v1/patients/{chart}/chart",
        person.event("chart.opened", stream, {"purpose": "PATRQT"}),
    )
    check([one["record"] for one in listed["records"]] == [named["record"]], "another list")
    print("listed 1 record")
    path = f"/v1/records/{named['record']}/content"
    read = person.send("POST", path, person.event("record.opened", stream, named))
    check(read == content, "another content")
    print(f"read {len(read)} bytes")
    grant = granted(chart, doctor)
    print(f"granting before a step-up: {refused(person.append, *grant, v=2)}")
    person.step_up(recovery=codes.recovery.pop())
    print(f"granted after it: entry {person.append(*granted(chart, doctor), v=2)}")
    found = person.ask("GET", f"/v1/patients/{chart}/grants")
    check([one["grantee"] for one in found["grants"]] == [doctor], "another grant")
    body = {"grantee": doctor, "purpose": "PATRQT"}
    print(f"revoked: entry {person.append('access.revoked', stream, body, v=2)}")
    seen = person.ask(
        "POST",
        f"/v1/patients/{chart}/history",
        person.event("history.opened", stream, {"purpose": "PATRQT"}),
    )
    entries = [json.loads(entry) for entry in seen["entries"]]
    levels = [
        (entry["decision"]["assurance"], "session" in entry["decision"]) for entry in entries[1:]
    ]
    print(f"assurance, and whether a sign-in is named: {levels}")

    before = person.token
    origin = person.ask("GET", "/v1/log")["origin"]
    shown = {"recovery": codes.recovery.pop()}
    person.ask("POST", "/v1/me/keys/kept/replacement", own_key(person, origin) | shown)
    print("a key of one's own is in place of the kept one")
    event = person.event("chart.opened", stream, {"purpose": "PATRQT"})
    print(
        f"without a signature: {refused(person.ask, 'POST', f'/v1/patients/{chart}/chart', event)}"
    )
    person.send("DELETE", "/v1/sessions")
    person.token = before
    print(f"after the session's end: {refused(person.ask, 'GET', '/v1/me/keys')}")


def main() -> None:
    """Parse the arguments and go."""
    parser = argparse.ArgumentParser(description="A person without a key, by HTTP alone.")
    parser.add_argument("url")
    parser.add_argument("--doctor", required=True, help="the account that is granted")
    parser.add_argument("--password", type=Path, required=True, help="a file with a new password")
    options = parser.parse_args()
    story(options.url, options.doctor, options.password.read_text().strip())


if __name__ == "__main__":
    main()
