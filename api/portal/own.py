"""One's own account: the way in, factors, keys, how one is reached, sessions, applications."""

import base64
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http import cookies
from api.http.problems import Problem
from api.http.proofs import proofs_of
from api.portal.drawing import qr
from api.portal.entering import entered, names_of, second_of
from api.portal.forms import Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import applying, operations
from client.claiming import claim_chart
from identity.codes import enrolment_uri
from identity.factors import begin_code, confirm_code, set_password
from identity.kept import keep_key, own_keys
from identity.own import OwnRole, factors_of, passkeys_of, sessions_of, sign_ins_of
from identity.proving import Proof
from identity.roles import take_role
from identity.sessions import end_session
from identity.signing_in import step_up
from journeys.errors import RecordsError
from ledger.codes import PROFESSIONS
from people.alone import register_alone
from people.contacts import contact_of, give_contact, prove_contact, remove_contact
from people.hospitals import open_hospitals
from people.numbers import number_of
from records.charts import me

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SIGN_INS_SHOWN = 25
"""Entries of one's own sign-ins on the page; `heartwood sign-ins` shows more."""


def standing(visitor: Visitor) -> dict[str, Any]:
    """What somebody has set up, and what is left to do."""
    caller, ledger = visitor.caller, visitor.ledger
    return {
        "account": caller.account,
        "applications": visitor.client.ask(visitor.actor, operations.APPLICATIONS),
        "charts": me(ledger, caller).patients,
        "contact": contact_of(ledger, caller),
        "factors": factors_of(ledger, caller),
        "keys": own_keys(ledger, caller),
    }


@router.get("/welcome")
async def get_welcome(visitor: TheVisitor) -> Response:
    """What a new account sets up, step by step."""
    return await _welcome(visitor)


async def _welcome(visitor: Visitor, **context: Any) -> Response:
    found = await run_in_threadpool(standing, visitor)
    return await page(visitor, "welcome.html", **found | context)


@router.get("/me")
async def get_me(visitor: TheVisitor) -> Response:
    """One's own account."""
    return await shown_me(visitor)


async def shown_me(visitor: Visitor, **context: Any) -> Response:
    """The page of one's own account."""

    def shown() -> dict[str, Any]:
        ledger, caller = visitor.ledger, visitor.caller
        found = standing(visitor)
        charts = found["charts"] if caller.role == "patient" else ()
        return found | {
            "numbers": {chart: number_of(ledger, caller, chart).stated for chart in charts},
            "passkeys": passkeys_of(ledger, caller),
            "sessions": sessions_of(ledger, caller),
            "sign_ins": sign_ins_of(ledger, caller)[:SIGN_INS_SHOWN],
        }

    found = await run_in_threadpool(shown)
    return await page(visitor, "me.html", names=await names_of(visitor), **found | context)


@router.post("/me/password")
async def post_password(visitor: TheVisitor) -> Response:
    """Change the password."""
    form = await sent_form(visitor)
    caller = visitor.caller

    async def act() -> Response:
        proof = second_of(form, "second", form.secret("old"))
        await proofs_of(visitor.request).beside(
            set_password, visitor.ledger, caller, form.secret("new"), proof, visitor.address
        )
        return see("/me", done="password")

    return await again(act, lambda problem: shown_me(visitor, problem=problem))


@router.get("/me/code")
async def get_code(visitor: TheVisitor) -> Response:
    """What one-time codes are, and the button that begins."""
    found = await run_in_threadpool(factors_of, visitor.ledger, visitor.caller)
    return await page(visitor, "code.html", factors=found, seed="", drawn="")


@router.post("/me/code")
async def post_code(visitor: TheVisitor) -> Response:
    """Begin one-time codes: the seed as a QR code and as text."""
    await sent_form(visitor)
    begun = await run_in_threadpool(begin_code, visitor.ledger, visitor.caller)
    return await _seed_shown(visitor, begun.seed)


async def _seed_shown(visitor: Visitor, seed: str, **context: Any) -> Response:
    uri = enrolment_uri(base64.b32decode(seed), visitor.caller.account, visitor.ledger.origin)
    found = await run_in_threadpool(factors_of, visitor.ledger, visitor.caller)
    return await page(visitor, "code.html", factors=found, seed=seed, drawn=qr(uri), **context)


@router.post("/me/code/confirm")
async def post_code_confirmed(visitor: TheVisitor) -> Response:
    """Let the codes count; the recovery codes are shown, this once."""
    form = await sent_form(visitor)
    caller = visitor.caller

    async def act() -> Response:
        proof = Proof(form.secret("password"), form["code"].replace(" ", ""))
        old = second_of(form, "old_code")
        recovery = await proofs_of(visitor.request).beside(
            confirm_code, visitor.ledger, caller, proof, visitor.address, old
        )
        return await page(visitor, "recovery.html", recovery=recovery)

    return await again(act, lambda problem: _seed_shown(visitor, _seed(form), problem=problem))


