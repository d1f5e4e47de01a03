"""What comes and goes: complaints that bring somebody to a doctor, by age, and what is done."""

from __future__ import annotations

from typing import NamedTuple

from synthetic import drugs as d
from synthetic.drugs import Drug
from synthetic.illnesses import CHEST_XRAY, HEAD_CT, WRIST_XRAY, Image
from synthetic.terms import Term

AGES = (5, 18, 40, 65, 200)
"""Groups of age up to, not including, these years."""
YEARLY = (2.4, 0.9, 0.6, 0.6, 0.7)
"""Complaints a year in each group."""
WOMEN = 1.25
"""Women of 18 to 65 come more often by this."""
INFECTION_MONTHS = (1.6, 1.7, 1.4, 1.0, 0.8, 0.6, 0.5, 0.5, 0.8, 1.1, 1.3, 1.5)
"""Infections over the year, January first."""


class Complaint(NamedTuple):
    """A passing problem. `weights`: how often in each group of AGES, against the others."""

    term: Term
    weights: tuple[float, ...]
    days: tuple[int, int]
    drugs: tuple[Drug, ...] = ()
    infection: bool = False
    emergency: bool = False
    """It is seen in the emergency department."""
    nights: tuple[int, int] = (0, 0)
    """Nights in hospital for those admitted."""
    procedures: tuple[Term, ...] = ()
    images: tuple[Image, ...] = ()
    sex: str = ""
    label: str = ""


COMPLAINTS = (
    Complaint(Term("195662009", "Acute viral pharyngitis", "J02.9"), (10, 10, 9, 7, 4), (5, 12),
              (d.PARACETAMOL,), True),
    Complaint(Term("65363002", "Otitis media", "H66.9"), (14, 4, 1, 1, 0), (5, 12),
              (d.AMOXICILLIN,), True),
    Complaint(Term("43878008", "Streptococcal sore throat", "J02.0"), (4, 6, 3, 1, 0), (6, 12),
              (d.PHENOXYMETHYLPENICILLIN,), True,
              procedures=(Term("117015009", "Throat culture"),)),
    Complaint(Term("10509002", "Acute bronchitis", "J20.9"), (7, 5, 7, 8, 9), (8, 20),
              (d.PARACETAMOL,), True),
    Complaint(Term("444814009", "Viral sinusitis", "J01.9"), (3, 5, 9, 9, 5), (8, 18), (), True),
    Complaint(Term("6142004", "Influenza", "J11.1"), (3, 4, 4, 4, 4), (6, 14), (d.PARACETAMOL,),
              True),
    Complaint(Term("233604007", "Pneumonia", "J18.9"), (1.2, 0.6, 0.6, 1.6, 5), (10, 24),
              (d.AMOXICILLIN,), True, True, (3, 10), images=(CHEST_XRAY,)),
    Complaint(Term("25374005", "Gastroenteritis", "A09"), (8, 5, 5, 4, 4), (3, 8), (), True),
    Complaint(Term("68566005", "Urinary tract infectious disease", "N39.0"), (0.5, 1.5, 7, 6, 8),
              (4, 9), (d.NITROFURANTOIN,), True, sex="female"),
    Complaint(Term("240589008", "Chlamydia trachomatis infection", "A74.9"), (0, 0.4, 1.6, 0.3, 0),
              (8, 20), (d.DOXYCYCLINE,), True, label="STD"),
    Complaint(Term("44465007", "Sprain of ankle", "S93.4"), (0.5, 6, 5, 3, 2), (14, 35),
              (d.IBUPROFEN,), emergency=True),
    Complaint(Term("312608009", "Laceration", "T14.1"), (4, 5, 4, 3, 3), (8, 16), emergency=True,
              procedures=(Term("288086009", "Suture of open wound"),)),
    Complaint(Term("65966004", "Fracture of forearm", "S52.9"), (1.5, 4, 1, 1, 2.5), (35, 70),
              (d.PARACETAMOL,), emergency=True, images=(WRIST_XRAY,),
              procedures=(Term("274474001", "Bone immobilization"),)),
    Complaint(Term("110030002", "Concussion injury of brain", "S06.0"), (1.5, 2, 0.8, 0.5, 1),
              (7, 30), emergency=True, images=(HEAD_CT,)),
    Complaint(Term("74400008", "Appendicitis", "K37"), (0.2, 1.2, 0.7, 0.3, 0.2), (10, 24),
              (d.PARACETAMOL,), True, True, (2, 5), (Term("80146002", "Appendectomy"),)),
    Complaint(Term("279039007", "Low back pain", "M54.5"), (0, 0.8, 9, 14, 11), (10, 60),
              (d.IBUPROFEN,), procedures=(Term("91251008", "Physical therapy procedure"),)),
    Complaint(Term("271807003", "Eruption of skin", "R21"), (6, 3, 3, 3, 3), (6, 20),
              (d.HYDROCORTISONE,)),
    Complaint(Term("25064002", "Headache", "R51"), (0.3, 3, 5, 4, 3), (1, 5), (d.PARACETAMOL,)),
    Complaint(Term("404640003", "Dizziness", "R42"), (0, 0.5, 1.5, 3, 7), (1, 14)),
)  # fmt: skip

DEATHS = (
    Complaint(Term("410429000", "Cardiac arrest", "I46.9"), (0, 0, 1, 3, 4), (0, 0)),
    Complaint(Term("233604007", "Pneumonia", "J18.9"), (1, 1, 1, 1, 5), (0, 0), infection=True),
    Complaint(Term("417746004", "Traumatic injury", "T14.9"), (2, 4, 4, 1, 0.3), (0, 0)),
    Complaint(Term("91302008", "Sepsis", "A41.9"), (2, 1, 1, 2, 4), (0, 0), infection=True),
)  # fmt: skip
"""What those die of whom no lasting condition explains."""


def group(age: int) -> int:
    """The place in AGES of somebody of this age in years."""
    return next(place for place, limit in enumerate(AGES) if age < limit)
