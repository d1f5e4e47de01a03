"""Chains, checkpoints and keys; what one export can't show, an older receipt finds."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto.cosignatures import Checkpoint
from crypto.encoding import b64encode
from crypto.notes import LogSigner
from ledger.auditor import verify_export
from ledger.errors import Tampered
from ledger.layout import KEY_FILES
from ledger.times import format_time, parse_time
from ledger.verifier import (
    check_at_least,
    read_checkpoint,
)
from tests.support import exports
from tests.support.exports import (
    Export,
    Files,
    Forger,
    canonical,
    flipped,
    reader,
    replaced,
    signed,
    write_files,
)
from tests.support.forgeries import (
    look,
    other_log_keys,
    other_signer,
    refuse,
)
from tests.support.memory_log import with_manifest
from tests.tilereader import LogRefused, read_log


def swapped(entries: list[bytes], at: int) -> None:
    entries[at], entries[at + 1] = entries[at + 1], entries[at]


def dropped(entries: list[bytes], at: int) -> None:
    del entries[at]


def doubled(entries: list[bytes], at: int) -> None:
    entries.insert(at, entries[at])


@pytest.mark.parametrize(("bend", "moved"), [(swapped, 0), (dropped, 0), (doubled, 1)])
@pytest.mark.parametrize("at", [1, 20, 46])
def test_entries_moved_under_a_fresh_tree_are_found(
    small: Export, place: Path, bend: Callable[[list[bytes], int], None], moved: int, at: int
) -> None:
    entries = list(small.entries)
    bend(entries, at)
    refuse(signed(small, entries), place, small, rf"^entry {at + moved}: .*(number|prev)")


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("prev", b64encode(bytes(32)), "prev is not the hash of entry {}"),
        ("stream_prev", b64encode(bytes(32)), "does not follow"),
        ("stream_seq", 1, "does not follow"),
        ("seq", 3, "got the number 3"),
    ],
)
def test_broken_links_under_a_fresh_tree_are_found(
    small: Export, place: Path, member: str, value: object, words: str
) -> None:
    forger, last = Forger(small), small.size - 1
    entries = forger.entries()
    entries[last] = canonical(exports.row_of(entries[last]) | {member: value})
    refuse(signed(small, entries), place, small, f"^entry {last}: .*{words.format(last - 1)}")


def test_a_decision_as_of_another_entry_is_found(large: Export, place: Path) -> None:
    forger = Forger(large, mend_decisions=False)
    number = look(forger, large.people.patient)
    refuse(forger.publish(), place, large, f"^entry {number}: decision: .*as of 0")


@pytest.mark.parametrize("at", [255, 256, 300, 511, 512])
def test_links_across_bundles_are_checked(large: Export, place: Path, at: int) -> None:
    """One bit of an entry's time, and the tree made anew: the next entry's `prev` finds it."""
    entries = list(large.entries)
    row = exports.row_of(entries[at])
    entries[at] = canonical(row | {"time": format_time(parse_time(row["time"]) + 1)})
    refuse(signed(large, entries), place, large, rf"^entry {at + 1}: (prev is not|its time is)")


def without_line(export: Export, number: int) -> bytes:
    """The checkpoint without one of its signature lines."""
    lines = export.files["checkpoint"].splitlines(keepends=True)
    del lines[4 + number]
    return b"".join(lines)


def own_keys(signer: LogSigner) -> Files:
    """The files that name a log's keys."""
    keys = "".join(f"{key}\n" for key in signer.keys)
    policy = f"log {signer.keys[0]}\nquorum none\n"
    files = {"log.vkey": keys, "policy": policy}
    files |= {KEY_FILES[key.kind]: f"{key}\n" for key in signer.keys}
    return {path: text.encode() for path, text in files.items()}


CHECKPOINTS: dict[str, tuple[Callable[[Export], Files], str]] = {
    "no Ed25519 line": (
        lambda e: replaced(e, {"checkpoint": without_line(e, 0)}),
        "^checkpoint: .*type 0x01.* has not signed",
    ),
    "no ML-DSA-44 line": (
        lambda e: replaced(e, {"checkpoint": without_line(e, 1)}),
        "^checkpoint: .*type 0x06.* has not signed",
    ),
    "other keys": (
        lambda e: signed(e, e.entries, other_signer()),
        "^checkpoint: .*none of the known keys",
    ),
    "one more entry": (
        lambda e: signed(e, e.entries, size=e.size + 1),
        "^tile/.*in a log of",
    ),
    "one entry less": (
        lambda e: signed(e, e.entries, size=e.size - 1),
        "^tile/.*in a log of",
    ),
    "no entries": (
        lambda e: signed(e, e.entries, size=0, root=hashlib.sha256(b"").digest()),
        "^tile/.*in a log of 0",
    ),
    "another root": (
        lambda e: signed(e, e.entries, root=bytes(32)),
        "^checkpoint: its root is not that of the entries",
    ),
    "another origin": (
        lambda e: signed(e, e.entries, origin="heartwood.example/other"),
        "^checkpoint: got the origin",
    ),
}
"""Checkpoints that don't fit, most of them signed by the log's own keys."""


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_forged_checkpoint_is_found_by_both_readers(
    small: Export, place: Path, name: str
) -> None:
    forge, words = CHECKPOINTS[name]
    refuse(forge(small), place, small, words)
    with pytest.raises(LogRefused):
        read_log(place, small.vkeys)