def _seed(form: Form) -> str:
    """The seed that the page had shown, to show it again."""
    seed = form["seed"]
    if len(seed) != 32 or not set(seed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        raise Problem("malformed", "the form brought no seed: begin again")
    return seed


@router.post("/me/keys")
async def post_key(visitor: TheVisitor) -> Response:
    """Let the service make and keep a key: with a code, which also makes the session sure of its owner."""
    form = await sent_form(visitor)
    caller, token = visitor.caller, visitor.token

    async def act() -> Response:
        response = see("/welcome", done="kept")
        if form["second"]:
            session = await proofs_of(visitor.request).beside(
                step_up, visitor.ledger, caller, token, second_of(form), visitor.address
            )
            visitor.known, visitor.token = session.caller, session.token
            entered(visitor, session, response)
        await run_in_threadpool(keep_key, visitor.ledger, visitor.caller)
        return response

    async def once_more(problem: Problem) -> Response:
        response = await _welcome(visitor, problem=problem)
        if visitor.token != token and visitor.known is not None:
            cookies.keep(visitor.request, response, visitor.token, visitor.known.account)
        return response

    return await again(act, once_more)


@router.post("/me/chart")
async def post_own_chart(visitor: TheVisitor) -> Response:
    """Open a chart of one's own, and act as its patient."""
    form = await sent_form(visitor)

    async def act() -> Response:
        def opens() -> Any:
            made = register_alone(visitor.ledger, visitor.caller, form["name"], form["born"])
            session = take_role(visitor.ledger, visitor.caller, visitor.token, OwnRole("patient"))
            return made, session

        _, session = await run_in_threadpool(opens)
        return entered(visitor, session, see("/today", done="claimed"))

    return await again(
        act, lambda problem: _welcome(visitor, problem=problem, typed=dict(form.typed))
    )


@router.get("/claim")
async def get_claim(visitor: TheVisitor) -> Response:
    """The form that claims a chart by a letter's code."""
    _ = visitor.caller
    return await page(visitor, "claim.html")


@router.post("/claim")
async def post_claim(visitor: TheVisitor) -> Response:
    """Claim a chart by patient number, code and birth date."""
    form = await sent_form(visitor)

    async def act() -> Response:
        def claims() -> Any:
            client, actor = visitor.client, visitor.actor
            claim_chart(client, actor, form["patient"], form["letter"], form["born"])
            return take_role(visitor.ledger, visitor.caller, visitor.token, OwnRole("patient"))

        session = await run_in_threadpool(claims)
        return entered(visitor, session, see("/today", done="claimed"))

    return await again(
        act, lambda problem: page(visitor, "claim.html", problem=problem, typed=dict(form.typed))
    )


@router.post("/me/contact")
async def post_contact(visitor: TheVisitor) -> Response:
    """Give an address, to which a code goes."""
    form = await sent_form(visitor)

    async def act() -> Response:
        await run_in_threadpool(
            give_contact, visitor.ledger, visitor.caller, form["address"], visitor.texts.language
        )
        return see("/me", done="mail")

    return await again(
        act, lambda problem: shown_me(visitor, problem=problem, typed=dict(form.typed))
    )


@router.post("/me/contact/proof")
async def post_contact_proof(visitor: TheVisitor) -> Response:
    """Confirm an address by its code."""
    form = await sent_form(visitor)
    _ = visitor.caller

    async def act() -> Response:
        await run_in_threadpool(prove_contact, visitor.ledger, form["mailed"])
        return see("/me", done="mail_proved")

    return await again(act, lambda problem: shown_me(visitor, problem=problem))


@router.post("/me/contact/remove")
async def post_contact_removed(visitor: TheVisitor) -> Response:
    """Forget the address."""
    await sent_form(visitor)
    await run_in_threadpool(remove_contact, visitor.ledger, visitor.caller)
    return see("/me", done="mail_removed")


@router.post("/me/sessions/end")
async def post_session_end(visitor: TheVisitor) -> Response:
    """End one of one's own sessions."""
    form = await sent_form(visitor)
    await run_in_threadpool(end_session, visitor.ledger, visitor.caller, form["session"])
    return see("/me", done="ended")


@router.get("/apply/doctor")
async def get_apply_doctor(visitor: TheVisitor) -> Response:
    """The form of a doctor who applies to a hospital."""
    return await _apply_doctor(visitor)


async def _apply_doctor(visitor: Visitor, **context: Any) -> Response:
    houses = await run_in_threadpool(open_hospitals, visitor.ledger, visitor.caller)
    return await page(
        visitor, "apply_doctor.html", houses=houses, professions=PROFESSIONS, **context
    )


@router.post("/apply/doctor")
async def post_apply_doctor(visitor: TheVisitor) -> Response:
    """Apply to a hospital."""
    form = await sent_form(visitor)

    async def act() -> Response:
        profession = form["profession"]
        if profession not in PROFESSIONS:
            raise RecordsError("choose a profession")
        await run_in_threadpool(
            applying.apply_as_doctor, visitor.client, visitor.actor, form["hospital"], profession
        )
        return see("/today", done="applied")

    return await again(
        act, lambda problem: _apply_doctor(visitor, problem=problem, typed=dict(form.typed))
    )


@router.get("/apply/hospital")
async def get_apply_hospital(visitor: TheVisitor) -> Response:
    """The form of a hospital that applies."""
    _ = visitor.caller
    return await page(visitor, "apply_hospital.html")


@router.post("/apply/hospital")
async def post_apply_hospital(visitor: TheVisitor) -> Response:
    """Apply for a hospital."""
    form = await sent_form(visitor)

    async def act() -> Response:
        await run_in_threadpool(
            applying.apply_for_hospital, visitor.client, visitor.actor, form["name"], form["zone"],
            form["contact"],
        )  # fmt: skip
        return see("/today", done="applied")

    return await again(
        act,
        lambda problem: page(
            visitor, "apply_hospital.html", problem=problem, typed=dict(form.typed)
        ),
    )
