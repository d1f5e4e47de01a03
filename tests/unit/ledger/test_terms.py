"""Terms: who holds a role at an instant, as far as the row of a member tells."""

import pytest

from ledger.directory import Member


@pytest.mark.parametrize(
    ("role", "end", "holds"),
    [
        ("doctor", 0, True),
        ("hospital_admin", 0, True),
        ("auditor", 0, False),
        ("auditor", 11, True),
        ("auditor", 10, False),
        ("doctor", 11, True),
        ("doctor", 10, False),
    ],
)
def test_an_end_that_none_named_bounds_no_doctor_and_every_auditor(
    role: str, end: int, holds: bool
) -> None:
    """An auditor's term always has an end; the end is excluded."""
    assert Member("ac_0", role, "", 1, True, 10, end).holds(10) is holds
    assert not Member("ac_0", role, "", 1, True, 11, 12).holds(10)
    assert not Member("ac_0", role, "", 1, False, 10, 11).holds(10)
