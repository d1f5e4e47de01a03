"""The one error of the reader, and the text forms that all its parsers share.

`place` is what the message begins with: a file, a line of it, an entry number.
"""

import base64
import re

U64_MAX = 2**64 - 1
HASH_SIZE = 32

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")  # 20 digits are enough for any u64


class LogRefused(ValueError):
    """What was read isn't a log, or a proof, that the given keys vouch for.

    The message names the place, what was got and what was expected.
    """


def decode_base64(text: str, place: str) -> bytes:
    """Decode standard base64 with padding (RFC 4648 section 4), in its canonical form only.

    :raises LogRefused: for another alphabet, missing padding, white space, or set bits that
        the decoder would drop: two texts for one value would let a file change unseen.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise LogRefused(f"{place}: got {text[:80]!r}, expected base64 ({error})") from error
    if base64.b64encode(value).decode("ascii") != text:
        raise LogRefused(f"{place}: got {text[:80]!r}, expected canonical base64")
    return value


def decode_hash(text: str, place: str) -> bytes:
    """Decode the base64 of one SHA-256 hash, 32 bytes.

    :raises LogRefused: if it isn't canonical base64 or has another length.
    """
    value = decode_base64(text, place)
    require_hash(value, place)
    return value


def require_hash(value: bytes, place: str) -> None:
    """Demand the 32 bytes of a SHA-256 hash.

    :raises LogRefused: for any other length.
    """
    if len(value) != HASH_SIZE:
        raise LogRefused(f"{place}: got {len(value)} bytes, expected a hash of {HASH_SIZE}")


def decode_decimal(text: str, place: str) -> int:
    """Decode an ASCII decimal from 0 to 2^64 - 1, without sign, leading zeros or spaces.

    :raises LogRefused: for every other text. `int` alone takes `+4`, `4_2`, `٤` and ` 4`.
    """
    if _DECIMAL.fullmatch(text) is None or int(text) > U64_MAX:
        raise LogRefused(f"{place}: got {text[:80]!r}, expected a decimal number below 2^64")
    return int(text)


def decode_utf8(data: bytes, place: str) -> str:
    """Decode UTF-8.

    :raises LogRefused: naming the offset of the first byte that isn't UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogRefused(
            f"{place}: got byte 0x{data[error.start]:02x} at offset {error.start}, expected UTF-8"
        ) from error
