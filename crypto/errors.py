"""The errors of this package; each message says what was got and what was expected."""


class CryptoError(ValueError):
    """Root of every error that this package raises on purpose."""


class CanonicalError(CryptoError):
    """Bytes or values that are not canonical JSON within the limits."""


class IdError(CryptoError):
    """A text that is not an id, or an id of another kind."""


class SignatureError(CryptoError):
    """A signature, or a public key, that libsodium or ML-DSA does not accept."""


class NoteError(CryptoError):
    """A signed note, verifier key or checkpoint text that breaks its C2SP page."""


class FormError(CryptoError):
    """A file from outside that is not of the form it should have; that proves nothing about its content."""


class SealError(CryptoError):
    """A ciphertext or wrapped key that does not open under the key and names given."""
