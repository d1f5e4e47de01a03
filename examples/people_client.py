"""A hospital, its doctor and two patients by HTTP alone, from an empty ledger; written from docs/http.md, beside person_client.py.

    python people_client.py URL --operator KEYFILE --password FILE --site https://HOST

Four people register alone, each with a password, one-time codes and a key that the service keeps. One applies for a hospital
and is approved; one applies there as a doctor, is refused until approved, and let in; the hospital registers a patient, who
claims the chart by code and birth date; another opens a chart alone, hands in insurance, emergency contact and history, and
signs in with a passkey (a software one, here). Each line printed was checked; what is wrong ends it.
"""

import argparse
import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from person_client import Codes, Person, check, digits, moment, new_id, refused, register, upload

Json = dict[str, Any]
BORN = "1958-03-14"


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def url64(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def canonical(value: Json) -> bytes:
    """Canonical JSON: sorted, compact, nothing escaped that need not be."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Operator:
    """Who has a key file, and signs each event with it."""

    url: str
    origin: str
    account: str
    key: str
    private: Ed25519PrivateKey

    @classmethod
    def of_file(cls, url: str, path: Path) -> "Operator":
        """From a key file (without a passphrase)."""
        held = json.loads(path.read_text())
        private = load_pem_private_key(held["private_key"].encode(), None)
        assert isinstance(private, Ed25519PrivateKey)
        return cls(url, held["origin"], held["account"], held["key"], private)

    def session(self) -> Any:
        """Somebody in a session by this key."""
        person = Person(self.url, self.account, "")
        challenge = person.ask("POST", "/v1/sessions/challenge")["challenge"]
        message = f"heartwood/session/v1\n{self.origin}\n{self.key}\n{challenge}\n"
        sent = {
            "challenge": challenge,
            "role": "operator",
            "hospital": "",
            **self._sig(message.encode()),
        }
        person.token = person.ask("POST", "/v1/sessions", sent)["token"]
        return person

    def signed(self, kind: str, stream: str, body: Json) -> Json:
        """An event of the operator's, now, with its signature."""
        event = {
            "actor": self.account, "as": {"role": "operator"}, "at": moment(datetime.now(UTC)), "body": body,
            "id": new_id("ev"), "stream": stream, "type": kind, "v": 1,
        }  # fmt: skip
        message = f"heartwood/event/v1\n{self.origin}\n".encode() + canonical(event)
        return {"event": event, "sig": self._sig(message)}

    def _sig(self, message: bytes) -> Json:
        return {"key": self.key, "value": b64(self.private.sign(message))}


@dataclass
class Authenticator:
    """A software passkey (WebAuthn Level 3): ES256, no attestation, user verified."""

    site: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    name: bytes = field(default_factory=lambda: os.urandom(16))
    counter: int = 0

    def create(self, options: Json) -> Json:
        """What `navigator.credentials.create` gives."""
        numbers = self.private.public_key().public_numbers()
        # A COSE key as CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
        x, y = (one.to_bytes(32, "big") for one in (numbers.x, numbers.y))
        cose = bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y
        said = self._said(0x45) + bytes(16) + len(self.name).to_bytes(2, "big") + self.name + cose
        # {"fmt": "none", "attStmt": {}, "authData": …}
        head = b"\xa3cfmtdnonegattStmt\xa0hauthData\x58" + bytes([len(said)])
        client = self._client("webauthn.create", options["challenge"])
        return self._answer(
            {"attestationObject": url64(head + said), "clientDataJSON": url64(client)}
        )

    def get(self, options: Json) -> Json:
        """What `navigator.credentials.get` gives."""
        said, client = self._said(0x05), self._client("webauthn.get", options["challenge"])
        signed = said + hashlib.sha256(client).digest()
        response = {
            "authenticatorData": url64(said), "clientDataJSON": url64(client),
            "signature": url64(self.private.sign(signed, ec.ECDSA(SHA256()))),
        }  # fmt: skip
        return self._answer(response)

    def _said(self, flags: int) -> bytes:
        self.counter += 1
        host = self.site.removeprefix("https://").partition(":")[0]
        return (
            hashlib.sha256(host.encode()).digest()
            + bytes([flags])
            + self.counter.to_bytes(4, "big")
        )

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"challenge": challenge, "crossOrigin": False, "origin": self.site, "type": kind}
        return json.dumps(said).encode()

    def _answer(self, response: Json) -> Json:
        name = url64(self.name)
        return {"id": name, "rawId": name, "response": response, "type": "public-key"}


