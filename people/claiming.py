"""Claiming a chart: the code proves it in the log, the birth date is asked beside it, and guesses have to wait.

A birth date never stands in the log, nor in clear outside it: what the hospital said of it lies there as keyed hashes of
that patient alone (`Identifiers.trait`). Where nothing was said nobody claims: a finder of the letter would need no more,
and nobody could tell whether the patient is old enough to act in the chart.
"""

from dataclasses import replace
from datetime import date

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.signing import verify
from journeys.appending import appended
from journeys.days import TEEN_YEARS, acts_at_all
from journeys.errors import AccessDenied, NotClaimed
from ledger.directory import Patient
from ledger.errors import Refused
from ledger.event import Event
from ledger.messages import claim_message
from ledger.sequencer import Proposal
from people.demographics import Demographics, Traits
from people.reserving import check_birth
from people.traits import hashed, read, written
from people.tries import CLAIM_ADDRESS_TRIES, CLAIM_FREE_TRIES, CLAIMS, check_own_key, trying
from storage.ledger import Ledger
from storage.log import CommittedBatch
from storage.sql.identifiers import Witness

NOBODYS_CLAIM = bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
"""A valid public key, of the seed of 32 zero bytes: where no code is offered, checking a proof takes as long."""
_REFUSED = (
    "the claim was not accepted: compare patient, code and birth date with the letter. A code counts once, and "
    "only until the hospital sends a new one"
)


def claim_chart(ledger: Ledger, proposal: Proposal, born: str, address: str = "") -> CommittedBatch:
    """Append a signed `patient.claimed` if its code and the birth date `born` (`YYYY-MM-DD`) are right.

    `address`: whose tries these are, beside the account's, and the chart's once the code is right: else whoever has no letter
    could keep out who has. Raises NotClaimed, whichever was wrong, and TooManyTries.
    """
    event = proposal.event
    if event.type.name != "patient.claimed":
        raise Refused("stream", f"got {event.type.name}, expected patient.claimed")
    check_birth(born)
    if _stands(ledger, event):  # the answer to it was lost
        return _append(ledger, proposal)
    check_own_key(ledger, proposal)
    patient = ledger.row(Patient, event.subject)
    # Both are looked at, whatever the first one gives: nothing tells which was wrong, not the time either.
    proved, born_then = _proves(ledger, event, patient), _born(ledger, event.subject, born)
    with trying(ledger, CLAIMS, _tries(event, patient if proved else None, address)):
        if not (proved and born_then):
            raise NotClaimed(_REFUSED)
        try:
            committed = _append(ledger, proposal)
        except AccessDenied as error:  # somebody else was first
            raise NotClaimed(_REFUSED) from error
        except Refused as error:
            if error.code == "claim":
                raise NotClaimed(_REFUSED) from error
            raise
        # A number that was stated until now is that of whoever had the chart's first key: their claimant says their own.
        ledger.numbers.remove(event.subject)
        return committed


def offer_claim(ledger: Ledger, proposal: Proposal, born: str) -> CommittedBatch:
    """Append a signed `claim.offered`.

    `born`: the birth date that the hospital knows, or nothing; it is kept where none is known yet, once the offer stands.
    """
    event = proposal.event
    if event.type.name != "claim.offered":
        raise Refused("stream", f"got {event.type.name}, expected claim.offered")
    if born:
        check_birth(born)
    _check_dated(ledger, event, born)
    committed = ledger.submit([proposal]).result()
    fresh = appended(committed.outcomes[0]).fresh
    patient = ledger.row(Patient, event.subject)
    # Not of an offer that is sent again, nor from a hospital that didn't register the chart: it would choose the second fact.
    if born and fresh and patient is not None and patient.hospital == event.hospital:
        keep_birth(ledger, event.subject, born)
    return committed


def _check_dated(ledger: Ledger, event: Event, born: str) -> None:
    """A code without a second fact would claim nothing, nor one of a child whom the log has as of age; raises Refused."""
    patient = ledger.row(Patient, event.subject)
    if patient is None or not event.hospital:
        return
    registers = patient.hospital == event.hospital
    keeps = any(r.hospital == event.hospital for r in ledger.records_of(patient.patient))
    if not (registers or keeps):
        return  # the log denies it, and they are told nothing of the patient
    if born and not acts_at_all(date.fromisoformat(born), ledger.clock()):
        raise Refused("conflict", f"nobody claims the chart of a patient under {TEEN_YEARS}")
    kept = ledger.identifiers.witness(patient.patient)
    if not ((kept and read(kept.traits).year) or (born and registers)):
        how = (
            "give it (born)"
            if registers
            else "the hospital that registered the patient gives it, with an offer"
        )
        raise Refused(
            "conflict", f"no birth date of the patient is known, which a claim must state: {how}"
        )


def _append(ledger: Ledger, proposal: Proposal) -> CommittedBatch:
    """Append one event; raises what refused it."""
    committed = ledger.submit([proposal]).result()
    appended(committed.outcomes[0])
    return committed


def keep_birth(ledger: Ledger, patient: str, born: str) -> None:
    """Keep the birth date of a patient of whom none is known yet: who is registered goes before who offers."""
    check_birth(born)
    kept = ledger.identifiers.witness(patient)
    known = read(kept.traits) if kept else Traits()
    if known.day:
        return
    said = hashed(ledger.identifiers, patient, Demographics(birth=born))
    dated = replace(known, day=said.day, swapped=said.swapped, month=said.month, year=said.year)
    since = kept.since if kept else ledger.head().size
    ledger.identifiers.keep_witnesses({patient: Witness(since, written(dated))})


def _stands(ledger: Ledger, event: Event) -> bool:
    """Whether this very event is what claimed the chart."""
    row = ledger.row(Patient, event.subject)
    return (
        row is not None
        and bool(row.claimed)
        and row.account == event.actor
        and ledger.entry(row.claimed).event.raw == event.raw
    )


def checked_key(patient: Patient | None) -> bytes:
    """The public key that a proof is checked under: the code's, or where none is offered one that takes as long."""
    return patient.claim if patient is not None and patient.offered else NOBODYS_CLAIM


def _proves(ledger: Ledger, event: Event, patient: Patient | None) -> bool:
    """Whether the code's signature fits, as the log will check again."""
    message = claim_message(ledger.origin, event.subject, event.body["account"])
    try:
        verify(checked_key(patient), b64decode(event.body["proof"], 64), message)
    except CryptoError:
        return False
    return patient is not None and bool(patient.offered)


def _born(ledger: Ledger, patient: str, born: str) -> bool:
    """Whether the birth date agrees with all that is kept of it, of whom nothing is none; and is old enough to claim."""
    kept = ledger.identifiers.witness(patient)
    known = read(kept.traits) if kept else Traits()
    said = hashed(ledger.identifiers, patient, Demographics(birth=born))
    pairs = ((known.day, said.day), (known.month, said.month), (known.year, said.year))
    agrees = bool(known.year) and all(not was or was == now for was, now in pairs)
    return agrees and acts_at_all(date.fromisoformat(born), ledger.clock())


def _tries(event: Event, patient: Patient | None, address: str) -> dict[str, int]:
    """Whose tries count, and how many are free: the account's, the address's, and under its present code the `patient`'s."""
    named = {f"account {event.actor}": CLAIM_FREE_TRIES}
    if patient is not None:
        named[f"chart {event.subject} {patient.claim.hex()}"] = CLAIM_FREE_TRIES
    return named | ({f"address {address}": CLAIM_ADDRESS_TRIES} if address else {})
