"""The ledger that is open in this process."""

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, TypeVar

from client import beside
from client.local_sessions import HERE, LocalSessions, caller_of, preparing
from client.operations import Query
from client.port import AppendedEvent, Event, LedgerClient
from client.sessions import surely
from client.signers import Signed, Signer, signer_of
from identity import sessions
from identity.actors import Actor, Caller
from identity.kept import MadeKey, keep_key
from identity.own import BegunCode
from journeys import sealing
from journeys.appending import appended, submit
from journeys.questions import Question
from ledger.packages import write_package
from ledger.policies import Policy
from ledger.sequencer import Proposal
from people import (
    alone,
    claiming,
    contacts,
    inviting,
    joining,
    lookups,
    numbers,
    profiles,
    recovering,
    reserving,
)
from people.alone import OwnChart
from people.contacts import ContactShown
from people.hospitals import zone_of
from people.joining import Registered, Registration
from people.lookups import Found
from people.numbers import NumberShown
from people.profiles import Profile, ProfileShown
from people.reserving import Reserved, Subject
from records import charts, explaining, exporting, history, inquiries, opening, receipts, referrals
from records.charts import Chart
from records.emergencies import OpenedEmergency, open_emergency
from records.explaining import Answer
from records.exporting import ExportedRecord
from records.history import History
from records.inquiries import Inquired
from records.opening import OpenedRecord
from records.uploads import StagedBlob, stage
from storage.contacts import Contact
from storage.ledger import Ledger
from storage.log import CommittedBatch

T = TypeVar("T")


