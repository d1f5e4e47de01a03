"""Signed notes, verifier keys, checkpoint texts and cosignatures, against the C2SP pages' bytes."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.cosignatures import Checkpoint, check_origin
from crypto.encoding import b64encode
from crypto.errors import NoteError
from crypto.notes import (
    NOTE_LIMIT,
    SIGNATURE_LINES,
    LogSigner,
    Note,
    VerifierKey,
    signature_line,
)
from crypto.signing import SigningKey
from ledger.checkpoint import open_checkpoint, parse_keys

KNOWN_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
KNOWN_PRIVATE = "AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
"""The part after the last `+` of the known answer's private key: type byte and seed."""
NAME = "log.example/heartwood"
TIME = 1_795_000_000  # Unix seconds
ED = SigningKey(bytes(range(32)))
ED_KEY = VerifierKey(NAME, 0x01, ED.public)
SIGNER = LogSigner(NAME, ED.seed, bytes(range(32, 64)))
ML_KEY = SIGNER.keys[1]
HEAD = Checkpoint(NAME, 7, hashlib.sha256(b"root").digest())
TEXT = HEAD.text()
LINE = signature_line(ED_KEY, ED.sign(TEXT))
NOTE = TEXT + b"\n" + LINE
WITNESS = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
WITNESS_KEY = VerifierKey("witness.example/w", 0x06, WITNESS.public_key().public_bytes_raw())


# The known answer


def test_the_known_private_key_gives_the_known_verifier_key() -> None:
    data = base64.b64decode(KNOWN_PRIVATE)
    key = VerifierKey("example.com/log/testdata", data[0], SigningKey(data[1:]).public)
    assert str(key) == KNOWN_KEY and key.id.hex() == "33d7b496"
    assert VerifierKey.parse(KNOWN_KEY) == key


def test_the_known_key_opens_what_its_private_key_signs() -> None:
    key, seed = VerifierKey.parse(KNOWN_KEY), base64.b64decode(KNOWN_PRIVATE)[1:]
    text = b"go.sum database tree\n123\n"
    signature = SigningKey(seed).sign(text)
    encoded = base64.b64encode(bytes.fromhex("33d7b496") + signature)
    note = text + b"\n\xe2\x80\x94 example.com/log/testdata " + encoded + b"\n"
    assert Note.parse(note).verify([key]) == [key]
    assert note == text + b"\n" + signature_line(key, signature)


# Verifier keys


@pytest.mark.parametrize("key", [ED_KEY, ML_KEY, VerifierKey("w", 0x04, ED.public)])
def test_verifier_keys_are_read_and_written(key: VerifierKey) -> None:
    material = bytes([key.kind]) + key.public
    digest = hashlib.sha256(key.name.encode() + b"\n" + material).digest()
    assert str(key) == f"{key.name}+{digest[:4].hex()}+{base64.b64encode(material).decode()}"
    assert VerifierKey.parse(str(key)) == key


def vkey(name: str, kind: int, public: bytes) -> str:
    return str(VerifierKey(name, kind, public))


