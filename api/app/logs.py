"""The log of the program: one line a request, a batch, a worker lost; ids only, never names, texts or tokens.

All parts log by the standard library; structlog renders. What isn't configured (each command but `serve`) says
nothing. Of what libraries log the text is kept that stands in their source, of an error its types and places:
what either is about may be anybody's.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

OURS = ("api", "journeys", "keeper", "people", "records", "storage", "witness")
"""Loggers whose `extra` counts, and whose lines are written from `INFO` on."""
FIELDS = (
    "actor", "alarms", "call", "calls", "count", "edition", "entries", "events", "exit", "expected", "id", "log", "method", "ms", "reason", "refused", "remedy",
    "route", "status", "unforeseen", "why", "witness", "worker", "workers",
)  # fmt: skip
"""What a line may say beside its event; all of them are numbers, ids, or words of ours."""
FRAMES = 40
"""Most places of one error."""


def configure(stream: TextIO | None = None) -> None:
    """Log to `stream`, by default standard error: for people on a terminal, else JSON, one object a line."""
    out = stream or sys.stderr
    people = out.isatty()
    handler = _Lines(out)
    handler.setFormatter(_Rendered(structlog.dev.ConsoleRenderer() if people else _json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_told_elsewhere)


def places(error: BaseException) -> list[str]:
    """An error and what it came from, by their types and places; nothing of what they say."""
    return [line for each in _chain(error) for line in _places(each)]


class _Rendered(logging.Formatter):
    """A record by structlog's processors; its own formatter copies each record first, which a request would feel."""

    def __init__(self, renderer: Processor) -> None:
        super().__init__()
        self._processors: list[Processor] = [
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(FIELDS),
            _without_content,
            renderer,
        ]

    def format(self, record: logging.LogRecord) -> str:
        line: Any = {"event": record.getMessage(), "_record": record}
        for step in self._processors:
            line = step(None, record.levelname.lower(), line)
        return str(line)


class _Lines(logging.StreamHandler[TextIO]):
    """Lines to a stream. One that can't be written is lost: there is nowhere to say so, and service goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing."""


def _told_elsewhere(record: logging.LogRecord) -> bool:
    """Not uvicorn's word on a request that failed or was none: the request's line has it, with its id."""
    return record.exc_info is None or "ASGI application" not in record.getMessage()


def _without_content(_: Any, __: str, line: EventDict) -> EventDict:
    record: logging.LogRecord = line.pop("_record")
    if record.name.partition(".")[0] not in OURS:
        line["event"] = str(record.msg).partition("\n")[0]
        line["logger"] = record.name
    line.pop("exc_info", None)
    if record.exc_info and record.exc_info[1] is not None:
        line["error"] = places(record.exc_info[1])
    return line


def _json(_: Any, __: str, line: EventDict) -> str:
    return orjson.dumps(line, default=str).decode()


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _places(error: BaseException) -> Iterator[str]:
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]:
        yield f"  {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
