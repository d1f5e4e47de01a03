"""How people are reached: an e-mail address and a language by account, sealed under the identity root; outside the log.

An address counts once whoever reads its mail has shown the code that went there. Until then nothing else is sent to it.
The code is derived from the identity root, so that a message that is sent again holds the same one, and neither the outbox
nor any other table has it: what is kept is its SHA-256.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, inspect

from crypto.errors import FormError
from crypto.identity import IdentityRoot
from storage.outbox import UNREACHABLE, Message, Outbox
from storage.sql import schema
from storage.sql.database import Database

PROOF_MS = 24 * 3_600_000
"""How long the code of an address counts."""
PROOFS_AN_ACCOUNT = 5
"""Addresses that one account may give within PROOF_MS."""
PROOFS_A_PAIR = 3
"""How often one account may give the same address within PROOF_MS."""
PROOFS_AN_ADDRESS = 10
"""Codes that go to one address at once within PROOF_MS, whoever asks; each further one waits for its turn."""
PROOF_PACE_MS = 15 * 60_000
"""Between the turns of an address. So nobody floods one, and strangers only delay a code that another account waits for:
it is sent in its turn, and counts PROOF_MS from then on."""
CODE_BYTES = 16
ADDRESS_CHARACTERS = 254
"""Longest address (RFC 5321, 4.5.3.1.3, less the brackets)."""
LOCAL_CHARACTERS = 64
"""Longest part before the @ (RFC 5321, 4.5.3.1.1)."""
PROOF, TAKEN, CHANGED, REMOVED = "contact_proof", "contact_taken", "contact_changed", "contact_removed"  # fmt: skip
"""What is told of addresses themselves."""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+\Z").match
"""A dot-atom and a domain of two labels or more (RFC 5321, 4.1.2), in ASCII: no quotes, no literal, no space."""


class Contact(NamedTuple):
    """Where and in which language to write to somebody."""

    address: str
    language: str


class Contacts:
    """The contact data of one database."""

    def __init__(self, database: Database, identity: IdentityRoot, outbox: Outbox) -> None:
        """`outbox`: where what has to be told of addresses goes."""
        self._database, self._identity, self._outbox = database, identity, outbox

    def of(self, account: str) -> tuple[Contact, int] | None:
        """An account's proved contact and when it was proved (Unix ms), or None."""
        rows = self._database.fetch(
            "SELECT sealed, proved_at FROM contacts WHERE account = ?", (account,)
        )
        return (self.open(account, bytes(rows[0][0])), rows[0][1]) if rows else None

    def pending(self, account: str, now: int) -> tuple[Contact, int] | None:
        """The contact that waits for its code, and until when (Unix ms), or None."""
        statement = "SELECT sealed, ending FROM contact_proofs WHERE account = ? AND ending > ?"
        rows = self._database.fetch(statement, (account, now))
        return (self.open(account, bytes(rows[0][0])), rows[0][1]) if rows else None

    def open(self, account: str, sealed: bytes) -> Contact:
        """A sealed contact; raises SealError."""
        return Contact(**json.loads(self._identity.open("contact", account, sealed)))

    def code(self, message: str) -> str:
        """The code that the message `message` holds: 26 characters of base32."""
        return base64.b32encode(self.secret(message)).decode().rstrip("=")

    def secret(self, message: str) -> bytes:
        """The CODE_BYTES of which that code is made: derived from the identity root, kept nowhere."""
        return self._identity.index("contact-code", message)[:CODE_BYTES]

    def invite(self, connection: Connection, message: Message, contact: Contact, now: int) -> bool:
        """Put a message with a code into the outbox that goes to an address which is nobody's contact; True.

        In the transaction of the act; `now`: Unix ms. The address stays no longer than the message waits.
        """
        self._outbox.put_elsewhere(
            connection, message, now, self._seal(message.account, contact), b""
        )
        return True

    def give(self, account: str, contact: Contact, now: int, key: str = "") -> bool:
        """Let an account have this contact once its address is proved; False if it gave too many within PROOF_MS.

        Another language for the address that is proved counts at once; `now`: Unix ms. `key`: in whose session it is given;
        the code counts as long as the key does. Raises FormError for what is no address.
        Nothing that comes back tells whether somebody else has it: its owner is told so, once a day, and gets no code.
        """
        check_address(contact.address)
        hash_, sealed = self._hash(contact.address), self._seal(account, contact)
        with self._database.write() as connection:
            self._database.hold(connection, "addresses", "contact_proofs")
            owner = self._owner(connection, hash_)
            if owner == account:
                self._run(connection, "DELETE FROM contact_proofs WHERE account = ?", account)
                statement = "UPDATE contacts SET sealed = ? WHERE account = ?"
                self._run(connection, statement, sealed, account)
                return True
            asked = self._asked(connection, hash_, now)
            if (
                self._given(connection, account, now) >= PROOFS_AN_ACCOUNT
                or sum(by == account for by, _, _ in asked) >= PROOFS_A_PAIR
            ):
                return False
            due = now
            if len(asked) >= PROOFS_AN_ADDRESS:
                due = max(now, *(turn + PROOF_PACE_MS for _, turn, _ in asked))
            kind, ending = TAKEN if owner else PROOF, due + PROOF_MS
            params = {} if owner else {"ending_at": ending}
            message = Message(f"{os.urandom(CODE_BYTES).hex()} {account}", kind, account, params)
            # What isn't sent is counted all the same: whether there is an owner doesn't show in when it would be.
            sent = not owner or not any(told for _, _, told in asked)
            self._outbox.put_elsewhere(connection, message, due, sealed, hash_, sent)
            self._run(connection, "DELETE FROM contact_proofs WHERE account = ?", account)
            proof = (_sha256(self.secret(message.id)), account, sealed, hash_, ending, key)
            self._database.insert(connection, schema.contact_proofs, [proof])
        return True

    def prove(self, code: str, now: int) -> bool:
        """Take a contact whose code is shown; False for one that is unknown, was used, is too late or comes too late.

        Who had another address before is told so there.
        """
        try:
            secret = base64.b32decode(code.strip().upper() + "======")
        except ValueError:
            return False
        statement = self._database.sql(
            "SELECT p.account, p.sealed, p.address FROM contact_proofs p LEFT JOIN keys k ON k.key = p.given_by "
            "WHERE p.code = ? AND p.ending > ? AND (p.given_by = '' OR k.active)"
        )
        digest = _sha256(secret)
        if not self._database.fetch("SELECT 1 FROM contact_proofs WHERE code = ?", (digest,)):
            return False  # before anything is held: anybody may send a code
        with self._database.write() as connection:
            # In the order in which a change of factors takes them.
            self._database.hold(connection, "reset_links", "addresses", "contact_proofs")
            found = connection.exec_driver_sql(statement, (digest, now)).first()
            if found is None:
                return False
            account, sealed, hash_ = found[0], bytes(found[1]), bytes(found[2])
            self._run(connection, "DELETE FROM contact_proofs WHERE code = ?", digest)
            if self._owner(connection, hash_) is not None:
                return False
            self._tell_old(connection, account, CHANGED, now)
            for table in ("addresses", "reset_links"):
                self._run(connection, f"DELETE FROM {table} WHERE account = ?", account)
            self._database.insert(connection, schema.addresses, [(hash_, account)])
            self._database.upsert(connection, schema.contacts, [(account, sealed, now)])
        return True

    def remove(self, account: str, now: int) -> None:
        """Forget how an account is reached; it is told so once, at the address that was proved."""
        with self._database.write() as connection:
            self._database.hold(connection, "addresses", "contact_proofs")
            self._tell_old(connection, account, REMOVED, now)
            for table in ("contact_proofs", "reset_links", "addresses", "contacts"):
                self._run(connection, f"DELETE FROM {table} WHERE account = ?", account)

    def remove_old_proofs(self, now: int) -> None:
        """Forget addresses that weren't proved in time."""
        statement = "SELECT 1 FROM contact_proofs WHERE ending <= ? LIMIT 1"
        if self._database.fetch(statement, (now,)):
            with self._database.write() as connection:
                self._run(connection, "DELETE FROM contact_proofs WHERE ending <= ?", now)

    def forget_proofs(self) -> None:
        """See the function of that name."""
        forget_proofs(self._database)

    def _tell_old(self, connection: Connection, account: str, kind: str, now: int) -> None:
        statement = self._database.sql("SELECT sealed FROM contacts WHERE account = ?")
        before = connection.exec_driver_sql(statement, (account,)).first()
        if before is not None:
            message = Message(f"{os.urandom(CODE_BYTES).hex()} {account}", kind, account, {})
            sealed = bytes(before[0])
            address = self._hash(self.open(account, sealed).address)
            self._outbox.put_elsewhere(connection, message, now, sealed, address)

    def _given(self, connection: Connection, account: str, now: int) -> int:
        """How many addresses an account gave within PROOF_MS."""
        statement = self._database.sql(
            "SELECT count(*) FROM outbox WHERE account = ? AND kind IN (?, ?) AND created > ?"
        )
        given = (account, PROOF, TAKEN, now - PROOF_MS)
        return int(connection.exec_driver_sql(statement, given).scalar() or 0)

    def _asked(
        self, connection: Connection, hash_: bytes, now: int
    ) -> Sequence[tuple[str, int, bool]]:
        """Who gave an address within PROOF_MS, when their message's turn is (Unix ms), and whether it tells the owner."""
        statement = self._database.sql(
            "SELECT account, created, kind = ? AND outcome <> ? FROM outbox WHERE address = ? AND length(address) > 0 "
            "AND kind IN (?, ?) AND created > ?"
        )
        asked = (TAKEN, UNREACHABLE, hash_, PROOF, TAKEN, now - PROOF_MS)
        return [(*row,) for row in connection.exec_driver_sql(statement, asked)]

    def _owner(self, connection: Connection, hash_: bytes) -> str | None:
        statement = self._database.sql("SELECT account FROM addresses WHERE hash = ?")
        found = connection.exec_driver_sql(statement, (hash_,)).first()
        return None if found is None else str(found[0])

    def _run(self, connection: Connection, statement: str, *values: object) -> None:
        connection.exec_driver_sql(self._database.sql(statement), values)

    def _seal(self, account: str, contact: Contact) -> bytes:
        return self._identity.seal("contact", account, json.dumps(contact._asdict()).encode())

    def _hash(self, address: str) -> bytes:
        return self._identity.index("mail", address.lower())


def check_address(address: str) -> None:
    """Raises FormError unless `address` is one that is written to; nothing of it is repeated."""
    local = address.partition("@")[0]
    if (
        len(address) > ADDRESS_CHARACTERS
        # An encoded word: what makes the mail would read another name, or a whole other address, out of it (RFC 2047).
        or "=?" in address
        or len(local) > LOCAL_CHARACTERS
        or _ADDRESS(address) is None
    ):
        raise FormError(
            f"got an e-mail address of {len(address)} characters that is not of the form name@domain.example, in ASCII, "
            f"up to {ADDRESS_CHARACTERS} characters"
        )


def forget_proofs(database: Database) -> None:
    """No code or link that went out counts any more: a restored database doesn't know which of them did since.

    An older schema has none.
    """
    with database.write() as connection:
        for table in (schema.contact_proofs.name, schema.reset_links.name):
            if inspect(connection).has_table(table):
                connection.exec_driver_sql(f"DELETE FROM {table}")


def _sha256(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
