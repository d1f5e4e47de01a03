"""Signed notes: text, an empty line, signature lines (C2SP signed-note), and verifier keys."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .strict import LogRefused, decode_base64, decode_utf8

ED25519 = 0x01
"""Signature type: Ed25519 over the note's text (signed-note, "Ed25519 signatures")."""
ML_DSA_44 = 0x06
"""Signature type: ML-DSA-44 cosignature with a timestamp (C2SP tlog-cosignature)."""

MAX_SIGNATURES = 100
"""signed-note asks for a limit, and that it be at least 16."""

_KEY_SIZES = {ED25519: 32, ML_DSA_44: 1312}
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name: `type` is the signature type, `key_id` has 4 bytes."""

    name: str
    key_id: bytes
    type: int
    public_key: bytes


@dataclass(frozen=True)
class SignatureLine:
    """One signature line; `key_id` has 4 bytes, `signature` is the rest, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A parsed note; `text` includes its final newline. Nothing of it is verified yet."""

    text: str
    signatures: tuple[SignatureLine, ...]


def parse_vkey(vkey: str) -> VerifierKey:
    """Parse `<name>+<8 hex of the key id>+<base64(type ‖ public key)>`.

    The key id must be SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4], which signed-note
    recommends and the types 0x01 and 0x06, the only ones taken, demand.

    :raises LogRefused: for every other text.
    """
    place = f"verifier key {vkey[:60]!r}"
    parts = vkey.split("+", 2)  # the base64 may hold further plus signs
    if len(parts) != 3 or _KEY_ID.fullmatch(parts[1]) is None:
        raise LogRefused(f"{place}: expected <name>+<8 lower-case hex digits>+<base64>")
    name, hex_id, encoded = parts
    _require_name(name, place)
    material = decode_base64(encoded, place)
    if not material or _KEY_SIZES.get(material[0]) != len(material) - 1:
        raise LogRefused(
            f"{place}: got type and key 0x{material[:1].hex()} with {len(material)} bytes,"
            " expected 0x01 and 32 bytes or 0x06 and 1312 bytes"
        )
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if key_id.hex() != hex_id:
        raise LogRefused(f"{place}: got key id {hex_id}, expected {key_id.hex()}")
    return VerifierKey(name, key_id, material[0], material[1:])


def parse_vkeys(vkeys: Sequence[str]) -> list[VerifierKey]:
    """Parse one or more verifier keys, all different.

    :raises LogRefused: also if there is none: without a key everything would be accepted.
    """
    keys = [parse_vkey(vkey) for vkey in vkeys]
    if not keys:
        raise LogRefused("verifier keys: got none, expected at least one")
    if len({(key.name, key.key_id) for key in keys}) != len(keys):
        raise LogRefused("verifier keys: got one name and key id twice, expected each once")
    return keys


def parse_note(data: bytes, place: str) -> Note:
    """Split a note at its last empty line and parse the signature lines.

    :raises LogRefused: for bytes that aren't UTF-8, control characters but newline, no empty
        line, no signature line, more than `MAX_SIGNATURES`, or a malformed line.
    """
    whole = decode_utf8(data, place)
    control = _CONTROL.search(whole)
    if control is not None:
        raise LogRefused(f"{place}: got control character {control.group()!r}")
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n") or split + 2 == len(whole):
        raise LogRefused(f"{place}: expected text, an empty line and ended signature lines")
    lines = whole[split + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise LogRefused(f"{place}: got {len(lines)} signatures, expected <= {MAX_SIGNATURES}")
    return Note(
        whole[: split + 1],
        tuple(
            _parse_line(line, f"{place}, signature line {number}")
            for number, line in enumerate(lines, start=1)
        ),
    )


def _parse_line(line: str, place: str) -> SignatureLine:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\N{EM DASH}":
        raise LogRefused(f"{place}: got {line[:80]!r}, expected '— <name> <base64>'")
    _require_name(parts[1], place)
    value = decode_base64(parts[2], place)
    if len(value) < 5:
        raise LogRefused(f"{place}: got {len(value)} bytes, expected key id and signature")
    return SignatureLine(parts[1], value[:4], value[4:])


def _require_name(name: str, place: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise LogRefused(f"{place}: got name {name!r}, expected one without spaces and '+'")