def test_keys_inside_prove_nothing(small: Export, place: Path) -> None:
    """Another log's keys in `log.vkey` and checkpoint: entry 0 names the true ones."""
    files = signed(small, small.entries, other_signer()) | own_keys(other_signer())
    write_files(with_manifest(files), place)
    with pytest.raises(Tampered, match=r"^log\.vkey: holds other keys"):
        verify_export(place, small.vkeys)
    with pytest.raises(Tampered, match=r"^log\.vkey: its keys are not those that entry 0 names"):
        verify_export(place, None)


def test_a_log_made_up_whole_is_found_by_keys_from_outside_alone(
    small: Export, place: Path
) -> None:
    forger = Forger(small)
    other_log_keys(forger.rows[0]["event"]["body"])
    forger.sign(0, small.people.operator.key)
    files = forger.publish(signer=other_signer()) | own_keys(other_signer())
    write_files(with_manifest(files), place)
    assert not verify_export(place, None).proven
    with pytest.raises(Tampered, match=r"^log\.vkey: holds other keys"):
        verify_export(place, small.vkeys)


@pytest.mark.parametrize("number", [0, 1])
def test_one_key_from_outside_is_not_enough(small: Export, place: Path, number: int) -> None:
    write_files(small.files, place)
    with pytest.raises(Tampered, match=r"^log\.vkey: "):
        verify_export(place, [small.vkeys[number]])


def test_keys_from_outside_may_come_in_any_order(small: Export, place: Path) -> None:
    write_files(small.files, place)
    assert verify_export(place, small.vkeys[::-1]).proven


def cut_short(forger: Forger) -> None:
    del forger.rows[-1]


def without_a_refusal(forger: Forger) -> None:
    del forger.rows[forger.find("access.refused", 1)]


def another_basis(forger: Forger) -> None:
    forger.rows[forger.find("record.opened")]["decision"]["basis"] = [0]


def another_time(forger: Forger) -> None:
    row = forger.rows[-1]
    row["time"] = format_time(parse_time(row["time"]) + 1)


def another_policy(forger: Forger) -> None:
    forger.rows[0]["event"]["body"]["policy"]["grant_days_max"] = 3_650
    forger.sign(0, forger.export.people.operator.key)


HISTORIES = [cut_short, without_a_refusal, another_basis, another_time, another_policy]
"""What the log's own keys can tell anew, and no single export shows."""


@pytest.mark.parametrize("bend", HISTORIES)
def test_another_history_is_found_by_an_older_receipt(
    small: Export, place: Path, bend: Callable[[Forger], None]
) -> None:
    forger = Forger(small)
    bend(forger)
    write_files(forger.publish(), place)
    assert verify_export(place, small.vkeys).proven, "such a log is in order by itself"
    words = "cut short" if len(forger.rows) < small.size else "does not extend"
    with pytest.raises(Tampered, match=words):
        verify_export(place, small.vkeys, small.receipts[-1])


@pytest.mark.parametrize("name", ["small", "large"])
def test_what_only_extends_holds_at_least(
    name: str, place: Path, request: pytest.FixtureRequest
) -> None:
    export: Export = request.getfixturevalue(name)
    forger = Forger(export)
    del forger.rows[-2:]  # the older receipt is from before these
    look(forger, export.people.patient)
    write_files(forger.publish(), place)
    assert verify_export(place, export.vkeys, export.older).proven
    with pytest.raises(Tampered, match=r"cut short|does not extend"):
        verify_export(place, export.vkeys, export.receipts[-1])


def test_an_older_receipt_must_hold_itself(small: Export, place: Path) -> None:
    write_files(small.files, place)
    proof, _, note = small.older.partition(b"\n\n")
    head = Checkpoint.parse(note.partition(b"\n\n")[0] + b"\n")
    foreign = proof + b"\n\n" + other_signer().sign(head, 0)
    for receipt in (b"", b"no receipt", small.older[:-2], flipped(small.older, 60, 0), foreign):
        with pytest.raises(Tampered, match=r"^the older receipt is not valid"):
            verify_export(place, small.vkeys, receipt)


@pytest.mark.parametrize("name", ["small", "large"])
def test_every_receipt_holds_at_least(name: str, request: pytest.FixtureRequest) -> None:
    export: Export = request.getfixturevalue(name)
    now, keys = read_checkpoint(reader(export.files), export.vkeys)
    for receipt in export.receipts[:: max(1, export.size // 50)]:
        assert check_at_least(reader(export.files), now, receipt, keys)
