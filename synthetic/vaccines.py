"""Immunizations by age (CVX): what a child is given at each check, what adults are."""

from __future__ import annotations

from typing import NamedTuple


class Vaccine(NamedTuple):
    """A code of CVX, its words, and euros a dose."""

    code: str
    name: str
    euros: int


ROTAVIRUS = Vaccine("119", "Rotavirus, live, monovalent vaccine", 68)
DTAP = Vaccine("20", "Diphtheria, tetanus toxoids and acellular pertussis vaccine", 32)
POLIO = Vaccine("10", "Poliovirus vaccine, inactivated", 24)
HEPATITIS_B = Vaccine("08", "Hepatitis B vaccine, pediatric or adolescent dosage", 29)
PNEUMOCOCCAL = Vaccine("133", "Pneumococcal conjugate vaccine, 13 valent", 74)
MEASLES = Vaccine("03", "Measles, mumps and rubella virus vaccine", 36)
VARICELLA = Vaccine("21", "Varicella virus vaccine", 52)
PAPILLOMA = Vaccine("165", "Human Papillomavirus 9-valent vaccine", 158)
MENINGOCOCCAL = Vaccine("114", "Meningococcal polysaccharide conjugate vaccine", 46)
TDAP = Vaccine("115", "Tetanus toxoid, reduced diphtheria and acellular pertussis vaccine", 31)
TETANUS = Vaccine("113", "Tetanus and diphtheria toxoids, adsorbed, for adult use", 17)
INFLUENZA = Vaccine("140", "Influenza, seasonal, injectable, preservative free", 19)
PNEUMOCOCCAL_23 = Vaccine("33", "Pneumococcal polysaccharide vaccine, 23 valent", 41)
ZOSTER = Vaccine("187", "Zoster vaccine recombinant", 128)
COVID = Vaccine("208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose", 28)

CHILD_CHECKS: tuple[tuple[int, tuple[Vaccine, ...]], ...] = (
    (1, ()),
    (2, (ROTAVIRUS, DTAP, POLIO, HEPATITIS_B, PNEUMOCOCCAL)),
    (4, (ROTAVIRUS, DTAP, POLIO, HEPATITIS_B, PNEUMOCOCCAL)),
    (6, ()),
    (11, (DTAP, POLIO, HEPATITIS_B, PNEUMOCOCCAL, MEASLES, VARICELLA)),
    (15, (MEASLES, VARICELLA)),
    (24, ()),
    (36, ()),
    (48, ()),
    (64, (TDAP,)),
    (90, ()),
    (114, (PAPILLOMA,)),
    (120, (PAPILLOMA,)),
    (144, (TDAP, POLIO)),
    (168, (MENINGOCOCCAL,)),
    (200, ()),
)
"""Checks of children: the age in months, and what is given then."""
