"""`receipt`, `check`, `export`, `log-token`, `verify`, `audit`: proofs, and their checks without trusting the server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from api.app.layout import pinned_keys
from api.app.maintenance import opened_stores
from api.app.opening import found_keeper
from api.app.settings import Settings
from api.app.witnesses import witness_policy
from api.cli.app import (
    GOOD,
    UNPROVEN,
    WRONG,
    As,
    Data,
    Json,
    Url,
    Vkey,
    actor,
    app,
    at,
    progress_console,
    say,
    server,
    settings,
    writing,
)
from consent.auditor import audit_export
from consent.report import check_report, findings, write_report
from crypto.texts import counted
from durable.errors import StorageError
from durable.files import replace_file
from journeys.errors import RecordsError
from keeper.protocol import Keeper
from ledger.auditor import check_against, check_history_proof, check_receipt, verify_export
from ledger.copies import check_copy, is_copy
from ledger.errors import EventError, ProofError
from ledger.files import export_reader, read_policy, read_proof, read_receipt, read_vkeys
from ledger.histories import is_history
from ledger.receipt import Receipt
from ledger.remarks import parse_now
from storage.exports import check_empty, write_export, write_source
from storage.stores import Stores

Export = Annotated[Path, typer.Argument(help="An export's folder.")]
Policy = Annotated[
    Path | None, typer.Option("--policy", help="The witness policy, obtained independently.")
]
ReleasesVkey = Annotated[
    Path | None,
    typer.Option(
        "--releases-vkey",
        help="The verifier keys of the key keeper's log of releases, obtained independently.",
    ),
]
Now = Annotated[
    str | None,
    typer.Option(
        "--now",
        help="The time to judge by, as 2026-11-20T07:24:00Z; by default this machine's clock.",
    ),
]


def _moment(text: str | None) -> int | None:
    """Unix ms of `--now`; None without it."""
    try:
        return None if text is None else parse_now(text)
    except EventError as error:
        raise typer.BadParameter(f"--now: {error}") from error


@app.command()
def receipt(
    seq: Annotated[int, typer.Argument(help="The entry's number.")],
    who: As,
    out: Annotated[
        Path | None, typer.Option(help="The output file; by default standard output.")
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Get the receipt of an entry that concerns you: entry, path and signed checkpoint."""
    acting = actor(who)
    with at(data, url) as client:
        text, final = client.receipt(acting, seq)
    if Receipt.parse(text).index != seq:
        raise ProofError(f"the receipt is of entry {Receipt.parse(text).index}, not of {seq}")
    if out is not None:
        replace_file(out, text)
    elif not json_:
        with writing():
            sys.stdout.write(text.decode())
        return
    fields = {"seq": seq, "final": final, "receipt": out or text.decode()}
    state = "final" if final else "provisional: ask again in a second for the final one"
    say(json_, fields, f"entry {seq} in {out} ({state})")


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(help="A receipt, the proof of a history, or a copy to keep.")
    ],
    vkey: Vkey = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Today's log, which must still hold the entry: an export's folder, or a URL."
        ),
    ] = None,
    policy: Policy = None,
    json_: Json = False,
) -> None:
    """Check a receipt offline: is its entry in the log that signed it, and is it still there?

    Of the proof of a history (`heartwood history --prove`): is any entry missing from it? Of a copy to keep (`heartwood
    copy`): is every file the one that the log names?
    """
    vkeys, witnesses, proven = read_vkeys(vkey), read_policy(policy), vkey is not None
    if against is None and is_copy(_head(file)):
        report = check_copy(file, vkeys, witnesses)
        said = "good" if proven else "consistent, origin unproven: give the log's keys with --vkey"
        told = {"files": report.files, "missing": report.missing, "proven": proven}
        say(json_, told | {"entries": len(report.history.entries)}, *report.lines(), said)
        raise typer.Exit(GOOD if proven else UNPROVEN)
    data = read_proof(file)
    history = check_history_proof(data, vkeys, witnesses) if is_history(data) else None
    found = history.receipt if history else check_receipt(data, vkeys, witnesses)
    size = _today(found, against, vkeys, witnesses) if against else None
    where = "the log" if size is None else f"the log of {counted(size, 'entry')}"
    words = (
        f"good: entry {found.index} is in {where}"
        if proven
        else "consistent, origin unproven: give the log's keys with --vkey"
    )
    fields: dict[str, object] = {"seq": found.index, "proven": proven} | (
        {"size": size} if against else {}
    )
    if history:
        fields |= {"entries": len(history.entries), "stream": history.entries[-1].event.stream}
    say(json_, fields, *([history.line] if history else []), words)
    raise typer.Exit(GOOD if proven else UNPROVEN)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(4)


