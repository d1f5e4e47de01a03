"""Texts of a source made fit to be shown."""

import re

TITLE_BYTES = 200
"""UTF-8; what the title of a record may take."""

# Control characters and lone surrogates cannot be shown or encoded; direction marks can mislead.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")


def shown(text: str, room: int = TITLE_BYTES) -> str:
    """A text on one line, fit to be shown, cut to at most `room` bytes of UTF-8 with an ellipsis."""
    line = " ".join(_UNSHOWN.sub(" ", text).split())
    data = line.encode("utf-8")
    if len(data) <= room:
        return line
    return data[: room - len("…".encode())].decode("utf-8", "ignore").rstrip() + "…"
