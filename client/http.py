"""The client of a ledger that is elsewhere, over HTTP. Signs here, asks there; see docs/http.md.

It believes no answer: what was appended is proved by the log's own checkpoint, and each checkpoint extends the last.
"""

import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, Any, TypeVar

import httpx2
import orjson

from client import forms, operations
from client.connection import (
    PIECE_BYTES,
    bounded,
    peer_of,
    pieces,
    understood,
)
from client.downloads import download
from client.http_sessions import HttpSessions
from client.operations import Query
from client.port import AppendedEvent, Event, LedgerClient
from client.server import Server, said, sent_of
from client.signers import Signed, Signer, signer_of
from client.trust import Kept, KeptInMemory, TrustedLog
from client.verifying import Verifier
from crypto.blobs import HEADER_BYTES, KEY_BYTES, sealed_length
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.ids import is_id
from crypto.notes import Note, VerifierKey
from identity.actors import Actor
from identity.kept import MadeKey
from identity.own import BegunCode
from journeys.errors import NotThere, RecordsError
from journeys.questions import Question
from journeys.sealing import Sealed
from ledger.errors import LedgerError, ProofError, Tampered
from ledger.event import BUNDLE_LIMIT
from ledger.event import Event as Parsed
from ledger.facts import Record, Version
from ledger.handovers import HANDOVERS_LIMIT, HandOver
from ledger.layout import HANDOVER, HANDOVER_PARTS, handover_path, size_limit
from ledger.packages import Package
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.tiles import TILE_WIDTH, split_bundle, tile_path
from ledger.witnesses import WitnessPolicy
from people.alone import OwnChart
from people.contacts import ContactShown
from people.joining import Registered, Registration
from people.lookups import Found
from people.numbers import NumberShown
from people.profiles import Profile, ProfileShown
from people.reserving import Reserved, Subject
from records.charts import Chart
from records.emergencies import OpenedEmergency
from records.explaining import Answer
from records.exporting import ExportedRecord, Opening
from records.history import History
from records.inquiries import Inquired
from records.opening import Link, OpenedRecord
from records.uploads import BLOB_LIMIT, StagedBlob
from storage.contacts import Contact
from storage.errors import Unavailable
from storage.exports import Releases, Source

T = TypeVar("T")
PART_BYTES = 4 * 1024 * 1024
"""Most event bytes in one request; the server takes bodies of twice that."""
LINK_BYTES = 32 * 1024
"""Longest answer that has a link: temporary credentials make one long."""
INDEX_BYTES = 64 * 1024 * 1024
"""Longest index of an archive: 100,000 records take about 25 MB."""


