"""In whose name the portal acts: the journeys of `client/`, in a session, signed by the key that the service keeps.

`sign_for` decides what a session may sign, as for `POST /v1/events` without a signature; limits are those of HTTP.
"""

from collections.abc import Iterable, Mapping, Sequence

from client.local import LocalClient
from client.port import AppendedEvent, Event
from identity.actors import Actor, Caller
from identity.errors import KeyNeeded
from identity.kept import has_kept_key, sign_for
from journeys.appending import appended, check_plain, submit
from journeys.errors import OverQuota
from journeys.quotas import (
    check_alone,
    check_keys,
    check_persons,
    count_upload,
    is_limited,
    room_for_upload,
)
from journeys.sealing import Sealed
from ledger.event import Event as Parsed
from ledger.sequencer import Proposal
from people import claiming
from people.reserving import Reserved, Subject, reserve_counted
from records.uploads import StagedBlob
from storage.ledger import Ledger


class SessionClient(LocalClient):
    """The ledger of this process, for whoever is signed in."""

    def __init__(self, ledger: Ledger, caller: Caller, whence: str) -> None:
        """`whence`: the address they come from, as throttles count it."""
        super().__init__(ledger)
        self.caller, self.whence = caller, whence

    def append(
        self, actor: Actor, events: Sequence[Event], atomic: bool = False
    ) -> list[AppendedEvent]:
        """Sign and append, within the limits of HTTP; see the port."""
        proposals = [self._proposal(actor, event) for event in events]
        check_plain(proposals)
        if limited := [one for one in proposals if is_limited(one)]:
            for check in (check_keys, check_persons, check_alone):
                check(self.ledger, limited)
        entries = submit(self.ledger, proposals, atomic)
        return [AppendedEvent(entry.link.seq, entry.event.value) for entry in entries]

    def _proposal(self, actor: Actor, event: Event) -> Proposal:
        return sign_for(self.ledger, self.caller, Parsed.of(event), None)

    def reserve(self, actor: Actor, subjects: Sequence[Subject]) -> list[Reserved]:
        """Reserve ids, counted; see the port."""
        self._check_signs()
        return reserve_counted(self.ledger, self.caller, subjects)

    def seal(
        self, actor: Actor, patient: str, object_id: str, event: str, texts: Mapping[str, str],
        labels: Sequence[str] = (),
    ) -> Sealed:  # fmt: skip
        """Sealed fields; see the port."""
        self._check_signs()
        return super().seal(actor, patient, object_id, event, texts, labels)

    def stage(
        self, actor: Actor, patient: str, content: Iterable[bytes], record: str = ""
    ) -> StagedBlob:
        """Seal content, as much as there is room for; see the port."""
        self._check_signs()
        pieces = list(content)
        room, size = room_for_upload(self.ledger, self.caller, patient), sum(map(len, pieces))
        if room is not None and size > room:
            raise OverQuota(f"got {size:,} bytes, expected at most {room:,} more today")
        staged = super().stage(actor, patient, pieces, record)
        if room is not None:
            count_upload(self.ledger, patient, staged.size)
        return staged

    def claim(self, actor: Actor, event: Event, born: str) -> int:
        """Append a `patient.claimed`, counted by the address too; see the port."""
        proposal = self._proposal(actor, event)
        committed = claiming.claim_chart(self.ledger, proposal, born, self.whence)
        return appended(committed.outcomes[0]).entry.link.seq

    def _check_signs(self) -> None:
        """As for HTTP: nothing is prepared for whoever could not sign it."""
        if not has_kept_key(self.ledger, self.caller):
            raise KeyNeeded(
                "the service keeps no key of the account, or the session has no second factor"
            )
