"""The key keeper as a child: a process of its own that the first of its callers starts, and that ends with the last."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from durable.errors import StartRefused
from keeper.endpoints import UnixEndpoint
from keeper.remote import RemoteKeeper
from ledger.checkpoint import parse_keys

SOCKET = "socket"
"""Where it listens, in its folder."""
START_SECONDS = 60.0
"""How long it may take to start: Argon2id, a key service that answers slowly, a store to be brought to a newer form."""
READY, HELD = "ready", "held"
"""What it says of its start: that it listens, or that another one keeps this folder's keys."""


@dataclass(frozen=True)
class KeeperPlace:
    """What a keeper is made of."""

    folder: str
    roots: str
    """The folder of the record root."""
    vkeys: tuple[str, ...]
    """The log's verifier keys."""
    secret: str | None
    """The root's passphrase."""
    pin: str | None = None
    """The PIN of the token that wraps the root."""

    @property
    def socket(self) -> Path:
        """Where it listens as a child."""
        return Path(self.folder) / SOCKET


def child_keeper(place: KeeperPlace) -> RemoteKeeper:
    """The keeper in a process of its own, which the first of its callers starts and which ends with the last.

    Raises StartRefused where it can't start, with its reason.
    """
    where, origin = UnixEndpoint(place.socket), parse_keys(place.vkeys)[0].name
    found = RemoteKeeper(where, origin, lambda: start_child(place))
    found.standing()
    return found


def start_child(place: KeeperPlace) -> None:
    """Start the keeper unless one runs; raises StartRefused where it can't."""
    begun = subprocess.Popen(
        [sys.executable, "-P", "-m", "keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        start_new_session=True,  # it serves others too, whatever becomes of this process
        text=True,
    )
    with begun:
        try:
            said = begun.communicate(json.dumps(asdict(place)), START_SECONDS)[0].strip()
        except subprocess.TimeoutExpired as error:
            with suppress(ProcessLookupError):  # the group: what it forked is nobody's child
                os.killpg(begun.pid, signal.SIGKILL)
            raise StartRefused(
                f"the key keeper did not start within {START_SECONDS:g} s: its root or its store did not answer"
            ) from error
    if said not in (READY, HELD):
        raise StartRefused(said or "the key keeper ended as it started, without a word")
