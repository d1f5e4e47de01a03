"""The errors of this room; each message says what was got and what was expected."""


class IdentityError(Exception):
    """Root of every error that this room raises on purpose."""


class KeyFileError(IdentityError):
    """A key file that is missing, open to others, locked, or of another log."""


class NotSignedIn(IdentityError):
    """A challenge, token or key that signs nobody in (any more)."""
