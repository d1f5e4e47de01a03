"""The key keeper's log of releases in an export: verified, compared with the readings, and every lie found by its number.

The forger holds the keeper's keys of this log, and so can chain, hash and sign again whatever it altered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consent.auditor import Audit, audit_export
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64encode
from crypto.notes import LogSigner
from keeper.releases import open_signer
from ledger.auditor import verify_export
from ledger.errors import Tampered
from ledger.times import format_time, parse_time
from tests.support.exports import (
    ORIGIN,
    Export,
    Files,
    Forger,
    Row,
    canonical,
    row_of,
    signed,
    tree_files,
    unframed,
    write_files,
)
from tests.support.memory_log import with_manifest
from tests.tilereader import leaf_hash, tree_hash

BELOW = "releases/"


@dataclass
class Releases:
    """An honest export, and the log of releases in it, to be forged."""

    export: Export
    signer: LogSigner
    rows: list[Row]

    @classmethod
    def of(cls, export: Export) -> "Releases":
        """What the export holds."""
        signer = open_signer(export.data / "keeper", ORIGIN, None, begun=True)
        bundles = sorted(path for path in export.files if path.startswith(f"{BELOW}tile/entries/"))
        rows = [row_of(raw) for path in bundles for raw in unframed(export.files[path])]
        return cls(export, signer, rows)

    @property
    def vkeys(self) -> list[str]:
        """The keeper's keys, from outside."""
        return [str(key) for key in self.signer.keys]

    def find(self, kind: str, nth: int = 0) -> int:
        """The number of the `nth` release of a kind."""
        return [n for n, row in enumerate(self.rows) if row["released"]["kind"] == kind][nth]

    def entry(self, row: Row) -> Row:
        """The log's entry that a release names."""
        return row_of(self.export.entries[row["reading"]])

    def raws(self) -> list[bytes]:
        """The entries, chained anew."""
        out, tip = list[bytes](), bytes(32)
        for seq, row in enumerate(self.rows):
            out.append(canonical(row | {"prev": b64encode(tip), "seq": seq}))
            tip = leaf_hash(out[-1])
        return out

    def publish(
        self, raws: list[bytes] | None = None, signer: LogSigner | None = None, **head: Any
    ) -> Files:
        """The forged log's files, signed by the keeper's keys or another's, without those of the ledger's log."""
        entries = self.raws() if raws is None else raws
        root = tree_hash([leaf_hash(raw) for raw in entries])
        by = signer or self.signer
        said = (
            head.get("origin", by.keys[0].name),
            head.get("size", len(entries)),
            head.get("root", root),
        )
        files = tree_files(entries) | {
            "checkpoint": by.sign(Checkpoint(*said), 1_800_000_000),
            "log.vkey": "".join(f"{key}\n" for key in by.keys).encode(),
            "log.ed25519.vkey": f"{by.keys[0]}\n".encode(),
            "log.mldsa44.vkey": f"{by.keys[1]}\n".encode(),
        }
        return {f"{BELOW}{path}": data for path, data in files.items()}

    def within(self, releases: Files) -> Files:
        """The export with these files as its log of releases."""
        kept = {p: d for p, d in self.export.files.items() if not p.startswith(BELOW)}
        return with_manifest(kept | releases)


@pytest.fixture
def honest(small: Export) -> Releases:
    """The small export's."""
    return Releases.of(small)


def audit(releases: Releases, files: Files, place: Path, proven: bool = True) -> Audit:
    """The audit of an export of these files, verified as well."""
    write_files(files, place)
    vkeys = releases.vkeys if proven else None
    assert verify_export(place, releases.export.vkeys, releases=vkeys).proven
    return audit_export(place, releases.export.vkeys, releases=vkeys)


def test_an_honest_export_compares(honest: Releases, tmp_path: Path) -> None:
    """Each reading of the small export had its key, by the keeper's log; the report says so."""
    found = audit(honest, dict(honest.export.files), tmp_path / "export")
    assert found.good and found.releases is not None
    assert (found.releases.keyless, found.releases.before, found.releases.beyond) == (0, 0, 0)
    kinds = [row["released"]["kind"] for row in honest.rows]
    assert found.releases.log.size == len(kinds) and {"key", "texts"} <= set(kinds)
    assert (
        f"{len(kinds)} releases of {ORIGIN}/releases compared with the readings: 0 readings got no key"
        in found.lines()
    )
    again = audit(honest, dict(honest.export.files), tmp_path / "again", proven=False)
    assert again.good and any(
        "origin unproven: give the keeper's keys" in line for line in again.lines()
    )
    report = verify_export(tmp_path / "export", honest.export.vkeys)
    assert any("releases: chain" in line and "origin unproven" in line for line in report.lines())


