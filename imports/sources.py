"""Which files an import has, and what each of them is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imports.attachments import is_manifest
from imports.hl7 import is_hl7, registers
from imports.segments import mapped
from imports.tables import Mapping, Table
from imports.walking import Aside, walk

HEAD_BYTES = 4_096
"""How much of a file tells what it is."""
UNNAMED = "it is a list of an import's report; name it itself to import it"
"""Why rejects that merely lie in a folder are not imported: their lines name files anywhere, and to import them is
to decide for what is in them."""
REPORTED = "it is a list of an import's report, of many patients, and no record of anybody"


@dataclass
class Sources:
    """The files by what they are, each list in the order of the names."""

    bundles: list[Path] = field(default_factory=list)
    tables: dict[Path, Table] = field(default_factory=dict)
    messages: list[Path] = field(default_factory=list)
    """Messages that register patients come first: what others say of them can then be filed."""
    manifests: list[Path] = field(default_factory=list)
    attachments: list[Path] = field(default_factory=list)
    rejects: list[Path] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    """What is not read, and why."""

    def all(self) -> list[Path]:
        """Every file that is read, once."""
        return [
            *self.bundles,
            *self.tables,
            *self.messages,
            *self.manifests,
            *self.attachments,
            *self.rejects,
        ]

    def attach(self, named: Collection[Path]) -> None:
        """Take the files that a manifest names (resolved) for attachments, whatever and wherever they are."""
        for files in (self.bundles, self.messages, self.rejects):
            self.attachments += [path for path in files if path.resolve() in named]
            files[:] = [path for path in files if path.resolve() not in named]
        self.attachments += [path for path in self.tables if path.resolve() in named]
        self.tables = {
            path: table for path, table in self.tables.items() if path.resolve() not in named
        }


def find_sources(paths: Sequence[Path], mapping: Mapping) -> Sources:
    """Sort the files named, and every name below the folders named, by what they are.

    Raises RecordsError for a path that isn't there.
    """
    sources = Sources()
    late: list[Path] = []
    named = frozenset(paths)
    for one in walk(paths):
        if isinstance(one, Aside):
            sources.aside.append(one)
            continue
        try:
            _sort(one, mapping, sources, late, one in named)
        except OSError as error:
            sources.aside.append(Aside(one, f"it cannot be read: {error.strerror}"))
    sources.messages += late
    return sources


def _sort(path: Path, mapping: Mapping, sources: Sources, late: list[Path], named: bool) -> None:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    table = mapping.table_of(path.name)
    if is_manifest(head):
        sources.manifests.append(path)
    elif table is not None:
        sources.tables[path] = table
    elif is_hl7(head):
        with mapped(path) as data:
            (sources.messages if registers(data) else late).append(path)
    elif _is_list(path, head, b'"reason"'):
        if named:
            sources.rejects.append(path)
        else:
            sources.aside.append(Aside(path, UNNAMED))
    elif _is_list(path, head, b'"what"'):
        sources.aside.append(Aside(path, REPORTED))
    elif path.suffix.lower() == ".json":
        sources.bundles.append(path)
    else:
        sources.attachments.append(path)


def _is_list(path: Path, head: bytes, third: bytes) -> bool:
    """Whether it is a list of a report: by its ending, and its keys, which stand in a fixed order."""
    return path.suffix == ".jsonl" and all(key in head for key in (b'"file"', b'"position"', third))
