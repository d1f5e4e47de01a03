"""`account key`: a key file's owner lets the service keep a key, sees both, and revokes either; beside the data and from afar."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.api.cli.test_account import _code, run
from tests.support.commands import Ran
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD

__all__ = ["run"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_key_is_kept_listed_and_revoked(run: Callable[..., Ran], fixture: LedgerFixture) -> None:
    def keys() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("key", "list", "--json").out)["keys"]
        return found

    assert "second factor" in run("key", "keep", code=1).err
    run("password", typed=(PASSWORD,))
    run("code", typed=(PASSWORD, _code))
    kept = json.loads(run("key", "keep", "--json").out)
    assert [(one["custody"], one["kept"]) for one in keys()] == [
        ("service", True),
        ("device", False),
    ]
    assert "keeps a key of the account already" in run("key", "keep", code=1).err
    run("key", "revoke", kept["key"])
    assert [one["active"] for one in keys()] == [False, True]
    assert fixture.ledger.credentials.kept_keys.of(kept["account"]) == []
    assert "kept by the service, revoked" in run("key", "list").out
