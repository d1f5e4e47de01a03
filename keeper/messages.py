"""The keeper's calls as messages: MessagePack, whose forms are those of the calls themselves.

A frame is its length (4 bytes, big-endian) and a message. A connection begins with a greeting from either side. Then
the caller sends `[call, arguments]` and the keeper answers `[null, value]`, or `[kind, words]` for an error, one after
the other. What comes is decoded into exactly the types that `protocol.Keeper` declares, or refused.
"""

import inspect
import struct
import time
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from socket import socket
from types import GenericAlias
from typing import Any

import msgspec

from crypto.errors import CryptoError
from durable.errors import StorageError
from keeper.errors import KeeperRefused, KeeperUnavailable, KeyRenewed, WrongEntry
from keeper.protocol import Keeper
from ledger.errors import LedgerError

VERSION = 8
"""Of the messages; keeper and caller have the same."""
FRAME_BYTES = 64 * 1024 * 1024
"""Longest message: an export's list of 100,000 lines, or a batch of entries, with room."""
GREETING_BYTES = 4_096
"""Longest greeting, or word to who is turned away: it comes from anybody."""
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
ERRORS: dict[str, type[Exception]] = {
    "renewed": KeyRenewed,
    "wrong": WrongEntry,
    "refused": KeeperRefused,
    "unavailable": KeeperUnavailable,
    "storage": StorageError,
    "ledger": LedgerError,
    "crypto": CryptoError,
}
"""Errors that a call may raise, by their name in a message; the special before the general."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first message of a connection, from either side."""

    version: int
    origin: str
    """The log that it is about."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call's messages hold."""

    arguments: msgspec.msgpack.Decoder[Any]
    value: msgspec.msgpack.Decoder[Any]


def _call(name: str) -> Call:
    method = getattr(Keeper, name)
    hints = typing.get_type_hints(method)
    takes = tuple(hints[p] for p in inspect.signature(method).parameters if p != "self")
    form: Any = GenericAlias(tuple, takes)
    return Call(msgspec.msgpack.Decoder(form), msgspec.msgpack.Decoder(hints["return"]))


ENDS = "close"
"""The call that ends a connection."""
CALLS = {name: _call(name) for name in vars(Keeper) if not name.startswith("_") and name != ENDS}
"""Every other call by its name."""
_raw = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
_answer = msgspec.msgpack.Decoder(tuple[str | None, msgspec.Raw])
_words = msgspec.msgpack.Decoder(str)
_told = msgspec.msgpack.Decoder(tuple[str, str])
BUSY, UNWANTED = "busy", "unwanted"
"""Why a caller is turned away: there is no room just now, or it is nobody who may call."""
_greeting = msgspec.msgpack.Decoder(Greeting)


class Malformed(Exception):
    """A message that is none; the connection is of no use any more."""


def greet(line: socket, origin: str) -> None:
    """Say who we are and hear the same; raises Malformed, OSError, or KeeperUnavailable for another log or version.

    A caller who was turned away hears why instead: raises ConnectionRefusedError where there is no room just now, and
    KeeperUnavailable where no other try will help.
    """
    send(line, _encode(Greeting(VERSION, origin)))
    raw = _received(line, GREETING_BYTES)
    try:
        other = _greeting.decode(raw)
    except msgspec.MsgspecError as error:
        raise _refusal(raw) or Malformed(f"the greeting is none: {error}") from error
    if other != Greeting(VERSION, origin):
        raise KeeperUnavailable(
            f"the other end speaks version {other.version} of the keeper's messages about {other.origin!r}, expected "
            f"version {VERSION} about {origin!r}"
        )


def turn_away(line: socket, kind: str, words: str) -> None:
    """Say why in place of a greeting, once the caller's was heard; `kind`: BUSY or UNWANTED. Raises OSError."""
    with suppress(Malformed):
        _received(line, GREETING_BYTES)
    send(line, _encode((kind, words)))


