"""Random offers and claims, right and wrong, against a model in a few lines: who is which patient, and by which code."""

from dataclasses import dataclass
from random import Random

import pytest

from consent.replay import Replay
from ledger.directory import Patient
from tests.support.memory_log import Person, verify_log
from tests.unit.ledger.test_claims import Claims

SEEDS = range(12)
STEPS = 60
CODES = 4


@dataclass
class Chart:
    """What the model knows of a chart: the code that counts, and who claimed it."""

    patient: str
    made: Person
    code: int | None
    owner: Person | None = None


class Told:
    """A log with three charts and three people, and what the model says of them."""

    def __init__(self, rng: Random) -> None:
        """Each chart with a code of its own number; its account has a key, by the hospital."""
        self.rng, self.c = rng, Claims()
        self.people = [self.c.log.account() for _ in range(3)]
        self.charts = [Chart(self.c.made.patient, self.c.made, 1)]
        for number in (1, 2):  # the first code again, for another patient
            made = self.c.register(number)
            self.charts.append(Chart(made.patient, made, number))
        for chart in self.charts:
            self.c.log.register_key(self.c.system, chart.made)

    def offer(self) -> None:
        chart, number = self.rng.choice(self.charts), self.rng.randrange(CODES)
        found = self.c.offer(number, chart=chart.patient)
        assert found == ("conflict" if chart.owner else "appended")
        if not chart.owner:
            chart.code = number

    def claim(self) -> None:
        """Perhaps with another code, another's proof or for another chart; right in every part counts, and only that."""
        chart, who = self.rng.choice(self.charts), self.rng.choice(self.people)
        number = (
            chart.code if chart.code is not None and self.usual() else self.rng.randrange(CODES)
        )
        of = chart if self.usual() else self.rng.choice(self.charts)
        signed_for = who if self.usual() else self.rng.choice(self.people)
        proof = self.c.proof(number, signed_for.account, of.patient)
        found = self.c.claim(number, who, chart.patient, proof=proof)
        right = (number, of.patient, signed_for) == (chart.code, chart.patient, who)
        if chart.code is None:
            assert found == "deny S12 no_consent"
        else:
            assert found == ("appended" if right else "claim")
        if found == "appended":
            chart.code, chart.owner = None, who

    def usual(self) -> bool:
        return self.rng.random() < 0.7

    def act(self) -> None:
        """Nobody grants but who claimed."""
        chart = self.rng.choice(self.charts)
        grant = self.c.log.grant_body(self.c.stranger.account)
        for who in (*self.people, chart.made):
            mine = Person(who.account, who.key, "patient", "", chart.patient)
            found = self.c.log.answer(
                mine, "access.granted", {**grant, "grant": self.c.log.id("gr")}
            )
            if who is chart.owner:
                assert found == "appended"
            elif who is chart.made and chart.owner is None:
                assert found == "deny S2 unclaimed"
            else:
                assert found in ("deny S0 invalid", "too_many_refusals")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_does_as_the_model_says(seed: int) -> None:
    """Whatever came, the verifier takes the log, and an audit comes to the same rows."""
    rng = Random(seed)
    told = Told(rng)
    for step in rng.choices((told.offer, told.claim, told.act), (2, 5, 1), k=STEPS):
        step()
        told.c.log.wait(hours=1)
    assert any(chart.owner for chart in told.charts)
    replay = Replay()
    for entry in told.c.log.entries:
        replay.take(entry.raw)
    assert replay.wrong == []
    for chart in told.charts:
        row = replay.rows.get(Patient, chart.patient)
        assert row == told.c.row(chart.patient)
        assert row is not None
        assert row.account == (chart.owner or chart.made).account
        assert bool(row.offered) == (chart.code is not None)
    verify_log(told.c.log)
