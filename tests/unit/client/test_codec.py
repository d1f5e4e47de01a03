"""The codec of answers: what is rendered is parsed again, and what is not of the form is refused."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import pytest

from client import forms, operations
from client.codec import codec_of
from client.operations import OPERATIONS, QUERIES, SESSION, Query
from consent.decide import Decision
from consent.explain import Explanation
from ledger.facts import Exclusion, Grant, Provision
from people.hospitals import Department, Directory
from people.lookups import Found
from records.charts import Consents
from records.explaining import Answer

T = TypeVar("T")


class Inner(NamedTuple):
    """A leaf, or a tree of its own kind."""

    name: str
    parts: tuple["Inner", ...] = ()


@dataclass(frozen=True)
class Outer:
    """Every kind of member."""

    text: str
    number: int
    flag: bool
    data: bytes
    pair: tuple[str, int]
    inner: Inner
    maybe: str | None = None
    names: dict[str, Inner] = field(default_factory=dict)


VALUE = Outer(
    "a", 1, True, b"\x00\xff", ("x", 2), Inner("i", (Inner("j"),)), None, {"n": Inner("k")}
)


def test_a_value_comes_back() -> None:
    codec = codec_of(Outer)
    sent = json.loads(json.dumps(codec.encode(VALUE)))
    assert codec.decode(sent) == VALUE
    assert codec.decode(sent | {"later": 1}) == VALUE
    del sent["names"], sent["maybe"]
    assert codec.decode(sent) == Outer("a", 1, True, b"\x00\xff", ("x", 2), VALUE.inner)


@pytest.mark.parametrize(
    "bent",
    [
        {"text": 1}, {"number": "1"}, {"number": True}, {"flag": 1}, {"data": "?"}, {"pair": ["x"]}, {"pair": ["x", 2, 3]},
        {"inner": []}, {"inner": {}}, {"inner": {"name": "i", "parts": {}}}, {"names": []}, {"maybe": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(bent: dict[str, Any]) -> None:
    codec = codec_of(Outer)
    with pytest.raises((KeyError, TypeError, ValueError)):
        codec.decode(codec.encode(VALUE) | bent)
    for member in codec.encode(VALUE).keys() - {"maybe", "names"}:
        with pytest.raises(KeyError, match=member):
            codec.decode({k: v for k, v in codec.encode(VALUE).items() if k != member})


def test_each_answer_comes_back_as_it_was() -> None:
    """What a server renders of consents, people and explanations is what its client parses."""
    what = (
        Provision(True, categories=("imaging",), exceptions=(Provision(False, records=("rc",)),)),
    )
    grant = Grant(
        "pt", "ac", "gr", "gr", 7, True, "partial", (), ("list", "read"), ("TREAT",), (), False, 1, 2, 0, 0, what
    )  # fmt: skip
    consents = Consents((Exclusion("pt", "ac", 8, True),), (grant,))
    assert through_codec(operations.CONSENTS, consents) == consents
    directory = Directory(
        "hs", "Nord", True, "Etc/UTC", {"ac": "Dr."}, (Department("gp", "R", 3, ("ac",)),)
    )
    assert through_codec(operations.HOSPITAL_SHOWN, directory) == directory
    found = {"urn|1": Found("pt", "ac")}
    assert forms.found_of(through(forms.found_json(found))) == found
    decision = Decision("deny", "S12", (7,), "no_consent", False, ("record",))
    answer = Answer(Explanation(decision, "none", ("grant it",)), 12, 0)
    assert forms.answer_of(through(forms.answer_json(answer))) == answer


def through(value: Any) -> Any:
    """What comes out at the other end of a connection."""
    return json.loads(json.dumps(value))


def through_codec(query: Query[T], answer: T) -> T:
    """An answer, rendered and parsed."""
    return query.codec.decode(through(query.codec.encode(answer)))


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_the_example_of_a_question_is_an_answer(query: Query[Any]) -> None:
    assert query.codec.encode(query.codec.decode(query.gives)) == query.gives


def test_a_question_whose_function_does_not_fit_is_refused() -> None:
    """No route is made that asks for no session, or whose function isn't told who asks."""
    fits = operations.CONSENTS
    with pytest.raises(ValueError, match="expected GET, session"):
        replace(fits, door="open")
    with pytest.raises(ValueError, match="expected GET, session"):
        replace(fits, method="POST")
    other: Any = operations.ADDRESS.answer
    with pytest.raises(ValueError, match="'caller', 'patient'"):
        replace(fits, answer=other)
    with pytest.raises(ValueError, match="'caller', 'patient'"):
        replace(fits, answer=lambda ledger, patient: patient)


def test_the_list_names_each_operation_once() -> None:
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    assert len({(one.method, one.shown or one.path) for one in OPERATIONS}) == len(OPERATIONS)
    for one in OPERATIONS:
        assert (
            one.summary
            and one.what
            and one.limit > 0
            and one.method in ("DELETE", "GET", "POST", "PUT")
        )
        assert (one.gives is None) == (one.status == 204)
        assert one.door == SESSION or one.method != "DELETE"
