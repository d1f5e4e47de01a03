"""What is counted. With several workers each writes into files that all of them read, so any answers for all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from keeper.protocol import Standing
from people.mailing import Round
from storage.maintenance.erasing import Erased
from storage.maintenance.garbage import Collected

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The library's name for the folder in the environment; it looks once, when it is imported."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._own = own = CollectorRegistry()
        self.requests = Counter(
            "heartwood_requests",
            "Requests by method and status",
            ["method", "status"],
            registry=own,
        )
        self.seconds = Histogram(
            "heartwood_request_seconds",
            "Duration of a request in seconds",
            buckets=SECONDS,
            registry=own,
        )
        self.working = Gauge(
            "heartwood_requests_working", "Requests in progress", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.waiting = Gauge(
            "heartwood_events_waiting", "Events waiting for the log", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.size = Gauge(
            "heartwood_log_entries", "Entries in the log", registry=own, multiprocess_mode="max"
        )
        self.read = Gauge(
            "heartwood_keeper_entries",
            "Entries of the log that the key keeper has read",
            registry=own,
            multiprocess_mode="max",
        )
        self.alarms = Gauge(
            "heartwood_keeper_alarms",
            "Entries that are not what the rules give, as the key keeper found",
            registry=own,
            multiprocess_mode="max",
        )
        self.refused = Gauge(
            "heartwood_keeper_refused",
            "Wrong entries that the key keeper was given to read and refused, until they are cleared",
            registry=own,
            multiprocess_mode="mostrecent",
        )
        self.sweeps = Counter(
            "heartwood_sweeps",
            "Runs of garbage collection",
            ["outcome"],
            registry=own,
        )
        self.removed = Counter(
            "heartwood_swept", "Orphans that garbage collection removed", ["kind"], registry=own
        )
        self.erasures = Counter(
            "heartwood_erasures",
            "Erasures that were due, by what came of a look: completed, waiting for something, failed",
            ["outcome"],
            registry=own,
        )
        self.owed = Gauge(
            "heartwood_sweep_owed_blobs",
            "Blobs that one of several stores, which didn't answer, has still to remove",
            ["store"],
            registry=own,
            multiprocess_mode="mostrecent",
        )
        self.asked = Counter(
            "heartwood_witness_answers",
            "Answers of the log's witnesses, cosigned or failed",
            ["witness", "outcome"],
            registry=own,
        )
        self.behind = Gauge(
            "heartwood_witness_behind_entries", "Entries of the log that a witness has not cosigned",
            ["witness"], registry=own, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.uncosigned = Gauge(
            "heartwood_uncosigned_entries", "Entries under no checkpoint that meets the witness policy",
            registry=own, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.mail = Counter(
            "heartwood_mail",
            "Messages to people, by what came of a try",
            ["outcome"],
            registry=own,
        )
        self.mail_rounds = Counter(
            "heartwood_mail_rounds_failed",
            "Rounds of sending in which the mail server or the database failed",
            registry=own,
        )
        self.mail_waiting = Gauge(
            "heartwood_mail_waiting", "Messages that wait to be sent", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.mail_oldest = Gauge(
            "heartwood_mail_oldest_seconds", "Age of the oldest message that waits", registry=own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.reviews = Gauge(
            "heartwood_emergency_reviews", "Emergencies that are not reviewed yet", ["state"],
            registry=own, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.untold = Gauge(
            "heartwood_disclosures_untold",
            "Disclosures whose suspension has ended, and whose patient is not told yet",
            registry=own, multiprocess_mode="mostrecent",
        )  # fmt: skip
        if (folder := os.environ.get(SHARED)) is not None:
            self.sweeps.labels("done")  # so that each of its files is there
            _reserve(Path(folder))

    @cache  # noqa: B019 - there is one of these a process
    def counted(self, method: str, status: int) -> Counter:
        """The counter of such requests."""
        return self.requests.labels(method, status)

    def erased(self, found: Erased | Exception) -> None:
        """Count what came of a look for erasures that are due."""
        if isinstance(found, Exception):
            self.erasures.labels("failed").inc()
            return
        self.erasures.labels("completed").inc(len(found.completed))
        self.erasures.labels("waiting").inc(len(found.waiting))

    def swept(self, found: Collected | Exception) -> None:
        """Count a sweep: what it removed, or that it failed."""
        self.sweeps.labels("failed" if isinstance(found, Exception) else "done").inc()
        if isinstance(found, Collected):
            self.removed.labels("staged").inc(len(found.blobs))
            self.removed.labels("stray").inc(len(found.strays))
            self.removed.labels("temporary").inc(len(found.files))
            for store, blobs in found.owed.items():
                self.owed.labels(store).set(len(blobs))

    def followed(self, found: Standing) -> None:
        """Say how far the key keeper has read, and what it found."""
        self.read.set(found.read)
        self.alarms.set(found.alarms)
        self.refused.set(found.refused)

    def witnessed(self, name: str, good: bool) -> None:
        """Count an answer of a witness of the log."""
        self.asked.labels(name, "cosigned" if good else "failed").inc()

    def mailed(self, done: Round | Exception) -> None:
        """Count what came of a round of sending mail."""
        if isinstance(done, Exception) or done.problem:
            self.mail_rounds.inc()
        if not isinstance(done, Exception):
            for outcome in ("sent", "unreachable", "refused", "given_up", "later"):
                self.mail.labels(outcome).inc(getattr(done, outcome))

    def text(self) -> bytes:
        """Prometheus text: of all workers, those that died too (but not what they were working on)."""
        if (folder := os.environ.get(SHARED)) is None:
            return generate_latest(self._own)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


@contextmanager
def shared_by_workers(data: Path) -> Iterator[None]:
    """A folder in the data directory for what this process's workers count, removed in the end."""
    with TemporaryDirectory(prefix=".metrics.", dir=data) as folder:
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]


def worker_ended(pid: int) -> None:
    """What a worker was doing, it does no more; what it counted stays counted."""
    mark_process_dead(pid, os.environ[SHARED])  # type: ignore[no-untyped-call]


def _reserve(folder: Path) -> None:
    """Take the room on the disk now: a page of these files without one would end the process (SIGBUS)."""
    for file in folder.glob(f"*_{os.getpid()}.db"):
        descriptor = os.open(file, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
