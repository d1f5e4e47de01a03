"""The audit decides every access again, from the log alone: what the rules don't give is found by its number.

The forger holds the log's own keys: what it alters is chained, hashed and signed anew, so that nothing but the
rules can tell.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.app.layout import read_marker
from api.app.settings import Settings
from consent.auditor import Audit, audit_export
from crypto.notes import LogSigner
from crypto.signing import SigningKey
from identity.actors import Actor
from keeper.roots import load_root
from ledger.errors import Tampered
from tests.support.commands import heartwood
from tests.support.exports import (
    ORIGIN,
    Export,
    Forger,
    Row,
    flipped,
    forgeable,
    signature,
    signed,
    write_files,
)
from tests.support.histories import History, rich_history
from tests.support.ledger_fixture import LedgerFixture
from tests.support.memory_log import with_manifest
from tests.support.paths import ROOT

PACKAGES = ("consent", "crypto", "ledger")


@dataclass
class Rich:
    """A rich history, closed, and its export."""

    export: Export
    history: History
    service: Actor

    @property
    def keys(self) -> Path:
        """The file of the log's verifier keys, from outside the export."""
        return self.export.data / "log.vkey"

    def audit(self, files: Mapping[str, bytes], place: Path, since: Path | None = None) -> Audit:
        """The audit of these files, written to `place`."""
        return audit_export(write_files(files, place), self.export.vkeys, since)

    def decided(self) -> list[int]:
        """The numbers of the entries that hold a decision."""
        return [n for n, row in enumerate(Forger(self.export).rows) if "decision" in row]

    def older(self, size: int, place: Path) -> Path:
        """The export as it was when the log had `size` entries."""
        forger = Forger(self.export)
        del forger.rows[size:]
        return write_files(forger.publish(), place)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Rich:
    place = tmp_path_factory.mktemp("rich")
    settings = Settings(data=place / "data", database_url="")
    fixture = LedgerFixture.found(settings, origin=ORIGIN)
    history = rich_history(fixture)
    export = forgeable(fixture.ledger, settings.data, place / "export")
    fixture.close()
    key = SigningKey(load_root(settings.data / "keys" / "service.seed", None))
    service = Actor(ORIGIN, read_marker(settings)["service"], "service", "", key)
    return Rich(export, history, service)


# What is good


def test_every_decision_of_a_rich_history_is_good(rich: Rich, tmp_path: Path) -> None:
    found = rich.audit(rich.export.files, tmp_path / "export")
    assert found.wrong == () and found.proven
    assert (found.size, found.decisions) == (rich.export.size, len(rich.decided()))
    assert sum(found.by_rule.values()) == found.decisions
    assert found.by_rule.keys() >= {
        "permit S1", "permit S5", "permit S6", "permit S9", "deny S1 role", "deny S2 retracted",
        "deny S3 step_up", "deny S7 excluded", "deny S8 emergency_needed", "deny S12 no_consent",
    }  # fmt: skip
    rows = Forger(rich.export).rows
    assert len({row["decision"]["policy"] for row in rows if "decision" in row}) == 2
    assert {row["event"]["type"] for row in rows} >= {"chart.opened", "record.hidden"}
    scopes = {row["event"]["body"].get("scope") for row in rows}
    assert scopes >= {"full", "partial", "selective"}


# What is wrong, in every entry that holds a decision

Alter = Callable[[Row], Row | None]
"""Another decision than the one given; None where there is no such."""


def other_rule(decision: Row) -> Row:
    return decision | {"rule": "S11" if decision["rule"] != "S11" else "S10"}


def other_basis(decision: Row) -> Row | None:
    """Of an entry after the first there is always another one to rest on."""
    other = [n for n in range(min(2, decision["as_of"])) if [n] != decision["basis"]]
    return decision | {"basis": other[:1]} if other else None


def no_basis(decision: Row) -> Row | None:
    return decision | {"basis": []} if decision["basis"] else None


def larger_basis(decision: Row) -> Row | None:
    more = sorted({*decision["basis"], 0})
    return decision | {"basis": more} if more != decision["basis"] else None


def other_policy(decision: Row) -> Row:
    return decision | {"policy": 1 if decision["policy"] != 1 else 0}


def other_assurance(decision: Row) -> Row:
    return decision | {"assurance": decision["assurance"] % 3 + 1}


def other_reason(decision: Row) -> Row | None:
    if "reason" not in decision:
        return None
    return decision | {"reason": "gone" if decision["reason"] != "gone" else "role"}


def a_sign_in(decision: Row) -> Row | None:
    """Where there is none: what was signed by a key that the service keeps names one."""
    return None if "session" in decision else decision | {"session": 0}


