"""Sessions: a signed challenge, or a password and a code, gives a bearer token or a cookie for what isn't an event."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http import cookies
from api.http.bodies import Sent, json_body, received
from api.http.callers import TheCaller, TheLedger, session_token, unstored
from api.http.examples import serves
from api.http.proofs import address_of, proofs_of
from api.http.told import acting
from client import operations
from crypto.encoding import b64decode, b64encode
from crypto.ids import ID_PATTERN
from crypto.signing import SIGNATURE_BYTES
from identity.own import OwnRole
from identity.passkeys import sign_in_by_passkey, step_up_by_passkey, step_up_options
from identity.proving import Proof
from identity.roles import take_role
from identity.sessions import CHALLENGE_BYTES, Session, challenge, sign_in, sign_out
from identity.signing_in import SignIn, renew, sign_in_by_password, step_up
from ledger.codes import ROLES
from ledger.schema import HASH, base64_of
from ledger.times import format_time
from storage.ledger import Ledger

router = APIRouter(tags=["sessions"], dependencies=[Depends(unstored)])
PASSWORD_CHARACTERS = 1_024
"""Longest text that is looked at as a password; what is longer than a password may be is wrong, and tells no more."""
Role = Annotated[str, Field(pattern=f"^({'|'.join(ROLES)})$")]
Hospital = Annotated[str, Field(pattern=f"^(|hs_{ID_PATTERN})$")]
Password = Annotated[str, Field(max_length=PASSWORD_CHARACTERS)]
Code = Annotated[str, Field(pattern="^(|[0-9]{6})$")]
AskedBy = Annotated[Literal["cookie"] | None, Header(alias=cookies.ASKED_BY, examples=["cookie"])]
Recovery = Annotated[str, Field(pattern="^(|[0-9A-Za-z -]{16,32})$")]


class SignInSent(Sent):
    """A signed challenge, and the role in which to act."""

    key: Annotated[str, Field(pattern=f"^k_{ID_PATTERN}$")]
    challenge: Annotated[str, Field(pattern=f"^{HASH.pattern}$")]
    value: Annotated[str, Field(pattern=f"^{base64_of(SIGNATURE_BYTES).pattern}$")]
    role: Role
    hospital: Hospital = ""


class PasswordSent(Sent):
    """An account (its id or its e-mail address), a password, a code or recovery code, and the role in which to act."""

    account: Annotated[str, Field(max_length=320)]
    password: Password
    code: Code = ""
    recovery: Recovery = ""
    role: Role
    hospital: Hospital = ""


class StepUpSent(Sent):
    """A code or a recovery code."""

    code: Code = ""
    recovery: Recovery = ""


class PasskeyStepUpSent(Sent):
    """What `navigator.credentials.get` gave for a step-up, as its `toJSON` has it."""

    passkey: dict[str, Any]


class PasskeySignInSent(Sent):
    """What `navigator.credentials.get` gave, as its `toJSON` has it, and the role in which to act."""

    passkey: dict[str, Any]
    role: Role
    hospital: Hospital = ""


class RoleSent(Sent):
    """The role in which to act from now on."""

    role: Role
    hospital: Hospital = ""


FORMS = (SignInSent, PasswordSent, PasskeySignInSent, StepUpSent, PasskeyStepUpSent, RoleSent)
"""The forms that the OpenAPI document names."""


@serves(router, operations.CHALLENGE)
async def post_challenge(ledger: TheLedger) -> dict[str, str]:
    """32 fresh bytes; they count for two minutes, once. Build the text to sign yourself."""
    secret = await run_in_threadpool(challenge, ledger.tokens, ledger.clock())
    return {"challenge": b64encode(secret), "origin": ledger.origin}


@serves(router, operations.SIGN_IN)
async def post_session(
    request: Request, response: Response, ledger: TheLedger, asked: AskedBy = None
) -> dict[str, Any]:
    """A bearer token, for whoever signed the challenge with a registered key, or shows password and code.

    With `Heartwood-Session: cookie`, for pages of this site, a cookie instead.
    """
    cookie, value = cookies.asks_for_cookie(request), await json_body(request)
    if isinstance(value, dict) and "password" in value:
        sent = PasswordSent.model_validate(value)
        proof = Proof(sent.password, sent.code, sent.recovery)
        wanted = SignIn(sent.account, proof, sent.role, sent.hospital)
        session = await proofs_of(request).beside(
            sign_in_by_password, ledger, wanted, address_of(request)
        )
    elif isinstance(value, dict) and "passkey" in value:
        session = await _by_passkey(request, ledger, PasskeySignInSent.model_validate(value))
    else:
        session = await _by_key(ledger, SignInSent.model_validate(value))
    acting(session.caller.account)
    told = session_json(session)
    return cookies.answered(request, response, told) if cookie else told


async def _by_passkey(request: Request, ledger: Ledger, sent: PasskeySignInSent) -> Session:
    site, address = request.app.state.site, address_of(request)
    return await proofs_of(request).beside(
        sign_in_by_passkey, ledger, site, sent.passkey, sent.role, sent.hospital, address
    )


async def _by_key(ledger: Ledger, sent: SignInSent) -> Session:
    nonce = b64decode(sent.challenge, CHALLENGE_BYTES)
    value = b64decode(sent.value, SIGNATURE_BYTES)
    return await run_in_threadpool(
        sign_in, ledger, ledger.tokens, sent.key, nonce, value, sent.role, sent.hospital
    )


def session_json(session: Session) -> dict[str, Any]:
    """A session with its token; of one by password also its id, and how sure it is."""
    caller = session.caller
    told: dict[str, Any] = {
        "account": caller.account, "end": format_time(session.end), "token": session.token,
    }  # fmt: skip
    if caller.session is not None:
        told |= {"assurance": caller.session.assurance, "session": caller.session.id}
    return told


@serves(router, operations.SIGN_OUT)
async def delete_session(request: Request, ledger: TheLedger) -> Response:
    """End the session that asks."""
    await run_in_threadpool(sign_out, ledger, ledger.tokens, session_token(request))
    response = Response(status_code=204)
    if cookies.by_cookie(request):
        cookies.forget(response)
    return response


@serves(router, operations.STEP_UP)
async def post_step_up(
    request: Request, response: Response, ledger: TheLedger, caller: TheCaller
) -> dict[str, Any]:
    """The same session by password, sure of its owner for five minutes, with another token."""
    value, token, turns = await json_body(request), session_token(request), proofs_of(request)
    if isinstance(value, dict) and "passkey" in value:
        answer, site = PasskeyStepUpSent.model_validate(value).passkey, request.app.state.site
        session = await turns.beside(step_up_by_passkey, ledger, caller, token, site, answer)
    else:
        sent = StepUpSent.model_validate(value)
        proof = Proof(code=sent.code, recovery=sent.recovery)
        session = await turns.beside(step_up, ledger, caller, token, proof, address_of(request))
    return _replaced(request, response, session)


@serves(router, operations.STEP_UP_CHALLENGE)
async def post_step_up_challenge(
    request: Request, ledger: TheLedger, caller: TheCaller
) -> dict[str, Any]:
    """What a browser steps this session up by, with a passkey of the caller's own."""
    token, site = session_token(request), request.app.state.site
    return await run_in_threadpool(step_up_options, ledger, caller, site, token)


@serves(router, operations.RENEW)
async def post_renewal(
    request: Request, response: Response, ledger: TheLedger, caller: TheCaller
) -> dict[str, Any]:
    """The same session by password with another token; the one that was sent is dead."""
    session = await run_in_threadpool(renew, ledger, caller, session_token(request))
    return _replaced(request, response, session)


@serves(router, operations.TAKE_ROLE)
async def post_role(
    request: Request, response: Response, ledger: TheLedger, caller: TheCaller
) -> dict[str, Any]:
    """Another session by password, in another role, in place of this one, whose token is dead."""
    sent = await received(request, RoleSent)
    wanted = OwnRole(sent.role, sent.hospital)
    session = await run_in_threadpool(take_role, ledger, caller, session_token(request), wanted)
    return _replaced(request, response, session)


def _replaced(request: Request, response: Response, session: Session) -> dict[str, Any]:
    """A session's other token, in the way in which the one before came."""
    told = session_json(session)
    return cookies.answered(request, response, told) if cookies.by_cookie(request) else told
