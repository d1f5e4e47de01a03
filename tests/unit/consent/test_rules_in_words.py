"""Every rule has its words, here and on its page."""

import re

from consent.rules import RULES, named
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "consent" / "rules.md"


def test_every_rule_is_explained_on_the_page() -> None:
    rows = re.findall(
        r"^\| \*\*(S\d+)\*\* ([^|]*) \| ([^|]*) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE
    )
    assert rows == [(rule, *words) for rule, words in RULES.items()]
    assert list(RULES) == [f"S{number}" for number in range(13)]


def test_a_number_is_never_shown_alone() -> None:
    assert [named(rule) for rule in ("S5", "S12", "S99")] == [
        "S5 (own chart)",
        "S12 (default)",
        "S99",
    ]
