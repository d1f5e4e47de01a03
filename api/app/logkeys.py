"""Where the log's private keys lie: a file for each of a generation's two, in the folder `keys` of the data directory."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from crypto.notes import LogSigner, VerifierKey
from durable.files import sync_directory
from keeper.roots import create_root, load_root
from keeper.roots.file import destroy_root_file

STEMS = ("log-ed25519", "log-ml-dsa-44")
"""How the files of a pair begin; those of the first are called just so, those of later ones have a number."""

GONE = ".gone"
"""What follows the name of a private key's file while it is destroyed."""


def pair(folder: Path, number: int) -> tuple[Path, Path]:
    """The files of the pair of this number, from 1."""
    ed25519, ml_dsa = (
        folder / (f"{stem}.seed" if number == 1 else f"{stem}.{number}.seed") for stem in STEMS
    )
    return ed25519, ml_dsa


def pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Those that are there whole."""
    for number in range(1, 1 + max(numbers(folder), default=0)):
        files = pair(folder, number)
        if all(path.exists() for path in files):
            yield files


def numbers(folder: Path) -> list[int]:
    """The numbers of all pairs of which a file is there, ascending."""
    found = set()
    for path in folder.glob("log-*.seed"):
        stem, _, number = path.name.removesuffix(".seed").partition(".")
        if stem in STEMS and (not number or number.isdecimal()):
            found.add(int(number or 1))
    return sorted(found)


def seed_files(folder: Path) -> list[Path]:
    """Every file of a private key of the log."""
    return [path for n in numbers(folder) for path in pair(folder, n) if path.exists()]


def signer_in(
    folder: Path, origin: str, secret: str | None
) -> Callable[[tuple[VerifierKey, ...]], LogSigner | None]:
    """What finds the signer of a generation in a folder; it raises StartRefused for a file that doesn't open."""

    def find(keys: tuple[VerifierKey, ...]) -> LogSigner | None:
        for files in pairs(folder):
            signer = _load(files, origin, secret)
            if tuple(signer.keys) == keys:
                return signer
        return None

    return find


def check_there(folder: Path, secret: str | None) -> None:
    """Raises StartRefused, which names the file, where no pair is there whole."""
    if any(pairs(folder)):
        return
    for path in pair(folder, max(numbers(folder), default=1)):
        load_root(path, secret)


def draw(
    folder: Path, origin: str, secret: str | None, known: Collection[VerifierKey]
) -> LogSigner:
    """The signer of a pair that the log doesn't know yet: one that was drawn before a crash, or a new one."""
    for number in numbers(folder):
        files = pair(folder, number)
        if any(key in known for key in _keys(files, origin, secret)):
            continue
        for path in files:
            if not path.exists():
                create_root(path, secret)
        return _load(files, origin, secret)
    files = pair(folder, max(numbers(folder), default=0) + 1)
    for path in files:
        create_root(path, secret)
    return _load(files, origin, secret)


def destroy(
    folder: Path, origin: str, secret: str | None, retired: Collection[VerifierKey]
) -> list[Path]:
    """Overwrite and delete the private keys of retired generations; gives the files that were.

    Each is renamed first: a crash while it is overwritten leaves nothing that somebody would try to open. What such a
    crash left is removed too.
    """
    gone = []
    for left in folder.glob(f"log-*.seed{GONE}"):
        destroy_root_file(left)
    for number in numbers(folder):
        files = pair(folder, number)
        keys = _keys(files, origin, secret)
        if keys and all(key in retired for key in keys):
            for path in filter(Path.exists, files):
                left = path.rename(path.with_name(path.name + GONE))
                sync_directory(folder)
                destroy_root_file(left)
                gone.append(path)
    return gone


def _load(files: tuple[Path, Path], origin: str, secret: str | None) -> LogSigner:
    ed25519, ml_dsa = (load_root(path, secret) for path in files)
    return LogSigner(origin, ed25519, ml_dsa)


def _keys(files: tuple[Path, Path], origin: str, secret: str | None) -> list[VerifierKey]:
    """The verifier keys of those files of a pair that are there."""
    found = []
    for place, path in enumerate(files):
        if path.exists():
            seed = load_root(path, secret)
            found.append(LogSigner(origin, seed, seed).keys[place])
    return found
