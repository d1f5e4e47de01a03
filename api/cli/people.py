"""`hospital`, `system`, `doctor`, `patient`, `key`: who is in the log, and with which keys."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, say, settings
from crypto.encoding import b64decode, b64encode
from crypto.ids import is_id
from identity.actors import Actor, new_id, new_key, possession, write_keyfile
from records import directory
from records.desk import Desk
from records.errors import RecordsError

NoKey = Annotated[
    bool, typer.Option("--no-key", help="Make no key; `key new --account` registers one later.")
]
Name = Annotated[str, typer.Argument(help="The name; it is sealed, the log never holds it.")]

hospital_app = typer.Typer(help="Hospitals.", no_args_is_help=True)
system_app = typer.Typer(help="Systems of a hospital.", no_args_is_help=True)
doctor_app = typer.Typer(help="Doctors of a hospital.", no_args_is_help=True)
patient_app = typer.Typer(help="Patients.", no_args_is_help=True)
key_app = typer.Typer(help="Signing keys.", no_args_is_help=True)
for name, group in (
    ("hospital", hospital_app),
    ("system", system_app),
    ("doctor", doctor_app),
    ("patient", patient_app),
    ("key", key_app),
):
    app.add_typer(group, name=name)


@hospital_app.command("add")
def hospital_add(
    name: Annotated[str, typer.Argument(help="The public name; it stands in the log.")],
    operator: As,
    time_zone: Annotated[str, typer.Option(help="IANA time zone.")] = "Etc/UTC",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Approve a hospital (as the operator), with its first admin and its first system."""
    acting = actor(operator)
    with at(data, url) as desk:
        added = directory.add_hospital(desk, acting, name, time_zone)
    admin, system = (_keep(data, who) for who in (added.admin, added.system))
    fields = {
        "hospital": added.hospital,
        "account": added.system.account,
        "key": added.system.key.id,
        "keyfile": system,
        "admin_account": added.admin.account,
        "admin_keyfile": admin,
        "seq": added.seq,
    }
    say(
        json_,
        fields,
        f"{name} is {added.hospital}",
        f"its admin's key: {admin}",
        f"its system's key: {system}",
    )


