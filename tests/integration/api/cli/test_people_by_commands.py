"""From an empty data directory to a hospital, its doctor and two patients, by commands alone, each signed in by password and code."""

import json
import re
from pathlib import Path
from typing import Any

from api.app.settings import Settings
from tests.support.commands import heartwood
from tests.support.sign_ins import PASSWORD
from tests.support.signed_in import Commands, Typist, printed_code

BORN = "1958-03-14"
PLANTED = (
    PASSWORD, "Hana Leitner", "Dora Arzt", "Pia Brandt", "Paul Allein", BORN, "A123456789", "+49 30 7654321",
    "None that I know of", "HbA1c below target",
)  # fmt: skip
"""What must be nowhere in clear."""


def bundle() -> dict[str, Any]:
    """A patient and an observation, as a hospital's system exports them."""
    code = {"coding": [{"code": "4548-4", "system": "http://loinc.org"}], "text": "HbA1c below target"}  # fmt: skip
    kinds = "http://terminology.hl7.org/CodeSystem/observation-category"
    observation = {
        "category": [{"coding": [{"code": "laboratory", "system": kinds}]}],
        "resourceType": "Observation", "id": "o1", "status": "final", "code": code, "subject": {"reference": "urn:uuid:pia"},
        "effectiveDateTime": "2026-03-01", "valueQuantity": {"value": 5.6, "unit": "%"},
    }  # fmt: skip
    pia = {
        "resourceType": "Patient", "id": "pia", "birthDate": BORN, "name": [{"family": "Brandt", "given": ["Pia"]}],
        "identifier": [{"system": "https://lake.example/ids", "value": "4711"}],
    }  # fmt: skip
    entries = [
        {"fullUrl": "urn:uuid:pia", "resource": pia},
        {"fullUrl": "urn:uuid:o1", "resource": observation},
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def founds(commands: Commands, folder: Path) -> Typist:
    """The operator of a new ledger, signed in without the key file."""
    made = heartwood(commands.settings, "init", "--origin", "heartwood.example/people", "--json")
    assert made.code == 0, made
    key, who = made.json["keyfile"], Typist(commands, folder / "operator", made.json["account"])
    typed = PASSWORD, printed_code
    who.recovery = who.json("account", "set-up", made.json["setup_link"], typed=typed)["recovery"]
    again = who.run("account", "set-up", made.json["setup_link"], typed=typed, code=1)
    assert "was used already" in again.err
    who.run("account", "key", "keep", "--as", key)
    assert "signed in as operator" in who.signs_in().out
    return who


def becomes_admin(commands: Commands, folder: Path, operator: Typist) -> tuple[Typist, str]:
    """Somebody who applied for a hospital, and was approved."""
    hana = Typist.registers(commands, folder / "hana", "Hana Leitner")
    words = ("--hospital-name", "Klinik am See", "--contact", "Hana Leitner, +49 30 7654321")
    hospital = hana.json("account", "apply", *words, typed=(hana.second(),))["hospital"]
    (waiting,) = operator.json("account", "list", "--state", "pending")["hospitals"]
    assert (waiting["hospital"], waiting["applicant"]) == (hospital, hana.account)
    operator.run("account", "approve", hospital, typed=(operator.second(),))
    (own,) = hana.json("account", "list")["hospitals"]
    assert own["state"] == "approved"
    assert hana.json("account", "role", "hospital_admin")["hospital"] == hospital
    return hana, hospital


def becomes_doctor(commands: Commands, folder: Path, admin: Typist, hospital: str) -> Typist:
    """Somebody who applied there, was refused until approved, and let in."""
    dora = Typist.registers(commands, folder / "dora", "Dora Arzt")
    dora.run("account", "apply", hospital, typed=(dora.second(),))
    assert "don't hold the role doctor" in dora.run("account", "role", "doctor", code=2).err
    admin.run("account", "approve", dora.account, typed=(admin.second(),))
    assert f"doctor at {hospital}" in dora.signs_in().out
    return dora


def imports(admin: Typist, hospital: str, folder: Path) -> tuple[str, str]:
    """A patient who is imported by the hospital's system, and the code of her letter."""
    added = admin.json("system", "add", "Archive")
    source, letters = folder / "bundle.json", folder / "letters"
    source.write_text(json.dumps(bundle()))
    words = ("import", source, "--hospital", hospital, "--as", added["keyfile"])
    done = admin.json(*words, "--claim-codes", letters, "--report", folder / "report")
    assert (done["patients"], done["rejected"]) == (1, 0)
    (letter,) = letters.iterdir()
    patient = letter.stem
    # The square on paper is a picture; a text letter is read here. A new code ends the older one.
    text = folder / "letter.txt"
    admin.run("patient", "claim-code", patient, "--out", text)
    found = re.search(r"Code: +(\S+)", text.read_text())
    assert found
    return patient, found[1]


def claims(commands: Commands, folder: Path, patient: str, code: str) -> Typist:
    """Somebody who claims the chart: not by another birth date, and once."""
    pia = Typist.registers(commands, folder / "pia", "Pia Brandt")
    claim = ("account", "claim", patient, "--code", code)
    wrong = pia.run(*claim, "--born", "1958-03-15", code=1)
    assert "not accepted" in wrong.err
    pia.run(*claim, "--born", BORN)
    other = Typist.registers(commands, folder / "other", "Otto Ander")
    assert "not accepted" in other.run(*claim, "--born", BORN, code=1).err
    pia.run("account", "sign-out")
    assert "signed in as patient" in pia.signs_in().out
    return pia


def registers_alone(commands: Commands, folder: Path) -> Typist:
    """Somebody with a chart of his own, who hands in insurance, emergency contact and history."""
    paul = Typist.registers(commands, folder / "paul", "Paul Allein")
    chart = paul.json("account", "chart", "Paul Allein", "--born", BORN)["patient"]
    paul.run("account", "role", "patient")
    answers = {
        "insurance": {"insurer": "Example Mutual", "number": "A123456789"},
        "bystander": {"family": "Allein", "given": "Rosa", "phone": "+49 30 7654321", "relationship": "SPS"},
        "history": {"conditions": "None that I know of."},
    }  # fmt: skip
    for form, values in answers.items():
        given = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        paul.run("intake", "fill", form, "--patient", chart, *given)
    assert len(paul.json("chart")["records"]) == len(answers)
    return paul


def test_people_become_somebody_by_commands_alone(tmp_path: Path) -> None:
    """Then a grant lets the doctor read; log and decisions are checked offline; no planted text lies anywhere in clear."""
    data = tmp_path / "ledger"
    commands = Commands(Settings(data=data))
    operator = founds(commands, tmp_path)
    admin, hospital = becomes_admin(commands, tmp_path, operator)
    dora = becomes_doctor(commands, tmp_path, admin, hospital)
    patient, code = imports(admin, hospital, tmp_path)
    pia = claims(commands, tmp_path, patient, code)
    paul = registers_alone(commands, tmp_path)
    records = pia.json("chart")["records"]
    (record,) = [one for one in records if one["category"] == "summary"]
    assert dora.json("open", record["record"], "--out", tmp_path / "shown")["seq"]
    assert b"HbA1c" in (tmp_path / "shown").read_bytes()
    (mine, *_) = paul.json("chart")["records"]
    refused = dora.run("open", mine["record"], "--out", tmp_path / "not", code=1)
    assert "no consent" in refused.err
    paul.run("grant", dora.account, "--days", "1", typed=(paul.second(),))
    dora.run("open", mine["record"], "--out", tmp_path / "his")
    export, vkey = tmp_path / "export", data / "log.vkey"
    for words in (("export", export), ("verify", export, "--vkey", vkey), ("audit", export, "--vkey", vkey)):  # fmt: skip
        assert (done := heartwood(commands.settings, *words)).code == 0, done
    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    for planted in (*PLANTED, *pia.recovery, *paul.recovery):
        assert planted.encode() not in kept, planted
    tokens = [json.loads(one.session.read_text())["given"]["token"] for one in (pia, paul, dora)]
    assert not any(token.encode() in kept for token in tokens)
