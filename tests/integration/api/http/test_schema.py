"""The OpenAPI document holds: only documented answers come, whatever the document allows to send."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from api.app.settings import Settings
from api.http import create_app, examples
from client.operations import ACCOUNT
from crypto import canonical
from storage.ledger import Ledger
from tests.support.server import bearer, kind_of
from tests.support.server_fixture import ServerFixture, served_people


def _never() -> Ledger:
    raise AssertionError("the document is made without a ledger")


DOCUMENT = create_app(_never).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
EXAMPLES = 40
"""Requests of each operation."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFixture]:
    with served_people(Settings(data=tmp_path_factory.mktemp("schema") / "data")) as served:
        yield served


def signed(server: ServerFixture, body: Any) -> Any:
    """A generated body, its events under a signature that counts, where they can be signed at all."""
    actor = server.people.pat.actor
    try:
        if isinstance(body, list):
            return [signed(server, item) for item in body]
        if isinstance(body, dict) and isinstance(body.get("event"), dict):
            event = like(server, body["event"])
            return body | {"sig": server.web.signed(event, actor)["sig"], "event": event}
        if isinstance(body, dict) and isinstance(body.get("events"), list):
            events = [like(server, event) for event in body["events"] if isinstance(event, dict)]
            return server.web.bundled(actor, events)
    except (TypeError, ValueError):
        pass  # nothing that has a canonical form: sent as it is
    return body


def like(server: ServerFixture, made_up: dict[str, Any]) -> dict[str, Any]:
    """A right event with the made-up members put over it; without any it is right as it is."""
    event = server.people.reading(server.people.pat.actor) | made_up
    canonical.write(event)
    return event


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_only_documented_answers_come(server: ServerFixture, case: schemathesis.Case[Any]) -> None:
    """From everybody: with a session and without, signed and not."""
    if isinstance(case.body, dict | list):
        case.body = signed(server, case.body)
    parameters = case.path_parameters or {}
    if "record" in parameters:
        case.path_parameters = parameters | {"record": server.people.record}
    if "patient" in parameters and len(case.id) % 2:
        case.path_parameters = parameters | {"patient": server.people.pat.patient}
    actor = (
        server.people.pat.actor
        if case.id and case.id[-1] < "U"
        else server.people.fixture.north.system
    )
    headers = {"Authorization": f"Bearer {server.web.token(actor)}"}
    if case.operation.path == "/v1/sessions" and case.method == "DELETE":
        headers = {}  # the session is needed on
    response = case.call(base_url=server.web.url, headers=headers)
    case.validate_response(response, checks=CHECKED)  # type: ignore[arg-type]


OPERATIONS = [
    (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]

BODILESS = (
    "/v1/me/factors/code", "/v1/me/passkeys/challenge", "/v1/sessions/challenge", "/v1/sessions/current/renewal",
    "/v1/sessions/current/step-up/passkey", "/v1/sessions/passkey",
)  # fmt: skip
"""Where nothing is sent."""


WITHOUT_BODY = set(BODILESS)
"""What is posted with nothing in it."""


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=lambda part: str(part)[:40]
)
def test_every_operation_has_its_examples(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """Of what is sent, of each parameter in its path, of the good answer and of a problem."""
    assert operation["summary"] and operation["description"]
    assert all(
        content["example"]
        for content in operation.get("requestBody", {}).get("content", {}).values()
    )
    for parameter in operation.get("parameters", []):
        assert (
            parameter["in"] == "query" or parameter["schema"]["examples"] or parameter["examples"]
        )
    answers = operation["responses"]
    assert "default" in answers and "422" not in answers
    good = {status: answer for status, answer in answers.items() if status != "default"}
    assert len(good) == 1
    for status, answer in good.items():
        contents = answer.get("content", {}).values()
        assert (status == "204") == (not contents)
        assert all(content["example"] for content in contents)
    if method == "post" and path not in BODILESS:
        assert operation["requestBody"]["required"]


def test_what_the_document_shows_as_examples_is_taken_as_its_form(server: ServerFixture) -> None:
    """Each example is of the right form: refused only for who signs, what is there, and when."""
    fine = {
        "claim",
        "conflict",
        "forbidden",
        "key",
        "not_found",
        "not_signed_in",
        "proof",
        "quota",
        "second_factor",
        "throttled",
    }
    web, system = server.web, server.people.fixture.north.system
    for method, path, operation in OPERATIONS:
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json":
                continue
            named = path.format(
                account=ACCOUNT, form="insurance", hospital=examples.HOSPITAL, patient=examples.PATIENT,
                record=examples.RECORD,
            )  # fmt: skip
            headers = bearer(web.token(system))
            answer = web.client.request(method, named, json=content["example"], headers=headers)
            assert answer.is_success or kind_of(answer) in fine, (path, answer.text)
