"""The application: options that every command shares, output, and errors as exit codes."""

import errno
import gc
import io
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from api.app.opening import open_ledger
from api.app.settings import Settings
from api.cli.held import read as read_held
from api.cli.held import session_path
from client.local import LocalClient
from client.port import LedgerClient
from client.sessions import SessionActor
from crypto.errors import CryptoError, FormError
from crypto.ids import is_id
from crypto.texts import printable
from durable.errors import NotFound, StartRefused, StorageError
from identity.actors import Actor, read_keyfile
from identity.errors import (
    BadPassword,
    FactorConflict,
    IdentityError,
    KeyFileError,
    SecondFactorNeeded,
    StepUpNeeded,
    Throttled,
    WrongProof,
)
from imports.errors import FhirError
from journeys.errors import (
    AccessDenied,
    AlreadyUsed,
    Forbidden,
    NotClaimed,
    OverQuota,
    RecordsError,
    TooManyTries,
)
from keeper.errors import KeeperRefused, KeeperUnavailable
from ledger.checkpoint import parse_keys
from ledger.errors import EventError, LedgerError, ProofError, Refused, Tampered
from ledger.files import read_vkeys
from storage.errors import BlobError, BlobsUnavailable, Bug, OutcomeUnknown, Unavailable
from storage.ledger import Ledger
from storage.sql.database import PRIMARY_CODE

if TYPE_CHECKING:
    from client.http import HttpClient

GOOD, WRONG, USAGE, UNPROVEN, COULD_NOT_RUN = range(5)
"""Exit codes: good; found wrong or denied; used wrongly; consistent but origin unproven; could not run."""

