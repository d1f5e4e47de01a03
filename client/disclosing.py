"""Disclosures: what a hospital records of records that it gave out to others, and the patient's accounting of them.

The accounting has what 45 CFR 164.528(b)(2) asks for (date, who received and their address, what, what for), over the six
years of (a)(1), and what Regulation (EU) 2025/327 lets patients know of each access (who, when, which data). It is made from
the patient's history, which is proved to lack nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from client.port import LedgerClient
from crypto.encoding import b64decode, b64encode
from crypto.ids import is_id
from identity.actors import Actor, new_id
from journeys.errors import RecordsError
from journeys.sealing import TEXT_BYTES
from ledger.codes import DISCLOSED_RECORDS
from ledger.copies import uploads_of
from ledger.entry import Entry
from ledger.exports import export_line, export_root
from ledger.times import format_time, parse_time
from records.history import LIST_NAMES, History

YEARS = 6
"""How far back an accounting reaches unless less is asked for: 45 CFR 164.528(a)(1)."""
DAYS_A_YEAR_MS = 31_556_952_000
"""A Gregorian year on average, ms."""
VERSION_DIGITS = 9
"""Most digits of a version's number in a list."""


@dataclass(frozen=True)
class Disclosure:
    """What is said of a disclosure, in clear."""

    recipient: str
    """The name of who received it."""
    description: str
    """What was given out, in a few words."""
    statement: str
    """What for, in a few words."""
    address: str = ""
    """The recipient's, where it is known."""
    purpose: str = "HLEGAL"
    given: int | None = None
    """When it was given out, Unix ms; None: now."""


@dataclass(frozen=True)
class Suspending:
    """That the law orders the patient not to be told before an end."""

    until: int
    """Unix ms."""
    order: str
    """Which order, in a few words; the patient is told it, too."""


@dataclass(frozen=True)
class Line:
    """One disclosure of an accounting. Times as the formats write them."""

    seq: int
    """The entry by which the patient was told."""
    given: str
    hospital: str
    """Which hospital disclosed."""
    recipient: str
    address: str
    description: str
    purpose: str
    """The code of the registry."""
    statement: str
    records: tuple[tuple[str, int], ...]
    """The versions of records that were given out."""
    whole: bool
    """Whether they are those that count and root in the log commit to."""
    suspended_until: str = ""
    """Until when the law kept the patient from being told; empty where it didn't."""
    order: str = ""
    unopened: tuple[str, ...] = ()
    """The names of what the hospital wrote and can't be opened."""


def disclose(
    client: LedgerClient,
    actor: Actor,
    records: Sequence[str],
    what: Disclosure,
    suspended: Suspending | None = None,
) -> tuple[str, str, int]:
    """Record that the latest versions of `records`, all of one patient and written by the actor's hospital, were given out.

    `suspended`: it stands in the hospital's stream until its end, and is told the patient then. Gives the patient, the
    event's id and the entry. Raises RecordsError.
    """
    patient, wanted = _latest(client, actor, records)
    now = client.now()
    event_id = new_id("ev", now)
    texts = {
        "address": what.address, "description": what.description, "recipient": what.recipient,
        "statement": what.statement, **dict(_pieces(wanted)),
        "order": suspended.order if suspended else "",
    }  # fmt: skip
    texts = {name: text for name, text in texts.items() if text}
    sealed = client.seal(actor, patient, patient, event_id, texts).fields
    lines = [export_line(record, version, blob) for record, version, blob in wanted]
    pieces = [sealed.pop(name) for name in LIST_NAMES if name in sealed]
    order = sealed.pop("order", "")
    disclosed: dict[str, Any] = {
        "count": len(lines),
        "given": format_time(now if what.given is None else what.given),
        "list": pieces,
        "purpose": what.purpose,
        "root": b64encode(export_root(lines)),
        **sealed,
    }
    if suspended is None:
        event = actor.event("record.disclosed", f"patient/{patient}", disclosed, now, event_id)
    else:
        body = {
            "disclosed": disclosed, "order": order, "patient": patient, "until": format_time(suspended.until),
        }  # fmt: skip
        stream = f"hospital/{actor.hospital}"
        event = actor.event("disclosure.withheld", stream, body, now, event_id)
    return patient, event_id, client.append(actor, [event])[0].seq


