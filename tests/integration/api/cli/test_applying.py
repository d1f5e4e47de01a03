"""`heartwood account`: from an empty ledger to a doctor who reads, beside the data and at a server."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.app.creating import create_ledger
from api.app.settings import Settings
from tests.support.commands import Ran, heartwood
from tests.support.inside import opened
from tests.support.server import in_process

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Shell:
    """Commands on one ledger, beside its data or at its server, with key files in one folder."""

    def __init__(
        self, settings: Settings, folder: Path, operator: Path, where: tuple[str, ...]
    ) -> None:
        self.settings, self.folder, self.operator, self._where = settings, folder, operator, where

    def run(self, *arguments: object, code: int = 0) -> Ran:
        ran = heartwood(self.settings, *arguments, *self._where)
        assert ran.code == code, ran
        return ran

    def json(self, *arguments: object) -> dict[str, Any]:
        return self.run(*arguments, "--json").json

    def account(self, *arguments: object) -> dict[str, Any]:
        """One of `heartwood account`."""
        return self.json("account", *arguments)

    def register(self, name: str) -> tuple[Path, str]:
        """Somebody registers; the key file, and the account."""
        key = self.folder / f"{name}.key"
        return key, str(self.account("register", name, "--out", key)["account"])

    def states(self, key: Path, *more: str) -> list[str]:
        """The states that a list shows."""
        found = self.account("list", "--as", key, *more)
        return [one["state"] for one in (*found["doctors"], *found["hospitals"])]


@pytest.fixture(params=["data", "url"])
def shell(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Shell]:
    created = create_ledger(settings, "heartwood.example/account")
    with ExitStack() as served:
        where: tuple[str, ...] = ()
        if request.param == "url":
            ledger = opened(settings)
            served.callback(ledger.close)
            where = ("--url", served.enter_context(in_process(ledger)).url)
        yield Shell(settings, tmp_path, created.keyfile, where)


@ONE_ENGINE
def test_from_an_empty_ledger_to_a_reading(shell: Shell) -> None:
    ada, _ = shell.register("Ada")
    assert ada.stat().st_mode & 0o077 == 0
    admin = shell.folder / "admin.key"
    applied = shell.account(
        "apply", "--hospital-name", "Ostklinik", "--contact", "Ada, extension 12", "--as", ada,
        "--time-zone", "Europe/Berlin", "--out", admin, "--system-out", shell.folder / "his.key",
    )  # fmt: skip
    hospital, system = applied["hospital"], Path(applied["system_keyfile"])
    assert system == shell.folder / "his.key" and system.stat().st_mode & 0o077 == 0
    (waiting,) = shell.account("list", "--state", "pending", "--as", shell.operator)["hospitals"]
    assert (waiting["hospital"], waiting["contact"]) == (hospital, "Ada, extension 12")
    assert (waiting["system"], waiting["key"]) == (applied["system"], applied["key"])
    assert (
        applied["key"]
        in shell.run("account", "list", "--state", "pending", "--as", shell.operator).out
    )
    shell.run("patient", "add", "Pat", "--as", system, code=early(shell))
    approved = shell.account("approve", hospital, "--as", shell.operator)
    assert (approved["system"], approved["key"]) == (applied["system"], applied["key"])
    assert shell.states(ada) == shell.states(shell.operator) == ["approved"]
    ben, account = shell.register("Ben")
    doctor = shell.folder / "doctor.key"
    shell.account("apply", hospital, "--profession", "nurse", "--as", ben, "--out", doctor)
    (pending,) = shell.account("list", "--as", admin)["doctors"]
    assert (pending["account"], pending["name"], pending["profession"]) == (account, "Ben", "nurse")
    shell.account("decline", account, "--reason", "not_known", "--as", admin)
    said = shell.run("account", "list", "--as", ben).out
    assert "declined" in said and "nobody there knows whoever applied" in said
    shell.account("apply", hospital, "--as", ben)
    patient = shell.json("patient", "add", "Pat", "--as", system)
    record = shell.json(
        "upload",
        __file__,
        "--patient",
        patient["patient"],
        "--category",
        "document",
        "--as",
        system,
    )["record"]
    refused = shell.run("grant", account, "--as", patient["keyfile"], code=2)
    assert "not an active doctor" in refused.err
    shell.run("open", record, "--as", doctor, "--out", shell.folder / "early", code=early(shell))
    shell.account("approve", account, "--days", "30", "--as", admin)
    shell.json("open", record, "--as", doctor, "--out", shell.folder / "read")
    assert (shell.folder / "read").read_bytes() == Path(__file__).read_bytes()
    assert shell.states(admin, "--state", "approved") == ["approved"] == shell.states(ben)
    shell.account("suspend", account, "--as", admin)
    shell.run("open", record, "--as", doctor, "--out", shell.folder / "late", code=early(shell))
    assert shell.states(admin) == ["suspended"]
    shell.account("end", account, "--as", admin)
    assert shell.states(ben) == ["ended"]
    shell.account("suspend", hospital, "--as", shell.operator)
    assert shell.states(shell.operator, "--state", "suspended") == ["suspended"]


def early(shell: Shell) -> int:
    """How a reading ends for want of the role: beside the data it is denied, at a server no session is given."""
    return 2 if shell._where else 1


@ONE_ENGINE
@pytest.mark.parametrize("shell", ["data"], indirect=True)
def test_what_is_used_wrongly_is_said(shell: Shell) -> None:
    key, account = shell.register("Ada")
    before = key.read_bytes()
    bad: list[tuple[str, tuple[object, ...]]] = [
        ("exists", ("register", "Ada", "--out", key)),
        ("hospital to apply to", ("apply", "--as", key)),
        ("hospital to apply to", ("apply", "--hospital-name", "Ostklinik", "--as", key)),
        ("not a hospital id", ("apply", account, "--as", key)),
        ("with --hospital-name", ("apply", "hs_" + "0" * 26, "--system-out", shell.folder / "s.key", "--as", key)),
        ("exists", ("apply", "--hospital-name", "O", "--contact", "A", "--system-out", key, "--as", key)),
        ("no key file", ("apply", "--hospital-name", "O", "--contact", "A", "--system-key", shell.folder / "no.key", "--as", key)),
        ("time zone", ("apply", "--hospital-name", "O", "--contact", "A", "--time-zone", "X", "--as", key)),
        ("neither an account id nor", ("approve", "Ada", "--as", shell.operator)),
        ("no application", ("approve", "hs_" + "0" * 26, "--as", shell.operator)),
        ("unknown reason", ("decline", account, "--reason", "so", "--as", shell.operator)),
        ("no hospital", ("decline", account, "--reason", "other", "--as", shell.operator)),
        ("no hospital", ("end", account, "--as", key)),
        ("unknown state", ("list", "--state", "all", "--as", key)),
    ]  # fmt: skip
    for words, arguments in bad:
        ran = shell.run("account", *arguments, code=2)
        assert words in ran.err and ran.out == "", ran
    assert key.read_bytes() == before
    ran = shell.run("account", "approve", "hs_" + "0" * 26, "--as", key, code=1)
    assert "operator alone" in ran.err


@ONE_ENGINE
@pytest.mark.parametrize("shell", ["data"], indirect=True)
def test_a_refused_registration_leaves_no_key_file(shell: Shell) -> None:
    """And an application that is refused no key file for its role."""
    shell.run("account", "register", " ", "--out", shell.folder / "nobody.key", code=2)
    key, _ = shell.register("Ada")
    out = shell.folder / "doctor.key"
    ran = shell.run("account", "apply", "hs_" + "0" * 26, "--as", key, "--out", out, code=1)
    assert "which is not active" in ran.err
    words = (
        "apply",
        "--hospital-name",
        " ",
        "--contact",
        "A",
        "--system-out",
        shell.folder / "his.key",
    )
    shell.run("account", *words, "--as", key, code=2)
    assert sorted(path.name for path in shell.folder.glob("*.key*")) == ["Ada.key"]


@ONE_ENGINE
def test_a_declined_hospital_applies_again_with_the_same_key(shell: Shell) -> None:
    """Whose file by then names another hospital; the operator may also approve without the key."""
    ada, _ = shell.register("Ada")
    words = ("apply", "--hospital-name", "Ostklinik", "--contact", "Ada", "--as", ada)
    first = shell.account(*words, "--system-out", shell.folder / "first.key")
    shell.account("decline", first["hospital"], "--reason", "incomplete", "--as", shell.operator)
    again = shell.account(
        *words,
        "--system-out",
        shell.folder / "again.key",
        "--system-key",
        shell.folder / "first.key",
    )
    assert again["key"] == first["key"] and again["hospital"] != first["hospital"]
    shell.account("approve", again["hospital"], "--as", shell.operator)
    shell.json("patient", "add", "Pat", "--as", shell.folder / "again.key")
    shell.run("patient", "add", "Pat", "--as", shell.folder / "first.key", code=early(shell))
    used = shell.run(
        "account", *words, "--system-out", shell.folder / "c.key", "--system-key", ada, code=1
    )
    assert "a key of its own" in used.err and not (shell.folder / "c.key").exists()
    other = shell.account(*words, "--system-out", shell.folder / "other.key")
    approved = shell.account("approve", other["hospital"], "--no-system", "--as", shell.operator)
    assert "system" not in approved
    shell.run("patient", "add", "Pat", "--as", shell.folder / "other.key", code=early(shell))
