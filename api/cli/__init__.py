# ruff: noqa: I001 - the modules stand in the order in which their commands are listed
"""The command line. Each command looks up, calls one journey, prints one answer."""

from api.cli.app import app, main, program
from api.cli import (
    setup, checking, serving, witnessing, operations, maintenance, blobs, keeper, roots, logkeys, keys, policies, people, accounts, applying, claims, factors, resetting, kept, contacts, mail, staff, generating, imports,
    intake, records, charts, consents, emergencies, disclosures, relatives, erasing, holds, proofs, demo,
)  # fmt: skip

__all__ = [
    "accounts",
    "app",
    "applying",
    "blobs",
    "charts",
    "checking",
    "claims",
    "consents",
    "contacts",
    "demo",
    "disclosures",
    "emergencies",
    "erasing",
    "factors",
    "generating",
    "holds",
    "imports",
    "intake",
    "keeper",
    "kept",
    "keys",
    "logkeys",
    "mail",
    "main",
    "maintenance",
    "operations",
    "people",
    "policies",
    "program",
    "proofs",
    "records",
    "relatives",
    "resetting",
    "roots",
    "serving",
    "setup",
    "staff",
    "witnessing",
]
