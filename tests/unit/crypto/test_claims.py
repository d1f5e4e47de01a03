"""Claim codes: read back however they are typed, no slip unseen, one key for one patient."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.claims import CHECKS, CODE_BYTES, CODE_DIGITS, claim_code, claim_key, read_claim_code
from crypto.encoding import b64encode
from crypto.errors import FormError
from tests.golden import make

SECRETS = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES)
PATIENT = "pt_00000000000000000000000001"


@given(SECRETS)
def test_a_code_comes_back_however_it_is_typed(secret: bytes) -> None:
    code = claim_code(secret)
    plain = code.replace("-", "")
    typed = plain[:CODE_DIGITS].lower().replace("0", "o").replace("1", "l") + plain[CODE_DIGITS:]
    spaced = " ".join(plain[start : start + 9] for start in range(0, len(plain), 9))
    for text in (code, code.lower(), plain, typed, f" {spaced}\n", code.replace("1", "I")):
        assert read_claim_code(text) == secret, text


@given(SECRETS, st.integers(0, CODE_DIGITS), st.sampled_from(CHECKS.upper()))
def test_every_slip_is_seen(secret: bytes, place: int, sign: str) -> None:
    """One sign that is another; and two beside each other, exchanged."""
    plain = claim_code(secret).replace("-", "")
    slipped = plain[:place] + sign + plain[place + 1 :]
    exchanged = plain[:place] + plain[place : place + 2][::-1] + plain[place + 2 :]
    for text in (slipped, exchanged):
        if text != plain:
            with pytest.raises(FormError) as error:
                read_claim_code(text)
            assert plain[:6] not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 26, "0" * 28, "8" + "0" * 26, "é" * 27, "0" * 10_000, "U" * 27]
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(FormError):
        read_claim_code(text)


@given(SECRETS)
def test_the_key_is_one_patients(secret: bytes) -> None:
    one, same = claim_key(secret, PATIENT), claim_key(secret, PATIENT)
    assert one.public == same.public
    assert one.public != claim_key(secret, PATIENT[:-1] + "2").public


def test_the_published_vector() -> None:
    """As docs/formats.md shows it, by another library's HKDF (RFC 5869, written out)."""
    import hashlib
    import hmac

    vector = json.loads((make.HERE / "signing.json").read_text())["claim"]
    secret = read_claim_code(vector["code"])
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    info = b"heartwood/claim/v1\0" + vector["patient"].encode()
    seed = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    key = claim_key(secret, vector["patient"])
    assert (seed.hex(), key.seed) == (vector["seed"], seed)
    assert b64encode(key.public) == vector["public_key"]
    assert b64encode(key.sign(vector["message"].encode())) == vector["value"]


def test_another_length_is_no_code() -> None:
    with pytest.raises(FormError):
        claim_key(bytes(15), PATIENT)
