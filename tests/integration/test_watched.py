"""A reading that takes long is decided again while it runs, without a new entry."""

import os
from collections import deque
from contextlib import closing

import pytest

from api.far import Far
from records import disclosures, grants, readings
from records.desk import Near
from records.disclosures import open_record, watched
from records.errors import NotThere
from storage.errors import Unavailable
from tests.people import Town
from tests.served import in_process

CONTENT = os.urandom(3 * 1024 * 1024)
"""Several pieces of the blob store's."""


@pytest.mark.parametrize("uses", [None, 1])
def test_a_stream_ends_with_its_permission(
    town: Town, monkeypatch: pytest.MonkeyPatch, uses: int | None
) -> None:
    """Its own use of a limited grant doesn't end it; the revocation does, at the next look."""
    monkeypatch.setattr(disclosures, "RECHECK_MS", 0)
    pat, doctor, desk = town.person(), town.doctor(), Near(town.ledger)
    record = town.record(pat, CONTENT).record
    grants.grant(desk, pat.actor, pat.patient, doctor.account, uses=uses)
    shown = open_record(town.ledger, town.reading(doctor, record))
    pieces, size = watched(town.ledger, shown), town.size()
    first = next(pieces)
    assert CONTENT.startswith(first) and town.size() == size
    grants.revoke(desk, pat.actor, pat.patient, doctor.account)
    with pytest.raises(NotThere, match="may not read this any more"):
        next(pieces)


def test_a_download_over_http_is_cut(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sockets held is out; the rest doesn't follow the revocation."""
    monkeypatch.setattr(disclosures, "RECHECK_MS", 0)
    pat, doctor, near = town.person(), town.doctor(), Near(town.ledger)
    content = os.urandom(64 * 1024 * 1024)
    record = town.record(pat, content).record
    grants.grant(near, pat.actor, pat.patient, doctor.account)
    with in_process(town.ledger) as web, closing(Far(web.url)) as far:
        pieces = readings.read(far, doctor, record, "TREAT")[1].content
        assert content.startswith(next(pieces))
        grants.revoke(near, pat.actor, pat.patient, doctor.account)
        with pytest.raises(Unavailable, match="cut short"):
            deque(pieces, maxlen=0)


def test_a_stream_that_stays_permitted_is_whole(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at again for each piece, it still gives everything."""
    monkeypatch.setattr(disclosures, "RECHECK_MS", 0)
    pat = town.person()
    shown = open_record(town.ledger, town.reading(pat.actor, town.record(pat, CONTENT).record))
    assert b"".join(watched(town.ledger, shown)) == CONTENT
