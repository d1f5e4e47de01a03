"""Signing in by password and code over HTTP; what it costs others, what a session costs, and that no answer tells by its time.

`python -m benchmarks.signing_in PORT FILE RATE` sends the sign-ins of FILE, RATE a second, round and round, until it is killed.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, permutations
from pathlib import Path
from typing import Any

import orjson
import pyotp

from benchmarks.attacked import ask
from benchmarks.fixture import BenchFixture
from benchmarks.load import read_requests, request, write_requests
from benchmarks.measure import Figure, workplace
from benchmarks.serving import WORKERS, load, readable, readings, server, single
from client import registering
from client.local import LocalClient
from identity import factors, passwords, sessions
from identity.actors import Actor, new_key
from identity.codes import STEP_SECONDS
from identity.errors import NotSignedIn
from identity.proving import Proof
from identity.signing_in import SignIn, sign_in_by_password
from ledger.messages import session_message

PASSWORD, WRONG = "correct horse battery staple", "wrong horse battery staple"
RATE = 25
"""Sign-ins a second while others are measured."""
WITH_CODES, WITHOUT = 200, 40
"""Accounts that sign in by password and code, each once a step, and by password alone, while others are measured."""
CLIENTS = 8
ADDRESSES = 4
"""From where they sign in meanwhile: 127.0.0.2 and on."""
HASHES = 200
BESIDE = 800
"""Requests of each kind that are measured beside them."""
CHECKS = 20_000
TRIES = 1_000
HERE = "192.0.2.1"


@dataclass
class Account:
    """Somebody who signs in."""

    actor: Actor
    totp: pyotp.TOTP | None = None

    def request(self, steps: int = 0) -> bytes:
        """A sign-in, by the code of so many steps later."""
        sent = {"account": self.actor.account, "password": PASSWORD, "role": "person"}
        if self.totp is not None:
            sent["code"] = self.totp.at(int(time.time()) + steps * STEP_SECONDS)
        return request("POST", "/v1/sessions", orjson.dumps(sent))


def figures() -> list[Figure]:
    """Sign-ins a second; others' 99th percentile as a multiple of the idle one; a check; how far medians are apart."""
    with workplace() as place:
        fixture = BenchFixture.build(place, 500)
        doctor, records = readable(fixture)
        coded = [_account(fixture, True) for _ in range(WITH_CODES)]
        plain = [_account(fixture, False) for _ in range(WITHOUT)]
        with server(fixture, WORKERS) as port:
            limit = argon2id()
            rate = max(_rate(port, place, coded, steps) for steps in (0, 1))
            others = _others(fixture, doctor, records)
            idle = {name: _p99(port, make) for name, make in others.items()}
            with _signing_in(port, place, plain):
                beside = {name: _p99(port, make) / idle[name] for name, make in others.items()}
        rows = [
            Figure(f"HTTP, p99 of {name} beside sign-ins, of idle ({idle[name]:.1f} ms)", ratio, "times")
            for name, ratio in beside.items()
        ]  # fmt: skip
        return [
            Figure.of("sign-in", rate, limit),
            *rows,
            Figure.of("beside sign-ins", max(beside.values())),
            Figure.of("session check", session_check(fixture, plain[0])),
            Figure.of("same time", apart(fixture, plain[1], coded[1])),
        ]


def _account(fixture: BenchFixture, codes: bool) -> Account:
    ledger, client, key = fixture.ledger, LocalClient(fixture.ledger), new_key()
    account, events = registering.new_account(client, fixture.operator, "Bench", key, "device")
    client.append(fixture.operator, events)
    made = Account(Actor(client.origin, account, "person", "", key))
    factors.set_password(ledger, made.actor.caller, PASSWORD, Proof(), HERE)
    if codes:
        made.totp = pyotp.TOTP(factors.begin_code(ledger, made.actor.caller).seed)
        shown = made.totp.at(ledger.clock() // 1_000 - STEP_SECONDS)
        factors.confirm_code(ledger, made.actor.caller, Proof(PASSWORD, shown), HERE)
    return made


def argon2id() -> float:
    """Hashes a second by as many threads as one process hashes in, and nothing else."""
    kept = passwords.hash_new(PASSWORD, "")
    with ThreadPoolExecutor(passwords.HASHES) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: passwords.matches(kept, PASSWORD), range(HASHES)))
        return HASHES / (time.perf_counter() - began)


