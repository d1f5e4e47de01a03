"""Exports and files from others, which the tools bound by what is there, print safely and never call wrong
for their form. The tools run as processes, as an auditor runs them."""

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.app.settings import Settings
from crypto.cosignatures import Checkpoint, ed25519_message
from crypto.notes import VerifierKey, signature_line
from crypto.signing import SigningKey
from tests.support.commands import heartwood
from tests.support.exports import Export, replaced, write_files
from tests.support.paths import ROOT
from tests.tilereader import LogRefused, read_log

MEMORY_BYTES = 1024 * 1024 * 1024
"""What a tool may take of memory here; the honest exports need a tenth."""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
HUGE = 10**15
ESCAPE = "\x1b[2J\x9b31m\u202egood"
GOOD, WRONG, USED_WRONGLY, UNPROVEN, COULD_NOT = range(5)


def run(*arguments: object, package: str = "ledger") -> subprocess.CompletedProcess[str]:
    """Run an auditor's tool in bounded memory and time."""
    command = [sys.executable, "-P", "-m", package, *map(str, arguments)]
    found = subprocess.run(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found


def one_line(found: subprocess.CompletedProcess[str], code: int, words: str) -> str:
    """The tool ended with this code and one line on standard error, in which these words stand."""
    assert found.returncode == code, (found.stdout, found.stderr)
    assert words in found.stderr and found.stderr.count("\n") == 1, found.stderr
    assert found.stderr.strip().isprintable()
    return found.stderr


@pytest.fixture
def keys(small: Export, tmp_path: Path) -> Path:
    """The log's keys, from outside."""
    path = tmp_path / "log.keys"
    path.write_bytes(small.files["log.vkey"])
    return path


def huge(small: Export) -> dict[str, bytes]:
    """An export whose checkpoint, signed by the log's keys, says more entries than anybody has."""
    head = Checkpoint(small.signer.keys[0].name, HUGE, bytes(32))
    return replaced(small, {"checkpoint": small.signer.sign(head, 1_795_000_000)})


@pytest.mark.parametrize("vkey", [True, False])
def test_a_size_that_nothing_bears_out_takes_neither_time_nor_memory(
    small: Export, place: Path, keys: Path, tmp_path: Path, vkey: bool
) -> None:
    write_files(huge(small), place)
    receipt = tmp_path / "receipt"
    receipt.write_bytes(small.older)
    outside = ("--vkey", keys) if vkey else ()
    one_line(run("verify", place, *outside), WRONG, "missing in a log of 1000000000000000 entries")
    one_line(run("audit", place, *outside, package="consent"), WRONG, "missing")
    one_line(run("check", receipt, *outside, "--against", place), WRONG, "missing")


@pytest.mark.parametrize(
    "path",
    ["README", "checkpoint", "log.vkey", "policy", "registry.json", "manifest", "extra", "tile/0/000.p/49",
     "tile/entries/000.p/49", "releases/checkpoint", "releases/other"],
)  # fmt: skip
def test_a_sparse_file_of_8_gib_is_not_read(
    small: Export, place: Path, keys: Path, path: str
) -> None:
    files = dict(small.files)
    if path not in files:
        files = replaced(small, {path: b"x"})
    write_files(files, place)
    os.truncate(place / path, 8 * 1024**3)
    found = run("verify", place, "--vkey", keys)
    assert f"{path}: " in one_line(found, WRONG, "WRONG: ")


def test_a_long_file_given_as_keys_receipt_or_policy_is_not_read(
    small: Export, place: Path, keys: Path, tmp_path: Path
) -> None:
    write_files(small.files, place)
    long = tmp_path / "long"
    long.touch()
    os.truncate(long, 8 * 1024**3)
    for arguments in (
        ("verify", place, "--vkey", long),
        ("verify", place, "--vkey", keys, "--policy", long),
        ("verify", place, "--vkey", keys, "--at-least", long),
        ("check", long, "--vkey", keys),
    ):
        one_line(run(*arguments), USED_WRONGLY, "has more than")


def test_names_of_files_are_printed_as_what_they_are(
    small: Export, place: Path, keys: Path
) -> None:
    write_files(dict(small.files) | {ESCAPE: b"x"}, place)
    found = one_line(run("verify", place, "--vkey", keys), WRONG, "not in the manifest")
    assert "\\x1b[2J\\x9b31m\\u202egood" in found
    with (place / os.fsdecode(b"\xff\n")).open("wb"):
        one_line(run("verify", place, "--vkey", keys), WRONG, "not in the manifest")


def test_the_commands_print_them_so_too(small: Export, place: Path, keys: Path) -> None:
    write_files(dict(small.files) | {ESCAPE: b"x"}, place)
    command = [
        sys.executable,
        "-P",
        "-c",
        "from api.cli import main; main()",
        "verify",
        str(place),
        "--vkey",
        str(keys),
    ]
    found = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    one_line(found, WRONG, "\\x1b[2J\\x9b31m\\u202egood: not in the manifest")


def empty_folder(place: Path) -> None:
    (place / "sub" / "folder").mkdir(parents=True)


def empty_releases(place: Path) -> None:
    (place / "releases" / "later").mkdir()


@pytest.mark.parametrize("bend", [empty_folder, empty_releases])
def test_an_empty_folder_is_surplus(
    small: Export, place: Path, keys: Path, bend: Callable[[Path], None]
) -> None:
    bend(write_files(small.files, place))
    one_line(run("verify", place, "--vkey", keys), WRONG, "/: surplus, an empty folder")


def test_a_folder_that_cannot_be_read_says_nothing_about_the_log(
    small: Export, place: Path, keys: Path
) -> None:
    """Folders so deep that no path reaches the innermost, for root neither."""
    write_files(small.files, place)
    at = os.open(place, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("f" * 250, dir_fd=at)
        below = os.open("f" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    one_line(run("verify", place, "--vkey", keys), COULD_NOT, "could not run: ")


def test_a_failure_of_the_tool_is_no_finding(small: Export, place: Path, keys: Path) -> None:
    """Too little memory, of whatever kind the error is that comes of it."""
    write_files(small.files, place)
    script = (
        "import sys, ledger.auditor, ledger.commands\n"
        "def broken(*given, **named): raise KeyError('\\x1bodd')\n"
        "ledger.commands.verify_export = broken\n"
        "raise SystemExit(ledger.commands.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-P", "-c", script, "verify", str(place), "--vkey", str(keys)]
    found = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    one_line(found, COULD_NOT, "could not run: KeyError: ")


@pytest.mark.parametrize("command", ["verify", "audit", "registry"])
def test_output_that_fails_is_no_finding(
    small: Export, place: Path, keys: Path, command: str
) -> None:
    """A full disk where the report goes, and a terminal that knows ASCII alone."""
    write_files(small.files, place)
    package = "consent" if command == "audit" else "ledger"
    given = [] if command == "registry" else [str(place), "--vkey", str(keys)]
    line = [sys.executable, "-P", "-m", package, command, *given]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            line, cwd=ROOT, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert found.returncode == COULD_NOT and found.stderr.count("\n") == 1, found.stderr
    ascii_ = ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}
    assert subprocess.run(line, cwd=ROOT, env=ascii_, capture_output=True).returncode == GOOD


# Form is not proof


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def marked(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def utf16(data: bytes) -> bytes:
    return data.decode().encode("utf-16")


def windows(data: bytes) -> bytes:
    return crlf(data).decode().encode("utf-16")


def printed(data: bytes) -> bytes:
    """As a command that ends its output with one more newline."""
    return data + b"\n"


@pytest.mark.parametrize("form", [crlf, marked, utf16, windows, printed])
def test_the_form_of_what_was_kept_counts_for_nothing(
    small: Export, place: Path, tmp_path: Path, form: Callable[[bytes], bytes]
) -> None:
    write_files(small.files, place)
    files = {"keys": small.files["log.vkey"], "receipt": small.older, "pol": small.files["policy"]}
    for name, data in files.items():
        (tmp_path / name).write_bytes(form(data))
    keys, receipt, policy = (tmp_path / name for name in files)
    for arguments in (
        ("check", receipt, "--vkey", keys),
        ("check", receipt, "--vkey", keys, "--policy", policy),
        ("verify", place, "--vkey", keys, "--at-least", receipt, "--policy", policy),
    ):
        found = run(*arguments)
        assert found.returncode == GOOD, found.stderr
    found = run("audit", place, "--vkey", keys, "--policy", policy, package="consent")
    assert found.returncode == GOOD, found.stderr


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n", b"\xff\xfe\x00", b"not one\n"])
def test_what_is_no_receipt_no_key_no_policy_is_no_forgery(
    small: Export, place: Path, keys: Path, tmp_path: Path, data: bytes
) -> None:
    write_files(small.files, place)
    other = tmp_path / "other"
    other.write_bytes(data)
    for arguments in (
        ("check", other, "--vkey", keys),
        ("verify", place, "--vkey", other),
        ("verify", place, "--vkey", keys, "--at-least", other),
        ("verify", place, "--vkey", keys, "--policy", other),
    ):
        one_line(run(*arguments), USED_WRONGLY, "used wrongly: ")


def test_a_receipt_that_was_altered_is_still_wrong(
    small: Export, keys: Path, tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt"
    receipt.write_bytes(crlf(small.older.replace(b"index 3", b"index 2")))
    one_line(run("check", receipt, "--vkey", keys), WRONG, "WRONG: ")


# Witnesses

SEED = bytes(range(32))
WITNESS = VerifierKey("witness.example/w", 0x04, SigningKey(SEED).public)


def cosignature(note: bytes, time: int = 1_795_000_000) -> bytes:
    """The witness's line under a checkpoint."""
    text = note.partition(b"\n\n")[0] + b"\n"
    value = SigningKey(SEED).sign(ed25519_message(time, text))
    return signature_line(WITNESS, struct.pack(">Q", time) + value)


def demanding(small: Export, *, signed: bool) -> dict[str, bytes]:
    """An export whose policy demands a witness, who signed or didn't."""
    note = small.files["checkpoint"]
    policy = f"log {small.vkeys[0]}\nwitness w {WITNESS}\ngroup all-of all w\nquorum all-of\n"
    changes = {
        "policy": policy.encode(),
        "checkpoint": note + (cosignature(note) if signed else b""),
    }
    return replaced(small, changes)


def test_an_export_is_held_to_its_own_policy(small: Export, place: Path, keys: Path) -> None:
    write_files(demanding(small, signed=False), place)
    words = "quorum all-of is not met: none of its witnesses cosigned"
    one_line(run("verify", place, "--vkey", keys), WRONG, words)
    one_line(run("audit", place, "--vkey", keys, package="consent"), WRONG, words)


def test_todays_log_is_held_to_the_policy_too(
    small: Export, place: Path, keys: Path, tmp_path: Path
) -> None:
    policy, receipt = tmp_path / "policy", tmp_path / "receipt"
    policy.write_text(f"witness w {WITNESS}\nquorum w\n")
    receipt.write_bytes(small.older + cosignature(small.older.partition(b"\n\n")[2]))
    write_files(small.files, place)
    against = ("check", receipt, "--vkey", keys, "--policy", policy, "--against", place)
    one_line(run(*against), WRONG, "quorum w is not met")
    note = small.files["checkpoint"]
    (place / "checkpoint").write_bytes(note + cosignature(note))
    assert run(*against).returncode == GOOD


def test_the_commands_hold_to_policies_and_forms_too(
    small: Export, place: Path, keys: Path, tmp_path: Path
) -> None:
    policy, odd, receipt = (tmp_path / name for name in ("policy", "odd", "receipt"))
    policy.write_text(f"witness w {WITNESS}\nquorum w\n")
    odd.write_bytes(b"\xff\xfe\x00")
    receipt.write_bytes(windows(small.older))
    write_files(small.files, place)
    runs: list[tuple[int, str, tuple[object, ...]]] = [
        (GOOD, "", ("check", receipt, "--vkey", keys, "--against", place)),
        (GOOD, "WARNING", ("verify", place, "--vkey", keys, "--now", "2026-01-01T00:00:00Z")),
        (GOOD, "WARNING", ("audit", place, "--vkey", keys, "--now", "2026-01-01T00:00:00Z")),
        (WRONG, "quorum w", ("verify", place, "--vkey", keys, "--policy", policy)),
        (WRONG, "quorum w", ("audit", place, "--vkey", keys, "--policy", policy)),
        (WRONG, "quorum w", ("check", receipt, "--vkey", keys, "--policy", policy)),
        (USED_WRONGLY, "UTF-16", ("check", odd, "--vkey", keys)),
        (USED_WRONGLY, "UTF-16", ("verify", place, "--vkey", odd)),
        (USED_WRONGLY, "UTF-16", ("audit", place, "--vkey", odd)),
        (USED_WRONGLY, "yesterday", ("verify", place, "--vkey", keys, "--now", "yesterday")),
    ]
    elsewhere = Settings(data=tmp_path / "none", database_url="")
    for code, words, arguments in runs:
        ran = heartwood(elsewhere, *arguments)
        assert (ran.code, words in ran.out + ran.err) == (code, True), (arguments, ran)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("ledger", ("verify", "--since")), ("consent", ("audit", "--since")), ("ledger", ("check", "--against"))],
)  # fmt: skip
def test_a_folder_that_is_not_there_says_nothing_about_the_log(
    small: Export, place: Path, keys: Path, tmp_path: Path, package: str, arguments: tuple[str, str]
) -> None:
    command, option = arguments
    receipt = tmp_path / "receipt"
    receipt.write_bytes(small.older)
    write_files(small.files, place)
    given = receipt if command == "check" else place
    found = run(command, given, "--vkey", keys, option, tmp_path / "none", package=package)
    one_line(found, COULD_NOT, "there is no folder")


def test_a_witness_that_signed_is_named(small: Export, place: Path, keys: Path) -> None:
    write_files(demanding(small, signed=True), place)
    found = run("verify", place, "--vkey", keys)
    assert found.returncode == GOOD and "cosigned by w" in found.stdout


def test_an_export_is_held_to_a_policy_from_outside(
    small: Export, place: Path, keys: Path, tmp_path: Path
) -> None:
    policy, receipt = tmp_path / "policy", tmp_path / "receipt"
    policy.write_text(f"witness w {WITNESS}\nquorum w\n")
    write_files(small.files, place)
    receipt.write_bytes(small.older)
    for arguments in (("verify", place), ("check", receipt)):
        found = run(*arguments, "--vkey", keys, "--policy", policy)
        one_line(found, WRONG, "quorum w is not met")
    found = run("audit", place, "--vkey", keys, "--policy", policy, package="consent")
    one_line(found, WRONG, "quorum w is not met")
    receipt.write_bytes(small.older + cosignature(small.older.partition(b"\n\n")[2]))
    assert run("check", receipt, "--vkey", keys, "--policy", policy).returncode == GOOD
    note = small.files["checkpoint"]
    write_files(replaced(small, {"checkpoint": note + cosignature(note)}), place)
    assert run("verify", place, "--vkey", keys, "--policy", policy).returncode == GOOD
    note = small.files["checkpoint"]
    write_files(replaced(small, {"checkpoint": note + cosignature(note, 2**63)}), place)
    found = run("verify", place, "--vkey", keys, "--policy", policy)
    one_line(found, WRONG, "timestamp")


# The clock


def test_a_log_from_the_future_is_warned_of(small: Export, place: Path, keys: Path) -> None:
    write_files(small.files, place)
    for package, command in (("ledger", "verify"), ("consent", "audit")):
        arguments = (command, place, "--vkey", keys)
        now, then, odd = (
            run(*arguments, *more, package=package)
            for more in ((), ("--now", "2026-01-01T00:00:00Z"), ("--now", "yesterday"))
        )
        assert now.returncode == GOOD and "WARNING" not in now.stdout
        assert then.returncode == GOOD and "WARNING: the last entry's time, 202" in then.stdout
        assert "good" in then.stdout.splitlines()[-1]
        assert odd.returncode == USED_WRONGLY and "yesterday" in odd.stderr


# One file a key


def test_the_files_of_one_key_each_hold_the_logs_keys(
    small: Export, place: Path, keys: Path
) -> None:
    names = ("log.ed25519.vkey", "log.mldsa44.vkey")
    assert [small.files[name].decode() for name in names] == [f"{key}\n" for key in small.vkeys]
    for changes in ({}, dict.fromkeys(names)):
        write_files(replaced(small, changes), place.with_name(f"with-{len(changes)}"))
        found = run("verify", place.with_name(f"with-{len(changes)}"), "--vkey", keys)
        assert found.returncode == GOOD, found.stderr
    for name, other in zip(names, names[::-1], strict=True):
        write_files(replaced(small, {name: small.files[other]}), place)
        one_line(run("verify", place, "--vkey", keys), WRONG, f"{name}: ")


def test_a_reader_of_one_key_takes_the_files_of_one_key(small: Export, place: Path) -> None:
    """As Tessera's fsck: the file is the key. It reads the log by either file, and takes none from the file of both."""
    write_files(small.files, place)
    for name in ("log.ed25519.vkey", "log.mldsa44.vkey"):
        entries = read_log(place, [(place / name).read_text().removesuffix("\n")])
        assert len(entries) == small.size
    with pytest.raises(LogRefused, match="verifier key"):
        read_log(place, [(place / "log.vkey").read_text().removesuffix("\n")])
