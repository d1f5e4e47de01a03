"""Tables of a hospital (CSV) into drafts: patient by patient over all files, memory bound by the largest patient.

A record holds the rows of one patient, encounter, category and file: the header and the rows as they came.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as Members
from contextlib import closing
from functools import partial
from itertools import groupby
from pathlib import Path
from zlib import crc32

from imports.drafts import Findings, Origin, PatientDraft, RecordDraft, Unit
from imports.labels import Labels
from imports.mapping import PATIENTS, Mapping, Table
from imports.spool import Patient, Spool, Spooled, Unclear
from imports.tablefiles import TableFile, ended, position
from imports.texts import TITLE_BYTES, shown

__all__ = ["Mapping", "Table", "read_tables"]

MEDIA_TYPE = "text/csv"
_Group = tuple[int, str | None, str]
"""File, encounter and category."""


def read_tables(
    files: Members[Path, Table],
    labels: Labels,
    findings_of: Callable[[Path], Findings],
    origin: Origin | None = None,
) -> Iterator[PatientDraft]:
    """The drafts of these files, those of registered patients first; `findings_of` a file: where it is told.

    Every file is read once from end to end, then the rows of each patient again where they stand.
    """
    origin = origin or Origin()
    registering = [path for path, table in files.items() if table.kind == PATIENTS]
    others = [path for path, table in files.items() if table.kind != PATIENTS]
    with closing(Spool()) as spool:
        read = [
            TableFile(path, files[path], labels, findings_of(path), origin)
            for path in (*registering, *others)
        ]
        for number, file in enumerate(read):
            _spool(number, file, spool)
        for patient in spool.patients():
            yield _draft(patient, read, spool.rows(patient))


def _spool(number: int, file: TableFile, spool: Spool) -> None:
    for reading, changed in file.readings():
        try:
            spool.add(number, reading, changed)
        except Unclear as error:
            file.reject(reading.row, str(error))
        else:
            file.take(reading)


def _draft(patient: Patient, files: Sequence[TableFile], rows: Iterable[Spooled]) -> PatientDraft:
    groups: dict[_Group, list[tuple[Spooled, Unit]]] = {}
    seen = Counter[str]()
    for row, raw in _with_bytes(files, rows):
        seen[row.name] += 1
        name = row.name if seen[row.name] == 1 else f"{row.name} {seen[row.name]}"
        unit = Unit.of(name, position(row.line), raw, row.labels.split())
        groups.setdefault((row.file, row.encounter, row.category), []).append((row, unit))
    records = tuple(_record(files[group[0]], group, members) for group, members in groups.items())
    encounters = len({encounter for _, encounter, _ in groups if encounter is not None})
    return PatientDraft(
        patient.names.strong,
        patient.names.weak,
        patient.person,
        records,
        encounters,
        said=patient.said,
    )


def _with_bytes(
    files: Sequence[TableFile], rows: Iterable[Spooled]
) -> Iterator[tuple[Spooled, bytes]]:
    """The rows with what goes into a record; one that the file no longer holds is rejected."""
    for number, group in groupby(rows, lambda row: row.file):
        file = files[number]
        with file.path.open("rb") as stream:
            for row in group:
                raw = row.changed
                if raw is None:
                    stream.seek(row.offset)
                    raw = stream.read(row.length)
                    if crc32(raw) != row.crc:
                        file.reject_at(row.line, "got a file that changed while it was read", raw)
                        continue
                yield row, ended(raw, file.line_end)


def _record(file: TableFile, group: _Group, members: Sequence[tuple[Spooled, Unit]]) -> RecordDraft:
    _, encounter, category = group
    days = sorted({row.day for row, _ in members if row.day})
    # Without an encounter the rows may be of many years: then none of their days is that of the record.
    day = days[0] if days and (encounter is not None or len(days) == 1) else None
    return RecordDraft(
        category,
        encounter,
        day,
        _title(file.table.name, day, [row.title for row, _ in members]),
        MEDIA_TYPE,
        tuple(unit for _, unit in members),
        partial(_content, file.header),
        shown(file.path.name),
        file.path,
    )


def _title(table: str, day: str | None, titles: Sequence[str]) -> str:
    """`procedures, 2021-08-23: Medication Reconciliation and 2 more`."""
    start = f"{table}, {day}" if day else table
    more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
    first = next(filter(None, titles), "")
    if not first:
        return shown(start)
    room = TITLE_BYTES - len(f"{start}: {more}".encode())
    return shown(f"{start}: {shown(first, room)}{more}")


def _content(header: bytes, units: Sequence[Unit]) -> Iterator[bytes]:
    yield header
    for unit in units:
        yield unit.raw
