"""One-time codes (TOTP, RFC 6238) and recovery codes: made, shown and recognised. That each works once is told by what is kept."""

import base64
import os

import pyotp
from pyotp.exceptions import OTPVerificationError

from crypto.ids import DIGITS
from ledger.types.sessions import RECOVERY_CODES

SEED_BYTES = 20
"""As RFC 4226 recommends: as long as the output of SHA-1, which is what the apps know."""
STEP_SECONDS = 30
WINDOW_STEPS = 1
"""Codes of so many steps before and after are taken, too: clocks differ, and people type."""
RECOVERY_BYTES = 10
"""Random bytes of a recovery code: 80 bits, which nobody guesses, so a plain keyed hash keeps them."""
RECOVERY_GROUP = 4
"""Characters between two dashes of a recovery code."""
_NOBODYS = bytes(SEED_BYTES)
"""What a code is compared with where there is no seed."""


def new_seed() -> bytes:
    """A fresh seed."""
    return os.urandom(SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """A seed as apps take it by hand: base32."""
    return base64.b32encode(seed).decode("ascii")


def enrolment_uri(seed: bytes, account: str, origin: str) -> str:
    """What an app reads from a QR code: `otpauth://totp/…`, with the log as issuer."""
    return _totp(seed).provisioning_uri(name=account, issuer_name=origin)


def step_of(seed: bytes | None, code: str, now: int) -> int | None:
    """The step, within WINDOW_STEPS of `now` (Unix ms), whose code it is; None for a wrong code, or without a seed."""
    try:
        step = _totp(_NOBODYS if seed is None else seed).verify_and_get_timecode(
            code, for_time=now // 1000, valid_window=WINDOW_STEPS
        )
    except OTPVerificationError:
        return None
    return None if seed is None else step


def new_recovery_codes() -> tuple[str, ...]:
    """Fresh recovery codes, as they are shown once: `xxxx-xxxx-xxxx-xxxx`."""
    return tuple(_recovery_code() for _ in range(RECOVERY_CODES))


def plain_recovery(code: str) -> str:
    """A recovery code as it is compared: without dashes and spaces, in small letters."""
    return code.replace("-", "").replace(" ", "").lower()


def _totp(seed: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(seed_text(seed), interval=STEP_SECONDS)


def _recovery_code() -> str:
    value = int.from_bytes(os.urandom(RECOVERY_BYTES), "big")
    count = RECOVERY_BYTES * 8 // 5
    plain = "".join(DIGITS[value >> 5 * place & 31] for place in range(count))
    return "-".join(plain[i : i + RECOVERY_GROUP] for i in range(0, count, RECOVERY_GROUP))
