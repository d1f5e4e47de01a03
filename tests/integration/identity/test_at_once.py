"""Two sign-ins at once, in two processes: a code, a recovery code and a failure count once, on both engines."""

from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

import pyotp

from api.app.settings import Settings
from identity import codes, factors, throttles
from identity.actors import Actor
from identity.errors import NotSignedIn, Throttled
from identity.proving import Proof
from identity.signing_in import SignIn, sign_in_by_password
from ledger.types.sessions import RECOVERY_CODES
from tests.support.child_processes import CONTEXT, start
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD
from tests.support.workers import PATIENCE_SECONDS

TRIES = 6


def sign_in_each(
    settings: Settings, account: str, proofs: list[Proof], barrier: Barrier, answer: Connection
) -> None:
    """Sign in with each proof at the same moment as others; answers what came of each."""
    ledger, out = opened(settings), []
    for proof in proofs:
        barrier.wait(PATIENCE_SECONDS)
        try:
            sign_in_by_password(ledger, SignIn(account, proof, "person"), "192.0.2.1")
            out.append("in")
        except NotSignedIn:
            out.append("out")
        except Throttled:
            out.append("throttled")
    ledger.close()
    answer.send(out)


def _with_codes(fixture: LedgerFixture, actor: Actor) -> tuple[pyotp.TOTP, tuple[str, ...]]:
    ledger, caller = fixture.ledger, actor.in_role("person").caller
    factors.set_password(ledger, caller, PASSWORD, Proof(), "")
    totp = pyotp.TOTP(factors.begin_code(ledger, caller).seed)
    # Shown a step late, so that the codes of now and of the next step are still good.
    code = totp.at(ledger.clock() // 1_000 - codes.STEP_SECONDS)
    return totp, factors.confirm_code(ledger, caller, Proof(PASSWORD, code), "")


def _at_once(fixture: LedgerFixture, account: str, proofs: list[Proof]) -> list[list[str]]:
    barrier, answers = CONTEXT.Barrier(2), [CONTEXT.Pipe(duplex=False) for _ in range(2)]
    children = [
        start(sign_in_each, fixture.settings, account, proofs, barrier, sender)
        for _, sender in answers
    ]
    found = [receiver.recv() for receiver, _ in answers]
    for child in children:
        child.join()
    return found


def test_a_code_lets_one_in(fixture: LedgerFixture) -> None:
    """Each of these codes is shown twice at the same moment."""
    actor = fixture.person().actor
    totp, recovery = _with_codes(fixture, actor)
    fixture.ledger.close()
    step = totp.timecode(fixture.ledger.clock() // 1_000)
    proofs = [Proof(PASSWORD, totp.generate_otp(step + 1))]
    proofs += [Proof(PASSWORD, recovery=code) for code in recovery[:TRIES]]
    first, second = _at_once(fixture, actor.account, proofs)
    fixture.ledger = opened(fixture.settings)
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [["in", "out"]] * len(
        proofs
    )
    kept = fixture.ledger.credentials.of(actor.account)
    assert kept is not None
    assert kept.recovery == RECOVERY_CODES - TRIES
    types = [entry.event.type.name for entry in fixture.ledger.tail(f"account/{actor.account}", 50)]
    assert types.count("session.opened") == TRIES + 1
    assert types.count("recovery.used") == TRIES


def test_each_failure_is_counted(fixture: LedgerFixture) -> None:
    """None is lost between two processes: who begins to wait does so after just as many."""
    actor = fixture.person().actor
    factors.set_password(fixture.ledger, actor.in_role("person").caller, PASSWORD, Proof(), "")
    fixture.ledger.close()
    found = _at_once(fixture, actor.account, [Proof("wrong horse")] * 8)
    fixture.ledger = opened(fixture.settings)
    tried = sum(answers.count("out") for answers in found)
    # One that begins to wait may have its second over before the others are through.
    assert throttles.ACCOUNT_FREE < tried <= throttles.ACCOUNT_FREE + 3
