"""What can be asked of a server over HTTP: one list, from which route, client method, OpenAPI example, the guide's row
and the row of the tests' matrix come.

Health and metrics, which no client asks for, stand in `api/http/health.py`. To add an operation: a line here, its row in
the tests' matrix, `python -m api.http.guide` for its row in the guide, and its route (`api.http.examples.serves`) and
client method. A `Query` needs neither of the last two: they derive from the function that answers it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Generic, TypeVar, get_type_hints

from client.codec import Codec, codec_of
from identity.kept import own_keys
from identity.own import factors_of, own_roles, passkeys_of, sessions_of, sign_ins_of
from ledger.codes import HOSPITAL_ROLES
from ledger.entry import ENTRY_LIMIT
from people.applications import (
    doctor_of,
    doctors_of,
    hospital_application,
    hospitals_in,
    own_applications,
)
from people.contacts import contact_of
from people.hospitals import directory, holder_of, owner_of
from people.intake import intake_forms
from people.inviting import invitations_of, mailed_code
from people.linking import links_of
from people.numbers import number_of
from people.profiles import own_profile, profile_of
from people.representing import acting_for, representatives
from records.charts import consents, me
from records.consultations import consultations_of
from records.emergencies import emergencies_of
from records.holding import erasures_of, holds_of
from records.inquiries import inquiries_of
from records.opening import address_of
from records.referrals import receiving_key, referrals_of, referrals_to
from records.requests import own_requests, requests_of, requests_to

ACCOUNT = "ac_01jd3q8m5c0000000000000001"
BLOB_ID = "bl_01jd3q8m5c0000000000000002"
EVENT_ID = "ev_01jd3q8m5c0000000000000003"
HOSPITAL = "hs_01jd3q8m5c0000000000000004"
GROUP = "gp_01jd3q8m5c0000000000000006"
KEY = "k_2v4c9m1h6s3t8w5x7y0z1a2b3c"
PATIENT = "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r"
SESSION_ID = "ss_01jd3q8m5c0000000000000007"
PASSKEY = "0123456789abcdef0123456789abcdef"
RECORD = "rc_01jd3q8m5c0000000000000005"
HASH = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
SIGNATURE = "A" * 86 + "=="
BORN = "1958-03-14"
TIME = "2026-11-20T07:24:00.123Z"
ORIGIN = "hospital.example/log"
NOTE = f"{ORIGIN}\n12\n{HASH}\n\n— {ORIGIN} AAAA…\n"
RELEASES_NOTE = f"{ORIGIN}/releases\n5\n{HASH}\n\n— {ORIGIN}/releases AAAA…\n"
RECEIPT_TEXT = "c2sp.org/tlog-proof@v1\n…"

OPEN, SESSION, READ_TOKEN, AUDITORS_TOKEN = "open", "session", "read token", "auditor's token"
"""Doors that take no signed event; those that do are named `signed …`."""
JSON, BYTES, TEXT, ANY = "application/json", "application/octet-stream", "text/plain", "*/*"

ANSWER_BYTES = 16 * 1024 * 1024
"""Longest answer of those that have no limit of their own."""
APPENDED_BYTES = 64 * 1024 * 1024
"""Longest answer to an append: PART_BYTES of events in their entries, each with its path, as JSON."""
CHART_BYTES = 128 * 1024 * 1024
"""Longest list of a chart: about 150,000 records."""
HISTORY_BYTES = 256 * 1024 * 1024
"""Longest history: about 150,000 entries."""
EXPORT_ARCHIVE_BYTES = 1024**4
"""Longest archive of an export, on the disk."""
RECEIPT_BYTES = 2 * ENTRY_LIMIT + 1024 * 1024
"""Longest receipt: the entry in base64, its path and a checkpoint."""

T = TypeVar("T")


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked of a server."""

    name: str
    door: str
    """What opens it, as the guide says it: open, session, or `signed` and by what."""
    method: str
    path: str
    """With {names} in braces."""
    summary: str
    """A few words, for the OpenAPI document."""
    what: str
    """What one gets, for the guide."""
    good: str = ""
    """What a good answer holds, for the OpenAPI document."""
    sends: Any = None
    """An example of what is sent; None: nothing."""
    gives: Any = None
    """An example of what comes back."""
    kind: str = JSON
    """The media type of a good answer."""
    takes: str = JSON
    """The media type of what is sent."""
    status: int = 200
    limit: int = ANSWER_BYTES
    """Most bytes of an answer that a client takes."""
    shown: str = ""
    """The path as the guide prints it, where that isn't `path`."""

    def at(self, **names: object) -> str:
        """The path with its names filled in."""
        return self.path.format(**names)

    @property
    def row(self) -> str:
        """The operation's row in docs/http.md."""
        return f"| `{self.method} {self.shown or self.path}` | {self.door} | {self.what} |"


@dataclass(frozen=True, kw_only=True)
class Query(Operation, Generic[T]):
    """A question that leaves no entry, asked in a session: `LedgerClient.ask` asks it, here or over HTTP."""

    answer: Callable[..., T]
    """Answers it, given the ledger, the caller, what the path names and what `asks` does. Whether the caller may know is
    its to check."""
    asks: tuple[str, ...] = ()
    """What may follow the path, as `?name=…`: texts that narrow the answer."""

    def __post_init__(self) -> None:
        """Raises ValueError where the function doesn't fit the path, or no session is asked for."""
        names = list(signature(self.answer).parameters)
        expected = ["ledger", "caller", *re.findall(r"{(\w+)}", self.path), *self.asks]
        if names != expected:
            raise ValueError(f"{self.name}: its answer takes {names}, expected {expected}")
        if (self.method, self.door) != ("GET", SESSION):
            raise ValueError(
                f"{self.name}: got {self.method}, {self.door}; expected GET, {SESSION}"
            )

    @property
    def codec(self) -> Codec[T]:
        """How the answer is rendered and parsed: by the type that the function gives."""
        return codec_of(get_type_hints(self.answer)["return"])


def example_event(
    kind: str, stream: str, body: dict[str, Any], role: str = "doctor"
) -> dict[str, Any]:
    """An event as an example."""
    acting = {"role": role} | ({"hospital": HOSPITAL} if role in HOSPITAL_ROLES else {})
    return {
        "actor": ACCOUNT, "as": acting, "at": TIME, "body": body, "id": EVENT_ID, "stream": stream,
        "type": kind, "v": 1,
    }  # fmt: skip


def _signed(
    kind: str, body: dict[str, Any], role: str = "doctor", stream: str = ""
) -> dict[str, Any]:
    event = example_event(kind, stream or f"patient/{PATIENT}", body, role)
    return {"event": event, "sig": {"key": KEY, "value": SIGNATURE}}


