"""`hospital`, `system`, `doctor`, `patient`, `key`: who is in the log, and with which keys."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, say, settings
from api.cli.keeping import KeyFiles, key_files, place_for
from client import registering
from client.claiming import new_code
from client.letters import letter_bytes, letter_of
from client.port import LedgerClient
from client.signers import possession
from crypto.encoding import b64decode, b64encode
from crypto.ids import is_id
from durable.files import Draft
from identity.actors import Actor, new_id, new_key
from journeys.errors import RecordsError
from ledger.directory import RECOVERY_WAIT_MS

HOUR_MS = 3_600_000
NoKey = Annotated[
    bool,
    typer.Option("--no-key", help="Create no key; register one later with `key new --account`."),
]
Name = Annotated[str, typer.Argument(help="The name; it is sealed, and never readable in the log.")]

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
    name: Annotated[str, typer.Argument(help="The public name; the log shows it.")],
    operator: As,
    time_zone: Annotated[str, typer.Option(help="IANA time zone.")] = "Etc/UTC",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Approve a hospital (as the operator), with its first admin and its first system."""
    acting = actor(operator)
    with at(data, url) as client, keeping(data) as files:
        added = registering.add_hospital(client, acting, name, time_zone, files)
    admin, system = (files.paths[who.key.id] for who in (added.admin, added.system))
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
    if not acting.hospital:
        raise RecordsError(f"{admin} acts for no hospital; a {role} is added by a hospital's admin")
    with at(data, url) as client, keeping(data) as files:
        member, seq = registering.add_member(
            client, acting, role, acting.hospital, name, key, files
        )
    fields = {"account": member.account, "hospital": member.hospital, "seq": seq}
    if role == "doctor":
        fields["doctor"] = member.account
    _say_person(files, json_, fields, name, member if key else None)


