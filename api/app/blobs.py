"""The ledger's blob store: the one that its data directory says, tested before anything is written to it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.app.layout import read_marker
from api.app.settings import Settings
from durable.errors import StartRefused
from durable.files import replace_file
from storage.blobs.checking import ANSWERS, CHECKSUMS, Guarantee, check_place, sums_are_checked
from storage.blobs.files import BlobStore
from storage.blobs.marker import ADOPT
from storage.blobs.place import Place, S3Place, SeveralPlaces, open_place
from storage.clock import wall_clock
from storage.errors import BlobError, BlobsUnavailable

RECORD = "blobs.json"
"""Where the blobs are, what was found there, and that the store has its marker; a ledger of an older program, whose
blobs are in the data directory, has none."""
MARKED = "marked"
STORES = "stores"
"""In that file, of several stores: when each was tested last, by name; one that did not answer keeps its time before."""
ONLY = "only"
"""How the one store of a ledger is named where a store's name is asked for."""
SAMPLE = 8
"""Blobs by which a store without a marker is known: the oldest of the ledger, which each of its stores has had longest."""


def ledger_blobs(settings: Settings) -> BlobStore:
    """The ledger's store, which must have the marker.

    Raises StartRefused where the setting names another, and for a ledger of an older program, whose store never got one.
    """
    place, record = _theirs(settings)
    if not record.get(MARKED):
        raise StartRefused(
            f"{place} has no marker yet, as of an older program: run `heartwood upgrade`"
        )
    return open_place(place, not record.get(CHECKSUMS, False), read_marker(settings)["origin"])


def readable_blobs(settings: Settings) -> BlobStore:
    """The same to read from: an older ledger is backed up before it is upgraded."""
    place, record = _theirs(settings)
    origin = read_marker(settings)["origin"] if record.get(MARKED) else ""
    return open_place(place, not record.get(CHECKSUMS, False), origin)


def check_blobs(settings: Settings) -> None:
    """Test a store again before a server starts; raises StartRefused, BlobsUnavailable.

    Of several stores a quorum will do: the server starts where one is down, or isn't mounted.
    """
    place, _ = _theirs(settings)
    origin = read_marker(settings)["origin"]
    if isinstance(place, Path):
        open_place(place, origin=origin).check_marked()
    else:
        _record(settings, place, fit(place, every=False, origin=origin))


def make_blobs(settings: Settings, place: Place, origin: str) -> BlobStore:
    """The store at `place`, which is this log's from now on and gets its marker.

    Raises StartRefused if it must not be used, BlobsUnavailable if it is another log's.
    """
    found = () if is_default(settings, place) else fit(place)
    open_place(place, not sums_are_checked(place, found)).mark(origin)
    read_back = not _record(settings, place, found)
    return open_place(place, read_back, origin)


def check_free(place: Place, origin: str) -> None:
    """Raises StartRefused where a store is another log's already."""
    for member in open_place(place).members():
        if (found := member.store.ledger()) not in ("", origin):
            raise StartRefused(
                f"{member.name + ' of ' if member.name else ''}{place} holds blobs of the ledger {found}: choose another place"
            )


@dataclass
class Marked:
    """What became of the stores of a ledger of an older program."""

    marked: list[str] = field(default_factory=list)
    """By name; a single store is `ONLY`."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Those that got no marker, and why."""


def mark_older(settings: Settings, oldest: Callable[[], Mapping[str, int]]) -> Marked:
    """Let each store of a ledger that an older program made have its marker; nothing where it has been done.

    `oldest`: the ledger's oldest blobs and their ciphertexts' lengths in bytes, as its key table says. A store that doesn't
    answer, or doesn't hold them, is skipped. Raises StartRefused below the quorum: they aren't mounted, say.
    """
    place, record = _theirs(settings)
    done = Marked()
    if record.get(MARKED):
        return done
    origin, sample = read_marker(settings)["origin"], oldest()
    for name, one in _stores(place):
        try:
            _check_holds(one, sample, origin)
            open_place(one, not record.get(CHECKSUMS, False)).mark(origin)
            done.marked.append(name)
        except (StartRefused, BlobsUnavailable, OSError) as error:
            done.skipped[name] = str(error)
    if len(done.marked) < (place.quorum if isinstance(place, SeveralPlaces) else 1):
        raise StartRefused(
            "; ".join(done.skipped.values())
            + ": is it mounted, and the right place? Then run `heartwood upgrade` again; a store that is to be filled anew: "
            f"{ADOPT}"
        )
    record |= {
        "place": _name(settings, place),
        CHECKSUMS: record.get(CHECKSUMS, False),
        MARKED: True,
    }
    _write(settings, record)
    return done


