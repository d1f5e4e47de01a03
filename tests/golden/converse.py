"""Writes the golden conversation with a witness that isn't ours: `python -m tests.golden.converse URL VKEY`.

The witness must know two logs by their Ed25519 keys, and have cosigned nothing of either: `example.com/log/testdata`,
whose keys are public, and that of `export/` in the fixture of 0.1.0. What lies in `witness/` was answered by
litewitness of filippo.io/torchwood v0.6.1, built with Go 1.26.8 (`go install
filippo.io/torchwood/cmd/litewitness@v0.6.1`), with an Ed25519 key in an ssh-agent that is gone.
"""

import json
import sys
import tarfile

import httpx2

from crypto.encoding import b64encode
from crypto.notes import signature_line
from crypto.signing import SigningKey
from ledger.witnessing import Submission
from tests.support.paths import FIXTURES, GOLDEN
from tests.support.submissions import SmallLog

WRITTEN = ("conversation.json", "v0.1.0-export.checkpoint", "witness.vkey")
"""The files in `witness/`."""
LOG = SmallLog()
UNKNOWN = SmallLog("example.com/log/unknown")
FORK = LOG.forked(3)


def _badly_signed(size: int) -> bytes:
    text = LOG.checkpoint(size).text()
    return text + b"\n" + signature_line(LOG.key, SigningKey(bytes(32)).sign(text))


ASKED: tuple[tuple[str, bytes], ...] = (
    ("the first", LOG.submission(0, 5).text()),
    ("the same again", LOG.submission(5, 5).text()),
    ("another old size", LOG.submission(0, 9).text()),
    ("a larger one", LOG.submission(5, 15).text()),
    ("an old size above the new one", Submission(15, (), LOG.note(9)).text()),
    ("a smaller one", LOG.submission(5, 9).text()),
    ("a log that is not known", UNKNOWN.submission(0, 5).text()),
    ("signed by another", Submission(15, (), _badly_signed(15)).text()),
    ("another root of the same size", Submission(15, (), FORK.note(15)).text()),
    ("no submission", b"old 15\n"),
    ("a number with a leading zero", b"old 015\n\n" + LOG.note(15)),
)
"""In this order: what each is, and its body."""


def main(url: str, vkey: str) -> None:
    """Ask, and write what was answered."""
    here = GOLDEN / "witness"
    here.mkdir(exist_ok=True)
    said = []
    for name, body in ASKED:
        answer = httpx2.post(f"{url}/add-checkpoint", content=body)
        kind = answer.headers.get("content-type", "")
        said.append(
            {
                "what": name, "request": b64encode(body), "status": answer.status_code, "type": kind,
                "answer": b64encode(answer.content),
            }
        )  # fmt: skip
        print(answer.status_code, kind, name, answer.text[:80])
    (here / "conversation.json").write_text(json.dumps(said, indent=1) + "\n")
    (here / "witness.vkey").write_text(f"{vkey}\n")
    with tarfile.open(FIXTURES / "v0.1.0.tar.xz") as archive:
        file = archive.extractfile("export/checkpoint")
        assert file is not None
        note = file.read()
    cosigned = httpx2.post(f"{url}/add-checkpoint", content=Submission(0, (), note).text())
    assert cosigned.status_code == 200, cosigned.text
    (here / "v0.1.0-export.checkpoint").write_bytes(note + cosigned.content)


if __name__ == "__main__":
    main(*sys.argv[1:])