ALTERED: dict[str, tuple[Alter, str]] = {
    "another rule": (other_rule, r" S1[01].*, the rules give "),
    "another basis": (other_basis, r"\(basis \["),
    "no basis": (no_basis, r"\(basis \[\], not \["),
    "a larger basis": (larger_basis, r"\(basis \["),
    "another policy": (other_policy, r"\(policy \d+, not \d+\)"),
    "another assurance": (other_assurance, r"\(assurance \d, not \d\)"),
    "another reason": (other_reason, r"decided deny .*, the rules give deny "),
    "a sign-in": (a_sign_in, r"\(session 0, not None\)"),
}


@pytest.mark.parametrize("kind", ALTERED)
def test_every_altered_decision_is_found_by_its_number(
    rich: Rich, tmp_path: Path, kind: str
) -> None:
    """All at once, and each for itself for what it says."""
    alter, words = ALTERED[kind]
    forger, altered = Forger(rich.export), []
    for number in rich.decided():
        changed = alter(forger.rows[number]["decision"])
        if changed is not None:
            forger.rows[number]["decision"] = changed
            altered.append(number)
    assert len(altered) >= 9
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert [wrong.seq for wrong in found.wrong if wrong.seq in altered] == altered
    for wrong in found.wrong:
        if (
            wrong.seq not in altered
        ):  # a use that no basis names isn't counted, so that a limited grant goes on
            assert kind == "no basis" and "deny S12 no_consent, the rules give permit S9" in str(
                wrong
            )
            continue
        name = forger.rows[wrong.seq]["event"]["type"]
        assert str(wrong).startswith(f"entry {wrong.seq}: {name}: decided ")
        assert re.search(words, wrong.what), wrong


@pytest.mark.parametrize(
    "kind", ["record.opened", "chart.opened", "access.granted", "access.refused"]
)
def test_a_missing_decision_is_found(rich: Rich, tmp_path: Path, kind: str) -> None:
    forger = Forger(rich.export)
    number = forger.find(kind)
    del forger.rows[number]["decision"]
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert str(found.wrong[0]) == f"entry {number}: decision: missing in a {kind}"


@pytest.mark.parametrize("kind", ["account.registered", "policy.changed", "group.joined"])
def test_a_surplus_decision_is_found(rich: Rich, tmp_path: Path, kind: str) -> None:
    forger = Forger(rich.export)
    number = forger.find(kind)
    decision = {"assurance": 3, "basis": [], "effect": "permit", "policy": 0, "rule": "S6"}
    forger.rows[number]["decision"] = decision
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert str(found.wrong[0]).startswith(f"entry {number}: decision: not one of a {kind}")


def opening(forger: Forger, number: int) -> tuple[str, Row]:
    """Stream and body of the reading at `number`."""
    event = forger.rows[number]["event"]
    return event["stream"], event["body"]


def permitted(forger: Forger, rule: str) -> int:
    """The number of a `record.opened` that a rule permitted."""
    return next(
        n
        for n, row in enumerate(forger.rows)
        if row["event"]["type"] == "record.opened" and row["decision"]["rule"] == rule
    )


@pytest.mark.parametrize("rule", ["S1", "S5", "S6", "S9"])
def test_a_permit_where_the_rules_deny_is_found(rich: Rich, tmp_path: Path, rule: str) -> None:
    """Somebody who has no right at all opens a record, and the log says it was right."""
    forger, stranger = Forger(rich.export), rich.history.fixture.south.admin
    stream, body = opening(forger, permitted(forger, "S9"))
    basis = forger.rows[permitted(forger, "S9")]["decision"]["basis"]
    last = [row["decision"]["policy"] for row in forger.rows if "decision" in row][-1]
    decision = {"assurance": 3, "basis": basis, "effect": "permit", "policy": last, "rule": rule}
    number = forger.add(stranger, "record.opened", body, stream, decision=decision)
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert [str(wrong) for wrong in found.wrong] == [
        f"entry {number}: record.opened: decided permit {rule}, the rules give deny S1 role "
        f"(basis {basis}, not [])"
    ]


def test_a_denial_where_the_rules_permit_is_found(rich: Rich, tmp_path: Path) -> None:
    """The patient is refused the own record."""
    forger, pat = Forger(rich.export), rich.history.pat.actor
    stream, body = opening(forger, permitted(forger, "S5"))
    inner = pat.event("record.opened", stream, body, forger.now)
    number = forger.add(
        rich.service, "access.refused", {"event": inner, "sig": signature(pat.key, inner)}, stream,
        decision={
            "assurance": 3, "basis": [], "effect": "deny", "policy": 0, "reason": "no_consent", "rule": "S12",
        },
    )  # fmt: skip
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert [wrong.seq for wrong in found.wrong] == [number]
    assert "decided deny S12 no_consent, the rules give permit S5" in found.wrong[0].what


