"""A real PostgreSQL for the tests: a throw-away cluster on loopback, gone with the run.

    with Cluster.start() as cluster:
        url = cluster.database()

Any number may run side by side, one a worker process for instance. Call `start` and `restart` in
a thread that outlives the cluster (the main one): the kernel ends the server with that thread.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psycopg
from psycopg import sql

HOST = "127.0.0.1"
USER = "heartwood"
PREFIX = "heartwood-postgres-"
START_SECONDS = 180.0
STOP_SECONDS = 10.0
INSTALL_SECONDS = 600.0
POLL_SECONDS = 0.01
PORT_ATTEMPTS = 20

# Below the range that outgoing connections take theirs from (32768 and up on Linux), so that
# nobody sits on the port of a killed cluster when it comes back.
PORTS = range(20_000, 32_000)

# The first three are what Heartwood insists on. Dynamic shared memory lies in the data directory,
# so that a killed server leaves none behind in /dev/shm.
SETTINGS = f"""
fsync = on
full_page_writes = on
synchronous_commit = on
listen_addresses = '{HOST}'
unix_socket_directories = ''
shared_buffers = 128MB
max_connections = 50
dynamic_shared_memory_type = mmap
timezone = 'UTC'
log_timezone = 'UTC'
"""

MISSING = (
    "PostgreSQL's server is missing (Debian: apt-get install postgresql; elsewhere: initdb and "
    "postgres on PATH): the PostgreSQL half of the tests is left out"
)

CREATECLUSTER = Path("/etc/postgresql-common/createcluster.d/heartwood-tests.conf")
INSTALL_LOCK = Path("/run/heartwood-postgres-install.lock")

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
IPC_RMID = 0  # <sys/ipc.h>


class PostgresMissing(RuntimeError):
    """No server binaries here, and none could be installed; the text is one line for people."""


class Cluster:
    """One running server with a data directory, a port and a superuser of its own."""

    port: int
    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, programs: Path) -> None:
        """Make an empty directory for a cluster of the binaries in `programs`; see `start`."""
        self._programs = programs
        self._owner = os.getpid()
        self._account = _account()
        self._password = secrets.token_hex(16)
        self._directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _hold(self._directory)
        self._data = self._directory / "data"
        self.log = self._directory / "server.log"
        atexit.register(self.stop)

    @classmethod
    def start(cls) -> Self:
        """A fresh cluster that answers.

        Raises PostgresMissing without server binaries, RuntimeError with the end of the server's
        log when it doesn't come up within START_SECONDS.
        """
        programs = find_or_install()
        _sweep()
        cluster = cls(programs)
        try:
            cluster._create()
            cluster._launch_on_free_port()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def database(self) -> str:
        """Create an empty database; its URL for SQLAlchemy, the user a superuser."""
        name = f"t_{secrets.token_hex(8)}"
        server = f"{USER}:{self._password}@{HOST}:{self.port}"
        with psycopg.connect(f"postgresql://{server}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{server}/{name}"

    def kill(self) -> None:
        """Crash the server: SIGKILL to the postmaster and its children, nothing flushed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        # Stopped, it neither forks nor reaps: the children's pids stay theirs until all are dead.
        process.send_signal(signal.SIGSTOP)
        while children := _living_children(process.pid):
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        process.kill()
        process.wait()

    def restart(self) -> None:
        """Start again after `kill`, on the same port and data; a living server is killed first."""
        self.kill()
        self._launch()

    def stop(self) -> None:
        """Stop at once and remove the directory; does nothing the second time."""
        # A forked child inherits this object and the exit hook, but not the cluster.
        if os.getpid() != self._owner:
            return
        self._quit()
        self._forget_shared_memory()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._lock.close()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        """The cluster itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _create(self) -> None:
        """Run initdb: no sync, as a cluster that a power cut takes is simply made anew."""
        password = self._directory / "password"
        password.write_text(self._password, encoding="ascii")
        if self._account:
            for path in (self._directory, password):
                os.chown(path, self._account["user"], self._account["group"])
        command = [f"{self._programs}/initdb", f"--pgdata={self._data}", f"--username={USER}"]
        command += [f"--pwfile={password}", "--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, **self._surroundings())
        password.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)

    def _launch_on_free_port(self) -> None:
        for attempt in range(PORT_ATTEMPTS):
            self.port = _free_port()
            try:
                return self._launch()
            except RuntimeError as error:
                # Somebody else bound it between our look and the server's.
                if "could not bind" not in str(error) or attempt == PORT_ATTEMPTS - 1:
                    raise

    def _launch(self) -> None:
        """Start the postmaster and wait until it takes connections, recovery included."""
        command = [f"{self._programs}/postgres", "-D", f"{self._data}", "-p", f"{self.port}"]
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops the server
                preexec_fn=_die_with_parent(),
                **self._surroundings(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_bytes()[before:].decode(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start: {said.strip()}")
            time.sleep(POLL_SECONDS)

    def _ready(self) -> bool:
        """Whether the lock file says so: its line 1 is the pid, line 8 the state."""
        lines = self._pidfile()
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return ours and len(lines) > 7 and lines[7].strip() == "ready"

    def _pidfile(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _surroundings(self) -> dict[str, Any]:
        # PG* variables would bend the server's ways; messages stay English, for "could not bind".
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {**self._account, "cwd": self._directory, "env": {**clean, "LC_ALL": "C"}}

    def _quit(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _forget_shared_memory(self) -> None:
        """Remove the System V segment of a killed server: line 7 of its lock file, `key id`."""
        lines = self._pidfile()
        if len(lines) > 6:
            ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), IPC_RMID, None)


def find_programs() -> Path | None:
    """The directory of the newest `initdb` and `postgres` of this machine, if any."""
    found = sorted(Path("/usr/lib/postgresql").glob("[1-9][0-9]/bin"), reverse=True)
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        found.insert(0, Path(said.stdout.strip()))
    if server := shutil.which("postgres"):
        found.append(Path(server).resolve().parent)
    # pg_config comes with the client's headers too, so its directory may hold no server.
    complete = (d for d in found if (d / "initdb").is_file() and (d / "postgres").is_file())
    return next(complete, None)


def find_or_install() -> Path:
    """The same, installed where this process may; raises PostgresMissing."""
    return find_programs() or _install()


def _account() -> dict[str, Any]:
    """Whom to run the server as: nothing to say for a user, an unprivileged account for root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    """A port nobody listens on now; drawn from the system, as test runs seed `random` alike."""
    while True:
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def _die_with_parent() -> Callable[[], None] | None:
    """What the server's process does before it becomes one: ask to end with this one."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGQUIT))
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return ask


def _living_children(parent: int) -> list[int]:
    """The pids of a process's children, zombies left out; Linux only, elsewhere empty."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The second field is a name in brackets that may hold anything.
            state, of = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(of) == parent and state != "Z":
                children.append(int(stat.parent.name))
    return children


