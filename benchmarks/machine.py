"""What the figures were taken on, in one line: no name of a machine, no path, no date."""

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

from tests.support.postgres import find_programs

BUSY_LOAD = 0.5
"""Programs that ran or wanted to, on average over a minute, from which on it is told."""


def machine() -> str:
    """Processor, cores, memory, and the versions that count."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{_postgres()}, {backend.openssl_version_text().rsplit(' ', 3)[0]}"
    )


def busy() -> str:
    """A sentence, if the machine has been busy; ask before measuring, which makes it so."""
    load = os.getloadavg()[0]
    if load < BUSY_LOAD:
        return ""
    return f" The minute before had a load of {load:.1f}: compare within a table only."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")


def _postgres() -> str:
    programs = find_programs()
    if programs is None:
        return "no PostgreSQL"
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True)
    return f"PostgreSQL {said.stdout.split()[2]}"
