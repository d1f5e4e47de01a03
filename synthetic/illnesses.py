"""The lasting conditions that a patient can have, with what follows from each.

Onsets are per thousand and year in each decade of life, of the right order for Western Europe; the
risks are multipliers in the literature's range. Plausible together, not an epidemiology.
"""

from __future__ import annotations

from typing import NamedTuple

from synthetic import drugs as d
from synthetic.drugs import Drug
from synthetic.terms import Term


class Image(NamedTuple):
    """An imaging study: DICOM modality, its name, what it shows, and the picture's part."""

    modality: str
    name: str
    site: Term
    procedure: Term
    part: str
    euros: int


_CHEST, _HEAD = Term("51185008", "Thoracic structure"), Term("69536005", "Head structure")
CHEST_XRAY = Image("DX", "Digital Radiography", _CHEST,
                   Term("399208008", "Plain X-ray of chest"), "chest", 32)  # fmt: skip
HEAD_MRI = Image("MR", "Magnetic Resonance", _HEAD,
                 Term("816077007", "Magnetic resonance imaging of brain"), "head", 260)  # fmt: skip
HEAD_CT = Image("CT", "Computed Tomography", _HEAD,
                Term("303653007", "Computed tomography of head"), "head", 120)  # fmt: skip
MAMMOGRAM = Image("MG", "Mammography", Term("76752008", "Breast structure"),
                  Term("24623002", "Screening mammography"), "breast", 58)  # fmt: skip
WRIST_XRAY = Image("DX", "Digital Radiography", Term("8205005", "Wrist region structure"),
                   Term("60027007", "Radiography of wrist"), "limb", 24)  # fmt: skip
PELVIS_XRAY = Image("DX", "Digital Radiography", Term("12921003", "Pelvic structure"),
                    Term("268425006", "Pelvis X-ray"), "limb", 27)  # fmt: skip

ECG = Term("29303009", "Electrocardiographic procedure")
ECHO = Term("40701008", "Echocardiography")
SPIROMETRY = Term("127783003", "Spirometry")
COLONOSCOPY = Term("73761001", "Colonoscopy")


class Crisis(NamedTuple):
    """What a lasting condition comes to a head in: an admission of some nights."""

    term: Term
    yearly: float
    nights: tuple[int, int]
    department: str
    procedures: tuple[Term, ...] = ()
    images: tuple[Image, ...] = ()
    drugs: tuple[Drug, ...] = ()
    fatal: bool = True


class Illness(NamedTuple):
    """A lasting condition. `onset`: per thousand and year, by decade of life."""

    key: str
    term: Term
    department: str
    onset: tuple[float, ...]
    drugs: tuple[Drug, ...] = ()
    labs: tuple[str, ...] = ()
    visits: float = 1.0
    """Follow-ups a year."""
    risks: tuple[tuple[str, float], ...] = ()
    sex: str = ""
    label: str = ""
    """Sensitive of this kind; a code of v3-ActCode that consent rules know."""
    work_up: tuple[Term, ...] = ()
    images: tuple[Image, ...] = ()
    crisis: Crisis | None = None


