"""`account invite`, `join`, `invitations`, `withdraw`, `change`: doctors whom an admin adds, and what they are at a hospital."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, count, say, settings
from api.cli.applying import Profession
from api.cli.keeping import place_for
from client import applying, inviting
from client.letters import letter_bytes
from client.sessions import held_of
from crypto.ids import is_id
from identity.actors import keyfile_bytes
from journeys.errors import RecordsError
from ledger.times import DAY_MS, format_time
from ledger.types.invitations import DOCTOR_INVITATION_DAYS
from people.inviting import INVITATION_STATES, InvitationStanding
from storage.contacts import Contact


@account_app.command("invite")
def account_invite(
    admin: As,
    out: Annotated[
        Path | None,
        typer.Option(help="The letter to hand out: .pdf, or text by any other ending. Mode 0600."),
    ] = None,
    mail: Annotated[
        str, typer.Option(help="In place of a letter: the e-mail address to which the code goes.")
    ] = "",
    language: Annotated[str, typer.Option(help="Of the mail: en or de.")] = "en",
    profession: Profession = "physician",
    group: Annotated[str, typer.Option(help="The group (department) to join.")] = "",
    days: Annotated[
        int | None,
        typer.Option(
            min=1, help="How long whoever joins is a doctor, from now; by default without an end."
        ),
    ] = None,
    valid: Annotated[
        int, typer.Option(min=1, max=DOCTOR_INVITATION_DAYS, help="How many days the code counts.")
    ] = DOCTOR_INVITATION_DAYS,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Invite somebody to be a doctor of the admin's hospital, with a letter that you hand out, or by mail.

    The invitation is the approval: whoever has the code joins by it, once. Of a letter the code is made here and is nowhere else;
    a mailed one is made by the service, and whoever reads the mail has it.
    """
    acting = actor(admin)
    if (out is None) == (not mail):
        raise RecordsError("give --out for a letter, or --mail, one of them")
    with at(data, url) as client, ExitStack() as drafts:
        draft = drafts.enter_context(place_for(out)) if out else None
        end = client.now() + days * DAY_MS if days else 0
        to = Contact(mail, language) if mail else None
        made = inviting.invite(client, acting, profession, group, end, valid, to)
        if draft is not None and out is not None:
            draft.write([letter_bytes(inviting.letter_of(client, made), out)])
    until = format_time(made.until)
    fields = {
        "hospital": made.hospital, "invitation": made.invitation, "profession": profession, "until": until,
        "out": out, "seq": made.seq,
    }  # fmt: skip
    say(
        json_, fields, f"Entry {made.seq} invites a {profession} to {made.hospital}: {made.invitation}, until {until[:10]}",
        f"hand out the letter, to nobody else: {out}" if out else "the code goes out by mail",
    )  # fmt: skip


@account_app.command("join")
def account_join(
    hospital: Annotated[
        str,
        typer.Argument(
            help="What the letter's square holds, heartwood:doctor-invitation?…; or the hospital's id, hs_…."
        ),
    ],
    who: As,
    invitation: Annotated[
        str, typer.Option(help="The invitation's id ev_…, with the hospital's.")
    ] = "",
    code: Annotated[str, typer.Option(help="The code, with the hospital's id.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="A key file of the same key in the role doctor.")
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Take a hospital's invitation up: you are one of its doctors from then on."""
    acting = actor(who)
    if out and held_of(acting) is not None:
        raise RecordsError("--out copies a key file: in a session, change the role")
    with at(data, url) as client, ExitStack() as drafts:
        if hospital.startswith(inviting.LINK):
            hospital, invitation, code = inviting.scanned(client, hospital)
        for prefix, given in (("hs", hospital), ("ev", invitation)):
            if not is_id(prefix, given):
                what = "a hospital id" if prefix == "hs" else "an invitation's id"
                raise RecordsError(f"{given[:60]!r} is not {what}")
        draft = drafts.enter_context(place_for(out)) if out else None
        seq = inviting.take_up(client, acting, hospital, invitation, code)
        if draft is not None:
            draft.write(
                [keyfile_bytes(acting.in_role("doctor", hospital), settings(data).secret())]
            )
    fields = {"account": acting.account, "hospital": hospital, "invitation": invitation, "seq": seq}
    fields |= {"keyfile": out} if out else {}
    say(json_, fields, f"{acting.account} is a doctor at {hospital}: entry {seq}")


@account_app.command("invitations")
def account_invitations(
    admin: As,
    state: Annotated[
        str, typer.Option(help=f"One of {', '.join(INVITATION_STATES)}; by default all.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List the doctors whom the admin's hospital invited, by state; void are those whose inviter is an admin no more."""
    acting = actor(admin)
    if state and state not in INVITATION_STATES:
        raise RecordsError(
            f"unknown state {state[:40]!r}; choose one of {', '.join(INVITATION_STATES)}"
        )
    with at(data, url) as client:
        found = inviting.all_invitations(client, acting, state)
    fields = {"invitations": [asdict(one) for one in found]}
    say(json_, fields, *map(_row, found), count(len(found), "invitation"))


@account_app.command("withdraw")
def account_withdraw(
    invitation: Annotated[str, typer.Argument(help="The invitation's id, ev_….")],
    admin: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Withdraw an invitation that nobody has taken up: its code counts no more."""
    acting = actor(admin)
    if not is_id("ev", invitation):
        raise RecordsError(f"{invitation[:60]!r} is not an invitation's id")
    with at(data, url) as client:
        seq = inviting.withdraw(client, acting, invitation)
    fields = {"invitation": invitation, "seq": seq}
    say(json_, fields, f"{invitation} is withdrawn: entry {seq}")


def _row(one: InvitationStanding) -> str:
    group = f", {one.group}" if one.group else ""
    end = f", then until {one.end[:10]}" if one.end else ""
    taken = f", taken up by {one.account} {one.name}".rstrip() if one.account else ""
    return (
        f"{one.invitation}  {one.state:<9}  {one.profession}{group}, code until {one.until[:10]}{end}{taken} "
        f"(entry {one.seq})"
    )


@account_app.command("change")
def account_change(
    account: Annotated[str, typer.Argument(help="The doctor's account ac_….")],
    admin: As,
    profession: Annotated[str, typer.Option(help="Another profession; by default as it is.")] = "",
    group: Annotated[
        str,
        typer.Option(
            help="The only group (department) of the hospital to be in; by default as it is."
        ),
    ] = "",
    days: Annotated[
        int | None, typer.Option(min=1, help="How long, from now; by default as it is.")
    ] = None,
    no_end: Annotated[bool, typer.Option("--no-end", help="Without an end.")] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Change what a doctor is at the admin's hospital: profession, department, end. What isn't named stays as it is."""
    acting = actor(admin)
    if not (profession or group or days or no_end) or (days and no_end):
        raise RecordsError(
            "give --profession, --group, and --days or --no-end: one of them at least"
        )
    with at(data, url) as client:
        end = client.now() + days * DAY_MS if days else 0 if no_end else None
        done = applying.change_doctor(client, acting, account, profession, group, end)
    fields = {
        "account": account, "hospital": acting.hospital, "profession": done.profession, "groups": list(done.groups),
        "end": done.end, "seq": done.seq,
    }  # fmt: skip
    where = f" in {', '.join(done.groups)}" if done.groups else ""
    until = f" until {done.end[:10]}" if done.end else ""
    say(
        json_,
        fields,
        f"{account} is a {done.profession} at {acting.hospital}{where}{until}: entry {done.seq}",
    )
