"""What the keeper's reading is told by: the same in every program that opens it, whatever that loaded before."""

import subprocess
import sys

import pytest

FORM = "from keeper.following import FORM; print(FORM)"


@pytest.mark.parametrize("first", ["api.cli", "ledger.policies", "tests.support.inside"])
def test_the_form_is_the_same_whatever_was_loaded_before(first: str) -> None:
    """Else one program would drop what another one read, and read the whole log anew."""
    codes = (FORM, f"import keeper.process; {FORM}", f"import {first}; {FORM}")
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for code in codes
    }
    assert len(found) == 1
