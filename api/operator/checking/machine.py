"""The program, the process's limits and the machine's clock."""

import ctypes
import os
import platform
import resource
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version

import psycopg

from api.app.process import FILES
from api.app.settings import Settings
from api.operator.checking.files import checked_marker
from api.operator.checking.findings import Finding, ok, warning
from crypto.texts import counted

TIMEX_BYTES = 512
"""Room for the kernel's `struct timex` (208 bytes on 64 bits)."""
TIME_ERROR = 5
"""What adjtimex(2) gives while the clock is not synchronized."""


def check_machine(settings: Settings) -> Iterator[Finding]:
    """What doesn't depend on the ledger; raises StartRefused where no data directory is."""
    checked_marker(settings)
    libpq = psycopg.pq.version()
    yield ok(
        "versions",
        f"heartwood {version('heartwood')}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"libpq {libpq // 10_000}.{libpq % 10_000}",
    )
    yield _files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield from _synchronized(_adjtimex())
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    yield ok("workers", f"{counted(cores, 'core')}: `serve --workers {cores}` is fastest")


def _files(hard: int) -> Finding:
    if hard == resource.RLIM_INFINITY or hard >= FILES:
        return ok("open files", f"at least {FILES} may be open at once")
    return warning(
        "open files",
        f"at most {hard} files may be open at once, {FILES} are wanted: under load connections are turned away",
        f"raise it: LimitNOFILE={FILES} in the service's unit, or ulimit -n",
    )


def _synchronized(state: int | None) -> Iterator[Finding]:
    if state is None:
        return
    if state == TIME_ERROR:
        yield warning(
            "clock's source",
            "the kernel says that its clock is not synchronized: it drifts, and one day nothing can be appended",
            "run systemd-timesyncd, chrony or ntpd",
        )
    else:
        yield ok("clock's source", "the kernel's clock is synchronized")


def _adjtimex() -> int | None:
    """The kernel's word on its clock, asked without a change (modes = 0); None where it can't be asked."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except AttributeError:
        return None
    state: int = ask(ctypes.create_string_buffer(TIMEX_BYTES))
    return None if state < 0 else state
