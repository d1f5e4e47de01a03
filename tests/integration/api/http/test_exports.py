"""A download of a whole chart goes to the disk, on both sides: its size is not the memory that it takes."""

import tracemalloc
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from api.app.settings import Settings
from client import authoring, readings
from client.http import HttpClient
from client.local import LocalClient
from ledger.errors import Tampered
from records.uploads import Upload
from tests.integration.client.test_lying_servers import zipped
from tests.support.ledger_fixture import LedgerFixture
from tests.support.lying_server import lying
from tests.support.server import in_process

PIECE = bytes(range(256)) * 4096
"""1 MiB."""
PIECES = 48
MEMORY = 12 << 20
"""Bytes that the client and the server together may take for it, beyond what they had."""


def instead(archive: bytes, path: str, body: bytes) -> bytes:
    """Another archive than the one that was asked for."""
    return archive if path.endswith("/export") else body


def test_a_large_chart_is_never_in_memory(tmp_path: Path) -> None:
    """And what the index tells of a content's size holds, or the download is refused."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    pat, system, near = fixture.person(), fixture.north.system, LocalClient(fixture.ledger)
    one = Upload(pat.patient, "imaging", "image/png", (PIECE for _ in range(PIECES)))
    authoring.upload(near, system, one)
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as far:
        readings.chart(far, pat.actor, pat.patient, "PATRQT")
        tracemalloc.start()
        try:
            _, (taken,) = readings.export(far, pat.actor, pat.patient, "PATRQT")
            sizes = [len(piece) for piece in taken.content]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert sum(sizes) == PIECES * len(PIECE) and peak < MEMORY, peak
        record = taken.record.record
        for size in (3, 5):
            line: dict[str, object] = {
                "category": "imaging", "clinical_date": "", "file": "f", "media_type": "image/png", "record": record,
                "size": size, "version": 1,
            }  # fmt: skip
            archive = zipped([line], "f", b"four")
            with lying(web.url, partial(instead, archive)) as url, closing(HttpClient(url)) as told:
                _, (taken,) = readings.export(told, pat.actor, pat.patient, "PATRQT")
                with pytest.raises(Tampered, match="does not have the"):
                    b"".join(taken.content)
    fixture.verify()
    fixture.close()