def _today(receipt: Receipt, against: str, vkeys: list[str] | None, policy: bytes | None) -> int:
    """How long the log is in which the receipt still stands."""
    if "://" not in against:
        return check_against(receipt, export_reader(Path(against)), vkeys, policy).size
    with server(against) as far:
        read = far.file if policy is None else far.cosigned_file
        return check_against(receipt, read, vkeys, policy).size


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    auditor: Annotated[
        Path | None, typer.Option("--as", help="From a server: the key file of an auditor.")
    ] = None,
    newest: Annotated[
        bool,
        typer.Option(
            "--newest",
            help="Beside the data: all entries, also those that no witnesses cosigned yet.",
        ),
    ] = False,
    without_releases: Annotated[
        bool,
        typer.Option(
            "--without-releases",
            help="Without the key keeper's log of what it gave out, where the keeper can't be asked.",
        ),
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Write the whole log as a folder that anyone can verify; it holds no clinical content."""
    bar = Progress(console=progress_console(), transient=True, disable=not sys.stderr.isatty())
    with bar:
        task = bar.add_task("exporting", total=None)

        def progress(done: int, size: int) -> None:
            bar.update(task, completed=done, total=size)

        check_empty(directory)  # before the look at the log is signed
        config, left = settings(data), 0
        if url is None:
            with opened_stores(config, anchored=True) as stores:
                policy = None if newest else witness_policy(config, stores.vkeys)
                with _asked_keeper(config, without_releases) as keeper:
                    size = write_export(stores, directory, progress, policy, keeper)
                left = _left_out(stores, size)
        elif auditor is None:
            raise RecordsError("a server gives entries only to auditors: name a key file with --as")
        else:
            with server(url) as far:
                source = far.source(actor(auditor), releases=not without_releases)
                size = write_source(source, directory, progress)
    words = f"{counted(size, 'entry')} in {directory}"
    if left:
        words += f"; {counted(left, 'newer entry')} not cosigned by the witnesses yet left out (--newest takes all)"
    say(json_, {"directory": directory, "size": size, "left_out": left}, words)


@contextmanager
def _asked_keeper(config: Settings, left_out: bool) -> Iterator[Keeper | None]:
    """The key keeper, which is asked what it gave out; None where that is left out. Raises StorageError."""
    if left_out:
        yield None
        return
    try:
        keeper = found_keeper(config, pinned_keys(config))
    except StorageError as error:
        raise StorageError(
            f"the key keeper can't be asked for its log of releases: {error}. Nothing was written; --without-releases "
            "exports the log alone"
        ) from error
    try:
        yield keeper
    finally:
        keeper.close()


def _left_out(stores: Stores, size: int) -> int:
    head = stores.store.head_now()
    return head.size - size if head else 0


@app.command()
def log_token(who: As, url: Url = None, json_: Json = False) -> None:
    """Get a token with which other tools fetch entries from a server's log, as an auditor; the log records it."""
    if url is None:
        raise RecordsError("a token is for a server: name it with --url")
    with server(url) as far:
        given = far.log_token(actor(who))
    fields = {"token": given["token"], "end": given["end"], "seq": given["seq"]}
    say(json_, fields, str(given["token"]))


@app.command()
def verify(
    directory: Export,
    vkey: Vkey = None,
    at_least: Annotated[
        Path | None, typer.Option(help="An older receipt whose entry must still be there.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="An older export that this one must extend.")
    ] = None,
    policy: Policy = None,
    releases_vkey: ReleasesVkey = None,
    now: Now = None,
    signatures: Annotated[bool, typer.Option(help="Check the events' signatures.")] = True,
    json_: Json = False,
) -> None:
    """Verify an export offline: every hash, chain, signature, signer, tile and the checkpoint."""
    report = verify_export(
        directory, read_vkeys(vkey), read_receipt(at_least), signatures, since=since,
        policy=read_policy(policy), now=_moment(now), releases=read_vkeys(releases_vkey),
    )  # fmt: skip
    fields = {
        "size": report.size, "proven": report.proven, "seconds": round(report.seconds, 3),
        "cosigned": report.cosigned, "restored": [asdict(said) for said in report.restored],
        "alarms": [asdict(said) for said in report.alarms],
        "warnings": report.warnings,
        "releases": asdict(report.releases) if report.releases else None,
    }  # fmt: skip
    say(json_, fields | vars(report.counts), *report.lines())
    raise typer.Exit(GOOD if report.proven else UNPROVEN)


@app.command()
def audit(
    directory: Export,
    vkey: Vkey = None,
    since: Annotated[
        Path | None,
        typer.Option(help="An older export whose audit was good: what it covers is skipped."),
    ] = None,
    policy: Policy = None,
    releases_vkey: ReleasesVkey = None,
    now: Now = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write all findings, too: a page (.html), or .json."),
    ] = None,
    json_: Json = False,
) -> None:
    """Evaluate every decision of an export again, offline, using only the rules and the log; name what looks like snooping."""
    check_report(report)
    found = audit_export(
        directory, read_vkeys(vkey), since, read_policy(policy), _moment(now),
        read_vkeys(releases_vkey),
    )  # fmt: skip
    if report is not None:
        write_report(found, report)
    say(json_, findings(found), *found.lines())
    raise typer.Exit(WRONG if not found.good else GOOD if found.proven else UNPROVEN)
