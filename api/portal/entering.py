"""Coming in and going: register, sign in, step up, take another role, sign out."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http import cookies
from api.http.problems import Problem
from api.http.proofs import proofs_of
from api.http.told import acting
from api.portal.forms import FORM_BYTES, Form, opened_kept, sent_form
from api.portal.pages import PageRoute, again, page, passkey_asked, place, see
from api.portal.visitors import TheVisitor, Visitor
from identity.actors import Caller, new_id
from identity.errors import SecondFactorNeeded, WrongProof
from identity.own import OwnRole, own_roles
from identity.passkeys import step_up_by_passkey
from identity.proving import Proof
from identity.roles import take_role
from identity.sessions import Session, sign_out
from identity.signing_in import SignIn, sign_in_by_password, step_up
from journeys.errors import RecordsError
from people.joining import Registration, register_counted

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def second_of(form: Form, name: str = "second", password: str = "") -> Proof:
    """What was typed as a code: six digits are a one-time code, anything else a recovery code."""
    typed = form[name].replace(" ", "")
    code = typed if len(typed) == 6 and typed.isascii() and typed.isdigit() else ""
    return Proof(password, code, "" if code else typed)


@router.get("/register")
async def get_register(visitor: TheVisitor) -> Response:
    """The form that opens an account."""
    return await page(visitor, "register.html")


@router.post("/register")
async def post_register(visitor: TheVisitor) -> Response:
    """Open an account with a password, and sign in."""
    form = await sent_form(visitor)

    async def act() -> Response:
        if form.secret("password") != form.secret("proof"):
            raise RecordsError("the two passwords are not the same")
        account = new_id("ac", visitor.ledger.clock())
        wanted = Registration(account, form["name"], password=form.secret("password"))
        proofs = proofs_of(visitor.request)
        await proofs.beside(register_counted, visitor.ledger, visitor.address, wanted)
        proof = Proof(form.secret("password"))
        session = await _signed_in(visitor, SignIn(account, proof, "person"))
        return entered(visitor, session, see("/welcome", done="registered"))

    return await again(act, lambda problem: page(visitor, "register.html", **_typed(form, problem)))


@router.get("/sign-in")
async def get_sign_in(visitor: TheVisitor, then: str = "") -> Response:
    """The form that signs in."""
    return await page(visitor, "sign_in.html", then=then, kept="", posts=False)


@router.post("/sign-in")
async def post_sign_in(visitor: TheVisitor) -> Response:
    """Sign in by password and code; what was typed into a form when the session ended comes back."""
    form = await sent_form(visitor, 2 * FORM_BYTES)

    async def act() -> Response:
        proof = second_of(form, "second", form.secret("password"))
        session = await _signed_in(visitor, SignIn(form["account"], proof, "person"))
        return await came_in(visitor, form, session)

    def once_more(problem: Problem) -> Any:
        told = _typed(form, problem) | {"then": form["then"], "kept": form.secret("kept")}
        return page(visitor, "sign_in.html", **told, posts=bool(form["posts"]))

    return await again(act, once_more, frozenset({"not_signed_in"}))


async def came_in(visitor: Visitor, form: Form, session: Session) -> Response:
    """Where somebody goes on who has just signed in: with what was typed before, at the choice of a role, or where they wanted to."""
    session, chooses = await run_in_threadpool(_settled, visitor, session)
    acting(session.caller.account)
    visitor.known, visitor.token = session.caller, session.token
    if form["posts"]:
        response = await _goes_on(visitor, form)
    elif chooses:
        response = see("/roles", then=place(form["then"]))
    else:
        response = see(place(form["then"]))
    return entered(visitor, session, response)


async def _signed_in(visitor: Visitor, wanted: SignIn) -> Session:
    session = await proofs_of(visitor.request).beside(
        sign_in_by_password, visitor.ledger, wanted, visitor.address
    )
    acting(session.caller.account)
    return session


def _settled(visitor: Visitor, session: Session) -> tuple[Session, bool]:
    """The session in the one role that there is beside the person's, if the session may; whether there are several."""
    others = own_roles(visitor.ledger, session.caller)[1:]
    if len(others) != 1:
        return session, len(others) > 1
    try:
        return take_role(visitor.ledger, session.caller, session.token, others[0]), False
    except SecondFactorNeeded:
        return session, False


