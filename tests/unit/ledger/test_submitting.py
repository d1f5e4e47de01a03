"""What a log makes of its witnesses' answers; none of them is believed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.notes import Cosigner, signature_line
from ledger.submitting import Answered, Told, WitnessFailed, read_answer
from tests.support.submissions import TIME, SmallLog

LOG = SmallLog()
WITNESS = Cosigner("witness.example/w", bytes(32), bytes(32))
OTHER = Cosigner("witness.example/w", bytes([1] * 32), bytes([1] * 32))
ASKED = LOG.submission(5, 9)
TEXT = LOG.checkpoint(9).text()
LINES = WITNESS.cosign(TEXT, TIME)
ED, ML = WITNESS.keys


def line(lines: bytes, number: int) -> bytes:
    return lines.splitlines(keepends=True)[number]


@pytest.mark.parametrize("number", [0, 1])
def test_the_one_line_of_the_key_that_counts_is_taken(number: int) -> None:
    body = OTHER.cosign(TEXT, TIME) + LINES
    assert read_answer(Answered(200, body), ASKED, WITNESS.keys[number]) == line(LINES, number)


@pytest.mark.parametrize("body", [b"4\n", b"4"])
def test_a_size_is_told(body: bytes) -> None:
    assert read_answer(Answered(409, body), ASKED, ED) == Told(4)


FAILED: dict[str, tuple[int, bytes, bool]] = {
    "another key": (200, OTHER.cosign(TEXT, TIME), False),
    "another checkpoint": (200, WITNESS.cosign(LOG.checkpoint(8).text(), TIME), False),
    "no line": (200, b"", False),
    "no signature": (200, signature_line(ED, bytes(72)), False),
    "no time": (200, signature_line(ED, bytes(5)), False),
    "a page": (200, b"<html>Welcome</html>\n", False),
    "one good line and a bad one before": (200, signature_line(ED, bytes(72)) + LINES, False),
    "a line that is none behind": (200, LINES + b"welcome\n", False),
    "refused": (422, b"bad proof\n", True),
    "409 where 422 is meant": (409, b"5\n", True),
    "409 without a size": (409, b"", True),
    "409 with a page": (409, b"<html>", True),
    "409 with a size that is none": (409, b"99999999999999999999\n", True),
    "500 where 403 is meant": (500, b"", False),
    "unknown": (404, b"", False),
    "a redirect": (302, b"", False),
    "a control character": (400, b"\x1b[31mred\n", False),
}


@pytest.mark.parametrize("name", FAILED)
def test_whatever_else_is_answered_is_a_failure(name: str) -> None:
    status, body, refused = FAILED[name]
    with pytest.raises(WitnessFailed) as failed:
        read_answer(Answered(status, body), ASKED, ED)
    assert failed.value.refused == refused
    assert str(failed.value).isprintable() and len(str(failed.value)) < 400


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_raises_anything_else(status: int, body: bytes) -> None:
    with suppress(WitnessFailed):
        assert isinstance(read_answer(Answered(status, body), ASKED, ED), Told)