def _latest(
    client: LedgerClient, actor: Actor, records: Sequence[str]
) -> tuple[str, list[tuple[str, int, str]]]:
    """The patient, and of each record its latest version with the blob."""
    if not 0 < len(set(records)) == len(records) <= DISCLOSED_RECORDS:
        raise RecordsError(
            f"got {len(records)} records, expected 1 to {DISCLOSED_RECORDS}, none twice"
        )
    found = [(record, client.address(actor, record)) for record in sorted(records)]
    patients = {address.patient for _, address in found}
    if len(patients) != 1:
        raise RecordsError(f"got records of {len(patients)} patients; a disclosure is about one")
    wanted = [(record, len(a.blobs), a.blobs[-1]) for record, a in found]
    return patients.pop(), wanted


def _pieces(wanted: Sequence[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """The list in pieces that fit into sealed fields: `<record> <version>`, with semicolons between them."""
    names, piece = iter(LIST_NAMES), ""
    for record, version, _ in wanted:
        line = f"{record.removeprefix('rc_')} {version}"
        if piece and len(piece) + 1 + len(line) > TEXT_BYTES:
            yield next(names), piece
            piece = ""
        piece = f"{piece};{line}" if piece else line
    yield next(names), piece


def accounting(found: History, since: int) -> list[Line]:
    """The disclosures given out since `since` (Unix ms), by when they were; of a patient's own history.

    The lists are compared with what the history says of the chart's records, so that nothing in them is asked of a server.
    """
    entries = [Entry.parse(raw) for raw in found.entries]
    blobs = {version: body["blob"] for version, body in uploads_of(entries).items()}
    unopened = found.unopened()
    lines = [
        replace(
            _line(entry, found.texts.get(str(entry.link.seq), {}), blobs),
            unopened=unopened.get(str(entry.link.seq), ()),
        )
        for entry in entries
        if entry.event.type.name in ("disclosure.suspended", "record.disclosed")
    ]
    return sorted(
        (line for line in lines if parse_time(line.given) >= since),
        key=lambda line: (line.given, line.seq),
    )


def _line(entry: Entry, texts: Mapping[str, str], blobs: Mapping[tuple[str, int], str]) -> Line:
    event, body = entry.event, entry.event.body
    later = event.type.name == "disclosure.suspended"
    disclosed = body["disclosed"] if later else body
    records = tuple(_listed(texts))
    return Line(
        entry.link.seq, disclosed["given"], event.body["hospital"] if later else event.hospital,
        texts.get("recipient", ""), texts.get("address", ""), texts.get("description", ""), disclosed["purpose"],
        texts.get("statement", ""), records, _is_whole(disclosed, records, blobs),
        body["until"] if later else "", texts.get("order", ""),
    )  # fmt: skip


def _listed(texts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The versions of a sealed list; nothing of what names none: an author may have sealed any text."""
    for name in LIST_NAMES:
        for line in filter(None, texts.get(name, "").split(";")):
            record, _, version = line.partition(" ")
            number = version.isascii() and version.isdigit() and len(version) <= VERSION_DIGITS
            if number and is_id("rc", f"rc_{record}"):
                yield f"rc_{record}", int(version)


def _is_whole(
    disclosed: Mapping[str, Any],
    records: Sequence[tuple[str, int]],
    blobs: Mapping[tuple[str, int], str],
) -> bool:
    """Whether a list has the count and the root that stand in the log; `blobs`: of the chart's versions."""
    if not all(one in blobs for one in records):
        return False
    lines = [export_line(record, version, blobs[record, version]) for record, version in records]
    return (len(lines), export_root(lines)) == (
        disclosed["count"],
        b64decode(disclosed["root"], 32),
    )
