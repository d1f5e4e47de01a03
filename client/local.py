"""The ledger that is open in this process."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from client import beside
from client.operations import Query
from client.port import AppendedEvent, Event, LedgerClient
from client.signers import Signed, Signer, signer_of
from identity.actors import Actor
from journeys import sealing
from journeys.appending import submit
from ledger.policies import Policy
from ledger.sequencer import Proposal
from people import lookups, reserving
from people.hospitals import zone_of
from people.lookups import Found
from people.reserving import Reserved, Subject
from records import charts, explaining, exporting, history, opening, receipts
from records.charts import Chart
from records.explaining import Answer, Question
from records.exporting import ExportedRecord
from records.history import History
from records.opening import OpenedRecord
from records.uploads import StagedBlob, stage
from storage.ledger import Ledger

T = TypeVar("T")


class LocalClient(LedgerClient):
    """The client of a ledger that is open in this process."""

    def __init__(self, ledger: Ledger, signer: Callable[[Actor], Signer] = signer_of) -> None:
        """Nothing is kept but the ledger; `signer(actor)`: who signs for an actor."""
        self.ledger, self.origin, self._signer = ledger, ledger.origin, signer

    def now(self) -> int:
        """Unix ms; see the port."""
        return self.ledger.clock()

    def policy(self) -> Policy:
        """The policy in force; see the port."""
        return self.ledger.policy

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append; see the port."""
        proposals = beside.propose(self.ledger, actor, events, self._signer(actor))
        entries = submit(self.ledger, proposals, atomic)
        return [AppendedEvent(entry.link.seq, entry.event.value) for entry in entries]

    def submit(self, signed: Signed, atomic: bool = False) -> list[int]:
        """Append what was signed; see the port."""
        entries = submit(self.ledger, beside.proposals_of(self.ledger, signed), atomic)
        return [entry.link.seq for entry in entries]

    def _reading(self, actor: Actor, event: Event) -> Proposal:
        return beside.propose(self.ledger, actor, [event], self._signer(actor))[0]

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids; see the port."""
        return reserving.reserve_subjects(self.ledger, actor.caller, subjects)

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> tuple[dict[str, str], list[str]]:  # fmt: skip
        """Sealed fields and label codes; see the port."""
        return sealing.seal_texts(
            self.ledger, actor.caller, patient, object_id, event, texts, labels
        )

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content; see the port."""
        return stage(self.ledger, actor.caller, patient, content, record)

    def open(self, actor: Actor, event: Event) -> OpenedRecord:
        """Append a reading and give the content; see the port."""
        return opening.open_record(self.ledger, self._reading(actor, event))

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list; see the port."""
        return charts.open_chart(self.ledger, self._reading(actor, event))

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream; see the port."""
        return history.open_history(self.ledger, self._reading(actor, event))

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content; see the port."""
        proposal = self._reading(actor, event)
        return exporting.open_export(self.ledger, proposal, wanted)[1]

    def ask(self, actor: Actor, query: Query[T], **names: str) -> T:
        """The answer to a question; see the port."""
        return query.answer(self.ledger, actor.caller, **names)

    def time_zone(self, actor: Actor, hospital: str) -> str:
        """A hospital's time zone, without the names of its people; see the port."""
        return zone_of(self.ledger, hospital)

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by identifier; see the port."""
        return lookups.lookup(self.ledger, actor.caller, identifiers)

    def why(self, actor: Actor, question: Question) -> Answer:
        """An explanation; see the port."""
        return explaining.why(self.ledger, actor.caller, question)

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """A receipt; see the port."""
        receipt, final = receipts.receipt(self.ledger, actor.caller, seq)
        return receipt.text(), final
