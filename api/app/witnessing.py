"""A witness's folder: making it, opening it. It belongs to no ledger, and no ledger to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto.cosignatures import check_origin
from crypto.errors import FormError, NoteError
from crypto.notes import Cosigner
from durable.errors import StartRefused
from durable.files import create_file, private_directory
from keeper.roots import create_root, load_root
from storage.clock import wall_clock
from witness.store import WitnessStore
from witness.witness import Witness

MARKER = "witness.json"
"""Written last by `witness init`; a folder without it holds no witness."""
VKEYS = "witness.vkey"
"""The witness's verifier keys, one a line, for the policies of logs."""
SEEDS = ("ed25519.seed", "ml-dsa-44.seed")


def create_witness(folder: Path, name: str, passphrase: str | None) -> tuple[str, ...]:
    """Make a new witness, with new keys; gives its verifier keys. Never over anything that is there.

    Raises FormError for a name that is none, StartRefused for a folder that holds something.
    """
    try:
        check_origin(name)
    except NoteError as error:
        raise FormError(f"the witness's name: {error}") from error
    if folder.exists() and any(folder.iterdir()):
        raise StartRefused(f"{folder} is not empty; a witness gets a folder of its own")
    private_directory(folder)
    seeds = [create_root(folder / seed, passphrase) for seed in SEEDS]
    vkeys = tuple(str(key) for key in Cosigner(name, *seeds).keys)
    WitnessStore(folder, create=True).close()
    create_file(folder / VKEYS, "".join(f"{vkey}\n" for vkey in vkeys).encode())
    create_file(folder / MARKER, json.dumps({"format": 1, "name": name}).encode() + b"\n")
    return vkeys


@contextmanager
def opened_witness(
    folder: Path, passphrase: str | None, clock: Callable[[], int] = wall_clock
) -> Iterator[Witness]:
    """The witness of a folder, closed at the end; raises StartRefused with the remedy."""
    name = witness_name(folder)
    for seed in SEEDS:
        if not (folder / seed).exists():
            raise StartRefused(
                f"the private key {folder / seed} is missing: put it back, or set up a new witness with new keys"
            )
    cosigner = Cosigner(name, *(load_root(folder / seed, passphrase) for seed in SEEDS))
    vkeys = "".join(f"{key}\n" for key in cosigner.keys)
    if not (folder / VKEYS).exists() or (folder / VKEYS).read_text() != vkeys:
        raise StartRefused(
            f"the private keys in {folder} are not those of {VKEYS}: put the right files back"
        )
    store = WitnessStore(folder)
    try:
        yield Witness(store, cosigner, clock)
    finally:
        store.close()


def witness_name(folder: Path) -> str:
    """The name of the witness in a folder; raises StartRefused."""
    path = folder / MARKER
    if not path.exists():
        raise StartRefused(
            f"there is no witness in {folder}; `heartwood witness init` makes a new one"
        )
    try:
        marker = json.loads(path.read_bytes())
        if marker["format"] != 1:
            raise StartRefused(
                f"{path} has format {marker['format']}, expected 1: use a later program"
            )
        return str(marker["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise StartRefused(f"{path} is damaged ({error}): restore it from a backup") from error
