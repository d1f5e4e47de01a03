"""Going on under a newer program: a ledger of schema 0001 and edition 1 is upgraded whole, or stays as it was."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, Connection, MetaData, Table, inspect, select, text

import storage.sql.migrations
from api.app.creating import create_ledger
from api.app.maintenance import mark_older_stores, upgrade_schema_of
from api.app.settings import Settings
from client import beside, groups, registering
from client.beside import append, propose
from client.local import LocalClient
from client.registering import AddedHospital
from consent.auditor import audit_export
from crypto.encoding import b64encode
from durable.errors import StartRefused
from identity.actors import Actor, new_id, new_key, read_keyfile
from journeys.errors import AccessDenied
from ledger.auditor import verify_export
from ledger.errors import Refused, Tampered
from ledger.facts import Grant
from ledger.policies import last_policy
from ledger.registry import EDITION, registry_hash, registry_json
from ledger.times import DAY_MS, format_time
from people.contacts import give_contact
from records import opening
from records.uploads import Upload
from storage.errors import Unavailable
from storage.exports import write_export
from storage.ledger import Ledger
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.upgrade import REVISIONS, revision
from storage.sql.views import rebuild
from tests.support.child_processes import start
from tests.support.commands import heartwood
from tests.support.copies import copy_ledger, put_database
from tests.support.exports import ORIGIN, Export, Files, Forger, forgeable, write_files
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, Person, vkeys
from tests.support.memory_log import with_manifest

OLD, NEW = REVISIONS[0], REVISIONS[-1]


@dataclass
class Old:
    """A closed ledger as the first program left it, and its people."""

    settings: Settings
    operator: Path
    north: AddedHospital
    doctor: Actor
    """Of the south, with a grant of two readings, one of which is used up."""
    pat: Person
    record: str
    blob: str
    south: AddedHospital

    @contextmanager
    def opened(self) -> Iterator[Ledger]:
        """The ledger, by this program."""
        ledger = opened(self.settings)
        yield ledger
        ledger.close()

    def schema(self) -> str | None:
        """The revision of its schema."""
        with sql(self.settings) as connection:
            return revision(connection)

    def read(self, ledger: Ledger) -> int:
        """The doctor reads the record; gives the entry."""
        body = {"blob": self.blob, "purpose": "TREAT", "record": self.record, "version": 1}
        event = self.doctor.event("record.opened", self.pat.stream, body, ledger.clock())
        shown = opening.open_record(ledger, propose(ledger, self.doctor, [event])[0])
        assert b"".join(shown.content) == CONTENT
        return shown.entry.link.seq


@contextmanager
def sql(settings: Settings) -> Iterator[Connection]:
    """A write transaction past all checks."""
    database = Database(settings.url(), settings.data / "lock")
    with database.write() as connection:
        yield connection
    database.close()


@pytest.fixture
def old(settings: Settings) -> Old:
    """A ledger of edition 1, with schema 0001."""
    return old_ledger(settings)


def old_ledger(settings: Settings) -> Old:
    """Make such a ledger."""
    with patch("api.app.creating.registry_hash", lambda: registry_hash(1)):
        created = create_ledger(settings, ORIGIN)
    operator = read_keyfile(created.keyfile)
    ledger = opened(settings, older=True)
    north, south = (
        registering.add_hospital(LocalClient(ledger), operator, name, "Europe/Berlin")
        for name in ("Nord", "Süd")
    )
    doctor, _ = registering.add_member(
        LocalClient(ledger), south.admin, "doctor", south.hospital, "Dr. Ö", new_key()
    )
    now, key = ledger.clock(), new_key()
    new = registering.NewPatient(new_id("pt", now), new_id("ac", now), "Pat", None, False, key)
    registering.register_patients(LocalClient(ledger), north.system, [new])
    pat = Person(new.patient, Actor(ORIGIN, new.account, "patient", "", key))
    (up,) = beside.upload(
        ledger, north.system, [Upload(pat.patient, "laboratory", "text/plain", [CONTENT])]
    )
    append(ledger, pat.actor, [granted(pat, doctor.account, now, uses=2)])
    made = Old(settings, created.keyfile, north, doctor, pat, up.record, up.blob, south)
    made.read(ledger)
    ledger.close()
    go_back(settings)
    return made


def granted(pat: Person, grantee: str, now: int, v: int = 1, **members: Any) -> dict[str, Any]:
    """A patient's grant of the whole chart for a day."""
    body = {
        "actions": ["list", "read"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
        "grantee": grantee, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
    }  # fmt: skip
    return pat.actor.event("access.granted", pat.stream, body | members, now) | {"v": v}


def go_back(settings: Settings) -> None:
    """The database as its first schema has it, without the columns that came later; the blob store without its marker."""
    for path in (settings.data / "blobs.json", settings.data / "blobs" / "heartwood.store"):
        path.unlink(missing_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(storage.sql.migrations.__file__).parent))
    with sql(settings) as connection:
        tables = schema.metadata.sorted_tables
        rows = {t.name: [dict(r) for r in connection.execute(select(t)).mappings()] for t in tables}
        schema.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
        for name in inspect(connection).get_table_names():
            if rows.get(name):
                table = Table(name, MetaData(), autoload_with=connection)
                connection.execute(table.insert(), [_fitting(table, row) for row in rows[name]])


