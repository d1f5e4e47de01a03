"""The workloads do what their page says: each operation appends what it should, and nothing is passed over."""

from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks import profile, rising
from benchmarks.clinic import Clinic
from benchmarks.rising import Operation, offer, rise
from benchmarks.smallbank import MIX, TRANSACTIONS, Bank
from benchmarks.ycsb import WORKLOADS, Workloads
from journeys.errors import AccessDenied

RATE = 2_000.0
COUNT = 12

ADDED = {
    "A": {"record.opened", "access.granted"}, "B": {"record.opened", "access.granted"},
    "C": {"record.opened"}, "D": {"record.opened", "record.uploaded"},
    "E": {"chart.opened", "record.uploaded"}, "F": {"record.opened", "access.granted"},
    "updates": {"access.granted"}, "views": set(),
    "Balance": {"chart.opened"}, "DepositChecking": {"access.granted"}, "TransactSavings": {"access.granted"},
    "WriteCheck": {"chart.opened", "access.granted"}, "SendPayment": {"access.granted"},
    "Amalgamate": {"access.granted", "access.revoked"},
}  # fmt: skip
"""The types that each workload may append."""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    clinic = Clinic.build(tmp_path_factory.mktemp("clinic"), 4, 2)
    yield clinic
    clinic.ledger.close()


def _added(clinic: Clinic, operations: list[Operation]) -> tuple[Counter[str], float]:
    """What the operations appended, by type; and the part that ended in conflicts."""
    before = clinic.ledger.head().size
    row = offer(clinic.ledger, operations, RATE)
    assert row["turned away"] == 0
    assert 0 < row["p50"] <= row["p95"] <= row["p99"]
    found = clinic.ledger.entries(range(before, clinic.ledger.head().size))
    return Counter(entry.event.type.name for entry in found.values()), row["conflicts"]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_ycsb(clinic: Clinic, workload: str) -> None:
    added, conflicts = _added(clinic, list(Workloads(clinic).make(workload, COUNT)))
    assert set(added) <= ADDED[workload]
    if workload == "views":
        assert not added
    elif workload == "F":
        assert added["record.opened"] == COUNT
        assert added["access.granted"] + round(conflicts * COUNT) <= COUNT
    else:
        assert added.total() == COUNT
        assert not conflicts


@pytest.mark.parametrize("transaction", TRANSACTIONS)
def test_smallbank(clinic: Clinic, transaction: str) -> None:
    added, conflicts = _added(clinic, list(Bank(clinic).make(transaction, COUNT)))
    entries = {"SendPayment": 2, "Amalgamate": 3, "WriteCheck": 2}.get(transaction, 1) * COUNT
    assert set(added) <= ADDED[transaction]
    assert added.total() == entries - round(conflicts * COUNT)


def test_the_mix_has_all_six(clinic: Clinic) -> None:
    made = list(Bank(clinic).make(MIX, 200))
    assert {len(one.events) for one in made} == {1, 2, 3}
    assert sum(one.atomic for one in made) == pytest.approx(80, abs=30)


def _grant_all(clinic: Clinic) -> None:
    """Amalgamate leaves some charts without a grant."""
    _added(clinic, [Operation([clinic.grant(chart)]) for chart in clinic.charts])


def test_an_insert_is_read_later(clinic: Clinic) -> None:
    _grant_all(clinic)
    patient = clinic.charts[0].patient
    known = len(clinic.records)
    _added(clinic, [clinic.insert(patient)])
    clinic.settle()
    assert len(clinic.records) > known
    added, _ = _added(clinic, [clinic.read(clinic.records[-1])])
    assert added == {"record.opened": 1}


def test_what_is_refused_is_not_passed_over(clinic: Clinic) -> None:
    chart = clinic.charts[-1]
    record = next(r for r in clinic.records if r.patient == chart.patient)
    revocations = [Operation([clinic.revoke(chart, to_hospital)]) for to_hospital in (True, False)]
    _added(clinic, revocations)
    with pytest.raises(AccessDenied):
        offer(clinic.ledger, [clinic.read(record)], RATE)


@pytest.mark.parametrize(("followed", "offered"), [(0.0, 3), (1e9, 1)])
def test_a_rate_that_is_not_followed_ends_the_rise(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, followed: float, offered: int
) -> None:
    _grant_all(clinic)
    monkeypatch.setattr(rising, "FOLLOWED", followed)
    rates = [1_000, 2_000, 3_000]
    rows = rise(clinic.ledger, lambda count: Workloads(clinic).make("C", 4), rates, 0.001)
    assert [row["offered"] for row in rows] == rates[:offered]


def test_the_profile_counts_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "ROUNDS", 1)
    monkeypatch.setattr(profile, "PATIENTS", 60)
    monkeypatch.setattr(profile, "BATCH", 50)
    for one in profile._appending(100):
        rows = {row: calls for row, _, _, calls in one.rows}
        assert rows["4 who may sign"] == rows["4 leaf hash"] == 1, "once an event"
        assert sum(us for _, us, _, _ in one.rows) > 0
        assert one.costs


def test_every_workload_is_described() -> None:
    assert set(ADDED) == {*WORKLOADS, *TRANSACTIONS}
