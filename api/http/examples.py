"""What the OpenAPI document says of bodies and answers, with an example for every operation."""

from typing import Any

from crypto.ids import ID_PATTERN
from ledger.event import BUNDLE_LIMIT
from ledger.registry import HOSPITAL_ROLES, ROLES, TYPES
from ledger.schema import TIME as TIME_TEXT
from ledger.schema import base64_of

ACCOUNT = "ac_01jd3q8m5c0000000000000001"
BLOB_ID = "bl_01jd3q8m5c0000000000000002"
EVENT_ID = "ev_01jd3q8m5c0000000000000003"
HOSPITAL = "hs_01jd3q8m5c0000000000000004"
GROUP = "gp_01jd3q8m5c0000000000000006"
KEY = "k_2v4c9m1h6s3t8w5x7y0z1a2b3c"
PATIENT = "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r"
RECORD = "rc_01jd3q8m5c0000000000000005"
HASH = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
SIGNATURE = "A" * 86 + "=="
TIME = "2026-11-20T07:24:00.123Z"
NOTE = f"hospital.example/log\n12\n{HASH}\n\n— hospital.example/log AAAA…\n"
PROBLEM = {
    "detail": "got the role doctor, expected one of patient",
    "status": 403,
    "title": "The actor does not hold the role, or the type does not take it.",
    "type": "urn:heartwood:problem:role",
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "detail": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "type": {"type": "string", "pattern": "^urn:heartwood:problem:[a-z_]+$"},
    },
}
_OBJECT = {"type": "object"}
Extra = dict[str, Any]
Answers = dict[int | str, dict[str, Any]]