BAD_KEYS = {
    "nothing": "",
    "two parts": KNOWN_KEY.rpartition("+")[0],
    "another id": KNOWN_KEY.replace("33d7b496", "33d7b497"),
    "an id in upper case": KNOWN_KEY.replace("33d7b496", "33D7B496"),
    "a short id": KNOWN_KEY.replace("33d7b496", "3d7b496"),
    "another name": "f" + KNOWN_KEY[1:],
    "no name": vkey("", 0x01, ED.public),
    "a space in the name": vkey("a b", 0x01, ED.public),
    "a no-break space in the name": vkey("a\u00a0b", 0x01, ED.public),
    "a newline in the name": vkey("a\nb", 0x01, ED.public),
    "a name of 256 bytes": vkey("n" * 256, 0x06, ML_KEY.public),
    "a name that is no text": KNOWN_KEY.replace("example", "\ud800"),
    "an unknown type": vkey("a", 0x02, ED.public),
    "type 0xff": vkey("a", 0xFF, ED.public),
    "a short key": vkey("a", 0x01, ED.public[:31]),
    "a long key": vkey("a", 0x01, ED.public + b"\0"),
    "Ed25519 bytes as ML-DSA": vkey("a", 0x06, ED.public),
    "ML-DSA bytes as Ed25519": vkey("a", 0x01, ML_KEY.public),
    "no key": "a+00000000+",
    "base64 without padding": str(ML_KEY).rstrip("="),
    "a space after": KNOWN_KEY + " ",
    "a newline after": KNOWN_KEY + "\n",
    "a space before": " " + KNOWN_KEY,
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_refused_verifier_keys(name: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(BAD_KEYS[name])


@pytest.mark.parametrize("lines", [[], [str(ED_KEY)] * 2, [str(ED_KEY), KNOWN_KEY]])
def test_a_log_has_keys_of_one_name_none_twice(lines: list[str]) -> None:
    with pytest.raises(NoteError):
        parse_keys(lines)


# Notes


def test_a_note_is_text_empty_line_and_signatures() -> None:
    note = Note.parse(NOTE)
    assert note.text == TEXT
    assert note.signatures == ((NAME, ED_KEY.id, ED.sign(TEXT)),)
    assert note.verify([ED_KEY]) == [ED_KEY]


def test_a_note_is_split_at_its_last_empty_line() -> None:
    text = b"one\n\ntwo\n\n"
    note = text + b"\n" + signature_line(ED_KEY, ED.sign(text))
    assert Note.parse(note).text == text
    assert Note.parse(note).verify([ED_KEY]) == [ED_KEY]


@pytest.mark.parametrize("count", [1, 16, SIGNATURE_LINES])
def test_notes_take_many_signature_lines(count: int) -> None:
    strange = signature_line(VerifierKey("other", 0x01, ED.public), b"?")
    assert Note.parse(TEXT + b"\n" + strange * (count - 1) + LINE).verify([ED_KEY]) == [ED_KEY]


BAD_NOTES = {
    "nothing": b"",
    "text alone": TEXT,
    "no signature": TEXT + b"\n",
    "no text": LINE,
    "no empty line": TEXT + LINE,
    "no newline at the end": NOTE[:-1],
    "an empty line at the end": NOTE + b"\n",
    "an empty line between signatures and more": NOTE + b"\n" + TEXT,
    "carriage returns": NOTE.replace(b"\n", b"\r\n"),
    "a tab in the text": b"\t" + NOTE,
    "a NUL in the text": b"\0" + NOTE,
    "invalid UTF-8": b"\xff" + NOTE,
    "a hyphen for the em dash": NOTE.replace("—".encode(), b"-"),
    "an en dash": NOTE.replace("—".encode(), "–".encode()),
    "no dash": NOTE.replace("— ".encode(), b""),
    "two spaces": NOTE.replace("— ".encode(), "—  ".encode()),
    "no space": NOTE.replace("— ".encode(), "—".encode()),
    "no name": NOTE.replace(f"— {NAME} ".encode(), "— ".encode()),
    "a plus in the name": NOTE.replace(f"— {NAME}".encode(), "— a+b".encode()),
    "a no-break space in the name": NOTE.replace(f"— {NAME}".encode(), "— a\u00a0b".encode()),
    "three fields": NOTE[:-1] + b" AAAA\n",
    "a space at the end": NOTE[:-1] + b" \n",
    "no base64": NOTE[:-3] + b"!!\n",
    "base64 without padding": TEXT + b"\n" + "— a AAAAAAA\n".encode(),
    "loose bits": TEXT + b"\n" + "— a AAAAAAB=\n".encode(),
    "a signature of nothing": TEXT + b"\n" + "— a AAAAAA==\n".encode(),
    "65 lines": TEXT + b"\n" + LINE * (SIGNATURE_LINES + 1),
    "over a megabyte": b"x" * NOTE_LIMIT + b"\n" + NOTE,
}


@pytest.mark.parametrize("name", BAD_NOTES)
def test_refused_notes(name: str) -> None:
    with pytest.raises(NoteError):
        Note.parse(BAD_NOTES[name])


def test_a_note_has_no_control_character_but_newline() -> None:
    for byte in {*range(0x20)} - {ord("\n")}:
        with pytest.raises(NoteError, match="control character"):
            Note.parse(bytes([byte]) + NOTE)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(NOTE) - 1), st.integers(0, 255))
