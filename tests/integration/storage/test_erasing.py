"""Erasing: what is asked for is gone at once, its keys 72 hours later, for good; nothing else is, whatever is cut off."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from client import beside, disclosing, emergencies, erasing, holds, readings
from client.disclosing import Suspending
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from crypto.notes import VerifierKey
from durable.errors import NotFound
from identity.actors import Actor, write_keyfile
from journeys.errors import AccessDenied, NotThere
from keeper.errors import KeeperRefused
from keeper.keks import copying
from keeper.protocol import KeptBlob
from ledger.facts import ERASURE_WAIT_MS, Erasure, Record
from ledger.times import DAY_MS
from records import opening
from records.history import History
from records.uploads import Upload
from storage.blobs.files import BlobStore, FileBlobs
from storage.clock import wall_clock
from storage.errors import BlobLocked, BlobsUnavailable
from storage.evidence import ask_keeper, of_entries
from storage.keytable import NamedBlob
from storage.maintenance import backup
from storage.maintenance.erasing import Erased, Erasing
from storage.maintenance.restore import check_backup
from storage.maintenance.scrub import Scrub
from storage.outbox import once_wrote
from storage.suspended import tell_due
from tests.deep.witness import everything_holds
from tests.integration.records.test_disclosures import WHAT
from tests.support.commands import heartwood
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, vkeys
from tests.support.people import People
from tests.support.server import in_process

PLANTED = b"planted: the patient is afraid of the dark"
TITLE = "Planted title of a letter"
HOUR_MS = 3_600_000


class Home:
    """A patient with a record that may be erased, one that stays, and somebody else's."""

    def __init__(self, fixture: LedgerFixture) -> None:
        """Two records that no policy has the hospital keep; the other patient has one."""
        self.fixture, self.people = fixture, People.of(fixture)
        self.pat = self.people.pat
        uploads = [
            Upload(self.pat.patient, "document", "text/plain", [PLANTED], title=TITLE, clinical_date="1980-01-01")
            for _ in range(2)
        ]  # fmt: skip
        system = fixture.north.system
        self.gone, self.stays = (
            one.record for one in beside.upload(fixture.ledger, system, uploads)
        )
        self.others = fixture.record(self.people.kim, title="Kim's").record

    @property
    def client(self) -> LocalClient:
        """The ledger as it is open now."""
        return LocalClient(self.fixture.ledger)

    def erase(self, record: str | None = None) -> str:
        """The patient asks for it: of the one record, or with an empty text of the whole chart."""
        named = self.gone if record is None else record
        return erasing.erase(self.client, self.pat.actor, self.pat.patient, named)[0]

    def later(self, milliseconds: int = ERASURE_WAIT_MS) -> None:
        """The ledger is opened again, so much later."""
        self.fixture.reopen(lambda: wall_clock() + milliseconds)
        # A database of its own has a clock of its own, which is not turned.
        setattr(self.fixture.ledger.database, "clock", lambda connection: None)  # noqa: B010

    def due(self) -> Erased:
        """Carry out what is due."""
        found = Erasing(self.fixture.ledger).due()
        assert found is not None
        return found

    def read(self, record: str, actor: Actor | None = None) -> bytes:
        """The content, to the patient or somebody else."""
        reading = self.fixture.reading(actor or self.pat.actor, record, "PATRQT")
        return b"".join(opening.open_record(self.fixture.ledger, reading).content)

    def state(self, erasure: str) -> Erasure:
        """The erasure's row."""
        row = self.fixture.ledger.row(Erasure, erasure)
        assert row is not None
        return row

    def blobs(self, record: str) -> list[str]:
        """The blobs of a record's versions."""
        row = self.fixture.ledger.row(Record, record)
        assert row is not None
        return [version.blob for version in row.versions]

    def check_gone(self, erasure: str) -> None:
        """Keys and ciphertext of the one record are gone, and all else opens."""
        ledger = self.fixture.ledger
        assert self.state(erasure).state == "completed"
        (blob,) = self.blobs(self.gone)
        for missing in (
            lambda: ledger.keys.blob_key(blob),
            lambda: ledger.keys.object_key(self.pat.patient, self.gone),
        ):
            with pytest.raises(NotFound):
                missing()
        assert blob not in set(ledger.blobs.list())
        assert len(ledger.keeper.versions([self.pat.patient])[self.pat.patient]) == 1
        assert self.read(self.stays) == PLANTED
        assert self.read(self.people.record) == CONTENT
        assert self.read(self.others, self.people.kim.actor) == CONTENT
        with pytest.raises(AccessDenied, match="it was erased"):
            self.read(self.gone)
        everything_holds(self.fixture)