def _refusal(raw: bytes) -> Exception | None:
    with suppress(msgspec.MsgspecError):
        kind, words = _told.decode(raw)
        if kind == BUSY:
            return ConnectionRefusedError(words)
        if kind == UNWANTED:
            return KeeperUnavailable(f"the key keeper turned this caller away: {words}")
    return None


def ask(line: socket, name: str, arguments: tuple[Any, ...]) -> Any:
    """The answer to a call; raises what it raised, Malformed, or OSError for a connection that broke."""
    send(line, _encode((name, arguments)))
    try:
        kind, raw = _answer.decode(_received(line))
        if kind is None:
            return None if name == ENDS else CALLS[name].value.decode(raw)
        words = _words.decode(raw)
    except msgspec.MsgspecError as error:
        raise Malformed(f"the answer to {name} is none: {error}") from error
    raise ERRORS.get(kind, KeeperUnavailable)(words)


def asked(
    line: socket,
    idle: float | None = None,
    seconds: float | None = None,
    room: Callable[[int], object] = lambda count: None,
) -> tuple[str, tuple[Any, ...]] | None:
    """The next call and its arguments, or None at the end of the connection; raises Malformed or OSError.

    `idle`: how long a caller may ask nothing; `seconds`: how long its message may take, and then each that is sent here.
    `room(bytes)` is called before so long a message is read, and may wait or raise.
    """
    line.settimeout(idle)
    head = line.recv(_LENGTH.size)
    if not head:
        return None
    line.settimeout(seconds)
    if len(head) < _LENGTH.size:
        head += _bytes(line, _LENGTH.size - len(head))
    length = _length(head)
    room(length)
    frame = _bytes(line, length)
    try:
        name, raw = _raw.decode(frame)
        if name == ENDS:
            return name, ()
        if name not in CALLS:
            raise Malformed(f"got the call {name[:40]!r}, expected one of {', '.join(CALLS)}")
        return name, CALLS[name].arguments.decode(raw)
    except msgspec.MsgspecError as error:
        raise Malformed(f"the call is none: {error}") from error


def answer(line: socket, value: Any) -> None:
    """Answer a call with a value."""
    send(line, _encode((None, value)))


def answer_error(line: socket, error: Exception) -> None:
    """Answer a call with an error; of one that nobody foresaw, its type alone."""
    for name, kind in ERRORS.items():
        if isinstance(error, kind):
            return send(line, _encode((name, str(error))))
    words = f"the keeper met an error: {type(error).__name__}"
    return send(line, _encode(("storage" if isinstance(error, OSError) else "unavailable", words)))


def send(line: socket, message: bytes) -> None:
    """Send one message."""
    if len(message) > FRAME_BYTES:
        raise StorageError(
            f"got a message of {len(message)} bytes to the keeper, expected at most {FRAME_BYTES}"
        )
    data = memoryview(_LENGTH.pack(len(message)) + message)
    sent = line.send(data)
    if sent == len(data):
        return
    deadline = _deadline(line)
    while sent < len(data):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the other end took {sent} bytes of {len(data)} in time")
        sent += line.send(data[sent:])


def _received(line: socket, most: int = FRAME_BYTES) -> bytes:
    return _bytes(line, _length(_bytes(line, _LENGTH.size), most))


def _length(head: bytes, most: int = FRAME_BYTES) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > most:
        raise Malformed(f"got a message of {length} bytes, expected at most {most}")
    return int(length)


def _bytes(line: socket, count: int) -> bytes:
    """So many bytes, within about twice the connection's timeout: whoever sends one now and then gains nothing."""
    data = line.recv(min(count, 65_536)) if count else b""
    if len(data) == count:
        return data
    parts, got, deadline = [data], len(data), _deadline(line)
    while data and got < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the other end sent {got} bytes of {count} in time")
        data = line.recv(min(count - got, 1_048_576))
        parts.append(data)
        got += len(data)
    if not data:
        raise ConnectionResetError("the other end closed the connection")
    return b"".join(parts)


def _deadline(line: socket) -> float:
    seconds = line.gettimeout()
    return float("inf") if seconds is None else time.monotonic() + seconds
