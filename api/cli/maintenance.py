"""`scrub`, `sweep`, `backup`, `restore`: care of the data."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.app.blobs import ledger_blobs
from api.app.maintenance import opened_stores, secrets_of, target_of
from api.cli.app import GOOD, WRONG, Data, Json, app, opened, say, settings
from api.cli.progress import bar
from crypto.texts import counted, printable
from storage.blobs.files import BlobStore, FileBlobs
from storage.blobs.place import SeveralPlaces, open_place, parse_place
from storage.clock import wall_clock
from storage.errors import BackupRefused
from storage.maintenance.backup import BLOBS, back_up
from storage.maintenance.erasing import Erased, Erasing
from storage.maintenance.garbage import check_clock
from storage.maintenance.garbage import sweep as sweep_once
from storage.maintenance.restore import Checked, check_backup
from storage.maintenance.restore import restore as write_restored
from storage.maintenance.scrub import Finding, Scrub

Keeper = Annotated[
    Path | None,
    typer.Option("--keeper", help="A separate folder for the keeper's store, roots and keys."),
]


@app.command()
def scrub(
    repair_from: Annotated[
        str | None,
        typer.Option(
            "--repair-from",
            help="A backup, a folder of blobs or s3://bucket/prefix, from which to restore good ones.",
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Compare every blob and every key with the log; ends with 1 if anything is wrong and not repaired."""
    config, good = settings(data), _source(repair_from) if repair_from else None
    # Of several stores it fills one from another: never a folder of which nobody knows whether it is the ledger's.
    writes = bool(repair_from) or isinstance(config.blob_place(), SeveralPlaces)
    found: list[Finding] = []
    wrong = put_right = 0
    blobs = ledger_blobs(config) if writes else None
    with opened_stores(config, blobs=blobs) as stores, bar("scrubbing") as progress:
        scrubbing = Scrub(stores, wall_clock(), good)
        for finding in scrubbing.findings(progress):
            wrong += not finding.repaired
            put_right += bool(finding.repaired)
            if json_:
                found.append(finding)
            else:
                print(printable(told(finding)), flush=True)
    done = scrubbing.done
    fields = {"wrong": wrong, "repaired": put_right, "findings": list(map(asdict, found))}
    state = f"WRONG: {counted(wrong, 'finding')}" if wrong else "good"
    repaired = f", {put_right} repaired" if put_right else ""
    if done.locked:
        repaired += f"; {counted(done.locked, 'blob')} that no entry names, still locked"
    say(
        json_,
        asdict(done) | fields,
        f"{counted(done.blobs, 'blob')} of {counted(done.entries, 'entry')}, {counted(done.keys, 'key')}: {state}{repaired}",
    )
    raise typer.Exit(WRONG if wrong else GOOD)


def _source(place: str) -> BlobStore:
    """The blob store of a backup, in the folder itself, or at a place."""
    if place.startswith(("s3://", "file:")):
        return open_place(parse_place(place, Path()))
    folder = Path(place)
    blobs = folder / BLOBS if (folder / BLOBS).is_dir() else folder
    if not blobs.is_dir():
        raise BackupRefused(f"{folder} is not a folder of blobs")
    return FileBlobs(blobs)


def told(finding: Finding) -> str:
    """A finding in words, without its end."""
    entry = f"entry {finding.seq}: " if finding.seq is not None else ""
    record = f" (record {finding.record})" if finding.record and finding.blob else ""
    repaired = f"; {finding.repaired}" if finding.repaired else ""
    return f"{finding.what}: {entry}{finding.message}{record}{repaired}"


