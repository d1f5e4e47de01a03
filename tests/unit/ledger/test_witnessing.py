"""What a witness must not cosign (C2SP tlog-witness), and what it is proved by."""

import struct
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from crypto.cosignatures import Checkpoint, ml_dsa_message
from crypto.errors import FormError
from crypto.notes import Note, VerifierKey, signature_line
from crypto.signing import SigningKey
from ledger.merkle import EMPTY_ROOT, proved_roots
from ledger.witnessing import NotCosigned, Seen, Submission, admit, check_extends
from tests.support.submissions import KNOWN_ORIGIN, TIME, SmallLog

LOG = SmallLog()
SIZE = len(LOG.entries)


def judged(body: bytes, cosigned: int, log: SmallLog = LOG) -> Checkpoint:
    """What a witness of the log that cosigned so much of it would cosign; raises NotCosigned."""
    admitted = admit(body, lambda origin: [log.key] if origin == log.origin else [])
    check_extends(admitted, seen(cosigned, log))
    return admitted.checkpoint


def seen(size: int, log: SmallLog = LOG) -> Seen:
    return Seen(size, log.checkpoint(size).root) if size else Seen()


@pytest.mark.parametrize("old", range(SIZE + 1))
def test_whatever_extends_what_was_cosigned_is_cosigned(old: int) -> None:
    for new in range(old, SIZE + 1):
        assert judged(LOG.submission(old, new).text(), old).size == new


@pytest.mark.parametrize("old", range(SIZE + 1))
def test_nothing_of_another_history_is_cosigned(old: int) -> None:
    """And where the proof tells the root of the old size, it proves that the log signed two histories."""
    for at in range(old):
        fork = LOG.forked(at)
        for new in range(old, SIZE + 1):
            with pytest.raises(NotCosigned) as refused:
                judged(fork.submission(old, new).text(), old)
            told = new == old or old & (old - 1) != 0
            assert (refused.value.status, refused.value.two_faces) == (422, told)


def bad(body: bytes) -> tuple[bytes, int]:
    return body, 400


_GOOD = LOG.submission(5, 9)
_TEXT = LOG.checkpoint(9).text()


def signed(text: bytes) -> bytes:
    return text + b"\n" + signature_line(LOG.key, SigningKey(LOG.seed).sign(text))


