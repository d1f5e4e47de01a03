# ruff: noqa: I001 - the modules stand in the order in which their commands are listed
"""The command line. Each command looks up, calls one journey, prints one answer."""

from api.cli.app import app, main
from api.cli import setup, people, records, proofs, demo

__all__ = ["app", "demo", "main", "people", "proofs", "records", "setup"]