def _fitting(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        c.name: bool(row[c.name]) if isinstance(c.type, Boolean) else row[c.name]
        for c in table.columns
    }


# Upgrading


def test_an_older_ledger_is_not_opened_but_upgraded(old: Old) -> None:
    with pytest.raises(StartRefused, match=f"schema {OLD}, older than {NEW}: run `heartwood upg"):
        opened(old.settings)
    ran = heartwood(old.settings, "upgrade", "--as", old.operator)
    assert ran.code == 0, ran
    assert f"schema {OLD} → {NEW}, all views rebuilt from the log" in ran.out
    assert f"registry 1 → {EDITION}, the policy unchanged: entry 2" in ran.out
    with old.opened() as ledger:
        size = ledger.head().size
        assert (ledger.entry(size - 1).event.type.name, ledger.policy.seq) == (
            "policy.changed",
            size - 1,
        )
        assert ledger.policy.grant_days_max == 365
        last = last_policy(ledger.policies())
        assert last.policy == ledger.entry(0).event.body["policy"]
    again = heartwood(old.settings, "upgrade", "--as", old.operator, "--json")
    fields = {"schema": [NEW, NEW], "registry": [EDITION, EDITION], "seq": None}
    assert again.json == fields | {"marked": [], "skipped": {}}
    assert heartwood(old.settings, "upgrade").code == 0
    with old.opened() as ledger:
        assert ledger.head().size == size


def test_after_the_upgrade_all_goes_on(old: Old, tmp_path: Path) -> None:
    """The views are those of the log; reading, granting to a group, verifying and auditing work."""
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    with old.opened() as ledger:
        assert rebuild(ledger.store, swap=False).differences == {}
        old.read(ledger)
        (used,) = ledger.rows(Grant, "patient", old.pat.patient)
        assert (used.uses, used.used) == (2, 2)
        with pytest.raises(AccessDenied, match="no consent"):
            old.read(ledger)
        group, _ = groups.form(LocalClient(ledger), old.south.admin, "Kardiologie")
        groups.join(LocalClient(ledger), old.south.admin, group, old.doctor.account)
        what = {"categories": ["laboratory"]}
        event = granted(old.pat, group, ledger.clock(), 2, scope="partial", what=what)
        append(ledger, old.pat.actor, [event])
        old.read(ledger)
        write_export(ledger, tmp_path / "export")
    keys = vkeys(old.settings)
    assert verify_export(tmp_path / "export", keys).proven
    audit = audit_export(tmp_path / "export", keys)
    assert audit.wrong == () and audit.by_rule["permit S9"] == 3


