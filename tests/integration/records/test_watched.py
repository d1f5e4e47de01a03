"""A reading that takes long is decided again while it runs, without a new entry."""

import os
from collections import deque
from contextlib import closing

import pytest

from client import grants, readings, registering
from client.http import HttpClient
from client.local import LocalClient
from client.signers import possession
from crypto.encoding import b64decode
from identity.actors import new_key
from journeys.errors import NotThere
from records import opening
from records.history_proofs import proof_by, proof_token
from records.opening import open_record, stream_ticket
from records.ranges import RANGE_BYTES, read_range, ticket_of
from storage.errors import Unavailable
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process

CONTENT = os.urandom(3 * 1024 * 1024)
"""Several pieces of the blob store's."""


@pytest.mark.parametrize("uses", [None, 1])
def test_a_stream_ends_with_its_permission(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, uses: int | None
) -> None:
    """Its own use of a limited grant doesn't end it; the revocation does, at the next look, and closes the blob's file."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat, doctor, client = fixture.person(), fixture.doctor(), LocalClient(fixture.ledger)
    record = fixture.record(pat, CONTENT).record
    grants.grant(client, pat.actor, pat.patient, doctor.account, uses=uses)
    shown = open_record(fixture.ledger, fixture.reading(doctor, record))
    pieces, size = shown.content, fixture.size()
    first = next(pieces)
    assert CONTENT.startswith(first) and fixture.size() == size
    grants.revoke(client, pat.actor, pat.patient, doctor.account)
    assert _open(fixture) == 1
    with pytest.raises(NotThere, match="may not read this any more") as cut:
        next(pieces)
    assert _open(fixture) == 0, cut  # whoever still holds the error


def _open(fixture: LedgerFixture) -> int:
    """How many files of the blob store this process has open."""
    found = (os.readlink(one.path) for one in os.scandir("/proc/self/fd") if os.path.islink(one))
    return sum(one.startswith(str(fixture.settings.data / "blobs")) for one in found)


def test_a_stream_ends_with_the_key_that_asked_for_it(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another key of the same doctor counts on; ranges by the read token end with it."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat, doctor, client = fixture.person(), fixture.doctor(), LocalClient(fixture.ledger)
    record = fixture.record(pat, CONTENT).record
    grants.grant(client, pat.actor, pat.patient, doctor.account)
    person = doctor.in_role("person")
    spare = new_key()
    proof = b64decode(possession(spare, fixture.ledger.origin, doctor.account))
    registering.register_key(client, person, doctor.account, "device", spare.public, proof)
    shown = open_record(fixture.ledger, fixture.reading(doctor, record))
    pieces = shown.content
    next(pieces)
    ticket = ticket_of(fixture.ledger, fixture.ledger.tokens, shown.token, record)
    assert read_range(fixture.ledger.blobs, ticket, 0, 4) == CONTENT[:4]
    registering.revoke_key(client, doctor, doctor.account, doctor.key.id)
    with pytest.raises(NotThere, match="may not read this any more"):
        next(pieces)
    with pytest.raises(NotThere, match="may not read this any more"):
        ticket_of(fixture.ledger, fixture.ledger.tokens, shown.token, record)


def test_a_whole_content_by_a_read_token_ends_with_its_grant(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pages give it: one answer, which takes long on a slow line, is looked at again as any other."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat, doctor, client = fixture.person(), fixture.doctor(), LocalClient(fixture.ledger)
    content = os.urandom(RANGE_BYTES + 1)
    record = fixture.record(pat, content).record
    grants.grant(client, pat.actor, pat.patient, doctor.account)
    shown = open_record(fixture.ledger, fixture.reading(doctor, record))
    assert b"".join(shown.content) == content
    ticket = ticket_of(fixture.ledger, fixture.ledger.tokens, shown.token, record)
    whole = stream_ticket(fixture.ledger, ticket)
    assert b"".join(whole) == content
    pieces = stream_ticket(fixture.ledger, ticket)
    assert next(pieces) == content[:RANGE_BYTES]
    grants.revoke(client, pat.actor, pat.patient, doctor.account)
    with pytest.raises(NotThere, match="may not read this any more"):
        next(pieces)


def test_a_download_over_http_is_cut(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sockets held is out; the rest doesn't follow the revocation."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat, doctor, near = fixture.person(), fixture.doctor(), LocalClient(fixture.ledger)
    content = os.urandom(64 * 1024 * 1024)
    record = fixture.record(pat, content).record
    grants.grant(near, pat.actor, pat.patient, doctor.account)
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as far:
        pieces = readings.read(far, doctor, record, "TREAT")[1].content
        assert content.startswith(next(pieces))
        grants.revoke(near, pat.actor, pat.patient, doctor.account)
        with pytest.raises(Unavailable, match="cut short"):
            deque(pieces, maxlen=0)


def test_an_export_ends_with_the_key_that_asked_for_it(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record after record it is looked at again, as one long stream."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat, client = fixture.person(), LocalClient(fixture.ledger)
    for _ in range(2):
        fixture.record(pat, CONTENT)
    spare, account = new_key(), pat.actor.account
    proof = b64decode(possession(spare, fixture.ledger.origin, account))
    person = pat.actor.in_role("person")
    registering.register_key(client, person, account, "device", spare.public, proof)
    first, second = readings.export(client, pat.actor, pat.patient, "PATRQT")[1]
    size = fixture.size()
    assert b"".join(first.content) == CONTENT and fixture.size() == size
    registering.revoke_key(client, pat.actor, account, pat.actor.key.id)
    with pytest.raises(NotThere, match="may not read this any more"):
        next(second.content)


def test_a_stream_that_stays_permitted_is_whole(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at again for each piece, it still gives everything."""
    monkeypatch.setattr(opening, "RECHECK_MS", 0)
    pat = fixture.person()
    shown = open_record(
        fixture.ledger, fixture.reading(pat.actor, fixture.record(pat, CONTENT).record)
    )
    assert b"".join(shown.content) == CONTENT


def test_the_proof_of_a_history_ends_with_the_key_that_asked_for_it(fixture: LedgerFixture) -> None:
    """Within its minute, and though the patient may look again with another key."""
    pat, client = fixture.person(), LocalClient(fixture.ledger)
    found = readings.history(client, pat.actor, pat.patient, "PATRQT")
    token, seq = proof_token(fixture.ledger, found.entry), found.entry.link.seq
    asked = (fixture.ledger, token, pat.actor.account, pat.patient, seq)
    assert pat.patient in proof_by(*asked)
    key, person = new_key(), pat.actor.in_role("person")
    proof = b64decode(possession(key, pat.actor.origin, pat.actor.account))
    registering.register_key(client, person, person.account, "device", key.public, proof)
    registering.revoke_key(client, pat.actor, pat.actor.account, pat.actor.key.id)
    with pytest.raises(NotThere, match="may not read this any more"):
        proof_by(*asked)
