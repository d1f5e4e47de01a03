"""The client of a ledger that is elsewhere, over HTTP. Signs here, asks there; see docs/http.md."""

import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import httpx2
import orjson

from client.port import Address, AppendedEvent, Event
from consent.decide import Decision
from consent.explain import Explanation
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode, b64encode
from crypto.ids import is_id
from crypto.notes import Note
from identity.actors import Actor
from identity.errors import NotSignedIn
from journeys.errors import AccessDenied, AlreadyUsed, NotThere, RecordsError
from ledger.chain import ZERO, Link
from ledger.entry import Entry
from ledger.errors import Refused, Tampered
from ledger.event import BUNDLE_LIMIT, Signature, sign_bundle, sign_event
from ledger.event import Event as Parsed
from ledger.facts import Exclusion, Grant, Provision, Record, Version
from ledger.layout import size_limit
from ledger.messages import session_message
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.tiles import tile_path
from people.hospitals import Department, Directory, Holder, Role
from people.lookups import Found
from people.reserving import Reserved, Subject
from records.charts import Chart, Line
from records.explaining import Answer, Question
from records.exporting import ExportedRecord
from records.history import History
from records.opening import OpenedRecord
from records.uploads import StagedBlob
from storage.errors import OutcomeUnknown, Unavailable
from storage.exports import Source

TIMEOUT_SECONDS = 60
PART_BYTES = 4 * 1024 * 1024
"""Most event bytes in one request; the server takes bodies of twice that."""
SESSION_SECONDS = 600
"""How long a session is used; the server ends it after 15 minutes."""
_UNAVAILABLE = frozenset({"clock", "database", "full", "stopped"})
_NOT_THERE = frozenset({"not_found", "method"})


