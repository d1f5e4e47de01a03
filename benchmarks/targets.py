"""The targets on the reference machine, and what we aim at beyond them: the one list of both. Every target has a row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What one figure must reach: `value` of its unit, `ratio` of its limit, or both."""

    what: str
    unit: str
    benchmark: str
    """The module that measures it, a name of `python -m benchmarks`."""
    value: float | None = None
    ratio: float | None = None
    aim: str = ""
    most: bool = False
    """Whether `value` is the most the figure may be; otherwise it is the least."""

    @property
    def text(self) -> str:
        """The target, for people."""
        sign = "≤" if self.most else "≥"
        parts = [f"{sign} {self.value:,g} {self.unit}"] if self.value is not None else []
        parts += [f"≥ {self.ratio:.2f} of the limit"] if self.ratio is not None else []
        return " and ".join(parts)

    def met(self, value: float, ratio: float | None) -> bool:
        """Whether a figure of `value`, which is `ratio` of its limit, is enough."""
        reached = self.value is None or (value <= self.value if self.most else value >= self.value)
        return reached and (self.ratio is None or (ratio is not None and ratio >= self.ratio))


TARGETS: dict[str, Target] = {
    "signed": Target("append in process, each event signed (SQLite)", "events/s", "append", 8_500, 0.50, aim="0.75 of the limit"),
    "bundles": Target("append in process, bundles of 500 (SQLite)", "events/s", "append", 12_000, aim="25,000"),
    "postgres": Target("append, PostgreSQL, two processes, batches of 200, each signed", "events/s", "postgres", 7_000, aim="10,000"),
    "verify standard": Target("verify a log, all signatures (standard library)", "entries/s", "verifying", ratio=0.65, aim="0.85"),
    "verify standard unsigned": Target("verify a log, without signatures (standard library)", "entries/s", "verifying", 100_000, aim="250,000"),
    "verify orjson": Target("verify a log, all signatures (orjson)", "entries/s", "verifying", ratio=0.70, aim="0.85"),
    "verify orjson unsigned": Target("verify a log, without signatures (orjson)", "entries/s", "verifying", 110_000, aim="250,000"),
    "upload": Target("upload of a large blob in process", "MB/s", "blobs", 400, aim="600"),
    "upload memory": Target("upload of a large blob, memory above idle", "MiB", "blobs", 64, aim="≤ 64", most=True),
    "upload to S3": Target("upload of a large blob to S3 (versitygw on loopback)", "MB/s", "s3", 200, 0.60, aim="0.9 of the limit"),
    "upload to S3, memory": Target("upload of a large blob to S3, memory above idle", "MiB", "s3", 64, aim="≤ 64", most=True),
    "receipt": Target("one receipt, median", "ms", "receipts", 0.2, aim="0.05", most=True),
    "rotation": Target("re-wrap a million KEKs under a new record root", "KEKs/s", "rewrapping", 20_000, aim="50,000"),
    "erasing": Target("erase a chart of 1,000 records", "s", "erasing", 2, aim="1", most=True),
    "append, followed": Target("append in process, each signed, read by the keeper's process; the limit is without", "events/s", "keeping", ratio=0.75, aim="0.9 of the limit"),
    "append, witnessed": Target("append in process, each signed, read by the keeper and cosigned by a witness; the limit is without", "events/s", "keeping", ratio=0.75, aim="0.9 of the limit"),
    "keeper behind": Target("the oldest entry that the keeper had not read, at full load", "s", "keeping", 1, most=True),
    "releases": Target("keeper alone, releases a second of processor time", "releases/s", "keeping", 2_500, aim="4,000"),
    "decide": Target("decide, 1,000 grants, facts by grantee, p99", "µs", "deciding", 20, aim="10", most=True),
    "audit": Target("audit, one thread", "decisions/s", "deciding", 20_000),
    "http single": Target("HTTP, one event a request, 32 clients (SQLite, two workers)", "events/s", "serving", 2_500, aim="4,500"),
    "http single p99": Target("HTTP, one event a request, p99 (SQLite, two workers)", "ms", "serving", 30, aim="15", most=True),
    "http bundles": Target("HTTP, bundles of 500 (SQLite, two workers)", "events/s", "serving", 8_000, aim="17,000"),
    "http reading": Target("HTTP, a reading of 10 KiB (SQLite, two workers)", "readings/s", "serving", 700, aim="1,200"),
    "http reading p99": Target("HTTP, a reading of 10 KiB, p99 (SQLite, two workers)", "ms", "serving", 70, aim="40", most=True),
    "hot chart": Target("hot charts, SmallBank's mix over HTTP, 32 clients (SQLite, two workers)", "operations/s", "hot", 600, aim="1,200"),
    "hot chart, long": Target("hot charts with 1,000 ended grants each; the limit is with 10", "operations/s", "hot", ratio=0.85, aim="1"),
    "attacked": Target("HTTP, p99 of a well-behaved client under the worst of the attacks; the limit is idle", "times idle", "attacked", 3, aim="1.5", most=True),
    "sign-in": Target("sign-in by password and code over HTTP (SQLite, two workers); the limit is Argon2id alone, two threads", "sign-ins/s", "signing_in", 25, 0.50, aim="0.75 of the limit"),
    "beside sign-ins": Target("HTTP, p99 of the worst of others' calls beside 25 sign-ins a second; the limit is idle", "times idle", "signing_in", 2, aim="1.5", most=True),
    "session check": Target("whose a session by password is, median", "µs", "signing_in", 50, most=True),
    "same time": Target("wrong password, wrong code, unknown account: how far the medians of 1,000 tries are apart", "%", "signing_in", 5, aim="1", most=True),
    "rebuild": Target("rebuild all views, equal to the live ones", "entries/s", "growing", 38_000, aim="70,000"),
    "growth": Target("growth: append, each signed, to a long log; the limit is a young one", "events/s", "growing", ratio=0.6, aim="0.9"),
    "start": Target("start to the first append after a crash, on the long log", "s", "growing", 2, aim="1", most=True),
}  # fmt: skip
"""By a short name; in the order of the benchmarks."""
