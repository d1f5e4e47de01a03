"""Patient resources: by which names a hospital knows who they are of, and what they say of that person."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from imports.births import birth_of, death_of, latest_of
from imports.drafts import (
    SHARED_TYPES,
    Origin,
    Person,
    identifier_name,
    record_number,
    source_name,
    uuid_name,
)
from imports.fhir.scan import Resource
from imports.fhir.walk import as_written, identifier_text, is_text, objects, plain
from people.comparing import compare, listed
from people.demographics import Demographics, Traits


class Called(NamedTuple):
    """What a Patient resource is called; see `PatientDraft` for what each counts."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]
    bare: tuple[str, ...]
    former: tuple[str, ...]

    @property
    def own(self) -> tuple[str, ...]:
        """The names by which two resources of one file are known to be of one patient."""
        return self.names or self.bare


def called(patient: Resource, origin: Origin) -> Called:
    """Every name: identifiers with a system, UUIDs, the server's id in its source; numbers, and a bare id."""
    names, shared, numbers = list[str](), list[str](), list[str]()
    for identifier in _identifiers(patient, origin):
        text = identifier_text(identifier) or ""
        system = not text.startswith("|")
        types = _types(identifier)
        if system:
            (shared if types & SHARED_TYPES else names).append(text)
        if "MR" in types or not (system or types):
            numbers.append(record_number(identifier["value"].strip()))
    source, server_id = source_of(patient, origin), f"Patient/{patient.id}"
    # What a transaction calls its entries is made up for it, or stands in a template: its numbers go before that.
    url = "" if names else (patient.full_url or "").removeprefix("urn:uuid:").rpartition("/")[2]
    uuids = list(filter(None, map(uuid_name, (patient.id or "", url))))
    if source and patient.id:
        uuids.append(source_name(source, server_id))
    own_id = server_id if patient.id else patient.full_url or ""
    # Without any other name it is registered by these, and found again where its name and birth date agree.
    alone = not names and not uuids
    bare = [*shared, *([source_name("", own_id)] if own_id else [])] if alone else []
    # Older programs kept the first identifier, with a system or without, or the id of nobody knew which server.
    first = next(map(as_written, _identifiers(patient, origin)), "") or own_id
    former = [first] if first and first not in names and first not in uuids else []
    parts = (names + uuids, numbers + shared, bare, former)
    return Called(*(tuple(dict.fromkeys(one)) for one in parts))


def source_of(resource: Resource, origin: Origin) -> str:
    """The system whose own id a resource bears: its server by the fullUrl, else as named; empty if nobody says."""
    url, end = resource.full_url or "", f"/{resource.type}/{resource.id}"
    if url.startswith(("http://", "https://")) and url.endswith(end):
        return url.removesuffix(end)
    if origin.source:
        return origin.source
    meta = resource.body.get("meta")
    source = meta.get("source") if isinstance(meta, dict) else None
    return source.partition("#")[0] if is_text(source) else ""


def demographics(patient: Resource, origin: Origin) -> Demographics:
    """What the resource says of the person."""
    names = list(
        _names(patient)
    )  # all of them: the maiden name, and what somebody is usually called
    given = [one for name in names if isinstance(name.get("given"), list) for one in name["given"]]
    texts = [plain(name.get("text")) for name in names]
    return Demographics(
        given=" ".join(filter(None, map(plain, given))),
        family=" ".join(filter(None, (plain(name.get("family")) for name in names))),
        text=next(filter(None, texts), ""),
        birth=birth_of(_birth(patient), origin.today, dead=_death(patient, origin)[0]).known,
        sex=plain(patient.body.get("gender")),
    )


def person(patient: Resource, origin: Origin, others: Iterable[Resource] = ()) -> Person:
    """Who is registered by the resource; dead also if one of the `others`, of the same patient, says so."""
    deaths = [_death(one, origin) for one in (patient, *others)]
    dead = any(died for died, _ in deaths)
    births = [birth_of(_birth(one), origin.today, dead=dead) for one in (patient, *others)]
    birth = latest_of(births)
    doubt = "" if dead else next((doubt for _, doubt in deaths if doubt), "")
    latest = birth.latest.isoformat() if birth.latest else None
    written = (_birth(patient), str(patient.body.get("deceasedDateTime") or ""))
    return Person(patient_name(patient), latest, dead, birth.doubt, doubt, written)


def patient_name(patient: Resource) -> str:
    """Return the official name, else the first; its own text, else given names and family."""
    for name in _names(patient):
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else []), name.get("family")]
        text = plain(name.get("text")) or " ".join(filter(None, map(plain, parts)))
        if text:
            return text
    return ""


def patient_identifier(patient: Resource) -> str:
    """The identifier `system|value` that stands for a patient: a record number before others, one in use first."""
    found = [i for i in _identifiers(patient, Origin()) if is_text(i.get("system"))]
    if not found:
        return f"Patient/{patient.id}"
    return identifier_text(min(found, key=_rank)) or ""


@dataclass
class Somebody:
    """One patient of a file, by one or several Patient resources."""

    key: str
    called: Called
    said: Demographics
    traits: Traits
    resources: list[Resource] = field(default_factory=list)


