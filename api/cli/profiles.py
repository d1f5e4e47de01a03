"""`account profile`: what a doctor is shown with."""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from client import operations
from crypto.ids import is_id
from identity.actors import Actor
from journeys.errors import RecordsError
from people.profiles import Place, Profile, ProfileShown


@account_app.command("profile")
def account_profile(
    who: As,
    account: Annotated[
        str, typer.Argument(help="A doctor's account ac_…; by default your own.")
    ] = "",
    specialty: Annotated[
        str | None, typer.Option(help="Write: the specialty, in words; '' for none.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(help="Write: a language spoken, by its code (de); in place of all before."),
    ] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(
            help="Write: a place, and after a | its hours: 'Ward 3|Mon 9–12'; in place of all before."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the profile.")] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show a doctor's profile, or write it: your own, or as an admin that of a doctor of your hospital.

    Everybody who is signed in can see it. It stands in no log: what you write takes the place of what was there.
    """
    acting = actor(who)
    if account and not is_id("ac", account):
        raise RecordsError(f"{account[:60]!r} is not an account id")
    writes = any(one is not None for one in (specialty, language, place))
    if writes and remove:
        raise RecordsError("--remove takes the whole profile away: nothing is written beside it")
    whose = account or acting.account
    with at(data, url) as client:
        if remove:
            shown = client.set_profile(acting, whose, Profile())
        else:
            own = whose == acting.account
            shown = (
                client.ask(acting, operations.OWN_PROFILE)
                if own
                else client.ask(acting, operations.PROFILE_SHOWN, account=whose)
            )
            if writes:
                said = _changed(shown, specialty, language, place)
                shown = client.set_profile(acting, whose, said)
    say(json_, asdict(shown), *_lines(shown, acting))


def _changed(
    shown: ProfileShown,
    specialty: str | None,
    languages: list[str] | None,
    places: list[str] | None,
) -> Profile:
    """What is shown, but for what is named."""
    said = Profile(shown.specialty, shown.languages, shown.places)
    if specialty is not None:
        said = replace(said, specialty=specialty)
    if languages is not None:
        said = replace(said, languages=tuple(languages))
    if places is not None:
        said = replace(said, places=tuple(map(_place, places)))
    return said


def _place(text: str) -> Place:
    name, _, hours = text.partition("|")
    return Place(name.strip(), hours.strip())


def _lines(shown: ProfileShown, acting: Actor) -> list[str]:
    name = f"{shown.name} ({shown.account})" if shown.name else shown.account
    if not shown.changed:
        return [f"{name}: no profile yet"]
    lines = [f"{name}: {shown.specialty or 'no specialty'}"]
    lines += [f"  speaks {', '.join(shown.languages)}"] if shown.languages else []
    lines += [f"  {one.name}{f': {one.hours}' if one.hours else ''}" for one in shown.places]
    by = "by themselves" if shown.author == shown.account else f"by {shown.author}"
    return [*lines, f"written {shown.changed[:10]} {by}"]
