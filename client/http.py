"""The client of a ledger that is elsewhere, over HTTP. Signs here, asks there; see docs/http.md.

It believes no answer: what was appended is proved by the log's own checkpoint, and each checkpoint extends the last.
"""

import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, Any

import httpx2
import orjson

from client import forms, operations
from client.connection import (
    PIECE_BYTES,
    Connection,
    bounded,
    error_of,
    pieces,
    understood,
)
from client.operations import Operation
from client.port import Address, AppendedEvent, Event
from client.proving import check_decision, check_event, proved
from client.signers import Signed, Signer, check_log, propose, sign, sign_in, signer_of
from client.trust import Kept, KeptInMemory, TrustedLog
from consent.facts import Exclusion, Grant, Record, Version
from consent.policy import DEFAULT_POLICY, Policy
from crypto.blobs import sealed_length
from crypto.encoding import b64decode, b64encode
from crypto.ids import is_id
from crypto.notes import VerifierKey
from identity.actors import Actor
from journeys.errors import NotThere, RecordsError
from ledger.entry import Entry
from ledger.errors import ProofError, Tampered
from ledger.event import BUNDLE_LIMIT
from ledger.event import Event as Parsed
from ledger.layout import size_limit
from ledger.merkle import HASH_BYTES
from ledger.receipt import Receipt
from ledger.tiles import tile_path
from people.hospitals import Directory, Holder
from people.lookups import Found
from people.reserving import Reserved, Subject
from records.charts import Chart
from records.explaining import Answer, Question
from records.exporting import ExportedRecord
from records.history import History
from records.opening import OpenedRecord
from records.uploads import StagedBlob
from storage.errors import Unavailable
from storage.exports import Source

PART_BYTES = 4 * 1024 * 1024
"""Most event bytes in one request; the server takes bodies of twice that."""
SESSION_SECONDS = 600
"""How long a session is used; the server ends it after 15 minutes."""
INDEX_BYTES = 64 * 1024 * 1024
"""Longest index of an archive: 100,000 records take about 25 MB."""


