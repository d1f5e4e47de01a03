"""`relative`, `guardian`, `delegation`: who acts for patients, and for doctors on leave."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, count, say
from api.cli.charts import PatientOption, chart_of
from api.cli.keeping import place_for
from client import relatives
from client.relatives import LINK
from journeys.errors import RecordsError
from journeys.sealing import check_category
from ledger.relations import GUARDIAN, Relation
from ledger.times import format_time
from ledger.types.relatives import INVITATION_DAYS

relative_app = typer.Typer(help="Relatives, who act for a patient.", no_args_is_help=True)
guardian_app = typer.Typer(help="Guardians of minors.", no_args_is_help=True)
delegation_app = typer.Typer(help="Colleagues who act for a doctor on leave.", no_args_is_help=True)
for name, group in (
    ("relative", relative_app),
    ("guardian", guardian_app),
    ("delegation", delegation_app),
):
    app.add_typer(group, name=name)

Account = Annotated[str, typer.Argument(help="The account's id, ac_….")]
Whose = Annotated[str, typer.Option("--patient", help="The patient's id.")]
_MAY = {"look": ("list", "read"), "history": ("read_history",), "append": ("append",), "grant": ("grant",)}  # fmt: skip
"""What people let a relative do, and the actions that it is."""


@relative_app.command("invite")
def relative_invite(
    patient_key: As,
    out: Annotated[Path, typer.Option(help="The invitation to hand on, as text. Mode 0600.")],
    may: Annotated[
        list[str] | None,
        typer.Option(
            help="What the relative may do: look, history, append, grant; by default look."
        ),
    ] = None,
    record: Annotated[list[str] | None, typer.Option(help="Only these records.")] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only these categories.")] = None,
    exception: Annotated[
        list[str] | None,
        typer.Option("--except", help='Leave out: JSON such as {"categories": ["imaging"]}.'),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A sensitivity label that the relation covers.")
    ] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Let a whole chart include sensitive records, too.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="For how long; by default, and at most, as the policy allows."),
    ] = None,
    valid: Annotated[
        int, typer.Option(min=1, max=INVITATION_DAYS, help="How many days the code counts.")
    ] = relatives.INVITATION_DAYS,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Invite somebody to act for you, with a code that you hand on."""
    acting = actor(patient_key)
    for one in category or ():
        check_category(one)
    if record and category:
        raise RecordsError("--record can't be combined with other ways to choose records")
    what = {"categories": sorted(category)} if category else {}
    exceptions = [_exception(text) for text in exception or ()]
    with at(data, url) as client, place_for(out) as draft:
        chart = chart_of(client, acting, patient)
        made = relatives.invite(
            client, acting, chart, _actions(may or ["look"]), days, valid, record or (), what, exceptions,
            label or (), sensitive,
        )  # fmt: skip
        draft.write([_letter(made).encode()])
    until = format_time(made.until)
    fields = {"patient": chart, "invitation": made.invitation, "until": until, "out": out, "seq": made.seq}  # fmt: skip
    say(
        json_, fields, f"Entry {made.seq} invites a relative to {chart}: {made.invitation}, until {until[:10]}",
        f"hand on the invitation, to nobody else: {out}",
    )  # fmt: skip


def _letter(made: relatives.Invited) -> str:
    """What a relative is handed: no name, no clinical data."""
    return (
        "You are invited to act for somebody in their patient record.\n\n"
        f"Log:         {made.origin}\nFingerprint: {made.fingerprint}\nPatient:     {made.patient}\n"
        f"Invitation:  {made.invitation}\nCode:        {made.code}\n\n"
        "Compare the log and its fingerprint with what your program shows, then give it this line:\n\n"
        f"{made.link}\n\n"
        f"The code counts once, until {format_time(made.until)[:10]}. Whoever has it can be linked in your place.\n"
    )


def _actions(may: list[str]) -> list[str]:
    unknown = [one for one in may if one not in _MAY]
    if unknown:
        raise RecordsError(f"--may: got {unknown[0][:40]!r}, expected one of {', '.join(_MAY)}")
    return sorted({action for one in may for action in _MAY[one]})


