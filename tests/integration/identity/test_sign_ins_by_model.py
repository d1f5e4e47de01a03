"""Sessions, factors and throttles against a simple model, whatever people do in whatever order; time is set."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from api.app.settings import Settings
from identity import factors, own, sessions, signing_in
from identity.actors import Actor, Caller
from identity.errors import (
    FactorConflict,
    IdentityError,
    KeyNeeded,
    NotSignedIn,
    Throttled,
    WrongProof,
)
from identity.proving import Proof
from identity.signing_in import SignIn
from storage.clock import Boot
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture

MINUTE, HOUR = 60_000, 3_600_000
ADDRESSES = ("192.0.2.1", "198.51.100.7")
PASSWORDS = ("correct horse", "battery staple", "wrong donkey")


@dataclass
class Still:
    """Clocks that stand until they are moved."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now

    def boot(self) -> Boot:
        return Boot("still", self.now)


@dataclass
class Count:
    """Failures of one name by the model."""

    free: int
    forgiven: int
    failures: int = 0
    at: int = 0
    until: int = 0

    def fail(self, now: int) -> None:
        forgiven = (now - self.at) // self.forgiven
        left = max(0, self.failures - forgiven)
        self.at = self.at + forgiven * self.forgiven if left else now
        self.failures = min(left, self.free + 10) + 1
        over = self.failures - self.free
        self.until = now + (min(900, 2 ** (over - 1)) * 1_000 if over > 0 else 0)


@dataclass
class Open:
    """A session by the model."""

    token: str
    created: int
    used: int
    assurance: int
    strong_until: int = 0

    def lives(self, now: int) -> bool:
        return now < min(self.used + 30 * MINUTE, self.created + 12 * HOUR)


@dataclass
class Model:
    """What an account has."""

    password: str
    seed: str = ""
    begun: str = ""
    step: int = 0
    recovery: list[str] = field(default_factory=list)
    used_up: list[str] = field(default_factory=list)
    open: dict[str, Open] = field(default_factory=dict)
    counts: dict[str, Count] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def throttle(self, address: str) -> list[Count]:
        if address in self.known:
            return [self.counts.setdefault(f"known {address}", Count(4, HOUR))]
        return [
            self.counts.setdefault("account", Count(4, HOUR)),
            self.counts.setdefault(address, Count(20, MINUTE)),
        ]

    def passed(self, address: str, counted: Count) -> None:
        counted.failures = counted.until = 0
        self.known.add(address)
        self.counts.setdefault(f"known {address}", Count(4, HOUR)).failures = 0


HOME: list[tuple[LedgerFixture, Still]] = []


@pytest.fixture(scope="module", autouse=True)
def _home() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        clock = Still()
        fixture = LedgerFixture.found(Settings(data=Path(folder, "data")), clock)
        fixture.ledger.close()
        fixture.ledger = opened(fixture.settings, clock, boot=clock.boot)
        HOME.append((fixture, clock))
        yield
        fixture.verify()
        fixture.close()


