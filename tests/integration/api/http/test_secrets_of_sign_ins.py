"""No password, code, seed, recovery code, token or e-mail address stands in a database, the server's log, or metrics."""

import base64
from pathlib import Path

import httpx2

from api.app.settings import Settings
from client.http import HttpClient
from storage.clock import wall_clock
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good, kind_of, serving
from tests.support.sign_ins import Account

FIRST, SECOND, WRONG = "planted first horse", "planted second horse", "planted wrong horse"
MAIL = "planted@mail.example"


def test_none_is_found(tmp_path: Path) -> None:
    """After whatever an account does with them, good and bad."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    doctor, settings = fixture.doctor(), fixture.settings
    fixture.close()
    secrets = [FIRST, SECOND, WRONG, MAIL]
    texts = list[str]()
    with serving(settings) as served:
        client = HttpClient(served.url)
        who = Account(Web(served.url, client.origin), wall_clock, doctor, FIRST)

        def noted(answer: httpx2.Response) -> httpx2.Response:
            if not answer.is_success:
                texts.append(answer.text)
            return answer

        noted(who.set_password())
        who.enrol()
        secrets += [who.seed, *who.recovery, *(who.code(steps) for steps in range(-2, 6))]
        tokens = [
            good(who.sign_in(code=who.code(1)))["token"],
            *(good(who.sign_in(recovery=code))["token"] for code in who.recovery[:3]),
        ]
        step = "/v1/sessions/current/step-up"
        tokens.append(
            good(who.send("POST", step, {"recovery": who.recovery[3]}, tokens[0]))["token"]
        )
        tokens.append(
            good(who.send("POST", "/v1/sessions/current/renewal", None, tokens[1]))["token"]
        )
        for sent in (
            {"password": WRONG}, {"account": MAIL}, {"code": "000000"}, {"recovery": who.recovery[0]},
            {"account": MAIL * 20}, {"password": WRONG * 100}, {"code": WRONG}, {"role": WRONG}, {"mail": MAIL},
        ):  # fmt: skip
            noted(who.sign_in(**sent))
        change = {"old": FIRST, "new": SECOND, "recovery": who.recovery[4]}
        answer = noted(who.send("PUT", "/v1/me/password", change, tokens[4]))
        assert kind_of(answer) == "204"
        noted(who.set_password(old=WRONG, new="short"))
        removal = {"password": SECOND, "recovery": who.recovery[5]}
        assert kind_of(noted(who.send("DELETE", "/v1/me/factors/code", removal))) == "204"
        good(who.send("GET", "/v1/me/sign-ins"))
        who.web.client.get(f"/v1/me?token={tokens[0]}", headers=bearer(tokens[5]))
        secrets += tokens
        found = {path: path.read_bytes() for path in _files(tmp_path)}  # with the write-ahead logs
        found[Path("metrics")] = who.web.get("/metrics").content
        found[Path("answers")] = "\n".join(texts).encode()
        who.web.close()
        client.close()
    found[served.log] = served.log.read_bytes()
    assert any(path.name.endswith("-wal") for path in found)
    assert b"/v1/sessions" in found[served.log]
    for secret in secrets:
        for form in _forms(secret):
            holding = [path.name for path, data in found.items() if form in data]
            assert not holding, (secret, form)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _forms(secret: str) -> list[bytes]:
    """How a secret could stand somewhere: as it is, without dashes, and as the bytes that it encodes.

    Of codes of six digits only where they'd stand as texts of their own: numbers have digits, too.
    """
    if secret.isdigit():
        return [f'"{secret}"'.encode(), f"code={secret}".encode(), f" {secret} ".encode()]
    forms = [secret.encode(), secret.replace("-", "").encode(), secret.encode().hex().encode()]
    if secret.endswith("="):
        forms.append(base64.b64decode(secret))
    if secret.isupper() and len(secret) == 32:
        forms.append(base64.b32decode(secret))
    return forms