class HttpClient(HttpSessions, LedgerClient):
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
        self._server = Server(url, signer)
        self._spools: list[IO[bytes]] = []
        self.origin = origin = self._server.origin
        keeping = KeptInMemory() if kept is None else kept(origin)
        trusted = TrustedLog(origin, self._server.vkeys, keeping, vkeys, self._handovers)
        self._verifier = Verifier(self._server, trusted)

    def _signers_of(self, note: bytes) -> list[VerifierKey]:
        """Which of the keys that the server names signed a checkpoint, which was checked."""
        keys = [VerifierKey.parse(text) for text in self._server.vkeys]
        signed = Note.parse(note).signed_by(keys)
        return [key for key in keys if key in signed]

    def _handovers(self) -> list[HandOver]:
        """The hand-overs of the log's keys, as the server shows them; none of a server that knows no such thing."""
        try:
            shown = self._server.ask(operations.HANDOVERS)["handovers"]
            return [
                HandOver.parse([str(one[part]).encode() for part in HANDOVER_PARTS])
                for one in shown[:HANDOVERS_LIMIT]
            ]
        except NotThere:
            return []
        except (LedgerError, KeyError, TypeError) as error:
            raise Tampered(f"the server's hand-overs of the log's keys: {error}") from error

    def close(self) -> None:
        """Close the connection, and let go of what exports left in temporary files."""
        self._server.connection.close()
        for spool in self._spools:
            spool.close()

    def now(self) -> int:
        """Unix ms; see the port."""
        return time.time_ns() // 1_000_000

    def policy(self) -> Policy:
        """The policy in force; see the port."""
        told = self._server.log["policy"]
        return Policy.of({**DEFAULT_POLICY, **told}, told["seq"])

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append; see the port. Raises Tampered where the answer doesn't prove what it says."""
        out: list[AppendedEvent] = []
        parts = list(_parts(events))
        if atomic and len(parts) > 1:
            raise RecordsError(f"got {len(events)} events, too many for one all-or-nothing call")
        for part in parts:
            seqs = self.submit(self._verifier.signed(actor, *part), atomic)
            out += [AppendedEvent(seq, event) for seq, event in zip(seqs, part, strict=True)]
        return out

    def submit(self, signed: Signed, atomic: bool = False) -> list[int]:
        """Append what was signed; see the port."""
        return self._verifier.append(signed, atomic)

    def register(self, wanted: Registration) -> Registered:
        """Register oneself; see the port. Raises Tampered where the answer doesn't prove that the key is in the log."""
        return self._verifier.registered(wanted)

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids; see the port."""
        sent = {"subjects": [forms.SUBJECT.encode(subject) for subject in subjects]}
        answer = self._server.ask(operations.SUBJECTS, sent, actor)
        with understood("reserve"):
            return [forms.RESERVED.decode(one) for one in answer["subjects"]]

    def verifier_keys(self) -> tuple[str, ...]:
        """The log's verifier keys; see the port."""
        return self._verifier.keys()

    def offer(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `claim.offered`; see the port."""
        patient, beside = event["body"]["patient"], {"born": born} if born else {}
        signed = self._verifier.signed(actor, event)
        return self._verifier.append_beside(operations.OFFER, signed, beside, patient=patient)

    def claim(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `patient.claimed`; see the port."""
        signed = self._verifier.signed(actor, event)
        return self._verifier.append_beside(operations.CLAIM, signed, {"born": born})

    def invite(self, actor: Actor, event: Event, mail: Contact | None) -> int:
        """Append a `doctor.invited`; see the port."""
        beside = {} if mail is None else {"mail": mail._asdict()}
        hospital, signed = event["stream"].partition("/")[2], self._verifier.signed(actor, event)
        return self._verifier.append_beside(operations.INVITE, signed, beside, hospital=hospital)

    def take_up(self, actor: Actor, event: Event) -> int:
        """Append a `doctor.joined`; see the port."""
        signed = self._verifier.signed(actor, event)
        return self._verifier.append_beside(operations.TAKE_UP, signed, {})

    def set_profile(self, actor: Actor, account: str, said: Profile) -> ProfileShown:
        """Write a profile; see the port."""
        sent = forms.PROFILE.encode(said)
        if account == actor.account:
            answer = self._server.ask(operations.SET_OWN_PROFILE, sent, actor)
        else:
            answer = self._server.ask(operations.SET_PROFILE, sent, actor, account=account)
        with understood("profile"):
            return forms.PROFILE_SHOWN.decode(answer)

    def own_chart(self, actor: Actor, name: str, born: str) -> OwnChart:
        """A chart for a person who registers alone; see the port. That it stands in the log is proved."""
        given = self._server.ask(operations.OWN_CHART, {"born": born, "name": name}, actor)
        with understood("own_chart"):
            chart = forms.OWN_CHART.decode(given)
        event = self._verifier.stands(actor, chart.seq).event
        said = (event.type.name, event.role, event.body.get("patient"), event.body.get("account"))
        if said != ("patient.registered", "service", chart.patient, actor.account):
            raise Tampered(
                f"entry {chart.seq} is not the registration of {chart.patient} for {actor.account}"
            )
        return chart

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> Sealed:  # fmt: skip
        """Sealed fields and label codes; see the port."""
        sent = {"object": object_id, "event": event, "texts": dict(texts), "labels": list(labels)}
        answer = self._server.ask(operations.SEAL, sent, actor, patient=patient)
        with understood("seal"):
            private = answer.get("minor_private", False)
            return Sealed(dict(answer["sealed"]), list(answer["labels"]), private is True)

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content; see the port."""
        asked = operations.STAGE
        headers = self._server.bearer(actor) | {"Content-Type": asked.takes}
        path = asked.at(patient=patient)
        staged = self._server.connection.json(
            asked.method, path, content, headers, {"record": record}
        )
        with understood(path):
            return forms.STAGED.decode(staged)

    def open(self, actor: Actor, event: Event, linked: bool = False) -> OpenedRecord:
        """Append a reading and give the content; see the port. The entry is proved before the content is given.

        The content itself proves nothing: the log has the hash of the ciphertext, and this is the plaintext.
        `linked`: of a reading with `reply` the ciphertext may come from the blob store itself, compared with its hash.
        """
        path = operations.CONTENT.at(record=event["body"]["record"])
        signed = self._verifier.signed(actor, event)
        asked = {"Heartwood-Download": "url"} if linked and "reply" in event["body"] else {}
        response = self._server.connection.open(
            "POST", path, orjson.dumps(sent_of(signed)), asked | self._server.bearer(signed.session)
        )
        headers, peer = response.headers, peer_of(response)
        try:
            entry = self._verifier.told(actor, signed, headers)
            with understood(path):
                texts = _texts(headers.get("heartwood-texts", ""))
                named = headers.get("heartwood-unopened", "").split(",")
                unopened = tuple(name for name in ("file_name", "title") if name in named)
                size, media_type = int(headers["heartwood-size"]), headers["content-type"]
            if not 0 <= size <= BLOB_LIMIT:
                raise Tampered(
                    f"{path}: the server says {size} bytes of content, expected at most {BLOB_LIMIT}"
                )
            with understood(path):
                share = b64decode(headers["heartwood-share"]) if "reply" in event["body"] else None
                link = _link(response, path) if asked and "heartwood-download" in headers else None
        except BaseException:
            response.close()
            raise
        if link is not None:
            found, kind = link
            if found.length != sealed_length(size):
                raise Tampered(f"{path}: a link to {found.length} bytes for {size} of plaintext")
            content = download(found, self._server.connection.url, peer)
            return OpenedRecord(
                entry, kind, size, texts, content, share=share, link=found, unopened=unopened
            )
        content = _whole(response, size if share is None else sealed_length(size), path)
        token = headers.get("heartwood-read-token", "")
        return OpenedRecord(
            entry, media_type, size, texts, content, share=share, token=token, unopened=unopened
        )

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list; see the port."""
        entry, answer = self._verifier.read(operations.CHART, actor, event)
        with understood("chart"):
            chart = forms.chart_of(answer, entry)
        for line in chart.lines:
            if not is_id("rc", line.record.record) or not line.record.versions:
                raise Tampered(f"the server named {line.record.record!r}, which is not a record id")
        return chart

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream; see the port."""
        entry, answer = self._verifier.read(operations.HISTORY, actor, event)
        with understood("history"):
            history = forms.history_of(answer, entry)
        if history.entries[-1:] != (entry.raw,):
            raise ProofError(
                f"history: its last entry is not entry {entry.link.seq}, the one that the log's receipt proves"
            )
        return history

    def emergency(self, actor: Actor, event: Event) -> OpenedEmergency:
        """Append an `emergency.opened` and give what it shows; see the port."""
        entry, answer = self._verifier.read(operations.EMERGENCY_OPENED, actor, event)
        with understood("emergency"):
            return forms.emergency_of(answer, entry)

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content, until the client is closed; see the port.

        The archive lies in a private temporary file meanwhile (in TMPDIR), never in memory.
        """
        patient, asked = event["stream"].partition("/")[2], operations.EXPORT
        path, signed = asked.at(patient=patient), self._verifier.signed(actor, event)
        sent = sent_of(signed) | {"list": [list(item) for item in wanted]}
        bearer = self._server.bearer(signed.session)
        with self._server.connection.sent("POST", path, orjson.dumps(sent), bearer) as response:
            self._verifier.told(actor, signed, response.headers)
            # Without a name: nobody else opens it, and it never stays behind.
            spool = tempfile.TemporaryFile()  # noqa: SIM115
            self._spools.append(spool)
            for piece in pieces(response, asked.limit, path):
                spool.write(piece)
        with understood(path):
            archive = zipfile.ZipFile(spool)
            with archive.open("index.json") as file:
                index = json.loads(bounded(file.read(INDEX_BYTES + 1), INDEX_BYTES, "index.json"))
            openings = _openings(archive, len(index))
            named = [(line["record"], line["version"]) for line in index]
            taken = [_taken(archive, patient, *one) for one in zip(index, openings, strict=True)]
        # What is given is what was asked for, by our names: no name or number of the server's is used.
        if named != list(wanted):
            raise Tampered("the server sent records other than those requested")
        return taken

    def package(self, actor: Actor, event: Event, out: IO[bytes]) -> int:
        """Append a `referral.taken` and write its package as it comes; see the port. Raises Tampered for another one's."""
        patient, asked = event["stream"].partition("/")[2], operations.PACKAGE
        path, signed = asked.at(patient=patient), self._verifier.signed(actor, event)
        sent, bearer = orjson.dumps(sent_of(signed)), self._server.bearer(signed.session)
        with self._server.connection.sent("POST", path, sent, bearer) as response:
            entry = self._verifier.told(actor, signed, response.headers)
            for piece in pieces(response, asked.limit, path):
                out.write(piece)
        with understood(path), Package(out) as package:
            head = package.head
        named = (head.event, head.key, head.patient, head.referral)
        if named != (event["id"], event["body"]["key"], patient, event["body"]["referral"]):
            raise Tampered("the server sent another package than the one that was taken up")
        return entry.link.seq

    def ask(self, actor: Actor, query: Query[T], **names: str) -> T:
        """The answer to a question; see the port."""
        params = {name: names.pop(name) for name in query.asks if name in names}
        found = self._server.ask(query, None, actor, params, **names)
        with understood(query.name):
            return query.codec.decode(found)

    def give_contact(self, actor: Actor, address: str, language: str) -> ContactShown:
        """Give an address; see the port."""
        sent = {"address": address, "language": language}
        answer = self._server.ask(operations.GIVE_CONTACT, sent, actor)
        with understood("contact"):
            return forms.CONTACT.decode(answer)

    def remove_contact(self, actor: Actor) -> None:
        """Remove the address; see the port."""
        self._server.ask(operations.REMOVE_CONTACT, None, actor)

    def prove_contact(self, code: str) -> None:
        """Prove an address; see the port."""
        self._server.ask(operations.PROVE_CONTACT, {"code": code})

    def open_recovery(self, actor: Actor, account: str, public: bytes, proof: bytes) -> Registered:
        """Put in a key by recovery; see the port."""
        sent = {"proof": b64encode(proof), "public_key": b64encode(public)}
        answer = self._server.ask(operations.OPEN_RECOVERY, sent, actor, account=account)
        with understood("open_recovery"):
            return forms.REGISTERED.decode(answer)

    def ask_reset(self, who: str) -> None:
        """Ask for a link; see the port."""
        self._server.ask(operations.ASK_RESET, {"account": who})

    def reset_password(self, link: str, new: str, code: str = "", recovery: str = "") -> None:
        """Replace a password; see the port."""
        sent = {"code": code, "link": link, "new": new, "recovery": recovery}
        self._server.ask(operations.RESET_PASSWORD, sent)

    def state_number(self, actor: Actor, patient: str, number: str) -> NumberShown:
        """State a number; see the port."""
        answer = self._server.ask(
            operations.STATE_NUMBER, {"number": number}, actor, patient=patient
        )
        with understood("number"):
            return forms.NUMBER.decode(answer)

    def remove_number(self, actor: Actor, patient: str) -> None:
        """Remove the number; see the port."""
        self._server.ask(operations.REMOVE_NUMBER, None, actor, patient=patient)

    def inquire(
        self, actor: Actor, to: str, words: str, days: int, categories: Sequence[str] = ()
    ) -> Inquired:
        """Ask by a number or a health card; see the port."""
        sent = {"categories": list(categories), "days": days, "to": to, "words": words}
        answer = self._server.ask(operations.INQUIRE, sent, actor)
        with understood("inquiry"):
            return forms.INQUIRED.decode(answer)

    def dismiss_inquiry(self, actor: Actor, patient: str, inquiry: str) -> None:
        """Dismiss an inquiry; see the port."""
        self._server.ask(operations.DISMISS_INQUIRY, None, actor, patient=patient, inquiry=inquiry)

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by identifier; see the port."""
        found = self._server.ask(operations.LOOKUP, {"identifiers": list(identifiers)}, actor)
        with understood("lookup"):
            return forms.found_of(found)

    def why(self, actor: Actor, question: Question) -> Answer:
        """An explanation; see the port."""
        answer = self._server.ask(operations.DECISIONS, forms.QUESTION.encode(question), actor)
        with understood("why"):
            return forms.answer_of(answer)

    def set_password(
        self, actor: Actor, new: str, old: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Set or change a password; see the port."""
        sent = said(new=new, old=old, code=code, recovery=recovery)
        self._server.tell(operations.PASSWORD, actor, sent)

    def begin_code(self, actor: Actor) -> BegunCode:
        """A seed of one-time codes; see the port."""
        found = self._server.ask(operations.CODE, None, actor)
        with understood("begin_code"):
            return forms.BEGUN_CODE.decode(found)

    def confirm_code(
        self, actor: Actor, code: str, password: str, old_code: str = "", recovery: str = ""
    ) -> tuple[str, ...]:
        """Let one-time codes count; see the port."""
        sent = {"code": code, "password": password} | said(old_code=old_code, recovery=recovery)
        found = self._server.ask(operations.CODE_CONFIRMED, sent, actor)
        with understood("confirm_code"):
            return tuple(str(one) for one in found["recovery"])

    def remove_code(
        self, actor: Actor, password: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Remove one-time codes; see the port."""
        sent = said(password=password, code=code, recovery=recovery)
        self._server.tell(operations.CODE_REMOVED, actor, sent)

    def keep_key(self, actor: Actor) -> MadeKey:
        """Let the service keep a key; see the port."""
        found = self._server.ask(operations.KEEP_KEY, {}, actor)
        with understood("keep_key"):
            return forms.MADE_KEY.decode(found)

    def end_session(self, actor: Actor, session: str) -> None:
        """End a session; see the port."""
        self._server.tell(operations.SESSION_END, actor, session=session)

    def file(self, path: str) -> bytes:
        """A file of the log as an export has it, but for entries; raises Tampered if it isn't there."""
        if path == "log.vkey":
            return "".join(f"{key}\n" for key in self._server.vkeys).encode()
        if path.startswith(HANDOVER):
            return self._handover_file(path)
        try:
            return self._bytes(path)
        except NotThere as error:
            raise Tampered(f"{path}: {error}") from error

    def cosigned_file(self, path: str) -> bytes:
        """The same, with the newest cosigned checkpoint as `checkpoint`."""
        if path != "checkpoint":
            return self.file(path)
        try:
            return self._bytes(operations.COSIGNED.path.removeprefix("/"), kind=path)
        except NotThere as error:
            raise Tampered(f"{path}: {error}") from error

    def _handover_file(self, path: str) -> bytes:
        for number, one in enumerate(self._handovers(), 1):
            for part, data in zip(HANDOVER_PARTS, one.parts(), strict=True):
                if path == handover_path(number, part):
                    return data
        raise Tampered(f"{path}: the server has no such hand-over")

    def _bytes(self, path: str, headers: Mapping[str, str] | None = None, kind: str = "") -> bytes:
        """A file of the log, no longer than its kind (another path, if given) may be; raises Tampered."""
        with self._server.connection.sent("GET", f"/{path}", headers=headers) as response:
            return b"".join(pieces(response, size_limit(kind or path), path))

    def log_token(self, auditor: Actor) -> dict[str, Any]:
        """A token for entries and when it ends; that it is given is itself an entry, `log.opened`."""
        signed = self._verifier.signed(
            auditor, auditor.event("log.opened", "ledger", {}, self.now())
        )
        given: dict[str, Any] = self._server.ask(
            operations.LOG_TOKEN, sent_of(signed), signed.session
        )
        with understood("log_token"):
            seq = int(given["seq"])
        self._verifier.entry(auditor, signed, seq)
        return given

    def source(self, auditor: Actor, releases: bool = True) -> Source:
        """What an export of the whole log is made of; fetching entries is itself an entry (`log.opened`).

        `releases`: with the key keeper's log of what it gave out.
        """
        token = self.log_token(auditor)["token"]
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        # First: then each release has its reading in what is fetched after it.
        released = self._releases(headers) if releases else None
        note, policy = self._newest()
        size = self._verifier.checkpoint(note).size

        def tile(level: int | str, number: int, width: int) -> bytes:
            return self._bytes(tile_path(level, number, width), headers)

        registry = self._bytes("v1/log/registry", kind="registry.json")
        return Source(
            self.origin,
            note,
            size,
            [str(key) for key in self._signers_of(note)],
            registry,
            partial(tile, "entries"),
            tile,
            policy,
            released,
            [one for one in self._handovers() if one.added.index < size],
        )

    def _releases(self, headers: Mapping[str, str]) -> Releases:
        """The key keeper's log, page by page."""
        path = operations.RELEASES.path.removeprefix("/")
        told = self._bytes(path, headers, kind="log.vkey")
        with understood("releases"):
            head = orjson.loads(told)
            note, vkeys = str(head["checkpoint"]).encode(), [str(key) for key in head["vkeys"]]

        def entries(start: int, end: int) -> list[bytes]:
            number = start // TILE_WIDTH
            raw = self._bytes(f"{path}/{number}", headers, kind=tile_path("entries", number))
            with understood("releases"):
                return split_bundle(raw)[: end - start]

        return Releases(note, vkeys, entries)

    def _newest(self) -> tuple[bytes, bytes]:
        """The checkpoint that an export ends at, and the witness policy that it meets; empty for none."""
        try:
            policy = str(self._server.ask(operations.WITNESSES)["policy"]).encode()
            if WitnessPolicy.parse(policy).demands:
                path = operations.COSIGNED.path.removeprefix("/")
                return self._bytes(path, kind="checkpoint"), policy
        except NotThere:  # a server without witnesses, or whose first checkpoint isn't cosigned yet
            pass
        except (CryptoError, KeyError, TypeError) as error:
            raise Tampered(f"the server's witness policy: {error}") from error
        return self.file("checkpoint"), b""

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """A receipt; see the port. It is checked."""
        receipt, final = self._verifier.receipt(actor, seq)
        return receipt.text(), final


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


def _openings(archive: zipfile.ZipFile, count: int) -> Sequence[Callable[[], Opening] | None]:
    """What proves each content, in the order of the index; of an older server nothing."""
    if "openings.json" not in archive.namelist():
        return [None] * count
    with archive.open("openings.json") as file:
        told = json.loads(bounded(file.read(INDEX_BYTES + 1), INDEX_BYTES, "openings.json"))
    return [
        partial(Opening, b64decode(one["key"], KEY_BYTES), b64decode(one["header"], HEADER_BYTES))
        for one in told
    ]


def _taken(
    archive: zipfile.ZipFile,
    patient: str,
    line: dict[str, Any],
    opening: Callable[[], Opening] | None,
) -> ExportedRecord:
    version = Version(line["version"], 0, "", "", line["size"], line["media_type"])
    if not 0 <= line["size"] <= BLOB_LIMIT:
        raise Tampered(
            f"the archive's index states {line['size']} bytes of a record, expected at most {BLOB_LIMIT}"
        )
    record = Record(
        line["record"], patient, 0, "", "", line["category"], line["clinical_date"], "", "", (), False, False,
        "live", 0, (version,),
    )  # fmt: skip

    content = _unpacked(archive, str(line["file"]), version.size)
    return ExportedRecord(record, version, content, opening)


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
        raise Tampered(
            f"{name[:80]!r}: does not have the {size} bytes that the archive's index states"
        )


def _link(response: httpx2.Response, path: str) -> tuple[Link, str]:
    """The link that came in place of the content, and the content's media type."""
    told = orjson.loads(b"".join(pieces(response, LINK_BYTES, path)))
    link = Link(
        str(told["url"]),
        int(told["length"]),
        b64decode(told["sha256"], 32),
        int(told["seconds"]),
        tuple(map(str, told.get("others", ()))),
    )
    return link, str(told["media_type"])


def _whole(response: httpx2.Response, size: int, path: str) -> Iterator[bytes]:
    """A content of `size` bytes; raises Tampered where there are more, Unavailable where it was cut short."""
    count = 0
    for piece in pieces(response, size, path):
        count += len(piece)
        yield piece
    if count != size:
        raise Unavailable("unreachable", f"the content was cut short: got {count} bytes of {size}")