def test_nothing_is_told_of_what_was_before(old: Old) -> None:
    """By the upgrade itself; whoever has an address then is told once of each hospital that writes."""
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    one = Upload(old.pat.patient, "laboratory", "text/plain", [CONTENT])
    with old.opened() as ledger:
        assert ledger.outbox.rows(10) == []
        give_contact(ledger, old.pat.actor.caller, "pat@example.com", "en")
        (proof,) = ledger.outbox.rows(10)
        assert ledger.contacts.prove(ledger.contacts.code(proof.id), ledger.clock())
        for _ in range(2):
            beside.upload(ledger, old.north.system, [one])
        assert {row.kind for row in ledger.outbox.rows(10)} == {"contact_proof", "hospital_wrote"}
        assert len(ledger.outbox.rows(10)) == 2


def test_without_the_operator_the_schema_alone_is_upgraded(old: Old) -> None:
    ran = heartwood(old.settings, "upgrade")
    assert ran.code == 2 and f"schema {OLD} → {NEW}" in ran.err
    assert "names edition 1 of the registry" in ran.err and "--as OPERATOR" in ran.err
    assert old.schema() == NEW
    with pytest.raises(StartRefused, match="run `heartwood upgrade --as OPERATOR`"):
        opened(old.settings)
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    with old.opened() as ledger:
        old.read(ledger)


def test_only_the_operator_names_a_registry(old: Old, tmp_path: Path) -> None:
    ran = heartwood(old.settings, "upgrade", "--as", tmp_path / "none.key")
    assert ran.code == 2 and old.schema() == OLD
    admin = old.north.admin
    upgrade_schema_of(old.settings)
    mark_older_stores(old.settings)
    ledger = opened(old.settings, older=True)
    body: dict[str, Any] = {"policy": last_policy(ledger.policies()).policy}
    for registry in (registry_hash(), bytes(32)):
        body["registry"] = b64encode(registry)
        event = admin.event("policy.changed", "ledger", body, ledger.clock())
        with pytest.raises(Refused):
            append(ledger, admin, [event])
    ledger.close()


def test_before_the_registry_is_named_no_newer_event_is_taken(old: Old) -> None:
    upgrade_schema_of(old.settings)
    mark_older_stores(old.settings)
    ledger = opened(old.settings, older=True)
    with pytest.raises(Refused, match=r"group\.formed, which the registry in force does not have"):
        groups.form(LocalClient(ledger), old.south.admin, "Kardiologie")
    ledger.close()


def test_a_running_older_program_appends_no_more(old: Old) -> None:
    """It knows nothing of what a newer one allows: what it decided would be wrong."""
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    with old.opened() as ledger:
        with sql(old.settings) as connection:
            named = connection.execute(select(schema.head.c.registry)).scalar_one()
            connection.execute(schema.head.update().values(registry=bytes(32)))
        with pytest.raises(Unavailable, match="a newer program has upgraded this log"):
            old.read(ledger)
        with sql(old.settings) as connection:
            connection.execute(schema.head.update().values(registry=named))
        old.read(ledger)


# What is refused


def test_a_registry_of_nobody_is_refused(old: Old) -> None:
    with sql(old.settings) as connection:
        connection.execute(schema.head.update().values(registry=bytes(32)))
    ran = heartwood(old.settings, "upgrade", "--as", old.operator)
    assert ran.code == 4 and "use the program that wrote it, or a later one" in ran.err
    assert old.schema() == OLD


def test_a_newer_schema_is_refused(old: Old) -> None:
    with sql(old.settings) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ran = heartwood(old.settings, "upgrade", "--as", old.operator)
    assert ran.code == 4 and "newer than this program's" in ran.err


def test_a_damaged_log_is_not_migrated(old: Old) -> None:
    with sql(old.settings) as connection:
        connection.execute(schema.entries.delete().where(schema.entries.c.seq == 0))
    ran = heartwood(old.settings, "upgrade", "--as", old.operator)
    assert ran.code == 4 and old.schema() == OLD


def test_a_restored_old_backup_is_upgraded_then_accepted(old: Old, tmp_path: Path) -> None:
    """Neither command waits for the other in vain."""
    backup = copy_ledger(old.settings, tmp_path / "backup")
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    restored = put_database(backup, old.settings)
    ran = heartwood(restored, "upgrade", "--as", old.operator)
    assert ran.code == 4 and "accept-restore" in ran.err
    assert heartwood(restored, "accept-restore", "--as", old.operator).code == 0
    assert heartwood(restored, "upgrade", "--as", old.operator).code == 0
    ledger = opened(restored)
    old.read(ledger)
    write_export(ledger, tmp_path / "export")
    ledger.close()
    assert verify_export(tmp_path / "export", vkeys(restored)).proven


