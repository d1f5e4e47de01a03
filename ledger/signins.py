"""Sign-ins as the log has them: what an act under a key that the service keeps rests on. Pure.

The service holds such a key, so a signature by it says only that the service signed. That its owner was there is said by
the entry's `decision.session`: the number of the sign-in, or of its step-up, which everybody can look up and judge again.
"""

from typing import NamedTuple

from ledger.rows import Look, row_type

SIGN_IN_LASTS_MS = 43_200_000
"""How long after a sign-in an act may rest on it, if it wasn't ended before."""
STEP_UP_LASTS_MS = 300_000
"""How long after a step-up an act has assurance 3."""
SIGN_INS_KEPT = 64
"""Sign-ins of one account that are looked at, the newest; the service lets fewer live at a time."""


class SignIn(NamedTuple):
    """A session by password; times in Unix ms."""

    session: str
    role: str
    hospital: str
    assurance: int
    """1 by password alone, 2 with a second factor."""
    seq: int
    """The entry that opened it."""
    opened: int
    stepped: int = 0
    """The entry that stepped it up last; 0 if none did."""
    strong: int = 0
    """When that was."""
    before: int = 0
    """The entry of the step-up before that, which an act may still name that was under way; 0 if there was none."""
    before_strong: int = 0
    """When that was."""

    def level(self, time: int) -> int:
        """The assurance at `time` (Unix ms)."""
        if self.stepped and time - self.strong < STEP_UP_LASTS_MS:
            return 3
        return 2 if self.stepped else self.assurance

    def is_named(self, seq: int, time: int) -> bool:
        """Whether entry `seq` opened it, or stepped it up: last, or before that and less than STEP_UP_LASTS_MS ago."""
        if seq in (self.seq, self.stepped or self.seq):
            return True
        return (
            bool(self.before)
            and seq == self.before
            and time - self.before_strong < STEP_UP_LASTS_MS
        )

    def named_by(self, time: int) -> int:
        """The entry that gives the level at `time` (Unix ms): what a decision names."""
        return self.stepped if self.level(time) == 3 else self.seq


@row_type("sign_ins", key=1, consent_only=True)
class SignIns(NamedTuple):
    """The sessions by password of an account that no entry has ended, and that are not too old; the newest last."""

    account: str
    seq: int
    """The entry that changed it last."""
    sessions: tuple[SignIn, ...]

    def named(self, seq: int, time: int) -> SignIn | None:
        """The session that entry `seq` opened or stepped up, if it may be rested on at `time` (Unix ms)."""
        found = (one for one in self.sessions if one.is_named(seq, time))
        return next((one for one in found if time - one.opened < SIGN_IN_LASTS_MS), None)

    def of(self, session: str) -> SignIn | None:
        """The session with this id."""
        return next((one for one in self.sessions if one.session == session), None)


def sign_ins_of(account: str, look: Look) -> SignIns:
    """What is known of an account's sign-ins."""
    return look.get(SignIns, account) or SignIns(account, 0, ())