def adopt(
    settings: Settings, place: Place, name: str, oldest: Mapping[str, int], empty: bool
) -> None:
    """Make one store of a place the ledger's again, whatever is with the others; `oldest`: see `mark_older`.

    `empty`: one that doesn't hold them will do. Raises StartRefused for a place that isn't the ledger's, a store that it
    doesn't have, and one that must not be used; BlobsUnavailable for one that doesn't answer or is another ledger's.
    """
    if not is_ledgers(settings, place):
        raise StartRefused(
            f"{place} is not where this ledger's blobs are: `heartwood blobs move FROM TO --final` moves them"
        )
    stores = dict(_stores(place))
    if name not in stores:
        raise StartRefused(f"got {name!r} as the store to adopt, expected {' or '.join(stores)}")
    origin, one = read_marker(settings)["origin"], stores[name]
    if not empty:
        try:
            _check_holds(one, oldest, origin)
        except StartRefused as error:
            raise StartRefused(
                f"{error}: is it mounted, and the right place? One that is new, and is to be filled by `heartwood scrub`: "
                "say --empty"
            ) from error
    found = () if is_default(settings, one) else fit(one)
    checks = sums_are_checked(one, found)
    open_place(one, not checks).mark(origin)
    record = _read(settings)
    record |= {
        "place": _name(settings, place),
        # Of several, all must check sums; what is known of the others stays.
        CHECKSUMS: checks and (one == place or record.get(CHECKSUMS, False)),
    }
    if one == place:
        record |= {"checked": wall_clock(), MARKED: True}
    else:
        record[STORES] = {**record.get(STORES, {}), name: wall_clock()}
    _write(settings, record)


def mark_new(place: Place, before: Place, origin: str) -> None:
    """Make the stores of a place that log's; those that are in its place `before`, too, must be already.

    Raises BlobsUnavailable if one is another's, isn't there, or doesn't answer.
    """
    known = [one for _, one in _stores(before)]
    for _, one in _stores(place):
        if one in known:
            open_place(one, origin=origin).check_marked()
        else:
            open_place(one).mark(origin)


def take_moved(
    settings: Settings, place: Place, found: Sequence[Guarantee], store: BlobStore
) -> None:
    """Let the ledger use a place from now on that has all its blobs, and was found fit; `store` demands its marker.

    Raises BlobsUnavailable unless each of its stores is still the ledger's.
    """
    for member in store.members():
        member.store.check_marked()
    _record(settings, place, found)


def _stores(place: Place) -> Iterator[tuple[str, Path | S3Place]]:
    """The stores of a place, by name."""
    yield from place.stores if isinstance(place, SeveralPlaces) else ((ONLY, place),)


def _check_holds(place: Path | S3Place, oldest: Mapping[str, int], origin: str) -> None:
    """Raises StartRefused for a store without the marker that lacks most of these blobs; makes nothing there.

    Whatever was written to a mount point while no disk was mounted is newer than these.
    """
    if not oldest:
        return
    if isinstance(place, Path) and not place.is_dir():
        raise StartRefused(f"{place} is not there, and the ledger has blobs")
    store = open_place(place)
    if store.ledger() == origin:
        return
    held = 0
    for blob, length in oldest.items():
        try:
            held += store.size(blob) == length
        except BlobError:  # it has none
            continue
    if held * 2 < len(oldest):
        raise StartRefused(
            f"{place} holds {held} of the {len(oldest)} oldest blobs of this ledger, expected at least half of them"
        )


def _record(settings: Settings, place: Place, found: Sequence[Guarantee]) -> bool:
    """Keep what was found of the ledger's store, which has its marker; gives whether it checks sums."""
    checksums = sums_are_checked(place, found)
    record: dict[str, Any] = {
        "place": _name(settings, place),
        "checked": wall_clock(),
        CHECKSUMS: checksums,
        MARKED: True,
    }
    if isinstance(place, SeveralPlaces):
        silent = {one.name for one in found if not one.held and one.name.endswith(f": {ANSWERS}")}
        before = dict(_read(settings).get(STORES, {})) if is_ledgers(settings, place) else {}
        now = {n: wall_clock() for n, _ in place.stores if f"{n}: {ANSWERS}" not in silent}
        record[STORES] = before | now
    _write(settings, record)
    return checksums


def _write(settings: Settings, record: dict[str, Any]) -> None:
    replace_file(settings.data / RECORD, json.dumps(record, indent=1).encode() + b"\n")


def fit(place: Place, every: bool = True, origin: str = "") -> Sequence[Guarantee]:
    """What was found at a place; raises StartRefused where nothing is to be written.

    `every`: none of several stores may be missing; `origin`: the log whose marker must be there.
    """
    found = check_place(place, origin)
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
