"""What whoever a record is held back from is told of the hold."""

from client import holds, readings
from client.local import LocalClient
from records.holding import holds_of
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People


def test_the_history_has_the_code_of_the_reason_and_never_the_words(fixture: LedgerFixture) -> None:
    """As docs/consent/patient.md says: the list doesn't say why, the history has the code in clear, the words are sealed."""
    people, client = People.of(fixture), LocalClient(fixture.ledger)
    pat, doctor, words = people.pat, fixture.doctor(fixture.north), "wait for the talk"
    holds.hold_back(
        client, doctor, pat.patient, people.record, pat.actor.account, "therapeutic", words, 7
    )
    (hold,) = holds_of(fixture.ledger, pat.actor.caller, pat.patient).holds
    assert (hold.reason, hold.against) == ("", pat.actor.account)
    found = readings.history(client, pat.actor, pat.patient, "PATRQT")
    assert any(b'"reason":"therapeutic"' in raw for raw in found.entries)
    assert not any(words.encode() in raw for raw in found.entries)
    assert words not in str(found.texts)
