"""The consent rules against the slow model: random cases by a seeded generator."""

from __future__ import annotations

from tests.deep.injection import Part, Tally
from tests.support.consent.properties import agree

QUESTIONS = 20
"""Questions asked about one random situation."""
CASES = 1_000_000
CASES_A_PART = 50_000


def run(part: Part) -> list[Tally]:
    """Ask `count` cases; the first disagreement is told with situation and question."""
    tally = Tally("consent, against the model", part.engine)
    for number in range(part.first, part.first + part.count, QUESTIONS):
        tally.runs += QUESTIONS
        tally.met += QUESTIONS
        try:
            agree(part.chance(number), QUESTIONS)
        except AssertionError as error:
            tally.fail(error, f"case {number}", part.again(number))
    return [tally]
