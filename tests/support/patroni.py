"""Three PostgreSQL servers under Patroni, with three etcd, on loopback: a database that survives its machine.

They run by `deploy/patroni/patroni.yml`, with names, addresses, folders and passwords of their own.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml  # type: ignore[import-untyped]

from tests.support.paths import ROOT
from tests.support.postgres import (
    HOST,
    PR_SET_PDEATHSIG,
    _account,
    _free_port,
    _living_children,
    apt_get,
    find_or_install,
)

PACKAGES = ("patroni", "etcd-server", "etcd-client", "python3-etcd")
NAMES = ("a", "b", "c")
USER = "postgres"
READY_SECONDS = 180.0
"""How long three servers may take until they all follow."""
STOP_SECONDS = 10.0
POLL_SECONDS = 0.2
ANSWER_SECONDS = 2.0
ETCD_TIMES = ("--heartbeat-interval=300", "--election-timeout=3000")
"""In ms; longer than etcd's own, as one loaded machine does the work of three."""


class PatroniMissing(RuntimeError):
    """No Patroni and etcd here, and none could be installed; the text is one line for people."""


def find_or_install_patroni() -> None:
    """Patroni and etcd are there, installed where this process may; raises PatroniMissing."""
    if _found():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with suppress(OSError, subprocess.SubprocessError):
            apt_get("update")
            apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)
    if not _found():
        raise PatroniMissing(
            f"Patroni and etcd are missing (Debian: apt-get install {' '.join(PACKAGES)}): failovers are left out"
        )


def _found() -> bool:
    return shutil.which("patroni") is not None and shutil.which("etcd") is not None


@dataclass
class Node:
    """One machine's worth: Patroni and its PostgreSQL."""

    name: str
    folder: Path
    port: int
    rest: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    def kill(self) -> None:
        """The machine is gone: SIGKILL to Patroni, then to the server and its children, nothing flushed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if (server := self._server()) is None:
            return
        # Stopped, it neither forks nor reaps: the children's pids stay theirs until all are dead.
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGSTOP)
            while children := _living_children(server):
                for child in children:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                time.sleep(0.01)
            os.kill(server, signal.SIGKILL)
        while Path(f"/proc/{server}/cmdline").exists() and self._server() is not None:
            time.sleep(0.01)

    def _server(self) -> int | None:
        """The process id of this node's own server, if it runs."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if f"{self.data}".encode() in command else None


