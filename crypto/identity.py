"""The identity root: what the service keeps of people outside the log is sealed under it, and found by keyed hashes."""

import hmac

from crypto.errors import SealError
from crypto.wraps import KEY_BYTES, unwrap, wrap

_SEAL_LABEL = b"heartwood/identity/v1"
_INDEX_LABEL = b"heartwood/identity-index/v1"


class IdentityRoot:
    """Seals by `kind` (`seed`, `contact` …), each under a key of its own, and makes keyed hashes of what is looked up."""

    def __init__(self, root: bytes) -> None:
        """`root`: 32 bytes; raises SealError for another length."""
        if len(root) != KEY_BYTES:
            raise SealError(f"got an identity root of {len(root)} bytes, expected {KEY_BYTES}")
        self._root = root

    def seal(self, kind: str, name: str, secret: bytes) -> bytes:
        """`secret` under the key of `kind`, bound to `name` (whose it is): nonce[12] ‖ AES-256-GCM-SIV."""
        return wrap(self._key(_SEAL_LABEL, kind), _bound(kind, name), secret)

    def open(self, kind: str, name: str, sealed: bytes) -> bytes:
        """What `seal` sealed; raises SealError for another root, kind or name, and for altered bytes."""
        return unwrap(self._key(_SEAL_LABEL, kind), _bound(kind, name), sealed)

    def index(self, kind: str, text: str) -> bytes:
        """HMAC-SHA-256 of `text`, 32 bytes, under a key of `kind`: what lets somebody find it who has it already."""
        return hmac.digest(self._key(_INDEX_LABEL, kind), text.encode(), "sha256")

    def _key(self, label: bytes, kind: str) -> bytes:
        return hmac.digest(self._root, label + b"\0" + kind.encode(), "sha256")


def _bound(kind: str, name: str) -> bytes:
    return b"\0".join((_SEAL_LABEL, kind.encode(), name.encode()))
