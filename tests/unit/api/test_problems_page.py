"""docs/problems.md is what the table of problems says."""

import re

from api.http.catalogue import catalogue
from api.http.problems import PROBLEMS, Problem, document
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "problems.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == catalogue(), "run: python -m api.http.catalogue > docs/problems.md"


def test_every_type_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \|", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {name: str(kind.status) for name, kind in PROBLEMS.items()}
    assert len(rows) == len(PROBLEMS)


def test_documents_hold_what_the_page_says() -> None:
    for name, kind in PROBLEMS.items():
        found = document(Problem(name, "words", seq=3))
        assert found == {
            "type": f"urn:heartwood:problem:{name}", "title": kind.title, "status": kind.status,
            "detail": "words", "seq": 3,
        }  # fmt: skip


def test_the_guide_names_no_problem_that_is_not_there() -> None:
    guide = (ROOT / "docs" / "http.md").read_text()
    named = set(re.findall(r"`(?:[45][0-9]{2} )([a-z_]+)`", guide))
    assert named and named <= set(PROBLEMS)
