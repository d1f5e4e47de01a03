"""Files of an export: missing, surplus, linked; the tree of a larger log; receipts and another's reader."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ledger.auditor
from api.cli.app import main
from crypto.encoding import b64encode
from crypto.errors import CryptoError, NoteError
from ledger.auditor import check_receipt, verify_export
from ledger.errors import LedgerError, Tampered
from ledger.layout import KEY_FILES
from tests.support.exports import (
    Export,
    Forger,
    flipped,
    framed,
    replaced,
    write_files,
)
from tests.support.forgeries import (
    flips,
    other_signer,
    refuse,
)
from tests.support.memory_log import with_manifest
from tests.tilereader import LogRefused, check_proof, read_log


def test_a_path_may_not_be_missing(small: Export, place: Path) -> None:
    for path in small.files:
        left = {name: data for name, data in small.files.items() if name != path}
        # The files of one key each came later: an older export has none.
        known = path == "manifest" or path in KEY_FILES.values()
        mended = left if known else with_manifest(left)
        for files in (left, mended):
            shutil.rmtree(place, ignore_errors=True)
            refuse(files, place, small, f"^{re.escape(path)}: missing")


SURPLUS = [
    "extra", "tile/0/000", "tile/0/000.p/48", "tile/0/001.p/1", "tile/1/000.p/1", "tile/0/0",
    "tile/entries/000", "tile/entries/000.p/48", "tile/entries/x000/000", "checkpoint.old",
    "crypto/__init__.py", "manifest.old", "sub/manifest", "README.txt", "tile/README",
]  # fmt: skip


@pytest.mark.parametrize("path", SURPLUS)
def test_a_path_may_not_be_surplus(small: Export, place: Path, path: str) -> None:
    files = dict(small.files) | {path: b"surplus"}
    refuse(files, place, small, f"^{re.escape(path)}: not in the manifest")
    shutil.rmtree(place)
    refuse(replaced(small, {path: b"surplus"}), place, small, f"^{re.escape(path)}: surplus in")


def test_another_logs_releases_may_stand_beside_but_in_the_manifest(
    small: Export, place: Path
) -> None:
    refuse(dict(small.files) | {"releases/x": b"x"}, place, small, "^releases/x: not in the man")


def link_to_a_copy(place: Path, path: str) -> None:
    outside = place.parent / "outside"
    outside.write_bytes((place / path).read_bytes())
    (place / path).unlink()
    (place / path).symlink_to(outside)


def link_to_itself(place: Path, path: str) -> None:
    (place / path).unlink()
    (place / path).symlink_to(path)


def link_to_a_folder(place: Path, path: str) -> None:
    """The folder at the top moves away, with all that is in it."""
    top = place / Path(path).parts[0]
    top.rename(place.parent / "moved")
    top.symlink_to(place.parent / "moved")


def a_pipe(place: Path, path: str) -> None:
    """Whoever opens one as a file would wait for ever."""
    (place / path).unlink()
    os.mkfifo(place / path)


def a_folder(place: Path, path: str) -> None:
    (place / path).unlink()
    (place / path).mkdir()


@pytest.mark.parametrize(
    ("bend", "path"),
    [
        *((link_to_a_copy, path) for path in ("manifest", "checkpoint", "README", "log.vkey")),
        (link_to_a_copy, "tile/entries/000.p/49"),
        (link_to_itself, "README"),
        (link_to_a_folder, "tile/entries"),
        *((a_pipe, path) for path in ("manifest", "checkpoint", "README", "tile/entries/000.p/49")),
        *(
            (a_folder, path)
            for path in ("manifest", "checkpoint", "README", "tile/entries/000.p/49")
        ),
    ],
)
def test_what_is_no_file_is_not_read(
    small: Export, place: Path, bend: Callable[[Path, str], None], path: str
) -> None:
    write_files(small.files, place)
    bend(place, path)
    with pytest.raises(Tampered, match=r": (missing|not in the manifest)$"):
        verify_export(place, small.vkeys)


MANIFESTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "no newline at the end": lambda text: text[:-1],
    "a line twice": lambda text: text.splitlines(keepends=True)[0] + text,
    "another order": lambda text: b"".join(text.splitlines(keepends=True)[::-1]),
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "form feeds": lambda text: text.replace(b"\n", b"\x0c", 1),
    "upper case": lambda text: text.upper(),
    "an empty line": lambda text: text + b"\n",
    "a file outside": lambda text: b"0" * 64 + b"  ../log.vkey\n" + text,
    "no UTF-8": lambda text: text + b"0" * 64 + b"  \xff\n",
    "one gap": lambda text: text.replace(b"  ", b" "),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifest_has_one_form(small: Export, place: Path, name: str) -> None:
    files = dict(small.files) | {"manifest": MANIFESTS[name](small.files["manifest"])}
    refuse(files, place, small, "manifest|missing|damaged")


def test_every_tile_of_a_larger_log_is_checked_by_both_readers(large: Export, place: Path) -> None:
    tiles = [path for path in large.files if re.match(r"tile/\d", path)]
    assert {path.split("/")[1] for path in tiles} == {"0", "1"} and len(tiles) == 4
    for path in tiles:
        data = large.files[path]
        bends = (flipped(data, 0, 0), flipped(data, len(data) - 1, 7), data[:-32], data + data[:32])
        for altered in (*bends, b""):
            shutil.rmtree(place, ignore_errors=True)
            refuse(replaced(large, {path: altered}), place, large, f"^{re.escape(path)}: ")
            with pytest.raises(LogRefused, match=f"^{re.escape(path)}"):
                read_log(place, large.vkeys)


def test_bundles_may_not_change_places(large: Export, place: Path) -> None:
    first, second = (large.files[f"tile/entries/{n}"] for n in ("000", "001"))
    files = replaced(large, {"tile/entries/000": second, "tile/entries/001": first})
    refuse(files, place, large, "^entry 0: got the number 256")


@pytest.mark.parametrize("count", [1, 255, 257, 400])
def test_a_bundle_holds_its_256_entries(large: Export, place: Path, count: int) -> None:
    """An operator cuts the same entries into files in another way."""
    entries, rest = large.entries, "tile/entries/001"
    files = replaced(
        large,
        {"tile/entries/000": framed(entries[:count]), rest: framed(entries[count:512])},
    )
    refuse(files, place, large, r"^(tile/entries/000: holds \d+ entr|entry \d+: got the number)")


def test_processes_side_by_side_find_the_same(
    large: Export, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.auditor, "PARALLEL_BUNDLES", 2)
    write_files(large.files, place)
    assert verify_export(place, large.vkeys, processes=2).size == large.size
    forger = Forger(large)
    forger.rows[600]["event"]["body"]["size"] = 7
    shutil.rmtree(place)
    write_files(forger.publish(), place)
    with pytest.raises(Tampered, match=r"^entry 600: .*does not fit"):
        verify_export(place, large.vkeys, processes=2)


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_independent_reader_accepts_what_was_exported(
    name: str, place: Path, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    write_files(export.files, place)
    assert read_log(place, export.vkeys) == export.entries
    assert verify_export(place, export.vkeys).counts.entries == export.size


@pytest.mark.parametrize("name", ["small", "large"])
def test_every_entry_has_a_receipt_that_both_readers_accept(
    name: str, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    assert len(export.receipts) == export.size
    for number, text in enumerate(export.receipts):
        assert check_proof(text, export.vkeys) == (number, export.entries[number])
        assert check_receipt(text, export.vkeys).index == number


def test_the_command_checks_every_receipt(
    small: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "receipt"
    keys = small.data / "log.vkey"
    monkeypatch.setattr(sys, "argv", ["heartwood", "check", str(file), "--vkey", str(keys)])
    for text in small.receipts:
        for written, code in ((text, 0), (flipped(text, len(text) // 3, 1), 1)):
            file.write_bytes(written)
            with pytest.raises(SystemExit) as left:
                main()
            assert left.value.code == code


def test_every_byte_of_a_receipt_counts(small: Export) -> None:
    for at, bit in flips(len(small.older)):
        altered = flipped(small.older, at, bit)
        with pytest.raises((LedgerError, CryptoError)):
            check_receipt(altered, small.vkeys)
        with pytest.raises(LogRefused):
            check_proof(altered, small.vkeys)


def test_a_receipt_counts_under_its_own_logs_keys_alone(small: Export) -> None:
    others = [str(key) for key in other_signer().keys]
    with pytest.raises(NoteError, match="none of the known keys"):
        check_receipt(small.older, others)
    with pytest.raises(LogRefused):
        check_proof(small.older, others)


def test_no_receipt_fits_another_entry(small: Export) -> None:
    for number, text in enumerate(small.receipts):
        other = small.entries[number - 1]
        forged = text.replace(b64encode(small.entries[number]).encode(), b64encode(other).encode())
        with pytest.raises(LogRefused):
            check_proof(forged, small.vkeys)
        with pytest.raises(ValueError, match="receipt"):
            check_receipt(forged, small.vkeys)
