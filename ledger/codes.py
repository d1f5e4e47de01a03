"""The codes and ids that bodies of events are made of; a name is never reused with another meaning."""

from collections.abc import Mapping

from ledger.schema import (
    Boolean,
    Integer,
    Kind,
    List,
    Object,
    code,
    id_of,
)

ROLES = (
    "auditor",
    "doctor",
    "hospital_admin",
    "hospital_system",
    "operator",
    "patient",
    "person",
    "relative",
    "service",
)
HOSPITAL_ROLES = frozenset({"doctor", "hospital_admin", "hospital_system"})
"""Roles that are held at one hospital, which `as` then names."""
ACTIONS = (
    "append", "amend", "declare_emergency", "disclose", "erase", "exclude", "export", "grant", "hide", "hold",
    "list", "read", "read_history", "refer", "register", "request_access", "retract", "review", "verify",
)  # fmt: skip
PURPOSES = (
    "TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "PATRQT", "FAMRQT", "PWATRNY", "HRESCH", "PUBHLTH", "HLEGAL",
)  # fmt: skip
"""HL7 v3-ActReason."""
CATEGORIES = (
    "billing", "condition", "demographics", "document", "encounter", "imaging", "immunization", "laboratory",
    "medication", "procedure", "summary",
)  # fmt: skip
CONFIDENTIALITIES = ("normal", "restricted")
"""What an author may give a record; `hidden` is the patient's to set."""
LABELS = ("ETH", "PSY", "HIV", "SDV", "SEX", "STD", "GDIS", "OPIOIDUD", "BH")
"""HL7 v3-ActCode; they stand in the log as codes under the patient's key only."""
PRIVATE_LABELS = ("SEX", "STD", "PSY", "ETH", "SDV")
GRANT_ACTIONS = ("append", "list", "read", "read_history")
RELATIVE_ACTIONS = ("append", "grant", "list", "read", "read_history")
"""What a relative may be let do."""
GRANT_RECORDS = 500
"""Most records a selective grant lists."""
LABELS_A_RECORD = 16
CRITERIA = 64
"""Most members of one list of a grant's scope or exception."""
EXCEPTIONS = 16
"""Most exceptions beside each other."""

WRONGS: Mapping[str, str] = {
    "chain": "it doesn't follow the entry before it",
    "clock": "it was signed at another time than it was appended",
    "decision": "its decision is not the one that the rules give",
    "form": "its bytes are no entry",
    "log": "it begins another log",
    "repeated": "what was signed stands in the log already",
    "rules": "it breaks a rule of its type",
    "signature": "its signature is not valid",
    "signer": "whoever signed it may not",
}
"""What an alarm says is wrong with an entry, and what that means."""

PROFESSIONS = ("laboratory", "nurse", "pharmacist", "physician", "trainee")
"""What an approval as a doctor may be for; one that names none is a physician's."""
UNNAMED_PROFESSION = "physician"
"""The profession of an approval that names none."""
DOCTOR_ACTIONS = (
    "amend", "append", "declare_emergency", "hold", "list", "read", "refer", "register", "request_access", "retract",
)  # fmt: skip
"""What the role of a doctor may do at most (S1), of which a policy leaves each profession some."""
DECLINED: Mapping[str, str] = {
    "duplicate": "there is one already",
    "incomplete": "what was sent in doesn't suffice to decide",
    "not_eligible": "whoever applied doesn't meet the conditions",
    "not_known": "nobody there knows whoever applied",
    "not_verified": "who applied could not be verified",
    "other": "another reason, which is told elsewhere",
}
"""Why an application may be declined, and what that means."""
HARMS: Mapping[str, str] = {
    "danger_to_life": "reading it would endanger the reader's life",
    "danger_to_others": "it would endanger somebody else",
    "therapeutic": "it would gravely harm the treatment",
}
"""Why a hospital may keep a record from a patient or a relative for a while, and what that means."""
LEGAL_HOLDS: Mapping[str, str] = {
    "claim": "a claim was made, or is to be expected",
    "court_order": "a court ordered it",
    "investigation": "an authority investigates",
    "other": "another legal reason, which is told elsewhere",
}
"""Why a hospital may keep records from being erased, and what that means."""
PENDING_APPLICATIONS = 16
"""Most applications of one account to hospitals, and most for hospitals, that wait for a decision at a time."""

