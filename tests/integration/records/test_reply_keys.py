"""A reading with `reply`, beside the data: what nothing can be sealed to is refused before anything is written."""

import pytest

from client import readings
from client.local import LocalClient
from crypto.encoding import b64encode
from crypto.errors import SealError
from records.opening import find_record
from tests.support.ledger_fixture import LedgerFixture


@pytest.mark.parametrize("receiver", [bytes(32), bytes([1, *bytes(31)])], ids=["zero", "one"])
def test_a_key_that_opens_nothing_is_refused_before_it_is_written(
    fixture: LedgerFixture, receiver: bytes
) -> None:
    """As over HTTP: else the reading would stand, and its content never be given."""
    pat, client = fixture.person(), LocalClient(fixture.ledger)
    record = find_record(fixture.ledger, fixture.record(pat, b"content").record)
    body = {
        "blob": record.versions[0].blob,
        "purpose": "PATRQT",
        "record": record.record,
        "reply": b64encode(receiver),
        "version": 1,
    }
    event = pat.actor.event("record.opened", pat.stream, body, client.now())
    size = fixture.size()
    with pytest.raises(SealError, match="got a reply key that is not"):
        client.open(pat.actor, event)
    assert fixture.size() == size
    _, shown = readings.read(client, pat.actor, record.record, "PATRQT")
    assert b"".join(shown.content) == b"content"
