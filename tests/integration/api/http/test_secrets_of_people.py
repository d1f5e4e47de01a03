"""Nothing of whoever registers, applies, claims and is told stands in clear where it is kept: names, addresses, codes, dates.

The mail folder is what it is for: addresses and codes of contacts are readable there alone. Public names of hospitals are
public.
"""

import json
import re
from pathlib import Path

import pytest

from api.app.settings import Settings
from client import applying, claiming, inquiries, registering
from client.claiming import Code
from client.http import HttpClient
from client.registering import NewPatient
from crypto.claims import read_claim_code
from identity.actors import new_id
from journeys.errors import NotClaimed
from ledger.errors import Refused
from storage.mail.folder import FOLDER, SUFFIX
from tests.support.inbox import unfolded
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good, kind_of, serving, until

NAMES = "Zerlina Plantée", "Ottokar Plantowitsch", "Plantina von Anders"
CONTACT = "planted contact of the Klinik, 030 55501234"
MAILS = "planted.first@mail.example", "Planted.Second@Mail.Example", "nöbody@planted.example"
NUMBER, NOT_A_NUMBER = "+49 170 5556789", "0170 5556789"
ASKED = "planted inquiry: your dentures are ready"
BORN, OWN_BORN, WRONG_BORN = "1917-05-23", "1919-07-28", "1913-02-17"


def test_none_is_found(tmp_path: Path) -> None:
    """After registering, applying, contacts given, proved, replaced and removed, claims good and bad, charts of one's own."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    north, operator, settings = fixture.north, fixture.operator, fixture.settings
    fixture.close()
    folder, codes = settings.data / FOLDER, list[str]()
    answers = list[str]()
    with serving(settings) as served:
        client = HttpClient(served.url)
        web = Web(served.url, client.origin)

        def mailed(address: str) -> str:
            """The code in the newest mail to an address."""
            found: list[str] = []

            def came() -> bool:
                mails = sorted(folder.glob(f"*{SUFFIX}"), key=lambda one: one.stat().st_mtime_ns)
                texts = [unfolded(one.read_bytes().decode()) for one in mails]
                own = [one for one in texts if f"To: {address}" in one]
                found[:] = [code for one in own for code in re.findall(r"\b[A-Z2-7]{26}\b", one)]
                return len(set(found) - set(codes)) > 0

            until(came, "the mail comes")
            code = next(one for one in found if one not in codes)
            codes.append(code)
            return code

        def refused(answer: str, kind: str) -> None:
            answers.append(answer)
            assert kind in answer

        zerlina, _ = applying.register(client, NAMES[0])
        ottokar, _ = applying.register(client, NAMES[1])
        hospital, _ = applying.apply_for_hospital(
            client, zerlina, "Klinik Ost", "Europe/Berlin", CONTACT
        )
        applying.approve_hospital(client, operator, hospital)
        applying.apply_as_doctor(client, ottokar, hospital)
        for mail, language in zip(MAILS[:2], ("de", "en"), strict=True):
            client.give_contact(zerlina, mail, language)
            client.prove_contact(mailed(mail))
        client.give_contact(ottokar, MAILS[0], "en")
        client.prove_contact(mailed(MAILS[0]))
        client.remove_contact(ottokar)
        bad = web.client.put(
            "/v1/me/contact",
            json={"address": MAILS[2] * 20, "language": MAILS[2]},
            headers=bearer(web.token(ottokar)),
        )
        refused(bad.text, "malformed")
        bad = web.post("/v1/contact/proofs", {"code": codes[0]})
        refused(bad.text, "not_found")

        made = claiming.new_code(new_id("pt", client.now()))
        new = NewPatient(
            made.patient, new_id("ac", client.now()), NAMES[2], None, False, None, claim=made.public, born=BORN
        )  # fmt: skip
        registering.register_patients(client, north.system, [new])
        second: Code = claiming.new_code(made.patient)
        claiming.offer_claim(client, north.admin, second, BORN)
        for code, born in ((second, WRONG_BORN), (made, BORN)):
            with pytest.raises(NotClaimed) as error:
                claiming.claim_chart(client, ottokar, code.patient, code.text, born)
            answers.append(str(error.value))
        claiming.claim_chart(client, ottokar, second.patient, second.text, BORN)
        own = client.own_chart(zerlina, NAMES[0], OWN_BORN).patient
        client.state_number(zerlina, own, NUMBER)
        assert client.lookup(north.admin, [f"tel:{NUMBER}"]) == {}
        for to in (NUMBER, own):
            client.inquire(north.admin, to, ASKED, 30)
        assert {one.words for one in inquiries.listed(client, zerlina, own)} == {ASKED}
        bad = web.post(
            "/v1/inquiries", {"to": NOT_A_NUMBER, "words": ASKED * 40, "days": 30}, north.admin
        )
        refused(bad.text, "malformed")
        for text in (NOT_A_NUMBER, NUMBER * 3):
            sent = {"number": text}
            headers = bearer(web.token(zerlina))
            bad = web.client.put(f"/v1/patients/{own}/number", json=sent, headers=headers)
            refused(bad.text, "malformed")
        bad = web.post("/v1/patients/lookup", {"identifiers": [f"tel:{NOT_A_NUMBER}"]}, north.admin)
        refused(bad.text, "malformed")
        with pytest.raises(Refused) as again:
            client.own_chart(zerlina, NAMES[0], OWN_BORN)
        answers.append(str(again.value))
        sent = {"born": WRONG_BORN, "name": NAMES[0] * 200}
        bad = web.post("/v1/patients", sent, zerlina)
        assert not bad.is_success
        answers.append(bad.text)
        headers = {"Origin": served.url, "Heartwood-Session": "cookie"}
        nonce_token = web.token(ottokar)
        assert kind_of(web.get("/v1/me", headers={**headers, **bearer(nonce_token)})) == "200"
        good(web.get(f"/v1/accounts/{zerlina.account}", zerlina))
        found = {path: path.read_bytes() for path in _kept(settings.data)}  # with write-ahead logs
        found[Path("metrics")] = web.get("/metrics").content
        found[Path("answers")] = "\n".join(answers).encode()
        web.close()
        client.close()
    found[served.log] = served.log.read_bytes()
    assert any(path.name.endswith("-wal") for path in found)
    assert any(MAILS[0].encode() in one.read_bytes() for one in folder.iterdir()), (
        "the search finds"
    )
    secrets = [*NAMES, CONTACT, "Plantowitsch", "55501234", *MAILS, *codes, nonce_token]
    secrets += [
        ASKED,
        "your dentures",
        NUMBER,
        NOT_A_NUMBER,
        "705556789",
        BORN,
        OWN_BORN,
        WRONG_BORN,
        made.text,
        second.text,
    ]
    for secret in secrets:
        for form in _forms(secret):
            holding = [path.name for path, data in found.items() if form in data.lower()]
            assert not holding, (secret, form)
    for code in (made, second):
        raw = read_claim_code(code.text)
        for form in (raw, raw.hex().encode()):
            assert not [path.name for path, data in found.items() if form in data], code.text


def _kept(folder: Path) -> list[Path]:
    """Every file of the data, but for mail."""
    return [path for path in folder.rglob("*") if path.is_file() and path.parent != folder / FOLDER]


def _forms(secret: str) -> list[bytes]:
    """How a text could stand somewhere, in small letters: as it is, in JSON, without dashes, in hexadecimal."""
    small = secret.lower()
    return [
        small.encode(), json.dumps(small)[1:-1].encode(), small.replace("-", "").encode(), small.encode().hex().encode(),
        secret.encode().hex().encode(),
    ]  # fmt: skip