def _hold(directory: Path) -> IO[bytes]:
    """Lock the directory as long as this process lives, under a name that is locked from birth."""
    handle = (directory / "lock.new").open("wb")
    fcntl.flock(handle, fcntl.LOCK_EX)
    (directory / "lock.new").rename(directory / "lock")
    return handle


def _sweep() -> None:
    """Remove what killed runs left: the directories whose lock nobody holds any more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/lock"):
        with suppress(OSError), lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def _install() -> Path:
    """Install Debian's package where this process may, one process at a time."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PostgresMissing(MISSING)
    with INSTALL_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if find_programs() is None:  # else another worker was faster
            with suppress(OSError, subprocess.SubprocessError), _no_main_cluster():
                apt_get("update")
                apt_get("install", "--yes", "--no-install-recommends", "postgresql")
    if programs := find_programs():
        return programs
    raise PostgresMissing(MISSING)


def apt_get(*arguments: str) -> None:
    """Run apt-get, asking nobody; raises OSError or SubprocessError."""
    command = ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={INSTALL_SECONDS:.0f}", *arguments]
    surroundings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        command, env=surroundings, check=True, capture_output=True, timeout=INSTALL_SECONDS
    )


@contextmanager
def _no_main_cluster() -> Iterator[None]:
    """Keep Debian's package from making and starting a cluster of its own."""
    CREATECLUSTER.parent.mkdir(parents=True, exist_ok=True)
    CREATECLUSTER.write_text("create_main_cluster = false\n", encoding="ascii")
    try:
        yield
    finally:
        CREATECLUSTER.unlink()
