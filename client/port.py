"""The client: what whoever holds a key asks of a ledger. `LocalClient` is the one in this process; over HTTP is another.

Journeys are written against the client, so a command does the same beside the data as from afar. Events are
signed on this side of it; the other side decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

from client import operations
from client.operations import Query
from client.signers import Signed
from client.signing_in import SignsIn
from identity.actors import Actor
from identity.kept import MadeKey
from identity.own import BegunCode
from journeys.questions import Question
from journeys.sealing import Sealed
from ledger.facts import Exclusion, Grant
from ledger.policies import Policy
from people.alone import OwnChart
from people.applications import (
    Doctors,
    DoctorStanding,
    Hospitals,
    HospitalStanding,
    OwnApplications,
)
from people.contacts import ContactShown
from people.hospitals import Directory, Holder
from people.joining import Registered, Registration
from people.lookups import Found
from people.numbers import NumberShown
from people.profiles import Profile, ProfileShown
from people.reserving import Reserved, Subject
from records.charts import Chart
from records.emergencies import OpenedEmergency
from records.explaining import Answer
from records.exporting import ExportedRecord
from records.history import History
from records.inquiries import Inquired
from records.opening import Address, OpenedRecord
from records.uploads import StagedBlob
from storage.contacts import Contact

T = TypeVar("T")
Event = dict[str, Any]
"""An event, not yet signed."""


@dataclass(frozen=True)
class AppendedEvent:
    """An event that stands in the log as entry `seq`."""

    seq: int
    event: Event


class LedgerClient(SignsIn, Protocol):
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

    def register(self, wanted: Registration) -> Registered:
        """Register oneself, without anybody's key but the one that is registered; see `joining.register_alone`."""
        ...

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids with their keys; see `reserving.reserve_subjects`."""
        ...

    def verifier_keys(self) -> tuple[str, ...]:
        """The log's verifier keys, as far as they are trusted here."""
        ...

    def offer(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `claim.offered`, and keep the birth date (unless empty) where none is known; gives the entry."""
        ...

    def claim(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `patient.claimed` with the birth date beside it; see `claiming.claim_chart`. Gives the entry."""
        ...

    def invite(self, actor: Actor, event: Event, mail: Contact | None) -> int:
        """Append a `doctor.invited`, and mail its code if there is where to; see `inviting.invite`. Gives the entry."""
        ...

    def take_up(self, actor: Actor, event: Event) -> int:
        """Append a `doctor.joined`; see `inviting.take_up`. Gives the entry."""
        ...

    def set_profile(self, actor: Actor, account: str, said: Profile) -> ProfileShown:
        """Write a doctor's profile, whole, the actor's own or as an admin; see `profiles.set_profile_of`."""
        ...

    def own_chart(self, actor: Actor, name: str, born: str) -> OwnChart:
        """A chart for a person who registers alone; see `alone.register_alone`."""
        ...

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> Sealed:  # fmt: skip
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

    def emergency(self, actor: Actor, event: Event) -> OpenedEmergency:
        """Append an `emergency.opened` and give what it shows."""
        ...

    def export(
        self, actor: Actor, event: Event, wanted: Sequence[tuple[str, int]]
    ) -> list[ExportedRecord]:
        """Append a `chart.exported` and give the content of all that it lists (record, version)."""
        ...

    def package(self, actor: Actor, event: Event, out: IO[bytes]) -> int:
        """Append a `referral.taken` and write the package that it gives, a ZIP; gives the entry."""
        ...

    def ask(self, actor: Actor, query: Query[T], **names: str) -> T:
        """The answer to a question of `operations.QUERIES`, with what its path names and what it asks; raises NotThere."""
        ...

    def applications(self, actor: Actor) -> OwnApplications:
        """The actor's own applications."""
        return self.ask(actor, operations.APPLICATIONS)

    def hospitals(self, operator: Actor, state: str = "", after: int = 0) -> Hospitals:
        """The hospitals in a state (empty: in any), a page; `after`: the `next` of the page before."""
        return self.ask(operator, operations.HOSPITALS_LISTED, state=state, after=_shown(after))

    def hospital_application(self, operator: Actor, hospital: str) -> HospitalStanding:
        """How a hospital stands, and who applied for it; raises NotThere."""
        return self.ask(operator, operations.HOSPITAL_APPLICATION, hospital=hospital)

    def doctors(self, admin: Actor, hospital: str, state: str = "", after: int = 0) -> Doctors:
        """A hospital's doctors and applicants in a state (empty: in any), a page; `after`: the `next` of the one before."""
        return self.ask(
            admin, operations.DOCTORS_LISTED, hospital=hospital, state=state, after=_shown(after)
        )

    def doctor(self, admin: Actor, hospital: str, account: str) -> DoctorStanding:
        """How one account stands at a hospital as a doctor; raises NotThere."""
        return self.ask(admin, operations.DOCTOR_SHOWN, hospital=hospital, account=account)

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

    def contact(self, actor: Actor) -> ContactShown:
        """How the actor is reached."""
        return self.ask(actor, operations.CONTACT)

    def give_contact(self, actor: Actor, address: str, language: str) -> ContactShown:
        """Give an address, to which a code goes; see `contacts.give_contact`."""
        ...

    def remove_contact(self, actor: Actor) -> None:
        """Remove the actor's address."""
        ...

    def prove_contact(self, code: str) -> None:
        """Prove an address by its code; raises NotThere."""
        ...

    def open_recovery(self, actor: Actor, account: str, public: bytes, proof: bytes) -> Registered:
        """Put in a key for somebody who was identified; see `recovering.open_recovery`."""
        ...

    def ask_reset(self, who: str) -> None:
        """Ask for a link by mail, for an account by its id or e-mail address; nothing tells whether there is one."""
        ...

    def reset_password(self, link: str, new: str, code: str = "", recovery: str = "") -> None:
        """Replace a forgotten password by a link and the second factor; see `resetting.reset_password`."""
        ...

    def state_number(self, actor: Actor, patient: str, number: str) -> NumberShown:
        """Let the actor's own chart be found by a number; see `numbers.state_number`."""
        ...

    def remove_number(self, actor: Actor, patient: str) -> None:
        """Let the actor's own chart be found by no number."""
        ...

    def inquire(
        self, actor: Actor, to: str, words: str, days: int, categories: Sequence[str] = ()
    ) -> Inquired:
        """Ask whoever stated a number or holds a health card; see `inquiries.inquire`."""
        ...

    def dismiss_inquiry(self, actor: Actor, patient: str, inquiry: str) -> None:
        """Dismiss an inquiry; raises NotThere."""
        ...

    def lookup(self, actor: Actor, identifiers: Sequence[str]) -> dict[str, Found]:
        """Patients by the hospital's own identifiers, or by stated numbers; see `lookups.lookup`."""
        ...

    def why(self, actor: Actor, question: Question) -> Answer:
        """The explanation of a question; see `explaining.why`."""
        ...

    def receipt(self, actor: Actor, seq: int) -> tuple[bytes, bool]:
        """The receipt of an entry that concerns the actor, and whether it is final."""
        ...

    def set_password(
        self, actor: Actor, new: str, old: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Set the actor's first password, change it, or reset it (without `old`); see `identity.factors.set_password`."""
        ...

    def begin_code(self, actor: Actor) -> BegunCode:
        """The seed of the actor's one-time codes, which count once a code was shown."""
        ...

    def confirm_code(
        self, actor: Actor, code: str, password: str, old_code: str = "", recovery: str = ""
    ) -> tuple[str, ...]:
        """Let them count, by a code and the password, and in place of others by `old_code` or a recovery code of those;
        gives the recovery codes, this once."""
        ...

    def remove_code(
        self, actor: Actor, password: str = "", code: str = "", recovery: str = ""
    ) -> None:
        """Remove them, by the password and a code or a recovery code; or reset them, by the actor's key alone."""
        ...

    def keep_key(self, actor: Actor) -> MadeKey:
        """Let the service make and keep a key for the actor, who has still to register it; see `kept.keep_key`."""
        ...

    def end_session(self, actor: Actor, session: str) -> None:
        """End one of the actor's own sessions by password."""
        ...


def _shown(after: int) -> str:
    return str(after) if after else ""
