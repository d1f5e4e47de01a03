"""Upload of a large blob to S3 on loopback (versitygw), sealed and hashed, beside boto3's own upload of plain bytes."""

import os
import subprocess
import sys
import time

from rich.console import Console

from benchmarks.blobs import PIECE, pieces
from benchmarks.measure import Figure, workplace
from storage.blobs.uploading import PART_BYTES
from tests.support.versitygw import CREDENTIALS, Gateway, GatewayMissing

GIB = 1
"""Plaintext of the blob."""


class _Plain:
    """So many plain bytes, to be read."""

    def __init__(self, size: int) -> None:
        self._pieces, self._left = pieces(size), bytearray()

    def read(self, size: int = sys.maxsize) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        taken = bytes(self._left[:size])
        del self._left[:size]
        return taken


def figures() -> list[Figure]:
    """The rate of one blob, and the memory it takes; none, said so, where there is no versitygw."""
    os.environ.update(CREDENTIALS)
    try:
        gateway = Gateway.start()
    except GatewayMissing as missing:
        Console(stderr=True).print(f"not measured: {missing}")
        return []
    with gateway:
        rate, above = _ours(gateway)
        limit = _plain(gateway)
    note = f", {GIB} GiB"
    parts = f"{note} in parts of {PART_BYTES // 1024**2} MiB"
    return [
        Figure.of("upload to S3", rate / 1e6, limit / 1e6, note),
        Figure.of("upload to S3, memory", above, None, parts),
    ]


def _ours(gateway: Gateway) -> tuple[float, float]:
    """Bytes a second and MiB above idle, in a process of its own."""
    setting, size = gateway.setting(gateway.place()), GIB * 1024**3
    with workplace() as place:
        command = [sys.executable, "-m", "benchmarks.blobs", str(place), str(size), setting]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), float(answer[1])


def _plain(gateway: Gateway) -> float:
    """boto3's `upload_fileobj`, with its own sizes of parts and threads; bytes a second."""
    bucket, client = gateway.place().bucket, gateway.client()
    client.upload_fileobj(_Plain(PIECE), bucket, "warm")
    began, size = time.perf_counter(), GIB * 1024**3
    client.upload_fileobj(_Plain(size), bucket, "plain")
    return size / (time.perf_counter() - began)
