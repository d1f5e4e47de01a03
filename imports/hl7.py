"""HL7 v2 messages into drafts: admissions (ADT) register patients, results (ORU) go to those who are known.

A message is a record of its own, with the bytes that came. Messages that move records from one patient to
another are never carried out: who merges two charts decides that, and does it by hand.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256

from imports.births import birth_of, death_of
from imports.cleaning import Undecodable, day_of, decode
from imports.drafts import (
    NOTHING,
    SHARED_TYPES,
    Findings,
    Origin,
    PatientDraft,
    Person,
    RecordDraft,
    Unit,
    identifier_name,
    record_number,
    source_name,
)
from imports.fhir.categories import TABLE
from imports.labels import Labels
from imports.marks import UNCLEAR, Marks, hl7_marks
from imports.results import mark_of, results, standing
from imports.segments import (
    BrokenMessage,
    Data,
    Message,
    Piece,
    header_fields,
    parse_message,
    split_messages,
)
from imports.texts import shown
from people.demographics import Demographics

MEDIA_TYPE = "application/hl7-v2"

EVENTS: Mapping[str, str] = {
    "A01": "Admission", "A02": "Transfer", "A03": "Discharge", "A04": "Registration",
    "A05": "Pre-admission", "A06": "Outpatient becomes inpatient", "A07": "Inpatient becomes outpatient",
    "A08": "Update", "A09": "Departure", "A10": "Arrival", "A11": "Cancelled admission",
    "A12": "Cancelled transfer", "A13": "Cancelled discharge", "A14": "Pending admission",
    "A15": "Pending transfer", "A16": "Pending discharge", "A21": "Leave of absence",
    "A22": "Return from leave", "A25": "Cancelled pending discharge", "A26": "Cancelled pending transfer",
    "A27": "Cancelled pending admission", "A28": "Person added", "A31": "Person updated",
    "A32": "Cancelled arrival", "A33": "Cancelled departure", "A38": "Cancelled pre-admission",
    "A52": "Cancelled leave of absence", "A53": "Cancelled return from leave", "A54": "Doctor changed",
    "A55": "Cancelled change of doctor", "A60": "Adverse reactions updated",
}  # fmt: skip
"""The events of ADT that are taken, in words."""
MOVES = frozenset(
    {
        "A17",
        "A18",
        "A24",
        "A30",
        "A34",
        "A35",
        "A36",
        "A37",
        *(f"A{number}" for number in range(39, 52)),
    }
)
"""Merges, moves, links, swaps and changes of identifiers."""
PRIOR_PATIENT = (1, 2, 4)
"""Fields of MRG that name who a patient was before, the older ones too."""
DELETES = frozenset({"A23", "A29"})
OTHERS: Mapping[str, str] = {
    "BAR": "accounts", "DFT": "charges", "MDM": "documents", "OML": "orders", "ORM": "orders",
    "OMG": "orders", "PPR": "problems", "RDE": "drug orders", "SIU": "appointments",
    "VXU": "vaccinations",
}  # fmt: skip
"""What other types are about."""
PERSON_EVENTS = frozenset({"A08", "A28", "A31"})
"""About the person when they name no visit."""
CODED_FIELDS = (
    ("OBR", 4), ("OBX", 3), ("OBX", 5), ("DG1", 3), ("PR1", 3),
    ("OBR", 31), ("PV2", 3), ("AL1", 3), ("IAM", 3), ("DRG", 1),
)  # fmt: skip
"""Where codes stand that bring labels: what was done and found, and why; OBX-5 when its type says that it is coded."""

_OUTER = re.compile(rb"(?:\A|[\r\n\x0b])([FB](?:HS|TS))(?=[^\w\s])")
_SECTIONS = {code.lower(): row.category for row in TABLE for code in row.codes.split()}


class _SetAside(Exception):
    """Why a message is in no record."""


def is_hl7(head: bytes) -> bool:
    """Whether a file that begins with `head` is HL7 v2: a message, a batch, framed or not."""
    try:
        text, _ = decode(head, "" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1")
    except Undecodable:
        return False
    return re.match(r"(?:\ufeff|ï»¿)?[\s\x0b]*(?:MSH|FHS|BHS)[^\w\s]", text) is not None


def registers(data: Data) -> bool:
    """Whether the file holds a message that registers patients."""
    return any(_type(one.raw)[0] == "ADT" for one in split_messages(data) if one.is_message)


def read_messages(
    data: Data, labels: Labels, findings: Findings, origin: Origin | None = None
) -> Iterator[PatientDraft]:
    """The messages of one file, each a unit: a draft with one record, or set aside with the reason."""
    origin = origin or Origin()
    known: set[bytes] = set()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        findings.found()
        findings.reject(
            "", "got UTF-16, expected UTF-8 or another encoding that keeps ASCII as it is", None
        )
        return
    for what, before in _framing(data):
        findings.correct("", what, before, "")
    for number, one in enumerate(split_messages(data), 1):
        position = f"message {number}"
        findings.found()
        try:
            if not one.is_message:
                raise _SetAside("got segments that belong to no message, expected MSH first")
            message, rule = _parsed(one)
            marks = hl7_marks(message)
            unit = _unit(message, one.raw, position, labels, marks)
            if unit.sha256 in known:
                findings.duplicate(position, unit.name)
                continue
            draft = _draft(message, unit, origin)
            known.add(unit.sha256)
            for mark in marks.unclear:
                findings.correct(position, UNCLEAR, mark, "restricted")
            if rule:
                findings.correct(position, "encoding", "not UTF-8", rule)
            yield draft
        except (_SetAside, Undecodable, BrokenMessage) as error:
            findings.reject(position, shown(str(error), 1000), one.raw)


def _parsed(one: Piece) -> tuple[Message, str | None]:
    raw = one.raw
    kind, trigger = _type(raw)
    if one.doubt:
        raise _SetAside(f"{one.doubt}: whether it is part of a text cannot be said")
    if kind == "ADT" and trigger in MOVES:
        raise _SetAside(
            f"ADT^{trigger} moves records between patients or identifiers; do this by hand"
        )
    if kind == "ADT" and trigger in DELETES:
        raise _SetAside(f"ADT^{trigger} deletes; do this by hand")
    if kind not in ("ADT", "ORU"):
        about = OTHERS.get(kind, "its messages")
        name = "^".join(filter(None, (kind, trigger))) or "a message without a type"
        raise _SetAside(f"{name}: {about} are not imported; ADT and ORU are")
    declared = header_fields(raw)[18].split(header_fields(raw)[2][1:2] or "~")[0]
    text, rule = decode(raw, "" if declared in ("ASCII", "") else declared)
    return parse_message(text, one.end), None if declared not in ("ASCII", "") else rule


def _type(raw: bytes) -> tuple[str, str]:
    fields = header_fields(raw)
    kind, _, rest = fields[9].partition(fields[2][:1] or "^")
    return kind.strip(), rest.partition(fields[2][:1] or "^")[0].strip()


def _draft(message: Message, unit: Unit, origin: Origin) -> PatientDraft:
    if message.count("PID") != 1:
        raise _SetAside(f"got {message.count('PID')} PID segments, expected one")
    names, numbers = _patient(message, origin)
    if not names and not numbers:
        raise _SetAside(
            "got no identifier of the patient in PID-3, expected one with authority or type MR"
        )
    if message.text("MSH", 9) == "ADT":
        person, record = _person(message, origin), _admission(message, unit)
    else:
        person, record = None, _result(message, unit)
    said = _demographics(message, origin)
    return PatientDraft(names, numbers, person, (record,), said=said)


def _patient(message: Message, origin: Origin) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names by authority, and numbers: of type MR, or of which nothing is said at all.

    A number without an authority is a name within its source: the sending application and facility.
    """
    names: dict[str, None] = {}
    numbers: dict[str, None] = {}
    sender = "|".join(message.text("MSH", field) for field in (3, 4)).strip("|")
    source = f"hl7 {sender}" if sender else origin.source
    for nth in range(1, message.repetitions("PID", 3) + 1):
        value, kind = message.text("PID", 3, nth, 1), message.text("PID", 3, nth, 5)
        authority = _authority(message, "PID", 3, nth)
        if not value or kind in SHARED_TYPES or origin.placeholders.has(value):
            continue
        if authority:
            names[identifier_name(authority, value)] = None
        if kind == "MR" or not (kind or authority or message.text("PID", 3, nth, 6)):
            numbers[record_number(value)] = None
            if source and not authority:
                names[source_name(source, value)] = None
    return tuple(names), tuple(numbers)


