"""What is owed on the reference machine, and what is aimed at: the one list of both. Every floor has a row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Floor:
    """What one figure owes: `owed` of its unit, `ratio` of its limit, or both."""

    what: str
    unit: str
    benchmark: str
    """The module that measures it, a name of `python -m benchmarks`."""
    owed: float | None = None
    ratio: float | None = None
    aim: str = ""
    most: bool = False
    """Whether `owed` is the most the figure may be; otherwise it is the least."""

    @property
    def text(self) -> str:
        """What is owed, for people."""
        sign = "≤" if self.most else "≥"
        parts = [f"{sign} {self.owed:,g} {self.unit}"] if self.owed is not None else []
        parts += [f"≥ {self.ratio:.2f} of the limit"] if self.ratio is not None else []
        return " and ".join(parts)

    def met(self, value: float, ratio: float | None) -> bool:
        """Whether a figure of `value`, which is `ratio` of its limit, is enough."""
        within = self.owed is None or (value <= self.owed if self.most else value >= self.owed)
        return within and (self.ratio is None or (ratio is not None and ratio >= self.ratio))


FLOORS: dict[str, Floor] = {
    "signed": Floor("append in process, each event signed (SQLite)", "events/s", "append", 8_500, 0.50, aim="0.75 of the limit"),
    "bundles": Floor("append in process, bundles of 500 (SQLite)", "events/s", "append", 12_000, aim="25,000"),
    "postgres": Floor("append, PostgreSQL, two processes, batches of 200, each signed", "events/s", "postgres", 7_000, aim="10,000"),
    "verify standard": Floor("verify a log, all signatures (standard library)", "entries/s", "verifying", ratio=0.65, aim="0.85"),
    "verify standard unsigned": Floor("verify a log, without signatures (standard library)", "entries/s", "verifying", 100_000, aim="250,000"),
    "verify orjson": Floor("verify a log, all signatures (orjson)", "entries/s", "verifying", ratio=0.70, aim="0.85"),
    "verify orjson unsigned": Floor("verify a log, without signatures (orjson)", "entries/s", "verifying", 110_000, aim="250,000"),
    "upload": Floor("upload of a large blob in process", "MB/s", "blobs", 400, aim="600"),
    "upload memory": Floor("upload of a large blob, memory above idle", "MiB", "blobs", 64, aim="≤ 64", most=True),
    "receipt": Floor("one receipt, median", "ms", "receipts", 0.2, aim="0.05", most=True),
    "decide": Floor("decide, 1,000 grants, facts by grantee, p99", "µs", "deciding", 20, aim="10", most=True),
    "audit": Floor("audit, one thread", "decisions/s", "deciding", 20_000),
    "http single": Floor("HTTP, one event a request, 32 clients (SQLite, two workers)", "events/s", "serving", 2_500, aim="4,500"),
    "http single p99": Floor("HTTP, one event a request, p99 (SQLite, two workers)", "ms", "serving", 30, aim="15", most=True),
    "http bundles": Floor("HTTP, bundles of 500 (SQLite, two workers)", "events/s", "serving", 8_000, aim="17,000"),
    "http reading": Floor("HTTP, a reading of 10 KiB (SQLite, two workers)", "readings/s", "serving", 1_000, aim="2,500"),
    "http reading p99": Floor("HTTP, a reading of 10 KiB, p99 (SQLite, two workers)", "ms", "serving", 45, aim="40", most=True),
    "hot chart": Floor("hot charts, SmallBank's mix over HTTP, 32 clients (SQLite, two workers)", "operations/s", "hot", 600, aim="1,200"),
    "hot chart, long": Floor("hot charts with 1,000 ended grants each; the limit is with 10", "operations/s", "hot", ratio=0.85, aim="1"),
    "attacked": Floor("HTTP, p99 of a well-behaved client under the worst of the attacks; the limit is idle", "times idle", "attacked", 3, aim="1.5", most=True),
    "rebuild": Floor("rebuild all views, equal to the live ones", "entries/s", "growing", 38_000, aim="70,000"),
    "growth": Floor("growth: append, each signed, to a long log; the limit is a young one", "events/s", "growing", ratio=0.6, aim="0.9"),
    "start": Floor("start to the first append after a crash, on the long log", "s", "growing", 2, aim="1", most=True),
}  # fmt: skip
"""By a short name; in the order of the benchmarks."""
