"""`patient claim-code`, `account claim`, `account chart`: whose a chart is."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, check_patient, say
from api.cli.keeping import KeyFiles, place_for
from api.cli.people import keeping, patient_app
from client import claiming
from client.letters import LINK, letter_bytes, letter_of, scanned
from client.sessions import held_of
from identity.actors import Actor

Born = Annotated[
    datetime,
    typer.Option("--born", formats=["%Y-%m-%d"], help="The birth date, the second fact."),
]
MaybeBorn = Annotated[
    datetime | None,
    typer.Option(
        "--born",
        formats=["%Y-%m-%d"],
        help="The birth date, which a claim must state; kept if none is known yet.",
    ),
]


@patient_app.command("claim-code")
def patient_claim_code(
    patient: Annotated[str, typer.Argument(help="The patient's id.")],
    who: As,
    out: Annotated[
        Path,
        typer.Option(help="The letter to write: .pdf, or text by any other ending. Mode 0600."),
    ],
    born: MaybeBorn = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Offer a patient the code that claims the chart, as a letter (as an admin or a system of a hospital that keeps records of them)."""
    whose, acting = check_patient(patient), actor(who)
    with at(data, url) as client, place_for(out) as draft:
        code = claiming.new_code(whose)
        draft.write([letter_bytes(letter_of(client, code), out)])
        seq = claiming.offer_claim(client, acting, code, _day(born))
    fields = {"patient": whose, "letter": out, "seq": seq}
    say(json_, fields, f"Entry {seq} offers the chart of {whose}", f"the letter: {out}")


@account_app.command("claim")
def account_claim(
    letter: Annotated[
        str, typer.Argument(help="The patient's id, from the letter; or all that its square holds.")
    ],
    born: Born,
    who: As,
    code: Annotated[
        str, typer.Option(help="The code, from the letter, unless it was scanned.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Claim a chart with the hospital's letter; from then on the account is that patient."""
    acting = actor(who)
    with at(data, url) as client, keeping(data) as files:
        if letter.startswith(LINK):
            letter, code = scanned(client, letter)
        whose = check_patient(letter)
        seq = claiming.claim_chart(client, acting, whose, code, _day(born))
        keyfile = _key_file(files, acting)
    _say_chart(json_, whose, seq, acting, keyfile, "claimed")


@account_app.command("chart")
def account_chart(
    name: Annotated[str, typer.Argument(help="Your name; it is sealed.")],
    born: Born,
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Open a chart of your own, without any hospital (as a person whose account registered itself)."""
    acting = actor(who)
    with at(data, url) as client, keeping(data) as files:
        made = client.own_chart(acting.in_role("person"), name, _day(born))
        keyfile = _key_file(files, acting)
    _say_chart(json_, made.patient, made.seq, acting, keyfile, "registered")


def _day(born: datetime | None) -> str:
    return f"{born:%Y-%m-%d}" if born else ""


def _say_chart(
    json_: bool, patient: str, seq: int, person: Actor, keyfile: Path | None, done: str
) -> None:
    fields: dict[str, object] = {"patient": patient, "account": person.account, "seq": seq}
    how = "act as this patient: heartwood account role patient"
    if keyfile is not None:
        fields["keyfile"], how = keyfile, f"the key file that acts as this patient: {keyfile}"
    say(json_, fields, f"You {done} {patient} (entry {seq})", how)


def _key_file(files: KeyFiles, acting: Actor) -> Path | None:
    """The same key's file as a patient; None in a session, whose role is changed."""
    return files.also(acting.in_role("patient")) if held_of(acting) is None else None