def _authority(message: Message, segment: str, field: int, nth: int = 1) -> str:
    """Who gave out an identifier: the universal id, `urn:oid:` if it is one, else the name space."""
    name, universal, kind = (message.text(segment, field, nth, 4, part) for part in (1, 2, 3))
    return f"urn:oid:{universal}" if universal and kind == "ISO" else universal or name


def _person(message: Message, origin: Origin) -> Person:
    family, given, middle, suffix = (message.text("PID", 5, 1, part) for part in (1, 2, 3, 4))
    born, death = message.text("PID", 7), message.text("PID", 29)
    died, doubt = _death(message, origin)
    birth = birth_of(born, origin.today, dead=died)
    name = shown(" ".join(filter(None, (given, middle, family, suffix))))
    latest = birth.latest.isoformat() if birth.latest else None
    return Person(name, latest, died, birth.doubt, doubt, (born, death))


def _death(message: Message, origin: Origin) -> tuple[bool, str]:
    """Whether PID-30 or PID-29 says so; and what either says that is not understood."""
    flag = message.text("PID", 30).upper()
    if flag == "Y":
        return True, ""
    died, doubt = death_of(message.text("PID", 29), origin.today, message.text("PID", 7))
    if flag not in ("", "N") and not died:
        doubt = doubt or f"PID-30 is {flag[:40]!r}, neither Y nor N"
    return died, doubt


def _demographics(message: Message, origin: Origin) -> Demographics:
    family, given, middle = (message.text("PID", 5, 1, part) for part in (1, 2, 3))
    dead, _ = _death(message, origin)
    return Demographics(
        given=f"{given} {middle}".strip(),
        family=family,
        birth=birth_of(message.text("PID", 7), origin.today, dead=dead).known,
        sex=message.text("PID", 8),
    )