def takes(example: Any, schema: Extra | None = None, kind: str = "application/json") -> Extra:
    """A request body by its example."""
    content = {kind: {"schema": schema or _schema(example), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def gives(
    description: str,
    example: Any,
    kind: str = "application/json",
    status: int = 200,
    schema: Extra | None = None,
) -> Answers:
    """A good answer by its example; every other one is a problem document."""
    good: dict[str, Any] = {"description": description}
    if kind:
        good["content"] = {kind: {"schema": schema or _schema(example), "example": example}}
    problem = {"schema": _PROBLEM_SCHEMA, "example": PROBLEM}
    bad = {"description": "A problem (RFC 9457)", "content": {"application/problem+json": problem}}
    return {status: good, "default": bad}


def _schema(example: Any) -> Extra:
    """The form that an example shows: its members, and none other."""
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int):
        return {"type": "integer"}
    if isinstance(example, str):
        return {"type": "string"}
    if isinstance(example, list):
        return {"type": "array", "items": _schema(example[0])} if example else {"type": "array"}
    names = {name: _schema(value) for name, value in example.items()}
    return {"type": "object", "properties": names, "required": sorted(names)}


def event(kind: str, stream: str, body: Extra, role: str = "doctor") -> Extra:
    """An event as an example."""
    acting = {"role": role} | ({"hospital": HOSPITAL} if role == "doctor" else {})
    return {
        "actor": ACCOUNT, "as": acting, "at": TIME, "body": body, "id": EVENT_ID, "stream": stream,
        "type": kind, "v": 1,
    }  # fmt: skip


def _signed(kind: str, stream: str, body: Extra, role: str = "doctor") -> Extra:
    return {"event": event(kind, stream, body, role), "sig": {"key": KEY, "value": SIGNATURE}}


def _text(pattern: str) -> Extra:
    """A string that matches `pattern` whole."""
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _object(optional: Extra | None = None, **required: Extra) -> Extra:
    """An object of these members and no others."""
    return {
        "type": "object", "required": sorted(required), "additionalProperties": False,
        "properties": required | (optional or {}),
    }  # fmt: skip


_KEY_TEXT, _VERSION = _text(f"k_{ID_PATTERN}"), {"type": "integer", "minimum": 1}
_SIG = _object(key=_KEY_TEXT, value=_text(base64_of(64).pattern))
_AS = {"oneOf": [
    _object(role={"enum": sorted(HOSPITAL_ROLES)}, hospital=_text(f"hs_{ID_PATTERN}")),
    _object(role={"enum": sorted(set(ROLES) - HOSPITAL_ROLES)}),
]}  # fmt: skip
_STREAMS = f"ledger|patient/pt_{ID_PATTERN}|hospital/hs_{ID_PATTERN}|account/ac_{ID_PATTERN}"
_EVENT = _object(
    {"on_behalf_of": _text(f"ac_{ID_PATTERN}")},
    **{
        "actor": _text(f"ac_{ID_PATTERN}"), "as": _AS, "at": _text(TIME_TEXT.pattern), "body": _OBJECT,
        "id": _text(f"ev_{ID_PATTERN}"), "stream": _text(_STREAMS),
        "type": {"enum": sorted({kind.name for kind in TYPES})},
        "v": _VERSION | {"maximum": max(kind.v for kind in TYPES)},
    },
)  # fmt: skip
"""An event but for its body, which the registry describes by type and version."""
_EXPECT = _object(stream_seq={"type": "integer", "minimum": 0})
_SIGNED = _object({"expect": _EXPECT}, event=_EVENT, sig=_SIG)
_CHART = f"patient/{PATIENT}"
_EXCLUDED = _signed("reader.excluded", _CHART, {"purpose": "PATRQT", "reader": HOSPITAL}, "patient")
_OPENED = {"blob": BLOB_ID, "purpose": "TREAT", "record": RECORD, "version": 1}

EVENTS = takes(
    _EXCLUDED,
    {
        "oneOf": [
            _SIGNED,
            {"type": "array", "items": _SIGNED, "minItems": 1, "maxItems": BUNDLE_LIMIT},
        ]
    },
)
BUNDLE = takes(
    {"events": [_EXCLUDED["event"]], "sig": _EXCLUDED["sig"]},
    _object(
        events={"type": "array", "items": _EVENT, "minItems": 1, "maxItems": BUNDLE_LIMIT}, sig=_SIG
    ),
)  # fmt: skip
STOOD = gives(
    "Each event by its index: where it stands, or its problem",
    {"appended": 1, "checkpoint": NOTE, "consistency": [HASH],
     "entries": [{"entry": "{…}", "index": 0, "path": [HASH], "seq": 12, "time": TIME}]},
    schema={
        "type": "object", "required": ["appended", "entries"],
        "properties": {"appended": {"type": "integer"}, "checkpoint": {"type": "string"},
                       "consistency": {"type": "array", "items": {"type": "string"}},
                       "entries": {"type": "array", "items": _OBJECT}},
    },
)  # fmt: skip

READING = takes(_signed("record.opened", _CHART, _OPENED), _SIGNED)
CONTENT = gives("The content", "…", "application/octet-stream")
CONTENT[200]["content"] = {"*/*": {"schema": {}, "example": "…"}}
RANGED: Extra = {"security": [{"readToken": []}]}
TILED: Extra = {"security": [{}, {"logToken": []}]}
SIGNED_IN: Extra = {"security": [{"session": []}]}
RANGE = gives("The range", "…", "application/octet-stream", 206)
RANGE[206]["content"] = {"*/*": {"schema": {}, "example": "…"}}
CHART_OPENED = takes(_signed("chart.opened", _CHART, {"purpose": "TREAT"}), _SIGNED)
CHART = gives("The records that the reader may see",
              {"entry": "{…}", "more_in_emergency": True, "receipt": "c2sp.org/tlog-proof@v1\n…", "records": [{"record": RECORD, "category": "laboratory"}], "seq": 12})  # fmt: skip
HISTORY_OPENED = takes(_signed("history.opened", _CHART, {"purpose": "PATRQT"}, "patient"), _SIGNED)
HISTORY = gives("Every entry of the stream", {"entries": ["{…}"], "names": {HOSPITAL: "Nordklinik"}, "receipt": "c2sp.org/tlog-proof@v1\n…", "seq": 12},
                schema={"type": "object", "required": ["entries", "names", "seq"], "properties": {
                    "entries": {"type": "array", "items": {"type": "string"}}, "names": _OBJECT, "seq": {"type": "integer"}}})  # fmt: skip
EXPORTED = takes(
    _signed("chart.exported", _CHART, {"count": 1, "purpose": "PATRQT", "root": HASH}, "patient") | {"list": [[RECORD, 1]]},
    _object(event=_EVENT, sig=_SIG, list={"type": "array", "items": {
        "type": "array", "prefixItems": [_text(f"rc_{ID_PATTERN}"), _VERSION], "minItems": 2, "maxItems": 2,
    }}),
)  # fmt: skip
EXPORT = gives("A ZIP of the content", "PK…", "application/zip")

SUBJECTS = takes({"subjects": [{"id": PATIENT, "event": EVENT_ID, "texts": {"name": "Ada Lind"}, "identifier": "urn:nord|4711"}]},
                 {"$ref": "#/components/schemas/SubjectsSent"})  # fmt: skip
RESERVED = gives("The sealed fields", {"subjects": [{"id": PATIENT, "known": False, "sealed": {"name": "AAAA…"}}]},
                 schema={"type": "object", "required": ["subjects"], "properties": {"subjects": {"type": "array", "items": _OBJECT}}})  # fmt: skip
SEAL = takes({"object": RECORD, "event": EVENT_ID, "texts": {"title": "Blood count"}, "labels": ["HIV"]},
             {"$ref": "#/components/schemas/SealSent"})  # fmt: skip
SEALED = gives("Sealed fields and label codes", {"labels": ["l_0000000000000000000000000000"], "sealed": {"title": "AAAA…"}},
               schema={"type": "object", "required": ["labels", "sealed"], "properties": {"labels": {"type": "array"}, "sealed": _OBJECT}})  # fmt: skip
BLOB: Extra = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"},
                "example": "…",
            }
        },
    }
}
STAGED = gives(
    "What the event must say", {"blob": BLOB_ID, "record": RECORD, "sha256": HASH, "size": 1}
)