CATALOGUE = (
    Illness("obesity", Term("414916001", "Obesity", "E66.9"), "general",
            (1, 4, 5, 6, 6, 5, 3, 1, 0, 0), (), ("ldl", "hba1c"), 0.3),
    Illness("smoking", Term("56294008", "Nicotine dependence", "F17.2"), "general",
            (0, 14, 9, 2, 1, 0, 0, 0, 0, 0), (), (), 0.0),
    Illness("alcohol", Term("7200002", "Alcoholism", "F10.2"), "psychiatry",
            (0, 0.6, 2, 2, 2, 1.5, 1, 0, 0, 0), (d.NALTREXONE,), ("alt",), 2.0,
            (("smoking", 2.5),), label="ETH"),
    Illness("opioids", Term("75544000", "Opioid dependence", "F11.2"), "psychiatry",
            (0, 0.2, 0.6, 0.4, 0.2, 0.1, 0, 0, 0, 0), (d.BUPRENORPHINE,), (), 4.0,
            (("smoking", 3),), label="OPIOIDUD"),
    Illness("hypertension", Term("59621000", "Essential hypertension", "I10"), "general",
            (0, 0.3, 3, 8, 18, 30, 38, 40, 40, 40), (d.LISINOPRIL, d.AMLODIPINE),
            ("creatinine", "potassium", "sodium"), 1.6, (("obesity", 2), ("alcohol", 1.5)),
            work_up=(ECG,)),
    Illness("lipids", Term("55822004", "Hyperlipidemia", "E78.5"), "general",
            (0, 0.2, 2, 8, 18, 25, 25, 15, 8, 5), (d.ATORVASTATIN,), ("ldl",), 0.8,
            (("obesity", 1.8),)),
    Illness("diabetes", Term("44054006", "Diabetes mellitus type 2", "E11.9"), "endocrinology",
            (0, 0.1, 0.6, 2.5, 6, 11, 14, 14, 10, 6), (d.METFORMIN, d.INSULIN),
            ("hba1c", "glucose", "creatinine", "ldl"), 3.0,
            (("obesity", 3.2), ("hypertension", 1.4))),
    Illness("kidney", Term("709044004", "Chronic kidney disease", "N18.9"), "nephrology",
            (0, 0, 0.2, 0.6, 1.5, 3.5, 8, 16, 22, 25), (), ("creatinine", "potassium",
            "hemoglobin"), 2.0, (("diabetes", 3), ("hypertension", 2)),
            crisis=Crisis(Term("14669001", "Acute renal failure syndrome", "N17.9"), 0.02, (4, 12),
                          "nephrology", (Term("265764009", "Renal dialysis"),))),
    Illness("heart", Term("414545008", "Ischemic heart disease", "I25.9"), "cardiology",
            (0, 0, 0.1, 0.6, 2, 5, 9, 13, 15, 15), (d.ASPIRIN, d.BISOPROLOL), ("ldl", "creatinine"),
            1.6, (("diabetes", 2), ("hypertension", 1.6), ("lipids", 1.6), ("smoking", 2)),
            work_up=(ECG, ECHO),
            crisis=Crisis(Term("22298006", "Myocardial infarction", "I21.9"), 0.03, (4, 9),
                          "cardiology", (ECG, Term("415070008", "Percutaneous coronary intervention")),
                          (CHEST_XRAY,), (d.CLOPIDOGREL,))),
    Illness("failure", Term("42343007", "Congestive heart failure", "I50.0"), "cardiology",
            (0, 0, 0.1, 0.2, 0.5, 1.5, 4, 10, 20, 28), (d.BISOPROLOL, d.FUROSEMIDE),
            ("bnp", "creatinine", "potassium"), 3.0, (("heart", 4), ("hypertension", 1.6)),
            work_up=(ECG, ECHO), images=(CHEST_XRAY,),
            crisis=Crisis(Term("443254009", "Acute systolic heart failure", "I50.2"), 0.14, (4, 12),
                          "cardiology", (ECG,), (CHEST_XRAY,))),
    Illness("fibrillation", Term("49436004", "Atrial fibrillation", "I48.9"), "cardiology",
            (0, 0, 0.1, 0.3, 0.8, 2.5, 6, 12, 18, 20), (d.APIXABAN, d.BISOPROLOL), ("creatinine",
            "hemoglobin"), 1.5, (("heart", 1.8), ("failure", 2.5), ("hypertension", 1.4)),
            work_up=(ECG, ECHO)),
    Illness("stroke", Term("230690007", "Cerebrovascular accident", "I63.9"), "neurology",
            (0, 0, 0.1, 0.3, 0.7, 2, 4, 8, 13, 16), (d.CLOPIDOGREL,), ("ldl",), 1.5,
            (("fibrillation", 3), ("hypertension", 2), ("diabetes", 1.6)),
            images=(HEAD_CT, HEAD_MRI)),
    Illness("copd", Term("13645005", "Chronic obstructive lung disease", "J44.9"), "pulmonology",
            (0, 0, 0, 0.3, 1.2, 3, 5, 6, 5, 4), (d.TIOTROPIUM, d.SALBUTAMOL), (), 2.0,
            (("smoking", 6),), work_up=(SPIROMETRY,), images=(CHEST_XRAY,),
            crisis=Crisis(Term("195951007", "Acute exacerbation of chronic obstructive airways disease",
                               "J44.1"), 0.15, (3, 9), "pulmonology", (SPIROMETRY,), (CHEST_XRAY,),
                          (d.PREDNISOLONE,))),
    Illness("asthma", Term("195967001", "Asthma", "J45.9"), "pulmonology",
            (6, 3, 1.5, 1, 1, 1, 0.8, 0.5, 0.3, 0), (d.SALBUTAMOL, d.BUDESONIDE), (), 1.2,
            (("rhinitis", 2.5),), work_up=(SPIROMETRY,),
            crisis=Crisis(Term("708038006", "Acute exacerbation of asthma", "J45.901"), 0.04, (1, 3),
                          "pulmonology", (SPIROMETRY,), (), (d.PREDNISOLONE,), fatal=False)),
    Illness("rhinitis", Term("61582004", "Allergic rhinitis", "J30.4"), "general",
            (9, 8, 4, 3, 2, 1, 0.5, 0, 0, 0), (d.CETIRIZINE,), (), 0.4),
    Illness("dermatitis", Term("24079001", "Atopic dermatitis", "L20.9"), "general",
            (11, 3, 1, 0.5, 0.5, 0.5, 0.3, 0, 0, 0), (d.HYDROCORTISONE,), (), 0.6,
            (("rhinitis", 2),)),
    Illness("thyroid", Term("40930008", "Hypothyroidism", "E03.9"), "endocrinology",
            (0, 0.5, 1.5, 2, 3, 3.5, 3.5, 3, 3, 2), (d.LEVOTHYROXINE,), ("tsh",), 1.4),
    Illness("depression", Term("370143000", "Major depressive disorder", "F33.9"), "psychiatry",
            (0, 5, 7, 6, 6, 6, 4, 3, 3, 3), (d.SERTRALINE,), (), 3.0, (("alcohol", 2.5),),
            label="PSY", work_up=(Term("171207006", "Depression screening"),
                                  Term("228557008", "Cognitive and behavioral therapy")),
            crisis=Crisis(Term("73867007", "Severe major depression with psychotic features", "F33.3"),
                          0.03, (10, 30), "psychiatry", drugs=(d.OLANZAPINE,), fatal=False)),
    Illness("anxiety", Term("197480006", "Anxiety disorder", "F41.9"), "psychiatry",
            (1, 5, 6, 5, 4, 3, 2, 1, 1, 1), (d.ESCITALOPRAM,), (), 1.5, (("depression", 2.5),),
            label="PSY"),
    Illness("psychosis", Term("58214004", "Schizophrenia", "F20.9"), "psychiatry",
            (0, 0.4, 0.5, 0.2, 0.1, 0, 0, 0, 0, 0), (d.OLANZAPINE,), ("glucose", "ldl"), 5.0,
            label="PSY",
            crisis=Crisis(Term("191567000", "Schizoaffective schizophrenia", "F25.9"), 0.15, (14, 40),
                          "psychiatry", fatal=False)),
    Illness("attention", Term("406506008", "Attention deficit hyperactivity disorder", "F90.9"),
            "psychiatry", (4, 2.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0), (d.METHYLPHENIDATE,), (), 2.5,
            label="PSY"),
    Illness("hiv", Term("86406008", "Human immunodeficiency virus infection", "B24"), "infections",
            (0, 0.1, 0.8, 0.7, 0.4, 0.2, 0.1, 0, 0, 0), (d.ANTIRETROVIRALS,),
            ("cd4", "viral load", "creatinine"), 3.0, (("opioids", 4),), label="HIV"),
    Illness("joints", Term("396275006", "Osteoarthritis", "M19.9"), "orthopedics",
            (0, 0, 0.5, 1.5, 5, 12, 18, 20, 18, 12), (d.IBUPROFEN,), (), 1.0, (("obesity", 2),),
            work_up=(Term("91251008", "Physical therapy procedure"),), images=(PELVIS_XRAY,)),
    Illness("bones", Term("64859006", "Osteoporosis", "M81.9"), "orthopedics",
            (0, 0, 0, 0, 0.5, 4, 10, 14, 16, 14), (d.ALENDRONATE,), (), 0.8, (), "female",
            crisis=Crisis(Term("359817006", "Closed fracture of hip", "S72.0"), 0.03, (8, 18),
                          "orthopedics", (Term("52734007", "Total replacement of hip"),), (PELVIS_XRAY,),
                          (d.ENOXAPARIN,))),
    Illness("migraine", Term("37796009", "Migraine", "G43.9"), "neurology",
            (0.5, 4, 5, 4, 2, 1, 0.3, 0, 0, 0), (d.SUMATRIPTAN,), (), 0.8, images=(HEAD_MRI,)),
    Illness("epilepsy", Term("84757009", "Epilepsy", "G40.9"), "neurology",
            (0.9, 0.6, 0.4, 0.3, 0.3, 0.4, 0.7, 1.2, 1.5, 1.5), (d.LEVETIRACETAM,), ("sodium",), 1.8,
            (("stroke", 4),), images=(HEAD_MRI,)),
    Illness("dementia", Term("52448006", "Dementia", "F03"), "neurology",
            (0, 0, 0, 0, 0, 0.3, 2, 9, 28, 60), (d.DONEPEZIL,), ("tsh",), 1.8, (("stroke", 2),),
            images=(HEAD_CT,)),
    Illness("anemia", Term("87522002", "Iron deficiency anemia", "D50.9"), "general",
            (1, 3, 3, 3, 3, 2, 2, 4, 5, 5), (d.IRON,), ("hemoglobin", "ferritin"), 1.2,
            (("kidney", 3),)),
    Illness("reflux", Term("235595009", "Gastroesophageal reflux disease", "K21.9"), "general",
            (0.3, 1, 4, 6, 7, 7, 7, 6, 5, 4), (d.OMEPRAZOLE,), (), 0.5, (("obesity", 1.6),)),
    Illness("breast", Term("254837009", "Malignant neoplasm of breast", "C50.9"), "oncology",
            (0, 0, 0.1, 0.6, 1.6, 2.6, 3.5, 4, 4, 4), (d.TAMOXIFEN,), ("hemoglobin", "alt"), 3.5, (),
            "female", work_up=(Term("392021009", "Lumpectomy of breast"),
                               Term("108290001", "Radiation oncology AND/OR radiotherapy")),
            images=(MAMMOGRAM,)),
    Illness("prostate", Term("399068003", "Malignant neoplasm of prostate", "C61"), "oncology",
            (0, 0, 0, 0, 0.2, 1.8, 5, 7, 6, 5), (d.LEUPRORELIN,), ("psa",), 2.5, (), "male",
            work_up=(Term("90470006", "Prostatectomy"),)),
    Illness("colon", Term("363406005", "Malignant neoplasm of colon", "C18.9"), "oncology",
            (0, 0, 0, 0.1, 0.3, 0.8, 1.6, 2.5, 3.5, 4), (d.CAPECITABINE,), ("hemoglobin", "alt"), 3.5,
            work_up=(COLONOSCOPY, Term("23968004", "Colectomy"))),
    Illness("urinary", Term("266569009", "Benign prostatic hyperplasia", "N40"), "general",
            (0, 0, 0, 0, 3, 10, 18, 20, 18, 12), (d.TAMSULOSIN,), ("psa",), 0.8, (), "male"),
)  # fmt: skip
"""In an order in which most risks stand before what they lead to."""

BY_KEY = {illness.key: illness for illness in CATALOGUE}
SERIOUS = frozenset(
    {"heart", "failure", "stroke", "copd", "kidney", "breast", "prostate", "colon", "dementia"}
)
"""What people die of."""
