"""The log of the program drops no field that the code gives it."""

import ast
from collections.abc import Iterator

import pytest

from api.app.logs import FIELDS, OURS
from tests.support.paths import ROOT


def keys_of(node: ast.AST, function: ast.AST) -> set[str]:
    """The keys that an `extra=` has: of a dict, of dicts put together, and of a name that the function makes one of."""
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(key) for key in node.keys if key is not None}
    if isinstance(node, ast.BinOp):
        return keys_of(node.left, function) | keys_of(node.right, function)
    assert isinstance(node, ast.Name), ast.dump(node)
    found: set[str] = set()
    for each in ast.walk(function):
        if isinstance(each, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and each.value is not None:
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == node.id:
                    found |= keys_of(each.value, function)
                if isinstance(target, ast.Subscript) and ast.unparse(target.value) == node.id:
                    found.add(ast.literal_eval(target.slice))
    assert found, f"nothing is known of {node.id}"
    return found


def given() -> Iterator[tuple[str, set[str]]]:
    """Each place that logs with `extra=`, and the fields that it gives."""
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text())
            functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
            for function in functions:
                for call in ast.walk(function):
                    if not isinstance(call, ast.Call) or not ast.unparse(call.func).startswith(
                        "_LOG."
                    ):
                        continue
                    for keyword in call.keywords:
                        if keyword.arg == "extra":
                            place = f"{path.relative_to(ROOT)}:{call.lineno}"
                            yield place, keys_of(keyword.value, function)


@pytest.mark.parametrize(("place", "fields"), list(given()))
def test_what_is_given_is_written(place: str, fields: set[str]) -> None:
    assert fields <= set(FIELDS), place


def test_no_field_is_listed_that_nobody_gives() -> None:
    assert set().union(*(fields for _, fields in given())) == set(FIELDS)
