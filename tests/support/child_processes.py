"""Child processes of the tests, forked from a server that has everything imported: there in milliseconds."""

import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "api.cli", "tests.support.workers", "tests.deep.journey", "tests.deep.scarce", "tests.deep.failover", "tests.deep.keeper",
        "tests.deep.rotation", "tests.deep.s3", "tests.deep.sign_ins", "tests.deep.mail", "tests.deep.witnesses", "tests.deep.warm",
    ]
)  # fmt: skip
STREAMS = ("in", "out", "err")


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a child; it ends with this process."""
    child = CONTEXT.Process(target=target, args=arguments, daemon=True)
    child.start()
    return child


def run_command(
    environment: Mapping[str, str], *arguments: object
) -> subprocess.CompletedProcess[bytes]:
    """Run `heartwood` with these arguments in a child whose environment this is, and nothing to read."""
    words = ["heartwood", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in STREAMS]
        for file in files:
            file.touch()
        child = start(_command, words, dict(environment), os.getcwd(), files)
        child.join()
        assert child.exitcode is not None
        _, out, err = (file.read_bytes() for file in files)
    return subprocess.CompletedProcess(words, child.exitcode, out, err)


def _command(words: list[str], environment: dict[str, str], folder: str, files: list[Path]) -> None:
    from api.cli import main

    for number, file in enumerate(files):
        opened = os.open(file, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, mode, closefd=False), write_through=True)
        for number, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    main()