def test_an_altered_note_does_not_verify(at: int, byte: int) -> None:
    altered = NOTE[:at] + bytes([byte]) + NOTE[at + 1 :]
    if altered == NOTE:
        return
    with pytest.raises(NoteError):
        Note.parse(altered).verify([ED_KEY])


def test_unknown_keys_are_ignored() -> None:
    same_name = signature_line(VerifierKey(NAME, 0x01, bytes(32)), bytes(64))
    same_id = LINE.replace(NAME.encode(), b"other")
    note = TEXT + b"\n" + same_name + same_id + LINE
    assert Note.parse(note).verify([ED_KEY]) == [ED_KEY]


def test_a_known_key_that_fails_rejects_the_note() -> None:
    wrong = signature_line(ED_KEY, ED.sign(TEXT + b"x"))
    for lines in (wrong, LINE + wrong, wrong + LINE):
        with pytest.raises(NoteError, match="fails"):
            Note.parse(TEXT + b"\n" + lines).verify([ED_KEY])


def test_a_note_without_known_keys_is_rejected() -> None:
    for keys in ([], [ML_KEY], [VerifierKey.parse(KNOWN_KEY)]):
        with pytest.raises(NoteError, match="none of the known"):
            Note.parse(NOTE).verify(keys)


# Checkpoints


def test_a_checkpoint_is_three_lines() -> None:
    root = base64.b64encode(HEAD.root).decode()
    assert f"{NAME}\n7\n{root}\n".encode() == TEXT and Checkpoint.parse(TEXT) == HEAD