def joins(url: str, password: str) -> tuple[Any, Codes]:
    """Somebody with a password, codes, and a key that the service keeps; signed in as a person, by two factors."""
    person, codes = register(url, password)
    person.sign_in("person", code=codes.next())
    person.ask("POST", "/v1/me/keys/kept", {})
    return person, codes


def founds(url: str, password: str, operator: Operator) -> tuple[Any, str]:
    """A hospital that applied and was approved, and its admin, signed in."""
    admin, codes = joins(url, password)
    hospital, event_id = new_id("hs"), new_id("ev")
    texts = {"contact": "Hana Leitner, +49 30 1234567", "name": "Klinik am See"}
    wanted = {"subjects": [{"event": event_id, "id": hospital, "texts": texts}]}
    sealed = admin.ask("POST", "/v1/subjects", wanted)["subjects"][0]["sealed"]
    body = {"hospital": hospital, "time_zone": "Europe/Berlin", **sealed}
    event = admin.event("hospital.applied", "ledger", body, event_id=event_id)
    print(f"an application takes a step-up: {refused(admin.ask, 'POST', '/v1/events', event)}")
    admin.step_up(recovery=codes.recovery.pop())
    admin.ask("POST", "/v1/events", event)
    service = operator.session()
    waiting = service.ask("GET", "/v1/hospitals?state=pending")["hospitals"]
    check([one["hospital"] for one in waiting] == [hospital], "another list of applications")
    found = service.ask("GET", f"/v1/hospitals/{hospital}/application")
    approved = {"hospital": hospital, "name": found["name"], "time_zone": found["time_zone"]}
    events = [
        operator.signed("hospital.approved", "ledger", approved),
        operator.signed("admin.appointed", f"hospital/{hospital}", {"account": admin.account}),
    ]
    service.ask("POST", "/v1/events?atomic=true", events)
    print(f"approved {found['name']}, {hospital}")
    signs_in(admin, "hospital_admin", hospital, recovery=codes.recovery.pop())
    admin.step_up(recovery=codes.recovery.pop())
    return admin, hospital


def signs_in(person: Any, role: str, hospital: str, **second: str) -> None:
    """A session in a hospital's role."""
    person.token, person.role = "", role
    sent = {"account": person.account, "password": person.password, "role": role}
    person.token = person.ask("POST", "/v1/sessions", sent | {"hospital": hospital} | second)[
        "token"
    ]


def acts(person: Any, hospital: str, kind: str, stream: str, body: Json, v: int = 1, event_id: str = "") -> int:  # fmt: skip
    """Append one event as somebody of a hospital; gives its entry."""
    sent = person.event(kind, stream, body, v, event_id)
    sent["event"]["as"]["hospital"] = hospital
    return int(person.ask("POST", "/v1/events", sent)["entries"][0]["seq"])


def becomes_doctor(url: str, password: str, admin: Any, hospital: str) -> Any:
    """A doctor who applied and was approved, signed in."""
    doctor, codes = joins(url, password)
    doctor.step_up(recovery=codes.recovery.pop())
    applied = {"account": doctor.account, "profession": "physician"}
    doctor.append("doctor.applied", f"hospital/{hospital}", applied)
    as_doctor = {
        "account": doctor.account,
        "password": password,
        "role": "doctor",
        "hospital": hospital,
    }
    code = {"recovery": codes.recovery[-1]}
    print(f"a doctor who waits: {refused(doctor.ask, 'POST', '/v1/sessions', as_doctor | code)}")
    found = admin.ask("GET", f"/v1/hospitals/{hospital}/doctors?state=pending")["doctors"]
    check([one["account"] for one in found] == [doctor.account], "another list of applicants")
    body = {**applied, "application": found[0]["application"]}
    acts(admin, hospital, "doctor.approved", f"hospital/{hospital}", body, v=2)
    signs_in(doctor, "doctor", hospital, recovery=codes.recovery.pop())
    print(f"approved {doctor.account}, signed in as a doctor")
    return doctor


