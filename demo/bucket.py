"""One hospital's blobs in S3: a ledger of its own, in a bucket of a test server that runs in a process of its own.

The server is moto, which `make setup` installs. It enforces no checksums, and the self-test says so: whatever is written
there is read back. Where moto isn't installed the blobs go into a folder, tested and told of alike.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import boto3

from api.app.blobs import fit
from api.app.creating import create_ledger
from api.app.opening import open_ledger
from api.app.settings import Settings
from client import authoring, readings, registering
from client.local import LocalClient
from client.registering import NewPatient
from demo.people import SEED
from demo.steps import DemoFailed, Steps, expect
from identity.actors import Actor, new_id, new_key
from records.uploads import Upload
from storage.blobs.checking import CHECKSUMS, Guarantee
from storage.blobs.files import BlobStore
from synthetic import scan_png

HOST = "127.0.0.1"
BUCKET = "klinikum-west"
START_SECONDS = 30
KEYS = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What boto3's chain finds meanwhile: nobody's real keys are sent to a test server."""
_THEIRS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


def bucket(step: Steps, place: Path) -> None:
    """A third hospital, whose ledger keeps its blobs in S3."""
    with _place(place) as blobs:
        settings = Settings(data=place / "west", database_url="", blobs=blobs, root=None)
        where = "a bucket" if blobs.startswith("s3:") else "a folder, without moto,"
        found = step(f"{where} is tested", lambda: fit(settings.blob_place()), _held)
        step("and what it lacks is told", lambda: found, _lacking)
        step(
            "a third hospital keeps its blobs there",
            lambda: _hospital(settings),
            lambda blob: f"{blob} is ciphertext there, and read back it is the scan",
        )


def _held(found: Sequence[Guarantee]) -> str:
    """What the store guarantees."""
    return f"it holds to {', '.join(one.name for one in found if one.held)}"


def _lacking(found: Sequence[Guarantee]) -> str:
    """What it doesn't, and what follows."""
    lacking = [one.name for one in found if not one.held]
    if not lacking:
        return "nothing"
    read_back = "; so whatever is written is read back" if CHECKSUMS in lacking else ""
    return f"no {', no '.join(lacking)}{read_back}"


def _hospital(settings: Settings) -> str:
    """Found a ledger, upload a scan as a hospital and read it as its patient; gives its blob."""
    created = create_ledger(settings, "heartwood.example/west")
    with closing(open_ledger(settings)) as ledger:
        client = LocalClient(ledger)
        west = registering.add_hospital(client, created.operator, "Klinikum West", "Europe/Berlin")
        now = ledger.clock()
        new = NewPatient(new_id("pt", now), new_id("ac", now), "Pat West", None, False, new_key())
        patient, _ = registering.add_patient(client, west.admin, new)
        scan = scan_png(SEED)
        one = Upload(patient, "imaging", "image/png", [scan], record="")
        up = authoring.upload(client, west.system, one)
        expect(new.key is not None, "a patient without a key")
        owner = Actor(client.origin, new.account, "patient", "", new.key or new_key())
        _, shown = readings.read(client, owner, up.record, "PATRQT")
        expect(b"".join(shown.content) == scan, "the scan came back as something else")
        expect(scan[:64] not in _stored(ledger.blobs, up.blob), "the scan lies there in clear")
    return up.blob


def _stored(blobs: BlobStore, blob: str) -> bytes:
    """All bytes of the store; there is one blob."""
    expect(list(blobs.list()) == [blob], "the store has another number of blobs")
    return b"".join(blobs.read(blob))


@contextmanager
def _place(place: Path) -> Iterator[str]:
    """HEARTWOOD_BLOBS of a bucket, or of a folder."""
    if find_spec("moto") is None or find_spec("flask_cors") is None:
        yield f"file:{(place / 'west-blobs').resolve()}"
        return
    with moto() as endpoint, _keys():
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(
            Bucket=BUCKET
        )
        yield f"s3://{BUCKET}/heartwood?endpoint={endpoint}&region=us-east-1"


@contextmanager
def moto() -> Iterator[str]:
    """moto's server, in a process of its own and with nothing kept; its URL."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port = int(found.getsockname()[1])
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            _wait(process, port)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise DemoFailed(f"moto's server didn't listen within {START_SECONDS} s")


@contextmanager
def _keys() -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in (*KEYS, *_THEIRS)}
    os.environ.update(KEYS)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
