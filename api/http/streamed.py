"""Answers that are sent piece by piece, and let go of what they read from."""

from collections.abc import Generator, Mapping
from contextlib import suppress

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Lets go of what it reads from, the blob's file, as soon as it is sent or nobody listens any more."""

    def __init__(
        self,
        source: Generator[bytes],
        status: int,
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> None:
        """`source`: the pieces of the body."""
        super().__init__(source, status, headers, media_type)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with suppress(ValueError):  # a thread that still reads a last piece lets go itself
                self._source.close()
