"""Key keepers as processes of their own, at a Unix socket or over TLS, for a ledger that a test has."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.app.layout import VKEYS, keeper_folder
from api.app.settings import Settings
from keeper.certificates import make_certificates

PROGRAM = Path(".venv/bin/heartwood").resolve()
HOST, API = "127.0.0.1", "api.example"


@dataclass(frozen=True)
class Served:
    """A keeper that runs, and the settings of those who call it."""

    process: subprocess.Popen[str]
    settings: Settings
    port: int = 0
    """Over TLS."""


def free_port() -> int:
    """A TCP port of this machine that nobody listens to."""
    with socket.socket() as line:
        line.bind((HOST, 0))
        return int(line.getsockname()[1])


def certified(folder: Path, *callers: str) -> Path:
    """Certificates for a keeper at HOST, and for API and others."""
    make_certificates(folder, [HOST], [API, *callers])
    return folder


def keeper_env(settings: Settings) -> dict[str, str]:
    """The environment of a keeper that has the ledger's own keeper folder and roots."""
    folder = keeper_folder(settings).resolve()
    if not (folder / VKEYS).exists():
        (folder / VKEYS).write_bytes((settings.data / VKEYS).read_bytes())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTWOOD")}
    return clean | {
        "HEARTWOOD_KEEPER_DATA": str(folder),
        "HEARTWOOD_ROOT": str(settings.roots().resolve()),
    }


@contextmanager
def serving(env: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`heartwood keeper serve`, until the end."""
    with subprocess.Popen(
        [PROGRAM, "keeper", "serve", *arguments], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "keeping the keys of" in process.stdout.readline()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0


@contextmanager
def over_tls(settings: Settings, certificates: Path, names: str = API) -> Iterator[Served]:
    """The ledger's keeper over TLS; the ledger is not open."""
    port = free_port()
    env = keeper_env(settings) | {
        "HEARTWOOD_KEEPER_TLS": str(certificates / HOST),
        "HEARTWOOD_KEEPER_NAMES": names,
    }
    with serving(env, "--listen", f"tls:{HOST}:{port}") as process:
        yield Served(process, calling(settings, port, certificates / API), port)


def calling(settings: Settings, port: int, credentials: Path, host: str = HOST) -> Settings:
    """The settings of a caller over TLS."""
    return settings.model_copy(update={"keeper": f"tls:{host}:{port}", "keeper_tls": credentials})


@contextmanager
def at_socket(settings: Settings, path: Path) -> Iterator[Served]:
    """The ledger's keeper at a Unix socket; the ledger is not open."""
    with serving(keeper_env(settings), "--listen", f"unix:{path}") as process:
        yield Served(process, settings.model_copy(update={"keeper": f"unix:{path}"}))