def registers(admin: Any, hospital: str) -> tuple[str, bytes]:
    """A patient whom the hospital registers with a claim code; the code's 16 bytes are on the letter alone."""
    patient, account, event_id = f"pt_{digits(os.urandom(16))}", new_id("ac"), new_id("ev")
    secret = os.urandom(16)
    subjects = [
        {"birth": BORN, "event": event_id, "id": patient, "texts": {"name": "Pia Brandt"}},
        {"event": event_id, "id": account},
    ]
    sealed = admin.ask("POST", "/v1/subjects", {"subjects": subjects})["subjects"][0]["sealed"]
    claim = claim_key(secret, patient).public_key().public_bytes_raw()
    body = {
        "account": account, "adult": True, "claim": b64(claim), "patient": patient, "purpose": "TREAT", **sealed,
    }  # fmt: skip
    seq = acts(admin, hospital, "patient.registered", f"patient/{patient}", body, 2, event_id)
    print(f"registered {patient}: entry {seq}")
    return patient, secret


def claim_key(secret: bytes, patient: str) -> Ed25519PrivateKey:
    """The key of a claim code for one patient."""
    info = b"heartwood/claim/v1\0" + patient.encode()
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, info).derive(secret))


def claims(url: str, password: str, origin: str, patient: str, secret: bytes) -> None:
    """Somebody claims the chart: a wrong birth date, the right one, and the same code again."""
    person, codes = joins(url, password)

    def claim(who: Any, born: str) -> Any:
        message = f"heartwood/claim/v1\n{origin}\n{patient}\n{who.account}\n".encode()
        body = {
            "account": who.account, "patient": patient, "proof": b64(claim_key(secret, patient).sign(message)),
            "purpose": "PATRQT",
        }  # fmt: skip
        event = who.event("patient.claimed", f"patient/{patient}", body)
        return who.ask("POST", "/v1/claims", event | {"born": born})

    print(f"another birth date: {refused(claim, person, '1958-03-15')}")
    claim(person, BORN)
    print("claimed")
    other, _ = joins(url, password)
    print(f"a used code: {refused(claim, other, BORN)}")
    person.sign_in("patient", code=codes.next())
    check(person.ask("GET", "/v1/me")["patients"] != [], "no chart of one's own")


def registers_alone(url: str, password: str, site: str) -> None:
    """Somebody opens a chart alone, hands in three forms, and signs in by a passkey."""
    person, codes = joins(url, password)
    chart = person.ask("POST", "/v1/patients", {"name": "Paul Allein", "born": BORN})["patient"]
    forms = {
        "insurance": {"insurer": "Example Mutual", "number": "A123456789"},
        "bystander": {"family": "Allein", "given": "Rosa", "phone": "+49 30 7654321", "relationship": "SPS"},
        "history": {"conditions": "None that I know of."},
    }  # fmt: skip
    person.sign_in("patient", code=codes.next())
    for form, values in forms.items():
        made = person.ask("POST", f"/v1/intake/{form}", {"patient": chart, "values": values})
        upload(person, chart, json.dumps(made).encode())
    print(f"handed in {len(forms)} forms as records of {chart}")
    authenticator = Authenticator(site)
    options = person.ask("POST", "/v1/me/passkeys/challenge")
    sent = {"credential": authenticator.create(options), "recovery": codes.recovery.pop()}
    person.ask("POST", "/v1/me/passkeys", sent)
    person.token = ""
    answer = authenticator.get(person.ask("POST", "/v1/sessions/passkey"))
    found = person.ask("POST", "/v1/sessions", {"passkey": answer, "role": "patient"})
    person.token = found["token"]
    listed = person.event("chart.opened", f"patient/{chart}", {"purpose": "PATRQT"})
    records = person.ask("POST", f"/v1/patients/{chart}/chart", listed)["records"]
    check(len(records) == len(forms), "another chart")
    print(f"signed in by passkey, assurance {found['assurance']}: {len(records)} records")


def main() -> None:
    """Parse the arguments and go."""
    parser = argparse.ArgumentParser(description="People, by HTTP alone.")
    parser.add_argument("url")
    parser.add_argument("--operator", type=Path, required=True, help="the operator's key file")
    parser.add_argument("--password", type=Path, required=True, help="a file with a new password")
    parser.add_argument("--site", required=True, help="what the server's HEARTWOOD_WEB_ORIGIN says")
    options = parser.parse_args()
    url, password = options.url, options.password.read_text().strip()
    operator = Operator.of_file(url, options.operator)
    admin, hospital = founds(url, password, operator)
    becomes_doctor(url, password, admin, hospital)
    patient, secret = registers(admin, hospital)
    claims(url, password, operator.origin, patient, secret)
    registers_alone(url, password, options.site)


if __name__ == "__main__":
    main()
