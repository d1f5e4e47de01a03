"""A record root wrapped by an AES key that never leaves its PKCS#11 token (a hardware security module, or SoftHSM).

AES-256-GCM (CKM_AES_GCM) with associated data that name what is wrapped: it opens as nothing else. The token is asked
once, at the start; the session is closed at once. The library is imported where it is used.
"""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable.errors import StartRefused
from keeper.roots.place import Pkcs11Place

NONCE_BYTES = 12
_ONE = threading.Lock()
TAG_BITS = 128


def wrap_root(
    place: Pkcs11Place, pin: str | None, root: bytes, subject: str, version: int
) -> bytes:
    """nonce[12] ‖ ciphertext of a root; raises StartRefused with the remedy."""
    nonce = os.urandom(NONCE_BYTES)
    with _key(place, pin) as key:
        from pkcs11 import GCMParams, Mechanism

        params = GCMParams(nonce, _aad(subject, version), TAG_BITS)
        return nonce + bytes(key.encrypt(root, mechanism=Mechanism.AES_GCM, mechanism_param=params))


def unwrap_root(
    place: Pkcs11Place, pin: str | None, wrapped: bytes, subject: str, version: int
) -> bytes:
    """The root in nonce[12] ‖ ciphertext; raises StartRefused with the remedy."""
    nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    with _key(place, pin) as key:
        from pkcs11 import GCMParams, Mechanism

        params = GCMParams(nonce, _aad(subject, version), TAG_BITS)
        return bytes(key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=params))


def read_pin(path: Path) -> str:
    """The PIN in a file, without the end of its line; raises StartRefused where others can read it."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StartRefused(f"{path} is readable by others, expected mode 600: run chmod 600")
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"HEARTWOOD_PKCS11_PIN_FILE can't be read: {error}") from error


def _aad(subject: str, version: int) -> bytes:
    return b"\0".join([b"heartwood/root/v1", subject.encode(), str(version).encode()])


@contextmanager
def _key(place: Pkcs11Place, pin: str | None) -> Iterator[Any]:
    """The token's key, in a session of its own; raises StartRefused, also for what is done with the key."""
    if pin is None:
        raise StartRefused(
            f"the token {place.token} wants its PIN: set HEARTWOOD_PKCS11_PIN, or HEARTWOOD_PKCS11_PIN_FILE to a file of mode 600"
        )
    try:
        import pkcs11
    except ImportError as error:
        raise StartRefused(
            "a root in a PKCS#11 token needs the package python-pkcs11: install it"
        ) from error
    remedies: tuple[tuple[type[Exception], str], ...] = (
        (pkcs11.NoSuchToken, "there is no token of that label: is the device plugged in, and initialised?"),
        (pkcs11.TokenNotPresent, "the token is not there: plug the device in"),
        (pkcs11.PinIncorrect, "the PIN is wrong: a few more wrong ones lock the token"),
        (pkcs11.PinLocked, "the PIN is locked after too many wrong ones: the security officer sets a new one"),
        (pkcs11.MechanismInvalid, "the token doesn't know CKM_AES_GCM: use another"),
    )  # fmt: skip
    try:
        with _ONE:
            library = pkcs11.lib(place.module)
            try:
                with library.get_token(token_label=place.token).open(user_pin=pin) as session:
                    yield _only(pkcs11, session, place.label)
            finally:
                library.finalize()  # a token that is plugged in later is seen, and a fork takes no session along
    except pkcs11.PKCS11Error as error:
        remedy = next(
            (words for kind, words in remedies if isinstance(error, kind)),
            "the module can't be loaded, or the file was altered, or is of another key or another root",
        )
        raise StartRefused(
            f"the record root under {place} ({place.module}) can't be had: {remedy} ({type(error).__name__}: {error})"
        ) from error


def _only(pkcs11: Any, session: Any, label: str) -> Any:
    """The one AES key of a label; raises StartRefused."""
    wanted = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
        pkcs11.Attribute.LABEL: label,
    }
    found = list(session.get_objects(wanted))
    if len(found) != 1:
        raise StartRefused(
            f"the token has {len(found)} AES keys of the label {label}, expected one: make it, or give the others another"
        )
    return found[0]
