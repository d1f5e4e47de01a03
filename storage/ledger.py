"""One open ledger: what is read of its log, the log itself, and what opens records."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field

from crypto.identity import IdentityRoot
from keeper.protocol import Keeper
from ledger.sequencer import Outcome, Proposal
from storage.blobs.files import BlobStore
from storage.contacts import Contacts
from storage.inquiries import Inquiries
from storage.keytable import KeyTable
from storage.log import Beside, CommittedBatch, Log
from storage.logkeys import StoredKeys
from storage.numbers import Numbers
from storage.outbox import Outbox
from storage.places import Places
from storage.profiles import Profiles
from storage.reader import LogReader
from storage.resets import Resets
from storage.reviews import Owed, owed
from storage.signatures import SignatureChecks
from storage.sql.credentials import Credentials
from storage.sql.identifiers import Identifiers
from storage.stores import Stores
from storage.tokens import TokenStore


@dataclass
class Ledger(LogReader):
    """What the journeys work with. Thread-safe; `close` finishes what was accepted."""

    vkeys: StoredKeys
    keys: KeyTable
    blobs: BlobStore
    identifiers: Identifiers
    signatures: SignatureChecks
    log: Log
    keeper: Keeper
    tokens: TokenStore
    identity: IdentityRoot
    credentials: Credentials
    outbox: Outbox
    contacts: Contacts
    keeper_size: int = 0
    """How many entries the keeper has read, as far as is known here; see `evidence` and `feeding`."""
    feeding: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one who gives the keeper entries to read."""
    names: dict[str, str] = field(default_factory=dict)
    """Names of hospitals and their people that were shown before, by id."""

    @property
    def stores(self) -> Stores:
        """The data without the secrets."""
        return Stores(self.database, self.store, self.keys, self.blobs, self.vkeys)

    @property
    def resets(self) -> Resets:
        """Links that replace a forgotten password."""
        return Resets(self.database, self.contacts, self.outbox)

    @property
    def places(self) -> Places:
        """Whence accounts sign in."""
        return Places(self.database, self.outbox)

    @property
    def profiles(self) -> Profiles:
        """What doctors are shown with."""
        return Profiles(self.database, self.identity)

    @property
    def numbers(self) -> Numbers:
        """The mobile numbers that patients stated."""
        return Numbers(self.database, self.identity)

    @property
    def inquiries(self) -> Inquiries:
        """Who asks whoever stated a number or holds a health card."""
        return Inquiries(self.database, self.identity)

    def owed(self) -> Owed:
        """What people owe by now: reviews of emergencies, and disclosures to be told."""
        return owed(self.database, self.clock())

    def append(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """Append proposals; see `Log.append`."""
        return self.log.append(proposals)

    def submit(
        self,
        proposals: Sequence[Proposal],
        atomic: bool = False,
        beside: Beside | None = None,
    ) -> "Future[CommittedBatch]":
        """Queue proposals without waiting; see `Log.submit`."""
        return self.log.submit(proposals, atomic, beside)

    def close(self) -> None:
        """Finish what was accepted and close everything; raises OSError if the trusted checkpoint can't be written."""
        with ExitStack() as last_first:  # each is closed, whatever another one raises
            last_first.callback(self.database.close)
            last_first.callback(self.tokens.close)
            last_first.callback(self.keeper.close)
            last_first.callback(self.log.close)
