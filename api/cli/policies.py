"""`policy`: what the rules go by, and how the operator changes it."""

from typing import Annotated, Any

import typer

from api.cli.app import As, Data, Json, actor, app, opened, say
from api.operator import policies
from ledger.policies import POLICY_WAIT_MS, PolicyRow
from ledger.times import DAY_MS, format_time

policy_app = typer.Typer(help="The policy behind the rules.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")


@policy_app.command("show")
def policy_show(data: Data = None, json_: Json = False) -> None:
    """Show the policy in force, and pending changes with the time at which they take effect."""
    with opened(data) as ledger:
        now = policies.standing(ledger)
    fields = _policy(now, now.in_force) | {"pending": [_policy(now, row) for row in now.pending]}
    in_force = policies.fields(now.whole(now.in_force))
    lines = [f"{name} = {_text(value)}" for name, value in in_force.items()]
    lines.append(f"in force since {format_time(now.in_force.since)}, by entry {now.in_force.seq}")
    before = in_force
    for row in now.pending:
        lines.append(f"pending until {format_time(row.since)}, by entry {row.seq}:")
        after = policies.fields(now.whole(row))
        lines += _changes(before, after)
        before = after
    say(json_, fields, *lines)


@policy_app.command("set")
def policy_set(
    operator: As,
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME=VALUE, e.g. grant_days_max=90, assurance.read=2 or professions.trainee=list,read."
        ),
    ] = None,
    drop_pending: Annotated[
        bool,
        typer.Option(
            "--drop-pending", help="Start from the policy in force and drop pending changes."
        ),
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Change the policy, as the operator. Changes that only narrow take effect at once; others wait."""
    acting = actor(operator)
    with opened(data) as ledger:
        done = policies.change(ledger, acting, changes or (), drop_pending)
    row = done.row
    fields = {"seq": row.seq, "since": format_time(row.since), "policy": row.policy}
    fields |= {"widens": list(done.widens)}
    if done.widens:
        when = (
            f"takes effect at {format_time(row.since)}: it may widen what is permitted, or ask more of patients on "
            f"their own charts ({', '.join(done.widens)}), so it waits {POLICY_WAIT_MS // DAY_MS} days"
        )
    else:
        when = f"in force since {format_time(row.since)}: it only narrows what others may do"
    say(json_, fields, f"entry {row.seq}", when)


def _policy(now: policies.Standing, row: PolicyRow) -> dict[str, Any]:
    return {"seq": row.seq, "since": format_time(row.since), "policy": now.whole(row)}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        f"  {name} = {_text(after.get(name))} (before: {_text(before.get(name))})"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _text(value: Any) -> str:
    """A value as `policy set` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else "unset" if value is None else str(value)