@pytest.fixture
def home(fixture: LedgerFixture) -> Home:
    return Home(fixture)


def test_a_record_is_gone_at_once_and_its_keys_three_days_later(home: Home) -> None:
    ledger, pat = home.fixture.ledger, home.pat.patient
    (blob,) = home.blobs(home.gone)
    kept_key, kept_object = ledger.keys.blob_key(blob), ledger.keys.object_key(pat, home.gone)
    erasure = home.erase()
    with pytest.raises(AccessDenied, match="it was erased"):
        home.read(home.gone)
    seen = readings.chart(home.client, home.pat.actor, pat, "PATRQT")
    assert {line.record.record for line in seen.lines} == {home.stays, home.people.record}
    assert not home.due()
    home.later(ERASURE_WAIT_MS - HOUR_MS)
    assert not home.due()
    home.later()
    done = home.due()
    assert (done.completed, done.waiting, done.locked) == ([erasure], {}, {})
    home.check_gone(erasure)
    keeper = home.fixture.ledger.keeper
    for objects, blobs in (
        ([kept_object.key], []),
        ([], [KeptBlob(home.gone, kept_key.sha256, kept_key.key)]),
    ):
        with pytest.raises(KeeperRefused, match="erased"):
            keeper.renew(objects, blobs)
    assert not home.due()


def test_what_was_planted_is_in_no_file(home: Home) -> None:
    """Not in clear, and not so that anything that is kept could open it."""
    (blob,) = home.blobs(home.gone)
    ledger, data = home.fixture.ledger, home.fixture.settings.data
    wrapped = ledger.keys.blob_key(blob).wrapped
    ciphertext = b"".join(ledger.blobs.read(blob))
    store = data / "keeper" / "keks.db"
    with closing(sqlite3.connect(store)) as connection:
        keks = [
            row[0]
            for row in connection.execute(
                "SELECT wrapped FROM keks WHERE subject = ?", (home.pat.patient,)
            )
        ]
    home.erase()
    home.later()
    assert home.due()
    home.fixture.close()
    for path in (path for path in data.rglob("*") if path.is_file()):
        held = path.read_bytes()
        for text in (PLANTED, TITLE.encode(), ciphertext, *keks):
            assert text not in held, path
    with closing(sqlite3.connect(store)) as connection:
        left = connection.execute(
            "SELECT count(*) FROM keks WHERE wrapped = ?", (keks[0],)
        ).fetchone()
    assert left == (0,)
    assert len(wrapped) > len(PLANTED) // 2
    home.later()


def test_a_withdrawn_erasure_is_as_if_nothing_was_asked(home: Home) -> None:
    row = home.fixture.ledger.row(Record, home.gone)
    erasure = home.erase()
    erasing.withdraw(home.client, home.pat.actor, home.pat.patient, erasure)
    assert home.fixture.ledger.row(Record, home.gone) == row
    assert home.read(home.gone) == PLANTED
    home.later()
    assert not home.due()
    assert home.read(home.gone) == PLANTED
    assert home.state(erasure).state == "withdrawn"


