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
    """A role that nobody takes up with a password alone."""


class StepUpNeeded(IdentityError):
    """What takes the second factor within the last minutes."""


class KeyNeeded(IdentityError):
    """What is signed, or prepares it, is for a session by key, or for an account whose key the service keeps."""


class Throttled(IdentityError):
    """Too many sign-ins failed. `seconds`: how long nothing more is tried."""

    def __init__(self, seconds: int) -> None:
        """In whole seconds, at least 1."""
        super().__init__(f"too many sign-ins failed; try again in {seconds} s")
        self.seconds = seconds
