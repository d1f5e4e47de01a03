"""Entries of the key keeper's own log: one for each thing that it gave out, before it gave it.

Nobody signs such an entry: the keeper's checkpoint does. `docs/adr/0010` says what a log of the ledger's format is whose
entries hold no events. Pure.
"""

from typing import Any, NamedTuple

from crypto import canonical
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from ledger.codes import BLOB, RECORD, body
from ledger.entry import ENTRY_LIMIT
from ledger.errors import EventError
from ledger.schema import HASH, KEY_ID, TIME, Integer, Kind, List, code, id_of
from ledger.times import format_time, parse_time

RELEASE_MS = 60_000
"""How long after its entry a reading may still get its key, by the keeper's own clock."""
OBJECTS = 256
"""Most objects whose texts one entry names; for more there are several entries."""
KEY, EXPORT, PACKAGE, TEXTS, RESTORED = "key", "export", "package", "texts", "restored"
"""The kinds: a data key; the data keys of an export; those of a referral, sealed for its receiver; texts of sealed fields; and
that the log was restored."""
RELEASED_FOR = {
    KEY: ("record.carried", "record.opened"),
    EXPORT: ("chart.exported",),
    PACKAGE: ("referral.taken",),
    TEXTS: ("chart.opened", "emergency.opened", "history.opened", "record.opened"),
}
"""The types of the readings that each kind of release is for."""
ONCE = (KEY, EXPORT, PACKAGE)
"""Kinds that a reading gets once."""
_WHAT = {
    KEY: body(blob=BLOB, kind=code(KEY), record=RECORD, version=Integer(1)).check(),
    EXPORT: body(count=Integer(), kind=code(EXPORT), root=HASH).check(),
    PACKAGE: body(count=Integer(1), key=KEY_ID, kind=code(PACKAGE), root=HASH).check(),
    TEXTS: body(
        kind=code(TEXTS), objects=List(id_of("[a-z]{1,4}"), OBJECTS, 1, rising=True)
    ).check(),
    RESTORED: body(kind=code(RESTORED)).check(),
}
_LINKS: dict[str, Kind] = {"prev": HASH, "seq": Integer(), "time": TIME}
_ALONE = frozenset({*_LINKS, "released"})
_READING = {"event": id_of("ev").check(), "reading": Integer().check()}
_links = {name: kind.check() for name, kind in _LINKS.items()}

What = dict[str, Any]
"""What was given out: the member `released` of an entry."""


def releases_origin(origin: str) -> str:
    """What the keeper's log of releases is called, of the log `origin`."""
    return f"{origin}/releases"


class Release(NamedTuple):
    """A parsed entry of the keeper's log; `time` is in Unix milliseconds, `prev` the leaf hash of the entry before."""

    seq: int
    prev: bytes
    time: int
    what: What
    reading: int = -1
    """The number of the reading that it was given for; -1 where it was given for none."""
    event: str = ""
    """That reading's event."""

    @property
    def kind(self) -> str:
        """One of the kinds above."""
        return str(self.what["kind"])

    def raw(self) -> bytes:
        """The entry's bytes, whose hash is its leaf."""
        named = {} if self.kind == RESTORED else {"event": self.event, "reading": self.reading}
        return canonical.write(
            named
            | {
                "prev": b64encode(self.prev),
                "released": self.what,
                "seq": self.seq,
                "time": format_time(self.time),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Release":
        """Read one entry; raises EventError for anything that isn't exactly of its form."""
        if len(raw) > ENTRY_LIMIT:
            raise EventError(f"got a release of {len(raw)} bytes, expected at most {ENTRY_LIMIT}")
        try:
            value = canonical.loads(raw)
            if type(value) is not dict or type(value.get("released")) is not dict:
                raise EventError("expected an object that says what was released")
            _check(value)
            release = cls(
                value["seq"], b64decode(value["prev"], 32), parse_time(value["time"]), value["released"],
                value.get("reading", -1), value.get("event", ""),
            )  # fmt: skip
            if release.raw() != raw:
                raise EventError(
                    "got a release that is not canonical JSON (order, space, a repeated key)"
                )
        except CryptoError as error:
            raise EventError(f"the release is none: {error}") from error
        return release


def _check(value: dict[str, Any]) -> None:
    """The members are those of a release of its kind; raises EventError."""
    what = value["released"]
    check = _WHAT.get(what["kind"]) if type(what.get("kind")) is str else None
    if check is None:
        raise EventError(
            f"got a release of the kind {str(what.get('kind'))[:40]!r}, expected one of {', '.join(_WHAT)}"
        )
    check(what, "released")
    named = {} if what["kind"] == RESTORED else _READING
    if value.keys() != _ALONE | named.keys():
        raise EventError(f"expected the members {', '.join(sorted(_ALONE | named.keys()))}")
    for name, member in (*_links.items(), *named.items()):
        member(value[name], name)


def key_given(record: str, version: int, blob: str) -> What:
    """That the data key of a version was given."""
    return {"blob": blob, "kind": KEY, "record": record, "version": version}


def export_given(count: int, root: bytes) -> What:
    """That the data keys of an export's list were given; `root`: see `exports.export_root`."""
    return {"count": count, "kind": EXPORT, "root": b64encode(root)}


def package_given(count: int, root: bytes, key: str) -> What:
    """That the data keys of a referral's list were sealed for the receiver's key `key`; `root`: see `exports.export_root`."""
    return {"count": count, "key": key, "kind": PACKAGE, "root": b64encode(root)}


def texts_given(objects: set[str]) -> list[What]:
    """That texts of these objects were given: an entry for each OBJECTS of them."""
    names = sorted(objects)
    return [
        {"kind": TEXTS, "objects": names[at : at + OBJECTS]} for at in range(0, len(names), OBJECTS)
    ]