def test_a_whole_chart_is_erased_with_all_that_stands_beside_the_log(home: Home) -> None:
    """Of it the history alone is left, and everybody else's records are as they were."""
    ledger = home.fixture.ledger
    with pytest.raises(AccessDenied, match="keep it for years"):
        home.erase("")
    alone = home.fixture.person("Ada")
    own = [
        Upload(
            alone.patient,
            "document",
            "text/plain",
            [PLANTED],
            title=TITLE,
            clinical_date="1980-01-01",
        )
    ]
    record = beside.upload(ledger, home.fixture.north.system, own)[0].record
    (blob,) = home.blobs(record)
    client = LocalClient(ledger)
    stands: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("identifiers", (fixed := "hs_1", b"hash", alone.patient)),
        ("witnesses", (alone.patient, 1, "traits")),
        ("imported", (alone.patient, b"hash", record, 1, b"digest")),
        ("unit_homes", (fixed, b"hash", alone.patient)),
        ("patient_numbers", (alone.patient, b"hash", 1)),
        ("told_once", (once_wrote(alone.patient, fixed),)),
        *(
            ("inquiries", (to, fixed, "doctor", fixed, f"ev_{to[:1]!r}", b"", 1, 1 << 60))
            for to in (ledger.inquiries.card(alone.patient), b"hash")
        ),
    )
    with ledger.database.write() as connection:
        for table, row in stands:
            marks = ", ".join("?" * len(row))
            statement = ledger.database.sql(f"INSERT INTO {table} VALUES ({marks})")
            connection.exec_driver_sql(statement, row)
    erasure = erasing.erase(client, alone.actor, alone.patient)[0]
    upload = Upload(alone.patient, "document", "text/plain", [CONTENT])
    with pytest.raises(NotThere, match="erased"):
        beside.upload(ledger, home.fixture.north.system, [upload])
    home.later()
    assert home.due().completed == [erasure]
    ledger = home.fixture.ledger
    assert ledger.keeper.versions([alone.patient]) == {alone.patient: []}
    assert blob not in set(ledger.blobs.list())
    for table, column in (("object_keys", "subject"), ("blob_keys", "patient"), ("identifiers", "patient"),
                          ("witnesses", "patient"), ("imported", "patient"), ("unit_homes", "patient"), ("patient_numbers", "patient")):  # fmt: skip
        assert not ledger.database.fetch(
            f"SELECT 1 FROM {table} WHERE {column} = ?", (alone.patient,)
        ), table
    assert not ledger.database.fetch("SELECT 1 FROM inquiries", ())
    assert not ledger.database.fetch(
        "SELECT 1 FROM told_once WHERE what = ?", (once_wrote(alone.patient, fixed),)
    )
    acts = readings.history(LocalClient(ledger), alone.actor, alone.patient, "PATRQT").acts()
    assert [act.type for act in acts][-3:] == [
        "erasure.requested",
        "erasure.begun",
        "erasure.completed",
    ]
    assert home.read(home.stays) == PLANTED
    assert home.read(home.others, home.people.kim.actor) == CONTENT
    everything_holds(home.fixture)


def test_the_history_of_an_erased_chart_stays_without_its_words(home: Home) -> None:
    """Whatever was disclosed, suspended, declared and reviewed: who did what is shown, beside the data, over HTTP and by the
    commands, from the request on; and once it is withdrawn the words are there again."""
    fixture, client, south = home.fixture, home.client, home.fixture.south
    alone = fixture.person("Ada")
    own = [Upload(alone.patient, "document", "text/plain", [PLANTED], clinical_date="1980-01-01")]
    record = beside.upload(fixture.ledger, fixture.north.system, own)[0].record
    disclosing.disclose(client, fixture.north.system, [record], WHAT)
    soon = Suspending(fixture.ledger.clock() + 1_000, "order 4711")
    disclosing.disclose(client, fixture.north.system, [record], WHAT, soon)
    time.sleep(1.1)
    assert tell_due(fixture.ledger) == 1
    emergency = emergencies.declare(
        client, fixture.doctor(), alone.patient, "cannot_consent", "Unresponsive"
    )[0]
    emergencies.review(client, south.admin, alone.patient, emergency, "justified", "All good")
    key = write_keyfile(fixture.settings.data.with_name("ada.key"), alone.actor)
    written = {
        "record.disclosed", "disclosure.suspended", "emergency.declared", "emergency.reviewed"
    }  # fmt: skip

    def looked(by: LedgerClient) -> History:
        found = readings.history(by, alone.actor, alone.patient, "PATRQT")
        assert written <= {act.type for act in found.acts()}
        assert len(found.texts) == 4
        return found

    assert all(looked(client).texts.values())
    erasure = erasing.erase(client, alone.actor, alone.patient)[0]
    assert not any(looked(client).texts.values())
    erasing.withdraw(client, alone.actor, alone.patient, erasure)
    assert all(looked(client).texts.values())
    erasure = erasing.erase(client, alone.actor, alone.patient)[0]
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as afar:
        for where in ((), ("--url", web.url)):
            ran = heartwood(fixture.settings, "history", "--as", key, *where)
            assert ran.code == 0 and ran.out.count("what was written can't be opened") == 4, ran
            ran = heartwood(fixture.settings, "disclosures", "--as", key, *where)
            assert ran.code == 0 and ran.out.count("(who received it can't be opened)") == 2, ran
            assert "not the one" not in ran.out
        assert len(looked(afar).unopened()) == 4
    home.later()
    done = home.due()
    assert (done.completed, done.waiting) == ([erasure], {})
    found = looked(home.client)
    assert not any(found.texts.values()) and len(found.unopened()) == 4
    lines = disclosing.accounting(found, 0)
    assert [(line.recipient, line.records) for line in lines] == [("", ())] * 2
    keys = [VerifierKey.parse(key) for key in vkeys(fixture.settings)]
    assert readings.prove(home.client, alone.actor, found, keys)
    everything_holds(fixture)


