"""`heartwood log-key`: killed at each step it goes on, and whoever has old keys of the log comes to the new ones."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import api.app.logkeys
import api.operator.logkeys
from api.app.logkeys import seed_files
from api.app.settings import Settings
from api.operator.logkeys import forget_keys, retire_keys, rotate_keys
from client import readings
from client.http import HttpClient
from client.local import LocalClient
from client.registering import register_key
from client.signers import possession
from client.trust import KeptInFiles, KeptInMemory
from consent.auditor import audit_export
from crypto.encoding import b64decode, b64encode
from crypto.notes import LogSigner
from identity.actors import new_key, write_keyfile
from journeys.errors import RecordsError
from keeper.roots import is_sealed
from ledger.auditor import check_against, check_receipt, verify_export
from ledger.checkpoint import parse_keys
from ledger.directory import RECOVERY_WAIT_MS
from ledger.errors import Tampered
from ledger.files import export_reader
from ledger.types.accounts import KEY_REGISTERED_V1
from storage.exports import write_export
from tests.support.child_processes import start
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, entry_of, vkeys
from tests.support.memory_log import with_manifest
from tests.support.people import People
from tests.support.server import in_process
from tests.support.server_fixture import Clock


@pytest.fixture
def engine() -> str:
    """One engine will do."""
    return "sqlite"


@pytest.fixture
def operator(fixture: LedgerFixture, tmp_path: Path) -> Path:
    """The operator's key file."""
    return write_keyfile(tmp_path / "operator.key", fixture.operator)


STEPS = [
    ("rotate", api.app.logkeys, "create_root", 1),
    ("rotate", api.app.logkeys, "create_root", 2),
    ("rotate", api.operator.logkeys, "append", 1),
    ("rotate", api.operator.logkeys, "pin_keys", 1),
    ("retire", api.operator.logkeys, "append", 1),
    ("retire", api.operator.logkeys, "pin_keys", 1),
    ("forget", api.app.logkeys, "sync_directory", 1),
    ("forget", api.app.logkeys, "destroy_root_file", 1),
    ("forget", api.app.logkeys, "destroy_root_file", 2),
]


def _killed(
    settings: Settings, module: str, name: str, nth: int, after: bool, words: list[str]
) -> None:
    """A command that is killed before or after the nth call of a function."""
    place, count = importlib.import_module(module), iter(range(1, 10))
    real = getattr(place, name)

    def killing(*args: Any, **named: Any) -> Any:
        here = next(count) == nth
        if here and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*args, **named)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(place, name, killing)
    heartwood(settings, *words)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0]}-{step[2]}-{step[3]}")
def test_killed_at_each_step_it_goes_on(
    fixture: LedgerFixture, operator: Path, step: tuple[str, Any, str, int], after: bool
) -> None:
    command, module, name, nth = step
    settings = fixture.settings
    old = vkeys(settings)
    acting = ["--as", str(operator)]
    commands = {"rotate": acting, "retire": acting, "forget": list[str]()}
    if command != "rotate":
        rotate_keys(settings, fixture.ledger, fixture.operator)
    if command == "forget":
        retire_keys(settings, fixture.ledger, fixture.operator)
    fixture.ledger.close()
    words = ["log-key", command, *commands[command]]
    child = start(_killed, settings, module.__name__, name, nth, after, words)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    fixture.ledger = opened(settings)  # a server starts meanwhile, and appends
    fixture.person()
    fixture.ledger.close()
    for again in list(commands)[list(commands).index(command) :]:
        ran = heartwood(settings, "log-key", again, *commands[again])
        assert ran.code == 0, ran
    fixture.ledger = opened(settings)
    fixture.person()
    first, second = fixture.ledger.vkeys.generations
    assert first.retired and not second.retired
    assert set(vkeys(settings)) == {str(key) for key in second.keys} != set(old)
    assert len(seed_files(settings.data / "keys")) == 2
    assert not list((settings.data / "keys").glob("*.gone"))


