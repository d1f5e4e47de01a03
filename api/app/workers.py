"""Several workers behind one port: begun together, replaced when they die, ended with their parent."""

import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from socket import socket

from fastapi import FastAPI
from uvicorn.config import Config
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from api.app.metrics import SHARED, worker_ended
from api.app.process import prepare
from durable.errors import StartRefused

START_SECONDS = 120
"""How long all workers may take until they serve."""
PING_SECONDS = 1.0
"""How long a worker that starts may take to say whether it serves."""
GRACE_SECONDS = 60
"""After this a worker whose parent is gone ends, whatever it is working on."""

_LOG = logging.getLogger(__name__)


class Workers(Multiprocess):
    """The parent of the workers; says when all of them serve, and in the log when one is lost."""

    def __init__(self, config: Config, sockets: list[socket], serving: Callable[[], None]) -> None:
        """`serving` is called once, when every worker accepts connections."""
        super().__init__(config, sockets)
        self._serving = serving

    def init_processes(self) -> None:
        """Start them and wait until all serve; raises StartRefused if one can't."""
        super().init_processes()
        for process in self.processes:
            self._told("worker started", process)
        deadline = time.monotonic() + START_SECONDS
        for process in self.processes:
            while not self.should_exit.is_set() and not process.is_ready(PING_SECONDS):
                self.handle_signals()
                if not process.process.is_alive() or time.monotonic() > deadline:
                    self._give_up(process)
        if not self.should_exit.is_set():
            self._serving()

    def keep_subprocess_alive(self) -> None:
        """Replace who died, or doesn't answer."""
        before = list(self.processes)
        super().keep_subprocess_alive()
        for old, new in zip(before, self.processes, strict=True):
            if old is not new:
                self._told("worker lost", old)
                if old.pid is not None:
                    worker_ended(old.pid)
                self._told("worker started", new)

    def _give_up(self, failed: Process) -> None:
        exit_code = failed.exitcode
        for process in self.processes:
            process.kill()
        self.join_all()
        why = "does not serve" if exit_code is None else f"ended with {exit_code}"
        raise StartRefused(f"a worker {why} while it started; the log has what it met")

    def _told(self, what: str, process: Process) -> None:
        said = {"worker": process.pid, "workers": len(self.processes)}
        if process.exitcode is not None:
            said["exit"] = process.exitcode
        _LOG.log(logging.INFO if process.exitcode is None else logging.ERROR, what, extra=said)


def worker() -> FastAPI:
    """The application of one worker, in its own process."""
    from api.http import serving  # here, as the parent needs none of it

    prepare()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    return serving()


def _end_with_parent() -> None:
    """Stop in good order once the parent is gone, however it went; nobody would replace or stop us."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    _LOG.error("the parent is gone; this worker stops", extra={"worker": os.getpid()})
    shutil.rmtree(os.environ.get(SHARED, ""), ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
