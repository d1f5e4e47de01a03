"""The texts of what people are told: short, plain, without anything clinical, without names, without what others wrote.

A kind names the parameters of its text; each language has a text for each kind. Parameters are ids, numbers of entries, and
times (their names end with `at`), and are checked before they stand in a mail.
"""

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from crypto.ids import ID_PATTERN
from people.texts import english, german

KINDS: dict[str, frozenset[str]] = {
    kind: frozenset(params.split())
    for kind, params in {
        "access_answered": "at patient request",
        "access_requested": "at by patient request until_at",
        "access_to_answer": "at by patient request until_at",
        "admin_appointed": "at hospital",
        "alarm_raised": "at entry alarm",
        "chart_claimed": "at by patient",
        "charts_joined": "at patient",
        "charts_linked": "at hospital patient",
        "charts_unlinked": "at hospital patient",
        "child_consultation_opened": "at hospital patient",
        "child_details_corrected": "at hospital patient",
        "child_emergency": "at by hospital patient until_at",
        "child_emergency_reviewed": "at hospital patient",
        "child_hospital_wrote": "at hospital patient",
        "child_records_disclosed": "at hospital patient",
        "child_referral_accepted": "at hospital patient",
        "child_referral_sent": "at hospital patient",
        "claim_offered": "at by patient",
        "codes_added": "at",
        "codes_removed": "at",
        "contact_changed": "",
        "contact_proof": "ending_at code",
        "contact_removed": "",
        "contact_taken": "",
        "consultation_opened": "at hospital patient",
        "delegation_given": "at by hospital",
        "details_corrected": "at hospital patient",
        "doctor_approved": "at hospital",
        "doctor_ended": "at hospital",
        "doctor_invited": "code ending_at hospital invitation",
        "doctor_joined": "at hospital",
        "doctor_suspended": "at hospital",
        "invitation_taken_up": "at by hospital invitation",
        "emergency_declared": "at by hospital patient until_at",
        "emergency_reviewed": "at hospital patient",
        "emergency_to_review": "at by due_at emergency patient",
        "erasure_completed": "at erasure",
        "erasure_requested": "at due_at erasure",
        "erasure_withdrawn": "at erasure",
        "factors_reset": "at key",
        "guardian_appointed": "at counts_at guardian patient",
        "guardian_objected": "at guardian patient",
        "hospital_approved": "at hospital",
        "hospital_wrote": "at hospital patient",
        "key_recovered": "at key counts_at",
        "key_registered": "at key",
        "kept_key_revoked": "at key",
        "key_revoked": "at key",
        "passkey_added": "at",
        "passkey_removed": "at",
        "new_place": "at",
        "password_changed": "at",
        "password_no_reset": "",
        "password_reset": "ending_at code",
        "password_set": "at",
        "referral_accepted": "at hospital patient",
        "referral_sent": "at hospital patient",
        "records_disclosed": "at hospital patient",
        "recovery_revoked": "at",
        "recovery_used": "at left",
        "relation_ended": "at patient",
        "relative_linked": "at by patient",
        "session_locked": "at until_at",
    }.items()
}
"""Each kind of message, and what its text may name beside the account."""

LANGUAGES = {"de": german, "en": english}
"""By the code of the language (ISO 639-1)."""
_ID = re.compile(rf"[a-z]{{1,4}}_{ID_PATTERN}\Z").match
_CODE = re.compile(r"([A-Z2-7]{26}|([0-9A-Z]{4}-){6}[0-9A-Z]{2}[0-9A-Z*~$=])\Z").match
"""As codes and links of addresses are written, or as those of letters (`crypto.claims`)."""


class Text(NamedTuple):
    """The words of a message."""

    subject: str
    body: str


def text_of(kind: str, language: str, account: str, log: str, params: Mapping[str, str | int]) -> Text:  # fmt: skip
    """The text of a message; raises ValueError for a kind that is none, or parameters that aren't the kind's.

    `log`: the log's origin. Someone whose language isn't known is written to in English.
    """
    words = LANGUAGES.get(language, english)
    if kind not in KINDS or params.keys() != KINDS[kind]:
        raise ValueError(f"got the message {kind[:40]!r} with {sorted(params)}, which is no kind")
    named = {name: _shown(name, value, words.MOMENT) for name, value in params.items()}
    subject, body = words.TEXTS[kind]
    filled = body.format(account=_shown("account", account, ""), **named)
    return Text(subject, f"{filled}\n\n-- \n{words.FOOTER.format(log=log)}\n")


def _shown(name: str, value: str | int, moment: str) -> str:
    """A parameter as the text has it; raises ValueError for what is none."""
    if isinstance(value, int):
        return time.strftime(moment, time.gmtime(value / 1000)) if name.endswith("at") else str(value)  # fmt: skip
    if not (_CODE if name == "code" else _ID)(value):
        raise ValueError(f"got something else than an id as {name}")
    return value
