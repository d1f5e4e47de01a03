"""`make deep`: the consent rules against the slow model, a million random cases by a seeded generator."""

import argparse
import time
from random import Random

from tests.unit.consent_properties import agree

QUESTIONS = 20
"""Questions asked about one random world."""


def main() -> None:
    """Ask until the number is reached; the first disagreement is raised with world and question."""
    parser = argparse.ArgumentParser("python -m tests.deep", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20_261_120)
    options = parser.parse_args()
    rng, began = Random(options.seed), time.perf_counter()
    for _ in range(options.cases // QUESTIONS):
        agree(rng, QUESTIONS)
    seconds = time.perf_counter() - began
    print(f"{options.cases:,} cases agree with the model, seed {options.seed}, in {seconds:.0f} s")


if __name__ == "__main__":
    main()
