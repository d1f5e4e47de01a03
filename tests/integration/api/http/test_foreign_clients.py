"""What clients that others wrote expect of HTTP: HEAD, Allow, compression, the description where it is looked for."""

import gzip
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from api.http import create_app
from crypto.encoding import b64encode
from tests.support.server import bearer, good, problem
from tests.support.server_fixture import ServedChart, new_auditor


def token(server: ServedChart) -> dict[str, str]:
    """The header of an auditor's token."""
    auditor = new_auditor(server)
    event = auditor.event("log.opened", "ledger", {}, server.clock())
    return bearer(
        good(server.web.post("/v1/log/token", server.web.signed(event, auditor)))["token"]
    )


def entries(server: ServedChart) -> str:
    """The path of the first entries."""
    size = server.fixture.size()
    return "/tile/entries/000" if size >= 256 else f"/tile/entries/000.p/{size}"


@pytest.mark.parametrize(
    "path", ["/checkpoint", "/tile/0/000.p/1", "/healthz", "/readyz", "/openapi.json", "entries", "/tile/0/x1", "/tile/9/000"]
)  # fmt: skip
def test_head_is_get_without_a_body(server: ServedChart, path: str) -> None:
    headers = token(server) if path == "entries" else {}
    path = entries(server) if path == "entries" else path
    got, head = (server.web.client.request(way, path, headers=headers) for way in ("GET", "HEAD"))
    assert head.status_code == got.status_code and head.content == b""
    names = ("content-type", "content-length", "cache-control", "content-encoding")
    assert [head.headers.get(name) for name in names] == [got.headers.get(name) for name in names]


