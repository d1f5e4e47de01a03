"""One-time codes are those of RFC 6238, in their time alone; recovery codes have 80 bits."""

import math

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ids import DIGITS
from identity import codes

SEED = b"12345678901234567890"
RFC_6238 = {
    59: "94287082", 1_111_111_109: "07081804", 1_111_111_111: "14050471", 1_234_567_890: "89005924",
    2_000_000_000: "69279037", 20_000_000_000: "65353130",
}  # fmt: skip
"""Appendix B, the rows of SHA-1: time in seconds, and the code of 8 digits."""


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_vectors(seconds: int, code: str) -> None:
    """Of the 8 digits ours are the last 6, since both are taken modulo a power of ten."""
    assert codes.step_of(SEED, code[2:], seconds * 1_000) == seconds // codes.STEP_SECONDS


@given(st.binary(min_size=20, max_size=20), st.integers(0, 10**13), st.integers(-4, 4))
def test_a_code_counts_a_step_around(seed: bytes, now: int, steps: int) -> None:
    """Unless it is by chance that of another step."""
    step = now // 1_000 // codes.STEP_SECONDS
    if step + steps < 0 or step < 1:
        return
    code = pyotp.TOTP(codes.seed_text(seed)).generate_otp(step + steps)
    near = {pyotp.TOTP(codes.seed_text(seed)).generate_otp(step + i): i for i in (1, 0, -1)}
    expected = step + near[code] if code in near else None
    assert codes.step_of(seed, code, now) == expected


def test_without_a_seed_no_code_counts() -> None:
    """Not even those of the seed that it is compared with."""
    code = pyotp.TOTP(codes.seed_text(bytes(codes.SEED_BYTES))).generate_otp(10)
    assert codes.step_of(bytes(codes.SEED_BYTES), code, 300_000) == 10
    assert codes.step_of(None, code, 300_000) is None
    assert codes.step_of(SEED, "", 300_000) is None


def test_what_an_app_reads() -> None:
    uri = codes.enrolment_uri(SEED, "ac_1", "hospital.example/log")
    totp = pyotp.parse_uri(uri)
    assert isinstance(totp, pyotp.TOTP)
    assert (totp.name, totp.issuer, totp.interval) == ("ac_1", "hospital.example/log", 30)
    assert totp.at(59) == "287082"


def test_recovery_codes() -> None:
    """Ten, of 80 bits each, typed in any way."""
    made = codes.new_recovery_codes()
    assert len(set(made)) == len(made) == 10
    for code in made:
        plain = codes.plain_recovery(code)
        assert len(plain) * math.log2(len(DIGITS)) == 80
        assert set(plain) <= set(DIGITS)
        assert codes.plain_recovery(f" {code.upper()}") == plain
