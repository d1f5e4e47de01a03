"""What one call may ask at most."""

import pytest

from journeys.sealing import TEXT_BYTES
from keeper import limits, messages
from keeper.errors import KeeperRefused
from keeper.limits import check_call
from keeper.protocol import Evidence, SealedField, SealedObject, Wrapped
from ledger.codes import LABELS_A_RECORD
from ledger.receipt import Receipt
from records.exporting import EXPORT_RECORDS
from storage.evidence import SHOWN_ENTRIES
from storage.maintenance.renewing import PAGE_KEYS, SUBJECTS_AT_ONCE

SMALL = {"accept_restored", "alarms", "releases", "signed_releases", "standing", "vkeys"}
"""Calls that take nothing, receipts that are looked at one by one, or a number that is looked at."""
KEY = Wrapped("pt_x", "rc_x", 1, bytes(60))


def test_every_call_has_a_limit() -> None:
    """One that is added without it is found here."""
    assert limits._AMOUNTS.keys() | SMALL == messages.CALLS.keys()
    assert not limits._AMOUNTS.keys() & SMALL


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("label_codes", (KEY, ["x" * (limits.NAME_BYTES + 1)]), "1025 bytes of a name"),
        ("seal", (KEY, "s", "e", {"title": "é" * limits.TEXT_BYTES}), "65536 bytes of text"),
        (
            "release",
            (Evidence((Receipt(b"", 0, (), b""),) * 9, 0, ()), KEY, "r", b""),
            "9 receipts",
        ),
        ("release", (Evidence((), 0, (b"",) * 65), KEY, "r", b""), "65 hashes of a proof"),
        (
            "open_fields",
            (Evidence((), 0, ()), [SealedObject(KEY, (SealedField("s", "e", "n", "t"),) * 65)]),
            "65 fields of an object",
        ),
        ("cosign", (0, b"", (b"",) * 65), "65 hashes of a proof"),
        ("follow", (0, [], b"", (b"",) * 65), "65 hashes of a proof"),
    ],
)
def test_what_is_over_a_limit(name: str, arguments: tuple[object, ...], said: str) -> None:
    """It says how much was got, and the limit."""
    with pytest.raises(KeeperRefused, match=f"{name} got {said}, expected at most"):
        check_call(name, arguments)


def test_what_the_ledger_shows_is_within() -> None:
    """The two are told apart by layers: neither may outgrow the other unnoticed."""
    assert SHOWN_ENTRIES <= limits.SHOWN
    assert SUBJECTS_AT_ONCE <= limits.SUBJECTS
    assert 2 * PAGE_KEYS <= limits.KEYS
    assert EXPORT_RECORDS <= limits.LISTED
    assert LABELS_A_RECORD <= limits.LABELS
    assert TEXT_BYTES <= limits.TEXT_BYTES


def test_what_is_within() -> None:
    """Nothing, and as much as there may be."""
    check_call("label_codes", (KEY, []))
    check_call("seal", (KEY, "s", "e", {"title": "x" * limits.TEXT_BYTES}))
    check_call("standing", ())
    check_call("versions", (["pt_x"] * limits.SUBJECTS,))
