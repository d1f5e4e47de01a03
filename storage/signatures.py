"""Step 1 of an append, in the callers' threads: parse strictly and check the signature."""

from collections.abc import Sequence

from crypto.errors import CryptoError
from crypto.signing import SigningKey, verify
from crypto.texts import is_printable, printable
from ledger.errors import EventError, LedgerError, Refused
from ledger.event import Event, Signature, bundle_paths, sign_event
from ledger.messages import bundle_message, event_message
from ledger.sequencer import Proposal
from storage.sql.database import Database

KEYS_LIMIT = 100_000
"""Public keys kept in memory; a key id is a hash of its key, so none goes stale."""


class SignatureChecks:
    """Turns bytes from outside into proposals whose signatures hold."""

    def __init__(self, database: Database, origin: str) -> None:
        """`origin` of the log, which is part of what was signed."""
        self._database, self._origin = database, origin
        self._keys: dict[str, bytes] = {}

    def event(self, raw: bytes, key: str, value: bytes, expect: int | None = None) -> Proposal:
        """One signed event from its canonical bytes; raises Refused with what was wrong."""
        try:
            return self.check(Event.parse(raw), key, value, expect)
        except EventError as error:
            raise Refused("malformed", str(error)) from error

    def check(self, event: Event, key: str, value: bytes, expect: int | None = None) -> Proposal:
        """One parsed event, whose signature `value` by `key` is checked; raises Refused."""
        _check_name(event)
        try:
            verify(self._public(key), value, event_message(self._origin, event.raw))
        except CryptoError as error:
            raise Refused("signature", str(error)) from error
        return Proposal(event, Signature(key, value), expect)

    def by_key(
        self, event: Event, key: SigningKey, expect: int | None, session: int | None
    ) -> Proposal:
        """One event signed here, with a key that the service keeps, in the sign-in of entry `session`; raises Refused."""
        _check_name(event)
        return Proposal(event, sign_event(key, self._origin, event.raw), expect, session)

    def bundle(self, raws: Sequence[bytes], key: str, value: bytes) -> list[Proposal]:
        """A bundle from its events' canonical bytes; raises Refused for all of it."""
        try:
            return self.check_bundle([Event.parse(raw) for raw in raws], key, value)
        except EventError as error:
            raise Refused("malformed", str(error)) from error

    def check_bundle(self, events: Sequence[Event], key: str, value: bytes) -> list[Proposal]:
        """A bundle of parsed events of one author under one signature; raises Refused for all of it."""
        for event in events:
            _check_name(event)
        raws = [event.raw for event in events]
        try:
            root, paths = bundle_paths(key, value, raws)
            verify(self._public(key), value, bundle_message(self._origin, len(raws), root))
        except LedgerError as error:
            raise _refused(error, "malformed") from error
        except CryptoError as error:
            raise Refused("signature", str(error)) from error
        if len({event.actor for event in events}) != 1:
            raise Refused("malformed", "got a bundle of several authors, expected one")
        return [Proposal(event, sig) for event, sig in zip(events, paths, strict=True)]

    def _public(self, key: str) -> bytes:
        """The public key of a registered key id; whether it counts now is decided in the batch."""
        public = self._keys.get(key)
        if public is None:
            statement = self._database.sql(
                "SELECT public FROM keys WHERE key = ? AND algorithm = 'ed25519'"
            )
            with self._database.read() as connection:
                row = connection.exec_driver_sql(statement, (key,)).first()
            if row is None:
                raise Refused(
                    "key", f"got the key {key[:40]}, which no entry registered for signing"
                )
            if len(self._keys) >= KEYS_LIMIT:
                self._keys.clear()
            public = self._keys[key] = bytes(row[0])
        return public


def _check_name(event: Event) -> None:
    """A hospital's public name, the one free text of the log, shows as what it is.

    For what comes in alone: the registry's pattern takes more, and older entries may hold it.
    """
    if event.type.name == "hospital.approved" and not is_printable(event.body["name"]):
        name = printable(event.body["name"])
        raise Refused(
            "malformed",
            f"got the public name '{name}', expected one without control characters, marks that turn "
            "the direction of writing, and noncharacters",
        )


def _refused(error: LedgerError, code: str) -> Refused:
    return error if isinstance(error, Refused) else Refused(code, str(error))