class People:
    """The patients of one file: resources that share a name are one patient's, unless they contradict."""

    def __init__(self, origin: Origin) -> None:
        """Nobody yet."""
        self.origin = origin
        self.everybody: dict[str, Somebody] = {}
        """By key."""
        self.refused: dict[int, str] = {}
        """Resources that cannot be said whose they are, by `id()`, with the reason."""
        self._keys: dict[int, str] = {}
        self._bearers: dict[str, str] = {}

    def add(self, patient: Resource) -> None:
        """Enter one Patient resource."""
        names = called(patient, self.origin)
        if not names.own:
            reason = "got a Patient without identifier, id or fullUrl, expected one of them"
            self.refused[id(patient)] = (
                reason
                if not any(objects(patient.body, "identifier"))
                else "its identifiers name nobody (a placeholder, or without a system), and it has no id"
            )
            return
        said = demographics(patient, self.origin)
        traits = Traits.of(said)
        keys = {self._bearers[name] for name in names.own if name in self._bearers}
        if len(keys) > 1:
            self.refused[id(patient)] = "its names are those of different patients of this file"
            return
        one = self.everybody[keys.pop()] if keys else Somebody(names.own[0], names, said, traits)
        if differs := compare(one.traits, traits).differs:
            self.refused[id(patient)] = contradiction(differs, one.resources[0])
            return
        one.called = Called(
            *(tuple(dict.fromkeys((*a, *b))) for a, b in zip(one.called, names, strict=True))
        )
        one.said, one.traits = _fuller(one.said, said), one.traits.joined(traits)
        one.resources.append(patient)
        self.everybody[one.key], self._keys[id(patient)] = one, one.key
        self._bearers |= dict.fromkeys(names.own, one.key)

    def key(self, patient: Resource) -> str | None:
        """Whose a Patient resource is; None for one that is refused."""
        return self._keys.get(id(patient))

    def bearer(self, name: str) -> str:
        """The key of who bears a name here, else the name itself."""
        return self._bearers.get(name, name)


def contradict(one: Resource, other: Resource, origin: Origin) -> tuple[str, ...]:
    """In what two Patient resources contradict each other."""
    mine, theirs = (Traits.of(demographics(each, origin)) for each in (one, other))
    return compare(mine, theirs).differs


def contradiction(differs: tuple[str, ...], other: Resource) -> str:
    """Why a Patient is not taken for the one whose name it bears."""
    return f"same identifier, but another {listed(differs)} than the Patient at {other.position or 'the start'}"


def _fuller(one: Demographics, other: Demographics) -> Demographics:
    birth = one.birth if len(one.birth) >= len(other.birth) else other.birth
    named = one if one.given or one.family or one.text else other
    return Demographics(named.given, named.family, named.text, birth, one.sex or other.sex)


def _identifiers(patient: Resource, origin: Origin) -> list[dict[str, Any]]:
    """Those with a value that can name somebody, the likeliest first."""
    found = [
        identifier
        for identifier in objects(patient.body, "identifier")
        if identifier_text(identifier) and not origin.placeholders.has(identifier["value"])
    ]
    return sorted(found, key=_rank)


def _rank(identifier: dict[str, Any]) -> tuple[bool, bool]:
    """Rank a number in use before an old one, and a medical record number before others."""
    return identifier.get("use") == "old", "MR" not in _types(identifier)


def _types(identifier: dict[str, Any]) -> set[str]:
    return {str(coding.get("code")) for coding in objects(identifier, "type.coding")}


def _names(patient: Resource) -> Iterator[dict[str, Any]]:
    names = list(objects(patient.body, "name"))
    yield from sorted(names, key=lambda name: name.get("use") != "official")


def _birth(patient: Resource) -> str:
    value = patient.body.get("birthDate")
    return value if isinstance(value, str) else ""


def _death(patient: Resource, origin: Origin) -> tuple[bool, str]:
    """Whether the source says so, by a flag or by a date that reads; and what it says otherwise."""
    if patient.body.get("deceasedBoolean") is True:
        return True, ""
    flag, value = patient.body.get("deceasedBoolean"), patient.body.get("deceasedDateTime")
    if flag is not None and flag is not False:
        return False, f"deceasedBoolean is {flag!r:.40}, neither true nor false"
    return death_of(value, origin.today, _birth(patient)) if isinstance(value, str) else (False, "")


def outside(reference: str, source: str, origin: Origin) -> str | None:
    """The name of a patient who is not in the bundle, if nobody else should bear it.

    `source`: the system whose own ids relative references hold; empty if nobody says.
    """
    kind, conditional, query = reference.partition("?identifier=")
    if conditional:
        system, bar, value = unquote(query).partition("|")
        counts = kind == "Patient" and bar and system and not origin.placeholders.has(value)
        return identifier_name(system, value) if counts else None
    path = reference.partition("/_history/")[0].removeprefix("urn:uuid:")
    *before, last = path.split("/")
    if before and before[-1] != "Patient":
        return None
    if uuid := uuid_name(last):
        return uuid
    source = "/".join(before[:-1]) if len(before) > 1 else source if before else ""
    return source_name(source, f"Patient/{last}") if source and last else None
