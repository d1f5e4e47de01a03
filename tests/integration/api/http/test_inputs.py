"""Whatever is sent: over a limit, of the wrong form, cut short, badly signed.

Each is answered by a problem document, 4xx, and leaves nothing: no entry, no key, no file.
"""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.http import bodies, problems, writing
from client import authoring, grants
from client.local import LocalClient
from crypto import canonical
from crypto.encoding import b64decode, b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.errors import RecordsError
from journeys.sealing import TEXT_BYTES
from ledger.codes import GRANT_RECORDS
from ledger.event import BUNDLE_LIMIT, EVENT_LIMIT, sign_event
from ledger.messages import session_message
from ledger.times import DAY_MS, format_time
from people.lookups import IDENTIFIERS
from people.reserving import SUBJECTS
from records import uploads
from records.exporting import commitment, listed
from records.opening import find_record
from records.uploads import Upload
from storage.sql import schema
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.server import PROBLEM, bearer, good, kind_of, problem, until
from tests.support.server_fixture import ServerFixture, served_people

SOON_SECONDS = 15.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Watched(ServerFixture):
    """A server in this process, and what requests leave with it."""

    def written(self) -> tuple[Any, ...]:
        """What a refused request must leave as it is: entries, kept keys, files."""
        ledger = self.fixture.ledger
        with ledger.database.read() as connection:
            kept = [
                connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar()
                for table in (schema.object_keys, schema.blob_keys, schema.identifiers)
            ]
        return (self.fixture.size(), *kept, self.files())

    def files(self) -> list[Path]:
        """Blobs, and what uploads in work have written so far."""
        return sorted(p for p in (self.fixture.settings.data / "blobs").rglob("*") if p.is_file())

    def quiet(self) -> bool:
        """Whether no upload is in work."""
        return not any(file.name.startswith(".") for file in self.files())


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    settings = fresh_settings(request.param, request, tmp_path_factory.mktemp("inputs"))
    with served_people(settings) as served:
        fixture, people, web = served.fixture, served.people, served.web
        grants.grant(
            LocalClient(fixture.ledger), people.pat.actor, people.pat.patient, people.doctor.account
        )
        for actor in (people.pat.actor, people.doctor, fixture.north.system):
            web.token(actor)
        yield Watched(fixture, people, web)


@pytest.fixture
def unwritten(server: Watched) -> Iterator[None]:
    """What the test sends leaves nothing."""
    # Of a client that went away the file is removed a moment later; so of the test before.
    until(server.quiet, "uploads end", SOON_SECONDS)
    *counts, files = server.written()
    # One of the test before may begin only now; it counts for nothing, and must be gone in the end.
    before = (*counts, [file for file in files if not file.name.startswith(".")])
    yield
    with suppress(AssertionError):
        until(lambda: server.written() == before, "nothing is left", SOON_SECONDS)
    assert server.written() == before


def refused(answer: Any) -> str:
    """The kind of a problem that must be one of ours, and the asker's own fault."""
    found = problem(answer)
    kind = str(found["type"]).removeprefix(PROBLEM)
    assert 400 <= answer.status_code < 500, answer.text
    known = problems.PROBLEMS[kind]
    assert (known.status, known.title) == (answer.status_code, found["title"])
    assert answer.headers["cache-control"] == "no-store"
    return kind


# Every route that takes JSON, with a value that it takes.


@dataclass(frozen=True)
class Call:
    """A call that is right in every respect."""

    path: str
    value: dict[str, Any]
    actor: Actor | None = None

    @property
    def body(self) -> bytes:
        return canonical.write(self.value)


def _event(server: Watched) -> Call:
    return Call("/v1/events", server.web.signed(server.people.grant(), server.people.pat.actor))


def _bundle(server: Watched) -> Call:
    events = [server.people.grant(), server.people.grant()]
    return Call("/v1/bundles", server.web.bundled(server.people.pat.actor, events))


def _content(server: Watched) -> Call:
    people = server.people
    sent = server.web.signed(people.reading(), people.doctor)
    return Call(f"/v1/records/{people.record}/content", sent)


