"""The errors of this package; each message says what was got and what was expected."""


class IdentityError(Exception):
    """Root of every error that this package raises on purpose."""


class KeyFileError(IdentityError):
    """A key file that is missing, open to others, locked, or of another log."""


class NotSignedIn(IdentityError):
    """A challenge, token or key that signs nobody in (any more)."""
