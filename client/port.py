"""The client: what whoever holds a key asks of a ledger. `LocalClient` is the one in this process; over HTTP is another.

Journeys are written against the client, so a command does the same beside the data as from afar. Events are
signed on this side of it; the other side decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from client import operations
from client.operations import Query
from client.signers import Signed
from identity.actors import Actor
from ledger.facts import Exclusion, Grant
from ledger.policies import Policy
from people.hospitals import Directory, Holder
from people.lookups import Found
from people.reserving import Reserved, Subject
from records.charts import Chart
from records.explaining import Answer, Question
from records.exporting import ExportedRecord
from records.history import History
from records.opening import Address, OpenedRecord
from records.uploads import StagedBlob

T = TypeVar("T")
Event = dict[str, Any]
"""An event, not yet signed."""


@dataclass(frozen=True)
class AppendedEvent:
    """An event that stands in the log as entry `seq`."""

    seq: int
    event: Event


class LedgerClient(Protocol):
    """What whoever holds a key asks of a ledger. Errors are those of the packages behind it."""

    origin: str

    def now(self) -> int:
        """Unix ms, for what is signed."""
        ...

    def policy(self) -> Policy:
        """The policy in force."""
        ...

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append events of one actor, in order; raises the first refusal or denial.

        `atomic`: all of them or none; they must fit into one bundle.
        """
        ...

    def submit(self, signed: Signed, atomic: bool = False) -> list[int]:
        """Append what was proposed and signed; gives the entries' numbers, or raises as `append` does."""
        ...

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids with their keys; see `reserving.reserve_subjects`."""
        ...

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> tuple[dict[str, str], list[str]]:  # fmt: skip
        """Sealed fields and label codes for an event; see `sealing.seal_texts`."""
        ...

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content into the blob store; see `uploads.stage`."""
        ...

    def open(self, actor: Actor, event: Event) -> OpenedRecord:
        """Append a `record.opened` and give the content."""
        ...

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list."""
        ...

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream."""
        ...

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content of all that it lists (record, version)."""
        ...

    def ask(self, actor: Actor, query: Query[T], **names: str) -> T:
        """The answer to a question of `operations.QUERIES`, with what its path names; raises NotThere."""
        ...

    def address(self, actor: Actor, record: str) -> Address:
        """What a reading of a record must name."""
        return self.ask(actor, operations.ADDRESS, record=record)

    def consents(
        self, actor: Actor, patient: str
    ) -> tuple[tuple[Grant, ...], tuple[Exclusion, ...]]:
        """Grants and exclusions of a chart of the actor's own."""
        found = self.ask(actor, operations.CONSENTS, patient=patient)
        return found.grants, found.exclusions

    def charts(self, actor: Actor) -> list[str]:
        """The charts whose patient the actor is."""
        return list(self.ask(actor, operations.ME).patients)

    def hospital(self, actor: Actor, hospital: str) -> Directory:
        """A hospital's name, doctors and groups."""
        return self.ask(actor, operations.HOSPITAL_SHOWN, hospital=hospital)

    def time_zone(self, actor: Actor, hospital: str) -> str:
        """A hospital's time zone."""
        return self.hospital(actor, hospital).time_zone

    def hospital_of(self, actor: Actor, group: str) -> str:
        """The hospital whose group it is."""
        return self.ask(actor, operations.GROUP_SHOWN, group=group).hospital

    def holder(self, actor: Actor, account: str) -> Holder:
        """An account's roles, as far as the actor may see them."""
        return self.ask(actor, operations.HOLDER, account=account)

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by the hospital's own identifiers; see `lookups.lookup`."""
        ...

    def why(self, actor: Actor, question: Question) -> Answer:
        """The explanation of a question; see `explaining.why`."""
        ...

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """The receipt of an entry that concerns the actor, and whether it is final."""
        ...