EMERGENCY_PURPOSES = ("BTG", "ETREAT")
"""What is read in an emergency is read for one of these: breaking the glass, and treatment in an emergency."""
EMERGENCY_REASONS: Mapping[str, str] = {
    "cannot_consent": "the patient can't be asked now",
    "life_at_risk": "the patient's life is at risk",
    "other": "another reason, which the sealed text gives",
    "serious_harm": "the patient would come to serious harm",
}
"""Why a doctor declares an emergency, and what that means."""
CEILINGS: Mapping[str, str] = {
    "normal": "normal records that aren't sensitive",
    "off": "nothing",
    "restricted": "all but what the patient hid",
}
"""How far a doctor sees in an emergency, as the patient configured it, and what that means."""
DEFAULT_CEILING = "normal"
"""What counts of a patient who configured nothing."""
FINDINGS: Mapping[str, str] = {
    "justified": "the emergency and what was read in it were justified",
    "not_justified": "it was no emergency, or what was read had nothing to do with it",
    "partly_justified": "it was an emergency, and more was read than it called for",
}
"""What the review of an emergency found, and what that means."""
REVIEW_DAYS = 7
"""How many days after its declaration the review of an emergency is due."""
DISCLOSED_RECORDS = 500
"""Most versions of records that one disclosure lists."""
DISCLOSED_LISTS = 16
"""Most sealed pieces that its list is in."""
REFERRED_RECORDS = 400
"""Most versions of records that one referral lists: so many, with its words, fit into an event."""
SUSPENDED_DAYS = 1_827
"""Most days for which telling the patient of a disclosure is suspended: five years."""

PURPOSE = code(*PURPOSES)
PROFESSION, REASON = code(*PROFESSIONS), code(*DECLINED)
PATIENT, HOSPITAL, ACCOUNT, RECORD = id_of("pt"), id_of("hs"), id_of("ac"), id_of("rc")
BLOB, GRANT, EPISODE, GROUP = id_of("bl"), id_of("gr"), id_of("ep"), id_of("gp")
APPLICATION = id_of("ev")
"""An application as a doctor: the id of the event that applied."""
EMERGENCY = id_of("ev")
"""An emergency: the id of the event that declared it."""
INVITATION = id_of("ev")
"""An invitation: the id of the event that invited."""
EVENT = id_of("ev")
"""What is named by the event that opened it: a hold, an erasure."""
READER = id_of("ac", "gp", "hs")
"""Who may be granted or excluded: a person, a group, a hospital."""
LABEL = id_of("l")
TRUE = Boolean(only=True)

CLOCK_SKEW_MOST_MS = 3_600_000
"""The largest difference between an author's clock and the log's that a policy can allow."""
_POLICY: dict[str, Kind] = {
    "assurance": Object(
        {name: Integer(1, 3) for name in ACTIONS} | {"read_sensitive": Integer(1, 3)},
        frozenset(ACTIONS),
    ),
    "care_link": code("off", "basic"),
    "clock_skew_ms": Integer(0, CLOCK_SKEW_MOST_MS),
    "custodian_reads": Boolean(),
    "emergency_hours": Integer(1, 72),
    "grant_days_max": Integer(1, 3_650),
    "majority_years": Integer(14, 25),
    "private_labels": List(code(*LABELS), len(LABELS), rising=True),
    "refusals_per_hour": Integer(1, 1_000),
    "retention_years": Integer(1, 200),
}
POLICY_V1 = Object(_POLICY)
"""The policy of a ledger, whole, as it was before professions."""
POLICY = Object(
    _POLICY
    | {
        "professions": Object(
            {
                name: List(code(*DOCTOR_ACTIONS), len(DOCTOR_ACTIONS), rising=True)
                for name in PROFESSIONS
            }
        )
    }
)
"""The policy of a ledger, whole; of each profession what its doctors may at most."""


def body(optional: Mapping[str, Kind] | None = None, **required: Kind) -> Object:
    """A body of these members; those of `optional` may be left out."""
    return Object({**required, **(optional or {})}, frozenset(optional or ()))
