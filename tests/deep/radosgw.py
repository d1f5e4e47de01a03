"""radosgw, where it can be had: the contract of blob stores on it, and what `heartwood blobs check` says of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from storage.blobs.checking import check_place
from tests.deep.injection import Part, Tally
from tests.support.paths import ROOT
from tests.support.radosgw import Radosgw
from tests.support.versitygw import CREDENTIALS

RUNS = 1
CONTRACT = Path(__file__).with_name("radosgw_contract.py")
CONTRACT_SECONDS = 1_200
LACKING = {
    False: {"create-only in parts", "checksums", "versions"},
    True: {"create-only in parts", "checksums", "create-only", "races"},
}
"""Whether a bucket keeps versions → what radosgw 16 doesn't give there: no ledger may use it."""
TRIED = {"create-only", "races", "ranges", "listing", "removal", "create-only in parts", "checksums", "versions"}  # fmt: skip


def run(part: Part) -> list[Tally]:
    """Both, once."""
    return [_contract(part), _findings(part)]


def _contract(part: Part) -> Tally:
    """Each test of the contract is a run; one that fails is wrong."""
    tally = Tally("radosgw: contract of blob stores", part.engine)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", str(CONTRACT), f"--junitxml={report}"]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=CONTRACT_SECONDS
        )
        if not report.exists():
            raise RuntimeError(done.stdout[-600:] + done.stderr[-600:])
        cases = list(xml.parse(report).getroot().iter("testcase"))
    for case in cases:
        tally.runs += 1
        tally.met += 1
        for kind in ("failure", "error"):
            if (found := case.find(kind)) is not None:
                error = AssertionError(found.get("message", ""))
                tally.fail(error, str(case.get("name")), part.again(0))
    return tally


def _findings(part: Part) -> Tally:
    """What the check says of it is what radosgw's documented deviations are."""
    tally = Tally("radosgw: what the check finds", part.engine)
    os.environ.update(CREDENTIALS)
    with Radosgw.start() as gateway:
        for versions, lacking in LACKING.items():
            found = check_place(gateway.place(versions=versions))
            said = {one.name for one in found if not one.held and one.name in TRIED}
            tally.runs += 1
            tally.met += 1
            if said != lacking or not any(one.fatal for one in found):
                error = AssertionError(f"expected {sorted(lacking)} to lack, got {sorted(said)}")
                tally.fail(error, f"versions {versions}", part.again(0))
    return tally