BAD_TEXTS = {
    "nothing": b"",
    "two lines": b"\n".join(TEXT.split(b"\n")[:2]) + b"\n",
    "an extension line": TEXT + b"more\n",
    "no newline at the end": TEXT[:-1],
    "an empty origin": b"\n7\n" + b64encode(HEAD.root).encode() + b"\n",
    "a leading zero": TEXT.replace(b"\n7\n", b"\n07\n"),
    "a signed size": TEXT.replace(b"\n7\n", b"\n-7\n"),
    "a size in hex": TEXT.replace(b"\n7\n", b"\n0x7\n"),
    "no size": TEXT.replace(b"\n7\n", b"\n\n"),
    "a root of 31 bytes": Checkpoint(NAME, 7, bytes(31)).text(),
    "a root of 33 bytes": Checkpoint(NAME, 7, bytes(33)).text(),
    "invalid UTF-8": b"\xff" + TEXT,
    "a root beyond ASCII": TEXT[:-2] + "é\n".encode(),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_refused_checkpoint_texts(name: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(BAD_TEXTS[name])


BAD_ORIGINS = ["", "a b", "a+b", "a\tb", "https://log.example", "heartwood/event/v1", "o" * 256,
               "ü" * 128, "a\u00a0b", "a\u2028b"]  # fmt: skip


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_refused_origins(origin: str) -> None:
    with pytest.raises(NoteError):
        check_origin(origin)
    with pytest.raises(NoteError):
        Checkpoint.parse(Checkpoint(origin, 7, HEAD.root).text())


def test_accepted_origins() -> None:
    for origin in ("o" * 255, "log.example/heartwood/", "localhost:8080/log", "ü" * 127):
        assert Checkpoint.parse(Checkpoint(origin, 7, HEAD.root).text()).origin == origin


# Cosignatures


def subtree(name: str, time: int, head: Checkpoint) -> bytes:
    """The formats' line on ML-DSA-44 cosignatures, byte for byte."""
    return (b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + time.to_bytes(8, "big")
            + bytes([len(head.origin)]) + head.origin.encode() + bytes(8)
            + head.size.to_bytes(8, "big") + head.root)  # fmt: skip


def witnessed(time: int, message: bytes) -> bytes:
    line = signature_line(WITNESS_KEY, struct.pack(">Q", time) + WITNESS.sign(message))
    return TEXT + b"\n" + line


def test_an_ml_dsa_cosignature_is_over_the_subtree() -> None:
    note = Note.parse(witnessed(TIME, subtree(WITNESS_KEY.name, TIME, HEAD)))
    assert note.verify([WITNESS_KEY]) == [WITNESS_KEY]


OTHERS = {
    "another name": subtree(NAME, TIME, HEAD),
    "another time": subtree(WITNESS_KEY.name, TIME + 1, HEAD),
    "another origin": subtree(WITNESS_KEY.name, TIME, Checkpoint("a", 7, HEAD.root)),
    "another size": subtree(WITNESS_KEY.name, TIME, Checkpoint(NAME, 8, HEAD.root)),
    "another root": subtree(WITNESS_KEY.name, TIME, Checkpoint(NAME, 7, bytes(32))),
    "the text": TEXT,
    "the message of type 0x04": b"cosignature/v1\ntime %d\n" % TIME + TEXT,
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_ml_dsa_cosignature_over_anything_else_fails(name: str) -> None:
    with pytest.raises(NoteError, match="fails"):
        Note.parse(witnessed(TIME, OTHERS[name])).verify([WITNESS_KEY])


def test_an_ed25519_cosignature_names_its_time() -> None:
    key = VerifierKey("witness.example/e", 0x04, ED.public)
    for time, good in ((TIME, True), (TIME + 1, False)):
        signature = ED.sign(b"cosignature/v1\ntime %d\n" % TIME + TEXT)
        note = TEXT + b"\n" + signature_line(key, struct.pack(">Q", time) + signature)
        if good:
            assert Note.parse(note).verify([key]) == [key]
        else:
            with pytest.raises(NoteError, match="fails"):
                Note.parse(note).verify([key])


@pytest.mark.parametrize("kind", [0x01, 0x04, 0x06])
@pytest.mark.parametrize("size", [1, 7, 8, 63, 65])
def test_signatures_of_a_wrong_length_fail(kind: int, size: int) -> None:
    key = VerifierKey(NAME, kind, ML_KEY.public if kind == 0x06 else ED.public)
    with pytest.raises(NoteError, match="fails"):
        Note.parse(TEXT + b"\n" + signature_line(key, bytes(size))).verify([key])


def test_an_ml_dsa_cosignature_of_no_checkpoint_is_refused() -> None:
    line = signature_line(WITNESS_KEY, struct.pack(">Q", TIME) + WITNESS.sign(b"x"))
    with pytest.raises(NoteError):
        Note.parse(b"x\n\n" + line).verify([WITNESS_KEY])


# What the log signs


def test_the_log_signs_with_both_keys() -> None:
    note = SIGNER.sign(HEAD, TIME)
    assert SIGNER.keys[0] == ED_KEY and Note.parse(note).text == TEXT
    assert Note.parse(note).verify(SIGNER.keys) == list(SIGNER.keys)
    assert open_checkpoint(note, SIGNER.keys) == HEAD


def test_every_key_of_the_log_must_have_signed() -> None:
    lines = SIGNER.sign(HEAD, TIME)[len(TEXT) + 1 :].splitlines(keepends=True)
    assert len(lines) == 2
    for line in lines:
        with pytest.raises(NoteError, match="has not signed"):
            open_checkpoint(TEXT + b"\n" + line, SIGNER.keys)


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    text = Checkpoint("log.example/other", 7, HEAD.root).text()
    note = text + b"\n" + signature_line(ED_KEY, ED.sign(text))
    with pytest.raises(NoteError, match="origin"):
        open_checkpoint(note, [ED_KEY])


def test_size_0_has_the_empty_root() -> None:
    empty = hashlib.sha256(b"").digest()
    assert open_checkpoint(SIGNER.sign(Checkpoint(NAME, 0, empty), TIME), SIGNER.keys).size == 0
    with pytest.raises(NoteError, match="empty root"):
        open_checkpoint(SIGNER.sign(Checkpoint(NAME, 0, HEAD.root), TIME), SIGNER.keys)
