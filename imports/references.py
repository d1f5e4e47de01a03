"""The reference resources of all files of an import, on disk: they outgrow memory with the number of patients."""

import sqlite3
from collections import OrderedDict
from hashlib import sha256
from urllib.parse import unquote

from imports.fhir import REFERENCE_TYPES, Resource, scan_bundle
from imports.fhir.drafts import collection
from imports.fhir.names import identifier_names, own_names
from imports.fhir.walk import is_text

RESOURCES_KEPT = 4_096
"""Parsed resources kept in memory."""


class SpooledIndex:
    """Organizations, practitioners and their like by every name, as `Names` has it, in a temporary file."""

    def __init__(self) -> None:
        """Start with no name known; the file has no name and goes with the process."""
        self._spool = sqlite3.connect("", isolation_level=None)
        self._spool.execute(
            "CREATE TABLE resources (id INTEGER PRIMARY KEY, hash BLOB UNIQUE, raw BLOB)"
        )
        self._spool.execute(
            "CREATE TABLE names (name TEXT PRIMARY KEY, resource INTEGER) WITHOUT ROWID"
        )
        self._parsed: OrderedDict[int, Resource] = OrderedDict()

    def add(self, resource: Resource) -> None:
        """Enter one resource; one that is no reference resource is passed over."""
        if resource.type not in REFERENCE_TYPES:
            return
        raw = collection([resource])
        digest = sha256(raw).digest()
        if self._spool.execute("SELECT 1 FROM resources WHERE hash = ?", (digest,)).fetchone():
            return
        number = self._spool.execute(
            "INSERT INTO resources (hash, raw) VALUES (?, ?)", (digest, raw)
        ).lastrowid
        for name in own_names(resource):
            self._spool.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (name, number))
        for name in identifier_names(resource):
            self._spool.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (name, number))
            known = self._named(name)
            if known is not None and known.raw != resource.raw and not _meet(known, resource):
                # An identifier that two resources bear names neither: better none than a wrong one.
                self._spool.execute("UPDATE names SET resource = NULL WHERE name = ?", (name,))

    def find(self, reference: str) -> Resource | None:
        """Return what the reference names, at whatever version; None when nothing or several."""
        if not is_text(
            reference
        ):  # nothing that SQLite could take, and so nothing that was entered
            return None
        found = self._named(reference.partition("/_history/")[0])
        kind, conditional, query = reference.partition("?")
        if found is None and conditional:
            found = self._named(f"{kind}?{unquote(query)}")
        return found

    def close(self) -> None:
        """Give the file back."""
        self._spool.close()

    def _named(self, name: str) -> Resource | None:
        row = self._spool.execute("SELECT resource FROM names WHERE name = ?", (name,)).fetchone()
        return None if row is None or row[0] is None else self._resource(row[0])

    def _resource(self, number: int) -> Resource:
        parsed = self._parsed.get(number)
        if parsed is None:
            (raw,) = self._spool.execute(
                "SELECT raw FROM resources WHERE id = ?", (number,)
            ).fetchone()
            parsed = self._parsed[number] = scan_bundle(raw)[1][0]
            if len(self._parsed) > RESOURCES_KEPT:
                self._parsed.popitem(last=False)
        return parsed


def _meet(one: Resource, other: Resource) -> bool:
    return not set(own_names(one)).isdisjoint(own_names(other))
