"""versitygw, a real S3 server, built from its Go modules once into a cache, and run on loopback.

    with Gateway.start() as gateway:
        place = gateway.place()

It keeps everything in a folder of its own, gone with the run. The build takes some minutes and goes into
`$XDG_CACHE_HOME/heartwood`, for all later runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from storage.blobs.place import S3Place

VERSION = "v1.8.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
BUILD_SECONDS = 1_500
START_SECONDS = 60
HOST = "127.0.0.1"
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "heartwood",
    "AWS_SECRET_ACCESS_KEY": "heartwood-secret",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What boto3's chain finds in the tests, and nothing of the tester's own."""


class GatewayMissing(Exception):
    """There is no versitygw, and none can be built here."""


def built() -> Path:
    """The program, built now if it wasn't before; raises GatewayMissing."""
    cache = _cache()
    path = cache / f"versitygw-{VERSION}"
    if path.exists():
        return path
    go = shutil.which("go")
    if go is None:
        raise GatewayMissing(
            f"no Go to build versitygw {VERSION} with, and none is in {cache}: tests of S3"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:  # of several test processes one builds
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _build(go, path)
    return path


def _build(go: str, path: Path) -> None:
    print(f"building versitygw {VERSION} once, which takes some minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [go, "install", "-p=1", f"{MODULE}@{VERSION}"]
        try:
            subprocess.run(
                command,
                env=os.environ | {"GOBIN": folder},
                check=True,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
            )
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", "") or error)[-400:]
            raise GatewayMissing(f"versitygw {VERSION} can't be built: {said}") from error
        os.rename(Path(folder) / "versitygw", path)


class Gateway:
    """A running versitygw on a folder of its own."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        """Made by `start`."""
        self.folder, self.port, self.process = folder, port, process
        self._buckets = 0

    @classmethod
    def start(cls) -> Self:
        """Run one; raises GatewayMissing."""
        program, folder = built(), _folder()
        for name in ("data", "versions", "iam"):
            (folder / name).mkdir()
        port = _free_port()
        with (folder / "log").open("wb") as log:
            command: list[str | Path] = [program, "--port", f"{HOST}:{port}", "--access"]
            command += [CREDENTIALS["AWS_ACCESS_KEY_ID"], "--secret"]
            command += [CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "--region", REGION]
            command += ["--iam-dir", folder / "iam", "posix", "--versioning-dir"]
            command += [folder / "versions", folder / "data"]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        made = cls(folder, port, process)
        try:
            made._wait()
        except BaseException:
            made.stop()
            raise
        return made

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{HOST}:{self.port}"

    def client(self) -> Any:
        """boto3's own client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def place(self, versions: bool = False, locks: bool = False, prefix: str = "w/") -> S3Place:
        """A place in a new bucket; `versions`: it keeps them, `locks`: it knows Object Lock (and keeps versions)."""
        self._buckets += 1
        name, client = f"bucket-{os.getpid()}-{self._buckets}", self.client()
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        if versions and not locks:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return S3Place(name, prefix, self.url, REGION)

    def setting(self, place: S3Place) -> str:
        """HEARTWOOD_BLOBS for a place of it."""
        text = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}&region={place.region}"
        return text + (f"&lock={place.lock.lower()}&days={place.days}" if place.lock else "")

    def locked(self, mode: str, days: int = 1) -> S3Place:
        """A place where whatever is put is locked."""
        return replace(self.place(locks=True), lock=mode, days=days)

    def stop(self) -> None:
        """End it, and remove what it kept."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            try:
                socket.create_connection((HOST, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"versitygw didn't listen within {START_SECONDS} s")


def _folder() -> Path:
    """A new folder on a disk that knows extended attributes, where it keeps what S3 tells of an object."""
    places = (Path(tempfile.gettempdir()), Path("/tmp"), _cache())
    for place in places:
        made = Path(tempfile.mkdtemp(prefix="heartwood-s3-", dir=place))
        try:
            os.setxattr(made, "user.heartwood", b"")
            return made
        except OSError:  # of memory, say, on an older kernel
            made.rmdir()
    raise GatewayMissing(f"versitygw needs extended attributes, and none of {places} has them")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heartwood"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])
