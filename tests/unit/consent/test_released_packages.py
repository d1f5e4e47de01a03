"""Packages of referrals in the keeper's log: each is for a permitted taking up that commits to just that, once."""

from collections.abc import Callable, Sequence

import pytest

from consent.released import Compared, Comparison
from consent.replay import Replay
from crypto.encoding import b64decode
from ledger.entry import Entry
from ledger.links import Referral
from ledger.release_log import ReleaseLog
from ledger.releases import RELEASE_MS, Release, export_given, key_given, package_given
from tests.unit.ledger.test_referrals import Referring


@pytest.fixture(scope="module")
def log() -> list[Entry]:
    """A referral that is sent, accepted and taken up."""
    c = Referring()
    c.start()
    named = c.sent()
    assert c.say(c.theirs, "accepted", named) == "appended"
    assert c.take(c.theirs, named) == "appended"
    return list(c.log.entries)


def given(taken: Entry, what: object = None, late: int = 0, seq: int = 0) -> Release:
    """The honest release for a taking up, or another one."""
    body = taken.event.body
    if what is None:
        what = package_given(body["count"], b64decode(body["root"], 32), body["key"])
    assert isinstance(what, dict)
    return Release(seq, bytes(32), taken.time + late, what, taken.link.seq, taken.event.id)


def compared(log: Sequence[Entry], *releases: Release) -> Compared:
    comparison = Comparison()
    for one in releases:
        comparison.release(one)
    for entry in log:
        comparison.entry(entry)
    return comparison.finish(ReleaseLog("heartwood.example/log/releases", len(releases), True), log[-1].time)  # fmt: skip


def test_an_honest_one_fits(log: list[Entry]) -> None:
    found = compared(log, given(log[-1]))
    assert (found.wrong, found.keyless, found.beyond) == ((), 0, 0)


def test_a_taking_up_without_a_package_is_no_fraud(log: list[Entry]) -> None:
    """The keeper refused it, or nobody asked."""
    found = compared(log)
    assert (found.wrong, found.keyless + found.before) == ((), 1)


WRONG: dict[str, tuple[Callable[[list[Entry]], list[Release]], str]] = {
    "for an acceptance": (lambda log: [given(log[-2], package_given(1, bytes(32), "k_x"))], "it is referral.accepted"),
    "another root": (lambda log: [given(log[-1], package_given(1, bytes(32), log[-1].event.body["key"]))], "something else"),
    "another count": (
        lambda log: [given(log[-1], package_given(2, b64decode(log[-1].event.body["root"], 32), log[-1].event.body["key"]))],
        "something else",
    ),
    "for another key": (
        lambda log: [given(log[-1], package_given(1, b64decode(log[-1].event.body["root"], 32), "k_x"))], "something else",
    ),
    "twice": (lambda log: [given(log[-1]), given(log[-1], seq=1)], "was given before"),
    "a minute later": (lambda log: [given(log[-1], late=RELEASE_MS + 1)], "ms away"),
    "a data key in clear": (lambda log: [given(log[-1], key_given("rc_x", 1, "bl_x"))], "and key was given"),
    "an export in clear": (
        lambda log: [given(log[-1], export_given(1, b64decode(log[-1].event.body["root"], 32)))], "and export was given",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), WRONG.values(), ids=WRONG)
def test_every_other_is_found(
    log: list[Entry], make: Callable[[list[Entry]], list[Release]], said: str
) -> None:
    (wrong,) = compared(log, *make(log)).wrong
    assert said in wrong.what and str(wrong)


def test_a_package_that_nobody_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that lets it be taken up, and whose keeper gives it: the decision isn't the one that the rules give."""
    c = Referring()
    c.start()
    named = c.sent()
    monkeypatch.setattr(Referral, "opens", property(lambda self: True))
    assert c.take(c.theirs, named) == "appended"
    monkeypatch.undo()
    replay = Replay()
    for one in c.log.entries:
        replay.take(one.raw)
    assert [wrong.seq for wrong in replay.wrong] == [len(c.log.entries) - 1]