app = typer.Typer(
    name="heartwood",
    help="A patient record service in which every act is a signed event that anyone entitled to it can verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(False, {}, f"heartwood {version('heartwood')}")
        raise typer.Exit


@app.callback()
def _heartwood(
    shown: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A patient record service in which every act is a signed event that anyone entitled to it can verify."""


Data = Annotated[
    Path | None, typer.Option("--data", help="The data directory (or HEARTWOOD_DATA).")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="HEARTWOOD_URL", help="A server to ask instead of a data directory."
    ),
]
As = Annotated[
    Path,
    typer.Option(
        "--as",
        default_factory=session_path,
        show_default="the session of `account sign-in`",
        help="Whoever acts: a key file, or the file of a session by password.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Vkey = Annotated[
    Path | None, typer.Option("--vkey", help="The log's verifier keys, obtained independently.")
]


class OutputFailed(Exception):
    """Standard output took nothing more; what the command did stands."""


_CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (AccessDenied, WRONG, "denied"),
    (AlreadyUsed, WRONG, "already_used"),
    (Tampered, WRONG, "tampered"),
    (ProofError, WRONG, "proof"),
    (Refused, WRONG, "refused"),
    (EventError, USAGE, "malformed"),
    (KeeperRefused, WRONG, "keeper_refused"),
    (KeeperUnavailable, COULD_NOT_RUN, "keeper_unavailable"),
    (BlobsUnavailable, COULD_NOT_RUN, "blob_store"),
    (BlobError, WRONG, "blob"),
    (LedgerError, WRONG, "malformed"),
    (FormError, USAGE, "form"),
    (CryptoError, WRONG, "crypto"),
    (BadPassword, USAGE, "password"),
    (FactorConflict, WRONG, "conflict"),
    (Throttled, COULD_NOT_RUN, "throttled"),
    (WrongProof, WRONG, "proof"),
    (SecondFactorNeeded, WRONG, "second_factor"),
    (StepUpNeeded, WRONG, "step_up"),
    (IdentityError, USAGE, "key_file"),
    (FhirError, USAGE, "fhir"),
    (Forbidden, WRONG, "forbidden"),
    (NotClaimed, WRONG, "claim"),
    (OverQuota, COULD_NOT_RUN, "quota"),
    (TooManyTries, COULD_NOT_RUN, "too_many_claims"),
    (RecordsError, USAGE, "not_there"),
    (NotFound, USAGE, "not_there"),
    (StartRefused, COULD_NOT_RUN, "start_refused"),
    (OutcomeUnknown, COULD_NOT_RUN, "outcome_unknown"),
    (Unavailable, COULD_NOT_RUN, "unavailable"),
    (Bug, COULD_NOT_RUN, "bug"),
    (StorageError, COULD_NOT_RUN, "storage"),
    (DBAPIError, COULD_NOT_RUN, "database"),
    (OutputFailed, COULD_NOT_RUN, "output"),
    (OSError, COULD_NOT_RUN, "system"),
    (sqlite3.Error, COULD_NOT_RUN, "system"),
    (MemoryError, COULD_NOT_RUN, "memory"),
)
"""Which error means which exit code, and its name under `problem`; the first that fits."""


def settings(data: Path | None) -> Settings:
    """The settings, with the data directory of `--data` if given."""
    return Settings() if data is None else Settings(data=data)


@contextmanager
def opened(data: Path | None) -> Iterator[Ledger]:
    """The open ledger of `--data`; closed at the end."""
    ledger = open_ledger(settings(data))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def at(data: Path | None, url: str | None, vkey: Path | None = None) -> Iterator[LedgerClient]:
    """The client of `--url` (see `server`), or else of the ledger of `--data`; closed at the end."""
    if url is None:
        with opened(data) as ledger:
            yield LocalClient(ledger)
        return
    with server(url, vkey) as far:
        yield far


@contextmanager
def server(url: str, vkey: Path | None = None) -> Iterator["HttpClient"]:
    """The client of a server, held to the log's keys and to the last checkpoint that this user saw; closed at the end.

    `vkey`: the log's verifier keys (or HEARTWOOD_VKEY); without them those of the first contact count.
    """
    from client.http import HttpClient  # 0.1 s that commands beside the data don't need
    from client.trust import KeptInFiles

    known = Settings()
    keys = read_vkeys(vkey or known.vkey)

    def kept(origin: str) -> KeptInFiles:
        return KeptInFiles(known.known_logs(), origin, _note)

    far = HttpClient(url, kept, parse_keys(keys) if keys else ())
    try:
        yield far
    finally:
        far.close()


def _note(words: str) -> None:
    """Tell something beside the answer, on standard error."""
    print(f"heartwood: {printable(words)}", file=sys.stderr)


def actor(path: Path) -> Actor:
    """Whoever acts, from a key file, or in a session by password; raises KeyFileError."""
    if path == session_path() and not path.exists():
        raise KeyFileError(
            "nobody is signed in: give a key file (--as FILE), or sign in with `heartwood account sign-in`"
        )
    held = read_held(path) if path.is_file() else None
    return read_keyfile(path, Settings().secret()) if held is None else SessionActor.of(held)


@contextmanager
def writing() -> Iterator[None]:
    """Whatever is written to standard output inside of it; raises OutputFailed where that fails."""
    if sys.stdout is None:
        raise OutputFailed("standard output is closed; the command itself was carried out")
    try:
        yield
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputFailed(
            f"standard output cannot be written: {words}; the command itself was carried out"
        ) from error


def say(as_json: bool, fields: dict[str, Any], *lines: str) -> None:
    """Print the answer: one JSON object, or lines for people."""
    if as_json:
        lines = (json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in fields.items()}),)
    with writing():
        for line in lines:
            print(line if as_json else printable(line))


def check_patient(patient: str) -> str:
    """A patient's id; raises RecordsError for a text that is none."""
    if not is_id("pt", patient):
        raise RecordsError(f"{patient[:60]!r} is not a patient id")
    return patient


def count(number: int, what: str) -> str:
    """A number with its noun, in the singular or with an s."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def progress_console() -> Console:
    """Where progress goes: standard error."""
    return Console(stderr=True)


def fail(code: int, problem: str, message: str) -> int:
    """Tell what went wrong, in one line on standard error and, with --json, as an object; gives the code."""
    # A database's words may be of several lines.
    message = printable("; ".join(message.splitlines()))
    if "--json" in sys.argv:
        with suppress(OutputFailed):  # then the line below says it alone
            say(True, {"problem": problem, "message": message})
    print(f"heartwood: {message}", file=sys.stderr)
    return code


def _no_room(error: Exception) -> str:
    """What to say where a file, named or temporary, can't grow; else nothing."""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        place = error.filename
    else:
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
        full, place = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR), None
    if not full:
        return ""
    if place is not None:
        return f"there is no room left to write {place}; make room and run it again"
    folder = os.environ.get("TMPDIR", "/tmp")
    return (
        f"there is no room left to write a temporary file ({error}); make room in {folder}, or let TMPDIR name "
        "another folder, and run it again"
    )


def program() -> None:
    """The installed program: `main` in a process that ends with it."""
    gc.freeze()  # what was imported stays: else the end of a short command takes a third of its time to look at it
    main()


def main() -> None:
    """Run the command line; every error of ours becomes one clear message and an exit code."""
    if not os.environ.get("HEARTWOOD_TRACEBACK"):
        for library in ("sqlalchemy", "psycopg"):  # they log tracebacks of what they raise as well
            logging.getLogger(library).addHandler(logging.NullHandler())
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a letter gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    code = _run()
    try:
        with writing():
            pass
    except OutputFailed as error:
        code = code or _failed(error)
        with suppress(OSError, ValueError, AttributeError):  # what is left is not tried once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)


def _run() -> int:
    """Run the command that the arguments name; gives the exit code, after telling what went wrong."""
    try:
        if any(name.endswith("_COMPLETE") for name in os.environ):
            app()  # a shell asks what could come next
        command = typer.main.get_command(app)
        with command.make_context("heartwood", sys.argv[1:]) as context:
            command.invoke(context)
        return GOOD
    except typer.Exit as left:
        return left.exit_code
    except typer.Abort:
        return fail(COULD_NOT_RUN, "aborted", "aborted")
    except KeyboardInterrupt:
        return fail(130, "aborted", "interrupted")
    except ClickException as error:
        return _used_wrongly(error)
    except Exception as error:
        return _failed(error)


def _used_wrongly(error: ClickException) -> int:
    """Tell of arguments that are none: what was got, and where help is."""
    if isinstance(error, NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return USAGE
    context = getattr(error, "ctx", None)
    hint = ""
    if context is not None:
        print(context.get_usage(), file=sys.stderr)
        hint = f" (see `{context.command_path} --help`)"
    return fail(USAGE, "usage", f"{error.format_message().rstrip('.')}{hint}")


def _failed(error: Exception) -> int:
    """Tell of an error; gives its exit code."""
    for kind, code, problem in _CODES:
        if isinstance(error, kind):
            message = _no_room(error) or _words(error) or "there is not enough memory"
            name = error.code if isinstance(error, Refused) else problem
            return fail(USAGE if name == "malformed" else code, name, message)
    if os.environ.get("HEARTWOOD_TRACEBACK"):
        raise error
    return fail(
        COULD_NOT_RUN, "bug", f"internal error: {error!r}; set HEARTWOOD_TRACEBACK=1 to see where"
    )


def _words(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return str(error.orig)
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)
