"""A hot chart: SmallBank's mix over HTTP, nine of ten operations on a tenth of the charts, each of which has had
many grants. What has ended must cost nothing: the rate with many ended grants is compared to that with few.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks.clinic import Chart, Clinic, grant_event, signed
from benchmarks.fixture import Signed
from benchmarks.load import request
from benchmarks.measure import Figure, workplace
from benchmarks.serving import WORKERS, load, server
from benchmarks.smallbank import CHARTS, HOT_PART, HOT_SHARE, TRANSACTIONS, WEIGHTS
from crypto.encoding import b64encode

FEW, MANY = 10, 1_000
"""Grants a hot chart has had that were revoked."""
AT_ONCE = 100
OPERATIONS = 3_000
ROUNDS = 5
"""By turns with few and many; the best one counts, as the machine is shared."""


def figures() -> list[Figure]:
    """The rate with few ended grants, and that with many, whose limit it is."""
    with _clinic(FEW) as few, _clinic(MANY) as many:
        rates = [(few(number), many(number)) for number in range(ROUNDS)]
    few_best, many_best = map(max, zip(*rates, strict=True))
    return [Figure.of("hot chart", few_best), Figure.of("hot chart, long", many_best, few_best)]


@contextmanager
def _clinic(ended: int) -> Iterator[Callable[[int], float]]:
    """Served charts with so many ended grants each; gives what measures a round."""
    with workplace() as place:
        clinic = Clinic.build(place, CHARTS, 1)
        for chart in _hot(clinic):
            _have(clinic, chart, ended)
        with server(clinic.fixture, WORKERS) as port:
            yield lambda number: _round(clinic, place, port, number)
        clinic.ledger.close()


def _hot(clinic: Clinic) -> list[Chart]:
    return clinic.charts[: int(len(clinic.charts) * HOT_PART)]


def _have(clinic: Clinic, chart: Chart, ended: int) -> None:
    """Let a chart have had so many grants to the doctor, each a lineage of its own."""
    ledger = clinic.ledger
    for start in range(0, ended, AT_ONCE):
        count = min(AT_ONCE, ended - start)
        events = [_grant(clinic, chart) for _ in range(count)] + [clinic.revoke(chart)]
        ledger.append([ledger.signatures.event(e.raw, e.key, e.value) for e in events])


def _grant(clinic: Clinic, chart: Chart, to_hospital: bool = False) -> Signed:
    doctor = clinic.doctor
    grantee = doctor.hospital if to_hospital else doctor.account
    return signed(chart.actor, grant_event(chart, grantee, "", clinic.ledger.clock()))


def _round(clinic: Clinic, place: Path, port: int, seed: int) -> float:
    """Operations a second; one of several requests counts once."""
    draw = random.Random(seed)
    requests = [one for _ in range(OPERATIONS) for one in _operation(clinic, draw)]
    return OPERATIONS / float(load(port, place, requests)["seconds"])


def _operation(clinic: Clinic, draw: random.Random) -> Iterator[bytes]:
    """The requests of one transaction: looks at one's own chart, grants and revocations."""
    (name,) = draw.choices(TRANSACTIONS, WEIGHTS)
    one, other = (_customer(clinic, draw) for _ in range(2))
    if name in ("Balance", "WriteCheck"):
        yield _look(clinic, one)
    if name == "Amalgamate":
        yield _sent("/v1/events", clinic.revoke(one))
    if name != "Balance":
        yield _sent("/v1/events", _grant(clinic, one, name == "TransactSavings"))
    if name in ("SendPayment", "Amalgamate"):
        yield _sent("/v1/events", _grant(clinic, other))


def _customer(clinic: Clinic, draw: random.Random) -> Chart:
    hot = _hot(clinic)
    return draw.choice(hot if draw.random() < HOT_SHARE else clinic.charts[len(hot) :])


def _look(clinic: Clinic, chart: Chart) -> bytes:
    event = chart.actor.event(
        "chart.opened", f"patient/{chart.patient}", {"purpose": "PATRQT"}, clinic.ledger.clock()
    )
    return _sent(f"/v1/patients/{chart.patient}/chart", signed(chart.actor, event))


def _sent(path: str, one: Signed) -> bytes:
    sig = orjson.dumps({"key": one.key, "value": b64encode(one.value)})
    return request("POST", path, b'{"event":%b,"sig":%b}' % (one.raw, sig))