class HttpClient:
    """A ledger behind a URL; one connection, a session for each actor that needs one."""

    def __init__(
        self, url: str, kept: Callable[[str], Kept] | None = None, vkeys: Sequence[VerifierKey] = (),
        signer: Callable[[Actor], Signer] = signer_of,
    ) -> None:  # fmt: skip
        """Asks what log it is; raises Unavailable if nothing answers, or no server of ours.

        `kept(origin)`: where the log's keys and last checkpoint are kept, by default in memory. `vkeys`: the log's
        keys, got from elsewhere; without them those that the server names first are taken on trust. `signer(actor)`:
        who signs for an actor.
        """
        self._connection, self._signer = Connection(url), signer
        self._tokens: dict[str, tuple[str, float]] = {}
        self._spools: list[IO[bytes]] = []
        self._log = self._ask(operations.LOG)
        with understood("log"):
            self.origin = str(self._log["origin"])
            told = [str(key) for key in self._log.get("vkeys", ())]
        keeping = KeptInMemory() if kept is None else kept(self.origin)
        self._trusted = TrustedLog(self.origin, told, keeping, vkeys)

    def close(self) -> None:
        """Close the connection, and let go of what exports left in temporary files."""
        self._connection.close()
        for spool in self._spools:
            spool.close()

    def now(self) -> int:
        """Unix ms; see the port."""
        return time.time_ns() // 1_000_000

    def policy(self) -> Policy:
        """The policy in force; see the port."""
        return Policy.of({**DEFAULT_POLICY, **self._log["policy"]}, self._log["policy"]["seq"])

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append; see the port. Raises Tampered where the answer doesn't prove what it says."""
        out: list[AppendedEvent] = []
        parts = list(_parts(events))
        if atomic and len(parts) > 1:
            raise RecordsError(f"got {len(events)} events, too many for one all-or-nothing call")
        for part in parts:
            signed = sign(self._signer(actor), propose(self.origin, actor, part))
            seqs = self.submit(signed, atomic)
            out += [AppendedEvent(seq, event) for seq, event in zip(seqs, part, strict=True)]
        return out

    def submit(self, signed: Signed, atomic: bool = False) -> list[int]:
        """Append what was signed; see the port."""
        size, values = self._trusted.size(), [event.value for event in signed.proposal.events]
        params = ({"atomic": "true"} if atomic else {}) | {"since": str(size)}
        if len(values) == 1:
            asked, sent = operations.EVENTS, _sent(signed)
            params.pop("atomic", None)  # one event is all or nothing
        else:
            asked, sent = operations.BUNDLES, {"events": values, "sig": signed.sig}
        answer = self._ask(asked, sent, params=params)
        with understood(asked.name):
            problems = [error_of(e["problem"]) for e in answer["entries"] if "problem" in e]
        # What was undone only because of another one comes last, as beside the data.
        if problems:
            raise min(problems, key=lambda error: getattr(error, "code", "") == "atomic")
        return self._appended(signed, size, answer)

    def _appended(self, signed: Signed, size: int, answer: Any) -> list[int]:
        """The numbers of the entries that an answer proves to stand in the log."""
        with understood("append"):
            note = str(answer["checkpoint"]).encode()
            receipts = [
                Receipt(
                    str(one["entry"]).encode(), int(one["seq"]),
                    tuple(b64decode(node, HASH_BYTES) for node in one["path"]), note,
                )
                for one in answer["entries"]
            ]  # fmt: skip
            proof = _hashes(answer.get("consistency", []))
        if len(receipts) != len(signed.proposal.events):
            raise Tampered(
                f"the server tells of {len(receipts)} entries, and {len(signed.proposal.events)} events were sent"
            )
        checkpoint = self._trusted.check(
            note, lambda old, new: proof if old == size and proof else self._prove(old, new)
        )
        for receipt, event, signature in zip(
            receipts, signed.proposal.raws, signed.signatures(), strict=True
        ):
            entry = proved(receipt, receipt.index, checkpoint)
            check_event(entry, event, signature, signed.public, self.origin)
        return [receipt.index for receipt in receipts]

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids; see the port."""
        sent = {"subjects": [forms.SUBJECT.encode(subject) for subject in subjects]}
        answer = self._ask(operations.SUBJECTS, sent, actor)
        with understood("reserve"):
            return [forms.RESERVED.decode(one) for one in answer["subjects"]]

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> tuple[dict[str, str], list[str]]:  # fmt: skip
        """Sealed fields and label codes; see the port."""
        sent = {"object": object_id, "event": event, "texts": dict(texts), "labels": list(labels)}
        answer = self._ask(operations.SEAL, sent, actor, patient=patient)
        with understood("seal"):
            return dict(answer["sealed"]), list(answer["labels"])

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content; see the port."""
        asked = operations.STAGE
        headers = self._bearer(actor) | {"Content-Type": asked.takes}
        path = asked.at(patient=patient)
        staged = self._connection.json(asked.method, path, content, headers, {"record": record})
        with understood(path):
            return forms.STAGED.decode(staged)

    def address(self, actor: Actor, record: str) -> Address:
        """What a reading must name; see the port."""
        found = self._ask(operations.ADDRESS, None, actor, record=record)
        with understood("address"):
            return forms.ADDRESS.decode(found)

    def open(self, actor: Actor, event: Event) -> OpenedRecord:
        """Append a reading and give the content; see the port. The entry is proved before the content is given.

        The content itself proves nothing: the log has the hash of the ciphertext, and this is the plaintext.
        """
        path = operations.CONTENT.at(record=event["body"]["record"])
        signed = self._signed(actor, event)
        response = self._connection.open("POST", path, orjson.dumps(_sent(signed)))
        headers = response.headers
        try:
            entry = self._entry_told(actor, signed, headers)
            with understood(path):
                texts = _texts(headers.get("heartwood-texts", ""))
                size, media_type = int(headers["heartwood-size"]), headers["content-type"]
                share = b64decode(headers["heartwood-share"]) if "reply" in event["body"] else None
        except BaseException:
            response.close()
            raise
        content = _whole(response, size if share is None else sealed_length(size), path)
        token = headers.get("heartwood-read-token", "")
        return OpenedRecord(entry, media_type, size, texts, content, share=share, token=token)

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list; see the port."""
        entry, answer = self._read(operations.CHART, actor, event)
        with understood("chart"):
            chart = forms.chart_of(answer, entry)
        for line in chart.lines:
            if not is_id("rc", line.record.record) or not line.record.versions:
                raise Tampered(f"the server named {line.record.record!r}, which is no record's id")
        return chart

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream; see the port."""
        entry, answer = self._read(operations.HISTORY, actor, event)
        with understood("history"):
            history = forms.history_of(answer, entry)
        if history.entries[-1:] != (entry.raw,):
            raise ProofError(
                f"history: its last entry is not entry {entry.link.seq}, the one that the log's receipt proves"
            )
        return history

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content, until the client is closed; see the port.

        The archive lies in a private temporary file meanwhile (in TMPDIR), never in memory.
        """
        patient, asked = event["stream"].partition("/")[2], operations.EXPORT
        path, signed = asked.at(patient=patient), self._signed(actor, event)
        sent = _sent(signed) | {"list": [list(item) for item in wanted]}
        with self._connection.sent("POST", path, orjson.dumps(sent)) as response:
            self._entry_told(actor, signed, response.headers)
            # Without a name: nobody else opens it, and it never stays behind.
            spool = tempfile.TemporaryFile()  # noqa: SIM115
            self._spools.append(spool)
            for piece in pieces(response, asked.limit, path):
                spool.write(piece)
        with understood(path):
            archive = zipfile.ZipFile(spool)
            with archive.open("index.json") as file:
                index = json.loads(bounded(file.read(INDEX_BYTES + 1), INDEX_BYTES, "index.json"))
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
        found = self._ask(operations.CONSENTS, None, actor, patient=patient)
        with understood("consents"):
            return forms.consents_of(found)

    def charts(self, actor: Actor) -> list[str]:
        """The actor's own charts; see the port."""
        found = self._ask(operations.ME, None, actor)
        with understood("me"):
            return [str(patient) for patient in found["patients"]]

    def hospital(self, actor: Actor, hospital: str) -> Directory:
        """A hospital's directory; see the port."""
        found = self._ask(operations.HOSPITAL_SHOWN, None, actor, hospital=hospital)
        with understood("hospital"):
            return forms.DIRECTORY.decode(found)

    def time_zone(self, actor: Actor, hospital: str) -> str:
        """A hospital's time zone; see the port."""
        return self.hospital(actor, hospital).time_zone

    def hospital_of(self, actor: Actor, group: str) -> str:
        """The hospital whose group it is; see the port."""
        found = self._ask(operations.GROUP_SHOWN, None, actor, group=group)
        with understood("group"):
            return str(found["hospital"])

    def holder(self, actor: Actor, account: str) -> Holder:
        """An account's roles; see the port."""
        found = self._ask(operations.HOLDER, None, actor, account=account)
        with understood("holder"):
            return forms.HOLDER.decode(found)

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by identifier; see the port."""
        found = self._ask(operations.LOOKUP, {"identifiers": list(identifiers)}, actor)
        with understood("lookup"):
            return forms.found_of(found)

    def why(self, actor: Actor, question: Question) -> Answer:
        """An explanation; see the port."""
        answer = self._ask(operations.DECISIONS, forms.QUESTION.encode(question), actor)
        with understood("why"):
            return forms.answer_of(answer)

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
        with self._connection.sent("GET", f"/{path}", headers=headers) as response:
            return b"".join(pieces(response, size_limit(kind or path), path))

    def log_token(self, auditor: Actor) -> dict[str, Any]:
        """A token for entries and when it ends; that it is given is itself an entry, `log.opened`."""
        signed = self._signed(auditor, auditor.event("log.opened", "ledger", {}, self.now()))
        given: dict[str, Any] = self._ask(operations.LOG_TOKEN, _sent(signed))
        with understood("log_token"):
            seq = int(given["seq"])
        self._proved(auditor, signed, seq)
        return given

    def source(self, auditor: Actor) -> Source:
        """What an export of the whole log is made of; fetching entries is itself an entry (`log.opened`)."""
        token = self.log_token(auditor)["token"]
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        note = self.file("checkpoint")
        size = self._trusted.check(note, self._prove).size

        def tile(level: int | str, number: int, width: int) -> bytes:
            return self._bytes(tile_path(level, number, width), headers)

        registry = self._bytes("v1/log/registry", kind="registry.json")
        return Source(
            self.origin, note, size, self._log["vkeys"], registry, partial(tile, "entries"), tile
        )

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """A receipt; see the port. It is checked."""
        receipt, final = self._receipt(actor, seq)
        proved(receipt, seq, self._trusted.check(receipt.checkpoint, self._prove))
        return receipt.text(), final

    def _receipt(self, actor: Actor, seq: int) -> tuple[Receipt, bool]:
        path = operations.RECEIPT.at(seq=seq)
        with self._connection.sent("GET", path, headers=self._bearer(actor)) as response:
            text = b"".join(pieces(response, operations.RECEIPT.limit, path))
            final = response.headers.get("heartwood-receipt") == "final"
        return _parsed(text), final

    def _proved(self, actor: Actor, signed: Signed, seq: int) -> Entry:
        """The entry of a signed reading, by the receipt that the actor gets of it."""
        return self._checked(self._receipt(actor, seq)[0], signed, seq)

    def _read(self, asked: Operation, actor: Actor, event: Event) -> tuple[Entry, Any]:
        """The entry of a reading of a patient's stream, by the receipt in its answer, and the answer."""
        signed = self._signed(actor, event)
        answer = self._ask(asked, _sent(signed), patient=event["stream"].partition("/")[2])
        with understood(asked.name):
            text, seq = str(answer["receipt"]).encode(), int(answer["seq"])
        return self._checked(_parsed(text), signed, seq), answer

    def _checked(self, receipt: Receipt, signed: Signed, seq: int) -> Entry:
        entry = proved(receipt, seq, self._trusted.check(receipt.checkpoint, self._prove))
        (event,), (signature,) = signed.proposal.raws, signed.signatures()
        check_event(entry, event, signature, signed.public, self.origin)
        return entry

    def _entry_told(self, actor: Actor, signed: Signed, headers: httpx2.Headers) -> Entry:
        """The entry that an answer's headers tell of, proved, with the decision that they tell."""
        with understood("content"):
            seq, decision = (
                int(headers["heartwood-entry"]),
                json.loads(headers["heartwood-decision"]),
            )
            told = dict(decision)
        entry = self._proved(actor, signed, seq)
        check_decision(entry, told)
        return entry

    def _prove(self, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes, as the server gives it."""
        answer = self._ask(operations.CONSISTENCY, old=old, new=new)
        with understood("consistency"):
            return _hashes(answer["proof"])

    def _signed(self, actor: Actor, event: Event) -> Signed:
        return sign(self._signer(actor), propose(self.origin, actor, [event]))

    def _token(self, actor: Actor) -> str:
        """A session of the actor, opened with its key; a new one before the old one ends."""
        check_log(self.origin, actor)
        signer = self._signer(actor)
        name = f"{signer.id} {actor.role} {actor.hospital}"
        token, until = self._tokens.get(name, ("", 0.0))
        if time.monotonic() >= until:
            with understood("challenge"):
                nonce = b64decode(self._ask(operations.CHALLENGE)["challenge"], HASH_BYTES)
            sent = {
                "challenge": b64encode(nonce), "hospital": actor.hospital, "key": signer.id,
                "role": actor.role, "value": sign_in(signer, self.origin, nonce),
            }  # fmt: skip
            with understood("sign_in"):
                token = str(self._ask(operations.SIGN_IN, sent)["token"])
            self._tokens[name] = token, time.monotonic() + SESSION_SECONDS
        return token

    def _bearer(self, actor: Actor | None) -> dict[str, str]:
        return {} if actor is None else {"Authorization": f"Bearer {self._token(actor)}"}

    def _ask(
        self, asked: Operation, value: Any = None, actor: Actor | None = None,
        params: Mapping[str, str] | None = None, **names: object,
    ) -> Any:  # fmt: skip
        """The JSON that an operation gives; in a session of the actor, if one is named."""
        content = b"" if value is None else orjson.dumps(value)
        headers, path = self._bearer(actor), asked.at(**names)
        return self._connection.json(asked.method, path, content, headers, params, asked.limit)


def _sent(signed: Signed) -> dict[str, Any]:
    """One signed event, as it is sent."""
    return {"event": signed.proposal.events[0].value, "sig": signed.sig}


def _parsed(text: bytes) -> Receipt:
    """A receipt; raises Tampered."""
    try:
        return Receipt.parse(text)
    except ProofError as error:
        raise Tampered(f"the server's {error}") from error


def _hashes(values: Iterable[str]) -> list[bytes]:
    return [b64decode(value, HASH_BYTES) for value in values]


def _texts(header: str) -> dict[str, str]:
    texts = json.loads(b64decode(header)) if header else {}
    return {str(name): str(text) for name, text in texts.items()}


def _parts(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in parts that one request takes."""
    part: list[Event] = []
    size = 0
    for event in events:
        length = len(Parsed.of(event).raw)
        if len(part) == BUNDLE_LIMIT or size + length > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(event)
        size += length
    if part:
        yield part


def _taken(archive: zipfile.ZipFile, patient: str, line: dict[str, Any]) -> ExportedRecord:
    version = Version(line["version"], 0, "", "", line["size"], line["media_type"])
    record = Record(
        line["record"], patient, 0, "", "", line["category"], line["clinical_date"], "", "", (), False, False,
        "live", 0, (version,),
    )  # fmt: skip

    return ExportedRecord(record, version, _unpacked(archive, str(line["file"]), version.size))


def _unpacked(archive: zipfile.ZipFile, name: str, size: int) -> Iterator[bytes]:
    """A file of an archive, piece by piece; raises Tampered where it is not of the size that the index tells."""
    count = 0
    with understood("export"), archive.open(name) as file:
        while piece := file.read(PIECE_BYTES):
            count += len(piece)
            if count > size:
                break
            yield piece
    if count != size:
        raise Tampered(f"{name[:80]!r}: has not the {size} bytes that the archive's index tells")


def _whole(response: httpx2.Response, size: int, path: str) -> Iterator[bytes]:
    """A content of `size` bytes; raises Tampered where there are more, Unavailable where it was cut short."""
    count = 0
    for piece in pieces(response, size, path):
        count += len(piece)
        yield piece
    if count != size:
        raise Unavailable("unreachable", f"the content was cut: got {count} bytes of {size}")
