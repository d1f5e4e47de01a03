"""What is measured, and how a person's values lie: by sex, by illness and since when, by treatment."""

from __future__ import annotations

from typing import NamedTuple


class Effect(NamedTuple):
    """What an illness does to a value: at once, each year after, and by treatment in the end."""

    illness: str
    shift: float
    yearly: float = 0.0
    treated: float = 0.0


class Measure(NamedTuple):
    """A LOINC quantity. Pairs are of women and men; `places` are the decimals that are written."""

    code: str
    display: str
    unit: str
    places: int
    mean: tuple[float, float]
    between: float
    """Standard deviation between people."""
    within: float
    """Standard deviation of one person's values around their own course."""
    low: tuple[float, float]
    """The reference range's lower ends; 0 for none."""
    high: tuple[float, float]
    bounds: tuple[float, float]
    """Nobody's value lies outside."""
    effects: tuple[Effect, ...] = ()
    critical: tuple[float, float] = (float("-inf"), float("inf"))
    """Beyond these a value is flagged as critical."""


LABS = {
    "hba1c": Measure(
        "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 2, (5.3, 5.3), 0.25, 0.15,
        (4.0, 4.0), (5.7, 5.7), (3.8, 14.5),
        (Effect("diabetes", 2.6, 0.05, -1.5), Effect("obesity", 0.2)), (2.0, 12.0)),
    "creatinine": Measure(
        "2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 2, (0.75, 0.94), 0.1,
        0.05, (0.5, 0.6), (1.0, 1.2), (0.3, 9.0),
        (Effect("kidney", 0.6, 0.14), Effect("hypertension", 0.03, 0.004),
         Effect("diabetes", 0.0, 0.01)), (0.1, 5.0)),
    "potassium": Measure(
        "2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 2, (4.2, 4.25), 0.2,
        0.18, (3.5, 3.5), (5.1, 5.1), (2.6, 6.9),
        (Effect("kidney", 0.3, 0.03), Effect("failure", -0.2)), (2.8, 6.2)),
    "sodium": Measure(
        "2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 0, (140, 140), 1.5, 1.3,
        (135, 135), (145, 145), (120, 158), (Effect("failure", -2.5),), (125, 155)),
    "hemoglobin": Measure(
        "718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 1, (13.5, 15.1), 0.7, 0.35,
        (12.0, 13.5), (16.0, 17.5), (6.0, 19.5),
        (Effect("anemia", -3.2, 0.0, 2.4), Effect("kidney", -0.5, -0.12),
         Effect("colon", -1.8, 0.0, 1.0)), (7.0, 19.0)),
    "leukocytes": Measure(
        "6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 1, (6.8, 6.7),
        1.0, 0.7, (4.0, 4.0), (10.5, 10.5), (1.5, 32),
        (Effect("infection", 5.5), Effect("hiv", -1.2, 0.0, 0.8)), (2.0, 25.0)),
    "platelets": Measure(
        "777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 0, (265, 245), 42,
        20, (150, 150), (400, 400), (20, 800), (Effect("alcohol", -45),), (50, 700)),
    "crp": Measure(
        "1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", 1, (1.6, 1.5), 0.7,
        0.8, (0, 0), (5, 5), (0.2, 320),
        (Effect("infection", 58), Effect("obesity", 1.8))),
    "ldl": Measure(
        "13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "mg/dL", 0,
        (108, 112), 18, 8, (0, 0), (130, 130), (30, 290), (Effect("lipids", 62, 0.5, -72),
                                                          Effect("thyroid", 18, 0.0, -14))),
    "hdl": Measure(
        "2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", 0, (60, 50), 9,
        3, (50, 40), (100, 100), (18, 110), (Effect("obesity", -7), Effect("diabetes", -4),
                                             Effect("alcohol", 9))),
    "triglycerides": Measure(
        "2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", 0, (100, 120), 26, 20,
        (0, 0), (150, 150), (35, 620), (Effect("obesity", 45), Effect("diabetes", 50, 0.0, -20),
                                        Effect("alcohol", 40))),
    "tsh": Measure(
        "3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 2, (1.9, 1.8), 0.5,
        0.3, (0.4, 0.4), (4.0, 4.0), (0.05, 60), (Effect("thyroid", 8.5, 0.0, -7.5),)),
    "alt": Measure(
        "1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L",
        0, (19, 25), 5, 4, (0, 0), (35, 50), (5, 900), (Effect("alcohol", 38),
                                                        Effect("obesity", 9))),
    "ferritin": Measure(
        "2276-4", "Ferritin [Mass/volume] in Serum or Plasma", "ng/mL", 0, (62, 130), 22, 12,
        (15, 30), (150, 300), (2, 1_200), (Effect("anemia", -48, 0.0, 36),)),
    "bnp": Measure(
        "33762-6", "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma",
        "pg/mL", 0, (70, 60), 20, 25, (0, 0), (125, 125), (10, 30_000),
        (Effect("failure", 2_400, 260, -1_100),)),
    "psa": Measure(
        "2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma", "ng/mL", 2, (0, 1.1),
        0.4, 0.2, (0, 0), (4, 4), (0.01, 180), (Effect("urinary", 1.6, 0.1),
                                                Effect("prostate", 9.5, 0.2, -9))),
    "cd4": Measure(
        "24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood", "/uL", 0, (850, 800), 120, 60,
        (500, 500), (1_500, 1_500), (10, 1_800), (Effect("hiv", -460, 8, 310),), (200, 3_000)),
    "viral load": Measure(
        "20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection",
        "{copies}/mL", 0, (0, 0), 0, 15, (0, 0), (50, 50), (20, 900_000),
        (Effect("hiv", 48_000, 0.0, -48_000),)),
}  # fmt: skip
"""By a short name; lipids and glucose that follow from others are in `courses`."""

GLUCOSE = Measure(
    "2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 0, (0, 0), 0, 7, (70, 70),
    (100, 100), (45, 520), (), (54, 400))  # fmt: skip
CHOLESTEROL = Measure(
    "2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0, (0, 0), 0, 0, (0, 0),
    (200, 200), (60, 480))  # fmt: skip

VITALS = {
    "systolic": Measure(
        "8480-6", "Systolic blood pressure", "mm[Hg]", 0, (114, 120), 7, 5, (90, 90), (139, 139),
        (60, 230), (Effect("hypertension", 28, 0.2, -19), Effect("obesity", 6)), (80, 185)),
    "diastolic": Measure(
        "8462-4", "Diastolic blood pressure", "mm[Hg]", 0, (73, 77), 5, 4, (60, 60), (89, 89),
        (35, 130), (Effect("hypertension", 13, 0.0, -10), Effect("obesity", 3)), (45, 115)),
    "pulse": Measure(
        "8867-4", "Heart rate", "/min", 0, (74, 70), 6, 5, (60, 60), (100, 100), (38, 190),
        (Effect("fibrillation", 14, 0.0, -10), Effect("failure", 6), Effect("infection", 14))),
    "temperature": Measure(
        "8310-5", "Body temperature", "Cel", 1, (36.7, 36.6), 0.15, 0.2, (36.1, 36.1), (37.5, 37.5),
        (35.0, 41.2), (Effect("infection", 1.6),), (35.0, 40.0)),
    "oxygen": Measure(
        "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", 0, (98, 98), 0.5,
        0.6, (94, 94), (100, 100), (70, 100), (Effect("copd", -4, -0.2), Effect("failure", -2))),
}  # fmt: skip
