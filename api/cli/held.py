"""The file in which a session by password is kept: mode 0600, the token in it good until the session ends."""

import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from api.app.settings import Settings
from client.sessions import GivenSession, Held
from durable.files import private_directory, replace_file
from identity.errors import KeyFileError
from journeys.errors import RecordsError

SESSION_BYTES = 16 * 1024
"""Longest file of a session that is read."""
PASSWORD_LINE_BYTES = 4096
"""Longest line that is read as a password; a password of more is wrong anyway."""
NO_PASSKEY = "a passkey answers a browser alone, and can't be shown at the command line"
_MEMBERS = {"given", "hospital", "origin", "role", "strong_until", "url"}
_GIVEN = {"account", "assurance", "end", "session", "token"}


def session_path() -> Path:
    """Where the session is: HEARTWOOD_SESSION, or `heartwood/session` in the user's configuration directory."""
    named = Settings().session
    if named is not None:
        return named
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "heartwood" / "session"


def keep(path: Path, held: Held) -> None:
    """Keep a session at `path`, atomically, over the one before; its folder is made where it is missing."""
    if path.parent != Path() and not path.parent.exists():
        private_directory(path.parent)
    members = {name: getattr(held, name) for name in _MEMBERS - {"given"}}
    document = members | {"given": asdict(held.given)}
    replace_file(path, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def forget(path: Path) -> None:
    """Let no session be kept at `path`; what is there and is none stays."""
    with suppress(KeyFileError, FileNotFoundError):
        if read(path) is not None:
            path.unlink()


def read(path: Path) -> Held | None:
    """The session kept at `path`, None where a key file or anything else is there.

    Raises KeyFileError where it is open to others or of another form.
    """
    with path.open("rb") as file:
        data = file.read(SESSION_BYTES + 1)
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    try:
        found = json.loads(data)
    except ValueError:
        return None
    if not isinstance(found, dict) or "given" not in found:
        return None
    if mode & 0o077:
        raise KeyFileError(
            f"{path} is readable by others, expected mode 600: sign out (`heartwood account sign-out --as {path}` after "
            f"chmod 600 {path}) and in again, as others may have the session"
        )
    return _parsed(path, found)


def _parsed(path: Path, found: dict[str, Any]) -> Held:
    try:
        given = found["given"]
        if found.keys() != _MEMBERS or given.keys() != _GIVEN:
            raise ValueError(f"expected the members {', '.join(sorted(_MEMBERS))}")
        texts = [found[name] for name in ("origin", "url", "role", "hospital")]
        texts += [given[name] for name in _GIVEN - {"assurance"}]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("expected texts")
        session = GivenSession(**given)
        held = Held(
            found["origin"], found["url"], found["role"], found["hospital"], session,
            int(found["strong_until"]),
        )  # fmt: skip
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise KeyFileError(f"{path} does not hold a session: {error}; sign in again") from error
    held.asks, held.keeps = second, lambda one: keep(path, one)
    return held


def secret(words: str, empty: bool = False) -> str:
    """A secret: asked for at a terminal, where it isn't shown, else the next line of standard input.

    `empty`: it may be empty, and is where standard input has no line more.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        default = "" if empty else None
        return str(typer.prompt(words, default, hide_input=True, show_default=False, err=True))
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line and not empty:
        raise RecordsError(f"{words}: expected it as a line of standard input")
    return line.rstrip("\r\n")


def as_second(typed: str) -> tuple[str, str]:
    """What was typed as a second factor, as a one-time code (six digits) or else a recovery code; one of both is empty."""
    plain = typed.replace(" ", "")
    is_code = len(plain) == 6 and plain.isascii() and plain.isdigit()
    return (plain, "") if is_code else ("", plain)


def second() -> tuple[str, str]:
    """Ask for a code; raises RecordsError for an empty line."""
    shown = as_second(secret("Code, or recovery code"))
    if not any(shown):
        raise RecordsError(f"expected a code or a recovery code: {NO_PASSKEY}")
    return shown


def new_password(file: Path | None) -> str:
    """A new password: as `password_of`, but asked for twice at a terminal, as nobody sees what was typed."""
    password = password_of(file, "New password")
    at_terminal = file is None and sys.stdin is not None and sys.stdin.isatty()
    if at_terminal and secret("The same password again") != password:
        raise RecordsError("the two passwords are not the same; nothing was done")
    return password


def password_of(file: Path | None, words: str = "Password") -> str:
    """A password: the first line of `file`, which its owner alone can read (or a descriptor, /dev/fd/N), or asked for."""
    if file is None:
        return secret(words)
    with file.open("rb") as opened:
        status = os.fstat(opened.fileno())
        if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(f"{file} is readable by others, expected mode 600: run chmod 600 {file}")  # fmt: skip
        line = opened.readline(PASSWORD_LINE_BYTES)
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RecordsError(f"{file}: expected a password as UTF-8 in its first line") from error
