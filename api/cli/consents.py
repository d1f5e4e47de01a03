"""`grant`, `revoke`, `exclude`, `include`, `hide`, `show`, `grants`, `why`: who may read what, and why."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from api.cli.acting import For, OnBehalfOf, acting_for
from api.cli.app import As, Data, Json, Url, actor, app, at, count, say
from api.cli.charts import PatientOption, chart_of
from client import grants, operations
from client.readers import Reader as Known
from client.readers import check_able, reader_of
from consent.rules import named
from journeys.days import minute_in
from journeys.errors import NotThere, RecordsError
from journeys.questions import Question
from journeys.sealing import check_category
from ledger.codes import CEILINGS, DEFAULT_CEILING
from ledger.facts import Grant, Provision
from ledger.times import DAY_MS, format_time

Reader = Annotated[str, typer.Argument(help="A person ac_…, a hospital hs_… or a group gp_….")]
RecordArgument = Annotated[str, typer.Argument(help="The record's id.")]


@app.command()
def grant(
    grantee: Reader,
    patient_key: As,
    patient: PatientOption = None,
    record: Annotated[list[str] | None, typer.Option(help="Only these records.")] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only these categories.")] = None,
    date_from: Annotated[str, typer.Option(help="Only from this clinical date, YYYY-MM-DD.")] = "",
    date_to: Annotated[str, typer.Option(help="Only up to and including this clinical date.")] = "",
    author: Annotated[
        list[str] | None, typer.Option(help="Only what this person or hospital wrote.")
    ] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode, ep_….")] = None,
    exception: Annotated[
        list[str] | None,
        typer.Option("--except", help='Leave out: JSON such as {"categories": ["imaging"]}.'),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A sensitivity label that the grant covers.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            min=1, help="For how long; by default, and at most, as long as the policy allows."
        ),
    ] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="By default only TREAT.")] = None,
    uses: Annotated[int | None, typer.Option(min=1, help="How many readings at most.")] = None,
    sensitive: Annotated[
        bool,
        typer.Option("--sensitive", help="Let a whole-chart grant cover sensitive records, too."),
    ] = False,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Let a person, a hospital or a group read the whole chart, part of it, or some records."""
    acting = actor(patient_key)
    what: dict[str, Any] = {
        "authors": sorted(author or ()), "categories": sorted(category or ()), "date_from": date_from,
        "date_to": date_to, "episodes": sorted(episode or ()),
    }  # fmt: skip
    what = {name: value for name, value in what.items() if value}
    if what and record:
        raise RecordsError("--record can't be combined with other ways to choose records")
    for one in category or ():
        check_category(one)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart, reader = (
            chart_of(client, acting, for_ or patient),
            reader_of(client, acting, grantee),
        )
        check_able(reader)
        start = client.now()
        end = start + (client.policy().grant_days_max if days is None else days) * DAY_MS
        identifier, seq = grants.grant(
            client, acting, chart, grantee, record or (), days, purpose or (), uses=uses,
            sensitive=sensitive, what=what, exceptions=[exception_of(text) for text in exception or ()],
            labels=label or (), start=start,
        )  # fmt: skip
    fields = {
        "grant": identifier, "patient": chart, "grantee": grantee, "end": format_time(end), "seq": seq,
    }  # fmt: skip
    size = (
        count(len(record), "record")
        if record
        else f"the records with {_criteria(what)}"
        if what
        else f"the whole chart{'' if not sensitive else ', sensitive records too'}"
    )
    rest = [
        *([f"except {', '.join(exception)}"] if exception else []),
        *([f"with what is labelled {', '.join(label)}"] if label else []),
        f"to list and read for {', '.join(sorted(purpose or ('TREAT',)))}",
        *([f"for at most {count(uses, 'reading')}"] if uses else []),
        f"until {minute_in(reader.time_zone, end)}",
    ]
    say(
        json_, fields, f"Granted {reader.name} {size}, {', '.join(rest)}: {identifier}, entry {seq}"
    )