def _exception(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RecordsError(f"--except: got {text[:60]!r}, expected JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordsError(f"--except: got {text[:60]!r}, expected a JSON object")
    return value


@relative_app.command("link")
def relative_link(
    invitation: Annotated[
        str, typer.Argument(help="The invitation's line, heartwood:invitation?…; or its id, ev_….")
    ],
    who: As,
    patient: Annotated[str, typer.Option(help="The patient's id, with the invitation's.")] = "",
    code: Annotated[str, typer.Option(help="The code, with the invitation's id.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Be linked to a patient who invited you; from then on you act for them with --for."""
    acting = actor(who)
    with at(data, url) as client:
        if invitation.startswith(LINK):
            patient, invitation, code = relatives.invited(client, invitation)
        seq = relatives.link(client, acting, check_patient(patient), invitation, code)
    fields = {"patient": patient, "account": acting.account, "seq": seq}
    say(json_, fields, f"You act for {patient} from entry {seq} on: use --for {patient}")


@relative_app.command("unlink")
def relative_unlink(
    named: Annotated[
        str, typer.Argument(help="The relative's account ac_…, or an open invitation ev_….")
    ],
    who: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """End a relation, as the patient or as the relative; or withdraw an invitation."""
    acting = actor(who)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        seq = relatives.unlink(client, acting, chart, named)
    what = "is withdrawn" if named.startswith("ev_") else f"acts for {chart} no longer"
    say(json_, {"patient": chart, "named": named, "seq": seq}, f"{named} {what}: entry {seq}")


@relative_app.command("list")
def relative_list(
    patient_key: As, patient: PatientOption = None, data: Data = None, url: Url = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """List who acts for you, and whom you invited."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        found = relatives.representatives(client, acting, chart)
    fields = {
        "patient": chart,
        "relations": [one._asdict() for one in found.relations],
        "invitations": [dataclasses.asdict(one) for one in found.invitations],
    }
    lines = [f"{one.account}  {_said(one)}" for one in found.relations]
    lines += [
        f"{one.invitation}  open until {format_time(one.until)[:10]}: {one.scope}, {', '.join(one.actions)}, "
        f"entry {one.seq}"
        for one in found.invitations
    ]
    standing = sum(one.active for one in found.relations)
    say(json_, fields, *lines, f"{count(standing, 'relation')}, {count(len(found.invitations), 'open invitation')}")  # fmt: skip


def _said(one: Relation) -> str:
    """A relation for people."""
    if not one.active:
        return f"{one.kind}, ended by entry {one.seq}"
    if one.kind == GUARDIAN:
        state = (
            f"confirmed by entry {one.confirmed}" if one.confirmed
            else f"objected to by entry {one.objected}, waits for a second hospital" if one.objected
            else f"counts from {format_time(one.start)}"
        )  # fmt: skip
        return f"guardian, appointed by {one.hospital}, {state}, entry {one.seq}"
    return (
        f"relative, {one.scope}, {', '.join(one.actions)}, from {format_time(one.start)[:10]} to "
        f"{format_time(one.end)[:10]}, entry {one.seq}"
    )


@relative_app.command("patients")
def relative_patients(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """List the patients and colleagues for whom you act."""
    acting = actor(who)
    with at(data, url) as client:
        found = relatives.acting(client, acting)
    fields = {
        "patients": [
            {"patient": one.patient, "principal": one.principal, "counts": one.counts, **one.relation._asdict()}
            for one in found.patients
        ],
        "colleagues": [one._asdict() for one in found.colleagues],
    }  # fmt: skip
    lines = [
        f"{one.patient}  {_said(one.relation)}{'' if one.counts else ', not in force now'}"
        for one in found.patients
    ]
    lines += [
        f"{one.giver}  at {one.hospital}, {', '.join(one.actions)}, from {format_time(one.start)[:10]} to "
        f"{format_time(one.end)[:10]}, entry {one.seq}"
        for one in found.colleagues
    ]
    say(json_, fields, *lines, f"{count(len(found.patients), 'patient')}, {count(len(found.colleagues), 'colleague')}")  # fmt: skip


@guardian_app.command("appoint")
def guardian_appoint(
    account: Account, who: As, patient: Whose, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """Appoint a minor's guardian (as an admin or system of the hospital that registered the patient)."""
    with at(data, url) as client:
        seq = relatives.appoint(client, actor(who), check_patient(patient), account)
    _guardian(
        json_,
        patient,
        account,
        seq,
        "is appointed; counts in 72 hours, or once a second hospital confirms",
    )


@guardian_app.command("confirm")
def guardian_confirm(
    account: Account, who: As, patient: Whose, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """Confirm a guardian (as an admin or system of a second hospital that has a record of the patient)."""
    with at(data, url) as client:
        seq = relatives.confirm(client, actor(who), check_patient(patient), account)
    _guardian(json_, patient, account, seq, "is confirmed and counts")


@guardian_app.command("object")
def guardian_object(
    account: Account, who: As, patient: Whose, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """Object to a guardian who doesn't count yet (as the patient, or as another guardian)."""
    with at(data, url) as client:
        seq = relatives.object_to(client, actor(who), check_patient(patient), account)
    _guardian(json_, patient, account, seq, "counts only once a second hospital confirms")


@guardian_app.command("end")
def guardian_end(
    account: Account, who: As, patient: Whose, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """End a guardianship (as the hospital that registered the patient, or as the guardian)."""
    with at(data, url) as client:
        seq = relatives.end_guardian(client, actor(who), check_patient(patient), account)
    _guardian(json_, patient, account, seq, "is a guardian no longer")


def _guardian(json_: bool, patient: str, account: str, seq: int, done: str) -> None:
    fields = {"patient": patient, "account": account, "seq": seq}
    say(json_, fields, f"{account} {done}: entry {seq}")


@delegation_app.command("give")
def delegation_give(
    account: Account,
    doctor: As,
    days: Annotated[int, typer.Option(min=1, help="For how many days from now on.")],
    action: Annotated[
        list[str] | None,
        typer.Option(help="append, list, read or read_history; by default list and read."),
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Let a colleague at your hospital use what patients granted to you, while you are on leave."""
    acting = actor(doctor)
    with at(data, url) as client:
        seq = relatives.delegate(client, acting, account, days, action or ("list", "read"))
    fields = {"account": account, "hospital": acting.hospital, "days": days, "seq": seq}
    say(
        json_, fields,
        f"{account} acts for you for {count(days, 'day')}, with --on-behalf-of {acting.account}: entry {seq}",
    )  # fmt: skip


@delegation_app.command("end")
def delegation_end(
    account: Account, doctor: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """End what a colleague was let do for you."""
    acting = actor(doctor)
    with at(data, url) as client:
        seq = relatives.end_delegation(client, acting, account)
    fields = {"account": account, "hospital": acting.hospital, "seq": seq}
    say(json_, fields, f"{account} acts for you no longer: entry {seq}")