def _opened(kind: str, route: str) -> Callable[[Watched], Call]:
    def make(server: Watched) -> Call:
        pat, now = server.people.pat, server.fixture.ledger.clock()
        event = pat.actor.event(kind, pat.stream, {"purpose": "PATRQT"}, now)
        return Call(f"/v1/patients/{pat.patient}/{route}", server.web.signed(event, pat.actor))

    return make


def _export(server: Watched) -> Call:
    pat, now = server.people.pat, server.fixture.ledger.clock()
    records = [find_record(server.fixture.ledger, server.people.record)]
    count, root = commitment(records, listed(records))
    body = {"count": count, "purpose": "PATRQT", "root": b64encode(root)}
    event = pat.actor.event("chart.exported", pat.stream, body, now)
    sent = server.web.signed(event, pat.actor) | {"list": [list(one) for one in listed(records)]}
    return Call(f"/v1/patients/{pat.patient}/export", sent)


def _subjects(server: Watched) -> Call:
    one = {"event": server.people.id("ev"), "id": server.people.id("pt"), "texts": {"name": "Ada"}}
    return Call("/v1/subjects", {"subjects": [one]}, server.fixture.north.system)


def _seal(server: Watched) -> Call:
    people = server.people
    value = {
        "event": people.id("ev"), "labels": ["HIV"], "object": people.pat.patient,
        "texts": {"title": "T"},
    }  # fmt: skip
    return Call(f"/v1/patients/{people.pat.patient}/seal", value, people.pat.actor)


def _lookup(server: Watched) -> Call:
    return Call("/v1/patients/lookup", {"identifiers": ["urn:nord|1"]}, server.fixture.north.system)


def _question(server: Watched) -> Call:
    people, doctor = server.people, server.people.doctor
    value = {
        "action": "read", "actor": doctor.account, "hospital": doctor.hospital,
        "patient": people.pat.patient, "purpose": "TREAT", "record": people.record, "role": "doctor",
    }  # fmt: skip
    return Call("/v1/decisions", value, doctor)


def _session(server: Watched) -> Call:
    actor, nonce = server.people.doctor, server.web.challenge()
    value = actor.key.sign(session_message(server.web.origin, actor.key.id, nonce))
    sent = {
        "challenge": b64encode(nonce), "hospital": actor.hospital, "key": actor.key.id,
        "role": "doctor", "value": b64encode(value),
    }  # fmt: skip
    return Call("/v1/sessions", sent)


ROUTES: dict[str, Callable[[Watched], Call]] = {
    "events": _event,
    "bundles": _bundle,
    "content": _content,
    "chart": _opened("chart.opened", "chart"),
    "history": _opened("history.opened", "history"),
    "export": _export,
    "subjects": _subjects,
    "seal": _seal,
    "lookup": _lookup,
    "decisions": _question,
    "sessions": _session,
}
LIMITS = {"events": bodies.EVENTS_BYTES, "bundles": bodies.EVENTS_BYTES, "content": bodies.READING_BYTES,
          "chart": bodies.READING_BYTES, "export": bodies.EVENTS_BYTES, "history": bodies.READING_BYTES}  # fmt: skip
"""The longest body of a route, where it is not that of all others."""


@pytest.mark.parametrize("route", ROUTES)
def test_white_space_and_the_order_of_keys_are_free(server: Watched, route: str) -> None:
    """What is signed is the canonical form; so each call here is right, and what is bent below is why not."""
    call = ROUTES[route](server)
    turned = json.dumps(_turned(call.value), indent=3, ensure_ascii=True).encode()
    answer = server.web.post(call.path, None, call.actor, JSON, content=b" \n" + turned + b"\t\r\n")
    assert answer.status_code == 200, answer.text


def _turned(value: Any) -> Any:
    """The same with its keys in falling order."""
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in sorted(value, reverse=True)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def _with_first(body: bytes, member: bytes) -> bytes:
    """A body whose outermost object has one more member."""
    return b"{" + member + b"," + body[1:]


def _nested(body: bytes, member: bytes) -> bytes:
    """A body whose innermost first object has one more member."""
    at = body.rindex(b"{") + 1
    comma = b"" if body[at : at + 1] == b"}" else b","
    return body[:at] + member + comma + body[at:]