class SignIns(RuleBasedStateMachine):
    """One account, two addresses."""

    @initialize()
    def begin(self) -> None:
        self.fixture, self.clock = HOME[0]
        self.ledger = self.fixture.ledger
        self.clock.now += 25 * HOUR  # what other accounts failed at these addresses is forgiven
        self.actor: Actor = self.fixture.person().actor.in_role("person")
        self.by_key: Caller = self.actor.caller
        self.model = Model(PASSWORDS[0])
        factors.set_password(self.ledger, self.by_key, PASSWORDS[0], Proof(), ADDRESSES[0])
        self.opened = 0

    # What is shown, and whether it is right.

    def _proof(self, password: str, how: str) -> tuple[Proof, bool]:
        model, now = self.model, self.clock.now // 1_000
        if how == "nothing":
            return Proof(password), not model.seed
        if how == "recovery":
            code = model.recovery[0] if model.recovery else "0000-0000-0000-0000"
            return Proof(password, recovery=code), bool(model.seed and model.recovery)
        if how == "used recovery":
            code = model.used_up[-1] if model.used_up else "0000-0000-0000-0000"
            return Proof(password, recovery=code), False
        steps = {"code": 0, "early": 1, "late": -1, "too early": 2, "too late": -2}[how]
        if not model.seed:
            return Proof(password, "123456"), False
        step = now // 30 + steps
        return Proof(password, pyotp.TOTP(model.seed).generate_otp(step)), (
            abs(steps) < 2 and step > model.step
        )

    def _shown(self, proof: Proof, how: str) -> None:
        """A right proof is used up."""
        if how == "recovery":
            self.model.used_up.append(self.model.recovery.pop(0))
        elif self.model.seed:
            steps = {"code": 0, "early": 1, "late": -1}[how]
            self.model.step = self.clock.now // 1_000 // 30 + steps

    def _attempted(
        self, address: str, right: bool, act: Callable[[], Any], wrong: type[IdentityError]
    ) -> Any:
        """What comes of a try, which must be what the model says; None for one that fails."""
        counts, now = self.model.throttle(address), self.clock.now
        if now < (until := max(count.until for count in counts)):
            with pytest.raises(Throttled) as told:
                act()
            assert told.value.seconds == -(-(until - now) // 1_000)
            return None
        if right:
            found = act()
            self.model.passed(address, counts[0])
            return found if found is not None else True
        with pytest.raises(wrong):
            act()
        for count in counts:
            count.fail(now)
        return None

    HOWS = st.sampled_from(
        ["nothing", "code", "code", "early", "late", "too early", "too late", "recovery", "used recovery"]
    )  # fmt: skip
    MOSTLY = st.sampled_from([*PASSWORDS, *[""] * 6])
    """A password, or most often the right one (empty)."""

    @rule(password=MOSTLY, how=HOWS, address=st.sampled_from(ADDRESSES))
    def sign_in(self, password: str, how: str, address: str) -> None:
        password = password or self.model.password
        proof, second = self._proof(password, how)
        right = second and password == self.model.password
        wanted = SignIn(self.actor.account, proof, "person")
        found = self._attempted(
            address,
            right,
            lambda: signing_in.sign_in_by_password(self.ledger, wanted, address),
            NotSignedIn,
        )
        if found is None:
            return
        self._shown(proof, how)
        now, model = self.clock.now, self.model
        live = sorted(
            (one for one in model.open.items() if one[1].lives(now)), key=lambda one: one[1].used
        )
        for session, _ in live[: max(0, len(live) - 19)]:
            del model.open[session]
        model.open[found.caller.session.id] = Open(found.token, now, now, 2 if model.seed else 1)
        self.opened += 1

    @rule(password=MOSTLY, how=HOWS, new=st.sampled_from(PASSWORDS[:2]), data=st.data())
    def change_password(self, password: str, how: str, new: str, data: st.DataObject) -> None:
        password = password or self.model.password
        if new == password:
            return
        proof, second = self._proof(password, how)
        right = second and password == self.model.password
        caller, kept = self._somebody(data)
        done = self._attempted(
            ADDRESSES[0],
            right,
            lambda: factors.set_password(self.ledger, caller, new, proof, ADDRESSES[0]),
            WrongProof,
        )
        if done:
            self._shown(proof, how)
            self.model.password = new
            self._ended_but(kept)

    @rule()
    def begin_code(self) -> None:
        if self.model.seed:
            with pytest.raises(FactorConflict):
                factors.begin_code(self.ledger, self.by_key)
            return
        self.model.begun = factors.begin_code(self.ledger, self.by_key).seed

    @precondition(lambda self: self.model.begun and not self.model.seed)
    @rule(steps=st.integers(-2, 2), data=st.data())
    def confirm_code(self, steps: int, data: st.DataObject) -> None:
        model, step = self.model, self.clock.now // 1_000 // 30 + steps
        code = pyotp.TOTP(model.begun).generate_otp(step)
        caller, kept = self._somebody(data)
        proof = Proof(model.password, code)
        if kept:  # the account has a key, so that a password alone sets up none
            with pytest.raises(KeyNeeded):
                factors.confirm_code(self.ledger, caller, proof, ADDRESSES[0])
            return
        found = self._attempted(
            ADDRESSES[0],
            abs(steps) < 2,
            lambda: factors.confirm_code(self.ledger, caller, proof, ADDRESSES[0]),
            WrongProof,
        )
        if found is not None:
            model.seed, model.begun, model.step = model.begun, "", step
            model.recovery, model.used_up = list(found), [*model.recovery, *model.used_up]
            self._ended_but(kept)

    @precondition(lambda self: self.model.seed)
    @rule(password=MOSTLY, how=HOWS, data=st.data())
    def remove_code(self, password: str, how: str, data: st.DataObject) -> None:
        password = password or self.model.password
        proof, second = self._proof(password, how)
        right = second and password == self.model.password
        caller, kept = self._somebody(data)
        done = self._attempted(
            ADDRESSES[0],
            right,
            lambda: factors.remove_code(self.ledger, caller, proof, ADDRESSES[0]),
            WrongProof,
        )
        if done:
            model = self.model
            model.used_up += model.recovery
            model.seed, model.recovery = "", []
            self._ended_but(kept)

    # Sessions.

    def _caller(self, open_: Open) -> Caller:
        return sessions.caller_of(self.ledger, self.ledger.tokens, open_.token)

    def _live(self) -> dict[str, Open]:
        return {name: one for name, one in self.model.open.items() if one.lives(self.clock.now)}

    def _somebody(self, data: st.DataObject) -> tuple[Caller, str]:
        """A session that lives, or the one by key; and its id."""
        live = self._live()
        name = data.draw(st.sampled_from(["", *live]))
        if not name:
            return self.by_key, ""
        self._touch(live[name])
        return self._caller(live[name]), name

    def _touch(self, one: Open) -> None:
        if self.clock.now - one.used >= MINUTE:
            one.used = self.clock.now

    def _ended_but(self, kept: str) -> None:
        self.model.open = {name: one for name, one in self.model.open.items() if name == kept}

    @precondition(lambda self: self.model.open)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        one = self.model.open[data.draw(st.sampled_from(list(self.model.open)))]
        if not one.lives(self.clock.now):
            with pytest.raises(NotSignedIn):
                self._caller(one)
            return
        caller = self._caller(one)
        self._touch(one)
        assert caller.key is None
        assert caller.session is not None
        assert caller.session.assurance == (
            3 if self.clock.now < one.strong_until else one.assurance
        )

    @precondition(lambda self: self._live())
    @rule(data=st.data(), out=st.booleans())
    def end(self, data: st.DataObject, out: bool) -> None:
        live = self._live()
        name = data.draw(st.sampled_from(list(live)))
        if out:
            sessions.sign_out(self.ledger, self.ledger.tokens, live[name].token)
        else:
            assert sessions.end_session(self.ledger, self.by_key, name)
        with pytest.raises(NotSignedIn):
            self._caller(live[name])
        del self.model.open[name]

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        live = self._live()
        one = live[data.draw(st.sampled_from(list(live)))]
        found = signing_in.renew(self.ledger, self._caller(one), one.token)
        old, one.token, one.used = one.token, found.token, self.clock.now
        with pytest.raises(NotSignedIn):
            sessions.caller_of(self.ledger, self.ledger.tokens, old)

    @precondition(lambda self: self._live())
    @rule(data=st.data(), how=HOWS)
    def step_up(self, data: st.DataObject, how: str) -> None:
        live = self._live()
        one = live[data.draw(st.sampled_from(list(live)))]
        caller = self._caller(one)
        self._touch(one)
        proof, right = self._proof("", how)

        def act() -> Any:
            return signing_in.step_up(self.ledger, caller, one.token, proof, ADDRESSES[1])

        if not self.model.seed:
            with pytest.raises(FactorConflict):
                act()
            return
        found = self._attempted(ADDRESSES[1], right, act, WrongProof)
        if found is not None:
            self._shown(proof, how)
            one.token, one.used, one.assurance = found.token, self.clock.now, 2
            one.strong_until = self.clock.now + 5 * MINUTE

    @rule(
        ms=st.sampled_from([1_000, 30_000, 60_000, 5 * MINUTE, 15 * MINUTE, 31 * MINUTE, 3 * HOUR])
    )
    def pass_time(self, ms: int) -> None:
        self.clock.now += ms

    @invariant()
    def agrees(self) -> None:
        """The sessions that live, and what is left of the factors."""
        if not hasattr(self, "model"):
            return
        shown = own.sessions_of(self.ledger, self.by_key)
        assert {one.session for one in shown} == self._live().keys()
        has = own.factors_of(self.ledger, self.by_key)
        assert (has.code, has.recovery) == (bool(self.model.seed), len(self.model.recovery))

    def teardown(self) -> None:
        """Each session has its entry, and no more than one."""
        if hasattr(self, "opened"):
            found = own.sign_ins_of(self.ledger, self.by_key)
            assert [one.type for one in found].count("session.opened") == self.opened


SignIns.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestSignIns = SignIns.TestCase