@app.command()
def revoke(
    patient_key: As,
    grant_id: Annotated[
        str | None, typer.Option("--grant", help="One grant, with those that it replaced.")
    ] = None,
    grantee: Annotated[
        str | None, typer.Option(help="Everything this person, hospital or group was granted.")
    ] = None,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Revoke access; whatever follows in the log is refused."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        given = client.consents(acting, chart)[0]
        meant = [g for g in given if grant_id in (g.grant, g.lineage)] if grant_id else []
        if grant_id and not meant:
            raise NotThere(f"there is no grant {grant_id} on {chart}")
        whom = meant[0].grantee if meant else grantee
        if whom is None or (grantee is not None and grantee != whom):
            raise RecordsError("give --grant or --grantee; both must match")
        reader = reader_of(client, acting, whom)
        seq = grants.revoke(client, acting, chart, whom, grant_id)
        ended = [g for g in meant or given if g.grantee == whom and g.active]
        others = [
            g for g in given
            if g not in ended and g.grantee in (whom, *reader.hospitals) and _in_force(g, client.now())
        ]  # fmt: skip
    fields = {"patient": chart, "grantee": whom, "grant": grant_id, "seq": seq}
    lines = [f"Revoked {reader.name}'s access to {chart}: entry {seq}"]
    lines += [f"  ended: {_said(g, reader.time_zone)}" for g in ended]
    lines += [f"  still in force: {g.grantee}, {_said(g, reader.time_zone)}" for g in others]
    say(json_, fields, *lines)


@app.command()
def exclude(
    reader: Reader, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep a person, a hospital or a group out, whatever else is granted."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart, known = chart_of(client, acting, patient), reader_of(client, acting, reader)
        seq = grants.exclude(client, acting, chart, reader)
    fields = {"patient": chart, "reader": reader, "seq": seq}
    say(json_, fields, f"Excluded {known.name} from {chart}: entry {seq}", *_still(known))


@app.command()
def include(
    reader: Reader, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Lift an exclusion; existing grants apply again."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart, known = chart_of(client, acting, patient), reader_of(client, acting, reader)
        seq = grants.include(client, acting, chart, reader)
    fields = {"patient": chart, "reader": reader, "seq": seq}
    say(json_, fields, f"{known.name} is no longer excluded from {chart}: entry {seq}")


@app.command()
def hide(
    record: RecordArgument, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Hide a record: no grant covers it; the hospital that wrote it can still read it."""
    acting = actor(patient_key)
    with at(data, url) as client:
        seq = grants.hide(client, acting, chart_of(client, acting, patient), record)
    still = f"the hospital that wrote it still reads it: {named('S6')}"
    say(json_, {"record": record, "seq": seq}, f"{record} is hidden: entry {seq}", still)


@app.command()
def show(
    record: RecordArgument, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Show a hidden record again."""
    acting = actor(patient_key)
    with at(data, url) as client:
        seq = grants.show(client, acting, chart_of(client, acting, patient), record)
    say(json_, {"record": record, "seq": seq}, f"{record} is shown again: entry {seq}")


@app.command("grants")
def grants_(
    patient_key: As, patient: PatientOption = None, data: Data = None, url: Url = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """List grants and exclusions on your own chart."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart, now = chart_of(client, acting, patient), client.now()
        found = client.ask(acting, operations.CONSENTS, patient=chart)
    given, exclusions, setting = found.grants, found.exclusions, found.emergency
    ceiling = DEFAULT_CEILING if setting is None else setting.ceiling
    fields = {
        "patient": chart,
        "emergency": ceiling,
        "grants": [g._asdict() | {"in_force": _in_force(g, now)} for g in given],
        "exclusions": [e._asdict() for e in exclusions],
    }
    lines = [_grant_row(g, now) for g in given]
    lines += [f"{e.reader}  is excluded, by entry {e.seq}" for e in exclusions if e.active]
    by = "as you said nothing else" if setting is None else f"by entry {setting.seq}"
    lines.append(f"in an emergency doctors see {CEILINGS[ceiling]}, {by}")
    say(json_, fields, *lines, f"{count(sum(_in_force(g, now) for g in given), 'grant')} in force")


@app.command()
def why(
    action: Annotated[str, typer.Argument(help="read, list, append, …")],
    asker: As,
    patient: PatientOption = None,
    record: Annotated[
        str, typer.Option(help="The record in question; by default the whole chart.")
    ] = "",
    who: Annotated[
        str, typer.Option("--actor", help="Whose access to explain; by default your own.")
    ] = "",
    role: Annotated[str, typer.Option(help="In which role; by default your own.")] = "",
    hospital: Annotated[str, typer.Option(help="For which hospital.")] = "",
    purpose: Annotated[str, typer.Option(help="HL7 v3-ActReason.")] = "TREAT",
    for_: For = "",
    on_behalf_of: OnBehalfOf = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Explain what the rules say now: which rule, which facts, and what would have to change."""
    acting = actor(asker)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_, on_behalf_of)
        patient = for_ or patient
        chart = (
            client.address(acting, record).patient
            if record and patient is None
            else chart_of(client, acting, patient)
        )
        question = Question(
            chart, who or acting.account, role or acting.role,
            hospital or ("" if who else acting.hospital), action, purpose, record, acting.on_behalf_of,
        )  # fmt: skip
        answer = client.why(acting, question)
    decision, changes = answer.explanation.decision, answer.explanation.changes
    fields = {
        "effect": decision.effect, "rule": decision.rule, "reason": decision.reason,
        "basis": decision.basis, "why": answer.explanation.why, "changes": changes,
        "as_of": answer.as_of, "policy": answer.policy,
    }  # fmt: skip
    rests = f", based on entry {', '.join(map(str, decision.basis))}" if decision.basis else ""
    head = f"{decision.effect} by {named(decision.rule)}{rests}: {answer.explanation.why}"
    say(json_, fields, head, *(f"  {change}" for change in changes))


def exception_of(text: str) -> dict[str, Any]:
    """An exception in JSON; one that says nothing else denies."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RecordsError(f"--except: got {text[:60]!r}, expected JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordsError(f"--except: got {text[:60]!r}, expected a JSON object")
    return {"type": "deny", **value}


def _still(reader: Known) -> list[str]:
    """What an exclusion doesn't change."""
    lines = [
        f"what {name} wrote itself stays open to it and its doctors: {named('S6')}"
        for name in reader.hospitals.values()
    ]
    if not reader.id.startswith("ac_"):
        lines.append(
            f"in an emergency that one of its doctors declares it doesn't hold: {named('S8')}; exclude the "
            "person to hold then, too"
        )
    return lines


def _criteria(what: dict[str, Any]) -> str:
    """The criteria of a partial grant for people."""
    words = {"date_from": "dates from", "date_to": "dates to"}
    return ", ".join(
        f"{words.get(name, name)} {value if isinstance(value, str) else ', '.join(value)}"
        for name, value in what.items()
    )


def _said(grant: Grant, time_zone: str) -> str:
    """A grant for people: what of the chart, for what and until when."""
    size = {
        "full": "the whole chart", "selective": count(len(grant.records), "record"),
        "partial": f"the records with {_provisions(grant.what)}",
    }[grant.scope]  # fmt: skip
    return f"{grant.grant}, {size} for {', '.join(grant.purposes)}, until {minute_in(time_zone, grant.end)}"


def _provisions(what: Sequence[Provision]) -> str:
    names = ("authors", "categories", "date_from", "date_to", "episodes")
    return "; ".join(
        _criteria({name: value for name in names if (value := getattr(one, name))}) for one in what
    )


def _in_force(grant: Grant, now: int) -> bool:
    return (
        grant.active
        and grant.start <= now < grant.end
        and not (grant.uses and grant.used >= grant.uses)
    )


def _grant_row(grant: Grant, now: int) -> str:
    state = "in force" if _in_force(grant, now) else "ended" if grant.active else "revoked"
    uses = f", {grant.used} of {grant.uses} readings used" if grant.uses else ""
    return (
        f"{grant.grant}  {state:<8} {grant.grantee}  {grant.scope}, {', '.join(grant.actions)} for "
        f"{', '.join(grant.purposes)}, to {format_time(grant.end)[:10]}{uses}, entry {grant.seq}"
    )