@patient_app.command("add")
def patient_add(
    name: Name,
    system: As,
    birth: Annotated[
        datetime | None,
        typer.Option(
            "--birth-date",
            formats=["%Y-%m-%d"],
            help="By default the patient is of age. Who claims the chart has to know it.",
        ),
    ] = None,
    deceased: Annotated[bool, typer.Option("--deceased", help="The patient has died.")] = False,
    identifier: Annotated[
        str, typer.Option(help="The hospital's own, <system>|<value>; `lookup` finds it.")
    ] = "",
    no_key: NoKey = False,
    claim_letter: Annotated[
        Path | None,
        typer.Option(
            help="Create no key but a claim code, and write the letter with it: .pdf, or text by any other ending."
        ),
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register a patient's chart and account (as a hospital's system or admin; as a doctor with --no-key)."""
    acting = actor(system)
    key = None if no_key or claim_letter else new_key()
    with at(data, url) as client, keeping(data) as files, _letter(claim_letter) as draft:
        now = client.now()
        born: date | None = birth.date() if birth else None
        code = new_code(registering.chart_for(client, acting, identifier if claim_letter else ""))
        new = registering.NewPatient(
            code.patient, new_id("ac", now), name, born, deceased, key, identifier,
            claim=code.public if draft else b"", born=f"{born}" if born else "",
        )  # fmt: skip
        if draft is not None:
            draft.write([letter_bytes(letter_of(client, code), draft.path)])
        patient, seq = registering.add_patient(client, acting, new, files)
        person = Actor(client.origin, new.account, "patient", "", key) if key else None
    fields = {"patient": patient, "account": new.account, "seq": seq}
    if claim_letter is not None:
        said = (f"{name} is {patient} (entry {seq})", f"the letter: {claim_letter}")
        say(json_, fields | {"letter": claim_letter}, *said)
        return
    _say_person(files, json_, fields, name, person)


def _letter(path: Path | None) -> AbstractContextManager[Draft | None]:
    return nullcontext() if path is None else place_for(path)


@key_app.command("new")
def key_new(
    account: Annotated[str, typer.Option(help="Whose key it is.")],
    voucher: As,
    public_key: Annotated[
        str | None,
        typer.Option(help="The public half of a key made elsewhere: 32 raw bytes in base64."),
    ] = None,
    proof: Annotated[
        str | None,
        typer.Option(help="That key's signature over the proof of possession, in base64."),
    ] = None,
    recovery: Annotated[
        bool,
        typer.Option(
            "--recovery", help="Replace a lost key; the new one becomes valid 24 hours later."
        ),
    ] = False,
    role: Annotated[
        str, typer.Option(help="The role of the key file, if the account has several.")
    ] = "",
    hospital: Annotated[str, typer.Option(help="The hospital of that role.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register a key: an account's first as its registrar, further ones as the account itself."""
    if (public_key is None) != (proof is None):
        raise RecordsError("--public-key and --proof belong together: give both, or neither")
    if not is_id("ac", account):
        raise RecordsError(f"{account!r} is not an account id")
    acting = actor(voucher)
    with at(data, url) as client, keeping(data) as files:
        key = None if public_key else new_key()
        role, hospital = _role(client, acting, account, role, hospital)
        public = key.public if key else b64decode(public_key or "", 32)
        shown = b64decode(proof or (possession(key, client.origin, account) if key else ""), 64)
        custody = registering.CUSTODY.get(role, "device")
        person = Actor(client.origin, account, role, hospital, key) if key else None
        if person is not None:
            files.draft(person)
        key_id, seq = registering.register_key(
            client, acting, account, custody, public, shown, recovery
        )
        if person is not None:
            files.stands(person)
    fields = {"account": account, "key": key_id, "public_key": b64encode(public), "seq": seq}
    lines = [f"Key {key_id} registered for {account} (entry {seq})"]
    if recovery:
        lines.append(f"it is valid {RECOVERY_WAIT_MS // HOUR_MS} hours after that entry")
    if person is not None:
        fields["keyfile"] = files.paths[key_id]
        lines.append(f"key file: {files.paths[key_id]}")
    say(json_, fields, *lines)


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
    """Revoke a key for good: as its account, as whoever vouched for it, or as the operator."""
    acting = actor(who)
    whose = acting.account if account is None else account
    with at(data, url) as client:
        seq = registering.revoke_key(client, acting, whose, key)
    fields = {"account": whose, "key": key, "seq": seq}
    say(json_, fields, f"Key {key} of {whose} is revoked (entry {seq})")


def _role(
    client: LedgerClient, acting: Actor, account: str, role: str, hospital: str
) -> tuple[str, str]:
    """The role (and hospital) that a new key file names; raises RecordsError where it isn't plain."""
    if account == acting.account and not role:
        return acting.role, acting.hospital
    held = {(r.role, r.hospital) for r in client.holder(acting, account).roles if r.active}
    fit = {r for r in held if role in ("", r[0]) and hospital in ("", r[1])}
    if role == "person" or not held:  # signs for the account itself alone, until it gets a role
        return "person", ""
    if len(fit) != 1:
        known = "; ".join(" at ".join(filter(None, one)) for one in sorted(held))
        raise RecordsError(f"{account} acts as {known}: choose one with --role and --hospital")
    return fit.pop()


@contextmanager
def keeping(data: Path | None) -> Iterator[KeyFiles]:
    """Where the keys that a command makes are kept: `people` in the data directory, or in what is named so
    beside a server."""
    config = settings(data)
    with key_files(KeyFiles(config.data / "people", config.secret())) as files:
        yield files


def _say_person(
    files: KeyFiles, json_: bool, fields: dict[str, object], name: str, person: Actor | None
) -> None:
    main = fields.get("patient") or fields.get("doctor") or fields["account"]
    lines = [f"{name} is {main} (entry {fields['seq']})"]
    if person is not None:
        keyfile = files.paths[person.key.id]
        fields |= {"key": person.key.id, "keyfile": keyfile}
        lines.append(f"key file: {keyfile}")
    else:
        lines.append(f"no key was made: heartwood key new --account {fields['account']} --as …")
    say(json_, fields, *lines)


@patient_app.command("correct")
def patient_correct(
    patient: Annotated[str, typer.Argument(help="The patient's id.")],
    who: As,
    birth: Annotated[
        datetime | None,
        typer.Option(
            "--birth-date",
            formats=["%Y-%m-%d"],
            help="For a minor; by default the patient is of age.",
        ),
    ] = None,
    deceased: Annotated[bool, typer.Option("--deceased", help="The patient has died.")] = False,
    name: Annotated[str, typer.Option(help="The new name; it is sealed.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Correct a patient's details (as the hospital that registered the patient)."""
    born: date | None = birth.date() if birth else None
    with at(data, url) as client:
        whose = check_patient(patient)
        seq = registering.correct_patient(client, actor(who), whose, born, deceased, name)
    say(json_, {"patient": patient, "seq": seq}, f"Corrected {patient}: entry {seq}")


@app.command()
def lookup(
    identifiers: Annotated[
        list[str],
        typer.Argument(
            help="The hospital's own identifiers, <system>|<value>, or numbers that patients stated, tel:+49…."
        ),
    ],
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Find patients by the hospital's own identifiers, for that hospital alone, or by stated numbers.

    A number finds patients of your hospital, and those whose chart you may open. Nothing tells whether it is somebody else's.
    """
    with at(data, url) as client:
        found = client.lookup(actor(who), identifiers)
    lines = [
        f"{i}  {found[i].patient}" + (f", account {found[i].account}" if found[i].account else "")
        if i in found
        else f"{i}  not known here"
        for i in identifiers
    ]
    fields = {
        "patients": {i: one.patient for i, one in found.items()},
        "accounts": {name: one.account for name, one in found.items()},
    }
    say(json_, fields, *lines)
