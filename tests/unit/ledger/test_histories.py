"""The proof of a history: whatever is taken out, put in, altered or proved by another receipt is found."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import FormError
from ledger.auditor import check_history_proof
from ledger.commands import main as ledger_command
from ledger.entry import Entry
from ledger.errors import ProofError
from ledger.files import read_proof
from ledger.histories import check_history, history_text, is_history
from tests.support.memory_log import MemoryLog, Person, reading


class Told:
    """A patient's history beside another's, and what proves it."""

    def __init__(self) -> None:
        """Eight entries of the patient's stream; the last is the look that asked for them."""
        self.log = MemoryLog()
        admin = self.log.admin(self.log.hospital())
        doctor = self.log.doctor(admin)
        self.patient, self.other = self.log.patient(admin), self.log.patient(admin)
        for _ in range(3):
            record = self.log.upload(doctor, self.patient)
            self.log.upload(doctor, self.other)
            self.log.do(doctor, "record.opened", reading(record), self.patient)
        self.log.do(self.patient, "history.opened", {"purpose": "PATRQT"}, self.patient)
        self.entries = self.stream(self.patient)

    def stream(self, person: Person) -> list[bytes]:
        """The stored bytes of a patient's stream."""
        name = f"patient/{person.patient}"
        return [entry.raw for entry in self.log.entries if entry.event.stream == name]

    def proof(self, entries: list[bytes], receipt: int | None = None) -> bytes:
        """The file, with the receipt of the last entry or of another."""
        seq = Entry.parse(entries[-1]).link.seq if receipt is None else receipt
        return history_text(entries, self.log.receipt(seq).text()).encode()


TOLD = Told()


def test_a_whole_history_holds() -> None:
    """All entries of the stream and no other, in words that say how many and until when."""
    found = check_history_proof(TOLD.proof(TOLD.entries), TOLD.log.vkeys)
    assert [entry.raw for entry in found.entries] == TOLD.entries
    assert found.line.startswith(
        f"complete: 8 entries of patient/{TOLD.patient.patient}, up to entry "
    )


@given(st.sets(st.integers(0, 7), min_size=1, max_size=6))
def test_a_history_with_a_gap_is_found(gone: set[int]) -> None:
    """Whatever is left out; but for the end, whose receipt says that it is an older history."""
    left = [raw for number, raw in enumerate(TOLD.entries) if number not in gone]
    if left == TOLD.entries[: len(left)]:
        assert len(check_history_proof(TOLD.proof(left), TOLD.log.vkeys).entries) == len(left)
    else:
        with pytest.raises(ProofError, match="history"):
            check_history_proof(TOLD.proof(left), TOLD.log.vkeys)


@given(st.permutations(range(8)))
def test_a_history_in_another_order_is_found(order: list[int]) -> None:
    """Only the order of the log is one."""
    if order != sorted(order):
        with pytest.raises(ProofError, match="history"):
            check_history([TOLD.entries[number] for number in order])


@given(st.integers(0, 7), st.data())
def test_an_altered_entry_is_found(number: int, data: st.DataObject) -> None:
    """One byte of one entry."""
    raw = bytearray(TOLD.entries[number])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = raw[at] ^ 1
    entries = [*TOLD.entries[:number], bytes(raw), *TOLD.entries[number + 1 :]]
    told = {"entries": [one.decode("latin-1") for one in entries], "receipt": _receipt()}
    with pytest.raises((ProofError, FormError)):
        check_history_proof(json.dumps(told).encode(), TOLD.log.vkeys)


def _receipt() -> str:
    return TOLD.log.receipt(Entry.parse(TOLD.entries[-1]).link.seq).text().decode()


def test_the_entries_of_another_are_found() -> None:
    """Their chain is whole too, and the receipt is not theirs."""
    with pytest.raises(ProofError, match="not entry"):
        check_history_proof(
            TOLD.proof(TOLD.stream(TOLD.other), Entry.parse(TOLD.entries[-1]).link.seq),
            TOLD.log.vkeys,
        )


def test_the_receipt_of_another_log_is_found() -> None:
    """Without the log's keys the origin isn't proved; with others' keys it is refused."""
    assert check_history_proof(TOLD.proof(TOLD.entries), None)
    with pytest.raises(Exception, match="key"):
        check_history_proof(TOLD.proof(TOLD.entries), MemoryLog(origin="other.example/log").vkeys)


@pytest.mark.parametrize("data", [
    b"{", b"{}", b'{"entries":[],"receipt":""}', b'{"entries":[1],"receipt":""}', b'{"entries":{},"receipt":""}',
    b'{"entries":["x"],"receipt":1}', b'{"entries":["x"]}', b"[]", b'{"entries":null,"receipt":null}',
])  # fmt: skip
def test_what_is_no_proof_of_a_history(data: bytes) -> None:
    """Form is not proof: it is told apart from a forgery."""
    with pytest.raises(FormError):
        check_history_proof(data, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_command_checks_the_file_in_whatever_form_it_was_kept(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` takes both, a receipt and the proof of a history."""
    file, vkey = tmp_path / "history.json", tmp_path / "log.vkey"
    file.write_text(TOLD.proof(TOLD.entries).decode(), encoding=encoding, newline="\r\n")
    vkey.write_text("".join(f"{key}\n" for key in TOLD.log.vkeys))
    assert is_history(file.read_bytes()[:64])
    assert ledger_command(["check", str(file), "--vkey", str(vkey)]) == 0
    assert capsys.readouterr().out.startswith("complete: 8 entries of patient/")
    assert ledger_command(["check", str(file)]) == 3


def test_a_file_that_is_neither(tmp_path: Path) -> None:
    """It is said that it is no receipt."""
    (tmp_path / "file").write_text("something else")
    with pytest.raises(FormError, match="not a receipt"):
        read_proof(tmp_path / "file")
