"""Claim codes: a hospital offers one, and whoever has it claims the chart. The code itself never leaves either."""

import os
from dataclasses import dataclass

from client.port import LedgerClient
from crypto.claims import CODE_BYTES, claim_code, claim_key, read_claim_code
from crypto.encoding import b64encode
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.messages import claim_message


@dataclass(frozen=True)
class Code:
    """A fresh claim code of one chart: `text` for the letter, `public` for the log."""

    patient: str
    text: str
    public: bytes


def new_code(patient: str) -> Code:
    """A fresh code, made here: no server ever has it."""
    secret = os.urandom(CODE_BYTES)
    return Code(patient, claim_code(secret), claim_key(secret, patient).public)


def offer_claim(client: LedgerClient, actor: Actor, code: Code, born: str = "") -> int:
    """Offer a chart's code, as a hospital's admin or system; older codes count no more. Gives the entry.

    `born`: the birth date as second fact, `YYYY-MM-DD`, for a patient of whom none is known.
    """
    body = {"claim": b64encode(code.public), "patient": code.patient, "purpose": "TREAT"}
    event = actor.event("claim.offered", f"patient/{code.patient}", body, client.now())
    return client.offer(actor, event, born)


def claim_chart(client: LedgerClient, actor: Actor, patient: str, code: str, born: str) -> int:
    """Claim a chart for the actor's own account with the letter's code and the birth date; gives the entry.

    Raises FormError for a typing error in the code, which is found here, and NotClaimed for what isn't accepted.
    """
    if actor.role in ("hospital_system", "service"):
        raise RecordsError(f"got the key of a {actor.role}; a chart is claimed by a person")
    person, key = actor.in_role("person"), claim_key(read_claim_code(code), patient)
    proof = key.sign(claim_message(client.origin, patient, person.account))
    body = {
        "account": person.account,
        "patient": patient,
        "proof": b64encode(proof),
        "purpose": "PATRQT",
    }
    event = person.event("patient.claimed", f"patient/{patient}", body, client.now())
    return client.claim(person, event, born)
