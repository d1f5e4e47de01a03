"""Every single byte of an export: as damage by the manifest, and as forgery once the manifest is rewritten."""

import random
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from api.cli.app import main
from crypto.encoding import b64encode
from ledger.auditor import check_witnesses, verify_export
from ledger.digest import BundleDigest, digest_bundle, registered_keys
from ledger.errors import Tampered
from ledger.layout import check_manifest
from ledger.verifier import (
    LogVerifier,
    read_checkpoint,
)
from tests.support.exports import (
    ORIGIN,
    Export,
    flipped,
    framed,
    reader,
    replaced,
    write_files,
)
from tests.support.forgeries import (
    BUNDLE,
    PARTS,
    WITNESS,
    flips,
)
from tests.support.memory_log import with_manifest
from tests.tilereader import read_log


@pytest.mark.parametrize("part", range(PARTS))
def test_every_byte_is_in_the_manifest(small: Export, part: int) -> None:
    for path, data in small.files.items():
        for at, bit in flips(len(data), part, PARTS):
            files = dict(small.files) | {path: flipped(data, at, bit)}
            with pytest.raises(Tampered) as found:
                check_manifest(reader(files), files)
            assert path == "manifest" or str(found.value).startswith(f"{path}: damaged")


class Judge:
    """The verifier over an export in memory; what an alteration leaves alone is digested once."""

    def __init__(self, export: Export) -> None:
        """Digests the honest export."""
        self.export, self.bundle = export, BUNDLE.format(export.size)
        self.keys = registered_keys(0, export.files[self.bundle])
        self.digest = self.digested(export.files[self.bundle])

    def digested(self, data: bytes) -> BundleDigest:
        return digest_bundle(0, data, ORIGIN, self.keys)

    def follow(self, files: Mapping[str, bytes], bundle: BundleDigest) -> LogVerifier:
        """All that is checked in order, and then the tree."""
        checkpoint, keys = read_checkpoint(reader(files), self.export.vkeys)
        verifier = LogVerifier(checkpoint.origin, reader(files), checkpoint.size)
        verifier.take(bundle)
        verifier.finish(checkpoint, files["registry.json"], keys)
        return verifier

    def entry(self, seq: int, altered: bytes) -> None:
        """An altered entry: looked at with the one after it, and in the whole log if that is not enough."""
        entries = self.export.entries
        digest_bundle(seq, framed([altered, *entries[seq + 1 : seq + 2]]), ORIGIN, self.keys)
        whole = framed([*entries[:seq], altered, *entries[seq + 1 :]])
        self.follow(self.export.files, self.digested(whole))


@pytest.fixture(scope="session")
def judge(small: Export) -> Judge:
    return Judge(small)


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_every_entry_is_committed_to(judge: Judge, bit: int) -> None:
    for seq, raw in enumerate(judge.export.entries):
        for at in range(len(raw)):
            with pytest.raises(Tampered, match=rf"^entry ({seq}|{seq + 1}): |^tile/0/"):
                judge.entry(seq, flipped(raw, at, bit))


def test_every_byte_of_an_entrys_length_is_committed_to(judge: Judge) -> None:
    data, at = judge.export.files[judge.bundle], 0
    for raw in judge.export.entries:
        for place, bit in ((at, 0), (at, 7), (at + 1, 0), (at + 1, 7)):
            with pytest.raises(Tampered, match=r"^(entry \d+|the bundle from entry 0 on): "):
                judge.digested(flipped(data, place, bit))
        at += 2 + len(raw)


def test_every_byte_of_the_tile_is_committed_to(judge: Judge) -> None:
    path = f"tile/0/000.p/{judge.export.size}"
    data = judge.export.files[path]
    for at, bit in flips(len(data)):
        with pytest.raises(Tampered, match=f"^{path}: "):
            judge.follow(dict(judge.export.files) | {path: flipped(data, at, bit)}, judge.digest)


def test_every_byte_of_the_registry_is_committed_to(judge: Judge) -> None:
    files = judge.export.files
    checkpoint, keys = read_checkpoint(reader(files), judge.export.vkeys)
    verifier = judge.follow(files, judge.digest)
    for at, bit in flips(len(files["registry.json"])):
        with pytest.raises(Tampered, match=r"^registry\.json: "):
            verifier.finish(checkpoint, flipped(files["registry.json"], at, bit), keys)


def test_every_byte_of_the_checkpoint_is_signed(small: Export) -> None:
    note = small.files["checkpoint"]
    for at, bit in [*flips(len(note)), *((at, 0) for at in range(len(note)))]:
        files = {"log.vkey": small.files["log.vkey"], "checkpoint": flipped(note, at, bit)}
        with pytest.raises(Tampered, match=r"^checkpoint: "):
            read_checkpoint(reader(files), small.vkeys)


def test_every_byte_of_the_keys_is_compared_with_those_from_outside(small: Export) -> None:
    keys = small.files["log.vkey"]
    for at, bit in [*flips(len(keys)), *((at, 0) for at in range(len(keys)))]:
        files = dict(small.files) | {"log.vkey": flipped(keys, at, bit)}
        with pytest.raises(Tampered, match=r"^log\.vkey: "):
            read_checkpoint(reader(files), small.vkeys)


def test_an_altered_policy_is_found_or_says_the_same(small: Export) -> None:
    """Nothing commits to the policy; it must stay a policy of this log, whose quorum is met."""
    policy = small.files["policy"]
    _, keys = read_checkpoint(reader(small.files), small.vkeys)
    for at, bit in [*flips(len(policy)), *((at, 0) for at in range(len(policy)))]:
        altered = flipped(policy, at, bit)
        files = dict(small.files) | {"policy": altered}
        with pytest.raises(Tampered, match=r"^policy: "):
            check_witnesses(reader(files), keys)


def test_readme_and_foreign_signatures_are_committed_to_by_nothing(
    small: Export, place: Path
) -> None:
    for number in range(3):
        line = f"{WITNESS}{b64encode(bytes([number] * 72))}\n".encode()
        changes = {
            "README": b"Another text, %d.\n" % number,
            "checkpoint": small.files["checkpoint"] + line,
        }
        write_files(replaced(small, changes), place)
        assert verify_export(place, small.vkeys).proven
        read_log(place, small.vkeys)


def changed_somewhere(export: Export, draw: random.Random) -> tuple[str, bytes]:
    """A byte altered, put in or left out, anywhere in what the log commits to."""
    paths = [path for path in export.files if path not in ("README", "manifest", "policy")]
    path = draw.choice(paths)
    data = export.files[path]
    at, kept, new = draw.randrange(len(data)), draw.choice((0, 1)), draw.randbytes(1)
    altered = data[:at] + draw.choice((new, b"")) + data[at + kept :]
    return (path, altered) if altered != data else changed_somewhere(export, draw)


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_are_found_on_disk_and_by_the_command(
    small: Export, place: Path, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    draw = random.Random(seed)
    keys = small.data / "log.vkey"
    write_files(small.files, place)
    monkeypatch.setattr(sys, "argv", ["heartwood", "verify", str(place), "--vkey", str(keys)])
    for _ in range(50):
        path, altered = changed_somewhere(small, draw)
        for mended in (False, True):
            files = dict(small.files) | {path: altered}
            write_files(with_manifest(files) if mended else files, place)
            with pytest.raises(Tampered) as found:
                verify_export(place, small.vkeys)
            with pytest.raises(SystemExit) as left:
                main()
            assert left.value.code == 1
            assert f"heartwood: {found.value}\n" == capsys.readouterr().err
        write_files(small.files, place)