ME = gives(
    "The caller", {"account": ACCOUNT, "hospital": "", "patients": [PATIENT], "role": "patient"}
)
HOSPITAL_SHOWN = gives(
    "The hospital",
    {
        "active": True, "doctors": {ACCOUNT: "Dr. Ada Nord"}, "hospital": HOSPITAL, "name": "Nordklinik",
        "time_zone": "Europe/Berlin",
        "groups": [{"accounts": [ACCOUNT], "group": GROUP, "name": "Radiology", "seq": 9}],
    },
    schema=_OBJECT,
)  # fmt: skip
GROUP_SHOWN = gives("Whose it is", {"group": GROUP, "hospital": HOSPITAL})
HOLDER = gives(
    "The account",
    {
        "account": ACCOUNT, "name": "Dr. Ada Nord",
        "roles": [{"active": True, "hospital": HOSPITAL, "role": "doctor"}],
    },
    schema=_OBJECT,
)  # fmt: skip
ADDRESS = gives("What a reading names", {"blobs": [BLOB_ID], "patient": PATIENT})
GRANTS = gives("Grants and exclusions", {"exclusions": [], "grants": []})
LOOKUP = takes({"identifiers": ["urn:nord|4711"]}, {"$ref": "#/components/schemas/LookupSent"})
FOUND = gives("Those that are registered", {"accounts": {"urn:nord|4711": ACCOUNT}, "patients": {"urn:nord|4711": PATIENT}},
              schema={"type": "object", "required": ["accounts", "patients"], "properties": {"accounts": _OBJECT, "patients": _OBJECT}})  # fmt: skip
QUESTION = takes(
    {"action": "read", "actor": ACCOUNT, "hospital": HOSPITAL, "patient": PATIENT, "purpose": "TREAT", "record": RECORD, "role": "doctor"},
    {"$ref": "#/components/schemas/QuestionSent"},
)  # fmt: skip
ANSWER = gives("The decision and its reasons", {
    "as_of": 12, "basis": [7], "changes": ["the patient may grant it: read, for TREAT"], "effect": "deny",
    "obligations": ["record"], "policy": 0, "reason": "no_consent", "rule": "S12",
    "why": "the patient has given no consent that covers this",
})  # fmt: skip
RECEIPT = gives("The receipt", "c2sp.org/tlog-proof@v1\n…", "text/plain")
LOG = gives("The log", {
    "origin": "hospital.example/log", "registry": HASH, "size": 12, "time": TIME, "vkeys": ["hospital.example/log+…"],
    "policy": {"assurance": {"read": 2}, "custodian_reads": True, "grant_days_max": 365, "majority_years": 18, "seq": 0},
}, schema=_OBJECT)  # fmt: skip
REGISTRY = gives("The registry", {"format": "heartwood/registry/v1", "types": {}})
CONSISTENCY = gives("The proof", {"proof": [HASH]})
CHECKPOINT = gives("A signed note", NOTE, "text/plain")
TILE = gives("Hashes or entries", "…", "application/octet-stream")
LOG_OPENED = takes(
    {
        "event": event("log.opened", "ledger", {}, "auditor"),
        "sig": {"key": KEY, "value": SIGNATURE},
    },
    _SIGNED,
)
TOKEN = gives("The token", {"end": TIME, "seq": 12, "token": HASH})
CHALLENGE = gives("The challenge", {"challenge": HASH, "origin": "hospital.example/log"})
SIGN_IN = takes({"challenge": HASH, "hospital": HOSPITAL, "key": KEY, "role": "doctor", "value": SIGNATURE},
                {"$ref": "#/components/schemas/SignInSent"})  # fmt: skip
SESSION = gives("The session", {"account": ACCOUNT, "end": TIME, "token": HASH})
SIGNED_OUT = gives("Signed out", None, "", 204)
HEALTH = gives("It runs", {"status": "ok"})
READY = gives("It serves", {"status": "ok", "size": 12})
METRICS = gives("Prometheus text", "# HELP …", "text/plain")
