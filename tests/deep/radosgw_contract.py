"""The contract of blob stores on radosgw: the tests of all stores, on this one. `tests.deep radosgw` runs it.

Where radosgw 16 deviates the test must fail: a later one that does better is told, too.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.blobs.place import parse_place
from storage.blobs.uploading import PART_BYTES
from tests.integration.storage import test_blob_store
from tests.integration.storage.test_blob_store import Kind, Opened, store
from tests.support.radosgw import Radosgw
from tests.support.versitygw import CREDENTIALS

__all__ = ["store"]
globals().update({n: test for n, test in vars(test_blob_store).items() if n.startswith("test_")})
PARTS = "test_many_parts_come_back_as_one"
DEVIATIONS = {
    "plain": {PARTS},
    "with versions": {
        PARTS,
        "test_never_overwrites",
        "test_of_many_writers_of_one_id_one_wins",
    },
}
"""An upload in parts is completed over an object that is there; in a bucket that keeps versions any write is taken."""


@pytest.fixture(scope="session")
def radosgw() -> Iterator[Radosgw]:
    """The server, with the credentials of the tests."""
    with pytest.MonkeyPatch.context() as patch, Radosgw.start() as running:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(params=DEVIATIONS)
def at(request: pytest.FixtureRequest, radosgw: Radosgw, tmp_path: Path) -> Opened:
    """A place for an empty store."""
    if request.node.originalname in DEVIATIONS[request.param]:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason="radosgw deviates"))
    place = radosgw.place(versions=request.param != "plain")
    setting = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}&region={place.region}"
    kind = Kind(lambda *_: setting, PART_BYTES, read_back=True)
    return Opened(setting, parse_place(setting, tmp_path), kind)
