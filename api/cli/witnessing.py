"""`witness`: a witness of other logs, which needs no ledger of its own."""

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.app.settings import Settings
from api.app.witnessing import create_witness, opened_witness
from api.cli.app import GOOD, WRONG, Json, app, say
from crypto.errors import FormError
from crypto.notes import VerifierKey
from crypto.texts import counted
from durable.files import replace_file
from ledger.files import read_policy, read_vkeys
from ledger.witnesses import WitnessPolicy
from witness.store import LogState

witness_app = typer.Typer(help="A witness of logs (C2SP tlog-witness).", no_args_is_help=True)
app.add_typer(witness_app, name="witness")
Folder = Annotated[Path, typer.Argument(help="The witness's own folder.")]


@witness_app.command()
def init(
    folder: Folder,
    name: Annotated[
        str, typer.Option(help="Its name, a URL without scheme: witness.hospital.example/w1.")
    ],
    json_: Json = False,
) -> None:
    """Make a new witness with keys of its own and print its verifier keys, which logs put into their policies."""
    vkeys = create_witness(folder, name, Settings().secret())
    say(json_, {"folder": folder, "name": name, "vkeys": list(vkeys)}, *vkeys)


@witness_app.command("add-log")
def add_log(
    folder: Folder,
    vkeys: Annotated[
        list[str] | None, typer.Argument(help="Verifier keys, or files of them.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy file, all of whose logs are meant.")
    ] = None,
    only: Annotated[
        bool, typer.Option("--only", help="Forget all other keys of the log, which it has retired.")
    ] = False,
    json_: Json = False,
) -> None:
    """Witness a log from now on. Get its keys from its operator, and not only from its server."""
    keys = [VerifierKey.parse(text) for one in vkeys or () for text in _vkeys(one)]
    if data := read_policy(policy):
        keys += WitnessPolicy.parse(data).logs
    if not keys:
        raise typer.BadParameter("name at least one key of a log, or a policy with log lines")
    with opened_witness(folder, Settings().secret()) as witness:
        witness.add_log(keys, only)
    names = sorted({key.name for key in keys})
    say(json_, {"logs": names}, *(f"witnesses {name}" for name in names))


def _vkeys(text: str) -> list[str]:
    """One key, or those of a file."""
    found = read_vkeys(Path(text)) if "+" not in text or Path(text).exists() else [text]
    return found or []


@witness_app.command()
def serve(
    folder: Folder,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 chooses a free one and prints it.")] = 8421,
    prefix: Annotated[str, typer.Option(help="What stands before /add-checkpoint.")] = "",
) -> None:
    """Serve `POST <prefix>/add-checkpoint`. Put TLS ahead if it is reached from other machines."""
    import uvicorn  # here, as few commands need it

    from api.app.process import prepare
    from api.cli.serving import listen, server_telling
    from api.http.protocol import server_options
    from api.http.witnessing import create_witness_app

    if prefix and not prefix.startswith("/"):
        raise typer.BadParameter(f"--prefix: got {prefix!r}, expected a path that begins with /")
    with opened_witness(folder, Settings().secret()) as witness:
        logs = len(witness.store.logs())
        listening = listen(host, port)
        prepare()
        at, where = listening.getsockname()[1], f"[{host}]" if ":" in host else host

        def serving() -> None:
            url = f"http://{where}:{at}{prefix.rstrip('/')}"
            print(f"witnessing {counted(logs, 'log')} on {url}", flush=True)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(0))
        config = uvicorn.Config(
            create_witness_app(witness, prefix),
            **server_options() | {"lifespan": "off"},
        )
        server_telling(config, serving).run([listening])


@witness_app.command("status")
def witness_status(
    folder: Folder,
    evidence: Annotated[
        Path | None,
        typer.Option(help="A new folder for what proves that a log has shown two histories."),
    ] = None,
    json_: Json = False,
) -> None:
    """Show what was cosigned of each log; ends with 1 if one of them has shown two histories."""
    with opened_witness(folder, Settings().secret()) as witness:
        logs = witness.store.logs()
    lines = [line for log in logs for line in _lines(log)] or ["knows no log yet: `add-log`"]
    written = _write_evidence(evidence, logs) if evidence else []
    fields = [
        {
            "origin": log.origin, "vkeys": log.vkeys, "size": log.size, "time": log.time,
            "two_faces": _two_faces(log), "refused": len(log.refused),
        }
        for log in logs
    ]  # fmt: skip
    say(json_, {"logs": fields}, *lines, *written)
    raise typer.Exit(WRONG if any(_two_faces(log) for log in logs) else GOOD)


def _two_faces(log: LogState) -> bool:
    return any(one.two_faces for one in log.refused)


def _lines(log: LogState) -> list[str]:
    cosigned = (
        f"{counted(log.size, 'entry')} cosigned {_time(log.time)}" if log.time else "nothing yet"
    )
    out = [f"{log.origin}: {cosigned}"]
    for one in log.refused:
        what = (
            "TWO HISTORIES: it signed a checkpoint that contradicts the one cosigned"
            if one.two_faces
            else "it signed a checkpoint that came without a proof of extending the one cosigned"
        )
        out.append(f"{log.origin}: {what}, first on {_time(one.time)}; not cosigned")
    return out


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write_evidence(folder: Path, logs: list[LogState]) -> list[str]:
    """What was refused, each with the checkpoint that was cosigned before: numbered files."""
    if folder.exists() and any(folder.iterdir()):
        raise FormError(f"{folder} is not empty; evidence goes into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    kept = [one for log in logs for one in log.refused]
    for number, one in enumerate(kept, 1):
        replace_file(folder / f"{number}.cosigned", one.cosigned)
        replace_file(folder / f"{number}.refused", one.request)
    return [f"{counted(len(kept), 'refused submission')} in {folder}"]
