"""Passwords: their hashes, what none may be, and the gate before the work."""

import hashlib
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters

from identity import passwords
from identity.errors import BadPassword
from storage.errors import Unavailable

GOOD = "correct horse battery staple"


def test_a_hash_is_of_its_password() -> None:
    """Argon2id with what security demands at least; two of the same differ."""
    kept = passwords.hash_new(GOOD, "ac_1")
    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, f"{GOOD}.")
    assert not passwords.matches(None, GOOD)
    assert kept != passwords.hash_new(GOOD, "ac_1")
    made = extract_parameters(kept)
    assert made.type.name == "ID"
    assert made.memory_cost >= 19 * 1024
    assert (made.time_cost, made.parallelism) >= (2, 1)
    assert not passwords.outdated(kept)


def test_what_nobody_has_is_compared_at_the_same_cost() -> None:
    """The hash that stands for none has the parameters of today's."""
    assert extract_parameters(passwords._NOBODYS) == extract_parameters(
        passwords.hash_new(GOOD, "ac_1")
    )


def test_an_older_hash_is_outdated_and_still_matches() -> None:
    old = PasswordHasher(1, 8 * 1024, 1).hash(GOOD)
    assert passwords.matches(old, GOOD)
    assert passwords.outdated(old)
    assert not passwords.outdated(passwords.rehash(GOOD))


def test_a_damaged_hash_matches_nothing() -> None:
    for damaged in ("", "x", "$argon2id$v=19$m=1$", passwords._NOBODYS[:-3]):
        assert not passwords.matches(damaged, GOOD)


@pytest.mark.parametrize(
    "bad", ["", "1234567", "x" * 129, "password", "PassWord", "12345678", "ac_1ac_1", "ä" * 7]
)
def test_what_none_may_be(bad: str) -> None:
    with pytest.raises(BadPassword) as refused:
        passwords.hash_new(bad, "ac_1ac_1")
    assert bad == "password" or not bad or bad not in str(refused.value)


@pytest.mark.parametrize("good", ["x7" * 4, "z" * 128, "ä" * 8, "パスワードパスワード"])
def test_what_one_may_be(good: str) -> None:
    assert passwords.matches(passwords.hash_new(good, "ac_1"), good)


def test_the_same_letters_are_the_same_password() -> None:
    """Composed or not, whichever keyboard they were typed on."""
    kept = passwords.hash_new("Schlüssel-Bär", "ac_1")
    assert passwords.matches(kept, "Schlu\u0308ssel-Ba\u0308r")


def test_the_list_is_the_one_that_was_looked_at() -> None:
    data = passwords.COMMON.read_bytes()
    assert hashlib.sha256(data).hexdigest() == passwords.COMMON_SHA256
    assert len(passwords._common()) == 4_000
    assert {"password", "12345678", "iloveyou"} <= passwords._common()
    assert all(len(one) >= passwords.LENGTH_LEAST for one in passwords._common())


def test_whoever_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hashes at a time, no more."""
    monkeypatch.setattr(passwords, "HASH_WAIT_SECONDS", 0.01)
    entered, leave = threading.Barrier(passwords.HASHES + 1), threading.Event()

    def hold() -> None:
        with passwords._turn():
            entered.wait()
            leave.wait()

    holding = [threading.Thread(target=hold) for _ in range(passwords.HASHES)]
    for thread in holding:
        thread.start()
    entered.wait()
    try:
        with pytest.raises(Unavailable, match="too many passwords"):
            passwords.matches(None, GOOD)
    finally:
        leave.set()
        for thread in holding:
            thread.join()
    assert not passwords.matches(None, GOOD)
