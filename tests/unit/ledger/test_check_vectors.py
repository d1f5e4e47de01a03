"""The vectors that the browser's library is tried with hold, or don't, for this project's own checks alike."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from ledger.auditor import check_history_proof, check_receipt
from ledger.checkpoint import open_checkpoint, parse_keys
from ledger.errors import LedgerError, ProofError
from ledger.merkle import check_consistency, leaf_hash, node_hash, root_from_path
from ledger.witnesses import outside_policy
from tests.golden import make

Given = dict[str, Any]
ROWS = json.loads((make.HERE / "check.json").read_bytes())["vectors"]


def _leaf(given: Given) -> None:
    assert leaf_hash(given["data"].encode()).hex() == given["hash"]


def _node(given: Given) -> None:
    assert node_hash(given["left"].encode(), given["right"].encode()).hex() == given["hash"]


def _inclusion(given: Given) -> None:
    path = [b64decode(one) for one in given["path"]]
    leaf = leaf_hash(given["entry"].encode())
    if root_from_path(given["index"], given["size"], leaf, path) != b64decode(given["root"]):
        raise ProofError("another root")


def _consistency(given: Given) -> None:
    old, new = b64decode(given["old_root"]), b64decode(given["new_root"])
    proof = [b64decode(one) for one in given["proof"]]
    check_consistency(given["old"], old, given["new"], new, proof)


def _checkpoint(given: Given) -> None:
    open_checkpoint(given["note"].encode(), parse_keys(given["keys"]))


def _policy(given: Given) -> None:
    keys = parse_keys(given["keys"])
    policy = outside_policy(given["policy"].encode(), keys)
    assert policy.check(given["note"].encode(), keys) == given["signed"]


def _receipt(given: Given) -> None:
    check_receipt(given["receipt"].encode(), given["keys"], given["policy"].encode() or None)


def _history(given: Given) -> None:
    check_history_proof(given["proof"].encode(), given["keys"], given["policy"].encode() or None)


CHECKS: dict[str, Callable[[Given], None]] = {
    "checkpoint": _checkpoint, "consistency": _consistency, "history": _history, "inclusion": _inclusion,
    "leaf": _leaf, "node": _node, "policy": _policy, "receipt": _receipt,
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['kind']}: {row['name']}")
def test_python_judges_a_vector_as_the_browser_does(row: Any) -> None:
    if not row["code"]:
        CHECKS[row["kind"]](row["given"])
        return
    with pytest.raises((CryptoError, LedgerError)):
        CHECKS[row["kind"]](row["given"])


def test_every_kind_holds_and_fails() -> None:
    good = {row["kind"] for row in ROWS if not row["code"]}
    bad = {row["kind"] for row in ROWS if row["code"]}
    assert good == set(CHECKS) and bad == set(CHECKS) - {"leaf", "node"}
