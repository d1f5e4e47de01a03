"""`referral`: a hospital refers records of its own to another one, which takes them up sealed for its own key."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.app.settings import Settings
from api.cli.app import As, Data, Json, Url, actor, app, at, count, say
from api.cli.charts import PatientOption, chart_of
from api.cli.keeping import folder_for, place_for, safe_name
from client import referring
from client.copies import ENDINGS
from crypto.ids import is_id
from crypto.texts import printable
from durable.files import create_file
from identity.receiving import read_receiver
from journeys.errors import RecordsError
from ledger.codes import HOSPITAL_ROLES
from ledger.links import Referral
from ledger.packages import Package, PackedVersion, committed
from records.referrals import ReferralStanding

referrals_app = typer.Typer(
    help="Referrals: one hospital sends, another accepts and takes up.", no_args_is_help=True
)
app.add_typer(referrals_app, name="referral")
Named = Annotated[str, typer.Argument(help="The referral's id, ev_….")]


@referrals_app.command("send")
def send(
    record: Annotated[list[str], typer.Argument(help="The records, all of one patient.")],
    sender: As,
    to: Annotated[str, typer.Option(help="The hospital hs_… that receives them.")],
    words: Annotated[str, typer.Option(help="Why, in words; sealed for it and the patient.")],
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Refer the latest versions of your hospital's own records to another hospital, as its doctor or system.

    The patient is told. Nothing opens before the other hospital has accepted, and then to its own key.
    """
    acting = actor(sender)
    if not is_id("hs", to):
        raise RecordsError(f"{to!r} is not a hospital id")
    with at(data, url) as client:
        patient, named, seq = referring.send(client, acting, to, record, words)
    fields = {"patient": patient, "records": len(record), "referral": named, "seq": seq, "to": to}
    say(json_, fields, f"Referred {count(len(record), 'record')} to {to} as {named}: entry {seq}; the patient is told")  # fmt: skip


@referrals_app.command("accept")
def accept(
    referral: Named, receiver: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """Accept a referral to your hospital, as its doctor or system; the patient is told."""
    acting = actor(receiver)
    with at(data, url) as client:
        patient = referring.found(client, acting, referral).referral.patient
        seq = referring.accept(client, acting, patient, referral)
        basic = client.policy().care_link == "basic"
    opens = "its package can be taken up" + (
        "; doctors of your hospital see its normal records here, for treatment" if basic else ""
    )
    fields = {"patient": patient, "referral": referral, "seq": seq}
    say(json_, fields, f"Accepted {referral}: entry {seq}; {opens}")


@referrals_app.command("decline")
def decline(
    referral: Named, receiver: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """Decline a referral to your hospital, or hand it back after accepting: nothing is opened by it from then on."""
    acting = actor(receiver)
    with at(data, url) as client:
        patient = referring.found(client, acting, referral).referral.patient
        seq = referring.decline(client, acting, patient, referral)
    fields = {"patient": patient, "referral": referral, "seq": seq}
    say(json_, fields, f"Declined {referral}: entry {seq}")


@referrals_app.command("list")
def list_(
    reader: As, patient: PatientOption = None, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """List the referrals of your own chart; as a hospital's people those that it is sent, or of one chart what it sent as well."""
    acting = actor(reader)
    with at(data, url) as client:
        if acting.role in HOSPITAL_ROLES and patient is None:
            found = referring.incoming(client, acting)
        else:
            found = referring.listed(client, acting, chart_of(client, acting, patient))
    fields: dict[str, Any] = {"referrals": [_shown(one) for one in found]}
    say(json_, fields, *(_row(one) for one in found), count(len(found), "referral"))


@referrals_app.command("package")
def package(
    referral: Named,
    receiver: As,
    out: Annotated[Path, typer.Option(help="The new file for the package, a ZIP.")],
    key: Annotated[
        str, typer.Option(help="Your hospital's key k_… to seal for; by default the newest.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Take up an accepted referral: its package opens by your hospital's own key, without server and keeper.

    Each taking up is an entry in the patient's history. What lies in the package no erasure reaches any more.
    """
    acting = actor(receiver)
    if key and not is_id("k", key):
        raise RecordsError(f"{key!r} is not a key id")
    with at(data, url) as client, place_for(out) as draft:
        standing = referring.found(client, acting, referral)
        with draft.temporary.open("w+b") as file:
            seq = referring.take(client, acting, standing.referral.patient, referral, file, key)
    fields = {"file": str(out), "records": standing.count, "referral": referral, "seq": seq}
    say(json_, fields, f"{count(standing.count, 'record')} sealed in {out}: entry {seq}")


@referrals_app.command("open")
def open_(
    package_: Annotated[Path, typer.Argument(metavar="PACKAGE", help="The package, a ZIP.")],
    key: Annotated[Path, typer.Option("--key", help="The file of the key that it is sealed for.")],
    out: Annotated[Path, typer.Option(help="A new folder for what is in it.")],
    json_: Json = False,
) -> None:
    """Open a package with your hospital's own key, offline: no server, no keeper, no log is asked."""
    with Package(package_) as found:
        listed = found.opened(read_receiver(key, Settings().secret()).key)
        with folder_for(out) as folder:
            rows = [_write(found, one, folder) for one in listed.versions]
            create_file(folder / "index.json", json.dumps(rows, ensure_ascii=False, indent=1).encode() + b"\n")  # fmt: skip
    head, (number, root) = found.head, committed(listed.versions)
    fields = {
        "count": number, "folder": str(out), "patient": head.patient, "records": rows, "referral": head.referral, "root": root,
        "sender": head.sender, "words": listed.words,
    }  # fmt: skip
    lines = [f"{row['file']}  {row['category']}  {printable(row['title'])}" for row in rows]
    said = [f"{head.sender} wrote: {printable(listed.words)}"] if listed.words else []
    say(json_, fields, *said, *lines, f"{count(number, 'record')} of {head.patient} opened into {out}")  # fmt: skip


def _write(found: Package, one: PackedVersion, folder: Path) -> dict[str, Any]:
    """Write a content under a name of ours; it is there only once all of it was checked."""
    name = safe_name(f"{one.record}-{one.version}{ENDINGS.get(one.media_type, '.bin')}", set())
    with place_for(folder / name) as draft:
        draft.write(found.content(one))
    return {
        "category": one.category, "clinical_date": one.clinical_date, "file": name, "file_name": one.file_name,
        "media_type": one.media_type, "record": one.record, "size": one.size, "title": one.title, "version": one.version,
    }  # fmt: skip


def _shown(one: ReferralStanding) -> dict[str, Any]:
    return one.referral._asdict() | {"travels": one.count}


def _row(one: ReferralStanding) -> str:
    row = one.referral
    return (
        f"{row.referral}  {_state(row)}  {count(len(row.lines), 'record')} of {row.patient} from {row.sender} to {row.receiver}, "
        f"entry {row.seq}{'' if one.count == len(row.lines) else f'; {one.count} may still travel'}"
    )


def _state(row: Referral) -> str:
    if row.declined:
        return f"declined by entry {row.declined}"
    return f"accepted by entry {row.accepted}" if row.accepted else "waits"
