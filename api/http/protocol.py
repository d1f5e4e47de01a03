"""The connections: uvicorn's protocol, with a limit for the head, for silence, and for each address.

Uvicorn bounds none of these. What is refused here has no request yet, so it has no line in the log either.
"""

import asyncio
from asyncio import TimerHandle
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from api.app.settings import Settings
from api.http.problems import Problem, response_of
from api.http.shares import Addresses, Shares

HEAD_BYTES = 32 * 1024
"""Longest request line and headers together; of trailers, and of what frames the pieces of a body, too."""
HEAD_SECONDS = 10
"""How long a head may take in the whole, from the connection or from its first byte on."""
IDLE_SECONDS = 5
"""How long a connection is kept between two requests."""
REST_SECONDS = 5
"""How long the rest of a body may take that nobody reads any more, because it was answered already."""
REST_PAUSE_SECONDS = 0.02
"""How long we look away between two pieces of such a rest: taking it is a courtesy and must cost others nothing."""
WRITE_SECONDS = 30
"""Within this a client has to take `WRITE_BYTES` of what waits for it, or all."""
WRITE_BYTES = 32 * 1024
"""See `WRITE_SECONDS`."""
CONNECTIONS = 2_048
"""Connections of one process; for one more the one that has been silent longest is closed."""
PIPELINED = 4
"""Requests of one connection that wait for the answer to the one before; who sends more is answered so many and no
more. Each takes a hundred times its length in memory."""
PIPELINE_PAUSE_SECONDS = 0.1
"""How long the next of these waits after an answer, so that others have their turn: no client in wide use sends so."""
ADDRESS_CONNECTIONS = 256
"""Connections of one address to one process; more are turned away."""


def server_options() -> dict[str, Any]:
    """What every server of ours tells uvicorn."""
    return {
        "loop": "uvloop", "http": Connection, "ws": "none", "log_config": None,
        "timeout_keep_alive": IDLE_SECONDS, "access_log": False, "server_header": False,
        "date_header": False, "proxy_headers": False,
    }  # fmt: skip


class _Table:
    """The connections of one server."""

    def __init__(self) -> None:
        self.addresses = Addresses(Settings().proxies)
        self.shares = Shares(CONNECTIONS, ADDRESS_CONNECTIONS)
        self.silent: dict[Connection, None] = {}
        """Those without a request, the longest silent first."""

    def admit(self, name: str) -> bool:
        """Take a place for a connection, if need be that of a silent one."""
        if self.shares.exhausted(name):
            return False
        if not self.shares.take(name):
            if not self.silent:
                return False
            next(iter(self.silent)).cut()
            self.shares.take(name, above=True)  # the other gives its place back in a moment
        return True


_TABLES: WeakKeyDictionary[ServerState, _Table] = WeakKeyDictionary()