@system_app.command("add")
def system_add(
    name: Name,
    admin: As,
    no_key: NoKey = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Add a system to the admin's hospital (as the admin)."""
    _add(name, admin, "hospital_system", no_key, data, url, json_)


@doctor_app.command("add")
def doctor_add(
    name: Name,
    admin: As,
    no_key: NoKey = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Approve a doctor at the admin's hospital (as the admin)."""
    _add(name, admin, "doctor", no_key, data, url, json_)


def _add(
    name: str, admin: Path, role: str, no_key: bool, data: Path | None, url: str | None, json_: bool
) -> None:
    acting = actor(admin)
    key = None if no_key else new_key()
    with at(data, url) as desk:
        member, seq = directory.add_member(desk, acting, role, acting.hospital, name, key)
    fields = {"account": member.account, "hospital": member.hospital, "seq": seq}
    if role == "doctor":
        fields["doctor"] = member.account
    _say_person(data, json_, fields, name, member if key else None)


@patient_app.command("add")
def patient_add(
    name: Name,
    system: As,
    birth: Annotated[
        datetime | None,
        typer.Option("--birth-date", formats=["%Y-%m-%d"], help="Of a minor; of age without it."),
    ] = None,
    deceased: Annotated[bool, typer.Option("--deceased", help="The patient has died.")] = False,
    identifier: Annotated[
        str, typer.Option(help="The hospital's own, <system>|<value>; found again by `lookup`.")
    ] = "",
    no_key: NoKey = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register a patient's chart and account (as a hospital's system)."""
    acting = actor(system)
    key = None if no_key else new_key()
    with at(data, url) as desk:
        now = desk.now()
        born: date | None = birth.date() if birth else None
        new = directory.NewPatient(
            new_id("pt", now), new_id("ac", now), name, born, deceased, key, identifier
        )
        (seq,) = directory.register_patients(desk, acting, [new])
        person = Actor(desk.origin, new.account, "patient", "", key) if key else None
    fields = {"patient": new.patient, "account": new.account, "seq": seq}
    _say_person(data, json_, fields, name, person)


@key_app.command("new")
def key_new(
    account: Annotated[str, typer.Option(help="Whose key it is.")],
    voucher: As,
    public_key: Annotated[
        str | None, typer.Option(help="Of a key made elsewhere: its 32 raw bytes in base64.")
    ] = None,
    proof: Annotated[
        str | None, typer.Option(help="Its signature over the proof of possession, base64.")
    ] = None,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="After a loss; counts from 24 hours later.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register a key for an account: a first key as who registered it, a further one as itself."""
    if (public_key is None) != (proof is None):
        raise RecordsError("--public-key and --proof belong together: give both, or neither")
    if not is_id("ac", account):
        raise RecordsError(f"got {account!r}: there is no account of such an id")
    acting = actor(voucher)
    with at(data, url) as desk:
        key = None if public_key else new_key()
        role, hospital = _role(desk, account)
        public = key.public if key else b64decode(public_key or "", 32)
        shown = proof or (possession(desk.origin, account, key) if key else "")
        custody = directory.CUSTODY.get(role, "device")
        key_id, seq = directory.register_key(
            desk, acting, account, custody, public, b64decode(shown, 64), recovery
        )
        person = Actor(desk.origin, account, role, hospital, key) if key else None
    fields = {"account": account, "key": key_id, "public_key": b64encode(public), "seq": seq}
    if person is None:  # made elsewhere, and kept there
        return say(json_, fields, f"{key_id} is a key of {account} (entry {seq})")
    _say_person(data, json_, fields, account, person)


@key_app.command("revoke")
def key_revoke(
    key: Annotated[str, typer.Argument(help="The key's id k_….")],
    who: As,
    account: Annotated[
        str | None, typer.Option(help="Whose key it is; by default the actor's own.")
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Revoke a key, for ever: as its account, as who vouched for it, or as the operator."""
    acting = actor(who)
    with at(data, url) as desk:
        seq = directory.revoke_key(desk, acting, account or acting.account, key)
    fields = {"account": account or acting.account, "key": key, "seq": seq}
    say(json_, fields, f"{key} signs nothing any more: entry {seq}")


def _role(desk: Desk, account: str) -> tuple[str, str]:
    """The role that a new key file names: the account's only one, else that of a person."""
    roles = desk.roles(account)
    return roles[0] if len(roles) == 1 else ("person", "")


def _say_person(
    data: Path | None, json_: bool, fields: dict[str, object], name: str, person: Actor | None
) -> None:
    main = fields.get("patient") or fields.get("doctor") or fields["account"]
    lines = [f"{name} is {main} (entry {fields['seq']})"]
    if person is not None:
        keyfile = _keep(data, person)
        fields |= {"key": person.key.id, "keyfile": keyfile}
        lines.append(f"key file: {keyfile}")
    else:
        lines.append(f"no key was made: heartwood key new --account {fields['account']} --as …")
    say(json_, fields, *lines)


def _keep(data: Path | None, person: Actor) -> Path:
    config = settings(data)
    name = f"{person.role}-{person.account}-{person.key.id[-6:]}.key"
    return write_keyfile(config.data / "people" / name, person, config.secret())


@patient_app.command("correct")
def patient_correct(
    patient: Annotated[str, typer.Argument(help="The patient's id.")],
    who: As,
    birth: Annotated[
        datetime | None,
        typer.Option("--birth-date", formats=["%Y-%m-%d"], help="Of a minor; of age without it."),
    ] = None,
    deceased: Annotated[bool, typer.Option("--deceased", help="The patient has died.")] = False,
    name: Annotated[str, typer.Option(help="Another name; it is sealed.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Say anew what is known of a patient (as the hospital that registered)."""
    born: date | None = birth.date() if birth else None
    with at(data, url) as desk:
        seq = directory.correct_patient(desk, actor(who), patient, born, deceased, name)
    say(json_, {"patient": patient, "seq": seq}, f"{patient} is corrected by entry {seq}")


@app.command()
def lookup(
    identifiers: Annotated[list[str], typer.Argument(help="The hospital's own: <system>|<value>.")],
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Find patients by the hospital's own identifiers; for that hospital alone."""
    with at(data, url) as desk:
        found = desk.lookup(actor(who), identifiers)
    lines = [f"{i}  {found.get(i, 'not known here')}" for i in identifiers]
    say(json_, {"patients": found}, *lines)