def test_what_the_forger_makes_of_nothing_is_the_same_log(honest: Releases, tmp_path: Path) -> None:
    """Else the lies below would be found for another reason."""
    assert audit(honest, honest.within(honest.publish()), tmp_path / "export").good


# What is compared.


def _planted(releases: Releases) -> str:
    """For a grant, which is no reading."""
    number = next(
        n
        for n, raw in enumerate(releases.export.entries)
        if row_of(raw)["event"]["type"] == "access.granted"
    )
    entry = row_of(releases.export.entries[number])
    row = releases.rows[releases.find("key")]
    named = {"event": entry["event"]["id"], "reading": number, "time": entry["time"]}
    releases.rows.append(row | named)
    return f"release {len(releases.rows) - 1}, for entry {number}: it is access.granted, and key was given"


def _refused(releases: Releases) -> str:
    """For a reading that was denied."""
    number = next(
        n
        for n, raw in enumerate(releases.export.entries)
        if row_of(raw)["event"]["type"] == "access.refused"
    )
    entry = row_of(releases.export.entries[number])
    row = releases.rows[releases.find("key")]
    releases.rows.append(
        row | {"event": entry["event"]["id"], "reading": number, "time": entry["time"]}
    )
    return "it is access.refused, and key was given"


def _no_reading(releases: Releases) -> str:
    """For an event that stands nowhere."""
    row = releases.rows[releases.find("key")]
    releases.rows.append(row | {"event": "ev_" + "0" * 26})
    return f"the log holds {row['event']} there, not ev_000"


def _past_the_end(releases: Releases) -> str:
    """For an entry that the log should hold by that time, and doesn't."""
    row = releases.rows[releases.find("key")]
    early = format_time(parse_time(row["time"]) - 70_000)
    releases.rows.append(row | {"reading": releases.export.size + 3, "time": early})
    return f"for entry {releases.export.size + 3}: the log holds no such entry"


def _twice(releases: Releases) -> str:
    number = releases.find("key")
    releases.rows.append(dict(releases.rows[number]))
    return f"its key was given before, by release {number}"


def _late(releases: Releases) -> str:
    row = releases.rows[releases.find("key")]
    row["time"] = format_time(parse_time(releases.entry(row)["time"]) + 60_001)
    return "it is 60001 ms away, expected at most 60000"


def _early(releases: Releases) -> str:
    row = releases.rows[releases.find("key")]
    row["time"] = format_time(parse_time(releases.entry(row)["time"]) - 60_001)
    return "it is 60001 ms away"


def _another_blob(releases: Releases) -> str:
    row = releases.rows[releases.find("key")]
    row["released"] = row["released"] | {"blob": "bl_" + "0" * 26}
    return "record.opened gives something else than the key of version 1"


def _another_version(releases: Releases) -> str:
    row = releases.rows[releases.find("key")]
    row["released"] = row["released"] | {"version": 2}
    return "gives something else than the key of version 2"


def _an_export(releases: Releases) -> str:
    row = releases.rows[releases.find("key")]
    row["released"] = {"count": 9, "kind": "export", "root": b64encode(bytes(32))}
    return "it is record.opened, and export was given"


def _other_texts(releases: Releases) -> str:
    row = releases.rows[releases.find("texts")]
    row["released"] = {"kind": "texts", "objects": ["rc_" + "0" * 26]}
    return "gives something else than texts of rc_000"


def _texts_for_an_auditor(releases: Releases) -> str:
    number = next(
        n for n, raw in enumerate(releases.export.entries)
        if row_of(raw)["event"]["type"] == "history.opened" and row_of(raw)["event"]["as"]["role"] == "auditor"
    )  # fmt: skip
    entry = row_of(releases.export.entries[number])
    row = releases.rows[releases.find("texts")]
    releases.rows.append(
        row | {"event": entry["event"]["id"], "reading": number, "time": entry["time"]}
    )
    return "history.opened gives something else than texts"


