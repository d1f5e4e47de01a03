"""SmallBank (Alomari, Cahill, Fekete, Roehm 2008; mix of H-Store's) as signed events, at rising load.

A customer is a patient's chart; the checking account is the grant to a doctor, the savings account the grant
to that doctor's hospital. There is no sum of money: what is like the original is which charts one transaction
touches, what it reads, what it writes, and what must hold together.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.clinic import Chart, Clinic
from benchmarks.page import Part, markdown
from benchmarks.plots import Line, Panel, chart
from benchmarks.rising import RATES, SECONDS, Operation, rise
from benchmarks.surroundings import FIRST, surroundings
from benchmarks.ycsb import HEAD, Measured, latencies, rows, throughput

CHARTS, RECORDS = 1_000, 1
HOT_PART, HOT_SHARE = 0.1, 0.9
"""Nine of ten transactions fall on a tenth of the customers."""
TRANSACTIONS = ("Balance", "DepositChecking", "TransactSavings", "WriteCheck", "SendPayment", "Amalgamate")  # fmt: skip
WEIGHTS = (15, 15, 15, 15, 25, 15)
MIX = "all six"


class Bank:
    """Makes the six transactions, always from the same draws."""

    def __init__(self, clinic: Clinic) -> None:
        """On this clinic, whose charts are the customers."""
        self._clinic, self._draw = clinic, random.Random(2_008)
        self._hot = max(1, int(len(clinic.charts) * HOT_PART))

    def make(self, which: str, count: int) -> Iterator[Operation]:
        """`count` transactions of one kind, or of all by their weights."""
        for _ in range(count):
            name = which
            if which == MIX:
                (name,) = self._draw.choices(TRANSACTIONS, WEIGHTS)
            yield self._make[name](self)

    def _customer(self) -> Chart:
        charts, hot = self._clinic.charts, self._draw.random() < HOT_SHARE
        first, last = (0, self._hot) if hot else (self._hot, len(charts))
        return charts[self._draw.randrange(first, last)]

    def _two(self) -> tuple[Chart, Chart]:
        one = other = self._customer()
        while other is one:
            other = self._customer()
        return one, other

    def _balance(self) -> Operation:
        """The customer looks at both accounts: the own chart."""
        return self._clinic.own_chart(self._customer())

    def _deposit(self) -> Operation:
        """One account is written."""
        return Operation([self._clinic.grant(self._customer())])

    def _transact(self) -> Operation:
        """The other account is written."""
        return Operation([self._clinic.grant(self._customer(), to_hospital=True)])

    def _check(self) -> Operation:
        """Both are read, one is written, if nothing came in between."""
        customer = self._customer()
        return self._clinic.own_chart(customer, Operation([self._clinic.grant(customer)]))

    def _send(self) -> Operation:
        """One account of each of two customers is written, both or none; each customer signs."""
        one, other = self._two()
        return Operation([self._clinic.grant(one), self._clinic.grant(other)], atomic=True)

    def _amalgamate(self) -> Operation:
        """Both accounts of one are emptied, one of the other is written, all or none."""
        one, other = self._two()
        clinic = self._clinic
        emptied = [clinic.revoke(one, to_hospital=True), clinic.revoke(one)]
        return Operation([*emptied, clinic.grant(other)], atomic=True)

    _make: dict[str, Callable[["Bank"], Operation]] = {
        "Balance": _balance, "DepositChecking": _deposit, "TransactSavings": _transact,
        "WriteCheck": _check, "SendPayment": _send, "Amalgamate": _amalgamate,
    }  # fmt: skip


def measure(quick: bool) -> Measured:
    """On each engine with each store, for the mix and for each transaction alone, a row a rate."""
    charts, rates, seconds = (40, (250, 4_000), 1.0) if quick else (CHARTS, RATES, SECONDS)
    out: Measured = {}
    with surroundings() as each:
        for on in each:
            with on.fresh() as (place, url, blobs):
                clinic = Clinic.build(place, charts, RECORDS, url, blobs)
                bank, out[on.name] = Bank(clinic), {}
                for which in (MIX, *TRANSACTIONS):
                    make = partial(bank.make, which)
                    out[on.name][which] = rise(clinic.ledger, make, rates, seconds)
                clinic.ledger.close()
    return out


def part(data: Measured) -> Part:
    """The table, and the plots: the mix's percentiles, every transaction's latest hundredth, what was done."""
    table = [
        line
        for which in (MIX, *TRANSACTIONS)
        for on, by in data.items()
        for line in rows(which, on, by[which])
    ]
    lines = [
        Line(which, [(r["offered"], r["p99"]) for r in measured], color)
        for color, (which, measured) in enumerate(data[FIRST].items())
    ]
    panels = [
        latencies("The mix", data[FIRST][MIX]),
        Panel("Each by itself, p99", "offered, transactions/s", "latency, ms", lines),
    ]
    subtitle = f"{FIRST}; from the instant a transaction was due to its answer; the last point is past what the log follows"  # fmt: skip
    plots = {
        "smallbank.svg": chart("SmallBank: latency at rising load", subtitle, panels, 2),
        "smallbank-throughput.svg": throughput("SmallBank: throughput at rising load", data, "transactions"),
    }  # fmt: skip
    return Part({"smallbank": markdown(HEAD, table)}, plots)
