"""The ledger's blob store: the one that its data directory says, tested before anything is written to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.app.settings import Settings
from durable.errors import StartRefused
from durable.files import replace_file
from storage.blobs.checking import ANSWERS, CHECKSUMS, Guarantee, check_place, sums_are_checked
from storage.blobs.files import BlobStore
from storage.blobs.place import Place, SeveralPlaces, open_place
from storage.clock import wall_clock

RECORD = "blobs.json"
"""Where the blobs are, and what was found there; there is none while they are in the data directory."""
STORES = "stores"
"""In that file, of several stores: when each was tested last, by name; one that did not answer keeps its time before."""


def ready_blobs(settings: Settings) -> BlobStore:
    """The store to write to; one that was never tested is tested now. Raises StartRefused, BlobsUnavailable."""
    place, record = _theirs(settings)
    if not isinstance(place, Path) and "checked" not in record:
        return adopt_blobs(settings, place)
    return open_place(place, read_back=not record.get(CHECKSUMS, False))


def readable_blobs(settings: Settings) -> BlobStore:
    """The store to read from, or to repair, without a trial; raises StartRefused where it isn't the ledger's."""
    place, record = _theirs(settings)
    return open_place(place, read_back=not record.get(CHECKSUMS, False))


def check_blobs(settings: Settings) -> None:
    """Test a remote store, or several, again before a server starts; raises StartRefused, BlobsUnavailable.

    Of several stores a quorum will do: the server starts where one is down.
    """
    place, _ = _theirs(settings)
    if not isinstance(place, Path):
        adopt_blobs(settings, place, every=False)


def adopt_blobs(settings: Settings, place: Place, every: bool = True) -> BlobStore:
    """The store at `place`, which is the ledger's from now on; raises StartRefused if it must not be used.

    `every`: none of several stores may be missing.
    """
    found = fit(place, every)
    checksums = sums_are_checked(place, found)
    record: dict[str, Any] = {
        "place": _name(settings, place),
        "checked": wall_clock(),
        CHECKSUMS: checksums,
    }
    if isinstance(place, SeveralPlaces):
        silent = {one.name for one in found if not one.held and one.name.endswith(f": {ANSWERS}")}
        before = dict(_read(settings).get(STORES, {})) if is_ledgers(settings, place) else {}
        now = {n: wall_clock() for n, _ in place.stores if f"{n}: {ANSWERS}" not in silent}
        record[STORES] = before | now
    replace_file(settings.data / RECORD, json.dumps(record, indent=1).encode() + b"\n")
    return open_place(place, read_back=not checksums)


def fit(place: Place, every: bool = True) -> Sequence[Guarantee]:
    """What was found at a place; raises StartRefused where nothing is to be written. `every`: see `adopt_blobs`."""
    found = check_place(place)
    if bad := [
        f"{one.name}: {one.words}"
        for one in found
        if one.fatal or (every and not one.held and one.name.endswith(f": {ANSWERS}"))
    ]:
        raise StartRefused(
            f"{place} must not be used for blobs: {'; '.join(bad)}. `heartwood blobs check` tests it again"
        )
    return found


def recorded(settings: Settings) -> tuple[Place, dict[str, Any]]:
    """The ledger's place, and what was found of it when it was tested last; nothing is opened or made.

    Empty for the data directory. Raises StartRefused where the setting names another place than the ledger's.
    """
    return _theirs(settings)


def is_default(settings: Settings, place: Place) -> bool:
    """Whether it is the folder in the data directory."""
    return not _name(settings, place)


def is_ledgers(settings: Settings, place: Place) -> bool:
    """Whether it is the place that the data directory names."""
    return _name(settings, place) == str(_read(settings).get("place", ""))


def _theirs(settings: Settings) -> tuple[Place, dict[str, Any]]:
    """The place of the setting, and what is recorded; raises StartRefused where the blobs are elsewhere."""
    place, record = settings.blob_place(), _read(settings)
    if _name(settings, place) != record.get("place", ""):
        there = record.get("place") or settings.data / "blobs"
        raise StartRefused(
            f"this ledger's blobs are in {there}, and HEARTWOOD_BLOBS names {place}: set it to where they are, or "
            "move them: `heartwood blobs move FROM TO --final`"
        )
    return place, record


def _name(settings: Settings, place: Place) -> str:
    """What is recorded of a place; nothing of the folder in the data directory, which may be moved."""
    if not isinstance(place, Path):
        return str(place)
    path = place.resolve()
    return "" if path == (settings.data / "blobs").resolve() else f"file:{path}"


def _read(settings: Settings) -> dict[str, Any]:
    path: Path = settings.data / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        if not isinstance(record["place"], str) or not isinstance(record[CHECKSUMS], bool):
            raise TypeError("its fields are not of their types")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StartRefused(
            f"{path} can't be read ({error}): put it back, or say where the blobs are by "
            "`heartwood blobs move FROM TO --final`"
        ) from error
    return record