def _first_key(body: bytes) -> bytes:
    match = re.search(rb'"[a-z_]+":', body)
    assert match is not None
    return match[0]


def _inner_key(body: bytes) -> bytes:
    match = re.search(rb'"[a-z_]+":', body[body.rindex(b"{") :])
    return b'"a":1,"a":' if match is None else match[0]


BENT: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: b"",
    "null": lambda body: b"null",
    "a number": lambda body: b"1",
    "a text": lambda body: b'"x"',
    "an empty list": lambda body: b"[]",
    "an empty object": lambda body: b"{}",
    "cut short": lambda body: body[: len(body) // 2],
    "without its last byte": lambda body: body[:-1],
    "something behind it": lambda body: body + b"{}",
    "a comma too many": lambda body: body[:-1] + b",}",
    "a comment": lambda body: b"/* */" + body,
    "single quotes": lambda body: body.replace(b'"', b"'"),
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "a byte that is no UTF-8": lambda body: _with_first(body, b'"x":"\xff"'),
    "an overlong character": lambda body: _with_first(body, b'"x":"\xc0\x80"'),
    "half a surrogate pair": lambda body: _with_first(body, b'"x":"\\ud800"'),
    "a zero character": lambda body: _with_first(body, b'"x":"\\u0000"'),
    "NaN": lambda body: _with_first(body, b'"x":NaN'),
    "infinity": lambda body: _with_first(body, b'"x":1e999'),
    "an integer of 65 bits": lambda body: _with_first(body, b'"x":18446744073709551616'),
    "an integer of 5,000 digits": lambda body: _with_first(body, b'"x":' + b"9" * 5_000),
    "100 lists deep": lambda body: _with_first(body, b'"x":' + b"[" * 100 + b"]" * 100),
    "300 lists deep": lambda body: _with_first(body, b'"x":' + b"[" * 300 + b"]" * 300),
    "300 objects deep": lambda body: _with_first(
        body, b'"x":' + b'{"a":' * 300 + b"1" + b"}" * 300
    ),
    "5,000 lists deep": lambda body: _with_first(body, b'"x":' + b"[" * 5_000 + b"]" * 5_000),
    "5,000 lists not closed": lambda body: b"[" * 5_000,
    "a key twice": lambda body: _with_first(body, _first_key(body) + b"1"),
    "an inner key twice": lambda body: _nested(body, _inner_key(body) + b"1"),
    "an unknown member": lambda body: _with_first(body, b'"unknown":1'),
    "an unknown member that is null": lambda body: _with_first(body, b'"unknown":null'),
    "a key that isn't one of ours": lambda body: _with_first(body, b'"":1'),
}
"""What is done to the bytes of a body that is right."""


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_is_bent_is_refused(server: Watched, route: str) -> None:
    call = ROUTES[route](server)
    before = server.written()
    for name, bend in BENT.items():
        answer = server.web.post(call.path, None, call.actor, JSON, content=bend(call.body))
        assert refused(answer) in ("malformed", "too_large"), name
        assert server.written() == before, name
    assert kind_of(server.web.post(call.path, call.value, call.actor)) == "200"


@pytest.mark.parametrize("route", ROUTES)
def test_any_member_of_another_type_is_refused_or_means_the_same(
    server: Watched, route: str
) -> None:
    """Never a 500; of what is signed every other value is refused."""
    call = ROUTES[route](server)
    wrong: list[Any] = [
        None, True, 0, -1, 1.5, 2**63, "", "x", "\0", "é" * 9_000, [], [[]], [None], {}, {"a": 1}
    ]  # fmt: skip
    signed = "sig" in call.value
    before = server.written()
    for value in _altered(call.value, wrong):
        body = json.dumps(value).encode()
        answer = server.web.post(call.path, None, call.actor, JSON, content=body)
        if route == "events" and isinstance(value, list) and value:
            assert good(answer)["appended"] == 0  # each of a list has its own answer
        elif signed or answer.status_code != 200:
            refused(answer)
    if signed:
        assert server.written() == before


