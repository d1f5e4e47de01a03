"""What an auditor finds: nothing in the log itself, everything in copies that were altered."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from api.app.opening import open_ledger
from api.app.settings import Settings
from client import readings
from client.local import LocalClient
from consent.auditor import audit_export
from consent.gate import gate
from crypto.texts import counted
from demo.people import Story
from demo.report import Found
from demo.steps import DemoFailed, Steps, expect
from keeper.errors import KeeperRefused
from ledger.auditor import check_receipt, verify_export
from ledger.directory import Key
from ledger.entry import Entry
from ledger.errors import Tampered
from ledger.event import Event
from ledger.files import read_vkeys
from ledger.merkle import leaf_hash
from ledger.receipt import Receipt
from ledger.rows import Look
from ledger.sequencer import Judged
from ledger.tiles import TILE_WIDTH, split_bundle, tile_path
from storage.exports import write_export

FORGED, LIED = "forged", "lied"
"""Folders of a copy that was altered, and of a lying server's export."""


def proofs(step: Steps, story: Story, vkey: Path, policy: Path) -> Found:
    """Receipt, export, verification, and two alterations that are found.

    `policy`: the file of the witness policy, whose quorum each of them must meet.
    """
    ledger, keys, demanded = story.ledger, read_vkeys(vkey) or [], policy.read_bytes()
    target, seq = story.place / "export", story.letter.seq
    receipt = step(
        "a receipt of the letter is checked",
        lambda: final_receipt(story, seq, keys, demanded),
        lambda receipt: (
            f"entry {receipt.index}, {len(receipt.path)} hashes to the root, final under both cosignatures"
        ),
    )
    size = step(
        "the log is exported",
        lambda: write_export(ledger, target, policy=ledger.witnesses),
        lambda n: f"{counted(n, 'entry')} in {target}",
    )
    report = step(
        "and verified, offline",
        lambda: verify_export(target, keys, policy=demanded),
        lambda r: (
            f"{counted(r.counts.entries, 'entry')}, every hash, chain, signature and tile; cosigned by {' and '.join(r.cosigned)}"
        ),
    )
    expect(report.proven and report.counts.entries == size, "a verification of something else")
    audit = step(
        "every decision is made again",
        lambda: audit_export(target, keys, policy=demanded),
        lambda a: f"{counted(a.decisions, 'decision')} from the log alone, without a key",
    )
    expect(audit.good, f"wrong decisions or releases: {audit.lines()[-3:]}")
    damaged = step(
        "one byte of a copy is altered",
        lambda: tampered(story, target, keys, mend_manifest=False),
        lambda found: f"found: {found}",
    )
    forged = step(
        "and hidden in the manifest too",
        lambda: tampered(story, target, keys, mend_manifest=True),
        lambda found: f"found: {found}",
    )
    altered = leaf_hash(_raw(story.place / FORGED, size, seq)).hex()
    note = (target / "checkpoint").read_bytes()
    return Found(receipt, tuple(keys), size, note, report, audit, altered, damaged, forged)


def final_receipt(story: Story, seq: int, keys: list[str], policy: bytes) -> Receipt:
    """The receipt of an entry, whose checkpoint meets the policy."""
    text, final = LocalClient(story.ledger).receipt(story.patient, seq)
    expect(final, "a receipt that isn't final")
    return check_receipt(text, keys, policy)


def _raw(export: Path, size: int, seq: int) -> bytes:
    """The bytes of an entry as an export of `size` entries has them."""
    number = seq // TILE_WIDTH
    path = tile_path("entries", number, min(TILE_WIDTH, size - number * TILE_WIDTH))
    return split_bundle((export / path).read_bytes())[seq % TILE_WIDTH]


def tampered(story: Story, target: Path, keys: list[str] | None, mend_manifest: bool) -> str:
    """Alter one byte of the hash in the letter's entry, in a copy of the export; what the verification says."""
    seq = story.letter.seq
    copy = story.place / (FORGED if mend_manifest else "damaged")
    shutil.copytree(target, copy)
    size = story.ledger.head().size
    number = seq // TILE_WIDTH
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    path = tile_path("entries", number, width)
    data = bytearray((copy / path).read_bytes())
    hash_of_blob = b'"sha256":"'
    at = data.index(hash_of_blob, data.index(story.letter.record.encode())) + len(hash_of_blob)
    data[at] = ord("B" if data[at] == ord("A") else "A")
    (copy / path).write_bytes(data)
    if mend_manifest:
        text = (copy / "manifest").read_text()
        old = next(line for line in text.splitlines() if line.endswith(f"  {path}"))
        new = f"{hashlib.sha256(data).hexdigest()}  {path}"
        (copy / "manifest").write_text(text.replace(old, new))
    try:
        verify_export(copy, keys)
    except Tampered as found:
        place = f"entry {seq}:" if mend_manifest else path
        expect(str(found).startswith(place), f"got {found}, expected the place {place}")
        return str(found)[:90]
    raise DemoFailed("an altered log was verified as good")


def lying(step: Steps, story: Story, settings: Settings, found: Found) -> Found:
    """A server whose rules were altered writes a flawless log; the audit names the entry it should not hold."""
    keys = list(found.vkeys)
    copy = Settings(data=story.place / "lying", database_url="", blobs="", root=None)
    shutil.copytree(settings.data, copy.data)
    seq, refused = step(
        "a copy's server permits what it must not",
        lambda: permit_anything(copy, story),
        lambda lied: f"entry {lied[0]}: a stranger reads, and the log says by S9 (grant)",
    )
    step("and gets no key from the key keeper", lambda: refused, lambda said: said[:100])
    lied = step(
        "which verifies, being whole",
        lambda: verify_export(story.place / LIED, keys),
        lambda r: f"{counted(r.counts.entries, 'entry')}",
    )
    audit = step(
        "and which the audit finds",
        lambda: audit_export(story.place / LIED, keys),
        lambda a: str(a.wrong[0])[:100],
    )
    expect([wrong.seq for wrong in audit.wrong] == [seq], f"found {audit.wrong}")
    export = story.place / LIED
    lie = tuple(Entry.parse(_raw(export, audit.size, n)) for n in (seq - 1, seq))
    return replace(found, lied=lied, lying=audit, lie=lie)


def permit_anything(settings: Settings, story: Story) -> tuple[int, str]:
    """Open the ledger with altered rules, and let a stranger read: the entry, and what the key keeper said to it."""
    basis = story.granted

    def permit(
        event: Event, key: Key, seq: int, time: int, look: Look, session: int | None
    ) -> Judged:
        decision, shown, _ = gate(event, key, seq, time, look, session)
        decision.pop("reason", None)
        return Judged(decision | {"basis": [basis], "effect": "permit", "rule": "S9"}, shown)

    ledger = open_ledger(settings, judge=permit)
    try:
        stranger = story.doctors[3]
        readings.read(LocalClient(ledger), stranger, story.letter.record, "TREAT")
        raise DemoFailed("a lying server was given a key")
    except KeeperRefused as refused:
        (alarm,) = ledger.keeper.alarms()
        expect(alarm.seq == ledger.head().size - 1, f"an alarm of {alarm}")
        write_export(ledger, story.place / LIED)
        return alarm.seq, str(refused)
    finally:
        ledger.close()
