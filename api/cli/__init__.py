"""The command line. Each command looks up, calls one journey, prints one answer."""

from api.cli import demo, people, proofs, records, setup  # noqa: F401 - their commands register
from api.cli.app import app, main

__all__ = ["app", "main"]