class Killed(BaseException):
    """What ends a process at a step, as far as the steps before it go."""


def _killed(*given: object, **named: object) -> None:
    raise Killed


STEPS: dict[str, Callable[[pytest.MonkeyPatch, Home], None]] = {
    "before it has begun": lambda patch, home: patch.setattr(Erasing, "_append", _killed),
    "once it has begun": lambda patch, home: patch.setattr(Erasing, "_records", _killed),
    "before the floor is raised": lambda patch, home: patch.setattr(
        type(home.fixture.ledger.keys), "raise_floors", _killed
    ),
    "before the rows of its keys go": lambda patch, home: patch.setattr(
        type(home.fixture.ledger.keys), "forget", _killed
    ),
    "before the other keys are carried on": lambda patch, home: patch.setattr(
        type(home.fixture.ledger.keys), "replace", _killed
    ),
    "before the KEK goes": lambda patch, home: patch.setattr(
        type(home.fixture.ledger.keeper), "erase", _killed
    ),
    "before the ciphertext goes": lambda patch, home: patch.setattr(Erasing, "_remove", _killed),
    "before it is said": lambda patch, home: _after_removing(patch),
}


def _after_removing(patch: pytest.MonkeyPatch) -> None:
    true = Erasing._remove

    def remove(self: Erasing, blobs: list[str]) -> list[BlobLocked]:
        true(self, blobs)
        raise Killed

    patch.setattr(Erasing, "_remove", remove)


@pytest.mark.parametrize("step", STEPS)
def test_whatever_was_cut_off_is_finished_at_the_next_start(home: Home, step: str) -> None:
    erasure = home.erase()
    home.later()
    with pytest.MonkeyPatch.context() as patch:
        STEPS[step](patch, home)
        with pytest.raises(Killed):
            Erasing(home.fixture.ledger).due()
    assert home.read(home.stays) == PLANTED
    home.later(ERASURE_WAIT_MS + HOUR_MS)
    assert home.read(home.stays) == PLANTED
    assert home.due().completed == [erasure]
    home.check_gone(erasure)


