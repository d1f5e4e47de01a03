"""radosgw, Ceph's S3 server: one monitor, one OSD on a sparse file and one gateway on loopback, for `make deep` alone.

    with Radosgw.start() as gateway:
        place = gateway.place()

It is installed from Debian's packages on demand, where this process may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.blobs.place import S3Place
from tests.support.postgres import HOST, _free_port, apt_get
from tests.support.versitygw import CREDENTIALS

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-mgr", "ceph-common", "ceph-base")
PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph-mgr", "ceph", "ceph-authtool", "monmaptool")
REGION = "default"
DISK_BYTES = 8 << 30
"""Of the OSD's file, which is sparse."""
START_SECONDS = 240.0
STEP_SECONDS = 120
USER = "heartwood"


class RadosgwMissing(RuntimeError):
    """There is no radosgw here, and none could be installed; the text is one line for people."""


def find_or_install_radosgw() -> None:
    """Ceph's programs are there, installed where this process may; raises RadosgwMissing."""
    if _found():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with suppress(OSError, subprocess.SubprocessError):
            apt_get("update")
            apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)
    if not _found():
        raise RadosgwMissing(
            f"radosgw is missing (Debian, as root: apt-get install {' '.join(PACKAGES)}): its contract is left out"
        )


def _found() -> bool:
    return all(shutil.which(name) for name in PROGRAMS)


CONF = """[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:{host}:{msgr},v1:{host}:{old}]
public addr = {host}
cluster addr = {host}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 1
mon data avail crit = 1
osd memory target = 1073741824
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
log file = {folder}/log/$name.log
keyring = {folder}/keyring
[mon.a]
mon data = {folder}/mon
mon addr = {host}:{old}
[mgr.a]
mgr data = {folder}/mgr
[osd.0]
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = {disk}
bluestore block create = true
[client.rgw.a]
rgw frontends = beast endpoint={host}:{http}
rgw data = {folder}/rgw
rgw s3 auth use keystone = false
"""
"""One machine's worth of Ceph, all on loopback, every pool with one copy."""


class Radosgw:
    """A running radosgw on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Made by `start`."""
        self.folder, self.port, self._buckets = folder, _free_port(), 0
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def start(cls) -> Self:
        """Run one; raises RadosgwMissing."""
        find_or_install_radosgw()
        made = cls(Path(tempfile.mkdtemp(prefix="heartwood-rgw-")))
        try:
            made._begin()
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
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def place(self, versions: bool = False, locks: bool = False, prefix: str = "w/") -> S3Place:
        """A place in a new bucket; `versions`: it keeps them, `locks`: it knows Object Lock (and keeps versions)."""
        self._buckets += 1
        name, client = f"bucket-{os.getpid()}-{self._buckets}", self.client()
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        if versions and not locks:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return S3Place(name, prefix, self.url, REGION)

    def locked(self, mode: str, days: int = 1) -> S3Place:
        """A place where whatever is put is locked."""
        return replace(self.place(locks=True), lock=mode, days=days)

    def stop(self) -> None:
        """End it, the gateway first, and remove what it kept."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
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

    def _begin(self) -> None:
        for name in ("run", "log", "mon", "mgr", "osd", "rgw"):
            (self.folder / name).mkdir()
        fsid, msgr, old = _uuid(), _free_port(), _free_port()
        (self.folder / "ceph.conf").write_text(
            CONF.format(
                fsid=fsid, host=HOST, msgr=msgr, old=old, http=self.port, folder=self.folder, disk=DISK_BYTES
            )
        )  # fmt: skip
        self._monitor(fsid, msgr, old)
        self._daemon("ceph-mgr", "-i", "a")
        self._osd()
        self._daemon("radosgw", "-n", "client.rgw.a")
        self._wait()

    def _monitor(self, fsid: str, msgr: int, old: int) -> None:
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        allowed = ("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *"), ("mds", "allow *")
        caps = [word for name, rights in allowed for word in ("--cap", name, rights)]
        _run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *caps[:3])
        for name in ("client.admin", "mgr.a", "osd.0", "client.rgw.a"):
            _run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        at = f"[v2:{HOST}:{msgr},v1:{HOST}:{old}]"
        _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", at, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._daemon("ceph-mon", "-i", "a")
        self._ceph("auth", "import", "-i", keyring)
        self._ceph("mon", "enable-msgr2")

    def _osd(self) -> None:
        uuid = _uuid()
        self._ceph("osd", "new", uuid)
        (self.folder / "osd" / "type").write_text("bluestore\n")
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", uuid)
        self._daemon("ceph-osd", "-i", "0")

    def _daemon(self, program: str, *arguments: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [program, "-f", "--conf", self.folder / "ceph.conf", *arguments],
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                )
            )

    def _run(self, program: str, *arguments: object) -> None:
        _run(program, "--conf", self.folder / "ceph.conf", *arguments)

    def _ceph(self, *arguments: object) -> None:
        self._run("ceph", "--connect-timeout", "60", *arguments)

    def _wait(self) -> None:
        """Until it answers to the user of the tests, who is made here."""
        until = time.monotonic() + START_SECONDS
        key, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        self._run(
            "radosgw-admin", "-n", "client.rgw.a", "user", "create", f"--uid={USER}",
            "--display-name=tests", f"--access-key={key}", f"--secret-key={secret}",
        )  # fmt: skip
        while True:
            try:
                self.client().list_buckets()
                return
            except (BotoCoreError, ClientError) as error:
                if time.monotonic() > until:
                    raise RuntimeError(f"radosgw didn't answer within {START_SECONDS} s") from error
                time.sleep(0.5)


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=STEP_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-600:]}")


def _uuid() -> str:
    return Path("/proc/sys/kernel/random/uuid").read_text().strip()
