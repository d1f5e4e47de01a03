"""`account register`, `apply`, `approve`, `decline`, `suspend`, `end`, `list`: becoming somebody at a hospital."""

import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, count, say, settings
from api.cli.factors import enrol, recovery_lines
from api.cli.held import as_second, new_password, secret
from api.cli.keeping import KeyFileAt, KeyFiles, key_files, place_for
from api.cli.people import keeping
from api.cli.sessions import PasswordFile, SessionFile, free_place, signed_in
from client import applying, staff
from client.sessions import SessionActor, SessionWanted, held_of
from crypto.ids import is_id
from identity.actors import Actor, keyfile_bytes, read_keyfile
from journeys.errors import RecordsError
from ledger.codes import DECLINED, PROFESSIONS
from ledger.times import DAY_MS
from people.applications import DOCTOR_STATES, DoctorStanding, HospitalStanding

Whom = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A doctor's account ac_… (as the hospital's admin), or a hospital hs_… (as the operator).",
    ),
]
Application = Annotated[
    str,
    typer.Option(
        help="Of a doctor: the application ev_… as `account list` showed it; by default the one that waits."
    ),
]
Profession = Annotated[
    str, typer.Option(help=f"One of {', '.join(PROFESSIONS)}; of doctors alone.")
]


@account_app.command("register")
def account_register(
    name: Annotated[
        str, typer.Argument(help="Your name; it is sealed, and never readable in the log.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Register a key instead of a password: where to put its file; it never leaves this machine."
        ),
    ] = None,
    password_file: PasswordFile = None,
    session: SessionFile = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register yourself with a password and one-time codes, and be signed in; or with --out, with a key that is made here.

    Password and codes are asked for, or read as lines of standard input: the password, a code from the app in which you scan
    the QR code, and the code after that. Ten recovery codes are printed once. The service keeps a key for you, and signs with
    it in your sessions alone; you can put one of your own in its place (`account key replace`). A key file acts for you as a
    person, without any role.
    """
    if out is None:
        _with_password(name, free_place(session), password_file, data, url, json_)
        return
    if password_file is not None or session is not None:
        raise RecordsError("--out registers a key: --password-file and --session don't go with it")
    files = KeyFileAt(out, settings(data).secret())
    with at(data, url) as client, key_files(files):
        person, stood = applying.register(client, name, keys=files)
    fields = {"account": person.account, "key": stood.key, "keyfile": out, "seq": stood.seq}
    lines = [f"{name} is {person.account} (entry {stood.seq})", f"key file: {out}"]
    say(json_, fields, *lines, "next: heartwood account apply HOSPITAL --as " + str(out))


def _with_password(
    name: str,
    path: Path,
    password_file: Path | None,
    data: Path | None,
    url: str | None,
    json_: bool,
) -> None:
    """Register by password, set up codes, sign in by both, and let the service keep a key: each stands by itself."""
    password = new_password(password_file)
    with at(data, url) as client:
        account = applying.register_by_password(client, name, password).account
        say(False, {}, *(() if json_ else (f"{name} is {account}",)))
        try:
            held = signed_in(client, path, SessionWanted(account, password))
            codes = enrol(client, SessionActor.of(held), lambda: password)
            say(False, {}, *(() if json_ else recovery_lines(codes)))
            client.sign_out(SessionActor.of(held))
            shown = as_second(secret("The next code that the app shows"))
            held = signed_in(client, path, SessionWanted(account, password, *shown))
            key = client.keep_key(SessionActor.of(held))
        except Exception:
            print(_goes_on(account), file=sys.stderr)
            raise
    fields = {"account": account, "key": key.key, "recovery": list(codes), "seq": key.seq}
    done = f"you are signed in, and the service keeps {key.key} for you (entry {key.seq})"
    say(
        json_,
        fields | {"session_file": path},
        done,
        "next: heartwood account chart, claim or apply",
    )


def _goes_on(account: str) -> str:
    return (
        f"heartwood: {account} is registered; go on with heartwood account sign-in {account}, then heartwood account code "
        "(unless recovery codes were printed) and heartwood account key keep"
    )


@account_app.command("apply")
def account_apply(
    person: As,
    hospital: Annotated[
        str, typer.Argument(help="The hospital's id hs_…, to apply there as a doctor.")
    ] = "",
    profession: Profession = "physician",
    name: Annotated[
        str, typer.Option("--hospital-name", help="To apply for a new hospital: its public name.")
    ] = "",
    contact: Annotated[
        str, typer.Option(help="Of a new hospital: whom the operator can ask; it is sealed.")
    ] = "",
    time_zone: Annotated[
        str, typer.Option(help="Of a new hospital: its IANA time zone.")
    ] = "Etc/UTC",
    out: Annotated[
        Path | None,
        typer.Option(help="A key file of the same key in the new role, for when it is approved."),
    ] = None,
    system_out: Annotated[
        Path | None,
        typer.Option(
            help="Of a new hospital: where to put the key file of its first system; by default in `people` in the data directory."
        ),
    ] = None,
    system_key: Annotated[
        Path | None,
        typer.Option(
            help="Of a new hospital: a key file whose key its system is to have, as of an application that was declined; by "
            "default a new key."
        ),
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Apply to a hospital as a doctor, or for a new hospital with --hospital-name and --contact.

    A new hospital applies with the key of its first system: its file is written before anything is sent, and acts for the
    hospital once the operator has approved it.
    """
    acting = actor(person)
    if bool(hospital) == bool(name) or bool(name) != bool(contact):
        raise RecordsError(
            "name a hospital to apply to as a doctor, or give --hospital-name and --contact for a new one"
        )
    if hospital and (system_out or system_key):
        raise RecordsError(
            "--system-out and --system-key are of a new hospital, with --hospital-name"
        )
    if hospital and not is_id("hs", hospital):
        raise RecordsError(f"{hospital[:60]!r} is not a hospital id")
    if out and held_of(acting) is not None:
        raise RecordsError(
            "--out copies a key file: in a session, change the role when it is approved"
        )
    taken = read_keyfile(system_key, settings(data).secret()).key if system_key else None
    fields: dict[str, object] = {"account": acting.account}
    lines, role = list[str](), "doctor"
    with at(data, url) as client, ExitStack() as drafts:
        draft = drafts.enter_context(place_for(out)) if out else None
        if hospital:
            seq = applying.apply_as_doctor(client, acting, hospital, profession)
        else:
            files = drafts.enter_context(_system_files(system_out, data))
            system, seq = applying.apply_with_system(
                client, acting, name, time_zone, contact, taken, files
            )
            hospital, role = system.hospital, "hospital_admin"
            kept = files.paths[system.key.id]
            fields |= {"system": system.account, "key": system.key.id, "system_keyfile": kept}
            lines.append(f"its system's key {system.key.id}, which the operator sees: {kept}")
        if draft is not None:
            draft.write([keyfile_bytes(acting.in_role(role, hospital), settings(data).secret())])
    fields |= {"hospital": hospital, "state": "pending", "seq": seq}
    fields |= {"keyfile": out} if out else {}
    what = f"as a {profession} at" if role == "doctor" else "for"
    done = f"Applied {what} {hospital}: entry {seq}; it is pending until it is decided"
    say(json_, fields, done, *lines)


def _system_files(path: Path | None, data: Path | None) -> AbstractContextManager[KeyFiles]:
    """Where the key of a system goes: to `path`, or where commands keep the keys that they make."""
    return key_files(KeyFileAt(path, settings(data).secret())) if path else keeping(data)


@account_app.command("approve")
def account_approve(
    whom: Whom,
    who: As,
    profession: Profession = "physician",
    group: Annotated[str, typer.Option(help="Of a doctor: the group (department) to join.")] = "",
    days: Annotated[
        int | None,
        typer.Option(min=1, help="Of a doctor: how long, from now; by default without an end."),
    ] = None,
    application: Application = "",
    no_admin: Annotated[
        bool,
        typer.Option(
            "--no-admin", help="Of a hospital: don't appoint who applied its first admin."
        ),
    ] = False,
    no_system: Annotated[
        bool,
        typer.Option(
            "--no-system",
            help="Of a hospital: don't let the key that it applied with act as its system.",
        ),
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Approve a doctor, who applied or not, or a hospital that applied; who applied for it becomes its first admin.

    The key that it applied with becomes its system's. `account list --state pending` shows it: compare it with the hospital.
    """
    acting = actor(who)
    with at(data, url) as client:
        if _is_hospital(whom):
            found, seq = applying.approve_hospital(
                client, acting, whom, not no_admin, not no_system
            )
            what, fields = (
                f"{found.name} ({whom})",
                {"hospital": whom, "applicant": found.applicant},
            )
            if found.system and not no_system:
                what += f" with the system {found.system}, key {found.key}"
                fields |= {"system": found.system, "key": found.key}
        else:
            end = client.now() + days * DAY_MS if days else 0
            seq = applying.approve_doctor(client, acting, whom, profession, group, end, application)
            what = f"{whom} as a {profession} at {acting.hospital}"
            fields = {"account": whom, "hospital": acting.hospital, "profession": profession}
    say(json_, fields | {"seq": seq}, f"Approved {what}: entry {seq}")


@account_app.command("decline")
def account_decline(
    whom: Whom,
    who: As,
    reason: Annotated[str, typer.Option(help=f"Why: one of {', '.join(DECLINED)}.")],
    application: Application = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Decline an application, with a reason that whoever applied can see."""
    acting = actor(who)
    if reason not in DECLINED:
        raise RecordsError(f"unknown reason {reason[:40]!r}; choose one of {', '.join(DECLINED)}")
    with at(data, url) as client:
        if _is_hospital(whom):
            seq = applying.decline_hospital(client, acting, whom, reason)
        else:
            seq = applying.decline_doctor(client, acting, whom, reason, application)
    fields = {"id": whom, "reason": reason, "seq": seq}
    say(json_, fields, f"Declined {whom}, {DECLINED[reason]}: entry {seq}")


@account_app.command("suspend")
def account_suspend(
    whom: Whom, who: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Suspend a doctor, or a hospital as a whole; it counts from the next decision on, until approved again."""
    acting = actor(who)
    with at(data, url) as client:
        suspend = staff.suspend_hospital if _is_hospital(whom) else staff.suspend_doctor
        seq = suspend(client, acting, whom)
    say(json_, {"id": whom, "seq": seq}, f"Suspended {whom}: entry {seq}")


@account_app.command("end")
def account_end(
    account: Annotated[str, typer.Argument(help="The doctor's account ac_….")],
    admin: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """End what a doctor is at the admin's hospital, with its groups; the doctor may apply again."""
    acting = actor(admin)
    with at(data, url) as client:
        seq = applying.end_doctor(client, acting, account)
    fields = {"account": account, "hospital": acting.hospital, "seq": seq}
    say(json_, fields, f"{account} is no longer a doctor at {acting.hospital}: entry {seq}")


@account_app.command("list")
def account_list(
    who: As,
    state: Annotated[
        str, typer.Option(help=f"One of {', '.join(DOCTOR_STATES)}; by default all.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List doctors by state (as a hospital's admin), hospitals (as the operator), or else your own applications."""
    acting = actor(who)
    if state and state not in DOCTOR_STATES:
        raise RecordsError(
            f"unknown state {state[:40]!r}; choose one of {', '.join(DOCTOR_STATES)}"
        )
    doctors: tuple[DoctorStanding, ...] = ()
    hospitals: tuple[HospitalStanding, ...] = ()
    with at(data, url) as client:
        if acting.role == "operator":
            hospitals = applying.all_hospitals(client, acting, state)
        elif acting.role == "hospital_admin":
            doctors = applying.all_doctors(client, acting, state)
        else:
            own = client.applications(acting)
            doctors = tuple(one for one in own.doctor if state in ("", one.state))
            hospitals = tuple(one for one in own.hospitals if state in ("", one.state))
    fields = {
        "doctors": [asdict(one) for one in doctors],
        "hospitals": [asdict(one) for one in hospitals],
    }
    lines = [*(_doctor_row(one, acting) for one in doctors), *map(_hospital_row, hospitals)]
    say(
        json_,
        fields,
        *lines,
        f"{count(len(doctors), 'doctor')}, {count(len(hospitals), 'hospital')}",
    )


def _is_hospital(whom: str) -> bool:
    """Whether it is a hospital's id, and not an account's; raises RecordsError for neither."""
    if not (is_id("hs", whom) or is_id("ac", whom)):
        raise RecordsError(f"{whom[:60]!r} is neither an account id nor a hospital id")
    return is_id("hs", whom)


def _doctor_row(one: DoctorStanding, acting: Actor) -> str:
    whose = one.hospital if one.account == acting.account else one.account
    end = f", until {one.end[:10]}" if one.end else ""
    reason = f": {DECLINED.get(one.reason, one.reason)}" if one.reason else ""
    waits = f", application {one.application}" if one.state == "pending" else ""
    return f"{whose}  {one.state:<9}  {one.name}, {one.profession}{end}{reason} (entry {one.seq}){waits}"


NAME_UNOPENED = "(its name can't be opened)"
"""In place of a hospital's name whose author put something else where a sealed text belongs."""


def _hospital_row(one: HospitalStanding) -> str:
    contact = f", contact {one.contact}" if one.contact else ""
    reason = f": {DECLINED.get(one.reason, one.reason)}" if one.reason else ""
    applicant = f", applied for by {one.applicant}" if one.applicant else ""
    system = f", its system's key {one.key}" if one.key and one.state == "pending" else ""
    name = one.name or NAME_UNOPENED
    return f"{one.hospital}  {one.state:<9}  {name}{applicant}{contact}{system}{reason} (entry {one.seq})"
