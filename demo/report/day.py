"""What the page is made of: the values that journeys and the auditor's tools gave, as they gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consent.auditor import Audit
from ledger.auditor import Report
from ledger.entry import Entry
from ledger.receipt import Receipt
from records.charts import Line
from records.history import History


@dataclass(frozen=True)
class Mark:
    """The log's end after a step of the day: how many entries, under which root."""

    what: str
    size: int
    root: bytes


@dataclass(frozen=True)
class Done:
    """A step of the day as it was told: what, and what came of it."""

    what: str
    told: str


@dataclass(frozen=True)
class Found:
    """What auditors found, in the log itself and in copies that were altered."""

    receipt: Receipt
    """Of the letter, checked."""
    vkeys: Sequence[str]
    """The log's verifier keys."""
    size: int
    """Entries of the export."""
    checkpoint: bytes
    """The export's signed note."""
    report: Report
    audit: Audit
    altered: str
    """The hash, in hexadecimal, that the letter's entry has in a copy with one byte altered."""
    damaged: str
    """What a verification says of a copy with one byte altered."""
    forged: str
    """The same, with the manifest made to fit."""
    lied: Report | None = None
    """The verification of a server's log that permitted what it must not."""
    lying: Audit | None = None
    """The audit of it."""
    lie: tuple[Entry, ...] = ()
    """The end of its log: the entry before the false one, and the false one."""


@dataclass(frozen=True)
class Seen:
    """What a patient sees of a day: the chart's list and its history."""

    origin: str
    patient: str
    """The patient's account."""
    name: str
    """The patient's name, as the chart has it."""
    lines: Sequence[Line]
    """The chart's list, as the patient sees it."""
    history: History
    names: Mapping[str, str]
    """Of persons and hospitals, by id."""
    around: Sequence[Entry]
    """Some entries in the order of the log, for the drawing of the chain."""


@dataclass(frozen=True, kw_only=True)
class Day(Seen):
    """A day of one ledger, seen by one patient and by auditors."""

    marks: Sequence[Mark]
    steps: Sequence[Done]
    found: Found
