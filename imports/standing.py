"""Which of two statements about one thing is the newer: by what a source says of its version, status and time."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256

TAG_BYTES = 4
_FORM = struct.Struct(f">QqqB{TAG_BYTES}s{TAG_BYTES}s{TAG_BYTES}s")
_NONE = bytes(TAG_BYTES)
PRELIMINARY, FINAL, CORRECTED, WITHDRAWN = 1, 2, 3, 4
"""How far a result has come; 0 where nothing says it."""


class Order(Enum):
    """How a statement stands to the one that is kept."""

    OLDER = -1
    UNCLEAR = 0
    NEWER = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What a source says of one statement; what it does not say is 0 or empty."""

    version: int = 0
    """Of the source's server (FHIR's `meta.versionId`, where it counts)."""
    updated: int = 0
    """When the source changed it, Unix ms: `meta.lastUpdated`, MSH-7."""
    stated: int = 0
    """When it was issued, Unix ms."""
    rank: int = 0
    """PRELIMINARY to WITHDRAWN."""
    source: bytes = _NONE
    """Of the system that it comes from: see `tag`."""
    kind: bytes = _NONE
    """Of what it is about, which no correction changes: see `tag`."""
    run: bytes = _NONE
    """Of the import that brought it."""

    @property
    def withdrawn(self) -> bool:
        """Whether it says that it, and what it replaces, was never right."""
        return self.rank == WITHDRAWN

    def after(self, kept: "Standing") -> Order:
        """How it stands to the one kept; UNCLEAR where nothing decides, or two things disagree."""
        server = _signs((self.version, kept.version), (self.updated, kept.updated))
        if server:
            return Order(server.pop()) if len(server) == 1 else Order.UNCLEAR
        result = _signs((self.rank, kept.rank), (self.stated, kept.stated))
        return Order(result.pop()) if len(result) == 1 else Order.UNCLEAR

    def packed(self, run: bytes) -> bytes:
        """As it is kept, with the import that brings it."""
        return _FORM.pack(
            self.version, self.updated, self.stated, self.rank, self.source, self.kind, run
        )

    @staticmethod
    def unpacked(data: bytes) -> "Standing":
        """What was kept; nothing is known of what an older program kept."""
        return Standing(*_FORM.unpack(data)) if len(data) == _FORM.size else Standing()


def tag(text: str) -> bytes:
    """TAG_BYTES by which one text is told from another; zeros for the empty one."""
    if not text:
        return _NONE
    return sha256(text.encode("utf-8", "backslashreplace")).digest()[:TAG_BYTES]


def milliseconds(text: str) -> int:
    """An instant as FHIR writes it, Unix ms; 0 for anything else. Without a zone it counts as UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _signs(*pairs: tuple[int, int]) -> set[int]:
    return {
        1 if ours > theirs else -1 for ours, theirs in pairs if ours and theirs and ours != theirs
    }