def test_a_reading_after_its_grant_ended_is_found(rich: Rich, tmp_path: Path) -> None:
    """To the millisecond: half-open, so a grant that ends as the reading begins permits nothing."""
    forger = Forger(rich.export)
    reading = permitted(forger, "S9")
    (granted,) = forger.rows[reading]["decision"]["basis"]
    event = forger.rows[granted]["event"]
    event["body"]["end"] = forger.rows[reading]["time"]
    found = rich.audit(forger.publish(), tmp_path / "export")
    assert reading in [wrong.seq for wrong in found.wrong]


# What is no log


def test_entries_that_are_not_under_the_checkpoint(rich: Rich, tmp_path: Path) -> None:
    full, rest = divmod(rich.export.size, 256)
    path = f"tile/entries/{full:03d}.p/{rest}"
    data = rich.export.files[path]
    for at in (len(data) // 3, len(data) - 2):
        files = with_manifest(dict(rich.export.files) | {path: flipped(data, at, 0)})
        with pytest.raises(Tampered, match="its root is not that of the entries"):
            rich.audit(files, tmp_path / "export")


def without_entry_0(forger: Forger) -> None:
    del forger.rows[0]


def before_entry_0(forger: Forger) -> None:
    forger.rows[0]["time"], forger.rows[1]["time"] = (
        "2030-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.000Z",
    )


@pytest.mark.parametrize("bend", [without_entry_0, before_entry_0])
def test_a_log_without_a_policy_is_found(
    rich: Rich, tmp_path: Path, bend: Callable[[Forger], None]
) -> None:
    forger = Forger(rich.export)
    bend(forger)
    assert rich.audit(forger.publish(), tmp_path / "export").wrong


@pytest.mark.parametrize("raw", [b"{}", b"\xff", b"", b"x" * 65_535])
def test_bytes_that_are_no_entry_are_found(rich: Rich, tmp_path: Path, raw: bytes) -> None:
    entries = [*rich.export.entries, raw]
    found = rich.audit(signed(rich.export, entries), tmp_path / "export")
    assert [wrong.seq for wrong in found.wrong] == [rich.export.size]


def test_an_entry_under_another_number_is_found(rich: Rich, tmp_path: Path) -> None:
    entries = rich.export.entries
    entries = [*entries[:-2], entries[-1], entries[-2]]
    found = rich.audit(signed(rich.export, entries), tmp_path / "export")
    assert [wrong.seq for wrong in found.wrong] == [len(entries) - 2, len(entries) - 1]
    assert found.wrong[0].what == f"calls itself entry {len(entries) - 1}"


# Since an older export


@pytest.mark.parametrize("size", [30, 60, 90, -1, 0])
def test_an_audit_since_an_older_export_finds_the_same(
    rich: Rich, tmp_path: Path, size: int
) -> None:
    """Together they decided what one audit decides; what is wrong after is found, with the same words."""
    size = size if size > 0 else rich.export.size + size
    older = rich.older(size, tmp_path / "older")
    whole = rich.audit(rich.export.files, tmp_path / "whole")
    first = audit_export(older, rich.export.vkeys)
    second = audit_export(tmp_path / "whole", rich.export.vkeys, since=older)
    assert (first.wrong, second.wrong, second.since) == ((), (), size)
    assert first.by_rule + second.by_rule == whole.by_rule
    forger = Forger(rich.export)
    for number in rich.decided():
        if number >= size:
            forger.rows[number]["decision"] = other_rule(forger.rows[number]["decision"])
    bent = rich.audit(forger.publish(), tmp_path / "bent").wrong
    assert audit_export(tmp_path / "bent", rich.export.vkeys, since=older).wrong == bent
    assert [wrong.seq for wrong in bent] == [n for n in rich.decided() if n >= size]


@pytest.mark.parametrize("size", [30, 60, 0])
def test_an_older_export_that_is_no_prefix_is_refused(
    rich: Rich, tmp_path: Path, size: int
) -> None:
    forger = Forger(rich.export)
    del forger.rows[size or rich.export.size :]
    forger.rows[0]["event"]["body"]["policy"]["retention_years"] += 1
    forger.sign(0, rich.history.fixture.operator.key)
    older = write_files(forger.publish(), tmp_path / "older")
    with pytest.raises(Tampered, match="does not extend the older export"):
        rich.audit(rich.export.files, tmp_path / "export", since=older)


def test_a_longer_or_anothers_older_export_is_refused(rich: Rich, tmp_path: Path) -> None:
    longer = write_files(rich.export.files, tmp_path / "longer")
    cut = rich.older(60, tmp_path / "cut")
    with pytest.raises(
        Tampered, match=f"the older export has {rich.export.size} entries, this one 60"
    ):
        audit_export(cut, rich.export.vkeys, since=longer)
    other = LogSigner(ORIGIN, bytes(32), bytes(range(32)))
    forged = write_files(signed(rich.export, rich.export.entries[:60], other), tmp_path / "other")
    with pytest.raises(Tampered, match="the older export's checkpoint"):
        audit_export(longer, rich.export.vkeys, since=forged)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        audit_export(longer, rich.export.vkeys, since=tmp_path / "none")
    (tmp_path / "none").mkdir()
    with pytest.raises(Tampered, match="the older export's checkpoint: missing"):
        audit_export(longer, rich.export.vkeys, since=tmp_path / "none")


# The commands


def bent_export(rich: Rich, place: Path) -> tuple[Path, int]:
    """An export with one wrong decision, and its number."""
    forger = Forger(rich.export)
    number = permitted(forger, "S9")
    forger.rows[number]["decision"] = other_rule(forger.rows[number]["decision"])
    return write_files(forger.publish(), place), number


def test_the_command(rich: Rich, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "no ledger is needed")
    good = write_files(rich.export.files, tmp_path / "good")
    bad, number = bent_export(rich, tmp_path / "bad")
    older = rich.older(60, tmp_path / "older")
    keys = ("--vkey", rich.keys)
    ran = heartwood(settings, "audit", good, *keys)
    assert (
        ran.code,
        ran.out.rstrip().endswith("good: every decision is the one that the rules give"),
    ) == (0, True)
    told = heartwood(settings, "audit", good, *keys, "--since", older, "--json")
    assert told.code == 0 and told.json["since"] == 60 and told.json["wrong"] == []
    assert told.json["by_rule"].keys() >= {"permit S9", "deny S7 excluded"}
    ran = heartwood(settings, "audit", bad, *keys)
    assert ran.code == 1 and f"WRONG: entry {number}: record.opened: decided permit S11" in ran.out
    told = heartwood(settings, "audit", bad, "--json")
    assert told.code == 1 and [wrong["seq"] for wrong in told.json["wrong"]] == [number]
    assert heartwood(settings, "audit", good).code == 3
    ran = heartwood(settings, "audit", older, *keys, "--since", good)
    assert ran.code == 1 and "the older export has" in ran.err
    assert heartwood(settings, "audit", tmp_path / "none", *keys).code == 4
    assert heartwood(settings, "audit").code == 2
    assert not settings.data.exists()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An environment in which three packages are there, and orjson is not."""
    folder = tmp_path_factory.mktemp("packages")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "hidden").mkdir()
    (folder / "hidden" / "orjson.py").write_text("raise ImportError('hidden by a test')\n")
    path = (str(folder), str(folder / "hidden"), sysconfig.get_path("purelib"))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)}


def tool(
    folder: Path, environment: Mapping[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run `python -P -m consent …` in `folder`; -S leaves out the packages beside the tests."""
    command = [sys.executable, "-S", "-P", "-m", "consent", *map(str, arguments)]
    run = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True)
    assert "Traceback" not in run.stderr
    return run


