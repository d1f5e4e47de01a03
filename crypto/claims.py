"""Claim codes: 128 random bits that a hospital gives a patient on paper, and the Ed25519 key that they make.

Written in Crockford's base32 with his check symbol, in groups: `7ZK4-…`. Read back whatever the case, with or without
hyphens and spaces, O as 0, I and L as 1.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import FormError
from crypto.ids import DIGITS, digits
from crypto.signing import SEED_BYTES, SigningKey

CODE_BYTES = 16
CODE_DIGITS = 26
"""128 bits; the first digit is at most 7."""
GROUP = 4
"""Signs in a group, as people read them; the last one is shorter."""
CHECKS = DIGITS + "*~$=u"
"""Crockford's check symbols, by the number modulo 37: it tells every single slip, and two signs exchanged."""
_INFO = b"heartwood/claim/v1\0"
_INVITATION_INFO = b"heartwood/invitation/v1\0"
_READ = str.maketrans("oil", "011", " -–—\t\n\r\u00a0")
_LONGEST = 200
"""Most characters of a text that is looked at as a code."""


def claim_code(secret: bytes) -> str:
    """16 random bytes as people read and type them: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXX`."""
    plain = digits(secret)
    whole = (plain + CHECKS[int.from_bytes(secret, "big") % len(CHECKS)]).upper()
    return "-".join(whole[start : start + GROUP] for start in range(0, len(whole), GROUP))


def read_claim_code(text: str) -> bytes:
    """The 16 bytes of a code that somebody typed; raises FormError, which never repeats what was typed."""
    signs = text[:_LONGEST].lower().translate(_READ)
    plain, check = signs[:CODE_DIGITS], signs[CODE_DIGITS:]
    if len(signs) != CODE_DIGITS + 1 or not set(plain) <= set(DIGITS):
        raise FormError(
            f"a claim code has {CODE_DIGITS + 1} signs, as the letter shows them; got something else"
        )
    number = 0
    for sign in plain:
        number = number * len(DIGITS) + DIGITS.index(sign)
    if number >> 8 * CODE_BYTES or CHECKS[number % len(CHECKS)] != check:
        raise FormError(
            "the claim code has a typing error: compare it with the letter, sign by sign"
        )
    return number.to_bytes(CODE_BYTES, "big")


def claim_key(secret: bytes, patient: str) -> SigningKey:
    """The key of a code for one patient: HKDF-SHA-256 (RFC 5869) without salt, info `heartwood/claim/v1\\0` ‖ patient.

    `secret`: the 16 bytes; raises FormError for another length.
    """
    return _key(secret, _INFO + patient.encode())


def invitation_key(secret: bytes, patient: str) -> SigningKey:
    """The key of an invitation's code, made as `claim_key` makes one with info `heartwood/invitation/v1\\0` ‖ patient."""
    return _key(secret, _INVITATION_INFO + patient.encode())


def _key(secret: bytes, info: bytes) -> SigningKey:
    if len(secret) != CODE_BYTES:
        raise FormError(f"got {len(secret)} bytes, expected the {CODE_BYTES} of a code")
    return SigningKey(HKDF(SHA256(), SEED_BYTES, salt=None, info=info).derive(secret))
