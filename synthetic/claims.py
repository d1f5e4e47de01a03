"""What a visit costs: one claim of its items."""

from __future__ import annotations

from typing import Any

import orjson

from synthetic.bundle import Resource, decimal
from synthetic.chance import Chance
from synthetic.drugs import Drug
from synthetic.terms import ATC, CVX, HL7, SNOMED, concept, status
from synthetic.visits import NIGHT_EUROS, Visit

CURRENCY = "EUR"
LAB_EUROS = 9
PROCEDURE_EUROS = {
    "265764009": 320, "415070008": 5_400, "52734007": 8_900, "392021009": 4_300, "108290001": 3_900,
    "90470006": 9_800, "23968004": 11_200, "73761001": 410, "80146002": 3_100, "66348005": 1_900,
    "11466000": 3_300, "57797005": 480, "40701008": 130,
}  # fmt: skip
OTHER_PROCEDURE_EUROS = 45
ROOM_AND_BOARD = concept(SNOMED, "224663004", "Single room")
TESTS = concept(SNOMED, "15220000", "Laboratory test")
VARIES_CENTS = 0.12
"""Prices differ from hospital to hospital by up to this part."""


def claim(
    chance: Chance, visit: Visit, tests: int, drugs: list[Drug], coverage: Resource, about: Resource
) -> Resource:
    """The claim for a visit with so many laboratory values and these prescriptions."""
    factor = 1 + chance.real(-VARIES_CENTS, VARIES_CENTS)
    services = [
        (concept(SNOMED, visit.kind.type.code, visit.kind.type.display), visit.kind.euros, 1),
        (ROOM_AND_BOARD, NIGHT_EUROS, visit.nights),
        (TESTS, LAB_EUROS, tests),
        *((concept(SNOMED, t.code, t.display), _price(t.code), 1) for t in visit.procedures),
        *(
            (concept(SNOMED, i.procedure.code, i.procedure.display), i.euros, 1)
            for i in visit.images
        ),
        *((concept(CVX, v.code, v.name), v.euros, 1) for v in visit.vaccines),
        *((concept(ATC, d.code, d.name), d.euros, 1) for d in drugs),
    ]
    priced = [
        (what, round(euros * 100 * factor), count) for what, euros, count in services if count
    ]
    total = sum(cents * count for _, cents, count in priced)
    return {
        "status": "active",
        "type": status("claim-type", "institutional" if visit.nights else "professional"),
        "use": "claim",
        "patient": about["subject"],
        "created": about["ended"],
        "provider": about["provider"],
        "priority": status("processpriority", "normal"),
        "insurance": [{"sequence": 1, "focal": True, "coverage": coverage}],
        "item": [
            _item(number, *one, about["encounter"]) for number, one in enumerate(priced, start=1)
        ],
        "total": _money(total),
    }


def _item(number: int, what: Any, cents: int, count: int, encounter: Resource) -> Resource:
    return {
        "sequence": number,
        "productOrService": what,
        "quantity": {"value": count},
        "unitPrice": _money(cents),
        "net": _money(cents * count),
        "encounter": [encounter],
    }


def _price(code: str) -> int:
    return PROCEDURE_EUROS.get(code, OTHER_PROCEDURE_EUROS)


def _money(cents: int) -> orjson.Fragment:
    return orjson.Fragment(f'{{"value":{decimal(cents, 2)},"currency":"{CURRENCY}"}}')


def coverage(patient: Resource, number: str, since: str) -> Resource:
    """The patient's insurance."""
    return {
        "status": "active",
        "type": concept(f"{HL7}/v3-ActCode", "PUBLICPOL", "public healthcare"),
        "subscriberId": number,
        "beneficiary": patient,
        "relationship": status("subscriber-relationship", "self"),
        "period": {"start": since},
        "payor": [{"display": "Statutory health insurance of the region"}],
    }
