"""An alarm of the key keeper is put into the log once, whoever else finds it, or appends, at the same time."""

import threading

from keeper.protocol import Alarm
from storage.alarms import AT_ONCE, Alarms, Said
from storage.ledger import Ledger
from tests.support.alarms import raise_alarms, raised
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import LedgerFixture

ROUNDS = 20
"""How often each process tries: one that is always late finds all of them there in the end."""


def test_several_processes_put_each_alarm_once(fixture: LedgerFixture) -> None:
    """Each finds all of them missing, and all append at once; the operator writes into the stream meanwhile."""
    found = [Alarm(seq, "rules", "for the test", False) for seq in range(1, 2 * AT_ONCE)]
    raise_alarms(keeper_of(fixture.ledger), *found)
    ledgers = [fixture.ledger, *(opened(fixture.settings) for _ in range(2))]
    begin = threading.Barrier(len(ledgers) + 1)

    def put(ledger: Ledger) -> None:
        alarms = Alarms(ledger)
        begin.wait()
        for _ in range(ROUNDS):
            alarms.put()

    threads = [threading.Thread(target=put, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    begin.wait()
    for hospital in (fixture.north.hospital, fixture.south.hospital):
        event = fixture.operator.event(
            "hospital.suspended", "ledger", {"hospital": hospital}, fixture.ledger.clock()
        )
        fixture.answer(event, fixture.operator.key)
    for thread in threads:
        thread.join()
    said = [Said(**entry.event.body) for entry in raised(fixture.ledger)]
    assert len(said) == len(set(said))
    assert set(said) == {Said(one.seq, one.wrong, one.taken) for one in found}
    for ledger in ledgers[1:]:
        ledger.close()


def test_what_was_put_is_found_again(fixture: LedgerFixture) -> None:
    """After a restart, and by one that read the stream before another one appended."""
    raise_alarms(keeper_of(fixture.ledger), Alarm(7, "signature", "it is not signed", taken=False))
    early, late = Alarms(fixture.ledger), Alarms(fixture.ledger)
    assert early.entries() == {}
    assert late.put() == 1
    assert early.put() == 0
    (entry,) = raised(fixture.ledger)
    assert early.entries() == {Said(7, "signature", False): entry.link.seq}
    fixture.reopen()
    assert Alarms(fixture.ledger).put() == 0
    assert raised(fixture.ledger) == [entry]
