"""What a process that serves asks of the system before it does."""

import os
import resource
import sys

from api.app import logs

FILES = 8_192
"""Open files: its connections, and room for what it reads and writes."""
PRIVATE_UMASK = 0o077
"""What a server writes is its user's alone, what libraries write for it, too."""
SWITCH_SECONDS = 0.001
"""How long a thread that parses may keep the one that answers from its turn."""


def prepare() -> None:
    """Take as many files as there may be, keep what is written from others, log, let no thread wait long."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    os.umask(PRIVATE_UMASK)
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure()