# Crashes


def _killed_while_filling(settings: Settings, after: int) -> None:
    """In a process of its own: die before the `after`-th view is filled."""
    calls = iter(range(after + 1))
    real = storage.sql.views._replace

    def dying(*arguments: Any) -> None:
        if next(calls) == after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)

    with patch("storage.sql.views._replace", dying):
        upgrade_schema_of(settings)


@pytest.mark.parametrize("after", [0, 3, len(storage.sql.views.VIEWS) - 1])
def test_a_crash_leaves_the_old_schema_whole(old: Old, after: int) -> None:
    before = contents(old.settings)
    child = start(_killed_while_filling, old.settings, after)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert contents(old.settings) == before
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    with old.opened() as ledger:
        assert rebuild(ledger.store, swap=False).differences == {}


def contents(settings: Settings) -> dict[str, list[Any]]:
    """Every row of every table that there is."""
    with sql(settings) as connection:
        names = sorted(inspect(connection).get_table_names())
        return {
            name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"')).mappings()))
            for name in names
        }


# In an export


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Old, Export]:
    """A ledger whose last entry is the one that upgraded it, and its export for the forger."""
    place = tmp_path_factory.mktemp("upgraded")
    old = old_ledger(Settings(data=place / "data", database_url=""))
    assert heartwood(old.settings, "upgrade", "--as", old.operator).code == 0
    with old.opened() as ledger:
        export = forgeable(ledger, old.settings.data, place / "export")
    return old, export


def verified(files: Files, place: Path, export: Export) -> None:
    write_files(files, place)
    assert verify_export(place, export.vkeys).proven


def newer_events(old: Old, now: int) -> dict[str, tuple[Actor, str, dict[str, Any]]]:
    """Events of the second edition, by type: who, in which stream, what."""
    pat, admin = old.pat, old.south.admin
    hospital, group = f"hospital/{admin.hospital}", new_id("gp", now)
    patrqt = {"purpose": "PATRQT"}
    return {
        "chart.opened": (pat.actor, pat.stream, patrqt),
        "group.formed": (admin, hospital, {"group": group}),
        "reader.excluded": (pat.actor, pat.stream, patrqt | {"reader": old.doctor.account}),
        "record.hidden": (pat.actor, pat.stream, patrqt | {"record": old.record}),
    }


NEWER = ("chart.opened", "group.formed", "reader.excluded", "record.hidden")


@pytest.mark.parametrize("kind", NEWER)
def test_what_the_old_edition_does_not_have_is_found(
    upgraded: tuple[Old, Export], tmp_path: Path, kind: str
) -> None:
    """An entry of a newer type before the one that names the newer registry; after it, it is taken."""
    old, export = upgraded
    after, before = Forger(export), Forger(export)
    actor, stream, body = newer_events(old, after.now)[kind]
    after.add(actor, kind, body, stream)
    verified(after.publish(), tmp_path / "after", export)
    number = before.add(actor, kind, body, stream, before=export.size - 1)
    with pytest.raises(
        Tampered, match=rf"^entry {number}: got {kind}, which the registry in force"
    ):
        verified(before.publish(), tmp_path / "before", export)


def test_an_export_of_the_old_edition_still_verifies(
    upgraded: tuple[Old, Export], tmp_path: Path
) -> None:
    """As it was written before the upgrade, with the registry of its time; the new one extends it."""
    _, export = upgraded
    forger, new = Forger(export), write_files(export.files, tmp_path / "new")
    del forger.rows[-1]
    files = forger.publish() | {"registry.json": registry_json(1)}
    verified(with_manifest(files), tmp_path / "older", export)
    older = tmp_path / "older"
    assert verify_export(new, export.vkeys, since=older).proven
    audit = audit_export(new, export.vkeys, since=older)
    assert (audit.wrong, audit.since) == ((), export.size - 1)
    with pytest.raises(Tampered, match="cut short: the older export knows"):
        verify_export(older, export.vkeys, since=new)
