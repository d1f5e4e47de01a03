"""Witnesses of ours for tests: in this process, and as `heartwood witness serve` in one of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from api.app.witnessing import create_witness, opened_witness
from crypto.notes import VerifierKey

NAME = "witness.example/w"
_SERVING = re.compile(r"witnessing .* on (http://\S+)").search


def new_witness(folder: Path, keys: Sequence[VerifierKey], name: str = NAME) -> tuple[str, ...]:
    """A new witness that knows these keys as their logs'; gives its verifier keys."""
    vkeys = create_witness(folder, name, None)
    with opened_witness(folder, None) as witness:
        witness.add_log(list(keys))
    return vkeys


@contextmanager
def witness_serving(folder: Path, *options: str) -> Iterator[str]:
    """`heartwood witness serve`, killed in the end; gives its prefix."""
    command = [sys.executable, "-c", "from api.cli import main; main()"]
    command += ["witness", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        said = process.stdout.readline()
        match = _SERVING(said)
        assert match is not None, said + process.stderr.read()
        yield match[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