def test_head_of_entries_needs_the_token_too(server: ServedChart) -> None:
    assert server.web.client.head(entries(server)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/checkpoint", "GET, HEAD"),
        ("POST", "/tile/0/000", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("GET", "/v1/events", "POST"),
        ("PATCH", "/v1/sessions", "DELETE, POST"),
        ("PUT", "/v1/records/{record}/content", "GET, POST"),
        ("HEAD", "/v1/me", "GET"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
def test_what_is_allowed_instead_is_said_whole(
    server: ServedChart, method: str, path: str, allowed: str
) -> None:
    found = server.web.client.request(method, path.format(record=server.records["old"]))
    assert (found.status_code, found.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        (None, False), ("", False), ("identity", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.0", False),
        ("*;q=0", False), ("gzip;q=0, *", False), ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("*", True),
        ("br;q=1.0, *;q=0.1", True),
    ],
)  # fmt: skip
def test_entries_are_zipped_for_who_takes_it(
    server: ServedChart, accepted: str | None, zipped: bool
) -> None:
    headers = token(server)
    with server.web.client.stream(
        "GET", entries(server), headers=headers | {"Accept-Encoding": accepted or ""}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    plain = server.web.client.get(
        entries(server), headers=headers | {"Accept-Encoding": "identity"}
    )
    assert answer.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert (gzip.decompress(raw) if zipped else raw) == plain.content
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(raw)
    assert not zipped or len(raw) < len(plain.content)


def test_the_description_is_where_people_look(server: ServedChart) -> None:
    first, second = (server.web.get(path).json() for path in ("/openapi.json", "/v1/openapi.json"))
    assert first == second and first["openapi"].startswith("3.")


def forms(server: ServedChart, path: str) -> Any:
    document = server.web.get("/openapi.json").json()
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


BENDS: dict[str, tuple[str, Any]] = {
    "an unknown member": ("more", 1),
    "an id of another kind": ("id", "ac_01jd3q8m5c0000000000000001"),
    "an unknown type": ("type", "record.stolen"),
    "a version that is none": ("v", 0),
    "a time without milliseconds": ("at", "2026-11-20T07:24:00Z"),
    "a stream of nothing": ("stream", "patient/me"),
    "a role without its hospital": ("as", {"role": "doctor"}),
    "a hospital without its role": ("as", {"role": "patient", "hospital": "hs_01jd3q8m5c0000000000000004"}),
}  # fmt: skip


@pytest.mark.parametrize("name", BENDS)
def test_the_description_is_as_strict_as_the_server(server: ServedChart, name: str) -> None:
    """What the server calls malformed, the description does not allow either; what it takes, it does."""
    actor = server.pat.actor
    event = actor.event(
        "reader.excluded",
        server.pat.stream,
        {"purpose": "PATRQT", "reader": server.doctor.account},
        server.clock(),
    )
    right = server.web.signed(event, actor)
    validator = Draft202012Validator(forms(server, "/v1/events"))
    assert validator.is_valid(right)
    member, value = BENDS[name]
    bent = right | {"event": event | {member: value}}
    assert not validator.is_valid(bent)
    assert problem(server.web.post("/v1/events", bent))["type"].endswith(":malformed")


@pytest.mark.parametrize(
    "sig",
    [{"key": "k_1", "value": b64encode(bytes(64))}, {"value": b64encode(bytes(63))}, {"value": ""}],
)
def test_signatures_are_described_as_they_are_taken(
    server: ServedChart, sig: dict[str, str]
) -> None:
    actor = server.pat.actor
    event = actor.event(
        "reader.excluded",
        server.pat.stream,
        {"purpose": "PATRQT", "reader": server.doctor.account},
        server.clock(),
    )
    right = server.web.signed(event, actor)
    bent = right | {"sig": right["sig"] | sig}
    assert not Draft202012Validator(forms(server, "/v1/events")).is_valid(bent)
    assert problem(server.web.post("/v1/events", bent))["type"].endswith(":malformed")


SENT = {
    path: item["post"]["requestBody"]["content"]["application/json"]
    for path, item in create_app(lambda: None).openapi()["paths"].items()  # type: ignore[arg-type, return-value]
    if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
}
"""Each operation that takes JSON: its path, and what the description says of its body."""


def bends(right: dict[str, Any], sent: Any) -> dict[str, Any]:
    """Bodies that are none, by what is wrong with them: a member too many, one that is missing or of another type."""
    found: dict[str, Any] = {"a text": "x", "an unknown member": right | {"more": 1}}
    for name, value in right.items():
        found[f"{name} is a number"] = right | {name: 1.5}
        found[f"{name} is empty"] = right | {name: None}
        form = sent.get("properties", {}).get(name, {})
        if "pattern" in form or "enum" in form:
            found[f"{name} is of no form"] = right | {name: "\n" + value}
        elif "maxLength" in form:
            found[f"{name} is too long"] = right | {name: "x" * (form["maxLength"] + 1)}
        if name in sent.get("required", ()):
            found[f"without {name}"] = {n: v for n, v in right.items() if n != name}
    if "event" in right and "sig" in right:
        found["an unknown member of the event"] = right | {"event": right["event"] | {"more": 1}}
        found["an unknown member of the signature"] = right | {"sig": right["sig"] | {"more": 1}}
    return found


@pytest.mark.parametrize("path", SENT)
def test_every_body_is_described_as_it_is_taken(server: ServedChart, path: str) -> None:
    """The example is allowed and not malformed; what the description does not allow is, and is the same."""
    document = server.web.get("/openapi.json").json()
    schema, example = SENT[path]["schema"], SENT[path]["example"]
    named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    validator = Draft202012Validator(schema | {"components": document["components"]})
    where = path.format(
        record=server.records["old"], patient=server.pat.patient, account=server.pat.actor.account, form="insurance",
        hospital=server.fixture.north.hospital,
    )  # fmt: skip
    headers = bearer(server.web.token(server.fixture.north.system))

    def malformed(body: Any) -> bool:
        answer = server.web.post(where, body, headers=headers)
        return not answer.is_success and problem(answer)["type"].endswith(":malformed")

    assert validator.is_valid(example) and not malformed(example)
    for name, bent in bends(example, named).items():
        assert (validator.is_valid(bent), malformed(bent)) == (False, True), name
