"""The errors of this package; each message says what was got and what was expected."""


class IdentityError(Exception):
    """Root of every error that this package raises on purpose."""


class KeyFileError(IdentityError):
    """A key file that is missing, open to others, locked, or of another log."""


class NotSignedIn(IdentityError):
    """A challenge, token or key that signs nobody in (any more)."""


class WrongProof(IdentityError):
    """A password, code or recovery code that is wrong, was used, or is missing, in a session that is good."""


class BadPassword(IdentityError):
    """A password that nobody should have: too short, too long, or one of the most used."""


class FactorConflict(IdentityError):
    """A factor that is there already, isn't there yet, or was changed by somebody else meanwhile."""


class SecondFactorNeeded(IdentityError):
    """What nobody does with a password alone: take up a role of staff, fetch a receipt."""


class StepUpNeeded(IdentityError):
    """A session by password that was not stepped up within the last minutes."""


class KeyNeeded(IdentityError):
    """What is signed, prepares it, or sets up codes for staff: for a session by key, or where the service keeps one."""


class Throttled(IdentityError):
    """Too many sign-ins failed, or too much was done. `seconds`: how long nothing more is tried."""

    def __init__(self, seconds: int, why: str = "too many sign-ins failed") -> None:
        """In whole seconds, at least 1."""
        super().__init__(f"{why}; try again in {seconds} s")
        self.seconds = seconds