def _altered(value: Any, others: list[Any]) -> Iterator[Any]:
    """The value with each of its parts left out or replaced by each of the others."""
    for other in others:
        if type(other) is not type(value) or other != value:
            yield other
    keys: list[Any] = list(value) if isinstance(value, dict) else []
    for key in keys:
        yield {k: v for k, v in value.items() if k != key}
        for inner in _altered(value[key], others):
            yield {**value, key: inner}
    if isinstance(value, list):
        for index, item in enumerate(value):
            for inner in _altered(item, others):
                yield [*value[:index], inner, *value[index + 1 :]]


@pytest.mark.parametrize("route", ROUTES)
def test_another_content_type_is_refused(server: Watched, route: str) -> None:
    call = ROUTES[route](server)
    before = server.written()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "json",
        "application/jsonl",
    ):
        answer = server.web.post(
            call.path, None, call.actor, {"Content-Type": kind}, content=call.body
        )
        assert refused(answer) == "malformed"
    assert server.written() == before
    kind = "Application/JSON; charset=utf-8"
    answer = server.web.post(call.path, None, call.actor, {"Content-Type": kind}, content=call.body)
    assert answer.status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_over_its_limit_is_refused(server: Watched, route: str) -> None:
    """Announced or not, and although it is only white space that is too much."""
    call, limit = ROUTES[route](server), LIMITS.get(route, bodies.JSON_BYTES)
    before = server.written()
    body = call.body + b" " * (limit + 1 - len(call.body))
    for content in (body, iter([body[: limit // 2], body[limit // 2 :]])):
        answer = server.web.post(call.path, None, call.actor, JSON, content=content)
        assert (refused(answer), answer.status_code) == ("too_large", 413)
    assert server.written() == before
    answer = server.web.post(call.path, None, call.actor, JSON, content=body[:limit])
    assert answer.status_code == 200


def test_a_million_keys_are_looked_through_once(server: Watched, unwritten: None) -> None:
    """A key that stands twice at the end of a long body is found without comparing all with all."""
    keys = b",".join(b'"%d":0' % number for number in range(300_000))
    answer = server.web.post("/v1/events", None, None, JSON, content=b"{" + keys + b',"0":0}')
    assert "twice" in problem(answer)["detail"]


# Limits of events, lists and texts.


def test_the_limits_of_what_is_sent(server: Watched, unwritten: None) -> None:
    """Each one over; the detail says what was got or expected."""
    web, people, fixture = server.web, server.people, server.fixture
    pat, system = people.pat, fixture.north.system
    one = web.signed(people.grant(), pat.actor)
    records = sorted(people.id("rc") for _ in range(GRANT_RECORDS + 1))
    long_event = people.grant(what={"authors": [people.id("ac")]}, scope="x" * EVENT_LIMIT)
    subject = {"event": people.id("ev"), "id": people.id("pt")}
    texts = {"name": "ä" * (TEXT_BYTES // 2) + "x"}
    deep: Any = "x"
    for _ in range(8):
        deep = {"a": deep}
    calls: dict[str, tuple[str, Any, Actor | None]] = {
        "an event": ("/v1/events", web.signed(long_event, pat.actor), None),
        "an event's depth": ("/v1/events", web.signed(people.grant(what=deep), pat.actor), None),
        "a grant's records": (
            "/v1/events", web.signed(people.grant(scope="selective", records=records), pat.actor), None
        ),
        "a list of events": ("/v1/events", [one] * (BUNDLE_LIMIT + 1), None),
        "no events": ("/v1/events", [], None),
        "a bundle": (
            "/v1/bundles", {"events": [people.grant()] * (BUNDLE_LIMIT + 1), "sig": one["sig"]}, None
        ),
        "an empty bundle": ("/v1/bundles", {"events": [], "sig": one["sig"]}, None),
        "subjects": ("/v1/subjects", {"subjects": [subject] * (SUBJECTS + 1)}, system),
        "no subjects": ("/v1/subjects", {"subjects": []}, system),
        "a text": ("/v1/subjects", {"subjects": [subject | {"texts": texts}]}, system),
        "an identifier": ("/v1/subjects", {"subjects": [subject | {"identifier": "x" * 513}]}, system),
        "identifiers": ("/v1/patients/lookup", {"identifiers": ["x"] * (IDENTIFIERS + 1)}, system),
        "labels": (
            f"/v1/patients/{pat.patient}/seal",
            {"event": people.id("ev"), "object": people.record, "labels": ["HIV"] * 17}, system,
        ),
    }  # fmt: skip
    for name, (path, value, actor) in calls.items():
        answer = web.post(path, value, actor)
        assert refused(answer) in ("malformed", "too_large"), name
        assert len(problem(answer)["detail"]) < 500, name


def test_the_same_subject_twice_in_a_call(server: Watched) -> None:
    """Is the same subject; one answer for each."""
    sent = _subjects(server)
    value = {"subjects": sent.value["subjects"] * 2}
    answer = good(server.web.post(sent.path, value, sent.actor))
    assert len(answer["subjects"]) == 2
    one = sent.value["subjects"][0] | {"identifier": "urn:nord|twice", "id": server.people.id("pt")}
    other = one | {"id": server.people.id("pt"), "event": server.people.id("ev")}
    answer = good(server.web.post(sent.path, {"subjects": [one, other]}, sent.actor))
    assert len({subject["id"] for subject in answer["subjects"]}) == 1


# Signatures.


@dataclass(frozen=True)
class Signed:
    """How a signature is wrong, and what that is called."""

    bend: Callable[[Watched, Call], dict[str, Any]]
    kinds: tuple[str, ...] = ("signature",)


def _sig(**members: str) -> Callable[[Watched, Call], dict[str, Any]]:
    return lambda server, call: {**call.value, "sig": {**call.value["sig"], **members}}


def _resigned(
    key: SigningKey | None, origin: str, named: str = ""
) -> Callable[[Watched, Call], dict[str, Any]]:
    def bend(server: Watched, call: Call) -> dict[str, Any]:
        signer = key or server.people.pat.actor.key
        event = call.value.get("event") or call.value["events"][0]
        sig = sign_event(signer, origin or server.web.origin, canonical.write(event))
        return {**call.value, "sig": {"key": named or sig.key, "value": b64encode(sig.value)}}

    return bend


def _flipped(server: Watched, call: Call) -> dict[str, Any]:
    value = bytearray(b64decode(call.value["sig"]["value"]))
    value[5] ^= 1
    return {**call.value, "sig": {**call.value["sig"], "value": b64encode(bytes(value))}}


SIGNATURES = {
    "one bit": Signed(_flipped),
    "zeroes": Signed(_sig(value=b64encode(bytes(64)))),
    "too long": Signed(_sig(value=b64encode(bytes(65))), ("malformed",)),
    "too short": Signed(_sig(value=b64encode(bytes(63))), ("malformed",)),
    "another alphabet": Signed(_sig(value="_" * 86 + "=="), ("malformed",)),
    "not canonical": Signed(_sig(value="A" * 85 + "B=="), ("malformed",)),
    "of another log": Signed(_resigned(None, "heartwood.example/other"), ("signature",)),
    "of an unknown key": Signed(_resigned(new_key(), ""), ("key",)),
    "a key that is none": Signed(_sig(key="k_0"), ("malformed",)),
    "no key": Signed(_sig(key=""), ("malformed",)),
    "a zero character in the key": Signed(_sig(key="k_\0"), ("malformed",)),
}


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("route", ["events", "bundles", "content", "chart", "history", "export"])
def test_a_wrong_signature_is_refused(
    server: Watched, unwritten: None, route: str, name: str
) -> None:
    call, wrong = ROUTES[route](server), SIGNATURES[name]
    answer = server.web.post(call.path, wrong.bend(server, call))
    assert refused(answer) in wrong.kinds


def test_an_event_signed_by_somebody_elses_key_is_refused(server: Watched, unwritten: None) -> None:
    """As for a single one, so for a bundle, and in the list the others stand."""
    people, web = server.people, server.web
    for call in (_event(server), _content(server)):
        event = call.value["event"]
        answer = web.post(call.path, web.signed(event, key=people.kim.actor.key))
        assert refused(answer) == "key"
    bundle = web.bundled(people.kim.actor, [people.grant()])
    assert good(web.post("/v1/bundles", bundle))["entries"][0]["problem"]["type"] == PROBLEM + "key"


def test_each_event_of_a_list_has_its_answer(server: Watched) -> None:
    """Good ones stand, whatever is beside them."""
    people, web = server.people, server.web
    right = web.signed(people.grant(), people.pat.actor)
    sent = [right, {}, 1, web.signed(people.reading(), people.doctor), web.signed(people.grant(), people.pat.actor),
            _flipped(server, _event(server)), right]  # fmt: skip
    body = json.dumps(sent).encode()
    answer = good(web.post("/v1/events", None, None, JSON, content=body))
    kinds = [
        str(e.get("problem", {}).get("type", "")).removeprefix(PROBLEM) for e in answer["entries"]
    ]
    assert kinds == ["", "malformed", "malformed", "reading", "", "signature", ""]
    assert answer["entries"][0]["seq"] == answer["entries"][6]["seq"]
    assert [entry["index"] for entry in answer["entries"]] == list(range(7))


def test_what_the_event_expects_of_its_stream(server: Watched) -> None:
    """Another length is a conflict, a length that is none is refused."""
    people, web = server.people, server.web
    length = len(server.fixture.ledger.stream(people.pat.stream, server.fixture.size()))
    for seq in (-1, True, "1", 1.0, None):
        sent = web.signed(people.grant(), people.pat.actor) | {"expect": {"stream_seq": seq}}
        answer = web.post("/v1/events", None, None, JSON, content=json.dumps(sent).encode())
        assert refused(answer) == "malformed"
    null = web.signed(people.grant(), people.pat.actor) | {"expect": None}
    answer = web.post("/v1/events", None, None, JSON, content=json.dumps(null).encode())
    assert refused(answer) == "malformed"
    for seq, kind in ((length + 1, "conflict"), (2**62, "conflict"), (length, "200")):
        sent = web.signed(people.grant(), people.pat.actor) | {"expect": {"stream_seq": seq}}
        answer = web.post("/v1/events", None, None, JSON, content=json.dumps(sent).encode())
        assert kind_of(answer) == kind


# Addresses and parameters.


@pytest.mark.parametrize(
    "path",
    ["/v1/receipts/-1", "/v1/receipts/x", "/v1/receipts/1.0", "/v1/receipts/1_0", "/v1/receipts/+1",
     "/v1/receipts/01", "/v1/receipts/%201", "/v1/receipts/9007199254740992", f"/v1/receipts/{'9' * 5000}",
     "/v1/receipts/%D9%A1", "/v1/records/rc_1", "/v1/records/rc_%00", "/v1/records/..%2F..%2Fetc%2Fpasswd",
     "/v1/records/rc_8zzzzzzzzzzzzzzzzzzzzzzzzz", "/v1/records/rc_01jd3q8m5c0000000000000005",
     "/v1/records/RC_01JD3Q8M5C0000000000000005", "/v1/patients/pt_1/grants",
     "/v1/patients/pt_01jd3q8m5c0000000000000005/grants", "/v1/patients/%ff%fe/grants",
     "/v1/records/rc_01jd3q8m5c0000000000000005%0a"],
)  # fmt: skip
def test_an_id_that_is_none_is_refused(server: Watched, unwritten: None, path: str) -> None:
    assert refused(server.web.get(path, server.people.pat.actor)) in ("malformed", "not_found")


@pytest.mark.parametrize(
    "form", ["+{}", "0{}", "{}.0", "{}_", "%20{}", "-{}", "{}%0a", "{}e0", "0x{}"]
)
def test_a_number_has_one_form(server: Watched, form: str) -> None:
    """Decimal, without sign or leading zeros, also where the entry is the asker's own."""
    seq = grants.grant(
        LocalClient(server.fixture.ledger),
        server.people.pat.actor,
        server.people.pat.patient,
        server.people.doctor.account,
    )[1]
    answer = server.web.get(f"/v1/receipts/{form.format(seq)}", server.people.pat.actor)
    assert refused(answer) == "malformed"
    assert kind_of(server.web.get(f"/v1/receipts/{seq}", server.people.pat.actor)) == "200"


def test_an_address_and_its_event_must_be_about_the_same(server: Watched, unwritten: None) -> None:
    web, people = server.web, server.people
    other = people.id("rc")
    for route, instead in (("content", f"/v1/records/{other}/content"), *(
        (route, f"/v1/patients/{people.kim.patient}/{route}") for route in ("chart", "history", "export")
    )):  # fmt: skip
        assert refused(web.post(instead, ROUTES[route](server).value)) == "malformed"
    for route, wrong in (("chart", "history"), ("history", "chart")):
        call = ROUTES[route](server)
        assert refused(web.post(ROUTES[wrong](server).path, call.value)) == "malformed"


def test_an_export_lists_ids(server: Watched, unwritten: None) -> None:
    call = _export(server)
    record = server.people.record
    lists: tuple[Any, ...] = ([["\0", 1]], [["x" * 9_000, 1]], [[record, 0]], [[record, -1]], [[record, 2**62]],
                              [[record, True]], [[record]], [record], {}, [[record, 1, 1]])  # fmt: skip
    for wanted in lists:
        body = json.dumps(call.value | {"list": wanted}).encode()
        answer = server.web.post(call.path, None, None, JSON, content=body)
        assert refused(answer) in ("malformed", "not_found")


# Uploads.


def blobs_of(server: Watched, record: str = "") -> str:
    """Where blobs of the first patient go."""
    return f"/v1/patients/{server.people.pat.patient}/blobs" + (
        f"?record={record}" if record else ""
    )


def test_an_upload_that_nobody_may_make_leaves_nothing(server: Watched, unwritten: None) -> None:
    web, people, fixture = server.web, server.people, server.fixture
    assert refused(web.post(blobs_of(server), content=b"x")) == "not_signed_in"
    assert refused(web.post(blobs_of(server), None, people.kim.actor, content=b"x")) == "forbidden"
    assert (
        refused(web.post(blobs_of(server), None, fixture.north.admin, content=b"x")) == "forbidden"
    )
    system = fixture.north.system
    nobody = f"/v1/patients/{people.id('pt')}/blobs"
    assert refused(web.post(nobody, None, system, content=b"x")) == "not_found"
    for record, kind in (
        (people.id("rc"), "not_found"),
        ("rc_1", "malformed"),
        ("../x", "malformed"),
    ):
        assert refused(web.post(blobs_of(server, record), None, system, content=b"x")) == kind
    assert (
        refused(web.post(blobs_of(server, people.record), None, fixture.south.system, content=b"x"))
        == "not_found"
    )


def test_an_upload_over_the_limit_leaves_nothing(
    server: Watched, unwritten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Announced or found out on the way."""
    for room in (writing, uploads):
        monkeypatch.setattr(room, "BLOB_LIMIT", 100_000)
    system = server.fixture.north.system
    for content in (bytes(100_001), iter([bytes(60_000), bytes(60_000)])):
        answer = server.web.post(blobs_of(server), None, system, content=content)
        assert refused(answer) == "too_large"


def _raw(server: Watched, head: str, body: bytes, end: bool = True) -> bytes:
    """Bytes over a bare connection, and all that comes back."""
    address = urlsplit(server.web.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + body)
        if end:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    return answer


def test_a_body_that_ends_early_leaves_nothing(server: Watched, unwritten: None) -> None:
    """Of an event and of an upload: the client is gone, so nobody is answered, and nothing is kept."""
    call, system = _event(server), server.fixture.north.system
    token = server.web.token(system)
    for path, body, also in (
        (call.path, call.body, "Content-Type: application/json\n"),
        (blobs_of(server), b"x" * 5_000, f"Authorization: Bearer {token}\n"),
    ):
        head = f"POST {path} HTTP/1.1\nHost: x\n{also}Content-Length: {len(body) + 10}\n\n"
        answer = _raw(server, head, body)
        assert not answer.startswith(b"HTTP/1.1 2") and not answer.startswith(b"HTTP/1.1 5")
    assert kind_of(server.web.get("/readyz")) == "200"


def test_a_body_that_goes_on_behind_its_length_is_cut_there(
    server: Watched, unwritten: None
) -> None:
    call = _event(server)
    head = (
        f"POST {call.path} HTTP/1.1\nHost: x\nContent-Type: application/json\n"
        f"Content-Length: {len(call.body) - 10}\n\n"
    )
    answer = _raw(server, head, call.body)
    assert answer.startswith(b"HTTP/1.1 400")  # by us, or by the server: what follows is no request


@pytest.mark.parametrize(
    "head",
    ["POST /v1/events HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999999\n\n",
     "POST /v1/events HTTP/1.1\nHost: x\nContent-Length: -1\n\n",
     "POST /v1/events HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 2\n\n",
     "POST /v1/events HTTP/1.1\nHost: x\nContent-Length: 4\nTransfer-Encoding: chunked\n\n",
     "POST /v1/events HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n",
     "GARBAGE\n\n", "GET /v1/log HTTP/9.9\n\n", "\0\0\0\n\n"],
)  # fmt: skip
def test_what_is_no_http_is_turned_away(server: Watched, unwritten: None, head: str) -> None:
    """Below our documents: the server itself answers 400, or nothing."""
    answer = _raw(server, head, b"")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert kind_of(server.web.get("/readyz")) == "200"


# What comes from outside is data.


@pytest.mark.parametrize("name", ["x\r\nSet-Cookie: a=b", "a\tb", "a\x7f", "\x00"])
def test_control_characters_are_in_no_text(server: Watched, name: str) -> None:
    """Refused before anything is sealed, by the member that holds them."""
    one = Upload(server.people.pat.patient, "document", "text/plain", [b"x"], file_name=name)
    with pytest.raises(RecordsError, match="control characters in file_name"):
        authoring.upload(LocalClient(server.fixture.ledger), server.fixture.north.system, one)


@pytest.mark.parametrize(
    "media_type", ["text/html", "image/svg+xml", "application/javascript", "application/json"]
)
@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", 'a"b\\c.png', "Ärztebrief ‮fdp.exe", "<script>"],
)
def test_file_names_and_media_types_are_data(server: Watched, media_type: str, name: str) -> None:
    """Given back as they came, sealed texts in base64, the file named by its record's id."""
    one = Upload(
        server.people.pat.patient, "document", media_type, [b"<b>"], title=name, file_name=name
    )
    record = authoring.upload(
        LocalClient(server.fixture.ledger), server.fixture.north.system, one
    ).record
    blob = find_record(server.fixture.ledger, record).versions[0].blob
    event = server.people.reading(record=record, blob=blob)
    answer = server.web.post(
        f"/v1/records/{record}/content", server.web.signed(event, server.people.doctor)
    )
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{record}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    texts = json.loads(b64decode(answer.headers["heartwood-texts"]))
    assert texts == {"file_name": name, "title": name}


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html\r\nX: y",
        "text",
        "",
        "text/html; charset=x",
        "Text/HTML",
        "a/" + "b" * 200,
        "text/\0",
    ],
)
def test_a_media_type_that_is_none_is_refused(
    server: Watched, unwritten: None, media_type: str
) -> None:
    people = server.people
    body = {"category": "document", "media_type": media_type}
    event = people.reading() | {"type": "record.uploaded", "body": body}
    sent = json.dumps(
        server.web.signed(people.grant(), people.pat.actor) | {"event": event}
    ).encode()
    assert refused(server.web.post("/v1/events", None, None, JSON, content=sent)) == "malformed"


def test_a_skewed_clock_is_refused(server: Watched, unwritten: None) -> None:
    """More than five minutes off; the answer is the client's to mend, unlike the server's own clock."""
    people, now = server.people, server.fixture.ledger.clock()
    for off in (-301_000, 302_000, DAY_MS):
        event = people.grant() | {"at": format_time(now + off)}
        answer = server.web.post("/v1/events", server.web.signed(event, people.pat.actor))
        assert refused(answer) == "skew"


def test_a_token_in_the_address_counts_for_nothing(server: Watched) -> None:
    token = server.web.token(server.people.pat.actor)
    assert refused(server.web.client.get("/v1/me", params={"token": token})) == "not_signed_in"
    assert kind_of(server.web.get("/v1/me", headers=bearer(token))) == "200"
    assert new_id("ev", 0).startswith("ev_")
