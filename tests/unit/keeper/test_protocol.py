"""The key keeper's calls carry values alone, so that they can become messages to a process of its own."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Sequence
from typing import Any

import pytest

from keeper.keeper import KeyKeeper
from ledger.entry import Entry

OWN = {"check_root", "close", "create"}
"""What starts and ends it, in its own process."""
CALLS = {
    name: call
    for name, call in inspect.getmembers(KeyKeeper, inspect.isfunction)
    if not name.startswith("_") and name not in OWN
}


def is_value(kind: Any) -> bool:
    """Whether a message can carry it: bytes, texts, numbers, rows of them, and frozen dataclasses of all these."""
    if kind in (bool, bytes, str, int, types.NoneType):
        return True
    if typing.get_origin(kind) in (tuple, list, dict, Sequence, types.UnionType):
        return all(is_value(part) for part in typing.get_args(kind) if part is not Ellipsis)
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen:
        return False
    hints = typing.get_type_hints(kind)
    return all(is_value(hints[field.name]) for field in dataclasses.fields(kind))


@pytest.mark.parametrize("name", CALLS)
def test_values_go_in_and_values_come_out(name: str) -> None:
    """No callback, no open file or database, no entry that was parsed by the caller."""
    for place, kind in typing.get_type_hints(CALLS[name]).items():
        assert is_value(kind), (place, kind)


def test_the_calls_are_those_of_the_design() -> None:
    """A new one is thought about: each that gives something out asks for evidence."""
    seal = {"label_codes", "new_key", "seal"}
    give = {
        "applied",
        "group_name",
        "open_fields",
        "release",
        "release_export",
        "release_package",
        "staff_name",
    }
    renew = {"advance", "destroy", "erase", "renew", "versions"}
    others = {"accept_restored", "alarms", "cosign", "follow", "standing", "vkeys"}
    told = {"releases", "signed_releases"}  # ids alone, and numbers
    assert CALLS.keys() == seal | give | renew | others | told
    for name in give:
        assert "Conflict" in str(inspect.signature(CALLS[name])), name


@pytest.mark.parametrize("kind", [typing.Callable[[int], int], Entry, object, Any])
def test_what_is_no_value(kind: Any) -> None:
    assert not is_value(kind)