class HttpClient:
    """A ledger behind a URL; one connection, a session for each actor that needs one."""

    def __init__(self, url: str) -> None:
        """Asks what log it is; raises Unavailable if nothing answers, or no server of ours."""
        if not url.startswith(("http://", "https://")):
            raise RecordsError(
                f"{url!r} is not the URL of a server: expected http://… or https://…"
            )
        self._client = httpx2.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_SECONDS)
        self._tokens: dict[str, tuple[str, float]] = {}
        self._log = self._get("/v1/log")
        with _understood("/v1/log"):
            self.origin: str = self._log["origin"]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def now(self) -> int:
        """Unix ms; see the port."""
        return time.time_ns() // 1_000_000

    def policy(self) -> Policy:
        """The policy in force; see the port."""
        return Policy.of({**DEFAULT_POLICY, **self._log["policy"]}, self._log["policy"]["seq"])

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append; see the port."""
        out: list[AppendedEvent] = []
        parts = list(_parts(events))
        if atomic and len(parts) > 1:
            raise RecordsError(f"got {len(events)} events, too many for one all-or-nothing call")
        for part, raws in parts:
            if len(raws) == 1:
                answer = self._post("/v1/events", self._signed(actor, part[0]))
            else:
                sig = sign_bundle(actor.key, self.origin, raws)[0]
                value = {"key": sig.key, "value": b64encode(sig.value)}
                path = f"/v1/bundles{'?atomic=true' if atomic else ''}"
                answer = self._post(path, {"events": list(part), "sig": value})
            with _understood("append"):
                problems = [_error(e["problem"]) for e in answer["entries"] if "problem" in e]
                seqs = [e.get("seq", 0) for e in answer["entries"]]
            # What was undone only because of another one comes last, as beside the data.
            if problems:
                raise min(problems, key=lambda error: getattr(error, "code", "") == "atomic")
            with _understood("append"):
                out += [
                    AppendedEvent(int(seq), event) for event, seq in zip(part, seqs, strict=True)
                ]
        return out

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids; see the port."""
        sent = [
            {"id": s.id, "event": s.event, "texts": dict(s.texts), "identifier": s.identifier}
            for s in subjects
        ]
        answer = self._post("/v1/subjects", {"subjects": sent}, actor)
        return [Reserved(s["id"], s["sealed"], s["known"]) for s in answer["subjects"]]

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> tuple[dict[str, str], list[str]]:  # fmt: skip
        """Sealed fields and label codes; see the port."""
        sent = {"object": object_id, "event": event, "texts": dict(texts), "labels": list(labels)}
        answer = self._post(f"/v1/patients/{patient}/seal", sent, actor)
        return answer["sealed"], answer["labels"]

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content; see the port."""
        response = self._send(
            "POST", f"/v1/patients/{patient}/blobs", params={"record": record}, content=content,
            headers={"Content-Type": "application/octet-stream"}, actor=actor,
        )  # fmt: skip
        staged = response.json()
        return StagedBlob(
            staged["record"], staged["blob"], b64decode(staged["sha256"], 32), staged["size"]
        )

    def address(self, actor: Actor, record: str) -> Address:
        """What a reading must name; see the port."""
        found = self._get(f"/v1/records/{record}", actor)
        return Address(found["patient"], tuple(found["blobs"]))

    def open(self, actor: Actor, event: Event) -> OpenedRecord:
        """Append a reading and give the content; see the port."""
        path = f"/v1/records/{event['body']['record']}/content"
        response = self._send(
            "POST", path, content=orjson.dumps(self._signed(actor, event)), stream=True
        )
        headers = response.headers
        texts = (
            json.loads(b64decode(headers["heartwood-texts"]))
            if "heartwood-texts" in headers
            else {}
        )
        decision = json.loads(headers["heartwood-decision"])
        return OpenedRecord(
            _entry(event, int(headers["heartwood-entry"]), decision), headers["content-type"],
            int(headers["heartwood-size"]), texts, _pieces(response),
            share=b64decode(headers["heartwood-share"]) if "heartwood-share" in headers else None,
            token=headers.get("heartwood-read-token", ""),
        )  # fmt: skip

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list; see the port."""
        patient = event["stream"].partition("/")[2]
        path = f"/v1/patients/{patient}/chart"
        answer = self._post(path, self._signed(actor, event))
        with _understood(path):
            entry, lines = (
                Entry.parse(answer["entry"].encode()),
                tuple(map(_line, answer["records"])),
            )
            more = bool(answer["more_in_emergency"])
        for line in lines:
            if not is_id("rc", line.record.record) or not line.record.versions:
                raise Tampered(f"the server named {line.record.record!r}, which is no record's id")
        return Chart(entry, lines, more)

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream; see the port."""
        patient = event["stream"].partition("/")[2]
        path = f"/v1/patients/{patient}/history"
        answer = self._post(path, self._signed(actor, event))
        with _understood(path):
            entries = tuple(text.encode() for text in answer["entries"])
            names = {str(who): str(name) for who, name in answer["names"].items()}
            restored = tuple(text.encode() for text in answer["restored"])
            return History(Entry.parse(entries[-1]), entries, names, restored)

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content; see the port."""
        patient = event["stream"].partition("/")[2]
        sent = self._signed(actor, event) | {"list": [list(item) for item in wanted]}
        response = self._send("POST", f"/v1/patients/{patient}/export", content=orjson.dumps(sent))
        with _understood("export"):
            archive = zipfile.ZipFile(io.BytesIO(response.content))
            index = json.loads(archive.read("index.json"))
            named = [(line["record"], line["version"]) for line in index]
            taken = [_taken(archive, patient, line) for line in index]
        # What is given is what was asked for, by our names: no name or number of the server's is used.
        if named != list(wanted):
            raise Tampered("the server gave other records than those asked for")
        return taken

    def consents(
        self, actor: Actor, patient: str
    ) -> tuple[tuple[Grant, ...], tuple[Exclusion, ...]]:
        """Grants and exclusions; see the port."""
        path = f"/v1/patients/{patient}/grants"
        found = self._get(path, actor)
        with _understood(path):
            grants = tuple(map(_grant, found["grants"]))
            return grants, tuple(Exclusion(**e) for e in found["exclusions"])

    def charts(self, actor: Actor) -> list[str]:
        """The actor's own charts; see the port."""
        found = self._get("/v1/me", actor)
        with _understood("/v1/me"):
            return [str(patient) for patient in found["patients"]]

    def hospital(self, actor: Actor, hospital: str) -> Directory:
        """A hospital's directory; see the port."""
        found = self._get(f"/v1/hospitals/{hospital}", actor)
        with _understood("/v1/hospitals"):
            groups = [g | {"accounts": tuple(g["accounts"])} for g in found.pop("groups")]
            return Directory(**found, groups=tuple(Department(**group) for group in groups))

    def time_zone(self, actor: Actor, hospital: str) -> str:
        """A hospital's time zone; see the port."""
        return self.hospital(actor, hospital).time_zone

    def hospital_of(self, actor: Actor, group: str) -> str:
        """The hospital whose group it is; see the port."""
        with _understood("/v1/groups"):
            return str(self._get(f"/v1/groups/{group}", actor)["hospital"])

    def holder(self, actor: Actor, account: str) -> Holder:
        """An account's roles; see the port."""
        found = self._get(f"/v1/accounts/{account}", actor)
        with _understood("/v1/accounts"):
            return Holder(account, found["name"], tuple(Role(**role) for role in found["roles"]))

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by identifier; see the port."""
        found = self._post("/v1/patients/lookup", {"identifiers": list(identifiers)}, actor)
        with _understood("/v1/patients/lookup"):
            accounts = found["accounts"]
            return {i: Found(one, accounts[i]) for i, one in found["patients"].items()}

    def why(self, actor: Actor, question: Question) -> Answer:
        """An explanation; see the port."""
        a = self._post("/v1/decisions", question.__dict__, actor)
        decision = Decision(
            a["effect"], a["rule"], tuple(a["basis"]), a["reason"], False, tuple(a["obligations"])
        )
        return Answer(Explanation(decision, a["why"], tuple(a["changes"])), a["as_of"], a["policy"])

    def file(self, path: str) -> bytes:
        """A file of the log as an export has it, but for entries; raises Tampered if it isn't there."""
        if path == "log.vkey":
            return "".join(f"{key}\n" for key in self._log["vkeys"]).encode()
        try:
            return self._bytes(path)
        except NotThere as error:
            raise Tampered(f"{path}: {error}") from error

    def _bytes(self, path: str, headers: Mapping[str, str] | None = None, kind: str = "") -> bytes:
        """A file of the log, no longer than its kind (another path, if given) may be; raises Tampered."""
        response = self._send("GET", f"/{path}", stream=True, headers=headers)
        data, limit = bytearray(), size_limit(kind or path)
        for piece in _pieces(response):
            data += piece
            if len(data) > limit:
                response.close()
                raise Tampered(f"{path}: has more than {limit} bytes, expected at most that")
        return bytes(data)

    def log_token(self, auditor: Actor) -> dict[str, Any]:
        """A token for entries and when it ends; that it is given is itself an entry, `log.opened`."""
        event = auditor.event("log.opened", "ledger", {}, self.now())
        given: dict[str, Any] = self._post("/v1/log/token", self._signed(auditor, event))
        return given

    def source(self, auditor: Actor) -> Source:
        """What an export of the whole log is made of; fetching entries is itself an entry (`log.opened`)."""
        headers = {"Authorization": f"Bearer {self.log_token(auditor)['token']}"}
        note = self.file("checkpoint")
        size = Checkpoint.parse(Note.parse(note).text).size

        def tile(level: int | str, number: int, width: int) -> bytes:
            return self._bytes(tile_path(level, number, width), headers)

        registry = self._bytes("v1/log/registry", kind="registry.json")
        return Source(
            self.origin, note, size, self._log["vkeys"], registry, partial(tile, "entries"), tile
        )

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """A receipt; see the port."""
        response = self._send("GET", f"/v1/receipts/{seq}", actor=actor)
        return response.content, response.headers["heartwood-receipt"] == "final"

    def _signed(self, actor: Actor, event: Event) -> dict[str, Any]:
        sig = sign_event(actor.key, self.origin, Parsed.of(event).raw)
        return {"event": event, "sig": {"key": sig.key, "value": b64encode(sig.value)}}

    def _token(self, actor: Actor) -> str:
        """A session of the actor, opened with its key; a new one before the old one ends."""
        name = f"{actor.key.id} {actor.role} {actor.hospital}"
        token, until = self._tokens.get(name, ("", 0.0))
        if time.monotonic() >= until:
            with _understood("/v1/sessions/challenge"):
                nonce = b64decode(self._post("/v1/sessions/challenge", None)["challenge"], 32)
            value = actor.key.sign(session_message(self.origin, actor.key.id, nonce))
            sent = {
                "challenge": b64encode(nonce), "hospital": actor.hospital, "key": actor.key.id,
                "role": actor.role, "value": b64encode(value),
            }  # fmt: skip
            with _understood("/v1/sessions"):
                token = str(self._post("/v1/sessions", sent)["token"])
            self._tokens[name] = token, time.monotonic() + SESSION_SECONDS
        return token

    def _get(self, path: str, actor: Actor | None = None) -> Any:
        return _json(path, self._send("GET", path, actor=actor))

    def _post(self, path: str, value: Any, actor: Actor | None = None) -> Any:
        content = b"" if value is None else orjson.dumps(value)
        return _json(path, self._send("POST", path, content=content, actor=actor))

    def _send(
        self, method: str, path: str, *, actor: Actor | None = None, stream: bool = False,
        content: bytes | Iterable[bytes] = b"", params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:  # fmt: skip
        """A good answer; raises what the problem document says."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if actor is not None:
            sent["Authorization"] = f"Bearer {self._token(actor)}"
        try:
            request = self._client.build_request(
                method, path, content=content, params=params, headers=sent
            )
            response = self._client.send(request, stream=stream)
            if not response.is_success:
                response.read()
        except httpx2.TransportError as error:
            raise Unavailable(
                "unreachable", f"{self._client.base_url} does not answer: {error}"
            ) from error
        if response.is_success:
            return response
        try:
            problem = _error(response.json())
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(
                "unreachable", f"got {response.status_code} from {path}, and no problem document"
            ) from error
        raise problem


@contextmanager
def _understood(path: str) -> Iterator[None]:
    """Reading an answer; raises Unavailable where it isn't of the form that docs/http.md gives."""
    try:
        yield
    except (
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        raise Unavailable(
            "unreachable", f"the server's answer to {path} is not of the form expected: {error!r}"
        ) from error


def _json(path: str, response: httpx2.Response) -> Any:
    with _understood(path):
        return response.json()


def _pieces(response: httpx2.Response) -> Iterator[bytes]:
    """The body as it comes; raises Unavailable where it is cut short."""
    with closing(response):
        try:
            yield from response.iter_bytes()
        except httpx2.TransportError as error:
            raise Unavailable("unreachable", f"the answer was cut short: {error}") from error


def _parts(events: Sequence[Event]) -> Iterator[tuple[list[Event], list[bytes]]]:
    """Events with their bytes, in parts that one request takes."""
    part: list[Event] = []
    raws: list[bytes] = []
    for event in events:
        raw = Parsed.of(event).raw
        if len(part) == BUNDLE_LIMIT or sum(map(len, raws)) + len(raw) > PART_BYTES:
            yield part, raws
            part, raws = [], []
        part.append(event)
        raws.append(raw)
    if part:
        yield part, raws


def _error(problem: Mapping[str, Any]) -> Exception:
    """The error that a problem document stands for."""
    kind, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
    if kind == "denied":
        return AccessDenied({"rule": problem["rule"], "reason": problem["reason"]}, None)
    if kind == "already_used":
        return AlreadyUsed(problem["seq"])
    if kind == "not_signed_in":
        return NotSignedIn(detail)
    if kind == "outcome_unknown":
        return OutcomeUnknown(detail)
    if kind in _UNAVAILABLE:
        return Unavailable(kind, detail)
    return NotThere(detail) if kind in _NOT_THERE else Refused(kind, detail)


def _entry(event: Event, seq: int, decision: dict[str, Any]) -> Entry:
    """What is known here of an entry whose bytes stayed there."""
    parsed = Parsed.of(event)
    return Entry(b"", parsed, Signature("", b""), Link(seq, ZERO, 0, ZERO), parsed.at, decision)


def _line(line: dict[str, Any]) -> Line:
    title, readers = line.pop("title"), tuple(line.pop("readers"))
    versions = tuple(Version(**version) for version in line.pop("versions"))
    labels = tuple(line.pop("labels"))
    return Line(Record(**line, labels=labels, versions=versions), title, readers)


def _grant(members: dict[str, Any]) -> Grant:
    for name in ("actions", "labels", "purposes", "records"):
        members[name] = tuple(members[name])
    for name in ("exceptions", "what"):
        members[name] = tuple(map(_provision, members[name]))
    return Grant(**members)


def _provision(members: dict[str, Any]) -> Provision:
    inner = tuple(map(_provision, members.pop("exceptions")))
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in members.items()}
    return Provision(**plain, exceptions=inner)


def _taken(archive: zipfile.ZipFile, patient: str, line: dict[str, Any]) -> ExportedRecord:
    version = Version(line["version"], 0, "", "", line["size"], line["media_type"])
    record = Record(
        line["record"], patient, 0, "", "", line["category"], line["clinical_date"], "", "", (), False, False,
        "live", 0, (version,),
    )  # fmt: skip

    def content() -> Iterator[bytes]:
        yield archive.read(line["file"])

    return ExportedRecord(record, version, content())
