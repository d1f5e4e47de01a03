"""A reading that takes long is decided again while it runs, without a new entry."""

import os

import pytest

from records import disclosures, grants
from records.desk import Near
from records.disclosures import open_record, watched
from records.errors import NotThere
from tests.people import Town

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


def test_a_stream_that_stays_permitted_is_whole(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at again for each piece, it still gives everything."""
    monkeypatch.setattr(disclosures, "RECHECK_MS", 0)
    pat = town.person()
    shown = open_record(town.ledger, town.reading(pat.actor, town.record(pat, CONTENT).record))
    assert b"".join(watched(town.ledger, shown)) == CONTENT
