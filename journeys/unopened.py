"""Sealed texts that can't be opened: what their author put in place of one is no sealed text, or another entry's."""

import logging
from collections.abc import Sequence

_LOG = logging.getLogger(__name__)
TOLD_IDS = 20
"""Most ids of one line of the program's log."""


def tell_unopened(ids: Sequence[str]) -> None:
    """Tell the program's log of texts that the keeper couldn't open, by the ids of their events or accounts."""
    if ids:
        said = {"count": len(ids), "id": " ".join(ids[:TOLD_IDS])}
        _LOG.warning("a sealed text can't be opened", extra=said)