@app.command()
def sweep(data: Data = None, json_: Json = False) -> None:
    """Carry out erasures that are due, and remove orphans: what was staged over a day ago and no entry names.

    A server does both by itself.
    """
    with opened(data) as ledger:
        check_clock(ledger.log.unavailable())
        erased = Erasing(ledger).due() or Erased()
        swept = sweep_once(ledger.stores, settings(data).data, ledger.clock())
    lines = [
        *(f"erased: {one}" for one in erased.completed),
        *(
            f"its keys are gone, and some ciphertext stays for now: {words}"
            for words in erased.locked.values()
        ),
        *(f"not erased yet: {one}: {why}" for one, why in erased.waiting.items()),
        *(f"removed {blob}, which was staged, and its key" for blob in swept.blobs),
        *(f"removed {blob}, which had no key" for blob in swept.strays),
        *(f"removed {name}, left behind by an interrupted write" for name in swept.files),
        *(f"kept: {words}" for words in swept.locked),
        *(f"not swept: {name or 'the stores'}: {why}" for name, why in swept.silent.items()),
        *(
            f"{name} may still have {counted(len(blobs), 'blob')} of these: run it again when that store answers"
            for name, blobs in swept.owed.items()
        ),
        *(
            f"kept {blob}, which has no key: it may be of an entry that was lost"
            for blob in swept.kept
        ),
    ]
    say(json_, asdict(swept) | {"erased": asdict(erased)}, *(lines or ["nothing to remove"]))


@app.command()
def backup(
    directory: Annotated[
        Path, typer.Argument(help="A new folder, or the folder of an earlier backup.")
    ],
    keeper: Keeper = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Back up database and blobs while the ledger is in use; with --keeper also what opens the records."""
    config = settings(data)
    apart = (secrets_of(config), keeper) if keeper else None
    with opened_stores(config, anchored=True) as stores, bar("backing up") as progress:
        marker = config.data / "heartwood.json"
        done = back_up(stores, marker, directory, wall_clock(), apart, progress)
    needed = (
        f"{keeper}; keep the two apart"
        if keeper
        else "roots, keeper and keys, which are NOT in it: name --keeper"
    )
    lines = [
        *(f"{told(finding)}: not in the backup" for finding in done.findings),
        f"{counted(done.size, 'entry')} and {counted(done.blobs, 'blob')} in {directory}, {done.copied} of them new",
        f"to open records from it you need {needed}",
    ]
    fields = done.about() | {"copied": done.copied, "findings": list(map(asdict, done.findings))}
    say(json_, fields | {"directory": directory, "keeper": keeper}, *lines)
    raise typer.Exit(WRONG if done.findings else GOOD)


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="A backup.")],
    keeper: Annotated[
        Path | None,
        typer.Option(
            "--keeper",
            help="The backup of the keeper's store, or the old data directory if it still exists.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the backup without writing anything.")
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Check a whole backup, then restore it into a new data directory (and an empty PostgreSQL database)."""
    config = settings(data)
    with bar("checking") as progress:
        found = check_backup(directory, keeper, progress, apart=bool(config.keeper))
    if not check:
        with bar("restoring") as progress:
            write_restored(found, target_of(config), progress)
    missing = [*found.about["absent"], *found.without_kek]
    lines = _restored(found, None if check else config.data)
    say(json_, found.about | {"without_kek": found.without_kek, "restored": not check}, *lines)
    raise typer.Exit(WRONG if missing else GOOD)


def _restored(found: Checked, data: Path | None) -> Iterator[str]:
    about = found.about
    for blob in about["absent"]:
        yield f"missing: {blob} was not good when the backup was made"
    for subject in found.without_kek:
        yield f"missing: the keys of {subject}: the keeper's store is older than the backup"
    held = f"{counted(about['size'], 'entry')} and {counted(about['blobs'], 'blob')} of {about['origin']}"
    if data is None:
        yield f"good: {held}"
        return
    yield f"restored {held} into {data}"
    if found.secrets is None:
        yield f"put roots, keeper and keys there before you go on: {data}/{{roots,keeper,keys}}"
    yield "the ledger doesn't start until the operator declares what was lost: `heartwood accept-restore --as OPERATOR`"