REFUSED: dict[str, tuple[bytes, int]] = {
    "empty": bad(b""),
    "no empty line": bad(b"old 5\n" + LOG.note(9).replace(b"\n\n", b"\n")),
    "no old size": bad(b"\n\n" + LOG.note(9)),
    "another first word": bad(_GOOD.text().replace(b"old ", b"Old ")),
    "no number": bad(_GOOD.text().replace(b"old 5", b"old five")),
    "a sign": bad(_GOOD.text().replace(b"old 5", b"old +5")),
    "a leading zero": bad(_GOOD.text().replace(b"old 5", b"old 05")),
    "two spaces": bad(_GOOD.text().replace(b"old 5", b"old  5")),
    "carriage returns": bad(_GOOD.text().replace(b"old 5\n", b"old 5\r\n")),
    "a hash too short": bad(b"old 5\nAAAA\n\n" + LOG.note(9)),
    "a hash in another alphabet": bad(b"old 5\n" + b"_" * 43 + b"=\n\n" + LOG.note(9)),
    "64 hashes": bad(b"old 5\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63 + b"\n" + LOG.note(9)),
    "no signature": bad(b"old 5\n\n" + _TEXT),
    "a checkpoint of two lines": bad(b"old 5\n\n" + signed(b"\n".join(_TEXT.split(b"\n")[:2]) + b"\n")),
    "an empty line in the checkpoint": bad(b"old 5\n\n" + signed(_TEXT + b"\nmore\n")),
    "a size below zero": bad(b"old 5\n\n" + signed(_TEXT.replace(b"\n9\n", b"\n-9\n"))),
    "a size above 2^63": bad(b"old 5\n\n" + signed(_TEXT.replace(b"\n9\n", b"\n9223372036854775808\n"))),
    "an old size above the new one": bad(Submission(10, (), LOG.note(9)).text()),
    "not UTF-8": bad(b"old 5\n\n" + signed(_TEXT + b"\xff\n")),
    "a control character": bad(b"old 5\n\n" + signed(_TEXT + b"\x01\n")),
    "another log": (SmallLog("example.com/other").submission(5, 9).text(), 404),
    "no origin": (b"old 5\n\n" + signed(b" \n9\n" + _TEXT.split(b"\n")[2] + b"\n"), 404),
    "signed by another key": (
        b"old 5\n\n" + _TEXT + b"\n" + signature_line(SmallLog(seed=bytes(32)).key, bytes(64)), 403,
    ),
    "signed wrongly": (b"old 5\n\n" + _TEXT + b"\n" + signature_line(LOG.key, bytes(64)), 403),
    "signed, for another text": (_GOOD.text().replace(b"\n9\n", b"\n8\n"), 403),
    "a smaller old size": (LOG.submission(4, 9).text(), 409),
    "a larger old size": (LOG.submission(6, 9).text(), 409),
    "no proof": (Submission(5, (), LOG.note(9)).text(), 422),
    "a proof too short": (Submission(5, LOG.proof(5, 9)[:-1], LOG.note(9)).text(), 422),
    "a proof too long": (Submission(5, (*LOG.proof(5, 9), EMPTY_ROOT), LOG.note(9)).text(), 422),
    "a proof of another size": (Submission(5, LOG.proof(5, 8), LOG.note(9)).text(), 422),
    "a needless proof": (Submission(5, LOG.proof(3, 5), LOG.note(5)).text(), 422),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_each_fault_has_its_answer(name: str) -> None:
    """Of a witness that cosigned 5 entries."""
    body, status = REFUSED[name]
    with pytest.raises(NotCosigned) as refused:
        judged(body, 5)
    assert refused.value.status == status
    assert refused.value.size == (5 if status == 409 else None)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("proof", "root"), [((EMPTY_ROOT,), EMPTY_ROOT), ((), bytes(32)), ((EMPTY_ROOT,), bytes(32))]
)
def test_an_empty_log_has_the_empty_root_and_no_proof(
    proof: tuple[bytes, ...], root: bytes
) -> None:
    note = signed(Checkpoint(KNOWN_ORIGIN, 0, root).text())
    with pytest.raises(NotCosigned) as refused:
        judged(Submission(0, proof, note).text(), 0)
    assert refused.value.status == 422


def test_from_size_0_no_proof_is_taken() -> None:
    with pytest.raises(NotCosigned) as refused:
        judged(Submission(0, (EMPTY_ROOT,), LOG.note(9)).text(), 0)
    assert refused.value.status == 422


def test_another_root_of_the_size_is_two_faces_whatever_the_old_size() -> None:
    with pytest.raises(NotCosigned) as refused:
        judged(LOG.forked(3).submission(4, 9).text(), 9)
    assert (refused.value.status, refused.value.size, refused.value.two_faces) == (409, 9, True)


def test_lines_of_the_logs_own_are_cosigned_with_the_rest() -> None:
    body = Submission(5, LOG.proof(5, 9), LOG.note(9, "timestamp 1\n")).text()
    admitted = admit(body, lambda origin: [LOG.key])
    assert admitted.text == _TEXT + b"timestamp 1\n"
    check_extends(admitted, seen(5))


def test_a_log_may_sign_with_ml_dsa_alone_and_add_lines() -> None:
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    key = VerifierKey(KNOWN_ORIGIN, 0x06, private.public_key().public_bytes_raw())
    text = _TEXT + b"more\n"
    value = private.sign(ml_dsa_message(KNOWN_ORIGIN, TIME, LOG.checkpoint(9)))
    note = text + b"\n" + signature_line(key, struct.pack(">Q", TIME) + value)
    assert admit(Submission(0, (), note).text(), lambda origin: [key]).checkpoint.size == 9


def test_one_of_two_keys_is_enough_but_a_wrong_line_is_not() -> None:
    """As the page has it: none verifies is 403; a known key's line that fails rejects a signed note."""
    keys = LOG.signer.keys
    assert admit(LOG.submission(0, 5).text(), lambda origin: keys).checkpoint.size == 5
    body = LOG.submission(0, 5).text() + signature_line(keys[1], bytes(8 + 2420))
    with pytest.raises(NotCosigned) as refused:
        admit(body, lambda origin: keys)
    assert refused.value.status == 403


@given(st.binary(max_size=300))
def test_a_submission_is_read_as_it_is_written_or_not_at_all(data: bytes) -> None:
    for body in (data, b"old " + data, _GOOD.text()[: len(data)] + data):
        with suppress(FormError):
            assert Submission.parse(body).text() == body


@given(st.integers(1, SIZE), st.data())
def test_a_proof_tells_the_old_root(old: int, data: st.DataObject) -> None:
    new = data.draw(st.integers(old, SIZE))
    roots = proved_roots(old, LOG.checkpoint(old).root, new, LOG.proof(old, new))
    assert roots == (LOG.checkpoint(old).root, LOG.checkpoint(new).root)


def test_what_is_submitted_is_a_signed_note() -> None:
    assert Note.parse(_GOOD.note).text == _TEXT
