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
DECLINED: Mapping[str, str] = {
    "duplicate": "there is one already",
    "incomplete": "what was sent in doesn't suffice to decide",
    "not_eligible": "whoever applied doesn't meet the conditions",
    "not_known": "nobody there knows whoever applied",
    "not_verified": "who applied could not be verified",
    "other": "another reason, which is told elsewhere",
}
"""Why an application may be declined, and what that means."""
PENDING_APPLICATIONS = 16
"""Most applications of one account to hospitals, and most for hospitals, that wait for a decision at a time."""

PURPOSE = code(*PURPOSES)
PROFESSION, REASON = code(*PROFESSIONS), code(*DECLINED)
PATIENT, HOSPITAL, ACCOUNT, RECORD = id_of("pt"), id_of("hs"), id_of("ac"), id_of("rc")
BLOB, GRANT, EPISODE, GROUP = id_of("bl"), id_of("gr"), id_of("ep"), id_of("gp")
APPLICATION = id_of("ev")
"""An application as a doctor: the id of the event that applied."""
READER = id_of("ac", "gp", "hs")
"""Who may be granted or excluded: a person, a group, a hospital."""
LABEL = id_of("l")
TRUE = Boolean(only=True)

CLOCK_SKEW_MOST_MS = 3_600_000
"""The largest difference between an author's clock and the log's that a policy can allow."""
POLICY = Object(
    {
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
)
"""The policy of a ledger, whole."""


def body(optional: Mapping[str, Kind] | None = None, **required: Kind) -> Object:
    """A body of these members; those of `optional` may be left out."""
    return Object({**required, **(optional or {})}, frozenset(optional or ()))