class Connection(HttpToolsProtocol):
    """One connection, from its first byte to its last."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn makes it."""
        super().__init__(config, server_state, app_state, _loop)
        table = _TABLES.get(server_state)
        self._table = _TABLES.setdefault(server_state, _Table()) if table is None else table
        self._name: str | None = None
        self._timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._in_head, self._over, self._in_answer = True, False, False
        self._head = 0
        """Bytes of the head, or since the last byte of a body, that came so far."""
        self._size = 0
        """Bytes of the head as it is parsed."""
        self._refusal: Problem | None = None
        self._worked: RequestResponseCycle | None = None
        """The request in work, which `cycle` isn't where others wait behind it."""

    # Its life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or turn the connection away."""
        super().connection_made(transport)
        name = self._table.addresses.peer(self.client[0] if self.client else "")
        if not self._table.admit(name):
            words = f"there are {self._table.shares.taken} connections, or too many of your address"
            return self._refuse(Problem("full", f"{words}; try again in a second"))
        self._name = name
        self._silent()
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._wait(None)
        self._stop_writing_timer()
        self._table.silent.pop(self, None)
        if self._name is not None:
            self._table.shares.give(self._name)
            self._name = None
        if self._worked is not None and not self._worked.response_complete:
            self._worked.disconnected = True
            self._worked.message_event.set()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End it at once, whatever waits to be sent."""
        self._over = True
        self._table.silent.pop(self, None)
        self.transport.abort()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Feed the parser, never more than a head's bytes at a time."""
        for start in range(0, len(data), HEAD_BYTES):
            if self._over or self.transport.is_closing():
                return
            piece = data[start : start + HEAD_BYTES] if len(data) > HEAD_BYTES else data
            self._head += len(piece)
            if self._in_head and self._timer is None:
                self._wait(HEAD_SECONDS)
            super().data_received(piece)
            if self._head > HEAD_BYTES:
                self._refuse(_too_long(self._head))
        if self._over or self._in_head or self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self.flow.pause_reading()
            self.loop.call_later(REST_PAUSE_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind a body it is a trailer, which nobody reads."""
        self._grown(len(name) + len(value) + len(": \r\n"))
        if self._in_head:
            super().on_header(name, value)

    def _grown(self, count: int) -> None:
        self._size += count
        if self._size > HEAD_BYTES:
            self._refusal = _too_long(self._size)
            raise ValueError("head too long")  # the parser stops, and says so to `data_received`

    def on_headers_complete(self) -> None:
        """The head is there in time: now its body has the time of bodies."""
        if len(self.pipeline) >= PIPELINED:
            self._last()
            raise ValueError("too many requests at once")  # the parser stops
        self._wait(None)
        self._table.silent.pop(self, None)
        self._in_head, self._head = False, 0
        self._grown(len(self.parser.get_method()) + len("  HTTP/1.1\r\n\r\n"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self._in_head, self._head = True, 0
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait(None)
            self._idle()

    def _last(self) -> None:
        """Those that wait are answered, and nothing that comes behind them is looked at."""
        self.cycle.keep_alive = False
        self._over = True
        self._wait(None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """At once, but for what waited behind another request of this connection."""
        if self._in_answer:
            self.loop.call_later(PIPELINE_PAUSE_SECONDS, self._start_waiting, cycle, app)
        else:
            self._start(cycle, app)

    def _start_waiting(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self.transport.is_closing():
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._worked = cycle
        super()._start_asgi_task(cycle, app)

    # What goes

    def on_response_complete(self) -> None:
        """Wait for the next request, or a little for the rest of this one."""
        self._in_answer = True
        super().on_response_complete()
        self._in_answer = False
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size() and self._write_timer is None:
                self._watch_writing()
        elif not self._in_head:
            self._unset_keepalive_if_required()
            self._wait(REST_SECONDS)
        elif self.timeout_keep_alive_task is not None:
            self._silent()

    def pause_writing(self) -> None:
        """The client takes less than we send."""
        super().pause_writing()
        if self._write_timer is None:
            self._watch_writing()

    def resume_writing(self) -> None:
        """The client has taken it."""
        super().resume_writing()
        if not self.transport.is_closing():  # else the little that is left has its time, too
            self._stop_writing_timer()

    def timeout_keep_alive_handler(self) -> None:
        """No next request came. Who still takes the last answer has the time of answers for it."""
        if self.transport.get_write_buffer_size():
            self._idle()
            if self._write_timer is None:
                self._watch_writing()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or too much of it."""
        self._refuse(self._refusal or Problem("malformed", "this is not an HTTP request"))

    # Time

    def _silent(self) -> None:
        self._table.silent.pop(self, None)
        self._table.silent[self] = None

    def _idle(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self._silent()

    def _wait(self, seconds: float | None) -> None:
        """What is awaited has so long; None: nothing is awaited."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._in_head and self.cycle is not None and not self.cycle.response_complete:
            return self._wait(HEAD_SECONDS)  # the head behind a request that is still in work
        if self._in_head and self._head:
            self._refuse(Problem("slow", f"no complete head came within {HEAD_SECONDS} s"))
        else:
            self.cut()

    def _watch_writing(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._check_writing, waiting)

    def _check_writing(self, before: int) -> None:
        self._write_timer = None
        left = self.transport.get_write_buffer_size()
        if left and before - left < WRITE_BYTES:
            self.cut()
        elif left:
            self._watch_writing()

    def _stop_writing_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _refuse(self, problem: Problem) -> None:
        """Answer before there is a request; nothing that comes is looked at any more."""
        if self._over:
            return
        self._over = True
        self._wait(None)
        self._table.silent.pop(self, None)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if (
                not cycle.more_body
            ):  # what comes behind a request that is in work: its answer is the last
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:
                return self.cut()  # in the middle of another answer nothing can be said
        answer = response_of(problem)
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        status = STATUS_LINE[answer.status_code]
        self.transport.write(status + head + b"connection: close\r\n\r\n" + bytes(answer.body))
        self.transport.close()
        self._watch_writing()


def _too_long(size: int) -> Problem:
    words = f"got {size} bytes or more of request line and headers"
    return Problem("headers", f"{words}, expected at most {HEAD_BYTES}")
