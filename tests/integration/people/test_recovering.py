"""Both factors lost: the operator, who identified the person, recovers for the service; it waits, is told, and can be stopped."""

from dataclasses import replace

import pytest

from client import registering
from client.local import LocalClient
from identity.actors import Actor, SignedIn, new_id, new_key
from identity.errors import StepUpNeeded
from journeys.errors import Forbidden, RecordsError
from ledger.directory import RECOVERY_WAIT_MS, Key
from ledger.errors import Refused
from ledger.messages import possession_message
from people.joining import Registration, register_alone
from people.recovering import open_recovery
from tests.support.inbox import mails_to, reach, send
from tests.support.ledger_fixture import LedgerFixture


def alone(fixture: LedgerFixture) -> Actor:
    """Somebody who registered alone."""
    ledger, key = fixture.ledger, new_key()
    account = new_id("ac", ledger.clock())
    proof = key.sign(possession_message(ledger.origin, account, key.id))
    register_alone(ledger, Registration(account, "Ida", key.public, proof))
    return Actor(ledger.origin, account, "person", "", key)


def test_a_key_is_put_in(fixture: LedgerFixture) -> None:
    """It counts a day later, the account is told how to stop it, and an older key does."""
    ida, client, new = alone(fixture), LocalClient(fixture.ledger), new_key()
    reach(fixture, ida, "ida@example.com")
    proof = new.sign(possession_message(client.origin, ida.account, new.id))
    given = (client, fixture.operator, ida.account, "device", new.public, proof, True)
    key, seq = registering.register_key(*given)
    assert registering.register_key(*given) == (key, seq), "a retry gives the same"
    row, entry = fixture.ledger.row(Key, key), fixture.ledger.entry(seq)
    assert row is not None
    assert row.counts_from == entry.time + RECOVERY_WAIT_MS
    assert (entry.event.role, entry.event.body["recovery"]) == ("service", True)
    send(fixture)
    assert f"heartwood key revoke {key}" in mails_to(fixture, "ida@example.com")[0]
    registering.revoke_key(client, ida, ida.account, key)
    row = fixture.ledger.row(Key, key)
    assert row is not None
    assert not row.active
    fixture.verify()


def test_who_may_not(fixture: LedgerFixture) -> None:
    """Nobody but the operator, just stepped up or by key; and not for an account that a hospital registered."""
    ida, pat, ledger, new = alone(fixture), fixture.person().actor, fixture.ledger, new_key()

    def proof(account: str) -> bytes:
        return new.sign(possession_message(ledger.origin, account, new.id))

    for who in (ida, fixture.north.admin, fixture.doctor(), pat):
        with pytest.raises(Forbidden):
            open_recovery(ledger, who.caller, ida.account, new.public, proof(ida.account))
    operator = fixture.operator.caller
    weak = replace(operator, key=None, session=SignedIn(new_id("ss", 0), 2))
    with pytest.raises(StepUpNeeded):
        open_recovery(ledger, weak, ida.account, new.public, proof(ida.account))
    with pytest.raises(RecordsError, match="the hospital that did"):
        open_recovery(ledger, operator, pat.account, new.public, proof(pat.account))
    with pytest.raises(Refused, match="proof of possession"):
        open_recovery(ledger, operator, ida.account, new.public, proof(pat.account))
    assert ledger.row(Key, new.id) is None
