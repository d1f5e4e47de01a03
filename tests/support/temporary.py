"""Where temporary files of tests are made soonest; prints it, for TMPDIR.

In memory, if there is plenty: a test kills processes and servers, whose writes stay there, and none cuts
the power; so waiting for a disk shows nothing. Else where the system has them, or where TMPDIR says.
"""

import os
import re
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
"""What has to be free there, and twice of it in memory; a run takes about a quarter."""


def folder() -> Path:
    """The folder."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK | os.X_OK):
        return Path(tempfile.gettempdir())
    there = os.statvfs(MEMORY)
    fits = there.f_bavail * there.f_frsize >= ROOM_BYTES and _available() >= 2 * ROOM_BYTES
    return MEMORY if fits and not there.f_flag & os.ST_NOEXEC else Path(tempfile.gettempdir())


def _available() -> int:
    """Bytes of memory that programs may still take."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    print(folder())