LIES: dict[str, Callable[[Releases], str]] = {
    "for a grant": _planted,
    "for a refusal": _refused,
    "for no event": _no_reading,
    "past the end": _past_the_end,
    "twice": _twice,
    "late": _late,
    "early": _early,
    "another blob": _another_blob,
    "another version": _another_version,
    "an export": _an_export,
    "texts of another record": _other_texts,
    "texts for an auditor": _texts_for_an_auditor,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_release_without_its_reading_is_found(honest: Releases, tmp_path: Path, lie: str) -> None:
    """By its number and its reading's, though the keeper's own keys signed it; every decision stays good."""
    said = LIES[lie](honest)
    found = audit(honest, honest.within(honest.publish()), tmp_path / "export")
    assert found.releases is not None
    assert len(found.releases.wrong) == 1 and said in str(found.releases.wrong[0])
    assert not found.good and not found.wrong
    assert f"WRONG: {found.releases.wrong[0]}" in found.lines()
    assert found.lines()[-1] == "1 release without a permitted reading that gives this"


def test_readings_without_a_key_are_counted(honest: Releases, tmp_path: Path) -> None:
    """The export may lie between a reading and its key: that is told, and no error."""
    keys = [n for n, row in enumerate(honest.rows) if row["released"]["kind"] == "key"]
    del honest.rows[keys[1]]
    found = audit(honest, honest.within(honest.publish()), tmp_path / "export")
    assert found.good and found.releases is not None and found.releases.keyless == 1
    del honest.rows[: honest.find("key", 1)]
    later = audit(honest, honest.within(honest.publish()), tmp_path / "later")
    assert later.releases is not None and later.releases.before >= 1 and later.good


def test_releases_after_the_export_s_end_are_told(honest: Releases, tmp_path: Path) -> None:
    """An export that ends at an older, cosigned checkpoint has fewer entries than the keeper has read."""
    entries = honest.export.entries[: honest.rows[-1]["reading"]]
    files = signed(honest.export, entries)
    found = audit(honest, files, tmp_path / "export")
    assert found.good and found.releases is not None and found.releases.beyond >= 1
    assert any("after the last entry of this export" in line for line in found.lines())


# What is verified.


def _altered(releases: Releases) -> Files:
    raws = releases.raws()
    raws[1] = raws[1].replace(b'"kind":"', b'"kinf":"')
    return releases.publish(raws)


def _missing(releases: Releases) -> Files:
    raws = releases.raws()
    del raws[1]
    return releases.publish(raws)


def _swapped(releases: Releases) -> Files:
    raws = releases.raws()
    return releases.publish([raws[1], raws[0], *raws[2:]])


def _root(releases: Releases) -> Files:
    return releases.publish(root=bytes(range(32)))


def _size(releases: Releases) -> Files:
    return releases.publish(size=len(releases.rows) + 1)


def _another_origin(releases: Releases) -> Files:
    name = "heartwood.example/other/releases"
    return releases.publish(signer=LogSigner(name, bytes(32), bytes(32)))


def _tile(releases: Releases) -> Files:
    files = releases.publish()
    path = next(path for path in files if "/tile/0/" in path)
    return files | {path: files[path][:-1] + bytes([files[path][-1] ^ 1])}


def _surplus(releases: Releases) -> Files:
    return releases.publish() | {f"{BELOW}notes": b"x"}


def _without(name: str) -> Callable[[Releases], Files]:
    def make(releases: Releases) -> Files:
        files = releases.publish()
        return {path: data for path, data in files.items() if not path.startswith(BELOW + name)}

    return make


def _keys(releases: Releases) -> Files:
    return releases.publish() | {f"{BELOW}log.ed25519.vkey": b""}


def _one_signature(releases: Releases) -> Files:
    files = releases.publish()
    note = files[f"{BELOW}checkpoint"]
    return files | {f"{BELOW}checkpoint": b"".join(note.splitlines(keepends=True)[:-1])}


BROKEN: dict[str, tuple[str, Callable[[Releases], Files]]] = {
    "an altered entry": ("release 1: got a release of the kind|release 1: .*kind", _altered),
    "a missing entry": ("release 1: does not follow", _missing),
    "two entries swapped": ("release 0: does not follow", _swapped),
    "another root": ("releases/checkpoint: its root is not that of the releases", _root),
    "another size": ("releases/tile/.*: missing in a log of", _size),
    "another log's": ("is of heartwood.example/other/releases, expected", _another_origin),
    "a tile altered": ("releases/tile/0/.*: its hashes are not those", _tile),
    "a surplus file": ("releases/notes: surplus", _surplus),
    "no checkpoint": ("releases/checkpoint: missing", _without("checkpoint")),
    "no entries": ("releases/tile/entries/.*: missing", _without("tile/entries")),
    "another key's file": ("releases/log.ed25519.vkey: is not the log's key", _keys),
    "one signature alone": ("releases/checkpoint: key .* has not signed it", _one_signature),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_log_of_releases_that_does_not_stand(honest: Releases, tmp_path: Path, case: str) -> None:
    """Without any key from outside; verify and audit name the place (the audit reads no tile but the entries')."""
    said, make = BROKEN[case]
    place = write_files(honest.within(make(honest)), tmp_path / "export")
    with pytest.raises(Tampered, match=said):
        verify_export(place, honest.export.vkeys)
    with pytest.raises(Tampered, match=said):
        audit_export(place, honest.export.vkeys)


def test_a_byte_altered_without_its_sum(honest: Releases, tmp_path: Path) -> None:
    """The manifest holds the sums of these files, too."""
    path = next(p for p in honest.export.files if p.startswith(f"{BELOW}tile/entries/"))
    data = honest.export.files[path]
    files = dict(honest.export.files) | {path: data[:40] + bytes([data[40] ^ 1]) + data[41:]}
    with pytest.raises(Tampered, match=f"{path}: damaged"):
        verify_export(write_files(files, tmp_path / "export"), honest.export.vkeys)


def test_keys_from_outside_are_demanded(honest: Releases, tmp_path: Path) -> None:
    """Signed by a stranger of the same name it is consistent, and found as soon as the keeper's keys are given."""
    stranger = LogSigner(f"{ORIGIN}/releases", bytes(32), bytes(32))
    place = write_files(honest.within(honest.publish(signer=stranger)), tmp_path / "export")
    report = verify_export(place, honest.export.vkeys)
    assert report.releases is not None and not report.releases.proven
    for check in (verify_export, audit_export):
        with pytest.raises(Tampered, match=r"releases/log\.vkey: holds other keys"):
            check(place, honest.export.vkeys, releases=honest.vkeys)


def test_an_export_without_it(honest: Releases, tmp_path: Path) -> None:
    """The audit says that nothing was compared; with the keeper's keys given, it is missing."""
    place = write_files(honest.within({}), tmp_path / "export")
    found = audit_export(place, honest.export.vkeys)
    assert found.good and found.releases is None
    assert any("holds no log of the key keeper's releases" in line for line in found.lines())
    for check in (verify_export, audit_export):
        with pytest.raises(Tampered, match="releases/: missing"):
            check(place, honest.export.vkeys, releases=honest.vkeys)


def test_it_extends_an_older_export_s(honest: Releases, tmp_path: Path) -> None:
    """Cut short, left out, or rewritten since: the older export tells."""
    older = write_files(dict(honest.export.files), tmp_path / "older")
    rows = list(honest.rows)
    honest.rows.append(rows[-1] | {"released": {"kind": "texts", "objects": ["rc_" + "0" * 26]}})
    longer = write_files(honest.within(honest.publish()), tmp_path / "longer")
    assert verify_export(longer, honest.export.vkeys, since=older).proven
    honest.rows = rows[:-1]
    cut = write_files(honest.within(honest.publish()), tmp_path / "cut")
    honest.rows = [rows[1], rows[0], *rows[2:]]
    other = write_files(honest.within(honest.publish()), tmp_path / "other")
    without = write_files(honest.within({}), tmp_path / "without")
    for place, said in (
        (cut, "releases/: the log was cut short: the older export's log of releases knows"),
        (other, "releases/: the log does not extend the older export's log of releases"),
        (without, "releases/: missing"),
    ):
        for check in (verify_export, audit_export):
            with pytest.raises(Tampered, match=said):
                check(place, honest.export.vkeys, since=older)


def test_a_restored_keeper_is_told(honest: Releases, tmp_path: Path) -> None:
    """Its entry stands for no reading; the report says what it means."""
    row = honest.rows[-1]
    honest.rows.append({"released": {"kind": "restored"}, "time": row["time"]})
    found = audit(honest, honest.within(honest.publish()), tmp_path / "export")
    number = len(honest.rows) - 1
    assert found.good
    assert any(line.startswith(f"RESTORED: release {number} says") for line in found.lines())


def test_an_empty_log_of_releases(honest: Releases, tmp_path: Path) -> None:
    """Of a keeper that gave nothing yet: all readings are older than its first release."""
    honest.rows.clear()
    found = audit(honest, honest.within(honest.publish()), tmp_path / "export")
    assert found.good and found.releases is not None
    assert found.releases.log.size == 0 and found.releases.before > 0


def test_releases_for_readings_that_were_lost_are_told(honest: Releases, tmp_path: Path) -> None:
    """A restoration gave their numbers to other entries. Of a reading outside the lost span it is no excuse."""
    forger = Forger(honest.export)
    row = honest.rows[honest.find("key")]
    root = b64encode(bytes(32))
    body = {
        "last_root": root, "last_size": row["reading"] + 1, "root": root, "size": row["reading"],
    }  # fmt: skip
    forger.add(honest.export.people.operator, "ledger.restored", body, "ledger")
    lost = row | {"event": "ev_" + "0" * 26}
    honest.rows.append(lost)
    kept = {path: data for path, data in forger.publish().items() if not path.startswith(BELOW)}
    place = write_files(kept | honest.publish(), tmp_path / "export")
    found = audit_export(place, honest.export.vkeys)
    assert found.releases is not None and not found.releases.wrong and found.releases.lost == 1
    honest.rows.append(lost | {"reading": row["reading"] + 1})
    place = write_files(kept | honest.publish(), tmp_path / "other")
    other = audit_export(place, honest.export.vkeys)
    assert other.releases is not None and len(other.releases.wrong) == 1
