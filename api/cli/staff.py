"""`auditor`, `group` and suspensions: who may act for how long, and in which department."""

import dataclasses
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, count, opened, say
from api.cli.people import Name, doctor_app, hospital_app, keeping
from client import groups, staff
from identity.actors import new_key
from people.hospitals import directory_of

group_app = typer.Typer(help="Groups (departments) of a hospital.", no_args_is_help=True)
auditor_app = typer.Typer(
    help="Auditors, who verify without reading records.", no_args_is_help=True
)
for name, part in (("group", group_app), ("auditor", auditor_app)):
    app.add_typer(part, name=name)

Account = Annotated[str, typer.Argument(help="The doctor's account ac_….")]
GroupId = Annotated[str, typer.Argument(help="The group's id gp_….")]
HospitalId = Annotated[str, typer.Argument(help="The hospital's id hs_….")]


@auditor_app.command("add")
def auditor_add(
    name: Name,
    operator: As,
    days: Annotated[int, typer.Option(min=1, help="How long the term lasts, from now.")] = 365,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Appoint an auditor (as the operator): account, key and term."""
    acting = actor(operator)
    with at(data, url) as client, keeping(data) as files:
        auditor, seq = staff.appoint_auditor(client, acting, name, days, new_key(), files)
    keyfile = files.paths[auditor.key.id]
    fields = {"account": auditor.account, "key": auditor.key.id, "keyfile": keyfile, "seq": seq}
    say(
        json_,
        fields,
        f"{name} is {auditor.account}, for {count(days, 'day')} (entry {seq})",
        f"key file: {keyfile}",
    )


@group_app.command("add")
def group_add(
    name: Name, admin: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Create a group at the admin's hospital (as the admin)."""
    acting = actor(admin)
    with at(data, url) as client:
        group, seq = groups.form(client, acting, name)
    fields = {"group": group, "hospital": acting.hospital, "seq": seq}
    say(json_, fields, f"{name} is {group} (entry {seq})")


@group_app.command("join")
def group_join(
    group: GroupId,
    account: Account,
    admin: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Add a doctor of the admin's hospital to a group (as the admin)."""
    acting = actor(admin)
    with at(data, url) as client:
        seq = groups.join(client, acting, group, account)
    say(
        json_,
        {"group": group, "account": account, "seq": seq},
        f"{account} is in {group}: entry {seq}",
    )


@group_app.command("leave")
def group_leave(
    group: GroupId,
    account: Account,
    admin: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Remove somebody from a group (as the admin)."""
    acting = actor(admin)
    with at(data, url) as client:
        seq = groups.leave(client, acting, group, account)
    say(
        json_,
        {"group": group, "account": account, "seq": seq},
        f"{account} left {group}: entry {seq}",
    )


@group_app.command("list")
def group_list(hospital: HospitalId, data: Data = None, json_: Json = False) -> None:
    """List a hospital's groups and their members."""
    with opened(data) as ledger:
        found = directory_of(ledger, hospital).groups
    lines = [
        f"{one.group} {one.name} (entry {one.seq}): {', '.join(one.accounts) or 'nobody'}"
        for one in found
    ]
    fields = {"hospital": hospital, "groups": [dataclasses.asdict(one) for one in found]}
    say(json_, fields, *lines, count(len(found), "group"))


@hospital_app.command("show")
def hospital_show(
    hospital: HospitalId, who: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Show a hospital's name, active doctors and groups: those you can grant to or exclude."""
    with at(data, url) as client:
        found = client.hospital(actor(who), hospital)
    lines = [f"{found.name} ({hospital}){'' if found.active else ', suspended'}"]
    lines += [f"  {account}  {name}" for account, name in found.doctors.items()]
    lines += [f"  {g.group}  {g.name}: {count(len(g.accounts), 'doctor')}" for g in found.groups]
    say(json_, dataclasses.asdict(found), *lines)


@doctor_app.command("suspend")
def doctor_suspend(
    account: Account, admin: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Suspend a doctor at the admin's hospital (as the admin)."""
    acting = actor(admin)
    with at(data, url) as client:
        seq = staff.suspend_doctor(client, acting, account)
    fields = {"account": account, "hospital": acting.hospital, "seq": seq}
    say(json_, fields, f"Suspended {account} at {acting.hospital}: entry {seq}")


@hospital_app.command("suspend")
def hospital_suspend(
    hospital: HospitalId, operator: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Suspend a hospital, so that nobody can act for it (as the operator)."""
    acting = actor(operator)
    with at(data, url) as client:
        seq = staff.suspend_hospital(client, acting, hospital)
    say(
        json_,
        {"hospital": hospital, "seq": seq},
        f"Suspended {hospital}, nobody can act for it: entry {seq}",
    )
