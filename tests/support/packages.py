"""Programs of Debian's that tests need: found, or installed now where this process may."""

import fcntl
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support.postgres import apt_get

INSTALL_LOCK = Path("/run/heartwood-packages-install.lock")


def program(name: str, package: str) -> str:
    """The path of a program, of whose `package` of several test processes one installs; fails in one line where it can't be had."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with INSTALL_LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if shutil.which(name) is None:  # else another one was faster
                with suppress(OSError, subprocess.SubprocessError):
                    apt_get("update")
                    apt_get("install", "--yes", "--no-install-recommends", package)
    found = shutil.which(name)
    assert found, f"{name} is missing (Debian: apt-get install {package})"
    return found