def test_a_store_that_does_not_answer_is_waited_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = home.erase()
    home.later()

    def away(self: object, blob: str) -> None:
        raise BlobsUnavailable("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(type(home.fixture.ledger.blobs), "remove", away)
        assert home.due().waiting == {erasure: "it does not answer"}
    assert home.state(erasure).state == "begun"
    with pytest.raises(AccessDenied):
        erasing.withdraw(home.client, home.pat.actor, home.pat.patient, erasure)
    assert home.due().completed == [erasure]
    home.check_gone(erasure)


def test_a_lock_keeps_ciphertext_alone_and_the_entry_says_until_when(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure = home.erase()
    home.later()
    until = home.fixture.ledger.clock() // 1000 * 1000 + DAY_MS
    blobs = type(home.fixture.ledger.blobs)

    def locked(self: object, blob: str) -> None:
        raise BlobLocked(f"{blob} is locked until tomorrow", until)

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "remove", locked)
        assert "locked until tomorrow" in home.due().locked[erasure]
    row = home.state(erasure)
    assert (row.state, row.locked, row.locked_until) == ("completed", 1, until)
    (blob,) = home.blobs(home.gone)
    for passed, there in ((ERASURE_WAIT_MS, True), (ERASURE_WAIT_MS + 2 * DAY_MS, False)):
        home.later(passed)
        assert Erasing(home.fixture.ledger).retry_locked() == 0
        assert (blob in set(home.fixture.ledger.blobs.list())) == there
    home.check_gone(erasure)


def test_a_backup_that_runs_is_waited_for_and_none_misses_what_was_erased(
    home: Home, tmp_path: Path
) -> None:
    fixture, kept = home.fixture, home.fixture.settings.data / "keeper"
    folder = tmp_path / "backup"
    marker = fixture.settings.data / "heartwood.json"
    (blob,) = home.blobs(home.gone)
    backup.back_up(fixture.ledger.stores, marker, folder, wall_clock())
    assert blob in {path.name for path in (folder / "blobs").rglob("bl_*")}
    erasure = home.erase()
    home.later()
    with copying(kept):
        assert "copied" in home.due().waiting[erasure]
    assert home.state(erasure).state == "begun"
    assert home.due().completed == [erasure]
    stores = home.fixture.ledger.stores
    done = backup.back_up(stores, marker, folder, fixture.ledger.clock())
    assert (done.findings, done.erased) == ([], [blob])
    assert blob not in {path.name for path in (folder / "blobs").rglob("bl_*")}
    assert check_backup(folder, None).about["erased"] == [blob]
    assert list(Scrub(stores, fixture.ledger.clock()).findings()) == []
    home.check_gone(erasure)


def test_a_blob_erased_while_it_is_copied_is_no_finding(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot is of before the erasure began, the ciphertext is gone when its turn comes."""
    home.erase()
    home.later()
    true, gone = backup._copy_blob, home.blobs(home.gone)

    def meanwhile(source: BlobStore, target: FileBlobs, named: NamedBlob) -> bool:
        if named.blob in gone:
            assert home.due().completed
        return true(source, target, named)

    monkeypatch.setattr(backup, "_copy_blob", meanwhile)
    ledger, data = home.fixture.ledger, home.fixture.settings.data
    done = backup.back_up(ledger.stores, data / "heartwood.json", tmp_path / "b", ledger.clock())
    assert done.findings == []
    assert done.erased == home.blobs(home.gone)


def test_a_reading_that_streams_ends_within_a_minute(home: Home) -> None:
    big = [bytes(1_000_000)] * 3
    upload = Upload(home.pat.patient, "document", "text/plain", big, clinical_date="1980-01-01")
    ledger = home.fixture.ledger
    record = beside.upload(ledger, home.fixture.north.system, [upload])[0].record
    reading = home.fixture.reading(home.pat.actor, record, "PATRQT")
    content: Iterator[bytes] = opening.open_record(ledger, reading).content
    assert next(content)
    home.erase(record)
    ledger.clock = lambda: wall_clock() + opening.RECHECK_MS
    with pytest.raises(NotThere):
        list(content)


def test_the_keeper_destroys_only_what_has_begun_and_waited_by_its_own_clock(home: Home) -> None:
    assert (
        home.read(home.gone) == PLANTED
    )  # a keeper that reads the log for the first time believes what it says
    erasure = home.erase()
    ledger = home.fixture.ledger
    asked = home.state(erasure).seq

    def ask(seq: int) -> int:
        ledger = home.fixture.ledger
        return ask_keeper(ledger, of_entries(ledger, seq), ledger.keeper.erase)

    for seq in (asked, 0):
        with pytest.raises(KeeperRefused, match=r"not erasure\.begun"):
            ask(seq)
    home.later()
    ledger = home.fixture.ledger
    keeper, true = keeper_of(ledger), keeper_of(ledger)._clock
    with pytest.MonkeyPatch.context() as patch:
        # The log says that three days have passed; by the keeper's own clock they haven't.
        patch.setattr(keeper, "_clock", lambda: true() - 2 * HOUR_MS)
        patch.setattr("keeper.following.CLOCK_SKEW_MOST_MS", 10 * HOUR_MS)
        waits = home.due().waiting[erasure]
    assert "waits here, too" in waits
    assert home.state(erasure).state == "begun"
    assert home.due().completed == [erasure]
    assert ask(home.state(erasure).state_seq - 1) == 0
    home.check_gone(erasure)


def test_a_key_that_can_not_be_carried_on_keeps_the_one_that_would_go(home: Home) -> None:
    """Nothing of the patient is lost for an erasure."""
    erasure = home.erase()
    home.later()
    ledger = home.fixture.ledger
    (blob,) = home.blobs(home.stays)
    row = ledger.keys.blob_key(blob)
    with ledger.database.write() as connection:
        statement = ledger.database.sql("UPDATE blob_keys SET wrapped = ? WHERE blob = ?")
        connection.exec_driver_sql(statement, (bytes(60), blob))
    assert "no KEK opens it" in home.due().waiting[erasure]
    with ledger.database.write() as connection:
        connection.exec_driver_sql(statement, (row.wrapped, blob))
    assert home.due().completed == [erasure]
    home.check_gone(erasure)


def test_readings_and_an_erasure_at_once_come_in_one_order(home: Home) -> None:
    """Two openings of the ledger, as of two processes: whoever reads stands before the erasure, or is denied."""
    other = opened(home.fixture.settings)
    given, denied, stop = [], [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = opening.find_record(other, home.gone)
            proposal = beside.reading(other, home.pat.actor, found, "PATRQT")
            try:
                shown = opening.open_record(other, proposal)
                given.append((shown.entry.link.seq, b"".join(shown.content)))
            except AccessDenied:
                denied.append(1)
                return
            except KeeperRefused:
                continue  # it was permitted, and erased before its key was given

    thread = threading.Thread(target=read)
    thread.start()
    try:
        while len(given) < 3:
            stop.wait(0.01)
        erasure = home.erase()
        thread.join(30)
    finally:
        stop.set()
        thread.join()
        other.close()
    seq = home.state(erasure).seq
    assert denied
    assert all(read < seq and content == PLANTED for read, content in given)


def test_what_a_hospital_holds_for_a_court_is_not_erased(home: Home) -> None:
    admin, client = home.fixture.north.admin, home.client
    hold, _ = holds.hold_for_law(client, admin, home.pat.patient, "court_order", home.gone)
    with pytest.raises(AccessDenied, match="kept for a court"):
        home.erase()
    (placed,) = holds.holds(client, admin, home.pat.patient)
    assert placed.hold == hold
    holds.lift(client, admin, placed)
    home.erase()


def test_a_record_held_back_is_shown_to_be_there_and_is_in_no_copy(home: Home) -> None:
    """List, read and export say the same to whom it is kept from; the hospital reads on."""
    fixture, client, pat = home.fixture, home.client, home.pat
    doctor = fixture.doctor(fixture.north)
    words = "the patient said so"
    hold, _ = holds.hold_back(
        client, doctor, pat.patient, home.gone, pat.actor.account, "therapeutic", words, 14
    )
    seen = readings.chart(client, pat.actor, pat.patient, "PATRQT")
    assert seen.held == (home.gone,)
    assert home.gone not in {line.record.record for line in seen.lines}
    with pytest.raises(AccessDenied, match="holds it back"):
        home.read(home.gone)
    _, taken = readings.export(client, pat.actor, pat.patient, "PATRQT")
    assert home.gone not in {one.record.record for one in taken}
    assert home.stays in {one.record.record for one in taken}
    own = readings.chart(client, doctor, pat.patient, "TREAT")
    assert home.gone in {line.record.record for line in own.lines}
    (told,) = holds.holds(client, pat.actor, pat.patient)
    assert (told.hold, told.reason) == (hold, "")
    everything_holds(fixture)
