"""Routes parse, call one function and answer: errors become problems in one place, which no route is."""

import ast
import pkgutil
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from fastapi import APIRouter
from pydantic import ValidationError

import api.http
from api.http.problems import Problem, attempted, problem_of
from api.http.views import LookupSent
from ledger.errors import Refused

PROTOCOL = {
    "bodies": (
        4,
        "the client's time, a share given back, and JSON: what it isn't, and in a thread",
    ),
    "bounded": (3, "each request's line and share, whatever comes of it"),
    "cookies": (1, "what is no cookie of ours signs nobody in"),
    "direct": (
        1,
        "it stands outside of the framework, whose handlers don't see what is raised in it",
    ),
    "problems": (1, "of a list each has its own answer"),
    "proofs": (
        3,
        "a turn and a place in the queue are given back, and whoever waits too long is told",
    ),
    "shares": (1, "what is no address has a share, too"),
    "streamed": (1, "the blob's file is let go, also where nobody listens any more"),
    "uploads": (1, "a turn is given back"),
    "witnessing": (
        3,
        "an application of its own, without the table: a share, a body's time, the disk",
    ),
}
"""What is no route and catches or cleans up: so many `try` by module, and why."""


def test_no_route_catches() -> None:
    """A module with a router has no `try`, and the others have those that are known."""
    found = Counter[str]()
    for module in pkgutil.iter_modules(api.http.__path__):
        loaded = import_module(f"api.http.{module.name}")
        tree = ast.parse(Path(str(loaded.__file__)).read_text())
        tries = sum(isinstance(node, ast.Try | ast.TryStar) for node in ast.walk(tree))
        if isinstance(getattr(loaded, "router", None), APIRouter):
            assert not tries, (
                f"{module.name} has routes and a `try`: let api/http/problems.py answer"
            )
        elif tries:
            found[module.name] = tries
    assert found == {name: count for name, (count, _) in PROTOCOL.items()}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "identifiers: Field required"),
        ({"identifiers": [1]}, "identifiers.0: Input should be a valid string"),
        ({"identifiers": ["a|b"], "more": 1}, "more: Extra inputs are not permitted"),
        ([], "body: Input should be "),
    ],
)
def test_a_body_of_another_form_is_told_with_its_place(sent: object, told: str) -> None:
    """Pydantic's error becomes a problem where all others do."""
    with pytest.raises(ValidationError) as caught:
        LookupSent.model_validate(sent)
    problem = problem_of(caught.value)
    assert problem.kind == "malformed" and problem.detail.startswith(told)


def test_of_a_list_each_has_its_answer() -> None:
    """What is refused is a problem, which holds nothing of the list; what goes wrong of itself is none."""

    def refusing(value: str) -> str:
        if value == "refused":
            raise Refused("key", "got a key that is none")
        return value[0]

    assert attempted(refusing, "good") == "g"
    problem = attempted(refusing, "refused")
    assert isinstance(problem, Problem) and (problem.kind, problem.detail) == (
        "key",
        "got a key that is none",
    )
    assert (problem.__traceback__, problem.__context__, problem.__cause__) == (None, None, None)
    with pytest.raises(IndexError):
        attempted(refusing, "")