_EXCLUDED = _signed("reader.excluded", {"purpose": "PATRQT", "reader": HOSPITAL}, "patient")
_OPENED = {"blob": BLOB_ID, "purpose": "TREAT", "record": RECORD, "version": 1}
_STANDS = {
    "appended": 1, "checkpoint": NOTE, "consistency": [HASH],
    "entries": [{"entry": "{…}", "index": 0, "path": [HASH], "seq": 12, "time": TIME}],
}  # fmt: skip
_STOOD = "Each event by its index: where it stands, or its problem"

LOG = Operation(
    "log", OPEN, "GET", "/v1/log", "What log this is",
    "origin, size, time of the last entry, verifier keys, hash of the registry, policy in force", "The log",
    gives={
        "origin": ORIGIN, "registry": HASH, "size": 12, "time": TIME, "vkeys": [f"{ORIGIN}+…"],
        "policy": {"assurance": {"read": 2}, "custodian_reads": True, "grant_days_max": 365, "majority_years": 18,
                   "professions": {"trainee": ["append", "list", "read"]}, "seq": 0},
    },
)  # fmt: skip
CONSISTENCY = Operation(
    "consistency", OPEN, "GET", "/v1/log/consistency/{old}/{new}", "That the log was only added to",
    "the proof that the log of `new` entries extends that of `old`", "The proof", gives={"proof": [HASH]},
)  # fmt: skip
REGISTRY = Operation(
    "registry", OPEN, "GET", "/v1/log/registry", "The registry",
    "the registry: each type, its members and who may sign it", "The registry",
    gives={"format": "heartwood/registry/v1", "types": {}},
)  # fmt: skip
CHECKPOINT = Operation(
    "checkpoint", OPEN, "GET", "/checkpoint", "The newest checkpoint", "the newest signed checkpoint",
    "A signed note", gives=NOTE, kind=TEXT,
)  # fmt: skip
COSIGNED = Operation(
    "cosigned", OPEN, "GET", "/v1/log/cosigned", "The newest cosigned checkpoint",
    "the newest checkpoint whose cosignatures meet the log's witness policy; 404 without one", "A signed note",
    gives=NOTE, kind=TEXT,
)  # fmt: skip
WITNESSES = Operation(
    "witnesses", OPEN, "GET", "/v1/log/witnesses", "The log's witnesses",
    "the log's witness policy, and how far each witness is", "Policy and witnesses",
    gives={
        "policy": f"log {ORIGIN}+…\nquorum none\n", "size": 12,
        "witnesses": [{"behind": 0, "good": True, "name": "w1", "size": 12}],
    },
)  # fmt: skip
HANDOVERS = Operation(
    "handovers", OPEN, "GET", "/v1/log/handovers", "Hand-overs of the log's keys",
    "the receipts by which whoever has older keys of the log comes to its present ones; none where there is one pair",
    "The hand-overs, in order",
    gives={"handovers": [{"added": RECEIPT_TEXT, "first": RECEIPT_TEXT, "key": RECEIPT_TEXT}]},
)  # fmt: skip
TILE = Operation(
    "tile", OPEN, "GET", "/tile/{path}", "A tile", "a tile of hashes ([C2SP tlog-tiles](#the-log-for-auditors))",
    "Hashes or entries", gives="…", kind=BYTES, shown="/tile/<L>/<N>[.p/<W>]",
)  # fmt: skip
ENTRIES = Operation(
    "entries", AUDITORS_TOKEN, "GET", "/tile/{path}", "A tile", "a bundle of entries",
    "Hashes or entries", gives="…", kind=BYTES, shown="/tile/entries/<N>[.p/<W>]",
)  # fmt: skip
LOG_TOKEN = Operation(
    "log_token", "signed `log.opened`", "POST", "/v1/log/token", "A token for entries",
    "the token for entry bundles", "The token", _signed("log.opened", {}, "auditor", "ledger"),
    {"end": TIME, "seq": 12, "token": HASH},
)  # fmt: skip
RELEASES = Operation(
    "releases", AUDITORS_TOKEN, "GET", "/v1/log/releases", "The key keeper's log of releases",
    "the checkpoint of what the key keeper gave out, and the keys that sign it", "Checkpoint and keys",
    gives={"checkpoint": RELEASES_NOTE, "vkeys": [f"{ORIGIN}/releases+…"]},
)  # fmt: skip
RELEASED = Operation(
    "released", AUDITORS_TOKEN, "GET", "/v1/log/releases/{number}", "A bundle of releases",
    "a bundle of up to 256 releases, as tiles of entries are", "Entries", gives="…", kind=BYTES,
)  # fmt: skip
EVENTS = Operation(
    "events", "signed", "POST", "/v1/events", "Append signed events", "append one event, or a list of up to 1,000",
    _STOOD, _EXCLUDED, _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
BUNDLES = Operation(
    "bundles", "signed", "POST", "/v1/bundles", "Append a bundle",
    "append up to 1,000 events of one author under one signature", _STOOD,
    {"events": [_EXCLUDED["event"]], "sig": _EXCLUDED["sig"]}, _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
CONTENT = Operation(
    "content", "signed `record.opened`", "POST", "/v1/records/{record}/content", "Read a record",
    "the content, and a read token", "The content", _signed("record.opened", _OPENED), "…", ANY,
)  # fmt: skip
RANGE = Operation(
    "range", READ_TOKEN, "GET", "/v1/records/{record}/content", "Read a range", "a range of that content",
    "The range", gives="…", kind=ANY, status=206,
)  # fmt: skip
CHART = Operation(
    "chart", "signed `chart.opened`", "POST", "/v1/patients/{patient}/chart", "Open a chart",
    "the records that the reader may see", "The records that the reader may see",
    _signed("chart.opened", {"purpose": "TREAT"}),
    {"entry": "{…}", "held": [], "more_in_emergency": True, "receipt": RECEIPT_TEXT,
     "records": [{"record": RECORD, "category": "laboratory"}], "seq": 12},
    limit=CHART_BYTES,
)  # fmt: skip
HISTORY = Operation(
    "history", "signed `history.opened`", "POST", "/v1/patients/{patient}/history", "Open a history",
    "every entry of the patient's stream", "Every entry of the stream",
    _signed("history.opened", {"purpose": "PATRQT"}, "patient"),
    {"entries": ["{…}"], "names": {HOSPITAL: "Nordklinik"}, "receipt": RECEIPT_TEXT, "restored": [], "seq": 12,
     "texts": {"7": {"text": "Unresponsive after a fall"}}},
    limit=HISTORY_BYTES,
)  # fmt: skip
EMERGENCY_OPENED = Operation(
    "emergency", "signed `emergency.opened`", "POST", "/v1/patients/{patient}/emergency", "Open an emergency for review",
    "what a doctor declared, and what was read in that emergency; for admins of the hospital", "The emergency",
    _signed("emergency.opened", {"emergency": EVENT_ID, "purpose": "HOPERAT"}, "hospital_admin"),
    {"acts": [], "reason": "life_at_risk", "receipt": RECEIPT_TEXT, "seq": 12, "text": "Unresponsive after a fall"},
    limit=HISTORY_BYTES,
)  # fmt: skip
EXPORT = Operation(
    "export", "signed `chart.exported`", "POST", "/v1/patients/{patient}/export", "Export a chart",
    "a ZIP of the content of all that a list names", "A ZIP of the content",
    _signed("chart.exported", {"count": 1, "purpose": "PATRQT", "root": HASH}, "patient") | {"list": [[RECORD, 1]]},
    "PK…", "application/zip", limit=EXPORT_ARCHIVE_BYTES,
)  # fmt: skip
PACKAGE = Operation(
    "package", "signed `referral.taken`", "POST", "/v1/patients/{patient}/referrals/package", "Take up a referral",
    "a ZIP of what an accepted referral lists, sealed for the receiving hospital's own key", "The package",
    _signed("referral.taken", {"count": 1, "key": KEY, "purpose": "TREAT", "referral": EVENT_ID, "root": HASH}, "hospital_system"),
    "PK…", "application/zip", limit=EXPORT_ARCHIVE_BYTES,
)  # fmt: skip
CHALLENGE = Operation(
    "challenge", OPEN, "POST", "/v1/sessions/challenge", "A challenge", "32 bytes to sign", "The challenge",
    gives={"challenge": HASH, "origin": ORIGIN},
)  # fmt: skip
SIGN_IN = Operation(
    "sign_in", "signed challenge, password and code, or a passkey", "POST", "/v1/sessions", "Sign in",
    "a bearer token: for 15 minutes by key; by password as long as it is used, 12 hours at most", "The session",
    {"challenge": HASH, "hospital": HOSPITAL, "key": KEY, "role": "doctor", "value": SIGNATURE},
    {"account": ACCOUNT, "end": TIME, "token": HASH},
)  # fmt: skip
SIGN_OUT = Operation(
    "sign_out", SESSION, "DELETE", "/v1/sessions", "Sign out", "sign out", "Signed out", kind="", status=204,
)  # fmt: skip
_GIVEN = {"account": ACCOUNT, "assurance": 3, "end": TIME, "session": SESSION_ID, "token": HASH}
_PASSWORD, _CODE = "correct horse battery staple", "123456"
STEP_UP = Operation(
    "step_up", SESSION, "POST", "/v1/sessions/current/step-up", "Step up",
    "the same session by password with assurance 3 for 5 minutes, by a code, a recovery code or a passkey, and another token",
    "The session", {"code": _CODE}, _GIVEN,
)  # fmt: skip
STEP_UP_CHALLENGE = Operation(
    "step_up_challenge", SESSION, "POST", "/v1/sessions/current/step-up/passkey", "A challenge for a step-up by passkey",
    "what a browser's `navigator.credentials.get` takes to step this very session up; valid once, for 5 minutes", "The options",
    gives={
        "allowCredentials": [{"id": "AAAA", "type": "public-key"}], "challenge": "A" * 43, "rpId": "hospital.example",
        "userVerification": "required",
    },
)  # fmt: skip
RENEW = Operation(
    "renew", SESSION, "POST", "/v1/sessions/current/renewal", "Renew the token",
    "the same session by password with another token; the one before is dead", "The session", gives=_GIVEN,
)  # fmt: skip
OWN_ROLES = Query(
    "roles", SESSION, "GET", "/v1/me/roles", "One's own roles",
    "the roles that one can act in now, and at which hospital", "The roles",
    gives=[{"hospital": "", "role": "person"}, {"hospital": HOSPITAL, "role": "doctor"}], answer=own_roles,
)  # fmt: skip
TAKE_ROLE = Operation(
    "take_role", SESSION, "POST", "/v1/sessions/current/role", "Take another role",
    "a session by password in another of one's roles, in place of this one; for a role of staff within 5 minutes of a second "
    "factor", "The session", {"hospital": HOSPITAL, "role": "doctor"}, _GIVEN | {"assurance": 2},
)  # fmt: skip
OWN_FACTORS = Query(
    "factors", SESSION, "GET", "/v1/me/factors", "One's own factors",
    "whether one has a password and one-time codes, and how many recovery codes are left", "The factors",
    gives={"code": True, "password": True, "recovery": 10}, answer=factors_of,
)  # fmt: skip
PASSWORD = Operation(
    "set_password", SESSION, "PUT", "/v1/me/password", "Set one's password",
    "set the first password, in a session by key, or change it with the one before, and a code where codes count; in a "
    "session by key also without; all other sessions by password end", "Set",
    {"new": _PASSWORD}, kind="", status=204,
)  # fmt: skip
CODE = Operation(
    "begin_code", SESSION, "POST", "/v1/me/factors/code", "Begin one-time codes",
    "the seed of one-time codes, and as an `otpauth://` URI; they count once a code was shown, in place of others (by password) "
    "as well", "The seed",
    gives={"seed": "A" * 32, "uri": f"otpauth://totp/…?secret={'A' * 32}"},
)  # fmt: skip
CODE_CONFIRMED = Operation(
    "confirm_code", SESSION, "POST", "/v1/me/factors/code/confirm", "Let one-time codes count",
    "let them count, by a code and the password, and `old_code` or `recovery` of those they replace; ten recovery codes, this "
    "once; all other sessions by password end",
    "The recovery codes", {"code": _CODE, "password": _PASSWORD}, {"recovery": ["0123-4567-89ab-cdef"]},
)  # fmt: skip
CODE_REMOVED = Operation(
    "remove_code", SESSION, "DELETE", "/v1/me/factors/code", "Remove one-time codes",
    "remove them, the recovery codes and all passkeys, by the password and a code or a recovery code (not while the service "
    "keeps a key); in a session by key also without; all other sessions by password end", "Removed",
    {"code": _CODE, "password": _PASSWORD}, kind="", status=204,
)  # fmt: skip
_KEPT = {"key": KEY, "proof": SIGNATURE, "public_key": HASH, "seq": 12}
OWN_KEYS = Query(
    "keys", SESSION, "GET", "/v1/me/keys", "One's own keys",
    "one's own keys: who keeps each, whether it counts, and since when", "The keys",
    gives=[{
        "active": True, "algorithm": "ed25519", "counts_from": TIME, "custody": "service", "kept": True, "key": KEY,
        "seq": 12,
    }], answer=own_keys,
)  # fmt: skip
KEEP_KEY = Operation(
    "keep_key", SESSION, "POST", "/v1/me/keys/kept", "Let the service keep a key",
    "a signing key that the service keeps, sealed, and signs with in one's own sessions by password alone; one's first is "
    "registered at once, else one's own key has still to sign its `key.registered` (`seq` is 0)", "The key",
    {"recovery": False}, _KEPT,
)  # fmt: skip
ROTATE_KEY = Operation(
    "rotate_key", SESSION, "POST", "/v1/me/keys/kept/rotation", "Rotate the kept key",
    "another kept key in place of the one before, which is revoked and destroyed; by a code or a recovery code", "The key",
    {"code": _CODE}, _KEPT,
)  # fmt: skip
REPLACE_KEY = Operation(
    "replace_key", SESSION, "POST", "/v1/me/keys/kept/replacement", "Replace the kept key by one's own",
    "a key of one's own in place of the kept one, which is revoked and destroyed; by a code or a recovery code", "The entry",
    {"code": _CODE, "proof": SIGNATURE, "public_key": HASH}, {"seq": 12},
)  # fmt: skip
REVOKE_KEPT = Operation(
    "revoke_kept", SESSION, "DELETE", "/v1/me/keys/kept", "Revoke the kept key",
    "revoke it with nothing in its place, and destroy it; by a code or a recovery code", "The entry",
    {"code": _CODE}, {"seq": 12},
)  # fmt: skip
OWN_PASSKEYS = Query(
    "passkeys", SESSION, "GET", "/v1/me/passkeys", "One's own passkeys",
    "one's own passkeys: since when, when used last, and when its counter went back", "The passkeys",
    gives=[{"created": TIME, "passkey": PASSKEY, "regressed": "", "used": TIME}], answer=passkeys_of,
)  # fmt: skip
PASSKEY_OPTIONS = Operation(
    "passkey_options", SESSION, "POST", "/v1/me/passkeys/challenge", "Begin a passkey",
    "what a browser's `navigator.credentials.create` takes; in a session by two factors, or by key", "The options",
    gives={"challenge": "A" * 43, "rp": {"id": "hospital.example", "name": ORIGIN}},
)  # fmt: skip
ADD_PASSKEY = Operation(
    "add_passkey", SESSION, "POST", "/v1/me/passkeys", "Register a passkey",
    "keep the passkey that a browser made, with user verification, by a code or a recovery code, or in a session by key; all "
    "other sessions by password end", "The passkey", {"code": _CODE, "credential": {"id": "…"}},
    {"created": TIME, "passkey": PASSKEY, "regressed": "", "used": TIME},
)  # fmt: skip
REMOVE_PASSKEY = Operation(
    "remove_passkey", SESSION, "DELETE", "/v1/me/passkeys/{passkey}", "Remove a passkey",
    "remove one of one's own; after a step-up, or in a session by key; all other sessions by password end", "Removed",
    kind="", status=204,
)  # fmt: skip
PASSKEY_CHALLENGE = Operation(
    "passkey_challenge", OPEN, "POST", "/v1/sessions/passkey", "A challenge for a passkey",
    "what a browser's `navigator.credentials.get` takes; valid once, for 5 minutes", "The options",
    gives={"challenge": "A" * 43, "rpId": "hospital.example", "userVerification": "required"},
)  # fmt: skip
OWN_SESSIONS = Query(
    "sessions", SESSION, "GET", "/v1/me/sessions", "One's own sessions", "one's own sessions by password",
    "The sessions",
    gives=[{
        "assurance": 2, "created": TIME, "current": True, "hospital": HOSPITAL, "means": "password_code",
        "role": "doctor", "session": SESSION_ID, "used": TIME,
    }],
    answer=sessions_of,
)  # fmt: skip
SESSION_END = Operation(
    "end_session", SESSION, "DELETE", "/v1/me/sessions/{session}", "End one's own session",
    "end one of one's own sessions by password", "Ended", kind="", status=204,
)  # fmt: skip
SIGN_INS = Query(
    "sign_ins", SESSION, "GET", "/v1/me/sign-ins", "One's own sign-ins",
    "the newest 200 entries of one's account that are about sessions, lock-outs and factors", "The entries",
    gives=[{"body": {"account": ACCOUNT, "factor": "code"}, "seq": 12, "time": TIME, "type": "factor.added"}],
    answer=sign_ins_of,
)  # fmt: skip
ME = Query(
    "me", SESSION, "GET", "/v1/me", "Who is signed in", "account, role, hospital, and the charts whose patient one is",
    "The caller", gives={"account": ACCOUNT, "hospital": "", "patients": [PATIENT], "role": "patient"},
    answer=me,
)  # fmt: skip
_CONTACT = {
    "address": "ada.lind@example.com", "language": "en", "pending": "", "pending_until": "", "proved": TIME,
}  # fmt: skip
CONTACT = Query(
    "contact", SESSION, "GET", "/v1/me/contact", "How one is reached",
    "one's own e-mail address and language, and the address that waits to be proved", "What is kept", gives=_CONTACT,
    answer=contact_of,
)  # fmt: skip
GIVE_CONTACT = Operation(
    "give_contact", SESSION, "PUT", "/v1/me/contact", "Give an address",
    "give an e-mail address (a code goes there), or another language for the one that is proved", "What is kept",
    {"address": "ada.lind@example.com", "language": "en"},
    {"address": "", "language": "", "pending": "ada.lind@example.com", "pending_until": TIME, "proved": ""},
)  # fmt: skip
REMOVE_CONTACT = Operation(
    "remove_contact", SESSION, "DELETE", "/v1/me/contact", "Remove the address", "remove one's e-mail address", "Removed",
    kind="", status=204,
)  # fmt: skip
PROVE_CONTACT = Operation(
    "prove_contact", OPEN, "POST", "/v1/contact/proofs", "Prove an address",
    "prove an address by the code that went there; 404 for any other", "Proved",
    {"code": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, kind="", status=204,
)  # fmt: skip
ASK_RESET = Operation(
    "ask_reset", OPEN, "POST", "/v1/password-resets", "Ask to replace a forgotten password",
    "a link by mail to the proved address of an account, which is named by its id or that address; the same answer for every "
    "name", "Taken", {"account": "ada.lind@example.com"}, kind="", status=204,
)  # fmt: skip
RESET_PASSWORD = Operation(
    "reset_password", OPEN, "POST", "/v1/password-resets/completion", "Replace a forgotten password",
    "set another password by the link and a code or a recovery code, once, within ten minutes; all sessions by password end",
    "Replaced", {"code": _CODE, "link": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "new": _PASSWORD}, kind="", status=204,
)  # fmt: skip
BEGIN_SETUP = Operation(
    "begin_setup", OPEN, "POST", "/v1/setup-links", "Begin the operator's first sign-in",
    "whose the link is that was printed when the ledger was made, and the seed of one-time codes, which don't count yet", "The seed",
    {"link": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, {"account": ACCOUNT, "seed": "A" * 32, "uri": f"otpauth://totp/…?secret={'A' * 32}"},
)  # fmt: skip
COMPLETE_SETUP = Operation(
    "complete_setup", OPEN, "POST", "/v1/setup-links/completion", "Set the operator's password and codes",
    "set the first password, and let the codes count, by the link and a code of that seed: once, within a day; ten recovery codes, "
    "this once", "The recovery codes", {"code": _CODE, "link": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "new": _PASSWORD},
    {"account": ACCOUNT, "recovery": ["0123-4567-89ab-cdef"]},
)  # fmt: skip
REGISTER = Operation(
    "register", OPEN, "POST", "/v1/accounts", "Register alone",
    "an account of one's own with its first key, of which the private half stays with whoever registers, or with a password; "
    "a few an hour from one address", "The account, and the receipt of its key's entry",
    {"account": ACCOUNT, "name": "Dr. Ada Nord", "proof": SIGNATURE, "public_key": HASH},
    {"account": ACCOUNT, "key": KEY, "receipt": RECEIPT_TEXT, "seq": 12},
)  # fmt: skip
OPEN_RECOVERY = Operation(
    "open_recovery", SESSION, "POST", "/v1/accounts/{account}/recoveries", "Recover an account",
    "put in a new key for whoever lost theirs and was identified, as the operator, for an account that the service registered; "
    "it counts 24 hours later, and the account is told at once", "The key and its entry",
    {"proof": SIGNATURE, "public_key": HASH}, {"account": ACCOUNT, "key": KEY, "seq": 12},
)  # fmt: skip
REVOKE_RECOVERY = Operation(
    "revoke_recovery", OPEN, "POST", "/v1/recovery-revocations", "Revoke a recovery",
    "revoke a recovery that waits, once, by the account's password, or else a code or a recovery code; counted as a try to sign in",
    "The entry", {"account": ACCOUNT, "password": _PASSWORD}, {"seq": 12},
)  # fmt: skip
_STANDS_AS_DOCTOR = {
    "account": ACCOUNT, "end": "", "groups": [GROUP], "hospital": HOSPITAL, "name": "Dr. Ada Nord",
    "profession": "physician", "reason": "", "seq": 14, "state": "pending", "application": EVENT_ID,
}  # fmt: skip
_STANDS_AS_HOSPITAL = {
    "applicant": ACCOUNT, "contact": "Ada Nord, +49 30 1234", "hospital": HOSPITAL, "name": "Nordklinik", "reason": "",
    "seq": 13, "state": "pending", "time_zone": "Europe/Berlin", "system": ACCOUNT, "key": KEY, "public_key": HASH,
    "proof": SIGNATURE,
}  # fmt: skip
APPLICATIONS = Query(
    "applications", SESSION, "GET", "/v1/me/applications", "One's own applications",
    "one's own applications, each with its state and reason, and where one is a doctor", "The applications",
    gives={"doctor": [_STANDS_AS_DOCTOR | {"name": "Nordklinik"}], "hospitals": [_STANDS_AS_HOSPITAL | {"contact": ""}]},
    answer=own_applications,
)  # fmt: skip
HOSPITALS_LISTED = Query(
    "hospitals", SESSION, "GET", "/v1/hospitals", "Hospitals by state",
    "hospitals with `?state=` `pending`, `approved`, `declined` or `suspended` (or all), and who applied, a page after "
    "`?after=`; for the operator",
    "The hospitals", gives={"hospitals": [_STANDS_AS_HOSPITAL], "next": 0},
    answer=hospitals_in, asks=("state", "after"),
)  # fmt: skip
HOSPITAL_APPLICATION = Query(
    "hospital_application", SESSION, "GET", "/v1/hospitals/{hospital}/application", "Who applied for a hospital",
    "how a hospital stands, and who applied for it; for the operator", "The hospital", gives=_STANDS_AS_HOSPITAL,
    answer=hospital_application,
)  # fmt: skip
DOCTORS_LISTED = Query(
    "doctors", SESSION, "GET", "/v1/hospitals/{hospital}/doctors", "A hospital's doctors by state",
    "doctors and applicants with `?state=` `pending`, `approved`, `declined`, `suspended` or `ended` (or all), a page after "
    "`?after=`; for the hospital's admins", "The doctors", gives={"doctors": [_STANDS_AS_DOCTOR], "next": 0},
    answer=doctors_of, asks=("state", "after"),
)  # fmt: skip
DOCTOR_SHOWN = Query(
    "doctor", SESSION, "GET", "/v1/hospitals/{hospital}/doctors/{account}", "How a doctor stands",
    "how one account stands at a hospital as a doctor or applicant; for the hospital's admins", "The doctor",
    gives=_STANDS_AS_DOCTOR,
    answer=doctor_of,
)  # fmt: skip
HOSPITAL_SHOWN = Query(
    "hospital", SESSION, "GET", "/v1/hospitals/{hospital}", "A hospital's people",
    "a hospital's name, time zone, active doctors and groups", "The hospital",
    gives={
        "active": True, "doctors": {ACCOUNT: "Dr. Ada Nord"}, "hospital": HOSPITAL, "name": "Nordklinik",
        "time_zone": "Europe/Berlin",
        "groups": [{"accounts": [ACCOUNT], "group": GROUP, "name": "Radiology", "seq": 9}],
    },
    answer=directory,
)  # fmt: skip
GROUP_SHOWN = Query(
    "group", SESSION, "GET", "/v1/groups/{group}", "Whose group it is", "the hospital whose group it is", "Whose it is",
    gives={"group": GROUP, "hospital": HOSPITAL},
    answer=owner_of,
)  # fmt: skip
HOLDER = Query(
    "holder", SESSION, "GET", "/v1/accounts/{account}", "An account's roles",
    "an account's roles at hospitals, and its name there; that it is a patient, only for itself and the hospital that "
    "registered it", "The account",
    gives={
        "account": ACCOUNT, "name": "Dr. Ada Nord",
        "roles": [{"active": True, "hospital": HOSPITAL, "role": "doctor"}],
    },
    answer=holder_of,
)  # fmt: skip
SUBJECTS = Operation(
    "reserve", SESSION, "POST", "/v1/subjects", "Reserve ids",
    "reserve ids of patients, accounts, groups, hospitals; seal texts for their first event", "The sealed fields",
    {"subjects": [{"id": PATIENT, "event": EVENT_ID, "texts": {"name": "Ada Lind"}, "identifier": "urn:nord|4711"}]},
    {"subjects": [{"id": PATIENT, "known": False, "sealed": {"name": "AAAA…"}}]},
)  # fmt: skip
OFFER = Operation(
    "offer", "signed `claim.offered`", "POST", "/v1/patients/{patient}/claims", "Offer a claim code",
    "offer the code by which a patient claims the chart; the birth date, if none is known, beside it", _STOOD,
    _signed("claim.offered", {"claim": HASH, "patient": PATIENT, "purpose": "TREAT"}, "hospital_admin") | {"born": BORN},
    _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
CLAIM = Operation(
    "claim", "signed `patient.claimed`", "POST", "/v1/claims", "Claim a chart",
    "claim a chart by the letter's code and the birth date", _STOOD,
    _signed(
        "patient.claimed", {"account": ACCOUNT, "patient": PATIENT, "proof": SIGNATURE, "purpose": "PATRQT"}, "person"
    ) | {"born": BORN},
    _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
_PROFILE = {
    "languages": ["de", "en"], "places": [{"hours": "Mon, Wed 9–12", "name": "Ward 3, Nordklinik"}], "specialty": "Cardiology",
}  # fmt: skip
_PROFILE_SHOWN = _PROFILE | {
    "account": ACCOUNT,
    "author": ACCOUNT,
    "changed": TIME,
    "name": "Dr. Ada Nord",
}
OWN_PROFILE = Query(
    "own_profile", SESSION, "GET", "/v1/me/profile", "One's own profile",
    "what one is shown with as a doctor: specialty, languages, places with their hours", "The profile", gives=_PROFILE_SHOWN,
    answer=own_profile,
)  # fmt: skip
SET_OWN_PROFILE = Operation(
    "set_own_profile", SESSION, "PUT", "/v1/me/profile", "Write one's own profile",
    "write it, whole, as an active doctor; an empty one takes it away", "The profile", _PROFILE, _PROFILE_SHOWN,
)  # fmt: skip
PROFILE_SHOWN = Query(
    "profile", SESSION, "GET", "/v1/accounts/{account}/profile", "A doctor's profile",
    "the profile of whoever is an active doctor of a hospital; for anybody signed in", "The profile", gives=_PROFILE_SHOWN,
    answer=profile_of,
)  # fmt: skip
SET_PROFILE = Operation(
    "set_profile", SESSION, "PUT", "/v1/accounts/{account}/profile", "Write a doctor's profile",
    "write it, whole, as an admin of a hospital where the account is an active doctor; an empty one takes it away", "The profile",
    _PROFILE, _PROFILE_SHOWN,
)  # fmt: skip
_INVITED = {"code": HASH, "profession": "physician", "until": "2026-12-20T07:24:00.123Z"}
INVITE = Operation(
    "invite", "signed `doctor.invited`", "POST", "/v1/hospitals/{hospital}/invitations", "Invite a doctor",
    "invite somebody to be a doctor of the hospital; `mail` beside it: the address to which the code goes, and the language. "
    "Without it the code is handed out", _STOOD,
    _signed("doctor.invited", _INVITED, "hospital_admin", f"hospital/{HOSPITAL}")
    | {"mail": {"address": "ada.lind@example.com", "language": "en"}},
    _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
MAILED_CODE = Query(
    "mailed_code", SESSION, "GET", "/v1/hospitals/{hospital}/invitations/{invitation}/code", "The code of a mailed invitation",
    "the public key that an invitation with this id must carry to be mailed; for the hospital's admins", "The public key",
    gives={"code": HASH}, answer=mailed_code,
)  # fmt: skip
INVITATIONS_LISTED = Query(
    "invitations", SESSION, "GET", "/v1/hospitals/{hospital}/invitations", "A hospital's invitations by state",
    "doctors invited with `?standing=` `open`, `joined`, `withdrawn`, `expired` or `void` (whoever invited is an admin no more; or "
    "all), a page after `?after=`; for the hospital's admins", "The invitations",
    gives={"invitations": [{
        "account": "", "end": "", "group": GROUP, "invitation": EVENT_ID, "inviter": ACCOUNT, "name": "",
        "profession": "physician", "seq": 14, "state": "open", "until": "2026-12-20T07:24:00.123Z",
    }], "next": 0},
    answer=invitations_of, asks=("standing", "after"),
)  # fmt: skip
TAKE_UP = Operation(
    "take_up", "signed `doctor.joined`", "POST", "/v1/invitations", "Take an invitation up",
    "be a doctor of the hospital that invited, by the invitation's code; tries that fail have to wait", _STOOD,
    _signed(
        "doctor.joined", {"account": ACCOUNT, "invitation": EVENT_ID, "proof": SIGNATURE}, "person", f"hospital/{HOSPITAL}"
    ),
    _STANDS, limit=APPENDED_BYTES,
)  # fmt: skip
OWN_CHART = Operation(
    "own_chart", SESSION, "POST", "/v1/patients", "Register alone",
    "a chart of one's own, for a person whose account registered itself", "The chart",
    {"born": BORN, "name": "Ada Lind"}, {"patient": PATIENT, "seq": 12},
)  # fmt: skip
INTAKE = Query(
    "intake", SESSION, "GET", "/v1/intake", "Intake forms",
    "what hospitals ask for at registration, and findings that are typed: each form's fields, and the FHIR resource that it becomes", "The forms",
    gives=[{
        "category": "billing", "fields": [{"codes": [], "kind": "line", "name": "insurer", "needed": True, "what": "who insures"}],
        "name": "insurance", "resource": "Coverage", "what": "who pays",
    }],
    answer=intake_forms,
)  # fmt: skip
INTAKE_FILLED = Operation(
    "intake_filled", SESSION, "POST", "/v1/intake/{form}", "Fill an intake form",
    "a filled form as a FHIR resource, to be uploaded like any record; the server keeps nothing of it", "The resource",
    {"patient": PATIENT, "values": {"insurer": "Example Mutual", "number": "A123456789"}},
    {"beneficiary": {}, "payor": [{"display": "Example Mutual"}], "resourceType": "Coverage", "status": "active",
     "subscriberId": "A123456789"},
)  # fmt: skip
SEAL = Operation(
    "seal", SESSION, "POST", "/v1/patients/{patient}/seal", "Seal texts", "seal texts and labels for an event on a chart",
    "Sealed fields and label codes",
    {"object": RECORD, "event": EVENT_ID, "texts": {"title": "Blood count"}, "labels": ["HIV"]},
    {"labels": ["l_0000000000000000000000000000"], "minor_private": False, "sealed": {"title": "AAAA…"}},
)  # fmt: skip
STAGE = Operation(
    "stage", SESSION, "POST", "/v1/patients/{patient}/blobs", "Stage a blob", "stage content", "What the event must say",
    "…", {"blob": BLOB_ID, "record": RECORD, "sha256": HASH, "size": 1}, takes=BYTES,
)  # fmt: skip
NUMBER = Query(
    "number", SESSION, "GET", "/v1/patients/{patient}/number", "The number one is found by",
    "since when a number is stated for a chart of one's own; not the number, of which nothing but a keyed hash is kept",
    "What is kept", gives={"stated": TIME}, answer=number_of,
)  # fmt: skip
STATE_NUMBER = Operation(
    "state_number", SESSION, "PUT", "/v1/patients/{patient}/number", "State a number",
    "state a mobile number by which those who may find one's own chart, in place of the one before", "What is kept",
    {"number": "+49 170 1234567"}, {"stated": TIME},
)  # fmt: skip
REMOVE_NUMBER = Operation(
    "remove_number", SESSION, "DELETE", "/v1/patients/{patient}/number", "Remove the number",
    "let no number find one's own chart", "Removed", kind="", status=204,
)  # fmt: skip
LOOKUP = Operation(
    "lookup", SESSION, "POST", "/v1/patients/lookup", "Find patients",
    "a hospital's patients by its own identifiers, and their accounts; by a number that a patient stated (`tel:+49…`) whom one "
    "may find", "Those that are found",
    {"identifiers": ["urn:nord|4711"]},
    {"accounts": {"urn:nord|4711": ACCOUNT}, "patients": {"urn:nord|4711": PATIENT}},
)  # fmt: skip
ADDRESS = Query(
    "address", SESSION, "GET", "/v1/records/{record}", "What a reading must name", "what a reading must name",
    "What a reading names", gives={"blobs": [BLOB_ID], "patient": PATIENT},
    answer=address_of,
)  # fmt: skip
CONSENTS = Query(
    "consents", SESSION, "GET", "/v1/patients/{patient}/grants", "Grants and exclusions",
    "grants and exclusions on a chart of one's own", "Grants and exclusions", 
    gives={"emergency": {"ceiling": "normal", "patient": PATIENT, "seq": 12}, "exclusions": [], "grants": []},
    answer=consents,
)  # fmt: skip
EMERGENCIES_LISTED = Query(
    "emergencies", SESSION, "GET", "/v1/hospitals/{hospital}/emergencies", "A hospital's emergencies",
    "emergencies that its doctors declared, with `?review=` `unreviewed`, `overdue` or `reviewed` (or all), a page after "
    "`?after=`; for the hospital's admins", "The emergencies",
    gives={"emergencies": [{
        "doctor": ACCOUNT, "due": TIME, "emergency": EVENT_ID, "end": TIME, "finding": "", "name": "Ada Nord",
        "patient": PATIENT, "readings": 2, "reason": "life_at_risk", "reviewed": 0, "seq": 12, "start": TIME,
        "state": "unreviewed",
    }], "next": 0},
    answer=emergencies_of, asks=("review", "after"),
)  # fmt: skip
_RELATION = {
    "account": ACCOUNT, "actions": ["list", "read"], "active": True, "confirmed": 0, "end": 1793000000000, "exceptions": [],
    "hospital": "", "kind": "relative", "labels": [], "objected": 0, "patient": PATIENT, "records": [], "scope": "full",
    "sensitive": False, "seq": 12, "start": 1792000000000, "what": [],
}  # fmt: skip
ACTING = Query(
    "acting", SESSION, "GET", "/v1/me/acting", "For whom one acts",
    "the patients who linked one as a relative or whose guardian one is, and the colleagues for whom one acts",
    "Patients and colleagues",
    gives={
        "patients": [{"counts": True, "patient": PATIENT, "principal": ACCOUNT, "relation": _RELATION}],
        "colleagues": [{
            "account": ACCOUNT, "actions": ["list", "read"], "active": True, "end": 1793000000000, "giver": ACCOUNT,
            "hospital": HOSPITAL, "seq": 13, "start": 1792000000000,
        }],
    },
    answer=acting_for,
)  # fmt: skip
REPRESENTATIVES = Query(
    "representatives", SESSION, "GET", "/v1/patients/{patient}/representatives", "Who acts for a patient",
    "relatives, guardians and open invitations of a chart of one's own", "Relatives, guardians, invitations",
    gives={
        "relations": [_RELATION],
        "invitations": [{"actions": ["list"], "invitation": EVENT_ID, "scope": "full", "seq": 11, "until": 1793000000000}],
    },
    answer=representatives,
)  # fmt: skip
LINKS = Query(
    "links", SESSION, "GET", "/v1/patients/{patient}/links", "Linked charts",
    "with which charts of the same person one's own is linked, by which hospital, and which of the two patients signed", "Linked charts",
    gives={"links": [{
        "holds": True, "hospital": HOSPITAL, "other": PATIENT, "seq": 12, "signed": 14, "theirs": 0, "told": 12,
    }]}, answer=links_of,
)  # fmt: skip
HOLDS = Query(
    "holds", SESSION, "GET", "/v1/patients/{patient}/holds", "Holds",
    "what is held on a chart of one's own, by which hospital and until when; to a hospital's people what it holds itself", "Holds",
    gives={"holds": [{
        "against": ACCOUNT, "end": 1764171840123, "hold": EVENT_ID, "hospital": HOSPITAL, "kind": "harm", "lifted": 0,
        "of_patient": True, "patient": PATIENT, "reason": "therapeutic", "record": RECORD, "seq": 12,
    }]}, answer=holds_of,
)  # fmt: skip
ERASURES = Query(
    "erasures", SESSION, "GET", "/v1/patients/{patient}/erasures", "Erasures",
    "what was asked to be erased of a chart of one's own, until when it can be withdrawn, and what became of it", "Erasures",
    gives={"erasures": [{
        "due": 1764171840123, "erasure": EVENT_ID, "locked": 0, "locked_until": 0, "patient": PATIENT, "record": RECORD,
        "seq": 12, "state": "requested", "state_seq": 12, "was": "live", "was_seq": 7,
    }]}, answer=erasures_of,
)  # fmt: skip
_REQUEST = {
    "name": "Dr. Ada Nord", "state": "open",
    "request": {
        "actions": ["list", "read"], "addressee": "", "answered": 0, "asker": ACCOUNT, "days": 30, "forwarded": 0, "grant": "",
        "hospital": HOSPITAL, "patient": PATIENT, "purpose": "TREAT", "records": [], "request": EVENT_ID, "role": "doctor",
        "scope": "full", "sensitive": False, "seq": 12, "until": 1764171840123, "verdict": "", "what": [],
    },
}  # fmt: skip
OWN_REQUESTS = Query(
    "own_requests", SESSION, "GET", "/v1/me/requests", "What one asked for",
    "one's own requests for access, in the role of the session: those that wait, then the newest 200", "The requests",
    gives={"requests": [_REQUEST]}, answer=own_requests,
)  # fmt: skip
REQUESTS = Query(
    "requests", SESSION, "GET", "/v1/patients/{patient}/requests", "Who asks for access",
    "requests for access to a chart of one's own, or of somebody for whom one may grant", "The requests",
    gives={"requests": [_REQUEST]}, answer=requests_of,
)  # fmt: skip
REQUESTS_TO = Query(
    "requests_to", SESSION, "GET", "/v1/hospitals/{hospital}/requests", "What a hospital is asked for",
    "requests for records that the hospital wrote; for its admins", "The requests",
    gives={"requests": [_REQUEST]}, answer=requests_to,
)  # fmt: skip
INQUIRE = Operation(
    "inquire", SESSION, "POST", "/v1/inquiries", "Ask by a number or a health card",
    "ask whoever stated a number, or holds a health card (`pt_…`), for access, as a doctor, a hospital's admin or a relative; one "
    "answer whether or not there is such a person", "Taken",
    {"categories": ["laboratory"], "days": 30, "to": "+49 170 1234567", "words": "Dr. Nord, Nordklinik: your rehabilitation"},
    {"until": TIME}, status=202,
)  # fmt: skip
INQUIRIES = Query(
    "inquiries", SESSION, "GET", "/v1/patients/{patient}/inquiries", "Who asks by number or health card",
    "inquiries that reach a chart of one's own, or of somebody for whom one may grant", "The inquiries",
    gives={"inquiries": [{
        "asker": ACCOUNT, "categories": ["laboratory"], "days": 30, "hospital": HOSPITAL, "inquiry": EVENT_ID,
        "name": "Dr. Ada Nord", "role": "doctor", "until": TIME, "words": "Dr. Nord, Nordklinik: your rehabilitation",
    }]}, answer=inquiries_of,
)  # fmt: skip
DISMISS_INQUIRY = Operation(
    "dismiss_inquiry", SESSION, "DELETE", "/v1/patients/{patient}/inquiries/{inquiry}", "Dismiss an inquiry",
    "be troubled with it no more; whoever asked isn't told", "Dismissed", kind="", status=204,
)  # fmt: skip
CONSULTATIONS = Query(
    "consultations", SESSION, "GET", "/v1/patients/{patient}/consultations", "Consultations",
    "consultations about a chart of one's own; to a hospital's people those that its doctors opened", "Consultations",
    gives={"consultations": [{
        "categories": ["laboratory"], "closed": 0, "confirmed": 13, "consultation": EVENT_ID, "doctor": ACCOUNT,
        "end": 1764171840123, "hospital": HOSPITAL, "patient": PATIENT, "seq": 12, "withdrawn": 0,
    }]}, answer=consultations_of,
)  # fmt: skip
_REFERRAL = {
    "count": 1,
    "referral": {
        "accepted": 14, "author": ACCOUNT, "declined": 0, "key": KEY, "lines": [f"{RECORD} 1 {BLOB_ID}"], "patient": PATIENT,
        "receiver": HOSPITAL, "referral": EVENT_ID, "sender": HOSPITAL, "seq": 12,
    },
    "root": HASH,
}  # fmt: skip
REFERRALS = Query(
    "referrals", SESSION, "GET", "/v1/patients/{patient}/referrals", "Referrals",
    "to whom one's own chart is referred, and what travels; to a hospital's people what it sent, and what it is sent", "Referrals",
    gives={"referrals": [_REFERRAL]}, answer=referrals_of,
)  # fmt: skip
REFERRALS_TO = Query(
    "referrals_to", SESSION, "GET", "/v1/hospitals/{hospital}/referrals", "What a hospital is sent",
    "referrals to the hospital, 100 at most: those that weren't declined first, the newest of them before others; for its people", "Referrals",
    gives={"referrals": [_REFERRAL]}, answer=referrals_to,
)  # fmt: skip
RECEIVING = Query(
    "receiving", SESSION, "GET", "/v1/hospitals/{hospital}/receiving-key", "The key to seal for",
    "the newest X-Wing key of a hospital's systems, to which what is referred to it is sealed; 404 where it has none", "The key",
    gives={"account": ACCOUNT, "hospital": HOSPITAL, "key": KEY, "public_key": HASH, "seq": 9}, answer=receiving_key,
)  # fmt: skip
DECISIONS = Operation(
    "why", SESSION, "POST", "/v1/decisions", "Explain a decision",
    "what the rules would say, why, and what would change it", "The decision and its reasons",
    {"action": "read", "actor": ACCOUNT, "hospital": HOSPITAL, "patient": PATIENT, "purpose": "TREAT", "record": RECORD,
     "role": "doctor"},
    {
        "as_of": 12, "basis": [7], "changes": ["the patient may grant it: read, for TREAT"], "effect": "deny",
        "obligations": ["record"], "policy": 0, "reason": "no_consent", "rule": "S12",
        "why": "the patient has given no consent that covers this",
    },
)  # fmt: skip
RECEIPT = Operation(
    "receipt", SESSION, "GET", "/v1/receipts/{seq}", "A receipt", "the receipt of an entry that concerns the caller",
    "The receipt", gives=RECEIPT_TEXT, kind=TEXT, limit=RECEIPT_BYTES,
)  # fmt: skip

OPERATIONS = (
    LOG, REGISTRY, CONSISTENCY, CHECKPOINT, COSIGNED, WITNESSES, HANDOVERS, TILE, ENTRIES, LOG_TOKEN, RELEASES, RELEASED, EVENTS, BUNDLES, CONTENT, RANGE, CHART, HISTORY, EMERGENCY_OPENED, EXPORT, PACKAGE,
    REGISTER, OPEN_RECOVERY, REVOKE_RECOVERY, APPLICATIONS, HOSPITALS_LISTED, HOSPITAL_APPLICATION, DOCTORS_LISTED, DOCTOR_SHOWN,
    CHALLENGE, SIGN_IN, SIGN_OUT, STEP_UP, STEP_UP_CHALLENGE, RENEW, OWN_ROLES, TAKE_ROLE, ME, OWN_FACTORS, PASSWORD, CODE, CODE_CONFIRMED, CODE_REMOVED,
    OWN_PASSKEYS, PASSKEY_OPTIONS, ADD_PASSKEY, REMOVE_PASSKEY, PASSKEY_CHALLENGE,
    OWN_KEYS, KEEP_KEY, ROTATE_KEY, REPLACE_KEY, REVOKE_KEPT,
    OWN_SESSIONS, SESSION_END, SIGN_INS, CONTACT, GIVE_CONTACT, REMOVE_CONTACT, PROVE_CONTACT, ASK_RESET, RESET_PASSWORD, BEGIN_SETUP, COMPLETE_SETUP,
    HOSPITAL_SHOWN, GROUP_SHOWN, HOLDER, OWN_PROFILE, SET_OWN_PROFILE, PROFILE_SHOWN, SET_PROFILE, SUBJECTS, OFFER, CLAIM, INVITE, MAILED_CODE, INVITATIONS_LISTED, TAKE_UP, OWN_CHART, INTAKE, INTAKE_FILLED, SEAL, STAGE, LOOKUP, NUMBER, STATE_NUMBER, REMOVE_NUMBER, ADDRESS, CONSENTS, EMERGENCIES_LISTED, ACTING, REPRESENTATIVES, LINKS,
    HOLDS, ERASURES, OWN_REQUESTS, REQUESTS, REQUESTS_TO, INQUIRE, INQUIRIES, DISMISS_INQUIRY, CONSULTATIONS, REFERRALS, REFERRALS_TO, RECEIVING,
    DECISIONS, RECEIPT,
)  # fmt: skip
"""All of them, in the order of the guide."""
QUERIES: tuple[Query[Any], ...] = tuple(one for one in OPERATIONS if isinstance(one, Query))