def _admission(message: Message, unit: Unit) -> RecordDraft:
    trigger = message.text("MSH", 9, 1, 2) or message.text("EVN", 1)
    if trigger not in EVENTS:
        raise _SetAside(f"ADT^{trigger}: this event is not imported")
    if prior := next((n for n in PRIOR_PATIENT if message.text("MRG", n)), 0):
        raise _SetAside(
            f"ADT^{trigger} with a prior patient in MRG-{prior} moves records; do this by hand"
        )
    visit, authority = message.text("PV1", 19), _authority(message, "PV1", 19)
    about_person = trigger in PERSON_EVENTS and not visit
    day = _first_day(message, ("PV1", 44), ("EVN", 2), ("MSH", 7))
    return RecordDraft(
        category="demographics" if about_person else "encounter",
        encounter=identifier_name(authority, visit) if visit and authority else None,
        clinical_date=day,
        title=f"{EVENTS[trigger]}, ADT {trigger}" + (f", {day}" if day else ""),
        media_type=MEDIA_TYPE,
        units=(unit,),
        compose=lambda units: [one.raw for one in units],
    )


def _result(message: Message, unit: Unit) -> RecordDraft:
    orders = message.count("OBR")
    if not orders:
        raise _SetAside("got no OBR segment, expected results of an order")
    sections = [message.text("OBR", 24, at=at) for at in range(1, orders + 1)]
    sections += [message.text("OBR", 4, at=at) for at in range(1, orders + 1)]
    known = (_SECTIONS.get(code.lower()) for code in sections[:orders])
    parts = (_SECTIONS.get(code.lower()) for code in sections[orders:] if code.startswith("LP"))
    title = next(filter(None, (message.text("OBR", 4, 1, part) for part in (2, 5, 1))), "Results")
    more = f" and {orders - 1} more" if orders > 1 else ""
    visit, authority = message.text("PV1", 19), _authority(message, "PV1", 19)
    return RecordDraft(
        category=next(filter(None, (*known, *parts)), "laboratory"),
        encounter=identifier_name(authority, visit) if visit and authority else None,
        clinical_date=_first_day(message, ("OBR", 7), ("OBR", 22), ("MSH", 7)),
        title=shown(mark_of(unit.standing) + title + more),
        media_type=MEDIA_TYPE,
        units=(unit,),
        compose=lambda units: [one.raw for one in units],
        # Both as they came, the later one last: HL7 has no whole that a part could be put into.
        merge=lambda old, units: b"\r".join([old.rstrip(b"\r\n"), *(one.raw for one in units)]),
    )


def _first_day(message: Message, *places: tuple[str, int]) -> str | None:
    return next(filter(None, (day_of(message.text(*place)) for place in places)), None)


def _unit(message: Message, raw: bytes, position: str, labels: Labels, marks: Marks) -> Unit:
    before, kind = _name(message, raw), message.text("MSH", 9)
    return Unit(
        shown(f"{before}|{message.text('MSH', 7)}", 1000),
        position,
        raw,
        sha256(raw).digest(),
        tuple(sorted({*labels.of(_codes(message)), *marks.labels})),
        marks.restricted,
        standing(message) if kind == "ORU" else NOTHING,
        former=before,
        parts=results(message) if kind == "ORU" else (),
    )


def _name(message: Message, raw: bytes) -> str:
    """Sender, control id and type, as messages were known by alone: a sender may count anew."""
    sender, facility, control = (message.raw("MSH", field) for field in (3, 4, 10))
    kind, trigger = message.text("MSH", 9), message.text("MSH", 9, 1, 2)
    own = control or f"sha256 {sha256(raw).hexdigest()}"
    return shown(f"{sender}|{facility}|{own}|{kind}^{trigger}", 1000)


def _codes(message: Message) -> Iterator[tuple[str, str]]:
    """System and code of each coded field, the alternate ones too."""
    for segment, field in CODED_FIELDS:
        for at in range(1, message.count(segment) + 1):
            if field == 5 and message.text("OBX", 2, at=at) not in ("CE", "CWE", "CNE", "CF"):
                continue
            for nth in range(1, message.repetitions(segment, field, at) + 1):
                for code, system in ((1, 3), (4, 6)):
                    named = message.text(segment, field, nth, system, at=at)
                    if segment == "DG1" and code == 1:
                        named = named or message.text("DG1", 2, at=at)
                    yield named, message.text(segment, field, nth, code, at=at)


def _framing(data: Data) -> Iterator[tuple[str, str]]:
    if data[:3] == b"\xef\xbb\xbf":
        yield "byte order mark taken away", "0xef 0xbb 0xbf"
    if data.find(b"\x0b") >= 0 or data.find(b"\x1c") >= 0:
        yield "MLLP framing taken away", "0x0b 0x1c"
    found = {one[1] for one in _OUTER.finditer(data)}
    if found:
        yield "envelope taken away", " ".join(name.decode("ascii") for name in sorted(found))
