"""The command line in this process, by the entry point that the installed command calls."""

import contextlib
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from api.app.settings import Settings
from api.cli.app import main

_BARE_RULE = re.compile(r"(?<![\w+/=\"])S[0-9]{1,2}(?![\w+/=\"]| \()")
"""A rule's number without its words behind it, and not within base64."""


def bare_rules(said: str) -> list[str]:
    """The lines for people in which a rule is a number alone, but for what an audit finds: two decisions, as the log
    has them."""
    lines = [line for line in said.splitlines() if "the rules give" not in line]
    return [line for line in lines if _BARE_RULE.search(line)]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def heartwood(settings: Settings, *arguments: object) -> Ran:
    """Run one command on the ledger of these settings; to people it says no rule by its number alone."""
    names = {
        "HEARTWOOD_DATA": settings.data, "HEARTWOOD_DATABASE_URL": settings.database_url,
        "HEARTWOOD_BLOBS": settings.blobs, "HEARTWOOD_BLOBS_QUORUM": str(settings.blobs_quorum),
        "XDG_STATE_HOME": settings.data.with_name("state"), "XDG_CONFIG_HOME": settings.data.with_name("config"),
    }  # fmt: skip
    environment = {name: str(value) for name, value in names.items()}
    if settings.witness_policy is not None:
        environment["HEARTWOOD_WITNESS_POLICY"] = str(settings.witness_policy)
    with (
        patch.object(sys, "argv", ["heartwood", *map(str, arguments)]),
        patch.dict(os.environ, environment),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            main()
            code: int | str | None = 0
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int), code
    ran = Ran(code, out.getvalue(), err.getvalue())
    assert "--json" in arguments or not bare_rules(ran.out + ran.err), ran
    return ran


def keyfile(settings: Settings, account: str) -> Path:
    """The key file that the commands made for an account."""
    (found,) = (settings.data / "people").glob(f"*{account}*")
    return found
