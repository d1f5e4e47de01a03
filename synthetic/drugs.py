"""Drugs by their ATC codes, with a usual dose and the price of a month."""

from __future__ import annotations

from typing import NamedTuple


class Drug(NamedTuple):
    """ATC code, name, dose in words, and euros a package."""

    code: str
    name: str
    dose: str
    euros: int


METFORMIN = Drug("A10BA02", "metformin", "500 mg twice a day", 14)
INSULIN = Drug("A10AE04", "insulin glargine", "16 units at night", 78)
LISINOPRIL = Drug("C09AA03", "lisinopril", "10 mg in the morning", 13)
AMLODIPINE = Drug("C08CA01", "amlodipine", "5 mg in the morning", 14)
ATORVASTATIN = Drug("C10AA05", "atorvastatin", "40 mg at night", 16)
ASPIRIN = Drug("B01AC06", "acetylsalicylic acid", "100 mg once a day", 4)
CLOPIDOGREL = Drug("B01AC04", "clopidogrel", "75 mg once a day", 18)
BISOPROLOL = Drug("C07AB07", "bisoprolol", "2.5 mg in the morning", 13)
FUROSEMIDE = Drug("C03CA01", "furosemide", "40 mg in the morning", 14)
APIXABAN = Drug("B01AF02", "apixaban", "5 mg twice a day", 96)
TIOTROPIUM = Drug("R03BB04", "tiotropium bromide", "18 µg inhaled once a day", 59)
SALBUTAMOL = Drug("R03AC02", "salbutamol", "100 µg inhaled as needed", 15)
BUDESONIDE = Drug("R03BA02", "budesonide", "200 µg inhaled twice a day", 31)
PREDNISOLONE = Drug("H02AB06", "prednisolone", "40 mg a day for 5 days", 13)
LEVOTHYROXINE = Drug("H03AA01", "levothyroxine sodium", "75 µg before breakfast", 12)
SERTRALINE = Drug("N06AB06", "sertraline", "50 mg in the morning", 17)
ESCITALOPRAM = Drug("N06AB10", "escitalopram", "10 mg in the morning", 18)
OLANZAPINE = Drug("N05AH03", "olanzapine", "10 mg at night", 34)
METHYLPHENIDATE = Drug("N06BA04", "methylphenidate", "10 mg in the morning", 42)
NALTREXONE = Drug("N07BB04", "naltrexone", "50 mg once a day", 112)
BUPRENORPHINE = Drug("N07BC01", "buprenorphine", "8 mg under the tongue once a day", 84)
ANTIRETROVIRALS = Drug(
    "J05AR20", "emtricitabine, tenofovir alafenamide and bictegravir", "one tablet a day", 880
)
IBUPROFEN = Drug("M01AE01", "ibuprofen", "400 mg up to three times a day", 12)
ALENDRONATE = Drug("M05BA04", "alendronic acid", "70 mg once a week", 23)
SUMATRIPTAN = Drug("N02CC01", "sumatriptan", "50 mg at onset", 21)
TAMOXIFEN = Drug("L02BA01", "tamoxifen", "20 mg once a day", 25)
LEUPRORELIN = Drug("L02AE02", "leuprorelin", "11.25 mg every three months", 390)
CAPECITABINE = Drug("L01BC06", "capecitabine", "1,250 mg/m² twice a day, 14 of 21 days", 240)
DONEPEZIL = Drug("N06DA02", "donepezil", "5 mg at night", 29)
IRON = Drug("B03AA07", "ferrous sulfate", "100 mg once a day", 12)
OMEPRAZOLE = Drug("A02BC01", "omeprazole", "20 mg before breakfast", 13)
CETIRIZINE = Drug("R06AE07", "cetirizine", "10 mg at night", 9)
HYDROCORTISONE = Drug("D07AA02", "hydrocortisone", "1 % cream twice a day", 11)
LEVETIRACETAM = Drug("N03AX14", "levetiracetam", "500 mg twice a day", 36)
TAMSULOSIN = Drug("G04CA02", "tamsulosin", "0.4 mg after breakfast", 17)
AMOXICILLIN = Drug("J01CA04", "amoxicillin", "500 mg three times a day for 7 days", 14)
PHENOXYMETHYLPENICILLIN = Drug(
    "J01CE02", "phenoxymethylpenicillin", "250 mg three times a day for 7 days", 15
)
AZITHROMYCIN = Drug("J01FA10", "azithromycin", "500 mg once a day for 3 days", 16)
NITROFURANTOIN = Drug("J01XE01", "nitrofurantoin", "100 mg twice a day for 5 days", 15)
DOXYCYCLINE = Drug("J01AA02", "doxycycline", "100 mg twice a day for 7 days", 13)
PARACETAMOL = Drug("N02BE01", "paracetamol", "500 mg up to four times a day", 3)
PARACETAMOL_CHILD = Drug("N02BE01", "paracetamol", "15 mg/kg up to four times a day", 3)
ENOXAPARIN = Drug("B01AB05", "enoxaparin", "40 mg under the skin once a day", 61)
CONTRACEPTIVE = Drug("G03AA07", "levonorgestrel and ethinylestradiol", "one tablet a day", 16)

PENICILLINS = frozenset({AMOXICILLIN, PHENOXYMETHYLPENICILLIN})
"""Nobody allergic to penicillin is given one; azithromycin stands in."""
