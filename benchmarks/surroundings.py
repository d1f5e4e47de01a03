"""What a workload runs on: each database engine with each kind of blob store."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.measure import workplace
from tests.support.postgres import Cluster
from tests.support.versitygw import CREDENTIALS, Gateway, GatewayMissing

ENGINES = ("SQLite", "PostgreSQL")
FIRST = "SQLite, files"
"""What a ledger is on by default; its latencies are drawn."""


@dataclass(frozen=True)
class Surroundings:
    """One of them, running."""

    engine: str
    store: str
    cluster: Cluster
    gateway: Gateway | None

    @property
    def name(self) -> str:
        """As tables and plots call it."""
        return f"{self.engine}, {self.store}"

    @contextmanager
    def fresh(self) -> Iterator[tuple[Path, str, str]]:
        """A folder, a database's URL and HEARTWOOD_BLOBS, with nothing in them; empty where the folder holds them."""
        url = self.cluster.database() if self.engine == "PostgreSQL" else ""
        blobs = self.gateway.setting(self.gateway.place()) if self.gateway else ""
        with workplace() as place:
            yield place, url, blobs


@contextmanager
def surroundings() -> Iterator[list[Surroundings]]:
    """All of them; those in S3 are left out, with a word, where there is no versitygw."""
    os.environ.update(CREDENTIALS)
    with ExitStack() as stack:
        cluster, gateway = stack.enter_context(Cluster.start()), None
        try:
            gateway = stack.enter_context(Gateway.start())
        except GatewayMissing as missing:
            Console(stderr=True).print(f"not measured on S3: {missing}")
        stores = {"files": None} | ({"S3": gateway} if gateway else {})
        yield [
            Surroundings(engine, store, cluster, by)
            for engine in ENGINES
            for store, by in stores.items()
        ]
