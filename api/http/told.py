"""What the log tells of a request: an id, its route, who acted. Nothing of what was sent."""

import logging
import os
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_LOG = logging.getLogger(__name__)
REQUEST_ID_BYTES = 10
"""Random bytes of a request's id."""


def _new_id() -> str:
    return f"rq_{os.urandom(REQUEST_ID_BYTES).hex()}"


@dataclass
class Line:
    """One request, while it is worked on."""

    method: str
    id: str = field(default_factory=_new_id)
    actor: str = ""
    """Whose session or signature it came with, once that was checked."""
    error: Exception | None = None
    """A bug that it met."""
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long it has been worked on."""
        return time.perf_counter() - self.began

    def write(self, route: str, status: int) -> None:
        """Write the line, and of a bug where it happened."""
        said: dict[str, Any] = {"id": self.id, "method": self.method, "route": route}
        said |= {"status": status, "ms": round(self.seconds * 1000, 1)}
        if self.actor:
            said["actor"] = self.actor
        _LOG.info("request", extra=said)
        if self.error is not None:
            _LOG.error("bug", extra={"id": self.id}, exc_info=self.error)


_LINE: ContextVar[Line | None] = ContextVar("line", default=None)


def begin(method: str) -> Line:
    """The line of a request that begins; of it `acting` and `met` tell, in its task and its threads."""
    line = Line(method)
    _LINE.set(line)
    return line


def acting(actor: str) -> None:
    """The account that acts, as its session or its signature says."""
    line = _LINE.get()
    if line is not None:
        line.actor = actor


def met(error: Exception) -> str:
    """The request met a bug; gives the id by which the log tells of it."""
    line = _LINE.get()
    if line is None:
        return ""
    line.error = error
    return line.id
