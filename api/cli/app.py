"""The application: options that every command shares, output, and errors as exit codes."""

import errno
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from api.bootstrap import open_ledger
from api.settings import Settings
from crypto.errors import CryptoError, FormError
from crypto.texts import printable
from identity.actors import Actor, read_keyfile
from identity.errors import IdentityError
from ledger.errors import EventError, LedgerError, ProofError, Refused, Tampered
from records.desk import Desk, Near
from records.errors import AccessDenied, AlreadyUsed, Forbidden, OverQuota, RecordsError
from records.imports.fhir import FhirError
from storage.database import PRIMARY_CODE
from storage.errors import (
    BlobError,
    Bug,
    KeeperRefused,
    NotFound,
    OutcomeUnknown,
    StartRefused,
    StorageError,
    Unavailable,
)
from storage.ledger import Ledger

GOOD, WRONG, USAGE, UNPROVEN, COULD_NOT_RUN = range(5)
"""Exit codes: good; found wrong or denied; used wrongly; consistent but origin unproven; could not run."""

app = typer.Typer(
    name="heartwood",
    help="A patient record service in which every act is a signed event that anyone entitled can verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Data = Annotated[
    Path | None, typer.Option("--data", help="The data directory (or HEARTWOOD_DATA).")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="HEARTWOOD_URL", help="A server to ask instead of a data directory."
    ),
]
As = Annotated[Path, typer.Option("--as", help="The key file of whoever acts.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Vkey = Annotated[
    Path | None, typer.Option("--vkey", help="The log's verifier keys, got from elsewhere.")
]

_CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (AccessDenied, WRONG, "denied"),
    (AlreadyUsed, WRONG, "already_used"),
    (Tampered, WRONG, "tampered"),
    (ProofError, WRONG, "proof"),
    (Refused, WRONG, "refused"),
    (EventError, USAGE, "malformed"),
    (KeeperRefused, WRONG, "keeper_refused"),
    (BlobError, WRONG, "blob"),
    (LedgerError, WRONG, "malformed"),
    (FormError, USAGE, "form"),
    (CryptoError, WRONG, "crypto"),
    (IdentityError, USAGE, "key_file"),
    (FhirError, USAGE, "fhir"),
    (Forbidden, WRONG, "forbidden"),
    (OverQuota, COULD_NOT_RUN, "quota"),
    (RecordsError, USAGE, "not_there"),
    (NotFound, USAGE, "not_there"),
    (StartRefused, COULD_NOT_RUN, "start_refused"),
    (OutcomeUnknown, COULD_NOT_RUN, "outcome_unknown"),
    (Unavailable, COULD_NOT_RUN, "unavailable"),
    (Bug, COULD_NOT_RUN, "bug"),
    (StorageError, COULD_NOT_RUN, "storage"),
    (DBAPIError, COULD_NOT_RUN, "database"),
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
def at(data: Path | None, url: str | None) -> Iterator[Desk]:
    """The desk of `--url`, or else of the ledger of `--data`; closed at the end."""
    if url is None:
        with opened(data) as ledger:
            yield Near(ledger)
        return
    from api.far import Far  # here, as beside the data nobody needs a client

    far = Far(url)
    try:
        yield far
    finally:
        far.close()


def actor(path: Path) -> Actor:
    """Whoever acts, from a key file."""
    return read_keyfile(path, Settings().secret())


def say(as_json: bool, fields: dict[str, Any], *lines: str) -> None:
    """Print the answer: one JSON object, or lines for people."""
    if as_json:
        print(json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in fields.items()}))
        return
    for line in lines:  # names and texts in them come from outside
        print(printable(line))


def progress_console() -> Console:
    """Where progress goes: standard error."""
    return Console(stderr=True)


def fail(code: int, problem: str, message: str) -> int:
    """Tell what went wrong, in one line on standard error and, with --json, as an object; gives the code."""
    if "--json" in sys.argv:
        print(json.dumps({"problem": problem, "message": message}))
    # A database's words may be of several lines.
    print(f"heartwood: {printable('; '.join(message.splitlines()))}", file=sys.stderr)
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


def main() -> None:
    """Run the command line; every error of ours becomes one clear message and an exit code."""
    if not os.environ.get("HEARTWOOD_TRACEBACK"):
        for library in ("sqlalchemy", "psycopg"):  # they log tracebacks of what they raise as well
            logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        app(standalone_mode=True)
    except Exception as error:
        for kind, code, problem in _CODES:
            if isinstance(error, kind):
                message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
                message = _no_room(error) or message or "there is not enough memory"
                name = error.code if isinstance(error, Refused) else problem
                code = USAGE if name == "malformed" else code
                raise SystemExit(fail(code, name, message)) from None
        if os.environ.get("HEARTWOOD_TRACEBACK"):
            raise
        text = f"an error of the program: {error!r}; set HEARTWOOD_TRACEBACK=1 to see where"
        raise SystemExit(fail(COULD_NOT_RUN, "bug", text)) from error