def test_three_packages_are_enough_for_an_auditor(
    rich: Rich, alone: Mapping[str, str], tmp_path: Path
) -> None:
    good = write_files(rich.export.files, tmp_path / "good")
    bad, number = bent_export(rich, tmp_path / "bad")
    older = rich.older(60, tmp_path / "older")
    keys = ("--vkey", rich.keys)
    runs: list[tuple[int, str, tuple[object, ...]]] = [
        (0, "good: every decision", ("audit", good, *keys)),
        (0, "the first 60 audited before", ("audit", good, *keys, "--since", older)),
        (1, f"WRONG: entry {number}: ", ("audit", bad, *keys)),
        (1, "WRONG: the older export has", ("audit", older, *keys, "--since", good)),
        (2, "usage: ", ("audit",)),
        (2, "usage: ", ("unknown",)),
        (3, "origin unproven", ("audit", good)),
        (4, "there is no folder", ("audit", tmp_path / "none", *keys)),
    ]
    for code, words, arguments in runs:
        run = tool(tmp_path, alone, *arguments)
        assert (run.returncode, words in run.stdout + run.stderr) == (code, True), (arguments, run)


@pytest.mark.parametrize("planted", ["crypto/__init__.py", "consent/__init__.py", "storage.py"])
def test_the_tool_does_not_run_inside_an_export_that_brings_code(
    rich: Rich, alone: Mapping[str, str], tmp_path: Path, planted: str
) -> None:
    ran = b"raise SystemExit('the export ran its code')\n"
    place = write_files(dict(rich.export.files) | {planted: ran}, tmp_path / "export")
    run = tool(place, alone, "audit", ".", "--vkey", rich.keys)
    assert run.returncode == 4 and "the export ran its code" not in run.stderr
    assert f"this folder holds {planted.removesuffix('.py').split('/')[0]!r}" in run.stderr