class LocalClient(LocalSessions, LedgerClient):
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
        proposals = beside.propose(self.ledger, actor, events, self._signer)
        entries = submit(self.ledger, proposals, atomic)
        return [AppendedEvent(entry.link.seq, entry.event.value) for entry in entries]

    def submit(self, signed: Signed, atomic: bool = False) -> list[int]:
        """Append what was signed; see the port."""
        entries = submit(self.ledger, beside.proposals_of(self.ledger, signed), atomic)
        return [entry.link.seq for entry in entries]

    def _proposal(self, actor: Actor, event: Event) -> Proposal:
        return beside.propose(self.ledger, actor, [event], self._signer)[0]

    def _caller(self, actor: Actor) -> Caller:
        return caller_of(self.ledger, actor)

    def register(self, wanted: Registration) -> Registered:
        """Register oneself; see the port."""
        return joining.register_alone(self.ledger, wanted)

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids; see the port."""
        return reserving.reserve_subjects(self.ledger, preparing(self.ledger, actor), subjects)

    def verifier_keys(self) -> tuple[str, ...]:
        """The log's verifier keys; see the port."""
        return tuple(str(key) for key in self.ledger.vkeys)

    def offer(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `claim.offered`; see the port."""
        return _seq(claiming.offer_claim(self.ledger, self._proposal(actor, event), born))

    def claim(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `patient.claimed`; see the port."""
        return _seq(claiming.claim_chart(self.ledger, self._proposal(actor, event), born))

    def invite(self, actor: Actor, event: Event, mail: Contact | None) -> int:
        """Append a `doctor.invited`; see the port."""
        return _seq(inviting.invite(self.ledger, self._proposal(actor, event), mail))

    def take_up(self, actor: Actor, event: Event) -> int:
        """Append a `doctor.joined`; see the port."""
        return _seq(inviting.take_up(self.ledger, self._proposal(actor, event)))

    def set_profile(self, actor: Actor, account: str, said: Profile) -> ProfileShown:
        """Write a profile; see the port."""
        return surely(
            self,
            actor,
            lambda: profiles.set_profile_of(self.ledger, self._caller(actor), account, said),
        )

    def own_chart(self, actor: Actor, name: str, born: str) -> OwnChart:
        """A chart for a person who registers alone; see the port."""
        return alone.register_alone(self.ledger, self._caller(actor), name, born)

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> sealing.Sealed:  # fmt: skip
        """Sealed fields and label codes; see the port."""
        return sealing.seal_texts(
            self.ledger, preparing(self.ledger, actor), patient, object_id, event, texts, labels
        )

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content; see the port."""
        return stage(self.ledger, preparing(self.ledger, actor), patient, content, record)

    def open(self, actor: Actor, event: Event) -> OpenedRecord:
        """Append a reading and give the content; see the port."""
        return opening.open_record(self.ledger, self._proposal(actor, event))

    def chart(self, actor: Actor, event: Event) -> Chart:
        """Append a `chart.opened` and give the list; see the port."""
        return charts.open_chart(self.ledger, self._proposal(actor, event))

    def history(self, actor: Actor, event: Event) -> History:
        """Append a `history.opened` and give the stream; see the port."""
        return history.open_history(self.ledger, self._proposal(actor, event))

    def emergency(self, actor: Actor, event: Event) -> OpenedEmergency:
        """Append an `emergency.opened` and give what it shows; see the port."""
        return open_emergency(self.ledger, self._proposal(actor, event))

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content; see the port."""
        proposal = self._proposal(actor, event)
        return exporting.open_export(self.ledger, proposal, wanted)[1]

    def package(self, actor: Actor, event: Event, out: IO[bytes]) -> int:
        """Append a `referral.taken` and write its package; see the port."""
        given = referrals.open_package(self.ledger, self._proposal(actor, event))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for _ in write_package(archive, given.head, given.sealed, given.blobs):
                pass
        return given.entry.link.seq

    def ask(self, actor: Actor, query: Query[T], **names: str) -> T:
        """The answer to a question; see the port."""
        return query.answer(self.ledger, self._caller(actor), **names)

    def time_zone(self, actor: Actor, hospital: str) -> str:
        """A hospital's time zone, without the names of its people; see the port."""
        return zone_of(self.ledger, hospital)

    def give_contact(self, actor: Actor, address: str, language: str) -> ContactShown:
        """Give an address; see the port."""
        return surely(
            self,
            actor,
            lambda: contacts.give_contact(self.ledger, self._caller(actor), address, language),
        )

    def remove_contact(self, actor: Actor) -> None:
        """Remove the address; see the port."""
        surely(self, actor, lambda: contacts.remove_contact(self.ledger, self._caller(actor)))

    def prove_contact(self, code: str) -> None:
        """Prove an address; see the port."""
        contacts.prove_contact(self.ledger, code)

    def open_recovery(self, actor: Actor, account: str, public: bytes, proof: bytes) -> Registered:
        """Put in a key by recovery; see the port."""
        return surely(
            self,
            actor,
            lambda: recovering.open_recovery(
                self.ledger, self._caller(actor), account, public, proof
            ),
        )

    def ask_reset(self, who: str) -> None:
        """Ask for a link; see the port."""
        from people import resetting  # Argon2, which other commands don't need

        resetting.mail_reset(self.ledger, who)

    def reset_password(self, link: str, new: str, code: str = "", recovery: str = "") -> None:
        """Replace a password; see the port."""
        from identity.proving import Proof
        from people import resetting

        resetting.reset_password(self.ledger, link, new, Proof(code=code, recovery=recovery), HERE)

    def state_number(self, actor: Actor, patient: str, number: str) -> NumberShown:
        """State a number; see the port."""
        return surely(
            self,
            actor,
            lambda: numbers.state_number(self.ledger, self._caller(actor), patient, number),
        )

    def remove_number(self, actor: Actor, patient: str) -> None:
        """Remove the number; see the port."""
        surely(
            self, actor, lambda: numbers.remove_number(self.ledger, self._caller(actor), patient)
        )

    def inquire(
        self, actor: Actor, to: str, words: str, days: int, categories: Sequence[str] = ()
    ) -> Inquired:
        """Ask by a number or a health card; see the port."""
        caller = self._caller(actor)
        return inquiries.inquire(self.ledger, caller, to, words, days, categories)

    def dismiss_inquiry(self, actor: Actor, patient: str, inquiry: str) -> None:
        """Dismiss an inquiry; see the port."""
        inquiries.dismiss_inquiry(self.ledger, self._caller(actor), patient, inquiry)

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by identifier; see the port."""
        return lookups.lookup(self.ledger, self._caller(actor), identifiers)

    def why(self, actor: Actor, question: Question) -> Answer:
        """An explanation; see the port."""
        return explaining.why(self.ledger, self._caller(actor), question)

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """A receipt; see the port."""
        receipt, final = receipts.receipt(self.ledger, self._caller(actor), seq)
        return receipt.text(), final

    def set_password(
        self, actor: Actor, new: str, old: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Set or change a password; see the port."""
        from identity import factors  # Argon2, which other commands don't need
        from identity.proving import Proof

        shown = Proof(old, code, recovery)
        factors.set_password(self.ledger, self._caller(actor), new, shown, HERE)

    def begin_code(self, actor: Actor) -> BegunCode:
        """A seed of one-time codes; see the port."""
        from identity import factors

        return factors.begin_code(self.ledger, self._caller(actor))

    def confirm_code(
        self, actor: Actor, code: str, password: str, old_code: str = "", recovery: str = ""
    ) -> tuple[str, ...]:
        """Let one-time codes count; see the port."""
        from identity import factors
        from identity.proving import Proof

        shown, old = Proof(password, code), Proof(code=old_code, recovery=recovery)
        return factors.confirm_code(self.ledger, self._caller(actor), shown, HERE, old)

    def remove_code(
        self, actor: Actor, password: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Remove one-time codes; see the port."""
        from identity import factors
        from identity.proving import Proof

        factors.remove_code(self.ledger, self._caller(actor), Proof(password, code, recovery), HERE)

    def keep_key(self, actor: Actor) -> MadeKey:
        """Let the service keep a key; see the port."""
        return keep_key(self.ledger, self._caller(actor))

    def end_session(self, actor: Actor, session: str) -> None:
        """End a session; see the port."""
        sessions.end_session(self.ledger, self._caller(actor), session)


def _seq(committed: CommittedBatch) -> int:
    """The number of the one entry."""
    return appended(committed.outcomes[0]).entry.link.seq
