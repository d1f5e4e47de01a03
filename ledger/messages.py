"""What is signed: never bytes that somebody else made up, and nothing that would count for another purpose or log."""

from crypto.encoding import b64encode


def event_message(origin: str, event: bytes) -> bytes:
    """What is signed for one event; the origin keeps it from counting in another log."""
    return b"heartwood/event/v1\n" + origin.encode() + b"\n" + event


def bundle_message(origin: str, count: int, root: bytes) -> bytes:
    """What is signed for a bundle of `count` events with the RFC 6962 tree hash `root`."""
    return f"heartwood/bundle/v1\n{origin}\n{count}\n{b64encode(root)}\n".encode()


def possession_message(origin: str, account: str, key: str) -> bytes:
    """What a new key signs to prove that whoever registers it holds it."""
    return f"heartwood/key/v1\n{origin}\n{account}\n{key}\n".encode()


def session_message(origin: str, key: str, nonce: bytes) -> bytes:
    """What `key` signs to open a session on the server's 32 bytes."""
    return f"heartwood/session/v1\n{origin}\n{key}\n{b64encode(nonce)}\n".encode()


def claim_message(origin: str, patient: str, account: str) -> bytes:
    """What the key of a claim code signs: that `account` claims the chart of `patient`."""
    return f"heartwood/claim/v1\n{origin}\n{patient}\n{account}\n".encode()


def invitation_message(origin: str, patient: str, account: str) -> bytes:
    """What the key of an invitation's code signs: that `account` is linked to `patient` as a relative."""
    return f"heartwood/invitation/v1\n{origin}\n{patient}\n{account}\n".encode()
