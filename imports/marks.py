"""What a source itself marks as sensitive or restricted: security labels of FHIR, confidentiality of HL7 and CDA.

A mark is taken over or makes its unit restricted; none is left out because it is not understood.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat

from imports.segments import Message
from ledger.codes import LABELS

PIECE_BYTES = 1 << 16
UNCLEAR = "security mark that is not understood, taken for restricted"
"""How such a mark is told."""
CONFIDENTIALITY, ACT_CODE = "v3-Confidentiality", "v3-ActCode"
CONFIDENTIALITY_OID = "2.16.840.1.113883.5.25"

SYSTEMS: Mapping[str, str] = {
    "http://terminology.hl7.org/codesystem/v3-confidentiality": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/confidentiality": CONFIDENTIALITY,
    CONFIDENTIALITY_OID: CONFIDENTIALITY,
    "http://terminology.hl7.org/codesystem/v3-actcode": ACT_CODE,
    "http://hl7.org/fhir/v3/actcode": ACT_CODE,
    "2.16.840.1.113883.5.4": ACT_CODE,
}
"""Code systems of security labels, in lower case and without `urn:oid:`."""
UNRESTRICTED = frozenset({"U", "L", "M", "N"})
RESTRICTED = frozenset({"R", "V"})
SAME_LABEL: Mapping[str, str] = {label: label for label in LABELS} | {
    "ALCHUD": "ETH", "ETHUD": "ETH", "SUD": "ETH", "MH": "PSY", "PSYTHPN": "PSY",
}  # fmt: skip
"""Codes of v3-ActCode, by the label that covers them."""
TABLE_0177: Mapping[str, str] = {"AID": "HIV", "DRG": "ETH"}
"""Codes of HL7 v2 (tables 0177 and 0717) for labels that have another name."""
CODED_MARKS = (("ARV", 3), ("MSH", 26), ("OM1", 30), ("ORC", 28), ("TXA", 18))
"""Places of confidentiality codes in HL7 v2."""
FLAG_MARKS = (("DG1", 18), ("PD1", 12), ("PV1", 16), ("PV2", 22))
"""Places of HL7 v2 that say that something is confidential, or somebody a VIP; `N` or empty: not so."""
_NOT_SO = frozenset({"", "N", "NO", "0"})
_HARMLESS = {
    "http://terminology.hl7.org/codesystem/v3-actreason": frozenset({"HTEST"}),
    "http://terminology.hl7.org/codesystem/v3-observationvalue": frozenset(
        {"ABSTRED", "AGGRED", "ANONYED", "MAPPED", "MASKED", "PSEUDED", "REDACTED", "SUBSETTED"}
    ),
}
"""Marks that tell how a resource was made, and restrict nothing."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one unit."""

    labels: frozenset[str] = frozenset()
    """Of the registry's."""
    restricted: bool = False
    unclear: tuple[str, ...] = ()
    """Marks that are not understood, as the source has them; each makes the unit restricted."""

    def __or__(self, other: "Marks") -> "Marks":
        """Both together."""
        unclear = tuple(dict.fromkeys((*self.unclear, *other.unclear)))
        return Marks(self.labels | other.labels, self.restricted or other.restricted, unclear)


def security(codes: Iterable[tuple[str, str]]) -> Marks:
    """What security labels mean, each (system, code)."""
    found = Marks()
    for system, code in codes:
        found |= _meaning(system.strip().lower().removeprefix("urn:oid:"), code.strip(), system)
    return found


def _meaning(key: str, code: str, system: str) -> Marks:
    name, upper = SYSTEMS.get(key, ""), code.upper()
    if upper in _HARMLESS.get(key, ()):
        return Marks()
    if name == CONFIDENTIALITY and upper in UNRESTRICTED:
        return Marks()
    if name == CONFIDENTIALITY and upper in RESTRICTED:
        return Marks(restricted=True)
    # The first editions of v3-Confidentiality had codes by kind of information: ETH, HIV, PSY, SDV.
    if name and upper in SAME_LABEL:
        return Marks(frozenset({SAME_LABEL[upper]}))
    return Marks(restricted=True, unclear=(f"{system}|{code}",))


def hl7_marks(message: Message) -> Marks:
    """The marks of a message of HL7 v2."""
    found = Marks()
    for segment, number in CODED_MARKS:
        for code in _values(message, segment, number):
            upper = code.upper()
            label = TABLE_0177.get(upper) or SAME_LABEL.get(upper)
            if label:
                found |= Marks(frozenset({label}))
            elif upper in RESTRICTED:
                found |= Marks(restricted=True)
            elif upper not in UNRESTRICTED | _NOT_SO:
                found |= Marks(restricted=True, unclear=(f"{segment}-{number} {code}",))
    for segment, number in FLAG_MARKS:
        codes = {code.upper() for code in _values(message, segment, number)}
        found |= Marks(restricted=bool(codes - _NOT_SO))
    return found


def _values(message: Message, segment: str, number: int) -> Iterator[str]:
    for at in range(1, message.count(segment) + 1):
        for nth in range(1, message.repetitions(segment, number, at) + 1):
            if code := message.text(segment, number, nth, at=at):
                yield code


def xml_marks(stream: IO[bytes]) -> Marks:
    """The marks of an XML document, if it is CDA or FHIR; in memory that doesn't grow with it.

    One of these that cannot be read to its end is restricted, as what it marks further down isn't known.
    """
    reader = _XmlMarks()
    try:
        while piece := stream.read(PIECE_BYTES):
            reader.parser.Parse(piece, False)
            if reader.kind == "":
                return Marks()
        reader.parser.Parse(b"", True)
    except (expat.ExpatError, _Entity) as error:
        if not reader.kind and isinstance(error, expat.ExpatError):
            return Marks()
        return security(reader.codes) | Marks(restricted=True, unclear=(f"not read: {error}",))
    return security(reader.codes)


class _Entity(Exception):
    """A document that declares entities: what they become is not looked at."""


@dataclass
class _XmlMarks:
    """Gathers the codes of `confidentialityCode` (CDA), `security` and `securityLabel` (FHIR)."""

    kind: str | None = None
    """`cda` or `fhir` by the root element; None before it, empty for anything else."""
    codes: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity
        self._within = 0
        self._system = ""

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if self.kind is None:
            self.kind = {"urn:hl7-org:v3": "cda", "http://hl7.org/fhir": "fhir"}.get(space, "")
        if self.kind == "cda" and name == "confidentialityCode":
            if "code" in attributes or "nullFlavor" not in attributes:
                # Without a code system it is that of the standard: the binding of the element.
                system = attributes.get("codeSystem") or CONFIDENTIALITY_OID
                self.codes.append((system, attributes.get("code", "")))
        elif self.kind == "fhir":
            if self._within or name in ("security", "securityLabel"):
                self._within += 1
            if self._within and name == "system":
                self._system = attributes.get("value", "")
            elif self._within and name == "code":
                self.codes.append((self._system, attributes.get("value", "")))

    def _end(self, tag: str) -> None:
        if self._within:
            self._within -= 1
            self._system = self._system if self._within else ""

    def _entity(self, *declared: object) -> None:
        raise _Entity("it declares entities")
