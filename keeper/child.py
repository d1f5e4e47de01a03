"""The key keeper as a child: a process of its own that the first of its callers starts, and that ends with the last."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from durable.errors import StartRefused
from keeper.remote import RemoteKeeper
from ledger.checkpoint import parse_keys

SOCKET = "socket"
"""Where it listens, in its folder."""
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
    found = RemoteKeeper(place.socket, parse_keys(place.vkeys)[0].name, lambda: start_child(place))
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
    assert begun.stdin is not None
    assert begun.stdout is not None
    with begun.stdin as told, begun.stdout as says:
        try:
            told.write(json.dumps(asdict(place)))
            told.close()
        except BrokenPipeError:
            pass  # it ended already, and its answer says why
        said = says.readline().strip()
    begun.wait()
    if said not in (READY, HELD):
        raise StartRefused(said or "the key keeper ended as it started, without a word")
