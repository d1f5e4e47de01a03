"""The key keeper in the process that runs it: opened after every check and, as a child, kept as long as somebody asks it."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from durable.errors import StartRefused, StorageError
from durable.trusted import TrustedCheckpoint
from keeper.child import HELD, READY, KeeperPlace
from keeper.cosigning import open_cosigner
from keeper.following import FOLLOWED, FollowedLog
from keeper.keeper import KeyKeeper
from keeper.keks import KEKS, KekStore
from keeper.listening import Listener, UnixListener
from keeper.releases import Releases, open_signer
from keeper.roots import RecordRoots, Unlock
from keeper.server import KeeperServer, OneKeeper
from ledger.checkpoint import parse_keys, said_by

CHECKPOINT = "checkpoint"
"""The last checkpoint that it saw."""
WRITE_MS = 1_000
"""Least time between two writings of the last checkpoint seen."""
SWITCH_SECONDS = 0.0005
"""How long one caller's thread may keep another one's from its turn."""


def wall_clock() -> int:
    """The machine's clock, Unix ms."""
    return time.time_ns() // 1_000_000


def open_keeper(
    place: KeeperPlace, clock: Callable[[], int] = wall_clock, create: bool = False
) -> KeyKeeper:
    """The keeper in this process, whose root is the right one; raises StartRefused. `create`: its store is new."""
    roots = RecordRoots(Path(place.roots), Unlock(place.secret, place.pin))
    keys, folder = parse_keys(place.vkeys), Path(place.folder)
    with ExitStack() as opened:
        store = KekStore(folder / KEKS, create)
        opened.callback(store.close)
        followed = FollowedLog(folder / FOLLOWED, keys[0].name)
        opened.callback(followed.close)
        trusted = TrustedCheckpoint(
            folder / CHECKPOINT, WRITE_MS, lambda note: said_by(note).size
        )  # its own file, so what it says counts, whichever keys signed it
        cosigner = open_cosigner(folder, keys[0].name, place.secret)
        releases = Releases(folder, clock)
        opened.callback(releases.close)
        releases.take_over(store.old_used())
        signer = open_signer(folder, keys[0].name, place.secret, begun=releases.size > 0)
        keeper = KeyKeeper(
            roots, store, keys, trusted, clock, followed, cosigner, folder, releases, signer
        )
        if create:
            keeper.create()
        keeper.check_root()
        opened.pop_all()  # they are the keeper's
    return keeper


def be_child() -> int:
    """Be the keeper that standard input describes, until its last caller is gone; gives the exit code."""
    told = json.loads(sys.stdin.read())
    place = KeeperPlace(**told | {"vkeys": tuple(told["vkeys"])})
    if os.fork():
        return 0  # nobody's child any more, so that whoever started it need not wait for its end
    sys.setswitchinterval(SWITCH_SECONDS)
    os.umask(0o077)
    try:
        alone = OneKeeper(Path(place.folder))
        keeper = open_keeper(place)
        origin = parse_keys(place.vkeys)[0].name
        listener = UnixListener(place.socket, {os.getuid()})
        server = KeeperServer(keeper, origin, listener, with_callers=True)
    except BlockingIOError:
        return _say(HELD)
    except (StorageError, OSError) as error:
        _say(" ".join(str(error).split()))
        return 1
    _say(READY)
    server.serve()
    del alone  # the lock is held up to here
    return 0


def be_keeper(
    place: KeeperPlace, listening: Callable[[], Listener], ready: Callable[[], object]
) -> None:
    """Keep a folder's keys until the process is told to stop (SIGTERM, SIGINT).

    `listening`: lets callers in, from when it is called, which is after every check. `ready` is called then. Raises
    StartRefused, also where another process keeps them.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        alone = OneKeeper(Path(place.folder))
    except BlockingIOError as error:
        raise StartRefused(f"another process keeps the keys of {place.folder}") from error
    origin = parse_keys(place.vkeys)[0].name
    keeper = open_keeper(place)
    try:
        server = KeeperServer(keeper, origin, listening())
    except BaseException:
        keeper.close()
        raise
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
    ready()
    server.serve()
    del alone  # the lock is held up to here


def _say(word: str) -> int:
    """Tell the process that started this one, which then hears no more."""
    print(word, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
