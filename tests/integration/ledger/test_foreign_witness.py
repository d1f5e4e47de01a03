"""A log's export that two of three witnesses cosigned, one of them a program of others (`tests/golden/converse.py`).

The log is that of `export/` in the fixture of 0.1.0; litewitness cosigned its checkpoint.
"""

import hashlib
import tarfile
from pathlib import Path

import pytest

from api.app.settings import Settings
from crypto.notes import Cosigner, Note, VerifierKey
from ledger.auditor import verify_export
from ledger.checkpoint import parse_keys
from ledger.errors import Tampered
from ledger.files import read_vkeys
from ledger.witnesses import WitnessPolicy
from tests.support.commands import heartwood
from tests.support.paths import FIXTURES, GOLDEN

COSIGNED = GOLDEN / "witness" / "v0.1.0-export.checkpoint"
LITE = (GOLDEN / "witness" / "witness.vkey").read_text().strip()
OURS = Cosigner("witness.example/ours", bytes(32), bytes(32))
THIRD = Cosigner("witness.example/third", bytes([1] * 32), bytes([1] * 32))
LOG_KEY = VerifierKey("log.example/x", 0x01, bytes([7] * 32))
POLICY = (
    f"witness lite {LITE} https://lite.example\nwitness ours {OURS.keys[1]}\nwitness third {THIRD.keys[0]}\n"
    "group two 2 lite ours third\nquorum two\n"
)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """The export, with the checkpoint that litewitness cosigned."""
    with tarfile.open(FIXTURES / "v0.1.0.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(tmp_path, [one for one in archive if one.name.startswith("export/")])
    put(tmp_path / "export", COSIGNED.read_bytes())
    return tmp_path / "export"


def put(export: Path, note: bytes) -> None:
    """Replace the checkpoint, and its line in the manifest."""
    old = hashlib.sha256((export / "checkpoint").read_bytes()).hexdigest()
    new = hashlib.sha256(note).hexdigest()
    (export / "checkpoint").write_bytes(note)
    manifest = (export / "manifest").read_text()
    (export / "manifest").write_text(manifest.replace(old, new))


def test_the_foreign_cosignature_is_good(export: Path) -> None:
    log = parse_keys(read_vkeys(export / "log.vkey") or [])
    lite = VerifierKey.parse(LITE)
    assert lite.kind == 0x04
    assert Note.parse(COSIGNED.read_bytes()).verify([*log, lite]) == [*log, lite]


def test_verify_demands_two_of_three(export: Path) -> None:
    keys = read_vkeys(export / "log.vkey")
    with pytest.raises(Tampered, match="quorum two is not met: lite cosigned the checkpoint"):
        verify_export(export, keys, policy=POLICY.encode())
    note = COSIGNED.read_bytes()
    put(export, note + OURS.cosign(Note.parse(note).text, 1_795_159_440))
    assert verify_export(export, keys, policy=POLICY.encode()).cosigned == ("lite", "ours")


def test_the_commands_do(export: Path, tmp_path: Path) -> None:
    settings, policy = Settings(data=tmp_path / "none"), tmp_path / "policy"
    policy.write_text(POLICY)
    keys = ("--vkey", export / "log.vkey", "--policy", policy)
    for command in ("verify", "audit"):
        ran = heartwood(settings, command, export, *keys)
        assert ran.code == 1 and "quorum two is not met" in ran.err
    note = COSIGNED.read_bytes()
    put(export, note + OURS.cosign(Note.parse(note).text, 1_795_159_440))
    verified = heartwood(settings, "verify", export, *keys)
    assert (verified.code, heartwood(settings, "audit", export, *keys).code) == (0, 0)
    assert "cosigned by lite, ours, as the policy demands" in verified.out


def test_the_policy_for_verifiers_says_the_same() -> None:
    """As exports carry it: with the log's key, and without addresses."""
    text = WitnessPolicy.parse(POLICY.encode()).text(str(LOG_KEY))
    parsed = WitnessPolicy.parse(text)
    assert parsed.logs == [LOG_KEY] and parsed.urls == {}
    assert parsed.groups == WitnessPolicy.parse(POLICY.encode()).groups
    assert list(parsed.witnesses) == ["lite", "ours", "third"] and parsed.quorum == "two"