def entered(visitor: Visitor, session: Session, response: Response) -> Response:
    """A response that lets the browser keep a session."""
    cookies.keep(visitor.request, response, session.token, session.caller.account)
    return response


async def _goes_on(visitor: Visitor, form: Form) -> Response:
    """What was typed before, to be sent once more by whoever typed it; somebody else begins at their own start page."""
    fields = opened_kept(visitor.ledger.identity, visitor.caller.account, form.secret("kept"))
    if fields is None:
        return see("/today")
    return await page(visitor, "go_on.html", then=place(form["then"]), fields=fields, why="")


@router.get("/step-up")
async def get_step_up(visitor: TheVisitor, then: str = "") -> Response:
    """The form that asks for a code once more."""
    _ = visitor.caller
    asked = await passkey_asked(visitor)
    return await page(
        visitor, "step_up.html", then=place(then), kept="", posts=False, passkey=asked
    )


@router.post("/step-up")
async def post_step_up(visitor: TheVisitor) -> Response:
    """Show a code or a passkey once more, and go on."""
    form = await sent_form(visitor, 2 * FORM_BYTES)
    caller = visitor.caller

    async def act() -> Response:
        session = await _stepped_up(visitor, form, caller)
        visitor.known, visitor.token = session.caller, session.token
        goes_on = _goes_on(visitor, form) if form["posts"] else None
        response = await goes_on if goes_on else see(place(form["then"]), done="stepped_up")
        return entered(visitor, session, response)

    async def once_more(problem: Problem) -> Response:
        told = _typed(form, problem) | {"then": form["then"], "kept": form.secret("kept")}
        asked = await passkey_asked(visitor)
        return await page(visitor, "step_up.html", **told, posts=bool(form["posts"]), passkey=asked)

    return await again(act, once_more)


async def _stepped_up(visitor: Visitor, form: Form, caller: Caller) -> Session:
    """The session, by the passkey that the page's script asked for, or by a code."""
    ledger, turns = visitor.ledger, proofs_of(visitor.request)
    if form["passkey"]:
        site = visitor.request.app.state.site
        return await turns.beside(
            step_up_by_passkey, ledger, caller, visitor.token, site, answer_of(form)
        )
    return await turns.beside(
        step_up, ledger, caller, visitor.token, second_of(form), visitor.address
    )


def answer_of(form: Form) -> dict[str, Any]:
    """What the page's script put in; raises WrongProof for anything else."""
    try:
        answer = orjson.loads(form["passkey"])
    except ValueError as error:
        raise WrongProof("the passkey's answer isn't JSON") from error
    if not isinstance(answer, dict):
        raise WrongProof("got a passkey's answer that isn't a JSON object")
    return answer


@router.get("/roles")
async def get_roles(visitor: TheVisitor, then: str = "") -> Response:
    """The roles that somebody has, to choose one."""
    _ = visitor.caller
    return await page(visitor, "roles.html", then=place(then), names=await names_of(visitor))


async def names_of(visitor: Visitor) -> dict[str, str]:
    """The names of the hospitals in whose roles somebody is, by id."""

    def named() -> dict[str, str]:
        found = {one.hospital for one in own_roles(visitor.ledger, visitor.caller) if one.hospital}
        return {one: visitor.client.hospital(visitor.actor, one).name for one in sorted(found)}

    return await run_in_threadpool(named)


@router.post("/roles")
async def post_roles(visitor: TheVisitor) -> Response:
    """Act in another role."""
    form = await sent_form(visitor)
    role, _, hospital = form["role"].partition(" ")
    session = await run_in_threadpool(
        take_role, visitor.ledger, visitor.caller, visitor.token, OwnRole(role, hospital)
    )
    return entered(visitor, session, see("/today", done="role"))


@router.post("/sign-out")
async def post_sign_out(visitor: TheVisitor) -> Response:
    """End the session."""
    await sent_form(visitor)
    if visitor.token:
        await run_in_threadpool(sign_out, visitor.ledger, visitor.ledger.tokens, visitor.token)
    response = see("/", done="signed_out")
    cookies.forget(response)
    return response


def _typed(form: Form, problem: Problem) -> dict[str, Any]:
    return {"problem": problem, "typed": dict(form.typed)}
