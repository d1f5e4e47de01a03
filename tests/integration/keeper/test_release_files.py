"""The file of the keeper's log of releases, written by several at once."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from keeper import releases
from keeper.errors import KeeperRefused
from keeper.releases import LAST, RELEASES, Reading, Releases
from ledger.merkle import leaf_hash
from ledger.releases import RELEASE_MS, Release, key_given
from tests.golden import make

GIVEN = key_given(make.RECORD, 1, make.BLOB)


def check_whole(raws: list[bytes]) -> None:
    """Each follows the one before it."""
    tip = bytes(32)
    for seq, raw in enumerate(raws):
        release = Release.parse(raw)
        assert (release.seq, release.prev) == (seq, tip)
        tip = leaf_hash(raw)


def in_file(folder: Path) -> list[Release]:
    """What the file holds, which is chained."""
    with closing(sqlite3.connect(folder / RELEASES)) as connection:
        raws = [raw for (raw,) in connection.execute("SELECT raw FROM releases ORDER BY seq")]
    check_whole(raws)
    return [Release.parse(raw) for raw in raws]


def test_many_at_once_stand_in_one_order(tmp_path: Path) -> None:
    """Threads of one process wait for the disk together, those of another one by its lock."""
    logs = [Releases(tmp_path, lambda: make.TIME) for _ in range(2)]

    def give(log: Releases, start: int) -> None:
        for number in range(start, start + 25):
            log.record(reading(number), [GIVEN], once=True)

    threads = [threading.Thread(target=give, args=(logs[n % 2], 100 * n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.reading for one in in_file(tmp_path)) == sorted(
        number for n in range(8) for number in range(100 * n, 100 * n + 25)
    )
    assert {log.size for log in logs} == {200}
    for log in logs:
        log.close()


def test_the_number_beside_it_does_not_lag(tmp_path: Path) -> None:
    """After two releases at once, and silence: whoever asks how the keeper stands has it written."""
    log = Releases(tmp_path, lambda: make.TIME)
    log._told = time.monotonic()
    for number in range(2):
        log.record(reading(number), [GIVEN], once=True)
    assert (tmp_path / LAST).read_text().startswith("0 ")
    log._told -= releases.LAST_SECONDS
    log.catch_up()
    assert (tmp_path / LAST).read_text().startswith("2 ")
    (tmp_path / LAST).unlink()
    log._told -= releases.LAST_SECONDS
    log.catch_up()
    assert not (tmp_path / LAST).exists()  # there was nothing new
    log.close()


GIVING = """
import sys
from pathlib import Path
from keeper.releases import Releases
from tests.integration.keeper.test_release_files import GIVEN, reading
log = Releases(Path(sys.argv[1]), lambda: 0)
refused = 0
for number in range(100):
    try:
        log.record(reading(number), [GIVEN], once=True)
    except Exception as error:
        assert "already received" in str(error), error
        refused += 1
log.close()
print(refused)
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Each reading is written by one of them, the other is refused; the chain holds."""
    Releases(tmp_path, lambda: 0).close()
    command = [sys.executable, "-c", GIVING, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    refused = [int(one.communicate()[0]) for one in both]
    assert sum(refused) == 100
    assert sorted(one.reading for one in in_file(tmp_path)) == list(range(100))


def test_one_that_is_refused_stops_no_other(tmp_path: Path) -> None:
    """Written together, each is taken or refused by itself."""
    log = Releases(tmp_path, lambda: 0)
    log.record(reading(1), [GIVEN], once=True)
    batch = [releases._Asked(reading(number), [GIVEN], True) for number in (1, 2)]
    log._waiting.extend(batch)
    log.record(reading(3), [GIVEN], once=True)
    assert isinstance(batch[0].error, KeeperRefused) and batch[1].error is None
    assert [one.reading for one in in_file(tmp_path)] == [1, 2, 3]
    log.close()


def reading(number: int) -> Reading:
    """A reading of a log that isn't there."""
    return Reading(number, make.fixed_id("ev", number), make.TIME)


def test_marks_of_old_readings_are_forgotten_and_entries_are_not(tmp_path: Path) -> None:
    """Minutes later the mark is gone, as the reading would get nothing any more; the entry stays."""
    log = Releases(tmp_path, lambda: 0)
    log.record(reading(1), [GIVEN], once=True)
    late = reading(2)._replace(time=make.TIME + 3 * RELEASE_MS)
    log.record(late, [GIVEN], once=True)
    log.close()
    with closing(sqlite3.connect(tmp_path / RELEASES)) as connection:
        assert connection.execute("SELECT count(*) FROM used").fetchone() == (1,)
    assert len(in_file(tmp_path)) == 2
