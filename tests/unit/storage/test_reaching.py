"""What stands before the storage reads by the ledger's methods: tables and transactions are the storage's own."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("api/http", "client", "identity", "imports", "journeys", "people", "records")
OWN = ("database", "store")
"""What the ledger keeps for the storage, and for the operator's care of the data."""


def test_nobody_reaches_through_the_ledger_into_its_tables() -> None:
    for path in (path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in OWN:
                assert not ast.unparse(node.value).endswith("ledger"), f"{path}:{node.lineno}"