def test_a_half_overwritten_key_keeps_nobody_from_starting(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fixture.settings
    for step in (rotate_keys, retire_keys):
        step(settings, fixture.ledger, fixture.operator)

    def failing(path: Path, missing_ok: bool = False) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", failing)
        with pytest.raises(OSError, match="stops here"):
            forget_keys(settings, fixture.ledger)
    fixture.reopen()
    fixture.person()
    assert len(forget_keys(settings, fixture.ledger).destroyed) == 1
    fixture.reopen()
    assert len(list((settings.data / "keys").glob("log-*"))) == 2


def test_keys_that_are_not_retired_are_not_forgotten(fixture: LedgerFixture) -> None:
    settings = fixture.settings
    for _ in range(2):
        with pytest.raises(RecordsError, match="no keys of the log are retired"):
            forget_keys(settings, fixture.ledger)
        rotate_keys(settings, fixture.ledger, fixture.operator)
    assert len(seed_files(settings.data / "keys")) == 4


def test_without_new_keys_none_are_retired(fixture: LedgerFixture, operator: Path) -> None:
    fixture.ledger.close()
    ran = heartwood(fixture.settings, "log-key", "retire", "--as", operator)
    assert ran.code == 2 and "heartwood log-key rotate" in ran.err
    fixture.ledger = opened(fixture.settings)


@pytest.fixture
def handed(fixture: LedgerFixture, tmp_path: Path) -> Handed:
    """A log whose keys were handed over twice, with receipts and exports from before, between and after."""
    return Handed(fixture, tmp_path)


class Handed:
    """See the fixture."""

    def __init__(self, fixture: LedgerFixture, place: Path) -> None:
        self.fixture, self.place, settings = fixture, place, fixture.settings
        self.keys, self.receipts, self.exports = [vkeys(settings)], list[bytes](), list[Path]()
        self.keep()
        for _ in range(2):
            rotate_keys(settings, fixture.ledger, fixture.operator)
            self.keep()
            retire_keys(settings, fixture.ledger, fixture.operator)
            self.keys.append(vkeys(settings))
            self.keep()

    def keep(self) -> None:
        """A receipt and an export as of now."""
        self.fixture.person()
        self.receipts.append(self.fixture.ledger.receipts_now([self.fixture.size() - 1])[0].text())
        self.exports.append(self.place / f"handed-{len(self.exports)}")
        write_export(self.fixture.ledger, self.exports[-1])


def test_exports_verify_with_each_generation_of_keys(handed: Handed) -> None:
    """With keys that count then, or that handed over to them, or that came later and sign today's log."""
    last = handed.exports[-1]
    for keys in handed.keys:
        assert verify_export(last, keys).proven
        assert audit_export(last, keys).proven
    for number, folder in enumerate(handed.exports):
        known = handed.keys[: 1 + (number + 1) // 2]
        for keys in known:
            assert verify_export(folder, keys).proven, (number, keys)
        for later in handed.keys[len(known) :]:
            with pytest.raises(Tampered, match="other keys than those given from outside"):
                verify_export(folder, later)
    for older in handed.exports:
        for keys in handed.keys:
            assert verify_export(last, keys, since=older).since is not None
            assert audit_export(last, keys, since=older).wrong == ()


def test_old_receipts_stay_good(handed: Handed) -> None:
    """For those who have the keys of their time, and as the older receipt of whoever has any."""
    last = export_reader(handed.exports[-1])
    for number, receipt in enumerate(handed.receipts):
        keys = handed.keys[number // 2]
        check_against(check_receipt(receipt, keys), last, keys)
        for others in handed.keys:
            assert verify_export(handed.exports[-1], others, at_least=receipt).proven


Change = Callable[[dict[str, bytes]], None]


def _without(files: dict[str, bytes]) -> None:
    for path in [path for path in files if path.startswith("handover/1/")]:
        del files[path]


def _one_less(files: dict[str, bytes]) -> None:
    for path in [path for path in files if path.startswith("handover/2/")]:
        del files[path]


def _swapped(files: dict[str, bytes]) -> None:
    files["handover/1/added.tlog-proof"] = files["handover/2/added.tlog-proof"]


def _other_entry(files: dict[str, bytes]) -> None:
    files["handover/1/added.tlog-proof"] = files["handover/1/first.tlog-proof"]


def _nonsense(files: dict[str, bytes]) -> None:
    files["handover/1/key.tlog-proof"] = b"nonsense"


@pytest.mark.parametrize("change", [_without, _one_less, _swapped, _other_entry, _nonsense])
@pytest.mark.parametrize("newest", [False, True])
def test_a_bent_hand_over_is_found(handed: Handed, change: Change, newest: bool) -> None:
    folder = handed.exports[-1]
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    change(files)
    target = handed.place / "bent"
    for path, data in with_manifest({k: v for k, v in files.items() if k != "manifest"}).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    with pytest.raises(Tampered):
        verify_export(target, handed.keys[-1 if newest else 0])


def test_a_client_goes_along(fixture: LedgerFixture, tmp_path: Path) -> None:
    """It keeps the old keys from the first contact, and comes to the new ones by itself; old receipts stay good to it."""
    people, kept = People.of(fixture), tmp_path / "known"
    old, pat = parse_keys(vkeys(fixture.settings)), people.pat
    fixture.ledger.publish()

    def looked(folder: Path | None, **named: Any) -> None:
        """A client that reads something new, and an old receipt."""
        keep = KeptInMemory() if folder is None else KeptInFiles(folder, fixture.ledger.origin)
        with closing(HttpClient(web.url, lambda origin: keep, **named)) as far:
            assert readings.chart(far, pat.actor, pat.patient, "PATRQT").lines
            assert far.receipt(fixture.operator, 0)[1]

    with in_process(fixture.ledger) as web:
        looked(kept)
        looked(tmp_path / "idle")
        for _ in range(2):
            rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
            looked(kept)
            retire_keys(fixture.settings, fixture.ledger, fixture.operator)
            looked(kept)
            (path,) = kept.glob("*/log.vkey")
            assert set(path.read_text().split()) == set(vkeys(fixture.settings))
        new = parse_keys(vkeys(fixture.settings))
        for folder in (None, kept, tmp_path / "idle"):
            looked(folder, vkeys=old)
            looked(folder, vkeys=new)
        stranger = LogSigner(fixture.ledger.origin, bytes(32), bytes(32)).keys
        for folder in (None, kept):
            with pytest.raises(Tampered):
                looked(folder, vkeys=stranger)


def test_a_server_makes_up_no_hand_over(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Who has no older key of the log can't have a client take another one, whatever the server shows."""
    people = People.of(fixture)
    other = LedgerFixture.found(Settings(data=tmp_path / "other"), origin=fixture.ledger.origin)
    theirs = People.of(other)
    rotate_keys(other.settings, other.ledger, other.operator)
    retire_keys(other.settings, other.ledger, other.operator)
    kept = tmp_path / "kept"
    known = KeptInFiles(kept, fixture.ledger.origin)
    known.keep_keys(vkeys(fixture.settings), False)
    with in_process(other.ledger) as web:
        for pinned in (parse_keys(vkeys(fixture.settings)), []):
            with (
                pytest.raises(Tampered),
                closing(HttpClient(web.url, lambda origin: known, pinned)) as far,
            ):
                readings.chart(far, theirs.pat.actor, theirs.pat.patient, "PATRQT")
            assert list(known.keys()) == vkeys(fixture.settings)
    other.close()
    assert people


def test_a_backup_goes_on_with_the_keys_of_its_time(
    fixture: LedgerFixture, operator: Path, tmp_path: Path
) -> None:
    """It holds the hand-overs; what it was made with is with the secrets of the same time."""
    settings = fixture.settings
    rotate_keys(settings, fixture.ledger, fixture.operator)
    fixture.person()
    folders = (tmp_path / "backup", "--keeper", tmp_path / "secrets")
    assert heartwood(settings, "backup", *folders).code == 0
    retire_keys(settings, fixture.ledger, fixture.operator)
    back = Settings(data=tmp_path / "restored", database_url="")
    restored = heartwood(back, "restore", tmp_path / "backup", "--keeper", tmp_path / "secrets")
    assert restored.code == 0, restored
    assert heartwood(back, "accept-restore", "--as", operator).code == 0
    assert len(vkeys(back)) == 4 and len(vkeys(settings)) == 2
    ledger = opened(back)
    assert [one.retired for one in ledger.vkeys.generations] == [0, 0]
    write_export(ledger, tmp_path / "again")
    ledger.close()
    assert verify_export(tmp_path / "again", vkeys(settings)).proven
    ran = heartwood(back, "log-key", "retire", "--as", operator)
    assert ran.code == 0 and len(vkeys(back)) == 2


def test_all_private_keys_get_the_new_passphrase(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    fixture.ledger.close()
    monkeypatch.setenv("HEARTWOOD_NEW_PASSPHRASE", "nine hundred words")
    ran = heartwood(fixture.settings, "passphrase")
    assert ran.code == 0, ran
    assert len(seed_files(fixture.settings.data / "keys")) == 4
    assert all(is_sealed(path) for path in seed_files(fixture.settings.data / "keys"))
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "nine hundred words")
    monkeypatch.delenv("HEARTWOOD_NEW_PASSPHRASE")
    assert heartwood(fixture.settings, "passphrase", "--none").code == 0
    fixture.ledger = opened(fixture.settings)


@pytest.mark.parametrize("count", [1, 2])
def test_a_later_key_of_the_operator_hands_over(
    fixture: LedgerFixture, tmp_path: Path, count: int
) -> None:
    """Each was put in with the one before, and that is shown from entry 0 on."""
    local, operator, old = LocalClient(fixture.ledger), fixture.operator, vkeys(fixture.settings)
    for _ in range(count):
        key = new_key()
        proof = b64decode(possession(key, operator.origin, operator.account))
        register_key(local, operator, operator.account, "device", key.public, proof)
        operator = replace(operator, key=key)
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, operator)
    (shown,) = fixture.ledger.handovers()
    assert len(shown.keys) == count
    write_export(fixture.ledger, tmp_path / "export")
    assert verify_export(tmp_path / "export", old).proven
    fixture.ledger.publish()
    with (
        in_process(fixture.ledger) as web,
        closing(HttpClient(web.url, vkeys=parse_keys(old))) as far,
    ):
        assert far.receipt(fixture.operator, 0)[1]


def test_a_recovered_key_of_the_operator_hands_over_by_hand_alone(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """Who has the old keys alone can't know that it is the operator's; the log itself is whole, and the new keys show it."""
    clock = Clock()
    fixture.reopen(clock)
    operator, old, key = fixture.operator, vkeys(fixture.settings), new_key()
    proof = possession(key, operator.origin, operator.account)
    body = {
        "account": operator.account, "algorithm": "ed25519", "custody": "device",
        "key": key.id, "proof": proof, "public_key": b64encode(key.public), "recovery": True,
    }  # fmt: skip
    log, stream = fixture.ledger.log, f"account/{operator.account}"
    (entered,) = log.append([log.by_service(KEY_REGISTERED_V1, stream, body)])
    entry_of(entered)
    clock.ahead += RECOVERY_WAIT_MS
    fixture.reopen(clock)
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, replace(operator, key=key))
    write_export(fixture.ledger, tmp_path / "export")
    assert verify_export(tmp_path / "export", vkeys(fixture.settings)).proven
    with pytest.raises(
        Tampered, match=r"is not signed by the operator's key|no key that the operator"
    ):
        verify_export(tmp_path / "export", old)
    fixture.ledger.publish()
    with (
        in_process(fixture.ledger) as web,
        closing(HttpClient(web.url, vkeys=tuple(fixture.ledger.vkeys))) as far,
    ):
        assert far.receipt(fixture.operator, 0)[1]