class PatroniCluster:
    """Three nodes; `stop` ends every process of theirs and removes the folder."""

    def __init__(self) -> None:
        """Starts them and waits until both standbys follow. Raises PatroniMissing, RuntimeError."""
        find_or_install_patroni()
        self._programs = find_or_install()
        self._password = secrets.token_hex(16)
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="heartwood-patroni-"))
        self._etcd: list[subprocess.Popen[bytes]] = []
        self.nodes = [Node(name, self._folder / name, _free_port(), _free_port()) for name in NAMES]
        try:
            self._own(self._folder)
            self._start_etcd()
            for node in self.nodes:
                node.folder.mkdir()
                self._own(node.folder)
                self.start(node)
            self.wait_whole()
        except BaseException:
            self.stop()
            raise

    def database(self) -> str:
        """Create an empty database; its URL, which names all three servers."""
        name = f"t_{secrets.token_hex(8)}"
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        server = f"postgresql://{USER}:{self._password}@{hosts}"
        primary = f"{server}/postgres?target_session_attrs=read-write"
        with psycopg.connect(primary, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        ports = ",".join(str(node.port) for node in self.nodes)
        where = f"host={','.join([HOST] * len(self.nodes))}&port={ports}"
        return f"postgresql+psycopg://{USER}:{self._password}@/{name}?{where}&target_session_attrs=read-write"

    def leader(self) -> Node:
        """The node that takes writes; raises RuntimeError if there is none."""
        for member in self.members():
            if member["role"] in ("leader", "master", "primary"):
                return next(node for node in self.nodes if node.name == member["name"])
        raise RuntimeError("no node leads")

    def members(self) -> list[dict[str, Any]]:
        """What Patroni says of its members, asked of the first node that answers."""
        for node in self.nodes:
            with suppress(OSError, ValueError):
                url = f"http://{HOST}:{node.rest}/cluster"
                with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
                    return list(json.load(answer)["members"])
        return []

    def wait_whole(self) -> None:
        """Wait until one leads, one follows synchronously, and the third one follows."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._whole():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not whole within {READY_SECONDS:.0f} s: {self.members()}")
            time.sleep(POLL_SECONDS)

    def _whole(self) -> bool:
        members = self.members()
        roles = sorted(m["role"] for m in members)
        follow = [
            m for m in members if m["role"] != "leader" and m["state"] in ("running", "streaming")
        ]
        return "leader" in roles and "sync_standby" in roles and len(follow) == len(NAMES) - 1

    def start(self, node: Node) -> None:
        """Start a node, which finds its place by itself."""
        config = node.folder / "patroni.yml"
        config.write_text(json.dumps(self._config(node)))  # JSON is YAML
        config.chmod(0o644)
        node.process = self._run(node.folder / "log", ["patroni", f"{config}"])

    def stop(self) -> None:
        """Kill every process of theirs, and remove the folder."""
        for node in self.nodes:
            node.kill()
        for process in self._etcd:
            process.kill()
            process.wait()
        self._etcd.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _config(self, node: Node) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/patroni/patroni.yml").read_text())
        server = config["postgresql"]
        for account in server["authentication"].values():
            account["password"] = self._password
        del config["restapi"]["authentication"]
        config |= {"name": node.name, "watchdog": {"mode": "off"}}
        config["restapi"] |= {
            "listen": f"{HOST}:{node.rest}",
            "connect_address": f"{HOST}:{node.rest}",
        }
        config["etcd3"]["hosts"] = self._clients
        server |= {
            "listen": f"{HOST}:{node.port}", "connect_address": f"{HOST}:{node.port}",
            "data_dir": f"{node.data}", "bin_dir": f"{self._programs}",
            "pgpass": f"{node.folder / 'pgpass'}",
            "parameters": {"unix_socket_directories": "", "dynamic_shared_memory_type": "mmap"},
            "pg_hba": [f"host {what} all {HOST}/32 scram-sha-256" for what in ("all", "replication")],
        }  # fmt: skip
        return config

    def _start_etcd(self) -> None:
        ports = {name: (_free_port(), _free_port()) for name in NAMES}
        together = ",".join(f"{name}=http://{HOST}:{peer}" for name, (_, peer) in ports.items())
        self._clients = [f"{HOST}:{client}" for client, _ in ports.values()]
        for name, (client, peer) in ports.items():
            said = ["etcd", f"--name={name}", f"--data-dir={self._folder / f'etcd-{name}'}"]
            for what, port in (("client", client), ("peer", peer)):
                said.append(f"--listen-{what}-urls=http://{HOST}:{port}")
            said.append(f"--advertise-client-urls=http://{HOST}:{client}")
            said.append(f"--initial-advertise-peer-urls=http://{HOST}:{peer}")
            said += [f"--initial-cluster={together}", "--initial-cluster-state=new", *ETCD_TIMES]
            self._etcd.append(self._run(self._folder / f"etcd-{name}.log", said))

    def _run(self, log: Path, command: list[str]) -> subprocess.Popen[bytes]:
        kept = ("PATH", "LANG")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        with log.open("ab") as out:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self._folder,
                env={**environment, "HOME": f"{self._folder}"}, start_new_session=True,
                preexec_fn=_ended_with_parent(), **self._account,
            )  # fmt: skip

    def _own(self, folder: Path) -> None:
        if self._account:
            os.chown(folder, self._account["user"], self._account["group"])


def _ended_with_parent() -> Callable[[], None]:
    """What a process does before it becomes another program: ask to be stopped in good order with this one."""
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))

    return ask
