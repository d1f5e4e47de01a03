"""`mail`: what people are told, as the operator sees it."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Annotated

import typer

from api.app.mail import mail_of
from api.cli.app import COULD_NOT_RUN, GOOD, Data, Json, app, count, opened, say, settings, writing
from crypto.texts import printable
from ledger.times import format_time
from storage.mail.folder import FOLDER, MailFolder
from storage.outbox import Row

SHOWN = ("From", "To", "Date", "Message-ID", "Subject")
"""Headers of a message, in the order in which they are shown."""

mail_app = typer.Typer(help="Mail: what people are told of their account.", no_args_is_help=True)
app.add_typer(mail_app, name="mail")


@mail_app.command("list")
def mail_list(
    most: Annotated[
        int, typer.Option("--most", min=1, max=10_000, help="How many, the newest first.")
    ] = 50,
    data: Data = None,
    json_: Json = False,
) -> None:
    """List what waits and what was sent, without addresses, and count how it ended within the last 7 days."""
    with opened(data) as ledger:
        rows, ended = ledger.outbox.rows(most), ledger.outbox.ended()
        waiting, oldest = ledger.outbox.waiting()
    fields = {
        "messages": [row._asdict() for row in rows],
        "waiting": waiting,
        "oldest": format_time(oldest) if waiting else "",
        **ended,
    }
    how = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in ended.items())
    say(json_, fields, *map(_line, rows), f"{waiting} waiting, {how}")


def _line(row: Row) -> str:
    how = (
        f"{row.outcome} {format_time(row.ended)}"
        if row.outcome
        else f"waiting, {count(row.tries, 'attempt')}"
    )
    return f"{format_time(row.created)}  {row.id}  {row.kind:18}{row.account}  {how}"


@mail_app.command("show")
def mail_show(
    message: Annotated[
        str, typer.Argument(help="The message's id ml_…; without one, the newest.")
    ] = "",
    data: Data = None,
) -> None:
    """Print a message that lies in the data directory, where no mail server is set."""
    config = settings(data)
    folder = MailFolder(config.data / FOLDER)
    name = message or next(iter(folder.names()), "")
    found = message_from_bytes(folder.read(name), _class=EmailMessage, policy=SMTP)
    with writing():
        for header in SHOWN:
            print(f"{header}: {printable(str(found[header]))}")
        print(f"\n{found.get_content()}", end="")


@mail_app.command("send")
def mail_send(data: Data = None, json_: Json = False) -> None:
    """Try all that waits now, also what would be tried later; ends with 4 if the mail server can't be used."""
    from people.mailing import MailSender  # here, as no other command needs what makes mail

    config = settings(data)
    mail = mail_of(config)
    with opened(data) as ledger:
        done = MailSender(ledger, mail).round(now=True)
    if done is None:
        say(json_, {"problem": "busy"}, "another process is sending")
        raise typer.Exit(COULD_NOT_RUN)
    fields = {
        "sent": done.sent, "unreachable": done.unreachable, "refused": done.refused, "given_up": done.given_up,
        "later": done.later, "problem": done.problem,
    }  # fmt: skip
    lines = [
        f"{done.sent} sent, {done.unreachable} unreachable, {done.refused} refused, {done.given_up} given up, "
        f"{done.later} to be tried again"
    ]
    if done.problem:
        lines.append(f"the mail server can't be used: {done.problem}")
    say(json_, fields, *lines)
    raise typer.Exit(COULD_NOT_RUN if done.problem else GOOD)
