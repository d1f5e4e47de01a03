"""What the OpenAPI document says of bodies and answers: the examples of the operations, and their forms."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter

from client.operations import ACCOUNT, GROUP, HOSPITAL, PATIENT, RECORD, Operation
from crypto.ids import ID_PATTERN
from ledger.codes import HOSPITAL_ROLES, ROLES
from ledger.event import BUNDLE_LIMIT
from ledger.schema import DATE, base64_of
from ledger.schema import TIME as TIME_TEXT
from ledger.types import TYPES

__all__ = [
    "ACCOUNT",
    "GROUP",
    "HEALTH",
    "HOSPITAL",
    "METRICS",
    "PATIENT",
    "READY",
    "RECORD",
    "gives",
    "serves",
    "takes",
]

F = TypeVar("F", bound=Callable[..., Any])
PROBLEM = {
    "detail": "got the role doctor, expected one of patient",
    "status": 403,
    "title": "The actor does not hold the role, or this type of event does not allow it.",
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


def serves(router: APIRouter, operation: Operation) -> Callable[[F], F]:
    """The route of an operation: its path, and all that the OpenAPI document says of it."""
    body = _BODIES.get(operation.name)
    extra: Extra = {}
    if operation.sends is not None:
        extra = takes(operation.sends, body, operation.takes)
    if doors := _DOORS.get(operation.name):
        extra |= {"security": doors}
    answers = gives(
        operation.good,
        operation.gives,
        operation.kind,
        operation.status,
        _ANSWERS.get(operation.name),
    )
    return router.api_route(
        _PATHS.get(operation.name, operation.path), methods=[operation.method], summary=operation.summary,
        status_code=operation.status, openapi_extra=extra or None, responses=answers,
    )  # fmt: skip


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
        form = _schema(example) if schema is None else schema
        good["content"] = {kind: {"schema": form, "example": example}}
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
_SIGNED = _object({"expect": _EXPECT, "sig": _SIG}, event=_EVENT)
"""Without `sig` for the service to sign, in a session by password of somebody whose key it keeps."""

_PATHS = {"tile": "/tile/{path:path}"}
"""Paths whose names take slashes."""
_DOORS: dict[str, list[Extra]] = {
    "range": [{"readToken": []}],
    "released": [{"logToken": []}],
    "releases": [{"logToken": []}],
    "sign_out": [{"session": []}, {"cookie": []}],
    "tile": [{}, {"logToken": []}],
}
_BINARY = {"type": "string", "format": "binary"}


def _form(name: str) -> Extra:
    return {"$ref": f"#/components/schemas/{name}"}


def _some(*required: str, **properties: Extra) -> Extra:
    """An object that has these members at least."""
    return {"type": "object", "required": sorted(required or properties), "properties": properties}


_TEXTS = {"type": "array", "items": {"type": "string"}}
_LISTED = {"type": "array", "items": _OBJECT}
_MANY = {"minItems": 1, "maxItems": BUNDLE_LIMIT}
_BODIES: dict[str, Extra] = {
    **dict.fromkeys(("chart", "content", "emergency", "history", "log_token", "package"), _SIGNED),
    "claim": _object({"expect": _EXPECT, "sig": _SIG}, born=_text(DATE.pattern), event=_EVENT),
    "offer": _object({"born": _text(DATE.pattern), "expect": _EXPECT, "sig": _SIG}, event=_EVENT),
    "invite": _object({"expect": _EXPECT, "mail": _form("MailSent"), "sig": _SIG}, event=_EVENT),
    "take_up": _SIGNED,
    **dict.fromkeys(("set_own_profile", "set_profile"), _form("ProfileSent")),
    "own_chart": _form("OwnChartSent"),
    "bundles": _object(events={"type": "array", "items": _EVENT, **_MANY}, sig=_SIG),
    "events": {"oneOf": [_SIGNED, {"type": "array", "items": _SIGNED, **_MANY}]},
    "export": _object({"sig": _SIG}, event=_EVENT, list={"type": "array", "items": {
        "type": "array", "prefixItems": [_text(f"rc_{ID_PATTERN}"), _VERSION], "minItems": 2, "maxItems": 2,
    }}),
    "give_contact": _form("ContactSent"),
    "intake_filled": _form("FilledSent"),
    "lookup": _form("LookupSent"),
    "prove_contact": _form("AddressProofSent"),
    "ask_reset": _form("ResetAskedSent"),
    "reset_password": _form("ResetSent"),
    "keep_key": _form("KeepSent"),
    "rotate_key": _form("ShownSent"),
    "revoke_kept": _form("ShownSent"),
    "add_passkey": _form("PasskeySent"),
    "register": _form("RegisterSent"),
    "replace_key": _form("OwnKeySent"),
    "open_recovery": _form("RecoverySent"),
    "revoke_recovery": _form("RevocationSent"),
    "inquire": _form("InquirySent"),
    "state_number": _form("NumberSent"),
    "reserve": _form("SubjectsSent"),
    "confirm_code": _form("ConfirmSent"),
    "remove_code": _form("ProofSent"),
    "seal": _form("SealSent"),
    "set_password": _form("NewPasswordSent"),
    "step_up": {"oneOf": [_form("StepUpSent"), _form("PasskeyStepUpSent")]},
    "take_role": _form("RoleSent"),
    "begin_setup": _form("SetupSent"),
    "complete_setup": _form("SetupDoneSent"),
    "sign_in": {"oneOf": [_form("SignInSent"), _form("PasswordSent"), _form("PasskeySignInSent")]},
    "stage": _BINARY,
    "why": _form("QuestionSent"),
}  # fmt: skip
"""Forms of bodies that their example alone doesn't show."""
_APPENDED = _some(
    "appended", "entries", appended={"type": "integer"}, checkpoint={"type": "string"}, consistency=_TEXTS, entries=_LISTED
)  # fmt: skip
_ANSWERS: dict[str, Extra] = {
    **dict.fromkeys(("bundles", "claim", "events", "invite", "offer", "take_up"), _APPENDED),
    "content": {},
    **dict.fromkeys(("passkey_challenge", "passkey_options", "step_up_challenge"), _OBJECT),
    **dict.fromkeys(("holder", "hospital", "log"), _OBJECT),
    "history": _some(entries=_TEXTS, names=_OBJECT, receipt={"type": "string"}, restored=_TEXTS, seq={"type": "integer"}),
    "lookup": _some(accounts=_OBJECT, patients=_OBJECT),
    "range": {},
    "reserve": _some(subjects=_LISTED),
    "seal": _some(labels={"type": "array"}, sealed=_OBJECT),
    **dict.fromkeys(("renew", "sign_in", "step_up", "take_role"), _some("account", "end", **{
        name: {"type": "string"} for name in ("account", "csrf", "end", "session", "token")
    }, assurance={"type": "integer"})),
    "sign_ins": _LISTED,
}  # fmt: skip
"""Forms of answers that their example alone doesn't show."""

HEALTH = gives("It runs", {"status": "ok"})
READY = gives("It serves", {"status": "ok", "size": 12})
METRICS = gives("Prometheus text", "# HELP …", "text/plain")
