"""The keeper as a witness of its own log (C2SP tlog-cosignature): it cosigns what it has read, and judged, to the end."""

from pathlib import Path

from crypto.notes import Cosigner
from durable.files import create_file
from keeper.roots import create_root, load_root

COSIGNING = ("cosigning-ed25519.seed", "cosigning-ml-dsa-44.seed")
"""The keeper's private keys as a witness; under the passphrase, if there is one."""
ENDED = "cosigning.ended"
"""That the log was restored after the keeper had cosigned it: a witness never cosigns two histories."""


def cosigner_name(origin: str) -> str:
    """What the keeper of a log is called as its witness."""
    return f"{origin}/keeper"


def open_cosigner(folder: Path, origin: str, secret: str | None) -> Cosigner:
    """The keeper's keys as a witness, drawn when there are none; raises StartRefused for what can't be opened."""
    paths = [folder / name for name in COSIGNING]
    for path in paths:
        if not path.exists():
            try:
                create_root(path, secret)
            except FileExistsError:
                continue  # by another process that opens this folder
    return Cosigner(cosigner_name(origin), *(load_root(path, secret) for path in paths))


def end_cosigning(folder: Path, note: bytes) -> None:
    """Cosign nothing any more, from this checkpoint on."""
    if not (folder / ENDED).exists():
        create_file(folder / ENDED, note)
