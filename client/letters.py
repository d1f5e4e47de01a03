"""Letters with a code, as text or PDF, in English and German: what to compare, what to do. No clinical data, no name.

One kind lets a patient claim a chart (`Letter`), another lets a doctor join a hospital (`inviting.InvitationLetter`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from client.claiming import Code
from client.port import LedgerClient
from journeys.errors import RecordsError

LINK = "heartwood:claim"
"""How what a letter's square holds begins."""
QR_MM = 45
"""Side of the QR code on paper."""
_MARGIN_MM = 20
_LINE_MM = 5.5


class Sheet(Protocol):
    """What is printed: a letter of one kind."""

    @property
    def link(self) -> str:
        """What the QR code holds: all that is to be typed."""
        ...

    def facts(self) -> list[str]:
        """What is to be compared or typed, line by line."""
        ...

    def parts(self) -> list[tuple[str, str]]:
        """Title and words in each language."""
        ...


@dataclass(frozen=True)
class Letter:
    """What a letter says of one chart."""

    origin: str
    fingerprint: str
    """Of the log's first verifier key; see `fingerprint`."""
    patient: str
    code: str

    @property
    def link(self) -> str:
        """What the QR code holds: all that is to be typed, but for the birth date."""
        members = {"origin": self.origin, "key": self.fingerprint.replace(" ", ""),
                   "patient": self.patient, "code": self.code}  # fmt: skip
        return f"{LINK}?{urlencode(members)}"

    def facts(self) -> list[str]:
        """The log, the chart and the code."""
        return [
            f"Log / Register:             {self.origin}",
            f"Fingerprint / Fingerabdruck: {self.fingerprint}",
            f"Patient:                    {self.patient}",
            f"Code:                       {self.code}",
        ]

    def parts(self) -> list[tuple[str, str]]:
        """What to do with them."""
        return [
            (
                "Your patient record: how to claim it",
                "The hospital keeps a record for you. With the code below you make it yours: from then on you alone decide "
                "who may read it.\n"
                "1. Register an account of your own.\n"
                "2. Compare the log and its fingerprint with what your program shows.\n"
                "3. Scan the square, or type patient and code, and give your birth date:\n"
                f"heartwood account claim {self.patient} --code CODE --born YYYY-MM-DD --as KEYFILE\n"
                "The code counts once. Keep this letter to yourself; if you lose it, the hospital sends a new code, and this "
                "one counts no more. Nobody will ever ask you for the code by telephone or e-mail.",
            ),
            (
                "Ihre Patientenakte: So übernehmen Sie sie",
                "Das Krankenhaus führt eine Akte für Sie. Mit dem Code unten wird sie Ihre: Von da an entscheiden Sie allein, "
                "wer sie lesen darf.\n"
                "1. Legen Sie ein eigenes Konto an.\n"
                "2. Vergleichen Sie Register und Fingerabdruck mit dem, was Ihr Programm anzeigt.\n"
                "3. Scannen Sie das Quadrat, oder geben Sie Patient und Code ein, und nennen Sie Ihr Geburtsdatum:\n"
                f"heartwood account claim {self.patient} --code CODE --born JJJJ-MM-TT --as SCHLÜSSELDATEI\n"
                "Der Code gilt einmal. Behalten Sie diesen Brief für sich; geht er verloren, schickt das Krankenhaus einen "
                "neuen Code, und dieser gilt nicht mehr. Niemand wird Sie je am Telefon oder per E-Mail nach dem Code fragen.",
            ),
        ]


def scanned(client: LedgerClient, text: str) -> tuple[str, str]:
    """Patient and code of what a letter's square holds; raises RecordsError, also for the letter of another log."""
    head, _, query = text.partition("?")
    found = dict(parse_qsl(query))
    if head != LINK or found.keys() != {"origin", "key", "patient", "code"}:
        raise RecordsError(
            f"expected what the letter's square holds: {LINK}?origin=…&key=…&patient=…&code=…"
        )
    key = fingerprint(client.verifier_keys()).replace(" ", "")
    if (found["origin"], found["key"]) != (client.origin, key):
        raise RecordsError(
            f"the letter is of the log {found['origin']}, key {found['key']}; this one is {client.origin}, key "
            f"{key}. If the log's keys have changed since, ask the hospital for a new letter"
        )
    return found["patient"], found["code"]


def letter_of(client: LedgerClient, code: Code) -> Letter:
    """The letter with a chart's code, of the client's log."""
    return Letter(client.origin, fingerprint(client.verifier_keys()), code.patient, code.text)


def fingerprint(vkeys: Sequence[str]) -> str:
    """SHA-256 over the first verifier key of a log as its text, the first 16 bytes in hexadecimal, in groups of four."""
    digits = hashlib.sha256(vkeys[0].encode()).hexdigest()[:32]
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def letter_bytes(letter: Sheet, path: Path) -> bytes:
    """The letter as a file at `path` holds it: a PDF by that ending, else text."""
    return pdf(letter) if path.suffix.lower() == ".pdf" else text(letter).encode()


def text(letter: Sheet) -> str:
    """The letter as plain text, with the QR code in half blocks."""
    parts = [f"{title}\n\n{words}\n" for title, words in letter.parts()]
    return "\n".join([*parts, *letter.facts(), "", _blocks(_modules(letter, border=2))])


def _modules(letter: Sheet, border: int) -> list[list[bool]]:
    """The QR code's squares, dark ones true, with so many light ones around them."""
    import segno  # here, as no other command needs it

    made = segno.make(letter.link, error="m", micro=False)
    return [[bool(dark) for dark in row] for row in made.matrix_iter(border=border)]


def _blocks(rows: list[list[bool]]) -> str:
    """Two rows of squares in each line of text."""
    rows = [*rows, [False] * len(rows[0])] if len(rows) % 2 else rows
    return "".join(
        "".join(" ▄▀█"[2 * above + below] for above, below in zip(*pair, strict=True)).rstrip()
        + "\n"
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )


def pdf(letter: Sheet) -> bytes:
    """The letter as a PDF page (A4)."""
    from fpdf import FPDF  # here, as no other command needs it

    page = FPDF(format="A4")
    page.set_title("Heartwood")
    page.set_margin(_MARGIN_MM)
    page.add_page()
    for title, words in letter.parts():
        page.set_font("Helvetica", "B", 13)
        page.multi_cell(0, _LINE_MM + 1, title, new_x="LMARGIN", new_y="NEXT")
        page.set_font("Helvetica", "", 10.5)
        page.multi_cell(0, _LINE_MM, words, new_x="LMARGIN", new_y="NEXT")
        page.ln(_LINE_MM)
    page.set_font("Courier", "", 10.5)
    for line in letter.facts():
        page.multi_cell(0, _LINE_MM, line, new_x="LMARGIN", new_y="NEXT")
    page.ln(_LINE_MM)
    rows = _modules(letter, border=0)
    side, left, top = QR_MM / len(rows), page.get_x(), page.get_y()
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                page.rect(left + x * side, top + y * side, side, side, style="F")
    return bytes(page.output())