def _rate(port: int, place: Path, accounts: list[Account], steps: int) -> float:
    told = load(port, place, [one.request(steps) for one in accounts], CLIENTS)
    return float(told["count"] / told["seconds"])


def _others(
    fixture: BenchFixture, doctor: Actor, records: list[Any]
) -> dict[str, Callable[[], list[bytes]]]:
    """What others ask for meanwhile, made afresh each time."""
    head = f"GET /v1/me HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {_token(fixture, doctor)}\r\n\r\n"
    return {
        "an event": lambda: single(fixture, BESIDE),
        "a reading": lambda: readings(fixture, doctor, records, BESIDE),
        "a question in a session": lambda: [head.encode()] * BESIDE,
    }


def _token(fixture: BenchFixture, who: Actor) -> str:
    """A session by key."""
    ledger, key = fixture.ledger, who.key
    nonce = sessions.challenge(ledger.tokens, ledger.clock())
    value = key.sign(session_message(ledger.origin, key.id, nonce))
    made = sessions.sign_in(ledger, ledger.tokens, key.id, nonce, value, who.role, who.hospital)
    return made.token


def _p99(port: int, make: Callable[[], list[bytes]]) -> float:
    """The 99th percentile of one client's requests, in ms."""
    took = sorted(asyncio.run(ask(port, make())))
    return took[int(len(took) * 0.99)] * 1_000


@contextmanager
def _signing_in(port: int, place: Path, accounts: list[Account]) -> Iterator[None]:
    """Sign-ins at RATE, by a process of its own."""
    path = place / "sign-ins"
    write_requests(path, [one.request() for one in accounts])
    command = [sys.executable, "-m", "benchmarks.signing_in", str(port), str(path), str(RATE)]
    process = subprocess.Popen(command)
    try:
        time.sleep(1)
        yield
        if process.poll() is not None:
            raise SystemExit("the sign-ins ended, or were not at their rate")
    finally:
        process.kill()
        process.wait()


def session_check(fixture: BenchFixture, who: Account) -> float:
    """Whose a session by password is, in µs: the median."""
    ledger = fixture.ledger
    wanted = SignIn(who.actor.account, Proof(PASSWORD), "person")
    token, took = sign_in_by_password(ledger, wanted, HERE).token, []
    for _ in range(CHECKS):
        began = time.perf_counter_ns()
        sessions.caller_of(ledger, ledger.tokens, token)
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1_000


def apart(fixture: BenchFixture, plain: Account, coded: Account) -> float:
    """How much longer the slowest of three wrong sign-ins takes than the fastest, by medians, in %.

    They take turns in each order, so that all meet the same machine; counts are forgotten between them, so that none has to
    wait.
    """
    ledger = fixture.ledger
    wrong = {
        "password": SignIn(plain.actor.account, Proof(WRONG), "person"),
        "code": SignIn(coded.actor.account, Proof(PASSWORD, "000000"), "person"),
        "account": SignIn("nobody@mail.example", Proof(PASSWORD), "person"),
    }
    took: dict[str, list[int]] = {name: [] for name in wrong}
    orders = cycle(permutations(wrong.items()))
    for _ in range(TRIES):
        for name, wanted in next(orders):
            began = time.perf_counter_ns()
            with suppress(NotSignedIn):
                sign_in_by_password(ledger, wanted, HERE)
            took[name].append(time.perf_counter_ns() - began)
        with ledger.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM throttles")
    medians = [statistics.median(one) for one in took.values()]
    return (max(medians) / min(medians) - 1) * 100


async def _send(port: int, requests: list[bytes], rate: int) -> None:
    """So many sign-ins a second from several addresses; ends where one isn't good, or they don't keep up."""
    began, running = time.monotonic(), set[asyncio.Task[None]]()
    for number, one in enumerate(cycle(requests)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        running.add(task := asyncio.create_task(_one(port, number, one)))
        task.add_done_callback(running.discard)
        if len(running) > rate:
            raise SystemExit("more than a second's sign-ins are not answered")


async def _one(port: int, number: int, one: bytes) -> None:
    address = f"127.0.0.{2 + number % ADDRESSES}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    writer.write(one)
    line = await reader.readline()
    writer.close()
    if not line.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"a sign-in got {line!r}")


if __name__ == "__main__":
    asyncio.run(_send(int(sys.argv[1]), read_requests(Path(sys.argv[2])), int(sys.argv[3])))
