"""`grant`, `revoke`, `exclude`, `include`, `hide`, `show`, `grants`, `why`: who may read what, and why."""

import json
from typing import Annotated, Any

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, say
from api.cli.charts import PatientOption, own_chart
from consent.facts import Grant
from ledger.times import format_time
from records import grants
from records.errors import NotThere, RecordsError
from records.explaining import Question

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
    date_to: Annotated[str, typer.Option(help="Only to this clinical date, included.")] = "",
    author: Annotated[
        list[str] | None, typer.Option(help="Only what this person or hospital wrote.")
    ] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Only this episode, ep_….")] = None,
    exception: Annotated[
        list[str] | None,
        typer.Option("--except", help='Leave out: JSON such as {"categories": ["imaging"]}.'),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="A sensitivity label it covers.")] = None,
    days: Annotated[int | None, typer.Option(help="For how long; at most the policy's.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="By default TREAT alone.")] = None,
    uses: Annotated[int | None, typer.Option(help="How many readings at most.")] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="A whole-chart grant covers sensitive records too.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Let a person, a hospital or a group read: the whole chart, a part of it, or some records."""
    acting = actor(patient_key)
    what: dict[str, Any] = {
        "authors": sorted(author or ()), "categories": sorted(category or ()), "date_from": date_from,
        "date_to": date_to, "episodes": sorted(episode or ()),
    }  # fmt: skip
    what = {name: value for name, value in what.items() if value}
    if what and record:
        raise RecordsError("--record names records; it goes with no other choice of records")
    with at(data, url) as desk:
        chart = patient or own_chart(desk, acting)
        identifier, seq = grants.grant(
            desk, acting, chart, grantee, record or (), days, purpose or (), uses=uses,
            sensitive=sensitive, what=what, exceptions=[_exception(text) for text in exception or ()],
            labels=label or (),
        )  # fmt: skip
    fields = {"grant": identifier, "patient": chart, "grantee": grantee, "seq": seq}
    size = (
        f"{len(record)} record(s)"
        if record
        else "a part of the chart"
        if what
        else "the whole chart"
    )
    say(json_, fields, f"{grantee} may read {size}: {identifier}, entry {seq}")


@app.command()
def revoke(
    patient_key: As,
    grant_id: Annotated[str | None, typer.Option("--grant", help="One grant and its line.")] = None,
    grantee: Annotated[
        str | None, typer.Option(help="Everything this person, hospital or group was granted.")
    ] = None,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Take a grant back; what comes after it in the log is refused."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        chart = patient or own_chart(desk, acting)
        given = desk.consents(acting, chart)[0] if grant_id else ()
        named = [g for g in given if grant_id in (g.grant, g.lineage)]
        if grant_id and not named:
            raise NotThere(f"there is no grant {grant_id} on {chart}")
        whom = named[0].grantee if named else grantee
        if whom is None or (grantee is not None and grantee != whom):
            raise RecordsError("expected --grant or --grantee (and if both, of one another)")
        seq = grants.revoke(desk, acting, chart, whom, grant_id)
    fields = {"patient": chart, "grantee": whom, "grant": grant_id, "seq": seq}
    say(json_, fields, f"{whom} may no longer read by it: entry {seq}")


@app.command()
def exclude(
    reader: Reader, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep a person, a hospital or a group out, whatever else is granted."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        chart = patient or own_chart(desk, acting)
        seq = grants.exclude(desk, acting, chart, reader)
    fields = {"patient": chart, "reader": reader, "seq": seq}
    say(json_, fields, f"{reader} is excluded from {chart}: entry {seq}")


@app.command()
def include(
    reader: Reader, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Lift an exclusion; what was granted counts again."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        chart = patient or own_chart(desk, acting)
        seq = grants.include(desk, acting, chart, reader)
    fields = {"patient": chart, "reader": reader, "seq": seq}
    say(json_, fields, f"{reader} is no longer excluded from {chart}: entry {seq}")


@app.command()
def hide(
    record: RecordArgument, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Hide a record: no grant covers it; the hospital that wrote it still has it."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        seq = grants.hide(desk, acting, patient or own_chart(desk, acting), record)
    say(json_, {"record": record, "seq": seq}, f"{record} is hidden: entry {seq}")


@app.command()
def show(
    record: RecordArgument, patient_key: As, patient: PatientOption = None, data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Show a hidden record again."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        seq = grants.show(desk, acting, patient or own_chart(desk, acting), record)
    say(json_, {"record": record, "seq": seq}, f"{record} is shown again: entry {seq}")


@app.command("grants")
def grants_(
    patient_key: As, patient: PatientOption = None, data: Data = None, url: Url = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """What was granted and excluded on one's own chart."""
    acting = actor(patient_key)
    with at(data, url) as desk:
        chart, now = patient or own_chart(desk, acting), desk.now()
        given, exclusions = desk.consents(acting, chart)
    fields = {
        "patient": chart,
        "grants": [g._asdict() | {"in_force": _in_force(g, now)} for g in given],
        "exclusions": [e._asdict() for e in exclusions],
    }
    lines = [_grant_row(g, now) for g in given]
    lines += [f"{e.reader}  is excluded, by entry {e.seq}" for e in exclusions if e.active]
    say(json_, fields, *lines, f"{sum(_in_force(g, now) for g in given)} grants in force")


@app.command()
def why(
    action: Annotated[str, typer.Argument(help="read, list, append, …")],
    asker: As,
    patient: PatientOption = None,
    record: Annotated[
        str, typer.Option(help="About this record; without it, the whole chart.")
    ] = "",
    who: Annotated[str, typer.Option("--actor", help="About whom; by default yourself.")] = "",
    role: Annotated[str, typer.Option(help="In which role; by default your own.")] = "",
    hospital: Annotated[str, typer.Option(help="For which hospital.")] = "",
    purpose: Annotated[str, typer.Option(help="HL7 v3-ActReason.")] = "TREAT",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Explain what the rules say now: which rule, which facts, what would have to change."""
    acting = actor(asker)
    with at(data, url) as desk:
        chart = patient or (
            desk.address(acting, record).patient if record else own_chart(desk, acting)
        )
        question = Question(
            chart, who or acting.account, role or acting.role,
            hospital or ("" if who else acting.hospital), action, purpose, record,
        )  # fmt: skip
        answer = desk.why(acting, question)
    decision, changes = answer.explanation.decision, answer.explanation.changes
    fields = {
        "effect": decision.effect, "rule": decision.rule, "reason": decision.reason,
        "basis": decision.basis, "why": answer.explanation.why, "changes": changes,
        "as_of": answer.as_of, "policy": answer.policy,
    }  # fmt: skip
    rests = f", on entry {', '.join(map(str, decision.basis))}" if decision.basis else ""
    head = f"{decision.effect} by {decision.rule}{rests}: {answer.explanation.why}"
    say(json_, fields, head, *(f"  {change}" for change in changes))


def _exception(text: str) -> dict[str, Any]:
    """An exception in JSON; one that says nothing else denies."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RecordsError(f"--except: got {text[:60]!r}, expected JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordsError(f"--except: got {text[:60]!r}, expected a JSON object")
    return {"type": "deny", **value}


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
